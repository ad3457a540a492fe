"""`grad` and its kin: trees, argument numbers, nesting without confusion, closures, threads and tasks, errors."""

from __future__ import annotations

import asyncio
import copy
import gc
import math
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalargrad as sg
from scalargrad import Value, grad, hessian, hvp, jacobian, jvp, no_grad, value_and_grad, vjp
from scalargrad.transforms.trees import flatten, leaves_like, paths, unflatten


class Point(NamedTuple):
    x: Any
    y: Any


Pair = namedtuple("Pair", "a b")  # the other way to make one

# ---- ordinary derivatives --------------------------------------------------------------------------------------------


def test_results_are_floats_of_the_right_size() -> None:
    found = grad(lambda x, y: x * x * y)(3, 2)
    assert type(found) is float
    assert found == 12.0
    value, slope = value_and_grad(lambda x: x**3)(2.0)
    assert (type(value), value, slope) == (float, 8.0, 12.0)
    y, dy = jvp(lambda a, b: a * b, (2.0, 3.0), (1.0, 10.0))
    assert (type(y), y, dy) == (float, 6.0, 23.0)
    y, pull_back = vjp(lambda a, b: a * b, 2.0, 3.0)
    assert (type(y), y, pull_back(1.0), pull_back(2.0)) == (float, 6.0, (3.0, 2.0), (6.0, 4.0))
    assert jacobian(lambda x: x * x)(3.0) == 6.0
    assert hessian(lambda x: x**3)(2.0) == 12.0
    assert hvp(lambda x: x**3, (2.0,), (0.5,)) == 6.0


@pytest.mark.parametrize("number", [2, 2.0, True + 1, Fraction(2), np.float32(2), np.int64(2), np.float64(2)])
def test_arguments_may_be_any_real_numbers(number: Any) -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append(type(x))
        return x * x * x

    assert grad(f)(number) == 12.0
    assert type(grad(f)(number)) is float
    assert set(seen) == {Value}


def test_the_other_arguments_and_keywords_are_handed_on_as_they_are() -> None:
    def f(x: Any, options: Any, names: Any, *, scale: Any = 1.0, mode: str = "plain") -> Any:
        assert options == {"deep": [1, None]}
        assert names is words
        assert type(scale) is int
        assert mode == "twice"
        return 2.0 * scale * x

    words = ("a", object())
    assert grad(f)(3.0, {"deep": [1, None]}, words, scale=5, mode="twice") == 10.0
    assert value_and_grad(f)(3.0, {"deep": [1, None]}, words, scale=5, mode="twice") == (30.0, 10.0)
    assert jacobian(f)(3.0, {"deep": [1, None]}, words, scale=5, mode="twice") == 10.0
    assert hessian(f)(3.0, {"deep": [1, None]}, words, scale=5, mode="twice") == 0.0


def test_functions_that_do_not_depend_on_their_argument() -> None:
    assert grad(lambda x: 3.0)(1.0) == 0.0
    assert grad(lambda x: 3)(1.0) == 0.0
    assert value_and_grad(lambda x: 3)(1.0) == (3.0, 0.0)
    assert type(value_and_grad(lambda x: 3)(1.0)[0]) is float
    assert grad(lambda x: Value(2.0) * 3)(1.0) == 0.0
    assert grad(lambda x, y: y, 0)(1.0, 2.0) == 0.0
    assert grad(lambda x, y: y, (0, 1))(1.0, 2.0) == (0.0, 1.0)
    assert grad(grad(lambda x: 3.0))(1.0) == 0.0
    assert hessian(lambda x: 3.0)([1.0, 2.0]) == [[0.0, 0.0], [0.0, 0.0]]
    assert jacobian(lambda x: [3.0, x[0], 1])([1.0]) == [[0.0], [1.0], [0.0]]
    assert jvp(lambda x: 3.0, (1.0,), (1.0,)) == (3.0, 0.0)
    assert vjp(lambda x: [3.0, x], 1.0)[1]([5.0, 2.0]) == (2.0,)
    assert hvp(lambda x: 3.0, (1.0,), (1.0,)) == 0.0


def test_the_identity() -> None:
    assert grad(lambda x: x)(3.0) == 1.0
    assert grad(grad(lambda x: x))(3.0) == 0.0
    assert jacobian(lambda x: x)([1.0, 2.0]) == [[1.0, 0.0], [0.0, 1.0]]
    assert jacobian(lambda x: [x, x, x])(1.0) == [1.0, 1.0, 1.0]
    assert vjp(lambda x: [x, x], 1.0)[1]([1.0, 2.0]) == (3.0,)


