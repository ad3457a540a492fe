"""Small problems with gradients in closed form, for comparing optimizers: both sides are handed the same numbers."""

import math

POINTS = (
    (0.5, -1.2, 1.0),
    (1.5, 0.3, 1.0),
    (-0.7, 0.8, 0.0),
    (-1.1, -0.4, 0.0),
    (0.2, 1.9, 0.0),
    (2.3, 1.1, 1.0),
    (-0.3, -2.0, 1.0),
    (0.9, 0.7, 1.0),
)


def valley(w):
    """`((x - 1)^2 + 50 (y + 2)^2) / 2`: narrow, so that plain descent zigzags."""
    x, y = w
    return [x - 1.0, 50.0 * (y + 2.0)]


def rosenbrock(w):
    """`(1 - x)^2 + 100 (y - x^2)^2`: a curved valley."""
    x, y = w
    return [-2.0 * (1.0 - x) - 400.0 * x * (y - x * x), 200.0 * (y - x * x)]


def logistic(w):
    """The mean cross-entropy of a logistic regression on eight points: two weights and a bias."""
    a, b, c = w
    gradient = [0.0, 0.0, 0.0]
    for x, y, target in POINTS:
        error = 1.0 / (1.0 + math.exp(-(a * x + b * y + c))) - target
        gradient = [g + error * z / len(POINTS) for g, z in zip(gradient, (x, y, 1.0), strict=True)]
    return gradient


PROBLEMS = {
    "valley": (valley, [4.0, -1.0]),
    "rosenbrock": (rosenbrock, [-1.2, 1.0]),
    "logistic": (logistic, [0.1, -0.2, -1.5]),
}
