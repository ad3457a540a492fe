"""`map` by executors: the bits of one call, whoever works, whatever becomes of the workers."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import dataclasses
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import Value
from scalargrad.compiler import PartialSum, WorkerLostError, compile, merge
from scalargrad.compiler.batching import distributed
from scalargrad.compiler.batching.sources import FilePiece, cut, loaded

from .extras import needs_numpy, np
from .test_compile import tree_bits

AXES = (None, 0, 0)
WEIGHTS = [0.1, -0.2, 0.3]


def loss(w: Any, x: Any, y: Any) -> Any:
    z = sg.dot(w, x) - y
    return z * z if z > 0.0 else sg.log1p(z * z)


def spawned(workers: int = 2) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with spawned() as made:
        yield made


@pytest.fixture
def data() -> Any:
    r = np.random.default_rng(0)
    return r.normal(size=(5001, 3)), r.normal(size=5001)


f = compile(sg.value_and_grad(loss))


@needs_numpy
def test_processes_give_the_bits_of_one_call_for_all_sizes_of_chunks(pool: Executor, data: Any) -> None:
    x, y = data
    expected = {reduce: f.map(WEIGHTS, x, y, in_axes=AXES, reduce=reduce) for reduce in ("sum", "mean")}  # type: ignore[arg-type]
    columns = f.map(WEIGHTS, x, y, in_axes=AXES)
    for size in (None, 512, 777, 10_000):
        for reduce, each in expected.items():
            found = f.map(WEIGHTS, x, y, in_axes=AXES, reduce=reduce, executor=pool, chunk_size=size)  # type: ignore[arg-type]
            assert tree_bits(found) == tree_bits(each)
        values, gradients = f.map(WEIGHTS, x, y, in_axes=AXES, executor=pool, chunk_size=size)
        assert np.array_equal(values, columns[0])
        assert np.array_equal(gradients, columns[1])
    apart = f.map(WEIGHTS, x, y, in_axes=AXES, reduce="sum", start="unknown", executor=pool, chunk_size=777)
    assert apart.result() == f.map(WEIGHTS, x[::-1], y[::-1], in_axes=AXES, reduce="sum", start="unknown").result()
    part = f.map(WEIGHTS, x[:2000], y[:2000], in_axes=AXES, reduce="sum", executor=pool, start=0)
    rest = f.map(WEIGHTS, x[2000:], y[2000:], in_axes=AXES, reduce="sum", start=2000, threads=2)
    assert tree_bits(merge([rest, part]).result()) == tree_bits(expected["sum"])


class Backwards(Executor):
    """Answers the last chunk that it was given first."""

    def __init__(self) -> None:
        self.given: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.num_workers = 3

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.given.append((future, partial(fn, *args, **kwargs)))
        if len(self.given) == 1:
            threading.Timer(0.01, self.answer).start()
        return future

    def answer(self) -> None:
        given, self.given = self.given, []
        for future, call in reversed(given):
            future.set_result(pickle.loads(pickle.dumps(call()))) if future.set_running_or_notify_cancel() else None


def test_the_order_in_which_chunks_come_back_does_not_matter() -> None:
    xs = [0.1 * k for k in range(240)]
    g = compile(lambda x: sg.exp(-x))
    for reduce in ("sum", None):
        found = g.map(xs, reduce=reduce, executor=Backwards(), chunk_size=10)  # type: ignore[arg-type]
        assert found == g.map(xs, reduce=reduce)  # type: ignore[arg-type]


@pytest.mark.parametrize("xs", [[1.0, 2.0, 4.0] * 5, array("d", [1.0, 2.0, 4.0] * 5), range(15)])
def test_kinds_of_batches_and_threads(xs: Any) -> None:
    g = compile(lambda p: p["a"] * p["b"][0] + p["b"][1])
    batch = {"a": xs if not isinstance(xs, range) else list(xs), "b": ([0.5 * k for k in range(15)], list(range(15)))}
    with ThreadPoolExecutor(2) as threads:
        found = g.map(batch, executor=threads, chunk_size=4)
    assert found == g.map(batch)
    assert type(found) is type(g.map(batch))


@needs_numpy
def test_of_a_file_workers_get_the_place_alone(pool: Executor, data: Any, tmp_path: Path) -> None:
    x, y = data
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = f.map(WEIGHTS, x, y, in_axes=AXES, reduce="sum")
    assert f.map(WEIGHTS, mapped, y, in_axes=AXES, reduce="sum", executor=pool, chunk_size=700) == expected
    views = (mapped[10:40], mapped[::-1], mapped[::3, 1:], mapped.T, np.asarray(mapped)[5:, ::-1])
    for view in views:
        piece = cut(view, 0, 1, 3, False, True)
        assert isinstance(piece, FilePiece)
        assert len(pickle.dumps(piece)) < 400
        assert np.array_equal(loaded(pickle.loads(pickle.dumps(piece))), view[1:3])
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[0] = 7.0
    assert cut(private, 0, 0, 1, False, True)[0, 0] == 7.0
    written = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", float, (4, 3))
    written[:] = 3.0
    assert np.array_equal(loaded(cut(written, 0, 0, 4, False, True)), written)
    piece = cut(mapped, 0, 0, 2, False, True)
    with pytest.raises(ValueError, match=r"x\.npy has \d+ bytes on the worker, and 1 where map was called"):
        loaded(piece._replace(size=1))
    with pytest.raises(ValueError, match=r"the worker cannot read .*gone\.npy"):
        loaded(piece._replace(path=str(tmp_path / "gone.npy")))
    np.save(tmp_path / "other.npy", x + 1.0)  # of the same size, in the place of the file that is mapped
    os.replace(tmp_path / "other.npy", tmp_path / "x.npy")
    with pytest.raises(ValueError, match=r"x\.npy holds other numbers on the worker than the memmap"):
        f.map(WEIGHTS, mapped, y, in_axes=AXES, reduce="sum", executor=pool, chunk_size=700)


class Counting(Executor):
    """Has one worker, with a memory of its own, and counts what is sent there."""

    num_workers = 1

    def __init__(self) -> None:
        self.sent: list[int] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.sent.append(len(pickle.dumps(args)))
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_arguments_are_sent_once_a_worker() -> None:
    weights = [0.001 * k for k in range(3000)]
    g = compile(lambda w, x: sg.dot(w, w) * x, backend="python")
    executor = Counting()
    xs = [0.1 * k for k in range(200)]
    expected = g.map(weights, xs, in_axes=(None, 0), reduce="sum")
    assert g.map(weights, xs, in_axes=(None, 0), reduce="sum", executor=executor, chunk_size=10) == expected
    assert sum(size > 24_000 for size in executor.sent) == 1
    assert len(executor.sent) == 20
    known = dict(distributed._functions)
    again = g.map(weights[::-1], xs, in_axes=(None, 0), reduce="sum", executor=executor)
    assert again == g.map(weights[::-1], xs, in_axes=(None, 0), reduce="sum")
    assert distributed._functions == known  # with its machine code
    distributed._jobs.clear()  # as in a worker that was started meanwhile
    assert distributed.work("some", None, 0, 1, [1.0]) is None


# ---- workers that die ------------------------------------------------------------------------------------------------


killing = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python's warning of threads beside a fork


def forked() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("fork"))


def deadly(x: Any, marker: str) -> Any:
    """Kills its process where it is traced, until the marker's file is there."""
    if x > 90.0 and not os.path.exists(marker):
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x if x < 90.0 else 2.0 * x


