"""The graph as a program for the page: values, local gradients, contributions and gradients, from the inputs.

What was recorded is kept as rows and positions (`record`), so that a drawing stays as it was while training goes on;
for a page, it is run once more on numbers that record, and the JavaScript backend writes the program (`program_of`).
"""

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from graphlib import TopologicalSorter
from itertools import accumulate
from math import isfinite
from typing import Any, NamedTuple

from ...compiler.frontend.trace import trace
from ...compiler.ir.lowering import body_of
from ...compiler.ir.program import Program
from ...engine.chain_rule import product_row, topological_order
from ...engine.primitive import as_float
from ...engine.value import Value
from ...transforms.trees import flatten
from ..common.text import clean, number, shortened
from ..graph.labels import path_lines
from ..graph.picture import Node
from ..graph.reading import gradient_of, place_id
from ..graph.selection import HIDDEN, Graph
from .data import Story

MOST = 5000  # values in a graph that a page computes anew
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
Operand = int | float  # a position, or a number


class Comparison(NamedTuple):
    """Comparisons that decided how a graph was computed, and held or did not: `(left, sign, right)`, all at once."""

    terms: tuple[tuple[Any, str, Any], ...]  # of values and numbers; once recorded, of positions and numbers
    text: str = ""
    drawn_as: Any = None  # the constant that it is in the graph, 1 or 0; once recorded, its position, -1 for none
    outcome: bool = True


class Recorded(NamedTuple):
    """A graph by positions, as it was when it was drawn; behind the drawn values, what only comparisons look at."""

    rows: list[Any]  # None for inputs and constants
    place: Sequence[int] = ()  # as `Selection.drawn_with` has it
    operands: Sequence[tuple[int, ...]] = ()
    data: Sequence[float] = ()
    gradients: Sequence[float | None] = ()
    inputs: Sequence[int] = ()
    constants: frozenset[int] = frozenset()
    labels: Sequence[str] = ()
    roots: Sequence[int] = ()
    decisions: Sequence[Comparison] = ()


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
        decisions.append(Comparison(terms, one.text, position.get(one.drawn_as, -1), outcome))
    if len(values) > MOST:  # which no page computes
        return Recorded([None] * len(values))
    operands = graph.operands + [tuple([position[p] for p in v.parents]) for v in values[len(graph.operands) :]]
    return Recorded(
        [v.operation if o else None for v, o in zip(values, operands, strict=True)],
        [*place_of, *[HIDDEN] * (len(values) - len(place_of))],
        operands,
        [v.data for v in values],
        [gradient_of(v) for v in values],
        [i for i, v in enumerate(values) if v.is_leaf],
        frozenset([i for i, v in enumerate(values) if v.is_constant]),
        [v.label.strip() for v in values],
        graph.roots,
        decisions,
    )


def _without_form(operations: Iterable[tuple[Any, tuple[int, ...]]]) -> str:
    """That some operations are nothing that JavaScript could do; "" if there are none."""
    rows = {(row, len(operands)) for row, operands in operations if row is not None}
    names = sorted({clean(row.name) for row, count in rows if body_of(row, count, "polynomial") is None})
    return f"{shortened(', '.join(names), 80)} has no form in JavaScript" if names else ""


# ---- the program -----------------------------------------------------------------------------------------------------


def _brought(row: Any, slot: int, upstream: Any, local: Any) -> Any:
    return 0.0 if row.flat else product_row(row, slot)(upstream, local)


def _adjoints(
    recorded: Recorded, local: Sequence[Sequence[Any]], own: dict[int, float]
) -> tuple[dict[int, Any], dict[tuple[int, int], Any]]:
    """Every value's gradient and every edge's contribution, on numbers or on values that record.

    `own` is what each value has by itself: a root its seed; `local` the local gradients by operation.
    """
    gradients: dict[int, Any] = dict(own)
    contributions: dict[tuple[int, int], Any] = {}
    for i in range(len(recorded.rows) - 1, -1, -1):
        upstream = gradients.get(i)
        for slot, j in enumerate(recorded.operands[i] if upstream is not None else ()):
            if j not in recorded.constants:
                contributions[i, slot] = brought = _brought(recorded.rows[i], slot, upstream, local[i][slot])
                gradients[j] = gradients.get(j, 0.0) + brought
    return gradients, contributions


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


