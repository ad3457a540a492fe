"""The picture as SVG: places from a layout engine, everything else drawn here.

One style sheet, scoped by the drawing's own id, so that several drawings share a page; colours are classes, and a dark
page gets its own by a media query. Text is text, in fonts that every system has. Lengths are whole tenths of a point
from where they enter (`layout.py`, `labels.py`), so that `.9g` writes them in the fewest digits.
"""

from __future__ import annotations

from math import inf

from ..common.style import COLOURS, FONTS, MARGIN, SCALE, SMALL, scale_colour
from ..common.text import clean, shortened, tenths, width, written, xml
from .labels import HEADER, HEADER_HEIGHT, PADDING, ROW, ROW_HEIGHT, RULE, EdgeLabel, Labels, NodeLabel
from .layout import Curve, Layout
from .picture import Edge, Node, Picture
from .styles import edge_widths
from .tooltips import edge_tooltip, node_tooltip

FAR = 30.0  # a label as far as this from its edge is tied to it
SCALE_CLASSES = {k: f"m{-k}" if k < 0 else f"p{k}" for k in SCALE}
# Where a curve is looked at for the place nearest to its label: weights of its four control points.
_ALONG = [((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3) for t in (k / 8.0 for k in range(9))]


def to_svg(picture: Picture, labels: Labels, layout: Layout, prefix: str, theme: str = "auto") -> str:
    """Draw the picture."""
    return GraphDrawer(picture, labels, layout, prefix, theme).svg()


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


class GraphDrawer:
    """One drawing under way. The page derives its own from it."""

    def __init__(self, picture: Picture, labels: Labels, layout: Layout, prefix: str, theme: str) -> None:
        self.picture, self.labels, self.layout = picture, labels, layout
        self.prefix, self.theme = prefix, theme
        self.out: list[str] = []
        self.scales: set[int] = set()
        self.names = {n.id: n.name for n in picture.nodes}
        self.widths = edge_widths(picture)
        self.top = MARGIN + (30.0 if picture.title else 0.0)
        self.receiver = ""
        for e in picture.edges:
            if e.id == picture.active:
                self.receiver = e.source

    def svg(self) -> str:
        picture, prefix, add = self.picture, self.prefix, self.out.append
        title, wide = f"Computation graph of {picture.name}", self.layout.width
        if picture.title:
            shown = clean(shortened(picture.title, 120))
            title = clean(shortened(picture.title, 200))
            wide = max(wide, width(shown, 17.0, bold=True))
        legend, legend_width, legend_height = self.legend(max(wide, 300.0))
        wide = round(max(wide, legend_width), 1)
        shift, total_width = MARGIN + (wide - self.layout.width) / 2.0, wide + 2.0 * MARGIN
        high = self.top + self.layout.height + legend_height + MARGIN
        add(f'<rect class="page" x=".5" y=".5" width="{total_width - 1:.9g}" height="{high - 1:.9g}" rx="10"/>')
        if picture.title:
            add(written("t", MARGIN, MARGIN + 14.0, (shown, ""), size=17.0, bold=True))
        add(f'<g transform="translate({shift:.9g} {self.top:.9g})">')
        self.graph()
        add("</g>")
        if legend:
            y = self.top + self.layout.height + 12.0
            add(f'<g class="legend" transform="translate({MARGIN:g} {y:.9g})">{legend}</g>')
        body = "\n".join(self.out)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}" class="scalargrad" role="img" '
            f'aria-labelledby="{prefix}-title {prefix}-desc" viewBox="0 0 {total_width:.9g} {high:.9g}" '
            f'width="{total_width:.9g}" height="{high:.9g}" style="max-width:100%;height:auto">\n'
            f'<title id="{prefix}-title">{xml(title)}</title>\n'
            f'<desc id="{prefix}-desc">{xml(picture.description)}</desc>\n'
            f"<style>{self.style()}</style>\n{body}\n</svg>\n"
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
        path, sep = "", "M"
        for x, y in curve.points:
            path += f"{sep}{x:.9g},{y:.9g}"
            sep = "C" if sep == "M" else " "
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

    # ---- legend ------------------------------------------------------------------------------------------------------

    def legend(self, room: float) -> tuple[str, float, float]:
        """What colours, widths and signs mean, and the notes; with the width and height that it takes."""
        items: list[tuple[float, str]] = []
        if self.picture.has_gradients:
            self.scales.update(SCALE)
            styles = {label.style for label in self.labels.nodes.values()}
            items = [_SCALE_ITEM, *(item for kind, item in _STYLE_ITEMS.items() if kind in styles), *_SIGN_ITEMS]
        x = y = widest = 0.0
        out = []
        for wide, item in items:
            if x and x + wide > room:
                x, y = 0.0, y + 20.0
            out.append(f'<g transform="translate({x:.9g} {y:.9g})">{item}</g>')
            x += wide + 20.0
            widest = max(widest, x - 20.0)
        if items:
            y += 20.0
        for note in self.picture.notes:
            out.append(_legend_text(note, 0.0, y + 10.0))
            widest, y = max(widest, width(note, SMALL)), y + 18.0
        return "".join(out), widest, y + (10.0 if out else 0.0)

    # ---- style -------------------------------------------------------------------------------------------------------

    def style(self) -> str:
        """The style sheet: shapes, then colours for a light page, then, by media query, those for a dark one."""
        shapes = (
            f"& text{{font-family:{FONTS}}}& .t{{font-size:17px;font-weight:bold}}& .h{{font-size:{HEADER}px}}"
            f"& .b{{font-weight:bold}}& .k,& .v{{font-size:{ROW}px}}& .v{{text-anchor:end}}"
            f"& .e{{font-size:{SMALL}px;text-anchor:middle}}& .legend .k{{font-size:{SMALL}px}}"
            "& .l{fill:none}& .zero .l,& .d{stroke-dasharray:1.5 3}& .around .l{stroke-dasharray:6 4}"
            "& .r{fill:none;stroke-width:.7;opacity:.55}"
            "& .node rect{stroke-width:1.1}& .node.parameter rect{stroke-width:2.2}& .node .o{stroke-width:1.6}"
            "& .vanishing rect{stroke-dasharray:4 3}& .edge .now{fill:none;stroke-linecap:round}"
            "& .node .now{stroke-width:0}"
        )
        dark = self.colours(True)
        light = self.colours(False)
        if self.theme == "auto":
            sheet = f"{shapes}{light}@media (prefers-color-scheme:dark){{{dark}}}"
        else:
            sheet = shapes + (dark if self.theme == "dark" else light)
        return sheet.replace("&", f"#{self.prefix}")

    def colours(self, dark: bool) -> str:
        c = {name: pair[dark] for name, pair in COLOURS.items()}
        rules = [
            f"& text{{fill:{c['ink']}}}& .page{{fill:{c['page']};stroke:{c['frame']}}}",
            f"& .k,& .constant text,& .muted,& .e.none,& .e.zero{{fill:{c['muted']}}}",
            f"& .node rect{{fill:{c['plain']};stroke:{c['line']}}}& .r{{stroke:{c['line']}}}",
            f"& .node.parameter rect{{stroke:{c['leaf']}}}",
            f"& .cluster rect{{fill:{c['group']};stroke:{c['line']}}}",
            f"& .l{{stroke:{c['line']}}}& .a{{fill:{c['line']}}}",
            f"& .mixed .l{{stroke:{c['muted']}}}& .mixed .a{{fill:{c['muted']}}}",
        ]
        for k in sorted(self.scales):
            name = SCALE_CLASSES[k]
            rules.append(f"& .{name} rect,& rect.{name}{{fill:{scale_colour(k, dark)}}}")
        for kind in ("pos", "neg", "bad"):
            rules.append(f"& .{kind} .l{{stroke:{c[kind]}}}& .{kind} .a{{fill:{c[kind]}}}")
            rules.append(f"& text.{kind},& .b.{kind}{{fill:{c[f'{kind} text']}}}")
        rules.append(f"& .node.bad rect{{stroke:{c['bad']}}}& .node .o{{fill:none}}")
        rules.append(f"& .tag{{fill:{c['plain']};stroke:{c['leaf']}}}")
        if self.picture.active:
            rules.append(f"& .edge .now{{stroke:{c['now']}}}& .node .now{{fill:{c['now']}}}")
        return "".join(rules)


