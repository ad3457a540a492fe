"""State files that are broken or hostile: an error that says where, or a state that is whole; nothing between.

Mutated are valid files of modules, optimizers and trainings: JSON at any place replaced, dropped, doubled or swapped;
text at any place cut, flipped, repeated; and texts made to hurt a parser.
"""

from __future__ import annotations

import builtins
import copy
import json
import math
import os
import pickle
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalargrad import Value, optim, schedules
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP
from scalargrad.optim import NonFiniteGradientError
from scalargrad.training import EarlyStopping, History, fit

SECONDS = 10.0  # that no file may take, however slow the machine

# ---- what is mutated -------------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.just(10**400), st.floats(), st.text(max_size=4),
    st.sampled_from(["NaN", "1.0", "__import__('os')", "__class__", "\ud800", math.inf, -0.0, 1e-320, -(2**63)]),
)  # fmt: skip
json_data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(data: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every item in nested lists and dicts; of long lists, to the first and last few."""
    yield above
    if isinstance(data, dict):
        items: Any = data.items()
    elif isinstance(data, list):
        items = [item for k, item in enumerate(enumerate(data)) if k < 4 or k > len(data) - 3]
    else:
        return
    for key, x in items:
        yield from places(x, (*above, key))


def at(data: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        data = data[key]
    return data


@st.composite
def mutated(draw: st.DrawFn, data: Any) -> Any:
    """The data with one to three things in it that are not as they should be."""
    data = {"": copy.deepcopy(data)}
    for _ in range(draw(st.integers(1, 3))):
        ways = [place for place in places(data) if place]
        place = draw(st.sampled_from(ways))
        holder, key = at(data, place[:-1]), place[-1]
        what = draw(st.sampled_from(["junk", "junk", "number", "drop", "double", "swap", "wrap", "key"]))
        if what == "number":
            holder[key] = draw(st.floats() | st.integers(-2, 5))
        elif what == "drop" and len(place) > 1:
            del holder[key]
        elif what == "double" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif what == "swap":
            other = draw(st.sampled_from(ways))
            if other[: len(place)] != place and place[: len(other)] != other:
                holder[key], at(data, other[:-1])[other[-1]] = at(data, other), holder[key]
        elif what == "wrap":
            holder[key] = [holder[key]]
        elif what == "key" and isinstance(holder, dict) and len(place) > 1:
            holder[draw(st.text(max_size=4))] = draw(json_data)
        else:
            holder[key] = draw(json_data)
    return data[""]


@st.composite
def torn(draw: st.DrawFn, text: str) -> bytes:
    """The text with bytes cut out, changed, put in, or repeated."""
    found = text.encode()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(found)))
        length = draw(st.integers(0, 30) | st.just(len(found)))
        what = draw(st.sampled_from(["cut", "put", "repeat", "flip"]))
        piece = found[start : start + length]
        if what == "put":
            piece = draw(
                st.binary(max_size=6) | st.sampled_from([b"NaN", b"1e999", b"]", b"{", b"9" * 5000, b"\xef\xbb\xbf"])
            )
        elif what == "repeat":
            piece = piece * 2
        elif what == "flip":
            piece = bytes(b ^ draw(st.integers(1, 255)) for b in piece[:1]) + piece[1:]
        else:
            piece = b""
        found = found[:start] + piece + found[start + length :]
    return found


HOSTILE = [
    b"",
    b"\x00" * 100,
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe" + "{}".encode("utf-16-le"),
    b"\xef\xbb\xbf{}",
    b"9" * 100_000,
    b"-" * 1000,
    b"1e99999",
    b"null",
    b'"\\ud800"',
    b'{"format": "scalargrad module 1", "format": 3}',
    b"__import__('os').system('true')",
    b"cos\nsystem\n(S'true'\ntR.",
    b'{"py/object": "os.system", "__reduce__": ["os.system", ["true"]]}',
    pickle.dumps({"format": "scalargrad module 1"}),
]


@pytest.fixture(autouse=True)
def nothing_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a file is loaded, no text may be run as a program."""
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("os.system was called"))
    monkeypatch.setattr(pickle, "loads", lambda *_, **__: pytest.fail("pickle.loads was called"))


