"""`Value`: construction, arithmetic from both sides, comparisons, what it refuses, what a node knows."""

from __future__ import annotations

import builtins
import gc
import inspect
import json
import math
import operator
import pickle
import statistics
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import inf, isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalargrad as sg
from scalargrad import Value
from scalargrad.engine import primitive, table
from scalargrad.functions import primitives

NUMPY_SCALARS = [
    kind(3)
    for kind in (
        np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
        np.float16, np.float32, np.float64, np.longdouble, np.intp, np.longlong, np.ulonglong,
    )
]  # fmt: skip
THREES = [3, 3.0, Fraction(3), Decimal(3), *NUMPY_SCALARS]
name_of_type = lambda x: type(x).__name__  # noqa: E731  # an id for parametrize

# ---- construction ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", THREES, ids=name_of_type)
def test_a_value_is_made_of_any_real_number(number: Any) -> None:
    v = Value(number)
    assert type(v.data) is float
    assert v.data == 3.0


@pytest.mark.parametrize(("number", "data"), [(True, 1.0), (False, 0.0), (np.True_, 1.0), (np.False_, 0.0)])
def test_booleans_count_as_one_and_zero(number: Any, data: float) -> None:
    v = Value(number)
    assert type(v.data) is float
    assert v.data == data


def test_fractions_and_decimals_round_to_the_nearest_float() -> None:
    assert Value(Fraction(1, 3)).data == 1 / 3
    assert Value(Decimal("0.1")).data == 0.1
    assert Value(np.float32(0.1)).data == float(np.float32(0.1))


@pytest.mark.parametrize("kind", [int, np.int64, np.uint64])
def test_an_integer_that_no_float_equals_is_a_value_error(kind: Any) -> None:
    assert Value(kind(2**60)).data == 2.0**60
    assert Value(kind(2**53)).data == 2.0**53
    for integer in (2**53 + 1, 2**60 + 1, 2**62 + 2**9 - 1):
        with pytest.raises(ValueError, match=rf"Value: no float equals the integer {integer}; float\(x\) rounds it"):
            Value(kind(integer))
        with pytest.raises(ValueError, match=f"mul: no float equals the integer {integer}"):
            kind(integer) * Value(1.0)
        with pytest.raises(ValueError, match=f"pow: no float equals the integer {integer}"):
            Value(1.0) ** kind(integer)
        assert Value(1.0) < kind(integer)


def test_nan_infinities_and_signed_zero_are_numbers() -> None:
    assert isnan(Value(nan).data)
    assert Value(-inf).data == -inf
    assert math.copysign(1.0, Value(-0.0).data) == -1.0
    assert Value(Decimal("Infinity")).data == inf
    assert isnan(Value(Decimal("NaN")).data)


class Arraylike:
    def __array__(self, *_: Any) -> Any:
        return np.array([1.0])


WRONG = [
    (1j, "complex", "complex numbers are not supported"),
    (np.complex64(1), "complex64", "complex numbers are not supported"),
    ("1.0", "str", r"convert it with float\(\) first"),
    (np.str_("1.0"), "str_", r"convert it with float\(\) first"),
    (b"1", "bytes", ""),
    (None, "NoneType", ""),
    ([1.0], "list", ""),
    ((1.0,), "tuple", ""),
    ({}, "dict", ""),
    (object(), "object", ""),
    (float, "type", ""),
    (math.sin, "builtin_function_or_method", ""),
    (np.array([1.0, 2.0]), "ndarray", "others take elements"),
    (np.array(1.0), "ndarray", "others take elements"),
    (Arraylike(), "Arraylike", "others take elements"),
    (np.datetime64("2020"), "datetime64", ""),
]


@pytest.mark.parametrize(
    ("wrong", "kind", "hint"), WRONG, ids=lambda x: name_of_type(x) if not isinstance(x, str) else x
)
def test_what_is_not_a_real_number_is_a_type_error_that_names_it(wrong: Any, kind: str, hint: str) -> None:
    with pytest.raises(TypeError, match=rf"^Value: expected a real number, got {kind}\b.*{hint}"):
        Value(wrong)


def test_a_value_of_a_value_is_an_error_that_says_why() -> None:
    with pytest.raises(TypeError, match=r"got Value; it is one already"):
        Value(Value(1.0))


