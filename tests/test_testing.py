"""The tester tested: right claims on hard functions are not failed, planted mistakes are found, doubts are said."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalargrad as sg
from scalargrad import Value, exp, grad, jacobian, relu, sin, sqrt, tanh
from scalargrad.engine import primitive
from scalargrad.engine.chain_rule import topological_order
from scalargrad.engine.primitive import Primitive
from scalargrad.functions import primitives
from scalargrad.testing import (
    GradientError,
    Program,
    Report,
    State,
    UndecidedError,
    check_grads,
    check_primitive,
    expressions,
    measure_derivative,
    programs,
)
from scalargrad.testing.programs import assemble
from scalargrad.testing.stencils import measure


def checked(f: Callable[..., Any], args: tuple[Any, ...], **options: Any) -> Report:
    """The report, whatever it says."""
    try:
        return check_grads(f, args, undecided="report", **options)
    except GradientError as error:
        return error.report


def states(report: Report) -> list[State]:
    return [each.state for each in report.findings]


# ---- right claims ----------------------------------------------------------------------------------------------------

SMOOTH: list[tuple[Callable[..., Any], tuple[float, ...]]] = [
    (lambda x: exp(x), (700.0,)),
    (lambda x: exp(x), (1e-200,)),
    (lambda x: sqrt(x), (1e-300,)),
    (lambda x: x**0.5, (1e-300,)),
    (lambda x: x * x, (1e150,)),
    (lambda x: sin(x / 1e200), (1e200,)),
    (lambda x: sin(1e5 * x), (0.7,)),
    (lambda x: sin(1e5 * x), (1e4,)),
    (lambda x: exp(1e4 * x), (0.01,)),
    (lambda x: sin(x * 1e100), (1e-101,)),
    (lambda x: sin(x * 1e100), (0.0,)),
    (lambda x: 1e8 + sin(x), (1.0,)),
    (lambda x: relu(x), (1e-9,)),
    (lambda x: sqrt(x * x + 1e-20), (1e-10,)),
    (lambda x: sg.log(x), (1.0,)),
    (lambda x: sg.cos(x), (0.0,)),
    (lambda x: sg.floor(x), (2.5,)),
    (lambda x: x * sg.abs(x), (-1e-5,)),
    (lambda x, y: x * x, (1.0, 3.0)),
    (lambda x, y, z: x * y * z, (1e-200, 1e200, 0.0)),
]


@pytest.mark.parametrize("case", range(len(SMOOTH)))
def test_right_derivatives_of_hard_functions_agree(case: int) -> None:
    f, args = SMOOTH[case]
    assert set(states(checked(f, args))) == {State.AGREES}


NOISY: list[tuple[Callable[..., Any], float]] = [
    (lambda x: sin(x), 1e17),
    (lambda x: x + sin(x), 1e15),
    (lambda x: x + sin(x), 1e13),
    (lambda x: 1e14 + sin(x), 1.0),
    (lambda x: (1 - sg.cos(x)) / x**2, 1e-5),
    (lambda x: (1 - sg.cos(x)) / x**2, 1e-3),
    (lambda x: tanh(x), 50.0),
    (lambda x: sg.sigmoid(x), 40.0),
    (lambda x: 1 + x * x, 1e-100),
]


@pytest.mark.parametrize("case", range(len(NOISY)))
def test_noise_is_not_decided_and_never_passed_in_silence(case: int) -> None:
    f, x = NOISY[case]
    assert states(checked(f, (x,), order=1)) == [State.UNDECIDED]
    with pytest.raises(UndecidedError, match="not decided"):
        check_grads(f, (x,), order=1)


def test_smooth_functions_are_held_to_ten_digits() -> None:
    report = check_grads(lambda x, y: sin(x) * exp(y) / (1 + x * x), (0.7, -1.3))
    assert report.tolerance <= 1.001e-10
    assert report.counts == {State.AGREES: 6}


@given(expressions(inputs=2), st.tuples(*[st.integers(-300, 300).map(lambda n: n / 100)] * 2))
def test_right_derivatives_of_random_programs_are_never_wrong(f: Program, args: tuple[float, float]) -> None:
    assert not checked(f, args).wrong


def drawn(r: random.Random, adversarial: bool, inputs: int) -> Program:
    operations = programs.SMOOTH + programs.ROUGH if adversarial else programs.SMOOTH
    constants = programs.WILD_CONSTANTS if adversarial else programs.TAME_CONSTANTS
    statements = [(r.choice(operations), [r.randrange(1000) for _ in range(3)]) for _ in range(r.randint(1, 12))]
    return assemble(inputs, statements, constants)


def test_hundreds_of_tame_programs_agree() -> None:
    r = random.Random(1)
    found: Counter[State] = Counter()
    for _ in range(400):
        n = r.randint(1, 3)
        report = checked(drawn(r, False, n), tuple(r.uniform(-3.0, 3.0) for _ in range(n)))
        found.update(states(report))
    assert found[State.WRONG] == 0
    assert found[State.AGREES] > 2000
    assert found.total() - found[State.AGREES] <= 2


# ---- points without a derivative -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "state"),
    [
        (lambda x: relu(x), 0.0, State.KINK),
        (lambda x: sg.abs(x), 0.0, State.KINK),
        (lambda x: 1.0 + relu(x), 1e-15, State.KINK),
        (lambda x: sg.clamp(x, -1.0, 1.0), 1.0, State.KINK),
        (lambda x: sg.step(x), 0.0, State.JUMP),
        (lambda x: sg.sign(x), 0.0, State.JUMP),
        (lambda x: x + sg.floor(x), 3.0, State.JUMP),
        (lambda x: sqrt(x), 0.0, State.EDGE),
        (lambda x: sg.acos(x), 1.0, State.EDGE),
        (lambda x: sg.log(x), 0.0, State.EDGE),
        (lambda x: x**1.5, 0.0, State.EDGE),
        (lambda x: 1 / x, 0.0, State.EDGE),
        (lambda x: sg.cbrt(x), 0.0, State.SINGULAR),
        (lambda x: sqrt(sg.abs(x)), 0.0, State.SINGULAR),
        (lambda x: x - 1e200, 0.5, State.UNSEEN),
    ],
)
def test_points_without_a_derivative_are_recognised(f: Callable[..., Any], x: float, state: State) -> None:
    assert states(checked(f, (x,), order=1)) == [state]


def test_a_kink_reports_both_sides_and_refuses_what_is_outside_of_them() -> None:
    (finding,) = checked(lambda x: sg.abs(x), (0.0,), order=1).findings
    assert "left-hand derivative -1, right-hand 1" in finding.verdict.note
    assert states(checked(abs, (0.0,), gradient=lambda x: 0.5)) == [State.KINK]
    assert states(checked(abs, (0.0,), gradient=lambda x: 1.5)) == [State.WRONG]


def test_a_neighbour_that_raises_is_the_edge_of_the_domain() -> None:
    (finding,) = checked(math.sqrt, (0.0,), gradient=lambda x: math.inf).findings
    assert finding.state is State.EDGE
    assert "ValueError: " in finding.verdict.note
    one_sided = checked(lambda x: math.exp(x) + 0.0 * math.sqrt(x), (0.0,), gradient=lambda x: 1.5)
    assert states(one_sided) == [State.WRONG]


# ---- planted mistakes ------------------------------------------------------------------------------------------------


@contextmanager
def planted(row: Primitive, kind: str, which: int) -> Iterator[None]:
    """A mistake in the rule of a row of the table."""
    local, constants = row.local, row.constants

    def rule(y: Any, *xs: Any) -> tuple[Any, ...]:
        gradients = list(local(y, *xs) if local else constants or ())
        k, other = which % len(gradients), (which + 1) % len(gradients)
        if kind == "factor":
            gradients[k] = gradients[k] * (1.0 + 1e-6)
        elif kind == "sign":
            gradients[k] = -1.0 * gradients[k]
        elif kind == "dropped":
            gradients[k] = 0.0
        elif kind == "swapped":
            gradients[k], gradients[other] = gradients[other], gradients[k]
        return tuple(gradients)

    row.local, row.constants = rule, None
    try:
        yield
    finally:
        row.local, row.constants = local, constants


@pytest.mark.parametrize("kind", ["factor", "sign", "dropped", "swapped"])
def test_planted_mistakes_are_found(kind: str) -> None:
    """All of them, but where the derivative is zero as far as the values of the function tell."""
    r = random.Random(kind)
    found: Counter[str] = Counter()
    for _ in range(120):
        n = r.randint(1, 3)
        f, args = drawn(r, False, n), tuple(r.uniform(-3.0, 3.0) for _ in range(n))
        y = f(*map(Value, args))
        rows = [node.operation for node in topological_order((y,)) if node.parents]
        row, which = r.choice(rows), r.randrange(5)
        right = jacobian(f, tuple(range(n)))(*args)
        with planted(row, kind, which):
            wrong = jacobian(f, tuple(range(n)))(*args)
            if max(abs(a - b) / max(abs(a), 1e-300) for a, b in zip(right, wrong, strict=True)) < 3e-7:
                continue
            report = checked(f, args, order=1)
        if report.wrong or report.undecided:
            found["reported"] += 1
            continue
        agreed = zip(report.findings, right, strict=True)
        assert all(abs(each.verdict.claimed - x) <= 2.0 * each.verdict.tolerance for each, x in agreed), (f, args, row)
        found["below the tolerance"] += 1
    assert found["reported"] > 20
    assert found["below the tolerance"] <= 0.05 * found["reported"]


@pytest.mark.parametrize(
    "row", [row for row in primitive.TABLE.values() if row.local and row.arity in (1, 2)], ids=repr
)
def test_a_millionth_is_found_in_every_rule(row: Primitive) -> None:
    """At ordinary points of the domain: of order 1 in the rule's own operation, all operands alike."""
    r = random.Random(row.name)
    inside = [(max(d.low, -2.5), min(d.high, 2.5)) for d in row.domain]
    inside = [(low, high) if low < high else (low, low + 2.0) for low, high in inside]
    args = tuple(low + (high - low) * r.uniform(0.2, 0.8) for low, high in inside)
    assert checked(row, args, order=1).counts == {State.AGREES: len(args)}
    for which in range(len(args)):
        if row.local_gradients(row(*args), args)[which] == 0.0:
            continue
        with planted(row, "factor", which):
            wrong = checked(row, args, order=1).wrong
        assert [each.input for each in wrong] == [f"args[{which}]"]
        assert wrong[0].relative == pytest.approx(1e-6, rel=1e-2)


