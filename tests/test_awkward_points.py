"""Every point where libraries disagree, and what is decided: value and local gradients, a row each.

A row is checked on floats, through `backward()`, and as a graph (`create_graph=True`), and must give the same thrice.
"""

from __future__ import annotations

import math
from math import inf, nan
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import Value
from scalargrad.activations import log_softmax
from scalargrad.engine import table
from scalargrad.functions import primitives

NONE = None  # an operand whose gradient the row does not state

# operation, operands, value, gradient by each operand
POINTS: list[tuple[Any, tuple[float, ...], float, tuple[float | None, ...]]] = [
    (sg.relu, (0.0,), 0.0, (0.0,)),
    (sg.relu, (-0.0,), 0.0, (0.0,)),
    (sg.relu, (nan,), nan, (nan,)),
    (sg.relu, (inf,), inf, (1.0,)),
    (sg.relu, (-inf,), 0.0, (0.0,)),
    (sg.abs, (0.0,), 0.0, (0.0,)),
    (sg.abs, (-0.0,), 0.0, (0.0,)),
    (sg.abs, (nan,), nan, (nan,)),
    (sg.abs, (-inf,), inf, (-1.0,)),
    (sg.max, (2.0, 2.0), 2.0, (0.5, 0.5)),
    (sg.max, (2.0, 2.0, 2.0, 1.0), 2.0, (1 / 3, 1 / 3, 1 / 3, 0.0)),
    (sg.max, (1.0, nan), nan, (nan, nan)),
    (sg.max, (nan, 1.0), nan, (nan, nan)),
    (sg.max, (inf, 1.0), inf, (1.0, 0.0)),
    (sg.min, (2.0, 2.0), 2.0, (0.5, 0.5)),
    (sg.min, (1.0, nan), nan, (nan, nan)),
    (sg.min, (-inf, -inf), -inf, (0.5, 0.5)),
    (sg.clamp, (1.0, 1.0, 2.0), 1.0, (1.0, 0.0, 0.0)),
    (sg.clamp, (2.0, 1.0, 2.0), 2.0, (1.0, 0.0, 0.0)),
    (sg.clamp, (0.5, 1.0, 2.0), 1.0, (0.0, 1.0, 0.0)),
    (sg.clamp, (2.5, 1.0, 2.0), 2.0, (0.0, 0.0, 1.0)),
    (sg.clamp, (nan, 1.0, 2.0), nan, (nan, NONE, NONE)),
    (sg.sqrt, (0.0,), 0.0, (inf,)),
    (sg.sqrt, (-0.0,), 0.0, (inf,)),
    (sg.sqrt, (-1.0,), nan, (nan,)),
    (sg.sqrt, (inf,), inf, (0.0,)),
    (sg.cbrt, (0.0,), 0.0, (inf,)),
    (sg.cbrt, (inf,), inf, (0.0,)),
    (sg.cbrt, (1.7976931348623157e308,), 5.643803094122362e102, (1.046489893941144e-206,)),
    (sg.log, (0.0,), -inf, (inf,)),
    (sg.log, (-0.0,), -inf, (inf,)),
    (sg.log, (-1.0,), nan, (nan,)),
    (sg.log, (inf,), inf, (0.0,)),
    (sg.log2, (0.0,), -inf, (inf,)),
    (sg.log2, (-1.0,), nan, (nan,)),
    (sg.log10, (0.0,), -inf, (inf,)),
    (sg.log10, (-1.0,), nan, (nan,)),
    (sg.log1p, (-1.0,), -inf, (inf,)),
    (sg.log1p, (-2.0,), nan, (nan,)),
    (sg.exp, (1000.0,), inf, (inf,)),
    (sg.exp, (-1000.0,), 0.0, (0.0,)),
    (sg.exp2, (2000.0,), inf, (inf,)),
    (sg.expm1, (1000.0,), inf, (inf,)),
    (sg.expm1, (-40.0,), -1.0, (4.248354255291589e-18,)),
    (sg.sinh, (1000.0,), inf, (inf,)),
    (sg.sinh, (-1000.0,), -inf, (inf,)),
    (sg.cosh, (-1000.0,), inf, (-inf,)),
    (sg.sin, (inf,), nan, (nan,)),
    (sg.cos, (-inf,), nan, (nan,)),
    (sg.tan, (inf,), nan, (nan,)),
    (sg.asin, (1.0,), math.pi / 2, (inf,)),
    (sg.asin, (2.0,), nan, (nan,)),
    (sg.acos, (-1.0,), math.pi, (-inf,)),
    (sg.acos, (-2.0,), nan, (nan,)),
    (sg.atan, (inf,), math.pi / 2, (0.0,)),
    (sg.acosh, (1.0,), 0.0, (inf,)),
    (sg.acosh, (0.5,), nan, (nan,)),
    (sg.atanh, (1.0,), inf, (inf,)),
    (sg.atanh, (-1.0,), -inf, (inf,)),
    (sg.atanh, (2.0,), nan, (nan,)),
    (sg.sigmoid, (1000.0,), 1.0, (0.0,)),
    (sg.sigmoid, (-1000.0,), 0.0, (0.0,)),
    (sg.sigmoid, (-700.0,), 9.859676543759770e-305, (9.859676543759770e-305,)),
    (sg.sigmoid, (inf,), 1.0, (0.0,)),
    (sg.tanh, (inf,), 1.0, (0.0,)),
    (sg.tanh, (-inf,), -1.0, (0.0,)),
    (sg.softplus, (1000.0,), 1000.0, (1.0,)),
    (sg.softplus, (-inf,), 0.0, (0.0,)),
    (sg.softplus, (inf,), inf, (1.0,)),
    (sg.erf, (inf,), 1.0, (0.0,)),
    (sg.erfc, (inf,), 0.0, (0.0,)),
    (sg.erfc, (-inf,), 2.0, (0.0,)),
    # division
    (table.div, (1.0, 0.0), inf, (inf, -inf)),
    (table.div, (-1.0, 0.0), -inf, (inf, inf)),
    (table.div, (0.0, 0.0), nan, (inf, nan)),
    (table.div, (1.0, -0.0), -inf, (-inf, -inf)),
    (table.div, (1e200, 1e200), 1.0, (1e-200, -1e-200)),
    (table.div, (1e-200, 1e-200), 1.0, (1e200, -1e200)),
    (sg.mod, (7.0, 3.0), 1.0, (1.0, -2.0)),
    (sg.mod, (-7.0, 3.0), 2.0, (1.0, 3.0)),
    (sg.mod, (7.0, -3.0), -2.0, (1.0, 3.0)),
    (sg.mod, (1.0, 0.0), nan, (1.0, NONE)),
    (sg.mod, (inf, 2.0), nan, (NONE, NONE)),
    (sg.floordiv, (7.0, -3.0), -3.0, (0.0, 0.0)),
    (sg.floordiv, (1.0, 0.0), inf, (0.0, 0.0)),
    # powers: of two operands
    (table.pow, (0.0, 0.0), 1.0, (0.0, 0.0)),
    (table.pow, (0.0, 1.0), 0.0, (1.0, 0.0)),
    (table.pow, (0.0, 2.0), 0.0, (0.0, 0.0)),
    (table.pow, (0.0, 0.5), 0.0, (inf, 0.0)),
    (table.pow, (0.0, 0.1), 0.0, (inf, 0.0)),
    (table.pow, (0.0, -1.0), inf, (-inf, -inf)),
    (table.pow, (0.0, -0.5), inf, (-inf, -inf)),
    (table.pow, (-2.0, 3.0), -8.0, (12.0, nan)),
    (table.pow, (-2.0, 0.0), 1.0, (0.0, nan)),
    (table.pow, (-2.0, 0.5), nan, (nan, nan)),
    (table.pow, (-8.0, 1 / 3), nan, (nan, nan)),
    (table.pow, (10.0, 400.0), inf, (inf, inf)),
    (table.pow, (nan, 2.0), nan, (nan, nan)),
    (table.pow, (2.0, nan), nan, (nan, nan)),
    (table.pow, (inf, 2.0), inf, (inf, inf)),
    (table.pow, (3.0, 1e200), inf, (inf, inf)),  # the exponent less 1 is rounded by 1
    (table.pow, (0.5, -1e200), inf, (-inf, -inf)),
    (table.pow, (2.0, inf), inf, (inf, inf)),
    (table.pow, (0.5, -inf), inf, (-inf, -inf)),
    (table.pow, (0.5, inf), 0.0, (0.0, 0.0)),
    (table.pow, (1.0, inf), 1.0, (inf, 0.0)),
    (table.pow, (1e-200, 2.0), 0.0, (2e-200, 0.0)),  # x**2 underflows, its derivative does not
    # powers: with a constant exponent
    (table.power(0.0), (0.0,), 1.0, (0.0,)),
    (table.power(1.0), (0.0,), 0.0, (1.0,)),
    (table.power(2.0), (0.0,), 0.0, (0.0,)),
    (table.power(0.5), (0.0,), 0.0, (inf,)),
    (table.power(-1.0), (0.0,), inf, (-inf,)),
    (table.power(-1.0), (-0.0,), -inf, (-inf,)),
    (table.power(-2.0), (0.0,), inf, (-inf,)),
    (table.power(3.0), (-2.0,), -8.0, (12.0,)),
    (table.power(0.5), (-2.0,), nan, (nan,)),
    (table.power(2.0), (inf,), inf, (inf,)),
    # of two operands
    (sg.hypot, (0.0, 0.0), 0.0, (0.0, 0.0)),
    (sg.hypot, (3e200, 4e200), 5e200, (0.6, 0.8)),
    (sg.hypot, (3e-200, 4e-200), 5e-200, (0.6, 0.8)),
    (sg.hypot, (0.0, -2.0), 2.0, (0.0, -1.0)),
    (sg.atan2, (0.0, 0.0), 0.0, (nan, nan)),
    (sg.atan2, (1e-200, 1e-200), math.pi / 4, (0.5e200, -0.5e200)),
    (sg.atan2, (1e200, 1e200), math.pi / 4, (0.5e-200, -0.5e-200)),
    # n-ary
    (sg.logsumexp, (-inf, -inf), -inf, (0.0, 0.0)),
    (sg.logsumexp, (inf, 1.0, inf), inf, (0.5, 0.0, 0.5)),
    (sg.logsumexp, (-inf, 1.0), 1.0, (0.0, 1.0)),
    (sg.logsumexp, (1000.0, 1000.0), 1000.6931471805599, (0.5, 0.5)),
    (sg.logsumexp, (nan, 1.0), nan, (nan, nan)),
    (sg.prod, (0.0, 2.0, 3.0), 0.0, (6.0, 0.0, 0.0)),
    (sg.prod, (0.0, 0.0, 3.0), 0.0, (0.0, 0.0, 0.0)),
    (sg.mean, (1.0, 2.0, 3.0, 6.0), 3.0, (0.25, 0.25, 0.25, 0.25)),
    (sg.sum, (inf, -inf), nan, (1.0, 1.0)),
    # the branch not taken
    (sg.where, (1.0, 3.0, 5.0), 3.0, (0.0, 1.0, 0.0)),
    (sg.where, (0.0, 3.0, 5.0), 5.0, (0.0, 0.0, 1.0)),
    (sg.where, (0.0, nan, 5.0), 5.0, (0.0, 0.0, 1.0)),
    (sg.where, (nan, 3.0, 5.0), 3.0, (0.0, 1.0, 0.0)),  # nan is true, as bool(nan)
    # flat
    (sg.sign, (0.0,), 0.0, (0.0,)),
    (sg.sign, (-3.0,), -1.0, (0.0,)),
    (sg.sign, (nan,), nan, (0.0,)),
    (sg.step, (0.0,), 0.0, (0.0,)),
    (sg.step, (1e-300,), 1.0, (0.0,)),
    (sg.floor, (-0.5,), -1.0, (0.0,)),
    (sg.floor, (inf,), inf, (0.0,)),
    (sg.ceil, (-0.5,), 0.0, (0.0,)),
    (sg.round, (2.5,), 2.0, (0.0,)),
    (sg.round, (3.5,), 4.0, (0.0,)),
]

