"""The arguments of a function under test as one flat list of inputs, and its results as one of numbers.

Arrays of NumPy are taken apart with the trees that hold them. Those of other libraries are known by their protocols: a
shape, a dtype and `tolist`, and a way to make another of their kind, which is the array API's `__array_namespace__`
(JAX and whoever follows it) or `new_tensor` (PyTorch).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice, product
from math import isfinite, prod
from operator import index, mul
from typing import Any

from ..engine.primitive import as_float
from ..engine.value import Value
from ..transforms.trees import LEAF, Static, Structure, container, flatten, paths, unflatten


def is_array(x: Any) -> bool:
    """Whether something is an array of another library than NumPy, by its protocols."""
    ours = type(x).__module__.partition(".")[0] == "numpy"
    return not ours and all(hasattr(x, name) for name in ("shape", "dtype", "tolist"))


def flat(count: int) -> Structure:
    """The structure of a list of so many numbers."""
    return (list, None, (LEAF,) * count)


def size(structure: Structure) -> int:
    """How many numbers there are in a tree of that structure."""
    if structure == LEAF:
        return 1
    return structure[2] if isinstance(structure[2], int) else sum(map(size, structure[2]))


class Layout:
    """Where a tree's numbers are: `numbers`, their `paths`, the `structure`; an array is `(kind, shape, count)`."""

    def __init__(self, tree: Any, what: str) -> None:
        self.what = what
        leaves, self.whole = flatten(tree, what, static=True)
        self.leaves = len(leaves)
        self.arrays: dict[int, Any] = {}  # of other libraries, by their place among the leaves
        self.numbers: list[Any] = []
        self.paths: list[str] = []
        parts: list[Structure] = []
        for k, (x, path) in enumerate(zip(leaves, paths(self.whole, what), strict=True)):
            if not is_array(x):
                self.numbers.append(x)
                self.paths.append(path)
                parts.append(LEAF)
                continue
            self.arrays[k] = x
            places = list(product(*map(range, x.shape)))
            self.numbers += flattened(x.tolist())
            self.paths += [f"{path}[{', '.join(map(str, place))}]" for place in places] if x.shape else [path]
            parts.append((list, tuple(x.shape), len(places)) if x.shape else LEAF)
        self.structure = _with(self.whole, iter(parts))

    def only_float64(self) -> None:
        """Raise `TypeError` for arrays of other libraries that do not hold what stencils need."""
        for k, x in self.arrays.items():
            if not str(x.dtype).endswith("float64"):
                place = list(paths(self.whole, self.what))[k]
                raise TypeError(
                    f"{place}: a {type(x).__name__} of {x.dtype}; derivatives are measured by numbers of float64: "
                    "convert it, or name the other arguments in argnums="
                )

    def build(self, numbers: Sequence[Any], role: str = "derivative") -> Any:
        """The tree with these numbers in it; `role` as for `unflatten`."""
        supply, leaves = iter(numbers), []
        for k in range(self.leaves):
            like = self.arrays.get(k)
            leaves.append(next(supply) if like is None else array_like(like, list(islice(supply, prod(like.shape)))))
        return unflatten(self.whole, leaves, role)


def flattened(x: Any) -> list[Any]:
    """The numbers in nested lists."""
    return [each for part in x for each in flattened(part)] if isinstance(x, list) else [x]


def array_like(like: Any, numbers: Sequence[Any]) -> Any:
    """An array of that kind, dtype and shape, of these numbers."""
    if any(isinstance(x, Value | complex) for x in numbers):
        raise TypeError(
            f"without gradient=, the function is to be written in scalargrad's functions, but a {type(like).__name__} "
            "holds floats alone"
        )
    shape = tuple(like.shape)
    if hasattr(like, "__array_namespace__"):
        many = len(numbers) > 1  # through a buffer, an order of magnitude faster
        given: Any = memoryview(array("d", numbers)) if many else list(numbers)
        return like.__array_namespace__().asarray(given, dtype=like.dtype).reshape(shape)
    if hasattr(like, "new_tensor"):
        made = like.new_tensor(numbers).reshape(shape)
        return made.requires_grad_() if like.requires_grad and like.is_leaf else made
    raise TypeError(
        f"a {type(like).__name__} has neither __array_namespace__ nor new_tensor: give a list (x.tolist()), and "
        "convert it in the function"
    )


def _with(structure: Structure, parts: Iterator[Structure]) -> Structure:
    """A structure with the next of these parts for each leaf outside of arrays."""
    if structure == LEAF:
        return next(parts)
    kind, keys, children = structure
    if isinstance(children, int):
        list(islice(parts, children))
        return (list, keys, children)
    return (kind, keys, tuple([_with(child, parts) for child in children]))


def numbers(tree: Any, what: str, like: Structure | None = None) -> list[Any]:
    """The numbers of a tree as floats, or as complex where they are; arrays are taken apart.

    The dicts of a tree `like` that of the arguments match by key, whatever the order of theirs; brackets around a
    single thing may be there or not. Raises `ValueError` for other keys, and for a dict where there is none.
    """
    if hasattr(tree, "tolist"):
        tree = tree.tolist()
    if not isinstance(tree, list | tuple | dict):
        return [_number(tree, what)]
    if like is None:
        return [x for leaf in flatten(tree, what)[0] for x in numbers(leaf, what)]
    at_leaf: Structure = (tuple, None, ())
    kind, keys, children = at_leaf if like == LEAF else like
    children = (LEAF,) * children if isinstance(children, int) else children
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


