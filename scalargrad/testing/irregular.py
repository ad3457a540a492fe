"""Points where a function has no derivative to measure: what its values at all steps look like there.

Each function looks for one kind in the levels of a line, from coarse to fine. They are told apart by how the difference
between the two sides goes with the step: at a jump it stays, at a kink it shrinks as `h`, at a singular point as a
broken power of `h`; where the function is smooth it vanishes faster, and noise is not steady.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf, isfinite, log2, ulp

from .stencils import Level, Restriction

STEADY = 0.05  # how far, relatively, what stays the same from step to step may vary
Kink = tuple[float, float, float, Level]  # the left and right derivatives, their error, the finer level they are from


def jump_at(levels: Sequence[Level]) -> float:
    """The size of a jump at the point, or 0: at the finest steps, the values on each side keep together, and apart."""
    gaps: list[float] = []
    for level in levels[-3:]:
        a, b, c, middle, d, e, f = level.values
        gap = max(abs(d - c), abs(d - middle), abs(middle - c))
        if max(a, b, c) - min(a, b, c) + max(d, e, f) - min(d, e, f) > STEADY * gap or gap < 1e4 * level.grain:
            return 0.0
        gaps.append(gap)
    return gaps[-1] if len(gaps) == 3 and max(gaps) - min(gaps) <= STEADY * gaps[0] else 0.0


def jump_near(line: Restriction, output: int, levels: Sequence[Level], fine: Level) -> tuple[float, int]:
    """The size of a jump near the point, outside of a level's stencil, and the exponent of the first step that sees it.

    Rounding can leave a function smooth between jumps, as the teeth of a saw: the slope of a tooth means nothing. Where
    coarser steps see more noise, bisection by third differences tells a jump from a bend, which fades. (0.0, 0) if
    there is none.
    """

    def at(t: float) -> float:
        return line.at(t)[output]

    def bend(low: float, high: float) -> float:
        part = 0.31 * (high - low)  # no simple one, which even stairs would hide from
        a, b, c, d = map(at, (low, low + part, high - part, high))
        return abs((d - a) - (c - b) / 0.38)

    coarser, quiet = [x for x in levels if x.k > fine.k], 10.0 * (fine.noise + fine.grain)
    # Noise is even; of stairs that lie evenly about the point, the slopes alone are others.
    odd = [x for x in coarser if max(x.error, abs(x.slope - fine.slope)) * x.h > quiet]
    noisy = odd[-3:] + [x for x in coarser if x.noise > quiet][-3:]
    for level in reversed(noisy):
        low, high = -3.0 * level.h, 3.0 * level.h
        for _ in range(60):
            middle = 0.5 * (low + high)
            left, right = bend(low, middle), bend(middle, high)
            if max(left, right) <= 32.0 * level.grain:
                break
            low, high = (low, middle) if left > right else (middle, high)
        else:
            gap = abs(at(high) - at(low)) - abs(fine.slope * (high - low))
            if gap > 32.0 * level.grain:
                return gap, level.k
    return 0.0, 0


def kink_at(levels: Sequence[Level]) -> Kink | None:
    """A kink at the point: the one-sided slopes differ, and by the same amount at three steps in a row."""

    def unsteadiness(coarse: Level, fine: Level) -> float:
        if abs(fine.jump) < 100.0 * fine.grain / fine.h or coarse.k - fine.k < 2:
            return inf
        return (abs(coarse.jump - fine.jump) + abs(coarse.slope - fine.slope)) / abs(fine.jump)

    best, steadiest = None, STEADY
    for first, second in pairwise(pairwise(levels)):
        found = max(unsteadiness(*first), unsteadiness(*second))
        if found <= steadiest:
            best, steadiest = second, found
    if best is None:
        return None
    coarse, fine = best
    error = abs(coarse.jump - fine.jump) + abs(coarse.slope - fine.slope) + 4.0 * fine.grain / fine.h
    return fine.slope - 0.5 * fine.jump, fine.slope + 0.5 * fine.jump, error, fine


def growth_at(levels: Sequence[Level]) -> float:
    """The power of `1/h` with which the slope, or the gap between the one-sided slopes, grows at the point; 0 if none.

    2/3 for the cube root at 0, whose derivative is infinite there. What is no larger than the rounding of the values
    grows as well, as rounding stays when the step shrinks.
    """
    finest = levels[-6:]
    for sizes in ([abs(x.slope) for x in finest], [abs(x.jump) for x in finest]):
        seen = [100.0 * x.grain / x.h < size < inf for x, size in zip(finest, sizes, strict=True)]
        if sum(seen) == 6:
            pairs = zip(pairwise(finest), pairwise(sizes), strict=True)
            powers = [log2(b / a) / (x.k - y.k) for (x, y), (a, b) in pairs]
            if max(powers) - min(powers) <= 0.02 <= min(powers):
                return powers[-1]
    return 0.0


def one_sided(line: Restriction, output: int, sign: int) -> tuple[float, float, int] | None:
    """Error, slope and exponent of the best four-point stencil to the right (1) or left (-1); None where not finite."""
    value = line.start[output]
    found: list[tuple[float, float, int]] = []
    third = 0.0  # the largest third difference seen at this step or a finer one
    for k in reversed(line.ladder()):
        a, b, c = line.side(k, output, sign)
        if not all(map(isfinite, (a, b, c))):
            continue
        h = sign * 2.0**k
        third = max(third, abs((c - 3.0 * b) + (3.0 * a - value)))
        error = (2.0 * third + 4.0 * ulp(max(map(abs, (value, a, b, c))))) / abs(h)
        found.append((error, (18.0 * a - 9.0 * b + 2.0 * c - 11.0 * value) / (6.0 * h), k))
    return min(found, key=lambda each: each[0], default=None)
