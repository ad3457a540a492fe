// All that is drawn, as tables: epochs with their losses, and the weights of the epoch that is shown.

const epochRows = $("epochs").querySelector("tbody");
const weightRows = $("weights").querySelector("tbody");

const cell = (text, kind = "") => make("td", kind, text);

/** The rows of epochs that have none yet; those that are no more go. */
function addRows(set) {
  while (epochRows.children.length > set.epochs.length) epochRows.lastChild.remove();
  const first = epochRows.children.length;
  epochRows.append(...set.epochs.slice(first).map((epoch, k) => {
    const frame = first + k;
    const button = make("button", "", String(epoch));
    const losses = [set.trainLoss, set.testLoss].map((each) => cell(each.length ? number(each[frame]) : DASH, "number"));
    const wrong = [set.train, set.test].map((points) =>
      cell(points.length ? `${wrongOf(set, set.frames[frame], points)} of ${points.length / 3}` : DASH, "number"));
    const row = make("tr", "", make("td", "", button), losses[0], losses[1], wrong[0], wrong[1]);
    on(row, "click", () => jump(frame));
    return row;
  }));
}

/** Mark the frame's row, and fill in its weights. */
function drawTables(set, frame, weights) {
  markRow(epochRows, epochRows.children[frame]);
  $("weights-title").textContent = `Weights after epoch ${set.epochs[frame]}`;
  weightRows.replaceChildren(...units.filter((unit) => unit.layer).map((unit) => {
    const n = set.sizes[unit.layer - 1];
    const numbers = [...weights.subarray(unit.at, unit.at + n + 1)];
    const name = Object.assign(make("th", "", unit.name), { scope: "row" });
    const cells = numbers.map((w, i) => {
      const text = i < n ? `${unitName(set, unit.layer - 1, i)}: ${number(w)}` : number(w);
      if (!set.live) return i < n - 1 ? `${text}   ` : text;
      const button = make("button", "", text);
      const of = i < n ? `weight to ${unit.name} from ${unitName(set, unit.layer - 1, i)}` : `bias of ${unit.name}`;
      button.setAttribute("aria-label", `${of}: ${number(numbers[i])}; change it`);
      on(button, "click", () => pull(unit.at + i, of, true));
      return button;
    });
    const [list, bias] = [make("td", "list", ...cells.slice(0, n)), cell(cells[n], "number")];
    return make("tr", "", name, cell(layerName(set, unit.layer)), list, bias);
  }));
}
