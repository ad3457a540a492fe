"""The backward pass as a row of pictures, one a step, for print and slides.

A frame says what is known at one moment: it takes away from a picture what comes later.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..common.text import number
from .labels import product
from .picture import Node, Picture
from .replay import Step, replay


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
