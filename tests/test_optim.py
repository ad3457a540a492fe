import copy
import inspect
import json
import math
import pickle
import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scalargrad import Value, optim, schedules
from scalargrad.nn import MLP
from scalargrad.optim import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    Momentum,
    NAdam,
    NonFiniteGradientError,
    Optimizer,
    RAdam,
    RMSProp,
    clip_grad_norm,
    clip_grad_value,
)

REFERENCE_FOLDER = Path(__file__).with_name("reference")
REFERENCE = json.loads(REFERENCE_FOLDER.joinpath("pytorch.json").read_text())
PROBLEMS = {}
exec(REFERENCE_FOLDER.joinpath("problems.py").read_text(), PROBLEMS)
PROBLEMS = PROBLEMS["PROBLEMS"]
METHODS = [SGD, Momentum, AdaGrad, RMSProp, AdaDelta, Adam, AdamW, AMSGrad, NAdam, RAdam]
# Every method in a form that uses all of its state, and one of each option.
FORMS = [
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (Momentum, {"lr": 0.1}),
    (AdaGrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    (RMSProp, {"lr": 0.1, "momentum": 0.5, "centered": True}),
    (AdaDelta, {"rho": 0.8, "weight_decay": 0.1}),
    (Adam, {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    (AdamW, {"lr": 0.1}),
    (AMSGrad, {"lr": 0.1}),
    (NAdam, {"lr": 0.1, "decoupled_weight_decay": True, "weight_decay": 0.1}),
    (RAdam, {"lr": 0.1, "betas": (0.5, 0.9)}),
]
NAMES = [f"{method.__name__}{k}" for k, (method, _) in enumerate(FORMS)]
each_form = pytest.mark.parametrize(("method", "arguments"), FORMS, ids=NAMES)


def push(params, gradients):
    for w, g in zip(params, gradients, strict=True):
        w.grad = g


def walk(optimizer, params, gradient, steps, every=1):
    points = []
    for t in range(1, steps + 1):
        push(params, gradient([w.data for w in params]))
        optimizer.step()
        if t % every == 0:
            points.append([w.data for w in params])
    return points


# ---- against PyTorch -------------------------------------------------------------------------------------------------


def assert_same_way(found, expected):
    assert len(found) == len(expected) == 20
    for point, reference in zip(found, expected, strict=True):
        assert point == pytest.approx(reference, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("way", REFERENCE["ways"], ids=lambda w: f"{w['optimizer']} {w['problem']} {w['arguments']}")
def test_ways_are_pytorchs(way):
    gradient, start = PROBLEMS[way["problem"]]
    params = [Value(x) for x in start]
    optimizer = getattr(optim, way["optimizer"])(params, **way["arguments"], on_nonfinite="apply")  # as PyTorch does
    assert_same_way(walk(optimizer, params, gradient, 200, REFERENCE["every"]), way["points"])


def test_every_method_and_option_is_compared_with_pytorch():
    compared = {way["optimizer"] for way in REFERENCE["ways"]}
    assert compared == {method.__name__ for method in METHODS}
    for method in METHODS:
        used = {name for way in REFERENCE["ways"] if way["optimizer"] == method.__name__ for name in way["arguments"]}
        base = {name for parent in METHODS if parent in method.__mro__[1:] for name in parent.defaults}
        by_name = {"decoupled_weight_decay"} if method is Adam else set()  # what AdamW is
        assert set(method.defaults) - base - by_name <= used


def test_a_way_with_groups_is_pytorchs():
    gradient, start = PROBLEMS["rosenbrock"]
    x, y = params = [Value(each) for each in start]
    optimizer = Adam([{"params": [x], "lr": 0.05}, {"params": [y], "betas": (0.8, 0.99)}], lr=0.01)
    assert_same_way(walk(optimizer, params, gradient, 200, 10), REFERENCE["groups"])


def test_a_way_with_a_schedule_is_pytorchs():
    gradient, start = PROBLEMS["valley"]
    params = [Value(x) for x in start]
    optimizer = Momentum(params, lr=schedules.Cosine(0.01, steps=200))
    assert_same_way(walk(optimizer, params, gradient, 200, 10), REFERENCE["schedule"])


# ---- against an independent model of the equations -------------------------------------------------------------------
# Exact fractions where the equations are rational, 50 digits where they have roots.

SERIES = [1.5, -0.25, 3.0, 0.125, -2.0, 0.75, 0.5, -1.0]


def exact_descent(w, lr, mu, damp, decay, nesterov):
    v = None
    for g in SERIES:
        d = Fraction(g) + decay * w
        v = d if v is None else mu * v + (1 - damp) * d
        w -= lr * (d + mu * v if nesterov else v)
    return w


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_against_fractions(nesterov):
    damp = 0.0 if nesterov else 0.25
    w = Value(2.0)
    optimizer = SGD([w], lr=0.1, momentum=0.9, dampening=damp, weight_decay=0.01, nesterov=nesterov)
    for g in SERIES:
        w.grad = g
        optimizer.step()
    expected = exact_descent(*map(Fraction, (2.0, 0.1, 0.9, damp, 0.01)), nesterov)
    assert w.data == pytest.approx(float(expected), rel=1e-15)


def model(method):
    """The value after all of SERIES from 2, from sums over the series instead of recurrences wherever there are any."""
    mp, w, lr, eps = mpmath.mpf, mpmath.mpf(2), mpmath.mpf(0.1), mpmath.mpf(1e-3)
    g = [mp(each) for each in SERIES]

    def mean(beta, xs):
        return (1 - beta) * sum(beta ** (len(xs) - 1 - k) * x for k, x in enumerate(xs))

    squares, deltas, rises = [x * x for x in g], [], []
    a, b1, b2 = mp(0.75), mp(0.8), mp(0.9)
    mus = [b1 * (1 - mp(0.96) ** (t * mp(0.004)) / 2) for t in range(1, len(g) + 2)]
    velocity = 0
    for t in range(1, len(g) + 1):
        m, v = mean(b1, g[:t]) / (1 - b1**t), mean(b2, squares[:t]) / (1 - b2**t)
        if method is AdaGrad:
            w -= lr * g[t - 1] / (mpmath.sqrt(sum(squares[:t])) + eps)
        elif method is RMSProp:
            spread = mpmath.sqrt(mean(a, squares[:t]) - mean(a, g[:t]) ** 2)
            velocity = velocity / 2 + g[t - 1] / (spread + eps)
            w -= lr * velocity
        elif method is AdaDelta:
            deltas.append(
                g[t - 1]
                * mpmath.sqrt(mean(a, deltas) + eps if deltas else eps)
                / mpmath.sqrt(mean(a, squares[:t]) + eps)
            )
            w -= lr * deltas[-1]
            deltas[-1] = deltas[-1] ** 2
        elif method in (Adam, AdamW):
            if method is AdamW:
                w -= lr * mp(0.01) * w
            w -= lr * m / (mpmath.sqrt(v) + eps)
        elif method is AMSGrad:
            rises.append(mean(b2, squares[:t]))
            w -= lr * m / (mpmath.sqrt(max(rises) / (1 - b2**t)) + eps)
        elif method is NAdam:
            upto = mpmath.fprod(mus[:t])
            ahead = mus[t] * mean(b1, g[:t]) / (1 - upto * mus[t]) + (1 - mus[t - 1]) * g[t - 1] / (1 - upto)
            w -= lr * ahead / (mpmath.sqrt(v) + eps)
        elif method is RAdam:
            longest = 2 / (1 - b2) - 1
            length = longest - 2 * t * b2**t / (1 - b2**t)
            if length > 5:
                r2 = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
                m *= mpmath.sqrt(r2 * (1 - b2**t)) / (mpmath.sqrt(mean(b2, squares[:t])) + eps)
            w -= lr * m
    return float(w)


@pytest.mark.parametrize("method", [AdaGrad, RMSProp, AdaDelta, Adam, AdamW, AMSGrad, NAdam, RAdam])
def test_methods_with_roots_against_fifty_digits(method):
    arguments = {"lr": 0.1, "eps": 1e-3}
    if "betas" in method.defaults:
        arguments["betas"] = (0.8, 0.9)
    arguments.update(
        {RMSProp: {"alpha": 0.75, "centered": True, "momentum": 0.5}, AdaDelta: {"rho": 0.75}}.get(method, {})
    )
    w = Value(2.0)
    optimizer = method([w], **arguments)
    for g in SERIES:
        w.grad = g
        optimizer.step()
    with mpmath.workdps(50):
        assert w.data == pytest.approx(model(method), rel=1e-14)


# ---- the rule is a pure function -------------------------------------------------------------------------------------


@each_form
def test_a_rule_can_be_traced(method, arguments):
    """On `Value`s it records the same numbers as on floats."""
    h = SimpleNamespace(**{**method.defaults, **arguments})
    state = tuple(0.25 + 0.125 * k for k in range(len(method.state_names)))[::-1]
    w, rest = method.update(1.5, -0.75, 9, state, h)
    traced_w, traced_rest = method.update(Value(1.5), Value(-0.75), 9, tuple(map(Value, state)), h)
    assert traced_w.data == w
    assert [getattr(x, "data", x) for x in traced_rest] == list(rest)
    assert len(rest) == len(method.state_names)


@each_form
@given(
    w=st.floats(allow_nan=True),
    g=st.floats(allow_nan=True),
    t=st.integers(1, 10**6),
    x=st.floats(0),
    y=st.floats(0),
    z=st.floats(0),
)
@settings(max_examples=40)
def test_no_number_makes_a_rule_raise(method, arguments, w, g, t, x, y, z):
    h = SimpleNamespace(**{**method.defaults, "eps": 0.0, **arguments})
    new, state = method.update(w, g, t, (x, y, z)[: len(method.state_names)], h)
    assert type(new) is float
    assert all(type(s) is float for s in state)


@given(g=st.floats(-1e3, 1e3))
def test_a_constant_gradient_does_not_make_centred_rmsprop_nan(g):
    w = Value(0.0)
    optimizer = RMSProp([w], alpha=0.5, centered=True)
    for _ in range(120):
        w.grad = g
        optimizer.step()
    assert math.isfinite(w.data)


# ---- parameters and hyperparameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "Adam: no parameters"),
        ([Value(1.0), 2.0], TypeError, "parameter 1 is not a Value but float: 2.0"),
        ([Value(1.0), "w"], TypeError, "parameter 1 is not a Value but str"),
        ([Value(1.0), Value(1.0, "a") * 2], ValueError, "parameter 1 is not a leaf but computed by mul"),
        ([Value(1.0).detach()], ValueError, "parameter 0 is not a leaf but a constant"),
        (Value(1.0), TypeError, "expected a list of parameters, got Value"),
        ({Value(1.0)}, TypeError, "a set has no order"),
        ({"params": [Value(1.0)]}, TypeError, "expected a list of parameters, got dict"),
        ([{"params": [Value(1.0)]}, Value(2.0)], TypeError, 'group 1 must be a dict with "params", got Value'),
        ([{"parameters": [Value(1.0)]}], TypeError, 'group 0 must be a dict with "params"'),
        ([{"params": []}], ValueError, "group 0: no parameters"),
        ([{"params": [Value(1.0)], "rate": 0.1}], TypeError, "no hyperparameter 'rate'; it has lr, betas"),
        ([{"params": [Value(1.0)], "lr": -0.1}], ValueError, "lr: must lie in"),
        ([{"params": [Value(1.0)]}, {"params": [3]}], TypeError, "parameter 0 of group 1 is not a Value"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        Adam(params)


def test_a_parameter_twice():
    a, b = Value(1.0), Value(2.0, label="b")
    with pytest.raises(ValueError, match=r"parameter 2 \('b'\) is parameter 1 already"):
        SGD([a, b, b])
    with pytest.raises(ValueError, match=r"parameter 1 of group 1 \('b'\) is parameter 0 of group 0 already"):
        SGD([{"params": [b]}, {"params": [a, b]}])
    optimizer = SGD([a])
    with pytest.raises(ValueError, match="parameter 0 of group 1 is parameter 0 of group 0 already"):
        optimizer.add_group({"params": [a]})
    assert len(optimizer.groups) == 1


def test_parameters_with_equal_values_are_different_ones():
    assert len(SGD([Value(1.0), Value(1.0)]).groups[0]["params"]) == 2


def test_parameters_may_come_from_a_generator():
    params = [Value(1.0), Value(2.0)]
    assert SGD(w for w in params).groups[0]["params"] == tuple(params)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_no_number_may_be_negative_or_not_finite(method, value):
    for name, default in method.defaults.items():
        if isinstance(default, bool):
            with pytest.raises(TypeError, match=f"{name}: expected True or False"):
                method([Value(0.0)], **{name: 1})
        else:
            bad = (0.9, value) if name == "betas" else value
            with pytest.raises(ValueError, match=f"{method.__name__}, {name}: must lie in"):
                method([Value(0.0)], **{name: bad})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: Adam(w, betas=(1.0, 0.9)), ValueError, r"betas: must lie in \[0, 1\), got 1.0"),
        (lambda w: Adam(w, betas=0.9), ValueError, "betas: expected 2 numbers"),
        (lambda w: Adam(w, betas=(0.9, 0.9, 0.9)), ValueError, "betas: expected 2 numbers"),
        (lambda w: RMSProp(w, alpha=1.0), ValueError, "alpha"),
        (lambda w: AdaDelta(w, rho=1.5), ValueError, "rho"),
        (lambda w: Adam(w, lr="0.1"), TypeError, "Adam, lr"),
        (lambda w: Adam(w, momentum=0.9), TypeError, "no hyperparameter 'momentum'; it has lr, betas"),
        (lambda w: SGD(w, nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda w: SGD(w, nesterov=True, momentum=0.9, dampening=0.1), ValueError, "no dampening"),
        (lambda w: SGD(w, on_nonfinite="ignore"), ValueError, "on_nonfinite"),
        (lambda w: SGD([{"params": w, "nesterov": True}]), ValueError, "nesterov"),
    ],
)
def test_bad_hyperparameters(make, error, message):
    with pytest.raises(error, match=message):
        make([Value(0.0)])


def test_a_hyperparameter_changed_to_nonsense_is_found_at_the_step():
    w = Value(1.0)
    optimizer = Adam([w])
    w.grad = 1.0
    optimizer.groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match="lr"):
        optimizer.step()
    optimizer.groups[0].update(lr=0.1, name="bias")
    with pytest.raises(TypeError, match="no hyperparameter 'name'"):
        optimizer.step()
    assert w.data == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_signature_and_repr_show_the_hyperparameters(method):
    shown = inspect.signature(method).parameters
    assert {name: shown[name].default for name in method.defaults} == method.defaults
    made = method([Value(0.0)])
    assert repr(made).startswith(f"{method.__name__}(1 parameter, lr=")
    assert all(f"{name}={value!r}" in repr(made) for name, value in method.defaults.items())


# ---- rates -----------------------------------------------------------------------------------------------------------


def test_lr_is_read_and_set():
    w = Value(0.0)
    optimizer = SGD([w], 0.5)
    assert optimizer.lr == 0.5
    optimizer.lr = 0.25
    w.grad = 1.0
    optimizer.step()
    assert w.data == -0.25
    with pytest.raises(ValueError, match="lr"):
        optimizer.lr = -1.0
    assert optimizer.lr == 0.25


def test_groups_keep_rates_of_their_own():
    a, b = Value(0.0), Value(0.0)
    optimizer = SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.1)
    assert optimizer.rates == [0.5, 0.1]
    push([a, b], [1.0, 1.0])
    optimizer.step()
    assert (a.data, b.data) == (-0.5, -0.1)
    with pytest.raises(ValueError, match="rates of their own"):
        optimizer.lr = 0.2
    assert optimizer.rates == [0.5, 0.1]


def test_a_schedule_gives_the_rate_of_step_t_whatever_is_called_between():
    w = Value(0.0)
    rates = [0.5, 0.25, 1.0, 0.125]
    optimizer = SGD([w], lr=lambda t: rates[t])
    seen = []
    for t in range(4):
        for _ in range(t):  # reading, saving and clearing shift nothing
            seen.append(optimizer.lr)
            optimizer.state_dict()
        before = w.data
        w.grad = 1.0
        optimizer.step()
        optimizer.zero_grad()
        assert before - w.data == rates[t]
    assert seen == [0.25, 1.0, 1.0, 0.125, 0.125, 0.125]


def test_skipped_steps_do_not_count():
    w = Value(0.0)
    optimizer = SGD([w], lr=lambda t: [0.5, 0.25][t], on_nonfinite="skip")
    for g in (1.0, math.nan, 1.0):
        w.grad = g
        optimizer.step()
    assert (w.data, optimizer.steps, optimizer.skipped) == (-0.75, 2, 1)


def test_a_schedule_out_of_range_is_named_with_its_step():
    w = Value(0.0)
    optimizer = SGD([w], lr=lambda t: 0.1 - t)
    w.grad = 1.0
    optimizer.step()
    with pytest.raises(ValueError, match=r"at step 1: must lie in \[0, inf\), got -0.9"):
        optimizer.step()
    assert w.data == -0.1


# ---- gradients -------------------------------------------------------------------------------------------------------


@each_form
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_a_gradient_that_is_not_finite_changes_nothing(method, arguments, bad, policy):
    params = [Value(1.0), Value(2.0), Value(3.0, label="bias")]
    optimizer = method([{"params": params[:1]}, {"params": params[1:]}], **arguments, on_nonfinite=policy)
    push(params, [0.5, -0.5, 1.0])
    optimizer.step()
    before = optimizer.state_dict(), [w.data for w in params]
    push(params, [0.5, -0.5, bad])
    if policy == "raise":
        message = rf"{method.__name__}: the gradient of parameter 1 of group 1 \('bias'\) is {bad} at step 1"
        with pytest.raises(NonFiniteGradientError, match=message) as caught:
            optimizer.step()
        assert caught.value.position == 2
        assert caught.value.gradient == bad or math.isnan(bad)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.position) == (str(caught.value), 2)
    else:
        optimizer.step()
        assert optimizer.skipped == 1
        before[0]["skipped"] = 1
    assert (optimizer.state_dict(), [w.data for w in params]) == before
    push(params, [0.5, -0.5, 1.0])
    optimizer.step()
    assert optimizer.steps == 2


