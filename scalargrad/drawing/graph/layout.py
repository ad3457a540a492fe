"""Where everything stands; and what an engine makes of the picture's boxes, read and checked.

Whatever is drawn on a layout, once or step by step, has the same places.
"""

import json
from operator import is_not
from typing import Any, NamedTuple

from ..common.text import clean
from .layout_engines import LayoutError
from .picture import PATH_LINES, Picture

Point = tuple[float, float]
Frame = tuple[float, float, float, float]


class Box(NamedTuple):
    """Centre, width and height."""

    x: float
    y: float
    width: float
    height: float


class Curve(NamedTuple):
    """An edge: Bézier control points, the arrow's tip, the middle of its label, and the tag that stands for its source
    where that is far away."""

    points: list[Point]
    tip: Point
    label: Point | None
    tag: Box | None = None


class Layout(NamedTuple):
    """Where everything is, in points, in whole tenths of them, y downwards."""

    width: float
    height: float
    nodes: dict[str, Box]
    edges: dict[str, Curve]
    clusters: dict[str, Frame]


def read_layout(output: bytes, picture: Picture, engine: str) -> Layout:
    """Read what an engine wrote for `to_boxes`, and see that nothing of the picture is missing."""
    try:
        made = _parsed(output)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        start = output[:60].decode(errors="replace")
        raise LayoutError(
            f"{engine} wrote {clean(start)!r}, which is no layout ({type(error).__name__}): is it Graphviz's dot?"
        ) from error
    names = {n.id: n.name for n in picture.nodes}
    lost = [f"node {n.id} ({n.name})" for n in picture.nodes if n.id not in made.nodes]
    lost += [f"edge {e.id} ({names[e.source]} → {names[e.target]})" for e in picture.edges if e.id not in made.edges]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise LayoutError(
            f"{engine} lost {', '.join(lost[:5])}{more} while laying out {len(names)} nodes; "
            "try labels='none', or another engine by $SCALARGRAD_DOT"
        )
    return made


def _parsed(output: bytes) -> Layout:
    found: dict[str, Any] = json.loads(output)
    left, bottom, right, top = map(float, found.get("bb", "0,0,0,0").split(","))

    def point(text: str) -> Point:
        x, y = text.split(",")[-2:]
        return round(float(x) - left, 1), round(top - float(y), 1)

    nodes: dict[str, Box] = {}
    clusters: dict[str, Frame] = {}
    for each in found.get("objects", ()):
        if "pos" in each:
            x, y = point(each["pos"])
            wide, high = round(72.0 * float(each["width"]), 1), round(72.0 * float(each["height"]), 1)
            nodes[each["name"]] = Box(x, y, wide, high)
        elif each["name"].startswith("cluster_") and "bb" in each:
            x1, y1, x2, y2 = map(float, each["bb"].split(","))
            x1, y1, x2, y2 = (round(x, 1) for x in (x1 - left, top - y2, x2 - left, top - y1))
            clusters[each["name"][8:]] = x1, y1, x2, y2
    edges: dict[str, Curve] = {}
    for each in found.get("edges", ()):
        pieces = each.get("pos", "").split(";")[0].split()
        tip = next((point(p) for p in pieces if p.startswith("e")), None)
        points = [point(p) for p in pieces if p[0] not in "es"]
        if len(points) >= 4:
            edges[each["id"]] = Curve(points, tip or points[-1], point(each["lp"]) if "lp" in each else None)
    return Layout(round(right - left, 1), round(top - bottom, 1), nodes, edges, clusters)


def as_laid_out(picture: Picture, layout: Layout) -> Picture:
    """The picture with the paths of every node in the order in which their edges leave it, from the top or the left."""
    across = 1 if picture.direction in ("LR", "RL") else 0
    nodes = list(picture.nodes)
    for k, n in enumerate(picture.nodes):
        if 1 < len(n.paths) <= PATH_LINES and all(p.edge in layout.edges for p in n.paths):
            ends = {p.edge: (layout.edges[p.edge].points[0][across], layout.edges[p.edge].tip[across]) for p in n.paths}
            nodes[k] = n._replace(paths=tuple(sorted(n.paths, key=lambda p, ends=ends: ends[p.edge])))  # type: ignore[misc]
    return picture._replace(nodes=tuple(nodes)) if any(map(is_not, nodes, picture.nodes)) else picture
