"""A training as it is kept for the playground: the weights and the losses of every epoch, as plain numbers.

It is of use without the page, too. What the page can compute is a chain of layers whose activations can be compiled.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import Any, NamedTuple

from ...activations.functions import activation_title
from ...compiler import compile  # noqa: A004
from ...data.dataset import Dataset
from ...engine.primitive import as_float
from ...functions.primitives import dot
from ...nn import Module
from ...state import whole
from ..common.assets import compact
from ..common.drawing import a_text
from ..network.layers import chain_of_layers, neurons_of
from ..network.picture import Region, checked_region

Points = Dataset | tuple[Sequence[Any], Sequence[Any]]
MOST_NEURONS, MOST_LAYERS = 16, 8


class Snapshot(NamedTuple):
    """The network after an epoch: every neuron's weights and then its bias, layer by layer; and its losses."""

    epoch: int
    weights: tuple[float, ...]
    train_loss: float
    test_loss: float | None


class Recording:
    """A training of a network of two inputs and one output, epoch by epoch, to be played in a `Playground`.

    It is a callback of `fit`; in a loop of your own, call `take(epoch)`. The network as it is when the recording is
    made is epoch 0. Losses are measured on all points, with the weights of that moment.

    - `model`: an `MLP`, or another module that is a chain of `Layer`s. At most 8 layers of at most 16 neurons.
    - `train`, `test`: a `Dataset`, or a pair of inputs and targets: numbers, of which there are two at least. `test`
      can be left out.
    - `loss(predictions, targets)`: as for `fit`.
    - `name`, `note`: what the page calls it, and a sentence on it; attributes that can be set later, too.
    - `every`: keep every so many epochs, and the last.
    - `threshold`: the output at which the decision turns; the middle between the smallest and the largest target if not
      given. It is 0 for logits.
    - `region`: `((x_low, x_high), (y_low, y_high))`, the part of the plane that is shown; all points, with a margin, if
      not given.

    Raises `TypeError` for what has no layers, and `ValueError` for a network of another shape, for one that does
    something besides its layers, for an activation that has no form in JavaScript, and for arguments out of range.

    >>> from scalargrad.data import circle
    >>> from scalargrad.losses import mean_squared_error
    >>> from scalargrad.nn import MLP
    >>> from scalargrad.optim import SGD
    >>> from scalargrad.training import fit
    >>> train, test = circle(100).split(0.5)
    >>> model = MLP(2, [4, 2, 1], activation="tanh", output="tanh")
    >>> recording = Recording(model, train, test, loss=mean_squared_error, name="circle")
    >>> optimizer = SGD(model.parameters(), lr=0.03)
    >>> history = fit(model, train, mean_squared_error, optimizer, 3, callbacks=[recording], progress=False)
    >>> recording
    <Recording of circle: network 2-4-2-1, epochs 0 to 3>
    >>> recording.output(recording.snapshots[-1], [0.5, 1.0]) == model.predict([0.5, 1.0])
    True
    """

    def __init__(
        self,
        model: Module,
        train: Points,
        test: Points | None = None,
        *,
        loss: Callable[[list[Any], list[Any]], Any],
        name: str = "",
        note: str = "",
        every: int = 1,
        threshold: float | None = None,
        region: Region | None = None,
    ) -> None:
        layers = chain_of_layers(model)
        self.model, self.loss = model, loss
        self.name, self.note = a_text("Recording: name", name), a_text("Recording: note", note)
        self.train, self.test = _points("train", train), None if test is None else _points("test", test)
        self.every = whole("Recording: every", every)
        self.sizes = _sizes(layers)
        self.activations = [activation_title(layer.activation) for layer in layers]
        self._functions = [layer.activation for layer in layers]
        self.programs = dict(zip(self.activations, map(activation_program, self._functions), strict=True))
        low, high = min(self.train.targets), max(self.train.targets)
        if threshold is None and low == high:
            raise ValueError(f"Recording: all targets are {low!r}: there is nothing to decide; give a threshold")
        self.threshold = (low + high) / 2.0 if threshold is None else as_float(threshold, "Recording, threshold")
        self.scale = max(abs(low - self.threshold), abs(high - self.threshold)) or 1.0
        everywhere = self.train.inputs + (self.test.inputs if self.test else [])
        self.region = _around(everywhere) if region is None else checked_region("Recording", region)
        self.snapshots: list[Snapshot] = []
        self.take(0)
        for x in self.train.inputs[:4]:
            found, expected = self.output(self.snapshots[0], x), as_float(model.predict(x), "Recording")
            if not abs(found - expected) <= 1e-9 * (1.0 + abs(expected)):
                raise ValueError(
                    f"Recording: the model gives {expected!r} at {x}, its layers one behind another {found!r}: only a "
                    "network that is nothing but its layers can be played"
                )

    def take(self, epoch: int) -> None:
        """Keep the network as it is now, after `epoch`. `ValueError` unless that is later than what is kept already."""
        if self.snapshots and not epoch > self.snapshots[-1].epoch:
            raise ValueError(f"Recording: epoch {self.snapshots[-1].epoch} is kept already, and {epoch} is not later")
        weights: list[float] = []
        for layer in chain_of_layers(self.model):
            for neuron in neurons_of(layer):
                weights += [as_float(getattr(p, "data", p), "Recording") for p in (*neuron.weights, neuron.bias)]
        predict = self.model.frozen()
        losses = [
            None if data is None else as_float(self.loss([predict(x) for x in data.inputs], data.targets), "loss")
            for data in (self.train, self.test)
        ]
        assert losses[0] is not None
        self.snapshots.append(Snapshot(epoch, tuple(weights), losses[0], losses[1]))

    def __call__(self, training: Any) -> None:
        """Keep what a `Training` has come to: as a callback of `fit`."""
        epoch = training.epoch + 1
        if epoch % self.every == 0 or epoch == training.epochs or training.stopping:
            self.take(epoch)

    def outputs(self, snapshot: Snapshot, point: Sequence[float]) -> list[list[float]]:
        """What every neuron gives at a point of the plane, layer by layer, with the weights of a snapshot."""
        found, values, at = [], list(point), 0
        for n, activation in zip(self.sizes[1:], self._functions, strict=True):
            operands, width = [*values, 1.0], len(values) + 1
            rows = [snapshot.weights[at + width * j : at + width * (j + 1)] for j in range(n)]
            values = [float(activation(dot(*operands, *row))) for row in rows]
            found.append(values)
            at += width * n
        return found

    def output(self, snapshot: Snapshot, point: Sequence[float]) -> float:
        """What the network gives at a point of the plane, with the weights of a snapshot."""
        return self.outputs(snapshot, point)[-1][0]

    def wrong(self, snapshot: Snapshot, data: Dataset) -> int:
        """How many points of a set the network takes for the other class, with the weights of a snapshot."""
        over = self.threshold
        return sum((self.output(snapshot, x) > over) != (t > over) for x, t in data)

    def __repr__(self) -> str:
        first, last = self.snapshots[0].epoch, self.snapshots[-1].epoch
        shape = "-".join(map(str, self.sizes))
        return f"<Recording{f' of {self.name}' if self.name else ''}: network {shape}, epochs {first} to {last}>"


