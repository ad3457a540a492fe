"""Training: what `fit` does in every epoch, that it goes on exactly where it stopped, and what metrics count."""

import json
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scalargrad import Value, tanh
from scalargrad.compiler import compile  # noqa: A004
from scalargrad.data import Dataset, circle, iris, xor
from scalargrad.losses import cross_entropy, hinge, mean_squared_error, summation
from scalargrad.nn import MLP, Module
from scalargrad.optim import SGD, Adam, NonFiniteGradientError, clip_grad_norm
from scalargrad.schedules import Exponential, ReduceOnPlateau, by_epoch, join, warmup
from scalargrad.training import (
    EarlyStopping,
    History,
    Training,
    accuracy,
    confusion_matrix,
    evaluate,
    fit,
    progress,
    r2_score,
)

from . import flows

LINE = ([[float(x)] for x in range(8)], [2.0 * x - 1.0 for x in range(8)])


def by_sign(predictions: list[float], targets: list[float]) -> float:
    return accuracy(predictions, targets, threshold=0.0)


def line(**arguments: object) -> tuple[MLP, History]:
    """A straight line fitted to LINE by four epochs of plain descent, unless the arguments say otherwise."""
    model = MLP(1, [1], init="zeros")
    given = {"optimizer": SGD(model.parameters(), lr=0.01), "epochs": 4, "batch_size": 4, "progress": False} | arguments
    if callable(given["optimizer"]):
        given["optimizer"] = given["optimizer"](model.parameters())
    return model, fit(model, LINE, mean_squared_error, **given)  # type: ignore[arg-type]


def weights(model: Module) -> list[float]:
    return [p.data for p in model.parameters()]


# ---- on data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_iris_to_95_percent_on_samples_held_out(seed: int) -> None:
    train, test = iris().split(0.8, seed=seed, stratify=True)
    train, test = train.standardise(test)
    model = MLP(4, [8, 3], activation="tanh", seed=seed)
    history = fit(
        model, train, cross_entropy, Adam(model.parameters(), lr=0.05), epochs=30, batch_size=16,
        validation=test, metrics={"accuracy": accuracy}, progress=False,
    )  # fmt: skip
    assert history["validation_accuracy"][-1] >= 0.95
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert evaluate(model, test, {"loss": cross_entropy})["loss"] == history["validation_loss"][-1]


@pytest.mark.parametrize(("data", "sizes"), [(xor, [8, 1]), (circle, [8, 1])])
def test_sets_of_the_plane_that_no_straight_line_divides(data, sizes) -> None:  # type: ignore[no-untyped-def]
    model = MLP(2, sizes, activation="tanh", seed=1)
    fit(model, data(200, seed=1), hinge, Adam(model.parameters(), lr=0.05), epochs=20, batch_size=10, progress=False)
    assert evaluate(model, data(200, seed=2), {"accuracy": by_sign})["accuracy"] >= 0.95


# ---- what an epoch is ------------------------------------------------------------------------------------------------


def test_an_epoch_is_a_step_for_every_batch_in_seeded_order() -> None:
    model, history = line(epochs=3, batch_size=3, seed=5)
    w = b = 0.0
    for epoch in range(3):
        total = 0.0
        for inputs, targets in Dataset(*LINE).batches(3, seed=(5 << 32) + epoch):
            errors = [x[0] * w + b - t for x, t in zip(inputs, targets, strict=True)]
            total += sum(e * e for e in errors)
            dw = sum(2 * e * x[0] for e, x in zip(errors, inputs, strict=True)) / len(errors)
            db = sum(2 * e for e in errors) / len(errors)
            w, b = w - 0.01 * dw, b - 0.01 * db
        assert history["loss"][epoch] == pytest.approx(total / 8, rel=1e-12)
    assert weights(model) == pytest.approx([w, b], rel=1e-12)
    assert len(history) == 3
    assert history["rate"] == [0.01] * 3
    assert history.best_epoch == history["loss"].index(min(history["loss"]))
    assert len(history.seconds) == 3


def test_all_at_once_without_a_batch_size() -> None:
    steps = []
    line(batch_size=None, callbacks=[lambda t: steps.append(t.optimizer.steps)])
    assert steps == [1, 2, 3, 4]


def test_a_penalty_is_part_of_what_is_minimised() -> None:
    without, plain = line()
    model, history = line(penalty=lambda ps: 0.5 * sum(p * p for p in ps))
    assert abs(weights(model)[0]) < abs(weights(without)[0])
    assert history["loss"][0] > plain["loss"][0]


