"""A training's course: its history, when it has gone on for long enough, and the checkpoint that it goes on from.

Resuming is exact, since all that the next epoch depends on is in the checkpoint, or comes from seed and epoch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from typing import Any

from ..data.dataset import Dataset
from ..engine.primitive import as_float
from ..nn import Module
from ..notebooks import table_html
from ..optim.base import Optimizer
from ..state import ANY, Each, Maybe, Path, load_all, read_at, read_state, seed_of, whole, within, write_state
from ..transforms.trees import shown
from .objective import Clip
from .trainer import Trainer

Data = Dataset | tuple[Sequence[Any], Sequence[Any]]
FORMAT = "scalargrad checkpoint 1"


@dataclass
class History:
    """What happened in each epoch. `history["loss"]` is a list with one number an epoch, `len(history)` their count.

    - `columns`: `"loss"`, the mean of what was minimised over the epoch's samples, each as its batch came along;
      `"rate"`, the learning rate of its first step; `"validation_loss"` and metrics by name, measured at its end.
    - `best_epoch`: the epoch, from 0, with the best of the monitored column; None before the first.
    - `stopped`: why it ended before the last epoch: `"early stopping"`, `"callback"`, `"interrupted"`; else "".
    - `seconds`: how long each epoch took; `compiled`: what computed the gradients in the end, "machine code" or "Python
      source", or "no: " and why not (`==` compares neither).

    >>> history = History({"loss": [0.5, 0.25]}, best_epoch=1)
    >>> history["loss"][-1], len(history), history.interrupted
    (0.25, 2, False)
    """

    columns: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    stopped: str = ""
    seconds: list[float] = field(default_factory=list, compare=False)
    compiled: str = field(default="", compare=False)

    def __getitem__(self, column: str) -> list[float]:
        if column not in self.columns:
            raise KeyError(f"History: no column {column!r}; there are {', '.join(self.columns)}")
        return self.columns[column]

    def __len__(self) -> int:
        return min(map(len, self.columns.values()), default=0)

    def __bool__(self) -> bool:
        return True

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.stopped == "interrupted"

    @property
    def last(self) -> dict[str, float]:
        """The numbers of the last epoch, by column; empty before the first."""
        return {name: column[-1] for name, column in self.columns.items()} if len(self) else {}

    def __repr__(self) -> str:
        numbers = "".join(f", {name}={x:.4g}" for name, x in self.last.items())
        return f"History({len(self)} epochs{numbers}{f', {self.stopped}' if self.stopped else ''})"

    def _repr_html_(self) -> str:
        """What a notebook shows: a row for each epoch."""
        columns = [*self.columns.values()]

        def row(k: int) -> list[Any]:
            return [k, *[column[k] for column in columns], "best" if k == self.best_epoch else ""]

        return table_html(repr(self), ["epoch", *self.columns, ""], len(self), row)


@dataclass(frozen=True)
class EarlyStopping:
    """End training when a column of the history has not improved for `patience` epochs.

    An epoch improves if it is below the last one that did (`mode="min"`), or above (`"max"`), by more than `min_delta`;
    a nan does not. `monitor` is the column; `"validation_loss"` if not given, or `"loss"` where nothing validates. At
    the end the model gets the weights of the best epoch, unless `restore_best=False`. Raises `ValueError` for arguments
    out of range. Prechelt, Early stopping, but when?, in: Neural networks: tricks of the trade, 1998.

    >>> EarlyStopping(patience=5)
    EarlyStopping(patience=5, min_delta=0.0, monitor=None, mode='min', restore_best=True)
    """

    patience: int = 10
    min_delta: float = 0.0
    monitor: str | None = None
    mode: str = "min"
    restore_best: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", whole("EarlyStopping: patience", self.patience))
        delta = as_float(self.min_delta, "EarlyStopping, min_delta")
        if not (delta >= 0.0 and isfinite(delta)):
            raise ValueError(f"EarlyStopping: min_delta must be finite and at least 0, got {self.min_delta!r}")
        if self.mode not in ("min", "max"):
            raise ValueError(f'EarlyStopping: mode must be "min" or "max", got {self.mode!r}')


@dataclass
class Best:
    """The best epoch so far, with its weights, and how long ago there was one that counts as an improvement."""

    value: float | None = None
    weights: list[float] | None = None
    reference: float | None = None
    waited: int = 0

    def observe(self, x: float, rule: EarlyStopping, weights: list[float]) -> bool:
        """Take an epoch's number into account; whether it is the best."""
        sign = 1.0 if rule.mode == "min" else -1.0
        if sign * x < (inf if self.reference is None else sign * self.reference - rule.min_delta):
            self.reference, self.waited = x, 0
        else:
            self.waited += 1
        best = sign * x < (inf if self.value is None else sign * self.value)
        if best:
            self.value, self.weights = x, weights
        return best


