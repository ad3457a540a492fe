"""What is done to a whole graph: order it, propagate adjoints and tangents through it, pickle it.

This stands apart from `value.py` because it needs nothing of a node but its slots: `_a` and `_b` (the operands, see
there), `operation` and `data`. Nothing here recurses, so that a chain of a million nodes is as good as one of ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf, isfinite
from threading import local as thread_local
from typing import Any
from weakref import ref

from . import modes
from . import primitives as table
from .primitives import CONSTANT

Node = Any


def topological_order(roots: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """Every node that the roots were computed from, each before its operands; nodes in `stop` and beyond are left out.

    The order is a depth-first one by operand order, so it depends on the graph alone, not on addresses or on which of
    two independent statements ran first; and so do the bits of every sum of gradients.
    """
    return _order_unseen(roots, set(stop))


def _order_unseen(roots: Iterable[Node], seen: set[Node]) -> list[Node]:
    """The topological order of what is not in `seen`, which grows by it."""
    order: list[Node] = []
    emit = order.append
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
            stack.extend([p for p in reversed(b) if p not in seen])
    order.reverse()
    return order


def float_adjoints(
    order: Sequence[Node],
    seeds: Iterable[tuple[Node, float]],
    stop: Iterable[Node] = (),
    check: Callable[[Node, float], None] | None = None,
) -> dict[Node, float]:
    """The derivative of the seeded nodes by every node in the order: upstream x local, summed over the consumers.

    A zero adjoint propagates nothing. `check` is called with each node and its adjoint before it is propagated. `stop`
    are nodes beyond the order, which come first in the result; a dict of zeros, for many passes, is only copied.
    """
    adjoint = dict(stop) if isinstance(stop, dict) else dict.fromkeys(stop, 0.0)
    adjoint.update(dict.fromkeys(order, 0.0))
    for node, seed in seeds:
        adjoint[node] += seed
    for node in order:
        upstream = adjoint[node]
        if upstream == 0.0:
            continue
        if check is not None:
            check(node, upstream)
        a = node._a
        if not -inf < upstream < inf:
            _propagate_nonfinite(node, upstream, adjoint)
        elif a is not None:
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
    if check is not None:
        for node in stop:
            check(node, adjoint[node])
    return adjoint


def edge_product(operation: table.Primitive, upstream: float, local: float) -> float:
    """What one edge brings to its operand: upstream x local, and 0 where nothing passes."""
    if upstream == 0.0 or operation.flat or (local == 0.0 and operation.selects):
        return 0.0
    return upstream * local


def _propagate_nonfinite(node: Node, upstream: float, adjoint: dict[Node, float]) -> None:
    """Pass on an upstream gradient of inf or nan; an operand that was not selected gets nothing, not 0 x inf."""
    operation, operands = node.operation, node.parents
    gradients = operation.local_gradients(node.data, [p.data for p in operands])
    for p, d in zip(operands, gradients, strict=True):
        adjoint[p] += edge_product(operation, upstream, d)


def contribution(operation: table.Primitive, upstream: Any, local: Any) -> Any:
    """Upstream x local as a graph, or None where it is zero whatever the values around it are.

    A local gradient that is a plain number, or the result of a flat operation, does not vary; where it is zero nothing
    comes through. An upstream gradient that is zero here but varies may not be dropped: its derivative counts.
    """
    varies = hasattr(upstream, "operation")
    if not varies and upstream == 0.0:
        return None
    fixed = not hasattr(local, "operation") or local.operation.flat
    d = getattr(local, "data", local)
    if fixed and d == 0.0 and (operation.selects or isfinite(getattr(upstream, "data", upstream))):
        return None
    if varies and upstream.data == 0.0 and not isfinite(d):
        return table.chain(upstream, d if fixed else local)
    if fixed:
        return upstream if d == 1.0 else -upstream if d == -1.0 else upstream * d
    return local if not varies and upstream == 1.0 else upstream * local


def graph_adjoints(
    order: Sequence[Node],
    seeds: Iterable[tuple[Node, Any]],
    stop: Iterable[Node] = (),
    check: Callable[[Node, float], None] | None = None,
) -> dict[Node, Any]:
    """As `float_adjoints`, but of nodes, so that the result can be differentiated again. Zeros are left out."""
    adjoint: dict[Node, Any] = {}
    for node, seed in seeds:
        if hasattr(seed, "operation") or seed != 0.0:
            adjoint[node] = adjoint[node] + seed if node in adjoint else seed
    stops = set(stop)
    tracer = modes.tracer()
    for node in order:
        operands = () if node in stops else node.parents
        if not operands or node not in adjoint or node.operation.flat:
            continue
        upstream = adjoint[node]
        if check is not None:
            check(node, getattr(upstream, "data", upstream))
        for p, d in zip(operands, node.operation.local_gradients(node, operands), strict=True):
            if p.operation is not CONSTANT:
                if tracer is None:
                    brought = contribution(node.operation, upstream, d)
                else:  # right for all data, not for those of the trace alone
                    brought = tracer.contribution(node.operation, upstream, d)
                if brought is not None:
                    adjoint[p] = adjoint[p] + brought if p in adjoint else brought
    return adjoint


def tangents(order: Sequence[Node], seeds: dict[Node, Any], as_graph: bool) -> dict[Node, Any]:
    """The directional derivative of every node along the seeds: forward mode, on a graph that is already recorded.

    `order` is reverse topological, as `topological_order` gives it. Nodes with a zero tangent are left out.
    """
    tangent = dict(seeds)
    tracer = modes.tracer()
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
                if not as_graph:
                    brought = edge_product(node.operation, t, d)
                else:
                    brought = (
                        contribution(node.operation, t, d)
                        if tracer is None
                        else tracer.contribution(node.operation, t, d)
                    )
                if brought is not None:
                    total = brought if total is None else total + brought
        if total is not None:
            tangent[node] = total
    return tangent


# ---- copying and pickling --------------------------------------------------------------------------------------------
# A pickler saves what an object refers to by recursion, which a deep graph would overflow. So a value is saved behind a
# list of the nodes that it was computed from, operands first: by the time the pickler comes to a node, it knows its
# operands. While it works through such a list, the nodes of the list are saved as they are; anywhere else a node brings
# a list along, of the nodes that this pickler has not met yet. The pickler's memo keeps shared nodes shared.


def unseen_first(node: Node, memo: dict[Any, Any]) -> list[Node]:
    """The nodes that a deep copy with this memo has not met yet, operands first, up to the node itself."""
    return _order_unseen((node,), memo.setdefault("scalargrad", set()))[::-1]


class _Saved:
    """The nodes that one pickler has saved. Only the pickler's memo holds it: it dies with the pickler."""

    __slots__ = ("__weakref__", "foreign", "fresh", "listed", "nodes")

    def __init__(self) -> None:
        self.nodes: set[Node] = set()
        self.listed: set[Node] = set()  # the nodes of the list that is being saved now
        self.fresh = True
        self.foreign = False

    def __reduce__(self) -> Any:
        """Called once by each pickler that meets it: the second one is another than the one it belongs to."""
        self.foreign = not self.fresh
        self.fresh = False
        return bool, ()


