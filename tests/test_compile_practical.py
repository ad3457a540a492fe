"""Compiled functions at work: in pickles, processes and threads, drawn, and where something is missing."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import copy
import inspect
import math
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from random import Random
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import compile
from scalargrad.compiler import CompiledFunction, GuardLimitError
from scalargrad.drawing import Drawing

from .extras import BACKENDS, MAPPING, needs_llvm, needs_native


def halving(x: Any) -> Any:
    """As many ways as x has halvings to 1, each with another result."""
    n = 0
    while x > 1.0:
        x = x / 2.0
        n += 1
    return sg.exp(-x) * (n + 1)


@compile(backend="python")
def decorated(x: Any) -> Any:
    return x * x if x > 0.0 else -x


DERIVATIVE = compile(sg.value_and_grad(halving), backend="python")
SECOND = compile(sg.hessian(halving), backend="python")
OF_DECORATED = compile(sg.grad(decorated), backend="python")


def called(f: CompiledFunction, x: float) -> Any:
    """What a worker does: one call, on a trace that it was sent or on one that it makes."""
    return f(x), f.info.hits, f.info.misses


# ---- the library's losses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["cross_entropy", "categorical_cross_entropy", "kl_divergence"])
def test_losses_of_several_classes_have_the_bits_of_the_eager_ones(name: str, backend: Any) -> None:
    loss, random = getattr(sg.losses, name), Random(3)

    def shares() -> list[float]:
        drawn = [random.random() for _ in range(5)]
        return [x / math.fsum(drawn) for x in drawn]

    eager = sg.value_and_grad(lambda ps, ts: loss([ps], [ts]), (0, 1))
    f = compile(eager, backend=backend)
    for _ in range(100):
        given = [random.gauss(0.0, 3.0) for _ in range(5)] if name == "cross_entropy" else shares()
        targets = shares()
        assert repr(f(given, targets)) == repr(eager(given, targets))


# ---- pickles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [decorated, DERIVATIVE, SECOND, OF_DECORATED], ids=repr)
def test_a_pickle_brings_the_function_along_whose_name_is_taken_or_that_is_a_derivative(f: CompiledFunction) -> None:
    expected = {x: f.function(x) for x in (0.5, 3.0, -2.0)}  # type: ignore[misc]
    f(0.5)
    again = pickle.loads(pickle.dumps(f))
    assert again(0.5) == expected[0.5]
    assert (again.info.hits, again.info.misses) == (1, 0)
    before = len(again.info.traces)
    assert {x: again(x) for x in expected} == expected
    assert again.info.misses == len(again.info.traces) - before  # the other branches were traced there


@needs_llvm
def test_a_pickle_keeps_the_program_and_no_machine_code() -> None:
    f = compile(sg.grad(halving), backend="native")
    f(3.0)
    f.map([3.0] * 8)
    again = pickle.loads(pickle.dumps(f))
    (variant,) = [v for known in again.specializations.values() for v in known]
    assert (variant.runners, variant.batches) == ({}, {})
    assert again.source == f.source
    assert again(3.0) == f(3.0)
    assert again.map([3.0, 0.5]) == f.map([3.0, 0.5])


def test_without_cloudpickle_a_lambda_and_its_derivative_travel_as_their_programs_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    for f in (compile(lambda x: x if x > 0.0 else -x), compile(sg.grad(lambda x: x if x > 0.0 else -x))):
        expected = f(2.0)
        again = pickle.loads(pickle.dumps(f))
        assert again.function is None
        assert again(2.0) == expected
        with pytest.raises(TypeError, match="without its Python function"):
            again(-2.0)


def test_lambdas_and_closures_travel_by_cloudpickle_or_are_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("cloudpickle")
    slope = 3.0
    for f in (
        compile(lambda x: slope * x),
        compile(sg.value_and_grad(lambda x: slope * x)),
        sg.grad(lambda x: slope * x),
    ):
        assert pickle.loads(pickle.dumps(f))(2.0) == f(2.0)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    for f in (compile(lambda x: slope * x), sg.grad(lambda x: slope * x)):
        with pytest.raises(pickle.PicklingError, match=r"pickle.*<lambda>.*top level, or install cloudpickle"):
            pickle.dumps(f)


@sg.grad
def slope_of(x: Any) -> Any:
    return x * x


def test_derivatives_pickle_as_what_they_were_made_of() -> None:
    for f in (
        sg.grad(halving),
        sg.value_and_grad(halving),
        sg.hessian(halving),
        sg.jacobian(sg.grad(halving)),
        slope_of,
    ):
        again = pickle.loads(pickle.dumps(f))
        assert again(3.0) == f(3.0)
        assert again.__name__ == f.__name__
        assert copy.deepcopy(f) is copy.copy(f) is f
    pairs = sg.grad(lambda x, y: x * y, argnums=(0, 1))
    assert pickle.loads(pickle.dumps(sg.grad(math.atan2, argnums=1))).options == (1, False, None)
    assert list(inspect.signature(pairs).parameters) == ["x", "y"]


def test_pickles_of_another_version_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    f = compile(sg.grad(halving))
    f(3.0)
    made = [f, sg.grad(halving), sg.Value(2.0) * 3.0, f.map([1.0], reduce="sum", start=0)]
    for module in ("compiler.function", "transforms.derivatives", "engine.pickling", "compiler.batching.partial"):
        monkeypatch.setattr(f"scalargrad.{module}.VERSION", "0.0.1")
    pickles = [pickle.dumps(x) for x in made]
    monkeypatch.undo()
    for x, pickled in zip(made, pickles, strict=True):
        with pytest.warns(UserWarning, match=r"was written by scalargrad 0\.0\.1, and is read by 0"):
            again = pickle.loads(pickled)
        assert type(again) is type(x)
        if isinstance(again, CompiledFunction):
            assert again.specializations == {}
            assert again(3.0) == f(3.0)


# ---- processes -------------------------------------------------------------------------------------------------------

forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python's warning of threads beside a fork


@forks
@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_in_worker_processes_traces_are_used_and_made(method: str) -> None:
    if method not in get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    f = compile(sg.value_and_grad(halving))
    f(3.0)
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(called, f, 3.0).result() == (f(3.0), 1, 0)
        assert pool.submit(called, f, 20.0).result() == (f(20.0), 0, 1)


@forks
@needs_llvm
def test_machine_code_in_a_process_that_was_forked_from_one_that_has_some() -> None:
    if "fork" not in get_all_start_methods():
        pytest.skip("no fork on this system")
    f = compile(sg.grad(halving), backend="native")
    f(3.0)
    xs = [0.1 * k for k in range(100)]
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        assert pool.submit(f.map, xs).result() == f.map(xs)


def test_in_joblibs_workers() -> None:
    joblib = pytest.importorskip("joblib")
    f = compile(sg.value_and_grad(halving))
    f(3.0)
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(called)(f, x) for x in (3.0, 20.0))
    assert [each for each, _, _ in found] == [f(3.0), f(20.0)]
    joblib.externals.loky.get_reusable_executor().shutdown()  # its pipes would be open until some other test
    found = joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(f)(x) for x in (3.0, 20.0, 0.5))
    assert found == [f(3.0), f(20.0), f(0.5)]


DASK = """
import sys
sys.path.insert(0, {root!r})
from tests.test_compile_practical import called, compile, halving, sg
from dask.distributed import Client

