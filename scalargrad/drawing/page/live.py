"""The graph as a program for the page: values, local gradients, contributions and gradients, from the inputs.

What was recorded is kept as rows and positions (`record`), so that a drawing stays as it was while training goes on;
for a page, it is run once more on numbers that record, and the JavaScript backend writes the program (`program_of`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from graphlib import TopologicalSorter
from math import isfinite
from typing import Any, NamedTuple

from ...compiler.backends import javascript
from ...compiler.frontend.trace import trace
from ...compiler.ir.lowering import body_of
from ...compiler.ir.program import Program
from ...engine.chain_rule import product_row, topological_order
from ...engine.primitive import as_float
from ...engine.value import Value
from ...transforms.trees import flatten
from ..common.text import clean, number, shortened
from ..graph.labels import path_lines
from ..graph.picture import Node, Path
from ..graph.reading import gradient_of, place_id
from ..graph.selection import HIDDEN, Graph
from .data import pattern_of
from .story import Story

MOST = 5000  # values in a graph that a page computes anew
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
Operand = int | float  # a position, or a number


class Comparison(NamedTuple):
    """Comparisons that decided how a graph was computed, and held or did not: `(left, sign, right)`, all at once."""

    terms: tuple[tuple[Any, str, Any], ...]
    text: str = ""
    drawn_as: Value | None = None  # the constant that it is in the graph, 1 or 0


class Decision(NamedTuple):
    """A comparison by positions."""

    terms: tuple[tuple[Operand, str, Operand], ...]
    text: str
    drawn_as: int  # -1 for none
    outcome: bool


class Recorded(NamedTuple):
    """A graph by positions, as it was when it was drawn; behind the drawn values, what only comparisons look at."""

    rows: list[Any]  # None for inputs and constants
    place: list[int]  # as `Selection.drawn_with` has it
    operands: list[tuple[int, ...]]
    data: list[float]
    gradients: list[float | None]
    inputs: list[int]
    constants: set[int]
    labels: list[str]
    roots: list[int]
    decisions: list[Decision]


def record(graph: Graph, place_of: Sequence[int], given: Iterable[Any]) -> Recorded:
    """Keep what a page needs of a graph. Raises `ValueError` for what is no comparison."""
    values, position = list(graph.values), dict(graph.position)

    def place(x: Any) -> Operand:
        if not isinstance(x, Value):
            return as_float(x, "draw: guards")
        for v in reversed(topological_order([x])):
            if v not in position:
                position[v] = len(values)
                values.append(v)
        return position[x]

    decisions = []
    for each in given:
        one = each if isinstance(each, Comparison) else Comparison((tuple(each[:3]),), *each[3:])
        if not all(len(term) == 3 and term[1] in SIGNS for term in one.terms):
            raise ValueError(f"draw: guards: a comparison is such as (x, '<', 1.0), got {each!r}")
        terms = tuple([(place(a), sign, place(b)) for a, sign, b in one.terms])
        outcome = all(SIGNS[sign](getattr(a, "data", a), getattr(b, "data", b)) for a, sign, b in one.terms)
        drawn_as = -1 if one.drawn_as is None else position.get(one.drawn_as, -1)
        decisions.append(Decision(terms, one.text, drawn_as, outcome))
    if len(values) > MOST:  # which no page computes
        return Recorded([None] * len(values), [], [], [], [], [], set(), [], [], [])
    operands = graph.operands + [tuple([position[p] for p in v.parents]) for v in values[len(graph.operands) :]]
    return Recorded(
        [v.operation if o else None for v, o in zip(values, operands, strict=True)],
        [*place_of, *[HIDDEN] * (len(values) - len(place_of))],
        operands,
        [v.data for v in values],
        [gradient_of(v) for v in values],
        [i for i, v in enumerate(values) if v.is_leaf],
        {i for i, v in enumerate(values) if v.is_constant},
        [v.label.strip() for v in values],
        graph.roots,
        decisions,
    )


def without_form(operations: Iterable[tuple[Any, tuple[int, ...]]]) -> str:
    """That some operations are nothing that JavaScript could do; "" if there are none."""
    rows = {(row, len(operands)) for row, operands in operations if row is not None}
    names = sorted({clean(row.name) for row, count in rows if body_of(row, count, "polynomial") is None})
    return f"{shortened(', '.join(names), 80)} has no form in JavaScript" if names else ""


def why_not(recorded: Recorded) -> str:
    """Why a page cannot compute a graph anew; "" if it can."""
    if len(recorded.rows) > MOST:
        return f"the graph has {len(recorded.rows):,} values, more than the {MOST:,} that a page computes"
    if names := without_form(zip(recorded.rows, recorded.operands, strict=True)):
        return names
    data = recorded.data
    for row, operands, x in zip(recorded.rows, recorded.operands, data, strict=True):
        now = x if row is None else row.compute(*[data[j] for j in operands])
        if now != x and not (now != now and x != x):
            return "data was changed after recording"
    program, _ = program_of(recorded)  # with the rows of local gradients
    return without_form(zip(program.operations, program.operands, strict=True))


# ---- the program -----------------------------------------------------------------------------------------------------


def _brought(row: Any, slot: int, upstream: Any, local: Any) -> Any:
    return 0.0 if row.flat else product_row(row, slot)(upstream, local)


class Adjoints:
    """Every edge's contribution and every value's gradient, on numbers or on values that record."""

    def __init__(self, recorded: Recorded, local: Sequence[Sequence[Any]], own: dict[int, float]) -> None:
        """`own` is what each value has by itself: a root its seed; `local` the local gradients by operation."""
        self.gradients: dict[int, Any] = dict(own)
        self.brought: dict[tuple[int, int], Any] = {}
        for i in range(len(recorded.rows) - 1, -1, -1):
            upstream = self.gradients.get(i)
            if upstream is None or recorded.rows[i] is None:
                continue
            for slot, j in enumerate(recorded.operands[i]):
                if j not in recorded.constants:
                    brought = _brought(recorded.rows[i], slot, upstream, local[i][slot])
                    self.brought[i, slot] = brought
                    self.gradients[j] = self.gradients.get(j, 0.0) + brought


def own_gradients(recorded: Recorded) -> dict[int, float]:
    """What values have besides what their consumers bring: the seeds of passes, and what came from other graphs."""
    found: dict[int, float] = {}
    total: dict[int, float] = {}
    scale: dict[int, float] = {}
    for i in range(len(recorded.rows) - 1, -1, -1):
        gradient, row = recorded.gradients[i], recorded.rows[i]
        if gradient is None:
            continue
        rest = gradient - total.get(i, 0.0)
        # Rounding is no rest; a value that nothing reaches begins a pass.
        if i not in total or (isfinite(rest) and abs(rest) > 1e-12 * max(scale[i], abs(gradient))):
            found[i] = rest
        if row is None:
            continue
        local = row.local_gradients(recorded.data[i], [recorded.data[j] for j in recorded.operands[i]])
        for slot, j in enumerate(recorded.operands[i]):
            brought = _brought(row, slot, gradient, local[slot])
            total[j] = total.get(j, 0.0) + brought
            scale[j] = max(scale.get(j, 0.0), abs(brought))
    return found


def _edges(recorded: Recorded) -> list[tuple[int, int]]:
    return [(i, slot) for i, operands in enumerate(recorded.operands) for slot in range(len(operands))]


def program_of(recorded: Recorded) -> tuple[Program, list[int]]:
    """The graph as a program of its inputs; and by number its outputs: the values, their gradients (0 for none), the
    local gradients and the contributions of all edges, and the slope of the first root by each input."""
    own = own_gradients(recorded)
    conditions = {d.drawn_as: d for d in recorded.decisions if d.drawn_as >= 0}
    edges = _edges(recorded)
    # A condition may look at what is recorded after it.
    needs = {i: set(operands) for i, operands in enumerate(recorded.operands)}
    for i, condition in conditions.items():
        needs[i] |= {x for a, _, b in condition.terms for x in (a, b) if isinstance(x, int)}
    order = list(TopologicalSorter(needs).static_order())

    def run(xs: list[Any]) -> list[Any]:
        values: list[Any] = list(recorded.data)
        for i, x in zip(recorded.inputs, xs, strict=True):
            values[i] = x
        local: list[tuple[Any, ...]] = [()] * len(values)
        for i in order:
            row, condition = recorded.rows[i], conditions.get(i)
            if condition is not None:
                values[i] = 1.0
                for a, sign, b in condition.terms:
                    left, right = (x if isinstance(x, float) else values[x] for x in (a, b))
                    values[i] = values[i] * SIGNS[sign](left, right)
            elif row is not None:
                given = [values[j] for j in recorded.operands[i]]
                values[i] = row(*given)
                local[i] = row.local_gradients(values[i], given)
        passed = Adjoints(recorded, local, own)
        root = recorded.roots[0]
        slopes = passed if own == {root: 1.0} else Adjoints(recorded, local, {root: 1.0})
        return [
            *values,
            *[passed.gradients.get(i, 0.0) for i in range(len(values))],
            *[local[i][slot] for i, slot in edges],
            *[passed.brought.get(edge, 0.0) for edge in edges],
            *[slopes.gradients.get(i, 0.0) for i in recorded.inputs],
        ]

    leaves, structure = flatten((([recorded.data[i] for i in recorded.inputs],), {}), "inputs")
    program, _, _ = trace(run, structure, leaves)
    unique = {k: at for at, k in enumerate(dict.fromkeys(program.outputs))}
    places = [unique[k] for k in program.outputs]
    program.outputs = list(unique)
    return program, places


# ---- what the page shows of it ---------------------------------------------------------------------------------------


class Live(NamedTuple):
    """What the page computes with: a script that defines `compute(x, y)`, and which number stands where."""

    script: str
    data: dict[str, Any]


def live_of(recorded: Recorded, story: Story) -> Live:
    """The program of a picture, and its numbers: nodes and edges of the graph by number, the picture's by position."""
    program, places = program_of(recorded)
    text = javascript.source([program], [[]], "compute", "polynomial").replace("export ", "")
    script = "\n".join([line.strip() for line in text.partition("*/\n")[2].splitlines() if line.strip()])
    return Live(script, _Numbers(recorded, story).data() | {"places": places})


