"""The public functions: each row of the table under its name, documented, with types that follow its operands.

Floats in, a float out; a `Value` among the operands, a `Value` out. What they compute stands in
`primitives.py` and in the engine's table; here is what each does, at its awkward points above all. Operands may be any
real numbers (int, bool, Fraction, NumPy scalars). Arithmetic follows IEEE 754: nothing raises on inf or nan, and nan in
gives nan out unless the function says otherwise.

Functions of a whole sequence (`sum`, `dot`, ...) are in `reductions.py`. `abs`, `max`, `min`, `pow`, `round` and `sum`
take numbers, not all that the builtins of these names do. References to DLMF are to the NIST Digital Library of
Mathematical Functions, https://dlmf.nist.gov.
"""

# max, min and sum are named as the builtins that they stand for
# The table's rows are typed as returning Any, since one row serves floats and Values; the signatures here say which.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import builtins
from typing import Any, overload

from ..engine import table
from ..engine.primitive import as_float
from ..engine.value import Value
from . import primitives
from .reductions import Number, T

__all__ = [  # noqa: RUF022  # by name alone, as a reader looks them up
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "clamp", "cos", "cosh",
    "erf", "erfc", "exp", "exp2", "expm1", "floor", "floordiv", "hypot", "log", "log10", "log1p", "log2",
    "mod", "pow", "relu", "round", "sigmoid", "sign", "sin", "sinh", "softplus", "sqrt",
    "step", "tan", "tanh", "where",
]  # fmt: skip


def exp(x: T) -> T:
    """Compute `e**x`, which is its own derivative. inf above 709.78, 0 below -745.13.

    >>> x = Value(1.0); y = exp(x); y.backward(); (y.data, x.grad)
    (2.718281828459045, 2.718281828459045)
    """
    return table.exp(x)


def expm1(x: T) -> T:
    """Compute `e**x - 1` without the cancellation near 0. Derivative `e**x`, not `expm1(x) + 1`, which is 0 at -40.

    >>> x = Value(-40.0); y = expm1(x); y.backward(); (y.data, x.grad)
    (-1.0, 4.248354255291589e-18)
    """
    return primitives.expm1(x)


def exp2(x: T) -> T:
    """Compute `2**x`. Derivative `2**x ln 2`.

    >>> x = Value(3.0); y = exp2(x); y.backward(); (y.data, x.grad)
    (8.0, 5.545177444479562)
    """
    return primitives.exp2(x)


def log(x: T) -> T:
    """Compute the natural logarithm. Derivative `1/x`.

    -inf with derivative inf at 0; nan, value and derivative, below.

    >>> x = Value(0.5); y = log(x); y.backward(); (y.data, x.grad)
    (-0.6931471805599453, 2.0)
    >>> log(0.0), log(-1.0)
    (-inf, nan)
    """
    return table.log(x)


def log1p(x: T) -> T:
    """Compute `log(1 + x)`, exact for small `x`. Derivative `1/(1 + x)`; -inf and inf at -1, nan below.

    >>> x = Value(1e-20); y = log1p(x); y.backward(); (y.data, x.grad)
    (1e-20, 1.0)
    """
    return primitives.log1p(x)


def log2(x: T) -> T:
    """Compute the logarithm to base 2. Derivative `1/(x ln 2)`; -inf and inf at 0, nan below.

    >>> x = Value(8.0); y = log2(x); y.backward(); (y.data, x.grad)
    (3.0, 0.18033688011112042)
    """
    return primitives.log2(x)


def log10(x: T) -> T:
    """Compute the logarithm to base 10. Derivative `1/(x ln 10)`; -inf and inf at 0, nan below.

    >>> x = Value(1000.0); y = log10(x); y.backward(); (y.data, x.grad)
    (3.0, 0.00043429448190325184)
    """
    return primitives.log10(x)


def sqrt(x: T) -> T:
    """Compute the square root. Derivative `1/(2 sqrt(x))`: inf at 0. nan below 0.

    >>> x = Value(4.0); y = sqrt(x); y.backward(); (y.data, x.grad)
    (2.0, 0.25)
    """
    return table.sqrt(x)


def cbrt(x: T) -> T:
    """Compute the real cube root, negative for negative `x`. Derivative `1/(3 cbrt(x)**2)`: inf at 0.

    >>> x = Value(-8.0); y = cbrt(x); y.backward(); (y.data, x.grad)
    (-2.0, 0.08333333333333333)
    """
    return primitives.cbrt(x)


