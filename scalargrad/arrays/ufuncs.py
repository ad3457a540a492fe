"""NumPy's ufuncs on `Value`s and arrays of them: each by its name, with values and derivatives of the table's row.

Loops, broadcasting and `out=` are those of `numpy.frompyfunc`; what runs in them is the row. A reduction is one node
for each lane, as `scalargrad.sum` is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from math import inf, pi
from typing import Any

import numpy

from ..engine import table
from ..engine.primitive import TABLE
from ..engine.rendering import register
from ..engine.value import Value
from ..functions import primitives
from .values import Array, Mask, filled, number, plain, wrapped


def _with_numbers(of_values: Callable[[Any, Any], Any], row: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """An operator of Python for `Value`s, and the row for numbers alone, where Python's raises or is complex."""
    return lambda a, b: of_values(a, b) if isinstance(a, Value) or isinstance(b, Value) else row(a, b)


# Rows that go by another name in NumPy, or in SciPy; those of the same name are found by it.
_ROWS = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "arctan2": "atan2", "absolute": "abs", "fabs": "abs", "rint": "round", "maximum": "max", "minimum": "min",
    "clip": "clamp", "logaddexp": "logsumexp", "expit": "sigmoid",
}  # fmt: skip
_NUMBERS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
    "divide": _with_numbers(operator.truediv, table.div), "remainder": _with_numbers(operator.mod, table.mod),
    **dict.fromkeys(("power", "float_power"), _with_numbers(operator.pow, table.pow)),
    "floor_divide": _with_numbers(operator.floordiv, table.floordiv),
    "negative": operator.neg, "positive": operator.pos, "conjugate": operator.pos, "square": lambda x: x * x,
    "reciprocal": lambda x: table.div(1.0, x),
    **dict.fromkeys(("deg2rad", "radians"), lambda x: x * (pi / 180.0)),
    **dict.fromkeys(("rad2deg", "degrees"), lambda x: x * (180.0 / pi)),
    "trunc": lambda x: primitives.where(x < 0.0, table.ceil(x), table.floor(x)),
    "heaviside": lambda x, at_zero: primitives.where(x == 0.0, at_zero, table.step(x)),
}  # fmt: skip
_CONDITIONS: dict[str, Callable[..., Any]] = {
    "less": operator.lt, "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge,
    "equal": operator.eq, "not_equal": operator.ne, "isnan": lambda x: x != x, "isinf": lambda x: abs(x) == inf,
    "isfinite": lambda x: abs(x) < inf, "logical_not": lambda x: x == 0.0,
    "logical_and": lambda a, b: (a != 0.0) & (b != 0.0), "logical_or": lambda a, b: (a != 0.0) | (b != 0.0),
    "logical_xor": lambda a, b: (a != 0.0) ^ (b != 0.0), "bitwise_and": operator.and_, "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor, "invert": lambda x: not x if isinstance(x, bool) else ~x,
}  # fmt: skip
_IDENTITIES = {"logical_and": True, "logical_or": False}
_LANES = {  # the row for each lane, and what it is of no numbers
    "add": (primitives.sum, 0.0), "multiply": (primitives.prod, 1.0), "maximum": (primitives.max, None),
    "minimum": (primitives.min, None), "logaddexp": (primitives.logsumexp, -inf),
}  # fmt: skip


@lru_cache(maxsize=256)
def loop(name: str, arity: int) -> Any:
    """The loops over objects that stand for a ufunc; None where there is no operation for it."""
    compute = operation(name)
    return None if compute is None else numpy.frompyfunc(compute, arity, 1, identity=_IDENTITIES.get(name))


def _of_objects(ufunc: Any) -> Any:
    """The ufunc itself, if it was made by frompyfunc or vectorize."""
    return ufunc if all(set(each) <= {"O", "-", ">"} for each in ufunc.types) else None


@lru_cache(maxsize=256)
def operation(name: str) -> Callable[..., Any] | None:
    """What a ufunc of that name computes on numbers and `Value`s, if anything."""
    row = TABLE.get(_ROWS.get(name, name))
    return _NUMBERS.get(name) or _CONDITIONS.get(name) or (row if row is not None and row.public else None)


def method(name: str, *operands: Any) -> Any:
    """What NumPy's loop over an array of objects of its own calls a method of that name for."""
    compute = operation(name)
    if compute is None:
        raise AttributeError(name)
    return compute(*operands)


def call(ufunc: Any, method: str, *operands: Any, **options: Any) -> Any:
    """What NumPy hands over where an operand of a ufunc is a `Value` or an `Array`."""
    if method == "__call__" and not options and (compute := operation(ufunc.__name__)) is not None:
        numbers = [_number(x) for x in operands]
        if all(x is not None for x in numbers):
            return compute(*numbers)
    return _on_arrays(ufunc, method, *operands, **options)


def _number(x: Any) -> Any:
    """An operand that is one number, as Python's or a `Value`; None for others, which loops are for."""
    if type(x) is numpy.float64 or (type(x) is numpy.ndarray and not x.ndim and x.dtype.char == "d"):
        return x.item()
    return x if type(x) in (float, int) or isinstance(x, Value) else None


