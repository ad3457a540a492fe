"""The functions' arithmetic: total functions on float64, following IEEE 754, as the engine's in `engine/ieee.py`.

Every function takes floats and returns a float, and none raises. A few do more than catch an exception, because the C
library is less exact than two units in the last place (ULP): `acosh`, `cbrt` and `erfc`. Others exist only as
derivatives that would lose digits if they were composed of simpler functions.
"""

from __future__ import annotations

import math
from math import copysign, erf, fabs, inf, isinf, isnan, nan

from ..engine.ieee import div, exp, log_slope, relu, sqrt, two_product, two_sum

LN2 = 0.6931471805599453
LN10 = 2.302585092994046


def expm1(x: float) -> float:
    try:
        return math.expm1(x)
    except OverflowError:
        return inf


def exp2(x: float) -> float:
    try:
        return math.exp2(x)
    except OverflowError:
        return inf


def exp2_derivative(x: float, n: int) -> float:
    """`log(2)**n 2**x`, which may be a float where `2**x` is none."""
    return exp2(x) * LN2**n if x < 1024.0 else exp2(x - n) * (2.0 * LN2) ** n


def log1p(x: float) -> float:
    return math.log1p(x) if x > -1.0 else -inf if x == -1.0 else nan


def log2(x: float) -> float:
    return math.log2(x) if x > 0.0 else -inf if x == 0.0 else nan


def log10(x: float) -> float:
    return math.log10(x) if x > 0.0 else -inf if x == 0.0 else nan


def log10_slope(x: float) -> float:
    """`1/(x ln 10)`, whose denominator overflows before it is zero."""
    return 0.25 * log_slope(0.25 * x * LN10) if x > 1e300 else log_slope(x * LN10)


def quotient(n: float, n_low: float, d: float, d_low: float = 0.0) -> float:
    """`(n + n_low) / (d + d_low)`, rounded once; operands and result far from the ends of the range."""
    q = n / d
    product, low = two_product(q, d)
    return q + (((n - product) - low) + (n_low - q * d_low)) / d


def cbrt(x: float) -> float:
    """The C library's cube root (3 ULP in glibc), corrected by one Newton step with an exact residual."""
    if x == 0.0 or not -inf < x < inf:
        return x
    scale = 1.0
    if fabs(x) < 1e-200:  # keep the errors of the products above the subnormals: cbrt(2**300 x) = 2**100 cbrt(x)
        x *= 2.037035976334486e90
        scale = 7.888609052210118e-31
    elif fabs(x) > 1e200:  # and the cube below infinity
        x *= 4.909093465297727e-91
        scale = 1.2676506002282294e30
    y = math.cbrt(x)
    square, square_error = two_product(y, y)
    cube, cube_error = two_product(square, y)
    residual = (cube - x) + (cube_error + square_error * y)
    return scale * (y - residual / (3.0 * square))


def hypot(a: float, b: float) -> float:
    """The C library's `hypot`, reached through `abs(complex)`: `math.hypot` has an algorithm of its own.

    For nan, CPython's `abs` takes an error that an earlier function of the C library has left behind for its own.
    """
    try:
        return abs(complex(a, b))
    except OverflowError:  # also raised for a nan, if a function of the C library has just overflowed (CPython's errno)
        return nan if (isnan(a) or isnan(b)) and not (isinf(a) or isinf(b)) else inf


def _scaled(a: float, b: float) -> tuple[float, float, float, float]:
    """`(a s, b s, hypot(a s, b s), s)` with a power of two `s` such that nothing over- or underflows."""
    h = hypot(a, b)
    s = 1.0
    if (h > 1e300 and h != inf) or (h == inf and not (isinf(a) or isinf(b))):
        s = 7.458340731200207e-155  # 2**-512
    elif 0.0 < h < 1e-290:
        s = 1.3407807929942597e154  # 2**512
    if s != 1.0:
        a, b = a * s, b * s
        h = hypot(a, b)
    return a, b, h, s


def hypot_slope(a: float, b: float) -> float:
    """`a / hypot(a, b)`, and 0 at the origin: the derivative of `hypot` by its first operand."""
    if a == 0.0 and b == 0.0:
        return 0.0
    a, b, h, _ = _scaled(a, b)
    return div(a, h)


def atan2_slope(a: float, b: float) -> float:
    """`a / (a*a + b*b)`; nan at the origin: up to sign, both derivatives of `atan2`."""
    a, b, h, s = _scaled(a, b)
    return div(div(a, h), h) * s


def tan(x: float) -> float:
    return math.tan(x) if -inf < x < inf else nan


def asin(x: float) -> float:
    return math.asin(x) if -1.0 <= x <= 1.0 else nan


def acos(x: float) -> float:
    return math.acos(x) if -1.0 <= x <= 1.0 else nan


