"""Plots of curves, drawn with matplotlib: functions, fits, training, effective rates, gradients by layer.

Each returns its `Figure`, and writes it to a file with `save="name.png"`. The numbers come from `numbers.py`, or are
computed by it where a function is given. Curves differ in dashes and markers as well as in colour. All take `title`,
`theme` (`"light"` or `"dark"`) and `save`, a path whose suffix matplotlib knows (.png, .svg, .pdf, ...).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from .canvas import Paper, Path, broken_at_jumps, by_name
from .numbers import LayerGradient, Samples, Trajectory, sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_function(
    f: Any,
    low: float = -5.0,
    high: float = 5.0,
    n: int = 401,
    *,
    ylim: tuple[float, float] | None = None,
    x: str = "x",
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot a function of one number with its derivative: the function blue, the derivative yellow and dashed.

    `f` is a function, `Samples` of one, or several of either in a dict by name, side by side. The derivative is the
    engine's. Where a value is not finite, or jumps, the curve has a gap; `x` names the variable. Raises as
    `sample` does.

    >>> from scalargrad import tanh
    >>> figure = plot_function(tanh, -3, 3)
    >>> [line.get_color() for line in figure.axes[0].lines[-2:]]
    ['#2563eb', '#b28c00']
    """
    if isinstance(f, Mapping):
        named = {str(name): each for name, each in f.items()}
    else:
        named = {"f" if getattr(f, "__name__", "<lambda>") == "<lambda>" else f.__name__: f}
    if not named:
        raise ValueError("plot_function: nothing to plot")
    sampled = {name: each if isinstance(each, Samples) else sample(each, low, high, n) for name, each in named.items()}
    columns = min(len(sampled), 3)
    rows = -(-len(sampled) // columns)
    paper = Paper(len(sampled), columns, (max(3.6 * columns, 6.0), max(3.0 * rows, 3.8)), title, theme)
    c = paper.colours
    for axes, (name, each) in zip(paper.axes, sampled.items(), strict=False):
        axes.axhline(0.0, color=c["muted"], linewidth=0.8)
        if each.x[0] < 0.0 < each.x[-1]:
            axes.axvline(0.0, color=c["muted"], linewidth=0.8)
        short = name if len(name) <= 12 else "f"
        value, slope = broken_at_jumps(each.y), broken_at_jumps(each.slope)
        paper.curve(axes, f"{short}({x})", each.x, value, color=c["function"], linewidth=2.4)
        dashed = {"color": c["derivative"], "linewidth": 2.4, "linestyle": (0, (5, 1.6))}
        paper.curve(axes, f"{short}′({x})", each.x, slope, **dashed)
        if ylim is not None:
            axes.set_ylim(*ylim)
        axes.margins(x=0.0)
        paper.label(axes, x=x, title=name if len(sampled) > 1 else "")
        paper.legend(axes)
    return paper.finished(save)


Series = tuple[Sequence[float], Sequence[float]]


def plot_fit(
    curves: Mapping[str, Series],
    points: Mapping[str, Series] | None = None,
    *,
    x: str = "x",
    y: str = "y",
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot curves of a model, and as markers the measurements that it is to meet.

    `curves` and `points` are pairs of x and y by name, at most eight in all; points have the colour of the curve of the
    same name, if there is one. `x` and `y` name the axes; where all was measured at whole numbers, the x axis counts in
    such. Where a value is not finite, a curve has a gap. Raises `ValueError` for nothing to plot, and for a pair of
    lists that are not of the same length.

    >>> figure = plot_fit({"line": ([0, 1, 2], [0, 1, 2])}, {"line": ([0, 2], [0.1, 1.8])})
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['line', 'line, measured']
    """
    measured = dict(points or {})
    every = [*curves, *(name for name in measured if name not in curves)]
    by_name("plot_fit", {**dict.fromkeys(every, ()), **curves, **measured}, (list, tuple), "")
    for name, (xs, ys) in [*curves.items(), *measured.items()]:
        if len(xs) != len(ys):
            raise ValueError(f"plot_fit: {name!r} has {len(xs)} number(s) along x but {len(ys)} along y")
    paper = Paper(1, 1, (7.6, 4.2), title, theme)
    (axes,) = paper.axes
    for k, name in enumerate(every):
        look = paper.look(k)
        if name in curves:
            line = {"color": look["color"], "linestyle": look["linestyle"], "linewidth": 2.0}
            paper.curve(axes, name, *curves[name], **line)
        if name in measured:
            mark = {"color": look["color"], "marker": look["marker"], "markersize": 6.0, "linestyle": "none"}
            paper.curve(axes, f"{name}, measured" if name in curves else name, *measured[name], **mark)
    if measured and all(float(each).is_integer() for xs, _ in measured.values() for each in xs if isfinite(each)):
        paper.whole(axes)  # years have no halves
    paper.label(axes, x=x, y=y)
    paper.legend(axes)
    return paper.finished(save)


def plot_history(
    history: Any,
    columns: Sequence[str] | None = None,
    *,
    log: bool = False,
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot how training went, epoch by epoch: the columns of a `History` (or of a dict of lists).

    - `columns`: which; all losses if not given. `log`: a logarithmic axis.

    The best epoch, if the history knows one, is marked. Raises `ValueError` for a column that is not there, for more
    than eight, and for a history without an epoch.

    >>> figure = plot_history({"loss": [1.0, 0.5, 0.25], "validation_loss": [1.2, 0.7, 0.6], "rate": [0.1, 0.1, 0.1]})
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['loss', 'validation_loss']
    """
    known = dict(getattr(history, "columns", history))
    chosen = [name for name in known if "loss" in name] if columns is None else [*columns]
    for name in chosen:
        if name not in known:
            raise ValueError(f"plot_history: no column {name!r}; there are {', '.join(map(str, known)) or 'none'}")
    if not chosen or not any(len(known[name]) for name in chosen):
        raise ValueError("plot_history: there is no epoch to plot")
    by_name("plot_history", {name: known[name] for name in chosen}, (list, tuple), "")
    paper = Paper(1, 1, (7.0, 4.2), title, theme)
    (axes,) = paper.axes
    for k, name in enumerate(chosen):
        count = len(known[name])
        paper.curve(axes, str(name), range(1, count + 1), known[name], **paper.look(k, sparse=count > 40))
    if log:
        axes.set_yscale("log")
    best = getattr(history, "best_epoch", None)
    if best is not None:
        axes.axvline(best + 1, color=paper.colours["muted"], linewidth=1.0, linestyle=(0, (2, 2)))
        paper.write(axes, best + 1, 1.0, f"best: epoch {best + 1}", xycoords=axes.get_xaxis_transform())
    paper.whole(axes)
    paper.label(axes, x="epoch", y=chosen[0] if len(chosen) == 1 else "loss" if columns is None else "")
    paper.legend(axes)
    return paper.finished(save)


def plot_rates(
    ways: Trajectory | Mapping[str, Trajectory],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot effective learning rates over time, a plot for each coordinate: how far it moved, over its gradient's size.

    `ways` is a `Trajectory`, or several in a dict by name; `names` are the coordinates', x1, x2, ... if not given.
    Where a gradient is zero there is a gap. Raises `ValueError` for ways of different or more than six dimensions, and
    for ways without a step.

    >>> from scalargrad.optim import AdaGrad
    >>> from scalargrad.plots import trajectory
    >>> way = trajectory(lambda ps: AdaGrad(ps, lr=0.5), lambda x: x * x, [4.0], 20)
    >>> plot_rates(way).axes[0].get_yscale()
    'log'
    """
    named = by_name("plot_rates", ways, Trajectory, "effective rate")
    sizes = {len(way.points[0]) for way in named.values()}
    if len(sizes) != 1 or (size := sizes.pop()) > 6:
        raise ValueError("plot_rates: the ways must have the same number of coordinates, at most 6")
    if not any(way.rates for way in named.values()):
        raise ValueError("plot_rates: there is no step to plot")
    titles = [f"x{k}" for k in range(1, size + 1)] if names is None else [*names]
    if len(titles) != size:
        raise ValueError(f"plot_rates: {len(titles)} name(s) for {size} coordinate(s)")
    columns = min(size, 3)
    paper = Paper(size, columns, (max(4.0 * columns, 6.0), 3.8 * -(-size // columns)), title, theme)
    for i, axes in enumerate(paper.axes):
        for k, (name, way) in enumerate(named.items()):
            rates = [each[i] if each[i] > 0.0 else inf for each in way.rates]
            paper.curve(axes, name, range(1, len(rates) + 1), rates, **paper.look(k, sparse=len(rates) > 40))
        axes.set_yscale("log", nonpositive="mask")
        paper.whole(axes)
        paper.label(axes, x="step", y="effective rate" if i % columns == 0 else "", title=titles[i] if size > 1 else "")
        if i == 0 and (len(named) > 1 or isinstance(ways, Mapping)):
            paper.legend(axes)
    return paper.finished(save)


def plot_gradients(
    layers: Sequence[LayerGradient] | Mapping[str, Sequence[LayerGradient]],
    *,
    measure: str = "norm",
    title: str = "",
    theme: str = "light",
    save: Path = None,
) -> Figure:
    """Plot gradients by layer, from the inputs on: the list of `gradients_by_layer`, or several in a dict by name.

    `measure` is `"norm"`, `"rms"` or `"largest"`. The axis is logarithmic; a gradient of zero, which it has no place
    for, stands at its lower end as "0". Raises `ValueError` for an unknown measure, and for networks of different
    layers.

    >>> from scalargrad.nn import MLP
    >>> from scalargrad.plots import gradients_by_layer
    >>> model = MLP(1, [2, 2, 1], "sigmoid")
    >>> figure = plot_gradients(gradients_by_layer(model, lambda model: model([1.0])))
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['layer1', 'layer2', 'layer3']
    """
    named = by_name("plot_gradients", layers, (list, tuple), "gradient")
    if measure not in ("norm", "rms", "largest"):
        raise ValueError(f"plot_gradients: measure={measure!r} is none of 'norm', 'rms', 'largest'")
    names = [each.name for each in next(iter(named.values()))]
    for key, each in named.items():
        if [layer.name for layer in each] != names or not names:
            raise ValueError(f"plot_gradients: {key!r} has other layers than the first network, or none")
    numbers = {key: [float(getattr(layer, measure)) for layer in each] for key, each in named.items()}
    positive = [x for each in numbers.values() for x in each if 0.0 < x < inf]
    floor = min(positive, default=1.0) / 10.0
    paper = Paper(1, 1, (max(5.0, 0.75 * len(names) + 2.5), 4.2), title, theme)
    (axes,) = paper.axes
    for k, (name, each) in enumerate(numbers.items()):
        paper.curve(axes, name, range(len(each)), [x if x else floor for x in each], **paper.look(k))
        for i, x in enumerate(each):
            if x == 0.0:
                paper.write(axes, i, floor, "0")
    axes.set_yscale("log")
    paper.ticks(axes, names)
    said = {"norm": "norm of the gradient", "rms": "root mean square of the gradient", "largest": "largest |gradient|"}
    paper.label(axes, y=said[measure])
    if isinstance(layers, Mapping):
        paper.legend(axes)
    return paper.finished(save)
