"""The labels of nodes and edges, line by line and measured.

DOT and SVG both draw these lines, so that an engine lays out what is drawn later.
"""

from __future__ import annotations

from math import ceil, isfinite, isnan, sqrt
from typing import NamedTuple

from ..common.style import EXPLODING, SMALL, VANISHING, magnitude, sign_style
from ..common.text import Changed, number, shortened, signed, width
from .columns import lay_out_columns
from .layout import Layout
from .picture import PATH_LINES, Edge, Node, Path, Picture

HEADER, ROW = 13.5, 12.0  # font sizes, in points
HEADER_HEIGHT, ROW_HEIGHT, RULE, PADDING, GAP = 24.0, 17.0, 5.0, 10.0, 14.0
DASH = "—"

# ---- nodes -----------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A line of a node: a key to the left and a number to the right; `kind` is its text's class, "g" the gradient's."""

    key: str
    text: str
    kind: str = ""
    rule: bool = False  # a thin line above


class Inside(NamedTuple):
    """The picture that a node shows below its lines."""

    picture: Picture
    labels: Labels
    layout: Layout


class NodeLabel(NamedTuple):
    """A node's lines and the least size that holds them, with the rule of its look."""

    name: str
    rest: str  # of the header, behind the name
    rows: tuple[Row, ...]
    width: float
    height: float
    style: str = ""  # as `node_style` has it
    scale: int | None = None  # as `node_scale` has it
    inside: Inside | None = None  # of what is unfolded


class EdgeLabel(NamedTuple):
    """The lines of an edge's label as (text, class), with the size that holds them and the rule of its look."""

    lines: tuple[tuple[str, str], ...]
    sign: str  # of the contribution, printed behind the first line where that does not state it
    width: float
    height: float
    style: str  # as `edge_style` has it


class Labels(NamedTuple):
    """The labels of a picture by the ids of nodes and edges."""

    nodes: dict[str, NodeLabel]
    edges: dict[str, EdgeLabel]


def labels_of(picture: Picture) -> Labels:
    """The labels of everything in a picture."""
    return Labels(
        {n.id: node_label(n, picture.is_compact) for n in picture.nodes},
        {e.id: edge_label(e, picture.labels) for e in picture.edges},
    )


def node_label(node: Node, compact: bool = False) -> NodeLabel:
    """What stands on a node."""
    label = _node_lines(node, compact)._replace(style=node_style(node), scale=node_scale(node))
    if node.body is None or not node.is_unfolded or compact:
        return label
    labels = labels_of(node.body)
    inside = Inside(node.body, labels, lay_out_columns(node.body, labels))
    wide = max(label.width, ceil(inside.layout.width) + 2.0 * PADDING)
    return label._replace(width=wide, height=label.height + ceil(inside.layout.height) + 2.0 * PADDING, inside=inside)