SEQUENCES = {sg.logsumexp, sg.prod, sg.mean, sg.sum}


def call(f: Any, operands: Any) -> Any:
    return f(operands) if f in SEQUENCES else f(*operands)


def same(found: float, expected: float | None) -> bool:
    if expected is None:
        return True
    if math.isnan(expected):
        return math.isnan(found)
    return math.isclose(found, expected, rel_tol=4e-16, abs_tol=0.0)


def describe(row: Any) -> str:
    f = row[0]
    return f"{getattr(f, 'name', None) or f.__name__}{row[1]}"


@pytest.mark.parametrize("row", POINTS, ids=describe)
def test_point(row: Any) -> None:
    f, operands, value, gradients = row
    assert same(call(f, operands), value)

    leaves = [Value(x) for x in operands]
    y = call(f, leaves)
    assert same(y.data, value)
    assert type(y.data) is float
    y.backward()
    assert all(same(x.grad, g) for x, g in zip(leaves, gradients, strict=True)), [x.grad for x in leaves]

    leaves = [Value(x) for x in operands]
    call(f, leaves).backward(create_graph=True)
    assert all(same(x.grad.data, g) for x, g in zip(leaves, gradients, strict=True)), [x.grad for x in leaves]


def test_a_branch_not_taken_contributes_nothing() -> None:
    """Even where its derivative is inf or nan, at first and second order."""

    def f(x: Any) -> Any:
        return sg.where(x > 0.0, sg.sqrt(x), 2.0 * x)

    assert sg.grad(f)(0.0) == 2.0
    assert sg.grad(sg.grad(f))(0.0) == 0.0
    assert sg.grad(lambda x: sg.relu(sg.sqrt(x) - 1.0))(0.0) == 0.0
    assert sg.grad(sg.grad(lambda x: sg.relu(sg.sqrt(x) - 1.0)))(0.0) == 0.0

    def mixed(x: Any, c: Any) -> Any:
        return c * sg.relu(sg.sqrt(x) - 1.0)

    assert sg.grad(sg.grad(mixed, 0), 1)(0.0, 3.0) == 0.0
    assert sg.grad(sg.grad(mixed, 1), 0)(0.0, 3.0) == 0.0


