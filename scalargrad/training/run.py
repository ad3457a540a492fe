"""One training: an epoch, the best one so far, and the checkpoint that all of it goes on from.

Resuming is exact, since all that the next epoch depends on is in the checkpoint, or comes from seed and epoch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..data.dataset import Dataset
from ..nn import Module
from ..optim.base import Optimizer
from ..state import ANY, Path, load_all, read_at, read_state, seed_of, whole, within, write_state
from ..transforms.trees import shown
from .history import Best, EarlyStopping, History
from .step import Clip
from .trainer import Trainer

Data = Dataset | tuple[Sequence[Any], Sequence[Any]]
FORMAT = "scalargrad checkpoint 1"


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
            trainer.end_epoch()
        return total / self.count

    def finish_epoch(self, numbers: Mapping[str, float], monitor: str, rule: EarlyStopping, seconds: float) -> None:
        """Write the epoch's numbers down."""
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
        """Write down all that the next epoch depends on."""
        state = {
            "epoch": self.epoch, "arguments": self.arguments(list(self.history.columns)),
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "best": self.best.state_dict(), "history": asdict(self.history),
        }  # fmt: skip
        write_state(path, FORMAT, state)

    def load(self, path: Path, columns: Sequence[str]) -> None:
        """Take up what `save` wrote; `ValueError` where it is of another training, and then nothing is changed."""
        saved = read_state(path, FORMAT)
        with within(os.fspath(path)):
            self._load(saved, columns)

    def _load(self, saved: dict[str, Any], columns: Sequence[str]) -> None:
        mine = self.arguments(columns)
        rest = dict.fromkeys(("model", "optimizer", "best", "history"), ANY)
        saved = read_at("", saved, {"epoch": 0, "arguments": dict.fromkeys(mine, ANY), **rest})
        for name, given in saved["arguments"].items():
            if given != mine[name]:
                raise ValueError(f"its {name} is {shown(given)}, here it is {mine[name]!r}")
        epoch = saved["epoch"]
        history = History.of_state(saved["history"], columns, epoch)
        best = Best.of_state(saved["best"], len(self.parameters))
        loaded = (self.model, saved["model"]), (self.optimizer, saved["optimizer"])
        load_all([(each.state_dict, each.load_state_dict, state) for each, state in loaded])
        self.best, self.history, self.epoch = best, history, epoch
