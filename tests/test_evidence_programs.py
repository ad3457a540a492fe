"""The short form of the evidence for programs: some thousands of random Python functions, compiled, against their eager
run and against mpmath; and what the evidence rests on, tested."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mpmath as mp
import pytest

import scalargrad as sg
from scalargrad import activations, functions, losses
from scalargrad.compiler.backends import python as python_backend
from scalargrad.engine import primitive, table
from scalargrad.transforms.trees import flatten

from .evidence import backends, compare, jets, replants, run
from .evidence.__main__ import cores, main
from .evidence.backends import Answer, C, same
from .evidence.checks import Figures
from .evidence.compare import Fault, Pending, examine
from .evidence.programs import HEADER, KINDS, PRIMITIVES, Program, Statement, program

SOME = [program(0, k) for k in range(4000)]


def made(
    *lines: tuple[str, str, tuple[str, ...]], taking: str = "g = f", order: int = 0, at: tuple = (0.5,)
) -> Program:
    """A program of one argument `x0`."""
    statements = tuple(Statement(*line) for line in lines)
    result = Statement("", "{0}", (statements[-1].target,))
    return Program(-1, "smooth", (), ("x0",), statements, result, (taking,), order, (at,), (0,))


# ---- the evidence ----------------------------------------------------------------------------------------------------


def test_thousands_of_programs_have_the_bits_of_their_eager_run_and_the_exact_derivatives() -> None:
    size = replace(run.SHORT, graphs=0, programs=1000, everywhere=20, derived=100)
    figures = run.run(size, seed=0, jobs=min(cores(), 2))
    assert figures.failed == 0, "\n\n".join([str(figures.faults), *figures.failures.values()])
    assert figures.programs == 1020
    assert set(figures.orders) == {0, 1, 2, 3, 4}
    for backend in backends.available():
        assert figures.checks[f"programs, {backend}: calls"] > 50
    for order in (1, 2, 3, 4):
        assert 0.0 < figures.worst[f"programs, derivative {order} against mpmath: error / bound"][0] <= 1.0


# ---- programs --------------------------------------------------------------------------------------------------------


def test_programs_are_known_by_seed_and_number() -> None:
    assert repr(program(1, 5)) == repr(program(1, 5))
    assert len({p.source() for p in SOME[:200]}) > 190
    assert program(2, 5).source() != program(1, 5).source()


def test_programs_have_what_programs_have() -> None:
    text = "\n".join(p.source() for p in SOME)
    called = {*re.findall(r"(?<![.\w])(\w+)\(", text)}
    assert {name for name in functions.__all__ if name in primitive.TABLE} <= called
    assert set(activations.__all__) <= {*re.findall(r"activations\.(\w+)\(", text)}
    assert set(losses.__all__) <= {*re.findall(r"losses\.(\w+)\(", text)}
    assert {"grad", "value_and_grad", "jvp", "vjp", "hvp", "jacobian", "hessian", "no_grad", "Value"} <= called
    assert set(PRIMITIVES) <= called
    assert {p.kind for p in SOME} == set(KINDS)
    assert {p.order for p in SOME} == {0, 1, 2, 3, 4}
    assert {p.threads for p in SOME} == {1, 2}
    assert {len(p.samples) for p in SOME} >= {1, 2, 17}
    assert any(p.tiles > 1024 for p in SOME)
    assert any(len(p.statements) >= 150 for p in SOME)
    assert any(type(argument) is kind for p in SOME for argument in p.samples[0] for kind in (dict, tuple, list))
    for piece in (
        "if ",
        "elif ",
        "for ",
        "Fraction(",
        "Decimal(",
        "10**400",
        "5e-324",
        "1e+308",
        "inf",
        "nan",
        "(-0.0)",
    ):
        assert piece in text
    numbers = {repr(x) for p in SOME for sample in p.samples for x in flatten(sample)[0]}
    assert {"0.0", "-0.0", "inf", "-inf", "nan", "5e-324", "1e+308", "1.0000000000000002"} <= numbers


def test_a_program_without_some_of_it_is_a_program() -> None:
    for p in SOME[:40]:
        for k, smaller in enumerate(p.smaller()):
            if k > 30:
                break
            smaller.namespace()


def test_a_program_shrinks_to_what_makes_it_fail() -> None:
    shrunk = 0
    for p in SOME[:300]:
        if "erfc(" in p.source() and p.kind != "long":
            small = p.shrunk(lambda each: "erfc(" in each.source())
            assert len(small.statements) <= 1
            assert small.order == 0
            assert len(small.samples) == 1
            shrunk += 1
    assert shrunk > 5


# ---- comparing -------------------------------------------------------------------------------------------------------


def test_the_sign_of_zero_counts_and_that_of_nan_does_not() -> None:
    leaf = "*"
    assert same(Answer((0.0, math.nan), leaf), Answer((0.0, -math.nan), leaf))
    assert not same(Answer((0.0,), leaf), Answer((-0.0,), leaf))
    assert not same(Answer((math.nan,), leaf), Answer((0.0,), leaf))
    assert not same(Answer((1.0,), leaf), Answer((1.0,), (list, None, (leaf,))))
    assert same(Answer(raised="ValueError", says="a"), Answer(raised="ValueError", says="b"))
    assert not same(Answer(raised="ValueError"), Answer((1.0,), leaf))


@pytest.mark.parametrize("where", ["call", "map", "map sum"])
def test_a_wrong_backend_is_found_and_shown_by_the_smallest_program(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python source whose sine is that of another number, for a part of the programs that have a sine."""
    monkeypatch.setattr(compare, "_shrunk", {})
    original = python_backend.build

    def wrong(lowered, *rest):  # type: ignore[no-untyped-def]
        runner = original(lowered, *rest)
        if "tanh" not in {getattr(each, "name", "") for each in lowered.operations}:
            return runner
        return lambda xs: (found := runner(xs)) and [y * (1.0 + 2.0**-52) if y else y for y in found]

    monkeypatch.setattr(python_backend, "build", wrong)
    figures, pending = Figures(), Pending()
    p = made(("v0", "sin({0})", ("x0",)), ("v1", "tanh({0})", ("v0",)), ("v2", "{0} + {1}", ("v1", "v0")))
    chosen = [backends.PYTHON] if where == "call" else []
    batches = [] if where == "call" else [(backends.PYTHON, where.partition(" ")[2] or None)]
    examine(p, figures, pending, chosen, batches)
    assert list(figures.faults) == [f"Python source, {where} differs"]
    (text,) = figures.failures.values()
    assert "    v1 = tanh(x0)\n    return v1\n" in text
    assert len(re.findall(r"\n    v\d", text)) == 1


