"""Tracing: run a function once on numbers that record on a tape, of which a program is made.

A graph holds for one point, a program for all: every decision that the function takes by looking at a number is noted
(a guard), or refused (a leak), and the products of the chain rule are written so that they are right whatever the
numbers are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from math import inf, nan, nextafter
from typing import Any, NoReturn

from ...engine import modes, primitive, table
from ...engine.chain_rule import contribution, made_before
from ...engine.primitive import CONSTANT, LEAF, Primitive, as_float
from ...engine.value import Value, begin, constant
from ...functions import primitives
from ...transforms.collector import Resting
from ...transforms.derivatives import name_way_out, parameters
from ...transforms.trees import Static, Structure, flatten, paths, statics, unflatten
from ..ir.program import Guard, Program
from .tape import Instruction, Part, Tape, Template, Walk

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
            if isinstance(maker := getattr(self, "_made", None), Tracer) and maker.tape is not None:
                self._data = maker.number(self._origin)  # of a derivative, which was made without numbers
                return self._data
            _refuse_kept("a Value")
        return super().__getattr__(name)

    @property
    def parents(self) -> tuple[Value, ...]:
        if isinstance(maker := getattr(self, "_made", None), Tracer):
            maker.complete()
        return super().parents

    @property
    def label(self) -> str:
        return super().label

    @label.setter
    def label(self, text: str) -> None:
        Value.label.fset(self, text)  # type: ignore[attr-defined]
        if (tracer := modes.tracer()) is not None:
            tracer.labelled.append(self)

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
        return _as(Category, detached(self))  # on any thread


class Category(Traced):
    """What a function may look up in a table: an argument, or a number that was rounded.

    Numbers are found by equality, `Value`s by identity, which would take another branch than the function's own.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return object.__hash__(self) if modes.is_ours(sys._getframe(1).f_code.co_filename) else self._key()

    def _key(self) -> int:
        _refuse("using a Value as a key")


def _as(kind: type[Value], node: Value) -> Value:
    node.__class__ = kind
    return node


class Whole(Category):
    """What arithmetic of conditions and ints gives: an int outside of tracing, which knows no -0.0."""

    __slots__ = ()

    def __neg__(self) -> Value:
        return _as(Whole, 0.0 - self)


def _of_ints(name: str) -> Any:
    operator: Any = getattr(Value, name)

    def method(self: Value, other: Any) -> Any:
        found = operator(self, other)
        return _as(Whole, found + 0.0) if isinstance(other, int | Whole) and found is not NotImplemented else found

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

    def _key(self) -> int:
        return hash(bool(self))

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
        return _as(Condition, primitives.is_zero(self))


def _connective(row: Primitive) -> Any:
    def method(self: Value, other: Any) -> Value:
        if not isinstance(other, bool | Condition):
            return NotImplemented  # type: ignore[no-any-return]  # the protocol of operators
        return _as(Condition, row(self, other))

    return method


for _title, _row in (("and", primitives.both), ("or", primitives.either), ("xor", primitives.ne)):
    setattr(Condition, f"__{_title}__", _connective(_row))
    setattr(Condition, f"__r{_title}__", _connective(_row))

_FROZEN = (
    "which would freeze the number of this one call into the program: compute with the Value itself, by operators "
    "and scalargrad's functions (where, floor, round, ...); v.detach() stops gradients"
)
_WAYS_OUT = {
    "backward()": "which stores gradients: return grad(f)(...) or value_and_grad(f)(...)",
    "detect_anomaly()": "which would check the numbers of this one call: call the compiled function under it",
    "assigning to .data": "which a program cannot repeat: compute a new Value",
    "assigning to .grad": "which a program cannot repeat: return the gradient",
    "using a Value as a key": "which would be found by identity, not by its number: compare numbers (x == 1.0), or use "
    "id(v) as the key",
    "int() of a Value, or its use as an index,": "which would freeze the number of this one call into the program: "
    "name a parameter that is a number of loops, or an index, in static_argnames=",
    "float() of a Value, or a function of math or numpy on one,": f"{_FROZEN}; an array of Values to assign into is "
    "np.zeros_like(x), or np.empty_like(x), of one",
    "reading .grad": "whose number is of this one call: pass it as an argument, or take grad(f)(...)",
}


