"""Sums over samples: in one call, in parts that are merged, by bins; and two workers next to one process.

`python -m tests.benchmarks.sums`.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy

import scalargrad as sg
from scalargrad.compiler import compile, merge  # noqa: A004

from .common import Contender, machine, measure


def network(p: Any, x: Any, y: Any) -> Any:
    hidden = [sg.tanh(sg.dot(row, x)) for row in p["w"]]
    return (sg.dot(p["v"], hidden) - y) ** 2


def linear(w: Any, x: Any, y: Any) -> Any:
    z = sg.dot(w, x) - y
    return z * z


def slow(w: Any, x: Any) -> Any:
    """Some microseconds a sample: a damped oscillator, integrated in 400 steps."""
    position, speed = x, 0.0
    for _ in range(400):
        position, speed = position + 0.01 * speed, speed - 0.01 * (sg.sin(position) + w * speed)
    return position * position


def orders(name: str, function: Any, p: Any, samples: int = 1_000_000, parts: int = 8) -> None:
    """Times of `map` with a sum: in one call, in parts that are merged, and with the samples' numbers unknown."""
    r = numpy.random.default_rng(0)
    x, y = r.normal(size=(samples, 10)), r.normal(size=samples)
    f = compile(sg.value_and_grad(function), backend="native", functions="polynomial")
    bounds = [samples * k // parts for k in range(parts + 1)]
    options: Any = {"in_axes": (None, 0, 0), "reduce": "sum"}

    def one() -> Any:
        return f.map(p, x, y, **options)

    def merged() -> Any:
        return merge([f.map(p, x[a:b], y[a:b], start=a, **options) for a, b in pairwise(bounds)]).result()

    def binned() -> Any:
        return f.map(p, x, y, start="unknown", **options).result()

    contenders = [
        Contender("one call", one, list),
        Contender(f"{parts} parts, merged", merged, list),
        Contender("numbers unknown", binned, list),
    ]
    measure(contenders, seconds=4.0, rounds=20)
    assert one() == merged()
    for each in contenders:
        ns, share = 1e9 * each.best / samples, each.best / contenders[0].best
        print(f"{name:20s} {each.name:18s} {ns:8.1f} ns a sample {share:6.2f}")


def workers(samples: int = 400_000) -> None:
    """One process, and two workers."""
    f = compile(sg.value_and_grad(slow), backend="native", functions="polynomial")
    xs = numpy.random.default_rng(0).normal(size=samples)
    options: Any = {"in_axes": (None, 0), "reduce": "sum"}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        seconds = {}
        for name, executor in (("one process", None), ("two workers", pool)):
            f.map(0.1, xs[:20_000], executor=executor, chunk_size=None if executor is None else 1000, **options)
            start = time.perf_counter()
            found = f.map(0.1, xs, executor=executor, **options)
            seconds[name] = time.perf_counter() - start
            print(f"{name:20s} {seconds[name]:6.2f} s   {found}")
    print(f"{'':20s} {seconds['one process'] / seconds['two workers']:6.2f} times as fast")


def main() -> int:
    print(machine())
    orders("linear, 10 weights", linear, [0.1] * 10)
    orders("network 10-8-1", network, {"w": [[0.1] * 10] * 8, "v": [0.2] * 8})
    workers()
    return 0


if __name__ == "__main__":
    sys.exit(main())
