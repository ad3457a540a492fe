"""What every plot begins with: paper to draw on, things by name, and looks that tell one from the other.

Matplotlib is asked for here; where it is missing, the error says how to install it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .canvas import Paper

Path = str | os.PathLike[str] | None
MOST = 8  # series in one plot: so many can be told apart


def new_paper(rows: int, columns: int, size: tuple[float, float], title: str, theme: str) -> Paper:
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    from .canvas import Paper

    return Paper(rows, columns, size, title, theme)


def by_name(what: str, given: Any, kind: type | tuple[type, ...], otherwise: str) -> dict[str, Any]:
    """One thing, or several by name, as a dict."""
    named = dict(given) if isinstance(given, Mapping) else {otherwise: given}
    if not named:
        raise ValueError(f"{what}: nothing to plot")
    if len(named) > MOST:
        raise ValueError(f"{what}: {len(named)} series; at most {MOST} can be told apart in one plot")
    for name, each in named.items():
        if not isinstance(each, kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            raise TypeError(
                f"{what}: expected {' or '.join(k.__name__ for k in kinds)}, got {type(each).__name__} for {name!r}"
            )
    return {str(name): each for name, each in named.items()}


def look_of(paper: Paper, k: int, sparse: bool = False) -> dict[str, Any]:
    """How the k-th curve differs from the others."""
    return {
        "color": paper.series[k],
        "linestyle": paper.dashes[k % len(paper.dashes)],
        "linewidth": 2.0,
        "marker": paper.markers[k],
        "markersize": 4.5,
        "markevery": 0.1 if sparse else None,
    }


def with_gaps(numbers: Sequence[float]) -> list[float]:
    """The numbers, nan for what is not finite: there a curve has a gap."""
    return [x if isfinite(x) else float("nan") for x in numbers]
