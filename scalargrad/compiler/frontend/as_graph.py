"""A program as a graph again, for drawings: its instructions, run on `Value`s at one point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...engine.value import Value, constant
from ..ir.program import Program

_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}

_SWAPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def as_graph(program: Program, point: Sequence[float]) -> tuple[list[Value], list[tuple[Any, ...]]]:
    """The outputs as `Value`s: an instruction a node, inputs and labelled instructions by their names; and the guards,
    as `draw` takes them."""
    nodes = [Value(x, label=name) for x, name in zip(point, program.names, strict=True)]

    def operand(k: int) -> Value | float:
        return nodes[k] if k >= 0 else program.constants[~k]

    for k, (row, operands) in enumerate(zip(program.operations, program.operands, strict=True), program.inputs):
        made: Value = row(*[constant(x) if isinstance(x, float) else x for x in map(operand, operands)])
        made.label = program.labels.get(k, "")
        nodes.append(made)
    guards = [
        (operand(g.left), _SIGNS[g.comparison], operand(g.right))
        if g.left >= 0
        else (operand(g.right), _SIGNS[_SWAPPED.get(g.comparison, g.comparison)], operand(g.left))
        for g in program.guards
    ]
    return [x if isinstance(x, Value) else constant(x) for x in map(operand, program.outputs)], guards
