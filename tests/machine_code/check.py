"""Whether machine code computes its program: a proof from the bytes that `registers.py` and `code.py` emitted.

`conftest.py` has all code that is made for x86-64 in a test checked before it is run, for one point and for batches. It
takes time linear in the length of the code, about as long as making the code does (5 us an instruction).

The code is decoded (`decoder.py`, which shares no table with the assembler) and run on symbols (`state.py`). A
register, a mask register and a cell of memory hold the number of a value of the program (`numbering.py`), or nothing
known. An instruction is looked up by what it does and by what its operands hold at that moment; one that computes
nothing that the program asks for is an error, which names it, its operands and what they held. Nothing that the
allocator noted is read, and what is claimed of functions (where they begin, where they find their operands) is checked.
So these are proven, for one float (AVX) and for eight (AVX-512):

- Every operand, in a register, in memory, spilled, shared or a constant, of every operation is the value that the
  program says, in the order it says; rounding modes and predicates of comparisons are those meant.
- A call leaves no register as it was. A function of the program's own overwrites all the memory that its code and the
  functions it calls write, and computes its body from where its caller put the operands. A function of the library or
  of Python's is the one meant; its operands are in order, also on the stack, which is on a boundary of 16 bytes. What
  is called lane by lane is called for each lane in r15, with that lane's operands, and writes that lane's result alone.
- A call out of line is followed both ways. What it gives is known, where the paths meet, only for the outcome of the
  condition under which it is made (in each lane), until a selection by that condition takes it in that case alone;
  what is stored as an output, returned or compared by a guard must be known without any condition.
- Each guard compares its two values, and the code leaves by "fail" exactly where the comparison comes out otherwise
  (less, equal, greater and unordered are each followed); eight lanes' guards are all collected and returned.
- Every output's cell holds its value at the end, or, when reducing, what was there plus that; no other cell of the
  outputs, none of the inputs and none outside the memory is written.

Taken as given: x, y and the memory do not overlap; functions of the library and of Python's keep to the calling
convention of System V and write none of these; how constants are laid out before the memory; values, not bits of nan
(of two nans, a sum keeps the first). In code for one float, the upper halves of registers hold nothing. The loop of
`erfc_fraction`, which is no program, is not looked into.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from scalargrad.compiler.ir.elementary import BINARY_LIBRARY, LIBRARY
from scalargrad.compiler.ir.program import Program

from .decoder import R14, RBP, RBX, RSP, Head, Instruction, UnknownInstruction, decode
from .numbering import ALWAYS, AllocationError, Held, ordered
from .state import ADDING, FUSED, ON_EIGHT, ON_ONE, State

if TYPE_CHECKING:
    from scalargrad.compiler.backends.x86.code import Code

LOOPS = frozenset(("erfc_fraction",))  # functions in machine code that have no program: their insides are not checked

# The relations at which a jump after VUCOMISD is taken, by the flags that it sets.
_TAKEN = {"ja": ">", "jbe": "<=?", "jae": ">=", "jb": "<?", "jne": "<>", "je": "=?", "jp": "?", "jnp": "<=>"}

ENTERED = bytes.fromhex("53 55 4156 4157 4883ec08 4889fb 4989f6 4889d5")
# push rbx; push rbp; push r14; push r15; sub rsp, 8; mov rbx, rdi; mov r14, rsi; mov rbp, rdx
LEFT = bytes.fromhex("c5f877 4883c408 415f 415e 5d 5b c3")  # vzeroupper; add rsp, 8; pop r15, r14, rbp, rbx; ret
FAILED = bytes.fromhex("31c0") + LEFT  # xor eax, eax


def ends_of_one(outputs: int) -> bytes:
    """How code for one point ends: with 1, or 3 if one of the outputs, eight at a time, is nan."""
    found = bytes.fromhex("c5f157c9")  # vxorpd xmm1, xmm1, xmm1
    for k in range(0, outputs, 8):  # vmovupd ymm0, [r14 + d]; vcmpunordpd ymm0, ymm0, [r14 + d + 32]; vorpd ymm1, ...
        found += bytes.fromhex("c4c17d1086") + struct.pack("<i", 8 * k)
        found += bytes.fromhex("c4c17dc286") + struct.pack("<i", 8 * k + 32) + b"\x03" + bytes.fromhex("c5f556c8")
    # vmovmskpd eax, ymm1; xor ecx, ecx; test eax, eax; setnz cl; lea eax, [rcx + rcx + 1]
    return found + bytes.fromhex("c5fd50c1 31c9 85c0 0f95c1 8d440901") + LEFT


class Module:
    """All the code of one module, with its functions, each of which is checked once."""

    def __init__(self, code: Code, made: bytes, offsets: dict[str, int]) -> None:
        self.code, self.bytes = code, made
        self.heads: dict[bytes, Head] = {}
        self.constants = {-8 * (k + 1): what for k, what in enumerate(code.constants)}
        self.room = 8 * -(-code.used // 8) + 64
        own = code.lowered.functions
        called = {*own, *LOOPS, *(name for name in code.arguments if name.startswith("lanes "))}
        self.names = {offsets[name]: name for name in called if name in offsets}  # a claim, which is checked
        self.written: dict[str, set[int] | None] = {}

    def writes(self, name: str, start: int) -> set[int]:
        """The cells of memory that a function writes, once it has been found to do what its name says."""
        if name in LOOPS:
            return set()
        if name not in self.written:
            self.written[name] = None
            if name.startswith("lanes "):
                self.written[name] = self.lane_by_lane(name, start)
            else:
                body = self.code.lowered.functions[name]
                walk = Walk(self, name, body, self.code.lanes, start)
                walk.cells[RBP].update(zip(self.code.arguments[name], walk.terms.inputs, strict=True))
                walk.function()
                self.written[name] = walk.writes
        found = self.written[name]
        if found is None:
            raise AllocationError(f"{name} calls itself, and would overwrite its own memory")
        return found

    def lane_by_lane(self, name: str, start: int) -> set[int]:
        """Eight times the same for a lane of its own: test its bit in r15, call, write its result."""
        operation = name.removeprefix("lanes ")
        *given, result = self.code.arguments[name]
        if any(at % 64 for at in (*given, result)):
            raise AllocationError(f"{name}: its operands or its result lie across cells of memory")
        wanted = operation if operation in LIBRARY or operation in LOOPS else f"call {operation}"
        program = Program(len(given))
        program.outputs = [program.emit(wanted, tuple(range(len(given))))]
        walk = Walk(self, name, program, 1, start)
        walk.expect("sub rsp", immediate=8)
        walk.sp += 8
        for lane in range(8):
            walk.expect("test r15b", immediate=(1 << lane ^ 128) - 128)
            jump = walk.expect("je")
            walk.forget()
            walk.writes.clear()
            walk.cells[RBP] = {at + 8 * lane: v for at, v in zip(given, walk.terms.inputs, strict=True)}
            walk.until(jump.end + jump.immediate)
            walk.the("the lane's result", walk.cells[RBP].get(result + 8 * lane), walk.terms.outputs[0])
            if walk.writes != {result + 8 * lane}:
                walk.fail(f"lane {lane} writes {sorted(walk.writes)} and not its result alone")
        walk.expect("add rsp", immediate=8)
        walk.expect("ret")
        return {result}


class Walk(State):
    """One function run on symbols, from its first instruction to its return."""

    def __init__(self, module: Module, title: str, program: Program, lanes: int, start: int) -> None:
        super().__init__(title, program, lanes, module.constants, module.room, start)
        self.module = module
        self.whole = start == 0  # whether it is the program itself, and no function
        self.handlers = NARROW if lanes == 1 else WIDE
        self.guards: set[Any] = set()  # that were met; and all there are
        self.every_guard = set(self.terms.guards)
        self.cell_of_guards: int | None = None
        self.added: set[int] = set()  # places of outputs that were added to what was there

    # ---- general registers, jumps and calls --------------------------------------------------------------------------

    def general(self) -> None:
        now, full = self.now, 255
        if self.lanes == 1 and now.name not in ("vmovmskpd", "test al"):
            self.fail("nothing that code for one float may do")
        match now.name:
            case "vmovmskpd" if now.r == 0 and self.lanes == 1:
                self.eax = self.x[now.rm], True
            case "test al" if now.immediate == 1 and self.lanes == 1:
                self.flags = "bit", self.eax
            case "mov r15d" if now.immediate == full:
                self.r15 = -1, True  # a condition that always holds
            case "xor r15d" if now.immediate == full and self.r15 is not None:
                self.r15, self.flags = (self.r15[0], not self.r15[1]), None
            case "test r15d, r15d":
                self.flags = "lanes", self.r15
            case "xor eax" if now.immediate == full and isinstance(self.eax, tuple) and self.lanes > 1:
                self.eax, self.flags = (self.eax[0], not self.eax[1]), None
            case "mov dword []" if now.immediate == full and self.of_guards():
                self.cell_of_guards = now.displacement
            case "and [], eax" if self.of_guards() and now.displacement == self.cell_of_guards:
                if self.path is not None or self.eax not in self.every_guard:
                    self.fail("a guard that the program does not have")
                self.guards.add(self.eax)
                self.flags = None
            case "mov eax, []" if self.of_guards() and now.displacement == self.cell_of_guards:
                self.eax = "guards"
            case "mov eax" if now.immediate == full:
                self.eax = "all"
            case _:
                self.fail("nothing that may be done here")

    def of_guards(self) -> bool:
        return self.whole and self.constants.get(self.now.displacement) == "guards"

    def stack(self) -> None:
        """Before a call, whose operands beyond eight stand there."""
        self.sp += self.now.immediate if self.now.name == "sub rsp" else -self.now.immediate
        self.cells[RSP] = {}
        self.flags = None

    def jump(self) -> None:
        now = self.now
        if self.flags is None or self.path is not None or now.name not in ("je", "jne"):
            self.fail("a jump by flags that nothing set, or inside a call out of line")
        kind, what = self.flags
        if what is None or (kind == "lanes" and now.name == "je") or not isinstance(what, tuple):
            self.fail("a jump by flags that nothing set")
        held, outcome = what
        self.flags = None
        if kind == "bit":
            outcome = now.name == "jne"
        if held is None or held == -1:
            self.fail("a call under a condition that is not known")
        self.away(now.end + now.immediate, held, outcome)

    def away(self, start: int, condition: Held, outcome: bool) -> None:
        """A call out of line: the way through it and the way past it, and what is known where they meet."""
        assert condition is not None
        c, also = (condition, ALWAYS) if isinstance(condition, int) else condition
        back = self.now.end
        x, k, sp = self.x, self.k, self.sp
        self.undo, self.path = [], (c, outcome)
        self.x, self.k = [self.known(each) for each in x], [self.known(each) for each in k]
        self.at = start
        while (last := self.step()).name != "jmp":
            pass
        if last.end + last.immediate != back or self.sp != sp:
            self.fail("the way back leads elsewhere")
        undo, self.undo, self.path = self.undo, None, None
        under = also | {(c, outcome)}

        def joined(one: Held, other: Held, here: bool) -> Held:
            if one == other:
                return one
            if one is None:
                return None
            number, cases = (one, ALWAYS) if isinstance(one, int) else one
            if other is not None:
                known, more = (other, ALWAYS) if isinstance(other, int) else other
                if known == number:
                    return (number, cases | more) if cases | more else number
            return (number, cases | under) if here else None

        self.x = [joined(a, b, True) for a, b in zip(self.x, x, strict=True)]
        self.k = [joined(a, b, True) for a, b in zip(self.k, k, strict=True)]
        before: dict[tuple[int, int], tuple[dict[int, Held], Held]] = {}
        for cells, at, old in undo:
            before.setdefault((id(cells), at), (cells, old))
        for (_, at), (cells, old) in before.items():
            cells[at] = joined(cells[at], old, False)
        self.eax = self.r15 = self.flags = None
        self.at = back

    def order(self) -> None:
        """A comparison of two floats and the jumps behind it: a guard."""
        now = self.now
        a, b = self.x[now.r], self.read()
        if not isinstance(a, int) or not isinstance(b, int) or self.path is not None:
            self.fail(f"a guard compares {self.terms.show(a)} with {self.terms.show(b)}")
        here, failing = set("<=>?"), set[str]()
        passing: dict[int, set[str]] = {}  # places that are jumped to, and in which cases
        self.at = now.end
        while True:
            here |= passing.pop(self.at, set())
            jump = self.decoded()
            if jump.name not in _TAKEN:
                break
            taken = here & set(_TAKEN[jump.name])
            target = jump.end + jump.immediate
            if self.module.bytes.startswith(FAILED, target):
                failing |= taken
            else:
                passing[target] = passing.get(target, set()) | taken
            here -= taken
            self.at = jump.end
        found = ordered(a, b, frozenset(failing))
        if passing or found not in self.every_guard:
            shown = f"{self.terms.names[a]} ({'or'.join(sorted(failing))}) {self.terms.names[b]}"
            self.fail(f"the program has no guard that fails where {shown}")
        self.guards.add(found)

    def call_of_library(self) -> None:
        name = self.constants.get(self.now.displacement)
        if not isinstance(name, str):
            self.fail("a call of what is no function")
        self.called(name, name if name in LIBRARY else f"call {name}")

    def called(self, name: str, operation: str) -> None:
        """A function that takes floats in registers, and beyond eight on the stack."""
        if self.sp % 16 or self.lanes > 1:
            self.fail("the stack is not on a boundary of 16 bytes, or a function is called with vectors")
        callbacks = self.module.code.lowered.callbacks
        if name in callbacks and self.path is not None:
            self.fail("an operation of Python's, which may raise, must be called whatever the condition")
        count = callbacks[name][1] if name in callbacks else 1 + (name in BINARY_LIBRARY)
        given = [*self.x[: min(count, 8)], *(self.cells[RSP].get(8 * k) for k in range(count - 8))]
        found = self.find(operation, given)
        self.forget()
        self.cells[RSP] = {}
        self.x[0] = found

    def call(self) -> None:
        """A function in this module."""
        module, now = self.module, self.now
        target = now.end + now.immediate
        name = module.names.get(target)
        if name is None:
            self.fail("a call to where no function begins")
        if name in LOOPS:
            self.called(name, name)
            return
        written = module.writes(name, target)
        cells, masks = self.cells[RBP], self.masks
        places = module.code.arguments[name]
        r15, sp = self.r15, self.sp
        if sp % 16:
            self.fail("the stack is not on a boundary of 16 bytes")
        operation = f"call {name}"
        if name.startswith("lanes "):
            *places, result = places
            operation = name.removeprefix("lanes ")
            operation = operation if operation in LIBRARY or operation in LOOPS else f"call {operation}"
        found = self.find(operation, [self.known(cells.get(at)) for at in places])
        for at in written:
            self.write(cells, at, None)
            self.write(masks, at, None)
        self.writes |= written
        self.forget()
        if name.startswith("lanes "):
            self.r15 = r15  # which functions of the library leave alone
            if operation not in LIBRARY and operation not in LOOPS and r15 != (-1, True):
                self.fail("an operation of Python's, which may raise, must be called in all lanes")
            self.write(cells, result, self.under_mask(found, r15))
        else:
            self.x[0] = found

    def under_mask(self, found: Held, r15: tuple[Held, bool] | None) -> Held:
        """What was computed in the lanes that are in r15."""
        condition, outcome = r15 or (None, True)
        if condition is None or found is None:
            self.fail("r15 holds no mask that is known")
        if condition == -1:
            return found if outcome else None
        c, also = (condition, ALWAYS) if isinstance(condition, int) else condition
        number, under = (found, ALWAYS) if isinstance(found, int) else found
        return self.known((number, under | also | {(c, outcome)}))

    # ---- from one instruction to the next ----------------------------------------------------------------------------

    def decoded(self) -> Instruction:
        try:
            return decode(self.module.bytes, self.at, self.module.heads)
        except (UnknownInstruction, IndexError) as error:
            raise AllocationError(f"{self.title}, byte {self.at}: no instruction that is known: {error}") from None

    def step(self) -> Instruction:
        now = self.now = self.decoded()
        self.begun, self.at = self.at, now.end
        if now.mask and now.name not in MASKED:
            return self.onto()
        self.handlers.get(now.name, Walk.general)(self)
        return now

    def onto(self) -> Instruction:
        """Two instructions that add an output to what is in its place."""
        now, r = self.now, self.now.r
        adds = now.name == "vaddpd" and self.k[now.mask] == ADDING and not now.zero and now.v == r
        if not adds or now.base != R14 or self.path is not None:
            self.fail("some lanes are left out")
        found = self.expect("vmovapd store", r=r, base=R14, displacement=now.displacement)
        self.store(self.x[r])
        self.x[r] = None
        self.added.add(now.displacement)
        return found

    def expect(self, name: str, **fields: Any) -> Instruction:
        now = self.now = self.decoded()
        self.begun = self.at
        if now.name != name or any(getattr(now, field) != wanted for field, wanted in fields.items()):
            self.fail(f"{name} must stand here")
        self.at = now.end
        return now

    def until(self, end: int) -> None:
        while self.at < end:
            if self.step().name in ENDS:
                self.fail("it ends before it should")
        if self.at != end:
            self.fail("a jump leads into an instruction")

    def function(self) -> None:
        """A function of the program's own, which leaves its result in register 0."""
        self.expect("sub rsp", immediate=8)
        self.sp += 8
        while (last := self.step()).name not in ENDS:
            pass
        if self.sp != 8 or last.name != "ret":
            self.fail("it returns with another stack")
        self.the("the result", self.x[0], self.terms.outputs[0])

    def main(self, end: bytes, outputs: Sequence[tuple[int, int]]) -> None:
        """The program itself, up to how it ends; its outputs go to those places, a register and a displacement each."""
        self.outputs = frozenset(outputs)
        if not self.module.bytes.startswith(ENTERED):
            self.fail("how it begins")
        self.at, self.sp, self.entered = len(ENTERED), 48, 48
        first = end[:4]
        while not (self.module.bytes.startswith(first, self.at) and self.module.bytes.startswith(end, self.at)):
            if self.step().name in ENDS:
                self.fail("the end is reached by another way")
        if self.sp != 48:
            self.fail("it ends with another stack")
        for guard, found in zip(self.program.guards, self.terms.guards, strict=True):
            if found not in self.guards:
                self.fail(f"it is not checked that {guard}")


