"""`check_grads`: every claimed derivative of a function against its measured one, and a report of what was found.

This stands apart from measuring (`stencils.py`) and judging (`verdicts.py`) as the part that knows of arguments,
outputs, orders of derivative and text. It needs nothing but the standard library.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import frexp, fsum, inf, isfinite, isnan, ldexp, ulp
from random import Random
from typing import Any

from .. import primitives as table
from ..calculus import jacobian
from ..primitives import as_float
from ..trees import LEAF, Structure, flatten, paths, unflatten
from ..value import Value
from .stencils import Line
from .verdicts import State, Verdict, judge

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

    def __str__(self) -> str:
        v = self.verdict
        lines = [f"{v.state.value}: derivative of {self.output} by {self.input}" + (f" ({v.note})" if v.note else "")]
        lines.append(f"  claimed    {v.claimed!r}")
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
    def decided(self) -> bool:
        """True if nothing is left undecided."""
        return not self.undecided

    @property
    def tolerance(self) -> float:
        """The largest relative tolerance at which a claim was found to agree: how sharp the check was."""
        given = [each.verdict for each in self.among(State.AGREES)]
        return max((v.tolerance / abs(v.measured) for v in given if v.measured != 0.0), default=0.0)

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {state.value}" for state, count in self.counts.items())
        lines = [f"{self.name}: {len(self.findings)} derivative(s) checked: {counted}"]
        shown = sorted(self.among(*LOUD), key=lambda each: each.state is not State.WRONG)
        lines += [str(each) for each in shown[:5]]
        if len(shown) > 5:
            lines.append(f"and {len(shown) - 5} more, in report.findings")
        return "\n".join(lines)


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int | None = None,
    *,
    gradient: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    argnums: int | Sequence[int] | None = None,
    rtol: float = 1e-10,
    undecided: str = "raise",
    only: str | None = None,
    coordinates: int = 100,
    directions: int = 8,
    seed: int = 0,
) -> Report:
    """Check the derivatives of a function at a point against measured ones, order by order.

    `f` takes numbers, or nested lists, tuples and dicts of numbers, and returns a number or a tree of numbers; `args`
    are its arguments, as a tuple. Without `gradient`, `f` is written in scalargrad's functions, and what is checked is
    what scalargrad makes of it, up to `order`, 2 if not given. The derivatives of order `k` are checked as the slopes
    of those of order `k - 1`.

    - `gradient`: any other claim. A function that takes what `f` takes and returns the derivatives by all numbers of
      `args` (of each output in turn, if `f` has several), in any nesting, also as an array. Several such functions, for
      orders 1, 2, ...: gradient, Hessian, ... They are called with plain floats, as `f` is.
    - `argnums`: the arguments to differentiate by, all if not given. The others are handed on as they are.
    - `rtol`: a relative difference that is always allowed. Beyond it, the tolerance is four times the estimated error.
    - `undecided`: `"raise"`, `"report"` or `"reject"`: what to do about derivatives that cannot be judged: raise
      `UndecidedError`, leave it to the caller, or discard the example, inside a hypothesis test.
    - `only`: an input such as `"args[0]['w'][1]"`: check no other.
    - `coordinates`: with more inputs than that, so many of them, chosen at random, are checked one by one, and all of
      them together along as many random directions as `directions` says; a wrong one among them is found by bisection.
    - `seed`: of these choices.

    Returns a `Report`; what its states mean is written at `State`. Raises `GradientError`, an `AssertionError` with the
    report as its text, if a claim is wrong, `UndecidedError` as above, `TypeError` and `ValueError` for arguments that
    are not as described here. `ArithmeticError` and `ValueError` raised by `f` next to the point are taken for the edge
    of its domain.

    >>> from scalargrad import exp, sin
    >>> print(check_grads(lambda p: exp(p["a"]) * sin(p["b"][0]), ({"a": 0.5, "b": [1.0, 2.0]},)))
    f: 12 derivative(s) checked: 12 agrees
    >>> import math
    >>> check_grads(math.sin, (0.5,), gradient=lambda x: 1.0 - x * x / 2)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    scalargrad.testing.checking.GradientError: sin: 1 derivative(s) checked: 1 WRONG
    WRONG: derivative of sin(*args) by args[0]
      claimed    0.875
      measured   0.87758256189..., estimated error ..., by six-point stencil, h = 2**-10
      difference 2.583e-03: 2.33e+13 ULP, relative 2.94e-03; allowed 8.8e-11
      reproduce  check_grads(sin, (0.5,), gradient=..., only='args[0]')
    """
    if undecided not in ("raise", "report", "reject"):
        raise ValueError(f'undecided: expected "raise", "report" or "reject", got {undecided!r}')
    claims = _claims(f, order, gradient, args, argnums)
    point = _Point(args, argnums)
    name = getattr(f, "__name__", "f")
    name = name if name.isidentifier() else "f"
    options = "".join(
        [
            f", order={len(claims)}" if gradient is None and order is not None else "",
            ", gradient=..." if gradient is not None else "",
            f", argnums={argnums!r}" if argnums is not None else "",
            f", rtol={rtol!r}" if rtol != 1e-10 else "",
        ]
    )
    call = f"check_grads({name}, {tuple(args)!r}{options}"
    if only is not None and only not in point.paths:
        raise ValueError(f"only: {only!r} is none of the inputs: {', '.join(point.paths[:20])}")
    findings: list[Finding] = []
    function, output = f, f"{name}(*args)"
    for number, claim in enumerate(claims, 1):
        check = _Check(point, function, claim, output, number, rtol, only, call, Random(f"{seed}{number}"))
        findings += check.findings(coordinates, directions)
        function, output = check.next_function(claim, gradient is None), f"d {output}"
        if gradient is None and number < len(claims):
            claims[number] = jacobian(function, point.argnums)
    report = Report(name, tuple(findings))
    if report.wrong:
        raise GradientError(report)
    if report.undecided and undecided == "raise":
        raise UndecidedError(report)
    if report.undecided and undecided == "reject":
        from hypothesis import reject

        reject()
    return report
