"""Compiled training: the same bits as on `Value`s, and never a program in the place of what it cannot repeat."""

import json
import math
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalargrad import Value, detect_anomaly, dot, exp, losses, optim
from scalargrad.compiler import GuardLimitError, TraceError
from scalargrad.compiler.backends import native as native_backend
from scalargrad.compiler.batching.batch import SMALLEST_CHUNK
from scalargrad.compiler.ir.program import bits
from scalargrad.engine.anomaly import AnomalyError
from scalargrad.functions import primitives
from scalargrad.nn import MLP, Module
from scalargrad.optim import SGD, Adam, NonFiniteGradientError, Optimizer, RMSProp, clip_grad_norm
from scalargrad.schedules import Cosine, Exponential, ReduceOnPlateau
from scalargrad.training import History, Training, fit, trainer
from scalargrad.training.compiled import CompiledObjective, CompiledStep
from scalargrad.training.objective import Objective, OptimizerStep

BACKENDS = ["python", "native"]
ADAM = partial(Adam, lr=0.05)
R = random.Random(5)
INPUTS = [[R.gauss(0.0, 1.0) for _ in range(3)] for _ in range(22)]
NUMBERS = [R.gauss(0.0, 1.0) for _ in INPUTS]
PAIRS = [[R.gauss(0.0, 1.0), R.gauss(0.0, 1.0)] for _ in INPUTS]
SIGNS = [R.choice([-1, 1]) for _ in INPUTS]
CLASSES = [R.randrange(4) for _ in INPUTS]
SHARES = [[0.25, 0.5, 0.25, 0.0] if k == 0 else [float(j == k) for j in range(4)] for k in CLASSES]