def _refuse(what: str) -> NoReturn:
    """Raise for what would freeze a number of this one call into the program, or what a program cannot do."""
    raise TraceError(f"{what} in a compiled function, {_WAYS_OUT.get(what, _FROZEN)}\n  at {modes.users_line()}")


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


_TRACED = frozenset((Traced, Category, Whole, Condition))
for _each in _TRACED:
    _each.__name__ = "Value"  # as messages are to call them, Python's own too


@lru_cache(maxsize=4096)
def _kind(row: Primitive) -> type[Value]:
    return Category if row.flat or row in _KEPT else Traced


class Tracer:
    """What `modes.tracing` hands nodes, comparisons, truth values and derivatives to, which go on a tape."""

    elsewhere = False  # whether it is traced at numbers at which it may never run: what they make functions raise waits

    def __init__(self, inputs: Sequence[Value] = ()) -> None:
        self.begun = begin()
        self.mode: Any = None  # while it traces: see `modes.tracing`
        self.tape: Any = Tape(_template)  # None when tracing has ended
        self.nodes: list[Value | None] = list(inputs)  # by entry, as far as there are any
        self.outside: dict[int, Value] = {}  # by entry: what was not made here
        self.strangers: dict[int, int] = {}  # their entries, by identity
        self.inner: set[Value] = set()  # leaves that an inner derivative made of plain numbers
        self.labelled: list[Value] = []
        self.ends: list[int] = []  # entries of the results
        self.labels: dict[int, str] = {}  # by entry
        self.failing: list[int] = []  # entries of loops that may fail, which is to be seen though nobody needs them
        self.guards: list[tuple[str, int, int, bool, str]] = []
        self.numbers: list[float] = []  # by entry, where numbers of derivatives were asked for
        self.unknown = False  # whether some loop was not run, and what follows from it is nan here
        self.found: dict[int, Any] = {}  # by entry, where numbers were asked for that follow from such
        for node in inputs:
            _as(Category, node)._origin = self.tape.add(LEAF)

    def made(self, node: Value, recording: bool) -> Value:
        operation, tape, nodes = node.operation, self.tape, self.nodes
        node.__class__ = _kind(operation)
        a: Any = node._a
        b: Any = node._b
        count = len(nodes)
        if a is None:
            b = tuple(map(self.entry, b))
        else:  # as `entry`, of which most is asked here
            a = k if a.__class__ in _TRACED and (k := a._origin) < count and nodes[k] is a else self.entry(a)
            if b is not None:
                b = k if b.__class__ in _TRACED and (k := b._origin) < count and nodes[k] is b else self.entry(b)
        node._origin = k = len(tape.rows)
        tape.rows.append(operation)
        tape.left.append(a)
        tape.right.append(b)
        if count < k:
            nodes += [None] * (k - count)
        nodes.append(node)
        if recording or operation is detached:
            return node
        constant_here: Value = detached(node)
        return constant_here

    def entry(self, x: Any) -> int:
        """The number of a node on the tape."""
        if x.__class__ in _TRACED and (k := x._origin) < len(self.nodes) and self.nodes[k] is x:
            return k  # type: ignore[no-any-return]
        if not isinstance(x, Value):
            return self.tape.constant(as_float(x))  # type: ignore[no-any-return]
        if x.operation is CONSTANT and not made_before(x, self.begun):
            return self.tape.constant(x._data)  # type: ignore[no-any-return]
        found = self.strangers.get(id(x))
        if found is None:
            found = self.strangers[id(x)] = self.tape.add(x.operation)
            self.outside[found] = x
        return found

    def node(self, k: int) -> Value:
        """The node of an entry."""
        if k < 0:
            return constant(self.tape.constants[~k])
        if len(self.nodes) <= k:
            self.nodes += [None] * (k + 1 - len(self.nodes))
        found = self.nodes[k]
        if found is None and (found := self.outside.get(k)) is None:
            found = self.nodes[k] = constant(0.0)
            del found._data
            found.operation = row = self.tape.rows[k]
            found.__class__ = _kind(row)
            found._made, found._origin = self, k
        return found

    def complete(self) -> None:
        """Give every entry a node, and every node its operands."""
        for k in range(len(self.tape)):
            node = self.node(k)
            if node._a is node._b is None and node.operation.arity != 0:
                operands = tuple(map(self.node, self.tape.operands(k)))
                node._a, node._b = (None, operands) if self.tape.left[k] is None else (*operands, None)[:2]

    def number(self, k: int) -> float:
        """The number of an entry in this call."""
        tape, numbers = self.tape, self.numbers
        for at in range(len(numbers), k + 1):
            node = self.nodes[at] if at < len(self.nodes) else None
            if at in self.outside:
                numbers.append(self.outside[at]._data)
            elif node is None or getattr(node, "_made", None) is self:
                operands = [numbers[p] if p >= 0 else tape.constants[~p] for p in tape.operands(at)]
                numbers.append(tape.rows[at].compute(*operands))
            else:
                numbers.append(node._data)
        return numbers[k]

    def found_out(self, k: int) -> Any:
        """The number of an entry in this call, where loops that take long were not run for tracing alone."""
        tape, found = self.tape, self.found
        live = tape.needed([k])
        with modes.not_tracing():
            for at in range(k + 1):
                if not live[at] or at in found:
                    continue
                if at in self.outside:
                    found[at] = self.from_outside(self.outside[at])
                elif tape.rows[at] is LEAF:
                    found[at] = self.node(at)._data
                else:
                    found[at] = tape.rows[at].compute(
                        *[found[p] if p >= 0 else tape.constants[~p] for p in tape.operands(at)]
                    )
        return found[k] if k >= 0 else tape.constants[~k]

    def from_outside(self, x: Value) -> Any:
        """The number of a `Value` that was not made here."""
        return x._data

    def mark(self) -> int:
        """Where a differentiation begins."""
        return len(self.tape)

    def walk(self, mark: int, outputs: Sequence[Any], inputs: Sequence[Value]) -> Differentiation | None:
        """The passes of a differentiation that began there; None if there is a row that has no template."""
        entries = [self.entry(x) for x in inputs]  # before the walk, which is as long as the tape
        made = Differentiation(self, mark, [self.entry(x) for x in outputs], entries)
        if made.walk.by_templates():
            return made
        self.complete()
        return None

    refuse = staticmethod(_refuse)
    detached = staticmethod(detached)

    def compare(self, comparison: str, left: Value, right: Any) -> Value:
        """A comparison with a `Value` or an exact number, as a node."""
        if not isinstance(right, Value):
            comparison, number = threshold(comparison, right)
            right = constant(number)
        row, swapped = _COMPARISONS[comparison]
        return _as(Condition, row(right, left) if swapped else row(left, right))

    def truth(self, node: Value) -> bool:
        """Whether a node is true in this call; in others, it is another program."""
        comparison, left, right = "ne", node, constant(0.0)
        if node.operation in (primitives.lt, primitives.le, primitives.eq, primitives.ne):
            comparison, (left, right) = node.operation.name, node.parents
        outcome = (self.found_out(self.entry(node)) if self.unknown else node._data) != 0.0
        self.guards.append((comparison, self.entry(left), self.entry(right), outcome, modes.users_line()))
        return outcome

    def end(self) -> None:
        """Take the nodes' numbers from them."""
        self.tape = None
        for node in self.nodes:
            if node is not None:
                try:  # noqa: SIM105  # a context for each of a million nodes takes as long as the tape
                    del node._data
                except AttributeError:  # of a derivative, whose number nobody has asked for
                    pass
        self.nodes = []


