"""The instructions of `batch_loop.py` as machine code for x86-64 with AVX-512.

A slot is a place in memory relative to rbp; between two instructions nothing is kept in a register but vectors.
"""

from __future__ import annotations

import struct

from ..batch_loop import AHEAD, SLOT, Number
from .assembler import RAX, RBP, RDI, RDX, RSI, VECTOR, VZEROUPPER, Form, evex

RCX, R8, R9, R10, R11 = 1, 8, 9, 10, 11
_INTEGER = {
    "+": "4801c8", "-": "4829c8", "*": "480fafc1", "&": "4821c8", "^": "4831c8", "<<": "48d3e0", ">>": "48d3e8",
    "min": "4839c8 480f4fc1",
}  # fmt: skip
_JUMPS = {"<": b"\x0f\x8c", "==": b"\x0f\x84", "!=": b"\x0f\x85"}
_LOAD, _STORE, _UNPACK, _SHUFFLE = (
    Form(0x10, w=1),
    Form(0x11, w=1),
    (Form(0x14, w=1), Form(0x15, w=1)),
    Form(0x23, 3, w=1),
)


class X86Loop:
    """Machine code under construction."""

    def __init__(self) -> None:
        self.out = bytearray(bytes.fromhex("55 4889fd"))  # push rbp; mov rbp, rdi
        self.labels: dict[str, int] = {}
        self.distances: list[tuple[int, str]] = []

    def finish(self) -> bytes:
        """`void drive(long *slots)`."""
        self.out += VZEROUPPER + bytes.fromhex("5d c3")
        for at, label in self.distances:
            self.out[at : at + 4] = struct.pack("<i", self.labels[label] - at - 4)
        return bytes(self.out)

    def hex(self, code: str) -> None:
        self.out += bytes.fromhex(code)

    def slot(self, opcode: int, register: int, name: str) -> None:
        """An instruction of 64 bits on a register and a slot."""
        head = bytes((0x4C if register > 7 else 0x48, opcode, 0x85 | (register & 7) << 3))
        self.out += head + struct.pack("<i", 8 * SLOT[name])

    def fetch(self, register: int, x: Number) -> None:
        if isinstance(x, str):
            self.slot(0x8B, register, x)
        else:
            self.out += bytes((0x48, 0xC7, 0xC0 | register)) + struct.pack("<i", x)

    def set(self, to: str, a: Number, operation: str, b: Number) -> None:
        if (to, operation) == (a, "+") and isinstance(b, int):
            self.slot(0x81, 0, to)  # add qword [slot], b
            self.out += struct.pack("<i", b)
            return
        self.fetch(RAX, a)
        if b != 0:
            self.fetch(RCX, b)
            self.hex(_INTEGER[operation])
        self.slot(0x89, RAX, to)

    def load(self, to: str, address: str) -> None:
        self.fetch(RAX, address)
        self.hex("488b00")  # mov rax, [rax]
        self.slot(0x89, RAX, to)

    def store(self, address: str, value: Number) -> None:
        self.fetch(RAX, address)
        self.fetch(RCX, value)
        self.hex("488908")  # mov [rax], rcx

    def label(self, name: str) -> None:
        self.labels[name] = len(self.out)

    def goto(self, name: str, opcode: bytes = b"\xe9") -> None:
        self.out += opcode
        self.distances.append((len(self.out), name))
        self.out += b"????"

    def branch(self, a: Number, relation: str, b: Number, name: str) -> None:
        self.fetch(RAX, a)
        self.fetch(RCX, b)
        self.hex("4839c8")  # cmp rax, rcx
        self.goto(name, _JUMPS[relation])

    def call(self, code: str, x: str, y: str, memory: str) -> None:
        for register, name in ((RDI, x), (RSI, y), (RDX, memory), (RAX, code)):
            self.fetch(register, name)
        self.hex("ffd0 0fb6c0")  # call rax; movzx eax, al
        self.slot(0x89, RAX, "ok")

    def copy(self, to: str, address: str, step: str, last: str) -> None:
        for register, name in ((RDX, to), (RAX, address), (RCX, step), (R8, last)):
            self.fetch(register, name)
        self.hex("4531d2")  # xor r10d, r10d
        for k in range(8):  # mov r9, [rax]; mov [rdx + 8k], r9; cmp r8, k; cmove rcx, r10; add rax, rcx
            self.hex(f"4c8b08 4c894a{8 * k:02x} 4983f8{k:02x} 490f44ca 4801c8")

    def gather(self) -> None:
        """All in registers: r10 is the column, r9 the sample, rax and rcx where the floats are and their distance."""
        top, near = f"top {len(self.out)}", f"near {len(self.out)}"
        for register, name in ((RDX, "to"), (RDI, "strides"), (R11, "bases"), (R9, "q")):
            self.fetch(register, name)
        self.hex("4531d2")  # xor r10d, r10d
        self.label(top)
        self.hex("4a8b0c17 4c89c8")  # mov rcx, [rdi + r10]; mov rax, r9
        self.hex("480fafc1 4b030413")  # imul rax, rcx; add rax, [r11 + r10]
        self.hex(f"4869f1 {struct.pack('<i', AHEAD).hex()} 4801c6 480faf8d")  # imul rsi, rcx, AHEAD; add rsi, rax
        self.out += struct.pack("<i", 8 * SLOT["rows"])  # imul rcx, [rows]
        self.hex("41f6c238")  # test r10b, 56
        self.goto(near, _JUMPS["!="])
        self.hex("0f180e 0f180c0e 488d344e" * 4)  # prefetcht0 [rsi]; prefetcht0 [rsi + rcx]; lea rsi, [rsi + 2rcx]
        self.label(near)
        self.hex("488d3449")  # lea rsi, [rcx + 2rcx]
        for k in (0, 2):  # vmovsd xmmk, [rax]; vmovhpd xmmk, [rax + rcx]; the next ones from rax + 2rcx and rax + rsi
            low, high = f"{8 * k + 4:02x}", f"{8 * k + 12:02x}"
            self.hex(f"c5fb10{8 * k:02x} c5{0xF9 - 8 * k:02x}16{low}08 c5fb10{high}48 c5{0xF1 - 8 * k:02x}16{high}30")
            self.hex("488d0488")  # lea rax, [rax + 4rcx]
        self.hex("c4e37d18c101 c4e36d18d301 62f3fd481ac201")  # vinsertf128 ymm0, xmm1 and ymm2, xmm3; vinsertf64x4
        self.hex("62f1fd481102 4883c240 4983c208")  # vmovupd [rdx], zmm0; add rdx, 64; add r10, 8
        self.slot(0x3B, R10, "columns")  # cmp r10, [columns]
        self.goto(top, _JUMPS["<"])

    # ---- vectors -----------------------------------------------------------------------------------------------------

    def memory(self, form: Form, r: int, address: str, at: int, mask: int = 0, zero: bool = False) -> None:
        self.fetch(RAX, address)
        self.out += (
            evex(form, r, 0, RAX, True, False, mask, zero) + bytes((0x80 | (r & 7) << 3,)) + struct.pack("<i", at)
        )

    def registers(self, form: Form, r: int, v: int, x: int, end: bytes = b"") -> None:
        self.out += evex(form, r, v, x, False, False, 0, False) + bytes((0xC0 | (r & 7) << 3 | x & 7,)) + end

    def mask(self, name: str) -> None:
        self.out += bytes.fromhex("c5f9908d") + struct.pack("<i", 8 * SLOT[name])  # kmovb k1, [rbp + d]

    def read(self, v: int, address: str, at: int) -> None:
        self.memory(_LOAD, v, address, at)

    def some(self, v: int, address: str, mask: str) -> None:
        self.mask(mask)
        self.memory(_LOAD, v, address, 0, 1)

    def only(self, v: int, address: str, mask: str) -> None:
        self.mask(mask)
        self.memory(_LOAD, v, address, 0, 1, True)

    def write(self, address: str, v: int) -> None:
        self.memory(_STORE, v, address, 0)

    def part(self, address: str, v: int, mask: str) -> None:
        self.mask(mask)
        self.memory(_STORE, v, address, 0, 1)

    def add(self, v: int, a: int, b: int) -> None:
        self.registers(VECTOR["add"], v, a, b)

    def divide(self, v: int, slot: str) -> None:
        at = struct.pack("<i", 8 * SLOT[slot])
        self.out += evex(VECTOR["div"], v, v, RBP, True, True, 0, False) + bytes((0x85 | v << 3,)) + at

    def neighbours(self, v: int, a: int, b: int, level: int) -> None:
        """Of the lanes of 128 bits, each has a sum of a and one of b after level 0, as it is cheap to make."""
        for k in (0, 1):
            if level:  # the even and the odd ones of a, and then those of b
                self.registers(_SHUFFLE, 16 + k, a, b, b"\xdd" if k else b"\x88")
            else:
                self.registers(_UNPACK[k], 16 + k, a, b)
        self.add(v, 16, 17)

    def nans(self, v: int) -> None:
        self.registers(VECTOR["compare"], 1, v, v, b"\x03")  # unordered
        self.hex("c5f993c1")  # kmovb eax, k1
        self.slot(0x09, RAX, "nan")
