"""A part of `python -m tests.evidence`: 2,000 graphs, special inputs, laws, mutants; and the oracles tested."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from math import isfinite

import pytest

import scalargrad as sg
from scalargrad import Value, losses
from scalargrad.engine import table
from scalargrad.functions import primitives
from scalargrad.transforms import derivatives as calculus

from .evidence import laws, mutation, run
from .evidence.__main__ import main
from .evidence.checks import Figures, check_graph, edges_of, examine
from .evidence.dags import EVERY, Dag, dag, specials
from .evidence.exact import Adjoint, dyadic, fraction, plus, replay, sum_error, times
from .evidence.laws import LAWS, losses_at_ties, parity, permuted, same_bits_in_other_processes, second_order
from .rows import TABLE
from .strategies import exact_adjoints

GRAPHS = 2_000


def told(figures: Figures) -> str:
    return "\n\n".join(figures.failures.values())


# ---- the evidence ----------------------------------------------------------------------------------------------------


def test_graphs_obey_exact_arithmetic_and_every_law() -> None:
    figures = run.run(replace(run.SHORT, graphs=GRAPHS, programs=0, everywhere=0, derived=0), seed=0)
    assert figures.failed == 0, told(figures)
    assert figures.graphs > GRAPHS
    assert sum("law" in name for name in figures.checks) == len(LAWS) + 8
    assert min(figures.checks.values()) > 0
    assert all(0.0 < worst <= 1.0 for worst, _ in figures.worst.values())


def test_every_mutant_of_a_row_is_killed() -> None:
    """A third of them; `python -m tests.evidence --mutation` plants all."""
    r = random.Random(0)
    mutation.control(r.sample(mutation.ROWS, 40))
    killed = 0
    for mutant in mutation.mutants(every=False):
        if r.random() < 2 / 3:
            continue
        assert mutation.found_by(mutant) or mutation.reason(mutant), f"{mutant.row.name}, {mutant.what}: not found"
        killed += 1
    assert killed > 250


def test_every_mutant_of_the_accumulation_is_killed() -> None:
    survivors = [what for what, found in mutation.accumulation() if not found]
    assert survivors == []


def test_mutants_of_the_text_of_rows_are_killed() -> None:
    """A tenth of those in the table; `python -m tests.evidence --mutation` plants all."""
    r = random.Random(0)
    sources = mutation._sources()
    assert set(sources) == set(TABLE)
    for row in [row for row in TABLE.values() if row.remake[1][1] == table.__name__]:
        for mutant in mutation.textual(row, sources):
            if r.random() < 0.1:
                assert mutation.found_by(mutant) or mutation.reason(mutant), f"{row.name}, {mutant.what}: not found"


# ---- what the evidence rests on --------------------------------------------------------------------------------------


def test_graphs_are_known_by_seed_and_number() -> None:
    assert dag(1, 5) == dag(1, 5)
    assert dag(1, 5).source() != dag(1, 6).source()
    assert dag(1, 5).source() != dag(2, 5).source()


def test_graphs_have_what_graphs_have() -> None:
    graphs = [dag(0, k) for k in range(3000)]
    used = {operation for g in graphs for operation, _ in g.steps}
    assert used == set(EVERY)
    operands = [each for g in graphs for _, each in g.steps]
    assert any(each.count(each[0]) > 1 and type(each[0]) is int for each in operands)  # repeated
    assert any(type(k) is float for each in operands for k in each)  # constants
    assert any(len(each) == 40 for each in operands)  # many operands
    assert any(len(g.steps) == 60 for g in graphs)
    assert any(len(g.ancestors()) < len(g.inputs) + len(g.steps) for g in graphs)  # dead nodes
    shared = [k for g in graphs for k in range(len(g.inputs)) if sum(k in each for _, each in g.steps) > 2]
    assert len(shared) > 500
    numbers = {x for g in graphs for x in g.inputs}
    assert {0.0, 5e-324, 1e308} <= numbers
    assert not all(map(isfinite, numbers))
    ties = [
        g for g in graphs for op, each in g.steps if op is primitives.max and len({*g._data(), 0.0}) < len(g._data())
    ]
    assert ties


def test_the_printed_source_is_the_graph() -> None:
    for number in range(200):
        g = dag(3, number)
        nodes = g.nodes(g.leaves())
        nodes[g.output].backward(g.seed)
        space: dict[str, Value] = {}
        exec(g.source(), space)
        for k, node in enumerate(nodes):
            assert (space[f"v{k}"].data.hex(), space[f"v{k}"].grad.hex()) == (node.data.hex(), node.grad.hex())


def test_special_inputs_are_in_full_product() -> None:
    unary = [g.inputs for g in specials(False) if g.steps[0][0] is table.exp]
    binary = [g.inputs for g in specials(False) if g.steps[0][0] is table.pow]
    assert len({repr(xs) for xs in unary}) == 29
    assert len({repr(xs) for xs in binary}) == 29 * 29 + 29
    assert {g.steps[0][0] for g in specials(False)} == set(EVERY)


def test_dyadic_numbers_are_fractions() -> None:
    r = random.Random(0)
    for _ in range(500):
        x, y = (r.choice((1.0, -1.0)) * r.random() * 2.0 ** r.randint(-1074, 1023) for _ in range(2))
        assert fraction(dyadic(x)) == Fraction(x)
        assert fraction(plus(dyadic(x), dyadic(y))) == Fraction(x) + Fraction(y)
        assert fraction(times(dyadic(x), dyadic(y))) == Fraction(x) * Fraction(y)


def test_the_replay_is_the_chain_rule_in_fractions() -> None:
    """As `exact_adjoints`, which is written for itself, finds it: values, sums over paths, and number of roundings."""
    compared = 0
    for number in range(400):
        g = dag(5, number)
        nodes, chosen = g.nodes(g.leaves()), g.ancestors()
        edges = edges_of(g, nodes, chosen)
        if edges is None:
            continue
        expected = exact_adjoints(nodes[g.output], g.seed)
        found = replay(edges, {g.output: g.seed})
        for k in chosen:
            one, other = found[k], expected[nodes[k]]
            assert fraction(one.value) == other.value
            assert fraction(one.paths) == other.paths
            assert one.roundings <= other.roundings
            if abs(other.value) < 1e300:
                assert one.error(float(other.value)) <= 1.0
            compared += 1
    assert compared > 1000


def test_an_error_is_told_in_units_of_its_bound() -> None:
    one, unit = dyadic(1.0), 2.0**-53
    known = Adjoint(one, one, (0, 0), 4)
    assert known.error(1.0) == 0.0
    assert known.error(1.0 + 4 * unit) == pytest.approx(1.0, rel=1e-12)
    assert known.error(1.0 - unit) == pytest.approx(0.25, rel=1e-12)
    assert known.error(1.0 + 4 * unit, extra=4) == pytest.approx(0.5, rel=1e-12)
    assert Adjoint((0, 0), (0, 0), (0, 0), 1).error(1e-300) == float("inf")
    assert sum_error([1.0, 2.0**-53, 2.0**-53], 1.0) == pytest.approx(1.0, rel=1e-12)
    assert sum_error([1.0, 1.0, 1.0], 2.0) > 1.0


def test_a_failure_is_told_by_the_smallest_graph_that_fails() -> None:
    wrong = mutation.changed(table.tanh, local=lambda y, a: (2.0 * y,))
    found = 0
    for number in range(300):
        g = dag(0, number)
        steps = tuple((wrong if operation is table.tanh else operation, each) for operation, each in g.steps)
        if steps == g.steps:
            continue
        figures = Figures()
        examine(g._replace(steps=steps), figures, 1.0)
        if figures.failed:
            found += 1
            (text,) = figures.failures.values()
            assert text.count("named(") <= 2, text
    assert found > 20


def test_each_check_finds_what_it_is_for() -> None:
    g = Dag(0, "tame", (2.0, 3.0), ((table.mul, (0, 1)), (table.add, (2, 0))), 3, 1.0)

    def failures(spoil: str) -> set[str]:
        figures, nodes = Figures(), g.nodes(g.leaves())
        nodes[3].backward()
        from .evidence import checks

        if spoil == "data":
            nodes[2].data = 6.5
        elif spoil == "parents":
            nodes[3]._a, nodes[3]._b = nodes[0], nodes[2]
        elif spoil == "grad":
            nodes[0].grad = 4.0 + 2.0**-48
        checks.check_recording(g, nodes, figures)
        checks.check_sums(g, nodes, g.ancestors(), figures)
        checks.check_paths(g, nodes, g.ancestors(), figures)
        checks.check_graph_pass(g, nodes, g.ancestors(), figures)
        return {kind.partition(":")[0] for kind in figures.failures}

    assert failures("nothing") == set()
    assert "floats and Values" in failures("data")
    assert "parents are the operandsadd, mul" in failures("parents")
    assert failures("grad") == {"sums of up to two terms", "chain rule over all paths", "float and graph pass"}


def test_laws_find_broken_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A derivative that does not keep to the rules, however it is wrong, breaks each law somewhere."""
    from scalargrad.engine import chain_rule as graph
    from scalargrad.engine import value
    from scalargrad.transforms import derivatives as calculus

    original = graph.float_adjoints

    def wrong(order, seeds, stop=(), check=None):  # type: ignore[no-untyped-def]
        found = original(order, seeds, stop, check)
        last = [node for node in found if node.is_leaf][-1:]
        return {node: g + 1e-3 * (node in last) for node, g in found.items()}

    monkeypatch.setattr(value, "float_adjoints", wrong)
    monkeypatch.setattr(calculus, "float_adjoints", wrong)
    for law in LAWS:
        if law.__name__ in ("permuted", "second_order"):
            continue  # which this mistake keeps to, and which goes another way
        figures = Figures()
        for number in range(60):
            law(dag(0, number), figures, random.Random(number))
        assert figures.failed, law.__name__


