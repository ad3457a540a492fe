"""Nested lists, tuples and dicts of numbers, taken apart and put together again.

Derivatives, compiled functions and saved states all need the same answer to "which numbers are in here, in which order,
and what holds them?". A structure is a hashable description: two arguments with equal
structures can stand in for each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

Structure = Any  # LEAF, or (type, keys or None, structures of the children)
LEAF = "*"


class Keys(tuple[Any, ...]):
    """Keys of a dict, of which 1, 1.0 and True, and 0.0 and -0.0, are different: what they are in a result."""

    __slots__ = ()

    def _exact(self) -> tuple[Any, ...]:
        return tuple([(type(key), repr(key) if isinstance(key, int | float) else key) for key in self])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and Keys._exact(self) == Keys._exact(other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._exact())


def flatten(tree: Any, what: str = "argument") -> tuple[list[Any], Structure]:
    """The leaves of a tree in order, and its structure. Dicts keep the order of their keys.

    Everything that is not a list, tuple or dict is a leaf; whether it is a number is for the caller to say. Named
    tuples keep their type; other subclasses of list and dict come back as list and dict.

    >>> flatten({"w": [1, 2], "b": 3})
    ([1, 2, 3], (<class 'dict'>, ('w', 'b'), ((<class 'list'>, None, ('*', '*')), '*')))
    """
    leaves: list[Any] = []
    return leaves, _walk(tree, (), leaves, what)


def _walk(node: Any, inside: tuple[int, ...], leaves: list[Any], what: str) -> Structure:
    # Not a closure: one that calls itself is a reference cycle, which would keep the leaves' graphs alive.
    if not isinstance(node, list | tuple | dict):
        leaves.append(node)
        return LEAF
    if id(node) in inside:
        raise ValueError(f"{what}: a {type(node).__name__} that contains itself")
    inside = (*inside, id(node))
    if isinstance(node, dict):
        keys = tuple(node)
        if any(type(key) is not str for key in keys):
            keys = Keys(keys)
        return (dict, keys, tuple([_walk(child, inside, leaves, what) for child in node.values()]))
    kind = list if isinstance(node, list) else type(node)
    return (kind, None, tuple([_walk(child, inside, leaves, what) for child in node]))


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree of that structure with these leaves.

    >>> unflatten(flatten({"w": [1, 2], "b": 3})[1], "xyz")
    {'w': ['x', 'y'], 'b': 'z'}
    """
    return _build(structure, iter(leaves))


def _build(part: Structure, supply: Iterator[Any]) -> Any:
    if part == LEAF:
        return next(supply)
    kind, keys, children = part
    built = [_build(child, supply) for child in children]
    if kind is dict:
        return dict(zip(keys, built, strict=True))
    return built if kind is list else tuple.__new__(kind, built)  # whatever its own __new__ takes


def leaves_like(tree: Any, structure: Structure, what: str) -> list[Any]:
    """The leaves of a tree that must have a given structure, in that structure's order; dicts match by key.

    Raises `ValueError`, naming the place, where the two differ.

    >>> leaves_like({"b": 3, "w": [1, 2]}, flatten({"w": [0, 0], "b": 0})[1], "p")
    [1, 2, 3]
    """
    if structure == LEAF:
        if isinstance(tree, list | tuple | dict):
            raise ValueError(f"{what}: expected a number, got a {type(tree).__name__}")
        return [tree]
    kind, keys, children = structure
    wanted = f"a {kind.__name__} of {len(children)}"
    if not isinstance(tree, dict if kind is dict else list if kind is list else tuple) or len(tree) != len(children):
        found = f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, list | tuple | dict) else repr(tree)
        raise ValueError(f"{what}: expected {wanted}, got {found}")
    found_leaves: list[Any] = []
    for key, child in zip(keys or range(len(children)), children, strict=True):
        if kind is dict and key not in tree:
            raise ValueError(f"{what}: expected the keys {list(keys)}, got {list(tree)}")
        found_leaves += leaves_like(tree[key], child, f"{what}[{key!r}]")
    return found_leaves


def paths(structure: Structure, root: str = "") -> Iterator[str]:
    """The place of each leaf as Python would write it, for messages.

    >>> list(paths(flatten({"w": [1, 2], "b": 3})[1], "p"))
    ["p['w'][0]", "p['w'][1]", "p['b']"]
    """
    if structure == LEAF:
        yield root
        return
    _, keys, children = structure
    for key, child in zip(keys or range(len(children)), children, strict=True):
        yield from paths(child, f"{root}[{key!r}]")


def is_number(x: Any) -> bool:
    """Whether something read from JSON is a number that a float can hold; `true` and `false` are none.

    >>> is_number(3), is_number(True), is_number(10**400)
    (True, False, False)
    """
    return type(x) is float or (type(x) is int and abs(x) <= sys.float_info.max)


def shown(x: Any) -> str:
    """What was found in a saved state instead of what belongs there, in few words, however large or deep it is.

    >>> shown("abc"), shown([[1, 2], 3]), shown(10**5000)
    ("'abc'", 'a list of 2 item(s)', 'an integer beyond the range of floats')
    """
    if isinstance(x, dict | list | tuple):
        return f"a {type(x).__name__} of {len(x)} item(s)"
    if type(x) is int and not is_number(x):
        return "an integer beyond the range of floats"
    return f"{x!r:.80}"