def ordered(
    tree: Any, what: str, levels: Sequence[Structure], number: Callable[[Any, str], Any] = _number
) -> list[Any]:
    """The numbers of a tree of derivatives: for each of the first level's the second level's, and so on.

    Two forms are known. Where a level is an array, its axes come in front of those of the next level's arrays, at the
    leaves of the trees of all levels, as in JAX and PyTorch; there the arrays' shapes must be these. Everything else is
    a tree of the last level at each number of those before it, as `numbers` reads it.
    """
    placed = _placed(tree, what, levels, [0], ())
    if placed is None:  # keys, if there are any, say what is what; else the order alone
        like = each_by(levels)
        return numbers(tree, what, like if _has_dict(like) else None)
    found = {place: number(x, what) for place, x in placed}
    return [found[k] for k in range(len(found))]


def _placed(
    tree: Any, what: str, levels: Sequence[Structure], places: list[int], shape: tuple[int, ...]
) -> list[tuple[int, Any]] | None:
    """What is laid out by levels, each with its place; `places` are those in the levels before. None for the rest."""
    if not levels:
        given = flattened(tree.tolist() if hasattr(tree, "tolist") else tree)
        its = tuple(getattr(tree, "shape", ()))
        # Axes next to each other may be one, as of a matrix with a row an output; any other shape is another claim.
        if prod(its) == prod(shape) and not {*accumulate(its, mul)} <= {1, *accumulate(shape, mul)}:
            raise ValueError(f"{what}: expected an array of shape {shape}, got an array of shape {its}")
        fits = its == shape and len(given) == len(places) and not any(isinstance(x, tuple | dict) for x in given)
        return list(zip(places, given, strict=True)) if fits else None
    alone = isinstance(tree, tuple) and len(tree) == 1 and (levels[0] == LEAF or levels[0][0] is not tuple)
    stack = [(tree[0] if alone else tree, levels[0])]
    start, count, found = 0, size(levels[0]), []
    while stack:
        part, like = stack.pop()
        if like == LEAF or isinstance(like[2], int):
            inside = range(start, start + size(like))
            deeper = [place * count + k for place in places for k in inside]
            own = () if like == LEAF else like[1] if isinstance(like[1], tuple) else (like[2],)  # its shape
            deep = _placed(part, what, levels[1:], deeper, shape + own)
            if deep is None:
                return None
            found += deep
            start += len(inside)
            continue
        kind, keys, children = like
        if kind is Static:
            continue
        known = container(type(part))
        taken = (None, part) if known is None else known.take(part)
        inner = taken[1] if taken else ()
        if kind is dict:
            inner = [part[key] for key in keys] if isinstance(part, dict) and set(part) == set(keys) else ()
        if not isinstance(inner, list | tuple) or len(inner) != len(children):
            return None
        stack += reversed(list(zip(inner, children, strict=True)))
    return found


def each_by(levels: Sequence[Structure]) -> Structure:
    """The structure of derivatives: at each number of a level the numbers of the next."""
    outer, *inner = levels
    if not inner:
        return outer
    if outer == LEAF:
        return each_by(inner)
    kind, keys, children = outer
    children = (LEAF,) * children if isinstance(children, int) else children
    return (kind, keys, tuple([each_by([child, *inner]) for child in children]))


def _has_dict(structure: Structure) -> bool:
    if structure == LEAF or isinstance(structure[2], int):
        return False
    return structure[0] is dict or any(map(_has_dict, structure[2]))


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
        self.layouts: list[Layout] = []
        for k in self.argnums:
            layout = Layout(args[k], f"args[{k}]")
            if layout.whole[0] is Static:
                as_float(args[k], f"args[{k}]")
            layout.only_float64()
            self.inputs += [as_float(x, place) for x, place in zip(layout.numbers, layout.paths, strict=True)]
            self.paths += layout.paths
            self.layouts.append(layout)
        if not self.inputs:
            raise ValueError("args: no number to differentiate by")
        for place, x in zip(self.paths, self.inputs, strict=True):
            if not isfinite(x):
                raise ValueError(f"{place}: {x!r}: derivatives are measured at finite numbers only")
        structures = tuple([each.structure for each in self.layouts])
        self.derivatives: Structure = (
            (tuple, None, structures) if len(structures) > 1 else structures[0]
        )  # of one number

    def trees(self, inputs: Sequence[Any], role: str = "derivative") -> list[Any]:
        """These numbers as the arguments to differentiate by, one tree each; `role` as for `unflatten`."""
        supply = iter(inputs)
        return [each.build(list(islice(supply, len(each.numbers))), role) for each in self.layouts]

    def arguments(self, inputs: Sequence[Any]) -> list[Any]:
        """The arguments with these numbers in them."""
        given = list(self.args)
        for k, tree in zip(self.argnums, self.trees(inputs, "argument"), strict=True):
            given[k] = tree
        return given
