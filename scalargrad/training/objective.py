"""The loss of a batch and its gradient, as a definition: what every way of computing them must give to the last bit.

    L(w) = loss([f(w, x1), ..., f(w, xn)], targets) + penalty(w)

A model sees one sample at a time, so the chain rule is cut at the predictions `y_i = f(w, x_i)`: the loss gives its
derivatives `c_i` by them, and each sample `g_i = c_i^T df(w, x_i)/dw`, which are added in the order of
`losses/summation.py`, as a mean's terms are; the penalty's gradient is added to their sum. Here each step runs on
`Value`s; `compiled/objective.py` replays the same steps as programs of one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from operator import add
from typing import Any

from ..engine import modes
from ..engine.anomaly import gradient_check
from ..engine.chain_rule import NoGradient, float_adjoints, order_of_pass, order_since
from ..engine.primitive import as_float
from ..engine.value import Value, begin
from ..functions import primitives, values
from ..functions.primitives import mean
from ..losses import functions as losses
from ..losses import primitives as loss_rows
from ..losses.batches import class_index, is_list
from ..losses.batches import plain as plain_number
from ..losses.summation import added
from ..nn.module import Module
from ..optim.base import Optimizer
from ..transforms.trees import LEAF, Structure, flatten, unflatten

ELEMENTWISE = (
    losses.mean_squared_error, losses.mean_absolute_error, losses.huber, losses.hinge, losses.binary_cross_entropy,
    losses.binary_cross_entropy_with_logits,
)  # fmt: skip


class SampleLoss:
    """A loss of the library as the mean of its samples' losses, each a function of one sample.

    These take part in nearly every training; as such they become part of the network's program, where any other loss
    runs on `Value`s of the predictions, whatever it does with them. `found` gives None for any other.
    """

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


Loss = Callable[[list[Any], list[Any]], Any]
Penalty = Callable[[list[Any]], Any]
Found = tuple[float, list[float]]  # a value and its gradient
NUMBERS = (Value, float, int)


class Objective:
    """The loss of a batch as a function of the weights, for one model; a call returns its value and its gradient."""

    def __init__(self, model: Module, parameters: Sequence[Value], loss: Loss, penalty: Penalty | None) -> None:
        self.model, self.loss, self.penalty = model, loss, penalty
        self.samples = SampleLoss.found(loss)
        self.parameters, self.own = parameters, set(parameters)
        self.checked = False

    def __call__(self, inputs: list[Any], targets: list[Any]) -> Found:
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

    def with_penalty(self, value: float, gradient: list[float]) -> Found:
        if self.penalty is not None:
            more, of_penalty = self._differentiated(self.penalty, [p._data for p in self.parameters], "penalty")
            value, gradient = value + more, list(map(add, gradient, of_penalty))
        self.checked = True
        return value, gradient

    def _differentiated(self, f: Callable[[list[Value]], Any], numbers: Sequence[float], what: str) -> Found:
        with modes.recording() if modes.active else nullcontext():
            leaves = [Value(x) for x in numbers]
            return self._gradient(f(leaves), leaves, what)

    def _gradient(self, y: Any, leaves: Sequence[Value], what: str, begun: NoGradient | None = None) -> Found:
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


Clip = Callable[[list[Value]], Any]


class OptimizerStep:
    """The optimizer's own step. One that works on numbers of its own loads them, and stores them again."""

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Value]) -> None:
        self.optimizer, self.parameters = optimizer, parameters

    def load(self) -> None:
        """Take over what parameters and optimizer hold."""

    def store(self) -> None:
        """Put it back."""

    @property
    def weights(self) -> Sequence[float]:
        return [p._data for p in self.parameters]

    def __call__(self, gradients: Sequence[float], clip: Clip | None) -> None:
        for p, g in zip(self.parameters, gradients, strict=True):
            p._grad = g
        if clip is not None:
            clip(list(self.parameters))
        self.optimizer.step()