def test_derivatives_have_names_and_documentation() -> None:
    def loss(x: Any) -> Any:
        return x

    for of, made in (("grad", grad), ("value_and_grad", value_and_grad), ("jacobian", jacobian), ("hessian", hessian)):
        derivative = made(loss)
        assert derivative.__name__ == f"{of}(loss)"
        assert "loss" in (derivative.__doc__ or "")


# ---- trees -----------------------------------------------------------------------------------------------------------


def test_gradients_have_the_structure_of_the_arguments() -> None:
    def f(p: Any) -> Any:
        return p["w"][0] * p["w"][1][0] + p["b"] * p["point"].y + 0 * p["pair"].a

    at = {"w": [2.0, (3.0, 4)], "b": 5, "point": Point(1.0, 7.0), "pair": Pair([1.0], ()), "none": [], "no": {}}
    found = grad(lambda p: f({**p, "pair": Pair(p["pair"].a[0], ())}))(at)
    assert found == {
        "w": [3.0, (2.0, 0.0)],
        "b": 7.0,
        "point": Point(0.0, 5.0),
        "pair": Pair([0.0], ()),
        "none": [],
        "no": {},
    }
    assert type(found["point"]) is Point
    assert type(found["pair"]) is Pair
    assert list(found) == list(at)


def test_the_function_sees_the_structure_that_was_given() -> None:
    def f(p: Any, q: Any) -> Any:
        assert type(p) is Point
        assert type(q) is list
        assert type(q[0]) is tuple
        return p.x * q[0][0]

    assert grad(f, (0, 1))(Point(2.0, 0.0), [(3.0,)]) == (Point(3.0, 0.0), [(2.0,)])


def test_empty_trees() -> None:
    for empty in ([], (), {}, [[], ()], {"a": []}):
        assert grad(lambda p: 3.0)(empty) == empty
        assert jacobian(lambda p: [1.0, 2.0])(empty) == [empty, empty]
    assert jacobian(lambda x: [])(1.0) == []
    assert jacobian(lambda x: {"a": ()})([1.0]) == {"a": ()}
    assert jvp(lambda x: [], (1.0,), (1.0,)) == ([], [])
    assert vjp(lambda x: (), 1.0)[1](()) == (0.0,)
    assert vjp(lambda: 3.0)[1](1.0) == ()


def test_the_arguments_are_left_as_they_were() -> None:
    p = {"w": [1.0, 2.0]}
    w = p["w"]

    def f(q: Any) -> Any:
        y = q["w"][0] * q["w"][1]
        q["w"].append(9.0)
        q["new"] = 1.0
        return y

    assert grad(f)(p) == {"w": [2.0, 1.0]}
    assert p == {"w": [1.0, 2.0]}
    assert p["w"] is w


@pytest.mark.parametrize(
    ("argument", "place", "kind"),
    [
        ([1.0, {2.0}], r"^p\[1\]", "set"),
        ({"w": [1.0, b"two"]}, r"^p\['w'\]\[1\]", "bytes"),
        (Point(1.0, 2j), r"^p\[1\]", "complex"),
        ([[1.0], [np.array([1.0j])]], r"^p\[1\]\[0\]", "ndarray of dtype complex128 and shape \\(1,\\)"),
        ("text", r"^p:", "str"),
        ({1.0}, r"^p:", "set"),
        (None, r"^p:", "NoneType"),
    ],
)
def test_what_is_no_number_is_named_by_its_place(argument: Any, place: str, kind: str) -> None:
    for derivative in (grad, value_and_grad, jacobian, hessian):
        with pytest.raises(TypeError, match=rf"{place}.*expected a real number, got {kind}"):
            derivative(lambda p: 1.0)(argument)
    with pytest.raises(TypeError, match=rf"{place}.*expected a real number, got {kind}"):
        vjp(lambda p: 1.0, argument)


def test_a_number_too_large_is_named_by_its_place() -> None:
    with pytest.raises(OverflowError, match=r"q\['b'\]"):
        grad(lambda p, q: 1.0, 1)(0.0, {"b": 10**400})


@pytest.mark.parametrize("result", ["text", None, 1j, np.array(1.0j), {1.0}, object()])
def test_a_result_that_is_no_number_is_an_error(result: Any) -> None:
    for run in (grad(lambda x: result), jacobian(lambda x: result), lambda x: vjp(lambda y: result, x)):
        with pytest.raises(TypeError, match=r"the function's result: expected a real number"):
            run(1.0)
    if result is not None and result != "text":  # which are carried along beside numbers
        with pytest.raises(TypeError, match=r"the function's result\['a'\]\[1\]: expected a real number"):
            jacobian(lambda x: {"a": [x, result]})(1.0)


