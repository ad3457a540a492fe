"""Trees: numbers in lists, tuples, dicts, dataclasses, arrays and registered classes, taken apart and put together.

Derivatives, compiled functions and saved states all need the same answer to "which numbers are in here, in which order,
and what holds them?". A structure is a hashable description: two arguments with equal structures can stand in for each
other. What holds numbers besides lists, tuples and dicts is a `Container`; rooms above add those of other libraries.
"""

from __future__ import annotations

import operator
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from numbers import Real
from typing import Any, NamedTuple

from ..engine.value import Value

# LEAF, or (type, keys or what else tells it apart, structures of the children); the number of children alone where all
# of them are leaves, as in an array; (Static, the object, ()) for what is no number and is carried along.
Structure = Any
LEAF = "*"


def _exact(x: Any) -> Any:
    """A key of which 1, 1.0 and True, and 0.0 and -0.0, are different: what they are in a result. Likewise what holds
    them and is equal where they are: tuples, frozen sets and dataclasses, and Decimals, which may differ in digits."""
    if isinstance(x, tuple):
        return type(x), tuple([_exact(each) for each in x])
    if isinstance(x, frozenset):
        return type(x), frozenset([_exact(each) for each in x])
    if hasattr(x, "__array_interface__"):
        return type(x), x.dtype.str, x.shape, x.tobytes()
    kind: Any = type(x)
    if getattr(kind, "__dataclass_fields__", None) and kind.__dataclass_params__.eq and kind.__hash__ is not None:
        fields = [each.name for each in kind.__dataclass_fields__.values() if each.compare]
        return kind, x, tuple([_exact(getattr(x, name, None)) for name in fields])
    return kind, repr(x) if isinstance(x, int | float) else x, str(x) if kind.__name__ == "Decimal" else ""


