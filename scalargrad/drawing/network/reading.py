"""`draw_network`: a multilayer perceptron by layers, its weights as lines: width by size, colour and dash by sign.

What is shown is read off the model once, into plain numbers; so a drawing stays as it was while training goes on, and
two of them can be compared.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ...activations.functions import activation_title
from ...engine.value import Value
from ...state import whole
from ..common.drawing import a_text
from ..common.text import clean, shortened
from ..graph.drawing import Drawing
from ..graph.reading import gradient_of
from .drawing import NetworkDrawing
from .heat import CELLS
from .layers import chain_of_layers, neurons_of, record, weights_of
from .neuron import draw_neuron
from .picture import NetworkPicture, Parameter, Region, Stage, Unit, checked_region

LIMIT = 16  # units of a layer that are drawn one by one

# ---- reading a model -------------------------------------------------------------------------------------------------


def draw_network(
    model: Any,
    *,
    inputs: Sequence[Any] | None = None,
    unfold: str | None = None,
    loss: Callable[[Any], Any] | None = None,
    region: Region | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    limit: int = LIMIT,
    title: str = "",
    theme: str = "auto",
    **options: Any,
) -> NetworkDrawing | Drawing:
    """Draw a network by layers: its units, its weights as lines, its biases, the activation of every layer.

    Numbers are those of the moment of the call. A line is as wide as the weight is large in size; positive weights are
    solid, negative ones dashed, and where there is room the number is printed.

    - `model`: an `MLP`, `Layer` or `Neuron` of `scalargrad.nn`, or a module of yours with `Layer`s one behind another.
    - `inputs`: one sample; then every unit shows its output on it.
    - `region`: `((x_low, x_high), (y_low, y_high))`, for a network of two inputs: then every unit shows its output over
      that part of the plane, as in TensorFlow Playground; where it is negative, hatched.
    - `unfold`: a neuron, such as `"layer1/neuron2"` (both count from 1). Instead of the network, draw the chain rule of
      that neuron: its graph on `inputs`, one node an operation, as `draw` does, which takes the further `options`.
      Gradients are those of the neuron's output, or, with `loss`, a function from the model's output to one `Value`,
      those of the loss, and what lies between is folded. The model's own gradients stay as they are.
    - `input_names`, `output_names`: x1, x2, ... and y1, y2, ... if not given.
    - `limit`: units of a layer that are drawn one by one; of larger layers, the middle is folded.
    - `title`, `theme`: as in `draw`.

    Raises `TypeError` for what has no layers, `ValueError` for layers that do not follow on each other, for inputs or
    names of another number, for a neuron that is not there, and for options out of range.

    >>> from scalargrad.nn import MLP
    >>> drawing = draw_network(MLP(2, [1], init="zeros"), inputs=[0.5, 1.0])
    >>> print(drawing)
    network 2-1, 3 parameters
    inputs: 2
    layer1: 1 identity, 3 parameters from 0 to 0
      θ1[1,1] = 0
      θ1[1,2] = 0
      θ1[1,0] = 0
    """
    layers = chain_of_layers(model)
    width = len(weights_of(layers[0])[0])
    a_text("draw_network: title", title)
    limit = whole("draw_network: limit", limit, 2)
    if inputs is not None and len(inputs) != width:
        raise ValueError(f"draw_network: the network takes {width} input(s), got {len(inputs)}")
    first = _names("input_names", input_names, width, "x")
    if unfold is not None:
        if inputs is None:
            raise ValueError("draw_network: unfold needs inputs, a sample, to compute the neuron on")
        if not isinstance(unfold, str):
            raise TypeError(f"draw_network: unfold takes a neuron's name, got {type(unfold).__name__}")
        return draw_neuron(model, unfold, list(inputs), first, loss, title=title, theme=theme, **options)
    if loss is not None or options:
        given = ", ".join([*(["loss"] if loss is not None else []), *options])
        raise TypeError(f"draw_network: {given}: for a neuron's graph; name the neuron by unfold=")
    last = _names("output_names", output_names, len(neurons_of(layers[-1])), "y")
    fields = _fields(model, layers, region) if region is not None else None
    outputs = None if inputs is None else record(model.frozen(), [_float(x) for x in inputs])[0]

    def shown(k: int, j: int, unit: Unit) -> Unit:
        output = None if outputs is None else outputs[k][j]
        return unit._replace(output=output, field=fields[k][j] if fields is not None else ())

    stages = [Stage("inputs", "", "", tuple([shown(0, j, Unit(name)) for j, name in enumerate(first)]))]
    for k, layer in enumerate(layers, 1):
        symbol, units = _symbol(layer, k), []
        for j, neuron in enumerate(neurons_of(layer)):
            weights = [_parameter(w, f"{symbol}[{j + 1},{i}]") for i, w in enumerate(neuron.weights, 1)]
            name = last[j] if k == len(layers) else str(j + 1)
            bias = _parameter(neuron.bias, f"{symbol}[{j + 1},0]")
            units.append(shown(k, j, Unit(name, tuple(weights), bias)))
        stages.append(Stage(f"layer{k}", symbol, activation_title(layer.activation), tuple(units)))
    picture = _picture(tuple(stages), title, limit, region)
    return NetworkDrawing(picture._replace(notes=_dropouts(model)), theme)


def display(model: Any) -> dict[str, str]:
    """What a notebook shows for a model: its network, or where it is none only the text."""
    text = {"text/plain": repr(model)}
    try:
        chain_of_layers(model)
    except (TypeError, ValueError):  # it is a module of another kind, and no mistake
        return text
    return {**draw_network(model)._repr_mimebundle_(), **text}


def _dropouts(model: Any) -> tuple[str, ...]:
    """Where numbers are dropped in training."""
    layers, found = 0, []
    for _, module in model.named_modules():
        layers += hasattr(module, "neurons")
        if type(module).__name__ == "Dropout":
            found.append(f"behind layer{layers}: {module!r}")
    return tuple(found)


def _picture(stages: tuple[Stage, ...], title: str, limit: int, region: Region | None) -> NetworkPicture:
    count = sum(len(unit.weights) + (unit.bias is not None) for stage in stages for unit in stage.units)
    sizes = "-".join(str(len(stage.units)) for stage in stages)
    what = f"network {sizes}, {count:,} parameter{'s' * (count != 1)}"
    told = "; ".join(
        f"{stage.name}, {len(stage.units)} {stage.activation} neuron{'s' * (len(stage.units) != 1)}"
        for stage in stages[1:]
    )
    inputs = len(stages[0].units)
    description = f"A {what}: {inputs} input{'s' * (inputs != 1)}; {told}."
    signs = [p.value for stage in stages for unit in stage.units for p in unit.weights]
    description += f" {sum(w > 0.0 for w in signs):,} weights are positive, {sum(w < 0.0 for w in signs):,} negative."
    heading = clean(shortened(title, 200)) if title.strip() else what
    return NetworkPicture(title, heading, description, stages, limit, region)


def _symbol(layer: Any, k: int) -> str:
    label = getattr(neurons_of(layer)[0].bias, "label", "")
    symbol, bracket, _ = label.partition("[")
    return clean(shortened(symbol, 12)) if bracket and symbol else f"θ{k}"


def _parameter(p: Any, otherwise: str) -> Parameter:
    if not isinstance(p, Value):
        return Parameter(otherwise, float(p))
    return Parameter(p.label.strip() or otherwise, p.data, gradient_of(p))


def _float(x: Any) -> float:
    return float(x.data if isinstance(x, Value) else x)


def _names(option: str, given: Sequence[str] | None, n: int, symbol: str) -> list[str]:
    if given is None:
        return [f"{symbol}[{k}]" if n > 1 else symbol for k in range(1, n + 1)]
    names = [given] if isinstance(given, str) else list(given)
    if len(names) != n:
        raise ValueError(f"draw_network: {option}: {n} name(s) expected, got {len(names)}")
    for k, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"draw_network: {option}: expected a str at position {k}, got {type(name).__name__}")
    return names


def _fields(model: Any, layers: list[Any], region: Region) -> list[list[Any]]:
    """Every unit's output over a region of the plane, as rows from the top."""
    if len(weights_of(layers[0])[0]) != 2:
        raise ValueError(f"draw_network: region is for two inputs, the network takes {len(weights_of(layers[0])[0])}")
    (x1, x2), (y1, y2) = checked_region("draw_network", region)
    frozen = model.frozen()
    steps = [(k + 0.5) / CELLS for k in range(CELLS)]
    rows = [[record(frozen, [x1 + s * (x2 - x1), y2 - t * (y2 - y1)])[0] for s in steps] for t in steps]
    return [
        [tuple(tuple(cell[k][j] for cell in row) for row in rows) for j in range(len(units))]
        for k, units in enumerate(rows[0][0])
    ]
