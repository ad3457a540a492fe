"""Workload 2: replay a recorded gradient, side by side with casadi, aadc and ddx-ad where they are installed.

    python -m tests.benchmarks.workload2 [--growth plot.png]

The loss of workload 1 on 1, 10 and 100 samples (645, 6,450 and 64,500 operations), value and all derivatives by the
weights. Printed are nanoseconds an operation of the forward program, the least of interleaved runs, and the first
answer: the seconds from the Python function to its first result, for every contender alike, the least of three.
`--growth` measures from 100 to 1,000,000 operations, and prints how times grow as an exponent.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import importlib
import sys
import time
from array import array
from collections.abc import Sequence
from typing import Any

import scalargrad as sg
from scalargrad.compiler import compile

from .common import Contender, agree, exponent, labelled, machine, measure
from .workload1 import SHAPE, flat, loss, problem


def compiled(backend: Any, weights: Any, inputs: Any, labels: Any, parameters: Sequence[float]) -> Contender:
    def f(theta: Any) -> Any:
        return loss(nested(weights, iter(theta)), inputs, labels, sg.relu)

    times, run = [], None
    for _ in range(3):
        del run  # what was made before is not freed in the time that is taken
        start = time.perf_counter()
        run = compile(sg.value_and_grad(f), backend=backend).buffered(list(parameters))
        times.append(time.perf_counter() - start)
    return Contender(f"scalargrad {backend}", run, lambda: list(run.outputs), min(times))


def casadi(weights: Any, inputs: Any, labels: Any, parameters: Sequence[float]) -> Contender:
    library = importlib.import_module("casadi")
    x, value, gradient = array("d", parameters), array("d", [0.0]), array("d", [0.0] * len(parameters))
    times, f, buffer, trigger = [], None, None, None
    for _ in range(3):
        del f, buffer, trigger
        start = time.perf_counter()
        theta = library.SX.sym("theta", len(parameters))
        supply = (theta[k] for k in range(len(parameters)))
        y = loss(nested(weights, supply), inputs, labels, lambda x: library.fmax(x, 0.0))
        f = library.Function("f", [theta], [y, library.densify(library.gradient(y, theta))])
        buffer, trigger = f.buffer()
        buffer.set_arg(0, memoryview(x))
        buffer.set_res(0, memoryview(value))
        buffer.set_res(1, memoryview(gradient))
        trigger()
        times.append(time.perf_counter() - start)
    return Contender("casadi SX", trigger, lambda: [*value, *gradient], min(times), keep=(f, buffer, x))


def nested(weights: Any, supply: Any) -> Any:
    return [[[next(supply) for _ in neuron] for neuron in layer] for layer in weights]


def aadc(weights: Any, inputs: Any, labels: Any, parameters: Sequence[float]) -> Contender:
    library = importlib.import_module("aadc")

    def relu(x: Any) -> Any:
        return library.iif(x > 0.0, x, library.idouble(0.0))

    start = time.perf_counter()
    f = library.Functions()
    f.start_recording()
    theta = [library.idouble(p) for p in parameters]
    arguments = [x.mark_as_input() for x in theta]
    result = loss(nested(weights, iter(theta)), inputs, labels, relu).mark_as_output()
    f.stop_recording()
    f.compile()
    workspace = f.create_workspace()
    for argument, p in zip(arguments, parameters, strict=True):
        workspace.set_val(argument, p)

    def run() -> None:
        workspace.forward()
        workspace.reset_diff()
        workspace.set_diff(result, 1.0)
        workspace.reverse()

    run()
    seconds = time.perf_counter() - start
    return Contender(
        "aadc", run, lambda: [workspace.val(result), *[workspace.diff(x) for x in arguments]], seconds, keep=f
    )


def ddx(weights: Any, inputs: Any, labels: Any, parameters: Sequence[float]) -> Contender:
    library, numpy = importlib.import_module("ddx"), importlib.import_module("numpy")

    def model() -> Any:
        theta = (library.var(f"t{k}") for k in range(len(parameters)))
        return loss(nested(weights, theta), inputs, labels, lambda x: library.max(x, 0.0))

    start = time.perf_counter()
    f = library.equation(model)
    f.compile(cache_dir="")
    call = f.buffer(numpy.array(parameters))
    call()
    seconds = time.perf_counter() - start
    return Contender("ddx-ad", call, lambda: [float(call.value), *map(float, call.jacobian)], seconds)


SLOW_TO_MAKE = 10_000  # operations from which ddx-ad, whose time to make grows with their square, is left out


def operations(samples: int, hidden: int = 16) -> int:
    """Additions, multiplications and activations of the loss, each counted once."""
    return samples * (5 * hidden + hidden * (2 * hidden + 1) + 2 * hidden + 5)


def contenders(
    samples: int, backends: Sequence[str] = ("native", "python"), shape: Sequence[int] = SHAPE
) -> list[Contender]:
    weights, inputs, labels = problem(samples, shape)
    parameters = flat(weights)
    found = [compiled(backend, weights, inputs, labels, parameters) for backend in backends]
    for peer in (casadi, aadc, ddx):
        if peer is ddx and operations(samples) > SLOW_TO_MAKE:
            continue
        try:
            found.append(peer(weights, inputs, labels, parameters))
        except ModuleNotFoundError:
            print(f"{peer.__name__} is not installed, skipped")
    return found


def main(arguments: Sequence[str]) -> int:
    print(machine())
    sizes = (1, 10, 100)
    if arguments[:1] == ["--growth"]:
        return growth(arguments[1] if len(arguments) > 1 else "")
    for samples in sizes:
        count = operations(samples)
        every = contenders(samples)
        measure(every, 3.0)
        agree(every)
        for each in every:
            print(
                f"{count:7d} operations  {labelled(each.name):28s} {each.best / count * 1e9:8.2f} ns an "
                f"operation"
                f"  {each.best / every[0].best:7.2f} x native;  first answer in {each.made_in:7.3f} s,"
                f" {each.made_in / count * 1e6:6.1f} us an operation"
            )
    return 0


def growth(file: str) -> int:
    """Times from a hundred to a million operations, as a table, exponents and, given a file name, a plot."""
    cases = [(1, (2, 5, 5, 1)), *((n, SHAPE) for n in (1, 5, 20, 100, 400, 1550))]
    rows: dict[str, list[tuple[int, float, float]]] = {}
    for samples, shape in cases:
        size = operations(samples, shape[1])
        every = contenders(samples, ("native",), shape)
        measure(every, 1.0, 3)
        agree(every)
        for each in every:
            rows.setdefault(each.name, []).append((size, each.made_in, each.best))
            print(
                f"{size:8d} operations  {each.name:20s} first answer in {each.made_in:8.3f} s"
                f" ({each.made_in / size * 1e6:6.1f} us an operation), run in {each.best * 1e3:9.4f} ms"
                f" ({each.best / size * 1e9:5.2f} ns)"
            )
    for name, found in rows.items():
        sizes, made, run = zip(*found, strict=True)
        print(
            f"{name:20s} time to the first answer grows as n**{exponent(sizes, made):.2f}, "
            f"to run as n**{exponent(sizes, run):.2f}"
        )
    if file:
        draw(rows, file)
    return 0


def draw(rows: dict[str, list[tuple[int, float, float]]], file: str) -> None:
    """Nanoseconds an operation to run, microseconds an operation to the first answer, by the number of operations."""
    plot = importlib.import_module("matplotlib.pyplot")
    figure, (left, right) = plot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, found in rows.items():
        sizes, made, run = zip(*found, strict=True)
        left.loglog(sizes, [t / n * 1e9 for t, n in zip(run, sizes, strict=True)], marker="o", label=name)
        right.loglog(sizes, [t / n * 1e6 for t, n in zip(made, sizes, strict=True)], marker="o", label=name)
    left.set_ylabel("to run it, ns an operation")
    right.set_ylabel("to the first answer, µs an operation")
    for axes in (left, right):
        axes.set_xlabel("operations of the loss")
        axes.grid(alpha=0.3)
    right.legend(frameon=False, loc="upper right")
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
