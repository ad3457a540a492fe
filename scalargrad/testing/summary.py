"""What `pytest --gradient-report` prints: a line for each function and order that a test checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from .checking import observers
from .reports import Report, State

Key = tuple[str, str, int]  # the test, the function, the order of derivative
Counts = list[float]  # points, largest error in ULP, then how many derivatives agree, are wrong, undecided, else


def pytest_configure(config: Any) -> None:
    config.pluginmanager.register(Summary(config))


class Summary:
    """Collects every report of a run, in this process and in those of pytest-xdist, and prints the table."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.test = ""
        self.lines: dict[Key, Counts] = {}
        observers.append(self.add)

    def pytest_unconfigure(self) -> None:
        observers.remove(self.add)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.test = nodeid

    def add(self, report: Report) -> None:
        for order in sorted({each.order for each in report.findings}):
            found = [each for each in report.findings if each.order == order]
            sharp = [x for x in found if abs(x.verdict.measured) > x.verdict.tolerance and x.state is State.AGREES]
            states = [each.state for each in found]
            loud = [states.count(state) for state in (State.AGREES, State.WRONG, State.UNDECIDED)]
            largest = max((each.ulps for each in sharp), default=0.0)
            self.merge((self.test, report.name, order), [1, largest, *loud, len(found) - sum(loud)])

    def merge(self, key: Key, counts: Sequence[float]) -> None:
        line = self.lines.setdefault(key, [0.0] * 6)
        line[:] = [max(a, b) if k == 1 else a + b for k, (a, b) in enumerate(zip(line, counts, strict=True))]

    def pytest_sessionfinish(self) -> None:
        output = getattr(self.config, "workeroutput", None)  # a worker of pytest-xdist hands its lines on
        if output is not None:
            output["gradient_report"] = [[list(key), line] for key, line in self.lines.items()]

    @pytest.hookimpl(optionalhook=True)  # of pytest-xdist
    def pytest_testnodedown(self, node: Any) -> None:
        for (test, name, order), line in getattr(node, "workeroutput", {}).get("gradient_report", []):
            self.merge((test, name, order), line)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("gradients checked")
        rows = [("function", "order", "points", "largest error", "agree", "wrong", "undecided", "else", "test")]
        for (test, name, order), (points, ulps, *counts) in sorted(self.lines.items()):
            shown = [f"{count:.0f}" for count in counts]
            rows.append((name, str(order), f"{points:.0f}", f"{ulps:.3g} ULP", *shown, test))  # type: ignore[arg-type]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for name, *cells, test in rows if self.lines else ():
            columns = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=False)]
            terminalreporter.write_line("  ".join([name.ljust(widths[0]), *columns, test]))
        if not self.lines:
            terminalreporter.write_line("none")
