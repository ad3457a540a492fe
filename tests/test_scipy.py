"""Compiled functions and derivatives in SciPy's hands, called as its own documentation calls them."""

from __future__ import annotations

import math
from typing import Any

import pytest

import scalargrad as sg

integrate = pytest.importorskip("scipy.integrate")

BACKENDS: tuple[Any, ...] = ("python", "native", "auto")


def damped(x: Any, a: Any) -> Any:
    return sg.exp(-a * x * x) * sg.sin(3.0 * x)


def in_two_ways(x: Any, a: Any) -> Any:
    return x * x if x < a else sg.sqrt(x)


# ---- quad ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_quad_calls_a_compiled_function_without_python_and_gets_its_bits(backend: Any) -> None:
    f = sg.compile(damped, backend=backend)
    g = f.low_level_callable(0.5, 2.0)
    assert g.signature == "double (int, double *, void *)"
    assert integrate.quad(g, 0.0, 1.0, args=(2.0,)) == integrate.quad(f, 0.0, 1.0, args=(2.0,))
    assert integrate.nquad(g, [[0.0, 1.0], [1.0, 2.0]]) == integrate.nquad(f, [[0.0, 1.0], [1.0, 2.0]])
    slope = sg.compile(sg.grad(damped, 1), backend=backend)  # the derivative of the integral by a
    found, _ = integrate.quad(slope.low_level_callable(0.5, 2.0), 0.0, 1.0, args=(2.0,))
    above, below = (integrate.quad(f, 0.0, 1.0, args=(2.0 + h,))[0] for h in (1e-5, -1e-5))
    assert found == pytest.approx((above - below) / 2e-5, rel=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_quad_gets_the_right_number_at_a_branch_that_was_not_traced(backend: Any) -> None:
    f = sg.compile(in_two_ways, backend=backend)
    g = f.low_level_callable(0.5, 2.0)
    assert len(f.info.traces) == 1
    found, _ = integrate.quad(g, 0.0, 4.0, args=(2.0,), points=[2.0])
    assert found == pytest.approx(8.0 / 3.0 + 2.0 / 3.0 * (8.0 - 2.0**1.5), rel=1e-12)
    assert len(f.info.traces) == 2


@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_raises_below_quad_is_nan_there_and_an_error_of_the_next_call(backend: Any) -> None:
    f = sg.compile(in_two_ways, backend=backend, max_traces=1)
    g = f.low_level_callable(0.5, 2.0)
    f(0.5, 2.0)
    assert math.isnan(integrate.quad(g, 1.9, 2.1, args=(2.0,), limit=1)[0])
    with pytest.raises(sg.compiler.GuardLimitError, match="in_two_ways"):
        f(0.5, 2.0)
    assert f(0.5, 2.0) == 0.25
    assert math.isnan(integrate.quad(g, 0.0, 1.0, limit=1)[0])
    with pytest.raises(TypeError, match=r"takes 2 number\(s\).*was given 1"):
        f(0.5, 2.0)
    assert integrate.quad(g, 0.0, 1.0, args=(2.0,))[0] == pytest.approx(1.0 / 3.0)


def test_a_low_level_callable_reads_values_from_outside_anew_and_gives_one_number() -> None:
    w = sg.Value(2.0)
    f = sg.compile(lambda x: w * x, backend="native")
    g = f.low_level_callable(1.0)
    assert integrate.quad(g, 0.0, 1.0)[0] == 1.0
    w.data = 4.0
    assert integrate.quad(g, 0.0, 1.0)[0] == 2.0
    with pytest.raises(TypeError, match="must return one number, not 2"):
        sg.compile(sg.value_and_grad(damped)).low_level_callable(0.5, 2.0)


def test_quad_calls_code_that_llvm_made(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("SCALARGRAD_NATIVE", "llvm")
    test_quad_calls_a_compiled_function_without_python_and_gets_its_bits("native")
    test_quad_gets_the_right_number_at_a_branch_that_was_not_traced("native")