def test_apply_computes_with_what_there_is():
    a, b = Value(1.0), Value(1.0)
    optimizer = SGD([a, b], lr=0.5, on_nonfinite="apply")
    push([a, b], [math.inf, 1.0])
    optimizer.step()
    assert (a.data, b.data) == (-math.inf, 0.5)


def test_a_real_gradient_that_is_not_finite():
    x = Value(0.0, label="x")
    optimizer = SGD([x])
    (x.sqrt() + 1.0).backward()
    with pytest.raises(NonFiniteGradientError, match=r"parameter 0 \('x'\) is inf"):
        optimizer.step()


@each_form
def test_a_parameter_that_no_pass_has_reached_stays(method, arguments):
    a, b = Value(1.0), Value(2.0)
    alone = Value(1.0)
    optimizer, other = method([a, b], **arguments), method([alone], **arguments)
    for _ in range(3):
        for each, w in ((optimizer, a), (other, alone)):
            each.zero_grad()
            (w * w).backward()
            each.step()
    assert b.data == 2.0
    assert optimizer.moments(b)["t"] == 0
    assert a.data == alone.data
    assert optimizer.moments(a) == other.moments(alone)


def test_a_step_without_any_gradient_is_an_error():
    w = Value(1.0)
    optimizer = SGD([w])
    with pytest.raises(RuntimeError, match="call backward"):
        optimizer.step()
    (2.0 * w).backward()
    optimizer.step()
    optimizer.zero_grad()
    with pytest.raises(RuntimeError, match="call backward"):
        optimizer.step()


