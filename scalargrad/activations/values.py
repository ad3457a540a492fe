"""Activations and their slopes on floats, to the last digits: silu, both forms of gelu, and a few that need a line.

`primitives.py` makes operations of them. Composed of simpler functions they would lose digits in the left tail, where
the rounding of an exponent's argument is multiplied by it, and where a derivative changes sign. Near its zero `r` a
derivative `f` is computed from `f(x) - f(r)`, as factors of `x - r`. Constants that need more than a float's digits
stand as a sum of two. Measured against mpmath: values within 2 ULP, slopes within 4, curvatures within 16.
"""

from __future__ import annotations

import math
from math import copysign, erf, fabs, inf, isnan, tanh

from ..engine.ieee import exp, log, two_product, two_sum
from ..functions import values
from ..functions.values import expm1, log1p, quotient, scaled_erfc

SQRT_HALF = 0.7071067811865476


def times_exp(factor: float, x: float) -> float:
    """`factor * exp(x)` for x <= 0, also where `exp(x)` alone is no normal number: `exp(x + 40) exp(-40)`."""
    shift, scale = (0.0, 1.0) if x > -690.0 else (40.0, 4.248354255291589e-18)
    return factor * math.exp(x + shift) * scale


def silu(x: float) -> float:
    if x < -700.0:
        return -0.0 if x < -800.0 else times_exp(x, x)
    e = exp(-x)
    d, d_low = two_sum(1.0, e)
    return quotient(x, 0.0, d, d_low) if fabs(x) < 40.0 else x / d


def silu_slope(x: float) -> float:
    """`σ(x) (1 + x σ(-x)) = (1 + x + e) e / (1 + e)**2` with `e = exp(x)`; 0 at r = -1.278, where `e = -(1 + r)`."""
    if x >= 0.0:
        e = exp(-x)
        return (1.0 + (x * e / (1.0 + e) if e != 0.0 else 0.0)) / (1.0 + e)
    if x < -800.0:
        return -0.0
    e = exp(x)
    d = (x + 1.2784645427610737) + 1.0946994183093437e-16
    n = d + 0.2784645427610738 * expm1(d) if x > -8.0 else 1.0 + x + e
    return times_exp(n / (1.0 + e * (2.0 + e)), x)


def silu_curvature(x: float) -> float:
    """`σ'(x) (2 - x tanh(x/2))`; 0 at ±2.399, from there on by the addition theorem of tanh."""
    t = fabs(x)
    if t > 800.0:
        return -0.0
    if t < 8.0:
        d = (t - 2.3993572805154675) - 1.8464872855353363e-16
        h = -(d * 0.8335565596009648 + t * tanh(0.5 * d) * (1.0 - 0.8335565596009648 * tanh(0.5 * t)))
    else:
        h = 2.0 - t * tanh(0.5 * t)
    e = exp(-t)
    return times_exp(h / (1.0 + e * (2.0 + e)), -t)


# ---- gelu: x Φ(x), with Φ the distribution function of the standard normal, φ its density ----------------------------

# the derivatives of Φ + xφ at its zero, over n!, highest first
_GELU_SLOPE = (
    -3.5459866461783865e-08, -1.6044265494246427e-09, 5.702764979242107e-07, 4.3284506257392273e-07,
    -7.74846130700372e-06, -1.121438018842664e-05, 8.615947861116571e-05, 0.00018633974623233514,
    -0.0007448268386746817, -0.002239538068073497, 0.004539228379125415, 0.019421679838189067, -0.014771522148244337,
    -0.1140082332972217, -0.018199676398671087, 0.388284982990552, 0.4314939923140469,
)  # fmt: skip


def _gauss(t: float) -> tuple[float, float]:
    """`exp(-t*t/2)` as `exp(p) (1 + q)`, with an exact `p`: the rounding of `t*t` would be multiplied by `t*t/2`."""
    high = 134217729.0 * t
    high = high - (high - t)
    return -0.5 * high * high, math.expm1(-0.5 * (t - high) * (t + high))


def _tail(t: float) -> tuple[float, float, float, float]:
    """`s, s_low, d, d_low` in `Φ(-t) = exp(-t*t/2) (s + s_low)/2 / (d + d_low)` with `d = 1 + sqrt(2) t`, t > 0.49."""
    s, s_low = scaled_erfc(t * SQRT_HALF)
    u, u_low = two_product(1.4142135623730951, t)
    d, d_low = two_sum(1.0, u)
    return s, s_low, d, d_low + (u_low - 9.667293313452913e-17 * t)


def gelu(x: float) -> float:
    if not x <= -0.5:
        return x * (0.5 * (1.0 + erf(x * SQRT_HALF)))
    t = min(-x, 39.5)  # where the result is 0
    p, q = _gauss(t)
    s, s_low, d, d_low = _tail(t)
    n, n_low = two_product(-0.5 * t, s)
    return quotient(n, n_low + (n * q - 0.5 * t * s_low), d, d_low) * exp(p)


def gelu_slope(x: float) -> float:
    """`Φ(x) + x φ(x)`; 0 at -0.752."""
    if not x <= -0.4:
        x = min(x, 39.5)
        p, q = _gauss(x)
        return 0.5 * (1.0 + erf(x * SQRT_HALF)) + x * (0.3989422804014327 * (math.exp(p) * (1.0 + q)))
    if x > -1.1:
        d = (x + 0.7517915246935645) - 1.4956759177009883e-17
        y = 0.0
        for coefficient in _GELU_SLOPE:
            y = y * d + coefficient
        return y * d
    t = min(-x, 39.5)
    p, q = _gauss(t)
    s, s_low, d, d_low = _tail(t)
    u, u_low = two_product(t, d)
    m, m_low = two_product(0.3989422804014327, u)
    m_low += 0.3989422804014327 * (u_low + t * d_low) - 2.49232720227773e-17 * u
    difference, low = two_sum(0.5 * s, -m)
    low += (0.5 * s_low - m_low) + difference * q
    return times_exp(quotient(difference, low, d, d_low), p)


