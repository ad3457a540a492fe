"""Machine code in memory: what all ways to make it hand over, and what it needs around it.

The functions that it calls are called by address, and are those that Python calls; the memory that it works in lies on
boundaries of 64 bytes.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import struct
import sys
import threading
from ctypes.util import find_library
from functools import lru_cache
from typing import Any, NamedTuple

from ...engine.primitive import Primitive
from ..ir.elementary import LIBRARY


class NativeUnavailableError(ImportError):
    """Machine code was asked for, and there is no llvmlite that works, no C library to call, or no leave to run it."""


class Machine(NamedTuple):
    """Machine code: `run(x, y, m)` takes the addresses of inputs, outputs and memory."""

    address: int
    preset: bytes  # what must stand in memory before m
    scratch: int  # floats of memory from m on
    callbacks: list[Any]
    keep: Any  # what the code lives as long as
    brief: bool = False  # whether it is x86-64 code of ours, which runs for microseconds


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
            note_failed(error)
            return math.nan

    made = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * count)(compute)
    return made, ctypes.cast(made, ctypes.c_void_p).value or 0


def note_failed(error: BaseException) -> None:
    """Keep what a function of Python's raised that machine code on this thread called."""
    _failed.error = error


def raise_failed() -> None:
    """Raise what a row raised that machine code on this thread called."""
    error = getattr(_failed, "error", None)
    if error is not None:
        _failed.error = None
        raise error


# ---- memory that it works in -----------------------------------------------------------------------------------------


LARGE = 1 << 22  # bytes from which memory is asked of the system, which makes pages when they are first written


def _zeros(size: int) -> bytearray | mmap.mmap:
    if size < LARGE or not hasattr(mmap, "MAP_PRIVATE"):
        return bytearray(size)  # which writes all of it
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # a process that is forked has its own


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def array_address(x: Any) -> int:
    """Where an array's first number is, by NumPy's array interface in C, which takes a fifth of that in Python."""
    return ctypes.c_int64.from_address(_pointer(x.__array_struct__, None) + 40).value  # behind 8 + 16 + 2 * 8 bytes


def of_float(x: float) -> int:
    """A float's bits, for a slot."""
    found: int = struct.unpack("<q", struct.pack("<d", x))[0]
    return found


class AlignedMemory:
    """So many floats of zeros on a boundary of 64 bytes, behind bytes that are given."""

    def __init__(self, floats: int, before: bytes = b"") -> None:
        self.floats = _zeros(8 * floats + len(before) + 64)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.floats))
        self.address = -(-(self.start + len(before)) // 64) * 64
        ctypes.memmove(self.address - len(before), before, len(before))
