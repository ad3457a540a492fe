"""Compiled functions and derivatives in SciPy's hands, called as its own documentation calls them."""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import compile, elementwise_grad, grad, hessian, hessp, jacobian, value_and_grad  # noqa: A004

from .test_compile import Library

np = pytest.importorskip("numpy")
scipy = pytest.importorskip("scipy")
integrate = pytest.importorskip("scipy.integrate")
optimize = pytest.importorskip("scipy.optimize")

BACKENDS: tuple[Any, ...] = ("python", "native", "auto")


def damped(x: Any, a: Any) -> Any:
    return sg.exp(-a * x * x) * sg.sin(3.0 * x)


def in_two_ways(x: Any, a: Any) -> Any:
    return x * x if x < a else sg.sqrt(x)


# ---- quad ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_quad_calls_a_compiled_function_without_python_and_gets_its_bits(backend: Any) -> None:
    f = compile(damped, backend=backend)
    g = f.low_level_callable(0.5, 2.0)
    assert g.signature == "double (int, double *, void *)"
    assert integrate.quad(g, 0.0, 1.0, args=(2.0,)) == integrate.quad(f, 0.0, 1.0, args=(2.0,))
    assert integrate.nquad(g, [[0.0, 1.0], [1.0, 2.0]]) == integrate.nquad(f, [[0.0, 1.0], [1.0, 2.0]])
    slope = compile(grad(damped, 1), backend=backend)  # the derivative of the integral by a
    found, _ = integrate.quad(slope.low_level_callable(0.5, 2.0), 0.0, 1.0, args=(2.0,))
    above, below = (integrate.quad(f, 0.0, 1.0, args=(2.0 + h,))[0] for h in (1e-5, -1e-5))
    assert found == pytest.approx((above - below) / 2e-5, rel=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_quad_gets_the_right_number_at_a_branch_that_was_not_traced(backend: Any) -> None:
    f = compile(in_two_ways, backend=backend)
    g = f.low_level_callable(0.5, 2.0)
    assert len(f.info.traces) == 1
    found, _ = integrate.quad(g, 0.0, 4.0, args=(2.0,), points=[2.0])
    assert found == pytest.approx(8.0 / 3.0 + 2.0 / 3.0 * (8.0 - 2.0**1.5), rel=1e-12)
    assert len(f.info.traces) == 2


@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_raises_below_quad_is_nan_there_and_an_error_of_the_next_call(backend: Any) -> None:
    f = compile(in_two_ways, backend=backend, max_traces=1)
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


def test_a_low_level_callable_of_a_function_with_static_arguments() -> None:
    def power(x: Any, n: int, mode: str = "plain") -> Any:
        for _ in range(n):
            x = x * x
        return x if mode == "plain" else 2.0 * x

    fast = compile(power, static_argnames="n")
    for given, named, wanted in (((0.5, 1), {}, 1.0 / 3.0), ((0.5, 2), {"mode": "twice"}, 0.4)):
        assert math.isclose(integrate.quad(fast.low_level_callable(*given, **named), 0.0, 1.0)[0], wanted)


def test_a_low_level_callable_reads_values_from_outside_anew_and_gives_one_number() -> None:
    w = sg.Value(2.0)
    f = compile(lambda x: w * x, backend="native")
    g = f.low_level_callable(1.0)
    assert integrate.quad(g, 0.0, 1.0)[0] == 1.0
    w.data = 4.0
    assert integrate.quad(g, 0.0, 1.0)[0] == 2.0
    with pytest.raises(TypeError, match="must return one number, not 2"):
        compile(value_and_grad(damped)).low_level_callable(0.5, 2.0)


def test_quad_calls_code_that_llvm_made(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("SCALARGRAD_NATIVE", "llvm")
    test_quad_calls_a_compiled_function_without_python_and_gets_its_bits("native")
    test_quad_gets_the_right_number_at_a_branch_that_was_not_traced("native")


def test_quad_calls_a_function_in_c(tmp_path: Path) -> None:
    f = compile(in_two_ways)
    f(0.5, 2.0)
    library = Library(tmp_path, {"two": f.to_c("two")}).library
    run = library.two_integrand
    run.restype, run.argtypes = ctypes.c_double, [ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_void_p]
    g = scipy.LowLevelCallable(run)
    assert integrate.quad(g, 0.0, 1.0, args=(2.0,)) == integrate.quad(f, 0.0, 1.0, args=(2.0,))
    assert math.isnan(run(2, (ctypes.c_double * 2)(3.0, 2.0), None))  # a branch that was not traced
    assert math.isnan(run(1, (ctypes.c_double * 2)(0.5, 2.0), None))


# ---- the nine calls --------------------------------------------------------------------------------------------------


def rosenbrock(x: Any, a: Any = 100.0) -> Any:
    return np.sum(a * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def decay(t: Any, a: Any, b: Any, c: Any) -> Any:
    return a * np.exp(-b * t) + c


def coupled(x: Any) -> Any:
    return np.array([x[0] + 0.5 * (x[0] - x[1]) ** 3 - 1.0, 0.5 * (x[1] - x[0]) ** 3 + x[1]])


def van_der_pol(t: Any, y: Any, mu: Any = 1000.0) -> Any:
    return [y[1], mu * (1.0 - y[0] ** 2) * y[1] - y[0]]


X0 = np.array([1.3, 0.7, 0.8, 1.9, 1.2])
T = np.linspace(0.0, 3.0, 20)
Y = decay(T, 2.5, 1.3, 0.5)


@pytest.mark.parametrize("method", ["BFGS", "CG", "L-BFGS-B", "TNC", "SLSQP"])
def test_minimize_with_value_and_gradient_of_one_function(method: str) -> None:
    found = optimize.minimize(compile(value_and_grad(rosenbrock)), X0, jac=True, method=method)
    assert found.success
    assert found.x == pytest.approx(np.ones(5), abs=1e-3)
    given_apart = optimize.minimize(rosenbrock, X0, args=(100,), jac=grad(rosenbrock), method=method)
    assert np.array_equal(given_apart.x, found.x) or given_apart.x == pytest.approx(found.x, abs=1e-4)


@pytest.mark.parametrize("method", ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact", "dogleg", "trust-constr"])
def test_minimize_with_a_hessian(method: str) -> None:
    f = compile(value_and_grad(rosenbrock))
    x0 = np.array([1.1, 1.2]) if method == "dogleg" else X0  # which wants it positive definite all along
    found = optimize.minimize(f, x0, args=(10.0,), jac=True, hess=compile(hessian(rosenbrock)), method=method)
    assert found.success
    assert found.x == pytest.approx(np.ones(len(x0)), abs=1e-4)


@pytest.mark.parametrize("method", ["Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"])
def test_minimize_with_the_hessian_times_a_vector(method: str) -> None:
    f = compile(value_and_grad(rosenbrock))
    found = optimize.minimize(f, X0, args=(10.0,), jac=True, hessp=compile(hessp(rosenbrock)), method=method)
    assert found.success
    assert found.x == pytest.approx(np.ones(5), abs=1e-4)


def test_hessp_is_the_hessian_times_p() -> None:
    p = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    for product in (hessp(rosenbrock), compile(hessp(rosenbrock))):
        assert product(X0, p, 7.0) == pytest.approx(hessian(rosenbrock)(X0, 7.0) @ p, rel=1e-14)
    assert hessp(lambda x, y: x["a"] ** 2 * y)({"a": 3.0}, {"a": 2.0}, 5.0) == {"a": 20.0}
    with pytest.raises(ValueError, match=r"p: expected an array of shape \(5,\), got an array of shape \(2,\)"):
        hessp(rosenbrock)(X0, p[:2])


def test_least_squares() -> None:
    def residuals(p: Any) -> Any:
        return decay(T, *p) - Y

    for jac in (jacobian(residuals), compile(jacobian(residuals))):
        found = optimize.least_squares(residuals, [1.0, 1.0, 0.0], jac=jac)
        assert found.x == pytest.approx([2.5, 1.3, 0.5], rel=1e-9)
    found = optimize.least_squares(compile(residuals), np.ones(3), jac=compile(jacobian(residuals)), method="lm")
    assert found.x == pytest.approx([2.5, 1.3, 0.5], rel=1e-9)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_root(method: str) -> None:
    found = optimize.root(coupled, [0, 0], jac=jacobian(coupled), method=method)
    assert found.success
    assert found.x == pytest.approx([0.8411639, 0.1588361], abs=1e-7)
    again = optimize.root(compile(coupled), [0, 0], jac=compile(jacobian(coupled)), method=method)
    assert again.x == pytest.approx(found.x, abs=1e-12)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_solve_ivp_with_a_jacobian(method: str) -> None:
    f, jac = compile(van_der_pol), compile(jacobian(van_der_pol, 1))
    found = integrate.solve_ivp(f, (0.0, 200.0), [2.0, 0.0], method=method, jac=jac, rtol=1e-6)
    assert found.success
    assert found.y[0, -1] == pytest.approx(1.8580, abs=1e-3)
    stated = integrate.solve_ivp(
        van_der_pol, (0.0, 5.0), [2.0, 0.0], method=method, args=(5.0,), jac=jacobian(van_der_pol, 1)
    )
    compiled = integrate.solve_ivp(f, (0.0, 5.0), [2.0, 0.0], method=method, args=(5,), jac=jac)
    assert compiled.y[:, -1] == pytest.approx(stated.y[:, -1], rel=1e-6)


def test_curve_fit() -> None:
    slopes = compile(jacobian(decay, (1, 2, 3)))

    def jac(t: Any, *p: Any) -> Any:
        return np.stack(slopes(t, *p), axis=-1)

    for model in (decay, compile(decay)):
        found, covariance = optimize.curve_fit(model, T, Y, p0=[1, 1, 0], jac=jac)
        assert found == pytest.approx([2.5, 1.3, 0.5], rel=1e-8)
        assert covariance.shape == (3, 3)


def test_check_grad() -> None:
    for f, df in ((rosenbrock, grad(rosenbrock)), (compile(rosenbrock), compile(grad(rosenbrock)))):
        assert optimize.check_grad(f, df, X0) < 1e-4
        assert optimize.check_grad(f, lambda x, df=df: 1.01 * df(x), X0) > 1.0


def test_newton_on_an_array_and_on_a_number() -> None:
    def f(x: Any, a: Any) -> Any:
        return x**3 - a

    first = elementwise_grad(f)
    a = np.array([2.0, 3.0, 4.0])
    for fprime, fprime2 in ((first, None), (compile(first), compile(elementwise_grad(first)))):
        found = optimize.newton(compile(f), np.array([1.0, 2.0, 3.0]), fprime=fprime, fprime2=fprime2, args=(a,))
        assert found == pytest.approx(np.cbrt(a), rel=1e-12)
    assert optimize.newton(f, 1.0, fprime=grad(f), fprime2=compile(grad(grad(f))), args=(2,)) == pytest.approx(
        2 ** (1 / 3)
    )


# ---- certified fits --------------------------------------------------------------------------------------------------

NIST = json.loads((Path(__file__).parent / "reference" / "nist.json").read_text(encoding="utf-8"))["problems"]


def saturation(b: Any, x: Any) -> Any:
    return b[0] * (1 - np.exp(-b[1] * x))


def quotient(b: Any, x: Any) -> Any:
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def seasons(b: Any, x: Any) -> Any:
    u, v, w = 2 * np.pi * x / 12, 2 * np.pi * x / b[3], 2 * np.pi * x / b[6]
    found = b[0] + b[1] * np.cos(u) + b[2] * np.sin(u)
    return found + b[4] * np.cos(v) + b[5] * np.sin(v) + b[7] * np.cos(w) + b[8] * np.sin(w)


def peaks(b: Any, x: Any) -> Any:
    first, second = np.exp(-((x - b[3]) ** 2) / b[4] ** 2), np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * np.exp(-b[1] * x) + b[2] * first + b[5] * second


def cubics(b: Any, x: Any) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def exponentials(b: Any, x: Any) -> Any:
    return np.sum([b[k] * np.exp(-b[k + 1] * x) for k in (0, 2, 4)], axis=0)


MODELS: dict[str, Callable[[Any, Any], Any]] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": saturation,
    "Chwirut1": quotient,
    "Chwirut2": quotient,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": seasons,
    "Eckerle4": lambda b, x: b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": peaks,
    "Gauss2": peaks,
    "Gauss3": peaks,
    "Hahn1": cubics,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": exponentials,
    "Lanczos2": exponentials,
    "Lanczos3": exponentials,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": saturation,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x * (1 + b[1] * x) ** -1,
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * np.exp(-b[2] * x[1]),  # of the logarithm of y
    "Rat42": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": cubics,
}


@pytest.mark.parametrize("name", NIST)
def test_nist_certifies_what_least_squares_finds(name: str) -> None:
    problem, model = NIST[name], MODELS[name]
    x, y = np.array(problem["x"]), np.array(problem["y"])
    y = np.log(y) if name == "Nelson" else y

    def residuals(b: Any) -> Any:
        return model(b, x) - y

    run, jac = compile(residuals), compile(jacobian(residuals))
    for start in problem["starts"]:
        options = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
        with np.errstate(over="ignore"):  # of SciPy's sum of squares, far from the solution
            found = optimize.least_squares(run, start, jac=jac, x_scale="jac", max_nfev=3000, **options)
        assert found.x == pytest.approx(problem["certified"], rel=1e-6)
        if name != "Lanczos1":  # whose residuals are rounding alone
            assert 2.0 * found.cost == pytest.approx(problem["rss"], rel=1e-6)


def test_nist_has_27_problems() -> None:
    assert len(NIST) == 27
    assert set(NIST) == set(MODELS)
