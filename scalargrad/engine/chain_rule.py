"""The chain rule, and the passes over a recorded graph that follow it: in which order, what an edge brings, and sums.

What an edge brings to its operand is stated twice, side by side: `edge_product` on floats, `contribution` as a graph.
`float_adjoints` and `graph_adjoints` are reverse mode, `tangents` is forward mode. Nothing here recurses, so that a
chain of a million nodes is as good as one of ten. Of a node it needs the slots alone: `_a` and `_b` (the operands, see
`value.py`), `operation`, `_data` and `_grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from math import inf, isfinite
from threading import local
from typing import Any

from . import primitive, table
from .primitive import CONSTANT
from .several import Unit, Vector

Node = Any


class NoGradient(float):
    """The gradient of a node that no backward pass has reached: zero, and the time at which the node was made.

    So a differentiation knows what was there before it began, and need not look into that: nodes have no other mark of
    their age, which would cost memory and time for each of millions.
    """

    __slots__ = ("time",)
    time: int

    def __new__(cls, time: int = 0) -> NoGradient:
        made = super().__new__(cls, 0.0)
        made.time = time
        return made

    def next(self) -> NoGradient:
        """A later one."""
        return NoGradient(self.time + 1)


class Used(float):
    """A gradient by which its leaf was moved: the same number, but what is added to it is known to be `Added`."""

    def __add__(self, g: Any) -> Any:
        total = float.__add__(self, g)
        return total if total is NotImplemented else Added(total)

    def __reduce__(self) -> Any:
        return float, (float(self),)


class Added(Used):
    """A gradient that `backward()` has added to a used one, which no `zero_grad()` had forgotten."""


class Read(Added):
    """Such a sum, which somebody has looked at: to move the leaf by it is a mistake, or is meant."""


class _Differentiating(local):
    """The beginnings of the differentiations that this thread is running, the innermost last."""

    def __init__(self) -> None:
        self.begun: list[NoGradient] = []


differentiating = _Differentiating()


def made_before(node: Node, begun: NoGradient) -> bool:
    """Whether a node was made before that time; an operation's, only if no backward pass has reached it since."""
    if node._a is None and node._b is None and node.operation is not CONSTANT:
        return bool(node._made.time < begun.time)
    mark = node._grad
    return type(mark) is NoGradient and mark.time < begun.time


