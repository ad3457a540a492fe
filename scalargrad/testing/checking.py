"""`check_grads`: every claimed derivative of a function against its measured one, and a report of what was found.

Arguments, outputs and orders of derivative are sorted out here; `stencils.py` measures and `verdicts.py` judges. Nothing
but the standard library is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from math import frexp, fsum, isfinite, isnan, ldexp, ulp
from random import Random
from typing import Any

from ..engine import table
from ..engine.modes import no_grad
from ..engine.transforms import jacobian
from ..engine.trees import flatten, paths
from ..engine.value import Value
from .points import Point, numbers
from .reports import Finding, GradientError, Report, State, UndecidedError, Verdict
from .stencils import Restriction
from .verdicts import judge

LARGE, SOME, SUMS = 64, 16, 4  # of more outputs than LARGE, SOME are checked at the next order, and SUMS sums of all


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
    of its domain. A check takes a few milliseconds, at a kink or an edge up to a tenth of a second: in a hypothesis
    test, say `@settings(deadline=None)`.

    >>> from scalargrad import exp, sin
    >>> print(check_grads(lambda p: exp(p["a"]) * sin(p["b"][0]), ({"a": 0.5, "b": [1.0, 2.0]},)))
    f: 12 derivatives checked: agrees 12
    >>> import math
    >>> check_grads(math.sin, (0.5,), gradient=lambda x: 1.0 - x * x / 2)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    scalargrad.testing.reports.GradientError: sin: 1 derivative checked: WRONG 1
    WRONG: derivative of sin(*args) by args[0]
      claimed    0.875
      measured   0.87758256189..., estimated error ..., by six-point stencil, h = 2**-10
      difference 2.583e-03: 2.33e+13 ULP, relative 2.94e-03; allowed 8.8e-11
      reproduce  check_grads(sin, (0.5,), gradient=..., only='args[0]')
    """
    if undecided not in ("raise", "report", "reject"):
        raise ValueError(f'undecided: expected "raise", "report" or "reject", got {undecided!r}')
    given = _given(gradient, order)
    point = Point(args, argnums)
    if only is not None and only not in point.paths:
        raise ValueError(f"only: {only!r} is none of the inputs: {', '.join(point.paths[:20])}")
    name = getattr(f, "__name__", "f")
    name = name if name.isidentifier() else "f"
    call = _call(name, args, {"order": order, "gradient": gradient, "argnums": argnums, "rtol": rtol})
    findings: list[Finding] = []
    function = f
    with no_grad():
        result = f(*(point.arguments(list(map(Value, point.inputs))) if given[0] is None else args))
    labels = list(paths(flatten(result, "the function's result")[1], f"{name}(*args)"))
    for number in range(1, len(given) + 1):
        claim = given[number - 1] or jacobian(function, point.argnums)
        own = given[number - 1] is None and number == 1  # run on Values, whose arithmetic raises nowhere
        check = _Check(point, function, claim, labels, number, call, rtol, own)
        findings += check.findings(only, coordinates, directions, Random(f"{seed} {number}"))
        function, labels = claim, [f"(derivative of {each} by {path})" for each in labels for path in point.paths]
        if given[number - 1] is None and len(labels) > LARGE:
            function, labels = _reduced(claim, labels, Random(f"{seed} {number}"))
    report = Report(name, tuple(findings))
    if report.wrong:
        raise GradientError(report)
    if report.undecided and undecided == "raise":
        raise UndecidedError(report)
    if report.undecided and undecided == "reject":
        from hypothesis import reject

        reject()
    return report


def _call(name: str, args: Sequence[Any], options: dict[str, Any]) -> str:
    """The call as its user may have written it, up to the closing bracket; arguments too long to read by name."""
    shown = repr(tuple(args))
    parts = [name, shown if len(shown) <= 500 else "args"]
    for key, value in options.items():
        if callable(value):
            title = getattr(value, "__name__", "")
            parts.append(f"{key}={title if title.isidentifier() else '...'}")
        elif value is not None and (key, value) != ("rtol", 1e-10):
            parts.append(f"{key}={'[...]' if key == 'gradient' else value}")
    return f"check_grads({', '.join(parts)}"


