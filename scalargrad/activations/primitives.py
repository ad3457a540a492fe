"""Rows for the activations that the table does not have: each is one node, whose slope is one node, and so on.

What each is for is said in `functions.py`; their arithmetic on floats is in `values.py`. Those with parameters are
families, one row for each value of the parameters, which their local gradients close over.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from math import fabs, isnan, nan
from typing import Any

from ..engine import ieee, table
from ..engine.ieee import exp, two_product
from ..engine.primitive import REAL, Interval, Primitive, family, row
from ..functions import primitives
from ..functions import values as function_values
from ..functions.values import expm1, log1p, quotient
from . import values
from .values import CUBIC, SQRT_HALF, TWO_K

TAIL = Interval(-700.0, 700.0)
GELU_TANH = f"lambda x: x/(1 + exp(-mpf({TWO_K!r})*x*(1 + mpf({CUBIC!r})*x*x)))"  # for the tests, as oracles are
_inner = partial(row, __name__)
_row = partial(row, __name__, public=True)


# ---- local gradients that need more than a line: third derivatives, as a rule -----------------------------------------


def _silu_third(y: Any, a: Any) -> tuple[Any, ...]:
    s = table.sigmoid_slope(a)
    return (s * (a * (1.0 - 6.0 * s) - 3.0 * table.tanh(0.5 * a)),)


def _gelu_tanh_third(y: Any, a: Any) -> tuple[Any, ...]:
    w = TWO_K * a * (1.0 + CUBIC * a * a)
    w1, w2 = TWO_K * (1.0 + 3.0 * CUBIC * a * a), 6.0 * TWO_K * CUBIC * a
    s, th = table.sigmoid_slope(w), table.tanh(0.5 * w)  # σ'' = -th s, σ''' = s (1 - 6 s)
    bend = w1 * w1 * w1 * (1.0 - 6.0 * s) - 3.0 * th * w1 * w2 + 6.0 * TWO_K * CUBIC
    return (s * (3.0 * (w2 - th * w1 * w1) + a * bend),)


def _softsign_local(y: Any, a: Any) -> tuple[Any, ...]:
    r = table.div(1.0, 1.0 + table.abs(a))
    return (r * r,)


def _psoftplus_by_beta(y: Any, a: Any, b: Any) -> Any:
    """`(a σ(b a) - y)/b`; above 0 from the same at -a, where the two do not cancel: the derivative is even in a."""
    above = -(a * psoftplus_slope(-a, b) + psoftplus(-a, b))
    return table.div(primitives.where(table.step(a), above, a * psoftplus_slope(a, b) - y), b)


def _log_softmax_local(y: Any, *xs: Any) -> tuple[Any, ...]:
    """One less the share of the first, which does not cancel; less the share of another."""
    shares = primitives._softmax(xs)
    return (primitives.rest(0, xs, shares), *(-share for share in shares[1:]))


# ---- families of rows: one for each value of their parameters --------------------------------------------------------


def _made(
    name: str,
    parameters: tuple[float, ...],
    compute: Callable[[float], float],
    local: Callable[..., tuple[Any, ...]] | None,
    notation: str,
    symbol: str,
    oracle: str,
    domain: Interval = REAL,
) -> Primitive:
    """A member of a family; the oracle may name its parameters `p`, `q` and `r`."""
    title = f"{name}[{', '.join(f'{x:g}' for x in parameters)}]"
    exact = re.sub(r"\b[pqr]\b", lambda match: f"mpf({parameters['pqr'.index(match[0])]!r})", oracle)
    return Primitive(title, 1, compute, local, (notation,), (domain,), symbol, exact)


@family((0.1,), (-0.5,))
def leaky_relu(slope: float) -> Primitive:
    step = leaky_step(slope)
    return _made(
        "leaky_relu", (slope,), lambda x: x if x > 0.0 else slope * x,
        lambda y, a: (step(a),), f"{{a}}>0 ? 1 : {slope:g}", "leaky relu", "a if a > 0 else p*a",
    )  # fmt: skip


@family((0.1,))
def leaky_step(slope: float) -> Primitive:
    return _made(
        "leaky_step", (slope,), lambda x: 1.0 if x > 0.0 else slope if x <= 0.0 else nan,
        None, "0", "leaky relu′", "1 if a > 0 else p",
    )  # fmt: skip


@family((1.5, 1.0, 0), (1.5, 1.0, 1), (1.5, 1.0, 2), (1.75, 1.05, 0))
def elu(alpha: float, scale: float, order: int) -> Primitive:
    """`scale x` above 0, `alpha expm1(x)` at 0 and below (`alpha` includes the scale), differentiated `order` times."""
    if order == 0:
        compute = lambda x: scale * x if x > 0.0 else alpha * expm1(x)  # noqa: E731
    else:
        above = scale if order == 1 else 0.0
        compute = lambda x: above if x > 0.0 else values.times_exp(alpha, x)  # noqa: E731
    symbol = "elu" if scale == 1.0 else "selu"
    return _made(
        "elu", (alpha, scale, order), compute, lambda y, a: (elu(alpha, scale, order + 1)(a),),
        f"{{a}}>0 ? {scale if order == 0 else 0:g} : {alpha:g}·exp {{a}}", symbol + "′" * order,
        f"{('q*a', 'q', '0')[min(order, 2)]} if a > 0 else p*{'exp' if order else 'expm1'}(a)", TAIL,
    )  # fmt: skip


def _softplus(x: float, beta: float, order: int) -> float:
    """`log(1 + exp(beta x))/beta`, differentiated `order` times by x, 2 at most."""
    p, low = two_product(beta, x) if fabs(x) < 1e150 and 1e-150 < beta < 1e150 else (beta * x, 0.0)
    if p < 0.0:
        low = -low  # exp(-|beta x|) = exp(-|p|) (1 - low)
    e = exp(-fabs(p))
    if order == 0 and not 1e-150 < beta < 1e150:
        return ieee.relu(x) + ieee.div(log1p(e), beta)
    if order == 0:
        if p < -40.0:
            return values.times_exp(quotient(1.0, -low, beta), p)
        return ieee.relu(x) + quotient(log1p(e), -low * e / (1.0 + e), beta)
    if order == 1:
        return 1.0 / (1.0 + (e - e * low)) if p >= 0.0 else values.times_exp((1.0 - low) / (1.0 + e - e * low), p)
    return values.times_exp(beta * (1.0 - low) / ((1.0 + e) * (1.0 + e)), -fabs(p))


@family((2.0, 0), (2.0, 1), (2.0, 2), (0.3, 0))
def softplus(beta: float, order: int) -> Primitive:
    """`log(1 + exp(beta x))/beta`, differentiated `order` times, 2 at most."""

    def local(y: Any, a: Any) -> tuple[Any, ...]:
        return (softplus(beta, order + 1)(a),) if order < 2 else (-beta * table.tanh(0.5 * beta * a) * y,)

    notation = (f"σ({beta:g}·{{a}})", f"{beta:g}·{{y}}·(1-{{y}})", f"-{beta:g}·{{y}}·tanh({0.5 * beta:g}·{{a}})")[order]
    symbol = ("softplus", "σ", "σ′")[order]
    oracle = ("log1p(exp(p*a))/p", "1/(1 + exp(-p*a))", "p/4*sech(p*a/2)**2")[order]
    domain = Interval(-700.0 / beta, 700.0 / beta)
    compute = lambda x: _softplus(x, beta, order)  # noqa: E731
    return _made("softplus", (beta, order), compute, local, notation, symbol, oracle, domain)


@family((-1.0, 1.0))
def hardtanh(low: float, high: float) -> Primitive:
    """`x` brought into [low, high]; unlike `clamp`, flat on its bounds."""
    inside = between(low, high, 1.0)
    made = _made(
        "hardtanh", (low, high), lambda x: function_values.clamp(x, low, high),
        lambda y, a: (inside(a),), f"[{low:g}<{{a}}<{high:g}]", "hardtanh", "min(max(a, p), q)",
    )  # fmt: skip
    made.selects = True
    return made


@family((-3.0, 3.0, 1 / 6))
def between(low: float, high: float, height: float) -> Primitive:
    return _made(
        "between", (low, high, height), lambda x: nan if isnan(x) else height if low < x < high else 0.0,
        None, "0", "between", "r if p < a < q else 0",
    )  # fmt: skip


@family()
def share_of_log_softmax(k: int) -> Primitive:
    return primitives.at_place(k, log_softmax_share) if k else log_softmax_share


# ---- the rows --------------------------------------------------------------------------------------------------------
# fmt: off
# ruff: noqa: E501  # aligned by hand, as in the table

silu_curvature       = _inner("silu_curvature",       1,    values.silu_curvature,       _silu_third,                              ("silu‴({a})",), (TAIL,), "silu″", oracle="sech(a/2)**2/4*(2 - a*tanh(a/2))")
silu_slope           = _inner("silu_slope",           1,    values.silu_slope,           lambda y, a: (silu_curvature(a),),        ("σ′({a})·(2-{a}·tanh({a}/2))",), (TAIL,), "silu′", oracle="1/(1 + exp(-a)) + a*sech(a/2)**2/4")
silu                 = _row("silu",                   1,    values.silu,                 lambda y, a: (silu_slope(a),),            ("σ({a})·(1+{a}·(1-σ({a})))",), (TAIL,), oracle="a/(1 + exp(-a))")
gelu_curvature       = _inner("gelu_curvature",       1,    values.gelu_curvature,       lambda y, a: (-a * (y + SQRT_HALF * primitives.erf_slope(a * SQRT_HALF)),), ("gelu‴({a})",), (Interval(-38.0, 38.0),), "gelu″", oracle="npdf(a)*(2 - a*a)")
gelu_slope           = _inner("gelu_slope",           1,    values.gelu_slope,           lambda y, a: (gelu_curvature(a),),        ("φ({a})·(2-{a}²)",), (Interval(-38.0, 38.0),), "gelu′", oracle="erfc(-a/sqrt(2))/2 + a*npdf(a)")
gelu                 = _row("gelu",                   1,    values.gelu,                 lambda y, a: (gelu_slope(a),),            ("Φ({a})+{a}·φ({a})",), (Interval(-38.0, 1e300),), oracle="a*erfc(-a/sqrt(2))/2")
gelu_tanh_curvature  = _inner("gelu_tanh_curvature",  1,    values.gelu_tanh_curvature,  _gelu_tanh_third,                         ("gelu‴({a})",), (Interval(-20.0, 20.0),), "gelu″", oracle=f"diff({GELU_TANH}, a, 2)")
gelu_tanh_slope      = _inner("gelu_tanh_slope",      1,    values.gelu_tanh_slope,      lambda y, a: (gelu_tanh_curvature(a),),   ("gelu″({a})",), (Interval(-20.0, 20.0),), "gelu′", oracle=f"diff({GELU_TANH}, a)")
gelu_tanh            = _inner("gelu_tanh",            1,    values.gelu_tanh,            lambda y, a: (gelu_tanh_slope(a),),       ("gelu′({a})",), (Interval(-20.0, 1e300),), "gelu", oracle=f"({GELU_TANH})(a)")
softsign             = _row("softsign",               1,    values.softsign,             _softsign_local,                          ("1/(1+|{a}|)²",), oracle="a/(1 + abs(a))")
hardsigmoid          = _row("hardsigmoid",            1,    values.hardsigmoid,          lambda y, a: (between(-3.0, 3.0, 1 / 6)(a),), ("[-3<{a}<3]/6",), oracle="min(max((a + 3)/6, 0), 1)")
log_softmax_share    = _row("log_softmax_share",      None, values.log_softmax_share,    _log_softmax_local,                       lambda y, xs: (f"1-exp {y}", *(f"-softmax({x})" for x in xs[1:])), (TAIL,), "log softmax[0]", public="log_softmax", oracle="-log(fsum(exp(x - xs[0]) for x in xs))")

# The same with their parameter as an operand, where that is a `Value`: learnt, or an argument of a compiled function.
prelu_slope          = _inner("prelu_slope",         2, lambda x, s: 1.0 if x > 0.0 else s if x <= 0.0 else nan, lambda y, a, b: (0.0, primitives.le(a, 0.0)), ("0", "[{a}≤0]"), (REAL, REAL), "leaky relu′", oracle="1 if a > 0 else b", hides_nan=True)
prelu                = _inner("prelu",               2, lambda x, s: x if x > 0.0 else s * x, lambda y, a, b: (prelu_slope(a, b), primitives.where(table.step(a), 0.0, a)), ("{a}>0 ? 1 : {b}", "[{a}≤0]·{a}"), (REAL, REAL), "leaky relu", oracle="a if a > 0 else b*a", hides_nan=True)
pelu_curvature       = _inner("pelu_curvature",      2, lambda x, s: 0.0 if x > 0.0 else values.times_exp(s, x), lambda y, a, b: (y, primitives.where(table.step(a), 0.0, table.exp(a))), ("{y}", "[{a}≤0]·exp {a}"), (TAIL, REAL), "elu″", oracle="0 if a > 0 else b*exp(a)", hides_nan=True)
pelu_slope           = _inner("pelu_slope",          2, lambda x, s: 1.0 if x > 0.0 else values.times_exp(s, x), lambda y, a, b: (pelu_curvature(a, b), primitives.where(table.step(a), 0.0, table.exp(a))), ("[{a}≤0]·{y}", "[{a}≤0]·exp {a}"), (TAIL, REAL), "elu′", oracle="1 if a > 0 else b*exp(a)", hides_nan=True)
pelu                 = _inner("pelu",                2, lambda x, s: x if x > 0.0 else s * expm1(x), lambda y, a, b: (pelu_slope(a, b), primitives.where(table.step(a), 0.0, primitives.expm1(a))), ("{a}>0 ? 1 : {b}·exp {a}", "[{a}≤0]·expm1 {a}"), (TAIL, REAL), "elu", oracle="a if a > 0 else b*expm1(a)", hides_nan=True)
psoftplus_curvature  = _inner("psoftplus_curvature", 2, lambda x, b: _softplus(x, b, 2), lambda y, a, b: (-b * table.tanh(0.5 * b * a) * y, table.div(y, b) - a * table.tanh(0.5 * b * a) * y), ("-{b}·{y}·tanh({b}·{a}/2)", "{y}/{b}-{a}·{y}·tanh({b}·{a}/2)"), (Interval(-70.0, 70.0), Interval(0.1, 10.0)), "σ′", oracle="b/4*sech(b*a/2)**2")
psoftplus_slope      = _inner("psoftplus_slope",     2, lambda x, b: _softplus(x, b, 1), lambda y, a, b: (psoftplus_curvature(a, b), a * table.div(psoftplus_curvature(a, b), b)), ("{b}·{y}·(1-{y})", "{a}·{y}·(1-{y})"), (Interval(-70.0, 70.0), Interval(0.1, 10.0)), "σ", oracle="1/(1 + exp(-b*a))")
psoftplus            = _inner("psoftplus",           2, lambda x, b: _softplus(x, b, 0), lambda y, a, b: (psoftplus_slope(a, b), _psoftplus_by_beta(y, a, b)), ("σ({b}·{a})", "({a}·σ({b}·{a})-{y})/{b}"), (Interval(-70.0, 70.0), Interval(0.1, 10.0)), "softplus", oracle="log1p(exp(b*a))/b")
# fmt: on

hardsigmoid.selects = True
