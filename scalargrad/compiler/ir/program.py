"""A straight-line program: inputs, constants, instructions in order, outputs, and the guards under which it holds.

What a trace becomes and what every backend reads, and all that a pickle of a compiled function keeps. Operands are
numbers: `0, 1, ...` are the inputs and then the instructions, `-1, -2, ...` the constants. An operation is a row of the
table, or, after `lowering.py`, the name of an elementary operation.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import compress
from math import copysign, isfinite
from typing import Any, NamedTuple

from ...engine import table
from ...engine.primitive import Primitive
from ...functions import primitives

Operation = Any  # a Primitive, or the name of an elementary operation


class Guard(NamedTuple):
    """A comparison that the traced function made: `left comparison right` was `outcome`, on that line of its code."""

    comparison: str  # "lt", "le", "gt", "ge", "eq", "ne"
    left: int
    right: int
    outcome: bool
    line: str


def bits(x: float) -> bytes:
    """A float's bits: what tells 0.0 from -0.0, and knows nan from itself."""
    return struct.pack("<d", x)


class Program:
    """Instructions under construction, or finished. Equal instructions on equal operands are kept once."""

    def __init__(
        self,
        inputs: int,
        names: Sequence[str] = (),
        constants: Sequence[float] = (),
        operations: Sequence[Operation] = (),
        operands: Sequence[tuple[int, ...]] = (),
    ) -> None:
        self.inputs = inputs
        self.names = list(names)  # of the inputs
        self.constants = list(constants)
        self.operations = list(operations)
        self.operands = list(operands)
        self.outputs: list[int] = []
        self.guards: list[Guard] = []
        self.labels: dict[int, str] = {}  # names that users gave to instructions
        self.shortened = False  # whether `emit_short` may have left instructions that nothing depends on
        self._index()

    def _index(self) -> None:
        self._constant: dict[bytes, int] = {bits(x): ~k for k, x in enumerate(self.constants)}
        self._known: defaultdict[Operation, dict[tuple[int, ...], int]] = defaultdict(dict)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._index()

    def __len__(self) -> int:
        return len(self.operations)

    def constant(self, x: float) -> int:
        """The number of a constant."""
        key = bits(x)
        found = self._constant.get(key)
        if found is None:
            found = self._constant[key] = ~len(self.constants)
            self.constants.append(x)
        return found

    def emit(self, operation: Operation, operands: tuple[int, ...]) -> int:
        """The number of that instruction's result; the instruction is added if it is new."""
        known = self._known[operation]
        found = known.get(operands)
        if found is None:
            found = known[operands] = self.inputs + len(self.operations)
            self.operations.append(operation)
            self.operands.append(operands)
        return found

    def record(self, row: Primitive, operands: tuple[int, ...]) -> int:
        """As `emit`, of a row of the table: what is a number already, or has a shorter form of the same bits, goes."""
        if row is table.identity:
            return operands[0]
        if max(operands, default=-1) < 0 and not row.several:
            return self.constant(row.compute(*[self.constants[~k] for k in operands]))
        if row is table.chain:  # upstream x local, where the upstream gradient is zero: zero
            u, d = operands
            if (u < 0 and self.constants[~u] != 0.0) or (d < 0 and isfinite(self.constants[~d])):
                row = table.mul
        if row is table.mul:  # by one: the other
            for one, other in (operands, operands[::-1]):
                if one < 0 and self.constants[~one] == 1.0:
                    return other
        return self.emit(row, operands)

    def take_guards(self, guards: Iterable[Guard]) -> None:
        """Have those guards, each once, and none that always holds."""
        seen = {(g.comparison, g.left, g.right): g for g in reversed(list(guards)) if g.left >= 0 or g.right >= 0}
        self.guards = list(reversed(seen.values()))

    def needed(self, ends: Iterable[int]) -> bytearray:
        """Which values those depend on, or a loop that may fail; constants are found from the end."""
        needed = bytearray(self.inputs + len(self.operations) + len(self.constants))
        for k in ends:
            needed[k] = 1
        for k in range(len(self.operations) - 1, -1, -1):
            if needed[self.inputs + k] or getattr(self.operations[k], "fails", False):
                needed[self.inputs + k] = 1
                for p in self.operands[k]:
                    needed[p] = 1
        return needed

    def has_blocks(self) -> bool:
        """Whether there are loops or calls among the instructions."""
        return any(getattr(row, "several", False) for row in set(self.operations))

    def fails(self) -> bool:
        """Whether it may come to no end: by a loop that goes on too long, or a function of Python's."""
        return any(getattr(row, "fails", False) for row in self.operations)

    def roots(self) -> list[int]:
        return [*self.outputs, *(k for guard in self.guards for k in (guard.left, guard.right))]

    def without_dead(self) -> Program:
        """The same program without instructions that nothing depends on."""
        first, live = self.inputs, self.needed(self.roots())
        if live.find(0, first, first + len(self)) < 0:
            return self
        made, number = Program(first, self.names, self.constants), self.numbers()
        for k, (row, operands) in enumerate(zip(self.operations, self.operands, strict=True), first):
            if live[k]:
                number[k] = first + len(made.operations)
                made.operations.append(row)
                made.operands.append(tuple([number[p] for p in operands]))
        made.outputs, made.guards = self.ends(number)
        made.labels = {number[k]: text for k, text in self.labels.items() if k < first or live[k]}
        return made

    def numbers(self) -> list[int]:
        """For each value its number in a program with the same inputs and constants, which are found from the end; 0
        for instructions, until they are there."""
        return [*range(self.inputs), *[0] * len(self.operations), *range(-len(self.constants), 0)]

    def ends(self, number: Sequence[int]) -> tuple[list[int], list[Guard]]:
        """Outputs and guards, for a program in which this one's values have those numbers."""
        guards = [g._replace(left=number[g.left], right=number[g.right]) for g in self.guards]
        return [number[k] for k in self.outputs], guards


