"""`compile`: a function that runs on `Value`s, made fast.

The object that takes the function's place: it looks at the structure of the arguments, has the trace that fits answer
(`frontend/dispatch.py`), and hands back the result in its structure.
"""

# ruff: noqa: A001  # `compile` is named as what it does; the builtin is of no use here
from __future__ import annotations

import copy
import inspect
import pickle
import weakref
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial, update_wrapper, wraps
from math import nan
from types import MethodType
from typing import Any, Literal, NamedTuple, overload

from ..engine import modes
from ..engine.chain_rule import differentiating, made_before
from ..engine.rendering import rendered
from ..engine.value import Value
from ..notebooks import table_html
from ..state import whole
from ..transforms.derivatives import named
from ..transforms.pickling import restored, saved
from ..transforms.trees import Structure, without_static
from ..version import VERSION, is_this
from .backends import c as c_backend
from .backends import javascript as js_backend
from .backends import low_level
from .backends import native as native_backend
from .backends import python as python_backend
from .batching.arguments import axes_of
from .batching.batch import UNKNOWN, map_again, map_batch
from .batching.distributed import map_by
from .batching.sources import is_dask
from .frontend.as_graph import as_graph
from .frontend.dispatch import Backend, Dispatcher
from .frontend.specialization import CallBuffers, Native, Specialization
from .ir.lowering import Functions
from .ir.program import Program


class TraceInfo(NamedTuple):
    """What is known of one trace. Times are in seconds; a backend has one if it was built, and "batch" is for `map`."""

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

    def _repr_html_(self) -> str:
        """What a notebook shows: a row for each trace, times in milliseconds."""
        kinds = list(dict.fromkeys(kind for t in self.traces for kind in t.seconds))

        def row(k: int) -> list[Any]:
            t = self.traces[k]
            times = [1e3 * t.seconds[kind] if kind in t.seconds else "" for kind in kinds]
            return [k, t.inputs, t.instructions, t.outputs, t.calls, *times, "; ".join(t.guards)]

        head = ["trace", "inputs", "instructions", "outputs", "calls", *[f"{kind}, ms" for kind in kinds], "guards"]
        return table_html(str(self).partition("\n")[0], head, len(self.traces), row)