@pytest.mark.parametrize("result", [[1.0], (1.0, 2.0), {"a": 1.0}, []])
def test_grad_of_several_results_points_to_jacobian(result: Any) -> None:
    with pytest.raises(TypeError, match=rf"one number, not a {type(result).__name__} of {len(result)}; use jacobian"):
        grad(lambda x: result)(1.0)
    with pytest.raises(TypeError, match="one number"):
        hessian(lambda x: result)(1.0)


def test_a_tree_that_contains_itself_is_an_error() -> None:
    loop: list[Any] = [1.0]
    loop.append(loop)
    with pytest.raises(ValueError, match="p: a list that contains itself"):
        grad(lambda p: 1.0)(loop)
    shared = [2.0]
    assert grad(lambda p: p[0][0] * p[1][0])([shared, shared]) == [[2.0], [2.0]]


def test_what_is_not_a_function_is_an_error() -> None:
    for wrong in (3.0, None, "f", Value(1.0)):
        with pytest.raises(TypeError, match="expected a function"):
            grad(wrong)(1.0)  # type: ignore[arg-type]


def test_dictionaries_of_other_kinds_are_taken_as_dictionaries() -> None:
    for at in (OrderedDict(a=2.0, b=3.0), defaultdict(float, a=2.0, b=3.0)):
        assert grad(lambda p: p["a"] * p["b"])(at) == {"a": 3.0, "b": 2.0}


trees = st.recursive(
    st.floats(-10, 10) | st.integers(-10, 10),
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2) | st.integers(), children, max_size=3)
        | st.builds(Point, children, children)
    ),
    max_leaves=8,
)


@given(trees)
def test_trees_are_taken_apart_and_put_together(tree: Any) -> None:
    leaves, structure = flatten(tree)
    assert unflatten(structure, leaves) == tree
    assert hash(structure) == hash(flatten(unflatten(structure, leaves))[1])
    assert len(list(paths(structure))) == len(leaves)
    assert leaves_like(tree, structure, "tree") == leaves
    for place, leaf in zip(paths(structure, "tree"), leaves, strict=True):
        found = eval(place, {"tree": tree})  # a path is what Python would write
        assert found == leaf


@given(trees)
def test_the_gradient_of_the_sum_of_a_tree_is_a_tree_of_ones(tree: Any) -> None:
    ones = grad(lambda p: sg.sum(flatten(p)[0]))(tree)
    _, structure = flatten(tree)
    assert flatten(ones)[1] == structure
    assert set(flatten(ones)[0]) <= {1.0}


# ---- argument numbers, auxiliary data --------------------------------------------------------------------------------


def product(a: Any, b: Any, c: Any) -> Any:
    return a * b * b * c * c * c


def test_argument_numbers() -> None:
    at = (2.0, 3.0, 5.0)
    da, db, dc = 9.0 * 125, 2 * 6 * 125.0, 2 * 9 * 75.0
    assert grad(product)(*at) == da
    assert grad(product, 1)(*at) == db
    assert grad(product, argnums=-1)(*at) == dc
    assert grad(product, (2, 0))(*at) == (dc, da)
    assert grad(product, [0])(*at) == (da,)
    assert grad(product, (-3, -1))(*at) == (da, dc)
    assert grad(product, np.int64(1))(*at) == db
    assert value_and_grad(product, (0, 1))(*at) == (2250.0, (da, db))
    assert jacobian(lambda a, b: [a, a * b], (0, 1))(2.0, 3.0) == [(1.0, 0.0), (3.0, 2.0)]
    assert hessian(lambda a, b: a * a * b, (0, 1))(2.0, 3.0) == ((6.0, 4.0), (4.0, 0.0))


@pytest.mark.parametrize("wrong", [3, -4, (0, 3), (0, 0), (0, -3), ()])
def test_argument_numbers_out_of_range_or_repeated(wrong: Any) -> None:
    for derivative in (grad, value_and_grad, jacobian, hessian):
        with pytest.raises(ValueError, match="argnums"):
            derivative(product, wrong)(2.0, 3.0, 5.0)


@pytest.mark.parametrize("wrong", [1.5, "a", (0.5,), ("a",)])
def test_argument_numbers_of_another_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match="argnums"):
        grad(product, wrong)(2.0, 3.0, 5.0)


