"""Programs inside programs: what an instruction with several outputs runs: a loop, a choice, a call.

An operation here is an instruction of a program like a row, save that its result is a block of numbers, of which the
rows `output(k)` read one each; blocks are handed on whole, too, as columns of other loops. Backends read the fields;
how such an operation is differentiated stands in `frontend/derived.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from math import nan
from typing import Any, NamedTuple

from ...engine.primitive import Primitive
from ...engine.several import Vector
from .program import Program


class Column(NamedTuple):
    """What a loop reads of each step: so many numbers, operands of their own, step by step; or, where `first` is given,
    those of a block from there on, which is one operand."""

    width: int
    first: int | None = None


class Block(Primitive):
    """An instruction that runs programs and leaves a block of so many numbers: an operation with several outputs."""

    flat = own = False
    several = True
    hides_nan = True
    arity = local = constants = None
    selects = ()
    domain = ()
    notation = ()
    oracle = public = ""

    size: int
    place: str  # where the user's code asked for it
    differs = False  # whether what it runs, or how often, depends on numbers

    def __init__(self, name: str) -> None:
        self.name = self.symbol = name

    @abstractmethod
    def compute(self, *operands: Any) -> Any:
        """The outputs' numbers; of operands that are another's node, what that one computed."""

    @abstractmethod
    def pull_back(self, node: Any, operands: Sequence[Any], adjoint: Vector, wanted: Sequence[bool]) -> list[Any]:
        """The operands' adjoints, None for zeros: floats where the node is given as what was computed, else nodes."""

    @abstractmethod
    def push_forward(self, node: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Vector:
        """The outputs' tangents from those of the operands, of which None are zeros."""

    def local_gradients(self, y: Any, operands: Sequence[Any]) -> tuple[Any, ...]:
        return (nan,) * len(operands)  # it is no number

    def __reduce__(self) -> Any:
        return object.__new__, (type(self),), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in self.__dict__.items() if not name.startswith("_")}

    def but(self, **fields: Any) -> Any:
        """The same with other fields, on which nothing else of it depends."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__getstate__(), **fields)
        return made

    def programs(self) -> Sequence[Program]:
        """The programs that it runs."""
        raise NotImplementedError

    @property
    def work(self) -> int:
        """About how many instructions it runs."""
        return sum(
            len(program) + sum(row.work for row in program.operations if row.several) for program in self.programs()
        )

    def _inside_fails(self) -> bool:
        return any(program.fails() for program in self.programs())

    def run(self, operands: Sequence[Any], keep: bool, functions: Any) -> Sequence[float]:
        """The block, from operands that are floats, or blocks; with what reverse mode needs if that is to be kept."""
        raise NotImplementedError

    def spans(self) -> list[tuple[int, int | None]]:
        """For every operand how many numbers it is, and, of a block, from which on."""
        raise NotImplementedError


class Call(Block):
    """A program that runs once; or one of two, by whether the first operand is true."""

    in_place = False  # whether its instructions may stand in the place of the call

    def __init__(self, name: str, bodies: Sequence[Program], point: Sequence[float], place: str) -> None:
        super().__init__(name)
        self.bodies = tuple(bodies)
        self.point = list(point)  # operands to trace derivatives at
        self.place = place
        self.size = len(bodies[0].outputs)
        self.differs = self.chooses
        self.fails = self._inside_fails()

    def programs(self) -> Sequence[Program]:
        return self.bodies

    @property
    def chooses(self) -> bool:
        """Whether it has a first operand that says which program is run."""
        return len(self.bodies) == 2

    def spans(self) -> list[tuple[int, int | None]]:
        return [(1, None)] * (self.bodies[0].inputs + self.chooses)


class Loop(Block):
    """A program that runs step by step: its inputs are shared numbers, carried ones and the step's columns; its outputs
    the carried ones of the next step and the step's results.

    Operands are the shared numbers, the carried ones at the beginning, how many steps there are (if `counted`), and
    the columns. The block holds the carried numbers of the end, the number of steps (if there is a condition), the
    results of all steps, group by group, and (if `keeps`) the carried numbers before each step. With `backward` the
    last step comes first. A `condition` is a program of the shared and the carried numbers, asked before each step;
    where it holds still behind `length` steps, the loop has failed. A length of None has no bound, and leaves nothing
    but the carried numbers.
    """

    def __init__(
        self,
        name: str,
        body: Program,
        shared: int,
        carried: int,
        columns: Sequence[Column],
        results: Sequence[int],
        length: int | None,
        point: Sequence[float],
        place: str,
        backward: bool = False,
        condition: Program | None = None,
        counted: bool = False,
        failure: str = "",
        notes: dict[int, str] | None = None,
    ) -> None:
        super().__init__(name)
        self.body, self.condition = body, condition
        self.shared, self.carried = shared, carried
        self.columns, self.results = tuple(columns), tuple(results)
        self.length, self.backward, self.counted = length, backward, counted
        self.differs = counted or condition is not None
        self.point = list(point)  # of the body's inputs, to trace derivatives at
        self.place, self.failure, self.notes = place, failure, notes or {}
        self.keeps = False
        self.fails = (condition is not None and length is not None) or self._inside_fails()
        head = carried + (condition is not None)
        steps = length or 0
        *self.starts, self.kept = accumulate([head, *[steps * width for width in results]])

    @property
    def work(self) -> int:
        return (self.length or 0) * super().work

    @property
    def size(self) -> int:  # type: ignore[override]
        """The numbers of its block."""
        return self.kept + (self.length or 0) * self.carried * self.keeps

    def programs(self) -> Sequence[Program]:
        return (self.body,) if self.condition is None else (self.body, self.condition)

    def spans(self) -> list[tuple[int, int | None]]:
        found: list[tuple[int, int | None]] = [(1, None)] * (self.shared + self.carried + self.counted)
        steps = self.length or 0
        for column in self.columns:
            count = steps * column.width
            found += [(1, None)] * count if column.first is None else [(count, column.first)]
        return found


class Foreign(Block):
    """A function of Python, called with numbers: it returns so many."""

    def __init__(self, name: str, inputs: int, size: int, place: str) -> None:
        super().__init__(name)
        self.inputs, self.size, self.place = inputs, size, place

    fails = True

    def programs(self) -> Sequence[Program]:
        return ()

    def spans(self) -> list[tuple[int, int | None]]:
        return [(1, None)] * self.inputs