@overload
def pow(x: float, y: T) -> T: ...
@overload
def pow(x: Value, y: Number) -> Value: ...
def pow(x: Any, y: Any) -> Any:
    """Compute `x**y` in floats. Derivatives `y x**(y-1)` by `x` and `x**y ln x` by `y`.

    - `x**0 = 1`, with derivative 0 by `x`, at `x = 0` too.
    - `0**y` is 0, 1, inf for `y` above, at, below 0; its derivative by `y` is 0 for `y >= 0` and -inf below.
    - At `x = 0` the derivative by `x` is 1 for `y = 1`, 0 above, inf for `0 < y < 1`.
    - `x < 0`: as Python for whole `y`, with nan as derivative by `y`; nan for any other, never complex.

    A plain number as exponent is part of the operation, one node with one operand.

    >>> x, n = Value(2.0), Value(3.0); y = pow(x, n); y.backward(); (y.data, x.grad, n.grad)
    (8.0, 12.0, 5.545177444479562)
    >>> pow(x, 3).parents == (x,), pow(-8.0, 1 / 3)
    (True, nan)
    """
    return x**y if isinstance(x, Value) else table.pow(x, y)


@overload
def hypot(x: float, y: T) -> T: ...
@overload
def hypot(x: Value, y: Number) -> Value: ...
def hypot(x: Any, y: Any) -> Any:
    """Compute `sqrt(x**2 + y**2)` without overflow. Derivatives `x/h` and `y/h`; both 0 at (0, 0).

    >>> x, y = Value(3.0), Value(4.0); h = hypot(x, y); h.backward(); (h.data, x.grad, y.grad)
    (5.0, 0.6, 0.8)
    >>> hypot(1e200, 0.0)
    1e+200
    """
    return primitives.hypot(x, y)


def sin(x: T) -> T:
    """Compute the sine of `x` radians. Derivative `cos(x)`. nan at the infinities.

    >>> x = Value(0.0); y = sin(x); y.backward(); (y.data, x.grad)
    (0.0, 1.0)
    """
    return table.sin(x)


def cos(x: T) -> T:
    """Compute the cosine of `x` radians. Derivative `-sin(x)`. nan at the infinities.

    >>> x = Value(1.0); y = cos(x); y.backward(); (y.data, x.grad)
    (0.5403023058681398, -0.8414709848078965)
    """
    return table.cos(x)


def tan(x: T) -> T:
    """Compute the tangent of `x` radians. Derivative `1 + tan(x)**2`. nan at the infinities.

    >>> x = Value(0.0); y = tan(x); y.backward(); (y.data, x.grad)
    (0.0, 1.0)
    """
    return primitives.tan(x)


def asin(x: T) -> T:
    """Compute the arc sine, in [-pi/2, pi/2]. Derivative `1/sqrt(1 - x**2)`: inf at -1 and 1. nan outside.

    >>> x = Value(0.6); y = asin(x); y.backward(); (y.data, x.grad)
    (0.6435011087932844, 1.25)
    """
    return primitives.asin(x)


def acos(x: T) -> T:
    """Compute the arc cosine, in [0, pi]. Derivative `-1/sqrt(1 - x**2)`: -inf at -1 and 1. nan outside.

    >>> x = Value(0.6); y = acos(x); y.backward(); (y.data, x.grad)
    (0.9272952180016123, -1.25)
    """
    return primitives.acos(x)


def atan(x: T) -> T:
    """Compute the arc tangent, in [-pi/2, pi/2]. Derivative `1/(1 + x**2)`.

    >>> x = Value(1.0); y = atan(x); y.backward(); (y.data, x.grad)
    (0.7853981633974483, 0.5)
    """
    return primitives.atan(x)


@overload
def atan2(y: float, x: T) -> T: ...
@overload
def atan2(y: Value, x: Number) -> Value: ...
def atan2(y: Any, x: Any) -> Any:
    """Compute the angle of the point (x, y), in [-pi, pi], the ordinate first, as `math.atan2`.

    Derivatives `x/(x**2 + y**2)` by `y` and `-y/(x**2 + y**2)` by `x`, finite where the squares would not be. At (0, 0)
    the angle is that of C and IEEE 754, by the signs of the zeros, and the derivatives are undefined: nan.

    >>> y, x = Value(2.0), Value(0.0); a = atan2(y, x); a.backward(); (a.data, y.grad, x.grad)
    (1.5707963267948966, 0.0, -0.5)
    """
    return primitives.atan2(y, x)