def test_an_argument_given_by_keyword_cannot_be_differentiated_by() -> None:
    with pytest.raises(ValueError, match=r"argnums.*0 positional argument"):
        grad(lambda x: x * x)(x=2.0)


def test_auxiliary_data() -> None:
    def f(x: Any) -> Any:
        h = x * x
        return h * x, {"h": h, "name": "f", "n": 3}

    slope, aux = grad(f, has_aux=True)(2.0)
    assert (slope, aux) == (12.0, {"h": 4.0, "name": "f", "n": 3})
    assert type(aux["h"]) is float
    (value, aux), slope = value_and_grad(f, has_aux=True)(2.0)
    assert (value, aux["h"], slope) == (8.0, 4.0, 12.0)
    assert grad(lambda x: (x * x, None), has_aux=True)(3.0) == (6.0, None)
    assert grad(lambda x: (x * x, x), has_aux=True)(3.0) == (6.0, 3.0)
    for wrong in (lambda x: x, lambda x: (x, x, x), lambda x: [x, x]):
        with pytest.raises(TypeError, match="has_aux"):
            grad(wrong, has_aux=True)(1.0)


def test_auxiliary_data_of_an_inner_derivative_may_be_differentiated() -> None:
    def inner(y: Any) -> Any:
        return y**2, y**3

    def outer(x: Any) -> Any:
        slope, cube = grad(inner, has_aux=True)(x)
        return slope * cube  # 2 x x**3

    assert grad(outer)(2.0) == 64.0


# ---- forward and reverse, vectors ------------------------------------------------------------------------------------


def test_jacobians_of_every_shape() -> None:
    def wide(x: Any) -> Any:
        return [x[0] * x[1], x[2]]

    def tall(x: Any) -> Any:
        return {"a": x[0] ** 2, "b": (x[0] * x[1], 4.0, x[1])}

    assert jacobian(wide)([2.0, 3.0, 5.0]) == [[3.0, 2.0, 0.0], [0.0, 0.0, 1.0]]
    assert jacobian(tall)([2.0, 3.0]) == {"a": [4.0, 0.0], "b": ([3.0, 2.0], [0.0, 0.0], [0.0, 1.0])}
    assert jacobian(lambda x: [x, x * x, x**3])(2.0) == [1.0, 4.0, 12.0]
    assert jacobian(lambda p: p["a"] * p["b"])({"a": 2.0, "b": 3.0}) == {"a": 3.0, "b": 2.0}


def test_a_jacobian_runs_its_function_once() -> None:
    runs = []

    def f(x: Any) -> Any:
        runs.append(1)
        return [x[0] * x[1]] * 5

    jacobian(f)([1.0, 2.0])
    assert len(runs) == 1


def test_a_jacobian_takes_the_mode_with_fewer_passes() -> None:
    calls = []

    @sg.primitive(lambda y, a: (calls.append(1), 2.0)[1])
    def double(a: float) -> float:
        return 2.0 * a

    def passes(n: int, m: int) -> int:
        def f(x: Any) -> Any:
            h = double(sg.sum(x))
            return [h * float(k) for k in range(1, m + 1)]

        calls.clear()
        assert jacobian(f)([1.0] * n) == [[2.0 * k] * n for k in range(1, m + 1)]
        return len(calls)

    assert (passes(1, 7), passes(7, 1), passes(2, 5), passes(5, 2), passes(3, 3)) == (1, 1, 2, 2, 3)


def test_a_pulled_back_cotangent_does_not_run_the_function_again_and_leaves_nothing() -> None:
    runs = []

    def f(x: Any) -> Any:
        runs.append(1)
        return [x * x, x**3]

    y, pull_back = vjp(f, 2.0)
    assert y == [4.0, 8.0]
    assert [pull_back([1.0, 0.0]), pull_back([0, 1]), pull_back([1.0, 1.0])] == [(4.0,), (12.0,), (16.0,)]
    assert pull_back([1.0, 0.0]) == (4.0,)
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("cotangent", "message"),
    [([1.0], "list of 2"), (1.0, "list of 2"), ([1.0, 2.0, 3.0], "list of 2"), ([1.0, [2.0]], "number"), ({}, "list")],
)
def test_a_cotangent_of_another_structure(cotangent: Any, message: str) -> None:
    _, pull_back = vjp(lambda x: [x, x], 1.0)
    with pytest.raises(ValueError, match=rf"cotangent.*{message}"):
        pull_back(cotangent)


