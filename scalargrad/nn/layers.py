"""The multilayer perceptron and its parts: neurons, layers of them, and dropout between layers.

A neuron is one `dot` node and its activation. The dot takes the bias along, as the weight of an input that is always 1:
that is one node less, and faster, than an addition behind it (measured: 6 % of forward and backward pass). Weights are
named as in textbooks, destination first: `θ1[2,3]` leads, in layer 1, to neuron 2 from input 3, and `θ1[2,0]`, from the
input that is always 1, is a bias. For drawings, the nodes of that neuron are in the group `layer1/neuron2`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Any

from ..activations import functions as activations
from ..activations.functions import activation as named_activation
from ..activations.functions import activation_title, log_softmax, softmax
from ..engine import modes
from ..engine.primitive import as_float
from ..engine.value import Value, constant
from ..functions import primitives
from ..state import seed_of, whole
from .initialisation import Initialisation, initialisation
from .module import Module, Number

Activation = str | Callable[..., Any]
_NAMED = [getattr(activations, name) for name in activations.__all__ if name != "activation"]


def _takes_a_layer(activation: Any) -> bool:
    if isinstance(activation, partial):
        return _takes_a_layer(activation.func)
    return activation in (softmax, log_softmax) or bool(getattr(activation, "of_layer", False))


def _is_one_node(activation: Any) -> bool:
    """Whether an activation is known to make one node at most."""
    if isinstance(activation, partial):
        given = (*activation.args, *activation.keywords.values())
        return _is_one_node(activation.func) and not any(isinstance(x, Value) for x in given)
    return activation in _NAMED


def _generator(kind: str, seed: Any) -> Random:
    if isinstance(seed, Random):
        return seed
    return Random(seed_of(f"{kind}: seed", seed, "an int, or a random.Random to draw from"))


class _Network(Module):
    """What takes one list of numbers; `forward` gives a list, of which one number alone is given as such."""

    def __call__(self, inputs: Iterable[Number], *more: Any) -> Any:
        """Compute the outputs for a list of numbers or `Value`s. `ValueError` if there are not as many as declared."""
        if more:
            kind = type(self).__name__
            raise TypeError(f"{kind}: expected one list of numbers, got {1 + len(more)} arguments; put them in a list")
        ys = self.forward(inputs)
        return ys[0] if len(ys) == 1 else ys

    def forward(self, inputs: Iterable[Number]) -> list[Number]:
        """As a call, but always a list."""
        raise NotImplementedError


def _operands(kind: str, inputs: Any, count: int, parameter: Any) -> list[Any]:
    """The inputs, and the one that is always 1; as nodes where the parameters are, so that a layer shares them."""
    try:
        xs = list(inputs)
    except TypeError:
        raise TypeError(f"{kind}: expected a list of {count} number(s), got one {type(inputs).__name__}") from None
    if xs and hasattr(type(xs[0]), "__len__") and not isinstance(xs[0], str):
        raise TypeError(
            f"{kind}: expected a list of {count} number(s), one sample, got {len(xs)} {type(xs[0]).__name__}s; "
            "for several samples call it on each: [model(x) for x in samples]"
        )
    if len(xs) != count:
        raise ValueError(f"{kind}: expected {count} input(s), got {len(xs)}")
    xs.append(1.0)
    nodes = isinstance(parameter, Value)
    for k, x in enumerate(xs):
        if type(x) is not Value and not hasattr(type(x), "_record"):
            x = x if type(x) is float else as_float(x, kind)
            xs[k] = constant(x) if nodes else x
    return xs


class Neuron(_Network):
    """One neuron: `activation(w1 x1 + ... + wn xn + b)`.

    - `inputs`: how many numbers it takes.
    - `activation`: a name of `scalargrad.activations`, or a function of one number. One that is a `Module` may have
      parameters of its own, which are then learnt.
    - `init`: an initialisation's name, or a function `(random, inputs, outputs) -> weight`; by the activation if None.
      The bias begins at 0. `outputs`, the number of neurons that share the inputs, is for Glorot's rule.
    - `seed`: an int, or a `random.Random` to draw the weights from.
    - `expanded`: build every multiplication and addition as a node of its own; the same bits, for drawings.

    >>> neuron = Neuron(2, "tanh", init="zeros")
    >>> [w.label for w in neuron.parameters()], neuron([0.5, 0.25]).data
    (['θ[1,1]', 'θ[1,2]', 'θ[1,0]'], 0.0)
    """

    def __init__(
        self,
        inputs: int,
        activation: Activation = "relu",
        *,
        init: Initialisation | None = None,
        seed: int | Random = 0,
        expanded: bool = False,
        outputs: int = 1,
    ) -> None:
        self.inputs = whole("Neuron: inputs", inputs)
        self.activation = named_activation(activation)
        if _takes_a_layer(self.activation):
            title = activation_title(activation)
            raise ValueError(f"Neuron: {title} acts on a whole layer; give it to a Layer, or as output")
        self.expanded = expanded
        plain = activation.func if isinstance(activation, partial) else activation
        draw, random = initialisation(init, activation_title(plain)), _generator("Neuron", seed)
        self.weights = [Value(draw(random, inputs, outputs)) for _ in range(self.inputs)]
        self.bias = Value(0.0)
        self.simple = not expanded and _is_one_node(self.activation)
        self.name("θ", 1, "neuron")

    def name(self, symbol: str, to: int, group: str) -> None:
        """Label the parameters `symbol[to,from]`, and name the group of the nodes that a call makes."""
        self.group = group
        for source, p in enumerate([self.bias, *self.weights]):
            p.label = f"{symbol}[{to},{source}]"

    def __repr__(self) -> str:
        return f"Neuron({self.inputs}, activation={_shown(self.activation)})"

    def forward(self, inputs: Iterable[Number]) -> list[Number]:
        return [self.output(_operands("Neuron", inputs, self.inputs, self.bias))]

    def output(self, operands: Sequence[Number]) -> Number:
        """The output for operands behind which a 1 stands."""
        if modes.active or not self.simple:
            with modes.group(self.group):
                return self.activation(self._sum(operands))
        total = primitives.dot(*operands, *self.weights, self.bias)
        y = self.activation(total)
        if type(y) is Value:  # the group by hand: the context, in every neuron, would double the time of a forward pass
            y._group = self.group
            if y is not total:
                total._group = self.group
        return y

    def _sum(self, operands: Sequence[Number]) -> Number:
        if not self.expanded:
            return primitives.dot(*operands, *self.weights, self.bias)
        total = operands[0] * self.weights[0]
        for x, w in zip(operands[1:-1], self.weights[1:], strict=True):
            total = total + x * w
        return total + self.bias


class Layer(_Network):
    """Neurons side by side on the same inputs. Arguments as `Neuron`'s; `outputs` is the number of neurons.

    Called on a list of numbers or `Value`s it returns a list; one number alone where it has one neuron. An activation
    may act on the whole list: `softmax`, `log_softmax`, or a function of yours with an attribute `of_layer = True`.

    >>> layer = Layer(2, 3, "softmax", init="zeros")
    >>> [y.data for y in layer([0.5, 0.25])]
    [0.3333333333333333, 0.3333333333333333, 0.3333333333333333]
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: Activation = "relu",
        *,
        init: Initialisation | None = None,
        seed: int | Random = 0,
        expanded: bool = False,
    ) -> None:
        self.inputs, self.outputs = whole("Layer: inputs", inputs), whole("Layer: outputs", outputs)
        self.activation = named_activation(activation)
        self.joint = _takes_a_layer(self.activation)
        single = "identity" if self.joint else activation
        random = _generator("Layer", seed)
        self.neurons = [
            Neuron(inputs, single, init=init, seed=random, expanded=expanded, outputs=self.outputs)
            for _ in range(self.outputs)
        ]
        self.name("θ", "layer")

    def name(self, symbol: str, group: str) -> None:
        """Label the parameters `symbol[to,from]`, and name the group of the nodes that a call makes."""
        self.group = group
        for to, neuron in enumerate(self.neurons, 1):
            neuron.name(symbol, to, f"{group}/neuron{to}")

    def __repr__(self) -> str:
        return f"Layer({self.inputs}, {self.outputs}, activation={_shown(self.activation)})"

    def forward(self, inputs: Iterable[Number]) -> list[Number]:
        """As a call, but always a list."""
        operands = _operands("Layer", inputs, self.inputs, self.neurons[0].bias)
        ys = [neuron.output(operands) for neuron in self.neurons]
        if not self.joint:
            return ys
        with modes.group(self.group):
            return list(self.activation(ys))


