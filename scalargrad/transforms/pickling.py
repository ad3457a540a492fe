"""How functions go into pickles: by name, as how they were made, or, where cloudpickle is installed, by value.

Python itself pickles functions by name alone, and so no lambda and no closure; nor one whose name now stands for what a
decorator made of it (`@compile`, `@grad`), which is found again as what that was made of. cloudpickle has the code of
the others in the pickle.

A pickle runs code when it is read, anybody's: read none that you do not trust. Files of states (`scalargrad/state.py`)
are data alone.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from threading import local
from types import MethodType
from typing import Any, NamedTuple


class Named(NamedTuple):
    """The function of which a decorator made what has that name."""

    module: str
    name: str

    def function(self) -> Any:
        found = _global(self)
        if not hasattr(found, "__wrapped__"):
            raise pickle.UnpicklingError(f"there is no decorated function {self.name!r} in {self.module!r} here")
        return found.__wrapped__


class ByValue(NamedTuple):
    """A function's code and what it refers to, as cloudpickle wrote them."""

    pickled: bytes

    def function(self) -> Any:
        return pickle.loads(self.pickled)


_under_way = local()


def by_value() -> bool:
    """Whether this thread writes a pickle by cloudpickle, which has the code of functions that no name leads to."""
    return getattr(_under_way, "by_value", False)


def _by_cloudpickle(cloudpickle: Any, x: Any) -> bytes:
    before, _under_way.by_value = by_value(), True
    try:
        return cloudpickle.dumps(x)  # type: ignore[no-any-return]
    finally:
        _under_way.by_value = before


def saved(function: Any) -> Any:
    """What to pickle for a function; raises `PicklingError` for one that cannot be found again, with the reason."""
    if isinstance(function, MethodType):
        return function  # the pickler comes to its object, which may hold the function that is being pickled
    try:
        pickle.dumps(function)
        return function
    except RecursionError:  # it holds the compiled function itself
        return function
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        reason = error
    name = Named(getattr(function, "__module__", None) or "", getattr(function, "__qualname__", ""))
    named = getattr(_global(name), "__wrapped__", None) is function
    cloudpickle = _cloudpickle()
    begun: set[int] = _under_way.__dict__.setdefault("functions", set())
    if named and (cloudpickle is None or name.module != "__main__" or id(function) in begun):
        return name
    if cloudpickle is None or id(function) in begun:
        where = "" if cloudpickle else ", or install cloudpickle, which pickles lambdas and closures"
        raise pickle.PicklingError(f"{reason}; define the function at a module's top level{where}") from reason
    begun.add(id(function))
    try:
        return ByValue(_by_cloudpickle(cloudpickle, function))
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise pickle.PicklingError(f"{name.name or function!r}: what it refers to has no pickle: {error}") from error
    finally:
        begun.discard(id(function))


def restored(kept: Any) -> Any:
    """The function that `saved` kept."""
    return kept.function() if isinstance(kept, Named | ByValue) else kept


def dumps(x: Any, what: str) -> bytes:
    """A pickle for other processes, whose main module may be another; `PicklingError` says what cannot go there."""
    cloudpickle = _cloudpickle()
    try:
        return _by_cloudpickle(cloudpickle, x) if cloudpickle else pickle.dumps(x)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise pickle.PicklingError(f"{what}: cannot be sent to another process: {error}") from error


def _cloudpickle() -> Any:
    try:
        import cloudpickle  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        return None
    return cloudpickle


def _global(name: Named) -> Any:
    try:
        found: Any = import_module(name.module)
    except (ImportError, ValueError):
        return None
    for part in name.name.split("."):
        found = getattr(found, part, None)
    return found
