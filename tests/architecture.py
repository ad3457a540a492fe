"""The rules of the house, and what breaks them, as one line a fault: rooms on floors, no cycles, no back doors.

`python -m tests.architecture` prints the faults and the counts.
"""

from __future__ import annotations

import ast
import re
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
        for statement in node.body
        for each in ast.walk(statement)
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
    yield from _by_strings(tree, module, files)
    for node in walked(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and node in inside:
            for target in _targets(module, node, files):
                yield f"line {node.lineno}: an import of {target or 'the package'} inside a function"
        changed: list[ast.expr] = []
        if isinstance(node, ast.Call) and _last_name(node.func) in ("setattr", "delattr", "__setattr__", "__delattr__"):
            changed = node.args[:1]
        elif isinstance(node, ast.Assign | ast.Delete):
            changed = [each.value for each in node.targets if isinstance(each, ast.Attribute)]
        elif isinstance(node, ast.AnnAssign | ast.AugAssign) and isinstance(node.target, ast.Attribute):
            changed = [node.target.value]
        for each in changed:
            name = ast.unparse(each)
            origin = names.get(name.partition(".")[0])
            if origin is None or room(origin) == room(module):
                continue
            if name.rpartition(".")[2][:1].isupper() or (origin == name or origin.endswith(f".{name}")):
                yield f"line {node.lineno}: an attribute is set on {name}, which {origin} defines"


def _last_name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _by_strings(tree: ast.Module, module: str, files: Mapping[str, str]) -> Iterator[str]:
    """Texts that name a module of this package, or import one; a package may make its own modules' names."""
    is_package = module == "" or any(other.startswith(f"{module}.") for other in files)
    docstrings = {id(node.value) for node in walked(tree) if isinstance(node, ast.Expr)}
    importing = {"import_module", "__import__", "resolve_name", "exec", "eval"}
    for node in walked(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("importlib", "pkgutil"):
            importing |= {each.asname or each.name for each in node.names if each.name in importing}
    for node in walked(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            first, _, rest = node.value.partition(":")[0].partition(".")
            if first == "scalargrad" and rest and rest in files and room(rest) != room(module):
                yield f"line {node.lineno}: an import by a string"
        elif isinstance(node, ast.Call) and _last_name(node.func) in importing and node.args:
            text = ast.unparse(node.args[0])
            own = "__name__" in text and is_package and ".." not in text
            if text[1:2] == "." or (not own and re.search("scalargrad|__name__|__package__", text)):
                yield f"line {node.lineno}: an import by a string"


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
