"""Activations and their slopes on floats, to the last digits: silu, both forms of gelu, and a few that need a line.

They stand apart from `activation_rows.py`, which makes operations of them, as `ieee.py` from `primitives.py`. Composed
of simpler functions they would lose digits in the left tail, where the rounding of an exponent's argument is multiplied
by it, and where a derivative changes sign. Near its zero `r` a derivative `f` is computed from `f(x) - f(r)`, as
factors of `x - r`. Constants that need more than a float's digits stand as a sum of two. Measured against mpmath:
values within 2 ULP, slopes within 4, curvatures within 16.
"""

from __future__ import annotations

import math
from math import copysign, fabs, inf, isnan, nan, tanh

from . import ieee
from .ieee import exp, expm1, log1p, two_product, two_sum

SQRT_HALF = 0.7071067811865476


def times_exp(factor: float, x: float) -> float:
    """`factor * exp(x)`, also where `exp(x)` alone is no normal number: `exp(x + 40) exp(-40)`."""
    return factor * exp(x) if x > -690.0 else factor * exp(x + 40.0) * 4.248354255291589e-18


def quotient(n: float, n_low: float, d: float, d_low: float = 0.0) -> float:
    """`(n + n_low) / (d + d_low)`, rounded once; operands and result far from the ends of the range."""
    q = n / d
    product, low = two_product(q, d)
    return q + (((n - product) - low) + (n_low - q * d_low)) / d


# ---- silu ------------------------------------------------------------------------------------------------------------


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

_H = 0.625
# exp(-(n H)**2 / 2) and (n H)**2, smallest first
*_NODES, _FIRST_NODE = ((exp(-0.5 * (n * _H) ** 2), (n * _H) ** 2) for n in range(15, 0, -1))
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
    return -0.5 * high * high, expm1(-0.5 * (t - high) * (t + high))


def _tail_sum(t: float) -> tuple[float, float]:
    """`B` in `Φ(-t) = B exp(-t*t/2) H/(π t) - 1/(exp(2πt/H) - 1)`: the trapezoidal rule with a step of H, in 15 terms.

    The last summand is the residue of the integrand's pole; beyond `t = 8` it is below the rounding, then not there.
    `1/2 + t**2 * sum of exp(-(nH)**2/2) / (t**2 + (nH)**2)` (Chiarella and Reichl, Mathematics of Computation 22,
    1968). All terms are positive; for `t > 0.4`. Where `t` is large, less is rounded in what is missing to its limit.
    """
    square = t * t
    s = 0.0
    if t > 3.0:
        for weight, place in (*_NODES, _FIRST_NODE):
            s += weight * place / (square + place)
        b, b_low = two_sum(2.0053026197048003, -s)
        return b, b_low + 1.1982534029917275e-16
    for weight, place in _NODES:
        s += weight / (square + place)
    weight, place = _FIRST_NODE
    n, n_low = two_product(square, weight)
    d, d_low = two_sum(square, place)
    s, low = two_sum(quotient(n, n_low + square * -5.149396189997403e-17, d, d_low), square * s)
    b, b_low = two_sum(0.5, s)
    return b, low + b_low


def gelu(x: float) -> float:
    if isnan(x) or x > -0.5:
        return x * (0.5 * ieee.erfc(-x * SQRT_HALF)) if x != 0.0 else x
    if x < -39.0:
        return -0.0
    t = -x
    p, q = _gauss(t)
    b, b_low = _tail_sum(t)
    f, low = two_product(b, 0.19894367886486916)  # H/π
    low += b_low * 0.19894367886486916 + b * 8.51750878973263e-18 + f * q
    if t < 8.0:
        low -= t / (expm1(10.053096491487338 * t) * exp(p))
    return -times_exp(f + low, p)


def gelu_slope(x: float) -> float:
    """`Φ(x) + x φ(x)`; 0 at -0.752."""
    if isnan(x) or x > -0.4:
        p, q = _gauss(x) if fabs(x) < 39.0 else (-inf, 0.0)
        density = 0.3989422804014327 * (exp(p) * (1.0 + q))
        return 0.5 * ieee.erfc(-x * SQRT_HALF) + (x * density if density != 0.0 else 0.0)
    if x < -39.0:
        return -0.0
    if x > -1.1:
        d = (x + 0.7517915246935645) - 1.4956759177009883e-17
        s = 0.0
        for coefficient in _GELU_SLOPE:
            s = s * d + coefficient
        return s * d
    t = -x
    p, q = _gauss(t)
    b, b_low = _tail_sum(t)
    n, n_low = two_product(b, 0.19894367886486916)  # H/π
    square, square_low = two_product(t, t)
    m, m_low = two_product(0.3989422804014327, square)
    n_low += b_low * 0.19894367886486916 + b * 8.51750878973263e-18
    m_low += 0.3989422804014327 * square_low - 2.49232720227773e-17 * square
    difference, low = two_sum(n, -m)
    low += (n_low - m_low) + difference * q
    if t < 8.0:
        low -= t / (expm1(10.053096491487338 * t) * exp(p))
    return times_exp(quotient(difference, low, t), p)


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


# ---- the others ------------------------------------------------------------------------------------------------------


def softsign(x: float) -> float:
    return x / (1.0 + fabs(x)) if fabs(x) < inf else x if isnan(x) else copysign(1.0, x)


def hardsigmoid(x: float) -> float:
    return ieee.clamp(x + 3.0, 0.0, 6.0) / 6.0


def log_softmax(xs: tuple[float, ...]) -> list[float]:
    """`x - logsumexp(xs)` for each `x` without its cancellation: a sum of terms of one sign. -inf if all are."""
    top = ieee.maximum(*xs)
    if isnan(top):
        return [nan] * len(xs)
    if top == inf:
        share = -math.log(xs.count(inf))
        return [share if x == inf else -inf for x in xs]
    if top == -inf:
        return [-inf] * len(xs)
    largest = xs.index(top)
    _, s, low = ieee._shifted_exponentials(xs[:largest] + xs[largest + 1 :], top)
    rest = log1p(s + low)
    found = []
    for x in xs:
        d, error = two_sum(x, -top)
        found.append(d - (rest - error) if x != -inf else -inf)
    return found


def log_softmax_share(*xs: float) -> float:
    """The logarithm of the first operand's share of the softmax of all operands."""
    return log_softmax(xs)[0]
