"""Strategies: what they draw, what it shrinks and prints to, and that they ask for hypothesis where it is missing."""

import copy
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

import scalargrad as sg
from scalargrad import Value
from scalargrad.engine.chain_rule import topological_order
from scalargrad.testing import (
    GradientError,
    Network,
    Program,
    check_grads,
    datasets,
    expressions,
    finite_floats,
    networks,
    plugin,
    values,
)
from scalargrad.testing.programs import ROUGH, SMOOTH


@given(finite_floats(), finite_floats(-5, 5), finite_floats(0.25, tame=True), finite_floats(7, 7))
def test_floats_are_finite_and_in_range(x: float, y: float, z: float, seven: float) -> None:
    assert math.isfinite(x)
    assert -5.0 <= y <= 5.0
    assert 0.25 <= z <= 1000.0
    assert z == round(z, 2)
    assert seven == 7.0


@pytest.mark.parametrize(
    "wanted",
    [
        lambda x: x == 0.0 and math.copysign(1.0, x) < 0.0,
        lambda x: 0.0 < abs(x) < 1e-300,
        lambda x: abs(x) > 1e199,
        lambda x: x == -1.0,
    ],
)
def test_awkward_floats_come_up(wanted: Callable[[float], bool]) -> None:
    find(finite_floats(), wanted, settings=settings(max_examples=2000, phases=[Phase.generate]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: finite_floats(2, 1),
        lambda: finite_floats(math.nan),
        lambda: finite_floats(0, math.inf),
        lambda: finite_floats(0.001, 0.002, tame=True),
        lambda: expressions(0),
        lambda: networks(activations=["exponential"]),
        lambda: datasets(classes=0),
    ],
)
def test_impossible_demands_are_errors_at_once(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"finite_floats|expressions|networks|datasets"):
        make()


@given(values(-1, 1, label="x"))
def test_values_are_leaves(x: Value) -> None:
    assert x.is_leaf
    assert x.label == "x"
    assert -1.0 <= x.data <= 1.0


# ---- programs --------------------------------------------------------------------------------------------------------


@given(expressions(inputs=2, adversarial=True), finite_floats(), finite_floats())
def test_a_program_runs_on_values_whatever_they_are(f: Program, x: float, y: float) -> None:
    first, second = f(Value(x), Value(y)), Program(repr(f))(Value(x), Value(y))
    assert first.data == second.data or (math.isnan(first.data) and math.isnan(second.data))


@given(expressions(inputs=4))
def test_a_program_prints_as_python_that_runs(f: Program) -> None:
    names: dict[str, Any] = {}
    exec(f"from scalargrad.functions import *\ng = {f!r}", names)
    xs = (0.5, -1.25, 2.0, 0.1)
    assert names["g"](*xs) == f(*xs) == f(*map(Value, xs)).data
    assert f.arity == 4
    for again in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        assert again == f
        assert again(*xs) == f(*xs)


def graph(f: Program) -> tuple[list[Any], list[Any]]:
    y = f(Value(0.5), Value(-1.25))
    order = topological_order((y,))
    return order, [p for node in order for p in node.parents]


def shares(f: Program) -> bool:
    order, parents = graph(f)
    return any(sum(node is p for p in parents) > 1 for node in order if node.parents)


def repeats(f: Program) -> bool:
    return any(len(set(node.parents)) < len(node.parents) for node in graph(f)[0])


def has_constant(f: Program) -> bool:
    return any(node.is_constant for node in graph(f)[0])


def has_dead(f: Program) -> bool:
    return repr(f).count(":=") + 1 > len([node for node in graph(f)[0] if node.parents])


@pytest.mark.parametrize("wanted", [shares, repeats, has_constant, has_dead])
def test_programs_have_sharing_repeats_constants_and_dead_nodes(wanted: Callable[[Program], bool]) -> None:
    find(expressions(inputs=2), wanted, settings=settings(max_examples=500, phases=[Phase.generate]))


@pytest.mark.parametrize("operation", SMOOTH + ROUGH)
def test_every_operation_can_be_drawn_and_computed(operation: Any) -> None:
    f = Program(f"lambda a, b, c: {operation.text.format(a='a', b='b', c='c')}")
    assert isinstance(f(Value(0.5), Value(0.25), Value(0.75)), Value)
    assert operation.operands >= 1


def test_a_failure_shrinks_to_the_culprit() -> None:
    @sg.primitive(lambda y, a: (1.01 * sg.cos(a),), name="bad_sin")
    def bad_sin(a: float) -> float:
        return math.sin(a)

    def wrong(f: Program) -> bool:
        source = repr(f).replace("sin(", "bad_sin(").replace("bad_sinh(", "sinh(").replace("abad_sin", "asin")
        g = eval(source, {**vars(sg), "bad_sin": bad_sin})
        try:
            check_grads(g, (0.5,), order=1, undecided="report")
        except GradientError:
            return True
        return False

    assert repr(find(expressions(inputs=1, max_statements=5), wanted_or_false(wrong))) == "lambda x: sin(x)"


