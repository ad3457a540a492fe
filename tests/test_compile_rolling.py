"""Loops that were unrolled while they were traced are found again, with the same bits, and only where that pays."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.compiler import compile
from scalargrad.compiler.backends import native
from scalargrad.compiler.frontend import dispatch, rolling, specialization, trace


def bits(numbers: Any) -> list[str]:
    return [float(x).hex() for x in numbers]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[rolling.Rolled]:
    """The programs in which loops were found, in programs that are short, too."""
    programs: list[rolling.Rolled] = []

    def roll(program: Any) -> Any:
        made = rolling.rolled(program)
        programs.extend([made] if made else [])
        return made

    for module, name, value in (
        (rolling, "LEAST", 120),
        (rolling, "WORTH", 1),
        (rolling, "LENGTH", 60),
        (rolling, "WINDOW", 6),
        (trace, "LONG", 120),
        (dispatch, "LONG", 120),
        (dispatch, "rolled", roll),
        (specialization, "SLOW_TO_MAKE", 0),
    ):
        monkeypatch.setattr(module, name, value)
    return programs


def loops(made: rolling.Rolled) -> list[Any]:
    return [row for row in made.loops.operations if row.several]


BACKENDS: list[Any] = ["native", "python"] if native.available() else ["python"]


def agree(f: Callable[..., Any], *points: list[float]) -> None:
    """Compiled code, from the first point's trace, has the bits of `Value`s, at each order."""
    for derived, backend in product((f, sg.value_and_grad(f)), BACKENDS):
        compiled = compile(derived, backend=backend)
        for x in points:
            wanted, got = derived(x), compiled(x)
            if derived is f:
                assert bits([got]) == bits([wanted])
            else:
                assert bits([got[0], *got[1]]) == bits([wanted[0], *wanted[1]])


def lorenz(p: Any) -> Any:
    s, r, b = p
    x = y = z = 1.0
    for _ in range(30):
        for _ in range(2):
            x, y, z = x + 0.01 * s * (y - x), y + 0.01 * (x * (r - z) - y), z + 0.01 * (x * y - b * z)
    return x * x + y + z


DATA = [math.sin(3.0 * k * k) for k in range(60)]
SIGNS = [1.0 if x > 0.2 else -1.0 for x in DATA]


def hinge(w: Any) -> Any:  # what a number of one, or minus one, leaves out in one round is there in the next
    total = 0.0
    for x, sign in zip(DATA, SIGNS, strict=True):
        hidden = [sg.relu(w[0] * x + w[1]), sg.relu(w[2] * x - w[1])]
        total = total + sg.relu(1.0 - sign * (w[3] * hidden[0] + w[4] * hidden[1]))
    return total / len(DATA)


def two_back(w: Any) -> Any:
    before, now = w[0], w[0] + 0.1 * w[1]
    for _ in range(60):
        before, now = now, 2.0 * now - before - 0.01 * sg.sin(now) * w[1]
    return now


def gathered(w: Any) -> Any:
    total = 0.0
    for k, x in enumerate(DATA):
        total = total + (w[k % 5] * x - w[(k * k) % 5]) ** 2 * sg.exp(w[2])
    return total


def history(w: Any) -> Any:  # all values that the loop leaves are read later, in another order
    values = [w[0]]
    for x in DATA:
        values.append(sg.tanh(values[-1] * w[1] + x))
    return sg.sum(values[::-3]) + values[7] * values[-2]


@pytest.mark.parametrize("f", [lorenz, hinge, two_back, gathered, history])
def test_loops_are_found_and_keep_the_bits(f: Any, found: list[rolling.Rolled]) -> None:
    start = [1.0, 2.8, 0.3, 0.7, -0.4][: 3 if f is lorenz else 5]
    agree(f, start, [0.9 * x - 0.1 for x in start])
    assert len(found) == 2 * len(BACKENDS)
    assert loops(found[0])
    made = found[-1]
    assert len(loops(made)) == 2
    assert len(made.loops) + sum(len(each.body) for each in loops(made)) < 0.7 * len(made.recorded)


def test_the_straight_program_is_there_when_it_is_asked_for(found: list[rolling.Rolled]) -> None:
    f = compile(sg.value_and_grad(two_back), backend=BACKENDS[0])
    f([0.3, 0.4])
    assert len(found) == 1
    assert f.info.traces[0].instructions == len(found[0].straight())
    assert "for " not in f.to_js("f")
    columns = [[0.3, 0.1, 0.2], [0.4, 0.5, 0.6]]
    batch = compile(lambda a, b: two_back([a, b]), backend=BACKENDS[0])
    assert bits(batch.map(*columns)) == bits(two_back(list(pair)) for pair in zip(*columns, strict=True))


def test_where_an_output_is_nan_the_exact_loops_run(found: list[rolling.Rolled]) -> None:
    def f(w: Any) -> Any:
        total = 0.0
        for x in DATA:
            total = total + sg.relu(sg.sqrt(w[0] * x) * w[1]) + sg.where(w[0] > 0.0, w[0] * x, 0.0)
        return total

    agree(f, [2.0, 0.5], [0.0, 0.5], [math.inf, 0.0], [-1.0, -2.0], [math.nan, 1.0])
    assert found


