// The picture at a position: which numbers are known, which edges have had their turn, which one has it now. A step
// touches the few elements that it changes; a jump, each element between the two positions once.

const stage = $("stage");
const svg = $("picture");
const nodeEls = svg.querySelectorAll(".node");
const edgeEls = svg.querySelectorAll(".edge");
const lineOf = (e) => edgeEls[e].querySelector(".l");
const stills = matchMedia("(prefers-reduced-motion: reduce)");
const cards = []; // of each node that was touched: its texts, and what they say when all is over
const [halo, pulse] = $("under").querySelectorAll("path"); // of the edges whose turn it is; apart, as it is drawn often
let drawn = -1;
let marks = [];

svg.querySelectorAll("[textLength]").forEach((el) => el.setAttribute("lengthAdjust", "spacingAndGlyphs"));
nodeEls.forEach((el, i) => { el.dataset.node = i; });
edgeEls.forEach((el, e) => {
  el.dataset.edge = e;
  const wide = lineOf(e).cloneNode(); // a thin line is hard to point at
  wide.setAttribute("class", "target");
  wide.removeAttribute("stroke-width");
  el.prepend(wide);
});

function cardOf(i) {
  if (!cards[i]) {
    cards[i] = Array.from(nodeEls[i].querySelectorAll(".k,.v"), (el) => (
      { el, end: el.textContent, own: el.textContent, wide: el.getAttribute("textLength") }));
  }
  return cards[i];
}

const gradientAt = (card) => card.findIndex(({ el }) => el.matches(".g"));

const WIDTHS = { " ": 0.278, ".": 0.278, ",": 0.278, "…": 1 }; // of letters in numbers, by the font's size
const rooms = new WeakMap(); // for the numbers behind a key, in points

/** Keep a number that is longer than it was laid out for within its box. */
function squeeze(el, says) {
  el.removeAttribute("textLength");
  if (says.length < 8 || !el.matches(".v")) return;
  if (!rooms.has(el)) {
    const { x, width } = el.previousElementSibling.getBBox();
    rooms.set(el, Number(el.getAttribute("x")) - x - width - 6);
  }
  const width = 12.3 * [...says].reduce((sum, c) => sum + (WIDTHS[c] || 0.584), 0);
  if (width <= rooms.get(el)) return;
  el.setAttribute("textLength", rooms.get(el).toFixed(1));
  el.setAttribute("lengthAdjust", "spacingAndGlyphs");
}

function write(text, says) {
  if (text.says === says) return;
  text.el.textContent = says;
  if (says === text.own && text.wide) text.el.setAttribute("textLength", text.wide);
  else squeeze(text.el, says);
  text.el.classList.toggle("wait", says === DASH);
  text.says = says;
}

function paintNode(i, p) {
  if (kind[i] === "c") return;
  const { classList } = nodeEls[i];
  const card = cardOf(i);
  const at = gradientAt(card);
  const known = computed[i] <= p;
  const has = gradient(i, p);
  const came = arrived(i, p);
  if (!isBlock(i)) write(card[1], known ? card[1].end : DASH);
  write(card[at], brief(has) || DASH);
  if (due(i) > 1 && at > 3) {
    write(card[at - 2], card[at - 2].end.replace(/^\d+/, came));
    const rows = []; // of each line: how many of its paths have arrived, of how many
    for (const k of arrivals[i]) {
      const [over, all] = rows[backward.row[k]] || [0, 0];
      rows[backward.row[k]] = [over + (start + 1 + k <= p), all + 1];
    }
    for (let row = 1; 2 * row + 1 < at - 2; row += 1) {
      const [over, all] = rows[row] || [Number(p >= start), 1]; // what comes from elsewhere is there from the start
      write(card[2 * row + 1], over === all ? card[2 * row + 1].end : over ? "…" : DASH);
    }
  }
  classList.toggle("off", !known);
  classList.toggle("blank", hasPass && (has === null || came < due(i)));
  classList.toggle("waiting", came > 0 && came < due(i));
}

function paintEdge(e, p) {
  const known = computed[target[e]] <= p;
  edgeEls[e].classList.toggle("off", !known);
  edgeEls[e].classList.toggle("later", turn[e] > p);
}

/** Show whose turn it is. */
function mark({ is, i, e }) {
  marks.forEach(([el, was]) => el.classList.remove(was));
  marks = [];
  const add = (el, as) => {
    el.classList.add(as);
    marks.push([el, as]);
  };
  const lines = is === "forward" ? incoming[i] : is === "backward" ? [e] : [];
  lines.forEach((each) => add(edgeEls[each], "now"));
  if (is === "backward") add(nodeEls[target[e]], "from");
  if (is === "begin") roots.forEach((each) => add(nodeEls[each], "to"));
  else if (i !== undefined) add(nodeEls[i], "to");
  const path = lines.map((each) => lineOf(each).getAttribute("d")).join("");
  halo.setAttribute("d", path);
  pulse.setAttribute("d", path);
  if (path && !stills.matches) {
    const ends = [{ strokeDashoffset: 0, opacity: 1 }, { strokeDashoffset: -100, opacity: 1 }];
    pulse.animate(ends, { duration: 700, easing: "ease-in-out", direction: is === "forward" ? "normal" : "reverse" });
  }
}

/** The nodes and edges that look otherwise at one of two positions. */
function between(low, high) {
  const some = new Set();
  const lines = new Set();
  for (let q = low + 1; q <= high; q += 1) {
    const { is, i, e } = stepAt(q);
    if (is === "begin") name.forEach((_, each) => (arrivals[each].length && !nodes.before[each]) || some.add(each));
    if (i !== undefined) some.add(i);
    if (is === "backward") lines.add(e);
    if (is === "forward") incoming[i].forEach((each) => lines.add(each));
  }
  return [some, lines];
}

function draw(p, isAgain = false) {
  if (isAgain) drawn = -1;
  const [some, lines] = drawn < 0 ? [name.keys(), source.keys()] : between(Math.min(drawn, p), Math.max(drawn, p));
  for (const i of some) paintNode(i, p);
  for (const e of lines) paintEdge(e, p);
  drawn = p;
  if (!isAgain) mark(stepAt(p));
}