def test_cotangents_and_tangents_that_are_no_numbers() -> None:
    _, pull_back = vjp(lambda x: [x, x], 1.0)
    with pytest.raises(TypeError, match=r"cotangent\[1\]"):
        pull_back([1.0, "a"])
    with pytest.raises(TypeError, match=r"tangents\[0\]\['w'\]"):
        jvp(lambda p: p["w"], ({"w": 1.0},), ({"w": None},))


def test_tangents_of_another_structure() -> None:
    f = lambda p: p["a"] * p["b"]  # noqa: E731
    at = {"a": 2.0, "b": 3.0}
    assert jvp(f, (at,), ({"b": 1.0, "a": 0.0},)) == (6.0, 2.0)  # by key
    for wrong in ({"a": 1.0}, {"a": 1.0, "c": 1.0}, [1.0, 1.0], 1.0, {"a": [1.0], "b": 1.0}):
        with pytest.raises(ValueError, match=r"tangents\[0\]"):
            jvp(f, (at,), (wrong,))
    with pytest.raises(ValueError, match="tangent"):
        jvp(f, (at,), ())
    for run in (jvp, hvp):
        with pytest.raises(TypeError, match=r"primals.*tuple"):
            run(lambda x: x * x, 2.0, (1.0,))
        with pytest.raises(TypeError, match=r"tangents.*tuple"):
            run(lambda x: x * x, (2.0,), 1.0)


def test_hessian_vector_products() -> None:
    def f(x: Any) -> Any:
        return x[0] ** 2 * x[1] + x[1] ** 3

    at = [3.0, 5.0]
    h = hessian(f)(at)
    assert h == [[10.0, 6.0], [6.0, 30.0]]
    for v in ([1.0, 0.0], [0.0, 1.0], [2.0, -1.0]):
        assert hvp(f, (at,), (v,)) == [sum(a * b for a, b in zip(row, v, strict=True)) for row in h]
    assert hvp(lambda a, b: a * a * b, (2.0, 3.0), (1.0, 10.0)) == (6.0 + 40.0, 4.0)


# ---- nesting without confusion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [
        (lambda x: x * grad(lambda y: x + y)(x), 2.0, 1.0),
        (lambda x: x * grad(lambda y: x * y)(x), 2.0, 4.0),  # x * x
        (lambda x: x * grad(lambda y: x * y)(1.0), 2.0, 4.0),
        (lambda x: grad(lambda y: x * x * y)(5.0), 3.0, 6.0),
        (lambda x: grad(lambda y: (x * y) ** 2)(5.0), 3.0, 60.0),  # 2 x**2 y
        (lambda x: grad(lambda x: x**3)(x) * x, 2.0, 36.0),  # 3 x**3: the inner x hides the outer
        (lambda x: grad(lambda y: y * y)(x * x), 3.0, 12.0),  # 2 x x
        (lambda x: grad(lambda y: y * y)(5.0), 3.0, 0.0),
        # d/dz x y z**2 = 2 x y z at z = y: 2 x y**2; d/dy of it: 4 x y at y = x: 4 x**2
        (lambda x: grad(lambda y: grad(lambda z: x * y * z * z)(y))(x), 3.0, 24.0),
        (lambda x: grad(lambda y: grad(lambda z: x**2 * y**3 * z**4)(1.0))(1.0), 1.0, 24.0),
        (lambda x: grad(lambda y: x * y * y)(x) * grad(lambda y: x + y)(x) + grad(lambda y: y)(x), 3.0, 12.0),
        (lambda x: jvp(lambda y: x * y * y, (5.0,), (x,))[1], 3.0, 60.0),  # 2 x y x
        (lambda x: vjp(lambda y: x * y * y, 5.0)[1](x)[0], 3.0, 60.0),
        (lambda x: jacobian(lambda y: [x * y, y * y, x])(5.0)[0] * x, 3.0, 6.0),
        (lambda x: hessian(lambda y: x * y**3)(5.0), 3.0, 30.0),
        (lambda x: hvp(lambda y: x * y**3, (5.0,), (x,)), 3.0, 180.0),  # 6 x**2 y
    ],
)
def test_perturbations_are_not_confused(f: Any, at: float, slope: float) -> None:
    for found in (
        grad(f)(at),
        value_and_grad(f)(at)[1],
        jvp(f, (at,), (1.0,))[1],
        vjp(f, at)[1](1.0)[0],
        jacobian(lambda x: [f(x)] * 2)(at)[1],
    ):
        assert type(found) is float
        assert found == slope
    assert type(value_and_grad(f)(at)[0]) is float


