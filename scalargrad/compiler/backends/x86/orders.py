"""The orders of a program with loops as machine code for x86-64: moves, counts, and calls of segments by address.

The segments are functions that `code.py`, or LLVM, has made; between them only integer registers are used, and none of
what they hold is kept across a call. Registers: rbx the inputs, r14 the outputs, rbp the frame, before which stand the
constants, cells, and the memories of the segments.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from ...ir.layout import Layout, Order, Place
from .assembler import (  # fmt: skip
    EPILOGUE,
    PROLOGUE,
    RAX,
    RBP,
    RBX,
    RDI,
    RDX,
    RSI,
    VECTOR,
    VZEROUPPER,
    Form,
    evex,
    move,
)

RCX = 1
IS_NOT_ZERO, IS_ZERO = Form(0x27, 2, w=1), Form(0x27, 2, 2, 1)  # vptestmq, vptestnmq
KMOV_EAX, KMOV_K1 = bytes.fromhex("c5f993c1"), bytes.fromhex("c5f992c8")  # kmovb eax, k1; kmovb k1, eax
UNROLLED = 16  # floats that are moved one by one; more by a string instruction
LOAD, STORE, ADDRESS = 0x8B, 0x89, 0x8D


class Entry:
    """How a segment is called: its address, its memory (the place of it from the frame), and what may be needed if a
    result is nan: the same of a program that computes it exactly."""

    def __init__(self, address: int, memory: int, guarded: bool, exact: Entry | None = None) -> None:
        self.address, self.memory, self.guarded, self.exact = address, memory, guarded, exact


class Orders:
    """Machine code under construction."""

    unit = 8  # bytes of what the layout counts as a float

    def __init__(
        self, layout: Layout, cells: int, entries: Sequence[Entry], foreign: Sequence[int], places: Sequence[Any]
    ) -> None:
        self.layout, self.cells = layout, cells  # displacement of the first cell
        self.entries, self.foreign = entries, foreign
        self.places = places  # of the inputs, as `native.kernel` has them
        self.out = bytearray()
        self.labels: dict[Any, int] = {}
        self.distances: list[tuple[int, Any]] = []
        self.count = 0

    # ---- instructions ------------------------------------------------------------------------------------------------

    def memory(self, opcode: int, register: int, base: int, displacement: int) -> None:
        """An instruction of 64 bits on a register and a place."""
        self.out += bytes((0x48, opcode, 0x80 | register << 3 | base)) + struct.pack("<i", displacement)

    def cell(self, k: int) -> int:
        return self.cells + 8 * k

    def jump(self, opcode: bytes, label: Any) -> None:
        self.out += opcode
        self.distances.append((len(self.out), label))
        self.out += b"????"

    def label(self, name: Any) -> None:
        self.labels[name] = len(self.out)

    def fresh(self) -> str:
        self.count += 1
        return f"own {self.count}"

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
            for k in range(0, 8 * count, 8):
                self.memory(LOAD, RAX, a, at + k)
                self.memory(STORE, RAX, b, to + k)
            return
        self.memory(ADDRESS, RSI, a, at)
        self.memory(ADDRESS, RDI, b, to)
        self.out += b"\x48\xb9" + struct.pack("<q", count) + b"\xf3\x48\xa5"  # mov rcx, count; rep movsq

    def begin(self) -> None:
        """Bring the inputs to the frame."""
        self.copy((RBX, 0), (RBP, 8 * self.layout.inputs), len(self.places))

    def end(self) -> None:
        """Return whether all guards held."""
        self.out += b"\xb8\x01\x00\x00\x00" + EPILOGUE  # mov eax, 1
        self.label("fail")
        self.out += b"\x31\xc0" + EPILOGUE

    # ---- orders ------------------------------------------------------------------------------------------------------

    def finish(self) -> bytes:
        """`int run(double *x, double *y, char *m)` as for a program without loops."""
        layout = self.layout
        self.out += PROLOGUE
        self.begin()
        for order in layout.orders:
            getattr(self, "_" + order.what)(order)
        for output, start, count in layout.outputs:
            self.out += b"\x4c\x89\xf2"  # mov rdx, r14
            self.copy((RBP, self.unit * start), (RDX, self.unit * output), count)
        self.end()
        for at, label in self.distances:
            self.out[at : at + 4] = struct.pack("<i", self.labels[label] - at - 4)
        return bytes(self.out)

    def _copy(self, order: Order) -> None:
        self.copy(self.base(order.a, RCX), self.base(order.b, RDX), order.c)

    def _fill(self, order: Order) -> None:
        self.memory(LOAD, RAX, RBP, 8 * order.a)
        self.memory(ADDRESS, RDI, RBP, 8 * order.b)
        self.out += b"\x48\xb9" + struct.pack("<q", order.c) + b"\xf3\x48\xab"  # mov rcx, count; rep stosq

    def _point(self, order: Order) -> None:
        self.memory(ADDRESS, RAX, RBP, self.unit * order.b)
        self.memory(STORE, RAX, RBP, self.cell(order.a))

    def _point_last(self, order: Order) -> None:
        pointer, start, width, count = order.a, order.b, order.c, order.d
        self.memory(LOAD, RAX, RBP, self.cell(count))
        self.out += b"\x48\x69\xc0" + struct.pack("<i", self.unit * width)  # imul rax, rax, stride
        self.memory(ADDRESS, RCX, RBP, self.unit * (start - width))
        self.out += b"\x48\x01\xc8"  # add rax, rcx
        self.memory(STORE, RAX, RBP, self.cell(pointer))

    def _advance(self, order: Order) -> None:
        at = struct.pack("<ii", self.cell(order.a), self.unit * order.b)
        self.out += b"\x48\x81\x85" + at  # add qword [rbp + d], n

    def _segment(self, order: Order) -> None:
        entry = self.entries[order.a]
        end = self.fresh()
        self.call(entry, order.b, order.c)
        if entry.guarded:
            self.out += b"\x84\xc0"  # test al, al
            self.jump(b"\x0f\x84", "fail")
        if entry.exact is not None:
            self.out += b"\x3c\x03"  # cmp al, 3
            self.jump(b"\x0f\x85", end)
            self.call(entry.exact, order.b, order.c)
            self.label(end)

    def call(self, entry: Entry, x: int, y: int) -> None:
        for register, at in ((RDI, self.unit * x), (RSI, self.unit * y), (RDX, entry.memory)):
            self.memory(ADDRESS, register, RBP, at)
        self.out += move(RAX, entry.address) + b"\xff\xd0"  # call rax

    def _foreign(self, order: Order) -> None:
        self.memory(ADDRESS, RDI, RBP, 8 * order.b)
        self.memory(ADDRESS, RSI, RBP, 8 * order.c)
        self.out += move(RAX, self.foreign[order.a]) + b"\xff\xd0"

    def _set(self, order: Order) -> None:
        self.out += b"\x48\xc7\x85" + struct.pack("<ii", self.cell(order.a), order.b)

    def _read(self, order: Order) -> None:
        self.out += b"\xf2\x48\x0f\x2c\x85" + struct.pack("<i", 8 * order.b)  # cvttsd2si rax, [rbp + d]
        self.memory(STORE, RAX, RBP, self.cell(order.a))

    def _write(self, order: Order) -> None:
        self.out += b"\xc4\xe1\xfb\x2a\x85" + struct.pack("<i", self.cell(order.a))  # vcvtsi2sd xmm0, xmm0, [rbp + d]
        self.out += b"\xc5\xfb\x11\x85" + struct.pack("<i", 8 * order.b)  # vmovsd [rbp + d], xmm0

    def _increment(self, order: Order) -> None:
        self.out += b"\x48\xff\x85" + struct.pack("<i", self.cell(order.a))

    def _label(self, order: Order) -> None:
        self.label(order.a)

    def _jump(self, order: Order) -> None:
        self.jump(b"\xe9", order.a)

    def _unless(self, order: Order) -> None:
        here = self.fresh()
        self.out += b"\xc5\xfb\x10\x85" + struct.pack("<i", 8 * order.a)  # vmovsd xmm0, [rbp + d]
        self.out += b"\xc5\xf1\x57\xc9\xc5\xf9\x2e\xc1"  # vxorpd xmm1, xmm1, xmm1; vucomisd xmm0, xmm1
        self.jump(b"\x0f\x8a", here)  # jp: a nan is true
        self.jump(b"\x0f\x84", order.b)
        self.label(here)

    def _repeat(self, order: Order) -> None:
        self.out += b"\x48\xff\x8d" + struct.pack("<i", self.cell(order.a))  # dec qword [rbp + d]
        self.jump(b"\x0f\x85", order.b)

    def _none(self, order: Order) -> None:
        self._compare(order.a, 0)
        self.jump(b"\x0f\x8e", order.b)

    def _limit(self, order: Order) -> None:
        self._compare(order.a, order.b)
        self.jump(b"\x0f\x84", "fail" if self.layout.held is None else order.c)

    def _compare(self, cell: int, number: int) -> None:
        self.out += b"\x48\x81\xbd" + struct.pack("<ii", self.cell(cell), number)


class LaneOrders(Orders):
    """The same for eight samples, each float a vector of them, with AVX-512."""

    unit = 64

    def vector(self, form: Form, register: int, base: int, displacement: int, mask: int = 0) -> None:
        """An instruction on a register and a place; with a mask, lanes that it leaves out become zero."""
        self.out += evex(form, register, 0, base, True, False, mask, mask > 0)
        self.out += bytes((0x80 | register << 3 | base,)) + struct.pack("<i", displacement)

    def copy(self, source: tuple[int, int], target: tuple[int, int], count: int) -> None:
        if count > UNROLLED:
            super().copy(source, target, 8 * count)
            return
        for k in range(0, 64 * count, 64):
            self.vector(VECTOR["load"], 0, source[0], source[1] + k)
            self.vector(VECTOR["store"], 0, target[0], target[1] + k)

    def begin(self) -> None:
        k = 0
        while k < len(self.places):
            wide, at = self.places[k]
            size = 64 if wide else 8
            stop = k
            while stop < len(self.places) and self.places[stop] == (wide, at + size * (stop - k)):
                stop += 1
            to = 64 * (self.layout.inputs + k)
            if wide:
                self.copy((RBX, at), (RBP, to), stop - k)
            else:
                self.memory(ADDRESS, RSI, RBX, at)
                self.repeated(to, stop - k, True)
            k = stop

    def repeated(self, at: int, count: int, spread: bool = False) -> None:
        """Store zmm0 so often from a place on; or the floats that rsi points to, each in all lanes."""
        self.memory(ADDRESS, RDI, RBP, at)
        self.out += b"\x48\xb9" + struct.pack("<q", count)  # mov rcx, count
        top = self.fresh()
        self.label(top)
        if spread:
            self.vector(VECTOR["spread"], 0, RSI, 0)
            self.out += b"\x48\x83\xc6\x08"  # add rsi, 8
        self.vector(VECTOR["store"], 0, RDI, 0)
        self.out += bytes.fromhex("4883c740 48ffc9")  # add rdi, 64; dec rcx
        self.jump(b"\x0f\x85", top)

    def test(self, place: int, zero: bool = False) -> None:
        """The lanes in which a float is not zero, or is, to k1."""
        self.vector(VECTOR["load"], 0, RBP, 64 * place)
        self.out += evex(IS_ZERO if zero else IS_NOT_ZERO, 1, 0, 0, False, False, 0, False) + b"\xc8"

    def end(self) -> None:
        self.test(self.layout.held or 0)
        self.out += KMOV_EAX + VZEROUPPER + EPILOGUE

    def _fill(self, order: Order) -> None:
        self.vector(VECTOR["load"], 0, RBP, 64 * order.a)
        self.repeated(64 * order.b, order.c)

    def _segment(self, order: Order) -> None:
        entry = self.entries[order.a]
        self.out += VZEROUPPER
        self.call(entry, order.b, order.c)
        if entry.guarded:
            self.out += KMOV_K1  # kmovb k1, eax
            self.keep(self.layout.held or 0)

    def keep(self, place: int) -> None:
        """Make a float zero in the lanes that k1 does not have."""
        self.vector(VECTOR["load"], 0, RBP, 64 * place, mask=1)
        self.vector(VECTOR["store"], 0, RBP, 64 * place)

    def _lose(self, order: Order) -> None:
        self.test(order.a, True)
        self.keep(order.b)

    def _unless(self, order: Order) -> None:
        self.test(order.a)
        self.out += KMOV_EAX + b"\x84\xc0"  # kmovb eax, k1; test al, al
        self.jump(b"\x0f\x84", order.b)

    def _read(self, order: Order) -> None:
        self.out += b"\x31\xc9"  # xor ecx, ecx
        for lane in range(0, 64, 8):
            self.out += b"\xf2\x48\x0f\x2c\x85" + struct.pack("<i", 64 * order.b + lane)  # cvttsd2si rax, [rbp + d]
            self.out += bytes.fromhex("4839c8 480f4fc8")  # cmp rax, rcx; cmovg rcx, rax
        self.memory(STORE, RCX, RBP, self.cell(order.a))

    def _write(self, order: Order) -> None:
        self.out += b"\xc4\xe1\xfb\x2a\x85" + struct.pack("<i", self.cell(order.a))  # vcvtsi2sd xmm0, xmm0, [rbp + d]
        self.out += evex(VECTOR["spread"], 0, 0, 0, False, False, 0, False) + b"\xc0"  # vbroadcastsd zmm0, xmm0
        self.vector(VECTOR["store"], 0, RBP, 64 * order.b)
