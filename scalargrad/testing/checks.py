"""Checks: one claim each, against measured derivatives of one function, by every input and along directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from math import frexp, fsum, isfinite, isnan, ldexp, ulp
from random import Random
from typing import Any

from ..engine.modes import no_grad
from ..engine.value import Value
from ..transforms.trees import LEAF, Structure
from .points import Layout, Point, flat, ordered
from .reports import Finding, State, Verdict
from .stencils import Restriction
from .verdicts import Case

Rows = list[list[float]]


@dataclass
class Gradient:
    """A function that returns all derivatives, those of each output in turn."""

    claim: Callable[..., Any]
    point: Point
    levels: Sequence[Structure]
    order: int = 1
    own: bool = False

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        """The claimed derivatives at these inputs."""
        with no_grad() if self.own else nullcontext():  # graphs, where the function uses a `Value` made elsewhere
            found = self.claim(*self.point.arguments(inputs))
        claimed = ordered(found, "the claimed gradient", self.levels)
        if any(isinstance(x, complex) and x.imag != 0.0 for x in claimed):
            raise TypeError(f"the claimed derivatives of order {self.order}: expected real numbers, got complex ones")
        if len(claimed) != outputs * len(inputs):
            raise ValueError(
                f"the claimed derivatives of order {self.order} are {len(claimed)} number(s), "
                f"but {outputs} output(s) and {len(inputs)} input(s) have {outputs * len(inputs)}"
            )
        return [claimed[k * len(inputs) : (k + 1) * len(inputs)] for k in range(outputs)]

    def along(self, rows: Rows, output: int, direction: dict[int, float]) -> tuple[float, float]:
        """The claimed derivative of an output along a direction, and its rounding error."""
        terms = [rows[output][where] * by for where, by in direction.items()]
        if len(terms) == 1 or not all(map(isfinite, terms)):
            return sum(terms), 0.0
        return fsum(terms), 4.0 * ulp(fsum(map(abs, terms)))


class JacobianVector(Gradient):
    """A function of arguments and tangents that returns the derivative along them, `J v`."""

    def product(self, inputs: list[float], direction: dict[int, float]) -> list[float]:
        tangents = self.point.trees([direction.get(where, 0.0) for where in range(len(inputs))])
        found = self.claim(tuple(self.point.arguments(inputs)), tuple(tangents))
        return ordered(found, "the claimed jvp", self.levels)

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        columns = [self.product(inputs, {where: 1.0}) for where in range(len(inputs))]
        for column in columns:
            if len(column) != outputs:
                raise ValueError(f"the claimed jvp has {len(column)} number(s) for {outputs} output(s)")
        return [list(row) for row in zip(*columns, strict=True)]

    def along(self, rows: Rows, output: int, direction: dict[int, float]) -> tuple[float, float]:
        _, rounding = super().along(rows, output, direction)
        return self.product(self.point.inputs, direction)[output], rounding


@dataclass
class VectorJacobian(Gradient):
    """A function of arguments and a cotangent that returns the derivatives of the outputs weighted by it, `v J`."""

    outputs: Layout | None = None
    cotangents: Sequence[Sequence[float]] = ()

    def rows(self, inputs: list[float], outputs: int) -> Rows:
        assert self.outputs is not None
        rows: Rows = []
        for each in self.cotangents:
            found = self.claim(tuple(self.point.arguments(inputs)), self.outputs.build(each))
            rows.append(ordered(found, "the claimed vjp", self.levels))
            if len(rows[-1]) != len(inputs):
                raise ValueError(f"the claimed vjp has {len(rows[-1])} number(s) for {len(inputs)} input(s)")
        return rows


@dataclass
class Function:
    """What is measured: all outputs of a function, by name, from all inputs."""

    f: Callable[..., Any]
    point: Point
    labels: list[str]
    levels: Sequence[Structure] = (LEAF,)
    own: bool = False
    on_values: bool = False  # whose arithmetic raises nowhere

    def result(self, inputs: list[Any]) -> Any:
        on_values = self.on_values and not any(isinstance(x, complex) for x in inputs)
        with no_grad() if self.own else nullcontext():
            return self.f(*self.point.arguments(list(map(Value, inputs)) if on_values else inputs))

    def evaluate(self, inputs: list[Any]) -> list[Any]:
        return ordered(self.result(inputs), "the function's result", self.levels)

    def weighted(self, cotangents: Sequence[Sequence[float]]) -> Function:
        def sums(*arguments: Any) -> list[Any]:
            found = ordered(self.f(*arguments), "the function's result", self.levels)
            return [sum(w * y for w, y in zip(each, found, strict=True) if w != 0.0) for each in cotangents]

        count = len(self.labels)
        labels = [*self.labels, *[f"({each} * the outputs)" for each in cotangents[count:]]]
        return Function(sums, self.point, labels, [flat(len(labels))], self.own, self.on_values)


def same(first: Sequence[Any], again: Sequence[Any], labels: Sequence[str]) -> None:
    """Raise `ValueError` where a second call gives another number."""
    for a, b, label in zip(first, again, labels, strict=True):
        if a != b and not (a != a and b != b):
            raise ValueError(
                f"{label}: two calls at the same point gave {a!r} and {b!r}; a function that depends on more than its "
                "arguments (a counter, random numbers, what an earlier call left) has no derivative to check"
            )


class Check:
    """One claim: a function, the claimed derivatives of each of its outputs by each input, and what comes of them."""

    call, rtol = "", 0.0

    def __init__(self, function: Function, claim: Gradient) -> None:
        self.function, self.claim, self.point, self.labels = function, claim, function.point, function.labels
        self.start = function.evaluate(self.point.inputs)
        if any(isinstance(y, complex) for y in self.start):
            raise TypeError(f"{self.labels[0]}: expected real numbers, got complex ones")
        self.claimed = claim.rows(self.point.inputs, len(self.start))

    def repeated(self) -> None:
        """Evaluate function and claim at the point again, to see whether they depend on anything else."""
        same(self.start, self.function.evaluate(self.point.inputs), self.labels)
        now = self.claim.rows(self.point.inputs, len(self.start))
        for first, again, label in zip(self.claimed, now, self.labels, strict=True):
            same(first, again, [f"the claimed derivative of {label} by {path}" for path in self.point.paths])

    def findings(self, only: str | None, coordinates: int, directions: int, random: Random) -> Iterator[Finding]:
        n = len(self.point.inputs)
        chosen = list(range(n)) if n <= coordinates else sorted(random.sample(range(n), coordinates))
        if only is not None:
            chosen = [self.point.paths.index(only)]
        lines = ((where, self.line({where: 1.0})) for where in chosen)
        judged = [[(where, self.judged(line, output)) for output in range(len(self.start))] for where, line in lines]
        found = list(zip(*judged, strict=True))
        for output, verdicts in enumerate(found):
            yield from self.by_input(output, verdicts)
        if only is None:
            for output, verdicts in enumerate(found):
                yield from self.along_kinks(output, verdicts)
            several = n > coordinates or isinstance(self.claim, JacobianVector)
            yield from self.along_all(directions if several else 0, random)

    def by_input(self, output: int, verdicts: Sequence[tuple[int, Verdict]]) -> Iterator[Finding]:
        rough = {verdict.state for _, verdict in verdicts} & {State.KINK, State.JUMP, State.SINGULAR, State.EDGE}
        for where, verdict in verdicts:
            if rough and isnan(verdict.claimed) and verdict.state is State.WRONG:
                note = "nan is claimed, and by other inputs there is no derivative"
                verdict = replace(verdict, state=State.EDGE, note=note)
            yield self.finding(output, {where: 1.0}, verdict)

    def along_kinks(self, output: int, verdicts: Sequence[tuple[int, Verdict]]) -> Iterator[Finding]:
        jumps = {where: abs(verdict.jump) for where, verdict in verdicts if verdict.state is State.KINK}
        for direction in _smooth_directions(jumps):
            verdict = self.judged(self.line(direction), output)
            if verdict.state in (State.AGREES, State.WRONG):
                yield self.finding(output, direction, verdict)

    def along_all(self, directions: int, random: Random) -> Iterator[Finding]:
        seen: set[tuple[int, tuple[int, ...]]] = set()
        for _ in range(directions):
            direction = {
                k: random.choice((-1.0, 1.0)) * ldexp(1.0, frexp(x)[1] if x else 0)
                for k, x in enumerate(self.point.inputs)
            }
            line = self.line(direction)
            for output in range(len(self.start)):
                part, verdict = direction, self.judged(line, output)
                if verdict.state is State.WRONG:
                    part, verdict = self.bisected(direction, output, verdict)
                    if (output, tuple(part)) in seen:
                        continue
                    seen.add((output, tuple(part)))
                yield self.finding(output, part, verdict)

    def line(self, direction: dict[int, float]) -> Restriction:
        def claims(inputs: list[float]) -> list[float]:
            rows = self.claim.rows(inputs, len(self.start))
            return [Gradient.along(self.claim, rows, output, direction)[0] for output in range(len(rows))]

        return Restriction(self.function.evaluate, self.point.inputs, direction, self.start, claims)

    def judged(self, line: Restriction, output: int) -> Verdict:
        """Judge the claimed derivative along a line: the claimed gradient times the direction."""
        claimed, rounding = self.claim.along(self.claimed, output, line.direction)
        return Case(line, output, claimed, self.rtol, rounding).verdict()

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
        moves, call = list(direction.items()), self.call
        if len(moves) == 1:
            by = self.point.paths[moves[0][0]]
            call += f", only={by!r}"
        else:
            terms = [f"{step:+.6g}*{self.point.paths[where]}" for where, step in moves[:4]]
            by = f"moving along {' '.join(terms)}" + (f" and {len(moves) - 4} more" if len(moves) > 4 else "")
        return Finding(self.claim.order, self.labels[output], by, verdict, f"{call})")


def _smooth_directions(jumps: dict[int, float]) -> Iterator[dict[int, float]]:
    """Directions along a kink, where the function is smooth: pairs of inputs, and all, that change its sides equally.

    Each input alone crosses the kink at `max(x, x)`; the two together keep on it, and show a tie shared wrongly.
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
