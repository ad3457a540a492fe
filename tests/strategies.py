"""Random programs: expression graphs with sharing, repeated operands, constants, dead nodes and n-ary operations.

A program is data, so that hypothesis can shrink it and print it, and it is a function, so that the same one runs on
floats, on `Value`s and under `grad`. The oracles are here too: they know nothing of the engine but what each node
recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf, isfinite, nan, pi
from typing import Any

from hypothesis import strategies as st

from scalargrad.primitives import power
from scalargrad.value import Value

from .rows import TABLE

Operand = int | float  # the number of an earlier node, or a constant

AWKWARD_NUMBERS = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, inf, -inf, nan, 5e-324, -5e-324, 1e-308, 1e308, -1e308, 1e-200,
    1e200, 700.0, -700.0, -745.0, 710.0, 25.0, 27.6, 0.46, 0.47, 1.5, 2.5, pi, 1e16, -7.25,
]  # fmt: skip

# Public rows, and the operators. Smooth and bounded enough for random programs to stay finite, mostly:
SMOOTH: dict[str, int | None] = {
    **dict.fromkeys(("neg", "sin", "cos", "tanh", "atan", "sigmoid", "softplus", "asinh", "erf"), 1),
    **dict.fromkeys(("add", "sub", "mul", "hypot"), 2),
    **dict.fromkeys(("sum", "mean", "dot", "prod", "logsumexp"), None),
}
_KINKED = [row for row in TABLE.values() if row.public and (row.selects or row.flat or row.name == "mod")]
KINKED = {row.name: row.arity for row in _KINKED if row.name != "floordiv"}
# Everything else: with poles, overflow and edges of its domain.
AWKWARD: dict[str, int | None] = {
    **dict.fromkeys(("power 2", "power 3", "power 0.5", "power -1", "power 0"), 1),
    **{
        row.name: row.arity
        for row in TABLE.values()
        if (row.public or row.name == "div") and row.name not in SMOOTH and row.name not in KINKED
    },
}


@dataclass(frozen=True)
class Step:
    name: str
    operands: tuple[Operand, ...]

    def apply(self, nodes: Sequence[Any]) -> Any:
        operation = power(float(self.name.split()[1])) if self.name.startswith("power ") else TABLE[self.name]
        return operation(*[nodes[k] if isinstance(k, int) else k for k in self.operands])


@dataclass(frozen=True)
class Program:
    """Nodes are numbered: first the inputs, then one a step. The result is the node `output`."""

    inputs: tuple[float, ...]
    steps: tuple[Step, ...]
    output: int

    def nodes(self, xs: Sequence[Any]) -> list[Any]:
        found = list(xs)
        for step in self.steps:
            found.append(step.apply(found))
        return found

    def __call__(self, xs: Sequence[Any]) -> Any:
        return self.nodes(xs)[self.output]

    def leaves(self) -> list[Value]:
        return [Value(x) for x in self.inputs]

    def split(self, k: int) -> Program:
        """The steps from the k-th on, as a program on everything that stands before them."""
        before = [float(x) for x in self.nodes(self.inputs)[: len(self.inputs) + k]]
        return replace(self, inputs=tuple(before), steps=self.steps[k:])


ordinary = st.floats(-3.0, 3.0, allow_subnormal=False).map(lambda x: x if abs(x) > 1e-3 else 0.0) | st.sampled_from(
    [0.0, 1.0, -1.0, 0.5, 2.0]
)
any_float = st.floats() | st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, inf, -inf, nan, 1e-308, 1e308, 5e-324])


@st.composite
def programs(
    draw: st.DrawFn,
    *vocabularies: dict[str, int | None],
    numbers: st.SearchStrategy[float] = ordinary,
    max_inputs: int = 3,
    max_steps: int = 10,
) -> Program:
    """Programs in the operations of the vocabularies. Late nodes are preferred as operands, so that graphs are deep."""
    vocabulary = {name: arity for each in vocabularies or (SMOOTH,) for name, arity in each.items()}
    inputs = tuple(draw(st.lists(numbers, min_size=1, max_size=max_inputs)))
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, max_steps))):
        name = draw(st.sampled_from(sorted(vocabulary)))
        count = len(inputs) + len(steps)
        node = st.integers(0, count - 1) | st.integers(max(0, count - 3), count - 1)
        arity = vocabulary[name]
        if arity is None:
            arity = draw(st.integers(1, 4)) * (2 if name == "dot" else 1)
        operands = draw(st.lists(node | node | node | numbers, min_size=arity, max_size=arity))
        steps.append(Step(name, tuple(operands)))
    count = len(inputs) + len(steps)
    return Program(inputs, tuple(steps), draw(st.just(count - 1) | st.integers(0, count - 1)))


# ---- oracles ---------------------------------------------------------------------------------------------------------

ROUNDOFF = Fraction(1, 2**53)
SMALLEST = Fraction(1, 2**1074)


def gamma(n: int) -> Fraction:
    """The bound on the relative error of n roundings (Higham, Accuracy and Stability of Numerical Algorithms, 3.1)."""
    return n * ROUNDOFF / (1 - n * ROUNDOFF)


@dataclass
class Exact:
    """What is known of the derivative by one node: its exact value, and how far a float may be from it."""

    value: Fraction = Fraction(0)
    paths: Fraction = Fraction(0)  # the sum of |product of local gradients| over the paths
    underflow: Fraction = Fraction(0)
    roundings: int = 0
    contributions: int = 0

    @property
    def bound(self) -> Fraction:
        return gamma(self.roundings) * self.paths + 2 * self.underflow


def recorded(root: Value) -> list[Value]:
    """Every node that the root was computed from, operands first, by the plain textbook recursion."""
    order: dict[Value, None] = {}
    _visit(root, order)
    return list(order)


def _visit(node: Value, order: dict[Value, None]) -> None:
    if node not in order:
        for p in node.parents:
            _visit(p, order)
        order[node] = None


def exact_adjoints(root: Value, seed: float = 1.0) -> dict[Value, Exact]:
    """The chain rule in exact arithmetic, on the local gradients that the nodes report as floats."""
    order = recorded(root)
    found = {node: Exact() for node in order}
    found[root] = Exact(Fraction(seed), abs(Fraction(seed)))
    for node in reversed(order):  # a node's consumers all stand behind it: by now its own adjoint is complete
        up = found[node]
        up.roundings += max(up.contributions - 1, 0)  # the additions
        for p, d in zip(node.parents, node.local_gradients, strict=True):
            local, to = Fraction(d), found[p]
            to.value += up.value * local
            to.paths += up.paths * abs(local)
            to.underflow += up.underflow * abs(local) + SMALLEST
            to.roundings = max(to.roundings, up.roundings + 1)  # the multiplication
            to.contributions += 1
    return found


def all_finite(root: Value) -> bool:
    return all(isfinite(node.data) and all(map(isfinite, node.local_gradients)) for node in recorded(root))


def equal(a: float, b: float) -> bool:
    """The same number, up to the sign of zero; nan is itself."""
    return a == b or (a != a and b != b)