def test_an_upstream_gradient_of_zero_keeps_its_own_derivative() -> None:
    """It propagates nothing at first order, but how it varies counts at the second."""
    assert sg.grad(sg.grad(lambda x, y: x**3 * y, 0), 1)(2.0, 0.0) == 12.0
    assert sg.grad(lambda x, y: y * sg.sqrt(x))(0.0, 0.0) == 0.0


def test_elu_like_tails_do_not_cancel() -> None:
    assert sg.grad(sg.expm1)(-40.0) == math.exp(-40.0)
    assert sg.grad(sg.tanh)(100.0) == pytest.approx(4.0 * math.exp(-200.0), rel=1e-15)
    assert sg.grad(sg.tanh)(-100.0) == sg.grad(sg.tanh)(100.0)
    assert sg.grad(sg.sigmoid)(-300.0) == sg.grad(sg.sigmoid)(300.0) > 0.0


def test_second_derivatives_at_the_ends_of_the_range() -> None:
    """Where a radius, or a sum of coordinates, overflows, and where a reciprocal of the radius does."""
    high, tiny = 1e308, 1e-310
    assert sg.jacobian(sg.grad(lambda p: sg.atan2(*p)))([high, -high]) == [[0.0, 0.0], [0.0, 0.0]]
    ((xx, xy), (yx, yy)) = sg.hessian(lambda p: sg.hypot(*p))([5e-324, tiny])
    assert xy == yx == pytest.approx(-5e-324 / tiny / tiny, rel=1e-12)
    assert (xx, yy) == (inf, pytest.approx(0.0, abs=1e290))


