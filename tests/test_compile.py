"""`compile`: the same bits on every backend, guards, leaks, pickling, C."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import ctypes
import gc
import math
import pickle
import random
import shutil
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from functools import partial
from math import inf, nan
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scalargrad as sg
from scalargrad import Value
from scalargrad.compiler import CompiledFunction, GuardLimitError, TraceError, compile
from scalargrad.compiler.backends import c as c_backend
from scalargrad.compiler.backends import python as python_backend
from scalargrad.compiler.backends.executable import features
from scalargrad.compiler.frontend import specialization
from scalargrad.compiler.ir.elementary import EVALUATE
from scalargrad.compiler.ir.lowering import emit_short, lower
from scalargrad.compiler.ir.program import Program, without_selections
from scalargrad.compiler.ir.symbolic import body
from scalargrad.engine.primitive import Primitive
from scalargrad.engine.value import constant
from scalargrad.transforms.trees import flatten

from .extras import BACKENDS, HAS_LLVM, MAPPING, needs_llvm
from .rows import ROWS
from .strategies import AWKWARD, AWKWARD_NUMBERS, KINKED, SMOOTH, any_float, programs
from .strategies import Program as Drawn


def bits(x: float) -> bytes:
    """What two results must share: every bit, save those of a nan."""
    return b"nan" if x != x else struct.pack("<d", x)


def tree_bits(tree: Any) -> list[bytes]:
    return [bits(float(x)) for x in flatten(tree)[0]]


# ---- every row -------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    name: str
    row: Primitive
    count: int

    def program(self) -> Program:
        made = Program(self.count, [f"x{k}" for k in range(self.count)])
        made.outputs = [made.emit(self.row, tuple(range(self.count)))]
        return made

    def points(self) -> Iterator[list[float]]:
        r = random.Random(f"{self.name}{self.count}")
        for _ in range(150):
            xs = [
                r.choice(AWKWARD_NUMBERS)
                if r.random() < 0.5
                else r.uniform(-5.0, 5.0)
                if r.random() < 0.7
                else r.choice([-1.0, 1.0]) * 10.0 ** r.uniform(-300.0, 300.0)
                for _ in range(self.count)
            ]
            if r.random() < 0.2 and self.count > 1:
                xs[1] = xs[0]
            if self.name == "share_of_tie" and xs[2] == 0.0:  # a count of none
                xs[2] = 1.0
            yield xs


CASES = [Case(row.name, row, n) for row in ROWS for n in ([row.arity] if row.arity else [2, 4, 6])]
IDS = [f"{case.name}-{case.count}" for case in CASES]


class Library:
    """C functions, compiled once, as Python functions of lists."""

    def __init__(self, folder: Path, sources: dict[str, tuple[str, str]]) -> None:
        if shutil.which("gcc") is None:
            pytest.skip("no C compiler (gcc)")
        for name, (header, text) in sources.items():
            (folder / f"{name}.h").write_text(header)
            (folder / f"{name}.c").write_text(text)
        (folder / "all.c").write_text("".join(f'#include "{name}.c"\n' for name in sources))
        command = "gcc -std=c99 -Wall -Wextra -Werror -O2 -march=native -shared -fPIC -o all.so all.c -lm"
        done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:3000]
        self.library = ctypes.CDLL(str(folder / "all.so"))

    def __call__(self, name: str, xs: Sequence[float], outputs: int, real: Any = ctypes.c_double) -> list[float] | None:
        x, y = (real * max(len(xs), 1))(*xs), (real * outputs)()
        return None if getattr(self.library, name)(x, y) else list(y)


MAKERS = [
    pytest.param("x86", marks=pytest.mark.skipif("avx" not in features(), reason="no x86-64 with AVX, or no Linux")),
    pytest.param("llvm", marks=needs_llvm),
]  # of machine code
FUNCTIONS = ["library", "polynomial"]


@pytest.fixture(scope="module", params=FUNCTIONS)
def rows_in_c(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Library]:
    sources = {
        f"row{k}": c_backend.source([case.program()], [[]], f"row{k}", functions=request.param)
        for k, case in enumerate(CASES)
    }
    return request.param, Library(tmp_path_factory.mktemp("c"), sources)


def expected_of(case: Case, functions: Any) -> Iterator[tuple[list[float], float]]:
    """Points, and the row's value as Python computes it; without those at a fault of the row's own."""
    value = python_backend.value_of(case.row, case.count, functions)
    for xs in case.points():
        with suppress(ZeroDivisionError):
            yield xs, value(*xs)


@pytest.mark.parametrize("functions", FUNCTIONS)
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_row_has_the_same_bits_everywhere(
    case: Case, maker: str, functions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scalargrad.compiler.frontend.specialization import Native

    monkeypatch.setenv("SCALARGRAD_NATIVE", maker)
    program = case.program()
    value = python_backend.value_of(case.row, case.count, functions)
    if functions == "polynomial" and value is case.row.compute:
        return  # nothing is computed otherwise
    python, native = python_backend.build(program, "f", functions), Native(program, functions)
    points = list(expected_of(case, functions))
    for xs, y in points:
        for run in (python, native):
            found = run(xs)
            assert found is not None
            assert bits(found[0]) == bits(y), (xs, y, found)
    if not points or case.name == "gate" or (maker == "x86" and "avx512" not in features()) or not HAS_LLVM:
        return  # the last: LLVM makes all code for batches there
    batch = compile(case.row, backend="native", functions=functions)  # type: ignore[arg-type]
    columns = [list(column) for column in zip(*[xs for xs, _ in points], strict=True)]
    for (xs, y), found_y in zip(points, batch.map(*columns), strict=True):
        assert bits(found_y) == bits(y), (xs, y, found_y)


def test_every_row_has_the_same_bits_in_c(rows_in_c: tuple[Any, Library]) -> None:
    functions, library = rows_in_c
    for k, case in enumerate(CASES):
        for xs, y in expected_of(case, functions):
            found = library(f"row{k}", xs, 1)
            assert found is not None, (case.name, xs)
            assert bits(found[0]) == bits(y), (case.name, xs, y, found)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_row_runs_on_symbols_without_a_way_back_to_python(case: Case) -> None:
    assert body(case.row.compute, case.count) is not None


# ---- whole programs --------------------------------------------------------------------------------------------------

MODES: dict[str, Callable[[Drawn, int], Callable[[list[float]], Any]]] = {
    "value": lambda program, n: lambda xs: program(xs),
    "gradient": lambda program, n: sg.value_and_grad(program),
    "forward": lambda program, n: lambda xs: sg.jvp(program, (list(xs),), ([1.0, -2.0, 0.5][:n],)),
    "hessian": lambda program, n: sg.hessian(program),
}


@pytest.mark.parametrize("mode", MODES)
@given(
    program=programs(SMOOTH, KINKED, AWKWARD, numbers=any_float),
    more=st.lists(st.lists(any_float, min_size=3, max_size=3), min_size=1, max_size=4),
    backend=st.sampled_from(["python", "python", "native"]),
)
@settings(max_examples=60)
def test_a_program_traced_at_one_point_is_right_at_every_other(
    mode: str, program: Drawn, more: list[list[float]], backend: Any
) -> None:
    n = len(program.inputs)
    f = MODES[mode](program, n)
    compiled = compile(f, backend=backend)
    for xs in [list(program.inputs), *[each[:n] for each in more]]:
        assert tree_bits(compiled(xs)) == tree_bits(f(xs)), xs
    assert len(compiled.info.traces) == 1


@given(programs(SMOOTH, KINKED, AWKWARD, numbers=any_float), st.lists(any_float, min_size=3, max_size=3))
@settings(max_examples=5)
def test_a_gradient_in_c_has_the_bits_of_the_eager_one(
    tmp_path_factory: pytest.TempPathFactory, program: Drawn, other: list[float]
) -> None:
    f = sg.value_and_grad(program)
    compiled = compile(f, backend="python")
    xs = list(program.inputs)
    compiled(xs)
    library = Library(tmp_path_factory.mktemp("c"), {"f": compiled.to_c("f")})
    for point in (xs, other[: len(xs)]):
        expected = tree_bits(f(point))
        assert [bits(y) for y in library("f", point, len(expected)) or ()] == expected


def test_a_branch_not_taken_contributes_nothing_at_any_order() -> None:
    def f(x: Any) -> Any:
        return sg.where(x > 0.5, sg.sqrt(x), x * x * x) + sg.relu(sg.log(x))

    for derivative in (sg.grad(f), sg.grad(sg.grad(f)), sg.grad(sg.grad(sg.grad(f)))):
        compiled = compile(derivative, backend="python")
        for x in (1.5, 0.7, 0.0, -2.0, inf, -inf, nan, 0.5):
            assert tree_bits(compiled(x)) == tree_bits(derivative(x)), x


def test_products_without_selections_are_used_only_where_nan_would_show() -> None:
    shown = compile(sg.grad(lambda x: sg.relu(x) * 2.0), backend="python")
    shown(1.0)
    ((variant,),) = shown.specializations.values()
    assert without_selections(variant.program) is not None
    hidden = compile(lambda x: sg.where(sg.grad(lambda t: sg.relu(t) * x)(x), 1.0, 2.0), backend="python")
    hidden(1.0)
    ((variant,),) = hidden.specializations.values()
    assert without_selections(variant.program) is None
    for f in (lambda x: 0.0 * sg.sqrt(x), lambda x: sg.sqrt(sg.relu(x)), lambda x: sg.where(x, sg.log(x), 1.0)):
        compiled = compile(sg.value_and_grad(f), backend="python")
        for x in (1.0, 0.0, -1.0, inf):
            assert tree_bits(compiled(x)) == tree_bits(sg.value_and_grad(f)(x))


def long_chain(x: Any, y: Any) -> Any:
    for k in range(3000):
        x = sg.sin(x) * y + k / 1000.0 if k % 2 else x / (1.0 + y * y)
    return x


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_backend, "PIECE", 2000)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_of_several_functions(backend: Any) -> None:
    f = sg.value_and_grad(long_chain, (0, 1))
    compiled = compile(f, backend=backend)
    compiled(0.1, 0.2)
    assert compiled.info.traces[0].instructions > 2 * python_backend.PIECE
    for point in ((0.1, 0.2), (-3.0, 0.7), (inf, 1.0)):
        assert tree_bits(compiled(*point)) == tree_bits(f(*point))


@pytest.mark.usefixtures("small_pieces")
def test_guards_in_a_program_of_several_functions(tmp_path: Path) -> None:
    def f(x: float, y: float) -> Any:
        z = long_chain(x, y)
        return z if x < 1.0 and z > 0.0 and y < 5.0 else -z

    points = [(0.1, 0.2), (2.0, 0.2), (0.3, -9.0), (0.1, 7.0)]
    for backend in ("python", "native"):
        compiled = compile(f, backend=backend)  # type: ignore[arg-type]
        for point in points:
            assert tree_bits(compiled(*point)) == tree_bits(f(*point))
    library = Library(tmp_path, {"f": compiled.to_c("f")})
    for point in points:
        found = library("f", point, 1)
        assert found is not None
        assert tree_bits(found) == tree_bits([f(*point)])


def test_repeated_and_dead_instructions_go_and_constants_fold() -> None:
    def f(x: Any) -> Any:
        unused = sg.exp(x) + 5.0
        del unused
        return sg.sin(x) * sg.sin(x) + sg.sqrt(constant(4.0)) * x

    compiled = compile(f)
    compiled(1.0)
    ((variant,),) = compiled.specializations.values()
    assert [row.name for row in variant.program.operations] == ["sin", "mul", "mul", "add"]
    assert 2.0 in variant.program.constants


# ---- structures, arguments, results ----------------------------------------------------------------------------------


class Pair(NamedTuple):
    a: Any
    b: Any


def test_any_structure_of_arguments_and_results() -> None:
    def f(p: Any, *, k: Any) -> Any:
        return {"s": [p["w"][0] * k, (p["w"][1], 3)], "pair": Pair(p["b"], [])}

    compiled = compile(f, backend="python")
    for _ in range(3):
        found = compiled({"w": [1.0, 2], "b": True}, k=4.0)
        assert found == {"s": [4.0, (2.0, 3.0)], "pair": Pair(1.0, [])}
        assert type(found["pair"]) is Pair
    assert len(compiled.info.traces) == 1
    compiled({"w": [1.0, 2.0, 3.0], "b": 0.0}, k=4.0)
    assert len(compiled.info.traces) == 2
    assert compiled({"b": 7.0, "w": [1.0, 2.0]}, k=4.0)["pair"].a == 7.0  # keys in another order
    assert compile(lambda: 3)() == 3.0
    assert compile(lambda x: [])(1.0) == []


@pytest.mark.parametrize(
    ("f", "arguments", "error", "message"),
    [
        (lambda x: "no", (1.0,), TypeError, "result: expected a real number, got str"),
        (lambda x: None, (1.0,), TypeError, "result: expected a real number, got NoneType"),
        (lambda x: x, (b"1",), TypeError, "x: expected a real number, got bytes"),
        (lambda x: x[1], ([1.0, {2.0}],), TypeError, r"x\[1\]: expected a real number, got set"),
        (lambda x: int(x), (1.0,), TypeError, "int"),
        (lambda x: math.sin(x), (1.0,), TypeError, "gradient"),
        (lambda x: [0.0, 1.0][x], (1,), TypeError, "index"),
        (lambda x: x.data * 2.0, (1.0,), TraceError, "freeze"),
        (lambda x: (x * x).data * 2.0, (1.0,), TraceError, "freeze"),
        (lambda x: (x * x).backward(), (1.0,), TraceError, "value_and_grad"),
    ],
)
def test_what_a_program_cannot_repeat_is_an_error(f: Any, arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        compile(f)(*arguments)


def test_wrong_options_are_errors() -> None:
    with pytest.raises(ValueError, match="backend"):
        compile(abs, backend="fast")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="max_traces"):
        compile(abs, max_traces=0)
    with pytest.raises(TypeError, match="expected a function"):
        compile(3)  # type: ignore[call-overload]


def test_a_missing_llvmlite_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from scalargrad.compiler.backends import llvm as llvm_backend

    monkeypatch.setenv("SCALARGRAD_NATIVE", "llvm")
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setattr(llvm_backend, "_ready", [])
    with pytest.raises(ImportError, match="pip install"):
        compile(abs, backend="native")


# ---- guards ----------------------------------------------------------------------------------------------------------


def steps(x: Any) -> Any:
    n = 0
    while x > 1.0:
        x = x / 2.0
        n += 1
    return x * n


@pytest.mark.parametrize("backend", [*BACKENDS, "auto"])
def test_every_way_to_branch_is_answered_from_its_own_trace(backend: Any) -> None:
    compiled = compile(steps, backend=backend)
    r = random.Random(0)
    ways = set()
    for _ in range(100):
        x = r.choice([r.uniform(-1.0, 300.0), nan, 1.0])
        assert tree_bits(compiled(x)) == tree_bits(steps(x))
        ways.add(max(math.ceil(math.log2(x)), 0) if x > 1.0 else 0)
    info = compiled.info
    assert len(info.traces) == len(ways) > 5
    assert info.hits + info.misses == 100
    assert any("while x > 1.0" in line for line in info.traces[0].guards)


def test_too_many_ways_to_branch_name_the_line() -> None:
    compiled = compile(steps, max_traces=2)
    compiled(0.5)
    compiled(1.5)
    with pytest.raises(GuardLimitError, match=r"2 traces.*\n.*while x > 1\.0"):
        compiled(100.0)
    assert compiled(0.25) == 0.0


@pytest.mark.parametrize("compare", ["<", "<=", ">", ">=", "==", "!="])
def test_each_comparison_holds_for_nan_and_zeros(compare: str) -> None:
    f = eval(f"lambda a, b: 1.0 if a {compare} b else 2.0")
    for backend in ("python", "native"):
        compiled = compile(f, backend=backend)  # type: ignore[arg-type]
        for a in (0.0, -0.0, 1.0, nan, inf):
            for b in (0.0, -0.0, 1.0, nan, -inf):
                assert compiled(a, b) == f(a, b), (a, b)


def test_truth_values_builtin_max_and_comparisons_of_outside_values_are_guards() -> None:
    w = Value(3.0, label="w")

    def f(x: Any) -> Any:
        return max(x, 2.0) + (1.0 if x else 5.0) + (w * x if w > 0.0 else -x)

    compiled = compile(f)
    for x in (1.0, 3.0, 0.0, -0.0, nan):
        for number in (3.0, -3.0):
            w.data = number
            expected = f(x)
            assert tree_bits(compiled(x)) == tree_bits(getattr(expected, "data", expected))


def test_side_effects_that_change_branches_are_found() -> None:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return x if x > len(calls) else -x

    compiled = compile(f)
    assert compiled(1.5) == 1.5
    assert compiled(1.5) == 1.5  # the program, not the function


# ---- composition -----------------------------------------------------------------------------------------------------


def test_derivatives_compose_with_compile_both_ways() -> None:
    def f(x: Any) -> Any:
        return sg.sin(x) * x

    inner = compile(f)
    assert sg.grad(inner)(0.5) == sg.grad(f)(0.5)
    assert compile(sg.grad(inner))(0.5) == sg.grad(f)(0.5)
    assert compile(sg.grad(compile(sg.grad(f))))(0.5) == sg.grad(sg.grad(f))(0.5)
    x = Value(0.5)
    inner(x).backward()
    assert x.grad == sg.grad(f)(0.5)


def test_constants_of_one_call_vary_over_calls() -> None:
    """What is fixed in one eager call, because nothing is differentiated by it, is no constant of the program."""

    def f(x: Any) -> Any:
        with sg.no_grad():
            y = x * x
        return y * x + x.detach() * sg.grad(lambda t: t * x)(2.0)

    compiled = compile(sg.value_and_grad(f))
    for x in (3.0, 5.0):
        assert compiled(x) == sg.value_and_grad(f)(x)
    with sg.no_grad():
        assert compile(sg.grad(f))(3.0) == sg.grad(f)(3.0)


def test_under_detect_anomaly_the_function_itself_runs() -> None:
    compiled = compile(lambda x: sg.log(x))
    assert compiled(0.0) == -inf
    with sg.detect_anomaly():
        assert compiled(2.0) == math.log(2.0)


@sg.primitive(lambda y, a: (3.0 * a * a,), name="cube")
def cube(a: float) -> float:
    return a * a * a


@pytest.mark.parametrize("backend", BACKENDS)
def test_own_primitives(backend: Any) -> None:
    f = sg.value_and_grad(lambda x: cube(x) * 2.0 + sg.sin(cube(x)))
    compiled = compile(f, backend=backend)
    for x in (2.0, -3.0):
        assert compiled(x) == f(x)
    with pytest.raises(TypeError, match="cube"):
        compiled.to_c("f")


@sg.primitive(lambda y, a: (1.0,), name="picky")
def picky(a: float) -> float:
    if a < 0.0:
        raise ValueError("picky: below zero")
    return a


@pytest.mark.parametrize("backend", MAPPING)
def test_what_an_own_primitive_raises_comes_through(backend: Any) -> None:
    compiled = compile(lambda x: picky(x) * 2.0, backend=backend)
    assert compiled(1.0) == 2.0
    with pytest.raises(ValueError, match="below zero"):
        compiled(-1.0)
    assert compiled(2.0) == 4.0
    with pytest.raises(ValueError, match="below zero"):
        compiled.map([1.0, -1.0, 2.0])
    assert compiled.map([1.0, 2.0]) == [2.0, 4.0]


# ---- source, pickling, threads, processes ----------------------------------------------------------------------------


def test_a_comparison_that_is_data_costs_one_instruction() -> None:
    choice = compile(lambda x, y, a, b: sg.where((x > 0.0) & (y <= 1.0), a, b), backend="python")
    assert [choice(x, y, 2.0, 3.0) for x, y in ((1.0, 1.0), (nan, 0.0), (1.0, nan), (-1.0, 0.0))] == [
        2.0,
        3.0,
        3.0,
        3.0,
    ]
    assert "v1 = a if ((0.0 < x) and (y <= 1.0)) else b" in choice.source
    ((found,),) = choice.specializations.values()
    assert lower(found.program).program.operations == ["lt", "le", "and", "select"]


@pytest.mark.parametrize("comparison", ["lt", "le", "eq", "ne", "nle"])
@pytest.mark.parametrize(("if_true", "if_false"), [(1.0, 0.0), (0.0, 1.0), (2.0, 2.0), (nan, 0.0), (-0.0, inf)])
def test_comparing_a_selection_of_constants_again_gives_its_condition(
    comparison: str, if_true: float, if_false: float
) -> None:
    for other in (0.0, 1.0, nan):
        for swapped in (False, True):
            short, plain = Program(2), Program(2)
            for made, emit in ((short, partial(emit_short, short)), (plain, plain.emit)):
                a, b, c = map(made.constant, (if_true, if_false, other))
                chosen = emit("select", (emit("lt", (0, 1)), a, b))
                truth = emit(comparison, (c, chosen) if swapped else (chosen, c))
                made.outputs = [emit("select", (truth, made.constant(5.0), made.constant(6.0)))]
            for xs in ((1.0, 2.0), (2.0, 1.0), (nan, 1.0)):
                assert result_of(short, xs) == result_of(plain, xs)


def result_of(program: Program, xs: Sequence[float]) -> Any:
    """The one output of a program of elementary operations."""
    values: list[Any] = list(xs)
    for operation, operands in zip(program.operations, program.operands, strict=True):
        values.append(EVALUATE[operation](*[values[k] if k >= 0 else program.constants[~k] for k in operands]))
    return values[program.outputs[0]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fault_in_making_code_is_not_taken_for_one_of_the_function(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise TypeError("a fault of the compiler")

    monkeypatch.setattr(specialization, "lower", broken)
    monkeypatch.setattr(python_backend, "build", broken)
    with pytest.raises(RuntimeError, match="steps: making code failed"):
        compile(steps, backend=backend)(2.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_repeated_calls_look_at_structure_and_branch_and_take_numbers_of_every_type(backend: Any) -> None:
    outside = Value(1.0)

    def f(x: Any, rest: Any, *, scale: Any = 1.0) -> Any:
        y = sg.sin(x) * scale if x > 0.0 else x * outside
        return {"y": y, "rest": [v * y for v in rest["v"]], "none": ()}

    fast = compile(f, backend=backend)
    calls: list[tuple[Any, Any, dict[str, Any]]] = [
        (0.5, [1.0, 2.0], {}), (0.7, [1.0, 3.0], {}), (-0.5, [1.0, 2.0], {}), (2, [1, True], {}),
        (0.5, [1.0] * 9, {}), (-0.5, [1.0] * 9, {"scale": 2.0}), (0.5, [Fraction(1, 4)] * 9, {"scale": 2}),
        (0.5, [], {}),
    ]  # fmt: skip
    for _ in range(3):
        for x, v, keywords in calls:
            found = fast(x, {"v": v}, **keywords)
            wanted = f(Value(x), {"v": [Value(float(e)) for e in v]}, **keywords)
            assert tree_bits(found) == [bits(each.data) for each in flatten(wanted)[0]]
            assert type(found["rest"]) is list
        outside.data += 1.0
    for wrong in ("0.5", None, [0.5], 1j):
        with pytest.raises(TypeError):
            fast(wrong, {"v": []})
    assert isinstance(fast(Value(0.5), {"v": [2.0]})["y"], Value)
    with pytest.raises(KeyError):
        fast(0.5, {"w": []})


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_compiled_is_freed_with_the_function(backend: Any) -> None:
    fast = compile(lambda x: sg.sin(x) * x, backend=backend)
    assert fast(0.5) == fast(0.5)
    ((found,),) = fast.specializations.values()
    alive = weakref.ref(found)
    gc.disable()
    try:
        del fast, found
        assert alive() is None
    finally:
        gc.enable()


def test_the_source_is_readable_and_debuggers_find_it() -> None:
    def f(width: Any, height: Any) -> Any:
        area = width * height
        area.label = "area"
        return area + 1.0

    compiled = compile(f, backend="python")
    compiled(2.0, 3.0)
    assert compiled.source.splitlines() == [
        "def f(inputs):",
        "    width, height,  = inputs",
        "    area = width * height",
        "    v1 = area + 1.0",
        "    return [v1]",
    ]
    broken = compile(lambda x: cube(x), backend="python")
    broken(1.0)
    import linecache

    assert any("cube(x)" in "".join(entry[2]) for name, entry in linecache.cache.items() if "<scalargrad" in name)


def quadratic(p: Any, x: Any) -> Any:
    return p["a"] * x * x + p["b"] if x > 0.0 else -x


COMPILED = compile(sg.value_and_grad(quadratic))


def test_pickles_keep_the_program_and_the_function_where_it_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    compiled = compile(quadratic)
    p = {"a": 2.0, "b": 1.0}
    expected = compiled(p, 3.0)
    again = pickle.loads(pickle.dumps(compiled))
    assert again(p, 3.0) == expected
    assert (again.info.hits, again.info.misses) == (1, 0)
    assert again(p, -3.0) == 3.0
    alone = compile(lambda x: x * x if x > 0.0 else x)
    alone(2.0)
    again = pickle.loads(pickle.dumps(alone))
    assert again(3.0) == 9.0
    with pytest.raises(TypeError, match="pickle"):
        again(-3.0)


def test_in_processes() -> None:
    p = {"a": 2.0, "b": 1.0}
    COMPILED(p, 3.0)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(pickle.loads(pickle.dumps(COMPILED)), p, 3.0).result() == COMPILED(p, 3.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_do_not_interfere(backend: Any) -> None:
    compiled = compile(sg.value_and_grad(steps), backend=backend)
    expected = {x: sg.value_and_grad(steps)(x) for x in (0.5, 1.5, 3.0, 7.0, 20.0)}
    with ThreadPoolExecutor(4) as pool:
        points = [x for _ in range(40) for x in expected]
        for x, found in zip(points, pool.map(compiled, points), strict=True):
            assert found == expected[x]


def test_buffered_calls() -> None:
    f = sg.value_and_grad(steps)
    for backend in ("python", "native"):
        run = compile(f, backend=backend).buffered(3.0)  # type: ignore[arg-type]
        for x in (3.0, 4.0, 20.0, 0.5, nan):
            run.inputs[0] = x
            run()
            assert tree_bits(list(run.outputs)) == tree_bits(f(x))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_buffered_call_outlives_what_made_it_is_freed_at_once_and_passes_errors_on(backend: Any) -> None:
    def branching(x: Any) -> Any:
        return x * x if x < 2.0 else 1.0 / 0.0 if x < 3.0 else 3.0 * x

    made = compile(branching, backend=backend, max_traces=2)
    buffered = made.buffered(1.5)
    inputs, outputs, call = buffered.inputs, buffered.outputs, buffered.__call__
    there, outside = weakref.ref(made), weakref.ref(branching)
    gc.disable()
    try:
        del buffered, made, branching
        for _ in range(3):
            inputs[0] = 1.75
            call()
            assert outputs[0] == 1.75**2
        inputs[0] = 2.5
        with pytest.raises(ZeroDivisionError):  # of the function's own, which is run again
            call()
        inputs[0] = 4.0
        call()
        assert outputs[0] == 12.0
        assert there() is not None
        del call
        assert there() is None
        assert outside() is None
    finally:
        gc.enable()


def test_a_call_at_another_branch_or_with_other_numbers_leaves_the_memory_of_calls_usable() -> None:
    f = compile(lambda x, y: x * y if x < y else sg.sqrt(x) - y, backend="native")
    assert [f(1.0, 2.0), f(4.0, 2.0), f(1.0, 2.0)] == [2.0, 0.0, 2.0]
    assert [f(1, 2.0), f(True, 2), f(9.0, 2.0), f(Fraction(1, 2), 2.0)] == [2.0, 2.0, 1.0, 1.0]
    for wrong in (b"1", {1.0}, 1j):
        with pytest.raises(TypeError, match="x"):
            f(wrong, 2.0)
    assert math.isnan(f(nan, 1.0))
    assert f(1.0, 2.0) == 2.0
    with pytest.raises(TypeError, match="argument"):
        f(1.0)
    with pytest.raises(TypeError, match="argument"):
        f(1.0, 2.0, z=3.0)
    assert f(y=2.0, x=1.0) == 2.0


# ---- C ---------------------------------------------------------------------------------------------------------------


def test_c_with_several_traces_says_which_inputs_it_cannot_answer(tmp_path: Path) -> None:
    compiled = compile(sg.value_and_grad(steps))
    for x in (0.5, 1.5):
        compiled(x)
    library = Library(tmp_path, {"steps": compiled.to_c("steps")})
    for x in (0.25, 1.9, -3.0):
        assert library("steps", [x], 2) == list(sg.value_and_grad(steps)(x))
    assert library("steps", [100.0], 2) is None


def test_c_in_single_precision(tmp_path: Path) -> None:
    f = sg.value_and_grad(lambda x: sg.tanh(x) * sg.exp(-x * x) + sg.erfc(x) + sg.hypot(x, 2.0) + sg.cbrt(x) ** 1.5)
    compiled = compile(f)
    compiled(0.5)
    library = Library(tmp_path, {"f": compiled.to_c("f", real="float")})
    for x in (0.5, 1.25, 3.0):
        found = library("f", [x], 2, ctypes.c_float)
        assert found == pytest.approx(f(x), rel=1e-5)


def test_c_needs_a_trace_and_a_name() -> None:
    compiled: CompiledFunction = compile(steps)
    with pytest.raises(ValueError, match="not been traced"):
        compiled.to_c("f")
    compiled(1.0)
    with pytest.raises(ValueError, match="not a name in C"):
        compiled.to_c("a-b")
    with pytest.raises(ValueError, match="'half'"):
        compiled.to_c("f", real="half")  # type: ignore[arg-type]


def test_rows_are_merged_with_what_bodies_of_others_compute() -> None:
    f = compile(lambda x, y: x * y + x**2 + x * x - (x + y), backend="native")
    f(2.0, 3.0)
    operations = lower(next(iter(f.specializations.values()))[0].program).program.operations
    assert operations.count("mul") == 2
