"""The story as data for the page's script: columns of short texts and positions.

Every number is a text, made by the same functions as those in the picture. What computes them anew, when an input is
moved, is in `live.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from ..common.text import clean, number, shortened
from ..graph.formulas import formula
from ..graph.picture import Edge, Node, Picture
from .story import Story

PLACES = 0xF0000  # a plane of private letters
SEARCHED = 300  # columns of a label that can be searched


def short_and_full(x: float | None) -> str:
    """A number as the page holds it: as shown and in full, once if both are the same.

    >>> short_and_full(-1 / 3), short_and_full(0.5), short_and_full(None)
    ('−0.3333|-0.3333333333333333', '0.5', '')
    """
    if x is None:
        return ""
    short, full = number(x), repr(x)
    return full if short == full else f"{short}|{full}"


def to_data(story: Story, live: dict[str, Any] | str = "") -> dict[str, Any]:
    """The story as columns over nodes, edges and steps; what most of them lack is a dict by position.

    `live` is what the page computes with, or why it does not.
    """
    picture, backward, of = story.picture, story.backward, story.picture.of
    position = {n.id: k for k, n in enumerate(picture.nodes)}
    patterns, of_node = _patterns(picture)
    nodes, edges = picture.nodes, picture.edges
    return {
        "live": live,
        "of": of,
        "patterns": patterns,
        "name": picture.name,
        "total": picture.total,
        "hasPass": picture.has_gradients,
        "roots": [k for k, n in enumerate(nodes) if n.is_root],
        "nodes": {
            "name": [n.name for n in nodes],
            "kind": "".join(n.kind[0] for n in nodes),  # input, parameter, operation, constant, block
            "formula": [n.formula for n in nodes],
            "pattern": of_node,
            "value": [short_and_full(n.value) for n in nodes],
            "gradient": [_spread(n.gradient_range) if n.kind == "block" else short_and_full(n.gradient) for n in nodes],
            "short": _sparse(
                (k, short)
                for k, n in enumerate(nodes)
                if picture.of
                and (short := n.gradient_name.removeprefix(f"∂{picture.of}/∂")) not in (n.name, n.gradient_name)
            ),
            "label": _sparse(
                (k, label)
                for k, n in enumerate(nodes)
                if (label := clean(shortened(n.label.strip(), SEARCHED))) not in ("", n.name)
            ),
            "before": _sparse((k, [short_and_full(b.gradient), b.origin]) for k, b in backward.before.items()),
            "due": _sparse((k, due) for k, due in backward.due.items() if due != 1),
            "outside": _sparse(backward.outside.items()),
        },
        "edges": {
            "source": [position[e.source] for e in edges],
            "target": [position[e.target] for e in edges],
            "slot": [e.slot for e in edges],
            "notation": [e.notation for e in edges],
            "local": [short_and_full(e.local) for e in edges],
            "brought": [_brought(e, nodes[position[e.source]]) for e in edges],
            "upstream": _sparse(
                (k, short_and_full(e.upstream))
                for k, e in enumerate(edges)
                if e.upstream is not None
                and short_and_full(e.upstream) != short_and_full(nodes[position[e.target]].gradient)
            ),
            "merged": _sparse((k, e.merged) for k, e in enumerate(edges) if e.local is None),
        },
        "forward": story.forward,
        "backward": {
            "edge": [a.edge for a in backward.steps],
            "arrived": [a.arrived for a in backward.steps],
            "running": [
                short_and_full(a.running)
                if a.running is not None and repr(a.running) != repr(edges[a.edge].contribution)
                else ""
                for a in backward.steps
            ],
            "row": [a.row for a in backward.steps],
            "paths": _sparse((k, a.paths) for k, a in enumerate(backward.steps) if a.paths != 1),
            "unknown": [k for k, a in enumerate(backward.steps) if a.running is None],
        },
    }


def _sparse(items: Iterable[tuple[int, Any]]) -> dict[str, Any]:
    return {str(k): x for k, x in items}


def _spread(low_high: tuple[float, float] | None) -> str:
    """Smallest and largest as one text, or the number that both are."""
    if low_high is None:
        return ""
    low, high = low_high
    if low == high:
        return short_and_full(low)
    return f"{number(low)} … {number(high)}|{low!r} … {high!r}"


def _brought(edge: Edge, source: Node) -> str:
    """What an edge brings; "=" where it is the whole gradient of the node that receives it."""
    text = _spread(edge.contributions) if edge.contributions else short_and_full(edge.contribution)
    return "=" if text and text == short_and_full(source.gradient) else text


def _patterns(picture: Picture) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """Operations as patterns, for which the operands' numbers are put in place of names; and which of them a node has,
    where all of its operands are drawn."""
    counts = Counter(e.target for e in picture.edges)
    folded = {e.target for e in picture.edges if e.local is None}
    patterns: dict[tuple[str, int], int] = {}
    found = {}
    for k, n in enumerate(picture.nodes):
        if n.kind == "operation" and n.members == 1 and not n.undrawn and n.id not in folded:
            found[str(k)] = patterns.setdefault(_pattern_of(n, counts[n.id]), len(patterns))
    return list(patterns), found


def _pattern_of(node: Node, count: int) -> tuple[str, int]:
    """An operation on so many operands, each a private letter from PLACES on; and from which of them on a negative
    number is bracketed, as it stands between signs."""
    operation = SimpleNamespace(name=node.operation, symbol=node.symbol, arity=node.arity)
    pattern = formula(operation, [chr(PLACES + k) for k in range(count)])
    return pattern, count if "(" in pattern else int(pattern.startswith(f"{chr(PLACES)} "))
