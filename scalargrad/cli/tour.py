"""The tour: `scalargrad tour` lists the chapters of `demos/` and runs them.

    scalargrad tour              the list
    scalargrad tour 3            chapter 3
    scalargrad tour 1 4-6        several
    scalargrad tour all --open   all, and then what they drew, in the browser

A chapter is a script that runs alone, so here each is a process of its own, whose text is passed on as it comes. In a
checkout the chapters are those of `demos/`, and their pictures go to `demos/out/`. A wheel has a copy of them in the
package (`pyproject.toml` says so), and the pictures go to `scalargrad-tour/` in the current directory.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from queue import Empty, SimpleQueue
from shutil import get_terminal_size
from tempfile import TemporaryFile
from threading import Thread
from typing import NamedTuple, TextIO

from .terminal import Parser, UsageError, failed, show, shown, write

HERE = Path(__file__).resolve().parent.parent
FOLDERS = (HERE / "_tour", HERE.parent / "demos")  # in a wheel, in a checkout
OUT = "SCALARGRAD_TOUR"  # the variable that says to a chapter where its pictures go
IMAGES = (".svg", ".png")
INTERVAL = 0.2  # seconds between two looks at the clock


class Chapter(NamedTuple):
    number: int
    title: str
    about: str
    path: Path


def find(folders: Iterable[Path] = FOLDERS) -> list[Chapter]:
    """The chapters of the first folder that has any. Raises `UsageError` where none has."""
    tried = []
    for folder in folders:
        if (folder / "lesson.py").is_file() and (paths := sorted(folder.glob("[0-9][0-9]_*.py"))):
            return [_read(path) for path in paths]
        tried.append(str(folder))
    raise UsageError(
        f"the chapters of the tour are not installed: there are none in {' or '.join(tried)}; "
        "install scalargrad again, or clone its repository"
    )


def _read(path: Path) -> Chapter:
    """A chapter's title and its first sentence, from its docstring; the script is not run."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first, _, rest = text.partition("\n\n")
    sentence = " ".join(rest.split()).partition(". ")[0].rstrip(".")
    return Chapter(int(path.name[:2]), first.partition(": ")[2].rstrip("."), f"{sentence}.", path)


def chosen(wanted: Sequence[str], chapters: Sequence[Chapter]) -> list[Chapter]:
    """The chapters that are asked for, by words such as `3`, `4-6` or `all`, in that order, each once."""
    by_number = {chapter.number: chapter for chapter in chapters}
    numbers: list[int] = []
    for word in wanted:
        if word == "all":
            numbers += by_number
            continue
        low, dash, high = word.partition("-")
        if not (low.isdecimal() and (high.isdecimal() if dash else True)):
            raise UsageError(f"{word!r} is no chapter: give a number such as 3, a range such as 4-6, or all")
        asked = range(int(low), int(high or low) + 1)
        if not asked or any(n not in by_number for n in (asked[0], asked[-1])):
            raise UsageError(f"there is no chapter {word}: the chapters are {min(by_number)} to {max(by_number)}")
        numbers += asked
    return [by_number[n] for n in dict.fromkeys(numbers)]


def listed(chapters: Sequence[Chapter], width: int) -> str:
    """The list of chapters, in lines of at most so many columns."""
    column = max(len(chapter.title) for chapter in chapters)
    lines = [f"The tour, in {len(chapters)} chapters:", ""]
    for chapter in chapters:
        about, room = chapter.about, width - column - 6
        if room < 20:
            about = ""
        elif len(about) > room:
            about = about[: room - 1].rpartition(" ")[0].rstrip(",;:") + "…"
        lines.append(f"{chapter.number:3}  {chapter.title:{column}} {about}".rstrip())
    hints = (
        ("scalargrad tour 3", "runs chapter 3; 1 4-6 runs several, and all runs all"),
        ("scalargrad tour 3 --open", "shows what it drew, in the browser"),
    )
    return "\n".join([*lines, "", *(f"{command:26}{what}" for command, what in hints)])


class Progress:
    """One line at the foot of a terminal, rewritten while a chapter computes; nothing where there is no terminal."""

    def __init__(self, text: str, stream: TextIO) -> None:
        self.text, self.stream, self.began, self.length = text, stream, time.monotonic(), 0
        self.alive = stream.isatty()

    def show(self) -> None:
        if self.alive:
            line = shown(f"{self.text}: {time.monotonic() - self.began:.0f} s", self.stream)
            line = line[: get_terminal_size().columns - 1]
            self.stream.write("\r" + line.ljust(self.length))
            self.stream.flush()
            self.length = len(line)

    def clear(self) -> None:
        if self.alive and self.length:
            self.stream.write("\r" + " " * self.length + "\r")
            self.stream.flush()
            self.length = 0