def test_a_gradient_of_zero_is_a_gradient():
    w = Value(1.0)
    optimizer = Momentum([w], lr=1.0)
    w.grad = 1.0
    optimizer.step()
    w.grad = 0.0
    optimizer.step()
    assert w.data == -0.9


def test_gradients_that_are_graphs_serve_as_numbers():
    w = Value(3.0)
    (w**2).backward(create_graph=True)
    optimizer = SGD([w], lr=0.5)
    optimizer.step()
    assert w.data == 0.0
    assert clip_grad_norm([w], 1.0) == 6.0
    assert w.grad == 1.0


# ---- saving and loading ----------------------------------------------------------------------------------------------


def stretch(method, arguments, n, m):
    """n + m steps at once, and n steps, JSON, m steps."""
    gradient, start = PROBLEMS["logistic"]
    params = [Value(x) for x in start]
    walk(method(params, **arguments), params, gradient, n + m)
    first = [Value(x) for x in start]
    optimizer = method(first, **arguments)
    walk(optimizer, first, gradient, n)
    return params, json.dumps({"w": [w.data for w in first], "optimizer": optimizer.state_dict()})


RESUME = """
import json, sys
from pathlib import Path
from scalargrad import Value, optim
space = {}
exec(Path(sys.argv[1]).read_text(), space)
gradient, _ = space["PROBLEMS"]["logistic"]
results = []
for name, arguments, saved in json.load(sys.stdin):
    saved = json.loads(saved)
    params = [Value(x) for x in saved["w"]]
    optimizer = getattr(optim, name)(params)
    optimizer.load_state_dict(saved["optimizer"])
    for _ in range(25):
        for w, g in zip(params, gradient([w.data for w in params])):
            w.grad = g
        optimizer.step()
    results.append([w.data for w in params])
print(json.dumps(results))
"""


