"""Drawings: how a value was computed and how its gradient comes back, networks by layer, trainings to play with.

`graph/` draws the chain rule: `draw(value)`, which is also `value.draw()`, gives a `Drawing`; start with its
`drawing.py`. `network/` draws a network by layer (`draw_network`), and what a training step changed (`draw_change`).
`page/` is the step-through page of a graph, `playground/` the page of a recorded training, and `common/` has what they
share.

What draws is imported when something is first drawn, so that importing the library stays light.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..engine.rendering import register

if TYPE_CHECKING:
    from .graph.drawing import Drawing, draw
    from .graph.naming import name_values
    from .network.comparison import draw_change
    from .network.drawing import NetworkDrawing
    from .network.reading import draw_network
    from .playground import Playground, Recording

_LATER = {
    "Drawing": "graph.drawing",
    "draw": "graph.drawing",
    "draw_change": "network.comparison",
    "draw_network": "network.reading",
    "name_values": "graph.naming",
    "NetworkDrawing": "network.drawing",
    "Playground": "playground",
    "Recording": "playground",
}

__all__ = ["Drawing", "NetworkDrawing", "Playground", "Recording", "draw", "draw_change", "draw_network", "name_values"]
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    """Import what only some need when it is first used, so that importing the library stays light."""
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _renderer(module: str, name: str) -> Callable[..., Any]:
    """The function of that name, whose module is imported when it is first called."""

    def render(*shown: Any, **options: Any) -> Any:
        return getattr(import_module(f"{__name__}.{module}"), name)(*shown, **options)

    return render


register("graph", _renderer("graph.drawing", "draw"))
register("graph in a notebook", _renderer("graph.drawing", "display"))
register("network", _renderer("network.reading", "draw_network"))
register("network in a notebook", _renderer("network.reading", "display"))
