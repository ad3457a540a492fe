// The picture's numbers and both passes, as data.py wrote them; what the other scripts ask about them. Instead of a number
// there can be a range, [smallest, largest], one that has changed, or null; live.js puts others in their places.
//
// Positions of the player: 0, only the inputs are known; from 1 on, a value is computed at each; then, where there was
// a backward pass, `start`, where it begins, and from there on an edge has its turn at each.

// A large picture and its numbers come packed, so that the file stays small.
if ($("packed")) {
  const bytes = Uint8Array.from(atob($("packed").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  [$("world").innerHTML, $("data").textContent] = (await new Response(stream).text()).split("\0");
}

/** A number as `write` has it; nothing for null. */
function spelt(x, write) {
  if (x === null) return "";
  if (Array.isArray(x)) return x[0] === x[1] || Number.isNaN(x[0]) ? write(x[0]) : x.map(write).join(" … ");
  return write(x);
}

const wayOf = ({ now, before }) => (now > before ? " ↑" : now < before ? " ↓" : "");
const brief = (x) => spelt(x, (each) => (
  each.before === undefined ? shown(each) : `${shown(each.before)} → ${shown(each.now)}${wayOf(each)}`));
const full = (x) => spelt(x, (each) => (each.before === undefined ? repr(each) : `${repr(each.now)}, before ${repr(each.before)}`));

const { live, of, patterns, hasPass, roots, nodes, edges, backward } = JSON.parse($("data").textContent);
const { name, kind, formula, value } = nodes;
const { source, target, slot, notation, local, brought, merged } = edges;
const forward = [...kind].flatMap((each, i) => ("ob".includes(each) ? [i] : [])); // operations and blocks, in order
const start = hasPass ? forward.length + 1 : 0;
const last = hasPass ? start + backward.edge.length : forward.length;

const parsed = (text) => Number(text.replace("inf", "Infinity"));

/** A number of the data, where inf and nan are texts. */
function decoded(x) {
  if (Array.isArray(x)) return x.map(decoded);
  if (typeof x === "string") return parsed(x);
  return x && x.before !== undefined ? { now: decoded(x.now), before: decoded(x.before) } : x;
}

const computed = name.map(() => 0); // the position at which a node's value is known
const turn = source.map(() => 0); // the position at which an edge has its turn, or 0
const incoming = name.map(() => []); // edges, in operand order
const outgoing = name.map(() => []);
const arrivals = name.map(() => []); // turns of the backward pass
const columns = [value, nodes.gradient, local, edges.upstream, brought, backward.running];
columns.forEach((column) => column.forEach((x, k) => { column[k] = decoded(x); }));
Object.values(nodes.before).forEach((each) => { each[0] = decoded(each[0]); });
forward.forEach((i, k) => { computed[i] = k + 1; });
source.forEach((i, e) => {
  outgoing[i].push(e);
  incoming[target[e]].push(e);
});
incoming.forEach((each) => each.sort((a, b) => slot[a] - slot[b]));
backward.edge.forEach((e, k) => {
  turn[e] = start + 1 + k;
  arrivals[source[e]].push(k);
});

/** What happens at a position, to which node, by which edge; k counts within the pass. */
function stepAt(p) {
  if (p === 0 && p !== start) return { is: "inputs" };
  if (p <= forward.length && p) return { is: "forward", i: forward[p - 1], k: p };
  if (p === start) return { is: hasPass ? "begin" : "inputs", i: roots[0] };
  const k = p - start - 1;
  const e = backward.edge[k];
  return { is: "backward", i: source[e], e, k };
}

/** An operation with its operands' numbers in place of their names, as formulas.py writes it; "" if there is none. */
function worked(i) {
  if (!(i in nodes.pattern)) return "";
  const [pattern, bracketed] = patterns[nodes.pattern[i]];
  const texts = incoming[i].map((e) => brief(value[source[e]]) || DASH);
  return pattern.replace(/[\u{F0000}-\u{FFFFD}]/gu, (place) => {
    const k = place.codePointAt(0) - 0xF0000;
    return texts[k].startsWith("−") && k >= bracketed ? `(${texts[k]})` : texts[k];
  });
}

const isBlock = (i) => kind[i] === "b";
const short = (i) => nodes.short[i] || name[i];
const upstream = (e) => edges.upstream[e];
const due = (i) => nodes.due[i] || (arrivals[i].length ? 1 : 0);

/** The local gradient as it is written, where that is more than its number: "b = ". */
const noted = (e) => (notation[e] && notation[e] !== brief(local[e]) ? `${notation[e]} = ` : "");

/** The sum at the receiving node after turn k; null where folded edges do not tell it. */
const running = (k) => backward.running[k];

/** How many edges towards node i have had their turn by position p. */
function turnsOver(i, p) {
  let n = arrivals[i].length;
  while (n && start + 1 + arrivals[i][n - 1] > p) n -= 1;
  return n;
}

/** How many paths have arrived at node i by position p: an edge of a folded picture can bring several. */
function arrived(i, p) {
  const n = turnsOver(i, p);
  return n ? backward.arrived[arrivals[i][n - 1]] : (p >= start && nodes.outside[i]) || 0;
}

/** The gradient of node i at position p, or null before anything has reached it. */
function gradient(i, p) {
  if (!hasPass || p < start) return null;
  const n = turnsOver(i, p);
  if (n === arrivals[i].length) return nodes.gradient[i];
  if (n) return isBlock(i) ? null : running(arrivals[i][n - 1]);
  const [before, origin] = nodes.before[i] || [];
  return origin === "its own" ? before : null;
}

const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
