"""A compiled function over many samples: `map`, with or without a sum over the results.

Samples go through eight at a time, in chunks that threads share. Sums are taken in the order of `losses/summation.py`,
so that they depend neither on the number of threads, nor on the processor, nor on the backend. `backends/batch_loop.py`
has the loop of machine code.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import nan
from operator import itemgetter
from time import perf_counter
from typing import Any

from ...engine import modes
from ...engine.chain_rule import differentiating, made_before
from ...engine.value import Value
from ...losses.summation import Ranges, put, total
from ...transforms.collector import Resting
from ...transforms.trees import flatten
from ..backends import blocks as blocks_backend
from ..backends import native as native_backend
from ..backends.batch_loop import SLOT, SLOTS
from ..backends.executable import CodeRefusedError
from ..backends.machine import AlignedMemory, Machine, of_float, raise_failed
from ..frontend.dispatch import Dispatcher
from ..frontend.specialization import Specialization, errors_of_ours
from ..ir.lowering import lower
from ..ir.program import summands
from .again import Again
from .arguments import Batch, address, axes_of, joined, wide, wrapped
from .binned import AT_ONCE, BinnedSum, Bins
from .partial import PartialSum
from .results import collected, map_on_values, sample

UNKNOWN = "unknown"  # of `start`
# Of chunks, in instructions times samples: what is worth a thread, 50 us, and what Ctrl-C may wait for, 0.1 s.
LEAST_WORK, MOST_WORK = 1 << 21, 1 << 32
SMALLEST_CHUNK = 32  # samples; a power of two
WAYS = 4  # of calling `map` for which memory is kept ready
MOST_PAIRED = 4000  # instructions of a program that is made for pairs of samples, as that takes twice the time
UNEVEN = 1.15  # how many times its share of the samples a thread may get


def chunks(first: int, count: int, threads: int = 1, work: int = 1) -> list[tuple[int, int]]:
    """The bounds of the chunks in which samples are worked on, which are for the threads in turn: dyadic ranges, but at
    both ends; as large as they may be where threads get about the same, and each is worth one.

    `work` is the number of instructions a sample.
    """
    size = max(SMALLEST_CHUNK, 1 << (min(count, max(MOST_WORK // work, 1)) - 1).bit_length())
    while size // 2 >= SMALLEST_CHUNK and size // 2 * work >= LEAST_WORK and threads > 1:
        if -(-count // size) // -threads * -size <= UNEVEN * count / threads and count > size:
            break
        size //= 2
    return _cuts(first, count, size)


def _cuts(first: int, count: int, size: int) -> list[tuple[int, int]]:
    cuts = [first, *range(first - first % size + size, first + count, size), first + count]
    return list(pairwise(cuts))


class Answers:
    """Where the outputs go: an array for each, or sums over ranges of samples."""

    def __init__(self, batch: Batch, outputs: int, reduce: bool, mean: bool) -> None:
        self.divisor = float(batch.count) if mean else 1.0
        self.sums: list[float] | None = None  # over all samples, by the divisor
        self.columns = [] if reduce else [array("d", bytes(8 * batch.count)) for _ in range(outputs)]
        self.outputs, self.first, self.count = outputs, batch.first, batch.count
        self.ranges: Ranges = {}  # what Python has added
        self.parts: list[tuple[int, array[float], array[int]]] = []  # and machine code: first samples, rows, sizes

    def add(self, first: int, space: Workspace) -> None:
        """Take over the sums of a chunk's ranges, one behind the other."""
        held = space["held"]
        self.parts.append((first, space.sums[: held * wide(self.outputs)], space.sizes[:held]))

    def all_ranges(self) -> Ranges:
        """The sums over the largest dyadic ranges."""
        found = self.ranges
        for first, sums, sizes in self.parts:
            for k, size in enumerate(sizes):
                put(found, size, first, sums[k * wide(self.outputs) :][: self.outputs])
                first += size
        return found

    def finish(self) -> bool:
        """Add what machine code has added, and tell whether there is a nan in it."""
        parts = sorted(self.parts, key=itemgetter(0))
        given, sizes = joined((each[1] for each in parts), "d"), joined(each[2] for each in parts)
        sums, places, slots = array("d", bytes(8 * len(given))), array("q", sizes), array("q", bytes(8 * len(SLOTS)))
        for name, value in (
            ("start", self.first), ("stop", self.first + self.count), ("wide", 8 * wide(self.outputs)), ("reduce", 1),
            ("finish", 1), ("divisor", of_float(self.divisor)), ("sums", address(sums)), ("sizes", address(places)),
            ("given", address(given)), ("given_sizes", address(sizes)),
        ):  # fmt: skip
            slots[SLOT[name]] = value
        native_backend.driver()(address(slots))
        odd = slots[SLOT["nan"]] != 0
        row = sums[: self.outputs].tolist()
        # Which nan comes of two, the order of the operands in machine code decides.
        self.sums = [nan if y != y else y for y in row] if odd else row
        return odd


