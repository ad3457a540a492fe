"""Functions of a whole sequence of numbers: `sum`, `mean`, `dot`, `prod`, `logsumexp`, and `max` and `min`.

Each is one node with as many operands as there are numbers, which keeps graphs small; additions run from left to right,
each rounded.
"""

# Rows are typed as returning Any; the signatures here, named as the builtins that they stand for, say which.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, overload

from ..engine.value import Value
from . import primitives

Number = float | Value
T = TypeVar("T", float, Value, float | Value)

__all__ = ["dot", "logsumexp", "max", "mean", "min", "prod", "sum"]


@overload
def max(xs: Iterable[T], /) -> T: ...
@overload
def max(x: float, y: float, /, *xs: float) -> float: ...
@overload
def max(x: Value, y: Number, /, *xs: Number) -> Value: ...
@overload
def max(x: float, y: Value, /, *xs: Number) -> Value: ...
@overload
def max(x: Number, y: Number, /, *xs: Number) -> Number: ...
def max(*xs: Any) -> Any:
    """Find the largest of two or more numbers, or of one iterable, as the builtin.

    Derivative 1 by the largest, `1/n` by each of `n` that tie; a nan among the operands makes all of it nan. Raises
    `ValueError` for an empty iterable.

    >>> a, b = Value(2.0), Value(2.0); y = max(a, b, 1.0); y.backward(); (y.data, a.grad, b.grad)
    (2.0, 0.5, 0.5)
    """
    return primitives.max(*_candidates(xs, "max"))


@overload
def min(xs: Iterable[T], /) -> T: ...
@overload
def min(x: float, y: float, /, *xs: float) -> float: ...
@overload
def min(x: Value, y: Number, /, *xs: Number) -> Value: ...
@overload
def min(x: float, y: Value, /, *xs: Number) -> Value: ...
@overload
def min(x: Number, y: Number, /, *xs: Number) -> Number: ...
def min(*xs: Any) -> Any:
    """Find the smallest of two or more numbers, or of one iterable, as the builtin. Derivatives and errors as `max`.

    >>> a = Value(2.0); y = min([a, 3.0]); y.backward(); (y.data, a.grad)
    (2.0, 1.0)
    """
    return primitives.min(*_candidates(xs, "min"))


@overload
def sum(xs: Iterable[T], /, start: float = 0) -> T: ...
@overload
def sum(xs: Iterable[Number], /, start: Value) -> Value: ...
def sum(xs: Any, /, start: Any = 0) -> Any:
    """Add up an iterable of numbers, and `start` in front of them. Derivative 1 by each; an empty sum is 0.0.

    >>> x, y = Value(1.0), Value(2.0); s = sum([x, y, x]); s.backward(); (s.data, x.grad, y.grad)
    (4.0, 2.0, 1.0)
    """
    operands = _listed(xs, "sum")
    if isinstance(start, Value) or start != 0:
        operands = (start, *operands)
    return primitives.sum(*operands)


def mean(xs: Iterable[T]) -> T:
    """Compute the arithmetic mean of an iterable of `n` numbers. Derivative `1/n` by each. `ValueError` if `n` is 0.

    >>> x, y = Value(1.0), Value(2.0); m = mean([x, y]); m.backward(); (m.data, x.grad, y.grad)
    (1.5, 0.5, 0.5)
    """
    return primitives.mean(*_filled(_listed(xs, "mean"), "mean"))


@overload
def dot(xs: Iterable[float], ws: Iterable[float]) -> float: ...
@overload
def dot(xs: Iterable[Value], ws: Iterable[Number]) -> Value: ...
@overload
def dot(xs: Iterable[Number], ws: Iterable[Value]) -> Value: ...
@overload
def dot(xs: Iterable[Number], ws: Iterable[Number]) -> Number: ...
def dot(xs: Any, ws: Any) -> Any:
    """Compute `x1 w1 + x2 w2 + ...`. Derivatives `wi` by `xi` and `xi` by `wi`; 0.0 if both are empty.

    Raises `ValueError` if the two are not of one length.

    >>> w = [Value(0.5), Value(-1.0)]; y = dot([3.0, 2.0], w); y.backward(); (y.data, w[0].grad, w[1].grad)
    (-0.5, 3.0, 2.0)
    """
    left, right = _listed(xs, "dot"), _listed(ws, "dot")
    if len(left) != len(right):
        raise ValueError(f"dot: lengths differ: {len(left)} and {len(right)}")
    return primitives.dot(*left, *right)


def prod(xs: Iterable[T]) -> T:
    """Multiply an iterable of numbers. Derivative by each: the product of the others, zeros or not. Empty: 1.0.

    >>> x, y = Value(0.0), Value(3.0); p = prod([x, y, 2.0]); p.backward(); (p.data, x.grad, y.grad)
    (0.0, 6.0, 0.0)
    """
    return primitives.prod(*_listed(xs, "prod"))


def logsumexp(xs: Iterable[T]) -> T:
    """Compute `log(exp(x1) + exp(x2) + ...)`, shifted by the largest, so that nothing overflows. Empty: -inf.

    Derivative by each: its share of the softmax, `exp(xi - y)`. Where all are -inf the derivatives are 0; where some
    are inf they share it equally.

    >>> a, b = Value(1000.0), Value(1000.0); y = logsumexp([a, b]); y.backward(); (y.data, a.grad)
    (1000.6931471805599, 0.5)
    """
    return primitives.logsumexp(*_listed(xs, "logsumexp"))


def _listed(xs: Any, name: str) -> tuple[Any, ...]:
    try:
        items = iter(xs)
    except TypeError:
        raise TypeError(
            f"{name}: expected a sequence of numbers, got one {type(xs).__name__}; put it in a list"
        ) from None
    return tuple(items)


def _filled(xs: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    if not xs:
        raise ValueError(f"{name}: of no numbers; give at least one")
    return xs


def _candidates(xs: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """The operands of `max` or `min`, given as two or more numbers or as one iterable."""
    if len(xs) == 0:
        raise TypeError(f"{name}: expected two or more numbers, or one sequence of them")
    return xs if len(xs) > 1 else _filled(_listed(xs[0], name), name)
