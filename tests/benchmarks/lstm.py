"""ADBench's LSTM as a `scan`: two layers of 14 units, a sequence of 1,024 symbols, loss and gradient; beside jax.

    python -m tests.benchmarks.lstm [symbols]

The loss, by 266 parameters, is the mean log-likelihood of each symbol given those before it (microsoft/ADBench, lstm);
inputs are drawn with a fixed seed. Printed are an answer, the least of 30, and the first one.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import scalargrad as sg

from .common import machine

UNITS, LAYERS = 14, 2


def problem(symbols: int) -> tuple[Any, Any, Any, Any]:
    """Weights and biases of the layers; of what is around them; the state at the beginning; and the sequence."""
    chance = random.Random(7)

    def rows(count: int, width: int) -> list[list[float]]:
        return [[chance.uniform(-0.5, 0.5) for _ in range(width)] for _ in range(count)]

    sequence = [[float(chance.random() < 0.5) for _ in range(UNITS)] for _ in range(symbols)]
    return rows(2 * LAYERS, 4 * UNITS), rows(3, UNITS), rows(2 * LAYERS, UNITS), sequence


def unit(x: Any, h: Any, c: Any, w: Sequence[Any], b: Sequence[Any]) -> tuple[Any, Any]:
    """One unit: what it hands on and what it keeps, from its four weights and biases."""
    forget, add, show = sg.sigmoid(x * w[0] + b[0]), sg.sigmoid(h * w[1] + b[1]), sg.sigmoid(x * w[2] + b[2])
    kept = c * forget + add * sg.tanh(h * w[3] + b[3])
    return show * sg.tanh(kept), kept


def ours(symbols: int) -> Callable[[Any, Any], Any]:
    _, _, state, sequence = problem(symbols)
    columns = [tuple(zip(*rows, strict=True)) for rows in (sequence[:-1], sequence[1:])]
    given, expected = (tuple(map(list, each)) for each in columns)

    def loss(layers: Any, around: Any) -> Any:
        def step(carry: Any, symbol: Any) -> Any:
            (before, total), (x, y) = carry, symbol
            x, after = [a * b for a, b in zip(x, around[0], strict=True)], []
            for k in range(0, 2 * LAYERS, 2):
                parts = [[each[j::UNITS] for j in range(UNITS)] for each in (layers[k], layers[k + 1])]
                found = list(map(unit, x, before[k], before[k + 1], *parts))
                x, kept = map(list, zip(*found, strict=True))
                after += [x, kept]
            p = [a * b + c for a, b, c in zip(x, around[1], around[2], strict=True)]
            normal = sg.log(sg.sum([sg.exp(v) for v in p]) + 2.0)
            return (after, total + sg.sum([a * (v - normal) for a, v in zip(y, p, strict=True)])), None

        (_, total), _ = sg.scan(step, (state, 0.0), (given, expected))
        return -total / ((symbols - 1) * UNITS)

    return loss


def with_jax(symbols: int) -> Callable[[Any, Any], Any]:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid
    _, _, start, sequence = problem(symbols)
    state, rows = jnp.array(start), jnp.array(sequence)

    def loss(layers: Any, around: Any) -> Any:
        def step(before: Any, symbol: Any) -> Any:
            x, y = symbol
            x, after = x * around[0], []
            for k in range(0, 2 * LAYERS, 2):
                w, b, h, c = layers[k].reshape(4, -1), layers[k + 1].reshape(4, -1), before[k], before[k + 1]
                c = c * sigmoid(x * w[0] + b[0]) + sigmoid(h * w[1] + b[1]) * jnp.tanh(h * w[3] + b[3])
                x = sigmoid(x * w[2] + b[2]) * jnp.tanh(c)
                after += [x, c]
            p = x * around[1] + around[2]
            return jnp.stack(after), jnp.sum(y * (p - jnp.log(jnp.sum(jnp.exp(p)) + 2.0)))

        _, totals = jax.lax.scan(step, state, (rows[:-1], rows[1:]))
        return -jnp.sum(totals) / ((symbols - 1) * UNITS)

    run = jax.jit(jax.value_and_grad(loss, (0, 1)))
    return lambda layers, around: jax.block_until_ready(run(jnp.array(layers), jnp.array(around)))


def main(arguments: Sequence[str]) -> int:
    print(machine())
    symbols = int(arguments[0]) if arguments else 1024
    layers, around, _, _ = problem(symbols)
    values = []
    for name in ("library", "polynomial", "fast", "jax"):
        begun = time.perf_counter()
        if name == "jax":
            if importlib.util.find_spec("jax") is None:
                print("jax is not installed, skipped")
                continue
            run: Any = with_jax(symbols)
            values.append(float(run(layers, around)[0]))
            call = lambda run=run: run(layers, around)  # noqa: E731
        else:
            functions: Any = name
            call = sg.compile(sg.value_and_grad(ours(symbols), (0, 1)), functions=functions).buffered(layers, around)
            values.append(call.outputs[0])
        first, best = time.perf_counter() - begun, 1e9
        for _ in range(30):
            begun = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - begun)
        print(f"{name:12s} an answer {best * 1e3:8.2f} ms, the first one {first:6.2f} s")
    assert max(values) - min(values) < 1e-9 * abs(values[0]), values
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
