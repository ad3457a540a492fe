"""Registers and memory that hold numbers of values instead of floats, and what single instructions do with them.

The values are those of one program (`numbering.py`), the instructions those that `decoder.py` reads. Jumps and calls,
and what is proven by all of it, are in `check.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from scalargrad.compiler.ir.program import Program

from .decoder import PAIR, R14, RBP, RBX, RSP, SPREAD, Instruction, cell
from .numbering import ALWAYS, SYMMETRIC, AllocationError, Held, Terms, Under

# Instructions that do one operation on two values, the second in memory or in rm.
_ARITHMETIC = ("add", "mul", "sub", "div", "min", "max")
ON_ONE = {
    **{f"v{name}sd": name for name in _ARITHMETIC}, "vandpd": "&", "vorpd": "|", "vxorpd": "^", "vandnpd": "andn"
}  # fmt: skip
ON_EIGHT = {
    **{f"v{name}pd": name for name in _ARITHMETIC},
    "vandpd zmm": "&", "vorpd zmm": "|", "vxorpd zmm": "^", "vandnpd zmm": "andn", "vscalefpd": "scale",
}  # fmt: skip
_TWO = ON_ONE | ON_EIGHT
FUSED = {f"v{name}{order}": operation for name, operation in (("fmadd", "fma"), ("fmsub", "fms"), ("fnmadd", "fnma"))
         for order in ("213", "231")}  # fmt: skip
# Predicates (page of CMPPD, table 3-1; OQ, OS and so on differ in signals alone), and whether operands change places.
_PREDICATES = {
    0x11: ("lt", False), 0x12: ("le", False), 0x1E: ("lt", True), 0x1D: ("le", True), 0x00: ("eq", False),
    0x04: ("ne", False), 0x03: ("unordered", False), 0x16: ("nle", False), 0x19: ("nle", True),
}  # fmt: skip
_ROUNDINGS = {8: "rint", 9: "floor", 10: "ceil"}


ADDING = -2  # no number of a value: the mask of outputs that are added to what is there


class State:
    """What is known at one point of a function's code, for one float (`lanes` 1) or eight."""

    def __init__(
        self, title: str, program: Program, lanes: int, constants: Mapping[int, int | str], room: int, start: int
    ) -> None:
        self.title, self.program, self.lanes = title, program, lanes
        self.constants, self.room = constants, room  # what stands before the memory, by displacement; and its bytes
        self.terms = Terms(program, lanes)
        self.at = start
        self.begun, self.now = start, Instruction("none", start)
        self.sp = 8  # bytes on the stack since it was on a boundary of 16; and when what precedes operands was there
        self.entered = 16
        self.cells: dict[int, dict[int, Held]] = {RBX: {}, RBP: {}, R14: {}, RSP: {}}
        self.outputs: Collection[tuple[int, int]] = ()  # where they go: registers and displacements
        self.spread: dict[int, int] = {}  # floats at rbx that may be spread over lanes
        self.adds: int | None = None  # where at rbx the mask is by which outputs are added to what is there
        self.masks: dict[int, Held] = {}  # cells that hold a mask in their first byte
        self.writes: set[int] = set()
        self.undo: list[tuple[dict[int, Held], int, Held]] | None = None  # what a call out of line has overwritten
        self.path: tuple[int, bool] | None = None  # under which condition that is
        self.last = -1  # instruction of the program that was computed last
        self.position = {number: i for i, number in enumerate(self.terms.wanted)}
        self.forget()

    def forget(self) -> None:
        """What a call does to registers."""
        self.x: list[Held] = [None] * 32
        self.k: list[Held] = [None] * 8
        self.eax: Any = None
        self.r15: tuple[Held, bool] | None = None
        self.flags: tuple[str, Any] | None = None

    # ---- errors ------------------------------------------------------------------------------------------------------

    def fail(self, what: str) -> NoReturn:
        wanted = ""
        if self.last + 1 < len(self.program):
            i = self.last + 1
            given = ", ".join(self.name(p) for p in self.program.operands[i])
            wanted = f"; the program has next: value {self.program.inputs + i} = {self.program.operations[i]}({given})"
        raise AllocationError(f"{self.title}, byte {self.begun}, {self.now}: {what}{wanted}")

    def name(self, p: int) -> str:
        terms, first = self.terms, self.program.inputs
        return terms.names[terms.known[~p] if p < 0 else p if p < first else terms.wanted[p - first]]

    def the(self, what: str, held: Held, wanted: int) -> None:
        """Fail unless that is held, whatever the conditions."""
        if held != wanted:
            self.fail(f"{what} must be {self.terms.show(wanted)} and is {self.terms.show(held)}")

    # ---- operands ----------------------------------------------------------------------------------------------------

    def read(self) -> Held:
        """The last operand of the instruction, in a register or in memory."""
        now = self.now
        if now.base < 0:
            return self.x[now.rm]
        at, base = now.displacement, now.base
        if base == RBP and at < 0:
            if self.lanes > 1 and now.size != SPREAD:
                self.fail("eight floats are read where there is a constant")
            what = self.constants.get(at)
            return self.terms.constant(what) if isinstance(what, int) else None
        if base not in self.cells:
            self.fail("memory that is no input, output or working memory")
        if now.size == PAIR and (base != RBP or at + PAIR > self.room):
            self.fail("two floats are read where there may be one")
        if self.lanes > 1 and now.size == SPREAD:
            return self.spread.get(at) if base == RBX else None
        return self.known(self.cells[base].get(at))

    def known(self, held: Held) -> Held:
        """What is held, on this path."""
        if self.path is None or held is None or isinstance(held, int):
            return held
        under = held[1] - {self.path}
        return (held[0], under) if under else held[0]

    def write(self, cells: dict[int, Held], at: int, held: Held) -> None:
        if self.undo is not None:
            self.undo.append((cells, at, cells.get(at)))
        cells[at] = held

    def store(self, held: Held, masks: bool = False) -> None:
        now = self.now
        at, base, unit = now.displacement, now.base, 8 * self.lanes
        limit = {RBP: self.room - 64, RSP: self.sp - self.entered}.get(base, 0)
        working = at % unit == 0 and 0 <= at < limit
        if not (working if base in (RBP, RSP) else (base, at) in self.outputs) or (masks and base != RBP):
            self.fail("a place that may not be written, or not so")
        if held is None:
            self.fail("nothing known is stored")
        self.write(self.masks if masks else self.cells[base], at, held)
        if base == RBP:
            self.write(self.cells[RBP] if masks else self.masks, at, None)
            self.writes.add(at)

    # ---- values ------------------------------------------------------------------------------------------------------

    def find(self, operation: str, operands: Sequence[Held]) -> Held:
        """What an operation on that gives. It is one of the program's, or a step of one."""
        numbers: list[int] = []
        under = ALWAYS
        for each in operands:
            if isinstance(each, int):
                numbers.append(each)
            elif each is None:
                shown = ", ".join(map(self.terms.show, operands))
                self.fail(f"an operand of {operation} is not known: {shown}")
            else:
                numbers.append(each[0])
                under |= each[1]
        key = (operation, *sorted(numbers)) if operation in SYMMETRIC else (operation, *numbers)
        found = self.terms.table.get(key)
        if found is None:
            shown = ", ".join(map(self.terms.show, operands))
            self.fail(f"{operation}({shown}) is nothing that the program computes")
        self.last = self.position.get(found, self.last)
        if under:
            if found in self.terms.choices:
                under = self.choice(found, zip(numbers, operands, strict=True))
            if under:
                return found, under
        return found

    def choice(self, made: int, operands: Iterable[tuple[int, Held]]) -> Under:
        """Under which conditions a selection is right: an arm need only be where it is taken."""
        c, a, b = self.terms.choices[made]
        under = ALWAYS
        for number, held in operands:
            if isinstance(held, tuple):
                outcome = None if a == b else {a: True, b: False}.get(number)
                under |= held[1] - {(c, outcome)}
        return under

    def two(self) -> None:
        """An instruction on two values."""
        now = self.now
        operation = _TWO[now.name]
        a, b = self.x[now.v], self.read()
        if type(a) is int and type(b) is int:
            key = (operation, b, a) if a > b and operation in SYMMETRIC else (operation, a, b)
            found = self.terms.table.get(key)
            if found is not None:
                self.x[now.r] = found
                self.last = self.position.get(found, self.last)
                return
        self.x[now.r] = self.find(operation, (a, b))

    def fused(self) -> None:
        """A product and a sum: of v and r, with the last operand, or of v and the last operand, with r."""
        now = self.now
        operation = FUSED[now.name[:-2]]
        r, v, last = self.x[now.r], self.x[now.v], self.read()
        factor, summand = (r, last) if "213" in now.name else (last, r)
        pair = sorted((v, factor), key=lambda held: held if isinstance(held, int) else held[0] if held else -1)
        self.x[now.r] = self.find(operation, (*pair, summand))

    def one(self) -> None:
        now = self.now
        operation = "sqrt" if now.name.startswith("vsqrt") else _ROUNDINGS.get(now.immediate, "rounding")
        self.x[now.r] = self.find(operation, (self.read(),))

    def shift(self) -> None:
        """The register that is shifted is in rm, where it goes to in v; r says to which side."""
        now = self.now
        side = {2: "right", 6: "left"}.get(now.r)
        if now.immediate != 52 or now.base >= 0:
            self.fail("a shift by other than 52")
        self.x[now.v] = self.find(f"shift {side}", (self.x[now.rm],))

    def compare(self) -> None:
        now = self.now
        operation, swapped = _PREDICATES.get(now.immediate, ("comparison", False))
        a, b = self.x[now.v], self.read()
        found = self.find(operation, (b, a) if swapped else (a, b))
        if now.name == "vcmpsd":
            self.x[now.r] = found
        else:
            self.k[now.r] = found

    def blend(self) -> None:
        now = self.now
        if now.name == "vblendvpd":
            mask = self.x[now.immediate >> 4]
        else:
            mask = self.k[now.mask]
            if not now.mask or now.zero:
                self.fail("a selection without a mask, or one that zeroes")
        self.x[now.r] = self.find("blend", (mask, self.read(), self.x[now.v]))

    def load(self) -> None:
        """A move to a register; with a mask, of the lanes in it, and zeros to the others."""
        now = self.now
        held = self.read()
        if now.base >= 0 and held is None:
            self.fail(f"{cell(now.base, now.displacement)} holds nothing known")
        if now.mask:
            if not now.zero:
                self.fail("a move that keeps some lanes")
            held = self.find("blend", (self.k[now.mask], held, self.terms.constant(0)))
        self.x[now.r] = held

    def logic(self) -> None:
        now = self.now
        if now.name == "knotb":
            self.k[now.r] = self.find("knot", (self.k[now.rm],))
        else:
            self.k[now.r] = self.find(now.name[:-1], (self.k[now.v], self.k[now.rm]))

    def mask_moves(self) -> None:
        now = self.now
        if now.name == "kmovb store":
            self.store(self.k[now.r], True)
        elif now.name == "kmovb load" and now.base == RBX:
            if now.displacement != self.adds:
                self.fail("a mask that is no input")
            self.k[now.r] = ADDING
        elif now.name == "kmovb load":
            held = self.known(self.masks.get(now.displacement)) if now.base == RBP else None
            if held is None:
                self.fail(f"{cell(now.base, now.displacement)} holds no mask that is known")
            self.k[now.r] = held
        elif now.r == 15:
            self.r15 = self.k[now.rm], True
        elif now.r == 0:
            self.eax = self.k[now.rm], True
        else:
            self.fail("a mask in another register")
