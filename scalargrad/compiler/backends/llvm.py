"""Programs as machine code for this processor, through llvmlite: LLVM's assembly as text, compiled in memory.

llvmlite, of the extra `native`, is imported when first used: for processors that `x86/` does not make code for, or not
for batches. The same text serves one point and a batch: where a program computes with `double`, a batch
computes with vectors of eight, whatever the processor's own width, so that results do not depend on it. A long program
is cut into functions of bounded length, which share one block of memory, because LLVM's time grows faster than a
function. No operation is contracted, reordered or replaced, and library functions are called by address, so that bits
stay those of Python.
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from ..ir.elementary import CONDITIONS, FUSED, LIBRARY
from ..ir.lowering import Lowered, is_call
from ..ir.program import Guard
from .executable import changes_protection
from .machine import Machine, NativeUnavailableError, callback, library_address

LANES = 8
PIECE = 500  # instructions in one function on one point
WIDE_PIECE = 4000  # and on vectors, whose way through memory is long
OPTIMISED = 5_000  # instructions in a program up to which LLVM optimises

_INSTRUCTIONS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_COMPARISONS = {"lt": "olt", "le": "ole", "eq": "oeq", "ne": "une", "unordered": "uno", "nle": "ugt"}
_GUARDS = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
# The negation of an ordered comparison is an unordered one.
_NEGATED = {"olt": "uge", "ole": "ugt", "ogt": "ule", "oge": "ult", "oeq": "une", "une": "oeq"}
_INTRINSICS = {"abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "rint": "rint"}

# The bits of a float are 52 of the fraction, 11 of the exponent and the sign. In `scale`, h is about half of n, so that
# only the last product can be rounded; 2**52 brings a whole number that is added to the last bits.
_ON_BITS = {
    "scale": """%h0{name} = fmul {t} {n}, <f:0.5>
%h{name} = call {t} @FLOOR({t} %h0{name})
%k{name} = fsub {t} {n}, %h{name}
%hm{name} = fadd {t} %h{name}, <f:4503599627371519.0>
%km{name} = fadd {t} %k{name}, <f:4503599627371519.0>
%hb{name} = bitcast {t} %hm{name} to {i}
%kb{name} = bitcast {t} %km{name} to {i}
%hs{name} = shl {i} %hb{name}, <i:52>
%ks{name} = shl {i} %kb{name}, <i:52>
%hp{name} = bitcast {i} %hs{name} to {t}
%kp{name} = bitcast {i} %ks{name} to {t}
%p{name} = fmul {t} {a}, %hp{name}
{r} = fmul {t} %p{name}, %kp{name}""",
    "exponent": """%b{name} = bitcast {t} {a} to {i}
%e{name} = lshr {i} %b{name}, <i:52>
%s{name} = or {i} %e{name}, <i:4841369599423283200>
%f{name} = bitcast {i} %s{name} to {t}
{r} = fsub {t} %f{name}, <f:4503599627371519.0>""",
    "mantissa": """%b{name} = bitcast {t} {a} to {i}