class Keys(tuple[Any, ...]):
    """Keys of a dict, told apart by `_exact`."""

    __slots__ = ()

    def _exact(self) -> Any:
        return _exact(tuple(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and self._exact() == _exact(tuple(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._exact())


class Static:
    """Something that a function gets as it is, a str or the number of a loop: part of a structure, and no leaf."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any, what: str = "argument") -> None:
        self.value = value
        self.key = _exact(value)
        try:
            hash(self.key)
        except TypeError:
            raise TypeError(
                f"{what}: what is static is part of what a trace is found by, and a {type(value).__name__} has no hash"
            ) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> Any:
        return Static, (self.value,)

    def holds(self, x: Any) -> bool:
        """Whether another object is the same, as far as a trace is concerned."""
        return bool(_exact(x) == self.key)


def is_static(x: Any) -> bool:
    """Whether something is carried along: None, a str, an enumeration, or what can be called, a function or model."""
    if x is None or isinstance(x, str) or (callable(x) and not isinstance(x, Real)):
        return True
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(x, enum.Enum)


class Container(NamedTuple):
    """A type that holds numbers, as functions of its objects.

    `take` gives what tells an object apart from others of its type (hashable) and its children, or None for one that is
    a leaf after all; `build` makes one of both, `argument` one that a function is given, if that is another. For
    messages: `places`, how Python writes the place of each child, if not by an index, and `described`, what it is. The
    children of a `flat` one are all leaves. Objects of `kind` are built.
    """

    kind: type
    take: Callable[[Any], tuple[Any, Sequence[Any]] | None]
    build: Callable[[Any, list[Any]], Any]
    flat: bool = False
    argument: Callable[[Any, list[Any]], Any] | None = None
    places: Callable[[Any], Iterable[str]] | None = None
    described: Callable[[Any], str] | None = None


_containers: dict[type, Container | None] = {}
finders: list[Callable[[type], Container | None]] = []  # of rooms above, for types of other libraries


def container(kind: type) -> Container | None:
    """What is known of a type; None for lists, tuples and dicts, which are written out, and for leaves."""
    if kind in _containers:
        return _containers[kind]
    found = _dataclass(kind) if hasattr(kind, "__dataclass_fields__") else None
    for find in finders:
        found = found or find(kind)
    return _containers.setdefault(kind, found)


def register_pytree_node(
    cls: type, flatten_func: Callable[[Any], tuple[Any, Any]], unflatten_func: Callable[[Any, Any], Any]
) -> None:
    """Have objects of a class hold numbers, for derivatives and compiled functions.

    - `flatten_func(x)` returns `(children, aux)`: a sequence of numbers, or of whatever holds numbers, and what else
      the object needs, hashable.
    - `unflatten_func(aux, children)` makes an object of them; its children are numbers, `Value`s or derivatives.

    Raises `TypeError` for what is no class. Named as in JAX.

    >>> from scalargrad import grad, register_pytree_node
    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> register_pytree_node(Point, lambda p: ((p.x, p.y), None), lambda aux, children: Point(*children))
    >>> g = grad(lambda p: p.x * p.x * p.y)(Point(3.0, 5.0)); (g.x, g.y)
    (30.0, 9.0)
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_pytree_node: expected a class, got {type(cls).__name__}")

    def take(x: Any) -> tuple[Any, Sequence[Any]]:
        taken = flatten_func(x)
        if not isinstance(taken, tuple) or len(taken) != 2:
            raise TypeError(f"register_pytree_node: of a {cls.__name__}, expected (children, aux), got {shown(taken)}")
        children, aux = taken
        try:
            hash(aux)
        except TypeError:
            what = f"what is said of a {cls.__name__} beside its children"
            raise TypeError(f"register_pytree_node: {what} must be hashable, got {shown(aux)}") from None
        return aux, list(children)

    _containers[cls] = Container(cls, take, unflatten_func)


def _dataclass(kind: type) -> Container:
    """A dataclass by its fields. What a function is given is made by its `__init__`, so that fields that are computed
    there depend on the others; a derivative, or a result, is not, as it need not pass checks of a user's own. Where
    that does not make what was given, as with an `InitVar`, or a field changed since, it is an error, or a guard."""
    import dataclasses  # loaded already where somebody has one

    fields = dataclasses.fields(kind)
    names = [each.name for each in fields]

    def build(aux: Any, children: list[Any]) -> Any:
        made: Any = object.__new__(kind)
        for name, child in zip(names, children, strict=True):
            object.__setattr__(made, name, child)
        return made

    def argument(aux: Any, children: list[Any]) -> Any:
        try:
            made = kind(**{each.name: child for each, child in zip(fields, children, strict=True) if each.init})
        except TypeError as error:
            error.add_note(f"a {kind.__name__} is made of its fields; for another way see register_pytree_node")
            raise
        for name, child in zip(names, children, strict=True):
            if not _same(getattr(made, name), child):
                raise TypeError(
                    f"{kind.__name__}.{name}: __init__ makes another of the fields than was given, by an InitVar or a "
                    "change since; say how such objects are made by register_pytree_node"
                )
        return made

    def take(x: Any) -> tuple[Any, Sequence[Any]]:
        return None, [getattr(x, name) for name in names]

    return Container(kind, take, build, argument=argument, places=lambda aux: [f".{name}" for name in names])


def _same(made: Any, given: Any) -> bool:
    """Whether a field that `__init__` made is the one given, up to the rounding of other functions than ours. Numbers
    alone, as measuring moves them, are not asked."""
    if made is given:
        return True
    (ours, structure), (theirs, wanted) = flatten(made), flatten(given)
    moved = [(a, b) for a, b in zip(ours, theirs, strict=False) if a is not b and isinstance(b, Value)]
    return structure == wanted and all(abs(a - b) <= 1e-9 * abs(b) or a == b or (a != a and b != b) for a, b in moved)


class _Numbers(list[Any]):
    """What stands for an `array.array` where its numbers are `Value`s."""


for _kind in (array, _Numbers):
    _containers[_kind] = Container(
        array,
        lambda x: None if isinstance(x, array) and x.typecode not in "dfbBhHiIlLqQ" else (None, list(x)),
        lambda aux, xs: array("d", xs) if all(type(x) is float for x in xs) else _Numbers(xs),
        flat=True,
    )


def flatten(tree: Any, what: str = "argument", static: bool = False) -> tuple[list[Any], Structure]:
    """The leaves of a tree in order, and its structure. Dicts keep the order of their keys.

    Everything that holds no numbers is a leaf; whether it is a number is for the caller to say. With `static`, what
    `is_static` says is none. Named tuples keep their type; other subclasses of list and dict come back as list and
    dict.

    >>> flatten({"w": [1, 2], "b": 3})
    ([1, 2, 3], (<class 'dict'>, ('w', 'b'), ((<class 'list'>, None, ('*', '*')), '*')))
    """
    leaves: list[Any] = []
    return leaves, _walk(tree, (), leaves, what, static)


def _walk(node: Any, inside: tuple[int, ...], leaves: list[Any], what: str, static: bool) -> Structure:
    # Not a closure: one that calls itself is a reference cycle, which would keep the leaves' graphs alive.
    kind = type(node)
    if kind is float or issubclass(kind, Value):
        leaves.append(node)
        return LEAF
    known = _containers[kind] if kind in _containers else container(kind)
    found = taken(node, known)
    if found is None:
        if kind is Static or (static and is_static(node)):
            return (Static, node if kind is Static else Static(node, what), ())
        leaves.append(node)
        return LEAF
    if id(node) in inside:
        raise ValueError(f"{what}: a {kind.__name__} that contains itself")
    holder, aux, children = found
    if known is not None and known.flat and holder is known.kind:
        leaves += children
        return (holder, aux, len(children))
    inside = (*inside, id(node))
    if all(each is float or issubclass(each, Value) for each in set(map(type, children))):
        leaves += children
        return (holder, aux, (LEAF,) * len(children))
    return (holder, aux, tuple([_walk(child, inside, leaves, what, static) for child in children]))


def taken(x: Any, known: Container | None) -> tuple[Any, Any, Sequence[Any]] | None:
    """What holds numbers, taken apart: its kind, what else tells it apart, and its children; None for a leaf. `known`
    is what is known of its type."""
    if known is not None and (found := known.take(x)) is not None:
        return (known.kind, *found)
    if isinstance(x, list):
        return list, None, x
    if isinstance(x, dict):
        keys = tuple(x)
        return dict, Keys(keys) if set(map(type, keys)) - {str} else keys, [*x.values()]
    return (type(x), None, x) if isinstance(x, tuple) else None


def unflatten(structure: Structure, leaves: Iterable[Any], role: str = "result") -> Any:
    """The tree of that structure with these leaves: as a "result", a function's "argument", or a "derivative", which
    has None where something is static.

    >>> unflatten(flatten({"w": [1, 2], "b": 3})[1], "xyz")
    {'w': ['x', 'y'], 'b': 'z'}
    """
    return _build(structure, iter(leaves), role)


def _build(part: Structure, supply: Iterator[Any], role: str) -> Any:
    if part == LEAF:
        return next(supply)
    kind, keys, children = part
    if kind is Static:
        return None if role == "derivative" else keys.value
    count = children if type(children) is int else len(children)
    if children == count or children.count(LEAF) == count:
        built = list(islice(supply, count))
    else:
        built = [_build(child, supply, role) for child in children]
    return held(kind, keys, built, role)


def held(kind: type, keys: Any, built: list[Any], role: str = "result") -> Any:
    """What holds these children, the other way around than `taken`."""
    known = _containers[kind] if kind in _containers else container(kind)
    if known is not None:
        return (known.argument if role == "argument" and known.argument else known.build)(keys, built)
    if kind is dict:
        return dict(zip(keys, built, strict=True))
    return built if kind is list else tuple.__new__(kind, built)  # whatever its own __new__ takes


def replaced(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The tree with its leaves changed; what holds none that becomes another stays the object that it is.

    >>> kept = [2]
    >>> replaced(([1.5], kept), int)[1] is kept
    True
    """
    leaves, structure = flatten(tree)
    changed = [change(x) for x in leaves]
    if all(map(operator.is_, leaves, changed)):
        return tree
    if structure == LEAF or type(structure[2]) is int:
        return unflatten(structure, changed)
    children = [replaced(child, change) for child in _children_like(tree, structure, "a tree")]
    return held(structure[0], structure[1], children)


def leaves_like(tree: Any, structure: Structure, what: str) -> list[Any]:
    """The leaves of a tree that must have a given structure, in that structure's order; dicts match by key.

    Raises `ValueError`, naming the place, where the two differ.

    >>> leaves_like({"b": 3, "w": [1, 2]}, flatten({"w": [0, 0], "b": 0})[1], "p")
    [1, 2, 3]
    """
    if structure == LEAF:
        if flatten(tree)[1] != LEAF:
            raise ValueError(f"{what}: expected a number, got {described(flatten(tree)[1])}")
        return [tree]
    kind, keys, children = structure
    if kind is Static:
        if tree is not None and Static(tree, what) != keys:
            raise ValueError(f"{what}: expected None, or {keys.value!r}, which is no number, got {shown(tree)}")
        return []
    found = _children_like(tree, structure, what)
    if type(children) is int:
        return found
    found_leaves: list[Any] = []
    for child, part, place in zip(found, children, steps(structure), strict=True):
        found_leaves += leaves_like(child, part, f"{what}{place}")
    return found_leaves


def _children_like(tree: Any, structure: Structure, what: str) -> list[Any]:
    """The children of a tree that must have a given structure at its root, in that structure's order."""
    kind, keys, children = structure
    of, aux, inside = taken(tree, container(type(tree))) or (None, None, ())
    if of is not None and len(inside) == (children if type(children) is int else len(children)):
        if of is kind is dict:
            if any(key not in tree for key in keys):
                raise ValueError(f"{what}: expected the keys {list(keys)}, got {list(tree)}")
            return [tree[key] for key in keys]
        both_tuples = container(of) is container(kind) is None and issubclass(of, tuple) and issubclass(kind, tuple)
        if both_tuples or (of is kind and aux == keys):
            return list(inside)
    got = repr(tree) if flatten(tree)[1] == LEAF else described(flatten(tree)[1])
    raise ValueError(f"{what}: expected {described(structure)}, got {got}")


def described(structure: Structure) -> str:
    """What holds the numbers at the root of a structure, for messages.

    >>> described(flatten([1, 2])[1])
    'a list of 2'
    """
    if structure == LEAF:
        return "a number"
    kind, keys, children = structure
    if kind is Static:
        return shown(keys.value)
    known = container(kind)
    if known is not None and known.described is not None:
        return known.described(keys)
    article = "an" if kind is array else "a"
    return f"{article} {kind.__name__} of {children if type(children) is int else len(children)}"


def steps(structure: Structure) -> Iterable[str]:
    """How Python writes the place of each child below its parent."""
    kind, keys, children = structure
    count = children if type(children) is int else len(children)
    if (known := container(kind)) is not None:
        keys = None
        if known.places is not None:
            return known.places(structure[1])
    return [f"[{key!r}]" for key in keys or range(count)]


def without_static(structure: Structure) -> Structure:
    """The structure with None where something is static: equal for those that differ in that alone."""
    if structure == LEAF or type(structure[2]) is int or structure[2].count(LEAF) == len(structure[2]) > 0:
        return structure
    kind, keys, children = structure
    return (kind, None if kind is Static else keys, tuple([without_static(child) for child in children]))


def paths(structure: Structure, root: str = "") -> Iterator[str]:
    """The place of each leaf as Python would write it, for messages.

    >>> list(paths(flatten({"w": [1, 2], "b": 3})[1], "p"))
    ["p['w'][0]", "p['w'][1]", "p['b']"]
    """
    return (place for place, part in _places(structure, root) if part == LEAF)


def statics(structure: Structure, root: str = "") -> Iterator[tuple[str, Static]]:
    return ((place, part[1]) for place, part in _places(structure, root) if part != LEAF)


def _places(structure: Structure, root: str) -> Iterator[tuple[str, Structure]]:
    if structure == LEAF or structure[0] is Static:
        yield root, structure
        return
    children = structure[2]
    for step, child in zip(steps(structure), (LEAF,) * children if type(children) is int else children, strict=True):
        if child == LEAF:
            yield f"{root}{step}", child
        else:
            yield from _places(child, f"{root}{step}")


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
