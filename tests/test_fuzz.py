"""Hostile input, made by hypothesis: the command line, and the files that models and training are read from.

Whatever they are given, they answer or refuse: with a message that says where, without a crash, in short time, and
without running anything. (What the expression's parser does with any text is in `test_expression.py`, and what a
module's state does with any data in `test_nn.py`.)
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalargrad.cli.main import main
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP
from scalargrad.optim import Adam
from scalargrad.optim.base import NonFiniteGradientError
from scalargrad.schedules import ReduceOnPlateau
from scalargrad.training import EarlyStopping, fit

SECONDS = 10.0  # most take a thousandth of that; it is the hang that is looked for

# ---- the command line ------------------------------------------------------------------------------------------------

EVIL = (
    "__import__('os').system('true')", "().__class__.__bases__", "exec(x)", "eval('1')", "open('/etc/passwd')",
    "x.real", "lambda: 0", "[x for x in y]", "f'{x}'", "9**9**9**9", "2**10000", "1e999", "(" * 60, "-" * 200 + "x",
    "sum()", "where(x<", "x if x else x", "import os", "x;y", "x\x00", "\ud800", "%s" * 20, "{0.__class__}",
)  # fmt: skip
FORMULAS = st.sampled_from(
    ("x", "x*y + sin(x)", "where(x > 0, log(x), y)", "dot([x, y], [y, x])", "x**y", "1/0", *EVIL)
)
TEXTS = FORMULAS | st.text(max_size=12) | st.text("xy0123456789.+-*/()[],<>=_ e", max_size=20)
NUMBERS = st.floats().map(repr) | st.sampled_from(("1/0", "inf", "nan", "1e400", "", "=", "0x10", "1_0", "pi", *EVIL))
ASSIGNMENTS = st.builds(
    "{}={}".format, st.sampled_from(("x", "y", "z", "", "__builtins__", "π", "-x")) | TEXTS, NUMBERS
)
OPTIONS = st.sampled_from(
    ("--steps", "--hessian", "--json", "--wrt", "x", "x,y", "--labels", "none", "--", "-", "--version", "--precision",
     "--title", "--theme", "dark", "-h")
)  # fmt: skip


class _Watch:
    """Notes what the interpreter is asked to do that reading a formula does not need."""

    def __init__(self) -> None:
        self.on, self.seen = False, set[str]()
        sys.addaudithook(self)  # which cannot be taken away again, only switched off

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event in (
            "exec",
            "os.system",
            "subprocess.Popen",
            "os.exec",
            "os.posix_spawn",
            "socket.connect",
        ):
            self.seen.add(event)
        if self.on and event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            self.seen.add(f"open {arguments[0]}")


@pytest.fixture(scope="module")
def watch() -> Iterator[_Watch]:
    for warm in (["x", "x=1", "--json", "--steps"], ["x*x", "x=1", "--hessian"], ["-h"]):  # what it imports as it goes
        _run(warm)
    watching = _Watch()
    yield watching
    watching.on = False


def _run(arguments: list[str]) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    return status, out.getvalue(), err.getvalue()


@settings(max_examples=300)
@given(data=st.data())
def test_any_arguments_are_answered_or_refused(watch: _Watch, data: st.DataObject) -> None:
    arguments = data.draw(st.lists(TEXTS | ASSIGNMENTS | OPTIONS, max_size=6))
    began, watch.seen, watch.on = time.perf_counter(), set(), True
    try:
        status, out, err = _run(arguments)
    finally:
        watch.on = False
    assert time.perf_counter() - began < SECONDS
    assert watch.seen == set()
    assert "Traceback" not in out + err
    assert status in (0, 1, 2)
    assert (err.strip() != "") if status else (out.strip() != "")


@pytest.mark.parametrize("text", EVIL)
def test_no_expression_is_evaluated(watch: _Watch, text: str) -> None:
    for arguments in ([text, "x=1", "y=2"], ["x", f"x={text}"], ["x", f"{text}=1", "x=1"], ["x", "x=1", "--wrt", text]):
        watch.seen, watch.on = set(), True
        try:
            status, out, err = _run(arguments)
        finally:
            watch.on = False
        assert watch.seen == set()
        assert status == 0 or err.strip()
        assert "Traceback" not in out + err


def test_the_watch_sees_what_it_is_for(watch: _Watch, tmp_path: Path) -> None:
    watch.seen, watch.on = set(), True
    eval("1 + 1")
    (tmp_path / "written").write_text("x")
    watch.on = False
    assert watch.seen == {"exec", f"open {tmp_path / 'written'}"}


# ---- files -----------------------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([10**400, -(10**309), 2**53, -1, 0, "0.5", "Infinity", "x" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
LINE = ([[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0])


class Setting:
    """A model, an optimizer with two groups and schedules that learn, and how they are trained."""

    def __init__(self, seed: int = 0) -> None:
        self.model = MLP(1, [2, 1], activation="tanh", dropout=0.25, seed=seed)
        ws = self.model.parameters()
        self.plateaus = [ReduceOnPlateau(0.125, patience=0), ReduceOnPlateau(0.25)]
        self.optimizer = Adam(
            [{"params": ws[:2], "lr": self.plateaus[0]}, {"params": ws[2:], "lr": self.plateaus[1], "eps": 1e-6}]
        )

    def train(self, epochs: int, file: Path, resume: bool = False) -> None:
        rule = EarlyStopping(50)
        fit(
            self.model, LINE, mean_squared_error, self.optimizer, epochs, 2,
            progress=False, checkpoint=file, resume=resume, early_stopping=rule,
        )  # fmt: skip

    def state(self) -> str:
        return json.dumps([self.model.state_dict(), self.optimizer.state_dict()])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    file = tmp_path_factory.mktemp("fuzz") / "c.json"
    Setting().train(2, file)
    return file, json.loads(file.read_text())


def spoilt(whole: Any, draw: st.DataObject) -> Any:
    """A copy with something in it replaced, left out or added, at a place that is drawn."""
    holder: dict[str, Any] = {"": copy.deepcopy(whole)}
    inside, key = holder, ""
    while isinstance(inside[key], dict | list) and inside[key] and draw.draw(st.integers(0, 4), label="deeper"):
        inside = inside[key]
        key = draw.draw(st.sampled_from(list(inside) if isinstance(inside, dict) else range(len(inside))), label="key")
    what = draw.draw(st.sampled_from(("replace", "remove", "add")), label="what")
    if what == "remove" and inside is not holder:
        del inside[key]
    elif what == "add" and isinstance(inside, dict) and inside is not holder:
        inside[draw.draw(st.text(max_size=5), label="new key")] = draw.draw(JUNK, label="junk")
    else:
        inside[key] = draw.draw(JUNK, label="junk")
    return holder[""]


@pytest.mark.filterwarnings("ignore:.* was written by scalargrad:UserWarning")
@settings(max_examples=400)
@given(data=st.data())
def test_a_spoilt_checkpoint_is_refused_with_its_place_or_goes_on(
    checkpoint: tuple[Path, dict[str, Any]], data: st.DataObject
) -> None:
    """What is refused has changed nothing; what is taken, such as another number, can be trained on."""
    file, whole = checkpoint
    broken = file.with_name("broken.json")
    broken.write_text(json.dumps(spoilt(whole, data)))
    setting = Setting(seed=1)
    before, began = setting.state(), time.perf_counter()
    told = ""
    try:
        setting.train(4, broken, resume=True)
    except ValueError as error:
        told = str(error)
    except NonFiniteGradientError:  # a weight of 1e300 is a number, and can be loaded
        assert setting.state() != before
    if told:
        assert told.startswith(f"{broken}: ")
        assert len(told) < 1500
        assert setting.state() == before
    assert time.perf_counter() - began < SECONDS


@settings(max_examples=200)
@given(data=st.data())
def test_a_spoilt_state_of_an_optimizer_is_refused_or_is_what_is_loaded(data: st.DataObject) -> None:
    setting = Setting()
    for p in setting.model.parameters():
        p.grad = 0.5
    setting.optimizer.step()
    before = setting.optimizer.state_dict()
    state = spoilt(before, data)
    told = ""
    try:
        setting.optimizer.load_state_dict(state)
    except (ValueError, TypeError) as error:
        told = str(error)
    if told:
        assert "Adam" in told or "ReduceOnPlateau" in told
        assert len(told) < 600
        assert setting.optimizer.state_dict() == before
    else:
        setting.optimizer.step()


TEXT_OF_A_FILE = st.one_of(
    st.binary(max_size=40),
    st.text("{}[]\":,0123456789.eE+-nulltrfasNIinity \\u", max_size=60).map(str.encode),
    JUNK.map(lambda junk: json.dumps(junk).encode()),
)  # fmt: skip


@settings(max_examples=200)
@given(TEXT_OF_A_FILE)
@example(b"[" * 200_000)
@example(b'{"a":' * 100_000)
@example(b"1" * 100_000)
@example(b'{"format": "scalargrad module 1"}')
@example(b'{"format": "scalargrad checkpoint 1"}')
@example(b"\xff\xfe")
@example(b"")
def test_a_file_of_anything_is_refused_with_its_name(checkpoint: tuple[Path, dict[str, Any]], text: bytes) -> None:
    file = checkpoint[0].with_name("any.json")
    file.write_bytes(text)
    setting = Setting()
    before = setting.state()
    with pytest.raises(ValueError, match=r"any\.json: "):
        setting.model.load(file)
    with pytest.raises(ValueError, match=r"any\.json: "):
        setting.train(4, file, resume=True)
    assert setting.state() == before


@settings(max_examples=60)
@given(data=st.data())
def test_a_file_cut_short_or_with_one_byte_changed_is_refused_or_whole(
    checkpoint: tuple[Path, dict[str, Any]], data: st.DataObject
) -> None:
    file = checkpoint[0].with_name("cut.json")
    model = MLP(1, [2, 1], seed=3)
    model.save(file)
    text = file.read_bytes()
    at = data.draw(st.integers(0, len(text) - 2))
    changed = data.draw(st.just(b"") | st.binary(min_size=1, max_size=1))
    file.write_bytes(text[:at] + changed + (text[at + 1 :] if changed else b""))
    other = MLP(1, [2, 1], seed=4)
    before = other.state_dict()
    told = ""
    try:
        other.load(file)
    except ValueError as error:
        told = str(error)
    if told:
        assert told.startswith(f"{file}: ")
        assert other.state_dict() == before


def test_a_checkpoint_that_is_not_spoilt_is_taken(checkpoint: tuple[Path, dict[str, Any]]) -> None:
    file, whole = checkpoint
    again = file.with_name("again.json")
    again.write_text(json.dumps(whole, sort_keys=True))
    one, two = Setting(), Setting(seed=1)
    one.train(4, file.with_name("whole.json"))
    two.train(4, again, resume=True)
    assert one.state() == two.state()
