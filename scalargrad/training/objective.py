"""The loss of a batch and its gradient, as a definition: what every way of computing them must give to the last bit.

    L(w) = loss([f(w, x1), ..., f(w, xn)], targets) + penalty(w)

A model sees one sample at a time, so the chain rule is cut at the predictions:

1. the predictions `y_i = f(w, x_i)`, each by itself;
2. the loss of all predictions, and its derivatives `c_i` by them;
3. for each sample `g_i = c_i^T df(w, x_i)/dw`; they are added in the order of `losses/summation.py`; the penalty's
   gradient is added to their sum.

Here each step runs on `Value`s. `compiled/objective.py` replays the same steps as programs: 1 and 3 are functions of
one sample, whatever the loss does with a whole batch of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from operator import add
from typing import Any

from ..engine import modes
from ..engine.anomaly import gradient_check
from ..engine.chain_rule import NoGradient, float_adjoints, order_of_pass, order_since
from ..engine.primitive import as_float
from ..engine.value import Value, begin
from ..functions.primitives import mean
from ..losses.batches import plain as plain_number
from ..losses.summation import added
from ..nn.module import Module
from ..transforms.trees import LEAF, Structure, flatten, unflatten
from .sample_losses import SampleLoss

Loss = Callable[[list[Any], list[Any]], Any]
Penalty = Callable[[list[Any]], Any]
NUMBERS = (Value, float, int)


class Objective:
    """The loss of a batch as a function of the weights, for one model; a call returns its value and its gradient."""

    def __init__(self, model: Module, parameters: Sequence[Value], loss: Loss, penalty: Penalty | None) -> None:
        self.model, self.loss, self.penalty = model, loss, penalty
        self.samples = SampleLoss.found(loss)
        self.parameters, self.own = parameters, set(parameters)
        self.checked = False

    def __call__(self, inputs: list[Any], targets: list[Any]) -> tuple[float, list[float]]:
        """Loss and gradient, on `Value`s, at the weights that the parameters have."""
        begun = begin()
        with modes.recording() if modes.active else nullcontext():
            predictions = [self.model(x) for x in inputs]
        nested = [([y], LEAF) if type(y) is Value else flatten(y, "the model's result") for y in predictions]
        plain: list[tuple[list[float], Structure]] = []
        for outputs, structure in nested:
            for y in outputs:
                if not isinstance(y, NUMBERS):  # only the loss understands them: one graph for all
                    with modes.recording() if modes.active else nullcontext():
                        loss = self.loss(predictions, targets)
                    return self.with_penalty(*self._gradient(loss, self.parameters, "loss", begun))
            plain.append(([y._data if type(y) is Value else as_float(y) for y in outputs], structure))
        value, seeds = self.of_predictions(plain, targets)
        return self.with_penalty(value, added(self._gradients(nested, seeds, begun)))

    def _gradients(
        self, predictions: list[tuple[list[Any], Structure]], seeds: list[list[float]], begun: NoGradient
    ) -> Iterator[list[float]]:
        """For each sample what its seeded outputs bring to the parameters."""
        stop, zeros, count = self.own, dict.fromkeys(self.parameters, 0.0), len(self.parameters)
        anomaly = modes.active and modes.current().anomaly
        for (outputs, _), each in zip(predictions, seeds, strict=True):
            recorded = [pair for pair in zip(outputs, each, strict=True) if isinstance(pair[0], Value)]
            order = _order([y for y, _ in recorded], stop, begun)
            found = float_adjoints(order, recorded, zeros, gradient_check(each) if anomaly else None)
            yield list(islice(found.values(), count))  # those of `zeros` come first

    def of_predictions(
        self, predictions: Sequence[tuple[list[float], Structure]], targets: list[Any]
    ) -> tuple[float, list[list[float]]]:
        """The loss of predictions, each a flat list and a structure; and its derivatives by them, flat."""
        samples = self.samples
        terms: list[Any] = []

        def loss(leaves: list[Value]) -> Any:
            supply = iter(leaves)
            ys = [next(supply) if structure == LEAF else unflatten(structure, supply) for _, structure in predictions]
            if samples is None:
                return self.loss(ys, targets)
            terms[:] = samples.of_batch(ys, targets)
            return mean(*terms)

        value, flat = self._differentiated(loss, [x for numbers, _ in predictions for x in numbers], "loss")
        if samples is not None and len(terms) % len(predictions) == 0:
            value = samples.mean_of_terms(list(map(plain_number, terms)), len(predictions))
        supply = iter(flat)
        return value, [list(islice(supply, len(numbers))) for numbers, _ in predictions]

    def with_penalty(self, value: float, gradient: list[float]) -> tuple[float, list[float]]:
        if self.penalty is not None:
            more, of_penalty = self._differentiated(self.penalty, [p._data for p in self.parameters], "penalty")
            value, gradient = value + more, list(map(add, gradient, of_penalty))
        self.checked = True
        return value, gradient

    def _differentiated(
        self, f: Callable[[list[Value]], Any], numbers: Sequence[float], what: str
    ) -> tuple[float, list[float]]:
        with modes.recording() if modes.active else nullcontext():
            leaves = [Value(x) for x in numbers]
            return self._gradient(f(leaves), leaves, what)

    def _gradient(
        self, y: Any, leaves: Sequence[Value], what: str, begun: NoGradient | None = None
    ) -> tuple[float, list[float]]:
        if isinstance(y, list | tuple | dict):
            raise TypeError(f"fit: the {what} must be one number, not a {type(y).__name__}")
        if not isinstance(y, Value):
            return as_float(y, f"fit: the {what}"), [0.0] * len(leaves)
        order = order_of_pass((y,), leaves) if begun is None else _order((y,), leaves, begun)
        if not self.checked:
            self.check(order)
        check = gradient_check((1.0,)) if modes.active and modes.current().anomaly else None
        found = float_adjoints(order, ((y, 1.0),), leaves, check)
        return y._data, [found[leaf] for leaf in leaves]

    def check(self, nodes: Sequence[Value]) -> None:
        """Raise `ValueError` if one of the nodes that something was computed from is a parameter of the model."""
        for node in nodes:
            if node in self.own:
                raise ValueError(
                    f"fit: the loss depends on the model's parameter {node!r} itself, whose gradient would be "
                    "lost here: add penalties as penalty=, and let modules reach their parameters by attributes"
                )


def _order(results: Sequence[Value], stop: Iterable[Value], begun: NoGradient) -> list[Value]:
    """The order of the pass; `TypeError` for results of an earlier batch, whose weights were others."""
    order, old = order_since(begun, results, stop)
    for node in old:
        if node.parents:
            raise TypeError(
                f"fit: the model keeps a Value from one batch to the next, {node!r}, which was computed with other "
                "weights; keep its number, v.data, or v.detach()"
            )
    return [*order, *old]