def _refuse_kept(what: str) -> NoReturn:
    raise TraceError(
        f"{what} of a compiled function was kept when its tracing had ended, in a cache or another object, and is used "
        "again: it stood for a number that varies from call to call\n  at " + modes.users_line()
    )


LONG = 10_000  # entries from which a program may be worth more than to be written down as it stands


class Differentiation:
    """The passes of one differentiation over a tape, of nodes."""

    def __init__(self, tracer: Tracer, mark: int, outputs: list[int], inputs: list[int]) -> None:
        self.tracer, self.outputs, self.inputs = tracer, outputs, inputs
        self.walk = Walk(tracer.tape, mark, outputs, inputs)

    def _seed(self, x: Any) -> Any:
        if self.tracer.tape is None:
            _refuse_kept("what vjp gave in a run")
        return self.tracer.entry(x) if isinstance(x, Value) else float(x)

    def _nodes(self, gradients: Sequence[Any]) -> list[Any]:
        zero, tape = self.tracer.tape.constant(0.0), self.tracer.tape
        return [self.tracer.node(tape.add(table.add, zero, g)) if g.__class__ is int else 0.0 + g for g in gradients]

    def backward(self, seeds: Sequence[Any]) -> list[Any]:
        """The derivative of the seeded outputs by every input."""
        given = [(k, self._seed(s)) for k, s in zip(self.outputs, seeds, strict=True) if k >= 0]
        return self._nodes(self.walk.backward(given))

    def forward(self, seeds: dict[Value, Any]) -> list[Any]:
        """The directional derivative of every output."""
        given = {self.tracer.entry(x): self._seed(s) for x, s in seeds.items()}
        return self._nodes(self.walk.forward(given, self.outputs))