@pytest.mark.parametrize("inner", ["reverse", "forward", "vjp", "jacobian"])
@pytest.mark.parametrize("outer", ["reverse", "forward", "vjp", "jacobian"])
def test_every_mode_inside_every_mode(outer: str, inner: str) -> None:
    modes: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
        "reverse": grad,
        "forward": lambda f: lambda x: jvp(f, (x,), (1.0,))[1],
        "vjp": lambda f: lambda x: vjp(f, x)[1](1.0)[0],
        "jacobian": lambda f: lambda x: jacobian(lambda y: [f(y)] * 3)(x)[2],
    }
    d, e = modes[outer], modes[inner]
    assert d(lambda x: x * e(lambda y: x + y)(x))(2.0) == 1.0
    assert d(lambda x: x * e(lambda y: x * y)(x))(2.0) == 4.0
    assert d(e(lambda x: x**4))(2.0) == 48.0
    assert d(e(d(lambda x: x**4)))(2.0) == 48.0
    assert type(d(e(lambda x: x**4))(2.0)) is float


def test_a_direction_or_a_cotangent_may_be_differentiated_by() -> None:
    assert grad(lambda t: jvp(lambda x: x**3, (2.0,), (t * t,))[1])(3.0) == 72.0  # 12 t**2
    assert grad(lambda t: vjp(lambda x: x**3, 2.0)[1](t * t)[0])(3.0) == 72.0
    _, pull_back = vjp(lambda x: x**3, 2.0)
    assert grad(lambda t: pull_back(t)[0])(3.0) == 12.0
    assert type(pull_back(1.0)[0]) is float


def test_orders_of_derivatives() -> None:
    f: Callable[..., Any] = sg.sin
    for expected in (math.sin(0.5), math.cos(0.5), -math.sin(0.5), -math.cos(0.5), math.sin(0.5), math.cos(0.5)):
        assert f(0.5) == expected
        f = grad(f)
    g: Callable[..., Any] = lambda x: x**6  # noqa: E731
    for k, expected in enumerate((64.0, 192.0, 480.0, 960.0, 1440.0, 1440.0, 720.0, 0.0)):
        assert g(2.0) == expected, k
        g = grad(g)


def test_third_derivatives_of_several_variables() -> None:
    third = jacobian(hessian(lambda x: x[0] ** 2 * x[1] ** 2))([3.0, 5.0])
    assert third == [[[0.0, 20.0], [20.0, 12.0]], [[20.0, 12.0], [12.0, 0.0]]]


def test_an_unrolled_loop_is_differentiated_through() -> None:
    """Gradient descent on (w - t)**2 from w = 0: w = t (1 - (1 - 2 r)**n)."""

    def descend(rate: Any, target: Any) -> Any:
        w: Any = 0.0
        for _ in range(10):
            w = w - rate * grad(lambda v: (v - target) ** 2)(w)
        return w

    rate, target = 0.1, 3.0
    assert descend(rate, target) == pytest.approx(target * (1 - 0.8**10), rel=1e-14)
    by_rate, by_target = grad(descend, (0, 1))(rate, target)
    assert type(by_rate) is type(by_target) is float
    assert by_rate == pytest.approx(target * 20 * 0.8**9, rel=1e-13)
    assert by_target == pytest.approx(1 - 0.8**10, rel=1e-13)
    assert hessian(lambda r: descend(r, target))(rate) == pytest.approx(-target * 20 * 18 * 0.8**8, rel=1e-12)


def test_newtons_method_uses_derivatives_inside() -> None:
    def root(a: Any) -> Any:
        x: Any = a
        for _ in range(8):
            f = lambda z, a=a: z * z - a  # noqa: E731
            x = x - f(x) / grad(f)(x)
        return x

    assert root(2.0) == pytest.approx(math.sqrt(2.0), rel=1e-15)
    assert grad(root)(2.0) == pytest.approx(0.5 / math.sqrt(2.0), rel=1e-12)


# ---- closures over Values --------------------------------------------------------------------------------------------


