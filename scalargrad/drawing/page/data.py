"""Both passes over a picture, put in order, and as data for the page's script: columns of numbers, texts, positions.

The page writes numbers as the picture does (`common/numbers.js`). What computes them anew, when an input is moved, is
in `live.py`.
"""

from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..common.text import Changed, clean, number, plain, shortened, width
from ..graph.formulas import formula
from ..graph.labels import ROW
from ..graph.picture import Node, Picture
from ..graph.replay import Replay, replay

PLACES = 0xF0000  # a plane of private letters
SEARCHED = 300  # columns of a label that can be searched
USUAL = -0.123  # about as wide as most numbers are; longer ones are squeezed


class Story(NamedTuple):
    """Both passes over one picture."""

    picture: Picture  # what is drawn: with the count of paths on every node that waits for several
    backward: Replay


def story_of(picture: Picture) -> Story:
    """Put a picture's passes in order."""
    backward = replay(picture)
    due = backward.due
    nodes = tuple(  # without the parts of neurons, which no step tells
        n._replace(
            arrived=(due[i], due[i]) if due.get(i, 0) > 1 and n.kind != "block" else None, parts=(), is_unfolded=False
        )
        for i, n in enumerate(picture.nodes)
    )
    return Story(picture._replace(nodes=nodes, active=""), backward)


def roomy(story: Story, live: bool = False) -> Picture:
    """The picture with the widest sum that each node ever shows, for a layout that holds at every step.

    With room for other numbers, too, where the inputs can be moved.
    """
    sums: dict[int, list[float | None]] = defaultdict(list)
    for step in story.backward.steps:
        sums[step.node].append(step.running)

    def widest(*numbers: float | None) -> float | None:
        return max([x for x in numbers if x is not None], key=lambda x: width(number(x), ROW), default=None)

    def usual(x: float | None) -> Any:
        return widest(x, USUAL) if live and x is not None else x

    def usual_flow(each: Any) -> Any:
        return each._replace(**{name: usual(getattr(each, name)) for name in ("upstream", "local", "contribution")})

    nodes = list(story.picture.nodes)
    for i, n in enumerate(nodes):
        if n.kind != "constant":
            gradient = None if n.gradient is None else usual(widest(n.gradient, *sums[i]))
            nodes[i] = n._replace(value=usual(n.value), gradient=gradient, paths=tuple(map(usual_flow, n.paths)))
    return story.picture._replace(nodes=tuple(nodes), edges=tuple(map(usual_flow, story.picture.edges)))


# ---- as data ---------------------------------------------------------------------------------------------------------


def to_data(story: Story, live: dict[str, Any] | str = "") -> dict[str, Any]:
    """The story as columns over nodes, edges and steps; what most of them lack is a dict by position.

    A number is one of JSON's, or the text of inf or nan; a range of them the smallest and the largest; one that has
    changed says what it was. `live` is what the page computes with, or why it does not.
    """
    (picture, backward), of = story, story.picture.of
    nodes, edges, steps = picture.nodes, picture.edges, backward.steps
    position = {n.id: k for k, n in enumerate(nodes)}
    patterns, pattern = _patterns(picture)
    shorts = [n.gradient_name.removeprefix(f"∂{of}/∂") if of else n.name for n in nodes]
    labels = [clean(shortened(n.label.strip(), SEARCHED)) for n in nodes]
    return {
        "live": live,
        "of": of,
        "patterns": patterns,
        "hasPass": picture.has_gradients,
        "roots": [k for k, n in enumerate(nodes) if n.is_root],
        "nodes": {
            "name": [n.name for n in nodes],
            "kind": "".join(n.kind[0] for n in nodes),  # input, parameter, operation, constant, block
            "formula": [n.formula for n in nodes],
            "pattern": pattern,
            "value": [_number(n.value) for n in nodes],
            "gradient": [_number(n.gradient_range if n.kind == "block" else n.gradient) for n in nodes],
            "short": {k: x for k, x in enumerate(shorts) if x not in (nodes[k].name, nodes[k].gradient_name)},
            "label": {k: x for k, x in enumerate(labels) if x not in ("", nodes[k].name)},
            "before": {k: [_number(b.gradient), b.origin] for k, b in backward.before.items()},
            "due": {k: due for k, due in backward.due.items() if due != 1},
            "outside": backward.outside,
        },
        "edges": {
            "source": [position[e.source] for e in edges],
            "target": [position[e.target] for e in edges],
            "slot": [e.slot for e in edges],
            "notation": [e.notation for e in edges],
            "local": [_number(e.local) for e in edges],
            "upstream": [_number(e.upstream) for e in edges],
            "brought": [_number(e.contributions or e.contribution) for e in edges],
            "merged": {k: e.merged for k, e in enumerate(edges) if e.local is None},
        },
        "backward": {
            "edge": [a.edge for a in steps],
            "arrived": [a.arrived for a in steps],
            "running": [_number(a.running) for a in steps],
            "row": [a.row for a in steps],
            "paths": {k: a.paths for k, a in enumerate(steps) if a.paths != 1},
        },
    }


def _number(x: Any) -> Any:
    return {"now": plain(float(x)), "before": plain(x.before)} if isinstance(x, Changed) else plain(x)


def _patterns(picture: Picture) -> tuple[list[tuple[str, int]], dict[int, int]]:
    """Operations as patterns, for which the operands' numbers are put in place of names; and which of them a node has,
    where all of its operands are drawn."""
    counts = Counter(e.target for e in picture.edges)
    folded = {e.target for e in picture.edges if e.local is None}
    patterns: dict[tuple[str, int], int] = {}
    found: dict[int, int] = {}
    for k, n in enumerate(picture.nodes):
        if n.kind == "operation" and n.members == 1 and not n.undrawn and n.id not in folded:
            found[k] = patterns.setdefault(_pattern_of(n, counts[n.id]), len(patterns))
    return list(patterns), found


def _pattern_of(node: Node, count: int) -> tuple[str, int]:
    """An operation on so many operands, each a private letter from PLACES on; and from which of them on a negative
    number is bracketed, as it stands between signs."""
    operation = SimpleNamespace(name=node.operation, symbol=node.symbol, arity=node.arity)
    pattern = formula(operation, [chr(PLACES + k) for k in range(count)])
    return pattern, count if "(" in pattern else int(pattern.startswith(f"{chr(PLACES)} "))
