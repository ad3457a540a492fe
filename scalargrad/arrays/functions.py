"""NumPy's functions that are no ufuncs, on arrays of `Value`s: those of ours by name, all others as NumPy writes them.

What NumPy composes of ufuncs, shapes and sorting works as it stands, since the ufuncs are ours. What it computes in
floats only says so.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy

from ..engine.rendering import register
from ..engine.value import Value
from ..functions import primitives
from . import linalg
from .ufuncs import check_dtype, matmul, reduced, stored
from .values import Array, filled, plain, wrapped


def _of(x: Any, nested: bool) -> Any:
    """An argument as NumPy's functions take it: a `Value` as an array of none dimensions; a list of them as an
    array, unless the function makes one of `nested` lists itself."""
    if isinstance(x, Value):
        return plain(x).view(Array)
    if type(x) not in (list, tuple):
        return x
    several = any(isinstance(each, list | tuple | numpy.ndarray) for each in x)
    if not nested and not several and any(isinstance(each, Value) for each in x):
        return wrapped(numpy.array(x, object))
    return type(x)([_of(each, nested) for each in x])


@numpy.errstate(all="ignore")  # of loops over objects: rows are total, and warn of nothing
def call(function: Any, types: Any, arguments: Any, options: Any) -> Any:
    """What NumPy hands over where an argument of one of its functions is a `Value` or an `Array`."""
    ours = _FUNCTIONS.get(function)
    if ours is not None:
        out = options.pop("out", None)
        found = wrapped(ours(*arguments, **options))
        return found if out is None else stored(found, out, f"np.{function.__name__}")
    nested = function is numpy.block
    arguments, options = [_of(x, nested) for x in arguments], {name: _of(x, nested) for name, x in options.items()}
    try:
        found = function._implementation(*arguments, **options)
    except (TypeError, AttributeError) as error:
        error.add_note(
            f"np.{function.__name__} of Values: if it cannot, write it in ufuncs, sums, where, dot and indexing"
        )
        raise
    return type(found)(map(wrapped, found)) if type(found) in (list, tuple) else wrapped(found)


_where = numpy.frompyfunc(primitives.where, 3, 1)


def where(condition: Any, *arms: Any) -> Any:
    if not arms:
        return numpy.nonzero(numpy.asarray(condition).astype(bool))
    return _where(plain(condition), *map(plain, arms))


def select(condlist: Any, choicelist: Any, default: Any = 0.0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError(f"np.select: {len(condlist)} conditions for {len(choicelist)} choices")
    found = default
    for condition, choice in reversed([*zip(condlist, choicelist, strict=True)]):
        found = where(condition, choice, found)
    return found


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    largest = float(numpy.finfo(float).max)
    found = where(numpy.equal(x, inf), largest if posinf is None else posinf, x)
    found = where(numpy.equal(x, -inf), -largest if neginf is None else neginf, found)
    return where(numpy.isnan(x), nan, found)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    dst[...] = _where(plain(where), plain(src), plain(dst))


def _like(fill: float) -> Callable[..., Any]:
    def made(x: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
        shape = numpy.shape(x) if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if dtype is not None and numpy.dtype(dtype).kind not in "fO":
            return numpy.full(shape, fill, dtype)
        return filled(shape, [fill] * int(numpy.prod(shape)))

    return made


def full_like(x: Any, fill_value: Any, **options: Any) -> Any:
    made = _like(0.0)(x, **options)
    made[...] = fill_value
    return made


def dot(a: Any, b: Any) -> Any:
    if numpy.ndim(a) == 0 or numpy.ndim(b) == 0:
        return numpy.multiply(a, b)
    if numpy.ndim(b) > 2:
        return numpy.tensordot(a, b, axes=(numpy.ndim(a) - 1, numpy.ndim(b) - 2))
    return matmul(a, b)


def mean(x: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False, where: Any = True) -> Any:
    check_dtype(dtype, "np.mean")
    return reduced(primitives.mean, None, "np.mean", x, axis, keepdims, None, where)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{getattr(numpy, of.__name__): of for of in (where, select, nan_to_num, copyto, full_like, dot, mean)},
    numpy.zeros_like: _like(0.0),
    numpy.empty_like: _like(0.0),
    numpy.ones_like: _like(1.0),
    numpy.copy: lambda x, **_: x.copy(),
    **linalg.FUNCTIONS,
}
register("array function", call)  # in the place of what has imported this
