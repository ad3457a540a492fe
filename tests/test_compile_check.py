"""The checker of machine code: faults that are planted in the allocator are found, and what is found right is right."""

from __future__ import annotations

import ctypes
import os
import random
import re
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from math import isnan
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.compiler.backends import native as native_backend
from scalargrad.compiler.backends.executable import Executable, features
from scalargrad.compiler.backends.machine import AlignedMemory, Machine
from scalargrad.compiler.backends.x86 import assembler, decoder, registers
from scalargrad.compiler.backends.x86 import code as x86_backend
from scalargrad.compiler.backends.x86.allocation_check import check
from scalargrad.compiler.backends.x86.numbering import AllocationError
from scalargrad.compiler.ir.elementary import BINARY_LIBRARY, EVALUATE, LIBRARY
from scalargrad.compiler.ir.lowering import Lowered
from scalargrad.compiler.ir.paired import paired
from scalargrad.compiler.ir.program import Guard, Program
from scalargrad.functions import primitives

from .evidence.masked import masked_units
from .extras import HAS_LLVM
from .test_compile import bits

pytestmark = pytest.mark.skipif("avx" not in features(), reason="no x86-64 with AVX, or no Linux")
WIDTHS = [1, 8] if "avx512" in features() else [1]

# ---- random programs of elementary operations ------------------------------------------------------------------------

ARITHMETIC = ("add", "sub", "mul", "div", "min", "max")
ON_ONE = ("neg", "abs", "sqrt", "floor", "ceil", "rint")
RELATIONS = ("lt", "le", "eq", "ne", "nle", "unordered")
CALLED = ("exp", "log", "sin", "tanh", "cbrt", "pow", "atan2", "erf", "hypot")


def random_program(r: random.Random, inputs: int, size: int, own: dict[str, int]) -> Program:
    """Many values that live long, and calls both everywhere and in arms of selections whose conditions are known."""
    made = Program(inputs)
    floats = list(range(inputs)) + [made.constant(c) for c in (0.0, -0.0, 1.5, -2.0, 1e-3)]
    conditions = [made.emit("lt", (0, 1)), made.emit("ne", (1, made.constant(0.0)))]

    def pick() -> int:
        return floats[-1 - int(r.random() ** 2 * len(floats))]

    def call() -> int:
        if own and r.random() < 0.6:
            name = r.choice(sorted(own))
            return made.emit(f"call {name}", tuple(pick() for _ in range(own[name])))
        name = r.choice(CALLED)
        return made.emit(name, tuple(pick() for _ in range(1 + (name in BINARY_LIBRARY))))

    def tame(k: int) -> int:
        return made.emit("max", (made.emit("min", (k, made.constant(8.0))), made.constant(-8.0)))

    while len(made) < size:
        kind = r.random()
        if kind < 0.45:
            k = made.emit(r.choice(ARITHMETIC), (pick(), pick()))
        elif kind < 0.6:
            k = made.emit(r.choice(ON_ONE), (pick(),))
        elif kind < 0.61:
            k = made.emit("copysign", (pick(), tame(pick())))  # the sign of a nan is nothing that is promised
        elif kind < 0.63:
            normal = made.emit("max", (made.emit("min", (pick(), made.constant(1e300))), made.constant(1e-300)))
            k = made.emit(r.choice(("mantissa", "exponent")), (normal,))
        elif kind < 0.65:
            k = made.emit("scale", (pick(), made.emit("rint", (tame(pick()),))))
        elif kind < 0.75:
            conditions.append(made.emit(r.choice(RELATIONS), (pick(), pick())))
            continue
        elif kind < 0.8:
            which = r.choice(("and", "or", "not"))
            conditions.append(made.emit(which, tuple(r.choice(conditions) for _ in range(1 + (which != "not")))))
            continue
        elif kind < 0.87:
            k = made.emit("select", (r.choice(conditions), pick(), pick()))
        elif kind < 0.91:
            k = call()
        else:
            c, k = r.choice(conditions), call()
            for _ in range(r.randrange(3)):
                k = made.emit(r.choice(("add", "mul", "sub")), (k, pick()))
            other = call() if r.random() < 0.3 else pick()
            k = made.emit("select", (c, k, other) if r.random() < 0.5 else (c, other, k))
        floats.append(k)
    made.outputs = [k for k in floats[-24:] if k >= 0]
    return made


