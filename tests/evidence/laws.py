"""Laws that hold for every graph, whatever its operations are: of the derivative, and of floating point.

Each law takes a graph and says nothing where it does not apply (a number on the way is not finite, or out of the range
in which scaling is exact). Those of the last part are about rows and losses, on numbers in the mass.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import mpmath as mp

import scalargrad as sg
from scalargrad import Value, losses
from scalargrad.engine import primitive
from scalargrad.functions import primitives

from ..strategies import recorded
from .checks import Figures, edges_of, shrinking
from .dags import SMOOTH, Dag, any_float, dag, equal, same_bits
from .exact import NOTHING, Adjoint, combined, lost_forward, plus, replay

SMOOTH_ROWS = {primitive.TABLE[name] for name in SMOOTH}
SLACK = 16  # ULP that a second derivative of a row may be off

# ---- of graphs -------------------------------------------------------------------------------------------------------


def scaled_seed(graph: Dag, figures: Figures, r: random.Random) -> None:
    """Linearity: a seed times a power of two gives the same bits times it, where nothing under- or overflows."""
    nodes, chosen = graph.nodes(graph.leaves()), graph.ancestors()
    nodes[graph.output].backward(graph.seed)
    edges = edges_of(graph, nodes, chosen)
    if edges is None:
        return
    products = [nodes[k].grad * d for k in chosen for _, d in edges[k] if nodes[k].grad != 0.0 and d != 0.0]
    if not all(1e-200 < abs(x) < 1e200 for x in (*products, graph.seed)):
        return
    factor = 2.0 ** r.randint(-200, 200)
    again = graph.nodes(graph.leaves())
    again[graph.output].backward(graph.seed * factor)
    for k in chosen:
        figures.expect(
            equal(nodes[k].grad * factor, again[k].grad), "law: scaled seed, same bits", f"node {k}, {factor}", graph
        )


def two_outputs(graph: Dag, figures: Figures, r: random.Random) -> None:
    """Linearity: with two outputs seeded at once, each input gets the sum over the paths of both."""
    nodes = graph.nodes(graph.leaves())
    both = [graph.output, r.randrange(len(nodes)) if r.random() < 0.8 else graph.output]
    chosen = sorted({*graph.ancestors(), *graph._replace(output=both[1]).ancestors()})
    edges = edges_of(graph, nodes, chosen)
    if edges is None:
        return
    seeds = [r.uniform(-2.0, 2.0), r.uniform(-2.0, 2.0)]
    _, pull_back = sg.vjp(lambda xs: list(map(graph.nodes(xs).__getitem__, both)), list(graph.inputs))
    (found,) = pull_back(seeds)
    (as_graph,) = pull_back([Value(seed) for seed in seeds])
    for g, h in zip(found, as_graph, strict=True):
        right = equal(g, h.data if isinstance(h, Value) else h)
        figures.expect(right, "law: cotangents that are Values, same bits", f"{g} and {h}", graph)
    if not all(map(isfinite, found)):
        return
    merged: dict[int, float] = dict.fromkeys(both, 0.0)
    for k, seed in zip(both, seeds, strict=True):
        merged[k] += seed
    exact = replay(edges, merged)
    for k, g in enumerate(found):
        error = exact.get(k, NOTHING).error(g, 1)
        figures.measure("law: two seeded outputs: error / bound", error, f"graph {graph.number}", graph)


def permuted(graph: Dag, figures: Figures, r: random.Random) -> None:
    """Statements that do not depend on each other may stand in any order: the gradients have the same bits."""
    n = len(graph.inputs)
    one = graph.nodes(graph.leaves())
    other: dict[int, Any] = dict(enumerate(graph.leaves()))
    for k in graph.shuffled(r):
        operation, operands = graph.steps[k]
        other[n + k] = operation(*[other[j] if type(j) is int else j for j in operands])
    one[graph.output].backward(graph.seed)
    other[graph.output].backward(graph.seed)
    right = all(same_bits(one[k].grad, other[k].grad) for k in range(len(one)))
    figures.expect(right, "law: permuted statements, same bits", "", graph)


def split(graph: Dag, figures: Figures, r: random.Random) -> None:
    """The chain rule: the gradient of an upper half by the seam, pulled back through the lower half, is the whole's."""
    nodes, chosen = graph.nodes(graph.leaves()), graph.ancestors()
    edges = edges_of(graph, nodes, chosen)
    n = len(graph.inputs)
    cut = r.randint(0, len(graph.steps))
    if edges is None or graph.output < n + cut:
        return
    seam = [Value(node.data) for node in nodes[: n + cut]]
    upper = graph._replace(inputs=tuple(node.data for node in seam), steps=graph.steps[cut:])
    upper(seam).backward(graph.seed)
    _, pull_back = sg.vjp(lambda xs: graph.nodes(xs)[: n + cut], list(graph.inputs))
    seeds = [node.grad for node in seam]
    (found,) = pull_back(seeds)
    if not all(map(isfinite, (*found, *seeds))):
        return
    exact = replay(edges, {graph.output: graph.seed})
    for k, g in enumerate(found):
        # each node of the seam adds its seed to what its other consumers bring: one more rounding
        error = exact.get(k, NOTHING).error(g, len(chosen))
        figures.measure("law: split graph: error / bound", error, f"graph {graph.number}, cut {cut}", graph)


