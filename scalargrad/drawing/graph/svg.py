"""The picture as SVG: places from a layout engine, everything else drawn here.

One style sheet, scoped by the drawing's own id, so that several drawings share a page; colours are classes, and a dark
page gets its own by a media query. Text is text, in fonts that every system has.
"""

from __future__ import annotations

from ..common.style import COLOURS, SCALE, edge_style, edge_widths, node_scale, node_style, scale_colour
from ..common.text import clean, marked, shortened, width, xml
from .layout import Curve, Layout
from .lines import HEADER, HEADER_HEIGHT, PADDING, ROW, ROW_HEIGHT, RULE, SMALL, card, edge_lines, edge_sign, label_size
from .picture import Edge, Node, Picture
from .tooltips import edge_tooltip, node_tooltip

MARGIN = 18.0
FAR = 30.0  # a label as far as this from its edge is tied to it
FONTS = (
    "Helvetica,Arial,'Liberation Sans','Noto Sans','Noto Sans CJK KR','Apple SD Gothic Neo','Malgun Gothic',sans-serif"
)


def to_svg(picture: Picture, layout: Layout, prefix: str, theme: str = "auto") -> str:
    """Draw the picture."""
    return _Drawer(picture, layout, prefix, theme).svg()


def _n(x: float) -> str:
    text = f"{x:.1f}"
    return text[:-2] if text.endswith(".0") else text


def _leader(curve: Curve, wide: float, high: float) -> str:
    """A dotted line from a label to its edge, where an engine has put them far apart."""
    assert curve.label is not None
    x, y = curve.label
    near = []
    for k in range(0, len(curve.points) - 3, 3):
        piece = curve.points[k : k + 4]
        for step in range(9):
            t = step / 8.0
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            px, py = (sum(w * p[axis] for w, p in zip(weights, piece, strict=True)) for axis in (0, 1))
            dx, dy = max(abs(px - x) - wide / 2.0, 0.0), max(abs(py - y) - high / 2.0, 0.0)
            near.append((dx * dx + dy * dy, (px, py)))
    distance, foot = min(near)
    if distance < FAR * FAR:
        return ""
    fx, fy = foot
    start_x = min(max(fx, x - wide / 2.0), x + wide / 2.0)
    start_y = min(max(fy, y - high / 2.0), y + high / 2.0)
    return f'<path class="l d" d="M{_n(start_x)},{_n(start_y)}L{_n(fx)},{_n(fy)}"/>'


