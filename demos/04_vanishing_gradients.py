"""Chapter 4: vanishing gradients.

The same deep network, the same weights, the same data; once with sigmoid, once with ReLU. Only with one of them does
the first layer hear of the error at all.
"""

from lesson import begin, picture, plot, show, tell

from scalargrad import Value, log, sigmoid
from scalargrad.data import circle
from scalargrad.losses import binary_cross_entropy_with_logits
from scalargrad.nn import MLP
from scalargrad.optim import SGD
from scalargrad.plots import gradients_by_layer, plot_gradients
from scalargrad.training import fit

begin(__doc__)

# ---- why -------------------------------------------------------------------------------------------------------------

tell("The gradient that reaches the first layer is a product with a slope and a weight for every layer above it:")
show("∂L/∂h1 = ∂L/∂h10 · σ'(z10) w10 · ... · σ'(z3) w3 · σ'(z2) w2")
x = Value(0.0, label="x")
y = x
for k in range(10):
    y = sigmoid(y)
    y.label = f"y{k + 1}"
y.backward()
tell(
    """Ten sigmoids, one inside the other. Even if each had its greatest slope, 1/4, the product of the ten would be
    {9.5e-07}. From x = 0 it is {3.9e-07}: change x by 1, and y moves in the seventh digit.""",
    [0.25**10, x.grad],
)
picture(y.draw(direction="BT", title="Ten sigmoids: the gradient fades on its way to x"), "04_ten_sigmoids.svg")

# ---- two networks ----------------------------------------------------------------------------------------------------

tell(
    """Now two networks of ten hidden layers with eight neurons each. The weights come from one seed, as He et al.
    advise for ReLU: they are the same in both. The task is to classify points: inside a circle, or outside."""
)
data = circle(40, labels=(0.0, 1.0))


def network(activation):
    return MLP(2, [8] * 10 + [1], activation=activation, init="he_normal", seed=0)


def loss(model):
    return binary_cross_entropy_with_logits([model(x) for x in data.inputs], data.targets)


models = {"sigmoid": network("sigmoid"), "relu": network("relu")}
layers = {name: gradients_by_layer(model, loss) for name, model in models.items()}
print("    gradients of a layer's parameters, root mean square")
print("               sigmoid       ReLU")
for s, r in zip(layers["sigmoid"], layers["relu"], strict=True):
    print(f"    {s.name:<9}  {s.rms:.1e}    {r.rms:.1e}")
print()
tell(
    """With sigmoid the first layer's gradients are {9.5e-07} of the last's. With ReLU, whose slope is 1 wherever it is
    not 0, they are {0.14} of them.""",
    [found[0].rms / found[-1].rms for found in layers.values()],
)
plot("04_gradients_by_layer.png", plot_gradients, layers, measure="rms", title="Gradients by layer, before training")

# ---- what follows ----------------------------------------------------------------------------------------------------

found = []
for model in models.values():
    first = model.layers[0].parameters()
    before = [w.data for w in first]
    optimizer = SGD(model.parameters(), lr=0.05)
    history = fit(model, data, binary_cross_entropy_with_logits, optimizer, 20, batch_size=10, progress=False)
    found += [history["loss"][-1], max(abs(w.data - b) for w, b in zip(first, before, strict=True))]
tell(
    """Train both for 20 epochs. With sigmoid the loss stays at {0.695}, where a network that answers "one half" to
    everything has log 2 = {0.693}. No weight of the first layer has moved by more than {5.3e-07}. With ReLU the loss
    falls to {0.31}, and weights of the first layer have moved by up to {0.11}.""",
    [found[0], log(2.0), *found[1:]],
)
tell(
    """The opposite exists as well: where the slopes and weights on the way multiply to more than 1 a layer, the
    gradient explodes. What helps: ReLU and its kin, a start made for them (He), shorter ways from the loss to the first
    layers, and, against explosion, clipping the gradient's norm."""
)
