"""Chapter 1: the chain rule.

A network is functions inside functions. Its derivatives are found from the outside in, as one peels an onion: what
arrives from outside (upstream) times the slope of the layer at hand (local). Where several paths lead to one weight,
what they bring adds up.
"""

from lesson import begin, picture, show, tell

from scalargrad import Value, grad, relu, sigmoid

begin(__doc__)

# ---- an onion --------------------------------------------------------------------------------------------------------

tell(
    """The smallest network is one neuron: it weighs its input, adds a bias, and bends the sum. Its error is one more
    function around it. The input is x, and the answer should be 1:"""
)
show("L = (sigmoid(w x + b) - 1)²        p = w x    z = p + b    y = sigmoid(z)    d = y - 1    L = d²")
w, x, b = Value(0.5, label="w"), Value(2.0, label="x"), Value(-1.0, label="b")
p = w * x
z = p + b
y = sigmoid(z)
d = y - 1.0
loss = d**2
p.label, z.label, y.label, d.label, loss.label = "p", "z", "y", "d", "L"
loss.backward()

tell(
    """With w = 0.5, x = 2 and b = -1 it is z = {0}, and y = {0.5}. It misses its target 1 by d = {-0.5}, and the loss
    is L = {0.25}. How does L change with w? Peel the onion, the outermost layer first. Each layer multiplies what
    arrives from outside, its upstream gradient, by its own slope, the local gradient:""",
    [z.data, y.data, d.data, loss.data],
)

layer, upstream = loss, 1.0  # dL/dL: a change of the loss changes the loss by just as much
while layer is not w:
    inner, local = layer.parents[0], layer.local_gradients[0]
    print(f"    through {layer.label} to {inner.label}: {upstream:6.2f} × {local:5.2f} = {upstream * local:5.2f}")
    layer, upstream = inner, upstream * local
print()

tell(
    """The last product is the derivative by w: {-0.5}. Raise w a little, and the loss falls by half as much. One walk
    of backward() finds this for every input: dL/dw = {-0.5}, dL/dx = {-0.125}, dL/db = {-0.25}.""",
    [upstream, w.grad, x.grad, b.grad],
)
picture(loss.draw(labels="full", title="One neuron, peeled from the outside in"), "01_onion.svg")

# ---- two paths -------------------------------------------------------------------------------------------------------

tell(
    """Now a weight that reaches the loss over two paths. A weight is written θ[to,from], destination first: θ3[1,2]
    leads, in layer 3, to neuron 1 from neuron 2. Here is a network with one input, one neuron in its first layer, two
    in its second, and one output; no biases:"""
)
show("""
                              ┌─ θ2[1,1] ─ relu a1 ─ θ3[1,1] ─┐
x ── θ1[1,1] ─ relu h ────────┤                               ├── y      L = (y - t)²
                              └─ θ2[2,1] ─ relu a2 ─ θ3[1,2] ─┘
""")
θ1 = {(1, 1): Value(0.5, label="θ1[1,1]")}
θ2 = {(1, 1): Value(1.5, label="θ2[1,1]"), (2, 1): Value(0.5, label="θ2[2,1]")}
θ3 = {(1, 1): Value(2.0, label="θ3[1,1]"), (1, 2): Value(-1.0, label="θ3[1,2]")}
x, t = Value(2.0, label="x"), 2.0

h = relu(θ1[1, 1] * x)
a1, a2 = relu(θ2[1, 1] * h), relu(θ2[2, 1] * h)
y = θ3[1, 1] * a1 + θ3[1, 2] * a2
loss = (y - t) ** 2
h.label, a1.label, a2.label, y.label, loss.label = "h", "a1", "a2", "y", "L"
loss.backward()

tell(
    """With θ1[1,1] = 0.5 and x = 2 it is h = {1}, a1 = {1.5}, a2 = {0.5} and y = {2.5}. The target is 2, so L = {0.25}
    and dL/dy = 2 (y - t) = {1}. Along each path from y back to h the locals multiply:""",
    [h.data, a1.data, a2.data, y.data, loss.data, y.grad],
)
first = y.grad * θ3[1, 1].data * θ2[1, 1].data  # the slope of relu is 1 here, as its inputs are positive
second = y.grad * θ3[1, 2].data * θ2[2, 1].data
print(f"    over a1: dL/dy × θ3[1,1] × θ2[1,1] = {y.grad:g} × {θ3[1, 1].data:g} × {θ2[1, 1].data:g} = {first:g}")
print(f"    over a2: dL/dy × θ3[1,2] × θ2[2,1] = {y.grad:g} × {θ3[1, 2].data:g} × {θ2[2, 1].data:g} = {second:g}\n")
tell(
    """and the contributions add: {3} + ({-0.5}) = {2.5}, which is dL/dh. From there it is one path, with the local x =
    2, to the weight: dL/dθ1[1,1] = {5}. Taking only one of the paths would have given {6} or {-1}. That is why a node
    waits until all its paths have arrived before it passes anything on, and why the engine walks the graph in reverse
    topological order.""",
    [first, second, h.grad, θ1[1, 1].grad, first * x.data, second * x.data],
)
drawing = loss.draw(title="θ1[1,1] reaches the loss over two paths")
picture(drawing, "01_two_paths.svg")
print("The same as a page for a browser, which plays the backward pass step by step; see h wait for its two paths.")
picture(drawing, "01_two_paths.html")

# ---- the same, as a function -----------------------------------------------------------------------------------------
# A function of numbers needs no Value: grad calls it on Values of its own.

slope = grad(lambda w: (2.0 * relu(1.5 * relu(w * 2.0)) - relu(0.5 * relu(w * 2.0)) - 2.0) ** 2)(0.5)
tell("Written as a plain function of that weight, grad gives the same slope: {5}.", [slope])
