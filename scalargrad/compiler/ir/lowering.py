"""From rows of the table to elementary operations: what C and machine code are made of.

`symbolic.py` finds the body of one row; here bodies are put to use: short ones stand in the program itself, where
instructions that several of them share are kept once; long ones become functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from ...engine import table
from ...engine.primitive import TABLE, Primitive
from .elementary import EVALUATE
from .polynomials import FAST, POLYNOMIALS
from .program import Program
from .symbolic import body

Functions = Literal["library", "polynomial", "fast"]
INLINE = 16  # instructions in a body that is not worth a function
INLINE_POLYNOMIALS = 100  # and with polynomials, which rows have in common


def unfused(functions: Functions) -> Functions:
    """What those who have no fused products do in place of "fast"."""
    return "polynomial" if functions == "fast" else functions


@dataclass
class Lowered:
    """A program of elementary operations, and of calls (operations that begin with "call ") to its own functions."""

    program: Program
    functions: dict[str, Program] = field(default_factory=dict)
    callbacks: dict[str, tuple[Primitive, int]] = field(default_factory=dict)  # rows that only Python can compute


_ELEMENTARY = {row: row.name for row in (table.add, table.sub, table.mul, table.div, table.neg)}
_FEW = _ELEMENTARY.keys() | {table.chain, table.gate, table.relu, table.step, table.abs, table.sqrt}


def elementary(row: Primitive) -> bool:
    """Whether a row is an instruction of the processor, or a few."""
    return row in _FEW


def lower(program: Program, functions: Functions = "library", most: int | None = None) -> Lowered:
    """The program in elementary operations, with the same inputs, outputs and guards, and the same bits.

    With `functions="polynomial"` those of the C library that `polynomials.py` has are taken from there; with "fast" as
    well, and products go into sums unrounded, which is other bits. Rows of more
    than `most` instructions become functions; if it is None, of more than is good for machine code.
    """
    low = _lowered(program, "polynomial" if functions == "fast" and program.guards else functions, most)
    if functions == "fast":
        low.program = contracted(low.program)
        low.functions = {name: contracted(body) for name, body in low.functions.items()}
    return low


def _lowered(program: Program, functions: Functions, most: int | None) -> Lowered:
    made = Program(program.inputs, program.names, program.constants)
    low = Lowered(made)
    templates: dict[tuple[Primitive, int], Callable[[tuple[int, ...]], int]] = {}
    in_bodies: set[str] = set()  # what an elementary row may be equal to
    others = [row for row in dict.fromkeys(program.operations) if row not in _ELEMENTARY]
    kinds = {(row, row.arity): None for row in others}
    if any(row.arity is None for row in others):
        kinds = dict.fromkeys(zip(program.operations, map(len, program.operands), strict=True))
        kinds = {(row, count): None for row, count in kinds if row in others}
    for row, count in kinds:
        templates[row, count] = _template(low, row, count, functions, most)
        if (found := body_of(row, count, functions)) is not None:
            in_bodies.update(found.operations)
    if not templates:
        made.operations, made.operands = list(map(_ELEMENTARY.__getitem__, program.operations)), program.operands
        made.outputs, made.guards = program.outputs, program.guards
        return low
    plain = {row: name for row, name in _ELEMENTARY.items() if name not in in_bodies and row.arity == 2}
    number = program.numbers()
    operations, all_operands = made.operations, made.operands
    named, put, name_of = operations.append, all_operands.append, plain.get
    v, at = program.inputs, program.inputs
    for row, given in zip(program.operations, program.operands, strict=True):
        name = name_of(row)
        if name is None:
            operands = tuple([number[p] for p in given])
            name = _ELEMENTARY.get(row)
            number[v] = made.emit(name, operands) if name is not None else templates[row, len(operands)](operands)
            at = program.inputs + len(operations)
        else:
            a, b = given
            named(name)
            put((number[a], number[b]))
            number[v] = at
            at += 1
        v += 1
    made.outputs, made.guards = program.ends(number)
    made._index()  # what was known is not asked for again
    low.program = made.without_dead() if made.shortened else made
    return low


def contracted(program: Program) -> Program:
    """The program with each product that only one sum or difference takes in that: rounded once instead of twice.

    A product with one or zero, by a condition, becomes a choice. What guards depend on is left alone: calls branch as
    the function does.
    """
    first, operations = program.inputs, program.operations
    decides = program.needed(chain.from_iterable((g.left, g.right) for g in program.guards))
    uses = [0] * len(decides)
    for k in chain(program.roots(), *program.operands):
        uses[k] += 1

    def product(k: int) -> bool:
        return k >= first and uses[k] == 1 and operations[k - first] == "mul"

    made = Program(first, program.names, program.constants)
    number = program.numbers()
    for v, (operation, operands) in enumerate(zip(operations, program.operands, strict=True), first):
        if operation in ("add", "sub") and not decides[v] and (product(operands[0]) or product(operands[1])):
            a, b = operands
            later = product(b) and (b > a or not product(a))  # of two products, the one that is there last
            factor, other = (b, a) if later else (a, b)
            operation = "fma" if operation == "add" else "fnma" if later else "fms"
            operands = (*program.operands[factor - first], other)
        elif operation == "mul" and not decides[v]:
            for k, other in (operands, operands[::-1]):
                chosen = _between_constants(program, k) or (0, 0, 0)
                if [program.constants[~c] for c in chosen[1:] if c < 0] == [1.0, 0.0]:
                    operation, operands = "select", (chosen[0], other, chosen[2])
                    break
        number[v] = made.emit(operation, tuple([number[p] for p in operands]))
    made.outputs, made.guards = program.ends(number)
    return made.without_dead()


def _template(
    low: Lowered, row: Primitive, count: int, functions: Functions, most: int | None
) -> Callable[[tuple[int, ...]], int]:
    """How a row with so many operands is put into the program."""
    made = low.program
    found, longest = body_of(row, count, functions), max(INLINE, 6 * count)
    if functions != "library" and found is not None and found is not body_of(row, count, "library"):
        longest = INLINE_POLYNOMIALS
    longest = longest if most is None else most
    if found is not None and len(found) <= longest:
        constants = constants_of(found, made)
        return lambda operands: inline(made, found, operands, constants)
    stem = re.sub(r"\W+", "_", row.name).strip("_").lower()
    name = f"{stem}_{len(low.functions) + len(low.callbacks) + 1}"
    if found is None:
        low.callbacks[name] = (row, count)
    else:
        low.functions[name] = found
    return lambda operands: made.emit(f"call {name}", operands)


@lru_cache(maxsize=4096)
def body_of(row: Primitive, count: int, functions: Functions) -> Program | None:
    """A row's value in elementary operations; None for one that only Python can compute."""
    if row.own:  # the user's own may do anything that Python can
        return None
    if functions == "library":
        return body(row.compute, count)
    whole = FAST.get(row.name) if functions == "fast" else None
    whole = (whole or POLYNOMIALS.get(row.name)) if TABLE.get(row.name) is row else None
    found = body_of(row, count, "library") if whole is None else body(whole, count)
    if found is None or whole is not None or not any(each in POLYNOMIALS for each in found.operations):
        return found
    made = Program(count)
    number = list(range(count))

    def get(k: int) -> int:
        return number[k] if k >= 0 else made.constant(found.constants[~k])

    for operation, given in zip(found.operations, found.operands, strict=True):
        operands = tuple(map(get, given))
        polynomial = body_of(TABLE[operation], 1, "polynomial") if operation in POLYNOMIALS else None
        number.append(
            emit_short(made, operation, operands) if polynomial is None else inline(made, polynomial, operands)
        )
    made.outputs = [get(k) for k in found.outputs]
    return made.without_dead()


