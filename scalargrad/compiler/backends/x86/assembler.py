"""Instructions of x86-64 processors as bytes: the few of AVX and AVX-512 that straight-line arithmetic needs.

Nothing is decided here: an instruction's name and its operands are looked up, and bytes come out. Encodings are from
the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX).

Registers are numbers. A place in memory is a pair `(kind, displacement)` of a number that says which register it is
relative to, how wide, and how long the displacement is, and of the bytes of that displacement: see `place`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

RBX, RBP, R14 = 3, 5, 14  # the registers that places are relative to: the inputs, the memory, the outputs
RAX, RDX, RSI, RDI = 0, 2, 6, 7  # the result of a call, and its third, second and first operand
BASES = (RBX, RBP, R14)
PLAIN, WIDE, BROADCAST = 0, 1, 2  # a float; a vector; a float that stands for a vector of it
MemoryOperand = tuple[int, bytes]


class Form(NamedTuple):
    """How an instruction is encoded, but for its operands."""

    opcode: int
    map: int = 1  # 1: 0F, 2: 0F38, 3: 0F3A
    prefix: int = 1  # 0: none, 1: 66, 2: F3, 3: F2
    w: int = 0
    long: int = 0  # of VEX: the bit L
    end: bytes = b""  # what comes behind the operands


# Predicates of comparisons, none of which signals, and the same with operands swapped.
PREDICATES = {"lt": 0x11, "le": 0x12, "eq": 0x00, "ne": 0x04, "unordered": 0x03, "nle": 0x16}
SWAPPED = {"lt": 0x1E, "le": 0x1D, "eq": 0x00, "ne": 0x04, "unordered": 0x03, "nle": 0x19}
# Of operands r, v and x: r becomes v * r + x, or v * x + r (and so on).
FUSED_ORDERS = {"213": 0xA0, "231": 0xB0}
FUSED_OPCODES = {"fma": 0x8, "fms": 0xA, "fnma": 0xC}
# On one float, in the low half of a 128-bit register.
SCALAR = {
    "add": Form(0x58, prefix=3), "mul": Form(0x59, prefix=3), "sub": Form(0x5C, prefix=3), "div": Form(0x5E, prefix=3),
    "max": Form(0x5F, prefix=3), "sqrt": Form(0x51, prefix=3), "compare": Form(0xC2, prefix=3),
    "and": Form(0x54), "andnot": Form(0x55), "or": Form(0x56), "xor": Form(0x57), "select": Form(0x4B, 3),
    "round": Form(0x0B, 3), "load": Form(0x10, prefix=3), "store": Form(0x11, prefix=3), "move": Form(0x28),
    "order": Form(0x2E), "signs": Form(0x50), "min": Form(0x5D, prefix=3),
    **{f"{name} {order}": Form(first + opcode + 1, 2, w=1) for name, opcode in FUSED_OPCODES.items()
       for order, first in FUSED_ORDERS.items()},
    **{name: Form(0xC2, prefix=3, end=bytes((predicate,))) for name, predicate in PREDICATES.items()},  # the last
}  # fmt: skip
# On eight, in a 512-bit register.
VECTOR = {
    "add": Form(0x58, w=1), "mul": Form(0x59, w=1), "sub": Form(0x5C, w=1), "div": Form(0x5E, w=1),
    "max": Form(0x5F, w=1), "sqrt": Form(0x51, w=1), "compare": Form(0xC2, w=1),
    "and": Form(0x54, w=1), "andnot": Form(0x55, w=1), "or": Form(0x56, w=1), "xor": Form(0x57, w=1),
    "select": Form(0x65, 2, w=1), "round": Form(0x09, 3, w=1), "load": Form(0x28, w=1), "store": Form(0x29, w=1),
    "move": Form(0x28, w=1), "spread": Form(0x19, 2, w=1), "scale": Form(0x2C, 2, w=1),
    "min": Form(0x5D, w=1),
    **{f"{name} {order}": Form(first + opcode, 2, w=1) for name, opcode in FUSED_OPCODES.items()
       for order, first in FUSED_ORDERS.items()},
}  # fmt: skip
# On masks of eight bits, in the registers k1 to k7.
MASKS = {
    "and": Form(0x41, long=1), "or": Form(0x45, long=1), "not": Form(0x44),
    "load": Form(0x90), "store": Form(0x91), "read": Form(0x93),
}  # fmt: skip

ROUNDINGS = {"rint": b"\x08", "floor": b"\x09", "ceil": b"\x0a"}  # without the inexact exception

VZEROUPPER = b"\xc5\xf8\x77"
RETURN = b"\xc3"
PROLOGUE = bytes.fromhex("53 55 4156 4157 4883ec08 4889fb 4989f6 4889d5")  # x, y, m into rbx, r14, rbp; r15 is kept
EPILOGUE = bytes.fromhex("4883c408 415f 415e 5d 5b c3")
ENTER, LEAVE = bytes.fromhex("4883ec08"), bytes.fromhex("4883c408")  # a function of its own, that calls others
CALL_PLACE = bytes.fromhex("ff95")  # call [rbp + displacement of 32 bits]
CALL, JUMP = b"\xe8", b"\xe9"  # and a distance of 32 bits


def vex(form: Form, r: int, v: int, rm: int) -> bytes:
    """Up to and with the opcode; `r`, `v`, `rm` are the numbers of the registers, or of an address's base."""
    low = (~v & 15) << 3 | form.long << 2 | form.prefix
    if form.map == 1 and not form.w and rm < 8:
        return bytes((0xC5, (r < 8) << 7 | low, form.opcode))
    return bytes((0xC4, (r < 8) << 7 | 0x40 | (rm < 8) << 5 | form.map, form.w << 7 | low, form.opcode))


