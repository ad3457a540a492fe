"""A call of `map` like the one before: a sum over arrays of the same shapes, with what does not change kept ready.

What `batch.py` finds out about arguments is only compared here, and memory is used again. Whatever is not as it was is
left to the general way, and so are branches that were not traced and sums that are nan.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

from ...losses.summation import Ranges, put, total
from ...transforms.trees import Structure
from ..backends.machine import raise_failed
from ..frontend.dispatch import Dispatcher
from ..frontend.packing import Pack
from ..frontend.specialization import Specialization


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
    at: int  # where its numbers go
    size: int


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
        drive: Any,
        count: int,
        strides: array[int],
    ) -> None:
        self.known, self.structure = f.specializations, structure
        self.trace, self.reduce, self.mapped, self.shared = trace, reduce, mapped, shared
        self.space, self.drive, self.count = space, drive, count
        self.starts = [-1] * len(mapped)
        self.bases, self.strides = array("q", bytes(len(strides) * 8)), strides
        held = 2 * count.bit_length()
        self.width = -(-space.outputs // 8) * 8
        self.sums, self.sizes = array("d", bytes(8 * held * self.width)), array("q", bytes(8 * held))
        nothing = array("q")
        self.given = (
            0, count, space.info_address, *(each.buffer_info()[0] for each in (self.bases, strides)), *space.before,
            nothing.buffer_info()[0], *space.behind, *(each.buffer_info()[0] for each in (self.sums, self.sizes)),
        )  # fmt: skip
        self.lock = Lock()

    def __call__(self, arguments: Sequence[Any]) -> Any:
        """A list with the sum or the mean in the structure of the result; None where the general way is to be taken."""
        if len(self.known[self.structure]) > 1 or not self.lock.acquire(blocking=False):
            return None
        try:
            for j, (k, like, at, offsets) in enumerate(self.mapped):
                x = arguments[k]
                if x.__class__ is not like[0] or appearance(x) != like:
                    return None
                start = x.__array_interface__["data"][0]
                if start != self.starts[j]:
                    self.starts[j] = start
                    self.bases[at : at + len(offsets)] = array("q", [start + each for each in offsets])
            for k, pack, to, size in self.shared:
                numbers = pack(arguments[k])
                if numbers is None or len(numbers) != size:
                    return None
                ctypes.memmove(to, numbers.buffer_info()[0], 8 * size)
            return self._sum()
        finally:
            self.lock.release()

    def _sum(self) -> Any:
        flags, outputs = self.space.flags, self.space.outputs
        flags[0] = flags[2] = flags[4] = 0
        stopped = self.drive(*self.given)
        raise_failed()
        if stopped >= 0:
            return None
        if flags[4] == 1:
            row = self.sums[:outputs].tolist()
        else:
            ranges: Ranges = {}
            first = 0
            for k in range(flags[4]):
                size = self.sizes[k]
                put(ranges, size, first, self.sums[k * self.width : k * self.width + outputs])
                first += size
            row = total(ranges)
        whole = sum(row)
        if whole != whole:
            return None
        self.trace.calls += self.count
        return [self.trace.unpack([y / self.count for y in row] if self.reduce == "mean" else row)]
