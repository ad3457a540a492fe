"""Machine code as a built-in function of the interpreter, which costs a fifth of a call through ctypes.

A built-in function is a C function that takes and returns objects. Here one is written in machine code around a
program's: it runs the program on fixed memory and returns None, or has a Python function answer where the program's
code says that its outputs do not stand. It holds the interpreter's lock, and so is for what runs some microseconds.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .executable import Executable
from .x86.assembler import RAX, RDI, move

METH_NOARGS = 0x0004


class _MethodDef(ctypes.Structure):
    """CPython's PyMethodDef, which is part of its stable interface."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Held(tuple[Any, ...]):
    """What a built-in function lives on, as its `__self__`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<machine code>"


@lru_cache(maxsize=1)
def _interpreter() -> tuple[int, int, Any] | None:
    """The addresses of `Py_IncRef` and `PyObject_CallNoArgs`, and what makes a built-in function; None elsewhere."""
    if platform.python_implementation() != "CPython" or not hasattr(ctypes, "pythonapi"):
        return None
    library = ctypes.pythonapi
    if not all(hasattr(library, name) for name in ("PyCFunction_NewEx", "Py_IncRef", "PyObject_CallNoArgs")):
        return None
    make = library.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    taken, called = (
        ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in ("Py_IncRef", "PyObject_CallNoArgs")
    )
    return taken, called, make


def builtin(run: bytes, right: tuple[int, ...], otherwise: Callable[[int], Any], keep: Any) -> Callable[[], Any] | None:
    """A function without arguments: None where `run` gives a code that is right, `otherwise(code)` where it does not.

    `run` is x86-64 code that loads its operands and jumps to a function; `right` is (1,) or (1, 3); `keep` is what that
    function needs. None where the interpreter is not CPython. Raises `CodeRefusedError` as `Executable` does.
    """
    found = _interpreter()
    if found is None:
        return None
    taken, called, make = found
    code = ctypes.c_int8()

    def failed() -> Any:
        return otherwise(code.value)

    none = move(RDI, id(None)) + move(RAX, taken) + b"\xff\xd0" + move(RAX, id(None)) + b"\x5a\xc3"
    other = b"\xa2" + ctypes.addressof(code).to_bytes(8, "little")  # mov [code], al
    other += move(RDI, id(failed)) + move(RAX, called) + b"\x5a\xff\xe0"  # pop rdx; jmp rax
    test = b"\x88\xc1\x80\xe1" + bytes((1 if 3 in right else 3,))  # mov cl, al; and cl, ...
    test += b"\x80\xf9\x01\x75" + bytes((len(none),))  # cmp cl, 1; jne
    start = b"\x50\xe8" + (len(test) + len(none) + len(other)).to_bytes(4, "little")  # push rax; call to `run`, below
    held = Executable(start + test + none + other + run)
    definition = _MethodDef(b"run", held.address, METH_NOARGS, None)
    made: Callable[[], Any] = make(ctypes.addressof(definition), _Held((definition, held, failed, keep)), None)
    return made
