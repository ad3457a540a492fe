"""What holds numbers besides lists, tuples and dicts; what is static; and names in messages."""

from __future__ import annotations

import decimal
import enum
import functools
import pickle
from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

import scalargrad as sg
from scalargrad import grad, hessian, jacobian, jvp, value_and_grad, vjp
from scalargrad.compiler import GuardLimitError, TraceError


class Kind(enum.Enum):
    LINEAR = 1
    SQUARE = 2


@dataclass(frozen=True)
class Spring:
    k: float
    x: Any
    name: str = "spring"

    def __post_init__(self) -> None:
        if self.k <= 0.0:
            raise ValueError("k must be positive")

    def energy(self) -> Any:
        return 0.5 * self.k * np.sum(self.x**2)


@dataclass
class Box:
    width: float
    height: float

    def __post_init__(self) -> None:
        self.area = self.width * self.height


class Pair(NamedTuple):
    first: Any
    second: Any


class Own:
    def __init__(self, x: Any, unit: str) -> None:
        self.x, self.unit = x, unit


sg.register_pytree_node(Own, lambda own: ((own.x,), own.unit), lambda unit, children: Own(children[0], unit))
SPRING = Spring(2.0, np.array([1.0, -2.0]))


def test_dataclasses() -> None:
    f = grad(Spring.energy)
    for each in (f, sg.compile(f)):
        for _ in range(2):
            found = each(SPRING)
            assert type(found) is Spring
            assert (found.k, found.x.tolist(), found.name) == (2.5, [2.0, -4.0], None)
    assert grad(lambda s: -s.k)(SPRING).k == -1.0  # which its own __post_init__ would refuse
    assert grad(lambda b: b.area)(Box(2.0, 3.0)) == Box(3.0, 2.0)
    y, pull_back = vjp(lambda s: Spring(s.k * s.k, s.x), SPRING)
    assert (y.k, y.name) == (4.0, "spring")
    assert pull_back(Spring(1.0, np.array([0.5, 0.25])))[0].x.tolist() == [0.5, 0.25]
    assert jvp(Spring.energy, (SPRING,), (Spring(1.0, np.zeros(2)),)) == (5.0, 2.5)


def test_auxiliary_data_without_values_is_handed_on_as_it_is() -> None:
    box, counts = Box(1.0, 2.0), np.array([1, 2])

    def f(x: Any) -> Any:
        return (x * x).sum(), {"box": box, "counts": counts, "half": [0.5 * x, counts]}

    for aux in (grad(f, has_aux=True)(np.ones(2))[1], value_and_grad(f, has_aux=True)(np.ones(2))[0][1]):
        assert aux["box"] is box
        assert aux["counts"] is aux["half"][1] is counts
        assert (aux["half"][0].dtype, aux["half"][0].tolist()) == (np.float64, [0.5, 0.5])


def test_registered_classes_named_tuples_and_nests() -> None:
    found = grad(lambda p: p.first.x * p.second["b"][1] * p.first.x)(Pair(Own(3.0, "m"), {"a": None, "b": [1.0, 5.0]}))
    assert (found.first.x, found.first.unit, found.second) == (30.0, "m", {"a": None, "b": [0.0, 9.0]})
    fast = sg.compile(grad(lambda p: p.first.x * p.second))
    for unit in ("m", "m", "s"):
        assert fast(Pair(Own(3.0, unit), 2.0)).first.unit == unit
    assert len(fast.info.traces) == 2
    rows = jacobian(lambda own: np.array([own.x, 2.0 * own.x]))(Own(3.0, "m"))
    assert rows.x.tolist() == [1.0, 2.0]


def test_what_is_static_is_carried_along() -> None:
    def f(p: Any, kind: Kind, function: Any = sg.sin) -> Any:
        y = function(p["x"]) * (2.0 if p["mode"] == "twice" else 1.0)
        return y if kind is Kind.LINEAR else y * y

    p = {"x": 0.5, "mode": "twice", "none": None}
    assert grad(f)(p, Kind.LINEAR) == {"x": 2.0 * sg.cos(0.5), "mode": None, "none": None}
    fast = sg.compile(value_and_grad(f))
    for arguments in (
        (p, Kind.LINEAR),
        (p, Kind.SQUARE),
        ({**p, "mode": "once"}, Kind.LINEAR),
        (p, Kind.LINEAR, sg.cos),
    ):
        for _ in range(2):
            assert fast(*arguments) == value_and_grad(f)(*arguments)
    assert (fast.info.misses, fast.info.hits) == (4, 4)
    assert sg.compile(lambda x: {"y": x, "unit": "m", "none": None})(2.0) == {"y": 2.0, "unit": "m", "none": None}
    assert hessian(lambda p: p["x"] ** 2)({"x": 3.0, "unit": "m"}) == {"x": {"x": 2.0, "unit": None}, "unit": None}


def turns(x: Any, n: Any, mode: str = "plain") -> Any:
    for _ in range(n):
        x = sg.sin(x)
    return x if mode == "plain" else 2.0 * x


