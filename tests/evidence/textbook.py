"""The derivatives as textbooks print them, in mpmath: a second source for what the table's local gradients must be.

The table writes them in the forms that keep their digits; here they are in the forms that are plainly right, at a
precision that is raised until it no longer matters. Kinks follow the table in SEMANTICS: 0 at relu's, halves at ties.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import copysign, inf, isfinite
from typing import Any

import mpmath as mp

from scalargrad import ieee
from scalargrad.primitives import Primitive

from .. import accuracy
from ..accuracy import SMALLEST_NORMAL


def _ties(best: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    def local(*xs: Any) -> tuple[Any, ...]:
        count = xs.count(best(xs))
        return tuple(mp.mpf(1) / count if x == best(xs) else mp.mpf(0) for x in xs)

    return local


def _shares(xs: Sequence[Any]) -> list[Any]:
    top = max(xs)
    return [mp.exp(x - top) / mp.fsum(mp.exp(z - top) for z in xs) for x in xs]


def _softmax_share(*xs: Any) -> tuple[Any, ...]:
    first, *rest = _shares(xs)
    return (first * mp.fsum(rest), *(-first * each for each in rest))


def _products(*xs: Any) -> tuple[Any, ...]:
    return tuple(mp.fprod((*xs[:k], *xs[k + 1 :])) for k in range(len(xs)))


DERIVATIVES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "identity": lambda a: (1,),
    "add": lambda a, b: (1, 1),
    "sub": lambda a, b: (1, -1),
    "mul": lambda a, b: (b, a),
    "div": lambda a, b: (1 / b, -a / b**2),
    "neg": lambda a: (-1,),
    "pow": lambda a, b: (b * mp.power(a, b - 1), mp.power(a, b) * mp.log(a)),
    "mod": lambda a, b: (1, -mp.floor(a / b)),
    "abs": lambda a: (mp.sign(a),),
    "exp": lambda a: (mp.exp(a),),
    "expm1": lambda a: (mp.exp(a),),
    "exp2": lambda a: (mp.power(2, a) * mp.log(2),),
    "log": lambda a: (1 / a,),
    "log1p": lambda a: (1 / (1 + a),),
    "log2": lambda a: (1 / (a * mp.log(2)),),
    "log10": lambda a: (1 / (a * mp.log(10)),),
    "log_slope": lambda a: (-1 / a**2,),
    "sqrt": lambda a: (1 / (2 * mp.sqrt(a)),),
    "cbrt": lambda a: (1 / (3 * mp.cbrt(abs(a)) ** 2),),
    "sin": lambda a: (mp.cos(a),),
    "cos": lambda a: (-mp.sin(a),),
    "tan": lambda a: (mp.sec(a) ** 2,),
    "asin": lambda a: (1 / mp.sqrt(1 - a * a),),
    "acos": lambda a: (-1 / mp.sqrt(1 - a * a),),
    "atan": lambda a: (1 / (1 + a * a),),
    "asin_slope": lambda a: (a / mp.sqrt(1 - a * a) ** 3,),
    "atan_slope": lambda a: (-2 * a / (1 + a * a) ** 2,),
    "atan2": lambda a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
    "atan2_slope": lambda a, b: ((b * b - a * a) / (a * a + b * b) ** 2, -2 * a * b / (a * a + b * b) ** 2),
    "hypot": lambda a, b: (a / mp.hypot(a, b), b / mp.hypot(a, b)),
    "hypot_slope": lambda a, b: (b * b / mp.hypot(a, b) ** 3, -a * b / mp.hypot(a, b) ** 3),
    "sinh": lambda a: (mp.cosh(a),),
    "cosh": lambda a: (mp.sinh(a),),
    "tanh": lambda a: (mp.sech(a) ** 2,),
    "tanh_slope": lambda a: (-2 * mp.tanh(a) * mp.sech(a) ** 2,),
    "asinh": lambda a: (1 / mp.sqrt(a * a + 1),),
    "asinh_slope": lambda a: (-a / mp.sqrt(a * a + 1) ** 3,),
    "acosh": lambda a: (1 / mp.sqrt(a * a - 1),),
    "acosh_slope": lambda a: (-a / mp.sqrt(a * a - 1) ** 3,),
    "atanh": lambda a: (1 / (1 - a * a),),
    "atanh_slope": lambda a: (2 * a / (1 - a * a) ** 2,),
    "sigmoid": lambda a: (mp.sech(a / 2) ** 2 / 4,),
    "sigmoid_slope": lambda a: (-(mp.sech(a / 2) ** 2) / 4 * mp.tanh(a / 2),),
    "softplus": lambda a: (1 / (1 + mp.exp(-a)),),
    "relu": lambda a: (mp.mpf(a > 0),),
    "erf": lambda a: (2 / mp.sqrt(mp.pi) * mp.exp(-a * a),),
    "erfc": lambda a: (-2 / mp.sqrt(mp.pi) * mp.exp(-a * a),),
    "erf_slope": lambda a: (-4 * a / mp.sqrt(mp.pi) * mp.exp(-a * a),),
    "max": _ties(max),
    "min": _ties(min),
    "clamp": lambda a, b, c: (mp.mpf(b <= a <= c), mp.mpf(a < b), mp.mpf(a > c)),
    "where": lambda c, a, b: (0, mp.mpf(c != 0), mp.mpf(c == 0)),
    "sum": lambda *xs: (1,) * len(xs),
    "mean": lambda *xs: (mp.mpf(1) / len(xs),) * len(xs),
    "dot": lambda *xs: (*xs[len(xs) // 2 :], *xs[: len(xs) // 2]),
    "prod": _products,
    "logsumexp": lambda *xs: tuple(_shares(xs)),
    "softmax_share": _softmax_share,
    "chain": lambda a, b: (b, a),
}


def in_domain(row: Primitive, xs: Sequence[float]) -> bool:
    """Whether the row is promised to be exact there, and mpmath, which has no -0.0, can say what is exact."""
    if any(x == 0.0 and copysign(1.0, x) < 0.0 for x in xs):
        return False
    intervals = row.domain if row.arity is not None else row.domain * len(xs)
    return all(low < x < high and isfinite(x) for x, (low, high) in zip(xs, intervals, strict=True))


def _leaves_range(xs: Sequence[float]) -> bool:
    """Whether the product from left to right is, on the way, too large or too small to be a normal float."""
    so_far = 1.0
    for k, x in enumerate(xs):
        so_far *= x
        if x == 0.0:
            return False
        if k > 0 and not SMALLEST_NORMAL <= abs(so_far) < inf:
            return True
    return False


def loses_digits(row: Primitive, xs: Sequence[float], k: int) -> bool:
    """Whether digits are lost on the way to the k-th derivative, as README.md's limits have it.

    `prod` multiplies from left to right, and its derivatives are products of what stands before and behind; a quotient
    that is divided once more may be subnormal.
    """
    if row.name == "prod":
        before, behind = xs[:k], xs[:k:-1]
        both = [math.prod(before), math.prod(behind)]
        return any(map(_leaves_range, (xs, before, behind, both)))
    if row.name in ("div", "atan2", "atan2_slope", "hypot_slope"):
        size = xs[1] if row.name == "div" else ieee.hypot(*xs)
        return any(0.0 < abs(ieee.div(x, size)) < SMALLEST_NORMAL for x in xs)
    return False


def _rule(row: Primitive) -> Callable[..., tuple[Any, ...]] | None:
    if row.flat:
        return lambda *xs: (0,) * len(xs)
    make, arguments = row.remake
    if make.__name__ == "power" and len(arguments) == 1 and isfinite(arguments[0]):
        n = arguments[0]
        return lambda a: (n * mp.power(a, mp.mpf(n) - 1),)
    return DERIVATIVES.get(row.name)


def _value(row: Primitive) -> Callable[..., Any] | None:
    make, arguments = row.remake
    if make.__name__ == "power" and len(arguments) == 1 and isfinite(arguments[0]):
        return lambda a: mp.power(a, arguments[0])
    return accuracy.EXACT.get(row.name)


def known(row: Primitive) -> bool:
    """Whether a textbook has the row."""
    return _rule(row) is not None and _value(row) is not None


def errors(row: Primitive, xs: Sequence[float], k: int) -> list[tuple[float, float]]:
    """The errors in ULP of the value and of the derivative by the k-th operand, each with the bound it must keep to.

    Empty where the exact result is no normal float, and where digits are lost on the way.
    """
    if loses_digits(row, xs, k):
        return []
    rule, exact = _rule(row), _value(row)
    assert rule is not None
    assert exact is not None
    y = row.compute(*xs)
    value_bound, first_bound, _ = accuracy.bounds(row)
    if row.arity is None:  # the bounds are those of up to five operands; each further one may round once more
        value_bound, first_bound = max(value_bound, len(xs)), max(first_bound, len(xs))
    found = row.local_gradients(y, xs)[k]
    measured: list[tuple[float | None, float]] = []
    try:
        measured.append(
            (accuracy.ulps(y, accuracy.exact_value(exact, xs), accuracy._scale_of_value(row, xs)), value_bound)
        )
        measured.append((accuracy.ulps(found, accuracy.exact_value(lambda *at: rule(*at)[k], xs)), first_bound))
    except ZeroDivisionError:
        pass  # a pole, where the tests of awkward points say what is right
    return [(error, bound) for error, bound in measured if error is not None]
