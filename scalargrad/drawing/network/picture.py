"""What a network's picture says, as plain numbers and texts: layers, units, parameters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from ..common.text import number, signed

Region = tuple[tuple[float, float], tuple[float, float]]


class Parameter(NamedTuple):
    """A weight or bias: its label, value, and gradient; `before` is its value in the drawing it is compared with."""

    label: str
    value: float
    gradient: float | None = None  # None before any backward pass
    before: float | None = None

    @property
    def shown(self) -> float:
        """What sets width and colour: the value, or, where two drawings are compared, the difference."""
        return self.value if self.before is None else self.value - self.before

    def text(self) -> str:
        """The value; where two drawings are compared, old and new, and an arrow."""
        if self.before is None:
            return signed(self.value)
        return f"{number(self.before)} → {number(self.value)}{arrow(self.before, self.value)}"


class Unit(NamedTuple):
    """A neuron, or one of the inputs, which has neither weights nor bias."""

    name: str
    weights: tuple[Parameter, ...] = ()  # by the unit they come from
    bias: Parameter | None = None
    output: float | None = None  # on the inputs that were given
    field: tuple[tuple[float, ...], ...] = ()  # its output over a region of two inputs, rows from the top


class Stage(NamedTuple):
    """A layer, or the inputs."""

    name: str
    symbol: str  # of its weights: "θ1"
    activation: str
    units: tuple[Unit, ...]


class NetworkPicture(NamedTuple):
    """Everything that a network's drawing shows."""

    title: str
    heading: str  # the title, or what it is
    description: str
    stages: tuple[Stage, ...]
    limit: int
    region: Region | None = None
    compared: bool = False
    notes: tuple[str, ...] = ()

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter, layer by layer and neuron by neuron, the bias behind its weights."""
        for unit in chain.from_iterable(stage.units for stage in self.stages):
            yield from unit.weights
            if unit.bias is not None:
                yield unit.bias


def arrow(before: float, after: float) -> str:
    """Which way a number went: " ↑", " ↓", or nothing where it stayed.

    >>> arrow(1.0, 2.0), arrow(2.0, 1.0), arrow(1.0, 1.0)
    (' ↑', ' ↓', '')
    """
    return " ↑" if after > before else " ↓" if after < before else ""
