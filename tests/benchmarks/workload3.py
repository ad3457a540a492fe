"""Workload 3: a batch, side by side with PyTorch and JAX if they are installed.

    python -m tests.benchmarks.workload3

Value and gradient of the summed hinge loss of a network 2-16-16-1 over 1,024 samples, float64, one thread; with ReLU,
tanh and sigmoid, whose exponentials are the C library's or polynomials, or all of `functions="fast"`. All are given
arrays. Microseconds, the least of interleaved runs.
"""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import scalargrad as sg
from scalargrad.compiler import compile
from scalargrad.transforms.trees import flatten

from .common import Contender, agree, labelled, machine, measure
from .workload1 import problem

COUNT = 1024


def batch() -> tuple[Any, Any, Any]:
    import numpy

    weights, _, _ = problem()
    r = numpy.random.default_rng(0)
    return [numpy.array(layer) for layer in weights], r.uniform(-1.0, 1.0, (COUNT, 2)), r.choice([-1.0, 1.0], COUNT)


def sample_loss(weights: Any, x: Any, label: Any, activation: Any) -> Any:
    for k, layer in enumerate(weights):
        sums = [sg.dot(neuron[:-1], x) + neuron[-1] for neuron in layer]
        x = [activation(s) for s in sums] if k < 2 else sums
    return sg.relu(1.0 - label * x[0])


def scalargrad(name: str, weights: Any, x: Any, y: Any, functions: Any = "library") -> Contender:
    activation = getattr(sg, name)
    f = compile(
        sg.value_and_grad(lambda w, a, b: sample_loss(w, a, b, activation)), backend="native", functions=functions
    )
    found: list[Any] = []

    def run() -> None:
        found[:] = [f.map(weights, x, y, in_axes=(None, 0, 0), reduce="sum")]

    return Contender(f"scalargrad {functions}", run, lambda: flatten(found[0])[0])


def torch(name: str, weights: Any, x: Any, y: Any) -> Contender:
    library = importlib.import_module("torch")
    library.set_num_threads(1)
    layers = [library.tensor(layer, dtype=library.float64, requires_grad=True) for layer in weights]
    inputs, labels = library.tensor(x), library.tensor(y)
    activation = getattr(library, name)
    found: list[Any] = []

    def run() -> None:
        for each in layers:
            each.grad = None
        h = inputs
        for k, w in enumerate(layers):
            h = h @ w[:, :-1].T + w[:, -1]
            h = activation(h) if k < 2 else h
        total = library.relu(1.0 - labels * h[:, 0]).sum()
        total.backward()
        found[:] = [total]

    def answers() -> Sequence[float]:
        return [found[0].item(), *[g for each in layers for g in each.grad.flatten().tolist()]]

    return Contender("torch", run, answers)


def jax(name: str, weights: Any, x: Any, y: Any) -> Contender:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    library = importlib.import_module("jax")
    library.config.update("jax_enable_x64", True)
    numpy = importlib.import_module("jax.numpy")
    activation = numpy.tanh if name == "tanh" else getattr(library.nn, name)

    def total(layers: Any, inputs: Any, labels: Any) -> Any:
        h = inputs
        for k, w in enumerate(layers):
            h = h @ w[:, :-1].T + w[:, -1]
            h = activation(h) if k < 2 else h
        return library.nn.relu(1.0 - labels * h[:, 0]).sum()

    f = library.jit(library.value_and_grad(total))
    layers, inputs, labels = [numpy.array(layer) for layer in weights], numpy.array(x), numpy.array(y)
    found: list[Any] = []

    def run() -> None:
        found[:] = [library.block_until_ready(f(layers, inputs, labels))]

    def answers() -> Sequence[float]:
        return [float(found[0][0]), *[float(g) for each in found[0][1] for g in each.flatten()]]

    return Contender("jax", run, answers)


def main() -> int:
    print(machine())
    weights, x, y = batch()
    for name in ("relu", "tanh", "sigmoid"):
        every = [scalargrad(name, weights, x, y)]
        if name != "relu":
            every.append(scalargrad(name, weights, x, y, "polynomial"))
        every.append(scalargrad(name, weights, x, y, "fast"))
        for peer in (torch, jax):
            try:
                every.append(peer(name, weights, x, y))
            except ModuleNotFoundError:
                print(f"{peer.__name__} is not installed, skipped")
        measure(every, 3.0)
        agree(every)
        for each in every:
            print(
                f"{name:8s} {labelled(each.name):28s} {each.best * 1e6:9.1f} us  "
                f"{each.best / every[0].best:6.2f} x scalargrad's time"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
