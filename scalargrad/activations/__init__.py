"""Activations: what a unit makes of its weighted sum.

`functions.py` is what users call and where to start; `primitives.py` has the operations that only networks need, and
`values.py` their arithmetic on floats.
"""

from .functions import (
    activation,
    elu,
    gelu,
    hardsigmoid,
    hardtanh,
    identity,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)

__all__ = [
    "activation",
    "elu",
    "gelu",
    "hardsigmoid",
    "hardtanh",
    "identity",
    "leaky_relu",
    "log_softmax",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


def __dir__() -> list[str]:
    return [*__all__]
