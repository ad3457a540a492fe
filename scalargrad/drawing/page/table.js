// The steps as tables: the same story for who cannot see the picture. A long one shows the rows around the current step.

const ROWS = 200;
const cell = (x) => full(x) || DASH;

function forwardRow(k) {
  const i = forward[k];
  const operands = incoming[i].slice(0, 8).map((e) => {
    const j = source[e];
    return value[j] === null ? name[j] : `${name[j]} = ${full(value[j])}`;
  });
  if (incoming[i].length > 8) operands.push(`and ${incoming[i].length - 8} more`);
  return [`${name[i]}${isBlock(i) ? ": " : " = "}${formula[i]}`, operands.join(", "), cell(value[i])];
}

function backwardRow(k) {
  const e = backward.edge[k];
  const i = source[e];
  const row = e in merged
    ? [plural(merged[e], "edge"), DASH, DASH]
    : [`operand ${slot[e] + 1}`, cell(upstream(e)), noted(e) + full(local[e])];
  row[0] = `${name[target[e]]} to ${name[i]}, ${row[0]}`;
  return [...row, cell(brought[e]), isBlock(i) ? DASH : cell(running(k)), `${backward.arrived[k]} of ${due(i)}`];
}

const buttonOf = (tr) => tr.querySelector("button");

function makeTable(place, first, count, cells) {
  const body = place.querySelector("tbody");
  const pager = place.querySelector(".pager");
  let chunk = -1;

  function turnTo(next) {
    chunk = next;
    const from = chunk * ROWS;
    const to = Math.min(from + ROWS, count);
    body.replaceChildren(...Array.from({ length: to - from }, (_, at) => {
      const texts = cells(from + at);
      const button = make("button", "", from + at + 1);
      button.tabIndex = at ? -1 : 0;
      button.setAttribute("aria-label", `Go to step ${from + at + 1}: ${texts[0]}`);
      const tr = make("tr", "", make("td", "", button), ...texts.map((text, c) => make("td", c ? "number" : "", text)));
      tr.dataset.p = first + from + at;
      tr.setAttribute("aria-rowindex", from + at + 2);
      return tr;
    }));
    pager.hidden = count <= ROWS;
    pager.children[1].textContent = `Steps ${from + 1} to ${to} of ${count.toLocaleString("en")}`;
  }

  function reach(tr) {
    body.querySelectorAll('[tabindex="0"]').forEach((el) => { el.tabIndex = -1; });
    buttonOf(tr).tabIndex = 0;
  }

  on(body, "click", (event) => jump(Number(event.target.closest("tr").dataset.p)));
  on(body, "keydown", (event) => {
    const tr = event.target.closest("tr");
    const next = { ArrowDown: tr.nextElementSibling, ArrowUp: tr.previousElementSibling }[event.key];
    if (!next) return;
    event.preventDefault();
    reach(next);
    buttonOf(next).focus();
  });
  on(pager, "click", (event) => {
    const next = chunk + Number(event.target.dataset.turn || 0);
    if (next !== chunk && next >= 0 && next * ROWS < count) turnTo(next);
  });
  place.querySelector("table").setAttribute("aria-rowcount", count + 1);
  place.hidden = !count;
  if (count) turnTo(0);

  return (p, isAgain) => {
    const k = p - first;
    if (isAgain && count) turnTo(chunk);
    const isHere = k >= 0 && k < count;
    if (isHere && Math.floor(k / ROWS) !== chunk) turnTo(Math.floor(k / ROWS));
    markRow(body, isHere && body.children[k % ROWS]);
    if (isHere) reach(body.children[k % ROWS]);
  };
}

const markForward = makeTable($("forward-steps"), 1, forward.length, forwardRow);
const markBackward = makeTable($("backward-steps"), start + 1, hasPass ? backward.edge.length : 0, backwardRow);
