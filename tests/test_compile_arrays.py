"""Calls of compiled functions with arrays: whatever the layout and dtype, and nothing of one call in another."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import compile  # noqa: A004

from .extras import BACKENDS

np = pytest.importorskip("numpy")


def f(x: Any, a: Any = 2.0) -> Any:
    return {"y": a * np.sin(x) * x[::-1], "s": [np.sum(x), a], "z": np.outer(x, x)}


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and np.array_equal(a, b) and np.shape(a) == np.shape(b)


def equal(found: Any, expected: Any) -> bool:
    return all(same(found[k], expected[k]) for k in ("y", "z")) and found["s"] == expected["s"]


X = np.array([0.5, -1.25, 3.0, 0.125])
LAYOUTS = {
    "contiguous": X,
    "every second": np.repeat(X, 2)[::2],
    "backwards": X[::-1].copy()[::-1],
    "a column": np.stack([X, X], axis=1)[:, 1],
    "big-endian": X.astype(">f8"),
    "float32": X.astype(np.float32),
    "read-only": np.frombuffer(X.tobytes()),
    "objects": X.astype(object),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_of_any_layout_gives_the_same_bits_again_and_again(layout: str, backend: Any) -> None:
    x, expected = LAYOUTS[layout], f(X)
    made = compile(f, backend=backend)
    for _ in range(3):
        assert equal(made(x), expected)
        assert equal(made(X, a=2.0), expected)
        assert equal(made(x, 2), expected)
    with pytest.raises(TypeError, match=r"x\[0\]|x: "):
        made(X.astype(complex))
    assert equal(made(x), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_shapes_and_arrays_without_elements(backend: Any) -> None:
    made = compile(lambda x: x * 2.0 + np.sum(x), backend=backend)
    for _ in range(2):
        for shape in ((3,), (2, 2), (1, 3), (), (0,), (2, 0)):
            x = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
            found = made(x)
            assert np.shape(found) == shape
            assert np.array_equal(found, x * 2.0 + np.sum(x))
            assert np.array_equal(made(x.astype(int)), found)
    with pytest.raises(ValueError, match=r"no float equals the integer 9007199254740993"):
        made(np.array([2**53 + 1, 0, 0]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_are_the_callers_own_and_arguments_stay_as_they_are(backend: Any) -> None:
    made = compile(lambda x: (x * 2.0, x), backend=backend)
    first = [made(np.array([1.0, 2.0])) for _ in range(3)][-1]
    x = np.array([3.0, 4.0])
    second = made(x)
    second[0][0] = second[1][0] = 99.0
    assert first[0].tolist() == [2.0, 4.0]
    assert x.tolist() == [3.0, 4.0]
    assert made(x)[0].tolist() == [6.0, 8.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_branches_values_from_outside_and_what_holds_arrays(backend: Any) -> None:
    @dataclass
    class Pair:
        x: Any
        k: float

    w = sg.Value(2.0)

    def g(p: Pair, q: Any) -> Any:
        if p.k > 0.0:
            return Pair(w * p.x, p.k * q["a"][0] + w)
        return Pair(p.x - w, q["a"][1])

    made = compile(g, backend=backend)
    for value in (2.0, 3.0):
        w.data = value
        for k in (1.0, -1.0, 2.0, -2.0):
            q = {"a": np.array([5.0, 7.0])}
            found = made(Pair(np.array([1.0, 2.0]), k), q)
            if k > 0.0:
                assert (found.x.tolist(), found.k) == ([value, 2.0 * value], 5.0 * k + value)
            else:
                assert (found.x.tolist(), found.k) == ([1.0 - value, 2.0 - value], 7.0)
    assert len(made.info.traces) == 2
    assert made.info.hits == 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_in_an_array_are_differentiated_through_a_compiled_function(backend: Any) -> None:
    made = compile(lambda x: np.sum(x**2), backend=backend)
    for _ in range(3):
        assert made(X) == np.sum(X**2)
    assert sg.grad(made)(X).tolist() == (2.0 * X).tolist()
    assert sg.hessian(made)(X).tolist() == (2.0 * np.eye(4)).tolist()
    assert made(X) == np.sum(X**2)


def test_threads_have_memory_of_their_own() -> None:
    made = compile(lambda x: (np.sin(x), np.sum(x)), backend="native")
    points = [np.full(50, 0.01 * k) for k in range(200)]
    with ThreadPoolExecutor(4) as pool:
        for x, (y, s) in zip(points, pool.map(made, points), strict=True):
            assert np.array_equal(y, [sg.sin(v) for v in x.tolist()])
            assert s == sum(x.tolist())


def test_several_structures_take_turns_without_being_looked_up_again() -> None:
    made = compile(lambda x: x[0] * 2.0, backend="native")
    for _ in range(3):
        assert [made([1.0]), made(X), made((4.0, 5.0))] == [2.0, 1.0, 8.0]
    recent = made.recent
    made(X)
    assert made.recent is not recent
    assert made.recent in made.callers.values()
    assert made.info.hits == 7


def test_memory_of_calls_goes_with_the_function() -> None:
    made = compile(lambda x: x * 2.0, backend="native")
    made(X), made(X)
    there = weakref.ref(made)
    del made
    gc.collect()
    assert there() is None
