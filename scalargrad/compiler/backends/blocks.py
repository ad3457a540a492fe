"""Programs with loops as machine code: segments, made as any program is, and the orders between them."""

from __future__ import annotations

import ctypes
import math
from array import array
from collections.abc import Sequence
from typing import Any

from ..ir.layout import Layout, laid_out, laid_out_block
from ..ir.loops import Block, Foreign
from ..ir.lowering import Functions, Lowered, lower
from ..ir.program import Program, without_selections
from . import llvm, native
from .executable import CodeRefusedError, Executable
from .llvm_orders import LLVMOrders
from .machine import AlignedMemory, Machine, note_failed, raise_failed
from .orders import Entry
from .x86.orders import X86Orders

LINE = 64  # bytes: what memory of segments is aligned to
FARTHEST = 2**31 - 2**24  # bytes, that an instruction reaches
WORTH_CODE, WORTH_LLVM = 10_000, 1_000_000  # instructions that a loop alone runs from which it pays to make code of it


def worth(instructions: int) -> bool:
    """Whether a loop that runs so many is made machine code, outside of compiled functions."""
    return instructions >= WORTH_CODE and (native.at_once() or (instructions >= WORTH_LLVM and native.available()))


class NotInLanesError(CodeRefusedError):
    """A program that is made for one point alone."""


def machine(program: Program, functions: Functions) -> Machine:
    """Machine code for one point of a program with loops."""
    segments = _Segments(functions)
    layout = laid_out(program, segments.direct)
    return _made(layout, segments, native.places_of((), 0, program.inputs))


def in_lanes(program: Program, masked: bool = False) -> bool:
    """Whether `kernel` can make it: where no function of Python is called but by rows that all samples come to."""
    for row in program.operations:
        if not row.several:
            if masked and row.own:
                return False
        elif isinstance(row, Foreign) or not all(in_lanes(each, masked or row.differs) for each in row.programs()):
            return False
    return True


def kernel(program: Program, functions: Functions, places: Sequence[tuple[bool, int]]) -> Machine:
    """Machine code for eight samples; `places` are those of the inputs, as `native.kernel` has them."""
    if not in_lanes(program):
        raise NotInLanesError("what calls Python for a sample alone")
    return _made(laid_out(program, lanes=True), _Segments(functions), places)


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
        self.machine = _made(layout, segments, ())
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


def _made(layout: Layout, segments: _Segments, places: Sequence[tuple[bool, int]]) -> Machine:
    wide, machines = layout.held is not None, list[Machine]()
    lanes = 8 if wide else 1
    size = lanes * layout.size
    if 8 * size > FARTHEST:
        kept = f"a loop keeps {8 * size / 2**30:.1f} GiB of numbers"
        text = f"{kept}, mostly for reverse mode: give scan a checkpoint, or while_loop a smaller max_steps"
        raise NotInLanesError(text) if wide else MemoryError(text)
    before = array("d", [x for x in reversed(layout.constants) for _ in range(lanes)]).tobytes()

    def room(size: int, preset: bytes = b"") -> int:
        """Where so many bytes begin, before the frame and all that stands there, behind some that are given."""
        nonlocal before
        at = (-len(before) - size) // LINE * LINE
        before = preset + bytes(-len(before) - at) + before
        return at

    def entry(segment: Program, lowered: Lowered, exact: Entry | None = None, own: Any = None) -> Entry:
        made = native.kernel(lowered, [True] * segment.inputs, 0) if wide else native.scalar(lowered, own)
        machines.append(made)
        return Entry(made.address, room(8 * made.scratch, made.preset), bool(segment.guards), exact)

    cells, entries = room(8 * layout.cells), list[Entry]()
    for k, segment in enumerate(layout.segments):
        if wide:
            entries.append(entry(segment, lower(segment, segments.functions)))
            continue
        fast, lowered = segments.lowered(segment)
        exact = None if fast is None else entry(segment, lower(segment, segments.functions))
        entries.append(entry(segment, lowered, exact, layout.own.get(k)))
    foreign = [_foreign(each) for each in layout.foreign]
    addresses = [ctypes.cast(each, ctypes.c_void_p).value or 0 for each in foreign]
    given = layout, cells, entries, addresses, places
    code: Any
    if native.at_once(wide):
        code = Executable(X86Orders(*given).finish())
        address = code.address
    else:
        code = llvm.compiled(LLVMOrders(*given).finish())
        address = code.get_function_address("run")
    callbacks = [*foreign, *(each for made in machines for each in made.callbacks)]
    return Machine(address, before, size + LINE, callbacks, [code, machines])


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
