"""Machine code as a function of C's for SciPy's integrators: `double g(int n, double *xx, void *data)`.

A program takes its inputs from memory and leaves its output there; around it stands code that hands over `xx` as the
inputs and returns the output, or what a function of Python's returns where the program's own code says that its output
does not stand: at a branch that was not traced, and where somebody gives another number of arguments.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable
from typing import Any

from ..ir.program import Program
from . import llvm
from .executable import Executable
from .machine import AlignedMemory, Machine
from .native import chosen
from .x86.assembler import RAX, RDX, RSI, move

Integrand = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_void_p)


def in_python(answer: Callable[[list[float]], float]) -> Any:
    """A function of Python's as one of C's. It must not raise."""
    return Integrand(lambda n, xx, _: answer(xx[:n]))


def integrand(
    program: Program, machine: Machine, right: tuple[int, ...], otherwise: Callable[[list[float]], float]
) -> Any:
    """The code for one point of a program with one output, as a C function; `otherwise` must not raise."""
    called = in_python(otherwise)
    y, m = array("d", bytes(64)), AlignedMemory(machine.scratch, machine.preset)
    places = machine.address, program.inputs, y.buffer_info()[0], m.address, 1 if 3 in right else 3
    other = ctypes.cast(called, ctypes.c_void_p).value or 0
    if chosen() == "x86":
        code: Any = Executable(_x86_code(*places, other))
        made: Any = Integrand(code.address)
    else:
        code = llvm.compiled(_assembly(*places, other))
        made = Integrand(code.get_function_address("integrand"))
    made.keep = code, called, machine, y, m
    return made


def _x86_code(run: int, inputs: int, y: int, m: int, mask: int, other: int) -> bytes:
    # push rdi; push rsi; push rdx, which aligns the stack; mov rdi, rsi
    called = b"\x48\x89\xf7" + move(RSI, y) + move(RDX, m) + move(RAX, run) + b"\xff\xd0"
    called += b"\x24" + bytes((mask,)) + b"\x3c\x01"  # and al, mask; cmp al, 1
    good = move(RAX, y) + bytes.fromhex("f20f1000 4883c418 c3")  # movsd xmm0, [rax]; add rsp, 24; ret
    called += b"\x75" + bytes((len(good),)) + good  # jne
    start = bytes.fromhex("57 56 52 81ff") + inputs.to_bytes(4, "little")  # cmp edi, inputs
    start += b"\x0f\x85" + len(called).to_bytes(4, "little")  # jne
    return start + called + bytes.fromhex("5a 5e 5f") + move(RAX, other) + b"\xff\xe0"  # pop, and jmp rax


def _assembly(run: int, inputs: int, y: int, m: int, mask: int, other: int) -> str:
    """As `_x86_code`, for every processor."""
    return f"""define double @integrand(i32 %n, ptr %xx, ptr %data) {{
%fits = icmp eq i32 %n, {inputs}
br i1 %fits, label %run, label %other
run:
%code = call i8 inttoptr (i64 {run} to ptr)(ptr %xx, ptr inttoptr (i64 {y} to ptr), ptr inttoptr (i64 {m} to ptr))
%masked = and i8 %code, {mask}
%right = icmp eq i8 %masked, 1
br i1 %right, label %good, label %other
good:
%found = load double, ptr inttoptr (i64 {y} to ptr), align 8
ret double %found
other:
%answer = call double inttoptr (i64 {other} to ptr)(i32 %n, ptr %xx, ptr %data)
ret double %answer
}}"""
