"""What tracing keeps and refuses: comparisons are data, numbers do not freeze, derivatives have the eager bits."""

from __future__ import annotations

import contextvars
import copy
import math
import operator
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import Value, compile, detect_anomaly, grad, hvp, no_grad, value_and_grad, where  # noqa: A004
from scalargrad.activations import elu, hardsigmoid, hardtanh, leaky_relu, softmax, softplus
from scalargrad.compiler import TraceError
from scalargrad.engine.primitive import exact
from scalargrad.losses import categorical_cross_entropy, kl_divergence
from scalargrad.training import accuracy, confusion_matrix, r2_score

from .extras import BACKENDS, MAPPING, needs_llvm, needs_numpy, np


def same(a: Any, b: Any) -> bool:
    return repr(a) == repr(b)  # tells 0.0 from -0.0, and takes any nan for any other


# ---- comparisons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", MAPPING)
def test_a_comparison_in_where_is_no_branch(backend: Any) -> None:
    f = lambda x: sg.sum([where(x > float(k), x, -x) for k in range(-3, 3)])  # noqa: E731
    fast = compile(f, backend=backend)
    batch = [0.5 * k for k in range(-9, 10)] * 20
    assert fast.map(batch) == [f(x) for x in batch]
    assert [fast(x) for x in batch[:19]] == [f(x) for x in batch[:19]]
    assert len(fast.info.traces) == 1
    assert fast.info.traces[0].guards == ()