def _given(gradient: Any, order: int | None) -> list[Callable[..., Any] | None]:
    """The claims of order 1, 2, ...; None for scalargrad's own."""
    if order is not None and (not isinstance(order, int) or order < 1):
        raise ValueError(f"order: expected a whole number from 1 on, got {order!r}")
    if gradient is None:
        return [None] * (2 if order is None else order)
    given = list(gradient) if isinstance(gradient, list | tuple) else [gradient]
    for each in given:
        if not callable(each):
            raise TypeError(f"gradient: expected a function, or several, got {type(each).__name__}")
    if not given or (order is not None and order > len(given)):
        raise ValueError(f"gradient: {len(given)} function(s) given, which do not serve order {order or 1}")
    return given[:order]


def _reduced(claim: Callable[..., Any], labels: list[str], random: Random) -> tuple[Callable[..., Any], list[str]]:
    """Some of very many derivatives, and random sums of all, so that the next order stays affordable."""
    some = sorted(random.sample(range(len(labels)), SOME))
    signs = [[random.choice((-1.0, 1.0)) for _ in labels] for _ in range(SUMS)]

    def reduced(*arguments: Any) -> list[Any]:
        leaves, _ = flatten(claim(*arguments))
        return [leaves[k] for k in some] + [table.dot(*leaves, *each) for each in signs]

    return reduced, [labels[k] for k in some] + [
        f"(sum {k + 1} of all derivatives with random signs)" for k in range(SUMS)
    ]