def dual(graph: Dag, figures: Figures, r: random.Random) -> None:
    """Forward and reverse mode are dual: u (J v) = (u J) v."""
    nodes, chosen = graph.nodes(graph.leaves()), graph.ancestors()
    edges = edges_of(graph, nodes, chosen)
    if edges is None:
        return
    v = [float(r.randint(-8, 8)) for _ in graph.inputs]
    _, tangent = sg.jvp(graph, (list(graph.inputs),), (v,))
    _, as_graph = sg.jvp(graph, (list(graph.inputs),), ([Value(t) for t in v],))
    right = equal(tangent, as_graph.data if isinstance(as_graph, Value) else as_graph)
    figures.expect(right, "law: tangents that are Values, same bits", f"{tangent} and {as_graph}", graph)
    _, pull_back = sg.vjp(graph, list(graph.inputs))
    (cotangent,) = pull_back(1.0)
    if not isfinite(tangent) or not all(map(isfinite, cotangent)):
        return
    exact = replay(edges, {graph.output: 1.0})
    steps = 2 * sum(map(len, edges.values())) + len(v)  # forward sums are over a node's operands
    known = combined([exact.get(k, NOTHING) for k in range(len(v))], v, steps)
    forward = known._replace(underflow=plus(known.underflow, lost_forward(edges, graph.output)))
    figures.measure(
        "law: forward and reverse dual: error / bound", forward.error(tangent), f"graph {graph.number}", graph
    )
    back = math.fsum(g * t for g, t in zip(cotangent, v, strict=True))  # whole numbers up to 8: exact products
    figures.measure(
        "law: forward and reverse dual: error / bound", known.error(back, 2), f"graph {graph.number}", graph
    )


