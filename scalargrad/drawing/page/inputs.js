// The inputs: a field and a slider each, what turns when they move, a link that carries them, and the output's plot.

const panel = $("inputs");
const xs = isLive ? live.inputs.map(([, text]) => parsed(text)) : [];
const inputRows = []; // of each input: its field, its slider and the ends of its range
const plotted = $("plot");
const PLOT = { width: 264, height: 150, left: 6, right: 6, top: 8, bottom: 8 };
let moved = 0; // the input that was moved last
let waiting = 0;

const limited = (x) => Math.min(Math.max(x, -Number.MAX_VALUE), Number.MAX_VALUE);

/** From minus to plus twice its size, or more. */
function usualRange(x) {
  const most = (Number.isFinite(x) && limited(roundUp(2 * Math.abs(x)))) || 1;
  return [-most, most];
}

/** What a field holds: its text keeps the sign of zero, which `valueAsNumber` loses. */
const entered = (el) => (el.value ? Number(el.value) : NaN);
const inField = (x) => (Number.isFinite(x) ? (Object.is(x, -0) ? "-0" : x) : "");

/** Mark a field in which no number stands. */
const judge = (el, isGood) => el.setAttribute("aria-invalid", !isGood);

function control(type, label, properties) {
  const el = Object.assign(make("input", ""), { type, step: "any", ...properties });
  el.setAttribute("aria-label", label);
  return el;
}

function addRow([text, given], k) {
  const x = parsed(given);
  const number = control("number", text, { className: "value", name: text, id: `input-${k}`, value: inField(x) });
  const track = control("range", `${text}, slider`);
  const label = Object.assign(make("label", "", ...indexed(text)), { htmlFor: number.id });
  const [low, high] = usualRange(x).map((end, side) => (
    control("number", `${side ? "highest" : "lowest"} ${text} of the slider`, { className: "end", value: inField(end) })));
  const row = { number, track, low, high };
  inputRows.push(row);
  setRange(row, x);
  on(number, "input", () => {
    const to = entered(number);
    judge(number, Number.isFinite(to));
    if (Number.isFinite(to)) move(k, to);
    else later();
  });
  on(track, "input", () => {
    fill(row, Number(Number(track.value).toPrecision(4)));
    move(k, entered(number));
  });
  for (const end of [low, high]) on(end, "change", () => setRange(row, xs[k]));
  for (const el of [number, track]) on(el, "focus", () => choosePlot(k));
  return make("li", "", label, number, track, make("div", "ends", low, high));
}

/** The slider from its one end to the other; they are put in order, and reach as far as the number. */
function setRange({ track, low, high }, x) {
  let [from, to] = usualRange(x).map((end, side) => (Number.isFinite(entered([low, high][side])) ? entered([low, high][side]) : end));
  if (from > to) [from, to] = [to, from];
  if (x < from) from = limited(x < 0 ? -roundUp(-x) : x);
  if (x > to) to = limited(x > 0 ? roundUp(x) : x);
  if (from === to) [from, to] = from + 1 > from ? [from, from + 1] : usualRange(from);
  [low.value, high.value] = [from, to];
  [track.min, track.max, track.value] = [from, to, Number.isFinite(x) ? x : from];
  if (inputRows.length) later();
}

function move(k, to) {
  xs[k] = to;
  setRange(inputRows[k], to);
  choosePlot(k);
}

function choosePlot(k) {
  moved = k;
  later();
}

/** Everything anew at the next frame: once, however many events there were. */
function later() {
  waiting = waiting || requestAnimationFrame(() => {
    waiting = 0;
    recompute();
  });
}

const isAtStart = () => xs.every((x, k) => Object.is(x, parsed(live.inputs[k][1])));

function recompute() {
  const start = isAtStart();
  const other = renew(xs, start);
  showAgain();
  drawPlot();
  tellTurned(other);
  $("reset").disabled = start && !panel.querySelector("[aria-invalid=true]");
  $("link").href = `#${new URLSearchParams(live.inputs.map(([text], k) => [text, repr(xs[k])]))}`;
  const [root, called] = live.root;
  const result = `${called} = ${shown(valueOf(root))}`;
  const slopes = live.inputs.slice(0, 12).map(([text], k) => `${text}: ${shown(slopeOf(k))}`).join(", ");
  $("description").textContent = start ? described : `${result}. Derivatives of ${called} by input: ${slopes}.`;
  if (!start) say(`${live.inputs[moved][0]} = ${shown(xs[moved])}: ${result}`, 400);
}

const described = $("description").textContent;

// ---- comparisons -----------------------------------------------------------------------------------------------------

const compared = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "==": (a, b) => a === b, "!=": (a, b) => a !== b };
const operand = (x) => (typeof x === "string" ? parsed(x) : valueOf(x));

const OTHER_ARM = "in which where takes its other arm, as the numbers show already";
const OTHER_WAY = "of another way through the program; the numbers are those of the graph that is drawn";