def test_a_loss_that_takes_parameters_past_the_objective_is_told() -> None:
    model = MLP(1, [1])

    def with_penalty(predictions: list[Value], targets: list[float]) -> Value:
        return mean_squared_error(predictions, targets) + 0.1 * sum(p * p for p in model.parameters())

    with pytest.raises(ValueError, match=r"depends on the model's parameter .*penalty="):
        fit(model, LINE, with_penalty, SGD(model.parameters(), lr=0.1), 1, progress=False)


def test_schedules_by_epoch_by_step_and_by_metric() -> None:
    _, by_epoch = line(schedule=Exponential(0.01, 0.5))
    assert by_epoch["rate"] == [0.01, 0.005, 0.0025, 0.00125]
    _, by_step = line(schedule=Exponential(0.01, 0.5), schedule_by="step")
    assert by_step["rate"] == [0.01, 0.0025, 0.000625, 0.00015625]
    _, own = line(optimizer=lambda ps: SGD(ps, lr=Exponential(0.01, 0.5)))
    assert own["rate"] == by_step["rate"]
    plateau = ReduceOnPlateau(0.01, factor=0.5, patience=0, threshold=0.99)
    _, observed = line(schedule=plateau)
    assert observed["rate"] == [0.01, 0.01, 0.005, 0.005] or observed["rate"][-1] < 0.01
    assert plateau.best == observed["loss"][0]
    _, in_optimizer = line(
        optimizer=lambda ps: SGD(ps, lr=ReduceOnPlateau(0.01, factor=0.5, patience=0, threshold=0.99))
    )
    assert in_optimizer["rate"] == observed["rate"]


def test_gradients_are_clipped_between_backward_and_step() -> None:
    seen = []

    def clip(parameters: list[Value]) -> None:
        clip_grad_norm(parameters, 0.5)
        seen.append(math.hypot(*(p.grad for p in parameters)))

    line(clip=clip)
    assert len(seen) == 8
    assert max(seen) == pytest.approx(0.5, rel=1e-6)


def test_metrics_are_of_the_validation_data_or_else_of_the_training_data() -> None:
    metrics = {"r2": r2_score, "worst": lambda ps, ts: max(abs(p - t) for p, t in zip(ps, ts, strict=True))}
    model, history = line(metrics=metrics)
    assert list(history.columns) == ["loss", "rate", "r2", "worst"]
    assert history["r2"][-1] == evaluate(model, LINE, {"r2": r2_score})["r2"]
    held_out = ([[9.0], [10.0]], [17.0, 19.0])
    model, history = line(metrics=metrics, validation=held_out)
    assert list(history.columns) == ["loss", "rate", "validation_loss", "validation_r2", "validation_worst"]
    predictions = [model.predict([9.0]), model.predict([10.0])]
    assert history["validation_loss"][-1] == mean_squared_error(predictions, held_out[1])
    with pytest.raises(KeyError, match="no column 'accuracy'; there are loss, rate"):
        history["accuracy"]


def test_dropout_is_on_in_training_off_in_validation_and_as_before_afterwards() -> None:
    model = MLP(1, [4, 1], dropout=0.5, seed=1)
    model.layers[1].training = False
    modes = []
    fit(
        model, LINE, mean_squared_error, SGD(model.parameters(), lr=1e-4), 2, progress=False,
        metrics={"m": lambda ps, ts: 0.0}, callbacks=[lambda t: modes.append(t.model.layers[1].training)],
    )  # fmt: skip
    assert modes == [True, True]
    assert [module.training for _, module in model.named_modules()][:2] == [True, True]
    assert not model.layers[1].training
    data = Dataset(*LINE)
    assert evaluate(model, data, {"l": mean_squared_error}) == evaluate(model, data, {"l": mean_squared_error})


