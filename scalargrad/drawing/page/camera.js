// Where the picture stands in its pane: fit, zoom and pan by wheel, drag, pinch and keys, and following the steps.

const READABLE = 0.62; // at a smaller scale, texts cannot be read
const EDGE = 14; // kept free around the picture
const FOOT = 44; // and below it, for the legend and the buttons

const world = $("world");
const { width: wide, height: high } = svg.viewBox.baseVal;
const pointers = new Map();
let view = { x: 0, y: 0, k: 1 };
let chosen = false; // the scale is somebody's choice, so following a step does not change it
let follows = true;
let frame = 0;
let settle = 0;
let travelled = 0;

const room = () => ({ w: stage.clientWidth, h: stage.clientHeight - FOOT });
const fitScale = () => Math.min((room().w - 2 * EDGE) / wide, (room().h - EDGE) / high, 2);

function place(next) {
  view = next;
  world.style.transform = `translate(${view.x}px,${view.y}px) scale(${view.k})`;
  // A layer of its own while it moves, which is fast; drawn anew when it rests, which is sharp.
  world.classList.add("moving");
  clearTimeout(settle);
  settle = setTimeout(() => world.classList.remove("moving"), 160);
}

function moveTo(next, glide = true) {
  cancelAnimationFrame(frame);
  if (!glide || stills.matches) {
    place(next);
    return;
  }
  const from = view;
  const began = performance.now();
  const tick = (now) => {
    const t = Math.min(Math.max((now - began) / 240, 0), 1);
    const s = t * t * (3 - 2 * t);
    const between = (axis) => from[axis] + (next[axis] - from[axis]) * s;
    place({ x: between("x"), y: between("y"), k: between("k") });
    if (t < 1) frame = requestAnimationFrame(tick);
  };
  frame = requestAnimationFrame(tick);
}

function centre(x, y, k, glide) {
  const { w, h } = room();
  moveTo({ x: w / 2 - x * k, y: (h + EDGE) / 2 - y * k, k }, glide);
}

const fit = (glide) => centre(wide / 2, high / 2, fitScale(), glide);

function zoom(factor, px = room().w / 2, py = room().h / 2, glide = false) {
  const k = Math.min(Math.max(view.k * factor, Math.min(fitScale(), 0.1)), 8);
  chosen = true;
  moveTo({ k, x: px - ((px - view.x) * k) / view.k, y: py - ((py - view.y) * k) / view.k }, glide);
}

/** Bring elements into view, the first if there is no room for all; at a readable scale, unless one was chosen. */
function reveal(elements, always) {
  if (!elements.length || !(follows || always)) return;
  const { w, h } = room();
  const origin = stage.getBoundingClientRect();
  const around = (some) => {
    const boxes = some.map((el) => el.getBoundingClientRect());
    const left = Math.min(...boxes.map((b) => b.left)) - origin.left;
    const top = Math.min(...boxes.map((b) => b.top)) - origin.top;
    const right = Math.max(...boxes.map((b) => b.right)) - origin.left;
    const bottom = Math.max(...boxes.map((b) => b.bottom)) - origin.top;
    return { left, top, right, bottom, bw: (right - left) / view.k, bh: (bottom - top) / view.k };
  };
  let b = around(elements);
  let { k } = view;
  const enlarges = k < READABLE && (!chosen || always) && fitScale() < READABLE;
  if (enlarges) k = Math.min(Math.max(Math.min((w - 2 * EDGE) / b.bw, (h - 2 * EDGE) / b.bh), READABLE), 1);
  if (b.bw * k > w - EDGE || b.bh * k > h - EDGE) b = around(elements.slice(0, 1));
  if (!enlarges && b.left > 0 && b.top > 0 && b.right < w && b.bottom < h + EDGE) return;
  centre(((b.left + b.right) / 2 - view.x) / view.k, ((b.top + b.bottom) / 2 - view.y) / view.k, k);
}

// ---- wheel, drag, pinch ----------------------------------------------------------------------------------------------

function inStage(event) {
  const { left, top } = stage.getBoundingClientRect();
  return { x: event.clientX - left, y: event.clientY - top };
}

function pinch() {
  const [a, b] = [...pointers.values()];
  return { d: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

on(stage, "wheel", (event) => {
  event.preventDefault();
  const { x, y } = inStage(event);
  const lines = event.deltaMode ? 16 : 1;
  zoom(Math.exp((-event.deltaY * lines * (event.ctrlKey ? 8 : 1.6)) / 1000), x, y);
}, { passive: false });

on(stage, "pointerdown", (event) => {
  if (event.button || event.target.closest("button")) return;
  if (!pointers.size) travelled = 0;
  pointers.set(event.pointerId, inStage(event));
});

on(stage, "pointermove", (event) => {
  const was = pointers.get(event.pointerId);
  if (!was) return;
  const before = pointers.size > 1 && pinch();
  const now = inStage(event);
  pointers.set(event.pointerId, now);
  travelled += Math.hypot(now.x - was.x, now.y - was.y);
  if (before) {
    const after = pinch();
    place({ ...view, x: view.x + after.x - before.x, y: view.y + after.y - before.y });
    if (before.d && after.d) zoom(after.d / before.d, after.x, after.y);
  } else if (travelled > 4) {
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragged");
    moveTo({ ...view, x: view.x + now.x - was.x, y: view.y + now.y - was.y }, false);
  }
});

["pointerup", "pointercancel"].forEach((type) => on(window, type, (event) => {
  pointers.delete(event.pointerId);
  if (!pointers.size) stage.classList.remove("dragged");
}));
