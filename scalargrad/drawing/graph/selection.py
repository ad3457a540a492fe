"""The recorded graph by position, and which part of it a picture shows.

What to show is decided on bare positions, without a text or a number: so a graph of a million values can be cut and
folded before anything is made for the few that are drawn.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import accumulate
from posixpath import commonprefix
from typing import Any, NamedTuple

from ...engine.chain_rule import topological_order
from ...engine.value import Value
from .folding import Neuron, components, is_neuron, is_weight, neurons, repeats

READABLE, MOST_STEPS = 25, 60  # nodes: of more, neurons are folded; and the steps of a recurrence
WIDE, MOST_NEURONS = 4, 40  # in a layer of more neurons those in the middle are folded; of more in all, whole groups
EVERYTHING = 200  # up to so many drawn nodes, edges have labels; more than this many are never drawn of a larger graph
UNLABELLED = 2000  # up to so many values are drawn one by one
NEAR, BANDS = 5, 10  # of a graph too large to be read: levels drawn one by one, blocks along the rest of its depth
HIDDEN = -1
Groups = Mapping[str, Iterable[Value]]


class Graph:
    """Values by position, operands before what is computed from them."""

    def __init__(self, roots: Sequence[Value]) -> None:
        self.values: list[Value] = topological_order(roots)[::-1]
        self.position: dict[Value, int] = {v: i for i, v in enumerate(self.values)}
        position = self.position
        self.operands: list[tuple[int, ...]] = [tuple([position[p] for p in v.parents]) for v in self.values]
        self.roots = sorted({position[v] for v in roots})

    @cached_property
    def consumers(self) -> list[list[tuple[int, int]]]:
        """Who uses a value, as (position, operand slot), in the order in which `backward()` adds up what they bring."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.values]
        for i in range(len(self.values) - 1, -1, -1):
            for slot, j in enumerate(self.operands[i]):
                found[j].append((i, slot))
        return found

    def at(self, value: Any, option: str) -> int:
        """The position of a value that an option names."""
        if not isinstance(value, Value):
            raise TypeError(f"draw: {option} takes a Value, got {type(value).__name__}")
        if value not in self.position:
            raise ValueError(f"draw: {option}: {value!r} is not part of the graph that is drawn")
        return self.position[value]

    def within(self, starts: Iterable[int], hops: int, up: bool, down: bool) -> set[int]:
        """Positions at most so many edges away: towards the operands (down), the consumers (up), or both."""
        seen = rim = set(starts)
        for _ in range(hops):
            near = {j for i in rim for j in self.operands[i]} if down else set()
            near |= {k for i in rim for k, _ in self.consumers[i]} if up else set()
            rim = near - seen
            if not rim:
                break
            seen = seen | rim
        return seen


def group_paths(graph: Graph, given: Groups | None) -> list[str] | None:
    """The group of each value, as "layer1/neuron0"; None where there are no groups at all.

    Values are given groups by `with group(...)` while they are recorded, or by the option `groups`. An input or
    constant that has none is counted to the group that alone uses it; but what goes into a neuron stays outside of it.
    """
    paths = [_path(v.group) for v in graph.values]
    for path, members in (given or {}).items():
        if not isinstance(path, str) or not path.strip("/"):
            raise ValueError(f"draw: groups: a group's name is a str such as 'layer1/neuron0', got {path!r}")
        for v in members:
            paths[graph.at(v, f"groups[{path!r}]")] = _path(path)
    if not any(paths):
        return None
    for i in range(len(paths)):
        if not paths[i] and not graph.operands[i]:
            users = {paths[k] for k, _ in graph.consumers[i]}
            if any(map(is_neuron, users)):  # what goes into a neuron stays outside; a bias' 1 is the layer's
                paths[i] = _common(users) if is_weight(graph, i) else ""
            elif len(users) == 1:
                paths[i] = users.pop()
    return paths


def _common(paths: Iterable[str]) -> str:
    """The innermost group that all of these are in."""
    return "/".join(commonprefix([path.split("/") for path in paths]))


def _path(name: str) -> str:
    return "/".join([part for part in name.split("/") if part]) if name else ""


class Block(NamedTuple):
    """Values that are drawn as one node."""

    name: str
    members: list[int]
    is_group: bool
    group: str = ""  # that it is in, where its name does not say so


class Selection(NamedTuple):
    """What is drawn: `place[i]` is `i` for a value of its own, `-2 - k` for one in block `k`, or `HIDDEN`."""

    place: list[int]
    blocks: list[Block]
    groups: list[str] | None
    notes: list[str]
    neurons: dict[int, Neuron]  # by output, of those that are drawn as one operation: the rest of them is hidden

    def drawn_with(self) -> list[int]:
        """As `place`, with what is inside of a neuron where its output is."""
        place = self.place[:]
        for output, neuron in self.neurons.items():
            for i in neuron.inner:
                place[i] = self.place[output]
        return place


