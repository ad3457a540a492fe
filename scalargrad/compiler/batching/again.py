"""A call of `map` like the one before: a sum over arrays of the same shapes, with what does not change kept ready.

What `batch.py` finds out about arguments is only compared here, and memory is used again. Whatever is not as it was is
left to the general way, and so are branches that were not traced and sums that are nan.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from threading import Lock
from typing import Any

from ..backends.batch_loop import SLOT
from ..backends.machine import array_address, of_float, raise_failed
from ..backends.native import driver
from ..frontend.dispatch import Dispatcher
from ..frontend.packing import unpacker
from ..frontend.specialization import Specialization

ROW, HELD, NAN, STOPPED = (SLOT[name] for name in ("row", "held", "nan", "stopped"))


class Again:
    """One way to call `map`, with its memory, which one thread at a time uses, as long as there is but one trace."""

    def __init__(self, f: Dispatcher, batch: Any, trace: Specialization, reduce: str, space: Any) -> None:
        self.known, self.structure, self.count = f.specializations, batch.structure, batch.count
        self.trace, self.space = trace, space
        # Arguments that are NumPy arrays of float64, mapped along their first axis: the number, what tells how they lie
        # in memory, where the addresses of their columns are among all, and these behind the first number.
        self.mapped: list[tuple[int, tuple[Any, ...], int, list[int]]] = []
        # Those that all samples share: the number, what flattens it, and where in the memory of inputs it goes.
        self.shared: list[tuple[int, Any, int, int]] = []
        self.unpack = unpacker(trace.result, buffers=True)
        self.bases, self.strides = array("q", bytes(len(batch.strides) * 8)), batch.strides
        space["bases"], space["strides"] = self.bases.buffer_info()[0], batch.strides.buffer_info()[0]
        space["start"], space["stop"], space["finish"] = 0, batch.count, 1
        space["divisor"] = of_float(batch.count if reduce == "mean" else 1.0)
        self.drive = driver()
        self.calls_back = any(machine.callbacks for machine, _ in trace.batches.values())
        self.lock = Lock()

    def takes(self, f: Dispatcher, batch: Any, arguments: Sequence[Any]) -> bool:
        """Note how arguments are; False where some are other than foreseen."""
        place, start = 0, self.space.shared_address - self.space.x.start
        for k, (x, part) in enumerate(zip(arguments, batch.parts, strict=True)):
            pack = f.shared_arguments.get(f"argument {k}", (None, None))[0] if part.samples is None else None
            if pack is not None and type(x) is not array:
                self.shared.append((k, pack, start, start + 8 * len(part.leaves)))
                start += 8 * len(part.leaves)
            elif part.kind == "numpy" and part.keep[0] is x:
                like = (x.__class__, x.dtype, x.shape, x.strides)
                self.mapped.append((k, like, place, [each - array_address(x) for each in part.leaves]))
                place += len(part.leaves)
            else:
                return False
        self.starts = [-1] * len(self.mapped)
        return True

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
