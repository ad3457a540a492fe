"""Rows for the losses that would lose digits if they were composed: entropies fused with sigmoid and softmax.

`softmax - onehot` and `sigmoid - target` cancel where a prediction is right; here every gradient is computed from the
other classes' probabilities, so that it keeps its digits down to the smallest.
"""

from __future__ import annotations

from functools import partial
from math import log, log1p, nan
from typing import Any

from ..activations.primitives import log_softmax_share
from ..activations.values import log_softmax
from ..engine import ieee, table
from ..engine.primitive import REAL, Interval, Primitive, family, row
from ..functions import primitives, values

# PyTorch cuts the logarithm of a probability off at -100, and takes its slope to be 1e12 there, so that a wrong answer
# that is saturated still learns.
LOG_FLOOR = -100.0
SMALLEST = 3.720075976020836e-44  # exp(-100)
SLOPE_AT_FLOOR = 1e12
PROBABILITY = Interval(0.0, 1.0)
ABOVE_FLOOR = Interval(SMALLEST, 1.0)
LOGIT = Interval(-700.0, 700.0)
_inner = partial(row, __name__)


@family((1.5,), (0.75,))
def huber(delta: float) -> Primitive:
    """`d**2/2` for `|d| <= delta`, `delta (|d| - delta/2)` beyond; slope `d` brought into [-delta, delta]."""

    def compute(d: float) -> float:
        size = abs(d)
        return delta * (size - 0.5 * delta) if size > delta else 0.5 * d * d

    return Primitive(
        f"huber[{delta:g}]", 1, compute, lambda y, a: (primitives.clamp(a, -delta, delta),),
        (f"clamp({{a}}, -{delta:g}, {delta:g})",), (REAL,), "huber",
        oracle=f"a*a/2 if abs(a) <= {delta!r} else mpf({delta!r})*(abs(a) - mpf({delta!r})/2)",
    )  # fmt: skip


def _minus_log(p: float) -> float:
    return 0.0 - max(log(p), LOG_FLOOR) if p > 0.0 else -LOG_FLOOR if p == 0.0 else nan


def _floored_slope(p: float) -> float:
    if p > 0.0:
        return 1.0 / p if p > SMALLEST else SLOPE_AT_FLOOR
    return SLOPE_AT_FLOOR if p == 0.0 else nan


def _binary_cross_entropy(p: float, t: float) -> float:
    """`-t log p - (1 - t) log(1 - p)`; a term with weight 0 is 0."""
    right = t * _minus_log(p) if t != 0.0 else 0.0
    wrong = (1.0 - t) * (0.0 - log1p(-p) if p < 1.0 else _minus_log(1.0 - p)) if t != 1.0 else 0.0
    return right + wrong if p == p else p


def _binary_local(y: Any, p: Any, t: Any) -> tuple[Any, ...]:
    q, u = 1.0 - p, 1.0 - t
    return (u * floored_slope(q) - t * floored_slope(p), minus_log(p) - minus_log(q))


@family((1.0,), (2.0,))
def logistic_loss(weight: float) -> Primitive:
    """`weight t softplus(-z) + (1 - t) softplus(z)` of a logit `z` and a target `t`: all terms of one sign.

    Its slope by `z`, `(1 - t) σ(z) - weight t σ(-z)`, is `σ(z) - t` for a weight of 1.
    """

    def compute(z: float, t: float) -> float:
        right = weight * t * values.softplus(-z) if t != 0.0 else 0.0
        return right + (1.0 - t) * values.softplus(z) if t != 1.0 else right

    def local(y: Any, z: Any, t: Any) -> tuple[Any, ...]:
        by_z = (1.0 - t) * table.sigmoid(z) - weight * t * table.sigmoid(-z)
        return (by_z, -z if weight == 1.0 else weight * primitives.softplus(-z) - primitives.softplus(z))

    w = "" if weight == 1.0 else f"{weight:g}·"
    by_z = "σ({a})-{b}" if weight == 1.0 else f"(1-{{b}})·σ({{a}})-{w}{{b}}·σ(-{{a}})"
    by_t = "-{a}" if weight == 1.0 else f"{w}softplus(-{{a}})-softplus({{a}})"
    oracle = f"mpf({weight!r})*b*log1p(exp(-a)) + (1 - b)*log1p(exp(a))"
    domain = (LOGIT, PROBABILITY)
    return Primitive(f"logistic_loss[{weight:g}]", 2, compute, local, (by_z, by_t), domain, "BCE with logits", oracle)


def _surprise_local(y: Any, *xs: Any) -> tuple[Any, ...]:
    return tuple(-each for each in log_softmax_share.local_gradients(y, xs))


