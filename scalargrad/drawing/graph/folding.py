"""What is folded so that a network reads as a network and a recurrence from left to right.

A neuron is drawn as one operation: its output, whose edges come from the neuron's inputs, each with its weight as the
local gradient. Of operations that repeat, step after step, the first and the last are drawn, and a block for those
between. All of it is found in time linear in the graph.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .selection import Graph

_NEURON = re.compile(r"(?:^|/)neuron(\d*)$")
_LAYER = re.compile(r"(?:^|/)layer(\d+)/neuron\d+$")
_WEIGHT = re.compile(r"\[\d+,\d+\]$")  # as parameters of networks are labelled, destination first
FEWEST = 4  # steps alike of which any are folded
_CANDIDATES, _APART = 12, 4  # periods that are tried; how many alike lie between the two that suggest one


class Neuron(NamedTuple):
    """The operations of a neuron, by position; the last is its output."""

    name: str  # "a1[2]": what comes out of neuron 2 of layer 1
    inner: tuple[int, ...]
    total: int | None  # the position of z, the sum of weights times inputs and bias, where that is one operation
    weights: tuple[int, ...]  # of the leaves that belong to it, the bias last where there is a `total`


def is_neuron(path: str) -> bool:
    """Whether a group's name is a neuron's."""
    return _NEURON.search(path) is not None


def _name(path: str) -> str:
    neuron, layer = _NEURON.search(path), _LAYER.search(path)
    assert neuron is not None
    return f"a{layer[1] if layer else ''}" + (f"[{neuron[1]}]" if neuron[1] else "")


def is_weight(graph: Graph, j: int) -> bool:
    """Whether a leaf is a weight, a bias, or the 1 that a bias is multiplied by, in every operation that uses it."""
    if graph.operands[j]:
        return False
    v = graph.values[j]
    for k, slot in graph.consumers[j]:
        name, count = graph.values[k].operation.name, len(graph.operands[k])
        if name == "dot":
            if slot < count // 2 and not (slot == count // 2 - 1 and v.is_constant and v.data == 1.0):
                return False
        elif not _WEIGHT.search(v.label):
            return False
    return bool(graph.consumers[j])


def neurons(graph: Graph, paths: Sequence[str], groups: Iterable[str]) -> Iterator[Neuron]:
    """The neurons among these groups, one for every call, where they have one output and are more than that."""
    wanted = set(groups)
    own = [i for i, path in enumerate(paths) if path in wanted and graph.operands[i]]
    roots = set(graph.roots)
    for inner in _parts(graph, own, paths):
        inside = set(inner)
        outputs = [i for i in inner if i in roots or any(k not in inside for k, _ in graph.consumers[i])]
        leaves = dict.fromkeys(j for i in inner for j in graph.operands[i] if is_weight(graph, j))
        if outputs == inner[-1:] and leaves:
            sums = [i for i in inner if graph.values[i].operation.name == "dot"]
            total = sums[0] if len(sums) == 1 else None
            kept = [j for j in leaves if not graph.values[j].is_constant]
            if total is not None and kept and graph.operands[total][-1] != kept[-1]:
                total = None
            yield Neuron(_name(paths[inner[-1]]), tuple(inner), total, tuple(kept))


def _parts(graph: Graph, own: Sequence[int], paths: Sequence[str]) -> list[list[int]]:
    """The operations of every call of a neuron: those of one group that hang together, except by what is weighted."""

    def near(i: int) -> list[int]:
        operands, name = graph.operands[i], graph.values[i].operation.name
        weighs = name in ("dot", "mul") and any(is_weight(graph, j) for j in operands)
        return [] if weighs else [j for j in operands if paths[j] == paths[i]]

    return components(own, near)


def components(nodes: Iterable[int], near: Callable[[int], Iterable[int]]) -> list[list[int]]:
    """The nodes by what hangs together, in their order; `near` names those before a node that it hangs with."""
    part: dict[int, list[int]] = {}
    for i in nodes:
        parts = {id(part[j]): part[j] for j in near(i) if j in part}
        largest = max(parts.values(), key=len, default=[])
        for other in parts.values():
            if other is not largest:
                largest += other
                part |= dict.fromkeys(other, largest)
        largest.append(i)
        part[i] = largest
    return [sorted(each) for each in {id(each): each for each in part.values()}.values()]


# ---- repeats ---------------------------------------------------------------------------------------------------------


def levels(operands: Sequence[Iterable[tuple[int, int]]], early: Collection[int] = ()) -> list[int]:
    """How far away from the inputs each operation is, given its operands among them, which stand before it, and how
    far each of these is away at least.

    What does not depend on anything that is used twice, nor on one of `early`, is as late as its consumer allows, so
    that what a step of a recurrence makes of its own inputs stands with that step.
    """
    level = [0] * len(operands)
    uses: list[list[tuple[int, int]]] = [[] for _ in operands]
    for k, each in enumerate(operands):
        for j, apart in each:
            level[k] = max(level[k], level[j] + apart)
            uses[j].append((k, apart))
    is_free = [False] * len(operands)
    for k, each in enumerate(operands):
        is_free[k] = len(uses[k]) == 1 and k not in early and all(is_free[j] for j, _ in each)
    for k in range(len(operands) - 1, -1, -1):
        if is_free[k]:
            ((consumer, apart),) = uses[k]
            level[k] = level[consumer] - apart
    return level


def _by_level(operands: list[list[int]], names: list[tuple[str, ...]]) -> list[int]:
    """The operations level by level; within one by what they are computed from, not by who was first."""
    by_level: dict[int, list[int]] = {}
    for k, at in enumerate(levels([[(j, 1) for j in each] for each in operands])):
        by_level.setdefault(at, []).append(k)
    at_of: dict[int, int] = {}
    for _, ks in sorted(by_level.items()):
        for k in sorted(ks, key=lambda k: (names[k], [at_of[j] for j in operands[k]])):
            at_of[k] = len(at_of)
    return list(at_of)


def _by_depth(operands: list[list[int]]) -> list[int]:
    """The operations each behind all that only it is computed from, the longest way first."""
    level = [0] * len(operands)
    for k, each in enumerate(operands):
        level[k] = max((level[j] + 1 for j in each), default=0)
    order: dict[int, None] = {}
    for top in range(len(operands) - 1, -1, -1):
        stack = [(top, iter(sorted(operands[top], key=level.__getitem__, reverse=True)))]
        while stack:
            k, left = stack[-1]
            j = next((j for j in left if j not in order), None)
            if j is None:
                order[k] = None
                stack.pop()
            else:
                stack.append((j, iter(sorted(operands[j], key=level.__getitem__, reverse=True))))
    return list(order)


class _Line:
    """The drawn operations in one order of computation, each with the operands that come from outside of it."""

    def __init__(
        self, steps: Sequence[Sequence[int]], used: list[list[int]], names: list[tuple[str, ...]], order: list[int]
    ) -> None:
        self.steps = [steps[k] for k in order]
        self.uses = [used[k] for k in order]
        self.index = {i: k for k, inner in enumerate(self.steps) for i in inner}
        self.first: dict[int, int] = {}  # of a leaf, the first operation that uses it
        for k, each in enumerate(self.uses):
            for j in each:
                self.first.setdefault(j, k)
        self.kinds = [
            (names[order[k]], tuple([k - self.index[j] if j in self.index else 0 for j in each]))
            for k, each in enumerate(self.uses)
        ]

    def alike(self, k: int, m: int) -> bool:
        """Whether two operations do the same, on operands as far behind them, or on the same or own leaves."""
        return self.kinds[k] == self.kinds[m] and all(
            i in self.index or i == j or k - self.first[i] == m - self.first[j]
            for i, j in zip(self.uses[k], self.uses[m], strict=True)
        )

    def runs(self, period: int) -> Iterator[tuple[int, int]]:
        """Where operations are followed by ones alike after so many: (first, behind the last of the last period)."""
        start = None
        for k in range(len(self.steps) - period + 1):
            if k < len(self.steps) - period and self.alike(k, k + period):
                start = k if start is None else start
            elif start is not None:
                if k - start >= (FEWEST - 1) * period:
                    yield start, k + period
                start = None

    def periods(self) -> list[int]:
        """Periods worth a try: how far operations of a kind are apart, the most frequent distances."""
        places: dict[object, list[int]] = {}
        for k, kind in enumerate(self.kinds):
            places.setdefault(kind, []).append(k)
        apart: Counter[int] = Counter()
        for each in places.values():
            for r in range(1, _APART + 1):
                apart.update([b - a for a, b in zip(each, each[r:], strict=False)])
        return sorted(period for period, _ in apart.most_common(_CANDIDATES))

    def cut(self, start: int, period: int) -> tuple[int, bool]:
        """Where a step begins: where the fewest results are handed on, and inputs are read; and whether any is."""
        last: dict[int, int] = {}
        for k in range(start, min(start + 3 * period, len(self.steps))):
            for j in self.uses[k]:
                if j in self.index:
                    last[self.index[j]] = k
        handed = {c: sum(a < c + period <= b for a, b in last.items()) for c in range(start, start + period)}

        def worse(c: int) -> tuple[int, bool, int]:
            reads = any(self.first.get(j) == c + period and j not in self.index for j in self.uses[c + period])
            return handed[c], not reads, c % period

        best = min(handed, key=worse)
        return best, handed[best] > 0


def repeats(graph: Graph, steps: Sequence[Sequence[int]], leaves: Iterable[int]) -> list[tuple[str, list[int]]]:
    """Steps of a recurrence, or what is alike side by side, to be folded: what to call them, and the operations with
    the leaves that are theirs. `steps` are the drawn operations in an order of computation, each with those inside it.
    """
    of = {i: k for k, inner in enumerate(steps) for i in inner}
    used = [[j for i in inner for j in graph.operands[i] if of.get(j) != k] for k, inner in enumerate(steps)]
    names = [tuple([graph.values[i].operation.name for i in inner]) for inner in steps]
    operands = [[of[j] for j in each if j in of] for each in used]
    found: list[tuple[int, int, int]] = []
    most, best = len(steps) // 3, None  # so many are to be like others
    for order in (_by_level(operands, names), _by_depth(operands)):
        line = _Line(steps, used, names, order)
        for period in line.periods():
            runs = [(a, b, period) for a, b in line.runs(period)]
            covered = sum(b - a for a, b, _ in runs)
            if covered > most:
                most, found, best = covered, runs, line
    return [] if best is None else _folded(graph, best, found, set(leaves))


def _folded(
    graph: Graph, line: _Line, found: Iterable[tuple[int, int, int]], drawn: Collection[int]
) -> list[tuple[str, list[int]]]:
    folded = []
    for start, end, period in found:
        begin, is_chain = line.cut(start, period)
        first = 0 if begin >= period else 1  # a step that stands before is drawn: it is the first
        count = (end - begin) // period - first - 1
        low = begin + period * first
        high = low + period * count
        inside = {i for k in range(low, high) for i in line.steps[k]}
        own = dict.fromkeys(j for k in range(low, high) for j in line.uses[k] if j in drawn)
        members = [j for j in own if all(k in inside for k, _ in graph.consumers[j])]
        folded.append((f"{count:,} more {'steps' if is_chain else 'alike'}", sorted([*members, *inside])))
    return folded
