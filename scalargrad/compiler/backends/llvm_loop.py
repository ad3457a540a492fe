"""The instructions of `batch_loop.py` as LLVM assembly."""

from __future__ import annotations

from .batch_loop import AHEAD, SLOT, Number

_INTEGER = {"+": "add", "-": "sub", "*": "mul", "&": "and", "^": "xor", "<<": "shl", ">>": "lshr"}
_RELATIONS = {"<": "slt", "==": "eq", "!=": "ne"}
VECTOR = "<8 x double>"


class LLVMLoop:
    """Assembly under construction: `void drive(long *slots)`."""

    def __init__(self) -> None:
        self.lines = ['define void @drive(ptr %slots) "prefer-vector-width"="512" {']
        self.count = 0
        self.open = True  # whether the block under construction goes on
        self.vectors: dict[int, str] = {}  # the name of each, from its number
        for name, k in SLOT.items():
            self.lines.append(f"%{name} = getelementptr i64, ptr %slots, i64 {k}")

    def finish(self) -> str:
        declared = (
            f"declare void @llvm.masked.store.v8f64.p0({VECTOR}, ptr, i32, <8 x i1>)\n"
            "declare i64 @llvm.smin.i64(i64, i64)\ndeclare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
        )
        return "\n".join([*self.lines, "ret void }", declared])

    def new(self, text: str) -> str:
        """The name of what an instruction gives."""
        self.count += 1
        self.lines.append(f"%x{self.count} = {text}")
        return f"%x{self.count}"

    def fetch(self, x: Number) -> str:
        return self.new(f"load i64, ptr %{x}") if isinstance(x, str) else str(x)

    def pointer(self, address: str) -> str:
        return self.new(f"inttoptr i64 {self.fetch(address)} to ptr")

    def put(self, to: str, value: str) -> None:
        self.lines.append(f"store i64 {value}, ptr %{to}")

    def set(self, to: str, a: Number, operation: str, b: Number) -> None:
        one, other = self.fetch(a), self.fetch(b)
        text = f"{_INTEGER.get(operation)} i64 {one}, {other}"
        self.put(to, self.new(text if operation != "min" else f"call i64 @llvm.smin.i64(i64 {one}, i64 {other})"))

    def load(self, to: str, address: str) -> None:
        self.put(to, self.new(f"load i64, ptr {self.pointer(address)}"))

    def store(self, address: str, value: Number) -> None:
        number = self.fetch(value)
        self.lines.append(f"store i64 {number}, ptr {self.pointer(address)}")

    def label(self, name: str) -> None:
        if self.open:
            self.goto(name)
        self.lines.append(f"{name}_:")
        self.open = True

    def goto(self, name: str) -> None:
        self.lines.append(f"br label %{name}_")
        self.open = False

    def branch(self, a: Number, relation: str, b: Number, name: str) -> None:
        holds = self.new(f"icmp {_RELATIONS[relation]} i64 {self.fetch(a)}, {self.fetch(b)}")
        self.count += 1
        self.lines += [f"br i1 {holds}, label %{name}_, label %b{self.count}", f"b{self.count}:"]

    def call(self, code: str, x: str, y: str, memory: str) -> None:
        given = ", ".join(f"ptr {self.pointer(each)}" for each in (x, y, memory))
        self.put("ok", self.new(f"zext i8 {self.new(f'call i8 {self.pointer(code)}({given})')} to i64"))

    def copy(self, to: str, address: str, step: str, last: str) -> None:
        at, by, behind, x = self.fetch(address), self.fetch(step), self.fetch(last), self.pointer(to)
        for k in range(8):
            value = self.new(f"load double, ptr {self.new(f'inttoptr i64 {at} to ptr')}, align 1")
            self.lines.append(f"store double {value}, ptr {self.new(f'getelementptr double, ptr {x}, i64 {k}')}")
            by = self.new(f"select i1 {self.new(f'icmp eq i64 {behind}, {k}')}, i64 0, i64 {by}")
            at = self.new(f"add i64 {at}, {by}")

    def gather(self) -> None:
        x, strides, bases, q, rows, columns = map(self.fetch, ("to", "strides", "bases", "q", "rows", "columns"))
        entry = self.count
        top = f"gather{entry}"
        self.lines += [f"br label %before{entry}", f"before{entry}:", f"br label %{top}", f"{top}:"]
        j = self.new(f"phi i64 [ 0, %before{entry} ], [ %next{entry}, %{top} ]")
        by = self.of(strides, j)
        at = self.new(f"add i64 {self.of(bases, j)}, {self.new(f'mul i64 {q}, {by}')}")
        further = self.new(f"add i64 {at}, {self.new(f'mul i64 {by}, {AHEAD}')}")
        by, vector = self.new(f"mul i64 {by}, {rows}"), "poison"
        for k in range(8):
            value = self.new(f"load double, ptr {self.new(f'inttoptr i64 {at} to ptr')}, align 1")
            vector = self.new(f"insertelement {VECTOR} {vector}, double {value}, i32 {k}")
            place = self.new(f"inttoptr i64 {further} to ptr")
            self.lines.append(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")
            at, further = self.new(f"add i64 {at}, {by}"), self.new(f"add i64 {further}, {by}")
        behind = self.new(f"shl i64 {j}, 3")
        to = self.new(f"inttoptr i64 {self.new(f'add i64 {x}, {behind}')} to ptr")
        self.lines += [
            f"store {VECTOR} {vector}, ptr {to}, align 8",
            f"%next{entry} = add i64 {j}, 8",
            f"%more{entry} = icmp slt i64 %next{entry}, {columns}",
            f"br i1 %more{entry}, label %{top}, label %gathered{entry}", f"gathered{entry}:",
        ]  # fmt: skip

    def of(self, address: str, j: str) -> str:
        """A number of eight bytes, so far behind an address."""
        place = self.new(f"inttoptr i64 {self.new(f'add i64 {address}, {j}')} to ptr")
        return self.new(f"load i64, ptr {place}")

    # ---- vectors -----------------------------------------------------------------------------------------------------

    def mask(self, name: str) -> str:
        return self.new(f"bitcast i8 {self.new(f'trunc i64 {self.fetch(name)} to i8')} to <8 x i1>")

    def read(self, v: int, address: str, at: int) -> None:
        place = self.new(f"getelementptr i8, ptr {self.pointer(address)}, i64 {at}")
        self.vectors[v] = self.new(f"load {VECTOR}, ptr {place}, align 8")

    def some(self, v: int, address: str, mask: str) -> None:
        others = self.vectors.get(v, "zeroinitializer")
        self.read(v, address, 0)
        self.vectors[v] = self.new(f"select <8 x i1> {self.mask(mask)}, {VECTOR} {self.vectors[v]}, {VECTOR} {others}")

    def only(self, v: int, address: str, mask: str) -> None:
        self.vectors.pop(v, None)
        self.some(v, address, mask)

    def write(self, address: str, v: int) -> None:
        self.lines.append(f"store {VECTOR} {self.vectors[v]}, ptr {self.pointer(address)}, align 8")

    def part(self, address: str, v: int, mask: str) -> None:
        given = f"{VECTOR} {self.vectors[v]}, ptr {self.pointer(address)}, i32 8, <8 x i1> {self.mask(mask)}"
        self.lines.append(f"call void @llvm.masked.store.v8f64.p0({given})")

    def add(self, v: int, a: int, b: int) -> None:
        self.vectors[v] = self.new(f"fadd {VECTOR} {self.vectors[a]}, {self.vectors[b]}")

    def divide(self, v: int, slot: str) -> None:
        one = self.new(f"insertelement {VECTOR} poison, double {self.new(f'load double, ptr %{slot}')}, i32 0")
        every = self.new(f"shufflevector {VECTOR} {one}, {VECTOR} poison, <8 x i32> zeroinitializer")
        self.vectors[v] = self.new(f"fdiv {VECTOR} {self.vectors[v]}, {every}")

    def neighbours(self, v: int, a: int, b: int, level: int) -> None:
        for k in (0, 1):
            lanes = ", ".join(f"i32 {lane}" for lane in range(k, 16, 2))
            text = f"shufflevector {VECTOR} {self.vectors[a]}, {VECTOR} {self.vectors[b]}, <8 x i32> <{lanes}>"
            self.vectors[16 + k] = self.new(text)
        self.add(v, 16, 17)

    def nans(self, v: int) -> None:
        odd = self.new(f"fcmp uno {VECTOR} {self.vectors[v]}, zeroinitializer")
        bits = self.new(f"zext i8 {self.new(f'bitcast <8 x i1> {odd} to i8')} to i64")
        self.put("nan", self.new(f"or i64 {self.fetch('nan')}, {bits}"))
