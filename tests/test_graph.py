"""The backward pass: accumulation, random graphs against exact arithmetic, depth, memory, threads."""

from __future__ import annotations

import gc
import math
import os
import random
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import inf, isfinite, isnan, nan
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import scalargrad as sg
from scalargrad import Value, hvp, jacobian, jvp, vjp
from scalargrad.engine import primitive
from scalargrad.engine.chain_rule import topological_order
from scalargrad.functions import primitives

from .strategies import (
    AWKWARD,
    KINKED,
    SMOOTH,
    Exact,
    Program,
    all_finite,
    any_float,
    equal,
    exact_adjoints,
    gamma,
    programs,
    recorded,
)

small = st.integers(-8, 8).map(float)

# ---- one pass, two passes --------------------------------------------------------------------------------------------


def test_diamond_and_repeated_operands_add_up_over_all_paths() -> None:
    x = Value(3.0)
    (x * x).backward()
    assert x.grad == 6.0
    x = Value(3.0)
    (x + x).backward()
    assert x.grad == 2.0
    x = Value(2.0)
    a, b = x * 3.0, x + 1.0
    y = a * b
    y.backward()
    assert (y.data, x.grad, a.grad, b.grad, y.grad) == (18.0, 3.0 * 3.0 + 6.0, 3.0, 6.0, 1.0)
    x = Value(2.0)
    primitives.sum(x, x, x).backward()
    assert x.grad == 3.0
    x = Value(2.0)
    primitives.dot(x, x, x, x).backward()
    assert x.grad == 8.0


def test_a_ladder_of_diamonds_is_linear_in_its_nodes_not_in_its_paths() -> None:
    x = Value(1.0)
    y = x
    for _ in range(1000):
        y = y + y
        y = y * 0.5
    y.backward()
    assert x.grad == 1.0


def test_leaves_accumulate_over_passes_and_inner_nodes_are_set() -> None:
    x, w = Value(2.0), Value(5.0)
    h = x * w
    y = h * h
    y.backward()
    once = (x.grad, w.grad, h.grad, y.grad)
    assert once == (100.0, 40.0, 20.0, 1.0)
    y.backward()
    assert (x.grad, w.grad, h.grad, y.grad) == (200.0, 80.0, 20.0, 1.0)


def test_passes_from_several_roots_add_up_in_shared_leaves() -> None:
    x = Value(2.0)
    h = x * x
    y, z = h * 3.0, h + x
    y.backward()
    assert (x.grad, h.grad) == (12.0, 3.0)
    z.backward()
    assert (x.grad, h.grad) == (12.0 + 5.0, 1.0)  # the second pass has adjoints of its own


def test_backward_through_an_inner_node_leaves_what_lies_above_alone() -> None:
    x = Value(2.0)
    h = x * x
    y = h * 3.0
    y.backward()
    h.backward()
    assert (y.grad, h.grad, x.grad) == (1.0, 1.0, 16.0)


def test_a_root_that_is_a_leaf() -> None:
    x = Value(2.0)
    x.backward()
    assert x.grad == 1.0
    x.backward(seed=2.5)
    assert x.grad == 3.5


def test_the_seed_is_the_gradient_of_the_root_and_must_be_a_number() -> None:
    x = Value(3.0)
    y = x * x
    y.backward(seed=Fraction(1, 2))
    assert (y.grad, x.grad) == (0.5, 3.0)
    for wrong in ("1", None, 1j, [1.0], Value(1.0)):
        with pytest.raises(TypeError, match="seed"):
            y.backward(seed=wrong)
    assert x.grad == 3.0


def test_constants_and_detached_values_receive_no_gradient() -> None:
    x = Value(3.0)
    y = x * 2.0 + x.detach()
    constants = [node for node in recorded(y) if node.is_constant]
    assert len(constants) == 2
    y.backward()
    assert x.grad == 2.0
    assert all(not node.has_gradient for node in constants)


