"""Claims: what somebody says the derivatives of a function are, as numbers: a row an output, a column an input.

A gradient (or Jacobian, or Hessian) is a tree of numbers; products, `J v` and `v J`, are asked for with one `v` after
the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import fsum, isfinite, ulp
from typing import Any

from ..engine.modes import no_grad
from ..transforms.trees import Structure
from .layouts import Layout
from .points import Point, ordered

Rows = list[list[float]]


class Gradient:
    """A function that returns all derivatives, those of each output in turn."""

    def __init__(
        self, claim: Callable[..., Any], point: Point, levels: Sequence[Structure], order: int, own: bool
    ) -> None:
        self.claim, self.point, self.order, self.own = claim, point, order, own
        self.levels = levels

    def recording(self) -> AbstractContextManager[None]:
        """Off for scalargrad's own derivatives: they are graphs where the function uses a `Value` made elsewhere."""
        return no_grad() if self.own else nullcontext()

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        """The claimed derivatives at these inputs."""
        with self.recording():
            found = self.claim(*self.point.arguments(inputs))
        return split(ordered(found, "the claimed gradient", self.levels), outputs, len(inputs), self.order)

    def along(self, rows: Rows, output: int, direction: dict[int, float]) -> tuple[float, float]:
        """The claimed derivative of an output along a direction, and its rounding error."""
        terms = [rows[output][where] * by for where, by in direction.items()]
        if len(terms) == 1 or not all(map(isfinite, terms)):
            return sum(terms), 0.0
        return fsum(terms), 4.0 * ulp(fsum(map(abs, terms)))


class JacobianVector(Gradient):
    """A function of arguments and tangents that returns the derivative along them, `J v`."""

    def __init__(self, claim: Callable[..., Any], point: Point, outputs: Structure) -> None:
        super().__init__(claim, point, [outputs], 1, False)

    def product(self, inputs: list[float], direction: dict[int, float]) -> list[float]:
        tangents = self.point.trees([direction.get(where, 0.0) for where in range(len(inputs))])
        found = self.claim(tuple(self.point.arguments(inputs)), tuple(tangents))
        return ordered(found, "the claimed jvp", self.levels)

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        columns = [self.product(inputs, {where: 1.0}) for where in range(len(inputs))]
        for column in columns:
            _count("jvp", len(column), outputs, "output(s)")
        return [list(row) for row in zip(*columns, strict=True)]

    def along(self, rows: Rows, output: int, direction: dict[int, float]) -> tuple[float, float]:
        _, rounding = super().along(rows, output, direction)
        return self.product(self.point.inputs, direction)[output], rounding


class VectorJacobian(Gradient):
    """A function of arguments and a cotangent that returns the derivatives of the outputs weighted by it, `v J`."""

    def __init__(
        self, claim: Callable[..., Any], point: Point, outputs: Layout, cotangents: Sequence[Sequence[float]]
    ) -> None:
        super().__init__(claim, point, [point.derivatives], 1, False)
        self.outputs, self.cotangents = outputs, cotangents

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        rows: Rows = []
        for each in self.cotangents:
            found = self.claim(tuple(self.point.arguments(inputs)), self.outputs.build(each))
            rows.append(ordered(found, "the claimed vjp", self.levels))
            _count("vjp", len(rows[-1]), len(inputs), "input(s)")
        return rows


def split(claimed: list[Any], outputs: int, inputs: int, order: int) -> Rows:
    """A flat list of derivatives as a row an output."""
    if any(isinstance(x, complex) and x.imag != 0.0 for x in claimed):
        raise TypeError(f"the claimed derivatives of order {order}: expected real numbers, got complex ones")
    if len(claimed) != outputs * inputs:
        raise ValueError(
            f"the claimed derivatives of order {order} are {len(claimed)} number(s), "
            f"but {outputs} output(s) and {inputs} input(s) have {outputs * inputs}"
        )
    return [claimed[k * inputs : k * inputs + inputs] for k in range(outputs)]


def _count(name: str, found: int, wanted: int, of: str) -> None:
    if found != wanted:
        raise ValueError(f"the claimed {name} has {found} number(s) for {wanted} {of}")
