"""What every plot begins with: things by name, and looks that tell one from the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from .canvas import Paper

Path = str | os.PathLike[str] | None
MOST = 8  # series in one plot: so many can be distinguished


def by_name(what: str, given: Any, kind: type | tuple[type, ...], otherwise: str) -> dict[str, Any]:
    """One thing, or several by name, as a dict."""
    named = dict(given) if isinstance(given, Mapping) else {otherwise: given}
    if not named:
        raise ValueError(f"{what}: nothing to plot")
    if len(named) > MOST:
        raise ValueError(f"{what}: {len(named)} series; at most {MOST} can be distinguished in one plot")
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
        "color": paper.series[k], "linestyle": paper.dashes[k % len(paper.dashes)], "linewidth": 2.0,
        "marker": paper.markers[k], "markersize": 4.5, "markevery": 0.1 if sparse else None,
    }  # fmt: skip


def broken_at_jumps(numbers: Sequence[float]) -> list[float]:
    """The numbers of a curve at even distances, nan for the first behind a jump: no stroke joins its sides.

    A jump is a difference that is far larger than those beside it.

    >>> broken_at_jumps([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    [0.0, 0.0, nan, 1.0, 1.0, 1.0]
    """
    shown = with_gaps(numbers)
    steps = [0.0, *(abs(b - a) for a, b in pairwise(shown)), 0.0]
    for k in range(1, len(steps) - 1):
        if steps[k] > 20.0 * max(steps[k - 1], steps[k + 1]) and steps[k] > 1e-9 * abs(shown[k]):
            shown[k - 1] = float("nan")
    return shown


def with_gaps(numbers: Sequence[float]) -> list[float]:
    """The numbers, nan for what is not finite: there a curve has a gap."""
    return [x if isfinite(x) else float("nan") for x in numbers]