/** Say which comparisons are no longer as they were when the graph was recorded. */
function tellTurned(other) {
  const turned = live.decisions.filter(([terms, , , outcome]) => terms.every(([a, sign, b]) => compared[sign](operand(a), operand(b))) !== outcome);
  const says = turned.map(([, text, isDrawn, outcome]) => {
    const what = `${text} was ${outcome} and is ${!outcome} now`;
    return `${what}: recorded here, the graph would be another one, ${isDrawn ? OTHER_ARM : OTHER_WAY}.`;
  });
  if (other) says.push("An operation branches differently now: the graph would be another one.");
  $("turned").replaceChildren(...says.map((text) => make("p", "", text)));
}

// ---- the plot --------------------------------------------------------------------------------------------------------

/** Where x lies between a and b, which may be as far apart as numbers can be. */
const fraction = (x, a, b) => (b - a < Infinity ? (x - a) / (b - a) : (x / 2 - a / 2) / (b / 2 - a / 2));

/** The output over the input that was moved last, and its tangent. */
function drawPlot() {
  const [root, called] = live.root;
  const [text] = live.inputs[moved];
  const { track } = inputRows[moved];
  const [from, to] = [Number(track.min), Number(track.max)];
  const [x0, y0, slope] = [xs[moved], valueOf(root), slopeOf(moved)];
  const kept = Float64Array.from(numbers);
  const given = [...xs];
  const points = Math.round(Math.min(Math.max(1.5e5 / live.places.length, 25), 121));
  const line = Array.from({ length: points }, (_, n) => {
    given[moved] = from * (1 - n / (points - 1)) + to * (n / (points - 1));
    compute(given, numbers);
    return [given[moved], valueOf(root)];
  });
  numbers.set(kept);
  const finite = [...line.map(([, y]) => y), y0].filter(Number.isFinite).sort((a, b) => a - b);
  let [low, high] = finite.length ? [finite[0], finite[finite.length - 1]] : [0, 1];
  const size = Math.max(Math.abs(low), Math.abs(high)) || 1;
  if (high - low <= 1e-12 * size) [low, high] = [limited(low - size), limited(high + size)];
  const across = (x) => PLOT.left + fraction(x, from, to) * (PLOT.width - PLOT.left - PLOT.right);
  const up = (y) => PLOT.height - PLOT.bottom - fraction(y, low, high) * (PLOT.height - PLOT.top - PLOT.bottom);
  const parts = [draws("path", { class: "curve", d: through(line.map(([x, y]) => [across(x), up(y)])) })];
  if (Number.isFinite(y0) && Number.isFinite(slope)) {
    const [left, right] = [from, to].map((x) => [across(x), Math.min(Math.max(up(y0 + slope * limited(x - x0)), -1e5), 1e5)]);
    parts.push(draws("path", { class: "tangent", d: `M${left}L${right}` }));
  }
  if (Number.isFinite(y0) && Number.isFinite(x0)) parts.push(draws("circle", { cx: across(x0), cy: up(y0), r: 4.5 }));
  plotted.replaceChildren(...parts);
  $("plot-title").replaceChildren(...indexed(`${called} over ${text}`));
  $("plot-low").textContent = shown(from);
  $("plot-high").textContent = shown(to);
  $("plot-slope").replaceChildren(`slope ${shown(slope)}`);
  plotted.setAttribute("aria-label", [
    `${called} from ${shown(low)} to ${shown(high)} over ${text} from ${shown(from)} to ${shown(to)};`,
    `at ${text} = ${shown(x0)} it is ${shown(y0)}, and the tangent's slope ${shown(slope)}`,
  ].join(" "));
}

// ---- from the start --------------------------------------------------------------------------------------------------

function fill({ number }, to) {
  number.value = inField(to);
  judge(number, true);
}

/** Take the inputs that are told, and leave the others. */
function take(numbersByName) {
  inputRows.forEach((row, k) => {
    if (!numbersByName.has(live.inputs[k][0])) return;
    xs[k] = numbersByName.get(live.inputs[k][0]);
    fill(row, xs[k]);
    setRange(row, xs[k]);
  });
  later();
}

function fromLink() {
  const asked = [...new URLSearchParams(location.hash.slice(1))].map(([key, text]) => [key, parsed(text.trim() || "-")]);
  take(new Map(asked.filter(([, x]) => !Number.isNaN(x))));
}

function startInputs() {
  if (!isLive) $("fixed").textContent = `The numbers cannot be moved here: ${live}.`;
  if (!isLive || !live.inputs.length) return;
  classList.add("live");
  panel.hidden = false;
  panel.querySelector("ul").append(...live.inputs.map(addRow));
  on($("reset"), "click", () => {
    inputRows.forEach(({ low, high }, k) => {
      [low.value, high.value] = usualRange(parsed(live.inputs[k][1]));
    });
    take(new Map(live.inputs.map(([text, given]) => [text, parsed(given)])));
  });
  on(window, "hashchange", fromLink);
}
