"""Losses: how wrong a batch of predictions is, as one number to make small.

Each takes the predictions and the targets of a batch, in this order, as lists of one length, and returns a float, or a
`Value` if any of them is one. `reduction` says what becomes of the samples' losses: their `"mean"`, their `"sum"`, or
`"none"`, the list of them. The regression and binary losses also take lists of lists (several outputs a sample), and
then average over all numbers. Conventions are PyTorch's; where they differ the docstring says so. The entropies fused
with sigmoid and softmax are in `primitives.py`; how a batch is read and checked is in `batches.py`.

All raise `ValueError` for lists of different length, an empty batch, an unknown reduction, and for targets and
probabilities that cannot be such, naming the position; `TypeError` for what is no list of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..engine import table
from ..engine.primitive import as_float
from ..functions import primitives
from . import primitives as own

# fmt: off
from .batches import (  # isort: skip
    Position, batch, by_class, distribution, elementwise, numbers, plain, position_text, probability, reduced,
    target_distribution,
)
# fmt: on

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "categorical_cross_entropy", "cross_entropy", "hinge",
    "huber", "kl_divergence", "mean_absolute_error", "mean_squared_error", "negative_log_likelihood",
]  # fmt: skip


def __dir__() -> list[str]:
    return [*__all__]


Numbers = Iterable[Any]  # of numbers and Values, or of lists of them


def mean_squared_error(predictions: Numbers, targets: Numbers, *, reduction: str = "mean") -> Any:
    """Compute the mean of `(p - t)**2`: the usual loss of a regression, under which the best constant is the mean.

    Derivative `2 (p - t)/n` by each prediction.

    >>> from scalargrad import Value
    >>> p = Value(2.5); loss = mean_squared_error([p, 1.0], [3.0, 1.0]); loss.backward(); (loss.data, p.grad)
    (0.125, -0.5)
    """
    square = table.power(2.0)
    return elementwise("mean_squared_error", lambda p, t, at: square(table.sub(p, t)), predictions, targets, reduction)


def mean_absolute_error(predictions: Numbers, targets: Numbers, *, reduction: str = "mean") -> Any:
    """Compute the mean of `|p - t|`: outliers pull less, and the best constant is the median.

    Derivative `sign(p - t)/n`, 0 at `p = t`.

    >>> mean_absolute_error([2.5, 1.0], [3.0, 1.0])
    0.25
    """
    return elementwise(
        "mean_absolute_error", lambda p, t, at: table.abs(table.sub(p, t)), predictions, targets, reduction
    )


def huber(predictions: Numbers, targets: Numbers, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    """Compute the mean of `d**2/2` for `|d| <= delta` and `delta (|d| - delta/2)` beyond, with `d = p - t`.

    Squared near the target, absolute far from it; derivative `d` brought into [-delta, delta], over n. Huber, Robust
    estimation of a location parameter, Annals of Mathematical Statistics 35, 1964.

    >>> huber([0.5, 3.0], [0.0, 0.0], reduction="none")
    [0.125, 2.5]
    """
    width = as_float(delta, "huber: delta")
    if not width > 0.0:
        raise ValueError(f"huber: delta must be above 0, got {width!r}")
    row = own.huber(width)
    return elementwise("huber", lambda p, t, at: row(table.sub(p, t)), predictions, targets, reduction)


def hinge(predictions: Numbers, targets: Numbers, *, reduction: str = "mean") -> Any:
    """Compute the mean of `max(0, 1 - t p)`: the loss of a support vector machine, for targets -1 and 1.

    A prediction is any number, and right with a margin once `t p >= 1`; from there on its derivative is 0, before it
    `-t/n`. Cortes and Vapnik, Support-vector networks, Machine Learning 20, 1995.

    >>> hinge([0.5, -2.0], [1, -1])
    0.25
    """

    def one(p: Any, t: Any, at: Position) -> Any:
        if t != 1.0 and t != -1.0:
            raise ValueError(f"hinge: targets must be -1 or 1, got {plain(t)!r} at {position_text(at)}")
        return table.relu(1.0 - table.mul(t, p))

    return elementwise("hinge", one, predictions, targets, reduction)


def binary_cross_entropy(predictions: Numbers, targets: Numbers, *, reduction: str = "mean") -> Any:
    """Compute the mean of `-t log p - (1 - t) log(1 - p)`, of probabilities `p` and targets `t` in [0, 1].

    Derivative `(p - t)/(p (1 - p))`, over n. Where a logarithm would fall below -100 it is -100, and its slope is taken
    to be 1e12, as PyTorch's: a saturated wrong answer still learns, and does no more harm than that. Prefer logits
    where you have them.

    >>> from scalargrad import Value
    >>> p = Value(0.9); loss = binary_cross_entropy([p], [1.0]); loss.backward(); (loss.data, p.grad)
    (0.10536051565782628, -1.1111111111111112)
    """

    def one(p: Any, t: Any, at: Position) -> Any:
        if p < 0.0 or p > 1.0:
            raise ValueError(
                f"binary_cross_entropy: predictions must be in [0, 1], got {plain(p)!r} at {position_text(at)}; "
                "for logits use binary_cross_entropy_with_logits"
            )
        return own.binary_cross_entropy(p, probability(t, "binary_cross_entropy", at))

    return elementwise("binary_cross_entropy", one, predictions, targets, reduction)


def binary_cross_entropy_with_logits(
    predictions: Numbers, targets: Numbers, *, pos_weight: float = 1.0, reduction: str = "mean"
) -> Any:
    """Compute `binary_cross_entropy` of `sigmoid(z)`, of logits `z`, without forming a probability.

    `w t softplus(-z) + (1 - t) softplus(z)`, with `w = pos_weight` to make up for rare positives. Derivative
    `sigmoid(z) - t` for `w = 1`, over n: at `z = 0`, too, and with all its digits in both tails.

    >>> from scalargrad import Value
    >>> z = Value(40.0); loss = binary_cross_entropy_with_logits([z], [1.0]); loss.backward(); (loss.data, z.grad)
    (4.248354255291589e-18, -4.248354255291589e-18)
    """
    name = "binary_cross_entropy_with_logits"
    weight = as_float(pos_weight, f"{name}: pos_weight")
    if not 0.0 <= weight < math.inf:
        raise ValueError(f"{name}: pos_weight must be finite and not below 0, got {weight!r}")
    row = own.logistic_loss(weight)
    return elementwise(name, lambda z, t, at: row(z, probability(t, name, at)), predictions, targets, reduction)


def cross_entropy(
    predictions: Iterable[Numbers],
    targets: Numbers,
    *,
    class_weights: Numbers | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Any:
    """Compute the mean of `-log softmax(z)[k]`, of a list of logits `z` for each sample, and its class `k`.

    A target is a class index (an int, from 0), or a list of probabilities that sum to 1, one-hot for instance: then
    `-(t1 log softmax_1 + t2 log softmax_2 + ...)`. Derivative `softmax - t` by the logits, over n, exact at ties and in
    the tails. With `label_smoothing` e, targets become `(1 - e) t + e/C` for C classes. `class_weights` multiply the
    classes' terms; the mean is then over the sum of the samples' weights for indices, over n for probabilities.

    >>> from scalargrad import Value
    >>> z = [Value(0.0), Value(0.0)]; loss = cross_entropy([z], [1]); loss.backward(); (loss.data, z[0].grad, z[1].grad)
    (0.6931471805599453, 0.5, -0.5)
    >>> cross_entropy([[50.0, 0.0, 0.0], [1.0, 1.0, 1.0]], [0, [0.2, 0.3, 0.5]], reduction="none")
    [3.8574996959278356e-22, 1.0986122886681096]
    """
    return by_class(
        "cross_entropy", predictions, targets, lambda zs, k: own.surprise_of(k)(*zs),
        lambda zs, ts: own.soft_cross_entropy(*zs, *ts), class_weights, label_smoothing, reduction,
    )  # fmt: skip


def categorical_cross_entropy(
    predictions: Iterable[Numbers],
    targets: Numbers,
    *,
    class_weights: Numbers | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Any:
    """Compute the mean of `-log p[k]`, of a list of probabilities `p` for each sample, and its class `k`.

    Targets, weights and smoothing as in `cross_entropy`; the probabilities must sum to 1 (within 1e-6), as those of a
    `softmax`. Derivative `-t/p`, over n. Logarithms are cut off at -100 as in `binary_cross_entropy`. Prefer logits
    where you have them.

    >>> categorical_cross_entropy([[0.9, 0.1]], [0]), categorical_cross_entropy([[0.4, 0.6]], [[1.0, 0.0]])
    (0.10536051565782628, 0.916290731874155)
    """
    return by_class(
        "categorical_cross_entropy", predictions, targets, lambda ps, k: own.minus_log(ps[k]),
        lambda ps, ts: primitives.dot(*ts, *map(own.minus_log, ps)), class_weights, label_smoothing, reduction, True,
    )  # fmt: skip


def negative_log_likelihood(
    predictions: Iterable[Numbers], targets: Numbers, *, class_weights: Numbers | None = None, reduction: str = "mean"
) -> Any:
    """Compute the mean of `-l[k]`, of a list of log-probabilities `l` for each sample, and its class `k`.

    The predictions are those of `log_softmax`. Targets are class indices; weights as in `cross_entropy`, of which this
    is the second half.

    >>> negative_log_likelihood([[-0.25, -1.5], [-3.0, -0.0625]], [0, 1])
    0.15625
    """
    return by_class(
        "negative_log_likelihood", predictions, targets, lambda ls, k: -ls[k], None, class_weights, 0.0, reduction
    )


def kl_divergence(predictions: Iterable[Numbers], targets: Iterable[Numbers], *, reduction: str = "mean") -> Any:
    """Compute the mean of `t1 log(t1/q1) + t2 log(t2/q2) + ...`: how far distributions `q` are from the targets `t`.

    Not below 0 but by rounding, and 0 only where they agree; terms with `t = 0` are 0, and `q = 0` elsewhere gives inf.
    Derivative `-t/q` by the predictions, over n. The mean is over samples: PyTorch's `batchmean`, with probabilities
    where PyTorch takes their logarithms. Kullback and Leibler, On information and sufficiency, 1951.

    >>> kl_divergence([[0.5, 0.5]], [[0.75, 0.25]])
    0.13081203594113697
    """
    name = "kl_divergence"
    losses = []
    for n, (q, t) in enumerate(batch(name, predictions, targets, reduction)):
        qs, ts = numbers(q, name, f"prediction {n}"), numbers(t, name, f"target {n}")
        if len(qs) != len(ts):
            raise ValueError(f"{name}: {len(qs)} predicted and {len(ts)} target probabilities in sample {n}")
        distribution(qs, name, f"the prediction of sample {n}")
        losses.append(own.relative_entropy(*qs, *target_distribution(ts, name, n)))
    return reduced(losses, reduction)