def test_a_closure_over_a_value_from_outside_gives_values_that_depend_on_it() -> None:
    w = Value(5.0)
    found = [
        grad(lambda x: x * w)(3.0),
        value_and_grad(lambda x: x * w)(3.0)[0],
        jvp(lambda x: x * w, (3.0,), (1.0,))[1],
        hvp(lambda x: x * x * w, (3.0,), (1.0,)),
        jacobian(lambda x: [x * w])(3.0)[0],
        grad(grad(lambda x: x * x * w))(3.0),
    ]
    assert [type(each) for each in found] == [Value] * 6
    assert [each.data for each in found] == [5.0, 15.0, 5.0, 10.0, 5.0, 10.0]
    assert not w.has_gradient
    found[-1].backward()
    assert w.grad == 2.0
    with no_grad():
        assert type(grad(lambda x: x * w)(3.0)) is float


def test_a_gradient_step_inside_a_loss_keeps_what_it_depends_on() -> None:
    w = Value(1.5)
    inner = lambda t: (2 * t - w) ** 2  # noqa: E731
    loss = (0.5 - 0.1 * grad(inner)(0.5) - 1) ** 2 + 0.0 * w
    loss.backward()
    assert w.grad == pytest.approx(-0.24, rel=1e-14)


def test_values_made_inside_do_not_count_as_from_outside() -> None:
    def f(x: Any) -> Any:
        leaf = Value(2.0)
        (leaf * 3.0).backward()  # its gradient tells nothing about its age
        return x * leaf * copy.copy(leaf)

    assert type(grad(f)(3.0)) is float
    assert grad(f)(3.0) == 4.0


def test_an_inner_derivative_does_not_walk_what_its_inputs_do_not_reach() -> None:
    """So that a loop over a growing graph takes linear time, and a rule may differentiate."""
    x: Any = Value(0.5)
    t, counted = x, 0

    def local(y: Any, a: Any) -> Any:
        nonlocal counted
        counted += 1
        return (a * 0.5,)

    half_square = sg.primitive(local)(lambda a: 0.25 * a * a)
    for _ in range(50):
        t = half_square(t) + 0.1
        slope = grad(lambda z, t=t: z * z * t)(1.0)
        assert slope.data == 2.0 * t.data
    assert counted == 0
    square = sg.primitive(lambda y, a: grad(lambda u, w: u * w)(a, y))(lambda a: 0.5 * a * a * a * a)
    assert grad(square)(2.0) == 8.0
    assert grad(grad(square))(2.0) == 8.0


def test_a_value_as_argument_gives_values_that_depend_on_it() -> None:
    x = Value(3.0)
    slope = grad(lambda t: t**3)(x)
    assert type(slope) is Value
    assert slope.data == 27.0
    assert not x.has_gradient
    slope.backward()
    assert x.grad == 18.0


def test_nothing_is_added_to_the_gradients_of_leaves() -> None:
    x, w = Value(3.0), Value(2.0)
    (x * w).backward()
    before = (x.grad, w.grad)
    grad(lambda t: t * w * x)(1.0)
    grad(grad(lambda t: t * t * w))(x)
    hessian(lambda p: p[0] * p[1] * w)([x, 1.0])
    assert (x.grad, w.grad) == before


def test_backward_inside_a_differentiated_function_behaves_as_outside() -> None:
    seen = []

    def f(x: Any) -> Any:
        y = x * x
        y.backward()
        y.backward()
        seen.append(x.grad)
        return y * 2.0

    assert grad(f)(3.0) == 12.0
    assert seen == [12.0]


def test_a_detached_value_stops_a_derivative() -> None:
    assert grad(lambda x: x * x.detach())(3.0) == 3.0
    assert jvp(lambda x: x * x.detach(), (3.0,), (1.0,))[1] == 3.0
    assert grad(grad(lambda x: x.detach() * x * x))(3.0) == 6.0


def test_functions_that_change_state_outside() -> None:
    seen: list[Any] = []
    grad(lambda x: [seen.append(x), x * x][1])(3.0)
    assert seen[0].data == 3.0
    slope = grad(lambda x: x * seen[0])(2.0)  # what escaped is a leaf from outside, like any other
    assert type(slope) is Value
    assert slope.data == 3.0
    assert seen[0].is_leaf


# ---- threads, tasks, errors, memory ----------------------------------------------------------------------------------


def test_an_inner_derivative_in_another_thread_is_not_lost() -> None:
    with ThreadPoolExecutor(2) as pool:

        def f(x: Any) -> Any:
            slopes = [pool.submit(lambda k=k: grad(lambda z: z * x * x * k)(1.0)) for k in (1.0, 2.0)]
            return sum(each.result() for each in slopes)

        assert grad(f)(3.0) == 18.0
        assert list(pool.map(grad(lambda x: x**3), [1.0, 2.0])) == [3.0, 12.0]


