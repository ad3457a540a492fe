"""Activations: against PyTorch's values, against mpmath to the last digits, at awkward points, and by their laws."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable
from math import inf, nan
from typing import Any

import mpmath as mp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from scalargrad import activations as sg
from scalargrad.activations.primitives import log_softmax_share
from scalargrad.engine.primitive import Primitive
from scalargrad.engine.value import Value
from scalargrad.functions import primitives
from scalargrad.testing import check_grads
from scalargrad.transforms.derivatives import grad, jacobian

scores = st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=5)

# PyTorch 2.13.0, float64, at -3, -1, -0, 1/2, 2: parameters, values, derivatives. (Its hardsigmoid has a derivative in
# single precision, 0.1666666716337204; here it is exact. Its gelu loses digits in the left tail.)
POINTS = [-3.0, -1.0, -0.0, 0.5, 2.0]
TORCH = [
    (
        "sigmoid",
        {},
        [0.04742587317756678, 0.2689414213699951, 0.5, 0.6224593312018546, 0.8807970779778823],
        [0.04517665973091214, 0.19661193324148185, 0.25, 0.2350037122015945, 0.10499358540350662],
    ),
    (
        "tanh",
        {},
        [-0.9950547536867305, -0.7615941559557649, -0.0, 0.46211715726000974, 0.9640275800758169],
        [0.009866037165440166, 0.41997434161402614, 1.0, 0.7864477329659274, 0.07065082485316443],
    ),
    ("relu", {}, [0.0, 0.0, -0.0, 0.5, 2.0], [0.0, 0.0, 0.0, 1.0, 1.0]),
    ("leaky_relu", {"slope": 0.2}, [-0.6000000000000001, -0.2, -0.0, 0.5, 2.0], [0.2, 0.2, 0.2, 1.0, 1.0]),
    (
        "elu",
        {"alpha": 0.7},
        [-0.6651490521424952, -0.44248439117999033, -0.0, 0.5, 2.0],
        [0.03485094785750476, 0.2575156088200096, 0.7, 1.0, 1.0],
    ),
    (
        "selu",
        {},
        [-1.6705687287671118, -1.1113307378125625, -0.0, 0.5253504936777402, 2.101401974710961],
        [0.08753061208026487, 0.646768603034814, 1.7580993408473766, 1.0507009873554805, 1.0507009873554805],
    ),
    (
        "gelu",
        {},
        [-0.00404969409489031, -0.15865525393145702, -0.0, 0.34573123063700656, 1.9544997361036416],
        [-0.01194564720418392, -0.08331547058768635, 0.5, 0.8674951246561629, 1.085231801078197],
    ),
    (
        "gelu",
        {"approximate": "tanh"},
        [-0.0036373920817729943, -0.15880800939172324, -0.0, 0.34571400982514394, 1.954597694087775],
        [-0.011584166630969648, -0.08296408384578252, 0.5, 0.8673699035346424, 1.0860992566236183],
    ),
    (
        "silu",
        {},
        [-0.14227761953270035, -0.2689414213699951, -0.0, 0.3112296656009273, 1.7615941559557646],
        [-0.08810410601516962, 0.07232948812851325, 0.5, 0.7399611873026519, 1.0907842487848955],
    ),
    (
        "softplus",
        {"beta": 2.0},
        [0.0012378425688652247, 0.06346400552148625, 0.34657359027997264, 0.6566308437591114, 2.0090749639589047],
        [0.0024726231566347748, 0.11920292202211755, 0.5, 0.7310585786300049, 0.9820137900379085],
    ),
    ("hardtanh", {}, [-1.0, -1.0, -0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 1.0, 0.0]),
    (
        "hardsigmoid",
        {},
        [0.0, 0.3333333333333333, 0.5, 0.5833333333333334, 0.8333333333333334],
        [0.0, 0.1666666716337204, 0.1666666716337204, 0.1666666716337204, 0.1666666716337204],
    ),
    (
        "softsign",
        {},
        [-0.75, -0.5, -0.0, 0.3333333333333333, 0.6666666666666666],
        [0.0625, 0.25, 1.0, 0.4444444444444444, 0.1111111111111111],
    ),
]


@pytest.mark.parametrize(("name", "parameters", "values", "derivatives"), TORCH)
def test_agrees_with_pytorch(name: str, parameters: Any, values: Any, derivatives: Any) -> None:
    f = sg.activation(name, **parameters)
    for x, value, derivative in zip(POINTS, values, derivatives, strict=True):
        v = Value(x)
        y = f(v)
        y.backward()
        assert y.data == f(x) == pytest.approx(value, rel=1e-12 if name == "gelu" else 1e-15, abs=0.0)
        assert v.grad == pytest.approx(derivative, rel=1e-7 if name == "hardsigmoid" else 2e-14, abs=0.0)
        if name in ("leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "hardtanh", "hardsigmoid", "softsign"):
            assert y.parents == (v,)  # one node


def test_softmax_agrees_with_pytorch() -> None:
    xs = [1.0, -2.0, 0.5]
    assert sg.softmax(xs, temperature=0.5) == pytest.approx(
        [0.7297362141184152, 0.0018088352291382895, 0.26845495065244657], rel=1e-15
    )
    assert sg.log_softmax(xs, 2.0) == pytest.approx(
        [-0.6941121864019144, -2.1941121864019144, -0.9441121864019144], rel=1e-15
    )


# ---- the last digits -------------------------------------------------------------------------------------------------


def logistic(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def logistic1(x: Any) -> Any:
    return logistic(x) * logistic(-x)


def logistic2(x: Any) -> Any:
    return logistic1(x) * (logistic(-x) - logistic(x))


def below(x: Any) -> Any:
    return mpf(1) if x <= 0 else mpf(0)


K, C, BETA, ALPHA = mpf(1.5957691216057308), mpf(0.044715), mpf(3.7), mpf(0.7)


def w(x: Any) -> Any:
    return K * (x + C * x**3)


def w1(x: Any) -> Any:
    return K * (1 + 3 * C * x * x)


# Value, first and second derivative as a textbook has them; the range where they are normal numbers; their zeros.
Exact = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]
EXACT: dict[str, tuple[Callable[[Any], Any], Exact, float, tuple[float, ...]]] = {
    "silu": (
        sg.silu,
        (
            lambda x: x * logistic(x),
            lambda x: logistic(x) + x * logistic1(x),
            lambda x: 2 * logistic1(x) + x * logistic2(x),
        ),
        740.0,
        (-1.2784645427610737, 2.3993572805154675, -2.3993572805154675),
    ),
    "gelu": (
        sg.gelu,
        (
            lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
            lambda x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.npdf(x),
            lambda x: mp.npdf(x) * (2 - x * x),
        ),
        39.0,
        (-0.7517915246935645, 1.4142135623730951, -1.4142135623730951, -0.4, -0.5, -1.1, -8.0),
    ),
    "gelu tanh": (
        lambda x: sg.gelu(x, "tanh"),
        (
            lambda x: x * logistic(w(x)),
            lambda x: logistic(w(x)) + x * logistic1(w(x)) * w1(x),
            lambda x: logistic1(w(x)) * (2 * w1(x) + 6 * K * C * x * x) + x * w1(x) ** 2 * logistic2(w(x)),
        ),
        22.0,
        (-0.7524614220710162, 1.4185040087908283, -1.4185040087908283, -3.0, -0.3, 4.0),
    ),
    "softplus": (
        lambda x: sg.softplus(x, 3.7),
        (
            lambda x: mp.log1p(mp.exp(BETA * x)) / BETA,
            lambda x: logistic(BETA * x),
            lambda x: BETA * logistic1(BETA * x),
        ),
        200.0,
        (-11.0,),
    ),
    "elu": (
        lambda x: sg.elu(x, 0.7),
        (
            lambda x: ALPHA * mp.expm1(x) if x <= 0 else x,
            lambda x: ALPHA * mp.exp(x) if x <= 0 else mpf(1),
            lambda x: ALPHA * mp.exp(x) * below(x),
        ),
        740.0,
        (0.0,),
    ),
    "selu": (
        sg.selu,
        (
            lambda x: mpf(SELU) * mp.expm1(x) if x <= 0 else x * mpf(SELU_ABOVE),
            lambda x: mpf(SELU) * mp.exp(x) if x <= 0 else mpf(SELU_ABOVE),
            lambda x: mpf(SELU) * mp.exp(x) * below(x),
        ),
        740.0,
        (0.0,),
    ),
    "softsign": (
        sg.softsign,
        (lambda x: x / (1 + abs(x)), lambda x: (1 + abs(x)) ** -2, lambda x: -2 * mp.sign(x) * (1 + abs(x)) ** -3),
        1e150,
        (0.0,),
    ),
}
SELU_ABOVE = "1.0507009873554804934193349852946"
SELU = "1.7580993408473768599402175208123193"  # the scale above times 1.6732632423543772848170429916717


def ulps(found: float, exact: Any) -> float:
    rounded = float(exact)
    if not 2.2250738585072014e-308 <= abs(rounded) < inf:
        return 0.0
    return float(abs(mpf(found) - exact) / mpf(math.ulp(rounded))) if math.isfinite(found) else inf


@pytest.mark.parametrize("name", EXACT)
def test_last_digits(name: str) -> None:
    f, exact, end, spots = EXACT[name]
    r = random.Random(name)
    points = [r.uniform(-8.0, 8.0) for _ in range(150)] + [r.uniform(-end, end) for _ in range(80)]
    points += [spot + s * 10.0 ** r.uniform(-17.0, -0.5) for spot in spots for s in (-1.0, 1.0) for _ in range(12)]
    points += [s * 10.0 ** r.uniform(-20.0, 2.0) for s in (-1.0, 1.0) for _ in range(20)] + list(spots)
    derivatives = (f, grad(f), grad(grad(f)))
    with mp.workprec(300):
        for x in points:
            if abs(x) > end:
                continue
            for order, bound in enumerate((2.0, 4.0, 16.0)):
                assert ulps(derivatives[order](x), exact[order](mpf(x))) <= bound, (order, x)


@pytest.mark.parametrize("name", EXACT)
def test_third_and_fourth_derivative(name: str) -> None:
    f, exact, _, _ = EXACT[name]
    third = grad(grad(grad(f)))
    for x in (-2.5, -0.7, -0.2, 0.3, 1.7):
        with mp.workdps(60):
            assert third(x) == pytest.approx(float(mp.diff(exact[2], mpf(x))), rel=1e-9, abs=1e-13)
            assert grad(third)(x) == pytest.approx(float(mp.diff(exact[2], mpf(x), 2)), rel=1e-9, abs=1e-13)


def test_log_softmax_keeps_its_digits() -> None:
    r = random.Random(0)
    with mp.workprec(2000):
        for _ in range(300):
            size = 10.0 ** r.uniform(-3.0, 2.8)
            xs = [r.uniform(-size, size) for _ in range(r.randint(2, 5))]
            top = mp.log(mp.fsum(mp.exp(mpf(x)) for x in xs))
            for x, y in zip(xs, sg.log_softmax(xs), strict=True):
                assert ulps(y, mpf(x) - top) <= 3.0
            shares = [mp.exp(mpf(x) - top) for x in xs]
            first = log_softmax_share.local_gradients(0.0, xs)
            assert ulps(first[0], mp.fsum(shares[1:])) <= 4.0
            assert all(ulps(g, -p) <= 4.0 for g, p in zip(first[1:], shares[1:], strict=True))


# ---- awkward points --------------------------------------------------------------------------------------------------


def at(f: Callable[[Any], Any], x: float) -> tuple[float, float]:
    v = Value(x)
    y = f(v)
    y.backward()
    assert y.data == f(x) or y.data != y.data
    return y.data, v.grad


AWKWARD: list[tuple[Callable[[Any], Any], float, float, float]] = [
    (sg.relu, 0.0, 0.0, 0.0),
    (lambda x: sg.leaky_relu(x, 0.25), 0.0, 0.0, 0.25),
    (lambda x: sg.leaky_relu(x, 0.25), -inf, -inf, 0.25),
    (sg.elu, 0.0, 0.0, 1.0),
    (lambda x: sg.elu(x, 0.5), 0.0, 0.0, 0.5),
    (sg.elu, -40.0, -1.0, math.exp(-40.0)),
    (sg.elu, -1e-20, -1e-20, 1.0),
    (sg.elu, -inf, -1.0, 0.0),
    (sg.elu, 1000.0, 1000.0, 1.0),
    (sg.silu, -inf, 0.0, 0.0),
    (sg.silu, inf, inf, 1.0),
    (sg.silu, -1e308, 0.0, 0.0),
    (sg.gelu, -inf, 0.0, 0.0),
    (sg.gelu, inf, inf, 1.0),
    (lambda x: sg.gelu(x, "tanh"), -inf, 0.0, 0.0),
    (lambda x: sg.gelu(x, "tanh"), inf, inf, 1.0),
    (lambda x: sg.gelu(x, "tanh"), 1e200, 1e200, 1.0),
    (lambda x: sg.softplus(x, 4.0), -inf, 0.0, 0.0),
    (lambda x: sg.softplus(x, 4.0), inf, inf, 1.0),
    (lambda x: sg.softplus(x, 1e200), -1.0, 0.0, 0.0),
    (lambda x: sg.softplus(x, 1e-200), 1.0, math.log(2.0) / 1e-200, 0.5),
    (sg.hardtanh, 1.0, 1.0, 0.0),
    (sg.hardtanh, -1.0, -1.0, 0.0),
    (sg.hardtanh, 0.99, 0.99, 1.0),
    (sg.hardsigmoid, 3.0, 1.0, 0.0),
    (sg.hardsigmoid, -3.0, 0.0, 0.0),
    (sg.softsign, inf, 1.0, 0.0),
    (sg.softsign, -inf, -1.0, 0.0),
    (sg.softsign, 0.0, 0.0, 1.0),
]


@pytest.mark.parametrize(("f", "x", "value", "derivative"), AWKWARD)
def test_awkward_points(f: Callable[[Any], Any], x: float, value: float, derivative: float) -> None:
    assert at(f, x) == (value, derivative)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus",
                                  "hardtanh", "hardsigmoid", "softsign"])  # fmt: skip
def test_nan_in_nan_out(name: str) -> None:
    value, derivative = at(sg.activation(name), nan)
    assert math.isnan(value)
    assert math.isnan(derivative)


def test_softmax_at_the_infinities() -> None:
    assert sg.softmax([inf, 0.0, inf]) == [0.5, 0.0, 0.5]
    assert sg.softmax([-inf, 0.0]) == [0.0, 1.0]
    assert sg.softmax([-inf, -inf]) == [0.0, 0.0]
    assert sg.log_softmax([-inf, 0.0]) == [-inf, 0.0]
    assert sg.log_softmax([inf, 0.0, inf]) == [-math.log(2.0), -inf, -math.log(2.0)]
    assert all(map(math.isnan, sg.softmax([nan, 0.0]) + sg.log_softmax([nan, 0.0])))
    assert sg.softmax([3.0]) == [1.0]
    assert math.copysign(1.0, sg.log_softmax([3.0])[0]) == 1.0


# ---- laws ------------------------------------------------------------------------------------------------------------


@given(scores, st.floats(-100.0, 100.0))
def test_softmax_sums_to_one_and_is_shift_invariant(xs: list[float], shift: float) -> None:
    ps = sg.softmax(xs)
    assert math.fsum(ps) == pytest.approx(1.0, abs=1e-15)
    assert sg.softmax([x + shift for x in xs]) == pytest.approx(ps, rel=1e-12)
    assert [math.exp(y) for y in sg.log_softmax(xs)] == pytest.approx(ps, rel=1e-12)


@given(scores, st.randoms())
def test_softmax_goes_with_a_permutation(xs: list[float], r: random.Random) -> None:
    order = list(range(len(xs)))
    r.shuffle(order)
    ps = sg.softmax(xs)
    assert sg.softmax([xs[k] for k in order]) == pytest.approx([ps[k] for k in order], rel=1e-15)


@given(scores, st.floats(0.1, 10.0))
def test_rows_of_softmax_jacobian_sum_to_zero(xs: list[float], t: float) -> None:
    for row in jacobian(lambda zs: sg.softmax(zs, t))(xs):
        assert math.fsum(row) == pytest.approx(0.0, abs=1e-14 / t)


@given(st.floats(-700.0, 700.0))
def test_smooth_activations_stay_near_relu(x: float) -> None:
    for f in (sg.silu, sg.gelu, sg.softplus):
        assert abs(f(x) - max(x, 0.0)) <= 0.7
    assert sg.softplus(x, 2.0) == pytest.approx(0.5 * math.log1p(math.exp(2.0 * x)) if x < 300.0 else x, rel=1e-12)


@given(st.floats(-1e3, 1e3))
def test_mirror_images(x: float) -> None:
    assert sg.silu(x) - sg.silu(-x) == pytest.approx(x, rel=1e-14)
    assert sg.gelu(x) - sg.gelu(-x) == pytest.approx(x, rel=1e-14)
    assert sg.softplus(x, 0.5) - sg.softplus(-x, 0.5) == pytest.approx(x, rel=1e-14)
    assert sg.softsign(-x) == -sg.softsign(x)
    assert sg.sigmoid(x) + sg.sigmoid(-x) == pytest.approx(1.0, rel=1e-15)


# ---- parameters, names, pickles, errors ------------------------------------------------------------------------------


def test_a_value_as_parameter_is_learnt() -> None:
    for f, x, value, derivative in (
        (sg.leaky_relu, -2.0, -0.5, -2.0),
        (sg.leaky_relu, 2.0, 2.0, 0.0),
        (sg.elu, -1.0, 0.25 * math.expm1(-1.0), math.expm1(-1.0)),
        (sg.elu, 1000.0, 1000.0, 0.0),
    ):
        parameter = Value(0.25)
        y = f(x, parameter)
        y.backward()
        assert (y.data, parameter.grad) == (value, derivative)
    beta = Value(2.0)
    y = sg.softplus(0.5, beta)
    y.backward()
    assert y.data == pytest.approx(sg.softplus(0.5, 2.0), rel=1e-15)
    assert beta.grad == pytest.approx(0.25 * sg.sigmoid(1.0) - 0.25 * math.log1p(math.e), rel=1e-14)
    t = Value(2.0)
    sg.softmax([1.0, -1.0], t)[0].backward()
    p = sg.sigmoid(1.0)
    assert t.grad == pytest.approx(-0.5 * p * (1 - p), rel=1e-14)


def test_by_name() -> None:
    for name in set(sg.__all__) - {"activation"}:
        assert sg.activation(name) is getattr(sg, name)
        assert sg.activation(getattr(sg, name)) is getattr(sg, name)
    assert sg.activation("elu", alpha=2.0)(-1.0) == 2.0 * math.expm1(-1.0)
    with pytest.raises(ValueError, match=r"unknown name 'rleu'; known: elu, gelu, .*tanh"):
        sg.activation("rleu")


def test_identity() -> None:
    x = Value(2.0)
    assert sg.identity(x) is x
    assert sg.identity(2) == 2.0
    assert type(sg.identity(2)) is float
    with pytest.raises(TypeError, match="identity: expected a real number"):
        sg.identity("2")


@pytest.mark.parametrize("name", sorted(set(sg.__all__) - {"activation", "identity", "softmax", "log_softmax"}))
def test_rows_pickle_as_themselves(name: str) -> None:
    f = sg.activation(name)
    y = f(Value(-0.3))
    row: Primitive = y.operation
    assert pickle.loads(pickle.dumps(row)) is row
    again = pickle.loads(pickle.dumps(y))
    again.backward()
    assert again.parents[0].grad == grad(f)(-0.3)
    notation = row.local_notation("y", ["x"])
    assert len(notation) == 1
    assert "{" not in notation[0]
    assert all("{" not in each for each in grad_rows(row))


def grad_rows(row: Primitive) -> list[str]:
    """The notation of the rows of the derivatives."""
    found = []
    for _ in range(3):
        nodes = [row.local_gradients(row(Value(0.3)), (Value(0.3),))[0]]
        if not isinstance(nodes[0], Value) or nodes[0].operation.flat:
            break
        row = nodes[0].operation
        found += row.local_notation("y", ["x"] * len(nodes[0].parents))
        if len(nodes[0].parents) != 1:
            break
    return found


def test_log_softmax_share_pickles_and_draws() -> None:
    assert pickle.loads(pickle.dumps(log_softmax_share)) is log_softmax_share
    assert log_softmax_share.local_notation("y", ["a", "b"]) == ("1-exp y", "-softmax(b)")


def test_bad_parameters() -> None:
    with pytest.raises(ValueError, match="softmax: of no numbers"):
        sg.softmax([])
    with pytest.raises(ValueError, match=r"softmax: temperature must be above 0, got 0\.0"):
        sg.softmax([1.0], temperature=0)
    with pytest.raises(TypeError, match="log_softmax: expected a sequence"):
        sg.log_softmax(3.0)
    with pytest.raises(ValueError, match=r"softplus: beta must be above 0, got -1\.0"):
        sg.softplus(1.0, beta=-1)
    with pytest.raises(ValueError, match=r"softplus: beta must be above 0, got -1\.0"):
        sg.softplus(1.0, beta=Value(-1))
    with pytest.raises(ValueError, match=r"hardtanh: low must be below high, got 1\.0 and -1\.0"):
        sg.hardtanh(1.0, 1, -1)
    with pytest.raises(ValueError, match='gelu: approximate must be "none" or "tanh", got \'fast\''):
        sg.gelu(1.0, approximate="fast")
    with pytest.raises(TypeError, match="elu: alpha: expected a real number, got str"):
        sg.elu(1.0, alpha="1")


@settings(max_examples=15)
@given(st.lists(st.floats(-30.0, 30.0), min_size=1, max_size=6), st.integers(0, 5))
def test_shares_have_the_same_bits_on_floats_and_values(xs: list[float], k: int) -> None:
    k %= len(xs)
    first = [xs[k], *xs[:k], *xs[k + 1 :]]
    for row in (
        primitives.softmax_share,
        primitives.share_of_softmax(k),
        primitives.rest_of_softmax(k),
        primitives.logsumexp,
    ):
        for operands in (xs, first):
            y = row(*operands)
            values = row.local_gradients(Value(y), list(map(Value, operands)))
            assert [x.data if isinstance(x, Value) else x for x in values] == [*row.local_gradients(y, operands)]
    assert primitives.rest_of_softmax(k)(*xs) == pytest.approx(1.0 - sg.softmax(xs)[k], abs=1e-15)
    assert primitives.share_of_softmax(k)(*xs) == pytest.approx(sg.softmax(xs)[k], rel=1e-15)
    check_grads(lambda zs: primitives.rest_of_softmax(k)(*zs), (xs,), order=2, undecided="report")
    assert pickle.loads(pickle.dumps(primitives.share_of_softmax(k))) is primitives.share_of_softmax(k)