def summands(program: Program) -> Program:
    """The same program for outputs that are added to a sum which starts at 0.0: without their own `0.0 + ...`."""
    made = Program(program.inputs, program.names, program.constants, program.operations, program.operands)
    for k in program.outputs:
        while k >= program.inputs and program.operations[k - program.inputs] is table.add:
            a, b = program.operands[k - program.inputs]
            if a >= 0 or program.constants[~a] != 0.0:
                break
            k = b
        made.outputs.append(k)
    made.guards = program.guards
    return made.without_dead()


# What a zero's sign can do to a result: nothing, be that of a zero again, or more.
_LOSES_SIGN = {
    *(primitives.less, primitives.within, primitives.share_of_tie, primitives.count_of_ties),
    *(primitives.lt, primitives.le, primitives.eq, primitives.ne, primitives.both, primitives.either),
}
_KEEPS_SIGN = {
    *(table.add, table.sub, table.mul, table.chain, table.gate, table.neg, table.identity),
    *(primitives.sum, primitives.mean, primitives.dot, primitives.prod),
    *(primitives.max, primitives.min, primitives.clamp, primitives.where),
}


@lru_cache(maxsize=1024)
def _effect_of_sign(row: Primitive, slot: int) -> str:
    """ "none", "sign" or "more": what the sign of an operand that is zero can change."""
    if row in _LOSES_SIGN and not (row is primitives.share_of_tie and slot == 2):  # whose last operand divides
        return "none"
    if row in _KEEPS_SIGN or (row is table.div and slot == 0):
        return "sign"
    if row.arity != 1 or row.own:
        return "more"
    plus, minus = row.compute(0.0), row.compute(-0.0)
    return "none" if bits(plus) == bits(minus) else "sign" if plus == minus == 0.0 else "more"


PRODUCTS = frozenset((table.chain, table.gate))
_AS_PRODUCT: dict[Operation, Operation] = dict.fromkeys(PRODUCTS, table.mul)
_LINEAR = PRODUCTS | {table.add, table.sub, table.mul, table.neg}  # what passes nan and a zero's sign on