@pytest.mark.parametrize("backend", BACKENDS)
def test_comparisons_take_connectives_and_arithmetic(backend: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        inside = (x > 0.0) & (y >= x) | (x == y) ^ (y != 2.0)
        return where(inside, x, y) + 2 * (x > y) + (x <= y) * y - (x < 1.0) + where(inside & True, 0.5, 0.25)

    fast = compile(f, backend=backend)
    for x in (-1.0, 0.0, 1.0, 2.0, nan, inf):
        for y in (-1.0, 0.0, 1.0, 2.0, nan, -inf):
            assert same(fast(x, y), f(x, y)), (x, y)
            assert same(f(Value(x), Value(y)).data, f(x, y)), (x, y)
    assert len(fast.info.traces) == 1
    assert compile(lambda x: where(~(x > 0.0), 1.0, 2.0), backend=backend)(3.0) == 2.0
    with pytest.raises(TypeError):
        compile(lambda x: (x > 0.0) & 3, backend=backend)(1.0)


def test_the_truth_of_a_comparison_is_a_guard() -> None:
    for f in (
        lambda x: 1.0 if x > 0.5 else 2.0,
        lambda x: 1.0 if not x <= 0.5 else 2.0,
        lambda x: 1.0 if 0.5 < x < 7.0 else 2.0,
        lambda x: 1.0 if x > 0.5 and x < 7.0 else 2.0,
        lambda x: [2.0, 1.0][x > 0.5],
        lambda x: 2.0 - int(x > 0.5),
        lambda x: 2.0 - float(x > 0.5),
        lambda x: 1.0 if (x > 0.5) | (x > 6.0) else 2.0,
        lambda x: 1.0 if sg.step(x - 0.5) else 2.0,
        lambda x: 1.0 if any(x > k for k in (0.5, 6.0)) else 2.0,
    ):
        fast = compile(f)
        assert [fast(x) for x in (1.0, 0.25, 5.0)] == [1.0, 2.0, 1.0]
        assert len(fast.info.traces) == 2
        assert all(t.guards for t in fast.info.traces)


NUMBERS: tuple[Any, ...] = (
    Fraction(1, 3), Decimal("0.1"), Decimal("1e400"), Decimal("inf"), 2**53 + 1, 10**400, -(10**400), True, 7,
    nan, -0.0, Fraction(0),
)  # fmt: skip
if np is not None:
    NUMBERS += (np.float32(0.1), np.float32(1.0), np.int64(2**53 + 1), np.bool_(True), np.longdouble(1) / 3)


@pytest.mark.parametrize("q", NUMBERS, ids=repr)
@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_comparisons_are_exact_with_numbers_of_every_type(name: str, q: Any) -> None:
    compare = getattr(operator, name)
    branch = compile(lambda x: 1.0 if compare(x, q) else 2.0, backend="python")
    data = compile(lambda x: where(compare(x, q), 1.0, 2.0), backend="native")
    try:
        near = float(q)
    except OverflowError:
        near = inf if q > 0 else -inf
    points = [
        near,
        math.nextafter(near, inf),
        math.nextafter(near, -inf),
        0.25,
        1 / 3,
        1.00000001,
        2.0**53,
        2.0**53 + 2,
    ]
    for x in (*points, sys_max := 1.7976931348623157e308, -sys_max, inf, -inf, nan, 0.0):
        wanted = bool(compare(x, exact(q)))
        assert compare(Value(x), q) is wanted, x
        assert branch(x) == data(x) == (1.0 if wanted else 2.0), x


@needs_numpy
def test_numpy_scalars_on_the_left_compare_exactly() -> None:
    assert np.float32(1) < Value(1.00000001)
    assert np.float32(0.1) != Value(0.1)
    assert Value(0.1) != "0.1"
    with pytest.raises(TypeError):
        _ = Value(1.0) < "2"


def test_the_complement_of_a_bool_is_no_condition() -> None:
    """`~True` is -2 in Python, which is true."""
    x = Value(3.0)
    with pytest.raises(TypeError, match=r"where: .*~"):
        where(-2, x, -x)
    with pytest.raises(TypeError, match=r"where: .*~"):
        where(-1, 1.0, 2.0)
    assert where(-2.0, 1.0, 2.0) == 1.0


# ---- numbers that would freeze ---------------------------------------------------------------------------------------

OUTSIDE = Value(2.0, label="w")
SQUARE = OUTSIDE * OUTSIDE
FREEZING: dict[str, Callable[[Any], Any]] = {
    "a format": lambda x: x * float(f"{x:.1f}"),
    "float": lambda x: x * float(x),
    "int": lambda x: x * int(x),
    "an index": lambda x: [1.0, 2.0][x],
    "math": lambda x: math.sin(x),
    "data": lambda x: x * x.data,
    "data of a Value from outside": lambda x: x * OUTSIDE.data,
    "a gradient from outside": lambda x: x * OUTSIDE.grad,
    "local gradients from outside": lambda x: x * SQUARE.local_gradients[0],
    "assignment": lambda x: setattr(OUTSIDE, "data", 3.0) or x,
    "a copy": lambda x: copy.copy(x),
    "a copy of a Value from outside": lambda x: x * copy.deepcopy(OUTSIDE),
    "a pickle": lambda x: pickle.dumps(OUTSIDE) and x,
    "backward": lambda x: x.backward() or x,
    "backward from outside": lambda x: OUTSIDE.backward() or x,
    "a match": lambda x: _matched(x),
    "a check of anomalies": lambda x: _checked(x),
    "accuracy": lambda x: x * accuracy([x, 0.0], [1, 0]),
    "r2_score": lambda x: x * r2_score([x, 1.0], [1.0, 2.0]),
    "confusion_matrix": lambda x: x * confusion_matrix([x, 0.0], [1, 0])[0][0],
}  # fmt: skip


def _checked(x: Any) -> Any:
    with detect_anomaly():
        return sg.log(x)


def _matched(x: Any) -> Any:
    match x:
        case Value(0.5):
            return 1.0
    return x


@pytest.mark.parametrize("what", FREEZING)
@pytest.mark.parametrize("first", [0.5, 1.0])
def test_what_would_freeze_a_number_is_an_error(what: str, first: float) -> None:
    fast = compile(FREEZING[what])
    for _ in range(2):
        with pytest.raises(TraceError, match="in a compiled function"):
            fast(first)
    assert OUTSIDE.data == 2.0
    assert not OUTSIDE.has_gradient


def test_what_depends_on_a_value_from_outside_follows_it() -> None:
    w = Value(2.0)
    fast = compile(lambda x: x * w.detach() + where(w > 3.0, 1.0, 0.0))
    assert fast(3.0) == 6.0
    w.data = 4.0
    assert fast(3.0) == 13.0


def test_a_value_that_outlives_its_trace_is_an_error_wherever_it_is_used() -> None:
    kept: dict[str, Any] = {}

    def leaking(x: Any) -> Any:
        return kept.setdefault("y", x * 2.0) * x

    assert compile(leaking)(3.0) == 18.0
    old = kept["y"]
    uses: tuple[Callable[[], Any], ...] = (
        lambda: leaking(2.0),
        lambda: compile(leaking)(2.0),
        lambda: old + 1.0,
        lambda: old.data,
        lambda: repr(old),
        lambda: old > 1.0,
        lambda: grad(lambda x: x * old)(1.0),
        lambda: sg.sum([old, 1.0]),
    )
    for use in uses:
        with pytest.raises(TraceError, match="when its tracing had ended"):
            use()


def test_losses_check_compiled_numbers_as_eager_ones() -> None:
    for loss in (kl_divergence, categorical_cross_entropy):
        fast = compile(lambda p, t, loss=loss: loss([p], [t]))
        good = ([0.25, 0.75], [0.5, 0.5])
        assert fast(*good) == loss([good[0]], [good[1]])
        for p, t in (([0.25, 0.75], [0.5, 0.75]), ([0.5, 0.75], [0.5, 0.5]), ([-0.25, 1.25], [0.5, 0.5])):
            with pytest.raises(ValueError, match=loss.__name__) as eager:
                loss([p], [t])
            with pytest.raises(ValueError, match=loss.__name__) as compiled:
                fast(p, t)
            assert str(eager.value) == str(compiled.value)


def test_an_operation_of_ones_own_may_differentiate_in_its_value() -> None:
    slope = sg.primitive([1.0])(lambda a: grad(lambda u: u * u * u)(a))
    assert compile(slope, backend="python")(2.0) == compile(slope, backend="native")(2.0) == slope(2.0) == 12.0


def test_numbers_that_are_differentiated_inside_are_no_inputs() -> None:
    fast = compile(lambda x: grad(lambda t: t * t * x)(0.5) if x > 0.0 else x)
    assert fast.map([1.0, -1.0] * 200) == [1.0, -1.0] * 200
    assert [t.inputs for t in fast.info.traces] == [1, 1]


@pytest.mark.parametrize("backend", MAPPING)
def test_a_batch_branches_and_reads_values_from_outside(backend: Any) -> None:
    w, u = Value(2.0), Value(3.0)
    f = lambda x: x * w if x > 0.0 else x * u + w if x > -5.0 else u  # noqa: E731
    fast = compile(f, backend=backend)
    batch = [float(k % 17 - 8) for k in range(400)]
    for _ in range(2):
        for count in (3, 299, 400):
            assert fast.map(batch[:count]) == [f(x).data for x in batch[:count]]
        w.data, u.data = 5.0, -1.0


# ---- derivatives -----------------------------------------------------------------------------------------------------


def _polynomial(b: Any) -> Any:
    t = b
    for _ in range(3):
        t = 1.0 + b + b * t + b
    return t


SELECTED: dict[str, Callable[[Any], Any]] = {
    "relu": lambda b: sg.relu(_polynomial(b)),
    "max": lambda b: sg.max(_polynomial(b), -9.0),
    "clamp": lambda b: sg.clamp(_polynomial(b), -50.0, 50.0),
    "where": lambda b: where(b * b + 1.0, _polynomial(b), 0.0),
    "abs": lambda b: sg.abs(_polynomial(b)),
    "relu times": lambda b: sg.relu(b) * sg.sin(b),
}


@pytest.mark.parametrize("name", SELECTED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_higher_derivatives_through_selections(name: str, backend: Any) -> None:
    f = SELECTED[name]
    plain = _polynomial if name != "relu times" else lambda b: b * sg.sin(b)
    for order in range(1, 5):
        g, smooth = f, plain
        for _ in range(order):
            g, smooth = grad(g), grad(smooth)
        for b in (0.5, 0.75, 1.3):
            assert g(b) == pytest.approx(smooth(b), rel=1e-13, abs=1e-13)
            assert same(compile(g, backend=backend)(b), g(b)), (order, b)
    assert grad(grad(grad(lambda b: sg.relu(_polynomial(b)))))(0.5) == 24.0


FLAT: dict[str, tuple[Callable[[Any], Any], float]] = {
    "hardtanh of exp": (lambda x: hardtanh(sg.exp(x)), 1000.0),
    "hardtanh of log": (lambda x: hardtanh(sg.log(x)), 1e-300),
    "hardsigmoid of sqrt": (lambda x: hardsigmoid(sg.sqrt(x) + 5.0), 0.0),
    "leaky_relu of log": (lambda x: leaky_relu(sg.log(x), 0.0), 0.0),
    "step times sqrt": (lambda x: sg.step(x) * sg.sqrt(x), 0.0),
}


@pytest.mark.parametrize("name", FLAT)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_flat_gradient_meets_an_infinite_one(name: str, backend: Any) -> None:
    f, x = FLAT[name]
    for g in (lambda x: hvp(f, (x,), (1.0,)), grad(f), grad(grad(f)), grad(grad(grad(f)))):
        assert g(x) == 0.0
        assert same(compile(g, backend=backend)(x), g(x))


PENALISED: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "cosh": (lambda p: sg.cosh(p[0] + p[1] + sg.exp(p[2])), [0.1, 0.2, -3.0]),
    "max": (lambda p: sg.max([p[0] / p[1]]), [2.0, 0.4756272554741535]),
    "dot": (lambda p: sg.sinh(sg.dot([p[0], p[0], p[1]], [p[1], p[1], p[1]])), [-1.4, 0.9]),
    "softmax": (lambda p: sg.sum([y * y for y in softmax([p[0], p[1], p[0] * p[1]])]), [0.3, -0.7]),
    "a mask": (lambda p: where(p[0] > 0.1, p[0] * p[1], 0.0) + (p[1] > p[0]) * p[0] * p[1] + p[0] * p[1], [0.3, 0.7]),
}


@pytest.mark.parametrize("name", PENALISED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient_penalties_have_the_eager_bits(name: str, backend: Any) -> None:
    f, at = PENALISED[name]
    r = random.Random(name)
    for penalty in (
        lambda p: sg.sum(grad(f)(p)),
        lambda p: sg.sum([g * g for g in grad(f)(p)]),
        lambda p: grad(lambda q: sg.sum([g * g for g in grad(f)(q)]))(p)[0],
    ):
        g = value_and_grad(penalty)
        fast = compile(g, backend=backend)
        for x in (at, *([v * r.uniform(0.5, 1.5) for v in at] for _ in range(40))):
            assert same(fast(x), g(x)), x


def test_the_sign_of_a_zero_gradient_is_the_same_in_every_pass() -> None:
    def angle(c: Any, a: Any) -> Any:
        return sg.atan2(grad(lambda a: c * a)(a), -1.0)

    at = (-0.0, 3.0)
    found = [
        angle(*at), value_and_grad(angle)(*at)[0], angle(Value(-0.0), Value(3.0)).data,
        compile(angle)(*at), compile(value_and_grad(angle))(*at)[0],
    ]  # fmt: skip
    assert found == [math.pi] * 5
    for create_graph in (False, True):
        x, y = Value(-0.0), Value(3.0)
        (x * y).backward(create_graph=create_graph)
        assert same(y.grad.data if create_graph else y.grad, 0.0)


@pytest.mark.parametrize("activation", [leaky_relu, elu, softplus], ids=lambda f: f.__name__)
def test_a_parameter_that_is_an_argument_gives_the_bits_of_a_number(activation: Any) -> None:
    f = lambda x, p: activation(x * x - 2.0 * x, p) * x  # noqa: E731
    r = random.Random(1)
    for g in (f, grad(f), grad(grad(f))):
        fast = compile(g)
        for _ in range(60):
            x, p = r.choice((r.gauss(0.0, 2.0), r.uniform(-27.0, 27.0))), r.uniform(0.1, 3.0)
            assert same(fast(x, p), g(x, p)), (x, p)
            assert same(g(Value(x), p).data, g(x, p))
            assert same(f(Value(x), Value(p)).data, f(x, p))


@needs_llvm
def test_batches_of_branching_derivatives_are_exact_where_a_zero_meets_an_infinite_slope() -> None:
    g = grad(lambda x: sg.relu(sg.sqrt(x) - 1.0) if x < 5.0 else x * 1.0)
    batch = [9.0, *[0.0, 2.0] * 400]
    for backend in ("python", "native", "auto"):
        assert compile(g, backend=backend).map(batch) == [g(x) for x in batch]  # type: ignore[call-overload]


# ---- what programs of strangers found --------------------------------------------------------------------------------


def test_a_weight_that_the_first_call_makes_is_read_anew() -> None:
    kept: dict[str, Value] = {}

    def f(x: Any) -> Any:
        return x * kept.setdefault("w", Value(2.0))

    fast = compile(f)
    assert fast(1.0) == 2.0
    kept["w"].data = 5.0
    assert fast(1.0) == 5.0
    assert fast.map([1.0, 2.0]) == [5.0, 10.0]


def test_a_constant_from_outside_is_read_anew() -> None:
    with no_grad():
        c = Value(2.0) * 1.0
    fast = compile(lambda x: x * c if c > 1.0 else x)
    assert fast(1.0) == 2.0
    c.data = 5.0
    assert fast(1.0) == 5.0
    c.data = 0.5
    assert fast(1.0) == 1.0


def test_what_another_thread_computes_of_traced_numbers_is_an_error() -> None:
    def threaded(x: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: x * x).result()

    for f in (threaded, lambda x: contextvars.Context().run(lambda: x * x)):
        with pytest.raises(TraceError, match="another thread or context"):
            compile(f)(2.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * {True: 2.0}.get(x > 0, 1.0),
        lambda x: x * {True: 3.0, False: 2.0}[x > 0],
        lambda x: x * len({x > 0, x > 1}),
        lambda x: x * len(f"{x > 0}"),
        lambda x: x * len(str(x > 0)),
        lambda x: x * len(f"{x > 0!r:>7}"),
    ],
)
def test_a_comparison_as_a_key_or_a_text_asks_for_its_truth(f: Callable[[Any], Any]) -> None:
    fast = compile(f)
    for x in (3.0, 0.5, -1.0):
        assert fast(x) == f(Value(x)).data


def test_arithmetic_of_comparisons_and_ints_knows_no_negative_zero() -> None:
    for f in (
        lambda x: -(x > 0),
        lambda x: -1 * (x > 0),
        lambda x: (x > 0) * -1,
        lambda x: (x > 0) * (x < 0) * -2,
        lambda x: (x > 0) // -2,
        lambda x: (x > 0) % -2,
        lambda x: (x > 0) * -2.0,
    ):
        g = lambda x, f=f: sg.atan2(f(x), -1.0) + 0.0 * x  # noqa: E731
        for x in (-3.0, 3.0):
            assert same(compile(g)(x), g(Value(x)).data)


def test_a_compiled_function_that_reads_what_is_differentiated_by_runs_itself() -> None:
    assert grad(lambda w: compile(lambda x: w * x)(2.0))(3.0) == 2.0
    assert grad(grad(lambda w: compile(lambda x: w * w * x)(2.0)))(3.0) == 4.0
    w = Value(3.0)
    fast = compile(lambda x: w * x)
    assert grad(lambda t: t * fast(2.0))(1.0) == 6.0


def test_keys_that_are_equal_but_not_the_same_have_traces_of_their_own() -> None:
    fast = compile(lambda d: {k: 2.0 * v for k, v in d.items()})
    for d in ({1: 2.0}, {True: 2.0}, {1.0: 2.0}, {1: 3.0}, {"a": 1.0}, {0.0: 1.0}, {-0.0: 1.0}):
        assert repr(fast(d)) == repr({k: 2.0 * v for k, v in d.items()})


def test_a_traced_value_shows_no_digits_and_is_told_from_others() -> None:
    shown: list[str] = []
    fast = compile(lambda x, y: shown.extend((f"{x}", repr(x), str(y))) or x)
    fast(1.5, 1.5)
    assert shown[0] == shown[1] != shown[2]
    assert shown[0].startswith("Value(varies from call to call")
    assert "1.5" not in shown[0]
    memo: dict[str, Value] = {}
    assert compile(lambda x, y: memo.setdefault(str(x), x * x) + memo.setdefault(str(y), y * y))(2.0, 3.0) == 13.0


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * {1.0: 2.0}.get(x, 1.0),
        lambda x: x if x in {1.0, 2.0} else -x,
        lambda x: x * {3: 2.0}.get(sg.floor(x * 3.5), 1.0),
        lambda x: x * {2.0: 2.0}.get(x * 4.0 // 2.0, 1.0),
        lambda x: x * {0.0: 2.0}.get(x % 1.0, 1.0),
        lambda x: x * {1.0: 2.0}.get(x.detach(), 1.0),
        lambda x: x * {2: 2.0}.get((x > 0) + (x > 1), 1.0),
        lambda x: x * (hash(x) % 2),
        grad(lambda x: x * {1.0: 2.0}.get(x, 1.0)),
    ],
)
def test_a_number_that_is_looked_up_in_a_table_is_refused(f: Any) -> None:
    with pytest.raises(TraceError, match="as a key"):
        compile(f)(1.0)


