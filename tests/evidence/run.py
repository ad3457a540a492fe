"""The whole run: special inputs, graphs in the mass, laws, other processes; and its figures as a table."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from . import compare, jets
from .checks import Figures, check_row, examine
from .dags import dag, specials
from .laws import check_laws, losses_at_ties, parity, same_bits_in_other_processes
from .programs import program

CHUNK = 500


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    graphs: int
    full: bool  # the full product of special inputs
    rows: float  # the share of edges that are compared with mpmath, which takes a millisecond each
    numbers: int  # for the laws about rows
    processes: int  # the graphs that are computed in other processes, too
    programs: int = 0  # each taken in one way, on two backends and in one batch
    everywhere: int = 0  # of them again, on all backends and in all batches
    derived: int = 0  # of them again, their derivatives against mpmath


LONG = Size(1_000_000, True, 0.005, 200_000, 2000, 100_000, 2000, 10_000)
SHORT = Size(12_000, False, 0.02, 4000, 200, 3000, 100, 300)


def _chunk(seed: int, rows: float, start: int, stop: int) -> Figures:
    figures = Figures()
    for number in range(start, stop):
        graph = dag(seed, number)
        examine(graph, figures, rows)
        check_laws(graph, figures)
    return figures


def _specials(full: bool, part: int, parts: int) -> Figures:
    figures, r = Figures(), random.Random(part)
    for graph in islice(specials(full), part, None, parts):
        examine(graph, figures, 0.0)
        ((operation, operands),) = graph.steps
        if full or r.random() < 0.02:
            check_row(operation, [graph.inputs[k] for k in operands], r, figures, graph)
    return figures


def _numbers(count: int, seed: int) -> Figures:
    figures, r = Figures(), random.Random(seed)
    parity(count, figures, r)
    losses_at_ties(count // 20, figures, r)
    return figures


def run(size: Size, seed: int, jobs: int = 1, say: Callable[[str], None] = lambda text: None) -> Figures:
    """Check everything; `say` is told, now and then, how far it is."""
    figures = Figures()
    parts = 40 if size.full else 4
    if not size.graphs:
        parts = 0
    tasks: list[Callable[[], Figures]] = [partial(_specials, size.full, k, parts) for k in range(parts)]
    tasks += [partial(_numbers, size.numbers // parts, seed * parts + k) for k in range(parts)]
    for start in range(0, size.graphs, CHUNK):
        tasks.append(partial(_chunk, seed, size.rows, start, min(start + CHUNK, size.graphs)))
    _all(tasks, figures, jobs, say)
    if size.graphs:
        same_bits_in_other_processes(seed, size.processes, figures)
    with TemporaryDirectory() as trail:
        try:
            _all(_programs(size, seed, trail), figures, jobs, say)
        except BrokenProcessPool:
            last = ", ".join(sorted(path.read_text() for path in Path(trail).iterdir()))
            figures.failed += 1
            figures.failures["ended"] = f"a process ended at one of the programs number {last}: try them with --program"
    return figures


def _programs(size: Size, seed: int, trail: str) -> list[Callable[[], Figures]]:
    tasks: list[Callable[[], Figures]] = []
    for start in range(0, size.everywhere, 100):
        tasks.append(partial(compare.chunk, seed, start, min(start + 100, size.everywhere), True, trail))
    for start in range(0, size.derived, 100):
        tasks.append(partial(derived, seed, start, min(start + 100, size.derived)))
    for start in range(0, size.programs, 2 * CHUNK):
        tasks.append(partial(compare.chunk, seed, start, min(start + 2 * CHUNK, size.programs), False, trail))
    return tasks


def derived(seed: int, start: int, stop: int) -> Figures:
    """The derivatives of the programs of these numbers against mpmath."""
    figures = Figures()
    for number in range(start, stop):
        jets.check(program(seed, number), figures, random.Random(number))
    return figures


def _all(tasks: list[Callable[[], Figures]], figures: Figures, jobs: int, say: Callable[[str], None]) -> None:
    """Do the tasks and add up what they found."""
    began = last = time.perf_counter()
    with _workers(jobs) as results:
        for done, found in enumerate(results(tasks), 1):
            figures.add(found)
            now = time.perf_counter()
            if now - last > 10.0:
                last, share = now, done / len(tasks)
                left = (now - began) * (1.0 / share - 1.0)
                say(
                    f"{figures.graphs:>10,} graphs {figures.programs:>9,} programs {figures.total:>14,} checks "
                    f"{figures.failed:>4} failures"
                    f"  {share:4.0%}, {left:.0f} s to go"
                )


class _workers:  # noqa: N801  # used like a function
    """Tasks one after the other here, or in several processes."""

    def __init__(self, jobs: int) -> None:
        self.pool = ProcessPoolExecutor(jobs) if jobs > 1 else None

    def __enter__(self) -> Callable[[list[Callable[[], Figures]]], Any]:
        return self._results

    def _results(self, tasks: list[Callable[[], Figures]]) -> Any:
        return (task() for task in tasks) if self.pool is None else self.pool.map(_call, tasks)

    def __exit__(self, *error: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


def _call(task: Callable[[], Figures]) -> Figures:
    return task()


def table(figures: Figures, seconds: float, jobs: int, seed: int) -> str:
    """The figures in Markdown, as they stand in the README."""
    rows = ["| | checks | largest error / bound |", "|---|---|---|"]
    for name in sorted(figures.checks, key=lambda name: ("programs" in name, "law" in name, name)):
        worst = f"{figures.worst.get(name, (0.0, ''))[0]:.2g}" if "/ bound" in name else "exact"
        rows.append(f"| {name.partition(': error')[0].partition(': ULP')[0]} | {figures.checks[name]:,} | {worst} |")
    programs = f"{figures.programs:,} programs (" + ", ".join(
        f"{n:,} of order {order}" for order, n in sorted(figures.orders.items())
    )
    title = (
        (f"{programs}); " if figures.programs else "")
        + f"{figures.graphs:,} graphs of {figures.nodes:,} nodes and {figures.edges:,} edges (seed {seed}): "
        f"{figures.total:,} checks, {figures.failed} failures, {seconds / 60.0:.1f} minutes on {jobs} core(s)"
    )
    return "\n".join([title, "", *rows])


def report(figures: Figures, seconds: float, jobs: int, seed: int) -> int:
    """Print the figures and what failed; the exit status."""
    for kind, n in sorted(figures.faults.items()):
        print(f"programs, FAILED: {kind}: {n}")
    for text in figures.failures.values():
        print(f"\n---- FAILED\n{text}")
    print(f"\n{table(figures, seconds, jobs, seed)}")
    return 1 if figures.failed else 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
