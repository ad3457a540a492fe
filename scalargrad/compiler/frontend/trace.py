"""Tracing: run a function once on numbers that record, and flatten what they recorded into a program.

A graph holds for one point, a program for all: every decision that the function takes by looking at a number is noted
(a guard), or refused (a leak), and the products of the chain rule are written so that they are right whatever the
numbers are.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from math import inf, nan, nextafter
from typing import Any, NoReturn

from ...engine import modes, primitive, table
from ...engine.chain_rule import NoGradient, made_before
from ...engine.collector import Resting
from ...engine.primitive import CONSTANT, Primitive, as_float
from ...engine.value import Value, begin, constant
from ...functions import primitives
from ...transforms.trees import Static, Structure, flatten, paths, unflatten
from ..ir.program import Guard, Program

# A number that nothing is differentiated by, but that varies from call to call: what `detach()` and `no_grad()` give.
_inner = partial(primitive.row, __name__)
detached = _inner("detached", 1, lambda a: a, None, oracle="a")


class TraceError(TypeError):
    """The function to compile does something that a recorded program cannot repeat."""


class Traced(Value):
    """A `Value` inside a function that is being compiled. Its number is known, but must not leave the recording.

    Once the recording has ended, it has none: what a cache has kept of one function does not get into another.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name == "_data":
            raise TraceError(
                "a Value of a compiled function was kept when its tracing had ended, in a cache or another object, and "
                "is used again: it stood for a number that varies from call to call\n  at " + modes.users_line()
            )
        raise AttributeError(name)

    @property
    def local_gradients(self) -> tuple[Any, ...]:
        operands = self.parents
        return self.operation.local_gradients(self, operands) if operands else ()

    def __float__(self) -> float:
        _refuse("float() of a Value, or a function of math or numpy on one,")

    def __int__(self) -> int:
        _refuse("int() of a Value, or its use as an index,")

    __index__ = __trunc__ = __int__

    def __format__(self, spec: str) -> str:
        return repr(self) if not spec else _refuse("formatting a Value")

    def detach(self) -> Value:
        return _category(detached(self))  # on any thread


class Category(Traced):
    """What a function may look up in a table: an argument, or a number that was rounded.

    Numbers are found by equality, `Value`s by identity, which would take another branch than the function's own.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        ours = modes.is_ours(sys._getframe(1).f_code.co_filename)
        return object.__hash__(self) if ours else _refuse("using a Value as a key")


def _category(node: Value) -> Value:
    node.__class__ = Category
    return node


class Whole(Category):
    """What arithmetic of conditions and ints gives: an int outside of tracing, which knows no -0.0."""

    __slots__ = ()

    def __neg__(self) -> Value:
        return _whole(0.0 - self)


def _whole(node: Value) -> Value:
    node.__class__ = Whole
    return node


def _of_ints(name: str) -> Any:
    operator: Any = getattr(Value, name)

    def method(self: Value, other: Any) -> Any:
        found = operator(self, other)
        return _whole(found + 0.0) if isinstance(other, int | Whole) and found is not NotImplemented else found

    return method


for _title in ("add", "sub", "mul", "mod", "floordiv"):
    setattr(Whole, f"__{_title}__", _of_ints(f"__{_title}__"))
    setattr(Whole, f"__r{_title}__", _of_ints(f"__r{_title}__"))


class Condition(Whole):
    """A comparison of traced numbers, which is 1 or 0: data, until somebody asks for its truth.

    It goes into `where`, into arithmetic, and through `&`, `|`, `^` and `~`; `if`, `and`, `or`, `not`, `int`, `str` and
    its use as a key ask for its truth, which makes a guard.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        ours = modes.is_ours(sys._getframe(1).f_code.co_filename)
        return object.__hash__(self) if ours else hash(bool(self))

    def __repr__(self) -> str:
        return repr(bool(self))

    def __format__(self, spec: str) -> str:
        return format(bool(self), spec)

    def __int__(self) -> int:
        return int(bool(self))

    __index__ = __trunc__ = __int__

    def __float__(self) -> float:
        return float(bool(self))

    def __invert__(self) -> Value:
        return _condition(primitives.is_zero(self))


def _condition(node: Value) -> Value:
    node.__class__ = Condition
    return node