def random_module(seed: int, size: int = 120, guards: bool = True) -> Lowered:
    """A program with functions of its own, one of which calls the other, and one of Python's."""
    r = random.Random(seed)
    low = Lowered(Program(0), callbacks={"python_1": (primitives.atan2, 2)})
    known: dict[str, int] = {}
    for name in ("first", "second", "third"):
        inputs = r.randrange(2, 4)
        body = low.functions[name] = random_program(r, inputs, 25, dict(known))
        body.outputs = body.outputs[-1:]
        known[name] = inputs
    low.program = random_program(r, 6, size, {**known, "python_1": 2})
    if guards:
        values = [k for k in low.program.outputs if k >= 0]
        for comparison in ("lt", "ge", "ne", "eq"):
            left, right = r.choice(values), r.choice([*values, 0, 1])
            low.program.guards.append(Guard(comparison, left, right, r.random() < 0.5, ""))
    low.program = low.program.without_dead()
    return low


def evaluated(low: Lowered, program: Program, xs: Sequence[float]) -> tuple[list[float], bool]:
    """The outputs, and whether the guards hold, by Python."""
    values = list(xs)

    def get(k: int) -> float:
        return values[k] if k >= 0 else program.constants[~k]

    for operation, operands in zip(program.operations, program.operands, strict=True):
        given = [get(k) for k in operands]
        name = operation.removeprefix("call ")
        if name in low.functions:
            values.append(evaluated(low, low.functions[name], given)[0][0])
        elif name in low.callbacks:
            values.append(low.callbacks[name][0].compute(*given))
        else:
            values.append(EVALUATE[operation](*given))
    relation = {"lt": "lt", "le": "le", "eq": "eq", "ne": "ne"}
    swapped = {"gt": "lt", "ge": "le"}
    holds = True
    for g in program.guards:
        left, right = get(g.left), get(g.right)
        if g.comparison in swapped:
            found = EVALUATE[swapped[g.comparison]](right, left)
        else:
            found = EVALUATE[relation[g.comparison]](left, right)
        holds &= found == g.outcome
    return [get(k) for k in program.outputs], holds


def places_of(count: int) -> list[tuple[bool, int]]:
    """All inputs are mapped but two."""
    mapped = [k not in (1, 4) for k in range(count)]
    columns, shared = iter(range(0, 64 * count, 64)), iter(range(64 * sum(mapped), 64 * count + 64, 8))
    return [(each, next(columns if each else shared)) for each in mapped]


def code_of(low: Lowered, lanes: int) -> x86_backend.Code:
    """Inputs 1 and 4 are shared by all lanes."""
    if lanes == 1:
        return x86_backend.scalar_code(low)
    return x86_backend.kernel_code(low, places_of(low.program.inputs))


def points(seed: int, low: Lowered, lanes: int) -> list[list[float]]:
    r = random.Random(seed)
    some = (0.0, -0.0, 1.0, float("inf"), float("nan"))
    found = [
        [r.choice(some) if r.random() < 0.1 else r.uniform(-3.0, 3.0) for _ in range(low.program.inputs)]
        for _ in range(lanes)
    ]
    for each in found:
        each[1], each[4] = found[0][1], found[0][4]
    return found


