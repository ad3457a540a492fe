// The picture computed anew: the program of the graph, run at other inputs, and what the picture shows of its numbers.
// The columns of model.js are filled in, texts and looks of nodes and edges follow; which step it is does not matter.

const isLive = typeof live === "object";
const numbers = new Float64Array(isLive ? Math.max(...live.places) + 1 : 0);
const at = (k) => numbers[live.places[k]];
const valueOf = (i) => at(i);
const gradientOf = (i) => at(live.count + i);
const localOf = (e) => at(2 * live.count + e);
const broughtBy = (e) => at(2 * live.count + live.edges + e);
const slopeOf = (input) => at(2 * (live.count + live.edges) + input);
const MARKS = { pos: " (+)", neg: " (−)", zero: " (0)", bad: " ⚠" };
const EDGE_LOOKS = ["pos", "neg", "zero", "bad", "mixed", "none", "constant"];
const LOOKS = ["none", "bad", "vanishing", "exploding", "usual"];
const SHADES = ["m6", "m5", "m4", "m3", "m2", "m1", "p0", "p1", "p2", "p3"];
const recorded = isLive ? columns.map((column) => [...column]) : null;
const firsts = recorded && { local: local.map(brief), value: value.map(brief), brought: brought.map((x) => (x === null ? "" : signed(x))) };
const tails = new Map(); // of each text that ends in a number: the piece that does, and the number
const parts = []; // of each edge that was drawn anew: its arrow, its texts, its sign, the text that ends in a number

const listed = (edges) => (Array.isArray(edges) ? edges : [edges]);

/** Smallest and largest; nan wins. */
function range(all) {
  const odd = all.find(Number.isNaN);
  return odd === undefined ? [Math.min(...all), Math.max(...all)] : [odd, odd];
}

// ---- the columns -----------------------------------------------------------------------------------------------------

// Run the program, and write its numbers into the columns; as they were recorded, if these are the recorded inputs.
// Returns whether another graph would be recorded, for all that the program knows.
function renew(x, isRecorded) {
  const status = compute(x, numbers);
  name.forEach((_, i) => {
    const members = live.node[i];
    if (isBlock(i)) {
      if (nodes.gradient[i] !== null) nodes.gradient[i] = range(members.map((k) => Math.abs(gradientOf(k))));
      return;
    }
    value[i] = valueOf(members);
    if (nodes.gradient[i] !== null) nodes.gradient[i] = gradientOf(members);
  });
  source.forEach((_, e) => {
    const own = live.edge[e];
    if (!Array.isArray(own)) local[e] = localOf(own);
    if (upstream(e) !== null) edges.upstream[e] = nodes.gradient[target[e]];
    if (brought[e] !== null) brought[e] = Array.isArray(own) ? range(own.map(broughtBy)) : broughtBy(own);
  });
  addUp();
  if (isRecorded) columns.forEach((column, at) => recorded[at].forEach((x, k) => { column[k] = x; }));
  restyle();
  return status;
}

/** The sum at every node after each turn, as replay.py makes it. */
function addUp() {
  arrivals.forEach((turns, i) => {
    if (isBlock(i) || !turns.length) return;
    const [own, hidden] = live.before[i] || [];
    let sum = own === undefined ? undefined : hidden.reduce((all, e) => all + broughtBy(e), parsed(own));
    if (nodes.before[i]) nodes.before[i][0] = sum;
    turns.forEach((k, n) => {
      for (const e of listed(live.edge[backward.edge[k]])) sum = sum === undefined ? broughtBy(e) : sum + broughtBy(e);
      if (running(k) !== null) backward.running[k] = n === turns.length - 1 ? nodes.gradient[i] : sum;
    });
  });
}

// ---- the picture -----------------------------------------------------------------------------------------------------

/** An attribute, set only where it changes: of most elements it does not. */
function put(el, key, to) {
  if (el.getAttribute(key) !== to) el.setAttribute(key, to);
}

/** Write another number in the place of the first, at the end of a text; a sign may stand behind it. Whether it has one. */
function writeTail(el, first, number) {
  if (!tails.has(el)) {
    const texts = document.createTreeWalker(el, NodeFilter.SHOW_TEXT);
    let last = null;
    while (texts.nextNode()) if (!texts.currentNode.parentNode.matches("tspan.b")) last = texts.currentNode;
    tails.set(el, last && last.data.endsWith(first) ? { last, shown: first } : null);
  }
  const tail = tails.get(el);
  if (!tail || tail.shown === number) return Boolean(tail);
  tail.last.data = tail.last.data.slice(0, -tail.shown.length) + number;
  tail.shown = number;
  return true;
}

function productOf([e, k]) {
  return `${shown(gradientOf(k))} × ${shown(localOf(e))} = ${signed(broughtBy(e))}`;
}

