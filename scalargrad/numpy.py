"""NumPy, with an `array` that keeps to `Value`s: `import scalargrad.numpy as np`, where autograd's is `autograd.numpy`.

All names are NumPy's own, which work on arrays of `Value`s as they stand, but for `array`, `asarray` and `asanyarray`:
NumPy's make of a list of `Value`s an array of objects whose functions ask each element for a method, which a float
among them does not have, and whose ties are Python's. Those here make what a differentiated function gets for an array.

>>> import scalargrad.numpy as np
>>> from scalargrad import jacobian
>>> jacobian(lambda x: np.exp(np.array([x[0], 0.0, x[0] - x[1]])))(np.array([0.0, 0.0])).tolist()
[[1.0, 0.0], [0.0, 0.0], [1.0, -1.0]]
"""

from __future__ import annotations

from typing import Any

import numpy

from .arrays.values import wrapped
from .engine.value import Value


def _made(make: Any, x: Any, dtype: Any, options: dict[str, Any]) -> Any:
    try:
        return wrapped(make(x, dtype, **options))
    except TypeError:
        objects = numpy.array(x, object)
        if numpy.dtype(dtype).kind != "f" or not any(isinstance(each, Value) for each in objects.flat):
            raise
        return wrapped(objects)


def array(x: Any, dtype: Any = None, **options: Any) -> Any:
    """Make an array as `numpy.array`; with a `Value` among the numbers one of `Value`s, whatever the dtype."""
    return _made(numpy.array, x, dtype, options)


def asarray(x: Any, dtype: Any = None, **options: Any) -> Any:
    """As `array`, without a copy where none is needed."""
    return _made(numpy.asanyarray, x, dtype, options)


asanyarray = asarray


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(numpy, name)


def __dir__() -> list[str]:
    return dir(numpy)
