"""Who draws: the functions that rooms above register here, so that `value.draw()` need not know of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_renderers: dict[str, Callable[..., Any]] = {}


def register(name: str, renderer: Callable[..., Any]) -> None:
    """Hand over the function that draws what is known by this name: "graph", "network", ..."""
    _renderers[name] = renderer


def rendered(name: str, *shown: Any, **options: Any) -> Any:
    """What the function of that name makes of it."""
    if name not in _renderers:
        raise RuntimeError(f"nothing that draws a {name} is registered: import scalargrad.drawing")
    return _renderers[name](*shown, **options)
