"""Derivatives made on the tape, by templates, are those that the chain rule leaves behind on nodes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.compiler.frontend import trace as tracing
from scalargrad.compiler.ir import program
from scalargrad.compiler.ir.program import Guard, Program
from scalargrad.engine import table
from scalargrad.engine.primitive import TABLE
from scalargrad.transforms.trees import flatten


def polynomial_of(x: Any) -> Any:
    y, z = sg.sin(x[0]) * x[1], x[1] / x[0]
    return y * z - y**3 + sg.where(x[0] > x[1], z, y) + sg.max(x[0], y, z) * 2.0 + sg.dot(x, [y, z, 1.0]) + y * y


def descent(x: Any) -> Any:
    for _ in range(2):
        x = [a - 0.1 * g for a, g in zip(x, sg.grad(polynomial_of)(x), strict=True)]
    return polynomial_of(x)


def with_constants(x: Any) -> Any:
    with sg.no_grad():
        slope = sg.grad(polynomial_of)(x)
    return sum((a * b for a, b in zip(x, slope, strict=True)), 0.0) + x[2].detach() * x[1]


def directions(x: Any) -> Any:
    return sg.jvp(polynomial_of, (x,), ([x[1], 1.0, 0.0],))[1] + sg.logsumexp(x) * sg.relu(x[0]) * sg.tanh(x[2])


FUNCTIONS = (polynomial_of, descent, with_constants, directions)
ORDERS: dict[str, Callable[[Any], Any]] = {
    "gradient": sg.grad,
    "value and gradient": sg.value_and_grad,
    "hessian": sg.hessian,
    "wide jacobian": lambda f: sg.jacobian(lambda x: [f(x), f(x[::-1]), x[0], x[1] * f(x), 2.0]),
    "direction of a gradient": lambda f: lambda x: sg.hvp(f, (x,), ([1.0, x[0], 2.0],)),
    "pulled back": lambda f: lambda x: sg.vjp(lambda y: [f(y), y[0]], x)[1]([x[1], 2.0]),
}


def shown(f: Any, x: Any) -> tuple[Any, ...]:
    """The program of a function, with constants in place of their numbers."""
    leaves, structure = flatten(((x,), {}))
    made, _, captured = tracing.trace(f, structure, leaves)
    constants = list(map(repr, made.constants))

    def operand(k: int) -> Any:
        return k if k >= 0 else constants[~k]

    lines = [(row, *map(operand, ks)) for row, ks in zip(made.operations, made.operands, strict=True)]
    guards = [(g.comparison, operand(g.left), operand(g.right), g.outcome) for g in made.guards]
    return lines, list(map(operand, made.outputs)), guards, len(captured)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("f", FUNCTIONS)
def test_templates_make_the_program_that_nodes_make(f: Any, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    derivative, x = ORDERS[order](f), [0.5, 1.5, -0.75]
    by_templates = shown(derivative, x)
    monkeypatch.setattr(tracing, "_template", lambda *_: None)
    assert by_templates == shown(derivative, x)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if not row.flat and not row.own])
def test_the_template_of_every_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = TABLE[name]
    count = 4 if row.arity is None else row.arity

    def f(x: Any) -> Any:
        return row(*x) * x[0]

    derivative, x = sg.grad(lambda x: sg.dot(sg.grad(f)(x), [0.5] * count)), [0.25 + 0.125 * k for k in range(count)]
    by_templates = shown(derivative, x)
    monkeypatch.setattr(tracing, "_template", lambda *_: None)
    assert by_templates == shown(derivative, x)


def test_a_derivative_under_no_grad_is_not_frozen() -> None:
    def f(x: Any) -> Any:
        with sg.no_grad():
            value, slope = sg.value_and_grad(lambda y: y**3)(x)
            column = sg.jacobian(lambda y: [y**2, y])(x)
        return [value * x, slope, *column, sg.jvp(lambda y: y * x, (x,), (1.0,))[1]]

    compiled = sg.compile(f)
    for x in (2.0, 3.0, -1.5):
        assert compiled(x) == f(x)
    assert sg.compile(sg.jacobian(f))(2.0) == sg.jacobian(f)(2.0)


def test_numbers_from_outside_beside_derivatives() -> None:
    weight = sg.Value(2.0)

    def f(x: Any) -> Any:
        slope = sg.grad(lambda y: weight * y**3)(x)
        return slope * weight if slope > weight else slope + weight

    compiled = sg.compile(sg.value_and_grad(f))
    assert compiled(2.0) == sg.value_and_grad(f)(2.0)
    weight.data = 3.0
    assert compiled(2.0) == sg.value_and_grad(f)(2.0)
    assert len(compiled.info.traces[0].guards) == 1


def test_own_operations_among_others() -> None:
    @sg.primitive(lambda y, a: (3.0 * a * a,))
    def cube_of_mine(a: float) -> float:
        return a * a * a

    def f(x: Any) -> Any:
        inner = sg.grad(lambda y: sg.sin(y) * y)(x)  # by templates
        return sg.grad(lambda y: cube_of_mine(y) * inner)(x) * inner

    for g in (f, sg.grad(f), sg.grad(sg.grad(f))):
        assert sg.compile(g)(0.75) == g(0.75)


def test_a_derivative_decides_a_branch() -> None:
    def f(x: Any) -> Any:
        slope = sg.grad(lambda y: sg.sin(y) * y)(x)
        return slope * 2.0 if slope > 0.0 else slope * 3.0

    compiled = sg.compile(sg.grad(f))
    for x in (1.0, 3.0, 5.0):
        assert compiled(x) == sg.grad(f)(x)
    assert len(compiled.info.traces) == 2


def test_a_kept_derivative_is_refused_when_its_tracing_has_ended() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.extend((sg.grad(lambda y: y**3)(x), sg.grad(lambda y: y**4)(x)))
        return kept[-1] * 2.0

    sg.compile(f)(2.0)
    for each in kept:
        with pytest.raises(TypeError, match="kept when its tracing had ended"):
            each + 1.0


def test_a_kept_pull_back_is_refused_when_its_tracing_has_ended() -> None:
    kept: list[Any] = []
    sg.compile(lambda x: kept.append(sg.vjp(sg.sin, x)[1]) or x)(1.0)
    with pytest.raises(TypeError, match="vjp gave in a run of a compiled function was kept"):
        kept[0](1.0)
    pull_back = sg.vjp(sg.sin, 1.0)[1]
    assert sg.compile(lambda c: pull_back(c * c)[0])(1.5) == float(pull_back(2.25)[0])


def test_operands_of_a_derivative_and_names() -> None:
    def f(x: Any) -> Any:
        slope = sg.grad(lambda y: y**3)(x)
        slope.label = "slope"
        assert [p.is_constant for p in slope.parents] == [True, False]  # 0.0 + ...
        return slope * x

    compiled = sg.compile(f, backend="python")
    assert compiled(2.0) == 24.0
    assert "slope" in str(compiled.draw())


def random_rows(r: random.Random) -> Program:
    """A program of the chain rule's products, sums and other rows, whose outputs may begin with `0.0 + `."""
    rows = [table.chain, table.gate, table.add, table.mul, table.sub, table.neg, table.relu, table.exp, table.div]
    rows = [*r.sample(rows, 5), table.chain, table.add]
    made = Program(3, (), [0.0, -0.0, 2.0])
    for _ in range(r.randrange(2, 12)):
        row = r.choice(rows)
        last = made.inputs + len(made)
        made.emit(row, tuple(r.choice((*range(max(0, last - 4), last), -1, -2, -3)) for _ in range(row.arity or 0)))
    last = made.inputs + len(made) - 1
    made.outputs = [made.emit(table.add, (r.choice((-1, -1, -2, 0)), k)) for k in (last, r.randrange(3, last + 1))]
    if r.random() < 0.2:
        made.guards = [Guard("lt", r.randrange(last), -1, True, "")]
    return made.without_dead()


def test_what_is_said_of_products_at_a_glance_holds_instruction_by_instruction() -> None:
    at_a_glance, else_as_well = 0, 0
    for seed in range(3000):
        made = random_rows(random.Random(seed))
        used = set(made.operations)
        if used.isdisjoint(program.PRODUCTS):
            continue
        slowly = program._products_go_unnoticed(made, used)
        quickly = program._products_meet_sums_alone(made)
        assert slowly or not quickly, seed
        at_a_glance, else_as_well = at_a_glance + quickly, else_as_well + (slowly and not quickly)
    assert at_a_glance > 100 < else_as_well
