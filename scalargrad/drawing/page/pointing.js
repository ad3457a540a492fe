// Pointing at the picture with a mouse, a finger or the keyboard: an edge or node shows its numbers in full. Tab reaches
// one element of the picture; from there, the keys up and down go from edge to edge, in the order of their turns.

const tip = $("tip");
const order = [...backward.edge, ...source.map((_, e) => e).filter((e) => !turn[e])];
const rank = [];
order.forEach((e, k) => { rank[e] = k; });
let tipOf = null; // the element that the tip is about
let stop = null; // the one that Tab reaches

function about({ dataset: { edge: e, node: i } }) {
  if (i !== undefined) {
    const head = (nodes.label[i] || name[i]) + (formula[i] ? `${isBlock(i) ? ": " : " = "}${formula[i]}` : "");
    const has = nodes.gradient[i] !== null ? `${isBlock(i) ? "|gradient|" : "gradient"} ${full(nodes.gradient[i])}` : "no gradient yet";
    return [head, value[i] !== null && `value ${full(value[i])}`, kind[i] === "c" ? "a constant" : has, $(`inside-${i}`) && "click or Enter: what runs inside"];
  }
  const head = `${name[source[e]]} → ${name[target[e]]}, `;
  if (e in merged) return [head + plural(merged[e], "edge"), brought[e] !== null && `contributions ${full(brought[e])}`];
  const line = `local ${noted(e)}${full(local[e])}`;
  const where = `${head}operand ${slot[e] + 1}`;
  if (brought[e] === null) return [where, line, kind[source[e]] === "c" ? `${name[source[e]]} is a constant` : "no gradient yet"];
  return [
    where,
    `${brief(upstream(e))} × ${brief(local[e])} = ${signed(brought[e])}`,
    `upstream ${full(upstream(e))} × ${line} = ${full(brought[e])}`,
  ];
}

function hush() {
  if (tipOf) tipOf.classList.remove("hot");
  tipOf = null;
  tip.hidden = true;
}

function tellTip() {
  const [head, ...lines] = about(tipOf);
  tip.replaceChildren(make("b", "", head), ...lines.filter(Boolean).map((line) => make("div", "", line)));
}

function tipFor(el, { x, y }) {
  if (tipOf !== el) {
    hush();
    tipOf = el;
    el.classList.add("hot");
    tellTip();
    tip.hidden = false;
  }
  tip.style.left = `${Math.max(6, Math.min(x + 14, stage.clientWidth - tip.offsetWidth - 6))}px`;
  const below = y + 18 + tip.offsetHeight < stage.clientHeight;
  tip.style.top = `${below ? y + 18 : Math.max(6, y - tip.offsetHeight - 12)}px`;
}

/** Say the same again of other numbers. */
function sayAgain() {
  if (stop) setStop(stop);
  if (tipOf) tellTip();
}

function setStop(el) {
  if (stop) stop.setAttribute("tabindex", -1);
  stop = el;
  el.setAttribute("tabindex", 0);
  el.setAttribute("role", "img");
  el.setAttribute("aria-label", about(el).filter(Boolean).join("; "));
}

function focusOn(el) {
  setStop(el);
  reveal([el], true);
  el.focus({ preventScroll: true });
}

/** The element whose turn it is becomes the one that Tab reaches, unless somebody is at another. */
function offer({ i = 0, e }) {
  if (!stop || stop !== document.activeElement) setStop(e === undefined ? nodeEls[i] : edgeEls[e]);
}

/** What runs inside of a node, where something does. */
const insideOf = ({ dataset: { node: i } }) => $(`inside-${i}`);

const partAt = (event) => event.target.closest("[data-edge],[data-node]");

on(stage, "pointermove", (event) => {
  const el = !event.buttons && partAt(event);
  if (el) tipFor(el, inStage(event));
  else hush();
});
on(stage, "pointerleave", hush);
on(stage, "focusout", hush);
on(stage, "focusin", (event) => {
  const el = partAt(event);
  if (!el || !el.matches(":focus-visible")) return;
  const box = (el.querySelector(".l") || el).getBoundingClientRect();
  tipFor(el, inStage({ clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
});
on(stage, "click", (event) => {
  const el = partAt(event);
  if (!el || travelled > 4) return;
  setStop(el);
  el.focus({ preventScroll: true });
  tipFor(el, inStage(event));
  if (turn[el.dataset.edge]) jump(turn[el.dataset.edge]);
  if (insideOf(el)) insideOf(el).showModal();
});
on(stage, "keydown", (event) => {
  const el = partAt(event);
  if (!el) return;
  const { edge: e, node: i } = el.dataset;
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by && order.length) {
    event.preventDefault();
    const near = i && (by > 0 ? [...incoming[i], ...outgoing[i]] : [...outgoing[i], ...incoming[i]]);
    const k = i ? rank[near[0]] || 0 : rank[e] + by;
    focusOn(edgeEls[order[(k + order.length) % order.length]]);
  } else if (event.key === "Enter" && insideOf(el)) {
    event.preventDefault(); // or the key would press the dialog's button
    insideOf(el).showModal();
  } else if (event.key === "Enter" && (turn[e] || computed[i])) jump(turn[e] || computed[i]);
  else if (event.key === "Escape") hush();
});

// ---- search ----------------------------------------------------------------------------------------------------------

const search = $("search");
const list = $("found");
const plain = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f\u2066-\u2069]/g, "").toLowerCase();
let searched = null; // the text of each node in which to look
let matches = [];
let active = 0;

function activate(at) {
  active = at;
  [...list.children].forEach((li, k) => li.setAttribute("aria-selected", k === at && k < matches.length));
  search.setAttribute("aria-activedescendant", matches.length ? `found-${at}` : "");
}

function close() {
  list.hidden = true;
  search.setAttribute("aria-expanded", false);
}

function choose() {
  if (!matches.length) return;
  close();
  focusOn(nodeEls[matches[active]]);
}

function look() {
  const wanted = plain(search.value.trim());
  searched = searched || name.map((each, i) => plain(`${each}\n${nodes.label[i] || ""}`));
  const worth = (i) => (searched[i] === `${wanted}\n` ? 0 : searched[i].startsWith(wanted) ? 1 : 2);
  matches = searched.map((_, i) => i).filter((i) => searched[i].includes(wanted))
    .sort((a, b) => worth(a) - worth(b) || a - b).slice(0, 8);
  const rows = matches.map((i) => make("li", "", make("b", "", name[i]), formula[i] && ` = ${formula[i]}`));
  list.replaceChildren(...(rows.length ? rows : [make("li", "none", "no node of this name")]));
  [...list.children].forEach((li, k) => Object.assign(li, { id: `found-${k}` }).setAttribute("role", "option"));
  list.hidden = !wanted;
  search.setAttribute("aria-expanded", !list.hidden);
  activate(0);
}

on(list, "pointerdown", (event) => {
  event.preventDefault(); // the field keeps the focus until a node has it
  activate([...list.children].indexOf(event.target.closest("li")));
  choose();
});
on(search, "input", look);
on(search, "blur", close);
on(search, "keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by && matches.length) activate((active + by + matches.length) % matches.length);
  else if (event.key === "Enter") {
    if (list.hidden) look();
    choose();
  } else if (event.key === "Escape") close();
  else return;
  event.preventDefault();
});