def second_order(graph: Dag, figures: Figures, r: random.Random) -> None:
    """The Hessian is symmetric, and forward over reverse gives what reverse over reverse gives."""
    steps = graph.steps[:5]
    if graph.kind != "tame" or not all(operation in SMOOTH_ROWS for operation, _ in steps):
        return
    graph = graph._replace(steps=steps, output=len(graph.inputs) + len(steps) - 1)
    leaves = graph.leaves()
    graph(leaves).backward(create_graph=True)
    rows: list[list[Adjoint]] = []
    roundings = len(leaves)
    for x in leaves:
        found: dict[int, Adjoint] = {}
        order = recorded(x.grad) if isinstance(x.grad, Value) else []
        if order:
            place = {node: k for k, node in enumerate(order)}
            if not all(isfinite(node.data) and all(map(isfinite, node.local_gradients)) for node in order):
                return
            edges = {
                k: [(place[p], d) for p, d in zip(node.parents, node.local_gradients, strict=True)]
                for k, node in enumerate(order)
            }
            found = replay(edges, {len(order) - 1: 1.0})
            roundings += SLACK * sum(map(len, edges.values()))
        rows.append([found.get(place[z], NOTHING) if order and z in place else NOTHING for z in leaves])
    inputs = list(graph.inputs)
    hessian = sg.hessian(graph)(inputs)
    for i, row in enumerate(rows):
        for j, at in enumerate(row):
            where = f"graph {graph.number}, {i} and {j}"
            known = at._replace(roundings=roundings)
            figures.measure("law: reverse over reverse: error / bound", known.error(hessian[i][j]), where, graph)
            both = combined([at, rows[j][i]], [0.5, 0.5], roundings)  # their values differ by rounding alone
            both = both._replace(value=combined([rows[j][i]], [1.0], 0).value)
            error = 0.5 * both.error(hessian[i][j])  # twice the mean of both bounds
            figures.measure("law: symmetric Hessian: error / bound", error, where, graph)
    v = [float(r.randint(-4, 4)) for _ in inputs]
    for row, found_by_forward in zip(rows, sg.hvp(graph, (inputs,), (v,)), strict=True):
        known = combined(row, v, roundings + len(v))
        error = known.error(found_by_forward)
        figures.measure("law: forward over reverse: error / bound", error, f"graph {graph.number}", graph)


LAWS: tuple[Callable[[Dag, Figures, random.Random], None], ...] = (
    scaled_seed, permuted, split, dual, two_outputs, second_order,
)  # fmt: skip


def check_laws(graph: Dag, figures: Figures, every: bool = False) -> None:
    """One law, by the graph's number, or all of them."""
    for law in LAWS if every else (LAWS[graph.number % len(LAWS)],):
        shrinking(graph, figures, law)


# ---- of runs ---------------------------------------------------------------------------------------------------------


def digest(seed: int, count: int) -> str:
    """A fingerprint of every bit of data and gradients of so many graphs."""
    h = hashlib.sha256()
    for number in range(count):
        graph = dag(seed, number)
        nodes = graph.nodes(graph.leaves())
        nodes[graph.output].backward(graph.seed)
        for node in nodes:
            h.update(f"{node.data.hex()} {node.grad.hex()}\n".encode())
    return h.hexdigest()


def same_bits_in_other_processes(seed: int, count: int, figures: Figures) -> None:
    """Run to run, under different seeds of `hash`, and without assertions: the same bits."""
    here = digest(seed, count)
    root = Path(__file__).parent.parent.parent
    for flags, hash_seed in ((), "0"), ((), "1"), (("-O",), "123456"):
        command = [
            sys.executable,
            *flags,
            "-m",
            "tests.evidence",
            "--digest",
            "--dags",
            str(count),
            "--seed",
            str(seed),
        ]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env=environment).stdout
        figures.expect(found.strip() == here, "law: run to run, same bits", f"PYTHONHASHSEED={hash_seed} {flags}")


# ---- of rows ---------------------------------------------------------------------------------------------------------

ODD = (
    "sin",
    "tan",
    "asin",
    "atan",
    "sinh",
    "tanh",
    "asinh",
    "atanh",
    "erf",
    "cbrt",
    "neg",
    "identity",
    "sign",
    "round",
)
EVEN = ("cos", "cosh", "abs", "sigmoid_slope", "tanh_slope", "erf_slope", "asinh_slope", "atan_slope", "asin_slope")


def parity(count: int, figures: Figures, r: random.Random) -> None:
    """Odd and even functions are so to the bit, and so are their derivatives; sigmoid' and tanh' above all."""
    sigmoid, tanh = sg.grad(sg.sigmoid), sg.grad(sg.tanh)
    for _ in range(count):
        x = any_float(r) if r.random() < 0.3 else r.uniform(-40.0, 40.0) if r.random() < 0.8 else r.uniform(-1.0, 1.0)
        for name, derivative in (("sigmoid'", sigmoid), ("tanh'", tanh)):
            figures.expect(equal(derivative(x), derivative(-x)), "law: sigmoid' and tanh' even", f"{name} at {x!r}")
        for names, sign in ((ODD, -1.0), (EVEN, 1.0)):
            row = primitive.TABLE[r.choice(names)]
            y, z = row(x), row(-x)
            (dy,), (dz,) = row.local_gradients(y, [x]), row.local_gradients(z, [-x])
            right = equal(z, sign * y) and equal(dz, -sign * dy)
            figures.expect(right, "law: odd and even rows", f"{row.name} at {x!r}")


