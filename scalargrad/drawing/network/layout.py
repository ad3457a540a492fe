"""Where a network's units stand: a column for each layer, by arithmetic.

Room for names and numbers decides on places, and on what is shown at all.
"""

from typing import NamedTuple

from ..common.text import clean, shortened, signed, width
from .picture import NetworkPicture, Stage

LINE = 13.5  # of text
SIZE, TINY = 12.0, 10.0
WIDE, HIGH, DENSE, FIELD = 46.0, 30.0, 23.0, 46.0  # a unit: its width; its height, also among many, and with a field
NUMBERED = 20  # weights between two columns that have their numbers printed


class Place(NamedTuple):
    """A drawn unit: its number in the layer, and the middle of its box. `None` stands for those that are folded."""

    k: int | None
    x: float
    y: float


def shown_units(count: int, limit: int) -> list[int | None]:
    """The units that are drawn: all, or the first and last, and None for those between.

    >>> shown_units(4, 4), shown_units(5, 4)
    ([0, 1, 2, 3], [0, 1, None, 3, 4])
    """
    if count <= limit:
        return list(range(count))
    head = (limit + 1) // 2
    return [*range(head), None, *range(count - (limit - head), count)]


class Columns:
    """The places of a network's units."""

    def __init__(self, picture: NetworkPicture) -> None:
        self.picture = picture
        stages = picture.stages
        self.shown = [shown_units(len(stage.units), picture.limit) for stage in stages]
        most = max(map(len, self.shown))
        self.is_dense = most > 10
        self.high = FIELD if picture.region is not None else DENSE if self.is_dense else HIGH
        self.names = [[clean(shortened(unit.name, 24)) for unit in stage.units] for stage in stages]
        self.has_outer_names = any(unit.field or unit.output is not None for unit in stages[0].units)
        inside = [0.0 if self.has_outer_names else max(width(n, SIZE) for n in names) + 16.0 for names in self.names]
        self.wide = [max(WIDE, each) for each in inside]
        self.gap = self.high + (11.0 if self.is_dense else 30.0)  # from row to row
        self.numbered = []
        for left, right in zip(self.shown, self.shown[1:], strict=False):
            self.numbered.append(None not in (*left, *right) and len(left) * len(right) <= NUMBERED)
            if self.numbered[-1]:
                self.gap = max(self.gap, LINE * (min(len(left), len(right)) + 1))
        self.has_bias_text = self.gap >= self.high + 24.0
        self.places = self.laid_out(most)

    def laid_out(self, most: int) -> list[list[Place]]:
        stages, outer = self.picture.stages, self.has_outer_names
        heads = [max(width(line, SIZE, bold=True) for line in self.header(stage)) for stage in stages]
        self.top = 40.0
        self.height = self.gap * most
        room = max(width(n, SIZE) for n in self.names[0]) + 10.0 if outer else 0.0
        x = max(room + self.wide[0] / 2.0, heads[0] / 2.0)
        columns = []
        for k, rows in enumerate(self.shown):
            y = self.top + self.height / 2.0 - self.gap * (len(rows) - 1) / 2.0
            columns.append([Place(unit, x, y + self.gap * i) for i, unit in enumerate(rows)])
            if k + 1 < len(stages):
                numbered = 230.0 if self.picture.compared else 140.0
                wide = numbered if self.numbered[k] else 240.0 if self.is_dense else 150.0
                x += max(wide + (self.wide[k] + self.wide[k + 1]) / 2.0, (heads[k] + heads[k + 1]) / 2.0 + 70.0)
        left, beside = x - self.wide[-1] / 2.0, self.wide[-1] / 2.0
        biases = [0.0 if u.bias is None else width(f"b {signed(u.bias.now, 3)}", TINY) for u in stages[-1].units]
        beyond = left + 11.0 + max(biases) if self.has_bias_text else 0.0
        names = x + beside + 8.0 + max(width(n, SIZE) for n in self.names[-1]) if outer else 0.0
        self.right = max(x + beside, x + heads[-1] / 2.0, beyond, names)
        return columns

    @staticmethod
    def header(stage: Stage) -> tuple[str, str]:
        activation = f" × {clean(shortened(stage.activation, 20))}" if stage.activation else ""
        return stage.name, f"{len(stage.units):,}{activation}"

    def hidden(self, k: int, unit: int | None) -> list[int]:
        if unit is not None:
            return [unit]
        drawn = set(self.shown[k])
        return [i for i in range(len(self.picture.stages[k].units)) if i not in drawn]
