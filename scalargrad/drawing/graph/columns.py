"""Networks and recurrences laid out in columns, from left to right, by arithmetic: no engine, and nothing can fail.

A column is a level of the computation; what goes into it stands in the one before. Before a node, its edges run level,
each with room for its label, so no label meets a line or another label. An input that is used again further on is not
led there: a small tag with its name stands at the use.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import dist
from typing import TYPE_CHECKING, NamedTuple

from ..common.style import SMALL
from ..common.text import width
from .folding import levels
from .layout import Box, Curve, Frame, Layout, Point
from .picture import Edge, Picture
from .selection import outer_groups

if TYPE_CHECKING:
    from .labels import Labels

APART, BEND, TAG, ARROW = 20.0, 50.0, 18.0, 9.0
FRAME, FRAME_TOP = 11.0, 24.0
SWEEPS = 6
HELD = 1e3  # what is in a group is drawn to its place so much more than what is not


class _Item(NamedTuple):
    """What takes room in a column: a node, or an edge on its way to a later column."""

    name: str
    wide: float
    high: float
    group: str


def lay_out_columns(picture: Picture, labels: "Labels") -> Layout:
    """Lay the picture out; its direction is "LR" or "RL"."""
    return _Columns(picture, labels).layout()


class _Columns:
    def __init__(self, picture: Picture, labels: "Labels") -> None:
        self.around = [e for e in picture.edges if e.says]
        picture = picture._replace(edges=tuple([e for e in picture.edges if not e.says]))
        self.picture, self.labels = picture, labels
        self.rank, apart = _ranks(picture)
        self.into: dict[str, list[Edge]] = defaultdict(list)
        self.tags: dict[str, float] = {}  # the widths of the tags, by edge
        names = {n.id: n.name for n in picture.nodes}
        self.groups = {n.id: n.group for n in picture.nodes}
        self.begin: dict[str, int] = {}  # of a group: its first column
        for name, path in self.groups.items():
            for outer in outer_groups(path):
                self.begin[outer] = min(self.begin.get(outer, self.rank[name]), self.rank[name])
        leaves = {n.id for n in picture.nodes} - {e.target for e in picture.edges}
        for e in picture.edges:
            self.into[e.target].append(e)
            if e.source in leaves and self.rank[e.target] - self.rank[e.source] > apart[e.id]:
                self.tags[e.id] = round(width(names[e.source], SMALL) + 12.0, 1)
        self.lane = max([24.0, *(label.height + 6.0 for label in labels.edges.values() if label.lines)])
        self.columns: list[list[_Item]] = [[] for _ in range(max(self.rank.values(), default=0) + 1)]
        self.near: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))  # in the columns beside
        self.route: dict[str, list[str]] = {}
        used = {e.source for e in picture.edges}
        results = [n for n in picture.nodes if n.id not in used]  # the last that was given is the first to be computed
        for n in (*[n for n in picture.nodes if n.id in used], *reversed(results)):
            made = labels.nodes[n.id]
            high = max(made.height, self.spacing(n.id) * len(self.into[n.id]) + 4.0)
            self.columns[self.rank[n.id]].append(_Item(n.id, made.width, high, n.group))
        for e in picture.edges:
            if e.id not in self.tags:
                self.lead(e)
        self.order()
        self.y = self.heights()

    def spacing(self, node: str) -> float:
        """How far apart the edges that come in are."""
        roomy = any(self.labels.edges[e.id].lines or e.id in self.tags for e in self.into[node])
        return self.lane if roomy else 7.0

    def lead(self, e: Edge) -> None:
        """Put an edge's way through the columns between its ends."""
        stops = [e.source]
        inner = outer_groups(self.groups[e.target])
        for k in range(self.rank[e.source] + 1, self.rank[e.target]):
            stops.append(f"{e.id} {k}")
            group = max((path for path in inner if self.begin[path] <= k), default="", key=len)
            self.columns[k].append(_Item(stops[-1], 0.0, 10.0, group))
        self.route[e.id] = [*stops, e.target]
        for a, b in zip(stops, [*stops[1:], e.target], strict=True):
            self.near[a][1].append(b)
            self.near[b][0].append(a)

    def order(self) -> None:
        """Put the items of each column near what they are joined to, those of a group side by side; ties stay in the
        order of computation."""
        at = {item.name: float(k) for column in self.columns for k, item in enumerate(column)}
        for sweep in range(SWEEPS):
            back = sweep % 2
            for column in reversed(self.columns) if back else self.columns:
                means = {}
                for item in column:
                    near = [at[each] for each in self.near[item.name][back]]
                    means[item] = round(sum(near) / len(near), 6) if near else at[item.name]
                column.sort(key=_grouped(means).__getitem__)
                middle = (len(column) - 1) / 2.0
                for k, item in enumerate(column):
                    at[item.name] = k - middle

    def heights(self) -> dict[str, float]:
        """The middle of each item: as near to what it is joined to, in its group if to anything there, as the others in
        its column let it."""
        y: dict[str, float] = {}
        offsets = [_offsets(column) for column in self.columns]
        group = {item.name: item.group for column in self.columns for item in column}
        for column, offset in zip(self.columns, offsets, strict=True):
            y |= {item.name: by - offset[-1] / 2.0 for item, by in zip(column, offset, strict=True)}
        for sweep in range(2 * SWEEPS + 1):
            back, last = sweep % 2, sweep == 2 * SWEEPS
            for k in range(len(offsets) - 1, -1, -1) if back else range(len(offsets)):
                wanted = []
                for item in self.columns[k]:
                    before, behind = self.near[item.name]
                    near = [*before, *behind] if last or item.group else (before, behind)[back]
                    own = [each for each in near if item.group and group[each] == item.group]
                    found = [y[each] for each in own or near]
                    wanted.append(sum(found) / len(found) if found else y[item.name])
                y |= _settled(self.columns[k], wanted, offsets[k])
        self.clear(y, offsets)
        return y

    def clear(self, y: dict[str, float], offsets: list[list[float]]) -> None:
        """Move what is in no group out of the frames of groups, which are as high in all columns."""
        frames: dict[str, tuple[float, float]] = {}
        for column in self.columns:
            for item in column:
                for path in outer_groups(item.group)[:1]:
                    low, high = frames.get(path, (y[item.name], y[item.name]))
                    depth = item.group.count("/") + 1
                    top, bottom = item.high / 2.0 + depth * FRAME_TOP, item.high / 2.0 + depth * FRAME
                    frames[path] = min(low, y[item.name] - top), max(high, y[item.name] + bottom)
        for column, offset in zip(self.columns, offsets, strict=True):
            apart = [0.0]
            for k, (above, below) in enumerate(pairwise(column)):
                room = offset[k + 1] - offset[k]
                if above.group and not below.group:
                    room = frames[outer_groups(above.group)[0]][1] - y[above.name] + below.high / 2.0 + APART / 2.0
                elif below.group and not above.group:
                    room = y[below.name] - frames[outer_groups(below.group)[0]][0] + above.high / 2.0 + APART / 2.0
                apart.append(apart[-1] + room)
            y |= _settled(column, [y[item.name] for item in column], apart)

    # ---- places ------------------------------------------------------------------------------------------------------

    def layout(self) -> Layout:
        nodes: dict[str, Box] = {}
        starts: list[float] = []  # of each column: where its lanes begin
        ends: list[float] = []  # and where its widest node ends
        x = 0.0
        for k, column in enumerate(self.columns):
            arriving = [e for item in column for e in self.into[item.name]]
            texts = max((self.labels.edges[e.id].width for e in arriving), default=0.0)
            tags = max((self.tags[e.id] for e in arriving if e.id in self.tags), default=0.0)
            led = [abs(self.y[each] - self.y[item.name]) for item in column for each in self.near[item.name][0]]
            x += min(BEND + 5.0 * len(led), 150.0, BEND / 2.0 + max(led, default=0.0)) if k else 0.0
            starts.append(x)
            x += texts + tags + 10.0 + ARROW if arriving else 0.0
            wide = max(item.wide for item in column)
            for item in column:
                if item.wide:
                    own = wide if self.into[item.name] else item.wide
                    nodes[item.name] = Box(x + wide / 2.0, self.y[item.name], own, round(item.high, 1))
            x += wide
            ends.append(x)
        edges: dict[str, Curve] = {}
        for name, box in nodes.items():
            edges |= self.curves(name, box, nodes, starts, ends)
        edges |= self.ways_around(nodes)
        clusters = {
            str(k + 1): frame
            for k, path in enumerate(self.picture.groups)
            if (frame := self.frame(path, nodes)) is not None
        }
        return self.shifted(nodes, edges, clusters)

    def curves(
        self, name: str, box: Box, nodes: dict[str, Box], starts: list[float], ends: list[float]
    ) -> Iterable[tuple[str, Curve]]:
        """The edges that come into a node, from the top in the order of where they come from."""
        arriving = self.into[name]
        middle = (len(arriving) - 1) / 2.0

        def height(each: tuple[int, Edge]) -> tuple[float, int]:
            k, e = each
            return (box.y + (k - middle) * self.lane if e.id in self.tags else self.y[self.route[e.id][-2]]), k

        left, space = box.x - box.width / 2.0, self.spacing(name)
        texts = max((self.labels.edges[e.id].width for e in arriving), default=0.0)
        for k, (_, e) in enumerate(sorted(enumerate(arriving), key=height)):
            label, y = self.labels.edges[e.id], box.y + (k - middle) * space
            tip, base = (left, y), (left - ARROW, y)
            tag = None
            if e.id in self.tags:
                wide = self.tags[e.id]
                x = base[0] - texts - 8.0
                tag = Box(x - wide / 2.0, y, wide, TAG)
                points = _straight((x, y), base)
            else:
                points = self.path(e, nodes, starts, ends, base)
            place = (base[0] - 3.0 - label.width / 2.0, y - label.height / 2.0 - 0.5) if label.lines else None
            yield e.id, Curve(points, tip, place, tag)

    def ways_around(self, nodes: dict[str, Box]) -> Iterable[tuple[str, Curve]]:
        """The edges that lead to the next step: below everything, from the result to where it is taken up."""
        y = max(box.y + box.height / 2.0 for box in nodes.values()) + 14.0
        for k, e in enumerate(self.around):
            source, target, label = nodes[e.source], nodes[e.target], self.labels.edges[e.id]
            end, tip = (source.x + source.width / 2.0, source.y), (target.x - target.width / 2.0, target.y)
            behind, before = (
                [nodes[item.name] for item in self.columns[self.rank[each]] if item.wide]
                for each in (e.source, e.target)
            )
            right = max(box.x + box.width / 2.0 for box in behind) + 12.0 + 5.0 * k
            left = min(box.x - box.width / 2.0 for box in before) - ARROW - 12.0 - 5.0 * k
            corners = [(right, end[1]), (right, y), (left, y), (left, tip[1])]
            points = _rounded([end, *corners, (tip[0] - ARROW, tip[1])])
            yield e.id, Curve(points, tip, ((left + right) / 2.0, y + label.height / 2.0) if label.lines else None)
            y += label.height + 6.0

    def path(self, e: Edge, nodes: dict[str, Box], starts: list[float], ends: list[float], base: Point) -> list[Point]:
        """From the source by way of the columns between to the lane before the target, and along it."""
        source, rank = nodes[e.source], self.rank[e.source]
        points: list[Point] = [(source.x + source.width / 2.0, source.y)]
        points += _straight(points[0], (ends[rank], source.y))[1:]
        for k, stop in enumerate(self.route[e.id][1:-1], rank + 1):
            points += _bent(points[-1], (starts[k], self.y[stop]))
            points += _straight(points[-1], (ends[k], self.y[stop]))[1:]
        points += _bent(points[-1], (starts[self.rank[e.target]], base[1]))
        return points + _straight(points[-1], base)[1:]

    def frame(self, path: str, nodes: dict[str, Box]) -> Frame | None:
        """A frame around a group, where nothing else is inside of it."""
        around = max(n.group.count("/") for n in self.picture.nodes if f"{n.group}/".startswith(f"{path}/"))
        around -= path.count("/")
        side, above = FRAME * (around + 1), FRAME_TOP * (around + 1)
        inside = {n.id for n in self.picture.nodes if n.group == path or n.group.startswith(f"{path}/")}
        boxes = [nodes[each] for each in inside]
        x1, x2 = min(b.x - b.width / 2.0 for b in boxes) - side, max(b.x + b.width / 2.0 for b in boxes) + side
        y1, y2 = min(b.y - b.height / 2.0 for b in boxes) - above, max(b.y + b.height / 2.0 for b in boxes) + side
        for name, b in nodes.items():
            beside = abs(b.x - (x1 + x2) / 2.0) * 2.0 >= b.width + x2 - x1
            if name not in inside and not beside and abs(b.y - (y1 + y2) / 2.0) * 2.0 < b.height + y2 - y1:
                return None
        return x1, y1, x2, y2

    def shifted(self, nodes: dict[str, Box], edges: dict[str, Curve], frames: dict[str, Frame]) -> Layout:
        """All of it to the right and downwards, so that nothing is left of 0 or above; mirrored for "RL"."""
        boxes = [*nodes.values(), *(c.tag for c in edges.values() if c.tag is not None)]
        texts = [(c.label, self.labels.edges[name]) for name, c in edges.items() if c.label is not None]
        boxes += [Box(*place, label.width, label.height) for place, label in texts]
        boxes += [Box(*p, 0.0, 0.0) for e in self.around for p in edges[e.id].points]
        ends = [(b.x - b.width / 2.0, b.y - b.height / 2.0, b.x + b.width / 2.0, b.y + b.height / 2.0) for b in boxes]
        lefts, tops, rights, lows = zip(*ends, *frames.values(), strict=True)
        left, top, right, low = min(lefts), min(tops), max(rights), max(lows)
        flip = self.picture.direction == "RL"

        def moved(x: float, y: float) -> Point:
            return round(right - x if flip else x - left, 1), round(y - top, 1)

        def box(b: Box) -> Box:
            return Box(*moved(b.x, b.y), b.width, b.height)

        def curve(c: Curve) -> Curve:
            label, tag = c.label and moved(*c.label), c.tag and box(c.tag)
            return Curve([moved(*p) for p in c.points], moved(*c.tip), label, tag)

        def frame(x1: float, y1: float, x2: float, y2: float) -> Frame:
            return (*moved(x2 if flip else x1, y1), *moved(x1 if flip else x2, y2))

        return Layout(
            round(right - left, 1),
            round(low - top, 1),
            {name: box(b) for name, b in nodes.items()},
            {name: curve(c) for name, c in edges.items()},
            {name: frame(*each) for name, each in frames.items()},
        )


