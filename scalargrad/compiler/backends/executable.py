"""Memory that the processor may run: all that machine code asks of the operating system.

Hardened systems refuse memory that is both writable and executable, also one after the other: `prctl(PR_SET_MDWE)`,
systemd's MemoryDenyWriteExecute, SELinux's execmem. So code is written to a file in memory, which is sealed, and then
mapped to be read and run: no mapping of it could ever be written. (Measured: as fast as pages that change from writable
to executable, for one byte and for five million.)
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import sys
import weakref
from functools import lru_cache

# Of Linux on x86-64, by number, since neither Python nor the C library may know them by name.
MEMFD_CREATE = 319
MFD_CLOEXEC, MFD_ALLOW_SEALING = 1, 2
F_ADD_SEALS = 1033
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE = 1, 2, 4, 8
MAP_FAILED = 2**64 - 1


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return library


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
        found.update({"avx", "fma"} & flags)
        if {"avx512f", "avx512dq", "avx512vl"} <= flags:
            found.add("avx512")
    return frozenset(found)


class CodeRefusedError(OSError):
    """The operating system does not let this process run code that it made, or so much of it."""


class Executable:
    """Machine code in memory, for as long as this object lives."""

    def __init__(self, code: bytes) -> None:
        library = _library()
        file = library.syscall(MEMFD_CREATE, b"scalargrad", MFD_CLOEXEC | MFD_ALLOW_SEALING)
        if file < 0:
            raise _refused()
        try:
            try:
                written = os.pwrite(file, code, 0)
            except OSError as error:  # beyond the limit on the size of files
                raise CodeRefusedError(*error.args) from None
            if written != len(code):
                raise CodeRefusedError("the operating system has no room for machine code")
            if library.fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE):
                raise _refused()
            address = library.mmap(None, len(code), mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, file, 0)
        finally:
            os.close(file)
        if address == MAP_FAILED:
            raise _refused()
        self.address: int = address
        weakref.finalize(self, library.munmap, address, len(code)).atexit = False


def changes_protection() -> bool:
    """Whether written memory may be made executable, as LLVM does, which ends the process where it may not."""
    if not hasattr(mmap, "PROT_EXEC"):  # Windows
        return True
    pages = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages[0] = 0xC3
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    return not _library().mprotect(address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC)


def _refused() -> CodeRefusedError:
    return CodeRefusedError(ctypes.get_errno(), "the operating system does not let a program run code that it made")
