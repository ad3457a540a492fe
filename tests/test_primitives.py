"""The table: every row measured, and every check shown to find a wrong row."""

from __future__ import annotations

import inspect
import math
import pickle
import random
from decimal import Decimal
from fractions import Fraction
from math import inf, isnan, nan
from typing import Any

import numpy as np
import pytest

from scalargrad import Value, ieee
from scalargrad import primitives as table
from scalargrad.primitives import Primitive

from . import accuracy

ROWS = list(accuracy.rows())
NAMES = [row.name for row, _ in ROWS]
WHOLE_SLOPES = ("max", "min", "clamp", "where", "mod")  # derivatives that test_awkward_points.py states


@pytest.mark.parametrize(("row", "exact"), ROWS, ids=NAMES)
def test_value_and_derivatives_against_mpmath(row: Primitive, exact: Any) -> None:
    for found, bound, what in zip(
        accuracy.measure(row, exact, 15), accuracy.bounds(row), ("value", "first", "second"), strict=True
    ):
        assert found.error <= bound, f"{what} derivative of {row.name}: {found.error} ULP at {found.at}"
    assert accuracy.measure(row, exact, 15)[0].count > 0


def copy_with(row: Primitive, **changes: Any) -> Primitive:
    fields = {
        "name": row.name,
        "arity": row.arity,
        "compute": row.compute,
        "local": row.local or row.constants,
        "domain": row.domain,
    }
    return Primitive(**{**fields, **changes})


SMOOTH = [(row, exact) for row, exact in ROWS if not row.flat and row.name not in WHOLE_SLOPES]


@pytest.mark.parametrize(("row", "exact"), SMOOTH, ids=[row.name for row, _ in SMOOTH])
def test_a_planted_wrong_rule_is_found(row: Primitive, exact: Any) -> None:
    """Wrong in the 45th bit, of the other sign, and zero: each in one operand's place at a time."""
    for wrong in (lambda d: d * (1.0 + 2.0**-45), lambda d: -d, lambda d: 0.0 * d):

        def rule(y: Any, *xs: Any, wrong: Any = wrong) -> tuple[Any, ...]:
            first, *rest = row.local_gradients(y, xs)
            return (wrong(first), *rest)

        found = accuracy.measure(copy_with(row, local=rule), exact, 10)[1]
        assert found.error > accuracy.bounds(row)[1], row.name


@pytest.mark.parametrize(("row", "exact"), ROWS, ids=NAMES)
def test_a_planted_wrong_value_is_found(row: Primitive, exact: Any) -> None:
    wrong = copy_with(row, compute=lambda *xs: row.compute(*xs) * (1.0 + 2.0**-45))
    assert accuracy.measure(wrong, exact, 15)[0].error > accuracy.bounds(row)[0]


@pytest.mark.parametrize("row", [row for row, _ in ROWS], ids=NAMES)
def test_a_row_is_complete(row: Primitive) -> None:
    count = row.arity or 4
    assert len(row.domain) == (row.arity or 1)
    operands = [f"p{k}" for k in range(count)]
    notation = row.local_notation("out", operands)
    assert len(notation) == count
    assert all(notation)
    assert not any("{" in text for text in notation)
    r = random.Random(0)
    xs = accuracy.points(row, r)
    y = row(*xs)
    assert type(y) is float
    gradients = row.local_gradients(y, xs)
    assert len(gradients) == len(xs)
    assert all(type(g) is float for g in gradients)
    assert row.flat == (row.local is None and row.constants is None)


@pytest.mark.parametrize("row", [row for row, _ in ROWS], ids=NAMES)
def test_floats_values_and_other_numbers_give_the_same_bits(row: Primitive) -> None:
    r = random.Random(1)
    for _ in range(20):
        xs = accuracy.points(row, r)
        y = row(*xs)
        leaves = [Value(x) for x in xs]
        node = row(*leaves)
        assert node.data.hex() == y.hex()
        assert node.parents == tuple(leaves)
        assert all(p is x for p, x in zip(node.parents, leaves, strict=True))
        assert node.operation is row
        assert row(*map(np.float64, xs)).hex() == y.hex()
        assert row(*map(Fraction, xs)).hex() == y.hex()
        mixed = row(leaves[0], *xs[1:])
        assert mixed.data.hex() == y.hex()
        assert [p.is_constant for p in mixed.parents] == [False] + [True] * (len(xs) - 1)


@pytest.mark.parametrize("row", [row for row, _ in ROWS], ids=NAMES)
def test_gradients_on_values_have_the_bits_of_gradients_on_floats(row: Primitive) -> None:
    r = random.Random(2)
    for _ in range(20):
        xs = accuracy.points(row, r)
        y = row(*xs)
        leaves = [Value(x) for x in xs]
        for on_floats, on_values in zip(
            row.local_gradients(y, xs), row.local_gradients(row(*leaves), leaves), strict=True
        ):
            data = on_values.data if isinstance(on_values, Value) else on_values
            assert data == on_floats or (math.isnan(data) and math.isnan(on_floats))


