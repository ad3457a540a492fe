"""Chapter 2: a perceptron's regression.

One linear neuron is fitted to numbers by gradient descent. The partial derivatives of its squared error are written out
by hand first, then the engine finds the same ones.
"""

from lesson import begin, picture, plot, show, tell

from scalargrad import Value, mean
from scalargrad.losses import mean_squared_error
from scalargrad.nn import Neuron
from scalargrad.optim import SGD
from scalargrad.plots import plot_history
from scalargrad.training import fit

begin(__doc__)

# ---- the task --------------------------------------------------------------------------------------------------------

tell(
    """Four samples with two inputs each. The targets were made by t = 2 x1 - x2 + 0.5, which the perceptron does
    not know:"""
)
show("y = w1 x1 + w2 x2 + b          L = mean of (y - t)² over the samples")
inputs = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
targets = [2.0 * x1 - x2 + 0.5 for x1, x2 in inputs]
w1, w2, b = Value(1.0, label="w1"), Value(1.0, label="w2"), Value(1.0, label="b")

# ---- by hand ---------------------------------------------------------------------------------------------------------

tell("For one sample, with the error e = y - t, the chain rule has two layers to peel:")
show("∂e²/∂e = 2 e        ∂e/∂w1 = x1        ∂e/∂w2 = x2        ∂e/∂b = 1")
tell("and the derivative of a mean is the mean of the derivatives:")
show("∂L/∂w1 = mean of 2 e x1        ∂L/∂w2 = mean of 2 e x2        ∂L/∂b = mean of 2 e")
errors = [w1.data * x1 + w2.data * x2 + b.data - t for (x1, x2), t in zip(inputs, targets, strict=True)]
by_hand = {
    "w1": mean([2.0 * e * x1 for e, (x1, x2) in zip(errors, inputs, strict=True)]),
    "w2": mean([2.0 * e * x2 for e, (x1, x2) in zip(errors, inputs, strict=True)]),
    "b": mean([2.0 * e for e in errors]),
}
print("      x1    x2     t     e    2 e x1  2 e x2   2 e")
for (x1, x2), t, e in zip(inputs, targets, errors, strict=True):
    print(f"  {x1:6.1f}{x2:6.1f}{t:6.1f}{e:6.1f}   {2 * e * x1:6.1f}  {2 * e * x2 + 0.0:6.1f}{2 * e:6.1f}")
print(f"    mean                    {by_hand['w1']:6.2f}  {by_hand['w2']:6.2f}{by_hand['b']:6.2f}\n")

# ---- by the engine ---------------------------------------------------------------------------------------------------
# The same lines on Values record the graph; one walk back finds all three.

loss = mean_squared_error([w1 * x1 + w2 * x2 + b for x1, x2 in inputs], targets)
loss.backward()
assert [w1.grad, w2.grad, b.grad] == list(by_hand.values())
tell(
    """At w1 = w2 = b = 1 the loss is {2.25}. By hand the partial derivatives are {1}, {2.25} and {2}; the engine finds
    {1}, {2.25} and {2}, the same bits. Downhill from here, then, all three must fall, w2 the most. (w1 will turn round
    later: a gradient shows the way down from where it was taken, not the way to the bottom.)""",
    [loss.data, *by_hand.values(), w1.grad, w2.grad, b.grad],
)
x1, x2, t = (Value(x, label=name) for x, name in zip([2.0, 1.0, 3.5], ["x1", "x2", "t"], strict=True))
y = w1 * x1 + w2 * x2 + b
e = y - t
square = e**2
for p in (w1, w2, b):
    p.zero_grad()  # else the gradients of this sample would be added to those of all four
y.label, e.label, square.label = "y", "e", "e²"
square.backward()
picture(square.draw(parameters=[w1, w2, b], title="The squared error of the last sample"), "02_squared_error.svg")

# ---- downhill --------------------------------------------------------------------------------------------------------

tell("Gradient descent: step against the gradient, p = p - 0.3 ∂L/∂p, again and again. The library's loop does it.")
neuron = Neuron(2, "identity")
for p in neuron.parameters():
    p.data = 1.0
optimizer = SGD(neuron.parameters(), lr=0.3)
history = fit(neuron, (inputs, targets), mean_squared_error, optimizer, 300, batch_size=None, progress=False)
losses = history["loss"]
for epoch in (0, 1, 2, 10, 100, 299):
    print(f"    epoch {epoch + 1:3}   loss {losses[epoch]:.2e}")
print()
tell(
    """The loss falls from {2.25} to {1.34} with the first step; after 300 steps the perceptron has found w1 = {2.0000},
    w2 = {-1.0000} and b = {0.5000}: the numbers that the targets were made with.""",
    [losses[0], losses[1], *(p.data for p in neuron.parameters())],
)
plot("02_loss.png", plot_history, history, log=True, title="Gradient descent on the squared error")