@pytest.mark.parametrize("huge", [10**400, -(10**400), Fraction(10**400), Fraction(10**400, 3)])
def test_an_integer_beyond_the_floats_is_an_overflow_error(huge: Any) -> None:
    with pytest.raises(OverflowError, match=r"Value: .* too large for a float"):
        Value(huge)
    with pytest.raises(OverflowError, match="add"):
        Value(1.0) + huge
    with pytest.raises(OverflowError, match="pow"):
        Value(1.0) ** huge
    with pytest.raises(OverflowError, match="mul"):
        huge * Value(1.0)


def test_labels_are_text() -> None:
    v = Value(1.0, label="x")
    assert v.label == "x"
    v.label = "w"
    assert v.label == "w"
    assert Value(1.0, "y").label == "y"
    assert Value(1.0).label == ""
    for wrong in (1, None, 0, b"x"):
        with pytest.raises(TypeError, match=f"label: expected a str, got {type(wrong).__name__}"):
            Value(1.0, label=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="label"):
        v.label = 3  # type: ignore[assignment]


def test_a_value_takes_no_other_attribute() -> None:
    with pytest.raises(AttributeError):
        Value(1.0).gard = 1.0  # type: ignore[attr-defined]


# ---- arithmetic ------------------------------------------------------------------------------------------------------

