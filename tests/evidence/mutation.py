"""Mistakes planted in every row of the table, one at a time, and what finds each: mpmath, an awkward point, or a graph.

Planted are: another sign, a factor of 2, operands in each other's places, a local gradient left out, in the value and
in the local gradients; every small mistake in the text of the rule itself; another choice at a tie or kink; and, in the
accumulation, `=` for `+=`. A mutant that is the original in other words is named in `EQUIVALENT`, with the reason.
"""

from __future__ import annotations

import ast
import inspect
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from math import inf, isnan, nan
from typing import Any, NamedTuple

from scalargrad import Value, scan
from scalargrad.activations import primitives as activation_rows
from scalargrad.engine import chain_rule as graph
from scalargrad.engine import ieee, table, value
from scalargrad.engine.primitive import Primitive
from scalargrad.functions import primitives, values
from scalargrad.losses import primitives as loss_rows

from .. import accuracy, test_awkward_points
from ..rows import ROWS, TABLE, paired
from . import oracles
from .checks import Figures, check_graph
from .dags import SHORT, Dag, dag, equal
from .laws import LAWS, scaled_seed
from .variants import variants

SYMMETRIC = {"add", "gate", "mul", "hypot", "sum", "mean", "prod", "max", "min", "logsumexp"}
POINTS = 16  # random operands on which a mutant is measured, at most


class Mutant(NamedTuple):
    row: Primitive
    what: str
    mutated: Primitive


def operand_count(row: Primitive) -> int:
    return row.arity if row.arity is not None else 4 if paired(row) else 3


def changed(row: Primitive, **changes: Any) -> Primitive:
    """A copy of a row with another value or other local gradients."""
    fields: dict[str, Any] = {"compute": row.compute, "local": row.local or row.constants, **changes}
    made = Primitive(row.name, row.arity, fields["compute"], fields["local"])
    vars(made).update({**vars(row), **{each: vars(made)[each] for each in ("compute", "local", "constants", "flat")}})
    return made


# ---- what is planted -------------------------------------------------------------------------------------------------


def _swapped(xs: Sequence[Any], i: int, j: int) -> list[Any]:
    found = list(xs)
    if len(found) > j:
        found[i], found[j] = found[j], found[i]
    return found


def _on_one(f: Callable[[Any], Any], k: int) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return lambda ds: tuple(f(d) if i == k else d for i, d in enumerate(ds))


