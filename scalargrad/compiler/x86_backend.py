"""Programs as machine code for x86-64, made here: one pass over the instructions, in time linear in their number.

A program is a straight line, so it is known of every value when it is used next, and the best that can be done with
few registers is known too: when one is needed, the value that is used last goes to memory (Belady, IBM Systems Journal
5, 1966). That is all the optimising that such code needs, beyond what the program has had; the processor does the
scheduling. It stands apart from `llvm_backend.py`, which makes code for every other processor, because there a compiler
decides all of this, and takes ten times as long.

One pass serves one point (`lanes` 1: AVX, floats in xmm registers, truth values as masks beside them) and eight samples
(`lanes` 8: AVX-512, vectors in zmm registers, truth values in mask registers). Nothing is contracted or reordered, and
library functions are those that Python calls, so that bits stay those of Python. Where a function of the library is
needed only in one arm of a selection, it is called only if that arm is taken.

Registers while the code runs: rbx the inputs, r14 the outputs, rbp the memory: constants below it, values that have no
register above it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from .assembler import (
    BROADCAST,
    CALL,
    CALL_PLACE,
    CODES,
    ENTER,
    EPILOGUE,
    JUMP,
    LEAVE,
    MASKS,
    PLAIN,
    PREDICATES,
    PROLOGUE,
    R14,
    REGISTERS,
    RETURN,
    ROUNDINGS,
    SCALAR,
    SWAPPED,
    VECTOR,
    VZEROUPPER,
    WIDE,
    Form,
    Place,
    Places,
    masked,
    shift,
    vex,
)  # fmt: skip
from .elementary import CONDITIONS, LIBRARY
from .lowering import Lowered, is_call
from .program import Guard, Program

NEVER = 1 << 60
FAR = 1000  # instructions; a value that is not used before goes to memory at once
AT_ONCE = 1  # registers that are freed when one is needed
INPUTS, MEMORY, OUTPUTS = 0, 1, 2  # indices of assembler.BASES
SIGN, MAGNITUDE, ALL = 1 << 63, (1 << 63) - 1, (1 << 64) - 1
_ARITHMETIC = frozenset(("add", "sub", "mul", "div", "min", "max"))
_COMMUTES = frozenset(("add", "mul"))
_UNARY = frozenset(("neg", "abs", "copysign", "sqrt", "scale", "exponent", "mantissa"))


def _pattern(x: float) -> int:
    found: int = struct.unpack("<Q", struct.pack("<d", x))[0]
    return found


class Code:
    """The machine code of one module under construction, and the layout of its memory."""

    def __init__(self, lowered: Lowered, lanes: int) -> None:
        self.lowered = lowered
        self.lanes = lanes
        self.width = 8 * lanes
        self.places = Places(lanes)
        self.out: list[bytes] = []
        self.labels: dict[str, int] = {}  # of places in `out`
        self.distances: list[tuple[int, str]] = []  # places in `out` that hold the distance to a label
        self.constants: dict[int | str, int] = {}  # bit patterns, and names of functions to be called, to displacements
        self.used = 0  # bytes of memory
        self.pending: list[Callable[[], None]] = []  # functions that are called and not yet written
        self.arguments: dict[str, list[int]] = {}  # where they expect what they are given

    def constant(self, what: int | str) -> int:
        found = self.constants.get(what)
        if found is None:
            found = self.constants[what] = -8 * (len(self.constants) + 1)
        return found

    def room(self, size: int) -> int:
        self.used += size
        return self.used - size

    def label(self, name: str) -> None:
        self.labels[name] = len(self.out)

    def distance(self, instruction: bytes, label: str) -> None:
        """A jump or a call."""
        self.out.append(instruction)
        self.distances.append((len(self.out), label))
        self.out.append(b"????")

    def call_library(self, name: str) -> None:
        if name == "erfc_fraction":
            self.distance(CALL, self.function(name, lambda: self._fraction()))
        else:
            self.out.append(CALL_PLACE + self.constant(name).to_bytes(4, "little", signed=True))

    def function(self, name: str, write: Callable[[], None]) -> str:
        """The label of a function, which is written behind what is being written now."""
        if name not in self.arguments:
            self.arguments[name] = []
            self.pending.append(write)
        return name

    def own(self, name: str) -> list[int]:
        """Where a function of the program's own expects its arguments; it is called by its name."""
        if name not in self.arguments:
            body = self.lowered.functions[name]
            found = self.arguments[name] = [self.room(self.width) for _ in range(body.inputs)]
            width = WIDE if self.lanes > 1 else PLAIN

            def write() -> None:
                self.label(name)
                self.out.append(ENTER)
                places = [self.places.place(MEMORY, width, at) for at in found]
                line = Line(self, body, places, None)
                line.run()
                line.result()
                self.out += (LEAVE, RETURN)

            self.pending.append(write)
        return self.arguments[name]

    def lane_by_lane(self, name: str, arity: int) -> list[int]:
        """Where a function of the library expects vectors, and, last, where it leaves one; for the lanes in r15."""
        full = f"lanes {name}"
        if full not in self.arguments:
            found = self.arguments[full] = [self.room(64) for _ in range(arity + 1)]
            self.pending.append(lambda: self._write_lanes(name, full, found))
        return self.arguments[full]

    def _write_lanes(self, name: str, full: str, at: Sequence[int]) -> None:
        scalar = Places(1)
        self.label(full)
        self.out.append(ENTER)
        for lane in range(8):
            self.out.append(bytes((0x41, 0xF6, 0xC7, 1 << lane)))  # test r15b, bit
            self.distance(b"\x0f\x84", f"{full} {lane}")
            given = [scalar.place(MEMORY, PLAIN, each + 8 * lane) for each in at]
            self.call_with(name, given[:-1])
            kind, tail = given[-1]
            self.out.append(REGISTERS[1][1][CODES[1]["store"] | kind] + tail)
            self.label(f"{full} {lane}")
        self.out += (LEAVE, RETURN)

    def call_with(self, name: str, given: Sequence[Place]) -> None:
        """Call a function of the library or of Python's with floats in memory."""
        memory, load = REGISTERS[1][1], CODES[1]["load"]
        for r, (kind, tail) in enumerate(given[:8]):
            self.out.append(memory[load | r << 10 | kind] + tail)
        beyond = given[8:]  # are handed over on the stack
        size = -(-len(beyond) // 2) * 16
        if beyond:
            self.out.append(b"\x48\x81\xec" + size.to_bytes(4, "little"))  # sub rsp, size
        for k, (kind, tail) in enumerate(beyond):
            self.out.append(memory[load | 8 << 10 | kind] + tail)
            self.out.append(vex(SCALAR["store"], 8, 0, 4) + b"\x84\x24" + (8 * k).to_bytes(4, "little"))  # [rsp + 8k]
        self.call_library(name)
        if beyond:
            self.out.append(b"\x48\x81\xc4" + size.to_bytes(4, "little"))

    def _fraction(self) -> None:
        """The loop of erfc, on one float in xmm0: see elementary.py."""
        registers, code = REGISTERS[1][0], CODES[1]

        def do(name: str, r: int, v: int, rm: int, end: bytes = b"") -> None:
            self.out.append(registers[code[name] | r << 10 | v << 5 | rm] + end)

        def load(r: int, x: float) -> None:
            kind, tail = Places(1).place(MEMORY, PLAIN, self.constant(_pattern(x)))
            self.out.append(REGISTERS[1][1][code["load"] | r << 10 | kind] + tail)

        self.label("erfc_fraction")
        for r, x in ((1, 200.0), (2, 12.0), (3, 0.5), (4, 0.25), (5, 1.0)):
            load(r, x)
        do("mul", 6, 0, 0)
        do("div", 6, 1, 6)
        do("add", 6, 2, 6)
        do("round", 6, 6, 6, b"\x0b")  # terms = int(12 + 200 / (x * x))
        do("mul", 7, 4, 0)
        do("mul", 7, 7, 0)
        do("mul", 8, 3, 6)
        do("add", 7, 7, 8)
        do("sqrt", 7, 7, 7)
        do("mul", 8, 3, 0)
        do("sub", 7, 7, 8)  # tail = sqrt(0.25 * x * x + 0.5 * terms) - 0.5 * x
        do("xor", 9, 9, 9)
        self.label("erfc_fraction loop")
        do("mul", 8, 3, 6)
        do("add", 7, 0, 7)
        do("div", 7, 8, 7)  # tail = 0.5 * k / (x + tail)
        do("sub", 6, 6, 5)
        do("order", 6, 0, 9)
        self.distance(b"\x0f\x87", "erfc_fraction loop")  # while k > 0
        do("move", 0, 0, 7)
        self.out.append(RETURN)

    def finish(self) -> bytes:
        """The bytes, once all that is called has been written."""
        while self.pending:
            self.pending.pop()()
        places = [0] * (len(self.out) + 1)
        at = 0
        for k, piece in enumerate(self.out):
            places[k] = at
            at += len(piece)
        places[len(self.out)] = at
        for k, label in self.distances:
            self.out[k] = (places[self.labels[label]] - places[k] - 4).to_bytes(4, "little", signed=True)
        return b"".join(self.out)


def needs(program: Program, guarded: set[int]) -> dict[int, tuple[int, bool]]:
    """Calls whose result counts only where a condition that is known before has one outcome: `call: (condition, it)`.

    Found backwards: a value is needed where one of its users is, and a selection needs each of its arms under its
    condition. What has users with different needs is always needed.
    """
    first = program.inputs
    found: list[Any] = [None] * (first + len(program))  # None: by nobody so far; True: always; or condition and outcome
    calls: dict[int, tuple[int, bool]] = {}
    for k in guarded:
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
            elif operation in LIBRARY or operation == "erfc_fraction" or is_call(operation):
                calls[i] = own
        for p in operands:
            need(p, own)
    return calls


class Line:
    """One straight-line program on its way to machine code: which value is where, and when it is used next."""

    def __init__(
        self,
        code: Code,
        program: Program,
        inputs: Sequence[Place],
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
        known = [code.places.place(MEMORY, width, code.constant(_pattern(c))) for c in program.constants]
        # Lists by the number of a value; those of constants are negative, and found from the end.
        self.home: list[Place | None] = [*inputs, *[None] * count, *reversed(known)]
        self.register = [-1] * (first + count + constants)
        self.slot: dict[int, int] = {}
        self.free_slots: list[int] = []
        number = 16 if self.lanes == 1 else 32
        self.free = list(range(number - 1, -1, -1))
        self.free_masks = list(range(number + 7, number, -1))  # k1 to k7 are registers 33 to 39
        self.occupant: list[int | None] = [None] * (number + 8)
        self.number = number
        self.calls: dict[int, tuple[int, bool]] = {}
        self.outputs: dict[int, list[int]] = {}
        for place, k in enumerate(program.outputs if stored else ()):
            self.outputs.setdefault(k, []).append(place)
        self.guards: dict[int, list[Guard]] = {}
        for g in program.guards:
            self.guards.setdefault(max(g.left, g.right, first - 1) - first, []).append(g)
        self._look_ahead()

    def _look_ahead(self) -> None:
        """For every operand of every instruction, the instruction that uses it next."""
        program = self.program
        if any(
            operation in LIBRARY or operation == "erfc_fraction" or is_call(operation)
            for operation in set(program.operations)
        ):
            self.calls = needs(program, {k for k in program.roots() if k >= 0})
        when = [NEVER] * len(self.register)
        if self.returns:
            when[program.outputs[0]] = len(program)
        following: list[Sequence[int]] = [()] * len(program)
        after: dict[int, list[Sequence[int]]] = {}
        operands = program.operands
        calls, guards = self.calls, self.guards
        special = bool(calls or guards)
        for i in range(len(operands) - 1, -1, -1):
            if special:
                if i in guards:
                    after[i] = [()] * len(guards[i])
                    for j in range(len(guards[i]) - 1, -1, -1):
                        g = guards[i][j]
                        after[i][j] = (when[g.left], when[g.right])
                        when[g.left] = when[g.right] = i
                if i in calls:
                    c = calls[i][0]
                    given = (*operands[i], c)
                    following[i] = [when[p] for p in given]
                    for p in given:
                        when[p] = i
                    continue
            given = operands[i]
            if len(given) == 2:
                a, b = given
                following[i] = when[a], when[b]
                when[a] = when[b] = i
            else:
                following[i] = [when[p] for p in given]
                for p in given:
                    when[p] = i
        if -1 in guards:
            after[-1] = [(when[g.left], when[g.right]) for g in guards[-1]]
        self.when, self.following, self.after = when, following, after

    # ---- registers and memory ----------------------------------------------------------------------------------------

    def new_slot(self, v: int) -> Place:
        """Room in memory for a value."""
        at = self.slot[v] = self.free_slots.pop() if self.free_slots else self.code.room(self.code.width)
        width = PLAIN if self.lanes == 1 or self.register[v] >= self.number else WIDE
        place = self.home[v] = self.code.places.place(MEMORY, width, at)
        return place

    def store(self, v: int) -> None:
        """Write a value that is in a register to its place in memory."""
        kind, tail = self.new_slot(v)
        r = self.register[v]
        if r >= self.number:
            self.out.append(self.mask("store", r - self.number, 0, kind, True) + tail)
        else:
            self.out.append(self.memory[self.codes["store"] | r << 10 | kind] + tail)

    def mask(self, name: str, r: int, v: int, rm: int, memory: bool = False) -> bytes:
        """An instruction on mask registers."""
        form = MASKS[name]
        if memory:
            from .assembler import _address

            base, modrm = _address(r, rm)
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
        """Free some registers, of the values that are used last."""
        when, occupant = self.when, self.occupant
        low, high = (self.number + 1, self.number + 8) if masks else (0, self.number)
        candidates = [v for v in occupant[low:high] if v is not None and self.register[v] not in keep]
        candidates.sort(key=when.__getitem__)
        for v in candidates[-AT_ONCE:]:
            if self.home[v] is None:
                self.store(v)
            self.leave(v)

    def grab(self, *keep: int) -> int:
        """A register that is free, without those in `keep`."""
        if not self.free:
            self.evict(keep)
        return self.free.pop()

    def grab_mask(self, *keep: int) -> int:
        if not self.free_masks:
            self.evict(keep, True)
        return self.free_masks.pop()

    def place_of(self, v: int) -> Place:
        found = self.home[v]
        assert found is not None
        return found

    def load(self, v: int, *keep: int) -> int:
        """The register of a value, which it is brought to if it has none."""
        r = self.register[v]
        if r >= 0:
            return r
        kind, tail = self.place_of(v)
        if self.lanes > 1 and self.is_condition(v):
            r = self.grab_mask(*keep)
            self.out.append(self.mask("load", r - self.number, 0, kind, True) + tail)
        else:
            r = self.grab(*keep)
            name = "spread" if kind >> 1 & 3 == BROADCAST else "load"
            self.out.append(self.memory[self.codes[name] | r << 10 | kind] + tail)
        self.register[v] = r
        self.occupant[r] = v
        return r

    def is_condition(self, v: int) -> bool:
        k = v - self.program.inputs
        return k >= 0 and self.program.operations[k] in CONDITIONS

    def done(self, v: int, following: int, i: int) -> None:
        """A value has been used, and is used next at `following`."""
        self.when[v] = following
        if following == NEVER:
            self.leave(v)
            if v in self.slot:
                self.free_slots.append(self.slot.pop(v))
        elif following - i > FAR and self.home[v] is not None:
            self.leave(v)

    def gives(self, v: int, r: int, i: int) -> None:
        """The instruction at i has left its result in a register."""
        self.register[v] = r
        self.occupant[r] = v
        if v in self.outputs:
            for place in self.outputs[v]:
                self.stored(place, r)
        following = self.when[v]
        if following == NEVER:
            self.leave(v)
        elif following - i > FAR:
            self.store(v)
            self.leave(v)

    # ---- instructions ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All instructions, in order."""
        first = self.program.inputs
        operations, operands = self.program.operations, self.program.operands
        register, home, when, following, occupant = (
            self.register, self.home, self.when, self.following, self.occupant,
        )  # fmt: skip
        free, slot, free_slots, outputs, guards = self.free, self.slot, self.free_slots, self.outputs, self.guards
        codes, rr, rm, emit = self.codes, self.registers, self.memory, self.out.append
        arithmetic = {name: codes[name] for name in _ARITHMETIC}
        self._ends_of_inputs()
        for i, operation in enumerate(operations):
            code = arithmetic.get(operation)
            if code is None:
                self.other(i, operation, operands[i])
            else:
                a, b = operands[i]
                next_a, next_b = following[i]
                ra, rb = register[a], register[b]
                if ra < 0:
                    if rb >= 0 and operation in _COMMUTES:
                        a, b, ra, rb, next_a, next_b = b, a, rb, ra, next_b, next_a
                    else:
                        if operation in _COMMUTES and next_b < next_a:  # the one that is used sooner stays loaded
                            a, b, next_a, next_b = b, a, next_b, next_a
                        ra = self.load(a, rb)
                        rb = register[b]
                place = home[b] if rb < 0 else None
                when[a] = next_a
                if next_a == NEVER:
                    register[a] = -1
                    occupant[ra] = None
                    free.append(ra)
                    if a in slot:
                        free_slots.append(slot.pop(a))
                elif next_a - i > FAR and home[a] is not None:
                    register[a] = -1
                    occupant[ra] = None
                    free.append(ra)
                if a != b:
                    when[b] = next_b
                    if next_b == NEVER and rb >= 0:
                        register[b] = -1
                        occupant[rb] = None
                        free.append(rb)
                if free:
                    r = free.pop()
                else:
                    self.evict((ra, rb))
                    r = free.pop()
                if place is None:
                    emit(rr[code | r << 10 | ra << 5 | rb])
                else:
                    kind, tail = place
                    emit(rm[code | r << 10 | ra << 5 | kind])
                    emit(tail)
                if next_b == NEVER and b in slot:  # not sooner: freeing a register may have written to a free slot
                    free_slots.append(slot.pop(b))
                v = first + i
                next_v = when[v]
                if v in outputs:
                    for output in outputs[v]:
                        self.stored(output, r)
                if next_v == NEVER:
                    free.append(r)
                else:
                    register[v] = r
                    occupant[r] = v
                    if next_v - i > FAR:
                        self.store(v)
                        self.leave(v)
            if i in guards:
                self.check(i)

    def _ends_of_inputs(self) -> None:
        """Outputs that are inputs or constants, and guards on such."""
        for k, places in self.outputs.items():
            if k < self.program.inputs:
                r = self.load(k)
                for place in places:
                    self.stored(place, r)
                self.leave(k)
        if -1 in self.guards:
            self.check(-1)

    def other(self, i: int, operation: str, operands: Sequence[int]) -> None:
        """What is not plain arithmetic on two operands."""
        if operation in PREDICATES:
            self.compare(i, operation, *operands)
        elif operation == "select":
            self.select(i, *operands)
        elif operation in ("and", "or", "not"):
            self.logic(i, operation, operands)
        elif operation in _UNARY or operation in ROUNDINGS:
            self.unary(i, operation, operands)
        else:
            self.call(i, operation, operands)

    def finish(self, i: int, operands: Sequence[int], r: int) -> None:
        for v, following in zip(operands, self.following[i], strict=True):
            self.done(v, following, i)
        self.gives(self.program.inputs + i, r, i)

    def op(self, name: str, r: int, v: int, x: int, keep: Sequence[int] = (), end: bytes = b"") -> None:
        """An instruction whose last operand is the value x, in its register or in memory."""
        rx = self.register[x]
        of_two = self.lanes == 1 and name in ("and", "andnot", "or", "xor", "select")
        if rx < 0 and of_two and self.place_of(x)[0] >> 3 != MEMORY:  # these read two floats, and there may be but one
            rx = self.load(x, r, v, *keep)
        if rx >= 0:
            self.out.append(self.registers[self.codes[name] | r << 10 | v << 5 | rx] + end)
        else:
            kind, tail = self.place_of(x)
            self.out.append(self.memory[self.codes[name] | r << 10 | v << 5 | kind] + tail + end)

    def with_pattern(self, name: str, r: int, v: int, pattern: int) -> None:
        """An instruction on bits, with a constant."""
        width = BROADCAST if self.lanes > 1 else PLAIN
        kind, tail = self.code.places.place(MEMORY, width, self.code.constant(pattern))
        self.out.append(self.memory[self.codes[name] | r << 10 | v << 5 | kind] + tail)

    def unary(self, i: int, operation: str, operands: Sequence[int]) -> None:
        a = self.load(operands[0])
        if operation == "copysign":
            b = self.load(operands[1], a)
            r = self.grab(a, b)
            t = self.grab(a, b, r)
            self.with_pattern("and", r, a, MAGNITUDE)
            self.with_pattern("and", t, b, SIGN)
            self.out.append(self.registers[self.codes["or"] | r << 10 | r << 5 | t])
            self.free.append(t)
        elif operation == "scale":
            r = self.scale(a, operands[1])
        else:
            r = self.grab(a)
            if operation == "neg":
                self.with_pattern("xor", r, a, SIGN)
            elif operation == "abs":
                self.with_pattern("and", r, a, MAGNITUDE)
            elif operation == "exponent":  # as 2**52 + the exponent's bits, less what that is for 2**0
                self.out.append(shift(self.lanes, False, r, a))
                self.with_pattern("or", r, r, _pattern(2.0**52))
                self.with_pattern("sub", r, r, _pattern(2.0**52 + 1023.0))
            elif operation == "mantissa":
                self.with_pattern("and", r, a, (1 << 52) - 1)
                self.with_pattern("or", r, r, _pattern(1.0))
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
        self.with_pattern("load", h, 0, _pattern(0.5))
        self.emit("mul", h, h, b)
        self.emit("round", h, h, h, ROUNDINGS["floor"])
        self.emit("sub", r, b, h)
        for register in (h, r):  # 2**k is k + 1023 in the bits of the exponent; adding 2**52 brings k to the last bits
            self.with_pattern("add", register, register, _pattern(2.0**52 + 1023.0))
            self.out.append(shift(1, True, register, register))
        self.emit("mul", h, a, h)
        self.emit("mul", r, h, r)
        self.free.append(h)
        return r

    def emit(self, name: str, r: int, v: int, rm: int, end: bytes = b"") -> None:
        """An instruction on registers."""
        self.out.append(self.registers[self.codes[name] | r << 10 | v << 5 | rm] + end)

    def compare(self, i: int, operation: str, a: int, b: int) -> None:
        predicate = PREDICATES[operation]
        x, y = a, b
        if self.register[x] < 0 <= self.register[y]:
            x, y, predicate = y, x, SWAPPED[operation]
        rx = self.load(x, self.register[y])
        if self.lanes == 1:
            r = self.grab(rx, self.register[y])
            self.op("compare", r, rx, y, end=bytes((predicate,)))
        else:
            r = self.grab_mask()
            self.op("compare", r - self.number, rx, y, end=bytes((predicate,)))
        self.finish(i, (a, b), r)

    def logic(self, i: int, operation: str, operands: Sequence[int]) -> None:
        a = self.load(operands[0])
        if self.lanes == 1:
            if operation == "not":
                r = self.grab(a)
                self.with_pattern("xor", r, a, ALL)
            else:
                r = self.grab(a, self.register[operands[1]])
                self.op(operation, r, a, operands[1], (a,))
        else:
            n = self.number
            b = self.load(operands[1], a) if len(operands) > 1 else 0
            r = self.grab_mask(a, b)
            self.out.append(
                self.mask("not", r - n, 0, a - n) if operation == "not" else self.mask(operation, r - n, a - n, b - n)
            )
        self.finish(i, operands, r)

    def is_zero(self, v: int) -> bool:
        return v < 0 and _pattern(self.program.constants[~v]) == 0

    def select(self, i: int, c: int, a: int, b: int) -> None:
        rc = self.load(c)
        if self.lanes == 1:
            if self.is_zero(b):
                r = self.grab(rc, self.register[a])
                self.op("and", r, rc, a, (rc,))
            elif self.is_zero(a):
                r = self.grab(rc, self.register[b])
                self.op("andnot", r, rc, b, (rc,))
            else:
                rb = self.load(b, rc, self.register[a])
                r = self.grab(rc, rb, self.register[a])
                self.op("select", r, rb, a, (rc, rb), bytes((rc << 4,)))
        else:
            mask = rc - self.number
            zero = self.is_zero(b)
            rb = 0 if zero else self.load(b, self.register[a])
            r = self.grab(rb, self.register[a])
            ra = self.register[a]
            if ra >= 0:
                form = VECTOR["move" if zero else "select"]
                self.out.append(masked(form, r, rb, ra, False, mask, zero))
            else:
                kind, tail = self.place_of(a)
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
        given = [self.register[x] if self.register[x] >= 0 else self.place_of(x) for x in operands]
        for x, following in zip(operands, self.following[i], strict=True):
            self.when[x] = following  # what is not used again need not be kept
        for v in [v for v in self.occupant if v is not None]:
            if self.when[v] != NEVER and self.home[v] is None:
                self.store(v)
            self.leave(v)
        if self.lanes > 1:
            self.out.append(b"\x41\xbf\xff\x00\x00\x00")  # mov r15d, 255
        self.free.remove(0)
        self.call_with(name, given, 0)
        for x in operands:
            self.done(x, self.when[x], i)
        self.gives(self.program.inputs + i, 0, i)

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
        given = [self.register[x] if self.register[x] >= 0 else self.place_of(x) for x in operands]
        for x, following in zip((*operands, c), self.following[i], strict=True):
            self.done(x, following, i)
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
        self.gives(self.program.inputs + i, r, i)

    def keep(self, k: int, name: str) -> None:
        """Write a register to memory that is its own, or read it from there."""
        code = self.code
        key = f"register {k}"
        if key not in code.arguments:
            code.arguments[key] = [code.room(code.width)]
        (at,) = code.arguments[key]
        if k >= self.number:
            kind, tail = code.places.place(MEMORY, PLAIN, at)
            self.out.append(self.mask(name, k - self.number, 0, kind, True) + tail)
        else:
            kind, tail = code.places.place(MEMORY, WIDE if self.lanes > 1 else PLAIN, at)
            self.out.append(self.memory[self.codes[name] | k << 10 | kind] + tail)

    def call_with(self, name: str, given: Sequence[int | Place], r: int) -> None:
        """Call a function, whose operands are in registers or in memory, and bring its result to a register."""
        code, out = self.code, self.out
        wide = WIDE if self.lanes > 1 else PLAIN
        own = name in code.lowered.functions
        result = -1
        if self.lanes > 1 and not own:
            *at, result = code.lane_by_lane(name, len(given))
        else:
            at = code.own(name) if own else self.scratch(len(given))
        places = [code.places.place(MEMORY, wide, each) for each in at]
        t = 0
        while t in given:
            t += 1
        for x, (kind, tail) in zip(given, places, strict=True):
            source = x if isinstance(x, int) else t
            if not isinstance(x, int):
                name_of_load = "spread" if x[0] >> 1 & 3 == BROADCAST else "load"
                out.append(self.memory[self.codes[name_of_load] | t << 10 | x[0]] + x[1])
            out.append(self.memory[self.codes["store"] | source << 10 | kind] + tail)
        if own:
            code.distance(CALL, name)
        elif self.lanes > 1:
            out.append(VZEROUPPER)
            code.distance(CALL, f"lanes {name}")
        else:
            code.call_with(name, places)
        if result >= 0:
            kind, tail = code.places.place(MEMORY, WIDE, result)
            out.append(self.memory[self.codes["load"] | r << 10 | kind] + tail)
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
            kind, tail = self.place_of(v)
            name = "spread" if kind >> 1 & 3 == BROADCAST else "load"
            self.out.append(self.memory[self.codes[name] | kind] + tail)

    def check(self, i: int) -> None:
        """The guards behind an instruction."""
        for g, (next_left, next_right) in zip(self.guards[i], self.after[i], strict=True):
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
                self.done(v, following, max(i, 0))


def scalar_code(lowered: Lowered) -> Code:
    """`int run(double *x, double *y, char *m)` on one point: x the inputs, y the outputs, m the memory.

    Returns 0 where a guard does not hold, 1 where all do, 3 where all do and an output is nan. Behind y there must be
    zeros up to a multiple of eight.
    """
    code = Code(lowered, 1)
    program = lowered.program
    code.out.append(PROLOGUE)
    place = code.places.place
    memory, store = REGISTERS[1][1], CODES[1]["store"]

    def stored(k: int, register: int) -> None:
        kind, tail = place(OUTPUTS, PLAIN, 8 * k)
        code.out.append(memory[store | register << 10 | kind] + tail)

    Line(code, program, [place(INPUTS, PLAIN, 8 * k) for k in range(program.inputs)], stored).run()
    out = code.out
    long_load, long_compare = Form(0x10, long=1), Form(0xC2, long=1)
    out.append(vex(SCALAR["xor"], 1, 1, 1) + b"\xc9")
    for k in range(0, len(program.outputs), 8):  # is either of two floats a nan?
        out.append(vex(long_load, 0, 0, R14) + b"\x86" + (8 * k).to_bytes(4, "little"))
        out.append(vex(long_compare, 0, 0, R14) + b"\x86" + (8 * k + 32).to_bytes(4, "little") + b"\x03")
        out.append(vex(Form(0x56, long=1), 1, 1, 0) + b"\xc8")
    out.append(vex(Form(0x50, long=1), 0, 0, 1) + b"\xc1")
    out.append(bytes.fromhex("31c9 85c0 0f95c1 8d440901"))  # 1, or 3 if a sign was set
    out.append(VZEROUPPER + EPILOGUE)
    code.label("fail")
    out.append(bytes.fromhex("31c0") + VZEROUPPER + EPILOGUE)
    return code


def kernel_code(lowered: Lowered, mapped: Sequence[bool], reduce: bool) -> Code:
    """`int run(double *x, double *y, char *m)` on eight samples: see driver.py for what x and y hold."""
    code = Code(lowered, 8)
    program = lowered.program
    out = code.out
    out.append(PROLOGUE)
    if program.guards:
        at = code.constant("guards").to_bytes(4, "little", signed=True)
        out.append(b"\xc7\x85" + at + b"\xff\x00\x00\x00")  # mov dword [rbp + at], 255
    place = code.places.place
    memory, codes = REGISTERS[8][1], CODES[8]
    inputs: list[Place] = []
    wide, shared = 0, 64 * sum(mapped)
    for each in mapped:
        if each:
            inputs.append(place(INPUTS, WIDE, wide))
            wide += 64
        else:
            inputs.append(place(INPUTS, BROADCAST, shared))
            shared += 8

    def stored(k: int, register: int) -> None:
        kind, tail = place(OUTPUTS, WIDE, 64 * k)
        if reduce:
            t = line.grab(register)
            out.append(memory[codes["add"] | t << 10 | register << 5 | kind] + tail)
            line.free.append(t)
            register = t
        out.append(memory[codes["store"] | register << 10 | kind] + tail)

    line = Line(code, program, inputs, stored)
    line.run()
    if program.guards:
        out.append(b"\x8b\x85" + code.constant("guards").to_bytes(4, "little", signed=True))  # mov eax, [rbp + at]
    else:
        out.append(b"\xb8\xff\x00\x00\x00")  # mov eax, 255
    out.append(VZEROUPPER + EPILOGUE)
    return code