class Dropout(Module):
    """In training, replace each number by 0 with probability `p`, and divide the others by `1 - p`; else do nothing.

    So the expected value stays. Every call draws anew, from a generator that begins at `seed` and is part of the state
    that is saved. Takes and returns a list. Raises `ValueError` unless `0 <= p < 1`. Srivastava et al., Dropout: a
    simple way to prevent neural networks from overfitting, JMLR 15, 2014; scaled in training rather than in use, as
    everywhere today.

    In training it cannot be compiled, since the compiled function would drop the same inputs for ever: `TypeError`.

    >>> dropout = Dropout(0.5, seed=1)
    >>> dropout([1.0, 2.0, 3.0, 4.0]), dropout.eval()([1.0, 2.0, 3.0, 4.0])
    ([0.0, 4.0, 6.0, 0.0], [1.0, 2.0, 3.0, 4.0])
    """

    def __init__(self, p: float = 0.5, seed: int | Random = 0) -> None:
        self.p = as_float(p, "Dropout")
        if not 0.0 <= self.p < 1.0:
            raise ValueError(f"Dropout: p must be at least 0 and below 1, got {p!r}")
        self.random = _generator("Dropout", seed)
        self.group = "dropout"

    def __repr__(self) -> str:
        return f"Dropout({self.p!r})"

    def __call__(self, inputs: Iterable[Number]) -> list[Number]:
        """Drop from a list of numbers or `Value`s."""
        if not self.training:
            return list(inputs)
        if modes.tracer() is not None:
            raise TypeError(
                "Dropout: compiled, it would drop the same inputs for ever; call eval() on the network first"
            )
        scale, random, p = 1.0 / (1.0 - self.p), self.random.random, self.p
        with modes.group(self.group):
            return [x * scale if random() >= p else 0.0 for x in inputs]

    def own_state(self) -> dict[str, Any]:
        version, numbers, _ = self.random.getstate()
        return {"random": [version, list(numbers)]}

    def load_own_state(self, state: Any) -> None:
        try:
            version, numbers = state["random"]
            if not all(type(x) is int and 0 <= x < 2**32 for x in numbers):
                raise ValueError("a number out of range")
            Random().setstate((version, tuple(numbers), None))
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError(f"Dropout: not the state of a generator of random numbers: {error!r}") from None
        self.random.setstate((version, tuple(numbers), None))


