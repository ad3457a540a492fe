"""Plots in which colour stands for height, drawn with matplotlib: contours, decisions, confusion matrices.

Titles, themes and files are as in `curves.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from ..data.dataset import Dataset
from ..nn import Module
from .canvas import MOST, Paper, Path, by_name
from .numbers import Grid, Trajectory, decision_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_paths(
    f: Callable[[Any, Any], Any],
    ways: Trajectory | Mapping[str, Trajectory],
    *,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    levels: int = 14,
    n: int = 90,
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot the ways of optimizers over the contours of the function of two numbers that they minimise.

    `ways` is a `Trajectory`, or several in a dict by name. A ring marks the start, a filled marker the end. Limits are
    those of the ways if not given. Contours stand closer where the function is steeper, as on a map; their levels grow
    with the square. Raises `ValueError` for ways that are not in the plane.

    >>> from scalargrad.optim import SGD
    >>> from scalargrad.plots import trajectory
    >>> f = lambda x, y: x * x + 8 * y * y
    >>> figure = plot_paths(f, trajectory(lambda ps: SGD(ps, lr=0.1), f, [4.0, 1.0], 20))
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('x', 'y')
    """
    named = by_name("plot_paths", ways, Trajectory, "path")
    for name, way in named.items():
        if len(way.points[0]) != 2:
            raise ValueError(f"plot_paths: {name!r} is in {len(way.points[0])} dimension(s); a plane has two")
    finite = [p for way in named.values() for p in way.points if all(map(isfinite, p))]
    x_range = xlim or _around([p[0] for p in finite])
    y_range = ylim or _around([p[1] for p in finite])
    grid = decision_grid(lambda p: f(p[0], p[1]), x_range, y_range, n)
    z = [x for row in grid.z for x in row if isfinite(x)]
    if not z:
        raise ValueError("plot_paths: the function has no finite value here")
    low, high = min(z), max(z)
    paper = Paper(1, 1, (8.0, 5.2), title, theme)
    (axes,) = paper.axes
    if low < high:
        heights = [low + (high - low) * (k / levels) ** 2 for k in range(levels + 1)]
        filled = axes.contourf(grid.x, grid.y, grid.z, heights, cmap=_shades(paper), extend="max")
        filled.set_edgecolor("face")
        axes.contour(grid.x, grid.y, grid.z, heights, colors=[paper.colours["muted"]], linewidths=0.5, alpha=0.6)
    axes.grid(False)
    for k, (name, way) in enumerate(named.items()):
        xs, ys = [p[0] for p in way.points], [p[1] for p in way.points]
        look = {**paper.look(k, sparse=len(xs) > 60), "markersize": 3.5}
        paper.curve(axes, name, xs, ys, **look)
        axes.plot(xs[:1], ys[:1], "o", markersize=10, markerfacecolor="none", markeredgecolor=paper.colours["ink"])
        axes.plot(
            xs[-1:], ys[-1:], marker=look["marker"], markersize=10, color=look["color"],
            markeredgecolor=paper.colours["page"],
        )  # fmt: skip
    axes.set(xlim=x_range, ylim=y_range)
    paper.label(axes, x="x", y="y")
    if len(named) > 1 or isinstance(ways, Mapping):
        paper.legend(axes, outside=True)
    return paper.finished(save)


def _around(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers), max(numbers)
    room = 0.12 * (high - low) or 1.0
    return low - room, high + room


