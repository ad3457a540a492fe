"""How calls and loops are computed and differentiated: the derivative of a program is a program, that of a loop a loop.

Reverse mode runs the derivative of the body, last step first: it carries the adjoints of what the loop carries and,
added up use by use, those of what its steps share. It is traced once, by running the body's program on nodes and
following the chain rule, and differentiated in its turn where that is asked for. Forward mode carries the tangents
beside the numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate, compress, pairwise
from math import nan
from typing import Any

from ...engine import modes
from ...engine.chain_rule import depending, graph_adjoints, order_of_pass, tangents
from ...engine.several import Column as Region
from ...engine.several import Vector, output
from ...engine.value import Value
from ..backends import blocks as blocks_backend
from ..backends.python import build
from ..ir.loops import Block, Call, Column, Loop
from ..ir.lowering import Functions
from ..ir.program import Program
from .bodies import derived_program, replay

WORTH_SOURCE = 40  # runs of a program from which it is made Python source

MUCH = 2_000_000  # instructions that a loop runs from which it is not run for tracing alone


class Unknown:
    """What a loop would have computed that was not run."""

    def __getitem__(self, k: int) -> float:
        return nan


UNKNOWN = Unknown()


class LoopError(ArithmeticError):
    """A loop whose condition still holds when it may go on no longer, or a search that has found nothing."""


def cut(numbers: Sequence[Any], sizes: Iterable[int]) -> list[Sequence[Any]]:
    """A sequence in parts of those sizes."""
    return [numbers[a:b] for a, b in pairwise(accumulate(sizes, initial=0))]


class Linearised:
    """A program run on nodes, once, for passes over what it leaves behind; by those of its inputs, or by all."""

    def __init__(self, program: Program, operands: Sequence[Value], by: Sequence[int] | None = None) -> None:
        self.operands, self.tracer = operands, modes.tracer()
        mark = self.tracer.mark()
        self.outputs = replay(program, operands)
        self.by = {k: place for place, k in enumerate(range(len(operands)) if by is None else by)}
        chosen = [operands[k] for k in self.by]
        made = self.tracer.walk(mark, self.outputs, chosen)  # None where some row has no template
        self.walk = made and made.walk
        if made is None:
            self.order = order_of_pass([x for x in self.outputs if isinstance(x, Value)], operands)
            self.wanted = depending(self.order, chosen)

    def entry(self, x: Any) -> Any:
        return self.tracer.entry(x) if isinstance(x, Value) else x

    def node(self, x: Any) -> Any:
        return self.tracer.node(x) if x.__class__ is int else x

    def backward(self, seeds: Iterable[tuple[int, Any]], before: dict[int, Any]) -> Callable[[int], Any]:
        """The adjoints of the inputs from those of outputs, added to what there is `before`: by the number of the
        input, 0.0 if there is none."""
        given = [(self.operands[k], x) for k, x in before.items()]
        given += [(self.outputs[k], x) for k, x in seeds if isinstance(self.outputs[k], Value)]
        if self.walk is not None:
            sums = self.walk.backward([(self.entry(node), self.entry(x)) for node, x in given])
            return lambda k: self.node(sums[self.by[k]])
        found = graph_adjoints(self.order, given, self.operands, None, self.wanted)
        return lambda k: found.get(self.operands[k], 0.0)

    def forward(self, seeds: dict[int, Any]) -> list[Any]:
        """The tangents of the outputs from those of inputs."""
        given = {self.operands[k]: x for k, x in seeds.items()}
        if self.walk is not None:
            moved = self.walk.forward(
                {self.entry(node): self.entry(x) for node, x in given.items()},
                [self.entry(x) if isinstance(x, Value) else -1 for x in self.outputs],
            )
            return list(map(self.node, moved))
        found = tangents(self.order, given, True)
        return [found.get(x, 0.0) if isinstance(x, Value) else 0.0 for x in self.outputs]


def element(node: Any, k: int) -> Any:
    """One number of a block: of a node, or of what was computed."""
    return output(k)(node) if isinstance(node, Value) else node[k]


def spread(made: Any, wanted: Sequence[bool]) -> list[Any]:
    """For every operand that is wanted the next number of a block, None for others."""
    places = iter(range(len(wanted)))
    return [element(made, next(places)) if each else None for each in wanted]


class _Sourced:
    """A program as a function: row by row, and from so many runs on as Python source, which takes as long to make."""

    def __init__(self, program: Program, name: str) -> None:
        self.program, self.name = program, name
        self.runs = 0
        self.made: Any = None

    def __call__(self, operands: Sequence[Any]) -> Sequence[float]:
        if self.made is not None:
            return self.made(operands)  # type: ignore[no-any-return]
        self.runs += 1
        if self.runs > WORTH_SOURCE:
            self.made = build(self.program, self.name)
        constants, values = self.program.constants, list(operands)
        for row, given in zip(self.program.operations, self.program.operands, strict=True):
            numbers = [values[k] if k >= 0 else constants[~k] for k in given]
            values.append(row.run(numbers, row.keeps, "library") if row.several else row.compute(*numbers))
        return [values[k] if k >= 0 else constants[~k] for k in self.program.outputs]


class Runs(Block):
    """What calls and loops have in common: they run in Python, too."""

    keeps = False

    def compute(self, *operands: Any) -> Any:
        tracer = modes.tracer() if modes.active else None
        if tracer is None:
            return self.run(operands, True, "library")
        if self.work <= MUCH and not any(x is UNKNOWN or x != x for x in operands):
            with suppress(Exception if tracer.elsewhere else LoopError):  # the run itself raises it, where there is one
                return self.run(operands, True, "library")
        tracer.unknown = True
        return UNKNOWN

    def __call__(self, *operands: Any) -> Any:
        if not any(isinstance(x, Value) for x in operands):
            return self.run(operands, False, "library")
        node = Value._record(self, operands)
        if modes.active and (tracer := modes.tracer()) is not None and self.fails:
            tracer.failing.append(tracer.entry(node))
        return node

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made under that key, or is made now."""
        known = self.__dict__.setdefault("_made", {})
        if key not in known:
            known[key] = make()
        return known[key]

    def call(self, key: Any, function: Callable[[list[Any]], list[Any]], point: Sequence[float]) -> DifferentiableCall:
        """The call of a function that belongs to a derivative, made once."""
        return self.once(  # type: ignore[no-any-return]
            key, lambda: DifferentiableCall(f"{self.name}′", [derived_program(function, point)], point, self.place)
        )

    def built(self, program: Program, functions: Functions) -> Any:
        """A program of its own as a function of a sequence of floats, made once, if it is worth it."""

        def make() -> Any:
            return _Sourced(program, self.name) if functions == "library" else build(program, self.name, functions)

        return self.once(("run", id(program), functions), make)