class _Drawer:
    def __init__(self, picture: Picture, layout: Layout, prefix: str, theme: str) -> None:
        self.picture = picture
        self.layout = layout
        self.prefix = prefix
        self.theme = theme
        self.out: list[str] = []
        self.scales: set[int] = set()
        self.names = {n.id: n.name for n in picture.nodes}
        self.widths = edge_widths(picture)
        self.top = MARGIN + (30.0 if picture.title else 0.0)
        self.receiver = next((e.source for e in picture.edges if e.id == picture.active), "")

    def svg(self) -> str:
        picture, prefix, add = self.picture, self.prefix, self.out.append
        shown_title = clean(shortened(picture.title, 120))
        title = clean(shortened(picture.title, 200)) or f"Computation graph of {picture.name}"
        wide = self.layout.width
        if picture.title:
            wide = max(wide, width(shown_title, 17.0, bold=True))
        legend, legend_width, legend_height = self.legend(max(wide, 300.0))
        wide = max(wide, legend_width)
        total_width = wide + 2.0 * MARGIN
        shift = MARGIN + (wide - self.layout.width) / 2.0
        high = self.top + self.layout.height + legend_height + MARGIN
        add(f'<rect class="page" x=".5" y=".5" width="{_n(total_width - 1)}" height="{_n(high - 1)}" rx="10"/>')
        if picture.title:
            add(f'<text class="t" x="{_n(MARGIN)}" y="{_n(MARGIN + 14)}">{xml(shown_title)}</text>')
        add(f'<g transform="translate({_n(shift)} {_n(self.top)})">')
        for k, path in enumerate(picture.groups):
            self.cluster(k, path)
        for edge in picture.edges:
            self.edge(edge)
        for node in picture.nodes:
            self.node(node)
        add("</g>")
        if legend:
            y = self.top + self.layout.height + 12.0
            add(f'<g class="legend" transform="translate({_n(MARGIN)} {_n(y)})">{legend}</g>')
        body = "\n".join(self.out)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}" class="scalargrad" role="img" '
            f'aria-labelledby="{prefix}-title {prefix}-desc" viewBox="0 0 {_n(total_width)} {_n(high)}" '
            f'width="{_n(total_width)}" height="{_n(high)}" style="max-width:100%;height:auto">\n'
            f'<title id="{prefix}-title">{xml(title)}</title>\n'
            f'<desc id="{prefix}-desc">{xml(picture.description)}</desc>\n'
            f"<style>{self.style()}</style>\n{body}\n</svg>\n"
        )

    # ---- parts -------------------------------------------------------------------------------------------------------

    def cluster(self, k: int, path: str) -> None:
        x1, y1, x2, y2 = self.layout.clusters[str(k + 1)]
        name = xml(clean(shortened(path.rpartition("/")[2], 40)))
        self.out.append(
            f'<g id="{self.prefix}-c{k + 1}" class="cluster"><title>{xml(clean(path))}</title>'
            f'<rect x="{_n(x1)}" y="{_n(y1)}" width="{_n(x2 - x1)}" height="{_n(y2 - y1)}" rx="10"/>'
            f'<text class="k" x="{_n(x1 + 9)}" y="{_n(y1 + 16)}">{name}</text></g>'
        )

    def edge(self, edge: Edge) -> None:
        curve = self.layout.edges[edge.id]
        style, pen = edge_style(edge), self.widths[edge.id]
        (x0, y0), *rest = curve.points
        path = f"M{_n(x0)},{_n(y0)}C" + " ".join(f"{_n(x)},{_n(y)}" for x, y in rest)
        (bx, by), (tx, ty) = curve.points[-1], curve.tip
        length = ((tx - bx) ** 2 + (ty - by) ** 2) ** 0.5 or 1.0
        half = 2.4 + pen * 0.7
        nx, ny = (by - ty) / length * half, (tx - bx) / length * half
        head = f"M{_n(bx + nx)},{_n(by + ny)}L{_n(tx)},{_n(ty)}L{_n(bx - nx)},{_n(by - ny)}Z"
        text = ""
        lines = edge_lines(edge, self.picture.labels)
        if lines and curve.label:
            lx, ly = curve.label
            text = _leader(curve, *label_size(lines, edge_sign(edge, self.picture.labels)))
            y = ly - 7.0 * (len(lines) - 1) + 4.0
            sign = edge_sign(edge, self.picture.labels)
            for line, kind in lines:
                space = ' xml:space="preserve"' if sign else ""
                inner = marked((line, ""), (sign, f"b {style}"), size=SMALL)
                text += f'<text class="e {kind}"{space} x="{_n(lx)}" y="{_n(y)}">{inner}</text>'
                y, sign = y + 14.0, ""
        glow = ""
        if edge.id == self.picture.active:
            glow = f'<path class="now" d="{path}" stroke-width="{pen + 9.0:g}"/>'
        tooltip = xml(edge_tooltip(edge, self.names[edge.source], self.names[edge.target]))
        self.out.append(
            f'<g id="{self.prefix}-{edge.id}" class="edge {style}"><title>{tooltip}</title>{glow}'
            f'<path class="l" d="{path}" stroke-width="{pen:g}"/><path class="a" d="{head}"/>{text}</g>'
        )

    def node(self, node: Node) -> None:
        box, made = self.layout.nodes[node.id], card(node, self.picture.is_compact)
        style, scale = node_style(node), node_scale(node)
        classes = f"node {node.kind} {style}"
        if scale is not None and node.kind != "constant":
            self.scales.add(scale)
            classes += f" {self.scale_class(scale)}"
        left, top = box.x - box.width / 2.0, box.y - box.height / 2.0
        add = self.out.append
        add(f'<g id="{self.prefix}-{node.id}" class="{classes}"><title>{xml(node_tooltip(node))}</title>')
        if node.kind == "constant":
            add(f'<text class="e" x="{_n(box.x)}" y="{_n(box.y + 4)}">{marked((made.name, ""), size=SMALL)}</text></g>')
            return
        if node.id == self.receiver:
            glow = f'width="{_n(box.width + 10)}" height="{_n(box.height + 10)}" rx="12"'
            add(f'<rect class="now" x="{_n(left - 5)}" y="{_n(top - 5)}" {glow}/>')
        if node.kind == "block":
            add(
                f'<rect x="{_n(left + 4)}" y="{_n(top - 4)}" width="{_n(box.width)}" height="{_n(box.height)}" rx="7"/>'
            )
        if style == "exploding":
            outer = f'width="{_n(box.width + 6)}" height="{_n(box.height + 6)}" rx="10"'
            add(f'<rect class="o" x="{_n(left - 3)}" y="{_n(top - 3)}" {outer}/>')
        add(f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(box.width)}" height="{_n(box.height)}" rx="7"/>')
        x1, x2, y = left + PADDING, left + box.width - PADDING, top + 17.0
        header = marked((made.name, "b"), (made.rest, ""), size=HEADER)
        add(f'<text class="h" xml:space="preserve" x="{_n(x1)}" y="{_n(y)}">{header}</text>')
        y = top + HEADER_HEIGHT - 2.0
        for row in made.rows:
            if row.rule:
                add(f'<path class="r" d="M{_n(left)},{_n(y + 6)}h{_n(box.width)}"/>')
            y += ROW_HEIGHT + RULE * row.rule
            kind = f" {row.kind}" if row.kind else ""
            add(f'<text class="k" x="{_n(x1)}" y="{_n(y)}">{marked((row.key, ""), size=ROW)}</text>')
            if row.text:
                add(f'<text class="v{kind}" x="{_n(x2)}" y="{_n(y)}">{marked((row.text, ""), size=ROW)}</text>')
        add("</g>")

    def legend(self, room: float) -> tuple[str, float, float]:
        """What colours, widths and signs mean, and the notes; with the width and height that it takes."""
        items: list[tuple[float, str]] = []
        if self.picture.has_gradients:
            self.scales.update(SCALE)
            x, parts = 0.0, ['<text class="k" x="0" y="10">|gradient|</text>']
            x = width("|gradient|", SMALL) + 8.0
            for label, k in (("10⁻⁶", None), *(("", k) for k in SCALE), ("10³", None)):
                if k is None:
                    parts.append(f'<text class="k" x="{_n(x)}" y="10">{label}</text>')
                    x += width(label, SMALL) + 5.0
                else:
                    parts.append(f'<rect class="{self.scale_class(k)}" x="{_n(x)}" y="0" width="13" height="12"/>')
                    x += 13.0 + (5.0 if k == SCALE[-1] else 0.0)
            items.append((x, "".join(parts)))
            for kind, text in (("vanishing", "vanishing"), ("exploding", "exploding"), ("bad", "⚠ inf or nan")):
                if any(node_style(n) == kind for n in self.picture.nodes):
                    scale = {"vanishing": self.scale_class(SCALE[0]), "exploding": self.scale_class(SCALE[-1])}
                    shape = '<rect x="0" y="0" width="18" height="12" rx="3"/>'
                    if kind == "exploding":
                        shape = f'<rect class="o" x="-2" y="-2" width="22" height="16" rx="5"/>{shape}'
                    swatch = f'<g class="node {kind} {scale.get(kind, "")}">{shape}</g>'
                    items.append((26.0 + width(text, SMALL), f'{swatch}<text class="k" x="24" y="10">{text}</text>'))
            for kind, text in (("pos", "(+) contribution"), ("neg", "(−) contribution")):
                line = f'<g class="edge {kind}"><path class="l" d="M0,6h18" stroke-width="3"/></g>'
                items.append((26.0 + width(text, SMALL), f'{line}<text class="k" x="24" y="10">{text}</text>'))
        x = y = widest = 0.0
        out = []
        for wide, item in items:
            if x and x + wide > room:
                x, y = 0.0, y + 20.0
            out.append(f'<g transform="translate({_n(x)} {_n(y)})">{item}</g>')
            x += wide + 20.0
            widest = max(widest, x - 20.0)
        if items:
            y += 20.0
        for note in self.picture.notes:
            out.append(f'<text class="k" x="0" y="{_n(y + 10)}">{xml(note)}</text>')
            widest, y = max(widest, width(note, SMALL)), y + 18.0
        return "".join(out), widest, y + (10.0 if out else 0.0)

    # ---- style -------------------------------------------------------------------------------------------------------

    @staticmethod
    def scale_class(k: int) -> str:
        return f"m{-k}" if k < 0 else f"p{k}"

    def style(self) -> str:
        """The style sheet: shapes, then colours for a light page, then, by media query, those for a dark one."""
        shapes = (
            f"& text{{font-family:{FONTS}}}& .t{{font-size:17px;font-weight:bold}}& .h{{font-size:{HEADER}px}}"
            f"& .b{{font-weight:bold}}& .k,& .v{{font-size:{ROW}px}}& .v{{text-anchor:end}}"
            f"& .e{{font-size:{SMALL}px;text-anchor:middle}}& .legend .k{{font-size:{SMALL}px}}"
            "& .l{fill:none}& .zero .l,& .d{stroke-dasharray:1.5 3}& .r{fill:none;stroke-width:.7;opacity:.55}"
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
            name = self.scale_class(k)
            rules.append(f"& .{name} rect,& rect.{name}{{fill:{scale_colour(k, dark)}}}")
        for kind in ("pos", "neg", "bad"):
            rules.append(f"& .{kind} .l{{stroke:{c[kind]}}}& .{kind} .a{{fill:{c[kind]}}}")
            rules.append(f"& text.{kind},& .b.{kind}{{fill:{c[f'{kind} text']}}}")
        rules.append(f"& .node.bad rect{{stroke:{c['bad']}}}& .node .o{{fill:none}}")
        if self.picture.active:
            rules.append(f"& .edge .now{{stroke:{c['now']}}}& .node .now{{fill:{c['now']}}}")
        return "".join(rules)