def nothing(walk: Walk) -> None:
    """What ends a function or a call out of line: who follows it there knows which it must be."""


def uppers(walk: Walk) -> None:
    """The upper halves of the first sixteen registers are zeros."""
    if walk.lanes > 1:
        walk.x[:16] = [None] * 16


ENDS = ("ret", "jmp")
MASKED = ("vmovapd zmm", "vbroadcastsd", "vblendmpd")
Handlers = dict[str, Callable[[Walk], None]]
_BOTH: Handlers = {
    **dict.fromkeys(("sub rsp", "add rsp"), Walk.stack),
    **dict.fromkeys(("je", "jne"), Walk.jump),
    **dict.fromkeys(ENDS, nothing),
    "call": Walk.call,
    "vzeroupper": uppers,
}
NARROW: Handlers = {
    **_BOTH,
    **dict.fromkeys(ON_ONE, Walk.two),
    **{f"{name}sd": Walk.fused for name in FUSED},
    **dict.fromkeys(("vsqrtsd", "vroundsd"), Walk.one),
    **dict.fromkeys(("vmovsd load", "vmovapd"), Walk.load),
    "vmovsd store": lambda walk: walk.store(walk.x[walk.now.r]),
    "vcmpsd": Walk.compare,
    "vblendvpd": Walk.blend,
    "shift": Walk.shift,
    "vucomisd": Walk.order,
    "call []": Walk.call_of_library,
}
WIDE: Handlers = {
    **_BOTH,
    **dict.fromkeys(ON_EIGHT, Walk.two),
    **{f"{name}pd": Walk.fused for name in FUSED},
    **dict.fromkeys(("vsqrtpd", "vrndscalepd"), Walk.one),
    **dict.fromkeys(("vmovapd zmm", "vbroadcastsd"), Walk.load),
    "vmovapd store": lambda walk: walk.store(walk.x[walk.now.r]),
    "vcmppd": Walk.compare,
    "vblendmpd": Walk.blend,
    "shift zmm": Walk.shift,
    **dict.fromkeys(("kandb", "korb", "knotb"), Walk.logic),
    **dict.fromkeys(("kmovb load", "kmovb store", "kmovb read"), Walk.mask_moves),
}


