// The player: one position, and everything that shows it.

const slider = $("position");
const { dataset, classList } = document.documentElement;
const set = (id, attribute, to) => $(id).setAttribute(attribute, to);
let position = -1;
let timer = 0;
let speech = 0;
let tables = 0;

function around({ is, i, e }) {
  if (is === "backward") return [nodeEls[i], edgeEls[e], nodeEls[target[e]]];
  if (i === undefined) return [];
  return [nodeEls[i], ...(is === "forward" ? incoming[i].slice(0, 8).map((each) => nodeEls[source[each]]) : [])];
}

/** Show a position. */
function go(to) {
  const p = Math.min(Math.max(to, 0), last);
  if (p === position) return;
  const step = stepAt(p);
  const [where, what, said] = words(p);
  position = p;
  reveal(around(step));
  draw(p);
  tell(p);
  markForward(p);
  markBackward(p);
  offer(step);
  slider.value = p;
  slider.setAttribute("aria-valuetext", `${where}: ${what}`);
  for (const [id, end] of [["first", 0], ["back", 0], ["forward", last], ["last", last]]) set(id, "aria-disabled", p === end);
  set("to-forward", "aria-pressed", !hasPass || p < start);
  set("to-backward", "aria-pressed", hasPass && p >= start);
  clearTimeout(speech); // of many steps in a row, only the last is read out
  speech = setTimeout(() => { $("live").textContent = `${where}. ${what}: ${said}`; }, 150);
  if (p === last) pause();
}

/** Show the same position with other numbers. */
function showAgain() {
  const [where, what] = words(position);
  draw(position, true);
  tell(position);
  clearTimeout(tables); // which are long: when the input rests
  tables = setTimeout(() => {
    markForward(position, true);
    markBackward(position, true);
  }, 150);
  sayAgain();
  slider.setAttribute("aria-valuetext", `${where}: ${what}`);
}

function pause() {
  clearTimeout(timer);
  classList.remove("playing");
  set("play", "title", "Play (space)");
}

function play() {
  classList.add("playing");
  set("play", "title", "Pause (space)");
  timer = setTimeout(() => {
    go(position + 1);
    if (classList.contains("playing")) play();
  }, 1600 / $("speed").value);
}

function jump(p) {
  pause();
  go(p);
}

function toggle() {
  if (classList.contains("playing")) pause();
  else {
    if (position === last) go(start);
    play();
  }
}

const night = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (dataset.theme === "auto" ? night.matches : dataset.theme === "dark");
const showTheme = () => set("theme", "aria-pressed", isDark());

const actions = {
  play: toggle,
  first: () => jump(0),
  back: () => jump(position - 1),
  forward: () => jump(position + 1),
  last: () => jump(last),
  "to-forward": () => jump(0),
  "to-backward": () => jump(start),
  "zoom-in": () => zoom(1.3, undefined, undefined, true),
  "zoom-out": () => zoom(1 / 1.3, undefined, undefined, true),
  fit() {
    chosen = true;
    fit();
  },
  follow() {
    follows = !follows;
    chosen = false;
    set("follow", "aria-pressed", follows);
    reveal(around(stepAt(position)));
  },
  theme() {
    dataset.theme = isDark() ? "light" : "dark";
    $("dark").media = isDark() ? "screen" : "not all";
    showTheme();
  },
  ask: () => $("help").showModal(),
  search: () => search.focus(),
};
const keys = {
  ArrowRight: "forward", ArrowLeft: "back", Home: "first", End: "last", " ": "play", "+": "zoom-in", "=": "zoom-in",
  "-": "zoom-out", 0: "fit", "/": "search", f: "follow", t: "theme", "?": "ask",
};

Object.keys(actions).forEach((id) => on($(id), "click", actions[id]));
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
slider.max = last;
$("to-backward").disabled = !hasPass;
startInputs();
fit(false);
go(start);
showTheme();
if (inputRows.length) {
  recompute();
  fromLink();
}
new ResizeObserver(() => {
  if (!chosen && fitScale() >= READABLE) fit(false);
  reveal(around(stepAt(position)));
}).observe(stage);
