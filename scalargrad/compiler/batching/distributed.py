"""`map` by an executor: a batch in chunks, which processes, threads or a cluster work on.

Chunks are numbered by their samples, so that sums come to the bits of one call (see `partial.py`) whoever works on
what, and in whatever order it comes back. What all chunks share (the function and the arguments that are not mapped) is
pickled once, and goes along with the first chunks, one for each worker; a worker that has not got it says so, and gets
its chunk again with it. Of a chunk that is lost with its worker nothing is left, and it runs again.
"""

from __future__ import annotations

import pickle
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from hashlib import sha256
from itertools import pairwise
from os import urandom
from typing import Any, NamedTuple

from ...engine import modes
from ...engine.value import Value
from ...transforms.pickling import dumps, saved
from ...transforms.trees import flatten
from ..frontend.dispatch import Dispatcher
from .arguments import Batch
from .batch import UNKNOWN, answered, nothing, part_of
from .binned import BinnedSum
from .partial import PartialSum, merge
from .results import collected
from .sources import cut, length, loaded, natural_cuts

LARGEST_CHUNK = 2**18  # samples, where nobody says
ATTEMPTS = 3  # at a chunk whose workers die
JOBS = 8  # that a worker keeps


class WorkerLostError(RuntimeError):
    """Workers died, and what they had could not run again; `part` is the sum over the samples that were done, if any.

    The samples that are missing can be mapped by a new executor, with their `start`, and merged with it.
    """

    part: PartialSum | BinnedSum | None = None


class _Job(NamedTuple):
    """What all chunks share."""

    function: Any  # the compiled function; None where it is sent apart
    shared: tuple[Any, ...]  # the arguments that are not mapped; None in the places of others
    axes: Sequence[int | None]
    reduce: str | None
    threads: int
    numbered: bool  # whether the samples' numbers are known
    apart: bool  # whether the workers are in other processes

    def run(self, first: int, count: int, pieces: Sequence[Any]) -> Any:
        """The sum over some samples, or the columns of results."""
        supply = iter(pieces)
        arguments = [
            x if axis is None else loaded(next(supply)) for x, axis in zip(self.shared, self.axes, strict=True)
        ]
        batch = Batch(self.function, arguments, self.axes, first)
        if batch.count != count:
            raise ValueError(f"map: a worker has {batch.count} samples from number {first} on, and was to have {count}")
        f: Any = self.function
        found: Any = None
        if self.reduce is not None:
            found = part_of(f, batch, self.reduce, self.threads, self.numbered)
        elif (done := answered(f, batch, False, self.threads)) is not None:
            found = done[1].columns
        if found is None:
            raise TypeError(f"map: {f.name} is differentiated here, which goes without an executor only")
        if self.apart:
            nothing_from_outside(f, batch)
            if self.reduce is not None:  # where it arrives, it is known; classes in it may be other ones there
                found.structure = None
        return found


def nothing_from_outside(f: Dispatcher, batch: Batch) -> None:
    """Raise `TypeError` if a trace reads a `Value` from outside, which is another in another process."""
    for x in (x for found in f.specializations[batch.structure] for x in found.captured):
        raise TypeError(
            f"map: {f.name} reads {x!r} from outside, whose number workers in other processes do not follow: make it "
            "an argument, with None in in_axes"
        )


_jobs: dict[str, _Job] = {}  # of a worker
_functions: dict[str, Dispatcher] = {}  # which keep their machine code from one call of `map` to the next


def _packed(job: _Job) -> bytes:
    """A job as it is sent."""
    f = job.function
    with f.lock:
        f.token = f.token or urandom(16).hex()
        traces = sum(map(len, f.specializations.values()))
    what = f"map: {f.name}"
    code = b""
    if f.function is not None:
        with suppress(pickle.PicklingError):  # it travels as its programs alone
            code = dumps(saved(f.function), what)
    key = f"{f.token} {traces} {sha256(code).hexdigest()}"  # what it refers to may be other than in the last call
    return dumps((key, dumps(f, what), job._replace(function=None)), what)


def _kept(known: dict[str, Any], key: str, made: Any) -> Any:
    known[key] = made
    for old in list(known)[:-JOBS]:
        known.pop(old, None)
    return made


def work(key: str, job: _Job | bytes | None, first: int, count: int, *pieces: Any) -> Any:
    """What a worker runs for a chunk; None if it has not got the job, and is to be given it."""
    if isinstance(job, bytes):
        job = _jobs.get(key) or _kept(_jobs, key, _unpacked(job))
    job = job or _jobs.get(key)
    return None if job is None else job.run(first, count, pieces)


def _unpacked(sent: bytes) -> _Job:
    key, function, job = pickle.loads(sent)
    found = _functions.get(key) or _kept(_functions, key, pickle.loads(function))
    return job._replace(function=found)  # type: ignore[no-any-return]