def test_a_gradient_that_is_not_finite_is_told_with_its_epoch_and_batch() -> None:
    with pytest.raises(NonFiniteGradientError, match="gradient") as caught:
        line(optimizer=lambda ps: SGD(ps, lr=1e150), epochs=9)
    assert caught.value.__notes__ == ["in epoch 2, batch 1 of 2"]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"epochs": 0}, ValueError, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be a whole number of at least 1, got 2.5"),
        ({"seed": "1"}, TypeError, "seed must be an int, got str"),
        ({"schedule_by": "batch"}, ValueError, "schedule_by must be"),
        ({"resume": True}, ValueError, "needs the checkpoint"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every must be"),
        ({"metrics": {"loss": r2_score}}, ValueError, "a metric cannot be called 'loss'"),
        ({"progress": 2}, TypeError, "expected True or False, got 2"),
        ({"validation": [[1.0]]}, TypeError, "validation must be a Dataset, or a pair"),
        ({"validation": ([[1.0]], [])}, ValueError, "1 inputs but 0 targets"),
        ({"early_stopping": EarlyStopping(monitor="auc")}, ValueError, "nothing to monitor is called 'auc'"),
        ({"optimizer": SGD([Value(1.0)], lr=0.1)}, ValueError, "is not one of the model's"),
    ],
)
def test_what_does_not_fit_is_told(arguments, error, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        line(**arguments)
    assert text in str(caught.value)


@pytest.mark.parametrize("arguments", [{"patience": 0}, {"min_delta": -1.0}, {"min_delta": math.inf}, {"mode": "up"}])
def test_early_stopping_checks_its_arguments(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="EarlyStopping"):
        EarlyStopping(**arguments)  # type: ignore[arg-type]


# ---- ending ----------------------------------------------------------------------------------------------------------


def scripted(values: list[float]):  # type: ignore[no-untyped-def]
    """A metric that says these values, one an epoch."""
    supply = iter(values)
    return {"script": lambda ps, ts: next(supply)}


def test_early_stopping_waits_and_restores_the_best_weights() -> None:
    kept: list[list[float]] = []
    arguments = {"metrics": scripted([5.0, 3.0, 4.0, 3.5, 3.0, 1.0]), "epochs": 9}
    model, history = line(
        **arguments,
        early_stopping=EarlyStopping(3, monitor="script"),
        callbacks=[lambda t: kept.append(weights(t.model))],
    )
    assert history["script"] == [5.0, 3.0, 4.0, 3.5, 3.0]
    assert (history.best_epoch, history.stopped) == (1, "early stopping")
    assert weights(model) == kept[1] != kept[4]
    arguments["metrics"] = scripted([5.0, 3.0, 4.0, 3.5, 3.0])
    model, _ = line(**arguments, early_stopping=EarlyStopping(3, monitor="script", restore_best=False))
    assert weights(model) == kept[4]


def test_early_stopping_by_a_maximum_with_a_least_improvement_and_nan() -> None:
    stopping = EarlyStopping(2, min_delta=0.25, monitor="script", mode="max")
    _, history = line(
        metrics=scripted([math.nan, 1.0, 1.2, 1.3, math.nan, 1.4, 9.0]), epochs=9, early_stopping=stopping
    )
    assert len(history) == 6  # 1.3 improves on 1.0 by enough; nan and 1.4 do not
    assert history.best_epoch == 5


def test_a_callback_sees_the_training_and_can_stop_it() -> None:
    seen = []

    def callback(training: Training) -> None:
        seen.append((training.epoch, training.epochs, len(training.history)))
        if training.epoch == 1:
            training.stop()

    _, history = line(callbacks=[callback])
    assert seen == [(0, 4, 1), (1, 4, 2)]
    assert history.stopped == "callback"


def test_ctrl_c_returns_the_history_with_the_best_weights() -> None:
    kept = []

    def callback(training: Training) -> None:
        kept.append(weights(training.model))
        if training.epoch == 2:
            raise KeyboardInterrupt

    model, history = line(
        metrics=scripted([2.0, 1.0, 3.0]), callbacks=[callback], early_stopping=EarlyStopping(9, monitor="script")
    )
    assert history.interrupted
    assert len(history) == 3
    assert weights(model) == kept[1] != kept[2]
    assert "interrupted" in repr(history)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_as_the_terminal_sends_it(tmp_path: Path) -> None:
    script = """
        import os, signal
        from scalargrad.losses import mean_squared_error
        from scalargrad.nn import MLP
        from scalargrad.optim import SGD
        from scalargrad.training import fit
        model = MLP(1, [1])
        def callback(training):
            if training.epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)
        data = ([[1.0], [2.0]], [1.0, 2.0])
        history = fit(model, data, mean_squared_error, SGD(model.parameters(), lr=0.1), 10_000, callbacks=[callback])
        print(history.interrupted, 2 <= len(history) <= 3)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True True"
    assert done.stdout.splitlines()[0].startswith("epoch     1/10000  loss ")
    assert done.stderr == ""


# ---- resuming --------------------------------------------------------------------------------------------------------


class Setting:
    """A training with everything that could be forgotten: moments, a schedule with state, dropout, early stopping."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        train, test = xor(40, seed=3), xor(20, seed=4)
        self.model = MLP(2, [4, 1], activation="tanh", dropout=0.25, seed=2)
        self.optimizer = Adam(self.model.parameters(), lr=0.05, amsgrad=True)
        self.arguments = {
            "data": train, "loss": hinge, "batch_size": 16, "validation": test, "metrics": {"accuracy": by_sign},
            "schedule": ReduceOnPlateau(0.05, factor=0.5, patience=1), "seed": 7, "progress": False,
            "early_stopping": EarlyStopping(patience=50, restore_best=False),
        }  # fmt: skip

    def run(self, epochs: int, resume: bool = False) -> History:
        return fit(
            self.model, optimizer=self.optimizer, epochs=epochs, checkpoint=self.file, resume=resume, **self.arguments
        )  # type: ignore[arg-type]

    def everything(self) -> str:
        return json.dumps([self.model.state_dict(), self.optimizer.state_dict()])


RESUMING = """
import sys
from pathlib import Path
from tests.test_training import Setting
setting = Setting(Path(sys.argv[1]))
history = setting.run(int(sys.argv[2]), resume=sys.argv[3] == "True")
print(setting.everything())
print(history.columns, history.best_epoch)
"""


def test_a_training_resumed_in_another_process_ends_as_one_that_never_stopped(tmp_path: Path) -> None:
    whole = Setting()
    history = whole.run(12)
    assert len(set(history["rate"])) > 1

    def elsewhere(epochs: int, resume: bool) -> list[str]:
        arguments = [sys.executable, "-c", RESUMING, str(tmp_path / "c.json"), str(epochs), str(resume)]
        root = Path(__file__).parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": str(epochs)}
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=root, env=environment)
        return done.stdout.splitlines()

    elsewhere(5, False)
    assert elsewhere(12, True) == [whole.everything(), f"{history.columns} {history.best_epoch}"]
    assert [each.name for each in tmp_path.iterdir()] == ["c.json"]


