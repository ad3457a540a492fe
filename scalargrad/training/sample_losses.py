"""Losses of a batch that are the mean of its samples' losses, as programs of one sample: the library's own.

Any other loss runs on `Value`s of the predictions, whatever it does with them. These take part in nearly every
training, and for them that would cost more than the network's compiled gradient. Here stands which they are and how
a sample is read; the formulas, and what is wrong with a batch, remain where they are. The results are the same bits:
a mean hands every term the same share, and a prediction belongs to one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from .. import loss_rows, losses
from .. import primitives as table
from ..calculus import vjp
from ..compiler import CompiledFunction, compile  # noqa: A004
from ..loss_batches import class_index, is_list
from ..trees import LEAF, Structure, flatten

ELEMENTWISE = (
    losses.mean_squared_error,
    losses.mean_absolute_error,
    losses.huber,
    losses.hinge,
    losses.binary_cross_entropy,
    losses.binary_cross_entropy_with_logits,
)
Terms = tuple[list[float], list[list[float]]]  # of all samples in order, and their derivatives by each prediction


class SampleLoss:
    """A loss of the library, made ready to run sample by sample; `None` from `found` for any other."""

    def __init__(self, function: Callable[..., Any], keywords: dict[str, Any], backend: Any) -> None:
        self.function, self.keywords, self.backend = function, keywords, backend
        self.compiled: CompiledFunction = compile(
            self._of_class if function is losses.cross_entropy else self._of_numbers, backend=backend
        )

    @classmethod
    def found(cls, loss: Any, backend: Any) -> SampleLoss | None:
        """The same loss by samples, if it is known to be a mean of them."""
        keywords: dict[str, Any] = {}
        while isinstance(loss, partial):
            if loss.args:
                return None
            keywords, loss = {**loss.keywords, **keywords}, loss.func
        allowed = {"reduction"} if loss is losses.cross_entropy else {"reduction", "delta", "pos_weight"}
        if loss not in (*ELEMENTWISE, losses.cross_entropy) or not set(keywords) <= allowed:
            return None
        if keywords.pop("reduction", "mean") != "mean":
            return None
        return cls(loss, keywords, backend)

    def __call__(
        self, predictions: Sequence[tuple[list[float], Structure]], targets: list[Any]
    ) -> tuple[float, list[list[float]]] | None:
        """The loss and its derivatives by the predictions, as `Objective.of_predictions`; None for a form not known."""
        if len(predictions) != len(targets) or not predictions:
            return None
        structure = predictions[0][1]
        if any(each is not structure and each != structure for _, each in predictions):
            return None
        rows = [numbers for numbers, _ in predictions]
        if (structure != LEAF and structure != (list, None, (LEAF,) * len(rows[0]))) or not rows[0]:
            return None
        if self.function is losses.cross_entropy:
            found = None if structure == LEAF or any(map(is_list, targets)) else self._classes(rows, targets)
        else:
            found = self._numbers([row[0] for row in rows] if structure == LEAF else rows, targets, structure)
        if found is None:
            return None
        terms, derivatives = found
        return table.mean.compute(*terms), derivatives

    # ---- numbers against numbers -------------------------------------------------------------------------------------

    def _of_numbers(self, prediction: Any, target: Any, share: Any) -> Any:
        """The terms of one sample, and their share's derivative by its prediction."""

        def terms(y: Any) -> list[Any]:
            return flatten(self.function([y], [target], reduction="none", **self.keywords))[0]

        found, pull_back = vjp(terms, prediction)
        return found, flatten(pull_back([share] * len(found))[0])[0]

    def _numbers(self, ys: list[Any], targets: list[Any], structure: Structure) -> Terms | None:
        width = 1 if structure == LEAF else len(ys[0])
        if any(flatten(target)[1] != structure for target in targets):
            return None
        share = 1.0 / (width * len(ys))
        found, by = self.compiled.map(ys, targets, share, in_axes=(0, 0, None))
        return list(chain.from_iterable(zip(*found, strict=True))), list(map(list, zip(*by, strict=True)))

    # ---- logits against a class --------------------------------------------------------------------------------------

    def _of_class(self, logits: Any, share: Any) -> Any:
        """The loss of one sample whose class is the first, and its share's derivative by the logits."""
        loss, pull_back = vjp(lambda zs: loss_rows.surprise(*zs), logits)
        return loss, pull_back(share)[0]

    def _classes(self, rows: list[list[float]], targets: list[Any]) -> Terms:
        count = len(rows[0])
        classes = [class_index(target, "cross_entropy", n, count) for n, target in enumerate(targets)]
        ordered = [[row[k], *row[:k], *row[k + 1 :]] for row, k in zip(rows, classes, strict=True)]
        terms, by = self.compiled.map(ordered, 1.0 / len(rows), in_axes=(0, None))
        derivatives = []
        for (own, *others), k in zip(zip(*by, strict=True), classes, strict=True):
            others.insert(k, own)
            derivatives.append(others)
        return terms, derivatives