def test_a_branch_in_each_round_is_a_guard(found: list[rolling.Rolled]) -> None:
    def f(w: Any) -> Any:
        y = w[0]
        for _ in range(40):
            y = y * 0.9 + w[1] if y > 0.5 else y + 0.2 * w[1]
            y = y * 1.01 - sg.sin(y) * 0.1
        return y

    agree(f, [1.0, 0.1], [0.2, 0.15], [5.0, 0.01])


def test_what_a_straight_line_computes_once_is_no_reason_for_a_loop(found: list[rolling.Rolled]) -> None:
    def f(w: Any) -> Any:
        total = 0.0
        for k in range(80):
            a, b = float(k % 2), float(k // 2 % 2)
            total = total + (sg.sigmoid(w[0] * a + w[1] * b) - sg.tanh(w[2] * a)) ** 2
        return total

    agree(f, [0.3, -0.2, 0.5])
    assert not found


def test_what_stands_there_again_and_again_stays_straight(found: list[rolling.Rolled]) -> None:
    compile(sg.hessian(hinge), backend=BACKENDS[0])([1.0, 2.8, 0.3, 0.7, -0.4])  # each row begins with the same pass
    assert not found


def test_what_is_the_same_in_all_rounds_is_computed_once(found: list[rolling.Rolled]) -> None:
    def f(w: Any) -> Any:
        y = 0.0
        for x in DATA:
            y = sg.sin(y + x * sg.exp(w[0])) * sg.sqrt(w[1])
        return y

    agree(f, [0.3, 0.7])
    assert all(row.name != "exp" for each in loops(found[0]) for row in each.body.operations)


def test_labels_and_values_from_outside_stay(found: list[rolling.Rolled]) -> None:
    scale = sg.Value(1.5)

    def f(x: Any) -> Any:
        y = x
        for _ in range(60):
            y = sg.sin(y * scale) + 0.1 * x
        y.label = "last"
        return y

    compiled = compile(f, backend=BACKENDS[0])
    for number in (1.5, 0.5):
        scale.data = number
        assert bits([compiled(0.3)]) == bits([f(sg.Value(0.3)).data])
    assert len(found) == 1
    assert "last" in str(compiled.draw())


def test_loops_of_a_compiled_function_inside_are_found_where_it_is_written_in_place(
    found: list[rolling.Rolled],
) -> None:
    agree(compile(lorenz, backend=BACKENDS[0]), [1.0, 2.8, 0.3])
    assert len(loops(found[-1])) == 2


UNARY = [sg.sin, sg.tanh, sg.relu, sg.exp, abs, sg.sigmoid, lambda x: -x]


def random_program(seed: int) -> Callable[[Any], Any]:
    """A loop in Python whose rounds, of random operations, read weights, data, what is carried and older values."""
    chance = random.Random(seed)
    plan = [(chance.randrange(6), chance.random(), chance.random(), chance.choice(UNARY)) for _ in range(9)]
    rounds, back, inner = chance.choice([12, 25, 40]), chance.choice([1, 1, 2, 3, 4]), chance.choice([1, 1, 2])
    flips = [chance.choice([1.0, -1.0, 0.5, 0.0]) for _ in range(rounds)]
    data = [chance.gauss(0.0, 1.0) for _ in range(rounds)]
    shift = chance.choice([0, 0, 3])

    def f(w: Any) -> Any:
        past, total = [w[0]], w[1]
        for k in range(rounds):
            pool = [w[1], w[k % len(w)], past[max(0, len(past) - back)], past[-1], data[k], flips[k], w[2]]
            for _ in range(inner):
                for kind, a, b, unary in plan:
                    x, y = pool[int(a * len(pool))], pool[int(b * len(pool))]
                    if kind == 0:
                        pool.append(unary(x))
                    else:
                        made = [x + y, x * y, x - 0.5 * y, sg.where(x > y, x, 0.3 * y), sg.max([x, y, w[2]])][kind - 1]
                        pool.append(sg.tanh(made) if kind == 2 else made)
            past.append(sg.tanh(pool[-1] * 0.7 + pool[-3]))
            if k >= shift:
                total = total + past[-1] * data[k] + pool[-2] * flips[k]
        return total * past[len(past) // 2] + past[-1]

    return f


@pytest.mark.parametrize("seed", range(16))
def test_random_loops_keep_the_bits(seed: int, found: list[rolling.Rolled]) -> None:
    agree(random_program(seed), [0.4, -0.3, 0.8], [-1.1, 0.6, 0.2])


def test_what_the_last_round_alone_leaves_needs_no_zero_in_the_program(found: list[rolling.Rolled]) -> None:
    def f(w: Any) -> Any:
        x, y = w
        for _ in range(60):
            t = sg.sin(x * y)
            x = sg.cos(t + x)
        return t * y + x

    agree(f, [0.5, 0.25])
    assert len(found) == 2 * len(BACKENDS)


def test_a_derivative_that_is_a_number_is_no_loop(found: list[rolling.Rolled]) -> None:
    """A straight line does not compute what follows from constants alone; a loop would, at every call."""

    def cooled(p: Any) -> Any:
        x, v = p
        for _ in range(60):
            x, v = x + 0.1 * v - 0.01 * x, v * 0.9 - 0.2 * x
        return x

    agree(cooled, [0.5, 0.25], [-1.0, 3.0])
    assert len(found) == len(BACKENDS)  # of the values alone
    agree(lambda p: cooled(p) ** 2, [0.5, 0.25])
    assert len(found) == 3 * len(BACKENDS)
