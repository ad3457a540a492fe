"""Loops that were unrolled while they were traced, found again: rounds of a straight line that are alike become a loop.

A stretch of instructions whose rows repeat with a period is a loop if each operand, looked at from round to round, is
one and the same number, or what the round itself or one before it computed, or a number from before the stretch or from
another loop's rounds: shared, carried, or in a column. The instructions are those that stood there, in their order, so
the bits are the same; only code is shorter, and made in less time. What is the same in all rounds is computed once.
All steps are linear in the number of instructions, and go through lists at the speed of C.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, compress, groupby, islice, pairwise
from math import lcm
from typing import Any, NamedTuple

from ...engine import table
from ...engine.several import output
from ..ir.loops import Column, Loop
from ..ir.program import PRODUCTS, Program
from .derived import DifferentiableLoop

LEAST = 4_000  # instructions that must go, for a loop to be worth it
WORTH = 2  # times as many, of all loops, for these to be worth what it takes to find them
SHORTEST = 4  # instructions of a round
LENGTH = 800  # instructions up to which several rounds are one, as each has its costs
FEWEST = 4  # rounds
PROBES = 24  # places of a stretch at which rounds are looked for
WINDOW = 24  # instructions that are compared there
TRIED = 6  # of these places, the rarest
OCCURRENCES = 2_000
REPEATED = 0.03  # instructions that a straight line does without, or computes once for several rounds, at most
TOLD_APART = 8  # columns by which rounds are told apart
COPIED = 0.5  # numbers carried, and in columns, of the instructions of a round, at most


class Stretch(NamedTuple):
    """Rounds of instructions whose rows are the same."""

    start: int  # an instruction
    period: int
    rounds: int

    @property
    def stop(self) -> int:
        return self.start + self.period * self.rounds

    @property
    def saved(self) -> int:
        return self.period * (self.rounds - 1)


class Rolled(NamedTuple):
    """A program as it was recorded, and the same with loops."""

    recorded: Program
    loops: Program

    def straight(self) -> Program:
        """The program in a straight line, without what is there twice."""
        return _Writer(self.recorded, []).write()


def rolled(program: Program) -> Rolled | None:
    """The program with loops; None where there are no rounds that are alike."""
    if any(row.several for row in set(program.operations)):
        return None
    regions = _regions(program, _stretches(_text(program)))
    saved = sum(region.stretch.saved for region in regions)
    if saved < WORTH * LEAST or sum(region.repeated + region.known for region in regions) > REPEATED * len(program):
        return None
    if _repeated(program, regions) > REPEATED:
        return None
    merged = list(_merged(regions))
    steps = [rows.step for region in regions for rows in region.rows]
    if merged != [region.stretch for region in regions] or any(abs(step) > 1 for step in steps):
        regions = _regions(program, merged, True)
    light = [region.stretch for region in regions if region.copied <= COPIED * region.stretch.period]
    if len(light) < len(regions):
        regions = _regions(program, light, True)
    return Rolled(program, _Writer(program, regions).write()) if regions else None


def _repeated(program: Program, regions: Sequence[_Region]) -> float:
    """The share of instructions that stand there twice, from a sample, besides those that loops compute once, too; in a
    straight line, as of a Hessian, what is computed from these goes with them."""
    counted = bytearray(b"\1") * len(program)
    for region in regions:
        (start, period, rounds), seen = region.stretch, set[Any]()
        for offset, given in enumerate(region.given):
            key = program.operations[start + offset], *given
            if offset in region.same or key in seen:
                counted[start + offset : region.stretch.stop : period] = bytes(rounds)
            seen.add(key)
    pairs = zip(compress(program.operations, counted), compress(program.operands, counted), strict=True)
    sample = [x for x in map(hash, pairs) if not x & 7]
    return 1.0 - len(set(sample)) / max(len(sample), 1)


def _regions(program: Program, stretches: Iterable[Stretch], final: bool = False) -> list[_Region]:
    """The loops that there are of these stretches, in their order."""
    regions: list[_Region] = []
    for each in stretches:
        region = _Region.of(program, each, regions, final)
        if region is not None:
            regions.append(region)
    return regions


def _merged(regions: Sequence[_Region]) -> Iterator[Stretch]:
    """The stretches with several rounds in one, as many that loops which read rows of others go on as these do."""
    linked: dict[_Region, list[_Region]] = {}  # by each of them
    units: dict[_Region, Fraction] = {}  # rounds in the time of others
    for region in regions:
        linked[region], units[region] = [region], Fraction(1)
        for rows in region.rows:
            together, others = linked[region], linked[rows.region]
            if others is not together:
                ratio = units[rows.region] / abs(rows.step) / units[region]
                for each in together:
                    units[each] *= ratio
                    linked[each] = others
                others += together
    skipped: dict[_Region, int] = {}  # rounds, so that loops that read rows go on when others do
    for region in regions:
        group = linked[region]
        whole = lcm(*[units[each].denominator for each in group])
        most = [LENGTH / each.stretch.period for each in group] + [each.stretch.rounds / FEWEST for each in group]
        least = min(x / (units[each] * whole) for x, each in zip(most, group * 2, strict=True))
        k = int(units[region] * whole) * max(1, int(least))
        skipped[region] = 0
        for other, _, step in list(region.sources)[:1]:
            firsts = [rows.first - skipped[other] for rows in region.rows if rows.region is other]
            beyond = max(firsts) + 1 if step < 0 else -min(firsts)
            skipped[region] = beyond % (k * abs(step)) // abs(step)
        start, period, rounds = region.stretch
        yield Stretch(start + skipped[region] * period, k * period, (rounds - skipped[region]) // k)


def with_products(program: Program) -> Program:
    """The same program with plain products in the chain rule, in its loops too: see `without_selections`."""
    made = Program(program.inputs, program.names, program.constants, program.operations, program.operands)
    for k, row in enumerate(made.operations):
        if row in PRODUCTS:
            made.operations[k] = table.mul
        elif row.several:
            made.operations[k] = row.but(body=with_products(row.body))
    made.outputs, made.guards = program.outputs, program.guards
    return made


# ---- rows that repeat ------------------------------------------------------------------------------------------------


def _text(program: Program) -> str:
    """The rows, with how many operands they have if that is not always so, as characters."""
    rows: Sequence[Any] = program.operations
    several = {row for row in set(rows) if row.arity is None}
    if several:
        rows = [(row, len(p)) if row in several else row for row, p in zip(rows, program.operands, strict=True)]
    codes = {key: chr(k) for k, key in enumerate(set(rows))}
    return "".join(map(codes.__getitem__, rows))


def _stretches(text: str) -> list[Stretch]:
    """The stretches that save most, and those of what is left between them, in their order."""
    found: list[Stretch] = []
    parts = [(0, len(text))]
    while parts:
        start, stop = parts.pop()
        best = _best(text, start, stop)
        if best.saved >= LEAST:
            found.append(best)
            parts += [(a, b) for a, b in ((start, best.start), (best.stop, stop)) if b - a >= LEAST]
    return sorted(found)


def _best(text: str, start: int, stop: int) -> Stretch:
    """The stretch of a part of the program that saves most of those that are found."""
    places = [start + (stop - start - WINDOW) * k // PROBES for k in range(PROBES)]
    rare = sorted((text.count(text[at : at + WINDOW], start, stop), at) for at in places)
    best = Stretch(start, 0, 0)
    for _, at in [each for each in rare if each[0] >= FEWEST][:TRIED]:  # what is rare is in the outermost loops alone
        for anchor, period in _periods(text, at, start, stop):
            if not (best.start <= anchor < best.stop and period == best.period):
                found = _extent(text, anchor, period, start, stop)
                if found.rounds >= FEWEST and found.saved > best.saved:
                    best = found
    return best


def _periods(text: str, at: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Periods in which what stands at a place may come again: the distances between those of its occurrences behind
    one of the widest gaps, as loops within loops leave gaps of each size."""
    window = text[at : at + WINDOW]
    found = [k.start() for k in islice(re.finditer(re.escape(window), text[start:stop]), OCCURRENCES)]
    gaps = [b - a for a, b in pairwise(found)]
    counts = Counter(gaps)
    for gap in sorted((gap for gap, count in counts.items() if count >= FEWEST - 1), reverse=True)[:3]:
        behind = [b for b, each in zip(found[1:], gaps, strict=True) if each == gap]
        periods = Counter(b - a for a, b in pairwise(behind))
        period = max(periods, key=lambda each: each * periods[each])
        if period >= SHORTEST:
            yield start + next(a for a, b in pairwise(behind) if b - a == period), period


