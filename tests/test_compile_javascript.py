"""`to_js` in Node: the bits of Python for arithmetic and polynomials, guards, and what JavaScript has of its own."""

from __future__ import annotations

import json
import math
import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.compiler import CompiledFunction, GuardLimitError
from scalargrad.compiler.backends import javascript
from scalargrad.compiler.ir import elementary
from scalargrad.compiler.ir.program import Program
from scalargrad.transforms.trees import flatten

from .evidence import backends
from .evidence.programs import program
from .extras import needs_numpy
from .rows import ROWS
from .test_compile_bodies import CASES, FEW, SPECIAL

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

# Calls each function at its points. An answer is the bits of its outputs, "" where a guard fails, and "own" where it
# has asked a function that browsers compute each their own way.
CALLS = """
let own = false;
for (const name of [%s]) {
  const f = Math[name];
  Math[name] = (...xs) => { own = true; return f(...xs); };
}
const hex = (x) => { view.setFloat64(0, x); return view.getBigUint64(0).toString(16); };
const view = new DataView(new ArrayBuffer(8));
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
import("./made.mjs").then((made) => process.stdout.write(JSON.stringify(asked.map(([name, outputs, points]) =>
  points.map((given) => {
    own = false;
    const x = given.map((text) => { view.setBigUint64(0, BigInt(`0x${text}`)); return view.getFloat64(0); });
    const y = new Float64Array(outputs);
    const status = made[name](x, y);
    return own ? "own" : status ? "" : Array.from(y, hex).join();
  })))));
"""
PROGRAMS = 260
OWN = "exp expm1 log log1p log2 log10 cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh pow atan2 hypot"


def bits(x: float) -> str:
    return struct.pack(">d", x).hex().lstrip("0") or "0"


def same(found: str, expected: Sequence[float]) -> bool:
    """Whether those are the bits of these numbers, any nan being any nan."""
    given = [struct.unpack(">d", bytes.fromhex(each.zfill(16)))[0] for each in found.split(",") if each]
    return [math.isnan(a) or bits(a) for a in given] == [math.isnan(b) or bits(b) for b in expected]


def in_node(
    folder: Path, modules: dict[str, str], asked: dict[str, Sequence[Sequence[float]]], own: str = OWN
) -> dict[str, list[str]]:
    """What the functions of these modules give at these points."""
    (folder / "made.mjs").write_text("\n".join(modules.values()), encoding="ascii")
    (folder / "calls.cjs").write_text(CALLS % ", ".join(map(repr, own.split())), encoding="ascii")
    outputs = {name: int(text.partition("_OUTPUTS = ")[2].partition(";")[0]) for name, text in modules.items()}
    given = [[name, outputs[name], [[bits(x) for x in point] for point in points]] for name, points in asked.items()]
    done = subprocess.run(
        ["node", "calls.cjs"], cwd=folder, input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(asked, json.loads(done.stdout), strict=True))


@needs_numpy  # which the programs write, too
def test_random_programs_have_the_bits_of_python(tmp_path: Path) -> None:
    backends.quiet()
    modules: dict[str, str] = {}
    asked: dict[str, list[list[float]]] = {}
    expected: dict[str, list[list[float]]] = {}
    for k in range(PROGRAMS):
        p = program(0, k)
        f = sg.compile(p.namespace()["g"], backend="python", max_traces=64, functions="polynomial")
        points, results = [], []
        for sample in p.samples:
            try:
                leaves, _ = flatten(f(*sample))
                inputs = [float(x) for x in flatten(tuple(sample))[0]]
            except (ArithmeticError, TypeError, ValueError, GuardLimitError):
                continue
            points.append(inputs)
            results.append([float(x) for x in leaves])
        try:
            modules[f"p{k}"] = f.to_js(f"p{k}")
        except (TypeError, ValueError):  # as in C: an own operation, no trace, several structures
            continue
        asked[f"p{k}"], expected[f"p{k}"] = points, results
    found = in_node(tmp_path, modules, asked)
    compared = 0
    for name, answers in found.items():
        for point, text, right in zip(asked[name], answers, expected[name], strict=True):
            if text != "own":
                compared += 1
                assert same(text, right), (program(0, int(name[1:])).source(), point, text, right)
    assert compared > 300


def test_every_row_has_the_bits_of_its_body(tmp_path: Path) -> None:
    """All rows at awkward numbers, where JavaScript's own functions are not asked; there they are near."""
    r = random.Random(16)
    modules, asked, expected = {}, {}, {}
    for k, (row, n) in enumerate(CASES):
        if n > 3:
            continue
        made = Program(n, [f"x{i}" for i in range(n)])
        made.outputs = [made.emit(row, tuple(range(n)))]
        points = [tuple(r.choice(SPECIAL if n < 3 else FEW) for _ in range(n)) for _ in range(40)]
        points += [tuple(r.gauss(0.0, 3.0) for _ in range(n)) for _ in range(10)]
        name = f"r{k}"
        modules[name] = javascript.source([made], [[]], name)
        asked[name], expected[name] = points, []
        for point in points:
            try:
                expected[name].append([row.compute(*point)])
            except ZeroDivisionError:
                expected[name].append([])
    assert len(modules) > len(ROWS) / 2
    exactly, nearly = (in_node(tmp_path, modules, asked, own) for own in (OWN, ""))
    compared = 0
    for name, answers in exactly.items():
        row = CASES[int(name[1:])][0]
        for point, text, near, right in zip(asked[name], answers, nearly[name], expected[name], strict=True):
            if right and text != "own":
                compared += 1
                assert same(text, right), (row.name, point, text, right)
            elif right and all(abs(x) < 1e3 for x in point):
                (y,) = struct.unpack(">d", bytes.fromhex(near.zfill(16)))
                assert y == pytest.approx(right[0], rel=1e-11, abs=1e-13, nan_ok=True), (row.name, point)
    assert compared > 3000


