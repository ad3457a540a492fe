"""`draw_change`: the same graph, or the same network, before and after a training step, and what changed.

A drawing holds plain numbers: two of them are compared number by number.
"""

from collections.abc import Callable
from typing import Any

from ..common.text import Changed, clean, number, plain, signed
from ..graph.drawing import Drawing
from ..graph.picture import Picture
from .drawing import NetworkDrawing


def draw_change(before: Any, after: Any, *, title: str = "", theme: str | None = None) -> Drawing | NetworkDrawing:
    """Draw what changed between two drawings of the same thing: every number as old → new, with an arrow up or down.

    - `before`, `after`: two drawings by `draw` of the same computation, recorded twice; or two by `draw_network` of the
      same network. Draw once, take a training step, run the forward and backward pass again, and draw again.
    - `title`: printed above; without one, the later drawing's. `theme`: as in `draw`; without one, the later drawing's.

    In a graph, values and gradients show old and new. In a network, lines are as wide as the weight's change, solid
    where it went up, dashed where it went down. Raises `TypeError` for what are not two drawings of one kind,
    `ValueError` where they are not of the same computation, saying where they differ.

    >>> from scalargrad import Value, draw
    >>> from scalargrad.optim import SGD
    >>> w = Value(2.0, label="w")
    >>> def loss():
    ...     w.zero_grad(); y = w * w; y.label = "L"; y.backward(); return y
    >>> before = draw(loss()); SGD([w], lr=0.25).step()
    >>> print(draw_change(before, draw(loss())))
    L = w × w = 4 → 1 ↓   ∂L/∂L = 1
    ├─ w = 2 → 1 ↓   ∂L/∂w = 4 → 2 ↓
    └─ w = 2 → 1 ↓   ∂L/∂w = 4 → 2 ↓
    what changed: L 4 → 1 ↓ (−3)
    """
    if isinstance(before, NetworkDrawing) and isinstance(after, NetworkDrawing):
        return _network(before, after, title or after.picture.title, theme or after.theme)
    if isinstance(before, Drawing) and isinstance(after, Drawing):
        picture = _picture(before.picture, after.picture, title or after.picture.title)
        return ChangeDrawing(picture, theme or after.theme, after.time_limit)
    raise TypeError(
        "draw_change: expected two drawings, both by draw() or both by draw_network(), "
        f"got {type(before).__name__} and {type(after).__name__}"
    )


class ChangeDrawing(Drawing):
    """A graph with what changed in it."""

    def to_dict(self) -> dict[str, Any]:
        """As a drawing's; every node also has `before`, with the value and gradient that it had."""
        made = super().to_dict()
        for node, written in zip(self.picture.nodes, made["nodes"], strict=True):
            written["before"] = {key: _before(getattr(node, key)) for key in ("value", "gradient")}
        return made


def _before(x: Any) -> Any:
    return plain(x.before if isinstance(x, Changed) else x)


def _changed(old: float | None, new: float | None) -> float | None:
    return Changed(new, old) if old is not None and new is not None and repr(float(new)) != repr(float(old)) else new


def _picture(before: Picture, after: Picture, title: str) -> Picture:
    _same("values", before.nodes, after.nodes, lambda n: (n.id, n.kind, n.label, n.operation), lambda n: n.name)
    _same("edges", before.edges, after.edges, lambda e: (e.id, e.source, e.target), lambda e: e.id)
    nodes = [
        new._replace(
            value=_changed(old.value, new.value),
            gradient=_changed(old.gradient, new.gradient),
            parts=tuple((name, _changed(a, b) or b) for (_, a), (name, b) in zip(old.parts, new.parts, strict=True)),
        )
        for old, new in zip(before.nodes, after.nodes, strict=True)
    ]
    changes = [
        f"{n.name} {number(n.value)} ({signed(n.value - n.value.before)})"
        for n in nodes
        if n.is_root and isinstance(n.value, Changed)
    ]
    count = sum(isinstance(n.value, Changed) for n in nodes)
    note = f"what changed: {', '.join(changes)}" if changes else f"{count:,} of {len(nodes):,} values changed"
    description = f"{after.description} {note[0].upper()}{note[1:]}."
    return after._replace(title=title, nodes=tuple(nodes), notes=(*after.notes, note), description=description)


def _network(before: NetworkDrawing, after: NetworkDrawing, title: str, theme: str) -> NetworkDrawing:
    old, new = before.picture, after.picture
    _same("layers", old.stages, new.stages, lambda s: (s.name, s.activation, len(s.units)), lambda s: s.name)
    _same("parameters", list(old.parameters()), list(new.parameters()), lambda p: p.label, lambda p: p.label)
    values = {id(p): q.value for p, q in zip(new.parameters(), old.parameters(), strict=True)}

    def compared(p: Any) -> Any:
        return p and p._replace(before=values[id(p)])

    stages = [
        stage._replace(
            units=tuple(
                [u._replace(weights=tuple(map(compared, u.weights)), bias=compared(u.bias)) for u in stage.units]
            )
        )
        for stage in new.stages
    ]
    made = new._replace(stages=tuple(stages), title=title, compared=True)
    ps = list(made.parameters())
    up, down = sum(p.shown > 0.0 for p in ps), sum(p.shown < 0.0 for p in ps)
    note = f"{up:,} of {len(ps):,} parameters went up, {down:,} down"
    moved = max((p for p in ps if p.shown == p.shown), key=lambda p: abs(p.shown), default=None)
    if moved is not None and moved.shown:
        note += f"; most of all {clean(moved.label)}: {number(moved.now)} ({signed(moved.shown)})"
    heading = clean(title) if title.strip() else f"{new.heading}: what changed"
    return NetworkDrawing(
        made._replace(notes=(*new.notes, note), heading=heading, description=f"{new.description} {note}."), theme
    )


def _same(what: str, old: Any, new: Any, identity: Callable[[Any], Any], name: Callable[[Any], str]) -> None:
    """See that two lists are of the same things."""
    if len(old) != len(new):
        raise ValueError(f"draw_change: {len(old):,} {what} before, {len(new):,} after: not the same computation")
    for a, b in zip(old, new, strict=True):
        if identity(a) != identity(b):
            raise ValueError(
                f"draw_change: {clean(name(a))!r} before is {clean(name(b))!r} after, of another kind or place: "
                "not the same computation"
            )
