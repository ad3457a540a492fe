// What the network computes, in the browser, on the weights that were recorded, with `activations`, the compiled ones by
// name. Nothing here knows of the page, so that a test can ask it for numbers.
//
// A network is { sizes, activations }: units by layer, inputs first; and the activation of each layer after the inputs.
// Its weights come neuron by neuron, the bias last. Its inputs are the coordinates, or `features`, functions of them.

/** Numbers from the bytes of doubles, in base 64. */
const doubles = (text) => new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

const one = new Float64Array(1);

/** The weights of each epoch, of those of all. */
function framesOf({ sizes, epochs }, all) {
  const count = sizes.slice(1).reduce((sum, n, k) => sum + n * (sizes[k] + 1), 0);
  return epochs.map((_, k) => all.subarray(k * count, (k + 1) * count));
}

/** What every unit gives at a point, inputs first, into `out`. */
function outputs({ sizes, activations: names, features }, weights, x1, x2, out) {
  [out[0], out[1]] = [x1, x2];
  if (features) features.forEach((f, k) => { out[k] = f(x1, x2); });
  let from = 0; // the layer before
  let to = sizes[0]; // this layer
  let w = 0;
  for (let k = 1; k < sizes.length; k += 1) {
    const act = activations[names[k - 1]];
    for (let j = 0; j < sizes[k]; j += 1) {
      one[0] = 0;
      for (let i = from; i < to; i += 1) {
        one[0] += out[i] * weights[w];
        w += 1;
      }
      one[0] += weights[w];
      out[to + j] = act(one, one) ? NaN : one[0];
      w += 1;
    }
    from = to;
    to += sizes[k];
  }
  return out;
}

/** Every unit's output over the region, at n x n points from the upper left: what it makes of the plane. */
function fieldsOf(network, weights, [left, right, bottom, top], n) {
  const units = network.sizes.reduce((a, b) => a + b);
  const fields = Array.from({ length: units }, () => new Float64Array(n * n));
  const out = new Float64Array(units);
  for (let row = 0; row < n; row += 1) {
    const y = top + ((bottom - top) * row) / (n - 1);
    for (let column = 0; column < n; column += 1) {
      outputs(network, weights, left + ((right - left) * column) / (n - 1), y, out);
      for (let u = 0; u < units; u += 1) fields[u][row * n + column] = out[u];
    }
  }
  return fields;
}

/** How many points, given as x1, x2, target in turn, are taken for the other class. */
function wrongOf(network, weights, points) {
  const out = new Float64Array(network.sizes.reduce((a, b) => a + b));
  let wrong = 0;
  for (let i = 0; i < points.length; i += 3) wrong += isWrong(network, weights, points, i, out);
  return wrong;
}

function isWrong(network, weights, points, i, out) {
  outputs(network, weights, points[i], points[i + 1], out);
  const y = out[out.length - 1];
  return Number.isNaN(y) || y > network.threshold !== points[i + 2] > network.threshold;
}
