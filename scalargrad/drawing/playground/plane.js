// The plane, large: one unit's map, the line where it changes sign, and the points over it.

const plane = $("plane");
const visible = { train: true, test: true };

const across = (set, x, size) => ((x - set.region[0]) / (set.region[1] - set.region[0])) * size;
const down = (set, y, size) => ((set.region[3] - y) / (set.region[3] - set.region[2])) * size;

/** Show a unit's field, the points, and the point that is asked about. */
function drawPlane(set, weights, fields, shown, probe) {
  const size = Math.max(60, Math.round(plane.clientWidth * devicePixelRatio));
  if (plane.width !== size) plane.width = plane.height = size;
  const context = plane.getContext("2d");
  const range = levels(set, fields, shown);
  paintField(context, fields[shown], range, size, colours.large, Math.round(7 * devicePixelRatio));
  const unit = size / (GRID - 1);
  context.lineWidth = 2.4 * devicePixelRatio;
  context.lineCap = "round";
  context.strokeStyle = colours.ink;
  context.beginPath();
  crossings(fields[shown], range[0], ([x1, y1], [x2, y2]) => {
    context.moveTo(x1 * unit, y1 * unit);
    context.lineTo(x2 * unit, y2 * unit);
  });
  context.stroke();
  const out = new Float64Array(fields.length);
  if (visible.test) drawPoints(context, set, weights, set.test, false, size, out);
  if (visible.train) drawPoints(context, set, weights, set.train, true, size, out);
  if (probe) drawProbe(context, across(set, probe[0], size), down(set, probe[1], size), size);
}

/** The path of a point: a circle above the threshold, a diamond below. */
function outline(context, isAbove, x, y, radius) {
  context.beginPath();
  if (isAbove) context.arc(x, y, radius, 0, 7);
  else {
    const r = radius * 1.25;
    [[0, -r], [r, 0], [0, r], [-r, 0]].forEach(([dx, dy]) => context.lineTo(x + dx, y + dy));
    context.closePath();
  }
}

/** The points, filled for training. Those that are taken for the other class stand out. */
function drawPoints(context, set, weights, points, filled, size, out) {
  const radius = 3.1 * devicePixelRatio * Math.max(0.8, Math.min(1.2, plane.clientWidth / 400));
  for (let i = 0; i < points.length; i += 3) {
    const isAbove = points[i + 2] > set.threshold;
    const [x, y] = [across(set, points[i], size), down(set, points[i + 1], size)];
    const colour = isAbove ? colours.pos : colours.neg;
    outline(context, isAbove, x, y, radius);
    [context.fillStyle, context.strokeStyle] = filled ? [colour, colours.page] : [colours.page, colour];
    context.lineWidth = (filled ? 0.9 : 1.6) * devicePixelRatio;
    context.fill();
    context.stroke();
    if (!isWrong(set, weights, points, i, out)) continue;
    outline(context, true, x, y, radius * 1.9);
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.4 * devicePixelRatio;
    context.stroke();
  }
}

function drawProbe(context, x, y, size) {
  context.strokeStyle = colours.ink;
  context.lineWidth = devicePixelRatio;
  context.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  context.stroke(new Path2D(`M${x},0V${size}M0,${y}H${size}`));
  context.setLineDash([]);
}

/** Round numbers from low to high, so many and one more at the most. */
function roundNumbers(low, high, most = 6) {
  if (!(high > low)) return [high];
  const step = roundUp((high - low) / most);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k += 1) found.push(k * step);
  return found;
}

function mark(x, side, place) {
  const el = make("span", "", number(x));
  el.style[side] = `${place}%`;
  return el;
}

/** The numbers beside the plane's edges. */
function drawScales(set) {
  const [left, right, bottom, top] = set.region;
  $("along").replaceChildren(...roundNumbers(left, right).map((x) => mark(x, "left", across(set, x, 100))));
  $("up").replaceChildren(...roundNumbers(bottom, top).map((y) => mark(y, "top", down(set, y, 100))));
  $("along-name").replaceChildren(...indexed(set.axes[0]));
  $("up-name").replaceChildren(...indexed(set.axes[1]));
}

/** A small picture of a set's points, for its card. */
function drawThumbnail(canvas, set) {
  const size = (canvas.width = canvas.height = 112);
  const context = canvas.getContext("2d");
  for (let i = 0; i < set.train.length; i += 3) {
    const isAbove = set.train[i + 2] > set.threshold;
    context.fillStyle = isAbove ? colours.pos : colours.neg;
    outline(context, isAbove, across(set, set.train[i], size), down(set, set.train[i + 1], size), 3.2);
    context.fill();
  }
}
