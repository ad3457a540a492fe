"""Chapter 8: playground.

A network learns to separate the inside of a circle from the ring around it, with the settings of TensorFlow Playground:
two inputs, hidden layers of 4 and 2 neurons, tanh, rate 0.03, batches of 10, half of the data for training. Its
training is recorded and becomes a page, in which it can be played; and so do those of the other sets, one of which it
cannot learn.
"""

from lesson import begin, picture, plot, tell

from scalargrad.data import circle, gauss, spiral, xor
from scalargrad.drawing import Playground, Recording, draw_network
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP
from scalargrad.optim import SGD, Adam
from scalargrad.plots import plot_decision
from scalargrad.training import fit

begin(__doc__)


def half_squared_error(predictions, targets):
    """Playground's loss: with the half in front, the derivative is just the error."""
    return mean_squared_error(predictions, targets) / 2.0


def train(name, data, note, hidden=(4, 2), optimizer=SGD, rate=0.03, epochs=60, every=1):
    """Train a network on half of the data; return the recording of it, which has the model and both halves."""
    training, test = data.split(0.5)
    model = MLP(2, [*hidden, 1], activation="tanh", output="tanh")
    recording = Recording(model, training, test, loss=half_squared_error, name=name, note=note, every=every)
    steps = optimizer(model.parameters(), lr=rate)
    fit(model, training, half_squared_error, steps, epochs, 10, callbacks=[recording], progress=False)
    return recording


def right(recording, epoch):
    """The share of the test points that the network classifies correctly after an epoch."""
    snapshot = next(s for s in recording.snapshots if s.epoch == epoch)
    return 1.0 - recording.wrong(snapshot, recording.test) / len(recording.test)


# ---- the circle ------------------------------------------------------------------------------------------------------

note = "The disc is 1, the ring −1. Rate 0.03, batches of 10; half of the 500 points teach, half test."
disc = train("circle", circle(500), note)
tell(
    """500 points in the plane: the target is 1 inside, -1 on the ring. {250} teach, the other {250}, which the network
    never sees in training, show how well it has learnt; it is a network 2-4-2-1 with {25} weights and biases.""",
    [len(disc.train), len(disc.test), len(disc.model.parameters())],
)
print("    epoch   training loss   test loss   correct in the test")
for epoch in (0, 1, 5, 10, 20, 40, 60):
    shot = disc.snapshots[epoch]
    print(f"    {epoch:5}{shot.train_loss:14.3f}{shot.test_loss:13.3f}{right(disc, epoch):17.1%}")
print()
last = disc.snapshots[-1]
tell(
    """Before training, {0.500} of the test points are classified correctly: no better than a coin. After 60 epochs all
    of them are, {1.000}, and the loss is {0.013} on the test half, as on the training half, {0.013}. Both fell
    together: the network has found the circle, and has not learnt points by heart.""",
    [right(disc, 0), right(disc, 60), last.test_loss, last.train_loss],
)

tell("No neuron of the first layer can do more than bend along a line. Together, their lines surround the circle.")
region = ((-6.0, 6.0), (-6.0, 6.0))
plot("08_decision.png", plot_decision, disc.model, disc.test, xlim=region[0], ylim=region[1], title="After 60 epochs")
picture(draw_network(disc.model, region=region, title="Every neuron's own map of the plane"), "08_network.svg")

# ---- the other sets --------------------------------------------------------------------------------------------------
# The same network, and the same settings, on the three other sets of Playground.

same = "The same network and settings as for the circle."
corners = train("xor", xor(500), f"{same} Equal signs of x1 and x2 are 1: two neurons of layer 2 take a corner each.")
clouds = train("gauss", gauss(500), f"{same} Two clouds: one straight line parts them, soon.", epochs=20)
lost = train("spiral", spiral(500), f"{same} It is too small for two spirals: 4 lines cannot follow their turns.")
tell(
    """On xor {1.000} of the test points are classified correctly in the end, on gauss {1.000} after the first epoch
    already; for one straight line will do, and {20} epochs are more than enough. The spirals defeat it: {0.632} after
    {60} epochs, little better than a coin, with a loss that hardly falls, from {0.70} to {0.49}. Four lines cannot
    wind.""",
    [
        *[right(corners, 60), right(clouds, 1), clouds.snapshots[-1].epoch],
        *[right(lost, 60), lost.snapshots[-1].epoch, lost.snapshots[0].test_loss, lost.snapshots[-1].test_loss],
    ],
)

# More lines, then, and an optimizer that finds its way through longer valleys: see chapter 6 for Adam.
note = (
    "12 and 8 hidden neurons, Adam at rate 0.02. It follows the turns, and learns some points by heart: see the losses."
)
wound = train("spiral, larger", spiral(500), note, hidden=(12, 8), optimizer=Adam, rate=0.02, epochs=150, every=2)
last = wound.snapshots[-1]
tell(
    """With hidden layers of 12 and 8 neurons, {149} weights and biases, and Adam, {0.952} of the points are classified
    correctly after {150} epochs. It is not the whole truth: the loss is {0.01} on the training half, but {0.09} on the
    test half, many times as much. Where the test has points between those that it learnt from, it has guessed, and
    sometimes wrongly.""",
    [len(wound.model.parameters()), right(wound, 150), last.epoch, last.train_loss, last.test_loss],
)

# ---- the page --------------------------------------------------------------------------------------------------------

title = "Playground: train a network, or play five trainings, epoch by epoch"
page = Playground([disc, corners, clouds, lost, wound], live=True, title=title)
picture(page, "08_playground.html")
tell(
    """Open the page in a browser. It trains a network of your choice there: data, noise, features, layers, optimizer.
    Play, or step by epochs with the arrow keys, and go back to an earlier one; click a weight and pull it; look at the
    backward pass of one sample. The five trainings above are presets. Point at a neuron to see its own map of the plane
    large, or at the plane to see what every neuron makes of that point."""
)
