"""Learning-rate schedules: callables from the number of a step or epoch, counted from 0, to a rate.

A schedule is a small immutable object that knows nothing of optimizers: `schedule(t)` depends on `t` alone, so no order
of calls can shift it, and a plot of it needs no training. Give one to an optimizer as its `lr`, and `t` is the number
of steps made; `by_epoch` stretches one that counts epochs. Any function of `t` will do, too.

`ReduceOnPlateau` is the exception: its rate follows from metrics, so it keeps state, which it saves and loads. Wherever
one is inside another schedule or a function, `parts_with` finds it.

>>> schedule = warmup(Cosine(0.1, steps=90), steps=10)
>>> schedule(0), schedule(5), schedule(10), schedule(55), schedule(100)
(0.0, 0.05, 0.1, 0.05, 0.0)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, inf, isfinite, isinf, isnan, pi
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any, ClassVar, dataclass_transform

from .engine import ieee
from .engine.primitive import as_float
from .state import Maybe, inside, read_at, whole, within

__all__ = [
    "ByEpoch", "Constant", "Cosine", "CosineRestarts", "Exponential", "InverseTime", "Joined", "Linear",
    "MultiStep", "OneCycle", "Polynomial", "Rate", "ReduceOnPlateau", "Schedule", "Step", "by_epoch", "join",
    "warmup",
]  # fmt: skip
__dir__ = __all__.copy


Rate = Callable[[Any], float]  # from the number of a step, or a fraction of an epoch, to a rate


class Schedule:
    """What all schedules share: the check of `t`. A member is data and one formula, `_rate(t)`."""

    def __call__(self, t: float) -> float:
        """Return the rate of step (or epoch) `t`, counted from 0; `ValueError` for one that is negative, inf or nan."""
        if type(t) not in (int, float):
            t = int(t) if hasattr(t, "__index__") else as_float(t, type(self).__name__)
        if not 0 <= t < inf:
            raise ValueError(f"{type(self).__name__}: steps count from 0, got {t!r}")
        return self._rate(t)

    def _rate(self, t: float) -> float:
        raise NotImplementedError


def _check(schedule: object, name: str, low: float = 0.0, high: float = inf) -> None:
    """Make an attribute a float, and see that it is finite and lies in its range, both bounds included."""
    kind = type(schedule).__name__
    value = as_float(getattr(schedule, name), f"{kind}, {name}")
    if not (low <= value <= high and isfinite(value)):
        bounds = f"of at least {low:g}" if high == inf else f"between {low:g} and {high:g}"
        raise ValueError(f"{kind}: {name} must be a finite number {bounds}, got {value!r}")
    object.__setattr__(schedule, name, value)


@dataclass_transform(frozen_default=True)
class _Checked(Schedule):
    """Frozen dataclasses whose numbers lie in their `_ranges`: counts from 1, others from 0, where there is none."""

    _ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    def __post_init__(self) -> None:
        for name, kind in type(self).__annotations__.items():
            if kind == "int":
                object.__setattr__(self, name, whole(f"{type(self).__name__}: {name}", getattr(self, name)))
            elif kind == "float":
                _check(self, name, *self._ranges.get(name, ()))


class Constant(_Checked):
    """Always the same: `rate`.

    >>> Constant(0.1)(1000)
    0.1
    """

    rate: float

    def _rate(self, t: float) -> float:
        return self.rate


class Step(_Checked):
    """Multiply by a factor every so many steps: `rate factor**(t // every)`.

    >>> [round(Step(0.1, every=30, factor=0.5)(t), 6) for t in (0, 29, 30, 60)]
    [0.1, 0.1, 0.05, 0.025]
    """

    rate: float
    every: int
    factor: float = 0.1

    def _rate(self, t: float) -> float:
        return self.rate * ieee.pow(self.factor, t // self.every)


class MultiStep(_Checked):
    """Multiply by a factor at each milestone: `rate factor**(number of milestones <= t)`.

    Raises `ValueError` for milestones that are not in order; one that stands twice counts twice.

    >>> [round(MultiStep(0.1, [30, 80])(t), 6) for t in (29, 30, 80)]
    [0.1, 0.01, 0.001]
    """

    rate: float
    milestones: Sequence[int]
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "milestones", _in_order("MultiStep", "milestones", self.milestones))

    def _rate(self, t: float) -> float:
        return self.rate * ieee.pow(self.factor, bisect_right(self.milestones, t))


def _in_order(kind: str, name: str, steps: Iterable[int]) -> tuple[int, ...]:
    found = tuple(whole(f"{kind}: {name}", step, least=0) for step in steps)
    for a, b in pairwise((0, *found)):
        if b < a:
            raise ValueError(f"{kind}: {name} must be in order, got {b} behind {a}")
    return found


class Exponential(_Checked):
    """Multiply by a factor at each step: `rate factor**t`.

    >>> Exponential(1.0, 0.5)(3)
    0.125
    """

    rate: float
    factor: float

    _ranges: ClassVar = {"factor": (0.0, 1.0)}

    def _rate(self, t: float) -> float:
        return self.rate * ieee.pow(self.factor, t)


class InverseTime(_Checked):
    """Fall as one over time: `rate / (1 + decay t)**power`.

    With `power=1` the rates satisfy Robbins and Monro's conditions for convergence (Annals of Mathematical Statistics
    22, 1951); `power=0.5` gives the inverse square root.

    >>> InverseTime(1.0, decay=0.5)(2)
    0.5
    """

    rate: float
    decay: float
    power: float = 1.0

    def _rate(self, t: float) -> float:
        return self.rate / ieee.pow(1.0 + self.decay * t, self.power)


class Polynomial(_Checked):
    """Fall from `rate` to `final` in so many steps: `final + (rate - final) (1 - t/steps)**power`, then stay.

    >>> [Polynomial(1.0, steps=4, power=2.0)(t) for t in (0, 2, 4, 9)]
    [1.0, 0.25, 0.0, 0.0]
    """

    rate: float
    steps: int
    power: float = 1.0
    final: float = 0.0

    def _rate(self, t: float) -> float:
        if t >= self.steps:
            return self.final
        return self.final + (self.rate - self.final) * ieee.pow(1.0 - t / self.steps, self.power)


class Linear(_Checked):
    """Go straight from `start` to `end` in so many steps, then stay: a warm-up, or a decay.

    >>> [Linear(0.0, 1.0, steps=4)(t) for t in (0, 1, 4, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """

    start: float
    end: float
    steps: int

    def _rate(self, t: float) -> float:
        return self.end if t >= self.steps else self.start + (self.end - self.start) * (t / self.steps)


def _cosine(start: float, end: float, share: float) -> float:
    """Half a cosine wave from `start` (share 0) to `end` (share 1)."""
    return end + (start - end) * (1.0 + cos(pi * share)) / 2.0


class Cosine(_Checked):
    """Fall along half a cosine wave: `final + (rate - final) (1 + cos(pi t/steps)) / 2`, then stay.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), equation 5, without restarts.

    >>> [round(Cosine(1.0, steps=100)(t), 9) for t in (0, 50, 100, 150)]
    [1.0, 0.5, 0.0, 0.0]
    """

    rate: float
    steps: int
    final: float = 0.0

    def _rate(self, t: float) -> float:
        return self.final if t >= self.steps else _cosine(self.rate, self.final, t / self.steps)


class CosineRestarts(_Checked):
    """Fall along half a cosine wave again and again, each time `growth` times as long as before.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017): `steps` is their
    `T_0`, `growth` their `T_mult`.

    >>> schedule = CosineRestarts(1.0, steps=10, growth=2)
    >>> [round(schedule(t), 9) for t in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    rate: float
    steps: int
    growth: int = 1
    final: float = 0.0

    def _rate(self, t: float) -> float:
        length = self.steps
        if self.growth == 1:
            t %= length
        while t >= length:  # a logarithm would be off by one at a restart, for its rounding
            t -= length
            length *= self.growth
        return _cosine(self.rate, self.final, t / length)


class OneCycle(_Checked):
    """Rise from `peak/divisor` to `peak`, then fall to `peak/(divisor final_divisor)`, within so many steps; then stay.

    The rise takes the share `rise` of the steps. `shape` is "cosine" or "linear". With `symmetric=True` it falls to
    where it rose from in as many steps as it rose in, and only then to its end: Smith's own form. Raises `ValueError`
    where there are too few steps for a rise.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates" (2018), with
    the arguments and steps of PyTorch: the peak is at `t = rise steps - 1`, the end at `t = steps - 1`.

    >>> schedule = OneCycle(1.0, steps=11, rise=0.5, divisor=10.0, final_divisor=10.0, shape="linear")
    >>> [round(schedule(t), 3) for t in (0, 1, 4, 5, 10)]
    [0.1, 0.3, 0.9, 0.91, 0.01]
    """

    peak: float
    steps: int
    rise: float = 0.3
    divisor: float = 25.0
    final_divisor: float = 1e4
    shape: str = "cosine"
    symmetric: bool = False

    _ranges: ClassVar = {"rise": (0.0, 1.0), "divisor": (1.0, inf), "final_divisor": (1.0, inf)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape not in ("cosine", "linear"):
            raise ValueError(f'OneCycle: shape must be "cosine" or "linear", got {self.shape!r}')
        ends = [0.0, *(end for end, _ in self._phases())]
        if any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"OneCycle: {self.steps} steps with a rise of {self.rise:g} leave a phase without a step")

    def _phases(self) -> list[tuple[float, float]]:
        """The last step of each phase, and the rate there."""
        low, top = self.peak / self.divisor, self.rise * self.steps - 1.0
        down = [(2.0 * self.rise * self.steps - 2.0, low)] if self.symmetric else []
        return [(top, self.peak), *down, (self.steps - 1.0, low / self.final_divisor)]

    def _rate(self, t: float) -> float:
        begin, start = 0.0, self.peak / self.divisor
        for end, rate in self._phases():
            if t <= end:
                share = (t - begin) / (end - begin)
                return _cosine(start, rate, share) if self.shape == "cosine" else start + (rate - start) * share
            begin, start = end, rate
        return start


class Joined(_Checked):
    """Several schedules in turn, as `join` makes them."""

    schedules: tuple[Rate, ...]
    boundaries: tuple[int, ...]

    def _rate(self, t: float) -> float:
        k = bisect_right(self.boundaries, t)
        return self.schedules[k](t - self.boundaries[k - 1] if k else t)


def join(schedules: Iterable[Rate | float], boundaries: Iterable[int]) -> Joined:
    """Follow one schedule up to a boundary, then the next, which counts from 0 there.

    Takes schedules, functions of the step, or plain rates, and the steps at which the second, third, ... begin. Raises
    `ValueError` unless there is a boundary between any two schedules, in order.

    >>> schedule = join([0.1, Exponential(1.0, 0.5)], [10])
    >>> schedule(9), schedule(10), schedule(11)
    (0.1, 1.0, 0.5)
    """
    parts = tuple(s if callable(s) else Constant(s) for s in schedules)
    bounds = _in_order("join", "boundaries", boundaries)
    if len(parts) != len(bounds) + 1:
        raise ValueError(f"join: {len(parts)} schedule(s) need {max(len(parts) - 1, 0)} boundaries, got {len(bounds)}")
    return Joined(parts, bounds)


def warmup(schedule: Rate | float, steps: int, start: float = 0.0) -> Joined:
    """Rise linearly from `start` to where the schedule begins, in so many steps, then follow it.

    With `start=0.0` the first step does not move; a share of the rate, say `rate / steps`, wastes none. Goyal et al.,
    "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour" (2017), section 2.2.

    >>> [round(warmup(0.1, steps=4)(t), 6) for t in (0, 1, 4, 100)]
    [0.0, 0.025, 0.1, 0.1]
    """
    after = schedule if callable(schedule) else Constant(schedule)
    return join([Linear(start, after(0), steps), after], [steps])


class ByEpoch(_Checked):
    """A schedule of epochs, asked for by step, as `by_epoch` makes it."""

    schedule: Rate
    steps_per_epoch: int

    def _rate(self, t: float) -> float:
        return self.schedule(int(t // self.steps_per_epoch))


def by_epoch(schedule: Rate, steps_per_epoch: int) -> ByEpoch:
    """Let a schedule count epochs where it is asked by step: `schedule(t // steps_per_epoch)`.

    >>> schedule = by_epoch(Exponential(1.0, 0.5), steps_per_epoch=100)
    >>> schedule(99), schedule(100)
    (1.0, 0.5)
    """
    return ByEpoch(schedule, whole("by_epoch: steps_per_epoch", steps_per_epoch))


@dataclass(eq=False, repr=False)
class ReduceOnPlateau:
    """Multiply the rate by a factor when a metric has stopped improving.

    Call `observe(metric)` once an epoch. A metric improves on the best so far if it is smaller (`mode="min"`) or
    greater (`"max"`) by more than `threshold`, which is a share of the best's size (`threshold_mode="rel"`) or absolute
    (`"abs"`). After more than `patience` epochs without improvement the rate becomes `max(factor rate, min_rate)`,
    unless that changes it by no more than `eps`; then `cooldown` epochs go by before such epochs count again. A nan is
    no improvement. The arguments and rules are PyTorch's, but for metrics below zero, where its relative threshold
    takes standing still for improvement.

    It can be given to an optimizer as any schedule; its rate does not depend on the step, but on what was observed.

    >>> schedule = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> [schedule.observe(loss) for loss in (1.0, 0.8, 0.8, 0.8, 0.7)]
    [0.1, 0.1, 0.1, 0.05, 0.05]
    >>> schedule(0)
    0.05
    """

    rate: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: str = "rel"
    cooldown: int = 0
    min_rate: float = 0.0
    mode: str = "min"
    eps: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("rate", "factor", "threshold", "min_rate", "eps"):
            _check(self, name, high=1.0 if name == "factor" else inf)
        if self.factor == 1.0:
            raise ValueError("ReduceOnPlateau: a factor of 1 would never reduce the rate")
        for name, known in (("mode", ("min", "max")), ("threshold_mode", ("rel", "abs"))):
            if getattr(self, name) not in known:
                expected = " or ".join([f'"{each}"' for each in known])
                raise ValueError(f"ReduceOnPlateau: {name} must be {expected}, got {getattr(self, name)!r}")
        self.patience = whole("ReduceOnPlateau: patience", self.patience, least=0)
        self.cooldown = whole("ReduceOnPlateau: cooldown", self.cooldown, least=0)
        self.best = self._worst()
        self.bad_epochs = self.cooling = 0

    def __call__(self, t: float) -> float:
        """Return the present rate, whatever the step."""
        return self.rate

    def __repr__(self) -> str:
        names = ("rate", "factor", "patience", "best", "bad_epochs")
        return f"ReduceOnPlateau({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def _worst(self) -> float:
        return inf if self.mode == "min" else -inf

    def observe(self, metric: float) -> float:
        """Take an epoch's metric into account; return the rate from now on."""
        metric = as_float(metric, "observe")
        sign = 1.0 if self.mode == "min" else -1.0
        least = 0.0 if isinf(self.best) else self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1.0)
        if sign * metric < sign * self.best - least:
            self.best, self.bad_epochs = metric, 0
        else:
            self.bad_epochs += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            reduced = max(self.rate * self.factor, self.min_rate)
            if self.rate - reduced > self.eps:
                self.rate = reduced
            self.cooling, self.bad_epochs = self.cooldown, 0
        return self.rate

    def state_dict(self) -> dict[str, Any]:
        """Return what it has learnt from the metrics, as plain data for JSON; no best yet is None."""
        best = None if self.best == self._worst() else self.best
        return {"rate": self.rate, "best": best, "bad_epochs": self.bad_epochs, "cooling": self.cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` returned; `ValueError` where it is not that, and nothing is changed."""
        with within("ReduceOnPlateau"):
            like = {"rate": 0.0, "best": Maybe(0.0), "bad_epochs": 0, "cooling": 0}
            rate, best, bad_epochs, cooling = read_at("", state, like).values()
            best = self._worst() if best is None else best
            if not (isfinite(rate) and rate >= 0.0) or isnan(best):
                raise ValueError(f"a rate of {rate!r} with a best metric of {best!r} cannot be")
        self.rate, self.best, self.bad_epochs, self.cooling = rate, best, bad_epochs, cooling


def parts_with(name: str, rate: Any) -> list[Any]:
    """A rate itself, or whatever inside it has a method of that name, each once, as far as Python can see into it.

    Looked into are schedules and other callables (their attributes, what a function closes over, its defaults, the
    globals it names) and lists, tuples and dicts there. What has the method answers for all that is inside it.

    >>> plateau = ReduceOnPlateau(0.1)
    >>> parts_with("observe", warmup(lambda t: 0.5 * plateau(t), 10)) == [plateau]
    True
    """
    found: list[Any] = []
    seen: set[int] = set()
    left = [rate]
    while left:
        x = left.pop()
        if id(x) in seen or isinstance(x, type):
            continue
        seen.add(id(x))
        if callable(x) and hasattr(x, name) and not hasattr(x, "parameters"):  # no network
            found.append(x)
        else:
            left += reversed(_inside(x))
    return found


_EMPTY = CellType()  # what a function closes over before it has a value


def _inside(x: Any) -> list[Any]:
    if isinstance(x, list | tuple):
        return list(x)
    if isinstance(x, dict):
        return list(x.values())
    if isinstance(x, FunctionType):
        cells = [cell.cell_contents for cell in x.__closure__ or () if cell != _EMPTY]
        named = [x.__globals__[name] for name in _names(x.__code__) if name in x.__globals__]
        kept = [*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values(), *vars(x).values()]
        return [*cells, *kept, *named]
    if isinstance(x, MethodType):  # its object need not be one that is called
        return [x.__self__, x.__func__, *inside(x.__self__)]
    return inside(x) if callable(x) else []


def _names(code: CodeType) -> list[str]:
    inner = [name for each in code.co_consts if isinstance(each, CodeType) for name in _names(each)]
    return [*code.co_names, *inner]
