"""Chapter 7: learning-rate schedules.

Long steps get far, short steps get close. A schedule goes from the one to the other: by the number of the epoch, or
when a metric has stopped improving.
"""

from lesson import begin, plot, tell

from scalargrad.data import regression_plane
from scalargrad.losses import mean_squared_error
from scalargrad.nn import Neuron
from scalargrad.optim import SGD
from scalargrad.plots import plot_history
from scalargrad.schedules import Constant, Cosine, Exponential, OneCycle, ReduceOnPlateau, Step, warmup
from scalargrad.training import fit

begin(__doc__)

# ---- by epoch --------------------------------------------------------------------------------------------------------

tell(
    """A schedule is a function from the number of an epoch (or step), counted from 0, to a rate. It can be looked at
    without any training."""
)
EPOCHS = 60
schedules = {
    "Constant": Constant(0.05),
    "Step": Step(0.05, every=20, factor=0.1),
    "Exponential": Exponential(0.05, factor=0.9),
    "Cosine": Cosine(0.05, steps=EPOCHS),
    "warmup, Cosine": warmup(Cosine(0.05, steps=EPOCHS - 5), steps=5),
    "OneCycle": OneCycle(0.05, steps=EPOCHS),
}
shown = [0, 2, 5, 10, 20, 30, 40, 59]
print("    after epochs  " + "".join(f"{t:8}" for t in shown))
for name, schedule in schedules.items():
    print(f"    {name:<14}" + "".join(f"{schedule(t):8.4f}" for t in shown))
print()
step, exponential, cosine, one_cycle = (schedules[name] for name in ("Step", "Exponential", "Cosine", "OneCycle"))
tell(
    """Step divides the rate by ten every 20 epochs: {0.05}, {0.005}, {0.0005}. Exponential multiplies it by 0.9 each
    epoch, which halves it about every seven: after 7 it is {0.0239}. Cosine begins and ends gently and is at half,
    {0.025}, half way. A warm-up starts at 0 and rises, for networks whose first gradients are wild. OneCycle rises and
    falls once, and ends at {2.0e-07}.""",
    [step(0), step(20), step(40), exponential(7), cosine(30), one_cycle(59)],
)
rates = {name: [schedule(t) for t in range(EPOCHS)] for name, schedule in schedules.items()}
plot("07_rates.png", plot_history, rates, list(rates), title="Learning rate by epoch")

# ---- what it is for --------------------------------------------------------------------------------------------------

tell(
    """What is it for? A linear neuron learns from 60 noisy samples, four at a time. Each batch has a bowl of its own,
    with its own lowest point, and SGD with a constant rate is thrown to and fro between them for ever."""
)
data = regression_plane(60, noise=0.3)


def train(schedule, batch_size=4, epochs=EPOCHS):
    neuron = Neuron(2, "identity", init="zeros")
    optimizer = SGD(neuron.parameters())
    options = {"schedule": schedule, "metrics": {"error": mean_squared_error}, "progress": False}
    return fit(neuron, data, mean_squared_error, optimizer, epochs, batch_size, **options)


best = train(Constant(0.05), batch_size=None, epochs=200)["error"][-1]  # all samples at once: no noise
errors = {name: train(schedule)["error"] for name, schedule in schedules.items()}
last = {name: sorted(error[-10:]) for name, error in errors.items()}
print("    error above the best possible, in the last ten epochs: from ... to ...")
for name, error in last.items():
    print(f"    {name:<14}{error[0] - best:10.1e}{error[-1] - best:10.1e}")
print()
falling = max(error[-1] for name, error in last.items() if name != "Constant")
tell(
    """The best squared error that a linear neuron can have here is {0.0197}. With the constant rate it is {0.0214} at
    its lowest in the last ten epochs and {0.0919} at its highest: it has arrived, and cannot settle. Every schedule
    that falls ends within {0.00023} of the best.""",
    [best, last["Constant"][0], last["Constant"][-1], falling - best],
)

# ---- by a metric -----------------------------------------------------------------------------------------------------

tell(
    """How many epochs are enough before the rate should fall? ReduceOnPlateau looks: after more than three epochs
    without a lower loss it divides the rate by ten."""
)
history = train(ReduceOnPlateau(0.05, factor=0.1, patience=3, min_rate=0.0005))
rate, error = history["rate"], history["error"]
falls = [t for t in range(1, EPOCHS) if rate[t] < rate[t - 1]]
for t in [0, *falls]:
    print(f"    after {t:2} epochs: rate {rate[t]:.4f}")
print()
tell(
    """ReduceOnPlateau, which gets the loss after every epoch, lowers the rate after {7} epochs, and once more after
    {20}; it ends {1.8e-06} above the best. Nobody had to know beforehand when. The other schedules need to know how
    long training will take; this one how long to wait.""",
    [*falls, error[-1] - best],
)
columns = {
    "error, constant rate": [e - best for e in errors["Constant"]],
    "error, plateau": [e - best for e in error],
    "rate, plateau": rate,
}
plot(
    "07_plateau.png",
    plot_history,
    columns,
    list(columns),
    log=True,
    title="Error above the best, and a rate that falls when the loss no longer does",
)