@numpy.errstate(all="ignore")  # of the loops over objects: rows are total, and warn of nothing
def _on_arrays(
    ufunc: Any, method: str, *operands: Any, out: Any = None, dtype: Any = None, casting: Any = None, **options: Any
) -> Any:
    name = ufunc.__name__
    counts = name == "add" and isinstance(operands[0], Mask)  # how many hold, as an integer
    check_dtype(dtype, f"np.{name}", "fOb" if name in _CONDITIONS else "fOiu" if counts else "fO")
    chosen = options.pop("where", True) if method == "__call__" else True
    if type(chosen).__name__ == "_NoValueType":  # of np.nanvar
        chosen = True
    if chosen is not True and out is None:
        raise TypeError(f"np.{name}: where= without out= leaves the other numbers undefined: use np.where")
    if name == "divmod":
        return call(numpy.floor_divide, method, *operands), call(numpy.remainder, method, *operands)
    if name == "matmul":
        found = matmul(*operands)
    elif (ours := loop(name, ufunc.nin) or _of_objects(ufunc)) is None or ufunc.nout != 1:
        raise TypeError(
            f"{name} of a Value: there is no operation for it; write it in those that there are, or make one of "
            "your own with scalargrad.primitive"
        )
    elif method == "reduce" and name in _LANES:
        found = reduced(*_LANES[name], f"np.{name}", *operands, **options)
    else:
        found = wrapped(getattr(ours, method)(*map(plain, operands), **options))
        if name in _CONDITIONS:
            found = _condition(found)
    return found if out is None else stored(found, out[0], f"np.{name}", chosen)


def _condition(x: Any) -> Any:
    """Truth values as NumPy's own; those of traced numbers as they are."""
    if not isinstance(x, Array):
        return x
    return plain(x).astype(bool) if all(isinstance(each, bool) for each in plain(x).flat) else x.view(Mask)


def check_dtype(dtype: Any, what: str, kinds: str = "fO") -> None:
    if dtype is not None and numpy.dtype(dtype).kind not in kinds:
        raise TypeError(
            f"{what}: its result holds Values, which are float64; dtype {numpy.dtype(dtype)} is none of them"
        )


def stored(found: Any, out: Any, what: str, chosen: Any = True) -> Any:
    """The result in an array that is given for it, where it is chosen."""
    if not isinstance(out, Array):
        raise TypeError(
            f"{what}: its result holds Values, and the array of shape {out.shape} and dtype {out.dtype} that "
            "it is to be put into does not: write a = a + b for a += b, or begin with np.zeros_like(x) of an array of "
            "Values"
        )
    out[...] = found if chosen is True else numpy.where(chosen, found, out)
    return out


def lanes(x: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """An array as one of lanes along its last axis, one for each number that a reduction leaves; the axes that go."""
    x = numpy.asarray(plain(x), dtype=object)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for each in axes:
        if not -x.ndim <= each < x.ndim:
            raise numpy.exceptions.AxisError(each, x.ndim)
    gone = tuple([each % x.ndim for each in axes])
    if len(set(gone)) < len(gone):
        raise ValueError(f"axis {axis} names one twice")
    kept = [k for k in range(x.ndim) if k not in gone]
    turned = x.transpose(*kept, *gone)
    return turned.reshape([x.shape[k] for k in kept] + [-1 if x.size else 0]), gone


def reduced(
    row: Any,
    empty: Any,
    what: str,
    x: Any,
    axis: Any = 0,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """A row of any number of operands on every lane."""
    rows, gone = lanes(x, axis)
    shape = rows.shape[:-1]
    width = rows.shape[-1]
    flat = rows.reshape(-1, width).tolist() if width else [[]] * int(numpy.prod(shape))
    if where is not True:
        chosen = lanes(numpy.broadcast_to(where, numpy.shape(x)), axis)[0].reshape(-1, width).tolist()
        flat = [[x for x, c in zip(lane, used, strict=True) if c] for lane, used in zip(flat, chosen, strict=True)]
    first = () if initial is None or type(initial).__name__ == "_NoValueType" else (initial,)
    if empty is None and not first and not all(flat):
        raise ValueError(f"{what}.reduce: of no numbers, in an array of shape {numpy.shape(x)}")
    found = [row(*first, *(number(each, what) for each in lane)) if lane or first else empty for lane in flat]
    if keepdims is True or keepdims == 1:
        whole = numpy.shape(x)
        return filled(tuple(1 if k in gone else whole[k] for k in range(len(whole))), found)
    return filled(shape, found) if shape else found[0]


def matmul(a: Any, b: Any) -> Any:
    """`a @ b`, as `np.matmul`: one `dot` for each element of the result."""
    a, b = (numpy.asarray(plain(x), dtype=object) for x in (a, b))
    shapes = f"of shapes {a.shape} and {b.shape}"
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul: {shapes}: a number is multiplied by *")
    left = a[numpy.newaxis] if a.ndim == 1 else a
    right = b[:, numpy.newaxis] if b.ndim == 1 else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(f"matmul: {shapes}: {left.shape[-1]} columns for {right.shape[-2]} rows")
    rows, columns = left[..., :, numpy.newaxis, :], numpy.moveaxis(right, -1, -2)[..., numpy.newaxis, :, :]
    shape = numpy.broadcast_shapes(rows.shape, columns.shape)
    width = shape[-1]
    pairs = (numpy.broadcast_to(x, shape).reshape(-1, width).tolist() for x in (rows, columns))
    found = [primitives.dot(*x, *y) for x, y in zip(*pairs, strict=True)]
    result = filled(shape[:-1], found)
    if b.ndim == 1:
        result = result[..., 0]
    if a.ndim == 1:
        result = result[..., 0, :] if b.ndim > 1 else result[..., 0]
    return result


register("ufunc", call)  # in the place of what has imported this
