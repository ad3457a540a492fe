"""What runs inside a loop, a choice, a call or a root, as lines of formulas: the body of its node, on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler.ir.loops import Call, Loop
from ...compiler.ir.program import Program
from ..common.text import clean, number, shortened
from .formulas import formula

MOST = 12  # lines


def body_of(operation: Any, operands: Sequence[str], in_full: bool) -> tuple[str, ...]:
    """A line that says what runs, and how often; in full, the body's own lines behind it."""
    residual = getattr(operation, "residual", None)
    programs = [residual] if residual is not None else list(getattr(operation, "programs", tuple)())
    count = sum(map(len, programs))
    each = f"{count:,} instruction{'s' * (count != 1)}"
    if isinstance(operation, Loop):
        order = ", the last first" if operation.backward else ""
        shared, carried = operation.shared, operation.carried
        widths = [column.width for column in operation.columns]
        names = [*operands[:shared], *_numbered("c", carried), *_numbered("x", sum(widths))]
        ends = ["next " + name for name in _numbered("c", carried)]
        head = f"{operation.length:,} steps of {each}{order}"
        if operation.condition is not None:
            head = f"{each} while a condition holds"
    elif residual is not None:
        head = f"where {each} give 0"
        names = [*operands[: residual.inputs - len(residual.outputs)], *_numbered("x", len(residual.outputs))]
        ends = []
    else:
        chooses = isinstance(operation, Call) and operation.chooses
        head, names, ends = (f"one of two, {each}" if chooses else each), list(operands[chooses:]), []
    lines: list[str] = [head]
    for k, program in enumerate(programs if in_full else ()):
        if len(programs) > 1:
            lines.append(("if so", "if not")[k] if not isinstance(operation, Loop) else ("body", "condition")[k])
        lines += _lines(program, names, ends if k == 0 else [])
    return tuple([clean(shortened(line, 60)) for line in lines[: MOST + 1]] + ["…"] * (len(lines) > MOST + 1))


def _numbered(letter: str, count: int) -> list[str]:
    return [letter] if count == 1 else [f"{letter}{k + 1}" for k in range(count)]


def _lines(program: Program, names: Sequence[str], ends: Sequence[str]) -> list[str]:
    named = dict(enumerate([*names, *_numbered("i", program.inputs)[len(names) :]]))
    named |= {~k: number(x) for k, x in enumerate(program.constants)}
    lines = []
    for k, (row, operands) in enumerate(zip(program.operations, program.operands, strict=True), program.inputs):
        named[k] = program.labels.get(k, "") or f"u{k - program.inputs + 1}"
        lines.append(f"{named[k]} = {formula(row, [named[j] for j in operands])}")
    for k, at in enumerate(program.outputs):
        lines.append(f"{ends[k] if k < len(ends) else 'result'}: {named[at]}")
    return lines