def wholesale(row: Primitive) -> Iterator[Mutant]:
    """Sign, factor, operands, one local gradient: whatever the row's text is."""
    compute = row.compute
    count = operand_count(row)
    yield Mutant(row, "value: sign", changed(row, compute=lambda *xs: -compute(*xs)))
    yield Mutant(row, "value: factor 2", changed(row, compute=lambda *xs: 2.0 * compute(*xs)))
    if count > 1 and row.name not in SYMMETRIC:
        for i in range(
            1 if row.name in ("count_of_ties", "softmax_share", "log_softmax_share", "surprise") else min(count, 3) - 1
        ):
            swapped = changed(row, compute=lambda *xs, i=i: compute(*_swapped(xs, i, i + 1)))
            yield Mutant(row, f"value: operands {i + 1} and {i + 2} swapped", swapped)
    if row.flat:
        slope = changed(row, local=lambda y, *xs: (1.0,) * len(xs))
        yield Mutant(row, "local: 1 instead of flat", slope)
        return

    def local(change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Primitive:
        return changed(row, local=lambda y, *xs: change(row.local_gradients(y, xs)))

    for k in range(min(count, 3)):
        if (row.name, k) == ("where", 0):
            continue  # its local gradient is 0
        yield Mutant(row, f"local {k + 1}: sign", local(_on_one(lambda d: -d, k)))
        yield Mutant(row, f"local {k + 1}: factor 2", local(_on_one(lambda d: 2.0 * d, k)))
        yield Mutant(row, f"local {k + 1}: left out", local(_on_one(lambda d: 0.0, k)))
    if count > 1 and row.name not in ("add", "sum", "mean"):
        yield Mutant(row, "local: 1 and 2 swapped", local(lambda ds: tuple(_swapped(ds, 0, 1))))
        rule = row.local
        if rule is not None and row.name != "where":
            swapped = changed(row, local=lambda y, *xs: rule(y, *_swapped(xs, 0, 1)))
            yield Mutant(row, "local: operands 1 and 2 swapped", swapped)


def _sources() -> dict[str, tuple[ast.expr, ast.expr]]:
    """The text of each row's value and local gradients."""
    found = {}
    for module in {row.remake[1][1] for row in TABLE.values()}:
        for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
            match node:
                case ast.Call(ast.Name("_row" | "_inner"), [ast.Constant(str(name)), _, compute, local, *_]):
                    found[name] = (compute, local)
    return found


def textual(row: Primitive, sources: dict[str, tuple[ast.expr, ast.expr]]) -> Iterator[Mutant]:
    """Every small mistake in the row's own text, and in the function that it names for its local gradients.

    The functions that values are computed by are not the row's: they are a module, `ieee`, which `--mutants` works on.
    """
    if row.name not in sources:
        return
    module = sys.modules[row.remake[1][1]]
    for field, expression in zip(("compute", "local"), sources[row.name], strict=True):
        if isinstance(expression, ast.Lambda):
            holder: ast.AST = ast.Expression(expression)
            name = ""
        elif isinstance(expression, ast.Name) and expression.id.startswith("_"):
            holder = ast.parse(inspect.getsource(getattr(module, expression.id)))
            name = expression.id
        else:
            continue
        for _, what, tree in variants(holder):
            space = dict(vars(module))
            tree = ast.fix_missing_locations(tree)
            if name:  # a function of this module
                exec(compile(tree, "<mutant>", "exec"), space)  # type: ignore[call-overload]
                made = space[name]
            else:
                made = eval(compile(tree, "<mutant>", "eval"), space)  # type: ignore[call-overload]
            yield Mutant(row, f"{'value' if field == 'compute' else 'local'}: {what}", changed(row, **{field: made}))


def _tie(share: Callable[[int, int], float]) -> Callable[..., tuple[Any, ...]]:
    """The local gradients of an extremum: `share(k, n)` to the k-th of n operands that attain it."""

    def local(y: Any, *xs: Any) -> tuple[Any, ...]:
        at = [k for k, x in enumerate(xs) if x == y]
        return tuple(share(at.index(k), len(at)) if k in at else 0.0 for k in range(len(xs)))

    return local


def _kink(f: Callable[[float], float], at: float, there: float) -> Callable[..., tuple[Any, ...]]:
    return lambda y, a: (there if a == at else f(a),)


# name: choices that other libraries make, or that one might think of
OTHER_TIES: dict[str, dict[str, dict[str, Any]]] = {
    "relu": {f"slope {s} at 0": {"local": _kink(ieee.step, 0.0, s)} for s in (1.0, 0.5)},
    "abs": {f"slope {s} at 0": {"local": _kink(ieee.sign, 0.0, s)} for s in (1.0, -1.0)},
    "sign": {f"{s} at 0": {"compute": lambda a, s=s: s if a == 0.0 else ieee.sign(a)} for s in (1.0, -1.0)},
    "step": {f"{s} at 0": {"compute": lambda a, s=s: s if a == 0.0 else ieee.step(a)} for s in (1.0, 0.5)},
    "round": {"half up": {"compute": lambda a: ieee.floor(a + 0.5)}},
    **{
        name: {
            "all to the first": {"local": _tie(lambda k, n: 1.0 if k == 0 else 0.0)},
            "all to the last": {"local": _tie(lambda k, n: 1.0 if k == n - 1 else 0.0)},
            "1 to each": {"local": _tie(lambda k, n: 1.0)},
            "nothing to any": {"local": _tie(lambda k, n: 1.0 if n == 1 else 0.0)},
            "nan passed over": {"compute": lambda *xs, f=f: f(x for x in xs if not isnan(x))},
        }
        for name, f in (("max", max), ("min", min))
    },
    "clamp": {
        "0 on the bounds": {"local": lambda y, a, b, c: (float(b < a < c), float(a <= b), float(a >= c))},
        "1/2 on the bounds": {"local": lambda y, a, b, c: (0.5 if a in (b, c) else float(b < a < c), 0.0, 0.0)},
    },
    "where": {"nan is false": {"compute": lambda c, a, b: a if c != 0.0 and c == c else b}},
    "sqrt": {"slope 0 at 0": {"local": lambda y, a: (0.0 if a == 0.0 else ieee.div(0.5, y),)}},
    "cbrt": {"slope 0 at 0": {"local": lambda y, a: (0.0 if a == 0.0 else ieee.div(1.0, 3.0 * (y * y)),)}},
    "hypot": {"nan at the origin": {"local": lambda y, a, b: (ieee.div(a, y), ieee.div(b, y))}},
    "atan2": {"0 at the origin": {"local": lambda y, a, b: (0.0, 0.0) if a == b == 0.0 else _atan2(a, b)}},
    "prod": {"by division": {"local": lambda y, *xs: tuple(ieee.div(y, x) for x in xs)}},
    "logsumexp": {"nan where all are -inf": {"local": lambda y, *xs: (nan,) * len(xs) if y == -inf else _lse(xs)}},
    "log": {"slope 1/x below 0": {"local": lambda y, a: (ieee.div(1.0, a),)}},
    "pow": {"d/dx of x**0 nan at 0": {"local": lambda y, a, b: (nan, 0.0) if a == b == 0.0 else _pow(y, a, b)}},
    "mod": {"sign of the first": {"compute": lambda a, b: ieee.mod(a, b) - (b if a * b < 0.0 else 0.0)}},
    "div": {"-a/b**2": {"local": lambda y, a, b: (ieee.div(1.0, b), -ieee.div(a, b * b))}},
    "expm1": {"by y + 1": {"local": lambda y, a: (y + 1.0,)}},
    "tanh": {"by 1 - y**2": {"local": lambda y, a: (1.0 - y * y,)}},
    "sigmoid": {"by y (1 - y)": {"local": lambda y, a: (y * (1.0 - y),)}},
    "chain": {"0 x inf is nan": {"compute": lambda a, b: a * b}},
}


def _atan2(a: float, b: float) -> tuple[float, float]:
    return (values.atan2_slope(b, a), -values.atan2_slope(a, b))


def _lse(xs: tuple[float, ...]) -> tuple[float, ...]:
    return values.softmax(*xs)


def _pow(y: float, a: float, b: float) -> tuple[float, ...]:
    return table.pow.local_gradients(y, (a, b))


def mutants(every: bool) -> Iterator[Mutant]:
    """All mutants of all rows; without `every`, only those that need no row's text."""
    sources = _sources() if every else {}
    for row in ROWS:
        yield from wholesale(row)
        for what, changes in OTHER_TIES.get(row.name, {}).items():
            yield Mutant(row, f"tie: {what}", changed(row, **changes))
        yield from textual(row, sources)


# ---- what finds it ---------------------------------------------------------------------------------------------------


def _points_of(row: Primitive) -> list[tuple[tuple[float, ...], float, tuple[float | None, ...]]]:
    """The awkward points that are about the row."""
    return [(xs, y, gradients) for found, xs, y, gradients in _awkward() if found is row]


# Of rows that no public function is: what is stated about them in their own places.
INNER_POINTS: list[tuple[Primitive, tuple[float, ...], float, tuple[float | None, ...]]] = [
    (table.chain, (0.0, inf), 0.0, (inf, 0.0)),
    (table.chain, (0.0, nan), 0.0, (nan, 0.0)),
    (table.chain, (-0.0, 2.0), 0.0, (2.0, 0.0)),
    (table.chain, (nan, 2.0), nan, (2.0, nan)),
    (primitives.share_of_tie, (1.0, nan, 2.0), nan, (0.0, 0.0, 0.0)),
    (primitives.within, (1.0, 1.0, 1.0), 1.0, (0.0, 0.0, 0.0)),
    (primitives.less, (1.0, 1.0), 0.0, (0.0, 0.0)),
    (loss_rows.minus_log, (0.0,), 100.0, (-1e12,)),
    *(
        (loss_rows.binary_cross_entropy, xs, y, (None, None))
        for xs, y in (
            ((0.0, 0.0), 0.0),
            ((1.0, 1.0), 0.0),
            ((1.0, 0.0), 100.0),
            ((0.0, 1.0), 100.0),
            ((nan, 0.0), nan),
        )
    ),
    (activation_rows.hardsigmoid, (3.5,), 1.0, (0.0,)),
    (activation_rows.hardsigmoid, (-3.5,), 0.0, (0.0,)),
    (activation_rows.prelu_slope, (0.5, 0.25), 1.0, (0.0, 0.0)),
    (loss_rows.floored_slope, (0.0,), 1e12, (0.0,)),
    (loss_rows.floored_slope, (1e-60,), 1e12, (0.0,)),
    (primitives.atan2_slope, (1e308, 1e308), 5e-309, (0.0, -0.0)),  # the sum of both overflows
    (primitives.atan2_slope, (1e308, -1e308), 5e-309, (-0.0, 0.0)),
]
_AWKWARD: list[tuple[Primitive, tuple[float, ...], float, tuple[float | None, ...]]] = []


def _awkward() -> list[tuple[Primitive, tuple[float, ...], float, tuple[float | None, ...]]]:
    if not _AWKWARD:
        for f, xs, y, gradients in test_awkward_points.POINTS:
            node = test_awkward_points.call(f, [Value(x) for x in xs])
            assert len(node.parents) == len(xs), f
            _AWKWARD.append((node.operation, xs, y, gradients))
        _AWKWARD.extend(INNER_POINTS)
    return _AWKWARD


def by_point(mutant: Mutant) -> bool:
    """A point of the table of awkward ones, of value or gradient, that is no longer as stated."""
    for xs, y, gradients in _points_of(mutant.row):
        found = mutant.mutated.compute(*xs)
        if not test_awkward_points.same(found, y):
            return True
        local = mutant.mutated.local_gradients(found, xs)
        if not all(map(test_awkward_points.same, local, gradients)):
            return True
    return False


def by_mpmath(mutant: Mutant) -> bool:
    """A value or local gradient that is further from mpmath's than its row may be."""
    row = mutant.mutated
    r = random.Random(row.name)
    at = [list(xs) for xs in product((-1.5, 0.0, 1.0, 2.0), repeat=operand_count(row)) if oracles.in_domain(row, xs)]
    for n, xs in enumerate([*r.sample(at, min(len(at), 10)), *(accuracy.points(row, r) for _ in range(POINTS))]):
        for k in range(len(xs)) if n % 4 == 0 else (r.randrange(len(xs)),):
            if any(not error <= bound for error, bound in oracles.errors(row, xs, k)):
                return True
    return False


def by_graph(mutant: Mutant) -> bool:
    """A graph of one step that differs from the textbook of IEEE 754: nan in, nan out; both kinds of pass alike."""
    row = mutant.mutated
    arity = operand_count(row)
    for xs in islice(product(SHORT, repeat=arity), 200):
        if mutant.row.flat:
            leaves = [Value(x) for x in xs]
            row(*leaves).backward()
            if any(x.grad != 0.0 for x in leaves):
                return True
        elif any(map(isnan, xs)) and isnan(mutant.row.compute(*xs)) and not isnan(row.compute(*xs)):
            return True
        figures = Figures()
        check_graph(Dag(-1, "special", xs, ((row, tuple(range(arity))),), arity, 3.0), figures, random.Random(0))
        if figures.failed:
            return True
    return False


FINDERS: tuple[tuple[str, Callable[[Mutant], bool]], ...] = (
    ("an awkward point", by_point), ("mpmath", by_mpmath), ("a graph", by_graph),
)  # fmt: skip

# (row, piece of the description): why it is the original in other words
EQUIVALENT: dict[tuple[str, str], str] = {
    ("pow 0", "local 1"): "its derivative is 0, whatever the factor",
    ("pow_slope 0,1", "value"): "it is 0, whatever the factor",
    ("pow_slope 0,1", "local 1"): "its derivative is 0, whatever the factor",
    (
        "clamp",
        "value: operands 1 and 2 swapped",
    ): "min(max(x, low), high): the maximum of two does not know their order",
    **{
        (name, "value: operands 1 and 2 swapped"): "it does not know their order"
        for name in ("eq", "ne", "both", "either")
    },
    ("erf_slope", "local: 30.0"): "the slope is 0 from 28 on",
    ("erf_slope", "local: -30.0"): "the slope is 0 below -28",
    ("atan2_slope", "local: 1e+307"): "the same float",
    ("atan2_slope", "local: 1.0  ->  2.0"): "a ratio of numbers scaled by another power of two: the same bits",
    ("atan2_slope", "local: a * s  ->  a"): "where s counts every result is zero or subnormal: another sign of a zero",
    ("atan2_slope", "local: b * s  ->  b"): "where s counts every result is zero or subnormal: another sign of a zero",
    ("prod", "local: strict=True"): "an assertion: both have one item an operand",
}


def found_by(mutant: Mutant) -> str:
    """What finds it; "" if nothing does."""
    for name, finds in FINDERS:
        try:
            if finds(mutant):
                return name
        except Exception:  # a mutant may raise anything, and is found by that
            return "an error"
    return ""


def reason(mutant: Mutant) -> str:
    for (name, piece), why in EQUIVALENT.items():
        if mutant.row.name == name and piece in mutant.what:
            return why
    return ""


# ---- the accumulation ------------------------------------------------------------------------------------------------

ACCUMULATING = (
    (graph, "float_adjoints"), (graph, "graph_adjoints"), (graph, "_propagate_nonfinite"), (graph, "edge_product"),
    (graph, "tangents"), (value, "_store"),
)  # fmt: skip


def accumulation() -> Iterator[tuple[str, bool]]:
    """Each mistake in the functions that add up: what it is, and whether a graph finds it."""
    for module, name in ACCUMULATING:
        original = getattr(module, name)
        users = [user for user in list(sys.modules.values()) if vars(user).get(name) is original]
        for line, what, tree in variants(ast.parse(inspect.getsource(original)), _adds):
            space = dict(vars(module))
            exec(compile(ast.fix_missing_locations(tree), "<mutant>", "exec"), space)  # type: ignore[call-overload]
            try:
                for user in users:
                    setattr(user, name, space[name])
                yield f"{name}, line {line}: {what}", _graphs_find_it()
            finally:
                for user in users:
                    setattr(user, name, original)


def _adds(node: ast.AST) -> bool:
    """Where sums and products are made: `+=`, `x + y`, `x + y if x in adjoint else y`."""
    if isinstance(node, ast.IfExp):
        return _adds(node.body) or _adds(node.orelse)
    return isinstance(node, ast.AugAssign) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult))


