"""Faults that compiled code once had, planted again one by one, and how many random programs it takes to find each.

A replant is a piece of a module's text and what stands in its place. It is run in a process of its own, as a mutant is;
the programs are those of the command, each on two backends and in one batch, and with its derivatives against mpmath.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from . import mutants
from .mutants import Mutant, path_of, spawn

ENOUGH = 20_000  # programs after which it counts as not found


class Replant(NamedTuple):
    what: str
    module: str
    changes: tuple[tuple[str, str], ...]


_TRACER = '__import__("scalargrad.engine.modes").modes.tracer()'
REPLANTS = (
    Replant(
        "registers saved by a called function and by its caller to the same places",
        "compiler.backends.x86.registers",
        (
            (
                "        self.saved: dict[int, MemoryOperand] = {}",
                "        self.saved: dict[int, MemoryOperand] = code.__dict__.setdefault('saved_by_all', {})",
            ),
        ),
    ),
    Replant(
        "a selected product's derivative by its local gradient left out",
        "engine.table",
        (
            (
                'ieee.gate,      lambda y, a, b: (b, a),                                    ("{b}", "{a}")',
                'ieee.gate,      lambda y, a, b: (b, 0.0),                                  ("{b}", "0")',
            ),
        ),
    ),
    Replant(
        "a batch's exact run decided before all branches are traced",
        "compiler.batching.batch",
        (
            (
                "any(v.fast() is not None for v in f.specializations[batch.structure])",
                "any(v.fast() is not None for v in before)",
            ),
            ("    shares = [every[", "    before = f.specializations[batch.structure]\n    shares = [every["),
        ),
    ),
    Replant(
        "what is not selected let through, in traced passes",
        "engine.chain_rule",
        (
            (
                "return table.gate if _selects(operation, slot) else table.chain",
                f"return table.gate if _selects(operation, slot) and {_TRACER} is None else table.chain",
            ),
            (
                "product = upstream._gate if operation.selects else upstream._chain",
                f"product = upstream._gate if operation.selects and {_TRACER} is None else upstream._chain",
            ),
        ),
    ),
    Replant(
        "products by 1 left out by the numbers, in recorded passes",
        "engine.chain_rule",
        (
            (
                "                    brought = product(d)\n",
                f"                    one = d._data == 1.0 and {_TRACER} is None\n"
                "                    brought = upstream if one else product(d)\n",
            ),
        ),
    ),
    Replant(
        "a zero gradient with the sign that its terms have",
        "transforms.derivatives",
        (("{x: 0.0 + found.get(x, 0.0) for x in self.inputs}", "{x: found.get(x, 0.0) for x in self.inputs}"),),
    ),
    Replant(
        "comparisons with the nearest float of an exact number",
        "compiler.frontend.trace",
        (("    if nearest == x or nearest != nearest:\n", "    if True:\n"),),
    ),
    Replant(
        "a check of probabilities made on plain numbers",
        "losses.batches",
        (("    whole = primitives.sum(*ts)\n", "    whole = primitives.sum(*map(plain, ts))\n"),),
    ),
    Replant(
        "an inner derivative that forgets the leaves it closes over",
        "transforms.derivatives",
        (("(nested or bool(old))", "nested"),),
    ),
    Replant(
        "a generated function by the name of one that it calls",
        "compiler.backends.python",
        (('self.taken = {*self.scope, "abs", "inputs", "m"}', "self.taken: set[str] = set()"),),
    ),
)


def planted(replant: Replant) -> Mutant:
    """The module with the fault in it. Raises `ValueError` where its text has changed."""
    source = path_of(replant.module).read_text(encoding="utf-8")
    for old, new in replant.changes:
        if source.count(old) != 1:
            raise ValueError(f"{replant.what}: {old!r} stands {source.count(old)} times in {replant.module}")
        source = source.replace(old, new)
    code = compile(source, str(path_of(replant.module)), "exec")
    return Mutant(replant.module, 0, replant.what, "replanted", code)


def programs_until_found(replant: Replant, seed: int, most: int = ENOUGH) -> int:
    """How many programs it takes, in a process of its own; 0 where that many find nothing."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "found")

        def check() -> int:
            from . import compare, run

            compare.SHRUNK = 0
            for start in range(0, most, 10):
                figures = compare.chunk(seed, start, start + 10)
                figures.add(run.derived(seed, start, start + 10))
                if figures.failed:
                    found.write_text(str(start + 10))
                    return 1
            return 0

        child = spawn(planted(replant), check)
        os.waitpid(child, 0)
        return int(found.read_text()) if found.exists() else 0


def main(seed: int, most: int) -> int:
    """Print how many programs find each, to the next ten."""
    mutants.LIMIT = 600
    missed = 0
    for replant in REPLANTS:
        count = programs_until_found(replant, seed, most)
        missed += not count
        print(f"{replant.what}: " + (f"found by {count:,} programs" if count else f"not found by {most:,}"), flush=True)
    return 1 if missed else 0