_COMPARISONS = frozenset(("lt", "le", "eq", "ne", "nle"))
_CHOOSING = frozenset(("select", "not"))
_SHORTENED = _COMPARISONS | {"select"}


def emit_short(into: Program, operation: Any, operands: tuple[int, ...]) -> int:
    """As `into.emit`, of an elementary operation, without selections between constants that are compared again.

    A comparison that is data is `select(c, 1, 0)`, and `ne` of that with 0 is c itself.
    """
    first, operations = into.inputs, into.operations
    if not any(p >= first and operations[p - first] in _CHOOSING for p in operands):
        return into.emit(operation, operands)
    if operation in _COMPARISONS:
        for slot, p in enumerate(operands):
            other = operands[1 - slot]
            chosen = _between_constants(into, p) if other < 0 else None
            if chosen is None:
                continue
            known = [into.constants[~p] for p in (*chosen[1:], other)]
            pairs = [(x, known[2]) if slot == 0 else (known[2], x) for x in known[:2]]
            if_true, if_false = (EVALUATE[operation](*pair) for pair in pairs)
            if if_true != if_false:
                into.shortened = True
                return chosen[0] if if_true else into.emit("not", (chosen[0],))
    elif operation == "select":
        c, a, b = operands
        if c >= first and operations[c - first] == "not":
            into.shortened = True
            return emit_short(into, operation, (into.operands[c - first][0], b, a))
        for join, inner, same in (("and", a, 2), ("or", b, 1)):  # one selection where an arm selects again
            chosen = _between_constants(into, inner)
            if chosen is not None and chosen[same] == operands[same]:
                into.shortened = True
                return into.emit("select", (into.emit(join, (c, chosen[0])), *chosen[1:]))
    return into.emit(operation, operands)


def _between_constants(program: Program, k: int) -> tuple[int, ...] | None:
    """The operands of a selection between two constants, if that is what a value is."""
    if k < program.inputs or program.operations[k - program.inputs] != "select":
        return None
    operands = program.operands[k - program.inputs]
    return operands if operands[1] < 0 and operands[2] < 0 else None


def inline(into: Program, what: Program, operands: tuple[int, ...], constants: Sequence[int] | None = None) -> int:
    """Write the instructions of a body into a program; the number of its result there.

    `constants` are the numbers that the body's have there, the last first, for who asks again and again.
    """
    if constants is None:
        constants = constants_of(what, into)
    number: list[int] = [*operands, *[0] * len(what), *constants]
    for v, (operation, given) in enumerate(zip(what.operations, what.operands, strict=True), what.inputs):
        emit = emit_short if operation in _SHORTENED else Program.emit
        number[v] = emit(into, operation, tuple([number[p] for p in given]))
    return number[what.outputs[0]]


def constants_of(what: Program, into: Program) -> list[int]:
    return [into.constant(x) for x in reversed(what.constants)]


def is_call(operation: Any) -> bool:
    return isinstance(operation, str) and operation.startswith("call ")
