// All that is drawn, as tables: epochs with their losses, and the weights of the epoch that is shown.

const epochRows = $("epochs").querySelector("tbody");
const weightRows = $("weights").querySelector("tbody");

const cell = (text, kind = "") => make("td", kind, text);

/** A row for every epoch of a set. */
function buildTables(set) {
  const size = weightCount(set.sizes);
  epochRows.replaceChildren(...set.epochs.map((epoch, frame) => {
    const button = make("button", "", String(epoch));
    on(button, "click", () => jump(frame));
    const losses = [set.trainLoss, set.testLoss].map((each) => cell(each.length ? number(each[frame]) : "—", "number"));
    const wrong = [set.train, set.test].map((points) =>
      cell(points.length ? `${wrongOf(set, frame * size, points)} of ${points.length / 3}` : "—", "number"));
    const row = make("tr", "", make("td", "", button), losses[0], losses[1], wrong[0], wrong[1]);
    on(row, "click", () => jump(frame));
    return row;
  }));
}

/** Mark the frame's row, and fill in its weights. */
function drawTables(set, frame, at) {
  for (const row of epochRows.querySelectorAll("[aria-current]")) row.removeAttribute("aria-current");
  const row = epochRows.children[frame];
  row.setAttribute("aria-current", "true");
  const room = $("epochs").parentElement;
  if (row.offsetTop < room.scrollTop + 30 || row.offsetTop + row.offsetHeight > room.scrollTop + room.clientHeight) {
    room.scrollTop = row.offsetTop - room.clientHeight / 2;
  }
  $("weights-title").textContent = `Weights after epoch ${set.epochs[frame]}`;
  weightRows.replaceChildren(...units.filter((unit) => unit.layer).map((unit) => {
    const n = set.sizes[unit.layer - 1];
    const numbers = [...set.weights.subarray(at + unit.at, at + unit.at + n + 1)];
    const weights = numbers.slice(0, n).map((w, i) => `${unitName(set, unit.layer - 1, i)}: ${number(w)}`).join("   ");
    const name = make("th", "", unit.name);
    name.scope = "row";
    return make("tr", "", name, cell(layerName(set, unit.layer)), cell(weights, "list"), cell(number(numbers[n]), "number"));
  }));
}
