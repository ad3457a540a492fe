"""The orders of a program with loops as LLVM assembly, for one point or for eight samples: see `ir/layout.py`.

The segments are functions that are called by address, as from the orders that `x86/orders.py` writes: `run(x, y, m)`
takes the inputs, the outputs and the frame, before which stand constants, cells, and the memories of the segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.layout import Layout, Order, Place
from .x86.orders import Entry


class LLVMOrders:
    """The function under construction."""

    def __init__(
        self, layout: Layout, cells: int, entries: Sequence[Entry], foreign: Sequence[int], places: Sequence[Any]
    ) -> None:
        self.layout, self.cells, self.entries, self.foreign = layout, cells, entries, foreign
        self.places = places  # of the inputs, as `native.kernel` has them
        self.lanes = 1 if layout.held is None else 8
        self.unit = 8 * self.lanes
        self.type = "double" if self.lanes == 1 else f"<{self.lanes} x double>"
        self.lines: list[str] = []
        self.count = 0

    # ---- instructions ------------------------------------------------------------------------------------------------

    def set(self, text: str) -> str:
        """A new name for what an instruction gives."""
        self.count += 1
        self.lines.append(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def pointer(self, at: int, base: str = "%m") -> str:
        return self.set(f"getelementptr i8, ptr {base}, i64 {at}")

    def float(self, at: int, base: str = "%m") -> str:
        return self.set(f"load {self.type}, ptr {self.pointer(self.unit * at, base)}, align {self.unit}")

    def store(self, x: str, at: int) -> None:
        self.lines.append(f"store {self.type} {x}, ptr {self.pointer(self.unit * at)}, align {self.unit}")

    def cell(self, k: int) -> str:
        return self.set(f"load i64, ptr {self.pointer(self.cells + 8 * k)}")

    def store_cell(self, x: str, k: int) -> None:
        self.lines.append(f"store i64 {x}, ptr {self.pointer(self.cells + 8 * k)}")

    def place(self, place: Place) -> str:
        if place.pointer is None:
            return self.pointer(self.unit * place.at)
        return self.pointer(self.unit * place.at, self.set(f"inttoptr i64 {self.cell(place.pointer)} to ptr"))

    def address(self, at: int) -> str:
        return self.set(f"ptrtoint ptr {self.pointer(at)} to i64")

    def copy(self, source: str, target: str, count: int) -> None:
        size = self.unit * count
        self.lines.append(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    def spread(self, x: str) -> str:
        """One float in all lanes."""
        if self.lanes == 1:
            return x
        first = self.set(f"insertelement {self.type} poison, double {x}, i32 0")
        return self.set(f"shufflevector {self.type} {first}, {self.type} poison, <8 x i32> zeroinitializer")

    def branch(self, condition: str, label: str) -> None:
        self.count += 1
        self.lines += [f"br i1 {condition}, label %{label}, label %go{self.count}", f"go{self.count}:"]

    def call(self, address: int, *pointers: str, result: str = "void") -> str:
        given = ", ".join(f"ptr {each}" for each in pointers)
        text = f"call {result} inttoptr (i64 {address} to ptr)({given})"
        if result != "void":
            return self.set(text)
        self.lines.append(text)
        return ""

    def bits(self, place: int) -> str:
        """The lanes in which a float is not zero, a nan included."""
        x = self.float(place)
        return self.set(f"fcmp une {self.type} {x}, zeroinitializer")

    # ---- orders ------------------------------------------------------------------------------------------------------

    def finish(self) -> str:
        layout, unit = self.layout, self.unit
        for k, (wide, at) in enumerate(self.places):
            if wide:
                x = self.set(f"load {self.type}, ptr {self.pointer(at, '%x')}, align {unit}")
            else:
                x = self.spread(self.set(f"load double, ptr {self.pointer(at, '%x')}, align 8"))
            self.store(x, layout.inputs + k)
        for order in layout.orders:
            getattr(self, "_" + order.what)(order)
        for output, start, count in layout.outputs:
            self.copy(self.pointer(unit * start), self.pointer(unit * output, "%y"), count)
        code = "1" if layout.held is None else self.set(f"bitcast <8 x i1> {self.bits(layout.held)} to i8")
        return "\n".join([
            "declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)",
            "declare i64 @llvm.vector.reduce.smax.v8i64(<8 x i64>)",
            "define i8 @run(ptr %x, ptr %y, ptr %m) {", *self.lines, f"ret i8 {code}", "fail:", "ret i8 0", "}",
        ])  # fmt: skip

    def _copy(self, order: Order) -> None:
        self.copy(self.place(order.a), self.place(order.b), order.c)

    def _fill(self, order: Order) -> None:
        x, start = self.float(order.a), self.pointer(self.unit * order.b)
        self.count += 1
        k = self.count
        self.lines += [
            f"br label %before{k}", f"before{k}:", f"br label %fill{k}", f"fill{k}:",
            f"%k{k} = phi i64 [ 0, %before{k} ], [ %n{k}, %fill{k} ]",
            f"%p{k} = getelementptr {self.type}, ptr {start}, i64 %k{k}",
            f"store {self.type} {x}, ptr %p{k}, align {self.unit}", f"%n{k} = add i64 %k{k}, 1",
            f"%c{k} = icmp ult i64 %n{k}, {order.c}", f"br i1 %c{k}, label %fill{k}, label %filled{k}", f"filled{k}:",
        ]  # fmt: skip

    def _point(self, order: Order) -> None:
        self.store_cell(self.address(self.unit * order.b), order.a)

    def _point_last(self, order: Order) -> None:
        behind = self.set(f"mul i64 {self.cell(order.d)}, {self.unit * order.c}")
        first = self.address(self.unit * (order.b - order.c))
        self.store_cell(self.set(f"add i64 {behind}, {first}"), order.a)

    def _advance(self, order: Order) -> None:
        self.store_cell(self.set(f"add i64 {self.cell(order.a)}, {self.unit * order.b}"), order.a)

    def _segment(self, order: Order) -> None:
        entry = self.entries[order.a]
        x, y = self.pointer(self.unit * order.b), self.pointer(self.unit * order.c)
        code = self.call(entry.address, x, y, self.pointer(entry.memory), result="i8")
        if entry.guarded and self.layout.held is not None:
            lanes, before = self.set(f"bitcast i8 {code} to <8 x i1>"), self.float(self.layout.held)
            now = self.set(f"select <8 x i1> {lanes}, {self.type} {before}, {self.type} zeroinitializer")
            self.store(now, self.layout.held)
        elif entry.guarded:
            self.branch(self.set(f"icmp eq i8 {code}, 0"), "fail")
        if entry.exact is not None:
            self.count += 1
            right = f"right{self.count}"
            self.branch(self.set(f"icmp ne i8 {code}, 3"), right)
            self.call(entry.exact.address, x, y, self.pointer(entry.exact.memory), result="i8")
            self.lines += [f"br label %{right}", f"{right}:"]

    def _foreign(self, order: Order) -> None:
        self.call(self.foreign[order.a], self.pointer(8 * order.b), self.pointer(8 * order.c))

    def _set(self, order: Order) -> None:
        self.store_cell(str(order.b), order.a)

    def _read(self, order: Order) -> None:
        whole = "i64" if self.lanes == 1 else "<8 x i64>"
        x = self.set(f"fptosi {self.type} {self.float(order.b)} to {whole}")
        if self.lanes > 1:
            x = self.set(f"call i64 @llvm.vector.reduce.smax.v8i64(<8 x i64> {x})")
        self.store_cell(x, order.a)

    def _write(self, order: Order) -> None:
        self.store(self.spread(self.set(f"sitofp i64 {self.cell(order.a)} to double")), order.b)

    def _increment(self, order: Order) -> None:
        self.store_cell(self.set(f"add i64 {self.cell(order.a)}, 1"), order.a)

    def _label(self, order: Order) -> None:
        self.lines += [f"br label %l{order.a}", f"l{order.a}:"]

    def _jump(self, order: Order) -> None:
        self.branch("true", f"l{order.a}")

    def _unless(self, order: Order) -> None:
        lanes = self.bits(order.a)
        if self.lanes > 1:
            lanes = self.set(f"bitcast <8 x i1> {lanes} to i8")
        self.branch(self.set(f"icmp eq i{self.lanes} {lanes}, 0"), f"l{order.b}")

    def _lose(self, order: Order) -> None:
        lanes, before = self.bits(order.a), self.float(order.b)
        self.store(self.set(f"select <8 x i1> {lanes}, {self.type} zeroinitializer, {self.type} {before}"), order.b)

    def _repeat(self, order: Order) -> None:
        left = self.set(f"sub i64 {self.cell(order.a)}, 1")
        self.store_cell(left, order.a)
        self.branch(self.set(f"icmp ne i64 {left}, 0"), f"l{order.b}")

    def _none(self, order: Order) -> None:
        self.branch(self.set(f"icmp sle i64 {self.cell(order.a)}, 0"), f"l{order.b}")

    def _limit(self, order: Order) -> None:
        label = "fail" if self.layout.held is None else f"l{order.c}"
        self.branch(self.set(f"icmp eq i64 {self.cell(order.a)}, {order.b}"), label)
