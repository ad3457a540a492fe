"""What a picture says, as plain data: nodes, edges, numbers, texts.

Everything that can be seen is made from this: DOT, SVG, JSON and the text tree. It holds no `Value`, so it stays as it
was while training goes on, and it knows nothing of places and colours.
"""

from typing import NamedTuple

from ..common.text import clean, shortened

PATH_LINES = 6  # on a node: of more paths, the last ones share a line


class Path(NamedTuple):
    """One way by which gradient reaches a node: upstream x local = contribution."""

    edge: str
    consumer: str
    upstream: float
    local: float
    contribution: float
    block: str = ""  # the consumer's, if it is folded into one


class Node(NamedTuple):
    """One value, or with `members` > 1 a block of values folded into one."""

    id: str
    kind: str  # "input", "parameter", "operation", "constant", or "block"
    name: str  # as shown: the label, shortened, or v₁, v₂, ... for what has none
    label: str  # as given
    formula: str  # the operation on its operands' names: "a × b"
    gradient_name: str  # "∂L/∂a"
    value: float | None = None
    gradient: float | None = None  # None before any backward pass
    operation: str = ""  # the primitive's name; "" for inputs, constants and blocks
    symbol: str = ""
    arity: int | None = None  # of the operation; None for any number of operands, and for what is none
    paths: tuple[Path, ...] = ()  # where two or more edges bring gradient
    elsewhere: float | None = None  # the part of the gradient that comes from outside this graph or from earlier passes
    group: str = ""
    undrawn: int = 0  # operands that are not in the picture
    is_root: bool = False
    is_stale: bool = False  # an operand was changed after the operation was recorded
    arrived: tuple[int, int] | None = None  # while a pass is under way: how many of its paths have arrived, of how many
    members: int = 1  # of a block, or of a neuron, which is drawn as one operation
    parts: tuple[tuple[str, float], ...] = ()  # of a neuron: its weighted sum and its bias
    weights: tuple[tuple[str, float, float | None], ...] = ()  # of a neuron: name, value and gradient
    says: str = ""  # of an operation with several outputs: what runs inside of it, and how often
    body: "Picture | None" = None  # and its graph, in one of its runs
    is_unfolded: bool = False  # whether that is drawn in the node
    gradient_range: tuple[float, float] | None = None  # of |gradient| in a block
    operations: tuple[tuple[str, int], ...] = ()  # in a block: how many of which


class Edge(NamedTuple):
    """One operand slot of an operation, or with `merged` > 1 all edges between two nodes of which one is a block."""

    id: str
    source: str  # the operand
    target: str  # what is computed from it
    slot: int = 0
    notation: str = ""  # the local gradient as text: "b"
    local: float | None = None
    upstream: float | None = None
    contribution: float | None = None  # upstream x local; None before any backward pass, and towards constants
    to_constant: bool = False
    merged: int = 1
    contributions: tuple[float, float] | None = None  # smallest and largest, where edges are merged
    says: str = ""  # of an edge that leads around a loop, to the next step: "next step"


class Picture(NamedTuple):
    """Everything that a drawing shows."""

    title: str
    name: str  # of the root
    description: str
    nodes: tuple[Node, ...]  # operands first
    edges: tuple[Edge, ...]
    groups: tuple[str, ...]  # outer ones first
    notes: tuple[str, ...]
    total: int  # values in the whole graph
    labels: str
    direction: str
    is_layered: bool  # a network or recurrence, which is laid out here, in columns
    is_compact: bool  # too many nodes for more than a name and two numbers
    largest: float  # |contribution| in the picture: the widest edge's
    of: str = ""  # what gradients are derivatives of, by name, where that is one result
    active: str = ""  # the edge whose turn it is, in a frame of the backward pass

    @property
    def heading(self) -> str:
        """The title, or what it is."""
        return clean(shortened(self.title, 200)) if self.title.strip() else f"Computation graph of {self.name}"

    @property
    def has_gradients(self) -> bool:
        """Whether a backward pass has reached anything in the picture."""
        return any(n.gradient is not None or n.gradient_range is not None for n in self.nodes)
