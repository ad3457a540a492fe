"""What is exact of a row, value and derivative, by its oracle: how far off it may be, and where nothing is promised.

The oracle is the function as it is plainly right, in mpmath, at a precision that is raised until it no longer matters;
its derivatives are differences at that precision, which know nothing of the row's local gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import copysign, inf, isfinite

from scalargrad.engine import ieee
from scalargrad.engine.primitive import Primitive
from scalargrad.functions import values

from .. import accuracy
from ..accuracy import SMALLEST_NORMAL
from ..rows import oracle


def in_domain(row: Primitive, xs: Sequence[float]) -> bool:
    """Whether the row is promised to be exact there, and mpmath, which has no -0.0, can say what is exact."""
    if any(x == 0.0 and copysign(1.0, x) < 0.0 for x in xs):
        return False
    each = len(xs) // len(row.domain)  # operands of an interval
    intervals = [interval for interval in row.domain for _ in range(each)]
    return all(low < x < high and isfinite(x) for x, (low, high) in zip(xs, intervals, strict=True))


def _leaves_range(xs: Sequence[float]) -> bool:
    """Whether the product from left to right is, on the way, too large or too small to be a normal float."""
    so_far = 1.0
    for k, x in enumerate(xs):
        so_far *= x
        if x == 0.0:
            return False
        if k > 0 and not SMALLEST_NORMAL <= abs(so_far) < inf:
            return True
    return False


def loses_digits(row: Primitive, xs: Sequence[float], k: int) -> bool:
    """Whether digits are lost on the way to the k-th derivative, as README.md's limits have it.

    `prod` multiplies from left to right, and its derivatives are products of what stands before and behind; a quotient
    that is divided once more may be subnormal.
    """
    if row.name == "prod":
        before, behind = xs[:k], xs[:k:-1]
        both = [math.prod(before), math.prod(behind)]
        return any(map(_leaves_range, (xs, before, behind, both)))
    if row.name in ("div", "atan2", "atan2_slope", "hypot_slope"):
        size = xs[1] if row.name == "div" else values.hypot(*xs)
        return any(0.0 < abs(ieee.div(x, size)) < SMALLEST_NORMAL for x in xs)
    return False


def errors(row: Primitive, xs: Sequence[float], k: int) -> list[tuple[float, float]]:
    """The errors in ULP of the value and of the derivative by the k-th operand, each with the bound it must keep to.

    Empty where the exact result is no normal float, and where digits are lost on the way.
    """
    if loses_digits(row, xs, k):
        return []
    exact = oracle(row)
    y = row.compute(*xs)
    value_bound, first_bound, _ = accuracy.bounds(row)
    if row.arity is None:  # the bounds are those of up to five operands; each further one may round once more
        value_bound, first_bound = max(value_bound, len(xs)), max(first_bound, len(xs))
    found = row.local_gradients(y, xs)[k]
    measured: list[tuple[float | None, float]] = []
    try:
        measured.append(
            (accuracy.ulps(y, accuracy.exact_value(exact, xs), accuracy._scale_of_value(row, xs)), value_bound)
        )
        if not row.flat:
            known = accuracy.exact_first(exact, xs, k)
            measured.append((accuracy.ulps(found, known, accuracy._scale_of_first(row, xs, k)), first_bound))
    except ArithmeticError:
        pass  # a pole, or a vertical tangent, where the tests of awkward points say what is right
    return [(error, bound) for error, bound in measured if error is not None]