@pytest.fixture(autouse=True, params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs with machine code, and as if llvmlite were not there."""
    if request.param == "native":
        pytest.importorskip("llvmlite")
    else:
        monkeypatch.setattr(native_backend, "available", lambda batches=False: False)
        monkeypatch.setattr(native_backend, "at_once", lambda batches=False: False)
    return str(request.param)


def everything(model: Module, optimizer: Optimizer, history: History) -> str:
    """All that a training leaves behind, to the last bit."""
    gradients = [p.grad for p in model.parameters()]
    kept = [model.state_dict(), optimizer.state_dict(), gradients, history.columns, history.best_epoch, history.stopped]
    return json.dumps(kept)


def trained(
    compile: Any,  # noqa: A002  # as fit has it
    make: Callable[[], Module] = lambda: MLP(3, [4, 1], activation="tanh", seed=1),
    targets: list[Any] = NUMBERS,
    loss: Callable[..., Any] = losses.mean_squared_error,
    optimizer: Callable[..., Optimizer] = ADAM,
    **arguments: Any,
) -> tuple[str, History]:
    model = make()
    own = optimizer(model.parameters())
    given = {"epochs": 3, "batch_size": 9, "progress": False} | arguments
    history = fit(model, (INPUTS, targets), loss, own, compile=compile, **given)
    return everything(model, own, history), history


def agree(fresh: Callable[[], dict[str, Any]] | None = None, **arguments: Any) -> History:
    """Both ways give the same; `fresh` makes arguments that have a state."""
    made = fresh or dict
    eager, plain = trained(False, **arguments, **made())
    compiled, history = trained(True, **arguments, **made())
    assert plain.compiled == "no: compile=False"
    assert history.compiled in ("machine code", "Python source")
    assert compiled == eager
    return history


def refused(text: str, error: type[Exception], **arguments: Any) -> None:
    """Where a program cannot repeat it, "auto" does as without compiling and says why, and True raises."""
    eager, _ = trained(False, **arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "MARGIN", 0.0)
        found, history = trained("auto", **arguments)
    assert found == eager
    assert history.compiled.startswith("no: ")
    assert text in history.compiled
    with pytest.raises(error) as caught:
        trained(True, **arguments)
    assert text in f"{type(caught.value).__name__}: {caught.value}"


# ---- losses ----------------------------------------------------------------------------------------------------------


def spread(predictions: list[Any], targets: list[Any]) -> Any:
    """A loss that is no mean over samples, and looks at numbers."""
    middle = primitives.mean(*predictions)
    weight = 2.0 if max(p.data if isinstance(p, Value) else p for p in predictions) > 0.5 else 1.0
    return weight * primitives.mean(*[(p - middle) ** 2 * t for p, t in zip(predictions, targets, strict=True)])


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "output"),
    [
        (losses.mean_squared_error, 1, NUMBERS, "identity"),
        (losses.mean_squared_error, 2, PAIRS, "identity"),
        (losses.mean_absolute_error, 1, NUMBERS, "identity"),
        (partial(losses.huber, delta=0.5), 2, PAIRS, "identity"),
        (losses.hinge, 1, SIGNS, "identity"),
        (losses.binary_cross_entropy, 1, [float(s > 0) for s in SIGNS], "sigmoid"),
        (losses.binary_cross_entropy_with_logits, 1, [s > 0 for s in SIGNS], "identity"),
        (partial(losses.binary_cross_entropy_with_logits, pos_weight=3.0), 1, [int(s > 0) for s in SIGNS], "identity"),
        (losses.cross_entropy, 4, CLASSES, "identity"),
        (losses.cross_entropy, 4, SHARES, "identity"),
        (partial(losses.cross_entropy, label_smoothing=0.1), 4, CLASSES, "identity"),
        (partial(losses.cross_entropy, class_weights=[1.0, 2.0, 3.0, 4.0]), 4, CLASSES, "identity"),
        (partial(losses.cross_entropy, reduction="sum"), 4, CLASSES, "identity"),
        (losses.categorical_cross_entropy, 4, CLASSES, "softmax"),
        (losses.negative_log_likelihood, 4, CLASSES, "log_softmax"),
        (losses.kl_divergence, 4, SHARES, "softmax"),
        (lambda ps, ts: sum((p - t) ** 2 for p, t in zip(ps, ts, strict=True)), 1, NUMBERS, "identity"),
        (spread, 1, NUMBERS, "identity"),
    ],
)
def test_every_loss_trains_to_the_same_bits(loss, outputs, targets, output) -> None:  # type: ignore[no-untyped-def]
    agree(
        make=lambda: MLP(3, [4, outputs], activation="tanh", output=output, seed=2), loss=loss, targets=targets,
        validation=(INPUTS[:7], targets[:7]),
    )  # fmt: skip


@pytest.mark.parametrize("reach", [1e3, 1e160, math.inf])
def test_extreme_predictions_give_the_same_bits(reach: float) -> None:
    """Saturated, overflowing and infinite losses, straight from the objective: a step would only move to nan."""
    for loss, outputs, targets in (
        (losses.cross_entropy, 4, CLASSES), (losses.hinge, 1, SIGNS), (losses.mean_squared_error, 1, NUMBERS),
    ):  # fmt: skip
        model = MLP(3, [outputs])
        weights = [reach * R.choice([-1.0, 1.0]) for _ in model.parameters()]
        for p, w in zip(model.parameters(), weights, strict=True):
            p.data = w
        objective = Objective(model, model.parameters(), loss, None)
        programs = CompiledObjective(objective, "python", weights, INPUTS[0])
        eager, compiled = objective(INPUTS, targets), programs(weights, INPUTS, targets)
        assert bits(eager[0]) == bits(compiled[0]) or eager[0] != eager[0] != compiled[0]
        for a, b in zip(eager[1], compiled[1], strict=True):
            assert bits(a) == bits(b) or (a != a and b != b)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=2),
    st.sampled_from(["relu", "tanh", "sigmoid", "elu", "leaky_relu"]),
    st.integers(1, 22),
    st.integers(0, 9),
)
@settings(max_examples=12, deadline=None)
def test_networks_of_any_shape_in_batches_of_any_size(sizes: list[int], activation: str, size: int, seed: int) -> None:
    agree(make=lambda: MLP(3, [*sizes, 1], activation=activation, seed=seed), batch_size=size, epochs=2, seed=seed)


def test_a_batch_of_more_than_one_chunk() -> None:
    count = SMALLEST_CHUNK + 13
    inputs = [[R.gauss(0.0, 1.0)] for _ in range(count)]
    data = inputs, [math.sin(x[0]) for x in inputs]

    def run(compile: bool) -> list[float]:  # noqa: A002
        model = MLP(1, [2, 1], activation="tanh")
        fit(model, data, losses.mean_squared_error, SGD(model.parameters(), lr=0.1), 2, None, progress=False,
            compile=compile)  # fmt: skip
        return [p.data for p in model.parameters()]

    assert run(True) == run(False)


def test_what_a_loss_refuses_is_told_as_ever() -> None:
    for compile in (True, False):  # noqa: A001
        with pytest.raises(ValueError, match=r"hinge: targets must be -1 or 1, got 3\.0 at sample") as caught:
            trained(compile, targets=[3] * 22, loss=losses.hinge)
        assert caught.value.__notes__ == ["in epoch 1, batch 1 of 3"]
        with pytest.raises(ValueError, match=r"cross_entropy: class 7 of sample . is out of range"):
            trained(compile, make=lambda: MLP(3, [4]), targets=[7] * 22, loss=losses.cross_entropy)


# ---- models ----------------------------------------------------------------------------------------------------------


class Own(Module):
    """A module around another."""

    def __init__(self, seed: int = 3) -> None:
        self.inner = MLP(3, [4, 1], activation="tanh", seed=seed)
        self.gain = Value(1.0)
        self.setting: Any = 1.0
        self.random = random.Random(1)


class Branching(Own):
    def __call__(self, x: Any) -> Any:
        y = self.inner(x)
        return y * self.gain if y > 0.1 else y - self.gain


class Named(Own):
    def __call__(self, x: Any) -> Any:
        return {"mean": self.inner(x), "more": (self.gain, x[0])}


class Objects(Own):
    def __call__(self, x: Any) -> Any:
        return complexlike(self.inner(x), self.gain)


class Scaled(Own):
    def __call__(self, x: Any) -> Any:
        return self.inner(x) * self.setting


class complexlike:  # noqa: N801
    def __init__(self, re: Any, im: Any) -> None:
        self.re, self.im = re, im


def test_a_model_that_branches_is_traced_for_each_way() -> None:
    agree(make=Branching)


def test_predictions_that_are_trees() -> None:
    def loss(predictions: list[Any], targets: list[float]) -> Any:
        return sum(
            (p["mean"] * p["more"][0] - t) ** 2 * p["more"][1] for p, t in zip(predictions, targets, strict=True)
        )

    agree(make=Named, loss=loss)


def test_predictions_that_are_objects_are_left_to_the_loss() -> None:
    def loss(predictions: list[Any], targets: list[float]) -> Any:
        return sum((p.re - t) ** 2 + (p.im - t) ** 2 for p, t in zip(predictions, targets, strict=True))

    refused("TypeError", TypeError, make=Objects, loss=loss)


class EveryWay(Own):
    def __call__(self, x: Any) -> Any:
        y = self.inner(x)
        return y * sum(1.0 for k in range(-100, 100) if y > 0.01 * k)


class Global(Own):
    def __call__(self, x: Any) -> Any:
        return self.inner(x) + random.gauss(0.0, 0.1)


class OwnNoise(Own):
    def __call__(self, x: Any) -> Any:
        return self.inner(x) + self.random.gauss(0.0, 0.1)


class Counting(Own):
    def __call__(self, x: Any) -> Any:
        self.setting += 0.25
        return self.inner(x) * self.setting


class Looking(Own):
    def __call__(self, x: Any) -> Any:
        y = self.inner(x)
        return y * (y.data if isinstance(y, Value) else y)


class Ever(Own):
    def __call__(self, x: Any) -> Any:
        drawn.append(1.0)
        return self.inner(x) * (1.0 + 0.01 * len(drawn))


drawn: list[float] = []


@pytest.mark.parametrize(
    ("make", "text", "error"),
    [
        (lambda: MLP(3, [6, 1], dropout=0.5, seed=1), "Dropout: compiled, it would drop the same inputs", TypeError),
        (OwnNoise, "TraceError: the model draws random numbers", TraceError),
        (Counting, "TraceError: the model changes its own attributes", TraceError),
        (Looking, "TraceError: reading .data", TraceError),
        (EveryWay, "GuardLimitError", GuardLimitError),
    ],
)
def test_what_a_program_cannot_repeat_runs_as_without(make, text, error) -> None:  # type: ignore[no-untyped-def]
    refused(text, error, make=make)


class Picky(MLP):
    """A model that computes with numbers, and raises an error of the user's own where it is run on what records."""

    def __init__(self, what: Callable[[Any], Any], noise: bool = False) -> None:
        super().__init__(3, [4, 1], seed=1)
        self.what, self.noise = what, noise

    def __call__(self, x: Any) -> Any:
        if self.noise:
            random.random()
        self.what(x[0])
        return super().__call__(x)


ERRORS = {
    KeyError: lambda x: {float: 1}[type(x)],
    AttributeError: lambda x: x.is_integer(),
    AssertionError: lambda x: unreachable() if not isinstance(x, float) else None,
    ZeroDivisionError: lambda x: 1 / isinstance(x, float),
    IndexError: lambda x: [0][not isinstance(x, float)],
    StopIteration: lambda x: next(iter(())) if not isinstance(x, float) else None,
}


def unreachable() -> None:
    raise AssertionError("only numbers come here")


@pytest.mark.parametrize("error", ERRORS)
def test_where_the_users_code_raises_while_it_is_traced_the_eager_run_has_its_say(error: type[Exception]) -> None:
    refused(f"{error.__name__}: ", error, make=lambda: Picky(ERRORS[error]))


def test_random_numbers_that_were_drawn_before_the_users_code_raised_are_put_back() -> None:
    found = []
    for compile in (False, "auto"):  # noqa: A001
        random.seed(5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "MARGIN", 0.0)
            trained(compile, make=lambda: Picky(ERRORS[KeyError], noise=True))
        found.append(random.random())
    assert found[0] == found[1]


class Counted(MLP):
    """A model that counts its calls in containers of its own, and computes with the count."""

    def __init__(self) -> None:
        super().__init__(3, [4, 1], seed=1)
        self.count: Any = {"calls": [0], "seen": set()}
        self.object: Any = SimpleNamespace(calls=0, inner=SimpleNamespace(generator=random.Random(0), calls=0))

    def __call__(self, x: Any) -> Any:
        self.count["calls"][0] += 1
        self.object.inner.calls += 1
        self.count["seen"].add(self.count["calls"][0])
        return super().__call__(x) * (1.0 + 0.01 * len(self.count["seen"]) + 0.001 * self.object.inner.calls)


def test_what_a_model_changed_in_its_containers_while_it_was_traced_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "MARGIN", 0.0)
    found = [trained(compile, make=Counted) for compile in (False, "auto")]  # noqa: A001
    assert found[0][0] == found[1][0]
    assert "changes its own attributes" in found[1][1].compiled


