"""Programs as C99: one file and its header, which need nothing but math.h.

This backend leaves Python behind: for devices, and for programs in other languages. Library functions are called
through pointers that the C compiler cannot see through, because it would compute `pow(x, 2.0)` its own way; long
programs become several functions, because C compilers take time that grows faster than a function.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from math import inf, isinf, isnan
from typing import Literal

from ..ir.elementary import BINARY_LIBRARY, CONDITIONS
from ..ir.layout import ALIGNED, Order, Place, laid_out
from ..ir.lowering import Functions, Lowered, is_call, lower, unfused
from ..ir.program import Program
from . import c_names

PIECE = 1000  # statements in one function
Real = Literal["double", "float"]
_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "lt": "<",
    "le": "<=",
    "eq": "==",
    "ne": "!=",
    "and": "&&",
    "or": "||",
}
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_MATH = {"abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "rint": "rint", "copysign": "copysign"}


_POWERS = {
    "scale": """static {real} {full}({real} y, {real} n)
{{
    return n == n ? ldexp{f}(y, (int)n) : n;
}}
""",
    "exponent": """static {real} {full}({real} x)
{{
    int n;
    (void)frexp{f}(x, &n);
    return ({real})(n - 1);
}}
""",
    "mantissa": """static {real} {full}({real} x)
{{
    int n;
    return 2 * frexp{f}(x, &n);
}}
""",
}


def comment(text: str) -> str:
    """A text for a comment, which it neither ends, nor starts within, nor continues on another line."""
    shown = "".join([c if c.isascii() and c.isprintable() else "?" for c in text]).replace("\\", "/")
    return re.sub(r"(?<=[/*?])(?=[/*?])", " ", shown)


class Writer:
    """Programs as statements of C; `javascript.py` changes what is another in its language."""

    short, language = "c", "C"
    infix = _INFIX
    comparisons = _COMPARISONS
    most: int | None = None  # instructions of a row that stand in the program itself; as `lower` has it if None

    def __init__(self, name: str, real: Real, functions: Functions) -> None:
        self.name = name
        self.functions = unfused(functions) if real == "double" else "library"  # the polynomials are for doubles
        self.real = real
        self.suffix = "f" if real == "float" else ""
        self.helpers: list[str] = []  # pointers to library functions, and functions of rows
        self.known: set[str] = set()

    def declared(self, operation: str) -> str:
        return f"const {'int' if operation in CONDITIONS else self.real}"

    def head(self, kind: str, name: str, parameters: Sequence[tuple[str, str]]) -> str:
        return f"static {kind} {name}({', '.join([f'{each} {name}' for each, name in parameters])})"

    def arrays(self, names: str) -> list[tuple[str, str]]:
        return [(f"const {self.real} *" if name == "x" else f"{self.real} *", name) for name in names]

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

    def power(self, operation: str) -> str:
        full = f"{self.name}_{operation}"
        if full not in self.known:
            self.known.add(full)
            self.helpers.append(_POWERS[operation].format(full=full, f=self.suffix, real=self.real))
        return full

    def library(self, operation: str) -> str:
        full = f"{self.name}_{operation}"
        if full not in self.known:
            self.known.add(full)
            types = ", ".join([self.real] * (2 if operation in BINARY_LIBRARY else 1))
            self.helpers.append(f"static {self.real} (*const volatile {full})({types}) = {operation}{self.suffix};")
        return full

    def row(self, lowered: Lowered, row: str, prefix: str) -> str:
        """A function for the body of a row."""
        full = f"{prefix}_{row}"
        if full not in self.known:
            self.known.add(full)
            body = lowered.functions[row]
            lines = [self.head(self.real, full, [(f"const {self.real}", f"v{k}") for k in range(body.inputs)]), "{"]

            def value(k: int) -> str:
                return f"v{k}" if k >= 0 else self.constant(body.constants[~k])

            for k, (operation, operands) in enumerate(zip(body.operations, body.operands, strict=True)):
                expression = self.expression(lowered, operation, [value(p) for p in operands], prefix)
                lines.append(f"    {self.declared(operation)} v{body.inputs + k} = {expression};")
            unused = [f"v{k}" for k in range(body.inputs) if not any(k in each for each in body.operands)]
            self.helpers.append("\n".join([*lines, *self.unused(unused), f"    return {value(body.outputs[0])};", "}"]))
        return full

    def expression(self, lowered: Lowered, operation: str, given: Sequence[str], prefix: str) -> str:
        if operation in self.infix:
            return f"{given[0]} {self.infix[operation]} {given[1]}"
        if operation == "select":
            return f"{given[0]} ? {given[1]} : {given[2]}"
        if operation in ("neg", "not"):
            return f"{'-' if operation == 'neg' else '!'}{given[0]}"
        if operation in ("min", "max"):
            return f"{given[0]} {'<' if operation == 'min' else '>'} {given[1]} ? {given[0]} : {given[1]}"
        if operation in _POWERS:
            return f"{self.power(operation)}({', '.join(given)})"
        if operation == "nle":
            return f"!({given[0]} <= {given[1]})"
        if operation == "unordered":
            return f"isnan({given[0]})" if given[0] == given[1] else f"isunordered({given[0]}, {given[1]})"
        if operation in _MATH:
            name = _MATH[operation] + self.suffix
        elif is_call(operation):
            name = self.row(lowered, operation[5:], prefix)
        else:
            name = self.library(operation)
        return f"{name}({', '.join(given)})"

    def program(self, program: Program, captured: Sequence[float], full: str) -> None:
        """The functions of one trace: the pieces, and one that calls them in turn until a guard fails."""
        if program.has_blocks():
            Looped(self, full).write(program, captured)
            return
        lowered = lower(program, self.functions, self.most)
        if lowered.callbacks:
            names = ", ".join(sorted({row.name for row, _ in lowered.callbacks.values()}))
            raise TypeError(
                f"to_{self.short}: {names}: an operation written in Python has no {self.language} form; compose it of "
                "scalargrad's"
            )
        program = lowered.program
        first, own = program.inputs, program.inputs - len(captured)
        slot: dict[int, int] = {}
        ends: dict[int, list[tuple[str, int, str, int, str]]] = {}  # what follows the statements of a piece
        for g in program.guards:
            text = "if (!(" if g.outcome else "if (("
            at = (max(g.left, g.right, first) - first) // PIECE
            end = f")) return 1; /* {comment(g.line)} */"
            ends.setdefault(at, []).append((text, g.left, f" {self.comparisons[g.comparison]} ", g.right, end))
        zero = program.constant(0.0)
        for place, k in enumerate(program.outputs):
            at = max(k - first, 0) // PIECE
            ends.setdefault(at, []).append((f"y[{place}] = ", k, "", zero, ";"))
        pieces = range(0, max(len(program), 1), PIECE)
        for start in pieces:
            reads = [p for operands in program.operands[start : start + PIECE] for p in operands]
            reads += [p for _, a, _, b, _ in ends.get(start // PIECE, ()) for p in (a, b)]
            for p in [p for p in reads if first <= p < first + start]:
                slot.setdefault(p, len(slot))
        parts: list[str] = []
        for start in pieces:
            stop = min(start + PIECE, len(program))
            lines: list[str] = []

            def value(k: int, start: int = start) -> str:
                if k < 0:
                    return self.constant(program.constants[~k])
                if k < own:
                    return f"x[{k}]"
                if k < first:
                    return self.constant(captured[k - own])
                return f"v{k}" if k >= first + start else f"m[{slot[k]}]"

            for k in range(start, stop):
                operation = program.operations[k]
                given = [value(p) for p in program.operands[k]]
                expression = self.expression(lowered, operation, given, full)
                lines.append(f"    {self.declared(operation)} v{first + k} = {expression};")
                if first + k in slot:
                    lines.append(f"    m[{slot[first + k]}] = v{first + k};")
            for text, a, sign, b, end in ends.get(start // PIECE, ()):
                lines.append(f"    {text}{value(a)}{sign}{value(b) if sign else ''}{end}")
            part = f"{full}_{start // PIECE}"
            parts.append(part)
            head = self.head("int", part, self.arrays("xym"))
            self.helpers.append("\n".join([head, "{", *lines, *self.unused("xym"), "    return 0;", "}"]))
        calls = " || ".join(f"{part}(x, y, m)" for part in parts)
        head = self.head("int", full, self.arrays("xy"))
        memory = self.memory(full, max(len(slot), 1))
        self.helpers.append(f"{head}\n{{\n{memory}\n    return {calls};\n}}")

    # ---- what programs with loops need -------------------------------------------------------------------------------

    def frame(self, full: str, constants: str, known: int, size: int, cells: int) -> list[str]:
        """Memory for such a program, which begins with some constants."""
        self.helpers.append(f"static const {self.real} {full}_k[{max(known, 1)}] = {{{constants or '0'}}};")
        return [
            f"    {self.real} *f = ({self.real} *)calloc({size}, sizeof({self.real}));",
            f"    long p[{max(cells, 1)}] = {{0}}, i;",
            "    int s = 0;",
            "    if (!f) return 1;",
            f"    for (i = 0; i < {known}; i++) f[i] = {full}_k[i];",
            "    (void)p; (void)x; (void)y;",
        ]

    def left(self, code: int) -> str:
        """The end of such a program."""
        return f"{{ free(f); return {code}; }}"

    def part(self, at: int) -> str:
        """The memory from some place on."""
        return f"f + {at}"

    def whole(self, number: str) -> str:
        """A float that is an integer as one."""
        return f"(long){number}"

    def traces(self, programs: Sequence[Program], captured: Sequence[Sequence[float]]) -> tuple[int, int]:
        """The functions of all traces of one structure of arguments; how many inputs and outputs they have."""
        sizes = {(p.inputs - len(c), len(p.outputs)) for p, c in zip(programs, captured, strict=True)}
        if len({m for _, m in sizes}) > 1:
            raise ValueError(
                f"to_{self.short}: the traces have results of different structures; {self.language} needs one"
            )
        for k, (program, numbers) in enumerate(zip(programs, captured, strict=True)):
            self.program(program, numbers, f"{self.name}_trace{k}")
        return sizes.pop()


class Looped:
    """A program with loops: its segments as functions, and one that does the orders between them, in words that C and
    JavaScript have in common. Floats are in an array f, cells in p; where a jump leads is a case."""

    def __init__(self, writer: Writer, full: str) -> None:
        self.writer, self.full = writer, full
        self.lines: list[str] = []

    def write(self, program: Program, captured: Sequence[float]) -> None:
        """Write the functions of one trace."""
        writer, layout = self.writer, laid_out(program)
        if layout.foreign:
            names = ", ".join(sorted({each.name for each in layout.foreign}))
            raise TypeError(f"to_{writer.short}: {names}: a function of Python has no {writer.language} form")
        for k, segment in enumerate(layout.segments):
            writer.program(segment, (), f"{self.full}_s{k}")
        self.shift = len(layout.constants)
        own = program.inputs - len(captured)
        numbers = ", ".join(map(writer.constant, reversed(layout.constants)))
        for k, x in enumerate(captured, layout.inputs + own):
            self.line(f"{self.float(k)} = {writer.constant(x)};")
        self.line(f"for (i = 0; i < {own}; i++) {self.float(layout.inputs, 'i')} = x[i];")
        for order in layout.orders:
            getattr(self, "_" + order.what)(order)
        for output, start, count in layout.outputs:
            self.line(f"for (i = 0; i < {count}; i++) y[{output} + i] = {self.float(start, 'i')};")
        head = writer.head("int", self.full, writer.arrays("xy"))
        begin = writer.frame(self.full, numbers, self.shift, self.shift + layout.size + ALIGNED, layout.cells)
        body = [*begin, "    for (;;) switch (s) {", "    case 0:", *self.lines, f"    {writer.left(0)}", "    }"]
        writer.helpers.append("\n".join([head, "{", *body, "}"]))

    def line(self, text: str) -> None:
        self.lines.append(f"    {text}")

    def float(self, at: int, more: str = "") -> str:
        return f"f[{at + self.shift}{' + ' if more else ''}{more}]"

    def place(self, place: Place) -> str:
        return self.float(place.at, "i") if place.pointer is None else f"f[p[{place.pointer}] + {place.at} + i]"

    def _copy(self, order: Order) -> None:
        self.line(f"for (i = 0; i < {order.c}; i++) {self.place(order.b)} = {self.place(order.a)};")

    def _fill(self, order: Order) -> None:
        self.line(f"for (i = 0; i < {order.c}; i++) {self.float(order.b, 'i')} = {self.float(order.a)};")

    def _point(self, order: Order) -> None:
        self.line(f"p[{order.a}] = {order.b + self.shift};")

    def _point_last(self, order: Order) -> None:
        self.line(f"p[{order.a}] = {order.b + self.shift} + (p[{order.d}] - 1) * {order.c};")

    def _advance(self, order: Order) -> None:
        self.line(f"p[{order.a}] += {order.b};")

    def _segment(self, order: Order) -> None:
        x, y = (self.writer.part(at + self.shift) for at in (order.b, order.c))
        self.line(f"if ({self.full}_s{order.a}({x}, {y})) {self.writer.left(1)}")

    def _set(self, order: Order) -> None:
        self.line(f"p[{order.a}] = {order.b};")

    def _read(self, order: Order) -> None:
        self.line(f"p[{order.a}] = {self.writer.whole(self.float(order.b))};")

    def _write(self, order: Order) -> None:
        self.line(f"{self.float(order.b)} = p[{order.a}];")

    def _increment(self, order: Order) -> None:
        self.line(f"p[{order.a}] += 1;")

    def _label(self, order: Order) -> None:
        self.lines += ["    /* fall through */", f"    case {order.a + 1}:"]

    def to(self, label: int) -> str:
        return f"{{ s = {label + 1}; continue; }}"

    def _jump(self, order: Order) -> None:
        self.line(self.to(order.a))

    def _unless(self, order: Order) -> None:
        self.line(f"if ({self.float(order.a)} {self.writer.comparisons['eq']} 0) {self.to(order.b)}")

    def _repeat(self, order: Order) -> None:
        self.line(f"p[{order.a}] -= 1;")
        self.line(f"if (p[{order.a}] {self.writer.comparisons['ne']} 0) {self.to(order.b)}")

    def _none(self, order: Order) -> None:
        self.line(f"if (p[{order.a}] <= 0) {self.to(order.b)}")

    def _limit(self, order: Order) -> None:
        self.line(f"if (p[{order.a}] {self.writer.comparisons['eq']} {order.b}) {self.writer.left(1)}")


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
    inputs, outputs = writer.traces(programs, captured)
    names = programs[0].names[:inputs]
    upper = name.upper()
    guard = f"{upper}_H"
    about = "\n".join(f" *   x[{k}]  {comment(text)}" for k, text in enumerate(names[:50]))
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
#ifndef {guard}
#define {guard}

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
    tries = "\n".join(f"    if (!{name}_trace{k}(x, y)) return 0;" for k in range(len(programs)))
    memory = "\n#include <stdlib.h>" if any(each.has_blocks() for each in programs) else ""
    text = f"""/* Made by scalargrad. */
#include "{name}.h"

#include <math.h>{memory}

#ifdef __FAST_MATH__
#error "-ffast-math changes results: inf, nan and the order of operations count here"
#endif

{chr(10).join(writer.helpers)}

int {name}(const {real} *x, {real} *y)
{{
{tries}
    return 1;
}}
{defined}"""
    return header, text
