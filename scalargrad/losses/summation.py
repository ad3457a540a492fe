"""The order in which the samples of a batch are added, whoever adds: it depends on the samples' numbers alone.

A range of numbers is dyadic if it is [m 2^k, (m + 1) 2^k). Its sum is the sum of its first half plus that of its
second; samples that are not there bring nothing. So a sum over any samples is known from the sums over the largest
dyadic ranges that they fill, at most 2 log2(n) for n in a row; and those of two parts give those of both. The error is
within log2(n) u/(1 - log2(n) u) of the sum of the terms' sizes, u = 2^-53, log2 rounded up (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 4.2: pairwise summation).

A compiled function's `map` adds in this order in machine code; here it is on plain lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import nan
from operator import add

Ranges = dict[tuple[int, int], Sequence[float]]  # the sums over dyadic ranges, by size and first number


def put(ranges: Ranges, size: int, first: int, row: Sequence[float]) -> None:
    """Add a dyadic range to others, which it does not overlap: while both halves of one are there, they become one."""
    while (other := ranges.pop((size, first ^ size), None)) is not None:
        row = list(map(add, other, row))
        first &= ~size
        size *= 2
    ranges[size, first] = row


def total(ranges: Ranges) -> list[float]:
    """The sum over all ranges; that of nothing but negative zeros is zero, and all nans are one."""
    left = dict(ranges)
    while len(left) > 1:
        size, first = min(left)  # whose other half has no samples but those that have been added
        put(left, 2 * size, first & ~size, left.pop((size, first)))
    (row,) = left.values()
    # Which nan comes of two, the order of the operands in machine code decides.
    return [nan if type(x) is float and x != x else x + 0.0 for x in row]


def added(rows: Iterable[Sequence[float]]) -> list[float]:
    """The sum of rows with the numbers 0, 1, 2, ..., of one at least."""
    halves: list[Sequence[float]] = []  # the ranges so far, as `put` would leave them
    for count, row in enumerate(rows, 1):
        for _ in range((count & -count).bit_length() - 1):
            row = list(map(add, halves.pop(), row))
        halves.append(row)
    row = halves.pop()
    while halves:
        row = list(map(add, halves.pop(), row))
    return total({(1, 0): row})
