"""Claims: what somebody says the derivatives of a function are, as numbers: a row an output, a column an input.

A gradient (or Jacobian, or Hessian) is a tree of numbers; products, `J v` and `v J`, are asked for with one `v` after
the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import fsum, isfinite, ulp
from typing import Any

from ..engine.modes import no_grad
from ..transforms.trees import Structure
from .layouts import Layout
from .points import Point, ordered

Rows = list[list[float]]


@dataclass
class Gradient:
    """A function that returns all derivatives, those of each output in turn.

    scalargrad's own are not recorded: they are graphs where the function uses a `Value` made elsewhere.
    """

    claim: Callable[..., Any]
    point: Point
    levels: Sequence[Structure]
    order: int = 1
    own: bool = False

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        """The claimed derivatives at these inputs."""
        with no_grad() if self.own else nullcontext():
            found = self.claim(*self.point.arguments(inputs))
        claimed = ordered(found, "the claimed gradient", self.levels)
        if any(isinstance(x, complex) and x.imag != 0.0 for x in claimed):
            raise TypeError(f"the claimed derivatives of order {self.order}: expected real numbers, got complex ones")
        if len(claimed) != outputs * len(inputs):
            raise ValueError(
                f"the claimed derivatives of order {self.order} are {len(claimed)} number(s), "
                f"but {outputs} output(s) and {len(inputs)} input(s) have {outputs * len(inputs)}"
            )
        return [claimed[k * len(inputs) : (k + 1) * len(inputs)] for k in range(outputs)]

    def along(self, rows: Rows, output: int, direction: dict[int, float]) -> tuple[float, float]:
        """The claimed derivative of an output along a direction, and its rounding error."""
        terms = [rows[output][where] * by for where, by in direction.items()]
        if len(terms) == 1 or not all(map(isfinite, terms)):
            return sum(terms), 0.0
        return fsum(terms), 4.0 * ulp(fsum(map(abs, terms)))


class JacobianVector(Gradient):
    """A function of arguments and tangents that returns the derivative along them, `J v`."""

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


@dataclass
class VectorJacobian(Gradient):
    """A function of arguments and a cotangent that returns the derivatives of the outputs weighted by it, `v J`."""

    outputs: Layout | None = None
    cotangents: Sequence[Sequence[float]] = ()

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        assert self.outputs is not None
        rows: Rows = []
        for each in self.cotangents:
            found = self.claim(tuple(self.point.arguments(inputs)), self.outputs.build(each))
            rows.append(ordered(found, "the claimed vjp", self.levels))
            _count("vjp", len(rows[-1]), len(inputs), "input(s)")
        return rows


def _count(name: str, found: int, wanted: int, of: str) -> None:
    if found != wanted:
        raise ValueError(f"the claimed {name} has {found} number(s) for {wanted} {of}")
