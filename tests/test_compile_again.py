"""Calls of `map` like the one before: the same answers and the same errors, whatever changes from call to call."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.compiler import compile
from scalargrad.compiler.backends import native

from .extras import needs_llvm
from .test_compile import bits

np = pytest.importorskip("numpy")
pytestmark = [needs_llvm, pytest.mark.skipif(not native.at_once(batches=True), reason="needs code of ours for batches")]
R = np.random.default_rng(0)
W = [0.5, -1.5, 0.25]
X, Y = R.normal(size=(70, 3)), R.normal(size=70)


def loss(w: Any, x: Any, y: Any) -> Any:
    return (sg.tanh(sg.dot(w, list(x))) - y) ** 2


def made(f: Any = loss, calls: int = 3) -> Any:
    compiled = compile(sg.value_and_grad(f), backend="native")
    for _ in range(calls):
        run(compiled)
    return compiled


def run(
    f: Any, w: Any = W, x: Any = X, y: Any = Y, in_axes: Any = (None, 0, 0), reduce: Any = "sum", **more: Any
) -> Any:
    return f.map(w, x, y, in_axes=in_axes, reduce=reduce, **more)


def same(f: Any, **changed: Any) -> bool:
    """Whether a function that was called before answers as one that never was."""
    a, b = (repr(run(each, **changed)) for each in (f, compile(f.function, backend="native")))
    assert a == b
    return True


def test_the_third_call_is_answered_by_what_the_second_has_prepared() -> None:
    f = made(calls=1)
    assert not f.again
    run(f)
    (again,) = f.again.values()
    before = f.info.traces[0].calls
    assert run(f) == run(f, x=X.copy())
    assert again.starts[1] == Y.__array_interface__["data"][0]
    assert f.info.traces[0].calls == before + 140


CHANGED: dict[str, dict[str, Any]] = {
    "other numbers": {"w": [1.0, 2.0, -3.0], "x": X * 2.0, "y": Y + 1.0},
    "integers": {"w": [1, 2, 3], "x": (X * 9).astype(np.int64)},
    "single precision": {"x": X.astype(np.float32)},
    "the other byte order": {"y": Y.astype(Y.dtype.newbyteorder())},
    "another layout": {"x": np.asfortranarray(X)},
    "every other sample": {"x": np.repeat(X, 2, axis=0)[::2], "y": np.repeat(Y, 2)[::2]},
    "fewer samples": {"x": X[:33], "y": Y[:33]},
    "backwards": {"x": X[::-1], "y": Y[::-1]},
    "lists": {"x": X.tolist(), "y": Y.tolist()},
    "a mean": {"reduce": "mean"},
    "no sum": {"reduce": None},
    "threads": {"threads": 2},
    "an axis from the end": {"in_axes": (None, -2, 0)},
    "weights as an array": {"w": np.array(W)},
    "not a number": {"x": np.where(X > 1.0, math.nan, X)},
}


@pytest.mark.parametrize("name", CHANGED)
def test_whatever_changes(name: str) -> None:
    f = made()
    assert same(f, **CHANGED[name])
    assert same(f, **CHANGED[name])
    assert same(f, **CHANGED[name])
    assert same(f)


class Rows(np.ndarray):  # type: ignore[misc, name-defined]
    """A class of somebody's own."""


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"in_axes": (None, False, 0)}, TypeError),
        ({"in_axes": (None, 0, 1)}, ValueError),
        ({"y": Y[:5]}, ValueError),
        ({"y": np.ma.masked_array(Y, Y > 0.0)}, TypeError),
        ({"y": Y.astype(complex)}, TypeError),
        ({"w": [1.0, "a", 2.0]}, TypeError),
        ({"reduce": "max"}, ValueError),
    ],
)
def test_errors_are_those_of_a_first_call(changed: dict[str, Any], error: type[Exception]) -> None:
    f = made()
    with pytest.raises(error) as first:
        run(compile(f.function, backend="native"), **changed)
    with pytest.raises(error) as later:
        run(f, **changed)
    assert str(later.value) == str(first.value)
    assert same(f)


def test_a_class_derived_from_arrays_takes_the_general_way() -> None:
    assert same(made(), x=X.view(Rows), y=Y.view(Rows))


def test_memory_that_moves() -> None:
    f = made()
    y = Y.copy()
    assert same(f, y=y)
    y.resize(700, refcheck=False)
    y.resize(70, refcheck=False)
    y[:] = Y * 3.0
    assert same(f, y=y)


def test_branches_that_come_later() -> None:
    def branching(w: Any, x: Any, y: Any) -> Any:
        return loss(w, x, y) if y < 50.0 else loss(w, x, y) * 0.5

    f = made(branching)
    y = Y.copy()
    y[[3, 60]] = 60.0
    assert same(f, y=y)
    assert len(f.info.traces) == 2
    assert same(f)
    assert same(f, y=y)


def test_values_that_are_read_from_outside() -> None:
    scale = sg.Value(2.0)
    f = made(lambda w, x, y: scale * loss(w, x, y))
    scale.data = 3.0
    assert run(f)[0] == pytest.approx(1.5 * run(made(lambda w, x, y: 2.0 * loss(w, x, y)))[0])


def test_inside_a_differentiation_and_a_tracing() -> None:
    f = made()
    expected = run(f)[1]
    plain = compile(loss, backend="native")
    for _ in range(3):
        run(plain)
    found = sg.grad(lambda w: run(plain, w=w))(W)
    assert found == pytest.approx(expected)
    assert sg.compile(sg.grad(lambda w: run(plain, w=w, x=X[:4], y=Y[:4])))(W) == pytest.approx(
        run(f, x=X[:4], y=Y[:4])[1]
    )


def test_threads_that_call_at_once_and_pickles() -> None:
    f = made()
    expected = [repr(run(f, w=[k, 0.5, -k])) for k in (0.1, 0.2, 0.3, 0.4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            assert expected == list(pool.map(lambda k: repr(run(f, w=[k, 0.5, -k])), (0.1, 0.2, 0.3, 0.4)))
    assert not pickle.loads(pickle.dumps(compile(sg.tanh))).again


def test_what_an_own_operation_raises() -> None:
    @sg.primitive(lambda y, a: (1.0,))
    def careful(a: float) -> float:
        if a > 50.0:
            raise ArithmeticError("too much")
        return a

    f = made(lambda w, x, y: careful(y) * loss(w, x, y))
    y = Y.copy()
    y[5] = 60.0
    with pytest.raises(ArithmeticError, match="too much"):
        run(f, y=y)
    assert same(f)


def test_sums_have_the_bits_of_a_first_call_at_every_size() -> None:
    for count in (1, 7, 8, 31, 32, 33, 64, 70):
        f = compile(sg.value_and_grad(loss), backend="native")
        found = [run(f, x=X[:count], y=Y[:count]) for _ in range(4)]
        assert len({bits(each[0]) for each in found}) == 1
        assert len({tuple(map(bits, each[1])) for each in found}) == 1