def test_nodes_that_the_root_does_not_depend_on_are_not_touched() -> None:
    x, unused = Value(3.0), Value(1.0)
    dead = x * unused
    y = x * x
    y.backward()
    assert not unused.has_gradient
    assert not dead.has_gradient


def test_a_leaf_with_gradient_zero_has_been_reached() -> None:
    x = Value(-3.0)
    x.relu().backward()
    assert x.grad == 0.0
    assert x.has_gradient


def test_an_error_in_a_rule_leaves_every_gradient_as_it_was() -> None:
    @sg.primitive(lambda y, a: 1 // 0)
    def broken(a: float) -> float:
        return a

    x, w = Value(2.0), Value(3.0)
    (x * w).backward()
    h = x * w
    y = broken(h) + w * h
    nodes = recorded(y)
    before = [node.grad for node in nodes]
    for create_graph in (False, True):
        with pytest.raises(ZeroDivisionError):
            y.backward(create_graph=create_graph)
        assert [node.grad for node in nodes] == before
        assert all(node.grad is g for node, g in zip(nodes, before, strict=True))


# ---- a zero adjoint propagates nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda x: 0.0 * sg.sqrt(x), 0.0),  # local inf
        (lambda x: 0.0 * sg.log(x), -1.0),  # local nan
        (lambda x: 0.0 * x ** Value(0.5), -1.0),
        (lambda x: 0.0 * sg.max(x, nan), 1.0),
        (lambda x: sg.where(1.0, 2.0, sg.sqrt(x)), 0.0),
        (lambda x: sg.where(0.0, sg.log(x), 2.0), -1.0),
        (lambda x: sg.relu(-1.0 - sg.sqrt(x)), 0.0),
        (lambda x: sg.sign(x) * 3.0 + sg.floor(x) * inf, 0.5),
        (lambda x: (lambda h: h - h)(sg.sqrt(x)), 0.0),  # the contributions cancel
    ],
)
def test_a_zero_upstream_gradient_contributes_zero_whatever_the_local_one_is(
    f: Any, at: float, create_graph: bool
) -> None:
    x = Value(at)
    f(x).backward(create_graph=create_graph)
    grad = x.grad.data if isinstance(x.grad, Value) else x.grad
    assert grad == 0.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_zero_leaf_as_upstream_gradient_contributes_zero(create_graph: bool) -> None:
    for inner, at in ((sg.sqrt, 0.0), (sg.log, -1.0), (lambda x: sg.max(x, nan), 1.0)):
        w, x = Value(0.0), Value(at)
        (w * inner(x)).backward(create_graph=create_graph)
        assert float(getattr(x.grad, "data", x.grad)) == 0.0


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: sg.sqrt(sg.where(0.0, x, 0.0)),
        lambda x: 1.0 / sg.where(1.0, 0.0, x),
        lambda x: sg.log(sg.relu(x)),
        lambda x: sg.sqrt(sg.max(x, 0.0)),
        lambda x: sg.sqrt(-sg.min(-x, 0.0)),
        lambda x: sg.sqrt(sg.clamp(x, 0.0, 1.0)),
    ],
)
def test_an_arm_that_was_not_chosen_gets_nothing_from_an_infinite_upstream_gradient(f: Any, create_graph: bool) -> None:
    x = Value(-1.0)
    f(x).backward(create_graph=create_graph)
    assert float(getattr(x.grad, "data", x.grad)) == 0.0


@pytest.mark.parametrize(
    ("name", "at"), [("mod", (0.0, 1.0)), ("mul", (0.0, 1.0)), ("abs", (0.0,)), ("pow", (1.0, 0.0))]
)
def test_an_infinite_seed_gives_the_same_in_both_kinds_of_pass(name: str, at: tuple[float, ...]) -> None:
    one, other = [Value(x) for x in at], [Value(x) for x in at]
    primitive.TABLE[name](*one).backward(inf)
    primitive.TABLE[name](*other).backward(inf, create_graph=True)
    assert all(equal(a.grad, b.grad.data) for a, b in zip(one, other, strict=True))


