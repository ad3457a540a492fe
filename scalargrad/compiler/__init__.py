"""`compile`: from a Python function to machine code, with the same bits.

`frontend/` runs the function once and makes a program of what it recorded; `ir/` holds programs and brings the table's
rows to elementary operations; `backends/` turn programs into Python source, C and machine code; `batching/` runs them
over many samples. Start with `frontend/function.py`.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from .frontend.function import Buffered, CompiledFunction, GuardLimitError, compile
from .frontend.trace import TraceError

__all__ = ["Buffered", "CompiledFunction", "GuardLimitError", "TraceError", "compile"]


def __dir__() -> list[str]:
    return [*__all__]