class OfObject(MLP):
    def __init__(self) -> None:
        super().__init__(3, [4, 1], seed=1)
        self.count: Any = SimpleNamespace(of=SimpleNamespace(calls=0))
        self.drawn: Any = SimpleNamespace(by=random.Random(1))


class CountingInAnObject(OfObject):
    def __call__(self, x: Any) -> Any:
        self.count.of.calls += 1
        return super().__call__(x)


class CountingInASet(OfObject):
    def __call__(self, x: Any) -> Any:
        self.count.of.__dict__.setdefault("seen", set()).add(len(self.count.of.__dict__.get("seen", ())))
        return super().__call__(x)


class CountingInItsClass(OfObject):
    calls = 0

    def __call__(self, x: Any) -> Any:
        type(self).calls += 1
        return super().__call__(x)


class DrawingFromAnObject(OfObject):
    def __call__(self, x: Any) -> Any:
        return super().__call__(x) * (1.0 + 0.1 * self.drawn.by.random())


@pytest.mark.parametrize("make", [CountingInAnObject, CountingInASet, CountingInItsClass, DrawingFromAnObject])
def test_a_model_that_changes_what_it_holds_is_not_compiled(make: Any) -> None:
    with pytest.raises(TraceError, match=r"changes its own attributes|draws random numbers"):
        trained(True, make=make)