def test_a_nan_upstream_gradient_propagates() -> None:
    x = Value(2.0)
    (x * 3.0).backward(seed=nan)
    assert isnan(x.grad)
    x = Value(2.0)
    (x * 3.0).backward(seed=inf)
    assert x.grad == inf


# ---- random graphs ---------------------------------------------------------------------------------------------------


@given(programs(SMOOTH, KINKED), st.sampled_from([1.0, -0.75, 0.1]))
def test_gradients_equal_exact_arithmetic_within_the_rounding_of_the_chain_rule(program: Program, seed: float) -> None:
    leaves = program.leaves()
    nodes = program.nodes(leaves)
    root = nodes[program.output]
    assume(isinstance(root, Value))
    assume(all_finite(root))
    exact = exact_adjoints(root, seed)
    root.backward(seed)
    for node, expected in exact.items():
        if not node.is_constant:
            assert abs(Fraction(node.grad) - expected.value) <= expected.bound
    for node in nodes:  # dead ones
        if isinstance(node, Value) and node not in exact:
            assert not node.has_gradient


@given(programs(SMOOTH, KINKED))
def test_a_second_pass_doubles_the_leaves_and_nothing_else(program: Program) -> None:
    root = program(program.leaves())
    assume(isinstance(root, Value))
    root.backward()
    first = {node: node.grad for node in recorded(root)}
    root.backward()
    for node, grad in first.items():
        assert equal(node.grad, 2.0 * grad if node.is_leaf else grad)


@given(programs(SMOOTH, KINKED, AWKWARD, numbers=any_float))
def test_gradients_as_a_graph_have_the_same_bits_up_to_the_sign_of_zero(program: Program) -> None:
    one, other = program.leaves(), program.leaves()
    y, z = program(one), program(other)
    assume(isinstance(y, Value))
    y.backward()
    z.backward(create_graph=True)
    for a, b in zip(recorded(y), recorded(z), strict=True):
        if not a.is_constant:
            assert type(a.grad) is float
            assert isinstance(b.grad, Value)
            assert equal(a.grad, b.grad.data), (a, b)


@given(programs(SMOOTH, KINKED, AWKWARD, numbers=any_float), st.data())
def test_tangents_as_a_graph_have_the_same_bits_up_to_the_sign_of_zero(program: Program, data: st.DataObject) -> None:
    n = len(program.inputs)
    v = data.draw(st.lists(any_float, min_size=n, max_size=n))
    y, dy = jvp(program, (list(program.inputs),), (v,))
    z, dz = jvp(program, (program.leaves(),), (v,))
    assert equal(y, getattr(z, "data", z))
    assert equal(dy, getattr(dz, "data", dz))


@pytest.mark.parametrize("name", sorted(primitive.TABLE))
@settings(max_examples=30)
@given(st.data())
def test_every_row_has_the_same_bits_in_both_kinds_of_pass(name: str, data: st.DataObject) -> None:
    operation = primitive.TABLE[name]
    count = data.draw(st.integers(1, 4)) * 2 if operation.arity is None else operation.arity
    at = data.draw(st.lists(any_float, min_size=count, max_size=count))
    seed = data.draw(any_float)
    one, other = [Value(x) for x in at], [Value(x) for x in at]
    operation(*one).backward(seed)
    operation(*other).backward(seed, create_graph=True)
    for a, b in zip(one, other, strict=True):
        assert equal(a.grad, b.grad.data), (at, seed)


@given(programs(SMOOTH, KINKED, AWKWARD, numbers=any_float))
def test_data_of_a_graph_are_the_bits_that_floats_give(program: Program) -> None:
    y = program(program.leaves())
    assert equal(program(program.inputs), getattr(y, "data", y))


