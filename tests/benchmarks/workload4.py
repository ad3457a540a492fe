"""Workload 4: programs that are not networks, side by side with casadi if it is installed.

    python -m tests.benchmarks.workload4

Lotka-Volterra by RK4 over 1,000 steps with derivatives by its 4 parameters; Black-Scholes price and Greeks over
1,000,000 scenarios; Rosenbrock in 100 dimensions with gradient and Hessian; a pendulum controller with branches, over
500 steps; and, in `.map` over 100,000 samples, what erfc and gelu cost beside erf.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import importlib
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from math import pi
from typing import Any

import scalargrad as sg
from scalargrad.activations import gelu
from scalargrad.compiler import compile

from .common import Contender, agree, labelled, machine, measure


def lotka_volterra(p: Any, steps: int = 1000, h: float = 0.01) -> Any:
    a, b, c, d = p
    x, y = 1.0, 0.5

    def slope(x: Any, y: Any) -> tuple[Any, Any]:
        return a * x - b * x * y, c * x * y - d * y

    for _ in range(steps):
        k1, l1 = slope(x, y)
        k2, l2 = slope(x + 0.5 * h * k1, y + 0.5 * h * l1)
        k3, l3 = slope(x + 0.5 * h * k2, y + 0.5 * h * l2)
        k4, l4 = slope(x + h * k3, y + h * l3)
        x = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        y = y + h / 6.0 * (l1 + 2.0 * l2 + 2.0 * l3 + l4)
    return x + y


def rosenbrock(p: Any) -> Any:
    total: Any = 0.0
    for k in range(99):
        s, t = p[k + 1] - p[k] * p[k], 1.0 - p[k]
        total = total + 100.0 * s * s + t * t
    return total


def pendulum(p: Any, sin: Callable[[Any], Any], choose: Callable[[Any, Any, Any], Any], steps: int = 500) -> Any:
    """Swing up: push along with the motion while low, hold by proportional control while high; torque limited."""
    angle, speed, cost = 0.1, 0.0, 0.0
    for _ in range(steps):
        away = angle - pi
        push = choose(-speed, -p[0], p[0])
        hold = -p[1] * away - p[2] * speed
        torque = choose(away * away - 0.25, push, hold)
        speed = speed + 0.02 * (torque - 9.81 * sin(angle))
        angle = angle + 0.02 * speed
        cost = cost + away * away + 0.01 * torque * torque
    return cost


def black_scholes(
    s: Any, k: Any, r: Any, v: Any, t: Any, log: Any = sg.log, sqrt: Any = sg.sqrt, exp: Any = sg.exp, erf: Any = sg.erf
) -> Any:
    root = v * sqrt(t)
    d = (log(s / k) + (r + 0.5 * v * v) * t) / root
    return s * 0.5 * (1.0 + erf(d * 0.7071067811865476)) - k * exp(-r * t) * 0.5 * (
        1.0 + erf((d - root) * 0.7071067811865476)
    )


def ours(name: str, f: Callable[..., Any], point: Sequence[float]) -> Contender:
    made = compile(f, backend="native")
    run = made.buffered(list(point))
    seconds = made.info.traces[0].seconds
    return Contender(name, run, lambda: list(run.outputs), seconds["trace"] + seconds["native"])


def casadi(expression: Callable[[Any, Any], Sequence[Any]], point: Sequence[float]) -> Contender:
    library = importlib.import_module("casadi")
    start = time.perf_counter()
    p = library.SX.sym("p", len(point))
    f = library.Function("f", [p], [library.densify(y) for y in expression(library, p)])
    seconds = time.perf_counter() - start
    buffer, trigger = f.buffer()
    x = array("d", point)
    results = [array("d", [0.0] * f.nnz_out(k)) for k in range(f.n_out())]
    buffer.set_arg(0, memoryview(x))
    for k, y in enumerate(results):
        buffer.set_res(k, memoryview(y))
    return Contender("casadi SX", trigger, lambda: [y for each in results for y in each], seconds, keep=(f, buffer, x))


def gradient_of(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Sequence[Any]]:
    def expression(library: Any, p: Any) -> Sequence[Any]:
        y = f(library, p)
        return [y, library.gradient(y, p)]

    return expression


def report(title: str, contenders: list[Contender]) -> None:
    measure(contenders, 2.0)
    agree(contenders, 1e-7)
    for each in contenders:
        print(
            f"{title:24s} {labelled(each.name):24s} {each.best * 1e6:12.1f} us  "
            f"{each.best / contenders[0].best:6.2f} x scalargrad's time;  made in {each.made_in:6.2f} s"
        )


def main() -> int:
    print(machine())
    jobs: list[tuple[str, Callable[..., Any], list[float], Callable[[Any, Any], Sequence[Any]]]] = []
    jobs.append(
        (
            "Lotka-Volterra, gradient",
            sg.value_and_grad(lotka_volterra),
            [1.1, 0.4, 0.1, 0.4],
            gradient_of(lambda library, p: lotka_volterra([p[k] for k in range(4)])),
        )
    )
    point = [1.0 + 0.01 * ((7 * k) % 13 - 6) for k in range(100)]

    def rosenbrock_in_casadi(library: Any, p: Any) -> Sequence[Any]:
        y = rosenbrock([p[k] for k in range(100)])
        h, g = library.hessian(y, p)
        return [y, g, h]

    jobs.append(
        (
            "Rosenbrock, Hessian",
            lambda p: (rosenbrock(p), sg.grad(rosenbrock)(p), sg.hessian(rosenbrock)(p)),
            point,
            rosenbrock_in_casadi,
        )
    )
    jobs.append(
        (
            "pendulum, gradient",
            sg.value_and_grad(lambda p: pendulum(p, sg.sin, lambda c, a, b: sg.where(sg.step(c), a, b))),
            [2.0, 30.0, 8.0],
            gradient_of(
                lambda library, p: pendulum(
                    [p[k] for k in range(3)], library.sin, lambda c, a, b: library.if_else(c > 0, a, b)
                )
            ),
        )
    )
    for title, f, start, expression in jobs:
        every = [ours("scalargrad native", f, start)]
        try:
            every.append(casadi(expression, start))
        except ModuleNotFoundError:
            print("casadi is not installed, skipped")
        report(title, every)
    scenarios()
    error_functions()
    return 0


def scenarios(count: int = 1_000_000) -> None:
    import numpy

    r = numpy.random.default_rng(0)
    given = [r.uniform(low, high, count) for low, high in ((80, 120), (80, 120), (0, 0.05), (0.1, 0.5), (0.1, 2))]
    greeks = compile(sg.value_and_grad(lambda *xs: black_scholes(*xs), tuple(range(5))), backend="native")
    found: list[Any] = []

    def run() -> None:
        found[:] = [greeks.map(*given)]

    def answers() -> Sequence[float]:
        value, slopes = found[0]
        return [float(each[k]) for k in range(0, count, 9973) for each in (value, *slopes)]

    every = [Contender("scalargrad native", run, answers)]
    try:
        library = importlib.import_module("casadi")
    except ModuleNotFoundError:
        print("casadi is not installed, skipped")
    else:
        p = library.SX.sym("p", 5)
        y = black_scholes(*[p[k] for k in range(5)], library.log, library.sqrt, library.exp, library.erf)
        f = library.Function("f", [p], [y, library.gradient(y, p)]).map(count)
        matrix = library.DM(numpy.array(given))
        peer: list[Any] = []

        def theirs() -> None:
            peer[:] = [f(matrix)]

        def read() -> Sequence[float]:
            prices, slopes = peer[0][0].full()[0], peer[0][1].full()
            return [float(x) for k in range(0, count, 9973) for x in (prices[k], *slopes[:, k])]

        every.append(Contender("casadi SX", theirs, read))
    report("Black-Scholes, 1e6", every)


def error_functions(count: int = 100_000) -> None:
    import numpy

    x = numpy.random.default_rng(0).uniform(-6.0, 6.0, count)
    seconds: dict[str, float] = {}
    rows = {"erf": sg.erf, "erfc": sg.erfc, "gelu": gelu}
    compiled = {name: compile(lambda t, row=row: row(t), backend="native") for name, row in rows.items()}
    for _ in range(20):
        for name, f in compiled.items():
            start = time.perf_counter()
            f.map(x)
            seconds[name] = min(seconds.get(name, 1.0), time.perf_counter() - start)
    for name, each in seconds.items():
        print(f"{name:24s} {each / count * 1e9:6.1f} ns a sample  {each / seconds['erf']:6.2f} x erf's time")


if __name__ == "__main__":
    sys.exit(main())