@lru_cache(maxsize=1024)
def _template(row: Primitive, count: int, upstream: float | None) -> Template | None:
    """How a row hands on an upstream gradient, found by the chain rule itself, on symbols; None for what may look at
    numbers, as users' own may."""
    if row.own or type(row) is not Primitive:
        return None
    symbols = [constant(1.0) for _ in range(2 + count)]
    for each in symbols:
        each.operation = LEAF
    scratch = Tracer(symbols)
    with modes.tracing(scratch):
        u, y, *operands = symbols
        gradients = row.local_gradients(y, operands)
        local = len(scratch.tape)
        brought = [contribution(row, slot, u if upstream is None else upstream, d) for slot, d in enumerate(gradients)]
    tape, entries = scratch.tape, [scratch.entry(x) if isinstance(x, Value) else x for x in brought]
    if scratch.guards or scratch.outside:
        return None

    def number(k: Any) -> Any:
        if k is None or isinstance(k, tuple):
            return k and tuple(map(number, k))
        return 2 + count + ~k if k < 0 else k if k < 2 + count else k + len(tape.constants)

    def instruction(k: int) -> Instruction:
        return tape.rows[k], number(tape.left[k]), number(tape.right[k])

    brings: list[tuple[int, Any, Any, Any]] = []
    for slot, (x, k) in enumerate(zip(brought, entries, strict=True)):
        if isinstance(x, Value):
            brings.append((slot, *instruction(k)) if k >= local else (slot, None, number(k), None))
        elif x is not None:
            brings.append((slot, None, x, None))
    return Template(tuple(tape.constants), tuple(map(instruction, range(2 + count, local))), tuple(brings))


Roll = Callable[[Program], Any] | None


def trace(
    f: Callable[..., Any], structure: Structure, leaves: Sequence[float], roll: Roll = None
) -> tuple[Any, Structure, list[Value]]:
    """Run `f` once: its program, the structure of its result, and the `Value`s from outside that it uses.

    `structure` is that of the pair (positional arguments, keyword arguments), `leaves` its numbers. The `Value`s from
    outside are the program's last inputs. Of a long program as it was recorded, `roll` may make something better, which
    is returned in its place; or None.
    """
    with Resting():
        tape, tracer, output_structure = _recorded(f, structure, leaves)  # the graph is free again
        program, captured = _program(tape, tracer, names(f, structure), roll)
    return program, output_structure, captured


