"""The public functions: types, errors, sequences, and every awkward point, on floats and on Values alike."""

from __future__ import annotations

import builtins
import inspect
import math
import random
from fractions import Fraction
from math import inf, nan, pi
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalargrad import functions as sg
from scalargrad.engine import primitive
from scalargrad.engine.value import Value
from scalargrad.functions import reductions as sequences

from . import accuracy
from .rows import oracle

OF_A_SEQUENCE = {"sum", "mean", "prod", "logsumexp", "dot"}
numbers = st.floats(-1e6, 1e6)


def same(a: float, b: float) -> bool:
    """Equal, with nan equal to nan and the zeros told apart."""
    return (a == b and math.copysign(1.0, a) == math.copysign(1.0, b)) or (a != a and b != b)


def test_every_name_is_a_row_of_the_table_and_is_documented() -> None:
    for name in sg.__all__:
        f = getattr(sg, name)
        assert name in primitive.TABLE
        assert f.__name__ == name
        assert ">>>" in inspect.getdoc(f), name
    assert set(sequences.__all__) < set(sg.__all__)


# The points where libraries disagree: operands, value, derivatives.
AWKWARD: list[tuple[str, tuple[float, ...], float, tuple[float, ...]]] = [
    ("relu", (0.0,), 0.0, (0.0,)),
    ("relu", (nan,), nan, (nan,)),
    ("abs", (0.0,), 0.0, (0.0,)),
    ("abs", (-inf,), inf, (-1.0,)),
    ("max", (2.0, 2.0), 2.0, (0.5, 0.5)),
    ("max", (2.0, 2.0, 1.0, 2.0), 2.0, (1 / 3, 1 / 3, 0.0, 1 / 3)),
    ("max", (nan, 2.0), nan, (nan, nan)),
    ("max", (2.0, nan), nan, (nan, nan)),
    ("min", (2.0, 2.0), 2.0, (0.5, 0.5)),
    ("min", (2.0, nan), nan, (nan, nan)),
    ("clamp", (1.0, 1.0, 2.0), 1.0, (1.0, 0.0, 0.0)),
    ("clamp", (2.0, 1.0, 2.0), 2.0, (1.0, 0.0, 0.0)),
    ("clamp", (0.0, 1.0, 2.0), 1.0, (0.0, 1.0, 0.0)),
    ("clamp", (3.0, 1.0, 2.0), 2.0, (0.0, 0.0, 1.0)),
    ("clamp", (nan, 1.0, 2.0), nan, (nan, nan, nan)),
    ("sqrt", (0.0,), 0.0, (inf,)),
    ("sqrt", (-0.0,), -0.0, (inf,)),
    ("sqrt", (-1.0,), nan, (nan,)),
    ("cbrt", (0.0,), 0.0, (inf,)),
    ("log", (0.0,), -inf, (inf,)),
    ("log", (-0.0,), -inf, (inf,)),
    ("log", (-1.0,), nan, (nan,)),
    ("log", (inf,), inf, (0.0,)),
    ("log2", (0.0,), -inf, (inf,)),
    ("log2", (-1.0,), nan, (nan,)),
    ("log10", (0.0,), -inf, (inf,)),
    ("log10", (-1.0,), nan, (nan,)),
    ("log1p", (-1.0,), -inf, (inf,)),
    ("log1p", (-2.0,), nan, (nan,)),
    ("pow", (0.0, 0.0), 1.0, (0.0, 0.0)),
    ("pow", (0.0, 2.0), 0.0, (0.0, 0.0)),
    ("pow", (0.0, 1.0), 0.0, (1.0, 0.0)),
    ("pow", (0.0, 0.5), 0.0, (inf, 0.0)),
    ("pow", (0.0, -1.0), inf, (-inf, -inf)),
    ("pow", (-2.0, 3.0), -8.0, (12.0, nan)),
    ("pow", (-2.0, 0.0), 1.0, (0.0, nan)),
    ("pow", (-8.0, 1 / 3), nan, (nan, nan)),
    ("pow", (10.0, 400.0), inf, (inf, inf)),
    ("hypot", (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("hypot", (-0.0, 0.0), 0.0, (0.0, 0.0)),
    ("hypot", (inf, nan), inf, (nan, nan)),
    ("atan2", (0.0, 0.0), 0.0, (nan, nan)),
    ("atan2", (1e-200, 0.0), pi / 2, (0.0, -1e200)),
    ("atan2", (1e200, 0.0), pi / 2, (0.0, -1e-200)),
    ("atan2", (0.0, 1e200), 0.0, (1e-200, 0.0)),
    ("asin", (1.0,), pi / 2, (inf,)),
    ("asin", (2.0,), nan, (nan,)),
    ("acos", (-1.0,), pi, (-inf,)),
    ("acosh", (1.0,), 0.0, (inf,)),
    ("acosh", (0.5,), nan, (nan,)),
    ("atanh", (1.0,), inf, (inf,)),
    ("atanh", (-1.0,), -inf, (inf,)),
    ("atanh", (2.0,), nan, (nan,)),
    ("sin", (inf,), nan, (nan,)),
    ("tan", (-inf,), nan, (nan,)),
    ("exp", (1000.0,), inf, (inf,)),
    ("exp", (-inf,), 0.0, (0.0,)),
    ("expm1", (-40.0,), -1.0, (math.exp(-40.0),)),
    ("sinh", (-1000.0,), -inf, (inf,)),
    ("sigmoid", (-800.0,), 0.0, (0.0,)),
    ("sigmoid", (inf,), 1.0, (0.0,)),
    ("softplus", (1000.0,), 1000.0, (1.0,)),
    ("softplus", (-inf,), 0.0, (0.0,)),
    ("logsumexp", (-inf, -inf), -inf, (0.0, 0.0)),
    ("logsumexp", (inf, 1.0, inf), inf, (0.5, 0.0, 0.5)),
    ("logsumexp", (nan, 1.0), nan, (nan, nan)),
    ("logsumexp", (1000.0, 1000.0), 1000.0 + math.log(2.0), (0.5, 0.5)),
    ("where", (1.0, 2.0, inf), 2.0, (0.0, 1.0, 0.0)),
    ("where", (0.0, nan, 2.0), 2.0, (0.0, 0.0, 1.0)),
    ("where", (nan, 1.0, 2.0), 1.0, (0.0, 1.0, 0.0)),
    ("step", (0.0,), 0.0, (0.0,)),
    ("sign", (0.0,), 0.0, (0.0,)),
    ("sign", (nan,), nan, (0.0,)),
    ("floor", (-0.5,), -1.0, (0.0,)),
    ("floor", (inf,), inf, (0.0,)),
    ("ceil", (-0.5,), -0.0, (0.0,)),
    ("round", (2.5,), 2.0, (0.0,)),
    ("mod", (7.0, -3.0), -2.0, (1.0, 3.0)),
    ("mod", (7.0, 0.0), nan, (1.0, -inf)),
    ("floordiv", (-7.0, 2.0), -4.0, (0.0, 0.0)),
    ("floordiv", (-7.0, 0.0), -inf, (0.0, 0.0)),
    ("prod", (0.0, 3.0, 2.0), 0.0, (6.0, 0.0, 0.0)),
    ("prod", (0.0, 0.0, 2.0), 0.0, (0.0, 0.0, 0.0)),
]


def call(name: str, operands: Any) -> Any:
    if name == "dot":
        half = len(operands) // 2
        return sg.dot(operands[:half], operands[half:])
    return getattr(sg, name)(operands) if name in OF_A_SEQUENCE else getattr(sg, name)(*operands)


def differentiated(name: str, operands: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
    xs = [Value(x) for x in operands]
    y = call(name, xs)
    assert type(y) is Value
    y.backward()
    return y.data, tuple(x.grad for x in xs)


@pytest.mark.parametrize("name", sg.__all__)
def test_value_and_derivative_at_an_ordinary_point(name: str) -> None:
    row, r = primitive.TABLE[name], random.Random(name)
    operands = [accuracy.middle(interval, r) for interval in (row.domain if row.arity else 2 * row.domain[:1])]
    on_floats = call(name, operands)
    assert type(on_floats) is float
    assert on_floats == pytest.approx(float(accuracy.exact_value(oracle(row), operands)), rel=1e-15)
    value, gradient = differentiated(name, operands)
    assert value == on_floats
    slopes = [0.0 if row.flat else float(accuracy.exact_first(oracle(row), operands, k)) for k in range(len(operands))]
    assert gradient == pytest.approx(slopes, rel=1e-14)


@pytest.mark.parametrize(("name", "operands", "expected", "derivatives"), AWKWARD, ids=lambda p: str(p))
def test_awkward_points(name: str, operands: Any, expected: float, derivatives: Any) -> None:
    on_floats = call(name, operands)
    value, gradient = differentiated(name, operands)
    assert same(on_floats, expected)
    assert same(value, expected)
    assert all(map(same, gradient, derivatives)), gradient


def test_nothing_comes_through_the_arm_not_taken() -> None:
    x = Value(0.0)
    sg.where(x > 0.0, sg.log(x), 2.0 * x).backward()
    assert x.grad == 2.0
    x = Value(0.0)
    sg.where(x, sg.sqrt(x) / x, 5.0).backward()
    assert x.grad == 0.0


@pytest.mark.parametrize("number", [2, True, Fraction(1, 2), np.float64(0.5), np.int64(1)])
def test_any_real_number_is_an_operand(number: Any) -> None:
    x = float(number)
    assert sg.exp(number) == math.exp(x)
    assert sg.pow(number, number) == x**x
    assert sg.sum([number, number]) == 2 * x
    assert sg.dot([Value(3.0)], [number]).data == 3 * x
    assert sg.pow(Value(2.0), number).data == 2.0**x


def test_arrays_of_numbers_are_sequences() -> None:
    xs = np.array([1.0, 2.0, 4.0])
    assert (sg.sum(xs), sg.max(xs), sg.prod(xs)) == (7.0, 4.0, 8.0)
    assert sg.dot(xs, [Value(1.0)] * 3).data == 7.0
    with pytest.raises(TypeError, match="sum: expected a real number, got ndarray"):
        sg.sum(np.ones((2, 2)))


def test_a_constant_exponent_is_part_of_the_operation() -> None:
    x, n = Value(2.0), Value(3.0)
    assert sg.pow(x, 3).parents == (x,)
    assert sg.pow(x, n).parents == (x, n)
    assert sg.pow(2.0, n).data == 8.0
    assert type(sg.pow(2, 3)) is float


def test_as_the_builtins() -> None:
    assert sg.max(3, 1, 2) == sg.max([3, 1, 2]) == sg.max(iter((3, 1, 2))) == 3.0
    assert sg.min(3, 1, 2) == sg.min({3, 1, 2}) == 1.0
    assert sg.sum(range(4)) == 6.0
    assert sg.sum([1.0], start=2.5) == sg.sum([1.0], 2.5) == 3.5
    assert sg.sum([1.0], start=Value(2.0)).data == 3.0
    assert sg.round(3.14159, 2) == 3.14
    assert sg.abs(-3) == 3.0
    assert sg.pow(2, 10) == 1024.0


def test_empty_sequences() -> None:
    assert (sg.sum([]), sg.prod([]), sg.dot([], []), sg.logsumexp([])) == (0.0, 1.0, 0.0, -inf)
    for name in ("mean", "max", "min"):
        with pytest.raises(ValueError, match=f"{name}: of no numbers"):
            getattr(sg, name)([])


def test_bad_operands_are_named() -> None:
    with pytest.raises(ValueError, match="dot: lengths differ: 3 and 2"):
        sg.dot([1.0, 2.0, 3.0], [1.0, 2.0])
    for name in ("sum", "mean", "prod", "logsumexp", "max", "min"):
        for x in (3.0, Value(3.0)):
            with pytest.raises(TypeError, match=f"{name}: expected a sequence of numbers, got one {type(x).__name__}"):
                getattr(sg, name)(x)
    with pytest.raises(TypeError, match="dot: expected a sequence"):
        sg.dot([1.0], 2.0)
    with pytest.raises(TypeError, match="max: expected two or more numbers"):
        sg.max()
    with pytest.raises(TypeError, match="sin: expected a real number, got str"):
        sg.sin("1")
    with pytest.raises(TypeError, match="exp: expected a real number, got complex"):
        sg.exp(1j)
    with pytest.raises(TypeError, match="round: a Value rounds to whole numbers"):
        sg.round(Value(2.0), 2)
    with pytest.raises(TypeError, match="round: expected a real number"):
        sg.round("2", 2)


def test_an_error_inside_a_generator_is_not_hidden() -> None:
    def broken() -> Any:
        yield 1.0
        raise TypeError("of its own")

    with pytest.raises(TypeError, match="of its own"):
        sg.sum(broken())


@given(st.lists(numbers, min_size=1, max_size=6))
def test_a_mixture_of_floats_and_values_computes_the_same_bits(xs: list[float]) -> None:
    for name in ("sum", "mean", "prod", "logsumexp", "max", "min"):
        f = getattr(sg, name)
        mixed = f([Value(x) if k % 2 == 0 else x for k, x in enumerate(xs)])
        assert mixed.data == f(xs)
    assert sg.dot([Value(x) for x in xs], xs).data == sg.dot(xs, xs)


@given(st.lists(numbers, min_size=1, max_size=6))
def test_one_call_is_one_node(xs: list[float]) -> None:
    values = [Value(x) for x in xs]
    for name in ("sum", "mean", "prod", "logsumexp", "max", "min"):
        assert getattr(sg, name)(values).parents == tuple(values)


@given(numbers, numbers)
def test_python_arithmetic_agrees(x: float, y: float) -> None:
    if y != 0.0:
        assert sg.mod(x, y) == x % y
        assert sg.floordiv(x, y) == x // y
    assert sg.max(x, y) == builtins.max(x, y)
    assert sg.clamp(x, -1.0, 1.0) == builtins.max(-1.0, builtins.min(x, 1.0))
    assert (sg.floor(x), sg.ceil(x), sg.round(x)) == (math.floor(x), math.ceil(x), builtins.round(x))
