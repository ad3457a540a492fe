"""Loops and choices: against the same written out, derivatives of order 0 to 3, the same bits eager and compiled."""

from __future__ import annotations

import copy
import ctypes
import math
import pickle
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import LoopError, Value, cond, fori_loop, nn, scan, while_loop
from scalargrad.activations import silu
from scalargrad.compiler import TraceError
from scalargrad.compiler.frontend import derived
from scalargrad.data import Dataset
from scalargrad.losses import mean_squared_error
from scalargrad.optim import SGD
from scalargrad.training import fit

BACKENDS = ["python", "native"]


def bits(tree: Any) -> Any:
    if isinstance(tree, list | tuple):
        return [bits(x) for x in tree]
    return "nan" if tree != tree else float(tree).hex()


def nested(p: Any) -> Any:
    """Loops in loops, of every kind, that share a number."""

    def step(c: Any, x: Any) -> Any:
        d, ys = scan(lambda a, b: (sg.sin(a * p) + c * b, a * c), c, [0.1, 0.2, x])
        e = cond(d > 0.5, lambda d: d * p, lambda d: d * d, d)
        e = while_loop(lambda z: abs(z) > 1.0, lambda z: z * 0.5 * p, e, max_steps=30)
        return e + ys[1], (ys, e * p)

    c, (ys, zs) = scan(step, p, [1.0, 2.0], reverse=True)
    return c + sg.sum([y for row in ys for y in row]) * sg.sum(zs)


def nested_unrolled(p: Any) -> Any:
    c, every, zs = p, [], []
    for x in (2.0, 1.0):
        a, ys = c, []
        for b in (0.1, 0.2, x):
            a, y = sg.sin(a * p) + c * b, a * c
            ys.append(y)
        e = a * p if a > 0.5 else a * a
        while abs(e) > 1.0:
            e = e * 0.5 * p
        c = e + ys[1]
        every += ys
        zs.append(e * p)
    return c + sg.sum(every) * sg.sum(zs)


def heron(a: Any) -> Any:
    return while_loop(lambda x: abs(x * x - a) > 1e-9, lambda x: (x + a / x) / 2.0, 1.0 + 0.0 * a, max_steps=50)


def heron_unrolled(a: Any) -> Any:
    x = 1.0 + 0.0 * a
    while abs(x * x - a) > 1e-9:
        x = (x + a / x) / 2.0
    return x


def decay(p: Any) -> Any:
    (y, z), ys = scan(lambda c, x: ((c[0] - p * c[1] * x, sg.tanh(c[0])), c[1] * p), (1.0, p), [0.1, 0.3, 0.2, 0.4])
    return y * z + sg.logsumexp(ys)


def decay_unrolled(p: Any) -> Any:
    y, z, ys = 1.0, p, []
    for x in (0.1, 0.3, 0.2, 0.4):
        ys.append(z * p)
        y, z = y - p * z * x, sg.tanh(y)
    return y * z + sg.logsumexp(ys)


def powers(x: Any) -> Any:
    return fori_loop(1, 5, lambda i, y: y * x + sg.sin(i * x), x)


def powers_unrolled(x: Any) -> Any:
    y = x
    for i in range(1, 5):
        y = y * x + sg.sin(i * x)
    return y


def chosen(x: Any) -> Any:
    return cond(x * x > 2.0, lambda u, v: {"a": u * v}, lambda u, v: {"a": sg.exp(u)}, x, x * x * x)["a"]


def chosen_unrolled(x: Any) -> Any:
    return x * (x * x * x) if x * x > 2.0 else sg.exp(x)


CASES = [
    (nested, nested_unrolled, 0.9),
    (heron, heron_unrolled, 9.0),
    (decay, decay_unrolled, 0.7),
    (powers, powers_unrolled, 0.8),
    (chosen, chosen_unrolled, 1.2),
    (chosen, chosen_unrolled, 1.7),
]