def test_a_wrong_tie_is_found_by_moving_the_tied_together() -> None:
    def claim(*xs: float) -> list[float]:
        return [1.0] * len(xs)

    assert states(checked(lambda x, y: sg.max(x, y), (1.5, 1.5), order=1)).count(State.WRONG) == 0
    for count in (2, 3):
        wrong = checked(max, (1.5,) * count, gradient=claim).wrong
        assert wrong
        assert "moving along +1*args[0] +1*args[1]" in wrong[0].input


def test_a_wrong_second_derivative_is_found_in_the_second_order() -> None:
    @sg.primitive(lambda y, a: (3.0 * square(a),), name="cube")
    def cube(a: float) -> float:
        return a * a * a

    @sg.primitive(lambda y, a: (2.1 * a,), name="square")
    def square(a: float) -> float:
        return a * a

    (finding,) = checked(cube, (1.5,)).wrong
    assert finding.order == 2
    assert finding.verdict.claimed == pytest.approx(3.0 * 2.1 * 1.5)
    assert finding.verdict.measured == pytest.approx(9.0)
    assert finding.output == "(derivative of f(*args) by args[0])"


# ---- wrong claims at every scale -------------------------------------------------------------------------------------

# Of u = x / s and v = y / t: the value, and the terms of the derivatives by u and v.
Terms = Callable[[float, float], list[float]]
FAMILIES: dict[str, tuple[Callable[[float, float], float], Terms, Terms]] = {
    "square": (lambda u, v: u * u, lambda u, v: [2 * u], lambda u, v: [0.0]),
    "1 + square": (lambda u, v: 1 + u * u, lambda u, v: [2 * u], lambda u, v: [0.0]),
    "power": (lambda u, v: 1 + u**20 + v, lambda u, v: [20 * u**19], lambda u, v: [1.0]),
    "cubic": (lambda u, v: u**3 - 2 * u * v, lambda u, v: [3 * u * u, -2 * v], lambda u, v: [-2 * u]),
    "sin": (
        lambda u, v: math.sin(u) * math.cos(v),
        lambda u, v: [math.cos(u) * math.cos(v)],
        lambda u, v: [-math.sin(u) * math.sin(v)],
    ),
    "exp": (lambda u, v: math.exp(u) - v, lambda u, v: [math.exp(u)], lambda u, v: [-1.0]),
    "log": (lambda u, v: math.log(abs(u)) + v * u, lambda u, v: [1 / u, v], lambda u, v: [u]),
    "tanh": (lambda u, v: math.tanh(u) + v * v, lambda u, v: [1 / math.cosh(u) ** 2], lambda u, v: [2 * v]),
    "hypot": (math.hypot, lambda u, v: [u / math.hypot(u, v)], lambda u, v: [v / math.hypot(u, v)]),
    "relu": (lambda u, v: max(u, 0.0) + 0.5 * v, lambda u, v: [float(u > 0)], lambda u, v: [0.5]),
}


