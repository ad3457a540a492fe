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
const nowhere = { pinned: -1, pointed: -1, probe: null }; // a unit that is kept, one that is pointed at; a point
let [set, frame, at] = [sets[0], -1, nowhere];
let fields = [];

const weights = () => set.frames[frame];
const shownUnit = () => (at.pointed >= 0 ? at.pointed : at.pinned);
const here = () => frame;
const lastFrame = () => set.epochs.length - 1;
const pace = () => (set.live ? 50 : Math.max(RUN / (lastFrame() || 1), 16));
const rewind = () => { if (frame === lastFrame() && !set.live) go(0); };

/** Go to a frame; in the training, beyond the last one, too. */
function go(to) {
  if (set.live && to > lastFrame()) {
    while (to > lastFrame() && trainOn());
    showFrames();
  }
  const next = Math.min(Math.max(to, 0), lastFrame());
  if (next !== frame) showFrame(next);
  else redraw();
  if (frame === lastFrame() && !set.live) pause();
}

/** Show a frame, and all that is told of it. */
function showFrame(next) {
  frame = next;
  fields = fieldsOf(set, weights(), set.region, GRID);
  drawChart(set, frame);
  drawTables(set, frame, weights());
  $("epoch").textContent = String(set.epochs[frame]).padStart(3, "0");
  const parts = [["train", "training", set.trainLoss, set.train], ["test", "test", set.testLoss, set.test]];
  const said = parts.filter(([, , , points]) => points.length).map(([id, kind, losses, points]) => {
    const wrong = `${wrongOf(set, weights(), points)} of ${points.length / 3}`;
    $(`${id}-loss`).textContent = precise(losses[frame]);
    $(`${id}-wrong`).textContent = `${wrong} wrong`;
    return `${kind} loss ${number(losses[frame])}, ${wrong} points wrong`;
  });
  say(`Epoch ${set.epochs[frame]}: ${said.join("; ")}`);
  showPosition(frame, lastFrame(), `epoch ${set.epochs[frame]} of ${set.epochs[lastFrame()]}`, set.live);
  redraw();
}

/** Show the frame again, for another unit or another point. */
function redraw() {
  if (frame < 0) return; // something new is being built
  const shown = shownUnit();
  const unit = shown >= 0 ? shown : units.length - 1;
  const pass = set.live && passOf(frame);
  const point = pass ? pass.point : at.probe;
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
  const [middle, range] = levels(set, fields, unit);
  $("low").textContent = number(middle - range);
  $("high").textContent = number(middle + range);
}

/** Show the same frame at another unit, or at another point. */
function look(there) {
  at = { ...at, ...there };
  redraw();
}

function tellLink(link) {
  if (!link) return redraw();
  const pass = set.live && passOf(frame);
  const weight = pass ? pass.gradient[link.w] : weights()[link.w];
  const what = pass ? "∂loss/∂weight" : "weight";
  return $("told").replaceChildren(...indexed(`${what} to ${units[link.to].name} from ${units[link.from].name}: ${number(weight)}`));
}

/** Choose a set; one that was playing goes on playing, from its beginning. */
function choose(k) {
  const wasPlaying = isPlaying();
  pause();
  set = sets[k];
  $("lab").hidden = !set.live;
  classList.toggle("training", Boolean(set.live));
  show(wasPlaying || set.live ? 0 : lastFrame());
  if (wasPlaying) play();
}

/** Build everything for the set, and show a frame of it. */
function show(first) {
  [frame, at] = [-1, nowhere];
  $("note").textContent = set.note;
  classList.toggle("tested", set.test.length > 0);
  if (set.live) letGo();
  buildNetwork(set);
  epochRows.replaceChildren();
  showFrames();
  drawScales(set);
  go(first);
}

/** Show which frames there are: those of a set, of a training that has gone on, or was taken up at an earlier one. */
function showFrames() {
  slider.max = lastFrame();
  addRows(set);
  showCurves();
}

function showCurves() {
  buildChart(set, $("log").checked);
  if (frame >= 0) drawChart(set, frame);
}

/** Draw in the theme's colours. */
function repaint() {
  readColours();
  document.querySelectorAll("#sets canvas").forEach((canvas, k) => drawThumbnail(canvas, sets[k]));
  if (frame >= 0) redraw();
}

/** Go back to the output, and ask about no point. */
function release() {
  if (set.live) letGo();
  look({ pinned: -1, probe: null });
}

listen(
  { release, sooner: () => jump(frame - 10), later: () => jump(frame + 10) },
  { Escape: "release", PageUp: "later", PageDown: "sooner" },
);
on($("log"), "change", showCurves);
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
  const x = left + ((event.clientX - box.left) / box.width) * (right - left);
  look({ probe: [x, top + ((event.clientY - box.top) / box.height) * (bottom - top)] });
});
on(plane, "pointerleave", () => look({ probe: null }));
on(plane, "click", () => { if (set.live && at.probe) passNear(at.probe); });
on(plane, "keydown", (event) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
  if (!move) return;
  event.preventDefault();
  const [left, right, bottom, top] = set.region;
  const [x, y] = at.probe || [(left + right) / 2, (bottom + top) / 2];
  const to = [x + (move[0] * (right - left)) / 44, y + (move[1] * (top - bottom)) / 44];
  look({ probe: [Math.min(Math.max(to[0], left), right), Math.min(Math.max(to[1], bottom), top)] });
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
  showCurves();
  redraw();
}).observe(net);