def sinh(x: T) -> T:
    """Compute `(e**x - e**-x)/2`. Derivative `cosh(x)`. Overflows to ±inf beyond 710.47.

    >>> x = Value(0.0); y = sinh(x); y.backward(); (y.data, x.grad)
    (0.0, 1.0)
    """
    return primitives.sinh(x)


def cosh(x: T) -> T:
    """Compute `(e**x + e**-x)/2`. Derivative `sinh(x)`. Overflows to inf beyond 710.47.

    >>> x = Value(0.0); y = cosh(x); y.backward(); (y.data, x.grad)
    (1.0, 0.0)
    """
    return primitives.cosh(x)


def tanh(x: T) -> T:
    """Compute `(e**x - e**-x)/(e**x + e**-x)`, in [-1, 1]. Derivative `1 - tanh(x)**2`, exact in the tails too.

    >>> x = Value(20.0); y = tanh(x); y.backward(); (y.data, x.grad)
    (1.0, 1.6993417021166355e-17)
    """
    return table.tanh(x)


def asinh(x: T) -> T:
    """Compute the inverse of `sinh`. Derivative `1/sqrt(1 + x**2)`.

    >>> x = Value(0.0); y = asinh(x); y.backward(); (y.data, x.grad)
    (0.0, 1.0)
    """
    return primitives.asinh(x)


def acosh(x: T) -> T:
    """Compute the inverse of `cosh`, at least 0. Derivative `1/sqrt(x**2 - 1)`: inf at 1. nan below 1.

    >>> x = Value(1.25); y = acosh(x); y.backward(); (y.data, x.grad)
    (0.6931471805599453, 1.3333333333333333)
    """
    return primitives.acosh(x)


def atanh(x: T) -> T:
    """Compute the inverse of `tanh`: ±inf at ±1, nan outside. Derivative `1/(1 - x**2)`: inf at -1 and 1.

    >>> x = Value(0.25); y = atanh(x); y.backward(); (y.data, x.grad)
    (0.25541281188299536, 1.0666666666666667)
    """
    return primitives.atanh(x)


def sigmoid(x: T) -> T:
    """Compute `1/(1 + e**-x)`, in [0, 1]. Derivative `e/(1 + e)**2` with `e = exp(-|x|)`, exact in both tails.

    >>> x = Value(-40.0); y = sigmoid(x); y.backward(); (y.data, x.grad)
    (4.248354255291589e-18, 4.248354255291589e-18)
    """
    return table.sigmoid(x)


def softplus(x: T) -> T:
    """Compute `log(1 + e**x)`, a smooth `relu`, as `max(x, 0) + log1p(exp(-|x|))`. Derivative `sigmoid(x)`.

    >>> x = Value(0.0); y = softplus(x); y.backward(); (y.data, x.grad)
    (0.6931471805599453, 0.5)
    >>> softplus(1000.0)
    1000.0
    """
    return primitives.softplus(x)


def relu(x: T) -> T:
    """Compute `max(x, 0)`. Derivative 1 above 0, and 0 at 0 and below.

    >>> x = Value(3.0); y = relu(x); y.backward(); (y.data, x.grad)
    (3.0, 1.0)
    """
    return table.relu(x)


def erf(x: T) -> T:
    """Compute the error function, `2/sqrt(pi)` times the integral of `exp(-t**2)` from 0 to `x` (DLMF 7.2.1).

    Derivative `2/sqrt(pi) exp(-x**2)`.

    >>> x = Value(0.0); y = erf(x); y.backward(); (y.data, x.grad)
    (0.0, 1.1283791670955126)
    """
    return primitives.erf(x)


def erfc(x: T) -> T:
    """Compute `1 - erf(x)`, in [0, 2], without its cancellation (NIST DLMF 7.2.2): `erfc(10)` has all its digits.

    Derivative `-2/sqrt(pi) exp(-x**2)`.

    >>> x = Value(10.0); y = erfc(x); y.backward(); (y.data, x.grad)
    (2.088487583762545e-45, -4.197656231354417e-44)
    """
    return primitives.erfc(x)


