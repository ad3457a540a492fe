"""From a recorded graph to what a picture says: names, formulas, local gradients, contributions.

Here `Value`s are read; what is read off them is plain from here on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import isfinite, nan
from typing import Any

from ...engine.chain_rule import edge_product
from ...engine.several import Output, Vector
from ...engine.value import Value
from ...functions.primitives import where
from ..common.text import clean, number, shortened
from .bodies import body_of, summary
from .folding import Neuron, is_neuron, levels
from .formulas import formula, notations
from .labels import edge_size
from .picture import Edge, Node, Path, Picture
from .selection import EVERYTHING, HIDDEN, UNLABELLED, Graph, Selection, outer_groups, select

NAME_LIMIT = 16  # columns of a name inside a formula
OFTEN, LONG = 4, 8  # an input used so often along so many levels makes a recurrence
LABEL_LIMIT = 32  # columns of a name where it stands alone
_SUM = "Σ θ·x + b"
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class _Facts(dict[tuple[int, int], str]):
    """What the values of a graph say of themselves, read once, by position; and, by position and columns at most, what
    they are called: their label, a constant's number, or v₁, v₂, ... in the order of computation."""

    def __init__(self, graph: Graph, neurons: Mapping[int, Neuron], letter: str) -> None:
        values, operands = graph.values, graph.operands
        self.neurons, self.letter = neurons, letter
        self.data = [nan if v.operation.several else v.data for v in values]
        self.labels = [v.label for v in values]
        self.gradients = [gradient_of(v) for v in values]
        self.kinds = [
            "operation" if operands[i] else "constant" if v.is_constant else "input" for i, v in enumerate(values)
        ]
        for v, slots in zip(values, operands, strict=True):
            # What `x > 0` came to, on plain `Value`s, where nobody has named it.
            if v.operation is where and self.kinds[slots[0]] == "constant" and not self.labels[slots[0]].strip():
                self.labels[slots[0]] = "true" if self.data[slots[0]] != 0.0 else "false"
        named = zip(self.labels, self.kinds, strict=True)
        self.counts = list(accumulate([int(not label.strip() and kind != "constant") for label, kind in named]))

    def __missing__(self, key: tuple[int, int]) -> str:
        i, limit = key
        name = self.labels[i].strip()
        if name and (len(name) > limit or not name.isascii() or not name.isprintable()):
            name = clean(shortened(name, limit))
        elif not name and i in self.neurons:
            name = self.neurons[i].name
        elif not name:
            is_constant = self.kinds[i] == "constant"
            name = number(self.data[i]) if is_constant else f"{self.letter}{self.counts[i]}".translate(_SUBSCRIPTS)
        self[key] = name
        return name


def gradient_of(value: Value) -> float | None:
    """The value's gradient as a float; None where no backward pass has reached it."""
    if not value.has_gradient or value.operation.several:
        return None
    g = value.grad
    return float(getattr(g, "_data", g))


# ---- making a picture ------------------------------------------------------------------------------------------------


