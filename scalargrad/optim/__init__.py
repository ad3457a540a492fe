"""Optimizers: what makes parameters better by their gradients.

`methods.py` has the methods, each as its paper writes it, and is where to start; `base.py` what they share: groups,
steps, schedules, state.
"""

from .methods import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    Momentum,
    NAdam,
    NonFiniteGradientError,
    Optimizer,
    RAdam,
    RMSProp,
    clip_grad_norm,
    clip_grad_value,
)

__all__ = [
    "SGD",
    "AMSGrad",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Momentum",
    "NAdam",
    "NonFiniteGradientError",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "clip_grad_norm",
    "clip_grad_value",
]


def __dir__() -> list[str]:
    return [*__all__]
