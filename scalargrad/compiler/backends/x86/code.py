"""Programs as machine code for x86-64, made here: one pass over the instructions, in time linear in their number.

Here functions, calls and memory are laid out, and the entry points for one point and for a batch written; what is in
between, one straight line, is done by `registers.py`. LLVM, which makes code for every other processor, takes ten times
as long.

One pass serves one point (`lanes` 1: AVX, floats in xmm registers, truth values as masks beside them) and eight samples
(`lanes` 8: AVX-512, vectors in zmm registers, truth values in mask registers). Nothing is contracted or reordered, and
library functions are those that Python calls, so that bits stay those of Python. Where a function of the library is
needed only in one arm of a selection, it is called only if that arm is taken.

Registers while the code runs: rbx the inputs, r14 the outputs, rbp the memory: constants below it, values that have no
register above it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ir.layout import Spot
from ...ir.lowering import Lowered
from .assembler import (  # fmt: skip
    BROADCAST,
    CALL_PLACE,
    CODES,
    ENTER,
    EPILOGUE,
    LEAVE,
    PLAIN,
    PROLOGUE,
    R14,
    RAX,
    RDI,
    RDX,
    REGISTERS,
    RETURN,
    RSI,
    SCALAR,
    VECTOR,
    VZEROUPPER,
    WIDE,
    Form,
    MemoryOperand,
    masked,
    move,
    place,
    vex,
)
from .registers import INPUTS, MEMORY, OUTPUTS, RegisterAllocator, leads_away

ADDS = 7  # the mask register that says in which lanes outputs are added to what is there

# See all code before it is run, where functions begin, and `Code.inputs`; the project's tests prove it so.
inspectors: list[Callable[[Code, bytes, dict[str, int], Sequence[tuple[bool, int]] | None], None]] = []

Places = tuple[Sequence[Spot], Sequence[Spot]]  # of inputs and outputs


class Code:
    """The machine code of one module under construction, and the layout of its memory."""

    def __init__(self, lowered: Lowered, lanes: int) -> None:
        self.lowered = lowered
        self.lanes = lanes
        self.width = 8 * lanes
        self.out: list[bytes] = []
        self.labels: dict[str, int] = {}  # of places in `out`
        self.distances: list[tuple[int, str]] = []  # places in `out` that hold the distance to a label
        self.constants: dict[int | str, int] = {}  # bit patterns, and names of functions to be called, to displacements
        self.used = 0  # bytes of memory
        self.pending: list[Callable[[], None]] = []  # functions that are called and not yet written
        self.arguments: dict[str, list[int]] = {}  # where they expect what they are given
        self.inputs: Sequence[tuple[bool, int]] | None = None  # see `kernel_code`; None where there is but one sample
        self.places: Places | None = None  # see `scalar_code`
        self.adds: int | None = None

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
        self.out.append(CALL_PLACE + self.constant(name).to_bytes(4, "little", signed=True))

    def own(self, name: str) -> list[int]:
        """Where a function of the program's own expects its arguments; it is called by its name."""
        if name not in self.arguments:
            body = self.lowered.functions[name]
            found = self.arguments[name] = [self.room(self.width) for _ in range(body.inputs)]
            width = WIDE if self.lanes > 1 else PLAIN

            def write() -> None:
                self.label(name)
                self.out.append(ENTER)
                places = [place(MEMORY, width, at) for at in found]
                line = RegisterAllocator(self, body, places, None)
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
        self.label(full)
        self.out.append(ENTER)
        for lane in range(8):
            self.out.append(bytes((0x41, 0xF6, 0xC7, 1 << lane)))  # test r15b, bit
            self.distance(b"\x0f\x84", f"{full} {lane}")
            given = [place(MEMORY, PLAIN, each + 8 * lane) for each in at]
            self.call_with(name, given[:-1])
            kind, tail = given[-1]
            self.out.append(REGISTERS[1][1][CODES[1]["store"] | kind] + tail)
            self.label(f"{full} {lane}")
        self.out += (LEAVE, RETURN)

    def call_with(self, name: str, given: Sequence[MemoryOperand]) -> None:
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

    def finish(self) -> bytes:
        """The bytes, once all that is called has been written."""
        while self.pending:
            self.pending.pop()()
        places: dict[int, int] = {}  # in bytes, of those in `out` that are asked for
        before = at = 0
        for k in sorted({*self.labels.values(), *(k for k, _ in self.distances)}):
            at += sum(map(len, self.out[before:k]))
            places[k], before = at, k
        for k, label in self.distances:
            self.out[k] = (places[self.labels[label]] - places[k] - 4).to_bytes(4, "little", signed=True)
        # In parts, as joining takes 80 bytes of memory a piece for the time.
        made = b"".join([b"".join(self.out[k : k + 4096]) for k in range(0, len(self.out), 4096)])
        for inspect in inspectors:
            inspect(self, made, {name: places[k] for name, k in self.labels.items()}, self.inputs)
        return made


