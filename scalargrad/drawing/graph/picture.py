"""What a picture says, as plain data: nodes, edges, numbers, texts, and the steps of the backward pass.

Everything that can be seen is made from this: DOT, SVG, JSON and the text tree. It holds no `Value`, so it stays as it
was while training goes on, and it knows nothing of places and colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple


class Path(NamedTuple):
    """One way by which gradient reaches a node: upstream x local = contribution."""

    edge: str
    consumer: str
    upstream: float
    local: float
    contribution: float
    block: str = ""  # the consumer's, if it is folded into one


class Node(NamedTuple):
    """One value, or with `members` > 1 a block of values folded into one."""

    id: str
    kind: str  # "input", "parameter", "operation", "constant", or "block"
    name: str  # as shown: the label, shortened, or v₁, v₂, ... for what has none
    label: str  # as given
    operation: str  # the primitive's name; "" for inputs, constants and blocks
    symbol: str
    formula: str  # the operation on its operands' names: "a × b"
    value: float | None
    gradient: float | None  # None before any backward pass
    gradient_name: str  # "∂L/∂a"
    paths: tuple[Path, ...] = ()  # where two or more edges bring gradient
    elsewhere: float | None = None  # the part of the gradient that comes from outside this graph or from earlier passes
    group: str = ""
    undrawn: int = 0  # operands that are not in the picture
    is_root: bool = False
    is_stale: bool = False  # an operand was changed after the operation was recorded
    arrived: tuple[int, int] | None = None  # while a pass is under way: how many of its paths have arrived, of how many
    members: int = 1
    gradient_range: tuple[float, float] | None = None  # of |gradient| in a block
    operations: tuple[tuple[str, int], ...] = ()  # in a block: how many of which


class Edge(NamedTuple):
    """One operand slot of an operation, or with `merged` > 1 all edges between two nodes of which one is a block."""

    id: str
    source: str  # the operand
    target: str  # what is computed from it
    slot: int
    notation: str  # the local gradient as text: "b"
    local: float | None
    upstream: float | None
    contribution: float | None  # upstream x local; None before any backward pass, and towards constants
    to_constant: bool = False
    merged: int = 1
    contributions: tuple[float, float] | None = None  # smallest and largest, where edges are merged


class Step(NamedTuple):
    """One edge's turn in the backward pass."""

    edge: str
    source: str
    target: str
    upstream: float
    local: float
    contribution: float
    running: float  # the sum at the receiving node so far
    arrived: int  # how many of its paths have arrived, this one included
    paths: int


class Picture(NamedTuple):
    """Everything that a drawing shows."""

    title: str
    name: str  # of the root
    description: str
    nodes: tuple[Node, ...]  # operands first
    edges: tuple[Edge, ...]
    groups: tuple[str, ...]  # outer ones first
    notes: tuple[str, ...]
    total: int  # values in the whole graph
    labels: str
    direction: str
    is_compact: bool  # too many nodes for more than a name and two numbers
    largest: float  # |contribution| in the picture: the widest edge's
    active: str = ""  # the edge whose turn it is, in a frame of the backward pass

    @property
    def has_gradients(self) -> bool:
        """Whether a backward pass has reached anything in the picture."""
        return any(n.gradient is not None or n.gradient_range is not None for n in self.nodes)

    def steps(self) -> Iterator[Step]:
        """The backward pass along the edges in the picture, from the root on: upstream x local, added up."""
        incoming: dict[str, list[Edge]] = {}
        paths: Counter[str] = Counter()
        for e in self.edges:
            if e.merged == 1 and e.contribution is not None and e.local is not None:
                incoming.setdefault(e.target, []).append(e)
                paths[e.source] += 1
        running: dict[str, float] = {}
        arrived: Counter[str] = Counter()
        for node in reversed(self.nodes):
            for e in incoming.get(node.id, ()):
                assert e.upstream is not None
                assert e.local is not None
                assert e.contribution is not None
                running[e.source] = running.get(e.source, 0.0) + e.contribution
                arrived[e.source] += 1
                yield Step(
                    e.id, e.source, e.target, e.upstream, e.local, e.contribution,
                    running[e.source], arrived[e.source], paths[e.source],
                )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The picture as dicts, lists, strings and numbers; inf and nan as the strings that `float()` reads."""
        plain = {
            key: value
            for key, value in self._asdict().items()
            if key not in ("nodes", "edges", "is_compact", "largest", "active")
        }
        return {
            **plain,
            "groups": list(self.groups),
            "notes": list(self.notes),
            "nodes": [_plain(node) for node in self.nodes],
            "edges": [_plain(edge) for edge in self.edges],
            "steps": [_plain(step) for step in self.steps()],
        }


def _plain(x: Any) -> Any:
    if isinstance(x, float):
        return x if isfinite(x) else str(x)
    if hasattr(x, "_asdict"):
        return {key: _plain(value) for key, value in x._asdict().items()}
    return [_plain(each) for each in x] if isinstance(x, tuple) else x
