"""Masked units, `where(mask, activation(w + x), 0.0)`: what once lost registers in machine code, in the mass."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import scalargrad as sg
from scalargrad import activations

NAMES = ("tanh", "cbrt", "erfc", "gelu", "silu", "acosh", "softplus", "sigmoid", "elu", "expm1", "erf", "selu")
FUNCTIONS = [getattr(sg, name, None) or getattr(activations, name) for name in NAMES]


def masked_units(seed: int, most: int = 10) -> tuple[Callable[[Any, Any, Any], Any], list[float], list[float], Any]:
    """A sum of squares and a product of units, each of which one of two masks may leave out; masks, weights, inputs.

    From the second unit of a mask on, its condition is known before the call: those calls are made out of line.
    """
    r = random.Random(seed)
    functions = [r.choice(FUNCTIONS) for _ in range(r.randint(3, most))]

    def f(mask: Any, w: Any, x: Any) -> Any:
        units = [sg.where(mask[k % 2], g(a + b), 0.0) for k, (g, a, b) in enumerate(zip(functions, w, x, strict=True))]
        return sg.dot(units, w) + sg.sum([u * u for u in units])

    mask = [float(r.random() < 0.7) for _ in range(2)]
    return f, mask, [r.uniform(0.5, 2.0) for _ in functions], [r.uniform(0.5, 2.0) for _ in functions]


def differing(seeds: range) -> tuple[int, list[int]]:
    """How many units these programs have, and those whose value, or value and gradient, has not the eager bits.

    Every tenth program has up to 10 units, the others up to 200.
    """
    os.environ["SCALARGRAD_NATIVE"] = "x86"
    units, wrong = 0, []
    for seed in seeds:
        f, mask, w, x = masked_units(seed, 200 if seed % 10 else 10)
        units += len(w)
        for each in (f, sg.value_and_grad(f, argnums=(1, 2))):
            if repr(sg.compile(each, backend="native")(mask, w, x)) != repr(each(mask, w, x)):
                wrong.append(seed)
    return units, wrong


def main(wanted: int, seed: int, jobs: int) -> int:
    """So many units, in as many programs as that takes."""
    units, programs, wrong = 0, 0, list[int]()
    with ProcessPoolExecutor(jobs) as pool:
        for found, bad in pool.map(differing, _ranges(seed * 1_000_000, wanted)):
            units, programs, wrong = units + found, programs + 20, wrong + bad
    print(f"{units:,} masked units in {programs:,} programs, value and gradient: {len(wrong)} differ {wrong[:5]}")
    return 1 if wrong else 0


def _ranges(start: int, wanted: int) -> Iterator[range]:
    for k in range(start, start + -(-wanted // 92) + 20, 20):  # 92 units a program, on the average
        yield range(k, k + 20)
