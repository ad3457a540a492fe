"""Compiled functions among users' own objects, names and systems: what is taken, refused, and done without."""

from __future__ import annotations

import copy
import ctypes
import functools
import gc
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
import weakref
from array import array
from pathlib import Path
from typing import Any

import pytest

import scalargrad as sg
from scalargrad.activations import gelu
from scalargrad.compiler import CompiledFunction
from scalargrad.compiler.backends import c_names
from scalargrad.compiler.backends.executable import features

from .extras import needs_llvm, needs_numpy, np

ROOT = Path(__file__).parent.parent


class Floatlike:
    """An object that `float` converts, and that is no number."""

    def __float__(self) -> float:
        return 1.5


class Indexlike:
    def __index__(self) -> int:
        return 2


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [Floatlike(), Indexlike()])
def test_what_is_no_number_is_refused_whatever_came_before(wrong: Any) -> None:
    f = sg.compile(lambda x, y: x * y)
    nested = sg.compile(lambda v, s: v["a"] * s + v["b"])
    for _ in range(2):
        for arguments in ((wrong, 1.0), (1.0, wrong), (1, wrong)):
            with pytest.raises(TypeError, match=r"^[xy]: expected a real number, got (Float|Index)like"):
                f(*arguments)
        with pytest.raises(TypeError, match=r"^v\['b'\]: expected a real number"):
            nested({"a": 1.0, "b": wrong}, 2.0)
        assert f(2.0, 3) == 6.0  # after which arguments of this structure are flattened by source made for it
        assert nested({"a": 1.0, "b": 2}, 3.0) == 5.0


@pytest.mark.parametrize("first", [1.0, 1, True, Floatlike()])
@pytest.mark.parametrize("wrong", [Floatlike(), Indexlike()])
def test_mapped_lists_refuse_what_is_no_number_with_its_place(first: Any, wrong: Any) -> None:
    k = 0 if isinstance(first, Floatlike) else 1
    f = sg.compile(lambda x: 2.0 * x)
    with pytest.raises(TypeError, match=rf"argument 0\[{k}\]: expected a real number"):
        f.map([first, wrong])
    g = sg.compile(lambda v: v[0] * v[1])
    with pytest.raises(TypeError, match=rf"argument 0\[{k}\]: expected a real number"):
        g.map([[1.0, first], [wrong, 1.0]])
    with pytest.raises(TypeError, match="argument 0: expected a real number"):
        sg.compile(lambda v, x: v[1] * x).map([first, wrong], [1.0], in_axes=(None, 0))


def test_an_integer_that_no_float_equals_is_refused_by_calls_lists_and_arrays_alike() -> None:
    f = sg.compile(lambda x: 2.0 * x)
    assert f(2.0) == 4.0
    wrong = 2**53 + 1
    with pytest.raises(ValueError, match=f"^x: no float equals the integer {wrong}; "):
        f(wrong)
    for batch in (
        [1.0, wrong],
        [1, wrong],
        array("q", [1, wrong]),
        array("Q", [1, wrong]),
    ):
        with pytest.raises(ValueError, match=rf"^argument 0\[1\]: no float equals the integer {wrong}; "):
            f.map(batch)
    g = sg.compile(lambda v: v[0] * v[1])
    with pytest.raises(ValueError, match=rf"^argument 0\[1\]: no float equals the integer {wrong}; "):
        g.map([[1.0, 2.0], [wrong, 4.0]])


def test_integers_that_floats_equal_are_taken_however_large() -> None:
    f = sg.compile(lambda x: 0.5 * x)
    exact = [2**60, -(2**61), 2**53 + 2, 2**62 + 2**10]
    expected = [0.5 * x for x in exact]
    for _ in range(2):
        assert list(map(f, exact)) == expected
    for batch in (exact, array("q", exact)):
        assert list(f.map(batch)) == expected