class CompiledFunction(Dispatcher):
    """What `compile` returns: call it as the function itself."""

    def __init__(self, function: Callable[..., Any], *options: Any) -> None:
        super().__init__(function, *options)
        update_wrapper(self, function, updated=())

    of_other_version = False  # whether it comes of a pickle of such

    def _begin(self) -> None:
        super()._begin()
        self.methods: dict[int, tuple[weakref.ref[Any], CompiledFunction]] = {}  # of objects of whose class it is one

    # ---- calling -----------------------------------------------------------------------------------------------------

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        call = self.recent
        if call is not None and not modes.active and not differentiating.begun:
            result = call(self, arguments, keywords)
            if result is not None:
                return result
            for other in list(self.callers.values()):  # of other structures of arguments
                if other is not call and (result := other(self, arguments, keywords)) is not None:
                    self.recent = other
                    return result
        leaves, structure = self.taken(arguments, keywords)
        if any(isinstance(each, Value) for each in leaves):
            return self.on_values(arguments, keywords, leaves, structure)
        leaves = self.floats(leaves, structure)
        if modes.active and (modes.current().anomaly or modes.tracer() is not None):
            return self.original("under detect_anomaly() or another compile()")(*arguments, **keywords)
        if begun := differentiating.begun:  # which the result may depend on through what the function closes over
            found, outputs = self.evaluated(leaves, structure)
            if any(not made_before(x, begun[0]) for x in found.captured):
                return self.original("where a Value that it reads is differentiated by")(*arguments, **keywords)
            return found.unpack(outputs)
        return self.answer(leaves, structure)

    # ---- batches -----------------------------------------------------------------------------------------------------

    def map(
        self,
        *arguments: Any,
        in_axes: int | Sequence[Any] | None = 0,
        reduce: Literal["sum", "mean"] | None = None,
        threads: int = 1,
        start: int | Literal["unknown"] | None = None,
        executor: Executor | Callable[[], Executor] | None = None,
        chunk_size: int | None = None,
        progress: bool = False,
    ) -> Any:
        """Run on every sample of a batch, with SIMD lanes and threads where the backend is machine code.

        - `in_axes`: for each argument, or for all, the axis along which it is mapped, or None for one that all samples
          share. A mapped argument is a list with one sample an entry, an `array.array`, a NumPy array (of float64: not
          copied, whatever its layout; other dtypes are converted if nothing is lost), a Dask array, which is computed
          by chunk, or a tuple or dict of such. A sample of an array with several axes is an array.
        - `reduce`: None gives the structure of the function's result with a batch in the place of each number: a list
          for lists, an `array.array` for such, a NumPy array if one was given; for an array, one with an axis more, the
          first. "sum" and "mean" give numbers, in memory
          that does not depend on the size of the batch.
        - `threads`: how many work at once; the result does not depend on it.
        - `start`: the number of the first sample, where the batch is a part of a larger one: what is returned then is
          the part's `PartialSum`, for `scalargrad.compiler.merge`. Batches of no samples have one, too. Where the
          number is not known, "unknown" gives a `BinnedSum`, at 10 to 30 ns for each sample and result.
        - `executor`: who works: any `concurrent.futures.Executor` (of processes, threads, loky, `mpi4py.futures`, or
          Dask's `client.get_executor()`), or a function without arguments that makes one. The bits are those of one
          call on one thread. Of a `numpy.memmap`, and of a Dask array, workers read their chunks themselves; the file
          must be there under the same path. `threads` is for each worker.
        - `chunk_size`: the samples that a worker gets at once. By default the blocks of a Dask array, else about eight
          chunks for each worker, of 2^18 samples at most.
        - `progress`: whether tqdm draws a bar.

        Where a worker is killed, its chunk runs again: on a Dask cluster by another worker, and where the executor does
        not survive (of the standard library, loky) by the next one that the function makes, with the other chunks that
        were under way; a chunk that three executors in a row do not survive is given up. Then, and where it was an
        executor that was given, a `WorkerLostError` is raised, which has the sum over what was done as `part`.

        The order of a sum depends on the samples' numbers alone; it is the same on every backend, and described in
        `scalargrad/losses/summation.py`. Samples that branch otherwise are answered by traces of their own. Given
        `Value`s, as inside a function that is differentiated, it runs on them, sample by sample (without an executor).
        Raises `ValueError` for batches of different lengths or none, `TypeError` for a dtype that would lose precision;
        with an executor `RuntimeError` for one that is shut down, `TypeError` for a function that reads a `Value` from
        outside, `pickle.PicklingError` for one that cannot be sent.

        >>> import scalargrad as sg
        >>> f = sg.compile(sg.value_and_grad(lambda w, x: (w * x) ** 2), backend="python")
        >>> f.map(3.0, [1.0, 2.0], in_axes=(None, 0))
        ([9.0, 36.0], [6.0, 24.0])
        >>> f.map(3.0, [1.0, 2.0], in_axes=(None, 0), reduce="sum")
        (45.0, 30.0)
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(2) as pool:
        ...     f.map(3.0, [1.0, 2.0], in_axes=(None, 0), reduce="sum", executor=pool, chunk_size=1)
        (45.0, 30.0)
        """
        plain = start is None and executor is None and chunk_size is None and not progress
        if plain and self.again and (found := map_again(self, arguments, in_axes, reduce, threads)):
            return found[0]
        if reduce not in (None, "sum", "mean"):
            raise ValueError(f"map: reduce must be None, 'sum' or 'mean', got {reduce!r}")
        threads = whole("map: threads", threads)
        if start is not None and reduce is None:
            raise ValueError(f"map: start={start!r} numbers the samples of a sum: it needs reduce='sum' or 'mean'")
        if start is not None and start != UNKNOWN:
            start = whole("map: start", start, least=0)
            if start >= 2**62:
                raise ValueError(f"map: start must be below 2**62, got {start}")
        if executor is None and chunk_size is None and not progress and not any(map(is_dask, arguments)):
            return map_batch(self, arguments, in_axes, reduce, threads, start)
        size = None if chunk_size is None else whole("map: chunk_size", chunk_size)
        axes = axes_of(in_axes, len(arguments))
        return map_by(self, arguments, axes, reduce, threads, start, executor, size, progress)

    # ---- looking inside ----------------------------------------------------------------------------------------------

    @property
    def info(self) -> Info:
        """Traces, their sizes, guards and times, and how often a trace was found."""
        every = [v for known in self.specializations.values() for v in known]
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

    def _only(self, what: str) -> list[Specialization]:
        every = [v for known in self.specializations.values() for v in known]
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
        every = self._only("draw")
        if not 0 <= trace < len(every):
            raise ValueError(f"draw: {self.name} has {len(every)} trace(s), which count from 0, got {trace!r}")
        program = every[trace].program
        title = f"{self.name}, trace {trace}: {len(program)} instructions, {len(program.guards)} guard(s)"
        outputs, guards = as_graph(program, every[trace].point)
        return rendered("graph", outputs, **{"title": title, "guards": guards, **options})

    def to_c(self, name: str, *, real: Literal["double", "float"] = "double") -> tuple[str, str]:
        """The function as C99: the text of `name.h` and of `name.c`, which need nothing but the C library's math.h.

        The C function takes a pointer to the inputs and one to the outputs, flat and in order, and returns 0, or 1
        where the inputs take a branch that was not traced. With `real="double"` it gives the same bits as Python on a
        machine with the same C library; with `real="float"` it computes in single precision, for small devices. Beside
        a function of one output in double precision stands `name_integrand(int n, double *x, void *data)`, which gives
        it, or nan where there is none, as a `scipy.LowLevelCallable` does.

        Raises `ValueError` before the first call, and where there are traces for several structures of arguments.
        """
        return c_backend.source(*self._of_one_structure("to_c", "C"), name, real, self.functions)

    def to_js(self, name: str) -> str:
        """The function as an ES module: the text of a file that needs no other, for browsers and for Node.

        It exports a function of that name, of the inputs and of an array that takes the outputs, flat and in order, and
        which returns 0, or 1 where the inputs take a branch that was not traced; and the numbers of both. Arithmetic
        has Python's bits. JavaScript's own elementary functions have not, to some ULP: with
        `compile(..., functions="polynomial")`, those that have polynomials (`compiler/ir/polynomials.py`) are the same
        in every browser as in Python.

        Raises as `to_c`.

        >>> import scalargrad as sg
        >>> f = sg.compile(sg.value_and_grad(lambda x: x * x), backend="python")
        >>> f(3.0)
        (9.0, 6.0)
        >>> print(f.to_js("square").split("*/")[1])  # doctest: +NORMALIZE_WHITESPACE
        export const SQUARE_INPUTS = 1, SQUARE_OUTPUTS = 2;
        function square_trace0_0(x, y, m)
        {
            const v1 = x[0] * x[0];
            const v2 = x[0] + x[0];
            const v3 = 0.0 + v2;
            y[0] = v1;
            y[1] = v3;
            return 0;
        }
        const square_trace0_m = new Float64Array(1);
        function square_trace0(x, y)
        {
            const m = square_trace0_m;
            return square_trace0_0(x, y, m);
        }
        export function square(x, y)
        {
            if (!square_trace0(x, y)) return 0;
            return 1;
        }
        """
        return js_backend.source(*self._of_one_structure("to_js", "JavaScript"), name, self.functions)

    def _of_one_structure(self, what: str, language: str) -> tuple[list[Program], list[list[float]]]:
        """The programs of all traces, and the numbers that they were made with from outside."""
        if len(self.specializations) > 1:
            raise ValueError(
                f"{what}: {self.name} was traced for {len(self.specializations)} structures of arguments; {language} "
                "needs one"
            )
        known = self._only(what)
        return [v.program for v in known], [[x._data for x in v.captured] for v in known]

    def buffered(self, *arguments: Any, **keywords: Any) -> Buffered:
        """The function on fixed memory, for the shortest possible call: see `Buffered`."""
        leaves, structure = self.taken(arguments, keywords)
        return Buffered(self, self.floats(leaves, structure), structure)

    def low_level_callable(self, *arguments: Any, **keywords: Any) -> Any:
        """The function as a `scipy.LowLevelCallable`, which `scipy.integrate.quad` and `nquad` call without Python.

        The arguments are as a call would get them: numbers, or whatever holds numbers; C gets them flat and in order,
        the variable of integration first, then those in quad's `args`; what is static stays as it is here. The function
        must return one number. At a branch that was not traced it is traced, as everywhere; where that raises, and
        where quad gives another number of arguments, the integrand is nan, and the next call of the compiled function
        raises the error. For one thread at a time. Needs SciPy; raises `TypeError` for a function that returns more
        than one number.

        >>> import scalargrad as sg
        >>> f = sg.compile(lambda x, a: sg.exp(-a * x * x))
        >>> from scipy.integrate import quad
        >>> round(quad(f.low_level_callable(0.5, 2.0), 0.0, 1.0, args=(2.0,))[0], 6)
        0.598144
        """
        from scipy import LowLevelCallable  # type: ignore[import-untyped]

        leaves, structure = self.taken(arguments, keywords)
        found, outputs = self.evaluated(self.floats(leaves, structure), structure)
        if len(outputs) != 1:
            raise TypeError(f"low_level_callable: {self.name} must return one number, not {len(outputs)}")

        def answer(xs: list[float]) -> float:
            if self.postponed is not None:
                return nan
            try:
                if len(xs) != len(leaves):
                    raise TypeError(
                        f"{self.name}: its low-level callable takes {len(leaves)} number(s), x and those in args=, "
                        f"and was given {len(xs)}"
                    )
                return self.evaluated(xs, structure)[1][0]
            except BaseException as error:  # which C cannot pass on
                self.postponed, self.recent = error, None
                return nan

        runner = self.native_runner(found)
        if isinstance(runner, Native) and not found.captured and not runner.machine.callbacks:
            return LowLevelCallable(low_level.integrand(runner.program, runner.machine, runner.right, answer))
        return LowLevelCallable(low_level.in_python(answer))

    # ---- pickling ----------------------------------------------------------------------------------------------------

    def __reduce__(self) -> Any:
        return _of_version, (VERSION, self.name), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        kept = ("backend", "max_traces", "functions", "static", "static_positions", "name", "specializations")
        state = {"function": None, **{name: self.__dict__[name] for name in kept}}
        try:
            state["function"] = None if self.function is None else saved(self.function)
        except pickle.PicklingError as error:
            if not self.specializations:
                raise pickle.PicklingError(
                    f"{self.name}: a compiled function that was not called yet has no program, and its Python function "
                    f"cannot be pickled, so that nothing would arrive: {error}; or call the compiled one before it is "
                    "pickled"
                ) from error
        if state["function"] is not None:  # which reads the Values from outside that there are where it arrives
            state["specializations"] = {
                structure: found
                for structure, found in self.specializations.items()
                if not any(each.captured for each in found) and _can_be_pickled(structure)
            }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        old = self.of_other_version
        self.__dict__.update(state)
        self.function = restored(self.function)
        if self.function is not None:
            update_wrapper(self, self.function, updated=())
            if old:  # whose programs may be other ones
                self.specializations = {}
        self._begin()

    def __copy__(self) -> CompiledFunction:
        return self  # as Python's functions

    def __deepcopy__(self, memo: Any) -> CompiledFunction:
        return self

    # ---- as a method -------------------------------------------------------------------------------------------------

    def __get__(self, instance: Any, owner: Any = None) -> CompiledFunction:
        """Bound to an object, where the Python function would be: one compiled function for each object.

        A `functools.partial`, which Python binds from 3.14 on, is bound in none.
        """
        function = self.function
        if instance is None or isinstance(function, MethodType | partial) or not hasattr(type(function), "__get__"):
            return self
        with self.lock:
            reference, made = self.methods.get(id(instance), (None, None))
            if made is None or reference is None or reference() is not instance:
                options = self.backend, self.max_traces, self.functions, self.static
                made = CompiledFunction(bound(function, instance), *options)
                methods, key = self.methods, id(instance)
                self.methods[key] = weakref.ref(instance, lambda _: methods.pop(key, None)), made
        return CompiledMethod(self, instance, made)

    def __repr__(self) -> str:
        return f"<compiled {self.name}, backend {self.backend}>"