@pytest.mark.parametrize("backend", ["python", "native"])
def test_static_argnames_are_python_numbers(backend: Any) -> None:
    fast = sg.compile(turns, backend=backend, static_argnames="n")
    for call in (
        lambda f: f(1.0, 2),
        lambda f: f(1.0, n=3),
        lambda f: f(n=2, x=0.5),
        lambda f: f(1.0, 2, mode="twice"),
    ):
        for _ in range(2):
            assert call(fast) == call(turns)
    assert fast.info.misses == 4
    derivative = sg.compile(grad(turns), backend=backend, static_argnames=("n",))
    again = pickle.loads(pickle.dumps(derivative))
    assert derivative(1.0, 2) == again(1.0, 2) == grad(turns)(1.0, 2)
    assert again(1.0, 5) == grad(turns)(1.0, 5)
    assert fast(1.0, True) == turns(1.0, 1)
    assert fast.info.misses == 5  # True is not 1, as a static number
    with pytest.raises(TypeError, match=r"^n: .* a list has no hash"):
        fast(1.0, [1])
    fast = sg.compile(turns, backend="python", static_argnames="n")  # as NumPy may be there, and llvmlite not
    assert fast.map([0.5, 1.0], 2, "plain", in_axes=(0, None, None)) == [turns(0.5, 2), turns(1.0, 2)]
    with pytest.raises(ValueError, match="map: n is static, and so cannot be mapped"):
        fast.map([0.5, 1.0], [1.0, 2.0])
    with pytest.raises(TypeError, match="static_argnames: expected the name of a parameter, or a tuple of such, got 3"):
        sg.compile(turns, static_argnames=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="'q' is no parameter of turns"):
        sg.compile(turns, static_argnames="q")

    class Bound:
        @sg.compile(static_argnames="n", backend=backend)
        def f(self, x: Any, n: Any) -> Any:
            return turns(x, n)

    assert Bound().f(1.0, 3) == turns(1.0, 3)


def test_static_traces_are_bounded_and_the_error_names_the_leaf() -> None:
    fast = sg.compile(lambda x, p: x * len(p["name"]), max_traces=3, backend="python")
    for name in ("a", "bb", "ccc", "a"):
        assert fast(2.0, {"name": name}) == 2.0 * len(name)
    with pytest.raises(GuardLimitError, match=r"3 traces are kept for other values of p\['name'\].*has 'dddd'"):
        fast(2.0, {"name": "dddd"})
    assert fast(2.0, {"name": "bb"}) == 4.0
    assert fast(2.0, {"name": "a", "other": 1.0}) == 2.0  # another structure
    apply = sg.compile(lambda x, g: g(x), max_traces=2, backend="python")
    assert [apply(1.0, lambda x, k=k: k * x) for k in (1.0, 2.0)] == [1.0, 2.0]
    with pytest.raises(GuardLimitError, match="other values of g, which is static"):
        apply(1.0, lambda x: x)


def scaled(x: Any, by: Any) -> Any:
    return by(x) * 2.0


def test_what_can_be_called_is_static_and_pickled_if_it_can_be() -> None:
    fast = sg.compile(grad(scaled), backend="python")
    model = sg.nn.MLP(1, [1], seed=1)
    for by in (np.sin, sg.sin, functools.partial(pow, exp=2.0), lambda x: x, lambda x: model([x])):
        assert fast(0.5, by) == fast(0.5, by) == getattr(grad(scaled)(0.5, by), "data", grad(scaled)(0.5, by))
    assert (fast.info.misses, fast.info.hits) == (5, 5)
    again = pickle.loads(pickle.dumps(fast))
    assert again(0.5, sg.sin) == fast(0.5, sg.sin)
    assert again(0.5, lambda x: x) == 2.0
    assert len(again.info.traces) == 4  # those by two lambdas stayed behind
    with pytest.raises(TypeError, match=r"beside its children must be hashable, got a list of 1 item"):
        sg.compile(lambda own: own.x)(Own(1.0, ["m"]))  # type: ignore[arg-type]


