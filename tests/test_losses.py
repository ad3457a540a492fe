"""Losses: against PyTorch's values, against mpmath in the tails, and by their laws; errors name what was wrong."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable
from functools import partial
from math import inf, nan
from typing import Any

import mpmath as mp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from scalargrad import losses as sg
from scalargrad.activations import log_softmax, sigmoid, softmax
from scalargrad.activations.primitives import log_softmax_share
from scalargrad.compiler import compile  # noqa: A004
from scalargrad.engine.value import Value
from scalargrad.losses import primitives as loss_rows
from scalargrad.transforms.derivatives import grad, hessian, value_and_grad

PREDICTIONS, TARGETS = [0.5, -1.25, 2.0, 0.75], [1.0, -1.25, -0.5, 0.25]
SCORES = [[1.0, 2.0, 0.5], [-1.0, 0.0, 3.0], [0.25, 0.25, 0.25]]
CLASSES = [1, 0, 2]
SHARES = [[0.0, 1.0, 0.0], [0.2, 0.3, 0.5], [0.25, 0.5, 0.25]]

# PyTorch 2.13.0, float64: options, predictions, targets; mean, sum, none; the derivative of the mean. Its kl_div is
# given logarithms, summed over the classes of a sample; categorical_cross_entropy is its nll_loss of logarithms.
TORCH = [
    ("mean_squared_error", {}, PREDICTIONS, TARGETS, 1.6875, 6.75, [0.25, 0.0, 6.25, 0.25], [-0.25, 0.0, 1.25, 0.25]),
    ("mean_absolute_error", {}, PREDICTIONS, TARGETS, 0.875, 3.5, [0.5, 0.0, 2.5, 0.5], [-0.25, 0.0, 0.25, 0.25]),
    (
        "huber",
        {"delta": 0.75},
        PREDICTIONS,
        TARGETS,
        0.4609375,
        1.84375,
        [0.125, 0.0, 1.59375, 0.125],
        [-0.125, 0.0, 0.1875, 0.125],
    ),
    (
        "binary_cross_entropy_with_logits",
        {},
        [0.0, -3.0, 2.0, 40.0],
        [1.0, 0.0, 0.25, 0.0],
        10.592165635794165,
        42.36866254317666,
        [0.6931471805599453, 0.048587351573742055, 1.6269280110429725, 40.0],
        [-0.125, 0.011856468294391695, 0.15769926949447058, 0.25],
    ),
    (
        "binary_cross_entropy_with_logits",
        {"pos_weight": 3.0},
        [0.0, -3.0, 2.0, 40.0],
        [1.0, 0.0, 0.25, 0.0],
        10.95460522745451,
        43.81842090981804,
        [2.0794415416798357, 0.048587351573742055, 1.6903920165644588, 40.0],
        [-0.375, 0.011856468294391695, 0.14279890424170588, 0.25],
    ),
    (
        "cross_entropy",
        {},
        SCORES,
        CLASSES,
        1.8762883255111615,
        5.628864976533484,
        [0.4643687841079449, 4.065883903757429, 1.0986122886681098],
        [
            [0.07707463254071634, -0.12382276026274586, 0.04674812772202949],
            [-0.3276173914848265, 0.01553754085932463, 0.3120798506255019],
            [0.1111111111111111, 0.1111111111111111, -0.2222222222222222],
        ],
    ),
    (
        "cross_entropy",
        {},
        SCORES,
        SHARES,
        1.1096216588444947,
        3.328864976533484,
        [0.4643687841079449, 1.7658839037574294, 1.0986122886681098],
        [
            [0.07707463254071634, -0.12382276026274586, 0.04674812772202949],
            [-0.06095072481815987, -0.08446245914067536, 0.14541318395883523],
            [0.02777777777777777, -0.05555555555555556, 0.02777777777777777],
        ],
    ),
    (
        "cross_entropy",
        {"class_weights": [0.5, 2.0, 1.5]},
        SCORES,
        CLASSES,
        1.1523994882741921,
        4.609597953096769,
        [0.9287375682158898, 2.0329419518787146, 1.6479184330021646],
        [
            [0.11561194881107452, -0.18573414039411879, 0.07012219158304424],
            [-0.12285652180680995, 0.005826577822246736, 0.11702994398456322],
            [0.125, 0.125, -0.25],
        ],
    ),
    (
        "cross_entropy",
        {"class_weights": [0.5, 2.0, 1.5]},
        SCORES,
        SHARES,
        1.6240625538887759,
        4.872187661666327,
        [0.9287375682158898, 2.2955316604482725, 1.6479184330021646],
        [
            [0.15414926508143267, -0.2476455205254917, 0.09349625544405898],
            [-0.02504521765299848, -0.17747056575397926, 0.20251578340697773],
            [0.125, -0.16666666666666666, 0.04166666666666666],
        ],
    ),
    (
        "cross_entropy",
        {"label_smoothing": 0.1},
        SCORES,
        CLASSES,
        1.8485105477333836,
        5.545531643200151,
        [0.5477021174412783, 3.8992172370907623, 1.0986122886681098],
        [
            [0.06596352142960524, -0.10160053804052362, 0.035637016610918386],
            [-0.3053951692626043, 0.004426429748213521, 0.30096873951439085],
            [0.09999999999999999, 0.09999999999999999, -0.2],
        ],
    ),
    (
        "cross_entropy",
        {"label_smoothing": 0.1},
        SCORES,
        SHARES,
        1.1585105477333835,
        3.4755316432001506,
        [0.5477021174412783, 1.8292172370907624, 1.0986122886681098],
        [
            [0.06596352142960525, -0.10160053804052362, 0.035637016610918386],
            [-0.06539516926260432, -0.08557357025178648, 0.1509687395143908],
            [0.024999999999999988, -0.049999999999999996, 0.024999999999999988],
        ],
    ),
    (
        "cross_entropy",
        {"class_weights": [0.5, 2.0, 1.5], "label_smoothing": 0.1},
        SCORES,
        CLASSES,
        1.1810383719978892,
        4.724153487991557,
        [0.9894463159420268, 2.1050989438585, 1.6296082281910294],
        [
            [0.10759155051737204, -0.16287633571431484, 0.055284785196942764],
            [-0.11416594210794495, -0.00986899254071214, 0.1240349346486571],
            [0.11944444444444444, 0.10694444444444444, -0.22638888888888892],
        ],
    ),
    (
        "cross_entropy",
        {"class_weights": [0.5, 2.0, 1.5], "label_smoothing": 0.1},
        SCORES,
        SHARES,
        1.6534947419013861,
        4.960484225704159,
        [0.9894463159420268, 2.3414296815711024, 1.6296082281910294],
        [
            [0.1434554006898294, -0.2171684476190864, 0.07371304692925702],
            [-0.027334125863453282, -0.17987405928622696, 0.20720818514968026],
            [0.12175925925925926, -0.15740740740740738, 0.03564814814814813],
        ],
    ),
    (
        "negative_log_likelihood",
        {},
        [[-0.25, -1.5, -3.0], [-2.0, -0.5, -1.25]],
        [0, 2],
        0.75,
        1.5,
        [0.25, 1.25],
        [[-0.5, 0.0, 0.0], [0.0, 0.0, -0.5]],
    ),
    (
        "negative_log_likelihood",
        {"class_weights": [0.5, 2.0, 1.5]},
        [[-0.25, -1.5, -3.0], [-2.0, -0.5, -1.25]],
        [0, 2],
        1.0,
        2.0,
        [0.125, 1.875],
        [[-0.25, 0.0, 0.0], [0.0, 0.0, -0.75]],
    ),
    (
        "kl_divergence",
        {},
        [[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]],
        [[0.25, 0.5, 0.25], [0.0, 0.5, 0.5]],
        0.2315980213832287,
        0.4631960427664574,
        [0.17328679513998632, 0.2899092476264711],
        [[-0.25, -1.0, -0.5], [-0.0, -1.25, -0.35714285714285715]],
    ),
    (
        "categorical_cross_entropy",
        {},
        [[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]],
        [2, 1],
        1.4978661367769954,
        2.995732273553991,
        [1.3862943611198906, 1.6094379124341003],
        [[0.0, 0.0, -2.0], [0.0, -2.5, 0.0]],
    ),
]


def flat(x: Any) -> list[Any]:
    return [z for y in x for z in flat(y)] if isinstance(x, list) else [x]


def valued(x: Any) -> Any:
    return [valued(y) for y in x] if isinstance(x, list) else Value(x)


def gradient(name: str, predictions: Any, targets: Any, **options: Any) -> list[float]:
    vs = valued(predictions)
    getattr(sg, name)(vs, targets, **options).backward()
    return [v.grad for v in flat(vs)]


@pytest.mark.parametrize(("name", "options", "predictions", "targets", "mean", "total", "each", "derivatives"), TORCH)
def test_agrees_with_pytorch(
    name: str, options: Any, predictions: Any, targets: Any, mean: float, total: float, each: Any, derivatives: Any
) -> None:
    loss = getattr(sg, name)
    for reduction, expected in (("mean", mean), ("sum", total), ("none", each)):
        found = loss(predictions, targets, reduction=reduction, **options)
        assert flat(found) == pytest.approx(flat(expected), rel=1e-14)
        on_values = loss(valued(predictions), targets, reduction=reduction, **options)
        assert [v.data for v in flat(on_values)] == flat(found)
    assert loss(predictions, targets, **options) == loss(predictions, targets, reduction="mean", **options)
    found = gradient(name, predictions, targets, **options)
    assert found == pytest.approx(flat(derivatives), rel=1e-14, abs=1e-16)


def test_binary_cross_entropy_agrees_with_pytorch() -> None:
    found = sg.binary_cross_entropy([0.9, 0.2, 0.5, 1.0, 0.0], [1.0, 0.0, 0.25, 0.0, 1.0], reduction="none")
    assert found == pytest.approx(
        [0.10536051565782628, 0.22314355131420976, 0.6931471805599453, 100.0, 100.0], rel=1e-15
    )
    slopes = gradient("binary_cross_entropy", [0.9, 0.2, 0.5, 1.0, 0.0], [1.0, 0.0, 0.25, 0.0, 1.0], reduction="sum")
    assert slopes == pytest.approx([-1.1111111111111112, 1.25, 1.0, 1e12, -1e12], rel=1e-15)


# ---- points known from the textbook ----------------------------------------------------------------------------------


def test_equal_accuracy_and_different_cross_entropy() -> None:
    sure = [[0.1, 0.2, 0.7], [0.1, 0.7, 0.2], [0.3, 0.4, 0.3]]
    unsure = [[0.3, 0.3, 0.4], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]]
    classes = [2, 1, 0]
    for ps in (sure, unsure):
        assert sum(max(range(3), key=p.__getitem__) == k for p, k in zip(ps, classes, strict=True)) == 2
    assert sg.categorical_cross_entropy([[0.9, 0.1]], [0]) == pytest.approx(0.105, abs=5e-4)
    assert sg.categorical_cross_entropy(sure, classes) == pytest.approx(-math.log(0.7 * 0.7 * 0.3) / 3)
    assert sg.categorical_cross_entropy(unsure, classes) == pytest.approx(-math.log(0.4 * 0.4 * 0.1) / 3)


def test_hinge() -> None:
    predictions, targets = [0.5, -2.0, 0.25, 1.0], [1, -1, -1, 1]
    assert sg.hinge(predictions, targets, reduction="none") == [0.5, 0.0, 1.25, 0.0]
    assert gradient("hinge", predictions, targets) == [-0.25, 0.0, 0.25, 0.0]


def test_second_derivatives() -> None:
    z = [0.3, -1.0, 2.0]
    p = softmax(z)
    found = hessian(lambda zs: sg.cross_entropy([zs], [1]))(z)
    soft = hessian(lambda zs: sg.cross_entropy([zs], [[0.25, 0.25, 0.5]]))(z)
    for j in range(3):
        for k in range(3):
            expected = p[j] * ((j == k) - p[k])
            assert found[j][k] == pytest.approx(expected, rel=1e-13)
            assert soft[j][k] == pytest.approx(expected, rel=1e-13)
    s = sigmoid(0.7)
    for t in (0.0, 0.3, 1.0):
        second = grad(grad(lambda x, t=t: sg.binary_cross_entropy_with_logits([x], [t])))(0.7)
        assert second == pytest.approx(s * (1 - s), rel=1e-13)
        second = grad(grad(lambda x, t=t: sg.binary_cross_entropy([x], [t])))(0.7)
        assert second == pytest.approx(t / 0.49 + (1 - t) / 0.09, rel=1e-13)
    assert grad(grad(lambda x: sg.huber([x], [0.0], delta=2.0)))(1.0) == 1.0
    assert grad(grad(lambda x: sg.huber([x], [0.0], delta=2.0)))(3.0) == 0.0
    assert hessian(lambda qs: sg.kl_divergence([[qs[0], qs[1]]], [[0.75, 0.25]]))([0.5, 0.5]) == [
        [3.0, 0.0],
        [0.0, 1.0],
    ]


def test_targets_may_be_differentiated_too() -> None:
    t = [Value(0.75), Value(0.25)]
    sg.cross_entropy([[1.0, 3.0]], [t]).backward()
    assert [x.grad for x in t] == [-x for x in log_softmax([1.0, 3.0])]
    t = [Value(0.75), Value(0.25)]
    sg.kl_divergence([[0.5, 0.5]], [t]).backward()
    assert [x.grad for x in t] == pytest.approx([1 + math.log(1.5), 1 + math.log(0.5)], rel=1e-15)
    target = Value(0.25)
    sg.binary_cross_entropy_with_logits([3.0], [target]).backward()
    assert target.grad == -3.0
    target = Value(0.25)
    sg.binary_cross_entropy([0.2], [target]).backward()
    assert target.grad == pytest.approx(math.log(0.8 / 0.2), rel=1e-15)
    target = Value(0.25)
    sg.binary_cross_entropy_with_logits([3.0], [target], pos_weight=2.0).backward()
    assert target.grad == pytest.approx(2 * math.log1p(math.exp(-3)) - math.log1p(math.exp(3)), rel=1e-15)


# ---- ties and tails --------------------------------------------------------------------------------------------------


def ulps(found: float, exact: Any) -> float:
    rounded = float(exact)
    if not 2.2250738585072014e-308 <= abs(rounded) < inf:
        return 0.0 if found == rounded or abs(rounded) < 1e-307 else inf
    return float(abs(mpf(found) - exact) / mpf(math.ulp(rounded))) if math.isfinite(found) else inf


def test_at_ties_gradients_are_exact() -> None:
    assert gradient("binary_cross_entropy_with_logits", [0.0, 0.0, 0.0], [0.0, 0.5, 1.0], reduction="sum") == [
        0.5,
        0.0,
        -0.5,
    ]
    assert gradient("cross_entropy", [[3.0, 3.0]], [0]) == [-0.5, 0.5]
    assert gradient("cross_entropy", [[3.0, 3.0, 3.0, 3.0]], [[0.25] * 4]) == [0.0] * 4
    assert gradient("cross_entropy", [[7.0] * 3], [[1 / 3] * 3]) == [0.0] * 3
    assert gradient("mean_absolute_error", [2.0], [2.0]) == [0.0]


def test_cross_entropy_keeps_its_digits() -> None:
    r = random.Random(1)
    with mp.workprec(2200):
        for _ in range(250):
            size = 10.0 ** r.uniform(-2.0, 2.8)
            zs = [r.uniform(-size, size) for _ in range(r.randint(2, 5))]
            k = r.choice((r.randrange(len(zs)), zs.index(max(zs))))
            whole = mp.log(mp.fsum(mp.exp(mpf(z)) for z in zs))
            ps = [mp.exp(mpf(z) - whole) for z in zs]
            onehot = [1.0 if j == k else 0.0 for j in range(len(zs))]
            for target in (k, onehot):
                assert ulps(sg.cross_entropy([zs], [target]), whole - mpf(zs[k])) <= 3.0
                for j, g in enumerate(gradient("cross_entropy", [zs], [target])):
                    exact = ps[j] if j != k else -mp.fsum(p for i, p in enumerate(ps) if i != k)
                    assert ulps(g, exact) <= 5.0


def test_logistic_loss_keeps_its_digits() -> None:
    r = random.Random(2)
    with mp.workprec(2200):
        for _ in range(300):
            z, t = r.choice((-1.0, 1.0)) * 10.0 ** r.uniform(-10.0, 2.8), r.choice((0.0, 1.0))
            exact = mp.log1p(mp.exp(mpf(z))) - mpf(t) * mpf(z)
            assert ulps(sg.binary_cross_entropy_with_logits([z], [t]), exact) <= 2.0
            slope = 1 / (1 + mp.exp(-mpf(z))) - mpf(t)
            assert ulps(gradient("binary_cross_entropy_with_logits", [z], [t])[0], slope) <= 3.0


def test_far_out() -> None:
    assert sg.cross_entropy([[1e308, -1e308]], [0]) == 0.0
    assert sg.cross_entropy([[1e308, -1e307]], [1]) == 1.1e308
    assert sg.cross_entropy([[-inf, 0.0]], [[0.0, 1.0]]) == 0.0
    assert sg.cross_entropy([[-inf, 0.0]], [0]) == inf
    assert sg.binary_cross_entropy_with_logits([1e308, -1e308], [1.0, 0.0]) == 0.0
    assert sg.binary_cross_entropy_with_logits([inf], [1.0]) == 0.0
    assert sg.kl_divergence([[0.0, 1.0]], [[0.5, 0.5]]) == inf
    assert sg.kl_divergence([[0.0, 1.0]], [[0.0, 1.0]]) == 0.0
    assert sg.mean_squared_error([1e200], [0.0]) == inf
    assert gradient("binary_cross_entropy", [1.0, 0.0], [1.0, 0.0], reduction="sum") == [-1.0, 1.0]
    for name, predictions, targets in (
        ("mean_squared_error", [nan], [0.0]),
        ("huber", [nan], [0.0]),
        ("hinge", [nan], [1]),
        ("binary_cross_entropy", [nan], [1.0]),
        ("binary_cross_entropy_with_logits", [nan], [1.0]),
        ("cross_entropy", [[nan, 0.0]], [1]),
        ("cross_entropy", [[nan, 0.0]], [[0.5, 0.5]]),
        ("categorical_cross_entropy", [[nan, 1.0]], [0]),
        ("kl_divergence", [[nan, 1.0]], [[0.5, 0.5]]),
    ):
        assert math.isnan(getattr(sg, name)(predictions, targets)), name


def test_kl_divergence_of_near_distributions() -> None:
    t = [0.3, 0.7]
    q = [0.3 + 1e-6, 0.7 - 1e-6]
    with mp.workprec(300):
        exact = mp.fsum(mpf(a) * mp.log(mpf(a) / mpf(b)) for a, b in zip(t, q, strict=True))
        assert abs(sg.kl_divergence([q], [t]) - float(exact)) <= 1e-21


# ---- laws ------------------------------------------------------------------------------------------------------------

number = st.floats(-30.0, 30.0)
share = st.floats(0.0, 1.0)


def distribution(n: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-5.0, 5.0), min_size=n, max_size=n).map(softmax)


def batches(name: str) -> st.SearchStrategy[list[tuple[Any, Any]]]:
    """Lists of samples: a prediction and a target each."""
    pair: Any
    if name in ("mean_squared_error", "mean_absolute_error", "huber"):
        pair = st.tuples(number, number)
    elif name == "hinge":
        pair = st.tuples(number, st.sampled_from([-1, 1]))
    elif name == "binary_cross_entropy":
        pair = st.tuples(share, share)
    elif name == "binary_cross_entropy_with_logits":
        pair = st.tuples(number, share)
    elif name == "cross_entropy":
        pair = st.tuples(st.lists(number, min_size=3, max_size=3), st.integers(0, 2) | distribution(3))
    elif name == "categorical_cross_entropy":
        pair = st.tuples(distribution(3), st.integers(0, 2) | distribution(3))
    elif name == "negative_log_likelihood":
        pair = st.tuples(distribution(3).map(lambda ps: [math.log(p) for p in ps]), st.integers(0, 2))
    else:
        pair = st.tuples(distribution(3), distribution(3))
    return st.lists(pair, min_size=1, max_size=4)


@pytest.mark.parametrize("name", sg.__all__)
@given(st.data())
def test_laws(name: str, data: Any) -> None:
    batch = data.draw(batches(name))
    predictions, targets = map(list, zip(*batch, strict=True))
    loss: Callable[..., Any] = getattr(sg, name)
    each = loss(predictions, targets, reduction="none")
    # losses are not negative; reductions agree
    assert all(x >= (-1e-15 if name == "kl_divergence" else 0.0) for x in each)
    assert loss(predictions, targets, reduction="sum") == pytest.approx(math.fsum(each), rel=1e-14, abs=1e-15)
    assert loss(predictions, targets) == pytest.approx(math.fsum(each) / len(each), rel=1e-14, abs=1e-15)
    # a permutation of the samples permutes their losses and their gradients, and nothing else
    order = data.draw(st.permutations(range(len(batch))))
    again = loss([predictions[k] for k in order], [targets[k] for k in order], reduction="none")
    assert again == [each[k] for k in order]
    before = [gradient(name, [p], [t]) for p, t in batch]
    shuffled = gradient(name, [predictions[k] for k in order], [targets[k] for k in order], reduction="sum")
    assert shuffled == [g for k in order for g in before[k]]


@given(st.lists(number, min_size=2, max_size=4), st.floats(-100.0, 100.0))
def test_cross_entropy_is_shift_invariant(zs: list[float], shift: float) -> None:
    moved = sg.cross_entropy([[z + shift for z in zs]], [0])
    assert moved == pytest.approx(sg.cross_entropy([zs], [0]), rel=1e-10, abs=1e-300)


@given(st.lists(number, min_size=3, max_size=3), st.integers(0, 2), st.floats(0.0, 1.0))
def test_forms_agree(zs: list[float], k: int, smoothing: float) -> None:
    onehot = [1.0 if j == k else 0.0 for j in range(3)]
    by_index = sg.cross_entropy([zs], [k], label_smoothing=smoothing)
    assert sg.cross_entropy([zs], [onehot], label_smoothing=smoothing) == pytest.approx(by_index, rel=1e-14)
    assert sg.negative_log_likelihood([log_softmax(zs)], [k]) == sg.cross_entropy([zs], [k])
    ps = softmax(zs)
    assert sg.categorical_cross_entropy([ps], [k], label_smoothing=smoothing) == pytest.approx(
        by_index, abs=1e-14, rel=1e-13
    )
    z = zs[0]
    two = sg.cross_entropy([[0.0, z]], [1])
    assert sg.binary_cross_entropy_with_logits([z], [1.0]) == pytest.approx(two, rel=1e-15)
    if abs(z) < 15.0:
        assert sg.binary_cross_entropy([sigmoid(z)], [0.25]) == pytest.approx(
            sg.binary_cross_entropy_with_logits([z], [0.25]), rel=1e-9
        )


def test_several_outputs_a_sample() -> None:
    predictions, targets = [[0.5, 2.0], [1.0, 0.0]], [[1.0, 2.0], [0.0, 0.0]]
    assert sg.mean_squared_error(predictions, targets) == 1.25 / 4
    assert sg.mean_squared_error(predictions, targets, reduction="none") == [[0.25, 0.0], [1.0, 0.0]]
    assert sg.binary_cross_entropy_with_logits([[0.0, 0.0]], [[1.0, 0.0]]) == pytest.approx(math.log(2.0), rel=1e-15)


def test_one_node_for_each_sample() -> None:
    z = [Value(1.0), Value(2.0), Value(3.0)]
    (loss,) = sg.cross_entropy([z], [1], reduction="none")
    assert [p.data for p in loss.parents] == [1.0, 2.0, 3.0]
    assert loss.data == loss_rows.surprise(2.0, 1.0, 3.0)  # to the bit
    assert loss.local_gradients[1] == loss_rows.surprise.local_gradients(loss.data, (2.0, 1.0, 3.0))[0]
    (loss,) = sg.cross_entropy([z], [[0.5, 0.25, 0.25]], reduction="none")
    assert [p.data for p in loss.parents] == [1.0, 2.0, 3.0, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    "row",
    [loss_rows.surprise, loss_rows.soft_cross_entropy, loss_rows.relative_entropy, loss_rows.binary_cross_entropy,
     loss_rows.minus_log, loss_rows.surprise_of(2), loss_rows.logistic_loss(1.0), loss_rows.logistic_loss(2.5),
     loss_rows.huber(0.5)],
)  # fmt: skip
def test_rows_pickle_and_draw(row: Any) -> None:
    assert pickle.loads(pickle.dumps(row)) is row
    names = ["u", "v", "w", "x"][: row.arity or 4]
    notation = row.local_notation("y", names)
    assert len(notation) == len(names)
    assert not any("{" in each for each in notation)


# ---- errors ----------------------------------------------------------------------------------------------------------

ERRORS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("mean_squared_error", ([1.0, 2.0], [1.0]), {}, "mean_squared_error: 2 predictions but 1 targets"),
    ("mean_squared_error", ([], []), {}, "mean_squared_error: an empty batch"),
    ("mean_squared_error", ([[]], [[]]), {}, "an empty batch: samples without a number"),
    ("mean_squared_error", ([[1.0]], [1.0]), {}, "the prediction of sample 0 is a list, its target a number"),
    ("mean_squared_error", ([[1.0], [1.0]], [[1.0], [1.0, 2.0]]), {}, "1 predictions but 2 targets in sample 1"),
    ("mean_squared_error", ([1.0], [1.0]), {"reduction": "avg"}, "reduction must be .* got 'avg'"),
    ("cross_entropy", ([[1.0]], [0]), {"reduction": "avg"}, "reduction must be .* got 'avg'"),
    ("huber", ([1.0], [1.0]), {"delta": 0.0}, r"huber: delta must be above 0, got 0\.0"),
    ("hinge", ([1.0, 2.0], [1, 0]), {}, r"hinge: targets must be -1 or 1, got 0\.0 at sample 1"),
    ("binary_cross_entropy", ([0.5, 0.5], [0.0, 1.5]), {}, r"targets must be in \[0, 1\], got 1\.5 at sample 1"),
    (
        "binary_cross_entropy",
        ([[0.5, 0.5]], [[0, nan]]),
        {},
        r"targets must be in \[0, 1\], got nan at sample 0, output 1",
    ),
    (
        "binary_cross_entropy",
        ([0.5, -3.0], [0.0, 1.0]),
        {},
        r"predictions must be in \[0, 1\], got -3\.0 at sample 1; for",
    ),
    ("binary_cross_entropy_with_logits", ([0.5], [-1]), {}, r"targets must be in \[0, 1\], got -1\.0 at sample 0"),
    (
        "binary_cross_entropy_with_logits",
        ([0.5], [1]),
        {"pos_weight": -1},
        r"pos_weight must be finite and not below 0",
    ),
    ("cross_entropy", ([[1.0, 2.0]], [2]), {}, "class 2 of sample 0 is out of range: there are 2, from 0 to 1"),
    ("cross_entropy", ([[1.0, 2.0]], [-1]), {}, "class -1 of sample 0 is out of range"),
    ("cross_entropy", ([[1.0, 2.0], [1.0]], [0, 0]), {}, "1 classes in sample 1, but 2 in sample 0"),
    ("cross_entropy", ([[]], [0]), {}, "the prediction of sample 0 is empty"),
    ("cross_entropy", ([], []), {}, "cross_entropy: an empty batch"),
    ("cross_entropy", ([[1.0, 2.0]], [[1.0]]), {}, "1 target probabilities for 2 classes in sample 0"),
    ("cross_entropy", ([[1.0, 2.0]], [[0.5, 0.6]]), {}, r"the target of sample 0 sums to 1\.1, where"),
    (
        "cross_entropy",
        ([[1.0, 2.0]], [[1.5, -0.5]]),
        {},
        r"targets must be in \[0, 1\], got 1\.5 at sample 0, output 0",
    ),
    ("cross_entropy", ([[1.0, 2.0]], [0]), {"class_weights": [1.0]}, "1 class weights for 2 classes"),
    ("cross_entropy", ([[1.0, 2.0]], [0]), {"label_smoothing": 2}, r"label_smoothing must be in \[0, 1\], got 2\.0"),
    ("categorical_cross_entropy", ([[0.5, 0.4]], [0]), {}, r"the prediction of sample 0 sums to 0\.9, where"),
    ("categorical_cross_entropy", ([[1.5, -0.5]], [0]), {}, r"the prediction of sample 0 has 1\.5 as probability 0"),
    ("kl_divergence", ([[0.5, 0.5]], [[1.0]]), {}, "2 predicted and 1 target probabilities in sample 0"),
    ("kl_divergence", ([[0.5, 0.5]], [[0.5, 0.4]]), {}, r"the target of sample 0 sums to 0\.9"),
    ("kl_divergence", ([[0.5, 0.7]], [[0.5, 0.5]]), {}, r"the prediction of sample 0 sums to 1\.2"),
]

TYPE_ERRORS: list[tuple[str, tuple[Any, ...], str]] = [
    ("mean_squared_error", (1.0, 2.0), "expected a list of predictions, one for each sample, got one float"),
    ("mean_squared_error", ([1.0], Value(2.0)), "expected a list of targets, one for each sample, got one Value"),
    ("mean_squared_error", (["1"], [1.0]), "expected a real number, got str"),
    ("cross_entropy", ([1.0, 2.0], [0, 1]), "expected a list of numbers as prediction 0 .* got one float"),
    (
        "cross_entropy",
        ([[1.0, 2.0]], [1.0]),
        r"a class index \(an int\) or a list of probabilities, got 1\.0 for sample 0",
    ),
    (
        "negative_log_likelihood",
        ([[-1.0, -2.0]], [[0.0, 1.0]]),
        "targets must be class indices, got a list for sample 0",
    ),
    ("negative_log_likelihood", ([[-1.0, -2.0]], [0.5]), r"a class index \(an int\), got 0\.5 for sample 0"),
    ("kl_divergence", ([0.5], [[1.0]]), "expected a list of numbers as prediction 0, got one float"),
]


@pytest.mark.parametrize(("name", "arguments", "options", "message"), ERRORS)
def test_bad_values(name: str, arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(sg, name)(*arguments, **options)


@pytest.mark.parametrize(("name", "arguments", "message"), TYPE_ERRORS)
def test_bad_types(name: str, arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        getattr(sg, name)(*arguments)


def test_relative_entropy_of_the_smallest_target_raises_nothing() -> None:

    assert loss_rows.relative_entropy(0.0, 0.0, 5e-324, 1.0) == math.inf


# ---- terms of weight zero --------------------------------------------------------------------------------------------


def test_a_term_of_weight_zero_brings_exactly_nothing() -> None:
    perfect = value_and_grad(lambda z: sg.kl_divergence([softmax(z)], [[1.0, 0.0]]))
    assert perfect([0.0, -800.0]) == (0.0, [0.0, 0.0])
    assert compile(perfect)([0.0, -800.0]) == (0.0, [0.0, 0.0])
    assert hessian(lambda z: sg.kl_divergence([softmax(z)], [[1.0, 0.0]]))([0.0, -800.0]) == [[0.0, 0.0]] * 2
    assert loss_rows.relative_entropy.local_gradients(0.0, (0.0, 1.0, 0.0, 1.0)) == (0.0, -1.0, 0.0, 1.0)
    weighed = partial(sg.cross_entropy, class_weights=[0.0, 1.0])
    surprised = [[-math.inf, 0.0], [0.0, 0.0]]
    assert weighed(surprised, [0, 1]) == math.log(2.0)
    assert value_and_grad(lambda z: weighed(z, [0, 1]))(surprised)[1] == [[0.0, 0.0], [0.5, -0.5]]


@pytest.mark.parametrize("row", [loss_rows.surprise, log_softmax_share])
def test_second_derivatives_of_shares_do_not_cancel(row: Any) -> None:
    second = hessian(lambda xs: row(*xs))([-340.0, 339.6, 159.4, 0.03])
    p = softmax([-340.0, 339.6, 159.4, 0.03])
    sign = -1.0 if row is loss_rows.surprise else 1.0
    for j in range(1, 4):
        assert second[0][j] == second[j][0] == sign * p[0] * p[j]
    assert hessian(lambda xs: row(*xs))([-700.0, 339.6, 159.4, 0.03])[0] == [0.0] * 4  # about 1e-450 and smaller
