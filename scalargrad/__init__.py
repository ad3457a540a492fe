"""Reverse-mode automatic differentiation on scalars.

The same code, seen, checked and run fast: a function written once on plain numbers runs on floats, on `Value`s, which
record what is done to them, and under `grad`.

>>> from scalargrad import Value, grad, tanh
>>> x = Value(0.5, label="x")
>>> y = x * tanh(x)
>>> y.backward()
>>> y.data, x.grad
(0.23105857863000487, 0.8553410237429735)
>>> grad(lambda x: x * tanh(x))(0.5)
0.8553410237429735
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import drawing as _drawing  # noqa: F401  # registers what draws
from .engine.anomaly import AnomalyError
from .engine.modes import detect_anomaly, group, no_grad
from .engine.table import Primitive, primitive
from .engine.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .engine.value import Value
from .functions import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    ceil,
    clamp,
    cos,
    cosh,
    dot,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floordiv,
    hypot,
    log,
    log1p,
    log2,
    log10,
    logsumexp,
    max,
    mean,
    min,
    mod,
    pow,
    prod,
    relu,
    round,
    sigmoid,
    sign,
    sin,
    sinh,
    softplus,
    sqrt,
    step,
    sum,
    tan,
    tanh,
    where,
)
from .version import VERSION

if TYPE_CHECKING:
    from .compiler import compile
    from .drawing import Drawing, draw, draw_change, draw_network, name_values

LATER = {
    "compile": "compiler",
    **dict.fromkeys(("Drawing", "draw", "draw_change", "draw_network", "name_values"), "drawing"),
}
ROOMS = (
    "activations",
    "compiler",
    "data",
    "drawing",
    "losses",
    "nn",
    "optim",
    "plots",
    "schedules",
    "testing",
    "training",
)
__version__ = VERSION


def __getattr__(name: str) -> Any:
    """Import a room of the library when it is first used: `scalargrad.nn`, `scalargrad.optim`, ..."""
    if name in ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in LATER:
        return getattr(import_module(f"{__name__}.{LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *ROOMS]


# fmt: off
__all__ = [  # noqa: RUF022  # by name alone, as a reader looks them up
    "AnomalyError", "Drawing", "Primitive", "Value", "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2",
    "atanh", "cbrt", "ceil", "clamp", "compile", "cos", "cosh", "detect_anomaly", "dot", "draw", "draw_change",
    "draw_network", "erf", "erfc", "exp", "exp2", "expm1", "floor", "floordiv", "grad", "group", "hessian", "hvp",
    "hypot", "jacobian", "jvp", "log", "log10", "log1p", "log2", "logsumexp", "max", "mean", "min", "mod",
    "name_values", "no_grad", "pow", "primitive", "prod", "relu", "round", "sigmoid", "sign", "sin", "sinh",
    "softplus", "sqrt", "step", "sum", "tan", "tanh", "value_and_grad", "vjp", "where",
]
# fmt: on
