"""Losses: how wrong a batch of predictions is.

`functions.py` is what users call and where to start, `primitives.py` has the operations that would lose digits if they
were composed, `batches.py` reads and checks what is given, `summation.py` has the order in which samples are added.
"""

# fmt: off
from .functions import (  # isort: skip
    binary_cross_entropy, binary_cross_entropy_with_logits, categorical_cross_entropy, cross_entropy, hinge, huber,
    kl_divergence, mean_absolute_error, mean_squared_error, negative_log_likelihood,
)
# fmt: on

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "categorical_cross_entropy", "cross_entropy", "hinge",
    "huber", "kl_divergence", "mean_absolute_error", "mean_squared_error", "negative_log_likelihood",
]  # fmt: skip
__dir__ = __all__.copy