def _split(operands: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    n = len(operands) // 2
    return operands[:n], operands[n:]


def _weighted(t: float, y: float) -> float:
    return t * y if t != 0.0 else 0.0


def _soft_cross_entropy(*operands: float) -> float:
    """`-(t1 log softmax_1 + t2 log softmax_2 + ...)` of `z1, z2, ..., t1, t2, ...`; a term with target 0 is 0."""
    zs, ts = _split(operands)
    s = 0.0
    for t, y in zip(ts, log_softmax(zs), strict=True):
        s -= _weighted(t, y)
    return s


def _sums_of_others(xs: tuple[Any, ...]) -> list[Any]:
    """For each of `xs` the sum of the others, added up and not taken off the whole, which would cancel."""
    add = values.total if all(type(x) is float for x in xs) else primitives.sum
    return [add(*xs[:k], *xs[k + 1 :]) for k in range(len(xs))]


def _soft_local(y: Any, *operands: Any) -> tuple[Any, ...]:
    """By `zj`: `pj` (sum of other targets) `- tj` (sum of other p), which is `pj - tj` where the targets sum to 1."""
    zs, ts = _split(operands)
    ps = primitives._softmax(zs)
    terms = zip(ps, ts, _sums_of_others(ts), strict=True)
    by_z = [p * other_ts - t * primitives.rest(k, zs, ps) for k, (p, t, other_ts) in enumerate(terms)]
    if all(type(z) is float for z in zs):
        return (*by_z, *(0.0 - y for y in log_softmax(zs)))
    return (*by_z, *(surprise_of(k)(*zs) for k in range(len(zs))))


def _soft_notation(y: str, operands: Any) -> tuple[str, ...]:
    zs, ts = _split(tuple(operands))
    return (*(f"softmax({z})-{t}" for z, t in zip(zs, ts, strict=True)), *(f"-log softmax({z})" for z in zs))


def _relative_term(q: float, t: float) -> float:
    if t == 0.0:
        return 0.0
    near = (t <= 2.0 * q) & (q <= 2.0 * t)  # then t - q is exact
    return t * (values.log1p((t - q) / q) if near else ieee.log(ieee.div(t, q)))


def _relative_entropy(*operands: float) -> float:
    """`t1 log(t1/q1) + t2 log(t2/q2) + ...` of `q1, q2, ..., t1, t2, ...`; a term with `t = 0` is 0."""
    qs, ts = _split(operands)
    s = 0.0
    for q, t in zip(qs, ts, strict=True):
        s += _relative_term(q, t)
    return s


def _relative_entropy_local(y: Any, *operands: Any) -> tuple[Any, ...]:
    qs, ts = _split(operands)
    pairs = list(zip(qs, ts, strict=True))
    nothing = [primitives.is_zero(t) for t in ts]
    by_q = [primitives.where(zero, 0.0, -table.div(t, q)) for zero, (q, t) in zip(nothing, pairs, strict=True)]
    by_t = [
        primitives.where(table.mul(zero, primitives.is_zero(q)), 0.0, 1.0 + table.log(table.div(t, q)))
        for zero, (q, t) in zip(nothing, pairs, strict=True)
    ]
    return (*by_q, *by_t)


def _relative_entropy_notation(y: str, operands: Any) -> tuple[str, ...]:
    qs, ts = _split(tuple(operands))
    pairs = list(zip(qs, ts, strict=True))
    return (*(f"-{t}/{q}" for q, t in pairs), *(f"1+log({t}/{q})" for q, t in pairs))


@family()
def surprise_of(k: int) -> Primitive:
    """The cross entropy of logits for the class k, from 0."""
    return primitives.at_place(k, surprise) if k else surprise


# ---- the rows ----------------------------------------------------------------------------------------------------------
# fmt: off
# ruff: noqa: E501  # aligned by hand, as in the table

floored_slope        = _inner("floored_slope",  1, _floored_slope, lambda y, a: (primitives.where(primitives.less(SMALLEST, a), -(y * y), 0.0),), ("-1/{a}²",), (ABOVE_FLOOR,), oracle="1/a")
minus_log            = _inner("minus_log",      1, _minus_log,     lambda y, a: (-floored_slope(a),), ("-1/{a}",), (ABOVE_FLOOR,), "-log", oracle="-log(a)")
binary_cross_entropy = _inner("binary_cross_entropy", 2, _binary_cross_entropy, _binary_local, ("({a}-{b})/({a}·(1-{a}))", "log((1-{a})/{a})"), (ABOVE_FLOOR, PROBABILITY), "BCE", oracle="-b*log(a) - (1 - b)*log(1 - a)")
surprise             = _inner("surprise",       None, lambda *xs: 0.0 - log_softmax(xs)[0], _surprise_local, lambda y, xs: (f"softmax({xs[0]})-1", *(f"softmax({x})" for x in xs[1:])), (LOGIT,), "cross entropy[0]", oracle="log(fsum(exp(x - xs[0]) for x in xs))")
soft_cross_entropy   = _inner("soft_cross_entropy", None, _soft_cross_entropy, _soft_local, _soft_notation, (LOGIT, PROBABILITY), "cross entropy", oracle="fsum(t*log(fsum(exp(x - z) for x in xs[:len(xs)//2])) for z, t in zip(xs[:len(xs)//2], xs[len(xs)//2:]))", hides_nan=True)
relative_entropy     = _inner("relative_entropy", None, _relative_entropy, _relative_entropy_local, _relative_entropy_notation, (PROBABILITY, PROBABILITY), "KL", oracle="fsum(t*log(t/q) for q, t in zip(xs[:len(xs)//2], xs[len(xs)//2:]))", hides_nan=True)
# fmt: on