@pytest.mark.parametrize("row", [row for row, _ in ROWS], ids=NAMES)
def test_a_row_pickles_by_name(row: Primitive) -> None:
    assert pickle.loads(pickle.dumps(row)) is row


@pytest.mark.parametrize("row", [r for r in table.TABLE.values() if r.arity], ids=lambda r: r.name)
def test_a_wrong_number_of_operands_is_an_error(row: Primitive) -> None:
    with pytest.raises(TypeError, match=row.name):
        row(*[Value(1.0)] * (row.arity + 1))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("1.0", "str; convert it with float"),
        (1j, "complex numbers are not supported"),
        (np.complex64(1), "complex numbers are not supported"),
        (None, "NoneType"),
        ([1.0], "list"),
        (np.zeros(2), "lists of numbers"),
    ],
)
def test_what_is_no_real_number_is_refused(bad: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        table.sin(bad)
    with pytest.raises(TypeError, match=message):
        table.mul(Value(1.0), bad)


@pytest.mark.parametrize(
    "x", [2, True, Fraction(3, 2), Decimal("1.5"), np.float32(1.5), np.int8(3), np.bool_(True), np.float64(1.5)]
)
def test_real_numbers_of_every_kind_convert(x: Any) -> None:
    assert type(table.as_float(x)) is float
    assert table.as_float(x) == x
    assert table.exp(x) == math.exp(float(x))


def test_an_integer_beyond_the_floats_is_an_overflow() -> None:
    with pytest.raises(OverflowError, match="too large for a float"):
        table.exp(10**400)


def test_powers_share_one_row_for_each_exponent() -> None:
    assert table.power(3.0) is table.power(3.0)
    assert table.power(3.0).local_notation("y", ["x"]) == ("3·x^2",)


def test_subnormal_and_overflowing_powers_keep_their_derivatives() -> None:
    """Where the power leaves the range of normal floats and the derivative does not."""
    for n, j, x in ((711e3, 1, 1.001), (-208.545, 1, 30.0), (-1000.0, 0, 2.04), (2.0, 0, 1e-200)):
        xs = [x, n]
        found = table.pow_slope(1 - j, j)(*xs)
        exact = accuracy.exact_first(accuracy.mp.power, xs, j)
        assert accuracy.ulps(found, exact) < 8, (xs, found, exact)
        if j == 0:
            assert accuracy.ulps(table.power(n, 1)(x), exact) < 8


def test_erfc_on_the_whole_line() -> None:
    """Within 2 ULP in every part, not only where the test's points happen to lie, and 1 at 0 and 2 far below."""
    r = random.Random(4)
    worst = accuracy.Worst()
    for low, high in ((-7.0, 0.0), (0.0, 0.4765), (0.4765, 0.6), (0.6, 2.0), (2.0, 8.0), (8.0, 26.5)):
        for _ in range(400):
            x = r.uniform(low, high)
            with accuracy.mp.workprec(150):
                worst.see(accuracy.ulps(table.erfc(x), accuracy.mp.erfc(x)), [x])
    assert worst.error < 1.75, worst
    assert table.erfc(0.0) == table.erfc(-0.0) == table.erfc(5e-324) == table.erfc(-1e-20) == 1.0
    assert table.erfc(-inf) == table.erfc(-6.0) == 2.0
    assert table.erfc(28.0) == table.erfc(1e308) == table.erfc(inf) == 0.0
    assert isnan(table.erfc(nan))


def test_every_public_row_has_a_function() -> None:
    import scalargrad.functions as functions

    helpers = {name for name in table.TABLE if "slope" in name or "tie" in name}
    operators = {"add", "sub", "mul", "div", "neg", "identity", "chain"}
    inner = {"is_zero", "is_nonzero", "less", "within", "softmax_share"}
    assert set(table.TABLE) - helpers - operators - inner == set(functions.__all__)
    for name in functions.__all__:
        assert inspect.getdoc(getattr(functions, name))


def test_hypot_of_nan_does_not_depend_on_what_was_computed_before() -> None:
    for x in (0.0, 1.0, nan):
        assert ieee.exp(710.0) == inf  # leaves ERANGE behind, which abs(complex) of CPython takes for its own
        assert isnan(ieee.hypot(x, nan))
        assert ieee.exp(710.0) == inf
        assert isnan(ieee.hypot(nan, x))
    assert ieee.hypot(nan, -inf) == ieee.hypot(inf, nan) == ieee.hypot(1e308, 1e308 * 1.7) == inf