def test_a_new_process_goes_on_bit_for_bit():
    expected, work = [], []
    for method, arguments in FORMS:
        params, saved = stretch(method, arguments, 30, 25)
        expected.append([w.data for w in params])
        work.append([method.__name__, arguments, saved])
    command = [sys.executable, "-c", RESUME, str(REFERENCE_FOLDER / "problems.py")]
    done = subprocess.run(command, input=json.dumps(work), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected


@each_form
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_copies_go_on_alike_and_apart(method, arguments, duplicate):
    gradient, start = PROBLEMS["logistic"]
    params = [Value(x) for x in start]
    optimizer = method(params, **arguments)
    walk(optimizer, params, gradient, 5)
    twin = duplicate(optimizer)
    twins = list(twin.groups[0]["params"])
    before = [w.data for w in params]
    walk(twin, twins, gradient, 5)
    assert [w.data for w in params] == before
    walk(optimizer, params, gradient, 5)
    assert [w.data for w in params] == [w.data for w in twins]


def test_a_state_is_plain_and_complete():
    w = Value(1.0, label="w")
    optimizer = Adam([w], lr=0.5)
    assert optimizer.state_dict()["groups"][0]["params"] == [{"label": "w", "t": 0, "m": 0.0, "v": 0.0, "v_max": 0.0}]
    w.grad = 1.0
    optimizer.step()
    state = optimizer.state_dict()
    assert json.loads(json.dumps(state)) == state
    assert state["groups"][0]["betas"] == [0.9, 0.999]
    saved = json.dumps(state)
    w.grad = 1.0
    optimizer.step()
    assert json.dumps(state) == saved  # not a window into the optimizer
    other = Adam([Value(1.0)])
    other.load_state_dict(state)
    assert other.state_dict()["groups"][0] | {"params": None} == state["groups"][0] | {"params": None}
    assert (other.lr, other.steps, other.groups[0]["betas"]) == (0.5, 1, (0.9, 0.999))


def spoilt(change):
    def spoil(state):
        change(state)
        return state

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: {**s, "optimizer": "SGD"}, "this is the state of 'SGD'"),
        (lambda s: {**s, "steps": -1}, "expected a whole number from 0 to .* at steps"),
        (lambda s: {**s, "steps": True}, "expected a whole number from 0 to .* at steps"),
        (lambda s: {k: v for k, v in s.items() if k != "skipped"}, "missing skipped"),
        (lambda s: {**s, "groups": []}, r"expected 2 item\(s\) at groups, got 0"),
        (lambda s: {**s, "groups": 3}, "expected a list at groups, got 3"),
        (lambda s: [], "Adam: expected a dict, got a list"),
        (spoilt(lambda s: s["groups"][1]["params"].pop()), r"expected 2 item\(s\) at groups\[1\]\['params'\], got 1"),
        (spoilt(lambda s: s["groups"][0].pop("eps")), r"missing groups\[0\]\['eps'\]"),
        (spoilt(lambda s: s["groups"][0].update(eps=-1.0)), "eps: must lie in"),
        (spoilt(lambda s: s["groups"][0].update(lr={"schedule": None})), "here it is 0.1; give what it had then"),
        (
            spoilt(lambda s: s["groups"][1]["params"][1].update(m="x")),
            r"expected a number at groups\[1\]\['params'\]\[1\]\['m'\], got 'x'",
        ),
        (
            spoilt(lambda s: s["groups"][1]["params"][1].pop("m")),
            r"missing groups\[1\]\['params'\]\[1\]\['m'\]",
        ),
        (
            spoilt(lambda s: s["groups"][1]["params"][1].update(t=1.5)),
            r"expected a whole .* at groups\[1\]\['params'\]\[1\]\['t'\]",
        ),
        (
            spoilt(lambda s: s["groups"][1]["params"][1].update(label="z")),
            r"the label at groups\[1\]\['params'\]\[1\] is 'z', here it is 'c'",
        ),
        (
            spoilt(lambda s: s["groups"][1]["params"][1].update(label=["c"])),
            r"expected text at groups\[1\]\['params'\]\[1\]\['label'\]",
        ),
        (
            spoilt(lambda s: s["groups"][1]["params"][1].update(m=10**400)),
            r"groups\[1\]\['params'\]\[1\]\['m'\], got an integer beyond",
        ),
        (spoilt(lambda s: s["groups"][0].update(eps=10**400)), "Adam, eps: int too large"),
        (spoilt(lambda s: s["groups"][0].update(betas=[0.9, 10**400])), "Adam, betas: int too large"),
        (spoilt(lambda s: s["groups"][0].update(betas={})), "betas: expected 2 numbers, got a dict of 0 item"),
        (lambda s: {**s, "steps": 10**5000}, "whole number from 0 to .* at steps, got an integer beyond"),
        (lambda s: {**s, "optimizer": [[]]}, "this is the state of a list of 1 item"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil, message):
    params = [Value(1.0), Value(2.0), Value(3.0, label="c")]
    optimizer = Adam([{"params": params[:1]}, {"params": params[1:]}], lr=0.1)
    push(params, [1.0, 2.0, 3.0])
    optimizer.step()
    before = optimizer.state_dict()
    with pytest.raises((ValueError, TypeError), match=message):
        optimizer.load_state_dict(spoil(copy.deepcopy(before)))
    assert optimizer.state_dict() == before


