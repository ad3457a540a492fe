"""From a recorded graph to what a picture says: names, formulas, local gradients, contributions.

Apart from `picture.py`, because this is where `Value`s are read; what is read off them is plain from there on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite

from ...engine.chain_rule import edge_product
from ...engine.value import Value
from ..common.style import edge_size
from ..common.text import clean, number, shortened
from .formulas import formula, notations
from .picture import Edge, Node, Path, Picture
from .selection import EVERYTHING, HIDDEN, UNLABELLED, Graph, Selection, outer_groups

NAME_LIMIT = 16  # columns of a name inside a formula
LABEL_LIMIT = 32  # columns of a name where it stands alone
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class _Names:
    """What values are called: their label, a constant's number, or v₁, v₂, ... in the order of computation."""

    def __init__(self, graph: Graph) -> None:
        self.values = graph.values
        self.counts: list[int] = []
        k = 0
        for v in graph.values:
            k += not v.label.strip() and not v.is_constant
            self.counts.append(k)

    def __call__(self, i: int, limit: int = NAME_LIMIT) -> str:
        v = self.values[i]
        label = v.label.strip()
        if label:
            return clean(shortened(label, limit))
        return number(v.data) if v.is_constant else f"v{self.counts[i]}".translate(_SUBSCRIPTS)


def gradient_of(value: Value) -> float | None:
    """The value's gradient as a float; None where no backward pass has reached it."""
    if not value.has_gradient:
        return None
    return float(getattr(value.grad, "data", value.grad))


# ---- making a picture ------------------------------------------------------------------------------------------------


def make_picture(
    graph: Graph,
    selection: Selection,
    *,
    labels: str | None = None,
    direction: str = "LR",
    title: str = "",
    parameters: Sequence[Value] | None = None,
) -> Picture:
    """Put everything that the selected part of a graph says into plain data."""
    return _Maker(graph, selection, labels, direction, title, parameters).picture()


