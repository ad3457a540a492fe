"""The polynomials that `compile` may use: their errors, their coefficients, their ends."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import math
from math import copysign, inf, nan
from typing import Any

import mpmath as mp
import pytest

import scalargrad as sg
from scalargrad.compiler import compile
from scalargrad.compiler.ir import polynomials

from .accuracy import POLYNOMIALS, measure_polynomial
from .extras import needs_llvm
from .test_compile import bits

LIBRARY = {name: getattr(sg, name) for name in polynomials.POLYNOMIALS}


def test_every_polynomial_is_measured() -> None:
    assert POLYNOMIALS.keys() == polynomials.POLYNOMIALS.keys()


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_errors_are_within_what_is_stated(name: str) -> None:
    bound, _ = POLYNOMIALS[name]
    worst = measure_polynomial(name, 1500)
    assert worst.count > 1000
    assert 0.3 < worst.error <= bound, worst.at


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
        compile(abs, functions="fast")  # type: ignore[call-overload]

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
