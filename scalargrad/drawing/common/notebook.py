"""What notebooks show: tables, pictures that stay when a notebook is not trusted, pages in frames of their own."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

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


def table_html(
    caption: str, head: Sequence[str], count: int, row: Callable[[int], Sequence[Any]], most: int = 20
) -> str:
    """A table of so many rows in HTML, floats in four digits; of more than `most`, the first and the last.

    >>> table_html("Losses", ["epoch", "loss"], 1, lambda k: [k, 0.5])[40:56]
    'Losses</caption>'
    """

    def line(cells: Sequence[Any], tag: str = "td") -> str:
        texts = [f"{x:.4g}" if isinstance(x, float) else escape(str(x)) for x in cells]
        return f"<tr>{''.join([f'<{tag}>{text}</{tag}>' for text in texts])}</tr>"

    ends = count if count <= most else most // 2
    shown = [line(row(k)) for k in range(ends)]
    if count > most:
        shown.append(line(["…", f"{count - 2 * ends:,} more", *[""] * (len(head) - 2)]))
        shown += [line(row(k)) for k in range(count - ends, count)]
    title = f'<caption style="text-align:left">{escape(caption)}</caption>'
    return f"<table>{title}<thead>{line(head, 'th')}</thead><tbody>{''.join(shown)}</tbody></table>"


class InlinePage:
    """A page that a notebook shows in the cell's output: see `Drawing.page`."""

    def __init__(self, page: str, title: str, height: int) -> None:
        self.page, self.title, self.height = page, title, height

    def _repr_html_(self) -> str:
        return frame_html(self.page, self.title, self.height)

    def __repr__(self) -> str:
        return f"<Page of {self.title}>"
