"""Training by compiled programs, with the same bits: imported when a training is compiled, or may be.

`objective.py` has loss and gradient, `step.py` the optimizer's step, `machine.py` what this machine can do.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...compiler import TraceError
    from .machine import at_once, available
    from .objective import REFUSALS, CompiledObjective, UntraceableError
    from .step import CompiledStep

_LATER = {
    "at_once": "machine",
    "available": "machine",
    "REFUSALS": "objective",
    "CompiledObjective": "objective",
    "TraceError": "objective",
    "UntraceableError": "objective",
    "CompiledStep": "step",
}

__all__ = [
    "REFUSALS",
    "CompiledObjective",
    "CompiledStep",
    "TraceError",
    "UntraceableError",
    "at_once",
    "available",
]


def __getattr__(name: str) -> Any:
    """Import the compiler when it is first needed: a training on `Value`s does without."""
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
