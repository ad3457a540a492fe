// What is shown: a set, a frame of it (an epoch that was kept), a unit, and a point of the plane.

const lab = JSON.parse($("lab-data").textContent);
const recordings = JSON.parse($("data").textContent).map((set) => ({
  ...set,
  axes: set.inputs,
  frames: framesOf(set, doubles(set.weights)),
  trainLoss: doubles(set.trainLoss),
  testLoss: doubles(set.testLoss),
  train: doubles(set.train),
  test: doubles(set.test),
}));
const sets = lab ? [liveSet(), ...recordings] : recordings;
const RUN = 9000; // milliseconds from the first frame to the last
let [set, frame, pinned, pointed, probe] = [sets[0], -1, -1, -1, null];
let fields = [];

const weights = () => set.frames[frame];
const shownUnit = () => (pointed >= 0 ? pointed : pinned);
const here = () => frame;
const pace = () => (set.live ? 50 : Math.max(RUN / (scaleOf.last || 1), 16));
const rewind = () => { if (frame === scaleOf.last && !set.live) go(0); };

/** Show a frame. */
function go(to) {
  while (set.live && to > scaleOf.last && trainOn());
  const next = Math.min(Math.max(to, 0), set.epochs.length - 1);
  if (next !== frame) {
    frame = next;
    fields = fieldsOf(set, weights(), set.region, GRID);
    drawChart(set, frame);
    drawTables(set, frame, weights());
    slider.value = frame;
    slider.setAttribute("aria-valuetext", `epoch ${set.epochs[frame]} of ${set.epochs[set.epochs.length - 1]}`);
    $("epoch").textContent = String(set.epochs[frame]).padStart(3, "0");
    const parts = [["train", "training", set.trainLoss, set.train], ["test", "test", set.testLoss, set.test]];
    const said = parts.filter(([, , , points]) => points.length).map(([id, kind, losses, points]) => {
      const wrong = wrongOf(set, weights(), points);
      $(`${id}-loss`).textContent = precise(losses[frame]);
      $(`${id}-wrong`).textContent = `${wrong} of ${points.length / 3} wrong`;
      return `${kind} loss ${number(losses[frame])}, ${wrong} of ${points.length / 3} points wrong`;
    });
    say(`Epoch ${set.epochs[frame]}: ${said.join("; ")}`);
    const ends = [["first", 0], ["back", 0], ["forward", set.live ? -1 : scaleOf.last], ["last", scaleOf.last]];
    for (const [id, end] of ends) {
      $(id).setAttribute("aria-disabled", frame === end);
    }
  }
  redraw();
  if (frame === scaleOf.last && !set.live) pause();
}

/** Show the frame again, for another unit or another point. */
function redraw() {
  if (frame < 0) return; // something new is being built
  const shown = shownUnit();
  const unit = shown >= 0 ? shown : units.length - 1;
  const pass = set.live && passOf(frame);
  const point = pass ? pass.point : probe;
  drawNetwork(set, weights(), fields, shown, pass ? pass.gradient : weights());
  drawPlane(set, weights(), fields, unit, point);
  const values = point && outputs(set, weights(), point[0], point[1], new Float64Array(units.length));
  drawValues(values, pass && pass.slopes);
  const { name, layer } = units[unit];
  $("shown").replaceChildren(...indexed(unit === units.length - 1 ? "The output y" : layer ? `Neuron ${name}` : `Input ${name}`));
  const formula = pass ? pass.says : told(set, weights(), unit);
  $("told").replaceChildren(...indexed(formula));
  $("told").classList.toggle("long", formula.length > 90);
  $("asked").replaceChildren(...indexed(values
    ? `At ${set.axes[0]} = ${number(point[0])}, ${set.axes[1]} = ${number(point[1])}: ${name} = ${number(values[unit])}`
    : "Point at the plane, or use arrows."));
  const [middle, range] = unit === units.length - 1 ? [set.threshold, set.scale] : levels(fields[unit]);
  $("low").textContent = number(middle - range);
  $("high").textContent = number(middle + range);
}

function point(u) {
  pointed = u;
  redraw();
}

function pin(u) {
  pinned = pinned === u ? -1 : u;
  redraw();
}

