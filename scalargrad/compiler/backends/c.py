"""Programs as C99: one file and its header, which need nothing but math.h.

This backend leaves Python behind: for devices, and for programs in other languages. Library functions are called
through pointers that the C compiler cannot see through, because it would compute `pow(x, 2.0)` its own way; long
programs become several functions, because C compilers take time that grows faster than a function.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from math import inf, isinf, isnan
from typing import Any, Literal

from ..ir.elementary import BINARY_LIBRARY, CONDITIONS
from ..ir.layout import ALIGNED, Place, laid_out
from ..ir.lowering import Functions, Lowered, is_call, lower, unfused
from ..ir.program import Program
from . import c_names

PIECE = 1000  # statements in one function
Real = Literal["double", "float"]
# What is no call of a function of the library's, by its operands; {f} is what the names of math.h end in.
FORMS = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "neg": "-{0}",
    "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}", "ge": "{0} >= {1}", "eq": "{0} == {1}",
    "ne": "{0} != {1}", "and": "{0} && {1}", "or": "{0} || {1}", "not": "!{0}", "nle": "!({0} <= {1})",
    "isnan": "isnan({0})", "unordered": "isunordered({0}, {1})", "select": "{0} ? {1} : {2}",
    "min": "{0} < {1} ? {0} : {1}", "max": "{0} > {1} ? {0} : {1}", "abs": "fabs{f}({0})", "sqrt": "sqrt{f}({0})",
    "floor": "floor{f}({0})", "ceil": "ceil{f}({0})", "rint": "rint{f}({0})", "copysign": "copysign{f}({0}, {1})",
    # Of programs with loops: a float that is an integer as one, their memory from some place on, and their end.
    "whole": "(long){0}", "part": "f + {0}", "left": "{{ free(f); return {0}; }}",
}  # fmt: skip
_FUNCTIONS = {
    "scale": """static {real} {full}({real} y, {real} n)
{
    return n == n ? ldexp{f}(y, (int)n) : n;
}
""",
    "exponent": """static {real} {full}({real} x)
{
    int n;
    (void)frexp{f}(x, &n);
    return ({real})(n - 1);
}
""",
    "mantissa": """static {real} {full}({real} x)
{
    int n;
    return 2 * frexp{f}(x, &n);
}
""",
}


def comment(text: str) -> str:
    """A text for a comment, which it neither ends, nor starts within, nor continues on another line."""
    shown = "".join([c if c.isascii() and c.isprintable() else "?" for c in text]).replace("\\", "/")
    return re.sub(r"(?<=[/*?])(?=[/*?])", " ", shown)


class Writer:
    """Programs as statements of C; `javascript.py` changes what is another in its language."""

    short, language = "c", "C"
    forms: Mapping[str, str] = FORMS
    functions: Mapping[str, str] = _FUNCTIONS  # that stand in the file itself, by their operations
    most: int | None = None  # instructions of a row that stand in the program itself; as `lower` has it if None

    def __init__(self, name: str, real: Real, elementary: Functions) -> None:
        self.name, self.real = name, real
        self.elementary = unfused(elementary) if real == "double" else "library"  # the polynomials are for doubles
        self.suffix = "f" if real == "float" else ""
        self.helpers: dict[str, str] = {}  # functions, and pointers to those of the library, by name

    def declared(self, operation: str) -> str:
        return f"const {'int' if operation in CONDITIONS else self.real}"

    def head(self, kind: str, name: str, parameters: Sequence[str]) -> str:
        types = {"x": f"const {self.real} *", "y": f"{self.real} *", "m": f"{self.real} *"}
        given = [f"{types.get(each, f'const {self.real}')} {each}" for each in parameters]
        return f"static {kind} {name}({', '.join(given)})"

    def unused(self, names: Sequence[str]) -> list[str]:
        """What keeps compilers from warning of parameters that nothing uses."""
        return [f"    (void){name};" for name in names]

    def memory(self, name: str, size: int) -> str:
        """Room for what one piece of a program leaves for others."""
        return f"    {self.real} m[{size}];"

    def constant(self, x: float) -> str:
        if self.real == "float":
            try:
                x = struct.unpack("<f", struct.pack("<f", x))[0]
            except OverflowError:
                x = inf if x > 0.0 else -inf
        if isnan(x):
            return f"({self.real})NAN"
        if isinf(x):
            return f"({self.real})INFINITY" if x > 0.0 else f"(-({self.real})INFINITY)"
        text = f"{x!r}{self.suffix}" if self.real == "double" else f"{x.hex()}f"
        return text if text[0] != "-" else f"({text})"

    def function(self, operation: str) -> str:
        """The name of the function that computes an operation, which is in the file from now on."""
        types = ", ".join([self.real] * (2 if operation in BINARY_LIBRARY else 1))
        pointer = f"static {{real}} (*const volatile {{full}})({types}) = {operation}{{f}};"
        return self.helper(operation, self.functions.get(operation, pointer))

    def helper(self, operation: str, text: str) -> str:
        full = f"{self.name}_{operation}"
        for sign, meaning in (("{full}", full), ("{real}", self.real), ("{f}", self.suffix)):
            text = text.replace(sign, meaning)
        self.helpers.setdefault(full, text)
        return full

    def row(self, lowered: Lowered, row: str, prefix: str) -> str:
        full = f"{prefix}_{row}"
        if full not in self.helpers:
            body = lowered.functions[row]
            inputs = [f"v{k}" for k in range(body.inputs)]

            def value(k: int) -> str:
                return f"v{k}" if k >= 0 else self.constant(body.constants[~k])

            lines = [self.head(self.real, full, inputs), "{"]
            for k, (operation, operands) in enumerate(zip(body.operations, body.operands, strict=True), body.inputs):
                expression = self.expression(lowered, operation, [value(p) for p in operands], prefix)
                lines.append(f"    {self.declared(operation)} v{k} = {expression};")
            used = {value(p) for operands in body.operands for p in operands}
            lines += self.unused([each for each in inputs if each not in used])
            self.helpers[full] = "\n".join([*lines, f"    return {value(body.outputs[0])};", "}"])
        return full

    def expression(self, lowered: Lowered, operation: str, given: Sequence[str], prefix: str) -> str:
        if operation == "unordered" and given[0] == given[1]:
            operation = "isnan"
        if operation in self.forms and operation not in self.functions:
            return self.forms[operation].format(*given, f=self.suffix)
        name = self.row(lowered, operation[5:], prefix) if is_call(operation) else self.function(operation)
        return f"{name}({', '.join(given)})"

    def program(self, program: Program, captured: Sequence[float], full: str) -> None:
        """The functions of one trace: the pieces, and one that calls them in turn until a guard fails."""
        if program.has_blocks():
            Looped(self, full).write(program, captured)
            return
        lowered = lower(program, self.elementary, self.most)
        self.refuse("an operation", [row.name for row, _ in lowered.callbacks.values()])
        program = lowered.program
        first, own = program.inputs, program.inputs - len(captured)
        ends: dict[int, list[tuple[str, str, tuple[int, ...]]]] = {}  # what follows the statements of a piece
        for g in program.guards:
            sign = "!" if g.outcome else ""
            end = f")) return 1; /* {comment(g.line)} */"
            at = (max(g.left, g.right, first) - first) // PIECE
            ends.setdefault(at, []).append((f"if ({sign}({self.forms[g.comparison]}", end, (g.left, g.right)))
        for place, k in enumerate(program.outputs):
            ends.setdefault(max(k - first, 0) // PIECE, []).append((f"y[{place}] = {{0}}", ";", (k,)))
        slot: dict[int, int] = {}
        for start in range(0, len(program), PIECE):
            reads = [*program.operands[start : start + PIECE], *(each for _, _, each in ends.get(start // PIECE, ()))]
            for p in [p for operands in reads for p in operands if first <= p < first + start]:
                slot.setdefault(p, len(slot))
        parts: list[str] = []
        for start in range(0, max(len(program), 1), PIECE):
            lines: list[str] = []

            def value(k: int, start: int = start) -> str:
                if k < 0:
                    return self.constant(program.constants[~k])
                if k < first:
                    return f"x[{k}]" if k < own else self.constant(captured[k - own])
                return f"v{k}" if k >= first + start else f"m[{slot[k]}]"

            for k in range(start, min(start + PIECE, len(program))):
                operation = program.operations[k]
                expression = self.expression(lowered, operation, [value(p) for p in program.operands[k]], full)
                lines.append(f"    {self.declared(operation)} v{first + k} = {expression};")
                if first + k in slot:
                    lines.append(f"    m[{slot[first + k]}] = v{first + k};")
            for text, end, operands in ends.get(start // PIECE, ()):
                lines.append(f"    {text.format(*map(value, operands))}{end}")
            parts.append(f"{full}_{start // PIECE}")
            head = self.head("int", parts[-1], "xym")
            self.helpers[parts[-1]] = "\n".join([head, "{", *lines, *self.unused("xym"), "    return 0;", "}"])
        calls = " || ".join(f"{part}(x, y, m)" for part in parts)
        memory = self.memory(full, max(len(slot), 1))
        self.helpers[full] = f"{self.head('int', full, 'xy')}\n{{\n{memory}\n    return {calls};\n}}"

    def refuse(self, what: str, names: Sequence[str]) -> None:
        """Raise for what is written in Python."""
        if names:
            fault = f"{', '.join(sorted({*names}))}: {what} written in Python has no {self.language} form"
            raise TypeError(f"to_{self.short}: {fault}; compose it of scalargrad's")

    def frame(self, full: str, constants: str, known: int, size: int, cells: int) -> list[str]:
        """Memory for such a program, which begins with some constants."""
        self.helpers[f"{full}_k"] = f"static const {self.real} {full}_k[{max(known, 1)}] = {{{constants or '0'}}};"
        return [
            f"    {self.real} *f = ({self.real} *)calloc({size}, sizeof({self.real}));",
            f"    long p[{max(cells, 1)}] = {{0}}, i;",
            "    int s = 0;",
            "    if (!f) return 1;",
            f"    for (i = 0; i < {known}; i++) f[i] = {full}_k[i];",
            "    (void)p; (void)x; (void)y;",
        ]

    def traces(self, programs: Sequence[Program], captured: Sequence[Sequence[float]]) -> tuple[int, int, str, str]:
        """Write the functions of all traces of one structure of arguments; how many inputs and outputs they have, what
        the inputs are, and the statements that try one trace after another."""
        sizes = {(p.inputs - len(c), len(p.outputs)) for p, c in zip(programs, captured, strict=True)}
        if len({m for _, m in sizes}) > 1:
            raise ValueError(
                f"to_{self.short}: the traces have results of different structures; {self.language} needs one"
            )
        names = [f"{self.name}_trace{k}" for k in range(len(programs))]
        for each in zip(programs, captured, names, strict=True):
            self.program(*each)
        inputs, outputs = sizes.pop()
        about = [f" *   x[{k}]  {comment(text)}" for k, text in enumerate(programs[0].names[:inputs][:50])]
        tries = [f"    if (!{name}(x, y)) return 0;" for name in names]
        return inputs, outputs, "\n".join(about), "\n".join(tries)


class Looped:
    """A program with loops: its segments as functions, and one that does the orders between them, in words that C and
    JavaScript have in common. Floats are in an array f, cells in p; where a jump leads is a case."""

    def __init__(self, writer: Writer, full: str) -> None:
        self.writer, self.full, self.shift = writer, full, 0

    def write(self, program: Program, captured: Sequence[float]) -> None:
        writer, layout, full = self.writer, laid_out(program), self.full
        writer.refuse("a function", [each.name for each in layout.foreign])
        for k, segment in enumerate(layout.segments):
            writer.program(segment, (), f"{full}_s{k}")
        self.shift = len(layout.constants)
        own = program.inputs - len(captured)
        numbers = ", ".join(map(writer.constant, reversed(layout.constants)))
        begin = writer.frame(full, numbers, self.shift, self.shift + layout.size + ALIGNED, layout.cells)
        lines = [f"{self.float(k)} = {writer.constant(x)};" for k, x in enumerate(captured, layout.inputs + own)]
        lines.append(f"for (i = 0; i < {own}; i++) {self.float(layout.inputs, 'i')} = x[i];")
        lines += [_ORDERS[what](self, *operands) for what, *operands in layout.orders]
        for output, start, count in layout.outputs:
            lines.append(f"for (i = 0; i < {count}; i++) y[{output} + i] = {self.float(start, 'i')};")
        lines += [self.form("left", 0), "}"]
        head = writer.head("int", full, "xy")
        body = [*begin, "    for (;;) switch (s) {", "    case 0:", *(f"    {line}" for line in lines)]
        writer.helpers[full] = "\n".join([head, "{", *body, "}"])

    def float(self, at: int, more: str = "") -> str:
        return f"f[{at + self.shift}{' + ' if more else ''}{more}]"

    def place(self, place: Place) -> str:
        return self.float(place.at, "i") if place.pointer is None else f"f[p[{place.pointer}] + {place.at} + i]"

    def form(self, name: str, *given: Any) -> str:
        return self.writer.forms[name].format(*given)


def _to(label: int) -> str:
    return f"{{ s = {label + 1}; continue; }}"


_ORDERS: dict[str, Callable[..., str]] = {
    "copy": lambda p, a, b, c, _: f"for (i = 0; i < {c}; i++) {p.place(b)} = {p.place(a)};",
    "point": lambda p, a, b, *_: f"p[{a}] = {b + p.shift};",
    "point_last": lambda p, a, b, c, d: f"p[{a}] = {b + p.shift} + (p[{d}] - 1) * {c};",
    "advance": lambda p, a, b, *_: f"p[{a}] += {b};",
    "segment": lambda p, a, b, c, _: (
        f"if ({p.full}_s{a}({p.form('part', b + p.shift)}, {p.form('part', c + p.shift)})) {p.form('left', 1)}"
    ),
    "set": lambda p, a, b, *_: f"p[{a}] = {b};",
    "read": lambda p, a, b, *_: f"p[{a}] = {p.form('whole', p.float(b))};",
    "write": lambda p, a, b, *_: f"{p.float(b)} = p[{a}];",
    "increment": lambda p, a, *_: f"p[{a}] += 1;",
    "label": lambda p, a, *_: f"/* fall through */\n    case {a + 1}:",
    "jump": lambda p, a, *_: _to(a),
    "unless": lambda p, a, b, *_: f"if ({p.form('eq', p.float(a), 0)}) {_to(b)}",
    "repeat": lambda p, a, b, *_: f"p[{a}] -= 1;\n    if ({p.form('ne', f'p[{a}]', 0)}) {_to(b)}",
    "limit": lambda p, a, b, c, _: f"if ({p.form('eq', f'p[{a}]', b)}) {p.form('left', 1) if c is None else _to(c)}",
}


def source(
    programs: Sequence[Program],
    captured: Sequence[Sequence[float]],
    name: str,
    real: Real = "double",
    functions: Functions = "library",
) -> tuple[str, str]:
    """The header `name.h` and the file `name.c`, for all traces of a function of one structure of arguments."""
    c_names.check(name)
    if real not in ("double", "float"):
        raise ValueError(f"to_c: real must be 'double' or 'float', got {real!r}")
    writer = Writer(name, real, functions)
    inputs, outputs, about, tries = writer.traces(programs, captured)
    upper = name.upper()
    declared = defined = note = ""
    if outputs == 1 and real == "double":
        note = f" * {name}_integrand is for SciPy's LowLevelCallable: y, or nan where there is none.\n *\n"
        x, y, data, n = (f"{name}_{each}" for each in ("x", "y", "data", "n"))  # which no name of a function can hide
        signature = f"double {name}_integrand(int {n}, double *{x}, void *{data})"
        declared = f"{signature};\n"
        defined = f"""
{signature}
{{
    double {y};
    (void){data};
    return {n} == {inputs} && {name}({x}, &{y}) == 0 ? {y} : (double)NAN;
}}
"""
    header = f"""/* {name}: made by scalargrad. Compile with -std=c99, or -ffp-contract=off, for the bits of Python.
 *
 * Takes {inputs} inputs x and writes {outputs} outputs y. Returns 0, or 1 where the inputs take a branch that was
 * not traced; y is then undefined.
 *
{note}{about}
 */
#ifndef {upper}_H
#define {upper}_H

#define {upper}_INPUTS {inputs}
#define {upper}_OUTPUTS {outputs}

#ifdef __cplusplus
extern "C" {{
#endif
int {name}(const {real} *x, {real} *y);
{declared}#ifdef __cplusplus
}}
#endif

#endif
"""
    memory = "\n#include <stdlib.h>" if any(each.has_blocks() for each in programs) else ""
    text = f"""/* Made by scalargrad. */
#include "{name}.h"

#include <math.h>{memory}

#ifdef __FAST_MATH__
#error "-ffast-math changes results: inf, nan and the order of operations count here"
#endif

{chr(10).join(writer.helpers.values())}

int {name}(const {real} *x, {real} *y)
{{
{tries}
    return 1;
}}
{defined}"""
    return header, text
