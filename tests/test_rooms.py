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


VALUE, MODULE = "from ...engine.value import Value\n", "from ...nn.module import Module\n"
OF_DRAWING = "drawing.network.reading"
PLANTED = [
    ("not below it", "transforms.trees", "from ..nn import Module"),
    ("not below it", "nn.layers", "from .. import drawing"),
    ("not below it", "nn.layers", "try:\n    from ..drawing import draw\nexcept ImportError:\n    pass"),
    ("not below it", "nn.layers", "if TYPE_CHECKING:\n    pass\nelse:\n    from ..drawing import draw"),
    ("the package, which is not below it", "nn.module", "import scalargrad"),
    ("a cycle", "engine.ieee", "from .value import Value"),
    ("a cycle", "optim.base", "from .methods import SGD"),
    (
        "an import of drawing.graph.drawing inside",
        "training.fit",
        "def f():\n    from ..drawing.graph.drawing import draw",
    ),
    ("an import of optim.clipping inside", "optim.methods", "def f():\n    from . import clipping"),
    ("an import of nn inside", "optim.methods", "class A:\n    def f(self):\n        import scalargrad.nn"),
    ("an import by a string", "nn.layers", "importlib.import_module('scalargrad.drawing')"),
    ("an import by a string", "nn.layers", "from importlib import import_module as l\nl('...drawing', __package__)"),
    ("an import by a string", "nn.layers", "importlib.import_module(f'{__name__}.x')"),
    ("an import by a string", "nn", "importlib.import_module('scalargrad.drawing')"),
    ("an import by a string", "nn.layers", "ROOM = 'scalargrad.drawing'\n__import__(ROOM)"),
    ("an import by a string", "nn.layers", "sys.modules['scalargrad.drawing'].draw"),
    ("an import by a string", "nn.layers", "pkgutil.resolve_name('scalargrad.drawing:draw')"),
    ("an import by a string", "nn.layers", "exec('from scalargrad.drawing import draw')"),
    ("an attribute is set on Value", OF_DRAWING, f"{VALUE}setattr(Value, 'draw', 1)"),
    ("an attribute is set on Value", OF_DRAWING, f"{VALUE}type.__setattr__(Value, 'draw', 1)"),
    ("an attribute is set on Module", OF_DRAWING, f"{MODULE}Module.draw = 1"),
    ("an attribute is set on Module", OF_DRAWING, f"{MODULE}del Module.draw"),
    ("an attribute is set on module.Module", OF_DRAWING, "from ...nn import module\nmodule.Module.draw = 1"),
    ("an attribute is set on module", OF_DRAWING, "from ...nn import module\nmodule.draw = 1"),
    ("on no floor", "attic", ""),
]


@pytest.mark.parametrize(("fault", "module", "line"), PLANTED)
def test_a_planted_fault_is_found(fault: str, module: str, line: str) -> None:
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