def planted_at_all_scales(r: random.Random) -> tuple[Any, tuple[float, float], list[float], list[list[float]], int]:
    """A function, a point, its gradient, the terms of it, and the input whose derivative is to be falsified.

    Inputs and values are from 1e-150 to 1e150 large, next to the function's own scale, or far below it; nothing, or up
    to 1e12 times the value, is added to it.
    """
    while True:
        value, by_u, by_v = FAMILIES[r.choice(list(FAMILIES))]
        s, t, a = (10 ** r.choice([0.0, r.uniform(-150, 150), r.uniform(-20, 20)]) for _ in range(3))
        u = r.choice([-1, 1]) * 10 ** r.choice([r.uniform(-1, 1), r.uniform(-20, 2), r.uniform(-120, -1)])
        x, y = u * s, r.choice([-1, 1]) * 10 ** r.uniform(-2, 1) * t
        try:
            offset = r.choice([0.0, 0.0, 10 ** r.uniform(-12, 12) * value(x / s, y / t)])
            terms = [[a * term / s for term in by_u(x / s, y / t)], [a * term / t for term in by_v(x / s, y / t)]]
        except ArithmeticError:
            continue
        if all(term == 0.0 or 1e-290 < abs(term) < 1e290 for term in terms[0] + terms[1]):
            break

    def f(x: float, y: float) -> float:
        return a * (offset + value(x / s, y / t))

    return f, (x, y), [math.fsum(terms[0]), math.fsum(terms[1])], terms, r.randrange(2)


