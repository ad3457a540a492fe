"""What drawings as SVG have in common: a frame with title and legend, and one style sheet for light and dark.

The sheet is scoped by the drawing's own id, so that several drawings share a page; colours are classes, and a dark page
gets its own by a media query. Text is text, in fonts that every system has.
"""

from collections.abc import Iterable, Mapping, Sequence

from .assets import asset
from .style import FONTS, MARGIN, SMALL, palette
from .text import clean, shortened, tenths, width, written, xml

Item = tuple[float, str]  # of a legend: its width, and what is drawn


class Drawer:
    """A drawing under way: what is drawn is added to `out`, and `framed` puts the rest around it."""

    sheet: str  # the asset with its rules
    sizes: Mapping[str, str]  # in them

    def __init__(self, prefix: str, theme: str) -> None:
        self.prefix, self.theme = prefix, theme
        self.out: list[str] = []

    def items(self) -> Iterable[Item]:
        """What the legend explains."""
        raise NotImplementedError

    def framed(
        self, title: str, heading: str, description: str, notes: Sequence[str], wide: float, high: float, least: float
    ) -> str:
        """The drawing as SVG, with what is in `out`, which takes so much room; its legend has `least` at least."""
        shown = clean(shortened(title, 120)) if title.strip() else ""
        top, room = MARGIN + (30.0 if shown else 0.0), max(wide, width(shown, 17.0, bold=True))
        legend, legend_width, legend_height = self.legend(max(room, least), notes)
        total = round(max(room, legend_width), 1) + 2.0 * MARGIN
        size = f"{tenths(total)} {tenths(top + high + legend_height + MARGIN)}"
        w, h = size.split()
        parts = [f'<rect class="page" x=".5" y=".5" width="{float(w) - 1:.9g}" height="{float(h) - 1:.9g}" rx="10"/>']
        if shown:
            parts.append(written("t", MARGIN, MARGIN + 14.0, (shown, ""), size=17.0, bold=True))
        parts += [f'<g transform="translate({(total - wide) / 2.0:.9g} {top:.9g})">', *self.out, "</g>"]
        if legend:
            place = f"{MARGIN:g} {tenths(top + high + 12.0)}"
            parts.append(f'<g class="legend" transform="translate({place})">{legend}</g>')
        body, prefix = "\n".join(parts), self.prefix
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}" class="scalargrad" role="img" '
            f'aria-labelledby="{prefix}-title {prefix}-desc" viewBox="0 0 {size}" '
            f'width="{w}" height="{h}" style="max-width:100%;height:auto">\n'
            f'<title id="{prefix}-title">{xml(heading)}</title>\n'
            f'<desc id="{prefix}-desc">{xml(description)}</desc>\n'
            f"<style>{self.style()}</style>\n{body}\n</svg>\n"
        )

    def legend(self, room: float, notes: Iterable[str]) -> tuple[str, float, float]:
        """The items in rows and the notes below; with the width and height that they take."""
        x = y = widest = 0.0
        out = []
        for wide, item in self.items():
            if x and x + wide > room:
                x, y = 0.0, y + 20.0
            out.append(f'<g transform="translate({x:.9g} {y:.9g})">{item}</g>')
            x += wide + 20.0
            widest = max(widest, x - 20.0)
        y += 20.0 if out else 0.0
        for note in notes:
            out.append(legend_text(note, 0.0, y + 10.0))
            widest, y = max(widest, width(note, SMALL)), y + 18.0
        return "".join(out), widest, y + (10.0 if out else 0.0)

    def style(self) -> str:
        """The style sheet: shapes, then colours for a light page, then, by media query, those for a dark one."""
        light, dark = palette(False), palette(True)
        by_theme = {"light": [light], "dark": [dark], "auto": [light, dark]}[self.theme]
        shapes, colours = self.rules()
        in_light, *in_dark = [_filled(colours, c) for c in by_theme]
        return shapes + in_light + "".join([f"@media (prefers-color-scheme:dark){{{each}}}" for each in in_dark])

    def rules(self) -> tuple[str, str]:
        """The rules of this drawing: for shapes, and for colours, which are variables."""
        parts = [asset(name).split("@colours\n") for name in ("common/drawing.css", self.sheet)]
        shapes, colours = ("".join(each).replace("&", f"#{self.prefix}") for each in zip(*parts, strict=True))
        return _filled(shapes, {"fonts": FONTS, "small": f"{SMALL:g}px", **self.sizes}), colours


def _filled(rules: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        rules = rules.replace(f"var(--{name})", value)
    return rules


def legend_text(text: str, x: float, y: float = 10.0) -> str:
    """A text of the legend."""
    return written("q", round(x, 1), round(y, 1), (text, ""), size=SMALL)


def legend_item(swatch: str, text: str, at: float = 24.0) -> Item:
    """An item of a legend: something drawn, and, from `at` on, what it means."""
    return round(at + 2.0 + width(text, SMALL), 1), f"{swatch}{legend_text(text, at)}"
