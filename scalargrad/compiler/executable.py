"""Memory that the processor may run, from the standard library alone.

It stands apart because it is all that making machine code asks of the operating system: pages that are written first,
and then can be run and not be written any more.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import sys
from functools import lru_cache


@lru_cache(maxsize=1)
def features() -> frozenset[str]:
    """Which of "avx" and "avx512" this processor and operating system have; nothing where no code is made for it."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64") or sys.maxsize < 2**32:
        return frozenset()
    found = set()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((set(line.split()) for line in file if line.startswith("flags")), set())
    except OSError:  # a system that does not tell
        return frozenset()
    if "avx" in flags:
        try:
            Executable(b"\xc3")
        except OSError:  # a hardened system: no code that a program made is run
            return frozenset()
        found.add("avx")
        if {"avx512f", "avx512dq", "avx512vl"} <= flags:
            found.add("avx512")
    return frozenset(found)


class Executable:
    """Machine code in memory, for as long as this object lives."""

    def __init__(self, code: bytes) -> None:
        self.pages = mmap.mmap(-1, max(len(code), 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.pages.write(code)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.pages))
        library = ctypes.CDLL(None, use_errno=True)
        library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        if library.mprotect(self.address, len(self.pages), mmap.PROT_READ | mmap.PROT_EXEC):
            number = ctypes.get_errno()
            raise OSError(number, "the operating system does not let a program run code that it made")
