"""The functions of `math` as total functions on float64, following IEEE 754.

Python's `math` raises where the standard returns: `math.exp(1000)`, `math.log(0.0)` and `1.0 / 0.0` are errors there
and `inf`, `-inf` and `inf` here. This stands apart from the table of primitives because it knows nothing of
derivatives: it is the arithmetic that the table is written in. Every function takes floats and returns a float, and
none raises.

A few do more than catch an exception, because the C library is less exact than two units in the last place (ULP):
`acosh`, `cbrt`, `erfc` and `tanh`. Others exist only as derivatives that would lose digits if they were composed of
simpler functions.
"""

from __future__ import annotations

import math
from math import copysign, erf, fabs, inf, isinf, isnan, nan

LN2 = 0.6931471805599453
LN10 = 2.302585092994046
SMALLEST_NORMAL = 2.2250738585072014e-308

# ---- arithmetic ------------------------------------------------------------------------------------------------------


def div(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    if a == 0.0 or isnan(a) or isnan(b):
        return nan
    return copysign(inf, a) * copysign(1.0, b)


def mod(a: float, b: float) -> float:
    """`a % b` with the sign of `b`, as Python; nan for `b = 0` and for an infinite `a`."""
    return a % b if b != 0.0 else nan


def floordiv(a: float, b: float) -> float:
    """`a // b` as Python; at `b = 0` it is `a / b`."""
    return a // b if b != 0.0 else div(a, b)


def pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -inf if a < 0.0 and b % 2.0 == 1.0 else inf
    except ValueError:  # a pole at zero, or a negative base with a fraction as exponent
        if a != 0.0:
            return nan
        return copysign(inf, a) if b % 2.0 == 1.0 else inf


# ---- exponentials and logarithms -------------------------------------------------------------------------------------


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return inf


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


def log(x: float) -> float:
    return math.log(x) if x > 0.0 else -inf if x == 0.0 else nan


def log1p(x: float) -> float:
    return math.log1p(x) if x > -1.0 else -inf if x == -1.0 else nan


def log2(x: float) -> float:
    return math.log2(x) if x > 0.0 else -inf if x == 0.0 else nan


def log10(x: float) -> float:
    return math.log10(x) if x > 0.0 else -inf if x == 0.0 else nan


def log_slope(x: float) -> float:
    """`1/x` where the logarithm is real: inf at 0 (either zero), nan below."""
    return 1.0 / x if x > 0.0 else inf if x == 0.0 else nan


def log10_slope(x: float) -> float:
    """`1/(x ln 10)`, whose denominator overflows before it is zero."""
    return 0.25 * log_slope(0.25 * x * LN10) if x > 1e300 else log_slope(x * LN10)


# ---- roots -----------------------------------------------------------------------------------------------------------


def sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0.0 else nan


def two_product(a: float, b: float) -> tuple[float, float]:
    """`a * b` and its rounding error, by Veltkamp's splitting (Dekker, Numerische Mathematik 18, 1971)."""
    p = a * b
    t = 134217729.0 * a  # 2**27 + 1
    a_high = t - (t - a)
    a_low = a - a_high
    t = 134217729.0 * b
    b_high = t - (t - b)
    b_low = b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def two_sum(a: float, b: float) -> tuple[float, float]:
    """`a + b` and its rounding error (Knuth, TAOCP volume 2, section 4.2.2)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


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


# ---- circular functions ----------------------------------------------------------------------------------------------


def sin(x: float) -> float:
    return math.sin(x) if -inf < x < inf else nan


def cos(x: float) -> float:
    return math.cos(x) if -inf < x < inf else nan


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


# ---- hyperbolic functions --------------------------------------------------------------------------------------------


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


def tanh(x: float) -> float:
    """The C library's `tanh` is off by up to 2.1 ULP below 1; there this is `t/(2 + t)` with `t = exp(2|x|) - 1`.

    The sum and the quotient are carried along with their rounding errors.
    """
    a = fabs(x)
    if not a < 1.0:
        return math.tanh(x)
    t = math.expm1(2.0 * a)
    d = 2.0 + t
    q = t / d
    product, low = two_product(q, d)
    d_low = (2.0 - d) + t if t < 2.0 else (t - d) + 2.0
    return copysign(q + ((t - product) - low - q * d_low) / d, x)


def tanh_slope(x: float) -> float:
    """`1 - tanh(x)**2 = 4e / (1 + e)**2` with `e = exp(-2|x|)`, which keeps its digits in the tails."""
    e = exp(-2.0 * fabs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


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


# ---- sigmoids --------------------------------------------------------------------------------------------------------


def sigmoid(x: float) -> float:
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def sigmoid_slope(x: float) -> float:
    """`sigmoid(x) (1 - sigmoid(x)) = e / (1 + e)**2` with `e = exp(-|x|)`, which keeps its digits in the tails."""
    e = exp(-fabs(x))
    return e / ((1.0 + e) * (1.0 + e))


def softplus(x: float) -> float:
    """`log(1 + exp(x))` as `max(x, 0) + log1p(exp(-|x|))`."""
    return relu(x) + log1p(exp(-fabs(x)))


def relu(x: float) -> float:
    return x if x > 0.0 or isnan(x) else 0.0


# ---- error function --------------------------------------------------------------------------------------------------


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


# ---- steps and comparisons: flat wherever they have a derivative -----------------------------------------------------


def sign(x: float) -> float:
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0 if x == 0.0 else nan


def step(x: float) -> float:
    """1 for `x > 0`, 0 for `x <= 0`."""
    return 1.0 if x > 0.0 else 0.0 if x <= 0.0 else nan


def floor(x: float) -> float:
    return copysign(float(math.floor(x)), x) if -inf < x < inf else x


def ceil(x: float) -> float:
    return copysign(float(math.ceil(x)), x) if -inf < x < inf else x


def round_half_even(x: float) -> float:
    return copysign(float(round(x)), x) if -inf < x < inf else x


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


def gate(a: float, b: float) -> float:
    """`a * b`, and 0 where either is zero, whatever the other is."""
    return (a * b if b != 0.0 else 0.0) if a != 0.0 else 0.0


def within(x: float, low: float, high: float) -> float:
    """1 for `low <= x <= high`, both bounds included."""
    return nan if isnan(x) or isnan(low) or isnan(high) else 1.0 if low <= x <= high else 0.0


# ---- of several operands ---------------------------------------------------------------------------------------------


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
    """The first operand's share of the softmax of all operands."""
    return softmax(*xs)[0]


def others(k: int, xs: tuple[float, ...]) -> float:
    """The sum of all but the k-th."""
    return total(*xs[:k], *xs[k + 1 :])


# ---- powers ----------------------------------------------------------------------------------------------------------


def _falling_factorial(n: float, i: int, k: int) -> float:
    """The k-th derivative by `n` of `n (n-1) ... (n-i+1)`: k! times the elementary symmetric sum of i-k factors."""
    if k > i:
        return 0.0
    sums = [1.0] + [0.0] * i
    for t in range(i):
        factor = n - t
        for m in range(t + 1, 0, -1):
            sums[m] += factor * sums[m - 1]
    return math.factorial(k) * sums[i - k]


def pow_derivative(x: float, n: float, i: int, j: int) -> float:
    """The derivative of `x**n`, i times by `x` and j times by `n`.

    `x**(n-i) * sum over k of C(j, k) * ff_k * log(x)**(j-k)`, where `ff_k` is the k-th derivative by `n` of the falling
    factorial `n (n-1) ... (n-i+1)`. The rounding of `n - i` is made good by a factor, and a power that leaves the
    range of normal numbers is taken as the square of its root, so that the product can come back into range.
    """
    if j == 0:
        factor = _falling_factorial(n, i, 0)
    elif x < 0.0:
        return nan
    elif x == 0.0 and i == 0 and n >= 0.0:
        return 0.0
    else:
        logarithm = log(x)
        factor = 0.0
        for k in range(min(i, j) + 1):
            coefficient = math.comb(j, k) * _falling_factorial(n, i, k)
            if coefficient != 0.0:
                factor += coefficient * pow(logarithm, float(j - k))
    if factor == 0.0:
        return 0.0 if j == 0 or not isnan(x) else nan
    m, error = two_sum(n, -float(i))
    power = pow(x, m)
    if isinf(n) and power == 0.0:
        return 0.0
    if x == 0.0 or isinf(x) or isnan(power):
        return factor * power
    adjust = exp(error * log(fabs(x))) if fabs(error) > 0.0 else 1.0  # it is nan where n is inf
    if SMALLEST_NORMAL <= fabs(power) < inf:
        return factor * power * adjust
    root = pow(fabs(x), 0.5 * m)
    return copysign(1.0, power) * (factor * root * adjust * root)
