"""Bodies of loops and branches: a function of numbers traced to a program of its own, and a program run on `Value`s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...engine import modes
from ...engine.primitive import CONSTANT
from ...engine.value import Value, constant
from ...transforms.collector import Resting
from ..ir.program import Program
from .tape import Part
from .trace import TraceError, Tracer, from_outside


class BodyTracer(Tracer):
    """The tracer of a body, inside another one's or on its own. Which way it branches may not depend on its numbers."""

    elsewhere = True

    def __init__(self, inputs: Sequence[Value], what: str) -> None:
        super().__init__(inputs)
        self.what = what
        self.outer = modes.tracer()
        self.unknown = self.outer is not None and self.outer.unknown

    def from_outside(self, x: Value) -> Any:
        outer = self.outer
        return x._data if outer is None or not outer.unknown else outer.found_out(outer.entry(x))

    def truth(self, node: Value) -> bool:
        outcome = super().truth(node)
        comparison, left, right, _, line = self.guards.pop()
        self.settle(comparison, self._not_own(left, line), self._not_own(right, line), outcome, line)
        return outcome

    def _not_own(self, k: int, line: str) -> Value:
        """The `Value` of an entry that was not made here."""
        if k >= 0 and k not in self.outside:
            raise TraceError(
                f"{self.what} branches on a number that differs from step to step, and is traced once for all of them: "
                f"use cond(pred, f, g, *args), or where(condition, a, b)\n  at {line}"
            )
        return self.outside[k] if k >= 0 else constant(self.tape.constants[~k])

    def settle(self, comparison: str, left: Value, right: Value, outcome: bool, line: str) -> None:
        """Hand a guard on to whoever made the numbers that it compares."""
        outer = self.outer
        if isinstance(outer, BodyTracer):
            left, right = (outer._not_own(outer.entry(x), line) for x in (left, right))
            outer.settle(comparison, left, right, outcome, line)
        elif outer is not None:
            outer.guards.append((comparison, outer.entry(left), outer.entry(right), outcome, line))


def numbers_now(xs: Sequence[Any]) -> list[Any]:
    """The numbers of `Value`s, and others, in this call, where loops that take long were not run for tracing, too."""
    tracer = modes.tracer() if modes.active else None
    if tracer is not None and tracer.unknown:
        return [tracer.found_out(tracer.entry(x)) for x in xs]
    return [x._data if isinstance(x, Value) else x for x in xs]


def traced_bodies(
    functions: Sequence[Callable[[list[Any]], Sequence[Any]]],
    points: Sequence[Sequence[float]],
    what: str,
    kind: type[BodyTracer] = BodyTracer,
) -> tuple[list[Program], list[Value]]:
    """Programs of functions of flat numbers, and the `Value`s from outside that they use, which are the first inputs of
    all of them."""
    runs: list[tuple[BodyTracer, Sequence[Any]]] = []
    outside: dict[int, Value] = {}
    with Resting():
        try:
            for function, point in zip(functions, points, strict=True):
                inputs = [Value(x) for x in point]
                tracer = kind(inputs, what)
                runs.append((tracer, ()))
                with modes.tracing(tracer):
                    ends = list(map(tracer.entry, function(inputs)))
                runs[-1] = tracer, ends
                live = tracer.tape.needed([*ends, *tracer.failing])
                outside |= {id(x): x for k, x in tracer.outside.items() if live[k] and from_outside(x, tracer)}
            return [program_of(*run, len(point), outside) for run, point in zip(runs, points, strict=True)], [
                *outside.values()
            ]
        finally:
            for tracer, _ in runs:
                tracer.end()


def program_of(tracer: BodyTracer, ends: Sequence[int], count: int, outside: dict[int, Value]) -> Program:
    """What a tracer has recorded, as a program of those `Value`s from outside and so many inputs."""
    tape = tracer.tape
    inputs = [*map(tracer.entry, outside.values()), *range(count)]
    live = tape.needed([*ends, *tracer.failing])
    constants = {k: x._data for k, x in tracer.outside.items() if live[k] and id(x) not in outside}
    names = [*(x.label or f"shared{k}" for k, x in enumerate(outside.values())), *(f"x{k}" for k in range(count))]
    program, number = tape.program(Part(inputs, names, live, constants, CONSTANT))  # what is detached remains so
    program.outputs = [number[k] for k in ends]
    return program  # type: ignore[no-any-return]


def derived_program(function: Callable[[list[Any]], Sequence[Any]], point: Sequence[float]) -> Program:
    """The program of a function that uses nothing from outside: of a derivative."""
    with modes.not_tracing():
        (program,), outside = traced_bodies([function], [point], "a derivative")
    if outside:
        raise TraceError(f"a derivative depends on {outside[0]!r} from outside, which would be lost")
    return program


def replay(program: Program, operands: Sequence[Any]) -> list[Any]:
    """The outputs of a program on `Value`s: an instruction a node."""
    values = list(operands)
    constants = program.constants

    def get(k: int) -> Any:
        return values[k] if k >= 0 else constant(constants[~k])

    for row, given in zip(program.operations, program.operands, strict=True):
        values.append(row(*map(get, given)))
    return [values[k] if k >= 0 else constants[~k] for k in program.outputs]
