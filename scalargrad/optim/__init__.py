"""Optimizers: what makes parameters better by their gradients.

`methods.py` has the methods, each as its paper writes it, and is where to start; `base.py` what they share: groups,
steps, schedules, state; `clipping.py` what is done to gradients before a step.
"""

from .base import NonFiniteGradientError, Optimizer
from .clipping import clip_grad_norm, clip_grad_value
from .methods import SGD, AdaDelta, AdaGrad, Adam, AdamW, AMSGrad, Momentum, NAdam, RAdam, RMSProp

__all__ = [
    "SGD", "AMSGrad", "AdaDelta", "AdaGrad", "Adam", "AdamW", "Momentum", "NAdam", "NonFiniteGradientError",
    "Optimizer", "RAdam", "RMSProp", "clip_grad_norm", "clip_grad_value",
]  # fmt: skip
__dir__ = __all__.copy
