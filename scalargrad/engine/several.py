"""Operations with several outputs: a node for the operation, one for each output, and what a pass hands between them.

The operation's node holds a vector, the outputs' numbers; output k is a node of the row `output(k)`, whose local
gradient is the k-th unit vector. So the chain rule holds as it stands: an output's adjoint times a unit vector is a
`Vector`, vectors add up, and `pull_back` of the operation, whose `several` is true, maps the sum to its operands'
adjoints; `push_forward` maps tangents the other way. What such an operation has is said in `compiler/ir/loops.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from .primitive import Primitive


class Column(NamedTuple):
    """Numbers for the outputs from `start` on: a sequence of floats, or of a node's outputs from `first` on."""

    start: int
    length: int
    source: Any
    first: int = 0

    def __getitem__(self, k: int) -> Any:  # type: ignore[override]  # by the number of the output
        at = k - self.start + self.first
        return output(at)(self.source) if hasattr(self.source, "operation") else self.source[at]


class Vector:
    """The adjoint or the tangent of an operation's node: numbers by output, and columns of them; the rest is zero.

    Adding changes the first summand, which is nobody else's: a sum over n outputs takes time linear in n.
    """

    __slots__ = ("columns", "numbers")

    def __init__(self, numbers: dict[int, Any], columns: Sequence[Column] = ()) -> None:
        self.numbers = numbers
        self.columns = list(columns)

    def __add__(self, other: Vector) -> Vector:
        for k, x in other.numbers.items():
            self.numbers[k] = self.numbers[k] + x if k in self.numbers else x
        self.columns += other.columns
        return self

    def __radd__(self, zero: float) -> Vector:
        return self

    def __gt__(self, other: object) -> bool:  # it is in no interval of floats
        return False

    def __mul__(self, unit: Unit) -> Any:
        return unit.of(self)

    def __getitem__(self, k: int) -> Any:
        """The number of an output; None for a zero."""
        found = self.numbers.get(k)
        for column in self.columns:
            if column.start <= k < column.start + column.length:
                found = column[k] if found is None else found + column[k]
        return found


class Unit(float):
    """A unit vector, which is 1.0 in a drawing: a number times it is a `Vector`, a vector times it one number."""

    __slots__ = ("k",)
    k: int

    def __new__(cls, k: int) -> Unit:
        made = super().__new__(cls, 1.0)
        made.k = k
        return made

    def of(self, upstream: Any) -> Any:
        return upstream[self.k] if upstream.__class__ is Vector else Vector({self.k: upstream})

    __rmul__ = of


class Output(Primitive):
    """The row of one output, whose operand is the operation's node."""

    flat = own = hides_nan = False
    arity = 1
    local = None
    selects = (False,)
    domain = ()
    notation = ("1",)
    name = symbol = "output"
    oracle = public = ""

    def __init__(self, k: int) -> None:
        self.k = k
        self.constants = (Unit(k),)

    def compute(self, outputs: Any) -> Any:
        return outputs[self.k]

    def __reduce__(self) -> Any:
        return output, (self.k,)


@lru_cache(maxsize=1 << 16)
def output(k: int) -> Output:
    return Output(k)
