"""The README: its examples give what it shows, its commands are those that are checked, its picture is up to date."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_python_examples_give_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^```.*$", "", README, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    assert len(examples.examples) > 10
    runner = doctest.DocTestRunner()
    report: list[str] = []
    runner.run(examples, out=report.append)
    assert runner.failures == 0, "".join(report)
    assert "</svg>" in (tmp_path / "chain.svg").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line]


def test_its_commands_of_scalargrad_work(tmp_path: Path) -> None:
    calls = [line[line.index("scalargrad ") :] for line in commands() if "scalargrad " in line]
    assert len(calls) >= 2
    for call in calls:
        words = shlex.split(call)[1:]
        done = subprocess.run(
            [sys.executable, "-m", "scalargrad", *words], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        assert "∂" in done.stdout
    assert (tmp_path / "chain.svg").exists()


def test_the_two_commands_are_those_of_the_checks() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    first, second = (line for line in commands() if "venv" in line)
    assert shlex.split(first)[-3:] == ["b=0.25", "-o", "chain.svg"]
    assert 'install -q -e ".[test]"' in second
    assert 'install -q -e ".[$extras]"' in script
    assert "extras=test\n" in script
    assert first[first.index("sigmoid") :] in script.replace('scalargrad" "', "")


def test_modules_that_it_names_exist() -> None:
    named = set(re.findall(r"python -m (tests[\w.]*)", README))
    assert named >= {"tests.accuracy", "tests.benchmarks.workload1"}
    for module in named:
        assert importlib.util.find_spec(module) is not None


def test_files_that_it_links_exist() -> None:
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_files_that_the_guide_for_contributors_names_exist() -> None:
    """A file without a folder stands beside one that was named before it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w./]+(?:\.(?:py|txt|md)|/))`", text)
    assert len(named) > 25
    folder = ROOT
    for name in named:
        if (ROOT / name).exists():
            folder = (ROOT / name).parent
        else:
            assert (folder / name).exists() or (ROOT / "scalargrad" / name).exists(), name
    for module in re.findall(r"python -m (tests[\w.]*)", text):
        assert importlib.util.find_spec(module) is not None


def shown(svg: str) -> list[str]:
    """The texts of a picture, in whatever order its layout has put them."""
    return sorted(re.findall(r"<text[^>]*>([^<]*)", svg))


def test_its_picture_is_what_its_command_draws(tmp_path: Path) -> None:
    first = next(line for line in commands() if "-o chain.svg" in line)
    words = shlex.split(first[first.index("scalargrad ") :])[1:]
    subprocess.run([sys.executable, "-m", "scalargrad", *words], cwd=tmp_path, check=True, capture_output=True)
    drawn = (tmp_path / "chain.svg").read_text(encoding="utf-8")
    kept = (ROOT / "demos" / "chain.svg").read_text(encoding="utf-8")
    assert shown(drawn) == shown(kept)
    assert len(shown(kept)) > 20