@given(programs(SMOOTH, KINKED, AWKWARD), st.randoms(use_true_random=False))
def test_gradients_do_not_depend_on_the_order_in_which_independent_nodes_were_made(
    program: Program, chance: random.Random
) -> None:
    one, other = program.leaves(), program.leaves()
    y = program(one)
    assume(isinstance(y, Value))
    n = len(program.inputs)
    made: dict[int, Any] = dict(enumerate(other))
    waiting = list(range(len(program.steps)))
    while waiting:
        ready = [k for k in waiting if all(o in made for o in program.steps[k].operands if isinstance(o, int))]
        k = chance.choice(ready)
        step = program.steps[k]
        made[n + k] = step.apply(made)
        waiting.remove(k)
    y.backward()
    made[program.output].backward()
    assert [x.grad.hex() for x in one] == [x.grad.hex() for x in other]


@given(programs(SMOOTH, KINKED), st.integers(-20, 20))
def test_a_pass_is_linear_in_its_seed(program: Program, k: int) -> None:
    """Scaling by a power of two is exact, so the bits must follow, but for what leaves the range of normal numbers."""
    one, other = program.leaves(), program.leaves()
    y, z = program(one), program(other)
    assume(isinstance(y, Value))
    assume(all_finite(y))
    y.backward(seed=1.0)
    z.backward(seed=2.0**k)
    exact = exact_adjoints(y)
    assume(all(node.grad == 0.0 or abs(node.grad) > 1e-290 for node in exact))
    for a, b in zip(one, other, strict=True):
        slack = 2 * exact[a].underflow * Fraction(2) ** max(k, 0) if a in exact else 0
        assert abs(Fraction(a.grad) * Fraction(2) ** k - Fraction(b.grad)) <= slack


@given(programs(SMOOTH, KINKED), st.data())
def test_forward_and_reverse_mode_are_dual(program: Program, data: st.DataObject) -> None:
    """u (J v) = (u J) v: both are sums over the same paths of the same recorded numbers."""
    n = len(program.inputs)
    v = data.draw(st.lists(small, min_size=n, max_size=n))
    y = program(program.leaves())
    assume(isinstance(y, Value))
    assume(all_finite(y))
    leaves = program.leaves()
    exact = exact_adjoints(program(leaves))
    _, tangent = jvp(program, (list(program.inputs),), (v,))
    _, pull_back = vjp(program, list(program.inputs))
    (cotangent,) = pull_back(1.0)
    reverse = sum(Fraction(g) * Fraction(t) for g, t in zip(cotangent, v, strict=True))
    bound = Fraction(0)
    for x, t in zip(leaves, v, strict=True):
        if x in exact:
            steps = 2 * sum(len(node.parents) for node in exact) + n  # forward sums may round more often
            bound += abs(Fraction(t)) * (exact[x].bound + gamma(steps) * exact[x].paths + 2 * exact[x].underflow)
    assert abs(reverse - Fraction(tangent)) <= bound


@given(programs(SMOOTH), st.data())
def test_splitting_a_graph_obeys_the_chain_rule(program: Program, data: st.DataObject) -> None:
    """The gradient of an upper half by the seam, pulled back through the lower half, is the gradient of the whole."""
    cut = data.draw(st.integers(0, len(program.steps)))
    leaves = program.leaves()
    whole = program(leaves)
    assume(isinstance(whole, Value))
    assume(all_finite(whole))
    exact = exact_adjoints(whole)
    upper = program.split(cut)
    seam = upper.leaves()
    upper_root = upper(seam)
    assume(isinstance(upper_root, Value))
    upper_root.backward()
    _, pull_back = vjp(lambda xs: program.nodes(xs)[: len(seam)], list(program.inputs))
    (pulled,) = pull_back([node.grad for node in seam])
    steps = 4 * sum(len(node.parents) for node in exact) + len(seam)
    for x, g in zip(leaves, pulled, strict=True):
        expected = exact.get(x, Exact())
        assert abs(Fraction(g) - expected.value) <= gamma(steps) * expected.paths + 4 * expected.underflow


