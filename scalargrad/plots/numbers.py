"""What plots show, as plain numbers: lists of floats, and nothing of any plotting library.

Any library can draw them, and tests can read them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import hypot, inf, isfinite, nan, sqrt
from typing import Any, NamedTuple

from ..engine.primitive import as_float
from ..engine.value import Value
from ..nn import Layer, Module
from ..optim.base import Optimizer
from ..state import whole
from ..transforms.derivatives import value_and_grad


class Samples(NamedTuple):
    """A function of one number at evenly spaced points: `y = f(x)`, `slope = f'(x)`."""

    x: list[float]
    y: list[float]
    slope: list[float]


def sample(f: Callable[[Any], Any], low: float, high: float, n: int = 201) -> Samples:
    """Compute `f(x)` and `f'(x)` at `n` points from `low` to `high`, both included.

    The derivative is the engine's, exact at every point. Where `f` has no finite value, inf or nan stands, as it gave
    it. Raises `ValueError` unless `low < high`, both finite, and `n >= 2`.

    >>> sample(lambda x: x * x, 0.0, 2.0, 3)
    Samples(x=[0.0, 1.0, 2.0], y=[0.0, 1.0, 4.0], slope=[0.0, 2.0, 4.0])
    """
    xs = _spaced("sample", low, high, n)
    derivative = value_and_grad(f)
    pairs = [derivative(x) for x in xs]
    return Samples(xs, [y for y, _ in pairs], [slope for _, slope in pairs])


def _spaced(what: str, low: float, high: float, n: int) -> list[float]:
    low, high = as_float(low, f"{what}, low"), as_float(high, f"{what}, high")
    if not (isfinite(low) and isfinite(high) and low < high):
        raise ValueError(f"{what}: low must be below high, and both finite, got {low!r} and {high!r}")
    n = whole(f"{what}: n, the number of points,", n, 2)
    return [low + (high - low) * k / (n - 1) for k in range(n - 1)] + [high]


class Trajectory(NamedTuple):
    """The way of an optimizer: of `n` steps, `n + 1` points and values, `n` gradients and rates.

    `rates` are effective ones: how far each coordinate moved in a step, over the size of its gradient there; nan where
    that is zero. Of plain gradient descent it is the learning rate; of AdaGrad, one that dies.
    """

    points: list[tuple[float, ...]]
    values: list[float]
    gradients: list[tuple[float, ...]]
    rates: list[tuple[float, ...]]


def trajectory(
    optimizer_factory: Callable[[list[Value]], Optimizer],
    f: Callable[..., Any],
    start: Sequence[float],
    steps: int,
) -> Trajectory:
    """Follow an optimizer as it minimises `f`, a function of as many numbers as `start` has, for so many steps.

    - `optimizer_factory`: makes the optimizer from the list of parameters: a class of `scalargrad.optim`, or such as
      `lambda ps: Adam(ps, lr=0.1)`.

    It ends before the first step at which the value or a gradient is not finite: a way that diverges is shorter than
    was asked for. Raises `ValueError` for no start at all and for a negative number of steps, `TypeError` if `f`
    returns no `Value`.

    >>> from scalargrad.optim import SGD
    >>> way = trajectory(lambda ps: SGD(ps, lr=0.25), lambda x, y: x * x + 2 * y * y, [2.0, 1.0], 2)
    >>> way.points, way.values
    ([(2.0, 1.0), (1.0, 0.0), (0.5, 0.0)], [6.0, 1.0, 0.25])
    >>> way.rates
    [(0.25, 0.25), (0.25, nan)]
    """
    steps = whole("trajectory: steps", steps, 0)
    parameters = [Value(x, label=f"x[{k}]") for k, x in enumerate(start, 1)]
    if not parameters:
        raise ValueError("trajectory: start has no number in it")
    optimizer = optimizer_factory(parameters)

    def here() -> tuple[float, ...]:
        return tuple(p.data for p in parameters)

    def value() -> Value:
        y = f(*parameters)
        if not isinstance(y, Value):
            raise TypeError(f"trajectory: f must return a Value, got {type(y).__name__}")
        return y

    y = value()
    way = Trajectory([here()], [y.data], [], [])
    for _ in range(steps):
        optimizer.zero_grad()
        if not y.is_constant:
            y.backward()
        gradients = tuple(float(p.grad) for p in parameters)
        if not all(map(isfinite, (y.data, *gradients))):
            break
        before = here()
        optimizer.step()
        y = value()
        way.points.append(here())
        way.values.append(y.data)
        way.gradients.append(gradients)
        moves = zip(before, here(), gradients, strict=True)
        way.rates.append(tuple(abs(b - a) / abs(g) if g != 0.0 else nan for a, b, g in moves))
    return way


class Grid(NamedTuple):
    """A function over the plane: `z[i][j]` at `(x[j], y[i])`.

    Where the function gives a list of scores, `z` holds the positions of the largest, from 0, and `scores` such a grid
    for each class; where it gives one number, `scores` is empty.
    """

    x: list[float]
    y: list[float]
    z: list[list[float]]
    scores: tuple[list[list[float]], ...] = ()

    @property
    def classes(self) -> int:
        """How many classes there are; 0 where the function gives one number."""
        return len(self.scores)


def decision_grid(
    model: Module | Callable[[list[float]], Any],
    xlim: tuple[float, float] = (-6.0, 6.0),
    ylim: tuple[float, float] = (-6.0, 6.0),
    n: int = 60,
) -> Grid:
    """Compute a model, or a function of a list of two numbers, on `n` x `n` points of the plane.

    A `Module` is computed as `model.frozen()`: in plain numbers, nothing dropped. Raises `ValueError` for limits out of
    order, and for answers of another length than the first.

    >>> decision_grid(lambda p: p[0] - p[1], (0.0, 1.0), (0.0, 2.0), 2)
    Grid(x=[0.0, 1.0], y=[0.0, 2.0], z=[[0.0, 1.0], [-2.0, -1.0]], scores=())
    """
    xs, ys = _spaced("decision_grid, xlim", *xlim, n), _spaced("decision_grid, ylim", *ylim, n)
    f = model.frozen() if isinstance(model, Module) else model
    answers = [[f([x, y]) for x in xs] for y in ys]
    first = answers[0][0]
    if not isinstance(first, list | tuple) or len(first) == 1:
        return Grid(xs, ys, [[_number(a) for a in row] for row in answers])
    count = len(first)
    for row in answers:
        for a in row:
            if len(a) != count:
                raise ValueError(f"decision_grid: {count} score(s) at the first point, but {len(a)} at another")
    scores = tuple([[_number(a[k]) for a in row] for row in answers] for k in range(count))
    points = [zip(*rows, strict=True) for rows in zip(*scores, strict=True)]
    return Grid(xs, ys, [[float(point.index(max(point))) for point in row] for row in points], scores)


def _number(x: Any) -> float:
    if isinstance(x, list | tuple):
        (x,) = x
    return as_float(x.data if isinstance(x, Value) else x, "decision_grid")


class LayerGradient(NamedTuple):
    """The gradients of a layer's parameters: their Euclidean norm, root mean square, largest size, and their number."""

    name: str
    norm: float
    rms: float
    largest: float
    parameters: int


