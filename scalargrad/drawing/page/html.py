"""A picture, its steps and the parts of the page, put together into one file.

Whatever a label holds reaches the page as data or as escaped text.
"""

from __future__ import annotations

import re
from base64 import b64encode
from gzip import compress

from ..common.assets import MEDIA, as_json, asset, filled, policy, script, sheet
from ..common.text import clean, shortened, tenths, xml
from ..graph.labels import PADDING, labels_of, node_label
from ..graph.laying_out import lay_out
from ..graph.layout import Layout, as_laid_out
from ..graph.picture import Edge, Node, Picture
from ..graph.svg import GraphDrawer
from .data import to_data
from .live import Recorded, live_of, why_not
from .story import roomy, story_of

SCRIPTS = ("numbers", "model", "scene", "camera", "panel", "table", "pointing", "live", "inputs", "main")  # in order
PACKED_ABOVE = 1_000_000  # letters of picture and data
LEGEND_WIDTH = 700.0
_PATH = re.compile(' d="M[^"]*"')
# Tooltips, which the page has of its own; what says nothing, or what the script adds to all texts; ids, as
# the page goes by the order of nodes and edges.
_UNUSED = re.compile('<title>[^<]*</title>| xml:space="preserve"| x="0" y="0"| id="[^"]*"| lengthAdjust="[^"]*"')


def to_html(picture: Picture, theme: str = "auto", time_limit: float = 60.0, recorded: Recorded | None = None) -> str:
    """The page, as text. Raises `LayoutError` where no engine is found, or one fails or takes too long.

    It is laid out once, with the widest texts that any step shows. With a recorded graph, it computes.
    """
    story = story_of(picture)
    fixed = why_not(recorded) if recorded is not None else "the picture was made without its graph"
    wide = roomy(story, not fixed)._replace(title="", notes=())
    layout = lay_out(wide, labels_of(wide), time_limit)
    story = story_of(as_laid_out(picture, layout))
    drawer = _PageDrawer(story.picture._replace(title="", notes=()), layout)
    svg, light, dark = drawer.parts()
    title = clean(shortened(picture.title, 200)) or f"{picture.name}, step by step"
    computes = live_of(recorded, story) if recorded is not None and not fixed else None
    program = "const compute = null;" if computes is None else computes.script
    style, code = asset(__package__, "page.css"), script(__package__, SCRIPTS, program)
    data, packed = as_json(to_data(story, fixed if computes is None else computes.data)), ""
    if len(svg) + len(data) > PACKED_ABOVE:
        packed, svg, data = _packed(svg, data), "", ""
    values = {
        "theme": theme,
        "title": xml(title),
        "description": xml(picture.description),
        "notes": "".join(f'<p class="note">{xml(note)}</p>' for note in picture.notes),
        "style": style,
        "light": light,
        "dark": dark,
        "dark_media": MEDIA[theme],
        "picture": svg,
        "legend": drawer.beside,
        "bodies": drawer.bodies(),
        "data": data,
        "packed": packed,
        "script": code,
        "policy": policy([code], [style, light, dark]),
    }
    return filled(asset(__package__, "page.html"), values)


def _packed(svg: str, data: str) -> str:
    """Picture and data compressed, as text in a script element that no browser runs; the page's script unpacks it."""
    small = compress(f"{svg}\0{data}".encode(), mtime=0)  # no time of day in it: the same picture, the same file
    return f'<script id="packed" type="application/gzip">{b64encode(small).decode()}</script>'


