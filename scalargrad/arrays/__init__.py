"""NumPy: arrays as arguments of functions that are differentiated or compiled, and its functions on `Value`s.

`values.py` has the array of `Value`s that such a function gets, and how arrays are taken apart and put together;
`ufuncs.py` what NumPy's ufuncs are on `Value`s, by the rows of the table; `functions.py` the other functions, and
`linalg.py` those of matrices. Nothing of it is imported before somebody has imported NumPy and uses an array.
"""

import sys
from importlib import import_module
from typing import Any

from ..engine.rendering import register
from ..transforms.trees import Container, finders


def _find(kind: type) -> Container | None:
    numpy = sys.modules.get("numpy")
    if numpy is None or not hasattr(numpy, "ndarray") or not issubclass(kind, numpy.ndarray):
        return None
    found: Container = import_module(f"{__name__}.values").container_of(kind)
    return found


def _ufunc(*given: Any, **options: Any) -> Any:
    return import_module(f"{__name__}.ufuncs").call(*given, **options)


def _method(*given: Any) -> Any:
    return import_module(f"{__name__}.ufuncs").method(*given)


def _function(*given: Any) -> Any:
    return import_module(f"{__name__}.functions").call(*given)


finders.append(_find)
register("ufunc", _ufunc)
register("array function", _function)
register("method of a ufunc's name", _method)
__all__: list[str] = []


def __dir__() -> list[str]:
    return [*__all__]
