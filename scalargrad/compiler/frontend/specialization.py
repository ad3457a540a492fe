"""One trace of a compiled function, made to run: the program and what the backends built of it.

A trace is the unit that is pickled, counted and compiled: everything here is about one program.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from struct import Struct
from time import perf_counter
from typing import Any

from ...engine.value import Value
from ...transforms.collector import Resting
from ...transforms.trees import Structure
from ..backends import native as native_backend
from ..backends import python as python_backend
from ..backends.blocks import machine
from ..backends.machine import AlignedMemory, Machine, raise_failed
from ..ir.lowering import Functions, elementary, lower
from ..ir.program import Program, without_selections
from .packing import Unpack, unpacker
from .rolling import Rolled, with_products

SLOW_TO_MAKE = 20_000  # instructions from which loops that were found are run as Python source, too
ELSEWHERE = 40  # instructions of a row that is none, about
Runner = Callable[[Sequence[float]], Sequence[float] | None]


class CodeGenerationError(RuntimeError):
    """A program could not be turned into code: a fault of the compiler, and not of the function that was traced."""


@contextmanager
def errors_of_ours(name: str) -> Iterator[None]:
    """Errors of turning a function's program into code, which nobody is to take for errors of the function."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise CodeGenerationError(f"{name}: making code failed ({type(error).__name__}: {error})") from error


