"""`check_grads` of functions of arrays: NumPy's, and those of PyTorch, JAX and autograd, where they are installed."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import scalargrad as sg
from scalargrad.testing import (
    GradientError,
    UndecidedError,
    array_expressions,
    check_grads,
    measure_derivative,
    number_arrays,
)
from scalargrad.testing.summary import Summary

A = np.array([[0.5, 1.0, -0.25], [2.0, 0.75, 1.5]])
X = np.array([0.5, -1.0, 0.25])
P = {"w": A, "x": X, "b": 0.5}


def total(x: Any) -> Any:
    return np.sum(np.sin(x) * x)


def slope_of_total(x: Any) -> Any:
    return np.cos(x) * x + np.sin(x)


def layer(p: Any) -> Any:
    return np.tanh(p["w"] @ p["x"]) + p["b"]


# ---- NumPy -----------------------------------------------------------------------------------------------------------


def test_a_claimed_gradient_of_an_array_is_an_array() -> None:
    report = check_grads(total, (A,), gradient=slope_of_total)
    assert [each.input for each in report.findings[:2]] == ["args[0][0, 0]", "args[0][0, 1]"]
    assert len(report.findings) == 6
    with pytest.raises(GradientError, match=r"by args\[0\]\[1, 2\]") as raised:
        check_grads(total, (A,), gradient=lambda x: slope_of_total(x) + 1e-6 * np.eye(2, 3)[::-1, ::-1])
    assert len(raised.value.report.wrong) == 2


def test_scalargrads_own_derivatives_of_functions_written_in_numpy() -> None:
    assert len(check_grads(total, (A,)).findings) == 6 + 36
    check_grads(layer, (P,))
    check_grads(lambda a, b: a @ b, (A, A.T + 1.0), order=1)


def test_jacobians_are_laid_out_as_arrays_by_arrays() -> None:
    check_grads(layer, (P,), gradient=sg.jacobian(layer))
    check_grads(layer, (P,), gradient=[sg.jacobian(layer), sg.jacobian(sg.jacobian(layer))])

    def wrong(p: Any) -> Any:
        found = sg.jacobian(layer)(p)
        found["w"][1, 0, 2] += 1e-3
        return found

    with pytest.raises(GradientError, match=r"derivative of layer\(\*args\)\[1\] by args\[0\]\['w'\]\[0, 2\]"):
        check_grads(layer, (P,), gradient=wrong)

    def both(a: Any, x: Any) -> Any:
        return a @ x * x[0]

    check_grads(both, (A, X), gradient=sg.jacobian(both, (0, 1)))
    check_grads(lambda x: [x[0] * x, x.sum()], (X,), gradient=sg.jacobian(lambda x: [x[0] * x, x.sum()]))


def test_claimed_products_of_arrays_get_arrays() -> None:
    def f(p: Any) -> Any:
        return np.tanh(A @ p["x"]) + p["b"]

    def forward(args: Any, tangents: Any, factor: float = 1.0) -> Any:
        assert tangents[0]["x"].shape == (3,)
        return factor * (1.0 - np.tanh(A @ args[0]["x"]) ** 2) * (A @ tangents[0]["x"]) + tangents[0]["b"]

    def backward(args: Any, cotangent: Any, factor: float = 1.0) -> Any:
        assert cotangent.shape == (2,)
        by_x = factor * ((1.0 - np.tanh(A @ args[0]["x"]) ** 2) * cotangent) @ A
        return ({"x": by_x, "b": cotangent.sum()},)

    at = ({"x": X, "b": 0.5},)
    check_grads(f, at, jvp=forward, vjp=backward)
    check_grads(f, at, jvp=lambda args, v: sg.jvp(f, args, v)[1], vjp=lambda args, v: sg.vjp(f, *args)[1](v))
    with pytest.raises(GradientError):
        check_grads(f, at, jvp=lambda args, v: forward(args, v, 1.001))
    with pytest.raises(GradientError):
        check_grads(f, at, vjp=lambda args, v: backward(args, v, 1.001))


def test_a_wrong_one_among_many_is_found_along_directions() -> None:
    x = np.linspace(0.1, 2.0, 100)
    with pytest.raises(GradientError, match=r"by args\[0\]\[77\]"):
        check_grads(total, (x,), gradient=lambda x: slope_of_total(x) + 1e-6 * (np.arange(100) == 77), coordinates=3)
    check_grads(total, (x,), gradient=slope_of_total, coordinates=3)


def test_dataclasses_and_what_is_no_number() -> None:
    @dataclass
    class Spring:
        k: float
        x: Any
        name: str

    def energy(spring: Spring) -> Any:
        assert spring.name == "a"
        return 0.5 * spring.k * np.sum(spring.x**2)

    check_grads(energy, (Spring(2.0, X, "a"),))
    check_grads(energy, (Spring(2.0, X, "a"),), gradient=sg.grad(energy))


def test_arrays_that_are_not_as_they_must_be() -> None:
    with pytest.raises(ValueError, match=r"args\[0\]\[1\]: nan: derivatives are measured at finite numbers"):
        check_grads(total, (np.array([1.0, np.nan]),))
    with pytest.raises(ValueError, match=r"5 number\(s\), but 1 output\(s\) and 3 input\(s\)"):
        check_grads(total, (X,), gradient=lambda x: np.ones(5))
    with pytest.raises(TypeError, match=r"args\[0\]"):
        check_grads(total, (np.array([1j]),))
    with pytest.raises(ValueError, match="no number"):
        check_grads(lambda x, y: y, (np.array([]), 1.0), argnums=0)


def test_a_derivative_is_measured_at_the_elements_of_an_array() -> None:
    x = np.array([[0.5, 1.0, 2.0], [0.0, -1.0, 3.0]])
    found = measure_derivative(lambda t: np.sin(t) * abs(t - 1.0), x)
    assert found.df.shape == found.error.shape == (2, 3)
    assert np.isnan(found.df[0, 1])
    assert "left-hand" in found.note[1]
    expected = np.cos(x) * np.abs(x - 1.0) + np.sin(x) * np.sign(x - 1.0)
    keep = x != 1.0
    assert np.all(np.abs(found.df - expected)[keep] <= 4.0 * found.error[keep] + 1e-15)
    with pytest.raises(TypeError, match="got 2 numbers"):
        measure_derivative(lambda t: t[0], [1.0, 2.0])


def test_the_report_counts_derivatives_by_arrays() -> None:
    summary = Summary(None)
    try:
        for x in (A, A + 1.0):
            check_grads(np.sin, (x,), gradient=lambda x: np.diag(np.cos(x).ravel()).reshape(2, 3, 2, 3))
    finally:
        summary.pytest_unconfigure()
    ((key, (points, ulps, *counts)),) = summary.lines.items()
    assert key == ("", "sin", 1)
    assert points == 2
    assert 0.0 <= ulps < 1e6
    assert counts == [72.0, 0.0, 0.0, 0.0]


# ---- arrays of other libraries ---------------------------------------------------------------------------------------


class Foreign:
    """An array that follows the array API and nothing else."""

    dtype = "float64"

    def __init__(self, data: Any) -> None:
        self.data = np.asarray(data)
        self.shape = self.data.shape

    def __array_namespace__(self) -> Any:
        return SimpleNamespace(asarray=lambda data, dtype: Foreign(data))

    def reshape(self, shape: Any) -> Foreign:
        return Foreign(self.data.reshape(shape))

    def tolist(self) -> Any:
        return self.data.tolist()


def test_an_array_is_known_by_its_protocols() -> None:
    def f(x: Any, y: Any) -> Any:
        assert type(x) is type(y) is Foreign
        return Foreign(np.sin(x.data) * y.data)

    def jacobian(x: Any, y: Any) -> Any:
        a, b = np.cos(x.data) * y.data, np.sin(x.data)
        by_x = np.einsum("ij,ik,jl->ijkl", a, np.eye(2), np.eye(3))
        return Foreign(by_x), Foreign(b)

    check_grads(f, (Foreign(A), Foreign(2.0)), gradient=jacobian)
    with pytest.raises(GradientError, match=r"f\(\*args\)\[0, 1\] by args\[1\]"):
        check_grads(f, (Foreign(A), Foreign(2.0)), gradient=lambda x, y: (jacobian(x, y)[0], Foreign(np.zeros((2, 3)))))


def test_an_array_that_cannot_be_made_again_or_is_too_short_says_so() -> None:
    single = Foreign(X)
    single.dtype = "float32"
    with pytest.raises(TypeError, match=r"args\[0\]\['a'\]: a Foreign of float32; .* convert it"):
        check_grads(lambda p: 1.0, ({"a": single},), gradient=lambda p: 1.0)
    with pytest.raises(TypeError, match=r"without gradient=.* a Foreign holds floats alone"):
        check_grads(lambda x: 1.0, (Foreign(X),))
    bare = SimpleNamespace(shape=(1,), dtype="float64", tolist=lambda: [1.0])
    with pytest.raises(TypeError, match=r"neither __array_namespace__ nor new_tensor: give a list"):
        check_grads(lambda x: 1.0, (bare,), gradient=lambda x: 1.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, within it
def test_tensors_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    a = torch.tensor(A.tolist(), dtype=torch.float64)
    x = torch.tensor(X.tolist(), dtype=torch.float64, requires_grad=True)

    def f(a: Any, x: Any) -> Any:
        return torch.tanh(a @ x)

    def wrong(a: Any, x: Any) -> Any:
        by_a, by_x = torch.func.jacrev(f, (0, 1))(a, x)
        return by_a, by_x * 1.001

    check_grads(f, (a, x), gradient=torch.func.jacrev(f, (0, 1)))
    check_grads(lambda x: f(a, x).sum(), (x,), gradient=lambda x: torch.autograd.grad(f(a, x).sum(), x))
    check_grads(
        f,
        (a, x.detach()),
        jvp=lambda args, v: torch.func.jvp(f, args, v)[1],
        vjp=lambda args, v: torch.func.vjp(f, *args)[1](v),
    )
    with pytest.raises(GradientError, match=r"by args\[1\]\[0\]"):
        check_grads(f, (a, x), gradient=wrong)
    with pytest.raises(TypeError, match=r"args\[0\]: a Tensor of torch.float32"):
        check_grads(f, (a.float(), x), gradient=wrong)


def test_arrays_of_jax() -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        p = jax.tree.map(jax.numpy.asarray, P)

        def f(p: Any) -> Any:
            return jax.numpy.tanh(p["w"] @ p["x"]) + p["b"]

        def loss(p: Any) -> Any:
            return f(p).sum()

        check_grads(f, (p,), gradient=jax.jacobian(f))
        check_grads(loss, (p,), gradient=[jax.grad(loss), jax.hessian(loss)])
        check_grads(
            f,
            (p,),
            jvp=lambda args, v: jax.jvp(f, tuple(args), tuple(v))[1],
            vjp=lambda args, v: jax.vjp(f, *args)[1](v),
        )
        with pytest.raises(GradientError, match=r"by args\[0\]\['x'\]\[2\]"):
            check_grads(loss, (p,), gradient=lambda p: {**jax.grad(loss)(p), "x": p["x"] * 0.0})


def test_arrays_of_autograd() -> None:
    autograd = pytest.importorskip("autograd")
    anp = pytest.importorskip("autograd.numpy")

    def f(x: Any) -> Any:
        return anp.sum(anp.sin(x) * x)

    check_grads(f, (A,), gradient=[autograd.grad(f), autograd.hessian(f)])
    check_grads(anp.tanh, (A,), gradient=autograd.jacobian(anp.tanh))


# ---- strategies ------------------------------------------------------------------------------------------------------


@given(number_arrays(array_shapes(max_dims=2, max_side=3), -5.0, 5.0), number_arrays((2, 3), tame=True))
def test_arrays_of_numbers(a: Any, b: Any) -> None:
    assert a.dtype == b.dtype == np.float64
    assert np.all((a >= -5.0) & (a <= 5.0))
    assert b.shape == (2, 3)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from((2, (2, 2), (1, 2, 1))), st.data())
def test_functions_written_in_numpy_have_the_derivatives_that_are_measured(shape: Any, data: Any) -> None:
    f = data.draw(array_expressions(shape))
    at = [data.draw(number_arrays(shape, -3.0, 3.0, tame=True)) for _ in range(2)]
    check_grads(f, at, order=1, undecided="report")


@settings(max_examples=30, deadline=None)
@given(st.sampled_from((3, (2, 3))), st.data())
def test_functions_written_in_numpy_compile_to_the_same_bits(shape: Any, data: Any) -> None:
    f = data.draw(array_expressions(shape, adversarial=True))
    at = [data.draw(number_arrays(shape, tame=True)) for _ in range(2)]
    expected = sg.grad(f, (0, 1))(*at)
    for backend in ("python", "native"):
        found = sg.compile(sg.grad(f, (0, 1)), backend=backend)(*at)
        for a, b in zip(expected, found, strict=True):
            assert np.array_equal(a, b, equal_nan=True)


def test_array_expressions_need_an_input_and_a_statement() -> None:
    with pytest.raises(ValueError, match="at least one input"):
        array_expressions(3, inputs=0)


def test_a_claim_of_another_shape_is_refused() -> None:
    a = np.arange(6.0).reshape(2, 3)
    with pytest.raises(
        ValueError, match=r"gradient: expected an array of shape \(2, 3\), got an array of shape \(3, 2\)"
    ):
        check_grads(lambda a: np.sum(a * a), (a,), gradient=lambda a: (2.0 * a).reshape(3, 2))
    with pytest.raises(ValueError, match=r"vjp: expected an array of shape \(2, 3\), got an array of shape \(3, 2\)"):
        check_grads(lambda a: 2.0 * a, (a,), vjp=lambda a, w: (2.0 * w).reshape(3, 2))
    with pytest.raises(ValueError, match=r"of shape \(2, 3\), got an array of shape \(3, 2\)"):
        check_grads(lambda x: 0.0 * x[:2], (np.ones(3),), gradient=lambda x: np.zeros((3, 2)))
    for known in (lambda a: 2.0 * a, lambda a: (2.0 * a)[None], lambda a: (2.0 * a).ravel()):
        assert check_grads(lambda a: np.sum(a * a), (a,), gradient=known)
    with pytest.raises(TypeError, match="expected real numbers, got complex ones"):
        check_grads(lambda a: np.sum(a * a), (a,), gradient=lambda a: 2.0 * a + 1j)


def test_a_slope_that_is_lost_in_rounding_is_undecided_not_singular() -> None:
    for wrong in (1.5, 0.0):
        with pytest.raises(UndecidedError, match="lost in the rounding of the values"):
            check_grads(
                lambda x: x[0] ** 2 + x[1] ** 2,
                (np.array([1e8, 1.0]),),
                gradient=lambda x, by=wrong: 2.0 * x * np.array([1.0, by]),
            )
