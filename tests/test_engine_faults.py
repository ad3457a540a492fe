"""Faults of the engine that were reported: each by its own input."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scalargrad as sg
from scalargrad import AnomalyError, Value, detect_anomaly, grad, group, no_grad
from scalargrad.activations import hardsigmoid, hardtanh


@pytest.mark.parametrize(
    "f",
    [
        lambda x: sg.cos(sg.sqrt(x)),
        lambda x: sg.sqrt(x) ** 2,
        lambda x: sg.abs(sg.sqrt(x)),
        lambda x: (lambda s: s - s)(sg.sqrt(x)),
        lambda x: sg.sin(x) * sg.log(x),
    ],
)
def test_a_computed_zero_that_meets_an_infinite_local_gradient_is_an_anomaly(f: Callable[[Any], Any]) -> None:
    if f(0.0) == f(0.0):
        assert grad(f)(0.0) == 0.0
    with detect_anomaly(), pytest.raises(AnomalyError):
        grad(f)(0.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: sg.where(x > 0.0, sg.sqrt(x), 0.0),
        lambda x: sg.relu(sg.sqrt(x) - 1.0),
        lambda x: sg.max(sg.sqrt(x) - 1.0, 0.0),
        lambda x: sg.clamp(sg.sqrt(x), 1.0, 2.0),
        lambda x: 0.0 * sg.sqrt(x),
        lambda x: sg.dot([0.0, 1.0], [sg.sqrt(x), x]),
    ],
)
def test_a_zero_of_what_is_not_selected_is_none(f: Callable[[Any], Any]) -> None:
    with detect_anomaly():
        assert grad(f)(0.0) in (0.0, 1.0)


class Noted(Value):
    def __init__(self, x: float, note: Any) -> None:
        super().__init__(x)
        self.note = note


class Slotted(Value):
    __slots__ = ("extra",)


WAYS = [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]


@pytest.mark.parametrize("way", WAYS)
def test_a_class_derived_from_value_keeps_itself_and_its_attributes(way: Callable[[Any], Any]) -> None:
    noted, slotted = Noted(2.0, ["a"]), Slotted(1.0)
    slotted.extra = 5
    found = way(noted)
    assert (type(found), found.note, found.data) == (Noted, ["a"], 2.0)
    assert found.note is not noted.note
    assert (type(way(slotted)), way(slotted).extra) == (Slotted, 5)
    product = way(noted * slotted)
    assert [type(p) for p in product.parents] == [Noted, Slotted]


def test_values_take_weak_references() -> None:
    x = Value(1.0)
    reference = weakref.ref(x)
    assert reference() is x
    del x
    assert reference() is None


def test_what_is_assigned_to_data_is_converted_or_refused() -> None:
    w = Value(1.0)
    w.data = np.float32(0.1)
    assert (w.data, type(w.data)) == (float(np.float32(0.1)), float)
    w.data = True
    assert (w.data, type(w.data)) == (1.0, float)
    for wrong in ("x", None, w - 0.1 * w, [1.0], 1j):
        with pytest.raises(TypeError, match="data: expected a real number"):
            w.data = wrong  # type: ignore[assignment]
    assert w.data == 1.0
    w.grad = None
    (w * 2.0).backward()
    assert w.grad == 2.0
    with pytest.raises(TypeError, match="grad"):
        w.grad = "x"


def test_reading_a_number_in_a_differentiated_function_is_an_error() -> None:
    outside = Value(2.0)
    for f in (lambda x: x.data**2, lambda x: (x * 2.0).data, lambda x: grad(lambda t: t * x.data)(1.0)):
        with pytest.raises(TypeError, match=r"reading \.data"):
            grad(f)(3.0)
    assert grad(lambda x: x * x.detach().data)(3.0) == 3.0
    assert grad(lambda x: x * outside.data)(3.0) == 2.0
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: x / 0 if False else 1 // 0)(3.0)
    assert Value(1.0).data == 1.0


def test_what_users_of_other_libraries_write_is_an_error_that_helps() -> None:
    v = Value(1.0)
    for use, text in (
        (lambda: v.item(), r"v\.data"),
        (lambda: v.numpy(), r"v\.data"),
        (lambda: (v * 2.0).backward(retain_graph=True), "graphs are kept"),
        (lambda: grad(v * v), r"backward\(\)"),
        (lambda: sg.softmax, r"scalargrad\.activations"),
        (lambda: sg.MLP, r"scalargrad\.nn"),
    ):
        with pytest.raises((TypeError, AttributeError), match=text):
            use()
    assert not hasattr(v, "item")
    assert "item" not in dir(v)
    assert not hasattr(sg, "__nothing__")


def test_a_mode_ends_with_its_generator_wherever_that_is_closed() -> None:
    from threading import Thread

    def numbers() -> Any:
        with no_grad():
            yield 1
            yield 2

    running = numbers()
    next(running)
    closing = Thread(target=running.close)
    closing.start()
    closing.join()
    del running
    gc.collect()
    with group("a"):
        y = Value(2.0) * 3.0
    assert (y.group, len(y.parents)) == ("a", 2)


class Interrupted(no_grad):
    """Ctrl-C comes while the mode is entered, or left."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        super().__enter__()
        if self.where == "in":
            raise KeyboardInterrupt

    def __exit__(self, *error: Any) -> None:
        if self.where == "out":
            raise KeyboardInterrupt
        super().__exit__(*error)