OPERATORS: list[tuple[str, Callable[[Any, Any], Any], Callable[[float, float], tuple[float, float]]]] = [
    ("add", operator.add, lambda a, b: (1.0, 1.0)),
    ("sub", operator.sub, lambda a, b: (1.0, -1.0)),
    ("mul", operator.mul, lambda a, b: (b, a)),
    ("div", operator.truediv, lambda a, b: (1 / b, -(a / b) / b)),
    ("pow", operator.pow, lambda a, b: (b * a ** (b - 1), a**b * math.log(a))),
    ("mod", operator.mod, lambda a, b: (1.0, -(a // b))),
    ("floordiv", operator.floordiv, lambda a, b: (0.0, 0.0)),
]


@pytest.mark.parametrize(("name", "f", "partials"), OPERATORS, ids=[row[0] for row in OPERATORS])
@pytest.mark.parametrize("number", THREES, ids=name_of_type)
def test_arithmetic_with_any_real_number_on_either_side(name: str, f: Any, partials: Any, number: Any) -> None:
    for a, b in ((Value(7.0), number), (number, Value(7.0))):
        y = f(a, b)
        numbers = [float(each.data if isinstance(each, Value) else each) for each in (a, b)]
        assert type(y) is Value
        assert y.data == f(*numbers)
        y.backward()
        side = 0 if isinstance(a, Value) else 1
        assert (a, b)[side].grad == pytest.approx(partials(*numbers)[side], rel=1e-15)


@pytest.mark.parametrize(("name", "f", "partials"), OPERATORS, ids=[row[0] for row in OPERATORS])
def test_arithmetic_between_values(name: str, f: Any, partials: Any) -> None:
    a, b = Value(7.0), Value(3.0)
    y = f(a, b)
    assert y.data == f(7.0, 3.0)
    assert y.operation is primitive.TABLE[name]
    assert y.parents == (a, b)
    assert y.local_gradients == pytest.approx(partials(7.0, 3.0), rel=1e-15)
    y.backward()
    assert (a.grad, b.grad) == y.local_gradients


@pytest.mark.parametrize("flag", [True, np.True_], ids=name_of_type)
def test_booleans_in_arithmetic(flag: Any) -> None:
    v = Value(2.5)
    assert ((v + flag).data, (flag + v).data, (v * flag).data, (flag - v).data) == (3.5, 3.5, 2.5, -1.5)


def test_numpy_scalars_give_values_from_either_side() -> None:
    v = Value(4.0)
    for y in (np.float64(2) * v, v * np.float64(2), np.float32(2) * v, np.int64(2) * v):
        assert type(y) is Value
        assert y.data == 8.0
    quotient, remainder = divmod(np.float64(9), v)
    assert (quotient.data, remainder.data) == (2.0, 1.0)
    assert (np.float64(2) ** v).data == 16.0


@pytest.mark.parametrize("array", [np.array([1.0, 2.0]), np.array([[1]]), np.array(1.0), np.array([])])
@pytest.mark.parametrize("f", [row[1] for row in OPERATORS], ids=[row[0] for row in OPERATORS])
def test_an_array_with_a_value_is_an_array_of_values(f: Any, array: Any) -> None:
    v = Value(3.0)
    for found, wanted in ((f(v, array), f(3.0, array)), (f(array, v), f(array, 3.0))):
        assert np.shape(found) == np.shape(wanted)
        assert [x.data for x in np.ravel(found)] == np.ravel(wanted).tolist()


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([None])])
@pytest.mark.parametrize("f", [row[1] for row in OPERATORS], ids=[row[0] for row in OPERATORS])
def test_an_array_of_what_is_no_number_with_a_value_is_a_type_error(f: Any, array: Any) -> None:
    v = Value(3.0)
    with pytest.raises(TypeError):
        f(v, array)
    with pytest.raises(TypeError):
        f(array, v)


@pytest.mark.parametrize("wrong", [row[0] for row in WRONG], ids=name_of_type)
def test_operators_refuse_what_construction_refuses(wrong: Any) -> None:
    v = Value(3.0)
    if isinstance(wrong, np.ndarray):
        return  # an array of Values: tested above
    for f in (operator.add, operator.mul, operator.pow, operator.sub, operator.truediv):
        with pytest.raises(TypeError):
            f(v, wrong)
        if isinstance(wrong, str | bytes | list | tuple) and f is operator.mul:
            continue  # a sequence times what has an __index__ is Python's own business, tested below
        with pytest.raises(TypeError):
            f(wrong, v)


def test_text_and_lists_are_not_repeated_by_a_value() -> None:
    for sequence in ("a", [1], (1,), b"a"):
        with pytest.raises(TypeError):
            sequence * Value(3.0)
        with pytest.raises(TypeError):
            Value(3.0) * sequence


class Foreign:
    """A class that knows how to work with values, and says so as Python's protocol asks."""

    def _answer(self, other: Any) -> str:
        return "foreign"

    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmod__ = __rfloordiv__ = _answer
    __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __mod__ = __floordiv__ = _answer
    __lt__ = __gt__ = __le__ = __ge__ = lambda self, other: True


class Stranger:
    """One that does not."""


@pytest.mark.parametrize("f", [row[1] for row in OPERATORS], ids=[row[0] for row in OPERATORS])
def test_a_foreign_class_may_answer_for_both(f: Any) -> None:
    v = Value(3.0)
    assert f(v, Foreign()) == "foreign"
    assert f(Foreign(), v) == "foreign"
    for a, b in ((v, Stranger()), (Stranger(), v)):
        with pytest.raises(TypeError, match="Stranger"):
            f(a, b)


class Shy:
    """One that takes part in arithmetic, but not with values."""

    def _answer(self, other: Any) -> Any:
        return NotImplemented

    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rpow__ = __rmod__ = __rfloordiv__ = _answer
    __add__ = __sub__ = __mul__ = __truediv__ = __pow__ = __mod__ = __floordiv__ = _answer


@pytest.mark.parametrize("f", [row[1] for row in OPERATORS], ids=[row[0] for row in OPERATORS])
def test_where_neither_knows_an_answer_python_says_so(f: Any) -> None:
    for a, b in ((Value(3.0), Shy()), (Shy(), Value(3.0))):
        with pytest.raises(TypeError, match=r"unsupported operand type.*Shy"):
            f(a, b)


def test_a_row_counts_its_operands() -> None:
    x = Value(1.0)
    for call, told in [
        (lambda: table.exp(x, x), "exp: takes 1 operand.* got 2"),
        (lambda: table.exp(x, 2.0), "exp: takes 1 operand.* got 2"),
        (lambda: table.mul(x), "mul: takes 2 operand.* got 1"),
        (lambda: primitives.where(x, 2.0), "where: takes 3 operand.* got 2"),
    ]:
        with pytest.raises(TypeError, match=told):
            call()
    (y,) = primitives.sum(x).parents
    assert y is x


def test_a_foreign_class_may_answer_comparisons() -> None:
    v = Value(3.0)
    assert (v < Foreign()) is True
    assert (v >= Foreign()) is True
    assert (v == Stranger()) is False
    assert (v != Stranger()) is True
    with pytest.raises(TypeError):
        v < Stranger()  # noqa: B015


def test_unary_operators() -> None:
    x = Value(-2.5)
    assert ((-x).data, abs(x).data) == (2.5, 2.5)
    assert +x is x
    y = -x + abs(x)
    y.backward()
    assert x.grad == -2.0


def test_rounding_functions_of_python_give_values_without_gradient() -> None:
    x = Value(2.5)
    found = [round(x), math.floor(x), math.ceil(x), x // 1]
    assert [type(y) for y in found] == [Value] * 4
    assert [y.data for y in found] == [2.0, 2.0, 3.0, 2.0]
    y = primitives.sum(*found)
    y.backward()
    assert x.grad == 0.0
    with pytest.raises(TypeError, match="whole numbers"):
        round(x, 1)
    with pytest.raises(TypeError, match="whole numbers"):
        round(x, 0)


def test_divmod_from_both_sides() -> None:
    a, b = Value(7.0), Value(3.0)
    for quotient, remainder in (divmod(a, b), divmod(a, 3), divmod(7, b)):
        assert (quotient.data, remainder.data) == (2.0, 1.0)
    assert tuple(y.data for y in divmod(-a, b)) == divmod(-7.0, 3.0)


def test_pow_takes_no_modulus() -> None:
    for arguments in ((Value(2.0), 3, 5), (Value(2.0), Value(3.0), 5)):
        with pytest.raises(TypeError, match="modulus"):
            builtins.pow(*arguments)
    with pytest.raises(TypeError):
        builtins.pow(2, Value(3.0), 5)


def test_constant_exponents_make_one_node_with_one_operand() -> None:
    x = Value(3.0)
    y = x**2
    assert y.parents == (x,)
    assert y.local_gradients == (6.0,)
    z = x ** Value(2.0)
    assert len(z.parents) == 2
    w = 2**x
    assert w.local_gradients[1] == pytest.approx(8 * math.log(2), rel=1e-15)


def test_ieee_arithmetic_does_not_raise() -> None:
    zero, one, big = Value(0.0), Value(1.0), Value(1e308)
    assert (one / zero).data == inf
    assert (one / Value(-0.0)).data == -inf
    assert isnan((zero / zero).data)
    assert isnan((one % zero).data)
    assert (big * 10).data == inf
    assert (big**2).data == inf
    assert isnan((Value(-1.0) ** 0.5).data)
    assert isnan((Value(inf) - inf).data)
    assert zero.__pow__(-1).data == inf


def test_builtin_sum_adds_no_node_for_its_start() -> None:
    v, w = Value(1.0), Value(2.0)
    s = builtins.sum([v, w])
    assert s.data == 3.0
    assert s.parents == (v, w)
    assert builtins.sum([v]) is v
    assert (0.0 + v) is not v  # only the int that sum() starts with
    assert (False + v) is not v
    assert builtins.sum([v, w], 1.0).data == 4.0
    assert builtins.sum([]) == 0


def test_augmented_assignment_rebinds_and_leaves_the_operand_alone() -> None:
    a = Value(2.0)
    b = a
    b += 1
    b *= a
    assert a.data == 2.0
    assert b.data == 6.0
    b.backward()
    assert a.grad == 5.0


def test_builtin_max_min_and_sorted_pick_values_by_their_data() -> None:
    a, b, c = Value(2.0), Value(5.0), Value(-1.0)
    assert builtins.max(a, b, c) is b
    assert builtins.min([a, b, c]) is c
    assert sorted([a, b, c]) == [c, a, b]


# ---- comparisons, hash, truth ----------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False)
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@given(st.floats(), st.floats() | st.integers() | st.fractions() | st.booleans())
def test_values_compare_exactly_as_their_data(a: float, b: Any) -> None:
    for compare in COMPARISONS:
        found = compare(Value(a), b)
        assert type(found) is bool
        assert found is compare(a, b)
        assert compare(b, Value(a)) is compare(b, a)
        if isinstance(b, float):
            assert compare(Value(a), Value(b)) is compare(a, b)


@given(finite, st.decimals(allow_nan=False))
def test_values_compare_with_decimals(a: float, b: Decimal) -> None:
    for compare in COMPARISONS:
        assert compare(Value(a), b) is compare(a, b)
        assert compare(b, Value(a)) is compare(b, a)


def test_integers_that_no_float_holds_compare_exactly() -> None:
    assert Value(2.0**53) < 2**53 + 1
    assert Value(1.0) < 10**400
    assert Value(-inf) < -(10**400)
    assert Value(1.0) < Fraction(10**400)
    assert Value(1.0) != 10**400
    assert Value(0.1) != Fraction(1, 10)


def test_comparisons_with_what_is_no_number() -> None:
    v = Value(1.0)
    for other in ("1", None, [1.0], 1j, 1.0 + 0.0j, (1.0,)):
        assert (v == other) is False
        assert (v != other) is True
        with pytest.raises(TypeError):
            v < other  # noqa: B015


@pytest.mark.parametrize("scalar", NUMPY_SCALARS, ids=name_of_type)
def test_comparisons_with_numpy_scalars_are_booleans_from_both_sides(scalar: Any) -> None:
    v = Value(3.0)
    assert (v == scalar) is True
    assert bool(scalar == v) is True
    assert bool(scalar < Value(4.0)) is True
    assert (v > scalar) is False


def test_nan_compares_as_ieee_says() -> None:
    v = Value(nan)
    assert v != v
    assert not v == v  # noqa: SIM201  # both operators
    assert not v < 1.0
    assert not v >= 1.0


def test_hash_is_by_identity() -> None:
    a, b = Value(1.0), Value(1.0)
    assert a == b
    assert len({a, b}) == 2
    lookup = {a: "a", b: "b"}
    assert (lookup[a], lookup[b]) == ("a", "b")
    before = hash(a)
    a.data = 7.0
    assert hash(a) == before
    assert lookup[a] == "a"


def test_truth_is_that_of_the_data() -> None:
    assert not Value(0.0)
    assert not Value(-0.0)
    assert Value(1e-300)
    assert Value(nan)


def test_truth_is_that_of_the_data_in_every_mode() -> None:
    for mode in (sg.no_grad(), sg.group("g"), sg.detect_anomaly()):
        with mode:
            assert Value(2.0)
            assert not Value(0.0)
    fast = sg.compile(lambda x: x * 3.0 if x else x + 7.0, backend="python")
    assert [fast(x) for x in (2.0, 0.0, 1.0, -0.0, nan)][:4] == [6.0, 7.0, 3.0, 7.0]


def test_only_the_mode_that_looks_for_anomalies_minds_them() -> None:
    with sg.group("g"):
        x = Value(0.0)
        sg.sqrt(x).backward()
    assert x.grad == inf


def test_values_match_in_case_patterns() -> None:
    match Value(2.0):
        case Value(2.0):
            found = True
        case _:
            found = False
    assert found


# ---- losing a gradient is loud ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        float, int, complex, math.sin, math.sqrt, math.trunc, math.isnan, operator.index, range,
        lambda v: [1, 2, 3][v], lambda v: "%f" % v,  # noqa: UP031  # this is what must fail
        lambda v: np.array([v], dtype=float),
        lambda v: math.fsum([v]), lambda v: math.hypot(v, 1.0), lambda v: statistics.fmean([v, v]),
        lambda v: np.float64(v),
    ],
)  # fmt: skip
def test_conversions_that_would_lose_the_gradient_say_what_to_do(convert: Any) -> None:
    with pytest.raises(TypeError, match=r"of a Value.* would lose its gradient: use .*v\.data"):
        convert(Value(0.5))
    with pytest.raises(TypeError, match=r"v\.detach\(\)\.data in a function that is being differentiated"):
        sg.grad(lambda x: x * convert(x))(0.5)


