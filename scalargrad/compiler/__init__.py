"""`compile`: from a Python function to machine code, with the same bits.

`function.py` has the object that it returns, which is where to start; `frontend/` runs the function once and makes a
program of what it recorded; `ir/` holds programs and brings the table's rows to elementary operations; `backends/` turn
programs into Python source, C and machine code; `batching/` runs them over many samples.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from .batching.binned import BinnedSum
from .batching.distributed import WorkerLostError
from .batching.partial import PartialSum, merge
from .frontend.dispatch import GuardLimitError
from .frontend.trace import TraceError
from .function import Buffered, CompiledFunction, compile

__all__ = [
    "BinnedSum", "Buffered", "CompiledFunction", "GuardLimitError", "PartialSum", "TraceError", "WorkerLostError",
    "compile", "merge",
]  # fmt: skip
__dir__ = __all__.copy
