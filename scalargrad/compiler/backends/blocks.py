"""Programs with loops as machine code: segments, made as any program is, and the orders between them.

The orders are written for x86-64 alone, on which segments may come from either way to make machine code.
"""

from __future__ import annotations

import ctypes
import math
from array import array
from collections.abc import Sequence
from typing import Any

from ..ir.layout import Layout, laid_out, laid_out_block
from ..ir.loops import Block, Call, Foreign, Loop
from ..ir.lowering import Functions, Lowered, lower
from ..ir.program import Program, without_selections
from . import native
from .executable import CodeRefusedError, Executable, features
from .machine import AlignedMemory, Machine, note_failed, raise_failed
from .x86.orders import Entry, LaneOrders, Orders

LINE = 64  # bytes: what memory of segments is aligned to
FARTHEST = 2**31 - 2**24  # bytes, that an instruction reaches


def available() -> bool:
    """Whether such machine code can be made here."""
    return "avx" in features()


class NotInLanesError(CodeRefusedError):
    """A program that is made for one point alone."""


class _Memory:
    """What stands before the frame: memories of segments, cells and constants, from low to high addresses."""

    def __init__(self) -> None:
        self.image = bytearray()

    def room(self, size: int, before: bytes = b"") -> int:
        """Where so many bytes begin, behind some that are given, on a boundary."""
        start = -(-(len(self.image) + len(before)) // LINE) * LINE
        self.image += bytes(start - len(before) - len(self.image)) + before + bytes(size)
        return start


def machine(program: Program, functions: Functions) -> Machine:
    """Machine code for one point of a program with loops."""
    segments = _Segments(functions)
    return _made(laid_out(program, segments.direct), program.inputs, segments)


def in_lanes(program: Program) -> bool:
    """Whether `kernel` can make it: where there is no choice, and no loop whose steps differ from sample to sample."""
    blocks: list[Any] = [row for row in program.operations if row.several]
    return all(
        not isinstance(each, Foreign)
        and not (isinstance(each, Loop) and (each.condition is not None or each.counted))
        and not (isinstance(each, Call) and each.chooses)
        and all(map(in_lanes, each.programs()))
        for each in blocks
    )


def kernel(program: Program, functions: Functions, places: Sequence[tuple[bool, int]]) -> Machine:
    """Machine code for eight samples; `places` are those of the inputs, as `native.kernel` has them."""
    if not in_lanes(program):
        raise NotInLanesError("a loop whose steps differ from sample to sample")
    layout = laid_out(program)
    _bounded(8 * layout.size)
    memory, machines = _Memory(), list[Machine]()

    def entry(segment: Program) -> Entry:
        made = native.kernel(lower(segment, functions), [True] * segment.inputs, 0)
        machines.append(made)
        return Entry(made.address, memory.room(8 * made.scratch, made.preset), bool(segment.guards))

    entries = [entry(segment) for segment in layout.segments]
    cells = memory.room(8 * (layout.cells + 1))
    constants = array("d", [x for x in reversed(layout.constants) for _ in range(8)]).tobytes()
    end = memory.room(0, constants)
    for each in entries:
        each.memory -= end
    code = Executable(LaneOrders(layout, cells - end, entries, places).finish())
    callbacks = [each for made in machines for each in made.callbacks]
    return Machine(code.address, bytes(memory.image), 8 * layout.size + LINE, callbacks, [code, machines])


def _bounded(floats: int) -> None:
    if 8 * floats > FARTHEST:
        raise MemoryError(
            f"a loop keeps {8 * floats / 2**30:.1f} GiB of numbers for reverse mode: give scan a checkpoint"
        )


class Runner:
    """A loop or a call alone, as a function of its operands: floats, and sequences of them for blocks. None where it
    has failed."""

    def __init__(self, block: Block) -> None:
        self.spans = block.spans()
        segments = _Segments("library")
        layout = laid_out_block(block, segments.direct)
        ((_, start, self.size),) = layout.outputs or [(0, 0, 0)]
        layout.outputs = []  # which are read from the frame, as the inputs are written to it
        self.inputs, self.outputs = 8 * layout.inputs, 8 * start
        self.machine = _made(layout, 0, segments)
        self.function = ctypes.CFUNCTYPE(ctypes.c_int8, *[ctypes.c_void_p] * 3)(self.machine.address)

    def __call__(self, operands: Sequence[Any]) -> array[float] | None:
        memory = AlignedMemory(self.machine.scratch, self.machine.preset)
        numbers, at = array("d"), memory.address + self.inputs
        start = at
        for given, (count, first) in zip(operands, self.spans, strict=True):
            if first is None:
                numbers.append(given)
            else:
                ctypes.memmove(start, numbers.buffer_info()[0], 8 * len(numbers))
                ctypes.memmove(at, given.buffer_info()[0] + 8 * first, 8 * count)
                numbers, start = array("d"), at + 8 * count
            at += 8 * count
        ctypes.memmove(start, numbers.buffer_info()[0], 8 * len(numbers))
        right = self.function(0, 0, memory.address)
        if self.machine.callbacks:
            raise_failed()
        return array("d", ctypes.string_at(memory.address + self.outputs, 8 * self.size)) if right else None


class _Segments:
    """How segments are made for one point: without selections where that shows, and then, if nan, exactly."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.known: dict[int, tuple[Program | None, Lowered]] = {}

    def lowered(self, program: Program) -> tuple[Program | None, Lowered]:
        """The program without selections, if there is one, and what is to be made of that one or of the program."""
        if id(program) not in self.known:
            fast = without_selections(program)
            self.known[id(program)] = fast, lower(fast or program, self.functions)
        return self.known[id(program)]

    def direct(self, program: Program) -> Lowered | None:
        """What is made, if it can read and write where it likes: it is not asked again."""
        fast, made = self.lowered(program)
        return made if fast is None and native.takes_places(made) else None


def _made(layout: Layout, inputs: int, segments: _Segments) -> Machine:
    _bounded(layout.size)
    memory, machines = _Memory(), list[Machine]()

    def entry(segment: Program, lowered: Lowered, exact: Entry | None = None, places: Any = None) -> Entry:
        made = native.scalar(lowered, places)
        machines.append(made)
        return Entry(made.address, memory.room(8 * made.scratch, made.preset), bool(segment.guards), exact)

    entries = []
    for k, segment in enumerate(layout.segments):
        fast, lowered = segments.lowered(segment)
        exact = None if fast is None else entry(segment, lower(segment, segments.functions))
        entries.append(entry(segment, lowered, exact, layout.own.get(k)))
    cells = memory.room(8 * layout.cells)
    constants = array("d", reversed(layout.constants)).tobytes()
    end = memory.room(0, constants)
    for each in entries:
        for one in (each, each.exact):
            if one is not None:
                one.memory -= end
    foreign = [_foreign(each) for each in layout.foreign]
    addresses = [ctypes.cast(each, ctypes.c_void_p).value or 0 for each in foreign]
    orders = Orders(layout, cells - end, entries, addresses)
    orders.inputs = inputs
    code = Executable(orders.finish())
    callbacks = [*foreign, *(each for made in machines for each in made.callbacks)]
    return Machine(code.address, bytes(memory.image), layout.size + LINE, callbacks, [code, machines])


def _foreign(block: Foreign) -> Any:
    """A function of Python, as a C function of the places of its operands and its results."""

    def call(x: int, y: int) -> None:
        given = (ctypes.c_double * block.inputs).from_address(x)
        results = (ctypes.c_double * block.size).from_address(y)
        try:
            results[:] = list(block.compute(*given))
        except BaseException as error:  # machine code cannot pass it on
            note_failed(error)
            results[:] = [math.nan] * block.size

    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(call)