def gelu_curvature(x: float) -> float:
    """`φ(x) (2 - x**2)`, from its factors."""
    t = fabs(x)
    if t > 39.0:
        return -0.0
    p, q = _gauss(t)
    f = 0.3989422804014327 * (((1.4142135623730951 - t) - 9.667293313452913e-17) * (1.4142135623730951 + t))
    return times_exp(f + f * q, p)


# ---- gelu, tanh form: x σ(w), w = 2k (x + c x**3) --------------------------------------------------------------------

TWO_K = 1.5957691216057308  # 2 sqrt(2/π)
CUBIC = 0.044715


def _cubic(x: float) -> tuple[float, float]:
    """`w` and its rounding error."""
    square, square_low = two_product(x, x)
    q, q_low = two_product(CUBIC, square)
    s, s_low = two_sum(1.0, q)
    v, v_low = two_product(x, s)
    w, w_low = two_product(TWO_K, v)
    return w, w_low + TWO_K * (v_low + x * (s_low + q_low + CUBIC * square_low))


def gelu_tanh(x: float) -> float:
    if not fabs(x) < 40.0:
        return -0.0 if x < 0.0 else x
    w, low = _cubic(x)
    if w < -600.0:
        return times_exp(x + x * low, w)
    e = exp(-w)
    d, d_low = two_sum(1.0, e)
    return quotient(x, 0.0, d, d_low - e * low)


def gelu_tanh_slope(x: float) -> float:
    """`(1 + x w' + e) e / (1 + e)**2` with `e = exp(w)`; 0 at r = -0.752, where `exp(w_r) = -(1 + r w'_r)`."""
    if not fabs(x) < 40.0:
        return -0.0 if x < 0.0 else x if isnan(x) else 1.0
    w, low = _cubic(x)
    if x >= -0.3:
        e = exp(-w)
        z = TWO_K * x * (1.0 + 3.0 * CUBIC * x * x)
        return (1.0 + z * e / (1.0 + e)) / (1.0 + e)
    e = exp(w)
    if x > -3.0:
        d = TWO_K * ((x + 0.7524614220710162) + 3.473691681308185e-17)
        s = CUBIC * (x * x - 0.7524614220710162 * x + 0.566198191705136)
        n = d * (1.0 + 3.0 * s) + 0.29195521191476714 * expm1(d * (1.0 + s))
    else:  # x w' = 3w - 4k x
        n, n_low = two_product(3.0, w)
        m, m_low = two_product(2.0 * TWO_K, x)
        n = (n - m) + (1.0 + e + (n_low - m_low + 3.0 * low))
    return times_exp(quotient(n, n * low, 1.0 + e * (2.0 + e)), w)


def gelu_tanh_curvature(x: float) -> float:
    """`σ'(w) (2w' + x w'' - x w'**2 tanh(w/2))`; 0 at ±1.419 = ±r. Differences of powers as factors of `x - r`."""
    t = fabs(x)
    if not t < 40.0:
        return x if isnan(x) else -0.0
    w, low = _cubic(t)
    square = t * t
    th = tanh(0.5 * w)
    if t < 4.0:
        r = 1.4185040087908283
        d = (t - r) - 8.729298689888722e-18
        rr = r * r
        w_difference = TWO_K * d * (1.0 + CUBIC * (square + t * r + rr))
        b_difference = (TWO_K * TWO_K) * d * (
            1.0
            + 6.0 * CUBIC * (square + t * r + rr)
            + 9.0 * CUBIC * CUBIC * (square * square + square * t * r + square * rr + t * r * rr + rr * rr)
        )  # fmt: skip
        h = 12.0 * TWO_K * CUBIC * d * (t + r) - b_difference * th
        h -= 5.825371752376957 * tanh(0.5 * w_difference) * (1.0 - 0.843630359924267 * th)
    else:
        slope = 1.0 + 3.0 * CUBIC * square
        h = TWO_K * (2.0 + 12.0 * CUBIC * square) - TWO_K * TWO_K * t * slope * slope * th
    e = exp(-w)
    return times_exp(quotient(h, -h * low, 1.0 + e * (2.0 + e)), -w)


def softsign(x: float) -> float:
    return x / (1.0 + fabs(x)) if fabs(x) < inf else x if isnan(x) else copysign(1.0, x)


def hardsigmoid(x: float) -> float:
    return values.clamp(x + 3.0, 0.0, 6.0) / 6.0


def _log_share(x: float, top: float, rest: float) -> float:
    """`x - top - rest`, with the rounding error of the first difference."""
    d = x - top
    t = d - x
    return d - (rest - ((x - (d - t)) - (top + t))) if d > -inf else d


def _share_at_inf(x: float, share: float) -> float:
    return share if x == inf else -inf


def log_softmax(xs: tuple[float, ...]) -> list[float]:
    """`x - logsumexp(xs)` for each `x` without its cancellation: a sum of terms of one sign. -inf if all are."""
    top = values.maximum(*xs)
    if top == -inf:
        return [-inf] * len(xs)
    if top == inf:
        share = -log(values.count_of_ties(inf, *xs))
        return [_share_at_inf(x, share) for x in xs]
    rest = log1p(values.exponentials_beside(xs, top))
    return [_log_share(x, top, rest) for x in xs]


def log_softmax_share(*xs: float) -> float:
    return log_softmax(xs)[0]
