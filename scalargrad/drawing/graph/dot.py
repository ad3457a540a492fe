"""The picture in the DOT language: with its texts, for people and for any Graphviz; bare boxes, to be laid out.

The bare form asks an engine for places only, of boxes whose sizes are ours. So no engine's idea of a font's widths or
of markup can spoil a picture, and a layout takes the least time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..common.style import COLOURS, SMALL, scale_colour
from ..common.text import clean, shortened, width, xml
from .columns import lay_out_columns
from .labels import ROW, Labels, NodeLabel, edge_widths
from .layout import Layout, read_layout
from .layout_engines import find, run
from .picture import Node, Picture
from .words import edge_tooltip, node_tooltip, to_text

if TYPE_CHECKING:
    from graphviz import Digraph  # type: ignore[import-untyped]


def to_dot(picture: Picture, labels: Labels, prefix: str, dark: bool = False) -> str:
    """The picture as DOT, its texts as plain labels."""
    graph = _graph(picture)
    colours = {name: pair[dark] for name, pair in COLOURS.items()}
    font = {"fontname": "Helvetica", "fontsize": str(ROW), "fontcolor": colours["ink"]}
    caption = [clean(shortened(picture.title, 120))] if picture.title else []
    caption += picture.notes
    if caption:
        graph.attr("graph", label=_lines(caption), labelloc="t" if picture.title else "b", labeljust="l")
    graph.attr("graph", bgcolor=colours["page"], pad="0.2", **font)
    graph.attr("node", shape="box", margin="0.1,0.06", **font)
    graph.attr("edge", arrowsize="0.7", **font | {"fontsize": str(SMALL)})
    widths = edge_widths(picture)
    names = {n.id: n.name for n in picture.nodes}

    def node(into: Digraph, each: Node) -> None:
        made = labels.nodes[each.id]
        looks = _looks(made, each.kind, dark) if each.kind != "constant" else {"shape": "plain"}
        rows = [f"{made.name}{made.rest}", *(": ".join(filter(None, row[:2])) for row in made.rows)]
        rows += to_text(made.inside.picture).splitlines() if made.inside is not None else []
        tooltip = _escaped(node_tooltip(each))
        into.node(each.id, id=f"{prefix}-{each.id}", label=_lines(rows), tooltip=tooltip, **looks)

    def cluster(path: str) -> dict[str, str]:
        name = clean(shortened(path.rpartition("/")[2], 40))
        looks = {"fillcolor": colours["group"], "color": colours["line"], "fontcolor": colours["muted"]}
        return {"label": _escaped(name), "style": "rounded,filled", "labeljust": "l", **looks}

    _nested(graph, picture, prefix, node, cluster)
    for edge in picture.edges:
        lines, sign, _, _, style = labels.edges[edge.id]
        texts = [text for text, _ in lines]
        graph.edge(
            edge.source,
            edge.target,
            id=f"{prefix}-{edge.id}",
            tooltip=_escaped(edge_tooltip(edge, names[edge.source], names[edge.target])),
            color=colours[{"mixed": "muted"}.get(style, style if style in ("pos", "neg", "bad") else "line")],
            penwidth=str(widths[edge.id]),
            style="dotted" if style == "zero" else "solid",
            **({"label": _lines([texts[0] + sign, *texts[1:]])} if texts else {}),
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


def _escaped(text: str) -> str:
    """Text as a DOT string reads it: neither markup nor escapes."""
    return xml(text).replace("\\", "\\\\").replace("\n", "&#10;")


def _lines(lines: list[str]) -> str:
    """Lines of a label, each to the left."""
    return "".join(_escaped(line) + "\\l" for line in lines)


def _box(wide: float, high: float) -> str:
    return (
        f'<<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0" FIXEDSIZE="TRUE" '
        f'WIDTH="{wide:.0f}" HEIGHT="{high:.0f}"><TR><TD></TD></TR></TABLE>>'
    )


def _looks(made: NodeLabel, kind: str, dark: bool) -> dict[str, str]:
    style = made.style
    return {
        "style": "rounded,filled,dashed" if style == "vanishing" else "rounded,filled",
        "fillcolor": COLOURS["plain"][dark] if made.scale is None else scale_colour(made.scale, dark),
        "color": COLOURS["bad" if style == "bad" else "leaf" if kind == "parameter" else "line"][dark],
        "penwidth": "3" if style == "exploding" else "2" if kind == "parameter" else "1",
    }


# ---- who lays a picture out ------------------------------------------------------------------------------------------


def lay_out(picture: Picture, labels: Labels, time_limit: float) -> Layout:
    """Lay the picture out. Raises `LayoutError` where that takes an engine, and none is found, or it fails."""
    if picture.is_layered and picture.direction in ("LR", "RL"):
        return lay_out_columns(picture, labels)
    engine = find()
    return read_layout(run(engine, to_boxes(picture, labels), "json0", time_limit), picture, engine.name)