%e{name} = and {i} %b{name}, <i:4503599627370495>
%s{name} = or {i} %e{name}, <i:4607182418800017408>
{r} = bitcast {i} %s{name} to {t}""",
}


Access = Callable[[int, str], list[str]]


class Assembly:
    """The text of one module: functions for one width, and what they call."""

    def __init__(self, lowered: Lowered, lanes: int) -> None:
        self.lowered = lowered
        self.lanes = lanes
        self.type = "double" if lanes == 1 else f"<{lanes} x double>"
        self.bool = "i1" if lanes == 1 else f"<{lanes} x i1>"
        self.suffix = "f64" if lanes == 1 else f"v{lanes}f64"
        self.used: set[str] = set()  # functions of the library, and callbacks
        self.declared: dict[str, None] = {}
        self.functions: list[str] = []

    def number(self, x: float) -> str:
        text = f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"
        return text if self.lanes == 1 else f"splat (double {text})"

    def declare(self, text: str) -> None:
        self.declared[text] = None

    def callee(self, name: str, arity: int) -> str:
        """The function of this width under that name: the library's own, or one that goes lane by lane."""
        if name not in self.used:
            self.used.add(name)
            parameters = ", ".join(["double"] * arity)
            self.declare(f"declare double @sg_{name}({parameters})")
            if self.lanes > 1:
                self.functions.append(self._lane_by_lane(name, arity))
        return f"sg_{name}" if self.lanes == 1 else f"lanes_{name}"

    def _lane_by_lane(self, name: str, arity: int) -> str:
        parameters = ", ".join(f"{self.type} %x{i}" for i in range(arity))
        lines = [f"define internal {self.type} @lanes_{name}({parameters}) noinline {{"]
        last = "poison"
        for lane in range(self.lanes):
            given = []
            for i in range(arity):
                lines.append(f"%a{i}_{lane} = extractelement {self.type} %x{i}, i32 {lane}")
                given.append(f"double %a{i}_{lane}")
            lines.append(f"%y{lane} = call double @sg_{name}({', '.join(given)})")
            lines.append(f"%r{lane} = insertelement {self.type} {last}, double %y{lane}, i32 {lane}")
            last = f"%r{lane}"
        return "\n".join([*lines, f"ret {self.type} {last}", "}"])

    def instruction(self, operation: str, result: str, given: Sequence[str]) -> str:
        t = self.type
        code = _INSTRUCTIONS.get(operation)
        if code is not None:
            return f"{result} = {code} {t} {given[0]}, {given[1]}"
        code = _COMPARISONS.get(operation)
        if code is not None:
            return f"{result} = fcmp {code} {t} {given[0]}, {given[1]}"
        if operation == "select":
            return f"{result} = select {self.bool} {given[0]}, {t} {given[1]}, {t} {given[2]}"
        if operation in ("and", "or"):
            return f"{result} = {operation} {self.bool} {given[0]}, {given[1]}"
        if operation == "not":
            return f"{result} = xor {self.bool} {given[0]}, {'true' if self.lanes == 1 else 'splat (i1 true)'}"
        if operation in FUSED:
            name = f"llvm.fmuladd.{self.suffix}"
            self.declare(f"declare {t} @{name}({t}, {t}, {t})")
            a, b, c = given
            turned, lines = f"%n{result[1:]}", ""
            if operation == "fnma":
                lines, a = f"{turned} = fneg {t} {a}\n", turned
            elif operation == "fms":
                lines, c = f"{turned} = fneg {t} {c}\n", turned
            return f"{lines}{result} = call {t} @{name}({t} {a}, {t} {b}, {t} {c})"
        if operation == "neg":
            return f"{result} = fneg {t} {given[0]}"
        if operation in ("min", "max"):
            better = "olt" if operation == "min" else "ogt"
            return (
                f"%c{result[1:]} = fcmp {better} {t} {given[0]}, {given[1]}\n"
                f"{result} = select {self.bool} %c{result[1:]}, {t} {given[0]}, {t} {given[1]}"
            )
        if operation in _ON_BITS:
            whole = "i64" if self.lanes == 1 else f"<{self.lanes} x i64>"
            text = _ON_BITS[operation].format(r=result, a=given[0], n=given[-1], t=t, i=whole, name=result[1:])
            floor = f"llvm.floor.{self.suffix}"
            self.declare(f"declare {t} @{floor}({t})")
            return self._constants_in(text).replace("FLOOR", floor)
        if operation in _INTRINSICS or operation == "copysign":
            name = f"llvm.{_INTRINSICS.get(operation, operation)}.{self.suffix}"
            self.declare(f"declare {t} @{name}({', '.join([t] * len(given))})")
        elif is_call(operation):
            name = operation[5:]
            name = self.callee(name, len(given)) if name in self.lowered.callbacks else self.own(name)
        else:
            name = self.callee(operation, len(given))
        return f"{result} = call {t} @{name}({', '.join(f'{t} {x}' for x in given)})"

    def _constants_in(self, text: str) -> str:
        """Constants in braces for this width."""

        def replaced(match: re.Match[str]) -> str:
            kind, digits = match.groups()
            if kind == "f":
                return self.number(float(digits))
            return digits if self.lanes == 1 else f"splat (i64 {digits})"

        return re.sub(r"<([fi]):([0-9.e-]+)>", replaced, text)

    def own(self, name: str) -> str:
        """A function of the program itself, added when it is first called."""
        full = f"fn_{name}"
        if full not in self.used:
            self.used.add(full)
            body = self.lowered.functions[name]
            parameters = ", ".join(f"{self.type} %v{k}" for k in range(body.inputs))
            lines = [f"define internal {self.type} @{full}({parameters}) noinline {{"]

            def value(k: int) -> str:
                return f"%v{k}" if k >= 0 else self.number(body.constants[~k])

            for k, (operation, operands) in enumerate(zip(body.operations, body.operands, strict=True)):
                lines.append(self.instruction(operation, f"%v{body.inputs + k}", [value(p) for p in operands]))
            self.functions.append("\n".join([*lines, f"ret {self.type} {value(body.outputs[0])}", "}"]))
        return full

    def pieces(self, output: Access, source: Access, name: str) -> tuple[list[str], int]:
        """The program in functions `name_0(ptr x, ptr y, ptr m), ...` that return 0 where a guard of theirs fails.

        `source(k, result)` and `output(k, value)` give the lines that load an input and store an output. Returns the
        names of the functions and the number of values that they share in `m`.
        """
        program = self.lowered.program
        first, count = program.inputs, len(program)
        slot: dict[int, int] = {}
        results: dict[int, list[int]] = {}
        for place, k in enumerate(program.outputs):
            results.setdefault(k if k >= first else -1, []).append(place)
        tests: dict[int, list[Guard]] = {}
        for guard in program.guards:
            tests.setdefault(max(guard.left, guard.right, first) - first, []).append(guard)
        size = PIECE if self.lanes == 1 else WIDE_PIECE
        starts = range(0, max(count, 1), size)
        for start in starts:
            ks = range(start, min(start + size, count))
            guarded = chain.from_iterable((g.left, g.right) for k in ks for g in tests.get(k, ()))
            for p in chain(chain.from_iterable(program.operands[start : ks.stop]), guarded):
                if first <= p < first + start:
                    slot.setdefault(p, len(slot))
        for start in starts:
            piece = _Piece(self, source, slot, first + start)
            if start == 0:
                for place in results.get(-1, ()):
                    piece.lines += output(place, piece.value(program.outputs[place]))
            for k in range(start, min(start + size, count)):
                piece.instruction(first + k)
                for place in results.get(first + k, ()):
                    piece.lines += output(place, f"%v{first + k}")
                piece.check(k, tests.get(k, ()))
            if count == 0:
                piece.check(0, tests.get(0, ()))
            self.functions.append(piece.function(f"{name}_{start // size}"))
        return [f"{name}_{k}" for k in range(len(starts))], len(slot)

    def text(self) -> str:
        return "\n".join([*self.declared, *self.functions])