def test_schedules_are_given_again_and_their_state_is_kept():
    def make():
        w = Value(1.0)
        plateau = schedules.ReduceOnPlateau(0.5, factor=0.5, patience=0)
        return w, plateau, SGD([w], lr=plateau)

    _, plateau, optimizer = make()
    for metric in (1.0, 1.0, 1.0):
        plateau.observe(metric)
    state = json.loads(json.dumps(optimizer.state_dict()))
    _, other_plateau, other = make()
    other.load_state_dict(state)
    assert (other.lr, other_plateau.best) == (0.125, 1.0)
    with pytest.raises(ValueError, match="give what it had then"):
        SGD([Value(1.0)], lr=0.5).load_state_dict(state)
    with pytest.raises(ValueError, match="does not belong"):
        SGD([Value(1.0)], lr=schedules.Constant(0.5)).load_state_dict(state)
    plain = SGD([Value(1.0)], lr=schedules.Constant(0.5))
    with pytest.raises(ValueError, match="does not belong"):
        other.load_state_dict(plain.state_dict())


def test_schedules_are_loaded_together_or_not_at_all():
    params = [Value(1.0), Value(2.0)]
    plateaus = [schedules.ReduceOnPlateau(0.5), schedules.ReduceOnPlateau(0.25)]
    optimizer = SGD([{"params": [w], "lr": plateau} for w, plateau in zip(params, plateaus, strict=True)])
    before = optimizer.state_dict()
    for junk, message in [
        (3, "ReduceOnPlateau: expected a dict, got 3"),
        (["rate", "best", "bad_epochs", "cooling"], "got a list of 4"),
        ({"rate": 0.1, "best": 1.0, "bad_epochs": 0}, "ReduceOnPlateau: missing cooling"),
        (
            {"rate": 10**400, "best": 1.0, "bad_epochs": 0, "cooling": 0},
            "ReduceOnPlateau: expected a number at rate, got an integer beyond",
        ),
        ({"rate": 0.1, "best": "x", "bad_epochs": 0, "cooling": 0}, "ReduceOnPlateau: expected a number at best"),
        (
            {"rate": 0.1, "best": 1.0, "bad_epochs": [[]], "cooling": 0},
            "expected a whole number from 0 to .* at bad_epochs",
        ),
    ]:
        state = copy.deepcopy(before)
        state["groups"][0]["lr"]["schedule"]["rate"] = 0.125
        state["groups"][1]["lr"]["schedule"] = junk
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(state)
        assert optimizer.state_dict() == before


def test_a_state_remembers_where_a_schedule_was():
    def make():
        w = Value(1.0)
        return w, SGD([w], lr=schedules.Step(1.0, 2, 0.5))

    w, optimizer = make()
    w.grad = 0.0
    for _ in range(5):
        optimizer.step()
    _, other = make()
    other.load_state_dict(optimizer.state_dict())
    assert (other.steps, other.lr) == (5, 0.25)


def test_saving_asks_no_schedule():
    """A schedule may have no rate beyond the last step."""
    w = Value(1.0)
    optimizer = SGD([w], lr=lambda t: [0.5, 0.25][t])
    w.grad = 1.0
    optimizer.step()
    optimizer.step()
    assert optimizer.state_dict()["steps"] == 2
    assert optimizer.moments(w)["t"] == 2
    with pytest.raises(IndexError):
        optimizer.step()
    assert (w.data, optimizer.steps) == (0.25, 2)


def test_moments_belong_to_parameters():
    w = Value(1.0)
    optimizer = NAdam([w])
    assert optimizer.moments(w) == {"t": 0, "m": 0.0, "v": 0.0, "mu_product": 1.0}
    with pytest.raises(ValueError, match="not one of its parameters"):
        optimizer.moments(Value(1.0))


# ---- clipping --------------------------------------------------------------------------------------------------------

GRADIENTS = st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=6)


@given(gradients=GRADIENTS, bound=st.floats(1e-3, 1e3), order=st.sampled_from([1.0, 2.0, 3.0, math.inf]))
def test_clipping_by_norm(gradients, bound, order):
    params = [Value(0.0) for _ in gradients]
    push(params, gradients)
    norm = clip_grad_norm(params, bound, order)
    sizes = [mpmath.mpf(abs(g)) for g in gradients]
    exact = max(sizes) if order == math.inf else mpmath.root(mpmath.fsum(x**order for x in sizes), order)
    assert norm == pytest.approx(float(exact), rel=1e-14)
    clipped = [w.grad for w in params]
    if norm <= bound:
        assert clipped == gradients
    else:
        for c, g in zip(clipped, gradients, strict=True):
            assert c == pytest.approx(g * (bound / norm), rel=1e-13, abs=1e-300)
    assert clip_grad_norm(params, math.inf, order) <= bound * (1 + 1e-13)


