"""A network's picture as SVG: layers are columns, laid out by arithmetic.

Numbers stand on the lines where two columns leave room for them: lines from n units to m cross a vertical line at n m
different heights, evenly spaced, where the way is 1/(m + 1) done; there the numbers stand.
"""

from collections.abc import Iterator
from math import asin, isfinite, sin
from operator import mul

from ..common.style import SMALL, sign_style
from ..common.svg import Drawer, Item, legend_item
from ..common.text import clean, number, signed, tenths, width, written, xml
from .heat import heat_picture
from .layout import SIZE, TINY, Columns, Place
from .picture import NetworkPicture, Parameter, Stage, Unit

THINNEST, WIDEST = 0.7, 6.0  # lines


class NetworkDrawer(Drawer):
    """One drawing of a network under way."""

    sheet, sizes = "network/network.css", {"size": f"{SIZE}px", "tiny": f"{TINY}px"}

    def __init__(self, picture: NetworkPicture, prefix: str, theme: str) -> None:
        super().__init__(prefix, theme)
        self.picture = picture
        self.at = Columns(picture)
        sizes = [abs(p.shown) for p in picture.parameters() if isfinite(p.shown)]
        self.largest = max(sizes, default=0.0) or 1.0
        self.widest = WIDEST * (0.7 if self.at.is_dense else 1.0)

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def svg(self) -> str:
        picture = self.picture
        for k, stage in enumerate(picture.stages):
            self.stage_header(k, stage)
        for k in range(1, len(picture.stages)):
            self.lines(k)
        for k, stage in enumerate(picture.stages):
            for place in self.at.places[k]:
                self.unit(k, stage, place)
        for k in range(1, len(picture.stages)):
            if self.at.numbered[k - 1]:
                self.numbers(k)
        size = self.at.right, self.at.top + self.at.height
        return self.framed(picture.title, picture.heading, picture.description, picture.notes, *size, 420.0)

    def stage_header(self, k: int, stage: Stage) -> None:
        x, y = self.at.places[k][0].x, self.at.top - 22.0
        name, kind = self.at.header(stage)
        self.write("h", x, y, name, SIZE, bold=True)
        self.write("k", x, y + 15.0, kind)
        if k:
            middle = (x + self.at.places[k - 1][0].x) / 2.0
            self.write("k", middle, y + 15.0, f"{stage.symbol}[to,from]")

    def write(self, kind: str, x: float, y: float, text: str, size: float = SMALL, bold: bool = False) -> None:
        self.out.append(written(kind, round(x, 1), round(y, 1), (text, ""), size=size, bold=bold))

    def ends(self, k: int) -> Iterator[tuple[Place, Place, tuple[float, ...]]]:
        """The units that lines into a layer join, and how far right the four points of the curve are."""
        for target in self.at.places[k]:
            for source in self.at.places[k - 1]:
                x1, x2 = source.x + self.at.wide[k - 1] / 2.0, target.x - self.at.wide[k] / 2.0
                bend = (x2 - x1) * 0.45
                yield source, target, (x1, x1 + bend, x2 - bend, x2)

    def lines(self, k: int) -> None:
        """The weights into a layer, weak ones below strong ones."""
        units, drawn = self.picture.stages[k].units, []
        for source, target, xs in self.ends(k):
            points = zip(xs, (source.y, source.y, target.y, target.y), strict=True)
            start, *rest = [f"{tenths(x)},{tenths(y)}" for x, y in points]
            path = f"M{start}C{' '.join(rest)}"
            if source.k is None or target.k is None:
                drawn.append((-1.0, self.folded_line(k, source, target, path)))
                continue
            p = units[target.k].weights[source.k]
            share = min(abs(p.shown) / self.largest, 1.0) if isfinite(p.shown) else 0.5
            faintest = 0.15 if self.at.is_dense else 0.4
            pen, strong = max(self.widest * share, THINNEST), faintest + (1.0 - faintest) * share
            key = f"{self.prefix}-w{k}-{target.k + 1}-{source.k + 1}"
            look = f'class="l {sign_style(p.shown)}" d="{path}" stroke-width="{pen:.2g}" opacity="{strong:.2g}"'
            drawn.append((share, f'<path id="{key}" {look}><title>{xml(tooltip(p))}</title></path>'))
        drawn.sort(key=lambda each: each[0])
        self.out += [line for _, line in drawn]

    def folded_line(self, k: int, source: Place, target: Place, path: str) -> str:
        """One line for the weights of units that are folded."""
        units = self.picture.stages[k].units
        hidden = [self.at.hidden(j, place.k) for j, place in ((k - 1, source), (k, target))]
        numbers = [units[i].weights[j].shown for i in hidden[1] for j in hidden[0]]
        what = "differences" if self.picture.compared else "weights"
        told = f"{len(numbers):,} {what}, from {signed(min(numbers))} to {signed(max(numbers))}"
        return f'<path class="l folded" d="{path}" stroke-width=".7"><title>{xml(told)}</title></path>'

    def numbers(self, k: int) -> None:
        """The weights' numbers, at heights that no two of them share."""
        left, right = len(self.at.places[k - 1]), len(self.at.places[k])
        way = 1.0 / (right + 1) if right <= left else left / (left + 1)
        t = 0.5 - sin(asin(1.0 - 2.0 * way) / 3.0)  # where on the curve that much of the height is done
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        for source, target, xs in self.ends(k):
            if source.k is None or target.k is None:
                continue
            x = sum(map(mul, weights, xs))
            y = source.y + way * (target.y - source.y)
            p = self.picture.stages[k].units[target.k].weights[source.k]
            text = signed(p.now, 3)
            wide = width(text, SMALL) + 6.0
            self.out.append(  # on a patch of its own: a dash of the line before it would read as a minus sign
                f'<rect class="patch" x="{tenths(x - wide / 2.0)}" y="{tenths(y - 6.5)}" width="{tenths(wide)}" '
                f'height="13"/>'
            )
            self.write(f"e {sign_style(p.shown)}", x, y + 4.0, text)

    def unit(self, k: int, stage: Stage, place: Place) -> None:
        add, wide, high = self.out.append, self.at.wide[k], self.at.high
        if place.k is None:
            count = len(self.at.hidden(k, None))
            add(f'<g class="fold"><text class="h" x="{tenths(place.x)}" y="{tenths(place.y - 2)}">⋮</text>')
            self.write("k", place.x, place.y + 12.0, f"{count:,} more")
            add("</g>")
            return
        unit, name = stage.units[place.k], self.at.names[k][place.k]
        left, top = place.x - wide / 2.0, place.y - high / 2.0
        look = "" if unit.output is None or unit.field else f" {sign_style(unit.output)}"
        told = xml(unit_tooltip(stage, unit))
        add(f'<g id="{self.prefix}-u{k}-{place.k + 1}" class="unit{look}"><title>{told}</title>')
        add(f'<rect x="{tenths(left)}" y="{tenths(top)}" width="{tenths(wide)}" height="{tenths(high)}" rx="8"/>')
        if unit.field:
            size = f'width="{tenths(wide - 6)}" height="{tenths(high - 6)}" preserveAspectRatio="none"'
            add(f'<image x="{tenths(left + 3)}" y="{tenths(top + 3)}" {size} href="{heat_picture(unit.field)}"/>')
        else:
            inside = name if unit.output is None else number(unit.output, 3)
            size_of = next((size for size in (SIZE, TINY) if width(inside, size) <= wide - 4.0), 8.0)
            self.write("n" if size_of == SIZE else f"n n{size_of:.0f}", place.x, place.y + 4.0, inside, size_of)
        for at, side, x in ((0, "left", left - 8.0), (len(self.at.places) - 1, "right", left + wide + 8.0)):
            if self.at.has_outer_names and k == at:
                self.write(side, x, place.y + 4.0, name, SIZE)
        if unit.bias is not None:
            self.bias(f"{k}-{place.k + 1}", unit.bias, left, top + high)
        add("</g>")

    def bias(self, key: str, p: Parameter, x: float, y: float) -> None:
        """A square at the lower left corner, with its sign; its number below, where there is room."""
        kind = sign_style(p.shown)
        sign = {"pos": "+", "neg": "−", "zero": "0", "bad": "!"}[kind]
        self.out.append(
            f'<g id="{self.prefix}-b{key}" class="bias {kind}"><title>{xml(tooltip(p, "bias"))}</title>'
            f'<rect x="{tenths(x - 5)}" y="{tenths(y - 7)}" width="12" height="12" rx="2.5"/>'
            f'<text class="s" x="{tenths(x + 1)}" y="{tenths(y + 2.8)}">{sign}</text>'
        )
        if self.at.has_bias_text:
            self.write("b", x + 11.0, y + 12.0, f"b {signed(p.now, 3)}", TINY)
        self.out.append("</g>")

    def items(self) -> Iterator[Item]:
        """What lines and squares mean."""
        what = "change" if self.picture.compared else "weight"
        kinds = {sign_style(p.shown) for p in self.picture.parameters()}
        zero = "unchanged" if self.picture.compared else "zero"
        for kind, text in {"pos": f"(+) {what}", "neg": f"(−) {what}", "zero": zero, "bad": "⚠ inf or nan"}.items():
            if kind in ("pos", "neg") or kind in kinds:
                pen = f'd="M0,6h28" stroke-width="{self.widest / 2.0:g}"'
                yield legend_item(f'<path class="l {kind}" {pen}/>', text, 36.0)
        pen = f'd="M0,6h28" stroke-width="{self.widest:g}"'
        yield legend_item(f'<path class="l folded" {pen}/>', f"widest: {number(self.largest)}", 36.0)
        square = '<rect x="{}" y="0" width="12" height="12" rx="2.5"/><text class="s" x="{}" y="9.8">{}</text>'
        chips = "".join(
            f'<g class="bias {kind}">{square.format(x, x + 6, sign)}</g>'
            for x, kind, sign in ((0, "pos", "+"), (15, "neg", "−"))
        )
        yield legend_item(chips, "bias", 36.0)
        if self.picture.region is not None:
            (x1, x2), (y1, y2) = self.picture.region
            where = f"x from {number(x1)} to {number(x2)}, y from {number(y1)} to {number(y2)}"
            field = tuple(tuple((c - 11.5) / 6.0 for c in range(24)) for _ in range(8))
            size = 'x="0" y="0" width="28" height="12" preserveAspectRatio="none"'
            yield legend_item(
                f'<image {size} href="{heat_picture(field)}"/>', f"output, hatched below 0, on {where}", 36.0
            )


def tooltip(p: Parameter, kind: str = "weight") -> str:
    """A parameter with every number in full, and its sign in words."""
    sign = {"pos": "positive", "neg": "negative", "zero": "zero", "bad": "not finite"}
    lines = [f"{clean(p.label)} = {p.value!r}: {kind}, {sign[sign_style(p.value)]}"]
    if p.before is not None:
        way = "up" if p.shown > 0.0 else "down" if p.shown < 0.0 else "unchanged"
        lines.append(f"before {p.before!r}, {way}, difference {p.shown!r}")
    if p.gradient is not None:
        lines.append(f"gradient {p.gradient!r}")
    return "\n".join(lines)


def unit_tooltip(stage: Stage, unit: Unit) -> str:
    """A unit: where it stands, and what it gives."""
    activation = f", {clean(stage.activation)} of {len(unit.weights):,} weights and a bias" if unit.weights else ""
    output = "" if unit.output is None else f"\noutput {unit.output!r}"
    return f"{stage.name}, {clean(unit.name)}{activation}{output}"
