"""All workloads, one after the other: `python -m tests.benchmarks`. Each is a module that runs alone, too."""

from __future__ import annotations

import subprocess
import sys

WORKLOADS = ("workload1", "workload2", "workload3", "workload4", "workload6", "workload8", "training", "sums")


def main() -> int:
    worst = 0
    for name in WORKLOADS:
        print(f"\n== {name}", flush=True)  # in a process of its own, so that none finds another's peers loaded
        worst = max(worst, subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"]).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