def test_a_finished_training_is_not_gone_on_with(tmp_path: Path) -> None:
    first = Setting(tmp_path / "c.json")
    history = first.run(3)
    again = Setting(tmp_path / "c.json")
    assert again.run(3, resume=True) == history
    assert again.everything() == first.everything()
    stopping = {"early_stopping": EarlyStopping(1), "checkpoint": tmp_path / "e.json", "epochs": 9}
    model, history = line(**stopping, metrics=None, schedule=lambda epoch: 0.0)
    resumed, after = line(**stopping, metrics=None, schedule=lambda epoch: 0.0, resume=True)
    assert len(history) == len(after) == 2
    assert after.stopped == "early stopping"
    assert weights(resumed) == weights(model)


def test_checkpoints_come_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    file, seen = tmp_path / "c.json", []

    def callback(_: Training) -> None:
        seen.append(json.loads(file.read_text())["epoch"] if file.exists() else 0)

    line(epochs=5, checkpoint=file, checkpoint_every=2, callbacks=[callback])
    assert seen == [0, 0, 2, 2, 4]
    assert json.loads(file.read_text())["epoch"] == 5


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s["arguments"].update(seed=1), "its seed is 1, here it is 0"),
        (lambda s: s["arguments"].update(batch_size=1), "its batch_size is 1, here it is 4"),
        (lambda s: s["arguments"].update(samples=9), "its samples is 9, here it is 8"),
        (lambda s: s["arguments"].update(model="MLP(3)"), "its model is 'MLP(3)', here it is \"MLP(1, [1], output="),
        (
            lambda s: s["history"]["columns"]["loss"].pop(),
            "expected 4 item(s) at history['columns']['loss'], one an epoch, got 3",
        ),
        (lambda s: s["best"]["weights"].pop(), "expected 2 item(s) at best['weights'], one a parameter, got 1"),
        (lambda s: s.pop("best"), "missing best"),
        (lambda s: s["optimizer"].update(optimizer="Adam"), "SGD: this is the state of 'Adam'"),
        (lambda s: s["model"].update(parameters={}), "MLP: missing parameters['layers']"),
        (lambda s: s.update(format="other"), "expected a file of format"),
        (lambda s: s.update(epoch=4.0), "expected a whole number from 0 to 2**53 at epoch, got 4.0"),
        (lambda s: s.update(epoch=2**53), "expected 9007199254740992 item(s) at history['columns']['loss']"),
        (lambda s: s.update(arguments=[]), "expected a dict at arguments, got a list of 0 item(s)"),
        (lambda s: s["best"].update(value="x"), "expected a number at best['value'], got 'x'"),
        (lambda s: s["best"].update(reference=[1]), "expected a number at best['reference'], got a list of 1 item(s)"),
        (lambda s: s["best"].update(waited=-1), "at best['waited'], got -1"),
        (lambda s: s["best"]["weights"].__setitem__(1, 10**400), "at best['weights'][1], got an integer beyond"),
        (lambda s: s["best"].update(more=1), "unknown best['more']"),
        (lambda s: s["history"].update(columns=[]), "expected a dict at history['columns'], got a list"),
        (lambda s: s["history"]["columns"].update(loss=3), "expected a list at history['columns']['loss'], got 3"),
        (lambda s: s["history"]["columns"].update(loss=[1, 2, None]), "at history['columns']['loss'][2], got None"),
        (lambda s: s["history"]["columns"].pop("rate"), "missing history['columns']['rate']"),
        (lambda s: s["history"].update(best_epoch=4), "from 0 to 3 at history['best_epoch'], got 4"),
        (lambda s: s["history"].update(stopped=0), "expected text at history['stopped'], got 0"),
        (lambda s: s["history"]["seconds"].pop(), "at history['seconds'], one an epoch, got 3"),
        (lambda s: s["optimizer"]["groups"][0].update(lr=10**400), "lr: int too large for a float"),
        (lambda s: s["optimizer"]["groups"][0]["params"][1].update(v=10**400), "['params'][1]['v'], got an integer"),
    ],
)
def test_a_checkpoint_of_another_training_is_told_and_nothing_is_changed(tmp_path: Path, change, text) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "c.json"
    line(checkpoint=file)
    saved = json.loads(file.read_text())
    change(saved)
    file.write_text(json.dumps(saved))
    model = MLP(1, [1], init="zeros")
    optimizer = SGD(model.parameters(), lr=0.01)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared below
        fit(model, LINE, mean_squared_error, optimizer, 9, 4, progress=False, checkpoint=file, resume=True)
    assert text in str(caught.value)
    assert weights(model) == [0.0, 0.0]
    assert optimizer.steps == 0


