"""Both passes over a picture, put in order for the page: what is computed, what arrives where, and what waits."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..common.text import number, width
from ..graph.labels import ROW
from ..graph.picture import Node, Picture
from ..graph.replay import Replay, replay

USUAL = -0.123  # about as wide as most numbers are; longer ones are squeezed


class Story(NamedTuple):
    """Both passes over one picture."""

    picture: Picture  # what is drawn: with the count of paths on every node that waits for several
    forward: list[int]  # nodes in the order of computation
    backward: Replay


def story_of(picture: Picture) -> Story:
    """Put a picture's passes in order."""
    backward = replay(picture)
    due = backward.due
    nodes = tuple(  # without the parts of neurons, which no step tells
        n._replace(
            arrived=(due[i], due[i]) if due.get(i, 0) > 1 and n.kind != "block" else None, parts=(), is_unfolded=False
        )
        for i, n in enumerate(picture.nodes)
    )
    forward = [i for i, n in enumerate(picture.nodes) if n.kind in ("operation", "block")]
    return Story(picture._replace(nodes=nodes, active=""), forward, backward)


def roomy(story: Story, live: bool = False) -> Picture:
    """The picture with the widest sum that each node ever shows, for a layout that holds at every step.

    With room for other numbers, too, where the inputs can be moved.
    """
    widest: dict[int, float] = {}

    def wider(x: float | None, y: float | None) -> float | None:
        return y if x is None or (y is not None and width(number(y), ROW) > width(number(x), ROW)) else x

    for each in story.backward.steps:
        widest[each.node] = wider(widest.get(each.node, 0.0), each.running) or 0.0

    def usual(x: float | None) -> Any:
        return x if x is None or not live else wider(x, USUAL)

    def wide(i: int, node: Node) -> Node:
        if i in widest and node.gradient is not None:
            node = node._replace(gradient=wider(node.gradient, widest[i]))
        if node.kind == "constant":
            return node
        paths = [
            p._replace(**{f: usual(getattr(p, f)) for f in ("upstream", "local", "contribution")}) for p in node.paths
        ]
        return node._replace(value=usual(node.value), gradient=usual(node.gradient), paths=tuple(paths))

    picture = story.picture
    edges = [
        e._replace(**{f: usual(getattr(e, f)) for f in ("upstream", "local", "contribution")}) if live else e
        for e in picture.edges
    ]
    return picture._replace(nodes=tuple(wide(i, n) for i, n in enumerate(picture.nodes)), edges=tuple(edges))
