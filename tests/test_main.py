"""The command line: what it prints, what it refuses, what it leaves behind, in a terminal of any encoding."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from time import process_time, sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalargrad
from scalargrad import Value, draw, grad, hessian
from scalargrad.cli.expression import FUNCTIONS, parse
from scalargrad.cli.main import Answer, lined_up, main
from scalargrad.drawing.common.style import COLOURS
from scalargrad.drawing.graph.drawing import FORMS
from scalargrad.drawing.graph.layout_engines import LayoutError

NEURON = ["sigmoid(w1*x1 + w2*x2 + b)", "w1=0.5", "x1=1", "w2=-1", "x2=2", "b=0.25"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return code, *capsys.readouterr()

    return call


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "scalargrad", *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8", **environment},
        timeout=60,
        check=False,
    )


# ---- what is printed -------------------------------------------------------------------------------------------------


def test_value_and_derivatives(run) -> None:
    assert run(*NEURON) == (
        0,
        """\
y = sigmoid(w1*x1 + w2*x2 + b)
  = 0.22270013882530884

  variable  value  ∂y/∂variable
  w1         0.5    0.173104786992497
  x1         1.0    0.0865523934962485
  w2        -1.0    0.346209573984994
  x2         2.0   -0.173104786992497
  b          0.25   0.173104786992497
""",
        "",
    )


def test_steps(run) -> None:
    assert run("x**2 * sin(x)", "x=2", "--steps")[1] == (
        """\
y = x**2 * sin(x)
  = 3.637189707302727

forward:
  v1  =  x ** 2.0  =  4.0
  v2  =  sin(x)    =  0.9092974268256817
  y   =  v1 * v2   =  3.637189707302727

backward: upstream × local = contribution
  y → v1  ∂y/∂v1 = v2     1.0                 ×   0.9092974268256817  =   0.9092974268256817
  y → v2  ∂y/∂v2 = v1     1.0                 ×   4.0                 =   4.0
  v2 → x  ∂v2/∂x = cos x  4.0                 ×  -0.4161468365471424  =  -1.6645873461885696  path 1 of 2, sum -1.6645873461885696
  v1 → x  ∂v1/∂x = 2·x^1  0.9092974268256817  ×   4.0                 =   3.637189707302727   path 2 of 2, sum 1.9726023611141572

  variable  value  ∂y/∂variable
  x         2.0    1.9726023611141572
