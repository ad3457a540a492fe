"""Compiled functions inside others, and on `Value`s: one operation, the same bits eagerly and compiled."""

# ruff: noqa: A004  # `compile` and `sum` are this package's, not the builtins
from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import Value
from scalargrad.compiler import CompiledFunction, compile
from scalargrad.compiler.backends.native import available
from scalargrad.compiler.frontend.calls import FunctionCall
from scalargrad.compiler.ir.in_place import in_place, size
from scalargrad.transforms.trees import flatten

POINTS = [(0.4, 0.9), (1.3, -0.6), (-0.7, 0.2)]
BACKENDS: list[Any] = ["python", *(["native"] if available() else [])]


def rounds(x: Any, y: Any, count: int = 12) -> tuple[Any, Any]:
    for _ in range(count):
        x, y = sg.sin(x * y) + y, sg.cos(x) - 0.5 * y * x
    return x, y


def bits(tree: Any) -> list[str]:
    return [float(x.data if isinstance(x, Value) else x).hex() for x in flatten(tree)[0]]


def blocks(f: CompiledFunction) -> list[Any]:
    """The calls of a function's programs."""
    return [
        row
        for known in f.specializations.values()
        for each in known
        for row in each.program.operations
        if isinstance(row, FunctionCall)
    ]