def test_a_penalty_that_raises_while_it_is_traced() -> None:
    def penalty(weights: list[Any]) -> Any:
        return 0.01 * dot(weights, weights) * {Value: 1.0}[type(weights[0])]

    refused("KeyError: ", KeyError, penalty=penalty)


def test_ctrl_c_while_a_model_is_traced_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(x: Any) -> None:
        if not isinstance(x, float):
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "MARGIN", 0.0)
    assert trained("auto", make=lambda: Picky(stop))[1].interrupted


def test_a_fault_of_the_compiler_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    from scalargrad.compiler.backends import python as python_backend
    from scalargrad.compiler.batching import batch
    from scalargrad.compiler.frontend import specialization

    def fault(*arguments: Any) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(trainer, "MARGIN", 0.0)
    monkeypatch.setattr(python_backend, "build", fault)
    monkeypatch.setattr(specialization, "lower", fault)
    monkeypatch.setattr(batch, "lower", fault)
    with pytest.raises(KeyError, match="a fault"):
        trained("auto")


def test_everybodys_random_numbers_are_not_frozen_and_not_spent() -> None:
    found = []
    for compile in (False, "auto"):  # noqa: A001
        random.seed(3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "MARGIN", 0.0)
            found.append(trained(compile, make=Global))
    assert found[0][0] == found[1][0]
    assert "draws random numbers" in found[1][1].compiled


