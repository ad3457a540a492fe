"""The demos: every chapter runs alone, writes what it says, and states no number that it does not find.

And the Korean README, whose examples and links are checked as those of README.md are.
"""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
DEMOS = ROOT / "demos"
CHAPTERS = sorted(path.name for path in DEMOS.glob("[0-9]*.py"))
KOREAN = (ROOT / "README.ko.md").read_text(encoding="utf-8")
IN_C = "this library gives Python's scores, to the last bit, for 359."
BEGINNINGS = {".html": b"<!doctype html>", ".png": b"\x89PNG\r\n", ".svg": b"<svg"}


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    """The demos as they come, with nothing written yet."""
    return Path(shutil.copytree(DEMOS, tmp_path / "demos", ignore=shutil.ignore_patterns("out", "__pycache__")))


def run(demos: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python from an empty directory, with warnings as errors."""
    empty = demos.parent / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", *arguments],
        cwd=empty,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert list(empty.iterdir()) == []
    return done


def said(output: str, what: str) -> set[str]:
    return {Path(line.split(what)[1].split(",")[0].strip()).name for line in output.splitlines() if what in line}


# ---- the chapters ----------------------------------------------------------------------------------------------------


def test_chapters_are_numbered_and_short() -> None:
    assert [int(name[:2]) for name in CHAPTERS] == list(range(len(CHAPTERS)))
    assert len(CHAPTERS) >= 11
    for name in CHAPTERS:
        text = (DEMOS / name).read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 135, name
        assert text.startswith(f'"""Chapter {int(name[:2])}: '), name


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_alone_and_writes_what_it_says(name: str, demos: Path) -> None:
    done = run(demos, str(demos / name))
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert f"\n{int(name[:2])}. " in done.stdout
    written, left_out = said(done.stdout, "picture: "), said(done.stdout, "left out: ")
    assert {path.name for path in (demos / "out").iterdir()} == written
    assert written or left_out
    if importlib.util.find_spec("matplotlib") is not None:
        assert not left_out
    for picture in written:
        path = demos / "out" / picture
        assert BEGINNINGS[path.suffix] in path.read_bytes()[:200], picture
    if name == "09_real_data.py" and os.name == "posix" and any(map(shutil.which, ("cc", "gcc", "clang"))):
        assert IN_C in done.stdout


def test_the_engine_of_chapter_0_is_short_and_gives_the_librarys_numbers(demos: Path) -> None:
    done = run(demos, str(demos / "00_engine.py"))
    lines = re.search(r"That is the engine: (\d+) lines", done.stdout)
    assert lines, done.stderr
    assert int(lines[1]) <= 60
    code = (demos / "00_engine.py").read_text(encoding="utf-8")
    (demos / "wrong.py").write_text(code.replace("-y / other.data", "y / other.data"), encoding="utf-8")
    (demos.parent / "empty").rmdir()
    assert "AssertionError" in run(demos, str(demos / "wrong.py")).stderr


def test_a_chapter_tells_its_numbers_without_matplotlib(demos: Path) -> None:
    code = "import runpy, sys; sys.modules['matplotlib'] = None; sys.path.insert(0, sys.argv[1]); "
    code += "runpy.run_path(sys.argv[1] + '/03_activations.py', run_name='__main__')"
    done = run(demos, "-c", code, str(demos))
    assert done.returncode == 0, done.stderr
    assert said(done.stdout, "left out: ") == {"03_activations.png"}
    assert "pip install matplotlib" in done.stdout
    assert "XOR would need 0 on the left and 2 on the right" in done.stdout
    assert list((demos / "out").iterdir()) == []


def test_digits_are_compared_in_c_where_there_is_a_compiler_alone(demos: Path) -> None:
    lesson = (demos / "lesson.py").read_text(encoding="utf-8")
    (demos / "lesson.py").write_text(f"{lesson}\n\ndef c_compiler():\n    return None\n", encoding="utf-8")
    done = run(demos, str(demos / "09_real_data.py"))
    assert done.returncode == 0, done.stderr
    assert "Without a C compiler here" in done.stdout
    assert IN_C not in done.stdout


def test_a_wrong_number_stops_a_chapter(demos: Path) -> None:
    chapter = demos / "05_losses.py"
    text = chapter.read_text(encoding="utf-8")
    assert text.count("{0.105}") == 1
    chapter.write_text(text.replace("{0.105}", "{0.106}"), encoding="utf-8")
    done = run(demos, str(chapter))
    assert done.returncode != 0
    assert "the text says 0.106, the computation 0.1053605" in done.stderr


# ---- what they share -------------------------------------------------------------------------------------------------


@pytest.fixture
def lesson(demos: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(demos))
    monkeypatch.delitem(sys.modules, "lesson", raising=False)
    module = importlib.import_module("lesson")
    monkeypatch.delitem(sys.modules, "lesson")
    return module


@pytest.mark.parametrize(
    ("text", "found"),
    [("0.105", 0.10536), ("-0.5", -0.5), ("2.3e-07", 2.34e-7), ("3", 3), ("3", 3.0), ("0.00", -0.001), ("800", 800.0)],
)
def test_a_number_is_right_to_the_digits_that_are_stated(lesson: ModuleType, text: str, found: float) -> None:
    lesson.check(text, found)


@pytest.mark.parametrize(
    ("text", "found"),
    [("0.105", 0.1056), ("0.5", -0.5), ("2.3e-07", 2.36e-7), ("2.3e-07", 2.3e-8), ("3", 2.9999), ("1.0", float("nan"))],
)
def test_a_wrong_number_is_found(lesson: ModuleType, text: str, found: float) -> None:
    with pytest.raises(AssertionError, match="the text says"):
        lesson.check(text, found)


def test_a_chapter_begins_with_its_docstring(lesson: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    lesson.begin("""Chapter 3: what bends.\n\nA sentence\nover two lines.\n""")
    assert capsys.readouterr().out == "\n3. What bends\n=============\n\nA sentence over two lines.\n\n"


def test_formulas_are_shown_as_they_stand(lesson: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    lesson.show("y = w x")
    lesson.show("""
        a  b
          c
    """)
    assert capsys.readouterr().out == "    y = w x\n\n    a  b\n      c\n\n"


def test_pictures_go_where_the_tour_says(demos: Path, tmp_path: Path) -> None:
    where = tmp_path / "a" / "b"
    code = "import sys; sys.path.insert(0, sys.argv[1]); import lesson; print(lesson.OUT)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(demos)],
        env={**os.environ, "SCALARGRAD_TOUR": str(where)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{where}\n"
    assert where.is_dir()
    assert not (demos / "out").exists()


def test_a_paragraph_has_as_many_numbers_as_were_computed(
    lesson: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    lesson.tell("a half is {0.5},\n    a third {0.333}", [1 / 2, 1 / 3])
    assert capsys.readouterr().out == "a half is 0.5, a third 0.333\n\n"
    with pytest.raises(ValueError, match="argument 2 is longer"):
        lesson.tell("a half is {0.5}", [1 / 2, 1 / 3])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        lesson.tell("a half is {0.5}")


# ---- the Korean README -----------------------------------------------------------------------------------------------


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_its_python_examples_give_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^```.*$", "", KOREAN, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.ko.md", "README.ko.md", 0)
    assert len(examples.examples) > 10
    runner = doctest.DocTestRunner()
    report: list[str] = []
    runner.run(examples, out=report.append)
    assert runner.failures == 0, "".join(report)
    assert "</svg>" in (tmp_path / "chain.svg").read_text(encoding="utf-8")


def test_its_commands_are_those_of_the_readme() -> None:
    english = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = blocks(KOREAN, "(?:sh|console)")
    assert len(commands) >= 2
    for command in commands:
        assert command in english


def test_files_that_it_links_exist() -> None:
    targets = re.findall(r"\]\(((?!http)[^)#]+)\)", KOREAN)
    assert len(targets) > 5
    for target in targets:
        assert (ROOT / target).exists(), target


def test_it_names_every_chapter() -> None:
    for name in CHAPTERS:
        assert f"demos/{name}" in KOREAN
