// Training in the page, step by step what the library does (see lab.py), on the programs that were compiled for it.
// Nothing here knows of the page, so that a test can ask it for weights.

/** Python's random.Random(n).random(), for n of these 32-bit words, the lowest first: the Mersenne Twister, MT19937. */
function twister(words) {
  const state = new Uint32Array(624);
  const scrambled = (k, factor) => Math.imul(state[k] ^ (state[k] >>> 30), factor);
  state[0] = 19650218;
  for (let k = 1; k < 624; k += 1) state[k] = scrambled(k - 1, 1812433253) + k;
  let i = 1;
  const mix = (count, factor, more) => {
    for (let k = 0; k < count; k += 1) {
      state[i] = (state[i] ^ scrambled(i - 1, factor)) + more(k % words.length);
      i += 1;
      if (i === 624) [state[0], i] = [state[623], 1];
    }
  };
  mix(624, 1664525, (j) => words[j] + j);
  mix(623, 1566083941, () => -i);
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

/** The sum of rows, in the order of losses/summation.py: of the first, as many as the largest power of two, and the rest. */
function added(rows) {
  if (rows.length === 1) return rows[0].map((x) => x + 0);
  const half = 2 ** (Math.ceil(Math.log2(rows.length)) - 1);
  const rest = added(rows.slice(half));
  return added(rows.slice(0, half)).map((x, k) => x + rest[k]);
}

/** beta**t for t = 1, 2, ..., as Python has it: in doubled precision, save where C's library rounds otherwise. */
function powersOf([beta, exceptions]) {
  const odd = new Set(exceptions);
  const found = [];
  const power = Float64Array.of(1, 0); // and what rounding left
  return (t) => {
    while (found.length < t) {
      programs.power([...power, beta], power);
      const n = found.length + 1;
      found.push(power[0] + (odd.has(n) - odd.has(-n)) * 2 ** (Math.floor(Math.log2(power[0])) - 52));
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
  const plain = orderOf(shuffled.length, twister([seed])).map((k) => shuffled[k]);
  const count = Math.round(share * shuffled.length);
  const rows = plain.map(([x, y, target]) => [...FEATURES.map((f, j) => (features[j] ? f(x, y) : 0)), target]);
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
  let now = { weights: Float64Array.from(initial), moments: [], epoch: 0, steps: 0, kind: "" }; // moments: of each weight

  /** The loss, the output and the gradient of one sample's share. */
  function sample(row, part, at = now.weights) {
    input.set(at);
    input.set(row, n);
    input[n + FEATURES.length + 1] = part;
    program(input, out);
    return { loss: out[0], y: out[1], gradient: out.slice(2) };
  }

  function update(gradient, { optimizer, rate, l1, l2 }) {
    const [kind, , size] = lab.optimizers[optimizer];
    if (now.kind !== kind) Object.assign(now, { kind, steps: 0, moments: initial.map(() => Array(size).fill(0)) });
    now.steps += 1;
    const moved = new Float64Array(1 + size);
    const [p1, p2] = kind === "Adam" ? powers.map((of) => of(now.steps)) : [0, 0];
    now.weights.forEach((w, k) => {
      programs[`update_${kind}`]([w, gradient[k], ...now.moments[k], p1, p2, rate, l1, l2], moved);
      [now.weights[k], ...now.moments[k]] = moved;
    });
  }

  return {
    sizes, sample, rows,
    train: plain.slice(0, count),
    test: plain.slice(count),
    get weights() { return now.weights; },
    get epoch() { return now.epoch; },
    step(how) {
      const chosen = orderOf(count, twister(seed ? [now.epoch, seed] : [now.epoch]));
      for (let at = 0; at < count; at += how.batch) {
        const batch = chosen.slice(at, at + how.batch);
        update(added(batch.map((k) => sample(rows[k], 1 / batch.length).gradient)), how);
      }
      now.epoch += 1;
    },
    /** The mean loss over the training and the test points. */
    losses() {
      const each = rows.map((row) => sample(row, 1).loss);
      return [each.slice(0, count), each.slice(count)].map((some) => some.reduce((sum, loss) => sum + loss) / some.length);
    },
    snapshot: () => structuredClone(now),
    restore(kept) { now = structuredClone(kept); },
  };
}