class _Loading:
    """What may happen while a state is loaded: success, or an error of these kinds that names its place."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.failed = False

    def __enter__(self) -> _Loading:
        self.began = time.perf_counter()
        self.eval, self.exec = builtins.eval, builtins.exec
        builtins.eval = builtins.exec = lambda *_, **__: pytest.fail("eval or exec was called")
        return self

    def __exit__(self, kind: Any, error: BaseException | None, where: Any) -> bool:
        builtins.eval, builtins.exec = self.eval, self.exec
        assert time.perf_counter() - self.began < SECONDS
        if not isinstance(error, ValueError | TypeError):
            return False
        self.failed = True
        assert any(name in str(error) for name in self.names), f"no place is named: {error!r}"
        return True


# ---- modules ---------------------------------------------------------------------------------------------------------


def network(seed: int = 0) -> MLP:
    return MLP(2, [2, 1], dropout=0.5, seed=seed)


def bits(model: MLP) -> list[str]:
    return [p.data.hex() for p in model.parameters()]


def whole_module(model: MLP, file: Path) -> None:
    """It computes, it saves, and what it saves loads to the same bits."""
    assert all(type(p.data) is float and p.is_leaf for p in model.parameters())
    assert isinstance(model([1.0, 2.0]), Value)
    model.save(file)
    assert bits(network(7).load(file)) == bits(model)


MODULE = {"format": "scalargrad module 1", "module": repr(network()), **network(3).state_dict()}


@given(data=mutated(MODULE))
def test_modules_load_whole_or_not_at_all(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    load_module(json.dumps(data).encode(), tmp_path_factory.getbasetemp() / "module.json")


@given(text=torn(json.dumps(MODULE)) | st.binary(max_size=50) | st.sampled_from(HOSTILE))
def test_modules_load_from_torn_files_whole_or_not_at_all(
    text: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    load_module(text, tmp_path_factory.getbasetemp() / "module.json")


def load_module(text: bytes, file: Path) -> None:
    model = network()
    before = model.state_dict()
    file.write_bytes(text)
    with _Loading(str(file), "MLP", "Dropout") as loading:
        model.load(file)
    if loading.failed:
        assert json.dumps(model.state_dict()) == json.dumps(before)
    else:
        read = json.loads(text)
        assert model.state_dict()["modules"] == read["modules"]
    whole_module(model, file)


# ---- optimizers ------------------------------------------------------------------------------------------------------

METHODS: dict[str, Any] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.5),
    "Adam": lambda ps: optim.Adam([{"params": ps[:1]}, {"params": ps[1:], "lr": 0.5}], betas=(0.5, 0.75)),
    "NAdam": lambda ps: optim.NAdam(ps, lr=schedules.Step(0.1, 2)),
    "RMSProp": lambda ps: optim.RMSProp(
        [
            {"params": ps[:1], "lr": schedules.ReduceOnPlateau(0.5, patience=0)},
            {"params": ps[1:], "lr": schedules.ReduceOnPlateau(0.25, patience=1)},
        ]
    ),
    "AdaGrad": lambda ps: optim.AdaGrad(ps, initial_accumulator_value=1.0),
}


def optimizer_at_work(name: str, steps: int) -> optim.Optimizer:
    ps = [Value(1.0, "w"), Value(-2.0), Value(0.5)]
    made: optim.Optimizer = METHODS[name](ps)
    for k in range(steps):
        for p in ps:
            p.grad = 0.25 * (k + 1) + p.data
        made.step()
        for group in made.groups:
            if hasattr(group["lr"], "observe"):
                group["lr"].observe(1.0 + k)
    return made


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
@settings(max_examples=60)
def test_optimizers_load_whole_or_not_at_all(name: str, data: st.DataObject) -> None:
    state = json.loads(json.dumps(optimizer_at_work(name, 3).state_dict()))
    load_optimizer(name, data.draw(mutated(state)))


def load_optimizer(name: str, state: Any) -> None:
    optimizer = optimizer_at_work(name, 1)
    before = json.dumps(optimizer.state_dict())
    with _Loading(name, "ReduceOnPlateau") as loading:
        optimizer.load_state_dict(state)
    if loading.failed:
        assert json.dumps(optimizer.state_dict()) == before
    again = optimizer_at_work(name, 0)
    again.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))  # a whole state can be saved, and loaded
    assert json.dumps(again.state_dict()) == json.dumps(optimizer.state_dict())
    for each in (optimizer, again):
        for group in each.groups:
            for p in group["params"]:
                p.data, p.grad = 1.0, 0.5
                assert all(type(x) in (float, int) for x in each.moments(p).values())
        assert all(type(rate) is float for rate in each.rates)
        each.step()
    assert json.dumps(again.state_dict()) == json.dumps(optimizer.state_dict())


# ---- trainings -------------------------------------------------------------------------------------------------------

DATA = ([[0.0, 1.0], [1.0, 0.5], [0.5, -1.0], [1.0, 1.0]], [1.0, 0.0, 0.5, -1.0])


class Trained:
    def __init__(self, file: Path, epochs: int, resume: bool) -> None:
        self.model = network()
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.01)
        self.schedule = schedules.ReduceOnPlateau(0.01, patience=0)
        self.optimizer.lr = self.schedule
        self.file = file
        self.before = json.dumps(self.state())
        self.arguments = (epochs, resume)

    def state(self) -> Any:
        return [self.model.state_dict(), self.optimizer.state_dict()]

    def run(self) -> History:
        epochs, resume = self.arguments
        return fit(
            self.model, DATA, mean_squared_error, self.optimizer, epochs, 2, schedule=self.schedule, progress=False,
            schedule_by="epoch", early_stopping=EarlyStopping(3), checkpoint=self.file, resume=resume,
        )  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    file = tmp_path_factory.mktemp("checkpoints") / "checkpoint.json"
    Trained(file, 2, False).run()
    return file, json.loads(file.read_text())


@given(data=st.data())
def test_trainings_resume_whole_or_not_at_all(checkpoint: tuple[Path, Any], data: st.DataObject) -> None:
    file, saved = checkpoint
    load_training(file, json.dumps(data.draw(mutated(saved))).encode())


@given(data=st.data())
def test_trainings_resume_from_torn_files_whole_or_not_at_all(
    checkpoint: tuple[Path, Any], data: st.DataObject
) -> None:
    file, saved = checkpoint
    load_training(file, data.draw(torn(json.dumps(saved)) | st.binary(max_size=50) | st.sampled_from(HOSTILE)))


def load_training(file: Path, text: bytes) -> None:
    file.write_bytes(text)
    training = Trained(file, 3, True)
    history = None
    with _Loading(str(file), "MLP", "Dropout", "Adam", "ReduceOnPlateau") as loading, suppress(NonFiniteGradientError):
        history = training.run()  # a weight of nan is a number that is loaded, and noticed at the first step
    if loading.failed:
        assert json.dumps(training.state()) == training.before
    if history is None:
        return
    assert all(type(p.data) is float for p in training.model.parameters())
    for column in history.columns.values():
        assert all(type(x) in (float, int) for x in column)
    assert history.best_epoch is None or 0 <= history.best_epoch < len(history)
    assert all(type(x) in (float, int) for x in history.seconds)
    assert isinstance(repr(history), str)
    with suppress(NonFiniteGradientError):
        Trained(file, 4, True).run()  # what it saved in turn is whole


def test_a_file_that_is_as_it_should_be_is_loaded(checkpoint: tuple[Path, Any], tmp_path: Path) -> None:
    """So that the tests above do not pass because nothing loads."""
    file, saved = checkpoint
    file.write_text(json.dumps(saved))
    assert len(Trained(file, 3, True).run()) == 3
    (tmp_path / "m.json").write_text(json.dumps(MODULE))
    assert bits(network().load(tmp_path / "m.json")) == bits(network(3))
    for name in METHODS:
        optimizer = optimizer_at_work(name, 1)
        optimizer.load_state_dict(json.loads(json.dumps(optimizer_at_work(name, 3).state_dict())))
        assert optimizer.steps == 3