def _node_lines(node: Node, compact: bool) -> NodeLabel:
    if node.kind == "constant":
        text = f"{node.name} = {number(node.value or 0.0)}" if node.label.strip() else number(node.value or 0.0)
        return NodeLabel(text, "", (), float(ceil(width(text, SMALL) + 10.0)), 20.0)
    if node.kind == "block":
        operations = ", ".join(f"{count:,} {name}" for name, count in node.operations[:3])
        more = ", …" if len(node.operations) > 3 else ""
        low_high = DASH
        if node.gradient_range:
            low, high = node.gradient_range
            low_high = number(low) if low == high else f"{number(low)} … {number(high)}"
        rows = [Row(shortened(operations + more, 44), "", "muted", True), Row(node.gradient_name, low_high, "g")]
        return _measured(node.name, f"  {node.formula}", rows)
    value = number(node.value) if node.value is not None else DASH  # of several outputs: none of its own
    rows = [Row("value", value, _way(node.value), rule=True)]
    gradient = DASH if node.gradient is None else number(node.gradient)
    if compact:
        return _measured(node.name, "", [*rows, Row("gradient", gradient, _way(node.gradient, "g"))])
    lines = [*_path_rows(node.paths)]
    if node.elsewhere is not None:
        lines.append(Row("elsewhere", signed(node.elsewhere), "muted"))
    if node.arrived is not None and node.arrived[1] > 1:
        lines.append(Row(f"{node.arrived[0]} of {node.arrived[1]} paths arrived", "", "muted"))
    if lines:
        lines[0] = lines[0]._replace(rule=True)
        lines.append(Row(f"{node.gradient_name} = sum", gradient, _way(node.gradient, "g"), rule=True))
    else:
        lines.append(Row(node.gradient_name, gradient, _way(node.gradient, "g")))
    rows += lines
    rows += [Row(name, number(x), "muted", rule=k == 0) for k, (name, x) in enumerate(node.parts)]
    if node.says:
        title = node.body.title if node.body is not None and node.is_unfolded else ""
        rows.append(Row(node.says, title, "muted", rule=True))
    if node.undrawn:
        rows.append(Row(f"{node.undrawn:,} operand{'s' * (node.undrawn > 1)} not drawn", "", "muted"))
    if node.is_stale:
        rows.append(Row("⚠ stale: operands have changed", "", "bad"))
    return _measured(node.name, f" = {node.formula}" if node.formula else "", rows)


def _way(x: float | None, kind: str = "") -> str:
    """The class of a number that has changed: as that of the difference."""
    return f"{kind} {sign_style(x - x.before)}" if isinstance(x, Changed) else kind


def path_lines(paths: tuple[Path, ...]) -> list[list[Path]]:
    """The paths by the line that they are told on: one for all that come through the same block, and one for what
    would be too many."""
    through: dict[str, list[Path]] = {}
    for p in paths:
        through.setdefault(p.block or p.edge, []).append(p)
    lines = list(through.values())
    if len(lines) > PATH_LINES:
        lines[PATH_LINES - 1 :] = [[p for each in lines[PATH_LINES - 1 :] for p in each]]
    return lines


def _path_rows(paths: tuple[Path, ...]) -> list[Row]:
    rows = []
    for each in path_lines(paths):
        p = each[0]
        if len(each) > 1:
            alike = all(p.block == other.block for other in each) and p.block
            rows.append(_sum_row(f"via {p.block}, {len(each):,} paths" if alike else f"{len(each):,} more paths", each))
        else:
            text = product(p.upstream, p.local, p.contribution)
            rows.append(Row(f"via {p.block or p.consumer}", text, sign_style(p.contribution)))
    return rows


def _sum_row(key: str, paths: list[Path]) -> Row:
    total = sum(p.contribution for p in paths)
    return Row(key, signed(total), sign_style(total))


def product(upstream: float, local: float, brought: float) -> str:
    """The chain rule in numbers; where there is no local gradient, but a body that was pulled back, what it brought.

    >>> product(-2.0, -3.0, 6.0)
    '−2 × −3 = +6'
    """
    if isnan(local) and isfinite(brought):
        return signed(brought)
    return f"{number(upstream)} × {number(local)} = {signed(brought)}"


def _measured(name: str, rest: str, rows: list[Row]) -> NodeLabel:
    widest, height = width(name, HEADER, bold=True) + width(rest, HEADER), HEADER_HEIGHT + 5.0
    for row in rows:
        gap = GAP if row.key and row.text else 0.0
        widest = max(widest, width(row.key, ROW) + gap + width(row.text, ROW))
        height += ROW_HEIGHT + RULE * row.rule
    return NodeLabel(name, rest, tuple(rows), float(ceil(widest + 2.0 * PADDING)), height)


# ---- edges -----------------------------------------------------------------------------------------------------------

SIGNS = {"pos": " (+)", "neg": " (−)", "zero": " (0)", "bad": " ⚠"}


