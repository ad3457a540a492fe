"""The rows of the functions, beyond those of the engine's table: value, local gradients, notation, domain, oracle.

Their values on floats stand in `values.py`; what a row is, and how one is added, in `engine/primitive.py`. Rows whose
names end in `_slope` are derivatives that would lose digits, or leave the range of floats, if they were composed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

# fmt: off
from ..engine.primitive import (  # isort: skip
    ABOVE_MINUS_ONE, ABOVE_ONE, MODERATE, POSITIVE, REAL, UNIT, Interval, Primitive, family, row,
)
# fmt: on
from ..engine.table import div, exp, log_slope, sigmoid
from . import values

_inner = partial(row, __name__)
_row = partial(row, __name__, public=True)


def _prod_local(y: Any, *xs: Any) -> tuple[Any, ...]:
    """The product of the other operands, from products of all before and all behind: right with zeros, too."""
    before = [1.0]
    for x in xs[:-1]:
        before.append(before[-1] * x)
    behind: Any = 1.0
    locals_: list[Any] = []
    for x, head in zip(reversed(xs), reversed(before), strict=True):
        locals_.append(head * behind)
        behind = behind * x
    return tuple(reversed(locals_))


def _softmax(xs: Sequence[Any]) -> tuple[Any, ...]:
    """Every operand's share of the softmax: floats at once, `Value`s as one node each, to the same bits."""
    if all(type(x) is float for x in xs):
        return values.softmax(*xs)
    return tuple(share_of_softmax(k)(*xs) for k in range(len(xs)))


def rest(k: int, xs: Sequence[Any], shares: tuple[Any, ...]) -> Any:
    """One less the k-th share of the softmax of `xs`, on floats or `Value`s, to the same bits."""
    return values.others(k, shares) if type(shares[k]) is float else rest_of_softmax(k)(*xs)


def _share_local(k: int, y: Any, xs: Sequence[Any]) -> tuple[Any, ...]:
    """`y (1 - y)` by the k-th operand, where `1 - y` does not cancel; `-y yj` by the others."""
    shares = _softmax(xs)
    others = rest(k, xs, shares)
    return tuple(y * others if j == k else -y * share for j, share in enumerate(shares))


@family()
def share_of_softmax(k: int) -> Primitive:
    """The k-th operand's share of the softmax of all, from 0; of the first it is `softmax_share`."""
    if k == 0:
        return softmax_share
    return Primitive(
        f"softmax_share[{k}]", None, lambda *xs: values.softmax(*xs)[k], lambda y, *xs: _share_local(k, y, xs),
        lambda y, xs: tuple(f"{y}·(1-{y})" if j == k else f"-{y}·softmax({x})" for j, x in enumerate(xs)), (MODERATE,),
        f"softmax[{k}]", oracle=f"exp(xs[{k}])/fsum(map(exp, xs))",
    )  # fmt: skip


def at_place(k: int, row: Primitive) -> Primitive:
    """A row that singles out its first operand, with the k-th one, from 0, in its place: to the same bits."""

    def first(xs: Sequence[Any]) -> tuple[Any, ...]:
        return (xs[k], *xs[:k], *xs[k + 1 :])

    def back(found: Sequence[Any]) -> tuple[Any, ...]:
        return (*found[1 : k + 1], found[0], *found[k + 1 :])

    return Primitive(
        f"{row.name}[{k}]", None, lambda *xs: row.compute(*first(xs)),
        lambda y, *xs: back(row.local_gradients(y, first(xs))), lambda y, xs: back(row.local_notation(y, first(xs))),
        row.domain, row.symbol.replace("[0]", f"[{k}]"), row.oracle.replace("xs[0]", f"xs[{k}]"),
    )  # fmt: skip


@family()
def rest_of_softmax(k: int) -> Primitive:
    """One less the k-th share: the sum of the others, so that its own derivatives do not cancel either."""

    def local(y: Any, *xs: Any) -> tuple[Any, ...]:
        shares = _softmax(xs)
        return tuple(-y * share if j == k else shares[k] * share for j, share in enumerate(shares))

    return Primitive(
        f"softmax_rest[{k}]", None, lambda *xs: values.others(k, values.softmax(*xs)), local,
        lambda y, xs: tuple(f"-{y}·(1-{y})" if j == k else f"(1-{y})·softmax({x})" for j, x in enumerate(xs)),
        (MODERATE,), "1−softmax", oracle=f"fsum(map(exp, xs[:{k}] + xs[{k + 1}:]))/fsum(map(exp, xs))",
    )  # fmt: skip


