"""The polynomials that `compile` may use: their errors, their coefficients, their ends."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import math
import random
from math import copysign, inf, nan
from typing import Any

import mpmath as mp
import pytest

import scalargrad as sg
from scalargrad.compiler import compile
from scalargrad.compiler.backends.executable import features
from scalargrad.compiler.ir import polynomials
from scalargrad.compiler.ir.elementary import EVALUATE, FUSED, fma
from scalargrad.compiler.ir.lowering import lower
from scalargrad.compiler.ir.program import Program

from .accuracy import FAST, POLYNOMIALS, measure_polynomial
from .extras import HAS_LLVM, needs_llvm
from .test_compile import bits

needs_fused = pytest.mark.skipif("fma" not in features(), reason="needs code of ours, and a processor with FMA")
LIBRARY = {name: getattr(sg, name) for name in polynomials.POLYNOMIALS}


def test_every_polynomial_is_measured() -> None:
    assert POLYNOMIALS.keys() == polynomials.POLYNOMIALS.keys()


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_errors_are_within_what_is_stated(name: str) -> None:
    bound, _ = POLYNOMIALS[name]
    worst = measure_polynomial(name, 1500)
    assert worst.count > 1000
    assert 0.3 < worst.error <= bound, worst.at


@needs_fused
@pytest.mark.parametrize("name", POLYNOMIALS | FAST)
def test_errors_of_fused_products_are_within_what_is_stated(name: str) -> None:
    bound, _ = (POLYNOMIALS | FAST)[name]
    worst = measure_polynomial(name, 1500, fast=True)
    assert 0.3 < worst.error <= bound, worst.at


def test_the_quotient_for_tanh_is_as_near_as_stated() -> None:
    with mp.workdps(40):
        for k in range(1, 200):
            r = mp.log(2) / 4 * k / 199
            above, below = (
                sum(c * r ** (2 * j) for j, c in enumerate(each))
                for each in (polynomials.TANH_ABOVE, polynomials.TANH_BELOW)
            )
            assert abs(r * above / below / mp.tanh(r) - 1) < 2e-17


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_ends_of_fast_functions_and_of_their_slopes(name: str) -> None:
    f = sg.value_and_grad(getattr(sg, name))
    fast = compile(f, backend="native" if features() else "python", functions="fast")
    for x in (0.0, -0.0, 5e-324, -1e-310, 1e-300, 1.0, -1.0, inf, -inf, 1e300, -1e300, 800.0, -800.0, 340.0, -2.0):
        assert fast(x) == pytest.approx(f(x), rel=2e-15, abs=5e-324)
    assert math.isnan(fast(nan)[0])


@pytest.mark.parametrize("name", POLYNOMIALS)
@pytest.mark.parametrize(
    "x",
    [0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e-300, -1e-300, 1.0, -1.0, inf, -inf, nan, 1e300, -1e300, 800.0, -800.0, -2.0]
)  # fmt: skip
def test_ends_are_those_of_the_library(name: str, x: float) -> None:
    found, expected = polynomials.POLYNOMIALS[name](x), LIBRARY[name](x)
    if 0.0 < abs(expected) < inf:
        assert found == pytest.approx(expected, rel=1e-15)
        assert copysign(1.0, found) == copysign(1.0, expected)
    else:
        assert bits(found) == bits(expected)


def test_results_between_the_smallest_normal_number_and_zero_are_rounded_once() -> None:
    for k in range(2000):
        x = -708.0 - 37.0 * k / 2000.0
        assert abs(polynomials.exp(x) - math.exp(x)) <= 5e-324 * (1 + (math.exp(x) > 2.0**-1022))


def rest(f: Any, z: Any, value: Any, at: Any) -> Any:
    return value if abs(z) < at else f(z)


def test_polynomials_are_close_to_what_they_stand_for() -> None:
    with mp.workprec(200):
        ln2, half = mp.log(2), mp.mpf(1) / 2
        cases = {
            "EXP": (lambda r: rest(lambda r: (mp.exp(r) - 1 - r) / r**2, r, half + r / 6, 1e-20), ln2 / 2),
            "LOG": (
                lambda z: rest(
                    lambda z: (mp.log((1 + mp.sqrt(z)) / (1 - mp.sqrt(z))) - 2 * mp.sqrt(z)) / mp.sqrt(z) ** 3,
                    z, mp.mpf(2) / 3, 1e-18,
                ),
                ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2,
            ),
            "SIN": (
                lambda z: rest(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, z, -mp.mpf(1) / 6, 1e-18),
                (mp.pi / 4) ** 2,
            ),
            "COS": (
                lambda z: rest(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, z, mp.mpf(1) / 24, 1e-14),
                (mp.pi / 4) ** 2,
            ),
        }  # fmt: skip
        for name, (f, end) in cases.items():
            stated = getattr(polynomials, name)
            low = -end if name == "EXP" else mp.mpf(0)
            for k in range(101):
                x = low + (end - low) * k / 100
                y = sum(c * x**j for j, c in enumerate(map(mp.mpf, stated)))
                assert abs(y - f(x)) < 5e-16 * abs(y), name


def test_parts_of_constants_add_up() -> None:
    with mp.workprec(300):
        log2 = mp.mpf(polynomials.LN2_HIGH) + mp.mpf(polynomials.LN2_LOW)
        assert abs(log2 - mp.log(2)) < mp.mpf(2) ** -96
        assert abs(sum(map(mp.mpf, polynomials.HALF_PI)) - mp.pi / 2) < mp.mpf(2) ** -120
    assert int(polynomials.LN2_HIGH.hex()[4:17], 16) % 2**10 == 0
    assert all(int(x.hex()[4:17], 16) % 2**18 == 0 for x in polynomials.HALF_PI[:2])


@needs_llvm
def test_the_option_is_checked_and_reaches_every_backend() -> None:
    with pytest.raises(ValueError, match="functions"):
        compile(abs, functions="faster")  # type: ignore[call-overload]

    def f(x: Any) -> Any:
        return sg.tanh(x) * sg.sigmoid(x) + sg.logsumexp([x, 2.0 * x])

    g = sg.value_and_grad(f)
    python, native = (compile(g, backend=b, functions="polynomial") for b in ("python", "native"))  # type: ignore[arg-type]
    exact = compile(g)
    differ = 0
    for k in range(200):
        x = (k - 100) / 9.7
        found = [bits(y) for y in python(x)]
        assert found == [bits(y) for y in native(x)]
        assert python(x) == pytest.approx(exact(x), rel=1e-14)
        differ += found != [bits(y) for y in exact(x)]
    assert differ > 5
    assert native.map([0.5, 1.5])[0] == [python(0.5)[0], python(1.5)[0]]


# ---- products that are rounded with the sum that they go into --------------------------------------------------------


def test_a_fused_product_is_rounded_once() -> None:
    assert fma(1.0 + 2.0**-30, 1.0 - 2.0**-30, -1.0) == -(2.0**-60)
    assert fma(0.1, 10.0, -1.0) == float.fromhex("0x1p-54")
    assert fma(1e200, 1e200, -inf) == -inf
    assert fma(1e200, -1e200, 1.0) == -inf
    assert fma(5e-324, 0.5, 0.0) == 0.0  # half to even
    assert bits(fma(-0.0, 1.0, 0.0)) == bits(0.0)
    assert bits(fma(-0.0, 1.0, -0.0)) == bits(-0.0)
    assert bits(fma(-5e-324, 0.25, 0.0)) == bits(-0.0)
    assert fma(1e308, 10.0, -1e308) == inf
    assert math.isnan(fma(inf, 0.0, 1.0))


def computed(program: Program, xs: list[float]) -> list[float]:
    """What elementary operations give, in Python."""
    values: list[Any] = list(xs)

    def value(k: int) -> Any:
        return values[k] if k >= 0 else program.constants[~k]

    for operation, operands in zip(program.operations, program.operands, strict=True):
        values.append(EVALUATE[operation](*map(value, operands)))
    return [value(k) for k in program.outputs]


def tangle(seed: int) -> Any:
    """A function with more products and sums than registers, whose operands are used again or not, near or far."""

    def f(xs: list[Any]) -> list[Any]:
        r, values = random.Random(seed), list(xs)
        for _ in range(300):
            a, b, c = (r.choice(values[-r.choice((3, 12, 60)) :]) for _ in range(3))
            d = r.choice((a, 0.75, -1.25))
            values.append(r.choice([a * b + d, d - a * b, a * b - c, a * b + b * c, a * b * 0.5, a - c, a * a + a]))
            values[-1] = sg.clamp(values[-1], -4.0, 4.0) if r.random() < 0.2 else values[-1] * 0.5 - d * 0.25
        return values[-40:]

    return f


@needs_fused
@pytest.mark.parametrize("seed", range(4))
def test_machine_code_rounds_fused_products_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALARGRAD_NATIVE", "x86")
    native = compile(tangle(seed), backend="native", functions="fast")
    points = [[random.Random(k).uniform(-2.0, 2.0) for k in range(7 * j, 7 * j + 7)] for j in range(9)]
    native(points[0])
    ((found,),) = native.specializations.values()
    lowered = lower(found.fast() or found.program, "fast").program
    assert {*FUSED} <= set(lowered.operations)
    expected = [computed(lowered, xs) for xs in points]
    assert [list(map(bits, native(xs))) for xs in points] == [list(map(bits, ys)) for ys in expected]
    if HAS_LLVM:
        columns = native.map(points)
        assert [[bits(y) for y in ys] for ys in zip(*columns, strict=True)] == [list(map(bits, ys)) for ys in expected]


@needs_fused
@needs_llvm
def test_llvm_rounds_fused_products_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALARGRAD_NATIVE", "llvm")
    native = compile(tangle(0), backend="native", functions="fast")
    xs = [random.Random(k).uniform(-2.0, 2.0) for k in range(7)]
    found = native(xs)
    ((trace,),) = native.specializations.values()
    assert list(map(bits, found)) == list(map(bits, computed(lower(trace.program, "fast").program, xs)))


def test_branches_are_those_of_the_function() -> None:
    def f(a: Any, b: Any) -> Any:
        return a + b if a * b - b * a == 0.0 else a - b

    fast = compile(f, functions="fast", backend="native" if features() else "python")
    for x, y in ((0.1, 0.3), (1 / 3, 7.0)):
        assert fast(x, y) == x + y  # a product that is rounded once would leave the error of the other


def test_other_backends_take_polynomials() -> None:
    def f(x: Any) -> Any:
        return sg.tanh(x) * x + 1.0

    fast, plain = compile(f, functions="fast", backend="python"), compile(f, functions="polynomial", backend="python")
    assert fast(0.7) == plain(0.7)
    assert fast.to_c("f") == plain.to_c("f")
    assert fast.to_js("f") == plain.to_js("f")
