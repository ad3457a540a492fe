"""What a loop reads and leaves step by step: trees of columns, taken apart and put together again.

A list, or an array, is a column, with the steps along its first axis; tuples, dicts and dataclasses hold columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ..engine.primitive import as_float
from ..engine.value import Value
from ..transforms.trees import LEAF, Structure, container, flatten, held, leaves_like, paths, steps, taken, unflatten


class Columns(NamedTuple):
    """Columns of equal length: the structure of one step's part, and each column's numbers, step by step."""

    structure: Structure
    widths: list[int]
    numbers: list[list[Any]]
    length: int | None

    def step(self, t: int) -> Iterator[Any]:
        """The numbers of one step."""
        for width, numbers in zip(self.widths, self.numbers, strict=True):
            yield from numbers[t * width : (t + 1) * width]


def are_functions(name: str, *given: Any) -> None:
    """Raise for what cannot be called."""
    for each in given:
        if not callable(each):
            raise TypeError(f"{name}: expected a function, got {type(each).__name__}")


def number(x: Any, place: str) -> Any:
    """A `Value`, or a number as a float; an error that names the place for what is none."""
    return x if isinstance(x, Value) else as_float(x, place)


def numbers(tree: Any, what: str) -> tuple[list[Any], Structure]:
    """The numbers of a tree, and its structure."""
    leaves, structure = flatten(tree, what)
    return [number(x, at) for x, at in zip(leaves, paths(structure, what), strict=True)], structure


def numbers_like(tree: Any, structure: Structure, what: str) -> list[Any]:
    """The numbers of a tree that must have that structure."""
    leaves = leaves_like(tree, structure, what)
    return [number(x, at) for x, at in zip(leaves, paths(structure, what), strict=True)]


def truth(x: Any, place: str) -> Any:
    """What decides a way to go: a comparison, or a number, as it is; an error that names the place for what is none."""
    return x if type(x) is bool else number(x, place)


def known(x: Any) -> float:
    """The number of a `Value`, or of one that is none."""
    return x._data if isinstance(x, Value) else x


def read(xs: Any, what: str) -> Columns:
    """Take columns apart. Raises `ValueError` for such of different lengths, `TypeError` for what is no column."""
    found = Columns(LEAF, [], [], None)
    lengths: dict[str, int] = {}
    structure = _read(xs, what, found, lengths)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{what}: columns of different lengths: {lengths}")
    return found._replace(structure=structure, length=next(iter(lengths.values()), None))


def _read(xs: Any, place: str, found: Columns, lengths: dict[str, int]) -> Structure:
    if (holder := _holder(xs)) is not None:
        kind, keys, parts = holder
        named = zip(steps(holder), parts, strict=True)
        return kind, keys, tuple([_read(each, place + at, found, lengths) for at, each in named])
    if not isinstance(xs, list) and hasattr(xs, "tolist"):  # an array
        ndim = getattr(xs, "ndim", 1)
        xs = xs.tolist() if ndim <= 1 else list(xs)
    if not isinstance(xs, list):
        raise TypeError(f"{place}: expected a column, a list or an array with an entry a step, got {type(xs).__name__}")
    lengths[place] = len(xs)
    first, structure = flatten(xs[0], f"{place}[0]") if xs else ([], LEAF)
    column: list[Any] = []
    for t, each in enumerate(xs):
        if structure == LEAF and not isinstance(each, list | tuple | dict):
            column.append(each if type(each) is float else number(each, f"{place}[{t}]"))
            continue
        column += numbers_like(each, structure, f"{place}[{t}]")
    found.widths.append(len(first))
    found.numbers.append(column)
    return structure


def _holder(xs: Any) -> tuple[Any, Any, Sequence[Any]] | None:
    """What holds columns, taken apart; None for a column, which is a list or an array."""
    known = container(type(xs))
    return None if isinstance(xs, list) or (known is not None and known.flat) else taken(xs, known)


def columns_of(structure: Structure) -> list[int]:
    """The widths of the columns that a step's result of that structure makes: for each number, list, or array."""
    if structure == LEAF or structure[0] is list or type(structure[2]) is int:
        return [leaves_of(structure)]
    return [width for child in structure[2] for width in columns_of(child)]


def leaves_of(structure: Structure) -> int:
    """How many numbers a tree of that structure has."""
    if structure == LEAF:
        return 1
    children = structure[2]
    return children if type(children) is int else sum(leaves_of(child) for child in children)


def columns_from(rows: Sequence[Sequence[Any]], widths: Iterable[int]) -> list[list[Any]]:
    """Steps' numbers as columns of those widths."""
    return [[x for row in rows for x in row[a:b]] for a, b in pairwise(accumulate(widths, initial=0))]


def written(structure: Structure, columns: Iterator[Sequence[Any]], length: int) -> Any:
    """The tree of columns for steps' results of that structure, from each column's numbers."""
    if structure == LEAF:
        return list(next(columns))
    kind, keys, children = structure
    known = container(kind)
    if kind is list or (known is not None and known.flat):
        numbers, width = next(columns), leaves_of(structure)
        if known is not None and isinstance(keys, tuple):  # an array: one that has a step a row
            return unflatten((kind, (length, *keys), length * width), numbers)
        return [unflatten(structure, numbers[t * width : (t + 1) * width]) for t in range(length)]
    return held(kind, keys, [written(child, columns, length) for child in children])


def each_column(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The tree with every column changed, a list or an array."""
    if (holder := _holder(tree)) is None:
        return None if tree is None else change(tree)
    kind, keys, parts = holder
    return held(kind, keys, [each_column(each, change) for each in parts])


def joined(first: Any, second: Any) -> Any:
    """Two trees of columns as one, each column behind the other's."""
    if (holder := _holder(first)) is None:
        known = container(type(first))
        return first + second if known is None else known.build((len(first) + len(second),), [*first, *second])
    kind, keys, parts = holder
    others = [second[key] for key in keys] if kind is dict else _holder(second)[2]  # type: ignore[index]  # as the first
    return held(kind, keys, [joined(a, b) for a, b in zip(parts, others, strict=True)])


def without_segments(column: Any) -> Any:
    """A column of segments as one of their entries."""
    if isinstance(column, list):
        return [y for segment in column for y in segment]
    return column.reshape(-1, *column.shape[2:])  # an array
