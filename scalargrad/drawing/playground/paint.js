// Fields as colours: blue above, orange below, hatched below so that it does not take colour to tell; and the line where
// they change.

/** A number in three digits. */
const number = (x) => shown(x, 3);

/** A loss in three digits, zeros at its end too, so that it does not jump about while it changes. */
const precise = (x) => (x >= 1e-3 && x < 1e3 ? x.toPrecision(3) : number(x));

const GRID = 81; // points a side, at which a field is known
const SMALL = 41; // pixels a side of a neuron's own map
const SHADES = 255; // of each sign

let colours; // by name, and shades as pixels

/** Read the theme's colours. A shade is a pixel: 0 the strongest negative, SHADES nothing, 2 SHADES the strongest. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const hex = (name) => style.getPropertyValue(`--${name}`).trim();
  const rgb = (name) => [1, 3, 5].map((k) => parseInt(hex(name).slice(k, k + 2), 16));
  const [page, pos, neg] = [rgb("page"), rgb("pos"), rgb("neg")];
  const shades = (most, hatch) =>
    Uint32Array.from({ length: 2 * SHADES + 1 }, (_, k) => {
      const v = (k - SHADES) / SHADES;
      const strength = Math.abs(v) ** 0.85 * most * (v < 0 ? hatch : 1);
      const [r, g, b] = page.map((c, i) => Math.round(c + ((v < 0 ? neg : pos)[i] - c) * strength));
      return (255 << 24) | (b << 16) | (g << 8) | r;
    });
  colours = {
    page: hex("page"), ink: hex("ink"), pos: hex("pos"), neg: hex("neg"),
    large: [shades(0.62, 1), shades(0.62, 0.72)], small: [shades(0.95, 1), shades(0.95, 0.6)],
  };
}

// What is taken from a unit's field, and what it is divided by: of the output as the targets have it; of another unit 0,
// and 1, or the largest value if that is more.
function levels(set, fields, unit) {
  if (unit === fields.length - 1) return [set.threshold, set.scale];
  let top = 1;
  for (const x of fields[unit]) if (Math.abs(x) > top && Math.abs(x) < Infinity) top = Math.abs(x);
  return [0, top];
}

/** A field as an image of size x size pixels, between the points by straight lines. */
function paintField(context, field, [zero, scale], size, [plain, hatched], stripe) {
  const image = context.createImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer);
  const step = (GRID - 1) / (size - 1);
  for (let y = 0; y < size; y += 1) {
    const row = Math.min(Math.floor(y * step), GRID - 2);
    const down = y * step - row;
    for (let x = 0; x < size; x += 1) {
      const column = Math.min(Math.floor(x * step), GRID - 2);
      const right = x * step - column;
      const i = row * GRID + column;
      const above = field[i] + (field[i + 1] - field[i]) * right;
      const below = field[i + GRID] + (field[i + GRID + 1] - field[i + GRID]) * right;
      const v = Math.max(-1, Math.min(1, (above + (below - above) * down - zero) / scale));
      const shades = v < 0 && (x + y) % stripe < stripe / 4 ? hatched : plain;
      pixels[y * size + x] = shades[Math.round(v * SHADES) + SHADES] || 0; // nothing where it is not a number
    }
  }
  context.putImageData(image, 0, 0);
}

/** Where a field crosses a level: marching squares, as lines in units of the grid. */
function crossings(field, level, line) {
  for (let row = 0; row < GRID - 1; row += 1) {
    for (let column = 0; column < GRID - 1; column += 1) {
      const i = row * GRID + column;
      const [a, b, c, d] = [field[i], field[i + 1], field[i + GRID + 1], field[i + GRID]].map((x) => x - level);
      const found = [];
      if (a > 0 !== b > 0) found.push([column + a / (a - b), row]);
      if (b > 0 !== c > 0) found.push([column + 1, row + b / (b - c)]);
      if (d > 0 !== c > 0) found.push([column + d / (d - c), row + 1]);
      if (a > 0 !== d > 0) found.push([column, row + a / (a - d)]);
      for (let k = 0; k + 1 < found.length; k += 2) line(found[k], found[k + 1]);
    }
  }
}
