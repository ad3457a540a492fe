"""Bodies of loops and branches: a function of numbers traced to a program of its own, and a program run on `Value`s."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...engine import modes
from ...engine.collector import Resting
from ...engine.value import Value, begin, constant
from ..ir.program import Program
from .trace import Traced, TraceError, Tracer, flattened, from_outside, needed_for


class BodyTracer(Tracer):
    """The tracer of a body, inside another one's or on its own. Which way it branches may not depend on its numbers."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.inputs: list[Value] = []
        self.outer = modes.tracer()

    def truth(self, node: Value) -> bool:
        outcome = super().truth(node)
        self.settle(self.guards.pop())
        return outcome

    def settle(self, guard: tuple[str, Value, Value, bool, str]) -> None:
        """Hand a guard on to whoever made the numbers that it compares."""
        own = self.inner.union(self.nodes, self.inputs)
        if guard[1] in own or guard[2] in own:
            raise TraceError(
                f"{self.what} branches on a number that differs from step to step, and is traced once for all of them: "
                f"use cond(pred, f, g, *args), or where(condition, a, b)\n  at {guard[4]}"
            )
        if isinstance(self.outer, BodyTracer):
            self.outer.settle(guard)
        elif self.outer is not None:
            self.outer.guards.append(guard)


def traced_bodies(
    functions: Sequence[Callable[[list[Any]], Sequence[Any]]], points: Sequence[Sequence[float]], what: str
) -> tuple[list[Program], list[Value]]:
    """Programs of functions of flat numbers, and the `Value`s from outside that they use, which are the first inputs of
    all of them."""
    begun = begin()
    runs: list[tuple[BodyTracer, list[Value], Sequence[Any]]] = []
    outside: dict[Value, None] = {}
    with Resting():
        try:
            for function, point in zip(functions, points, strict=True):
                tracer = BodyTracer(what)
                inputs = tracer.inputs = [_input(x) for x in point]
                runs.append((tracer, inputs, ()))
                with modes.tracing(tracer):
                    outputs = function(inputs)
                runs[-1] = tracer, inputs, outputs
                own = {*inputs, *tracer.nodes}
                needed = needed_for(tracer.nodes, outputs)
                for x in (*_operands(tracer.nodes, needed), *outputs):
                    if isinstance(x, Value) and x not in own and from_outside(x, begun, tracer):
                        outside[x] = None
            return [_program(*run, list(outside), begun) for run in runs], list(outside)
        finally:
            for tracer, _, _ in runs:
                tracer.nodes += tracer.inputs
                tracer.end()


def _input(x: float) -> Value:
    node = Value(x)
    node.__class__ = Traced
    return node


def _operands(nodes: Sequence[Value], needed: set[Value]) -> Iterator[Value]:
    for node in nodes:
        if node in needed:
            yield from node.parents


def _program(
    tracer: BodyTracer, inputs: list[Value], outputs: Sequence[Any], outside: list[Value], begun: Any
) -> Program:
    every = [*outside, *inputs]
    whole = Tracer()
    whole.inner = tracer.inner
    whole.nodes = [*every, *tracer.nodes]
    names = [x.label or f"x{k}" for k, x in enumerate(every)]
    return flattened(whole, begun, every, names, list(outputs), None, ())[0]


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