def test_the_script_of_a_failure_runs(tmp_path: Path) -> None:
    p = made(("v0", "sin({0})", ("x0",)), taking="g = grad(f)", order=1)
    leaf = Answer((1.0,), "*")
    for where in ("Python source, call", "Python source, map", "x86-64, map sum", "C, call", "eager"):
        file = tmp_path / "script.py"
        file.write_text(compare.script(Fault(where, p, 0, leaf, leaf)), encoding="utf-8")
        done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "0.8775825618903728" in done.stdout


def test_a_raised_error_must_be_the_same() -> None:
    """A loss refuses what is no distribution, and a compiled function that was traced elsewhere does so too."""
    call = "losses.binary_cross_entropy([{0}], [1.0])"
    p = made(("v0", call, ("x0",)))._replace(samples=((0.5,), (2.0,)))
    figures, pending = Figures(), Pending()
    examine(p, figures, pending, [backends.PYTHON], [])
    assert figures.failed == 0
    assert figures.checks["programs, Python source: calls"] == 2
    space = p.namespace()
    eager = compare.eagerly(p, space)
    assert [a.raised for a in eager] == ["", "ValueError"]
    fault = compare.calls(p, lambda x: x, eager, backends.PYTHON, None)
    assert fault is not None


@pytest.mark.skipif(C not in backends.available(), reason="gcc is not installed")
def test_programs_in_c_share_a_library() -> None:
    figures, pending = Figures(), Pending()
    for k in range(20):
        examine(made(("v0", f"sin({{0}}) + {k}", ("x0",))), figures, pending, [C], [])
    assert len(pending.waiting) == 20
    pending.compare(figures)
    assert figures.checks["programs, C: calls"] == 20
    assert figures.failed == 0
    examine(made(("v0", "cos({0})", ("x0",))), figures, pending, [C], [])
    k, p, _ = pending.waiting[0]
    pending.waiting[0] = k, p, [Answer((2.0,), "*")]
    pending.compare(figures, shrink=False)
    assert figures.faults == {"C, call differs": 1}


