"""The rules of a picture's look: colours, widths and line styles, by sign and size of gradients.

Apart from what draws them, so that DOT and SVG, the legend and the tests follow one table. Nothing is told by colour
alone: signs are printed, and vanishing and exploding gradients have line styles of their own.
"""

from __future__ import annotations

from math import isfinite, log10, sqrt

from ..graph.picture import Edge, Node, Picture

VANISHING, EXPLODING = 1e-6, 1e3

# (light, dark)
COLOURS = {
    "page": ("#ffffff", "#15171c"),
    "frame": ("#e4e4e7", "#31353e"),
    "ink": ("#18181b", "#ececef"),
    "muted": ("#44444c", "#c8c8d2"),
    "line": ("#8f8f9a", "#6c7280"),
    "leaf": ("#3f3f46", "#d4d4d8"),
    "plain": ("#f6f6f8", "#22252d"),
    "group": ("#fafafb", "#1a1d23"),
    "now": ("#fde68a", "#6b5310"),
    "pos": ("#2563eb", "#6ea8ff"),
    "neg": ("#e0561a", "#ff9350"),
    "bad": ("#d11a45", "#ff6b87"),
    "pos text": ("#1b3fa8", "#a9ccff"),
    "neg text": ("#86290a", "#ffc09a"),
    "bad text": ("#8f0c2f", "#ffb3c1"),
}
_ENDS = (("#9dd9d0", "#0f5b54"), ("#d6b8ef", "#593089"))  # of the scale of |gradient|: vanishing, exploding
SCALE = range(-6, 4)  # powers of ten of |gradient|


def _mixed(a: str, b: str, t: float) -> str:
    pairs = [(int(a[k : k + 2], 16), int(b[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in pairs)


def scale_colour(k: int, dark: bool) -> str:
    """The fill of a node whose |gradient| is about 10**k: neutral at 1, two hues towards vanishing and exploding."""
    end = _ENDS[k > 0][dark]
    return _mixed(COLOURS["plain"][dark], end, abs(k) / (3.0 if k > 0 else 6.0))


def magnitude(gradient: float) -> int:
    """The power of ten that colours a gradient: from -6, for less and for zero, to 3, for more."""
    size = abs(gradient)
    return SCALE[0] if size < VANISHING else min(round(log10(size)), SCALE[-1]) if isfinite(size) else SCALE[-1]


def node_style(node: Node) -> str:
    """The rule of a node's look: "none" before any pass, "bad" for inf and nan, "vanishing", "exploding", "usual"."""
    known = [node.gradient] if node.gradient is not None else list(node.gradient_range or ())
    numbers = [*known, *([node.value] if node.value is not None else [])]
    if not all(map(isfinite, numbers)):
        return "bad"
    if not known:
        return "none"
    size = max(map(abs, known))
    return "vanishing" if size < VANISHING else "exploding" if size > EXPLODING else "usual"


def node_scale(node: Node) -> int | None:
    """The power of ten that colours a node; None before any pass. A block takes its largest gradient's."""
    known = node.gradient if node.gradient is not None else max(node.gradient_range or (), default=None)
    return None if known is None or known != known else magnitude(known)


def edge_style(edge: Edge) -> str:
    """The rule of an edge's look: "constant", "none" before any pass, "bad", "zero", "pos", "neg", or "mixed"."""
    if edge.to_constant:
        return "constant"
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
    return max((abs(x) for x in brought if isfinite(x)), default=0.0)


def edge_widths(picture: Picture) -> dict[str, float]:
    """The width of each edge in points: by the square root of |contribution|, the largest in the picture widest."""
    largest = picture.largest or 1.0
    return {e.id: 1.0 if e.to_constant else round(1.0 + 3.0 * sqrt(edge_size(e) / largest), 2) for e in picture.edges}


def sign_style(x: float) -> str:
    """The class of a contribution: "pos", "neg", "zero" or "bad"."""
    return "bad" if not isfinite(x) else "pos" if x > 0.0 else "neg" if x < 0.0 else "zero"