def dataset(data: Data, what: str) -> Dataset:
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"fit: {what} must be a Dataset, or a pair of inputs and targets, got {type(data).__name__}")
    return Dataset(data[0], data[1])  # type: ignore[arg-type]  # it makes lists of them


class Run:
    """One training: the model, its data, how far it has come, and what it has found."""

    def __init__(
        self, model: Module, optimizer: Optimizer, samples: Dataset, epochs: int, batch_size: int | None, seed: int
    ) -> None:
        self.model, self.optimizer, self.samples = model, optimizer, samples
        self.epochs = whole("fit: epochs", epochs)
        self.count = len(samples)
        self.size = self.count if batch_size is None else whole("fit: batch_size", batch_size)
        self.seed = seed_of("fit: seed", seed)
        self.batches = -(-self.count // self.size)
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

    def train(self, trainer: Trainer, clip: Clip | None, report: Callable[[int, int, float], None]) -> float:
        """One epoch; the mean of the samples' losses, each as its batch came along."""
        total, left = 0.0, (self.epochs - self.epoch) * self.count
        try:
            for k, (inputs, targets) in enumerate(self.samples.batches(self.size, (self.seed << 32) + self.epoch)):
                try:
                    if k == 0:
                        trainer.start_epoch(inputs[0])
                    value = trainer.batch(inputs, targets, clip, left)
                except Exception as error:
                    error.add_note(f"in epoch {self.epoch + 1}, batch {k + 1} of {self.batches}")
                    raise
                total += value * len(targets)
                left -= len(targets)
                report(self.epoch, k, value)
        finally:
            trainer.step.store()
        return total / self.count

    def finish_epoch(self, numbers: Mapping[str, float], monitor: str, rule: EarlyStopping, seconds: float) -> None:
        weights = [p._data for p in self.parameters]
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

    def arguments(self, columns: Sequence[str]) -> dict[str, Any]:
        """What must be the same when the training is taken up again."""
        return {
            "model": repr(self.model), "seed": self.seed, "batch_size": self.size, "samples": self.count,
            "columns": list(columns),
        }  # fmt: skip

    def save(self, path: Path) -> None:
        state = {
            "epoch": self.epoch, "arguments": self.arguments(list(self.history.columns)),
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "best": asdict(self.best), "history": asdict(self.history),
        }  # fmt: skip
        write_state(path, FORMAT, state)

    def load(self, path: Path, columns: Sequence[str]) -> None:
        """Take up what `save` wrote; `ValueError` where it is of another training, and then nothing is changed."""
        saved, mine = read_state(path, FORMAT), self.arguments(columns)
        rest = dict.fromkeys(("model", "optimizer", "best", "history"), ANY)
        with within(os.fspath(path)):
            saved = read_at("", saved, {"epoch": 0, "arguments": dict.fromkeys(mine, ANY), **rest})
            for name, given in saved["arguments"].items():
                if given != mine[name]:
                    raise ValueError(f"its {name} is {shown(given)}, here it is {mine[name]!r}")
            epochs = saved["epoch"]
            numbers = Each(0.0, epochs, "one an epoch")
            like: dict[str, Any] = {"columns": dict.fromkeys(columns, numbers), "best_epoch": Maybe(0), "stopped": ""}
            history = History(**read_at("history", saved["history"], {**like, "seconds": numbers, "compiled": ""}))
            if history.best_epoch is not None and history.best_epoch >= epochs:
                found = history.best_epoch
                raise ValueError(f"expected an epoch from 0 to {epochs - 1} at history['best_epoch'], got {found}")
            weights = Maybe(Each(0.0, len(self.parameters), "one a parameter"))
            like = {"value": Maybe(0.0), "weights": weights, "reference": Maybe(0.0), "waited": 0}
            best = Best(**read_at("best", saved["best"], like))
            loaded = (self.model, saved["model"]), (self.optimizer, saved["optimizer"])
            load_all([(each.state_dict, each.load_state_dict, state) for each, state in loaded])
        self.best, self.history, self.epoch = best, history, epochs
