"""Modes in which operations behave otherwise: `no_grad`, `detect_anomaly`, `group`; per thread and per asyncio task.

The ordinary path pays for all modes with one test: `active` counts the contexts that are open anywhere in the process,
and only while it is not zero does an operation ask which hold for itself.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import lru_cache, wraps
from threading import Lock
from types import TracebackType
from typing import Any, NamedTuple
from weakref import ref

active = 0
_lock = Lock()
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_CHAPTERS = _PACKAGE + "_tour" + os.sep  # where a wheel has the demos, which use the package as anybody does


class Mode(NamedTuple):
    """What holds for operations on this thread and in this task."""

    recording: bool = True
    anomaly: bool = False
    group: str = ""
    tracer: Any = None  # what sees every node, comparison and truth value while a function is compiled
    outer: Any = None  # the mode that this one was entered in, and a weak reference to what was entered then
    by: Any = None


_ordinary = Mode()
_current: ContextVar[Mode] = ContextVar("scalargrad_mode", default=_ordinary)


class _Entered:
    """That a context has been entered. It holds as long as this lives, which only the context keeps alive.

    So one whose `with` has ended without `__exit__`, by Ctrl-C in the midst of it or in another thread, ends as well.
    """

    counted = False

    def __init__(self, context: _Context) -> None:
        global active
        self.context = context
        with _lock:
            active += 1
            self.counted = True

    def __del__(self) -> None:
        global active
        if self.counted:
            with _lock:
                active -= 1


recent = _current.get  # the mode as it was entered, which may have ended


def current() -> Mode:
    mode = each = _current.get()
    while each.by is not None:
        if each.by() is None:
            mode = _without(mode, None)[0]
            _current.set(mode)
            return mode
        each = each.outer
    return mode


def _without(mode: Mode, ended: _Context | None) -> tuple[Mode, _Entered | None]:
    """The mode without what was entered last of one context, wherever it is, and without all that has ended."""
    kept: list[_Entered] = []
    found: _Entered | None = None
    while mode.by is not None:
        entered = mode.by()
        if entered is not None:
            if found is None and entered.context is ended:
                found = entered
            else:
                kept.append(entered)
        mode = mode.outer
    for entered in reversed(kept):
        mode = entered.context.within(mode)._replace(outer=mode, by=ref(entered))
    return mode, found


class _Context(ContextDecorator):
    """A context manager, and a decorator, that changes fields of the mode; it nests and can be entered again."""

    changes: Mapping[str, Any] = {}

    def within(self, outer: Mode) -> Mode:
        """The mode that this context makes of the one around it."""
        return outer._replace(**self.changes)

    def __enter__(self) -> None:
        outer = current()
        entered = _Entered(self)
        self.__dict__.setdefault("entered", []).append(entered)
        _current.set(self.within(outer)._replace(outer=outer, by=ref(entered)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take this context's change out of the mode, wherever it is: generators may end out of order, or elsewhere."""
        mode, found = _without(_current.get(), self)
        _current.set(mode)
        if entered := self.__dict__.get("entered"):
            entered.remove(found or entered[-1])  # the last, if it was entered in another thread or task

    def __call__(self, function: Any) -> Any:
        """Decorate a function, or a coroutine function, to run in this mode."""
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & 0x80:  # a coroutine function

            @wraps(function)
            async def coroutine(*arguments: Any, **keywords: Any) -> Any:
                with self:
                    return await function(*arguments, **keywords)

            return coroutine
        if flags & (0x20 | 0x200):  # a generator function: its body would run after the mode has ended
            raise TypeError(f"{type(self).__name__}: write `with {type(self).__name__}():` inside the generator")
        return super().__call__(function)


class no_grad(_Context):  # noqa: N801  # named as its users know it, from PyTorch
    """Compute without recording: every result is a constant, which nothing is differentiated by.

    Holds for this thread and asyncio task only; also usable as a decorator.

    >>> from scalargrad import Value, no_grad
    >>> x = Value(3.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.data, y.parents
    (9.0, ())
    """

    changes: Mapping[str, Any] = {"recording": False}


class recording(_Context):  # noqa: N801
    """Record again, inside `no_grad()`: what a derivative taken there does for itself."""

    changes: Mapping[str, Any] = {"recording": True}


class not_tracing(_Context):  # noqa: N801
    """Compute on plain numbers while a function is compiled: what an operation's value does for itself."""

    changes: Mapping[str, Any] = {"tracer": None}


class detect_anomaly(_Context):  # noqa: N801
    """Raise `AnomalyError` at the first operation that turns finite operands into a non-finite value or gradient.

    The error names the operation, its operands, and the line of code that recorded it. A backward pass also finds a
    graph gone stale: a `data` that was changed after an operation had used it. Holds for this thread and asyncio task
    only, costs several times the ordinary pass, and is also usable as a decorator.

    >>> from scalargrad import Value, detect_anomaly, log
    >>> x = Value(0.0, label="x")
    >>> with detect_anomaly():
    ...     y = log(x)
    Traceback (most recent call last):
    ...
    scalargrad.engine.anomaly.AnomalyError: log gave -inf from finite operands: x = 0.0
      recorded at ...
    """

    def within(self, outer: Mode) -> Mode:
        if outer.tracer is not None:
            outer.tracer.refuse("detect_anomaly()")
        return outer._replace(anomaly=True)


class tracing(_Context):  # noqa: N801
    """Hand every node that is made, every comparison and every truth value to `compiler/frontend/trace.py`."""

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer
        self.changes = {"tracer": tracer, "recording": True, "anomaly": False}

    def __enter__(self) -> None:
        super().__enter__()
        self.tracer.mode = _current.get()

    def __exit__(self, *error: Any) -> None:
        self.tracer.mode = None
        super().__exit__(*error)


def tracer() -> Any:
    """The tracer of this thread and task, or None."""
    return current().tracer if active else None


class group(_Context):  # noqa: N801  # the three above are lower case, too
    """Name what the nodes made inside belong to, for drawings: groups become frames, and can be folded into one node.

    Groups nest, by "/"; so does a name that has one. Holds for this thread and asyncio task only.

    >>> from scalargrad import Value, group
    >>> with group("layer1"), group("neuron0"):
    ...     y = Value(2.0) * 3.0
    >>> y.group
    'layer1/neuron0'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name.strip("/"):
            raise TypeError(f"group: expected a name, got {name!r}")
        self.name = name.strip("/")

    def within(self, outer: Mode) -> Mode:
        return outer._replace(group=f"{outer.group}/{self.name}" if outer.group else self.name)


@lru_cache(maxsize=4096)
def is_ours(file: str) -> bool:
    """Whether a file of source is one of the package's own."""
    return file.startswith(_PACKAGE) and not file.startswith(_CHAPTERS)


def users_line() -> str:
    """Where the user's code called into the package: file, line and text."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line, frame.f_globals).strip()
    return f"{file}:{line}" + (f": {text}" if text else "")
