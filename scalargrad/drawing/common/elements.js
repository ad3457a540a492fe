// What both pages stand on: elements and drawings, light and dark, and the player's buttons and keys. A page has
// `here()`, its position, and `go(p)`, which shows another; `pace()`, milliseconds a step; `rewind()`, for playing again
// from the end; and `repaint()`, for what is no variable of a style sheet.

const $ = (id) => document.getElementById(id);
const on = (el, type, act, options) => el.addEventListener(type, act, options);
const { dataset, classList } = document.documentElement;
const DASH = "—";

function make(tag, className, ...children) {
  const el = document.createElement(tag);
  el.className = className;
  el.append(...children);
  return el;
}

/** An element of a drawing. */
function draws(tag, attributes, ...children) {
  const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, to]) => el.setAttribute(name, to));
  el.append(...children);
  return el;
}

/** A text with the indices in it below the line: θ1[2,1], w_1, w1; as `marked` in text.py has it. */
const indexed = (text) => text
  .split(/(?<=[\p{L}\d])\[([\p{L}\d,]{1,20})\]|(?<=\p{L})_(\d{1,3})(?![\w[(])|(?<=(?<!\w)\p{L})(\d{1,3})(?![\w.[(])/u)
  .map((part, k) => (k % 4 && part ? make("sub", "", part) : part || ""));

/** A path through these points, with a gap where one is nowhere. */
function through(points) {
  let d = "";
  let isOpen = false;
  for (const [x, y] of points) {
    if (Number.isFinite(y)) d += `${isOpen ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`;
    isOpen = Number.isFinite(y);
  }
  return d;
}

/** The least of 1, 2 and 5 times a power of ten that is no less. */
function roundUp(x) {
  if (!(x > 1e-300 && x < 1e300)) return x;
  const power = 10 ** Math.floor(Math.log10(x));
  return Number(([1, 2, 5, 10].find((m) => m * power >= x * (1 - 1e-12)) * power).toPrecision(1));
}

/** Mark the row of a table that is shown, if there is one, and bring it into view. */
function markRow(body, row) {
  body.querySelectorAll("[aria-current]").forEach((el) => el.removeAttribute("aria-current"));
  if (!row) return;
  row.setAttribute("aria-current", "step");
  const room = body.closest(".scroller");
  requestAnimationFrame(() => {
    const top = row.offsetTop - 60;
    const isSeen = top >= room.scrollTop && top + 120 <= room.scrollTop + room.clientHeight;
    if (row.isConnected && !isSeen) room.scrollTop = top;
  });
}

// ---- the player ------------------------------------------------------------------------------------------------------

const slider = $("position");
const night = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (dataset.theme === "auto" ? night.matches : dataset.theme === "dark");
const isPlaying = () => classList.contains("playing");
let timer = 0;
let speech = 0;

/** Have a text read out; of many in a row, only the last. */
function say(text, after = 150) {
  clearTimeout(speech);
  speech = setTimeout(() => { $("live").textContent = text; }, after);
}

function pause() {
  clearTimeout(timer);
  classList.remove("playing");
  $("play").title = "Play (space)";
}

function play() {
  classList.add("playing");
  $("play").title = "Pause (space)";
  timer = setTimeout(() => {
    go(here() + 1);
    if (isPlaying()) play();
  }, pace() / $("speed").value);
}

/** Have the slider and the buttons show a position; a player that is endless has none behind which it cannot go. */
function showPosition(p, last, says, isEndless = false) {
  slider.value = p;
  slider.setAttribute("aria-valuetext", says);
  for (const [id, end] of [["first", 0], ["back", 0], ["forward", isEndless ? -1 : last], ["last", last]]) {
    $(id).setAttribute("aria-disabled", p === end);
  }
}

function jump(p) {
  pause();
  go(p);
}

function toggle() {
  if (isPlaying()) return pause();
  rewind();
  return play();
}

function turnTheme() {
  dataset.theme = isDark() ? "light" : "dark";
  $("dark").media = isDark() ? "screen" : "not all";
  showTheme();
}

function showTheme() {
  $("theme").setAttribute("aria-pressed", isDark());
  repaint();
}

/** Have buttons, by id, and keys do what they are for: those of every player, and the page's own. */
function listen(own, ownKeys) {
  const actions = {
    play: toggle, first: () => jump(0), back: () => jump(here() - 1), forward: () => jump(here() + 1),
    last: () => jump(Number(slider.max)), theme: turnTheme, ask: () => $("help").showModal(), ...own,
  };
  const keys = {
    ArrowRight: "forward", ArrowLeft: "back", Home: "first", End: "last", " ": "play", t: "theme", "?": "ask", ...ownKeys,
  };
  Object.keys(actions).filter($).forEach((id) => on($(id), "click", actions[id]));
  on(slider, "input", () => jump(Number(slider.value)));
  on(night, "change", showTheme);
  on(document, "keydown", (event) => {
    const busy = event.target.closest("input,select,dialog[open]") || (event.key === " " && event.target.closest("button,a"));
    const act = actions[keys[event.key]];
    if (!act || busy || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  classList.add("alive");
}