def _shades(paper: Paper) -> Any:
    """From the page's colour, where the function is low, to a quiet grey blue, on which ink can be read."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = ("#2b3346", "#181b22") if paper.is_dark else ("#ffffff", "#c9d5ea")
    return LinearSegmentedColormap.from_list("height", ends)


def plot_decision(
    model: Module | Callable[[list[float]], Any] | Grid,
    points: Dataset | tuple[Sequence[Any], Sequence[Any]] | None = None,
    *,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    n: int = 120,
    threshold: float | None = None,
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot what a model of two inputs decides: its answer as colour, the boundary as a line, samples as markers.

    - `model`: a `Module`, a function of a list of two numbers, or a `Grid`. One that answers with one number decides at
      `threshold`: if not given, 0.5 where every answer lies in [0, 1], else 0. One that answers with a list of scores
      decides for the class of the largest.
    - `points`: a `Dataset`, or a pair of inputs and targets. Targets are classes in order, or lists with one 1.
    - `xlim`, `ylim`: those of the points, or -6 to 6, if not given.

    Raises `ValueError` for points that are not in the plane and for more than eight classes.

    >>> from scalargrad.data import xor
    >>> figure = plot_decision(lambda p: p[0] * p[1], xor(50), n=20)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['-1.0', '1.0', 'boundary']
    """
    data = points if points is None or isinstance(points, Dataset) else Dataset(list(points[0]), list(points[1]))
    if data is not None and len(data.feature_names) != 2:
        raise ValueError(f"plot_decision: the points have {len(data.feature_names)} features; a plane has two")
    if isinstance(model, Grid):
        grid = model
    else:
        sides = [(-6.0, 6.0)] * 2 if data is None else [_around([p[axis] for p in data.inputs]) for axis in (0, 1)]
        grid = decision_grid(model, xlim or sides[0], ylim or sides[1], n)
    labels, members = _classes(data) if data is not None else ([], [])
    if max(len(labels), grid.classes) > MOST:
        raise ValueError(f"plot_decision: {max(len(labels), grid.classes)} classes; at most {MOST} are distinguished")
    paper = Paper(1, 1, (6.4, 5.4), title, theme)
    (axes,) = paper.axes
    axes.grid(False)
    pair = [paper.colours["neg"], paper.colours["pos"]]
    colours = list(paper.series) if grid.classes or len(labels) > 2 else pair
    boundary = _regions(paper, axes, grid, threshold, colours)
    for k, (name, rows) in enumerate(zip(labels, members, strict=True)):
        markers = axes.scatter(
            [p[0] for p in rows], [p[1] for p in rows], s=26, marker=paper.markers[k], color=colours[k],
            edgecolors=paper.colours["page"], linewidths=0.8,
        )  # fmt: skip
        paper.entries[axes].append((markers, name))
    if boundary is not None:
        paper.entries[axes].append((boundary, "boundary"))
    axes.set(xlim=xlim or (grid.x[0], grid.x[-1]), ylim=ylim or (grid.y[0], grid.y[-1]))
    x, y = ("x1", "x2") if data is None else data.feature_names
    paper.label(axes, x=x, y=y)
    if paper.entries[axes]:
        paper.legend(axes, outside=True)
    return paper.finished(save)


def _classes(data: Dataset) -> tuple[list[str], list[list[list[float]]]]:
    """The classes' names, and the inputs of each."""
    targets = [t.index(max(t)) if isinstance(t, list | tuple) else t for t in data.targets]
    known = list(data.classes) if data.classes and targets == data.targets else sorted(set(targets))
    names = list(data.class_names) if len(data.class_names) == len(known) else [str(c) for c in known]
    return names, [[x for x, t in zip(data.inputs, targets, strict=True) if t == c] for c in known]