class _Check:
    """One order: a function, the claimed derivatives of each of its outputs by each input, and what comes of them."""

    def __init__(
        self,
        point: Point,
        function: Callable[..., Any],
        claim: Callable[..., Any],
        labels: list[str],
        order: int,
        call: str,
        rtol: float,
        on_values: bool,
    ) -> None:
        self.on_values = on_values
        self.point, self.function, self.order, self.call, self.rtol = point, function, order, call, rtol
        self.start = self.evaluate(point.inputs)
        self.labels = (
            labels if len(labels) == len(self.start) else [f"{labels[0]}[{k}]" for k in range(len(self.start))]
        )
        if any(isinstance(y, complex) for y in self.start):
            raise TypeError(f"{labels[0]}: expected real numbers, got complex ones")
        self.claim = claim
        self.claimed = self.rows(point.inputs)

    def rows(self, inputs: list[float]) -> list[list[float]]:
        """The claimed derivatives, a list an output."""
        n, m = len(self.point.inputs), len(self.start)
        claimed = numbers(self.claim(*self.point.arguments(inputs)), "the claimed gradient")
        if len(claimed) != n * m:
            raise ValueError(
                f"the claimed derivatives of order {self.order} are {len(claimed)} number(s), "
                f"but {m} output(s) and {n} input(s) have {n * m}"
            )
        return [claimed[k * n : k * n + n] for k in range(m)]

    def evaluate(self, inputs: list[Any]) -> list[Any]:
        if self.on_values and not any(isinstance(x, complex) for x in inputs):
            with no_grad():
                return numbers(self.function(*self.point.arguments(list(map(Value, inputs)))), "the function's result")
        return numbers(self.function(*self.point.arguments(inputs)), "the function's result")

    def findings(self, only: str | None, coordinates: int, directions: int, random: Random) -> Iterator[Finding]:
        n = len(self.point.inputs)
        chosen = list(range(n)) if n <= coordinates else sorted(random.sample(range(n), coordinates))
        if only is not None:
            chosen = [self.point.paths.index(only)]
        jumps: list[dict[int, float]] = [{} for _ in self.start]
        found: list[list[tuple[int, Verdict]]] = [[] for _ in self.start]
        for where in chosen:
            line = self.line({where: 1.0})
            for output in range(len(self.start)):
                verdict = self.judged(line, output)
                found[output].append((where, verdict))
                if verdict.state is State.KINK:
                    jumps[output][where] = abs(verdict.jump)
        for output, verdicts in enumerate(found):
            rough = {verdict.state for _, verdict in verdicts} & {State.KINK, State.JUMP, State.SINGULAR, State.EDGE}
            for where, verdict in verdicts:
                if rough and isnan(verdict.claimed) and verdict.state is State.WRONG:
                    note = "nan is claimed, and by other inputs there is no derivative"
                    verdict = replace(verdict, state=State.EDGE, note=note)
                yield self.finding(output, {where: 1.0}, verdict)
        if only is not None:
            return
        for output, jump in enumerate(jumps):
            for direction in _smooth_directions(jump):
                verdict = self.judged(self.line(direction), output)
                if verdict.state in (State.AGREES, State.WRONG):
                    yield self.finding(output, direction, verdict)
        seen: set[tuple[int, tuple[int, ...]]] = set()
        for _ in range(directions if n > coordinates else 0):
            direction = {
                k: random.choice((-1.0, 1.0)) * ldexp(1.0, frexp(x)[1] if x else 0)
                for k, x in enumerate(self.point.inputs)
            }
            line = self.line(direction)
            for output in range(len(self.start)):
                verdict = self.judged(line, output)
                part = direction
                if verdict.state is State.WRONG:
                    part, verdict = self.bisected(direction, output, verdict)
                    if (output, tuple(part)) in seen:
                        continue
                    seen.add((output, tuple(part)))
                yield self.finding(output, part, verdict)

    def line(self, direction: dict[int, float]) -> Restriction:
        def claims(inputs: list[float]) -> list[float]:
            return [_along(row, direction)[0] for row in self.rows(inputs)]

        return Restriction(self.evaluate, self.point.inputs, direction, self.start, claims)

    def judged(self, line: Restriction, output: int) -> Verdict:
        """Judge the claimed derivative along a line: the claimed gradient times the direction."""
        claimed, rounding = _along(self.claimed[output], line.direction)
        return judge(line, output, claimed, self.rtol, rounding)

    def bisected(self, direction: dict[int, float], output: int, verdict: Verdict) -> tuple[dict[int, float], Verdict]:
        """The smallest part of a direction, by halving, along which the claim is still found to be wrong."""
        while len(direction) > 1:
            moves = list(direction.items())
            for half in (moves[: len(moves) // 2], moves[len(moves) // 2 :]):
                part = dict(half) if len(half) > 1 else {half[0][0]: 1.0}
                found = self.judged(self.line(part), output)
                if found.state is State.WRONG:
                    direction, verdict = part, found
                    break
            else:
                break
        return direction, verdict

    def finding(self, output: int, direction: dict[int, float], verdict: Verdict) -> Finding:
        moves = list(direction.items())
        if len(moves) == 1:
            by = self.point.paths[moves[0][0]]
            return Finding(self.order, self.labels[output], by, verdict, f"{self.call}, only={by!r})")
        terms = [f"{step:+.6g}*{self.point.paths[where]}" for where, step in moves[:4]]
        by = f"moving along {' '.join(terms)}" + (f" and {len(moves) - 4} more" if len(moves) > 4 else "")
        return Finding(self.order, self.labels[output], by, verdict, f"{self.call})")


def _along(row: Sequence[float], direction: dict[int, float]) -> tuple[float, float]:
    """The slope along a direction, given those by each input, and its rounding error."""
    terms = [row[where] * by for where, by in direction.items()]
    if len(terms) == 1 or not all(map(isfinite, terms)):
        return sum(terms), 0.0
    return fsum(terms), 4.0 * ulp(fsum(map(abs, terms)))


def _smooth_directions(jumps: dict[int, float]) -> Iterator[dict[int, float]]:
    """Directions along a kink, where the function is smooth: pairs of inputs, and all, that change its sides equally.

    Each input alone crosses the kink at `max(x, x)`; the two together keep on it, and show
    a tie that was shared wrongly.
    """
    moves = [(where, 1.0 / jump) for where, jump in jumps.items() if jump > 0.0 and isfinite(1.0 / jump)]
    if len(moves) < 2:
        return
    largest = max(by for _, by in moves)
    moves = [(where, by / largest) for where, by in moves]
    if len(moves) > 2:
        yield dict(moves)
    for first, second in islice(pairwise(moves), 20):
        yield dict((first, second))
        yield dict((first, (second[0], -second[1])))
