"""The backward pass as a row of pictures, one a step, for print and slides.

Apart from `picture.py`, because a frame says what is known at one moment: it takes away from a picture what comes
later.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..common.text import number
from .lines import product
from .picture import Node, Picture, Step


def frames(picture: Picture) -> Iterator[Picture]:
    """The picture before the first step and after each: the gradients that have arrived, the edge whose turn it is."""
    if not picture.has_gradients:
        raise ValueError("frames: there is no backward pass to show yet; call backward() before draw()")
    if any(n.kind == "block" for n in picture.nodes):
        raise ValueError("frames: values are folded into blocks; draw all of them (full=True), or less of the graph")
    steps = list(picture.steps())
    due = {s.source: s.paths for s in steps}
    names = {n.id: n.name for n in picture.nodes}
    for k in range(len(steps) + 1):
        done = {s.edge for s in steps[:k]}
        latest = {s.source: s for s in steps[:k]}
        now = steps[k - 1] if k else None
        told = f"step {k} of {len(steps)}"
        if now is not None:
            brought = product(now.upstream, now.local, now.contribution)
            told += f": {names[now.target]} brings {names[now.source]} {brought}"
            if now.paths > 1:
                told += f", path {now.arrived} of {now.paths}, sum {number(now.running)}"
        else:
            told += ": the gradient of the result by itself"
        yield picture._replace(
            nodes=tuple(_at(n, latest.get(n.id), due.get(n.id, 0), done) for n in picture.nodes),
            edges=tuple(
                e if e.id in done or e.contribution is None else e._replace(upstream=None, contribution=None)
                for e in picture.edges
            ),
            notes=(*picture.notes, told),
            active=now.edge if now is not None else "",
        )


def _at(node: Node, latest: Step | None, due: int, done: set[str]) -> Node:
    """The node as far as its gradient has arrived."""
    arrived = 0 if latest is None else latest.arrived
    if arrived == due:
        return node
    paths = tuple(p for p in node.paths if p.edge in done)
    running = None if latest is None else latest.running
    return node._replace(gradient=running, paths=paths, elsewhere=None, arrived=(arrived, due))