def _in_python(f: Dispatcher, batch: Batch, bounds: tuple[int, int], answers: Answers, reduce: bool) -> None:
    for i in range(*bounds):
        with sample(i):
            found, outputs = f.evaluated(batch.sample(i), batch.structure)
        _same_result(f, found, batch)
        if reduce:
            put(answers.ranges, 1, i, outputs)
        else:
            for column, y in zip(answers.columns, outputs, strict=True):
                column[i - batch.first] = y


def _same_result(f: Dispatcher, found: Specialization, batch: Batch) -> None:
    if found.result != f.specializations[batch.structure][0].result:
        raise TypeError(f"map: {f.name} returns results of different structures, by the branch it takes")


class Workspace:
    """The traces of a function as machine code for one way of mapping, and the memory in which one thread runs them.

    Its items are the slots of `batch_loop.py`.
    """

    def __init__(
        self, known: tuple[Specialization, ...], layout: tuple[tuple[bool, int], ...], reduce: bool, fast: bool
    ) -> None:
        self.known, self.layout, self.reduce, self.fast = known, layout, reduce, fast
        self.outputs = len(known[0].program.outputs)
        self.captured = sorted({v.first_captured: v.captured for v in known}.items())
        columns = sum(count for mapped, count in layout if mapped)
        numbers = sum(count for mapped, count in layout if not mapped)
        numbers += max((at + len(each) for at, each in self.captured), default=0)
        self.slots = array("q", bytes(8 * len(SLOTS)))
        self.address = address(self.slots)
        pitch = 64 * (wide(self.outputs) | 1) if reduce else 0
        flag = 64 * columns + 8 * numbers
        second = -(-(flag + 8) // 64) * 64
        places = (flag, second) if reduce and _pairs(known) else None
        self.x = AlignedMemory(second // 8 + 8 * columns)
        self.turns = AlignedMemory(3 * pitch // 8)
        self.answers = AlignedMemory(16 * self.outputs)
        self.sums, self.sizes = array("d"), array("q")
        self.codes, self.places = (array("q", bytes(8 * len(known))) for _ in range(2))
        self.memory: list[AlignedMemory] = []
        self.shared_address = self.x.address + 64 * columns
        if places is not None:
            machine, self["paired"] = _kernel(known[0], layout, reduce, fast, places)
            if self["paired"]:
                self["pair"], self["pair_memory"] = self._room(machine)
            else:
                self.codes[0], self.places[0] = self._room(machine)
        for name, value in (
            ("columns", 8 * columns), ("outputs", 8 * self.outputs), ("traces", 8 * len(known)), ("reduce", reduce),
            ("wide", 8 * wide(self.outputs)), ("pitch", pitch), ("x", self.x.address),
            ("flag", self.x.address + flag), ("second", self.x.address + second), ("codes", address(self.codes)),
            ("turns", self.turns.address), ("memories", address(self.places)),
            ("temp", self.answers.address), ("merged", self.answers.address + 64 * self.outputs),
        ):  # fmt: skip
            self[name] = value

    def __getitem__(self, name: str) -> int:
        return self.slots[SLOT[name]]

    def __setitem__(self, name: str, value: int) -> None:
        self.slots[SLOT[name]] = value

    def _room(self, machine: Machine) -> tuple[int, int]:
        """The addresses of a kernel and of its memory."""
        memory = AlignedMemory(machine.scratch, machine.preset)
        self.memory.append(memory)
        return machine.address, memory.address

    def prepare(self, longest: int, odd: bool) -> None:
        """Have room for the sums over a chunk, and the kernels that it takes; `odd` tells whether those of pairs do not
        suffice."""
        held = 2 * longest.bit_length() + 2 if self.reduce else 0
        if held > len(self.sizes):
            self.sums, self.sizes = array("d", bytes(8 * held * wide(self.outputs))), array("q", bytes(8 * held))
            self["sums"], self["sizes"] = address(self.sums), address(self.sizes)
        if not self.codes[0] and (odd or not self["paired"]):
            for k, v in enumerate(self.known):
                self.codes[k], self.places[k] = self._room(_kernel(v, self.layout, self.reduce, self.fast)[0])

    def share(self, numbers: array[float]) -> None:
        """Put the numbers that all samples share where kernels find them, those of captured `Value`s last."""
        ctypes.memmove(self.shared_address, address(numbers), 8 * len(numbers))
        for at, captured in self.captured:
            outside = array("d", [v._data for v in captured])
            ctypes.memmove(self.shared_address + 8 * (len(numbers) + at), address(outside), 8 * len(outside))


def _pairs(known: Sequence[Specialization]) -> bool:
    """Whether a kernel may take two samples a lane at once: code of ours, of one program that is not too long."""
    (v, *others) = known
    plain = not (others or v.has_blocks or v.program.guards)
    return plain and len(v.program) <= MOST_PAIRED and native_backend.at_once(batches=True)


def _kernel(
    v: Specialization,
    layout: tuple[tuple[bool, int], ...],
    reduce: bool,
    fast: bool,
    places: tuple[int, int] | None = None,
) -> tuple[Machine, bool]:
    """A trace's machine code for eight samples; for eight pairs, if there are places for them and it is short."""
    key = (layout, reduce, fast, places)
    with v.lock:
        if key not in v.batches:
            start = perf_counter()
            with errors_of_ours(v.name), Resting():
                native_backend.driver()  # which the first batch of a process waits for
                program = (v.fast() if fast else None) or v.program
                program = summands(program) if reduce else program
                mapped = [each for each, count in layout for _ in range(count)]
                if v.has_blocks:
                    inputs = native_backend.places_of(mapped, v.first_captured, program.inputs)
                    found = blocks_backend.kernel(program, v.functions, inputs)
                else:
                    low = lower(program, v.functions)
                    places = places if len(low.program) <= MOST_PAIRED else None
                    found = native_backend.kernel(low, mapped, v.first_captured, places)
                v.batches[key] = found, places is not None
            v.seconds["batch"] = v.seconds.get("batch", 0.0) + perf_counter() - start
        made: tuple[Machine, bool] = v.batches[key]
        return made


def _in_machine_code(
    f: Dispatcher, batch: Batch, every: Sequence[tuple[int, int]], answers: Answers, reduce: bool, fast: bool
) -> bool:
    """Run some chunks; whether an output that was stored is nan."""
    drive = native_backend.driver()
    bases = array("q", [wrapped(a - batch.first * s) for a, s in zip(batch.addresses, batch.strides, strict=True)])
    outs = array("q", [wrapped(address(c) - 8 * batch.first) for c in answers.columns])
    longest = max(stop - start for start, stop in every)

    def workspace(known: tuple[Specialization, ...], before: Workspace | None = None) -> Workspace:
        idle = f.idle.setdefault((known, batch.layout, reduce, fast), [])
        try:
            made: Workspace = idle.pop()
        except IndexError:
            made = Workspace(known, batch.layout, reduce, fast)
        made.share(batch.shared)
        made.prepare(longest, any((start | stop) % 16 for start, stop in every))
        for name, buffer in (("bases", bases), ("strides", batch.strides), ("outs", outs)):
            made[name] = address(buffer)
        made["row"] = made["nan"] = made["held"] = made["finish"] = 0
        if before is not None:  # what was added so far
            for name in ("row", "nan", "held"):
                made[name] = before[name]
            for name, size in (("turns", 2 * made["pitch"]), ("sums", made["held"] * made["wide"])):
                ctypes.memmove(made[name], before[name], size)
            made.sizes[: made["held"]] = before.sizes[: made["held"]]
        return made

    space = workspace(tuple(f.specializations[batch.structure]))
    for start, stop in every:
        space["start"], space["stop"], space["held"] = start, stop, 0
        while True:
            drive(space.address)
            if (stopped := space["stopped"]) < 0:
                break
            i = stopped + space["row"] + space["rows"] * ((space["pending"] & -space["pending"]).bit_length() - 1)
            with f.lock:
                if set(f.specializations[batch.structure]) <= set(space.known):
                    if any(v.program.fails() for v in space.known):  # which a call with this sample alone tells
                        with sample(i):
                            found, _ = f.evaluated(batch.sample(i), batch.structure)
                        if found in space.known:
                            raise blocks_backend.NotInLanesError("what a sample alone does not fail in")
                    else:
                        found = f.traced(batch.sample(i), batch.structure)
                    _same_result(f, found, batch)
                more = tuple(v for v in f.specializations[batch.structure] if v not in space.known)
            space = workspace(space.known + more, space)
            space["start"], space["stop"] = stopped, stop
        for v in space.known:
            v.calls += stop - start
        if reduce:
            answers.add(start, space)
    raise_failed()
    f.idle[space.known, batch.layout, reduce, fast].append(space)
    return bool(space["nan"])


def _on_threads(
    f: Dispatcher, batch: Batch, every: Sequence[tuple[int, int]], answers: Answers, reduce: bool, threads: int
) -> bool:
    """Run all chunks as machine code; False where the system refuses to run it, and `f` may do without."""
    shares = [every[k::threads] for k in range(min(threads, len(every)))]

    def run(fast: bool) -> bool:
        if len(shares) == 1:
            return _in_machine_code(f, batch, every, answers, reduce, fast)
        with ThreadPoolExecutor(len(shares) - 1) as pool:  # and this thread
            others = [pool.submit(_in_machine_code, f, batch, part, answers, reduce, fast) for part in shares[1:]]
            odd = _in_machine_code(f, batch, shares[0], answers, reduce, fast)
            return any([odd, *[other.result() for other in others]])

    try:
        # Asked only behind the run, which may have come upon further branches, that were traced in it.
        odd = run(True) or (reduce and answers.finish())
        if odd and any(v.fast() is not None for v in f.specializations[batch.structure]):
            answers.parts.clear()
            run(False)
            if reduce:
                answers.finish()
    except CodeRefusedError as error:
        if f.backend == "native" and not isinstance(error, blocks_backend.NotInLanesError):
            raise
        answers.parts.clear()
        answers.sums = None
        return False
    return True


def answered(
    f: Dispatcher, batch: Batch, reduce: bool, threads: int, mean: bool = False
) -> tuple[Specialization, Answers] | None:
    """Run on all samples, of which there is one at least: a trace, and where the results are.

    None where it reads a `Value` that is being differentiated by, whose gradient would be lost.
    """
    if batch.structure not in f.specializations:
        f.traced(batch.sample(batch.first), batch.structure)
    first = f.specializations[batch.structure][0]
    outputs = len(first.program.outputs)
    every = chunks(batch.first, batch.count, threads, max(v.work for v in f.specializations[batch.structure]))
    answers = Answers(batch, outputs, reduce, mean)
    if not (outputs and f.native_for(batch.count) and _on_threads(f, batch, every, answers, reduce, threads)):
        for bounds in every if outputs else ():
            _in_python(f, batch, bounds, answers, reduce)
    if (begun := differentiating.begun) and any(
        not made_before(x, begun[0]) for each in f.specializations[batch.structure] for x in each.captured
    ):
        return None
    return first, answers


def part_of(f: Dispatcher, batch: Batch, reduce: str, threads: int, numbered: bool) -> PartialSum | BinnedSum | None:
    """The sum over a batch, by the samples' numbers or without; None as from `answered`."""
    if numbered:
        done = answered(f, batch, True, threads)
        samples = [(batch.first, batch.first + batch.count)]
        return done and PartialSum(f.name, reduce, done[0].result, samples, done[1].all_ranges())
    part: BinnedSum | None = None
    for first, stop in _cuts(batch.first, batch.count, AT_ONCE * threads):
        done = answered(f, batch.piece(first, stop), False, threads)
        if done is None:
            return None
        if part is None:
            part = BinnedSum(f.name, reduce, done[0].result, batch.count, [Bins() for _ in done[1].columns])
        part.add(done[1].columns)
    return part


def nothing(f: Dispatcher, reduce: str, start: Any) -> PartialSum | BinnedSum:
    """The sum over no samples."""
    if start is None:
        raise ValueError("map: an empty batch")
    return PartialSum(f.name, reduce, None, (), {}) if start != UNKNOWN else BinnedSum(f.name, reduce, None, 0, [])


def _prepared(f: Dispatcher, batch: Batch, arguments: Sequence[Any], reduce: str, threads: int) -> Again | None:
    """What answers further calls like this one, if they are such as it may answer."""
    known = f.specializations[batch.structure]
    idle = f.idle.get((tuple(known), batch.layout, True, True))
    if len(known) > 1 or known[0].captured or f.static_positions or idle is None:
        return None
    if len(chunks(0, batch.count, threads, known[0].work)) > 1:
        return None
    try:
        space = idle.pop()
    except IndexError:  # another thread has it
        return None
    again = Again(f, batch, known[0], reduce, space)
    if again.takes(f, batch, arguments):
        return again
    idle.append(space)
    return None


def _manner(arguments: Sequence[Any], in_axes: Any, reduce: Any, threads: int) -> Any:
    """What is the same in calls of one kind; None if they may not be alike."""
    if reduce is None or type(in_axes) not in (int, tuple) or type(threads) is not int:
        return None
    axes = in_axes if type(in_axes) is tuple else (in_axes,)
    return reduce, threads, in_axes, *map(type, axes), *[getattr(x, "shape", None) for x in arguments]


def map_again(f: Dispatcher, arguments: Sequence[Any], in_axes: Any, reduce: Any, threads: int) -> list[Any]:
    """A list with what `map_batch` returns, if that is prepared; else an empty one."""
    again = None if modes.active else f.again.get(_manner(arguments, in_axes, reduce, threads))
    found = None if again is None else again(arguments)
    if found is None:
        return []
    f.manner = None
    return found  # type: ignore[no-any-return]


def map_batch(
    f: Dispatcher, arguments: Sequence[Any], in_axes: Any, reduce: Any, threads: int, start: int | str | None
) -> Any:
    """`CompiledFunction.map`: see there."""
    manner = _manner(arguments, in_axes, reduce, threads) if start is None and not modes.active else None
    try:
        batch = Batch(f, arguments, in_axes, start if isinstance(start, int) else 0)
    except TypeError:
        if not any(isinstance(x, Value) for x in flatten(arguments, static=True)[0]):
            raise
        return map_on_values(f, arguments, axes_of(in_axes, len(arguments)), reduce, start)
    if modes.active and (modes.current().anomaly or modes.tracer() is not None):
        return map_on_values(f, arguments, axes_of(in_axes, len(arguments)), reduce, start)
    if batch.count == 0:
        return nothing(f, reduce, start)
    if start is not None:
        part = part_of(f, batch, reduce, threads, start != UNKNOWN)
        if part is not None:
            return part
        return map_on_values(f, arguments, axes_of(in_axes, len(arguments)), reduce, start)
    done = answered(f, batch, reduce is not None, threads, reduce == "mean")
    if done is None:
        return map_on_values(f, arguments, axes_of(in_axes, len(arguments)), reduce, start)
    first, answers = done
    if manner is not None:
        if manner == f.manner and f.again.get(manner, True):  # the next is likely to be like both
            if len(f.again) >= WAYS:
                f.again.clear()
            f.again[manner] = _prepared(f, batch, arguments, reduce, threads)
        f.manner = manner
    if reduce is None:
        return collected(first.result, answers.columns, batch.count, batch.kind)
    if answers.sums is None:
        return first.unpack([y / answers.divisor for y in total(answers.ranges)] if answers.ranges else [])
    return first.unpack(answers.sums)
