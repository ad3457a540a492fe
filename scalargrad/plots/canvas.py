"""The paper that plots are drawn on: matplotlib's figures, by its object interface, with fonts and colours of our own;
and what every plot begins with: things by name, and curves with gaps.

Matplotlib is imported when the first plot is made. Nothing here touches its global state: no pyplot, no rcParams.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from itertools import pairwise
from math import isfinite
from textwrap import fill
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Path = str | os.PathLike[str] | None
MOST = 8  # series in one plot: so many can be distinguished
# Yellow on white cannot be read: pure yellow has a contrast of 1.07 : 1 there, gold (#ffd700) of 1.4. This dark gold is
# the most yellow of hue 47° that reaches the 3 : 1 that WCAG 2 asks of lines (success criterion 1.4.11). On the dark
# page yellow may be yellow.
LIGHT = {
    "page": "#ffffff", "ink": "#18181b", "muted": "#55555e", "grid": "#e4e4e7",
    "function": "#2563eb", "derivative": "#b28c00", "pos": "#2563eb", "neg": "#e0561a",
}  # fmt: skip
DARK = {
    "page": "#15171c", "ink": "#ececef", "muted": "#b4b4c0", "grid": "#31353e",
    "function": "#6ea8ff", "derivative": "#facc15", "pos": "#6ea8ff", "neg": "#ff9350",
}  # fmt: skip
SERIES = (
    ("#2563eb", "#d9480f", "#15803d", "#9333ea", "#be185d", "#0e7490", "#8a6d00", "#52525b"),
    ("#6ea8ff", "#ff9350", "#4ade80", "#c084fc", "#f472b6", "#22d3ee", "#facc15", "#b4b4c0"),
)
TITLE = 200  # letters of a title
LETTERS = 8.0  # of it on an inch
NAME = 28  # letters of a name in a legend or along an axis
MARKERS = "os^DvPX*"  # beside the colours: never colour alone
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (6, 2, 1.5, 2)), (0, (1.5, 1.5)), (0, (9, 3)), (0, (4, 2, 1, 2, 1, 2)))

# Letters first; then whatever has Korean, Chinese or Japanese, for glyphs that those before do not have.
_FAMILIES = (
    "Arial", "Liberation Sans", "DejaVu Sans",
    "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic",
    "Source Han Sans KR", "NanumBarunGothic", "UnDotum", "Baekmuk Gulim", "Noto Sans CJK JP", "Noto Sans CJK SC",
    "Hiragino Sans", "Yu Gothic", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei", "Arial Unicode MS",
    "Noto Sans Symbols 2", "Segoe UI Symbol",
)  # fmt: skip


def families() -> list[str]:
    """The fonts to take letters from, in this order: of those that are installed, as matplotlib complains of others."""
    try:
        from matplotlib import font_manager
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _FAMILIES if name in installed]


@contextmanager
def _quiet() -> Iterator[None]:
    """Letters that no installed font has become boxes, which everybody sees; a warning for each would bury the rest."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", r"Matplotlib currently does not support .* natively", UserWarning)
        yield


@cache
def figure_class() -> type[Figure]:
    """A matplotlib figure that shows itself in a notebook, and draws letters of any script without a warning."""
    from matplotlib.figure import Figure

    class PlotFigure(Figure):
        def draw(self, renderer: Any) -> None:
            with _quiet():
                super().draw(renderer)

        def _repr_png_(self) -> bytes:
            file = BytesIO()
            self.savefig(file, format="png", dpi=144)
            return file.getvalue()

    return PlotFigure


