"""Bodies of rows: a row's own Python, run on symbols, computes what it computes on floats."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf, isnan, nan
from types import FunctionType
from typing import Any

import pytest

from scalargrad.activations import values as activation_kernels
from scalargrad.activations.primitives import log_softmax_share
from scalargrad.compiler.backends.python import value_of
from scalargrad.compiler.ir import elementary, program, symbolic
from scalargrad.compiler.ir.elementary import EVALUATE
from scalargrad.compiler.ir.lowering import body_of
from scalargrad.compiler.ir.program import Program
from scalargrad.compiler.ir.symbolic import body
from scalargrad.engine import ieee, primitive, table
from scalargrad.engine.primitive import Primitive
from scalargrad.functions import primitives, values
from scalargrad.losses.primitives import relative_entropy, soft_cross_entropy, surprise, surprise_of

from .rows import ROWS
from .test_compile import AWKWARD_NUMBERS, bits

SPECIAL = [
    *AWKWARD_NUMBERS, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 0.4765, 26.5, 28.0,
    -0.4, -0.51, -1.1, -39.0, -39.5, -690.0, -800.0, -801.0, 41.0,
]  # fmt: skip
FEW = [0.0, -0.0, 1.0, -2.5, inf, -inf, nan, 5e-324, 1e308, -1e308]
PAIRED = ("dot", "soft_cross_entropy", "relative_entropy")  # take an even number of operands


def counts(row: Primitive) -> list[int]:
    if row.arity is not None:
        return [row.arity]
    return [2, 4, 10, 20] if row.name in PAIRED else [1, 2, 3, 5, 10, 20]


CASES = [(row, n) for row in ROWS for n in counts(row)]


def run(program: Program, xs: Sequence[float]) -> float:
    """The program, one elementary operation after the other, in Python."""
    numbers: list[Any] = list(xs)

    def get(k: int) -> Any:
        return numbers[k] if k >= 0 else program.constants[~k]

    for operation, operands in zip(program.operations, program.operands, strict=True):
        numbers.append(EVALUATE[operation](*map(get, operands)))
    return float(get(program.outputs[0]))


def points(row: Primitive, n: int) -> Iterator[tuple[float, ...]]:
    """All special operands where they are few enough, else some, many of them equal; and random ones."""
    r = random.Random(f"{row.name}{n}")
    if n <= 2:
        yield from itertools.product(SPECIAL, repeat=n)
    elif n == 3:
        yield from itertools.product(FEW, repeat=n)
    for k in range(200):
        some = r.sample(SPECIAL, min(n, 3))
        yield tuple([r.choice(some) if k % 2 else r.choice([r.choice(SPECIAL), r.gauss(0.0, 3.0)]) for _ in range(n)])
        yield tuple([r.gauss(0.0, 3.0) * 10.0 ** r.randint(-2, 2) for _ in range(n)])


@pytest.mark.parametrize(("row", "n"), CASES, ids=[f"{row.name}-{n}" for row, n in CASES])
def test_a_body_computes_what_its_row_computes(row: Primitive, n: int) -> None:
    made = body(row.compute, n)
    assert made is not None
    for xs in points(row, n):
        try:
            expected = row.compute(*xs)
        except ZeroDivisionError:  # of no ties, or of a beta of zero: public functions refuse them
            assert row.name in ("share_of_tie", "psoftplus")
            continue
        assert bits(run(made, xs)) == bits(expected), (xs, run(made, xs), expected)


@pytest.mark.parametrize(
    "row", [surprise_of(2), primitives.share_of_softmax(2), primitives.rest_of_softmax(2)], ids=lambda row: row.name
)
def test_a_row_that_closes_over_another_has_a_body_as_well(row: Primitive) -> None:
    for n in (3, 4, 10):
        made = body(row.compute, n)
        assert made is not None
        for xs in points(row, n):
            assert bits(run(made, xs)) == bits(row.compute(*xs)), xs


def test_only_the_machine_s_operations_and_the_library_s_have_another_meaning_on_symbols() -> None:
    machine = {ieee.div, ieee.sqrt, ieee.floor, ieee.ceil, ieee.round_half_even, ieee.mod, ieee.floordiv}
    machine |= {elementary.scale, elementary.exponent, elementary.mantissa, *elementary.LIBRARY.values()}
    assert {f for f in symbolic._REPLACED if isinstance(f, FunctionType)} <= machine


def test_the_length_of_a_body_grows_with_its_operands_and_not_faster() -> None:
    """Two instructions too many for each operand, or one way more for each, would be seen here."""
    for row, most in (
        (primitives.max, 4), (primitives.count_of_ties, 3), (primitives.logsumexp, 27), (primitives.softmax_share, 25),
        (log_softmax_share, 30), (surprise, 30), (soft_cross_entropy, 21), (relative_entropy, 8),
    ):  # fmt: skip
        short, long = body_of(row, 10, "library"), body_of(row, 20, "library")
        assert short is not None
        assert long is not None
        assert len(long) - len(short) <= 10 * most


def test_a_function_that_both_ways_end_with_is_called_once() -> None:
    for row, calls in (
        (table.sigmoid, 1),
        (primitives.erfc, 3),
        (primitives.erf_slope, 2),
        (primitive.TABLE["gelu"], 3),
    ):
        made = body_of(row, 1, "library")
        assert made is not None
        assert sum(operation in elementary.LIBRARY for operation in made.operations) == calls, row
    made = body_of(table.sigmoid, 1, "library")
    assert made is not None
    assert len(made) == 7


def test_truth_values_count_as_numbers() -> None:
    program = Program(2)
    x, y = symbolic.Symbol(program, 0), symbolic.Symbol(program, 1)
    for f in (
        lambda x, y: 0.5 + (x == y), lambda x, y: (x < y) - 0.5, lambda x, y: (x <= y) * x, lambda x, y: y / (x != y),
        lambda x, y: (x > y) + (x >= y),
    ):  # fmt: skip
        program.outputs = [f(x, y).k]
        for a, b in ((1.0, 2.0), (2.0, 1.0), (3.0, 3.0), (-0.0, 0.0)):
            try:
                expected = f(a, b)
            except ZeroDivisionError:
                continue
            assert bits(run(program, (a, b))) == bits(float(expected))
    with pytest.raises(symbolic.NotSymbolicError):
        bool((x < y) == (x > y))


def test_a_way_that_raises_is_taken_by_no_float() -> None:
    """A row raises on no float, so where a way does, the other one is the answer, without a selection."""
    program = Program(1)
    x = symbolic.Symbol(program, 0)

    def impossible(x: Any) -> Any:
        raise ValueError

    for f in (
        lambda x: x + 1.0 if x < 0.0 else impossible(x),
        lambda x: impossible(x) if x < 0.0 else x + 1.0,
        lambda x: (impossible(x) if x < 1.0 else x + 1.0) if x == x else impossible(x),
    ):
        program.outputs = [symbolic.joined(f, [x]).k]
        for at in (-2.0, 0.5, 3.0):
            assert run(program, [at]) == at + 1.0
    assert "select" not in program.operations


def test_a_body_is_made_of_the_globals_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = body(activation_kernels.hardsigmoid, 1)
    assert before is not None
    assert run(before, [1.0]) == 4.0 / 6.0
    monkeypatch.setattr(values, "clamp", lambda x, low, high: 0.5 * x)
    after = body(activation_kernels.hardsigmoid, 1)
    assert after is not None
    assert run(after, [1.0]) == activation_kernels.hardsigmoid(1.0) == 2.0 / 6.0
    monkeypatch.setattr(activation_kernels, "SQRT_HALF", 1.0)
    changed = body(activation_kernels.gelu, 1)
    assert changed is not None
    assert run(changed, [0.25]) == activation_kernels.gelu(0.25) == 0.125 * (1.0 + math.erf(0.25))


@pytest.mark.parametrize("functions", ["library", "polynomial"])
def test_what_programs_without_selections_take_for_granted_of_rows(functions: Any) -> None:
    """Nan shows unless the row says that it hides it; and the sign of a zero changes no more than is said."""
    numbers = [0.0, -0.0, 1.0, -1.0, inf, -inf, 2.0, 5e-324]
    for row in [row for row in ROWS if not row.own]:
        for n in [row.arity] if row.arity else [2, 4]:
            value = value_of(row, n, functions)
            for slot, others in itertools.product(range(n), itertools.product(numbers, repeat=n - 1)):
                effect = program._effect_of_sign(row, slot)
                with suppress(ZeroDivisionError):
                    of_nan, plus, minus = [value(*others[:slot], x, *others[slot:]) for x in (nan, 0.0, -0.0)]
                    assert row.hides_nan or isnan(of_nan), (row, slot, others)
                    same = bits(plus) == bits(minus) or (isnan(plus) and isnan(minus))
                    allowed = effect == "more" or (effect == "sign" and plus == minus == 0.0)
                    assert same or allowed, (row, slot, others)
