"""How a random program runs: eagerly, compiled on each backend, over a batch, and as C in a library of many.

An answer is what a call gave: its numbers as floats with their structure, or the type of what it raised.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import copysign
from pathlib import Path
from typing import Any, NamedTuple

import scalargrad as sg
from scalargrad import Value
from scalargrad.compiler import CompiledFunction, GuardLimitError
from scalargrad.compiler.backends import native
from scalargrad.compiler.backends.executable import features
from scalargrad.engine.primitive import as_float
from scalargrad.losses.summation import added
from scalargrad.transforms.trees import flatten, unflatten

from .programs import Program

PYTHON, X86, LLVM, C = "Python source", "x86-64", "LLVM", "C"
MAX_TRACES = 64


class Answer(NamedTuple):
    numbers: tuple[float, ...] = ()
    structure: Any = None
    raised: str = ""  # the type's name
    says: str = ""

    def __str__(self) -> str:
        if self.raised:
            return f"raises {self.raised}: {self.says[:300]}"
        if self.structure is None:
            return "no error"
        if len(self.numbers) != len(flatten(unflatten(self.structure, iter(self.numbers)))[0]):  # of a batch
            return str(list(self.numbers))
        return repr(unflatten(self.structure, self.numbers))


def same(one: Answer, other: Answer) -> bool:
    """The same bits, any nan being any nan, in the same structure; or the same type of exception."""
    if one.raised or other.raised:
        return one.raised == other.raised
    return one.structure == other.structure and all(
        (a == b and (a != 0.0 or copysign(1.0, a) == copysign(1.0, b))) or (a != a and b != b)
        for a, b in zip(one.numbers, other.numbers, strict=True)
    )


def answer(call: Callable[[], Any]) -> Answer:
    """What a call gives."""
    try:
        leaves, structure = flatten(call())
        return Answer(tuple([x.data if isinstance(x, Value) else as_float(x) for x in leaves]), structure)
    except Exception as error:
        return Answer((), None, type(error).__name__, str(error))


def on_values(sample: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments with a `Value` in each number's place."""
    leaves, structure = flatten(tuple(sample))
    return tuple(unflatten(structure, map(Value, leaves)))


def available() -> tuple[str, ...]:
    """The backends that there are here."""
    found = [PYTHON]
    if "avx" in features():
        found.append(X86)
    if native.available(batches=True):
        found.append(LLVM)
    if shutil.which("gcc"):
        found.append(C)
    return tuple(found)


@contextmanager
def machine(backend: str) -> Iterator[None]:
    """Who makes machine code, if that is asked for."""
    before = os.environ.get("SCALARGRAD_NATIVE")
    if backend in (X86, LLVM):
        os.environ["SCALARGRAD_NATIVE"] = "x86" if backend == X86 else "llvm"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("SCALARGRAD_NATIVE", None)
        else:
            os.environ["SCALARGRAD_NATIVE"] = before


def compiled(g: Callable[..., Any], backend: str) -> CompiledFunction:
    made: CompiledFunction = sg.compile(
        g, backend="native" if backend in (X86, LLVM) else "python", max_traces=MAX_TRACES
    )
    return made


# ---- batches ---------------------------------------------------------------------------------------------------------


def _columns(samples: Sequence[Any]) -> Any:
    """The samples of one argument as `map` takes them."""
    first = samples[0]
    if isinstance(first, dict):
        return {key: _columns([each[key] for each in samples]) for key in first}
    if isinstance(first, tuple):
        return tuple(_columns([each[k] for each in samples]) for k in range(len(first)))
    return list(samples)


def order_of(program: Program) -> list[int]:
    """The samples of the program's batch, by number."""
    count, n = program.tiles or len(program.samples), len(program.samples)
    return [k * k % n if program.tiles and k % 3 == 0 else k % n for k in range(count)]