def _second_derivatives(program: Program) -> tuple[list[list[Exact]], int]:
    """The exact derivatives, by every input, of the gradient's graph, and how many roundings its numbers went through:
    no local gradient is off by more than 16 ULP."""
    leaves = program.leaves()
    y = program(leaves)
    assume(isinstance(y, Value))
    y.backward(create_graph=True)
    rows, steps = [], 0
    for x in leaves:
        assume(not isinstance(x.grad, Value) or all_finite(x.grad))
        found = exact_adjoints(x.grad) if isinstance(x.grad, Value) else {}
        rows.append([found.get(z, Exact()) for z in leaves])
        steps += 16 * sum(1 + len(node.parents) for node in found)
    return rows, steps


@given(programs(SMOOTH, max_steps=6))
def test_a_hessian_is_symmetric_within_rounding(program: Program) -> None:
    rows, steps = _second_derivatives(program)
    found = sg.hessian(program)(list(program.inputs))
    for i, row in enumerate(rows):
        for j, at in enumerate(row):
            mirrored = rows[j][i]
            slack = gamma(steps) * (at.paths + mirrored.paths) + steps * (at.underflow + mirrored.underflow)
            assert abs(Fraction(found[i][j]) - at.value) <= slack
            assert abs(Fraction(found[i][j]) - Fraction(found[j][i])) <= slack


@given(programs(SMOOTH, max_steps=6), st.data())
def test_forward_over_reverse_equals_reverse_over_reverse(program: Program, data: st.DataObject) -> None:
    n = len(program.inputs)
    v = data.draw(st.lists(small, min_size=n, max_size=n))
    rows, steps = _second_derivatives(program)
    product = hvp(program, (list(program.inputs),), (v,))
    for row, found in zip(rows, product, strict=True):
        expected = sum((at.value * Fraction(t) for at, t in zip(row, v, strict=True)), Fraction(0))
        slack = sum(
            (gamma(steps + n) * at.paths + steps * at.underflow) * abs(Fraction(t))
            for at, t in zip(row, v, strict=True)
        )
        assert abs(Fraction(found) - expected) <= slack


@given(programs(SMOOTH, KINKED, max_inputs=2, max_steps=5))
def test_a_jacobian_is_the_same_in_forward_and_reverse_mode(program: Program) -> None:
    """Many outputs choose forward mode, few reverse: the rows must agree within rounding."""
    inputs = list(program.inputs)
    total = len(inputs) + len(program.steps)
    forward = jacobian(lambda xs: program.nodes(xs))(inputs)  # more outputs than inputs
    for k in range(total):
        leaves = program.leaves()
        node = program.nodes(leaves)[k]
        if not isinstance(node, Value):
            assert forward[k] == [0.0] * len(inputs)
            continue
        assume(all_finite(node))
        exact = exact_adjoints(node)
        steps = 2 * sum(len(each.parents) for each in exact) + 1
        for x, g in zip(leaves, forward[k], strict=True):
            at = exact.get(x, Exact())
            assert abs(Fraction(g) - at.value) <= gamma(steps) * at.paths + 4 * at.underflow


# ---- derivatives of derivatives, on Values ---------------------------------------------------------------------------


def test_create_graph_gives_derivatives_to_the_third_order() -> None:
    x = Value(2.0)
    y = x**5
    y.backward(create_graph=True)
    orders = []
    for _ in range(3):
        d = x.grad
        orders.append(d.data)
        x.zero_grad()
        d.backward(create_graph=True)
    orders.append(x.grad.data)
    assert orders == [80.0, 160.0, 240.0, 240.0]


def test_create_graph_accumulates_in_leaves_as_a_graph() -> None:
    x = Value(3.0)
    y = x * x * x
    y.backward(create_graph=True)
    y.backward(create_graph=True)
    twice = x.grad
    assert twice.data == 54.0
    x.zero_grad()
    twice.backward()
    assert x.grad == 36.0


def test_a_value_as_seed_takes_part_in_the_graph() -> None:
    x, w = Value(3.0), Value(5.0)
    y = x * x
    y.backward(seed=w, create_graph=True)
    dx = x.grad
    assert dx.data == 30.0
    x.zero_grad()
    w.zero_grad()
    dx.backward()
    assert (x.grad, w.grad) == (10.0, 6.0)


