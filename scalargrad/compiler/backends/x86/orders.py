"""The orders of a program with loops as machine code for x86-64: moves, counts, and calls of segments by address.

The segments are functions that `code.py`, or LLVM, has made; between them registers hold nothing that is kept across a
call, but for rbx, the inputs, r14, the outputs, and rbp, the frame, before which stand the constants, cells, and the
memories of the segments. Floats go through xmm0, or, in lanes, vectors of eight through zmm0, with AVX-512.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ...ir.layout import Place
from ..orders import Orders
from .assembler import EPILOGUE, PROLOGUE, SCALAR, VECTOR, VZEROUPPER, Form, evex, move, vex
from .code import nan_told

RAX, RCX, RDX, RBX, _, RBP, RSI, RDI = range(8)
UNROLLED = 16  # floats that are moved one by one; more by a string instruction
LOAD, STORE, ADDRESS = 0x8B, 0x89, 0x8D
NOT_ZERO, ZERO = Form(0x27, 2, w=1), Form(0x27, 2, 2, 1)  # vptestmq, vptestnmq
TEST_NAN = "c5f157c9c5f92ec1"  # vxorpd xmm1, xmm1, xmm1; vucomisd xmm0, xmm1


class X86Orders(Orders):
    """Machine code under construction."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.forms = VECTOR if self.wide else SCALAR
        self.out = bytearray()
        self.labels: dict[Any, int] = {}
        self.distances: list[tuple[int, Any]] = []

    # ---- instructions ------------------------------------------------------------------------------------------------

    def emit(self, code: str, *numbers: int) -> None:
        """The bytes of an instruction, and numbers of 32 bits behind them."""
        self.out += bytes.fromhex(code) + struct.pack(f"<{len(numbers)}i", *numbers)

    def memory(self, opcode: int, register: int, base: int, displacement: int) -> None:
        """An instruction of 64 bits on a register and a place."""
        self.out += bytes((0x48, opcode, 0x80 | register << 3 | base)) + struct.pack("<i", displacement)

    def float(self, name: str, base: int, displacement: int, mask: int = 0) -> None:
        """An instruction on xmm0, or zmm0, and a place; with a mask, lanes that it leaves out become zero."""
        form = self.forms[name]
        self.out += evex(form, 0, 0, base, True, False, mask, mask > 0) if self.wide else vex(form, 0, 0, base)
        self.emit(f"{0x80 | base:02x}", displacement)

    def cell(self, k: int) -> int:
        return self.cells + 8 * k

    def jump(self, opcode: str, label: Any) -> None:
        self.emit(opcode)
        self.distances.append((len(self.out), label))
        self.out += b"????"

    def label(self, name: Any) -> Any:
        self.labels[name] = len(self.out)
        return name

    def base(self, place: Place, register: int) -> tuple[int, int]:
        """The register and the displacement that a place is at; a pointer is brought to the register."""
        if place.pointer is None:
            return RBP, self.unit * place.at
        self.memory(LOAD, register, RBP, self.cell(place.pointer))
        return register, self.unit * place.at

    def copy(self, source: tuple[int, int], target: tuple[int, int], count: int) -> None:
        """Floats from one place to another; rcx and rdx may be what the places are relative to."""
        (a, at), (b, to) = source, target
        if count <= UNROLLED:
            for k in range(0, self.unit * count, self.unit):
                self.float("load", a, at + k)
                self.float("store", b, to + k)
            return
        self.memory(ADDRESS, RSI, a, at)
        self.memory(ADDRESS, RDI, b, to)
        self.out += b"\x48\xb9" + struct.pack("<q", count * self.unit // 8) + b"\xf3\x48\xa5"  # mov rcx; rep movsq

    def spread(self, at: int, to: int, count: int) -> None:
        """Inputs that all lanes share, each as a vector."""
        self.memory(ADDRESS, RSI, RBX, at)
        self.memory(ADDRESS, RDI, RBP, to)
        self.out += b"\x48\xb9" + struct.pack("<q", count)  # mov rcx, count
        top = self.label(object())
        self.float("spread", RSI, 0)
        self.float("store", RDI, 0)
        self.emit("4883c6084883c74048ffc9")  # add rsi, 8; add rdi, 64; dec rcx
        self.jump("0f85", top)

    def test(self, form: Form, place: int) -> None:
        """The lanes in which a float is not zero, or is, to k1."""
        self.float("load", RBP, self.unit * place)
        self.out += evex(form, 1, 0, 0, False, False, 0, False) + b"\xc8"

    def keep(self, place: int) -> None:
        """Make a float zero in the lanes that k1 does not have."""
        self.float("load", RBP, self.unit * place, 1)
        self.float("store", RBP, self.unit * place)

    def call(self, address: int, x: int, y: int, memory: int = 0, row: int | None = None) -> None:
        for register, at in ((RDI, self.unit * x), (RSI, self.unit * y), (RDX, memory)):
            self.memory(ADDRESS, register, RBP, at)
        if row is not None:
            self.memory(LOAD, RSI, RBP, self.cell(row))
        self.out += move(RAX, address) + b"\xff\xd0"  # call rax

    # ---- orders ------------------------------------------------------------------------------------------------------

    def finish(self) -> bytes:
        """`int run(double *x, double *y, char *m)` as for a program without loops."""
        layout = self.layout
        self.out += PROLOGUE
        for whole, at, to, count in self.inputs():
            self.copy((RBX, at), (RBP, to), count) if whole else self.spread(at, to, count)
        for what, *operands in layout.orders:
            _ORDERS[what](self, *operands)
        for output, start, count in layout.outputs:
            self.emit("4c89f2")  # mov rdx, r14
            self.copy((RBP, self.unit * start), (RDX, self.unit * output), count)
        if layout.held is None:
            self.out += nan_told(sum(count for _, _, count in layout.outputs))
        else:
            self.test(NOT_ZERO, layout.held)
            self.emit("c5f993c1")  # kmovb eax, k1
        self.out += VZEROUPPER + EPILOGUE
        self.label("fail")
        self.out += b"\x31\xc0" + EPILOGUE
        for at, label in self.distances:
            self.out[at : at + 4] = struct.pack("<i", self.labels[label] - at - 4)
        return bytes(self.out)

    def point_last(self, pointer: int, start: int, width: int, count: int) -> None:
        self.memory(LOAD, RAX, RBP, self.cell(count))
        self.emit("4869c0", self.unit * width)  # imul rax, rax, stride
        self.memory(ADDRESS, RCX, RBP, self.unit * (start - width))
        self.emit("4801c8")  # add rax, rcx
        self.memory(STORE, RAX, RBP, self.cell(pointer))

    def segment(self, k: int, x: int, y: int, row: int | None) -> None:
        entry = self.entries[k]
        if self.wide:
            self.out += VZEROUPPER
        self.call(entry.address, x, y, entry.memory, row)
        if entry.guarded and self.layout.held is not None:
            self.emit("c5f992c8")  # kmovb k1, eax
            self.keep(self.layout.held)
        elif entry.guarded:
            self.emit("84c0")  # test al, al
            self.jump("0f84", "fail")
        if entry.exact is not None:
            end = object()
            self.emit("3c03")  # cmp al, 3
            self.jump("0f85", end)
            self.call(entry.exact.address, x, y, entry.exact.memory)
            self.label(end)

    def read(self, cell: int, place: int, *_: Any) -> None:
        self.emit("31c9")  # xor ecx, ecx
        for at in range(self.unit * place, self.unit * (place + 1), 8):
            self.emit("f2480f2c85", at)  # cvttsd2si rax, [rbp + at]
            self.emit("4839c8480f4fc8")  # cmp rax, rcx; cmovg rcx, rax
        self.memory(STORE, RCX, RBP, self.cell(cell))

    def write(self, cell: int, place: int, *_: Any) -> None:
        self.emit("c4e1fb2a85", self.cell(cell))  # vcvtsi2sd xmm0, xmm0, [rbp + d]
        if self.wide:
            self.out += evex(VECTOR["spread"], 0, 0, 0, False, False, 0, False) + b"\xc0"
        self.float("store", RBP, self.unit * place)

    def unless(self, place: int, label: int, *_: Any) -> None:
        here = object()
        if self.wide:
            self.test(NOT_ZERO, place)
            self.emit("c5f993c184c0")  # kmovb eax, k1; test al, al
        else:
            self.float("load", RBP, self.unit * place)
            self.emit(TEST_NAN)
            self.jump("0f8a", here)  # jp: a nan is true
        self.jump("0f84", label)
        self.label(here)


_ORDERS: dict[str, Callable[..., Any]] = {
    "copy": lambda p, a, b, c, _: p.copy(p.base(a, RCX), p.base(b, RDX), c),
    "point": lambda p, a, b, *_: (p.memory(ADDRESS, RAX, RBP, p.unit * b), p.memory(STORE, RAX, RBP, p.cell(a))),
    "point_last": X86Orders.point_last,
    "advance": lambda p, a, b, *_: p.emit("488185", p.cell(a), p.unit * b),  # add qword [rbp + d], n
    "segment": X86Orders.segment,
    "foreign": lambda p, a, b, c, _: p.call(p.foreign[a], b, c),
    "set": lambda p, a, b, *_: p.emit("48c785", p.cell(a), b),
    "read": X86Orders.read,
    "write": X86Orders.write,
    "increment": lambda p, a, *_: p.emit("48ff85", p.cell(a)),
    "label": lambda p, a, *_: p.label(a),
    "jump": lambda p, a, *_: p.jump("e9", a),
    "unless": X86Orders.unless,
    "repeat": lambda p, a, b, *_: (p.emit("48ff8d", p.cell(a)), p.jump("0f85", b)),
    "limit": lambda p, a, b, c, _: (p.emit("4881bd", p.cell(a), b), p.jump("0f84", "fail" if c is None else c)),
    "lose": lambda p, a, b, *_: (p.test(ZERO, a), p.keep(b)),
}
