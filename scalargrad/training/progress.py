"""What training shows while it runs: a bar, one line that is rewritten, one line an epoch, or nothing.

It goes to the standard output as it is when training starts. tqdm draws the bar where it is installed (`pip install
tqdm`); without it one line is rewritten. Where the output is no terminal, one line is printed for every epoch; in a
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

INTERVAL = 0.1  # seconds between two rewritings


def described(numbers: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {x:.4g}" for name, x in numbers.items())


class Silent:
    """Shows nothing; the base of what shows something."""

    def start(self, epochs: int, batches: int, done: int) -> None:
        """Training begins: so many epochs in all, of so many batches; so many epochs are done already."""

    def batch(self, epoch: int, batch: int, loss: float) -> None:
        """A batch is done; both count from 0."""

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """An epoch is done."""

    def close(self) -> None:
        """Training has ended, in whatever way."""


class EpochLines(Silent):
    """One line for every epoch."""

    def start(self, epochs: int, batches: int, done: int) -> None:
        self.stream, self.epochs, self.batches = sys.stdout, epochs, batches
        self.began = time.perf_counter()

    def text(self, epoch: int, rest: str) -> str:
        return f"epoch {epoch + 1:{len(str(self.epochs))}}/{self.epochs}  {rest}"

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        now = time.perf_counter()
        self.stream.write(self.text(epoch, f"{described(numbers)}  {now - self.began:.2g} s\n"))
        self.stream.flush()
        self.began = now


class RewrittenLine(EpochLines):
    """One line that is rewritten."""

    numbers = shown = ""
    next = 0.0
    last = 0

    def show(self, epoch: int, rest: str) -> None:
        text, width = self.text(epoch, rest), shutil.get_terminal_size().columns - 1
        text = text if len(text) <= width else text[: width - 1] + "…"
        self.stream.write("\r" + text.ljust(len(self.shown)))
        self.stream.flush()
        self.shown, self.next = text, time.monotonic() + INTERVAL

    def batch(self, epoch: int, batch: int, loss: float) -> None:
        if time.monotonic() >= self.next:
            rest = self.numbers or f"loss {loss:.4g}"
            self.show(epoch, f"batch {batch + 1:{len(str(self.batches))}}/{self.batches}  {rest}")

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self.numbers, self.last = described(numbers), epoch
        if time.monotonic() >= self.next or epoch + 1 == self.epochs:
            self.show(epoch, self.numbers)

    def close(self) -> None:
        if self.numbers:
            self.show(self.last, self.numbers)
        if self.shown:
            self.stream.write("\n")
            self.stream.flush()


class Bar(Silent):
    """A bar that tqdm draws, over all batches of all epochs."""

    def __init__(self, tqdm: Any) -> None:
        # Without its monitor, a thread that would outlive the training to refresh bars that hang.
        self.tqdm = type("Bar", (tqdm,), {"monitor_interval": 0})

    def start(self, epochs: int, batches: int, done: int) -> None:
        self.epochs = epochs
        self.bar = self.tqdm(
            desc=f"epoch {min(done + 1, epochs)}/{epochs}", total=epochs * batches, initial=done * batches,
            unit="batch", file=sys.stdout, dynamic_ncols=True,
        )  # fmt: skip

    def batch(self, epoch: int, batch: int, loss: float) -> None:
        if batch == 0:
            self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)
        self.bar.update()

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self.bar.set_postfix_str(described(numbers), refresh=False)

    def close(self) -> None:
        self.bar.refresh()
        self.bar.close()


def reporter(progress: bool) -> Silent:
    """What shows the progress on this standard output."""
    if not isinstance(progress, bool):
        raise TypeError(f"progress: expected True or False, got {progress!r}")
    if not progress or sys.stdout is None:
        return Silent()
    notebook = type(sys.stdout).__module__.startswith("ipykernel")
    if not notebook and not sys.stdout.isatty():
        return EpochLines()
    tqdm = _tqdm(notebook)
    return RewrittenLine() if tqdm is None else Bar(tqdm)


def _tqdm(notebook: bool) -> Any:
    """tqdm's class: the one of widgets where they are; None where it is not installed."""
    if find_spec("tqdm") is None:
        return None
    if notebook and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as of_widgets  # type: ignore[import-untyped, unused-ignore]

        return of_widgets
    from tqdm.std import tqdm  # type: ignore[import-untyped, unused-ignore]

    return tqdm