def test_conversions_name_themselves() -> None:
    v = Value(0.5)
    with pytest.raises(TypeError, match=r"^float\(\)"):
        float(v)
    with pytest.raises(TypeError, match=r"^int\(\)"):
        int(v)
    with pytest.raises(TypeError, match=r"^complex\(\)"):
        complex(v)


def test_functions_of_numpy_that_have_no_row_refuse_values() -> None:
    for f in (np.spacing, np.frexp):
        with pytest.raises(TypeError, match="Value"):
            f(Value(0.5))
    with pytest.raises(TypeError, match="nextafter of a Value"):
        np.nextafter(Value(0.5), 1.0)


def test_json_refuses_values() -> None:
    with pytest.raises(TypeError, match="Value"):
        json.dumps({"loss": Value(1.0)})


# ---- what a node knows -----------------------------------------------------------------------------------------------


def test_a_leaf_a_result_and_a_constant() -> None:
    x = Value(3.0)
    y = x * 2
    two = y.parents[1]
    assert (x.is_leaf, x.is_constant, x.parents, x.local_gradients) == (True, False, (), ())
    assert (y.is_leaf, y.is_constant) == (False, False)
    assert (two.is_leaf, two.is_constant, two.data, two.parents) == (False, True, 2.0, ())
    assert y.operation is table.mul
    assert y.operation.name == "mul"