def test_a_pass_of_floats_after_one_of_values_adds_up() -> None:
    x = Value(3.0)
    y = x * x
    y.backward()
    y.backward(create_graph=True)
    assert isinstance(x.grad, Value)
    assert x.grad.data == 12.0
    y.backward()
    assert x.grad.data == 18.0


# ---- order -----------------------------------------------------------------------------------------------------------


def test_topological_order_has_each_node_once_and_before_its_operands() -> None:
    x = Value(1.0)
    a, b = x * x, x + 1.0
    y = primitives.sum(a, b, a, x)
    order = topological_order((y,))
    at = {node: k for k, node in enumerate(order)}
    assert len(order) == len(at) == len(recorded(y))
    assert all(at[node] < at[p] for node in order for p in node.parents)
    assert order[0] is y


def test_topological_order_is_that_of_the_operands_however_many_there_are() -> None:
    for f in (lambda a, b: a + b, lambda a, b: primitives.sum(a, b, a * 1.0), lambda a, b: sg.where(a, b, 0.0)):
        for first, second in ("pq", "qp"):
            leaves = {name: Value(1.0, label=name) for name in "pq"}
            order = topological_order((f(leaves[first], leaves[second]),))
            assert [node.label for node in order if node.is_leaf] == [second, first]


@given(programs(SMOOTH, KINKED))
def test_topological_order_of_random_graphs(program: Program) -> None:
    nodes = [node for node in program.nodes(program.leaves()) if isinstance(node, Value)]
    order = topological_order(nodes)
    at = {node: k for k, node in enumerate(order)}
    assert len(order) == len(at)
    assert set(order) == {each for node in nodes for each in recorded(node)}
    assert all(at[node] < at[p] for node in order for p in node.parents)


SUMMATION = """
import sys
sys.path[:0] = [{root!r}]
from scalargrad import Value, sum, sin
junk = [object() for _ in range({junk})]  # other addresses
xs = [Value(0.1 * k + 0.7) for k in range(40)]
hs = [sin(x * xs[k - 1]) for k, x in enumerate(xs)]
y = sum([h * g for h in hs for g in hs[::3]]) + sum(hs) * 1e-9
y.backward()
print(y.data.hex(), *[x.grad.hex() for x in xs])
"""


def test_bits_do_not_depend_on_hash_seed_or_addresses() -> None:
    root = os.path.dirname(os.path.dirname(os.path.abspath(sg.__file__)))
    outputs = set()
    for seed in ("0", "1", "4242"):
        script = SUMMATION.format(root=root, junk=int(seed) * 3)
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 41


# ---- depth, memory, freeing ------------------------------------------------------------------------------------------


def _chain(n: int) -> tuple[Value, Value]:
    x = Value(1.0)
    y = x
    for _ in range(n):
        y = -y
    return x, y


def _values() -> int:
    return sum(type(each) is Value for each in gc.get_objects())


@contextmanager
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_chain_of_a_million_nodes() -> None:
    with _collector_off():
        before = _values()
        x, y = _chain(1_000_000)
        assert y.data == 1.0
        assert repr(y) == "Value(data=1.0, grad=0.0)"
        y.backward()
        assert x.grad == 1.0
        assert _values() == before + 1_000_001
        del y
        assert _values() == before + 1
        assert gc.collect() == 0


def test_a_deep_chain_of_n_ary_nodes_is_walked_and_freed() -> None:
    with _collector_off():
        before = _values()
        x = Value(1.0)
        y = x
        for _ in range(100_000):
            y = primitives.mean(y, y, y)
        y.backward()
        assert abs(x.grad - 1.0) < 1e-9
        del y
        assert _values() == before + 1


def test_gradients_as_graphs_work_at_depth() -> None:
    x, y = _chain(50_000)
    y.backward(create_graph=True)
    assert x.grad.data == 1.0
    _, tangent = jvp(lambda a: _deep(a, 50_000), (0.5,), (2.0,))
    assert tangent == 2.0
    del y
    gc.collect()