def test_a_norm_beyond_floats_is_still_brought_down():
    params = [Value(0.0), Value(0.0)]
    push(params, [1.5e308, -1.5e308])
    assert clip_grad_norm(params, 1.0) == math.inf
    assert [w.grad for w in params] == pytest.approx([0.5**0.5, -(0.5**0.5)])
    push(params, [3e-320, 4e-320])
    assert clip_grad_norm(params, 1.0) == pytest.approx(5e-320)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_clipping_leaves_what_is_not_finite_to_the_optimizer(bad):
    params = [Value(0.0), Value(0.0), Value(0.0)]
    push(params, [bad, 5.0, 1.0])
    norm = clip_grad_norm(params, 1.0)
    assert norm == math.inf if bad == math.inf else math.isnan(norm)
    assert [w.grad for w in params[1:]] == [5.0, 1.0]
    with pytest.raises(NonFiniteGradientError):
        SGD(params).step()


def test_clipping_by_value():
    params = [Value(0.0) for _ in range(5)]
    push(params, [3.0, -3.0, 0.5, -math.inf, math.nan])
    clip_grad_value(params, 1.0)
    assert [w.grad for w in params[:4]] == [1.0, -1.0, 0.5, -1.0]
    assert math.isnan(params[4].grad)


def test_clipping_ignores_parameters_without_a_gradient():
    a, b = Value(1.0), Value(1.0)
    a.grad = 2.0
    assert clip_grad_norm([a, b], 1.0) == 2.0
    clip_grad_value([a, b], 1.0)
    with pytest.raises(RuntimeError, match="no parameter has a gradient"):
        SGD([b]).step()
    assert clip_grad_norm([b], 1.0) == 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: clip_grad_norm(w, -1.0), ValueError, "bound"),
        (lambda w: clip_grad_norm(w, math.nan), ValueError, "bound"),
        (lambda w: clip_grad_norm(w, 1.0, 0.5), ValueError, "order"),
        (lambda w: clip_grad_norm(w[0], 1.0), TypeError, "list of parameters"),
        (lambda w: clip_grad_norm([1.0], 1.0), TypeError, "parameter 0 is not a Value"),
        (lambda w: clip_grad_value(w, -1.0), ValueError, "limit"),
        (lambda w: clip_grad_value([w[0] * 2], 1.0), ValueError, "parameter 0 is not a leaf"),
    ],
)
def test_bad_clipping(call, error, message):
    with pytest.raises(error, match=message):
        call([Value(1.0)])


# ---- any order of calls ----------------------------------------------------------------------------------------------


class SavedAndLoaded(RuleBasedStateMachine):
    """Two optimizers are given the same gradients; one of them is saved and loaded into a new one at any time."""

    @initialize(form=st.sampled_from(FORMS), scheduled=st.booleans())
    def begin(self, form, scheduled):
        self.method, self.arguments = form
        if scheduled:
            self.arguments = {**self.arguments, "lr": schedules.CosineRestarts(0.1, 5)}
        self.params = [[Value(1.0), Value(-2.0, label="w"), Value(0.5)] for _ in range(2)]
        self.optimizers = [self.make(params) for params in self.params]
        self.count = 0

    def make(self, params):
        groups = [{"params": params[:1]}, {"params": params[1:], "weight_decay": 0.1}]
        return self.method(groups, **self.arguments, on_nonfinite="skip")

    @rule(gradients=st.tuples(*[st.floats(-10, 10) | st.just(math.nan) | st.none()] * 3))
    def step(self, gradients):
        for params, optimizer in zip(self.params, self.optimizers, strict=True):
            optimizer.zero_grad()
            for w, g in zip(params, gradients, strict=True):
                if g is not None:
                    w.grad = g
            if any(g is not None for g in gradients):
                optimizer.step()
        self.count += all(g is None or g == g for g in gradients) and any(g is not None for g in gradients)

    @rule()
    def save_and_load(self):
        saved = json.loads(json.dumps([[w.data for w in self.params[1]], self.optimizers[1].state_dict()]))
        self.params[1] = [Value(x, w.label) for x, w in zip(saved[0], self.params[1], strict=True)]
        self.optimizers[1] = self.make(self.params[1])
        self.optimizers[1].load_state_dict(saved[1])

    @precondition(lambda self: not callable(self.arguments["lr"]) if "lr" in getattr(self, "arguments", {}) else False)
    @rule(rate=st.floats(0.0, 1.0))
    def change_rate(self, rate):
        for optimizer in self.optimizers:
            optimizer.lr = rate

    @invariant()
    def both_are_alike(self):
        if hasattr(self, "params"):
            assert [w.data for w in self.params[0]] == [w.data for w in self.params[1]]
            assert self.optimizers[0].state_dict() == self.optimizers[1].state_dict()
            assert self.optimizers[0].steps == self.count


TestSavedAndLoaded = SavedAndLoaded.TestCase
TestSavedAndLoaded.settings = settings(max_examples=40, stateful_step_count=25)


def test_a_method_of_ones_own():
    class SignDescent(Optimizer):
        defaults = {"lr": 0.1, "own": True, "sizes": (1.0, 2.0)}  # noqa: RUF012

        @staticmethod
        def rule(w, g, t, s, h):
            return w - h.lr * math.copysign(1.0, g), s

    w = Value(1.0)
    optimizer = SignDescent([w], lr=0.25)
    w.grad = 100.0
    optimizer.step()
    assert w.data == 0.75
    signature = "(params, lr=0.1, *, own=True, sizes=(1.0, 2.0), on_nonfinite='raise')"
    assert str(inspect.signature(SignDescent)) == signature
    for bad, error in (({"own": 1}, TypeError), ({"sizes": (1.0,)}, ValueError), ({"sizes": (1.0, -1.0)}, ValueError)):
        with pytest.raises(error, match="SignDescent, "):
            SignDescent([w], **bad)
    with pytest.raises(TypeError, match="Optimizer itself is none"):
        Optimizer([w])


@each_form
def test_every_method_finds_the_bottom_of_a_bowl(method, arguments):
    w = Value(1.0, label="w")
    optimizer = method([w], **{**arguments, "weight_decay": 0.0})
    start = (w.data + 0.5) ** 2
    for _ in range(300):
        optimizer.zero_grad()
        ((w + 0.5) ** 2).backward()
        optimizer.step()
    assert (w.data + 0.5) ** 2 < 0.3 * start