@pytest.mark.parametrize("seed", range(3))
def test_at_no_scale_does_a_wrong_claim_agree_or_a_right_one_come_out_wrong(seed: int) -> None:
    r = random.Random(seed)
    found: dict[str, Counter[State]] = {}
    for _ in range(120):
        f, args, gradient, terms, k = planted_at_all_scales(r)
        right = gradient[k]
        claims = {
            "right": right,
            "sign": -right,
            "factor": 2.0 * right,
            "hundred": 100.0 * right,
            "zero": 0.0,
            "term": math.fsum(terms[k][1:]),
            "transposed": gradient[1 - k],
        }
        for kind, claim in claims.items():
            if kind == "right" or abs(claim - right) > 0.1 * abs(right):
                claimed = [claim if j == k else x for j, x in enumerate(gradient)]
                report = checked(f, args, gradient=lambda x, y, c=claimed: c, only=f"args[{k}]")
                found.setdefault(kind, Counter()).update(states(report))
    assert found["right"][State.WRONG] == 0
    assert found["right"][State.AGREES] > 80
    for kind, counts in found.items():
        assert kind == "right" or counts[State.AGREES] == 0, (kind, counts)
        assert kind in ("right", "term", "zero") or counts[State.WRONG] > 0.7 * counts.total(), (kind, counts)


