"""Sums over a part of the samples, which can be merged: `map(..., reduce="sum", start=...)` makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from ...losses.summation import Ranges, put, total
from ...transforms.trees import Structure, unflatten
from ...version import VERSION, is_this
from .binned import BinnedSum, merged

Interval = tuple[int, int]  # the numbers of samples: from the first to before the second


class PartialSum:
    """The sum of a function's results over samples of known numbers, ready to be merged with that over others.

    `samples` has the numbers, as intervals `(first, stop)` with nothing in common; `len` is how many sums are held: at
    most 2 log2(n) for n samples in a row (one for one), each with as many numbers as the function has results. It goes
    into pickles and is of that size there.
    """

    def __init__(
        self, name: str, reduce: str, structure: Structure | None, samples: Iterable[Interval], ranges: Ranges
    ) -> None:
        self.name = name  # the function's, for messages
        self.reduce = reduce
        self.structure = structure  # of the result; None if there are no samples
        self.samples: tuple[Interval, ...] = tuple(samples)
        self.ranges = ranges

    def __reduce__(self) -> Any:
        return _of_version, (VERSION,), self.__dict__

    def __len__(self) -> int:
        return len(self.ranges)

    def __repr__(self) -> str:
        where = ", ".join(f"{first} to {stop - 1}" for first, stop in self.samples) or "none"
        return f"<{self.reduce} of {self.name} over samples {where}: {len(self)} partial sum(s)>"

    @property
    def count(self) -> int:
        """How many samples there are."""
        return sum(stop - first for first, stop in self.samples)

    def result(self) -> Any:
        """The sum or the mean over all samples, in the structure of the function's result: the bits of one call.

        Raises `ValueError` if there are no samples, or some between the first and the last are missing.
        """
        if len(self.samples) == 1 and self.structure is not None:
            sums = total(self.ranges) if self.ranges else []  # of a function without results
            return unflatten(self.structure, [y / self.count for y in sums] if self.reduce == "mean" else sums)
        gaps = pairwise(self.samples)
        missing = ", ".join(f"{stop} to {first - 1}" for (_, stop), (first, _) in gaps)
        raise ValueError(f"{self!r}: " + (f"samples {missing} are missing" if missing else "there is nothing in it"))


def _of_version(version: str) -> PartialSum:
    is_this(version, "the pickle of a partial sum")
    return PartialSum.__new__(PartialSum)


AnySum = TypeVar("AnySum", PartialSum, BinnedSum)


def merge(parts: Iterable[AnySum]) -> AnySum:
    """Merge sums over parts of the samples, in any order: the result has the bits of one call on all of them.

    Parts may be merged in several steps, wherever they are; the whole is asked for its `result()` at the end.
    Parts of unknown numbers (`start="unknown"`) are merged with such alone: see `BinnedSum`. Raises
    `ValueError` for no parts, for parts that have samples in common, which it names, or that are of functions with
    results of different structures. The order of addition is in `scalargrad/losses/summation.py`.

    >>> import scalargrad as sg
    >>> from scalargrad.compiler import merge
    >>> f = sg.compile(lambda x: sg.exp(x), backend="python")
    >>> xs = [0.1 * k for k in range(100)]
    >>> parts = [f.map(xs[k : k + 30], reduce="sum", start=k) for k in (60, 0, 90, 30)]
    >>> [len(part) for part in parts]
    [4, 4, 3, 4]
    >>> merge(parts).result() == f.map(xs, reduce="sum")
    True
    >>> merge(parts[:2]).result()
    Traceback (most recent call last):
    ...
    ValueError: <sum of <lambda> over samples 0 to 29, 60 to 89: 8 partial sum(s)>: samples 30 to 59 are missing
    """
    given: list[Any] = list(parts)
    for part in given:
        if not isinstance(part, PartialSum | BinnedSum):
            raise TypeError(f"merge: expected parts, as map(..., reduce='sum', start=...) returns, got {part!r:.80}")
    if not given:
        raise ValueError("merge: no parts")
    first = next((part for part in given if part.structure is not None), given[0])
    for part in given:
        if part.reduce != first.reduce or part.structure not in (None, first.structure):
            raise ValueError(f"merge: {first!r} and {part!r}: a sum and a mean, or results of different structures")
        if type(part) is not type(first):
            raise ValueError(f"merge: {first!r} and {part!r}: the numbers of samples are known of one only")
    return merged(given, first) if isinstance(first, BinnedSum) else _merged(given, first)  # type: ignore[return-value]


def _merged(given: Sequence[PartialSum], first: PartialSum) -> PartialSum:
    samples: list[Interval] = []
    ranges: Ranges = {}
    before = first
    placed = [(each, part) for part in given for each in part.samples]
    for each, part in sorted(placed, key=lambda pair: pair[0]):
        if samples and each[0] < samples[-1][1]:
            both = f"{each[0]} to {min(each[1], samples[-1][1]) - 1}"
            raise ValueError(f"merge: samples {both} are in two of the parts: {before!r}, {part!r}")
        samples.append((samples.pop()[0], each[1]) if samples and each[0] == samples[-1][1] else each)
        before = part
    for part in given:
        for (size, start), sums in part.ranges.items():
            put(ranges, size, start, sums)
    return PartialSum(first.name, first.reduce, first.structure, samples, ranges)
