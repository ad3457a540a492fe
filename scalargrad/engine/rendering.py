"""What rooms above do for `Value`s: they register functions here, so that `value.draw()` need not know of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

renderers: dict[str, Callable[..., Any]] = {}


def register(name: str, renderer: Callable[..., Any]) -> None:
    """Hand over the function for what is known by this name: "graph", "network", "method arctan", ..."""
    renderers[name] = renderer


def rendered(name: str, *shown: Any, **options: Any) -> Any:
    """What the function of that name makes of it."""
    if name not in renderers:
        raise RuntimeError(f"nothing that draws a {name} is registered: import scalargrad.drawing")
    return renderers[name](*shown, **options)
