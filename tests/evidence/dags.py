"""Random graphs, fast: 20,000 a second, each known by a seed and its number alone.

Hypothesis, which `tests/strategies.py` uses, looks for small counterexamples and remembers; this only draws, and so
gets through a million. A graph has what graphs have: shared nodes, repeated operands, constants, dead nodes, n-ary
operations, ties. Of three kinds: tame ones stay finite, mixed ones have poles and kinks, wild ones every row of the
table on every number there is.
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import inf, isnan, nan
from typing import Any, NamedTuple

from scalargrad.engine.primitive import TABLE, Primitive
from scalargrad.engine.table import power
from scalargrad.engine.value import Value

from ..rows import ROWS, paired
from ..strategies import AWKWARD, KINKED, SMOOTH

Operand = int | float  # the number of an earlier node, or a constant

MAX = sys.float_info.max
SMALLEST_NORMAL = sys.float_info.min
SPECIAL = (
    0.0, -0.0, 5e-324, -5e-324, SMALLEST_NORMAL, -SMALLEST_NORMAL, 1e-310, -1e-200, 1e-8, 2.0**-53, 0.5, 1.0, -1.0,
    1.0 + 2.0**-52, 1.0 - 2.0**-53, 2.0, -2.0, 3.0, 709.0, -745.0, 1e8, 2.0**53, -1e200, 1e308, MAX, -MAX, inf, -inf,
    nan,
)  # fmt: skip

POWERS = (2.0, 3.0, 0.5, -1.0, 0.0, 1.0, -0.5, 1 / 3, 2.5, -2.0, 1e-3, 40.0, inf, nan)
# Every operation that a node can have: all rows that are registered, and some of each family.
EVERY = tuple(dict.fromkeys((*ROWS, *map(power, POWERS))))


def _named(name: str) -> Primitive:
    return power(float(name.split()[1])) if name.startswith("power ") else TABLE[name]


TAME = tuple(_named(name) for name in (*SMOOTH, *SMOOTH, *KINKED))
MIXED = (*TAME, *map(_named, AWKWARD))
SEEDS = (1.0, 1.0, 1.0, -0.75, 0.1, 2.0**-30, 3.0)


class Dag(NamedTuple):
    """A function of some numbers: nodes are numbered, first the inputs, then one a step; the node `output` is returned.

    Every step has a node among its operands, so that on `Value`s every node is a `Value`.
    """

    number: int
    kind: str
    inputs: tuple[float, ...]
    steps: tuple[tuple[Primitive, tuple[Operand, ...]], ...]
    output: int
    seed: float

    def nodes(self, xs: Sequence[Any]) -> list[Any]:
        found = list(xs)
        add = found.append
        for operation, operands in self.steps:
            add(operation(*[found[k] if type(k) is int else k for k in operands]))
        return found

    def __call__(self, xs: Sequence[Any]) -> Any:
        return self.nodes(xs)[self.output]

    def leaves(self) -> list[Value]:
        return [Value(x) for x in self.inputs]

    def ancestors(self) -> list[int]:
        """The nodes that the output was computed from, itself included, in the order of their numbers."""
        n = len(self.inputs)
        wanted = {self.output}
        for k in range(self.output, n - 1, -1):
            if k in wanted:
                wanted.update(j for j in self.steps[k - n][1] if type(j) is int)
        return sorted(wanted)

    def shuffled(self, r: random.Random) -> list[int]:
        """The steps in another order that is one in which they can be made."""
        n = len(self.inputs)
        waiting = {
            k: {j - n for j in operands if type(j) is int and j >= n} for k, (_, operands) in enumerate(self.steps)
        }
        order: list[int] = []
        while waiting:
            k = r.choice([k for k, needs in waiting.items() if not needs])
            order.append(k)
            del waiting[k]
            for needs in waiting.values():
                needs.discard(k)
        return order

    def smaller(self) -> Iterator[Dag]:
        """Graphs with less in them that have the same numbers: other outputs, and steps replaced by what they gave."""
        n = len(self.inputs)
        data = self._data()
        for k in range(len(data)):
            yield self._replace(output=k)._without_dead()
        for k in range(len(self.steps) - 1, -1, -1):
            steps = list(self.steps)
            steps[k] = (TABLE["identity"], (data[n + k],))
            yield self._replace(steps=tuple(steps))._without_dead()
        for k, (operation, operands) in enumerate(self.steps):
            for j, operand in enumerate(operands):
                if type(operand) is int and sum(type(each) is int for each in operands) > 1:
                    changed = (operation, (*operands[:j], data[operand], *operands[j + 1 :]))
                    yield self._replace(steps=(*self.steps[:k], changed, *self.steps[k + 1 :]))._without_dead()

            if operation.arity is None:
                half = len(operands) // 2
                for j in range(half if paired(operation) else len(operands)):
                    gone = {j, half + j} if paired(operation) else {j}
                    left = tuple(each for i, each in enumerate(operands) if i not in gone)
                    if any(type(each) is int for each in left):
                        changed = (operation, left)
                        yield self._replace(steps=(*self.steps[:k], changed, *self.steps[k + 1 :]))._without_dead()

    def _data(self) -> list[float]:
        """The numbers of all nodes; nan where an operation raises."""
        found = list(self.inputs)
        for operation, operands in self.steps:
            try:
                found.append(operation(*[found[k] if type(k) is int else k for k in operands]))
            except Exception:
                found.append(nan)
        return found

    def _without_dead(self) -> Dag:
        """Only what the output needs; steps on constants alone become inputs."""
        n = len(self.inputs)
        data = self._data()
        kept = self.ancestors()
        leaves = [k for k in kept if k < n or not any(type(j) is int for j in self.steps[k - n][1])]
        rest = [k for k in kept if k not in leaves]
        place: dict[Any, int] = {k: number for number, k in enumerate((*leaves, *rest))}
        steps = [
            (self.steps[k - n][0], tuple(place[j] if type(j) is int else j for j in self.steps[k - n][1])) for k in rest
        ]
        return self._replace(inputs=tuple(data[k] for k in leaves), steps=tuple(steps), output=place[self.output])

    def shrunk(self, fails: Callable[[Dag], bool]) -> Dag:
        """The smallest graph found that still fails."""
        found, tries = self, 2000
        smaller = self.smaller()
        while tries and (candidate := next(smaller, None)) is not None:
            tries -= 1
            if candidate.cost < found.cost and fails(candidate):
                found, smaller = candidate, candidate.smaller()
        return found

    @property
    def cost(self) -> tuple[int, int, int, int]:
        operands = [j for _, each in self.steps for j in each]
        dead = len(self.inputs) + len(self.steps) - len(self.ancestors())
        return len(self.steps), dead, sum(type(j) is int for j in operands), len(operands)

    def source(self) -> str:
        """The graph as Python that runs as it stands."""

        def number(x: float) -> str:
            return repr(x) if x == x and abs(x) != inf else f"float({str(x)!r})"

        n = len(self.inputs)
        lines = [
            "from scalargrad import Value",
            "from scalargrad.activations import primitives as activation_rows",
            "from scalargrad.losses import primitives as loss_rows",
            "from scalargrad.engine.primitive import *",
            "from scalargrad.engine.table import *",
            "from scalargrad.functions.primitives import *",
            "",
        ]
        lines += [f"v{k} = Value({number(x)})" for k, x in enumerate(self.inputs)]
        for k, (operation, operands) in enumerate(self.steps, n):
            make, arguments = operation.remake
            where = {
                "scalargrad.activations.primitives": "activation_rows.",
                "scalargrad.losses.primitives": "loss_rows.",
            }
            given = ", ".join(number(x) if isinstance(x, float) else repr(x) for x in arguments)
            called = f"{where.get(make.__module__, '')}{make.__name__}({given})"
            given = ", ".join(f"v{j}" if type(j) is int else number(j) for j in operands)
            lines.append(f"v{k} = {called}({given})")
        return "\n".join([*lines, f"v{self.output}.backward({number(self.seed)})", ""])


def any_float(r: random.Random) -> float:
    """A float of any bits."""
    found: float = struct.unpack("d", struct.pack("Q", r.getrandbits(64)))[0]
    return found


def _ordinary(r: random.Random) -> float:
    return r.uniform(-3.0, 3.0) if r.random() < 0.7 else r.choice((0.0, 1.0, -1.0, 0.5, 2.0))


def _wild(r: random.Random) -> float:
    chance = r.random()
    return r.choice(SPECIAL) if chance < 0.45 else any_float(r) if chance < 0.6 else _ordinary(r)


def dag(seed: int, number: int) -> Dag:
    """The graph of that number among those of that seed."""
    r = random.Random((seed << 40) + number)
    chance = r.random()
    if chance < 0.5:
        kind, vocabulary, draw = "tame", TAME, _ordinary
    elif chance < 0.75:
        kind, vocabulary, draw = "mixed", MIXED, _ordinary
    else:
        kind, vocabulary, draw = "wild", EVERY, _wild
    inputs = [draw(r) for _ in range(1 + int(4 * r.random()))]
    pool = list(inputs)  # constants that are equal to each other, or to an input, make ties
    steps: list[tuple[Primitive, tuple[Operand, ...]]] = []
    count = len(inputs)
    for _ in range(1 + int(13 * r.random()) if r.random() < 0.97 else 60):
        operation = vocabulary[int(r.random() * len(vocabulary))]
        arity = operation.arity
        if arity is None:
            arity = 1 + int(4 * r.random()) if r.random() < 0.98 else 40
            if paired(operation):
                arity *= 2
        operands: list[Operand] = []
        for _ in range(arity):
            chance = r.random()
            if chance < 0.6:
                operands.append(count - 1 - int(r.random() * min(count, 2)))  # a late one, so that graphs are deep
            elif chance < 0.85:
                operands.append(int(r.random() * count))
            elif chance < 0.93:
                operands.append(r.choice(pool))
            else:
                operands.append(draw(r))
                pool.append(operands[-1])  # type: ignore[arg-type]
        if not any(type(k) is int for k in operands):
            operands[int(r.random() * arity)] = count - 1
        steps.append((operation, tuple(operands)))
        count += 1
    output = count - 1 if r.random() < 0.8 else int(r.random() * count)
    return Dag(number, kind, tuple(inputs), tuple(steps), output, _wild(r) if kind == "wild" else r.choice(SEEDS))


SHORT = (0.0, -0.0, 5e-324, 1.0, -1.0, 1e308, -inf, inf, nan)


def specials(full: bool) -> Iterator[Dag]:
    """Every operation on every special input, in full product, and on itself as second operand: graphs of one step."""
    for operation in EVERY:
        pair = paired(operation)
        arities = (
            (operation.arity,) if operation.arity is not None else (2, 4) if pair else (1, 2, 3) if full else (1, 3)
        )
        for arity in arities:
            numbers = SPECIAL if arity <= 2 or (full and arity == 3) else SHORT if full or arity == 3 else SHORT[::2]
            for xs in product(numbers, repeat=arity):
                yield Dag(-1, "special", xs, ((operation, tuple(range(arity))),), arity, SEEDS[-1])
            if arity > 1:
                for x in SPECIAL:
                    for seed in (0.0, -1e308, inf, nan):
                        yield Dag(-1, "special", (x,), ((operation, (0,) * arity),), 1, seed)
            else:
                for x, seed in product(SPECIAL, (0.0, 1e308, -inf, nan, 5e-324)):
                    yield Dag(-1, "special", (x,), ((operation, (0,)),), 1, seed)


def equal(a: float, b: float) -> bool:
    """The same number, up to the sign of zero; nan is itself."""
    return a == b or (isnan(a) and isnan(b))


def same_bits(a: float, b: float) -> bool:
    """The same float; the sign of zero counts, the payload of a nan does not."""
    return a.hex() == b.hex()