def run(chapter: Chapter, out: Path, progress: Progress) -> tuple[int, str, list[Path]]:
    """Run a chapter and pass on what it prints; returns its exit code, its errors, and the pictures it wrote."""
    # This package and the chapters' own folder, wherever they are, and with PYTHONSAFEPATH, too.
    here = [str(HERE.parent), str(chapter.path.parent), os.environ.get("PYTHONPATH", "")]
    surroundings = {
        **os.environ, OUT: str(out), "PYTHONPATH": os.pathsep.join(filter(None, here)), "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    lines: SimpleQueue[str | None] = SimpleQueue()
    pictures: list[Path] = []
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        child = subprocess.Popen(
            [sys.executable, str(chapter.path)], env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=errors, encoding="utf-8", errors="replace",
        )  # fmt: skip
        with child:
            reader = Thread(target=_pass_on, args=(child.stdout, lines), daemon=True)
            reader.start()
            try:
                while (line := _next(lines, progress)) is not None:
                    write(line, sys.stdout)
                    if line.startswith("picture: "):
                        pictures.append(Path(line.removeprefix("picture: ")))
                code = child.wait()
            finally:
                progress.clear()
                child.terminate()  # if this is interrupted
                reader.join()
        errors.seek(0)
        return code, errors.read(), pictures


def _next(lines: SimpleQueue[str | None], progress: Progress) -> str | None:
    """The next line of a chapter, None after the last; until it comes the progress is shown."""
    while True:
        progress.show()
        try:
            line = lines.get(timeout=INTERVAL)
        except Empty:
            continue
        progress.clear()
        return line


def _pass_on(stream: TextIO, lines: SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line.rstrip("\n"))
    lines.put(None)


def gallery(drawn: Sequence[tuple[Chapter, Sequence[Path]]], out: Path) -> Path:
    """Write a page with all pictures of some chapters, and return it."""
    parts = []
    for chapter, pictures in drawn:
        parts.append(f"<h2>{chapter.number}. {escape(chapter.title)}</h2><p>{escape(chapter.about)}</p>")
        for path in pictures:
            name = escape(path.name)
            inside = f'<img src="{name}" alt="{name}">' if path.suffix in IMAGES else f"{name}: a page to play with"
            parts.append(f'<p><a href="{name}">{inside}</a></p>')
    page = out / "index.html"
    page.write_text(
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        "<title>The tour of scalargrad</title><style>body{max-width:1100px;margin:2em auto;padding:0 1em;"
        "font:16px/1.5 system-ui,sans-serif}img{max-width:100%;height:auto}</style><h1>The tour of scalargrad</h1>\n"
        + "\n".join(parts)
        + "\n</html>\n",
        encoding="utf-8",
    )
    return page


def command_line() -> Parser:
    parser = Parser(
        prog="scalargrad tour",
        usage="scalargrad tour [CHAPTER ...] [--open] [-o FOLDER]",
        description="List the chapters of the tour, or run some of them: a lesson each, with pictures.",
        epilog="A variable called tour is none the less possible: scalargrad tour tour=3 is an expression.",
        allow_abbrev=False,
    )
    parser.add_argument("chapters", metavar="CHAPTER", nargs="*", help="a number, a range such as 4-6, or all")
    parser.add_argument("--open", action="store_true", help="show what they drew in the browser")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="where the pictures go")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the tour; returns the exit code: 0, 2 for wrong arguments, 1 where a chapter fails, 130 after Ctrl-C."""
    try:
        options = command_line().parse_intermixed_args(arguments)
        chapters = find()
        asked = chosen(options.chapters, chapters)
        if not asked and (options.open or options.output):
            raise UsageError("tour: --open and -o are for chapters that are run: name some, or all")
    except UsageError as error:
        return failed(str(error), 2)
    if not asked:
        write(listed(chapters, get_terminal_size((100, 24)).columns), sys.stdout)
        return 0
    usual = chapters[0].path.parent / "out" if chapters[0].path.parent == FOLDERS[1] else Path("scalargrad-tour")
    out = Path(options.output).absolute() if options.output else usual.absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return failed(f"the pictures' folder {str(out)!r} could not be made: {error}", 1)
    drawn: list[tuple[Chapter, list[Path]]] = []
    for k, chapter in enumerate(asked, 1):
        which = f"chapter {chapter.number}, {chapter.title}"
        progress = Progress(f"[{k}/{len(asked)}] {which}", sys.stderr)
        try:
            code, errors, pictures = run(chapter, out, progress)
        except KeyboardInterrupt:
            return failed(f"{which}: interrupted", 130)
        if errors:
            write(errors.rstrip(), sys.stderr)
        if code:
            return failed(f"{which} stopped with an error, printed above ({chapter.path})", 1)
        drawn.append((chapter, pictures))
        seconds, count = time.monotonic() - progress.began, len(pictures)
        done = f"[{k}/{len(asked)}] {which}: {seconds:.1f} s, {count} picture{'s' * (count != 1)} in {out}"
        write(done, sys.stderr)
    if not options.open:
        return 0
    shown_files = [path for _, pictures in drawn for path in pictures]
    if not shown_files:
        return failed("nothing was drawn: what the chapters left out is said above", 1)
    return show(str(shown_files[0] if len(shown_files) == 1 else gallery(drawn, out)))