def test_a_derivative_small_beside_its_neighbours_is_judged_by_steps_relative_to_the_point() -> None:
    for claim in (lambda x: -2 * x, lambda x: 200 * x, lambda x: 0.0):
        assert states(checked(lambda x: x * x, (1e-16,), gradient=claim)) == [State.WRONG]
        assert states(checked(lambda x: 1 + x * x, (1e-100,), gradient=claim)) == [State.UNDECIDED]
    assert states(checked(lambda x: x * x, (1e-16,), gradient=lambda x: 2 * x)) == [State.AGREES]
    hidden = checked(lambda x: (x / 1e-34) ** 3 - 0.3 * x / 1e-34, (0.0,), gradient=lambda x: 0.0)
    assert states(hidden) == [State.WRONG]  # the linear term is lost in the cubic one at all but the finest steps
    assert states(checked(math.sin, (math.pi / 2,), gradient=math.cos)) == [State.AGREES]  # zero to all digits
    assert states(checked(math.tanh, (800.0,), gradient=lambda x: 0.0)) == [State.UNSEEN]  # rounded to 1
    assert states(checked(lambda x: 1 + max(x, 0.0), (-0.5,), gradient=lambda x: 0.0)) == [State.AGREES]  # constant


def test_nothing_agrees_where_the_function_is_nan() -> None:
    for claim, state in ((3.0, State.UNDECIDED), (math.nan, State.UNDEFINED)):
        report = checked(lambda x: math.nan, (1.0,), gradient=lambda x, c=claim: c)
        assert states(report) == [state]
        assert not report.agrees
        assert "nan at the point" in str(report)


def test_what_is_no_agreement_is_listed_as_such() -> None:
    report = checked(lambda x, y: relu(x) + y, (0.0, 1.0), order=1)
    assert [each.input for each in report.unconfirmed] == ["args[0]"]
    assert not report.agrees
    assert "no agreement, nothing to compare: kink: derivative of f(*args) by args[0] (left-hand" in str(report)


def test_what_depends_on_earlier_calls_is_refused() -> None:
    calls: list[float] = []

    def counting(x: float) -> float:
        calls.append(x)
        return x * x + 1e-9 * len(calls)

    def late(x: float) -> float:
        calls.append(x)
        return x * x + (len(calls) > 6)

    for f in (counting, late):
        calls.clear()
        with pytest.raises(ValueError, match="two calls at the same point gave"):
            check_grads(f, (1.5,), gradient=lambda x: 2 * x)

    def claim(x: float) -> float:
        calls.append(x)
        return 2 * x + 1e-15 * len(calls)

    with pytest.raises(ValueError, match=r"the claimed derivative of f\(\*args\) by args\[0\]: two calls"):
        check_grads(lambda x: x * x, (1.5,), gradient=claim)


def test_any_callables_will_do_and_several_orders() -> None:
    def hessian(x: float, y: float) -> list[list[float]]:
        return [[2.0 * y, 2.0 * x], [2.0 * x, 0.0]]

    def gradient(x: float, y: float) -> tuple[float, float]:
        return (2.0 * x * y, x * x)

    report = check_grads(lambda x, y: x * x * y, (1.5, 2.0), gradient=[gradient, hessian])
    assert report.counts == {State.AGREES: 6}
    with pytest.raises(GradientError):
        check_grads(lambda x, y: x * x * y, (1.5, 2.0), gradient=[gradient, lambda x, y: [[2.0 * y, x], [2 * x, 0.0]]])


def test_dicts_match_by_key_in_any_order_and_at_every_depth() -> None:
    def f(p: dict[str, Any]) -> dict[str, Any]:
        return {"b": p["w"][0]["k"] * p["c"], "a": p["w"][0]["j"] * p["c"] ** 2}

    def sorted_like_jax(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: sorted_like_jax(tree[key]) for key in sorted(tree)}
        return [sorted_like_jax(each) for each in tree] if isinstance(tree, list) else tree

    def claim(p: dict[str, Any]) -> Any:
        return sorted_like_jax(jacobian(f)(p))

    def second(p: dict[str, Any]) -> Any:
        return sorted_like_jax(jacobian(jacobian(f))(p))

    args = ({"w": [{"k": 1.5, "j": 0.5}], "c": 2.0},)
    report = check_grads(f, args, gradient=[claim, second])
    assert report.counts == {State.AGREES: 6 + 18}
    with pytest.raises(ValueError, match=r"expected the keys \['w', 'c'\], got \['w', 'd'\]"):
        check_grads(lambda p: p["w"] * p["c"], ({"w": 1.0, "c": 2.0},), gradient=lambda p: {"w": 2.0, "d": 1.0})