# An infinite gradient arrives at the input, and then nothing, from what was not selected.
UNSELECTED = Dag(
    -1, "special", (2.0,), ((table.mul, (0, 3.0)), (primitives.where, (0.0, 0, 5.0)), (table.add, (2, 1))), 3, inf
)


def _graphs_find_it() -> bool:
    figures = Figures()
    try:
        if beside_a_loop() != 24.0:
            return True
        check_graph(UNSELECTED, figures, random.Random(0))
        if figures.failed:
            return True
        for number in range(150):
            g = dag(7, number)
            if g.kind == "wild" and number % 3:
                continue
            check_graph(g, figures, random.Random(number))
            if not figures.failed:
                twice(g, figures)
            for law in LAWS:
                if not figures.failed and law is not scaled_seed:
                    law(g, figures, random.Random(number))
            if figures.failed:
                return True
    except Exception:
        return True
    return False


def beside_a_loop() -> float:
    """The gradient of what an operation of several outputs, here a loop, brings to its operand beside two others."""
    w = Value(3.0)
    carry, _ = scan(lambda state, x: ((state[0] + state[1] * x, state[1]), None), (0.0, w), [5.0, 7.0])
    (w * w + carry[0] + w * w).backward()
    return w.grad  # type: ignore[no-any-return]


