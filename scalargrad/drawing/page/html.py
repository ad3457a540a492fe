"""A picture, its steps and the parts of the page, put together into one file.

Whatever a label holds reaches the page as data or as escaped text.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from gzip import compress
from typing import Any

from ...compiler.backends import javascript
from ..common.assets import as_json, compact, page, script
from ..common.text import clean, shortened, xml
from ..graph.dot import lay_out
from ..graph.labels import PADDING, labels_of, node_label
from ..graph.layout import Layout, as_laid_out
from ..graph.picture import Picture
from ..graph.svg import GraphDrawer
from .data import roomy, story_of, to_data
from .live import Recorded, numbers_of, program_of

_OWN = ("model", "scene", "camera", "panel", "table", "pointing", "live", "inputs", "main")
SCRIPTS = ("common/elements", "common/numbers", *(f"page/{name}" for name in _OWN))  # in the order in which they run
PACKED_ABOVE = 1_000_000  # letters of picture and data
LEGEND_WIDTH = 700.0
# Tooltips, which the page has of its own; what says nothing, or what the script adds to all texts; ids, as
# the page goes by the order of nodes and edges.
_UNUSED = re.compile('(?<!cluster">)<title>[^<]*</title>| xml:space="preserve"| id="[^"]*"| lengthAdjust="[^"]*"')


def to_html(picture: Picture, theme: str = "auto", time_limit: float = 60.0, recorded: Recorded | None = None) -> str:
    """The page, as text. Raises `LayoutError` where no engine is found, or one fails or takes too long.

    It is laid out once, with the widest texts that any step shows. With a recorded graph, it computes.
    """
    story = story_of(picture)
    made = program_of(recorded) if recorded is not None else "the picture was made without its graph"
    wide = roomy(story, not isinstance(made, str))._replace(title="", notes=())
    layout = lay_out(wide, labels_of(wide), time_limit)
    story = story_of(as_laid_out(picture, layout))
    drawer = _PageDrawer(story.picture._replace(title="", notes=()), layout)
    svg, style = drawer.parts()
    title = clean(shortened(picture.title, 200)) or f"{picture.name}, step by step"
    program = "const compute = null;"
    live: dict[str, Any] | str = made if isinstance(made, str) else {}
    if recorded is not None and not isinstance(made, str):
        program = compact(javascript.source([made[0]], [[]], "compute", "polynomial"))
        live = numbers_of(recorded, made[1], story)
    data, packed = as_json(to_data(story, live)), ""
    if len(svg) + len(data) > PACKED_ABOVE:
        packed, svg, data = _packed(svg, data), "", ""
    return page(
        "page/page",
        script(SCRIPTS, program),
        theme,
        style,
        title=xml(title),
        description=xml(picture.description),
        notes="".join(f'<p class="note">{xml(note)}</p>' for note in picture.notes),
        picture=svg,
        legend=drawer.beside,
        bodies=drawer.bodies(),
        data=data,
        packed=packed,
    )


def _packed(svg: str, data: str) -> str:
    """Picture and data compressed, as text in a script element that no browser runs; the page's script unpacks it."""
    small = compress(f"{svg}\0{data}".encode(), mtime=0)  # no time of day in it: the same picture, the same file
    return f'<script id="packed" type="application/gzip">{b64encode(small).decode()}</script>'


class _PageDrawer(GraphDrawer):
    """The picture for the page, which has tooltips, a title and a legend of its own."""

    def __init__(self, picture: Picture, layout: Layout) -> None:
        super().__init__(picture, labels_of(picture), layout, "sg")

    def style(self) -> str:
        return "".join(self.rules())

    def parts(self) -> tuple[str, str]:
        """The picture, and its style sheet, whose colours are the page's variables."""
        head, rest = self.svg().split("<style>", 1)
        style, body = rest.split("</style>", 1)
        box = re.search(r'viewBox="[^"]*" width="[^"]*" height="[^"]*"', head)
        place = re.search(r'<g transform="[^"]*">', body)
        assert box is not None
        assert place is not None
        svg = (
            f'<svg id="under" {box[0]}>{place[0]}<path class="halo"/><path class="pulse" pathLength="100"/></g></svg>'
            f'<svg id="picture" role="group" aria-labelledby="title" aria-describedby="description" {box[0]}>'
            f"{_UNUSED.sub('', body).strip()}"
        )
        return svg, style

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

    def legend(self, room: float, notes: Iterable[str]) -> tuple[str, float, float]:
        """Nothing in the picture; what the legend would say stands beside it, as large at any scale."""
        inner, wide, high = super().legend(LEGEND_WIDTH, notes)
        size = f'viewBox="-3 -3 {wide + 6:.0f} {high:.0f}" width="{wide + 6:.0f}" height="{high:.0f}"'
        self.beside = f"<svg {size}>{inner}</svg>" if inner else ""
        return "", 0.0, 0.0
