"""What `check_grads` reports, and a user reads when a test fails: states, findings, the report, two errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from math import inf, isnan, ulp

from ..notebooks import table_html


class State(Enum):
    """The outcome of one check.

    - `AGREES`: the claim is within the tolerance, and the tolerance is small beside the derivative, or beside those at
      distances up to a tenth of the point's own size; at zero, a claimed zero beside any. No other state is agreement.
    - `KINK`: the one-sided derivatives differ, and the claim is one of them or lies between them.
    - `JUMP`: the function jumps at the point, or too near to it to tell.
    - `EDGE`: the function is infinite at the point, or not finite next to it.
    - `UNDEFINED`: the function is nan at the point, and so is the claim; any other claim is undecided there.
    - `SINGULAR`: the slope grows without bound as the step shrinks.
    - `UNSEEN`: nothing contradicts the claim, and nothing bears it out: were the input changed by as much as it is, the
      claimed change would be below the function's rounding, and none is seen.
    - `UNDECIDED`: the values are too coarse, or too noisy, to judge the claim.
    - `WRONG`: the claim is outside of what the measurement's error allows.
    """

    AGREES = "agrees"
    KINK = "kink"
    JUMP = "jump"
    EDGE = "edge of the domain"
    UNDEFINED = "nan at the point"
    SINGULAR = "singular"
    UNSEEN = "below rounding"
    UNDECIDED = "not decided"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Verdict:
    """What was measured, to which error, and what follows for the claim."""

    state: State
    claimed: float
    measured: float
    estimate: float  # of the measurement's error
    tolerance: float  # by how much the claim may differ
    method: str
    note: str = ""
    jump: float = 0.0  # at a kink: the right-hand derivative less the left-hand one


LOUD = (State.WRONG, State.UNDECIDED)


class GradientError(AssertionError):
    """A claimed derivative is wrong. `report` is the `Report`."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


class UndecidedError(AssertionError):
    """No claimed derivative is wrong, but some could not be judged. `report` is the `Report`."""

    def __init__(self, report: Report) -> None:
        super().__init__(
            f"{report}\nnot decided is neither right nor wrong: choose another point, make the function less noisy, "
            'or say undecided="report"'
        )
        self.report = report


@dataclass(frozen=True)
class Finding:
    """One derivative that was checked: which, what was claimed, and what came of it."""

    order: int
    output: str
    input: str
    verdict: Verdict
    reproduce: str

    @property
    def state(self) -> State:
        return self.verdict.state

    @property
    def relative(self) -> float:
        """`|claimed - measured| / |measured|`."""
        difference = abs(self.verdict.claimed - self.verdict.measured)
        return difference / abs(self.verdict.measured) if self.verdict.measured != 0.0 else inf if difference else 0.0

    @property
    def ulps(self) -> float:
        """The difference in units in the last place of the measured derivative."""
        return abs(self.verdict.claimed - self.verdict.measured) / ulp(self.verdict.measured)

    @property
    def title(self) -> str:
        """State, output, input and what was seen there, on one line."""
        note = f" ({self.verdict.note})" if self.verdict.note else ""
        return f"{self.state.value}: derivative of {self.output} by {self.input}{note}"

    def __str__(self) -> str:
        v = self.verdict
        lines = [self.title, f"  claimed    {v.claimed!r}"]
        if not isnan(v.measured):
            lines.append(f"  measured   {v.measured!r}, estimated error {v.estimate:.1e}, by {v.method}")
            lines.append(
                f"  difference {abs(v.claimed - v.measured):.3e}: {self.ulps:.3g} ULP, relative {self.relative:.2e}; "
                f"allowed {v.tolerance:.1e}"
            )
        lines.append(f"  reproduce  {self.reproduce}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """All that `check_grads` looked at. Printed, it lists what is wrong or not decided, and counts the rest."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[State, int]:
        """How many derivatives came out in which state."""
        found = Counter(each.state for each in self.findings)
        return {state: found[state] for state in State if found[state]}

    def among(self, *states: State) -> tuple[Finding, ...]:
        """The findings in any of these states."""
        return tuple(each for each in self.findings if each.state in states)

    @property
    def wrong(self) -> tuple[Finding, ...]:
        return self.among(State.WRONG)

    @property
    def undecided(self) -> tuple[Finding, ...]:
        return self.among(State.UNDECIDED)

    @property
    def unconfirmed(self) -> tuple[Finding, ...]:
        """What is neither wrong nor undecided and yet no agreement: nothing could be compared there."""
        return tuple(each for each in self.findings if each.state not in (State.AGREES, *LOUD))

    @property
    def agrees(self) -> bool:
        """True if every derivative was measured and agrees."""
        return all(each.state is State.AGREES for each in self.findings)

    @property
    def decided(self) -> bool:
        """True if nothing is left undecided."""
        return not self.undecided

    @property
    def tolerance(self) -> float:
        """The largest relative tolerance with which a derivative was found to agree that can be told from zero."""
        given = [each.verdict for each in self.among(State.AGREES)]
        return max((v.tolerance / abs(v.measured) for v in given if abs(v.measured) > v.tolerance), default=0.0)

    def _repr_html_(self) -> str:
        """What a notebook shows: a row for each derivative, what is wrong or not decided first."""
        findings = sorted(self.findings, key=lambda each: LOUD.index(each.state) if each.state in LOUD else len(LOUD))

        def row(k: int) -> list[object]:
            each, v = findings[k], findings[k].verdict
            return [each.state.value, each.output, each.input, repr(v.claimed), repr(v.measured), v.estimate, v.note]

        head = ["state", "derivative of", "by", "claimed", "measured", "estimated error", ""]
        return table_html(str(self).partition("\n")[0], head, len(findings), row)

    def __str__(self) -> str:
        counted = ", ".join(f"{state.value} {count}" for state, count in self.counts.items())
        plural = "s" if len(self.findings) != 1 else ""
        lines = [f"{self.name}: {len(self.findings)} derivative{plural} checked: {counted}"]
        lines += [str(each) for each in (*self.wrong, *self.undecided)[:5]]
        lines += [f"no agreement, nothing to compare: {each.title}" for each in self.unconfirmed[:5]]
        more = max(len(self.among(*LOUD)) - 5, 0) + max(len(self.unconfirmed) - 5, 0)
        if more:
            lines.append(f"and {more} more, in report.findings")
        return "\n".join(lines)
