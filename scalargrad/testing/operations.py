"""`check_primitive`: an operation of one's own, checked on the domain it declares.

It chooses the points itself, as the tests of the table do for every row.
"""

from __future__ import annotations

from math import isfinite
from random import Random

from ..engine.primitive import Interval, Primitive
from .checking import check_grads
from .reports import Report


def check_primitive(operation: Primitive, points: int = 20, order: int = 2, seed: int = 0) -> list[Report]:
    """Check the local gradients of an operation against measured ones, at random points of its domain.

    The points are drawn from the intervals given as `domain` to `@primitive`, one an operand: uniformly where both ends
    are finite, otherwise within 5 of the finite end, or of 0. An operation on any number of operands is given three.
    Returns a report a point; raises what `check_grads` raises, and `TypeError` for what is no operation. Points that
    are not decided are reported, not raised.

    >>> from scalargrad import log, primitive
    >>> @primitive(lambda y, a: 1.0 + log(a), domain=[(0.0, float("inf"))])
    ... def x_log_x(a):
    ...     import math
    ...     return a * math.log(a)
    >>> len(check_primitive(x_log_x))
    20
    """
    if not isinstance(operation, Primitive):
        raise TypeError(f"check_primitive: expected an operation made by @primitive, got {type(operation).__name__}")
    random = Random(seed)
    intervals = operation.domain if operation.arity is not None else operation.domain * 3
    reports: list[Report] = []
    for _ in range(points):
        operands = tuple(_drawn(interval, random) for interval in intervals)
        reports.append(check_grads(operation, operands, order=order, undecided="report"))
    return reports


def _drawn(interval: Interval, random: Random) -> float:
    low, high = interval
    low = low if isfinite(low) else (high - 5.0 if isfinite(high) else -5.0)
    high = high if isfinite(high) else low + (5.0 if isfinite(interval.low) else 10.0)
    return low + (high - low) * (0.001 + 0.998 * random.random())
