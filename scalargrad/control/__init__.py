"""Programs that loop and choose: each loop is one operation, differentiable at any order, and compiled as such."""

from ..compiler.frontend.derived import LoopError
from .branches import cond
from .loops import fori_loop, scan, while_loop

__all__ = ["LoopError", "cond", "fori_loop", "scan", "while_loop"]
