"""What a network's picture says, as plain numbers and texts: layers, units, parameters."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from ..common.text import Changed

Region = tuple[tuple[float, float], tuple[float, float]]


def checked_region(what: str, region: Any) -> Region:
    """The region as floats; `ValueError` for what is none."""
    try:
        (x1, x2), (y1, y2) = ((float(low), float(high)) for low, high in region)
    except (TypeError, ValueError):
        raise ValueError(f"{what}: region is ((x_low, x_high), (y_low, y_high)), got {region!r}") from None
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"{what}: region: low must be below high, got {region!r}")
    return (x1, x2), (y1, y2)


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

    @property
    def now(self) -> float:
        """The value, which knows what it was where two drawings are compared."""
        return self.value if self.before is None else Changed(self.value, self.before)


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