def _deep(a: Any, n: int) -> Any:
    for _ in range(n):
        a = a + 0.0
    return a


def test_nothing_is_left_and_nothing_is_for_the_collector_to_find() -> None:
    def use() -> None:
        x, w = Value(0.5, label="x"), Value(-1.0)
        h = sg.tanh(w * x + 1.0) ** 3 + sg.logsumexp([x, w, x])
        y = sg.where(h > 0, sg.max(h, x), w) / 3 - abs(w)
        y.backward()
        y.backward()
        assert isfinite(x.grad)
        assert repr(y)
        assert y.local_gradients
        sg.grad(lambda a: sg.sin(a) * a)(1.0)
        sg.grad(sg.grad(sg.grad(sg.sin)))(1.0)
        sg.hessian(lambda p: p[0] * p[1] ** 2)([1.0, 2.0])
        jacobian(lambda p: [p[0] * p[1], p[0], p[1]])([1.0, 2.0])
        _, pull_back = vjp(lambda a: a * a, 2.0)
        assert pull_back(1.0) == (4.0,)
        hvp(sg.exp, (1.0,), (1.0,))

    use()  # caches are filled
    with _collector_off():
        before = _values()
        use()
        assert _values() == before
        assert gc.collect() == 0


def test_a_graph_of_gradients_is_freed_when_the_leaf_forgets_it() -> None:
    with _collector_off():
        before = _values()
        x = Value(2.0)
        y = x**3
        y.backward(create_graph=True)
        for node in recorded(y):
            node.zero_grad()
        del y, node
        assert _values() == before + 1


def test_the_cycle_of_create_graph_is_the_collectors_to_free() -> None:
    with _collector_off():
        before = _values()
        x = Value(2.0)
        (x**3).backward(create_graph=True)
        del x
        gc.collect()
        assert _values() == before


def test_memory_per_node() -> None:
    n = 20_000
    x = Value(1.5)
    y: Value = x
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(n // 2):
            y = y * x
            y = y.tanh()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / n < 250


# ---- threads ---------------------------------------------------------------------------------------------------------


@contextmanager
def _restless_threads() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def _run_together(jobs: list[Any]) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(jobs))

    def run(job: Any) -> None:
        barrier.wait()
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    with _restless_threads():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def test_threads_with_graphs_of_their_own_do_not_interfere() -> None:
    found: dict[int, list[float]] = {}

    def job(k: int) -> None:
        results = []
        for _ in range(60):
            x = Value(float(k))
            y = x
            for _ in range(20):
                y = y * 0.5 + x
            y.backward()
            results.append(x.grad)
        found[k] = results

    _run_together([lambda k=k: job(k) for k in range(6)])
    for results in found.values():
        assert results == [found[0][0]] * 60
    assert abs(found[0][0] - 2.0) < 1e-5


def test_threads_that_share_leaves_and_inner_nodes_add_up() -> None:
    x = Value(3.0)
    shared = x * x
    roots = [shared * float(k) for k in range(1, 7)]
    passes = 100

    def job(root: Value) -> None:
        for _ in range(passes):
            root.backward()

    _run_together([lambda root=root: job(root) for root in roots])
    assert x.grad == 6.0 * sum(range(1, 7)) * passes
    assert shared.grad in {float(k) for k in range(1, 7)}
    assert [root.grad for root in roots] == [1.0] * 6


def test_gradients_of_functions_in_threads() -> None:
    found: list[float] = []

    def job() -> None:
        for _ in range(30):
            found.append(sg.grad(lambda x: x * sg.grad(lambda y: x * sg.sin(y))(x))(0.5))

    _run_together([job] * 4)
    expected = 2 * 0.5 * math.cos(0.5) - 0.25 * math.sin(0.5)  # of x * x cos x
    assert len(found) == 120
    assert all(abs(each - expected) < 1e-15 for each in found)