def edge_label(edge: Edge, labels: str) -> EdgeLabel:
    """What stands on an edge; `labels` is the option of `draw`."""
    style = edge_style(edge)
    if labels == "none" or edge.to_constant:
        return EdgeLabel((), "", 0.0, 0.0, style)
    sign = SIGNS.get(style, "") if labels == "local" or edge.local is None else ""
    if edge.local is None:
        lines = [(edge.says or f"{edge.merged:,} edge{'s' * (edge.merged > 1)}", "muted")]
    elif labels == "contribution":
        lines = [(DASH, "muted") if edge.contribution is None else (signed(edge.contribution), style)]
    else:
        pulled = edge.local != edge.local and edge.contribution is not None and isfinite(edge.contribution)
        lines = [(signed(edge.contribution or 0.0), style) if pulled else (local_text(edge), "ink")]
        sign = "" if pulled else sign
        if labels == "full":
            known = edge.upstream is not None and edge.contribution is not None
            text = product(edge.upstream or 0.0, edge.local, edge.contribution or 0.0) if known else DASH
            lines.append((text, style if known else "muted"))
    widest = width(lines[0][0], SMALL) + width(sign, SMALL, bold=True)
    for text, _ in lines[1:]:
        widest = max(widest, width(text, SMALL))
    return EdgeLabel(tuple(lines), sign, widest + 8.0, 14.0 * len(lines) + 4.0, style)


def local_text(edge: Edge, limit: int = 28) -> str:
    """The local gradient as notation and number, with the sign of its contribution behind it: "× b = −3"."""
    local = number(edge.local or 0.0)
    same = not edge.notation or edge.notation == local
    return f"× {local}" if same else f"× {shortened(edge.notation, limit)} = {local}"


# ---- looks: line styles, the scale of |gradient|, widths -------------------------------------------------------------
# DOT, SVG and the legend follow these. Nothing is said by colour alone: signs are printed, and vanishing and exploding
# gradients have line styles of their own.


def node_style(node: Node) -> str:
    """The rule of a node's look: "none" before any pass, "bad" for inf and nan, "vanishing", "exploding", "usual".

    A gradient of zero is not vanishing: nothing flows there at all.
    """
    known = [node.gradient] if node.gradient is not None else list(node.gradient_range or ())
    if not all(map(isfinite, known)) or (node.value is not None and not isfinite(node.value)):
        return "bad"
    if not known:
        return "none"
    size = max(map(abs, known))
    return "vanishing" if 0.0 < size < VANISHING else "exploding" if size > EXPLODING else "usual"


def node_scale(node: Node) -> int | None:
    """The power of ten that colours a node; None before any pass and at zero. A block takes its largest gradient's."""
    known = node.gradient if node.gradient is not None else max(node.gradient_range or (), default=None)
    return None if not known or known != known else magnitude(known)


def edge_style(edge: Edge) -> str:
    """The rule of an edge's look: "constant", "around" a loop, "none" before any pass, "bad", "zero", "pos", "neg", or
    "mixed"."""
    if edge.to_constant or edge.says:
        return "constant" if edge.to_constant else "around"
    brought = edge.contributions or (() if edge.contribution is None else (edge.contribution,))
    if not brought:
        return "none"
    if not all(map(isfinite, brought)):
        return "bad"
    low, high = min(brought), max(brought)
    if low == high == 0.0:
        return "zero"
    return "pos" if low >= 0.0 else "neg" if high <= 0.0 else "mixed"


def edge_size(edge: Edge) -> float:
    """|contribution|, which sets the edge's width; 0 where there is none."""
    brought = edge.contributions or (() if edge.contribution is None else (edge.contribution,))
    return max(map(abs, filter(isfinite, brought)), default=0.0)


def edge_widths(picture: Picture) -> dict[str, float]:
    """The width of each edge in points: by the square root of |contribution|, the largest in the picture widest."""
    largest = picture.largest or 1.0
    return {e.id: 1.0 if e.to_constant else round(1.0 + 3.0 * sqrt(edge_size(e) / largest), 2) for e in picture.edges}