def test_a_state_whose_schedule_is_missing_is_refused_by_its_place() -> None:
    w = Value(1.0)
    optimizer = optim.SGD([w], lr=lambda t: 0.1)
    state = optimizer.state_dict()
    state["groups"][0]["lr"] = {}
    with pytest.raises(ValueError, match=r"SGD: missing groups\[0\]\['lr'\]\['schedule'\]"):
        optimizer.load_state_dict(state)


# ---- what mutants of optim.py and optimizer.py were left by ----------------------------------------------------------


def test_defaults_are_pytorchs():
    """As its documentation of version 2.13 states them; AMSGrad is its Adam with the flag, Momentum its SGD."""
    adam = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    expected = {
        SGD: {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False},
        Momentum: {"lr": 1e-3, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False},
        AdaGrad: {"lr": 1e-2, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10},
        RMSProp: {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False},
        AdaDelta: {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
        Adam: adam | {"amsgrad": False, "decoupled_weight_decay": False},
        AdamW: adam | {"weight_decay": 1e-2, "amsgrad": False, "decoupled_weight_decay": True},
        AMSGrad: adam | {"amsgrad": True, "decoupled_weight_decay": False},
        NAdam: adam | {"lr": 2e-3, "momentum_decay": 4e-3, "decoupled_weight_decay": False},
        RAdam: adam | {"decoupled_weight_decay": False},
    }
    for method in METHODS:
        assert method.defaults == expected[method], method


def steps_of(method, gradients, **arguments):
    w = Value(0.0)
    optimizer = method([w], lr=1.0, **arguments)
    ways = []
    for g in gradients:
        w.grad = g
        optimizer.step()
        ways.append(w.data)
    return ways, optimizer.moments(w)


def test_a_momentum_of_zero_and_of_one():
    """Without momentum there is nothing to dampen; with one of 1 nothing is forgotten."""
    assert steps_of(SGD, [1.0, 1.0, 1.0], dampening=0.5)[0] == [-1.0, -2.0, -3.0]
    assert steps_of(SGD, [1.0, 1.0, 1.0], momentum=1.0)[0] == [-1.0, -3.0, -6.0]
    plain, _ = steps_of(RMSProp, [1.0, 1.0], alpha=0.0, eps=0.0)
    assert plain == [-1.0, -2.0]
    heavy, _ = steps_of(RMSProp, [1.0, 1.0, 1.0], alpha=0.0, eps=0.0, momentum=1.0)
    assert heavy == [-1.0, -3.0, -6.0]


def test_an_infinite_step_is_not_remembered_without_momentum():
    _, moments = steps_of(RMSProp, [1e-3], alpha=0.0, eps=0.0)
    w = Value(0.0)
    optimizer = RMSProp([w], lr=0.0, alpha=0.5, eps=0.0)
    state = optimizer.state_dict()
    state["groups"][0]["params"][0] |= {"t": 1, "b": math.inf}
    optimizer.load_state_dict(state)
    w.grad = 1.0
    optimizer.step()
    assert math.isfinite(optimizer.moments(w)["b"])
    assert math.isfinite(moments["b"])


def test_the_mean_that_rmsprop_remembers_is_the_mean():
    _, moments = steps_of(RMSProp, [1.0, 3.0], alpha=0.5, centered=True)
    assert (moments["m"], moments["v"]) == (1.75, 4.75)


def test_radam_is_rectified_above_a_length_of_five_not_at_it():
    """A beta2 for which the length of the average comes out as 5.0 exactly, found by trying neighbours."""
    t, beta2 = 6, 0.8397685748659791
    assert 2.0 / (1.0 - beta2) - 1.0 - 2.0 * t * beta2**t / (1.0 - beta2**t) == 5.0
    h = SimpleNamespace(lr=1.0, betas=(0.0, beta2), eps=0.0)
    w, _ = RAdam.rule(0.0, 2.0, t, (0.0, 0.0), h)
    assert w == -2.0  # not divided by anything


def test_bounds_of_zero_are_bounds():
    for clip in (lambda w: clip_grad_norm([w], 0.0), lambda w: clip_grad_value([w], 0.0)):
        w = Value(1.0)
        w.grad = 3.0
        clip(w)
        assert w.grad == 0.0
    for clip in (clip_grad_norm, clip_grad_value):
        w = Value(1.0)
        w.grad = 0.5
        clip([w], 0.25)
        assert w.grad == 0.25


def test_a_largest_gradient_of_one_is_clipped():
    w = Value(1.0)
    w.grad = 1.0
    assert clip_grad_norm([w], 0.5) == 1.0
    assert w.grad == 0.5


def test_a_gradient_of_the_norm_is_left_to_the_bit():
    params = [Value(1.0), Value(1.0), Value(1.0)]
    push(params, [0.1, 0.7, 0.3])
    norm = clip_grad_norm(params, math.inf)
    assert clip_grad_norm(params, norm) == norm
    assert [w.grad for w in params] == [0.1, 0.7, 0.3]


def test_an_optimizer_of_ones_own_needs_a_rule():
    class Half(Optimizer):
        defaults: ClassVar = {"lr": 0.1}

    w = Value(1.0)
    w.grad = 1.0
    with pytest.raises(NotImplementedError):
        Half([w]).step()


def test_an_optimizer_of_ones_own_may_have_other_bases():
    seen = []

    class Registered:
        def __init_subclass__(cls):
            seen.append(cls.__name__)

    class Mine(Optimizer, Registered):
        defaults: ClassVar = {"lr": 0.1}

    assert seen == ["Mine"] == [Mine.__name__]


def test_a_hint_stands_only_where_it_helps():
    with pytest.raises(TypeError, match=r"got Value$"):
        SGD(Value(1.0))
    with pytest.raises(TypeError, match=r"got set; a set has no order$"):
        SGD({1.0})
    with pytest.raises(ValueError, match=r"^SGD: no parameters$"):
        SGD([])
    with pytest.raises(ValueError, match=r"^SGD, group 0: no parameters$"):
        SGD([{"params": []}])


def test_an_error_of_a_gradient_that_is_not_finite_can_be_made_of_a_message():
    error = NonFiniteGradientError("text")
    assert (str(error), error.position) == ("text", -1)
    assert math.isnan(error.gradient)


def test_steps_left_out_are_counted():
    w = Value(1.0)
    optimizer = SGD([w], lr=1.0, on_nonfinite="skip")
    for _ in range(3):
        w.grad = math.inf
        optimizer.step()
    assert (optimizer.skipped, optimizer.steps) == (3, 0)


def test_counters_go_up_to_the_last_whole_number_of_floats():
    optimizer = SGD([Value(1.0)])
    state = optimizer.state_dict()
    optimizer.load_state_dict({**state, "steps": 2**53, "skipped": 106})
    assert (optimizer.steps, optimizer.skipped) == (2**53, 106)
    for steps in (2**53 + 1, 3**53, 2**54):
        with pytest.raises(ValueError, match="whole number from 0 to"):
            optimizer.load_state_dict({**state, "steps": steps})


def test_a_parameter_without_a_step_has_the_state_of_the_start():
    w = Value(1.0)
    optimizer = Adam([w])
    state = optimizer.state_dict()
    state["groups"][0]["params"][0]["m"] = 5.0
    optimizer.load_state_dict(state)
    assert optimizer.moments(w)["m"] == 0.0


def test_states_of_many_parameters_are_loaded():
    params = [Value(float(k)) for k in range(400)]
    push(params, [1.0] * 400)
    optimizer, other = Adam(params), Adam(params)
    optimizer.step()
    other.load_state_dict(optimizer.state_dict())
    assert other.state_dict() == optimizer.state_dict()


# ---- what outsiders met ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["raise", "skip", "apply"])
def test_a_finite_gradient_whose_step_is_not_finite_changes_nothing(policy):
    w = Value(1.0, label="w")
    optimizer = optim.RMSProp([w], centered=True, on_nonfinite=policy)
    before = optimizer.state_dict()
    w.grad = 1e160
    if policy == "raise":
        message = (
            r"^RMSProp: the step of parameter 0 \('w'\), whose gradient is 1e\+160, leads to nan at step 0; nothing"
        )
        with pytest.raises(NonFiniteGradientError, match=message):
            optimizer.step()
    else:
        optimizer.step()
    assert math.isnan(w.data) if policy == "apply" else w.data == 1.0
    if policy != "apply":
        assert optimizer.state_dict() == {**before, "skipped": int(policy == "skip")}


@pytest.mark.parametrize("method", [optim.Adam, optim.AdaGrad, optim.AdaDelta, optim.RMSProp, optim.NAdam])
def test_a_finite_gradient_that_would_make_a_moment_infinite_changes_nothing(method):
    w = Value(1.0, label="w")
    optimizer = method([w])
    before = optimizer.state_dict()
    w.grad = -1e160
    with pytest.raises(
        NonFiniteGradientError, match=r"\('w'\), whose gradient is -1e\+160, leads to \S+ = inf at step 0"
    ):
        optimizer.step()
    assert (w.data, optimizer.state_dict()) == (1.0, before)


def wrapped(plateau):
    """A schedule with state inside whatever may hold one."""

    class Own:
        __slots__ = ("inner",)

        def __call__(self, t):
            return self.inner(t)

    own = Own()
    own.inner = plateau
    return {
        "warmup": schedules.warmup(plateau, 2),
        "join": schedules.join([0.1, plateau], [1]),
        "by_epoch": schedules.by_epoch(plateau, 3),
        "lambda": lambda t: 0.5 * plateau(t),
        "default": lambda t, inner=plateau: inner(t),
        "partial": partial(lambda inner, t: inner["x"](t), {"x": plateau}),
        "method": schedules.warmup(plateau, 1).__call__,
        "slots": own,
        "nested": schedules.warmup(lambda t: schedules.by_epoch(plateau, 2)(t), 3),
    }


@pytest.mark.parametrize("name", wrapped(schedules.ReduceOnPlateau(0.1)))
def test_the_state_of_a_schedule_inside_another_is_saved(name):
    plateaus = [schedules.ReduceOnPlateau(0.1, factor=0.5, patience=0) for _ in range(2)]
    first, second = (SGD([Value(1.0)], lr=wrapped(plateau)[name]) for plateau in plateaus)
    plateaus[0].observe(1.0)
    plateaus[0].observe(1.0)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert plateaus[1].rate == 0.05
    assert second.groups[0]["lr"](10) == first.groups[0]["lr"](10) in (0.05, 0.025)
    assert schedules.parts_with("observe", second.groups[0]["lr"]) == [plateaus[1]]
    plain = SGD([Value(1.0)], lr=schedules.warmup(0.1, 3))
    with pytest.raises(ValueError, match="does not belong"):
        plain.load_state_dict(first.state_dict())


def test_a_network_in_a_schedule_is_no_schedule():
    model = MLP(1, [1])
    assert SGD([Value(1.0)], lr=lambda t: 0.1 * len(model.parameters())).state_dict()["groups"][0]["lr"] == {
        "schedule": None
    }


def test_what_is_given_instead_of_parameters_is_told_the_way_out():
    model = MLP(1, [1])
    with pytest.raises(TypeError, match=r"SGD: expected a list of parameters, got MLP; give its parameters\(\)"):
        SGD(model)
    with pytest.raises(TypeError, match="SGD: expected a list of parameters, got method; call it"):
        SGD(model.parameters)


def test_a_loop_without_zero_grad_is_told_so_once():
    w = Value(1.0)
    optimizer = SGD([w], lr=0.01)
    (w * w).backward()
    optimizer.step()
    (w * w).backward()
    with pytest.warns(UserWarning, match=r"SGD: the gradients of this step were added to .* call zero_grad\(\)"):
        optimizer.step()
    for _ in range(3):  # warnings are errors here
        (w * w).backward()
        optimizer.step()
    assert type(w.grad) is float


@pytest.mark.parametrize("forget", ["optimizer", "value", "none", "number"])
def test_a_loop_that_zeroes_gradients_in_whatever_way_is_told_nothing(forget):
    w = Value(1.0)
    optimizer = SGD([w], lr=0.01)
    for _ in range(3):
        (w * w).backward()
        (w * w).backward()  # accumulated on purpose
        optimizer.step()
        assert pickle.loads(pickle.dumps(w)).grad == w.grad
        if forget == "optimizer":
            optimizer.zero_grad()
        elif forget == "value":
            w.zero_grad()
        else:
            w.grad = None if forget == "none" else 0.0
    for _ in range(3):  # the same gradient again and again
        w.grad = 1.0
        optimizer.step()
        optimizer.step()