def test_derivatives_in_tasks_that_take_turns() -> None:
    async def slope(x: float) -> float:
        await asyncio.sleep(0)
        found: float = grad(lambda a: a * grad(lambda b: a + b)(a))(x)
        await asyncio.sleep(0)
        return found

    async def main() -> list[float]:
        return await asyncio.gather(*[slope(float(k)) for k in range(5)])

    assert asyncio.run(main()) == [1.0] * 5


def test_an_error_in_the_function_leaves_nothing_open() -> None:
    def f(x: Any) -> Any:
        raise KeyError("mine")

    for run in (grad(f), grad(lambda x: grad(f)(x)), jacobian(f), hessian(f)):
        with pytest.raises(KeyError, match="mine"):
            run(1.0)
    assert type(grad(lambda x: x * Value(2.0))(1.0)) is float
    with no_grad():
        with pytest.raises(KeyError):
            grad(f)(1.0)
        assert (Value(1.0) * 2).is_constant


def values_alive() -> int:
    """How many `Value`s there are; other modules of the suite may hold some."""
    return sum(type(each) is Value for each in gc.get_objects())


def test_derivatives_leave_nothing_for_the_collector() -> None:
    def use() -> None:
        grad(lambda p: p["a"] * sg.sin(p["b"][0]))({"a": 1.0, "b": [2.0]})
        hessian(lambda p: p[0] * p[1] ** 2)([1.0, 2.0])
        grad(lambda x: x * grad(lambda y: x * y)(x))(2.0)
        jvp(lambda x: [x, x * x], (1.0,), (1.0,))
        vjp(lambda x: [x, x * x], 1.0)[1]([1.0, 2.0])
        hvp(lambda x: x**3, (1.0,), (1.0,))
        jacobian(lambda x: [x, x * x])(2.0)

    use()
    gc.collect()
    gc.disable()
    try:
        before = values_alive()
        use()
        assert values_alive() == before
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_pull_back_keeps_its_graph_and_no_longer() -> None:
    gc.collect()
    gc.disable()
    try:
        before = values_alive()
        _, pull_back = vjp(lambda x: x * x, 3.0)
        assert pull_back(1.0) == (6.0,)
        assert values_alive() > before
        del pull_back
        assert values_alive() == before
    finally:
        gc.enable()


def test_long_loops_do_not_recurse() -> None:
    def f(x: Any) -> Any:
        y = x
        for _ in range(20_000):
            y = y * 0.9999 + x * 1e-5
        return y

    value, slope = value_and_grad(f)(1.0)
    assert slope == pytest.approx(value, rel=1e-9)  # f is linear
    assert jvp(f, (1.0,), (1.0,))[1] == pytest.approx(slope, rel=1e-12)
    assert grad(grad(f))(1.0) == 0.0


# ---- zeros -----------------------------------------------------------------------------------------------------------


def test_what_is_not_used_has_a_gradient_of_zero_at_every_order() -> None:
    assert grad(lambda p: p[0] ** 2)([3.0, 4.0]) == [6.0, 0.0]
    assert grad(lambda x: x * grad(lambda p: p[0] ** 2)([x, x])[1])(3.0) == 0.0
    assert grad(lambda x: x + vjp(lambda p: [p[0], p[0]], [x, x])[1]([x, 1.0])[0][1])(3.0) == 1.0


def test_a_zero_is_positive() -> None:
    """Sums of a pass begin at 0.0; and compiled passes have the same bits."""
    for f in (lambda x: -x, lambda x: x * -1.0, lambda x: -sg.sin(x)):
        assert repr(jvp(f, (1.0,), (0.0,))[1]) == "0.0"
        assert repr(vjp(f, 1.0)[1](0.0)) == "(0.0,)"
        compiled = sg.compile(lambda x, t, f=f: (jvp(f, (x,), (t,))[1], vjp(f, x)[1](t)[0]), backend="python")
        assert repr(compiled(1.0, 0.0)) == "(0.0, 0.0)"


def test_a_compiled_gradient_is_the_gradient() -> None:
    def gradients(x: Any, y: Any) -> Any:
        return grad(lambda p: 3.0 * p[0] * p[0])([x, y])

    assert sg.compile(gradients, backend="python")(2.0, 5.0) == gradients(2.0, 5.0) == [12.0, 0.0]


def test_only_the_mode_that_looks_for_anomalies_minds_them() -> None:
    with sg.group("g"):
        assert grad(sg.sqrt)(0.0) == math.inf
        assert vjp(sg.sqrt, 1.0)[1](math.inf) == (math.inf,)
