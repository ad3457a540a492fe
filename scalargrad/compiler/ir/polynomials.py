"""Elementary functions as polynomials: arithmetic alone, so that eight samples go through at once.

The C library's functions take one number at a time. `compile(..., functions="polynomial")` puts these in their place.
They do not have the library's bits, but are within a bound that is stated here and measured by `python -m
tests.accuracy --polynomials`; and they are the same on every backend, because they are programs like any other. The
eager engine computes with those of `ieee.py`.

| function | error, in ULP, at most | where the library is asked after all |
|---|---|---|
| exp, log, log1p | 1 | |
| expm1 | 2 | |
| tanh | 3 | |
| sin, cos | 2.5 | beyond 1e6 |

`compile(..., functions="fast")` has some of its own, which share what a function and its slope have in common: at most
5 ULP for tanh, its slope, sigmoid and its slope. Of a nan, relu's slope is 0 there.

Each reduces its argument to a small interval and takes a polynomial there. Coefficients are those of the Chebyshev
approximation on that interval, found with mpmath's `chebyfit`, as the tests do again.
"""

from __future__ import annotations

from math import copysign, fabs, inf, nan

from ...engine import ieee
from .elementary import exponent, mantissa, scale

LOG2_E = float.fromhex("0x1.71547652b82fep+0")
LN2_HIGH = float.fromhex("0x1.62e42fefa3800p-1")  # 42 bits: its product with an exponent is exact
LN2_LOW = float.fromhex("0x1.ef35793c76730p-45")
SQRT2 = 1.4142135623730951
TWO_OVER_PI = float.fromhex("0x1.45f306dc9c883p-1")
HALF_PI = (  # 33 bits, 33 bits, and the rest
    float.fromhex("0x1.921fb54400000p+0"),
    float.fromhex("0x1.0b4611a600000p-34"),
    float.fromhex("0x1.3198a2e037073p-69"),
)
LARGEST_ANGLE = 1e6

# (exp(r) - 1 - r) / r**2 for |r| <= log(2)/2
EXP = (
    0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326112, 0.001388888888888373, 0.0001984126987490126,
    2.4801587325605324e-05, 2.7557255297969643e-06, 2.755727357010214e-07, 2.5105259538448494e-08,
    2.0914717341716378e-09,
)  # fmt: skip
# (log((1+s)/(1-s)) - 2s) / s**3, of z = s**2, for 1+f = (1+s)/(1-s) between sqrt(1/2) and sqrt(2)
LOG = (
    0.666666666666667, 0.399999999998992, 0.2857142862611452, 0.22222211112104948, 0.1818289077802613,
    0.15331666676597175, 0.146171283998073,
)  # fmt: skip
# (sin(r) - r) / r**3 and (cos(r) - 1 + r**2/2) / r**4, of z = r**2, for |r| <= pi/4
SIN = (
    -0.16666666666666666, 0.008333333333330925, -0.00019841269836722418, 2.755731608381636e-06,
    -2.5051127944014188e-08, 1.5917848524808262e-10,
)  # fmt: skip
COS = (
    0.041666666666666664, -0.0013888888888887382, 2.480158729874307e-05, -2.7557317260008837e-07,
    2.0876143827993133e-09, -1.1382456778061306e-11,
)  # fmt: skip


def polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """By Horner's rule, the constant first."""
    y = coefficients[-1]
    for c in coefficients[-2::-1]:
        y = c + x * y
    return y


def reduced(x: float) -> tuple[float, float]:
    """`n` and `exp(r) - 1` for `x = n log(2) + r`; `x` is kept where `exp` is neither 0 nor inf."""
    x = min(max(x, -750.0), 710.0)
    n = ieee.round_half_even(x * LOG2_E)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    return n, r + r * r * polynomial(EXP, r)


def exp(x: float) -> float:
    n, p = reduced(x)
    return scale(1.0 + p, n)


def expm1(x: float) -> float:
    """`2**n (exp(r) - 1) + (2**n - 1)`, halved meanwhile, so that nothing overflows too soon."""
    n, p = reduced(x)
    return copysign(2.0 * (scale(p, n - 1.0) + (scale(1.0, n - 1.0) - 0.5)), x)


def tanh(x: float) -> float:
    """`-t / (2 + t)` with `t = exp(-2|x|) - 1`; shares its exponential with `tanh`'s derivative."""
    n, p = reduced(-2.0 * fabs(x))
    t = scale(p, n) + (scale(1.0, n) - 1.0)
    return copysign(t / (2.0 + t), x)


def log_plus(x: float, low: float) -> float:
    """`log(x) + low` for a positive, finite x and a small number."""
    tiny = x < ieee.SMALLEST_NORMAL
    x = x * 18014398509481984.0 if tiny else x  # 2**54
    k, m = exponent(x), mantissa(x)
    large = m > SQRT2
    k = k + 1.0 if large else k
    k = k - 54.0 if tiny else k
    f = (0.5 * m if large else m) - 1.0
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    return k * LN2_HIGH - ((half - (s * (half + z * polynomial(LOG, z)) + (k * LN2_LOW + low))) - f)