def _extent(text: str, anchor: int, period: int, start: int, stop: int) -> Stretch:
    """How far to both sides the rows are those of a period before, or after; of the shortest period that there is."""
    once = text[anchor : anchor + period]
    period = (once + once).find(once, 1)
    ahead = _alike(text, anchor, anchor + period, stop, 1)
    behind = _alike(text, anchor - 1, anchor + period - 1, start + period - 1, -1)
    first = anchor - behind
    return Stretch(first, period, (ahead + behind) // period + 1)


def _alike(text: str, a: int, b: int, end: int, step: int) -> int:
    """How many characters are the same from a and b on, in the direction of the step, until b comes to the end."""
    known, size = 0, 1024
    most = max(0, (end - b) * step)

    def same(low: int, high: int) -> bool:
        if step > 0:
            return text[a + low : a + high] == text[b + low : b + high]
        return text[a - high + 1 : a - low + 1] == text[b - high + 1 : b - low + 1]

    while known < most and same(known, min(known + size, most)):
        known, size = min(known + size, most), 2 * size
    most = min(most, known + size)
    while known < most:
        middle = (known + most + 1) // 2
        known, most = (middle, most) if same(known, middle) else (known, middle - 1)
    return known


# ---- operands from round to round ------------------------------------------------------------------------------------


class Rows(NamedTuple):
    """Numbers that another loop has computed, a round of it for each round: of that value of its round, from a round on
    forwards or backwards."""

    region: _Region
    offset: int
    first: int
    step: int


Carry = tuple[int, int, tuple[int, ...]]  # a value of the round, so many rounds ago; and what it is before there is one
SEVERAL = 8  # rounds that are tried as one
FARTHEST = 3  # rounds ago


class _BrokenError(Exception):
    """Operands that are not alike in all rounds; in those from one to another they may be."""

    def __init__(self, first: int, stop: int) -> None:
        super().__init__()
        self.first, self.stop = first, stop


class _Region:
    """A stretch as a loop: what each operand of a round is."""

    def __init__(self, program: Program, stretch: Stretch, earlier: Sequence[_Region], exact: bool = False) -> None:
        self.stretch = stretch
        self.exact = exact  # whether rows are those of rounds that follow each other
        self.program = program
        start, period, _ = stretch
        self.first = program.inputs + start  # the first value
        self.shared: dict[int, None] = {}  # all in the order in which they are met
        self.carries: dict[Carry, None] = {}
        self.columns: dict[tuple[int, ...], None] = {}
        self.rows: dict[Rows, None] = {}
        self.backward = False
        counts = list(map(len, program.operands[start : start + period]))
        flat = list(chain.from_iterable(program.operands[start : stretch.stop]))
        width = sum(counts)
        slots = iter([self._kind(flat[q::width], earlier) for q in range(width)])
        self.given = [list(islice(slots, count)) for count in counts]  # by instruction of a round
        self.shared = dict.fromkeys(sorted(self.shared))
        self.same: dict[int, None] = {}  # what is the same in all rounds, and computed before
        for offset, given in enumerate(self.given):
            if all(what in ("constant", "shared") or (what == "inside" and k in self.same) for what, k in given):
                self.same[offset] = None

    @staticmethod
    def of(program: Program, stretch: Stretch, earlier: Sequence[_Region], final: bool) -> _Region | None:
        """The loop, of as many of the rounds as are alike; if these are few, of several rounds in one. None if there is
        none."""
        best: _Region | None = None
        for several in range(1, 2 if final else SEVERAL + 1):
            start, period, rounds = stretch
            found = _Region._alike(program, Stretch(start, several * period, rounds // several), earlier, final)
            if found is not None and (best is None or found.stretch.saved > best.stretch.saved):
                best = found
            if best is not None and 2 * best.stretch.saved > stretch.saved:
                break
        return best

    @staticmethod
    def _alike(program: Program, stretch: Stretch, earlier: Sequence[_Region], final: bool) -> _Region | None:
        while stretch.rounds >= FEWEST and stretch.saved >= LEAST:
            try:
                made = _Region(program, stretch, earlier, final)
            except _BrokenError as broken:
                start = stretch.start + broken.first * stretch.period
                stretch = Stretch(start, stretch.period, broken.stop - broken.first)
            else:
                return made
        return None

    @property
    def repeated(self) -> int:
        """How many instructions are of numbers that are equal in several rounds, in all of these but one."""
        columns = {column: 1 << k for k, column in enumerate(self.columns)}
        varies = 1 << len(columns)  # from round to round
        masks: list[int] = []  # of columns that a value depends on
        for given in self.given:
            mask = 0
            for what, which in given:
                if what == "inside":
                    mask |= masks[which]
                elif what == "column":
                    mask |= columns[which]
                elif what in ("carried", "rows"):
                    mask |= varies
            masks.append(min(mask, varies))
        rounds, found = self.stretch.rounds, 0
        different = sorted(((len(set(column)), column) for column in columns), reverse=True)
        for mask, count in Counter(masks).items():
            if 0 < mask < varies:
                of = [column for _, column in different if mask & columns[column]][:TOLD_APART]
                found += count * (rounds - len(set(zip(*of, strict=True))))
        return found

    @property
    def known(self) -> int:
        """How many instructions are of numbers that follow from constants alone, which a straight line does without."""
        carried = set(self.carries)
        while True:
            found: set[int] = set()
            for offset, given in enumerate(self.given):
                if all(
                    what == "constant"
                    or (what == "inside" and which in found)
                    or (what == "carried" and which in carried)
                    or (what == "column" and max(which) < 0)
                    for what, which in given
                ):
                    found.add(offset)
            lost = {carry for carry in carried if carry[0] not in found}
            if not lost:
                break
            carried -= lost
        moving = len(found - self.same.keys())
        if not moving:
            return 0
        inits = {p for _, _, inits in carried for p in inits}
        return moving * self.stretch.rounds if _constant(self.program, self.stretch.start, inits) else 0

    @property
    def copied(self) -> int:
        """How many numbers are brought to a round."""
        return len(self.carries) + len(self.columns)

    @property
    def stop(self) -> int:
        """The first value behind."""
        return self.program.inputs + self.stretch.stop

    def place(self, value: int) -> tuple[int, int] | None:
        """The round and the number there of one of its values."""
        if not self.first <= value < self.stop:
            return None
        return divmod(value - self.first, self.stretch.period)

    def _kind(self, numbers: list[int], earlier: Sequence[_Region]) -> tuple[str, Any]:
        """What an operand is that has those numbers, round by round."""
        first, (_, period, rounds) = self.first, self.stretch
        known = numbers[0]
        if known < first and numbers.count(known) == rounds:
            if known < 0:
                return "constant", known
            self.shared[known] = None
            return "shared", known
        offset = numbers[-1] - first - (rounds - 1) * period
        if numbers[-1] >= first and offset > -FARTHEST * period:
            ago, offset = -(offset // period), offset % period
            begin = first + offset
            if numbers[ago:] == list(range(begin, begin + (rounds - ago) * period, period)):
                if not ago:
                    return "inside", offset
                if max(numbers[:ago]) < first:
                    carry = offset, ago, tuple(numbers[:ago])
                    self.carries[carry] = None
                    return "carried", carry
        if max(numbers) >= first:
            raise _BrokenError(*_longest(numbers, first, period))
        rows = self._rows(numbers, earlier)
        if rows is not None:
            self.rows[rows] = None
            return "rows", rows
        self.columns[tuple(numbers)] = None
        return "column", tuple(numbers)

    def _rows(self, numbers: list[int], earlier: Sequence[_Region]) -> Rows | None:
        """The numbers as rows of an earlier loop, if they are such."""
        middle = numbers[len(numbers) // 2]
        for region in earlier:
            place = region.place(middle)
            if place is None:
                continue
            step = numbers[len(numbers) // 2 + 1] - middle
            if step % region.stretch.period or not step:
                return None
            begin = middle - len(numbers) // 2 * step
            if numbers != list(range(begin, begin + len(numbers) * step, step)) or not (
                region.place(numbers[0]) and region.place(numbers[-1])
            ):
                right = [a == begin + k * step and region.place(a) is not None for k, a in enumerate(numbers)]
                k = len(numbers) // 2
                first = next((i + 1 for i in range(k, -1, -1) if not right[i]), 0)
                stop = next((i for i in range(k, len(numbers)) if not right[i]), len(numbers))
                if stop - first >= 0.9 * len(numbers) - 2:
                    raise _BrokenError(first, stop)
                return None
            step //= region.stretch.period
            backward = (step < 0) != region.backward
            if (self.rows and backward != self.backward) or (self.exact and abs(step) != 1):
                return None
            self.backward = backward
            return Rows(region, place[1], (numbers[0] - region.first) // region.stretch.period, step)
        return None

    @property
    def sources(self) -> dict[tuple[_Region, int, int], None]:
        """Whose rows it reads: of which loop, from which round on, and in which direction."""
        return dict.fromkeys((rows.region, rows.first, rows.step) for rows in self.rows)

    def ordered(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """The columns of constants, and the others, what was computed together side by side."""
        constants = [each for each in self.columns if max(each) < 0]
        return constants, sorted(each for each in self.columns if max(each) >= 0)

    def row(self, k: int) -> int:
        """Where the results of a round are among those of all."""
        return self.stretch.rounds - 1 - k if self.backward else k

    def write(self, body: Program, carried: Iterable[Carry], results: Mapping[_Region, Iterable[int]]) -> list[int]:
        """Write a round into a program of its own; what number each value has there. `results` are which values are
        in the rows of the loops that it reads."""
        read = [Rows(r, offset, first, step) for r, first, step in self.sources for offset in results[r]]
        inputs: list[tuple[str, Any]] = [("shared", p) for p in self.shared]
        inputs += [("inside", offset) for offset in self.same]
        inputs += [("carried", carry) for carry in carried] + [("rows", rows) for rows in read]
        inputs += [("column", column) for column in chain(*self.ordered())]
        places: dict[Any, int] = {what: k for k, what in enumerate(inputs)}
        period, constants = range(self.stretch.period), self.program.constants
        differs = [offset for offset in period if offset not in self.same]
        self._record(body, differs, places, lambda k: body.constant(constants[~k]))
        return [places["inside", offset] for offset in period]

    def write_same(self, into: Program, number: Callable[[int], int]) -> list[int]:
        """Write what is the same in all rounds; its numbers."""
        places: dict[Any, int] = {("shared", p): number(p) for p in self.shared}
        self._record(into, self.same, places, number)
        return [places["inside", offset] for offset in self.same]

    def _record(
        self, into: Program, chosen: Iterable[int], places: dict[Any, int], constant: Callable[[int], int]
    ) -> None:
        """Write those instructions of a round, whose operands are at places, which their results get, too."""
        start, period, _ = self.stretch
        rows = self.program.operations[start : start + period]
        for k in chosen:
            given = [constant(which) if what == "constant" else places[what, which] for what, which in self.given[k]]
            places["inside", k] = into.record(rows[k], tuple(given))


def _constant(program: Program, stop: int, asked: Iterable[int]) -> bool:
    """Whether those numbers follow from constants alone, as far as these are computed before an instruction."""
    marks = bytearray(program.inputs + len(program) + len(program.constants))  # of constants, from the end
    marks[program.inputs + len(program) :] = b"\1" * len(program.constants)
    for k, operands in enumerate(islice(program.operands, stop), program.inputs):
        marks[k] = all(map(marks.__getitem__, operands))
    return all(map(marks.__getitem__, asked))


def _longest(numbers: list[int], first: int, period: int) -> tuple[int, int]:
    """The most rounds in a row in which an operand may be one and the same thing: a value of its own round or of one so
    many rounds ago, one and the same value from before them, or any from before all."""
    rounds = len(numbers)
    own = [a - first - k * period if a >= first else None for k, a in enumerate(numbers)]
    found: list[tuple[int, int]] = []
    for keys in (own, numbers, [None if a >= first else 0 for a in numbers]):
        start = 0
        for key, group in groupby(keys):
            stop = start + sum(1 for _ in group)
            low = start
            if keys is own and key is not None and key < 0:  # what was before the first rounds may be anything
                low = max(0, start + key // period)
                while low < start and max(numbers[low:start]) >= first + low * period:
                    low += 1
            elif keys is numbers and key is not None and key >= first:
                low = max(start, (key - first) // period + 1)
            if key is not None and (low, stop) != (0, rounds):
                found.append((low, stop))
            start = stop
    return max(found, key=lambda each: each[1] - each[0], default=(1, rounds))


# ---- writing it ------------------------------------------------------------------------------------------------------


class _Writer:
    """A program in which regions become loops."""

    def __init__(self, program: Program, regions: Sequence[_Region]) -> None:
        self.old, self.regions = program, regions
        self.new = Program(program.inputs, program.names, program.constants)
        constants = range(-len(program.constants), 0)
        self.number: list[int | None] = [*range(program.inputs), *[None] * len(program), *constants]
        self.asked = self._asked()
        read = {(rows.region, rows.offset) for region in regions for rows in region.rows}
        self.results: dict[_Region, dict[int, int]] = {}  # which values each loop leaves of each round, and where
        self.finals: dict[_Region, list[int]] = {}  # and which of the last alone
        for region in regions:
            results, finals = dict[int, int](), list[int]()
            self.results[region], self.finals[region] = results, finals
            for offset in range(region.stretch.period):
                asked = self.asked[region.first + offset : region.stop : region.stretch.period]
                if (region, offset) in read or (any(asked[:-1]) and offset not in region.same):
                    results[offset] = len(results)
                elif asked[-1] and offset not in region.same:
                    finals.append(offset)
        self.nodes: dict[_Region, tuple[Loop, int]] = {}
        self.at: dict[_Region, dict[int, int]] = {}  # where finals are in the loop's block
        self.same: dict[_Region, dict[int, int]] = {}  # what was computed before, in the new program

    def write(self) -> Program:
        old, new, at = self.old, self.new, 0
        for region in self.regions:
            self._straight(at, region.stretch.start)
            self._loop(region)
            at = region.stretch.stop
        self._straight(at, len(old))
        new.outputs = list(map(self.get, old.outputs))
        new.take_guards(g._replace(left=self.get(g.left), right=self.get(g.right)) for g in old.guards)
        new.labels = {number: text for k, text in old.labels.items() if (number := self.number[k]) is not None}
        new._index()  # what was known is not asked for again
        return new

    def _asked(self) -> bytearray:
        """Which values are asked for as numbers of their own, outside of their loop."""
        old, at = self.old, 0
        asked: list[Sequence[int]] = [old.roots()]
        for region in self.regions:
            asked += old.operands[at : region.stretch.start]
            asked += [list(region.shared), *[inits for _, _, inits in region.carries], *region.columns]
            at = region.stretch.stop
        asked += old.operands[at:]
        marks = bytearray(old.inputs + len(old) + len(old.constants))  # of constants, from the end
        for p in chain.from_iterable(asked):
            marks[p] = 1
        return marks

    def get(self, value: int) -> int:
        """The number of a value in the new program."""
        found = self.number[value]
        if found is None:
            region = next(each for each in self.regions if each.first <= value < each.stop)
            k, offset = divmod(value - region.first, region.stretch.period)
            found = self.same[region].get(offset)
            if found is None:
                at = self.at[region].get(offset)
                found = self.new.emit(
                    output(self._place(region, k, offset) if at is None else at), (self._node(region),)
                )
            self.number[value] = found
        return found

    def _node(self, region: _Region) -> int:
        return self.nodes[region][1]

    def _place(self, region: _Region, k: int, offset: int | None = None) -> int:
        """Where the row of a round is in the loop's block, or one value of it."""
        results = self.results[region]
        return (
            self.nodes[region][0].starts[0] + region.row(k) * len(results) + (0 if offset is None else results[offset])
        )

    def _straight(self, start: int, stop: int) -> None:
        old, new, number, get = self.old, self.new, self.number, self.get
        pairs = zip(old.operations[start:stop], old.operands[start:stop], strict=True)
        for at, (row, operands) in enumerate(pairs, old.inputs + start):
            number[at] = new.record(row, tuple([x if (x := number[p]) is not None else get(p) for p in operands]))

    def _loop(self, region: _Region) -> None:
        rounds, results, finals = region.stretch.rounds, self.results[region], self.finals[region]
        self.same[region] = same = dict(zip(region.same, region.write_same(self.new, self.get), strict=True))
        carries = dict.fromkeys(region.carries)
        for offset, ago, inits in region.carries:
            carries.update(dict.fromkeys((offset, ago - k, inits[k:]) for k in range(1, ago)))
        held = {offset for offset, ago, _ in carries if ago == 1}
        carries.update(dict.fromkeys((offset, 1, (self.new.constant(0.0),)) for offset in finals if offset not in held))
        carried = {carry: k for k, carry in enumerate(sorted(carries, key=lambda carry: carry[2]))}
        columns, operands = self._columns(region)

        shared = len(region.shared) + len(same)
        count = shared + len(carried) + sum(each.width for each in columns)
        body = Program(count, [f"x{k}" for k in range(count)])
        inside = region.write(body, carried, self.results)
        for offset, ago, inits in carried:
            body.outputs.append(inside[offset] if ago == 1 else shared + carried[offset, ago - 1, inits[1:]])
        body.outputs += [inside[offset] for offset in results]
        widths = [len(results)] if results else []
        loop = DifferentiableLoop("loop", body, shared, len(carried), columns, widths, rounds, [], "", region.backward)
        firsts = [inits[0] for _, _, inits in carried]  # a constant may be of the new program alone
        begin = [self.get(p) if p >= 0 else p for p in firsts]
        given = (*map(self.get, region.shared), *same.values(), *begin, *operands)
        self.nodes[region] = loop, self.new.emit(loop, given)
        self.at[region] = {offset: k for (offset, ago, _), k in carried.items() if ago == 1 and offset in finals}
        last = region.first + (rounds - 1) * region.stretch.period
        fetched = [last + offset for offset in self.at[region]]
        for k in reversed(range(rounds)) if region.backward else range(rounds):
            first = region.first + k * region.stretch.period
            fetched += [first + offset for offset in results if self.asked[first + offset]]
        for p in fetched:  # in the order in which they lie in memory, from where they are fetched together
            self.get(p)

    def _columns(self, region: _Region) -> tuple[list[Column], list[int]]:
        """The columns in the order in which the round has them, and their operands."""
        columns: list[Column] = []
        operands: list[int] = []
        for other, first, step in region.sources:
            start = first if not region.backward else first + step * (region.stretch.rounds - 1)
            columns.append(Column(len(self.results[other]), self._place(other, start)))
            operands.append(self._node(other))
        for each in region.ordered():
            if each:
                columns.append(Column(len(each)))
                steps = list(zip(*each, strict=True))
                operands += map(self.get, chain.from_iterable(reversed(steps) if region.backward else steps))
        return columns, operands
