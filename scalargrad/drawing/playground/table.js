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
    const numbers = [...weights.subarray(unit.at, unit.at + n + 1)];
    const texts = numbers.map((w, i) => (i < n ? `${unitName(set, unit.layer - 1, i)}: ${number(w)}` : number(w)));
    const name = make("th", "", unit.name);
    name.scope = "row";
    const row = [name, cell(layerName(set, unit.layer))];
    if (!set.live) return make("tr", "", ...row, cell(texts.slice(0, n).join("   "), "list"), cell(texts[n], "number"));
    const buttons = texts.map((text, i) => {
      const button = make("button", "", text);
      const of = i < n ? `weight to ${unit.name} from ${unitName(set, unit.layer - 1, i)}` : `bias of ${unit.name}`;
      button.setAttribute("aria-label", `${of}: ${number(numbers[i])}; change it`);
      on(button, "click", () => pull(unit.at + i, of, true));
      return button;
    });
    return make("tr", "", ...row, make("td", "list", ...buttons.slice(0, n)), make("td", "number", buttons[n]));
  }));
}
