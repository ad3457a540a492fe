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
from ..ir.lowering import Functions, Lowered, is_call, lower
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
        self.functions: Functions = functions if real == "double" else "library"  # the polynomials are for doubles
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
            for p in reads:
                if first <= p < first + start:
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
    header = f"""/* {name}: made by scalargrad. Compile with -std=c99, or -ffp-contract=off, for the bits of Python.
 *
 * Takes {inputs} inputs x and writes {outputs} outputs y. Returns 0, or 1 where the inputs take a branch that was
 * not traced; y is then undefined.
 *
{about}
 */
#ifndef {guard}
#define {guard}

#define {upper}_INPUTS {inputs}
#define {upper}_OUTPUTS {outputs}

#ifdef __cplusplus
extern "C" {{
#endif
int {name}(const {real} *x, {real} *y);
#ifdef __cplusplus
}}
#endif

#endif
"""
    tries = "\n".join(f"    if (!{name}_trace{k}(x, y)) return 0;" for k in range(len(programs)))
    text = f"""/* Made by scalargrad. */
#include "{name}.h"

#include <math.h>

#ifdef __FAST_MATH__
#error "-ffast-math changes results: inf, nan and the order of operations count here"
#endif

{chr(10).join(writer.helpers)}

int {name}(const {real} *x, {real} *y)
{{
{tries}
    return 1;
}}
"""
    return header, text
