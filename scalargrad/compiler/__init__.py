"""From a recorded graph to machine code: `compile`.

trace.py runs a function once and flattens what it recorded; program.py holds the result; lowering.py and symbolic.py
bring the table's rows to elementary operations; python_backend.py, c_backend.py and native_backend.py make source and
machine code of it; batch.py runs it over many samples; function.py puts it together.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from .function import Buffered, CompiledFunction, GuardLimitError, compile
from .trace import TraceError

__all__ = ["Buffered", "CompiledFunction", "GuardLimitError", "TraceError", "compile"]
