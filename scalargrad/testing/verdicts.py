"""Verdicts: what measured values say about one claimed derivative, and what they cannot say.

A claim is wrong only if it lies outside what the estimated error of the measurement allows, and agrees only if that
error is small beside the derivative itself, or beside those at distances up to a tenth of the point's own size: `x*x`
has large slopes near 1e-16, but none of them vouches for the sign of the one there. Where the function has no
derivative to measure (a kink, a jump, the edge of its domain), and where the values are too coarse, that is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import copysign, inf, isfinite, isinf, isnan, nan, sqrt, ulp

from .irregular import growth_at, jump_at, jump_near, kink_at, one_sided
from .reports import State, Verdict
from .stencils import Level, Restriction

SAFETY = 4.0  # how many times its estimate an error may be
RESOLUTION = 1e-3  # a tolerance above this part of the derivative tells too little
NEARBY = 1e-7  # and above this part of the slopes nearby, beside which a derivative may count as zero
ROUNDING = 2.0**-18  # a step up to this part of the value may come of rounding, to single precision for one


@dataclass
class Case:
    """One claim about the derivative along a line, and the levels measured for it, from coarse to fine.

    `rtol` is a relative difference that is always allowed; `allowance` an absolute one, for the claim's own rounding:
    with an infinite one nothing is claimed, and the verdict tells what was measured.
    """

    line: Restriction
    output: int
    claimed: float
    rtol: float
    allowance: float = 0.0
    levels: list[Level] = field(default_factory=list)
    outside: list[int] = field(default_factory=list)  # exponents of steps with a value that is not finite
    _errors: dict[int, float] = field(default_factory=dict)  # by exponent; a new level changes others

    def verdict(self) -> Verdict:
        """Try a fitting step first, then every step, then steps near the best one, until one settles it."""
        value = self.line.start[self.output]
        if not isfinite(value):
            if not isnan(value):
                return self.says(State.EDGE, None, f"the function is {value!r} at the point")
            state = State.UNDEFINED if isnan(self.claimed) else State.UNDECIDED
            return self.says(state, None, "the function is nan at the point: any claim would do")
        ladder = self.line.ladder()
        first = self.line.first_steps()
        for k in first:
            if settled := self.measured_at(k):
                return settled
        if self.claimed == 0.0 and self.levels and not any(x.variation for x in self.levels):
            for k in (*[k for k in ladder if k > max(first)], *self.line.octaves()):
                self.measured_at(k)
            if not self.outside and not any(x.variation for x in self.levels):
                return self.constant(self.levels[0], "the function is constant", self.line.far(self.output))
        for place, k in enumerate(ladder):
            # At zero nothing gives the function's scale, and the ladder is long: most need no more than its upper part.
            if self.line.at_zero and k < -62 <= ladder[place - 1] and self.claimed != 0.0 and self.clear():
                break
            if settled := self.measured_at(k):
                return settled
        for stride in (12, 6, 3, 2, 1):
            best = self.best()
            for k in (best.k + stride, best.k - stride) if best else ():
                if ladder[-1] <= k <= ladder[0] and (settled := self.measured_at(k)):
                    return settled
        return self.weighed()

    def measured_at(self, k: int) -> Verdict | None:
        """Add a level; agreement, if it is sharp enough to settle the matter."""
        if k in self.outside or any(level.k == k for level in self.levels):
            return None
        if (level := self.line.level(k, self.output)) is None:
            self.outside.append(k)
            return None
        self.levels = sorted([*self.levels, level], key=lambda each: -each.k)
        self._errors = {}
        if isinf(level.slope):
            same = level.slope == self.claimed and (self.line.at_zero or self.vouches(level))
            return self.says(State.AGREES, level, "beyond the range of floats") if same else None
        near = level.variation / level.h if self.vouches(level) else 0.0
        sharp = SAFETY * level.error <= self.rtol * max(abs(level.slope), near) and k <= max(self.line.first_steps())
        if not (sharp and self.admits(level.slope, level.error)):
            return None
        if not self.vouches(level) or self.line.at_zero:  # a fine term with a large slope may hide behind a coarse step
            for finer in self.line.relative_steps():
                self.measured_at(finer)
            if any(x.k < k and not self.admits(x.slope, self.error(x)) for x in self.levels):
                return None
        return self.says(State.AGREES, level)

    def error(self, level: Level) -> float:
        """A level's error in the light of the others.

        A single sixth difference can be small by chance: the noise is the largest one seen at finer steps, too. And
        rounding can drift evenly over the few points of a stencil, which none of its differences shows; but not alike
        at the next step, where the slope then differs.
        """
        if not self._errors:
            own = {}
            for place, x in enumerate(self.levels):
                noise = max(y.noise for y in self.levels[place : place + 13] if y.k >= x.k - 12)
                own[x.k] = x.error + 4.0 * noise / x.h
            for place, x in enumerate(self.levels):
                near = [y for y in self.levels[max(0, place - 4) : place + 5] if abs(y.k - x.k) <= 4]
                apart = [abs(y.slope - x.slope) for y in near if own[y.k] <= 8.0 * own[x.k]]
                self._errors[x.k] = max([own[x.k], *apart])
        return self._errors[level.k]

    def best(self) -> Level | None:
        """The level with the smallest error that no finer one contradicts, of the usable ones if there are any.

        Where a finer step measures something else, the function has structure that a coarser one does not see.
        """
        finite = [level for level in self.levels if isfinite(level.slope)]
        for level in sorted(finite, key=lambda each: (not self.usable(each), self.error(each))):
            finer, own = [x for x in self.levels if x.k < level.k], self.error(level)
            if not any(abs(x.slope - level.slope) > SAFETY * (own + self.error(x)) for x in finer):
                return level
        return None

    def usable(self, level: Level) -> bool:
        """Whether the function is smooth on the stencil, or constant there but for rounding."""
        return self.error(level) * level.h <= 0.05 * level.variation or level.variation <= 64.0 * level.grain

    def near(self, level: Level) -> list[Level]:
        return [x for x in self.levels if level.k <= x.k <= level.k + 8]

    def vouches(self, level: Level) -> bool:
        """Whether slopes at such steps say what is small at the point: those small beside the point itself.

        At zero, which has no size, any step does for a claimed zero, and none for another claim.
        """
        return self.claimed == 0.0 if self.line.at_zero else level.k <= self.line.exponent - 5

    def resolved(self, level: Level) -> bool:
        """Whether the level is sharp enough to bear out a claim."""
        slopes = [x.variation / x.h for x in self.near(level) if self.vouches(x)]
        enough = max([RESOLUTION * abs(level.slope), *[NEARBY * slope for slope in slopes]])
        return SAFETY * self.error(level) <= enough and self.usable(level)

    def clear(self) -> bool:
        """Whether the levels so far agree with the claim, or show why there is nothing to agree with."""
        if (best := self.best()) and self.resolved(best) and self.admits(best.slope, self.error(best)):
            return True
        found = self.special()
        return found is not None and found.state is not State.WRONG

    def tolerance(self, slope: float, error: float) -> float:
        return max(SAFETY * error, self.rtol * abs(slope)) + self.allowance

    def admits(self, slope: float, error: float) -> bool:
        return isfinite(slope) and abs(self.claimed - slope) <= self.tolerance(slope, error)

    def says(
        self, state: State, level: Level | None, note: str = "", error: float | None = None, jump: float = 0.0
    ) -> Verdict:
        if level is None:
            return Verdict(state, self.claimed, nan, inf, inf, "no step was of use", note)
        error = self.error(level) if error is None else error
        tolerance = self.tolerance(level.slope, error) if isfinite(level.slope) else 0.0
        method = f"six-point stencil, h = 2**{level.k}"
        return Verdict(state, self.claimed, level.slope, error, tolerance, method, note, jump)

    def by(self, method: str, slope: float, error: float, admitted: State, note: str = "") -> Verdict:
        state = admitted if self.admits(slope, error) else State.WRONG
        return Verdict(state, self.claimed, slope, error, self.tolerance(slope, error), method, note)

    def weighed(self) -> Verdict:
        """What follows from all levels together, where none alone has settled it."""
        best = self.best()
        if best is None:
            return self.special() or self.says(State.UNDECIDED, None, self.doubt(None))
        if best.variation == 0.0 == self.claimed and any(x.variation for x in self.levels):
            return self.constant_nearby(best)
        error = self.error(best)
        if by_complex := self.complex_step(best):
            return by_complex
        inside, resolved = self.admits(best.slope, error), self.resolved(best)
        if inside and resolved:
            return self.says(State.AGREES, best)
        if inside and self.claimed == 0.0 and not any(x.variation for x in self.near(best)):
            wide = SAFETY * error * max(self.line.extent(), 1.0) <= 1e3 * best.grain
            return self.says(State.AGREES if wide else State.UNSEEN, best, "the function is constant near the point")
        if not resolved and (found := self.special()):
            return found
        if not inside and self.usable(best):
            return self.outlying(best)
        reach = max(self.line.extent(), best.h)
        invisible = abs(self.claimed) * reach <= best.grain and not any(x.variation for x in self.levels)
        return self.says(State.UNSEEN if inside and invisible else State.UNDECIDED, best, self.doubt(best))

    def outlying(self, best: Level) -> Verdict:
        """A claim outside of the best level's tolerance, which is wrong unless the level is the one to be doubted."""
        if jump := self.jump():  # at the point itself, which coarse steps may take for a slope
            return jump
        finest, stairs, note = self.levels[-1].k, None, ""
        gap, seen_from = jump_near(self.line, self.output, self.levels, best)
        if gap > 0.0:
            level = min((x for x in self.levels if x.k >= seen_from), key=self.error)
            note = f"the function jumps by {gap:.1e} between neighbouring floats near the point"
            error = self.error(level)
            rounded = gap <= ROUNDING * level.grain * 2.0**52
            telling = SAFETY * error <= 0.2 * abs(self.claimed - best.slope)
            if self.admits(level.slope, error) and (rounded or telling):
                sharp = SAFETY * error <= RESOLUTION * abs(level.slope)
                return self.says(State.AGREES if rounded and sharp else State.UNDECIDED, level, note)
            stairs = None if rounded else self.stairs(best, gap)
            best, finest = (level, seen_from) if rounded else (best, finest)
        error = self.error(best) + 4.0 * self.line.scatter(self.line.at, best.k, self.output) / best.h
        if self.admits(best.slope, error):
            sharp = SAFETY * error <= RESOLUTION * abs(best.slope)
            return self.says(State.AGREES if sharp else State.UNDECIDED, best, self.doubt(best), error)
        if stairs is not None:
            return self.says(State.UNDECIDED, stairs, note)
        # The finest step that still refutes the claim: over a coarser one, a claim that is wrong may well jump.
        near = [x for x in self.levels if finest <= x.k <= best.k and self.usable(x)]
        k = min([best.k, *[x.k for x in near if not self.admits(x.slope, self.error(x))]])
        scatter = self.line.scatter(self.line.claims_at, k, self.output) if self.line.claims else 0.0
        if abs(self.claimed - best.slope) <= 8.0 * scatter:
            note = f"the claimed derivative itself scatters by about {scatter:.1e} over the step"
            return self.says(State.UNDECIDED, best, note)
        hidden = abs(self.claimed) * self.line.extent() <= best.grain and best.variation <= 64.0 * best.grain
        # lost at the point, saturated where it was seen
        lost = hidden and not self.line.at_zero and not self.vouches(best)
        return self.says(State.UNDECIDED, best, self.doubt(best)) if lost else self.says(State.WRONG, best)

    def stairs(self, tread: Level, gap: float) -> Level | None:
        """The sharpest level, if it admits the claim, of those on which the function climbs by many jumps.

        Finer steps see one tread then, as of `(1e14 + sin(x)) - 1e14`: one jump is none of rounding on the way. A step
        beyond the size of the point sees another part of a curve, and counts only where there is no other.
        """

        def error(x: Level) -> float:
            return max(self.error(x), gap / x.h)

        rise = {x: abs(0.5 * (x.values[6] - x.values[0]) - 3.0 * x.h * tread.slope) for x in self.levels}
        climbs = [x for x in self.levels if rise[x] > 1.5 * gap]
        level = min([x for x in climbs if x.k <= self.line.exponent] or climbs, key=error, default=None)
        if level is None or not error(level) <= 4.0 * abs(self.claimed - tread.slope):
            return None
        return level if self.admits(level.slope, error(level)) else None

    def doubt(self, best: Level | None) -> str:
        if not self.levels:
            return "no step keeps inside the domain"
        level = best or self.levels[-1]
        noise = max((x.noise for x in self.levels if x.k <= level.k), default=0.0)
        size = max(map(abs, level.values))
        if noise <= level.grain:
            return "the slope at the point, if any, is lost in the rounding of the values"
        text = f"the function's values scatter by about {noise:.1e}"
        if 2**-26 * size < noise < 2**-18 * size:
            text += ", as in single precision: compute in float64"
        return text

    def complex_step(self, best: Level) -> Verdict | None:
        """The complex step, where it is sharper than a stencil that is sharp already, and the two agree.

        It is right for analytic functions only: of log(abs(x)) + x it sees the x, which noise might not tell from all.
        """
        error = self.error(best)
        if not self.rtol * abs(best.slope) < SAFETY * error <= RESOLUTION * abs(best.slope):
            return None
        found = self.line.complex_step(self.output)
        if found is None or abs(found[0] - best.slope) > SAFETY * error or found[1] > error:
            return None
        return self.by("complex step", *found, State.AGREES)

    def special(self) -> Verdict | None:
        return self.edge() or self.jump() or self.kink() or self.singular()

    def constant_nearby(self, flat: Level) -> Verdict:
        """A claimed zero, where only coarse steps see a slope: a function of steps, or rounded to a lower precision."""
        sloped = min((x for x in self.levels if x.variation > 0.0), key=self.error)
        riser = min(abs(v - x.values[3]) for x in self.levels for v in x.values if v != x.values[3])
        note = "constant at fine steps, not at coarse ones"
        if riser < ROUNDING * max(map(abs, sloped.values)) and self.usable(sloped):
            return self.says(State.UNDECIDED, flat, note)
        return self.constant(flat, note, 3.0 * min(x.h for x in self.levels if x.variation > 0.0))

    def constant(self, flat: Level, note: str, reach: float) -> Verdict:
        """A claimed zero, where the function is constant at fine steps, and other values lie up to `reach` away.

        Where rounding alone makes it constant, as tanh at 50, its values begin to differ by a few units in the last
        place; those of a function that is constant up to a kink or a jump grow as soon as they differ.
        """
        value = flat.values[3]
        for low, high in ((-flat.h, -reach), (flat.h, reach)):
            if self.line.at(high)[self.output] == value:
                continue
            for _ in range(40):
                far = high / low > 2.0
                middle = copysign(sqrt(abs(low)) * sqrt(abs(high)), high) if far else 0.5 * (low + high)
                low, high = (low, middle) if self.line.at(middle)[self.output] != value else (middle, high)
            beyond = [self.line.at(high * (1.0 + part))[self.output] for part in (2.0**-10, 2.0**-8)]
            if max(abs(y - value) for y in beyond) <= 256.0 * ulp(value):
                return self.says(State.UNSEEN, flat, "rounded to a constant near the point")
        return self.says(State.AGREES, flat, note)

    def edge(self) -> Verdict | None:
        if not self.outside or (self.levels and min(self.outside) > self.levels[-1].k + 12):
            return None
        note = f"{self.line.fault or 'not finite'} next to the point"
        for sign in (1, -1):
            found = one_sided(self.line, self.output, sign) if isfinite(self.claimed) else None
            if found and SAFETY * found[0] <= RESOLUTION * abs(found[1]):
                error, slope, k = found
                return self.by(f"one-sided stencil, h = {'-' * (sign < 0)}2**{k}", slope, error, State.EDGE, note)
        return self.says(State.EDGE, self.levels[-1] if self.levels else None, note)

    def jump(self) -> Verdict | None:
        size = jump_at(self.levels)
        return self.says(State.JUMP, self.levels[-1], f"the function jumps by {size:.6g}") if size else None

    def kink(self) -> Verdict | None:
        if (found := kink_at(self.levels)) is None:
            return None
        left, right, error, level = found
        allowed = self.tolerance(max(abs(left), abs(right)), error)
        within = min(left, right) - allowed <= self.claimed <= max(left, right) + allowed
        note = f"left-hand derivative {left:.12g}, right-hand {right:.12g}"
        return self.says(State.KINK if within else State.WRONG, level, note, error, level.jump)

    def singular(self) -> Verdict | None:
        power = growth_at(self.levels)
        return self.says(State.SINGULAR, self.levels[-1], f"the slope grows as h**-{power:.2f}") if power else None
