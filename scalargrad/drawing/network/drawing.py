"""`NetworkDrawing`: the picture of a network, shown, saved and printed."""

from collections.abc import Sequence
from typing import Any

from ..common.drawing import BaseDrawing
from ..common.text import clean, number, plain, signed, xml
from .picture import NetworkPicture, Parameter
from .svg import NetworkDrawer

LISTED = 400  # parameters that the text lists one by one


class NetworkDrawing(BaseDrawing):
    """A network by layers, as `draw_network` makes it. It holds numbers and texts, not the model."""

    picture: NetworkPicture

    def _drawn(self, theme: str) -> str:
        return NetworkDrawer(self.picture, self.prefix, theme).svg()

    def html(self) -> str:
        """The SVG in a page of its own, which needs no network."""
        paper = {"auto": "color-scheme:light dark", "light": "background:#fff", "dark": "background:#15171c"}
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
            f"<title>{xml(self.picture.heading)}</title>\n"
            f"<style>html{{{paper[self.theme]}}}body{{margin:1rem;text-align:center}}</style>\n</head>\n"
            f"<body>\n{self.svg()}</body>\n</html>\n"
        )

    def text(self) -> str:
        """The layers, and, if they are not too many, every parameter, line by line."""
        picture = self.picture
        lines = [picture.heading]
        for stage in picture.stages:
            ps = [p for unit in stage.units for p in (*unit.weights, unit.bias) if p is not None]
            kinds = f": {len(stage.units):,} {stage.activation}" if stage.activation else f": {len(stage.units):,}"
            spread = f", {len(ps):,} parameters from {_spread([p.value for p in ps])}" if ps else ""
            lines.append(f"{stage.name}{kinds}{spread}")
        listed = [p for p in picture.parameters() if not picture.compared or p.value != p.before]
        if picture.compared:
            listed.sort(key=lambda p: -abs(p.shown))
        lines += [_line(p) for p in listed[:LISTED]]
        if len(listed) > LISTED:
            lines.append(f"… {len(listed) - LISTED:,} more")
        return "\n".join([*lines, *picture.notes])

    def to_dict(self) -> dict[str, Any]:
        """Every number and text: layers, their units with weights and biases; inf and nan as strings."""
        picture = self.picture
        made: dict[str, Any] = plain(picture)
        return {key: made[key] for key in ("title", "description", "compared", "region", "notes", "stages")}

    def __repr__(self) -> str:
        sizes = "-".join(str(len(stage.units)) for stage in self.picture.stages)
        return f"<Drawing of a network {sizes}{': what changed' if self.picture.compared else ''}>"


def _line(p: Parameter) -> str:
    difference = "" if p.before is None else f"  {signed(p.shown)}"
    gradient = "" if p.gradient is None else f"   gradient {number(p.gradient)}"
    return f"  {clean(p.label)} = {signed(p.now)}{difference}{gradient}"


def _spread(numbers: Sequence[float]) -> str:
    low, high = (nan[0], nan[0]) if (nan := [x for x in numbers if x != x]) else (min(numbers), max(numbers))
    return f"{number(low)} to {number(high)}"
