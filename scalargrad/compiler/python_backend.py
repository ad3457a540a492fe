"""Programs as Python source: one statement an instruction, readable, with the user's names, standard library only.

It stands apart as the backend that is always there. The source is registered in `linecache`, so that a debugger steps
into it and a traceback shows it. Large programs become several functions, which share a list: CPython's compiler takes
time and stack that grow faster than a function.
"""

from __future__ import annotations

import itertools
import keyword
import linecache
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from math import inf, isfinite, nan, sqrt
from typing import Any

from .. import ieee
from .. import primitives as table
from ..primitives import Primitive
from .program import Guard, Program, gate

# One expression for each row that has one in plain Python with the same bits; every other row is called.
_EXPRESSIONS: dict[Primitive, str] = {
    table.add: "{0} + {1}",
    table.sub: "{0} - {1}",
    table.mul: "{0} * {1}",
    table.neg: "-{0}",
    table.abs: "abs({0})",
    table.div: "{0} / {1} if {1} else div({0}, {1})",
    table.chain: "{0} * {1} if {0} else 0.0",
    gate: "{0} * {1} if {0} and {1} else 0.0",
    table.sqrt: "sqrt({0}) if {0} >= 0.0 else nan",
    table.relu: "{0} if {0} > 0.0 or {0} != {0} else 0.0",
    table.step: "1.0 if {0} > 0.0 else 0.0 if {0} <= 0.0 else nan",
    table.where: "{1} if {0} else {2}",
    table.less: "1.0 if {0} < {1} else 0.0 if {0} >= {1} else nan",
    table.is_nonzero: "1.0 if {0} else 0.0",
    table.is_zero: "0.0 if {0} else 1.0",
}
_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
LONGEST_SUM = 100  # terms in one expression: the parser recurses on them
PIECE = 2000  # statements in one function
_numbers = itertools.count(1)