if __name__ == "__main__":
    f = compile(sg.value_and_grad(halving))
    f(3.0)
    with Client(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as client:
        found = client.gather(client.map(called, [f] * 4, [3.0, 20.0, 0.5, 1.5]))
    print([each for each, _, _ in found] == [f(x) for x in (3.0, 20.0, 0.5, 1.5)])
"""


def test_in_dasks_workers(tmp_path: Any, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("distributed")
    script = tmp_path / "with_dask.py"
    script.write_text(DASK.format(root=str(request.config.rootpath)))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["True"], done.stderr


# ---- threads ---------------------------------------------------------------------------------------------------------


def hammer(functions: list[Callable[[], Any]], threads: int = 8) -> list[Any]:
    """Call all of them at once, in so many threads, which begin together."""
    barrier = threading.Barrier(threads)

    def work(k: int) -> list[Any]:
        barrier.wait()
        return [(i, functions[i]()) for i in range(k, len(functions), threads)]

    with ThreadPoolExecutor(threads) as pool:
        found = dict(each for part in pool.map(work, range(threads)) for each in part)
    return [found[i] for i in range(len(functions))]


@pytest.mark.parametrize("backend", [*MAPPING, "auto"])
def test_many_threads_on_one_function_with_different_branches(backend: Any) -> None:
    points = [0.7 * 1.9**k for k in range(12)] * 40
    eager = [sg.value_and_grad(halving)(x) for x in points]
    f = compile(sg.value_and_grad(halving), backend=backend, max_traces=12)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        assert hammer([lambda x=x: f(x) for x in points]) == eager  # type: ignore[misc]
        mapped = hammer([lambda: f.map(points, reduce="sum")] * 8)
    finally:
        sys.setswitchinterval(interval)
    assert len(f.info.traces) == len({math.ceil(math.log2(x)) if x > 1.0 else 0 for x in points})
    assert mapped == [f.map(points, reduce="sum")] * 8


def test_threads_that_come_to_one_branch_together_trace_it_once() -> None:
    """Each used to add a trace of its own, until there were too many."""

    def slow(x: Any) -> Any:
        entered.wait(0.2)
        return x * x if x > 0.0 else -x

    entered = threading.Event()
    f = compile(slow, backend="python", max_traces=1)
    assert hammer([lambda: f(3.0)] * 8) == [9.0] * 8
    assert len(f.info.traces) == 1
    with pytest.raises(GuardLimitError):
        f(-1.0)


@needs_native
def test_threads_that_build_different_machine_code_do_not_interfere() -> None:
    rows = [sg.sigmoid, sg.softplus, sg.erfc, sg.asinh, sg.round, sg.cbrt, sg.log1p, sg.atanh]

    def fresh(k: int) -> CompiledFunction:
        return compile(
            sg.value_and_grad(lambda x: rows[k](x) * sg.logsumexp([x, rows[k - 1](x), 1.0 * k]) + sg.max([x, 0.1 * k])),
            backend="native",
        )

    eager = [fresh(k).function(0.3) for k in range(len(rows))]  # type: ignore[misc]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert hammer([lambda k=k: fresh(k)(0.3) for k in range(len(rows))]) == eager  # type: ignore[misc]
    finally:
        sys.setswitchinterval(interval)


def fresh_symbols() -> str:
    return """
import sys, threading
sys.setswitchinterval(1e-6)
from scalargrad.engine import table
from scalargrad.functions import primitives
from scalargrad.compiler.ir.symbolic import body
own = [table.sigmoid, table.round, table.mod, table.pow]
rows = [*own, primitives.softplus, primitives.erfc, primitives.asinh, primitives.log1p] * 4
alone = len(sys.argv) > 1
found, barrier = {}, threading.Barrier(len(rows))
def work(k):
    if not alone:
        barrier.wait()
    p = body(rows[k].compute, rows[k].arity or 3)
    found[k] = None if p is None else (p.operations, p.operands, p.outputs, p.constants)
threads = [threading.Thread(target=work, args=(k,)) for k in range(len(rows))]
for t in threads:
    t.start()
    if alone:
        t.join()
for t in threads:
    t.join()
print([found.get(k) for k in range(len(rows))])
"""


def test_rows_are_lowered_the_same_by_many_threads_at_once() -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run([sys.executable, "-c", fresh_symbols(), *arguments], capture_output=True, text=True)
        assert done.stderr == ""
        return done.stdout

    assert run() == run("alone")


# ---- looking at it ---------------------------------------------------------------------------------------------------


def test_a_program_is_drawn_with_its_instructions_and_names() -> None:
    def area(w: Any, h: Any) -> Any:
        s = w * h
        s.label = "s"
        return [s, s * s if h > 0.0 else s]

    f = compile(area, backend="python")
    with pytest.raises(ValueError, match=r"draw: area has not been traced yet"):
        f.draw()
    f(2.0, 3.0)
    f(2.0, -1.0)
    drawing = f.draw()
    assert isinstance(drawing, Drawing)
    assert drawing.picture.title == "area, trace 0: 2 instructions, 1 guard(s)"
    labels = [node["label"] for node in drawing.to_dict()["nodes"]]
    assert {"w", "h", "s"} <= set(labels)
    assert len(labels) == 2 + f.info.traces[0].instructions
    assert "s × s = 36" in str(drawing)
    assert "digraph" in f.draw(1, title="other", direction="TB").dot()
    with pytest.raises(ValueError, match=r"2 trace\(s\), which count from 0, got 2"):
        f.draw(2)
    again = pickle.loads(pickle.dumps(f))
    assert str(again.draw()) == str(drawing)


def test_a_derivatives_program_with_constants_and_outside_values_is_drawn() -> None:
    outside = sg.Value(2.0, label="k")
    f = compile(sg.grad(lambda x: outside * sg.where(x > 0.0, x**3, 0.0) + 1.0), backend="python")
    f(2.0)
    text = str(f.draw())
    assert "k = 2" in text
    assert "= 24" in text
    g = compile(lambda x: [x, 1.0, x * x], backend="python")
    g(3.0)
    assert "x × x = 9" in str(g.draw())


def test_info_shows_times_sizes_hits_and_guards() -> None:
    f = compile(halving, backend="python")
    f(3.0)
    f(3.5)
    f(0.5)
    info = f.info
    assert (info.hits, info.misses) == (1, 2)
    (first, second) = info.traces
    assert (first.inputs, first.outputs, len(first.guards)) == (1, 1, 3)
    assert len(second.guards) == 1
    assert 0.0 < first.seconds["trace"] < first.first_call < 60.0
    assert "while x > 1.0" in str(info)
    assert "1 hit(s), 2 miss(es)" in str(info)


# ---- where something is missing --------------------------------------------------------------------------------------

WITHOUT = """
from tests import without_extras
import scalargrad as sg
from scalargrad.data import xor
from scalargrad.losses import hinge
from scalargrad.nn import MLP
from scalargrad.optim import Adam
from scalargrad.training import fit
f = sg.compile(sg.grad(lambda x: x * x))
print([f(3.0) for _ in range(400)][-1], f.map([1.0] * 400, reduce="sum"))
model = MLP(2, [4, 1])
print(fit(model, xor(60), hinge, Adam(model.parameters()), 20, progress=False).compiled)
try:
    sg.compile(abs, backend="native")
except ImportError as error:
    print(error)
"""


def test_without_llvmlite_and_numpy_all_goes_on_in_generated_source() -> None:
    environment = os.environ | {"SCALARGRAD_NATIVE": "llvm"}
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "6.0 800.0",
        "Python source",
        "machine code for this processor, or for batches on it, needs llvmlite: pip install llvmlite numpy; "
        "backend='python' needs nothing",
    ]
