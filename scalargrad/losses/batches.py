"""How a loss reads a batch: what is a list, which lengths agree, what is a probability or a class, what is averaged.

No formula is here. It is strict, because a loss that is silently wrong still trains: nothing is broadcast, and every
error names the loss, the numbers and the sample, counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

from ..engine import table
from ..engine.primitive import as_float
from ..engine.value import Value
from ..functions import primitives

_NUMBERS = (float, Value)


def plain(x: Any) -> float:
    """The number, for a message: what is computed with it would be frozen where the loss is compiled."""
    return x._data if isinstance(x, Value) else as_float(x)


def is_list(x: Any) -> bool:
    return type(x) is not float and hasattr(x, "__iter__") and not isinstance(x, str)


def number(x: Any, name: str, what: str) -> Any:
    return x if type(x) is float or isinstance(x, Value) else as_float(x, f"{name}: {what}")


def numbers(x: Any, name: str, what: str) -> list[Any]:
    if not is_list(x):
        raise TypeError(f"{name}: expected a list of numbers as {what}, got one {type(x).__name__}")
    return [number(each, name, what) for each in x]


def batch(name: str, predictions: Any, targets: Any, reduction: str) -> list[tuple[Any, Any]]:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", got {reduction!r}')
    for what, given in (("predictions", predictions), ("targets", targets)):
        if not is_list(given):
            raise TypeError(f"{name}: expected a list of {what}, one for each sample, got one {type(given).__name__}")
    ps, ts = list(predictions), list(targets)
    if len(ps) != len(ts):
        raise ValueError(f"{name}: {len(ps)} predictions but {len(ts)} targets")
    if not ps:
        raise ValueError(f"{name}: an empty batch: no predictions and no targets")
    return list(zip(ps, ts, strict=True))


def reduced(losses: list[Any], reduction: str, total_weight: Any = None) -> Any:
    if reduction == "none":
        return losses
    if reduction == "sum":
        return primitives.sum(*losses)
    return primitives.mean(*losses) if total_weight is None else table.div(primitives.sum(*losses), total_weight)


Position = tuple[int, int | None]  # a sample, and which of its numbers where it has several


def position_text(at: Position) -> str:
    return f"sample {at[0]}" if at[1] is None else f"sample {at[0]}, output {at[1]}"


def elementwise(
    name: str, one: Callable[[Any, Any, Position], Any], predictions: Any, targets: Any, reduction: str
) -> Any:
    """The loss of each prediction and target, numbers or lists of numbers, reduced over all of them."""
    shaped: list[Any] = []  # as the predictions are
    for n, (p, t) in enumerate(batch(name, predictions, targets, reduction)):
        nested = False
        if type(p) not in _NUMBERS or type(t) not in _NUMBERS:  # hardly ever
            nested = is_list(p)
            if nested != is_list(t):
                kinds = ("a list", "a number") if nested else ("a number", "a list")
                raise ValueError(f"{name}: the prediction of sample {n} is {kinds[0]}, its target {kinds[1]}")
            read = numbers if nested else number
            p, t = read(p, name, "prediction"), read(t, name, "target")
        if not nested:
            shaped.append(one(p, t, (n, None)))
        elif len(p) != len(t):
            raise ValueError(f"{name}: {len(p)} predictions but {len(t)} targets in sample {n}")
        else:
            shaped.append([one(a, b, (n, k)) for k, (a, b) in enumerate(zip(p, t, strict=True))])
    losses = [loss for each in shaped for loss in (each if type(each) is list else (each,))]
    if not losses:
        raise ValueError(f"{name}: an empty batch: samples without a number")
    return shaped if reduction == "none" else reduced(losses, reduction)


def probability(t: Any, name: str, at: Position) -> Any:
    if not 0.0 <= t <= 1.0:
        raise ValueError(f"{name}: targets must be in [0, 1], got {plain(t)!r} at {position_text(at)}")
    return t


def target_distribution(ts: list[Any], name: str, n: int) -> list[Any]:
    for k, t in enumerate(ts):
        probability(t, name, (n, k))
    return distribution(ts, name, f"the target of sample {n}")


def distribution(ts: list[Any], name: str, what: str) -> list[Any]:
    """Probabilities, checked: in [0, 1], with a sum of 1 within 1e-6. A nan among predictions passes, as anywhere."""
    for k, t in enumerate(ts):
        if t < 0.0 or t > 1.0:
            raise ValueError(f"{name}: {what} has {plain(t)!r} as probability {k}, which is outside [0, 1]")
    whole = primitives.sum(*ts)
    if abs(whole - 1.0) > 1e-6:
        raise ValueError(f"{name}: {what} sums to {plain(whole)!r}, where probabilities sum to 1")
    return ts


def by_class(
    name: str,
    predictions: Any,
    targets: Any,
    of_index: Callable[[list[Any], int], Any],
    of_shares: Callable[[list[Any], list[Any]], Any] | None,
    class_weights: Any,
    label_smoothing: float,
    reduction: str,
    probabilities: bool = False,
) -> Any:
    """The losses of samples that belong to a class, or to all in some shares: weighted, smoothed and reduced."""
    smoothing = as_float(label_smoothing, f"{name}: label_smoothing")
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"{name}: label_smoothing must be in [0, 1], got {smoothing!r}")
    weights = None if class_weights is None else [as_float(w, f"{name}: class_weights") for w in class_weights]
    losses: list[Any] = []
    sample_weights: list[float] = []  # what each brings to the mean
    count = 0
    for n, (prediction, target) in enumerate(batch(name, predictions, targets, reduction)):
        xs = numbers(prediction, name, f"prediction {n} (one score for each class)")
        if n == 0:
            count = len(xs)
            if count == 0:
                raise ValueError(f"{name}: the prediction of sample 0 is empty: there are no classes")
            if weights is not None and len(weights) != count:
                raise ValueError(f"{name}: {len(weights)} class weights for {count} classes")
        elif len(xs) != count:
            raise ValueError(f"{name}: {len(xs)} classes in sample {n}, but {count} in sample 0")
        if probabilities:
            distribution(xs, name, f"the prediction of sample {n}")
        if is_list(target):
            if of_shares is None:
                raise TypeError(f"{name}: targets must be class indices, got a list for sample {n}")
            shares = numbers(target, name, f"target {n}")
            if len(shares) != count:
                raise ValueError(f"{name}: {len(shares)} target probabilities for {count} classes in sample {n}")
            target_distribution(shares, name, n)
            sample_weights.append(1.0)
        else:
            k = class_index(target, name, n, count)
            sample_weights.append(1.0 if weights is None else weights[k])
            if smoothing == 0.0:
                loss = of_index(xs, k)
                losses.append(loss if weights is None else _times(weights[k], loss))
                continue
            shares = [float(j == k) for j in range(count)]
        if smoothing != 0.0:
            shares = [(1.0 - smoothing) * t + smoothing / count for t in shares]
        if weights is not None:
            shares = [table.mul(w, t) for w, t in zip(weights, shares, strict=True)]
        assert of_shares is not None
        losses.append(of_shares(xs, shares))
    return reduced(losses, reduction, None if weights is None else math.fsum(sample_weights))


def _times(weight: float, loss: Any) -> Any:
    """A weight of zero brings exactly nothing, of an infinite loss, too."""
    return table.mul(weight, loss) if weight != 0.0 else primitives.where(0.0, loss, 0.0)


def class_index(target: Any, name: str, n: int, count: int) -> int:
    if not isinstance(target, Integral):
        raise TypeError(
            f"{name}: a target must be a class index (an int)"
            f"{'' if name == 'negative_log_likelihood' else ' or a list of probabilities'}, "
            f"got {target!r} for sample {n}"
        )
    k = int(target)
    if not 0 <= k < count:
        raise ValueError(f"{name}: class {k} of sample {n} is out of range: there are {count}, from 0 to {count - 1}")
    return k
