"""Programs as machine code for this processor: the choice between the ways to make it.

`x86/` makes code for x86-64 itself, with the standard library alone; `llvm.py` has LLVM make it, for every other
processor, and for batches where there is no AVX-512.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from ..ir.elementary import FUSED, LIBRARY
from ..ir.lowering import Lowered
from ..ir.paired import paired
from . import llvm as llvm_backend
from .batch_loop import drive
from .builtin import builtin
from .executable import CodeRefusedError, Executable, features
from .llvm_loop import LLVMLoop
from .machine import Machine, NativeUnavailableError, callback, library_address
from .x86.code import Code, Places, call_on, kernel_code, scalar_code
from .x86.loop import X86Loop

BRIEF = 10_000  # instructions up to which no other thread is let run meanwhile, as that costs more than it is worth


def chosen() -> str:
    """Who makes machine code: "x86" or "llvm", as the environment's SCALARGRAD_NATIVE says, or as the processor is."""
    asked = os.environ.get("SCALARGRAD_NATIVE", "")
    if asked not in ("", "x86", "llvm"):
        raise ValueError(f"SCALARGRAD_NATIVE must be x86 or llvm, got {asked!r}")
    if asked == "x86" and "avx" not in features():
        raise NativeUnavailableError("SCALARGRAD_NATIVE=x86: machine code is made for x86-64 with AVX on Linux only")
    return asked or ("x86" if "avx" in features() else "llvm")


def available(batches: bool = False) -> bool:
    """Whether machine code can be made here. To be asked where it is wanted, since llvmlite is imported to know."""
    return at_once(batches) or _has_llvm()


@lru_cache(maxsize=1)
def _has_llvm() -> bool:
    try:
        llvm_backend.llvm()
    except NativeUnavailableError:
        return False
    return True


def at_once(batches: bool = False) -> bool:
    """Whether making machine code takes less time than making Python source."""
    return chosen() == "x86" and (not batches or "avx512" in features())


def require() -> None:
    """Raise `NativeUnavailableError` where no machine code can be made."""
    if chosen() == "llvm":
        llvm_backend.llvm()


def scalar(lowered: Lowered, places: Places | None = None) -> Machine:
    """Machine code for one point. It reads and writes at `places`, if they are given and if it `takes_places`."""
    if takes_places(lowered):
        return _machine(scalar_code(lowered, places))
    return llvm_backend.machine(lowered)


def takes_places(lowered: Lowered) -> bool:
    """Whether code is made here, and not by LLVM."""
    return chosen() == "x86" and ("fma" in features() or not _fused(lowered))


def _fused(lowered: Lowered) -> bool:
    return any(not FUSED.keys().isdisjoint(each.operations) for each in (lowered.program, *lowered.functions.values()))


def on_fixed_memory(machine: Machine, x: int, y: int, m: int) -> Callable[[], int]:
    """The code for one point as a function without arguments, which returns its code. No other thread waits for it."""
    function = ctypes.CFUNCTYPE(ctypes.c_int8, *[ctypes.c_void_p] * 3)(machine.address)
    call: Any = partial(function, x, y, m)
    call.keep = machine
    return call  # type: ignore[no-any-return]


def or_else(
    machine: Machine, x: int, y: int, m: int, right: tuple[int, ...], otherwise: Callable[[int], Any], keep: Any = None
) -> Callable[[], Any]:
    """The code for one point as a function: None where the code that it returns is right, else `otherwise(code)`.

    `keep` is what the three addresses belong to, where the function may outlive it.
    """
    if machine.brief:
        with suppress(CodeRefusedError):
            made = builtin(call_on(machine.address, x, y, m), right, otherwise, (machine, keep))
            if made is not None:
                return made
    run, kept = on_fixed_memory(machine, x, y, m), keep

    def call() -> Any:
        code = run()
        return None if code in right else otherwise(code)

    call.keep = kept  # type: ignore[attr-defined]
    return call


def kernel(lowered: Lowered, mapped: Sequence[bool], skip: int, pairs: tuple[int, int] | None = None) -> Machine:
    """Machine code for eight samples, or for eight pairs of them: see batch_loop.py for what x and y hold.

    `mapped` says of each leaf of the arguments whether it is mapped; further inputs of the program are shared numbers,
    behind so many others. `pairs`: where in x the mask is by which sums of pairs are added to what is there, and where
    the second samples are.
    """
    places = places_of(mapped, skip, lowered.program.inputs)
    if pairs is not None:
        both = paired(lowered.program, [wide for wide, _ in places])
        second = [(True, pairs[1] + 64 * k) for k in range(both.inputs - len(places))]
        doubled = Lowered(both, lowered.functions, lowered.callbacks)
        return _machine(kernel_code(doubled, places + second, pairs[0]))
    if at_once(batches=True):
        return _machine(kernel_code(lowered, places))
    return llvm_backend.machine(lowered, places)


def places_of(mapped: Sequence[bool], skip: int, inputs: int) -> list[tuple[bool, int]]:
    """Of each input of a kernel, whether it is a vector, or a number that stands for one, and where in x it is."""
    columns, shared = iter(range(0, 64 * len(mapped), 64)), iter(range(64 * sum(mapped), 64 * inputs + 64, 8))
    places = [(each, next(columns if each else shared)) for each in mapped]
    behind = 64 * sum(mapped) + 8 * (len(mapped) - sum(mapped) + skip)
    return places + [(False, behind + 8 * k) for k in range(inputs - len(mapped))]


@lru_cache(maxsize=1)
def driver() -> Callable[[int], None]:
    """The loop over a batch, made once in a process: see batch_loop.py."""
    loop = X86Loop() if at_once(batches=True) else LLVMLoop()
    drive(loop)
    made = loop.finish()
    keep: Any = Executable(made) if isinstance(made, bytes) else llvm_backend.compiled(made, 2)
    run: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(
        getattr(keep, "address", 0) or keep.get_function_address("drive")
    )
    run.keep = keep
    return run  # type: ignore[no-any-return]


def _machine(code: Code) -> Machine:
    keep = Executable(code.finish())
    callbacks: list[Any] = []
    preset: list[int] = []
    for what in code.constants:
        if isinstance(what, int):
            preset.append(what)
        elif what in code.lowered.callbacks:
            made, address = callback(*code.lowered.callbacks[what])
            callbacks.append(made)
            preset.append(address)
        else:
            preset.append(library_address(what) if what in LIBRARY else 0)
    brief = len(code.lowered.program) <= BRIEF
    return Machine(
        keep.address, struct.pack(f"<{len(preset)}Q", *reversed(preset)), -(-code.used // 8) + 8, callbacks, keep, brief
    )
