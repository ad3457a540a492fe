// The losses by epoch, with the epoch that is shown.

const chart = $("chart");
const PLOT = { left: 46, right: 10, top: 12, bottom: 22 };
let scaleOf = null; // from a frame and from a loss to places in the chart

/** Draw both curves of a set; on a logarithmic scale if asked for. */
function buildChart(set, logarithmic) {
  const [width, height] = [chart.clientWidth, chart.clientHeight];
  const all = [...set.trainLoss, ...set.testLoss].filter((x) => Number.isFinite(x) && (!logarithmic || x > 0));
  if (!all.length) all.push(1); // nothing can be drawn, and the epochs are there all the same
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const place = (x) => (logarithmic ? Math.log10(x) : x);
  const [bottom, top] = [logarithmic ? place(low) : Math.min(0, low), place(high)];
  const last = set.epochs.length - 1;
  const x = (frame) => PLOT.left + (frame / (last || 1)) * (width - PLOT.left - PLOT.right);
  const y = (loss) => height - PLOT.bottom - ((place(loss) - bottom) / (top - bottom || 1)) * (height - PLOT.top - PLOT.bottom);
  scaleOf = { x, y, last };
  const curve = (losses, kind) => draws("path", { class: kind, d: through(Array.from(losses, (loss, k) => [x(k), y(loss)])) });
  const grid = (logarithmic ? ticks(low, high) : roundNumbers(bottom, high, 4)).map((loss) =>
    draws("g", { class: "grid" },
      draws("path", { d: `M${PLOT.left},${y(loss)}H${width - PLOT.right}` }),
      draws("text", { x: PLOT.left - 6, y: y(loss) + 4, "text-anchor": "end" }, number(loss))));
  const first = draws("text", { x: PLOT.left, y: height - 6 }, `epoch ${set.epochs[0]}`);
  const end = draws("text", { x: width - PLOT.right, y: height - 6, "text-anchor": "end" }, set.epochs[last]);
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.replaceChildren(
    ...grid, first, end, curve(set.trainLoss, "train"), curve(set.testLoss, "test"),
    draws("path", { class: "here" }), draws("circle", { class: "train", r: 4 }), draws("circle", { class: "test", r: 4 }),
  );
}

/** Round numbers between the lowest and the highest loss, on a logarithmic scale. */
function ticks(low, high) {
  const found = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.log10(high); k += 1) {
    for (const m of high / low > 30 ? [1] : [1, 2, 5]) found.push(m * 10 ** k);
  }
  return found.filter((loss) => loss >= low && loss <= high);
}

/** Mark the frame that is shown. */
function drawChart(set, frame) {
  const height = chart.clientHeight;
  chart.querySelector(".here").setAttribute("d", `M${scaleOf.x(frame)},${PLOT.top - 4}V${height - PLOT.bottom}`);
  for (const [kind, losses] of [["train", set.trainLoss], ["test", set.testLoss]]) {
    const dot = chart.querySelector(`circle.${kind}`);
    const y = losses.length ? scaleOf.y(losses[frame]) : NaN;
    dot.setAttribute("visibility", Number.isFinite(y) ? "visible" : "hidden");
    if (!Number.isFinite(y)) continue;
    dot.setAttribute("cx", scaleOf.x(frame));
    dot.setAttribute("cy", y);
  }
}

/** The frame at a place across the chart. */
function frameAt(x) {
  const share = (x - PLOT.left) / (chart.clientWidth - PLOT.left - PLOT.right);
  return Math.round(Math.min(Math.max(share, 0), 1) * scaleOf.last);
}
