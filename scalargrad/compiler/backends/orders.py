"""What those who write the orders of a program with loops have in common: see `ir/layout.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.layout import Layout


@dataclass
class Entry:
    """How a segment is called: its address, its memory (the place of it from the frame), and what may be needed if a
    result is nan: the same of a program that computes it exactly."""

    address: int
    memory: int
    guarded: bool
    exact: Entry | None = None


@dataclass
class Orders:
    """Machine code `run(x, y, m)` under construction: of the inputs, the outputs and the frame, before which stand the
    constants, cells, and the memories of the segments."""

    layout: Layout
    cells: int  # where the first one is, in bytes
    entries: Sequence[Entry]
    foreign: Sequence[int]
    places: Sequence[Any]  # of the inputs, as `native.kernel` has them

    def __post_init__(self) -> None:
        self.wide = self.layout.held is not None
        self.unit = 64 if self.wide else 8  # bytes of what the layout counts as a float

    def inputs(self) -> Iterator[tuple[bool, int, int, int]]:
        """The inputs, by those that lie in a row: whether as in the frame, where, where to in bytes, and how many."""
        k = 0
        while k < len(self.places):
            wide, at = self.places[k]
            size = 64 if wide else 8
            stop = k
            while stop < len(self.places) and self.places[stop] == (wide, at + size * (stop - k)):
                stop += 1
            yield size == self.unit, at, self.unit * (self.layout.inputs + k), stop - k
            k = stop
