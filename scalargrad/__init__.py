"""Reverse-mode automatic differentiation on scalars."""

from .modes import AnomalyError, detect_anomaly, no_grad
from .primitives import primitive
from .value import Value

__all__ = ["AnomalyError", "Value", "detect_anomaly", "no_grad", "primitive"]
