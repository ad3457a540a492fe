"""Training: the digits network, on `Value`s, compiled, and in PyTorch if it is installed.

    python -m tests.benchmarks.training [epochs]

A network 64-16-10 with tanh, cross-entropy, Adam at 0.01, batches of 32, on four fifths of the 1,797 images of 8x8
pixels; accuracy on the last fifth after every epoch. All go through the same batches from the same weights. The first
epochs are run by all, and must end with the same weights: to the last bit on `Value`s, as source and as machine code,
to 1e-9 in PyTorch. Then the compiled one goes to the end. One thread; seconds, and ratios to the compiled training.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from dataclasses import dataclass
from typing import Any

from scalargrad.compiler.backends import native as native_backend
from scalargrad.data import Dataset, digits
from scalargrad.losses import cross_entropy
from scalargrad.nn import MLP
from scalargrad.optim import Adam
from scalargrad.training import accuracy, fit

from .common import labelled, machine

SHARED = 3  # epochs that all go through
RATE, SIZE = 0.01, 32


@dataclass
class Trained:
    """What a training took and found."""

    name: str
    weights: list[float]
    seconds: float
    epoch: float  # seconds of the fastest
    accuracy: float


def problem() -> tuple[Dataset, Dataset, MLP]:
    train, test = digits().split(0.8, seed=1, stratify=True)
    train, test = train.standardise(test)
    return train, test, MLP(64, [16, 10], activation="tanh", seed=1)


def scalargrad(name: str, epochs: int, compile: Any) -> Trained:  # noqa: A002
    train, test, model = problem()
    began = time.perf_counter()
    history = fit(
        model, train, cross_entropy, Adam(model.parameters(), lr=RATE), epochs, SIZE, validation=test,
        metrics={"accuracy": accuracy}, progress=False, compile=compile,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    weights = [p.data for p in model.parameters()]
    return Trained(
        f"{name}: {history.compiled}", weights, seconds, min(history.seconds), history["validation_accuracy"][-1]
    )


def without_llvm(epochs: int) -> Trained:
    there = native_backend.available, native_backend.at_once
    native_backend.available = native_backend.at_once = lambda batches=False: False
    try:
        return scalargrad("scalargrad without llvmlite", epochs, True)
    finally:
        native_backend.available, native_backend.at_once = there


def torch(epochs: int) -> Trained:
    library = importlib.import_module("torch")
    library.set_num_threads(1)
    train, test, model = problem()
    layers = []
    for layer in model.layers:
        rows = [[w.data for w in neuron.weights] for neuron in layer.neurons]  # type: ignore[union-attr]
        biases = [neuron.bias.data for neuron in layer.neurons]  # type: ignore[union-attr]
        for numbers in (rows, biases):
            layers.append(library.tensor(numbers, dtype=library.float64, requires_grad=True))
    w1, b1, w2, b2 = layers
    optimizer = library.optim.Adam(layers, lr=RATE)
    held_out, classes = library.tensor(test.inputs, dtype=library.float64), library.tensor(test.targets)

    def predict(x: Any) -> Any:
        return library.tanh(x @ w1.T + b1) @ w2.T + b2

    began, least, right = time.perf_counter(), float("inf"), 0.0
    for epoch in range(epochs):
        start = time.perf_counter()
        for inputs, targets in train.batches(SIZE, epoch):
            optimizer.zero_grad()
            x = library.tensor(inputs, dtype=library.float64)
            library.nn.functional.cross_entropy(predict(x), library.tensor(targets)).backward()
            optimizer.step()
        with library.no_grad():
            right = (predict(held_out).argmax(1) == classes).double().mean().item()
        least = min(least, time.perf_counter() - start)
    seconds = time.perf_counter() - began
    weights: list[float] = []
    for w, b in ((w1, b1), (w2, b2)):
        for row, bias in zip(w.tolist(), b.tolist(), strict=True):
            weights += [*row, bias]
    return Trained("torch", weights, seconds, least, right)


def show(each: Trained, first: Trained) -> None:
    print(
        f"  {labelled(each.name):52s} {each.seconds:8.2f} s  {each.seconds / first.seconds:7.2f} x   "
        f"an epoch {1e3 * each.epoch:8.1f} ms  {each.epoch / first.epoch:7.2f} x   accuracy {each.accuracy:.3f}"
    )


def together(name: str, every: list[Trained], tolerance: float) -> None:
    """Print the table; raise unless the weights agree: to the bit, or the last of them to a tolerance."""
    print(name)
    first = every[0]
    for each in every:
        show(each, first)
        off = max(abs(a - b) for a, b in zip(first.weights, each.weights, strict=True))
        if off > (tolerance if each.name == "torch" else 0.0):
            raise AssertionError(f"{each.name} ends with other weights than {first.name}: off by {off}")


def main() -> int:
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(machine())
    have_torch = importlib.util.find_spec("torch") is not None
    every = [
        scalargrad("scalargrad", SHARED, "auto"), without_llvm(SHARED), scalargrad("scalargrad", SHARED, False)
    ]  # fmt: skip
    together(f"{SHARED} epochs, compile time included", every + [torch(SHARED)] * have_torch, 1e-9)
    print("the same weights, to the last bit" + (" (torch: to 1e-9)" if have_torch else ""))
    whole = [scalargrad("scalargrad", epochs, "auto")] + ([torch(epochs)] if have_torch else [])
    together(f"{epochs} epochs", whole, 1.0)
    if whole[0].accuracy < 0.95:
        raise AssertionError(f"only {whole[0].accuracy} of the images held out were told right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
