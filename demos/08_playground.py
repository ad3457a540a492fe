"""Chapter 8: playground.

A network learns to tell the inside of a circle from the ring around it, with the settings of TensorFlow Playground: two
inputs, hidden layers of 4 and 2 neurons, tanh, rate 0.03, batches of 10, half of the data for training.
"""

from lesson import picture, plot, tell, title

from scalargrad.data import circle
from scalargrad.drawing.network import draw_network
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP
from scalargrad.optim import SGD
from scalargrad.plots import plot_decision, plot_history
from scalargrad.training import accuracy, fit

title("8. Playground")

# ---- the data --------------------------------------------------------------------------------------------------------
# 500 points in the plane: 1 inside, -1 on the ring. One half teaches, the other half, which the network never sees in
# training, tells how well it has learnt.

training, test = circle(500).split(0.5)
model = MLP(2, [4, 2, 1], activation="tanh", output="tanh")
tell(
    "{250} points to learn from and {250} to be tested on; a network 2-4-2-1 with {25} weights and biases.",
    [len(training), len(test), len(model.parameters())],
)


def half_squared_error(predictions, targets):
    """Playground's loss: with the half in front, the derivative is just the error."""
    return mean_squared_error(predictions, targets) / 2.0


def right(predictions, targets):
    return accuracy(predictions, targets, threshold=0.0)


# ---- training --------------------------------------------------------------------------------------------------------

before = right([model.predict(x) for x in test.inputs], test.targets)
history = fit(
    model,
    training,
    half_squared_error,
    SGD(model.parameters(), lr=0.03),
    epochs=60,
    batch_size=10,
    validation=test,
    metrics={"accuracy": right},
    progress=False,
)
losses, tested, shares = history["loss"], history["validation_loss"], history["validation_accuracy"]
print("    epoch   training loss   test loss   right in the test")
for epoch in (1, 5, 10, 20, 40, 60):
    print(f"    {epoch:5}{losses[epoch - 1]:14.3f}{tested[epoch - 1]:13.3f}{shares[epoch - 1]:15.1%}")
print()
tell(
    """Before training, {0.500} of the test points are told right: no better than a coin. After 60 epochs it is all of
    them, {1.000}, and the loss is {0.013} on the test half. On the training half it is {0.014}, taken while the epoch
    went on. Both fell together: the network has found the circle, and not learnt points by heart.""",
    [before, shares[-1], tested[-1], losses[-1]],
)

# ---- what has become of it -------------------------------------------------------------------------------------------
# No neuron of the first layer can do more than bend along a line. Together, their lines surround the circle.

region = ((-6.0, 6.0), (-6.0, 6.0))
plot("08_decision.png", plot_decision, model, test, xlim=region[0], ylim=region[1], title="Decision after 60 epochs")
plot("08_loss.png", plot_history, history, log=True, title="Loss by epoch")
drawn = draw_network(model, region=region, title="Every neuron's own map of the plane")
picture(drawn, "08_network.svg")