def twice(g: Dag, figures: Figures) -> None:
    """A second pass doubles the leaves and nothing else."""
    for create_graph in (False, True):
        nodes = g.nodes(g.leaves())
        root = nodes[g.output]
        root.backward(g.seed, create_graph=create_graph)
        before = [getattr(node.grad, "data", node.grad) for node in nodes]
        root.backward(g.seed, create_graph=create_graph)
        for k, node in enumerate(nodes):
            expected = 2.0 * before[k] if node.is_leaf else before[k]
            after = getattr(node.grad, "data", node.grad)
            figures.expect(equal(after, expected), "a second pass doubles the leaves", f"node {k}", g)


def control(rows: Sequence[Primitive] = ROWS) -> None:
    """Nothing may be found where nothing is planted."""
    for row in rows:
        if finder := found_by(Mutant(row, "nothing", changed(row))):
            raise AssertionError(f"{row.name}: without a mistake, {finder} finds one")
    if _graphs_find_it():
        raise AssertionError("accumulation: without a mistake, a graph finds one")


def main() -> int:
    """Plant every mutant, and print what found how many of them."""
    began = time.perf_counter()
    control()
    counts: dict[str, int] = {}
    kinds: dict[str, list[int]] = {}
    survivors: list[str] = []
    excused: list[str] = []
    for mutant in mutants(True):
        finder = found_by(mutant)
        why = "" if finder else reason(mutant)
        kind = mutant.what.partition(":")[0].rstrip(" 123")
        told = f"{mutant.row.name:14s} {mutant.what}"
        if why:
            excused.append(f"    {told}   [{why}]")
            continue
        tally = kinds.setdefault(f"{kind}, in its text" if "->" in mutant.what else kind, [0, 0])
        tally[1] += 1
        if finder:
            tally[0] += 1
            counts[finder] = counts.get(finder, 0) + 1
        else:
            survivors.append(f"    {told}")
    for what, found in accumulation():
        tally = kinds.setdefault("accumulation", [0, 0])
        tally[1] += 1
        tally[0] += found
        if found:
            counts["random graphs"] = counts.get("random graphs", 0) + 1
        else:
            survivors.append(f"    {what}")
    for kind, (found, total) in kinds.items():
        print(f"{kind:24s} {found:5d} of {total:5d} killed")
    killed, total = (sum(tally[k] for tally in kinds.values()) for k in (0, 1))
    print(f"{'all':24s} {killed:5d} of {total:5d} killed, in {time.perf_counter() - began:.0f} s")
    print("found by " + ", ".join(f"{name}: {n}" for name, n in sorted(counts.items(), key=lambda each: -each[1])))
    print(f"left out as equivalent: {len(excused)}", *excused, sep="\n")
    if survivors:
        print("survivors:", *survivors, sep="\n")
    return 1 if survivors else 0
