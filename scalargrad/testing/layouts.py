"""Trees of numbers and of arrays, of any library, taken apart into a flat list and put together again.

Arrays of NumPy are taken apart with the trees that hold them. Those of other libraries are known by their protocols: a
shape, a dtype and `tolist`, and a way to make another of their kind, which is the array API's `__array_namespace__`
(JAX and whoever follows it) or `new_tensor` (PyTorch).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice, product
from math import prod
from typing import Any

from ..engine.value import Value
from ..transforms.trees import LEAF, Structure, flatten, paths, unflatten


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


def shape_of(structure: Structure) -> tuple[int, ...]:
    return structure[1] if isinstance(structure[1], tuple) else (structure[2],)


class Layout:
    """Where the numbers of a tree are: `numbers`, the `paths` to them, and the `structure`.

    In it an array is `(kind, shape, count)`.
    """

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
