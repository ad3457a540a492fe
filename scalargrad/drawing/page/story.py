"""Both passes over a picture, put in order for the page: what is computed, what arrives where, and what waits.

The page shows the numbers that stand here, and computes none.
"""

from __future__ import annotations

from typing import NamedTuple

from ..common.text import number, width
from ..graph.labels import ROW
from ..graph.picture import Node, Picture
from ..graph.replay import Replay, replay


class Story(NamedTuple):
    """Both passes over one picture."""

    picture: Picture  # what is drawn: with the count of paths on every node that waits for several
    forward: list[int]  # nodes in the order of computation
    backward: Replay


def story_of(picture: Picture) -> Story:
    """Put a picture's passes in order."""
    backward = replay(picture)
    due = backward.due
    nodes = tuple(
        n._replace(arrived=(due[i], due[i])) if due.get(i, 0) > 1 and n.kind != "block" else n._replace(arrived=None)
        for i, n in enumerate(picture.nodes)
    )
    forward = [i for i, n in enumerate(picture.nodes) if n.kind in ("operation", "block")]
    return Story(picture._replace(nodes=nodes, active=""), forward, backward)


def roomy(story: Story) -> Picture:
    """The picture with the widest sum that each node ever shows, for a layout that holds at every step."""
    widest: dict[int, float] = {}
    for each in story.backward.steps:
        if each.running is not None and width(number(each.running), ROW) > width(
            number(widest.get(each.node, 0.0)), ROW
        ):
            widest[each.node] = each.running

    def wide(i: int, node: Node) -> Node:
        given = widest.get(i)
        if given is None or (
            node.gradient is not None and width(number(node.gradient), ROW) > width(number(given), ROW)
        ):
            return node
        return node._replace(gradient=given)

    return story.picture._replace(nodes=tuple(wide(i, n) for i, n in enumerate(story.picture.nodes)))