def always_deadly(x: Any) -> Any:
    return x if x < 90.0 else os.kill(os.getpid(), signal.SIGKILL)


@forks
@killing
def test_the_chunk_of_a_worker_that_is_killed_runs_again(tmp_path: Path) -> None:
    xs = [float(k) for k in range(100)]
    g = compile(partial(deadly, marker=str(tmp_path / "once")))
    expected = sum(x * x if x < 90.0 else 2.0 * x for x in xs)
    assert g.map(xs, reduce="sum", executor=forked, chunk_size=7) == expected
    assert (tmp_path / "once").exists()
    g = compile(partial(deadly, marker=str(tmp_path / "twice")))
    with forked() as given, pytest.raises(WorkerLostError, match=r"samples 91 to 97.*executor=lambda") as caught:
        g.map(xs, reduce="sum", executor=given, chunk_size=7)
    part = caught.value.part
    assert isinstance(part, PartialSum)
    done = part.samples[0][1]
    rest = g.map(xs[done:], reduce="sum", executor=forked, start=done)
    assert merge([part, rest]).result() == expected


@forks
@killing
def test_a_chunk_that_no_worker_survives_is_given_up() -> None:
    made: list[Executor] = []

    def executor() -> Executor:
        made.append(forked())
        return made[-1]

    with pytest.raises(WorkerLostError, match="3 executors died one after the other, at samples 90 to 99") as caught:
        compile(always_deadly).map([float(k) for k in range(100)], reduce="sum", executor=executor, chunk_size=90)
    assert len(made) >= 3
    assert caught.value.part is not None
    assert caught.value.part.samples == ((0, 90),)