def gradients_by_layer(model: Module, loss: Callable[[Any], Any] | None = None) -> list[LayerGradient]:
    """Measure a model's gradients layer by layer, from the inputs on, as they vanish or explode with depth.

    - `loss`: a function from the model to a `Value`; it is handed a copy, and the model's own gradients stay as they
      are. Without it, the gradients are those that the last `backward()` left.

    A parameter that no gradient has reached counts as 0. Parameters outside every `Layer` come last, as "others".
    Raises `TypeError` for what is no `Module`, `ValueError` for a model without parameters, for a loss that gives no
    `Value`, and, without `loss`, where there was no backward pass.

    >>> from scalargrad.nn import MLP
    >>> model = MLP(1, [1, 1], "identity", init=lambda random, inputs, outputs: 1.0)
    >>> [round(layer.norm, 3) for layer in gradients_by_layer(model, lambda model: model([2.0]))]
    [2.236, 2.236]
    """
    if not isinstance(model, Module):
        raise TypeError(f"gradients_by_layer: expected a Module, got {type(model).__name__}")
    measured = model
    if loss is not None:
        measured = model.with_parameters([Value(p.data, label=p.label) for p in model.parameters()])
        y = loss(measured)
        if not isinstance(y, Value):
            raise ValueError(f"gradients_by_layer: the loss must give a Value, got {type(y).__name__}")
        if not y.is_constant:
            y.backward()
    remaining = dict.fromkeys(measured.parameters())
    if not remaining:
        raise ValueError(f"gradients_by_layer: {model!r} has no parameters")
    if loss is None and all(not p.has_gradient for p in remaining):
        raise ValueError("gradients_by_layer: there are no gradients yet: call backward() first, or give a loss")
    found = []
    layers = [module for _, module in measured.named_modules() if isinstance(module, Layer)]
    for k, layer in enumerate(layers, 1):
        own = [p for p in layer.parameters() if p in remaining]
        for p in own:
            del remaining[p]
        if own:
            found.append(_measured(f"layer{k}", own))
    return [*found, _measured("others", list(remaining))] if remaining else found


def _measured(name: str, parameters: list[Value]) -> LayerGradient:
    sizes = [abs(float(getattr(p.grad, "data", p.grad))) for p in parameters]
    norm = hypot(*sizes)
    largest = nan if any(s != s for s in sizes) else max(sizes, default=-inf)
    return LayerGradient(name, norm, norm / sqrt(len(sizes)), largest, len(sizes))
