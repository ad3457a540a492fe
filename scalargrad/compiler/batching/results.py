"""What a batch's results are put into; and `map` where gradients go through it: on `Value`s, sample by sample."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...engine.value import Value
from ...losses.summation import Ranges, put, total
from ...transforms.trees import LEAF, Structure, container, flatten, unflatten
from ..frontend.derived import LoopError
from ..frontend.dispatch import Dispatcher
from ..frontend.packing import is_array


def collected(structure: Structure, columns: Sequence[Any], count: int, kind: str) -> Any:
    """The results of samples, each output a column: a batch in the place of each number, an array of each array."""
    supply = iter(columns)
    leaves: list[Any] = []
    return unflatten(_collected(structure, supply, leaves, count, kind), leaves)


def _collected(structure: Structure, supply: Iterator[Any], leaves: list[Any], count: int, kind: str) -> Structure:
    if structure == LEAF:
        leaves.append(_like(next(supply), kind))
        return LEAF
    of, keys, children = structure
    if not isinstance(children, int):
        return (of, keys, tuple([_collected(child, supply, leaves, count, kind) for child in children]))
    known = container(of)
    if known is None or not is_array(known):
        leaves.extend(_like(next(supply), kind) for _ in range(children))
        return structure
    parts = [next(supply) for _ in range(children)]
    plain = all(type(part) is array for part in parts)
    joined = of((children, count)) if plain else known.build((children, count), [x for part in parts for x in part])
    for k, part in enumerate(parts if plain else ()):
        joined[k] = part
    leaves.append(joined.T.reshape(count, *keys))
    return LEAF


def _like(column: Any, kind: str) -> Any:
    if kind == "numpy":
        import numpy

        if type(column) is array:
            return numpy.frombuffer(column, dtype=numpy.float64)
        known = container(numpy.ndarray)
        return known.build((len(column),), column) if known else column
    return column.tolist() if kind == "list" and type(column) is array else column


@contextmanager
def sample(i: int) -> Iterator[None]:
    """Have the error of a loop say in which sample it was."""
    try:
        yield
    except LoopError as error:
        raise LoopError(f"sample {i}: {error}") from None


# ---- on Values -------------------------------------------------------------------------------------------------------


def _samples(x: Any, axis: int, what: str) -> list[Any]:
    """A mapped argument as a list of samples."""
    if isinstance(x, tuple | dict):
        columns = [_samples(each, axis, what) for each in (x.values() if isinstance(x, dict) else x)]
        if len(set(map(len, columns))) > 1:
            raise ValueError(f"{what}: batch lengths differ: {sorted(set(map(len, columns)))}")
        rows = list(zip(*columns, strict=True))
        return [dict(zip(x, row, strict=True)) for row in rows] if isinstance(x, dict) else [type(x)(r) for r in rows]
    if hasattr(x, "__array_interface__"):
        import numpy

        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"{what}: in_axes {axis} is not an axis of an array of shape {x.shape}")
        return list(numpy.moveaxis(x, axis, 0))
    if axis != 0 or not isinstance(x, list | array):
        raise TypeError(f"{what}: expected a list or an array with one sample an entry, got {type(x).__name__}")
    return list(x)


def map_on_values(f: Dispatcher, arguments: Sequence[Any], axes: Sequence[int | None], reduce: Any, start: Any) -> Any:
    """`map` where it is differentiated: the function itself runs on every sample, and the order of sums stays."""
    if start is not None:
        raise TypeError(f"map: {f.name} is differentiated here, and partial sums (start=) are plain numbers")
    mapped = {
        k: _samples(x, axis, f"argument {k}")
        for k, (x, axis) in enumerate(zip(arguments, axes, strict=True))
        if axis is not None
    }
    counts = {f"argument {k}": len(samples) for k, samples in mapped.items()}
    count = max(counts.values(), default=0)
    if set(counts.values()) != {count} or not count:
        raise ValueError(f"map: batch lengths differ: {counts}" if count else "map: an empty batch")
    rows: list[list[Any]] = []
    structure: Structure = None
    for i in range(count):
        with sample(i):
            given = tuple([mapped[k][i] if k in mapped else x for k, x in enumerate(arguments)])
            result = f.on_values(given, {}, *f.taken(given, {}))  # though there may be none among those of a sample
        row, found = flatten(result, "the result", static=True)
        if i and found != structure:
            raise TypeError(f"map: {f.name} returns results of different structures, by the branch it takes")
        rows.append(row)
        structure = found
    if reduce is not None:
        ranges: Ranges = {}
        for i, row in enumerate(rows):
            put(ranges, 1, i, row)
        sums = total(ranges)
        return unflatten(structure, [y / count for y in sums] if reduce == "mean" else sums)
    kind = "numpy" if any(hasattr(arguments[k], "__array_interface__") for k in mapped) else "list"
    return collected(structure, [_plain(list(column)) for column in zip(*rows, strict=True)], count, kind)


def _plain(column: list[Any]) -> Any:
    return column if any(isinstance(x, Value) for x in column) else array("d", column)
