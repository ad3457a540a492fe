"""The order in which a compiled function's `map` adds samples, on plain lists.

What computes a sum over a batch in another way and must come to the same bits, adds by this. `batch.py` adds in this
order as it goes, in machine code or in lanes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import add

from .batch import LANES, chunks


def added(rows: Iterator[Sequence[float]], count: int, width: int) -> list[float]:
    """The sum of so many rows of that width: in eight lanes, then over lanes in pairs, then over chunks.

    >>> added(iter([[0.1], [0.2], [0.3]]), 3, 1)
    [0.6000000000000001]
    >>> import scalargrad as sg
    >>> sg.compile(lambda x: x).map([0.1, 0.2, 0.3], reduce="sum")
    0.6000000000000001
    """
    total: list[float] = []
    for start, stop in chunks(count):
        lanes = [[0.0] * width for _ in range(LANES)]
        for k in range(start, stop):
            lanes[k % LANES] = list(map(add, lanes[k % LANES], next(rows)))
        while len(lanes) > 1:
            lanes = [list(map(add, a, b)) for a, b in zip(lanes[::2], lanes[1::2], strict=True)]
        total = list(map(add, total, lanes[0])) if total else lanes[0]
    return total