def test_derivatives_whose_parts_would_overflow() -> None:
    assert sg.grad(sg.exp2)(1024.25) == pytest.approx(1.4818304672708372e308, rel=1e-15)
    assert sg.grad(sg.grad(sg.exp2))(1024.25) == pytest.approx(1.0271266104566071e308, rel=1e-15)
    assert sg.grad(sg.exp2)(1024.7) == inf
    assert sg.grad(sg.grad(sg.exp2))(1024.7) == pytest.approx(1.4030962986674596e308, rel=1e-15)
    assert sg.grad(sg.exp2)(inf) == inf
    assert sg.grad(sg.exp2)(-511.875) == math.exp2(-511.875) * math.log(2.0)
    for f in (sg.erf, sg.erfc):
        for x in (9e307, 1.7e308, -1e308, inf, -inf):
            d: Any = f
            for _ in range(4):
                d = sg.grad(d)
                assert d(x) == 0.0, (f, x)
    assert sg.grad(sg.atan)(1.6e154) == sg.grad(sg.atan)(-1.6e154) == 3.90625e-309
    assert sg.grad(sg.atan)(1e150) == pytest.approx(1e-300, rel=1e-15)
    assert sg.grad(sg.atan)(1e200) == sg.grad(sg.atan)(-inf) == 0.0


def test_logits_whose_difference_overflows() -> None:
    assert log_softmax([1e308, -1e308]) == [0.0, -inf]
    assert log_softmax([1e308, -1e308, 1e308]) == [-math.log(2.0), -inf, -math.log(2.0)]
    assert sg.losses.cross_entropy([[1e308, -1e308]], [1]) == inf
    assert sg.losses.cross_entropy([[1e308, -1e308]], [0]) == 0.0
    assert sg.grad(lambda z: sg.losses.cross_entropy([z], [1]))([1e308, -1e308]) == [1.0, -1.0]


@pytest.mark.parametrize("before", [lambda: math.exp(-800.0), lambda: math.ldexp(1.0, -2000), lambda: math.erfc(30.0)])
def test_hypot_with_a_nan_does_not_depend_on_what_was_computed_before(before: Any) -> None:
    """CPython's `abs(complex)` reads, for nan, the error number that another function has left behind."""
    for xs in ((1.0, nan), (nan, 1.0), (nan, nan)):
        before()
        assert math.isnan(sg.hypot(*xs))
        before()
        assert all(map(math.isnan, primitives.hypot.local_gradients(nan, xs)))
    before()
    assert (sg.hypot(inf, nan), sg.hypot(1e308, 1.7e308)) == (inf, inf)
