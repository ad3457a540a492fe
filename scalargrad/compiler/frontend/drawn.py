"""A program as a graph again, for drawings: its instructions, run on `Value`s at one point."""

from __future__ import annotations

from collections.abc import Sequence

from ...engine.value import Value, constant
from ..ir.program import Program


def as_graph(program: Program, point: Sequence[float]) -> list[Value]:
    """The outputs as `Value`s: an instruction a node, inputs and labelled instructions by their names."""
    nodes = [Value(x, label=name) for x, name in zip(point, program.names, strict=True)]

    def operand(k: int) -> Value | float:
        return nodes[k] if k >= 0 else program.constants[~k]

    for k, (row, operands) in enumerate(zip(program.operations, program.operands, strict=True), program.inputs):
        made: Value = row(*[constant(x) if isinstance(x, float) else x for x in map(operand, operands)])
        made.label = program.labels.get(k, "")
        nodes.append(made)
    return [x if isinstance(x, Value) else constant(x) for x in map(operand, program.outputs)]