def _connective(row: Primitive) -> Any:
    def method(self: Value, other: Any) -> Value:
        if not isinstance(other, bool | Condition):
            return NotImplemented  # type: ignore[no-any-return]  # the protocol of operators
        return _condition(row(self, other))

    return method


for _title, _row in (("and", primitives.both), ("or", primitives.either), ("xor", primitives.ne)):
    setattr(Condition, f"__{_title}__", _connective(_row))
    setattr(Condition, f"__r{_title}__", _connective(_row))

_WAYS_OUT = {
    "backward()": "which stores gradients: return grad(f)(...) or value_and_grad(f)(...)",
    "detect_anomaly()": "which would check the numbers of this one call: call the compiled function under it",
    "assigning to .data": "which a program cannot repeat: compute a new Value",
    "assigning to .grad": "which a program cannot repeat: return the gradient",
    "using a Value as a key": "which would be found by identity, not by its number: compare numbers (x == 1.0), or use "
    "id(v) as the key",
    "reading .grad": "whose number is of this one call: pass it as an argument, or take grad(f)(...)",
}


def _refuse(what: str) -> NoReturn:
    """Raise for what would freeze a number of this one call into the program, or what a program cannot do."""
    way_out = _WAYS_OUT.get(
        what,
        "which would freeze the number of this one call into the program: compute with the Value itself, by operators "
        "and scalargrad's functions (where, floor, round, ...); v.detach() stops gradients",
    )
    raise TraceError(f"{what} in a compiled function, {way_out}\n  at {modes.users_line()}")


# Comparisons by their names in Python: the row, and whether its operands change places.
_COMPARISONS = {
    "lt": (primitives.lt, False), "le": (primitives.le, False), "eq": (primitives.eq, False),
    "gt": (primitives.lt, True), "ge": (primitives.le, True), "ne": (primitives.ne, False),
}  # fmt: skip


def threshold(comparison: str, x: Any) -> tuple[str, float]:
    """The comparison with a float that has the same outcome, for every float, as that with the exact number x.

    >>> from fractions import Fraction
    >>> threshold("lt", Fraction(1, 3))
    ('le', 0.3333333333333333)
    """
    try:
        nearest = float(x)
    except OverflowError:
        nearest = inf if x > 0 else -inf
    if nearest == x or nearest != nearest:
        return comparison, nearest
    below = nearest if nearest < x else nextafter(nearest, -inf)
    if comparison in ("lt", "le"):
        return "le", below
    if comparison in ("gt", "ge"):
        return "ge", nextafter(below, inf)
    return comparison, nan  # which equals no float


_KEPT = (table.identity, table.mod)  # what makes categories of categories, besides operations whose derivative is zero


class Tracer:
    """What `modes.tracing` hands nodes, comparisons and truth values to."""

    def __init__(self) -> None:
        self.nodes: list[Value] = []  # in the order in which they were made
        self.inner: set[Value] = set()  # leaves that an inner derivative made of plain numbers
        self.guards: list[tuple[str, Value, Value, bool, str]] = []

    def made(self, node: Value, recording: bool) -> Value:
        operation = node.operation
        node.__class__ = Category if operation.flat or operation in _KEPT else Traced
        self.nodes.append(node)
        if recording or operation is detached:
            return node
        constant_here: Value = detached(node)
        return constant_here

    refuse = staticmethod(_refuse)
    detached = staticmethod(detached)

    def compare(self, comparison: str, left: Value, right: Any) -> Value:
        """A comparison with a `Value` or an exact number, as a node."""
        if not isinstance(right, Value):
            comparison, number = threshold(comparison, right)
            right = constant(number)
        row, swapped = _COMPARISONS[comparison]
        return _condition(row(right, left) if swapped else row(left, right))

    def truth(self, node: Value) -> bool:
        """Whether a node is true in this call; in others, it is another program."""
        comparison, left, right = "ne", node, constant(0.0)
        if node.operation in (primitives.lt, primitives.le, primitives.eq, primitives.ne):
            comparison, (left, right) = node.operation.name, node.parents
        outcome = node._data != 0.0
        self.guards.append((comparison, left, right, outcome, modes.users_line()))
        return outcome

    def end(self) -> None:
        """Take the nodes' numbers from them."""
        for node in self.nodes:
            del node._data


