"""Workload 1: build a graph and differentiate it, eagerly, side by side with whichever peers are installed.

    python -m tests.benchmarks.workload1 [repetitions]

A network 2-16-16-1 with ReLU and hinge loss on 100 samples, every multiplication and addition a node: 64,500
operations. Each library runs the same statements on its own scalars, under the default garbage collector, and must give
the same loss and the same gradients. Printed are nanoseconds an operation, the least of several interleaved runs, and
the ratio to scalargrad.
"""

from __future__ import annotations

import gc
import importlib
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from typing import Any

OPERATIONS = 64_500
SHAPE = (2, 16, 16, 1)
SAMPLES = 100


def problem(
    samples: int = SAMPLES, shape: Sequence[int] = SHAPE
) -> tuple[list[list[list[float]]], list[list[float]], list[float]]:
    """Weights by layer and neuron (the bias last), inputs, and labels of -1 and 1."""
    r = random.Random(0)
    weights = [[[r.uniform(-1.0, 1.0) for _ in range(n)] + [0.0] for _ in range(m)] for n, m in pairwise(shape)]
    inputs = [[r.uniform(-1.0, 1.0) for _ in range(2)] for _ in range(samples)]
    return weights, inputs, [r.choice((-1.0, 1.0)) for _ in range(samples)]


def loss(weights: Any, inputs: Any, labels: Any, relu: Callable[[Any], Any]) -> Any:
    total: Any = None
    for x, label in zip(inputs, labels, strict=True):
        activations = x
        for layer, neurons in enumerate(weights):
            made = []
            for neuron in neurons:
                s = neuron[-1]
                for w, each in zip(neuron, activations, strict=False):
                    s = s + w * each
                made.append(relu(s) if layer < 2 else s)
            activations = made
        punished = relu(1.0 + -label * activations[0])
        total = punished if total is None else total + punished
    return total * (1.0 / SAMPLES)


def flat(weights: Any) -> list[Any]:
    return [w for layer in weights for neuron in layer for w in neuron]


def lifted(make: Callable[[float], Any]) -> tuple[Any, Any, list[float]]:
    weights, inputs, labels = problem()
    return (
        [[[make(w) for w in neuron] for neuron in layer] for layer in weights],
        [[make(x) for x in each] for each in inputs],
        labels,
    )


# Each contender: a function that prepares once and returns a function from nothing to (loss, gradients).


def scalargrad_values() -> Callable[[], tuple[float, list[float]]]:
    from scalargrad import Value

    weights, inputs, labels = lifted(Value)
    leaves = flat(weights)

    def once() -> tuple[float, list[float]]:
        for p in leaves:
            p.zero_grad()
        y = loss(weights, inputs, labels, Value.relu)
        y.backward()
        return y.data, [p.grad for p in leaves]

    return once


def micrograd() -> Callable[[], tuple[float, list[float]]]:
    Value = importlib.import_module("micrograd.engine").Value  # noqa: N806

    weights, inputs, labels = lifted(Value)
    leaves = flat(weights)

    def once() -> tuple[float, list[float]]:
        for p in leaves:
            p.grad = 0.0
        y = loss(weights, inputs, labels, Value.relu)
        y.backward()
        return y.data, [p.grad for p in leaves]

    return once


def xad() -> Callable[[], tuple[float, list[float]]]:
    adjoint = importlib.import_module("xad.adj_1st")
    larger = importlib.import_module("xad.math").max

    def once() -> tuple[float, list[float]]:
        with adjoint.Tape() as tape:
            weights, inputs, labels = lifted(adjoint.Real)
            leaves = flat(weights)
            for p in leaves:
                tape.registerInput(p)
            tape.newRecording()
            y = loss(weights, inputs, labels, lambda x: larger(x, 0.0))
            tape.registerOutput(y)
            y.derivative = 1.0
            tape.computeAdjoints()
            return y.value, [p.derivative for p in leaves]

    return once


def autograd() -> Callable[[], tuple[float, list[float]]]:
    differentiate = importlib.import_module("autograd").value_and_grad
    np = importlib.import_module("autograd.numpy")
    weights, inputs, labels = problem()
    both = differentiate(lambda w: loss(w, inputs, labels, lambda x: np.maximum(x, 0.0)))

    def once() -> tuple[float, list[float]]:
        value, gradients = both(weights)
        return float(value), [float(g) for g in flat(gradients)]

    return once


def torch() -> Callable[[], tuple[float, list[float]]]:
    library = importlib.import_module("torch")
    library.set_num_threads(1)
    weights, inputs, labels = problem()
    leaves = [library.tensor(w, dtype=library.float64, requires_grad=True) for w in flat(weights)]
    supply = iter(leaves)
    tensors = [[[next(supply) for _ in neuron] for neuron in layer] for layer in weights]

    def once() -> tuple[float, list[float]]:
        for p in leaves:
            p.grad = None
        y = loss(tensors, inputs, labels, library.relu)
        y.backward()
        return y.item(), [p.grad.item() for p in leaves]

    return once


PEERS = {"micrograd": micrograd, "xad": xad, "autograd": autograd, "torch": torch}


def main(arguments: Sequence[str]) -> int:
    repetitions = int(arguments[0]) if arguments else 5
    runs: dict[str, Callable[[], tuple[float, list[float]]]] = {"scalargrad": scalargrad_values()}
    skipped = []
    for name, make in PEERS.items():
        try:
            runs[name] = make()
        except ModuleNotFoundError:
            skipped.append(name)
    expected_loss, expected_gradients = runs["scalargrad"]()
    best = dict.fromkeys(runs, float("inf"))
    for k in range(repetitions):
        for name, once in runs.items():
            if k >= 2 and best[name] > 20 * best["scalargrad"]:
                continue  # slow enough to be sure of the ratio
            gc.collect()
            start = time.perf_counter()
            value, gradients = once()
            best[name] = min(best[name], time.perf_counter() - start)
            if abs(value - expected_loss) > 1e-12 or any(
                abs(a - b) > 1e-12 for a, b in zip(gradients, expected_gradients, strict=True)
            ):
                print(f"{name} disagrees: loss {value!r} against {expected_loss!r}")
                return 1
    print(f"Python {platform.python_version()}, {platform.machine()}; {OPERATIONS} operations, forward and backward")
    for name, seconds in best.items():
        ratio = seconds / best["scalargrad"]
        try:
            label = f"{name} {version(name)}"
        except ModuleNotFoundError:
            label = name
        print(f"{label:22s} {seconds / OPERATIONS * 1e9:9.0f} ns an operation   {ratio:6.2f} x scalargrad's time")
    for name in skipped:
        print(f"{name:22s} not installed, skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
