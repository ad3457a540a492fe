"""How exact every row of the table is: value, first and second derivative against mpmath, in units in the last place.

    python -m tests.accuracy [points] [row ...]

prints, for each row, the largest error over random points of its domain, their number and the worst point. mpmath works
at a precision that is raised until p and 2p digits agree; only results that are normal floats count.

Errors are measured in ULP of the result. Where the result is a sum of terms that can cancel (`sum`, `mean`, `dot`,
`logsumexp`, and the mixed derivative of `pow`, `x**(y-1) (1 + y log x)`), no algorithm on rounded terms can be exact to
ULP of the result, and they are measured in ULP of the sum of the terms' magnitudes instead.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import mpmath as mp

import scalargrad
from scalargrad.compiler.ir import polynomials
from scalargrad.engine import ieee
from scalargrad.engine.primitive import Interval, Primitive
from scalargrad.functions import values
from scalargrad.transforms.derivatives import hessian

from .rows import ROWS, oracle, paired

SMALLEST_NORMAL = sys.float_info.min


def sample(interval: Interval, r: random.Random) -> float:
    """A point of an open interval: of any magnitude, of ordinary size, or close to an end."""
    low, high = interval
    while True:
        kind = r.random()
        if kind < 0.4:
            x = r.choice((-1.0, 1.0)) * 10.0 ** r.uniform(-300.0, 300.0)
        elif kind < 0.6:
            x = r.uniform(-10.0, 10.0)
        elif kind < 0.7:
            x = r.choice((-1.0, 1.0)) * 10.0 ** r.uniform(-20.0, 3.0)
        elif kind < 0.85 and math.isfinite(low) and math.isfinite(high):
            x = r.uniform(low, high)
        else:
            ends = [end for end in interval if math.isfinite(end)] or [r.choice((-1.0, 0.0, 1.0))]
            x = r.choice(ends) + r.choice((-1.0, 1.0)) * 10.0 ** r.uniform(-16.0, 0.0)
        if low < x < high:
            return x


def middle(interval: Interval, r: random.Random) -> float:
    """A point of ordinary size."""
    return r.uniform(max(interval.low, -5.0), min(interval.high, 5.0))


def points(row: Primitive, r: random.Random) -> list[float]:
    """Operands on which the row is tested: of comparable size where a large difference would hide all but one."""
    if row.arity is None:
        if paired(row):
            return [
                sample(interval, r) if r.random() < 0.5 else middle(interval, r)
                for interval in row.domain
                for _ in "abc"
            ]
        count = r.randint(1, 5)
        if row.name == "softmax_share" and r.random() < 0.5:
            return [r.uniform(-3.0, 3.0) for _ in range(count)]
        xs = [sample(row.domain[0], r) if r.random() < 0.5 else middle(row.domain[0], r) for _ in range(count)]
        return [r.choice(xs) for _ in xs] if row.name == "count_of_ties" else xs
    xs = [sample(interval, r) for interval in row.domain]
    if row.name in ("share_of_tie", "is_zero", "where") and r.random() < 0.5:
        xs[0] = xs[1] if row.name == "share_of_tie" else 0.0
    if row.flat and row.arity == 2 and r.random() < 0.5:  # equal
        return [xs[0], xs[0]]
    if row.arity == 2 and r.random() < 0.6:  # of comparable size
        kept = xs[0] * 2.0 ** r.uniform(-20.0, 20.0) * r.choice((-1.0, 1.0))
        if row.name == "pow":  # an exponent that keeps the power in range
            kept = r.uniform(-700.0, 700.0) / (math.log(xs[0]) or 1.0)
        if row.domain[1].low < kept < row.domain[1].high:
            xs[1] = kept
    return xs


def _agreed(f: Callable[[], Any], xs: Sequence[float]) -> Any:
    """`f` at a precision p for which p and 2p agree to 25 digits; a zero is believed from 6,000 bits on."""
    exponents = [math.frexp(x)[1] for x in xs if x != 0.0]
    p = 400 + 3 * (max(exponents) - min(exponents) if exponents else 0)
    with mp.workprec(p):
        last = f()
    while True:
        p *= 2
        with mp.workprec(p):
            now = f()
            if not mp.isfinite(now) or (abs(now - last) <= abs(now) * mp.mpf(10) ** -25 and (now != 0 or p > 6000)):
                return now
            if p > 6000 and abs(now) < mp.mpf(2) ** -1200:  # below all floats: zero, but for rounding
                return mp.mpf(0)
        if p > 60000:
            raise ArithmeticError(f"no precision was high enough at {xs}")
        last = now


def exact_value(f: Callable[..., Any], xs: Sequence[float]) -> Any:
    return _agreed(lambda: f(*map(mp.mpf, xs)), xs)


def _shift(xs: Sequence[float], moves: dict[int, int]) -> tuple[list[Any], list[Any]]:
    """The point moved by whole steps, and each step's size: a relative 2**(-p/4), so that differences keep p/4 bits."""
    steps = [(abs(mp.mpf(x)) or 1) * mp.mpf(2) ** (-mp.mp.prec // 4) for x in xs]
    return [mp.mpf(x) + moves.get(k, 0) * steps[k] for k, x in enumerate(xs)], steps


def exact_first(f: Callable[..., Any], xs: Sequence[float], k: int) -> Any:
    """The derivative by the k-th operand; nan at a kink or a jump, where the one from above is not that from below."""

    def difference() -> Any:
        (above, steps), (below, _) = _shift(xs, {k: 1}), _shift(xs, {k: -1})
        y = f(*map(mp.mpf, xs))
        up, down = (f(*above) - y) / steps[k], (y - f(*below)) / steps[k]
        if abs(up - down) > max(abs(up), abs(down)) * mp.mpf(2) ** (-mp.mp.prec // 8):
            return mp.nan
        return (up + down) / 2

    return _agreed(difference, xs)


def exact_second(f: Callable[..., Any], xs: Sequence[float], j: int, k: int) -> Any:
    def difference() -> Any:
        _, steps = _shift(xs, {})

        def at(*moves: tuple[int, int]) -> Any:
            total: dict[int, int] = {}
            for place, by in moves:
                total[place] = total.get(place, 0) + by
            return f(*_shift(xs, total)[0])

        corners = at((j, 1), (k, 1)) - at((j, 1), (k, -1)) - at((j, -1), (k, 1)) + at((j, -1), (k, -1))
        return corners / (4 * steps[j] * steps[k])

    return _agreed(difference, xs)


_first, _second = map(lru_cache(1024), (exact_first, exact_second))  # of a point that is asked for more than once


def ulps(found: float, exact: Any, scale: float | None = None) -> float | None:
    """The error in ULP of the result, or of a given scale; None where the result is no normal float."""
    if mp.isnan(exact):
        return None
    rounded = float(exact)
    size = abs(rounded) if scale is None else scale
    if not (SMALLEST_NORMAL <= size < math.inf) or (rounded == 0.0 and scale is None):
        return None if exact != 0 or found == 0.0 else math.inf
    if not math.isfinite(rounded):
        return None
    if not math.isfinite(found):
        return math.inf
    with mp.workprec(2000):
        return float(abs(mp.mpf(found) - exact) / mp.mpf(math.ulp(size)))


def _scale_of_value(row: Primitive, xs: Sequence[float]) -> float | None:
    """The sum of the terms' magnitudes, where they can cancel."""
    if row.name == "sum":
        return sum(map(abs, xs))
    if row.name == "mean":
        return sum(map(abs, xs)) / len(xs)
    if row.name == "dot":
        half = len(xs) // 2
        return sum(abs(a * b) for a, b in zip(xs[:half], xs[half:], strict=True))
    if row.name == "logsumexp":
        return abs(max(xs)) + math.log(len(xs))
    if row.name == "pow_slope[1,1]":
        return _mixed(*xs)
    if row.name == "relative_entropy":
        half = len(xs) // 2
        return sum(t * abs(math.log(t / q)) for q, t in zip(xs[:half], xs[half:], strict=True))
    return None


def _scale_of_first(row: Primitive, xs: Sequence[float], k: int) -> float | None:
    """The same for the derivative by the k-th operand: of entropies, whose terms cancel where a prediction is right."""
    half = len(xs) // 2
    if row.name == "binary_cross_entropy":
        p, t = xs
        return -math.log(p) - math.log1p(-p) if k else (1.0 - t) / (1.0 - p) + t / p
    if row.name.startswith("logistic_loss"):
        (z, t), weight = xs, row.remake[1][0]
        if k:
            return weight * values.softplus(-z) + values.softplus(z)
        return (1.0 - t) * ieee.sigmoid(z) + weight * t * ieee.sigmoid(-z)
    if row.name == "soft_cross_entropy" and k < half:
        share, ts = values.softmax(*xs[:half])[k], xs[half:]
        return share * (sum(ts) - ts[k]) + ts[k] * (1.0 - share)
    if (row.name, k) in (("pow_slope[1,0]", 1), ("pow_slope[0,1]", 0)):
        return _mixed(*xs)
    if row.name == "relative_entropy" and k >= half:
        return 1.0 + abs(math.log(xs[k] / xs[k - half]))
    return None


def _mixed(x: float, y: float) -> float:
    """The terms of the mixed derivative of a power."""
    with mp.workprec(200):
        return float(mp.power(x, mp.mpf(y) - 1) * (1 + abs(y * mp.log(x))))


@dataclass
class Worst:
    """The largest error seen, and where."""

    error: float = 0.0
    count: int = 0
    at: list[float] = field(default_factory=list)

    def see(self, error: float | None, at: list[float]) -> None:
        if error is None:
            return
        self.count += 1
        if error > self.error or math.isnan(error):
            self.error, self.at = error, at


# Losses of several classes: their second derivatives add up shares of the softmax, which can cancel.
OF_SHARES = ("log_softmax_share", "surprise", "soft_cross_entropy", "relative_entropy")


def bounds(row: Primitive) -> tuple[float, float, float]:
    """What value, first and second derivative must keep to. A slope is itself a derivative, one order up."""
    if "curvature" in row.name:
        return 16.0, 2.0**22, math.inf  # third derivatives: nine digits
    if "slope" in row.name or row.name == "softmax_share":
        return 4.0, 16.0, math.inf
    if row.name in OF_SHARES:
        return 3.0, 5.0, math.inf
    if row.name == "prod":
        return 4.0, 4.0, 16.0  # up to five factors, and so up to four roundings
    return 2.0, 8.0 if row.name.startswith("pow") else 4.0, 16.0


def measure(
    row: Primitive, exact: Callable[..., Any], count: int, seed: int = 0, order: int = 2
) -> tuple[Worst, Worst, Worst]:
    """The largest errors of value and derivatives, up to this order, over random points of the row's domain."""
    r = random.Random(f"{row.name}{seed}")
    value, first, second = Worst(), Worst(), Worst()
    for _ in range(count):
        xs = points(row, r)
        found = row(*xs)
        value.see(ulps(found, exact_value(exact, xs), _scale_of_value(row, xs)), xs)
        if row.flat or order == 0:
            continue
        gradients = row.local_gradients(found, xs)
        firsts = [_first(exact, tuple(xs), k) for k in range(len(xs))]
        for k, (gradient, known) in enumerate(zip(gradients, firsts, strict=True)):
            first.see(ulps(gradient, known, _scale_of_first(row, xs, k)), xs)
        if order == 1 or bounds(row)[2] == math.inf or row.constants is not None or row.name in ("sum", "mean"):
            continue  # linear, or a second derivative of a second derivative
        seconds = hessian(lambda each: row(*each))(xs)
        for j in range(len(xs)):
            for k in range(len(xs)):
                if (row.name == "div" and j == k == 0) or mp.isnan(firsts[j]) or mp.isnan(firsts[k]):
                    continue  # zero, or a kink
                scale = _mixed(*xs) if row.name == "pow" and j != k else None
                second.see(ulps(seconds[j][k], _second(exact, tuple(xs), *sorted((j, k))), scale), xs)
    return value, first, second


POLYNOMIALS = {  # what compiler/polynomials.py states, in ULP, and where it is measured
    "exp": (1.0, [(-708.0, 709.7), (-2.0, 2.0)]),
    "expm1": (2.0, [(-50.0, 709.7), (-2.0, 2.0)]),
    "log": (1.0, [(0.3, 3.0), (1e-300, 1e300)]),
    "log1p": (1.0, [(-0.99, 3.0), (1e-30, 1e30)]),
    "tanh": (3.0, [(-20.0, 20.0), (-1.0, 1.0)]),
    "sin": (2.5, [(-1e6, 1e6), (-8.0, 8.0)]),
    "cos": (2.5, [(-1e6, 1e6), (-8.0, 8.0)]),
}


ORACLES = {
    "tanh_slope": lambda x: mp.sech(x) ** 2,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "sigmoid_slope": lambda x: mp.sech(x / 2) ** 2 / 4,
}
FAST = {  # the same of "fast", where that has a function of its own
    "tanh": (5.0, [(-20.0, 20.0), (-1.0, 1.0)]),
    "tanh_slope": (5.0, [(-350.0, 350.0), (-2.0, 2.0)]),
    "sigmoid": (5.0, [(-700.0, 40.0), (-2.0, 2.0)]),
    "sigmoid_slope": (5.0, [(-700.0, 700.0), (-2.0, 2.0)]),
}


def measure_polynomial(name: str, count: int, seed: int = 0, fast: bool = False) -> Worst:
    """The largest error of a polynomial of the compiler's: evenly over its range, by size, and where it is reduced.

    With `fast`, of machine code whose products and sums are rounded once.
    """
    f: Any = getattr(scalargrad, name.removesuffix("_slope"))
    exact = ORACLES.get(name) or getattr(mp, name)
    if fast:
        f = scalargrad.compile(scalargrad.grad(f) if name.endswith("_slope") else f, backend="native", functions="fast")
    else:
        f = polynomials.POLYNOMIALS[name]
    r = random.Random(f"{name}{seed}")
    worst = Worst()
    for _ in range(count):
        low, high = r.choice((FAST if fast and name in FAST else POLYNOMIALS)[name][1])
        kind = r.random()
        if kind < 0.5:
            x = r.uniform(low, high)
        elif kind < 0.8:
            x = r.choice([-1.0, 1.0]) * math.exp(r.uniform(-40.0, math.log(high)))
        elif name in ("sin", "cos"):
            x = r.randrange(-600_000, 600_000) * math.pi / 2.0
        else:
            x = r.choice([-1.0, 1.0]) * r.randrange(1, 60) * math.log(2.0) / 2.0 * r.uniform(0.999, 1.001)
        if low <= x <= high or kind >= 0.5:
            x = abs(x) if name == "log" else x
            if name == "log1p" and x <= -1.0:
                continue
            worst.see(ulps(f(x), exact_value(exact, [x])), [x])
    return worst


def main_of_polynomials(count: int) -> int:
    print(f"largest error in ULP of the polynomials that compile may use, over {count} random points each")
    failed = False
    for fast, every in ((False, POLYNOMIALS), (True, POLYNOMIALS | FAST)):
        for name, (bound, _) in every.items():
            worst = measure_polynomial(name, count, fast=fast)
            failed |= not worst.error <= bound
            print(f"{'fast' if fast else '':5s}{name:16s} {worst.error:5.2f} of {bound}  at {worst.at}")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--polynomials"]:
        return main_of_polynomials(int(arguments[1]) if len(arguments) > 1 else 3000)
    count = int(arguments[0]) if arguments else 300
    names = set(arguments[1:])
    print(f"largest error in ULP over {count} random points a row")
    print(f"{'operation':16s} {'value':>7s} {'first':>7s} {'second':>7s} {'numbers':>8s}  worst of the three")
    failed = False
    worst_of: list[tuple[float, str]] = [(0.0, "")] * 3  # over the public operations
    for row in ROWS:
        if names and row.name not in names:
            continue
        found = measure(row, oracle(row), count)
        broken = any(each.error > bound for each, bound in zip(found, bounds(row), strict=True))
        failed |= broken
        columns = " ".join(f"{each.error:7.2f}" if each.count else f"{'-':>7s}" for each in found)
        worst = max(found, key=lambda each: each.error)
        print(
            f"{row.name:16s} {columns} {sum(w.count for w in found):8d}  {worst.at}{'   TOO LARGE' if broken else ''}"
        )
        if bounds(row) == (2.0, 4.0, 16.0) or row.name.startswith("pow"):
            worst_of = [max(a, (each.error, row.name)) for a, each in zip(worst_of, found, strict=True)]
    print("largest of all, but for rows that are themselves derivatives, and prod:")
    for what, (error, name) in zip(("value", "first derivative", "second derivative"), worst_of, strict=True):
        print(f"  {what:18s} {error:5.2f} ULP  ({name})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