class _Before:
    """What is saved ahead of a node: which nodes, is decided only when the pickler has met the `_Saved` given with
    it."""

    __slots__ = ("node", "saved")

    def __init__(self, node: Node, saved: _Saved | None) -> None:
        self.node, self.saved = node, saved

    def __reduce__(self) -> Any:
        saved = self.saved
        if saved is None or saved.foreign:
            saved = _Saved()
            _thread.saved = ref(saved)
        nodes = _order_unseen((self.node,), saved.nodes)[:0:-1]
        saved.listed = set(nodes)
        return list, ([saved, *nodes, _End(saved)],)


class _End:
    """The end of a list of nodes."""

    __slots__ = ("saved",)

    def __init__(self, saved: _Saved) -> None:
        self.saved = saved

    def __reduce__(self) -> Any:
        self.saved.listed = set()
        return bool, ()


_thread = thread_local()


def reduce(node: Node, restore: Callable[..., Node], state: tuple[Any, ...]) -> Any:
    """What `__reduce_ex__` returns for a node whose own state is given."""
    arguments = (node.operation, node._a, node._b, *state)
    saved = _thread.saved() if hasattr(_thread, "saved") else None
    if not node.parents:
        return restore, (None, *arguments)
    if saved is not None and node in saved.listed and not saved.foreign:
        return restore, (saved, *arguments)  # which another pickler than its own takes notice of
    return restore, ((saved, _Before(node, saved)), *arguments)