class Interruptions(RuleBasedStateMachine):
    """However a training is cut into pieces, each in new objects, it is the same as in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self.file = Path(os.environ.get("TMPDIR", "/tmp")) / f"scalargrad-{os.getpid()}-{id(self)}.json"
        self.done = 0
        self.pieces = Setting(self.file)

    @rule(epochs=st.integers(1, 3), afresh=st.booleans())
    def train(self, epochs: int, afresh: bool) -> None:
        if self.done + epochs > 6:
            return
        if afresh:
            self.pieces = Setting(self.file)
        history = self.pieces.run(self.done + epochs, resume=self.done > 0)
        self.done += epochs
        assert len(history) == self.done

    @precondition(lambda self: self.done > 0)
    @rule()
    def disturb(self) -> None:
        for p in self.pieces.model.parameters():
            p.data += 1.0

    @rule()
    def look(self) -> None:
        evaluate(self.pieces.model, xor(10), {"loss": hinge})

    @invariant()
    def checkpoint_is_that_of_one_piece(self) -> None:
        if self.done:
            saved = json.loads(self.file.read_text())
            whole = pieces_of_one(self.done)
            assert json.dumps([saved["model"], saved["optimizer"]]) == whole

    def teardown(self) -> None:
        self.file.unlink(missing_ok=True)


_WHOLE: dict[int, str] = {}


def pieces_of_one(epochs: int) -> str:
    if epochs not in _WHOLE:
        whole = Setting()
        whole.run(epochs)
        _WHOLE[epochs] = whole.everything()
    return _WHOLE[epochs]


TestInterruptions = Interruptions.TestCase
TestInterruptions.settings = settings(max_examples=8, stateful_step_count=6, deadline=None)


# ---- progress --------------------------------------------------------------------------------------------------------


def test_nothing_is_printed_when_told(capsys: pytest.CaptureFixture[str]) -> None:
    line(progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_line_for_every_epoch_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _, history = line(progress=True, epochs=10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith(f"epoch  1/10  loss {history['loss'][0]:.4g}  rate 0.01  ")


class Screen:
    """A terminal, as far as it is written to."""

    encoding = "utf-8"

    def __init__(self, kind: str = "builtins") -> None:
        self.text = ""
        self.writes: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)

    def flush(self) -> None:
        pass

    def lines(self) -> list[str]:
        """What is to be seen in the end."""
        shown = [""]
        for each in "".join(self.writes).replace("\r", "\n\r").split("\n"):
            if each.startswith("\r"):
                old, new = shown[-1], each[1:]
                shown[-1] = new + old[len(new) :]
            elif each:
                shown.append(each)
            else:
                shown.append("")
        return [each.rstrip() for each in shown if each.strip()]


def test_one_line_is_rewritten_in_a_terminal_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(progress, "_tqdm", lambda notebook: None)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    _, history = line(progress=True)
    written = "".join(screen.writes)
    assert written.endswith("\n")
    assert written.count("\n") == 1
    assert "batch 2/2" in written
    assert all(len(each) < 40 for each in written.replace("\n", "").split("\r"))
    assert screen.lines()[-1].startswith(f"epoch 4/4  loss {history['loss'][-1]:.4g}  ra")


def test_tqdms_bar_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    class Fake:
        monitor_interval = 10

        def __init__(self, **keywords: object) -> None:
            calls.append((keywords["desc"], keywords["total"], keywords["initial"], self.monitor_interval))

        def update(self) -> None:
            calls.append("update")

        def set_description(self, text: str, refresh: bool) -> None:
            calls.append(text)

        def set_postfix_str(self, text: str, refresh: bool) -> None:
            calls.append(text.split()[0])

        def refresh(self) -> None:
            pass

        def close(self) -> None:
            calls.append("close")

    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setattr(progress, "_tqdm", lambda notebook: Fake)
    line(progress=True, epochs=2)
    one = ["epoch 1/2", "update", "update", "loss"]
    two = ["epoch 2/2", "update", "update", "loss"]
    assert calls == [("epoch 1/2", 4, 0, 0), *one, *two, "close"]


def test_tqdm_itself_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    import threading

    screen, threads = Screen(), threading.active_count()
    monkeypatch.setattr(sys, "stdout", screen)
    line(progress=True)
    assert "8/8" in "".join(screen.writes)
    assert threading.active_count() == threads


def test_a_notebook_is_as_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = type("OutStream", (Screen,), {"__module__": "ipykernel.iostream", "isatty": lambda self: False})()
    monkeypatch.setattr(sys, "stdout", stream)
    asked = []
    monkeypatch.setattr(progress, "_tqdm", lambda notebook: asked.append(notebook))
    assert isinstance(progress.reporter(True), progress.RewrittenLine)
    assert asked == [True]


def test_no_standard_output_at_all_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    line(progress=True)


# ---- metrics ---------------------------------------------------------------------------------------------------------


def test_accuracy_by_scores_by_threshold_and_by_class() -> None:
    assert accuracy([[0.1, 0.9], [0.5, 0.5], [3.0, -1.0]], [1, 0, 1]) == 2 / 3
    assert accuracy([[0.1, 0.9]], [[0.0, 1.0]]) == 1.0
    assert accuracy([0.7, 0.2], [1, 1], threshold=0.5) == 0.5
    assert accuracy([2.0, -3.0], [1, 0], threshold=0.0) == 1.0
    assert accuracy([0, 1, 2], [0, 2, 2]) == 2 / 3
    assert accuracy([Value(0.5)], [1.0], threshold=0.0) == 1.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_a_confusion_matrix_counts_every_sample_and_its_diagonal_is_the_accuracy(pairs: list[tuple[int, int]]) -> None:
    predictions, targets = [p for p, _ in pairs], [t for _, t in pairs]
    matrix = confusion_matrix(predictions, targets, classes=range(4))
    assert [sum(row) for row in matrix] == [targets.count(c) for c in range(4)]
    assert [sum(column) for column in zip(*matrix, strict=True)] == [predictions.count(c) for c in range(4)]
    assert sum(matrix[c][c] for c in range(4)) / len(pairs) == accuracy(predictions, targets)
    one_hot = [[float(k == p) for k in range(4)] for p in predictions]
    assert confusion_matrix(one_hot, targets) == matrix


def test_a_confusion_matrix_of_two_classes_and_of_named_ones() -> None:
    assert confusion_matrix([0.9, 0.2, 0.7, 0.1], [1, 1, -1, -1], threshold=0.5) == [[1, 1], [1, 1]]
    assert confusion_matrix([5, 7], [7, 7]) == [[0, 0], [1, 1]]
    with pytest.raises(ValueError, match=r"prediction 0 is 5, which is not among the classes \[7\]"):
        confusion_matrix([5], [7], classes=[7])


def test_r2_against_its_definition() -> None:
    assert r2_score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
    assert r2_score([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]) == 0.0
    assert r2_score([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]) == -3.0


@pytest.mark.parametrize("metric", [accuracy, confusion_matrix, r2_score])
def test_metrics_refuse_other_lengths_and_no_samples(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"2 prediction\(s\) but 1 target\(s\)"):
        metric([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="of no predictions"):
        metric([], [])
    with pytest.raises(ValueError, match="prediction 1 is nan"):
        metric([1.0, math.nan], [1.0, 2.0])


@pytest.mark.parametrize(
    ("predictions", "targets", "text"),
    [
        ([0.7], [1.0], "prediction 0 is 0.7, which is no class; give a threshold"),
        ([[0.1, 0.9]], [2], "target 0 is 2.0, which is no class index: there are 2 classes"),
        ([[0.1, 0.9]], [[1.0]], "which is no one-hot list"),
        ([1.0], [[1.0]], "which is no one-hot list"),
        ([[]], [0], "no class index: there are 0 classes"),
        ([math.inf], [1.0], "prediction 0 is inf, which is no class"),
    ],
)
def test_what_is_no_class_is_told(predictions: list[object], targets: list[object], text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared below
        accuracy(predictions, targets)
    assert text in str(caught.value)


def test_r2_is_not_defined_for_equal_targets() -> None:
    with pytest.raises(ValueError, match="all targets are equal"):
        r2_score([1.0, 2.0], [0.1, 0.1])


# ---- what outsiders met ----------------------------------------------------------------------------------------------


def constant(predictions: list[float], targets: list[float]) -> float:
    return 1.0


def plateaus(plateau: ReduceOnPlateau) -> dict[str, dict[str, object]]:
    """A schedule that looks at a metric, inside others, as `fit` and as optimizers take it."""
    return {
        "warmup, epochs": {"schedule": warmup(plateau, 1, start=0.01)},
        "lambda, epochs": {"schedule": lambda epoch: 1.0 * plateau(epoch)},
        "alone, epochs": {"schedule": plateau},
        "join, steps": {"schedule": join([0.01, plateau], [1]), "schedule_by": "step"},
        "by_epoch, optimizer": {"optimizer": lambda ps: SGD(ps, lr=by_epoch(plateau, 2))},
    }


@pytest.mark.parametrize("name", plateaus(ReduceOnPlateau(0.01)))
def test_a_plateau_inside_another_schedule_observes_and_is_resumed(name: str, tmp_path: Path) -> None:
    def run(epochs: int, resume: bool, file: str) -> tuple[list[float], History, ReduceOnPlateau]:
        plateau = ReduceOnPlateau(0.01, factor=0.5, patience=0)
        model, history = line(
            metrics={"m": constant}, early_stopping=EarlyStopping(99, monitor="m", restore_best=False),
            checkpoint=tmp_path / file, resume=resume, epochs=epochs, **plateaus(plateau)[name],
        )  # fmt: skip
        return weights(model), history, plateau

    whole, history, plateau = run(6, False, "whole.json")
    assert plateau.rate == 0.01 * 0.5**5
    assert history["rate"][-1] == 0.01 * 0.5**4
    run(3, False, "part.json")
    again, resumed, plateau = run(6, True, "part.json")
    assert (again, resumed, plateau.rate) == (whole, history, 0.01 * 0.5**5)


class Counting(Module):
    """A model that keeps statistics of what it has seen, as batch normalisation does."""

    def __init__(self, keep: str = "number") -> None:
        self.inner = MLP(1, [1], init="zeros")
        self.calls, self.mean, self.keep, self.seen = 0, 0.0, keep, [0]

    def __call__(self, x: list[float]) -> Value:
        y = self.inner(x)
        self.calls += 1
        self.seen[0] += 1
        self.inner.mark = self.calls
        if self.keep == "number":
            self.mean = 0.5 * self.mean + 0.5 * x[0]
        else:
            self.mean = y.detach() if self.keep == "constant" else y
        return y  # type: ignore[no-any-return]


@pytest.mark.parametrize("compile", ["auto", False])
@pytest.mark.parametrize("keep", ["number", "constant"])
def test_what_a_module_changes_in_itself_is_kept(compile, keep) -> None:  # type: ignore[no-untyped-def] # noqa: A002
    model, by_hand = Counting(keep), Counting(keep)
    fit(model, LINE, mean_squared_error, SGD(model.parameters(), lr=0.01), 3, 4, progress=False, compile=compile)
    for epoch in range(3):
        for inputs, _ in Dataset(*LINE).batches(4, seed=epoch):
            for x in inputs:
                by_hand(x)
    assert (model.calls, model.seen, model.inner.mark) == (24, [24], 24)
    if keep == "number":
        assert model.mean == by_hand.mean


class Scattered(Module):
    """A model that keeps what it counts in slots, beside a parameter in a dict, and by deleting an attribute."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls, self.own, self.list, self.first = 0, {"w": Value(1.0), "calls": 0}, [Value(0.5)], True

    def __call__(self, x: list[float]) -> Value:
        self.calls += 1
        self.own["calls"] += 1
        self.list.append(self.calls)
        vars(self).pop("first", None)
        return self.own["w"] * x[0] + self.list[0]  # type: ignore[no-any-return]


