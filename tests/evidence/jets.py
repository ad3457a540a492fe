"""Derivatives of random programs, orders 1 to 4, against the exact ones: the source run on Taylor series in mpmath.

A program's function is run on jets: along one direction, the Taylor coefficients of every number to sixty digits, and
with them a bound on what rounding may do. What the engine gives is the k-th derivative along that direction, taken by
reverse passes, by forward passes, and by both in turn.

The bound is one of first order in u = 2**-53, and is carried by the same arithmetic. A jet has, for each coefficient c,

- m, the sum of the magnitudes of the terms that c is a sum of: products and sums of jets without their signs, and for a
  row f the magnitudes of its Taylor coefficients. A coefficient of f that passes through zero is itself a sum of terms
  that do not, so the largest of three points around, an eighth of x apart, stands for it.
- e, the error in units of u: what the errors of the operands bring, to first order, an operand's own value shifting all
  coefficients of f by the next one; and 16 m for the operation itself, 16 ULP being what second derivatives of rows are
  promised to (values 2, first derivatives 4).

The engine forms the same terms, as products over paths through its graph, in another order. A path of the k-th
derivative passes each of the n operations at most k + 1 times, and at each it is multiplied and added to others: at
most 8 roundings, as the longest rule has. So the k-th derivative may be off by u k! (e + 8 (k + 1) n m). mpmath finds
Taylor coefficients by differences, to 60 digits of the largest: 1e-40 of the largest m is added for what they leave.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from math import isfinite
from types import SimpleNamespace
from typing import Any

import mpmath as mp

import scalargrad as sg
from scalargrad.transforms.trees import flatten, unflatten

from . import backends
from .checks import Figures
from .programs import HEADER, Program

UNIT = mp.mpf(2) ** -53
DIGITS = 60
NEAR = mp.mpf(10) ** -9  # a decision that is as near as this may be another one on floats
LARGE = mp.mpf(10) ** 100
SMALL = mp.mpf(10) ** -100


class Left(Exception):  # noqa: N818  # not an error: the program is left out
    """The program is not smooth here, or leaves the range in which floats have their precision."""


class Jet:
    """Taylor coefficients c along a direction, the magnitudes m of their terms, and errors e in units of u."""

    order = 4
    operations = 0

    def __init__(self, c: Sequence[Any], m: Sequence[Any], e: Sequence[Any]) -> None:
        if type(c[0]) is not mp.mpf or not mp.isfinite(c[0]) or m[0] > LARGE or 0 < abs(c[0]) < SMALL:
            raise Left
        self.c, self.m, self.e = list(c), list(m), list(e)

    @classmethod
    def of(cls, x: Any, slope: float = 0.0) -> Jet:
        """A number, exact, or an input with a direction."""
        if isinstance(x, Jet):
            return x
        try:
            exact = mp.mpf(float(x))
        except (TypeError, OverflowError):
            raise Left from None
        c = [exact, mp.mpf(slope), *[mp.mpf(0)] * (cls.order - 1)]
        return cls(c, [abs(each) for each in c], [mp.mpf(0)] * (cls.order + 1))

    def _done(self, c: list[Any], m: list[Any], e: list[Any]) -> Jet:
        Jet.operations += 1
        return Jet(c, m, [error + 16 * size for error, size in zip(e, m, strict=True)])

    def __add__(self, other: Any) -> Jet:
        b = Jet.of(other)
        return self._done(
            *[[x + y for x, y in zip(s, t, strict=True)] for s, t in ((self.c, b.c), (self.m, b.m), (self.e, b.e))]
        )

    def __mul__(self, other: Any) -> Jet:
        b = Jet.of(other)
        e = [x + y for x, y in zip(_product(self.m, b.e), _product(self.e, b.m), strict=True)]
        return self._done(_product(self.c, b.c), _product(self.m, b.m), e)

    def of_row(self, f: Callable[[Any], Any]) -> Jet:
        """f of it, for a function of mpmath that is smooth there."""
        n, x = Jet.order, self.c[0]
        try:
            coefficients = mp.taylor(f, x, n + 1)
            around = [[abs(each) for each in coefficients]]
            for shift in (-0.125, 0.125):
                try:
                    around.append([abs(each) for each in mp.taylor(f, x * (1 + shift), n + 1)])
                except (ValueError, ZeroDivisionError):
                    continue
        except (ValueError, ZeroDivisionError, OverflowError, mp.libmp.NoConvergence):
            raise Left from None
        if any(type(each) is not mp.mpf or not mp.isfinite(each) for each in coefficients):
            raise Left
        sizes = [
            max(each)
            for each in zip(*[a for a in around if all(type(s) is mp.mpf and mp.isfinite(s) for s in a)], strict=True)
        ]
        zero = [mp.mpf(0)] * (n + 1)
        c, m, e = zero[:], zero[:], zero[:]
        power = [mp.mpf(1), *zero[1:]]
        size, less = power[:], zero[:]
        delta, moved, wrong = [mp.mpf(0), *self.c[1:]], [mp.mpf(0), *self.m[1:]], [mp.mpf(0), *self.e[1:]]
        for k in range(n + 1):
            drift = _product(less, wrong)
            for j in range(n + 1):
                c[j] += coefficients[k] * power[j]
                m[j] += sizes[k] * size[j]
                e[j] += (k + 1) * sizes[k + 1] * self.e[0] * size[j] + sizes[k] * drift[j] * k
            less = size
            power, size = _product(power, delta), _product(size, moved)
        return self._done(c, m, e)

    def __neg__(self) -> Jet:
        return self * -1

    def __pos__(self) -> Jet:
        return self

    def __sub__(self, other: Any) -> Jet:
        return self + -Jet.of(other)

    def __rsub__(self, other: Any) -> Jet:
        return -self + other

    def __truediv__(self, other: Any) -> Jet:
        return self * Jet.of(other).of_row(lambda x: 1 / x)

    def __rtruediv__(self, other: Any) -> Jet:
        return self.of_row(lambda x: 1 / x) * other

    def __pow__(self, other: Any) -> Jet:
        if not isinstance(other, Jet):
            if self.c[0] == 0 and float(other) % 1.0:
                raise Left
            n = mp.mpf(float(other))
            return Jet.of(1.0) if n == 0 else self.of_row(lambda x: mp.power(x, n))
        if self.c[0] <= 0:
            raise Left
        return (self.of_row(mp.log) * other).of_row(mp.exp)

    def __rpow__(self, other: Any) -> Jet:
        base = mp.mpf(float(other))
        if base <= 0:
            raise Left
        return self.of_row(lambda x: mp.power(base, x))

    def __floordiv__(self, other: Any) -> Jet:
        return floor(self / other)

    def __rfloordiv__(self, other: Any) -> Jet:
        return floor(Jet.of(other) / self)

    def __mod__(self, other: Any) -> Jet:
        return self - floor(self / other) * other

    def __rmod__(self, other: Any) -> Jet:
        return Jet.of(other) % self

    __radd__, __rmul__ = __add__, __mul__

    def _before(self, other: Any) -> bool:
        """Whether it is less; left out where that is nearly a tie, but for one with itself."""
        b = Jet.of(other)
        gap = b.c[0] - self.c[0]
        if abs(gap) <= NEAR * (1 + abs(b.c[0])) and not (gap == 0 and self.c == b.c):
            raise Left
        return bool(gap > 0)

    def __lt__(self, other: Any) -> bool:
        return self._before(other)

    def __gt__(self, other: Any) -> bool:
        return Jet.of(other)._before(self)

    def __le__(self, other: Any) -> bool:
        return not Jet.of(other)._before(self)

    def __ge__(self, other: Any) -> bool:
        return not self._before(other)

    def __eq__(self, other: object) -> bool:
        return not self._before(other) and not Jet.of(other)._before(self)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __bool__(self) -> bool:
        return self != 0.0

    __hash__ = None  # type: ignore[assignment]


def _product(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    return [mp.fsum(a[i] * b[k - i] for i in range(k + 1)) for k in range(len(a))]


# ---- the functions that programs call --------------------------------------------------------------------------------


def _row(f: Callable[[Any], Any]) -> Callable[[Any], Jet]:
    return lambda x: Jet.of(x).of_row(f)


def floor(x: Any) -> Jet:
    a = Jet.of(x)
    whole = mp.floor(a.c[0])
    if min(a.c[0] - whole, whole + 1 - a.c[0]) <= NEAR * (1 + abs(whole)):
        raise Left
    return Jet.of(float(whole))


def sign(x: Any) -> Jet:
    return Jet.of(1.0 if Jet.of(x) > 0.0 else -1.0)


def step(x: Any) -> Jet:
    return Jet.of(1.0 if Jet.of(x) > 0.0 else 0.0)


def absolute(x: Any) -> Jet:
    a = Jet.of(x)
    return a if a > 0.0 else -a


def where(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def relu(x: Any, slope: Any = 0.0) -> Jet:
    a = Jet.of(x)
    return a if a > 0.0 else a * slope


def _elu(x: Any, alpha: Any = 1.0, scale: float = 1.0) -> Jet:
    a = Jet.of(x)
    return a * scale if a > 0.0 else a.of_row(mp.expm1) * alpha


def _listed(xs: Sequence[Any]) -> list[Any]:
    return list(xs[0]) if len(xs) == 1 and isinstance(xs[0], list | tuple) else list(xs)


def constant(x: Any) -> Jet:
    """A number with its error that nothing is differentiated by, as `detach()` makes it."""
    a, zeros = Jet.of(x), [mp.mpf(0)] * Jet.order
    return Jet([a.c[0], *zeros], [a.m[0], *zeros], [a.e[0], *zeros])


def _best(less: bool) -> Callable[..., Any]:
    def best(*xs: Any) -> Any:
        first, *rest = _listed(xs)
        for x in rest:
            if (Jet.of(x) < first) if less else (Jet.of(x) > first):
                first = x
        return first

    return best


def clamp(x: Any, low: Any, high: Any) -> Any:
    return _best(True)(_best(False)(x, low), high)


def total(*xs: Any) -> Any:
    found = Jet.of(0.0)
    for x in _listed(xs):
        found = found + x
    return found


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    return total([Jet.of(x) * y for x, y in zip(a, b, strict=True)])


def prod(*xs: Any) -> Any:
    found = Jet.of(1.0)
    for x in _listed(xs):
        found = found * x
    return found


def logsumexp(*xs: Any) -> Jet:
    given = _listed(xs)
    top = float(max(Jet.of(x).c[0] for x in given))
    result: Jet = total([(Jet.of(x) - top).of_row(mp.exp) for x in given]).of_row(mp.log) + top
    return result


def softmax(xs: Sequence[Any], temperature: Any = 1.0) -> list[Any]:
    top = float(max(Jet.of(x).c[0] for x in xs))
    raised = [((Jet.of(x) - top) / temperature).of_row(mp.exp) for x in xs]
    whole = total(raised)
    return [each / whole for each in raised]


def atan2(y: Any, x: Any) -> Jet:
    a, b = Jet.of(y), Jet.of(x)
    if b > 0.0:
        return (a / b).of_row(mp.atan)
    return (a / b).of_row(mp.atan) + (math.pi if a > 0.0 else -math.pi)


_sigmoid = _row(lambda x: 1 / (1 + mp.exp(-x)))
_gelu = _row(lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2)
_tanh_gelu = _row(lambda x: x / 2 * (1 + mp.tanh(mp.mpf(0.7978845608028654) * (x + mp.mpf(0.044715) * x**3))))
_OF_MPMATH = (
    "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh",
    "acosh", "atanh", "erf", "erfc", "sqrt",
)  # fmt: skip
_FUNCTIONS: dict[str, Any] = {
    **{name: _row(getattr(mp, name)) for name in _OF_MPMATH},
    "exp2": _row(lambda x: mp.power(2, x)), "log2": _row(lambda x: mp.log(x, 2)), "log10": _row(mp.log10),
    "cbrt": lambda x: Jet.of(x).of_row(mp.cbrt) if Jet.of(x) > 0.0 else -(-Jet.of(x)).of_row(mp.cbrt),
    "sigmoid": _sigmoid, "softplus": _row(lambda x: mp.log1p(mp.exp(x))), "relu": relu, "abs": absolute, "sign": sign,
    "step": step, "floor": floor, "ceil": lambda x: -floor(-Jet.of(x)), "round": lambda x: floor(Jet.of(x) + 0.5),
    "max": _best(False), "min": _best(True), "clamp": clamp, "where": where, "sum": total, "dot": dot, "prod": prod,
    "mean": lambda *xs: total(*xs) / len(_listed(xs)), "logsumexp": logsumexp, "atan2": atan2,
    "constant": constant, "hypot": lambda x, y: (Jet.of(x) * x + Jet.of(y) * y).of_row(mp.sqrt),
    "pow": lambda x, y: x**y, "mod": lambda x, y: Jet.of(x) % y, "floordiv": lambda x, y: Jet.of(x) // y,
}  # fmt: skip
_ACTIVATIONS = SimpleNamespace(
    identity=Jet.of, sigmoid=_sigmoid, tanh=_FUNCTIONS["tanh"], relu=relu,
    selu=lambda x: _elu(x, 1.7580993408473768, 1.0507009873554805),
    leaky_relu=lambda x, slope=0.01: relu(x, slope), elu=_elu, silu=_row(lambda x: x / (1 + mp.exp(-x))),
    gelu=lambda x, approximate="none": (_gelu if approximate == "none" else _tanh_gelu)(x),
    softplus=lambda x, beta=1.0: _FUNCTIONS["softplus"](Jet.of(x) * beta) / beta,
    hardtanh=lambda x, low=-1.0, high=1.0: clamp(x, low, high),
    hardsigmoid=lambda x: clamp((Jet.of(x) + 3.0) / 6.0, 0.0, 1.0),
    softsign=lambda x: Jet.of(x) / (absolute(x) + 1.0), softmax=softmax,
    log_softmax=lambda xs: [Jet.of(x) - logsumexp(xs) for x in xs],
)  # fmt: skip


def jet_of(p: Program, sample: Sequence[Any], direction: Sequence[float], order: int) -> Jet:
    """The program's function at a sample along a direction. Raises `Left` where it is not smooth."""
    Jet.order, Jet.operations = order, 0
    numbers, structure = flatten(tuple(sample))
    space: dict[str, Any] = {}
    exec(compile(HEADER, "<header>", "exec"), space)
    space.update(_FUNCTIONS, activations=_ACTIVATIONS, Value=Jet.of)
    source = p._replace(taking=()).source()
    exec(compile(source, f"<program {p.number} on jets>", "exec"), space)
    given = unflatten(structure, [Jet.of(x, s) for x, s in zip(numbers, direction, strict=True)])
    return Jet.of(space["f"](*given))


