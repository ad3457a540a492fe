"""From rows of the table to elementary operations: what C and machine code are made of.

It stands apart from `symbolic.py`, which finds the body of one row, because here bodies are put to use: short ones
stand in the program itself, where instructions that several of them share are kept once; long ones become functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .. import primitives as table
from ..primitives import Primitive
from .program import Program, gate
from .symbolic import body

INLINE = 16  # instructions in a body that is not worth a function
_kept_body = lru_cache(maxsize=4096)(body)


@dataclass
class Lowered:
    """A program of elementary operations, and of calls (operations that begin with "call ") to its own functions."""

    program: Program
    functions: dict[str, Program] = field(default_factory=dict)
    callbacks: dict[str, tuple[Primitive, int]] = field(default_factory=dict)  # rows that only Python can compute


_ELEMENTARY: dict[Primitive, str] = {
    table.add: "add",
    table.sub: "sub",
    table.mul: "mul",
    table.div: "div",
    table.neg: "neg",
}


def lower(program: Program) -> Lowered:
    """The program in elementary operations, with the same inputs, outputs and guards, and the same bits."""
    made = Program(program.inputs, program.names, list(program.constants))
    low = Lowered(made)
    number = list(range(program.inputs))
    emit, zero = made.emit, made.constant(0.0)
    templates: dict[tuple[Primitive, int], Callable[[tuple[int, ...]], int]] = {}
    for row, given in zip(program.operations, program.operands, strict=True):
        operands = tuple([number[k] if k >= 0 else k for k in given])
        name = _ELEMENTARY.get(row)
        if name is not None:
            k = emit(name, operands)
        elif row is table.chain:
            k = emit("select", (emit("ne", (operands[0], zero)), emit("mul", operands), zero))
        elif row is gate:
            passes = emit("and", (emit("ne", (operands[0], zero)), emit("ne", (operands[1], zero))))
            k = emit("select", (passes, emit("mul", operands), zero))
        else:
            use = templates.get((row, len(operands)))
            if use is None:
                use = templates[row, len(operands)] = _template(low, row, len(operands))
            k = use(operands)
        number.append(k)
    made.outputs, made.guards = program.ends(number)
    low.program = made.without_dead()
    return low


def _template(low: Lowered, row: Primitive, count: int) -> Callable[[tuple[int, ...]], int]:
    """How a row with so many operands is put into the program."""
    made = low.program
    users_own = row.remake[0] is table._imported  # may do anything that Python can
    found = None if users_own else _kept_body(row.compute, count)
    if found is not None and len(found) <= max(INLINE, 6 * count):
        return lambda operands: inline(made, found, operands)
    stem = re.sub(r"\W+", "_", row.name).strip("_").lower()
    name = f"{stem}_{len(low.functions) + len(low.callbacks) + 1}"
    if found is None:
        low.callbacks[name] = (row, count)
    else:
        low.functions[name] = found
    return lambda operands: made.emit(f"call {name}", operands)


def inline(into: Program, what: Program, operands: tuple[int, ...]) -> int:
    """Write the instructions of a body into a program; the number of its result there."""
    number: list[int] = list(operands)

    def get(k: int) -> int:
        return number[k] if k >= 0 else into.constant(what.constants[~k])

    for operation, given in zip(what.operations, what.operands, strict=True):
        number.append(into.emit(operation, tuple(map(get, given))))
    return get(what.outputs[0])


def is_call(operation: Any) -> bool:
    return isinstance(operation, str) and operation.startswith("call ")
