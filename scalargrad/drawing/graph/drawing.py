"""`draw` and `Drawing`: a picture of how a value was computed and of how its gradient comes back.

What is drawn is fixed when `draw` is called; the engine runs when an image is asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ...engine.value import Value
from ...state import whole
from ..common.assets import opened
from ..common.drawing import BaseDrawing, a_text, one_of
from ..common.notebook import InlinePage
from ..page.html import to_html
from ..page.live import Recorded, record
from .columns import lay_out_columns
from .dot import lay_out, to_dot
from .labels import Labels, labels_of
from .layout import Layout, as_laid_out
from .layout_engines import LayoutError, LayoutTimeoutError
from .picture import Picture
from .reading import PictureMaker
from .replay import frames, to_dict
from .selection import Graph, select
from .svg import GraphDrawer
from .words import to_text

LABELS = ("local", "contribution", "full", "none")
SHOWN, MOST_SHOWN = 2.0, 800  # of what a display draws by itself: seconds of an engine; nodes that are put in columns
MOST_VALUES = 10_000  # of a graph that a display draws by itself
DIRECTIONS = ("LR", "RL", "TB", "BT")


class Drawing(BaseDrawing):
    """A picture of a graph: shown by itself in a notebook, saved by suffix, printed as a tree of text.

    Made by `draw(value)` or `value.draw()`. It holds numbers and texts, not the graph.
    """

    picture: Picture

    def __init__(
        self,
        picture: Picture,
        theme: str = "auto",
        time_limit: float = 60.0,
        layout: Layout | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        super().__init__(picture, theme)
        self.recorded = recorded
        self.time_limit = time_limit
        self._layout = layout

    def _drawn(self, theme: str) -> str:
        if self._layout is None:
            self._layout = lay_out(self.picture, self._labels, self.time_limit)
        return self._drawn_on(self._layout, theme)

    @cached_property
    def _labels(self) -> Labels:
        return labels_of(self.picture)

    def _drawn_on(self, layout: Layout, theme: str) -> str:
        picture = as_laid_out(self.picture, layout)
        labels = self._labels if picture is self.picture else labels_of(picture)
        return GraphDrawer(picture, labels, layout, self.prefix, theme).svg()

    def _shown(self) -> str:
        """The SVG in the few seconds that a display has: in columns, where an engine would take longer."""
        try:
            self._layout = self._layout or lay_out(self.picture, self._labels, min(self.time_limit, SHOWN))
        except LayoutTimeoutError:
            if len(self.picture.nodes) > MOST_SHOWN or self.picture.direction not in ("LR", "RL"):
                raise
            return self._drawn_on(lay_out_columns(self.picture, self._labels), self.theme)
        return self.svg()

    def frames(self) -> "list[Drawing]":
        """The backward pass as drawings for print: before it begins, and after each step; all with the same layout.

        Raises `ValueError` before any backward pass, and for a picture in which values are folded into blocks.

        >>> from scalargrad import Value
        >>> x = Value(3.0, label="x")
        >>> y = x * x
        >>> y.backward()
        >>> for frame in draw(y).frames()[1:]:
        ...     print(frame.picture.notes[-1])
        step 1 of 2: v₁ brings x 1 × 3 = +3, path 1 of 2, sum 3
        step 2 of 2: v₁ brings x 1 × 3 = +3, path 2 of 2, sum 6
        """
        pictures = list(frames(self.picture))
        self.svg()
        return [Drawing(each, self.theme, self.time_limit, self._layout) for each in pictures]

    def html(self) -> str:
        """The step-through page: one file without network, which plays both passes over the picture.

        Inputs can be moved in it: every number of the picture follows, by a program that is made of the graph (with
        `functions="polynomial"`, see `compile`). Numbers stay as they are where an operation is one's own, data was
        changed after recording, or there are more than 5,000 values. Raises as `svg()`.
        """
        return to_html(self.picture, self.theme, self.time_limit, self.recorded)

    def show(self) -> Path:
        """Open the step-through page in the browser; return the temporary file that it is in. Raises as `svg()`."""
        return opened(self.html(), "graph.html")

    def page(self, height: int = 720) -> InlinePage:
        """The step-through page in a notebook, in a frame so many pixels high: let a cell end in `y.draw().page()`.

        Raises as `svg()`, and `ValueError` for less than 100 pixels.
        """
        height = whole("page: height", height, 100)
        return InlinePage(self.html(), self.picture.title.strip() or self.picture.name, height)

    def dot(self) -> str:
        """The picture in the DOT language, for any Graphviz; needs no engine."""
        return to_dot(self.picture, self._labels, self.prefix, self.theme == "dark")

    @property
    def source(self) -> str:
        """The same as `dot()`, by the name that the graphviz package gives it."""
        return self.dot()

    def to_dict(self) -> dict[str, Any]:
        """Every number and text of the picture: nodes, edges, groups, and the steps of the backward pass.

        Strings, lists, dicts, numbers, None and bools only; inf and nan are strings that `float()` reads.
        """
        return to_dict(self.picture)

    def text(self) -> str:
        """The picture as a tree of text, which `print` shows; needs no engine."""
        return to_text(self.picture)

    def __repr__(self) -> str:
        return f"<Drawing of {self.picture.name}: {len(self.picture.nodes)} nodes, {len(self.picture.edges)} edges>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture, or the tree of text where no engine is found or it takes too long."""
        try:
            return super()._repr_mimebundle_()
        except LayoutError as error:
            return {"text/plain": f"{self.text()}\n\n{error}"}

    forms = {".svg": BaseDrawing.svg, ".dot": dot, **BaseDrawing.forms}  # noqa: RUF012  # a ClassVar, as in the base