def test_parents_are_in_operand_order_with_repeats() -> None:
    a, b = Value(2.0), Value(3.0)
    assert [p is a for p in (a * a).parents] == [True, True]
    assert (a - b).parents == (a, b)
    y = primitives.sum(b, a, b, a, a)
    assert [p is q for p, q in zip(y.parents, (b, a, b, a, a), strict=True)] == [True] * 5
    assert primitives.sum(a).parents == (a,)
    assert primitives.mean(a, b).parents == (a, b)
    clamped = sg.clamp(a, 0.0, b)
    assert (clamped.parents[0], clamped.parents[2]) == (a, b)
    assert clamped.parents[1].is_constant


def test_local_gradients_follow_the_operands() -> None:
    a, b = Value(2.0), Value(-3.0)
    assert (a * a).local_gradients == (2.0, 2.0)
    assert (a - b).local_gradients == (1.0, -1.0)
    assert sg.dot([a, b], [b, 4.0]).local_gradients == (-3.0, 4.0, 2.0, -3.0)
    assert sg.sign(a).local_gradients == (0.0,)
    assert sg.where(a > 0, a, b).local_gradients == (0.0, 1.0, 0.0)
    assert all(type(d) is float for d in sg.logsumexp([a, b, 1.0]).local_gradients)