def check(code: Code, made: bytes, offsets: dict[str, int], places: Sequence[tuple[bool, int]] | None) -> None:
    """Raise `AllocationError` unless the bytes compute the program.

    `places` are those of `kernel_code`, None for code for one point.

    >>> from scalargrad.compiler.ir.lowering import Lowered
    >>> from scalargrad.compiler.backends.x86.code import scalar_code
    >>> program = Program(2)
    >>> program.outputs = [program.emit("sub", (0, 1))]
    >>> code = scalar_code(Lowered(program))
    >>> made = code.finish()
    >>> check(code, made, {}, None)
    >>> check(code, made.replace(bytes((0x5C,)), bytes((0x58,))), {}, None)  # an addition
    Traceback (most recent call last):
    tests...AllocationError: the program, byte 24, vaddsd (registers 0, 0; [rbx + 8]; 0): \
add(input 0, input 1) is nothing that the program computes; the program has next: value 2 = sub(input 0, input 1)
    """
    program = code.lowered.program
    module = Module(code, made, offsets)
    walk = Walk(module, "the program", program, code.lanes, 0)
    terms, unit = walk.terms, 8 * code.lanes
    outputs = [(R14, unit * k) for k in range(len(terms.outputs))]
    if code.places is not None:
        given, outputs = (
            [(RBX, 8 * at) if isinstance(at, int) else (R14, 8 * at.at) for at in each] for each in code.places
        )
        for (base, at), number in zip(given, terms.inputs, strict=True):
            walk.cells[base][at] = number
        walk.main(bytes.fromhex("b801000000") + LEFT, outputs)
    elif places is None:
        walk.cells[RBX] = {8 * k: v for k, v in enumerate(terms.inputs)}
        walk.main(ends_of_one(len(program.outputs)), outputs)
    else:
        for (wide, at), number in zip(places, terms.inputs, strict=True):
            (walk.cells[RBX] if wide else walk.spread)[at] = number
        walk.adds = code.adds
        walk.main(LEFT, outputs)
        if walk.eax != ("guards" if program.guards else "all"):
            walk.fail("the lanes that are returned")
    for k, ((base, at), wanted) in enumerate(zip(outputs, terms.outputs, strict=True)):
        walk.the(f"output {k}", walk.cells[base].get(at), wanted)
        if (at in walk.added) != (code.adds is not None):
            walk.fail(f"output {k} is added to what was there, or is not")
