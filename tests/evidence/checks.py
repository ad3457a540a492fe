"""What is checked of every random graph: its bits, each node's sum, the whole chain rule, each local gradient in ULP.

A check returns nothing and counts in `Figures`; what is wrong it notes there as a failure, with the graph as Python.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf, isfinite, isnan
from typing import Any

from scalargrad.engine.chain_rule import _selects, float_adjoints, graph_adjoints, order_of_pass
from scalargrad.engine.primitive import Primitive
from scalargrad.engine.value import Value

from . import oracles
from .dags import Dag, equal, same_bits
from .exact import replay, sum_error

MAX_FAILURES = 20


@dataclass
class Figures:
    """What has been counted and measured; two of them can be added."""

    graphs: int = 0
    programs: int = 0
    nodes: int = 0
    edges: int = 0
    checks: dict[str, int] = field(default_factory=dict)
    worst: dict[str, tuple[float, str]] = field(default_factory=dict)  # relative to its bound, and where
    failures: dict[str, str] = field(default_factory=dict)  # one of each kind
    failed: int = 0
    orders: dict[int, int] = field(default_factory=dict)  # programs by the order of their derivative
    faults: dict[str, int] = field(default_factory=dict)  # failures of programs, by kind

    def count(self, check: str, n: int = 1) -> None:
        self.checks[check] = self.checks.get(check, 0) + n

    def measure(self, check: str, error: float, where: Any, dag: Dag | None = None) -> None:
        """Note an error relative to its bound; above 1 it is a failure."""
        self.count(check)
        if error > self.worst.get(check, (0.0, ""))[0] or isnan(error):
            self.worst[check] = (error, str(where))
        if not error <= 1.0:
            self.fail(check, f"{error} times its bound, {where}", dag)

    def expect(self, right: bool, check: str, what: Any, dag: Dag | None = None) -> None:
        self.count(check)
        if not right:
            self.fail(check, str(what() if callable(what) else what), dag)

    def fail(self, check: str, what: str, dag: Dag | None) -> None:
        """Note a failure, with the graph as Python; one of each check and set of operations."""
        self.failed += 1
        kind, source = check, ""
        if dag is not None:
            kind += ", ".join(sorted({operation.name for operation, _ in dag.steps}))
            source = f"\ngraph number {dag.number}, or what is left of it:\n\n{dag.source()}"
        if len(self.failures) < MAX_FAILURES:
            self.failures.setdefault(kind, f"{check}: {what}{source}")

    def add(self, other: Figures) -> None:
        self.graphs, self.nodes, self.edges = (
            self.graphs + other.graphs,
            self.nodes + other.nodes,
            self.edges + other.edges,
        )
        for check, n in other.checks.items():
            self.count(check, n)
        for check, worst in other.worst.items():
            self.worst[check] = max(self.worst.get(check, (0.0, "")), worst)
        self.failed += other.failed
        self.programs += other.programs
        for order, n in other.orders.items():
            self.orders[order] = self.orders.get(order, 0) + n
        for kind, n in other.faults.items():
            self.faults[kind] = self.faults.get(kind, 0) + n
        self.failures = dict([*{**other.failures, **self.failures}.items()][:MAX_FAILURES])

    @property
    def total(self) -> int:
        return sum(self.checks.values())


def examine(dag: Dag, figures: Figures, rows: float) -> None:
    """All checks of one graph."""
    shrinking(dag, figures, partial(check_graph, rows=rows))


def shrinking(dag: Dag, figures: Figures, check: Callable[[Dag, Figures, random.Random], None]) -> None:
    """Run a check; where it fails, or an operation raises, note the smallest graph found on which it does."""

    def run(smaller: Dag) -> Figures:
        found = Figures()
        try:
            check(smaller, found, random.Random(dag.number))
        except Exception as error:
            found.fail("raised", repr(error), smaller)
        return found

    mine = run(dag)
    if mine.failed:
        small = run(dag.shrunk(lambda smaller: bool(run(smaller).failed)))
        mine.failures = dict([*small.failures.items()][:1])
    figures.add(mine)


def check_graph(dag: Dag, figures: Figures, r: random.Random, rows: float = 0.0) -> None:
    """All checks of one graph; each edge is compared with the textbook with the probability `rows`."""
    nodes = dag.nodes(dag.leaves())
    chosen = dag.ancestors()
    figures.graphs += 1
    figures.nodes += len(nodes)
    figures.edges += sum(len(operands) for _, operands in dag.steps)
    check_recording(dag, nodes, figures)
    root = nodes[dag.output]
    root.backward(dag.seed)
    check_sums(dag, nodes, chosen, figures)
    check_paths(dag, nodes, chosen, figures)
    check_graph_pass(dag, nodes, chosen, figures)
    for node in nodes:
        if node.parents and r.random() < rows:
            check_row(node.operation, [p.data for p in node.parents], r, figures, dag)


def check_recording(dag: Dag, nodes: list[Value], figures: Figures) -> None:
    """The data are the bits that floats give, and the parents the operands, in order, with repeats."""
    n = len(dag.inputs)
    for node, x in zip(nodes, dag.nodes(dag.inputs), strict=True):
        figures.expect(same_bits(node.data, x), "floats and Values: same bits", lambda n=node, x=x: (n.data, x), dag)
    for node, (operation, operands) in zip(nodes[n:], dag.steps, strict=True):
        right = node.operation is operation and len(node.parents) == len(operands)
        for p, k in zip(node.parents, operands, strict=False):
            right = right and (p is nodes[k] if type(k) is int else p.is_constant and same_bits(p.data, k))
        figures.expect(right, "parents are the operands", lambda node=node: node.parents, dag)


def arriving(dag: Dag, nodes: list[Value], chosen: list[int]) -> dict[int, list[float]]:
    """What every node receives, each term upstream x local, one rounding: from the gradients that its consumers
    have."""
    n = len(dag.inputs)
    received: dict[int, list[float]] = {k: [] for k in chosen}
    received[dag.output].append(dag.seed)
    for k in reversed(chosen):
        upstream = nodes[k].grad if k >= n or k == dag.output else 0.0
        if k < n or upstream == 0.0 or nodes[k].operation.flat:
            continue
        operation = nodes[k].operation
        for slot, (j, local) in enumerate(zip(dag.steps[k - n][1], nodes[k].local_gradients, strict=True)):
            if type(j) is int:
                unselected = local == 0.0 and _selects(operation, slot) and not isfinite(upstream)
                received[j].append(0.0 if unselected else upstream * local)
    return received


def check_sums(dag: Dag, nodes: list[Value], chosen: list[int], figures: Figures) -> None:
    """Each gradient is the sum of what arrives: to the bit for two terms, else within the bound of any order."""
    received = arriving(dag, nodes, chosen)
    dead = set(range(len(nodes))) - set(chosen)
    for k in dead:
        figures.expect(not nodes[k].has_gradient, "dead nodes are left alone", lambda k=k: k, dag)
    for k in chosen:
        found, terms = nodes[k].grad, received[k]
        where = f"node {k}, {terms} gave {found!r}"
        if type(found) is not float:
            figures.fail("gradients are floats", f"node {k}: {found!r}", dag)
        elif len(terms) <= 2:
            figures.expect(equal(found, sum(terms)), "sums of up to two terms: same bits", where, dag)
        elif all(map(isfinite, terms)):
            if isfinite(found):
                figures.measure("sums of more terms: error / bound", sum_error(terms, found), where, dag)
            else:  # partial sums may overflow
                figures.expect(sum(map(abs, terms)) == inf, "sums of more terms: overflow", where, dag)
        else:
            expected = sum(x for x in terms if not isfinite(x))
            overflows = isnan(found) and sum(abs(x) for x in terms if isfinite(x)) == inf  # to the other infinity
            figures.expect(equal(found, expected) or overflows, "sums of more terms: inf and nan", where, dag)


def check_paths(dag: Dag, nodes: list[Value], chosen: list[int], figures: Figures) -> None:
    """The chain rule over all paths, exactly, within gamma_n times the sum of the |paths|."""
    edges = edges_of(dag, nodes, chosen)
    if edges is None or not all(isfinite(nodes[k].grad) for k in chosen):
        return
    for k, adjoint in replay(edges, {dag.output: dag.seed}).items():
        error = adjoint.error(nodes[k].grad)
        figures.measure("chain rule over all paths: error / bound", error, f"graph {dag.number}, node {k}", dag)


def edges_of(dag: Dag, nodes: list[Value], chosen: list[int]) -> dict[int, list[tuple[int, float]]] | None:
    """The local gradients as the nodes report them; None if one, or a number, is not finite."""
    n = len(dag.inputs)
    if not isfinite(dag.seed):
        return None
    edges: dict[int, list[tuple[int, float]]] = {}
    for k in chosen:
        if not isfinite(nodes[k].data):
            return None
        local = nodes[k].local_gradients if k >= n else ()
        if not all(map(isfinite, local)):
            return None
        operands = dag.steps[k - n][1] if k >= n else ()
        edges[k] = [(j, d) for j, d in zip(operands, local, strict=True) if type(j) is int]
    return edges


def check_graph_pass(dag: Dag, nodes: list[Value], chosen: list[int], figures: Figures) -> None:
    """The pass whose gradients are graphs has the bits of the pass on floats, but for the sign of zero."""
    order = order_of_pass((nodes[dag.output],))
    found = graph_adjoints(order, ((nodes[dag.output], dag.seed),))
    again = float_adjoints(order, ((nodes[dag.output], dag.seed),))
    for k in chosen:
        g = found.get(nodes[k], 0.0)
        g = g.data if isinstance(g, Value) else g
        right = equal(nodes[k].grad, g) and same_bits(nodes[k].grad, again[nodes[k]])
        figures.expect(
            right, "float and graph pass: same bits", lambda k=k, g=g: f"node {k}: {nodes[k].grad!r} and {g!r}", dag
        )


def check_row(row: Primitive, xs: list[float], r: random.Random, figures: Figures, dag: Dag | None = None) -> None:
    """One value and one local gradient, at the floats it saw, against mpmath in ULP."""
    if not oracles.in_domain(row, xs):
        return
    for error, bound in oracles.errors(row, xs, r.randrange(len(xs))):
        figures.measure("rows against mpmath: ULP / bound", error / bound, f"{row.name} at {xs}", dag)