def select(
    graph: Graph,
    *,
    depth: int | None = None,
    focus: Value | None = None,
    hops: int = 2,
    path: tuple[Value, Value] | None = None,
    collapse: bool | str | Iterable[str] | None = None,
    groups: Groups | None = None,
    full: bool = False,
) -> Selection:
    """Cut the graph to what the options ask for, fold groups, and fold what is still too much to be read."""
    total = len(graph.values)
    shown = _cut(graph, depth, focus, hops, path)
    notes = []
    if len(shown) < total:
        options = ((f"depth={depth}", depth), (f"focus, hops={hops}", focus), ("path", path))
        kept = ", ".join([text for text, given in options if given is not None])
        notes.append(f"{len(shown):,} of {total:,} values drawn ({kept})")
    paths = group_paths(graph, groups)
    place = [i if i in shown else HIDDEN for i in range(total)]
    blocks: list[Block] = []
    drawn: dict[int, Neuron] = {}
    if paths is None and collapse not in (None, False, True):
        raise ValueError(
            "draw: collapse names groups, but the graph has none; see scalargrad.group and the option groups"
        )
    by_itself = collapse is None and not full
    if by_itself and READABLE < len(shown) == total:
        drawn = _fold_to_read(graph, paths or [""] * total, place, blocks, notes)
    if paths is not None and not drawn and not blocks:
        folded = _groups_to_fold(paths, shown, collapse, full)
        _fold_groups(paths, folded, place, blocks)
        if folded and by_itself:
            count = sum(len(b.members) for b in blocks)
            notes.append(f"{count:,} values folded into {len(blocks)} groups (collapse=False unfolds them)")
    single = [i for i in range(total) if place[i] == i]
    if not full and len(single) + len(blocks) > UNLABELLED:
        before = len(blocks)
        _fold_bands(graph, single, place, blocks, EVERYTHING - before)
        count = sum(len(b.members) for b in blocks[before:])
        notes.append(f"{count:,} of {total:,} values folded into {len(blocks) - before} blocks (full=True draws all)")
    return Selection(place, blocks, paths, notes, drawn)


def _cut(graph: Graph, depth: int | None, focus: Value | None, hops: int, path: tuple[Value, Value] | None) -> set[int]:
    shown = set(range(len(graph.values)))
    if depth is not None:
        shown &= graph.within(graph.roots, depth, up=False, down=True)
    if focus is not None:
        shown &= graph.within([graph.at(focus, "focus")], hops, up=True, down=True)
    if path is not None:
        (start, end), limit = (graph.at(v, "path") for v in path), len(graph.values)
        between = graph.within([start], limit, up=True, down=False) & graph.within([end], limit, up=False, down=True)
        if not between:
            raise ValueError(f"draw: path: {path[1]!r} does not depend on {path[0]!r}")
        shown &= between
    return shown


# ---- groups ----------------------------------------------------------------------------------------------------------


def outer_groups(path: str) -> list[str]:
    """A group and those around it, the outermost first.

    >>> outer_groups("layer1/neuron0")
    ['layer1', 'layer1/neuron0']
    """
    return list(accumulate(path.split("/"), "{}/{}".format)) if path else []


def _groups_to_fold(
    paths: list[str], shown: set[int], collapse: bool | str | Iterable[str] | None, full: bool
) -> set[str]:
    known = {each for path in set(paths) for each in outer_groups(path)}
    outermost = {each for each in known if "/" not in each}
    if collapse is None:
        return outermost if len(shown) > EVERYTHING and not full else set()
    if isinstance(collapse, bool):
        return outermost if collapse else set()
    wanted = [collapse] if isinstance(collapse, str) else list(collapse)
    folded = set()
    for pattern in wanted:
        matching = {each for each in known if each == pattern or fnmatchcase(each, pattern)}
        if not matching:
            raise ValueError(f"draw: collapse: no group {pattern!r}; the groups are {', '.join(sorted(known)[:20])}")
        folded |= matching
    return folded


def _fold_groups(paths: list[str], folded: set[str], place: list[int], blocks: list[Block]) -> None:
    block_of: dict[str, int] = {}
    outermost: dict[str, str] = {}  # of each path, the outermost group to fold, or ""
    for i, path in enumerate(paths):
        if path not in outermost:
            outermost[path] = next((each for each in outer_groups(path) if each in folded), "")
        name = outermost[path]
        if name and place[i] != HIDDEN:
            if name not in block_of:
                block_of[name] = len(blocks)
                blocks.append(Block(name, [], True))
            place[i] = -2 - block_of[name]
            blocks[block_of[name]].members.append(i)


# ---- networks and recurrences ----------------------------------------------------------------------------------------


