"""What the benchmarks share: interleaved timing, agreement of answers, and the table."""

from __future__ import annotations

import gc
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from math import inf, log

Once = Callable[[], object]
Answers = Callable[[], Sequence[float]]


@dataclass
class Contender:
    """Something that computes the same numbers: how to run it once, and how to read what it found."""

    name: str
    run: Once
    answers: Answers
    made_in: float = 0.0  # seconds
    keep: object = None  # what must live as long as this
    best: float = field(default=inf)


def measure(contenders: Sequence[Contender], seconds: float = 1.0, rounds: int = 5) -> None:
    """The least time of each, over interleaved rounds."""
    for each in contenders:
        each.run()
    for _ in range(rounds):
        for each in contenders:
            gc.collect()
            end = time.perf_counter() + seconds / rounds / len(contenders)
            while True:
                start = time.perf_counter()
                each.run()
                now = time.perf_counter()
                each.best = min(each.best, now - start)
                if now > end:
                    break


def agree(contenders: Sequence[Contender], tolerance: float = 1e-9) -> None:
    """Raise unless all found the same numbers, to a relative tolerance."""
    first = list(contenders[0].answers())
    scale = max(map(abs, first), default=1.0) or 1.0
    for each in contenders[1:]:
        for k, (a, b) in enumerate(zip(first, each.answers(), strict=True)):
            if not abs(a - b) <= tolerance * scale:
                raise AssertionError(f"{each.name} disagrees with {contenders[0].name} at {k}: {b!r} against {a!r}")


def labelled(name: str) -> str:
    """A peer's name with its version."""
    head = name.split()[0]
    try:
        return f"{name} [{version(head)}]"
    except PackageNotFoundError:
        return name


def machine() -> str:
    return f"Python {platform.python_version()}, {platform.machine()}, one thread"


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of a least-squares line through the logarithms: 1 is linear growth."""
    xs, ys = [log(x) for x in sizes], [log(y) for y in times]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)
