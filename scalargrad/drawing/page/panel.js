// What a step says: in words, for the voice of a screen reader too, and large, as upstream × local = contribution.

const TERMS = 6; // of a sum, so many are shown one by one

/** A number as shown; in full under the pointer. */
function numeral(x, className = "", text = brief(x)) {
  const el = make("span", `number ${className}`, text);
  el.title = full(x);
  return el;
}

/** The colour of a number, or of what lies between two. */
function sign(x) {
  const ends = [x.now === undefined ? x : x.now].flat();
  if (!ends.every(Number.isFinite)) return "bad";
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return low === 0 && high === 0 ? "zero" : low >= 0 ? "pos" : high <= 0 ? "neg" : "mixed";
}

const signed = (x) => (sign(x) === "pos" ? "+" : "") + brief(x);

// ---- in words --------------------------------------------------------------------------------------------------------

/** Which step it is, what happens, and the same with its numbers. */
function words(p) {
  const { is, i, e, k } = stepAt(p);
  if (is === "inputs") return ["Forward pass", "Only the inputs have values yet.", ""];
  if (is === "forward") {
    const where = `Forward pass, ${k} of ${forward.length}`;
    if (isBlock(i)) return [where, `${name[i]} is computed: ${formula[i]}, folded into one node.`, ""];
    return [where, `${name[i]} is computed`, `${[name[i], formula[i], worked(i), brief(value[i])].filter(Boolean).join(" = ")}.`];
  }
  if (is === "begin") {
    const own = roots.filter((r) => gradient(r, p) !== null).slice(0, 4);
    return [
      "Backward pass begins",
      own.length ? `with the gradient of ${own.map((r) => name[r]).join(", ")} by itself` : "outside the picture",
      own.map((r) => `${brief(gradient(r, p))}.`).join(" "),
    ];
  }
  const from = name[target[e]];
  const where = `Backward pass, ${k + 1} of ${last - start}`;
  const what = `Gradient flows from ${from} back to ${name[i]}`;
  const sum = due(i) > 1 && running(k) !== null ? ` Sum at ${name[i]}: ${brief(running(k))}.` : "";
  const said = e in merged
    ? `over ${plural(merged[e], "edge")}: ${brief(brought[e])}.`
    : `upstream ${brief(upstream(e))} × local ${noted(e)}${brief(local[e])} = ${brief(brought[e])}.`;
  return [where, what, `${said}${sum} ${progress(i, p)}`];
}

function progress(i, p) {
  const came = arrived(i, p);
  const word = isBlock(i) ? "edge" : "path";
  if (came < due(i)) {
    const left = arrivals[i].slice(turnsOver(i, p)).map((k) => name[target[backward.edge[k]]]);
    const who = [...new Set(left)];
    const shown = who.length > 3 ? `${who.slice(0, 2).join(", ")} and ${who.length - 2} more` : who.join(" and ");
    return `${came.toLocaleString("en")} of ${plural(due(i), word)} arrived; waiting for ${shown}.`;
  }
  const all = due(i) === 1 ? `The only ${word} has` : `All ${plural(due(i), word)} have`;
  if (incoming[i].some((e) => turn[e])) return `${all} arrived: the gradient of ${name[i]} can flow on.`;
  return `${all} arrived: the gradient of ${name[i]} is complete.`;
}

// ---- large -----------------------------------------------------------------------------------------------------------

/** ∂L/∂a as a fraction, or the name alone where gradients are not those of one result. */
function derivative(over, under) {
  if (!of) return caption(under);
  return make("span", "fraction", make("span", "", "∂", ...indexed(over)), make("span", "", "∂", ...indexed(under)));
}

const term = (role, head, ...figure) => make("div", "term", head, make("div", "figure", ...figure), make("div", "role", ...indexed(role)));
const caption = (text) => make("span", "caption", ...indexed(text));
const operator = (text) => make("div", "operator", text);
const written = (text) => make("span", "formula", ...indexed(text));

function equation(p) {
  const { is, i, e, k } = stepAt(p);
  if (is === "forward" && !isBlock(i)) {
    const parts = [term("operation", caption(`${name[i]} =`), written(formula[i])), operator("=")];
    if (worked(i)) parts.push(term("on its operands", "", written(worked(i))), operator("="));
    return [...parts, term("value", caption(name[i]), numeral(value[i]))];
  }
  if (is === "begin") {
    return roots.filter((r) => gradient(r, p) !== null).slice(0, 3)
      .map((r) => term("begins with", derivative(of, short(r)), numeral(gradient(r, p))));
  }
  if (is !== "backward") return [];
  const from = short(target[e]);
  const to = caption(`to ${short(i)}`);
  if (e in merged) {
    return [term(plural(backward.paths[k] || merged[e], "contribution"), to, numeral(brought[e], sign(brought[e])))];
  }
  return [
    term("upstream", derivative(of, from), numeral(upstream(e))),
    operator("×"),
    term(noted(e) ? `local = ${notation[e]}` : "local", derivative(from, short(i)), numeral(local[e])),
    operator("="),
    term("contribution", to, numeral(brought[e], sign(brought[e]), signed(brought[e]))),
  ];
}

/** The sum at the receiving node: what is there, what has just come, and a gap for each path that is awaited. */
function total(p) {
  const { i, k } = stepAt(p);
  const over = turnsOver(i, p);
  const gaps = arrivals[i].length - over;
  const [before, origin] = nodes.before[i] || [];
  const terms = arrivals[i].slice(0, over).map((each) => {
    const e = backward.edge[each];
    return [brought[e], e in merged ? plural(backward.paths[each] || merged[e], "term") : ""];
  });
  if (origin) terms.unshift([before, ""]);
  const line = [origin && origin !== "its own" ? caption(`gradient of ${short(i)}`) : derivative(of, short(i)), " = "];
  if (terms.length + gaps > 1) {
    const hidden = Math.max(terms.length - TERMS, 0);
    if (hidden) line.push(plural(hidden, "term"));
    terms.slice(hidden).forEach(([x, several], at) => {
      const first = !line[2];
      if (!first) line.push(" + ");
      const minus = brief(x).startsWith("−") && !first;
      const latest = at === terms.length - hidden - 1 ? " latest" : "";
      line.push(numeral(x, sign(x) + latest, several || (minus ? `(${brief(x)})` : brief(x))));
      if (origin && hidden + at === 0) line.push(caption(` ${origin}`));
    });
    for (let gap = 0; gap < Math.min(gaps, 3); gap += 1) line.push(" + ", make("span", "gap", "?"));
    if (gaps > 3) line.push(" + …");
    line.push(gaps ? ", so far " : " = ");
  }
  line.push(running(k) === null ? DASH : numeral(running(k), "sum"));
  return line;
}

function tell(p) {
  const { is, i } = stepAt(p);
  const [where, what, said] = words(p);
  $("where").textContent = where;
  $("what").replaceChildren(...indexed(what));
  $("equation").replaceChildren(...equation(p));
  $("equation").setAttribute("aria-label", said);
  $("sum").replaceChildren();
  $("paths").replaceChildren();
  if (is !== "backward") return;
  if (!isBlock(i)) $("sum").append(...total(p));
  if (due(i) > 1 && due(i) <= 12) {
    const dots = make("span", "dots");
    for (let k = 0; k < due(i); k += 1) dots.append(make("i", k < arrived(i, p) ? "on" : ""));
    $("paths").append(dots);
  }
  $("paths").append(make("span", arrived(i, p) < due(i) ? "waits" : "", ...indexed(progress(i, p))));
}
