"""Everything that can be done with `Value`s and an optimizer, in any order, against a model in Fractions.

Numbers are small and operations exact, so that floats and Fractions must agree to the last bit: data, gradients, what
is shared, what has no gradient yet.
"""

from __future__ import annotations

import copy
import json
import pickle
import threading
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import scalargrad as sg
from scalargrad import Value, detect_anomaly, group, no_grad
from scalargrad.engine import primitive, table
from scalargrad.engine.anomaly import AnomalyError
from scalargrad.optim import SGD
from scalargrad.schedules import Exponential, Step

# The machine looks at gradients and moves leaves in any order, which for a loop would be a mistake.
pytestmark = pytest.mark.filterwarnings("ignore:the gradient by which .data was moved")

ZERO, ONE, HALF = Fraction(0), Fraction(1), Fraction(1, 2)
DEEPEST = 6
LARGEST = 64


@dataclass(eq=False)
class Node:
    """The model of a `Value`."""

    data: Fraction
    kind: str  # leaf, constant, inner
    operation: str = ""
    parents: list[Node] = field(default_factory=list)
    grad: Fraction | None = None

    def depth(self) -> int:
        return 1 + max((p.depth() for p in self.parents), default=0)

    def local(self) -> list[Fraction]:
        return OPERATIONS[self.operation].local(self.data, *[p.data for p in self.parents])

    def stale(self) -> bool:
        return bool(self.parents) and OPERATIONS[self.operation].value(*[p.data for p in self.parents]) != self.data


@dataclass(frozen=True)
class Operation:
    arity: int
    on_values: Callable[..., Any]
    value: Callable[..., Fraction]
    local: Callable[..., list[Fraction]]


def _share(y: Fraction, *xs: Fraction) -> list[Fraction]:
    at = [x == y for x in xs]
    return [Fraction(each, sum(at)) if each else ZERO for each in at]


def _flag(x: bool) -> Fraction:
    return ONE if x else ZERO


OPERATIONS = {
    "add": Operation(2, lambda a, b: a + b, lambda a, b: a + b, lambda y, a, b: [ONE, ONE]),
    "sub": Operation(2, lambda a, b: a - b, lambda a, b: a - b, lambda y, a, b: [ONE, -ONE]),
    "mul": Operation(2, lambda a, b: a * b, lambda a, b: a * b, lambda y, a, b: [b, a]),
    "neg": Operation(1, lambda a: -a, lambda a: -a, lambda y, a: [-ONE]),
    "abs": Operation(1, abs, abs, lambda y, a: [_flag(a > 0) - _flag(a < 0)]),
    "relu": Operation(1, lambda a: a.relu(), lambda a: max(a, ZERO), lambda y, a: [_flag(a > 0)]),
    "square": Operation(1, lambda a: a**2, lambda a: a * a, lambda y, a: [2 * a]),
    "max": Operation(2, sg.max, max, _share),
    "min": Operation(2, sg.min, min, _share),
    "where": Operation(
        3, sg.where, lambda c, a, b: a if c else b, lambda y, c, a, b: [ZERO, _flag(c != 0), _flag(c == 0)]
    ),
    "sum": Operation(3, lambda *xs: sg.sum(xs), lambda *xs: sum(xs, ZERO), lambda y, *xs: [ONE] * 3),
    "mean": Operation(4, lambda *xs: sg.mean(xs), lambda *xs: sum(xs, ZERO) / 4, lambda y, *xs: [ONE / 4] * 4),
    "prod": Operation(3, lambda *xs: sg.prod(xs), lambda a, b, c: a * b * c, lambda y, a, b, c: [b * c, a * c, a * b]),
    "dot": Operation(
        4,
        lambda a, b, c, d: sg.dot([a, b], [c, d]),
        lambda a, b, c, d: a * c + b * d,
        lambda y, a, b, c, d: [c, d, a, b],
    ),
}
numbers = st.integers(-6, 6).map(lambda n: n / 2.0)
places = st.integers(0, 1000)


def order_of(root: Node) -> list[Node]:
    """Operands first."""
    found: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if id(node) not in found:
            for p in node.parents:
                visit(p)
            found[id(node)] = node

    visit(root)
    return list(found.values())


