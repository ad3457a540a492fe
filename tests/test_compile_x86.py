"""The assembler and what it is used for: encodings, and programs with far more values than registers."""

# ruff: noqa: A004  # `compile` is this package's, not the builtin
from __future__ import annotations

import random
import re
import shutil
import subprocess
from math import inf
from pathlib import Path
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.compiler import compile
from scalargrad.compiler.backends.executable import features
from scalargrad.compiler.backends.x86 import assembler, registers

from .extras import HAS_LLVM, needs_llvm, needs_native
from .test_compile import bits, tree_bits

needs_x86 = pytest.mark.skipif("avx" not in features(), reason="no x86-64 with AVX, or no Linux")


def crowded(seed: int, size: int, calls: bool) -> Any:
    """A function of twelve numbers whose values are used again long after they were made."""
    r = random.Random(seed)
    steps = [(r.choice("+-*/nasxmrcw" + ("ETLS" if calls else "")), r.random(), r.random()) for _ in range(size)]

    def f(xs: list[Any]) -> list[Any]:
        values = list(xs)
        for kind, u, v in steps:
            near = values[-1 - int(u * u * u * min(len(values), 200))]
            far = values[int(v * len(values))]
            match kind:
                case "+":
                    y = near + far
                case "-":
                    y = near - far
                case "*":
                    y = near * far * 0.25
                case "/":
                    y = near / (2.0 + far * far)
                case "n":
                    y = -near
                case "a":
                    y = sg.abs(far)
                case "s":
                    y = sg.sqrt(sg.abs(near))
                case "x":
                    y = sg.max(near, far)
                case "m":
                    y = sg.min(far, near)
                case "r":
                    y = sg.relu(far) + sg.floor(near)
                case "c":
                    y = sg.where(near < far, near, 1.5) if isinstance(near, float) else sg.clamp(near, -2.0, far)
                case "w":
                    y = sg.clamp(far, -1.0, 1.0)
                case "E":
                    y = sg.exp(-sg.abs(near))
                case "T":
                    y = sg.tanh(far)
                case "L":
                    y = sg.logsumexp([near, far])
                case _:
                    y = sg.sin(near)
            values.append(y if kind in "cw" else sg.clamp(y, -1e3, 1e3))
        return values[-60:]

    return f


@needs_x86
@pytest.mark.parametrize("calls", [False, True], ids=["arithmetic", "calls"])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("far", [1000, 20, 10**9])
def test_many_more_values_than_registers(seed: int, far: int, calls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registers, "FAR", far)
    monkeypatch.setenv("SCALARGRAD_NATIVE", "x86")
    f = crowded(seed, 700, calls)

    def g(xs: list[Any]) -> Any:
        return sg.value_and_grad(lambda each: sg.sum(f(each)))(xs)

    r = random.Random(seed + 1)
    python, native = compile(g, backend="python"), compile(g, backend="native")
    points = [[r.uniform(-2.0, 2.0) for _ in range(12)] for _ in range(20)]
    expected = [tree_bits(python(xs)) for xs in points]
    assert expected[0] == tree_bits(g(points[0]))
    for xs, found in zip(points, expected, strict=True):
        assert tree_bits(native(xs)) == found
    if not HAS_LLVM:
        return
    columns = [list(column) for column in zip(*points, strict=True)]
    values = compile(lambda *xs: f(list(xs)), backend="native").map(*columns)
    plain = compile(lambda *xs: f(list(xs)), backend="python").map(*columns)
    assert [[bits(y) for y in column] for column in values] == [[bits(y) for y in column] for column in plain]
    assert tree_bits(native.map(points, reduce="sum")) == tree_bits(python.map(points, reduce="sum"))


@needs_x86
def test_code_is_made_without_llvmlite(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "llvmlite", None)
    f = compile(lambda x, y: sg.tanh(x) * y, backend="native")
    assert f(0.5, 2.0) == sg.tanh(0.5) * 2.0