class Here(Executor):
    """Runs what it is given at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class _Chunk(NamedTuple):
    first: int  # counted from 0
    stop: int
    attempts: int = 0

    def __str__(self) -> str:
        return f"samples {self.first} to {self.stop - 1}"


class _Pool:
    """The executor, or what makes one, whenever the last is broken."""

    def __init__(self, given: Any) -> None:
        self.make = None if hasattr(given, "submit") and not isinstance(given, type) else given
        if self.make is not None and not callable(given):
            raise TypeError(f"map: expected an executor, or a function that makes one, got {type(given).__name__}")
        self.executor: Any = given if self.make is None else self._made()
        self.apart = not isinstance(self.executor, Here | ThreadPoolExecutor)
        self.cluster = type(self.executor).__module__.startswith("distributed")

    def _made(self) -> Any:
        made = self.make() if self.make is not None else None
        if not hasattr(made, "submit"):
            raise TypeError(f"map: executor() is to return an executor, and returned {type(made).__name__}")
        return made

    def again(self) -> None:
        self.executor.shutdown(wait=False)
        self.executor = self._made()

    def close(self) -> None:
        if self.make is not None:
            self.executor.shutdown()

    @property
    def workers(self) -> int:
        """How many there are; of most executors no public name tells."""
        client: Any = getattr(self.executor, "_client", None)  # Dask's
        if hasattr(client, "nthreads") and client.status == "running":
            return max(1, int(sum(client.nthreads().values())))
        found = getattr(self.executor, "num_workers", None) or getattr(self.executor, "_max_workers", None)
        return found if isinstance(found, int) else 1


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


class _Run:
    """The chunks of one call, as they are given out and come back."""

    def __init__(self, pool: _Pool, job: _Job, mapped: Sequence[tuple[Any, int]], start: int) -> None:
        self.pool, self.job, self.mapped, self.start = pool, job, mapped, start
        self.key = urandom(16).hex()
        self.payload = _packed(job) if pool.apart else job
        self.pending: dict[Future[Any], _Chunk] = {}
        self.again: deque[tuple[_Chunk, bool]] = deque()  # chunks, and whether the job is to go along

    def submit(self, chunk: _Chunk, along: bool) -> None:
        pool = self.pool
        pieces = [cut(x, axis, chunk.first, chunk.stop, pool.cluster, pool.apart) for x, axis in self.mapped]
        job = self.payload if along or not pool.apart else None
        try:
            future = pool.executor.submit(
                work, self.key, job, self.start + chunk.first, chunk.stop - chunk.first, *pieces
            )
        except BrokenExecutor as error:
            self.again.append((chunk, along))
            self.broken(error)
        except Exception as error:
            if not isinstance(error, RuntimeError) and type(error).__name__ != "ClosedClientError":  # of Dask
                raise
            raise RuntimeError(f"map: {pool.executor!r} takes no work: {error}; is it shut down?") from error
        else:
            self.pending[future] = chunk

    def results(self, chunks: Iterator[_Chunk]) -> Iterator[tuple[_Chunk, Any]]:
        """What comes back, in whatever order."""
        workers = self.pool.workers
        self.alongs = workers
        window = 2 * workers + 2
        try:
            while True:
                while len(self.pending) < window:
                    if self.again:
                        self.submit(*self.again.popleft())
                    elif (chunk := next(chunks, None)) is not None:
                        self.alongs -= 1
                        self.submit(chunk, self.alongs >= 0)
                    else:
                        break
                if not self.pending:
                    return
                done = wait(self.pending, return_when=FIRST_COMPLETED).done
                for future in sorted(done, key=_failed):  # what is done is not lost with what died beside it
                    chunk = self.pending.pop(future, None)
                    if chunk is not None and (found := self.answer(future, chunk)) is not None:
                        self.failures = 0
                        yield chunk, found
        finally:
            for future in self.pending:
                future.cancel()

    failures = 0  # one behind the other

    def answer(self, future: Future[Any], chunk: _Chunk) -> Any:
        """What a chunk gave; None if it is to run again."""
        error = future.exception() if not future.cancelled() else RuntimeError("its work was cancelled")
        if error is None:
            found = future.result()
            if found is None:
                self.again.append((chunk, True))
            return found
        if isinstance(error, BrokenExecutor):
            self.again.append((chunk, True))
            self.broken(error)
        elif type(error).__name__ == "KilledWorker" and chunk.attempts + 1 < ATTEMPTS:  # of Dask, whose others go on
            self.again.append((chunk._replace(attempts=chunk.attempts + 1), True))
        elif type(error).__name__ == "KilledWorker":
            raise WorkerLostError(f"map: {chunk}: no worker survives them: {error}") from error
        else:
            error.add_note(f"map: in {chunk}, on a worker")
            raise error
        return None

    def broken(self, error: BaseException) -> None:
        """Have all that is pending run again, by another executor."""
        for future, chunk in list(self.pending.items()):
            if not future.done() or _failed(future):
                self.again.append((chunk, True))
                del self.pending[future]
        self.failures += 1
        if self.pool.make is None:
            raise WorkerLostError(
                f"map: a worker died, and with it the executor ({type(error).__name__}: {error}), before "
                f"{', '.join(str(chunk) for chunk, _ in self.again)} and what follows were done. Give a function that "
                "makes executors (executor=lambda: ProcessPoolExecutor(2)), and they run again by the next one"
            ) from error
        if self.failures >= ATTEMPTS:
            lost = ", ".join(str(chunk) for chunk, _ in self.again)
            raise WorkerLostError(f"map: {ATTEMPTS} executors died one after the other, at {lost}") from error
        self.pool.again()
        self.alongs = self.pool.workers


def map_by(
    f: Dispatcher,
    arguments: Sequence[Any],
    axes: Sequence[int | None],
    reduce: Any,
    threads: int,
    start: int | str | None,
    executor: Any,
    chunk_size: int | None,
    progress: bool,
) -> Any:
    """`CompiledFunction.map` with an executor, or of a Dask array: see there."""
    given = {f"argument {k}": (x, axis) for k, (x, axis) in enumerate(zip(arguments, axes, strict=True))}
    lengths = {what: length(x, axis, what) for what, (x, axis) in given.items() if axis is not None}
    count = next(iter(lengths.values()))
    if len(set(lengths.values())) > 1:
        raise ValueError(f"map: batch lengths differ: {lengths}")
    if count == 0:
        return nothing(f, reduce, start)
    whole: Any = nothing(f, reduce, 0 if start is None else start)
    mapped = [(x, axis) for x, axis in given.values() if axis is not None]
    first_number = start if isinstance(start, int) else 0
    shared = tuple([x if axis is None else None for x, axis in given.values()])
    supply = iter([loaded(cut(x, axis, 0, 1, False, False)) for x, axis in mapped])
    one = [x if axis is None else next(supply) for x, axis in given.values()]
    on_values = modes.active and (modes.current().anomaly or modes.tracer() is not None)
    if on_values or any(isinstance(x, Value) for x in flatten(one, static=True)[0]):
        raise TypeError(
            f"map: {f.name} runs on Values where it is differentiated, compiled, or under detect_anomaly(): that "
            "is in one process, without executor, chunk_size and progress"
        )
    batch = Batch(f, one, axes, first_number)
    if batch.structure not in f.specializations:
        f.traced(batch.sample(batch.first), batch.structure)
    first = f.specializations[batch.structure][0]
    columns = [array("d", bytes(8 * count)) for _ in first.program.outputs] if reduce is None else []
    pool = _Pool(Here() if executor is None else executor)
    try:
        if pool.apart:
            nothing_from_outside(f, batch)
        job = _Job(f, shared, axes, reduce, threads, start != UNKNOWN, pool.apart)
        run = _Run(pool, job, mapped, batch.first)
        with _bar(f.name, count, progress) as bar:
            for chunk, found in run.results(_chunks(count, chunk_size, mapped, pool.workers)):
                if reduce is None:
                    for column, piece in zip(columns, found, strict=True):
                        column[chunk.first : chunk.stop] = piece
                else:
                    found.structure = first.result
                    whole = merge([whole, found])
                if bar is not None:
                    bar.update(chunk.stop - chunk.first)
    except WorkerLostError as error:
        error.part = whole if reduce is not None else None
        raise
    finally:
        pool.close()
    if reduce is None:
        return collected(first.result, columns, count, batch.kind)
    return whole.result() if start is None else whole


def _chunks(count: int, size: int | None, mapped: Sequence[tuple[Any, int]], workers: int) -> Iterator[_Chunk]:
    """All chunks: of the size that is asked for, else the blocks of a Dask array, else some for every worker."""
    cuts = natural_cuts(mapped) if size is None else None
    if cuts is None:
        size = size or min(LARGEST_CHUNK, max(1024, 1 << (count // (8 * workers)).bit_length()))
        cuts = [*range(0, count, size), count]
    return (_Chunk(a, b) for a, b in pairwise(cuts) if a < b)


def _bar(name: str, count: int, progress: bool) -> Any:
    """A bar over all samples, that tqdm draws, or nothing."""
    if not progress:
        return nullcontext()
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise ImportError("map: progress=True needs tqdm: pip install tqdm") from None
    # Without its monitor, a thread that would outlive the call to refresh bars that hang.
    return type("Bar", (tqdm,), {"monitor_interval": 0})(total=count, unit="sample", unit_scale=True, desc=name)
