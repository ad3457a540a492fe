"""`compile`: a function that runs on `Value`s, made fast.

The object that takes the function's place: it looks at the structure of the arguments, finds the trace that fits,
traces again where none does, and hands back the result in its structure. It stands apart from tracing and from the
backends, which know one program each.
"""

# ruff: noqa: A001  # `compile` is named as what it does; the builtin is of no use here
from __future__ import annotations

import copy
import inspect
import pickle
import threading
import weakref
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial, update_wrapper, wraps
from importlib import import_module
from time import perf_counter
from types import MethodType
from typing import Any, Literal, NamedTuple, overload

from ...engine import modes
from ...engine.table import as_float
from ...engine.trees import Structure, flatten
from ...engine.value import Value
from ..backends import native as native_backend
from ..backends import python as python_backend
from ..ir.lowering import Functions
from .compiled_trace import HOT, SMALL, Native, Variant
from .packing import Pack, packer
from .pickling import restored, saved
from .trace import TraceError, names, trace

Backend = Literal["auto", "python", "native"]


class GuardLimitError(RuntimeError):
    """A compiled function branches in more ways than it may keep traces of."""


class TraceInfo(NamedTuple):
    """What is known of one trace. Times are in seconds; a backend has one if it was built."""

    inputs: int
    instructions: int
    outputs: int
    guards: tuple[str, ...]
    calls: int
    seconds: dict[str, float]

    @property
    def first_call(self) -> float:
        """The seconds that its first call took besides computing: to trace, and to build what then ran."""
        return sum(list(self.seconds.values())[:2])


class Info(NamedTuple):
    """What a compiled function did so far: its traces, the calls that found one, and those that had to trace."""

    backend: str
    traces: tuple[TraceInfo, ...]
    hits: int
    misses: int

    def __str__(self) -> str:
        lines = [f"backend {self.backend}, {len(self.traces)} trace(s), {self.hits} hit(s), {self.misses} miss(es)"]
        for k, t in enumerate(self.traces):
            times = ", ".join(f"{name} {1e3 * s:.3g} ms" for name, s in t.seconds.items())
            lines.append(
                f"  {k}: {t.inputs} inputs, {t.instructions} instructions, {t.outputs} outputs, {t.calls} calls; "
                + times
            )
            lines += [f"     guard at {line}" for line in t.guards]
        return "\n".join(lines)