/** What the lines of a node say when all is over. */
function restyleNode(i) {
  const members = live.node[i];
  if (kind[i] === "c") {
    writeTail(nodeEls[i].querySelector("text"), firsts.value[i], brief(value[i]));
    return;
  }
  const card = cardOf(i);
  if (!isBlock(i)) card[1].end = brief(value[i]);
  if (nodes.gradient[i] !== null) card[gradientAt(card)].end = brief(nodes.gradient[i]);
  (live.rows[i] || []).forEach((lines, row) => {
    const sum = lines.reduce((all, [e]) => all + broughtBy(e), 0);
    const line = card[2 * row + 3];
    line.end = lines.length > 1 ? signed(sum) : productOf(lines[0]);
    const look = `v ${sign(sum)}`;
    if (line.look !== look) line.el.setAttribute("class", line.el.matches(".wait") ? `${look} wait` : look);
    line.look = look;
  });
  const sizes = nodes.gradient[i] !== null ? listed(members).map((k) => Math.abs(gradientOf(k))) : [];
  const size = sizes.length ? range(sizes)[1] : NaN;
  const isBad = sizes.some((x) => !Number.isFinite(x)) || (!isBlock(i) && !Number.isFinite(valueOf(members)));
  const look = isBad ? "bad" : !sizes.length ? "none" : size > 0 && size < 1e-6 ? "vanishing" : size > 1e3 ? "exploding" : "usual";
  const shade = size > 0 ? SHADES[size < 1e-6 ? 0 : Number.isFinite(size) ? Math.min(Math.round(Math.log10(size)), 3) + 6 : 9] : "";
  const { classList } = nodeEls[i];
  if (classList.contains(look) && (!shade || classList.contains(shade))) return;
  classList.remove(...LOOKS, ...SHADES);
  classList.add(...[look, shade].filter(Boolean));
  outline(nodeEls[i], look === "exploding");
}

/** A second frame around what explodes. */
function outline(el, isThere) {
  const found = el.querySelector("rect.o");
  if (found && !isThere) found.remove();
  if (found || !isThere) return;
  const rect = [...el.querySelectorAll("rect")].pop();
  const frame = rect.cloneNode();
  for (const [key, by] of [["x", -3], ["y", -3], ["width", 6], ["height", 6], ["rx", 3]]) frame.setAttribute(key, Number(frame.getAttribute(key)) + by);
  frame.setAttribute("class", "o");
  rect.before(frame);
}

function partsOf(e) {
  if (parts[e]) return parts[e];
  const el = edgeEls[e];
  const head = el.querySelector(".a");
  const [x1, y1, x2, y2, x3, y3] = head.getAttribute("d").match(/-?(?:\d+\.?\d*|\.\d+)/g).map(Number);
  const texts = el.querySelectorAll("text");
  parts[e] = {
    line: lineOf(e), head, texts,
    mark: texts.length ? texts[0].querySelector("tspan.b") : null,
    look: EDGE_LOOKS.find((each) => el.classList.contains(each)),
    tip: [x2, y2], base: [(x1 + x3) / 2, (y1 + y3) / 2], across: [(x1 - x3) / 2, (y1 - y3) / 2],
  };
  return parts[e];
}

/** The look of an edge by what it brings, and how wide it is. */
function restyleEdge(e, largest) {
  const part = partsOf(e);
  const { texts, mark } = part;
  const own = live.edge[e];
  const all = brought[e] !== null ? listed(own).map(broughtBy) : [];
  if (all.length && part.look !== "constant") {
    const was = part.look;
    part.look = sign(all);
    if (was !== part.look) edgeEls[e].classList.replace(was, part.look);
    widen(part, 1 + 3 * Math.sqrt(Math.max(0, ...all.map(Math.abs).filter(Number.isFinite)) / (largest || 1)));
  }
  if (!texts.length) return;
  texts.forEach((el) => el.removeAttribute("textLength"));
  if (mark && MARKS[part.look]) {
    if (mark.textContent !== MARKS[part.look]) mark.textContent = MARKS[part.look];
    put(mark, "class", `b ${part.look}`);
  }
  if (Array.isArray(own)) return;
  const isContribution = live.labels === "contribution";
  const number = !isContribution ? brief(local[e]) : all.length ? signed(all[0]) : firsts.brought[e];
  if (writeTail(texts[0], (isContribution ? firsts.brought : firsts.local)[e], number) && isContribution) put(texts[0], "class", `e ${part.look}`);
  if (live.labels === "full" && all.length) {
    const says = productOf([own, live.node[target[e]]]);
    if (texts[1].textContent !== says) texts[1].textContent = says;
    put(texts[1], "class", `e ${part.look}`);
  }
}

/** A line as wide as that, and its arrow. */
function widen(part, pen) {
  if (Math.abs(pen - part.pen) < 0.005) return;
  const { line, head, tip, base, across: [nx, ny] } = part;
  const half = (2.4 + pen * 0.7) / (Math.hypot(nx, ny) || 1);
  const corner = (s) => `${(base[0] + s * half * nx).toFixed(1)},${(base[1] + s * half * ny).toFixed(1)}`;
  line.setAttribute("stroke-width", pen.toFixed(2));
  head.setAttribute("d", `M${corner(1)}L${tip}L${corner(-1)}Z`);
  part.pen = pen;
}

function restyle() {
  let largest = 0;
  source.forEach((_, e) => {
    if (brought[e] !== null) listed(live.edge[e]).map(broughtBy).filter(Number.isFinite).forEach((x) => { largest = Math.max(largest, Math.abs(x)); });
  });
  name.forEach((_, i) => restyleNode(i));
  source.forEach((_, e) => restyleEdge(e, largest));
}