def evex(form: Form, r: int, v: int, rm: int, memory: bool, broadcast: bool, mask: int, zero: bool) -> bytes:
    """As `vex`, on 512 bits, for the lanes in a mask register (0: all)."""
    x = 1 if memory else ~rm >> 4 & 1
    first = (~r >> 3 & 1) << 7 | x << 6 | (~rm >> 3 & 1) << 5 | (~r >> 4 & 1) << 4 | form.map
    second = form.w << 7 | (~v & 15) << 3 | 4 | form.prefix
    third = zero << 7 | 2 << 5 | broadcast << 4 | (~v >> 4 & 1) << 3 | mask
    return bytes((0x62, first, second, third, form.opcode))


@lru_cache(maxsize=1 << 13)
def place(base: int, width: int, displacement: int) -> MemoryOperand:
    """A place in memory: `base` is an index into BASES, `width` one of PLAIN, WIDE and BROADCAST."""
    shift = 0 if width == PLAIN else 6 if width == WIDE else 3  # EVEX counts short displacements in operands
    short, kind = displacement >> shift, base << 3 | width << 1
    if -128 <= short < 128 and short << shift == displacement:
        return kind, short.to_bytes(1, "little", signed=True)
    return kind | 1, displacement.to_bytes(4, "little", signed=True)


def address(r: int, kind: int) -> tuple[int, int]:
    """The base register of a kind of place, and the byte that names it and the register beside it."""
    base = BASES[kind >> 3]
    return base, (0x80 if kind & 1 else 0x40) | (r & 7) << 3 | base & 7


class Scalar(dict[int, bytes]):
    """Instructions on one float: `code << 15 | r << 10 | v << 5 | rm` to bytes; of places `rm` is their kind."""

    forms = tuple(SCALAR.values())

    def __init__(self, memory: bool) -> None:
        super().__init__()
        self.memory = memory

    def __missing__(self, key: int) -> bytes:
        form, r, v, rm = self.forms[key >> 15], key >> 10 & 31, key >> 5 & 31, key & 31
        if self.memory:
            base, modrm = address(r, rm)
            made = vex(form, r, v, base) + bytes((modrm,))
        else:
            made = vex(form, r, v, rm) + bytes((0xC0 | (r & 7) << 3 | rm & 7,)) + form.end
        self[key] = made
        return made


class Vector(Scalar):
    """The same on eight floats, on all lanes."""

    forms = tuple(VECTOR.values())

    def __missing__(self, key: int) -> bytes:
        made = self[key] = masked(self.forms[key >> 15], key >> 10 & 31, key >> 5 & 31, key & 31, self.memory, 0, False)
        return made


def masked(form: Form, r: int, v: int, rm: int, memory: bool, mask: int, zero: bool) -> bytes:
    """An instruction on eight floats that leaves out the lanes whose bit in a mask register is 0, or zeroes them."""
    if memory:
        base, modrm = address(r, rm)
        spread = (rm >> 1 & 3) == BROADCAST and form is not VECTOR["spread"]
        return evex(form, r, v, base, True, spread, mask, zero) + bytes((modrm,))
    return evex(form, r, v, rm, False, False, mask, zero) + bytes((0xC0 | (r & 7) << 3 | rm & 7,))


def move(register: int, x: int) -> bytes:
    """A constant of 64 bits into one of the first eight integer registers."""
    return bytes((0x48, 0xB8 | register)) + x.to_bytes(8, "little")


def shift(lanes: int, left: bool, r: int, a: int) -> bytes:
    """The bits of `a`, 52 places to the left or to the right."""
    form, extension = Form(0x73, w=int(lanes > 1)), 6 if left else 2
    head = vex(form, extension, r, a) if lanes == 1 else evex(form, extension, r, a, False, False, 0, False)
    return head + bytes((0xC0 | extension << 3 | a & 7, 52))


CODES = {
    1: {name: k << 15 for k, name in enumerate(SCALAR)},
    8: {name: k << 15 for k, name in enumerate(VECTOR)},
}
REGISTERS = {1: (Scalar(False), Scalar(True)), 8: (Vector(False), Vector(True))}  # operands in registers, in memory
