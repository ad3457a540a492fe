"""One trace of a compiled function, made to run: the program and what the backends built of it.

It stands apart from `function.py`, which chooses among traces, because a trace is the unit that is pickled, counted and
compiled: everything here is about one program, and nothing about structures of arguments.
"""

from __future__ import annotations

import ctypes
import threading
from array import array
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from ..trees import Structure
from ..value import Value
from . import python_backend
from .packing import unpacker
from .program import Program, without_selections

Runner = Callable[[Sequence[float]], list[float] | None]
HOT = 300  # calls after which machine code pays


class Native:
    """A program as machine code, called with lists. Every thread has its own memory."""

    def __init__(self, program: Program) -> None:
        from . import native_backend
        from .lowering import lower

        lowered = lower(program)
        assembly, self.scratch = native_backend.scalar_module(lowered)
        self.machine = native_backend.Machine(assembly, len(lowered.program))
        self.function = ctypes.CFUNCTYPE(ctypes.c_int8, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
            self.machine.address("run")
        )
        self.outputs = len(program.outputs)
        self.local = threading.local()

    def memory(self) -> tuple[array[float], int, int]:
        """Outputs, their address, and that of scratch memory on a boundary of 64 bytes; this thread's own."""
        found: tuple[array[float], int, int] | None = getattr(self.local, "memory", None)
        if found is None:
            y = array("d", bytes(8 * max(self.outputs, 1)))
            self.local.scratch = scratch = array("d", bytes(8 * (self.scratch + 8)))
            found = self.local.memory = (y, y.buffer_info()[0], -(-scratch.buffer_info()[0] // 64) * 64)
        return found

    def __call__(self, xs: Sequence[float]) -> list[float] | None:
        x = xs if type(xs) is array else array("d", xs)
        y, y_address, scratch = self.memory()
        return y.tolist()[: self.outputs] if self.function(x.buffer_info()[0], y_address, scratch) else None


class Fallback:
    """A program without selections, asked first, and the program itself where the first one's outputs show nan."""

    def __init__(self, fast: Runner, exact: Callable[[], Runner]) -> None:
        self.fast = fast
        self.make_exact = exact
        self.exact: Runner | None = None
        self.asked = 0

    def __call__(self, xs: Sequence[float]) -> list[float] | None:
        found = self.fast(xs)
        if found is None:
            return None
        s = sum(found)
        if s == s:
            return found
        if self.exact is None:
            self.exact = self.make_exact()
        self.asked += 1
        return self.exact(xs)


class Variant:
    """A program, what its result looks like, and the `Value`s from outside that it reads."""

    def __init__(self, program: Program, result: Structure, captured: list[Value], name: str, seconds: float) -> None:
        self.program = program
        self.result = result
        self.captured = captured
        self.name = name
        self.calls = 0
        self.seconds: dict[str, float] = {"trace": seconds}
        self._prepare()

    def _prepare(self) -> None:
        self.lock = threading.Lock()
        self.runners: dict[str, Runner] = {}
        self.batches: dict[Any, Any] = {}  # kernels, by what is mapped and whether they add
        self.unpack = unpacker(self.result)
        self.without: Program | None = None
        self.checked = False

    def __getstate__(self) -> dict[str, Any]:
        kept = ("program", "result", "captured", "name", "calls", "seconds")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def fast(self) -> Program | None:
        """The program without selections, if that cannot go unnoticed."""
        if not self.checked:
            self.without = without_selections(self.program)
            self.checked = True
        return self.without

    def runner(self, backend: str) -> Runner:
        """What runs this program on that backend; built when first asked for."""
        found = self.runners.get(backend)
        if found is None:
            with self.lock:
                found = self.runners.get(backend)
                if found is None:
                    found = self.runners[backend] = self._build(backend)
        return found

    def _build(self, backend: str) -> Runner:
        def make(program: Program) -> Runner:
            return Native(program) if backend == "native" else python_backend.build(program, self.name)

        start = perf_counter()
        fast = self.fast()
        runner = make(self.program) if fast is None else Fallback(make(fast), lambda: make(self.program))
        self.seconds[backend] = perf_counter() - start
        return runner

    def run(self, xs: Sequence[float], backend: str) -> list[float] | None:
        """The outputs for these inputs; None where a guard does not hold."""
        self.calls += 1
        if self.captured:
            xs = [*xs, *[v.data for v in self.captured]]
        return self.runner(backend)(xs)
