"""Measured derivatives: a function's values at seven points of a line, at every step from coarse to fine.

Nothing here knows of claimed gradients. At each step `h` the six-point central stencil gives a slope,

    D6 = (45 (f1 - f-1) - 9 (f2 - f-2) + (f3 - f-3)) / 60 h,        off by h**6 f7 / 140

(B. Fornberg, Mathematics of Computation 51, 1988). The same values tell how far to trust it, in two parts that see
different faults. `|D6 - D4|`, with the four-point stencil D4, sees what is odd about the point (and `|D4 - D2|`, where
the two are of like size). The sixth difference over `6 h` sees what is even: kinks, a curve too steep for the step, and
noise (J. J. Moré and S. M. Wild, SIAM Journal on Scientific Computing 33, 2011). Where the function is smooth, both are
far larger than D6's own error. Steps are powers of two, so that the points of a stencil are floats, and no rounding of
the argument is taken for a property of the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import frexp, inf, isfinite, ldexp, nan, ulp
from typing import Any, NamedTuple

Evaluate = Callable[[list[Any]], list[Any]]  # all inputs to all outputs, both flat
FINEST = -1060  # the exponent of a step: some bits above the smallest subnormal


class Level(NamedTuple):
    """What seven values at the step `h = 2**k` tell of an output."""

    k: int
    h: float
    slope: float  # D6
    error: float  # of the slope, as estimated from these values alone
    jump: float  # the right-hand slope less the left-hand one, as far as it does not vanish with the step
    noise: float  # the deviation of each value, if all of the sixth difference were noise
    variation: float  # how far the values go from the middle one; 0 where all seven are equal
    grain: float  # one unit in the last place of the largest value
    values: tuple[float, ...]  # f(-3h) ... f(3h)


def measure(k: int, values: Sequence[float], misplaced: float = 0.0) -> Level:
    """The slope in the middle of seven finite values at distances of `2**k`, which are off by the share `misplaced`.

    Slopes beyond the range of floats are infinite.
    """
    size = max(map(abs, values))
    scale = 2.0**40 if size > 1e300 else 1.0  # so that no sum below overflows
    a, b, c, middle, d, e, f = [x / scale for x in values]
    d1, d2, d3 = d - c, e - b, f - a
    change = (45.0 * d1 - 9.0 * d2 + d3) / 60.0
    odd = abs(5.0 * d1 - 4.0 * d2 + d3) / 60.0
    slow = abs(2.0 * d1 - d2) / 12.0  # |D4 - D2|
    if odd > 0.05 * slow:  # as for x|x| at 0: more points bring no better slope
        odd += slow
    even = 15.0 * ((d - middle) + (c - middle)) - 6.0 * ((e - middle) + (b - middle)) + (f - middle) + (a - middle)
    grain = ulp(size / scale)
    error = odd + abs(even) / 6.0 + 2.0 * grain + abs(change) * misplaced
    variation = max(abs(x - middle) for x in (a, b, c, d, e, f))
    h = ldexp(1.0, k)
    return Level(
        k,
        h,
        change / h * scale,
        error / h * scale,
        even / (6.0 * h) * scale if h > 1e-300 else even / h / 6.0 * scale,
        abs(even) / 30.4 * scale,  # the sixth difference's coefficients have the norm sqrt(924)
        variation * scale,
        grain * scale,
        tuple(values),
    )


@dataclass
class Restriction:
    """A function along the line `t -> x + t d` through a point, measured at any step; every value is computed once.

    `direction` gives the inputs that move, each by a power of two or its negative. `start` are the values at the point,
    `claims` the claimed slopes of all outputs.
    """

    evaluate: Evaluate
    point: Sequence[float]
    direction: dict[int, float]
    start: Sequence[float]
    claims: Evaluate | None = None
    fault: str = ""  # what a neighbour raised, if one did

    def __post_init__(self) -> None:
        self._values: dict[float, list[float]] = {}
        self._misplaced: dict[int, float] = {}
        self._claimed: dict[float, list[float]] = {}
        sizes = [frexp(self.point[where] / by)[1] for where, by in self.direction.items() if self.point[where] != 0.0]
        self.at_zero = not sizes
        self.exponent = max(sizes, default=FINEST + 50)

    def extent(self) -> float:
        """The size of what moves, in units of the direction."""
        return 0.0 if self.at_zero else ldexp(1.0, self.exponent)

    def moved(self, t: float) -> list[Any]:
        at: list[Any] = list(self.point)
        for where, by in self.direction.items():
            at[where] += t * by
        return at

    def at(self, t: float) -> list[float]:
        """All outputs at `t`; nan where the function raises what arithmetic raises outside a domain."""
        if t not in self._values:
            try:
                found = self.evaluate(self.moved(t))
                self._values[t] = [nan if isinstance(y, complex) else y for y in found]  # as (-1.0) ** 0.5
            except (ArithmeticError, ValueError) as error:
                self.fault = self.fault or f"{type(error).__name__}: {error}"
                self._values[t] = [nan] * len(self.start)
        return self._values[t]

    def side(self, k: int, output: int, sign: int) -> list[float]:
        return [self.at(m * sign * ldexp(1.0, k))[output] for m in (1, 2, 3)]

    def level(self, k: int, output: int) -> Level | None:
        """The measurement at step `2**k`; None where a value is not finite."""
        values = [*reversed(self.side(k, output, -1)), self.start[output], *self.side(k, output, 1)]
        return measure(k, values, self._misplacement(k)) if all(map(isfinite, values)) else None

    def claims_at(self, t: float) -> list[float]:
        """The claimed slopes of all outputs at `t`; nan where they cannot be computed."""
        if t not in self._claimed:
            assert self.claims is not None
            try:
                self._claimed[t] = self.claims(self.moved(t))
            except (ArithmeticError, ValueError):
                self._claimed[t] = [nan] * len(self.start)
        return self._claimed[t]

    def scatter(self, at: Callable[[float], list[float]], k: int, output: int) -> float:
        """The noise of `self.at` or `self.claims_at` over a stencil of step `2**k`; inf if they are not finite there.

        From steps that are no powers of two, and no multiples of each other. With the others, rounding may be the same
        at every point; and a curve finer than the steps may line up with them: `sin(x)` is hardly other than
        `sin(x + 2**48)`.
        """
        scatter = 0.0
        for step in (ldexp(part, k) for part in (0.618, 0.344, 0.171, 0.0893)):
            values = [at(m * step)[output] for m in range(-3, 4)]
            scatter = max(scatter, measure(k, values).noise if all(map(isfinite, values)) else inf)
        return scatter

    def _misplacement(self, k: int) -> float:
        """How far, relatively, rounding moves the points of a stencil."""
        if k not in self._misplaced:
            moves = [(self.point[where], ldexp(by, k)) for where, by in self.direction.items()]
            parts = [abs(((x + m * step) - x) / step - m) for x, step in moves if step != 0.0 for m in (-3, -1, 1, 3)]
            self._misplaced[k] = max(parts, default=0.0)
        return self._misplaced[k]

    def first_steps(self) -> list[int]:
        """Exponents of steps that fit most functions: a thousandth of the input, and of one."""
        e = self.exponent
        if self.at_zero:
            return [-10]
        return [e - 10] if -2 <= e <= 4 or e > 40 else [e - 10, -10] if e > 4 else [-10, max(e - 10, FINEST)]

    def relative_steps(self) -> list[int]:
        """Exponents of steps that see what belongs to the point: parts of the input; at zero, some of all sizes."""
        if self.at_zero:
            return [-40, -100, -200, -400, -700, -1000]
        return [max(self.exponent - k, FINEST) for k in (10, 4)]

    def octaves(self) -> Sequence[int]:
        """Exponents of all steps about as large as the input."""
        return () if self.at_zero else range(max(self.exponent - 4, FINEST), min(self.exponent + 2, 1018))

    def far(self, output: int) -> float:
        """A distance, beyond those of the ladder, at which an output is another one; 0 if there is none."""
        e = max(self.exponent, 0)
        far = [ldexp(1.0, min(k, 1000)) for k in (e + 8, e + 24, e + 64, e + 200, 1000)]
        return next((t for t in far for side in (t, -t) if self.at(side)[output] != self.start[output]), 0.0)

    def ladder(self) -> list[int]:
        """Exponents of steps from coarse to fine, near enough to each other that one of them fits any function.

        Down to some units in the last place of the input; between 1 and a tiny input, and below 1 at a zero, in larger
        strides, since nothing says what the function's scale is.
        """
        e = self.exponent
        top, bottom = max(e, 0) + 1, max(e - 50, FINEST)
        steps = set(range(top, max(bottom, top - 62), -4)) | set(range(top, max(bottom, e + 2), -24))
        return sorted((k for k in steps | set(range(e + 1, bottom, -4)) | {bottom} if k <= 1018), reverse=True)

    def complex_step(self, output: int) -> tuple[float, float] | None:
        """The slope as `Im f(x + i h d) / h` with a tiny `h`, and its error; None for a function that takes no complex.

        There is no difference in it, so nothing cancels (W. Squire and G. Trapp, SIAM Review 40, 1998). The error is
        seen from how far five slopes, some units in the last place apart, are from a straight line. Only analytic
        functions have it, which the caller makes sure of.
        """
        h = ldexp(1.0, max(self.exponent - 60, -900))
        slopes = []
        for m in (-2, -1, 0, 1, 2):
            try:
                at = self.moved(m * ldexp(1.0, max(self.exponent - 49, FINEST)))
                for where, by in self.direction.items():
                    at[where] = complex(at[where], h * by)
                found = self.evaluate(at)[output]
            except Exception:  # whatever it raises, it does not take complex numbers
                return None
            if not isinstance(found, complex) or not isfinite(found.imag):
                return None
            slopes.append(found.imag / h)
        a, b, c, d, e = slopes
        return c, max(abs(a - 2.0 * c + e), abs(b - 2.0 * c + d), abs(d - c - (c - b))) + 4.0 * ulp(c)