class DifferentiableCall(Runs, Call):
    """A call, or a choice between two."""

    def run(self, operands: Sequence[Any], keep: bool, functions: Functions) -> Sequence[float]:
        which, given = 0, operands
        if self.chooses:
            which, given = int(not operands[0]), operands[1:]
        return self.built(self.bodies[which], functions)(given)  # type: ignore[no-any-return]

    def pull_back(self, node: Any, operands: Sequence[Any], adjoint: Vector, wanted: Sequence[bool]) -> list[Any]:
        skip = int(self.chooses)
        seeded = [k for k in range(self.size) if adjoint[k] is not None]
        chosen = [k for k, each in enumerate(wanted[skip:]) if each]

        def back(body: Program, given: list[Any], bars: list[Any]) -> list[Any]:
            found = Linearised(body, given, chosen).backward(zip(seeded, bars, strict=True), {})
            return [found(k) for k in chosen]

        made = self.derivative(("back", *seeded, -1, *chosen), back, operands, [adjoint[k] for k in seeded])
        return spread(made, [*[False] * skip, *wanted[skip:]])

    def push_forward(self, node: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Vector:
        skip = int(self.chooses)
        seeded = [k for k, x in enumerate(tangents[skip:]) if x is not None]

        def ahead(body: Program, given: list[Any], dots: list[Any]) -> list[Any]:
            return Linearised(body, given).forward(dict(zip(seeded, dots, strict=True)))

        made = self.derivative(("ahead", *seeded), ahead, operands, [tangents[k + skip] for k in seeded])
        return Vector({}, [Region(0, self.size, made)])

    def derivative(self, key: Any, function: Any, operands: Sequence[Any], more: Sequence[Any]) -> Any:
        """What a function makes of a body, its inputs and more numbers, by a call that is made once."""
        point, start = [*self.point, *[1.0] * len(more)], int(self.chooses)

        def run(body: Program, leaves: list[Any]) -> list[Any]:
            return function(body, leaves[: body.inputs], leaves[body.inputs :])  # type: ignore[no-any-return]

        def made() -> DifferentiableCall:
            bodies = [derived_program(partial(run, body), point[start:]) for body in self.bodies]
            call = DifferentiableCall(f"{self.name}′", bodies, point, self.place)
            call.in_place = self.in_place
            return call

        return self.once(key, made)(*operands, *more)


class DifferentiableLoop(Runs, Loop):
    """A loop."""

    # ---- computing ---------------------------------------------------------------------------------------------------

    def run(self, operands: Sequence[Any], keep: bool, functions: Functions) -> Sequence[float]:
        if functions == "library" and blocks_backend.worth((self.length or 0) * len(self.body)):
            found = self._native(keep)(operands)
            if found is not None:
                return found  # type: ignore[no-any-return]
        return self._in_python(operands, keep, functions)

    def _native(self, keep: bool) -> Any:
        return self.once(("native", keep), lambda: blocks_backend.Runner(self.but(keeps=keep)))

    def _in_python(self, operands: Sequence[Any], keep: bool, functions: Functions) -> Sequence[float]:
        run = self.built(self.body, functions)
        test = self.built(self.condition, functions) if self.condition is not None else None
        steps = self.length or 0
        shared = list(operands[: self.shared])
        n, done, at = self.carried, 0, self.shared + self.carried
        carry = list(operands[self.shared : at])
        count = int(operands[at]) if self.counted else self.length
        columns = [
            (operands[a:b], 0, column.width) if column.first is None else (operands[a], column.first, column.width)
            for column, (a, b) in zip(self.columns, pairwise(self._column_starts()), strict=True)
        ]
        results = [array("d", bytes(8 * steps * width)) for width in self.results]
        kept = array("d", bytes(8 * steps * n * keep))
        while count is None or done < count:
            if test is not None and not test([*shared, *carry])[0]:
                break
            t = count - 1 - done if self.backward and count is not None else done
            x = [v for numbers, first, w in columns for v in numbers[first + t * w : first + t * w + w]]
            outputs = run([*shared, *carry, *x])
            if count is not None:
                if keep:
                    kept[t * n : t * n + n] = array("d", carry)
                for region, found in zip(results, cut(outputs[n:], self.results), strict=True):
                    region[t * len(found) : (t + 1) * len(found)] = array("d", found)
            carry = list(outputs[:n])
            done += 1
        else:
            if test is not None and test([*shared, *carry])[0]:
                raise failed(self.failure, self.notes, carry, done, self.place)
        if test is not None:
            carry.append(float(done))
        made = array("d", carry)
        for region in (*results, kept):
            made += region
        return made

    # ---- differentiating ---------------------------------------------------------------------------------------------

    def pull_back(self, node: Any, operands: Sequence[Any], adjoint: Vector, wanted: Sequence[bool]) -> list[Any]:
        if self.length is None:
            raise TypeError(
                f"{self.name}: reverse mode needs to know how many steps there may be at most: give max_steps\n"
                f"  {self.place}"
            )
        m, n, own = self.shared, self.carried, len(self.columns)
        self.keeps = True
        regions = self._bars(adjoint)
        shared = tuple(compress(range(m), wanted))
        starts = self._column_starts()
        columns = tuple(k for k in range(own) if any(wanted[starts[k] : starts[k + 1]]))
        loop = self.once(
            ("back", shared, columns, tuple([(kind, column) for kind, column, _ in regions])),
            lambda: self._backward(shared, columns, regions),
        )
        final = [adjoint[k] for k in range(n)]
        given = [*operands[:m], *[0.0 if x is None else x for x in final], *[0.0] * len(shared)]
        if self.condition is not None:
            given.append(element(node, n))
        elif self.counted:
            given.append(operands[m + n])
        given += [node, *operands[starts[0] :]]
        for _, _, numbers in regions:
            given += numbers
        made = loop(*given)
        places = {m + k: k for k in range(n)} | {k: at for at, k in enumerate(shared, n)}  # in the block, by operand
        for k, start in zip(columns, loop.starts, strict=True):
            places |= {operand: at for at, operand in enumerate(range(starts[k], starts[k + 1]), start)}
        found: list[Any] = [None] * len(wanted)
        for k, (count, first) in enumerate(self.spans()):
            if wanted[k] and (at := places.get(k)) is not None:
                found[k] = element(made, at) if first is None else Vector({}, [Region(first, count, made, at)])
        return found

    def _bars(self, adjoint: Vector) -> list[tuple[str, Column, list[Any]]]:
        """The adjoints of results (by the number of their group) and of kept numbers ("kept"): columns and operands."""
        steps = self.length or 0
        found: list[tuple[str, Column, list[Any]]] = []
        ends = [*self.starts[1:], self.kept][: len(self.starts)]
        for g, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            if adjoint.numbers and any(k in adjoint.numbers for k in range(start, end)):
                given = [adjoint.numbers.get(k, 0.0) for k in range(start, end)]
                found.append((str(g), Column(self.results[g]), given))
        for start, length, source, first in adjoint.columns:
            if length and start == self.kept:
                found.append(("kept", Column(length // steps, first), [source]))
            elif length:
                g = self.starts.index(start)
                found.append((str(g), Column(self.results[g], first), [source]))
        return found

    def _column_starts(self) -> list[int]:
        """Where the operands of each column begin, and where the last one's end."""
        sizes = [1 if c.first is not None else (self.length or 0) * c.width for c in self.columns]
        return list(accumulate(sizes, initial=self.shared + self.carried + self.counted))

    def _backward(
        self, shared: tuple[int, ...], columns: tuple[int, ...], regions: Sequence[tuple[str, Column, Any]]
    ) -> DifferentiableLoop:
        m, n, widths = self.shared, self.carried, [c.width for c in self.columns]
        sizes = [m, n, len(shared), n, sum(widths), *[c.width for _, c, _ in regions]]

        def step(leaves: list[Any]) -> list[Any]:
            constants, bars, sums, carry, x, *given = cut(leaves, sizes)
            seeds = list(enumerate(bars))
            before = dict(zip(shared, sums, strict=True))
            for (kind, _, _), numbers in zip(regions, given, strict=True):
                if kind == "kept":
                    for k, bar in enumerate(numbers, m):
                        before[k] = before[k] + bar if k in before else bar
                else:
                    at = n + sum(self.results[: int(kind)])
                    seeds += enumerate(numbers, at)
            of_columns = cut(range(m + n, m + n + sum(widths)), widths)
            places = [*range(m, m + n), *shared, *(k for c in columns for k in of_columns[c])]
            found = Linearised(self.body, [*constants, *carry, *x], places).backward(seeds, before)
            return [found(k) for k in places]

        point = [*self.point[:m], *[1.0] * (n + len(shared)), *self.point[m:], *[1.0] * sum(sizes[5:])]
        return DifferentiableLoop(
            f"{self.name}′",
            derived_program(step, point),
            m,
            n + len(shared),
            [Column(n, self.kept), *self.columns, *[c for _, c, _ in regions]],
            [widths[k] for k in columns],
            self.length,
            point,
            self.place,
            backward=not self.backward,
            counted=self.counted or self.condition is not None,
        )

    def push_forward(self, node: Any, operands: Sequence[Any], tangents: Sequence[Any]) -> Vector:
        m, n, starts = self.shared, self.carried, self._column_starts()
        shared = tuple(k for k in range(m) if tangents[k] is not None)
        columns: list[int] = []
        more: list[Any] = []
        specs: list[Column] = []
        for k, column in enumerate(self.columns):
            given = tangents[starts[k] : starts[k + 1]]
            if column.first is None and any(x is not None for x in given):
                columns.append(k)
                specs.append(Column(column.width))
                more += [0.0 if x is None else x for x in given]
            elif column.first is not None and given[0] is not None:
                for spec, numbers in self._tangent_columns(column, given[0]):
                    columns.append(k)
                    specs.append(spec)
                    more += numbers
        loop = self.once(("ahead", shared, tuple(columns), tuple(specs)), lambda: self._forward(shared, columns, specs))
        dots = [0.0 if x is None else x for x in tangents[m : m + n]]
        head = [*operands[:m], *[tangents[k] for k in shared], *operands[m : m + n], *dots]
        made = loop(*head, *operands[m + n :], *more)
        found = Vector({k: element(made, n + k) for k in range(n)})
        if self.length is not None:
            for start, width, at in zip(self.starts, self.results, loop.starts, strict=False):
                found.columns.append(Region(start, width * self.length, made, at))
            found.columns.append(Region(self.kept, n * self.length, made, loop.starts[-1]))
        return found

    def _tangent_columns(self, column: Column, tangent: Vector) -> list[tuple[Column, list[Any]]]:
        """The tangent of a block's part, as columns of a loop and their operands."""
        steps, first = self.length or 0, column.first or 0
        end = first + steps * column.width
        found = [
            (Column(column.width, c.first + first - c.start), [c.source])
            for c in tangent.columns
            if c.start <= first and end <= c.start + c.length
        ]
        if any(k in tangent.numbers for k in range(first, end)):
            found.append((Column(column.width), [tangent.numbers.get(k, 0.0) for k in range(first, end)]))
        return found

    def _forward(self, shared: tuple[int, ...], columns: Sequence[int], specs: Sequence[Column]) -> DifferentiableLoop:
        m, n, widths = self.shared, self.carried, [c.width for c in self.columns]
        sizes = [m, len(shared), n, n, sum(widths), *[c.width for c in specs]]
        of_columns = cut(range(m + n, m + n + sum(widths)), widths)

        def step(leaves: list[Any]) -> list[Any]:
            constants, of_shared, carry, dots, x, *given = cut(leaves, sizes)
            seeds = dict(zip(shared, of_shared, strict=True)) | dict(enumerate(dots, m))
            for k, numbers in zip(columns, given, strict=True):
                for place, dot in zip(of_columns[k], numbers, strict=True):
                    seeds[place] = seeds[place] + dot if place in seeds else dot
            run = Linearised(self.body, [*constants, *carry, *x])
            found = run.forward(seeds)
            if self.length is None:
                return [*run.outputs[:n], *found[:n]]
            return [*run.outputs[:n], *found, *dots]

        def condition(leaves: list[Any]) -> list[Any]:
            constants, _, carry, _ = cut(leaves, sizes[:4])
            assert self.condition is not None
            return replay(self.condition, [*constants, *carry])

        ones = [1.0] * len(shared)
        point = [*self.point[:m], *ones, *self.point[m : m + n], *[1.0] * n, *self.point[m + n :]]
        asked = None if self.condition is None else derived_program(condition, point[: sum(sizes[:4])])
        return DifferentiableLoop(
            f"{self.name}′",
            derived_program(step, [*point, *[1.0] * sum(sizes[5:])]),
            m + len(shared),
            2 * n,
            [*self.columns, *specs],
            [] if self.length is None else [*self.results, n],
            self.length,
            [*point, *[1.0] * sum(sizes[5:])],
            self.place,
            self.backward,
            asked,
            self.counted,
            self.failure,
            self.notes,
        )


def failed(failure: str, notes: dict[int, str], carry: Sequence[float], steps: int, place: str) -> LoopError:
    """The error of a loop that has come to its end; `notes` say what it means that a carried number is not zero, and
    (where there is no text) from which on they are the search's own."""
    shown = list(carry)
    for k, text in notes.items():
        if not text:
            shown = shown[:k]
        elif carry[k]:
            failure = f"{failure}: {text.format(int(carry[k]))}"
    numbers = ", ".join(f"{x:.6g}" for x in shown[:6]) + (", ..." if len(shown) > 6 else "")
    return LoopError(f"{failure} after {steps} step{'s' * (steps != 1)}, at {numbers}\n  {place}")
