"""The arguments of a function under test as one flat list of inputs, and its results as one of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from operator import index
from typing import Any

from ..engine.primitive import as_float
from ..engine.value import Value
from ..transforms.trees import LEAF, Structure, flatten, paths, unflatten


def numbers(tree: Any, what: str, like: Structure | None = None) -> list[Any]:
    """The numbers of a tree as floats, or as complex where they are; arrays are taken apart.

    The dicts of a tree `like` that of the arguments match by key, whatever the order of theirs; brackets around a
    single thing may be there or not. Raises `ValueError` for other keys, and for a dict where there is none.

    >>> numbers([{"b": 3, "a": [1, 2]}], "gradient", flatten({"a": [0, 0], "b": 0})[1])
    [1.0, 2.0, 3.0]
    """
    if hasattr(tree, "tolist"):
        tree = tree.tolist()
    if not isinstance(tree, list | tuple | dict):
        return [_number(tree, what)]
    if like is None:
        return [x for leaf in flatten(tree, what)[0] for x in numbers(leaf, what)]
    at_leaf: Structure = (tuple, None, ())
    kind, keys, children = at_leaf if like == LEAF else like
    if isinstance(tree, dict) and kind is dict:
        if set(tree) != set(keys):
            raise ValueError(f"{what}: expected the keys {list(keys)}, got {list(tree)}")
        matched = [(tree[key], child) for key, child in zip(keys, children, strict=True)]
    elif isinstance(tree, list | tuple) and kind is not dict and len(tree) == len(children):
        matched = list(zip(tree, children, strict=True))
    elif kind is not dict and len(children) == 1:
        matched = [(tree, children[0])]
    elif isinstance(tree, dict):
        raise ValueError(f"{what}: a dict with the keys {list(tree)} where the arguments have none")
    else:  # flat, or an array, in the order of the arguments
        matched = [(child, like if len(tree) == 1 else LEAF) for child in tree]
    return [x for part, its in matched for x in numbers(part, what, its)]


def _number(x: Any, what: str) -> Any:
    if type(x) in (float, complex):
        return x
    return x.data if isinstance(x, Value) else as_float(x, what)


def each_by(outer: Structure, inner: Structure) -> Structure:
    """The structure of derivatives: at each number of one tree the numbers of another.

    >>> each_by(flatten([1, 2])[1], flatten({"a": 1})[1])
    (<class 'list'>, None, ((<class 'dict'>, ('a',), ('*',)), (<class 'dict'>, ('a',), ('*',))))
    """
    if outer == LEAF:
        return inner
    kind, keys, children = outer
    return (kind, keys, tuple([each_by(child, inner) for child in children]))


def _has_dict(structure: Structure) -> bool:
    return structure != LEAF and (structure[0] is dict or any(map(_has_dict, structure[2])))


def keyed(structure: Structure) -> Structure | None:
    """The structure, if it has dicts, whose keys say what is what; else None, and the order alone counts."""
    return structure if _has_dict(structure) else None


class Point:
    """The arguments, taken apart into a flat list of inputs."""

    def __init__(self, args: Sequence[Any], argnums: int | Sequence[int] | None) -> None:
        if not isinstance(args, list | tuple):
            raise TypeError(
                f"args: expected a tuple with one entry an argument, such as (0.5,), got {type(args).__name__}"
            )
        self.args = list(args)
        given: Any = range(len(args)) if argnums is None else argnums
        every = given if isinstance(given, range | list | tuple) else [given]
        for k in every:
            if not hasattr(k, "__index__") or not -len(args) <= k < len(args):
                raise ValueError(f"argnums: {k!r} is not the position of one of {len(args)} argument(s)")
        self.argnums = tuple(index(k) % len(args) for k in every)
        self.paths: list[str] = []
        self.inputs: list[float] = []
        self.structures: list[Structure] = []
        for k in self.argnums:
            leaves, structure = flatten(args[k], f"args[{k}]")
            places = list(paths(structure, f"args[{k}]"))
            self.inputs += [as_float(x, place) for x, place in zip(leaves, places, strict=True)]
            self.paths += places
            self.structures.append(structure)
        if not self.inputs:
            raise ValueError("args: no number to differentiate by")
        for place, x in zip(self.paths, self.inputs, strict=True):
            if not isfinite(x):
                raise ValueError(f"{place}: {x!r}: derivatives are measured at finite numbers only")
        self.structure: Structure = (tuple, None, tuple(self.structures))

    def trees(self, inputs: Sequence[Any]) -> list[Any]:
        """These numbers as the arguments to differentiate by, one tree each."""
        supply = iter(inputs)
        return [unflatten(structure, supply) for structure in self.structures]

    def arguments(self, inputs: Sequence[Any]) -> list[Any]:
        """The arguments with these numbers in them."""
        given = list(self.args)
        for k, tree in zip(self.argnums, self.trees(inputs), strict=True):
            given[k] = tree
        return given