def wanted_or_false(condition: Callable[[Program], bool]) -> Callable[[Program], bool]:
    return lambda f: "sin(" in repr(f) and condition(f)


# ---- networks and data -----------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(networks(inputs=3, outputs=2), st.lists(finite_floats(-2, 2, tame=True), min_size=3, max_size=3))
def test_networks_differentiate_by_weights_and_input(net: Network, x: list[float]) -> None:
    assert len(net(x)) == 2
    assert eval(repr(net), {"Network": Network}) == net
    check_grads(net.run, (net.layers, x), order=1, undecided="reject")


@given(datasets(features=3, classes=2, min_size=2, max_size=5), datasets())
def test_datasets_are_small_lists(classes: tuple[Any, Any], numbers: tuple[Any, Any]) -> None:
    xs, ys = classes
    assert 2 <= len(xs) == len(ys) <= 5
    assert {len(x) for x in xs} == {3}
    assert set(ys) <= {0, 1}
    assert all(isinstance(y, float) for y in numbers[1])


# ---- in a user's test ------------------------------------------------------------------------------------------------


def test_a_property_finds_a_shrunk_counterexample() -> None:
    def loss(w: float, x: float) -> float:
        return max(0.0, 1.0 - w * x) ** 2

    def gradient(w: float, x: float) -> tuple[float, float]:
        slack = max(0.0, 1.0 - w * x)
        return -2.0 * slack * x, -2.0 * slack * (w if x >= 0.0 else abs(w))

    tried: list[tuple[float, float]] = []

    @settings(database=None, derandomize=True, deadline=None)
    @given(finite_floats(-5, 5), finite_floats(-5, 5))
    def property_of_gradient(w: float, x: float) -> None:
        tried.append((w, x))
        check_grads(loss, (w, x), gradient=gradient, undecided="reject")

    with pytest.raises(GradientError, match=r"by args\[1\]") as caught:
        property_of_gradient()
    (finding,) = caught.value.report.wrong
    w, x = tried[-1]  # hypothesis ends with the smallest failure
    assert w < 0.0 > x
    assert all(len(repr(each)) <= 5 for each in (w, x))
    assert finding.reproduce == f"check_grads(loss, ({w!r}, {x!r}), gradient=gradient, only='args[1]')"


def test_a_property_that_can_never_be_judged_does_not_pass() -> None:
    @settings(database=None, max_examples=20, suppress_health_check=list(HealthCheck))
    @given(finite_floats(1e17, 1e18))
    def property_of_noise(x: float) -> None:
        check_grads(sg.sin, (x,), order=1, undecided="reject")

    with pytest.raises(Unsatisfiable):
        property_of_noise()


WITHOUT = """
import sys
sys.modules["hypothesis"] = None
import scalargrad
from scalargrad.testing import check_grads, finite_floats, expressions, values, networks, datasets
print(check_grads(scalargrad.sin, (0.5,)))
for strategy in (finite_floats, values, expressions, networks, datasets):
    try:
        strategy()
    except ModuleNotFoundError as error:
        print(error)
"""


def test_without_hypothesis_only_strategies_are_missing() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    first, *rest = done.stdout.splitlines()
    assert first.endswith("2 derivatives checked: agrees 2")
    assert [line.split()[0] for line in rest] == [
        f"scalargrad.testing.{name}" for name in ("finite_floats", "values", "expressions", "networks", "datasets")
    ]
    assert all("pip install hypothesis" in line for line in rest)


def test_importing_the_kit_is_light() -> None:
    code = "import sys, scalargrad.testing; print({'hypothesis', 'numpy', 'pytest', 'mpmath'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# ---- the pytest plugin -----------------------------------------------------------------------------------------------

TESTS = """
import math
from scalargrad.testing import check_grads

def test_sin():
    for x in (0.5, 1.5):
        check_grads(math.sin, (x,), gradient=math.cos)

def test_noise():
    check_grads(lambda x: math.sin(x), (1e17,), gradient=math.cos, undecided="report")
"""


def test_the_plugin_reports_every_check_and_imports_nothing_before(tmp_path: Path) -> None:
    source = Path(plugin.__file__)
    imported = [line for line in source.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert imported == ["from __future__ import annotations", "from typing import Any"]
    (tmp_path / "pytest_scalargrad.py").write_text(source.read_text())  # under the name that it is installed by
    (tmp_path / "test_gradients.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "pytest_scalargrad",
        "-p",
        "no:cacheprovider",
        "--gradient-report",
    ]
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    table = [line.split() for line in done.stdout.splitlines() if "::" in line]
    assert [row[:3] for row in table] == [["f", "1", "1"], ["sin", "1", "2"]], done.stdout + done.stderr
    assert [row[5:] for row in table] == [
        ["0", "0", "1", "0", "test_gradients.py::test_noise"],
        ["2", "0", "0", "0", "test_gradients.py::test_sin"],
    ]
