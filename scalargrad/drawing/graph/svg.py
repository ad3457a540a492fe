"""The picture as SVG: places from a layout engine, everything else drawn here.

Lengths are whole tenths of a point from where they enter (`layout.py`, `labels.py`), so that `.9g` writes them in the
fewest digits.
"""

from collections.abc import Iterable
from math import inf

from ..common.style import SCALE, SCALE_CLASSES, SMALL
from ..common.svg import Drawer, Item, legend_item, legend_text
from ..common.text import clean, shortened, tenths, width, written, xml
from .labels import HEADER, HEADER_HEIGHT, PADDING, ROW, ROW_HEIGHT, RULE, EdgeLabel, Labels, NodeLabel, edge_widths
from .layout import Curve, Layout
from .picture import Edge, Node, Picture
from .words import edge_tooltip, node_tooltip

FAR = 30.0  # a label as far as this from its edge is tied to it
# Where a curve is looked at for the place nearest to its label: weights of its four control points.
_ALONG = [((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3) for t in (k / 8.0 for k in range(9))]


def _leader(curve: Curve, label: EdgeLabel) -> str:
    """A dotted line from a label to its edge, where an engine has put them far apart."""
    assert curve.label is not None
    x, y = curve.label
    nearest, fx, fy = inf, x, y
    for k in range(0, len(curve.points) - 3, 3):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = curve.points[k : k + 4]
        for a, b, c, d in _ALONG:
            px, py = a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3
            dx, dy = max(abs(px - x) - label.width / 2.0, 0.0), max(abs(py - y) - label.height / 2.0, 0.0)
            if dx * dx + dy * dy < nearest:
                nearest, fx, fy = dx * dx + dy * dy, px, py
    if nearest < FAR * FAR:
        return ""
    sx = min(max(fx, x - label.width / 2.0), x + label.width / 2.0)
    sy = min(max(fy, y - label.height / 2.0), y + label.height / 2.0)
    return f'<path class="l d" d="M{round(sx, 1):.9g},{round(sy, 1):.9g}L{round(fx, 1):.9g},{round(fy, 1):.9g}"/>'


class GraphDrawer(Drawer):
    """One drawing of a graph under way. The page derives its own from it."""

    sheet, sizes = "graph/graph.css", {"header": f"{HEADER}px", "row": f"{ROW}px"}

    def __init__(self, picture: Picture, labels: Labels, layout: Layout, prefix: str, theme: str = "auto") -> None:
        super().__init__(prefix, theme)
        self.picture, self.labels, self.layout = picture, labels, layout
        self.scales: set[int] = set()
        self.names = {n.id: n.name for n in picture.nodes}
        self.widths = edge_widths(picture)
        self.receiver = next((e.source for e in picture.edges if e.id == picture.active), "")

    def svg(self) -> str:
        picture, layout = self.picture, self.layout
        self.graph()
        return self.framed(
            picture.title, picture.heading, picture.description, picture.notes, layout.width, layout.height, 300.0
        )

    # ---- nodes and edges ---------------------------------------------------------------------------------------------

    def graph(self) -> None:
        for k, path in enumerate(self.picture.groups):
            self.cluster(k, path)
        for edge in self.picture.edges:
            self.edge(edge)
        for node in self.picture.nodes:
            self.node(node)

    def inside(self, label: NodeLabel, key: str, x: float, low: float) -> None:
        """The picture that a node has inside, centred at x and ending at `low`; by an id of its own."""
        assert label.inside is not None
        inner = GraphDrawer(*label.inside, f"{self.prefix}-{key}", self.theme)
        inner.graph()
        self.scales |= inner.scales
        size = label.inside.layout
        place = f"{tenths(x - size.width / 2.0)} {tenths(low - PADDING - size.height)}"
        self.out += [f'<g transform="translate({place})">', *inner.out, "</g>"]

    def cluster(self, k: int, path: str) -> None:
        if str(k + 1) not in self.layout.clusters:
            return  # other things stand inside
        x1, y1, x2, y2 = self.layout.clusters[str(k + 1)]
        name = clean(shortened(path.rpartition("/")[2], 40))
        self.out.append(
            f'<g id="{self.prefix}-c{k + 1}" class="cluster"><title>{xml(clean(path))}</title>'
            f'<rect x="{x1:.9g}" y="{y1:.9g}" width="{x2 - x1:.9g}" height="{y2 - y1:.9g}" rx="10"/>'
            f"{written('k', x1 + 9.0, y1 + 16.0, (name, ''), size=ROW)}</g>"
        )

    def edge(self, edge: Edge) -> None:
        curve, label, pen = self.layout.edges[edge.id], self.labels.edges[edge.id], self.widths[edge.id]
        start, *rest = [f"{x:.9g},{y:.9g}" for x, y in curve.points]
        path = f"M{start}C{' '.join(rest)}"
        (bx, by), (tx, ty) = curve.points[-1], curve.tip
        length = ((tx - bx) ** 2 + (ty - by) ** 2) ** 0.5 or 1.0
        half = 2.4 + pen * 0.7
        nx, ny = round((by - ty) / length * half, 1), round((tx - bx) / length * half, 1)
        head = f"M{bx + nx:.9g},{by + ny:.9g}L{tx:.9g},{ty:.9g}L{bx - nx:.9g},{by - ny:.9g}Z"
        text, sign = "", label.sign
        if label.lines and curve.label:
            x, y = curve.label[0], curve.label[1] - 7.0 * (len(label.lines) - 1) + 4.0
            text = _leader(curve, label)
            for line, kind in label.lines:
                runs = [(line, "")] + [(sign, f"b {label.style}")] * bool(sign)
                text += written(f"e {kind}", x, y, *runs, size=SMALL)
                y, sign = y + 14.0, ""
        if curve.tag is not None:
            x, y, wide, high = curve.tag
            left, top = f"{x - wide / 2.0:.9g}", f"{y - high / 2.0:.9g}"
            name = written("e", x, y + 4.0, (self.names[edge.source], ""), size=SMALL)
            text += (
                f'<rect class="tag" x="{left}" y="{top}" width="{wide:.9g}" height="{high:.9g}" rx="{high / 2.0:.9g}"/>'
                f"{name}"
            )
        glow = ""
        if edge.id == self.picture.active:
            glow = f'<path class="now" d="{path}" stroke-width="{pen + 9.0:g}"/>'
        tooltip = xml(edge_tooltip(edge, self.names[edge.source], self.names[edge.target]))
        self.out.append(
            f'<g id="{self.prefix}-{edge.id}" class="edge {label.style}"><title>{tooltip}</title>{glow}'
            f'<path class="l" d="{path}" stroke-width="{pen:g}"/><path class="a" d="{head}"/>{text}</g>'
        )

    def node(self, node: Node) -> None:
        box, label = self.layout.nodes[node.id], self.labels.nodes[node.id]
        classes = f"node {node.kind} {label.style}"
        if label.scale is not None and node.kind != "constant":
            self.scales.add(label.scale)
            classes += f" {SCALE_CLASSES[label.scale]}"
        wide, high = box.width, box.height
        left, top = box.x - wide / 2.0, box.y - high / 2.0
        add = self.out.append
        add(f'<g id="{self.prefix}-{node.id}" class="{classes}"><title>{xml(node_tooltip(node))}</title>')
        if node.kind == "constant":
            add(f"{written('e', box.x, box.y + 4.0, (label.name, ''), size=SMALL)}</g>")
            return
        boxes = [("", 0.0, 7)]
        if label.style == "exploding":
            boxes.insert(0, (' class="o"', 3.0, 10))
        if node.kind == "block":
            add(f'<rect x="{left + 4:.9g}" y="{top - 4:.9g}" width="{wide:.9g}" height="{high:.9g}" rx="7"/>')
        if node.id == self.receiver:
            boxes.insert(0, (' class="now"', 5.0, 12))
        for kind, by, radius in boxes:
            size = f'width="{wide + 2 * by:.9g}" height="{high + 2 * by:.9g}"'
            add(f'<rect{kind} x="{left - by:.9g}" y="{top - by:.9g}" {size} rx="{radius}"/>')
        x1, x2, y = left + PADDING, left + wide - PADDING, top + 17.0
        add(written("h", x1, y, (label.name, "b"), (label.rest, ""), size=HEADER))
        y = top + HEADER_HEIGHT - 2.0
        for key, text, kind, rule in label.rows:
            if rule:
                add(f'<path class="r" d="M{left:.9g},{y + 6:.9g}h{wide:.9g}"/>')
            y += ROW_HEIGHT + RULE * rule
            add(written("k", x1, y, (key, ""), size=ROW))
            if text:
                add(written(f"v {kind}" if kind else "v", x2, y, (text, ""), size=ROW))
        add("</g>")
        if label.inside is not None:
            self.inside(label, node.id, box.x, top + high)

    # ---- legend and style --------------------------------------------------------------------------------------------

    def items(self) -> Iterable[Item]:
        """What colours, widths and signs mean."""
        if not self.picture.has_gradients:
            return []
        self.scales.update(SCALE)
        styles = {label.style for label in self.labels.nodes.values()}
        return [_SCALE_ITEM, *(item for kind, item in _STYLE_ITEMS.items() if kind in styles), *_SIGN_ITEMS]

    def rules(self) -> tuple[str, str]:
        shapes, colours = super().rules()
        names = [SCALE_CLASSES[k] for k in sorted(self.scales)]
        scale = [f"#{self.prefix} .{each} rect,#{self.prefix} rect.{each}{{fill:var(--{each})}}" for each in names]
        return shapes, colours.replace("@scale\n", "".join(scale))


# ---- the legend's items, each with its width -------------------------------------------------------------------------


def _scale_item() -> Item:
    x = width("|gradient|", SMALL) + 8.0
    out = [legend_text("|gradient|", 0.0), legend_text("10⁻⁶", x)]
    x += width("10⁻⁶", SMALL) + 5.0
    for k in SCALE:
        out.append(f'<rect class="{SCALE_CLASSES[k]}" x="{x:.4g}" y="0" width="13" height="12"/>')
        x += 13.0
    out.append(legend_text("10³", x + 5.0))
    return round(x + 10.0 + width("10³", SMALL), 1), "".join(out)


def _style_item(classes: str, text: str, outline: str = "") -> Item:
    return legend_item(
        f'<g class="node {classes}">{outline}<rect x="0" y="0" width="18" height="12" rx="3"/></g>', text
    )


_SCALE_ITEM = _scale_item()
_OUTLINE = '<rect class="o" x="-2" y="-2" width="22" height="16" rx="5"/>'
_STYLE_ITEMS = {
    "vanishing": _style_item(f"vanishing {SCALE_CLASSES[SCALE[0]]}", "vanishing"),
    "exploding": _style_item(f"exploding {SCALE_CLASSES[SCALE[-1]]}", "exploding", _OUTLINE),
    "bad": _style_item("bad ", "⚠ inf or nan"),
}
_SIGN_ITEMS = [
    legend_item(f'<g class="edge {kind}"><path class="l" d="M0,6h18" stroke-width="3"/></g>', f"({sign}) contribution")
    for kind, sign in (("pos", "+"), ("neg", "−"))
]
