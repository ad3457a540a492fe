"""Workload 6: a loop of many steps, value and gradient, side by side with jax and casadi where they are installed.

    python -m tests.benchmarks.workload6 [--growth plot.png]

Lorenz's equations by Runge's and Kutta's method, from 0 to 1 in n steps; the sum of the state at the end, and its
derivative by the three parameters. Beside `scan`, as a user writes it, stands the same chained by hand: a compiled
function of 100 steps, and its pull-back. Printed are an answer, the least of interleaved runs, and the first answer:
the seconds from the Python function to its first result, for every contender alike. `--growth` measures from 100 to
10,000,000 steps, and prints how times grow as an exponent.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import importlib
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import scalargrad as sg
from scalargrad.compiler import compile

from .common import Contender, agree, exponent, labelled, machine, measure

POINT = [10.0, 28.0, 8.0 / 3.0]
START = [1.0, 1.0, 1.0]
TOGETHER = 100  # steps in one function, chained by hand


def step(y: Sequence[Any], p: Sequence[Any], h: float) -> list[Any]:
    def f(y: Sequence[Any]) -> list[Any]:
        return [p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1], y[0] * y[1] - p[2] * y[2]]

    def moved(h: float, k: Sequence[Any]) -> list[Any]:
        return [a + h * b for a, b in zip(y, k, strict=True)]

    a = f(y)
    b = f(moved(h / 2, a))
    c = f(moved(h / 2, b))
    d = f(moved(h, c))
    return [x + h / 6 * (p + 2.0 * q + 2.0 * r + s) for x, p, q, r, s in zip(y, a, b, c, d, strict=True)]


def with_scan(n: int, checkpoint: Any = None) -> Contender:
    def f(p: Any) -> Any:
        y, _ = sg.scan(lambda y, _: (step(y, p, 1.0 / n), None), START, length=n, checkpoint=checkpoint)
        return sg.sum(y)

    begun = time.perf_counter()
    run = compile(sg.value_and_grad(f), backend="native").buffered(POINT)
    name = "scalargrad scan" + (f", checkpoint={checkpoint!r}" if checkpoint else "")
    return Contender(name, run, lambda: list(run.outputs), time.perf_counter() - begun)


def by_hand(n: int) -> Contender:
    """As good as it gets without loops: states are kept every 100 steps, and the pull-back runs the 100 again."""

    def steps(y: Any, p: Any) -> Any:
        for _ in range(TOGETHER):
            y = step(y, p, 1.0 / n)
        return y

    begun = time.perf_counter()
    ahead = compile(steps, backend="native").buffered(START, POINT)
    back = compile(lambda y, p, bar: sg.vjp(steps, y, p)[1](bar), backend="native").buffered(START, POINT, START)
    answer: list[float] = []

    def run() -> None:
        states = [START]
        inputs, outputs = ahead.inputs, ahead.outputs
        inputs[3:6] = memoryview(_floats(POINT))
        state, after = inputs[:3], outputs[:3]
        state[:] = memoryview(_floats(START))
        for _ in range(n // TOGETHER):
            ahead()
            states.append(after.tolist())
            state[:] = after
        bars, sums = [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]
        for y in reversed(states[:-1]):
            back.inputs[:] = memoryview(_floats([*y, *POINT, *bars]))
            back()
            a, b, c, *of_parameters = back.outputs.tolist()
            bars = [a, b, c]
            sums = [s + x for s, x in zip(sums, of_parameters, strict=True)]
        answer[:] = [sum(states[-1]), *sums]

    run()
    return Contender("chained by hand", run, lambda: answer, time.perf_counter() - begun)


def _floats(xs: Sequence[float]) -> Any:
    return array("d", xs)


def jax(n: int) -> Contender:
    library = importlib.import_module("jax")
    library.config.update("jax_enable_x64", True)
    numpy = importlib.import_module("jax.numpy")

    def f(p: Any) -> Any:
        def body(y: Any, _: Any) -> Any:
            return numpy.stack(step(y, p, 1.0 / n)), None

        return library.lax.scan(body, numpy.array(START), None, length=n)[0].sum()

    begun = time.perf_counter()
    made = library.jit(library.value_and_grad(f))
    point = numpy.array(POINT)
    library.block_until_ready(made(point))
    taken = time.perf_counter() - begun

    def answers() -> list[float]:
        value, gradient = made(point)
        return [float(value), *map(float, gradient)]

    return Contender("jax scan", lambda: library.block_until_ready(made(point)), answers, taken)


def casadi(n: int) -> Contender:
    library = importlib.import_module("casadi")
    begun = time.perf_counter()
    y, p = library.SX.sym("y", 3), library.SX.sym("p", 3)
    one = library.Function("one", [y, p], [library.vertcat(*step(library.vertsplit(y), library.vertsplit(p), 1.0 / n))])
    q = library.MX.sym("q", 3)
    end = library.sum1(one.fold(n)(library.DM(START), library.repmat(q, 1, n)))
    f = library.Function("f", [q], [end, library.gradient(end, q)])
    f(POINT)
    taken = time.perf_counter() - begun
    return Contender("casadi fold", lambda: f(POINT), lambda: [x for part in f(POINT) for x in part.nonzeros()], taken)


MAKERS: dict[str, Callable[[int], Contender]] = {"casadi": casadi, "jax": jax}


def contenders(n: int, peers: bool = True) -> list[Contender]:
    found = [with_scan(n), with_scan(n, "sqrt"), by_hand(n)]
    for name, make in MAKERS.items() if peers else ():
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"({name} is not installed)")
            continue
        found.append(make(n))
    return found


def growth(file: str) -> None:
    sizes, answers, first = [10**k for k in range(2, 8)], [], []
    for n in sizes:
        each = with_scan(n)
        measure([each], 0.5)
        answers.append(each.best)
        first.append(each.made_in)
        print(f"{n:>10,} steps: an answer {1e3 * each.best:10.3f} ms, the first {each.made_in:6.3f} s", flush=True)
    print(f"an answer grows with the power {exponent(sizes, answers):.2f} of the steps")
    pyplot = importlib.import_module("matplotlib.pyplot")
    for times, label in ((answers, "an answer"), (first, "the first answer")):
        pyplot.loglog(sizes, times, "o-", label=label)
    pyplot.xlabel("steps")
    pyplot.ylabel("seconds")
    pyplot.legend()
    pyplot.savefig(file)


def main(arguments: list[str]) -> None:
    print(machine())
    if arguments[:1] == ["--growth"]:
        growth(arguments[1])
        return
    for n in (10_000, 100_000, 1_000_000):
        every = contenders(n)
        agree(every, 1e-8)
        measure(every, 2.0)
        hand = next(each for each in every if each.name == "chained by hand")
        print(f"\n{n:,} steps: {'an answer':>36} {'by hand = 1':>12} {'first answer':>13}")
        for each in every:
            ratio = each.best / hand.best
            print(f"  {labelled(each.name):<36} {1e3 * each.best:9.3f} ms {ratio:11.2f} {each.made_in:11.3f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
