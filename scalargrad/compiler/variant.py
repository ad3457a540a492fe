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
from typing import TYPE_CHECKING, Any

from ..trees import Structure
from ..value import Value
from . import python_backend
from .packing import unpacker
from .program import Program, without_selections

if TYPE_CHECKING:
    from . import native_backend
    from .lowering import Functions

Runner = Callable[[Sequence[float]], list[float] | None]
HOT = 300  # calls after which machine code pays
SMALL = 40  # instructions up to which Python source is called faster, because it is called with less ado


class Native:
    """A program as machine code, called with lists. Every thread has its own memory.

    Where an output is nan, `exact` is asked, if it is given: see `without_selections`.
    """

    def __init__(self, program: Program, functions: Functions, exact: Runner | None = None) -> None:
        from . import native_backend
        from .lowering import lower

        self.machine = native_backend.scalar(lower(program, functions))
        self.function = ctypes.CFUNCTYPE(ctypes.c_int8, *[ctypes.c_void_p] * 3)(self.machine.address)
        self.outputs = len(program.outputs)
        self.exact = exact
        self.local = threading.local()

    def memory(self) -> Memory:
        return Memory(self.outputs, self.machine)

    def __call__(self, xs: Sequence[float]) -> list[float] | None:
        from . import native_backend

        x = xs if type(xs) is array else array("d", xs)
        memory: Memory | None = getattr(self.local, "memory", None)
        if memory is None:
            memory = self.local.memory = self.memory()
        callbacks = self.machine.callbacks
        if callbacks:
            self.local.memory = None  # an operation that is written in Python may call this program again
        code = self.function(x.buffer_info()[0], memory.y_address, memory.m_address)
        if callbacks:
            self.local.memory = memory
            native_backend.raise_failed()
        if code == 3 and self.exact is not None:
            return self.exact(xs)
        return memory.y.tolist()[: self.outputs] if code else None


class Memory:
    """What one thread needs to run machine code: outputs, of which it reads whole vectors of eight, and its memory."""

    def __init__(self, outputs: int, machine: native_backend.Machine) -> None:
        from . import native_backend

        self.y = array("d", bytes(8 * -(-max(outputs, 1) // 8) * 8))
        self.y_address = self.y.buffer_info()[0]
        self.m = native_backend.Memory(machine.scratch, machine.preset)
        self.m_address = self.m.address


class Checked:
    """A program without selections as Python source, and the program itself where outputs of the first are nan."""

    def __init__(self, fast: Runner, exact: Runner) -> None:
        self.fast = fast
        self.exact = exact

    def __call__(self, xs: Sequence[float]) -> list[float] | None:
        found = self.fast(xs)
        if found is None:
            return None
        s = sum(found)  # nan if one of them is
        return found if s == s else self.exact(xs)


class Later:
    """A runner that is built when it is first called."""

    def __init__(self, make: Callable[[], Runner]) -> None:
        self.make = make
        self.made: Runner | None = None

    def __call__(self, xs: Sequence[float]) -> list[float] | None:
        if self.made is None:
            self.made = self.make()
        return self.made(xs)


class Variant:
    """A program, what its result looks like, and the `Value`s from outside that it reads."""

    def __init__(
        self,
        program: Program,
        result: Structure,
        captured: list[Value],
        name: str,
        functions: Functions,
        seconds: float,
        leaves: Sequence[float],
        first_captured: int = 0,
    ) -> None:
        self.program = program
        self.point = array("d", [*leaves, *[v._data for v in captured]])  # where it was traced, for drawings
        self.result = result
        self.captured = captured
        self.first_captured = first_captured  # where they stand among those of all traces of a function
        self.name = name
        self.functions: Functions = functions
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
        kept = ("program", "point", "result", "captured", "first_captured", "name", "functions", "calls", "seconds")
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
        start = perf_counter()
        fast = self.fast()
        runner: Runner
        if backend == "native":
            exact = None if fast is None else Later(lambda: Native(self.program, self.functions))
            runner = Native(fast or self.program, self.functions, exact)
        else:
            runner = python_backend.build(fast or self.program, self.name, self.functions)
            if fast is not None:
                exact = Later(lambda: python_backend.build(self.program, self.name, self.functions))
                runner = Checked(runner, exact)
        self.seconds[backend] = perf_counter() - start
        return runner

    def run(self, xs: Sequence[float], backend: str) -> list[float] | None:
        """The outputs for these inputs; None where a guard does not hold."""
        if self.captured:
            xs = [*xs, *[v._data for v in self.captured]]
        found = self.runner(backend)(xs)
        if found is not None:
            self.calls += 1
        return found
