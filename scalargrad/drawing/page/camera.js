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
let settle = 0;
let travelled = 0;

const room = () => ({ w: stage.clientWidth, h: stage.clientHeight - FOOT });
const fitScale = () => Math.min((room().w - 2 * EDGE) / wide, (room().h - EDGE) / high, 2);

function moveTo(next, glide = true) {
  view = next;
  world.classList.toggle("glides", glide);
  world.style.transform = `translate(${view.x}px,${view.y}px) scale(${view.k})`;
  // A layer of its own while it moves, which is fast; drawn anew when it rests, which is sharp.
  world.classList.add("moving");
  clearTimeout(settle);
  settle = setTimeout(() => world.classList.remove("moving"), 400);
}

/** Stay where a glide has come to. */
function halt() {
  const { a: k, e: x, f: y } = new DOMMatrix(getComputedStyle(world).transform);
  moveTo({ x, y, k }, false);
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
  const origin = svg.getBoundingClientRect(); // wherever a glide has brought it
  const around = (some) => { // in the picture's own units: left, top, width and height
    const boxes = some.map((el) => el.getBoundingClientRect());
    const [x, y] = [Math.min(...boxes.map((b) => b.left)), Math.min(...boxes.map((b) => b.top))];
    const [right, bottom] = [Math.max(...boxes.map((b) => b.right)), Math.max(...boxes.map((b) => b.bottom))];
    return [x - origin.left, y - origin.top, right - x, bottom - y].map((each) => (each * wide) / origin.width);
  };
  let [x, y, bw, bh] = around(elements);
  let { k } = view;
  const enlarges = k < READABLE && (!chosen || always) && fitScale() < READABLE;
  if (enlarges) k = Math.min(Math.max(Math.min((w - 2 * EDGE) / bw, (h - 2 * EDGE) / bh), READABLE), 1);
  if (bw * k > w - EDGE || bh * k > h - EDGE) [x, y, bw, bh] = around(elements.slice(0, 1));
  const [left, top] = [view.x + x * k, view.y + y * k];
  if (!enlarges && left > 0 && top > 0 && left + bw * k < w && top + bh * k < h + EDGE) return;
  centre(x + bw / 2, y + bh / 2, k);
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
  halt();
  const { x, y } = inStage(event);
  const lines = event.deltaMode ? 16 : 1;
  zoom(Math.exp((-event.deltaY * lines * (event.ctrlKey ? 8 : 1.6)) / 1000), x, y);
}, { passive: false });

on(stage, "pointerdown", (event) => {
  if (event.button || event.target.closest("button")) return;
  halt();
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
    moveTo({ ...view, x: view.x + after.x - before.x, y: view.y + after.y - before.y }, false);
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
