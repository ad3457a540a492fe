"""A compiled function over many samples: `map`, with or without a sum over the results.

Samples go through eight at a time, in chunks that threads share. Sums are taken in the order of `losses/summation.py`,
so that they depend neither on the number of threads, nor on the processor, nor on the backend. `backends/batch_loop.py`
has the loop of machine code.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import lru_cache
from itertools import chain, pairwise, product
from math import nan
from operator import countOf, index, itemgetter
from time import perf_counter
from typing import Any, NamedTuple

from ...engine import modes
from ...engine.chain_rule import differentiating, made_before
from ...engine.primitive import EXACT_INTEGERS, as_float
from ...engine.value import Value
from ...losses.summation import Ranges, put, total
from ...transforms.collector import Resting
from ...transforms.trees import LEAF, Structure, container, flatten
from ..backends import blocks as blocks_backend
from ..backends import native as native_backend
from ..backends.batch_loop import SLOT, SLOTS
from ..backends.executable import CodeRefusedError
from ..backends.machine import AlignedMemory, Machine, array_address, of_float, raise_failed
from ..frontend.dispatch import Dispatcher
from ..frontend.packing import Pack, as_floats, is_array, packer
from ..frontend.specialization import Specialization, errors_of_ours
from ..ir.lowering import lower
from ..ir.program import summands
from .again import Again
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


class Part(NamedTuple):
    """An argument, or a part of one: a structure for one sample, with a column or a shared number for each leaf."""

    structure: Structure
    leaves: array[Any]  # numbers; or, for each, the address of the first sample's
    strides: array[int]  # and how many bytes there are to the next sample's
    samples: int | None  # None for what all samples share
    kind: str  # "list", "array", "numpy" or ""
    keep: Sequence[Any]  # what addresses live as long as


_NOTHING: array[int] = array("q")


class _Known(tuple[Any, ...]):
    """A structure that is looked up often: its hash is found once."""

    once: int

    def __hash__(self) -> int:
        return self.once

    def __reduce__(self) -> tuple[Any, ...]:  # another process has other hashes
        return tuple, (tuple(self),)


def _address(buffer: array[Any]) -> int:
    return buffer.buffer_info()[0]


def wide(outputs: int) -> int:
    """So many outputs and what fills a vector of eight."""
    return -(-outputs // 8) * 8


def _wrapped(address: int) -> int:
    """An address as a signed number, modulo 2^64: with what is added to it in machine code, it is one that there is."""
    return (address + 2**63) % 2**64 - 2**63


def _shared(x: Any, what: str, known: dict[str, tuple[Pack, Structure]]) -> Part:
    """An argument that all samples have; `known` is how it was flattened the last time."""
    if type(x) is array and x.typecode == "d":
        return Part(_flat_list(len(x)), x, _NOTHING, None, "", ())
    kind: Any = type(x)
    of = container(kind)
    if of is not None and is_array(of) and kind is of.kind and x.ndim and x.dtype.char == "d" and x.dtype.isnative:
        return Part((kind, x.shape, x.size), array("d", x.tobytes()), _NOTHING, None, "", ())
    if isinstance(x, array) or (hasattr(x, "tolist") and not hasattr(x, "__array_interface__")):
        x = x.tolist()
    if what in known:
        pack, structure = known[what]
        packed = pack(x)
        if packed is not None:
            return Part(structure, packed, _NOTHING, None, "", ())
    leaves, structure = flatten(x, what, static=True)
    known[what] = (packer(structure), structure)
    return Part(structure, array("d", [as_float(each, what) for each in leaves]), _NOTHING, None, "", ())


@lru_cache(maxsize=256)
def _of_shape(kind: type, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Structure, tuple[int, ...]]:
    """One sample of an array: an array, and how many bytes behind the first each of its numbers is."""
    steps = [[k * stride for k in range(n)] for n, stride in zip(shape, strides, strict=True)]
    offsets = tuple([sum(each) for each in product(*steps)])
    return (kind, shape, len(offsets)) if shape else LEAF, offsets


def _numpy_part(x: Any, axis: int, what: str) -> Part:
    import numpy

    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{what}: in_axes {axis} is not an axis of an array of shape {x.shape}")
    if isinstance(x, numpy.ma.MaskedArray):
        raise TypeError(f"{what}: a masked array, whose mask would be lost; fill it, or leave the masked samples out")
    if x.dtype.kind not in "fiub" or x.dtype.itemsize > 8:
        raise TypeError(f"{what}: dtype {x.dtype} does not convert to float64 without loss; convert it with astype")
    x = numpy.moveaxis(x, axis, 0) if axis else x
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        for place in numpy.argwhere((x > EXACT_INTEGERS) | (x < -EXACT_INTEGERS)).tolist():
            as_float(x[tuple(place)], f"{what}{place}")
    x = x if x.dtype == numpy.float64 else x.astype(numpy.float64)
    structure, offsets = _of_shape(numpy.ndarray, x.shape[1:], x.strides[1:])
    start = array_address(x)
    strides = array("q", x.strides[:1]) * len(offsets)
    return Part(structure, array("q", [start + o for o in offsets]), strides, len(x), "numpy", (x,))


@lru_cache(maxsize=256)
def _flat_list(width: int) -> Structure:
    return (list, None, (LEAF,) * width)


def _rows(values: array[float], structure: Structure, width: int, count: int, kind: str) -> Part:
    start = _address(values)
    addresses = array("q", range(start, start + 8 * width, 8))
    return Part(structure, addresses, array("q", [8 * width]) * width, count, kind, (values,))


def _list_part(samples: list[Any], what: str) -> Part:
    """A list with one sample an entry."""
    if not samples:
        return _rows(array("d"), LEAF, 1, 0, "list")
    first = samples[0]
    if isinstance(first, array) or (hasattr(first, "__array_interface__") and first.ndim):
        raise TypeError(
            f"{what}: a list of arrays may be samples or columns: numpy.stack makes an array of samples; a tuple of "
            "arrays is one of columns, each with one entry a sample"
        )
    try:
        if isinstance(first, float | int):
            return _rows(as_floats(samples), LEAF, 1, len(samples), "list")
        if type(first) is list and set(map(type, first)) == {float}:
            width = len(first)
            alike = all(type(each) is list and len(each) == width for each in samples)
            if alike and countOf(map(type, chain.from_iterable(samples)), float) == width * len(samples):
                values = array("d", chain.from_iterable(samples))
                return _rows(values, _flat_list(width), width, len(samples), "list")
    except (TypeError, ValueError, OverflowError):
        pass  # what is no number is found below, with its place
    _, structure = flatten(first, f"{what}[0]")
    values = array("d")
    for k, each in enumerate(samples):
        found, other = flatten(each, f"{what}[{k}]")
        if other != structure:
            raise ValueError(f"{what}: sample {k} has another structure than sample 0")
        values.extend([as_float(x, f"{what}[{k}]") for x in found])
    return _rows(values, structure, len(values) // len(samples), len(samples), "list")


def _mapped(x: Any, axis: int, what: str) -> Part:
    """An argument with one sample an entry: an array, a list, or a tuple or dict of such."""
    if isinstance(x, tuple | dict):
        parts = [
            _mapped(each, axis, f"{what}[{key!r}]")
            for key, each in (x.items() if isinstance(x, dict) else enumerate(x))
        ]
        counts = {part.samples for part in parts}
        if len(counts) > 1:
            raise ValueError(f"{what}: batch lengths differ: {sorted(c for c in counts if c is not None)}")
        children = tuple(part.structure for part in parts)
        structure = (dict, tuple(x), children) if isinstance(x, dict) else (type(x), None, children)
        return Part(
            structure,
            _joined(part.leaves for part in parts),
            _joined(part.strides for part in parts),
            parts[0].samples if parts else None,
            parts[0].kind if parts else "",
            [each for part in parts for each in part.keep],
        )
    if hasattr(x, "__array_interface__"):
        return _numpy_part(x, axis, what)
    if axis not in (0, -1) or (axis == -1 and isinstance(x, list)):
        raise ValueError(f"{what}: in_axes {axis} needs a NumPy array; a list is mapped along axis 0")
    if isinstance(x, list):
        return _list_part(x, what)
    numbers: Any = None if isinstance(x, bytes | bytearray) else x
    try:
        view = memoryview(numbers)
    except TypeError:
        raise TypeError(
            f"{what}: expected a batch (a list with one sample an entry, an array.array or NumPy array, or a tuple or "
            f"dict of such), got {type(x).__name__}; in_axes=None shares an argument"
        ) from None
    if view.ndim != 1 or view.format not in tuple("dfbBhHiIlLqQ"):
        raise TypeError(
            f"{what}: a buffer of format {view.format!r} and {view.ndim} dimensions; expected one of numbers"
        )
    if isinstance(x, array) and x.typecode == "d":
        return _rows(x, LEAF, 1, len(x), "array")
    values = array("d", [as_float(v, f"{what}[{k}]") for k, v in enumerate(view.tolist())])
    return _rows(values, LEAF, 1, len(values), "array")


def _joined(arrays: Iterable[array[Any]], code: str = "q") -> array[Any]:
    made: array[Any] = array(code)
    for each in arrays:
        made += each
    return made


def axes_of(in_axes: Any, count: int) -> list[int | None]:
    """`in_axes` with an entry for each argument."""
    axes = list(in_axes) if isinstance(in_axes, list | tuple) else [in_axes] * count
    if len(axes) != count:
        raise ValueError(f"map: in_axes has {len(axes)} entries for {count} argument(s)")
    for k, axis in enumerate(axes):
        if axis is not None and (not hasattr(axis, "__index__") or isinstance(axis, bool)):
            raise TypeError(f"map: an entry of in_axes is an axis or None, got {axis!r}")
        axes[k] = None if axis is None else index(axis)
    if all(axis is None for axis in axes):
        raise ValueError("map: no argument is mapped; in_axes must name an axis of one at least")
    return axes


class Batch:
    """The arguments of one call of `map`: columns and shared numbers in the order of the leaves."""

    def __init__(self, f: Dispatcher, arguments: Sequence[Any], in_axes: Any, first: int = 0) -> None:
        self.first = first  # the number of the first sample
        axes = axes_of(in_axes, len(arguments))
        for k, name in f.static_positions.items():
            if k < len(axes) and axes[k] is not None:
                raise ValueError(f"map: {name} is static, and so cannot be mapped: its entry of in_axes must be None")
        parts = [
            _shared(x, f"argument {k}", f.shared_arguments) if axis is None else _mapped(x, axis, f"argument {k}")
            for k, (x, axis) in enumerate(zip(f.with_static(arguments), axes, strict=True))
        ]
        mapped = [part for part in parts if part.samples is not None]
        self.count: int = mapped[0].samples or 0
        if any(part.samples != self.count for part in mapped):
            counts = {f"argument {k}": part.samples for k, part in enumerate(parts) if part.samples is not None}
            raise ValueError(f"map: batch lengths differ: {counts}")
        self.kind = "numpy" if any(part.kind == "numpy" for part in mapped) else mapped[0].kind
        shapes = [part.structure for part in parts]
        if f.recent_batch is not None and f.recent_batch[0] == shapes:
            self.structure: Structure = f.recent_batch[1]
        else:
            plain = (tuple, None, ((tuple, None, tuple(shapes)), (dict, (), ())))
            known = _Known(plain)
            known.once = hash(plain)
            self.structure = known
            f.recent_batch = shapes, known
        self.parts = parts
        self.addresses = mapped[0].leaves if len(mapped) == 1 else _joined(part.leaves for part in mapped)
        self.strides = mapped[0].strides if len(mapped) == 1 else _joined(part.strides for part in mapped)
        shared = [part.leaves for part in parts if part.samples is None]
        self.shared = shared[0] if len(shared) == 1 else _joined(shared, "d")
        self.layout = tuple([(part.samples is not None, len(part.leaves)) for part in parts])

    def piece(self, start: int, stop: int) -> Batch:
        """The samples of these numbers alone."""
        made = copy(self)
        at = start - self.first
        made.parts = [
            part
            if part.samples is None
            else part._replace(leaves=array("q", [a + at * s for a, s in zip(part.leaves, part.strides, strict=True)]))
            for part in self.parts
        ]
        made.addresses = _joined(part.leaves for part in made.parts if part.samples is not None)
        made.first, made.count = start, stop - start
        return made

    def sample(self, i: int) -> list[float]:
        """The leaves of the sample of that number."""
        i -= self.first
        read = ctypes.c_double.from_address
        leaves: list[float] = []
        for part in self.parts:
            if part.samples is None:
                leaves += part.leaves
            else:
                leaves += [read(a + i * s).value for a, s in zip(part.leaves, part.strides, strict=True)]
        return leaves


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
        given, sizes = _joined((each[1] for each in parts), "d"), _joined(each[2] for each in parts)
        sums, places, slots = array("d", bytes(8 * len(given))), array("q", sizes), array("q", bytes(8 * len(SLOTS)))
        for name, value in (
            ("start", self.first), ("stop", self.first + self.count), ("wide", 8 * wide(self.outputs)), ("reduce", 1),
            ("finish", 1), ("divisor", of_float(self.divisor)), ("sums", _address(sums)), ("sizes", _address(places)),
            ("given", _address(given)), ("given_sizes", _address(sizes)),
        ):  # fmt: skip
            slots[SLOT[name]] = value
        native_backend.driver()(_address(slots))
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
        self.address = _address(self.slots)
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
            ("flag", self.x.address + flag), ("second", self.x.address + second), ("codes", _address(self.codes)),
            ("turns", self.turns.address), ("memories", _address(self.places)),
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
            self["sums"], self["sizes"] = _address(self.sums), _address(self.sizes)
        if not self.codes[0] and (odd or not self["paired"]):
            for k, v in enumerate(self.known):
                self.codes[k], self.places[k] = self._room(_kernel(v, self.layout, self.reduce, self.fast)[0])

    def share(self, numbers: array[float]) -> None:
        """Put the numbers that all samples share where kernels find them, those of captured `Value`s last."""
        ctypes.memmove(self.shared_address, _address(numbers), 8 * len(numbers))
        for at, captured in self.captured:
            outside = array("d", [v._data for v in captured])
            ctypes.memmove(self.shared_address + 8 * (len(numbers) + at), _address(outside), 8 * len(outside))


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
    bases = array("q", [_wrapped(a - batch.first * s) for a, s in zip(batch.addresses, batch.strides, strict=True)])
    outs = array("q", [_wrapped(_address(c) - 8 * batch.first) for c in answers.columns])
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
            made[name] = _address(buffer)
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
