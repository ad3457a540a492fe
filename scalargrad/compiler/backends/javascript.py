"""Programs as JavaScript: one ES module, which needs nothing else, for pages and for Node.

Statements are those of C (`c.py`), save for types. JavaScript's numbers are doubles; its arithmetic, `sqrt`, `floor`
and `%` round as IEEE 754 says, without fused products; `ldexp`, `frexp`, `rint` and `copysign` are made here, exactly.
Its elementary functions are each browser's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, isnan

from ..ir.lowering import Functions, Lowered
from ..ir.program import Program
from .c import Writer, comment

_WORDS = """
    arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof var void while with yield async of undefined NaN
    Infinity Math DataView ArrayBuffer Float64Array
"""
_EQUAL = {"eq": "===", "ne": "!=="}
_MATH = {"abs": "Math.abs", "sqrt": "Math.sqrt", "floor": "Math.floor", "ceil": "Math.ceil"}
_BITS = "const {bits} = new DataView(new ArrayBuffer(8));"
# Exact to the last bit.
_EXACT = {
    "rint": """function {full}(x)
{
    const a = Math.abs(x);
    if (!(a < 4503599627370496)) return x;
    const n = a + 4503599627370496 - 4503599627370496;
    return x < 0 || (x === 0 && 1 / x < 0) ? -n : n;
}""",
    "copysign": """function {full}(x, s)
{
    {bits}.setFloat64(0, s);
    return {bits}.getUint8(0) > 127 ? -Math.abs(x) : Math.abs(x);
}""",
    # By powers of two that are floats; on the way to a subnormal number, all but the last step are exact.
    "scale": """function {full}(y, n)
{
    if (!(Math.abs(n) <= 4000)) n = n > 0 ? 4000 : n < 0 ? -4000 : NaN;
    for (; n > 1023; n -= 1023) y *= 8.98846567431158e307;
    for (; n < -1022; n += 969) y *= 2.004168360008973e-292;
    {bits}.setUint32(0, (n + 1023) << 20);
    {bits}.setUint32(4, 0);
    return n === n ? y * {bits}.getFloat64(0) : n;
}""",
    "exponent": """function {full}(x)
{
    {bits}.setFloat64(0, x);
    return (({bits}.getUint32(0) >>> 20) & 2047) - 1023;
}""",
    "mantissa": """function {full}(x)
{
    {bits}.setFloat64(0, x);
    {bits}.setUint32(0, ({bits}.getUint32(0) & 0x800fffff) | 0x3ff00000);
    return {bits}.getFloat64(0);
}""",
}
# Functions that JavaScript lacks, or has with other values at 1 and -1; the others are those of Math.
_LIBRARY = {
    "exp2": "const {full} = (x) => Math.pow(2, x);",
    "fmod": "const {full} = (a, b) => a % b;",
    "pow": "const {full} = (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : Math.pow(a, b));",
    # 2x/sqrt(pi) exp(-x**2) sum of (2 x**2)**k / (1 3 ... (2k+1)): all terms have one sign.
    "erf": """function {full}(x)
{
    if (Math.abs(x) > 6) return Math.sign(x);
    let term = 1;
    let sum = 1;
    for (let k = 1; term > 1e-17 * sum; k += 1) {
        term *= (2 * x * x) / (2 * k + 1);
        sum += term;
    }
    return x === 0 ? x : 1.1283791670955126 * x * Math.exp(-x * x) * sum;
}""",
}


class _Writer(Writer):
    short, language = "js", "JavaScript"
    infix = Writer.infix | _EQUAL
    comparisons = Writer.comparisons | _EQUAL
    most = 12

    def declared(self, operation: str) -> str:
        return "const"

    def head(self, kind: str, name: str, parameters: Sequence[tuple[str, str]]) -> str:
        return f"function {name}({', '.join([each for _, each in parameters])})"

    def unused(self, names: Sequence[str]) -> list[str]:
        return []

    def memory(self, name: str, size: int) -> str:
        self.helpers.append(f"const {name}_m = new Float64Array({size});")
        return f"    const m = {name}_m;"

    def frame(self, full: str, constants: str, known: int, size: int, cells: int) -> list[str]:
        self.helpers.append(f"const {full}_k = [{constants}], {full}_f = new Float64Array({size});")
        return [f"    const f = {full}_f, p = [];", "    let s = 0, i;", f"    f.set({full}_k);"]

    def left(self, code: int) -> str:
        return f"return {code};"

    def part(self, at: int) -> str:
        return f"f.subarray({at})"

    def whole(self, number: str) -> str:
        return number

    def constant(self, x: float) -> str:
        if isnan(x) or isinf(x):
            return "NaN" if isnan(x) else "Infinity" if x > 0.0 else "(-Infinity)"
        return repr(x) if repr(x)[0] != "-" else f"({x!r})"

    def helper(self, operation: str) -> str:
        """The name of a function of this module, or of Math."""
        text = _EXACT.get(operation) or _LIBRARY.get(operation)
        if text is None:
            return f"Math.{operation}"
        full, bits = f"{self.name}_{operation}", f"{self.name}_bits"
        for name, each in ((bits, _BITS), (full, text)):
            if name not in self.known and f"{{{'bits' if name == bits else 'full'}}}" in text:
                self.known.add(name)
                self.helpers.append(each.replace("{full}", full).replace("{bits}", bits))
        return full

    def expression(self, lowered: Lowered, operation: str, given: Sequence[str], prefix: str) -> str:
        if operation in _EXACT:
            return f"{self.helper(operation)}({', '.join(given)})"
        if operation == "unordered":
            return " || ".join([f"{each} !== {each}" for each in dict.fromkeys(given)])
        if operation in _MATH:
            return f"{_MATH[operation]}({given[0]})"
        return super().expression(lowered, operation, given, prefix)

    def library(self, operation: str) -> str:
        return self.helper(operation)


def source(
    programs: Sequence[Program],
    captured: Sequence[Sequence[float]],
    name: str,
    functions: Functions = "library",
) -> str:
    """The module, for all traces of a function of one structure of arguments."""
    if not name.isidentifier() or not name.isascii() or name in _WORDS.split():
        raise ValueError(f"to_js: {name!r} is no name of a function in JavaScript; call it 'f', say")
    writer = _Writer(name, "double", functions)
    inputs, outputs = writer.traces(programs, captured)
    about = "\n".join(f" *   x[{k}]  {comment(text)}" for k, text in enumerate(programs[0].names[:inputs][:50]))
    tries = "\n".join(f"    if (!{name}_trace{k}(x, y)) return 0;" for k in range(len(programs)))
    return f"""/* {name}: made by scalargrad.
 *
 * Takes {inputs} inputs x and writes {outputs} outputs y. Returns 0, or 1 where the inputs take a branch that was
 * not traced; y is then undefined.
 *
{about}
 */
export const {name.upper()}_INPUTS = {inputs}, {name.upper()}_OUTPUTS = {outputs};

{chr(10).join(writer.helpers)}

export function {name}(x, y)
{{
{tries}
    return 1;
}}
"""
