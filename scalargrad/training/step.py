"""The optimizer's step in a training, on the parameters themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..engine.value import Value
from ..optim.base import Optimizer

Clip = Callable[[list[Value]], Any]


class OptimizerStep:
    """The optimizer's own step. One that works on numbers of its own loads them, and stores them again."""

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Value]) -> None:
        self.optimizer, self.parameters = optimizer, parameters

    def load(self) -> None:
        """Take over what parameters and optimizer hold."""

    def store(self) -> None:
        """Put it back."""

    @property
    def weights(self) -> Sequence[float]:
        return [p._data for p in self.parameters]

    def __call__(self, gradients: Sequence[float], clip: Clip | None) -> None:
        """Move every parameter by its gradient, which is clipped before."""
        for p, g in zip(self.parameters, gradients, strict=True):
            p._grad = g
        if clip is not None:
            clip(list(self.parameters))
        self.optimizer.step()
