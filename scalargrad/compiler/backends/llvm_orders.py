"""The orders of a program with loops as LLVM assembly, for one point or for eight samples. Segments are called by
address, as from the orders that `x86/orders.py` writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.layout import Place
from .orders import Orders


class LLVMOrders(Orders):
    """The function under construction. A pointer in a cell is a number of bytes from the frame on."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.lines: list[str] = []
        self.count = 0
        self.type, self.bool = ("<8 x double>", "<8 x i1>") if self.wide else ("double", "i1")

    # ---- instructions ------------------------------------------------------------------------------------------------

    def new(self, text: str) -> str:
        """A name for what an instruction gives."""
        self.count += 1
        self.lines.append(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def pointer(self, at: int | str, base: str = "%m") -> str:
        return self.new(f"getelementptr i8, ptr {base}, i64 {at}")

    def load(self, at: int) -> str:
        return self.new(f"load {self.type}, ptr {self.pointer(self.unit * at)}, align {self.unit}")

    def store(self, x: str, at: int) -> None:
        self.lines.append(f"store {self.type} {x}, ptr {self.pointer(self.unit * at)}, align {self.unit}")

    def cell(self, k: int) -> str:
        return self.new(f"load i64, ptr {self.pointer(self.cells + 8 * k)}")

    def put(self, k: int, x: int | str) -> str:
        """Give a cell a number."""
        self.lines.append(f"store i64 {x}, ptr {self.pointer(self.cells + 8 * k)}")
        return str(x)

    def whole_of(self, operation: str, a: int | str, b: int | str) -> str:
        return self.new(f"{operation} i64 {a}, {b}")

    def copy(self, source: str, target: str, count: int) -> None:
        size = self.unit * count
        self.lines.append(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    def place(self, place: Place) -> str:
        base = "%m" if place.pointer is None else self.pointer(self.cell(place.pointer))
        return self.pointer(self.unit * place.at, base)

    def spread(self, x: str) -> str:
        """One float in all lanes."""
        if not self.wide:
            return x
        first = self.new(f"insertelement {self.type} poison, double {x}, i32 0")
        return self.new(f"shufflevector {self.type} {first}, {self.type} poison, <8 x i32> zeroinitializer")

    def label(self, name: str) -> None:
        self.lines += [f"br label %{name}", f"{name}:"]

    def branch(self, condition: str, label: str) -> None:
        """Jump to a label, or go on."""
        self.count += 1
        self.lines += [f"br i1 {condition}, label %{label}, label %go{self.count}", f"go{self.count}:"]

    def call(self, kind: str, address: int, x: int, y: int, memory: int = 0) -> str:
        given = ", ".join(f"ptr {self.pointer(at)}" for at in (self.unit * x, self.unit * y, memory))
        return self.new(f"call {kind} inttoptr (i64 {address} to ptr)({given})")

    def bits(self, place: int) -> str:
        """Whether a float is not zero: a bit for each lane."""
        lanes = self.new(f"fcmp une {self.type} {self.load(place)}, zeroinitializer")
        return self.new(f"bitcast {self.bool} {lanes} to i{self.unit // 8}")

    def keep(self, lanes: str, place: int) -> None:
        """Make a float zero but in some lanes, of which there is a bit each."""
        chosen, x = self.new(f"bitcast i8 {lanes} to {self.bool}"), self.load(place)
        self.store(self.new(f"select {self.bool} {chosen}, {self.type} {x}, {self.type} zeroinitializer"), place)

    # ---- orders ------------------------------------------------------------------------------------------------------

    def finish(self) -> str:
        layout, unit = self.layout, self.unit
        for whole, at, to, count in self.inputs():
            if whole:
                self.copy(self.pointer(at, "%x"), self.pointer(to), count)
            for k in () if whole else range(count):
                x = self.new(f"load double, ptr {self.pointer(at + 8 * k, '%x')}, align 8")
                self.store(self.spread(x), to // unit + k)
        for what, *operands in layout.orders:
            _ORDERS[what](self, *operands)
        for output, start, count in layout.outputs:
            self.copy(self.pointer(unit * start), self.pointer(unit * output, "%y"), count)
        code = self.answer() if layout.held is None else self.bits(layout.held)
        return "\n".join([
            "declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)",
            "declare i64 @llvm.vector.reduce.smax.v8i64(<8 x i64>)",
            "define i8 @run(ptr %x, ptr %y, ptr %m) {", *self.lines, f"ret i8 {code}", "fail:", "ret i8 0", "}",
        ])  # fmt: skip

    def answer(self) -> str:
        """3 if an output is nan, else 1."""
        odd = "false"
        for _, start, count in self.layout.outputs:
            for place in range(start, start + count):
                x = self.load(place)
                odd = self.new(f"or i1 {odd}, {self.new(f'fcmp uno double {x}, {x}')}")
        return self.new(f"select i1 {odd}, i8 3, i8 1")

    def segment(self, k: int, x: int, y: int, _: Any) -> None:
        entry = self.entries[k]
        code = self.call("i8", entry.address, x, y, entry.memory)
        if entry.guarded and self.layout.held is not None:
            self.keep(code, self.layout.held)
        elif entry.guarded:
            self.branch(self.new(f"icmp eq i8 {code}, 0"), "fail")
        if entry.exact is not None:
            right = f"right{self.count}"
            self.branch(self.new(f"icmp ne i8 {code}, 3"), right)
            self.call("i8", entry.exact.address, x, y, entry.exact.memory)
            self.label(right)

    def read(self, cell: int, place: int, *_: Any) -> None:
        x = self.new(f"fptosi {self.type} {self.load(place)} to {'<8 x i64>' if self.wide else 'i64'}")
        self.put(cell, self.new(f"call i64 @llvm.vector.reduce.smax.v8i64(<8 x i64> {x})") if self.wide else x)


_ORDERS: dict[str, Callable[..., Any]] = {
    "copy": lambda p, a, b, c, _: p.copy(p.place(a), p.place(b), c),
    "point": lambda p, a, b, *_: p.put(a, p.unit * b),
    "point_last": lambda p, a, b, c, d: p.put(
        a, p.whole_of("add", p.whole_of("mul", p.cell(d), p.unit * c), p.unit * (b - c))
    ),
    "advance": lambda p, a, b, *_: p.put(a, p.whole_of("add", p.cell(a), p.unit * b)),
    "segment": LLVMOrders.segment,
    "foreign": lambda p, a, b, c, _: p.call("i8", p.foreign[a], b, c),
    "set": lambda p, a, b, *_: p.put(a, b),
    "read": LLVMOrders.read,
    "write": lambda p, a, b, *_: p.store(p.spread(p.new(f"sitofp i64 {p.cell(a)} to double")), b),
    "increment": lambda p, a, *_: p.put(a, p.whole_of("add", p.cell(a), 1)),
    "label": lambda p, a, *_: p.label(f"l{a}"),
    "jump": lambda p, a, *_: p.branch("true", f"l{a}"),
    "unless": lambda p, a, b, *_: p.branch(p.new(f"icmp eq i{p.unit // 8} {p.bits(a)}, 0"), f"l{b}"),
    "repeat": lambda p, a, b, *_: p.branch(
        p.whole_of("icmp ne", p.put(a, p.whole_of("sub", p.cell(a), 1)), 0), f"l{b}"
    ),
    "limit": lambda p, a, b, c, _: p.branch(p.whole_of("icmp eq", p.cell(a), b), "fail" if c is None else f"l{c}"),
    "lose": lambda p, a, b, *_: p.keep(p.new(f"xor i8 {p.bits(a)}, -1"), b),
}