function tellLink(link) {
  if (!link) return redraw();
  const pass = set.live && passOf(frame);
  const weight = pass ? pass.gradient[link.w] : weights()[link.w];
  const what = pass ? "∂loss/∂weight" : "weight";
  return $("told").replaceChildren(...indexed(`${what} to ${units[link.to].name} from ${units[link.from].name}: ${number(weight)}`));
}

function ask(at) {
  probe = at;
  redraw();
}

/** Choose a set; one that was playing goes on playing, from its beginning. */
function choose(k) {
  const wasPlaying = isPlaying();
  pause();
  set = sets[k];
  $("lab").hidden = !set.live;
  classList.toggle("training", Boolean(set.live));
  show(wasPlaying || set.live ? 0 : set.epochs.length - 1);
  if (wasPlaying) play();
}

/** Build everything for the set, and show a frame of it. */
function show(first) {
  [frame, pinned, pointed, probe] = [-1, -1, -1, null];
  slider.max = set.epochs.length - 1;
  $("note").textContent = set.note;
  classList.toggle("tested", set.test.length > 0);
  if (set.live) letGo();
  buildNetwork(set);
  buildChart(set, $("log").checked);
  buildTables(set);
  drawScales(set);
  go(first);
}

/** Show the frames of a training that has gone on, or was taken up at an earlier one. */
function showFrames(to) {
  slider.max = set.epochs.length - 1;
  buildChart(set, $("log").checked);
  addRows(set);
  frame = -1;
  go(to);
}

function showTheme() {
  readColours();
  document.querySelectorAll("#sets canvas").forEach((canvas, k) => drawThumbnail(canvas, sets[k]));
  $("theme").setAttribute("aria-pressed", isDark());
  if (frame >= 0) redraw();
}

/** Go back to the output, and ask about no point. */
function release() {
  [pinned, probe] = [-1, null];
  if (set.live) letGo();
  redraw();
}

listen(
  { release, sooner: () => jump(frame - 10), later: () => jump(frame + 10) },
  { Escape: "release", PageUp: "later", PageDown: "sooner" },
);
on($("log"), "change", () => {
  buildChart(set, $("log").checked);
  drawChart(set, frame);
});
for (const id of ["train", "test"]) {
  on($(`show-${id}`), "change", (event) => {
    visible[id] = event.target.checked;
    redraw();
  });
}
// A point of the plane, by pointer or by keys.
on(plane, "pointermove", (event) => {
  const box = plane.getBoundingClientRect();
  const [left, right, bottom, top] = set.region;
  ask([
    left + ((event.clientX - box.left) / box.width) * (right - left),
    top + ((event.clientY - box.top) / box.height) * (bottom - top),
  ]);
});
on(plane, "pointerleave", () => ask(null));
on(plane, "click", () => { if (set.live && probe) passNear(probe); });
on(plane, "keydown", (event) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
  if (!move) return;
  event.preventDefault();
  const [left, right, bottom, top] = set.region;
  const [x, y] = probe || [(left + right) / 2, (bottom + top) / 2];
  ask([
    Math.min(Math.max(x + (move[0] * (right - left)) / 44, left), right),
    Math.min(Math.max(y + (move[1] * (top - bottom)) / 44, bottom), top),
  ]);
  say($("asked").textContent);
});

// An epoch, by pointing at the chart.
const seek = (event) => jump(frameAt(event.clientX - chart.getBoundingClientRect().left));
on(chart, "pointerdown", (event) => {
  chart.setPointerCapture(event.pointerId);
  seek(event);
});
on(chart, "pointermove", (event) => { if (event.buttons) seek(event); });

sets.forEach((each, k) => {
  const input = make("input", "");
  Object.assign(input, { type: "radio", name: "set", checked: k === 0 });
  on(input, "change", () => choose(k));
  const shape = each.live ? "in this page" : `${each.sizes.join("-")} ${each.activations[0]}`;
  $("sets").append(make("label", "card", input, make("canvas", ""), make("b", "", each.name), make("small", "", shape)));
});
$("sets").hidden = sets.length < 2;
classList.toggle("single", sets.length < 2);
readColours();
choose(0);
showTheme();
new ResizeObserver(() => {
  placeNetwork(set);
  buildChart(set, $("log").checked);
  drawChart(set, frame);
  redraw();
}).observe(net);
