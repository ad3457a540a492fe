"""Programs as JavaScript: one ES module, which needs nothing else, for pages and for Node.

Statements are those of C (`c.py`), save for types. JavaScript's numbers are doubles; its arithmetic, `sqrt`, `floor`
and `%` round as IEEE 754 says, without fused products; `ldexp`, `frexp`, `rint` and `copysign` are made here, exactly.
Its elementary functions are each browser's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, isnan

from ..ir.lowering import Functions
from ..ir.program import Program
from .c import FORMS, Writer

_WORDS = """
    arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof var void while with yield async of undefined NaN
    Infinity Math DataView ArrayBuffer Float64Array
"""
_FORMS = {
    **FORMS, **{each: f"Math.{each}({{0}})" for each in ("abs", "sqrt", "floor", "ceil")},
    "eq": "{0} === {1}", "ne": "{0} !== {1}", "isnan": "{0} !== {0}", "unordered": "{0} !== {0} || {1} !== {1}",
    "whole": "{0}", "part": "f.subarray({0})", "left": "return {0};",
}  # fmt: skip
_BITS = "const {full} = new DataView(new ArrayBuffer(8));"
# What JavaScript lacks, or has with other values at 1 and -1; all others are functions of Math.
_FUNCTIONS = {
    # These are exact to the last bit.
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
    forms, functions = _FORMS, _FUNCTIONS
    most = 12

    def declared(self, operation: str) -> str:
        return "const"

    def head(self, kind: str, name: str, parameters: Sequence[str]) -> str:
        return f"function {name}({', '.join(parameters)})"

    def unused(self, names: Sequence[str]) -> list[str]:
        return []

    def memory(self, name: str, size: int) -> str:
        self.helpers[f"{name}_m"] = f"const {name}_m = new Float64Array({size});"
        return f"    const m = {name}_m;"

    def frame(self, full: str, constants: str, known: int, size: int, cells: int) -> list[str]:
        self.helpers[f"{full}_k"] = f"const {full}_k = [{constants}], {full}_f = new Float64Array({size});"
        return [f"    const f = {full}_f, p = [];", "    let s = 0, i;", f"    f.set({full}_k);"]

    def constant(self, x: float) -> str:
        if isnan(x) or isinf(x):
            return "NaN" if isnan(x) else "Infinity" if x > 0.0 else "(-Infinity)"
        return repr(x) if repr(x)[0] != "-" else f"({x!r})"

    def function(self, operation: str) -> str:
        if operation not in self.functions:
            return f"Math.{operation}"
        text = self.functions[operation]
        return self.helper(operation, text.replace("{bits}", self.helper("bits", _BITS)) if "{bits}" in text else text)


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
    inputs, outputs, about, tries = writer.traces(programs, captured)
    return f"""/* {name}: made by scalargrad.
 *
 * Takes {inputs} inputs x and writes {outputs} outputs y. Returns 0, or 1 where the inputs take a branch that was
 * not traced; y is then undefined.
 *
{about}
 */
export const {name.upper()}_INPUTS = {inputs}, {name.upper()}_OUTPUTS = {outputs};

{chr(10).join(writer.helpers.values())}

export function {name}(x, y)
{{
{tries}
    return 1;
}}
"""
