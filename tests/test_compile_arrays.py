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

from .extras import BACKENDS, MAPPING

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
    def f(x: Any) -> Any:
        return np.sin(x), np.sum(x)

    points = [np.full(50, 0.01 * k) for k in range(200)]
    alone = compile(f, backend="python")
    expected = [alone(x) for x in points]
    with ThreadPoolExecutor(4) as pool:
        for (a, b), (y, s) in zip(expected, pool.map(compile(f, backend="native"), points), strict=True):
            assert np.array_equal(a, y)
            assert b == s


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


# ---- map -------------------------------------------------------------------------------------------------------------

SAMPLES = np.stack([np.linspace(-1.0, 1.0, 400), np.linspace(0.5, 2.0, 400) ** 2, np.cos(np.arange(400.0))], axis=1)
W = np.array([0.5, -0.25, 1.5])


def neuron(w: Any, x: Any) -> Any:
    return np.tanh(x @ w) + np.where(x[0] > 0.5, x[1], 0.0)


@pytest.mark.parametrize("backend", MAPPING)
def test_samples_of_arrays_are_arrays_and_results_are_stacked(backend: Any) -> None:
    f = compile(lambda w, x: {"y": neuron(w, x), "outer": np.outer(x, w), "s": [np.sum(x)]}, backend=backend)
    found = f.map(W, SAMPLES, in_axes=(None, 0))
    every = [f(W, x) for x in SAMPLES]
    assert found["y"].tolist() == [each["y"] for each in every]
    assert found["outer"].shape == (400, 3, 3)
    assert np.array_equal(found["outer"], np.stack([each["outer"] for each in every]))
    assert found["s"][0].tolist() == [each["s"][0] for each in every]
    for other in (SAMPLES.T.copy(), np.asfortranarray(SAMPLES).T):
        assert np.array_equal(f.map(W, other, in_axes=(None, 1))["outer"], found["outer"])
    images = SAMPLES[:24].reshape(4, 3, 2, 3)
    total = compile(lambda x: np.sum(x, axis=0) @ W, backend=backend)
    assert total.map(images).tolist() == [total(x).tolist() for x in images]
    assert total.map(images, in_axes=2).shape == (2, 3)  # of (4, 3, 3), which gives three numbers
    both = compile(lambda d: d["x"] @ d["w"], backend=backend)
    assert both.map({"x": SAMPLES, "w": SAMPLES}).tolist() == [both({"x": x, "w": x}) for x in SAMPLES]


@pytest.mark.parametrize("backend", MAPPING)
def test_sums_of_gradients_by_arrays_are_arrays(backend: Any) -> None:
    f = compile(sg.value_and_grad(neuron), backend=backend)
    value, gradient = f.map(W, SAMPLES, in_axes=(None, 0), reduce="sum")
    values, gradients = f.map(W, SAMPLES, in_axes=(None, 0))
    assert gradients.shape == (400, 3)
    assert value == pytest.approx(values.sum(), rel=1e-12)
    assert gradient == pytest.approx(gradients.sum(axis=0), rel=1e-12)
    assert f.map(W, SAMPLES, in_axes=(None, 0), reduce="mean")[1] == pytest.approx(gradient / 400)


def test_a_list_of_arrays_is_refused_with_the_ways_out() -> None:
    f = compile(lambda p: p[0] * p[1])
    columns = [SAMPLES[:, 0], SAMPLES[:, 1]]
    for each in (columns, [SAMPLES[0], SAMPLES[1]]):
        with pytest.raises(TypeError, match=r"argument 0: a list of arrays may be .* numpy.stack .* a tuple of arrays"):
            f.map(each)
    expected = (SAMPLES[:, 0] * SAMPLES[:, 1]).tolist()
    assert f.map(tuple(columns)).tolist() == f.map(np.stack(columns, axis=1)).tolist() == expected


@pytest.mark.parametrize("backend", MAPPING)
def test_gradients_go_through_map(backend: Any) -> None:
    f = compile(neuron, backend=backend)
    x = SAMPLES[::50]

    def by_map(w: Any, x: Any, reduce: Any) -> Any:
        found = f.map(w, x, in_axes=(None, 0), reduce=reduce)
        return found if reduce else np.sum(found * np.arange(len(x)))

    def by_hand(w: Any, x: Any, reduce: Any) -> Any:
        found = [neuron(w, each) for each in x]
        weights = {"sum": [1.0] * len(x), "mean": [1 / len(x)] * len(x)}.get(reduce, range(len(x)))
        return sum(a * b for a, b in zip(found, weights, strict=True))

    for reduce in ("sum", "mean", None):
        found, expected = (sg.grad(each, (0, 1))(W, x, reduce) for each in (by_map, by_hand))
        for a, b in zip(found, expected, strict=True):
            assert type(a) is np.ndarray
            assert a == pytest.approx(b, rel=1e-12)
        both = [sg.hessian(each)(W, x, reduce) for each in (by_map, by_hand)]
        assert both[0] == pytest.approx(both[1], rel=1e-9)
    value = sg.value_and_grad(lambda w: f.map(w, SAMPLES, in_axes=(None, 0), reduce="sum"))(W)[0]
    assert value == f.map(W, SAMPLES, in_axes=(None, 0), reduce="sum")  # in the order of every sum
    slope = compile(sg.grad(lambda w: f.map(w, x, in_axes=(None, 0), reduce="sum")), backend=backend)
    assert slope(W) == pytest.approx(sg.grad(by_hand)(W, x, "sum"), rel=1e-12)


def test_gradients_go_through_map_over_lists_and_by_what_the_function_reads() -> None:
    w = sg.Value(2.0)
    f = compile(lambda x: w * x["a"] * x["b"][0])

    def loss(a: Any, b: Any) -> Any:
        return sg.sum(f.map({"a": a, "b": b}))

    a, b = [1.0, 2.0], [[3.0], [5.0]]
    assert sg.grad(loss, (0, 1))(a, b) == ([6.0, 10.0], [[2.0], [4.0]])
    y = loss([sg.Value(1.0), 2.0], b)
    y.backward()
    assert (y.data, w.grad) == (26.0, 13.0)
    g = compile(lambda x, k: k * x)
    assert sg.grad(lambda k: sg.sum([y * y for y in g.map([1.0, 2.0], k, in_axes=(0, None))]))(3.0) == 30.0
    assert sg.grad(lambda k: sg.sum([y * y for y in compile(lambda x: k * x).map([1.0, 2.0])]))(3.0) == 30.0
    with pytest.raises(ValueError, match="batch lengths differ"):
        g.map([sg.Value(1.0)], [1.0, 2.0])
    with pytest.raises(TypeError, match="partial sums"):
        g.map([sg.Value(1.0)], [1.0], reduce="sum", start=0)
    with pytest.raises(TypeError, match=r"expected a batch|expected a list"):
        g.map(sg.Value(1.0), [1.0])