def test_old_faults_can_be_planted_again() -> None:
    """The texts that they stand in the place of are there; `python -m tests.evidence --replants` counts programs."""
    assert len({replants.planted(each).code for each in replants.REPLANTS}) == len(replants.REPLANTS)
    with pytest.raises(ValueError, match=r"stands 0 times in engine\.chain_rule"):
        replants.planted(replants.Replant("gone", "engine.chain_rule", (("no such text", ""),)))


def test_a_leaf_that_is_closed_over_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    p = made(("v0", "grad(lambda u: sin(u) * w0)({0})", ("x0",)))._replace(preamble=("w0 = Value(2.0)",))
    figures = Figures()
    assert compare.captured(p, p.namespace(), figures) is None
    assert figures.checks == {"programs, leaves closed over and as arguments: gradients": 1}
    monkeypatch.setattr(sg.Value, "backward", lambda self: None)
    fault = compare.captured(p, p.namespace(), None)
    assert fault is not None
    assert fault.expected.numbers == (math.cos(0.5),)
    assert fault.found.numbers == (0.0,)


# ---- exact derivatives -----------------------------------------------------------------------------------------------


def test_jets_are_taylor_series() -> None:
    p = made(("v0", "exp(sin({0}) * {0}) / (1.0 + {0} ** 2) - tanh({0})", ("x0",)))
    with mp.workdps(jets.DIGITS):
        found = jets.jet_of(p, (0.75,), [1.0], 4)
        expected = mp.taylor(lambda x: mp.exp(mp.sin(x) * x) / (1 + x**2) - mp.tanh(x), mp.mpf(0.75), 4)
        for a, b, size in zip(found.c, expected, found.m, strict=True):
            assert abs(a - b) < mp.mpf(10) ** -40
            assert abs(a) <= size < 1000


def test_jets_leave_out_what_is_not_smooth() -> None:
    for text in (
        "relu({0} - 0.5)",
        "max({0}, 0.5)",
        "floor({0} + 0.5)",
        "{0} ** 0.5",
        "log({0} - 0.5)",
        "1 / ({0} - 0.5)",
    ):
        p, at = made(("v0", text, ("x0",))), 0.0 if "**" in text else 0.5
        with mp.workdps(jets.DIGITS), pytest.raises(jets.Left):
            jets.jet_of(p, (at,), [1.0], 2)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_wrong_derivative_is_found(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is off by 2,000 ULP."""
    off = 1.0 + 2000 * 2.0**-52
    if order == 1:
        monkeypatch.setattr(table.sin, "local_gradients", lambda y, operands: (off * table.cos(operands[0]),))
    else:
        monkeypatch.setattr(table.cos, "local_gradients", lambda y, operands: (-off * table.sin(operands[0]),))
    figures = Figures()
    jets.check(made(("v0", "sin({0}) * {0}", ("x0",))), figures, random.Random(0))
    worst = figures.worst[f"programs, derivative {order} against mpmath: error / bound"][0]
    assert worst > 1.0


def test_the_command_shows_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--program", "3"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(HEADER)
    assert program(0, 3).source() in shown
    assert "| programs, Python source: calls |" in shown