def test_a_gradient_not_yet_computed_is_known_from_a_zero() -> None:
    x = Value(3.0)
    y = x * 2
    assert x.grad == 0.0
    assert not x.has_gradient
    assert not y.has_gradient
    assert type(x.grad) is float
    (x * 0.0).backward()
    assert x.grad == 0.0
    assert x.has_gradient
    x.zero_grad()
    assert not x.has_gradient


def test_zero_grad_is_of_one_node() -> None:
    x, w = Value(3.0), Value(4.0)
    y = x * w
    y.backward()
    x.zero_grad()
    assert (x.grad, w.grad, y.grad) == (0.0, 3.0, 1.0)
    y.backward()
    assert (x.grad, w.grad) == (4.0, 6.0)


def test_detach_stops_the_gradient_and_not_the_value() -> None:
    x = Value(3.0, label="x")
    d = x.detach()
    assert d.data == 3.0
    assert d.is_constant
    assert d.parents == ()
    assert d is not x
    y = x * d
    y.backward()
    assert x.grad == 3.0
    assert (x * x).detach().parents == ()


def test_backward_from_a_constant_is_an_error() -> None:
    x = Value(2.0)
    with sg.no_grad():
        y = x * x
    for constant in (y, x.detach(), (x + 1.0).parents[1]):
        with pytest.raises(ValueError, match="constant"):
            constant.backward()


def test_repr_shows_data_gradient_and_label() -> None:
    x = Value(1.5, label="x")
    assert repr(x) == "Value(data=1.5, grad=0.0, label='x')"
    y = x * 2
    y.backward()
    assert repr(x) == "Value(data=1.5, grad=2.0, label='x')"
    assert repr(y) == str(y) == "Value(data=3.0, grad=1.0)"
    (x**2).backward(create_graph=True)
    assert repr(x) == "Value(data=1.5, grad=5.0, label='x')"
    assert repr(Value(nan)) == "Value(data=nan, grad=0.0)"


def test_format_with_a_specification_is_that_of_the_data() -> None:
    x = Value(math.pi)
    assert f"{x:.3f}" == "3.142"
    assert f"{x:>10.2e}|" == "  3.14e+00|"
    assert f"{x}" == repr(x)
    with pytest.raises(ValueError, match="format"):
        f"{x:d}"