def _of_version(version: str, name: str) -> CompiledFunction:
    """A compiled function before its state is there, so that the version is told before anything can go wrong."""
    made = CompiledFunction.__new__(CompiledFunction)
    made.of_other_version = not is_this(version, f"the pickle of {name}")
    return made


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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CompiledMethod):
            return NotImplemented
        return self.__self__ is other.__self__ and self.__func__ is other.__func__

    def __hash__(self) -> int:
        return hash((id(self.__self__), id(self.__func__)))

    def __reduce__(self) -> Any:
        if getattr(type(self.__self__), self.name, None) is not self.__func__:
            raise pickle.PicklingError(f"{type(self.__self__).__name__} has no such compiled method {self.name!r}")
        return getattr, (self.__self__, self.name)

    def __deepcopy__(self, memo: Any) -> CompiledFunction:
        return self.__func__.__get__(copy.deepcopy(self.__self__, memo))


def _can_be_pickled(structure: Structure) -> bool:
    """Whether no static argument, such as a lambda, keeps a structure out of pickles."""
    if without_static(structure) == structure:
        return True
    try:
        return bool(pickle.dumps(structure))
    except (pickle.PicklingError, AttributeError, TypeError):
        return False


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

    __slots__ = ("__call__", "inputs", "outputs")  # the call in a slot, so that it is the machine code's own

    __call__: Callable[[], None]

    def __init__(self, function: CompiledFunction, leaves: Sequence[float], structure: Structure) -> None:
        found, outputs = function.evaluated(leaves, structure)
        runner = function.native_runner(found)

        def traced(code: int = 0) -> None:
            _, outputs = function.evaluated(inputs, structure)
            taken[:] = memoryview(array("d", outputs))

        if isinstance(runner, Native) and not found.captured and not runner.machine.callbacks:
            memory = runner.idle.pop().memory if runner.idle else None  # of the call that has just been made
            buffers = CallBuffers(runner.program, runner.machine, runner.right, traced, memory)
            x, y, self.__call__ = buffers.x, buffers.y, buffers.call
        else:
            x, y, self.__call__ = array("d", leaves), array("d", outputs), traced
        self.inputs = inputs = memoryview(x)  # an array whose memory is in use cannot be resized
        self.outputs = taken = memoryview(y)[: len(outputs)]
        inputs[:], taken[:] = memoryview(array("d", leaves)), memoryview(array("d", outputs))


