"""Activations: what a unit makes of its weighted sum.

`functions.py` is what users call and where to start; `primitives.py` has the operations that only networks need, and
`values.py` their arithmetic on floats.
"""

# fmt: off
from .functions import (  # isort: skip
    activation, elu, gelu, hardsigmoid, hardtanh, identity, leaky_relu, log_softmax, relu, selu, sigmoid, silu, softmax,
    softplus, softsign, tanh,
)
# fmt: on

__all__ = [
    "activation", "elu", "gelu", "hardsigmoid", "hardtanh", "identity", "leaky_relu", "log_softmax", "relu", "selu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
]  # fmt: skip
__dir__ = __all__.copy
