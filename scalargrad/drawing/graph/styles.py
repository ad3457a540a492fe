"""The look of nodes and edges by sign and size of gradients: line styles, colours of the scale, widths.

DOT, SVG, legend and tests follow these rules. Nothing is said by colour alone: signs are printed, and vanishing and
exploding gradients have line styles of their own.
"""

from __future__ import annotations

from math import isfinite, sqrt

from ..common.style import EXPLODING, VANISHING, magnitude
from .picture import Edge, Node, Picture


def node_style(node: Node) -> str:
    """The rule of a node's look: "none" before any pass, "bad" for inf and nan, "vanishing", "exploding", "usual".

    A gradient of zero is not vanishing: nothing flows there at all.
    """
    known = [node.gradient] if node.gradient is not None else list(node.gradient_range or ())
    if not all(map(isfinite, known)) or (node.value is not None and not isfinite(node.value)):
        return "bad"
    if not known:
        return "none"
    size = max(map(abs, known))
    return "vanishing" if 0.0 < size < VANISHING else "exploding" if size > EXPLODING else "usual"


def node_scale(node: Node) -> int | None:
    """The power of ten that colours a node; None before any pass and at zero. A block takes its largest gradient's."""
    known = node.gradient if node.gradient is not None else max(node.gradient_range or (), default=None)
    return None if not known or known != known else magnitude(known)


def edge_style(edge: Edge) -> str:
    """The rule of an edge's look: "constant", "around" a loop, "none" before any pass, "bad", "zero", "pos", "neg", or
    "mixed"."""
    if edge.to_constant or edge.says:
        return "constant" if edge.to_constant else "around"
    brought = edge.contributions or (() if edge.contribution is None else (edge.contribution,))
    if not brought:
        return "none"
    if not all(map(isfinite, brought)):
        return "bad"
    low, high = min(brought), max(brought)
    if low == high == 0.0:
        return "zero"
    return "pos" if low >= 0.0 else "neg" if high <= 0.0 else "mixed"


def edge_size(edge: Edge) -> float:
    """|contribution|, which sets the edge's width; 0 where there is none."""
    brought = edge.contributions or (() if edge.contribution is None else (edge.contribution,))
    return max(map(abs, filter(isfinite, brought)), default=0.0)


def edge_widths(picture: Picture) -> dict[str, float]:
    """The width of each edge in points: by the square root of |contribution|, the largest in the picture widest."""
    largest = picture.largest or 1.0
    return {e.id: 1.0 if e.to_constant else round(1.0 + 3.0 * sqrt(edge_size(e) / largest), 2) for e in picture.edges}
