"""A picture, its steps and the parts of the page, put together into one file.

Whatever a label holds reaches the page as data or as escaped text. The content security policy names the page's own
script and styles by their hashes and allows nothing else, no request of any kind among it.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import cache
from gzip import compress
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from ..layout import Layout, lay_out
from ..picture import Edge, Node, Picture
from ..style import COLOURS
from ..svg import _Drawer, _n
from ..text import clean, shortened, xml
from .data import to_data
from .story import roomy, tell

if TYPE_CHECKING:
    from pathlib import Path

    from ..drawing import Drawing

SCRIPTS = ("model", "scene", "camera", "panel", "table", "pointing", "main")  # in the order in which they run
MEDIA = {"auto": "screen and (prefers-color-scheme:dark)", "dark": "screen", "light": "not all"}  # of the dark sheet
PACKED_ABOVE = 1_000_000  # letters of picture and data
LEGEND_WIDTH = 700.0
# A text, which stays as it is, or space beside a sign. Beside + and - it stays, as "+ +" is not "++"; so does a line's
# end after a bracket that closes, which can end a statement.
_SPACES = re.compile(
    r"""("(?:\\.|[^"\\\n])*"|`[^`]*`)|(?<=[(\[{;:,<>=!&|?*])\s+|(?<=[)\]}]) +|\s+(?=[)\]}:,<>=&|?*.])| +(?=[(\[{!])"""
)
_PATH = re.compile(' d="M[^"]*"')
# Tooltips, which the page has of its own; what says nothing; ids, as the page goes by the order of nodes and edges.
_UNUSED = re.compile('<title>[^<]*</title>| xml:space="preserve"| x="0" y="0"| id="[^"]*"')


def to_html(picture: Picture, theme: str = "auto", time_limit: float = 60.0) -> str:
    """The page, as text. Raises `LayoutError` where no engine is found, or one fails or takes too long.

    It is laid out once, with the widest texts that any step shows.
    """
    story = tell(picture)
    shown = story.picture._replace(title="", notes=())
    drawer = _PageDrawer(shown, lay_out(roomy(story)._replace(title="", notes=()), time_limit))
    svg, light, dark = drawer.parts()
    title = clean(shortened(picture.title, 200)) or f"{picture.name}, step by step"
    style, script = _part("page.css"), _script()
    data, packed = _json(to_data(story)), ""
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
        "data": data,
        "packed": packed,
        "script": script,
        "policy": (
            f"default-src 'none'; script-src {_source(script)}; "
            f"style-src {_source(style)} {_source(light)} {_source(dark)}; base-uri 'none'; form-action 'none'"
        ),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _part("page.html"))


def show(drawing: Drawing) -> Path:
    """Write the drawing's page to a temporary file and open it in the browser; return the file, which stays."""
    import webbrowser
    from pathlib import Path
    from tempfile import mkdtemp

    file = Path(mkdtemp(prefix="scalargrad-")) / "graph.html"
    file.write_text(to_html(drawing.picture, drawing.theme, drawing.time_limit), encoding="utf-8")
    webbrowser.open(file.as_uri())
    return file


@cache
def _part(name: str) -> str:
    """A part of the page without what only its readers need: indents, comments, spaces around signs."""
    text = (files(__package__) / name).read_text(encoding="utf-8")
    lines = [re.sub(" // .*", "", line.strip()) for line in text.splitlines()]
    text = "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))
    if name.endswith(".css"):
        return re.sub(" ?([{};,]) ?|(?<=:) ", r"\1", text)
    return _SPACES.sub(lambda match: match[1] or "", text) if name.endswith(".js") else text


@cache
def _script() -> str:
    parts = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    return f'(async () => {{\n"use strict";\n{parts}\n}})();'


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _json(data: object) -> str:
    """JSON that may stand inside a page's script: without a "<", and on one line for every reader."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _packed(svg: str, data: str) -> str:
    """Picture and data compressed, as text in a script element that no browser runs; the page's script unpacks it."""
    small = compress(f"{svg}\0{data}".encode(), mtime=0)  # no time of day in it: the same picture, the same file
    return f'<script id="packed" type="application/gzip">{b64encode(small).decode()}</script>'


class _PageDrawer(_Drawer):
    """The picture for the page, which has tooltips, a title and a legend of its own."""

    def __init__(self, picture: Picture, layout: Layout) -> None:
        super().__init__(picture, layout, "sg", "light")

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
        return svg, _sheet(False) + light, _sheet(True) + self._dark()

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
        place = f"{_n(box.x - box.width / 2.0)} {_n(box.y - box.height / 2.0)}"
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
    start, steps = f"M{_n(x)},{_n(y)}{kind}", []
    for k, (px, py) in enumerate(points, 1):
        steps.append(re.sub(r"\b0\.", ".", f"{_n(px - x)},{_n(py - y)}"))
        if k % size == 0:
            x, y = px, py
    return f' d="{start}{" ".join(steps)}{"z" if "Z" in path[0] else ""}"'


def _sheet(dark: bool) -> str:
    """The colours of the picture, and of whose turn it is, as variables for the page."""
    own = {"now-line": ("#b7791f", "#f5b83d"), "halo": ("#facc15", "#f5b83d")}
    values = "".join(f"--{name.replace(' ', '-')}:{pair[dark]};" for name, pair in (COLOURS | own).items())
    return f":root{{{values}color-scheme:{'dark' if dark else 'light'}}}"
