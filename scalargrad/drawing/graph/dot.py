"""The picture in the DOT language: with all its texts, for people and for any Graphviz; bare boxes, to be laid out.

The bare form asks an engine for places only, of boxes whose sizes are ours. So no engine's idea of a font's widths, of
tables or of markup can spoil a picture, and a layout takes the least time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..common.style import COLOURS, SCALE, scale_colour
from ..common.text import clean, shortened, width, xml
from .labels import HEADER, ROW, SMALL, Labels, NodeLabel
from .picture import Node, Picture
from .styles import edge_widths
from .tooltips import edge_tooltip, node_tooltip

if TYPE_CHECKING:
    from graphviz import Digraph  # type: ignore[import-untyped]

FONT = "Helvetica"


def to_dot(picture: Picture, labels: Labels, prefix: str, dark: bool = False) -> str:
    """The whole picture as DOT, with HTML-like labels."""
    graph = _graph(picture)
    ink, muted = COLOURS["ink"][dark], COLOURS["muted"][dark]
    caption = _caption(picture, dark)
    graph.attr("graph", bgcolor=COLOURS["page"][dark], fontname=FONT, fontcolor=ink, fontsize=str(ROW), pad="0.2")
    graph.attr("node", shape="plain", fontname=FONT, fontcolor=ink, fontsize=str(ROW))
    graph.attr("edge", fontname=FONT, fontcolor=ink, fontsize=str(SMALL), arrowsize="0.7")
    if caption:
        graph.attr("graph", label=caption, labelloc="t" if picture.title else "b", labeljust="l")
    widths = edge_widths(picture)
    names = {n.id: n.name for n in picture.nodes}

    def node(into: Digraph, each: Node) -> None:
        into.node(
            each.id,
            id=f"{prefix}-{each.id}",
            label=_table(labels.nodes[each.id], each.kind, dark),
            tooltip=_tooltip(node_tooltip(each)),
        )

    def cluster(path: str) -> dict[str, str]:
        name = clean(shortened(path.rpartition("/")[2], 40))
        return {
            "label": f"<{_text(name)}>",
            "style": "rounded,filled",
            "fillcolor": COLOURS["group"][dark],
            "color": COLOURS["line"][dark],
            "fontcolor": muted,
            "labeljust": "l",
        }

    _nested(graph, picture, prefix, node, cluster)
    for edge in picture.edges:
        lines, sign, _, _, style = labels.edges[edge.id]
        label = {}
        if lines:
            runs = [_run(text, kind, dark) for text, kind in lines]
            runs[0] += _run(sign, style, dark, bold=True) if sign else ""
            rows = "".join(f"<TR><TD>{run}</TD></TR>" for run in runs)
            label["label"] = f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>>'
        graph.edge(
            edge.source,
            edge.target,
            id=f"{prefix}-{edge.id}",
            tooltip=_tooltip(edge_tooltip(edge, names[edge.source], names[edge.target])),
            color=_colour(style, dark),
            penwidth=str(widths[edge.id]),
            style="dotted" if style == "zero" else "solid",
            **label,
        )
    return str(graph.source)


def to_boxes(picture: Picture, labels: Labels) -> str:
    """The picture's boxes and edges as DOT, every size fixed, no text at all."""
    graph = _graph(picture)
    graph.attr("node", shape="box", label="", fixedsize="true", margin="0")
    graph.attr("edge", arrowsize="0.7")

    def node(into: Any, each: Node) -> None:
        made = labels.nodes[each.id]
        into.node(each.id, width=f"{made.width / 72.0:.4f}", height=f"{made.height / 72.0:.4f}")

    def cluster(path: str) -> dict[str, str]:
        name = clean(shortened(path.rpartition("/")[2], 40))
        return {"label": _box(width(name, SMALL) + 12.0, 16.0), "labeljust": "l"}

    _nested(graph, picture, "", node, cluster)
    for edge in picture.edges:
        made = labels.edges[edge.id]
        label = {"label": _box(made.width, made.height)} if made.lines else {}
        graph.edge(edge.source, edge.target, id=edge.id, **label)
    return str(graph.source)


def _graph(picture: Picture) -> Digraph:
    from graphviz import Digraph

    graph = Digraph("scalargrad")
    dense = len(picture.edges) / max(len(picture.nodes), 1)  # many edges need room to be told apart
    apart = (0.42 if picture.labels == "none" else 0.3) + min(0.06 * max(dense - 2.0, 0.0), 1.2)
    graph.attr("graph", rankdir=picture.direction, nodesep="0.22", ranksep=f"{apart:.2f}")
    return graph