def _tie_local(y: Any, *xs: Any) -> tuple[Any, ...]:
    count = count_of_ties(y, *xs)
    return tuple(share_of_tie(x, y, count) for x in xs)


def _hypot_slope_local(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    h, other = hypot(a, b), hypot_slope(b, a)
    return (other * div(other, h), -div(y * other, h))  # other/h may overflow where y makes up for it


def _atan2_slope_local(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    h = hypot(a, b)
    s = where(less(1e307, h), 0.25, 1.0)  # where h, or the sum of a and b, overflows
    p, q = a * s, b * s
    r = hypot(p, q)
    return (div(div(div(q - p, r) * div(q + p, r), h), h), div(div(-2.0 * hypot_slope(a, b) * hypot_slope(b, a), h), h))


def _clamp_local(y: Any, a: Any, b: Any, c: Any) -> tuple[Any, ...]:
    """`high` holds where it is below the greater of the others: its derivative is 1 there, crossing bounds too."""
    at_high = less(c, max(a, b))
    return (within(a, b, c), less(a, b) * is_zero(at_high), at_high)


def _dot_notation(y: str, operands: Sequence[str]) -> tuple[str, ...]:
    n = len(operands) // 2
    return (*operands[n:], *operands[:n])


@family((1,), (2,))
def exp2_slope(n: int) -> Primitive:
    return Primitive(
        f"exp2_slope[{n}]", 1, lambda a: values.exp2_derivative(a, n), lambda y, a: (exp2_slope(n + 1)(a),),
        ("{y}·ln 2",), (MODERATE,), oracle=f"2**a*log(2)**{n}",
    )  # fmt: skip


# ---- the table -------------------------------------------------------------------------------------------------------
# Inside this module the names of rows hide the builtins max, min and sum, on purpose.
# fmt: off
# Rows that a row above them refers to:
acosh_slope: Primitive; asin_slope: Primitive; asinh_slope: Primitive; atan2_slope: Primitive; atan_slope: Primitive; atanh_slope: Primitive
clamp: Primitive; cosh: Primitive; count_of_ties: Primitive; erf_slope: Primitive; hypot: Primitive; hypot_slope: Primitive; is_nonzero: Primitive
is_zero: Primitive; less: Primitive; log10_slope: Primitive; max: Primitive; share_of_tie: Primitive; softmax_share: Primitive; where: Primitive; within: Primitive

# name           row   name               arity value             local gradients, given the output and the operands     notation, domain, symbol, oracle
expm1          = _row("expm1",            1,    values.expm1,       lambda y, a: (exp(a),),                            ("exp {a}",), (MODERATE,), oracle="expm1(a)")
exp2           = _row("exp2",             1,    values.exp2,        lambda y, a: (exp2_slope(1)(a),),                  ("{y}·ln 2",), (MODERATE,), oracle="2**a")
log1p          = _row("log1p",            1,    values.log1p,       lambda y, a: (log_slope(1.0 + a),),                ("1/(1+{a})",), (ABOVE_MINUS_ONE,), oracle="log(1 + a)")
log2           = _row("log2",             1,    values.log2,        lambda y, a: (log_slope(a * values.LN2),),           ("1/({a}·ln 2)",), (POSITIVE,), oracle="log(a, 2)")
log10          = _row("log10",            1,    values.log10,       lambda y, a: (log10_slope(a),),                   ("1/({a}·ln 10)",), (POSITIVE,), oracle="log10(a)")
log10_slope    = _inner("log10_slope",    1,    values.log10_slope, lambda y, a: (-(y * y) * values.LN10,),               ("-{y}²·ln 10",), (POSITIVE,), oracle="1/(a*log(10))")
cbrt           = _row("cbrt",             1,    values.cbrt,        lambda y, a: (div(1.0, 3.0 * (y * y)),),           ("1/(3·{y}²)",), oracle="sign(a)*cbrt(abs(a))")

tan            = _row("tan",              1,    values.tan,         lambda y, a: (1.0 + y * y,),                       ("1+{y}²",), (Interval(-1e5, 1e5),), oracle="tan(a)")
asin           = _row("asin",             1,    values.asin,        lambda y, a: (asin_slope(a),),                     ("1/√(1-{a}²)",), (UNIT,), oracle="asin(a)")
acos           = _row("acos",             1,    values.acos,        lambda y, a: (-asin_slope(a),),                    ("-1/√(1-{a}²)",), (UNIT,), oracle="acos(a)")
atan           = _row("atan",             1,    math.atan,        lambda y, a: (atan_slope(a),),                     ("1/(1+{a}²)",), oracle="atan(a)")
asin_slope     = _inner("asin_slope",     1,    values.asin_slope,  lambda y, a: (a * (y * y * y),),                   ("{a}·{y}³",), (UNIT,), oracle="1/sqrt((1 - a)*(1 + a))")
atan_slope     = _inner("atan_slope",     1,    values.atan_slope,  lambda y, a: (-2.0 * (a * y) * y,),                ("-2·{a}·{y}²",), oracle="1/(1 + a*a)")
atan2          = _row("atan2",            2,    math.atan2,       lambda y, a, b: (atan2_slope(b, a), -atan2_slope(a, b)), ("{b}/({a}²+{b}²)", "-{a}/({a}²+{b}²)"), (REAL, REAL), oracle="atan2(a, b)")
atan2_slope    = _inner("atan2_slope",    2,    values.atan2_slope, _atan2_slope_local,                                (), (REAL, REAL), oracle="a/(a*a + b*b)")
hypot          = _row("hypot",            2,    values.hypot,       lambda y, a, b: (hypot_slope(a, b), hypot_slope(b, a)), ("{a}/{y}", "{b}/{y}"), (REAL, REAL), oracle="hypot(a, b)", hides_nan=True)
hypot_slope    = _inner("hypot_slope",    2,    values.hypot_slope, _hypot_slope_local,                                (), (REAL, REAL), oracle="a/hypot(a, b)")

sinh           = _row("sinh",             1,    values.sinh,        lambda y, a: (cosh(a),),                           ("cosh {a}",), (MODERATE,), oracle="sinh(a)")
cosh           = _row("cosh",             1,    values.cosh,        lambda y, a: (sinh(a),),                           ("sinh {a}",), (MODERATE,), oracle="cosh(a)")
asinh          = _row("asinh",            1,    math.asinh,       lambda y, a: (asinh_slope(a),),                    ("1/√({a}²+1)",), oracle="asinh(a)")
asinh_slope    = _inner("asinh_slope",    1,    values.asinh_slope, lambda y, a: (-(a * y) * y * y,),                  ("-{a}·{y}³",), oracle="1/sqrt(1 + a*a)")
acosh          = _row("acosh",            1,    values.acosh,       lambda y, a: (acosh_slope(a),),                    ("1/√({a}²-1)",), (ABOVE_ONE,), oracle="acosh(a)")
acosh_slope    = _inner("acosh_slope",    1,    values.acosh_slope, lambda y, a: (-(a * y) * y * y,),                  ("-{a}·{y}³",), (ABOVE_ONE,), oracle="1/sqrt((a - 1)*(a + 1))")
atanh          = _row("atanh",            1,    values.atanh,       lambda y, a: (atanh_slope(a),),                    ("1/(1-{a}²)",), (UNIT,), oracle="atanh(a)")
atanh_slope    = _inner("atanh_slope",    1,    values.atanh_slope, lambda y, a: (2.0 * a * (y * y),),                 ("2·{a}·{y}²",), (UNIT,), oracle="1/((1 - a)*(1 + a))")

softplus       = _row("softplus",         1,    values.softplus,    lambda y, a: (sigmoid(a),),                        ("σ({a})",), (MODERATE,), oracle="log1p(exp(a))")
erf            = _row("erf",              1,    math.erf,         lambda y, a: (erf_slope(a),),                      ("2/√π·exp(-{a}²)",), (Interval(-26.0, 26.0),), oracle="erf(a)")
erfc           = _row("erfc",             1,    values.erfc,        lambda y, a: (-erf_slope(a),),                     ("-2/√π·exp(-{a}²)",), (Interval(-26.0, 26.0),), oracle="erfc(a)")
erf_slope      = _inner("erf_slope",      1,    values.erf_slope,   lambda y, a: (-2.0 * clamp(a, -30.0, 30.0) * y,),   ("-2·{a}·{y}",), (Interval(-26.0, 26.0),), oracle="2/sqrt(pi)*exp(-a*a)")  # y is 0 beyond

is_nonzero     = _inner("is_nonzero",     1,    values.is_nonzero,  None,                                              oracle="a != 0", hides_nan=True)
is_zero        = _inner("is_zero",        1,    values.is_zero,     None,                                              oracle="a == 0", hides_nan=True)
less           = _inner("less",           2,    values.less,        None,                                              (), (REAL, REAL), "<", oracle="a < b")
within         = _inner("within",         3,    values.within,      None,                                              (), (REAL, REAL, REAL), oracle="b <= a <= c")
share_of_tie   = _inner("share_of_tie",   3,    values.share_of_tie, None,                                             (), (REAL, REAL, Interval(1.0, 9.0)), oracle="(a == b)/c", hides_nan=True)
count_of_ties  = _inner("count_of_ties",  None, values.count_of_ties, None,                                            oracle="xs[1:].count(xs[0])", hides_nan=True)

max            = _row("max",              None, values.maximum,     _tie_local,                                        ("[is max]",), oracle="max(xs)")
min            = _row("min",              None, values.minimum,     _tie_local,                                        ("[is min]",), oracle="min(xs)")
clamp          = _row("clamp",            3,    values.clamp,       _clamp_local,                                      ("[{b}≤{a}≤{c}]", "[{a}<{b}]", "[{a}>{c}]"), (REAL, Interval(-2.0, -1.0), Interval(1.0, 2.0)), oracle="min(max(a, b), c)")
where          = _row("where",            3,    lambda c, a, b: a if c != 0.0 else b, lambda y, a, b, c: (0.0, is_nonzero(a), is_zero(a)), ("0", "[{a}]", "[not {a}]"), (REAL, REAL, REAL), oracle="b if a != 0 else c", hides_nan=True)

sum            = _row("sum",              None, values.total,       lambda y, *xs: (1.0,) * len(xs),                   ("1",), (REAL,), "Σ", oracle="fsum(xs)")
mean           = _row("mean",             None, values.mean,        lambda y, *xs: (1.0 / len(xs),) * len(xs),         lambda y, xs: (f"1/{len(xs)}",) * len(xs), oracle="fsum(xs)/len(xs)")
dot            = _row("dot",              None, values.dot,         lambda y, *xs: xs[len(xs) // 2:] + xs[:len(xs) // 2], _dot_notation, (REAL, REAL), "·", oracle="fdot(xs[:len(xs)//2], xs[len(xs)//2:])")
prod           = _row("prod",             None, values.prod,        _prod_local,                                       lambda y, xs: tuple("·".join([*xs[:k], *xs[k + 1:]]) or "1" for k in range(len(xs))), (REAL,), "Π", oracle="fprod(xs)")
logsumexp      = _row("logsumexp",        None, values.logsumexp,   lambda y, *xs: _softmax(xs),                       lambda y, xs: tuple(f"exp({x}-{y})" for x in xs), (MODERATE,), oracle="log(fsum(map(exp, xs)))")
softmax_share  = _row("softmax_share",    None, values.softmax_share, lambda y, *xs: _share_local(0, y, xs),               lambda y, xs: (f"{y}·(1-{y})", *(f"-{y}·softmax({x})" for x in xs[1:])), (MODERATE,), "softmax[0]", oracle="exp(xs[0])/fsum(map(exp, xs))", public="softmax")

# Comparisons, as numbers: what they are while a function is compiled.
lt             = _inner("lt",             2,    lambda a, b: 1.0 if a < b else 0.0, None, (), (REAL, REAL), "<", oracle="a < b", hides_nan=True)
le             = _inner("le",             2,    lambda a, b: 1.0 if a <= b else 0.0, None, (), (REAL, REAL), "≤", oracle="a <= b", hides_nan=True)
eq             = _inner("eq",             2,    lambda a, b: 1.0 if a == b else 0.0, None, (), (REAL, REAL), "=", oracle="a == b", hides_nan=True)
ne             = _inner("ne",             2,    lambda a, b: 1.0 if a != b else 0.0, None, (), (REAL, REAL), "≠", oracle="a != b", hides_nan=True)
both           = _inner("both",           2,    values.both,      None, (), (REAL, REAL), "∧", oracle="a != 0 and b != 0", hides_nan=True)
either         = _inner("either",         2,    values.either,    None, (), (REAL, REAL), "∨", oracle="a != 0 or b != 0", hides_nan=True)
# fmt: on

for _each in (max, min, clamp, where):
    _each.selects = True
