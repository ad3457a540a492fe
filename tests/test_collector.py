"""The garbage collector rests while graphs are recorded, and is as it was afterwards, whatever happens."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.transforms import collector

ORDINARY = (700, 11, 12)


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*ORDINARY)
    yield
    now = gc.get_threshold()
    gc.set_threshold(*before)
    assert now == ORDINARY
    assert not collector._resting


def looks(run: Callable[[], Any]) -> int:
    """How often the collector looks at young objects meanwhile."""
    seen: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        seen.append(phase)

    gc.callbacks.append(note)
    try:
        run()
    finally:
        gc.callbacks.remove(note)
    return seen.count("start")


def chain(x: Any) -> Any:
    for _ in range(3000):
        x = x * 1.0001
    return x


RECORDING: dict[str, Callable[[Callable[..., Any]], Any]] = {
    "grad": lambda f: sg.grad(f)(1.0),
    "value_and_grad": lambda f: sg.value_and_grad(f)(1.0),
    "vjp": lambda f: sg.vjp(f, 1.0)[1](1.0),
    "jvp": lambda f: sg.jvp(f, (1.0,), (1.0,)),
    "jacobian": lambda f: sg.jacobian(f)(1.0),
    "hessian": lambda f: sg.hessian(f)(1.0),
    "hvp": lambda f: sg.hvp(f, (1.0,), (1.0,)),
    "compile": lambda f: sg.compile(f, backend="python")(1.0),
}


@pytest.mark.parametrize("name", RECORDING)
def test_it_rests_while_a_graph_is_recorded(name: str) -> None:
    at_rest: list[int] = []

    def f(x: Any) -> Any:
        at_rest.append(gc.get_threshold()[0])
        return chain(x)

    RECORDING[name](f)
    assert set(at_rest) == {collector.RARELY}
    assert looks(lambda: sg.value_and_grad(chain)(1.0)) <= 1 < looks(lambda: chain(sg.Value(1.0)).backward())


@pytest.mark.parametrize("name", RECORDING)
def test_it_is_back_when_the_function_raises(name: str) -> None:
    def f(x: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RECORDING[name](f)
    assert gc.get_threshold() == ORDINARY


def test_nested_recordings_wake_it_once() -> None:
    seen: list[int] = []

    def f(x: Any) -> Any:
        y = sg.grad(sg.grad(chain))(x)
        with suppress(ZeroDivisionError):
            sg.grad(lambda z: z / 0 * (1 // 0))(x)
        seen.append(gc.get_threshold()[0])
        return x * y

    sg.hessian(f)(1.0)
    assert set(seen) == {collector.RARELY}


def test_what_the_function_sets_holds() -> None:
    def f(x: Any) -> Any:
        gc.set_threshold(*ORDINARY[:2], 13)
        return x

    sg.grad(f)(1.0)
    assert gc.get_threshold() == (*ORDINARY[:2], 13)
    gc.set_threshold(*ORDINARY)


@pytest.mark.parametrize("first", [0, 5_000_000])
def test_a_collector_that_is_at_rest_is_left_alone(first: int) -> None:
    gc.set_threshold(first, 11, 12)
    sg.grad(lambda x: x if gc.get_threshold()[0] == first else 1 / 0)(1.0)
    assert gc.get_threshold() == (first, 11, 12)
    gc.set_threshold(*ORDINARY)


def test_threads_that_relieve_each_other() -> None:
    inside, leave = threading.Event(), threading.Event()

    def waits(x: Any) -> Any:
        inside.set()
        assert leave.wait(20)
        return x

    thread = threading.Thread(target=lambda: sg.grad(waits)(1.0))
    thread.start()
    assert inside.wait(20)
    sg.grad(chain)(1.0)
    assert gc.get_threshold()[0] == collector.RARELY  # the other still records
    leave.set()
    thread.join()
    assert gc.get_threshold() == ORDINARY


def test_a_generator_that_is_left_in_the_midst() -> None:
    def steps() -> Iterator[float]:
        with collector.Resting():
            yield 1.0

    generator = steps()
    next(generator)
    assert gc.get_threshold()[0] == collector.RARELY
    del generator
    assert gc.get_threshold() == ORDINARY


def test_a_context_that_is_never_left() -> None:
    context = collector.Resting()
    context.__enter__()
    del context  # as when Ctrl-C comes between its entry and the block
    assert gc.get_threshold() == ORDINARY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_waits_for_no_thread_of_its_parent() -> None:
    inside, leave = threading.Event(), threading.Event()

    def waits(x: Any) -> Any:
        inside.set()
        assert leave.wait(20)
        return x

    thread = threading.Thread(target=lambda: sg.grad(waits)(1.0))
    thread.start()
    assert inside.wait(20)
    child = os.fork()
    if child == 0:
        os._exit(0 if gc.get_threshold() == ORDINARY and sg.grad(lambda x: x * x)(3.0) == 6.0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    leave.set()
    thread.join()