class _Maker:
    def __init__(
        self,
        graph: Graph,
        selection: Selection,
        labels: str | None,
        direction: str,
        title: str,
        parameters: Sequence[Value] | None,
    ) -> None:
        self.graph = graph
        self.selection = selection
        self.direction = direction
        self.title = title
        self.names = _Names(graph)
        self.parameters = None if parameters is None else set(parameters)
        self.drawn = [i for i, place in enumerate(selection.place) if place == i]
        count = len(self.drawn) + len(selection.blocks)
        self.labels = labels or ("local" if count <= EVERYTHING else "none")
        self.is_compact = count > UNLABELLED
        self.locals: dict[int, tuple[float, ...]] = {}
        self.roots = graph.roots
        root = graph.values[self.roots[0]]
        # Where the last pass began, or before any, gradients are derivatives of the root by name.
        begins = len(self.roots) == 1 and (
            (root.has_gradient and gradient_of(root) == 1.0) or all(not v.has_gradient for v in graph.values)
        )
        self.of = self.names(self.roots[0], 10) if begins else ""

    def picture(self) -> Picture:
        nodes = [self.node(i) for i in self.drawn]
        blocks = [self.block(k) for k in range(len(self.selection.blocks))]
        order = {n.id: i for n, i in zip(nodes, self.drawn, strict=True)}
        order |= {n.id: b.members[0] for n, b in zip(blocks, self.selection.blocks, strict=True)}
        everything = sorted([*nodes, *blocks], key=lambda n: order[n.id])
        edges = tuple(self.edges())
        notes = list(self.selection.notes)
        stale = sum(n.is_stale for n in nodes)
        if stale:
            notes.append(f"⚠ {stale} stale: data was changed after recording; run the forward pass again")
        groups = {each for n in everything for each in outer_groups(n.group)}
        return Picture(
            title=self.title,
            name=", ".join(self.names(i, LABEL_LIMIT) for i in self.roots[:4]),
            description=self.description(),
            nodes=tuple(everything),
            edges=edges,
            groups=tuple(sorted(groups)),
            notes=tuple(notes),
            total=len(self.graph.values),
            labels=self.labels,
            direction=self.direction,
            is_compact=self.is_compact,
            largest=max((edge_size(e) for e in edges), default=0.0),
        )

    # ---- nodes -------------------------------------------------------------------------------------------------------

    def node(self, i: int) -> Node:
        v = self.graph.values[i]
        operands = self.graph.operands[i]
        place = self.selection.place
        group = "" if self.selection.groups is None else self.selection.groups[i]
        gradient = gradient_of(v)
        elsewhere = None
        if v.is_constant:
            kind = "constant"
            paths: tuple[Path, ...] = ()
        else:
            leaf = "input" if self.parameters is not None and v not in self.parameters else "parameter"
            kind = leaf if v.is_leaf else "operation"
            paths = self.paths(i)
            elsewhere = self.elsewhere(i, gradient, paths)
        return Node(
            id=f"n{i + 1}",
            kind=kind,
            name=self.names(i, LABEL_LIMIT),
            label=v.label,
            operation=v.operation.name if operands else "",
            symbol=clean(v.operation.symbol) if operands else "",
            formula=formula(v.operation, [self.names(j) for j in operands]) if operands else "",
            value=v.data,
            gradient=gradient,
            gradient_name=f"∂{self.of}/∂{self.names(i, 10)}" if self.of and elsewhere is None else "gradient",
            paths=paths if len(paths) > 1 else (),
            elsewhere=elsewhere,
            group=group,
            undrawn=sum(place[j] == HIDDEN for j in operands),
            is_root=i in self.roots,
            is_stale=self.is_stale(i),
        )

    def paths(self, i: int) -> tuple[Path, ...]:
        found = []
        for k, slot in self.graph.consumers[i]:
            upstream = gradient_of(self.graph.values[k])
            if upstream is not None:
                local = self.local(k)[slot]
                brought = edge_product(self.graph.values[k].operation, slot, upstream, local)
                place = self.selection.place[k]
                block = clean(shortened(self.selection.blocks[-2 - place].name, NAME_LIMIT)) if place < -1 else ""
                found.append(Path(f"e{k + 1}_{slot + 1}", self.names(k, 10), upstream, local, brought, block))
        return tuple(found)

    def elsewhere(self, i: int, gradient: float | None, paths: tuple[Path, ...]) -> float | None:
        if gradient is None or i in self.roots or any(self.is_stale(k) for k, _ in self.graph.consumers[i]):
            return None
        total = sum((p.contribution for p in paths), 0.0)
        rest = gradient - total
        scale = max([abs(gradient), *(abs(p.contribution) for p in paths)])
        return rest if isfinite(rest) and abs(rest) > 1e-12 * scale else None

    def local(self, i: int) -> tuple[float, ...]:
        if i not in self.locals:
            self.locals[i] = tuple(float(getattr(d, "data", d)) for d in self.graph.values[i].local_gradients)
        return self.locals[i]

    def is_stale(self, i: int) -> bool:
        v = self.graph.values[i]
        if not self.graph.operands[i]:
            return False
        now = v.operation.compute(*[p.data for p in v.parents])
        return now != v.data and not (now != now and v.data != v.data)

    def block(self, k: int) -> Node:
        block = self.selection.blocks[k]
        values = [self.graph.values[i] for i in block.members]
        known = [abs(g) for v in values if (g := gradient_of(v)) is not None]
        kinds = Counter("input" if v.is_leaf else clean(v.operation.name) for v in values)
        return Node(
            id=f"g{k + 1}",
            kind="block",
            name=clean(shortened(block.name.rpartition("/")[2], LABEL_LIMIT)),
            label=block.name,
            operation="",
            symbol="",
            formula=f"{len(values):,} values",
            value=None,
            gradient=None,
            gradient_name="|gradient|",
            group=block.name.rpartition("/")[0] if block.is_group else "",
            is_root=any(i in self.roots for i in block.members),
            members=len(values),
            gradient_range=_range(known) if known else None,
            operations=tuple(kinds.most_common()),
        )

    # ---- edges -------------------------------------------------------------------------------------------------------

    def place_id(self, i: int) -> str:
        place = self.selection.place[i]
        return f"n{i + 1}" if place >= 0 else f"g{-1 - place}" if place < -1 else ""

    def edges(self) -> Iterator[Edge]:
        place, values = self.selection.place, self.graph.values
        merged: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for i, operands in enumerate(self.graph.operands):
            if place[i] == HIDDEN:
                continue
            texts: tuple[str, ...] = ()
            for slot, j in enumerate(operands):
                if place[j] == HIDDEN or place[i] == place[j]:
                    continue
                if place[i] < 0 or place[j] < 0:
                    merged.setdefault((self.place_id(j), self.place_id(i)), []).append((i, slot))
                    continue
                if not texts:
                    texts = notations(values[i].operation, self.names(i), [self.names(p) for p in operands])
                upstream, local = gradient_of(values[i]), self.local(i)[slot]
                to_constant = values[j].is_constant
                known = upstream is not None and not to_constant
                yield Edge(
                    id=f"e{i + 1}_{slot + 1}",
                    source=self.place_id(j),
                    target=self.place_id(i),
                    slot=slot,
                    notation=texts[slot] if slot < len(texts) else "",
                    local=local,
                    upstream=upstream,
                    contribution=edge_product(values[i].operation, slot, upstream or 0.0, local) if known else None,
                    to_constant=to_constant,
                )
        for (source, target), slots in merged.items():
            brought = [
                edge_product(values[i].operation, slot, upstream, self.local(i)[slot])
                for i, slot in slots
                if (upstream := gradient_of(values[i])) is not None
                and not values[self.graph.operands[i][slot]].is_constant
            ]
            yield Edge(
                id=f"m{source}_{target}",
                source=source,
                target=target,
                slot=0,
                notation="",
                local=None,
                upstream=None,
                contribution=None,
                to_constant=all(values[self.graph.operands[i][slot]].is_constant for i, slot in slots),
                merged=len(slots),
                contributions=_range(brought) if brought else None,
            )

    # ---- in words ----------------------------------------------------------------------------------------------------

    def description(self) -> str:
        values = self.graph.values
        kinds = Counter("constant" if v.is_constant else "input" if v.is_leaf else "operation" for v in values)
        counted = [
            f"{n:,} {kind}{'s' * (n > 1)}" for kind, n in sorted(kinds.items(), key=lambda each: each[0] == "constant")
        ]
        roots = ", ".join(f"{self.names(i, LABEL_LIMIT)} = {number(values[i].data)}" for i in self.roots[:4])
        text = f"Computation graph of {roots}, from {', '.join(counted)}."
        inputs = [i for i, v in enumerate(values) if v.is_leaf]
        known = [i for i in inputs if gradient_of(values[i]) is not None]
        if not known:
            return text + " No backward pass has reached its inputs yet."
        told = ", ".join(f"{self.names(i, LABEL_LIMIT)}: {number(gradient_of(values[i]) or 0.0)}" for i in known[:12])
        more = f", and {len(known) - 12:,} more" if len(known) > 12 else ""
        return f"{text} Gradients{f' of {self.of}' if self.of else ''} by input: {told}{more}."


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest; nan, which would hide in a comparison, wins."""
    for x in numbers:
        if x != x:
            return x, x
    return min(numbers), max(numbers)