def log(x: float) -> float:
    if 0.0 < x < inf:
        return log_plus(x, 0.0)
    return -inf if x == 0.0 else x if x == inf else nan


def log1p(x: float) -> float:
    """`log(u) + c/u` with `u = 1 + x` and its rounding error c."""
    if -1.0 < x < inf:
        u = 1.0 + x
        c = 1.0 - (u - x) if x >= 1.0 else x - (u - 1.0)
        return x if x == 0.0 else log_plus(u, c / u)
    return -inf if x == -1.0 else x if x == inf else nan


def _circular(x: float) -> tuple[float, float, float]:
    """The quadrant of an angle, modulo four, and sine and cosine of what is left."""
    n = ieee.round_half_even(x * TWO_OVER_PI)
    r = ((x - n * HALF_PI[0]) - n * HALF_PI[1]) - n * HALF_PI[2]
    z = r * r
    half = 0.5 * z
    w = 1.0 - half
    sine = r + r * z * polynomial(SIN, z)
    cosine = w + (((1.0 - w) - half) + z * z * polynomial(COS, z))
    return n - 4.0 * ieee.floor(0.25 * n), sine, cosine


def sin(x: float) -> float:
    inside = fabs(x) <= LARGEST_ANGLE
    q, sine, cosine = _circular(x)
    y = cosine if q == 1.0 or q == 3.0 else sine
    y = -y if q >= 2.0 else y
    return (x if x == 0.0 else y) if inside else ieee.sin(x)


def cos(x: float) -> float:
    inside = fabs(x) <= LARGEST_ANGLE
    q, sine, cosine = _circular(x)
    y = sine if q == 1.0 or q == 3.0 else cosine
    y = -y if q == 1.0 or q == 2.0 else y
    return y if inside else ieee.cos(x)


POLYNOMIALS = {"exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "tanh": tanh, "sin": sin, "cos": cos}


# ---- "fast" ----------------------------------------------------------------------------------------------------------

# tanh(r)/r = (1 + a z + b z**2)/(1 + c z + d z**2), z = r**2, for |r| <= log(2)/4, within 2e-17; 1, a, b and 1, c, d
TANH_ABOVE = (1.0, 0.11110147886040408, 0.0010575592524237915)
TANH_BELOW = (1.0, 0.44443481219373676, 0.01586916331769181)


def halved(x: float) -> tuple[float, float, float]:
    """`s, p, q` with `exp(2x) = s (q + p)/(q - p)` and s a power of two, for x from -375 to 0."""
    n = ieee.round_half_even(x * (2.0 * LOG2_E))
    r = (x - n * (0.5 * LN2_HIGH)) - n * (0.5 * LN2_LOW)
    z = r * r
    return scale(1.0, n), r * polynomial(TANH_ABOVE, z), polynomial(TANH_BELOW, z)


def _tanh(x: float) -> tuple[float, float, float]:
    """tanh(-|x|) = (e - 1)/(e + 1) with e = exp(-2|x|), times `q - p` above and below; and what of it a slope needs."""
    s, p, q = halved(max(-fabs(x), -375.0))
    e = s * (q + p)
    inverse = 1.0 / (e + (q - p))
    return ((s - 1.0) * q + (s + 1.0) * p) * inverse, e, inverse


def fast_tanh(x: float) -> float:
    return copysign(_tanh(x)[0], x)


def fast_tanh_slope(x: float) -> float:
    """`(1 + y)(1 - y)` with `y = tanh(-|x|)`, `1 + y = 2e/(e + 1)`."""
    y, e, inverse = _tanh(x)
    return ((e + e) * inverse) * (1.0 - y)


def _sigmoid(x: float) -> tuple[float, float]:
    """sigmoid(|x|) and sigmoid(-|x|): 1/(1 + e) and e/(1 + e) with e = exp(-|x|), times `q - p` above and below."""
    s, p, q = halved(max(-0.5 * fabs(x), -375.0))
    e, one = s * (q + p), q - p
    inverse = 1.0 / (e + one)
    return one * inverse, e * inverse


def fast_sigmoid(x: float) -> float:
    large, small = _sigmoid(x)
    return small if x < 0.0 else large


def fast_sigmoid_slope(x: float) -> float:
    large, small = _sigmoid(x)
    return large * small


def fast_relu(x: float) -> float:
    return 0.0 if x < 0.0 else x


def fast_step(x: float) -> float:
    return 1.0 if x > 0.0 else 0.0


FAST = {
    "tanh": fast_tanh, "tanh_slope": fast_tanh_slope, "sigmoid": fast_sigmoid, "sigmoid_slope": fast_sigmoid_slope,
    "relu": fast_relu, "step": fast_step,
}  # fmt: skip
