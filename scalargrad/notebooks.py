"""Tables in HTML, by which histories, data sets, reports and compiled functions show themselves in notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any


def table_html(
    caption: str, head: Sequence[str], count: int, row: Callable[[int], Sequence[Any]], most: int = 20
) -> str:
    """A table of so many rows in HTML, floats in four digits; of more than `most`, the first and the last.

    >>> table_html("Losses", ["epoch", "loss"], 1, lambda k: [k, 0.5])[-33:]
    '<td>0.5</td></tr></tbody></table>'
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