def trace(
    f: Callable[..., Any], structure: Structure, leaves: Sequence[float]
) -> tuple[Program, Structure, list[Value]]:
    """Run `f` once: its program, the structure of its result, and the `Value`s from outside that it uses.

    `structure` is that of the pair (positional arguments, keyword arguments), `leaves` its numbers. The `Value`s from
    outside are the program's last inputs.
    """
    tracer = Tracer()
    begun = begin()
    inputs = [Value(x) for x in leaves]
    tracer.nodes += map(_category, inputs)
    arguments, keywords = unflatten(structure, inputs, "argument")
    try:
        with Resting():
            with modes.tracing(tracer):
                result = f(*arguments, **keywords)
            outputs, output_structure = flatten(result, "the compiled function's result", static=True)
            if output_structure[0] is Static:
                as_float(result, "the compiled function's result")
            for x, place in zip(outputs, paths(output_structure, "the compiled function's result"), strict=True):
                if not isinstance(x, Value):
                    as_float(x, place)
            return _flattened(tracer, begun, inputs, names(f, structure), outputs, output_structure)
    finally:
        tracer.end()


def _flattened(
    tracer: Tracer,
    begun: NoGradient,
    inputs: list[Value],
    places: list[str],
    outputs: list[Any],
    output_structure: Structure,
) -> tuple[Program, Structure, list[Value]]:
    needed = _needed(tracer, [*outputs, *(x for g in tracer.guards for x in g[1:3])])
    known = set(tracer.nodes)
    captured = [x for x in needed if x not in known and _from_outside(x, begun, tracer)]
    captured.sort(key=lambda node: node.label)
    places += [node.label or f"captured{k}" for k, node in enumerate(captured)]
    program = Program(len(inputs) + len(captured), places)
    number: dict[Value, int] = {node: k for k, node in enumerate([*inputs, *captured])}

    def numbered(x: Any) -> int:
        if not isinstance(x, Value):
            return program.constant(as_float(x))
        found = number.get(x)
        return program.constant(x._data) if found is None else found

    record, skip = program.record, (detached,)
    for node in tracer.nodes[len(inputs) :]:
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
    for comparison, left, right, outcome, line in tracer.guards:
        i, j = numbered(left), numbered(right)
        if i >= 0 or j >= 0:
            seen.setdefault((comparison, i, j), Guard(comparison, i, j, outcome, line))
    program.guards = list(seen.values())
    return program.without_dead(), output_structure, captured


def _needed(tracer: Tracer, ends: Iterable[Any]) -> set[Value]:
    """The `Value`s that those depend on, and they themselves."""
    needed = {x for x in ends if isinstance(x, Value)}
    for node in reversed(tracer.nodes):
        if node in needed:
            a, b = node._a, node._b
            if a is not None:
                needed.add(a)
                if b is not None:
                    needed.add(b)
            elif b is not None:
                needed.update(b)
    return needed


def _from_outside(node: Value, begun: NoGradient, tracer: Tracer) -> bool:
    """Whether a `Value` that the tracer did not make is one whose number may change between calls."""
    if node.parents and not node.has_gradient and not made_before(node, begun):
        raise TraceError(
            f"a result of {node.operation.name} was computed while the function was traced, but where tracing does not "
            "see it, in another thread or context: its number of this one call would be frozen"
        )
    # Plain numbers in expressions of the function are constants; one from outside may be assigned to.
    return made_before(node, begun) if node.operation is CONSTANT else node not in tracer.inner


def names(f: Any, structure: Structure) -> list[str]:
    """The place of every leaf of the arguments, by the names of the function's parameters where it has its own."""
    _, _, ((_, _, arguments), (_, keys, keywords)) = structure
    parameters: Iterable[inspect.Parameter] = ()
    with suppress(TypeError, ValueError):  # of functions that do not tell, as some that are written in C
        parameters = inspect.signature(f).parameters.values()  # without an argument that is bound
    known = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    found: list[str] = []
    for k, part in enumerate(arguments):
        found += paths(part, known[k] if k < len(known) else f"x{k}")
    for key, part in zip(keys, keywords, strict=True):
        found += paths(part, key)
    return found
