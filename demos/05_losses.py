"""Chapter 5: losses.

How wrong a prediction is, as one number: squared error for numbers, cross-entropy for classes. What each of them
punishes decides what a network learns.
"""

from lesson import begin, plot, tell

from scalargrad import Value, log, sigmoid
from scalargrad.activations import softmax
from scalargrad.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    categorical_cross_entropy,
    cross_entropy,
    mean_squared_error,
)
from scalargrad.plots import plot_function
from scalargrad.training import accuracy

begin(__doc__)

# ---- numbers: squared error ------------------------------------------------------------------------------------------

p = Value(2.5)
loss = mean_squared_error([p], [3.0])
loss.backward()
tell(
    """Regression. A prediction of 2.5 for a target of 3 has the squared error (2.5 - 3)² = {0.25}, and its derivative
    is 2 (2.5 - 3) = {-1}. Twice as far off costs four times as much: {1}.""",
    [loss.data, p.grad, mean_squared_error([2.0], [3.0])],
)

# ---- two classes: binary cross-entropy -------------------------------------------------------------------------------

tell(
    """Two classes. The network's output z is any number; sigmoid makes it a probability p of class 1. The loss, binary
    cross-entropy, is minus the logarithm of what the truth was given: -log p for class 1, -log (1 - p) for class 0."""
)
tell(
    """A prediction that gives 0.9 to the true class costs -log 0.9 = {0.105}; one that gives it 0.5 costs {0.693}; one
    that gives it 0.1 costs {2.303}, and at 0.001 it is {6.908}.""",
    [-log(0.9), *(binary_cross_entropy([p], [1]) for p in (0.5, 0.1, 0.001))],
)
z = Value(2.0)
loss = binary_cross_entropy([sigmoid(z)], [0])
loss.backward()
fused = Value(2.0)
binary_cross_entropy_with_logits([fused], [0]).backward()
tell(
    """With a sigmoid in front, the derivative by z is simply p - t. For z = 2, p = {0.881}, and target 0: {0.881}. The
    loss that takes z itself gives {0.881} as well, and goes on where p is rounded to 1: for z = 800 it is {800}.""",
    [sigmoid(2.0), z.grad, fused.grad, binary_cross_entropy_with_logits([800.0], [0])],
)

# ---- several classes: categorical cross-entropy ----------------------------------------------------------------------

zs = [Value(x) for x in (1.0, 2.0, 3.0)]
loss = cross_entropy([zs], [1])
loss.backward()
slopes = [z.grad for z in zs]
tell(
    """Several classes. Now z is a list of scores, softmax makes it probabilities, and the loss, categorical
    cross-entropy, is -log of that of the truth. Scores 1, 2, 3 are {0.090}, {0.245}, {0.665} after softmax. If the
    second class is true, the loss is -log 0.245 = {1.408}, and the derivatives by the scores are again p - t: {0.090},
    {-0.755}, {0.665}. They add up to {0.000}.""",
    [*softmax([1.0, 2.0, 3.0]), loss.data, *slopes, sum(slopes)],
)

# ---- right equally often, but not equally good -----------------------------------------------------------------------

truth = [2, 1, 0]
network_a = [[0.3, 0.3, 0.4], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]]
network_b = [[0.1, 0.2, 0.7], [0.1, 0.7, 0.2], [0.3, 0.4, 0.3]]
print("    true class     network A            network B")
for k, *rows in zip(truth, network_a, network_b, strict=True):
    shown = ["  ".join(f"{p:.1f}{'*' if p == max(row) else ' '}" for p in row) for row in rows]
    print(f"    {k:6}        {shown[0]}     {shown[1]}".rstrip())
print()
tell(
    """Both networks are right in 2 cases of 3 (* marks their answers): accuracies {0.667} and {0.667}. But A is
    right by a hair and wrong by far, B right by far and wrong by a hair. Cross-entropy sees that: {1.378} against
    {0.639}.""",
    [measure(said, truth) for measure in (accuracy, categorical_cross_entropy) for said in (network_a, network_b)],
)

# ---- how a wrong answer is punished ----------------------------------------------------------------------------------

tell("Which one for classes? The target is 1; both stand on a sigmoid. What do they cost, how hard do they pull at z?")
print("                        squared error         cross-entropy")
print("         z        p     loss     slope         loss     slope")
for x in (2.0, 0.0, -2.0, -4.0, -8.0):
    a, b = Value(x), Value(x)
    squared, entropy = mean_squared_error([sigmoid(a)], [1.0]), binary_cross_entropy_with_logits([b], [1.0])
    squared.backward()
    entropy.backward()
    print(f"    {x:6g} {sigmoid(x):8.4f} {squared.data:8.4f}  {a.grad:8.4f}     {entropy.data:8.4f}  {b.grad:8.4f}")
print()
tell(
    """The last row is sure of itself, and wrong. Squared error charges {0.999}, and never more than 1; its slope is
    {-0.0007}, for the slope of the saturated sigmoid is a factor in it: the worse the answer, the less is learnt.
    Cross-entropy charges {8.000}, with a slope of {-0.9997}, {1491} times as steep: its logarithm cancels that factor.
    So: squared error for numbers, cross-entropy for classes.""",
    [squared.data, a.grad, entropy.data, b.grad, round(b.grad / a.grad)],
)
losses = {
    "squared error of sigmoid(z)": lambda z: (sigmoid(z) - 1.0) ** 2,
    "cross-entropy of sigmoid(z)": lambda z: binary_cross_entropy_with_logits([z], [1.0]),
}
plot(
    "05_losses.png",
    plot_function,
    losses,
    -8.0,
    4.0,
    x="z",
    title="Loss over the network's output z, where 1 is true",
)