def run(machine: Machine, low: Lowered, xs: list[list[float]], lanes: int) -> Any:
    """What the code gives for one or eight points: outputs, and whether each point's guards hold."""
    outputs = len(low.program.outputs)
    function = ctypes.CFUNCTYPE(ctypes.c_uint8, *[ctypes.c_void_p] * 3)(machine.address)
    memory = AlignedMemory(machine.scratch, machine.preset)
    if lanes == 1:
        x, y = array("d", xs[0]), array("d", bytes(8 * (outputs + 16)))
        holds = function(x.buffer_info()[0], y.buffer_info()[0], memory.address)
        return [list(y[:outputs])], [holds != 0]
    wide = [k for k in range(low.program.inputs) if k not in (1, 4)]
    numbers = array("d", [x[k] for k in wide for x in xs] + [xs[0][k] for k in (1, 4) if k < low.program.inputs])
    given, taken = AlignedMemory(len(numbers)), AlignedMemory(8 * outputs)
    ctypes.memmove(given.address, numbers.buffer_info()[0], 8 * len(numbers))
    mask = function(given.address, taken.address, memory.address)
    found = (ctypes.c_double * (8 * outputs)).from_address(taken.address)
    return [[found[8 * k + lane] for k in range(outputs)] for lane in range(8)], [bool(mask >> j & 1) for j in range(8)]


def same(x: float, y: float) -> bool:
    return (isnan(x) and isnan(y)) or bits(x) == bits(y)


def differences(machine: Machine, low: Lowered, seed: int, lanes: int) -> int:
    """How many of the outputs that count are other than Python's."""
    xs = points(seed, low, lanes)
    ys, hold = run(machine, low, xs, lanes)
    count = 0
    for x, y, held in zip(xs, ys, hold, strict=True):
        expected, holds = evaluated(low, low.program, x)
        count += held != holds
        if holds or lanes > 1:
            count += sum(not same(a, b) for a, b in zip(y, expected, strict=True))
    return count


