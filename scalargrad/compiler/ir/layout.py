"""Programs with loops, laid out in memory: straight lines as functions of their own, and what is done between them.

A program is cut at its loops and calls into segments, straight lines that read floats from one place in a frame of
memory and write them to another. What remains is moving floats and counting steps: a short list of orders, which each
backend writes in its own language. Every place in the frame is known beforehand.

In lanes each float of the frame is a vector of one for each sample, and there is one order of steps for all samples. So
masks say which samples a part of the program is for: numbers that are not zero where it is. A loop goes on while one
sample does, and the others keep what they carry; of a choice both arms run, save one that no sample takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from ...engine.several import Output
from .loops import Block, Call, Foreign, Loop
from .lowering import Lowered
from .masks import ARMS, COUNT, masked, selection
from .program import Guard, Program, bits

Label = int
Cell = int  # an integer in memory: a pointer, or a number of steps
ALIGNED = 8  # floats: where what a segment writes begins, and how long it is at least


class Place(NamedTuple):
    """A float in the frame, or so many behind where a pointer points."""

    at: int
    pointer: Cell | None = None


Spot = int | Place  # a place in the frame, or one where a pointer points


class Order(NamedTuple):
    """One step of the list.

    - copy: so many floats from one place to another.
    - point: a pointer to a place in the frame; advance: move it on by so many floats (`point_last`: to the last of as
      many rows of so many floats as a cell says).
    - segment, foreign: run one, of that number, from a place to a place; or a segment with places of its own, in the
      frame, and, if a pointer is given, from where that points on.
    - set, read: give a cell a number, or that of a float (in lanes the largest); increment; write: the number as a
      float.
    - label, jump; unless: jump if a float is zero (in lanes all of them); repeat: count a cell down and jump if it is
      not zero; limit: jump if a cell has come to a number; without a label leave, as where a guard does not hold.
    - lose (in lanes): make a float zero where another one is not.
    """

    what: str
    a: Any = None
    b: Any = None
    c: Any = None
    d: Any = None


@dataclass
class Layout:
    """A program in memory: its orders, its segments, and what the frame holds at the beginning."""

    orders: list[Order] = field(default_factory=list)
    segments: list[Program] = field(default_factory=list)
    own: dict[int, tuple[Sequence[Spot], Sequence[Spot]]] = field(default_factory=dict)  # by segment: where its inputs
    # and outputs are, of those that run at one place alone, so that nothing need be copied
    foreign: list[Foreign] = field(default_factory=list)
    constants: list[float] = field(default_factory=list)  # stand before the frame, the first one last
    inputs: int = 0  # where in the frame the inputs are put
    outputs: list[tuple[int, int, int]] = field(default_factory=list)  # output, place and how many from there on
    size: int = 0  # floats
    cells: int = 0
    labels: int = 0
    held: int | None = None  # in lanes: where in the frame is -1.0 for samples whose guards held so far, 0.0 for others


Direct = Callable[[Program], Lowered | None]  # as which a segment is made that has places of its own; None for none


def nowhere(program: Program) -> None:
    """No segment has places of its own."""


class _Planner:
    def __init__(self, direct: Direct = nowhere, lanes: bool = False) -> None:
        self.made = Layout()
        self.aligned = 1 if lanes else ALIGNED
        self.direct = direct
        self.calls = 0  # that are under way: their segments run at several places
        self.known: dict[Any, int] = {}  # segments, by the identity of their program, and their own places
        self.cuts: dict[int, _Cut] = {}
        self.single: dict[bytes, int] = {}  # constants, by their bits
        self.masked: dict[int, tuple[Program, Program]] = {}  # loops, by their identity
        self.masks: list[int] = []  # in lanes: the places of those that what runs now is under; the last one is its own
        if lanes:
            self.made.held = self.room(1)
            self.masks.append(self.made.held)
            self.gather([self.constant(-1.0)], self.made.held)

    def room(self, count: int) -> int:
        at = self.made.size
        self.made.size += -(-max(count, 1) // self.aligned) * self.aligned
        return at

    def cell(self) -> Cell:
        self.made.cells += 1
        return self.made.cells - 1

    def label(self) -> Label:
        self.made.labels += 1
        return self.made.labels - 1

    def order(self, what: str, *rest: Any) -> None:
        self.made.orders.append(Order(what, *rest))

    def copy(self, source: Place, target: Place, count: int) -> None:
        if count and source != target:
            self.order("copy", source, target, count)

    def gather(self, places: Sequence[Any], target: int) -> None:
        """Bring floats from their places to one run."""
        k = 0
        while k < len(places):
            equal = k + 1
            while equal < len(places) and places[equal] == places[k]:
                equal += 1
            if equal > k + 2:
                self.copy(Place(places[k]), Place(target + k), 1)
                start, done = target + k, 1
                while done < equal - k:
                    self.copy(Place(start), Place(start + done), min(done, equal - k - done))
                    done *= 2
                k = equal
                continue
            stop = k + 1
            while stop < len(places) and places[stop] == places[stop - 1] + 1:
                stop += 1
            self.copy(Place(places[k]), Place(target + k), stop - k)
            k = stop

    # ---- programs ----------------------------------------------------------------------------------------------------

    def program(self, program: Program, x: int, y: int) -> None:
        """The orders for a program whose inputs are at x and behind, and whose outputs go to y and behind."""
        self.gather(self.places(program, range(x, x + program.inputs), range(y, y + len(program.outputs))), y)

    def places(
        self, program: Program, given: Sequence[Spot], to: Sequence[Spot] | None = None, row: Cell | None = None
    ) -> Sequence[Any]:
        """The same for any places of the inputs: where the outputs are. A straight line puts them where they are to
        go, and may have places in a row."""
        if id(program) in self.known or not program.has_blocks():
            return self.straight(program, given, to, row)
        cut = self.cuts.get(id(program))
        if cut is None:
            cut = self.cuts[id(program)] = _Cut(program)
        where: list[Any] = [*given, *[0] * len(program)]

        def place(k: int) -> Any:
            return where[k] if k >= 0 else self.constant(program.constants[~k])

        for segment, blocks in zip(cut.segments, cut.blocks, strict=True):
            if segment.body is not None:
                found = self.straight(segment.body, list(map(place, segment.inputs)))
                for k, at in zip(segment.outputs, found, strict=True):
                    where[k] = at
            for k in blocks:
                block: Any = program.operations[k - program.inputs]
                where[k] = at = self.room(block.size)
                operands = program.operands[k - program.inputs]
                self.block(block, [place(p) for p in operands], at)
                for e in cut.elements.get(k, ()):
                    where[e] = at + program.operations[e - program.inputs].k
        return [place(k) for k in program.outputs]

    def constant(self, x: float) -> int:
        """A constant's place, before the frame."""
        key = bits(x)
        if key not in self.single:
            self.single[key] = self.table((x,))
        return self.single[key]

    def table(self, numbers: Sequence[float]) -> int:
        self.made.constants += reversed(numbers)
        return -len(self.made.constants)

    def straight(
        self, program: Program, given: Sequence[Any], to: Sequence[Any] | None = None, row: Cell | None = None
    ) -> Sequence[Any]:
        """Run a straight line; where its outputs are."""
        if to is None:
            at = self.room(len(program.outputs))
            to = range(at, at + len(program.outputs))
        if not self.calls and self.direct(program) is not None:
            given = self.distinct(given)
            k = self._numbered(program, given, to)
            self.made.own[k] = given, to
            self.order("segment", k, 0, 0, row)
            return to
        start = given[0] if given else 0
        if list(given) != list(range(start, start + len(given))):
            start = self.room(len(given))
            self.gather(given, start)
        self.segment(program, start, to[0] if to else 0)
        return to

    def segment(self, program: Program, x: int, y: int) -> None:
        self.order("segment", self._numbered(program), x, y)

    def distinct(self, places: Sequence[Spot]) -> list[Spot]:
        """The same floats at places of which none is there twice."""
        found: dict[Spot, None] = {}
        for at in places:
            if at in found:
                copied = self.room(1)
                self.copy(at if isinstance(at, Place) else Place(at), Place(copied), 1)
                at = copied
            found[at] = None
        return list(found)

    def _numbered(self, program: Program, *places: Sequence[Spot]) -> int:
        key: Any = (id(program), *map(tuple, places)) if places else id(program)
        if key not in self.known:
            self.known[key] = len(self.made.segments)
            self.made.segments.append(program)
        return self.known[key]

    # ---- blocks ------------------------------------------------------------------------------------------------------

    def block(self, block: Block, places: list[int], at: int) -> None:
        if isinstance(block, Loop):
            self.loop(block, places, at)
        elif isinstance(block, Call):
            self.call(block, places, at)
        else:
            assert isinstance(block, Foreign)
            x = self.room(len(places))
            self.gather(places, x)
            self.order("foreign", len(self.made.foreign), x, at)
            self.made.foreign.append(block)

    def call(self, call: Call, places: list[int], at: int) -> None:
        given = places[call.chooses :]
        x = self.room(len(given))
        self.gather(given, x)
        if call.chooses and self.masks:
            self.choose(call, places[0], x, at)
            return
        y, end = self.room(call.size), self.label()
        self.calls += 1
        if call.chooses:
            other = self.label()
            self.order("unless", places[0], other)
            self.program(call.bodies[0], x, y)
            self.order("jump", end)
            self.order("label", other)
        self.program(call.bodies[-1], x, y)
        self.calls -= 1
        self.order("label", end)
        self.copy(Place(y), Place(at), call.size)

    def choose(self, call: Call, which: int, x: int, at: int) -> None:
        """A choice in lanes: each arm under the mask of the samples that take it, then the selection."""
        given, arms = self.room(2), self.room(2 + 2 * call.size)
        self.gather([self.masks[-1], which], given)
        self.segment(ARMS, given, arms)
        self.masks += (arms, arms + 1)
        for k, body in enumerate(call.bodies):
            after = self.label()
            self.order("unless", self.masks[-1], after)
            self.program(body, x, arms + 2 + k * call.size)
            self.order("label", after)
            self.masks[-2:] = arms + 1, arms
        del self.masks[-2:]
        if call.size:
            self.segment(selection(call.size), arms + 1, at)

    def loop(self, loop: Loop, places: list[int], at: int) -> None:
        m, n, first, body = loop.shared, loop.carried, loop.condition, loop.body
        differs = bool(self.masks) and loop.differs  # from sample to sample
        if differs:
            if id(loop) not in self.masked:
                self.masked[id(loop)] = masked(loop)
            first, body = self.masked[id(loop)]
        direct = None if self.masks or self.calls or body.has_blocks() else self.direct(body)
        x = self.room(body.inputs)
        carry, moved = x + differs + m, n + 2 * differs  # lanes carry the number of the step, and the mask
        if direct is None:  # what the body reads is brought to one place
            self.gather(places[: m + n], carry - m)
        else:  # what is carried stays where it is at the end
            carry = at
            self.gather(places[m : m + n], carry)
        flag = carry + n + 1 if differs else self.room(1)
        top, lost, end, done = self.label(), self.label(), self.label(), self.cell()
        self.begin(loop, places[m + n] if loop.counted else 0, x if differs else None, done, end)
        rows = _Rows(self, loop, done, self.columns(loop, places), at, direct is not None)
        shared = range(x, carry) if direct is None else self.distinct(places[:m])
        given: list[Spot] = [*shared, *range(carry, carry + moved)]
        given += rows.read(x + body.inputs)
        if loop.keeps:
            rows.reads.append((Place(carry), rows.pointer(at + loop.kept, n), n))
        y = self.room(len(body.outputs))
        to: list[Spot] = [*range(y, y + moved)]
        if direct is not None:
            to = [(carry if here else y) + k for k, here in enumerate(_in_place(direct.program, m, n))]
        to += rows.written(y + moved)
        if differs and first is not None:
            self.masks.append(x)
            self.program(first, x, flag)
            self.masks[-1] = flag
        self.order("label", top)
        if loop.condition is not None:
            if first is loop.condition:
                self.gather(self.places(first, given[: first.inputs], range(flag, flag + 1)), flag)
            self.order("unless", flag, end)
            if loop.length is not None:
                self.order("limit", done, loop.length, lost if self.masks else None)
        self.step(body, given, to, y, rows)
        self.gather(to[:moved], carry)
        if loop.condition is None:
            self.order("repeat", done, top)
        else:
            self.order("increment", done)
            self.order("jump", top)
        if differs:
            self.masks.pop()
            self.order("label", lost)  # with samples that would go on
            for each in self.masks if loop.condition is not None else ():
                self.order("lose", flag, each)
        self.order("label", end)
        self.copy(Place(carry), Place(at), n + (differs and not loop.counted))
        if loop.condition is not None and not differs:
            self.order("write", done, at + n)

    def step(self, body: Program, given: Sequence[Spot], to: Sequence[Spot], y: int, rows: _Rows) -> None:
        """A step, and on to the next row."""
        for source, target, width in rows.reads:
            self.copy(source, target, width)
        found = self.places(body, given, to, rows.row)
        if found is not to:  # what is carried may be where other carried numbers are still to go
            self.gather(found, y)
        for source, target, width in rows.writes:
            self.copy(source, target, width)
        for pointer, width in rows.pointers:
            self.order("advance", pointer, width)

    def begin(self, loop: Loop, count: int, x: int | None, done: Cell, end: Label) -> None:
        """How many steps there are to be, or, with a condition, that there were none; in lanes, where x is given, what
        the inputs of `masked` begin with."""
        step = 0
        if x is not None:
            step = x + 1 + loop.shared + loop.carried
            self.gather([self.masks[-1]], x)
            self.gather([self.constant(float(loop.counted))], step)
        if x is not None and loop.counted:
            given = self.room(2)
            self.gather([self.masks[-1], count], given)
            count = x
            self.segment(COUNT, given, count)
        if loop.counted:
            self.order("read", done, count)
            self.order("limit", done, 0, end)
            if step and loop.backward:
                self.order("write", done, step)
        else:
            self.order("set", done, loop.length if loop.condition is None else 0)
            if loop.condition is None and not loop.length:
                self.order("jump", end)

    def columns(self, loop: Loop, places: Sequence[int]) -> list[tuple[int, int]]:
        """Where the columns' numbers are, which are brought to one place if they are not, and how many a step."""
        k = loop.shared + loop.carried + loop.counted
        found: list[tuple[int, int]] = []
        for column in loop.columns:
            if column.first is not None:
                start, k = places[k] + column.first, k + 1
            else:
                size = (loop.length or 0) * column.width
                given, k = places[k : k + size], k + size
                start = given[0] if given else 0
                if given and max(given) < 0:
                    start = self.table([self.made.constants[~at] for at in given])
                elif list(given) != list(range(start, start + size)):
                    start = self.room(size)
                    self.gather(given, start)
            found.append((start, column.width))
        return found