def adjoints(root: Node, seed: Fraction) -> list[tuple[Node, Fraction]]:
    order = order_of(root)
    adjoint = {id(node): ZERO for node in order}
    adjoint[id(root)] = seed
    for node in reversed(order):
        for p, d in zip(node.parents, node.local() if node.parents else [], strict=True):
            adjoint[id(p)] += adjoint[id(node)] * d
    return [(node, adjoint[id(node)]) for node in order]


class Machine(RuleBasedStateMachine):
    """Pairs of a `Value` and its model; rules pick them by any number."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[Value, Node]] = [(Value(1.0), Node(ONE, "leaf"))]
        self.optimizer: SGD | None = None
        self.moments: list[tuple[Node, Fraction | None]] = []
        self.steps = 0
        self.open = ExitStack()
        self.recording = True

    def pick(self, k: int) -> tuple[Value, Node]:
        return self.pairs[k % len(self.pairs)]

    def leaf(self, k: int) -> tuple[Value, Node]:
        leaves = [pair for pair in self.pairs if pair[1].kind == "leaf"]
        return leaves[k % len(leaves)]

    # ---- graphs ------------------------------------------------------------------------------------------------------

    @rule(x=numbers, label=st.sampled_from(["", "w"]))
    def new_leaf(self, x: float, label: str) -> None:
        self.pairs.append((Value(x, label), Node(Fraction(x), "leaf")))

    def _operate(self, name: str, chosen: list[tuple[Value, Node]], run: Callable[..., Any], recording: bool) -> None:
        operation = OPERATIONS[name]
        data = operation.value(*[m.data for _, m in chosen])
        if abs(data) > LARGEST or max(m.depth() for _, m in chosen) >= DEEPEST or data.denominator > 4096:
            return
        v = run(operation.on_values, *[v for v, _ in chosen])
        kept = Node(data, "inner", name, [m for _, m in chosen]) if recording else Node(data, "constant")
        self.pairs.append((v, kept))

    @rule(name=st.sampled_from(sorted(OPERATIONS)), at=st.lists(places, min_size=4, max_size=4))
    def operate(self, name: str, at: list[int]) -> None:
        chosen = [self.pick(k) for k in at[: OPERATIONS[name].arity]]
        self._operate(name, chosen, lambda f, *xs: f(*xs), self.recording)

    @rule(name=st.sampled_from(["add", "sub", "mul"]), k=places, x=numbers, first=st.booleans())
    def operate_with_a_number(self, name: str, k: int, x: float, first: bool) -> None:
        number = (Value(x).detach(), Node(Fraction(x), "constant"))
        pair = self.pick(k)
        chosen = [number, pair] if first else [pair, number]
        run = (lambda f, c, v: f(x, v)) if first else (lambda f, v, c: f(v, x))
        self._operate(name, chosen, run, self.recording)

    @rule(name=st.sampled_from(sorted(OPERATIONS)), at=st.lists(places, min_size=4, max_size=4))
    def operate_in_another_thread(self, name: str, at: list[int]) -> None:
        """Which begins without the modes of this one."""
        chosen = [self.pick(k) for k in at[: OPERATIONS[name].arity]]

        def run(f: Callable[..., Any], *xs: Value) -> Any:
            made: list[Any] = []
            thread = threading.Thread(target=lambda: made.append(f(*xs)))
            with no_grad():
                thread.start()
                thread.join()
            return made[0]

        self._operate(name, chosen, run, True)

    @rule(name=st.sampled_from(sorted(OPERATIONS)), at=st.lists(places, min_size=4, max_size=4))
    def operate_without_recording(self, name: str, at: list[int]) -> None:
        chosen = [self.pick(k) for k in at[: OPERATIONS[name].arity]]
        self._operate(name, chosen, no_grad()(lambda f, *xs: f(*xs)), False)

    @rule(k=places)
    def detach(self, k: int) -> None:
        v, m = self.pick(k)
        self.pairs.append((v.detach(), Node(m.data, "constant")))

    @rule(k=places, x=numbers)
    def change_data(self, k: int, x: float) -> None:
        v, m = self.leaf(k)
        v.data, m.data = x, Fraction(x)

    @precondition(lambda self: len(self.pairs) > 3)
    @rule(k=places)
    def drop(self, k: int) -> None:
        if sum(m.kind == "leaf" for _, m in self.pairs) > 1 or self.pick(k)[1].kind != "leaf":
            del self.pairs[k % len(self.pairs)]

    @rule(at=st.lists(places, min_size=1, max_size=3), way=st.sampled_from(["copy", "deepcopy", "pickle"]))
    def duplicate(self, at: list[int], way: str) -> None:
        """What is copied together shares what it shared, and nothing with its original."""
        chosen = [self.pick(k) for k in at]
        values = [v for v, _ in chosen]
        if way == "copy":
            chosen = chosen[:1]
            made = [copy.copy(values[0])]
        else:
            made = copy.deepcopy(values) if way == "deepcopy" else pickle.loads(pickle.dumps(values))
        models = copy.deepcopy([m for _, m in chosen])
        self.pairs += zip(made, models, strict=True)

    # ---- derivatives -------------------------------------------------------------------------------------------------

    @rule(k=places, seed=numbers, passes=st.integers(1, 2), create_graph=st.booleans(), elsewhere=st.booleans())
    def backward(self, k: int, seed: float, passes: int, create_graph: bool, elsewhere: bool) -> None:
        v, m = self.pick(k)
        if m.kind == "constant":
            with pytest.raises(ValueError, match="constant"):
                v.backward(seed, create_graph)
            return
        for _ in range(passes):
            if elsewhere:
                thread = threading.Thread(target=v.backward, args=(seed, create_graph))
                thread.start()
                thread.join()
            else:
                v.backward(seed, create_graph)
            self._store(m, Fraction(seed))

    def _store(self, m: Node, seed: Fraction) -> None:
        for node, g in adjoints(m, seed):
            if node.kind != "constant":
                node.grad = g + (node.grad or ZERO) if node.kind == "leaf" else g

    @rule(k=places, seed=numbers)
    def backward_with_an_eye_on_stale_graphs(self, k: int, seed: float) -> None:
        v, m = self.pick(k)
        if m.kind == "constant":
            return
        with detect_anomaly():
            if any(g != 0 and node.stale() for node, g in adjoints(m, Fraction(seed))):
                with pytest.raises(AnomalyError, match="stale"):
                    v.backward(seed)
            elif not any(node.stale() for node, _ in adjoints(m, Fraction(seed))):  # a computed zero tells it, too
                v.backward(seed)
                self._store(m, Fraction(seed))

    @rule(k=places)
    def zero_grad(self, k: int) -> None:
        v, m = self.pick(k)
        v.zero_grad()
        m.grad = None

    @rule(k=places)
    def derivative_as_a_function(self, k: int) -> None:
        """`grad` of the identity around a value: nothing is stored, nothing is disturbed."""
        v, m = self.pick(k)
        assert sg.grad(lambda x: x * v)(2.0) == m.data

    # ---- modes -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.recording)
    @rule()
    def stop_recording(self) -> None:
        self.open.enter_context(group("silent"))
        self.open.enter_context(no_grad())
        self.recording = False

    @precondition(lambda self: not self.recording)
    @rule()
    def record_again(self) -> None:
        self.open.close()
        self.recording = True

    def teardown(self) -> None:
        self.open.close()

    # ---- optimizer ---------------------------------------------------------------------------------------------------

    def _schedule(self) -> Any:
        return Step(0.5, every=2, factor=0.5) if self.half else Exponential(0.5, 0.5)

    def _rate(self) -> Fraction:
        return HALF * HALF ** (self.steps // 2 if self.half else self.steps)

    @rule(half=st.booleans(), momentum=st.booleans())
    def new_optimizer(self, half: bool, momentum: bool) -> None:
        leaves = [pair for pair in self.pairs if pair[1].kind == "leaf"]
        chosen = list({id(v): (v, m) for v, m in leaves}.values())[:3]
        self.half, self.momentum, self.steps = half, HALF if momentum else ZERO, 0
        self.optimized = chosen
        self.optimizer = SGD([v for v, _ in chosen], lr=self._schedule(), momentum=float(self.momentum))
        self.moments = [(m, None) for _, m in chosen]

    @precondition(lambda self: self.optimizer is not None and self.steps < 8)
    @rule()
    def step(self) -> None:
        assert self.optimizer is not None
        if all(m.grad is None for m, _ in self.moments):
            with pytest.raises(RuntimeError, match="no parameter has a gradient"):
                self.optimizer.step()
            return
        with warnings.catch_warnings():  # backward() adds, here on purpose
            warnings.filterwarnings("ignore", "SGD: the gradients of this step were added", UserWarning)
            self.optimizer.step()
        rate = self._rate()
        for n, ((v, m), (_, moment)) in enumerate(zip(self.optimized, self.moments, strict=True)):
            if m.grad is None:
                continue
            moved = m.grad if moment is None else self.momentum * moment + m.grad
            self.moments[n] = (m, moved)
            assert Fraction(v.data) == m.data - rate * moved
            m.data = Fraction(max(-8, min(8, round(4 * v.data) / 4)))  # so that all further numbers are short
            v.data = float(m.data)
        self.steps += 1

    @precondition(lambda self: self.optimizer is not None)
    @rule()
    def zero_all(self) -> None:
        assert self.optimizer is not None
        self.optimizer.zero_grad()
        for m, _ in self.moments:
            m.grad = None

    @precondition(lambda self: self.optimizer is not None)
    @rule()
    def save_and_load_the_optimizer(self) -> None:
        assert self.optimizer is not None
        state = json.loads(json.dumps(self.optimizer.state_dict()))
        self.optimizer = SGD([v for v, _ in self.optimized], lr=self._schedule())
        self.optimizer.load_state_dict(state)

    @invariant()
    def rate_is_that_of_the_step(self) -> None:
        if self.optimizer is not None:
            assert self.optimizer.steps == self.steps
            assert self.optimizer.lr == self._rate()

    # ---- all is as the model says ------------------------------------------------------------------------------------

    @invariant()
    def graphs_are_those_of_the_model(self) -> None:
        models: dict[int, Node] = {}
        waiting = list(self.pairs)
        while waiting:
            v, m = waiting.pop()
            if id(v) in models:
                assert models[id(v)] is m, "two nodes of the model are one Value"
                continue
            models[id(v)] = m
            assert Fraction(v.data) == m.data
            assert (v.is_leaf, v.is_constant) == (m.kind == "leaf", m.kind == "constant")
            if m.grad is None:
                assert not v.has_gradient
            else:
                assert v.has_gradient
                assert Fraction(getattr(v.grad, "data", v.grad)) == m.grad
            assert len(v.parents) == len(m.parents)
            waiting += zip(v.parents, m.parents, strict=True)
        assert len({id(m) for m in models.values()}) == len(models), "two Values are one node of the model"


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


def _assigning(order: Any, seeds: Any, stop: Any = (), check: Any = None) -> dict[Any, float]:
    """`float_adjoints` with `=` for `+=`."""
    adjoint = dict.fromkeys([*order, *stop], 0.0)
    for node, seed in seeds:
        adjoint[node] = seed
    for node in order:
        if adjoint[node] != 0.0 and node.parents:
            for p, d in zip(node.parents, node.local_gradients, strict=True):
                adjoint[p] = adjoint[node] * d
    return adjoint


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        ("scalargrad.engine.value", "float_adjoints", _assigning),
        (
            "scalargrad.engine.value",
            "_store",
            lambda adjoint: [setattr(node, "grad", g) for node, g in adjoint.items()],
        ),
        ("scalargrad.engine.value.Value", "zero_grad", lambda self: setattr(self, "grad", 0.0)),
        ("scalargrad.engine.value.Value", "detach", lambda self: self),
        ("scalargrad.engine.value.Value", "__deepcopy__", lambda self, memo: Value(self.data)),
        ("scalargrad.engine.modes.no_grad", "within", lambda self, outer: outer),
    ],
)
def test_the_machine_finds_what_is_broken(module: str, name: str, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{module}.{name}", wrong)
    found = settings(max_examples=200, stateful_step_count=30, deadline=None, database=None, derandomize=True)
    with pytest.raises((Exception, pytest.fail.Exception)):  # whatever the machine stumbles over first
        run_state_machine_as_test(
            Machine, settings=settings(found, phases=[p for p in found.phases if p.name == "generate"])
        )


def test_the_model_has_the_operations_of_the_table() -> None:
    for operation in OPERATIONS.values():
        at = [Fraction(3, 2), Fraction(-2), Fraction(1), Fraction(5, 2)][: operation.arity]
        leaves = [Value(float(x)) for x in at]
        y = operation.on_values(*leaves)
        assert Fraction(y.data) == operation.value(*at)
        assert [Fraction(d) for d in y.local_gradients] == operation.local(operation.value(*at), *at)
        assert y.operation in {*primitive.TABLE.values(), table.power(2.0)}