@needs_numpy
def test_integers_in_numpy_arrays_are_taken_and_refused_alike() -> None:
    f, g = sg.compile(lambda x: 0.5 * x), sg.compile(lambda v: v[0] * v[1])
    wrong = 2**53 + 1
    for batch in (np.array([1, wrong]), np.array([1, wrong], dtype="u8"), np.array([0, 1, 0, wrong])[1::2]):
        with pytest.raises(ValueError, match=rf"^argument 0\[1\]: no float equals the integer {wrong}; "):
            f.map(batch)
    with pytest.raises(ValueError, match=rf"^argument 0\[1, 0\]: no float equals the integer {-wrong}; "):
        g.map(np.array([[1, 2], [-wrong, 4]]))
    assert list(f.map(np.array([2**60, -(2**61)]))) == [2.0**59, -(2.0**60)]
    assert list(f.map(np.array([2**63], dtype="u8"))) == [2.0**62]


# ---- names in generated Python ---------------------------------------------------------------------------------------

FIXED = [
    "sqrt",
    "abs",
    "div",
    "nan",
    "inf",
    "inputs",
    "m",
    "return",
    "lambda",
    "None",
    "print",
    "v1",
    "_",
    "__builtins__",
]
ODD = ["x²", "ﬁ", "①", "λ", "é", "e\u0301", "v w", "2x", "-", "", "a\nb", "ab\u0000"]


@pytest.mark.parametrize("function", [sg.sqrt, sg.abs, sg.hypot, sg.tanh, sg.relu])
def test_functions_of_the_library_compile_under_their_own_names(function: Any) -> None:
    given = (7.0, 0.5)[: 2 if function is sg.hypot else 1]
    assert sg.compile(function)(*given) == function(*given)


@pytest.mark.parametrize("name", [*FIXED, *ODD])
@pytest.mark.parametrize("place", ["function", "argument", "label", "outside"])
def test_a_users_name_shadows_nothing_that_the_source_calls(name: str, place: str) -> None:
    outside = sg.Value(2.5, label=name if place == "outside" else "")

    def f(p: dict[str, Any]) -> Any:
        x, y = p.values()
        z = x / y + outside
        if place == "label":
            z.label = name
        return sg.sqrt(sg.abs(z)) + sg.tanh(x) / (y - 1.0) + (x if x < float("inf") else y) * sg.where(x - y, 1.0, 0.0)

    f.__name__ = name if place == "function" else "f"
    compiled = sg.compile(f, backend="python")
    for y in (2.0, 1.0, 0.0):  # some of which is a division by zero
        p = {(name if place == "argument" else "x"): 3.0, "v2": y}
        assert repr(compiled(p)) == repr(f({key: sg.Value(each) for key, each in p.items()}).data)


def test_names_that_python_keeps_as_one_stay_two() -> None:
    f = sg.compile(lambda ﬁ, x: ﬁ["ﬁ"] - ﬁ["fi"] * x, backend="python")
    assert f({"ﬁ": 5.0, "fi": 3.0}, 1.0) == 2.0


# ---- names in generated C --------------------------------------------------------------------------------------------

COMPILERS = [
    ["gcc", "-std=c99"], ["gcc", "-std=gnu2x"], ["g++", "-std=c++11"], ["g++", "-std=gnu++17"],
]  # fmt: skip
REFUSED = {
    r"is a word of C or C\+\+": "int double float bool restrict inline main true nullptr constexpr class and new",
    "is reserved": "_x __x x__y _ size_t int32_t f_t",
    "is a name of math.h": "exp expf expl sinf128 isnan NAN INFINITY M_PI HUGE_VAL FP_NAN j0 y1 gamma lgamma_r "
    "abs malloc time printf NULL rand div f32addf64",
    "would give a file": "math complex limits string fenv",
    "is not a name in C": "a-b 2x é x.y",
}

OTHERS = "x y m k n v v0 v1 real terms tail f f_trace0 F_INPUTS value loss total stress I E"