def _nested(graph: Digraph, picture: Picture, prefix: str, node: Any, cluster: Any) -> None:
    """Add the nodes, those of a group inside its cluster. Clusters are built from the innermost out."""
    members: dict[str, list[Node]] = {}
    for each in picture.nodes:
        members.setdefault(each.group, []).append(each)
    for each in members.get("", ()):
        node(graph, each)
    made: dict[str, Digraph] = {}
    for k, path in sorted(enumerate(picture.groups), key=lambda each: -each[1].count("/")):
        inner = type(graph)(f"cluster_{k + 1}")
        inner.attr("graph", id=f"{prefix}-c{k + 1}", **cluster(path))
        for each in members.get(path, ()):
            node(inner, each)
        for other in [other for other in made if other.rpartition("/")[0] == path]:
            inner.subgraph(made.pop(other))
        made[path] = inner
    for inner in made.values():
        graph.subgraph(inner)


def _text(text: str) -> str:
    """Text for an HTML-like label. A backslash stands alone, as with the letter behind it, it could be an escape."""
    return xml(text).replace("\\", "<FONT>&#92;</FONT>")


def _tooltip(text: str) -> str:
    return xml(text).replace("\\", "\\\\").replace("\n", "&#10;")


def _box(wide: float, high: float) -> str:
    return (
        f'<<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0" FIXEDSIZE="TRUE" '
        f'WIDTH="{wide:.0f}" HEIGHT="{high:.0f}"><TR><TD></TD></TR></TABLE>>'
    )


def _colour(kind: str, dark: bool) -> str:
    return COLOURS[{"zero": "line", "none": "line", "constant": "line", "mixed": "muted"}.get(kind, kind)][dark]


def _run(text: str, kind: str, dark: bool, bold: bool = False) -> str:
    names = {"": "ink", "pos": "pos text", "neg": "neg text", "bad": "bad text", "ink": "ink"}
    colour = COLOURS[names.get(kind, "muted")][dark]
    inner = f"<B>{_text(text)}</B>" if bold else _text(text)
    return f'<FONT COLOR="{colour}">{inner}</FONT>'


def _table(made: NodeLabel, kind: str, dark: bool) -> str:
    if kind == "constant":
        return f'<<FONT POINT-SIZE="{SMALL}" COLOR="{COLOURS["muted"][dark]}">{_text(made.name)}</FONT>>'
    style, fill = made.style, COLOURS["plain"][dark] if made.scale is None else scale_colour(made.scale, dark)
    border = "3" if style == "exploding" else "2" if kind == "parameter" else "1"
    colour = COLOURS["bad" if style == "bad" else "leaf" if kind == "parameter" else "line"][dark]
    outline = "ROUNDED,DASHED" if style == "vanishing" else "ROUNDED"
    header = f'<FONT POINT-SIZE="{HEADER}"><B>{_text(made.name)}</B>{_text(made.rest)}</FONT>'
    rows = [f'<TR><TD ALIGN="LEFT" COLSPAN="2">{header}</TD></TR>']
    for row in made.rows:
        if row.rule:
            rows.append("<HR/>")
        key = _run(row.key, "muted", dark)
        rows.append(f'<TR><TD ALIGN="LEFT">{key}</TD><TD ALIGN="RIGHT">{_run(row.text, row.kind, dark)}</TD></TR>')
    return (
        f'<<TABLE STYLE="{outline}" BORDER="{border}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" COLOR="{colour}" '
        f'BGCOLOR="{fill}">{"".join(rows)}</TABLE>>'
    )


def _caption(picture: Picture, dark: bool) -> str:
    rows: list[str] = []
    if picture.title:
        rows.append(f'<FONT POINT-SIZE="16"><B>{_text(clean(shortened(picture.title, 120)))}</B></FONT>')
    if picture.has_gradients:
        rows.append(
            _run("|gradient|  10⁻⁶ ", "muted", dark)
            + "".join(f'<FONT COLOR="{scale_colour(k, dark)}">■</FONT>' for k in SCALE)
            + _run(" 10³     contribution ", "muted", dark)
            + _run("(+) ", "pos", dark)
            + _run("(−)", "neg", dark)
        )
    rows += [_run(note, "muted", dark) for note in picture.notes]
    return _stacked(rows) if rows else ""


def _stacked(rows: Iterable[str]) -> str:
    cells = "".join(f'<TR><TD ALIGN="LEFT">{row}</TD></TR>' for row in rows)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{cells}</TABLE>>'
