"""What drawings ask of a model: its layers one behind another, names of activations, what comes out of each layer.

Nothing here imports `scalargrad.nn`: a layer is what has neurons, a neuron what has weights, so that networks of the
user's own are drawn as well.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any


def chain_of_layers(model: Any) -> list[Any]:
    """The model's layers in order; an error where they are not a chain."""
    walk = getattr(model, "named_modules", lambda: ())
    layers = [module for _, module in walk() if hasattr(module, "neurons")]
    if not layers and hasattr(model, "named_modules") and hasattr(model, "weights") and hasattr(model, "bias"):
        layers = [model]
    if not layers:
        raise TypeError(
            f"draw_network: {type(model).__name__} has no layers; it takes an MLP, Layer or Neuron, or a Module with "
            "Layers in it. The graph of any result is drawn by its draw()"
        )
    for k, (one, other) in enumerate(pairwise(layers), 1):
        n, m = len(neurons_of(one)), len(weights_of(other)[0])
        if n != m:
            raise ValueError(
                f"draw_network: layer {k} has {n} output(s) but layer {k + 1} takes {m}: only layers that follow on "
                "each other can be drawn. The graph of any result is drawn by its draw()"
            )
    return layers


def neurons_of(layer: Any) -> Sequence[Any]:
    neurons: Sequence[Any] = layer.neurons if hasattr(layer, "neurons") else [layer]
    return neurons


def weights_of(layer: Any) -> list[Sequence[Any]]:
    return [neuron.weights for neuron in neurons_of(layer)]


def record(model: Any, inputs: list[Any]) -> tuple[list[list[Any]], Any]:
    """Call a copy of a model; return what went into its first layer and what came out of each, and its own answer."""
    layers = chain_of_layers(model)
    seen: dict[int, list[Any]] = {}
    entered: list[Any] = []

    def recorded(k: int, forward: Callable[[Any], Any], xs: Any) -> Any:
        given = list(xs)
        if k == 0:
            entered[:] = given[: len(weights_of(layers[0])[0])]  # a neuron is handed a 1 for its bias, too
        ys = forward(given)
        seen[k] = list(ys) if isinstance(ys, list | tuple) else [ys]
        return ys

    originals = [layer.forward for layer in layers]
    try:
        for k, layer in enumerate(layers):
            layer.forward = partial(recorded, k, originals[k])
        answer = model(inputs)
    finally:
        for layer in layers:
            del layer.forward
    if len(seen) < len(layers):
        unused = ", ".join(str(k + 1) for k in range(len(layers)) if k not in seen)
        raise ValueError(f"draw_network: the model does not call its layer {unused}")
    return [entered, *(seen[k] for k in range(len(layers)))], answer
