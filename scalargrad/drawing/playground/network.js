// The network: a button with its own map for every unit, and a line for every weight.

const net = $("net");
const lines = $("lines");
const THINNEST = 0.8;
const WIDEST = 9;

let units = []; // { button, canvas, value, bias, name, layer, j, at }: `at` is where its weights begin
let links = []; // { path, hit, from, to, w }

/** x1, x2; a1, a2, ... in the first layer, b1, ... in the second; y. */
function unitName(set, layer, j) {
  if (layer === 0) return set.inputs[j];
  return layer === set.sizes.length - 1 ? "y" : `${"abcdefgh"[layer - 1]}${j + 1}`;
}

const layerName = (set, layer) =>
  layer === 0 ? "Inputs" : layer === set.sizes.length - 1 ? "Output" : `Layer ${layer}`;

/** Make the buttons and lines of a set. */
function buildNetwork(set) {
  [units, links] = [[], []];
  lines.replaceChildren();
  net.querySelectorAll(".unit, .layer").forEach((el) => el.remove());
  let weight = 0;
  set.sizes.forEach((n, layer) => {
    const head = make("div", "layer", make("b", "", layerName(set, layer)));
    head.append(layer ? `${n} × ${set.activations[layer - 1]}` : `${n} numbers`);
    net.append(head);
    for (let j = 0; j < n; j += 1) {
      const name = unitName(set, layer, j);
      const canvas = make("canvas", "");
      canvas.width = canvas.height = SMALL;
      const [value, bias] = [make("span", "value"), make("span", "bias")];
      const button = make("button", "unit", canvas, make("span", "name", ...indexed(name)), value);
      if (layer) button.append(bias);
      button.type = "button";
      net.append(button);
      const unit = { button, canvas, value, bias, name, layer, j, at: weight, head };
      if (layer) weight += set.sizes[layer - 1] + 1;
      const index = units.push(unit) - 1;
      on(button, "click", () => look({ pinned: at.pinned === index ? -1 : index }));
      for (const come of ["pointerenter", "focus"]) on(button, come, () => look({ pointed: index }));
      for (const leave of ["pointerleave", "blur"]) on(button, leave, () => look({ pointed: -1 }));
    }
  });
  units.forEach((unit, to) => {
    if (!unit.layer) return;
    units.forEach((source, from) => {
      if (source.layer !== unit.layer - 1) return;
      const [path, hit] = [draws("path", {}), draws("path", { class: "hit" })];
      const link = { path, hit, from, to, w: unit.at + source.j };
      links.push(link);
      on(hit, "click", () => set.live && pull(link.w, `weight to ${unit.name} from ${source.name}`));
      on(hit, "pointerenter", () => tellLink(link));
      on(hit, "pointerleave", () => tellLink(null));
    });
  });
  lines.append(...links.map((link) => link.path), ...links.map((link) => link.hit));
  placeNetwork(set);
}

/** Columns across the room that there is. */
function placeNetwork(set) {
  const top = 46;
  const most = Math.max(...set.sizes);
  net.style.minHeight = most > 8 ? `${top + most * 43}px` : "";
  const [width, height] = [net.clientWidth, net.clientHeight];
  const gap = (width - 32) / set.sizes.length;
  lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const unit of units) {
    const n = set.sizes[unit.layer];
    const pitch = Math.min((height - top - 14) / n, 118);
    const size = Math.round(Math.max(22, Math.min(76, pitch * (n > 7 ? 0.84 : 0.7), gap * 0.5)));
    unit.button.classList.toggle("dense", size < 44);
    unit.x = 16 + gap * (unit.layer + 0.5);
    unit.y = top + (height - top) / 2 + pitch * (unit.j - (n - 1) / 2) - 4;
    unit.size = size;
    Object.assign(unit.button.style, { left: `${unit.x}px`, top: `${unit.y}px`, width: `${size}px`, height: `${size}px` });
    unit.head.style.left = `${unit.x}px`;
  }
  for (const { path, hit, from, to } of links) {
    const [a, b] = [units[from], units[to]];
    const [x1, x2] = [a.x + a.size / 2, b.x - b.size / 2];
    const bend = (x2 - x1) * 0.45;
    const d = `M${x1},${a.y}C${x1 + bend},${a.y} ${x2 - bend},${b.y} ${x2},${b.y}`;
    path.setAttribute("d", d);
    hit.setAttribute("d", d);
  }
}

/** Show the epoch's weights and maps; or, in the lines' places, other numbers: one for each weight. */
function drawNetwork(set, weights, fields, shown, others) {
  let largest = 0;
  for (const { w } of links) largest = Math.max(largest, Math.abs(others[w]));
  for (const { path, from, to, w } of links) {
    const weight = others[w];
    const share = Math.abs(weight) / (largest || 1);
    const aside = shown >= 0 && to !== shown && from !== shown;
    path.setAttribute("class", weight > 0 ? "pos" : weight < 0 ? "neg" : "zero");
    path.style.strokeWidth = Math.max(WIDEST * share * (units[from].size < 44 || units[to].size < 44 ? 0.6 : 1), THINNEST);
    path.style.opacity = (0.3 + 0.7 * share) * (aside ? 0.25 : 1);
  }
  units.forEach((unit, u) => {
    paintField(unit.canvas.getContext("2d"), fields[u], levels(set, fields, u), SMALL, colours.small, 6);
    unit.button.classList.toggle("shown", u === (shown >= 0 ? shown : units.length - 1));
    unit.button.setAttribute("aria-pressed", u === at.pinned);
    unit.button.setAttribute("aria-label", `${layerName(set, unit.layer)}: ${told(set, weights, u)}`);
    if (!unit.layer) return;
    const bias = weights[unit.at + set.sizes[unit.layer - 1]];
    unit.bias.textContent = bias > 0 ? "+" : bias < 0 ? "−" : "0";
    unit.bias.className = `bias ${bias > 0 ? "pos" : bias < 0 ? "neg" : "zero"}`;
  });
}

/** A unit in words: "a1 = tanh(0.5 x1 − 1.2 x2 + 0.3)". */
function told(set, weights, u) {
  const { name, layer, at } = units[u];
  if (!layer) return `${name}, as it is given`;
  const terms = [];
  const n = set.sizes[layer - 1];
  for (let i = 0; i <= n; i += 1) {
    const weight = weights[at + i];
    const of = i < n ? ` ${unitName(set, layer - 1, i)}` : "";
    terms.push(terms.length ? `${weight < 0 ? "−" : "+"} ${number(Math.abs(weight))}${of}` : `${number(weight)}${of}`);
  }
  const sum = terms.join(" ");
  const activation = set.activations[layer - 1];
  return activation === "identity" ? `${name} = ${sum}` : `${name} = ${activation}(${sum})`;
}

/** What every unit gives at a point of the plane; nothing where there is none. In a backward pass, the slopes too. */
function drawValues(values, slopes) {
  units.forEach(({ value, layer }, u) => {
    value.textContent = values ? number(values[u]) + (slopes && layer ? `, δ ${number(slopes[u])}` : "") : "";
    value.className = `value ${values && values[u] > 0 ? "pos" : "neg"}`;
  });
}
