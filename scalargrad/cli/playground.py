"""`scalargrad playground`: the page in which a network is trained, written and opened in the browser."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from ..drawing.common.style import THEMES
from ..drawing.playground import Playground
from .terminal import Parser, UsageError, failed, show, write


def command_line() -> Parser:
    parser = Parser(
        prog="scalargrad playground",
        usage="scalargrad playground [-o FILE] [--no-open] [--theme THEME]",
        description="Write the page that trains a network on points of the plane, and open it in the browser.",
        epilog="With recorded trainings beside it, the page is that of chapter 8: scalargrad tour 8 --open. "
        "A variable called playground is none the less possible: scalargrad playground playground=3 is an expression.",
        allow_abbrev=False,
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where the page goes, such as page.html; else temporary")
    parser.add_argument("--no-open", action="store_true", help="only write the page, for which -o is needed")
    parser.add_argument("--theme", choices=THEMES, default="auto", help="the page's colours")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Write and open the page; returns the exit code: 0, 2 for wrong arguments, 1 where it cannot be written."""
    try:
        options = command_line().parse_args(arguments)
        if options.no_open and not options.output:
            raise UsageError("playground: --no-open leaves nothing to do without -o FILE")
        if options.output and Path(options.output).suffix.lower() != ".html":
            raise UsageError(f"playground: the page is a file with the suffix .html, got {options.output!r}")
    except UsageError as error:
        return failed(str(error), 2)
    file = options.output or str(Path(mkdtemp(prefix="scalargrad-"), "playground.html"))
    try:
        Playground(live=True, title="Playground", theme=options.theme).save(file)
    except OSError as error:
        return failed(f"{file!r} could not be written: {error}", 1)
    write(f"wrote {file}", sys.stdout)
    return 0 if options.no_open else show(file)