class _Piece:
    """One of the functions that a program is cut into: the instructions from value `begin` on."""

    def __init__(self, assembly: Assembly, source: Access, slot: dict[int, int], begin: int) -> None:
        self.assembly, self.source, self.slot, self.begin = assembly, source, slot, begin
        self.program = assembly.lowered.program
        self.lines: list[str] = []
        self.loaded: set[int] = set()
        self.holds = ""  # whether the guards so far hold

    def is_condition(self, v: int) -> bool:
        return self.program.operations[v - self.program.inputs] in CONDITIONS

    def address(self, name: str, v: int) -> str:
        """Write where in memory a shared value is."""
        self.lines.append(f"{name} = getelementptr i8, ptr %m, i64 {self.slot[v] * 8 * self.assembly.lanes}")
        return name

    def value(self, p: int) -> str:
        """A value's name here, once it is loaded."""
        if p < 0:
            return self.assembly.number(self.program.constants[~p])
        if p < self.begin and p not in self.loaded:
            self.loaded.add(p)
            lanes, of = self.assembly.lanes, self.assembly.type
            if p < self.program.inputs:
                self.lines += self.source(p, f"%v{p}")
            elif self.is_condition(p):
                self.lines.append(f"%b{p} = load i{lanes}, ptr {self.address(f'%a{p}', p)}, align 8")
                self.lines.append(f"%v{p} = bitcast i{lanes} %b{p} to {self.assembly.bool}")
            else:
                self.lines.append(f"%v{p} = load {of}, ptr {self.address(f'%a{p}', p)}, align {8 * lanes}")
        return f"%v{p}"

    def instruction(self, v: int) -> None:
        """An instruction, and where its result is shared its way to memory."""
        k, lanes, result = v - self.program.inputs, self.assembly.lanes, f"%v{v}"
        given = [self.value(p) for p in self.program.operands[k]]
        self.lines.append(self.assembly.instruction(self.program.operations[k], result, given))
        if v not in self.slot:
            return
        at = self.address(f"%s{v}", v)
        if self.is_condition(v):
            self.lines.append(f"%t{v} = bitcast {self.assembly.bool} {result} to i{lanes}")
            self.lines.append(f"store i{lanes} %t{v}, ptr {at}, align 8")
        else:
            self.lines.append(f"store {self.assembly.type} {result}, ptr {at}, align {8 * lanes}")

    def check(self, k: int, guards: Sequence[Guard]) -> None:
        """The guards behind an instruction."""
        for place, g in enumerate(guards):
            a, b = self.value(g.left), self.value(g.right)
            code = _GUARDS[g.comparison] if g.outcome else _NEGATED[_GUARDS[g.comparison]]
            self.lines.append(f"%g{k}_{place} = fcmp {code} {self.assembly.type} {a}, {b}")
            if self.holds:
                self.lines.append(f"%ok{k}_{place} = and {self.assembly.bool} {self.holds}, %g{k}_{place}")
            self.holds = f"%{'ok' if self.holds else 'g'}{k}_{place}"

    def function(self, name: str) -> str:
        mask = f"i{self.assembly.lanes}"
        head = f"define internal {mask} @{name}(ptr noalias %x, ptr noalias %y, ptr noalias %m) {{"
        if self.holds:
            self.lines.append(f"%ok = bitcast {self.assembly.bool} {self.holds} to {mask}")
        return "\n".join([head, *self.lines, f"ret {mask} {'%ok' if self.holds else '-1'}", "}"])