def _recorded(f: Callable[..., Any], structure: Structure, leaves: Sequence[float]) -> tuple[Tape, Tracer, Structure]:
    """The tape of one run, and the structure of its result."""
    inputs = [Value(x) for x in leaves]
    tracer = Tracer(inputs)
    try:
        with modes.tracing(tracer):  # of objects that are made of the arguments, too: their __init__ may branch
            arguments, keywords = unflatten(structure, inputs, "argument")
            result = f(*arguments, **keywords)
        outputs, output_structure = flatten(result, "the compiled function's result", static=True)
        if output_structure[0] is Static:
            as_float(result, "the compiled function's result")
        if not all(isinstance(x, Value) for x in outputs):
            for x, place in zip(outputs, paths(output_structure, "the compiled function's result"), strict=True):
                if not isinstance(x, Value):
                    as_float(x, place)
        tracer.ends = list(map(tracer.entry, outputs))
        tracer.labels = {tracer.entry(node): node.label for node in tracer.labelled}
        return tracer.tape, tracer, output_structure
    except TypeError as error:
        name_way_out(error)
        raise
    finally:
        tracer.end()


def _program(tape: Tape, tracer: Tracer, places: list[str], roll: Roll) -> tuple[Any, list[Value]]:
    live = tape.needed([*tracer.ends, *tracer.failing, *(k for g in tracer.guards for k in g[1:3])])
    needed = [(k, x) for k, x in tracer.outside.items() if live[k]]
    captured = [(k, x) for k, x in needed if from_outside(x, tracer)]
    captured.sort(key=lambda each: each[1].label)
    inputs = [*range(len(places)), *(k for k, _ in captured)]
    places += [x.label or f"captured{k}" for k, (_, x) in enumerate(captured)]
    known = {k for k, _ in captured}
    constants = {k: x._data for k, x in needed if k not in known}
    part = Part(inputs, places, live, constants, detached)
    found = roll(_ended(*tape.recorded(part), tracer)) if roll is not None and live.count(1) >= LONG else None
    if found is None:
        found = _ended(*tape.program(part), tracer)
    return found, [x for _, x in captured]


def _ended(program: Program, number: Sequence[int], tracer: Tracer) -> Program:
    """The program with its ends, by the numbers that entries have there."""
    first = program.inputs
    program.labels = {number[k]: text for k, text in tracer.labels.items() if text and number[k] >= first}
    program.outputs = [number[k] for k in tracer.ends]
    program.take_guards(Guard(c, number[i], number[j], outcome, line) for c, i, j, outcome, line in tracer.guards)
    return program


def from_outside(node: Value, tracer: Tracer) -> bool:
    """Whether a `Value` that the tracer did not make is one whose number may change between calls."""
    if node.parents and not node.has_gradient and not made_before(node, tracer.begun):
        raise TraceError(
            f"a result of {node.operation.name} was computed while the function was traced, but where tracing does not "
            "see it, in another thread or context: its number of this one call would be frozen"
        )
    # Plain numbers in expressions of the function are constants; one from outside may be assigned to.
    return made_before(node, tracer.begun) if node.operation is CONSTANT else node not in tracer.inner


def names(f: Any, structure: Structure) -> list[str]:
    """The place of every leaf of the arguments, by the names of the function's parameters where it has its own."""
    return [place for root, part in _roots(f, structure) for place in paths(part, root)]


def places_of_static(f: Any, structure: Structure) -> list[tuple[str, Static]]:
    """What is static among the arguments, with its place."""
    return [found for root, part in _roots(f, structure) for found in statics(part, root)]


def _roots(f: Any, structure: Structure) -> Iterator[tuple[str, Structure]]:
    """The arguments, with their names."""
    _, _, ((_, _, arguments), (_, keys, keywords)) = structure
    known = parameters(f)
    for k, part in enumerate(arguments):
        yield known[k] if k < len(known) else f"x{k}", part
    yield from zip(keys, keywords, strict=True)