HELPERS: dict[str, list[tuple[float, ...]]] = {
    "scale": [
        (y, n)
        for y in (1.0, -1.5, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.0, -0.0, inf, nan, 1.0 + 2**-52)
        for n in (0.0, -0.0, 1.0, 1023.0, 1024.0, 2098.0, -1022.0, -1023.0, -1060.0, -1074.0, -1075.0, -2000.0, -2150.0)
    ],
    "rint": [
        (s * x,)
        for s in (1.0, -1.0)
        for x in (0.0, 0.5, 0.5000000000000001, 1.5, 2.5, 4503599627370495.5, 4503599627370496.0, 9e15, inf, nan, 0.2)
    ],
    "copysign": [(a, b) for a in (1.0, -2.0, 0.0, inf) for b in (0.0, -0.0, 3.0, -5e-324, -inf)],
    "exponent": [(x,) for x in (1.0, 1.9999999999999998, 2.0, 0.75, 1e-300, 1.7976931348623157e308)],
    "mantissa": [(x,) for x in (1.0, 1.9999999999999998, 2.0, 0.75, 1e-300, 1.7976931348623157e308)],
    "fmod": [(a, b) for a in (5.5, -5.5, 0.0, -0.0, 1e300, inf) for b in (2.0, -2.0, 0.0, 1e-3, inf)],
}


@pytest.mark.parametrize("operation", HELPERS)
def test_what_is_made_of_bits(tmp_path: Path, operation: str) -> None:
    points = HELPERS[operation]
    writer = javascript._Writer("f", "double", "library")
    name = writer.function(operation)
    call = f"export function f(...given) {{ given[1][0] = {name}(...given[0]); return 0; }}"
    text = "\n".join([*writer.helpers.values(), call, "// F_OUTPUTS = 1;"])
    found = in_node(tmp_path, {"f": text}, {"f": points})["f"]
    for point, each in zip(points, found, strict=True):
        assert same(each, [elementary.EVALUATE[operation](*point)]), point


def test_guards_and_several_traces(tmp_path: Path) -> None:
    def steps(x: Any, y: Any) -> Any:
        return x * y if x < y else x - y if x == y or y > 5.0 else x / y

    f: CompiledFunction = sg.compile(sg.value_and_grad(steps, (0, 1)), backend="python")
    points = [(1.0, 2.0), (3.0, 3.0), (4.0, 3.0)]
    right = [flatten(f(*point))[0] for point in points]
    text = f.to_js("steps")
    assert "=== " in text
    assert "export const STEPS_INPUTS = 2, STEPS_OUTPUTS = 3;" in text
    found = in_node(tmp_path, {"steps": text}, {"steps": [*points, (9.0, 6.0), (nan, 1.0)]})["steps"]
    assert [same(a, b) for a, b in zip(found, right, strict=False)] == [True] * 3
    assert found[3] == ""  # a way that was not traced
    assert same(found[4], [nan, 1.0, nan])


def test_a_long_program_is_several_functions(tmp_path: Path) -> None:
    def f(x: Any, y: Any) -> Any:
        z = x
        for k in range(900):
            z = z * y + (k / 1000.0) / (1.0 + x * x)
        return z if z < 1e9 else x

    compiled: CompiledFunction = sg.compile(sg.grad(f, (0, 1)), backend="python")
    right = flatten(compiled(0.3, 0.9))[0]
    found = in_node(tmp_path, {"f": compiled.to_js("f")}, {"f": [(0.3, 0.9), (9.0, 7.0)]})["f"]
    assert same(found[0], right)
    assert found[1] == ""


def test_what_cannot_be_javascript() -> None:
    f: CompiledFunction = sg.compile(lambda x: x * x, backend="python")
    with pytest.raises(ValueError, match="has not been traced yet"):
        f.to_js("f")
    f(1.0)
    for name in ("a-b", "await", "Math", "größe", "", "1f"):
        with pytest.raises(ValueError, match="is no name of a function in JavaScript"):
            f.to_js(name)

    @sg.primitive([1.0])
    def own(a: float) -> float:
        return a + 1.0

    g: CompiledFunction = sg.compile(lambda x: own(x), backend="python")
    g(1.0)
    with pytest.raises(TypeError, match="to_js: own: an operation written in Python has no JavaScript form"):
        g.to_js("g")
