"""Modes in which operations behave otherwise: `no_grad`, `detect_anomaly`, `group`; per thread and per asyncio task.

This stands apart from `value.py` so that the ordinary path pays for all modes with one test: `active` counts the
contexts that are open anywhere in the process, and only while it is not zero does an operation ask which hold for
itself.
"""

from __future__ import annotations

import linecache
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import wraps
from math import isfinite
from threading import Lock
from types import TracebackType
from typing import Any, NamedTuple

active = 0
_lock = Lock()
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CHAPTERS = _PACKAGE + "_tour" + os.sep  # where a wheel has the demos, which use the package as anybody does


class Mode(NamedTuple):
    """What holds for operations on this thread and in this task."""

    recording: bool = True
    anomaly: bool = False
    group: str = ""
    tracer: Any = None  # what sees every node, comparison and truth value while a function is compiled
    outer: Any = None  # the mode that this one was entered in, and the context that made this one of it
    by: Any = None


_ordinary = Mode()
_current: ContextVar[Mode] = ContextVar("scalargrad_mode", default=_ordinary)


def current() -> Mode:
    """The mode of this thread and task."""
    return _current.get()


class _Context(ABC, ContextDecorator):
    """A context manager, and a decorator, that changes fields of the mode; it nests and can be entered again."""

    @abstractmethod
    def within(self, outer: Mode) -> Mode:
        """The mode that this context makes of the one around it."""

    def __enter__(self) -> None:
        global active
        outer = _current.get()
        _current.set(self.within(outer)._replace(outer=outer, by=self))
        with _lock:
            active += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take this context's change out of the mode, wherever it is: generators may end out of order, or elsewhere."""
        global active
        with _lock:
            active -= 1
        above: list[Mode] = []
        mode = _current.get()
        while mode.by is not self:
            if mode.outer is None:
                return  # entered in another thread or task, whose mode it was
            above.append(mode)
            mode = mode.outer
        mode = mode.outer
        for each in reversed(above):
            mode = each.by.within(mode)._replace(outer=mode, by=each.by)
        _current.set(mode)

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

    def within(self, outer: Mode) -> Mode:
        return outer._replace(recording=False)


class recording(_Context):  # noqa: N801
    """Record again, inside `no_grad()`: what a derivative taken there does for itself."""

    def within(self, outer: Mode) -> Mode:
        return outer._replace(recording=True)


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
    scalargrad.modes.AnomalyError: log gave -inf from finite operands: x = 0.0
      recorded at ...
    """

    def within(self, outer: Mode) -> Mode:
        return outer._replace(anomaly=True)


class tracing(_Context):  # noqa: N801
    """Hand every node that is made, every comparison and every truth value to a tracer: see `compile/trace.py`."""

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer

    def within(self, outer: Mode) -> Mode:
        return outer._replace(tracer=self.tracer, recording=True, anomaly=False)


def tracer() -> Any:
    """The tracer of this thread and task, or None."""
    return _current.get().tracer if active else None


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


class AnomalyError(ArithmeticError):
    """Under `detect_anomaly`: a value or gradient that is inf or nan while what it came from was finite; a stale
    graph."""


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


def _described(node: Any) -> str:
    label = getattr(node, "label", "")
    return f"{label} = {node.data!r}" if label else repr(node.data)


def _fault(node: Any, what: str) -> AnomalyError:
    origin = getattr(node, "_origin", None) or "an unknown line: it was recorded outside detect_anomaly()"
    return AnomalyError(f"{what}\n  recorded at {origin}")


def check_value(node: Any, operands: tuple[Any, ...]) -> None:
    """Raise if the node is not finite while its operands are."""
    if not isfinite(node.data) and all(isfinite(p.data) for p in operands):
        given = ", ".join(map(_described, operands))
        raise _fault(node, f"{node.operation.name} gave {node.data!r} from finite operands: {given}")


def gradient_check(seeds: Iterable[Any]) -> Callable[[Any, float], None]:
    """Make the check of one backward pass, to be called with each node and its upstream gradient, in order.

    It raises if the node is stale, if it brings a non-finite contribution from a finite upstream gradient and finite
    operands, or if contributions that were all finite add up to something that is not.
    """
    finite = all(isfinite(getattr(seed, "data", seed)) for seed in seeds)

    def check(node: Any, upstream: float) -> None:
        nonlocal finite
        if node.operation.name == "constant":
            return
        if finite and not isfinite(upstream):
            raise _fault(node, f"the contributions to the gradient of {_named(node)} add up to {upstream!r}")
        operands = node.parents
        if not operands:
            return
        operation, given = node.operation, ", ".join(map(_described, operands))
        data = [p.data for p in operands]
        now = operation.compute(*data)
        if now != node.data and not (now != now and node.data != node.data):
            raise _fault(
                node,
                f"stale graph: {operation.name} was recorded as {node.data!r}, operands {given} now give {now!r}; "
                "a .data was changed after recording: run the forward pass again before backward()",
            )
        for k, local in enumerate(operation.local_gradients(node.data, data)):
            unconnected = operation.flat or operands[k].operation.name == "constant"
            if unconnected or upstream == 0.0 or isfinite(upstream * local):
                continue
            if isfinite(upstream) and all(map(isfinite, data)):
                raise _fault(
                    node,
                    f"the gradient of {operation.name} by operand {k + 1} is not finite: "
                    f"upstream {upstream!r} x local {local!r} = {upstream * local!r}, at operands {given}",
                )
            finite = False

    return check


def _named(node: Any) -> str:
    return getattr(node, "label", "") or f"a result of {node.operation.name} ({node.data!r})"