def test_products_are_claims_too() -> None:
    def f(p: dict[str, Any], y: Any) -> list[Any]:
        return [p["a"] * y, sin(p["b"]), p["a"] * p["b"]]

    args = ({"a": 1.5, "b": 0.5}, 2.3)

    def push(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        return sg.jvp(f, primals, tangents)[1]

    def pull(primals: tuple[Any, ...], cotangent: Any) -> Any:
        found, by_y = sg.vjp(f, *primals)[1](cotangent)
        return {"b": found["b"], "a": found["a"]}, by_y

    report = check_grads(f, args, jvp=push, vjp=pull)
    assert report.counts == {State.AGREES: 9 + 8 * 3 + 5 * 3}
    not_linear = checked(f, args, jvp=lambda x, v: [y * abs(sum(flat(v))) for y in push(x, v)])
    assert not_linear.wrong
    assert all("moving along" in each.input for each in not_linear.wrong)
    not_linear = checked(f, args, vjp=lambda x, v: pull(x, [y * y for y in v]))
    assert not_linear.wrong
    assert checked(f, args, vjp=lambda x, v: pull(x, v[::-1])).wrong
    with pytest.raises(ValueError, match="jvp has 2 number"):
        check_grads(f, args, jvp=lambda x, v: push(x, v)[:2])


def flat(v: Any) -> list[float]:
    return [v[0]["a"], v[0]["b"], v[1]]


def test_a_value_from_outside_is_a_constant_of_the_function() -> None:
    w = Value(3.0)

    def f(x: Any) -> Any:
        return w * x * x

    assert isinstance(grad(f)(2.0), Value)
    assert check_grads(f, (2.0,), order=3).counts == {State.AGREES: 3}
    assert check_grads(f, (2.0,), gradient=[grad(f), grad(grad(f))]).counts == {State.AGREES: 2}
    assert check_grads(f, (2.0,), jvp=lambda x, v: sg.jvp(f, x, v)[1]).agrees
    assert checked(f, (2.0,), gradient=lambda x: w * x).wrong
    assert w.grad == 0.0


def test_arrays_and_numpy_scalars_are_numbers() -> None:
    np = pytest.importorskip("numpy")
    report = check_grads(
        lambda p: np.sin(np.array(p["w"])).sum(), ({"w": [0.5, 1.5]},), gradient=lambda p: np.cos(np.array(p["w"]))
    )
    assert report.counts == {State.AGREES: 2}


def test_the_complex_step_is_taken_where_it_is_sharper() -> None:
    def f(x: Any) -> Any:
        return 1e7 + 1.0 / (1.0 + x * x)

    def slope(x: float) -> float:
        return -2.0 * x / (1.0 + x * x) ** 2

    (finding,) = check_grads(f, (1.5,), gradient=slope).findings
    assert finding.verdict.method == "complex step"
    assert finding.verdict.tolerance < 1e-10
    assert states(checked(f, (1.5,), gradient=lambda x: slope(x) * (1 + 1e-9))) == [State.WRONG]
    (finding,) = check_grads(lambda x: f(abs(x)), (-1.5,), gradient=slope).findings  # abs is not analytic
    assert finding.verdict.method.startswith("six-point stencil")


def rounded(x: float) -> float:
    """As a float32 would hold it."""
    mantissa, exponent = math.frexp(x)
    return math.ldexp(round(mantissa * 2**24), exponent - 24)


def test_a_right_derivative_of_what_was_rounded_on_the_way_is_never_wrong() -> None:
    """A large offset leaves stairs, of which fine steps see one tread. A wrong claim stays wrong."""
    for c in (1e12, 1.3e13, -(2.0**47), 3e14, 1.0e15):
        for f, slope in ((math.sin, math.cos), (lambda x: x, lambda x: 1.0), (math.exp, math.exp)):
            for x in (0.7, 1.0, 2.503):
                for g, scale in ((lambda x: (c + f(x)) - c, 1.0), (lambda x: 3.7 * ((c + f(x)) - c), 3.7)):  # noqa: B023
                    right = states(checked(g, (x,), gradient=lambda x: scale * slope(x)))  # noqa: B023
                    assert right[0] is not State.WRONG
                    if abs(c) < 1e14:
                        wrong = states(checked(g, (x,), gradient=lambda x: -5.0 * scale * slope(x)))  # noqa: B023
                        assert wrong == [State.WRONG]
    single = checked(lambda x: float(x > 0.3), (0.2,), gradient=lambda x: 5.0)
    assert states(single) == [State.WRONG]  # one jump is none of rounding


def test_single_precision_is_judged_as_sharply_as_it_can_be() -> None:
    def f(x: float) -> float:
        return rounded(math.exp(rounded(x)))

    assert states(checked(f, (0.5,), gradient=f)) == [State.AGREES]
    assert states(checked(f, (0.5,), gradient=lambda x: 1.001 * f(x))) == [State.WRONG]
    assert states(checked(f, (0.5,), gradient=lambda x: -f(x))) == [State.WRONG]
    assert states(checked(f, (0.5,), gradient=lambda x: 0.0)) == [State.UNDECIDED]


# ---- many inputs, report, arguments ----------------------------------------------------------------------------------


def rosenbrock(xs: list[Any]) -> Any:
    return sg.sum([100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(xs)])


def test_one_wrong_of_many_is_found_by_bisection() -> None:
    r = random.Random(0)
    xs = [r.uniform(-2.0, 2.0) for _ in range(90)]

    def claim(xs: list[float]) -> list[float]:
        found: list[float] = grad(rosenbrock)(xs)
        return [*found[:77], found[77] * (1 + 1e-6), *found[78:]]

    (finding,) = checked(rosenbrock, (xs,), gradient=claim, coordinates=0, directions=2).wrong
    assert finding.input == "args[0][77]"
    assert finding.reproduce == "check_grads(rosenbrock, args, gradient=claim, only='args[0][77]')"


def test_of_very_many_derivatives_some_and_sums_go_on_to_the_next_order() -> None:
    xs = [0.1 * k for k in range(1, 10)]
    report = check_grads(lambda xs: [sg.sum(xs) * sin(x) for x in xs], (xs,))
    assert report.counts == {State.AGREES: 81 + 20 * 9}  # 16 of the 81, and 4 sums of all
    assert "random signs" in report.findings[-1].output


def test_the_report_says_all_and_its_line_reproduces_it() -> None:
    def loss(p: dict[str, Any], x: float) -> Any:
        return (tanh(p["w"][0] * x + p["b"]) - p["w"][1]) ** 2

    def claim(p: dict[str, Any], x: float) -> dict[str, Any]:
        found: dict[str, Any] = grad(loss)(p, x)
        return {**found, "w": [found["w"][0], -found["w"][1]]}

    with pytest.raises(GradientError) as caught:
        check_grads(loss, ({"w": [0.5, -1.25], "b": 0.1}, 2.0), gradient=claim, argnums=0)
    text = str(caught.value)
    (finding,) = caught.value.report.wrong
    assert "loss: 3 derivatives checked: agrees 2, WRONG 1" in text
    assert "WRONG: derivative of loss(*args) by args[0]['w'][1]" in text
    for part in (repr(finding.verdict.claimed), repr(finding.verdict.measured), "ULP", "relative 2.00e+00", "allowed"):
        assert part in text
    line = text.split("reproduce  ")[1].splitlines()[0]
    assert line.endswith("only=\"args[0]['w'][1]\")")
    with pytest.raises(GradientError) as again:
        eval(line, {"check_grads": check_grads, "loss": loss, "claim": claim})
    assert again.value.report.wrong == (finding,)


def test_outputs_are_named_by_their_place() -> None:
    def f(x: float) -> dict[str, list[float]]:
        return {"a": [x, x * x]}

    (finding,) = checked(f, (3.0,), gradient=lambda x: [1.0, 2.0]).wrong
    assert finding.output == "f(*args)['a'][1]"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: check_grads(sin, 0.5), TypeError, "expected a tuple"),  # type: ignore[arg-type]
        (lambda: check_grads(sin, (math.inf,)), ValueError, r"args\[0\]: inf"),
        (lambda: check_grads(sin, ("a",)), TypeError, r"args\[0\]: expected a real number"),
        (lambda: check_grads(lambda: 0.0, ()), ValueError, "no number"),
        (lambda: check_grads(sin, (0.5,), order=0), ValueError, "order"),
        (lambda: check_grads(sin, (0.5,), argnums=1), ValueError, "argnums"),
        (lambda: check_grads(sin, (0.5,), only="x"), ValueError, "none of the inputs"),
        (lambda: check_grads(sin, (0.5,), undecided="no"), ValueError, "undecided"),
        (lambda: check_grads(sin, (0.5,), gradient=[math.cos], order=2), ValueError, "order 2"),
        (lambda: check_grads(sin, (0.5,), gradient=3.0), TypeError, "expected a function"),  # type: ignore[arg-type]
        (lambda: check_grads(sin, (0.5,), gradient=lambda x: [1.0, 2.0]), ValueError, "2 number.s., but 1 output"),
        (lambda: check_grads(lambda x: x + 1j, (0.5,), gradient=math.cos), TypeError, "complex"),
        (lambda: check_grads(lambda x: 1 / x, (0.0,), gradient=math.cos), ZeroDivisionError, "division"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


# ---- measuring -------------------------------------------------------------------------------------------------------


@given(st.floats(-2.0, 2.0), st.integers(-14, -6))
def test_the_estimate_bounds_the_error_of_the_stencil(x: float, k: int) -> None:
    level = measure(k, [math.exp(x + m * 2.0**k) for m in range(-3, 4)], 2.0**-50 / 2.0**k)
    assert abs(level.slope - math.exp(x)) <= level.error + 4.0 * level.grain / level.h


def test_huge_and_tiny_values_are_measured_without_overflow() -> None:
    level = measure(0, [1.7e308 * (1 + 1e-3 * m) / 1.01 for m in range(-3, 4)])
    assert level.slope == pytest.approx(1.7e305 / 1.01)
    level = measure(-1060, [m * 5e-324 for m in range(-3, 4)])
    assert level.slope == pytest.approx(5e-324 / 2.0**-1060)


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [(math.exp, 1.0, math.e), (lambda x: x * x, 1e-160, 2e-160), (lambda x: x * x, 1e150, 2e150), (math.cos, 0.0, 0.0)],
)
def test_derivatives_are_measured_with_their_errors(f: Callable[[float], float], x: float, slope: float) -> None:
    found = measure_derivative(f, x)
    assert abs(found.df - slope) <= 4.0 * found.error
    assert found.error <= 1e-10 * max(slope, 0.01) or slope == 0.0


