"""The traces of one function, and which of them answers a call: what `compile` returns stands on this.

A call that no trace fits is traced; which backend runs a trace is decided here, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain
from operator import countOf
from time import perf_counter
from typing import Any, Literal

from ...engine import modes
from ...engine.primitive import as_float
from ...engine.value import Value
from ...transforms.derivatives import parameters
from ...transforms.trees import Static, Structure, flatten, shown, statics, without_static
from ..backends import native as native_backend
from ..backends.executable import CodeRefusedError
from ..ir.in_place import in_place
from ..ir.lowering import Functions
from ..ir.program import Program
from .calls import Operations
from .packing import Call, Pack, caller
from .rolling import rolled
from .specialization import Runner, Specialization
from .trace import LONG, TraceError, names, places_of_static, trace

Backend = Literal["auto", "python", "native"]
HOT = 300  # calls after which machine code pays
SMALL = 10  # instructions up to which Python source is called faster, because it is called with less ado
WORTH_NATIVE = 300  # samples from which machine code pays, for "auto"


class GuardLimitError(RuntimeError):
    """A compiled function branches in more ways than it may keep traces of."""


class Dispatcher:
    """A function with its traces, by the structure of the arguments."""

    def __init__(
        self,
        function: Callable[..., Any],
        backend: Backend,
        max_traces: int,
        functions: Functions,
        static: tuple[str, ...] = (),
    ) -> None:
        self.function: Callable[..., Any] | None = function
        self.backend = backend
        self.max_traces = max_traces
        self.static = static  # the names of the parameters that are part of what a trace is found by
        known = parameters(function) if static else []
        self.static_positions = {known.index(each): each for each in static if each in known}
        self.functions: Functions = functions
        self.name = getattr(function, "__name__", "f")
        self.specializations: dict[Structure, list[Specialization]] = {}
        self._begin()

    def _begin(self) -> None:
        """What no pickle keeps."""
        self.hits = self.misses = 0
        self.token = ""  # by which workers know it
        self.callers: dict[Specialization, Call] = {}  # of traces whose backend is settled
        self.operations = Operations()  # what it is on `Value`s
        self.recent: Call | None = None  # the last of them that a call was for
        self.postponed: BaseException | None = None  # what was raised below C, for the next call to raise
        self.shared_arguments: dict[str, tuple[Pack, Structure]] = {}  # of `map`: how they were flattened the last time
        self.recent_batch: tuple[list[Structure], Structure] | None = None  # of `map`: parts' structures, and the whole
        self.again: dict[Any, Any] = {}  # of `map`: what answers calls like earlier ones, and what the last was like
        self.manner: Any = None
        self.idle: dict[Any, list[Any]] = {}  # memory for batches that no thread is using
        self.lock = threading.RLock()

    def answer(self, leaves: Sequence[float], structure: Structure) -> Any:
        """The result for these leaves, in its structure."""
        if self.postponed is not None:
            error, self.postponed = self.postponed, None
            raise error
        found, outputs = self.evaluated(leaves, structure)
        if self.backend != "auto" or "native" in found.runners or found.small(SMALL):
            call = self.callers.get(found)
            if call is None:
                run = found.runner(self.backend_of(found))
                call = self.callers[found] = caller(structure, found.result, found, run)
            self.recent = call
        return found.unpack(outputs)

    def taken(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[list[Any], Structure]:
        """The leaves of the arguments, and their structure."""
        if self.static:
            arguments = self.with_static(arguments)
            keywords = {name: Static(x, name) if name in self.static else x for name, x in keywords.items()}
        return flatten((arguments, keywords), "arguments", static=True)

    def with_static(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """The positional arguments, those marked that `static_argnames` has."""
        named = self.static_positions
        return tuple([Static(x, named[k]) if k in named else x for k, x in enumerate(arguments)])

    def original(self, why: str) -> Callable[..., Any]:
        if self.function is None:
            raise TypeError(
                f"{self.name}: a compiled function that came out of a pickle without its Python function, which could "
                f"not be pickled, cannot run {why}; define the function at a module's top level"
            )
        return self.function

    def on_values(
        self, arguments: tuple[Any, ...], keywords: dict[str, Any], leaves: list[Any], structure: Structure
    ) -> Any:
        """The result where `Value`s are among the arguments: one operation, or that of the function itself."""
        function = self.original("on Values")
        if modes.active and modes.current().anomaly:
            return function(*arguments, **keywords)
        if not all(isinstance(x, Value) or type(x) is float for x in leaves):
            places = names(self.function, structure)
            leaves = [x if isinstance(x, Value) else as_float(x, at) for x, at in zip(leaves, places, strict=True)]
        made = self.operations.find(function, self.name, structure, leaves)
        return function(*arguments, **keywords) if made is None else made.tree(leaves)

    def floats(self, leaves: Sequence[Any], structure: Structure) -> list[float]:
        """Leaves of the arguments as floats; what is no number is an error that names its place."""
        if countOf(map(type, leaves), float) == len(leaves):
            return list(leaves)
        return [as_float(x, place) for x, place in zip(leaves, names(self.function, structure), strict=True)]

    def evaluated(self, leaves: Sequence[float], structure: Structure) -> tuple[Specialization, Sequence[float]]:
        """The outputs as a flat list, and the trace that they come from."""
        known = self.specializations.get(structure)
        for k, each in enumerate(known or ()):
            outputs = each.run(leaves, self.backend_of(each))
            if outputs is not None:
                self.hits += 1
                if k:  # the next call is likely to take the same branches
                    with self.lock:
                        order = [each, *(other for other in self.specializations[structure] if other is not each)]
                        self.specializations[structure] = order
                return each, outputs
        with self.lock:
            if self.specializations.get(structure) is not known:  # another thread was faster
                return self.evaluated(leaves, structure)
            made = self.traced(leaves, structure)
        outputs = made.run(leaves, self.backend_of(made))
        if outputs is None:
            raise TraceError(
                f"{self.name}: the function branched otherwise when it was traced than its own trace says; it depends "
                "on something besides its arguments, such as random numbers or the time"
            )
        return made, outputs

    def traced(self, leaves: Sequence[float], structure: Structure) -> Specialization:
        """A new trace, at this point."""
        with self.lock:
            known = self.specializations.get(structure, [])
            if len(known) >= self.max_traces:
                raise GuardLimitError(self._too_many(known))
            if not known and (bare := without_static(structure)) != structure:
                others = [each for each in self.specializations if without_static(each) == bare]
                if len(others) >= self.max_traces:
                    raise GuardLimitError(self._too_many_static(others, structure))
            start = perf_counter()
            function = self.original("a branch or a structure of arguments that was not traced before")
            program, result, captured = trace(function, structure, leaves, rolled)
            if isinstance(program, Program) and program.has_blocks():
                program = in_place(program)
                program = (len(program) >= LONG and rolled(program)) or program
            seconds, before = perf_counter() - start, sum(len(v.captured) for v in known)
            made = Specialization(program, result, captured, self.name, self.functions, seconds, leaves, before)
            self.misses += 1
            self.specializations[structure] = [*known, made]
            return made

    def _too_many_static(self, others: list[Structure], structure: Structure) -> str:
        places, given = zip(*places_of_static(self.function, structure), strict=True)
        known = [set(column) for column in zip(*[[x for _, x in statics(each)] for each in others], strict=True)]
        k = max(range(len(places)), key=lambda k: len(known[k]) + (given[k] not in known[k]))
        return (
            f"{self.name}: {self.max_traces} traces are kept for other values of {places[k]}, which is static, and "
            f"this call has {shown(given[k].value)}. Give the same object again, a number that need not be static, or "
            "raise max_traces"
        )

    def _too_many(self, known: Sequence[Specialization]) -> str:
        outcomes: dict[str, list[bool]] = {}
        for guard in chain.from_iterable(each.program.guards for each in known):
            outcomes.setdefault(guard.line, []).append(guard.outcome)
        both = [line for line, seen in outcomes.items() if len(set(seen)) > 1] or list(outcomes)
        line = max(both, key=lambda each: len(outcomes[each]))
        return (
            f"{self.name}: {self.max_traces} traces are kept, and this call branches in another way, most likely at\n"
            f"  {line}\nUse where(condition, a, b), max, min or clamp in place of the branch, or raise max_traces"
        )

    def backend_of(self, found: Specialization) -> str:
        """What is to run a trace now: "python" or "native"."""
        if self.backend != "auto":
            return self.backend
        if "native" in found.runners:
            return "native"
        if found.refused or found.small(SMALL):
            return "python"
        pays = native_backend.at_once() or (found.calls >= HOT and native_backend.available())
        return "native" if pays and self.native_runner(found) is not None else "python"

    def native_runner(self, found: Specialization) -> Runner | None:
        """A trace as machine code, if there may be such; with "auto", None too where the system refuses to run it."""
        if self.backend == "python" or not native_backend.available():
            return None
        try:
            return found.runner("native")
        except CodeRefusedError:
            if self.backend == "native":
                raise
            found.refused = True
            return None

    def native_for(self, samples: int) -> bool:
        """Whether a batch of so many samples is for machine code."""
        if self.backend == "auto":
            return samples >= WORTH_NATIVE and native_backend.available(batches=True)
        return self.backend == "native"