def _ranks(picture: Picture) -> tuple[dict[str, int], dict[str, int]]:
    """The column of each node: of an operation, its level; of an input, the one before the first that uses it. And by
    edge, how many columns its ends are apart at least.

    The weights of a neuron stand in a column of their own, behind what goes into it.
    """
    group = {n.id: n.group for n in picture.nodes}
    at = {n.id: k for k, n in enumerate(picture.nodes)}
    targets = {e.target for e in picture.edges}
    weighed = {e.target for e in picture.edges if e.source not in targets and group[e.source] == group[e.target] != ""}
    inner = [n for n in picture.nodes if n.id in targets]
    index = {n.id: k for k, n in enumerate(inner)}
    apart = {
        e.id: 2 if e.target in weighed and not f"{group[e.target]}/".startswith(f"{group[e.source] or '/'}/") else 1
        for e in picture.edges
    }
    operands: list[list[tuple[int, int]]] = [[] for _ in inner]
    for e in picture.edges:
        if e.source in index and at[e.source] < at[e.target]:
            operands[index[e.target]].append((index[e.source], apart[e.id]))
    early = [index[n.id] for n in inner if n.weights or n.id in weighed]
    rank = {n.id: level + 2 for n, level in zip(inner, levels(operands, early), strict=True)}
    first: dict[str, int] = {}
    for e in picture.edges:
        if e.source not in index:
            first[e.source] = min(first.get(e.source, rank[e.target]), rank[e.target] - apart[e.id])
    rank |= {n.id: first.get(n.id, 0) for n in picture.nodes if n.id not in index}
    used = {each: k for k, each in enumerate(sorted(set(rank.values())))}
    return {name: used[each] for name, each in rank.items()}, apart