def derivatives(f: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Of order 0 to 3, in reverse and forward mode and both."""

    def ahead(g: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x: sg.jvp(g, (x,), (1.0,))[1]

    first = sg.grad(f)
    return [f, first, ahead(f), sg.grad(first), ahead(first), sg.grad(ahead(f)), ahead(ahead(f)), sg.grad(ahead(first))]


@pytest.mark.parametrize(("f", "unrolled", "x"), CASES)
def test_derivatives_are_those_of_the_loop_written_out(f: Any, unrolled: Any, x: float) -> None:
    for ours, theirs in zip(derivatives(f), derivatives(unrolled), strict=True):
        assert ours(x) == pytest.approx(theirs(x), rel=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("f", "unrolled", "x"), CASES)
def test_compiled_loops_have_the_bits_of_eager_ones(f: Any, unrolled: Any, x: float, backend: Any) -> None:
    for each in derivatives(f):
        compiled = sg.compile(each, backend=backend)
        batch = [x, x * 1.01, x * 0.7]
        for at in batch:
            assert bits(compiled(at)) == bits(each(at))
        assert bits(compiled.map(batch)) == bits([each(at) for at in batch])


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
@pytest.mark.parametrize(("f", "unrolled", "x"), CASES[:3] + CASES[4:5])
def test_loops_in_c_have_the_bits_of_eager_ones(f: Any, unrolled: Any, x: float, tmp_path: Path) -> None:
    orders = derivatives(f)[:4]
    for k, each in enumerate(orders):
        compiled = sg.compile(each, backend="python")
        compiled(x)
        for name, text in zip((f"f{k}.h", f"f{k}.c"), compiled.to_c(f"f{k}"), strict=True):
            (tmp_path / name).write_text(text)
    strict = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    sources = [f"f{k}.c" for k in range(len(orders))]
    subprocess.run(["gcc", *strict, "-shared", "-fPIC", "-o", "f.so", *sources, "-lm"], check=True, cwd=tmp_path)
    library = ctypes.CDLL(str(tmp_path / "f.so"))
    for k, each in enumerate(orders):
        for at in (x, x * 1.01):
            y = ctypes.c_double()
            assert library[f"f{k}"](ctypes.byref(ctypes.c_double(at)), ctypes.byref(y)) == 0
            assert bits(y.value) == bits(each(at))


def test_a_loop_that_fails_is_an_error_in_machine_code_and_1_in_c() -> None:
    for backend in ("python", "native"):
        compiled = sg.compile(heron, backend=backend)
        assert compiled(4.0) == pytest.approx(2.0)
        with pytest.raises(LoopError, match=r"after 50 steps(.|\n)*test_control"):
            compiled(-9.0)
        with pytest.raises(LoopError, match=r"after 50 steps(.|\n)*test_control"):
            compiled.map([4.0, -9.0])
        assert compiled(4.0) == pytest.approx(2.0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("checkpoint", ["sqrt", 1, 4, 11, 12, 40])
def test_checkpoints_change_nothing_but_memory(checkpoint: Any, reverse: bool) -> None:
    def f(p: Any, checkpoint: Any = None) -> Any:
        (a, b), (us, vs) = scan(
            lambda c, x: ((c[0] + 0.1 * c[1] * p * x, 0.9 * c[1] + sg.sin(c[0])), (c[0], [c[1] * p, c[0]])),
            (1.0, p), {"t": [0.1 * i for i in range(12)]}["t"], reverse=reverse, checkpoint=checkpoint,
        )  # fmt: skip
        return a * b + sg.dot(us, [v[0] * v[1] for v in vs])

    for order in (lambda f: f, sg.grad, lambda f: sg.grad(sg.grad(f))):
        assert order(lambda p: f(p, checkpoint))(0.6) == pytest.approx(order(f)(0.6), rel=1e-12)


def test_columns_and_carries_are_trees() -> None:
    np = pytest.importorskip("numpy")

    def step(c: Any, x: Any) -> Any:
        return {"s": c["s"] + x["a"] * x["b"][0][1], "n": [c["n"][0] + 1.0]}, ([x["a"], x["b"][1]], c["s"])

    xs = {"a": [1.0, 2.0, 3.0], "b": (np.arange(6.0).reshape(3, 2), [4.0, 5.0, 6.0])}
    carry, (pairs, sums) = scan(step, {"s": 0.0, "n": [0]}, xs)
    assert carry == {"s": 1.0 + 6.0 + 15.0, "n": [3.0]}
    assert pairs == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert sums == [0.0, 1.0, 7.0]
    carry, (pairs, sums) = scan(step, {"s": Value(0.0), "n": [0]}, xs)
    assert [carry["s"].data, [[x.data for x in pair] for pair in pairs][2]] == [22.0, [3.0, 6.0]]
    assert [x.data for x in sums] == [0.0, 1.0, 7.0]
    assert scan(step, {"s": 1.5, "n": [0]}, {"a": [], "b": ([], [])})[0] == {"s": 1.5, "n": [0.0]}


@dataclass
class Pair:
    a: Any
    b: Any


def test_dataclasses_hold_columns() -> None:
    def f(p: Any, checkpoint: Any = None) -> Any:
        return scan(
            lambda c, x: (Pair(c.a * p + x.a, c.b * x.b[0]), Pair(c.a, [c.b])), Pair(0.0, p),
            Pair([1.0, 2.0, 3.0], [[2.0], [3.0], [0.5]]), checkpoint=checkpoint,
        )  # fmt: skip

    assert f(1.0) == (Pair(6.0, 3.0), Pair([0.0, 1.0, 3.0], [[1.0], [2.0], [6.0]]))
    for checkpoint in (None, 2):
        carry, ys = f(Value(1.0), checkpoint)
        assert (carry.a.data, [y.data for y in ys.a], ys.b[2][0].data) == (6.0, [0.0, 1.0, 3.0], 6.0)
    with pytest.raises(ValueError, match=r"xs\.a.*xs\.b"):
        scan(lambda c, x: (c, None), 0.0, Pair([1.0], [1.0, 2.0]))
    with pytest.raises(TraceError, match="its use as an index"):
        sg.grad(lambda p: fori_loop(0, 2, lambda i, c: c * p + [1.0, 2.0][i], 0.0))(1.0)


def test_gradients_reach_columns_and_what_the_body_closes_over() -> None:
    def f(xs: Any, w: Any) -> Any:
        c, ys = scan(lambda c, x: (c * w[0] + x, x * c * w[1]), 0.5, xs)
        return c + sg.sum(ys)

    def unrolled(xs: Any, w: Any) -> Any:
        c, ys = 0.5, []
        for x in xs:
            c, y = c * w[0] + x, x * c * w[1]
            ys.append(y)
        return c + sg.sum(ys)

    arguments = [1.0, -2.0, 0.5], [0.3, 0.7]
    ours, theirs = sg.grad(f, (0, 1))(*arguments), sg.grad(unrolled, (0, 1))(*arguments)
    assert [*ours[0], *ours[1]] == pytest.approx([*theirs[0], *theirs[1]], rel=1e-14)
    ours, theirs = sg.hessian(f)(*arguments), sg.hessian(unrolled)(*arguments)
    assert [x for row in ours for x in row] == pytest.approx([x for row in theirs for x in row], rel=1e-14)


def test_a_loop_is_one_operation_with_one_node_an_output() -> None:
    x = Value(0.5)
    y, zs = scan(lambda c, t: (sg.sin(c) * x + t, c), x, [1.0, 2.0, 3.0])
    (loop,) = y.parents
    assert loop.operation.name == "scan"
    assert all(z.parents == (loop,) for z in zs)
    for other in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        (leaf,) = {p for p in other.parents[0].parents if p.is_leaf}
        other.backward()
        y.backward()
        assert (other.data, leaf.grad) == (y.data, x.grad)
        x.zero_grad()
    assert "scan" in sg.draw(y).text()
    assert "scan" in sg.draw(y).svg()


def test_a_closure_counts_as_it_was_when_the_loop_ran() -> None:
    def f(x: Any) -> Any:
        total: Any = 0.0
        for k in (1.0, 2.0, 3.0):
            total = total + scan(lambda c, _: (c * x * k, None), 1.0, length=2)[0]  # noqa: B023
        return total

    assert sg.grad(f)(2.0) == 2 * 2.0 * (1 + 4 + 9)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x: scan(lambda c, t: ((c, c), None), x, [1.0]), TypeError, "step 0: expected a number, got a tuple"),
        (lambda x: scan(lambda c, t: ((c, c), None), (x, x, x), [1.0]), TypeError, "a tuple of 3, got a tuple of 2"),
        (lambda x: scan(lambda c, t: ("a", None), x, [1.0]), TypeError, "step 0: expected a real number, got str"),
        (lambda x: scan(lambda c, t: c, x, [1.0]), TypeError, "must return a pair"),
        (lambda x: scan(lambda c, t: (c, t), x), ValueError, "Give xs, or length"),
        (lambda x: scan(lambda c, t: (c, t), x, [1.0], 2), ValueError, "length is 2, but xs has 1"),
        (lambda x: scan(lambda c, t: (c, t), x, [1.0], -1), ValueError, "at least 0"),
        (lambda x: scan(lambda c, t: (c, t), x, ([1.0], [1.0, 2.0])), ValueError, "different lengths"),
        (lambda x: scan(lambda c, t: (c, t), x, 3.0), TypeError, "xs: expected a column"),
        (lambda x: scan(lambda c, t: (c, t), x, [1.0, "a"]), TypeError, r"xs\[1\]: expected a real number"),
        (lambda x: scan(lambda c, t: (c, t), x, [1.0, 2.0], checkpoint=0), ValueError, "checkpoint"),
        (
            lambda x: while_loop(lambda c: c > 0, lambda c: c, x, max_steps=5),
            LoopError,
            r"after 5 steps(.|\n)*test_con",
        ),
        (lambda x: while_loop(lambda c: c > 0, lambda c: (c, c), x), TypeError, "while_loop: what body returned"),
        (lambda x: while_loop(lambda c: c > 0, lambda c: c, x, max_steps=0), ValueError, "max_steps"),
        (lambda x: scan(lambda c, t: (c, t), x, length=True), ValueError, "scan: length must be a whole number"),
        (lambda x: scan(lambda c, t: (c, t), x, length=2.0), ValueError, "scan: length must be a whole number"),
        (lambda x: scan(3, x, [1.0]), TypeError, "scan: expected a function, got int"),
        (lambda x: while_loop(lambda c: None, lambda c: c, x), TypeError, "condition returned: expected a real number"),
        (lambda x: while_loop(lambda c: c > 0, 3.0, x), TypeError, "while_loop: expected a function, got float"),
        (lambda x: cond(None, lambda x: x, lambda x: -x, x), TypeError, "cond: pred: expected a real number"),
        (lambda x: cond([], lambda x: x, lambda x: -x, x), TypeError, "cond: pred: expected a real number, got list"),
        (lambda x: cond(x > 0.0, 1.0, 2.0, x), TypeError, "cond: expected a function"),
        (lambda x: sg.checkpoint(3)(x), TypeError, "checkpoint: expected a function, got int"),
        (lambda x: fori_loop(0, 2.5, lambda i, c: c, x), TypeError, "whole numbers"),
        (lambda x: fori_loop(0, 2, lambda i, c: [c], x), TypeError, "step 0: expected a number, got a list"),
    ],
)
def test_bad_input_is_an_error_that_names_the_place(wrong: Any, error: Any, message: str) -> None:
    for x in (1.0, Value(1.0)):
        with pytest.raises(error, match=message):
            wrong(x)
    with pytest.raises(error, match=message):
        sg.compile(wrong, backend="python")(1.0)


def test_what_cannot_be_traced_once_is_an_error() -> None:
    def branches(x: Any) -> Any:
        return scan(lambda c, t: (c * x if c > 0.0 else t, None), x, [1.0, 2.0])[0]

    assert branches(3.0) == 27.0
    for f in (sg.grad(branches), sg.compile(branches), sg.compile(sg.grad(branches))):
        with pytest.raises(TraceError, match=r"cond\(pred, f, g, \*args\), or where(.|\n)*test_control"):
            f(3.0)

    def outside(x: Any) -> Any:  # which is not a number of the step's, so that it is a guard
        return scan(lambda c, t: (c * x if x > 0.0 else t, None), 1.0, [1.0, 2.0])[0]

    compiled = sg.compile(outside)
    assert [compiled(3.0), compiled(-3.0)] == [9.0, 2.0]
    assert len(compiled.info.traces) == 2
    with pytest.raises(TypeError, match="different structures"):
        cond(True, lambda x: (x, x), lambda x: x, Value(1.0))
    with pytest.raises(TypeError, match="give max_steps"):
        sg.grad(lambda x: while_loop(lambda c: c < 5.0, lambda c: c * c, x))(1.5)


def test_forward_mode_needs_no_bound() -> None:
    assert sg.jvp(lambda x: while_loop(lambda c: c < 5.0, lambda c: c * c, x), (1.5,), (1.0,)) == (5.0625, 13.5)


def test_the_branch_not_taken_contributes_nothing() -> None:
    def f(x: Any) -> Any:
        return cond(x > 0.0, lambda x: sg.sqrt(x), lambda x: x * 0.0, x)

    for backend in BACKENDS:
        assert sg.compile(sg.grad(f), backend=backend)(0.0) == sg.grad(f)(0.0) == 0.0


def test_anomalies_are_found_in_the_step_where_they_are() -> None:
    with sg.detect_anomaly(), pytest.raises(sg.AnomalyError, match="log gave nan"):
        scan(lambda c, t: (sg.log(c - t), c), Value(1.0), [0.5, 0.1, 0.2])


def test_nothing_is_recorded_under_no_grad() -> None:
    with sg.no_grad():
        y, _ = scan(lambda c, t: (c * t, None), Value(2.0), [3.0])
    assert y.is_constant
    assert y.data == 6.0
    assert math.isclose(sg.grad(lambda x: scan(lambda c, t: (c * x.detach(), None), x, [3.0])[0])(2.0), 2.0)


# ---- solutions -------------------------------------------------------------------------------------------------------


def agree(f: Callable[..., Any], x: float, reference: Callable[..., Any], rel: float = 1e-9) -> None:
    """Derivatives of order 0 to 3 against a reference, compiled ones against eager ones to the last bit."""
    for ours, theirs in zip(derivatives(f), derivatives(reference), strict=True):
        found = ours(x)
        assert found == pytest.approx(theirs(x), rel=rel)
        for backend in BACKENDS:
            assert bits(sg.compile(ours, backend=backend)(x)) == bits(found)


def test_roots_have_the_derivatives_of_the_implicit_function() -> None:
    agree(lambda a: sg.root(lambda x, a: x * x - a, 1.0, a), 9.0, sg.sqrt)
    agree(lambda a: sg.root(lambda x: x * x - a, 3.0), 9.0, sg.sqrt)  # begun at the root, and by closure
    agree(lambda a: sg.root(lambda x, a: x * x - a, 1.0, a, bracket=(0.0, 10.0)), 9.0, sg.sqrt)
    agree(lambda a: sg.fixed_point(lambda x, a: (x + a / x) / 2.0, 1.0, a), 9.0, sg.sqrt)


def test_roots_of_trees() -> None:
    def f(a: Any) -> Any:
        x = sg.root(lambda v, a: [v["p"][0] ** 2 + v["q"] - a, v["q"] * v["p"][0] - 1.0], {"p": [1.0], "q": 0.3}, a)
        return x["p"][0] * x["q"] + x["q"]

    # q = 1/p, and p is a root of p**3 - a p + 1
    agree(f, 3.0, lambda a: 1.0 + 1.0 / sg.root(lambda p, a: p**3 - a * p + 1.0, 1.5, a))
    batch = sg.compile(f, backend="native").map([3.0, 3.5, 4.0])
    assert bits(batch) == bits([f(a) for a in (3.0, 3.5, 4.0)])


def test_a_root_is_found_where_rounding_leaves_no_better_one() -> None:
    for m, e in ((0.0068904824633844175, 0.9793716749337209), (0.06719892145376027, 0.9338916645307175)):
        f = lambda x, m, e: x - e * sg.sin(x) - m  # noqa: E731
        x = sg.root(f, m, m, e)
        assert abs(f(x, m, e)) <= 2.0**-52 * x
        assert sg.compile(lambda m, e: sg.root(f, m, m, e), backend="native").map([m], [e]) == [x]  # noqa: B023
    with pytest.raises(LoopError):
        sg.root(lambda x: x * x + 1e-12, 1.0)


def test_a_system_that_needs_pivots_and_damping() -> None:
    x = sg.root(lambda v: [v[1] - 2.0, v[2] - 3.0, sg.atan(v[0] - 1.0) * 5.0], [20.0, 0.0, 0.0])
    assert x == pytest.approx([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda a: sg.root(lambda x, a: x * x + a, 1.0, a), LoopError, r"none found after 100 steps(.|\n)*test_contr"),
        (lambda a: sg.root(lambda x, a: x * x + a, 0.0, a), LoopError, "or its Jacobian singular, at step 1 "),
        (lambda a: sg.root(lambda x, a: x - a * math.inf, 0.0, a), LoopError, "f was not finite"),
        (lambda a: sg.root(lambda x, a: x * x + a, 1.0, a, bracket=(0, 5)), LoopError, "the same sign at both ends"),
        (lambda a: sg.root(lambda x, a: [x, a], 1.0, a), ValueError, r"2 number\(s\) for 1 unknown\(s\)"),
        (lambda a: sg.root(lambda x, a: x, [1.0, 2.0], a, bracket=(0, 5)), ValueError, "one number"),
        (lambda a: sg.fixed_point(lambda x, a: a * x, 1.0, a), LoopError, "fixed_point: none found after 1000"),
        (
            lambda a: sg.odeint(lambda y, t: 1e3 * y * y * a, 1.0, [0.0, 1.0], max_steps=30)[1],
            LoopError,
            "odeint: the next",
        ),
        (lambda a: sg.root(lambda x, a: x, 1.0, a, bracket=5.0), ValueError, "a bracket is two numbers"),
        (lambda a: sg.root(lambda x, a: x * x + a, 0.5, a), LoopError, r"after 100 steps, at [^,]*\n"),
        (
            lambda a: sg.minimum(lambda x, a: x * a, 0.0, a),
            LoopError,
            r"minimum: none found after 1000 steps, at -\S+\n",
        ),
        (
            lambda a: sg.minimum(lambda x, a: [x, x], 0.0, a),
            TypeError,
            "minimum: what f returned: expected a real",
        ),
        (lambda a: sg.minimum(3.0, 0.0, a), TypeError, "minimum: expected a function, got float"),
        (lambda a: sg.fixed_point(lambda x, a: [x, x], 1.0, a), ValueError, "fixed_point: what f returned: expected a"),
        (lambda a: sg.fixed_point(lambda x, a: x, 1.0, a, max_steps=-1), ValueError, "fixed_point: max_steps must be"),
        (lambda a: sg.odeint(lambda y, t: y, 1.0, a), TypeError, "ts must be a list or an array of times"),
        (lambda a: sg.odeint(lambda y, t: y * a, 1.0, [0.0, 1.0], rtol="a"), TypeError, "rtol: expected a real number"),
        (
            lambda a: sg.odeint(lambda y, t: y, 0.0, [0.0, a], rtol=0, atol=0)[1],
            LoopError,
            "the next time is not reached",
        ),
        (lambda a: sg.odeint(lambda y, t: -1e300 * y, 1e300 * a, [0.0, 1.0])[1], LoopError, "the next time is not"),
        (lambda a: sg.odeint(lambda y, t: [y, a], 1.0, [0.0, 1.0]), ValueError, "odeint: what f returned"),
        (lambda a: sg.odeint(lambda y, t: y * a, 1.0, [0.0, 1.0, 1.0]), ValueError, "must increase, or decrease"),
        (lambda a: sg.odeint(lambda y, t: y * a, 1.0, [0.0, 1.0], method="euler"), ValueError, "method must be"),
        (lambda a: sg.odeint(lambda y, t: y * a, 1.0, [0.0, 1.0], method="rk4", steps=0), ValueError, "steps must be"),
        (lambda a: sg.odeint(lambda y, t: y * a, 1.0, [0.0, 1.0], max_steps=-1), ValueError, "max_steps must be"),
        (lambda a: sg.odeint(lambda y, t: y * a, 1.0, [0.0, 1.0], rtol=-1.0), ValueError, "rtol must be"),
    ],
)
def test_what_is_not_found_is_an_error(wrong: Any, error: Any, message: str) -> None:
    for f in (wrong, sg.grad(wrong), *(sg.compile(wrong, backend=b) for b in BACKENDS), sg.compile(sg.grad(wrong))):
        with pytest.raises(error) as raised:
            f(2.0)
        assert re.search(message, re.sub(r"(\.py:\d+): .*", r"\1\n", str(raised.value)))  # without the line quoted here


def test_what_would_not_fit_into_memory_is_an_error() -> None:
    up = sg.grad(lambda x: while_loop(lambda c: c < 10.0, lambda c: c + 1.0, x, max_steps=10**12))
    for f in (up, *(sg.compile(up, backend=b) for b in BACKENDS)):
        with pytest.raises(MemoryError, match=r"GiB of numbers.*smaller max_steps"):
            f(0.0)


def _rosenbrock(x: Any, a: Any) -> Any:
    return (a - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def _tree(x: float) -> Any:
    return {"u": 0.0, "v": (x,)}


MINIMA: list[Any] = [
    (lambda a: sg.sum(sg.minimum(_rosenbrock, [-1.2, 1.0], a)), lambda a: a + a * a),
    (lambda a: sg.minimum(lambda x, a: sg.log(sg.cosh(x - a)), 30.0, a), lambda a: a),  # far off, where it is straight
    (lambda a: sg.minimum(lambda x: sg.cos(x * a), 0.3), lambda a: math.pi / a),  # begins where it is concave
    (
        lambda a: sg.minimum(lambda p, a: (p["u"] - a) ** 2 + (p["v"][0] * a - 1.0) ** 2, _tree(5.0), a)["v"][0],
        lambda a: 1.0 / a,
    ),
]


@pytest.mark.parametrize(("f", "exact"), MINIMA)
def test_minima_have_the_derivatives_of_the_implicit_function(f: Any, exact: Any) -> None:
    for g, expected in ((f, exact), (sg.grad(f), sg.grad(exact)), (sg.grad(sg.grad(f)), sg.grad(sg.grad(exact)))):
        assert g(1.3) == pytest.approx(expected(1.3), abs=1e-7)
        for backend in BACKENDS:
            assert sg.compile(g, backend=backend)(1.3) == g(1.3)
        assert list(sg.compile(g).map([1.3, 1.5])) == [g(1.3), g(1.5)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_derivative_at_a_singular_jacobian(backend: Any) -> None:
    """As of sqrt at 0: inf; nan where the implicit function theorem says nothing; and an error for who asks for one."""

    def double(a: Any) -> Any:
        return sg.root(lambda x, a: x * x - a, 0.0, a)

    def undecided(a: Any) -> Any:
        return sg.root(lambda x, a: (x - a) * (x - a), a, a)

    def system(a: Any) -> Any:
        return sg.root(lambda x, a: [x[0] + x[1] - a, 2.0 * x[0] + 2.0 * x[1] - 2.0 * a], [0.0, 0.0], a)[0]

    @sg.custom_root(lambda x, a: x * x - a)
    def found(x0: Any, a: Any) -> Any:
        return math.sqrt(a)

    singular = r"Jacobian is singular at the solution(.|\n)*test_control"
    for f, expected in ((double, "inf"), (undecided, "nan"), (system, "nan"), (lambda a: found(0.0, a), "inf")):
        for g in (sg.grad(f), lambda a, f=f: sg.jvp(f, (a,), (1.0,))[1]):
            assert str(g(0.0)) == str(sg.compile(g, backend=backend)(0.0)) == expected
            with (
                sg.detect_anomaly(),
                pytest.raises(sg.AnomalyError, match=singular),
            ):
                g(0.0)
        with sg.detect_anomaly(), pytest.raises(sg.AnomalyError, match=singular):
            sg.grad(sg.grad(f))(0.0)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
@pytest.mark.parametrize("known", ["none", "first", "middle"])
def test_derivatives_by_times_have_the_bits_of_eager_ones(method: str, known: str) -> None:
    def f(a: Any, t0: Any, t1: Any, t2: Any) -> Any:
        ts = {"none": [t0, t1, t2], "first": [0.0, t1, t2], "middle": [t2, 0.6, t0]}[known]
        y = sg.odeint(lambda y, t, a: [-a * y[0] + sg.sin(t), y[0] * t * a], [1.0, a], ts, a, method=method, rtol=1e-3)
        return sg.sum([sg.sum(row) for row in y])

    g = sg.grad(lambda *a: sg.sum([d * d for d in sg.grad(f, (0, 1, 2, 3))(*a)]), (0, 1, 2, 3))
    for h in (sg.grad(f, (0, 1, 2, 3)), g):
        assert sg.compile(h)(0.7, 0.1, 0.5, 1.1) == h(0.7, 0.1, 0.5, 1.1)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_times_that_only_the_call_knows(backend: Any, method: str) -> None:
    options: Any = {"method": method, "rtol": 1e-10, "steps": 30}

    def at_end(ts: Any, gradient: str = "steps") -> Any:
        return sg.odeint(lambda y, t, a: -y * t * a, 1.0, ts, 0.5, gradient=gradient, **options)[-1]

    def exact(ts: Any) -> Any:
        return sg.exp((ts[0] * ts[0] - ts[-1] * ts[-1]) / 4.0)

    replayed = sg.compile(at_end, backend=backend)
    for ts in ([0.0, 1.0, 2.0], [2.0, 1.0, -1.0]):
        assert replayed(ts) == pytest.approx(exact(ts), rel=1e-7)
        for gradient in ("steps", "adjoint"):
            slope = sg.grad(lambda ts, gradient=gradient: at_end(ts, gradient))
            assert slope(ts) == pytest.approx(sg.grad(exact)(ts), abs=1e-6)
            assert sg.compile(slope, backend=backend)(ts) == pytest.approx(slope(ts), rel=1e-12, abs=1e-12)
    for ts in ([0.0, 1.0, 0.5], [0.0, 1.0, 1.0]):
        with pytest.raises(LoopError, match="not after the one before"):
            replayed(ts)
        with pytest.raises(LoopError, match="not after the one before"):
            sg.grad(at_end)(ts)


def test_a_search_for_what_a_long_loop_would_have_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalargrad.compiler.frontend.derived.MUCH", 200_000)  # not run for tracing

    def long(x: Any) -> Any:
        return sg.fori_loop(0, 100_000, lambda i, c: c * 0.5 + x * 0.25, x) * 2.0 + 1.0

    for f in (
        lambda x: sg.root(lambda z, a: z * z - a, 1.0, long(x)),
        lambda x: sg.fixed_point(lambda z, a: 0.3 * sg.cos(z) + a, 1.0, long(x)),
        lambda x: sg.cond(x > 0.0, lambda a: sg.root(lambda z: z * z - a, 1.0), lambda a: a, long(x)),
        lambda x: sg.odeint(lambda y, t, a: -y * a, x, [0.0, 1.0], long(x))[1],
    ):
        for function in (f, sg.grad(f)):
            expected = function(0.7)
            assert [sg.compile(function, backend=b)(0.7) for b in BACKENDS] == [expected] * len(BACKENDS)


def test_anybodys_solver_is_called_back() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    calls: list[Any] = []

    @sg.custom_root(lambda x, a: sg.exp(x) * x - a)
    def lambert(x0: Any, a: Any) -> Any:
        calls.append((x0, a))
        return optimize.brentq(lambda x: math.exp(x) * x - a, 0.0, 10.0, xtol=1e-15)

    agree(lambda a: lambert(None, a), 2.0, lambda a: sg.root(lambda x, a: sg.exp(x) * x - a, 1.0, a))
    assert all(type(a) is float for _, a in calls)

    @sg.custom_root(lambda x, a: [x[0] * x[0] - a["b"], x[1] - x[0]])
    def two(x0: Any, a: Any) -> Any:
        return optimize.root(lambda x: [x[0] ** 2 - a["b"], x[1] - x[0]], x0, tol=1e-14).x.tolist()

    assert sg.grad(lambda b: sg.sum(two([1.0, 1.0], {"b": b})))(4.0) == pytest.approx(0.5)

    @sg.custom_root(lambda x, a: x - a)
    def broken(x0: Any, a: Any) -> Any:
        raise RuntimeError("no solution today")

    with pytest.raises(RuntimeError, match="today"):
        sg.compile(lambda a: broken(0.0, a), backend="native")(2.0)

    @sg.custom_root(lambda x, a: [each - a for each in x])
    def moody(x0: Any, a: Any) -> Any:
        return "none" if a == 0.0 else [a] * (2 if a > 0.0 else 3)

    with pytest.raises(TypeError, match="what moody returned: expected a real number, got str"):
        moody(None, 0.0)
    for backend in BACKENDS:
        total = sg.compile(lambda a: sg.sum(moody(None, a)), backend=backend)
        assert total(2.0) == 4.0
        for call in (total, lambda a: total.map([1.0, a])):  # noqa: B023
            with pytest.raises(ValueError, match="what moody returned: expected a list of 2, got a list of 3"):
                call(-2.0)


def test_what_one_made_raises_only_where_it_is_run() -> None:
    """A branch, and the body of a loop, is traced at numbers at which it may never run."""
    solved = sg.custom_root(lambda x, a: x * x - a)(lambda x0, a: math.sqrt(a))
    own = sg.primitive(lambda y, a: 0.5 / y)(lambda a: math.sqrt(a))
    for root in (own, lambda a: solved(None, a)):

        def chosen(x: Any, root: Any = root) -> Any:
            near = lambda x: cond(x < 9.0, root, lambda x: x, x)  # noqa: E731
            return cond(x > 0.0, near, lambda x: x * 2.0, x)

        def repeated(x: Any, root: Any = root) -> Any:
            step = lambda c: (c[0] + 1.0, root(3.0 - c[0]))  # noqa: E731
            return while_loop(lambda c: c[0] < 3.0, step, (x, x), max_steps=9)[1]

        for f in (chosen, repeated):
            for g in (f, sg.grad(f), sg.grad(sg.grad(f))):
                for backend in BACKENDS:
                    found = [sg.compile(g, backend=backend)(x) for x in (-1.0, 4.0, 10.0)]
                    assert found == [g(x) for x in (-1.0, 4.0, 10.0)]
                    assert list(sg.compile(g, backend=backend).map([-1.0, 4.0, 10.0])) == found
        assert [sg.grad(chosen)(x) for x in (-1.0, 4.0, 10.0)] == [2.0, 0.25, 1.0]

        for g in (sg.grad(lambda x: scan(lambda c, v: (c * root(v), None), 1.0, [x, x - 5.0])[0]),):  # noqa: B023
            for call in (g, *(sg.compile(g, backend=backend) for backend in BACKENDS)):
                with pytest.raises(ValueError, match=r"math domain error|expected a nonnegative"):
                    call(2.0)


def test_derivatives_of_ones_own() -> None:
    @sg.custom_vjp
    def f(x: Any, y: Any) -> Any:
        return sg.sin(x) * y

    f.defvjp(lambda x, y: (f(x, y), (sg.cos(x), sg.sin(x), y)), lambda r, g: (r[0] * r[2] * g, r[1] * g))
    agree(lambda x: f(x * x, x) * x, 0.7, lambda x: sg.sin(x * x) * x * x)

    @sg.custom_jvp
    def h(x: Any) -> Any:
        return {"a": sg.exp(x["u"]), "b": x["v"] * x["u"]}

    @h.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (x,), (d,) = primals, tangents
        out = h(x)
        return out, {"a": out["a"] * d["u"], "b": x["v"] * d["u"] + d["v"] * x["u"]}

    def uses(x: Any) -> Any:
        found = h({"u": x, "v": x * x})
        return found["a"] * found["b"]

    agree(uses, 0.7, lambda x: sg.exp(x) * x**3)
    agree(lambda x: sg.checkpoint(lambda a, b: [sg.sin(a) * b * x])(x, x * x)[0], 0.7, lambda x: sg.sin(x) * x**3)


def test_a_derivative_of_ones_own_is_what_counts() -> None:
    clipped = sg.custom_vjp(lambda x, how: x, nondiff_argnums=(1,))
    clipped.defvjp(lambda x, how: (x, None), lambda how, _, g: (sg.clamp(g, -1.0, 1.0) if how == "clip" else g,))
    for g in (lambda f: f, lambda f: sg.compile(f, backend="python"), lambda f: sg.compile(f, backend="native")):
        assert g(sg.grad(lambda x: clipped(x * x, "clip") * 5.0))(3.0) == 6.0
        assert g(sg.grad(lambda x: clipped(x * x, "not") * 5.0))(3.0) == 30.0
    w = Value(2.0, label="w")
    outside = sg.custom_vjp(lambda x: x * w)
    with pytest.raises(TypeError, match="custom_vjp without a derivative"):
        outside(Value(1.0))
    outside.defvjp(lambda x: (x * w, None), lambda _, g: (g,))
    with pytest.raises(TypeError, match=r"uses a Value from outside \(w\)"):
        outside(Value(1.0))
    short = sg.custom_vjp(lambda x, y: x * y)
    short.defvjp(lambda x, y: (x * y, None), lambda _, g: (g,))
    with pytest.raises(TypeError, match=r"each of 2 argument\(s\), got a tuple of 1"):
        sg.grad(short)(1.0, 2.0)


def predators(y: Any, t: Any, a: Any, b: Any) -> Any:
    return [a * y[0] - b * y[0] * y[1], b * y[0] * y[1] - y[1] + 0.1 * sg.sin(t)]


TIMES = [0.0, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("times", [TIMES, TIMES[::-1]])
@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_odes_agree_with_scipy(method: str, times: Any) -> None:
    integrate = pytest.importorskip("scipy.integrate")

    def reference(a: float) -> list[list[float]]:
        found = integrate.solve_ivp(
            lambda t, y: [float(x) for x in predators(list(y), t, a, 0.7)], (times[0], times[-1]), [1.0, 0.5],
            t_eval=times, rtol=1e-11, atol=1e-11, method="DOP853",
        )  # fmt: skip
        return found.y.T.tolist()

    def ours(a: Any, **options: Any) -> Any:
        return sg.odeint(predators, [1.0, 0.5], times, a, 0.7, method=method, steps=40, **options)

    assert [x for row in ours(1.1) for x in row] == pytest.approx([x for row in reference(1.1) for x in row], abs=1e-6)
    high, low = reference(1.1 + 1e-4), reference(1.1 - 1e-4)
    slopes = [(p - q) / 2e-4 for a, b in zip(high, low, strict=True) for p, q in zip(a, b, strict=True)]
    for options in ({}, {"gradient": "adjoint"}):
        weights = [0.3, -1.0, 0.7, 2.0, 1.1, -0.4, 0.9, 1.3]

        def loss(a: Any, options: Any = options, weights: Any = weights) -> Any:
            return sg.dot([x for row in ours(a, **options) for x in row], weights)

        found = sg.grad(loss)(1.1)
        assert found == pytest.approx(sg.dot(slopes, weights), abs=1e-5)
        assert sg.jvp(loss, (1.1,), (1.0,))[1] == pytest.approx(found, abs=1e-5)
        assert bits(sg.compile(sg.grad(loss), backend="native")(1.1)) == bits(found)


def test_odes_have_derivatives_by_times_and_second_ones() -> None:
    def loss(y: Any, times: Any, gradient: str) -> Any:
        found = sg.odeint(lambda y, t, c: {"a": (c * y["a"][0] * t,)}, {"a": (y,)}, times, 0.5, gradient=gradient)
        return found["a"][0][1] * found["a"][0][2]

    def exact(y: Any, times: Any, _: str) -> Any:
        first, *rest = [sg.exp(0.25 * t * t) for t in times]
        return y * y * rest[0] * rest[1] / (first * first)

    arguments = 0.8, [0.1, 0.7, 1.5]
    want = sg.grad(exact, (0, 1))(*arguments, "")
    for gradient in ("steps", "adjoint"):
        found = sg.grad(loss, (0, 1))(*arguments, gradient)
        assert [found[0], *found[1]] == pytest.approx([want[0], *want[1]], rel=1e-5)
        second = sg.grad(sg.grad(loss))(*arguments, gradient)
        assert second == pytest.approx(sg.grad(sg.grad(exact))(*arguments, ""), rel=1e-4)


def test_a_zero_upstream_gives_zero_behind_a_loop_too() -> None:
    def f(x: Any, y: Any) -> Any:
        a, b = sg.root(lambda v, a: [v[0] + 0.1 * sg.sin(v[1]) - a, v[1] - sg.sin(a)], [0.0, 0.0], x)
        return a * b + silu(y)

    def squares(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, y: sg.sum([d * d for d in sg.grad(f, (0, 1))(x, y)])

    g = sg.grad(squares(squares(f)), (0, 1))
    want = g(1.0, math.inf)
    assert want[1] == 0.0
    for backend in BACKENDS:
        assert bits(sg.compile(g, backend=backend)(1.0, math.inf)) == bits(want)


def test_a_zero_upstream_beside_a_call_gives_zero() -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        a, b = sg.checkpoint(lambda p, q: [sg.tanh(p * q), p + z])(z, x)
        return a * b

    def g(*arguments: float) -> Any:
        return sg.jvp(f, arguments, (0.0, 1.0, 0.0))

    for backend in ("python", "native"):
        compiled = sg.compile(g, backend=backend)  # type: ignore[call-overload]
        assert compiled(1.0, 1.0, -math.inf) == g(1.0, 1.0, -math.inf) == (math.inf, 0.0)


def test_loops_that_take_long_are_not_run_for_tracing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived, "MUCH", 10)

    def loop(p: Any) -> Any:
        return scan(lambda c, x: (sg.sin(c * p) + x, c), 0.3, [1.0, 2.0, 3.0])[0]

    def f(p: Any) -> Any:  # which branches on what loops give, in a body, too
        y = loop(p)
        if y > 3.0:
            return y * p
        z, _ = scan(lambda c, x: (c * y if p > 0.1 else c, None), p, length=3)
        return z if sg.grad(loop)(p) > 0.0 else z * 2.0

    for g in (f, sg.grad(f)):
        compiled = sg.compile(g, backend="native")
        for p in (0.5, 0.05, 1.5, -1.0, 3.0, 0.3):
            assert bits(compiled(p)) == bits(g(p))
        assert len(compiled.info.traces) == 3
    solver = sg.custom_root(lambda x, a: x * x - a)(lambda x0, a: math.sqrt(a))  # which does not take nan
    rest = sg.grad(lambda p: solver(None, 2.0 + loop(p)))
    assert bits(sg.compile(rest, backend="native")(0.5)) == bits(rest(0.5))


def test_a_condition_may_depend_on_what_it_closes_over_alone() -> None:
    compiled = sg.compile(lambda n: while_loop(lambda c: c < n, lambda c: c + 1.0, 0.0), backend="native")
    assert [compiled(n) for n in (3.0, 2.5, 1e5, -1.0)] == [3.0, 3.0, 1e5, 0.0]
    assert len(compiled.info.traces) == 1
    assert not compiled.info.traces[0].guards


def test_a_network_that_loops_is_trained_compiled() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            self.w = [Value(x) for x in (0.3, 0.2, -0.1, 0.4)]

        def __call__(self, xs: Any) -> Any:
            a, b, c, d = self.w
            state, _ = scan(lambda s, x: (sg.tanh(s * a + x * b + c), None), 0.0, xs)
            return [state * d]

    inputs = [[0.1 * i, 0.2, -0.3 * i] for i in range(9)]
    found = []
    for how in (False, True):
        model = Recurrent()
        data = Dataset(inputs, [[0.5 * sum(x)] for x in inputs])
        fit(model, data, mean_squared_error, SGD(model.w, 0.1), 2, compile=how, progress=False)
        found.append([w.data for w in model.w])
    assert found[0] == found[1]


@pytest.mark.skipif(len(BACKENDS) < 2, reason="no machine code with loops here")
def test_a_buffered_loop_works_in_the_memory_of_its_first_call() -> None:
    f = sg.compile(sg.grad(lambda x: scan(lambda c, _: (sg.sin(c * x), None), x, length=300_000)[0]), backend="native")
    inside = f.buffered(0.5)
    ((known,),) = f.specializations.values()
    assert known.runner("native").idle == []  # type: ignore[attr-defined]
    expected = inside.outputs[0]
    assert f(0.5) == expected
    inside.inputs[0] = 0.7
    inside()
    assert inside.outputs[0] == f(0.7) != expected
    inside.inputs[0] = 0.5
    inside()
    assert inside.outputs[0] == expected
