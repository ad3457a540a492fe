"""Programs as Python source: one statement an instruction, readable, with the user's names, standard library only.

This backend is always there. The source is registered in `linecache`, so that a debugger steps into it and a traceback
shows it. What has no name of the user's gets one that is free again after its last use: a float whose name is taken
over is freed at once, and its memory is used again while it is in the cache, which makes such source twice as fast.
Large programs become several functions, which share a list, because CPython's compiler takes memory by the function.
"""

from __future__ import annotations

import itertools
import keyword
import linecache
import re
import unicodedata
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import chain
from math import inf, isfinite, nan, sqrt
from typing import Any

from ...engine import ieee, table
from ...engine.primitive import Primitive
from ...engine.several import Output
from ...functions import primitives, values
from ..ir.elementary import EVALUATE
from ..ir.loops import Block
from ..ir.lowering import Functions, body_of, unfused
from ..ir.program import Guard, Program

# What is true where a row is 1; elsewhere it is 0.
_TESTS: dict[Primitive, str] = {
    primitives.lt: "{0} < {1}",
    primitives.le: "{0} <= {1}",
    primitives.eq: "{0} == {1}",
    primitives.ne: "{0} != {1}",
    primitives.both: "{0} and {1}",
    primitives.either: "{0} or {1}",
    primitives.is_nonzero: "{0}",
    primitives.is_zero: "not {0}",
}
# How many operands of a row, the first ones, are asked for nothing but their truth.
_TRUTHS = {
    primitives.where: 1,
    primitives.both: 2,
    primitives.either: 2,
    primitives.is_nonzero: 1,
    primitives.is_zero: 1,
}
# One expression for each row that has one in plain Python with the same bits; every other row is called.
_EXPRESSIONS: dict[Primitive, str] = {
    table.add: "{0} + {1}",
    table.sub: "{0} - {1}",
    table.mul: "{0} * {1}",
    table.neg: "-{0}",
    table.abs: "abs({0})",
    table.div: "{0} / {1} if {1} else div({0}, {1})",
    table.chain: "{0} * {1} if {0} else 0.0",
    table.gate: "{0} * {1} if {0} and {1} else 0.0",
    table.sqrt: "sqrt({0}) if {0} >= 0.0 else nan",
    table.relu: "{0} if {0} > 0.0 or {0} != {0} else 0.0",
    table.step: "1.0 if {0} > 0.0 else 0.0 if {0} <= 0.0 else nan",
    primitives.where: "{1} if {0} else {2}",
    primitives.less: "1.0 if {0} < {1} else 0.0 if {0} >= {1} else nan",
    **{row: f"1.0 if {test} else 0.0" for row, test in _TESTS.items()},
}
_SUMS: dict[Primitive, Callable[[Sequence[str]], str]] = {
    primitives.sum: " + ".join,
    primitives.prod: " * ".join,
    primitives.dot: lambda xs: " + ".join(map("{} * {}".format, xs[: len(xs) // 2], xs[len(xs) // 2 :])),
    # No name of the user's begins with an underscore.
    primitives.mean: lambda xs: f"(_s / {len(xs)} if -inf < (_s := {' + '.join(xs)}) < inf else mean({', '.join(xs)}))",
}
_INFIX = {"add": "+", "sub": "-", "mul": "*"}
_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
MOST_FUSED = 12  # operands of an expression with tests inside
LONGEST_SUM = 100  # terms in one expression: the parser recurses on them
PIECE = 20_000  # statements in one function
_numbers = itertools.count(1)


def _expression(row: Primitive, operands: Sequence[str]) -> str | None:
    if row is table.div and operands[1].strip("(-)")[0].isdigit() and float(operands[1].strip("()")) != 0.0:
        return f"{operands[0]} / {operands[1]}"
    pattern = _EXPRESSIONS.get(row)
    if pattern is not None:
        return pattern.format(*operands)
    if row.name == "detached":
        return operands[0]
    if isinstance(row, Output):
        return f"{operands[0]}[{row.k}]"
    return _SUMS[row](operands) if row in _SUMS and 0 < len(operands) <= LONGEST_SUM else None


def _identifier(text: str) -> str:
    """A name like the text, in the form in which Python keeps names (NFKC)."""
    characters = [c if f"v{c}".isidentifier() else " " for c in unicodedata.normalize("NFKC", text)]
    name = re.sub(" +", "_", "".join(characters)).strip("_")
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"v_{name}" if name else "v"


class _Writer:
    def __init__(self, program: Program, name: str, functions: Functions) -> None:
        self.program = program
        self.functions = unfused(functions)
        self.scope: dict[str, Any] = {"inf": inf, "nan": nan, "sqrt": sqrt, "div": ieee.div, "mean": values.mean}
        self.taken = {*self.scope, "abs", "inputs", "m"}  # what expressions, and functions around them, refer to
        self.name = self.give(name)
        self.named: dict[int, str] = {k: self.give(text) for k, text in enumerate(program.names)}
        self.named.update({k: self.give(text) for k, text in program.labels.items() if k >= program.inputs})
        self.kept = frozenset(self.named)
        self.free: list[tuple[int, str, str]] = []  # names of values that are not used any more, by length and number
        self.count = 0
        self.called: dict[Primitive, str] = {}
        self.tests: dict[int, list[Guard]] = {}  # guards, by the instruction behind which they can be checked
        for guard in program.guards:
            last = max(guard.left, guard.right, program.inputs - 1) - program.inputs
            self.tests.setdefault(last, []).append(guard)
        self.fused: set[int] = set()  # tests that stand inside the one expression that asks for them
        self.operands = list(program.operands)  # with those of the tests inside
        self.fuse()

    def fuse(self) -> None:
        program, first = self.program, self.program.inputs
        uses = Counter(chain(program.roots(), *program.operands))
        for k, (row, operands) in enumerate(zip(program.operations, program.operands, strict=True)):
            for p in operands[: _TRUTHS.get(row, 0)]:
                if p < first or uses[p] != 1 or p in self.kept or program.operations[p - first] not in _TESTS:
                    continue
                at = self.operands[k].index(p)
                given = (*self.operands[k][:at], *self.operands[p - first], *self.operands[k][at + 1 :])
                if len(given) <= MOST_FUSED:
                    self.operands[k] = given
                    self.fused.add(p)

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
        return self.named[k]

    def define(self, k: int) -> str:
        """A name for a value that has none, which may have been another's before."""
        if k not in self.kept:
            if self.free:
                self.named[k] = heappop(self.free)[2]
            else:
                self.count += 1
                self.named[k] = self.give(f"v{self.count}")
        return self.named[k]

    def release(self, k: int) -> None:
        if k not in self.kept:
            name = self.named.pop(k)
            heappush(self.free, (len(name), name, name))

    def last_uses(self, start: int, stop: int) -> dict[int, int]:
        """For values that are used by instructions from start to stop or by guards behind those: the last of these."""
        last: dict[int, int] = {}
        for k in range(start, stop):
            for p in () if self.program.inputs + k in self.fused else self.operands[k]:
                last[p] = k
            for g in self.tests.get(k, ()):
                last[g.left] = last[g.right] = k
        return last

    def test(self, v: int) -> str:
        k = v - self.program.inputs
        operands = [self.test(p) if p in self.fused else self.value(p) for p in self.program.operands[k]]
        return f"({_TESTS[self.program.operations[k]].format(*operands)})"

    def expression(self, k: int) -> str:
        row = self.program.operations[k]
        operands = [self.test(p) if p in self.fused else self.value(p) for p in self.program.operands[k]]
        short = _expression(row, operands)
        if short is not None:
            return short
        name = self.called.get(row)
        if name is None:
            name = self.called[row] = self.give(row.name)
            self.scope[name] = value_of(row, len(operands), self.functions)
        return f"{name}({', '.join(operands)})"

    def checks(self, k: int, failed: str) -> Iterator[str]:
        """The guards behind instruction k; k is -1 for those on inputs alone."""
        for guard in self.tests.get(k, ()):
            test = f"{self.value(guard.left)} {_SIGNS[guard.comparison]} {self.value(guard.right)}"
            line = "".join([c if c.isprintable() else " " for c in guard.line])
            comment = f"  # {line}" if line else ""
            yield f"    if {f'not {test}' if guard.outcome else test}: return {failed}{comment}"

    def whole(self) -> list[str]:
        program = self.program
        inputs = "".join(f"{self.value(k)}, " for k in range(program.inputs))
        lines = [f"def {self.name}(inputs):", f"    {inputs or '()'} = inputs", *self.checks(-1, "None")]
        last = self.last_uses(0, len(program))
        last.update(dict.fromkeys(program.outputs, -1))
        self.statements(0, len(program), last, lines, {}, "None")
        return [*lines, f"    return [{', '.join(map(self.value, program.outputs))}]"]

    def statements(
        self, start: int, stop: int, last: dict[int, int], lines: list[str], slot: dict[int, int], failed: str
    ) -> None:
        """A statement for every instruction from start to stop, and the guards between."""
        for k in range(start, stop):
            v = self.program.inputs + k
            done: tuple[int, ...] = ()
            if v not in self.fused:
                expression = self.expression(k)
                keep = f"m[{slot[v]}] = " if v in slot else ""
                lines.append(f"    {keep}{self.define(v)} = {expression}")
                done = self.operands[k]
            if k in self.tests:
                lines += self.checks(k, failed)
                done = (*done, *(p for g in self.tests[k] for p in (g.left, g.right)), v)
            for p in dict.fromkeys(done):
                if p >= 0 and last.get(p) == k:
                    self.release(p)
            if v not in last and v not in self.fused:  # only what is behind this piece uses it
                self.release(v)

    def pieces(self) -> list[str]:
        """Several functions that share a list `m`: the inputs, and every value that leaves the piece it is made in."""
        program, first = self.program, self.program.inputs
        piece = dict.fromkeys(range(first), -1) | {first + k: k // PIECE for k in range(len(program))}
        slot = {k: k for k in range(first)}

        def used(at: int, k: int) -> None:
            if k >= 0 and piece[k] != at:
                slot.setdefault(k, len(slot))

        for k, operands in enumerate(self.operands):
            for p in () if first + k in self.fused else operands:
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
            stop = min(start + PIECE, len(program))
            last = self.last_uses(start, stop)
            first_tests = self.tests.get(-1, []) if start == 0 else []
            outside = {p: None for g in first_tests for p in (g.left, g.right) if p >= 0}
            outside.update({p: None for p in last if p >= 0 and piece[p] != start // PIECE})
            loads = [f"    {self.define(p)} = m[{slot[p]}]" for p in outside]
            body = list(self.checks(-1, "True")) if start == 0 else []
            self.statements(start, stop, last, body, slot, "True")
            parts.append(self.give(f"{self.name}_{start // PIECE + 1}"))
            lines += [f"def {parts[-1]}(m):", *loads, *body, "    return False", ""]
        results = [f"m[{slot[p]}]" if p >= 0 else self.value(p) for p in program.outputs]
        lines += [f"def {self.name}(inputs):", f"    m = [*inputs, *[0.0] * {len(slot) - first}]"]
        lines += [f"    if {part}(m): return None" for part in parts]
        return [*lines, f"    return [{', '.join(results)}]"]


def value_of(row: Primitive, count: int, functions: Functions) -> Callable[..., float]:
    """A row's value, as it is computed with those elementary functions."""
    if isinstance(row, Block):
        block, keep = row, getattr(row, "keeps", False)
        return lambda *operands: block.run(operands, keep, functions)  # type: ignore[return-value]
    if functions == "library":
        return row.compute
    found = body_of(row, count, functions)
    if found is None or found is body_of(row, count, "library"):
        return row.compute
    names = [f"x{k}" for k in range(found.inputs + len(found))]
    lines = [f"def value({', '.join(names[:count])}):"]
    scope: dict[str, Any] = {"inf": inf, "nan": nan}
    for k, (operation, operands) in enumerate(zip(found.operations, found.operands, strict=True)):
        scope[f"{operation}_"] = EVALUATE[operation]
        given = [names[p] if p >= 0 else f"({found.constants[~p]!r})" for p in operands]
        text = f" {_INFIX[operation]} ".join(given) if operation in _INFIX else f"{operation}_({', '.join(given)})"
        lines.append(f"    {names[count + k]} = {text}")
    exec("\n".join([*lines, f"    return {names[found.outputs[0]]}"]), scope)
    made: Callable[..., float] = scope["value"]
    return made


def _written(program: Program, name: str, functions: Functions) -> tuple[str, _Writer]:
    writer = _Writer(program, name, functions)
    lines = writer.whole() if len(program) <= PIECE else writer.pieces()
    return "\n".join(lines) + "\n", writer


def source(program: Program, name: str = "f", functions: Functions = "library") -> tuple[str, dict[str, Any]]:
    """The program as Python source, and the functions that the source refers to.

    The source defines a function of one sequence of floats, the inputs, that returns the list of outputs, or None where
    a guard does not hold. It has that name, or one like it where the source calls something of that name.
    """
    text, writer = _written(program, name, functions)
    return text, writer.scope


def build(
    program: Program, name: str = "f", functions: Functions = "library"
) -> Callable[[Sequence[float]], list[float] | None]:
    """The program as a Python function, whose source debuggers and tracebacks find."""
    text, writer = _written(program, name, functions)
    file = f"<scalargrad compiled {writer.name} {next(_numbers)}>"
    exec(compile(text, file, "exec"), writer.scope)
    function: Callable[[Sequence[float]], list[float] | None] = writer.scope.pop(writer.name)  # freed at once
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    weakref.finalize(function, linecache.cache.pop, file, None)
    return function