class CallBuffers:
    """The memory of one call of machine code: inputs, outputs, of which whole vectors of eight are read, and its own.

    `call` runs the code on it, and returns None where its code is right, else what `otherwise(code)` does.
    """

    def __init__(
        self,
        program: Program,
        machine: Machine,
        right: tuple[int, ...],
        otherwise: Callable[[int], Any] = int,
        memory: AlignedMemory | None = None,
    ) -> None:
        self.x = array("d", bytes(8 * program.inputs))
        self.y = array("d", bytes(8 * -(-max(len(program.outputs), 1) // 8) * 8))
        self.views: list[Any] = []  # NumPy's, of inputs and outputs that are arrays
        self.memory = m = memory or AlignedMemory(machine.scratch, machine.preset)
        at = self.x.buffer_info()[0], self.y.buffer_info()[0], m.address
        self.call = native_backend.or_else(machine, *at, right, otherwise, (self.x, self.y, m))


class Native:
    """A program as machine code, called with sequences. Every call that is under way has its own memory.

    Where an output is nan, `exact` is asked, if it is given: see `without_selections`.
    """

    def __init__(self, program: Program, functions: Functions, exact: Runner | None = None) -> None:
        self.program = program
        has_blocks = program.has_blocks()
        self.machine = machine(program, functions) if has_blocks else native_backend.scalar(lower(program, functions))
        self.exact = exact
        self.right = (1, 3) if exact is None else (1,)
        self.idle: list[CallBuffers] = []
        self.write = Struct(f"{program.inputs}d").pack_into
        self.read = Struct(f"{len(program.outputs)}d").unpack_from

    @property
    def direct(self) -> dict[str, Any] | None:
        """What a caller needs to do what `__call__` does where the code is right; None where that is not all."""
        if self.machine.callbacks:
            return None
        return {"idle": self.idle, "buffers": self.buffers, "read": self.read}

    def buffers(self) -> CallBuffers:
        return CallBuffers(self.program, self.machine, self.right)

    def __call__(self, xs: Sequence[float]) -> Sequence[float] | None:
        try:
            buffers = self.idle.pop()
        except IndexError:
            buffers = self.buffers()
        self.write(buffers.x, 0, *xs)
        code = buffers.call()
        outputs = self.read(buffers.y)
        self.idle.append(buffers)
        if self.machine.callbacks:
            raise_failed()
        if code is None:
            return outputs
        return self.exact(xs) if code == 3 and self.exact is not None else None


def checked(fast: Runner, exact: Runner) -> Runner:
    """A program without selections as Python source, and the program itself where outputs of the first are nan."""

    def run(xs: Sequence[float]) -> Sequence[float] | None:
        found = fast(xs)
        if found is None:
            return None
        s = sum(found)  # nan if one of them is
        return found if s == s else exact(xs)

    return run


def later(make: Callable[[], Runner]) -> Runner:
    """A runner that is built when it is first called."""
    made = cache(make)
    return lambda xs: made()(xs)


class Specialization:
    """A program, what its result looks like, and the `Value`s from outside that it reads."""

    def __init__(
        self,
        program: Program | Rolled,
        result: Structure,
        captured: list[Value],
        name: str,
        functions: Functions,
        seconds: float,
        leaves: Sequence[float],
        first_captured: int = 0,
    ) -> None:
        self.rolled = program if isinstance(program, Rolled) else None
        self.straight = program if isinstance(program, Program) else None
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
        known = self.program if self.rolled is None else self.rolled.recorded
        counts = Counter(known.operations)
        self.has_blocks = any(row.several for row in counts)  # asked at every call
        self.work = 1 + sum(  # instructions a sample, about
            n * ((1 if elementary(row) else ELSEWHERE) + (row.work if row.several else 0)) for row, n in counts.items()
        )
        self.refused = False  # whether the system did not let its machine code run
        self.without: Program | None = None
        self.checked = False

    def __getstate__(self) -> dict[str, Any]:
        kept = ("point", "result", "captured", "first_captured", "name", "functions", "calls", "seconds")
        return {"program": self.program, **{name: self.__dict__[name] for name in kept}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.rolled, self.straight = None, state.pop("program")
        self.__dict__.update(state)
        self._prepare()

    @property
    def program(self) -> Program:
        """What was traced, in a straight line."""
        if self.straight is None:
            assert self.rolled is not None
            self.straight = self.rolled.straight()
        return self.straight

    @cached_property
    def unpack(self) -> Unpack:
        """What builds the result of flat outputs."""
        return unpacker(self.result)

    def small(self, instructions: int) -> bool:
        """Whether it has no more instructions, and none that is a loop."""
        return self.rolled is None and len(self.program) <= instructions and not self.has_blocks

    def fast(self) -> Program | None:
        """The program without selections, if that cannot go unnoticed."""
        if not self.checked:  # of programs with loops, each segment has its own: see `backends/blocks.py`
            self.without = None if self.has_blocks else without_selections(self.program)
            self.checked = True
        return self.without

    def runner(self, backend: str) -> Runner:
        """What runs this program on that backend; built when first asked for."""
        if backend not in self.runners:
            with self.lock, errors_of_ours(self.name), Resting():
                if backend not in self.runners:
                    start = perf_counter()
                    runner = self._made(backend)
                    self.seconds[backend] = perf_counter() - start
                    self.runners[backend] = runner
        return self.runners[backend]

    def _made(self, backend: str) -> Runner:
        def build(program: Program, exact: Runner | None = None) -> Runner:
            if backend == "native":
                return Native(program, self.functions, exact)
            made = python_backend.build(program, self.name, self.functions)
            return made if exact is None else checked(made, exact)

        if backend == "native" and self.has_blocks:  # whose segments are without selections where that shows
            return build(self.program)
        rolled = self.rolled
        if rolled is not None and (backend == "native" or len(rolled.recorded) >= SLOW_TO_MAKE):
            exact = later(lambda: build(rolled.loops))
            return exact if without_selections(rolled.recorded) is None else build(with_products(rolled.loops), exact)
        fast = self.fast()
        return build(self.program) if fast is None else build(fast, later(lambda: build(self.program)))

    def run(self, xs: Sequence[float], backend: str) -> Sequence[float] | None:
        """The outputs for these inputs; None where a guard does not hold."""
        if self.captured:
            xs = [*xs, *[v._data for v in self.captured]]
        found = self.runner(backend)(xs)
        if found is None and backend == "native" and self.has_blocks:
            found = self.runner("python")(xs)  # which raises what machine code cannot tell: which loop has failed
        if found is not None:
            self.calls += 1
        return found
