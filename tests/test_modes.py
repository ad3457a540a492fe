"""`no_grad` and `detect_anomaly`: nesting, decorating, exceptions, generators, threads, tasks, and what they report."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import math
import threading
from collections.abc import AsyncIterator, Iterator
from math import inf, isnan, nan
from typing import Any

import pytest

import scalargrad as sg
from scalargrad import AnomalyError, Value, detect_anomaly, no_grad
from scalargrad.engine import modes


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    assert modes.active == 0
    yield
    assert modes.active == 0
    assert modes.current() == modes.Mode()


def recording() -> bool:
    """Whether an operation records now, as a user would see it."""
    return bool((Value(1.0) * 2).parents)


def detecting() -> bool:
    try:
        sg.log(Value(0.0))
    except AnomalyError:
        return True
    return False


# ---- no_grad ---------------------------------------------------------------------------------------------------------


def test_under_no_grad_every_kind_of_operation_gives_a_constant() -> None:
    x = Value(2.0)
    with no_grad():
        results = [x + 1, 1 - x, x * x, -x, x**2, 2**x, x ** Value(3.0), abs(x), sg.sin(x), x.relu(), sg.sum([x, x]),
                   sg.dot([x], [x]), sg.where(x > 0, x, 1), round(x), x % 2, sg.max(x, 1.0)]  # fmt: skip
    for y in results:
        assert type(y) is Value
        assert y.is_constant
        assert y.parents == ()
    assert [y.data for y in results[:4]] == [3.0, -1.0, 4.0, -2.0]


def test_leaves_made_under_no_grad_are_leaves() -> None:
    with no_grad():
        w = Value(2.0, label="w")
    assert w.is_leaf
    y = w * w
    y.backward()
    assert w.grad == 4.0


def test_what_was_computed_under_no_grad_stops_the_gradient() -> None:
    x = Value(3.0)
    with no_grad():
        scale = x * 2
    y = x * scale
    y.backward()
    assert x.grad == 6.0


def test_backward_works_under_no_grad() -> None:
    x = Value(3.0)
    y = x**3
    with no_grad():
        y.backward()
    assert x.grad == 27.0


def test_backward_with_create_graph_records_under_no_grad() -> None:
    x = Value(2.0)
    y = x**3
    y.backward()  # so that there is something to add to, which must be recorded, too
    with no_grad():
        y.backward(create_graph=True)
        assert not recording()
    total = x.grad
    assert total.data == 24.0
    x.zero_grad()
    total.backward()
    assert x.grad == 12.0


def test_derivatives_work_under_no_grad_and_are_floats() -> None:
    with no_grad():
        assert sg.grad(lambda x: x**3)(2.0) == 12.0
        assert sg.grad(sg.grad(lambda x: x**3))(2.0) == 12.0
        assert sg.hessian(lambda x: x[0] * x[0] * x[1])([1.0, 2.0]) == [[4.0, 2.0], [2.0, 0.0]]
        assert sg.hvp(lambda x: x**3, (2.0,), (1.0,)) == 12.0
        assert not recording()


def test_no_grad_inside_a_differentiated_function_holds() -> None:
    def f(x: Any) -> Any:
        with no_grad():
            c = x * x
        return c * x

    assert sg.grad(f)(3.0) == 9.0
    assert sg.jvp(f, (3.0,), (1.0,)) == (27.0, 9.0)


def test_an_inner_derivative_under_no_grad_is_a_constant_to_the_outer_one() -> None:
    def slope(x: Any) -> Any:
        with no_grad():
            return sg.grad(lambda z: z**3)(x)

    assert sg.grad(lambda x: x * slope(x))(2.0) == 12.0


def test_nesting_and_reentering() -> None:
    context = no_grad()
    with context:
        with context:
            assert not recording()
            with no_grad():
                assert not recording()
        assert not recording()
    assert recording()
    with context:
        assert not recording()
    assert recording()


def test_modes_nest_in_each_other() -> None:
    with detect_anomaly():
        assert detecting()
        with no_grad():
            assert not recording()
            assert detecting()
        assert recording()
        assert detecting()
    assert not detecting()


def test_an_exception_ends_the_mode() -> None:
    for context in (no_grad, detect_anomaly):
        with pytest.raises(KeyError), context():
            raise KeyError
        assert recording()
        assert not detecting()


def test_as_decorators() -> None:
    @no_grad()
    def predict(x: Value, scale: float = 2.0) -> Value:
        """Predict."""
        return x * scale

    x = Value(3.0)
    for _ in range(2):
        y = predict(x, scale=4.0)
        assert (y.data, y.parents) == (12.0, ())
    assert predict.__name__ == "predict"
    assert predict.__doc__ == "Predict."
    assert recording()

    @detect_anomaly()
    def f(x: Value) -> Value:
        return sg.log(x)

    with pytest.raises(AnomalyError):
        f(Value(0.0))
    assert not detecting()


def test_a_decorated_function_may_recurse() -> None:
    @no_grad()
    def down(n: int) -> bool:
        return recording() or (n > 0 and down(n - 1))

    assert down(5) is False
    assert recording()


def test_a_decorated_coroutine_function_holds_the_mode_in_its_body() -> None:
    @no_grad()
    async def predict() -> list[bool]:
        first = recording()
        await asyncio.sleep(0)
        return [first, recording()]

    async def main() -> list[list[bool]]:
        together = asyncio.gather(predict(), predict())
        await asyncio.sleep(0)
        assert recording()
        return await together

    assert asyncio.run(main()) == [[False, False]] * 2


def test_a_generator_function_cannot_be_decorated_and_the_error_says_what_to_do() -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def stream() -> AsyncIterator[int]:
        yield 1

    for function in (generator, stream):
        with pytest.raises(TypeError, match=r"with no_grad\(\):"):
            no_grad()(function)


def test_generators_with_a_mode_inside_that_end_in_order() -> None:
    def generator() -> Iterator[bool]:
        with no_grad():
            yield recording()
        yield recording()

    assert list(generator()) == [False, True]
    assert recording()


def test_a_generator_that_ends_its_mode_while_a_later_one_is_open() -> None:
    def generator() -> Iterator[None]:
        with no_grad():
            yield

    g = generator()
    next(g)
    with detect_anomaly():
        assert not recording()
        next(g, None)
        assert recording()
        assert detecting()
    assert not detecting()
    assert recording()


def test_a_generator_closed_early_ends_its_mode() -> None:
    def generator() -> Iterator[None]:
        with no_grad():
            yield

    g = generator()
    next(g)
    g.close()
    assert recording()
    g = generator()
    next(g)
    del g
    gc.collect()
    assert recording()


def test_a_mode_left_in_another_context_than_it_was_entered_in() -> None:
    def generator() -> Iterator[None]:
        with no_grad():
            yield

    g = generator()
    contextvars.copy_context().run(next, g)
    assert recording()
    next(g, None)  # here nothing was entered, so nothing may be left
    assert recording()
    with no_grad():
        assert not recording()
    assert recording()


# ---- group -----------------------------------------------------------------------------------------------------------


def test_groups_name_what_is_made_inside() -> None:
    x = Value(1.0)
    with sg.group("layer1"):
        w = Value(2.0)
        y = x * w
        with sg.group("neuron0"):
            z = y + 1.0
        after = -z
    outside = after * 2.0
    assert [v.group for v in (x, w, y, z, after, outside)] == ["", "layer1", "layer1", "layer1/neuron0", "layer1", ""]
    assert (z.data, after.data, outside.data) == (3.0, -3.0, -6.0)
    outside.backward()
    assert (x.grad, w.grad) == (-4.0, -2.0)


def test_groups_nest_with_other_modes_and_end_with_an_exception() -> None:
    with sg.group("a"):
        with no_grad():
            assert not recording()
            assert (Value(1.0) * 2.0).is_constant
        with pytest.raises(KeyError), sg.group("b"):
            raise KeyError
        assert (Value(1.0) * 2.0).group == "a"
    assert (Value(1.0) * 2.0).group == ""


def test_a_group_is_of_one_thread() -> None:
    seen: list[str] = []
    with sg.group("mine"):
        thread = threading.Thread(target=lambda: seen.append((Value(1.0) * 2.0).group))
        thread.start()
        thread.join()
    assert seen == [""]


@pytest.mark.parametrize("wrong", ["", "/", None, 3])
def test_a_group_needs_a_name(wrong: Any) -> None:
    with pytest.raises(TypeError, match="group: expected a name"):
        sg.group(wrong)


# ---- threads and tasks -----------------------------------------------------------------------------------------------


def test_a_mode_does_not_reach_other_threads() -> None:
    inside, done = threading.Event(), threading.Event()
    seen: list[bool] = []

    def other() -> None:
        with no_grad(), detect_anomaly():
            inside.set()
            done.wait(10)
            seen.extend((recording(), detecting()))

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    assert modes.active == 2
    assert recording()
    assert not detecting()
    done.set()
    thread.join()
    assert seen == [False, True]


def test_a_thread_started_under_a_mode_begins_without_it() -> None:
    seen: list[bool] = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(recording()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_the_count_of_open_modes_is_right_after_many_threads() -> None:
    def job() -> None:
        for _ in range(300):
            with no_grad():
                pass

    threads = [threading.Thread(target=job) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert modes.active == 0


def test_tasks_that_take_turns_each_have_their_own_mode() -> None:
    async def quiet(k: int) -> list[bool]:
        seen = []
        with no_grad():
            for _ in range(3):
                seen.append(recording())
                await asyncio.sleep(0)
        return seen

    async def loud(k: int) -> list[bool]:
        seen = []
        for _ in range(3):
            seen.append(recording() and not detecting())
            await asyncio.sleep(0)
        return seen

    async def careful(k: int) -> list[bool]:
        seen = []
        with detect_anomaly():
            for _ in range(3):
                seen.append(recording() and detecting())
                await asyncio.sleep(0)
        return seen

    async def main() -> list[list[bool]]:
        return await asyncio.gather(quiet(0), loud(0), careful(0), quiet(1), loud(1))

    assert asyncio.run(main()) == [[False] * 3, [True] * 3, [True] * 3, [False] * 3, [True] * 3]


def test_a_cancelled_task_ends_its_mode() -> None:
    async def stuck() -> None:
        with no_grad():
            await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.create_task(stuck())
        await asyncio.sleep(0)
        assert modes.active == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert recording()

    asyncio.run(main())


# ---- detect_anomaly: values ------------------------------------------------------------------------------------------


def _message(error: pytest.ExceptionInfo[AnomalyError]) -> str:
    return str(error.value)


def test_the_first_operation_that_leaves_the_finite_numbers_is_named_with_operands_and_line() -> None:
    x, w = Value(0.0, label="x"), Value(3.0)
    with detect_anomaly(), pytest.raises(AnomalyError) as error:
        w / x  # the line
    assert "div gave inf from finite operands: x" not in _message(error)
    assert "div gave inf from finite operands: 3.0, x = 0.0" in _message(error)
    assert f"{__file__}:" in _message(error)
    assert "w / x  # the line" in _message(error)


@pytest.mark.parametrize(
    ("name", "f", "at"),
    [
        ("log", sg.log, 0.0),
        ("log", sg.log, -1.0),
        ("sqrt", sg.sqrt, -1.0),
        ("exp", sg.exp, 1e3),
        ("mul", lambda x: x * x, 1e200),
        ("pow", lambda x: x**0.5, -1.0),
        ("pow", lambda x: x ** Value(-1.0), 0.0),
        ("sum", lambda x: sg.sum([x, x]), 1e308),
        ("dot", lambda x: sg.dot([x], [x]), 1e308),
        ("div", lambda x: 1 / x, 0.0),
        ("sub", lambda x: -1e308 - x, 1e308),
    ],
)
def test_operations_that_are_caught(name: str, f: Any, at: float) -> None:
    f(Value(at))  # raises nothing without the mode
    with detect_anomaly(), pytest.raises(AnomalyError, match=rf"^{name}"):
        f(Value(at))


def test_a_value_that_was_not_finite_already_is_no_anomaly() -> None:
    with detect_anomaly():
        y = Value(inf) * 2 + Value(nan) - 1
    assert isnan(y.data)


def test_anomalies_are_found_under_no_grad_too() -> None:
    with no_grad(), detect_anomaly(), pytest.raises(AnomalyError, match="log"):
        sg.log(Value(0.0))


def test_an_anomaly_is_an_arithmetic_error() -> None:
    assert issubclass(AnomalyError, ArithmeticError)


def test_the_line_is_that_of_the_users_code_not_of_the_library() -> None:
    def users_function(x: Any) -> Any:
        return sg.log(sg.mean([x, x]))  # this line

    for run in (lambda: users_function(Value(0.0)), lambda: sg.grad(users_function)(0.0)):
        with detect_anomaly(), pytest.raises(AnomalyError) as error:
            run()
        assert "# this line" in _message(error)


# ---- detect_anomaly: gradients ---------------------------------------------------------------------------------------


def test_a_local_gradient_that_is_not_finite_is_named() -> None:
    x = Value(0.0, label="x")
    with detect_anomaly():
        y = sg.sqrt(x) * 3.0  # recorded here
        with pytest.raises(AnomalyError) as error:
            y.backward()
    assert "gradient of sqrt by operand 1" in _message(error)
    assert "upstream 3.0 x local inf" in _message(error)
    assert "x = 0.0" in _message(error)
    assert "# recorded here" in _message(error)
    assert x.grad == 0.0
    assert y.grad == 0.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_graph_recorded_before_the_mode_is_checked_without_a_line(create_graph: bool) -> None:
    x = Value(0.0)
    y = sg.sqrt(x)
    with detect_anomaly(), pytest.raises(AnomalyError) as error:
        y.backward(create_graph=create_graph)
    assert "sqrt" in _message(error)
    assert "div" not in _message(error) or create_graph
    if not create_graph:
        assert "recorded outside detect_anomaly()" in _message(error)


def test_a_product_that_overflows_is_found() -> None:
    x = Value(1e-200)
    with detect_anomaly():
        y = x * 1e200 * 1e200
        with pytest.raises(AnomalyError, match="gradient of mul by operand 1"):
            y.backward(seed=1e10)


def test_contributions_that_add_up_to_infinity_are_found() -> None:
    x = Value(1.0, label="x")
    with detect_anomaly():
        y = x * 1.5e308 + (x - 2) * 1.5e308
        assert y.data == 0.0
        with pytest.raises(AnomalyError, match=r"gradient of x add up to inf"):
            y.backward()
    assert x.grad == 0.0


def test_contributions_that_add_up_to_infinity_are_found_in_functions() -> None:
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"add up to inf"):
        sg.grad(lambda x: x * 1.5e308 + (x - 2) * 1.5e308)(1.0)


def test_what_receives_no_gradient_is_no_anomaly() -> None:
    x = Value(0.0)
    with detect_anomaly():
        y = sg.where(x > 0, sg.sqrt(x), x * 2) + 0.0 * sg.sqrt(x)
        y.backward()
    assert x.grad == 2.0


def test_a_seed_that_is_not_finite_is_no_anomaly() -> None:
    x = Value(2.0)
    with detect_anomaly():
        (x * 3.0).backward(seed=inf)
    assert x.grad == inf


def test_what_an_infinite_operand_brings_is_no_anomaly() -> None:
    x, w = Value(inf), Value(2.0)
    with detect_anomaly():
        (x * w * 3.0).backward()
    assert (x.grad, w.grad) == (6.0, inf)


def test_derivatives_of_functions_are_checked() -> None:
    with detect_anomaly():
        assert sg.grad(lambda x: x * x)(3.0) == 6.0
        assert sg.grad(sg.grad(lambda x: x**3))(3.0) == 18.0
        with pytest.raises(AnomalyError, match="sqrt"):
            sg.grad(sg.sqrt)(0.0)
        with pytest.raises(AnomalyError):
            sg.grad(sg.grad(sg.sqrt))(0.0)


# ---- detect_anomaly: stale graphs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_graph_whose_data_were_changed_is_found(create_graph: bool) -> None:
    x = Value(2.0, label="x")
    with detect_anomaly():
        y = x**3  # the recording
        x.data = 5.0
        with pytest.raises(AnomalyError) as error:
            y.backward(create_graph=create_graph)
    assert "stale graph" in _message(error)
    assert "8.0" in _message(error)
    assert "125.0" in _message(error)
    assert "x = 5.0" in _message(error)
    assert "# the recording" in _message(error)


def test_a_changed_inner_node_is_found() -> None:
    x = Value(2.0)
    with detect_anomaly():
        h = x * x
        y = h * 3.0
        h.data = 1.0
        with pytest.raises(AnomalyError, match="stale graph"):
            y.backward()


def test_a_step_of_gradient_descent_between_forward_and_backward_is_found_and_one_after_is_not() -> None:
    w = Value(1.0)
    with detect_anomaly():
        for _ in range(3):
            loss = (w - 3.0) ** 2
            w.zero_grad()
            loss.backward()
            w.data -= 0.1 * w.grad
        with pytest.raises(AnomalyError, match="stale"):
            loss.backward()


def test_a_nan_that_stays_is_not_stale() -> None:
    x = Value(nan)
    with detect_anomaly():
        y = x * 2.0
        y.backward()
    assert x.grad == 2.0


def test_the_mode_costs_the_ordinary_path_nothing_that_stays() -> None:
    x = Value(2.0)
    with detect_anomaly():
        y = x * x
    assert math.isclose((x * x).data, y.data)
    assert not hasattr(x * x, "_origin")


def test_the_demos_in_a_wheel_are_a_users_code() -> None:
    from pathlib import Path

    import scalargrad
    from scalargrad.engine import modes

    package = Path(scalargrad.__file__).parent
    assert modes.is_ours(str(package / "value.py"))
    assert not modes.is_ours(str(package / "_tour" / "10_compile.py"))
    assert not modes.is_ours(__file__)