def second(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a: sg.grad(lambda *b: sg.sum([d * d for d in sg.grad(f, (0, 1))(*b)]), (0, 1))(*a)


# ---- one program, however often --------------------------------------------------------------------------------------


def test_many_calls_are_one_program() -> None:
    runs = []

    @compile
    def stage(x: Any, y: Any) -> Any:
        runs.append(1)
        return rounds(x, y)

    def f(x: Any, y: Any) -> Any:
        for _ in range(40):
            x, y = stage(x, y)
        return x * y

    compiled = compile(sg.value_and_grad(f, (0, 1)))
    found = compiled(0.4, 0.9)
    assert len(runs) == 1  # the function's Python
    calls = blocks(compiled)
    assert len(calls) == 40
    assert len({id(each.bodies[0]) for each in calls}) == 1
    assert bits(found) == bits(sg.value_and_grad(f, (0, 1))(0.4, 0.9))
    assert len(runs) == 1
    ((known,),) = compiled.specializations.values()
    assert len(known.program) < 40 * 30
    value = compile(f)
    value(0.4, 0.9)
    assert value.to_c("f")[1].count("sin(") < 2 * 12  # of one body


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("written", [True, False], ids=["in place", "called"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_same_bits(backend: Any, written: bool, order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FunctionCall, "in_place", written)
    stage = compile(rounds)
    tree = compile(lambda p, *, q: {"u": rounds(p["a"], p["b"][0])[0] * q, "v": [rounds(q, p["a"])[1], 2.0]})

    @compile(static_argnames="n")
    def powers(x: Any, n: int, mode: str = "s") -> Any:
        for _ in range(10 * n):
            x = sg.sin(x) * 1.1 + (0.1 * x * x if mode == "s" else 0.3 * x)
        return x

    @compile
    def nested(x: Any, y: Any) -> Any:
        for _ in range(3):
            x, y = stage(x, y)
            x = x + powers(y, 2)
        return x * y

    @compile
    def looping(x: Any, y: Any) -> Any:
        c, ys = sg.scan(lambda c, t: (sg.sin(c) * t + x * c, c * y), x, [0.1, 0.2, y])
        root = sg.root(lambda z, a: z * z * z + z - a, 1.0, rounds(c, x)[0])
        return sg.sum(ys) + root

    by_gradient = compile(sg.grad(lambda x, y: stage(x, y)[0] * y, (0, 1)))

    def f(x: Any, y: Any) -> Any:
        a, b = stage(x, y)
        c, d = stage(x, x)
        t = tree({"a": a, "b": (y, x)}, q=y)
        scanned, _ = sg.scan(lambda s, u: (stage(s * u, x)[0], None), y, [0.5, x, 1.5])
        turn = sg.cond(a > b, lambda a, b: stage(a, b)[0], lambda a, b: stage(b, a)[1] * a, x, y)
        inner = sg.grad(lambda u: stage(u, y)[1] * u)(x) + by_gradient(x, y)[1]
        parts = [a * c, b + d * x, t["u"], t["v"][0] * t["v"][1], scanned, turn, inner, nested(x, y), looping(x, y)]
        return sg.sum([*parts, powers(x, 2), powers(y, 3), powers(y, n=2, mode="t"), stage(x, 2.0)[0]])

    g = (f, sg.value_and_grad(f, (0, 1)), second(f))[order]
    compiled = compile(g, backend=backend)
    for point in POINTS:
        assert bits(compiled(*point)) == bits(g(*point))


def test_the_derivative_is_right() -> None:
    f = compile(rounds)
    ours = sg.hessian(lambda x, y: f(x, y)[0] * f(y, x)[1], (0, 1))(0.4, 0.9)
    plain = sg.hessian(lambda x, y: rounds(x, y)[0] * rounds(y, x)[1], (0, 1))(0.4, 0.9)
    assert flatten(ours)[0] == pytest.approx(flatten(plain)[0], rel=1e-9)


def test_backward_and_forward_mode_through_a_call() -> None:
    f = compile(rounds)
    x, y = Value(0.4), Value(0.9)
    a, b = f(x, y)
    assert a.parents[0].operation.name == "rounds"
    (a * b).backward()
    plain = sg.grad(lambda x, y: rounds(x, y)[0] * rounds(x, y)[1], (0, 1))(0.4, 0.9)
    assert (x.grad, y.grad) == pytest.approx(plain, rel=1e-12)
    ahead = sg.jvp(lambda x, y: f(x, y)[0], (0.4, 0.9), (1.0, 0.5))
    assert ahead[1] == pytest.approx(sg.jvp(lambda x, y: rounds(x, y)[0], (0.4, 0.9), (1.0, 0.5))[1], rel=1e-12)


# ---- functions that run themselves -----------------------------------------------------------------------------------

WEIGHT = Value(0.7, label="weight")


def _branches(x: Any) -> Any:
    return rounds(x, 0.5)[0] if x > 0.3 else rounds(x, x)[1]


def _captures(x: Any) -> Any:
    return rounds(x, WEIGHT)[0]


def _asks_captured(x: Any) -> Any:
    return rounds(x, 1.0)[0] if WEIGHT > 0.5 else x


def _compares(x: Any) -> Any:
    return rounds(x, 0.5)[0] > 0.2


def _returns_its_argument(x: Any) -> Any:
    return rounds(x, 0.5)[0], x


def _leaks(x: Any) -> Any:
    return rounds(x, 0.5)[0] * x.data


def _swallows(x: Any) -> Any:
    try:
        return rounds(x, 0.5)[0] if x > 0.3 else rounds(x, x)[1]
    except TypeError:
        return x


@pytest.mark.parametrize(
    "f", [_branches, _captures, _asks_captured, _compares, _returns_its_argument, _leaks, _swallows, lambda x: 2.0 * x]
)
def test_what_runs_itself(f: Callable[[Any], Any]) -> None:
    compiled = compile(f)
    for x in (0.4, -0.4):
        ours, plain = compiled(Value(x)), f(Value(x))
        assert type(ours) is type(plain)
        assert bits(ours) == bits(plain)
        assert all(not isinstance(p.operation, FunctionCall) for v in flatten(ours)[0] if isinstance(v, Value)
                   for p in v.parents)  # fmt: skip


def test_a_branch_of_the_inner_function_is_the_outer_ones() -> None:
    inner = compile(_branches)
    outer = compile(sg.value_and_grad(lambda x: inner(x) * inner(x * 0.5)))
    for x in (0.4, -0.4, 0.9):
        assert bits(outer(x)) == bits(sg.value_and_grad(lambda x: inner(x) * inner(x * 0.5))(x))
    assert len(outer.info.traces) == 3
    assert outer.info.traces[0].guards


def test_what_it_reads_from_outside_gets_its_gradient() -> None:
    inner = compile(_captures)
    x = Value(0.4)
    WEIGHT.zero_grad()
    (inner(x) * inner(x)).backward()
    ours = WEIGHT.grad
    WEIGHT.zero_grad()
    (_captures(x) * _captures(x)).backward()
    assert ours == WEIGHT.grad != 0.0
    WEIGHT.zero_grad()


def test_values_of_an_outer_trace_may_be_closed_over() -> None:
    def f(x: Any, y: Any) -> Any:
        inner = compile(lambda u: rounds(u, x)[0])
        return inner(y) + inner(x) * inner(2.0)

    compiled = compile(sg.value_and_grad(f, (0, 1)))
    assert bits(compiled(0.4, 0.9)) == bits(sg.value_and_grad(f, (0, 1))(0.4, 0.9))


def test_recursion() -> None:
    @compile
    def halves(x: Any) -> Any:
        x = rounds(x, 0.5)[0]
        return x if x < 0.8 else halves(0.5 * x)

    @compile(static_argnames="n")
    def counted(x: Any, n: int) -> Any:
        x = rounds(x, 0.5)[0]
        return x if n == 0 else counted(0.7 * x, n - 1) * x

    def f(x: Any, y: Any) -> Any:
        return halves(x) * counted(y, 3) + counted(x, 2)

    compiled = compile(sg.value_and_grad(f, (0, 1)))
    for point in POINTS:
        assert bits(compiled(*point)) == bits(sg.value_and_grad(f, (0, 1))(*point))

    @compile
    def endless(x: Any) -> Any:
        return endless(rounds(x, 0.5)[0])

    with pytest.raises(RecursionError):
        sg.grad(endless)(1.0)


def test_whether_it_is_a_call_does_not_depend_on_what_came_before() -> None:
    def answer(first: bool) -> Any:
        f = compile(rounds, max_traces=1)
        if first:
            f(0.1, 0.2)
            sg.grad(lambda x: f(x, x)[0])(0.3)
        return bits(compile(sg.grad(lambda x: f(x, x)[0] * f(x, 2.0 * x)[1]))(0.4))

    assert answer(True) == answer(False)


def test_an_anomaly_is_looked_for_inside() -> None:
    f = compile(lambda x: sg.log(rounds(x, 0.5)[0] * 0.0))
    with sg.detect_anomaly(), pytest.raises(sg.AnomalyError, match="log gave -inf"):
        f(Value(0.4))


def test_methods_pickles_and_threads() -> None:
    f = compile(_outer)
    expected = bits(f(0.4, 0.9))
    assert bits(pickle.loads(pickle.dumps(f))(0.4, 0.9)) == expected
    found: list[Any] = []
    stage = compile(rounds)

    def work() -> None:
        found.append(bits(sg.grad(lambda x: stage(x, x)[0] * stage(x, 0.5)[1])(0.4)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 4
    assert all(each == found[0] for each in found)


class Spring:
    def __init__(self, k: float) -> None:
        self.k = k

    @compile
    def energy(self, x: Any) -> Any:
        return rounds(self.k * x, x)[0]


def _outer(x: Any, y: Any) -> Any:
    soft, hard = SPRINGS
    return soft.energy(x) * hard.energy(y) + soft.energy(x * y)


SPRINGS = Spring(0.5), Spring(2.0)


def test_no_gradient_and_detached_results() -> None:
    stage = compile(lambda x, y: rounds(x, y.detach()))

    def f(x: Any, y: Any) -> Any:
        with sg.no_grad():
            a = stage(x, y)[0]
        return a * x + stage(y, x)[1]

    compiled = compile(sg.value_and_grad(f, (0, 1)))
    assert bits(compiled(0.4, 0.9)) == bits(sg.value_and_grad(f, (0, 1))(0.4, 0.9))


def test_gradients_through_a_batch() -> None:
    loss = compile(lambda w, x: rounds(w, x)[0])

    def f(w: Any) -> Any:
        return loss.map(w, [0.1, 0.2, 0.3], in_axes=(None, 0), reduce="sum")

    assert bits(compile(sg.grad(f))(0.4)) == bits(sg.grad(f)(0.4))
    assert sg.grad(f)(0.4) == pytest.approx(sum(sg.grad(loss)(0.4, x) for x in (0.1, 0.2, 0.3)), rel=1e-12)


# ---- calls in place --------------------------------------------------------------------------------------------------


def test_a_derivative_of_one_call_is_a_straight_line() -> None:
    f = compile(lambda x, y: rounds(x, y)[0])
    whole = compile(sg.value_and_grad(f, (0, 1)))
    whole(0.4, 0.9)
    ((known,),) = whole.specializations.values()
    assert not known.has_blocks
    plain = compile(sg.value_and_grad(lambda x, y: rounds(x, y)[0], (0, 1)))
    plain(0.4, 0.9)
    assert len(known.program) <= 1.1 * plain.info.traces[0].instructions


def test_what_is_computed_again_stays_a_call() -> None:
    f = compile(sg.grad(lambda x: sg.checkpoint(lambda x: rounds(x, x)[0])(x)))
    f(0.4)
    ((known,),) = f.specializations.values()
    assert known.has_blocks
    assert in_place(known.program) is known.program


def test_everything_in_place_has_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalargrad.compiler.ir.in_place.SHORT", 1_000_000)
    stage = compile(rounds)

    def f(x: Any, y: Any) -> Any:
        for _ in range(30):
            x, y = stage(x, y)
        return x * y

    compiled = compile(sg.value_and_grad(f, (0, 1)))
    assert bits(compiled(0.4, 0.9)) == bits(sg.value_and_grad(f, (0, 1))(0.4, 0.9))
    ((known,),) = compiled.specializations.values()
    assert not known.has_blocks
    assert size(known.program) == len(known.program) > 30 * 100


def test_a_call_that_runs_often_is_made_source_with_the_same_bits() -> None:
    stage = compile(rounds)
    slope = sg.grad(lambda x: stage(x, 0.5)[0] * stage(0.3, x)[1])
    points = [0.01 * k for k in range(60)]
    together = [slope(x) for x in points]
    calls = [each for each in stage.operations.known.values() if each is not None]
    assert any(getattr(made, "made", None) is not None for each in calls for made in each._made.values())
    assert together == [sg.grad(lambda x: compile(rounds)(x, 0.5)[0] * compile(rounds)(0.3, x)[1])(x) for x in points]
