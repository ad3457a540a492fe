"""What a loop reads and leaves step by step: trees of columns, taken apart and put together again.

A list, or an array, is a column, with the steps along its first axis; tuples and dicts hold columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..engine.primitive import as_float
from ..engine.value import Value
from ..transforms.trees import LEAF, Structure, flatten, leaves_like, paths, unflatten


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


def number(x: Any, place: str) -> Any:
    """A `Value`, or a number as a float; an error that names the place for what is none."""
    return x if isinstance(x, Value) else as_float(x, place)


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
    if isinstance(xs, tuple | dict):
        items = xs.items() if isinstance(xs, dict) else enumerate(xs)
        children = tuple([_read(each, f"{place}[{key!r}]", found, lengths) for key, each in items])
        return (dict, tuple(xs), children) if isinstance(xs, dict) else (type(xs), None, children)
    if not isinstance(xs, list) and hasattr(xs, "tolist"):  # an array
        xs = xs.tolist()
    if not isinstance(xs, list):
        raise TypeError(f"{place}: expected a column, a list or an array with an entry a step, got {type(xs).__name__}")
    lengths[place] = len(xs)
    first, structure = flatten(xs[0], f"{place}[0]") if xs else ([], LEAF)
    numbers: list[Any] = []
    for t, each in enumerate(xs):
        if structure == LEAF and not isinstance(each, list | tuple | dict):
            numbers.append(each if type(each) is float else number(each, f"{place}[{t}]"))
            continue
        leaves = leaves_like(each, structure, f"{place}[{t}]")
        numbers += [number(x, at) for x, at in zip(leaves, paths(structure, f"{place}[{t}]"), strict=True)]
    found.widths.append(len(first))
    found.numbers.append(numbers)
    return structure


def columns_of(structure: Structure) -> list[int]:
    """The widths of the columns that a step's result of that structure makes: a column for each number, or list."""
    if structure == LEAF or structure[0] is list:
        return [leaves_of(structure)]
    return [width for child in structure[2] for width in columns_of(child)]


def leaves_of(structure: Structure) -> int:
    """How many numbers a tree of that structure has."""
    return 1 if structure == LEAF else sum(leaves_of(child) for child in structure[2])


def written(structure: Structure, columns: Iterable[Sequence[Any]], length: int) -> Any:
    """The tree of columns for steps' results of that structure, from each column's numbers."""
    return _written(structure, iter(columns), length)


def _written(structure: Structure, columns: Iterator[Sequence[Any]], length: int) -> Any:
    if structure == LEAF:
        return list(next(columns))
    kind, keys, children = structure
    if kind is list:
        numbers, width = next(columns), leaves_of(structure)
        return [unflatten(structure, numbers[t * width : (t + 1) * width]) for t in range(length)]
    made = [_written(child, columns, length) for child in children]
    if kind is dict:
        return dict(zip(keys, made, strict=True))
    return tuple.__new__(kind, made)


def each_column(tree: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    """The tree with every column changed."""
    if isinstance(tree, dict):
        return {key: each_column(each, change) for key, each in tree.items()}
    if isinstance(tree, tuple):
        return tuple.__new__(type(tree), [each_column(each, change) for each in tree])
    if tree is None:
        return None
    return change(tree if isinstance(tree, list) else tree.tolist())


def joined(first: Any, second: Any) -> Any:
    """Two trees of columns as one, each column behind the other's."""
    if isinstance(first, dict):
        return {key: joined(each, second[key]) for key, each in first.items()}
    if isinstance(first, tuple):
        return tuple.__new__(type(first), [joined(a, b) for a, b in zip(first, second, strict=True)])
    return first + second