"""  # noqa: E501  # a line of the terminal
    )


def test_a_zero_propagates_nothing_and_the_steps_say_so(run) -> None:
    out = run("0*sqrt(x)", "x=0", "--steps")[1]
    assert re.search(r"v1 → x .* 0\.0 +× +inf +=  0\.0  zero propagates nothing", out)
    assert out.endswith("x         0.0    0.0\n")


def test_steps_of_a_lone_variable_and_of_none(run) -> None:
    assert "nothing comes down: y is no operation's result" in run("x", "x=2", "--steps")[1]
    assert run("2*pi", "--steps", "--hessian") == (
        0,
        "y = 2*pi\n  = 6.283185307179586\n\nno variables to differentiate by\n",
        "",
    )


def test_every_operation_reads_as_it_is_written(run) -> None:
    text = (
        "(-2)**x + x%3 - -x//2 + x/4 + x**0.5 + clamp(x, 0, 1) + where(x > 1, x, 0) + dot([x, 1], [2, x]) + max(x, 3)"
    )
    out = run(text, "x=2", "--steps")[1]
    for formula in (
        *("(-2.0) ** x", "x % 3.0", "-x", "// 2.0", "x / 4.0", "x ** 0.5", "clamp(x, 0.0, 1.0)", "max(x, 3.0)"),
        *("where(x > 1, x, 0.0)", "dot([x, 1.0], [2.0, x])"),
    ):
        assert formula in out


def test_wrt_picks_variables_in_its_order_and_holds_the_others(run) -> None:
    code, out, _ = run(*NEURON, "--wrt", "b, w1", "--steps")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[-2:]] == ["b", "w1"]
    assert "→ x1" not in out
    assert "→ v2" not in out  # w2*x2 does not vary
    assert run(*NEURON, "--wrt", "b", "--wrt", "w1", "--steps")[1] == out


def test_hessian_as_matrix_if_it_fits_and_as_list_if_not(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    given = ("x**3 * 값", "x=2", "값=-5", "--hessian")
    assert run(*given)[1].endswith("second derivatives:\n      x      값\n  x   -60.0  12.0\n  값   12.0   0.0\n")
    monkeypatch.setenv("COLUMNS", "15")
    assert run(*given)[1].endswith("second derivatives:\n  ∂²y/∂x²    -60.0\n  ∂²y/∂x∂값   12.0\n  ∂²y/∂값²     0.0\n")
    assert run("x**3", "x=2", "--hessian")[1].endswith("  ∂²y/∂x²  12.0\n")


def test_numbers_are_exact_and_safe(run) -> None:
    out = run("a + b + c + d", "a=-0.0", "b=-inf", "c=nan", "d=1/3")[1]
    assert [line.split()[1] for line in out.splitlines()[-4:]] == ["-0.0", "-inf", "nan", "0.3333333333333333"]


def test_values_may_be_constant_expressions(run) -> None:
    out = run("a+b+c+d+f+g", "a=pi/2", "b=-1e-3", "c=1/3", "d=-inf", "f= 2 ", "g =sqrt(2)")[1]
    values = [line.split()[1] for line in out.splitlines()[-6:]]
    assert values == [repr(x) for x in (math.pi / 2, -1e-3, 1 / 3, -math.inf, 2.0, math.sqrt(2))]


def test_the_result_takes_a_name_that_is_free(run) -> None:
    assert run("y + z", "y=1", "z=2")[1].startswith("f = y + z\n  = 3.0\n")
    assert "∂y0/∂" in run("y + f + z", "y=1", "f=2", "z=3")[1]
    assert "v_1  =" in run("v1*v2 + 1", "v1=1", "v2=2", "--steps")[1]


@pytest.mark.parametrize("given", [["-x**2", "x=3"], ["--", "-x**2", "x=3"], ["x=3", "-x**2"][::-1]])
def test_an_expression_may_begin_with_a_sign(run, given: list[str]) -> None:
    assert run(*given)[1].startswith("y = -x**2\n  = -9.0\n")


def test_options_may_stand_anywhere(run) -> None:
    assert run("--wrt", "x", "x*q", "x=3", "--hessian", "q=2")[1] == run("x*q", "x=3", "q=2", "--hessian", "--wrt=x")[1]


def test_columns_line_up_at_the_decimal_points() -> None:
    rows = [("a", "-1.5"), ("값", "10.25"), ("b", "inf"), ("c", "1e-05"), ("d", "-1.5e+300")]
    assert lined_up(rows, "l.", ("name", "n")) == [
        "  name  n",
        "  a      -1.5",
        "  값     10.25",
        "  b     inf",
        "  c       1e-05",
        "  d      -1.5e+300",
    ]


# ---- as JSON ---------------------------------------------------------------------------------------------------------


def strict(text: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_json(run) -> None:
    code, out, err = run("x**2 * 값", "x=3", "값=-inf", "--json", "--hessian", "--steps")
    found = strict(out)
    assert (code, err) == (0, "")
    assert found["expression"] == "x**2 * 값"
    assert found["value"] == "-inf"
    assert found["variables"] == {"x": 3.0, "값": "-inf"}
    assert found["gradient"] == {"x": "-inf", "값": 9.0}
    assert found["hessian"] == {"x": {"x": "-inf", "값": 6.0}, "값": {"x": 6.0, "값": 0.0}}
    assert found["forward"][0] == {"node": "v1", "operation": "x ** 2.0", "value": 9.0}
    last = found["backward"][-1]
    assert (last["node"], last["operand"], last["notation"]) == ("v1", "x", "2·x^1")
    assert (last["upstream"], last["local"], last["contribution"], last["total"]) == ("-inf", 6.0, "-inf", "-inf")
    assert (last["path"], last["paths"]) == (1, 1)


def test_json_without_extras(run) -> None:
    assert set(strict(run("x", "x=1", "--json")[1])) == {"expression", "value", "variables", "gradient"}


# ---- the steps are what the engine does ------------------------------------------------------------------------------

VALUES = st.floats(allow_nan=True, allow_infinity=True, width=32)
TEXTS = [
    "x*x*y + y*z",
    "where(x > y, x*y, z) * x",
    "logsumexp(x, y, z) - max(x, x, y)",
    "dot([x, x, y], [y, z, z])",
    "sqrt(x)*0 + y**z",
    "floor(x)*y + abs(z)/x",
    "(x + y)*(x + y)*sin(x + y) + z",
    "x",
]


@given(st.sampled_from(TEXTS), st.tuples(VALUES, VALUES, VALUES))
def test_sums_of_the_steps_are_the_gradient_to_the_bit(text: str, values: tuple[float, float, float]) -> None:
    f = parse(text)
    point = dict(zip("xyz", values, strict=True))
    point = {name: point[name] for name in f.variables}
    answer = Answer(f, point, f.variables)
    answer.name_nodes()
    last = {step.operand: step for step in answer.backward()}
    for name, d in answer.gradient.items():
        if f.text != "x":
            assert last[name].path == last[name].paths
            assert repr(last[name].total) == repr(d)
    assert repr(answer.gradient) == repr(grad(f)(point))
    assert repr(answer.hessian()) == repr(hessian(f)(point))


# ---- what is refused -------------------------------------------------------------------------------------------------

REFUSED = [
    ([], "no expression is given"),
    (["x^2", "x=1"], "'^' is not supported: for a power write **\n  x^2\n   ^\n"),
    (["w*x + b", "x=1"], "no value for w, b: add w=... b=..."),
    (["x", "x=1", "q=2"], "'q' is no variable of the expression (x)"),
    (["weight", "weihgt=2"], "did you mean weight?"),
    (["2", "q=2"], "'q' is no variable of the expression (it has none)"),
    (["x", "x=1", "x=2"], "x is given twice: 1.0 and '2'"),
    (["x", "ｘ=1", "x=2"], "x is given twice"),
    (["x", "x=1", "e=2"], "e is a constant"),
    (["x", "1"], "expected NAME=VALUE, got '1' (is the expression in quotes?)"),
    (["x", "x="], "the value of x: a number, a variable or a function is missing here\n  x=\n    ^\n"),
    (["값", "값=1/^2"], "the value of 값: '^' is not supported: for a power write **\n  값=1/^2\n       ^\n"),
    (["x", "x=2*q"], "the value of x holds the variable q"),
    (["x", "x=__import__('os')"], "no text in quotes"),
    (["x=1", "x"], "'=' is not supported"),
    (["x", "x=1", "--wrt", "q"], "--wrt: 'q' is no variable"),
    (["x", "x=1", "--wrt", ""], "--wrt: '' is no variable"),
    (["x", "x=1", "--wrt", "x,x"], "--wrt: x is given twice"),
    (["x", "x=1", "--wrt"], "--wrt: expected one argument"),
    (["x", "x=1", "--hess"], "unrecognized arguments: --hess"),
    (["x", "x=1", "--labels", "all", "-o", "a.svg"], "invalid choice: 'all'"),
    (["x", "x=1", "--title", "t"], "--title, --labels and --theme are for a picture: add -o FILE or --open"),
    (["x", "x=1", "--labels", "none"], "--title, --labels and --theme are for a picture"),
    (["x", "x=1", "--theme", "dark"], "--title, --labels and --theme are for a picture"),
    (["x", "x=1", "--theme", "blue", "--open"], "invalid choice: 'blue'"),
    (["x", "x=1", "-o", "a.svg", "-o", "b.gif"], "'b.gif': .gif is no form of a picture; the suffixes are .svg"),
    (["x", "x=1", "-o", "picture"], "'picture': a picture needs a suffix"),
    (["x^2", "x=1", "-o", "a.svg"], "'^' is not supported"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_what_is_refused(run, tmp_path: Path, monkeypatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("scalargrad: error: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.text("x=1-+*/(),.o h\n\t가^", max_size=8), max_size=4))
def test_any_arguments_are_answered_or_refused(arguments: list[str]) -> None:
    files = [a for a in arguments if a.startswith("-o")]
    try:
        code = main([a for a in arguments if a not in files])
    except SystemExit as stop:  # -h prints the help
        code = stop.code
    assert code in (0, 2)


# ---- pictures --------------------------------------------------------------------------------------------------------


def test_pictures_by_suffix(run, tmp_path: Path) -> None:
    files = [tmp_path / f"chain{suffix}" for suffix in (".svg", ".dot", ".json", ".txt")]
    code, out, err = run(*NEURON, *[word for file in files for word in ("-o", str(file))])
    assert (code, err) == (0, "")
    assert out.endswith("\n\n" + "".join(f"wrote {file}\n" for file in files))
    assert files[0].read_text(encoding="utf-8").startswith(("<?xml", "<svg"))
    assert files[1].read_text(encoding="utf-8").lstrip().startswith("digraph")
    assert "0.2227" in files[3].read_text(encoding="utf-8")
    for name in ("w1", "x1", "w2", "x2", "b"):
        assert name in files[0].read_text(encoding="utf-8")


def test_title_and_labels_reach_the_picture(run, tmp_path: Path) -> None:
    def drawn(*options: str) -> str:
        file = tmp_path / "a.json"
        assert run("x*w", "x=2", "w=3", "-o", str(file), *options)[0] == 0
        return file.read_text(encoding="utf-8")

    assert "x*w" in drawn()
    assert "my title" in drawn("--title", "my title")
    assert len({drawn("--labels", each) for each in ("local", "contribution", "full", "none")}) == 4


def test_the_theme_reaches_the_picture(run, tmp_path: Path) -> None:
    def drawn(*options: str) -> str:
        file = tmp_path / "a.svg"
        assert run("x*w", "x=2", "w=3", "-o", str(file), *options)[0] == 0
        return file.read_text(encoding="utf-8")

    light, dark = COLOURS["page"]
    assert "prefers-color-scheme:dark" in drawn()
    assert "prefers-color-scheme:dark" in drawn("--theme", "auto")
    for theme, page, other in (("light", light, dark), ("dark", dark, light)):
        svg = drawn("--theme", theme)
        assert "prefers-color-scheme" not in svg
        assert f"fill:{page}" in svg
        assert f"fill:{other}" not in svg


@pytest.mark.skipif(".html" not in FORMS, reason="drawings have no form .html yet")
def test_a_page(run, tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    code, out, err = run(*NEURON, "-o", str(file), "--title", "</script>")
    assert (code, err) == (0, "")
    assert out.endswith(f"wrote {file}\n")
    page = file.read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "&lt;/script&gt;" in page


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A browser that keeps in mind what it was given; temporary files in a folder of the test's."""
    opened: list[str] = []

    def opens(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", opens)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return opened


def test_open_shows_a_temporary_file(run, browser: list[str], tmp_path: Path) -> None:
    code, out, err = run("x*w", "x=2", "w=3", "--open", "--title", "shown")
    assert (code, err) == (0, "")
    (file,) = tmp_path.iterdir()
    assert file.suffix == (".html" if ".html" in FORMS else ".svg")
    assert out.endswith(f"wrote {file}\n")
    assert "shown" in file.read_text(encoding="utf-8")
    assert browser == [file.as_uri()]


def test_open_shows_the_first_file_that_a_browser_can(run, browser: list[str], tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a b.dot", "a b.svg", "c.SVG")]
    given = [word for file in files for word in ("-o", str(file))]
    assert run("x*w", "x=2", "w=3", "--open", *given)[0] == 0
    assert browser == [files[1].as_uri()]
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_open_beside_a_file_that_no_browser_shows(run, browser: list[str], tmp_path: Path) -> None:
    assert run("x*w", "x=2", "w=3", "--open", "-o", str(tmp_path / "a.dot"))[0] == 0
    assert len(list(tmp_path.iterdir())) == 2
    assert browser[0].endswith((".html", ".svg"))


def test_open_is_relative_to_where_it_was_called(run, browser: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("x*w", "x=2", "w=3", "--open", "-o", "a.svg")[0] == 0
    assert browser == [(tmp_path / "a.svg").resolve().as_uri()]


def test_without_a_browser_the_picture_is_there_all_the_same(run, browser, tmp_path: Path, monkeypatch) -> None:
    def fails(url: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    for stand_in, reason in ((lambda url: False, "there is none"), (fails, "could not locate")):
        monkeypatch.setattr(webbrowser, "open", stand_in)
        code, out, err = run("x*w", "x=2", "w=3", "--open", "-o", str(tmp_path / "a.svg"))
        assert code == 1
        assert out.endswith(f"wrote {tmp_path / 'a.svg'}\n")
        assert err.startswith("scalargrad: error: no browser could be opened")
        assert reason in err


def test_what_could_not_be_written_is_not_shown(run, browser: list[str], tmp_path: Path) -> None:
    assert run("x*w", "x=2", "w=3", "--open", "-o", str(tmp_path / "no" / "a.svg"))[0] == 1
    assert browser == []


def test_a_temporary_file_that_could_not_be_written_does_not_stay(run, browser, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SCALARGRAD_DOT", str(tmp_path / "no-such-program"))
    code, _, err = run("x*2", "x=1", "--open")
    assert code == 1
    assert "no-such-program" in err
    assert (browser, list(tmp_path.iterdir())) == ([], [])


def test_json_stays_json_beside_a_browser(run, browser: list[str]) -> None:
    code, out, err = run("x*2", "x=1", "--json", "--open")
    assert (code, strict(out)["value"]) == (0, 2.0)
    assert err.startswith("wrote ")


def test_a_picture_bears_the_names_of_the_steps(run, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    run("sin(x*w)", "x=2", "w=3", "--steps", "-o", str(file))
    assert "v1 = x × w" in file.read_text(encoding="utf-8").replace("w × x", "x × w")


def test_a_picture_of_a_lone_number(run, tmp_path: Path) -> None:
    file = tmp_path / "a.dot"
    assert run("2*pi", "-o", str(file))[0] == 0
    assert "6.283" in file.read_text(encoding="utf-8")


def test_what_cannot_be_written_is_an_error_after_the_answer(run, tmp_path: Path) -> None:
    good, bad = tmp_path / "a.dot", tmp_path / "missing" / "b.dot"
    code, out, err = run("x", "x=1", "-o", str(bad), "-o", str(good))
    assert code == 1
    assert out.startswith("y = x\n  = 1.0\n")
    assert out.endswith(f"wrote {good}\n")
    assert err.startswith(f"scalargrad: error: {str(bad)!r} could not be written: ")
    assert good.exists()


def test_an_engine_that_fails_is_an_error_after_the_answer(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SCALARGRAD_DOT", str(tmp_path / "no-such-program"))
    code, out, err = run("x*2", "x=1", "-o", str(tmp_path / "a.svg"))
    assert code == 1
    assert out.startswith("y = x*2\n  = 2.0\n")
    assert "no-such-program" in err
    assert list(tmp_path.iterdir()) == []


def test_json_stays_json_beside_a_picture(run, tmp_path: Path) -> None:
    file = tmp_path / "a.dot"
    code, out, err = run("x*2", "x=1", "--json", "-o", str(file))
    assert (code, err) == (0, f"wrote {file}\n")
    assert strict(out)["value"] == 2.0


# ---- as a process ----------------------------------------------------------------------------------------------------


def test_as_a_module_with_its_exit_codes(tmp_path: Path) -> None:
    done = process(*NEURON, "-o", str(tmp_path / "chain.svg"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert "∂y/∂variable".encode() in done.stdout
    assert (tmp_path / "chain.svg").stat().st_size > 1000
    assert process("x^2", "x=1").returncode == 2
    assert process("x", "x=1", "-o", str(tmp_path / "no" / "a.dot")).returncode == 1


def test_a_terminal_without_unicode() -> None:
    done = process("θ**2 * 값", "θ=2", "값=3", "--steps", "--hessian", PYTHONIOENCODING="ascii", COLUMNS="20")
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode("ascii")
    assert "backward: upstream * local = contribution" in out
    assert "dy/dvariable" in out
    assert "y -> v1" in out
    assert "d2y/dtheta^2" in out
    wrong = process("값^2", PYTHONIOENCODING="ascii")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr.decode("ascii").endswith("  ??^2\n    ^\n")
    assert process("--help", PYTHONIOENCODING="ascii").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_reader_that_stops_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "scalargrad", "x", "x=1", "-o", str(tmp_path / "a.dot")],
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "a.dot").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scalargrad", "x", "x=1"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"scalargrad: error: the answer could not be printed: ")
    assert b"Traceback" not in done.stderr


def test_help_and_version(run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    for word in [
        *FUNCTIONS,
        "pi",
        "--steps",
        "--wrt",
        "--hessian",
        "--title",
        "--labels",
        "--theme",
        "--open",
        "--json",
        "--version",
        "-o",
    ]:
        assert word in out
    assert max(map(len, out.splitlines())) <= 100
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert re.fullmatch(r"scalargrad \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_the_examples_in_the_help_work(run, browser: list[str], tmp_path: Path, monkeypatch) -> None:
    import shlex

    from scalargrad.cli.main import EXAMPLES

    monkeypatch.chdir(tmp_path)
    examples = [re.split(r" {3,}", line.strip())[0] for line in EXAMPLES.splitlines()[1:]]
    assert len(examples) >= 4
    for example in examples:
        assert run(*shlex.split(example)[1:])[0] == 0


def test_graphviz_is_imported_for_a_picture_only() -> None:
    code = (
        "import sys; from scalargrad.cli.main import main; main(['x', 'x=1'])\n"
        "print([m for m in sys.modules if m.startswith(('graphviz', 'numpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


# ---- limits, and what is said of them --------------------------------------------------------------------------------


def many(function: str, count: int) -> list[str]:
    return [f"{function}({','.join(f'x{k}' for k in range(count))})", *(f"x{k}=1.5" for k in range(count))]


def test_a_long_answer_is_lined_up_in_linear_time(capsys: pytest.CaptureFixture[str]) -> None:
    begun = process_time()
    assert main([*many("prod", 300), "--hessian"]) == 0
    assert process_time() - begun < 15.0  # it was 90 s when each line looked for the widest
    assert len(capsys.readouterr().out.splitlines()) > 300 * 301 / 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--hessian"],
            "--hessian: 10,000 variables have 100,000,000 second derivatives; it takes 500 variables at most",
        ),
        (["--steps"], "--steps: 30,000 steps are too many to be read; it prints 20,000 at most"),
    ],
)
def test_limits_say_so(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    count = 10_000 if "--hessian" in options else 30_000
    terms = ",".join(f"x{k}" for k in range(count)) if "--hessian" in options else ",".join(["x0"] * count)
    given = [f"x{k}=1" for k in range(count)] if "--hessian" in options else ["x0=1"]
    assert main([f"sum({terms})", *given, *options]) == 2
    assert said in capsys.readouterr().err


def test_what_has_no_value_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["2*log(x - 1) + y", "x=0", "y=1"]) == 0
    assert "    since log(-1.0) is not a number (nan)\n" in capsys.readouterr().out
    assert main(["where(x > 0, log(x), x)", "x=-1"]) == 0
    assert "not a number" not in capsys.readouterr().out


def test_digits_and_the_option_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x/3", "x=1", "--digits", "3", "--steps", "--hessian"]) == 0
    assert "0.333\n" in (out := capsys.readouterr().out)
    assert "0.3333" not in out
    assert main(["x/3", "x=1", "--digits", "0"]) == 2
    assert "a whole number from 1 to 17" in capsys.readouterr().err
    assert main(["x/3", "x=1", "--step"]) == 2
    assert "did you mean --steps?" in capsys.readouterr().err


def test_letters_typed_in_the_c_locale_are_letters() -> None:
    done = process("θ*2", "θ=3", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0
    assert done.stdout.startswith("y = θ*2\n  = 6.0\n".encode())


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-m", "scalargrad", "x*x", "x=1", "-o", "a.svg"], 128 + signal.SIGTERM),
        (["-m", "scalargrad", "tour", "1", "-o", "."], 128 + signal.SIGTERM),
        (["-c", "import scalargrad; scalargrad.Value(1.0).draw().save('a.svg')"], -signal.SIGTERM),
    ],
)
def test_a_layout_engine_ends_with_what_has_started_it(arguments: list[str], code: int, tmp_path: Path) -> None:
    engine, own = tmp_path / "dot", tmp_path / "pid"
    engine.write_text(f"#!/bin/sh\nsleep 300 &\necho $! > {own}.new && mv {own}.new {own}\nwait\n")
    engine.chmod(0o755)
    path = os.pathsep.join([str(Path(scalargrad.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    surroundings = {**os.environ, "SCALARGRAD_DOT": str(engine), "PYTHONPATH": path}
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env=surroundings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    while not own.exists():
        sleep(0.05)
    child.terminate()
    assert child.wait(30) == code
    stat = Path("/proc", own.read_text().strip(), "stat")
    for _ in range(100):  # until whoever takes care of orphans has taken note
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        sleep(0.05)
    raise AssertionError("the engine goes on alone")


@pytest.mark.skipif(os.name != "posix", reason="scripts as programs")
def test_an_engine_ends_where_it_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []
    waits = subprocess.Popen.wait

    def wait(child: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if child not in started:
            started.append(child)
            raise KeyboardInterrupt
        return waits(child, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    engine = tmp_path / "dot"
    engine.write_text("#!/bin/sh\nsleep 300\n")
    engine.chmod(0o755)
    monkeypatch.setenv("SCALARGRAD_DOT", str(engine))
    x = Value(2.0, label="x")
    with pytest.raises(KeyboardInterrupt):
        draw(x * x).svg()
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.skipif(os.name != "posix", reason="scripts as programs")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo garbage", "wrote 'garbage↵', which is no layout"),
        ('echo \'{"objects": [{"pos": 3}]}\'', "which is no layout"),
        ("yes", "wrote more than 1,048,576 bytes, and was stopped: is it Graphviz's dot?"),
        ("yes >&2", "failed with exit code"),
    ],
)
def test_an_engine_that_is_none(body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "dot"
    engine.write_text(f"#!/bin/sh\n{body}\n")
    engine.chmod(0o755)
    monkeypatch.setenv("SCALARGRAD_DOT", str(engine))
    monkeypatch.setattr("scalargrad.drawing.graph.layout_engines.MOST_WRITTEN", 1 << 20)
    x = Value(2.0, label="x")
    with pytest.raises(LayoutError, match=re.escape(said)):
        draw(x * x).svg()