class Breaking(Executor):
    """Does three chunks of four, and dies with the last."""

    num_workers = 1

    def __init__(self) -> None:
        self.given: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.given.append((future, partial(fn, *args, **kwargs)))
        if len(self.given) == 4:
            self.given[3][0].set_exception(BrokenExecutor("died"))
            for each, call in self.given[:3]:
                each.set_result(call())
        return future


def test_what_was_done_when_the_executor_died_is_kept() -> None:
    g = compile(lambda x: x * x)
    xs = [float(k) for k in range(100)]
    second = Counting()
    executors: Iterator[Executor] = iter([Breaking(), second])
    assert g.map(xs, reduce="sum", executor=lambda: next(executors), chunk_size=25) == g.map(xs, reduce="sum")
    assert len(second.sent) == 1
    with pytest.raises(WorkerLostError, match=r"died.*before samples 75 to 99") as caught:
        g.map(xs, reduce="sum", executor=Breaking(), chunk_size=25)
    assert isinstance(caught.value.part, PartialSum)
    assert caught.value.part.samples == ((0, 75),)


DASK = """
import os, sys
sys.path.insert(0, {root!r})
import dask.array as da
import numpy as np
from dask.distributed import Client
from tests.test_executors import AXES, WEIGHTS, compile, deadly, f, partial, sg, tree_bits

if __name__ == "__main__":
    r = np.random.default_rng(0)
    x, y = r.normal(size=(5001, 3)), r.normal(size=5001)
    expected = tree_bits(f.map(WEIGHTS, x, y, in_axes=AXES, reduce="sum"))
    xs = [float(k) for k in range(100)]
    with Client(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as client:
        executor = client.get_executor()
        odd = da.from_array(x, chunks=((700, 1, 3000, 1300), (2, 1)))
        lazy = da.from_array(y, chunks=999) * 2.0 / 2.0
        held = client.persist(odd)
        options = dict(in_axes=AXES, reduce="sum", executor=executor)
        print(tree_bits(f.map(WEIGHTS, x, y, chunk_size=640, **options)) == expected)
        for a, b in ((odd, lazy), (held, y)):
            print(tree_bits(f.map(WEIGHTS, a, b, **options)) == expected)
        scale = 2.0
        g = compile(sg.grad(lambda x: scale * x * x))
        print(g.map(xs, reduce="sum", executor=executor, chunk_size=13) == 4.0 * sum(xs))
        g = compile(partial(deadly, marker={marker!r}))
        found = g.map(xs, reduce="sum", executor=executor, chunk_size=7)
        print(found == sum(x * x if x < 90.0 else 2.0 * x for x in xs) and os.path.exists({marker!r}))
"""


@needs_numpy
@killing
def test_on_a_dask_cluster_of_two_processes_one_of_which_is_killed(tmp_path: Path, request: Any) -> None:
    pytest.importorskip("distributed")
    script = tmp_path / "with_dask.py"
    script.write_text(DASK.format(root=str(request.config.rootpath), marker=str(tmp_path / "killed")))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.stdout.splitlines() == ["True"] * 5, done.stderr


@needs_numpy
def test_dask_arrays_are_computed_by_chunk_in_this_process_too(data: Any) -> None:
    da = pytest.importorskip("dask.array")
    x, y = data
    expected = f.map(WEIGHTS, x, y, in_axes=AXES, reduce="sum")
    odd = da.from_array(x, chunks=((700, 1, 3000, 1300), (2, 1)))
    lazy = da.from_array(y, chunks=999) * 2.0 / 2.0
    assert f.map(WEIGHTS, odd, lazy, in_axes=AXES, reduce="sum") == expected
    assert f.map(WEIGHTS, odd.T, (lazy, y)[1], in_axes=(None, 1, 0), reduce="sum") == expected
    assert np.array_equal(compile(lambda x: x * x).map(lazy), y * y)
    with ThreadPoolExecutor(2) as threads:
        assert f.map(WEIGHTS, odd, lazy, in_axes=AXES, reduce="sum", executor=threads) == expected
    unknown = lazy[lazy > 0.0]
    with pytest.raises(ValueError, match="a Dask array of unknown length: have it found by compute_chunk_sizes"):
        compile(lambda x: x * x).map(unknown)


def test_by_loky() -> None:
    loky = pytest.importorskip("loky")
    xs = [float(k) for k in range(100)]
    g = compile(lambda x: x * x if x < 50.0 else -x)
    found = g.map(xs, reduce="sum", executor=lambda: loky.get_reusable_executor(2), chunk_size=30)
    assert found == g.map(xs, reduce="sum")


