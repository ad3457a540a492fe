"""`@primitive`: operations that users add, in every form, with errors that say what is wrong."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import scalargrad as sg
from scalargrad import Primitive, Value, detect_anomaly, no_grad, primitive
from scalargrad.engine.primitive import REAL, Interval

from .strategies import exact_adjoints


@primitive(lambda y, a: (y,), name="own exp", notation=("{y}",), domain=[(-5, 5)], symbol="e")
def own_exp(a: float) -> float:
    """The exponential function."""
    return math.exp(a)


@primitive(lambda y, a, b: (2.0 * a * b, a * a))
def square_times(a: float, b: float) -> float:
    return a * a * b


def gradients(f: Callable[..., Any], *at: float) -> tuple[float, ...]:
    xs = [Value(a) for a in at]
    f(*xs).backward()
    return tuple(x.grad for x in xs)


# ---- forms -----------------------------------------------------------------------------------------------------------


def test_on_floats_a_float_and_on_values_a_node() -> None:
    assert square_times(2.0, 3.0) == 12.0
    a, b = Value(2.0), Value(3.0)
    y = square_times(a, b)
    assert type(y) is Value
    assert (y.data, y.parents, y.operation) == (12.0, (a, b), square_times)
    assert y.local_gradients == (12.0, 4.0)
    y.backward()
    assert (a.grad, b.grad) == (12.0, 4.0)


def test_what_the_decorator_makes() -> None:
    assert isinstance(own_exp, Primitive)
    assert (own_exp.name, own_exp.symbol, own_exp.arity, own_exp.flat) == ("own exp", "e", 1, False)
    assert own_exp.domain == (Interval(-5, 5),)
    assert own_exp.__doc__ == "The exponential function."
    assert repr(own_exp) == "<primitive own exp>"
    assert own_exp.local_notation("y", ["x"]) == ("y",)
    assert (square_times.name, square_times.symbol, square_times.arity) == ("square_times", "square_times", 2)
    assert square_times.domain == (REAL, REAL)
    assert len(square_times.local_notation("y", ["p", "q"])) == 2


@pytest.mark.parametrize(
    "number", [2, True, Fraction(1, 2), np.float32(0.5), np.int64(3)], ids=lambda x: type(x).__name__
)
def test_operands_may_be_any_real_numbers(number: Any) -> None:
    found = square_times(number, 3)
    assert type(found) is float
    assert found == 3.0 * float(number) ** 2
    b = Value(3.0)
    y = square_times(number, b)
    y.backward()
    assert b.grad == float(number) ** 2
    assert y.parents[0].is_constant


@pytest.mark.parametrize("wrong", ["2", None, 1j, [1.0]])
def test_operands_that_are_no_numbers_are_named(wrong: Any) -> None:
    for other in (3.0, Value(3.0)):
        with pytest.raises(TypeError, match=rf"square_times: expected a real number, got {type(wrong).__name__}"):
            square_times(other, wrong)


def test_rules_may_return_a_bare_number_a_tuple_or_a_list() -> None:
    def double(a: float) -> float:
        return 2.0 * a

    for local in (
        lambda y, a: 2.0,
        lambda y, a: (2.0,),
        lambda y, a: [2.0],
        lambda y, a: 2,
        (2.0,),
        [2],
        (Fraction(2),),
    ):
        f = primitive(local)(double)
        assert gradients(f, 3.0) == (2.0,)
        assert sg.grad(f)(3.0) == 2.0
        assert sg.grad(sg.grad(lambda x, f=f: x * f(x)))(3.0) == 4.0
    g = primitive(lambda y, a, b: [b, a])(operator.mul)
    assert gradients(g, 2.0, 5.0) == (5.0, 2.0)


def test_local_gradients_are_plain_floats_whatever_real_type_the_rule_gives() -> None:
    for two in (2, np.float64(2.0), np.float32(2.0), Fraction(2), True + 1):
        f = primitive(lambda y, a, two=two: two)(lambda a: 2.0 * a)
        x = Value(1.0)
        y = f(x)
        assert type(y.local_gradients[0]) is float
        y.backward()
        assert type(x.grad) is float
        assert x.grad == 2.0


@pytest.mark.parametrize("wrong", [1j, "2", None, np.array([1.0])], ids=lambda x: type(x).__name__)
def test_local_gradients_that_are_no_real_numbers_are_errors(wrong: Any) -> None:
    f = primitive(lambda y, a: (wrong,), name="wrong")(lambda a: a)
    x = Value(1.0)
    for create_graph in (False, True):
        with pytest.raises(TypeError, match=r"wrong, its local gradient.*expected a real number"):
            f(x).backward(create_graph=create_graph)
    assert x.grad == 0.0


def test_a_rule_that_turns_complex_is_an_error_not_a_complex_gradient() -> None:
    f = primitive(lambda y, a: 0.5 * a**-0.5, name="root")(lambda a: abs(a) ** 0.5)
    with pytest.raises(TypeError, match="complex"):
        f(Value(-1.0)).backward()


def test_a_rule_that_closes_over_a_value_is_an_error() -> None:
    beta = Value(2.0)
    f = primitive(lambda y, a: beta * y, name="scaled")(lambda a: math.exp(2.0 * a))
    with pytest.raises(TypeError, match="Value"):
        f(Value(1.0)).backward()


def test_a_result_that_is_no_real_number_is_an_error() -> None:
    for result in (None, 1j, "1", Value(1.0)):
        f = primitive((1.0,), name="odd")(lambda a, result=result: result)
        for at in (1.0, Value(1.0)):
            with pytest.raises(TypeError, match="odd, its result: expected a real number"):
                f(at)
    f = primitive((1.0,))(lambda a: np.float32(0.5))
    assert type(f(1.0)) is float


def test_several_operands_constants_among_them_and_one_operand_twice() -> None:
    assert gradients(lambda a: square_times(a, a), 3.0) == (27.0,)
    assert gradients(lambda a: square_times(a, 5.0), 3.0) == (30.0,)
    weighted = primitive((0.25, 0.75), name="weighted")(lambda a, b: 0.25 * a + 0.75 * b)
    assert gradients(weighted, 1.0, 2.0) == (0.25, 0.75)


# ---- arity -----------------------------------------------------------------------------------------------------------


def test_arity_is_that_of_the_signature() -> None:
    assert primitive((1.0, 1.0, 1.0))(lambda a, b, c: a + b + c).arity == 3
    assert primitive(lambda y, *xs: xs)(lambda *xs: 0.0).arity is None
    assert primitive(lambda y, a: a)(lambda a, beta=2.0: a * beta).arity == 1

    def named_only(a: float, *, beta: float = 2.0) -> float:
        return a * beta

    f = primitive((2.0,))(named_only)
    assert f.arity == 1
    assert f(3.0) == 6.0
    assert gradients(f, 3.0) == (2.0,)


def test_a_parameter_that_must_be_named_is_refused() -> None:
    def needs(a: float, *, beta: float) -> float:
        return a * beta

    with pytest.raises(TypeError, match="needs"):
        primitive((1.0,))(needs)


@pytest.mark.parametrize("operands", [(), (1.0,), (1.0, 2.0, 3.0)])
def test_a_wrong_number_of_operands_is_an_error(operands: tuple[float, ...]) -> None:
    with pytest.raises(TypeError, match=rf"square_times: takes 2 operand\(s\), got {len(operands)}"):
        square_times(*operands)
    if operands:
        with pytest.raises(TypeError, match=rf"square_times: takes 2 operand\(s\), got {len(operands)}"):
            square_times(*map(Value, operands))


def test_a_wrong_number_of_local_gradients_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"f: 2 local gradient\(s\) for 1 operand"):
        primitive((1.0, 2.0), name="f")(lambda a: a)
    f = primitive(lambda y, a, b: (b,), name="f")(lambda a, b: a * b)
    a, b = Value(2.0), Value(3.0)
    with pytest.raises(ValueError, match=r"f: 1 local gradient\(s\) for 2 operand"):
        f(a, b).backward()
    g = primitive(lambda y, a: (1.0, 2.0), name="g")(lambda a: a)
    with pytest.raises(ValueError, match=r"g: 2 local gradient\(s\) for 1 operand"):
        g(a).backward()
    assert (a.grad, b.grad) == (0.0, 0.0)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_any_number_of_operands(n: int) -> None:
    @primitive(lambda y, *xs: tuple(2.0 * x for x in xs), name="sum of squares")
    def squares(*xs: float) -> float:
        return math.fsum(x * x for x in xs)

    at = [float(k + 1) for k in range(n)]
    assert gradients(squares, *at) == tuple(2.0 * x for x in at)
    assert sg.hessian(lambda xs: squares(*xs))(at) == [[2.0 * (i == j) for j in range(n)] for i in range(n)]
    assert len(squares.local_notation("y", [f"x{k}" for k in range(n)])) == n


def test_any_number_of_operands_with_one_constant_local_gradient() -> None:
    total = primitive((1.0,), name="total")(lambda *xs: math.fsum(xs))
    assert gradients(total, 1.0, 2.0, 3.0) == (1.0, 1.0, 1.0)
    assert gradients(total, 1.0) == (1.0,)
    with pytest.raises(ValueError, match="total"):
        primitive((1.0, 2.0), name="total")(lambda *xs: math.fsum(xs))


def test_functions_without_signature_or_name() -> None:
    half = primitive((0.5,))(functools.partial(operator.mul, 0.5))
    assert half(3.0) == 1.5
    assert gradients(half, 3.0) == (0.5,)
    gamma = primitive(lambda y, a: y, name="gamma")(math.gamma)
    assert gamma(4.0) == 6.0

    class Unsigned:
        __signature__ = "none"

        def __call__(self, *xs: float) -> float:
            return 0.0

    with pytest.raises(TypeError):
        primitive((1.0,))(Unsigned())


def test_misuse_of_the_decorator_is_told() -> None:
    with pytest.raises(TypeError, match="local gradients"):
        primitive(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="local gradients"):
        primitive(2.0)  # type: ignore[arg-type]

    @primitive
    def forgotten(a: float) -> float:  # `@primitive` without its rule
        return a

    with pytest.raises(TypeError, match="primitive: expected a function to decorate, got float"):
        forgotten(1.0)


# ---- closures, higher orders, modes ----------------------------------------------------------------------------------


def leaky(slope: float) -> Primitive:
    @primitive(lambda y, a: sg.where(a > 0, 1.0, slope), name=f"leaky {slope}")
    def f(a: float) -> float:
        return a if a > 0 else slope * a

    return f


def test_parameters_are_closed_over() -> None:
    f, g = leaky(0.1), leaky(0.5)
    x = Value(-2.0)
    y = f(x) + g(x)
    y.backward()
    assert y.data == pytest.approx(-1.2)
    assert x.grad == pytest.approx(0.6)
    assert [p.operation.name for p in y.parents] == ["leaky 0.1", "leaky 0.5"]


@primitive(lambda y, a: (own_cos(a),))
def own_sin(a: float) -> float:
    return math.sin(a)


@primitive(lambda y, a: (-own_sin(a),))
def own_cos(a: float) -> float:
    return math.cos(a)


def test_rules_that_refer_to_each_other_give_every_order() -> None:
    f: Callable[..., Any] = own_sin
    expected = [math.sin, math.cos, lambda x: -math.sin(x), lambda x: -math.cos(x), math.sin]
    for k in range(5):
        assert f(0.5) == expected[k](0.5)
        f = sg.grad(f)


def test_higher_orders_equal_those_of_the_table() -> None:
    def mine(x: Any, w: Any) -> Any:
        return own_exp(square_times(x, w)) * own_sin(w)

    def table(x: Any, w: Any) -> Any:
        return sg.exp(x * x * w) * sg.sin(w)

    at = (0.7, -0.3)
    assert sg.grad(mine, (0, 1))(*at) == pytest.approx(sg.grad(table, (0, 1))(*at), rel=1e-14)
    one = sg.hessian(lambda p: mine(*p))(list(at))
    other = sg.hessian(lambda p: table(*p))(list(at))
    assert [x for row in one for x in row] == pytest.approx([x for row in other for x in row], rel=1e-13)
    assert sg.jvp(mine, at, (1.0, 2.0))[1] == pytest.approx(sg.jvp(table, at, (1.0, 2.0))[1], rel=1e-14)


def test_a_rule_in_math_serves_the_first_order_and_says_so_at_the_second() -> None:
    f = primitive(lambda y, a: math.cos(a), name="f")(math.sin)
    assert gradients(f, 0.5) == (math.cos(0.5),)
    assert sg.grad(f)(0.5) == math.cos(0.5)
    x = Value(0.5)
    y = f(x)
    with pytest.raises(TypeError, match="would lose its gradient"):
        y.backward(create_graph=True)
    assert x.grad == 0.0
    with pytest.raises(TypeError, match="would lose its gradient"):
        sg.grad(sg.grad(f))(0.5)


@pytest.mark.parametrize("local", [(0.0, 1.0), lambda y, a, b: (0.0, 1.0)], ids=["numbers", "rule"])
def test_an_infinite_upstream_gradient_through_a_zero_is_the_same_in_both_kinds_of_pass(local: Any) -> None:
    f = primitive(local)(lambda a, b: b)
    found = []
    for create_graph in (False, True):
        a, b = Value(1.0), Value(0.0)
        sg.sqrt(f(a, b)).backward(create_graph=create_graph)
        found.append([repr(getattr(x.grad, "data", x.grad)) for x in (a, b)])
    assert found[0] == found[1]
    assert found[0][1] == "inf"


def test_errors_of_the_users_own_pass_through() -> None:
    f = primitive((1.0,))(lambda a: 1.0 / a)
    with pytest.raises(ZeroDivisionError):
        f(0.0)
    with pytest.raises(ZeroDivisionError):
        f(Value(0.0))


def test_modes_hold_for_own_operations() -> None:
    with no_grad():
        y = own_exp(Value(1.0))
    assert y.is_constant
    overflowing = primitive((1.0,), name="overflowing")(lambda a: a * 1e308 * 1e308)
    with detect_anomaly(), pytest.raises(sg.AnomalyError, match="overflowing gave inf"):
        overflowing(Value(1.0))


def test_own_operations_take_part_in_graphs_as_all_others() -> None:
    x, w = Value(0.3), Value(-0.8)
    h = square_times(x, w)
    y = own_exp(h) * h + sg.sum([own_sin(h), h, x])
    exact = exact_adjoints(y)
    y.backward()
    for node in (x, w, h):
        assert abs(Fraction(node.grad) - exact[node].value) <= exact[node].bound


# ---- notation --------------------------------------------------------------------------------------------------------


def test_notation_names_output_and_operands() -> None:
    f = primitive(lambda y, a, b, c: (b * c, a * c, a * b), notation=("{b}·{c}", "{a}·{c}", "{a}·{b}"), name="volume")(
        lambda a, b, c: a * b * c
    )
    assert f.local_notation("v", ["l", "w", "h"]) == ("w·h", "l·h", "l·w")
    assert square_times.local_notation("y", ["a", "b"]) == ("square_times′",) * 2
