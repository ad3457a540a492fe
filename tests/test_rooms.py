"""The house: which room may know which, and what importing the package costs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from .architecture import edges, faults, sources

FILES = sources()


def test_the_house_keeps_its_rules() -> None:
    assert not faults(FILES)


def test_imports_are_seen() -> None:
    graph = edges(FILES)
    assert {"engine.modes", "engine.table", "engine.chain_rule"} <= graph["engine.value"]
    assert "engine.value" in graph["transforms.derivatives"]


PLANTED = {
    "not below it": ("transforms.trees", "from ..nn import Module"),
    "the package, which is not below it": ("nn.module", "import scalargrad"),
    "a cycle": ("engine.ieee", "from .value import Value"),
    "an import of drawing.graph.drawing inside a function": (
        "training.fit", "def f():\n    from ..drawing.graph.drawing import draw",
    ),
    "an import by a string": ("nn.layers", "import importlib\nimportlib.import_module('scalargrad.drawing')"),
    "an attribute is set on Value": (
        "drawing.graph.drawing", "from ...engine.value import Value\nsetattr(Value, 'draw', 1)",
    ),
    "an attribute is set on Module": ("drawing.network.reading", "from ...nn.module import Module\nModule.draw = 1"),
    "on no floor": ("attic", ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    module, line = PLANTED[fault]
    planted = {**FILES, module: f"{FILES.get(module, '')}\n{line}\n"}
    assert any(fault in each and (module in each or fault == "a cycle") for each in faults(planted))


LIGHT = """
import sys, threading
before = set(sys.modules)
import scalargrad
heavy = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(heavy & {"graphviz", "numpy", "llvmlite", "matplotlib", "tqdm", "decimal", "asyncio", "inspect", "json"}))
print(threading.active_count())
"""


def test_importing_the_package_is_light_and_silent() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n1\n"
    assert done.stderr == ""


MODULES = [
    "activations",
    "compiler",
    "data",
    "drawing",
    "losses",
    "nn",
    "optim",
    "plots",
    "schedules",
    "testing",
    "training",
]


@pytest.mark.parametrize("name", MODULES)
def test_completions_show_the_public_names_and_no_others(name: str) -> None:
    module = importlib.import_module(f"scalargrad.{name}")
    assert dir(module) == sorted(module.__all__)
    assert all(getattr(module, each).__doc__ for each in module.__all__ if not each[0].isupper() or each == "Value")