def test_a_processor_that_no_code_is_made_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from scalargrad.compiler.backends import native as native_backend

    monkeypatch.setattr(native_backend, "features", frozenset)
    assert native_backend.chosen() == "llvm"
    monkeypatch.setenv("SCALARGRAD_NATIVE", "x86")
    with pytest.raises(ImportError, match="x86-64 with AVX on Linux only"):
        compile(abs, backend="native")
    monkeypatch.setenv("SCALARGRAD_NATIVE", "arm")
    with pytest.raises(ValueError, match="must be x86 or llvm, got 'arm'"):
        compile(abs, backend="native")


@needs_llvm
def test_without_avx_512_batches_are_left_to_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    from scalargrad.compiler.backends import native as native_backend

    monkeypatch.setattr(native_backend, "features", lambda: frozenset({"avx"}))
    assert not native_backend.at_once(batches=True)
    assert compile(lambda x: sg.tanh(x), backend="native").map([0.5, 3.0]) == [sg.tanh(0.5), sg.tanh(3.0)]


@needs_x86
def test_a_system_that_runs_no_made_code_is_answered_in_source(monkeypatch: pytest.MonkeyPatch) -> None:
    from scalargrad.compiler.backends import executable

    def refused(code: bytes) -> None:
        raise PermissionError

    monkeypatch.setattr(executable, "Executable", refused)
    executable.features.cache_clear()
    try:
        assert executable.features() == frozenset()
    finally:
        monkeypatch.undo()
        executable.features.cache_clear()


# ---- encodings, against the assembler of the GNU binutils ------------------------------------------------------------

NAMES = {
    "add": "add", "mul": "mul", "sub": "sub", "div": "div", "max": "max", "min": "min", "sqrt": "sqrt", "and": "andp",
    "andnot": "andnp", "or": "orp", "xor": "xorp", "move": "movap",
}  # fmt: skip


@pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump")
@pytest.mark.parametrize("lanes", [1, 8])
def test_encodings_are_read_as_what_they_stand_for(lanes: int, tmp_path: Path) -> None:
    in_registers, memory = assembler.REGISTERS[lanes]
    count, prefix = (16, "xmm") if lanes == 1 else (32, "zmm")
    r = random.Random(lanes)
    made: list[bytes] = []
    wanted: list[str] = []
    for name, text in NAMES.items():
        bitwise = text.endswith("p")
        mnemonic = f"v{text}{'d' if bitwise else 'sd' if lanes == 1 else 'pd'}"
        for _ in range(60):
            d, a, b = (r.randrange(count) for _ in range(3))
            one = name == "move" or (name == "sqrt" and lanes == 8)
            v = 0 if one else a
            key = assembler.CODES[lanes][name] | d << 10 | v << 5
            made.append(in_registers[key | b])
            wanted.append(f"{mnemonic} %{prefix}{b},{'' if one else f'%{prefix}{a},'}%{prefix}{d}")
            if name == "move":
                continue
            base, width = r.randrange(3), r.choice([1, 2]) if lanes == 8 else 0
            at = r.choice([0, 8, 64, -8, -64, 1016, 8128, -8192, 1 << 20, 24, 127, 128]) & ~7
            kind, tail = assembler.place(base, width, at)
            made.append(memory[key | kind] + tail)
            spread = "{1to8}" if width == 2 else ""
            sign = "-" if at < 0 else ""
            wanted.append(
                f"{mnemonic} {sign}{abs(at):#x}(%{('rbx', 'rbp', 'r14')[base]}){spread},"
                f"{'' if one else f'%{prefix}{a},'}%{prefix}{d}"
            )
    file = tmp_path / "code"
    file.write_bytes(b"".join(made))
    done = subprocess.run(
        ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", str(file)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [
        re.sub(r"\s+", " ", line.partition(":\t")[2]).strip() for line in done.stdout.splitlines() if ":\t" in line
    ]
    assert found == wanted


