"""Metrics: how good predictions are, for people to read. Unlike losses they need no derivative, and run on floats.

All take the predictions and the targets, in this
order, as lists of one length, and raise `ValueError` where the lengths differ, where there are none, and for nan.
`Value`s count as their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, isnan
from typing import Any

from ..engine.primitive import as_float
from ..engine.value import Value
from ..losses.batches import is_list

Predictions = Iterable[Any]  # of numbers, or of lists of scores, one a class


def accuracy(predictions: Predictions, targets: Iterable[Any], threshold: float | None = None) -> float:
    """Compute the share of samples whose class is predicted right, from 0 to 1.

    - A prediction that is a list of scores (logits, probabilities) tells the class of its largest, the first at a tie;
      its target is a class index or a one-hot list.
    - One number, with a `threshold`, tells one of two classes: above it or not; and so does its target. 0.5 serves for
      probabilities, 0.0 for logits and margins, with targets 0 and 1, or -1 and 1.
    - One number without a threshold is a class itself; `ValueError` if it is no whole number.

    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    >>> accuracy([2.5, -0.1, 0.3], [1, -1, -1], threshold=0.0)
    0.6666666666666666
    """
    pairs = _classes("accuracy", predictions, targets, threshold)
    return sum(p == t for p, t in pairs) / len(pairs)


def confusion_matrix(
    predictions: Predictions,
    targets: Iterable[Any],
    threshold: float | None = None,
    classes: Sequence[Any] | None = None,
) -> list[list[int]]:
    """Count the samples of each class, by row, that are predicted to be of each class, by column.

    Predictions and targets as in `accuracy`. `classes` are the classes in order; if not given: the indices of the
    scores; 0 and 1 with a threshold; else all that occur, sorted. Raises `ValueError` for one that is not among them.

    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 1, 0])
    [[0, 1], [1, 1]]
    """
    scores = list(predictions)
    pairs = _classes("confusion_matrix", scores, targets, threshold)
    if classes is None:
        count = len(scores[0]) if is_list(scores[0]) else 2 if threshold is not None else 0
        classes = range(count) if count else sorted({c for pair in pairs for c in pair})
    position = {c: k for k, c in enumerate(classes)}
    matrix = [[0] * len(position) for _ in position]
    for k, (p, t) in enumerate(pairs):
        for what, c in (("prediction", p), ("target", t)):
            if c not in position:
                raise ValueError(
                    f"confusion_matrix: {what} {k} is {c!r}, which is not among the classes {list(classes)}"
                )
        matrix[position[t]][position[p]] += 1
    return matrix


def r2_score(predictions: Iterable[Any], targets: Iterable[Any]) -> float:
    """Compute the coefficient of determination: `1 - sum((t - p)**2) / sum((t - mean(t))**2)`.

    1 for perfect predictions, 0 for those no better than the targets' mean, negative for worse. Takes numbers. Raises
    `ValueError` where all targets are equal, for which it is not defined. Draper and Smith, Applied Regression
    Analysis, 1998, chapter 1.

    >>> r2_score([1.1, 1.9, 3.2], [1.0, 2.0, 3.0])
    0.97
    """
    pairs = [
        (_number("r2_score", "prediction", k, p), _number("r2_score", "target", k, t))
        for k, (p, t) in enumerate(_paired("r2_score", predictions, targets))
    ]
    mean = fsum(t for _, t in pairs) / len(pairs)
    spread = fsum((t - mean) ** 2 for _, t in pairs)
    if all(t == pairs[0][1] for _, t in pairs):
        raise ValueError(
            f"r2_score: not defined where all targets are equal: {len(pairs)} target(s) of {pairs[0][1]!r}"
        )
    return 1.0 - fsum((t - p) ** 2 for p, t in pairs) / spread


def _paired(name: str, predictions: Iterable[Any], targets: Iterable[Any]) -> list[tuple[Any, Any]]:
    ps, ts = list(predictions), list(targets)
    if len(ps) != len(ts):
        raise ValueError(f"{name}: {len(ps)} prediction(s) but {len(ts)} target(s)")
    if not ps:
        raise ValueError(f"{name}: of no predictions and no targets")
    return list(zip(ps, ts, strict=True))


def _number(name: str, what: str, k: int, x: Any) -> float:
    if type(x) is float and x == x:  # nearly always
        return x
    number = x.data if isinstance(x, Value) else as_float(x, f"{name}, {what} {k}")
    if isnan(number):
        raise ValueError(f"{name}: {what} {k} is nan")
    return number


def _classes(
    name: str, predictions: Predictions, targets: Iterable[Any], threshold: float | None
) -> list[tuple[int, int]]:
    """The predicted class and the true one, for each sample."""

    def class_of(what: str, k: int, x: Any) -> int:
        if is_list(x):
            scores = [_number(name, what, k, score) for score in x]
            if not scores:
                raise ValueError(f"{name}: {what} {k} is an empty list")
            return scores.index(max(scores))
        number = _number(name, what, k, x)
        if threshold is not None:
            return int(number > threshold)
        if number % 1.0 != 0.0:
            raise ValueError(
                f"{name}: {what} {k} is {number!r}, which is no class; give a threshold: "
                "0.5 for probabilities, 0.0 for logits and margins"
            )
        return int(number)

    found = []
    for k, (p, t) in enumerate(_paired(name, predictions, targets)):
        if is_list(t) and (not is_list(p) or len(t) != len(p)):
            raise ValueError(f"{name}: target {k} is {t!r}, which is no one-hot list for the prediction {p!r}")
        if is_list(p) and not is_list(t):
            true = _number(name, "target", k, t)
            if true not in range(len(p)):
                raise ValueError(f"{name}: target {k} is {true!r}, which is no class index: there are {len(p)} classes")
            found.append((class_of("prediction", k, p), int(true)))
        else:
            found.append((class_of("prediction", k, p), class_of("target", k, t)))
    return found
