"""Tracing: run a function once on numbers that record, and flatten what they recorded into a program.

It stands apart from the engine, which records anyway, because a graph holds for one point and a program for all: here
every decision that the function takes by looking at a number is noted (a guard), or refused (a leak), and the products
of the chain rule are written so that they are right whatever the numbers are.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from functools import partial
from math import isfinite
from typing import Any

from .. import modes
from .. import primitives as table
from ..primitives import CONSTANT, INPUT, Primitive, as_float
from ..trees import Structure, flatten, paths, unflatten
from ..value import Value, constant
from .program import Guard, Program, gate

_data: Any = Value.__dict__["data"]


# A number that nothing is differentiated by, but that varies from call to call: what `detach()` and `no_grad()` give.
_inner = partial(table.row, __name__)
detached = _inner("detached", 1, lambda a: a, None, oracle="a")


class TraceError(TypeError):
    """The function to compile does something that a recorded program cannot repeat."""


class Traced(Value):
    """A `Value` inside a function that is being compiled. Its number is known, but must not leave the recording."""

    __slots__ = ()

    @property
    def data(self) -> float:
        if not modes.is_ours(sys._getframe(1).f_code.co_filename):
            raise TraceError(
                "reading .data in a compiled function would freeze the number of this one call into the program: "
                "compute with the Value itself; v.detach() stops gradients\n  at " + modes.users_line()
            )
        number: float = _data.__get__(self)
        return number

    @data.setter
    def data(self, x: Any) -> None:
        raise TraceError("a compiled function cannot assign to .data\n  at " + modes.users_line())

    def backward(self, seed: Any = 1.0, create_graph: bool = False) -> None:
        raise TraceError(
            "backward() in a compiled function would store gradients, which a program cannot: "
            "return grad(f)(...) or value_and_grad(f)(...)\n  at " + modes.users_line()
        )

    def detach(self) -> Value:
        made: Value = detached(self)
        return made

    @property
    def local_gradients(self) -> tuple[Any, ...]:
        operands = self.parents
        return self.operation.local_gradients(self, operands) if operands else ()

    def __deepcopy__(self, memo: Any) -> Value:
        raise TraceError("a compiled function cannot copy a Value\n  at " + modes.users_line())

    def __copy__(self) -> Value:
        return self.__deepcopy__(None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TraceError("a compiled function cannot pickle a Value\n  at " + modes.users_line())


class Tracer:
    """What `modes.tracing` hands nodes, comparisons and truth values to."""

    def __init__(self) -> None:
        self.nodes: list[Value] = []  # in the order in which they were made
        self.guards: list[tuple[str, Value, Value, bool, str]] = []
        self.selected: set[Value] = set()  # gradients that are there only where an operand was selected

    def made(self, node: Value, recording: bool) -> Value:
        node.__class__ = Traced
        self.nodes.append(node)
        if node.operation is table.add and node._a in self.selected and node._b in self.selected:
            self.selected.add(node)
        if recording or node.operation is detached:
            return node
        constant_here: Value = detached(node)
        return constant_here

    def knows(self, other: Any) -> bool:
        """Whether a comparison with it is one of numbers, for `compare`."""
        if isinstance(other, Value):
            return True
        try:
            as_float(other)
        except (TypeError, OverflowError):
            return False
        return True

    def compare(self, title: str, left: Value, right: Any) -> bool:
        comparison = title.strip("_")
        right = right if isinstance(right, Value) else constant(as_float(right))
        outcome: bool = getattr(_data.__get__(left), title)(_data.__get__(right))
        self.guards.append((comparison, left, right, outcome, modes.users_line()))
        return outcome

    def contribution(self, operation: Primitive, upstream: Any, local: Any) -> Any:
        """Upstream x local as a graph that is right for all data, or None where it is zero for all data.

        Where the upstream gradient is zero, the contribution is zero even if the local gradient is inf or nan; where an
        operation selects, an operand that was not selected gets nothing even if the upstream gradient is inf or nan.
        What is handed on from there is nothing, too, and so is its derivative: see `selected`.
        """
        if not isinstance(upstream, Value) and upstream == 0.0:
            return None
        if not isinstance(local, Value) or local.operation is CONSTANT:
            d = _data.__get__(local) if isinstance(local, Value) else local
            if d == 0.0 and (operation.selects or not isinstance(upstream, Value)):
                return None
            if d == 1.0:
                return upstream
            brought = -upstream if d == -1.0 else (table.mul if isfinite(d) else table.chain)(upstream, d)
            selects = False
        else:
            selects = operation.selects or local in self.selected
            if not isinstance(upstream, Value) and upstream == 1.0:
                brought = local
            else:
                brought = (gate if selects else table.chain)(upstream, local)
        if selects or (isinstance(upstream, Value) and upstream in self.selected):
            self.selected.add(brought)
        return brought


def trace(
    f: Callable[..., Any], structure: Structure, leaves: Sequence[float]
) -> tuple[Program, Structure, list[Value]]:
    """Run `f` once: its program, the structure of its result, and the `Value`s from outside that it uses.

    `structure` is that of the pair (positional arguments, keyword arguments), `leaves` its numbers. The `Value`s from
    outside are the program's last inputs.
    """
    tracer = Tracer()
    inputs: list[Value] = []
    for x in leaves:
        node = Value(x)
        node.operation = INPUT
        node.__class__ = Traced
        inputs.append(node)
    arguments, keywords = unflatten(structure, inputs)
    collecting = gc.isenabled()
    gc.disable()  # a graph is all that is made here, and the collector would walk it again and again
    try:
        with modes.tracing(tracer):
            result = f(*arguments, **keywords)
        outputs, output_structure = flatten(result, "the compiled function's result")
        for x, place in zip(outputs, paths(output_structure, "the compiled function's result"), strict=True):
            if not isinstance(x, Value):
                as_float(x, place)
        return _flattened(tracer, inputs, names(f, structure), outputs, output_structure)
    finally:
        if collecting:
            gc.enable()


def _flattened(
    tracer: Tracer, inputs: list[Value], places: list[str], outputs: list[Any], output_structure: Structure
) -> tuple[Program, Structure, list[Value]]:
    needed: set[Value] = {x for x in outputs if isinstance(x, Value)}
    guards = [g for g in tracer.guards if not (g[1].operation is CONSTANT and g[2].operation is CONSTANT)]
    for g in guards:
        needed.update((g[1], g[2]))
    for node in reversed(tracer.nodes):
        if node in needed:
            a, b = node._a, node._b
            if a is not None:
                needed.add(a)
                if b is not None:
                    needed.add(b)
            elif b is not None:
                needed.update(b)
    known = set(inputs)
    known.update(tracer.nodes)
    captured = [node for node in needed if node.operation is not CONSTANT and node not in known]
    captured.sort(key=lambda node: node.label)
    places += [node.label or f"captured{k}" for k, node in enumerate(captured)]
    program = Program(len(inputs) + len(captured), places)
    number: dict[Value, int] = {node: k for k, node in enumerate([*inputs, *captured])}

    def numbered(x: Any) -> int:
        if not isinstance(x, Value):
            return program.constant(as_float(x))
        found = number.get(x)
        return program.constant(_data.__get__(x)) if found is None else found

    record, skip = program.record, (detached,)
    for node in tracer.nodes:
        if node not in needed:
            continue
        a, b = node._a, node._b
        if node.operation in skip:
            number[node] = numbered(a)
            continue
        if a is None:
            operands = tuple([numbered(p) for p in b])
        else:
            operands = (numbered(a),) if b is None else (numbered(a), numbered(b))
        k = number[node] = record(node.operation, operands)
        if node.label:
            program.labels[k] = node.label
    program.outputs = [numbered(x) for x in outputs]
    seen: dict[tuple[str, int, int], Guard] = {}
    for comparison, left, right, outcome, line in guards:
        i, j = numbered(left), numbered(right)
        if i >= 0 or j >= 0:
            seen.setdefault((comparison, i, j), Guard(comparison, i, j, outcome, line))
    program.guards = list(seen.values())
    return program.without_dead(), output_structure, captured


def names(f: Any, structure: Structure) -> list[str]:
    """The place of every leaf of the arguments, by the names of the function's parameters where it has its own."""
    _, _, ((_, _, arguments), (_, keys, keywords)) = structure
    code = getattr(f, "__code__", None)
    known = code.co_varnames[: code.co_argcount] if code is not None else ()
    found: list[str] = []
    for k, part in enumerate(arguments):
        found += paths(part, known[k] if k < len(known) else f"x{k}")
    for key, part in zip(keys, keywords, strict=True):
        found += paths(part, key)
    return found
