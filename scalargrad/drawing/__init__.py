"""The picture of a graph: what is shown, where, and as DOT, SVG, JSON or text.

`draw(value)`, which is also `value.draw()`, gives a `Drawing`. Nothing here imports graphviz before a picture is made.
"""

from .drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
