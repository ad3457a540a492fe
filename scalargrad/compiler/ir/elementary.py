"""Elementary operations: what C, LLVM and every processor have, and how Python computes each to the same bits.

Backends that make machine code know these alone: the table's rows are lowered to them. An operation is one instruction
or one function of the C library, with no derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from math import copysign, isfinite, isnan
from typing import Any

from ...engine import ieee
from ...functions import values


def fmod(a: float, b: float) -> float:
    try:
        return math.fmod(a, b)
    except ValueError:  # an infinite a, or b = 0
        return math.nan


def acosh(x: float) -> float:
    return math.acosh(x) if x >= 1.0 else math.nan


def scale(y: float, n: float) -> float:
    """`y * 2**n` for a whole number n, rounded once."""
    try:
        return math.ldexp(y, int(n))
    except OverflowError:  # of the result; or an infinite n, which no backend promises anything for
        return copysign(math.inf, y)
    except ValueError:  # n is nan
        return math.nan


def exponent(x: float) -> float:
    """The whole number n with `x = m * 2**n` and `1 <= m < 2`, for a positive normal number."""
    return float(math.frexp(x)[1] - 1)


def mantissa(x: float) -> float:
    """That m."""
    return 2.0 * math.frexp(x)[0]


def fma(a: float, b: float, c: float) -> float:
    """`a * b + c`, rounded once."""
    if not (isfinite(a) and isfinite(b) and isfinite(c)):
        return a * b + c if isfinite(c) or not (isfinite(a) and isfinite(b)) else c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


# Functions of the C library, under its names, with Python's way to them. Those of `ieee` here only take care of what
# Python's would raise.
LIBRARY: dict[str, Callable[..., float]] = {
    each.__name__: each
    for each in (
        *(ieee.exp, values.expm1, values.exp2, ieee.log, values.log1p, values.log2, values.log10, math.cbrt),
        *(ieee.sin, ieee.cos, values.tan, values.asin, values.acos, math.atan),
        *(values.sinh, values.cosh, math.tanh, math.asinh, acosh, values.atanh),
        *(math.erf, ieee.pow, fmod, math.atan2, values.hypot),
    )
}
BINARY_LIBRARY = {"pow", "fmod", "atan2", "hypot"}
SINGLE: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": ieee.div,
    "min": lambda a, b: a if a < b else b,  # as processors do it: b where one is nan, or both are zeros
    "max": lambda a, b: a if a > b else b,
    "neg": lambda a: -a,
    "abs": math.fabs,
    "sqrt": ieee.sqrt,
    "floor": ieee.floor,
    "ceil": ieee.ceil,
    "rint": ieee.round_half_even,
    "copysign": copysign,
    "scale": scale,
    "exponent": exponent,
    "mantissa": mantissa,
}
# Products that are rounded with the sum that they go into: a * b + c, c - a * b, a * b - c. Only machine code has them.
FUSED: dict[str, Callable[..., float]] = {
    "fma": fma,
    "fnma": lambda a, b, c: fma(-a, b, c),
    "fms": lambda a, b, c: fma(a, b, -c),
}
CONDITIONS: dict[str, Callable[..., bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "nle": lambda a, b: not a <= b,
    "unordered": lambda a, b: isnan(a) or isnan(b),
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
}
EVALUATE: dict[str, Callable[..., Any]] = {
    **LIBRARY,
    **SINGLE,
    **FUSED,
    **CONDITIONS,
    "select": lambda c, a, b: a if c else b,
}