def abs(x: T) -> T:
    """Compute `|x|`. Derivative `sign(x)`: 0 at 0.

    >>> x = Value(-3.0); y = abs(x); y.backward(); (y.data, x.grad)
    (3.0, -1.0)
    """
    return table.abs(x)


def sign(x: T) -> T:
    """Compute the sign: 1 above 0, -1 below, 0 at either zero. Derivative 0 everywhere.

    >>> sign(-2.5), sign(0.0)
    (-1.0, 0.0)
    """
    return table.sign(x)


def step(x: T) -> T:
    """Compute Heaviside's step: 1 above 0, 0 at 0 and below. Derivative 0 everywhere.

    >>> step(2.5), step(0.0)
    (1.0, 0.0)
    """
    return table.step(x)


def floor(x: T) -> T:
    """Round down to a whole number, given as a float; infinities stay. Derivative 0 everywhere.

    >>> floor(-2.5)
    -3.0
    """
    return table.floor(x)


def ceil(x: T) -> T:
    """Round up to a whole number, given as a float; infinities stay. Derivative 0 everywhere.

    >>> ceil(2.5)
    3.0
    """
    return table.ceil(x)


def round(x: T, digits: int | None = None) -> T:
    """Round to the nearest whole number, given as a float; ties to even, infinities stay. Derivative 0 everywhere.

    Plain numbers take `digits` too, as the builtin; a `Value` with digits is a `TypeError`.

    >>> round(2.5), round(3.5), round(3.14159, 2)
    (2.0, 4.0, 3.14)
    """
    if digits is None:
        return table.round(x)
    if isinstance(x, Value):
        raise TypeError("round: a Value rounds to whole numbers only; use round(v * 100) / 100 for digits")
    return builtins.round(as_float(x, "round"), digits)


@overload
def mod(x: float, y: T) -> T: ...
@overload
def mod(x: Value, y: Number) -> Value: ...
def mod(x: Any, y: Any) -> Any:
    """Compute the remainder `x % y`, with the sign of `y`, as Python. Derivatives 1 and `-(x // y)`; nan for `y = 0`.

    >>> x, y = Value(7.0), Value(-3.0); r = mod(x, y); r.backward(); (r.data, x.grad, y.grad)
    (-2.0, 1.0, 3.0)
    """
    return table.mod(x, y)


@overload
def floordiv(x: float, y: T) -> T: ...
@overload
def floordiv(x: Value, y: Number) -> Value: ...
def floordiv(x: Any, y: Any) -> Any:
    """Compute the quotient `x // y`, rounded down; for `y = 0` it is `x / y`. Derivatives 0 and 0.

    >>> floordiv(7.0, 2.0), floordiv(7.0, 0.0)
    (3.0, inf)
    """
    return table.floordiv(x, y)


@overload
def clamp(x: float, low: float, high: T) -> T: ...
@overload
def clamp(x: float, low: Value, high: Number) -> Value: ...
@overload
def clamp(x: Value, low: Number, high: Number) -> Value: ...
def clamp(x: Any, low: Any, high: Any) -> Any:
    """Bring `x` into [low, high]: `min(max(x, low), high)`, so that `high` wins if the bounds cross.

    Derivative by `x`: 1 in the interval and on its bounds, 0 outside, where the bound that holds has derivative 1.

    >>> x = Value(2.0); y = clamp(x, -1.0, 2.0); y.backward(); (y.data, x.grad)
    (2.0, 1.0)
    """
    return primitives.clamp(x, low, high)


@overload
def where(condition: Any, a: float, b: T) -> T: ...
@overload
def where(condition: Any, a: Value, b: Number) -> Value: ...
def where(condition: Any, a: Any, b: Any) -> Any:
    """Choose `a` where the condition is true (not zero; nan is true), `b` where it is false.

    `condition` is a bool, a number or a `Value`; -1 and -2 are refused with `TypeError` where they are ints, because
    that is what `~` makes of a bool. Derivative 1 by the chosen, 0 by the other and by the condition:
    nothing comes through the arm not taken, even if its own derivative is inf or nan.

    >>> x = Value(0.0); y = where(x > 0.0, sqrt(x), 3.0 * x); y.backward(); (y.data, x.grad)
    (0.0, 3.0)
    """
    if type(condition) is int and condition in (-1, -2):
        hint = "is what `~` makes of a bool, and is true either way: use `not`"
        raise TypeError(f"where: the condition {condition} {hint}")
    return primitives.where(condition, a, b)
