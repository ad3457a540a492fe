"""`measure_derivative`: the derivative of any function of one number, with the error of its measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, nan
from typing import Any

from .checks import Function
from .points import Point
from .reports import State
from .stencils import Restriction
from .verdicts import Case


@dataclass(frozen=True)
class Measurement:
    """A measured derivative `df`, nan where there is none to measure, and the estimated `error` of it.

    `method` says which step it comes from, `note` what was seen: a kink, a jump, the edge of a domain, noise. Measured
    at the elements of an array, `df` and `error` are arrays, `method` and `note` lists.
    """

    df: Any
    error: Any
    method: Any
    note: Any = ""


def measure_derivative(f: Callable[[Any], Any], x: Any) -> Measurement:
    """Measure the derivative of a function of one number by six-point stencils at every step from coarse to fine.

    No step size is to be chosen, and scales from 1e-300 to 1e300 are found by themselves. `df` and `error` are named as
    in `scipy.differentiate.derivative`. The true derivative is seldom further away than four times the estimated
    error; at a kink, a jump, a point where the slope is infinite or the edge of the domain `df` is nan, `error` inf.
    `x` is a number, or a NumPy array, at whose elements the function is measured one by one. Raises `TypeError` for
    what is no function of a number, `ValueError` at an infinite point.

    >>> import math
    >>> found = measure_derivative(math.exp, 1.0)
    >>> abs(found.df - math.e) <= 4.0 * found.error < 1e-10
    True
    >>> measure_derivative(abs, 0.0).note
    'left-hand derivative -1, right-hand 1'
    """
    if getattr(x, "ndim", 0):
        every = [measure_derivative(f, each) for each in x.ravel().tolist()]
        df, error = x.astype(float), x.astype(float)
        df.flat, error.flat = [each.df for each in every], [each.error for each in every]
        return Measurement(df, error, [each.method for each in every], [each.note for each in every])
    point = Point((x,), None)
    if len(point.inputs) != 1:
        raise TypeError(f"measure_derivative: expected a number or a NumPy array, got {len(point.inputs)} numbers")
    function = Function(f, point, ["f(x)"])
    start = function.evaluate(point.inputs)
    if len(start) != 1 or isinstance(start[0], complex):
        raise TypeError(f"measure_derivative: expected a function of one number to one real number, got {start!r:.80}")
    verdict = Case(Restriction(function.evaluate, point.inputs, {0: 1.0}, start), 0, 0.0, 1e-10, inf).verdict()
    if verdict.state in (State.AGREES, State.UNDECIDED, State.UNSEEN):
        return Measurement(verdict.measured, verdict.estimate, verdict.method, verdict.note)
    return Measurement(nan, inf, verdict.method, verdict.note or verdict.state.value)
