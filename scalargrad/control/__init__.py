"""Programs that loop and choose: each loop is one operation, differentiable at any order, and compiled as such."""

from ..compiler.frontend.derived import LoopError
from .branches import cond
from .custom import checkpoint, custom_jvp, custom_vjp
from .implicit import custom_root, fixed_point, minimum, root
from .loops import fori_loop, scan, while_loop
from .ode import odeint

__all__ = [
    "LoopError", "checkpoint", "cond", "custom_jvp", "custom_root", "custom_vjp", "fixed_point", "fori_loop", "minimum",
    "odeint", "root", "scan", "while_loop",
]  # fmt: skip