def test_numpys_random_numbers_are_not_frozen_and_not_spent() -> None:
    numpy = pytest.importorskip("numpy")

    class Noisy(Own):
        def __call__(self, x: Any) -> Any:
            return self.inner(x) + numpy.random.normal()

    found = []
    for compile in (False, "auto"):  # noqa: A001
        numpy.random.seed(3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "MARGIN", 0.0)
            found.append(trained(compile, make=Noisy))
    assert found[0][0] == found[1][0]
    assert "draws random numbers" in found[1][1].compiled


def test_a_model_that_is_another_function_every_time_is_refused() -> None:
    with pytest.raises(TraceError, match="another function every time"):
        trained(True, make=Ever)


def test_a_model_that_a_callback_changes_is_compiled_again() -> None:
    def anneal(training: Training) -> None:
        if training.epoch in (1, 3):
            training.model.setting *= 0.5  # type: ignore[attr-defined]

    agree(make=Scaled, callbacks=[anneal], epochs=6)


def test_a_model_that_is_changed_all_the_time_is_not_compiled_for_ever() -> None:
    def anneal(training: Training) -> None:
        training.model.setting *= 0.5  # type: ignore[attr-defined]

    refused("the model has been changed", TraceError, make=Scaled, callbacks=[anneal], epochs=6)


