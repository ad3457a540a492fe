"""Calls written in place: a program whose calls of programs are these programs' own instructions, where that pays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...engine.several import Output
from .loops import Call
from .program import Program

SHORT = 1000  # instructions that the calls of one program may come to when they are written in place


def size(program: Program) -> int:
    """How many instructions it has, those of the programs in it included."""
    inner = [each for row in program.operations if row.several for each in row.programs()]
    return len(program) + sum(map(size, inner))


def in_place(program: Program) -> Program:
    """The program with the calls in place that are made once or come to little.

    Only such as may be: where a call is there to compute again what is not kept, that stays.
    """
    while True:
        rows = program.operations
        if not any(isinstance(row, Call) for row in set(rows)):
            return program
        whole = {
            p for row, each in zip(rows, program.operands, strict=True) if not isinstance(row, Output) for p in each
        }
        calls = [row for k, row in enumerate(rows, program.inputs) if isinstance(row, Call) and k not in whole]
        sites = Counter(row for row in calls if row.in_place)
        chosen = {row for row, n in sites.items() if n == 1 or n * size(row.bodies[0]) <= SHORT}
        if not chosen:
            return program
        program = _written(program, chosen)


def _written(program: Program, chosen: set[Any]) -> Program:
    made = Program(program.inputs, program.names, program.constants)
    number = program.numbers()
    results: dict[int, list[int]] = {}
    for k, (row, operands) in enumerate(zip(program.operations, program.operands, strict=True), program.inputs):
        given = tuple([number[p] for p in operands])
        if row in chosen:
            results[k] = written(made, row.bodies[0], given)
        elif isinstance(row, Output) and operands[0] in results:
            number[k] = results[operands[0]][row.k]
        else:
            number[k] = made.record(row, given)
    made.outputs, made.guards = program.ends(number)
    made.labels = {number[k]: text for k, text in program.labels.items()}
    return made.without_dead()


def written(made: Program, body: Program, given: Sequence[int]) -> list[int]:
    """Write the instructions of a program into another one; what its outputs are there, for those inputs."""
    number = list(given)

    def get(p: int) -> int:
        return number[p] if p >= 0 else made.constant(body.constants[~p])

    for row, operands in zip(body.operations, body.operands, strict=True):
        number.append(made.record(row, tuple(map(get, operands))))
    return [get(p) for p in body.outputs]
