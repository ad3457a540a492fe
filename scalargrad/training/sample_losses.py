"""Losses of a batch that are the mean of its samples' losses: the library's own, read one sample at a time.

Any other loss runs on `Value`s of the predictions, whatever it does with them. These take part in nearly every
training, and for them that would cost more than the network's compiled gradient: as functions of one sample, they
become part of its program. The formulas, and what is wrong with a batch, remain where they are.

A mean's terms are added in the order of `losses/summation.py`, as gradients are: the last bits of the loss of a
batch may be other than those of the loss itself, but are the same however they were computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..functions import primitives, values
from ..losses import functions as losses
from ..losses import primitives as loss_rows
from ..losses.batches import class_index, is_list
from ..losses.summation import added
from ..transforms.trees import LEAF, Structure, flatten

ELEMENTWISE = (
    losses.mean_squared_error, losses.mean_absolute_error, losses.huber, losses.hinge, losses.binary_cross_entropy,
    losses.binary_cross_entropy_with_logits,
)  # fmt: skip


class SampleLoss:
    """A loss of the library, sample by sample. `found` gives None for any other."""

    def __init__(self, function: Callable[..., Any], keywords: dict[str, Any]) -> None:
        self.function, self.keywords = function, keywords
        self.by_class = function is losses.cross_entropy

    @classmethod
    def found(cls, loss: Any) -> SampleLoss | None:
        """The same loss by samples, if it is known to be a mean of them."""
        keywords: dict[str, Any] = {}
        while isinstance(loss, partial):
            if loss.args:
                return None
            keywords, loss = {**loss.keywords, **keywords}, loss.func
        allowed = {"reduction"} if loss is losses.cross_entropy else {"reduction", "delta", "pos_weight"}
        if loss not in (*ELEMENTWISE, losses.cross_entropy) or not set(keywords) <= allowed:
            return None
        return cls(loss, keywords) if keywords.pop("reduction", "mean") == "mean" else None

    def of_batch(self, predictions: list[Any], targets: list[Any]) -> list[Any]:
        return flatten(self.function(predictions, targets, reduction="none", **self.keywords))[0]

    def mean(self, sums: Sequence[float], count: int) -> float:
        """The loss of so many samples, of the sums of their first terms, their second ones, ..."""
        return values.total(*sums) / (len(sums) * count)

    def mean_of_terms(self, terms: Sequence[float], count: int) -> float:
        """The loss of so many samples, each with as many of the terms."""
        width = len(terms) // count
        return self.mean(added([terms[k : k + width] for k in range(0, len(terms), width)]), count)

    def of_sample(self, prediction: Any, target: Any) -> list[Any]:
        """The terms of one sample, whose target is as `encoded` writes it."""
        if self.by_class:
            return [_surprise(prediction, target)]
        return flatten(self.function([prediction], [target], reduction="none", **self.keywords))[0]

    def encoded(self, targets: list[Any], structure: Structure) -> list[Any] | None:
        """The targets as numbers, for predictions of that structure; None where they are not of one form."""
        if self.by_class:
            classes = 0 if structure == LEAF else len(structure[2])
            if structure != (list, None, (LEAF,) * classes) or any(map(is_list, targets)):
                return None
            return [float(class_index(t, "cross_entropy", n, classes)) for n, t in enumerate(targets)]
        if any(flatten(target)[1] != structure for target in targets):
            return None
        return targets

    def width(self, structure: Structure) -> int:
        """How many terms a sample has whose prediction is of that structure."""
        return 1 if self.by_class or structure == LEAF else len(structure[2])


def _surprise(logits: Any, k: Any) -> Any:
    """The cross entropy of logits for a class that is known only when the program runs.

    `cross_entropy` puts the logit of its class first and the others behind it. So does this, by selections: they hand
    numbers and gradients on as they are.
    """
    first, others = logits[0], []
    for j in range(1, len(logits)):
        first = primitives.where(primitives.is_zero(k - j), logits[j], first)
        others.append(primitives.where(primitives.less(j - 1, k), logits[j - 1], logits[j]))
    return loss_rows.surprise(first, *others)