@overload
def compile(
    f: Callable[..., Any],
    *,
    backend: Backend = "auto",
    max_traces: int = 16,
    functions: Functions = "library",
    static_argnames: str | Sequence[str] = (),
) -> CompiledFunction: ...
@overload
def compile(
    f: None = None,
    *,
    backend: Backend = "auto",
    max_traces: int = 16,
    functions: Functions = "library",
    static_argnames: str | Sequence[str] = (),
) -> Callable[[Callable[..., Any]], CompiledFunction]: ...
def compile(
    f: Callable[..., Any] | None = None,
    *,
    backend: Backend = "auto",
    max_traces: int = 16,
    functions: Functions = "library",
    static_argnames: str | Sequence[str] = (),
) -> Any:
    """Make a function fast: trace it once, replay it with the same bits.

    `f` takes numbers and what holds numbers (lists, tuples, dicts, dataclasses, arrays: see `grad`), and returns such.
    It is run once on `Value`s for each structure of its arguments, arrays told apart by their shapes; what it computes
    becomes a straight-line program, which later calls replay. It may be a derivative: `compile(value_and_grad(f))`. A
    call that would take another branch is traced again and kept beside the first; never answered from the wrong branch.

    - `backend`: "python", generated source; "native", machine code for this processor: on x86-64 under Linux with the
      standard library alone (`map`: with AVX-512), elsewhere through llvmlite (`pip install llvmlite numpy`); "auto",
      source for what is short, else machine code where it is made as fast as source, elsewhere for what is called
      often, if llvmlite is there.
    - `max_traces`: how many ways to branch are kept for one structure of arguments, and how many values of what is
      static: str, None, enumerations, functions, and what `static_argnames` names, are part of what finds a trace.
    - `static_argnames`: parameters whose arguments `f` gets as they are, such as the number of turns of a loop.
    - `functions`: where exp, expm1, log, log1p, tanh, sin and cos come from: "library", the C library, whose bits are
      Python's; or "polynomial", arithmetic that runs on eight samples at once, several times as fast in `map`, within
      a few ULP (`compiler/ir/polynomials.py`). Results are then the same on every backend, but not those of the eager
      run. "fast" is "polynomial", and machine code rounds a product once with the sum that it goes into (FMA), and
      has a tanh and a sigmoid of its own, within 5 ULP, and so for their slopes; results differ by rounding from
      backend to backend, and are the same at every run, for any number of threads and any parts that are merged.
      Functions with branches that were traced have the functions of "polynomial", and branch as with that.

    Loops that are written in Python unroll; `scan` and its kin are loops. Where thousands of instructions are alike,
    round for round, code runs them as the loop that they were, in the order in which they stood, with the same bits,
    unless rounds have numbers in common that a straight line computes once. What the function does besides computing
    happens while tracing only: printing, random numbers, changes to other objects. `Value`s from outside are read anew
    at every call. `int(v)`, `float(v)`, `v.data` and `backward()` in the function are errors. Under `detect_anomaly()`
    the function itself runs, so that it can be checked.

    On `Value`s, as where it is differentiated or used inside another compiled function, it is one operation, traced,
    differentiated and made code once however often it is called: a call, not a copy. The adjoint of an argument is then
    summed inside of it first, so that gradients agree to rounding with those of a copy; eager and compiled have the
    same bits. The function itself runs, as if it were not compiled, where it has fewer than 50 instructions, asks for
    the truth of a number (`if`), reads `Value`s from outside, calls itself, or returns an argument, a comparison or a
    rounded number as it is. Where its calls come to little code, they are written in place.

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
    max_traces = whole("compile: max_traces", max_traces)
    if functions not in ("library", "polynomial", "fast"):
        raise ValueError(f"compile: functions must be 'library', 'polynomial' or 'fast', got {functions!r}")
    if f is None:
        options: Any = {"backend": backend, "max_traces": max_traces, "functions": functions}
        return lambda g: compile(g, **options, static_argnames=static_argnames)
    if not callable(f):
        raise TypeError(f"compile: expected a function, got {type(f).__name__}")
    if backend == "native":
        native_backend.require()
    static = named("compile: static_argnames", static_argnames)
    _are_parameters(f, static)
    return CompiledFunction(f, backend, max_traces, functions, static)


def _are_parameters(f: Callable[..., Any], static: tuple[str, ...]) -> None:
    if not static:
        return
    with suppress(ValueError):  # of functions that do not tell
        known = inspect.signature(f).parameters.values()
        missing = [each for each in static if each not in [parameter.name for parameter in known]]
        if missing and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known):
            raise TypeError(
                f"compile: static_argnames: {missing[0]!r} is no parameter of {getattr(f, '__name__', 'f')}"
            )
