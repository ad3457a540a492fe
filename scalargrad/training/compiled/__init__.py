"""Training by compiled programs, with the same bits: imported when a training is compiled, or may be."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...compiler import TraceError
    from ...compiler.backends import native
    from .objective import REFUSALS, CompiledObjective, UntraceableError
    from .step import CompiledStep


__all__ = ["REFUSALS", "CompiledObjective", "CompiledStep", "TraceError", "UntraceableError", "native"]


def __getattr__(name: str) -> Any:
    """Import the compiler when it is first needed: a training on `Value`s does without."""
    if name in __all__:
        home = "step" if name == "CompiledStep" else "objective"
        return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