def test_results_of_a_hundred_lists_within_lists() -> None:
    for build in (lambda t: [t], lambda t: (t, 1.0), lambda t: {"a": t, "b": 2.0}):

        def nested(x: Any, build: Any = build) -> Any:
            for _ in range(100):
                x = build(x)
            return x

        assert compile(lambda t: t)(nested(0.5)) == nested(0.5)
        fast = compile(nested, backend="python")
        assert fast(0.5) == fast(0.5) == nested(0.5)


class Own(tuple[Any, ...]):
    """A tuple that takes its items one by one."""

    def __new__(cls, *items: Any) -> Own:
        return tuple.__new__(cls, items)


def test_tuples_of_ones_own_come_back_as_they_are() -> None:
    found = compile(lambda t: Own(t[1], 2.0 * t[0]))(Own(1.0, 2.0))
    assert (type(found), found) == (Own, (2.0, 2.0))
    assert grad(lambda t: t[0] * t[1])(Own(3.0, 4.0)) == (4.0, 3.0)


def test_a_batch_that_reads_what_is_differentiated_by_keeps_its_gradient() -> None:
    assert grad(lambda w: sg.sum(compile(lambda x: w * x).map([1.0, 2.0])))(2.0) == 3.0
    assert grad(grad(lambda w: compile(lambda x: w * w * x).map([1.0, 2.0], reduce="sum")))(2.0) == 6.0
    assert grad(lambda w: compile(grad(lambda x: w * x * x))(3.0) * w)(2.0) == 24.0


WEIGHT = Value(3.0)


def weighted(x: Any) -> Any:
    return WEIGHT * x if x > 0.0 else WEIGHT * x * x


class Cook:
    recipe = "salt"

    def __call__(self, x: Any) -> Any:
        return x * 2.0


def test_a_pickle_reads_the_values_from_outside_that_there_are() -> None:
    fast = compile(weighted)
    fast(2.0)
    again = pickle.loads(pickle.dumps(fast))
    try:
        WEIGHT.data = 10.0
        assert (again(2.0), again(-2.0)) == (20.0, 40.0)
    finally:
        WEIGHT.data = 3.0
    assert pickle.loads(pickle.dumps(compile(Cook())))(3.0) == 6.0
