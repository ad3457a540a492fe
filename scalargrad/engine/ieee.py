"""The arithmetic of the engine's operations: total functions on float64, following IEEE 754.

Python's `math` raises where the standard returns: `math.exp(1000)`, `math.log(0.0)` and `1.0 / 0.0` are errors there
and `inf`, `-inf` and `inf` here. It knows nothing of derivatives: it is the arithmetic that the table is written in.
Every function takes floats and returns a float, and none raises. `tanh` does more than catch an exception, because the
C library is less exact than two units in the last place (ULP). The derivatives here would lose digits if they were
composed of simpler functions. The values of all other functions are in `functions/values.py`.
"""

from __future__ import annotations

import math
from math import copysign, fabs, inf, isinf, isnan, nan

SMALLEST_NORMAL = 2.2250738585072014e-308


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


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return inf


def log(x: float) -> float:
    return math.log(x) if x > 0.0 else -inf if x == 0.0 else nan


def log_slope(x: float) -> float:
    """`1/x` where the logarithm is real: inf at 0 (either zero), nan below."""
    return 1.0 / x if x > 0.0 else inf if x == 0.0 else nan


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


def sin(x: float) -> float:
    return math.sin(x) if -inf < x < inf else nan


def cos(x: float) -> float:
    return math.cos(x) if -inf < x < inf else nan


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


def sigmoid(x: float) -> float:
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def sigmoid_slope(x: float) -> float:
    """`sigmoid(x) (1 - sigmoid(x)) = e / (1 + e)**2` with `e = exp(-|x|)`, which keeps its digits in the tails."""
    e = exp(-fabs(x))
    return e / ((1.0 + e) * (1.0 + e))


def relu(x: float) -> float:
    return x if x > 0.0 or isnan(x) else 0.0


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


def gate(a: float, b: float) -> float:
    """`a * b`, and 0 where either is zero, whatever the other is."""
    return a * b if (a != 0.0) & (b != 0.0) else 0.0  # `&`: one condition, also where it is machine code


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
