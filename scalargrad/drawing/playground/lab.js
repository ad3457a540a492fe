// The training in the page: what is chosen, the frames that it has come to, a weight that is pulled, and the backward
// pass of one sample. To the other scripts it is one more set, whose frames grow.

const INFLUENTIAL = ["lab-set", "lab-noise", "lab-share", "lab-shape", "lab-activation", "lab-seed"]; // begin anew
const MOST_FRAMES = 2000;
let training = null;
let kept = []; // of each frame: what the training goes on from
let places = []; // of each weight that is drawn: its place among all
let pulled = -1; // the weight that is being changed: its place in the frame
let passing = -1; // the sample whose backward pass is shown

const valueOf = (id) => Number($(id).value);
/** A field's number, within its own bounds. */
const within = (id) => Math.min(Math.max(valueOf(id), Number($(id).min)), Number($(id).max) || Number.MAX_VALUE);
const isOn = () => lab.features.map((_, k) => $(`lab-feature-${k}`).checked);

/** The choices, as training.js takes them. */
function choices() {
  const shape = valueOf("lab-shape");
  return {
    set: lab.sets[valueOf("lab-set")], noise: valueOf("lab-noise"), share: valueOf("lab-share"), features: isOn(), shape,
    activation: lab.activations[valueOf("lab-activation")], seed: Math.round(within("lab-seed")),
    optimizer: valueOf("lab-optimizer"), rate: within("lab-rate"), batch: Math.round(within("lab-batch")),
    l1: valueOf("lab-l1"), l2: valueOf("lab-l2"),
  };
}

// ---- frames ----------------------------------------------------------------------------------------------------------

const flat = (points) => Float64Array.from(points.flat());
let trained = null; // the set that all of this is

/** Epoch 0 of what is chosen. */
function beginTraining() {
  const choice = choices();
  training = trainingOf(lab, choice);
  const active = choice.features.flatMap((isThere, k) => (isThere ? [k] : []));
  const width = lab.features.length + 1;
  const first = training.sizes[1];
  places = Array.from({ length: first }, (_, j) => [...active, width - 1].map((k) => j * width + k)).flat();
  for (let k = first * width; k < training.weights.length; k += 1) places.push(k);
  const hidden = lab.shapes[choice.shape];
  Object.assign(trained, {
    sizes: [active.length, ...hidden, 1],
    activations: [...hidden.map(() => choice.activation), "tanh"],
    inputs: active.map((k) => lab.features[k]),
    features: active.map((k) => FEATURES[k]),
    train: flat(training.train), test: flat(training.test),
    epochs: [], trainLoss: [], testLoss: [], frames: [],
  });
  const far = Math.max(6, ...training.train.flat().map(Math.abs), ...training.test.flat().map(Math.abs)) + 0.3;
  trained.region = [-far, far, -far, far];
  kept = [];
  passing = -1;
  keep();
}

/** Keep the state of the training as the next frame. */
function keep() {
  trained.frames.push(Float64Array.from(places, (place) => training.weights[place]));
  const [train, test] = training.losses();
  trained.epochs.push(training.epoch);
  trained.trainLoss.push(train);
  trained.testLoss.push(test);
  kept.push(training.snapshot());
}

/** One more epoch; false where there are enough, or the numbers have left the range. */
function trainOn() {
  const how = choices();
  if (kept.length >= MOST_FRAMES || !training.weights.every(Number.isFinite)) {
    pause();
    $("note").textContent = kept.length >= MOST_FRAMES ? `${MOST_FRAMES} epochs are kept: reset to begin anew.` : "The weights have left the range of numbers: reset, and try a smaller rate.";
    say($("note").textContent);
    return false;
  }
  training.step(how);
  keep();
  return true;
}

// ---- a weight that is pulled -----------------------------------------------------------------------------------------

/** Have a weight changed by field and slider; k is its place in a frame. */
function pull(k, called, fromTable) {
  pause();
  pulled = k;
  const now = weights()[k];
  $("pull").hidden = false;
  $("pull-name").replaceChildren(...indexed(called));
  const most = Math.max(5, Math.ceil(Math.abs(now)));
  Object.assign($("pull-slider"), { min: -most, max: most, value: now });
  $("pull-number").value = Number(now.toPrecision(6));
  if (fromTable) $("pull-number").focus();
}

function letGo() {
  pulled = -1;
  $("pull").hidden = true;
}