def program_of(recorded: Recorded) -> tuple[Program, list[int]] | str:
    """The graph as a program of its inputs; and by number its outputs: the values, their gradients (0 for none), the
    local gradients and the contributions of all edges, and the slope of the first root by each input. Or why there is
    none."""
    if len(recorded.rows) > MOST:
        return f"the graph has {len(recorded.rows):,} values, more than the {MOST:,} that a page computes"
    if names := _without_form(zip(recorded.rows, recorded.operands, strict=True)):
        return names
    for row, operands, x in zip(recorded.rows, recorded.operands, recorded.data, strict=True):
        now = x if row is None else row.compute(*[recorded.data[j] for j in operands])
        if now != x and not (now != now and x != x):
            return "data was changed after recording"
    own = own_gradients(recorded)
    conditions = {d.drawn_as: d for d in recorded.decisions if d.drawn_as >= 0}
    edges = [(i, slot) for i, operands in enumerate(recorded.operands) for slot in range(len(operands))]
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
        gradients, contributions = _adjoints(recorded, local, own)
        root = recorded.roots[0]
        slopes = gradients if own == {root: 1.0} else _adjoints(recorded, local, {root: 1.0})[0]
        return [
            *values,
            *[gradients.get(i, 0.0) for i in range(len(values))],
            *[local[i][slot] for i, slot in edges],
            *[contributions.get(edge, 0.0) for edge in edges],
            *[slopes.get(i, 0.0) for i in recorded.inputs],
        ]

    leaves, structure = flatten((([recorded.data[i] for i in recorded.inputs],), {}), "inputs")
    program, _, _ = trace(run, structure, leaves)
    unique = {k: at for at, k in enumerate(dict.fromkeys(program.outputs))}
    places = [unique[k] for k in program.outputs]
    program.outputs = list(unique)
    # The rows of local gradients may have no form either.
    return _without_form(zip(program.operations, program.operands, strict=True)) or (program, places)


# ---- what the page shows of it ---------------------------------------------------------------------------------------


def numbers_of(recorded: Recorded, places: list[int], story: Story) -> dict[str, Any]:
    """Where each number of the program stands: nodes and edges of the graph by number, the picture's by position."""
    nodes, drawn, own = story.picture.nodes, story.picture.edges, own_gradients(recorded)
    starts = [0, *accumulate(map(len, recorded.operands))]
    names = {n.id: n.name for n in nodes}
    members: dict[str, list[int]] = defaultdict(list)  # of blocks: what has a gradient
    merged: dict[str, list[int]] = defaultdict(list)  # edges that are drawn as one
    ids = [place_id(place) for place in recorded.place]
    for i, operands in enumerate(recorded.operands):
        if recorded.gradients[i] is not None:
            members[ids[i]].append(i)
        for slot, j in enumerate(operands):
            if j not in recorded.constants:
                merged[f"m{ids[j]}_{ids[i]}"].append(starts[i] + slot)

    def edge(key: str) -> tuple[int, int]:
        """An edge's number and its consumer's."""
        i, slot = (int(k) - 1 for k in key[1:].split("_"))
        return starts[i] + slot, i

    def name(x: Operand) -> str:
        if isinstance(x, float):
            return number(x)
        return clean(shortened(recorded.labels[x], 300)) or names.get(f"n{x + 1}", "a value")

    def decision(made: Comparison) -> list[Any]:
        """Positions stay numbers; numbers become texts, as JSON knows no inf."""
        text = made.text or " and ".join([f"{name(a)} {sign} {name(b)}" for a, sign, b in made.terms])
        terms = [[x if isinstance(x, int | str) else repr(x) for x in term] for term in made.terms]
        return [terms, clean(shortened(text, 300)), made.drawn_as >= 0, made.outcome]

    def before(node: Node) -> list[Any]:
        """What a node has before the first turn: a number, and the edges outside the picture that bring the rest."""
        hidden = [edge(p.edge)[0] for p in node.paths if p.edge not in shown and not p.block]
        return [repr(own.get(int(node.id[1:]) - 1, 0.0)), hidden]

    shown, called = {e.id for e in drawn}, [name(i) for i in recorded.inputs]
    return {
        "places": places,
        "count": len(recorded.rows),
        "edges": starts[-1],
        "root": [recorded.roots[0], name(recorded.roots[0])],
        "labels": story.picture.labels,
        "inputs": [
            [f"{each} ({k + 1})" if called.index(each) < k else each, repr(recorded.data[i])]
            for k, (i, each) in enumerate(zip(recorded.inputs, called, strict=True))
        ],
        "node": [members[n.id] if n.kind == "block" else int(n.id[1:]) - 1 for n in nodes],
        "edge": [merged[e.id] if e.local is None else edge(e.id)[0] for e in drawn],
        "rows": {
            str(k): [[edge(p.edge) for p in line] for line in path_lines(n.paths)]
            for k, n in enumerate(nodes)
            if n.paths
        },
        "before": {str(k): before(nodes[k]) for k in story.backward.before},
        "decisions": list(map(decision, recorded.decisions)),
    }