def test_the_law_of_permuted_statements_finds_what_depends_on_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a sum over a set would: the terms come in an order that is chance."""
    from scalargrad.engine import chain_rule as graph
    from scalargrad.engine import value

    original = graph.float_adjoints

    def wrong(order, seeds, stop=(), check=None):  # type: ignore[no-untyped-def]
        found = original(order, seeds, stop, check)
        return {node: g * (1.0 + 2.0**-52 * (hash((id(node),)) % 2)) for node, g in found.items()}

    monkeypatch.setattr(value, "float_adjoints", wrong)
    figures = Figures()
    for number in range(100):
        permuted(dag(0, number), figures, random.Random(number))
    assert figures.failed


@pytest.mark.parametrize(
    ("name", "law"), [("tangents", "forward over reverse"), ("float_adjoints", "reverse over reverse")]
)
def test_the_law_of_second_derivatives_finds_a_pass_that_is_off(
    name: str, law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a part in 10**11, in one of the two ways."""
    original = getattr(calculus, name)

    def wrong(*arguments):  # type: ignore[no-untyped-def]
        return {node: g * (1.0 + 1e-11) for node, g in original(*arguments).items()}

    monkeypatch.setattr(calculus, name, wrong)
    figures = Figures()
    for number in range(100):
        second_order(dag(0, number), figures, random.Random(number))
    assert any(law in kind for kind in figures.failures), figures.failures.keys()


