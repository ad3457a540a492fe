"""The values of a program, numbered by what computes them: equal ones have one number.

The steps in which a processor comes to an operation (a sign is flipped by a mask, `scale` is five instructions) are
numbered as well, so that `check.py` can look up each instruction that it meets.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from scalargrad.compiler.ir.program import Guard, Program

Under = frozenset[tuple[int, bool]]  # conditions and their outcomes
Held = int | tuple[int, Under] | None  # a value's number; with conditions under which alone it is that; not known
ALWAYS: Under = frozenset()
SIGN, MAGNITUDE, ALL, FRACTION = 1 << 63, (1 << 63) - 1, (1 << 64) - 1, (1 << 52) - 1


class AllocationError(AssertionError):
    """Machine code does something else than its program says."""


def bits(x: float) -> int:
    found: int = struct.unpack("<Q", struct.pack("<d", x))[0]
    return found


# ---- what is to be computed ------------------------------------------------------------------------------------------

SYMMETRIC = frozenset(("add", "mul", "&", "|", "^", "kand", "kor", "eq", "ne", "unordered"))


class Terms:
    """The values of a program by what computes them: `(operation, numbers of operands)` to a number."""

    def __init__(self, program: Program, lanes: int) -> None:
        self.program, self.lanes = program, lanes
        self.table: dict[tuple[Any, ...], int] = {}
        self.names: list[str] = []
        self.constants: dict[int, int] = {}
        self.choices: dict[int, tuple[int, int, int]] = {}  # selections: condition, where it holds, else
        self.wanted: list[int] = []  # by instruction
        self.inputs = [self.new(f"input {k}") for k in range(program.inputs)]
        numbers = list(self.inputs)
        self.known = [self.constant(bits(c)) for c in program.constants]
        for i, operation in enumerate(program.operations):
            operands = [numbers[p] if p >= 0 else self.known[~p] for p in program.operands[i]]
            first = len(self.names)
            made = self.put(operation, operands)
            for k in range(first, len(self.names)):
                self.names[k] = f"value {program.inputs + i} ({operation})" if k == made else f"a step of {operation}"
            numbers.append(made)
            self.wanted.append(made)
        self.outputs = [numbers[p] if p >= 0 else self.known[~p] for p in program.outputs]
        self.guards = [self.guard(g, numbers) for g in program.guards]

    def new(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def constant(self, pattern: int) -> int:
        found = self.constants.get(pattern)
        if found is None:
            x = struct.unpack("<d", struct.pack("<Q", pattern))[0]
            found = self.constants[pattern] = self.new(f"constant {x!r}")
        return found

    def term(self, operation: str, *operands: int) -> int:
        """The number of a value, which is new if it is not known."""
        key = (operation, *sorted(operands)) if operation in SYMMETRIC else (operation, *operands)
        found = self.table.get(key)
        if found is None:
            found = self.table[key] = self.new(operation)
        return found

    def put(self, operation: str, given: Sequence[int]) -> int:
        """The number of an operation's result, with all the steps in which a processor comes to it."""
        term, constant = self.term, self.constant
        match operation:
            case "and" | "or":
                return term(("&" if operation == "and" else "|") if self.lanes == 1 else f"k{operation}", *given)
            case "not":
                return term("^", *given, constant(ALL)) if self.lanes == 1 else term("knot", *given)
            case "neg":
                return term("^", *given, constant(SIGN))
            case "abs":
                return term("&", *given, constant(MAGNITUDE))
            case "copysign":
                a, b = given
                return term("|", term("&", a, constant(MAGNITUDE)), term("&", b, constant(SIGN)))
            case "exponent":
                shifted = term("|", term("shift right", *given), constant(bits(2.0**52)))
                return term("sub", shifted, constant(bits(2.0**52 + 1023.0)))
            case "mantissa":
                return term("|", term("&", *given, constant(FRACTION)), constant(bits(1.0)))
            case "scale":
                return self.scale(*given)
            case "select":
                return self.select(*given)
            case "fma" | "fms" | "fnma":
                a, b, c = given
                return term(operation, *sorted((a, b)), c)
        return term(operation, *given)

    def scale(self, a: int, n: int) -> int:
        term, constant = self.term, self.constant
        if self.lanes > 1:
            return term("scale", a, n)
        half = term("floor", term("mul", constant(bits(0.5)), n))
        known = constant(bits(2.0**52 + 1023.0))
        first, second = (
            term("shift left", term("add", each, known)) for each in (half, term("sub", n, half))
        )  # fmt: skip
        return term("mul", second, term("mul", a, first))

    def select(self, c: int, a: int, b: int) -> int:
        made = self.term("blend", c, a, b)
        self.choices[made] = c, a, b
        if self.lanes == 1:  # with a zero, a selection is a bitwise operation
            zero = self.constant(0)
            if b == zero:
                self.table.setdefault(("&", *sorted((c, a))), made)
            if a == zero:
                self.table.setdefault(("andn", c, b), made)
        return made

    def guard(self, g: Guard, numbers: Sequence[int]) -> tuple[int, int, frozenset[str]] | tuple[int, bool]:
        """For one float: two values, and the relations between them that are a failure. For eight: a condition."""
        left, right = (numbers[p] if p >= 0 else self.known[~p] for p in (g.left, g.right))
        if self.lanes == 1:
            holds = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=", "ne": "<>?"}[g.comparison]
            failing = frozenset("<=>?") - frozenset(holds) if g.outcome else frozenset(holds)
            return ordered(left, right, failing)
        if g.comparison in ("gt", "ge"):
            return self.term({"gt": "lt", "ge": "le"}[g.comparison], right, left), g.outcome
        return self.term(g.comparison, left, right), g.outcome

    def show(self, held: Held) -> str:
        if held is None:
            return "nothing known"
        if isinstance(held, int):
            return self.names[held]
        cases = " and ".join(f"{self.names[c]} is {str(outcome).lower()}" for c, outcome in sorted(held[1]))
        return f"{self.names[held[0]]}, but only where {cases}"


def ordered(left: int, right: int, failing: frozenset[str]) -> tuple[int, int, frozenset[str]]:
    """One form for a relation and its mirror image."""
    if left > right:
        return right, left, frozenset(each.translate(str.maketrans("<>", "><")) for each in failing)
    return left, right, failing - frozenset("<>") if left == right else failing