def asin_slope(x: float) -> float:
    """`1 / sqrt(1 - x**2)`, from the factors of `1 - x**2`; inf at -1 and 1."""
    return div(1.0, sqrt((1.0 - x) * (1.0 + x)))


def atan_slope(x: float) -> float:
    """`1 / (1 + x**2)`, also where `x**2` overflows."""
    return 1.0 / (1.0 + x * x) if fabs(x) < 1e150 else 1.0 / x / x


def sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return copysign(inf, x)


def cosh(x: float) -> float:
    try:
        return math.cosh(x)
    except OverflowError:
        return inf


def asinh_slope(x: float) -> float:
    """`1 / sqrt(1 + x**2)`."""
    return 1.0 / hypot(1.0, x)


def acosh(x: float) -> float:
    """The C library's `acosh`, off by up to 2.1 ULP near 1; below 2 this is `log1p(t + sqrt(t (t + 2)))`, `t = x - 1`.

    The square root and the sum are carried along with their rounding errors.
    """
    if not 1.0 < x < 2.0:
        return math.acosh(x) if x >= 1.0 else nan
    t = x - 1.0
    square, low = two_product(t, x + 1.0)  # x + 1 may be rounded
    low += t * two_sum(x, 1.0)[1]
    root = math.sqrt(square)
    again, again_low = two_product(root, root)
    u, u_low = two_sum(t, root)
    u_low += ((square - again) - again_low + low) / (2.0 * root)
    return math.log1p(u) + u_low / (1.0 + u)


def acosh_slope(x: float) -> float:
    """`1 / sqrt(x**2 - 1)` from split roots; inf at 1, nan below."""
    return div(1.0, sqrt(x - 1.0) * sqrt(x + 1.0))


def atanh(x: float) -> float:
    return math.atanh(x) if -1.0 < x < 1.0 else copysign(inf, x) if fabs(x) == 1.0 else nan


def atanh_slope(x: float) -> float:
    """`1 / (1 - x**2)` from its factors; inf at -1 and 1, nan outside."""
    return div(1.0, (1.0 - x) * (1.0 + x)) if -1.0 <= x <= 1.0 else nan


def softplus(x: float) -> float:
    """`log(1 + exp(x))` as `max(x, 0) + log1p(exp(-|x|))`."""
    return relu(x) + log1p(exp(-fabs(x)))


def _exp_of_minus_square(x: float) -> tuple[float, float]:
    """`exp(-x*x)` as a sum of two floats: `x*x` itself would lose up to nine bits of the result."""
    t = 134217729.0 * x
    high = t - (t - x)
    e = math.exp(-high * high)
    return e, e * math.expm1((high - x) * (high + x))


def erf_slope(x: float) -> float:
    """`2/sqrt(pi) exp(-x**2)`."""
    if not -30.0 < x < 30.0:
        return nan if isnan(x) else 0.0
    high, low = _exp_of_minus_square(x)
    return 1.1283791670955126 * high + 1.1283791670955126 * low


# (scaled_erfc - S) / t in powers of t, highest but one first: interpolated at Chebyshev nodes for 0.34 <= a <= 28
_S, _S_LOW = 1.2329951186255526, -4.625318921008717e-17
_SCALED_ERFC = (
    -1.0134348112023848e-08, -1.4985736480325866e-08, 1.0462618788973471e-07,
    7.097922754715698e-08, -8.211681957580552e-07, 2.9633165781315437e-07, 5.707615156299414e-06,
    -1.1223083144640824e-05, -2.4398518977192295e-05, 0.00015062194823957758, -0.00019925684590908608,
    -0.000757773330953655, 0.005031969999181483, -0.016197734054243837, 0.037167515535683184, -0.06633036581232708,
    0.09373283499843266, -0.10103906603630697, 0.068097054254691, 0.0153796521026199, -0.1396211168405625,
)  # fmt: skip


def scaled_erfc(a: float) -> tuple[float, float]:
    """`(1 + 2a) exp(a*a) erfc(a)` as a sum of two floats, for 0.34 <= a <= 28.

    That product changes little, from 1.15 to 1.29, and is a polynomial in `t = (a - 4)/(a + 4)` (Shepherd and
    Laframboise, Mathematics of Computation 36, 1981). The constant term is by far the largest, so that little is lost.
    """
    t = (a - 4.0) / (a + 4.0)
    s = 8.387829037156233e-10
    for coefficient in _SCALED_ERFC:
        s = s * t + coefficient
    s *= t
    high = _S + s
    return high, (_S - high) + s + _S_LOW


