"""The command: `python -m tests.evidence`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace

HELP = """Check the engine on random graphs against exact arithmetic, and by laws; check compiled code on random
programs against the eager run; and print the figures.

Without options, a million graphs, every special input in full product, and 100,000 programs. Graphs and programs are
known by seed and number, so that --graph and --program repeat one. --mutation plants mistakes in every row of the
table, and --mutants in modules, and counts those that the tests find.
"""


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.evidence", description=HELP)
    parser.add_argument(
        "--short", action="store_true", help="12,000 graphs, 3,000 programs, and what else fits in two minutes"
    )
    parser.add_argument("--dags", type=int, metavar="N", help="how many graphs")
    parser.add_argument("--programs", type=int, metavar="N", help="how many programs")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which ones (default: 0)")
    parser.add_argument("--jobs", type=int, default=cores(), metavar="J", help="processes (default: one a core)")
    parser.add_argument("--graph", type=int, metavar="K", help="check the graph of this number alone, and show it")
    parser.add_argument("--program", type=int, metavar="K", help="as --graph, for the program of this number")
    parser.add_argument("--digest", action="store_true", help="print a fingerprint of all bits of the graphs")
    parser.add_argument("--mutation", action="store_true", help="plant mistakes in every row of the table")
    parser.add_argument(
        "--mutants",
        nargs="*",
        metavar="MODULE",
        help="plant mistakes in modules (default: the engine's; compiler: its own)",
    )
    parser.add_argument("--replants", action="store_true", help="plant faults of old, and count programs to find them")
    parser.add_argument("--share", type=float, default=1.0, help="with --mutants: the share of them to try")
    parser.add_argument("--units", type=int, metavar="N", help="so many masked units in machine code, and nothing else")
    options = parser.parse_args(arguments)
    if options.units is not None:
        from . import masked

        return masked.main(options.units, options.seed, options.jobs)
    if options.mutants is not None:
        from . import mutants

        return mutants.main(options.mutants, options.share, options.jobs, options.seed)

    if options.replants:
        from . import replants

        return replants.main(options.seed, options.programs or replants.ENOUGH)

    # not above, because a mutant must be there before the first import of scalargrad
    from . import compare, mutation, run
    from .checks import Figures, examine
    from .dags import dag
    from .laws import check_laws, digest

    size = run.SHORT if options.short else run.LONG
    if options.dags is not None:
        size = replace(size, graphs=options.dags, programs=0, everywhere=0, derived=0)
    if options.programs is not None:
        n = options.programs
        size = replace(size, graphs=options.dags or 0, programs=n, everywhere=n // 50, derived=n // 10)
    began = time.perf_counter()
    if options.digest:
        print(digest(options.seed, size.graphs))
        return 0
    if options.mutation:
        return mutation.main()
    if options.graph is not None:
        graph, figures = dag(options.seed, options.graph), Figures()
        print(graph.source())
        examine(graph, figures, 1.0)
        check_laws(graph, figures, every=True)
    elif options.program is not None:
        figures = compare.show(options.seed, options.program)
    else:
        figures = run.run(size, options.seed, options.jobs, run.say)
    return run.report(figures, time.perf_counter() - began, options.jobs, options.seed)


if __name__ == "__main__":
    sys.exit(main())