def test_argnames() -> None:
    def f(x: Any, y: Any, *, k: Any = 1.0) -> Any:
        return x * y * k

    assert grad(f, argnames="y")(2.0, 3.0) == 2.0
    assert grad(f, argnames="y")(2.0, y=3.0) == 2.0
    assert grad(f, argnames=("k", "x"))(2.0, 3.0, k=5.0) == (6.0, 15.0)
    assert grad(f, 0, argnames="k")(2.0, 3.0, k=5.0) == (15.0, 6.0)
    assert value_and_grad(f, argnames="k")(2.0, 3.0, k=5.0) == (30.0, 6.0)
    assert hessian(f, argnames=("x", "y"))(2.0, 3.0) == ((0.0, 1.0), (1.0, 0.0))
    assert jacobian(f, argnames="k")(2.0, 3.0, k=np.array([1.0, 2.0])).tolist() == [[6.0, 0.0], [0.0, 6.0]]
    assert sg.compile(grad(f, argnames="k"))(2.0, 3.0, k=5.0) == 6.0
    assert sg.compile(grad(grad(f, argnames="k"), argnames="x"))(2.0, 3.0, k=5.0) == 3.0
    with pytest.raises(ValueError, match="argnames: 'k' names none of the arguments that are given: x, y"):
        grad(f, argnames="k")(2.0, 3.0)
    with pytest.raises(TypeError, match="argnames: expected the name of a parameter, or a tuple of such, got 3"):
        grad(f, argnames=3)(2.0, 3.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected different arguments"):
        grad(f, 0, argnames="x")(2.0, 3.0)


def test_dicts_match_by_key_in_any_order() -> None:
    f = sg.compile(grad(lambda p: p["a"] * p["b"] ** 2))
    assert f({"a": 2.0, "b": 3.0}) == f({"b": 3.0, "a": 2.0}) == {"a": 9.0, "b": 12.0}
    assert jvp(lambda p: p["a"] * p["b"], ({"a": 2.0, "b": 3.0},), ({"b": 1.0, "a": 10.0},)) == (6.0, 32.0)


def test_messages_name_the_parameter_the_place_and_both_shapes() -> None:
    def model(weights: Any, *, data: Any = None) -> Any:
        return weights["w"].sum()

    with pytest.raises(
        TypeError, match=r"^weights\['w'\]: expected a real number, got ndarray of dtype <U1 and shape \(2,\)"
    ):
        grad(model)({"w": np.array(["a", "b"])})
    with pytest.raises(TypeError, match=r"^data\[1\]: expected a real number, got complex"):
        grad(model, argnames="data")({"w": np.zeros(1)}, data=[1.0, 1j])
    with pytest.raises(TypeError, match=r"^weights\['w'\]\[1\]: expected a real number, got set"):
        sg.compile(grad(model))({"w": [1.0, set()]})
    weights = {"w": np.zeros((2, 3))}
    with pytest.raises(
        ValueError, match=r"tangents\[0\]\['w'\]: expected an array of shape \(2, 3\), got an array of shape \(3, 2\)"
    ):
        jvp(model, (weights,), ({"w": np.zeros((3, 2))},))
    with pytest.raises(ValueError, match=r"cotangent: expected an array of shape \(2,\), got a list of 2"):
        vjp(lambda x: x * 2.0, np.zeros(2))[1]([1.0, 1.0])
    with pytest.raises(TypeError, match=r"one number, not an array of shape \(3,\); use jacobian"):
        grad(lambda x: x)(np.zeros(3))
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2,\)"):
        grad(lambda x: (x @ np.zeros(2)).sum())(np.zeros((2, 3)))


@dataclass
class Scaled:
    x: Any
    by: InitVar[float] = 2.0
    scaled: Any = field(init=False, default=0.0)

    def __post_init__(self, by: float) -> None:
        self.scaled = by * self.x if self.x > 0 else -self.x  # a branch, of which a trace has a guard


@pytest.mark.parametrize("backend", ["python", "native"])
def test_what_an_object_computes_of_its_fields_is_traced(backend: Any) -> None:
    fast = sg.compile(lambda s: s.x * s.scaled, backend=backend)
    slopes = sg.compile(value_and_grad(lambda s: s.x * s.scaled), backend=backend)
    for x, y, slope in ((3.0, 18.0, 12.0), (-3.0, -9.0, 6.0), (2.0, 8.0, 8.0)):
        assert fast(Scaled(x)) == y
        assert slopes(Scaled(x))[0] == y
        assert slopes(Scaled(x))[1].x == slope
    changed = Scaled(3.0)
    changed.scaled = 7.0
    for given in (Scaled(3.0, 5.0), changed):  # an InitVar, which is kept nowhere; a field changed since
        for each in (fast, slopes, grad(lambda s: s.x * s.scaled)):
            with pytest.raises(TypeError, match=r"Scaled\.scaled: __init__ makes another of the fields"):
                each(given)


@dataclass(frozen=True)
class Setting:
    n: Any


def test_static_objects_that_are_equal_but_not_the_same_have_traces_of_their_own() -> None:
    fast = sg.compile(lambda x, setting: x * len(str(setting)), static_argnames="setting")
    both = (decimal.Decimal("1.0"), decimal.Decimal("1.00"))
    for pair in ((Setting(1), Setting(True)), (Setting(0.0), Setting(-0.0)), (frozenset([1]), frozenset([True])), both):
        for setting in pair * 2:
            assert fast(1.0, setting) == len(str(setting))
    assert fast.info.misses == 8


def test_a_registered_class_that_is_taken_apart_wrongly_says_so() -> None:
    class Odd:
        pass

    sg.register_pytree_node(Odd, lambda odd: 5, lambda aux, children: Odd())
    with pytest.raises(TypeError, match=r"of a Odd, expected \(children, aux\), got 5"):
        grad(lambda odd: 1.0)(Odd())


def test_a_loop_count_that_is_traced_names_static_argnames() -> None:
    with pytest.raises(TraceError, match="static_argnames"):
        sg.compile(turns)(1.0, 2)
