"""How many Python calls, in how many files of the package, a flow takes: `python -m tests.flows` prints them.

A count depends on neither machine nor load. Calls are those of the package's own functions, comprehensions included.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import scalargrad
from scalargrad import Value, draw
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP
from scalargrad.optim import SGD
from scalargrad.training import fit

PACKAGE = str(Path(scalargrad.__file__).parent)


def counted(flow: Callable[[], Any]) -> Counter[str]:
    """The calls that a flow makes, by file, when everything has been imported and used once."""
    flow()
    calls: Counter[str] = Counter()

    def called(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            calls[frame.f_code.co_filename.removeprefix(PACKAGE)] += 1

    sys.setprofile(called)
    try:
        flow()
    finally:
        sys.setprofile(None)
    return calls


def drawn() -> Callable[[], Any]:
    """`draw().svg()` of three nodes: two parameters and their product."""
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c = a * b
    c.backward()
    return lambda: draw(c).svg()


def fitted() -> Callable[[], Any]:
    """`fit` of one batch of two samples, on `Value`s: two inputs, two hidden neurons, one output."""
    model, data = MLP(2, [2, 1], "tanh"), ([[0.5, 1.0], [1.0, 0.0]], [1.0, 0.0])
    optimizer = SGD(model.parameters(), lr=0.1)
    return lambda: fit(model, data, mean_squared_error, optimizer, 1, progress=False, compile=False)


FLOWS = {"draw().svg(), 3 nodes": drawn, "fit, one batch": fitted}

if __name__ == "__main__":
    for name, make in FLOWS.items():
        calls = counted(make())
        print(f"{name:32} {sum(calls.values()):6,} calls, {len(calls):3} files")
        for file, n in calls.most_common() if "-v" in sys.argv else ():
            print(f"    {n:6,}  {file}")
