"""Chapter 3: activation functions.

What bends the sum in a neuron, each with its derivative and where it belongs; and why a network without them is no more
than a single layer.
"""

from lesson import begin, plot, show, tell

from scalargrad import grad, jacobian
from scalargrad.activations import elu, leaky_relu, relu, sigmoid, softmax, tanh
from scalargrad.nn import MLP
from scalargrad.plots import plot_function

begin(__doc__)

# ---- one number in, one number out -----------------------------------------------------------------------------------

tell(
    """In the backward pass a neuron multiplies its upstream gradient by the slope of its activation. So the slope is
    what to look at: where it is near 0, nothing is learnt."""
)
functions = [sigmoid, tanh, relu, leaky_relu, elu]
places = [-4.0, -1.0, 0.0, 1.0, 4.0]
print(" " * 21 + "".join(f"{f'x = {x:g}':>10}" for x in places))
for f in functions:
    print(f"    {f.__name__:<11} value" + "".join(f"{f(x):10.4f}" for x in places))
    print(f"    {'':<11} slope" + "".join(f"{grad(f)(x):10.4f}" for x in places))
print()

tell(
    """sigmoid, 1/(1 + e^-x), brings any number between 0 and 1. Its slope is at most {0.25}, at 0, and at 10 no more
    than {4.5e-05}: it saturates. Today it stands where an output is read as a probability: a classification in two
    classes.""",
    [grad(sigmoid)(0.0), grad(sigmoid)(10.0)],
)
tell(
    """tanh is a sigmoid made twice as steep in x and stretched to run from -1 to 1: tanh 1 = 2 sigmoid(2) - 1 =
    {0.7616} ({0.7616}). Centred at 0, with a slope of {1} there, it serves in small and in recurrent networks, but
    saturates too.""",
    [2.0 * sigmoid(2.0) - 1.0, tanh(1.0), grad(tanh)(0.0)],
)
tell(
    """ReLU, max(x, 0), has slope {1} above 0 however large x is, and {0} below: the usual choice for hidden layers. A
    neuron that is below 0 for every sample learns nothing any more; it is dead.""",
    [grad(relu)(1000.0), grad(relu)(-1.0)],
)
tell(
    """Leaky ReLU keeps a slope of {0.01} below 0, so that no neuron dies. ELU, e^x - 1 below 0, has a slope of {0.37}
    at -1 and goes smoothly into the line above 0; its outputs are nearer to zero on average, down to -1. Both are for
    hidden layers.""",
    [grad(leaky_relu)(-1.0), grad(elu)(-1.0)],
)
# ---- a whole layer at once -------------------------------------------------------------------------------------------

tell("softmax is different. From the scores of a whole layer it makes shares of 1:")
show("share of i = e^(score of i) / sum of e^score")
scores = [1.0, 2.0, 3.0]
shares, slopes = softmax(scores), jacobian(softmax)(scores)
tell(
    """Of the scores 1, 2, 3 that is {0.090}, {0.245}, {0.665}, which add up to {1.0}: probabilities of three
    classes, for the output of a classification. Every share depends on every score, so its derivative is a table,
    ∂share/∂score:""",
    [*shares, shares[0] + shares[1] + shares[2]],
)
for row in slopes:
    print("    " + "".join(f"{x:9.4f}" for x in row))
print()
tell(
    """On the diagonal stands s (1 - s), as for the sigmoid: 0.665 × 0.335 = {0.2227}; elsewhere - s r, since what one
    class gains the others lose: - 0.090 × 0.245 = {-0.0220}. Each row therefore adds up to {0.000}.""",
    [slopes[2][2], slopes[0][1], slopes[0][0] + slopes[0][1] + slopes[0][2]],
)

pictures = {f.__name__: f for f in functions}
pictures["softmax of x, 0, 0"] = lambda x: softmax([x, 0.0, 0.0])[0]
plot("03_activations.png", plot_function, pictures, -4.0, 4.0)

# ---- without them ----------------------------------------------------------------------------------------------------

tell("And without an activation? Then layers collapse into one, whose slope is the same wherever it is taken:")
show("W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)")
linear = MLP(2, [4, 3, 1], activation="identity", seed=1).frozen()
bent = MLP(2, [4, 3, 1], activation="tanh", seed=1).frozen()
print("    slope of a network 2-4-3-1 at ...   without activation      with tanh")
for point in ([0.0, 0.0], [1.0, 2.0], [-3.0, 5.0]):
    u, v = grad(linear)(point), grad(bent)(point)
    print(f"        {point!s:<28}  {u[0]:8.4f} {u[1]:8.4f}   {v[0]:8.4f} {v[1]:8.4f}")
print()
(w1, w2), b = grad(linear)([0.0, 0.0]), linear([0.0, 0.0])
assert grad(linear)([0.0, 0.0]) == grad(linear)([1.0, 2.0]) == grad(linear)([-3.0, 5.0])  # to the last bit
tell(
    """Without activation the slope is {0.4463} and {-1.0587} everywhere, so one neuron with these two weights does the
    work of all eight: at (-3, 5) it gives {-6.6324}, and the network {-6.6324}.""",
    [w1, w2, w1 * -3.0 + w2 * 5.0 + b, linear([-3.0, 5.0])],
)
corners = {corner: linear(corner) for corner in [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)]}
tell(
    """Such a network cannot learn "one or the other, not both" (XOR). Whatever its weights, f(0,0) + f(1,1) = f(0,1) +
    f(1,0): here {-0.6124} and {-0.6124}. XOR would need 0 on the left and 2 on the right.""",
    [corners[0.0, 0.0] + corners[1.0, 1.0], corners[0.0, 1.0] + corners[1.0, 0.0]],
)
