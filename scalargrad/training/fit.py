"""`fit`: the loop over epochs and batches, with all that makes it bearable, and exact to the bit when taken up again.

It stands on one pure function, `objective(parameters, inputs, targets)`, from a list of numbers and a batch to the loss.
What turns it into loss and gradients is handed in: `value_and_grad` runs it on `Value`s, a compiler traces it; the loop
sees no difference. All randomness comes from the seed and the number of the epoch, so that there is nothing to save.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..calculus import value_and_grad
from ..data import Dataset
from ..graph import topological_order
from ..nn import Module
from ..nn.storage import Path, read_json, write_json
from ..optim import Optimizer
from ..primitives import as_float
from ..schedules import Rate
from ..value import Value
from .history import Best, EarlyStopping, History
from .progress import reporter

Data = Dataset | tuple[Sequence[Any], Sequence[Any]]
Loss = Callable[[list[Any], list[Any]], Any]
Metrics = Mapping[str, Callable[[list[Any], list[Any]], float]]
_FORMAT = "scalargrad checkpoint 1"


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
    samples, predict = _dataset(data, "data"), model.frozen()
    predictions = [predict(x) for x in samples.inputs]
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
    differentiate: Callable[[Callable[..., Any]], Callable[..., tuple[Any, Any]]] = value_and_grad,
) -> History:
    """Train a model: in every epoch, go through the data in random batches, with one step of the optimizer for each.

    - `data`, `validation`: a `Dataset`, or a pair of inputs and targets. `batch_size` None: all at once.
    - `loss(predictions, targets)`: of one batch, as those of `scalargrad.losses`. `penalty(parameters)` is added to it,
      such as `lambda ps: 1e-4 * sum(p * p for p in ps)`; a loss cannot reach for `model.parameters()` itself.
    - `metrics`: functions of predictions and targets by name, measured after every epoch on the validation data (their
      columns are then called `validation_...`), or on the training data if there are none.
    - `schedule`: a rate for each epoch, or each step with `schedule_by="step"`, counted from 0; `ReduceOnPlateau` is
      told the monitored column after every epoch. Without one, the optimizer's own rate or schedule holds.
    - `early_stopping`: when to end before the last epoch; see `EarlyStopping`.
    - `callbacks`: called after every epoch with a `Training`.
    - `clip(parameters)`: called between backward pass and step, for `clip_grad_norm` and its like.
    - `seed`: of the batches' order.
    - `progress`: whether to show it on the standard output; see `scalargrad.training.progress`.
    - `checkpoint`: a file, written after every `checkpoint_every` epochs and the last, whole or not at all.
    - `resume`: take up the training that the checkpoint holds, with the same arguments: up to `epochs`, all told, its
      results are those of a training that never stopped, bit for bit.
    - `differentiate`: what makes of the objective, a function `(parameters, inputs, targets) -> loss`, the function of
      the same arguments that returns loss and gradients.

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
    >>> history = fit(model, xor(100), hinge, Adam(model.parameters(), lr=0.1), epochs=10, batch_size=10, progress=False)
    >>> evaluate(model, xor(100, seed=1), {"accuracy": lambda p, t: accuracy(p, t, threshold=0.0)})
    {'accuracy': 0.98}
    """
    samples = _dataset(data, "data")
    parts = (metrics or {}).items()
    run = _Run(model, optimizer, samples, epochs, batch_size, seed)
    if validation is None:
        measured, named = samples, dict(parts)
    else:
        measured = _dataset(validation, "validation")
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
    _whole("checkpoint_every", checkpoint_every)
    every_epoch = schedule is not None and schedule_by == "epoch" and not hasattr(schedule, "observe")
    if schedule is not None:
        optimizer.lr = schedule(0) if every_epoch else schedule
    if resume and checkpoint is not None:
        run.load(checkpoint, columns)
    run.history.columns = run.history.columns or {name: [] for name in columns}
    run.history.stopped = ""
    loss_and_gradients = differentiate(run.objective(loss, penalty))
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
            numbers = {"rate": optimizer.lr, "loss": run.train(loss_and_gradients, clip, show.batch)}
            numbers |= evaluate(model, measured, named) if named else {}
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


def _dataset(data: Data, what: str) -> Dataset:
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"fit: {what} must be a Dataset, or a pair of inputs and targets, got {type(data).__name__}")
    return Dataset(data[0], data[1])  # type: ignore[arg-type]  # it makes lists of them


def _whole(what: str, n: Any) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"fit: {what} must be a whole number of at least 1, got {n!r}")
    return n


class _Run:
    """One training: the model, its data, how far it has come, and what it has found."""

    def __init__(
        self, model: Module, optimizer: Optimizer, samples: Dataset, epochs: int, batch_size: int | None, seed: int
    ) -> None:
        self.model, self.optimizer, self.samples = model, optimizer, samples
        _whole("epochs", epochs)
        self.size = len(samples) if batch_size is None else _whole("batch_size", batch_size)
        if not isinstance(seed, int):
            raise TypeError(f"fit: seed must be an int, got {type(seed).__name__}")
        self.seed = seed
        self.batches = -(-len(samples) // self.size)
        self.parameters = model.parameters()
        own = set(self.parameters)
        for i, group in enumerate(optimizer.groups):
            for k, p in enumerate(group["params"]):
                if p not in own:
                    raise ValueError(
                        f"fit: parameter {k} of the optimizer's group {i}, {p!r}, is not one of the model's; "
                        "make the optimizer from model.parameters()"
                    )
        self.epoch = 0
        self.history, self.best = History(), Best()

    def objective(self, loss: Loss, penalty: Callable[[list[Any]], Any] | None) -> Callable[..., Any]:
        """The loss of a batch as a pure function of the parameters."""
        own, checked = set(self.parameters), False

        def objective(parameters: list[Any], inputs: list[Any], targets: list[Any]) -> Any:
            nonlocal checked
            model = self.model.with_parameters(parameters)
            value = loss([model(x) for x in inputs], targets)
            if penalty is not None:
                value = value + penalty(parameters)
            if not checked and isinstance(value, Value):
                checked = True
                for node in topological_order((value,)):
                    if node in own:
                        raise ValueError(
                            f"fit: the loss depends on the model's parameter {node!r} itself, whose gradient would be "
                            "lost here: add penalties as penalty=, and let modules reach their parameters by attributes"
                        )
            return value

        return objective

    def train(
        self,
        loss_and_gradients: Callable[..., tuple[Any, Any]],
        clip: Callable[[list[Value]], Any] | None,
        report: Callable[[int, int, float], None],
    ) -> float:
        """One epoch; the mean of the samples' losses, each as its batch came along."""
        total = 0.0
        for k, (inputs, targets) in enumerate(self.samples.batches(self.size, (self.seed << 32) + self.epoch)):
            try:
                value, gradients = loss_and_gradients([p.data for p in self.parameters], inputs, targets)
                for p, g in zip(self.parameters, gradients, strict=True):
                    p.grad = g
                if clip is not None:
                    clip(self.parameters)
                self.optimizer.step()
            except Exception as error:
                error.add_note(f"in epoch {self.epoch + 1}, batch {k + 1} of {self.batches}")
                raise
            total += value * len(targets)
            report(self.epoch, k, value)
        return total / len(self.samples)

    def finish_epoch(self, numbers: Mapping[str, float], monitor: str, rule: EarlyStopping, seconds: float) -> None:
        """Write the epoch's numbers down."""
        weights = [p.data for p in self.parameters]
        if self.best.observe(numbers[monitor], rule, weights):
            self.history.best_epoch = self.epoch
        self.history.seconds.append(seconds)
        for name, column in self.history.columns.items():
            column.append(numbers[name])
        self.epoch += 1

    def out_of_patience(self, rule: EarlyStopping | None) -> str:
        return "early stopping" if rule is not None and self.best.waited >= rule.patience else ""

    def restore_best(self) -> None:
        if self.best.weights is not None:
            for p, x in zip(self.parameters, self.best.weights, strict=True):
                p.data = x

    # ---- checkpoints -------------------------------------------------------------------------------------------------

    def arguments(self, columns: Sequence[str]) -> dict[str, Any]:
        """What must be the same when the training is taken up again."""
        return {
            "model": repr(self.model),
            "seed": self.seed,
            "batch_size": self.size,
            "samples": len(self.samples),
            "columns": list(columns),
        }

    def save(self, path: Path) -> None:
        """Write down all that the next epoch depends on."""
        write_json(
            path,
            {
                "format": _FORMAT,
                "epoch": self.epoch,
                "arguments": self.arguments(list(self.history.columns)),
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "best": self.best.state_dict(),
                "history": asdict(self.history),
            },
        )

    def load(self, path: Path, columns: Sequence[str]) -> None:
        """Take up what `save` wrote; `ValueError` where it is of another training, and then nothing is changed."""
        saved, place = read_json(path, _FORMAT), os.fspath(path)
        try:
            for name, mine in self.arguments(columns).items():
                if saved["arguments"][name] != mine:
                    raise ValueError(f"{place}: its {name} is {saved['arguments'][name]!r}, here it is {mine!r}")
            best, history, epoch = Best(**saved["best"]), History(**saved["history"]), saved["epoch"]
            if {len(column) for column in history.columns.values()} != {epoch}:
                raise ValueError(f"{place}: {epoch!r} epochs, but columns of other lengths")
            if best.weights is not None and len(best.weights) != len(self.parameters):
                raise ValueError(f"{place}: {len(best.weights)} best weights for {len(self.parameters)} parameters")
            before = self.model.state_dict()
            self.model.load_state_dict(saved["model"])
            try:
                self.optimizer.load_state_dict(saved["optimizer"])
            except Exception:
                self.model.load_state_dict(before)
                raise
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{place}: not a whole checkpoint: {error!r}") from error
        self.best, self.history, self.epoch = best, history, epoch
