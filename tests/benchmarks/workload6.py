"""Workload 6: a loop of many steps, value and gradient, beside jax, casadi and aadc where they are installed.

    python -m tests.benchmarks.workload6 [--growth plot.png]

Lorenz's equations by Runge's and Kutta's method, from 0 to 1 in n steps; the sum of the state at the end, and its
derivative by the three parameters. Beside `scan`, as a user writes it, stands the same chained by hand: a compiled
function of 100 steps, and its pull-back. Printed are an answer, the least of interleaved runs, and the first answer:
the seconds from the Python function to its first result, for every contender alike. `--growth` measures from 100 to
10,000,000 steps, plots it, and prints how times grow as an exponent.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import importlib
import importlib.util
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


def aadc(n: int) -> Contender:
    """Which has no loops: all steps are recorded."""
    library = importlib.import_module("aadc")
    begun = time.perf_counter()
    f = library.Functions()
    f.start_recording()
    parameters = [library.idouble(x) for x in POINT]
    arguments = [x.mark_as_input() for x in parameters]
    y = [library.idouble(x) for x in START]
    for _ in range(n):
        y = step(y, parameters, 1.0 / n)
    result = (y[0] + y[1] + y[2]).mark_as_output()
    f.stop_recording()
    f.compile()
    workspace = f.create_workspace()
    for argument, x in zip(arguments, POINT, strict=True):
        workspace.set_val(argument, x)

    def run() -> None:
        workspace.forward()
        workspace.reset_diff()
        workspace.set_diff(result, 1.0)
        workspace.reverse()

    run()
    taken = time.perf_counter() - begun
    return Contender("aadc", run, lambda: [workspace.val(result), *map(workspace.diff, arguments)], taken, keep=f)


MAKERS: dict[str, Callable[[int], Contender]] = {"casadi": casadi, "jax": jax, "aadc": aadc}


# Up to how many steps a contender is measured; beyond, that takes minutes.
FARTHEST = {"jax": 10**6, "casadi": 10**5, "aadc": 10**5}


def contenders(n: int, peers: bool = True) -> list[Contender]:
    found = [with_scan(n), with_scan(n, "sqrt"), by_hand(n)]
    for name, make in MAKERS.items() if peers else ():
        if importlib.util.find_spec(name) is None:
            print(f"({name} is not installed)")
        elif n <= FARTHEST[name]:
            found.append(make(n))
    return found


def growth(file: str) -> None:
    """Times by the number of steps, and the exponents with which they grow from 1,000 on."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for n in [10**k for k in range(2, 8)]:
        every = [with_scan(n)]
        for name, make in MAKERS.items():
            if n <= FARTHEST[name] and importlib.util.find_spec(name) is not None:
                every.append(make(n))
        agree(every, 1e-8)
        measure(every, 0.5 * len(every))
        for each in every:
            found.setdefault(labelled(each.name), []).append((n, each.best, each.made_in))
            print(f"{n:>10,} steps: {labelled(each.name):<24} {1e3 * each.best:10.3f} ms, first {each.made_in:7.3f} s")
        sys.stdout.flush()
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for name, rows in found.items():
        sizes, *times = zip(*rows, strict=True)
        for axis, title, seconds in zip(axes, ("an answer", "the first answer"), times, strict=True):
            tail = [k for k, n in enumerate(sizes) if n >= 1000]
            power = exponent([sizes[k] for k in tail], [seconds[k] for k in tail])
            print(f"{name}: {title} grows with the power {power:.2f} of the steps")
            axis.loglog(sizes, seconds, "o-", label=f"{name}, power {power:.2f}")
            axis.set(title=title, xlabel="steps", ylabel="seconds")
    for axis in axes:
        axis.legend()
    figure.tight_layout()
    figure.savefig(file)


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
