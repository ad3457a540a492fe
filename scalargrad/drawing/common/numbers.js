// Numbers as texts, as Python writes them: in full, and as the picture shows them.

/** As Python's repr: the fewest digits that give the number back. */
function repr(x) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
  const sign = x < 0 || Object.is(x, -0) ? "-" : "";
  const [mantissa, power] = Math.abs(x).toExponential().split("e");
  const e = Number(power);
  const digits = mantissa.replace(".", "");
  if (e >= 16 || e < -4) return `${sign}${mantissa}e${e < 0 ? "-" : "+"}${String(Math.abs(e)).padStart(2, "0")}`;
  if (e < 0) return `${sign}0.${"0".repeat(-e - 1)}${digits}`;
  return `${sign}${digits.slice(0, e + 1).padEnd(e + 1, "0")}.${digits.slice(e + 1) || "0"}`;
}

/** So many significant digits and the power of ten; halves to the even digit, as Python has it. */
function rounded(x, digits) {
  const [mantissa, power] = x.toExponential(digits - 1).split("e");
  const [all, exponent] = x.toExponential(20).split("e");
  const isHalf = /^50*$/.test(all.slice(digits + 1)) && Number(all[digits]) % 2 === 0;
  return isHalf ? [all.slice(0, digits + 1), Number(exponent)] : [mantissa, Number(power)];
}

const trimmed = (text) => text.replace(/\.?0+$/, "");

/** As `number` in text.py: whole ones below a million in full, four digits of others. */
function shown(x, digits = 4) {
  if (!Number.isFinite(x)) return `⚠ ${repr(x)}`.replace("-", "−");
  if (x === Math.trunc(x) && Math.abs(x) < 1e6) return String(x).replace("-", "−");
  const sign = x < 0 ? "−" : "";
  const [mantissa, e] = rounded(Math.abs(x), digits);
  if (e < -4 || e >= digits) return `${sign}${trimmed(mantissa)}e${e}`.replace("e-", "e−");
  const text = Number(`${mantissa}e${e}`).toFixed(digits - 1 - e);
  return sign + (text.includes(".") ? trimmed(text) : text);
}