# ---- bad input -------------------------------------------------------------------------------------------------------


def under_anomaly(run: Callable[[], Any]) -> Any:
    with sg.detect_anomaly():
        return run()


def test_results_hold_classes_that_workers_have_another_of(pool: Executor) -> None:
    local = dataclasses.make_dataclass("Local", ["a", "b"])
    g = compile(lambda p, x: local(p.a * x, p.b))
    pytest.importorskip("cloudpickle")
    found = g.map(local(2.0, 1.0), [1.0, 2.0, 3.0], in_axes=(None, 0), reduce="sum", executor=pool, chunk_size=2)
    assert found == local(12.0, 3.0)


def test_operations_that_no_name_leads_to_are_sent_with_their_functions(pool: Executor) -> None:
    pytest.importorskip("cloudpickle")

    @sg.primitive(lambda y, a: cosine(a))
    def sine(a: float) -> float:
        return math.sin(a)

    @sg.primitive(lambda y, a: -sine(a))  # which refer to each other
    def cosine(a: float) -> float:
        return math.cos(a)

    g = compile(sg.grad(lambda x: sine(x) * x if x < 4.5 else cosine(x)))  # the other branch is traced by the worker
    xs = [float(k) for k in range(9)]
    assert g.map(xs, reduce="sum", executor=pool, chunk_size=3) == g.map(xs, reduce="sum")
    with pytest.raises(TypeError, match="must stand at its module's top level"):
        pickle.dumps(sine)  # by Python's own pickle
    back = pickle.loads(distributed.dumps((sine, sine), ""))
    assert back == (sine, sine)


def test_what_is_wrong_is_named(pool: Executor) -> None:
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    g = compile(lambda x: x * x)
    with pytest.raises(RuntimeError, match=r"ThreadPoolExecutor.*takes no work: .*shut ?down"):
        g.map([1.0], reduce="sum", executor=closed)
    lock = threading.Lock()
    with pytest.raises(pickle.PicklingError, match=r"nothing would arrive: .*(cannot pickle|install cloudp)"):
        pickle.dumps(compile(lambda x: x if lock else -x))
    with pytest.raises(TypeError, match="executor, or a function that makes one, got int"):
        g.map([1.0], executor=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is to return an executor, and returned int"):
        g.map([1.0], executor=lambda: 3)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match=r"batch lengths differ: {'argument 0': 2, 'argument 1': 1}"):
        compile(lambda x, y: x * y).map([1.0, 2.0], [1.0], executor=pool)
    with pytest.raises(ValueError, match="chunk_size must be a whole number of at least 1, got 0"):
        g.map([1.0], executor=pool, chunk_size=0)
    w = Value(3.0)
    with pytest.raises(TypeError, match=r"reads Value\(data=3.0.* from outside.*make it an argument"):
        compile(lambda x: w * x).map([1.0], executor=pool)
    for run in (
        lambda: sg.grad(lambda w: compile(lambda w, x: w * x).map(w, [1.0], in_axes=(None, 0), executor=pool))(2.0),
        lambda: compile(lambda xs: g.map(xs, reduce="sum", executor=pool))([1.0, 2.0]),
        lambda: under_anomaly(lambda: g.map([1.0], executor=pool)),
    ):
        with pytest.raises(TypeError, match=r"runs on Values .* without executor"):
            run()
    with pytest.raises(TypeError, match=r"got str") as caught:
        g.map([1.0, 2.0, "3"], executor=pool, chunk_size=1)  # type: ignore[list-item]
    assert caught.value.__notes__ == ["map: in samples 2 to 2, on a worker"]
    with pytest.raises(ValueError, match="a worker has 3 samples from number 5 on, and was to have 2"):
        distributed._Job(g, (None,), (0,), "sum", 1, True, False).run(5, 2, ([1.0, 2.0, 3.0],))
    with pytest.raises(ValueError, match="empty batch"):
        g.map([], executor=pool)
    assert g.map([], reduce="sum", executor=pool, start=4).samples == ()
    assert g.map([2.0, 3.0], reduce="sum", executor=ThreadPoolExecutor) == 13.0  # a class makes executors, too


def test_a_bar_counts_samples(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    g = compile(lambda x: x * x)
    assert g.map([1.0, 2.0, 3.0], reduce="sum", progress=True, chunk_size=1) == 14.0
    assert "3.00/3.00" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="progress=True needs tqdm: pip install tqdm"):
        g.map([1.0], progress=True)