def batch_answer(program: Program, f: CompiledFunction, reduce: str | None) -> Answer:
    """What `map` gives: without `reduce`, the numbers of all samples, one sample behind the other."""
    chosen = [program.samples[k] for k in order_of(program)]
    arguments = [
        chosen[0][k] if axis is None else _columns([sample[k] for sample in chosen])
        for k, axis in enumerate(program.axes)
    ]
    try:
        found = f.map(*arguments, in_axes=program.axes, reduce=reduce, threads=program.threads)
        if reduce is not None:
            return answer(lambda: found)
        ((known, *_),) = f.specializations.values()
        columns: list[list[float]] = []
        _collect(found, known.result, columns)
        return Answer(tuple([x for row in zip(*columns, strict=True) for x in row]), known.result)
    except Exception as error:
        return Answer((), None, type(error).__name__, str(error))


def _collect(tree: Any, structure: Any, columns: list[list[float]]) -> None:
    if structure == "*":
        columns.append(tree)
        return
    for key, child in zip(structure[1] or range(len(structure[2])), structure[2], strict=True):
        _collect(tree[key], child, columns)


def batch_expected(program: Program, eager: Sequence[Answer], reduce: str | None) -> Answer:
    """What the eager run says that the batch must give."""
    rows = [eager[k] for k in order_of(program)]
    failed = next((row for row in rows if row.raised), None)
    if failed is not None:
        return failed
    if len({row.structure for row in rows}) > 1:
        return Answer((), None, "TypeError", "results of different structures")
    if reduce is not None:
        total = added([row.numbers for row in rows])
        return Answer(tuple(total), rows[0].structure)
    return Answer(tuple([x for row in rows for x in row.numbers]), rows[0].structure)


# ---- what is refused by design ---------------------------------------------------------------------------------------

REFUSED = (
    ("TypeError", "an operation written in Python has no C form"),
    ("TypeError", "results of different structures"),
    ("ValueError", "the traces have results of different structures"),
)


def refused(found: Answer) -> bool:
    """Whether the answer says, loudly, that the compiler does not do this."""
    return found.raised == GuardLimitError.__name__ or any(
        found.raised == kind and text in found.says for kind, text in REFUSED
    )


# ---- C ---------------------------------------------------------------------------------------------------------------


class Library:
    """Many programs as one shared library, made by gcc when all are there."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.sizes: list[tuple[int, int]] = []

    def add(self, f: CompiledFunction) -> int:
        """Take in a function that has been traced; its number here. Raises what `to_c` raises."""
        name = f"p{len(self.sources)}"
        header, text = f.to_c(name)
        program = next(iter(f.specializations.values()))[0].program
        captured = len(next(iter(f.specializations.values()))[0].captured)
        self.sources.append(text.replace(f'#include "{name}.h"\n', header))
        self.sizes.append((program.inputs - captured, len(program.outputs)))
        return len(self.sources) - 1

    def built(self) -> ctypes.CDLL:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "programs.c")
            path.write_text("\n".join(self.sources), encoding="ascii")
            made = Path(folder, "programs.so")
            command = [
                "gcc",
                "-O2",
                "-std=c99",
                "-ffp-contract=off",
                "-fPIC",
                "-shared",
                "-w",
                str(path),
                "-o",
                str(made),
                "-lm",
            ]
            subprocess.run(command, check=True, capture_output=True, text=True)
            return ctypes.CDLL(str(made))

    def call(self, library: ctypes.CDLL, k: int, sample: Sequence[Any], structure: Any) -> Answer:
        """One function of the library at one point."""
        inputs, outputs = self.sizes[k]
        leaves = [float(x) for x in flatten(tuple(sample))[0]]
        x = (ctypes.c_double * max(inputs, 1))(*leaves)
        y = (ctypes.c_double * max(outputs, 1))()
        if getattr(library, f"p{k}")(x, y):
            return Answer((), None, "not traced", "")
        return Answer(tuple(y[:outputs]), structure)


def quiet() -> None:
    """Programs divide by zero and the like, of which NumPy and Python's parser would warn."""
    warnings.simplefilter("ignore")
