"""Loops, choices and roots in `map`: eight samples at once, whatever each of them does, with the bits of one alone."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import LoopError, cond, fori_loop, scan, while_loop
from scalargrad.compiler import compile
from scalargrad.compiler.backends import blocks, native
from scalargrad.compiler.backends.x86 import orders
from scalargrad.compiler.batching import batch

from .extras import needs_llvm
from .test_control import bits, heron, nested

pytestmark = needs_llvm  # which makes the loop over a batch


@pytest.fixture(params=["own", "llvm", "avx"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Machine code of our own, if there is such here; LLVM's, and nothing but that; and both, where AVX-512 is not."""
    monkeypatch.setenv("SCALARGRAD_NATIVE", "llvm" if request.param == "llvm" else "")
    if request.param == "llvm":
        monkeypatch.setattr(orders.X86Orders, "finish", lambda self: pytest.fail("not by LLVM"))
    elif request.param == "avx":
        found = native.features() - {"avx512"}
        monkeypatch.setattr(native, "features", lambda: found)
    return request.param


@pytest.fixture
def in_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_in_python", lambda *_: pytest.fail("a sample alone"))


def steps(x: Any, p: Any) -> Any:
    """Loops whose number of steps differs, in each other and in a choice, some of which no sample takes."""

    def body(c: Any) -> Any:
        k, z = c
        z = cond(z * p > 0.3, lambda z: while_loop(lambda z: abs(z) > 0.5, lambda z: z * 0.4 * p, z, max_steps=40),
                 lambda z: cond(z > 9.0, sg.exp, lambda z: sg.sin(z) + p, z), z)  # fmt: skip
        return k + 1.0, z + 0.1 * k * x

    return while_loop(lambda c: c[0] < abs(x) * 3.0, body, (0.0, x), max_steps=30)[1]


def in_condition(x: Any, p: Any) -> Any:
    """A condition that loops, and a loop that begins behind one."""
    z = while_loop(
        lambda z: fori_loop(0, 3, lambda i, a: a * p + i * 0.1, z) > 0.5, lambda z: 0.7 * z - 0.1, x + 2.0, max_steps=50
    )
    return scan(
        lambda c, t: (while_loop(lambda c: c > 1.0, lambda c: c * 0.5, c + t * x, max_steps=9), c), z, [3.0, 1.0]
    )[0]


def solved(x: Any, p: Any) -> Any:
    a, b = sg.root(lambda v, q: [v[0] + 0.3 * sg.sin(v[1]) - q, v[1] - 0.5 * sg.cos(v[0]) * x], [0.0, 0.0], x * p)
    c = sg.root(lambda z, q: z**3 + z - q, 0.1, a * b, bracket=(-9.0, 9.0))
    return cond(x > 0.5, lambda c: sg.fixed_point(lambda z, q: 0.4 * sg.cos(z) + q, 0.0, c), lambda c: c * p, c)


def branched(x: Any, p: Any) -> Any:
    return heron(x * x + 0.1) * p if x > 0.4 else steps(x, p)


ORDERS: list[Callable[[Any], Any]] = [
    lambda f: f,
    lambda f: sg.value_and_grad(f, (0, 1)),
    lambda f: lambda x, p: sg.jvp(sg.grad(f), (x, p), (1.0, 0.5)),
    lambda f: sg.grad(sg.grad(f, 1)),
]


def flat(tree: Any) -> list[Any]:
    return [x for each in tree for x in flat(each)] if isinstance(tree, tuple) else [tree]


@pytest.mark.usefixtures("in_lanes")
@pytest.mark.parametrize("f", [steps, in_condition, solved, branched, lambda x, p: nested(p + 0.01 * x)])
def test_samples_that_take_different_ways_have_the_bits_of_one_alone(f: Any, machine: str) -> None:
    r = random.Random(0)
    xs = [r.uniform(-2.0, 2.0) for _ in range(21)]
    ps = [r.uniform(0.2, 1.2) for _ in range(21)]
    for order in {"own": ORDERS, "llvm": ORDERS[::2], "avx": ORDERS[:1]}[machine]:
        g = compile(order(f), backend="native")
        one = compile(order(f), backend="python")
        columns = list(zip(*[flat(one(x, p)) for x, p in zip(xs, ps, strict=True)], strict=True))
        assert bits(flat(g.map(xs, ps))) == bits(columns)
        assert bits(flat(g(xs[3], ps[3]))) == bits([column[3] for column in columns])
        sums = flat(g.map(xs, ps, reduce="sum"))
        assert sums == pytest.approx([math.fsum(column) for column in columns], rel=1e-12, abs=1e-12)


