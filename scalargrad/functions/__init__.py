"""The functions that users call on numbers and `Value`s, documented and typed; and the rows that they call.

`elementary.py` has those of one, two or three numbers, `reductions.py` those of a whole sequence; start there.
`primitives.py` has their rows, beyond those of the engine's table, and `values.py` these rows' arithmetic on floats.
`custom.py` is `@primitive`, for operations of one's own.
"""

# ruff: noqa: F403, F405  # both have an `__all__`
from .elementary import *
from .reductions import *

__all__ = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "clamp", "cos", "cosh", "dot",
    "erf", "erfc", "exp", "exp2", "expm1", "floor", "floordiv", "hypot", "log", "log1p", "log2", "log10", "logsumexp",
    "max", "mean", "min", "mod", "pow", "prod", "relu", "round", "sigmoid", "sign", "sin", "sinh", "softplus", "sqrt",
    "step", "sum", "tan", "tanh", "where",
]  # fmt: skip
__dir__ = __all__.copy
