"""The backward pass over a picture, step by step: which edge has its turn, what has arrived where, and the sums.

The one replay: frames, the step-through page, JSON and the command line's `--steps` show its numbers, which are the
picture's, added up in the order of `backward()`. A frame, for print and slides, takes away from a picture what comes
later.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import isclose
from typing import Any, NamedTuple

from ..common.text import clean, number, plain, shortened
from .labels import product
from .picture import PATH_LINES, Edge, Node, Picture
from .reading import NAME_LIMIT


class Step(NamedTuple):
    """An edge's turn. An edge that stands for several brings several paths at once."""

    edge: int  # positions in the picture
    node: int  # that receives
    paths: int  # that arrive with it
    running: float | None  # the sum at the node so far; None where folded edges leave it unknown
    arrived: int
    row: int = 0  # the line of the node's label that is filled by it; 0 for none


class Before(NamedTuple):
    """What a node has before the first edge's turn."""

    gradient: float
    origin: str


class Replay(NamedTuple):
    """The backward pass over one picture; nodes by position."""

    steps: list[Step]
    before: dict[int, Before]
    due: dict[int, int]  # how many paths a node waits for, those of `outside` included
    outside: dict[int, int]  # how many of them start outside the picture


def replay(picture: Picture) -> Replay:
    """Go through the pass in its order: from the root on, each node's edges by operand."""
    position = {n.id: k for k, n in enumerate(picture.nodes)}
    edges = {e.id: k for k, e in enumerate(picture.edges)}
    flowing = [e for e in picture.edges if e.contribution is not None or e.contributions is not None]
    outgoing: dict[int, list[Edge]] = defaultdict(list)
    for e in flowing:
        outgoing[position[e.source]].append(e)
    blocks = {n.id: clean(shortened(n.label, NAME_LIMIT)) for n in picture.nodes if n.kind == "block"}
    receivers = {
        i: _Receiver(picture.nodes[i], each, edges, blocks, picture.is_compact) for i, each in outgoing.items()
    }
    flowing.sort(key=lambda e: -position[e.target])
    return Replay(
        [receivers[position[e.source]].receive(edges[e.id], position[e.source], e) for e in flowing],
        before={i: each.before for i, each in receivers.items() if each.before is not None},
        due={i: each.arrived for i, each in receivers.items()},
        outside={i: each.outside for i, each in receivers.items() if each.outside},
    )


def to_dict(picture: Picture) -> dict[str, Any]:
    """The picture and its steps as dicts, lists, strings and numbers; inf and nan as strings that `float()` reads."""
    made: dict[str, Any] = plain(picture)
    for key in ("is_layered", "is_compact", "largest", "active"):
        del made[key]
    for node, written in zip(picture.nodes, made["nodes"], strict=True):
        del written["is_unfolded"]
        written["body"] = None if node.body is None else to_dict(node.body)
    passed = replay(picture)
    made["steps"] = []
    for step in passed.steps:
        e = made["edges"][step.edge]
        if e["local"] is not None:
            known = {key: e[key] for key in ("source", "target", "upstream", "local", "contribution")}
            sums = {"running": plain(step.running), "arrived": step.arrived, "paths": passed.due[step.node]}
            made["steps"].append({"edge": e["id"], **known, **sums})
    return made


class _Receiver:
    """A node's sum, while its paths arrive."""

    def __init__(self, node: Node, outgoing: Sequence[Edge], edges: Any, blocks: dict[str, str], compact: bool) -> None:
        self.node, self.blocks = node, blocks
        drawn = [p for p in node.paths if p.edge in edges or p.block]
        hidden = [p.contribution for p in node.paths if p.edge not in edges and not p.block]
        self.arrived = self.outside = len(hidden)
        rows = list(dict.fromkeys(p.block or p.edge for p in node.paths))
        last = len(rows) if len(rows) <= PATH_LINES else PATH_LINES
        self.rows = {} if compact else {name: min(k + 1, last) for k, name in enumerate(rows)}
        # What several folded edges bring is known where no other leads to a block of the same name.
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

    def receive(self, k: int, node: int, edge: Edge) -> Step:
        block = self.blocks.get(edge.target, "")
        brought = [edge.contribution] if edge.contribution is not None else self.through.get(block, [])
        if not brought and edge.merged == 1 and edge.contributions:
            brought = [edge.contributions[0]]
        paths = len(brought) or edge.merged
        self.arrived += paths
        if self.node.kind == "block":
            return Step(k, node, paths, None, self.arrived)
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
        return Step(k, node, paths, self.running, self.arrived, self.rows.get(block or edge.id, 0))


def _same(a: float, b: float) -> bool:
    """Whether two sums are the same but for the order in which they were added up."""
    return isclose(a, b, rel_tol=1e-9) or (a != a and b != b)


# ---- frames ----------------------------------------------------------------------------------------------------------


def frames(picture: Picture) -> Iterator[Picture]:
    """The picture before the first step and after each: the gradients that have arrived, the edge whose turn it is."""
    if not picture.has_gradients:
        raise ValueError("frames: there is no backward pass to show yet; call backward() before draw()")
    if any(n.kind == "block" for n in picture.nodes):
        raise ValueError("frames: values are folded into blocks; draw all of them (full=True), or less of the graph")
    steps, _, due, _ = replay(picture)
    names = {n.id: n.name for n in picture.nodes}
    for k in range(len(steps) + 1):
        done = {picture.edges[s.edge].id for s in steps[:k]}
        latest = {s.node: s for s in steps[:k]}
        note, active = f"step {k} of {len(steps)}: the gradient of the result by itself", ""
        if k:
            now = steps[k - 1]
            e = picture.edges[now.edge]
            brought = product(e.upstream or 0.0, e.local or 0.0, e.contribution or 0.0)
            note, active = f"step {k} of {len(steps)}: {names[e.target]} brings {names[e.source]} {brought}", e.id
            if due[now.node] > 1:
                note += f", path {now.arrived} of {due[now.node]}, sum {number(now.running or 0.0)}"
        yield picture._replace(
            nodes=tuple(_at(n, latest.get(i), due.get(i, 0), done) for i, n in enumerate(picture.nodes)),
            edges=tuple(
                e if e.id in done or e.contribution is None else e._replace(upstream=None, contribution=None)
                for e in picture.edges
            ),
            notes=(*picture.notes, note),
            active=active,
        )


def _at(node: Node, latest: Step | None, due: int, done: set[str]) -> Node:
    """The node as far as its gradient has arrived."""
    arrived = 0 if latest is None else latest.arrived
    if arrived == due:
        return node
    paths = tuple(p for p in node.paths if p.edge in done)
    running = None if latest is None else latest.running
    return node._replace(gradient=running, paths=paths, elsewhere=None, arrived=(arrived, due))
