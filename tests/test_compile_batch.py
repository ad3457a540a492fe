"""`map`: every sample from its own branch, sums in a fixed order, whatever the backend, the threads and the layout."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import itertools
import math
import random
from array import array
from itertools import pairwise
from math import inf, nan
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import Value
from scalargrad.compiler import compile, merge
from scalargrad.compiler.backends import native
from scalargrad.compiler.batching import batch
from scalargrad.compiler.batching.batch import LEAST_WORK, MOST_WORK, chunks
from scalargrad.transforms.trees import flatten

from .extras import MAPPING, needs_llvm, needs_numpy, np
from .test_compile import AWKWARD_NUMBERS, bits, tree_bits

BACKENDS = ["python", "native"]


def branching(x: Any, a: Any) -> Any:
    if x > 0.5:
        return x * a, sg.sin(x)
    if x < -0.5:
        return -x / a, sg.exp(x)
    return x, a


def columns_bits(tree: Any) -> list[list[bytes]]:
    return [[bits(float(y)) for y in column] for column in tree]


@needs_llvm
@pytest.mark.parametrize("count", [1, 7, 8, 9, 300, 1030, 2600])
@pytest.mark.parametrize("f", [branching, lambda x, a: (sg.tanh(x * a), sg.erfc(x))], ids=["branching", "straight"])
def test_every_sample_and_every_sum_is_the_same_on_every_backend_and_any_number_of_threads(f: Any, count: int) -> None:
    r = random.Random(count)
    xs = [r.choice(AWKWARD_NUMBERS) if r.random() < 0.1 else r.uniform(-1.0, 1.0) for _ in range(count)]
    expected = columns_bits(zip(*[f(x, 3.0) for x in xs], strict=True))
    ways = [(backend, threads) for backend in BACKENDS for threads in (1, 3)]
    for backend, threads in ways:
        assert columns_bits(compile(f, backend=backend).map(xs, 3.0, in_axes=(0, None), threads=threads)) == expected
    finite = [x if abs(x) < 1e3 else 0.25 for x in xs]
    for reduce in ("sum", "mean"):
        found = [
            tree_bits(compile(f, backend=b).map(finite, 3.0, in_axes=(0, None), reduce=reduce, threads=t))
            for b, t in ways
        ]
        assert all(each == found[0] for each in found)
        total = compile(f).map(finite, 3.0, in_axes=(0, None), reduce=reduce)
        exact = [
            math.fsum(column) / (count if reduce == "mean" else 1)
            for column in zip(*[f(x, 3.0) for x in finite], strict=True)
        ]
        assert total == pytest.approx(exact, rel=1e-13, abs=1e-13)


@needs_llvm
def test_a_sum_does_not_depend_on_which_traces_there_were_before() -> None:
    r = random.Random(0)
    xs = [r.uniform(-1.0, 1.0) for _ in range(500)]
    sums = []
    for first in (0.7, -0.7, 0.0):
        compiled = compile(branching, backend="native")
        compiled(first, 3.0)
        sums.append(tree_bits(compiled.map(xs, 3.0, in_axes=(0, None), reduce="sum")))
        assert len(compiled.info.traces) == 3
    assert sums[0] == sums[1] == sums[2]


@pytest.mark.parametrize("backend", MAPPING)
def test_zero_times_infinity_in_one_sample_contributes_nothing(backend: Any) -> None:
    f = sg.value_and_grad(lambda w, x: w * sg.where(x, sg.sqrt(x * w), 3.0) + sg.relu(sg.log(x + 1.0)))
    xs = [4.0, 0.0, 1.0, 0.0, 2.0, 0.5, 3.0, 9.0, -1.0, 0.25]
    compiled = compile(f, backend=backend)
    values, gradients = compiled.map(0.0, xs, in_axes=(None, 0))
    assert columns_bits((values, gradients)) == columns_bits(zip(*[f(0.0, x) for x in xs], strict=True))
    within = [x for x in xs if x >= 0.0]
    value, gradient = compiled.map(2.0, within, in_axes=(None, 0), reduce="sum")
    assert math.isfinite(value)
    assert gradient == pytest.approx(sum(f(2.0, x)[1] for x in within))


def network(p: Any, x: Any, y: Any) -> Any:
    hidden = [sg.tanh(sg.dot(row, x) + b) for row, b in zip(p["w"], p["b"], strict=True)]
    return sg.relu(1.0 - y * sg.dot(p["v"], hidden))


@needs_llvm
@needs_numpy
def test_layouts_of_the_same_numbers_give_the_same_bits() -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(37, 3)), r.choice([-1.0, 1.0], 37)
    p = {"w": r.normal(size=(4, 3)).tolist(), "b": [0.1] * 4, "v": [0.5, -1.0, 2.0, 0.25]}
    compiled = compile(sg.value_and_grad(network), backend="native")
    expected = tree_bits(compiled.map(p, x, y, in_axes=(None, 0, 0), reduce="sum"))
    padded = np.zeros((74, 9))
    padded[::2, 1:7:2] = x
    samples = [list(row) for row in x.tolist()]
    for each, axis in (
        (np.asfortranarray(x), 0), (x.T, 1), (x.T.copy(), -1), (padded[::2, 1:7:2], 0), (x[::-1][::-1], 0), (samples, 0)
    ):  # fmt: skip
        for labels in (y, y.tolist(), array("d", y), y.astype(np.float32), y.astype(np.int64), array("b", map(int, y))):
            found = compiled.map(p, each, labels, in_axes=(None, axis, 0), reduce="sum")
            assert tree_bits(found) == expected
    arrays = {k: np.array(v) for k, v in p.items()}
    assert tree_bits(compiled.map(p, x, y, in_axes=(None, 0, 0), reduce="sum")) == expected
    by_tuple = compile(lambda q, s: network(q, s[0], s["y"] if isinstance(s, dict) else s[1]), backend="native")
    value = by_tuple.map(p, (x, y), in_axes=(None, 0), reduce="sum")
    assert bits(value) == expected[0]
    assert arrays["w"].shape == (4, 3)


@needs_llvm
@needs_numpy
def test_results_come_in_the_kind_of_the_arguments() -> None:
    f = compile(lambda x: {"y": x * x, "z": [x]}, backend="native")
    assert f.map([1.0, 2.0]) == {"y": [1.0, 4.0], "z": [[1.0, 2.0]]}
    assert f.map(array("d", [1.0, 2.0]))["y"] == array("d", [1.0, 4.0])
    assert isinstance(f.map(np.array([1.0, 2.0]))["y"], np.ndarray)
    assert f.map(({"a": [1.0, 2.0]}, [3.0, 4.0])[1])["y"] == [9.0, 16.0]
    g = compile(lambda s: s["a"] * s["b"][0])
    assert g.map({"a": [1.0, 2.0], "b": [[3.0], [4.0]]}) == [3.0, 8.0]
    assert g.map([{"a": 1.0, "b": [3.0]}, {"a": 2.0, "b": [4.0]}]) == [3.0, 8.0]


@needs_numpy
def test_an_array_is_not_copied() -> None:
    from scalargrad.compiler.batching.arguments import Batch

    x = np.arange(12.0).reshape(4, 3)
    batch = Batch(compile(abs), [x], 0)
    assert [each - x.ctypes.data for each in batch.addresses] == [0, 8, 16]
    assert list(batch.strides) == [24] * 3


@needs_llvm
def test_values_from_outside_are_read_at_every_call() -> None:
    w = Value(2.0)
    for backend in BACKENDS:
        f = compile(lambda x: w * x, backend=backend)  # type: ignore[arg-type]
        w.data = 2.0
        assert f.map([1.0, 2.0]) == [2.0, 4.0]
        w.data = 3.0
        assert f.map([1.0, 2.0]) == [3.0, 6.0]


@needs_llvm
def test_a_program_of_several_functions_over_a_batch() -> None:
    from .test_compile import long_chain

    f = compile(sg.value_and_grad(long_chain), backend="native")
    xs = [0.1, -2.0, 0.5, inf, nan, 1.5, 0.2, 0.9, 3.0]
    found = f.map(xs, 0.3, in_axes=(0, None))
    assert columns_bits(found) == columns_bits(zip(*[sg.value_and_grad(long_chain)(x, 0.3) for x in xs], strict=True))


def test_chunks_are_dyadic_but_at_the_ends_and_few() -> None:
    cases = ((0, 1), (0, 1024), (0, 1025), (0, 10**6), (1000, 10**7), (2**50 + 1, 10**7))
    for (first, count), threads, work in itertools.product(cases, (1, 2, 3, 8), (1, 3000, 10**6)):
        bounds = chunks(first, count, threads, work)
        assert len(bounds) <= 20 * threads + 2 * count * work / MOST_WORK
        assert bounds[0][0] == first
        assert bounds[-1][1] == first + count
        assert all(stop == start for (_, stop), (start, _) in pairwise(bounds))
        sizes = {stop - start for start, stop in bounds[1:-1]}
        assert all(size & (size - 1) == 0 and start % size == 0 for size in sizes for start, _ in bounds[1:])


@pytest.mark.parametrize(
    ("count", "work", "chunk"),
    [(1000, 33_000, 512), (1000, 10, 1024), (4096, 2000, 2048), (1100, 33_000, 64), (10**6, 10, 2**19)],
)
def test_threads_share_the_work(count: int, work: int, chunk: int) -> None:
    bounds = chunks(0, count, 2, work)
    assert bounds[0] == (0, min(count, chunk))
    shares = [sum(stop - start for start, stop in bounds[k::2]) for k in range(2)]
    assert max(shares) < 0.6 * count or count * work < 2 * LEAST_WORK


@needs_llvm
def test_the_time_to_build_a_batch_is_told() -> None:
    f = compile(lambda x: sg.exp(x) * x, backend="native")
    f.map([0.5, 1.5], reduce="sum")
    seconds = f.info.traces[0].seconds
    assert list(seconds) == ["trace", "batch"]
    built = seconds["batch"]
    assert built > 0.0
    assert f.info.traces[0].first_call == seconds["trace"] + built
    f.map([0.5, 1.5], reduce="sum")
    assert f.info.traces[0].seconds["batch"] == built
    f.map([0.5, 1.5])
    assert f.info.traces[0].seconds["batch"] > built


ARRAYS = () if np is None else (
    ((np.zeros(0), np.zeros(0)), {}, ValueError, "empty batch"),
    ((np.zeros(3), np.zeros(3)), {"in_axes": (0, 1)}, ValueError, "not an axis"),
    ((np.zeros(2, np.longdouble), [1.0, 2.0]), {}, TypeError, "without loss"),
    ((np.zeros(2, complex), [1.0, 2.0]), {}, TypeError, "without loss"),
    ((np.array([2**60 + 1, 1]), [1.0, 2.0]), {}, ValueError, "no float equals"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        *ARRAYS,
        (([1.0, 2.0], [1.0]), {}, ValueError, "batch lengths differ: .*2.*1"),
        (([], []), {}, ValueError, "empty batch"),
        ((1.0, 2.0), {"in_axes": None}, ValueError, "no argument is mapped"),
        ((1.0, [2.0]), {}, TypeError, "argument 0: expected a batch.*in_axes=None"),
        (([1.0], [1.0]), {"in_axes": (0,)}, ValueError, "1 entries for 2"),
        (([1.0], [1.0]), {"in_axes": (0, "x")}, TypeError, "an axis or None"),
        (([1.0], [1.0]), {"in_axes": (0, 1)}, ValueError, "needs a NumPy array"),
        ((array("q", [2**60 + 1, 1]), [1.0, 2.0]), {}, ValueError, "no float equals"),
        (([1.0, "2"], [1.0, 2.0]), {}, TypeError, r"argument 0\[1\]: expected a real number, got str"),
        (([[1.0], [1.0, 2.0]], [1.0, 2.0]), {}, ValueError, "sample 1 has another structure"),
        (([1.0], [1.0]), {"reduce": "max"}, ValueError, "reduce"),
        (([1.0], [1.0]), {"threads": 0}, ValueError, "threads"),
    ],
)
@pytest.mark.parametrize("backend", MAPPING)
def test_wrong_batches_are_errors(backend: Any, arguments: Any, options: Any, error: Any, message: str) -> None:
    def f(x: Any, y: Any) -> Any:
        return (flatten(x)[0][0]) * y

    with pytest.raises(error, match=message):
        compile(f, backend=backend).map(*arguments, **options)


@pytest.mark.skipif(not native.at_once(batches=True), reason="needs code of ours for batches")
def test_only_short_programs_take_two_samples_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    xs = [0.01 * k for k in range(70)]
    found = []
    for most in (10, 4000):
        monkeypatch.setattr(batch, "MOST_PAIRED", most)
        f = compile(lambda x: sg.tanh(x) * sg.exp(x) + sg.sqrt(x), backend="native", functions="polynomial")
        found.append(bits(f.map(xs, reduce="sum")))
        ((trace,),) = f.specializations.values()
        assert [paired for _, paired in trace.batches.values()] == ([False] if most == 10 else [True, False])
    assert found[0] == found[1]


@needs_llvm
@pytest.mark.parametrize("functions", ["library", "fast"])
def test_threads_and_parts_that_are_merged_give_the_bits_of_one_call(
    functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LEAST_WORK", 1)
    xs = [math.sin(k) for k in range(333)]
    loss = sg.value_and_grad(lambda w, x: sg.tanh(w * x) + sg.sigmoid(x - w))
    f = compile(loss, backend="native", functions=functions)
    options: Any = {"in_axes": (None, 0), "reduce": "mean"}
    expected = tree_bits(f.map(0.7, xs, **options))
    for threads in (2, 3, 5):
        assert len(chunks(0, len(xs), threads, 1)) >= threads
        assert tree_bits(f.map(0.7, xs, threads=threads, **options)) == expected
    cuts = (0, 5, 16, 100, 333)
    parts = [f.map(0.7, xs[a:b], start=a, threads=2, **options) for a, b in pairwise(cuts)]
    assert tree_bits(merge(parts[::-1]).result()) == expected
