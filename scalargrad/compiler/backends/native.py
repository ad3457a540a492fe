"""Programs as machine code for this processor: what the ways to make it share, and the choice between them.

`x86_backend.py` makes code for x86-64 itself, with the standard library alone; `llvm_backend.py` has LLVM make it, for
every other processor. It stands apart from both because callers care for the code's address only. Library functions
are called by address, and are those that Python calls.
"""

from __future__ import annotations

import ctypes
import math
import os
import struct
import sys
import threading
from collections.abc import Sequence
from ctypes.util import find_library
from functools import lru_cache
from typing import Any, NamedTuple

from ...engine.table import Primitive
from ..ir.elementary import LIBRARY
from ..ir.lowering import Lowered
from .executable import Executable, features


class NativeUnavailableError(ImportError):
    """Machine code was asked for, and there is no llvmlite that works, no C library to call, or no leave to run it."""


class Machine(NamedTuple):
    """Machine code: `run(x, y, m)` takes the addresses of inputs, outputs and memory."""

    address: int
    preset: bytes  # what must stand in memory before m
    scratch: int  # floats of memory from m on
    callbacks: list[Any]
    keep: Any  # what the code lives as long as


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
    return (not batches and chosen() == "x86") or _has_llvm()


@lru_cache(maxsize=1)
def _has_llvm() -> bool:
    from .llvm import llvm

    try:
        llvm()
    except NativeUnavailableError:
        return False
    return True


def at_once(batches: bool = False) -> bool:
    """Whether making machine code takes less time than making Python source."""
    return chosen() == "x86" and (not batches or "avx512" in features())


def require() -> None:
    """Raise `NativeUnavailableError` where no machine code can be made."""
    if chosen() == "llvm":
        from .llvm import llvm

        llvm()


def scalar(lowered: Lowered) -> Machine:
    """Machine code for one point."""
    if chosen() == "x86":
        from .x86.code import scalar_code

        return _machine(scalar_code(lowered))
    from . import llvm as llvm_backend

    return llvm_backend.scalar(lowered)


def kernel(lowered: Lowered, mapped: Sequence[bool], skip: int, reduce: bool) -> Machine:
    """Machine code for eight samples: see driver.py for what x and y hold.

    `mapped` says of each leaf of the arguments whether it is mapped; further inputs of the program are shared numbers,
    behind so many others.
    """
    inputs = lowered.program.inputs
    columns, shared = iter(range(0, 64 * len(mapped), 64)), iter(range(64 * sum(mapped), 64 * inputs + 64, 8))
    places = [(each, next(columns if each else shared)) for each in mapped]
    behind = 64 * sum(mapped) + 8 * (len(mapped) - sum(mapped) + skip)
    places += [(False, behind + 8 * k) for k in range(inputs - len(mapped))]
    if chosen() == "x86" and "avx512" in features():
        from .x86.code import kernel_code

        return _machine(kernel_code(lowered, places, reduce))
    from . import llvm as llvm_backend

    return llvm_backend.kernel(lowered, places, reduce)


def _machine(code: Any) -> Machine:
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
    return Machine(
        keep.address, struct.pack(f"<{len(preset)}Q", *reversed(preset)), -(-code.used // 8) + 8, callbacks, keep
    )


# ---- functions that machine code calls -------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    """The C library that Python's own `math` calls."""
    if sys.platform == "win32":
        return ctypes.CDLL("ucrtbase")
    own = getattr(math, "__file__", None)
    for each in (find_library("m"), "libm.so.6", own, None):
        try:
            library = ctypes.CDLL(each)
        except OSError:
            continue
        if all(hasattr(library, name) for name in LIBRARY):
            return library
    raise NativeUnavailableError("backend='native': no C library with the functions of math.h was found")


@lru_cache(maxsize=256)
def library_address(name: str) -> int:
    return ctypes.cast(getattr(_library(), name), ctypes.c_void_p).value or 0


_failed = threading.local()


def callback(row: Primitive, count: int) -> tuple[Any, int]:
    """A row that only Python can compute, as a C function. What it raises is kept for `raise_failed`."""

    def compute(*xs: float) -> float:
        try:
            return row.compute(*xs)
        except BaseException as error:  # machine code cannot pass it on
            _failed.error = error
            return math.nan

    made = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * count)(compute)
    return made, ctypes.cast(made, ctypes.c_void_p).value or 0


def raise_failed() -> None:
    """Raise what a row raised that machine code on this thread called."""
    error = getattr(_failed, "error", None)
    if error is not None:
        _failed.error = None
        raise error


# ---- memory that it works in -----------------------------------------------------------------------------------------


class Memory:
    """So many floats of zeros on a boundary of 64 bytes, behind bytes that are given."""

    def __init__(self, floats: int, before: bytes = b"") -> None:
        self.floats = bytearray(8 * floats + len(before) + 64)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.floats))
        self.address = -(-(start + len(before)) // 64) * 64
        ctypes.memmove(self.address - len(before), before, len(before))