def _expression(row: Primitive, operands: Sequence[str]) -> str | None:
    if row is table.div and operands[1].strip("(-)")[0].isdigit() and float(operands[1].strip("()")) != 0.0:
        return f"{operands[0]} / {operands[1]}"
    pattern = _EXPRESSIONS.get(row)
    if pattern is not None:
        return pattern.format(*operands)
    n = len(operands)
    if not 0 < n <= LONGEST_SUM:
        return None
    if row is table.sum:
        return " + ".join(operands)
    if row is table.mean:
        return f"({' + '.join(operands)}) / {n}"
    if row is table.dot:
        return " + ".join(f"{x} * {w}" for x, w in zip(operands[: n // 2], operands[n // 2 :], strict=True))
    if row is table.prod:
        return " * ".join(operands)
    return None


def _identifier(text: str) -> str:
    name = re.sub(r"\W+", "_", text).strip("_")
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"v_{name}" if name else "v"


class _Writer:
    """The source of one program, under construction."""

    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.name = name
        self.scope: dict[str, Any] = {"inf": inf, "nan": nan, "sqrt": sqrt, "div": ieee.div}
        self.taken = {*self.scope, "abs", "inputs", "m", name}
        self.named: dict[int, str] = {k: self.give(text) for k, text in enumerate(program.names)}
        self.named.update({k: self.give(text) for k, text in program.labels.items() if k >= program.inputs})
        self.called: dict[Primitive, str] = {}
        self.tests: dict[int, list[Guard]] = {}  # guards, by the instruction behind which they can be checked
        for guard in program.guards:
            last = max(guard.left, guard.right, program.inputs - 1) - program.inputs
            self.tests.setdefault(last, []).append(guard)

    def give(self, text: str) -> str:
        """A name like the text that nothing else has."""
        name = wanted = _identifier(text)
        for suffix in itertools.count(2):
            if name not in self.taken:
                break
            name = f"{wanted}_{suffix}"
        self.taken.add(name)
        return name

    def value(self, k: int) -> str:
        if k < 0:
            c = self.program.constants[~k]
            return repr(c) if isfinite(c) and not repr(c).startswith("-") else f"({c!r})"
        name = self.named.get(k)
        if name is None:
            name = self.named[k] = self.give(f"v{k - self.program.inputs + 1}")
        return name

    def expression(self, k: int) -> str:
        row = self.program.operations[k]
        operands = [self.value(p) for p in self.program.operands[k]]
        short = _expression(row, operands)
        if short is not None:
            return short
        name = self.called.get(row)
        if name is None:
            name = self.called[row] = self.give(row.name)
            self.scope[name] = row.compute
        return f"{name}({', '.join(operands)})"

    def checks(self, k: int, failed: str) -> Iterator[str]:
        """The guards behind instruction k; k is -1 for those on inputs alone."""
        for guard in self.tests.get(k, ()):
            test = f"{self.value(guard.left)} {_SIGNS[guard.comparison]} {self.value(guard.right)}"
            comment = "  # " + guard.line.replace("\n", " ") if guard.line else ""
            yield f"    if {f'not {test}' if guard.outcome else test}: return {failed}{comment}"

    def whole(self) -> list[str]:
        """One function."""
        program = self.program
        inputs = "".join(f"{self.value(k)}, " for k in range(program.inputs))
        lines = [f"def {self.name}(inputs):", f"    {inputs or '()'} = inputs", *self.checks(-1, "None")]
        for k in range(len(program)):
            lines.append(f"    {self.value(program.inputs + k)} = {self.expression(k)}")
            lines += self.checks(k, "None")
        return [*lines, f"    return [{', '.join(map(self.value, program.outputs))}]"]

    def pieces(self) -> list[str]:
        """Several functions that share a list `m`: the inputs, and every value that leaves the piece it is made in."""
        program, first = self.program, self.program.inputs
        piece = dict.fromkeys(range(first), -1) | {first + k: k // PIECE for k in range(len(program))}
        slot = {k: k for k in range(first)}

        def used(at: int, k: int) -> None:
            if k >= 0 and piece[k] != at:
                slot.setdefault(k, len(slot))

        for k, operands in enumerate(program.operands):
            for p in operands:
                used(k // PIECE, p)
        for k, guards in self.tests.items():
            for guard in guards:
                used(max(k, 0) // PIECE, guard.left)
                used(max(k, 0) // PIECE, guard.right)
        for p in program.outputs:
            used(-2, p)
        lines: list[str] = []
        parts: list[str] = []
        for start in range(0, len(program), PIECE):
            body: list[str] = list(self.checks(-1, "True")) if start == 0 else []
            first_tests = self.tests.get(-1, []) if start == 0 else []
            outside = dict.fromkeys(p for g in first_tests for p in (g.left, g.right) if p >= 0)
            for k in range(start, min(start + PIECE, len(program))):
                guards = self.tests.get(k, [])
                reads = (*program.operands[k], *(p for g in guards for p in (g.left, g.right)))
                outside.update(dict.fromkeys(p for p in reads if p >= 0 and piece[p] != start // PIECE))
                name = self.value(first + k)
                keep = f"m[{slot[first + k]}] = " if first + k in slot else ""
                body.append(f"    {keep}{name} = {self.expression(k)}")
                body += self.checks(k, "True")
            parts.append(self.give(f"{self.name}_{start // PIECE + 1}"))
            loads = [f"    {self.value(p)} = m[{slot[p]}]" for p in outside]
            lines += [f"def {parts[-1]}(m):", *loads, *body, "    return False", ""]
        results = [f"m[{slot[p]}]" if p >= 0 else self.value(p) for p in program.outputs]
        lines += [f"def {self.name}(inputs):", f"    m = [*inputs, *[0.0] * {len(slot) - first}]"]
        lines += [f"    if {part}(m): return None" for part in parts]
        return [*lines, f"    return [{', '.join(results)}]"]


def source(program: Program, name: str = "f") -> tuple[str, dict[str, Any]]:
    """The program as Python source, and the functions that the source refers to.

    The source defines a function of one sequence of floats, the inputs, that returns the list of outputs, or None where
    a guard does not hold.
    """
    writer = _Writer(program, _identifier(name))
    lines = writer.whole() if len(program) <= PIECE else writer.pieces()
    return "\n".join(lines) + "\n", writer.scope


def build(program: Program, name: str = "f") -> Callable[[Sequence[float]], list[float] | None]:
    """The program as a Python function, whose source debuggers and tracebacks find."""
    text, scope = source(program, name)
    file = f"<scalargrad compiled {name} {next(_numbers)}>"
    exec(compile(text, file, "exec"), scope)
    function: Callable[[Sequence[float]], list[float] | None] = scope[_identifier(name)]
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    weakref.finalize(function, linecache.cache.pop, file, None)
    return function
