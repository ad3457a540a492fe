// The player: one position, and everything that shows it.

const set = (id, attribute, to) => $(id).setAttribute(attribute, to);
let position = -1;
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
  showPosition(p, last, `${where}: ${what}`);
  set("to-forward", "aria-pressed", !hasPass || p < start);
  set("to-backward", "aria-pressed", hasPass && p >= start);
  say(`${where}. ${what}: ${said}`);
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

const here = () => position;
const pace = () => 1600;
const rewind = () => { if (position === last) go(start); };
const repaint = () => {};

listen({
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
  search: () => search.focus(),
}, { "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", 0: "fit", "/": "search", f: "follow" });
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