@pytest.mark.parametrize("where", ["in", "out"])
def test_a_mode_that_was_interrupted_does_not_stay(where: str) -> None:
    with pytest.raises(KeyboardInterrupt), Interrupted(where):
        pass
    gc.collect()
    with group("a"):
        y = Value(2.0) * 3.0
    assert (y.group, len(y.parents)) == ("a", 2)


@pytest.mark.parametrize("x", [0.0, 1.0, 1.5])
def test_clamp_with_crossing_bounds_is_its_high_one(x: float) -> None:
    assert grad(sg.clamp, (0, 1, 2))(x, 2.0, 1.0) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: sg.sqrt(x), lambda x: sg.cos(sg.sqrt(x)), lambda x: [x, sg.sqrt(x)],
        lambda x: sg.fori_loop(0, 2, lambda i, c: sg.sqrt(c), x),
    ],
)  # fmt: skip
def test_forward_mode_reports_an_anomaly_as_well(f: Callable[[Any], Any]) -> None:
    for differentiate in (lambda: sg.jvp(f, (0.0,), (1.0,)), lambda: sg.jacobian(lambda x: [x, f(x), x])(0.0)):
        differentiate()
        with (
            detect_anomaly(),
            pytest.raises(AnomalyError, match=r"(?s)sqrt is not finite, at operands 0\.0.*recorded at"),
        ):
            differentiate()


def test_forward_mode_is_silent_where_nothing_is_wrong() -> None:
    with detect_anomaly():
        assert sg.jvp(lambda x: sg.where(x > 0, sg.sqrt(x), 0.0), (0.0,), (1.0,)) == (0.0, 0.0)
        assert sg.jvp(lambda x: x * x, (1.0,), (float("inf"),)) == (1.0, float("inf"))


@pytest.mark.parametrize("f", [hardtanh, hardsigmoid, lambda x: hardtanh(x, -4.0, 0.5)])
def test_a_bounded_activation_selects_as_clamp_does(f: Callable[[Any], Any]) -> None:
    low = f(-5.0)
    assert grad(lambda x: sg.sqrt(f(x) - low))(-5.0) == 0.0
    assert sg.jvp(lambda x: sg.sqrt(f(x) - low), (-5.0,), (1.0,)) == (0.0, 0.0)
    with detect_anomaly():
        assert grad(lambda x: f(sg.sqrt(x) - 5.0))(0.0) == 0.0
