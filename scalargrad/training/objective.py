"""The loss of a batch and its gradient, as a definition: what every way of computing them must give to the last bit.

    L(w) = loss([f(w, x1), ..., f(w, xn)], targets) + penalty(w)

A model sees one sample at a time, so the chain rule comes apart at the predictions:

1. the predictions `y_i = f(w, x_i)`, each by itself;
2. the loss of all predictions, and its derivatives `c_i` by them;
3. for each sample `g_i = c_i^T df(w, x_i)/dw`; they are added in the order of a compiled function's `map`, which
   `compiler/order.py` repeats; the penalty's gradient is added to their sum.

Here each step runs on `Value`s. `programs.py` replays the same steps as programs: 1 and 3 are functions of one sample,
whatever the loss does with a whole batch of them. This stands apart so that there is one thing to agree with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from operator import add
from typing import Any

from .. import modes
from ..calculus import value_and_grad
from ..compiler.order import added
from ..graph import float_adjoints, topological_order
from ..nn import Module
from ..primitives import INPUT, LEAF, as_float, mean
from ..trees import Structure, flatten, unflatten
from ..value import Value
from .sample_losses import SampleLoss

Loss = Callable[[list[Any], list[Any]], Any]
Penalty = Callable[[list[Any]], Any]


class Objective:
    """The loss of a batch as a function of the weights, for one model; a call returns its value and its gradient."""

    def __init__(self, model: Module, parameters: Sequence[Value], loss: Loss, penalty: Penalty | None) -> None:
        self.model, self.loss, self.penalty = model, loss, penalty
        self.samples = SampleLoss.found(loss)
        self.own = set(parameters)
        self.checked = False

    def __call__(self, weights: Sequence[float], inputs: list[Any], targets: list[Any]) -> tuple[float, list[float]]:
        """Loss and gradient, on `Value`s."""
        with modes.recording() if modes.active else nullcontext():
            leaves = [Value(x) for x in weights]
            for leaf in leaves:  # so that derivatives which the model itself takes are recorded
                leaf.operation = INPUT
            try:
                model = self.model.with_parameters(leaves)
                predictions = [model(x) for x in inputs]
            finally:
                for leaf in leaves:
                    leaf.operation = LEAF
        apart = [flatten(y, "the model's result") for y in predictions]
        if not all(isinstance(y, Value | float | int) for outputs, _ in apart for y in outputs):
            return self._of_whole_batches(weights, inputs, targets)
        plain = [(list(map(_plain, outputs)), structure) for outputs, structure in apart]
        value, seeds = self.of_predictions(plain, targets)
        stop = dict.fromkeys(leaves, 0.0)
        own, anomaly = (set() if self.checked else self.own), modes.active and modes.current().anomaly

        def gradients() -> Iterator[list[float]]:
            for (outputs, _), each in zip(apart, seeds, strict=True):
                recorded = [(y, s) for y, s in zip(outputs, each, strict=True) if isinstance(y, Value)]
                order = topological_order([y for y, _ in recorded], stop)
                if own:
                    self.check(order)
                found = float_adjoints(order, recorded, stop, modes.gradient_check(each) if anomaly else None)
                yield list(map(found.__getitem__, leaves))

        gradient = added(gradients(), len(apart), len(leaves))
        return self.with_penalty(weights, value, gradient)

    def of_predictions(
        self, predictions: Sequence[tuple[list[float], Structure]], targets: list[Any]
    ) -> tuple[float, list[list[float]]]:
        """The loss of predictions, each a flat list and a structure; and its derivatives by them, flat."""
        trees = [unflatten(structure, numbers) for numbers, structure in predictions]
        by_samples = self.samples
        terms: list[Any] = []

        def loss(ys: list[Any]) -> Any:
            if by_samples is None:
                return self._checked(self.loss(ys, targets))
            terms[:] = by_samples.of_batch(ys, targets)
            return mean(*terms)

        value, derivatives = value_and_grad(loss)(trees)
        if by_samples is not None and len(terms) % len(trees) == 0:
            value = by_samples.mean_of_terms(list(map(_plain, terms)), len(trees))
        return value, [flatten(each)[0] for each in derivatives]

    def with_penalty(self, weights: Sequence[float], value: float, gradient: list[float]) -> tuple[float, list[float]]:
        """Loss and gradient with the penalty's added."""
        if self.penalty is not None:
            penalty = self.penalty
            more, of_penalty = value_and_grad(lambda ws: self._checked(penalty(ws)))(list(weights))
            value, gradient = value + more, list(map(add, gradient, of_penalty))
        self.checked = True
        return value, gradient

    def _of_whole_batches(
        self, weights: Sequence[float], inputs: list[Any], targets: list[Any]
    ) -> tuple[float, list[float]]:
        """As a call, for a model whose predictions are objects that only the loss understands: one graph for all."""

        def whole(ws: list[Any]) -> Any:
            model = self.model.with_parameters(ws)
            return self._checked(self.loss([model(x) for x in inputs], targets))

        value, gradient = value_and_grad(whole)(list(weights))
        return self.with_penalty(weights, value, gradient)

    def _checked(self, value: Any) -> Any:
        if not self.checked and isinstance(value, Value):
            self.check(topological_order((value,)))
        return value

    def check(self, nodes: Sequence[Value]) -> None:
        """Raise `ValueError` if one of the nodes that something was computed from is a parameter of the model."""
        for node in nodes:
            if node in self.own:
                raise ValueError(
                    f"fit: the loss depends on the model's parameter {node!r} itself, whose gradient would be "
                    "lost here: add penalties as penalty=, and let modules reach their parameters by attributes"
                )


def _plain(y: Any) -> float:
    return y.data if isinstance(y, Value) else as_float(y)
