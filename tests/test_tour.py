"""The tour: which chapters there are, how they are chosen and run, from a checkout and as a wheel has them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import webbrowser
from pathlib import Path

import pytest

from scalargrad.cli import tour
from scalargrad.cli.main import main
from scalargrad.cli.terminal import UsageError
from scalargrad.cli.tour import Chapter, chosen, find, listed

ROOT = Path(__file__).parent.parent
DEMOS = ROOT / "demos"
LESSON = DEMOS / "lesson.py"
CHAPTER = '''"""Chapter {0}: {1}.

{2} A second sentence.
"""

from lesson import OUT, tell, title

title("{0}. {1}")
tell("One half is {{0.5}}, told with θ.", [1 / 2])
(OUT / "{0:02}_a.svg").write_text("<svg/>")
print(f"picture: {{OUT / '{0:02}_a.svg'}}")
'''


def chapters_in(folder: Path, **more: str) -> Path:
    """A folder with two small chapters, and those that are given as text by name."""
    folder.mkdir(parents=True)
    shutil.copy(LESSON, folder)
    (folder / "01_first.py").write_text(CHAPTER.format(1, "the first", "It begins."), encoding="utf-8")
    (folder / "02_second.py").write_text(CHAPTER.format(2, "the second", "It goes on."), encoding="utf-8")
    for name, text in more.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tour of two small chapters, as in a checkout."""
    folder = chapters_in(tmp_path / "demos")
    monkeypatch.setattr(tour, "FOLDERS", (tmp_path / "_tour", folder))
    monkeypatch.setattr(find, "__defaults__", ((tmp_path / "_tour", folder),))
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["tour", *arguments])
        return code, *capsys.readouterr()

    return call


# ---- which chapters there are ----------------------------------------------------------------------------------------


def test_all_demos_are_chapters_with_title_and_sentence() -> None:
    chapters = find()
    assert [c.path for c in chapters] == sorted(DEMOS.glob("[0-9]*.py"))
    assert [c.number for c in chapters] == list(range(len(chapters)))
    for c in chapters:
        assert c.title
        assert c.about.endswith(".")
        assert len(c.about) > 20
    assert (chapters[1].title, chapters[1].about) == ("the chain rule", "A network is functions inside functions.")


def test_a_wheel_has_every_file_of_the_demos() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    chapters = {source: target for source, target in included.items() if source.startswith("demos/")}
    assert chapters == {f"demos/{p.name}": f"scalargrad/_tour/{p.name}" for p in DEMOS.glob("*.py")}


def test_chapters_in_the_package_come_before_those_beside_it(tmp_path: Path) -> None:
    inside, beside = chapters_in(tmp_path / "_tour"), chapters_in(tmp_path / "demos")
    assert {c.path.parent for c in find((inside, beside))} == {inside}
    (inside / "lesson.py").unlink()  # another folder of that name
    assert {c.path.parent for c in find((inside, beside))} == {beside}


def test_no_chapters_is_an_error_that_tells_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not installed: there are none in .*_tour or .*demos; install"):
        find((tmp_path / "_tour", tmp_path / "demos"))


