"""The floors of the house: a file imports only from lower floors, and importing the package stays light."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scalargrad"

FLOORS = {
    "ieee": 0,
    "modes": 0,
    "trees": 0,
    "primitives": 1,
    "graph": 2,
    "anomaly": 2.5,
    "value": 3,
    "version": 0,
    "activation_kernels": 1,
    "activation_rows": 2,
    "loss_rows": 3,
    "sequences": 4,
    "functions": 5,
    "calculus": 5,
    "activations": 6,
    "loss_batches": 5,
    "losses": 6,
    "optimizer": 5,
    "optim": 6,
    "schedules": 6,
    "data": 7,
    "datasets": 7,
    "nn": 7,
    "training": 9,
    "drawing": 8,
    "compiler": 8,
    "plots": 9,
    "testing": 8,
    "expression": 8,
    "terminal": 8,
    "tour": 9,
    "__init__": 10,
    "__main__": 11,
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms of this package that a file imports, anywhere in it."""
    depth = len(path.relative_to(PACKAGE).parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == depth:
            base = f"scalargrad.{node.module}" if node.module else "scalargrad"
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "scalargrad":
                target = rest.partition(".")[0]
                found.add(target if target in FLOORS else "__init__")
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_from_lower_floors(path: Path) -> None:
    own = room(path)
    above = {each for each in imported_rooms(path) if each != own and FLOORS[each] >= FLOORS[own]}
    assert not above, f"{own} (floor {FLOORS[own]}) imports {above}"


def test_every_floor_is_seen() -> None:
    assert imported_rooms(PACKAGE / "value.py") == {"anomaly", "modes", "primitives", "graph"}
    assert "value" in imported_rooms(PACKAGE / "calculus.py")


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