def module(lowered: Lowered, places: Sequence[tuple[bool, int]] | None = None) -> tuple[Assembly, int]:
    """`i8 @run(ptr x, ptr y, ptr m)`, and of how many floats m, scratch memory, must be.

    On one point, x are the inputs, and y the outputs; returns 0 where a guard does not hold, 1 where all do, 3 where
    all do and an output is nan. Given `places`, on eight samples: see batch_loop.py for what x and y hold; `places`
    says of each input whether it is a vector, or a number that stands for one, and where in x it is.
    """
    assembly = Assembly(lowered, 1 if places is None else LANES)
    t, lanes = assembly.type, assembly.lanes

    def load(k: int, result: str) -> list[str]:
        wide, at = (True, 8 * k) if places is None else places[k]
        pointer = f"%x{k} = getelementptr i8, ptr %x, i64 {at}"
        if wide:
            return [pointer, f"{result} = load {t}, ptr %x{k}, align {8 * lanes}"]
        return [
            pointer,
            f"%w{k} = load double, ptr %x{k}, align 8",
            f"%u{k} = insertelement {t} poison, double %w{k}, i32 0",
            f"{result} = shufflevector {t} %u{k}, {t} poison, <{LANES} x i32> zeroinitializer",
        ]

    def store(k: int, value: str) -> list[str]:
        pointer = f"%y{k} = getelementptr i8, ptr %y, i64 {8 * lanes * k}"
        return [pointer, f"store {t} {value}, ptr %y{k}, align {8 * lanes}"]

    names, scratch = assembly.pieces(store, load, "piece")
    lines = ["define i8 @run(ptr noalias %x, ptr noalias %y, ptr noalias %m) {"]
    last, odd = "-1", "zeroinitializer"
    for k, name in enumerate(names):
        lines.append(f"%r{k} = call i{lanes} @{name}(ptr %x, ptr %y, ptr %m)")
        lines.append(f"%k{k} = and i{lanes} {last}, %r{k}")
        last = f"%k{k}"
    if places is not None:
        assembly.functions.append("\n".join([*lines, f"ret i8 {last}", "}"]))
        return assembly, scratch * LANES
    for k in range(0, len(lowered.program.outputs), LANES):  # whole vectors: the memory behind y is as long
        lines.append(f"%p{k} = getelementptr double, ptr %y, i64 {k}")
        lines.append(f"%v{k} = load <{LANES} x double>, ptr %p{k}, align 8")
        lines.append(f"%u{k} = fcmp uno <{LANES} x double> %v{k}, zeroinitializer")
        lines.append(f"%o{k} = or <{LANES} x i1> {odd}, %u{k}")
        odd = f"%o{k}"
    lines += [
        f"%odd = bitcast <{LANES} x i1> {odd} to i{LANES}",
        f"%nan = icmp ne i{LANES} %odd, 0",
        "%code = select i1 %nan, i8 3, i8 1",
        f"%answer = select i1 {last}, i8 %code, i8 0",
        "ret i8 %answer",
        "}",
    ]
    assembly.functions.append("\n".join(lines))
    return assembly, scratch