class Paper:
    """A new figure with so many axes, in columns, and the ways to write on them."""

    def __init__(self, count: int, columns: int, size: tuple[float, float], title: str, theme: str) -> None:
        if theme not in ("light", "dark"):
            raise ValueError(f"plot: theme={theme!r} is none of 'light', 'dark'")
        if not isinstance(title, str):
            raise TypeError(f"plot: title takes a str, got {type(title).__name__}")
        self.is_dark = theme == "dark"
        self.colours = DARK if self.is_dark else LIGHT
        self.series, self.markers, self.dashes = SERIES[self.is_dark], MARKERS, DASHES
        self.fonts = families()
        self.figure = figure_class()(figsize=size, layout="constrained", facecolor=self.colours["page"])
        grid = self.figure.subplots(-(-count // columns), columns, squeeze=False)
        self.axes: list[Axes] = list(grid.flat[:count])
        for axes in grid.flat[count:]:
            axes.set_visible(False)
        self.names: list[tuple[Any, Axes]] = []  # titles of axes
        self.entries: dict[Axes, list[tuple[Any, str]]] = {axes: [] for axes in self.axes}  # of legends: what is what
        for axes in self.axes:
            self._dress(axes)
        self.title = self.figure.suptitle("", fontsize=14, fontweight="bold") if title.strip() else None
        if self.title is not None:
            shown = fill(" ".join(plain(title, TITLE).split()), int(LETTERS * size[0]))
            self._say(self.title, shown, "ink", 2 * TITLE)

    def _dress(self, axes: Axes) -> None:
        c = self.colours
        axes.set_facecolor(c["page"])
        axes.set_axisbelow(True)
        axes.grid(color=c["grid"], linewidth=0.8)
        axes.tick_params(which="both", colors=c["muted"], labelfontfamily=self.fonts, labelsize=9.5)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(c["muted"])

    def _say(self, text: Any, words: str, colour: str, limit: int = 60) -> None:
        """Put words into a text as they are: a dollar sign is no formula, and no character breaks the drawing."""
        text.set_parse_math(False)
        text.set_text(plain(words, limit))
        text.set_color(self.colours[colour])
        text.set_fontfamily(self.fonts)

    def look(self, k: int, sparse: bool = False) -> dict[str, Any]:
        """How the k-th curve differs from the others."""
        return {
            "color": self.series[k], "linestyle": self.dashes[k % len(self.dashes)], "linewidth": 2.0,
            "marker": self.markers[k], "markersize": 4.5, "markevery": 0.1 if sparse else None,
        }  # fmt: skip

    def label(self, axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
        """Name the axes, and what is on them."""
        for text, words in ((axes.xaxis.label, x), (axes.yaxis.label, y)):
            self._say(text, words, "muted")
            text.set_fontsize(10.5)
        if title:
            self.names.append((axes.set_title("", fontsize=11.5, loc="left"), axes))
            self._say(self.names[-1][0], title, "ink", NAME)

    def whole(self, axes: Axes) -> None:
        """Count along the x axis in whole numbers."""
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))

    def write(self, axes: Axes, x: float, y: float, words: str, **options: Any) -> None:
        """Write above a point."""
        options = {"ha": "center", "fontsize": 9.5, "xytext": (0, 4), **options}
        written = axes.annotate("", (x, y), textcoords="offset points", **options)
        self._say(written, words, "ink")

    def curve(self, axes: Axes, name: str, x: Sequence[float], y: Sequence[float], **look: Any) -> None:
        """Draw a curve, with gaps where it is not finite, that the legend knows by a name."""
        self.entries[axes] += [(line, name) for line in axes.plot(x, with_gaps(y), **look)]

    def legend(self, axes: Axes, outside: bool = False) -> None:
        """Tell what is what: beside the axes, or in them where there is room."""
        handles, names = zip(*self.entries[axes], strict=True)
        points = sum(len(line.get_path()) for line in axes.lines)
        options: dict[str, Any] = {"loc": "best" if points < 4000 else "upper right"}  # looking for room takes time
        if outside:
            options = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
        legend = axes.legend(handles, [str(k) for k in range(len(names))], fontsize=9.5, **options)
        legend.get_frame().set(facecolor=self.colours["page"], edgecolor=self.colours["grid"], alpha=0.9)
        for text, name in zip(legend.get_texts(), names, strict=True):
            self._say(text, name, "ink", NAME)

    def ticks(self, axes: Axes, names: Sequence[str], down: bool = False) -> None:
        """Names instead of numbers along the x axis, or down the y axis, at 0, 1, 2, ..."""
        axis = axes.yaxis if down else axes.xaxis
        axis.set_ticks(range(len(names)), [plain(name, NAME) for name in names])
        for text in axis.get_ticklabels():
            text.set_parse_math(False)

    def _fit(self) -> None:
        """Make titles and names of axes smaller where they are longer than what they stand beside, in whatever font."""
        with _quiet():
            self.figure.draw_without_rendering()
        texts = [(text, axes.bbox.width) for text, axes in self.names]
        if self.title is not None:
            texts.append((self.title, 0.97 * self.figure.bbox.width))
        for axes in self.axes:
            texts += [(axes.xaxis.label, axes.bbox.width), (axes.yaxis.label, axes.bbox.height)]
        for text, room in texts:
            extent = text.get_window_extent()
            long = extent.height if text.get_rotation() == 90.0 else extent.width
            if long > room:
                text.set_fontsize(text.get_fontsize() * room / long)

    def finished(self, save: Path) -> Figure:
        """The figure, written to a file if one is named."""
        self._fit()
        if save is not None:
            self.figure.savefig(save, dpi=144)
        return self.figure


def plain(words: str, limit: int) -> str:
    """Words without control characters and lone surrogates, and not endless."""
    short = words if len(words) <= limit else words[: limit - 1] + "…"
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in short)


def by_name(what: str, given: Any, kind: type | tuple[type, ...], otherwise: str) -> dict[str, Any]:
    """One thing, or several by name, as a dict."""
    named = dict(given) if isinstance(given, Mapping) else {otherwise: given}
    if not named:
        raise ValueError(f"{what}: nothing to plot")
    if len(named) > MOST:
        raise ValueError(f"{what}: {len(named)} series; at most {MOST} can be distinguished in one plot")
    for name, each in named.items():
        if not isinstance(each, kind):
            kinds = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
            raise TypeError(f"{what}: expected {kinds}, got {type(each).__name__} for {name!r}")
    return {str(name): each for name, each in named.items()}


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
