"""What is done to a whole graph: order it, propagate adjoints and tangents through it, pickle it.

This stands apart from `value.py` because it needs nothing of a node but its slots: `_a` and `_b` (the operands, see
there), `operation` and `data`. Nothing here recurses, so that a chain of a million nodes is as good as one of ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from threading import local as thread_local
from typing import Any
from weakref import ref

from . import primitives as table
from .primitives import CONSTANT, LEAF

Node = Any


def topological_order(roots: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """Every node that the roots were computed from, each before its operands; nodes in `stop` and beyond are left out.

    The order is a depth-first one by operand order, so it depends on the graph alone, not on addresses or on which of
    two independent statements ran first; and so do the bits of every sum of gradients.
    """
    order: list[Node] = []
    emit = order.append
    seen = set(stop)
    see = seen.add
    stack = list(roots)
    push, pop = stack.append, stack.pop
    while stack:
        node = pop()
        if node is None:  # everything below the node under this mark is in the order
            emit(pop())
            continue
        if node in seen:
            continue
        see(node)
        a, b = node._a, node._b
        if a is not None:
            push(node)
            push(None)
            if b is not None and b not in seen:
                push(b)
            if a not in seen:
                push(a)
        elif b is None:
            emit(node)
        else:
            push(node)
            push(None)
            stack.extend(reversed(b))
    order.reverse()
    return order


def float_adjoints(
    order: Sequence[Node],
    seeds: Iterable[tuple[Node, float]],
    stop: Iterable[Node] = (),
    check: Callable[[Node, float], None] | None = None,
) -> dict[Node, float]:
    """The derivative of the seeded nodes by every node in the order: upstream x local, summed over the consumers.

    A zero adjoint propagates nothing. `check` is called with each node and its adjoint before it is propagated.
    """
    adjoint = dict.fromkeys(order, 0.0)
    for node in stop:
        adjoint[node] = 0.0
    for node, seed in seeds:
        adjoint[node] += seed
    for node in order:
        upstream = adjoint[node]
        if upstream == 0.0:
            continue
        if check is not None:
            check(node, upstream)
        a = node._a
        if a is not None:
            operation = node.operation
            rule = operation.local
            b = node._b
            if b is not None:
                if rule is not None:
                    da, db = rule(node.data, a.data, b.data)
                elif operation.flat:
                    continue
                else:
                    da, db = operation.constants
                adjoint[a] += upstream * da
                adjoint[b] += upstream * db
            else:
                if rule is not None:
                    (da,) = rule(node.data, a.data)
                elif operation.flat:
                    continue
                else:
                    (da,) = operation.constants
                adjoint[a] += upstream * da
        elif (operands := node._b) is not None and not node.operation.flat:
            gradients = node.operation.local_gradients(node.data, [p.data for p in operands])
            for p, d in zip(operands, gradients, strict=True):
                adjoint[p] += upstream * d
    return adjoint


def contribution(upstream: Any, local: Any) -> Any:
    """Upstream x local as a graph, or None where it is zero whatever the values around it are.

    A local gradient that is a plain number, or the result of a flat operation, does not vary; where it is zero nothing
    comes through. An upstream gradient that is zero here but varies may not be dropped: its derivative counts.
    """
    if not hasattr(local, "operation") or local.operation.flat:
        d = getattr(local, "data", local)
        if d == 0.0:
            return None
        return upstream if d == 1.0 else -upstream if d == -1.0 else upstream * d
    if not hasattr(upstream, "operation"):
        return local if upstream == 1.0 else None if upstream == 0.0 else upstream * local
    if upstream.data == 0.0 and not isfinite(local.data):
        return table.chain(upstream, local)
    return upstream * local


def graph_adjoints(
    order: Sequence[Node], seeds: Iterable[tuple[Node, Any]], stop: Iterable[Node] = ()
) -> dict[Node, Any]:
    """As `float_adjoints`, but of nodes, so that the result can be differentiated again. Zeros are left out."""
    adjoint: dict[Node, Any] = {}
    for node, seed in seeds:
        adjoint[node] = adjoint[node] + seed if node in adjoint else seed
    stops = set(stop)
    for node in order:
        operands = () if node in stops else node.parents
        if not operands or node not in adjoint or node.operation.flat:
            continue
        upstream = adjoint[node]
        for p, d in zip(operands, node.operation.local_gradients(node, operands), strict=True):
            if p.operation is not CONSTANT:
                brought = contribution(upstream, d)
                if brought is not None:
                    adjoint[p] = adjoint[p] + brought if p in adjoint else brought
    return adjoint


def tangents(order: Sequence[Node], seeds: dict[Node, Any], as_graph: bool) -> dict[Node, Any]:
    """The directional derivative of every node along the seeds: forward mode, on a graph that is already recorded.

    `order` is reverse topological, as `topological_order` gives it. Nodes with a zero tangent are left out.
    """
    tangent = dict(seeds)
    for node in reversed(order):
        operands = node.parents
        if node.operation.flat or not any(p in tangent for p in operands):
            continue
        if as_graph:
            gradients = node.operation.local_gradients(node, operands)
        else:
            gradients = node.operation.local_gradients(node.data, [p.data for p in operands])
        total: Any = None
        for p, d in zip(operands, gradients, strict=True):
            if p in tangent:
                t = tangent[p]
                brought = contribution(t, d) if as_graph else (t * d if t != 0.0 else None)
                if brought is not None:
                    total = brought if total is None else total + brought
        if total is not None:
            tangent[node] = total
    return tangent


# ---- pickling --------------------------------------------------------------------------------------------------------
# A pickler saves what an object refers to by recursion, which a deep graph would overflow. So a value is saved behind a
# list of all nodes that it was computed from, operands first: by the time the pickler comes to a node, it knows its
# operands. Between `_Opening` and `_Closing`, which the pickler meets at both ends of that list, its nodes are saved as
# they are; anywhere else a node brings its list along. The pickler's own memo keeps shared nodes shared.


class _Opening:
    """The begin of a list of nodes; it lives no longer than the pickler that remembers it."""

    __slots__ = ("__weakref__", "nodes")

    def __init__(self, nodes: set[Node]) -> None:
        self.nodes = nodes

    def __reduce__(self) -> Any:
        _open.lists = [*_open_lists(), ref(self)]
        return bool, ()


class _Closing:
    __slots__ = ("opening",)

    def __init__(self, opening: _Opening) -> None:
        self.opening = opening

    def __reduce__(self) -> Any:
        _open.lists = [each for each in _open_lists() if each() is not self.opening]
        return bool, ()


_open = thread_local()


def _open_lists() -> list[ref[_Opening]]:
    return [each for each in getattr(_open, "lists", ()) if each() is not None]


def reduce(node: Node, restore: Callable[..., Node], state: tuple[Any, ...]) -> Any:
    """What `__reduce_ex__` returns for a node whose own state is given."""
    arguments = (node.operation, node._a, node._b, *state)
    if node.operation is LEAF or node.operation is CONSTANT:
        return restore, (None, *arguments)
    for each in _open_lists():
        opening = each()
        if opening is not None and node in opening.nodes:
            return restore, (None, *arguments)
    before = topological_order((node,))[:0:-1]
    opening = _Opening(set(before))
    return restore, ([opening, *before, _Closing(opening)], *arguments)