def test_the_law_of_symmetric_hessians_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    original = sg.hessian

    def wrong(f):  # type: ignore[no-untyped-def]
        def lopsided(xs):  # type: ignore[no-untyped-def]
            found = original(f)(xs)
            found[-1][0] *= 1.0 + 1e-11
            return found

        return lopsided

    monkeypatch.setattr(sg, "hessian", wrong)
    figures = Figures()
    for number in range(100):
        second_order(dag(0, number), figures, random.Random(number))
    assert any("symmetric Hessian" in kind for kind in figures.failures)


def test_the_laws_of_parity_find_a_derivative_that_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sg, "sigmoid", lambda x: 1.0 / (1.0 + sg.exp(-x)))
    figures = Figures()
    parity(200, figures, random.Random(0))
    assert {kind.partition(" at ")[0] for kind in figures.failures} == {"law: sigmoid' and tanh' even"}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (
            "binary_cross_entropy_with_logits",
            lambda zs, ts: sum(sg.relu(z) - z * t + sg.log1p(sg.exp(-sg.abs(z))) for z, t in zip(zs, ts, strict=True)),
        ),
        ("hinge", lambda ps, ts: sg.max(0.0, 1.0 - ts[0] * ps[0])),
        ("mean_absolute_error", lambda ps, ts: sg.sqrt((ps[0] - ts[0]) ** 2)),
    ],
)
def test_the_law_of_losses_at_ties_finds_other_definitions(
    name: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, name, wrong)
    figures = Figures()
    losses_at_ties(20, figures, random.Random(0))
    assert figures.failed


def test_the_law_of_equal_runs_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Figures()
    same_bits_in_other_processes(0, 20, figures)
    assert figures.failed == 0
    monkeypatch.setattr(laws, "digest", lambda seed, count: "another")
    same_bits_in_other_processes(0, 20, figures)
    assert figures.failed == 3


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--graph", "3", "--seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert "backward(" in shown
    assert "0 failures" in shown
    assert main(["--digest", "--dags", "5"]) == 0
    assert len(capsys.readouterr().out.strip()) == 64


def test_checks_of_a_graph_are_the_same_each_time() -> None:
    figures = [Figures(), Figures()]
    for each in figures:
        for g in islice((dag(0, k) for k in range(1000)), 50):
            check_graph(g, each, random.Random(0), 0.1)
    assert figures[0] == figures[1]
