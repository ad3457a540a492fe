"""`fit`: the loop over epochs and batches, with all that makes it bearable, and bit for bit when taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..data.dataset import Dataset
from ..engine.primitive import as_float
from ..engine.value import Value
from ..nn import Module
from ..optim.base import Optimizer
from ..schedules import Rate, parts_with
from ..state import Path, whole
from .history import Data, EarlyStopping, History, Run, dataset
from .objective import Loss, Objective
from .progress import reporter
from .trainer import Compile, Functions, Metrics, Trainer


@dataclass
class Training:
    """What a callback is handed after every epoch. It may change the model and the optimizer, and `stop()` training."""

    model: Module
    optimizer: Optimizer
    history: History
    epoch: int
    epochs: int
    stopping: bool = False

    def stop(self) -> None:
        """End training with this epoch."""
        self.stopping = True


def evaluate(model: Module, data: Data, metrics: Metrics) -> dict[str, float]:
    """Measure a model on data: every metric (a function of predictions and targets) of its predictions, by name.

    The predictions are those of `model.frozen()`: plain numbers, nothing dropped.

    >>> from scalargrad.losses import mean_squared_error
    >>> from scalargrad.nn import MLP
    >>> evaluate(MLP(1, [1], init="zeros"), ([[1.0], [2.0]], [1.0, 3.0]), {"loss": mean_squared_error})
    {'loss': 5.0}
    """
    samples = dataset(data, "data")
    predictions = list(map(model.frozen(), samples.inputs))
    return {name: as_float(metric(predictions, samples.targets), name) for name, metric in metrics.items()}


def fit(
    model: Module,
    data: Data,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None = 32,
    *,
    validation: Data | None = None,
    metrics: Metrics | None = None,
    schedule: Rate | None = None,
    schedule_by: str = "epoch",
    early_stopping: EarlyStopping | None = None,
    callbacks: Iterable[Callable[[Training], Any]] = (),
    penalty: Callable[[list[Any]], Any] | None = None,
    clip: Callable[[list[Value]], Any] | None = None,
    seed: int = 0,
    progress: bool = True,
    checkpoint: Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    compile: Compile = "auto",  # noqa: A002  # what it does
    functions: Functions = "library",
) -> History:
    """Train a model: in every epoch, go through the data in random batches, with one step of the optimizer for each.

    - `data`, `validation`: a `Dataset`, or a pair of inputs and targets. `batch_size` None: all at once.
    - `loss(predictions, targets)`: of one batch, as those of `scalargrad.losses`. `penalty(parameters)` is added to it,
      such as `lambda ps: 1e-4 * sum(p * p for p in ps)`; a loss cannot reach for `model.parameters()` itself.
    - `metrics`: functions of predictions and targets by name, measured after every epoch on the validation data (their
      columns are then called `validation_...`), or on the training data if there are none.
    - `schedule`: a rate for each epoch, or each step with `schedule_by="step"`, counted from 0; without one,
      the optimizer's own rate or schedule holds. A `ReduceOnPlateau`, here or there, by itself or inside another
      schedule, observes the monitored column after every epoch.
    - `early_stopping`: when to end before the last epoch; see `EarlyStopping`.
    - `callbacks`: called after every epoch with a `Training`.
    - `clip(parameters)`: called between backward pass and step, for `clip_grad_norm` and its like.
    - `seed`: of the batches' order.
    - `progress`: whether to show it on the standard output; see `scalargrad.training.progress`.
    - `checkpoint`: a file, written after every `checkpoint_every` epochs and the last, whole or not at all.
    - `resume`: take up the training that the checkpoint holds, with the same arguments: up to `epochs` in all, its
      results are those of a training that never stopped, bit for bit.
    - `compile`: whether the network's gradient and the optimizer's step are compiled: with "auto", where it can be done
      and pays. The results are the same bits either way; `history.compiled` tells which it was, and why. True
      compiles from the first batch, and raises where "auto" would do without: `TypeError` (a `TraceError` mostly) for
      what a program cannot repeat, such as `Dropout`, and `GuardLimitError` for a model that branches in too many ways.
      Model and penalty must be functions of what they are given, and may change between epochs, not within.
    - `functions`: with "polynomial" and `compile=True`, exp, tanh, log and others are arithmetic, see
      `scalargrad.compile`: within a few ULP, and the same bits on every machine, as the playground trains.

    What the model changes in itself while it computes, a counter or running statistics, is kept; `TypeError` where a
    batch depends on a `Value` that the model computed in an earlier one, with other weights.

    Returns the `History`. Ctrl-C ends training and returns the history so far, with `interrupted` set; the model then
    has the weights of its best epoch, if one was finished. (The checkpoint has those of the last.) Modules are in
    training mode meanwhile, and afterwards as they were.

    Raises `ValueError` for arguments out of range, for an optimizer whose parameters are not the model's, for a loss
    that reaches for the model's parameters behind the objective's back, and for a checkpoint of another training;
    `NonFiniteGradientError` where the optimizer does, with a note of epoch and batch.

    >>> from scalargrad.data import xor
    >>> from scalargrad.losses import hinge
    >>> from scalargrad.nn import MLP
    >>> from scalargrad.optim import Adam
    >>> from scalargrad.training import accuracy
    >>> model = MLP(2, [8, 1], activation="tanh")
    >>> history = fit(model, xor(100), hinge, Adam(model.parameters(), lr=0.1), epochs=60, progress=False)
    >>> evaluate(model, xor(100, seed=1), {"accuracy": lambda p, t: accuracy(p, t, threshold=0.0)})
    {'accuracy': 0.95}
    """
    samples = dataset(data, "data")
    run = Run(model, optimizer, samples, epochs, batch_size, seed)
    measured, named = _measurements(samples, validation, loss, metrics or {})
    columns = ["loss", "rate", *named]
    rule = early_stopping or EarlyStopping(restore_best=False)
    monitor = rule.monitor or ("loss" if validation is None else "validation_loss")
    if monitor not in columns:
        raise ValueError(f"fit: nothing to monitor is called {monitor!r}; there are {', '.join(columns)}")
    every = whole("fit: checkpoint_every", checkpoint_every)
    rates = _Rates(optimizer, schedule, schedule_by)
    if resume and checkpoint is None:
        raise ValueError("fit: resume=True needs the checkpoint to resume from")
    if resume and checkpoint is not None:
        run.load(checkpoint, columns)
    run.history.columns = run.history.columns or {name: [] for name in columns}
    run.history.stopped = ""
    trainer = Trainer(Objective(model, run.parameters, loss, penalty), optimizer, compile, functions)
    followers, show = list(callbacks), reporter(progress)
    stop = run.out_of_patience(early_stopping)
    show.start(run.epochs, run.batches, run.epoch)
    modes = [(module, module.training) for _, module in model.named_modules()]
    try:
        model.train()
        while run.epoch < run.epochs and not stop:
            began = time.perf_counter()
            rates.start_epoch(run.epoch)
            numbers = {"rate": optimizer.lr, "loss": run.train(trainer, clip, show.batch)}
            if named:
                numbers |= trainer.measured(measured, named)
            run.history.compiled = trainer.report
            run.finish_epoch(numbers, monitor, rule, time.perf_counter() - began)
            rates.observe(numbers[monitor])
            state = Training(model, optimizer, run.history, run.epoch - 1, run.epochs)
            for follow in followers:
                follow(state)
            stop = "callback" if state.stopping else run.out_of_patience(early_stopping)
            if checkpoint is not None and (run.epoch % every == 0 or run.epoch == run.epochs or stop):
                run.save(checkpoint)
            show.epoch(run.epoch - 1, run.history.last)
    except KeyboardInterrupt:
        stop = "interrupted"
    finally:
        for module, mode in modes:
            module.training = mode
        show.close()
    if rule.restore_best or stop == "interrupted":
        run.restore_best()
    run.history.stopped = stop
    return run.history


def _measurements(samples: Dataset, validation: Data | None, loss: Loss, metrics: Metrics) -> tuple[Dataset, Metrics]:
    """What is measured on after every epoch, and what is measured, by column."""
    for name in ("loss", "rate"):
        if name in metrics:
            raise ValueError(f"fit: a metric cannot be called {name!r}, as a column of the history is")
    if validation is None:
        return samples, metrics
    named = {f"validation_{name}": metric for name, metric in metrics.items()}
    return dataset(validation, "validation"), {"validation_loss": loss, **named}


@dataclass
class _OfEpoch:
    """A schedule that counts epochs and keeps state, as the optimizer's rate: it saves what is inside."""

    schedule: Rate
    epoch: int = 0

    def __call__(self, step: int) -> float:
        return self.schedule(self.epoch)


class _Rates:
    """The schedule that `fit` was given, and whatever schedules the optimizer has."""

    def __init__(self, optimizer: Optimizer, schedule: Rate | None, by: str) -> None:
        if by not in ("epoch", "step"):
            raise ValueError(f'fit: schedule_by must be "epoch" or "step", got {by!r}')
        self.optimizer = optimizer
        self.of_epoch = None
        if schedule is not None and by == "epoch" and not hasattr(schedule, "observe"):
            self.of_epoch = _OfEpoch(schedule)
            self.keeps_state = any(parts_with(name, schedule) for name in ("observe", "load_state_dict"))
            self.start_epoch(0)
        elif schedule is not None:
            optimizer.lr = schedule

    def start_epoch(self, epoch: int) -> None:
        """Set the rate of an epoch, where that is what the schedule counts."""
        if self.of_epoch is not None:
            self.of_epoch.epoch = epoch
            self.optimizer.lr = self.of_epoch if self.keeps_state else self.of_epoch(0)

    def observe(self, metric: float) -> None:
        """Hand the monitored number to every schedule that looks at one."""
        rates = [group["lr"] for group in self.optimizer.groups if callable(group["lr"])]
        for part in parts_with("observe", rates) if rates else ():
            part.observe(metric)
