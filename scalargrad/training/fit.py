"""`fit`: the loop over epochs and batches, with all that makes it bearable, and exact to the bit when taken up again.

It stands on one definition, `objective.py`: a batch's loss and gradient at given weights. They are computed on `Value`s
or by compiled programs, as pays; the loop sees no difference, nor does anybody who looks at the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..data.dataset import Dataset
from ..engine.table import as_float
from ..engine.value import Value
from ..nn import Module
from ..nn.storage import Path
from ..optim.base import Optimizer
from ..schedules import Rate
from .engine import Compile, Engine
from .history import EarlyStopping, History
from .objective import Loss, Objective
from .progress import reporter
from .run import Data, Run, dataset, whole

Metrics = Mapping[str, Callable[[list[Any], list[Any]], float]]


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
    samples, predict = dataset(data, "data"), model.frozen()
    predictions = [predict(x) for x in samples.inputs]
    return {name: as_float(metric(predictions, samples.targets), name) for name, metric in metrics.items()}


def _measured(engine: Engine, samples: Dataset, metrics: Metrics) -> dict[str, float]:
    """As `evaluate`, of what is trained, compiled if it is."""
    predictions = engine.predictions(samples.inputs)
    if predictions is None:
        return evaluate(engine.objective.model, samples, metrics)
    return {
        name: engine.loss_of(predictions, samples.targets)
        if metric is engine.objective.loss
        else as_float(metric(predictions, samples.targets), name)
        for name, metric in metrics.items()
    }


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
) -> History:
    """Train a model: in every epoch, go through the data in random batches, with one step of the optimizer for each.

    - `data`, `validation`: a `Dataset`, or a pair of inputs and targets. `batch_size` None: all at once.
    - `loss(predictions, targets)`: of one batch, as those of `scalargrad.losses`. `penalty(parameters)` is added to it,
      such as `lambda ps: 1e-4 * sum(p * p for p in ps)`; a loss cannot reach for `model.parameters()` itself.
    - `metrics`: functions of predictions and targets by name, measured after every epoch on the validation data (their
      columns are then called `validation_...`), or on the training data if there are none.
    - `schedule`: a rate for each epoch, or each step with `schedule_by="step"`, counted from 0; without one,
      the optimizer's own rate or schedule holds. A `ReduceOnPlateau`, here or there, is told the monitored column
      after every epoch.
    - `early_stopping`: when to end before the last epoch; see `EarlyStopping`.
    - `callbacks`: called after every epoch with a `Training`.
    - `clip(parameters)`: called between backward pass and step, for `clip_grad_norm` and its like.
    - `seed`: of the batches' order.
    - `progress`: whether to show it on the standard output; see `scalargrad.training.progress`.
    - `checkpoint`: a file, written after every `checkpoint_every` epochs and the last, whole or not at all.
    - `resume`: take up the training that the checkpoint holds, with the same arguments: up to `epochs`, all told, its
      results are those of a training that never stopped, bit for bit.
    - `compile`: whether the network's gradient and the optimizer's step are compiled: with "auto", where it can be done
      and pays. The results are the same bits either way; `history.compiled` tells which it was, and why. True
      compiles from the first batch, and raises where "auto" would do without: `TypeError` (a `TraceError` mostly) for
      what a program cannot repeat, such as `Dropout`, and `GuardLimitError` for a model that branches in too many ways.
      Model and penalty must be functions of what they are given, and may change between epochs, not within.

    Returns the `History`. Ctrl-C ends training and returns the history so far, with `interrupted` set; the model then
    has the weights of its best epoch, if one was finished. (The checkpoint has those of the last.) Modules are in
    training mode meanwhile, and afterwards as they were.

    Raises `ValueError` for arguments out of range, for an optimizer whose parameters are not the model's, for a loss
    that reaches for the model's parameters behind the objective's back, and for a checkpoint of another training;
    `NonFiniteGradientError` where the optimizer does, with a note that tells epoch and batch.

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
    parts = (metrics or {}).items()
    for name in ("loss", "rate"):
        if name in (metrics or {}):
            raise ValueError(f"fit: a metric cannot be called {name!r}, as a column of the history is")
    run = Run(model, optimizer, samples, epochs, batch_size, seed)
    if validation is None:
        measured, named = samples, dict(parts)
    else:
        measured = dataset(validation, "validation")
        named = {"validation_loss": loss, **{f"validation_{name}": metric for name, metric in parts}}
    columns = ["loss", "rate", *named]
    rule = early_stopping or EarlyStopping(restore_best=False)
    monitor = rule.monitor or ("loss" if validation is None else "validation_loss")
    if monitor not in columns:
        raise ValueError(f"fit: nothing to monitor is called {monitor!r}; there are {', '.join(columns)}")
    if schedule_by not in ("epoch", "step"):
        raise ValueError(f'fit: schedule_by must be "epoch" or "step", got {schedule_by!r}')
    if resume and checkpoint is None:
        raise ValueError("fit: resume=True needs the checkpoint to resume from")
    whole("checkpoint_every", checkpoint_every)
    every_epoch = schedule is not None and schedule_by == "epoch" and not hasattr(schedule, "observe")
    if schedule is not None:
        optimizer.lr = schedule(0) if every_epoch else schedule
    if resume and checkpoint is not None:
        run.load(checkpoint, columns)
    run.history.columns = run.history.columns or {name: [] for name in columns}
    run.history.stopped = ""
    engine = Engine(Objective(model, run.parameters, loss, penalty), optimizer, run.parameters, compile)
    followers = list(callbacks)
    show = reporter(progress)
    modes = [(module, module.training) for _, module in model.named_modules()]
    stop = run.out_of_patience(early_stopping)
    show.start(epochs, run.batches, run.epoch)
    try:
        model.train()
        while run.epoch < epochs and not stop:
            began = time.perf_counter()
            if every_epoch and schedule is not None:
                optimizer.lr = schedule(run.epoch)
            numbers = {"rate": optimizer.lr, "loss": run.train(engine, clip, show.batch, epochs)}
            numbers |= _measured(engine, measured, named) if named else {}
            run.history.compiled = engine.report
            run.finish_epoch(numbers, monitor, rule, time.perf_counter() - began)
            for rate in {id(group["lr"]): group["lr"] for group in optimizer.groups}.values():
                if hasattr(rate, "observe"):
                    rate.observe(numbers[monitor])
            state = Training(model, optimizer, run.history, run.epoch - 1, epochs)
            for follower in followers:
                follower(state)
            stop = "callback" if state.stopping else run.out_of_patience(early_stopping)
            if checkpoint is not None and (run.epoch % checkpoint_every == 0 or run.epoch == epochs or stop):
                run.save(checkpoint)
            show.epoch(run.epoch - 1, run.history.last)
        if rule.restore_best:
            run.restore_best()
    except KeyboardInterrupt:
        stop = "interrupted"
        run.restore_best()
    finally:
        for module, mode in modes:
            module.training = mode
        show.close()
    run.history.stopped = stop
    return run.history