class _PageDrawer(GraphDrawer):
    """The picture for the page, which has tooltips, a title and a legend of its own."""

    def __init__(self, picture: Picture, layout: Layout) -> None:
        super().__init__(picture, labels_of(picture), layout, "sg", "light")

    def parts(self) -> tuple[str, str, str]:
        """The picture, and the sheets for a light and a dark page."""
        head, rest = self.svg().split("<style>", 1)
        light, body = rest.split("</style>", 1)
        box = re.search(r'viewBox="[^"]*" width="[^"]*" height="[^"]*"', head)
        place = re.search(r'<g transform="[^"]*">', body)
        assert box is not None
        assert place is not None
        svg = (
            f'<svg id="under" {box[0]}>{place[0]}<path class="halo"/><path class="pulse" pathLength="100"/></g></svg>'
            f'<svg id="picture" role="group" aria-labelledby="title" aria-describedby="description" {box[0]}>'
            f"{body.strip()}"
        )
        return svg, sheet(False) + light, sheet(True) + self._dark()

    def bodies(self) -> str:
        """What runs inside of nodes, each in a dialog that the node opens."""
        made = []
        for k, node in enumerate(self.picture.nodes):
            if node.body is not None:
                label = node_label(node._replace(is_unfolded=True))
                assert label.inside is not None
                size, start = label.inside.layout, len(self.out)
                self.inside(label, node.id, size.width / 2.0, size.height + PADDING)
                head = xml(f"{node.name} = {node.formula}: {node.says}, {node.body.title}")
                close = '<form method="dialog"><button>Close</button></form>'
                box = f'viewBox="0 0 {size.width:g} {size.height:g}" width="{size.width:g}"'
                picture = _UNUSED.sub("", "".join(self.out[start:]))
                made.append(
                    f'<dialog class="inside" id="inside-{k}" aria-label="{head}"><h2>{head}</h2>'
                    f"<svg {box}>{picture}</svg>{close}</dialog>"
                )
        return "".join(made)

    def _dark(self) -> str:
        return self.colours(True).replace("&", f"#{self.prefix}")

    def legend(self, room: float) -> tuple[str, float, float]:
        """Nothing in the picture; what the legend would say stands beside it, as large at any scale."""
        inner, wide, high = super().legend(LEGEND_WIDTH)
        size = f'viewBox="-3 -3 {wide + 6:.0f} {high:.0f}" width="{wide + 6:.0f}" height="{high:.0f}"'
        self.beside = f"<svg {size}>{inner}</svg>" if inner else ""
        return "", 0.0, 0.0

    def node(self, node: Node) -> None:
        """In the node's own coordinates, which are short."""
        box, start = self.layout.nodes[node.id], len(self.out)
        self.layout.nodes[node.id] = box._replace(x=box.width / 2.0, y=box.height / 2.0)
        super().node(node)
        self.layout.nodes[node.id] = box
        drawn = _UNUSED.sub("", "".join(self.out[start:]))
        place = f"{tenths(box.x - box.width / 2.0)} {tenths(box.y - box.height / 2.0)}"
        self.out[start:] = [drawn.replace("<g", f'<g transform="translate({place})"', 1)]

    def edge(self, edge: Edge) -> None:
        start = len(self.out)
        super().edge(edge)
        self.out[start:] = [_PATH.sub(_relative, _UNUSED.sub("", "".join(self.out[start:])))]


def _relative(path: re.Match[str]) -> str:
    """A path of curves or of lines, each from where the last one ended: the same places in shorter numbers.

    >>> _PATH.sub(_relative, ' d="M1000,20C1001,20 1002,21 1013,21.5"'), _PATH.sub(_relative, ' d="M9,9L8,8.5L7,8Z"')
    (' d="M1000,20c1,0 2,1 13,1.5"', ' d="M9,9l-1,-.5 -1,-.5z"')
    """
    (x, y), *points = [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path[0])]
    kind, size = ("c", 3) if "C" in path[0] else ("l", 1)
    start, steps = f"M{tenths(x)},{tenths(y)}{kind}", []
    for k, (px, py) in enumerate(points, 1):
        steps.append(re.sub(r"\b0\.", ".", f"{tenths(px - x)},{tenths(py - y)}"))
        if k % size == 0:
            x, y = px, py
    return f' d="{start}{" ".join(steps)}{"z" if "Z" in path[0] else ""}"'
