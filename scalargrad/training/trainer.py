"""What makes a training's steps, batch by batch: on `Value`s or compiled, as pays, and what happens where it cannot be.

Both ways give the same bits, so the decision may rest on what was measured: the first batches run on `Value`s and are
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from ..data.dataset import Dataset
from ..engine import modes
from ..engine.primitive import as_float
from ..optim.base import Optimizer
from . import compiled
from .objective import Clip, Objective, OptimizerStep

if TYPE_CHECKING:
    from .compiled import CompiledObjective

Compile = Literal["auto"] | bool
Functions = Literal["library", "polynomial"]
Metrics = Mapping[str, Callable[[list[Any], list[Any]], float]]

# Measured, in units of one sample's gradient on `Value`s: what it costs to trace and to build, and then every sample.
# Machine code costs so many seconds besides; and less where it is made without LLVM.
SOURCE_COST, SOURCE_SHARE = 100.0, 0.4
MACHINE_COST, MACHINE_SECONDS, MACHINE_SHARE = 500.0, 0.3, 0.03
MACHINE_COST_AT_ONCE, MACHINE_SECONDS_AT_ONCE = 100.0, 0.1
MARGIN = 2.0  # that a cost may turn out greater by
TIMED = 2  # batches: the first one imports and warms up
MOST_TIMES = 3  # that a model which was changed is compiled again


def choose(seconds: float, samples: int) -> str:
    """The backend that is done first, "" for none, where a sample takes so long on `Value`s and so many are left."""
    left = seconds * samples
    python = MARGIN * SOURCE_COST * seconds + SOURCE_SHARE * left
    once, each = MACHINE_SECONDS_AT_ONCE, MACHINE_COST_AT_ONCE
    if left <= min(python, MARGIN * (once + each * seconds) + MACHINE_SHARE * left):
        return ""  # whatever this machine can do
    if not compiled.native.at_once(batches=True):
        once, each = MACHINE_SECONDS, MACHINE_COST
    machine = MARGIN * (once + each * seconds) + MACHINE_SHARE * left
    if machine < min(left, python) and compiled.native.available(batches=True):
        return "native"
    return "python" if python < left else ""


class Trainer:
    """Computes loss and gradient of batches, and makes the optimizer's steps, in one way or the other."""

    def __init__(self, objective: Objective, optimizer: Optimizer, wanted: Compile, functions: Functions) -> None:
        if wanted not in ("auto", True, False) or (isinstance(wanted, int) and not isinstance(wanted, bool)):
            raise ValueError(f'fit: compile must be "auto", True or False, got {wanted!r}')
        if functions not in ("library", "polynomial"):
            raise ValueError(f"fit: functions must be 'library' or 'polynomial', got {functions!r}")
        if functions == "polynomial" and wanted is not True:
            raise ValueError("fit: functions='polynomial' is for compiled training: give compile=True, too")
        self.objective, self.optimizer, self.wanted = objective, optimizer, wanted
        self.functions: Functions = functions
        self.compiled: CompiledObjective | None = None
        self.step = OptimizerStep(optimizer, objective.parameters)
        self.backend = ""
        self.decided = wanted is False
        self.timed: list[float] = []  # seconds a sample
        self.made = 0
        self.report = "no: compile=False" if wanted is False else "no: it would not have paid"

    def batch(self, inputs: list[Any], targets: list[Any], clip: Clip | None, left: int) -> float:
        """Make one step, with so many samples left to go through in all; the batch's loss."""
        if self.wanted is True and not self.decided:
            self._compile(inputs[0])
        value, gradient = self._gradient(inputs, targets, left)
        self.step(gradient, clip)
        return value

    def _gradient(self, inputs: list[Any], targets: list[Any], left: int) -> tuple[float, list[float]]:
        if self.compiled is not None and not (modes.active and modes.current().anomaly):
            try:
                return self.compiled(self.step.weights, inputs, targets)
            except compiled.REFUSALS as error:
                self.step.store()
                found = self.objective(inputs, targets)  # where the batch itself is at fault, this raises too
                self._refuse(error)
                return found
        self.step.store()
        began = perf_counter()
        found = self.objective(inputs, targets)
        if not self.decided:
            self.timed.append((perf_counter() - began) / len(inputs))
            if len(self.timed) == TIMED:
                self.decided = True
                self.backend = choose(min(self.timed), left - len(inputs))
                if self.backend:
                    self._compile(inputs[0])
        return found

    def _compile(self, x: Any) -> None:
        self.decided = True
        self.made += 1
        if not self.backend:
            self.backend = "native" if compiled.native.available(batches=True) else "python"
        try:
            weights, make = self.step.weights, compiled.CompiledObjective
            self.compiled = make(self.objective, self.backend, weights, x, self.functions)
        except compiled.REFUSALS as error:
            self._refuse(error)
            return
        self.report = "machine code" if self.backend == "native" else "Python source"
        usable = self.backend == "native" and compiled.CompiledStep.usable(self.optimizer)
        if usable and not isinstance(self.step, compiled.CompiledStep):
            self.step = compiled.CompiledStep(self.optimizer, self.objective.parameters)
            self.step.load()

    def _refuse(self, error: Exception) -> None:
        untraceable = isinstance(error, compiled.UntraceableError)
        if self.wanted is True:
            raise getattr(error, "error", error) if untraceable else error
        self.compiled = None
        self.report = f"no: {error}" if untraceable else f"no: {type(error).__name__}: {error}"
        self.step.store()
        self.step = OptimizerStep(self.optimizer, self.objective.parameters)

    def start_epoch(self, x: Any) -> None:
        """Take over what callbacks and schedules may have changed, and see whether the programs still hold."""
        self.step.load()
        if self.compiled is None:
            return
        try:
            self.compiled.check(self.step.weights, x)
        except compiled.TraceError as error:
            if self.made == MOST_TIMES:
                self._refuse(error)
            else:
                self._compile(x)

    def measured(self, samples: Dataset, metrics: Metrics) -> dict[str, float]:
        """As `evaluate` measures, by the compiled model and the compiled loss where these are compiled."""
        objective, predictions = self.objective, None
        if self.compiled is not None:
            try:
                predictions = self.compiled.predictions([p.data for p in objective.parameters], samples.inputs)
            except compiled.REFUSALS as error:
                self._refuse(error)
        if predictions is None:
            predictions = list(map(objective.model.frozen(), samples.inputs))
        numbers = {}
        for name, metric in metrics.items():
            found = None
            if self.compiled is not None and metric is objective.loss:
                found = self.compiled.loss_of(predictions, samples.targets)
            numbers[name] = as_float(metric(predictions, samples.targets), name) if found is None else found
        return numbers
