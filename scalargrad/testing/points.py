"""The arguments of a function under test as one flat list of inputs, and its results as one of numbers.

This stands apart because it is all that checking needs to know of trees, arrays and number types.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from ..engine.table import as_float
from ..engine.trees import Structure, flatten, paths, unflatten
from ..engine.value import Value


def numbers(tree: Any, what: str) -> list[Any]:
    """The numbers of a tree as floats, or as complex where they are; arrays are taken apart."""
    leaves, _ = flatten(tree, what)
    found: list[Any] = []
    for x in leaves:
        if isinstance(x, float | complex) and type(x) in (float, complex):
            found.append(x)
        elif isinstance(x, Value):
            found.append(x.data)
        elif hasattr(x, "tolist"):
            found += numbers(x.tolist(), what)
        else:
            found.append(as_float(x, what))
    return found


class Point:
    """The arguments, taken apart into a flat list of inputs."""

    def __init__(self, args: Sequence[Any], argnums: int | Sequence[int] | None) -> None:
        if not isinstance(args, list | tuple):
            raise TypeError(
                f"args: expected a tuple with one entry an argument, such as (0.5,), got {type(args).__name__}"
            )
        self.args = list(args)
        every = range(len(args)) if argnums is None else [argnums] if isinstance(argnums, int) else argnums
        for k in every:
            if not isinstance(k, int) or not -len(args) <= k < len(args):
                raise ValueError(f"argnums: {k!r} is not the position of one of {len(args)} argument(s)")
        self.argnums = tuple(k % len(args) for k in every)
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

    def arguments(self, inputs: Sequence[Any]) -> list[Any]:
        """The arguments with these numbers in them."""
        supply = iter(inputs)
        given = list(self.args)
        for k, structure in zip(self.argnums, self.structures, strict=True):
            given[k] = unflatten(structure, supply)
        return given
