"""A sum whose bits depend neither on the order of the samples nor on their numbers: a binned one.

After Demmel and Nguyen, Parallel Reproducible Summation, IEEE Transactions on Computers 64 (2015). Bin i counts in
units of 2^(40 i). A number is rounded to the units of the bin that fits the largest number there is; what is left is
rounded to those of the next bin below, and again: three bins in all. What a bin gets is a whole number of units, so
that sums of them are exact, in any order; and as numbers are cut at the same places whatever the largest one so far
was, a larger one that comes later only drops the lowest bins. The sum of the three bins is rounded once.

Error: each number loses at most half a unit of the lowest bin, so that the sum of n numbers is within
n 2^-80 max|x| of the exact one, besides one rounding of the result (a plain sum: n 2^-53 sum|x|). Cost: see
`tests/benchmarks/sums.py`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from math import frexp, isfinite, ldexp, nan
from typing import Any

from ...transforms.trees import Structure, unflatten
from ...version import VERSION, is_this

WIDTH, BINS = 40, 3
AT_ONCE = 2**13  # numbers of at most 2^39 units, whose sum a float holds exactly
SCALED, SHIFT = 23, 10  # above that bin the constants would overflow: numbers are taken 2^400 times smaller


class Bins:
    """A sum of numbers: how many units each bin has, from the top one down, and the numbers that are not finite."""

    __slots__ = ("odd", "top", "units")

    def __init__(self) -> None:
        self.top: int | None = None  # None for zero
        self.units = [0] * BINS
        self.odd = 0.0

    def raised(self, top: int) -> None:
        """Make room for numbers that belong to a higher bin."""
        if self.top is None or top > self.top:
            kept = max(0, BINS - (top - self.top)) if self.top is not None else 0
            self.units = [0] * (BINS - kept) + self.units[:kept]
            self.top = top

    def add(self, numbers: array[float]) -> None:
        """Add so many numbers as may be added at once."""
        top, units, odd = _cut(numbers)
        self.odd += odd
        if top is not None:
            self.take(top, units)

    def take(self, top: int, units: Sequence[int]) -> None:
        self.raised(top)
        assert self.top is not None
        for k, each in enumerate(units[: max(0, BINS - (self.top - top))]):
            self.units[self.top - top + k] += each

    def merge(self, other: Bins) -> None:
        self.odd += other.odd
        if other.top is not None:
            self.take(other.top, other.units)

    def value(self) -> float:
        if self.odd != 0.0 or self.top is None:
            return nan if self.odd != self.odd else self.odd
        whole = 0
        for each in self.units:
            whole = (whole << WIDTH) + each
        exponent = WIDTH * (self.top - BINS + 1)
        try:
            return float(whole << exponent) if exponent >= 0 else whole / (1 << -exponent)
        except OverflowError:
            return float("inf") if whole > 0 else float("-inf")


def _cut(numbers: array[float]) -> tuple[int | None, list[int], float]:
    """The top bin of numbers, how many units they have in it and in those below, and the sum of those not finite."""
    x: Any
    try:
        import numpy
    except ImportError:
        x, largest = list(numbers), max(map(abs, numbers))
        odd = 0.0
        if not all(map(isfinite, x)):
            odd = sum([each for each in x if not isfinite(each)])
            x = [each if isfinite(each) else 0.0 for each in x]
            largest = max(map(abs, x))
    else:
        x = numpy.frombuffer(numbers)
        largest, odd = float(numpy.maximum(x.max(), -x.min())), 0.0
        if not isfinite(largest):
            finite = numpy.isfinite(x)
            odd = sum(x[~finite].tolist())
            x = numpy.where(finite, x, 0.0)
            largest = float(abs(x).max())
    if largest == 0.0:
        return None, [], odd
    top = -(-(frexp(largest)[1] + 1) // WIDTH) - 1
    shift = SHIFT if top > SCALED else 0
    if shift:
        down = ldexp(1.0, -WIDTH * shift)
        x = [each * down for each in x] if isinstance(x, list) else x * down
    units = []
    for k in range(top - shift, top - shift - BINS, -1):
        big = ldexp(1.5, 52 + WIDTH * k)  # whose unit in the last place is the bin's
        if isinstance(x, list):
            found = [(each + big) - big for each in x]
            x = [each - part for each, part in zip(x, found, strict=True)]
            summed = sum(found)
        else:
            found = x + big
            found -= big
            x = x - found
            summed = float(found.sum())
        units.append(int(ldexp(summed, -WIDTH * k)))
    return top, units, odd


class BinnedSum:
    """The sum of a function's results over samples of unknown numbers: `map(..., reduce="sum", start="unknown")`.

    Merged in any order, with `scalargrad.compiler.merge`, parts give the same bits; that a sample is in two parts, or
    in none, goes unnoticed. `count` is how many samples there are; the error bound is in `binned.py`.

    >>> import scalargrad as sg
    >>> from scalargrad.compiler import merge
    >>> f = sg.compile(lambda x: 1.0 / x, backend="python")
    >>> one, other = (f.map(xs, reduce="sum", start="unknown") for xs in ([3.0, 7.0, 1e-9], [-1e-9, 11.0]))
    >>> merge([one, other]).result() == merge([other, one]).result() == 1 / 3 + 1 / 7 + 1 / 11
    True
    """

    def __init__(self, name: str, reduce: str, structure: Structure | None, count: int, bins: list[Bins]) -> None:
        self.name, self.reduce, self.structure, self.count, self.bins = name, reduce, structure, count, bins

    def __reduce__(self) -> Any:
        return _of_version, (VERSION,), self.__dict__

    def __repr__(self) -> str:
        return f"<{self.reduce} of {self.name} over {self.count} samples of unknown numbers>"

    def add(self, columns: Sequence[array[float]]) -> None:
        """Add the results of further samples."""
        for bins, column in zip(self.bins, columns, strict=True):
            for k in range(0, len(column), AT_ONCE):
                bins.add(column[k : k + AT_ONCE])

    def result(self) -> Any:
        """The sum or the mean over all samples; `ValueError` if there are none."""
        if self.structure is None or not self.count:
            raise ValueError(f"{self!r}: there is nothing in it")
        sums = [each.value() for each in self.bins]
        return unflatten(self.structure, [y / self.count for y in sums] if self.reduce == "mean" else sums)


def _of_version(version: str) -> BinnedSum:
    is_this(version, "the pickle of a binned sum")
    return BinnedSum.__new__(BinnedSum)


def merged(parts: Iterable[BinnedSum], like: BinnedSum) -> BinnedSum:
    """The sum over all samples of parts, whose results are of the structure of one of them."""
    whole = BinnedSum(like.name, like.reduce, like.structure, 0, [Bins() for _ in like.bins])
    for part in parts:
        whole.count += part.count
        for mine, its in zip(whole.bins, part.bins, strict=False):
            mine.merge(its)
    return whole
