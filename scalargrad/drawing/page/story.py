"""The steps of both passes over a picture, as data: what is computed, what arrives where, and what waits.

Apart from the page that tells them, because here they are put in order and added up: the page shows the numbers that
were made here, and computes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from typing import NamedTuple

from ..common.text import clean, number, shortened, width
from ..graph.lines import PATH_LINES, ROW
from ..graph.picture import Edge, Node, Picture
from ..graph.reading import NAME_LIMIT


class Arrival(NamedTuple):
    """An edge's turn in the backward pass. An edge that stands for several brings several paths at once."""

    edge: int
    node: int  # that receives
    paths: int
    running: float | None  # the sum at the node so far; None where the folded edges do not tell it
    arrived: int
    row: int = 0  # the line of the node's card that is filled by it; 0 for none


class Before(NamedTuple):
    """What a node has before the first edge's turn."""

    gradient: float
    origin: str


class Story(NamedTuple):
    """Both passes over one picture."""

    picture: Picture  # what is drawn: with the count of paths on every node that waits for several
    forward: list[int]  # nodes in the order of computation
    backward: list[Arrival]
    before: dict[int, Before]
    due: dict[int, int]  # how many paths a node waits for, those of `outside` included
    outside: dict[int, int]  # how many of them start outside the picture


def tell(picture: Picture) -> Story:
    """Put a picture's passes in order."""
    position = {n.id: k for k, n in enumerate(picture.nodes)}
    edges = {e.id: k for k, e in enumerate(picture.edges)}
    incoming: dict[int, list[int]] = {}
    outgoing: dict[int, list[int]] = {}
    for k, e in enumerate(picture.edges):
        if e.contribution is not None or e.contributions is not None:
            incoming.setdefault(position[e.target], []).append(k)
            outgoing.setdefault(position[e.source], []).append(k)
    receivers = {
        i: _Receiver(picture.nodes[i], [picture.edges[k] for k in each], edges, picture) for i, each in outgoing.items()
    }
    backward = [
        receivers[position[picture.edges[k].source]].receive(k, position[picture.edges[k].source], picture.edges[k])
        for i in range(len(picture.nodes) - 1, -1, -1)
        for k in incoming.get(i, ())
    ]
    due = {i: each.arrived for i, each in receivers.items()}
    nodes = tuple(
        n._replace(arrived=(due[i], due[i])) if due.get(i, 0) > 1 and n.kind != "block" else n._replace(arrived=None)
        for i, n in enumerate(picture.nodes)
    )
    return Story(
        picture=picture._replace(nodes=nodes, active=""),
        forward=[i for i, n in enumerate(picture.nodes) if n.kind in ("operation", "block")],
        backward=backward,
        before={i: each.before for i, each in receivers.items() if each.before is not None},
        due=due,
        outside={i: each.outside for i, each in receivers.items() if each.outside},
    )


class _Receiver:
    """A node's sum, while its paths arrive."""

    def __init__(self, node: Node, outgoing: Sequence[Edge], edges: dict[str, int], picture: Picture) -> None:
        self.node = node
        self.blocks = {n.id: clean(shortened(n.label, NAME_LIMIT)) for n in picture.nodes if n.kind == "block"}
        drawn = [p for p in node.paths if p.edge in edges or p.block]
        hidden = [p.contribution for p in node.paths if p.edge not in edges and not p.block]
        self.arrived = self.outside = len(hidden)
        rows = list(dict.fromkeys(p.block or p.edge for p in node.paths))
        last = len(rows) if len(rows) <= PATH_LINES else PATH_LINES
        self.rows = {} if picture.is_compact else {name: min(k + 1, last) for k, name in enumerate(rows)}
        # Of several folded edges it can be told what they bring where no other leads to a block of the same name.
        through = [self.blocks[e.target] for e in outgoing if e.target in self.blocks]
        self.through = {
            name: [p.contribution for p in drawn if p.block == name] for name in through if through.count(name) == 1
        }
        self.before: Before | None = None
        self.running: float | None = None
        self.left = len(outgoing)
        if node.kind == "block":
            return
        if hidden:
            self.before = Before(sum(hidden), "from outside the picture")
        if node.elsewhere is not None:
            self.before = Before(node.elsewhere + sum(hidden), "from elsewhere")
        if node.is_root and node.gradient is not None:
            brought = [p.contribution for p in node.paths] or [e.contribution or 0.0 for e in outgoing]
            self.before = Before(node.gradient - sum(brought), "its own")
        self.running = self.before.gradient if self.before is not None else 0.0

    def receive(self, k: int, node: int, edge: Edge) -> Arrival:
        block = self.blocks.get(edge.target, "")
        brought = [edge.contribution] if edge.contribution is not None else self.through.get(block, [])
        if not brought and edge.merged == 1 and edge.contributions:
            brought = [edge.contributions[0]]
        paths = len(brought) or edge.merged
        self.arrived += paths
        if self.node.kind == "block":
            return Arrival(k, node, paths, None, self.arrived)
        self.left -= 1
        if not brought:
            self.running = None
        elif self.running is not None:
            first = self.before is None and self.arrived == paths + self.outside
            for x in brought:
                self.running = x if first else self.running + x
                first = False
        total = self.node.gradient
        if self.left == 0 and total is not None and (self.running is None or _same(self.running, total)):
            self.running = total
        return Arrival(k, node, paths, self.running, self.arrived, self.rows.get(block or edge.id, 0))


def _same(a: float, b: float) -> bool:
    """Whether two sums are the same but for the order in which they were added up."""
    return isclose(a, b, rel_tol=1e-9) or (a != a and b != b)


def roomy(story: Story) -> Picture:
    """The picture with the widest sum that each node ever shows, for a layout that holds at every step."""
    widest: dict[int, float] = {}
    for each in story.backward:
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
