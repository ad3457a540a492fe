"""The order in which the samples of a batch are added, whoever adds: it depends on their number alone.

A compiled function's `map` adds in this order as it goes, in machine code or in lanes of its own; here it is on plain
lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import add

LANES = 8
CHUNKS = 64  # at most; fewer, larger ones would leave threads idle, more would cost memory
SMALLEST_CHUNK = 1024  # samples


def chunks(count: int) -> list[tuple[int, int]]:
    """The bounds of the chunks that a batch is cut into: whole blocks, whatever the number of threads."""
    blocks = -(-count // LANES)
    size = LANES * max(SMALLEST_CHUNK // LANES, -(-blocks // CHUNKS))
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def added(rows: Iterator[Sequence[float]], count: int, width: int) -> list[float]:
    """The sum of so many rows of that width: in eight lanes, then over lanes in pairs, then over chunks.

    >>> added(iter([[0.1], [0.2], [0.3]]), 3, 1)
    [0.6000000000000001]
    """
    total: list[float] = []
    for start, stop in chunks(count):
        lanes = [[0.0] * width] * min(
            LANES, stop - start
        )  # a lane without a sample would add 0.0, which changes nothing
        for k in range(start, stop):
            lanes[k % LANES] = list(map(add, lanes[k % LANES], next(rows)))
        while len(lanes) > 1:
            for k in range(0, len(lanes) - 1, 2):
                lanes[k] = list(map(add, lanes[k], lanes[k + 1]))
            lanes = lanes[::2]
        total = list(map(add, total, lanes[0])) if total else lanes[0]
    return total