def compile_c(compiler: list[str], texts: dict[str, str], folder: Path) -> None:
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    language = ["-x", "c++" if compiler[0] == "g++" else "c"]
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", *language]
    files = [name for name in texts if name.endswith(".c")]
    done = subprocess.run([*compiler, *flags, *files], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.mark.parametrize(("why", "name"), [(why, name) for why, names in REFUSED.items() for name in names.split()])
def test_names_that_c_has_taken_are_refused_with_another(why: str, name: str) -> None:
    f = sg.compile(lambda x: x * x, backend="python")
    f(1.0)
    with pytest.raises(ValueError, match=rf"^to_c: '{re.escape(name)}' {why}.*; call it '(\w+)', say$") as caught:
        f.to_c(name)
    f.to_c(*re.findall(r"call it '(\w+)'", str(caught.value)))


@pytest.mark.parametrize("compiler", COMPILERS, ids=" ".join)
@pytest.mark.parametrize("real", ["double", "float"])
def test_other_names_compile_as_c_and_as_cpp(compiler: list[str], real: Any, tmp_path: Path) -> None:
    def everything(p: dict[str, Any], w: list[Any]) -> Any:
        a, b = p.values()
        if a < b:  # /* ??/ */ \\
            return sg.erfc(a) + sg.tanh(b) * sg.where(a, b, w[0]) + sg.exp(a) / sg.erf(b)
        return gelu(a) + sg.cbrt(b) + a**b + sg.log1p(a) % b + sg.logsumexp([a, b, *w]) + float("inf")

    f = sg.compile(everything, backend="python")
    odd = {"/* a": 1.0, "*/ ??/ b\n\\": 2.0}
    f(odd, [3.0])
    f(dict(zip(odd, (2.0, 1.0), strict=True)), [3.0])
    if compiler[1] == "-std=c++11" and real == "float":
        pytest.skip("hexadecimal floats came to C++ with C++17")
    files: dict[str, str] = {}
    for name in OTHERS.split():
        files[f"{name}.h"], files[f"{name}.c"] = f.to_c(name, real=real)
    compile_c(compiler, files, tmp_path)


@pytest.mark.parametrize("compiler", COMPILERS, ids=" ".join)
def test_every_name_in_math_h_is_refused_or_compiles(compiler: list[str], tmp_path: Path) -> None:
    """Of math.h as this machine has it, and of all that it includes."""
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    language = ["-x", "c++" if compiler[0] == "g++" else "c", "-"]
    names: set[str] = set()
    for flag in ("-E", "-dM"):
        command = [*compiler, "-E", flag, *language]
        found = subprocess.run(command, input="#include <math.h>", capture_output=True, text=True).stdout
        names.update(re.findall(r"^#define (\w+)" if flag == "-dM" else r"\b[A-Za-z]\w*", found, flags=re.M))
    left = sorted(name for name in names if not c_names.fault(name))
    assert len(left) < len(names) - 50
    declared = [f"int {name}(const double *x, double *y); /* {name} */" for name in left]
    before, behind = '#ifdef __cplusplus\nextern "C" {\n#endif', "#ifdef __cplusplus\n}\n#endif\n"
    compile_c(compiler, {"all.c": "\n".join(["#include <math.h>", before, *declared, behind])}, tmp_path)


# ---- systems that refuse memory both writable and executable ---------------------------------------------------------

HARDENED = "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE\n"
NO_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no file in memory either\n"


def run(*parts: str) -> str:
    """What another interpreter prints."""
    code = "".join(textwrap.dedent(part) + "\n" for part in parts)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def hardened() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("prctl(PR_SET_MDWE) is Linux's")
    code = "import ctypes; raise SystemExit(ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0)"
    if subprocess.run([sys.executable, "-c", code]).returncode:
        pytest.skip("this kernel has no prctl(PR_SET_MDWE): Linux 6.3 or later")


FUNCTIONS = """
    import math, scalargrad as sg
    many = lambda p: sg.sum([sg.sin(v) for v in p])
    expected = many([0.1] * 60)
    @sg.primitive(lambda y, a: 1.0)
    def own(a): return a + 1.0
"""
CASES = {
    "a call": "assert sg.compile(many)([0.1] * 60) == expected",
    "300 calls": """
    f = sg.compile(many)
    for _ in range(310): assert f([0.1] * 60) == expected
    """,
    "a batch": "assert sg.compile(lambda x: sg.sin(x) * x).map([0.5] * 400) == [math.sin(0.5) * 0.5] * 400",
    "a user's operation": """
    f = sg.compile(lambda p: sg.sum([own(v) for v in p]))
    for _ in range(310): assert f([1.0] * 60) == 120.0
    """,
    "fixed memory": """
    f = sg.compile(many).buffered([0.1] * 60)
    f(); assert f.outputs[0] == expected
    """,
    "a training": """
    from scalargrad.compiler.backends import native
    from scalargrad.data import xor
    from scalargrad.losses import mean_squared_error
    from scalargrad.nn import MLP
    from scalargrad.optim import Adam
    from scalargrad.training import fit
    for way in ("auto", True):
        m = MLP(2, [8, 1], seed=1)
        optimizer = Adam(m.parameters(), lr=.1)
        history = fit(m, xor(400), mean_squared_error, optimizer, epochs=3, progress=False, compile=way)
        own = {"machine code", "Python source"} if way == "auto" else {"machine code"}
        assert history.compiled in (own if native.at_once(batches=True) else {"Python source"}), history.compiled
    """,
    "LLVM, asked for": """
    import os; os.environ["SCALARGRAD_NATIVE"] = "llvm"
    from scalargrad.compiler.backends.llvm import llvm
    for make in (lambda: sg.compile(many, backend="native").map([[0.1] * 60] * 400), llvm):
        try: make()
        except ImportError as error: assert "this system refuses it" in str(error), error
        else: raise AssertionError
    """,
}


@pytest.mark.parametrize("limits", ["", NO_FILES], ids=["hardened", "hardened, no files"])
@pytest.mark.parametrize("case", CASES)
def test_systems_that_refuse_executable_memory_are_answered(case: str, limits: str, hardened: None) -> None:
    run(HARDENED, limits, FUNCTIONS, CASES[case])


@pytest.mark.parametrize(("limits", "works"), [("", "avx" in features()), (NO_FILES, False)])
def test_machine_code_for_a_point_needs_no_memory_that_was_writable(limits: str, works: bool, hardened: None) -> None:
    code = """
    try: print(sg.compile(many, backend="native")([0.1] * 60) == expected)
    except ImportError as error: print("this system refuses it" in str(error) and "no machine code")
    """
    assert run(HARDENED, limits, FUNCTIONS, code).strip() == ("True" if works else "no machine code")


@needs_llvm
def test_llvm_is_not_tried_where_the_system_comes_to_refuse_it(hardened: None) -> None:
    code = """
    import os; os.environ["SCALARGRAD_NATIVE"] = "llvm"
    assert sg.compile(many, backend="native")([0.1] * 60) == expected
    import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0
    try: sg.compile(lambda x: x * 2.0, backend="native")(1.0)
    except ImportError as error: print("this system refuses it" in str(error))
    """
    assert run(FUNCTIONS, code).strip() == "True"


@pytest.mark.skipif("avx" not in features(), reason="no x86-64 with AVX, or no Linux")
def test_code_that_is_refused_for_its_size_goes_on_as_python_source() -> None:
    code = """
    import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    short = sg.compile(lambda p: sg.sum([v * 1.5 for v in p]) * 2.0)
    p = [0.1] * 60
    assert short(p) == short.function(p) and "native" in short.info.traces[0].seconds
    f, p = sg.compile(sg.value_and_grad(many)), [0.1 * k for k in range(300)]
    for _ in range(3): assert f(p) == f.function(p)
    assert "native" not in f.info.traces[0].seconds
    b = f.buffered(p); b(); assert b.outputs[0] == f(p)[0]
    samples = [[0.1 * k for k in range(j, j + 300)] for j in range(301)]
    assert f.map(samples)[0] == [f(each)[0] for each in samples]
    try: sg.compile(sg.grad(many), backend="native")(p)
    except OSError as error: print(type(error).__name__)
    """
    assert run(FUNCTIONS, code).strip() == "CodeRefusedError"


@pytest.mark.skipif("avx" not in features(), reason="no x86-64 with AVX, or no Linux")
def test_machine_code_cannot_be_written_and_is_freed() -> None:
    from scalargrad.compiler.backends.executable import Executable

    code = b"\xb8\x07\x00\x00\x00\xc3" + bytes(10_000)  # mov eax, 7; ret
    made = Executable(code)
    assert ctypes.CFUNCTYPE(ctypes.c_int)(made.address)() == 7

    def mapping(address: int) -> str:
        with open("/proc/self/maps", encoding="ascii") as file:
            return next((line for line in file if line.startswith(f"{address:x}-")), "")

    address = made.address
    assert " r-xp " in mapping(address)
    del made
    assert mapping(address) == ""


# ---- an llvmlite that does not work ----------------------------------------------------------------------------------

BINDING = "{}\ndef initialize_native_target(): raise SystemExit('llvmlite was used')"
BROKEN = {
    "too old": ("__version__ = '0.36.0'", BINDING.format("llvm_version_info = (11, 1, 0)")),
    "older": ("__version__ = '0.1'", BINDING.format("")),
    "a file is missing": ("__version__ = '0.47.0'", "raise OSError('Could not find/load shared object file')"),
    "another Python's": ("__version__ = '0.47.0'", "raise ImportError('undefined symbol')"),
    "without a binding": ("raise AttributeError('no binding')", ""),
}
WORK = """
import scalargrad as sg
from scalargrad.compiler.backends import native
from scalargrad.data import xor
from scalargrad.losses import hinge
from scalargrad.nn import MLP
from scalargrad.optim import Adam
from scalargrad.training import fit
f = sg.compile(sg.grad(lambda x: x * x))
assert f(3.0) == 6.0
assert "llvmlite" not in sys.modules  # which takes 80 ms to import
assert [f(3.0) for _ in range(400)][-1] == 6.0
assert f.map([1.0] * 400, reduce="sum") == 800.0
for way in ("auto", True):
    model = MLP(2, [4, 1])
    done = fit(model, xor(60), hinge, Adam(model.parameters()), 20, progress=False, compile=way)
    own = {"machine code", "Python source"} if way == "auto" else {"machine code"}
    assert done.compiled in (own if native.at_once(batches=True) else {"Python source"}), done.compiled
try:
    sg.compile(lambda x: x, backend="native").map([1.0])
except ImportError as error:
    assert "llvmlite" in str(error) and "pip install" in str(error), error
else:
    assert native.at_once(batches=True), "no error"
assert "llvmlite" not in sys.modules or not native.at_once(batches=True)
"""


@pytest.mark.parametrize("maker", ["", "llvm"])
@pytest.mark.parametrize("kind", BROKEN)
def test_an_llvmlite_that_does_not_work_is_done_without(kind: str, maker: str, tmp_path: Path) -> None:
    package = tmp_path / "llvmlite"
    (package / "binding").mkdir(parents=True)
    for path, text in zip((package, package / "binding"), BROKEN[kind], strict=True):
        (path / "__init__.py").write_text(text, encoding="utf-8")
    before = f"import os, sys; sys.path.insert(0, {str(tmp_path)!r}); os.environ['SCALARGRAD_NATIVE'] = {maker!r}"
    run(before, WORK)


def test_a_short_training_does_not_import_llvmlite() -> None:
    code = """
    import sys
    from scalargrad.data import xor
    from scalargrad.losses import hinge
    from scalargrad.nn import MLP
    from scalargrad.optim import Adam
    from scalargrad.training import fit
    model = MLP(2, [4, 1])
    fit(model, xor(60), hinge, Adam(model.parameters()), 2, progress=False)
    assert "llvmlite" not in sys.modules
    """
    run(code)


# ---- pickles of functions that cannot be pickled ---------------------------------------------------------------------


def test_a_function_of_which_nothing_would_arrive_is_refused_when_it_is_pickled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    f = sg.compile(lambda x: 2.0 * x)
    with pytest.raises(
        pickle.PicklingError, match=r"<lambda>: a compiled function that was not called yet .* top level"
    ):
        pickle.dumps(f)
    with pytest.raises(pickle.PicklingError, match="not called yet"):
        pickle.dumps(sg.compile(sg.grad(lambda x: 2.0 * x)))
    assert f(2.0) == 4.0
    assert pickle.loads(pickle.dumps(f))(3.0) == 6.0  # its program
    assert pickle.loads(pickle.dumps(sg.compile(sg.hypot)))(3.0, 4.0) == 5.0  # its function


def test_copies_of_a_compiled_function_are_itself_as_those_of_functions() -> None:
    f = sg.compile(lambda x: 2.0 * x)
    assert copy.deepcopy([f]) == [f] == [copy.copy(f)]


# ---- names of arguments ----------------------------------------------------------------------------------------------


class Line:
    def __init__(self, slope: float) -> None:
        self.slope = slope
        self.offset = sg.Value(1.0, label="offset")

    def at(self, x: Any, more: Any = 0.0) -> Any:
        return self.slope * x + self.offset + more

    def __call__(self, x: Any, more: Any) -> Any:
        return self.at(x, more)

    @classmethod
    def of_class(cls, x: Any, more: Any) -> Any:
        return x + more

    @staticmethod
    def of_none(x: Any, more: Any) -> Any:
        return x + more


def decorated(f: Any) -> Any:
    @functools.wraps(f)
    def call(*arguments: Any) -> Any:
        return f(*arguments)

    return call


def three(a: Any, x: Any, more: Any) -> Any:
    return a + x + more


@pytest.mark.parametrize(
    "function",
    [
        Line(2.0).at, Line(2.0), Line.of_class, Line.of_none, functools.partial(three, 1.0), decorated(Line(2.0).at),
        functools.partial(Line(2.0).at),
    ],
)  # fmt: skip
def test_messages_drawings_and_headers_leave_out_what_is_bound(function: Any) -> None:
    f = sg.compile(function, backend="python")
    with pytest.raises(TypeError, match=r"^x: expected a real number"):
        f(b"a", 1.0)
    with pytest.raises(TypeError, match=r"^more: expected a real number"):
        f(1.0, b"a")
    assert f(3.0, 4.0) == getattr(function(3.0, 4.0), "data", function(3.0, 4.0))
    assert re.findall(r"x\[\d\]  (\w+)", f.to_c("f")[0]) == ["x", "more"]
    assert "x = 3" in str(f.draw())
    assert "more = 4" in str(f.draw())


def test_functions_that_do_not_tell_their_parameters_have_numbered_arguments() -> None:
    with pytest.raises(TypeError, match=r"^x1: expected a real number"):
        sg.compile(max)(1.0, b"a")
    with pytest.raises(TypeError, match=r"^x0: expected a real number"):
        sg.compile(lambda *xs: xs[0])(b"a")


# ---- methods ---------------------------------------------------------------------------------------------------------


class Spring:
    def __init__(self, k: float) -> None:
        self.k = k
        self.rest = sg.Value(1.0)

    def __eq__(self, other: object) -> bool:  # so that it has no hash
        return isinstance(other, Spring)

    @sg.compile(backend="python")
    def energy(self, x: Any) -> Any:
        """Of a spring."""
        return 0.5 * self.k * (x - self.rest) ** 2 if x > self.rest else 0.0 * x


def test_a_compiled_method_binds_and_is_made_once_for_each_object() -> None:
    soft, hard = Spring(2.0), Spring(200.0)
    for _ in range(3):
        assert soft.energy(3.0) == 4.0
        assert hard.energy(3.0) == 400.0
        assert hard.energy(x=2.0) == 100.0
    assert (soft.energy.info.misses, soft.energy.info.hits) == (1, 2)
    assert soft.energy.map([3.0, 2.0]) == [4.0, 1.0]
    assert sg.grad(soft.energy)(3.0) == 4.0
    assert sg.compile(sg.grad(soft.energy))(3.0) == 4.0
    soft.rest.data = 2.0
    assert soft.energy(3.0) == 1.0
    assert Spring(4.0).energy(3.0) == 8.0  # of an object that nothing else refers to
    assert Spring.energy.info.traces == ()
    assert isinstance(Spring.energy, CompiledFunction)
    assert Spring.energy is Spring.__dict__["energy"]
    assert soft.energy.__doc__ == "Of a spring."
    assert vars(soft).keys() == {"k", "rest"}


def test_a_compiled_method_does_not_keep_its_object_alive() -> None:
    spring = Spring(2.0)
    gone = weakref.ref(spring)
    gc.disable()
    try:
        method = spring.energy
        assert method(3.0) == 4.0
        del spring
        assert method(3.0) == 4.0  # a method that is held does, as Python's
        del method
        assert gone() is None  # without the collector: there is no cycle
    finally:
        gc.enable()
    assert not any(reference() is None for reference, _ in Spring.energy.methods.values())


def test_objects_with_compiled_methods_go_into_pickles_and_copies() -> None:
    spring = Spring(2.0)
    assert spring.energy(3.0) == 4.0
    for again in (pickle.loads(pickle.dumps(spring)), copy.copy(spring), copy.deepcopy(spring)):
        again.k = 4.0
        assert again.energy(3.0) == 8.0
        assert spring.energy(3.0) == 4.0
    assert pickle.loads(pickle.dumps(spring.energy))(3.0) == 4.0
    assert copy.deepcopy(spring.energy).__self__ is not spring
    assert copy.copy(spring.energy)(3.0) == 4.0
    Spring.other = sg.compile(lambda self, x: x)  # type: ignore[attr-defined]
    try:
        assert spring.other(3.0) == 3.0  # type: ignore[attr-defined]
        with pytest.raises(pickle.PicklingError, match="no such compiled method '<lambda>'"):
            pickle.dumps(spring.other)  # type: ignore[attr-defined]
    finally:
        del Spring.other  # type: ignore[attr-defined]


def test_slots_need_weak_references() -> None:
    class Slotted:
        __slots__ = ("__weakref__", "k")

        @sg.compile
        def twice(self, x: Any) -> Any:
            return 2.0 * self.k * x

    class Closed:
        __slots__ = ()

        @sg.compile
        def twice(self, x: Any) -> Any:
            return 2.0 * x

    slotted = Slotted()
    slotted.k = 3.0
    assert slotted.twice(2.0) == slotted.twice(2.0) == 12.0
    with pytest.raises(TypeError, match=r"twice: .* which Closed does not allow: add '__weakref__' to its __slots__"):
        Closed().twice(2.0)


def test_what_python_does_not_bind_is_not_bound() -> None:
    class Holder:
        of_object = sg.compile(Line(2.0).at)
        of_partial = sg.compile(functools.partial(three, 1.0, 2.0))
        static = staticmethod(sg.compile(lambda x: 2.0 * x))

    holder = Holder()
    assert holder.of_object(3.0) == 7.0
    assert holder.of_partial(3.0) == 6.0
    assert holder.static(3.0) == 6.0


def test_a_module_may_compile_its_call() -> None:
    from scalargrad.nn import MLP

    class Fast(MLP):
        @sg.compile
        def outputs(self, x: Any) -> Any:
            return self(x)

    model = Fast(2, [3, 1], seed=1)
    assert model.outputs([1.0, 2.0]) == model([1.0, 2.0]).data
    next(iter(model.parameters())).data += 0.5
    assert model.outputs([1.0, 2.0]) == model([1.0, 2.0]).data


class Holder:
    """An object that holds what was compiled of its own method."""

    def __init__(self, k: float) -> None:
        self.k = k
        self.fn = sg.compile(self.go)

    def go(self, x: float) -> float:
        return self.k * x


def test_an_object_that_holds_the_compile_of_its_own_method_pickles() -> None:
    again = pickle.loads(pickle.dumps(Holder(2.0)))
    assert again.fn(3.0) == 6.0
    again.fn(1.0)
    assert pickle.loads(pickle.dumps(again)).fn(4.0) == 8.0


def test_batches_that_are_none_are_refused() -> None:
    f = sg.compile(lambda x: x)
    for wrong in (b"ab", bytearray(b"ab")):
        with pytest.raises(TypeError, match="expected a batch"):
            f.map(wrong)
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match="mask"):
        f.map(numpy.ma.array([1.0, 2.0], mask=[0, 1]))
