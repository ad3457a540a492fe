"""Chapter 0: an engine in sixty lines.

What finds derivatives fits on a page. Here it is written piece by piece, and must then give the library's own numbers.
"""

from inspect import getsource

from lesson import begin, picture, show, tell

import scalargrad

begin(__doc__)


class Node:
    """A number, and what it was computed from: its parents, and for each of them a local gradient."""

    def __init__(self, data, parents=(), local_gradients=()):
        self.data, self.grad = float(data), 0.0
        self.parents, self.local_gradients = parents, local_gradients

    def __add__(self, other):
        other = as_node(other)
        return Node(self.data + other.data, (self, other), (lambda: 1.0, lambda: 1.0))

    def __mul__(self, other):
        other = as_node(other)
        return Node(self.data * other.data, (self, other), (lambda: other.data, lambda: self.data))

    def __truediv__(self, other):
        other = as_node(other)
        y = self.data / other.data
        return Node(y, (self, other), (lambda: 1.0 / other.data, lambda: -y / other.data))

    def __pow__(self, n):
        return Node(self.data**n, (self,), (lambda: n * self.data ** (n - 1),))

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -other

    def __rtruediv__(self, other):
        return as_node(other) / self

    __radd__, __rmul__ = __add__, __mul__


def as_node(x):
    return x if isinstance(x, Node) else Node(x)


def relu(x):
    return Node(max(x.data, 0.0), (x,), (lambda: float(x.data > 0.0),))


tell(
    """The derivative of a long computation is made of those of its steps. So a number remembers its step: what it was
    computed from, its parents, and how much it changes with each, its local gradients. A sum changes by 1 with each
    operand, a product by the other operand. Local gradients are functions, which are called only if somebody asks for
    derivatives. They hold on to operands, never to their own node, so that a dropped graph is freed at once."""
)
show(getsource(Node))
tell("Plain numbers become nodes of their own, and a function is as good as an operator:")
show(f"{getsource(as_node)}\n{getsource(relu)}")


def topological_order(root):
    """Every node that the root was computed from, each before its parents."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack += [(node, True), *((parent, False) for parent in reversed(node.parents))]
    return order[::-1]


tell(
    """A node that is used twice gets its gradient over two paths, and passes it on when both have arrived: each node is
    visited before its parents. A list is the stack, as a function that calls itself would end at a thousand calls:"""
)
show(getsource(topological_order))


def backward(root):
    """Set the grad of every node on the way to the derivative of the root by it; add it to the grad of leaves."""
    upstream = {root: 1.0}
    for node in topological_order(root):
        g = upstream.get(node, 0.0)
        node.grad = g if node.parents else node.grad + g
        for parent, local in zip(node.parents, node.local_gradients, strict=True):
            if g != 0.0:  # where nothing arrives, nothing is passed on, be the local gradient infinite
                upstream[parent] = upstream.get(parent, 0.0) + g * local()


tell("And this is backpropagation: upstream times local, and what comes over several paths adds up.")
show(getsource(backward))
lines = sum(len(getsource(piece).splitlines()) for piece in (Node, as_node, relu, topological_order, backward))
tell("That is the engine: {57} lines.", [lines])


def tangled(a, b, relu):
    """Andrej Karpathy's example for micrograd, the engine that showed how small one can be."""
    c, d = a + b, a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + relu(b + a)
    d += 3 * d + relu(b - a)
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


a, b = Node(-4.0), Node(2.0)
backward(y := tangled(a, b, relu))
A, B = scalargrad.Value(-4.0, label="a"), scalargrad.Value(2.0, label="b")
(Y := tangled(A, B, scalargrad.relu)).backward()
assert (y.data, a.grad, b.grad) == (Y.data, A.grad, B.grad)
show(getsource(tangled))
tell(
    """At a = -4 and b = 2 our engine finds {24.7041}, with derivatives {138.8338} by a and {645.5773} by b. The
    library, given the same function, finds the same numbers, to the last bit.""",
    [y.data, a.grad, b.grad],
)
backward(sum([x := Node(1.0)] * 10_000))
tell(
    """A sum of {10000} steps is no harder. What does the library do beyond that? It keeps local gradients once for each
    operation, in a table (scalargrad/engine/table.py), with what holds at 0, at infinity and at kinks. They take Values
    too, which gives every higher derivative. And it draws the graph:""",
    [x.grad],
)
picture(Y.draw(title="Andrej Karpathy's example"), "00_engine.svg")