def _regions(paper: Paper, axes: Axes, grid: Grid, threshold: float | None, colours: list[str]) -> Any:
    """Colour the plane, draw the boundary, and return what stands for it in the legend; None if there is none."""
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap
    from matplotlib.lines import Line2D

    line: dict[str, Any] = {"colors": [paper.colours["ink"]], "linewidths": 1.8}
    dx, dy = (grid.x[1] - grid.x[0]) / 2.0, (grid.y[1] - grid.y[0]) / 2.0  # a pixel has its point in the middle
    image: dict[str, Any] = {
        "origin": "lower",
        "aspect": "auto",
        "extent": (grid.x[0] - dx, grid.x[-1] + dx, grid.y[0] - dy, grid.y[-1] + dy),
    }
    crossed = False
    if grid.classes:
        shades: Any = ListedColormap(colours[: grid.classes])
        axes.imshow(grid.z, cmap=shades, vmin=-0.5, vmax=grid.classes - 0.5, alpha=0.3, interpolation="none", **image)
        for k in range(grid.classes):
            others = [grid.scores[j] for j in range(grid.classes) if j != k]
            rows = [zip(*each, strict=True) for each in zip(grid.scores[k], *others, strict=True)]
            lead = [[_within(own - max(rest)) for own, *rest in row] for row in rows]
            if _has_both(lead, 0.0):
                axes.contour(grid.x, grid.y, lead, [0.0], **line)
                crossed = True
    else:
        finite = [z for row in grid.z for z in row if isfinite(z)]
        if not finite:
            return None
        middle = threshold if threshold is not None else 0.5 if min(finite) >= 0.0 and max(finite) <= 1.0 else 0.0
        reach = max(max(finite) - middle, middle - min(finite)) or 1.0
        shades = LinearSegmentedColormap.from_list("decision", [colours[0], paper.colours["page"], colours[1]])
        shown = [[_within(z, middle) for z in row] for row in grid.z]
        low, high = middle - reach, middle + reach
        axes.imshow(shown, cmap=shades, vmin=low, vmax=high, alpha=0.5, interpolation="bilinear", **image)
        if _has_both(grid.z, middle):
            axes.contour(grid.x, grid.y, shown, [middle], **line)
            crossed = True
    return Line2D([], [], color=paper.colours["ink"], linewidth=1.8) if crossed else None


def _within(z: float, otherwise: float = 0.0) -> float:
    """The number, within what matplotlib can reckon with."""
    return min(max(z, -1e300), 1e300) if z == z else otherwise


def _has_both(z: Sequence[Sequence[float]], middle: float) -> bool:
    return any(x > middle for row in z for x in row) and any(x < middle for row in z for x in row)


def plot_confusion(
    matrix: Sequence[Sequence[int]],
    names: Sequence[str] | None = None,
    *,
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot a confusion matrix, as `training.confusion_matrix` counts it: true classes down, predicted ones across.

    `names` are the classes', 0, 1, 2, ... if not given. The shade is the share of a row, so that rare classes are seen
    as well as frequent ones; wrong classifications are framed. Raises `ValueError` for a matrix that is not square or
    is empty, for a count below 0, and for names of another number.

    >>> figure = plot_confusion([[9, 1], [0, 5]], ["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['9', '1', '5']
    """
    size = len(matrix)
    if size == 0 or any(len(row) != size for row in matrix):
        raise ValueError("plot_confusion: the matrix must be square, and have at least one class")
    if any(count < 0 for row in matrix for count in row):
        raise ValueError("plot_confusion: a count is below 0")
    labels = [str(k) for k in range(size)] if names is None else [*names]
    if len(labels) != size:
        raise ValueError(f"plot_confusion: {len(labels)} name(s) for {size} class(es)")
    side = max(4.2, 0.55 * size + 1.2)
    paper = Paper(1, 1, (side + 0.4, side), title, theme)
    (axes,) = paper.axes
    axes.grid(False)
    shares = [[count / (sum(row) or 1) for count in row] for row in matrix]
    axes.imshow(shares, cmap=_shades(paper), vmin=0.0, vmax=1.0, aspect="equal", interpolation="none")
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            if count:
                wrong = {"bbox": {"boxstyle": "round,pad=0.3", "fill": False, "edgecolor": paper.colours["neg"]}}
                look = {"ha": "center", "va": "center", "xytext": (0, 0), **(wrong if i != j else {})}
                paper.write(axes, j, i, str(count), **look)
    paper.ticks(axes, labels)
    paper.ticks(axes, labels, down=True)
    paper.label(axes, x="predicted class", y="true class")
    return paper.finished(save)
