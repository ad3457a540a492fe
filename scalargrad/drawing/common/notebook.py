"""What notebooks show: pictures that stay when a notebook is not trusted, and pages in frames of their own."""

import re
from base64 import b64encode
from html import escape

SMALLEST = 0.65  # of its size: a wider picture is scrolled


def picture_html(svg: str, description: str) -> str:
    """The SVG as an image with its text, which every notebook keeps; too wide a one in a box that scrolls."""
    wide = re.search(r' width="([\d.]+)"', svg)
    assert wide is not None
    style = f"max-width:100%;min-width:{SMALLEST * float(wide[1]):.0f}px"
    source = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    image = f'<img alt="{escape(description)}" style="{style}" src="{source}">'
    return f'<div style="overflow-x:auto">{image}</div>'


def frame_html(page: str, title: str, high: int) -> str:
    """A page in a frame; where a notebook that is not trusted leaves frames out, a line that says so."""
    frame = f'style="width:100%;height:{high}px;border:0" title="{escape(title)}"'
    said = f"{escape(title)}: a page with scripts, which is shown when the notebook is trusted, and run again."
    return f'<iframe {frame} srcdoc="{escape(page)}"><p>{said}</p></iframe>'


class InlinePage:
    """A page that a notebook shows in the cell's output: see `Drawing.page`."""

    def __init__(self, page: str, title: str, height: int) -> None:
        self.page, self.title, self.height = page, title, height

    def _repr_html_(self) -> str:
        return frame_html(self.page, self.title, self.height)

    def __repr__(self) -> str:
        return f"<Page of {self.title}>"
