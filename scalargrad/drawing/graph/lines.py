"""What stands on each node and edge, line by line and measured.

DOT and SVG both draw these lines, so that an engine lays out what is drawn later.
"""

from __future__ import annotations

from typing import NamedTuple

from ..common.style import edge_style, sign_style
from ..common.text import Changed, number, shortened, signed, width
from .picture import Edge, Node, Path

HEADER, ROW, SMALL = 13.5, 12.0, 11.0  # font sizes, in points
HEADER_HEIGHT, ROW_HEIGHT, RULE, PADDING, GAP = 24.0, 17.0, 5.0, 10.0, 14.0
PATH_LINES = 6
DASH = "—"

# ---- nodes -----------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A line of a node: a key to the left and a number to the right; `kind` is the class of its text."""

    key: str
    text: str
    kind: str = ""
    rule: bool = False  # a thin line above


class Card(NamedTuple):
    """A node's lines and the least size that holds them."""

    name: str
    rest: str  # of the header, behind the name
    rows: tuple[Row, ...]
    width: float
    height: float


def card(node: Node, compact: bool = False) -> Card:
    """What stands on a node."""
    if node.kind == "constant":
        text = f"{node.name} = {number(node.value or 0.0)}" if node.label.strip() else number(node.value or 0.0)
        return Card(text, "", (), width(text, SMALL) + 10.0, 20.0)
    if node.kind == "block":
        operations = ", ".join(f"{count:,} {name}" for name, count in node.operations[:3])
        more = ", …" if len(node.operations) > 3 else ""
        low_high = DASH
        if node.gradient_range:
            low, high = node.gradient_range
            low_high = number(low) if low == high else f"{number(low)} … {number(high)}"
        rows = [Row(shortened(operations + more, 44), "", "muted", True), Row(node.gradient_name, low_high)]
        return _measured(node.name, f"  {node.formula}", rows)
    rows = [Row("value", number(node.value or 0.0), _way(node.value), rule=True)]
    gradient = DASH if node.gradient is None else number(node.gradient)
    if compact:
        return _measured(node.name, "", [*rows, Row("gradient", gradient, _way(node.gradient))])
    lines = [*_path_rows(node.paths)]
    if node.elsewhere is not None:
        lines.append(Row("elsewhere", signed(node.elsewhere), "muted"))
    if node.arrived is not None and node.arrived[1] > 1:
        lines.append(Row(f"{node.arrived[0]} of {node.arrived[1]} paths arrived", "", "muted"))
    if lines:
        lines[0] = lines[0]._replace(rule=True)
        lines.append(Row(f"{node.gradient_name} = sum", gradient, _way(node.gradient), rule=True))
    else:
        lines.append(Row(node.gradient_name, gradient, _way(node.gradient)))
    rows += lines
    if node.undrawn:
        rows.append(Row(f"{node.undrawn:,} operand{'s' * (node.undrawn > 1)} not drawn", "", "muted"))
    if node.is_stale:
        rows.append(Row("⚠ stale: operands have changed", "", "bad"))
    return _measured(node.name, f" = {node.formula}" if node.formula else "", rows)


def _way(x: float | None) -> str:
    """The class of a number that has changed: as that of the difference."""
    return sign_style(x - x.before) if isinstance(x, Changed) else ""


def _path_rows(paths: tuple[Path, ...]) -> list[Row]:
    """A line for each path, one for all that come through the same block, and one for what would be too many."""
    through: dict[str, list[Path]] = {}
    for p in paths:
        through.setdefault(p.block or p.edge, []).append(p)
    lines = list(through.items())
    shown = lines if len(lines) <= PATH_LINES else lines[: PATH_LINES - 1]
    rows = []
    for _, each in shown:
        p = each[0]
        if len(each) > 1:
            rows.append(_sum_row(f"via {p.block}, {len(each):,} paths", each))
        else:
            rows.append(
                Row(
                    f"via {p.block or p.consumer}",
                    product(p.upstream, p.local, p.contribution),
                    sign_style(p.contribution),
                )
            )
    rest = [p for _, each in lines[len(shown) :] for p in each]
    return [*rows, _sum_row(f"{len(rest):,} more paths", rest)] if rest else rows


def _sum_row(key: str, paths: list[Path]) -> Row:
    total = sum(p.contribution for p in paths)
    return Row(key, signed(total), sign_style(total))


def product(upstream: float, local: float, brought: float) -> str:
    """The chain rule in numbers.

    >>> product(-2.0, -3.0, 6.0)
    '−2 × −3 = +6'
    """
    return f"{number(upstream)} × {number(local)} = {signed(brought)}"


def _measured(name: str, rest: str, rows: list[Row]) -> Card:
    widest = width(name, HEADER, bold=True) + width(rest, HEADER)
    for row in rows:
        gap = GAP if row.key and row.text else 0.0
        widest = max(widest, width(row.key, ROW) + gap + width(row.text, ROW))
    rules = sum(row.rule for row in rows)
    return Card(
        name, rest, tuple(rows), widest + 2.0 * PADDING, HEADER_HEIGHT + ROW_HEIGHT * len(rows) + RULE * rules + 5.0
    )


# ---- edges -----------------------------------------------------------------------------------------------------------

SIGNS = {"pos": " (+)", "neg": " (−)", "zero": " (0)", "bad": " ⚠"}


def edge_lines(edge: Edge, labels: str) -> list[tuple[str, str]]:
    """The lines of an edge's label, as runs of (text, class)."""
    if labels == "none" or edge.to_constant:
        return []
    style = edge_style(edge)
    if edge.local is None:
        return [(f"{edge.merged:,} edge{'s' * (edge.merged > 1)}", "muted")]
    if labels == "contribution":
        return [(DASH, "muted") if edge.contribution is None else (signed(edge.contribution), style)]
    lines = [(local_text(edge), "ink")]
    if labels == "full":
        known = edge.upstream is not None and edge.contribution is not None
        text = product(edge.upstream or 0.0, edge.local, edge.contribution or 0.0) if known else DASH
        lines.append((text, style if known else "muted"))
    return lines


def local_text(edge: Edge, limit: int = 28) -> str:
    """The local gradient as notation and number, with the sign of its contribution behind it: "× b = −3"."""
    local = number(edge.local or 0.0)
    same = not edge.notation or edge.notation == local
    return f"× {local}" if same else f"× {shortened(edge.notation, limit)} = {local}"


def label_size(lines: list[tuple[str, str]], sign: str) -> tuple[float, float]:
    """Width and height of an edge's label."""
    if not lines:
        return 0.0, 0.0
    widest = max(width(text, SMALL) for text, _ in lines)
    return max(widest, width(lines[0][0] + sign, SMALL)) + 8.0, 14.0 * len(lines) + 4.0


def edge_sign(edge: Edge, labels: str) -> str:
    """What prints the sign of a contribution behind a label that does not state it."""
    return SIGNS.get(edge_style(edge), "") if labels == "local" or edge.local is None else ""