def test_methods_are_the_functions_of_the_same_name() -> None:
    for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "relu"):
        x = Value(0.7)
        y = getattr(x, name)()
        assert y.operation is primitive.TABLE[name]
        assert y.data == getattr(sg, name)(0.7)
        assert inspect.getdoc(getattr(Value, name))


def test_operations_read_data_when_they_run() -> None:
    x = Value(2.0)
    y = x * 3
    x.data = 5.0
    assert y.data == 6.0
    assert (x * 3).data == 15.0


def test_a_subclass_takes_part_in_arithmetic() -> None:
    class Parameter(Value):
        pass

    p = Parameter(2.0)
    y = 3.0 * p + p * p - Value(1.0) * p
    y.backward()
    assert y.data == 8.0
    assert p.grad == 6.0


def test_a_node_has_no_dictionary() -> None:
    v = Value(1.0) + 1
    assert not hasattr(v, "__dict__")
    assert len(gc.get_referents(v)) <= 6


# ---- micrograd -------------------------------------------------------------------------------------------------------


def test_the_example_that_users_of_micrograd_know() -> None:
    a = Value(-4.0)
    b = Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    assert f"{g.data:.4f}" == "24.7041"
    g.backward()
    assert f"{a.grad:.4f}" == "138.8338"
    assert f"{b.grad:.4f}" == "645.5773"
    # computed with PyTorch in float64
    assert g.data == pytest.approx(24.70408163265306, rel=1e-15)
    assert a.grad == pytest.approx(138.83381924198252, rel=1e-15)
    assert b.grad == pytest.approx(645.5772594752186, rel=1e-15)


def test_the_sanity_check_of_micrograd() -> None:
    x = Value(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    y = h + q + q * x
    y.backward()
    assert (y.data, x.grad) == (-20.0, 46.0)


@pytest.mark.parametrize(
    ("name", "x", "value", "gradient"),
    [  # computed with PyTorch in float64
        ("tanh", -1.0, -0.7615941559557649, 0.41997434161402614),
        ("tanh", 0.123, 0.12238344189440876, 0.9850222931500778),
        ("tanh", 2.0, 0.9640275800758169, 0.07065082485316443),
        ("exp", -1.0, 0.36787944117144233, 0.36787944117144233),
        ("exp", 0.123, 1.1308844209474893, 1.1308844209474893),
        ("exp", 2.0, 7.38905609893065, 7.38905609893065),
    ],
)
def test_functions_that_users_of_micrograd_know(name: str, x: float, value: float, gradient: float) -> None:
    v = Value(x)
    y = getattr(v, name)()
    y.backward()
    assert y.data == pytest.approx(value, rel=1e-15)
    assert v.grad == pytest.approx(gradient, rel=1e-14)


def descended(weights: list[Value], steps: int, zero: Callable[[Value], None] | None) -> None:
    for _ in range(steps):
        loss: Any = sum((w - 3.0) ** 2 for w in weights)
        loss.backward()
        for w in weights:
            w.data -= 0.01 * w.grad
            if zero is not None:
                zero(w)


def test_a_loop_by_hand_without_zero_grad_is_warned_of() -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        descended([Value(1.0), Value(2.0)], 6, None)
    assert len(found) == 1
    assert "call zero_grad() before each backward()" in str(found[0].message)
    assert found[0].filename == __file__


def test_loops_that_forget_their_gradients_in_time_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for zero in (Value.zero_grad, lambda w: setattr(w, "grad", None), lambda w: setattr(w, "grad", 0.0)):
            descended([Value(1.0), Value(2.0)], 4, zero)
        a, b, x = Value(1.0), Value(2.0), Value(0.0)
        for k in range(4):  # two that play against each other; an input whose data changes, and whose gradient grows
            x.data = float(k)
            for mine, sign in ((a, 1.0), (b, -1.0)):
                mine.zero_grad()
                (sign * a * b * x + a * a).backward()
                (a * x).backward()
                mine.data -= 0.1 * mine.grad
        w = Value(1.0)
        (w * w).backward()
        for y in (2.0, 3.0):  # a search along a line moves before it differentiates again
            w.data = y
        assert type(w.grad) is float
        assert type(pickle.loads(pickle.dumps(w)).grad) is float  # our own
