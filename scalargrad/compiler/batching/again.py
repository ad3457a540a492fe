"""A call of `map` like the one before: a sum over arrays of the same shapes, with what does not change kept ready.

What `batch.py` finds out about arguments is only compared here, and memory is used again. Whatever is not as it was is
left to the general way, and so are branches that were not traced and sums that are nan.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

from ...transforms.trees import Structure
from ..backends.batch_loop import SLOT
from ..backends.machine import array_address, of_float, raise_failed
from ..backends.native import driver
from ..frontend.dispatch import Dispatcher
from ..frontend.packing import Pack, unpacker
from ..frontend.specialization import Specialization

ROW, HELD, NAN, STOPPED = (SLOT[name] for name in ("row", "held", "nan", "stopped"))


class Mapped(NamedTuple):
    """An argument that is a NumPy array of float64, mapped along its first axis."""

    argument: int
    like: Any  # its class, type of numbers, shape and strides
    at: int  # where the addresses of its columns are among all
    offsets: Sequence[int]  # of the columns, in bytes behind its first number


class Shared(NamedTuple):
    """An argument that all samples share."""

    argument: int
    pack: Pack
    start: int  # where its numbers go, in the bytes of the memory of inputs
    stop: int


def appearance(x: Any) -> Any:
    """What tells how an array lies in memory."""
    return x.__class__, x.dtype, x.shape, x.strides


class Again:
    """One way to call `map`, with its memory, which one thread at a time uses, as long as there is but one trace."""

    def __init__(
        self,
        f: Dispatcher,
        structure: Structure,
        trace: Specialization,
        reduce: str,
        mapped: Sequence[Mapped],
        shared: Sequence[Shared],
        space: Any,
        count: int,
        strides: array[int],
    ) -> None:
        self.known, self.structure = f.specializations, structure
        self.trace, self.mapped, self.shared, self.space, self.count = trace, mapped, shared, space, count
        self.unpack = unpacker(trace.result, buffers=True)
        self.starts = [-1] * len(mapped)
        self.bases, self.strides = array("q", bytes(len(strides) * 8)), strides
        space["bases"], space["strides"] = self.bases.buffer_info()[0], strides.buffer_info()[0]
        space["start"], space["stop"], space["finish"] = 0, count, 1
        space["divisor"] = of_float(count if reduce == "mean" else 1.0)
        self.drive = driver()
        self.calls_back = any(machine.callbacks for machine, _ in trace.batches.values())
        self.lock = Lock()

    def __call__(self, arguments: Sequence[Any]) -> Any:
        """A list with the sum or the mean in the structure of the result; None where the general way is to be taken."""
        if len(self.known[self.structure]) > 1 or not self.lock.acquire(blocking=False):
            return None
        try:
            for j, (k, (kind, dtype, shape, strides), at, offsets) in enumerate(self.mapped):
                x = arguments[k]
                if x.__class__ is not kind or x.dtype != dtype or x.shape != shape or x.strides != strides:
                    return None
                start = array_address(x)
                if start != self.starts[j]:
                    self.starts[j] = start
                    self.bases[at : at + len(offsets)] = array("q", [start + each for each in offsets])
            space = self.space
            for k, pack, start, stop in self.shared:
                numbers = pack(arguments[k])
                if numbers is None or 8 * len(numbers) != stop - start:
                    return None
                space.x.floats[start:stop] = numbers.tobytes()
            slots = space.slots
            slots[ROW] = slots[HELD] = slots[NAN] = 0
            self.drive(space.address)
            if self.calls_back:
                raise_failed()
            if slots[STOPPED] >= 0 or slots[NAN]:
                return None
            self.trace.calls += self.count
            return [self.unpack(space.sums[: space.outputs])]
        finally:
            self.lock.release()
