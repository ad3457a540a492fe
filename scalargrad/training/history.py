"""What training leaves behind, and what decides when it has gone on for long enough.

Both are plain data, which a checkpoint keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from typing import Any, Self

from ..engine.primitive import as_float
from ..notebooks import table_html
from ..state import Each, Maybe, read_at, whole


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

    @classmethod
    def of_state(cls, state: Any, columns: Sequence[str], epochs: int) -> Self:
        """The history, with these columns of so many epochs, that a checkpoint holds; `ValueError` for what is none."""
        numbers = Each([0.0] * epochs, "one an epoch")
        like = {"columns": dict.fromkeys(columns, numbers), "best_epoch": Maybe(0), "stopped": "", "seconds": numbers}
        found = cls(**read_at("history", state, {**like, "compiled": ""}))
        if (best := found.best_epoch) is not None and best >= epochs:
            raise ValueError(f"expected an epoch from 0 to {epochs - 1} at history['best_epoch'], got {best}")
        return found


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

    def state_dict(self) -> dict[str, Any]:
        """Itself as plain data for JSON."""
        return asdict(self)

    @classmethod
    def of_state(cls, state: Any, parameters: int) -> Self:
        """What `state_dict()` returned, of so many parameters; `ValueError`, with the place, for anything else."""
        weights = Maybe(Each([0.0] * parameters, "one a parameter"))
        like = {"value": Maybe(0.0), "weights": weights, "reference": Maybe(0.0), "waited": 0}
        return cls(**read_at("best", state, like))