# ---- the engine's ----------------------------------------------------------------------------------------------------

WAYS = ("reverse", "forward", "both")


def directional(
    f: Callable[..., Any], sample: Sequence[Any], direction: Sequence[float], order: int, way: str
) -> float:
    """The derivative of that order along the direction, as the engine gives it."""
    numbers, structure = flatten(tuple(sample))

    def along(t: Any) -> Any:
        return f(*unflatten(structure, [x + t * s if s else x for x, s in zip(numbers, direction, strict=True)]))

    taken = along
    for level in range(order):
        reverse = way == "reverse" or (way == "both" and level % 2)
        taken = sg.grad(taken) if reverse else (lambda t, inner=taken: sg.jvp(inner, (t,), (1.0,))[1])
    found = taken(0.0)
    return float(found.data if isinstance(found, sg.Value) else found)


KINDS = ("smooth", "choices", "rows", "branches", "masks", "wide")


def check(p: Program, figures: Figures, r: random.Random) -> None:
    """Compare the program's derivatives of orders 1 to 4 with the exact ones, at its first sample."""
    if p.kind not in KINDS or "no_grad" in p.source() or p.result.text not in ("{0}", "{0} + {1}"):
        return
    order = 4 if p.kind != "wide" else 2
    sample = p.samples[0]
    numbers = flatten(tuple(sample))[0]
    if not all(map(isfinite, numbers)):
        return
    direction = [r.choice((1.0, 1.0, 0.5, -2.0)) for _ in numbers]
    with mp.workdps(DIGITS):
        try:
            exact = jet_of(p, sample, direction, order)
        except (
            Left,
            AttributeError,
            TypeError,
            NameError,
            ZeroDivisionError,
        ):  # not smooth, or made of what jets do not have
            figures.count("programs, derivatives: left out")
            return
        f = p.namespace()["f"]
        if backends.answer(lambda: f(*backends.on_values(sample))).raised:
            return  # of which the comparison with compiled code tells
        for k in range(1, order + 1):
            if exact.m[k] > LARGE or 0 < abs(exact.c[k]) < SMALL:
                continue
            bound = UNIT * mp.factorial(k) * (exact.e[k] + 8 * (k + 1) * Jet.operations * exact.m[k])
            bound += max(exact.m) * mp.mpf(10) ** -40
            for way in WAYS if k > 1 else WAYS[:2]:
                found = directional(f, sample, direction, k, way)
                off = abs(mp.mpf(found) - exact.c[k] * mp.factorial(k))
                error = float(off / bound) if bound else float(off != 0) * math.inf if off else 0.0
                figures.measure(
                    f"programs, derivative {k} against mpmath: error / bound", error,
                    f"{way} passes, along {direction} at {sample}: {found!r}, exactly "
                    f"{mp.nstr(exact.c[k] * mp.factorial(k), 20)}, program {p.number}:\n"
                    f"{p._replace(taking=()).source()}",
                )  # fmt: skip