def erfc(x: float) -> float:
    """The C library's `erfc` is off by up to 3 ULP; this is `1 - erf(x)`, where that does not cancel.

    Elsewhere `exp(-x*x) scaled_erfc(x) / (1 + 2x)`, the rounding errors of the last operations carried along.
    """
    if x < 0.4765:
        return 1.0 - erf(x)
    x = min(x, 28.0)  # where the result is 0; nan stays nan
    high, low = _exp_of_minus_square(x)
    s, s_low = scaled_erfc(x)
    n, n_low = two_product(high, s)
    d, d_low = two_sum(1.0, 2.0 * x)
    return quotient(n, n_low + (high * s_low + low * s), d, d_low)


def is_nonzero(x: float) -> float:
    """1 for a true condition, as `bool(x)`: nan is true."""
    return 1.0 if x != 0.0 else 0.0


def is_zero(x: float) -> float:
    return 1.0 if x == 0.0 else 0.0


def less(a: float, b: float) -> float:
    return 1.0 if a < b else 0.0 if a >= b else nan


def both(a: float, b: float) -> float:
    """1 where both are true, as `bool(x)`."""
    return (1.0 if b != 0.0 else 0.0) if a != 0.0 else 0.0


def either(a: float, b: float) -> float:
    return 1.0 if a != 0.0 else (1.0 if b != 0.0 else 0.0)


def within(x: float, low: float, high: float) -> float:
    """1 for `low <= x <= high`, both bounds included."""
    return nan if isnan(x) or isnan(low) or isnan(high) else 1.0 if low <= x <= high else 0.0


def maximum(*xs: float) -> float:
    return nan if any(map(isnan, xs)) else max(xs)


def minimum(*xs: float) -> float:
    return nan if any(map(isnan, xs)) else min(xs)


def clamp(x: float, low: float, high: float) -> float:
    return minimum(maximum(x, low), high)


def share_of_tie(x: float, y: float, count: float) -> float:
    """`1/count` where `x` attains the extremum `y`, else 0: what `max` and `min` hand back at a tie."""
    return nan if isnan(y) else div(1.0, count) if x == y else 0.0


def count_of_ties(y: float, *xs: float) -> float:
    count = 0.0
    for x in xs:
        count += x == y
    return count


def total(*xs: float) -> float:
    """From left to right, each addition rounded. (`sum` of floats is compensated from Python 3.12 on.)"""
    if not xs:
        return 0.0
    s = xs[0]
    for x in xs[1:]:
        s += x
    return s


def mean(*xs: float) -> float:
    s = total(*xs)
    if fabs(s) < inf:
        return s / len(xs)
    scale = 0.5 ** len(xs).bit_length()  # brings the sum of large numbers back into range
    return total(*[x * scale for x in xs]) / len(xs) / scale


def dot(*operands: float) -> float:
    """`x1*w1 + x2*w2 + ...` from left to right, of the operands `x1, x2, ..., w1, w2, ...`."""
    if not operands:
        return 0.0
    n = len(operands) // 2
    s = operands[0] * operands[n]
    for k in range(1, n):
        s += operands[k] * operands[n + k]
    return s


def prod(*xs: float) -> float:
    p = 1.0
    for x in xs:
        p *= x
    return p


def shifted_exponential(x: float, top: float) -> float:
    """`exp(x - top)` for `x <= top`, with the rounding error of the difference."""
    d = x - top
    t = d - x
    e = math.exp(d)
    return e + e * ((x - (d - t)) - (top + t)) if e != 0.0 else e  # else the error may be nan


def exponentials_beside(xs: tuple[float, ...], top: float) -> float:
    """The sum of `exp(x - top)` over all operands but the first that equals `top`, the largest."""
    s = low = 0.0
    missing = 1.0
    for x in xs:
        largest = missing * (x == top)
        missing -= largest
        e = shifted_exponential(x, top) - largest
        t = s + e  # two_sum(s, e), without the call
        b = t - s
        low += (s - (t - b)) + (e - b)
        s = t
    return s + low


def logsumexp(*xs: float) -> float:
    """`log(exp(x1) + exp(x2) + ...)`, shifted by the largest operand."""
    top = maximum(*xs) if xs else -inf
    return top + log1p(exponentials_beside(xs, top)) if fabs(top) < inf else top


def softmax(*xs: float) -> tuple[float, ...]:
    """`exp(xi) / sum(exp(xj))`: all zero where every operand is -inf, equal shares among operands that are +inf."""
    top = maximum(*xs)
    if top == -inf:
        return (0.0,) * len(xs)
    if top == inf:
        share = 1.0 / count_of_ties(inf, *xs)
        return tuple([share * (x == inf) for x in xs])
    exponentials = [shifted_exponential(x, top) for x in xs]
    s, low = exponentials[0], 0.0
    for e in exponentials[1:]:
        s, error = two_sum(s, e)
        low += error
    s += low
    return tuple([e / s for e in exponentials])


def softmax_share(*xs: float) -> float:
    return softmax(*xs)[0]


def others(k: int, xs: tuple[float, ...]) -> float:
    """The sum of all but the k-th."""
    return total(*xs[:k], *xs[k + 1 :])
