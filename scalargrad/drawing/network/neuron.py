"""One neuron of a network as the graph that it is: every product, their sum, the activation, and the chain rule.

The neuron is computed anew, on copies of the parameters, and drawn by `draw`.
"""

from collections.abc import Callable
from typing import Any

from ...engine.chain_rule import topological_order
from ...engine.value import Value
from ..common.text import number
from ..graph.drawing import Drawing, draw
from .layers import chain_of_layers, neurons_of, record

EXPANDED = 8  # weights that are drawn as products of their own; more stay one dot product


def draw_neuron(
    model: Any,
    name: str,
    inputs: list[Any],
    input_names: list[str],
    loss: Callable[[Any], Any] | None,
    *,
    title: str,
    theme: str,
    **options: Any,
) -> Drawing:
    """The chain rule of one neuron: see `draw_network`."""
    originals = model.parameters()
    copies = [Value(p.data, label=p.label) for p in originals]
    copied = model.with_parameters(copies).eval()
    layer, neuron = _find(copied, name)
    if hasattr(neuron, "expanded") and len(neuron.weights) <= EXPANDED:
        neuron.expanded, neuron.simple = True, False
    xs = [Value(getattr(x, "data", x), label=label) for x, label in zip(inputs, input_names, strict=True)]
    stages, answer = record(copied, xs)
    position = int(name.rpartition("neuron")[2])
    reached = stages[layer][position - 1]
    own = [v for v in topological_order([reached]) if v.group == neuron.group]
    output = own[0] if own else reached
    _label(output, f"{'a' if output is reached else 'z'}{layer}[{position}]")
    for k, stage in enumerate(stages[1:layer], 1):
        for j, v in enumerate(stage, 1):
            _label(v, f"a{k}[{j}]")
    top = output
    if loss is not None:
        top = loss(answer)
        if not isinstance(top, Value):
            raise TypeError(f"draw_network: loss must return a Value, got {type(top).__name__}")
        everything = set(topological_order([top]))
        if any(p in everything for p in originals):
            raise ValueError("draw_network: the loss reaches for the model's own parameters; let it use its argument")
        if output not in everything:
            raise ValueError(f"draw_network: the loss does not depend on {name}")
        _label(top, "L")
    top.backward()
    groups, folded = _parts(top, output, own, layer)
    shown = ", ".join(number(x.data) for x in xs[:6]) + (", …" if len(xs) > 6 else "")
    drawn: dict[str, Any] = {
        "groups": groups, "collapse": folded or False, "parameters": copies, "title": title or f"{name} on ({shown})",
        "theme": theme, **options,
    }  # fmt: skip
    return draw(top, **drawn)


def _find(model: Any, name: str) -> tuple[int, Any]:
    """The layer, counted from 1, and the neuron of that name."""
    known: dict[str, tuple[int, Any]] = {}
    for k, layer in enumerate(chain_of_layers(model), 1):
        for j, neuron in enumerate(neurons_of(layer), 1):
            known[f"layer{k}/neuron{j}"] = k, neuron
    if name not in known:
        shown = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
        raise ValueError(f"draw_network: unfold: there is no {name!r}; the neurons, counted from 1, are {shown}")
    return known[name]


def _label(value: Value, label: str) -> None:
    if not value.label and not value.is_constant:
        value.label = label


def _parts(top: Value, output: Value, own: list[Value], layer: int) -> tuple[dict[str, list[Value]], list[str]]:
    """What lies before the neuron, its operands, and what lies behind it, as groups; and which of them to fold."""
    inside = {*own, output}
    operands = [p for v in inside for p in v.parents if p not in inside]
    before = set(topological_order(operands)) - set(operands)
    behind = [v for v in topological_order([top]) if v not in inside | before | set(operands) and v is not top]
    groups = {}
    if layer > 1:
        groups[f"layer{layer - 1}"] = [v for v in topological_order([output]) if v in set(operands) and v.parents]
    folded = []
    for name, members in ((f"inputs to layer{layer - 1}", before), (f"the rest, up to {top.label}", behind)):
        if len(members) > 1:
            folded.append(name.replace("/", "∕"))  # a stroke would nest it
            groups[folded[-1]] = list(members)
    return {name: members for name, members in groups.items() if members}, folded