def test_what_a_module_changes_anywhere_in_itself_is_kept() -> None:
    model = Scattered()
    fit(model, LINE, mean_squared_error, SGD(model.parameters(), lr=0.01), 1, 4, progress=False, compile=False)
    assert (model.calls, model.own["calls"], model.list[1:]) == (8, 8, [*range(1, 9)])
    assert not hasattr(model, "first")


class Remembering(Module):
    """A recurrent model, whose state goes on from sample to sample."""

    def __init__(self, detached: bool) -> None:
        self.w, self.state, self.detached = Value(0.5), 0.0, detached

    def __call__(self, x: list[float]) -> Value:
        before = self.state.detach() if self.detached and isinstance(self.state, Value) else self.state
        self.state = tanh(self.w * x[0] + before)
        return self.state


def test_a_batch_that_depends_on_results_of_the_one_before_is_refused() -> None:
    model = Remembering(detached=False)
    fit(model, LINE, mean_squared_error, SGD([model.w], lr=0.01), 1, None, progress=False, compile=False)
    by_hand = Remembering(detached=False)
    inputs, targets = next(iter(Dataset(*LINE).batches(len(LINE[0]), seed=0)))
    mean_squared_error([by_hand(x) for x in inputs], targets).backward()
    assert model.w.data == pytest.approx(0.5 - 0.01 * by_hand.w.grad, rel=1e-14)
    model = Remembering(detached=False)
    with pytest.raises(TypeError, match=r"a Value from one batch to the next.*weights; keep.*v\.detach\(\)"):
        fit(model, LINE, mean_squared_error, SGD([model.w], lr=0.01), 1, 4, progress=False, compile=False)
    model = Remembering(detached=True)
    fit(model, LINE, mean_squared_error, SGD([model.w], lr=0.01), 1, 4, progress=False, compile=False)
    assert model.w.data != 0.5


