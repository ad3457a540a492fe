"""The picture of a graph: what is shown, where, and as DOT, SVG, JSON or text.

`draw(value)`, which is also `value.draw()`, gives a `Drawing`. `draw_network(model)` draws a network by layer,
`draw_change` what a training step changed, and a `Playground` plays the `Recording` of a training. Nothing here imports
graphviz before a picture is made.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..engine.rendering import register
from .graph.drawing import Drawing, draw
from .graph.naming import name_values

if TYPE_CHECKING:
    from .network.comparison import draw_change
    from .network.picture import NetworkDrawing
    from .network.reading import draw_network
    from .playground import Playground, Recording

_LATER = {
    "draw_change": "network.comparison",
    "draw_network": "network.reading",
    "NetworkDrawing": "network.picture",
    "Playground": "playground",
    "Recording": "playground",
}

__all__ = ["Drawing", "NetworkDrawing", "Playground", "Recording", "draw", "draw_change", "draw_network", "name_values"]


def __dir__() -> list[str]:
    return [*__all__]


def __getattr__(name: str) -> Any:
    """Import what only some need when it is first used, so that importing the library stays light."""
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _network(name: str) -> Any:
    return lambda model, **options: getattr(import_module(f"{__name__}.network.reading"), name)(model, **options)


register("network", _network("draw_network"))
register("network in a notebook", _network("display"))
