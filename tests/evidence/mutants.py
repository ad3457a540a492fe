"""Mistakes planted in modules, one at a time, and whether the tests of that module find them.

Each mutant runs in a process of its own, forked from one that has imported everything but scalargrad: so a mutant costs
what its tests cost until the first of them fails. Survivors are listed; `EQUIVALENT` names those that no test can find,
with the reason.

Why no tool of others: mutmut 3 calls every function through a trampoline of its own, which then is the line that
`detect_anomaly` names, so that the tests fail before anything is planted; and it leaves out properties and what stands
in a class's body, such as an optimizer's defaults. cosmic-ray plants each mistake in the file and starts pytest anew:
3,300 mutants of these modules, many of them one mistake under several names (any of ten operators in a `+`'s place),
at ten seconds each. Its verdicts on a sample of its own mutants are in the README, next to these.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from .variants import variants

ROOT = Path(__file__).parent.parent.parent
LIMIT = 60  # seconds of computing that the tests of a mutant may take; most hang for ever or not at all
LIMIT_COMPILER = 5  # times as much for modules of the compiler, whose tests make machine code
MEMORY = 6 * 2**30
SLOW = "million or memory or process or hash_seed or depth or numpy or light"  # which find little, and take long
TESTS: dict[str, tuple[str, ...]] = {
    "engine.value": ("tests/test_value.py", "tests/test_graph.py", "tests/test_modes.py", "tests/test_copying.py"),
    "engine.chain_rule": (
        "tests/test_graph.py",
        "tests/test_copying.py",
        "tests/test_calculus.py",
        "tests/test_modes.py",
    ),
    "transforms.derivatives": ("tests/test_calculus.py", "tests/test_graph.py", "tests/test_modes.py"),
    "optim.base": ("tests/test_optim.py", "tests/test_evidence_machine.py"),
    "optim.methods": ("tests/test_optim.py",),
    "engine.ieee": ("tests/test_awkward_points.py", "tests/test_primitives.py", "tests/test_evidence.py"),
}
_COMPILED = ("tests/test_compile.py", "tests/test_compile_practical.py")
_BATCHED = ("tests/test_compile_batch.py", *_COMPILED)
# After a short run of random programs, which finds most of them in seconds.
OF_THE_COMPILER: dict[str, tuple[str, ...]] = {
    "compiler.frontend.trace": _COMPILED,
    "compiler.ir.program": _COMPILED,
    "compiler.ir.lowering": _COMPILED,
    "compiler.ir.symbolic": ("tests/test_compile_bodies.py", *_COMPILED),
    "compiler.backends.x86.registers": ("tests/test_compile_x86.py", *_COMPILED),
    "compiler.backends.x86.code": ("tests/test_compile_x86.py", *_COMPILED),
    "compiler.backends.python": _COMPILED,
    "compiler.backends.c": _COMPILED,
    "compiler.backends.llvm": _BATCHED,
    "compiler.batching.batch": _BATCHED,
    "compiler.frontend.packing": _BATCHED,
    "compiler.function": _BATCHED,
    "compiler.frontend.dispatch": _BATCHED,
    "compiler.frontend.specialization": _BATCHED,
}
PROGRAMS = 250  # in that run
# module: (piece of the line, piece of the change, why it is as good as the original)
EQUIVALENT: dict[str, tuple[tuple[str, str, str], ...]] = {
    "engine.value": (
        ("self.data = data if", "->  as_float(data)", "as_float returns a float as it is: the test saves the call"),
        (
            "if operands else ()",
            "->  self.operation.local_gradients(",
            "a leaf's operation has no local gradients: () too",
        ),
        ("with modes.recording()", "->  modes.recording()", "without a mode recording() changes nothing: saves a call"),
        ("return _in_mode(v)", "->  _in_mode(v)", "without a mode it returns the node as it is: saves a call"),
        ("elif len(given) == 1", "1  ->  2", "the other form of storing operands; `parents` is the same"),
    ),
    "transforms.derivatives": (
        ("", "strict=True", "an assertion: both sides have one item an input, or an output, by construction"),
        (
            "return modes.recording()",
            "->  modes.recording()",
            "without a mode recording() changes nothing: saves a call",
        ),
        (
            "isinstance(y, Value) else 0.0",
            "->  0.0 + found.get(y, 0.0)",
            "a float is no key of `found`: 0.0 either way",
        ),
        ("m <= n", "m < n", "as many outputs as inputs: forward and reverse passes are as many"),
    ),
    "optim.methods": (
        ("zip(params, gradients", "strict=True", "an assertion: the gradients are those of the parameters"),
    ),
    "optim.base": (
        ("", "strict=True", "an assertion: both sides were found to be equally many just before"),
        ("total=False", "total=", "for type checkers alone"),
        (
            "if named else self._kind",
            "->  f'{self._kind}, group",
            "without groups the list has been looked through just before",
        ),
        ("known[0] > 0", "known[0] >= 0", "a parameter without a step has the state of the start in either form"),
    ),
}


class Mutant(NamedTuple):
    module: str
    line: int
    text: str  # of the line
    what: str
    code: CodeType


def path_of(module: str) -> Path:
    return ROOT / "scalargrad" / f"{module.replace('.', '/')}.py"


def mutants_of(module: str, wanted: Callable[[ast.AST], bool] = lambda node: True) -> Iterator[Mutant]:
    """Every mutant of a module of scalargrad."""
    path = path_of(module)
    source = path.read_text(encoding="utf-8")
    tree, lines = ast.parse(source), source.splitlines()
    for line, what, changed in variants(tree, wanted):
        try:
            yield Mutant(module, line, lines[line - 1].strip(), what, compile(changed, str(path), "exec"))  # type: ignore[call-overload]
        except (SyntaxError, ValueError):
            continue


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant where the module is asked for."""

    def __init__(self, mutant: Mutant) -> None:
        self.name, self.mutant = f"scalargrad.{mutant.module}", mutant

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, path_of(self.mutant.module), loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.mutant.code, module.__dict__)


