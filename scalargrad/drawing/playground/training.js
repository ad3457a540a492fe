// Training in the page, step by step what the library does (see lab.py), on the programs that were compiled for it.
// Nothing here knows of the page, so that a test can ask it for weights.

/** Python's random.Random(n).random(), for n of these 32-bit words, the lowest first: the Mersenne Twister, MT19937. */
function twister(words) {
  const state = new Uint32Array(624);
  const scrambled = (k, factor) => Math.imul(state[k] ^ (state[k] >>> 30), factor);
  state[0] = 19650218;
  for (let k = 1; k < 624; k += 1) state[k] = Math.imul(1812433253, state[k - 1] ^ (state[k - 1] >>> 30)) + k;
  let i = 1;
  let j = 0;
  const next = () => {
    i += 1;
    if (i === 624) [state[0], i] = [state[623], 1];
  };
  for (let k = Math.max(624, words.length); k; k -= 1) {
    state[i] = (state[i] ^ scrambled(i - 1, 1664525)) + words[j] + j;
    next();
    j = (j + 1) % words.length;
  }
  for (let k = 623; k; k -= 1) {
    state[i] = (state[i] ^ scrambled(i - 1, 1566083941)) - i;
    next();
  }
  state[0] = 0x80000000;
  let at = 624;
  const draw = () => {
    if (at === 624) {
      for (let k = 0; k < 624; k += 1) {
        const y = (state[k] & 0x80000000) | (state[(k + 1) % 624] & 0x7fffffff);
        state[k] = state[(k + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at];
    at += 1;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
  return () => {
    const high = draw() >>> 5;
    return (high * 67108864 + (draw() >>> 6)) / 9007199254740992;
  };
}

/** The order of n things: Fisher and Yates's shuffle, as dataset.py has it. */
function orderOf(n, random) {
  const order = Array.from({ length: n }, (_, k) => k);
  for (let count = n; count; count -= 1) {
    const k = Math.floor(random() * count);
    [order[k], order[count - 1]] = [order[count - 1], order[k]];
  }
  return order;
}

const three = new Float64Array(3);
const elementary = (x, k) => {
  programs.elementary([x], three);
  return three[k];
};
const [sine, cosine, logarithm] = [0, 1, 2].map((k) => (x) => elementary(x, k));
const uniform = (random, low, high) => random() * (high - low) + low;

const apart = (x) => x + (x > 0 ? 0.3 : -0.3);

function normal(random, mean, variance) {
  let s = 2;
  let v1 = 0;
  while (s > 1 || s === 0) {
    v1 = 2 * random() - 1;
    const v2 = 2 * random() - 1;
    s = v1 * v1 + v2 * v2;
  }
  return mean + Math.sqrt(variance) * (Math.sqrt((-2 * logarithm(s)) / s) * v1);
}

/** Both halves of a set: how many points, and what tells them apart. */
const halves = (n, one, other) => [[n - Math.floor(n / 2), one], [Math.floor(n / 2), other]];

// The points of the plane, [x, y, target], before they are shuffled: as in dataset.py, draw by draw.
const SETS = {
  circle: (n, noise, random) => halves(n, [0, 2.5], [3.5, 5]).flatMap(([count, [low, high]]) =>
    Array.from({ length: count }, () => {
      const r = uniform(random, low, high);
      const angle = uniform(random, 0, 2 * Math.PI);
      const [x, y] = [r * sine(angle), r * cosine(angle)];
      const dx = uniform(random, -5, 5) * noise;
      const dy = uniform(random, -5, 5) * noise;
      return [x, y, Math.sqrt((x + dx) * (x + dx) + (y + dy) * (y + dy)) < 2.5 ? 1 : -1];
    })),
  xor: (n, noise, random) => Array.from({ length: n }, () => {
    const x = apart(uniform(random, -5, 5));
    const y = apart(uniform(random, -5, 5));
    const dx = uniform(random, -5, 5) * noise;
    const dy = uniform(random, -5, 5) * noise;
    return [x, y, (x + dx) * (y + dy) >= 0 ? 1 : -1];
  }),
  gauss: (n, noise, random) => halves(n, 1, -1).flatMap(([count, target]) => Array.from({ length: count }, () => {
    const x = normal(random, 2 * target, 0.5 + 7 * noise);
    return [x, normal(random, 2 * target, 0.5 + 7 * noise), target];
  })),
  spiral: (n, noise, random) => halves(n, 1, -1).flatMap(([count, target]) => Array.from({ length: count }, (_, i) => {
    const r = (i / (n / 2)) * 5;
    const angle = ((1.75 * i) / (n / 2)) * 2 * Math.PI + (target > 0 ? 0 : Math.PI);
    const x = r * sine(angle) + uniform(random, -1, 1) * noise;
    return [x, r * cosine(angle) + uniform(random, -1, 1) * noise, target];
  })),
};
const FEATURES = [(x) => x, (x, y) => y, (x) => x * x, (x, y) => y * y, (x, y) => x * y, (x) => sine(x), (x, y) => sine(y)];

// The sum of rows, in the order of losses/summation.py.
const join = (a, b) => a.map((x, k) => x + b[k]);

function added(rows) {
  const sums = [];
  rows.forEach((each, k) => {
    let row = each;
    for (let count = k + 1; count % 2 === 0; count /= 2) row = join(sums.pop(), row);
    sums.push(row);
  });
  let row = sums.pop();
  while (sums.length) row = join(sums.pop(), row);
  return row.map((x) => x + 0);
}

/** A number as the sum of two of half as many digits (Veltkamp). */
function split(a) {
  const t = 134217729 * a;
  const high = t - (t - a);
  return [high, a - high];
}

/** beta**t for t = 1, 2, ..., as Python has it: in doubled precision, save where C's library rounds otherwise. */
function powersOf([beta, exceptions]) {
  const [bh, bl] = split(beta);
  const odd = new Set(exceptions);
  const found = [];
  let [high, low] = [1, 0];
  return (t) => {
    while (found.length < t) {
      const product = high * beta;
      const [h, l] = split(high);
      const rest = h * bh - product + h * bl + l * bh + l * bl + low * beta;
      const s = product + rest;
      const back = s - product;
      low = product - (s - back) + (rest - back);
      high = s;
      const n = found.length + 1;
      const unit = 2 ** (Math.floor(Math.log2(high)) - 52);
      found.push(odd.has(n) ? high + unit : odd.has(-n) ? high - unit : high);
    }
    return found[t - 1];
  };
}

/** A training at its beginning, by the choices of the page; `step` trains one epoch, `snapshot` and `restore` keep it. */
function trainingOf(lab, choice) {
  const { set, noise, share, features, shape, activation, seed } = choice;
  const random = twister([seed]);
  const points = SETS[set](lab.samples, noise, random);
  const shuffled = orderOf(points.length, random).map((k) => points[k]);
  const order = orderOf(shuffled.length, twister([seed]));
  const count = Math.round(share * shuffled.length);
  const rows = order.map((k) => [...FEATURES.map((f, j) => (features[j] ? f(shuffled[k][0], shuffled[k][1]) : 0)), shuffled[k][2]]);
  const plain = order.map((k) => shuffled[k]);
  const sizes = [FEATURES.length, ...lab.shapes[shape], 1];
  const draw = twister([seed]);
  const initial = sizes.slice(1).flatMap((n, k) => {
    const bound = Math.sqrt(6 / (activation === "relu" ? sizes[k] : sizes[k] + n));
    return Array.from({ length: n }, () => [...Array.from({ length: sizes[k] }, () => bound * (2 * draw() - 1)), 0]).flat();
  });
  const program = programs[`sample_${shape}_${activation}`];
  const powers = lab.betas.map(powersOf);
  const n = initial.length;
  const input = new Float64Array(n + FEATURES.length + 2);
  const out = new Float64Array(n + 2);
  let weights = Float64Array.from(initial);
  let moments = []; // of each weight
  let [epoch, steps, kind] = [0, 0, ""];

  /** The loss, the output and the gradient of one sample's share. */
  function sample(row, part, at = weights) {
    input.set(at);
    input.set(row, n);
    input[n + FEATURES.length + 1] = part;
    program(input, out);
    return { loss: out[0], y: out[1], gradient: out.slice(2) };
  }

  function update(gradient, { optimizer, rate, l1, l2 }) {
    const name = lab.optimizers[optimizer][0];
    const size = lab.optimizers[optimizer][2];
    if (kind !== name) {
      [kind, steps] = [name, 0];
      moments = Array.from({ length: n }, () => Array.from({ length: size }, () => 0));
    }
    steps += 1;
    const moved = new Float64Array(1 + size);
    const [p1, p2] = name === "Adam" ? powers.map((of) => of(steps)) : [0, 0];
    weights.forEach((w, k) => {
      programs[`update_${name}`]([w, gradient[k], ...moments[k], p1, p2, rate, l1, l2], moved);
      [weights[k], ...moments[k]] = moved;
    });
  }

  return {
    sizes, sample, rows,
    train: plain.slice(0, count),
    test: plain.slice(count),
    get weights() { return weights; },
    get epoch() { return epoch; },
    step(how) {
      const chosen = orderOf(count, twister(seed ? [epoch, seed] : [epoch]));
      for (let at = 0; at < count; at += how.batch) {
        const batch = chosen.slice(at, at + how.batch);
        update(added(batch.map((k) => sample(rows[k], 1 / batch.length).gradient)), how);
      }
      epoch += 1;
    },
    /** The mean loss over the training and the test points. */
    losses() {
      const each = rows.map((row) => sample(row, 1).loss);
      return [each.slice(0, count), each.slice(count)].map((some) => some.reduce((sum, loss) => sum + loss) / some.length);
    },
    snapshot: () => ({ weights: weights.slice(), moments: moments.map((each) => [...each]), epoch, steps, kind }),
    restore(kept) {
      weights = kept.weights.slice();
      moments = kept.moments.map((each) => [...each]);
      [epoch, steps, kind] = [kept.epoch, kept.steps, kept.kind];
    },
  };
}
