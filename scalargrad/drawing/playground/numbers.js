// What the network computes, in the browser: the same formulas as the library's, on the weights that were recorded.
// Nothing here knows of the page, so that a test can ask it for numbers.
//
// A network is { sizes, activations, weights }: units by layer, inputs first; a name and parameters for each layer after
// the inputs; and the weights of all epochs, neuron by neuron, its bias last. Its inputs are the coordinates, or
// `features`, functions of them.

const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const elu = (x, alpha) => (x > 0 ? x : alpha * Math.expm1(x));
const ACTIVATIONS = {
  identity: (x) => x,
  sigmoid,
  tanh: Math.tanh,
  relu: (x) => Math.max(x, 0),
  leaky_relu: (x, slope) => (x > 0 ? x : slope * x),
  elu,
  selu: (x) => 1.0507009873554805 * elu(x, 1.6732632423543772),
  silu: (x) => x * sigmoid(x),
  softplus: (x, beta) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(beta * x))) / beta,
  hardtanh: (x, low, high) => Math.min(Math.max(x, low), high),
  hardsigmoid: (x) => Math.min(Math.max((x + 3) / 6, 0), 1),
  softsign: (x) => x / (1 + Math.abs(x)),
};

/** Numbers from the bytes of doubles, in base 64. */
const doubles = (text) => new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

/** How many weights and biases an epoch has. */
const weightCount = (sizes) => sizes.slice(1).reduce((sum, n, k) => sum + n * (sizes[k] + 1), 0);

/** What every unit gives at a point, inputs first, into `out`; the epoch's weights begin at position `at`. */
function outputs({ sizes, activations, weights, features }, at, x1, x2, out) {
  [out[0], out[1]] = [x1, x2];
  if (features) features.forEach((f, k) => { out[k] = f(x1, x2); });
  let from = 0; // the layer before
  let to = sizes[0]; // this layer
  let w = at;
  for (let k = 1; k < sizes.length; k += 1) {
    const [name, [p, q]] = activations[k - 1];
    const act = ACTIVATIONS[name];
    for (let j = 0; j < sizes[k]; j += 1) {
      let z = 0;
      for (let i = from; i < to; i += 1) {
        z += out[i] * weights[w];
        w += 1;
      }
      out[to + j] = act(z + weights[w], p, q);
      w += 1;
    }
    from = to;
    to += sizes[k];
  }
  return out;
}

/** Every unit's output over the region, at n x n points from the upper left: what it makes of the plane. */
function fieldsOf(network, at, [left, right, bottom, top], n) {
  const units = network.sizes.reduce((a, b) => a + b);
  const fields = Array.from({ length: units }, () => new Float64Array(n * n));
  const out = new Float64Array(units);
  for (let row = 0; row < n; row += 1) {
    const y = top + ((bottom - top) * row) / (n - 1);
    for (let column = 0; column < n; column += 1) {
      outputs(network, at, left + ((right - left) * column) / (n - 1), y, out);
      for (let u = 0; u < units; u += 1) fields[u][row * n + column] = out[u];
    }
  }
  return fields;
}

/** How many points, given as x1, x2, target in turn, are taken for the other class. */
function wrongOf(network, at, points) {
  const out = new Float64Array(network.sizes.reduce((a, b) => a + b));
  let wrong = 0;
  for (let i = 0; i < points.length; i += 3) wrong += isWrong(network, at, points, i, out);
  return wrong;
}

function isWrong(network, at, points, i, out) {
  outputs(network, at, points[i], points[i + 1], out);
  const y = out[out.length - 1];
  return Number.isNaN(y) || y > network.threshold !== points[i + 2] > network.threshold;
}