def spawn(mutant: Mutant, check: Callable[[], int]) -> int:
    """Start a process in which the check meets the mutant; its number. The check's result is its exit status."""
    child = os.fork()
    if child:
        return child
    try:
        import resource
        import signal

        limit = (LIMIT_COMPILER if mutant.module in OF_THE_COMPILER else 1) * LIMIT
        signal.alarm(6 * limit)  # for what waits instead
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        sys.meta_path.insert(0, _Planted(mutant))
        os._exit(min(check(), 100))
    except BaseException:
        os._exit(101)


def run(mutants: Sequence[tuple[Mutant, Callable[[], int]]], jobs: int, say: Callable[[str], None]) -> list[Mutant]:
    """Those on which the check found nothing."""
    survivors: list[Mutant] = []
    waiting = list(mutants)
    running: dict[int, Mutant] = {}
    done, last = 0, time.monotonic()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant, check = waiting.pop(0)
            running[spawn(mutant, check)] = mutant
        child, status = os.wait()
        mutant = running.pop(child)
        done += 1
        if status == 0:
            survivors.append(mutant)
        if time.monotonic() - last > 20.0:
            last = time.monotonic()
            say(f"{done} of {len(mutants)}, {len(survivors)} survive")
    return survivors


def reason(mutant: Mutant) -> str:
    """Why no test can find it; "" where one should."""
    for text, change, why in EQUIVALENT.get(mutant.module, ()):
        if text in mutant.text and change in mutant.what:
            return why
    return ""


def _pytest(module: str) -> Callable[[], int]:
    def check() -> int:
        import pytest

        os.chdir(ROOT)
        os.environ["HYPOTHESIS_PROFILE"] = "ci"
        options = ["-x", "-q", "-p", "no:cacheprovider", "-k", f"not ({SLOW})"]
        options += ["-o", "filterwarnings=error\nignore:Module already imported"]  # by the process it was forked from
        # The module itself is not among the arguments: pytest would load it by a loader of its own.
        if module in OF_THE_COMPILER:
            from . import compare

            compare.SHRUNK = 0
            if compare.chunk(0, 0, PROGRAMS).failed or compare.chunk(0, 0, PROGRAMS // 25, every=True).failed:
                return 1
        status = int(pytest.main([*options, *{**TESTS, **OF_THE_COMPILER}[module]]))
        return status or doctest.testmod(importlib.import_module(f"scalargrad.{module}")).failed

    return check


def main(modules: Sequence[str], share: float, jobs: int, seed: int) -> int:
    """Print, for each module, how many mutants its tests found, and those that they did not."""
    if not hasattr(os, "fork"):
        print("mutants: needs os.fork")
        return 2
    for heavy in ("hypothesis", "llvmlite.binding", "mpmath", "numpy", "pytest", "_pytest.assertion.rewrite"):
        if importlib.util.find_spec(heavy.partition(".")[0]):
            importlib.import_module(heavy)
    if any(name.partition(".")[0] == "scalargrad" for name in sys.modules):
        raise RuntimeError("mutants: scalargrad is imported already, and would not be imported again")
    total = found = excused = 0
    for module in (*OF_THE_COMPILER,) if list(modules) == ["compiler"] else modules or TESTS:
        began = time.monotonic()
        r = random.Random(seed)
        unharmed = Mutant(
            module, 0, "", "nothing", compile(path_of(module).read_text("utf-8"), path_of(module), "exec")
        )
        if not run([(unharmed, _pytest(module))], 1, print):
            raise RuntimeError(f"mutants: the tests of {module}.py fail without any mistake planted")
        chosen = [mutant for mutant in mutants_of(module) if r.random() < share]
        check = _pytest(module)
        survivors = run([(mutant, check) for mutant in chosen], jobs, lambda text: print(text, file=sys.stderr))
        equivalent = [mutant for mutant in survivors if reason(mutant)]
        killed = len(chosen) - len(survivors)
        total, found, excused = total + len(chosen), found + killed, excused + len(equivalent)
        print(
            f"{module + '.py':26s} {len(chosen):4d} mutants, {killed:4d} killed, {len(equivalent):3d} equivalent, "
            f"{len(survivors) - len(equivalent):3d} survive  ({time.monotonic() - began:.0f} s)"
        )
        for mutant in survivors:
            why = reason(mutant)
            print(
                f"    line {mutant.line}, {mutant.text[:60]}: {mutant.what}"
                + (f"   [equivalent: {why}]" if why else ""),
                flush=True,
            )
    print(f"{found} of {total - excused} killed, {excused} equivalent ones left out")
    return 0 if found + excused == total else 1
