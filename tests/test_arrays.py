"""Functions written in NumPy, differentiated and compiled: arrays in, arrays out."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scalargrad as sg
import scalargrad.numpy as snp
from scalargrad import Value, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from scalargrad.arrays.ufuncs import loop

X = np.array([0.5, 1.5, -1.25])
A = np.array([[2.0, -1.0, 0.5], [0.25, 3.0, 1.0]])
BACKENDS = ["python", "native"]


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def residuals(x: Any) -> Any:
    return np.tanh(A @ x) - np.array([0.25, -0.5]) * x[:2]


def stepped(x: Any) -> Any:
    z = np.zeros_like(x)
    z[0] = x[1] * x[2]
    z[1:] = np.sin(x[:2])
    x[0] = 3.0
    return (z * x).sum()


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "rosenbrock": rosenbrock,
    "assignment": stepped,
    "columns": lambda x: np.sum((A * x) ** 2, axis=0).max(),
    "mean": lambda x: np.mean(np.outer(x, x), axis=1).prod(),
    "mixed": lambda x: np.dot(x, x) / (1.0 + np.exp(-x).sum()) + np.hypot(x[0], x[1]),
    "types": lambda x: ((x > 0.0) & (x < 1.0)).astype(float) @ x.astype(np.float64),
    "where": lambda x: np.where(x > 0.0, np.sqrt(np.abs(x)), x**2).sum(),
    "masks": lambda x: x[x > 0.0].sum() - np.sum(x, where=np.array([True, False, True])),
    "clip": lambda x: np.clip(x, -1.0, 1.0).sum() + np.minimum(x, 0.25).sum() + np.logaddexp.reduce(x),
    "stack": lambda x: np.concatenate([x, np.stack([x[0] * x[1], x[2]])]).var(),
}


def same(a: Any, b: Any) -> bool:
    """Equal types, shapes and bits; any nan equals any nan."""
    if isinstance(a, np.ndarray):
        bits = [np.where(np.isnan(each), np.nan, each).tobytes() for each in (a, b)]
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and bits[0] == bits[1]
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gradient_by_an_array_is_an_array_and_right(name: str) -> None:
    f = FUNCTIONS[name]
    value, gradient = value_and_grad(f)(X)
    assert type(value) is float
    assert value == pytest.approx(float(f(X.copy())), rel=1e-14)
    assert type(gradient) is np.ndarray
    assert gradient.dtype == np.float64
    assert gradient.shape == X.shape
    numeric = [sg.testing.measure_derivative(lambda t, k=k: f(_with(k, t)), X[k]).df for k in range(3)]
    assert gradient == pytest.approx(np.array(numeric), rel=1e-8, abs=1e-10)


def _with(k: int, t: Any) -> Any:
    x = X.astype(object) if isinstance(t, Value) else X.copy()
    x[k] = t
    return x


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_it_has_the_same_bits(name: str, backend: Any) -> None:
    for derivative in (value_and_grad, hessian):
        f = derivative(FUNCTIONS[name])
        fast = sg.compile(f, backend=backend)
        for x in (X, X * 1.125, X[::-1], np.zeros(3)):
            for _ in range(2):
                assert same(fast(x), f(x))
        assert fast.info.hits >= 4


def test_shapes_of_derivatives() -> None:
    assert jacobian(residuals)(X).shape == (2, 3)
    assert same(sg.compile(jacobian(residuals))(X), jacobian(residuals)(X))
    assert same(jacobian(residuals)(X), np.array([vjp(residuals, X)[1](row)[0] for row in np.eye(2)]))
    assert hessian(rosenbrock)(X).shape == (3, 3)
    assert hessian(lambda w: np.sum(w**3))(A).shape == (2, 3, 2, 3)
    assert same(hvp(rosenbrock, (X,), (np.eye(3)[0],)), hessian(rosenbrock)(X)[:, 0])
    y, dy = jvp(residuals, (X,), (np.ones(3),))
    assert y.shape == dy.shape == (2,)
    assert jacobian(lambda p: p["a"] * p["x"])({"a": 2.0, "x": X})["x"].shape == (3, 3)
    assert jacobian(lambda x: [x[0] * x[1], x.sum()])(X)[1].tolist() == [1.0, 1.0, 1.0]
    whole = grad(lambda t: t * np.exp(t))(np.array(0.5))
    assert whole.shape == ()
    assert whole == grad(lambda t: t * sg.exp(t))(0.5)
    assert grad(lambda x: x.sum())(np.zeros((0, 3))).shape == (0, 3)


def test_dtypes_that_convert_without_loss() -> None:
    for x in (np.array([1, 2]), np.array([1.0, 2.0], np.float32), np.array([True, False]), np.array([1, 2], np.uint8)):
        assert grad(lambda x: (x * x).sum())(x).tolist() == (2.0 * x).tolist()
    for wrong in (np.array([1j]), np.array(["a"]), np.ma.array([1.0]), np.array([1.0], np.longdouble)):
        with pytest.raises(TypeError, match=r"^w\['a'\]: expected a real number, got .* and shape \(1,\)"):
            grad(lambda w: 1.0)({"a": wrong})
    with pytest.raises(ValueError, match=r"^w\['a'\]\[1, 0\]: no float equals"):
        grad(lambda w: 1.0)({"a": np.array([[1], [2**53 + 1]])})


def test_numpy_is_not_imported() -> None:
    code = "import sys, scalargrad as sg; sg.compile(sg.grad(sg.sin))(0.5); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_arrays_of_the_standard_library() -> None:
    f = grad(lambda a: sg.sum(a) * a[0])
    for each in (f, sg.compile(f)):
        assert each(array("d", [1.0, 2.0])) == array("d", [4.0, 1.0])
    assert f(array("i", [1, 2])) == array("d", [4.0, 1.0])
    assert hessian(lambda a: a[0] * a[1])(array("d", [1.0, 2.0])) == [array("d", [0.0, 1.0]), array("d", [1.0, 0.0])]


# ---- ufuncs ----------------------------------------------------------------------------------------------------------


def test_ufuncs_of_one_value_give_a_value() -> None:
    v = Value(0.5)
    for found in (np.sin(v), np.maximum(v, 0.25), np.float64(2.0) * v, np.where(v > 0.0, v, 2.0), np.dot(2.0, v)):
        assert type(found) is Value
    assert np.arctan2(v, 0.0).data == sg.atan2(0.5, 0.0)


def test_ties_and_edges_are_those_of_the_table() -> None:
    assert grad(lambda x: np.maximum(x, 0.0).sum())(np.array([0.0, 1.0, -1.0])).tolist() == [0.5, 1.0, 0.0]
    assert grad(lambda x: x.max())(np.array([2.0, 2.0, 1.0])).tolist() == [0.5, 0.5, 0.0]
    assert grad(lambda x: np.abs(x).sum())(np.array([0.0, -2.0])).tolist() == [0.0, -1.0]
    assert grad(lambda x: np.sqrt(x).sum())(np.array([0.0])).tolist() == [np.inf]
    assert grad(lambda x: np.where(x > 0.0, np.sqrt(x), 2.0 * x).sum())(np.array([0.0])).tolist() == [2.0]
    with np.errstate(all="raise"):
        assert value_and_grad(lambda x: (1.0 / x).sum())(np.array([0.0]))[0] == np.inf
    z = np.zeros_like(np.stack([Value(1.0)]))
    assert (1.0 / z).tolist() == [np.inf]


def test_a_ufunc_without_a_row_says_so() -> None:
    with pytest.raises(TypeError, match=r"^nextafter of a Value: there is no operation for it"):
        grad(lambda x: np.nextafter(x, 2.0).sum())(X)


EVERY = {each.__name__: each for name in dir(np) if isinstance(each := getattr(np, name), np.ufunc)}
WITHOUT_MASKS = [name for name in EVERY if not name.startswith("bitwise") and name != "invert"]


@pytest.mark.parametrize("name", [name for name in WITHOUT_MASKS if loop(name, EVERY[name].nin)])
def test_every_ufunc_has_the_values_of_numpys(name: str) -> None:
    rng, ufunc = np.random.default_rng(5), EVERY[name]
    operands = [rng.uniform(0.1, 0.9, 8) + (name == "arccosh") for _ in range(ufunc.nin)]
    wanted = ufunc(*operands)
    found = ufunc(*[np.stack([Value(x) for x in operand]) for operand in operands])
    assert found.shape == wanted.shape
    assert [x.data if isinstance(x, Value) else x for x in found] == pytest.approx(wanted.tolist(), rel=1e-15)


def test_assignment_into_a_float_array_names_the_way() -> None:
    def f(x: Any) -> Any:
        z = np.zeros(3)
        z[0] = x[0]
        return z.sum()

    with pytest.raises(TypeError, match=r"np\.zeros_like\(x\), or np\.empty_like\(x\)"):
        grad(f)(X)

    def g(x: Any) -> Any:
        z = np.zeros(3)
        z += x
        return z.sum()

    with pytest.raises(TypeError, match=r"shape \(3,\) and dtype float64.*np\.zeros_like\(x\)"):
        grad(g)(X)


def test_options_of_numpys_functions_do_what_they_say() -> None:
    def f(x: Any) -> Any:
        z = np.zeros_like(x)
        np.multiply(x, x, out=z, where=np.array([True, False, True]))
        means = np.empty_like(x[:1])
        np.mean(x * x, axis=0, keepdims=True, out=means)
        product = np.empty_like(x[:2])
        assert np.dot(A, x, out=product) is product
        return z.sum() + means[0] + product[0]

    assert grad(f)(X) == pytest.approx(2.0 * X * np.array([1.0, 0.0, 1.0]) + 2.0 * X / 3.0 + A[0], rel=1e-14)
    with pytest.raises(TypeError, match=r"where= without out="):
        grad(lambda x: np.exp(x, where=np.array([True, False, True])).sum())(X)
    for g in (lambda x: x.sum(dtype=int), lambda x: np.mean(x, dtype=int), lambda x: np.add(x, x, dtype=int).sum()):
        with pytest.raises(TypeError, match=r"Values, which are float64; dtype int64 is none of them"):
            grad(g)(X)
    assert grad(lambda x: x.sum(dtype=float) + x.mean(dtype=np.float64))(X) == pytest.approx(np.full(3, 4.0 / 3.0))


# ---- functions of arrays ---------------------------------------------------------------------------------------------

M = np.linspace(-1.0, 1.2, 24).reshape(2, 3, 4) ** 3 + 0.1
SQUARE = np.array([[3.0, 0.5, -1.0], [0.25, 2.0, 0.75], [1.0, -0.5, 4.0]])
STACK = np.stack([np.eye(4) * k + np.arange(16.0).reshape(4, 4) / 20.0 for k in (2.0, 3.0)])
NUMPYS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "det": (np.linalg.det, SQUARE),
    "det of a stack": (np.linalg.det, STACK),
    "inv": (np.linalg.inv, STACK),
    "solve": (lambda a: np.linalg.solve(a, np.array([1.0, -2.0, 0.5])), SQUARE),
    "solve, a stack": (lambda a: np.linalg.solve(a, np.ones((2, 4, 2))), STACK),
    "solve, by the right side": (lambda b: np.linalg.solve(SQUARE, b), X),
    "slogdet": (lambda a: np.linalg.slogdet(-a)[1], SQUARE),
    "norm": (np.linalg.norm, X),
    "norm, 1": (lambda x: np.linalg.norm(x, 1), X),
    "norm, inf": (lambda x: np.linalg.norm(x, np.inf), X),
    "norm, 3": (lambda x: np.linalg.norm(x, 3), X),
    "norms of rows": (lambda x: np.linalg.norm(x, axis=1), M),
    "norms of matrices": (lambda x: np.linalg.norm(x, np.inf, axis=(1, 2), keepdims=True), M),
    "frobenius": (lambda x: np.linalg.norm(x, "fro"), SQUARE),
    "dot, three axes": (lambda x: np.dot(M, x), np.ones((4, 2))),
    "matmul": (lambda x: M @ x, np.arange(4.0)),
    "matmul, left": (lambda x: x @ M, np.arange(3.0)),
    "einsum": (lambda x: np.einsum("ijk,ljk->il", x, M), M),
    "tensordot": (lambda x: np.tensordot(x, M, axes=([2], [2])), M[:, :2]),
    "inner": (lambda x: np.inner(x, x[::-1]), X),
    "sums": (lambda x: np.sum(x, axis=(0, 2), keepdims=True) * x.sum(axis=-1, initial=2.0)[:, 0], M),
    "prods": (lambda x: np.prod(x, axis=1), M),
    "variances": (lambda x: np.var(x, axis=(0, 2)) + x.std(axis=1).sum(), M),
    "means": (lambda x: x.mean(axis=(1, 2)) * np.mean(x), M),
    "extremes": (lambda x: x.max(axis=0) - np.min(x, axis=1, keepdims=True)[0], M),
    "cumsum": (np.cumsum, X),
    "sort": (np.sort, X),
    "indices": (lambda x: x[np.argmax(x)] * x[[0, 2, 2]], X),
    "diff, gradient": (lambda x: np.concatenate([np.diff(x), np.gradient(x)]), X),
    "trapezoid": (lambda x: (np.trapezoid if hasattr(np, "trapezoid") else np.trapz)(x * x, x), X),
    "select": (lambda x: np.select([x > 1.0, x > 0.0], [x, x * x], -x), X),
    "piecewise": (lambda x: np.piecewise(x, [x < 0.0, x >= 0.0], [lambda t: -t, lambda t: t * t]), X),
    "nan_to_num": (lambda x: np.nan_to_num(np.where(x > 1.0, np.inf, x), posinf=2.0) + np.trunc(x), X),
    "nansum": (lambda x: np.nansum(np.where(x < 0.0, np.nan, x * x)), X),
    "full_like": (lambda x: np.full_like(x, x[0]) + np.ones_like(x) * x, X),
    "triangles": (lambda x: np.tril(x) @ np.triu(x), SQUARE),
    "kron": (lambda x: np.kron(x, SQUARE), SQUARE),
    "cross": (lambda x: np.cross(x, np.arange(3.0)), X),
    "matrix_power": (lambda x: np.linalg.matrix_power(x, 3), SQUARE),
    "NumPy's own array": (lambda x: np.arctan(np.array([x[0], x[1]])) @ np.hypot(np.asarray(x[:2]), 2.0), X),
    "our array": (lambda x: np.exp(snp.array([[x[0], 1.0], [x[1], x[2]]])) @ snp.asarray([1.0, x[0]], float), X),
    "vectorize": (lambda x: np.vectorize(lambda t: t * t)(x), X),
    "scipy's names": (lambda x: np.heaviside(x, 0.5) * x + np.degrees(np.deg2rad(x)), X),
}


@pytest.mark.parametrize("name", NUMPYS)
def test_functions_of_arrays(name: str) -> None:
    f, x = NUMPYS[name]
    value, slope = f(x.copy()), jacobian(f)(x)
    found = sg.compile(f, backend="python")(x)
    assert np.shape(found) == np.shape(value)
    assert found == pytest.approx(value, rel=1e-13, abs=1e-14)
    h = 2.0**-17
    steps = [(f(x + h * e) - f(x - h * e)) / (2.0 * h) for e in np.eye(x.size).reshape(-1, *x.shape)]
    numeric = np.moveaxis(np.array(steps), 0, -1).reshape(np.shape(value) + x.shape)
    assert slope.shape == numeric.shape
    assert slope == pytest.approx(numeric, rel=1e-6, abs=1e-7)
    assert same(sg.compile(jacobian(f), backend="python")(x), slope)


def test_edges_of_matrices() -> None:
    assert grad(np.linalg.norm)(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert type(vjp(lambda x: np.linalg.norm(x, np.inf), np.diag([3.0, -5.0]))[0]) is float  # no array of it
    assert jacobian(lambda x: np.linalg.norm(x, np.inf))(np.diag([3.0, -5.0])).shape == (2, 2)
    assert grad(np.linalg.det)(np.zeros((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    singular = np.ones((4, 4)) + np.diag([1.0, 1.0, 0.0, 0.0])
    adjugate = np.zeros((4, 4))
    adjugate[2:, 2:] = [[1.0, -1.0], [-1.0, 1.0]]
    assert grad(np.linalg.det)(singular) == pytest.approx(adjugate, abs=1e-14)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        grad(lambda a: np.linalg.inv(a).sum())(np.ones((2, 2)))
    with pytest.raises(np.linalg.LinAlgError, match=r"det: expected square matrices, got an array of shape \(2, 3\)"):
        grad(np.linalg.det)(A)
    with pytest.raises(ValueError, match=r"solve: a right side of shape \(2,\) for matrices of shape \(3, 3\)"):
        grad(lambda a: np.linalg.solve(a, np.ones(2)).sum())(SQUARE)
    pivots = sg.compile(np.linalg.inv, backend="python")
    for matrix in (SQUARE, SQUARE[::-1], SQUARE):
        assert pivots(matrix) == pytest.approx(np.linalg.inv(matrix), rel=1e-12)
    assert (len(pivots.info.traces), pivots.info.hits) == (2, 1)


def test_errors_on_numpys_own_arrays_of_values_name_the_way_out() -> None:
    def det(array: Any) -> Any:
        return lambda x: np.linalg.det(array([[x[0], 0.0], [0.0, x[1]]]))

    for f in (det(np.array), lambda x: np.exp(np.array([x[0], 1.0])).sum(), lambda x: np.asarray(x, float).sum()):
        for run in (grad(f), grad(grad(f)), sg.compile(f)):
            with pytest.raises(TypeError) as caught:
                run(X)
            assert [each for each in caught.value.__notes__ if "scalargrad.numpy" in each] == caught.value.__notes__[
                -1:
            ]
    assert grad(det(snp.array))(X).tolist() == [X[1], X[0], 0.0]


def test_what_cannot_be_done_says_what_can() -> None:
    with pytest.raises(TypeError) as caught:
        grad(lambda x: np.fft.fft(x))(X)
    assert "np.fft of Values" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match=r"an index of shape \(2,\) that holds Values.*static_argnames"):
        sg.compile(lambda x, at: x[at])(X, np.array([0, 1]))
    pick = sg.compile(lambda x, at: x[at], static_argnames="at")
    for at in (np.array([0, 1]), np.array([True, False, True]), np.array([0, 1])):
        assert pick(X, at).tolist() == X[at].tolist()
    assert (pick.info.hits, pick.info.misses) == (1, 2)
    at[0] = 2  # in place: another index
    assert pick(X, at).tolist() == X[at].tolist()


# ---- loops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"checkpoint": 2}, {"checkpoint": 2, "reverse": True}])
def test_loops_carry_arrays_and_leave_arrays(options: Any) -> None:
    def step(carry: Any, x: Any) -> Any:
        carry = np.tanh(carry * x["a"] + x["b"])
        return carry, {"y": carry * 2.0, "s": carry.sum()}

    xs = {"a": np.linspace(0.5, 1.5, 15).reshape(5, 3), "b": np.linspace(-1.0, 1.0, 5)}

    def unrolled(x: Any, xs: Any) -> Any:
        ys: list[Any] = [None] * 5
        for t in reversed(range(5)) if options.get("reverse") else range(5):
            x, y = step(x, {"a": xs["a"][t], "b": xs["b"][t]})
            ys[t] = y["y"]
        return (x * np.stack(ys)).sum()

    def looped(x: Any, xs: Any) -> Any:
        carry, ys = sg.scan(step, x, xs, **options)
        assert ys["y"].shape == (5, 3)
        return (carry * ys["y"]).sum()

    assert looped(X, xs) == unrolled(X, xs)
    for argnums in (0, 1):
        wanted, found = (grad(f, argnums)(X, xs) for f in (unrolled, looped))
        fast = sg.compile(grad(looped, argnums))(X, xs)
        for a, b, c in zip(*[[x] if argnums == 0 else x.values() for x in (wanted, found, fast)], strict=True):
            assert type(b) is type(c) is np.ndarray
            assert b == pytest.approx(a, rel=1e-13)
            assert c == pytest.approx(a, rel=1e-13)
    assert sg.fori_loop(0, 3, lambda i, x: x * 2.0, X).tolist() == (8.0 * X).tolist()
    chosen = grad(lambda x: sg.cond(x[0] > 0.0, lambda x: x * x, lambda x: -x, x).sum())
    assert sg.compile(chosen)(X).tolist() == chosen(X).tolist() == (2.0 * X).tolist()


def test_masked_arrays_are_refused_where_their_mask_or_a_gradient_would_be_lost() -> None:
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[True, False, False])
    x = np.array([1.0, 2.0, 3.0])
    assert grad(lambda x: np.sum(masked * x))(x).tolist() == [0.0, 2.0, 3.0]
    for f in (lambda v: masked * v, lambda v: v * masked, lambda v: masked > v, np.ma.exp):
        for each in (grad(f), sg.compile(f)):
            with pytest.raises(TypeError, match="a masked array and a Value"):
                each(2.0)
    for g in (lambda x: x * masked, lambda x: np.maximum(x, masked)):
        with pytest.raises(TypeError, match=r"a masked array of shape \(3,\), whose mask would be lost"):
            grad(g)(x)


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (lambda x: np.concatenate((x, [1.0, x[0]])), [4.0, 4.0]),
        (lambda x: np.concatenate(([(x[0]), 2.0], x, [x[1]])), [4.0, 8.0]),
        (lambda x: np.append(x, [x[0], 1.0]), [4.0, 4.0]),
        (lambda x: np.insert(x, 1, [x[0], 2.0]), [4.0, 4.0]),
        (lambda x: np.stack([x, [1.0, x[0]]]), [4.0, 4.0]),
        (lambda x: np.hstack([x[0], [x[1]], 1.0]), [2.0, 4.0]),
        (lambda x: np.block([[x[0], 1.0], [x[1], x[1]]]), [2.0, 8.0]),
    ],
)
def test_lists_of_values_among_arrays(f: Callable[..., Any], wanted: list[float]) -> None:
    slope = grad(lambda x: np.sum(f(x) ** 2))
    for each in (slope, sg.compile(slope)):
        assert each(np.array([1.0, 2.0])).tolist() == wanted


def test_assigning_into_an_array_of_floats_names_the_way_out_compiled_too() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(2)
        y[0] = x[0]
        return y.sum()

    for each in (grad(f), sg.compile(f)):
        with pytest.raises(Exception, match=r"np\.zeros_like\(x\)") as raised:
            each(np.ones(2))
        assert type(raised.value).__name__ in ("TypeError", "TraceError")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.allclose(x, 2.0) * x[1],
        lambda x: np.array_equal(x, x[::-1]) * x[1],
        lambda x: np.sum(((x > 1.0) & np.True_) * x),
        lambda x: np.sum((x > 1.0), dtype=int) * x[1],
        np.nanvar,
        lambda x: np.nanvar(np.where(x > 0.7, x, np.nan)),
    ],
)
def test_conditions_of_numpy_and_of_a_trace_go_together(f: Callable[..., Any]) -> None:
    fast = sg.compile(value_and_grad(f))
    for x in (np.array([1.0, 2.0]), np.array([2.0, 2.0]), np.array([0.5, 3.0])):
        y, slope = fast(x)
        assert y == f(x)
        assert slope.tolist() == grad(f)(x).tolist()