def _fold_neurons(graph: Graph, found: Iterable[Neuron], place: list[int]) -> dict[int, Neuron]:
    """Hide all of these neurons but their outputs, and what weights and biases are theirs."""
    drawn = {each.inner[-1]: each for each in found if all(place[i] == i for i in each.inner)}
    owned = {i for each in drawn.values() for i in each.inner}
    for i in owned.difference(drawn):
        place[i] = HIDDEN
    for i, used in enumerate(graph.consumers if drawn else ()):
        if used and is_weight(graph, i) and owned.issuperset([k for k, _ in used]):
            place[i] = HIDDEN
    return drawn


def _fold_to_read(
    graph: Graph, paths: list[str], place: list[int], blocks: list[Block], notes: list[str]
) -> dict[int, Neuron]:
    """Fold neurons, and what repeats, where that leaves little enough to be read; else fold nothing."""
    before, drawn = place[:], dict[int, Neuron]()
    names = {path for path in paths if is_neuron(path)}
    if names:
        drawn = _fold_neurons(graph, neurons(graph, paths, names), place)
    for fold, most in ((_wide_layers, READABLE), (_repeats, MOST_STEPS)):
        for block in fold(graph, paths, place, drawn) if _count(place) > most else ():
            for i in block.members:
                place[i] = -2 - len(blocks)
                drawn.pop(i, None)
            blocks.append(block)
    if max(len(drawn), len(blocks)) > MOST_NEURONS or not (drawn or blocks) or _count(place) + len(blocks) < 2:
        place[:] = before
        blocks.clear()
        return {}
    count = len(place) - _count(place) + len(drawn)
    what = [
        f"{len(each)} {kind}{'s' * (len(each) > 1)}" for kind, each in (("neuron", drawn), ("block", blocks)) if each
    ]
    notes.append(f"{count:,} of {len(place):,} values folded into {' and '.join(what)} (full=True draws all)")
    return drawn


def _count(place: list[int]) -> int:
    """How many values are drawn as themselves."""
    return sum(map(int.__eq__, place, range(len(place))))


def _wide_layers(graph: Graph, paths: list[str], place: list[int], drawn: Mapping[int, Neuron]) -> list[Block]:
    """Of each layer that is called once, the neurons between its first two and its last."""
    layers: dict[str, dict[str, list[int]]] = {}
    for i in drawn:
        layers.setdefault(paths[i].rpartition("/")[0], {}).setdefault(paths[i], []).append(i)
    found = []
    for path, each in layers.items():
        if len(each) > WIDE and all(len(calls) == 1 for calls in each.values()):
            middle = [drawn[i] for (i,) in each.values()][2:-1]
            members = [k for n in middle for k in (*n.weights, *n.inner)]
            found.append(Block(f"{len(middle)} more, {path.rpartition('/')[2]}", members, False, path))
    return found


def _repeats(graph: Graph, paths: list[str], place: list[int], drawn: Mapping[int, Neuron]) -> list[Block]:
    left = [i for i in range(len(place)) if place[i] == i]
    steps = [drawn[i].inner if i in drawn else (i,) for i in left if graph.operands[i]]
    found = repeats(graph, steps, [i for i in left if not graph.operands[i]])
    return [Block(name, members, False) for name, members in found]


# ---- too much to be read ---------------------------------------------------------------------------------------------
# The values nearest to the roots stay as they are. The rest is cut into bands by the longest way to a root; what hangs
# together within a band is one block. As every edge leads from a band to a later one or stays inside a block, the
# folded graph has no cycle.


def _fold_bands(graph: Graph, single: list[int], place: list[int], blocks: list[Block], room: int) -> None:
    inside = set(single)
    level = dict.fromkeys(single, 0)
    for i in reversed(single):
        for j in graph.operands[i]:
            if j in inside and level[j] <= level[i]:
                level[j] = level[i] + 1
    sizes = Counter(level.values())
    kept = last = 0
    while last < NEAR and last in sizes and kept + sizes[last] <= max(room // 4, 1):
        kept += sizes[last]
        last += 1
    rest = [i for i in single if level[i] >= last]
    # Bands of consecutive levels, with about as many values in each.
    before = accumulate([sizes[k] for k in range(last, len(sizes))], initial=0)
    band = {k: min(n * BANDS // len(rest), BANDS - 1) for k, n in enumerate(before, last)}
    of = {i: band[level[i]] for i in rest}
    groups = components(rest, lambda i: [j for j in graph.operands[i] if of.get(j) == of[i]])
    if len(groups) > max(room - kept, BANDS):
        groups = [[i for i in rest if of[i] == each] for each in dict.fromkeys(of.values())]
    for group in groups:
        if len(group) == 1:
            continue  # it is its own block: drawn as it is
        levels = [level[i] for i in group]
        low, high = min(levels), max(levels)
        for i in group:
            place[i] = -2 - len(blocks)
        title = f"level {low}" if low == high else f"levels {low}–{high}"
        blocks.append(Block(title, group, False))