class _Numbers:
    def __init__(self, recorded: Recorded, story: Story) -> None:
        self.recorded, self.story, self.picture = recorded, story, story.picture
        self.own = own_gradients(recorded)
        self.node = {f"n{i + 1}": i for i in range(len(recorded.rows))}
        edges = _edges(recorded)
        self.edge = {f"e{i + 1}_{slot + 1}": k for k, (i, slot) in enumerate(edges)}
        self.consumer = [i for i, _ in edges]
        self.drawn = {n.id: k for k, n in enumerate(self.picture.nodes)}
        self.blocks: dict[str, list[int]] = {}
        for i, place in enumerate(recorded.place):
            if place < -1 and recorded.gradients[i] is not None:
                self.blocks.setdefault(f"g{-1 - place}", []).append(i)
        self.merged: dict[str, list[int]] = {}
        for k, (i, slot) in enumerate(edges):
            j = recorded.operands[i][slot]
            if j not in recorded.constants:
                self.merged.setdefault(f"m{place_id(recorded.place[j])}_{place_id(recorded.place[i])}", []).append(k)

    def name(self, x: Operand) -> str:
        if isinstance(x, float):
            return number(x)
        k = self.drawn.get(f"n{x + 1}")
        drawn = "a value" if k is None else self.picture.nodes[k].name
        return clean(shortened(self.recorded.labels[x], 300)) or drawn

    def data(self) -> dict[str, Any]:
        recorded, nodes = self.recorded, self.picture.nodes
        names = [self.name(i) for i in recorded.inputs]
        return {
            "count": len(recorded.rows),
            "edges": len(self.edge),
            "root": [recorded.roots[0], self.name(recorded.roots[0])],
            "labels": self.picture.labels,
            "inputs": [
                [f"{name} ({k + 1})" if names.index(name) < k else name, repr(recorded.data[i])]
                for k, (i, name) in enumerate(zip(recorded.inputs, names, strict=True))
            ],
            "node": [self.blocks.get(n.id, []) if n.kind == "block" else self.node[n.id] for n in nodes],
            "edge": [self.merged.get(e.id, []) if e.local is None else self.edge[e.id] for e in self.picture.edges],
            "rows": {
                str(k): [[self.with_consumer(p) for p in line] for line in path_lines(n.paths)]
                for k, n in enumerate(nodes)
                if n.paths
            },
            "before": {str(k): self.before(nodes[k]) for k in self.story.backward.before},
            **self.worked(),
            "decisions": [self.decision(each) for each in recorded.decisions],
        }

    def with_consumer(self, path: Path) -> tuple[int, int]:
        k = self.edge[path.edge]
        return k, self.consumer[k]

    def decision(self, made: Decision) -> list[Any]:
        """Positions stay numbers; numbers become texts, as JSON knows no inf."""
        text = made.text or " and ".join([f"{self.name(a)} {sign} {self.name(b)}" for a, sign, b in made.terms])
        terms = [[x if isinstance(x, int | str) else repr(x) for x in term] for term in made.terms]
        return [terms, clean(shortened(text, 300)), made.drawn_as >= 0, made.outcome]

    def before(self, node: Node) -> list[Any]:
        """What a node has before the first turn: a number, and the edges outside the picture that bring the rest."""
        shown = {e.id for e in self.picture.edges}
        own = self.own.get(self.node[node.id], 0.0)
        return [repr(own), [self.edge[p.edge] for p in node.paths if p.edge not in shown and not p.block]]

    def worked(self) -> dict[str, Any]:
        """Operations as patterns, for which numbers are put in place of names; and which of them a node has."""
        patterns: dict[tuple[str, int], int] = {}
        found = {}
        folded = {e.target for e in self.picture.edges if e.local is None}
        for k, n in enumerate(self.picture.nodes):
            if n.kind == "operation" and n.members == 1 and not n.undrawn and n.id not in folded:
                pattern = pattern_of(n, len(self.recorded.operands[self.node[n.id]]))
                found[str(k)] = patterns.setdefault(pattern, len(patterns))
        return {"patterns": list(patterns), "pattern": found}