class _Rows:
    """How a loop's body reads columns, and writes its results, of which each step has a row: by copies; or, of rows as
    long as one of them, of which length there are most floats, where they are, so far from that one."""

    def __init__(
        self, planner: _Planner, loop: Loop, done: Cell, columns: Sequence[tuple[int, int]], at: int, direct: bool
    ) -> None:
        self.planner, self.loop, self.done = planner, loop, done
        self.columns = columns  # where they begin, and how many floats a row has
        self.results = [(at + start, width) for start, width in zip(loop.starts, loop.results, strict=True)]
        self.pointers: list[tuple[Cell, int]] = []  # to the rows, and how far it is to the next ones
        self.reads: list[tuple[Place, Place, int]] = []  # source, target and number of floats
        self.writes: list[tuple[Place, Place, int]] = []
        every = [*columns, *self.results] if direct else []
        totals = {width: sum(w for _, w in every if w == width) for _, width in every}
        self.width = max(totals, key=totals.__getitem__, default=0)
        self.start = next((start for start, width in every if width == self.width), 0)
        self.row = self.pointer(self.start, self.width).pointer if self.width else None

    def pointer(self, start: int, width: int) -> Place:
        """The row of the step, from the first one's place."""
        loop, cell = self.loop, self.planner.cell()
        if loop.counted and loop.backward:
            self.planner.order("point_last", cell, start, width, self.done)
        else:
            self.planner.order("point", cell, start + ((loop.length or 1) - 1) * width * loop.backward)
        self.pointers.append((cell, -width if loop.backward else width))
        return Place(0, cell)

    def _spots(self, start: int, width: int, at: int) -> tuple[Place | None, Sequence[Spot]]:
        """Where the floats of a row are: there; or at a place, where they are copied from, or to, what a pointer points
        to."""
        if self.row is not None and width == self.width:
            return None, [Place(start - self.start + k, self.row) for k in range(width)]
        return self.pointer(start, width), range(at, at + width)

    def read(self, end: int) -> list[Spot]:
        """Where a step reads the columns, the last of which would end there if they were copied."""
        found: list[Spot] = []
        at = end - sum(width for _, width in self.columns)
        for start, width in self.columns:
            source, spots = self._spots(start, width, at)
            self.reads += [] if source is None else [(source, Place(at), width)]
            found += spots
            at += width
        return found

    def written(self, at: int) -> list[Spot]:
        """Where a step writes its results, if they are copied from there on."""
        found: list[Spot] = []
        for start, width in self.results:
            target, spots = self._spots(start, width, at)
            self.writes += [] if target is None else [(Place(at), target, width)]
            found += spots
            at += width
        return found


