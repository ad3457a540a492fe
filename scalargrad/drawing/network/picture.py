"""What a network's picture says, as plain numbers and texts; and the drawing that shows it.

Apart from `network.py`, which reads models: this knows of none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from math import isfinite
from typing import Any, NamedTuple

from ..common.svg_drawing import Still
from ..common.text import clean, number, signed

LISTED = 400  # parameters that the text lists one by one
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


class NetworkDrawing(Still):
    """A network by layers, as `draw_network` makes it. It holds numbers and texts, not the model."""

    picture: NetworkPicture

    def svg(self) -> str:
        """The picture as SVG text."""
        from .svg import to_svg

        return to_svg(self.picture, self.prefix, self.theme)

    def text(self) -> str:
        """The layers, and, if they are not too many, every parameter, line by line."""
        picture = self.picture
        lines = [picture.heading]
        for stage in picture.stages:
            ps = [p for unit in stage.units for p in (*unit.weights, unit.bias) if p is not None]
            kinds = f": {len(stage.units):,} {stage.activation}" if stage.activation else f": {len(stage.units):,}"
            spread = f", {len(ps):,} parameters from {_spread([p.value for p in ps])}" if ps else ""
            lines.append(f"{stage.name}{kinds}{spread}")
        listed = [p for p in picture.parameters() if not picture.compared or p.value != p.before]
        if picture.compared:
            listed.sort(key=lambda p: -abs(p.shown))
        lines += [_line(p) for p in listed[:LISTED]]
        if len(listed) > LISTED:
            lines.append(f"… {len(listed) - LISTED:,} more")
        return "\n".join([*lines, *picture.notes])

    def to_dict(self) -> dict[str, Any]:
        """Every number and text: layers, their units with weights and biases; inf and nan as strings."""
        picture = self.picture
        plain: dict[str, Any] = _plain(picture)
        return {key: plain[key] for key in ("title", "description", "compared", "region", "notes", "stages")}

    def __repr__(self) -> str:
        sizes = "-".join(str(len(stage.units)) for stage in self.picture.stages)
        return f"<Drawing of a network {sizes}{': what changed' if self.picture.compared else ''}>"


def arrow(before: float, after: float) -> str:
    """Which way a number went: " ↑", " ↓", or nothing where it stayed.

    >>> arrow(1.0, 2.0), arrow(2.0, 1.0), arrow(1.0, 1.0)
    (' ↑', ' ↓', '')
    """
    return " ↑" if after > before else " ↓" if after < before else ""


def _line(p: Parameter) -> str:
    difference = "" if p.before is None else f"  {signed(p.shown)}"
    gradient = "" if p.gradient is None else f"   gradient {number(p.gradient)}"
    return f"  {clean(p.label)} = {p.text()}{difference}{gradient}"


def _spread(numbers: Sequence[float]) -> str:
    low, high = (nan[0], nan[0]) if (nan := [x for x in numbers if x != x]) else (min(numbers), max(numbers))
    return f"{number(low)} to {number(high)}"


def _plain(x: Any) -> Any:
    if isinstance(x, float):
        return x if isfinite(x) else str(x)
    if hasattr(x, "_asdict"):
        return {key: _plain(value) for key, value in x._asdict().items()}
    return [_plain(each) for each in x] if isinstance(x, tuple) else x
