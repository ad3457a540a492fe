"""The rules of the house, and what breaks them, as one line a fault: rooms on floors, no cycles, no back doors.

`python -m tests.architecture` prints the faults and the counts.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "scalargrad"
# From low to high; what stands on one line does not know of each other.
FLOORS = (
    ("version", "notebooks"),
    ("engine",),
    ("transforms",),
    ("functions",),
    ("arrays",),
    ("numpy",),
    ("activations",),
    ("losses",),
    ("state",),
    ("schedules",),
    ("data", "nn", "optim"),
    ("compiler",),
    ("control",),
    ("drawing",),
    ("training",),
    ("plots", "testing"),
    ("cli",),
    ("", "__main__"),  # the package's own __init__
)
FLOOR = {room: k for k, rooms in enumerate(FLOORS) for room in rooms}


parsed = cache(ast.parse)


@cache
def walked(tree: ast.Module) -> list[ast.AST]:
    return list(ast.walk(tree))


def sources(package: Path = PACKAGE) -> dict[str, str]:
    """Every file of the package by its module's name below the package: "engine.value"; "engine" for its __init__."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def _targets(module: str, node: ast.ImportFrom | ast.Import, files: Mapping[str, str]) -> Iterator[str]:
    """The modules of this package that an import statement names."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif node.level == 0:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        is_package = any(other.startswith(f"{module}.") for other in files) or module == ""
        parts = module.split(".") if module else []
        base = parts[: len(parts) - node.level + is_package]
        inside = [*base, *(node.module.split(".") if node.module else [])]
        names = [".".join(["scalargrad", *inside, alias.name]) for alias in node.names]
    for name in names:
        first, _, rest = name.partition(".")
        if first != "scalargrad":
            continue
        while rest and rest not in files:
            rest = rest.rpartition(".")[0]
        yield rest


@cache
def _for_types(tree: ast.Module) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING:`, which nothing runs."""
    return {
        each
        for node in walked(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for each in ast.walk(node)
    }


@cache
def _in_functions(tree: ast.Module) -> set[ast.AST]:
    functions = [node for node in walked(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    return {each for function in functions for each in ast.walk(function)}


def _imported(tree: ast.Module, module: str, files: Mapping[str, str]) -> dict[str, str]:
    """The names that a file has from other modules of the package, and from which."""
    found = {}
    for node in walked(tree):
        if isinstance(node, ast.ImportFrom):
            for alias, target in zip(node.names, _targets(module, node, files), strict=False):
                found[alias.asname or alias.name] = target
    return found


def room(module: str) -> str:
    return module.partition(".")[0]


def edges(files: Mapping[str, str]) -> dict[str, set[str]]:
    """For every file the files that it imports when it runs."""
    found: dict[str, set[str]] = {}
    for module, source in files.items():
        tree = parsed(source)
        skipped = _for_types(tree)
        found[module] = {
            target
            for node in walked(tree)
            if isinstance(node, ast.Import | ast.ImportFrom) and node not in skipped
            for target in _targets(module, node, files)
            if target != module
        }
    return found


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Sets of files that import each other, in whatever many steps (Tarjan, SIAM Journal on Computing 1, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            k = stack.index(node)
            if len(stack) - k > 1:
                found.append(sorted(stack[k:]))
            del stack[k:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def back_doors(module: str, source: str, files: Mapping[str, str]) -> Iterator[str]:
    """Imports inside functions, by a string, and attributes that are set on what another room defines."""
    tree = parsed(source)
    inside, names = _in_functions(tree), _imported(tree, module, files)
    is_package = module == "" or any(other.startswith(f"{module}.") for other in files)
    for node in walked(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and node in inside:
            for target in _targets(module, node, files):
                yield f"line {node.lineno}: an import of {target or 'the package'} inside a function"
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called not in ("import_module", "__import__", "setattr"):
                continue
            text = ast.unparse(node.args[0]) if node.args else ""
            if called != "setattr" and ("scalargrad" in text or ("__name__" in text and not is_package)):
                yield f"line {node.lineno}: an import by a string"
            elif (
                called == "setattr" and isinstance(node.args[0], ast.Name) and _foreign(node.args[0].id, module, names)
            ):
                yield f"line {node.lineno}: an attribute is set on {text}, which {names[text]} defines"
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    name = target.value.id
                    if name[:1].isupper() and _foreign(name, module, names):
                        yield f"line {node.lineno}: an attribute is set on {name}, which {names[name]} defines"


def _foreign(name: str, module: str, names: Mapping[str, str]) -> bool:
    return name in names and room(names[name]) != room(module)


def faults(files: Mapping[str, str]) -> list[str]:
    """Everything that breaks the rules."""
    found: list[str] = []
    graph = edges(files)
    for module, targets in graph.items():
        if room(module) not in FLOOR:
            found.append(f"{module}: its room is on no floor")
            continue
        for target in sorted(targets):
            a, b = FLOOR[room(module)], FLOOR.get(room(target), -1)
            if room(module) != room(target) and a <= b:
                found.append(f"{module}: imports {target or 'the package'}, which is not below it")
        found += [f"{module}: {each}" for each in back_doors(module, files[module], files)]
    found += [f"a cycle: {', '.join(each)}" for each in cycles(graph)]
    return found


def main() -> int:
    files = sources()
    found = faults(files)
    print("\n".join(found))
    lengths = sorted(((source.count("\n"), module) for module, source in files.items()), reverse=True)
    engine = sum(count for count, module in lengths if room(module) == "engine")
    inner = sum("inside a function" in each for each in found)
    print(f"{len(files)} files, {sum(n for n, _ in lengths)} lines, the engine {engine}; longest {lengths[:3]}")
    print(f"{len(cycles(edges(files)))} cycles, {inner} imports inside functions, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