def test_where_there_is_no_derivative_none_is_measured() -> None:
    for f, x, note in [(abs, 0.0, "left-hand"), (math.floor, 2.0, "jumps"), (math.sqrt, 0.0, "math domain error")]:
        found = measure_derivative(f, x)
        assert math.isnan(found.df)
        assert found.error == math.inf
        assert note in found.note
    with pytest.raises(TypeError, match="one real number"):
        measure_derivative(lambda x: [x, x], 1.0)


def test_an_operation_is_checked_on_the_domain_that_it_declares() -> None:
    seen: list[float] = []

    def area(a: float) -> float:
        seen.append(a)
        return math.sqrt(a)

    right = sg.primitive(lambda y, a: 0.5 * a**-0.5, domain=[(0.0, math.inf)])(area)
    reports = check_primitive(right, points=5)
    assert len(reports) == 5
    assert all(report.counts.get(State.AGREES, 0) == 2 for report in reports)
    assert min(seen) > 0.0
    assert max(seen) < 6.0

    wrong = sg.primitive(lambda y, a: 0.5000001 * a**-0.5, domain=[(0.0, math.inf)])(area)
    with pytest.raises(GradientError):
        check_primitive(wrong)
    with pytest.raises(TypeError, match="made by @primitive"):
        check_primitive(math.sqrt)  # type: ignore[arg-type]


def test_an_operation_on_any_number_of_operands_is_checked_on_three() -> None:
    for row in (primitives.logsumexp, primitives.prod, primitives.atan2, primitives.cbrt, primitives.acosh):
        assert len(check_primitive(row, points=3)) == 3