class MLP(_Network):
    """The multilayer perceptron: layers of neurons, each on the outputs of the one before.

    - `inputs`: how many numbers it takes; `sizes`: how many neurons each layer has, the last of them the outputs.
    - `activation`: of the hidden layers; or a list, one for each. `output`: of the last layer, linear if not given.
    - `init`, `seed`, `expanded`: as `Neuron`'s. Layers draw from one generator, one after the other.
    - `dropout`: the probability of a `Dropout` behind each hidden layer; none if 0.

    Called on a list of numbers or `Value`s it returns a list of `Value`s; one `Value` alone where it has one output.
    `predict` does so in plain numbers. Raises `ValueError` for sizes that are not counts, and for unknown names.

    >>> model = MLP(2, [16, 16, 1])
    >>> model
    MLP(2, [16, 16, 1], activation='relu', output='identity')
    >>> len(model.parameters()), model.parameters()[0].label
    (337, 'θ1[1,1]')
    >>> y = model([0.5, -1.0]); y.backward(); y.data == model.predict([0.5, -1.0])
    True
    """

    def __init__(
        self,
        inputs: int,
        sizes: Sequence[int] = (),
        activation: Activation | Sequence[Activation] = "relu",
        output: Activation = "identity",
        *,
        init: Initialisation | None = None,
        dropout: float = 0.0,
        seed: int | Random = 0,
        expanded: bool = False,
    ) -> None:
        if isinstance(inputs, Sequence) or not isinstance(sizes, Iterable) or not (widths := list(sizes)):
            found = repr(inputs) if isinstance(inputs, Sequence) else f"{inputs!r}, {sizes!r}"
            raise ValueError(
                "MLP: expected the number of inputs, then a list of sizes, one for each layer, such as MLP(2, [3, 1]), "
                f"got MLP({found})"
            )
        widths = [whole("MLP: sizes", each) for each in widths]
        listed = isinstance(activation, Sequence) and not isinstance(activation, str)
        hidden: list[Activation] = list(activation) if listed else [activation] * (len(widths) - 1)  # type: ignore[arg-type, list-item]
        if len(hidden) != len(widths) - 1:
            raise ValueError(f"MLP: {len(hidden)} activation(s) for {len(widths) - 1} hidden layer(s)")
        random = _generator("MLP", seed)
        self.inputs, self.sizes = whole("MLP: inputs", inputs), widths
        layers = [
            Layer(n, m, each, init=init, seed=random, expanded=expanded)
            for n, m, each in zip([inputs, *widths], widths, [*hidden, output], strict=False)
        ]
        self.layers: list[Layer | Dropout] = []
        for k, layer in enumerate(layers, 1):
            layer.name(f"θ{k}", f"layer{k}")
            self.layers.append(layer)
            if dropout != 0.0 and layer is not layers[-1]:
                drop = Dropout(dropout, seed=int(2.0**53 * random.random()))
                drop.group = f"layer{k}/dropout"
                self.layers.append(drop)

    def __repr__(self) -> str:
        *hidden, output = [_shown(layer.activation) for layer in self.layers if isinstance(layer, Layer)]
        same = hidden[0] if len(set(hidden)) == 1 else f"[{', '.join(hidden)}]"
        activation = f", activation={same}" if hidden else ""
        drops = [layer.p for layer in self.layers if isinstance(layer, Dropout)]
        dropout = f", dropout={drops[0]!r}" if drops else ""
        return f"MLP({self.inputs}, {self.sizes}{activation}, output={output}{dropout})"

    def forward(self, inputs: Iterable[Number]) -> list[Number]:
        """As a call, but always a list."""
        xs: Any = inputs
        for layer in self.layers:
            xs = layer(xs) if isinstance(layer, Dropout) else layer.forward(xs)
        ys: list[Number] = xs
        return ys


def _shown(activation: Any) -> str:
    title = activation_title(activation)
    try:
        return repr(title) if named_activation(title) is activation else title
    except ValueError:
        return title