/** Take the training up at the frame that is shown, with the weight changed, and forget the frames behind it. */
function pullTo(x) {
  if (pulled < 0 || !Number.isFinite(x)) return;
  training.restore(kept[frame]);
  for (const each of [trained.epochs, trained.trainLoss, trained.testLoss, trained.frames, kept]) each.length = frame;
  training.weights[places[pulled]] = x;
  keep();
  showFrames();
  showFrame(frame);
}

// ---- the backward pass of one sample ---------------------------------------------------------------------------------

/** What the backward pass of the chosen sample brings, at a frame; null if none is asked for. */
function passOf(at) {
  if (passing < 0 || at < 0) return null;
  const row = training.rows[passing];
  const { loss, y, gradient } = training.sample(row, 1, kept[at].weights);
  const drawn = places.map((place) => gradient[place]);
  const slopes = units.map(({ layer, at: from }) => (layer ? drawn[from + trained.sizes[layer - 1]] : 0));
  const target = row[row.length - 1];
  const says = `Sample ${passing + 1}, target ${number(target)}: y = ${number(y)}, loss (y − ${number(target)})² = ${number(loss)}. Lines are ∂loss/∂weight, δ is ∂loss/∂sum.`.replace("− −", "+ ");
  return { point: training.train[passing], gradient: drawn, slopes, says };
}

function choosePass(k) {
  const count = training.train.length;
  passing = $("lab-pass").checked ? ((k % count) + count) % count : -1;
  redraw();
  if (passing >= 0) say($("told").textContent);
}

/** The training sample nearest to a point of the plane. */
function passNear([x, y]) {
  if (!$("lab-pass").checked) return;
  const far = training.train.map(([a, b]) => (a - x) ** 2 + (b - y) ** 2);
  choosePass(far.indexOf(Math.min(...far)));
}

// ---- the choices -----------------------------------------------------------------------------------------------------

function fillChoices() {
  const options = (id, texts) => $(id).append(...texts.map((text, value) => Object.assign(make("option", "", text), { value })));
  options("lab-set", lab.sets);
  options("lab-shape", lab.shapes.map((hidden) => hidden.join(", ") || "none"));
  options("lab-activation", lab.activations);
  options("lab-optimizer", lab.optimizers.map(([name]) => name));
  lab.features.forEach((name, k) => {
    const box = Object.assign(make("input", ""), { type: "checkbox", id: `lab-feature-${k}`, checked: k < 2 });
    $("lab-features").append(make("label", "", box, make("span", "", ...indexed(name))));
    on(box, "change", () => {
      if (!isOn().some(Boolean)) box.checked = true; // one at least
      restart();
    });
  });
  $("lab-shape").value = 2;
  proposeRate();
  for (const id of INFLUENTIAL) on($(id), "change", restart);
  on($("lab-optimizer"), "change", proposeRate);
  for (const id of ["lab-rate", "lab-batch", "lab-seed"]) on($(id), "change", () => { $(id).value = id === "lab-rate" ? within(id) : Math.round(within(id)); });
  for (const id of ["lab-noise", "lab-share"]) on($(id), "input", tellRanges);
  on($("lab-reset"), "click", restart);
  on($("lab-pass"), "change", () => choosePass(Math.max(passing, 0)));
  on($("lab-before"), "click", () => choosePass(passing - 1));
  on($("lab-after"), "click", () => choosePass(passing + 1));
  for (const [from, to] of [["pull-slider", "pull-number"], ["pull-number", "pull-slider"]]) {
    on($(from), "input", () => {
      $(to).value = $(from).value;
      pullTo($(from).valueAsNumber);
    });
  }
  on($("pull-done"), "click", letGo);
  tellRanges();
}

const proposeRate = () => { $("lab-rate").value = lab.optimizers[valueOf("lab-optimizer")][1]; };

function tellRanges() {
  $("lab-noise-is").textContent = `${Math.round(100 * valueOf("lab-noise"))} %`;
  $("lab-share-is").textContent = `${Math.round(100 * valueOf("lab-share"))} %`;
}

/** Begin anew at epoch 0, with what is chosen now. */
function restart() {
  pause();
  beginTraining();
  $("lab-pass").checked = false;
  drawThumbnail($("sets").querySelector("canvas"), trained);
  show(0);
}

/** The set that is trained here, at epoch 0. */
function liveSet() {
  fillChoices();
  trained = { live: true, name: "Train", axes: lab.features, note: lab.note, threshold: 0, scale: 1 };
  beginTraining();
  return trained;
}