def test_a_distance_too_large_for_a_byte_is_written_in_four() -> None:
    assert assembler.place(0, assembler.PLAIN, 127) == (0, b"\x7f")
    assert assembler.place(0, assembler.PLAIN, 128) == (1, b"\x80\x00\x00\x00")
    assert assembler.place(1, assembler.WIDE, 64 * 127) == (1 << 3 | 2, b"\x7f")
    assert assembler.place(1, assembler.BROADCAST, 4) == (1 << 3 | 4 | 1, b"\x04\x00\x00\x00")


@needs_native
def test_infinities_reach_guards_of_every_kind() -> None:
    def f(x: Any, y: Any) -> Any:
        found = [x < y, x <= y, x > y, x >= y, x == y, x != y]
        return sum(2.0**k for k, each in enumerate(found) if each) * 1.0 + 0.0 * y

    native = compile(f, backend="native")
    numbers = [0.0, -0.0, 1.0, inf, -inf, float("nan")]
    for x in numbers:
        for y in numbers:
            assert bits(native(x, y)) == bits(f(x, y)), (x, y)
    xs, ys = [x for x in numbers for _ in numbers], numbers * len(numbers)
    if HAS_LLVM:
        assert [bits(z) for z in native.map(xs, ys)] == [bits(f(x, y)) for x, y in zip(xs, ys, strict=True)]


def test_calls_that_a_guard_turns_away_are_not_counted() -> None:
    f = compile(lambda x: x if x > 0.0 else -x)
    for x in (1.0, -1.0, 2.0, -2.0, -3.0):
        f(x)
    assert sorted(t.calls for t in f.info.traces) == [2, 3]


@needs_native
@pytest.mark.parametrize("count", [1, 7, 8, 9, 10, 13])
def test_a_users_operation_of_many_operands_gets_them_all(count: int) -> None:
    @sg.primitive(lambda y, *xs: tuple(k + 1.0 for k in range(len(xs))))
    def weighted(*xs: float) -> float:
        return sum((k + 1) * float(x) for k, x in enumerate(xs))

    f = compile(lambda xs: sg.exp(weighted(*xs) * 1e-2), backend="native")
    xs = [0.5 + k for k in range(count)]
    expected = sg.exp(weighted(*xs) * 1e-2)
    assert f(xs) == expected
    if HAS_LLVM:
        assert f.map([xs, [0.0] * count, xs]) == [expected, 1.0, expected]


@needs_x86
def test_auto_is_source_for_what_is_short_and_machine_code_for_what_is_not() -> None:
    def repeated(x: Any, times: int) -> Any:
        for _ in range(times):
            x = sg.sin(x) * 0.5
        return x

    for times, expected in ((3, "python"), (100, "native")):
        f = compile(lambda x, times=times: repeated(x, times))
        assert f(0.5) == repeated(0.5, times)
        assert set(f.info.traces[0].seconds) == {"trace", expected}


@pytest.mark.parametrize("backend", ["python", "native"])
def test_a_users_operation_is_called_and_may_raise_in_an_arm_that_is_not_taken(backend: Any) -> None:
    @sg.primitive(lambda y, a: 0.5 / y)
    def root(a: float) -> float:
        if a < 0.0:
            raise ValueError("a negative number")
        return a**0.5

    def f(x: Any) -> Any:
        positive = sg.step(x)
        y = sg.where(positive, x, 3.0)  # so that the condition is known before the operation
        return sg.where(positive, root(sg.sinh(x)), 1.0) + y

    compiled = compile(f, backend=backend)
    assert compiled(2.0) == f(2.0)
    with pytest.raises(ValueError, match="a negative number"):
        f(-2.0)
    with pytest.raises(ValueError, match="a negative number"):
        compiled(-2.0)
    if backend == "python" or HAS_LLVM:
        with pytest.raises(ValueError, match="a negative number"):
            compiled.map([2.0] * 9 + [-2.0])
