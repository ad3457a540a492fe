"""Where weights begin: the published random initialisations, by name and by the activation that they were made for.

Each is one line of a paper. All draw from a generator that they are handed, and from its `random()` alone, the one
method whose stream Python promises not to change.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, log, pi, sqrt
from random import Random

Initialisation = str | Callable[[Random, int, int], float]


def _uniform(random: Random, bound: float) -> float:
    return bound * (2.0 * random.random() - 1.0)


def _normal(random: Random, variance: float) -> float:
    """Box and Muller, Annals of Mathematical Statistics 29, 1958; one of its two numbers."""
    radius = sqrt(-2.0 * log(1.0 - random.random()))
    return sqrt(variance) * (radius * cos(2.0 * pi * random.random()))


# From a generator and a neuron's numbers of incoming and outgoing connections to one weight. A uniform distribution on
# (-b, b) has variance b**2/3. Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
# networks, AISTATS 2010, equation 16; He et al., Delving deep into rectifiers, ICCV 2015, equation 10; LeCun et al.,
# Efficient backprop, 1998, section 4.6. `uniform` is micrograd's.
INITIALISATIONS: dict[str, Callable[[Random, int, int], float]] = {
    "glorot_uniform": lambda random, n, m: _uniform(random, sqrt(6.0 / (n + m))),
    "glorot_normal": lambda random, n, m: _normal(random, 2.0 / (n + m)),
    "he_uniform": lambda random, n, m: _uniform(random, sqrt(6.0 / n)),
    "he_normal": lambda random, n, m: _normal(random, 2.0 / n),
    "lecun_uniform": lambda random, n, m: _uniform(random, sqrt(3.0 / n)),
    "lecun_normal": lambda random, n, m: _normal(random, 1.0 / n),
    "uniform": lambda random, n, m: _uniform(random, 1.0),
    "zeros": lambda random, n, m: 0.0,
}
_FITTING = {  # of rectifiers, half of the inputs come through
    **dict.fromkeys(("relu", "leaky_relu", "elu", "gelu", "silu", "softplus"), "he_normal"), "selu": "lecun_normal",
}  # fmt: skip


def initialisation(name: Initialisation | None, activation: str = "") -> Callable[[Random, int, int], float]:
    """Find an initialisation by its name; by the activation where there is none; a function is handed back.

    `glorot_`, `he_` and `lecun_`, each with `uniform` or `normal`, `uniform` (from -1 to 1) and `zeros`. Without a name
    `he_normal` for `relu` and its kin, `lecun_normal` for `selu`, `glorot_uniform` for all others. Raises `ValueError`
    for an unknown name.

    >>> from random import Random
    >>> he = initialisation(None, "relu")
    >>> he(Random(0), 2, 16)  # a weight of a neuron with 2 inputs, one of 16 in its layer
    0.09637157846515239
    """
    if callable(name):
        return name
    name = _FITTING.get(activation, "glorot_uniform") if name is None else name
    if name not in INITIALISATIONS:
        raise ValueError(f"initialisation: unknown name {name!r}; known: {', '.join(INITIALISATIONS)}")
    return INITIALISATIONS[name]