def test_a_model_that_depends_on_a_variable_which_a_callback_changes() -> None:
    factor = [1.0]

    class Outside(Own):
        def __call__(self, x: Any) -> Any:
            return self.inner(x) * factor[0]

    def anneal(training: Training) -> None:
        factor[0] = 1.0 / (training.epoch // 2 + 1)

    def fresh() -> dict[str, Any]:
        factor[0] = 1.0
        return {"callbacks": [anneal]}

    agree(fresh, make=Outside, epochs=5)


# ---- what is around a gradient ---------------------------------------------------------------------------------------

OPTIMIZERS = [
    partial(SGD, lr=0.05), partial(SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    partial(optim.Momentum, lr=0.05, dampening=0.1), partial(optim.AdaGrad, lr=0.1, lr_decay=0.1),
    partial(optim.RMSProp, centered=True, momentum=0.5), optim.AdaDelta, Adam,
    partial(Adam, weight_decay=0.1, amsgrad=True), partial(optim.AdamW, lr=0.01), optim.AMSGrad, optim.NAdam,
    partial(optim.RAdam, lr=0.01),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_optimizer_steps_to_the_same_bits(optimizer: Callable[..., Optimizer]) -> None:
    agree(optimizer=optimizer, epochs=6)


class Sign(Optimizer):
    defaults = {"lr": 0.1}  # noqa: RUF012

    @staticmethod
    def rule(w: float, g: float, t: int, s: Any, h: Any) -> Any:
        return w - h.lr * ((g > 0) - (g < 0)), s


class Untraceable(Sign):
    @staticmethod
    def rule(w: float, g: float, t: int, s: Any, h: Any) -> Any:
        return w - h.lr * math.copysign(1.0, g), s


class Doubled(Sign):
    def step(self) -> None:
        super().step()
        super().step()


@pytest.mark.parametrize("optimizer", [Sign, Untraceable, Doubled])
def test_optimizers_of_ones_own(optimizer: type[Optimizer]) -> None:
    agree(optimizer=optimizer)


def test_groups_in_another_order_with_rates_and_decay_of_their_own() -> None:
    def optimizer(parameters: list[Value]) -> Optimizer:
        groups = [{"params": parameters[7:2:-1], "lr": 0.1}, {"params": parameters[8:], "weight_decay": 0.5}]
        return Adam(groups, lr=Exponential(0.05, 0.9))  # type: ignore[arg-type]

    agree(optimizer=optimizer)


def test_schedules_and_changes_of_hyperparameters() -> None:
    def change(training: Training) -> None:
        training.optimizer.groups[0]["weight_decay"] = 0.1 * training.epoch
        training.model.parameters()[0].data = 0.25

    def fresh() -> dict[str, Any]:
        return {"schedule": ReduceOnPlateau(0.05, factor=0.5, patience=0), "callbacks": [change]}

    agree(fresh, epochs=5)
    agree(schedule=Cosine(0.1, 12), schedule_by="step")


def test_parameters_with_counts_of_their_own() -> None:
    """Where the optimizer has made steps without one of them, each has its own bias correction."""

    def optimizer(parameters: list[Value]) -> Optimizer:
        own = Adam(parameters, lr=0.05)
        (parameters[2] * 3.0).backward()
        own.step()
        return own

    agree(optimizer=optimizer)


def test_clipping_and_penalties() -> None:
    agree(clip=lambda parameters: clip_grad_norm(parameters, 0.25))
    agree(penalty=lambda ps: 1e-2 * sum(p * p for p in ps))
    coefficient = [1.0]

    def fall(training: Training) -> None:
        coefficient[0] = 0.5 if training.epoch >= 1 else 1.0

    def fresh() -> dict[str, Any]:
        coefficient[0] = 1.0
        return {"callbacks": [fall]}

    agree(fresh, penalty=lambda ps: coefficient[0] * sum(p * p for p in ps), epochs=4)


def test_a_clip_that_forgets_a_gradient() -> None:
    agree(clip=lambda parameters: parameters[3].zero_grad())


def exploding(predictions: list[Any], targets: list[float]) -> Any:
    return sum(p * t * 1e200 * 1e200 if t > 1.0 else (p - t) ** 2 for p, t in zip(predictions, targets, strict=True))


@pytest.mark.parametrize("what", ["skip", "apply"])
def test_a_gradient_that_is_not_finite_is_left_out_or_applied(what: str) -> None:
    agree(loss=exploding, optimizer=partial(Adam, lr=0.01, on_nonfinite=what))


def steep(predictions: list[Any], targets: list[float]) -> Any:
    return sum(p * (1e160 if t > 1.0 else 1.0) for p, t in zip(predictions, targets, strict=True))


@pytest.mark.parametrize("what", ["skip", "apply"])
@pytest.mark.parametrize("method", [partial(RMSProp, centered=True), Adam])
def test_a_step_that_is_not_finite_is_left_out_or_applied(what: str, method: Any) -> None:
    agree(loss=steep, optimizer=partial(method, lr=0.01, on_nonfinite=what))


def test_a_gradient_that_is_not_finite_changes_nothing_and_is_told() -> None:
    found = []
    for compile in (False, True):  # noqa: A001
        model = MLP(3, [4, 1], activation="tanh", seed=1)
        optimizer = Adam(model.parameters(), lr=0.05)
        with pytest.raises(NonFiniteGradientError) as caught:
            fit(model, (INPUTS, NUMBERS), exploding, optimizer, 3, 4, progress=False, compile=compile)
        found.append((str(caught.value), caught.value.__notes__, everything(model, optimizer, History())))
        assert "the gradient of parameter" in str(caught.value)
    assert found[0] == found[1]


def test_ctrl_c_within_an_epoch_leaves_the_last_step() -> None:
    def fresh() -> dict[str, Any]:
        left = [6]

        def loss(predictions: list[Any], targets: list[float]) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return losses.mean_squared_error(predictions, targets)

        return {"loss": loss}

    assert agree(fresh).interrupted


def test_a_training_may_be_taken_up_again_in_the_other_way(tmp_path: Path) -> None:
    whole, _ = trained(False, epochs=6)
    for k, (first, then) in enumerate([(True, False), (False, True), (True, True)]):
        file = tmp_path / f"{k}.json"
        trained(first, epochs=3, checkpoint=file)
        resumed, _ = trained(then, epochs=6, checkpoint=file, resume=True)
        # all but the gradients of the last step, which are the same as well
        assert resumed == whole


def test_under_detect_anomaly_every_operation_is_looked_at() -> None:
    class Overflowing(Own):
        def __call__(self, x: Any) -> Any:
            return exp(self.inner(x) * 1e4 + 1e3)

    with pytest.raises(NonFiniteGradientError):
        trained(True, make=Overflowing)
    with detect_anomaly(), pytest.raises(AnomalyError, match="exp gave inf from finite operands"):
        trained(True, make=Overflowing)


def test_a_loss_that_takes_parameters_past_the_objective_is_told_when_compiled() -> None:
    model = MLP(3, [1])

    def with_penalty(predictions: list[Value], targets: list[float]) -> Value:
        return losses.mean_squared_error(predictions, targets) + 0.1 * sum(p * p for p in model.parameters())

    with pytest.raises(ValueError, match=r"depends on the model's parameter .*penalty="):
        fit(model, (INPUTS, NUMBERS), with_penalty, SGD(model.parameters(), lr=0.1), 1, progress=False, compile=True)


def test_a_model_that_takes_parameters_past_its_attributes_is_told_when_compiled() -> None:
    past = MLP(3, [1], output=lambda y: y * past.parameters()[0])
    model = MLP(3, [1])
    for each, penalty in ((past, None), (model, lambda ps: model.parameters()[0] ** 2)):
        optimizer = SGD(each.parameters(), lr=0.1)
        with pytest.raises(ValueError, match=r"depends on the model's parameter"):
            fit(
                each, (INPUTS, NUMBERS), losses.mean_squared_error, optimizer, 1, progress=False, penalty=penalty,
                compile=True,
            )  # fmt: skip


# ---- the decision ----------------------------------------------------------------------------------------------------


def test_it_is_compiled_where_it_pays(backend: str) -> None:
    assert trainer.choose(1e-4, 20) == ""
    assert trainer.choose(1e-4, 5_000) == "python"
    assert trainer.choose(1e-4, 1_000_000) == backend
    assert trainer.choose(6e-4, 4_250) == backend  # three epochs of the digits
    _, history = trained("auto", epochs=1)
    assert history.compiled == "no: it would not have paid"


@pytest.mark.parametrize("given", ["yes", 1, None])
def test_what_is_no_way_of_compiling_is_told(given: Any) -> None:
    with pytest.raises(ValueError, match='compile must be "auto", True or False, got'):
        trained(given)


def test_the_flat_step_is_taken_with_machine_code_alone(backend: str) -> None:
    model = MLP(3, [1])
    own = trainer.Trainer(
        Objective(model, model.parameters(), losses.mean_squared_error, None), SGD(model.parameters()), True, "library"
    )
    own.batch(INPUTS, NUMBERS, None, 22)
    assert type(own.step) is (CompiledStep if backend == "native" else OptimizerStep)