# ---- the legend's items, each with its width -------------------------------------------------------------------------


def _legend_text(text: str, x: float, y: float = 10.0) -> str:
    return written("k", round(x, 1), y, (text, ""), size=SMALL)


def _scale_item() -> tuple[float, str]:
    x = width("|gradient|", SMALL) + 8.0
    out = [_legend_text("|gradient|", 0.0), _legend_text("10⁻⁶", x)]
    x += width("10⁻⁶", SMALL) + 5.0
    for k in SCALE:
        out.append(f'<rect class="{SCALE_CLASSES[k]}" x="{x:.4g}" y="0" width="13" height="12"/>')
        x += 13.0
    out.append(_legend_text("10³", x + 5.0))
    return round(x + 10.0 + width("10³", SMALL), 1), "".join(out)


def _item(swatch: str, text: str) -> tuple[float, str]:
    return round(26.0 + width(text, SMALL), 1), f"{swatch}{_legend_text(text, 24.0)}"


def _style_item(classes: str, text: str, outline: str = "") -> tuple[float, str]:
    return _item(f'<g class="node {classes}">{outline}<rect x="0" y="0" width="18" height="12" rx="3"/></g>', text)


_SCALE_ITEM = _scale_item()
_OUTLINE = '<rect class="o" x="-2" y="-2" width="22" height="16" rx="5"/>'
_STYLE_ITEMS = {
    "vanishing": _style_item(f"vanishing {SCALE_CLASSES[SCALE[0]]}", "vanishing"),
    "exploding": _style_item(f"exploding {SCALE_CLASSES[SCALE[-1]]}", "exploding", _OUTLINE),
    "bad": _style_item("bad ", "⚠ inf or nan"),
}
_SIGN_ITEMS = [
    _item(f'<g class="edge {kind}"><path class="l" d="M0,6h18" stroke-width="3"/></g>', f"({sign}) contribution")
    for kind, sign in (("pos", "+"), ("neg", "−"))
]