def test_integers_of_numpy_are_counts_and_seeds() -> None:
    np = pytest.importorskip("numpy")
    plain, _ = line(epochs=2, batch_size=3, seed=4, early_stopping=EarlyStopping(2))
    n, history = line(
        epochs=np.int64(2), batch_size=np.int64(3), seed=np.int64(4), early_stopping=EarlyStopping(np.int8(2))
    )
    assert (weights(n), len(history)) == (weights(plain), 2)


WITHOUT_COMPILER = """
import sys
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP
from scalargrad.optim import Adam
from scalargrad.training import fit
for compile in (False, "auto"):
    model = MLP(2, [2, 1])
    data = ([[0.5, 1.0], [1.0, 0.0], [0.0, 0.0]], [1.0, 0.0, 0.5])
    history = fit(model, data, mean_squared_error, Adam(model.parameters()), 4, 1, progress=False, compile=compile,
                  validation=data)
    print(history.compiled)
print([name for name in sys.modules if name.startswith("scalargrad.compiler")])
"""


def test_an_eager_training_imports_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], capture_output=True, text=True, check=True)
    assert done.stdout == "no: compile=False\nno: it would not have paid\n[]\n"


def test_a_fit_of_one_batch_takes_few_calls() -> None:
    calls = flows.counted(flows.fitted())
    assert sum(calls.values()) <= 1065 // 2  # half of what the first version took
    assert not any("compiler" in file for file in calls)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8, 9, 1023, 1024, 1030])
def test_samples_are_added_in_the_compilers_order(count: int) -> None:
    numbers = [[math.sin(k) * 10.0 ** (k % 7)] for k in range(count)]
    (total,) = compile(lambda x: [x], backend="python").map([x for (x,) in numbers], reduce="sum")
    assert summation.added(numbers) == [total]
