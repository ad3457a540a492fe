"""A pytest plugin: `pytest --gradient-report` lists every gradient that `check_grads` checked in the run.

Installed under the name `pytest_scalargrad`, so that pytest, which loads it at every start, imports nothing else;
scalargrad itself is imported once the report is asked for. It works with pytest-xdist, too.
"""

from __future__ import annotations

from typing import Any


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("scalargrad")
    group.addoption("--gradient-report", action="store_true", help="list the gradients checked by scalargrad.testing")


def pytest_configure(config: Any) -> None:
    if config.getoption("--gradient-report"):
        config.pluginmanager.import_plugin("scalargrad.testing.summary")
