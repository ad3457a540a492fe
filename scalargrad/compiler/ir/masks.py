"""Masks as instructions: what lanes run where samples choose, or loop, in different ways.

A mask is a float for each sample, zero for those that something is not for. What they would have is computed all the
same, and then not taken: selections are instructions like others, so that a function of the library which only they
need is called for the others alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...engine import table
from ...functions.primitives import both, is_zero, le, where
from .in_place import written
from .loops import Loop
from .program import Program


def _program(inputs: int, *instructions: tuple[Any, tuple[int, ...]]) -> Program:
    """A program of a few instructions, which are its outputs."""
    made = Program(inputs, [f"x{k}" for k in range(inputs)], [0.0])
    made.outputs = [made.emit(row, operands) for row, operands in instructions]
    return made


# Of a mask, and the number that a choice is made by: for whom the second arm is, and for whom the first one.
ARMS = _program(2, (is_zero, (1,)), (both, (0, 2)), (both, (0, 1)))
ARMS.outputs.pop(0)
# Of a mask, and a number of steps: that of the samples which the mask has, for the others none.
COUNT = _program(2, (where, (0, 1, -1)))


@lru_cache(maxsize=256)
def selection(count: int) -> Program:
    """Of a mask and two rows of so many numbers: each from the first row where the mask holds, else from the second."""
    return _program(1 + 2 * count, *[(where, (0, 1 + k, 1 + count + k)) for k in range(count)])


def masked(loop: Loop) -> tuple[Program, Program]:
    """A loop whose number of steps differs from sample to sample: what gives the mask of its first step, and its body.

    Inputs are the mask of what is around, or, where the steps are counted, how many there are; then those of the loop,
    with two more behind what is carried, which are carried on, too: the number of the step (steps so far, or, of
    counted ones, counted from 1, up or down), and, not for the first of the two programs, the mask.
    """
    m, n = loop.shared, loop.carried
    k, mask = 1 + m + n, 2 + m + n
    first, body = _program(mask), _program(loop.body.inputs + 3)
    step = body.emit(table.sub if loop.backward else table.add, (k, body.constant(1.0)))
    after = written(body, loop.body, [*range(1, k), *range(mask + 1, body.inputs)])
    kept = [body.emit(where, (mask, new, old)) for new, old in zip(after, range(1 + m, k), strict=False)]
    if loop.condition is None:
        goes_on = [made.emit(le, (each, 0)) for made, each in ((first, k), (body, step))]
    else:
        step = body.emit(where, (mask, step, k))
        goes_on = [
            made.emit(both, (given, *written(made, loop.condition, [*range(1, 1 + m), *carried])))
            for made, given, carried in ((first, 0, range(1 + m, k)), (body, mask, kept))
        ]
    first.outputs, body.outputs = goes_on[:1], [*kept, step, goes_on[1], *after[n:]]
    return first, body