def _ulps(found: float, exact: Any) -> float:
    rounded = float(exact)
    if rounded == 0.0 or not isfinite(rounded):
        return 0.0 if found == rounded else math.inf
    return float(abs(mp.mpf(found) - exact) / mp.mpf(max(math.ulp(rounded), math.ulp(0.0))))


def losses_at_ties(count: int, figures: Figures, r: random.Random) -> None:
    """Fused losses are their definition where logits tie: in exact arithmetic, softmax is 1/n there, sigmoid(0) 1/2."""
    name = "law: fused losses at ties: ULP / bound"

    def see(found: list[float], exact: list[Any], what: str) -> None:
        for a, b in zip(found, exact, strict=True):
            figures.measure(name, _ulps(a, b) / 4.0, what)

    for _ in range(count):
        n = r.randint(2, 8)
        level = r.choice((0.0, r.uniform(-5.0, 5.0), r.uniform(-700.0, 700.0), 1e6 * r.random()))
        k = r.randrange(n)
        with mp.workprec(200):
            one = mp.mpf(1)
            zs = [Value(level) for _ in range(n)]
            loss = losses.cross_entropy([zs], [k])
            loss.backward()
            onehot = [one * (j == k) for j in range(n)]
            see([loss.data, *(z.grad for z in zs)], [mp.log(n), *(one / n - t for t in onehot)], f"{n} logits {level}")

            parts = [r.randint(0, 8) for _ in range(n)]
            whole = sum(parts)
            if whole:
                shares = [part / whole for part in parts]
                zs = [Value(level) for _ in range(n)]
                (value,) = losses.cross_entropy([zs], [shares], reduction="none")
                value.backward()
                exact = mp.fsum(map(mp.mpf, shares))  # 1, but for rounding
                slopes = [exact / n - mp.mpf(t) for t in shares]
                # p (sum of other targets) - t (sum of other p): both terms of the size of t and 1/n
                scale = [max(abs(s), one / n, t) for s, t in zip(slopes, shares, strict=True)]
                for z, slope, by in zip(zs, slopes, scale, strict=True):
                    error = abs(mp.mpf(z.grad) - slope) / mp.mpf(math.ulp(float(by)))
                    figures.measure(name, float(error) / 4.0, f"{shares} at {level}")

            t = r.choice((0.0, 0.5, 1.0, r.random()))
            z = Value(r.choice((0.0, -0.0)))
            loss = losses.binary_cross_entropy_with_logits([z], [t])
            loss.backward()
            see([loss.data, z.grad], [mp.log(2), one / 2 - mp.mpf(t)], f"binary, target {t}")

            p, size = Value(level), r.choice((-1.0, 1.0))
            losses.hinge([p], [size]).backward()
            see([p.grad], [-size * one * (1.0 - size * level > 0.0)], f"hinge at {level}")
            edge = Value(size)
            losses.hinge([edge], [size]).backward()
            see([edge.grad], [mp.mpf(0)], "hinge at its kink")
            delta = abs(level) + 0.5
            d = Value(size * delta)
            losses.huber([d], [0.0], delta=delta).backward()
            see([d.grad], [mp.mpf(size * delta)], "huber at its seam")
            a = Value(level)
            losses.mean_absolute_error([a], [level]).backward()
            see([a.grad], [mp.mpf(0)], "absolute error at its kink")
            m = [Value(level) for _ in range(n)]
            primitives.max(*m).backward()
            see([x.grad for x in m], [one / n] * n, f"max of {n} times {level}")
