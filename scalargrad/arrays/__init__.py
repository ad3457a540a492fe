"""NumPy: arrays as arguments of functions that are differentiated or compiled, and its functions on `Value`s.

`values.py` has the array of `Value`s that such a function gets, and how arrays are taken apart and put together;
`ufuncs.py` what NumPy's ufuncs are on `Value`s, by the rows of the table; `functions.py` the other functions, and
`linalg.py` those of matrices. Nothing of it is imported before somebody has imported NumPy and uses an array.
"""

import sys
from functools import partial
from importlib import import_module
from typing import Any

from ..engine.rendering import register
from ..transforms.trees import Container, finders


def _find(kind: type) -> Container | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or not hasattr(numpy, "ndarray") or not issubclass(kind, numpy.ndarray):
        return None
    found: Container = import_module(f"{__name__}.values").CONTAINER
    return found


def _later(module: str, name: str, *first: Any, **options: Any) -> Any:
    """Call a function of a module, which is imported at the first call."""
    return getattr(import_module(f"{__name__}.{module}"), name)(*first, **options)


finders.append(_find)
register("ufunc", partial(_later, "ufuncs", "call"))
register("array function", partial(_later, "functions", "call"))
for _name in (
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "conjugate", "cosh", "deg2rad",
    "exp2", "expm1", "fabs", "hypot", "log10", "log1p", "log2", "rad2deg", "rint", "sinh", "tan",
):  # fmt: skip
    register(
        f"method {_name}", partial(_later, "ufuncs", "method", _name)
    )  # NumPy's loops call it for the elements of np.array([v, w])
__all__: list[str] = []
__dir__ = __all__.copy
