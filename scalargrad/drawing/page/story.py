"""Both passes over a picture, put in order for the page: what is computed, what arrives where, and what waits."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from ..common.text import number, width
from ..graph.labels import ROW
from ..graph.picture import Picture
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
    sums: dict[int, list[float | None]] = defaultdict(list)
    for step in story.backward.steps:
        sums[step.node].append(step.running)

    def widest(*numbers: float | None) -> float | None:
        return max([x for x in numbers if x is not None], key=lambda x: width(number(x), ROW), default=None)

    def usual(x: float | None) -> Any:
        return widest(x, USUAL) if live and x is not None else x

    def usual_flow(each: Any) -> Any:
        return each._replace(**{name: usual(getattr(each, name)) for name in ("upstream", "local", "contribution")})

    nodes = list(story.picture.nodes)
    for i, n in enumerate(nodes):
        if n.kind != "constant":
            gradient = None if n.gradient is None else usual(widest(n.gradient, *sums[i]))
            nodes[i] = n._replace(value=usual(n.value), gradient=gradient, paths=tuple(map(usual_flow, n.paths)))
    return story.picture._replace(nodes=tuple(nodes), edges=tuple(map(usual_flow, story.picture.edges)))