NINE = [Chapter(n, f"title {n}", "About.", Path(f"{n}.py")) for n in range(1, 10)]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("3", [3]),
        ("4-6 1", [4, 5, 6, 1]),
        ("all", [*range(1, 10)]),
        ("9 all", [9, *range(1, 9)]),
        ("2 2 1-2", [2, 1]),
        ("", []),
    ],
)
def test_chapters_are_chosen_in_the_order_given_each_once(words: str, numbers: list[int]) -> None:
    assert [c.number for c in chosen(words.split(), NINE)] == numbers


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("0", "there is no chapter 0: the chapters are 1 to 9"),
        ("12", "there is no chapter 12"),
        ("7-12", "there is no chapter 7-12"),
        ("6-4", "there is no chapter 6-4"),
        ("1-99999999999", "there is no chapter 1-99999999999"),
        ("x", "'x' is no chapter: give a number such as 3, a range such as 4-6, or all"),
        ("-", "'-' is no chapter"),
        ("3-", "'3-' is no chapter"),
        ("²", "'²' is no chapter"),
    ],
)
def test_what_is_no_chapter_is_told(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        chosen([word], NINE)


def test_the_list_fits_the_terminal() -> None:
    for width in (60, 80, 100, 160):
        lines = listed(find(), width).splitlines()
        assert max(map(len, lines[:-2])) <= width
        assert "  1  the chain rule" in lines[3]
    assert "A network is functions inside functions." in listed(find(), 100)
    assert "functions inside" not in listed(find(), 30)


# ---- the command line ------------------------------------------------------------------------------------------------


def test_alone_it_lists(run, small: Path) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.startswith("The tour, in 2 chapters:\n\n  1  the first  It begins.\n  2  the second It goes on.\n\n")
    assert not (small / "out").exists()


def test_tour_can_be_a_variable_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tour", "tour=3"]) == 0
    assert capsys.readouterr().out.startswith("y = tour\n  = 3.0\n")
    assert main(["tour", "--wrt", "tour", "tour = 3"]) == 0
    assert main(["tour*2", "tour=3"]) == 0
    assert main(["tour", "x=3"]) == 2
    assert "'x=3' is no chapter" in capsys.readouterr().err


def test_chapters_run_one_after_the_other_and_say_what_they_draw(run, small: Path) -> None:
    code, out, err = run("all")
    assert code == 0
    assert out.index("1. the first") < out.index("2. the second")
    assert out.count("One half is 0.5, told with θ.") == 2
    first, second = err.splitlines()
    assert re.fullmatch(rf"\[1/2\] chapter 1, the first: [\d.]+ s, 1 picture in {small / 'out'}", first)
    assert second.startswith("[2/2] chapter 2, the second: ")
    assert {p.name for p in (small / "out").iterdir()} == {"01_a.svg", "02_a.svg"}
    assert not (small / "__pycache__").exists()


def test_a_wheel_draws_into_the_current_directory(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inside = chapters_in(tmp_path / "_tour")
    monkeypatch.setattr(find, "__defaults__", ((inside, tmp_path / "demos"),))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("2")[0] == 0
    assert [p.name for p in (tmp_path / "here" / "scalargrad-tour").iterdir()] == ["02_a.svg"]
    assert not (inside / "out").exists()
    assert run("1", "-o", "a/b")[0] == 0
    assert [p.name for p in (tmp_path / "here" / "a" / "b").iterdir()] == ["01_a.svg"]


def test_a_chapter_that_fails_stops_the_tour(run, small: Path) -> None:
    (small / "01_first.py").write_text('"""Chapter 1: x.\n\nY.\n"""\nprint("before")\nraise OSError("gone")\n')
    code, out, err = run("all")
    assert (code, out) == (1, "before\n")
    assert "OSError: gone\nscalargrad: error: chapter 1, x stopped with an error, printed above (" in err
    assert not (small / "out" / "02_a.svg").exists()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: found.append(url) or True)
    return found


def test_one_picture_is_opened_itself(run, small: Path, opened: list[str]) -> None:
    assert run("1", "--open")[0] == 0
    assert opened == [(small / "out" / "01_a.svg").as_uri()]


def test_several_pictures_are_opened_as_one_page(run, small: Path, opened: list[str]) -> None:
    extra = (small / "02_second.py").read_text(encoding="utf-8").replace("02_a.svg", "02_b.html")
    (small / "03_third.py").write_text(extra.replace("Chapter 2: the second", "Chapter 3: <third>"), encoding="utf-8")
    assert run("1", "3", "--open")[0] == 0
    page = small / "out" / "index.html"
    assert opened == [page.as_uri()]
    text = page.read_text(encoding="utf-8")
    assert "<h2>1. the first</h2><p>It begins.</p>" in text
    assert "<h2>3. &lt;third&gt;</h2>" in text
    assert '<a href="01_a.svg"><img src="01_a.svg" alt="01_a.svg"></a>' in text
    assert '<a href="02_b.html">02_b.html: a page to play with</a>' in text


def test_nothing_to_open_is_told(run, small: Path, opened: list[str]) -> None:
    (small / "01_first.py").write_text(
        '"""Chapter 1: x.\n\nY.\n"""\nprint("left out: a.png, which needs matplotlib")\n'
    )
    code, _, err = run("1", "--open")
    assert code == 1
    assert "nothing was drawn" in err
    assert opened == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["3"], "there is no chapter 3"),
        (["--open"], "name some, or all"),
        (["-o", "x"], "name some, or all"),
        (["--loud"], "unrecognized arguments: --loud\nusage: scalargrad tour [CHAPTER ...]"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(run, small: Path, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("scalargrad: error: ")
    assert said in err
    assert not (small / "out").exists()


def test_a_folder_that_cannot_be_made_is_told(run, small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out, err = run("1", "-o", str(tmp_path / "file"))
    assert (code, out) == (1, "")
    assert "could not be made" in err


# ---- as a process ----------------------------------------------------------------------------------------------------


def wheel(tmp_path: Path, **more: str) -> dict[str, str]:
    """The package as a wheel installs it, chapters inside and no demos beside it; the surroundings to run it in."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "scalargrad", site / "scalargrad", ignore=shutil.ignore_patterns("__pycache__"))
    chapters_in(site / "scalargrad" / "_tour", **more)
    return {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}


def test_as_a_wheel_has_it(tmp_path: Path) -> None:
    surroundings = wheel(tmp_path)
    shutil.copy(DEMOS / "01_chain_rule.py", tmp_path / "site" / "scalargrad" / "_tour" / "01_first.py")
    (tmp_path / "here").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "scalargrad", "tour", "1"],
        cwd=tmp_path / "here",
        env={**surroundings, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"theta1[1,1]" in done.stdout  # what the terminal cannot show
    assert (tmp_path / "here" / "scalargrad-tour" / "01_onion.svg").stat().st_size > 1000
    assert {p.name for p in (tmp_path / "here").iterdir()} == {"scalargrad-tour"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_chapter_too(tmp_path: Path) -> None:
    waits = '"""Chapter 3: x.\n\nY.\n"""\nimport os, time\nprint(os.getpid(), flush=True)\ntime.sleep(300)\n'
    surroundings = wheel(tmp_path, **{"03_waits": waits})
    running = subprocess.Popen(
        [sys.executable, "-m", "scalargrad", "tour", "3", "-o", str(tmp_path / "out")],
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    child = int(running.stdout.readline())
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors.endswith("scalargrad: error: chapter 3, x: interrupted\n")
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    else:
        raise AssertionError("the chapter still runs")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_in_a_terminal_a_line_tells_how_long_a_chapter_has_run(tmp_path: Path) -> None:
    import pty

    slow = '"""Chapter 3: x.\n\nY.\n"""\nimport time\nprint("one")\ntime.sleep(0.7)\nprint("two")\n'
    surroundings = wheel(tmp_path, **{"03_slow": slow})
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal can be made: {error}")
    done = subprocess.run(
        [sys.executable, "-m", "scalargrad", "tour", "3", "-o", str(tmp_path / "out")],
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, b"one\ntwo\n")
    assert "\r[1/1] chapter 3, x: 0 s" in said
    last = said.rstrip().rpartition("\r")[2]
    assert re.fullmatch(r"\[1/1\] chapter 3, x: [\d.]+ s, 0 pictures in .*", last)
