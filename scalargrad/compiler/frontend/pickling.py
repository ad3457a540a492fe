"""How a compiled function's Python function goes into a pickle: as its name, or as how it was made.

A pickle of a compiled function keeps its programs; the Python function is needed where another branch is to be traced.
Python itself pickles functions by name alone, and so neither one whose name now stands for the compiled function (with
`@compile`), nor a derivative (`value_and_grad(f)`), which is a closure. Both are kept by what they can be found again
by.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib import import_module
from types import MethodType
from typing import Any, NamedTuple

from ...transforms.derivatives import Recipe


class Named(NamedTuple):
    """The function that the compiled function of that name was made of."""

    module: str
    name: str


class Made(NamedTuple):
    """What `maker(*arguments)` returns: a derivative of a function."""

    maker: Callable[..., Any]
    arguments: tuple[Any, ...]


def saved(function: Any) -> Any:
    """What to pickle for a function; None for one that cannot be found again, such as a lambda."""
    recipe = getattr(function, "recipe", None)
    if isinstance(recipe, Recipe) and recipe.of() is function:
        _, maker, arguments = recipe
        kept = tuple([saved(each) if callable(each) else each for each in arguments])
        lost = any(callable(each) and found is None for each, found in zip(arguments, kept, strict=True))
        return None if lost else Made(maker, kept)
    if isinstance(function, MethodType):  # the pickler comes to its object, which may hold the compiled function
        return function
    try:
        pickle.dumps(function)
    except RecursionError:  # it holds the compiled function itself
        return function
    except (pickle.PicklingError, AttributeError, TypeError):
        name = Named(getattr(function, "__module__", ""), getattr(function, "__qualname__", ""))
        return name if getattr(_global(name), "function", None) is function else None
    return function


def restored(kept: Any) -> Any:
    """The function that `saved` kept."""
    if isinstance(kept, Made):
        return kept.maker(*map(restored, kept.arguments))
    if isinstance(kept, Named):
        return _global(kept).function
    return kept


def _global(name: Named) -> Any:
    try:
        found: Any = import_module(name.module)
    except (ImportError, ValueError):
        return None
    for part in name.name.split("."):
        found = getattr(found, part, None)
    return found
