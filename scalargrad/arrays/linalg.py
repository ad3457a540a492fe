"""`norm`, `solve`, `inv`, `det` and `slogdet` of `np.linalg` for small matrices of `Value`s, in scalars.

Elimination has partial pivots: which row is taken is looked at in the numbers, and a guard in compiled code. Stacks of
matrices, of shape (..., n, n), are taken one by one. Golub and Van Loan, Matrix Computations, section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy

from ..engine import table
from ..functions import primitives
from .values import filled, plain

Rows = list[list[Any]]


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002  # NumPy's name
    """As `np.linalg.norm`; the derivative of a norm of zeros is 0."""
    x = numpy.asanyarray(x)
    if axis is None and (ord is None or x.ndim == 1 or (x.ndim == 2 and ord == "fro")):
        kept = (1,) * x.ndim
        found = _of_vectors(x.ravel(), ord if x.ndim == 1 else None, -1, False)
        return numpy.reshape(found, kept) if keepdims else found
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1 or ord in (None, "fro"):
        return _of_vectors(x, None if ord == "fro" else ord, axes, keepdims)
    if len(axes) == 2 and ord in (1, -1, inf, -inf):
        down, across = axes if abs(ord) == 1 else axes[::-1]
        sums = numpy.abs(x).sum(axis=down, keepdims=True)
        found = sums.max(axis=across, keepdims=True) if ord > 0 else sums.min(axis=across, keepdims=True)
        return found if keepdims else numpy.squeeze(found, axis=axes)[()]
    raise TypeError(f"np.linalg.norm of Values: ord={ord!r} of {len(axes)} axes needs singular values, or is none")


def _of_vectors(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    if order in (None, 2):
        return _root(numpy.sum(numpy.square(x), axis=axis, keepdims=keepdims))
    size = numpy.abs(x)
    if order in (inf, -inf):
        return (numpy.max if order > 0 else numpy.min)(size, axis=axis, keepdims=keepdims)
    if isinstance(order, str) or order == 0:
        raise TypeError(f"np.linalg.norm of Values: there is no norm of order {order!r} for them")
    total = numpy.sum(size if order == 1 else size**order, axis=axis, keepdims=keepdims)
    return total if order == 1 else total ** (1.0 / order)


def _root(square: Any) -> Any:
    """The square root, and 0 with derivative 0 at 0: the selection keeps the infinite derivative out."""
    return numpy.where(numpy.greater(square, 0.0), numpy.sqrt(square), square)


def _square(name: str, x: Any) -> Any:
    x = numpy.asarray(plain(x), dtype=object)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise numpy.linalg.LinAlgError(f"{name}: expected square matrices, got an array of shape {x.shape}")
    return x


def _each(of_rows: Callable[[Rows], Any], x: Any, inner: tuple[int, ...]) -> Any:
    """A function of a matrix, as rows, on each of a stack; its results are flat lists of that shape, or numbers."""
    outer = x.shape[:-2]
    found = [of_rows(x[place].tolist()) for place in numpy.ndindex(*outer)]
    if not inner:
        return filled(outer, found) if outer else found[0]
    return filled(outer + inner, [y for each in found for y in each])


def _eliminated(rows: Rows, n: int) -> tuple[list[Any], float] | None:
    """Make a matrix of n columns, and what stands to the right of them, upper triangular in place; its pivots, and the
    sign of the exchange. None where it is singular."""
    sign, pivots = 1.0, []
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(rows[i][k]) > abs(rows[best][k]):
                best = i
        if best != k:
            rows[k], rows[best], sign = rows[best], rows[k], -sign
        pivot = rows[k][k]
        if pivot == 0.0:
            return None
        pivots.append(pivot)
        for i in range(k + 1, n):
            factor = table.div(rows[i][k], pivot)
            rows[i] = [
                *rows[i][: k + 1],
                *[a - factor * b for a, b in zip(rows[i][k + 1 :], rows[k][k + 1 :], strict=True)],
            ]
    return pivots, sign


def _solved(rows: Rows, right: Rows) -> list[Any]:
    """The rows of the solution of a linear system with several right sides, one after another."""
    n, width = len(rows), len(right[0]) if right else 0
    rows = [[*a, *b] for a, b in zip(rows, right, strict=True)]
    if _eliminated(rows, n) is None:
        raise numpy.linalg.LinAlgError("Singular matrix")
    found: Rows = [[] for _ in rows]
    for k in reversed(range(n)):
        row = rows[k]
        for column in range(n, n + width):
            rest = row[column]
            for j in range(k + 1, n):
                rest = rest - row[j] * found[j][column - n]
            found[k].append(table.div(rest, row[k]))
    return [x for row in found for x in row]


def inv(x: Any) -> Any:
    x = _square("inv", x)
    n = x.shape[-1]
    return _each(lambda rows: _solved(rows, numpy.eye(n).tolist()), x, (n, n))


def solve(a: Any, b: Any) -> Any:
    a = _square("solve", a)
    b = numpy.asarray(plain(b), dtype=object)
    n, is_vector = a.shape[-1], b.ndim == 1
    right = b[:, numpy.newaxis] if is_vector else b
    if right.ndim < 2 or right.shape[-2] != n:
        raise ValueError(f"solve: a right side of shape {b.shape} for matrices of shape {a.shape}")
    outer = numpy.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    both = numpy.concatenate(
        [numpy.broadcast_to(a, (*outer, n, n)), numpy.broadcast_to(right, (*outer, *right.shape[-2:]))], axis=-1
    )
    found = _each(lambda rows: _solved([r[:n] for r in rows], [r[n:] for r in rows]), both, right.shape[-2:])
    return found[..., 0] if is_vector else found


def _determinant(rows: Rows) -> Any:
    n = len(rows)
    if n > 3 and (found := _eliminated([*rows], n)) is not None:
        return primitives.prod(found[1], *found[0])
    return _by_minors(rows)


def _by_minors(rows: Rows) -> Any:
    """By minors of the first rows, each once: no division, so that derivatives are right where it is 0, too."""
    n = len(rows)
    if n > 12:
        raise numpy.linalg.LinAlgError(f"det: a singular matrix of {n} rows, whose derivatives are not computed")
    minors: dict[int, Any] = {0: 1.0}
    for row in rows:
        longer: dict[int, Any] = {}
        for used, minor in minors.items():
            sign = 1.0
            for k in reversed(range(n)):
                if used >> k & 1:
                    sign = -sign
                    continue
                term = sign * (minor * row[k])
                key = used | 1 << k
                longer[key] = longer[key] + term if key in longer else term
        minors = longer
    return minors[(1 << n) - 1]


def det(x: Any) -> Any:
    return _each(_determinant, _square("det", x), ())


def slogdet(x: Any) -> Any:
    d = det(x)
    return numpy.sign(d), numpy.log(numpy.abs(d))


FUNCTIONS: dict[Any, Any] = {getattr(numpy.linalg, of.__name__): of for of in (norm, solve, inv, det, slogdet)}
