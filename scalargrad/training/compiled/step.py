"""An optimizer's step for all parameters of a group at once: its update rule, compiled and mapped over flat arrays.

The rule is the optimizer's own `update`, so that here is no equation, and the bits, checks and counts are those of
`Optimizer.step`: it is handed gradients that are not finite, and raises, skips or applies. While it works,
arrays hold what the parameters and the optimizer will hold after `store`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import isfinite
from types import SimpleNamespace
from typing import Any

from ...compiler import CompiledFunction, GuardLimitError, compile  # noqa: A004
from ...engine.value import Value
from ...optim.base import Optimizer, gradient
from ..objective import Clip, OptimizerStep


class FlatGroup:
    """One group's parameters and moments as arrays, after `t` steps."""

    def __init__(self, number: int, at: list[int], t: int, flat: Sequence[float], moments: list[Any]) -> None:
        self.number, self.at, self.t, self.moments = number, at, t, moments
        self.whole = at == list(range(len(flat)))  # whether it has all parameters, in order
        self.w = self.of(flat)

    def of(self, flat: Sequence[float]) -> array[float]:
        return array("d", flat if self.whole else [flat[k] for k in self.at])


class CompiledStep(OptimizerStep):
    """The same step, compiled. `usable` says whether there is one for this optimizer."""

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Value]) -> None:
        super().__init__(optimizer, parameters)
        self.position = {p: k for k, p in enumerate(parameters)}
        self.updates: dict[Any, CompiledFunction] = {}
        self.groups: list[FlatGroup] | None = None  # None while the parameters themselves hold the numbers
        self.flat = array("d")
        self.gradients: Sequence[float] = ()
        self.refused = ""  # why the update cannot be compiled

    @staticmethod
    def usable(optimizer: Optimizer) -> bool:
        """Whether a step is what this package's `Optimizer` does, so that it may be done otherwise."""
        return all(getattr(type(optimizer), name) is getattr(Optimizer, name) for name in ("step", "_resolved"))

    def load(self) -> None:
        o = self.optimizer
        self.groups = None
        if self.refused:
            return
        self.flat = array("d", [p.data for p in self.parameters])
        groups = []
        for i, group in enumerate(o.groups):
            start = o.start(SimpleNamespace(**group))
            known = [o._state.get(w, (0, start)) for w in group["params"]]
            times = {t for t, _ in known}
            if len(times) > 1:  # a parameter was left out of some steps: each has its own count
                return
            at = [self.position[w] for w in group["params"]]
            moments = [array("d", column) for column in zip(*(s for _, s in known), strict=True)]
            groups.append(FlatGroup(i, at, times.pop(), self.flat, moments))
        self.groups = groups

    def store(self) -> None:
        if self.groups is None:
            return
        for p, x in zip(self.parameters, self.flat, strict=True):
            p.data = x
        for p, g in zip(self.parameters, self.gradients, strict=False):  # none before the first step
            p.grad = g
        for group in self.groups:
            if group.t:
                states = zip(*group.moments, strict=True) if group.moments else [()] * len(group.at)
                for k, s in zip(group.at, states, strict=True):
                    self.optimizer._state[self.parameters[k]] = (group.t, s)

    @property
    def weights(self) -> Sequence[float]:
        return super().weights if self.groups is None else self.flat

    def __call__(self, gradients: Sequence[float], clip: Clip | None) -> None:
        if self.groups is None:
            return super().__call__(gradients, clip)
        self.gradients = gradients
        if clip is not None:
            self.store()
            clip(list(self.parameters))
            if any(not p.has_gradient for p in self.parameters):
                return self._own(stored=True)
            self.gradients = gradients = [gradient(p) for p in self.parameters]
            self.flat = array("d", [p.data for p in self.parameters])
            for group in self.groups:
                group.w = group.of(self.flat)
        if self.optimizer.on_nonfinite != "apply" and not isfinite(sum(gradients)):  # one of them may be inf or nan
            return self._own()
        try:
            moved = [self._moved(group, gradients) for group in self.groups]
        except (TypeError, ValueError, GuardLimitError) as error:
            self.refused = str(error)  # a rule that cannot be traced; or an error of its own, raised again there
            return self._own()
        if self.optimizer.on_nonfinite != "apply" and not all(isfinite(sum(x)) for w, s in moved for x in (w, *s)):
            return self._own()
        for group, (w, moments) in zip(self.groups, moved, strict=True):
            group.w, group.moments, group.t = w, moments, group.t + 1
            if group.whole:
                self.flat = w
            else:
                for k, x in zip(group.at, w, strict=True):
                    self.flat[k] = x
        self.optimizer.steps += 1
        return None

    def _own(self, stored: bool = False) -> None:
        if not stored:
            self.store()
        self.optimizer.step()
        self.gradients = ()
        self.load()

    def _moved(self, group: FlatGroup, gradients: Sequence[float]) -> tuple[Any, list[Any]]:
        h = self.optimizer._resolved(self.optimizer.groups[group.number])
        count = len(group.moments)
        fixed = {name: value for name, value in vars(h).items() if name != "lr"}
        key = (count, *fixed.items())
        update = self.updates.get(key)
        if update is None:
            of_one = type(self.optimizer).update

            def updated(w: Any, g: Any, s: Any, t: Any, lr: Any) -> Any:
                w, s = of_one(w, g, t, s, SimpleNamespace(**fixed, lr=lr))
                return w, tuple(s)

            update = self.updates[key] = compile(updated, backend="native")
        axes = (0, 0, 0 if count else None, None, None)
        w, moments = update.map(group.w, group.of(gradients), tuple(group.moments), group.t + 1.0, h.lr, in_axes=axes)
        return w, list(moments)