# ---- LLVM ------------------------------------------------------------------------------------------------------------

_lock = threading.RLock()  # LLVM compiles one module at a time
_ready: list[Any] = []


def llvm() -> Any:
    """llvmlite's binding, with this processor's code generator and the C library's functions made known to it."""
    with _lock:
        if not changes_protection():
            raise NativeUnavailableError(
                "machine code for this processor, or for batches on it, is made by LLVM, which needs memory that is "
                "written and then executable; this system refuses it (prctl PR_SET_MDWE, MemoryDenyWriteExecute, "
                "SELinux): use backend='python'"
            )
        if _ready:
            return _ready[0]
        try:
            import llvmlite  # type: ignore[import-untyped]
            from llvmlite import binding

            version = binding.llvm_version_info[0]
        except ModuleNotFoundError as error:
            raise NativeUnavailableError(
                "machine code for this processor, or for batches on it, needs llvmlite: pip install llvmlite numpy; "
                "backend='python' needs nothing"
            ) from error
        except Exception as error:  # whatever the import of a broken installation, or of a very old one, runs into
            raise NativeUnavailableError(
                f"machine code needs llvmlite, whose import fails here ({type(error).__name__}: {error}): "
                "pip install -U llvmlite numpy; backend='python' needs nothing"
            ) from error
        if version < 20:
            raise NativeUnavailableError(
                f"machine code needs llvmlite 0.45 or later, found {llvmlite.__version__}: "
                "pip install -U llvmlite numpy"
            )
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        for name in LIBRARY:
            binding.add_symbol(f"sg_{name}", library_address(name))
        _ready.append(binding)
        return binding


def compiled(text: str, level: int = 2) -> Any:
    """An engine, which holds the machine code of that assembly for as long as it lives."""
    binding = llvm()
    with _lock:
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=level, jit=True
        )
        engine = binding.create_mcjit_compiler(binding.parse_assembly(text), machine)
        engine.finalize_object()
        return engine


def machine(lowered: Lowered, places: Sequence[tuple[bool, int]] | None = None) -> Machine:
    """Machine code for one point, or, given `places`, for eight samples: see `module`."""
    assembly, scratch = module(lowered, places)
    callbacks = []
    text = assembly.text()
    binding = llvm()
    for name, (row, count) in lowered.callbacks.items():
        made, address = callback(row, count)
        callbacks.append(made)
        unique = f"sg_{name}_{address:x}"
        text = text.replace(f"@sg_{name}(", f"@{unique}(")
        binding.add_symbol(unique, address)
    engine = compiled(text, 2 if len(lowered.program) <= OPTIMISED else 0)
    return Machine(engine.get_function_address("run"), b"", scratch, callbacks, engine)