def _points(what: str, data: Points) -> Dataset:
    if not isinstance(data, Dataset):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeError(f"Recording: {what} is a Dataset, or a pair of inputs and targets, got {data!r:.80}")
        data = Dataset(data[0], data[1])  # type: ignore[arg-type]  # it makes lists of them
    if len(data.inputs[0]) != 2:
        raise ValueError(f"Recording: the points of {what} have {len(data.inputs[0])} coordinate(s), not two")
    targets = [as_float(t, f"Recording, target {k} of {what}") for k, t in enumerate(data.targets)]
    for k, (row, target) in enumerate(zip(data.inputs, targets, strict=True)):
        if not all(map(isfinite, (*row, target))):
            raise ValueError(f"Recording: point {k} of {what} is {row}, with target {target!r}: it is not finite")
    return Dataset(data.inputs, targets, data.feature_names)


def _sizes(layers: Sequence[Any]) -> list[int]:
    neurons = list(map(neurons_of, layers))
    sizes = [len(neurons[0][0].weights), *map(len, neurons)]
    if sizes[0] != 2 or sizes[-1] != 1:
        raise ValueError(f"Recording: a network of two inputs and one output is played, got {sizes[0]} and {sizes[-1]}")
    if max(sizes) > MOST_NEURONS or len(layers) > MOST_LAYERS:
        raise ValueError(
            f"Recording: at most {MOST_LAYERS} layers of at most {MOST_NEURONS} neurons can be seen, "
            f"got {'-'.join(map(str, sizes))}"
        )
    return sizes


def activation_program(function: Any) -> str:
    """An activation as JavaScript that defines `activation(x, y)`, on arrays of one number; of one that takes several
    ways, those that it takes at some points, and it returns 1 elsewhere."""
    compiled = compile(lambda x: function(x), backend="python")
    try:
        for x in (-3.0, -0.5, 0.5, 3.0):
            compiled(x)
        return compact(compiled.to_js("activation"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"Recording: the page cannot compute {activation_title(function)}: {error}") from error


def _around(points: Iterable[Sequence[float]]) -> Region:
    """A square with all points in it, and a margin."""
    xs, ys = zip(*points, strict=True)
    half = max(max(xs) - min(xs), max(ys) - min(ys)) / 2.0 * 1.1 or 1.0
    x, y = (max(xs) + min(xs)) / 2.0, (max(ys) + min(ys)) / 2.0
    return (x - half, x + half), (y - half, y + half)