class CompiledFunction:
    """What `compile` returns: call it as the function itself."""

    def __init__(self, function: Callable[..., Any], backend: Backend, max_traces: int, functions: Functions) -> None:
        update_wrapper(self, function, updated=())
        self.function: Callable[..., Any] | None = function
        self.backend = backend
        self.max_traces = max_traces
        self.functions: Functions = functions
        self.name = getattr(function, "__name__", "f")
        self.hits = self.misses = 0
        self.variants: dict[Structure, list[Variant]] = {}
        self.recent: tuple[Pack, Structure] | None = None  # of the last call that had to find out its structure
        self.shared_arguments: dict[str, tuple[Pack, Structure]] = {}  # of `map`, as `recent`
        self.recent_batch: tuple[list[Structure], Structure] | None = None  # of `map`: parts' structures, and the whole
        self.idle: dict[Any, list[Any]] = {}  # memory for batches that no thread is using
        self.lock = threading.RLock()
        self.methods: dict[int, tuple[weakref.ref[Any], CompiledFunction]] = {}  # of objects of whose class it is one

    # ---- calling -----------------------------------------------------------------------------------------------------

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        recent = self.recent
        if recent is not None and not modes.active:
            pack, structure = recent
            packed = pack((arguments, keywords))
            if packed is not None:
                variant, outputs = self.evaluated(packed, structure)
                return variant.unpack(outputs)
        leaves, structure = flatten((arguments, keywords), "arguments")
        for x in leaves:
            if type(x) is not float:
                if any(isinstance(each, Value) for each in leaves):
                    return self._original("on Values")(*arguments, **keywords)
                leaves = self._floats(leaves, structure)
                break
        if modes.active and (modes.current().anomaly or modes.tracer() is not None):
            return self._original("under detect_anomaly() or another compile()")(*arguments, **keywords)
        variant, outputs = self.evaluated(leaves, structure)
        self.recent = (packer(structure), structure)
        return variant.unpack(outputs)

    def _original(self, why: str) -> Callable[..., Any]:
        if self.function is None:
            raise TypeError(
                f"{self.name}: a compiled function that came out of a pickle without its Python function, which could "
                f"not be pickled, cannot run {why}; define the function at a module's top level"
            )
        return self.function

    def _floats(self, leaves: Sequence[Any], structure: Structure) -> list[float]:
        return [as_float(x, place) for x, place in zip(leaves, names(self.function, structure), strict=True)]

    def evaluated(self, leaves: Sequence[float], structure: Structure) -> tuple[Variant, list[float]]:
        """The outputs as a flat list, and the trace that they come from."""
        known = self.variants.get(structure)
        for k, variant in enumerate(known or ()):
            outputs = variant.run(leaves, self._backend_of(variant))
            if outputs is not None:
                self.hits += 1
                if k:  # the next call is likely to take the same branches
                    with self.lock:
                        order = [variant, *(v for v in self.variants[structure] if v is not variant)]
                        self.variants[structure] = order
                return variant, outputs
        with self.lock:
            if self.variants.get(structure) is not known:  # another thread was faster
                return self.evaluated(leaves, structure)
            variant = self.traced(leaves, structure)
        outputs = variant.run(leaves, self._backend_of(variant))
        if outputs is None:
            raise TraceError(
                f"{self.name}: the function branched otherwise when it was traced than its own trace says; it depends "
                "on something besides its arguments, such as random numbers or the time"
            )
        return variant, outputs

    def traced(self, leaves: Sequence[float], structure: Structure) -> Variant:
        """A new trace, at this point."""
        with self.lock:
            known = self.variants.get(structure, [])
            if len(known) >= self.max_traces:
                raise GuardLimitError(self._too_many(known, leaves))
            start = perf_counter()
            function = self._original("a branch or a structure of arguments that was not traced before")
            program, result, captured = trace(function, structure, leaves)
            seconds, before = perf_counter() - start, sum(len(v.captured) for v in known)
            variant = Variant(program, result, captured, self.name, self.functions, seconds, leaves, before)
            self.misses += 1
            self.variants[structure] = [*known, variant]
            return variant

    def _too_many(self, known: Sequence[Variant], leaves: Sequence[float]) -> str:
        counts: dict[str, int] = {}
        for variant in known:
            for guard in variant.program.guards:
                counts[guard.line] = counts.get(guard.line, 0) + 1
        outcomes: dict[str, set[bool]] = {}
        for variant in known:
            for guard in variant.program.guards:
                outcomes.setdefault(guard.line, set()).add(guard.outcome)
        both = [line for line, seen in outcomes.items() if len(seen) > 1] or list(counts)
        line = max(both, key=lambda each: counts[each])
        return (
            f"{self.name}: {self.max_traces} traces are kept, and this call branches in another way, most likely at\n"
            f"  {line}\nUse where(condition, a, b), max, min or clamp in place of the branch, or raise max_traces"
        )

    def _backend_of(self, variant: Variant) -> str:
        if self.backend != "auto":
            return self.backend
        if "native" in variant.runners:
            return "native"
        if len(variant.program) <= SMALL:
            return "python"
        if native_backend.at_once() or (variant.calls >= HOT and native_backend.available()):
            return "native"
        return "python"

    def native_for(self, samples: int) -> bool:
        """Whether a batch of so many samples is for machine code."""
        if self.backend == "auto":
            from ..batching.batch import WORTH_NATIVE

            return samples >= WORTH_NATIVE and native_backend.available(batches=True)
        return self.backend == "native"

    # ---- batches -----------------------------------------------------------------------------------------------------

    def map(
        self,
        *arguments: Any,
        in_axes: int | Sequence[Any] | None = 0,
        reduce: Literal["sum", "mean"] | None = None,
        threads: int = 1,
    ) -> Any:
        """Run on every sample of a batch, with SIMD lanes and threads where the backend is machine code.

        - `in_axes`: for each argument, or for all, the axis along which it is mapped, or None for one that all samples
          share. A mapped argument is a list with one sample an entry, an `array.array`, a NumPy array (of float64: not
          copied, whatever its layout; other dtypes are converted if nothing is lost), or a tuple or dict of such.
        - `reduce`: None gives the structure of the function's result with a batch in the place of each number: a list
          for lists, an `array.array` for such, a NumPy array if one was given. "sum" and "mean" give numbers, in memory
          that does not depend on the size of the batch.
        - `threads`: how many work at once; the result does not depend on it.

        A sum is taken in a fixed order, described in `batch.py`; it is the same on every backend. Samples that branch
        otherwise are answered by traces of their own. Raises `ValueError` for batches of different lengths or none,
        `TypeError` for a dtype that would lose precision.

        >>> import scalargrad as sg
        >>> f = sg.compile(sg.value_and_grad(lambda w, x: (w * x) ** 2), backend="python")
        >>> f.map(3.0, [1.0, 2.0], in_axes=(None, 0))
        ([9.0, 36.0], [6.0, 24.0])
        >>> f.map(3.0, [1.0, 2.0], in_axes=(None, 0), reduce="sum")
        (45.0, 30.0)
        """
        from ..batching.batch import map_batch

        return map_batch(self, arguments, in_axes, reduce, threads)

    # ---- looking inside ----------------------------------------------------------------------------------------------

    @property
    def info(self) -> Info:
        """Traces, their sizes, guards and times, and how often a trace was found."""
        every = [v for known in self.variants.values() for v in known]
        return Info(
            self.backend,
            tuple(
                TraceInfo(
                    v.program.inputs,
                    len(v.program),
                    len(v.program.outputs),
                    tuple(g.line for g in v.program.guards),
                    v.calls,
                    dict(v.seconds),
                )
                for v in every
            ),
            self.hits,
            self.misses,
        )

    def _only(self, what: str) -> list[Variant]:
        every = [v for known in self.variants.values() for v in known]
        if not every:
            raise ValueError(
                f"{what}: {self.name} has not been traced yet: call it once, with arguments as it will get"
            )
        return every

    @property
    def source(self) -> str:
        """The Python source of every trace: what `backend="python"` runs where nothing non-finite cancels."""
        return "\n".join(
            python_backend.source(v.fast() or v.program, self.name, self.functions)[0] for v in self._only("source")
        )

    def draw(self, trace: int = 0, **options: Any) -> Any:
        """Draw a trace's program: an instruction a node, with its numbers at the arguments at which it was traced.

        `trace` counts as in `info`; the options are those of `scalargrad.draw`, and so are the errors. Raises
        `ValueError` before the first call, and for a trace that there is not.

        >>> import scalargrad as sg
        >>> f = sg.compile(lambda x, y: sg.sin(x * y), backend="python")
        >>> f(0.5, 3.0)
        0.9974949866040544
        >>> print(f.draw())
        <lambda>, trace 0: 2 instructions, 0 guard(s)
        v₂ = sin(v₁) = 0.9975   ∂v₂/∂v₂ = —
        └─ v₁ = x × y = 1.5   ∂v₂/∂v₁ = —
           ├─ x = 0.5   ∂v₂/∂x = —
           └─ y = 3   ∂v₂/∂y = —
        """
        from .drawn import as_graph

        every = self._only("draw")
        if not 0 <= trace < len(every):
            raise ValueError(f"draw: {self.name} has {len(every)} trace(s), which count from 0, got {trace!r}")
        program = every[trace].program
        title = f"{self.name}, trace {trace}: {len(program)} instructions, {len(program.guards)} guard(s)"
        drawing = import_module("scalargrad.drawing")
        return drawing.draw(as_graph(program, every[trace].point), **{"title": title, **options})

    def to_c(self, name: str, *, real: Literal["double", "float"] = "double") -> tuple[str, str]:
        """The function as C99: the text of `name.h` and of `name.c`, which need nothing but the C library's math.h.

        The C function takes a pointer to the inputs and one to the outputs, flat and in order, and returns 0, or 1
        where the inputs take a branch that was not traced. With `real="double"` it gives the same bits as Python on a
        machine with the same C library; with `real="float"` it computes in single precision, for small devices.

        Raises `ValueError` before the first call, and where there are traces for several structures of arguments.
        """
        from ..backends import c as c_backend

        if len(self.variants) > 1:
            raise ValueError(
                f"to_c: {self.name} was traced for {len(self.variants)} structures of arguments; C needs one"
            )
        self._only("to_c")
        (known,) = self.variants.values()
        captured = [[x._data for x in v.captured] for v in known]
        return c_backend.source([v.program for v in known], captured, name, real, self.functions)

    def buffered(self, *arguments: Any, **keywords: Any) -> Buffered:
        """The function on fixed memory, for the shortest possible call: see `Buffered`."""
        leaves, structure = flatten((arguments, keywords), "arguments")
        return Buffered(self, self._floats(leaves, structure), structure)

    # ---- pickling ----------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        kept = ("backend", "max_traces", "functions", "name", "variants")
        function = saved(self.function)
        if function is None and not self.variants:
            raise pickle.PicklingError(
                f"{self.name}: a compiled function that was not called yet has no program, and its Python function "
                "cannot be pickled, so that nothing would arrive: define the function at a module's top level, or call "
                "the compiled one before it is pickled"
            )
        return {"function": function, **{name: self.__dict__[name] for name in kept}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.function = restored(self.function)
        if self.function is not None:
            update_wrapper(self, self.function, updated=())
        self.hits = self.misses = 0
        self.recent = None
        self.shared_arguments = {}
        self.recent_batch = None
        self.idle = {}
        self.lock = threading.RLock()
        self.methods = {}

    def __copy__(self) -> CompiledFunction:
        return self  # as Python's functions

    def __deepcopy__(self, memo: Any) -> CompiledFunction:
        return self

    # ---- as a method -------------------------------------------------------------------------------------------------

    def __get__(self, instance: Any, owner: Any = None) -> CompiledFunction:
        """Bound to an object, where the Python function would be: one compiled function for each object."""
        function = self.function
        if instance is None or isinstance(function, MethodType) or not hasattr(type(function), "__get__"):
            return self
        with self.lock:
            reference, made = self.methods.get(id(instance), (None, None))
            if made is None or reference is None or reference() is not instance:
                made = CompiledFunction(bound(function, instance), self.backend, self.max_traces, self.functions)
                methods, key = self.methods, id(instance)
                self.methods[key] = weakref.ref(instance, lambda _: methods.pop(key, None)), made
        return CompiledMethod(self, instance, made)

    def __repr__(self) -> str:
        return f"<compiled {self.name}, backend {self.backend}>"


class CompiledMethod(CompiledFunction):
    """A compiled function bound to an object, which it keeps alive, as Python's methods do.

    What was compiled is kept by the function in the class, for as long as the object lives; all methods of one object
    share it.
    """

    __slots__ = ("__func__", "__self__")

    def __init__(self, function: CompiledFunction, instance: Any, made: CompiledFunction) -> None:
        self.__func__ = function
        self.__self__ = instance
        self.__dict__ = made.__dict__

    def __reduce__(self) -> Any:
        if getattr(type(self.__self__), self.name, None) is not self.__func__:
            raise pickle.PicklingError(f"{type(self.__self__).__name__} has no such compiled method {self.name!r}")
        return getattr, (self.__self__, self.name)

    def __deepcopy__(self, memo: Any) -> CompiledFunction:
        return self.__func__.__get__(copy.deepcopy(self.__self__, memo))


def bound(function: Any, instance: Any) -> Callable[..., Any]:
    """As `function.__get__(instance)`, without keeping the instance alive."""
    try:
        reference = weakref.ref(instance)
    except TypeError:
        raise TypeError(
            f"{getattr(function, '__name__', 'f')}: a compiled method needs weak references to its object, which "
            f"{type(instance).__name__} does not allow: add '__weakref__' to its __slots__"
        ) from None

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        return function.__get__(reference())(*arguments, **keywords)

    with suppress(TypeError, ValueError):  # of functions that do not tell
        call.__signature__ = inspect.signature(function.__get__(instance))  # type: ignore[attr-defined]
    return call


class Buffered:
    """A compiled function whose inputs and outputs stay in place: fill `inputs`, call, read `outputs`.

    Both hold floats ("d"), flat, in the order of the arguments' and the result's leaves. A call that
    takes another branch than before is traced, as everywhere.
    """

    def __init__(self, function: CompiledFunction, leaves: Sequence[float], structure: Structure) -> None:
        self._function = function
        self._structure = structure
        given = array("d", leaves)
        self.inputs = memoryview(given)  # an array whose memory is in use cannot be resized
        variant, outputs = function.evaluated(given, structure)
        runner = variant.runner("native") if function.backend != "python" and native_backend.available() else None
        self._native: Native | None = None
        if isinstance(runner, Native) and not variant.captured and not runner.machine.callbacks:
            self._native = runner
        if self._native is None:
            self.outputs = memoryview(array("d", outputs))
        else:
            self._memory = self._native.memory()
            self._memory.y[: len(outputs)] = array("d", outputs)
            self.outputs = memoryview(self._memory.y)[: len(outputs)]
            self._right = (1, 3) if self._native.exact is None else (1,)
            self._call = partial(
                self._native.function, given.buffer_info()[0], self._memory.y_address, self._memory.m_address
            )

    def __call__(self) -> None:
        if self._native is not None and self._call() in self._right:
            return
        _, outputs = self._function.evaluated(self.inputs, self._structure)
        self.outputs[:] = memoryview(array("d", outputs))


@overload
def compile(
    f: Callable[..., Any], *, backend: Backend = "auto", max_traces: int = 16, functions: Functions = "library"
) -> CompiledFunction: ...
@overload
def compile(
    f: None = None, *, backend: Backend = "auto", max_traces: int = 16, functions: Functions = "library"
) -> Callable[[Callable[..., Any]], CompiledFunction]: ...
def compile(
    f: Callable[..., Any] | None = None,
    *,
    backend: Backend = "auto",
    max_traces: int = 16,
    functions: Functions = "library",
) -> Any:
    """Make a function fast: trace it once, replay it with the same bits.

    `f` takes numbers, or nested lists, tuples and dicts of numbers, and returns such. It is run once on `Value`s for
    each structure of its arguments; what it computes becomes a straight-line program, which later calls replay. It may
    be a derivative: `compile(value_and_grad(f))`. A call that would take another branch is traced again and kept beside
    the first; never answered from the wrong branch.

    - `backend`: "python", generated source; "native", machine code for this processor: on x86-64 under Linux with the
      standard library alone, elsewhere, and for `map`, through llvmlite (`pip install llvmlite numpy`); "auto", source
      for what is short, else machine code where it is made as fast as source, elsewhere for what is called often, if
      llvmlite is there.
    - `max_traces`: how many ways to branch are kept for one structure of arguments.
    - `functions`: where exp, expm1, log, log1p, tanh, sin and cos come from: "library", the C library, whose bits are
      Python's; or "polynomial", arithmetic that runs on eight samples at once, several times as fast in `map`, within
      a few ULP (see `compiler/polynomials.py`). Results are then the same on every backend, but not those of the eager
      run.

    Loops unroll. What the function does besides computing happens while tracing only: printing, random numbers, changes
    to other objects. `Value`s from outside are read anew at every call. `int(v)`, `float(v)`, `v.data` and `backward()`
    in the function are errors. On `Value`s, and under `detect_anomaly()`, the function itself runs, so that it can be
    differentiated and checked.

    Above a method, it binds: each object has traces of its own, in which numbers among its attributes are what they
    were when it was traced, and `Value`s what they are at the call. They go with the object; `__slots__` need
    "__weakref__".

    Raises `TypeError` for what is not a number, among arguments or results; `GuardLimitError` beyond `max_traces`;
    `ImportError` for "native" where llvmlite is needed and missing.

    >>> import scalargrad as sg
    >>> @sg.compile(backend="python")
    ... def f(x, y):
    ...     return x * sg.sin(y) if x > 0.0 else 0.0 * x
    >>> f(2.0, 0.5)
    0.958851077208406
    >>> f(-2.0, 0.5), len(f.info.traces)
    (-0.0, 2)
    >>> sg.compile(sg.grad(f, (0, 1)))(2.0, 0.5)
    (0.479425538604203, 1.7551651237807455)
    >>> class Spring:
    ...     def __init__(self, k):
    ...         self.k = k
    ...     @sg.compile
    ...     def energy(self, x):
    ...         return 0.5 * self.k * x * x
    >>> Spring(2.0).energy(3.0), sg.grad(Spring(4.0).energy)(3.0)
    (9.0, 12.0)
    """
    if backend not in ("auto", "python", "native"):
        raise ValueError(f"compile: backend must be 'auto', 'python' or 'native', got {backend!r}")
    if not isinstance(max_traces, int) or max_traces < 1:
        raise ValueError(f"compile: max_traces must be a whole number of at least 1, got {max_traces!r}")
    if functions not in ("library", "polynomial"):
        raise ValueError(f"compile: functions must be 'library' or 'polynomial', got {functions!r}")
    if f is None:
        return lambda g: compile(g, backend=backend, max_traces=max_traces, functions=functions)
    if not callable(f):
        raise TypeError(f"compile: expected a function, got {type(f).__name__}")
    if backend == "native":
        native_backend.require()
    return CompiledFunction(f, backend, max_traces, functions)