def _signs_stay_inside(program: Program) -> bool:
    """Whether zeros of products, whose sign is not sure, change only signs of zeros, none of which is handed out."""
    constants, add, k = program.constants, table.add, program.inputs - 1
    unsure = bytearray(program.inputs + len(program) + len(constants))  # constants are found from the end
    for row, operands in zip(program.operations, program.operands, strict=True):
        k += 1
        if row in PRODUCTS:
            unsure[k] = 1
        elif row is add:
            a, b = operands
            if unsure[a] or unsure[b]:  # with another number than -0.0, the sum is the same
                unsure[k] = (a >= 0 and b >= 0) or bits(constants[~min(a, b)]) == bits(-0.0)
        else:
            for slot, p in enumerate(operands):
                if unsure[p]:
                    effect = _effect_of_sign(row, slot)
                    if effect == "more":
                        return False
                    if effect == "sign":
                        unsure[k] = 1
    return not any(unsure[k] for k in program.outputs)


def _shows_nan(row: Primitive) -> bool:
    """Whether nan comes out of a row wherever nan goes in; of a user's own nothing is known."""
    return not (row.hides_nan or row.own)


def without_selections(program: Program) -> Program | None:
    """The same program with plain products in the chain rule; None where that could go unnoticed.

    The products differ from the chain rule's where an upstream gradient is zero and a local one inf or nan (or the
    other way round, in operations that select), and there they are nan. If every one of them reaches an output through
    operations that pass nan on, then outputs without nan show that there was none. They also differ in the sign of
    zeros, which may not matter. Then outputs without nan are right to the last bit; outputs with nan tell the caller to
    ask the program itself.
    """
    operations = program.operations
    used = set(operations)
    if used.isdisjoint(PRODUCTS):
        return None
    if not _products_meet_sums_alone(program) and not _products_go_unnoticed(program, used):
        return None
    made = Program(program.inputs, program.names, program.constants)
    made.operations = list(map(_AS_PRODUCT.get, operations, operations))
    made.operands, made.outputs, made.guards = program.operands, program.outputs, program.guards
    made.labels = program.labels
    return made


def _products_meet_sums_alone(program: Program) -> bool:
    """Whether products are followed by sums and products alone, and outputs begin with `0.0 + `, as most gradients do:
    then nan goes through and the sign of zeros goes under, which need not be followed instruction by instruction."""
    first, operations, operands = program.inputs, program.operations, program.operands
    start = first + min(operations.index(row) for row in PRODUCTS if row in operations)
    other = set(operations) - _LINEAR
    for given in compress(operands, map(other.__contains__, operations)):
        if any(p >= start for p in given):
            return False
    if any(k >= start for g in program.guards for k in (g.left, g.right)):
        return False

    lose_sign = [c != 0.0 or copysign(1.0, c) > 0.0 for c in program.constants]
    begun = [(operations[k - first], min(operands[k - first], default=0)) for k in program.outputs if k >= start]
    return all(row is table.add and low < 0 and lose_sign[~low] for row, low in begun)


def _products_go_unnoticed(program: Program, used: set[Operation]) -> bool:
    """Whether nan of a product reaches an output, and no guard, and the sign of zeros of products none of them."""
    operations = program.operations
    passes = {row for row in used if row in PRODUCTS or _shows_nan(row)}
    k = program.inputs + len(program)
    shows = bytearray(k + len(program.constants))  # whether nan here is nan in an output
    for p in program.outputs:
        shows[p] = 1
    for row, operands in zip(reversed(operations), reversed(program.operands), strict=True):
        k -= 1
        if shows[k]:
            if row in passes:
                for p in operands:
                    shows[p] = 1
        elif row in PRODUCTS:
            return False
    return not (program.guards and _products_reach_guards(program)) and _signs_stay_inside(program)


def _products_reach_guards(program: Program) -> bool:
    first = program.inputs
    tainted = bytearray(first + len(program) + len(program.constants))
    for k, (row, operands) in enumerate(zip(program.operations, program.operands, strict=True), first):
        tainted[k] = row in PRODUCTS or any(tainted[p] for p in operands)
    return any(tainted[k] for g in program.guards for k in (g.left, g.right))