class PictureMaker:
    """Puts everything that the selected part of a graph says into plain data; options are those of `draw`."""

    def __init__(
        self,
        graph: Graph,
        selection: Selection,
        *,
        labels: str | None = None,
        direction: str = "LR",
        title: str = "",
        parameters: Sequence[Value] | None = None,
        bodies: bool = False,
        of: str | None = None,
    ) -> None:
        """Of a body, `of` is what gradients are derivatives of, "" for nothing."""
        self.graph = graph
        self.bodies = bodies
        self.selection = selection
        self.direction = direction
        self.title = title
        self.neurons = selection.neurons
        self.owner = {i: output for output, each in self.neurons.items() for i in each.inner}
        self.place = selection.drawn_with()
        self.facts = self.names = _Facts(graph, self.neurons, "v" if of is None else "u")
        self.parameters = None if parameters is None else set(parameters)
        self.drawn = [i for i, place in enumerate(selection.place) if place == i]
        count = len(self.drawn) + len(selection.blocks)
        self.labels = labels or ("local" if count <= EVERYTHING else "none")
        self.is_compact = count > UNLABELLED
        self.locals: dict[int, tuple[float, ...]] = {}
        self.pulled_back: dict[int, list[float]] = {}
        self.flows: dict[tuple[int, int], tuple[float | None, float, float | None]] = {}
        self.roots = graph.roots
        # Where the last pass began, or before any, gradients are derivatives of the root by name.
        gradients = self.facts.gradients
        begins = len(self.roots) == 1 and (gradients[self.roots[0]] == 1.0 or gradients.count(None) == len(gradients))
        self.of = of if of is not None else self.names[self.roots[0], 10] if begins else ""

    def picture(self) -> Picture:
        nodes = [self.node(i) for i in self.drawn]
        blocks = [self.block(k) for k in range(len(self.selection.blocks))]
        everything = nodes
        if blocks:
            order = {n.id: i for n, i in zip(nodes, self.drawn, strict=True)}
            order |= {n.id: b.members[0] for n, b in zip(blocks, self.selection.blocks, strict=True)}
            everything = sorted([*nodes, *blocks], key=lambda n: order[n.id])
        edges = (*self.edges(), *self.merged_edges())
        if blocks:
            everything = _operands_first(everything, edges)
        notes = list(self.selection.notes)
        if stale := len([n for n in nodes if n.is_stale]):
            notes.append(f"⚠ {stale} stale: data was changed after recording; run the forward pass again")
        groups = {each for n in everything if n.group for each in outer_groups(n.group)}
        return Picture(
            title=self.title,
            name=", ".join([self.names[i, LABEL_LIMIT] for i in self.roots[:4]]),
            description=self.description(),
            nodes=tuple(everything),
            edges=edges,
            groups=tuple(sorted(groups)),
            notes=tuple(notes),
            total=len(self.graph.values),
            labels=self.labels,
            direction=self.direction,
            is_layered=self.is_layered(groups),
            is_compact=self.is_compact,
            largest=max(map(edge_size, edges), default=0.0),
            of=self.of,
        )

    def is_layered(self, groups: Iterable[str]) -> bool:
        """Whether it is a network, or a recurrence: whether steps are folded, or an input is used along the way."""
        blocks = self.selection.blocks
        if self.neurons or any(not b.is_group for b in blocks) or any(map(is_neuron, groups)):
            return True
        graph, operations = self.graph, [i for i in self.drawn if self.graph.operands[i]]
        index = {i: k for k, i in enumerate(operations)}
        level = levels([[(index[j], 1) for j in graph.operands[i] if j in index] for i in operations])
        for j in self.drawn:
            if not graph.operands[j] and len(graph.consumers[j]) >= OFTEN:
                at = [level[index[k]] for k, _ in graph.consumers[j] if k in index]
                if at and max(at) - min(at) >= LONG:
                    return True
        return False

    # ---- nodes -------------------------------------------------------------------------------------------------------

    def node(self, i: int) -> Node:
        v, operands, kind = self.graph.values[i], self.graph.operands[i], self.facts.kinds[i]
        gradient, place = self.facts.gradients[i], self.selection.place
        stale = self.is_stale(i) if operands else False
        paths: tuple[Path, ...] = ()
        elsewhere = None
        if kind != "constant" and not v.operation.several:
            paths = self.paths(i)
            elsewhere = self.elsewhere(i, gradient, paths)
        if kind == "input" and (self.parameters is None or v in self.parameters):
            kind = "parameter"
        operation = v.operation
        group = "" if self.selection.groups is None else self.selection.groups[i]
        if neuron := self.neurons.get(i):
            operands = ()
        return Node(
            id=f"n{i + 1}",
            kind=kind,
            name=self.names[i, LABEL_LIMIT],
            label=self.facts.labels[i],
            operation=operation.name if operands else "",
            symbol=clean(operation.symbol) if operands else "",
            arity=operation.arity if operands else None,
            formula=self.formula(i) if operands else self.formula_of(neuron),
            value=None if operation.several else self.facts.data[i],
            gradient=gradient,
            gradient_name=f"∂{self.of}/∂{self.names[i, 10]}" if self.of and elsewhere is None else "gradient",
            paths=paths if len(paths) > 1 else (),
            elsewhere=elsewhere,
            group=group.rpartition("/")[0] if neuron is not None else group,  # the layer, of a neuron
            undrawn=len([j for j in operands if place[j] == HIDDEN]) if operands else 0,
            is_root=i in self.roots,
            is_stale=stale,
            **self.inside(neuron),
            **(self.unfolding(i) if operation.several else {}),
        )

    def formula(self, i: int) -> str:
        """An operation on its operands' names, and on a condition as it reads."""
        operands, values = self.graph.operands[i], self.graph.values
        operation, names = values[i].operation, self.names_of(operands)
        if operation is where and (condition := values[operands[0]].operation).symbol in ("<", "≤", "=", "≠"):
            names[0] = formula(condition, self.names_of(self.graph.operands[operands[0]]))
        return f"output {operation.k + 1} of {names[0]}" if isinstance(operation, Output) else formula(operation, names)

    def formula_of(self, neuron: Neuron | None) -> str:
        """What a neuron computes: its activation of z, or of several operations f."""
        if neuron is None:
            return ""
        if neuron.total is None or len(neuron.inner) > 2:
            return "f(z)" if neuron.total is not None else "f(θ, x)"
        output = neuron.inner[-1]
        return _SUM if output == neuron.total else formula(self.graph.values[output].operation, ["z"])

    def inside(self, neuron: Neuron | None) -> dict[str, Any]:
        """What stands on a neuron's node besides what stands on every operation's."""
        if neuron is None:
            return {}
        data, gradients, parts = self.facts.data, self.facts.gradients, []
        if neuron.total is not None:
            if neuron.total != neuron.inner[-1]:
                parts.append((f"z = {_SUM}", data[neuron.total]))
            parts.append(("b", data[neuron.weights[-1]]))
        weights = tuple([(self.names[j, LABEL_LIMIT], data[j], gradients[j]) for j in neuron.weights])
        return {"parts": tuple(parts), "weights": weights, "members": len(neuron.inner) + len(weights)}

    def unfolding(self, i: int) -> dict[str, Any]:
        """What runs in an operation with several outputs, in words and as a picture of its own."""
        v = self.graph.values[i]
        names = self.names_of(self.graph.operands[i])
        body = body_of(v, names, self.bars(i))
        says = clean(shortened(summary(v.operation, names), 60))
        if body is None:
            return {"says": says}
        graph = Graph(body.results)
        selection = select(graph)
        picture = PictureMaker(graph, selection, title=body.title, bodies=True, of=self.of).picture()
        place = [place_id(k) for k in selection.drawn_with()]
        around = [[graph.position.get(x, -1) for x in ends] for ends in body.carried]
        edges = [
            Edge(f"c{k + 1}", place[after], place[before], says="next step")
            for k, (after, before) in enumerate(around)
            if min(after, before) >= 0 and place[after] and place[before] and place[after] != place[before]
        ]
        picture = picture._replace(edges=(*picture.edges, *edges), is_layered=True)
        return {"says": says, "body": picture, "is_unfolded": self.bodies}

    def names_of(self, positions: Sequence[int]) -> list[str]:
        return [self.names[i, NAME_LIMIT] for i in positions]

    def paths(self, i: int) -> tuple[Path, ...]:
        found = []
        for k, slot in self.graph.consumers[i]:
            upstream, local, brought = self.flow(k, slot)
            if upstream is not None and brought is not None:
                shown = self.owner.get(k, k)
                place = self.selection.place[shown]
                block = clean(shortened(self.selection.blocks[-2 - place].name, NAME_LIMIT)) if place < -1 else ""
                found.append(Path(f"e{k + 1}_{slot + 1}", self.names[shown, 10], upstream, local, brought, block))
        return tuple(found)

    def elsewhere(self, i: int, gradient: float | None, paths: tuple[Path, ...]) -> float | None:
        if gradient is None or i in self.roots:
            return None
        total, scale = 0.0, abs(gradient)
        for p in paths:
            total += p.contribution
            scale = max(scale, abs(p.contribution))
        rest = gradient - total
        if (
            not isfinite(rest)
            or abs(rest) <= 1e-12 * scale
            or any(self.is_stale(k) for k, _ in self.graph.consumers[i])
        ):
            return None
        return rest

    def local(self, i: int) -> tuple[float, ...]:
        if i not in self.locals:
            self.locals[i] = tuple([float(getattr(d, "data", d)) for d in self.graph.values[i].local_gradients])
        return self.locals[i]

    def pulled(self, i: int) -> list[float]:
        """What an operation with several outputs brings to each operand, of its outputs' gradients; nothing if none."""
        if i not in self.pulled_back:
            v, bars = self.graph.values[i], self.bars(i)
            operation: Any = v.operation
            found: list[Any] = []
            if bars and operation.several:
                wanted = [not p.is_constant for p in v.parents]
                found = operation.pull_back(v._data, [p._data for p in v.parents], Vector(bars), wanted)
            self.pulled_back[i] = [0.0 if x is None else float(x) for x in found]
        return self.pulled_back[i]

    def bars(self, i: int) -> dict[int, float]:
        """The gradients of outputs by number; nothing where something else uses them, too."""
        users = [(self.graph.values[k].operation, self.facts.gradients[k]) for k, _ in self.graph.consumers[i]]
        if not all(isinstance(row, Output) for row, _ in users):
            return {}
        return {row.k: g for row, g in users if isinstance(row, Output) and g is not None}

    def flow(self, k: int, slot: int) -> tuple[float | None, float, float | None]:
        """The upstream gradient, the local one and the contribution of an edge; None before any pass. What has several
        outputs has nan for an upstream gradient."""
        if (k, slot) not in self.flows:
            operation, local = self.graph.values[k].operation, self.local(k)[slot]
            upstream, brought = self.facts.gradients[k], None
            if operation.several and (pulled := self.pulled(k)):
                upstream, brought = nan, pulled[slot]
            elif upstream is not None:
                brought = edge_product(operation, slot, upstream, local)
            self.flows[k, slot] = upstream, local, brought
        return self.flows[k, slot]

    def is_stale(self, i: int) -> bool:
        operands = self.graph.operands[i]
        operation = self.graph.values[i].operation
        if operation.several or isinstance(operation, Output):
            return False
        now = operation.compute(*[self.facts.data[j] for j in operands])
        return now != self.facts.data[i] and not (now != now and self.facts.data[i] != self.facts.data[i])

    def block(self, k: int) -> Node:
        block = self.selection.blocks[k]
        known = [abs(g) for i in block.members if (g := self.facts.gradients[i]) is not None]
        kinds = Counter(
            clean(self.graph.values[i].operation.name) if self.facts.kinds[i] == "operation" else self.facts.kinds[i]
            for i in block.members
        )
        return Node(
            id=f"g{k + 1}",
            kind="block",
            name=clean(shortened(block.name.rpartition("/")[2], LABEL_LIMIT)),
            label=block.name,
            formula=f"{len(block.members):,} values",
            gradient_name="|gradient|",
            group=block.name.rpartition("/")[0] if block.is_group else block.group,
            is_root=any(i in self.roots for i in block.members),
            members=len(block.members),
            gradient_range=_range(known) if known else None,
            operations=tuple(kinds.most_common()),
        )

    # ---- edges -------------------------------------------------------------------------------------------------------

    def edges(self) -> Iterator[Edge]:
        place = self.selection.place
        for i in self.drawn:
            for k in self.neurons[i].inner if i in self.neurons else (i,):
                operands = self.graph.operands[k]
                texts: tuple[str, ...] = ()
                for slot, j in enumerate(operands):
                    if place[j] < 0:
                        continue
                    texts = texts or self.notations(k)
                    yield self.edge(k, slot, texts[slot] if slot < len(texts) else "")

    def edge(self, k: int, slot: int, notation: str) -> Edge:
        j = self.graph.operands[k][slot]
        upstream, local, brought = self.flow(k, slot)
        to_constant = self.facts.kinds[j] == "constant"
        return Edge(
            id=f"e{k + 1}_{slot + 1}",
            source=place_id(self.place[j]),
            target=place_id(self.place[k]),
            slot=slot,
            notation=notation,
            local=local,
            upstream=upstream,
            contribution=None if to_constant else brought,
            to_constant=to_constant,
        )

    def notations(self, k: int) -> tuple[str, ...]:
        """The local gradients of an operation as text."""
        operands = self.names_of(self.graph.operands[k])
        return notations(self.graph.values[k].operation, self.names[k, NAME_LIMIT], operands)

    def merged_edges(self) -> Iterator[Edge]:
        """One edge for all between a block and another node."""
        if not self.selection.blocks:
            return
        place, facts = self.place, self.facts
        merged: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
        for i, operands in enumerate(self.graph.operands):
            for slot, j in enumerate(operands):
                shown = HIDDEN not in (place[i], place[j]) and place[i] != place[j]
                if shown and (place[i] < 0 or place[j] < 0):
                    merged.setdefault((place_id(self.place[j]), place_id(self.place[i])), []).append((i, slot, j))
        for (source, target), slots in merged.items():
            if len(slots) == 1 and place[slots[0][0]] >= 0:  # out of a block into an operation: an edge as any other
                k, slot, _ = slots[0]
                yield self.edge(k, slot, (*self.notations(k), "")[slot])
                continue
            flows = [self.flow(i, slot)[2] for i, slot, j in slots if facts.kinds[j] != "constant"]
            brought = [x for x in flows if x is not None]
            yield Edge(
                id=f"m{source}_{target}",
                source=source,
                target=target,
                to_constant=all(facts.kinds[j] == "constant" for _, _, j in slots),
                merged=len(slots),
                contributions=_range(brought) if brought else None,
            )

    # ---- in words ----------------------------------------------------------------------------------------------------

    def description(self) -> str:
        facts, counted = self.facts, []
        for kind in ("input", "operation", "constant"):
            if n := facts.kinds.count(kind):
                counted.append(f"{n:,} {kind}{'s' * (n > 1)}")
        roots = ", ".join([f"{self.names[i, LABEL_LIMIT]} = {number(facts.data[i])}" for i in self.roots[:4]])
        text = f"Computation graph of {roots}, from {', '.join(counted)}."
        known = [i for i, kind in enumerate(facts.kinds) if kind == "input" and facts.gradients[i] is not None]
        if not known:
            return text + " No backward pass has reached its inputs yet."
        shown = ", ".join([f"{self.names[i, LABEL_LIMIT]}: {number(facts.gradients[i] or 0.0)}" for i in known[:12]])
        more = f", and {len(known) - 12:,} more" if len(known) > 12 else ""
        return f"{text} Gradients{f' of {self.of}' if self.of else ''} by input: {shown}{more}."


def place_id(place: int) -> str:
    """The id of what a value is drawn as, by its place in a selection; "" for nothing."""
    return f"n{place + 1}" if place >= 0 else f"g{-1 - place}" if place < -1 else ""


def _operands_first(nodes: list[Node], edges: Iterable[Edge]) -> list[Node]:
    """The nodes, each behind what it is computed from, else as they are; in a cycle of blocks too."""
    operands: dict[str, set[str]] = {n.id: set() for n in nodes}
    for e in edges:
        operands[e.target].add(e.source)
    left, order = {n.id: n for n in nodes}, list[Node]()
    while left:
        ready = next((key for key in left if left.keys().isdisjoint(operands[key] - {key})), next(iter(left)))
        order.append(left.pop(ready))
    return order


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest; nan, which would hide in a comparison, wins."""
    for x in numbers:
        if x != x:
            return x, x
    return min(numbers), max(numbers)