def scalar_code(lowered: Lowered, places: Places | None = None) -> Code:
    """`int run(double *x, double *y, char *m)` on one point: x the inputs, y the outputs, m the memory.

    Returns 0 where a guard does not hold, 1 where all do, 3 where all do and an output is nan. Behind y there must be
    zeros up to a multiple of eight. With `places`, inputs and outputs are where these say, in floats: at x those that
    are numbers, at y the others; nobody looks for nan then.
    """
    code = Code(lowered, 1)
    code.places = places
    program = lowered.program
    code.out.append(PROLOGUE)
    memory, store = REGISTERS[1][1], CODES[1]["store"]
    inputs = [place(INPUTS, PLAIN, 8 * k) for k in range(program.inputs)]
    outputs = [place(OUTPUTS, PLAIN, 8 * k) for k in range(len(program.outputs))]
    if places is not None:
        inputs, outputs = (
            [place(INPUTS, PLAIN, 8 * at) if isinstance(at, int) else place(OUTPUTS, PLAIN, 8 * at.at) for at in each]
            for each in places
        )

    def stored(k: int, register: int) -> None:
        kind, tail = outputs[k]
        code.out.append(memory[store | register << 10 | kind] + tail)

    RegisterAllocator(code, program, inputs, stored).run()
    code.out.append((nan_told(len(program.outputs)) if places is None else ONE) + VZEROUPPER + EPILOGUE)
    code.label("fail")
    code.out.append(bytes.fromhex("31c0") + VZEROUPPER + EPILOGUE)
    return code


ONE = b"\xb8\x01\x00\x00\x00"  # mov eax, 1


def nan_told(outputs: int) -> bytes:
    """Set eax to 1, or to 3 if one of so many floats at r14 is nan; zeros follow up to a multiple of eight."""
    load, compare, out = Form(0x10, long=1), Form(0xC2, long=1), vex(SCALAR["xor"], 1, 1, 1) + b"\xc9"
    pieces = [out]
    for k in range(0, outputs, 8):  # is either of two floats a nan?
        pieces.append(vex(load, 0, 0, R14) + b"\x86" + (8 * k).to_bytes(4, "little"))
        pieces.append(vex(compare, 0, 0, R14) + b"\x86" + (8 * k + 32).to_bytes(4, "little") + b"\x03")
        pieces.append(vex(Form(0x56, long=1), 1, 1, 0) + b"\xc8")
    pieces.append(vex(Form(0x50, long=1), 0, 0, 1) + b"\xc1")
    return b"".join(pieces) + bytes.fromhex("31c9 85c0 0f95c1 8d440901")  # 1, or 3 if a sign was set


def kernel_code(lowered: Lowered, places: Sequence[tuple[bool, int]], adds: int | None = None) -> Code:
    """`int run(double *x, double *y, char *m)` on eight samples: see batch_loop.py for what x and y hold.

    `places` says of each input whether it is a vector, or a number that stands for one, and where in x it is. Outputs
    are added to what is in their places, in the lanes of a mask that is at `adds` in x; such are read by nothing else.
    """
    code = Code(lowered, 8)
    code.inputs, code.adds = places, adds
    program = lowered.program
    out = code.out
    out.append(PROLOGUE)
    if program.guards:
        at = code.constant("guards").to_bytes(4, "little", signed=True)
        out.append(b"\xc7\x85" + at + b"\xff\x00\x00\x00")  # mov dword [rbp + at], 255
    memory, codes = REGISTERS[8][1], CODES[8]
    inputs = [place(INPUTS, WIDE if wide else BROADCAST, at) for wide, at in places]
    calls, mask = any(map(leads_away, set(program.operations))), b""  # calls leave no register alone

    def stored(k: int, register: int) -> None:
        kind, tail = place(OUTPUTS, WIDE, 64 * k)
        if adds is not None:
            if calls:
                out.append(mask)
            out.append(masked(VECTOR["add"], register, register, kind, True, ADDS, False) + tail)
        out.append(memory[codes["store"] | register << 10 | kind] + tail)

    line = RegisterAllocator(code, program, inputs, stored)
    if adds is not None:
        line.free_masks.remove(line.number + ADDS)
        kind, tail = place(INPUTS, PLAIN, adds)
        mask = line.mask("load", ADDS, 0, kind, True) + tail
        out.append(mask)
    line.run()
    if program.guards:
        out.append(b"\x8b\x85" + code.constant("guards").to_bytes(4, "little", signed=True))  # mov eax, [rbp + at]
    else:
        out.append(b"\xb8\xff\x00\x00\x00")  # mov eax, 255
    out.append(VZEROUPPER + EPILOGUE)
    return code


def call_on(address: int, *operands: int) -> bytes:
    """A function without arguments that calls the one at an address with up to three integers."""
    moves = b"".join(move(register, x) for register, x in zip((RDI, RSI, RDX), operands, strict=False))
    return moves + move(RAX, address) + b"\xff\xe0"  # jmp rax