def topological_order(roots: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """Every node that the roots were computed from, each before its operands; nodes in `stop` and beyond are left out.

    The order is a depth-first one by operand order, so it depends on the graph alone, not on addresses or on which of
    two independent statements ran first; and so do the bits of every sum of gradients.
    """
    return order_unseen(roots, set(stop))


def order_of_pass(roots: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """The order in which gradients are handed on: as `topological_order`, but for what is reached through flat
    operations alone, which comes last, as it gets nothing.

    Flat operations are not followed: a comparison is a node while a function is compiled, and a bool otherwise, and may
    not decide in which order gradients are added up.
    """
    seen, behind = set(stop), list[Node]()
    order = order_unseen(roots, seen, behind)
    return [*order, *order_unseen(behind, seen)] if behind else order


def order_since(begun: NoGradient, roots: Iterable[Node], stop: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """As `order_of_pass`, of what was made since then and gets gradients; and what was made before and is reached."""
    old: list[Node] = []
    return order_unseen(roots, set(stop), [], begun, old), old


def depending(order: Sequence[Node], inputs: Iterable[Node]) -> set[Node]:
    """The inputs, and the nodes of a topological order that depend on them."""
    found = set(inputs)
    for node in reversed(order):
        if not found.isdisjoint(node.parents):
            found.add(node)
    return found


def order_unseen(
    roots: Iterable[Node],
    seen: set[Node],
    behind: list[Node] | None = None,
    begun: NoGradient | None = None,
    old: Any = None,
) -> list[Node]:
    """The topological order of what is not in `seen`, which grows by it.

    `behind` gets the operands of flat operations, which are not followed then; `old` what was made before `begun`,
    which is left out.
    """
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
        if (
            begun is not None
            and node._grad is not begun
            and node.operation is not CONSTANT
            and made_before(node, begun)
        ):
            old.append(node)
            continue
        a, b = node._a, node._b
        if a is None and b is None:
            emit(node)
        elif behind is not None and node.operation.flat:
            emit(node)
            behind += node.parents
        elif a is not None:
            push(node)
            push(None)
            if b is not None and b not in seen:
                push(b)
            if a not in seen:
                push(a)
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

    A zero adjoint propagates nothing. `check` is called with each node and its adjoint, in order. `stop`
    are nodes beyond the order, which come first in the result; a dict of zeros, for many passes, is only copied.
    """
    adjoint = dict(stop) if isinstance(stop, dict) else dict.fromkeys(stop, 0.0)
    adjoint.update(dict.fromkeys(order, 0.0))
    for node, seed in seeds:
        adjoint[node] += seed
    for node in order:
        upstream = adjoint[node]
        if check is not None:
            check(node, upstream)
        if upstream == 0.0:
            continue
        a = node._a
        if not -inf < upstream < inf:
            _propagate_nonfinite(node, upstream, adjoint)
        elif a is not None:
            operation = node.operation
            rule = operation.local
            b = node._b
            if b is not None:
                if rule is not None:
                    da, db = rule(node._data, a._data, b._data)
                elif operation.flat:
                    continue
                else:
                    da, db = operation.constants
                adjoint[a] += upstream * da
                adjoint[b] += upstream * db
            else:
                if rule is not None:
                    (da,) = rule(node._data, a._data)
                elif operation.flat:
                    continue
                else:
                    (da,) = operation.constants
                adjoint[a] += upstream * da
        elif (operands := node._b) is not None and not node.operation.flat:
            gradients = node.operation.local_gradients(node._data, [p._data for p in operands])
            for p, d in zip(operands, gradients, strict=True):
                adjoint[p] += upstream * d
    _check_each(check, stop, adjoint)
    return adjoint


def _check_each(
    check: Callable[[Node, float], None] | None, nodes: Iterable[Node], adjoint: Mapping[Node, float]
) -> None:
    if check is not None:
        for node in nodes:
            check(node, adjoint[node])


def edge_product(operation: primitive.Primitive, slot: int, upstream: float, local: float) -> float:
    """What one edge brings to its operand: upstream x local, and 0 where nothing passes. See `contribution`."""
    if operation.flat:
        return 0.0
    return product_row(operation, slot).compute(upstream, local)


def product_row(operation: primitive.Primitive, slot: int) -> primitive.Primitive:
    """The row by which upstream and local gradient are multiplied on an edge of an operation that is not flat."""
    return table.gate if _selects(operation, slot) else table.chain


def _selects(operation: primitive.Primitive, slot: int) -> bool:
    selects = operation.selects
    return selects if isinstance(selects, bool) else selects[slot]


def _propagate_nonfinite(node: Node, upstream: float, adjoint: dict[Node, float]) -> None:
    """Pass on an upstream gradient of inf or nan; an operand that was not selected gets nothing, not 0 x inf. And one
    that is no number, but a vector."""
    operation, operands = node.operation, node.parents
    if operation.flat:
        return
    if operation.several:
        wanted = [p.operation is not CONSTANT for p in operands]
        given = operation.pull_back(node._data, [p._data for p in operands], upstream, wanted)
        for p, brought in zip(operands, given, strict=True):
            if brought is not None:
                adjoint[p] += brought
        return
    gradients = operation.local_gradients(node._data, [p._data for p in operands])
    for slot, (p, d) in enumerate(zip(operands, gradients, strict=True)):
        adjoint[p] += edge_product(operation, slot, upstream, d)


def contribution(operation: primitive.Primitive, slot: int, upstream: Any, local: Any) -> Any:
    """What one edge brings to its operand, as a graph: the chain rule. None where it is nothing, whatever the numbers.

    Upstream x local, by the row `chain`: zero where the upstream gradient is zero, even if the local one is inf or nan;
    by `gate` for an operation that selects: zero where the local one is zero, too. No varying number is looked at, so
    that the same program always leaves the same graph behind, recorded or compiled, and derivatives of derivatives add
    up in the same order. Gradients that are plain numbers are not varying: a local one is part of its operation, an
    upstream one is made of such alone.
    """
    if local.__class__ is Unit:
        return local.of(upstream)
    varies = hasattr(upstream, "operation")
    if not varies and upstream == 0.0:
        return None
    selects = _selects(operation, slot)
    product = product_row(operation, slot)
    if hasattr(local, "operation"):
        if not varies and upstream == 1.0:
            return local
        return product(upstream, local)
    if local == 1.0:
        return upstream
    if not varies:
        return edge_product(operation, slot, upstream, local) or None
    if local == 0.0 and selects:
        return None
    return -upstream if local == -1.0 else upstream * local if isfinite(local) else product(upstream, local)


def graph_adjoints(
    order: Sequence[Node],
    seeds: Iterable[tuple[Node, Any]],
    stop: Iterable[Node] = (),
    check: Callable[[Node, float], None] | None = None,
    wanted: Container[Node] | None = None,
) -> dict[Node, Any]:
    """As `float_adjoints`, but of nodes, so that the result can be differentiated again; `wanted` are the nodes that
    gradients are handed to, if not all.

    A node that is not among the keys has the gradient 0.0. The seeds are plain numbers only where they do not vary.
    """
    adjoint: dict[Node, Any] = {}
    for node, seed in seeds:
        adjoint[node] = adjoint[node] + seed if node in adjoint else seed
    known = adjoint.get
    stops = set(stop)
    for node in order:
        operation = node.operation
        upstream = known(node)
        if upstream is None or operation.flat or node in stops:
            continue
        if check is not None:
            check(node, getattr(upstream, "_data", upstream))
        a, b = node._a, node._b
        operands = (b or ()) if a is None else (a,) if b is None else (a, b)
        if operation.several:
            _pull_back(node, operands, upstream, adjoint, wanted)
            continue
        gradients = operation.local_gradients(node, operands)
        # Of most edges nothing has to be asked; `contribution` would come to the same.
        product = None
        if operation.selects.__class__ is bool and hasattr(upstream, "operation"):
            product = upstream._gate if operation.selects else upstream._chain
        for slot, p in enumerate(operands):
            if p.operation is not CONSTANT and (wanted is None or p in wanted):
                d = gradients[slot]
                if product is not None and d.__class__ is not float:
                    brought = product(d)
                else:
                    brought = contribution(operation, slot, upstream, d)
                if brought is not None:
                    before = known(p)
                    adjoint[p] = brought if before is None else before + brought
    return adjoint


def _pull_back(node: Node, operands: Any, upstream: Vector, adjoint: dict[Node, Any], wanted: Any) -> None:
    """What an operation with several outputs brings to its operands, as a graph."""
    needed = [p.operation is not CONSTANT and (wanted is None or p in wanted) for p in operands]
    for p, brought in zip(operands, node.operation.pull_back(node, operands, upstream, needed), strict=True):
        if brought is not None:
            adjoint[p] = adjoint[p] + brought if p in adjoint else brought


def tangents(order: Sequence[Node], seeds: dict[Node, Any], as_graph: bool) -> dict[Node, Any]:
    """The directional derivative of every node along the seeds: forward mode, on a graph that is already recorded.

    `order` is reverse topological, as `topological_order` gives it. A node that is not among the keys has the tangent
    0.0; as seeds of a graph, plain numbers are such as do not vary.
    """
    tangent = dict(seeds)
    for node in reversed(order):
        operands, operation = node.parents, node.operation
        if operation.flat or not any(p in tangent for p in operands):
            continue
        if operation.several:
            known = [tangent.get(p) for p in operands]
            given = (node, operands) if as_graph else (node._data, [p._data for p in operands])
            tangent[node] = operation.push_forward(*given, known)
            continue
        if as_graph:
            gradients = operation.local_gradients(node, operands)
        else:
            gradients = operation.local_gradients(node._data, [p._data for p in operands])
        brings = contribution if as_graph else edge_product
        total: Any = None
        for slot, (p, d) in enumerate(zip(operands, gradients, strict=True)):
            if p in tangent:
                brought = brings(operation, slot, tangent[p], d)
                if brought is not None:
                    total = brought if total is None else total + brought
        if total is not None:
            tangent[node] = total
    return tangent
