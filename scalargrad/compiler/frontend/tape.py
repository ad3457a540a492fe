"""What a traced function computes, as numbers in lists; its derivatives, made by templates; and the program it becomes.

An entry is a row and the numbers of its operands, as nodes have them in `_a` and `_b`; constants are negative. Nothing
is shortened before the end: derivatives follow the graph as it was recorded, entry by entry, in the order in which
`chain_rule.py` follows nodes, so that sums of gradients have the same bits. `Walk` is that file's passes on numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, compress
from typing import Any, NamedTuple

from ...engine import table
from ...engine.primitive import Primitive
from ..ir.program import Program, bits

Entry = int  # a number on the tape; a constant if it is negative
Gradient = Any  # an Entry; or a float, which does not vary
Instruction = tuple[Primitive, Any, Any]  # a row and its operands: one, or two, or None and a tuple


class Template(NamedTuple):
    """How one row hands an upstream gradient on: what `contribution` leaves behind on symbols.

    Numbers count the upstream gradient, the output, the operands, the constants here, and the results of the code.
    """

    constants: Sequence[Any]  # floats; or, laid out on a tape, their entries there
    code: tuple[Instruction, ...]  # for the local gradients
    brings: tuple[tuple[int, Any, Any, Any], ...]  # operand, and an instruction; or None and what


class Part(NamedTuple):
    """What of a tape becomes a program."""

    inputs: Sequence[Entry]
    names: Sequence[str]
    live: bytearray  # which entries are needed
    constants: dict[Entry, float]  # leaves that are
    skip: Primitive  # a row that only hands its operand on


class Tape:
    """Entries in the order in which they were made."""

    def __init__(self, template: Callable[[Primitive, int, float | None], Template | None]) -> None:
        self.template = template
        self.rows: list[Primitive] = []
        self.left: list[Any] = []  # an Entry; None where the operands are a tuple, or there are none
        self.right: list[Any] = []
        self.constants: list[float] = []
        self._known: dict[float, Entry] = {}  # constants by their value, save for zeros and nan
        self._by_bits: dict[bytes, Entry] = {}
        self._plans: dict[tuple[Primitive, int, float | None], Template | None] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: Primitive, a: Any = None, b: Any = None) -> Entry:
        self.rows.append(row)
        self.left.append(a)
        self.right.append(b)
        return len(self.rows) - 1

    def constant(self, x: float) -> Entry:
        found = self._known.get(x)
        if found is None:
            key = bits(x)
            found = self._by_bits.get(key)
            if found is None:
                found = self._by_bits[key] = ~len(self.constants)
                self.constants.append(x)
            if x != 0.0:
                self._known[x] = found
        return found

    def entry(self, x: Gradient) -> Entry:
        return x if x.__class__ is int else self.constant(x)

    def operands(self, k: Entry) -> tuple[Entry, ...]:
        a, b = self.left[k], self.right[k]
        if a is None:
            return b or ()
        return (a,) if b is None else (a, b)

    def plus(self, x: Gradient, y: Gradient) -> Gradient:
        if x.__class__ is float and y.__class__ is float:
            return x + y
        return self.add(table.add, self.entry(x), self.entry(y))

    def plan(self, row: Primitive, count: int, upstream: float | None) -> Template | None:
        """How a row with so many operands hands on an upstream gradient, which varies if it is None."""
        key = row, count, upstream
        if key not in self._plans:
            found = self.template(row, count, upstream)
            self._plans[key] = found and found._replace(constants=list(map(self.constant, found.constants)))
        return self._plans[key]

    def program(self, part: Part) -> tuple[Program, list[int]]:
        """The entries that are needed as a program, and what number each has there."""
        size, number = len(self.rows), [0] * (len(self.rows) + len(self.constants))
        live, skip = bytearray(part.live), part.skip
        program = self._begun(part, live, number)
        record, known, identity, sum_of = program.record, program._known, table.identity, table.add
        operations, all_operands = program.operations, program.operands
        at = program.inputs
        columns = [compress(each, live) for each in (range(size), self.rows, self.left, self.right)]
        for k, row, a, b in zip(*columns, strict=True):
            operands: tuple[int, ...]
            if b is None:
                i = number[a]
                if row is skip or row is identity:
                    number[k] = i
                    continue
                operands = (i,)
                plain = i >= 0
            elif a is None:
                operands = tuple([number[p] for p in b])
                plain = False
            else:
                i, j = number[a], number[b]
                operands = (i, j)
                plain = (i >= 0 and j >= 0) or (row is sum_of and (i >= 0 or j >= 0))
            if not plain:  # what may have a shorter form
                number[k] = record(row, operands)
                at = program.inputs + len(operations)
                continue
            found = number[k] = known[row].setdefault(operands, at)
            if found == at:
                operations.append(row)
                all_operands.append(operands)
                at += 1
        program._index()  # what was known is not asked for again
        return program, number

    def recorded(self, part: Part) -> tuple[Program, list[int]]:
        """The same, with each entry as it stands here."""
        keep = part.live[: len(self.rows)]
        for p in chain(part.inputs, part.constants):
            keep[p] = 0
        number = [*accumulate(keep, initial=len(part.inputs))]
        number[-1:] = [0] * len(self.constants)
        made = self._begun(part, bytearray(part.live), number)
        made.operations = [table.identity if row is part.skip else row for row in compress(self.rows, keep)]
        made.operands = [
            (number[a],) if b is None else tuple([number[p] for p in b]) if a is None else (number[a], number[b])
            for a, b in zip(compress(self.left, keep), compress(self.right, keep), strict=True)
        ]
        return made, number

    def _begun(self, part: Part, live: bytearray, number: list[int]) -> Program:
        """A program without instructions; what is none is numbered and no longer live."""
        used = [k for k in range(-1, -len(self.constants) - 1, -1) if live[k]]
        program = Program(len(part.inputs), part.names, [self.constants[~k] for k in used])
        for k, p in enumerate(used):
            number[p] = ~k
        for k, p in enumerate(part.inputs):
            number[p] = k
            live[p] = 0
        for p, x in part.constants.items():
            number[p] = program.constant(x)
            live[p] = 0
        return program

    def needed(self, ends: Iterable[Entry]) -> bytearray:
        """Which entries those depend on, and they themselves."""
        live = bytearray(len(self.rows) + len(self.constants))  # of constants, from the end, as well
        for k in ends:
            live[k] = 1
        rows, left, right = self.rows, self.left, self.right
        for k in range(len(rows) - 1, -1, -1):
            if live[k]:
                a, b = left[k], right[k]
                if a is not None:
                    live[a] = 1
                    if b is not None:
                        live[b] = 1
                elif b is not None:
                    for p in b:
                        live[p] = 1
        return live


class Walk:
    """The entries between the inputs and the outputs of one differentiation, in the order of a backward pass.

    Those that were there before `mark` are not looked into: the result does not depend on the inputs through them.
    """

    def __init__(self, tape: Tape, mark: int, outputs: Sequence[Entry], inputs: Sequence[Entry]) -> None:
        self.tape = tape
        self.inputs = inputs
        rows, left, right = tape.rows, tape.left, tape.right
        seen, wanted = bytearray(len(rows)), bytearray(len(rows))
        for p in inputs:
            seen[p] = wanted[p] = 1
        self.wanted = wanted
        order: list[Entry] = []
        emit = order.append
        stack: list[Any] = [k for k in outputs if k >= 0]
        push, pop = stack.append, stack.pop
        while stack:
            k = pop()
            if k < 0:  # all that the entry ~k is computed from has been seen
                k = ~k
                a, b = left[k], right[k]
                if a is None:
                    if not any(p >= 0 and wanted[p] for p in b):
                        continue
                elif not (a >= 0 and wanted[a]) and (b is None or b < 0 or not wanted[b]):
                    continue
                wanted[k] = 1
                emit(k)
                continue
            if seen[k]:
                continue
            seen[k] = 1
            if k < mark or rows[k].flat:
                continue
            a, b = left[k], right[k]
            if a is not None:
                push(~k)
                if b is not None and b >= mark and not seen[b]:
                    push(b)
                if a >= mark and not seen[a]:
                    push(a)
            elif b is not None:
                push(~k)
                stack.extend([p for p in reversed(b) if p >= mark and not seen[p]])
        order.reverse()
        self.order = order

    def by_templates(self) -> bool:
        """Whether there is a template for every row that is met."""
        rows, left, right, plan = self.tape.rows, self.tape.left, self.tape.right, self.tape.plan
        met: set[tuple[Primitive, Any]] = {(row, row.arity) for row in set(map(rows.__getitem__, self.order))}
        if any(count is None for _, count in met):
            met = {(rows[k], len(right[k]) if left[k] is None else 1 + (right[k] is not None)) for k in self.order}
        return all(plan(row, count, None) for row, count in met)

    def _plan(self, row: Primitive, count: int, upstream: Gradient) -> Template:
        found = self.tape.plan(row, count, None if upstream.__class__ is int else upstream)
        assert found is not None  # `by_templates` was asked
        return found

    def _local(self, entries: list[Entry], plan: Template) -> list[Entry]:
        """Put a template's code on the tape, and its results behind the other entries."""
        for row, i, j in plan.code:
            if i is None:
                entries.append(self.tape.add(row, None, tuple([entries[p] for p in j])))
            else:
                entries.append(self.tape.add(row, entries[i], None if j is None else entries[j]))
        return entries

    def backward(self, seeds: Iterable[tuple[Entry, Gradient]]) -> list[Gradient]:
        """As `graph_adjoints`: the derivative of the seeded outputs by every input, 0.0 where there is none."""
        tape, wanted = self.tape, self.wanted
        rows, left, right = tape.rows, tape.left, tape.right
        to_rows, to_left, to_right = rows.append, left.append, right.append
        add = table.add
        plans: Any = tape._plans  # `by_templates` has found all that do not depend on a number
        usual: dict[Primitive, Any] = {
            row: plan for (row, count, x), plan in plans.items() if x is None and count == row.arity
        }
        adjoint: dict[Entry, Gradient] = {}
        known = adjoint.get
        for k, seed in seeds:
            before = known(k)
            adjoint[k] = seed if before is None else tape.plus(before, seed)
        for k in self.order:
            upstream = known(k)
            if upstream is None:
                continue
            a, b = left[k], right[k]
            operands = (a, b) if a is not None and b is not None else b if a is None else (a,)
            if upstream.__class__ is int:
                plan = usual.get(rows[k]) or plans[rows[k], len(operands), None]
            else:
                plan = self._plan(rows[k], len(operands), upstream)
            entries = [upstream, k, *operands, *plan.constants]
            if plan.code:
                self._local(entries, plan)
            for slot, product, i, j in plan.brings:
                p = operands[slot]
                if p < 0 or not wanted[p]:
                    continue
                if product is None:
                    brought = entries[i] if i.__class__ is int else i
                else:
                    brought = len(rows)
                    to_rows(product)
                    to_left(entries[i])
                    to_right(None if j is None else entries[j])
                before = known(p)
                if before is None:
                    adjoint[p] = brought
                elif before.__class__ is brought.__class__ is int:
                    adjoint[p] = len(rows)
                    to_rows(add)
                    to_left(before)
                    to_right(brought)
                else:
                    adjoint[p] = tape.plus(before, brought)
        return [known(p, 0.0) for p in self.inputs]

    def forward(self, seeds: dict[Entry, Gradient], outputs: Sequence[Entry]) -> list[Gradient]:
        """As `tangents`, as a graph: the directional derivative of every output, 0.0 where there is none."""
        tape = self.tape
        tangent = dict(seeds)
        for k in reversed(self.order):
            operands = tape.operands(k)
            met = [slot for slot, p in enumerate(operands) if p in tangent]
            if not met:
                continue
            row, count = tape.rows[k], len(operands)
            plan = self._plan(row, count, tangent[operands[met[0]]])
            first = len(operands) + 2 + len(plan.constants)
            results = self._local([0, k, *operands, *plan.constants], plan)[first:]
            total: Gradient = None
            for slot in met:
                upstream = tangent[operands[slot]]
                plan = self._plan(row, count, upstream)
                entries = [upstream, k, *operands, *plan.constants, *results]
                for at, product, i, j in plan.brings:
                    if at == slot:
                        if product is None:
                            brought = entries[i] if i.__class__ is int else i
                        else:
                            brought = tape.add(product, entries[i], None if j is None else entries[j])
                        total = brought if total is None else tape.plus(total, brought)
            if total is not None:
                tangent[k] = total
        return [tangent.get(k, 0.0) for k in outputs]