@pytest.mark.usefixtures("in_lanes")
def test_samples_without_an_end_are_named_and_the_others_do_not_matter(machine: str) -> None:
    def nests(x: Any) -> Any:  # what has failed inside would go on for ever outside
        inner = lambda c: while_loop(lambda z: abs(z) > 1e-3, lambda z: z * x, c, max_steps=60)  # noqa: E731
        return while_loop(lambda c: abs(c) > 1e-2, inner, x + 1.0)

    def asks(x: Any) -> Any:  # or is asked for ever, though what is asked first has failed
        search = lambda c: while_loop(  # noqa: E731
            lambda z: abs(z) > 1e-3, lambda z: z * sg.where(c < 0.0, c, 0.5), c, max_steps=60
        )
        return while_loop(lambda c: (search(c) < 1.0) & (c < 3.0), lambda c: sg.where(x < 0.0, 0.5, 2.0 * c), x)

    whole = "while_loop: the condition still holds after 50 steps"
    for f, message in ((heron, whole), (nests, "after 60 steps"), (asks, "after 60 steps")):
        g = compile(f, backend="native")
        xs = [0.5 + 0.01 * k for k in range(13)]
        expected = [g(x) for x in xs]
        for place in (12, 3):
            bad = [*xs[:place], -9.0, *xs[place + 1 :]]
            for options in ({}, {"reduce": "sum"}, {"threads": 2}):
                with pytest.raises(LoopError, match=rf"^sample {place}: (.|\n)*{message}(.|\n)*test_control"):
                    g.map(bad, **options)
        assert g.map(xs) == expected
        assert g.map(xs, reduce="mean") == pytest.approx(math.fsum(expected) / 13)
    singular = compile(lambda a: sg.root(lambda x, a: x * x + a, a - 1.0, a), backend="native")
    with pytest.raises(LoopError, match=r"sample 2: root: none found: .*Jacobian singular, at step 1 after 100"):
        singular.map([-4.0, -2.0, 1.0, -3.0])
    with pytest.raises(LoopError, match="sample 1: root"):
        sg.grad(lambda a: singular.map([a - 4.0, a + 1.0])[0])(0.0)


def test_loops_without_a_bound_and_derivatives_ahead(machine: str, in_lanes: None) -> None:
    f = compile(
        lambda x: sg.jvp(lambda x: while_loop(lambda c: c < 5.0, lambda c: c * c, x), (x,), (1.0,)), backend="native"
    )
    xs = [1.1 + 0.3 * k for k in range(11)]
    assert f.map(xs) == tuple(map(list, zip(*[f(x) for x in xs], strict=True)))
    assert math.isnan(f.map([1.5, math.nan])[0][1])
    assert f.info.traces[0].calls > 0


def test_what_python_computes_is_asked_for_the_samples_that_need_it() -> None:
    @sg.primitive(lambda y, x: (0.5,))
    def half(x: float) -> float:
        assert x > 0.0
        return 0.5 * x

    f = compile(lambda x: cond(x > 0.0, half, lambda x: while_loop(lambda c: c < 0.0, lambda c: c + 1.0, x), x),
                backend="native")  # fmt: skip
    assert f.map([2.0, -2.5, 3.0]) == [1.0, 0.5, 1.5]
    solver = sg.custom_root(lambda x, a: x * x - a)(lambda x0, a: math.sqrt(a))
    g = compile(sg.grad(lambda a: cond(a > 1.0, lambda a: solver(None, a), lambda a: a * a, a)), backend="native")
    assert g.map([4.0, -1.0, 9.0]) == [0.25, -2.0, g(9.0)]


def test_what_is_too_large_for_lanes_runs_one_sample_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    f = compile(sg.grad(heron), backend="native")
    monkeypatch.setattr(blocks, "FARTHEST", 10_000)
    found = f.map([4.0, 9.0, 2.0], reduce="sum")
    assert found == pytest.approx(sum(0.5 / math.sqrt(a) for a in (4.0, 9.0, 2.0)), rel=1e-6)
