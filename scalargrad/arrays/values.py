"""`Array`, an array of `Value`s, and how arrays of NumPy are taken apart and put together.

`Array` is a subclass of `numpy.ndarray` that holds objects: indexing, slicing, shapes, broadcasting and assignment are
NumPy's. Its operators, NumPy's ufuncs and other functions go by `ufuncs.py` and `functions.py`, through the protocols
`__array_ufunc__` and `__array_function__`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from operator import countOf
from typing import Any

import numpy

from ..engine import rendering
from ..engine.primitive import as_float, exact
from ..engine.value import Value
from ..transforms.trees import Container, container, held, taken

Plain = numpy.ndarray[Any, Any]


class Array(Plain):
    """What a function that is differentiated, or compiled, gets for an array: one of `Value`s, and of numbers.

    Numbers can be assigned, too. `np.zeros_like(x)` and its kin make another. NumPy's `np.array` and `np.asarray` make
    an array of objects of them that is NumPy's own, on which ties of `np.maximum` and its kin are as NumPy has them.
    """

    def __array_ufunc__(self, *given: Any, **options: Any) -> Any:
        return rendering.rendered("ufunc", *given, **options)

    def __array_function__(self, *given: Any) -> Any:
        return rendering.rendered("array function", *given)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_index(key))

    def __setitem__(self, key: Any, x: Any) -> None:
        super().__setitem__(_index(key), x[()] if isinstance(x, numpy.ndarray) and not x.ndim else x)

    def astype(self, dtype: Any, *options: Any, **named: Any) -> Any:
        return self.copy() if numpy.dtype(dtype).kind in "fO" else super().astype(dtype, *options, **named)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **options: Any) -> Any:
        return numpy.mean(self, axis=axis, dtype=dtype, out=out, keepdims=keepdims, **options)

    def dot(self, other: Any, out: Any = None) -> Any:
        return numpy.dot(self, other, out=out)


class Mask(Array):
    """An array of conditions: what a comparison is while a function is compiled. As an index: their truth."""


def _index(key: Any) -> Any:
    if isinstance(key, Mask):
        return plain(key).astype(bool)
    if isinstance(key, Array):
        raise TypeError(
            f"an index of shape {key.shape} that holds Values: its numbers would be lost. Indices and masks among the "
            "arguments of a compiled function are named in static_argnames"
        )
    if isinstance(key, Value):
        return bool(key) if hasattr(key, "__invert__") else operator.index(key)  # a condition, or it raises
    return tuple([_index(each) for each in key]) if type(key) is tuple else key


def plain(x: Any) -> Any:
    """An operand as NumPy's own array of objects, whose loops do not ask for ours."""
    if isinstance(x, Array):
        return x.view(numpy.ndarray)
    if isinstance(x, Value):
        return numpy.fromiter((x,), object, 1).reshape(())
    if isinstance(x, numpy.generic):  # as a number of Python's, of which a loop does not come back here
        return exact(x.item()) if x.dtype.kind in "fiu" else x.item()  # a bool stays one, of which & and | ask
    if isinstance(x, numpy.ma.MaskedArray):
        raise TypeError(f"a masked array of shape {x.shape}, whose mask would be lost: fill it, or index by ~x.mask")
    if isinstance(x, numpy.ndarray) and x.dtype.char == "g":  # whose elements are NumPy's even as objects
        return filled(x.shape, [exact(each) for each in x.ravel()]).view(numpy.ndarray)
    return x


def wrapped(x: Any) -> Any:
    """A result of NumPy's loops over objects: an `Array`, or the object alone."""
    if isinstance(x, numpy.ndarray) and x.dtype == object and not isinstance(x, Array):
        return x.view(Array) if x.ndim else x[()]
    return x


def filled(shape: tuple[int, ...], xs: Sequence[Any]) -> Array:
    return numpy.fromiter(xs, object, len(xs)).reshape(shape).view(Array)  # which asks them for nothing


def _taken(x: Any) -> tuple[Any, list[Any]] | None:
    """None for one that is not of real numbers, or has more than they: that raises where numbers are asked for."""
    if x.dtype.kind not in "fiubO" or x.dtype.itemsize > 8:
        return None
    if type(x) is not numpy.ndarray and isinstance(x, numpy.ma.MaskedArray | numpy.matrix):
        return None
    return x.shape, x.ravel().tolist()


def _built(shape: tuple[int, ...], xs: list[Any]) -> Any:
    if countOf(map(type, xs), float) == len(xs) or all(isinstance(x, float | int) for x in xs):
        return numpy.array(xs, numpy.float64).reshape(shape)
    if all(isinstance(x, Value | float | int) for x in xs):
        return filled(shape, xs)
    if all(isinstance(x, complex | float) for x in xs):  # a function's argument in a complex step
        return numpy.array(xs, numpy.complex128).reshape(shape)
    return _stacked(shape, xs)


def _stacked(shape: tuple[int, ...], trees: list[Any]) -> Any:
    """An array of trees of one structure as such a tree, of arrays: what a Jacobian is."""
    first = trees[0]
    if isinstance(first, numpy.ndarray):
        flat = [x for tree in trees for x in tree.ravel().tolist()]
        return _built(shape + first.shape, flat)
    known = container(type(first))
    if first is None or (found := taken(first, known)) is None:
        return None if first is None else _built(shape, trees)
    columns = zip(*[each[2] for tree in trees if (each := taken(tree, known))], strict=True)
    return held(*found[:2], [_stacked(shape, list(column)) for column in columns])


def _places(shape: tuple[int, ...]) -> Iterable[str]:
    return [f"[{', '.join(map(str, place))}]" if place else "[()]" for place in numpy.ndindex(*shape)]


CONTAINER = Container(numpy.ndarray, _taken, _built, True, None, _places, lambda shape: f"an array of shape {shape}")


def number(x: Any, what: str) -> Any:
    return x if isinstance(x, Value) else as_float(x, what)
