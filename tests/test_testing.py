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
from scalargrad import Value, exp, grad, hypot, jacobian, relu, sin, sqrt, tanh
from scalargrad.engine import table
from scalargrad.engine.chain_rule import topological_order
from scalargrad.engine.table import Primitive
from scalargrad.testing import GradientError, Program, Report, State, UndecidedError, check_grads, expressions, programs
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
    (lambda x, y: hypot(x, y), (1e-200, 1e200)),
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
            found["told"] += 1
            continue
        agreed = zip(report.findings, right, strict=True)
        assert all(abs(each.verdict.claimed - x) <= 2.0 * each.verdict.tolerance for each, x in agreed), (f, args, row)
        found["below the tolerance"] += 1
    assert found["told"] > 20
    assert found["below the tolerance"] <= 0.05 * found["told"]


@pytest.mark.parametrize("row", [row for row in table.TABLE.values() if row.local and row.arity in (1, 2)], ids=repr)
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


# ---- pairs of function and claim -------------------------------------------------------------------------------------


def test_any_callables_will_do_and_several_orders() -> None:
    def hessian(x: float, y: float) -> list[list[float]]:
        return [[2.0 * y, 2.0 * x], [2.0 * x, 0.0]]

    def gradient(x: float, y: float) -> tuple[float, float]:
        return (2.0 * x * y, x * x)

    report = check_grads(lambda x, y: x * x * y, (1.5, 2.0), gradient=[gradient, hessian])
    assert report.counts == {State.AGREES: 6}
    with pytest.raises(GradientError):
        check_grads(lambda x, y: x * x * y, (1.5, 2.0), gradient=[gradient, lambda x, y: [[2.0 * y, x], [2 * x, 0.0]]])


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
def test_bad_arguments_are_told(call: Callable[[], Any], error: type[Exception], text: str) -> None:
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


def test_an_operation_is_checked_on_the_domain_that_it_declares() -> None:
    seen: list[float] = []

    def area(a: float) -> float:
        seen.append(a)
        return math.sqrt(a)

    from scalargrad import primitive
    from scalargrad.testing import check_primitive

    right = primitive(lambda y, a: 0.5 * a**-0.5, domain=[(0.0, math.inf)])(area)
    reports = check_primitive(right, points=5)
    assert len(reports) == 5
    assert all(report.counts.get(State.AGREES, 0) == 2 for report in reports)
    assert min(seen) > 0.0
    assert max(seen) < 6.0

    wrong = primitive(lambda y, a: 0.5000001 * a**-0.5, domain=[(0.0, math.inf)])(area)
    with pytest.raises(GradientError):
        check_primitive(wrong)
    with pytest.raises(TypeError, match="made by @primitive"):
        check_primitive(math.sqrt)  # type: ignore[arg-type]


def test_an_operation_on_any_number_of_operands_is_checked_on_three() -> None:
    from scalargrad.engine import table
    from scalargrad.testing import check_primitive

    for row in (table.logsumexp, table.prod, table.atan2, table.cbrt, table.acosh):
        assert len(check_primitive(row, points=3)) == 3