def _grouped(means: dict[_Item, float]) -> dict[_Item, list[tuple[float, str]]]:
    """What to sort by, so that those of a group stand side by side, inner groups too: the means of all around each."""
    of_group: dict[str, list[float]] = defaultdict(list)
    for item, mean in means.items():
        for path in outer_groups(item.group):
            of_group[path].append(mean)
    middle = {path: round(sum(each) / len(each), 6) for path, each in of_group.items()}
    return {
        item: [*((middle[path], path) for path in outer_groups(item.group)), (mean, "")] for item, mean in means.items()
    }


def _offsets(column: Sequence[_Item]) -> list[float]:
    """How far below the first each item is at least: with room between them, and for the frames of groups."""
    offset = [0.0]
    for above, below in pairwise(column):
        mine, theirs = outer_groups(above.group), outer_groups(below.group)
        shared = sum(a == b for a, b in zip(mine, theirs, strict=False))
        frames = FRAME * (len(mine) - shared) + FRAME_TOP * (len(theirs) - shared)
        offset.append(offset[-1] + (above.high + below.high) / 2.0 + APART + frames)
    return offset


def _settled(column: Sequence[_Item], wanted: Sequence[float], offset: Sequence[float]) -> dict[str, float]:
    """The places nearest to those wanted, in weighted least squares, that keep the order and leave room: adjacent
    violators are pooled."""
    pools: list[tuple[float, float, int]] = []  # the sum of their wishes, their weight, and of how many
    for item, wish, by in zip(column, wanted, offset, strict=True):
        weight = HELD if item.group else 1.0
        pool = (wish - by) * weight, weight, 1
        while pools and pools[-1][0] / pools[-1][1] >= pool[0] / pool[1]:
            last = pools.pop()
            pool = last[0] + pool[0], last[1] + pool[1], last[2] + pool[2]
        pools.append(pool)
    places = [total / weight for total, weight, count in pools for _ in range(count)]
    return {item.name: place + by for item, place, by in zip(column, places, offset, strict=True)}


def _bent(a: Point, b: Point) -> list[Point]:
    """What a curve adds to its points on the way from a to b, level at both ends."""
    half = (b[0] - a[0]) / 2.0
    return [(a[0] + half, a[1]), (b[0] - half, b[1]), b]


def _straight(a: Point, b: Point) -> list[Point]:
    return [a, _toward(a, b, 1.0 / 3.0), _toward(b, a, 1.0 / 3.0), b]


def _toward(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _rounded(stops: Sequence[Point]) -> list[Point]:
    """The way from the first to the last of these by straight lines, its corners round."""
    points = [stops[0]]
    for before, corner, behind in zip(stops, stops[1:], stops[2:], strict=False):
        ends = [_toward(corner, each, min(0.5, 8.0 / (dist(corner, each) or 8.0))) for each in (before, behind)]
        points += [*_straight(points[-1], ends[0])[1:], corner, corner, ends[1]]
    return points + _straight(points[-1], stops[-1])[1:]
