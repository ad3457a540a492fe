"""One straight-line program on its way to x86-64 code: which value is in which register or place, and when it is used.

In a straight line it is known of every value when it is used next, and so the best that can be done with few registers
is known too: when one is needed, the value that is used last goes to memory (Belady, IBM Systems Journal 5, 1966).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...ir.elementary import CONDITIONS, FUSED, LIBRARY
from ...ir.lowering import is_call
from ...ir.program import Guard, Program
from .assembler import (
    BROADCAST,
    CALL,
    CODES,
    JUMP,
    MASKS,
    PLAIN,
    PREDICATES,
    REGISTERS,
    ROUNDINGS,
    SCALAR,
    SWAPPED,
    VECTOR,
    VZEROUPPER,
    WIDE,
    MemoryOperand,
    address,
    masked,
    place,
    shift,
    vex,
)

if TYPE_CHECKING:
    from .code import Code

NEVER = 1 << 60
FAR = 1000  # instructions; a value that is not used before goes to memory at once
NEAR = 100  # instructions; a vector that is used again so soon is loaded, where it could be read in memory
INPUTS, MEMORY, OUTPUTS = 0, 1, 2  # indices of assembler.BASES
SIGN, MAGNITUDE, ALL = 1 << 63, (1 << 63) - 1, (1 << 64) - 1
_ARITHMETIC = frozenset(("add", "sub", "mul", "div", "min", "max"))
_COMMUTES = frozenset(("add", "mul", "and", "or"))
_UNARY = frozenset(("neg", "abs", "copysign", "sqrt", "scale", "exponent", "mantissa"))


def pattern(x: float) -> int:
    found: int = struct.unpack("<Q", struct.pack("<d", x))[0]
    return found


def leads_away(operation: str) -> bool:
    """Whether it is done by calling a function."""
    return operation in LIBRARY or is_call(operation)


def needs(program: Program, always: set[int]) -> dict[int, tuple[int, bool]]:
    """Calls whose result counts only where a condition that is known before has one outcome: `call: (condition, it)`.

    Found backwards: a value is needed where one of its users is, and a selection needs each of its arms under its
    condition. What has users with different needs is always needed; and so is what is in `always`: outputs, what guards
    compare, and operations written in Python, which may raise wherever they are.
    """
    first = program.inputs
    found: list[Any] = [None] * (first + len(program))  # None: by nobody so far; True: always; or condition and outcome
    calls: dict[int, tuple[int, bool]] = {}
    for k in always:
        found[k] = True

    def need(p: int, how: Any) -> None:
        if p >= first:
            found[p] = how if found[p] in (None, how) else True

    for i in range(len(program) - 1, -1, -1):
        v = first + i
        operation, operands, own = program.operations[i], program.operands[i], found[v]
        if own is None:
            continue
        if operation == "select":
            c, a, b = operands
            need(c, own)
            need(a, (c, True) if a != b else own)
            need(b, (c, False) if a != b else own)
            continue
        if isinstance(own, tuple):
            if own[0] >= v:  # the condition is found out later than this
                own = True
            elif leads_away(operation):
                calls[i] = own
        for p in operands:
            need(p, own)
    return calls


class RegisterAllocator:
    """Which value of one straight-line program is where, and when it is used next; and the code that comes of it."""

    def __init__(
        self,
        code: Code,
        program: Program,
        inputs: Sequence[MemoryOperand],
        stored: Callable[[int, int], None] | None,
    ) -> None:
        self.code, self.program = code, program
        self.returns = stored is None  # whether the one output is left in register 0, by `result`
        self.stored = stored or (lambda output, register: None)  # what is done with an output
        self.out = code.out
        self.lanes = code.lanes
        self.registers, self.memory = REGISTERS[self.lanes]
        self.codes = CODES[self.lanes]
        first, count, constants = program.inputs, len(program), len(program.constants)
        width = BROADCAST if self.lanes > 1 else PLAIN
        known = [place(MEMORY, width, code.constant(pattern(c))) for c in program.constants]
        self.zeros = {~k for k, c in enumerate(program.constants) if pattern(c) == 0}  # 0.0, and not -0.0
        # Lists by the number of a value; those of constants are negative, and found from the end.
        self.home: list[MemoryOperand | None] = [*inputs, *[None] * count, *reversed(known)]
        self.register = [-1] * (first + count + constants)
        self.slot: dict[int, int] = {}
        self.saved: dict[int, MemoryOperand] = {}  # around calls; a called function has its own
        self.free_slots: list[int] = []
        number = 16 if self.lanes == 1 else 32
        self.free = list(range(number - 1, -1, -1))
        self.free_masks = list(range(number + 7, number, -1))  # k1 to k7 are registers 33 to 39
        self.occupant: list[int | None] = [None] * (number + 8)
        self.due = [-1] * (number + 8)  # by register: when its occupant is used next
        self.number = number
        self.calls: dict[int, tuple[int, bool]] = {}
        self.outputs: dict[int, list[int]] = {}
        for output, k in enumerate(program.outputs if stored else ()):
            self.outputs.setdefault(k, []).append(output)
        self.guards: dict[int, list[Guard]] = {}
        for g in program.guards:
            self.guards.setdefault(max(g.left, g.right, first - 1) - first, []).append(g)
        self._look_ahead()

    def _look_ahead(self) -> None:
        """For every result and every operand of every instruction, the result of the instruction that uses it next."""
        program, first = self.program, self.program.inputs
        if any(map(leads_away, set(program.operations))):
            callbacks = {f"call {name}" for name in self.code.lowered.callbacks}
            users = {first + i for i, each in enumerate(program.operations) if each in callbacks}
            self.calls = needs(program, users.union(k for k in program.roots() if k >= 0))
        when = [NEVER] * len(self.register)
        v = first + len(program)
        if self.returns:
            when[program.outputs[0]] = v
        plain = _ARITHMETIC if self.lanes > 1 else _ARITHMETIC | PREDICATES.keys() | {"and", "or"}
        codes = {name: self.codes[name] for name in plain}
        self.arithmetic = list(map(codes.get, program.operations))
        self.operands = list(program.operands)
        if self.lanes == 1:
            self._selections_as_masks()
        # Of plain arithmetic, for the first operand and for the second, else together.
        following: list[Any] = []
        second: list[int] = []
        after: dict[int, list[tuple[int, int]]] = {}
        calls, guards = self.calls, self.guards
        special = calls.keys() | guards.keys()
        next_of, next_of_second = following.append, second.append
        for code, given in zip(reversed(self.arithmetic), reversed(self.operands), strict=True):
            v -= 1
            if special and v - first in special:
                i = v - first
                if i in guards:
                    self._look_behind(i, when, after)
                if i in calls:
                    given = (*given, calls[i][0])
            if code is not None:
                a, b = given
                next_of(when[a])
                next_of_second(when[b])
                when[a] = when[b] = v
            else:
                next_of([when[p] for p in given])
                next_of_second(NEVER)
                for p in given:
                    when[p] = v
        if -1 in guards:
            self._look_behind(-1, when, after)
        following.reverse()
        second.reverse()
        self.when, self.following, self.second, self.after = when, following, second, after

    def _selections_as_masks(self) -> None:
        """Selections between a value and zero as bitwise operations; not of inputs, of which one may be the last."""
        operations, i = self.program.operations, -1
        for _ in range(operations.count("select")):
            i = operations.index("select", i + 1)
            c, a, b = self.operands[i]
            name, x = ("and", a) if b in self.zeros else ("andnot", b)
            if (name == "and" or a in self.zeros) and not 0 <= x < self.program.inputs:
                self.arithmetic[i], self.operands[i] = self.codes[name], (c, x)

    def _look_behind(self, i: int, when: list[int], after: dict[int, list[tuple[int, int]]]) -> None:
        """The same of the guards behind an instruction."""
        v = max(i, 0) + self.program.inputs
        after[i] = []
        for g in reversed(self.guards[i]):
            after[i].append((when[g.left], when[g.right]))
            when[g.left] = when[g.right] = v

    # ---- registers and memory ----------------------------------------------------------------------------------------

    def new_slot(self, v: int) -> MemoryOperand:
        """Room in memory for a value."""
        at = self.slot[v] = self.free_slots.pop() if self.free_slots else self.code.room(self.code.width)
        width = PLAIN if self.lanes == 1 or self.register[v] >= self.number else WIDE
        found = self.home[v] = place(MEMORY, width, at)
        return found

    def store(self, v: int) -> None:
        """Write a value that is in a register to its place in memory."""
        kind, tail = self.new_slot(v)
        r = self.register[v]
        if r >= self.number:
            self.out.append(self.mask("store", r - self.number, 0, kind, True) + tail)
        else:
            self.out.append(self.memory[self.codes["store"] | r << 10 | kind])
            self.out.append(tail)

    def mask(self, name: str, r: int, v: int, rm: int, memory: bool = False) -> bytes:
        """An instruction on mask registers."""
        form = MASKS[name]
        if memory:
            base, modrm = address(r, rm)
            return vex(form, r, v, base) + bytes((modrm,))
        return vex(form, r, v, rm) + bytes((0xC0 | (r & 7) << 3 | rm & 7,))

    def leave(self, v: int) -> None:
        """Give up a value's register."""
        r = self.register[v]
        if r >= 0:
            self.register[v] = -1
            self.occupant[r] = None
            (self.free if r < self.number else self.free_masks).append(r)

    def evict(self, keep: Sequence[int], masks: bool = False) -> None:
        """Free a register, of the value that is used last."""
        low, high = (self.number + 1, self.number + 8) if masks else (0, self.number)
        due = self.due[low:high]
        r = low + due.index(max(due))
        if r in keep:
            for k in keep:
                if low <= k < high:
                    due[k - low] = -1
            r = low + due.index(max(due))
        v = self.occupant[r]
        assert v is not None
        if self.home[v] is None:
            self.store(v)
        self.leave(v)

    def grab(self, *keep: int, masks: bool = False) -> int:
        """A register that is free, without those in `keep`."""
        free = self.free_masks if masks else self.free
        if not free:
            self.evict(keep, masks)
        r = free.pop()
        self.due[r] = -1  # for as long as nothing is said to be there, it is not to be evicted
        return r

    def operand_of(self, v: int) -> MemoryOperand:
        found = self.home[v]
        assert found is not None
        return found

    def load(self, v: int, *keep: int) -> int:
        """The register of a value, which it is brought to if it has none."""
        r = self.register[v]
        if r >= 0:
            return r
        kind, tail = self.operand_of(v)
        if self.lanes > 1 and self.is_condition(v):
            r = self.grab(*keep, masks=True)
            self.out.append(self.mask("load", r - self.number, 0, kind, True) + tail)
        else:
            r = self.grab(*keep)
            self.fetch(r, (kind, tail))
        self.register[v] = r
        self.occupant[r] = v
        self.due[r] = 0  # of what is being used now
        return r

    def fetch(self, r: int, at: MemoryOperand) -> None:
        """Bring what is in memory to a register."""
        name = "spread" if at[0] >> 1 & 3 == BROADCAST else "load"
        self.out.append(self.memory[self.codes[name] | r << 10 | at[0]] + at[1])

    def is_condition(self, v: int) -> bool:
        k = v - self.program.inputs
        return k >= 0 and self.program.operations[k] in CONDITIONS

    def done(self, v: int, following: int, at: int) -> None:
        """A value has been used by the instruction that gives the value `at`, and is used next at `following`."""
        if following == NEVER:
            self.leave(v)
            if v in self.slot:
                self.free_slots.append(self.slot.pop(v))
        elif following - at > FAR and self.home[v] is not None:
            self.leave(v)
        elif self.register[v] >= 0:
            self.due[self.register[v]] = following

    def gives(self, v: int, r: int) -> None:
        """An instruction has left its result in a register, and is done, but for guards behind it."""
        following = self.when[v]
        self.register[v] = r
        self.occupant[r] = v
        self.due[r] = following
        for output in self.outputs.get(v, ()):
            self.stored(output, r)
        if following == NEVER:
            self.leave(v)
        elif following - v > FAR:
            self.store(v)
            self.leave(v)
        if v - self.program.inputs in self.guards:
            self.check(v - self.program.inputs)

    # ---- instructions ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All instructions, in order."""
        program, register, when, due = self.program, self.register, self.when, self.due
        home: list[Any] = self.home
        occupant, free, slot, free_slots = self.occupant, self.free, self.slot, self.free_slots
        first, operations = program.inputs, program.operations
        codes, rr, rm, emit = self.codes, self.registers, self.memory, self.out.append
        commuting = {codes[name] for name in _COMMUTES}
        ends = {codes[name]: SCALAR[name].end for name in PREDICATES} if self.lanes == 1 else {}
        comparing = min(ends, default=NEVER)
        near = NEAR if self.lanes > 1 else 0
        self._ends_of_inputs()
        noted = {*self.outputs, *map(first.__add__, self.guards)}
        v = first - 1
        steps = zip(self.arithmetic, self.operands, self.following, self.second, when[first:], strict=False)
        for code, given, next_a, next_b, next_v in steps:
            v += 1
            if code is None:
                self.other(v - first, operations[v - first], given)
            else:
                a, b = given
                ra, rb = register[a], register[b]
                far = v + FAR
                if ra < 0:
                    if (rb >= 0 or next_b < next_a) and code in commuting:  # what is used sooner stays loaded
                        a, b, ra, rb, next_a, next_b = b, a, rb, ra, next_b, next_a
                    if ra < 0:
                        ra = self.load(a, rb)
                        rb = register[b]
                if rb < 0 and next_b < v + near:
                    rb = self.load(b, ra)
                if rb < 0:
                    found = home[b]
                elif next_b > far and a != b and (next_b == NEVER or home[b] is not None):
                    register[b] = -1
                    occupant[rb] = None
                    free.append(rb)
                else:
                    due[rb] = next_b
                if next_a > far and (next_a == NEVER or home[a] is not None):
                    register[a] = -1
                    occupant[ra] = None
                    free.append(ra)
                    if next_a == NEVER and a in slot:
                        free_slots.append(slot.pop(a))
                else:
                    due[ra] = next_a
                if not free:
                    self.evict((ra, rb))
                r = free.pop()
                if rb < 0:
                    kind, tail = found
                    emit(rm[code | r << 10 | ra << 5 | kind])
                    emit(tail if code < comparing else tail + ends[code])
                else:
                    emit(rr[code | r << 10 | ra << 5 | rb])
                if next_b == NEVER and b in slot:  # not sooner: freeing a register may have written to a free slot
                    free_slots.append(slot.pop(b))
                if next_v <= far and v not in noted:
                    register[v] = r
                    occupant[r] = v
                    due[r] = next_v
                else:
                    self.gives(v, r)

    def _ends_of_inputs(self) -> None:
        """Outputs that are inputs or constants, and guards on such."""
        for k, places in self.outputs.items():
            if k < self.program.inputs:
                r = self.load(k)
                for output in places:
                    self.stored(output, r)
                self.leave(k)
        if -1 in self.guards:
            self.check(-1)

    def other(self, i: int, operation: str, operands: Sequence[int]) -> None:
        """What is not plain arithmetic on two operands."""
        if operation == "select":
            self.select(i, *operands)
        elif operation in PREDICATES:
            self.compare(i, operation, *operands)
        elif operation in ("and", "or", "not"):
            self.logic(i, operation, operands)
        elif operation in FUSED:
            self.fused(i, operation, *operands)
        elif operation in _UNARY or operation in ROUNDINGS:
            self.unary(i, operation, operands)
        else:
            self.call(i, operation, operands)

    def finish(self, i: int, operands: Sequence[int], r: int) -> None:
        """The instruction at i has left its result in a register; its operands are used next when it is known."""
        v, register, due = self.program.inputs + i, self.register, self.due
        for x, following in zip(operands, self.following[i], strict=True):
            if following - v > FAR:
                self.done(x, following, v)
            elif register[x] >= 0:
                due[register[x]] = following
        self.gives(v, r)

    def op(self, name: str, r: int, v: int, x: int, keep: Sequence[int] = (), end: bytes = b"") -> None:
        """An instruction whose last operand is the value x, in its register or in memory."""
        rx = self.register[x]
        if rx < 0:
            kind, tail = self.operand_of(x)
            # Some read two floats, and there may be but one.
            if self.lanes > 1 or kind >> 3 == MEMORY or name not in ("and", "andnot", "or", "xor", "select"):
                self.out.append(self.memory[self.codes[name] | r << 10 | v << 5 | kind] + tail + end)
                return
            rx = self.load(x, r, v, *keep)
        self.out.append(self.registers[self.codes[name] | r << 10 | v << 5 | rx] + end)

    def with_bits(self, name: str, r: int, v: int, bits: int) -> None:
        """An instruction on bits, with a constant."""
        width = BROADCAST if self.lanes > 1 else PLAIN
        kind, tail = place(MEMORY, width, self.code.constant(bits))
        self.out.append(self.memory[self.codes[name] | r << 10 | v << 5 | kind] + tail)

    def unary(self, i: int, operation: str, operands: Sequence[int]) -> None:
        a = self.load(operands[0])
        if operation == "copysign":
            b = self.load(operands[1], a)
            r = self.grab(a, b)
            t = self.grab(a, b, r)
            self.with_bits("and", r, a, MAGNITUDE)
            self.with_bits("and", t, b, SIGN)
            self.out.append(self.registers[self.codes["or"] | r << 10 | r << 5 | t])
            self.free.append(t)
        elif operation == "scale":
            r = self.scale(a, operands[1])
        else:
            r = self.grab(a)
            if operation == "neg":
                self.with_bits("xor", r, a, SIGN)
            elif operation == "abs":
                self.with_bits("and", r, a, MAGNITUDE)
            elif operation == "exponent":  # as 2**52 + the exponent's bits, less what that is for 2**0
                self.out.append(shift(self.lanes, False, r, a))
                self.with_bits("or", r, r, pattern(2.0**52))
                self.with_bits("sub", r, r, pattern(2.0**52 + 1023.0))
            elif operation == "mantissa":
                self.with_bits("and", r, a, (1 << 52) - 1)
                self.with_bits("or", r, r, pattern(1.0))
            elif operation == "sqrt":
                self.out.append(self.registers[self.codes["sqrt"] | r << 10 | (a << 5 if self.lanes == 1 else 0) | a])
            else:
                v = a << 5 if self.lanes == 1 else 0
                self.out.append(self.registers[self.codes["round"] | r << 10 | v | a] + ROUNDINGS[operation])
        self.finish(i, operands, r)

    def scale(self, a: int, x: int) -> int:
        """`a * 2**n`. Without AVX-512 as `a * 2**h * 2**(n - h)`, h about n/2: only the last product can be rounded."""
        if self.lanes > 1:
            r = self.grab(a, self.register[x])
            self.op("scale", r, a, x, (a,))
            return r
        b = self.load(x, a)
        h = self.grab(a, b)
        r = self.grab(a, b, h)
        self.with_bits("load", h, 0, pattern(0.5))
        self.emit("mul", h, h, b)
        self.emit("round", h, h, h, ROUNDINGS["floor"])
        self.emit("sub", r, b, h)
        for register in (h, r):  # 2**k is k + 1023 in the bits of the exponent; adding 2**52 brings k to the last bits
            self.with_bits("add", register, register, pattern(2.0**52 + 1023.0))
            self.out.append(shift(1, True, register, register))
        self.emit("mul", h, a, h)
        self.emit("mul", r, h, r)
        self.free.append(h)
        return r

    def emit(self, name: str, r: int, v: int, rm: int, end: bytes = b"") -> None:
        """An instruction on registers."""
        self.out.append(self.registers[self.codes[name] | r << 10 | v << 5 | rm] + end)

    def compare(self, i: int, operation: str, a: int, b: int) -> None:
        """On eight floats; on one, it is as plain arithmetic."""
        predicate = PREDICATES[operation]
        x, y = a, b
        if self.register[x] < 0 <= self.register[y]:
            x, y, predicate = y, x, SWAPPED[operation]
        rx = self.load(x, self.register[y])
        r = self.grab(masks=True)
        self.op("compare", r - self.number, rx, y, end=bytes((predicate,)))
        self.finish(i, (a, b), r)

    def logic(self, i: int, operation: str, operands: Sequence[int]) -> None:
        """On masks; of truth values of one float, `not` alone."""
        a = self.load(operands[0])
        if self.lanes == 1:
            r = self.grab(a)
            self.with_bits("xor", r, a, ALL)
        else:
            n = self.number
            b = self.load(operands[1], a) if len(operands) > 1 else 0
            r = self.grab(a, b, masks=True)
            self.out.append(
                self.mask("not", r - n, 0, a - n) if operation == "not" else self.mask(operation, r - n, a - n, b - n)
            )
        self.finish(i, operands, r)

    def fused(self, i: int, operation: str, a: int, b: int, c: int) -> None:
        """A product in a sum, in place of an operand that is not used again, or else of a copy of c."""
        register, nexts = self.register, self.following[i]

        def dies(slot: int) -> bool:
            v = (a, b, c)[slot]
            return register[v] >= 0 and nexts[slot] == NEVER and (a, b, c).count(v) == 1

        if not dies(2) and (dies(0) or dies(1)):
            order = "213"
            over, other, last = (a, b, c) if dies(0) else (b, a, c)
            r = register[over]
            rv = self.load(other, r, register[last])
        else:
            order, over = "231", c
            other, last = (a, b) if register[a] >= 0 or register[b] < 0 else (b, a)
            rv = self.load(other, register[last], register[c])
            r = register[c]
            if not dies(2):
                r = self.grab(rv, register[last], r)
                if register[c] >= 0:
                    self.emit("move", r, 0, register[c])
                else:
                    self.fetch(r, self.operand_of(c))
                self.op(f"{operation} {order}", r, rv, last, (r, rv))
                self.finish(i, (a, b, c), r)
                return
        self.op(f"{operation} {order}", r, rv, last, (r, rv))
        register[over], self.occupant[r] = -1, None  # it is the result's now
        self.finish(i, (a, b, c), r)

    def select(self, i: int, c: int, a: int, b: int) -> None:
        rc = self.load(c)
        if self.lanes == 1:
            rb = self.load(b, rc, self.register[a])
            r = self.grab(rc, rb, self.register[a])
            self.op("select", r, rb, a, (rc, rb), bytes((rc << 4,)))
        else:
            mask = rc - self.number
            zero = b in self.zeros
            rb = 0 if zero else self.load(b, self.register[a])
            r = self.grab(rb, self.register[a])
            ra = self.register[a]
            if ra >= 0:
                form = VECTOR["move" if zero else "select"]
                self.out.append(masked(form, r, rb, ra, False, mask, zero))
            else:
                kind, tail = self.operand_of(a)
                spread = kind >> 1 & 3 == BROADCAST
                form = VECTOR[("spread" if spread else "load") if zero else "select"]
                self.out.append(masked(form, r, rb, kind, True, mask, zero) + tail)
        self.finish(i, (c, a, b), r)

    # ---- calls -------------------------------------------------------------------------------------------------------

    def call(self, i: int, operation: str, operands: Sequence[int]) -> None:
        """A function of the library, of the program's own, or of Python's. None of them leaves a register alone."""
        name = operation[5:] if is_call(operation) else operation
        if i in self.calls:
            self.call_if_needed(i, name, operands, *self.calls[i])
            return
        given = [self.register[x] if self.register[x] >= 0 else self.operand_of(x) for x in operands]
        at, following = self.program.inputs + i, self.following[i]
        for x, next_x in zip(operands, following, strict=True):
            if next_x == NEVER:  # what is not used again need not be kept
                self.leave(x)
        for v in [v for v in self.occupant if v is not None]:
            if self.home[v] is None:
                self.store(v)
            self.leave(v)
        if self.lanes > 1:
            self.out.append(b"\x41\xbf\xff\x00\x00\x00")  # mov r15d, 255
        self.free.remove(0)
        self.call_with(name, given, 0)
        for x, next_x in zip(operands, following, strict=True):
            self.done(x, next_x, at)
        self.gives(at, 0)

    def call_if_needed(self, i: int, name: str, operands: Sequence[int], c: int, outcome: bool) -> None:
        """The same where a condition holds (or does not), out of line, so that it costs little where it is not."""
        out, code = self.out, self.code
        mask = self.load(c)
        if self.lanes > 1:
            out.append(self.mask("read", 15, 0, mask - self.number))
            if not outcome:
                out.append(b"\x41\x81\xf7\xff\x00\x00\x00")  # xor r15d, 255
        else:
            out.append(self.registers[self.codes["signs"] | mask])
        r = self.grab(mask, *[self.register[x] for x in operands])
        given = [self.register[x] if self.register[x] >= 0 else self.operand_of(x) for x in operands]
        for x, following in zip((*operands, c), self.following[i], strict=True):
            self.done(x, following, self.program.inputs + i)
        kept = [k for k, v in enumerate(self.occupant) if v is not None]
        away, back = f"away {len(out)}", f"back {len(out)}"
        if self.lanes > 1:
            out.append(b"\x45\x85\xff")  # test r15d, r15d
            code.distance(b"\x0f\x85", away)
        else:
            out.append(b"\xa8\x01")  # test al, 1
            code.distance(b"\x0f\x85" if outcome else b"\x0f\x84", away)
        code.label(back)

        def write() -> None:
            code.label(away)
            for k in kept:
                self.keep(k, "store")
            self.call_with(name, given, r)
            for k in kept:
                self.keep(k, "load")
            code.distance(JUMP, back)

        code.pending.append(write)
        self.gives(self.program.inputs + i, r)

    def keep(self, k: int, name: str) -> None:
        """Write a register to memory that is this function's own for it, or read it from there."""
        code = self.code
        if k not in self.saved:
            width = PLAIN if self.lanes == 1 or k >= self.number else WIDE
            self.saved[k] = place(MEMORY, width, code.room(code.width))
        kind, tail = self.saved[k]
        if k >= self.number:
            self.out.append(self.mask(name, k - self.number, 0, kind, True) + tail)
        else:
            self.out.append(self.memory[self.codes[name] | k << 10 | kind] + tail)

    def call_with(self, name: str, given: Sequence[int | MemoryOperand], r: int) -> None:
        """Call a function, whose operands are in registers or in memory, and bring its result to a register."""
        code, out = self.code, self.out
        wide = WIDE if self.lanes > 1 else PLAIN
        own = name in code.lowered.functions
        result = -1
        if self.lanes > 1 and not own:
            *at, result = code.lane_by_lane(name, len(given))
        else:
            at = code.own(name) if own else self.scratch(len(given))
        places = [place(MEMORY, wide, each) for each in at]
        t = 0
        while t in given:
            t += 1
        for x, (kind, tail) in zip(given, places, strict=True):
            source = x if isinstance(x, int) else t
            if not isinstance(x, int):
                self.fetch(t, x)
            out.append(self.memory[self.codes["store"] | source << 10 | kind] + tail)
        if own:
            code.distance(CALL, name)
        elif self.lanes > 1:
            out.append(VZEROUPPER)
            code.distance(CALL, f"lanes {name}")
        else:
            code.call_with(name, places)
        if result >= 0:
            self.fetch(r, place(MEMORY, WIDE, result))
        elif r:
            out.append(self.registers[self.codes["move"] | r << 10])

    def scratch(self, count: int) -> list[int]:
        """Memory through which floats are handed to functions of the library."""
        known = self.code.arguments.setdefault("scratch", [])
        while len(known) < count:
            known.append(self.code.room(8))
        return known[:count]

    # ---- ends --------------------------------------------------------------------------------------------------------

    def result(self) -> None:
        """Leave the one output of a function in register 0."""
        (v,) = self.program.outputs
        r = self.register[v]
        if r > 0:
            self.out.append(self.registers[self.codes["move"] | r])
        elif r < 0:
            self.fetch(0, self.operand_of(v))

    def check(self, i: int) -> None:
        """The guards behind an instruction."""
        for g, (next_left, next_right) in zip(self.guards[i], reversed(self.after[i]), strict=True):
            left, right, title = g.left, g.right, g.comparison
            if title in ("gt", "ge"):
                left, right, title = right, left, {"gt": "lt", "ge": "le"}[title]
            if self.lanes == 1:
                # `order` finds out whether its first operand is above the other: left < right is right above left
                x, y = (right, left) if title in ("lt", "le") else (left, right)
                rx = self.load(x, self.register[y])
                self.op("order", rx, 0, y)
                holds, fails = {"lt": (b"\x0f\x87", b"\x0f\x86"), "le": (b"\x0f\x83", b"\x0f\x82")}.get(
                    title, (b"", b"")
                )
                if title in ("lt", "le"):
                    self.code.distance(fails if g.outcome else holds, "fail")
                elif (title == "eq") == g.outcome:  # must be equal
                    self.code.distance(b"\x0f\x85", "fail")
                    self.code.distance(b"\x0f\x8a", "fail")
                else:  # must not be equal; unordered is not equal
                    self.out.append(b"\x7a\x06")
                    self.code.distance(b"\x0f\x84", "fail")
            else:
                rx = self.load(left, self.register[right])
                self.op("compare", 0, rx, right, end=bytes((PREDICATES[title],)))
                self.out.append(self.mask("read", 0, 0, 0))
                if not g.outcome:
                    self.out.append(b"\x35\xff\x00\x00\x00")  # xor eax, 255
                self.out.append(b"\x21\x85" + self.code.constant("guards").to_bytes(4, "little", signed=True))
            for v, following in ((g.left, next_left), (g.right, next_right)):
                self.done(v, following, max(i, 0) + self.program.inputs)
