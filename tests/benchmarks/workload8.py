"""Workload 8: what a call from Python costs, side by side with casadi and numba where they are installed.

    python -m tests.benchmarks.workload8

Value and gradient of functions of 18 and about 150 instructions: an ordinary call with floats, and one on fixed memory.
numba compiles the same derivatives, written by hand. Then Rosenbrock in 100 dimensions, value and gradient and Hessian,
called with a list and with an array, and `quad` of an integrand in Python, compiled, and without Python.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import importlib
import math
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import scalargrad as sg
from scalargrad.compiler import compile
from scalargrad.transforms.trees import flatten

from .common import Contender, agree, labelled, machine
from .workload4 import rosenbrock


def short(x: Any, y: Any, sin: Any = sg.sin, exp: Any = sg.exp) -> Any:
    return sin(x * y) + exp(x * x * y) - x / y


def short_by_hand(x: float, y: float) -> tuple[float, tuple[float, float]]:
    s, c, e = math.sin(x * y), math.cos(x * y), math.exp(x * x * y)
    return s + e - x / y, (c * y + e * 2.0 * x * y - 1.0 / y, c * x + e * x * x + x / y / y)


def horner(a: Any, b: Any, c: Any) -> Any:
    s = a
    for _ in range(17):
        s = s * a + b * c
    return s


def horner_by_hand(a: float, b: float, c: float) -> tuple[float, tuple[float, float, float]]:
    s, by_a, by_p = a, 1.0, 0.0
    for _ in range(17):
        by_a = by_a * a + s
        by_p = by_p * a + 1.0
        s = s * a + b * c
    return s, (by_a, by_p * c, by_p * b)


def numbers(found: Any) -> list[float]:
    return [float(x) for x in flatten(found)[0]]


def measured(contenders: Sequence[Contender], rounds: int = 60, seconds: float = 0.002) -> None:
    """The least time of a call, over loops of some milliseconds, interleaved."""
    for each in contenders:
        for _ in range(3):  # traced, made, and at its speed
            start = time.perf_counter()
            each.run()
        count = max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))
        each.keep = (each.keep, range(count))
    for _ in range(rounds):
        for each in contenders:
            run, calls = each.run, each.keep[1]  # type: ignore[index]
            start = time.perf_counter()
            for _ in calls:
                run()
            each.best = min(each.best, (time.perf_counter() - start) / len(calls))


def report(title: str, contenders: Sequence[Contender]) -> None:
    measured(contenders)
    agree(contenders)
    for each in contenders:
        ratio = each.best / contenders[0].best
        print(f"{title:26s} {labelled(each.name):34s} {each.best * 1e9:10.0f} ns  {ratio:6.2f} x")


def call(name: str, f: Callable[..., Any], *arguments: Any) -> Contender:
    return Contender(name, lambda: f(*arguments), lambda: numbers(f(*arguments)))


def buffered(f: Any, *arguments: Any) -> Contender:
    run = f.buffered(*arguments)
    return Contender("scalargrad, buffered", run, lambda: list(run.outputs))


def casadi(f: Callable[..., Any], arguments: Sequence[float]) -> list[Contender]:
    library = importlib.import_module("casadi")
    xs = [library.SX.sym(f"x{k}") for k in range(len(arguments))]
    y = f(*xs, library.sin, library.exp) if f is short else f(*xs)
    made = library.Function("f", xs, [y, library.gradient(y, library.vertcat(*xs))])
    buffer, trigger = made.buffer()
    given = [array("d", [x]) for x in arguments]
    found = array("d", [0.0]), array("d", [0.0] * len(xs))
    for k, x in enumerate(given):
        buffer.set_arg(k, memoryview(x))
    for k, each in enumerate(found):
        buffer.set_res(k, memoryview(each))

    def answers() -> list[float]:
        value, gradient = made(*arguments)
        return [float(value), *gradient.full()[:, 0].tolist()]

    return [
        Contender("casadi Function", lambda: made(*arguments), answers),
        Contender("casadi buffer", trigger, lambda: [*found[0], *found[1]], keep=(buffer, given, found)),
    ]


def numba(by_hand: Callable[..., Any], arguments: Sequence[float]) -> list[Contender]:
    made = importlib.import_module("numba").njit(by_hand)
    return [call("numba, by hand", made, *arguments)]


def peers(*makers: Callable[[], list[Contender] | None]) -> list[Contender]:
    found = []
    for make in makers:
        try:
            found += make() or []
        except ModuleNotFoundError as error:
            print(f"{error.name} is not installed, skipped")
    return found


def arrays() -> None:
    """Rosenbrock in 100 dimensions: lists and arrays in and out, and memory that stays."""
    numpy = importlib.import_module("numpy")
    point = [1.0 + 0.01 * ((7 * k) % 13 - 6) for k in range(100)]
    for title, f in (("value and gradient", sg.value_and_grad(rosenbrock)), ("Hessian", sg.hessian(rosenbrock))):
        made = compile(f, backend="native")
        every = [buffered(made, point), call("scalargrad, list", made, point)]
        every.append(call("scalargrad, array", made, numpy.array(point)))
        report(f"Rosenbrock 100, {title}", every)


def integrals() -> None:
    """`quad`, which evaluates the integrand 21 times."""
    quad = importlib.import_module("scipy.integrate").quad
    made = compile(lambda x, a: sg.exp(-a * x * x) * sg.sin(3.0 * x), backend="native")
    low_level = made.low_level_callable(0.5, 2.0)

    def in_python(x: float, a: float) -> float:
        return math.exp(-a * x * x) * math.sin(3.0 * x)

    ways = {"scalargrad, low level": low_level, "scalargrad, call": made, "Python": in_python}
    report("quad", [call(name, lambda f=f: quad(f, 0.0, 1.0, args=(2.0,))[0]) for name, f in ways.items()])


def main() -> int:
    print(machine())
    for f, by_hand, at in ((short, short_by_hand, (0.5, 2.0)), (horner, horner_by_hand, (0.9, 0.5, 2.0))):
        made = compile(sg.value_and_grad(f, tuple(range(len(at)))), backend="native")
        every = [call("scalargrad, call", made, *at), buffered(made, *at)]
        every += peers(partial(casadi, f, at), partial(numba, by_hand, at))
        report(f"{made.info.traces[0].instructions} instructions", every)
    peers(arrays, integrals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