FORMS = Drawing.forms


def draw(
    value: Value | Iterable[Value],
    *,
    labels: str | None = None,
    depth: int | None = None,
    focus: Value | None = None,
    hops: int = 2,
    path: tuple[Value, Value] | None = None,
    collapse: bool | str | Iterable[str] | None = None,
    full: bool = False,
    bodies: bool = False,
    direction: str = "LR",
    title: str = "",
    theme: str = "auto",
    parameters: Any = None,
    groups: Mapping[str, Iterable[Value]] | None = None,
    time_limit: float = 60.0,
    guards: Iterable[Any] = (),
) -> Drawing:
    """Draw how a value was computed, and, after `backward()`, the chain rule: upstream x local on every edge.

    Numbers are those of the moment of the call. `value` can be a list of several results of one computation.

    - `labels`: on edges, `"local"` gradients (the default), the `"contribution"`, both in `"full"`, or `"none"`.
    - `depth`: only values so many operations away from the result.
    - `focus`, `hops`: only what is within so many edges of one value.
    - `path`: `(a, b)`: only what lies between two values, on any way from a to b.
    - `collapse`: groups to fold into one node each: True for all, a name, a pattern such as `"layer*"`, or several;
      False for none.
    - `full`: draw everything, however large. Else a network of more than 25 values shows each neuron as one operation,
      and of layers of more than four those in the middle as one; of more than 60 nodes, the steps that repeat are
      folded between the first and the last; up to 200 nodes are drawn with labels, up to 2,000 without and with groups
      folded, and of a larger graph at most 200, the rest folded into blocks.
    - `bodies`: whether loops, choices, calls and roots, which are one node each, are unfolded: the node shows the graph
      that runs inside, with its numbers at the last step. The step-through page unfolds one by a click or Enter.
    - `direction`: `"LR"`, `"RL"`, `"TB"` or `"BT"`: where the computation runs to. Networks and recurrences that run to
      the right or left stand in columns, and need no engine.
    - `title`: printed above. `theme`: `"light"`, `"dark"`, or `"auto"`, as the page is.
    - `parameters`: values, or anything with `parameters()`: these stand out; other inputs are plain.
    - `groups`: values by name of a group, such as `{"layer1/neuron0": [w, b]}`, besides those recorded under
      `with group(...)`.
    - `time_limit`: seconds that a layout may take.
    - `guards`: comparisons that decided what was computed, as `(left, sign, right)` of values or numbers, such as
      `(x, "<", 1.0)`, and a text if another is to be shown. The step-through page tells when one turns.

    Raises `TypeError` for what is not a `Value`, and `ValueError` for an option out of range, a value that is not part
    of the graph, or a group that it does not have.

    >>> from scalargrad import Value
    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> c = a * b
    >>> c.label = "c"
    >>> c.backward()
    >>> print(draw(c))
    c = a × b = −6   ∂c/∂c = 1
    ├─ a = 2   ∂c/∂a = −3
    └─ b = −3   ∂c/∂b = 2
    """
    _check(labels, direction, depth, hops, time_limit, path, title)
    roots = [value] if isinstance(value, Value) else _values(value, "draw")
    if not roots:
        raise ValueError("draw: got no value at all")
    if parameters is not None:
        own = getattr(parameters, "parameters", None)
        parameters = _values(own() if callable(own) else parameters, "draw: parameters")
    graph = Graph(roots)
    shown = select(graph, depth=depth, focus=focus, hops=hops, path=path, collapse=collapse, groups=groups, full=full)
    picture = PictureMaker(
        graph, shown, labels=labels, direction=direction, title=title, parameters=parameters, bodies=bodies
    ).picture()
    return Drawing(picture, theme, time_limit, recorded=record(graph, shown.drawn_with(), guards))


def _check(labels: Any, direction: Any, depth: Any, hops: Any, time_limit: float, path: Any, title: Any) -> None:
    """See that options are in their ranges."""
    one_of("draw: labels", LABELS[0] if labels is None else labels, LABELS)
    one_of("draw: direction", direction, DIRECTIONS)
    depth, hops = None if depth is None else whole("draw: depth", depth, 0), whole("draw: hops", hops, 0)
    if not time_limit > 0.0:
        raise ValueError(f"draw: time_limit is in seconds and positive, got {time_limit!r}")
    if path is not None and (not isinstance(path, Sequence) or len(path) != 2):
        raise ValueError(f"draw: path takes two values, (from, to), got {path!r}")
    a_text("draw: title", title)


def _values(given: Any, what: str) -> list[Value]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{what}: expected a Value or several, got {type(given).__name__}")
    found = list(given)
    for k, v in enumerate(found):
        if not isinstance(v, Value):
            raise TypeError(f"{what}: expected Values, got {type(v).__name__} at position {k}")
    return found


def display(value: Value, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """What a notebook shows for a value: its picture; for an input or constant, and for a large graph, only text."""
    if not value.parents:
        return {"text/plain": repr(value)}
    if _is_large(value):
        hint = f"computed from more than {MOST_VALUES:,} values: its draw() draws them, folded"
        return {"text/plain": f"{value!r}\n{hint}"}
    shown = draw(value)._repr_mimebundle_()
    return {**shown, "text/plain": repr(value)} if "image/svg+xml" in shown else shown


def _is_large(value: Value) -> bool:
    seen, rim = {value}, [value]
    while rim and len(seen) <= MOST_VALUES:
        rim = [p for p in dict.fromkeys(p for v in rim for p in v.parents) if p not in seen]
        seen.update(rim)
    return len(seen) > MOST_VALUES