@pytest.mark.parametrize("lanes", WIDTHS)
def test_random_programs_pass_and_give_the_bits_of_python(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    out_of_line = 0
    for seed in range(150):
        monkeypatch.setattr(registers, "FAR", (1000, 20)[seed % 2])
        low = random_module(seed, size=40 + 4 * (seed % 50), guards=seed % 3 == 0)
        code = code_of(low, lanes)
        machine = native_backend._machine(code)
        out_of_line += sum(name.startswith("away ") for name in code.labels)
        for k in range(3):
            assert differences(machine, low, seed + 1000 * k, lanes) == 0, seed
    assert out_of_line > 500


# ---- faults of the allocator -----------------------------------------------------------------------------------------

Plant = Callable[[pytest.MonkeyPatch], None]
RegisterAllocator, Code = registers.RegisterAllocator, x86_backend.Code


def every(n: int) -> Callable[[], bool]:
    """True once in so many calls."""
    count = iter(range(1 << 30))
    return lambda: next(count) % n == n - 1


def saved_registers_are_shared(patch: pytest.MonkeyPatch) -> None:
    def keep(self: Any, k: int, name: str) -> None:
        at = self.code.arguments.setdefault(f"register {k}", [])
        if not at:
            at.append(self.code.room(self.code.width))
        narrow = self.lanes == 1 or k >= self.number
        self.saved[k] = assembler.place(
            registers.MEMORY, assembler.PLAIN if narrow else assembler.WIDE, at[0]
        )  # fmt: skip
        right(self, k, name)

    right = RegisterAllocator.keep
    patch.setattr(RegisterAllocator, "keep", keep)


def a_register_is_freed_too_early(patch: pytest.MonkeyPatch) -> None:
    def gives(self: Any, v: int, r: int) -> None:
        right(self, v, r)
        if self.register[v] == r < self.number and now():
            self.free.append(r)

    right, now = RegisterAllocator.gives, every(5)
    patch.setattr(RegisterAllocator, "gives", gives)


def a_slot_is_freed_too_early(patch: pytest.MonkeyPatch) -> None:
    def new_slot(self: Any, v: int) -> Any:
        place = right(self, v)
        self.free_slots.append(self.slot[v])
        return place

    right = RegisterAllocator.new_slot
    patch.setattr(RegisterAllocator, "new_slot", new_slot)


def a_slot_has_another_displacement(patch: pytest.MonkeyPatch) -> None:
    def new_slot(self: Any, v: int) -> Any:
        place = right(self, v)
        if now():
            at = self.slot[v] + self.code.width
            self.home[v] = assembler.place(registers.MEMORY, place[0] >> 1 & 3, at)
        return place

    right, now = RegisterAllocator.new_slot, every(3)
    patch.setattr(RegisterAllocator, "new_slot", new_slot)


def a_value_is_not_loaded(patch: pytest.MonkeyPatch) -> None:
    def load(self: Any, v: int, *keep: int) -> int:
        length = len(self.out)
        r = right(self, v, *keep)
        if len(self.out) > length and now():
            del self.out[-1]
        return r

    right, now = RegisterAllocator.load, every(3)
    patch.setattr(RegisterAllocator, "load", load)


def a_register_is_not_saved(patch: pytest.MonkeyPatch) -> None:
    def keep(self: Any, k: int, name: str) -> None:
        length = len(self.out)
        right(self, k, name)
        if name == "store" and now():
            del self.out[length:]

    right, now = RegisterAllocator.keep, every(2)
    patch.setattr(RegisterAllocator, "keep", keep)


def a_register_is_not_brought_back(patch: pytest.MonkeyPatch) -> None:
    def keep(self: Any, k: int, name: str) -> None:
        length = len(self.out)
        right(self, k, name)
        if name == "load" and now():
            del self.out[length:]

    right, now = RegisterAllocator.keep, every(2)
    patch.setattr(RegisterAllocator, "keep", keep)


def a_value_is_not_stored_before_a_call(patch: pytest.MonkeyPatch) -> None:
    def store(self: Any, v: int) -> None:
        length = len(self.out)
        right(self, v)
        if now():
            del self.out[length:]

    right, now = RegisterAllocator.store, every(4)
    patch.setattr(RegisterAllocator, "store", store)


def a_condition_is_negated(patch: pytest.MonkeyPatch) -> None:
    def distance(self: Any, instruction: bytes, label: str) -> None:
        if label.startswith("away ") and self.lanes == 1:
            instruction = bytes((0x0F, instruction[1] ^ 1))
        elif label.startswith("away "):
            self.out[-1] = b"\x41\x81\xf7\xff\x00\x00\x00" + self.out[-1]
        right(self, instruction, label)

    right = Code.distance
    patch.setattr(Code, "distance", distance)


def a_guard_is_negated(patch: pytest.MonkeyPatch) -> None:
    def distance(self: Any, instruction: bytes, label: str) -> None:
        right(self, bytes((0x0F, instruction[1] ^ 1)) if label == "fail" else instruction, label)

    right = Code.distance
    patch.setattr(Code, "distance", distance)


def a_guard_is_left_out(patch: pytest.MonkeyPatch) -> None:
    def checked(self: Any, i: int) -> None:
        length, distances = len(self.out), len(self.code.distances)
        right(self, i)
        if now():
            del self.out[length:], self.code.distances[distances:]

    right, now = RegisterAllocator.check, every(2)
    patch.setattr(RegisterAllocator, "check", checked)


def a_constant_is_eight_bytes_off(patch: pytest.MonkeyPatch) -> None:
    def constant(self: Any, what: Any) -> int:
        return right(self, what) - 8 * (isinstance(what, int) and what != 0 and now())

    right, now = Code.constant, every(5)
    patch.setattr(Code, "constant", constant)


def an_output_goes_to_the_place_of_another(patch: pytest.MonkeyPatch) -> None:
    def place(base: int, width: int, displacement: int) -> Any:
        vectors = width == assembler.WIDE
        return right(
            base, width, 8 * (8 if vectors else 1) if base == registers.OUTPUTS and not displacement else displacement
        )

    right = assembler.place
    patch.setattr(x86_backend, "place", place)


def another_function_of_the_library_is_called(patch: pytest.MonkeyPatch) -> None:
    def call_library(self: Any, name: str) -> None:
        right(self, {"exp": "log", "pow": "atan2"}.get(name, name))

    right = Code.call_library
    patch.setattr(Code, "call_library", call_library)


def another_function_of_its_own_is_called(patch: pytest.MonkeyPatch) -> None:
    def distance(self: Any, instruction: bytes, label: str) -> None:
        other = {"first": "second", "second": "first"}.get(label, label)
        right(self, instruction, other if other in self.arguments else label)

    right = Code.distance
    patch.setattr(Code, "distance", distance)


def operands_of_a_call_change_places(patch: pytest.MonkeyPatch) -> None:
    def call_with(self: Any, name: str, given: Any, r: int) -> None:
        right(self, name, given[::-1], r)

    right = RegisterAllocator.call_with
    patch.setattr(RegisterAllocator, "call_with", call_with)


def a_rounding_is_another(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(registers.ROUNDINGS, "ceil", registers.ROUNDINGS["rint"])


def a_predicate_is_not_that_of_swapped_operands(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(registers.SWAPPED, "lt", registers.PREDICATES["lt"])
    patch.setitem(registers.SWAPPED, "le", registers.PREDICATES["le"])


def the_assembler_takes_min_for_max(patch: pytest.MonkeyPatch) -> None:
    for lanes, made in ((1, assembler.Scalar), (8, assembler.Vector)):
        forms = [form._replace(opcode=0x5D) if form.opcode == 0x5F else form for form in made.forms]
        patch.setattr(made, "forms", tuple(forms))
        patch.setitem(assembler.REGISTERS, lanes, (made(False), made(True)))


def rewritten(name: str, change: Callable[[bytes, decoder.Instruction], bytes]) -> Plant:
    """Some instructions of that name are written as others."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def finish(self: Any) -> bytes:
            while self.pending:
                self.pending.pop()()
            for k, piece in enumerate(self.out):
                try:
                    found = decoder.decode(piece, 0, {})
                except (decoder.UnknownInstruction, IndexError):  # data, or one piece of several
                    continue
                if found.name in (name, f"{name}sd", f"{name}pd", f"{name} zmm") and found.end == len(piece) and now():
                    self.out[k] = change(piece, found)
            return right(self)

        right, now = Code.finish, every(2)
        patch.setattr(Code, "finish", finish)

    return plant


def swapped(piece: bytes, found: decoder.Instruction) -> bytes:
    if found.base >= 0 or found.v == found.rm:
        return piece
    lanes = 8 if found.name.startswith("v") and piece[0] == 0x62 else 1
    name = found.name[1:4] if not found.name.startswith("vcmp") else "compare"
    key = assembler.CODES[lanes][name] | found.r << 10 | found.rm << 5 | found.v
    return assembler.REGISTERS[lanes][0][key] + (piece[-1:] if name == "compare" else b"")


def another_mask(piece: bytes, found: decoder.Instruction) -> bytes:
    if found.name == "vblendvpd":
        return piece[:-1] + bytes((piece[-1] ^ 0x10,))
    return piece[:3] + bytes((piece[3] ^ 1,)) + piece[4:]


def another_byte(piece: bytes, found: decoder.Instruction) -> bytes:
    return piece[:-1] + bytes((piece[-1] ^ 1,))


def no_more(piece: bytes, found: decoder.Instruction) -> bytes:
    return b""


FAULTS: dict[str, tuple[Plant, list[int]]] = {
    plant.__name__: (plant, [1, 8])
    for plant in (
        saved_registers_are_shared,
        a_register_is_freed_too_early,
        a_slot_is_freed_too_early,
        a_slot_has_another_displacement,
        a_value_is_not_loaded,
        a_register_is_not_saved,
        a_register_is_not_brought_back,
        a_value_is_not_stored_before_a_call,
        a_condition_is_negated,
        a_guard_is_left_out,
        a_constant_is_eight_bytes_off,
        an_output_goes_to_the_place_of_another,
        another_function_of_the_library_is_called,
        another_function_of_its_own_is_called,
        operands_of_a_call_change_places,
        a_rounding_is_another,
        the_assembler_takes_min_for_max,
    )
} | {
    "a_guard_is_negated": (a_guard_is_negated, [1]),
    "a_predicate_is_not_that_of_swapped_operands": (a_predicate_is_not_that_of_swapped_operands, [8]),
    "operands_of_sub_change_places": (rewritten("vsub", swapped), [1, 8]),
    "operands_of_div_change_places": (rewritten("vdiv", swapped), [1, 8]),
    "operands_of_a_comparison_change_places": (rewritten("vcmp", swapped), [1, 8]),
    "a_selection_by_another_mask": (rewritten("vblendvpd", another_mask), [1]),
    "a_selection_by_another_mask_register": (rewritten("vblendm", another_mask), [8]),
    "a_lane_is_tested_for_another": (rewritten("test r15b", another_byte), [8]),
    "r15_is_not_set": (rewritten("mov r15d", no_more), [8]),
    "the_stack_is_not_aligned": (rewritten("sub rsp", no_more), [1, 8]),
    "a_result_is_not_moved": (rewritten("vmovapd", no_more), [1]),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "lanes"), [(name, n) for name, (_, ns) in FAULTS.items() for n in ns if n in WIDTHS])
def test_a_planted_fault_is_found_without_running_the_code(
    fault: str, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = [random_module(seed, size=150) for seed in range(12)]
    for low in modules:
        code_of(low, lanes).finish()
    found: list[str] = []
    FAULTS[fault][0](monkeypatch)
    for seed, low in enumerate(modules):
        try:
            machine = native_backend._machine(code_of(low, lanes))
        except AllocationError as error:
            found.append(str(error))
        else:  # the fault has changed nothing that matters: what passes is right
            assert differences(machine, low, seed, lanes) == 0
    assert len(found) > 2, "in none of the programs"
    assert all("byte" in each or "calls itself" in each for each in found)


def test_an_error_names_the_instruction_the_place_and_what_it_held(monkeypatch: pytest.MonkeyPatch) -> None:
    low = Lowered(Program(2))
    a = low.program.emit("add", (0, 1))
    low.program.outputs = [low.program.emit("sub", (a, 0))]
    FAULTS["operands_of_sub_change_places"][0](monkeypatch)
    x86_backend.scalar_code(low).finish()  # the first subtraction is spared
    monkeypatch.setattr(x86_backend.RegisterAllocator, "run", _with_registers(x86_backend.RegisterAllocator.run))
    with pytest.raises(AllocationError) as caught:
        x86_backend.scalar_code(low).finish()
    text = str(caught.value)
    assert "vsubsd" in text
    assert "sub(input 0, value 2 (add)) is nothing that the program computes" in text
    assert "the program has next: value 3 = sub(value 2 (add), input 0)" in text


def _with_registers(right: Callable[[Any], None]) -> Callable[[Any], None]:
    """Inputs are brought to registers first."""

    def run(self: Any) -> None:
        for k in range(self.program.inputs):
            self.load(k)
        right(self)

    return run


# ---- any bit of the code ---------------------------------------------------------------------------------------------


def flips(made: bytes, r: random.Random, count: int) -> Iterator[bytes]:
    for at in r.sample(range(8 * len(made)), count):
        changed = bytearray(made)
        changed[at // 8] ^= 1 << at % 8
        yield bytes(changed)


@pytest.mark.parametrize("lanes", WIDTHS)
def test_a_flipped_bit_is_found_or_changes_nothing(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALARGRAD_CHECK", "")
    r = random.Random(lanes)
    survived = 0
    for seed in range(6):
        low = random_module(seed, size=60)
        code = code_of(low, lanes)
        right = native_backend._machine(code)
        made = code.finish()
        offsets = offsets_of(code)
        check(code, made, offsets, code.inputs)
        for changed in flips(made, r, 200):
            try:
                check(code, changed, offsets, code.inputs)
            except AllocationError:
                continue
            survived += 1
            keep = Executable(changed)
            assert differences(right._replace(address=keep.address, keep=keep), low, seed, lanes) == 0
    assert survived < 60  # unused fields, and registers that hold the same


def offsets_of(code: x86_backend.Code) -> dict[str, int]:
    places = [0]
    for piece in code.out:
        places.append(places[-1] + len(piece))
    return {name: places[k] for name, k in code.labels.items()}


# ---- masked units ----------------------------------------------------------------------------------------------------


def masked_units_that_differ(seeds: Sequence[int]) -> list[int]:
    """Those whose value, or value and gradient, in machine code are not the bits of the eager run; also in a batch."""
    wrong: list[int] = []
    for seed in seeds:
        f, mask, w, x = masked_units(seed)
        for each in (f, sg.value_and_grad(f, argnums=(1, 2))):
            if not equal(sg.compile(each, backend="native")(mask, w, x), each(mask, w, x)):
                wrong.append(seed)
        samples = [[[float(k % 3 > 0), float(k % 2)], w, x[::-1]] for k in range(9)]
        columns = [list(column) for column in zip(*samples, strict=True)]
        if HAS_LLVM and not equal(sg.compile(f, backend="native").map(*columns), [f(*each) for each in samples]):
            wrong.append(seed)
    return wrong


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return same(a, b)


def test_masked_units_give_the_bits_of_the_eager_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALARGRAD_NATIVE", "x86")
    assert masked_units_that_differ(range(60)) == []


IN_ARMS: dict[str, tuple[Callable[[Any, Any], Any], float]] = {
    "tanh": (lambda x, y: sg.tanh(x), 1.7),
    "cbrt": (lambda x, y: sg.cbrt(x), 0.3),
    "erfc": (lambda x, y: sg.erfc(x), 0.3),
    "gelu": (lambda x, y: sg.activations.gelu(x), 0.3),
    "silu": (lambda x, y: sg.activations.silu(x), 0.3),
    "acosh": (lambda x, y: sg.acosh(x), 1.7),
    "logsumexp": (lambda x, y: sg.logsumexp([x, y, x * y]), 0.3),
    "slope of hypot": (lambda x, y: sg.grad(lambda t: sg.hypot(t, y))(x), 0.3),
    "slope of atan2": (lambda x, y: sg.grad(lambda t: sg.atan2(t, y))(x), 0.3),
    "nested": (lambda x, y: sg.tanh(sg.cbrt(sg.erfc(x))), 0.3),
    "nested selections": (lambda x, y: sg.where(sg.step(10.0 - y), sg.cbrt(x) + sg.tanh(x), sg.acosh(y)), 0.3),
}


def in_an_arm(name: str) -> tuple[Callable[..., Any], list[list[float]]]:
    """A call where a condition holds, among more values; and nine points."""
    g, x = IN_ARMS[name]

    def f(c: Any, x: Any, a: Any, b: Any) -> Any:
        p, q, r, s, t, u = a + b, a * b, a - b, a + 2.0 * b, a * x, b * x
        k = sg.where(c, p, q)
        v = sg.where(c, g(x, b), 1.0)
        return p * v + q * v + r * v + s * v + t * v + u * v + k

    return f, [[1.0, 0.0, 1.0] * 3, [x] * 9, [2.0] * 9, [3.0] * 9]


@pytest.mark.parametrize("name", IN_ARMS)
def test_a_call_in_an_arm_leaves_the_values_around_it_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALARGRAD_NATIVE", "x86")
    f, columns = in_an_arm(name)
    compiled = sg.compile(f, backend="native")
    expected = [f(*each) for each in zip(*columns, strict=True)]
    assert [compiled(*each) for each in zip(*columns, strict=True)] == expected
    assert not HAS_LLVM or compiled.map(*columns) == expected


@pytest.mark.parametrize("name", [name for name in IN_ARMS if name != "nested selections"])  # whose calls are in line
def test_it_does_not_where_saved_registers_are_shared_and_that_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALARGRAD_NATIVE", "x86")
    saved_registers_are_shared(monkeypatch)
    f, columns = in_an_arm(name)
    with pytest.raises(AllocationError, match=r"nothing known|is not known|must be"):
        sg.compile(f, backend="native")(*[column[0] for column in columns])
    if "avx512" in features() and HAS_LLVM:
        with pytest.raises(AllocationError):
            sg.compile(f, backend="native").map(*columns)


# ---- around it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["", "1"])
def test_it_is_asked_for_by_the_environment_and_else_not_imported(asked: str) -> None:
    script = (
        "import sys, scalargrad as sg\n"
        "sg.compile(lambda x: sg.tanh(x) * x, backend='native')(0.5)\n"
        "print('scalargrad.compiler.backends.x86.allocation_check' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "SCALARGRAD_CHECK": asked, "SCALARGRAD_NATIVE": "x86"},
    )  # fmt: skip
    assert found.stdout.strip() == str(asked == "1")


def test_a_function_that_calls_itself_is_refused() -> None:
    low = Lowered(Program(1), functions={"again": Program(1)})
    body = low.functions["again"]
    body.outputs = [body.emit("add", (body.emit("call again", (0,)), 0))]
    low.program.outputs = [low.program.emit("call again", (0,))]
    with pytest.raises(AllocationError, match="calls itself"):
        x86_backend.scalar_code(low).finish()


def test_a_users_operation_may_call_the_program_that_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALARGRAD_NATIVE", "x86")
    known: list[Any] = []

    @sg.primitive(lambda y, a: 1.0)
    def before(a: float) -> float:
        return known[0](float(a) - 1.0) if a > 0.5 else 1.0

    def f(x: Any) -> Any:
        p, q, r = x + 1.0, x * 3.0, sg.sin(x) * 2.0
        k = before(x)
        return p * q + r * k + k * x + sg.exp(p) * q

    known.append(f)
    expected = [f(x) for x in (5.0, 3.0)]
    known[0] = sg.compile(f, backend="native")
    assert [known[0](x) for x in (5.0, 3.0)] == expected
    assert not HAS_LLVM or known[0].map([5.0, 3.0]) == expected


def test_the_library_that_random_programs_call_is_there() -> None:
    assert set(CALLED) <= set(LIBRARY)


@pytest.mark.skipif("avx512" not in features(), reason="needs AVX-512")
def test_that_outputs_of_pairs_are_added_to_what_is_there() -> None:
    program = Program(2)
    program.outputs = [program.emit("mul", (0, 1)), program.emit("add", (0, 1)), 0]
    both = paired(program, [True, False])
    assert (both.inputs, len(both), both.operations.count("add")) == (3, 7, 5)
    places = [(True, 0), (False, 64), (True, 128)]
    code = x86_backend.kernel_code(Lowered(both), places, adds=72)
    made = code.finish()
    check(code, made, {}, places)
    x, y = AlignedMemory(24), AlignedMemory(24)
    x_of, y_of = ((ctypes.c_double * 24).from_address(each.address) for each in (x, y))
    x_of[:8], x_of[8], x_of[16:] = range(8), 3.0, [0.5] * 8
    y_of[:] = [100.0] * 24
    ctypes.memset(x.address + 72, 0b101, 1)
    machine = native_backend._machine(code)
    memory = AlignedMemory(machine.scratch, machine.preset)
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(machine.address)(x.address, y.address, memory.address)
    for k in range(8):
        earlier = 100.0 if k in (0, 2) else 0.0
        assert [y_of[k], y_of[8 + k], y_of[16 + k]] == [earlier + each for each in (3 * k + 1.5, k + 6.5, k + 0.5)]
    # vaddpd zmm {k7}, zmm, [r14 + 128], from its byte with the mask on
    before, rest, after = re.split(rb"\x4f(\x58.\x02)", made, flags=re.DOTALL)
    for wrong in (0x48, 0x49, 0xCF):  # in all lanes, by another mask, with zeros
        with pytest.raises(AllocationError):
            check(code, before + bytes((wrong,)) + rest + after, {}, places)
    plain = x86_backend.kernel_code(Lowered(both), places)
    plain.adds = 72
    with pytest.raises(AllocationError, match="added"):
        check(plain, plain.finish(), {}, places)
