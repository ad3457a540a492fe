"""From a recorded graph to machine code: `compile`.

trace.py runs a function once and flattens what it recorded; program.py holds the result; lowering.py and symbolic.py
bring the table's rows to elementary operations, polynomials.py those of the C library to arithmetic where that is asked
for; python_backend.py and c_backend.py make source of it, native_backend.py machine code, by x86_backend.py with
registers.py and assembler.py, or by llvm_backend.py; batch.py runs it over many samples; function.py puts it together.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from .frontend.function import Buffered, CompiledFunction, GuardLimitError, compile
from .frontend.trace import TraceError

__all__ = ["Buffered", "CompiledFunction", "GuardLimitError", "TraceError", "compile"]


def __dir__() -> list[str]:
    return [*__all__]