def _in_place(program: Program, first: int, count: int) -> list[bool]:
    """Of the first outputs, which can take the places of as many inputs, from one on: those that are written, which is
    as soon as they are there, when nobody asks for the input any more."""
    last = [-1] * (program.inputs + len(program) + len(program.constants))  # of constants, from the end
    for i, operands in enumerate(program.operands):
        for p in operands:
            last[p] = i
    for p in program.roots():
        last[p] = len(program)
    return [
        last[k] <= made - program.inputs and made >= program.inputs
        for k, made in enumerate(program.outputs[:count], first)
    ]


def runs(places: Sequence[int]) -> Iterable[tuple[int, int, int]]:
    """Places in a row: where the run begins, its first place, and how many there are."""
    start = 0
    for k in range(1, len(places) + 1):
        if k == len(places) or places[k] != places[k - 1] + 1:
            yield start, places[start], k - start
            start = k


@dataclass
class _Segment:
    """The instructions that need the same blocks, as a program, or None if there are none; and which values of the
    whole program its inputs and outputs are."""

    body: Program | None = None
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


class _Cut:
    """A program in segments and blocks: segment, blocks, segment, blocks, ..."""

    def __init__(self, program: Program) -> None:
        first, count = program.inputs, len(program)
        level = [0] * (first + count + len(program.constants))  # of constants, from the end
        self.elements: defaultdict[int, list[int]] = defaultdict(list)
        straight: defaultdict[int, list[int]] = defaultdict(list)  # by level, as blocks and guards
        blocks: defaultdict[int, list[int]] = defaultdict(list)
        guards: defaultdict[int, list[Guard]] = defaultdict(list)
        for k, (row, operands) in enumerate(zip(program.operations, program.operands, strict=True), first):
            at = 0
            for p in operands:
                if level[p] > at:
                    at = level[p]
            level[k] = at
            if isinstance(row, Output):
                self.elements[operands[0]].append(k)
            elif row.several:
                level[k] = at + 1
                blocks[at].append(k)
            else:
                straight[at].append(k)
        for g in program.guards:
            guards[max(level[g.left], level[g.right])].append(g)
        size = 1 + max(0, *straight, *blocks, *guards)
        elements = {k for each in self.elements.values() for k in each}
        used_at = [-1] * len(level)  # by value: the last segment, or a later time, at which it is asked for
        uses = [(level[k], operands) for k, operands in enumerate(program.operands, first) if k not in elements]
        uses += [(at, (g.left, g.right)) for at, each in guards.items() for g in each]
        for time, operands in uses:
            for p in operands:
                if used_at[p] < time:
                    used_at[p] = time
        for p in program.outputs:
            used_at[p] = size
        self.blocks = [blocks[at] for at in range(size)]
        self.segments = [
            self._segment(program, straight[at], guards[at], [k for k in straight[at] if used_at[k] > at])
            for at in range(size)
        ]

    @staticmethod
    def _segment(program: Program, ks: Sequence[int], guards: Sequence[Guard], outputs: list[int]) -> _Segment:
        if not ks and not guards:
            return _Segment()
        first, own = program.inputs, set(ks)
        operands = [program.operands[k - first] for k in ks]
        read = set(chain.from_iterable([*operands, *((g.left, g.right) for g in guards)]))
        inputs = sorted(p for p in read - own if p >= 0)
        made = Program(len(inputs), [f"x{k}" for k in range(len(inputs))], list(program.constants))
        number = {p: j for j, p in enumerate([*inputs, *ks])} | {p: p for p in read if p < 0}
        made.operations = [program.operations[k - first] for k in ks]
        made.operands = [tuple([number[p] for p in given]) for given in operands]
        made.outputs = [number[k] for k in outputs]
        made.guards = [g._replace(left=number[g.left], right=number[g.right]) for g in guards]
        return _Segment(made, inputs, outputs)


def laid_out_block(block: Block, direct: Direct = nowhere) -> Layout:
    """One loop or call in memory: its operands one behind the other, of blocks what it reads; the outputs its block."""
    planner = _Planner(direct)
    made = planner.made
    spans = block.spans()
    at = made.inputs = planner.room(sum(count for count, _ in spans))
    places = []
    for count, first in spans:
        places.append(at - (first or 0))
        at += count
    result = planner.room(block.size)
    planner.block(block, places, result)
    made.outputs = [(0, result, block.size)]
    return made


def laid_out(program: Program, direct: Direct = nowhere, lanes: bool = False) -> Layout:
    """A program with loops in memory, for one point or in lanes."""
    planner = _Planner(direct, lanes)
    made = planner.made
    made.inputs = planner.room(program.inputs)
    places = planner.places(program, range(made.inputs, made.inputs + program.inputs))
    made.outputs = [(offset, start, count) for offset, start, count in runs(places)]
    return made
