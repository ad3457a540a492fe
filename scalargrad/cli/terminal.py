"""Terminals: what is printed, in what the terminal can show, how errors are told, and the browser beside it.

This stands apart from the command line, which says what is printed, because the tour prints in the same way.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn, TextIO

# Where a terminal cannot show the signs on the left.
IN_ASCII = {
    "∂²": "d2",
    "∂": "d",
    "×": "*",
    "·": "*",
    "→": "->",
    "²": "^2",
    "³": "^3",
    "′": "'",
    "√": "sqrt",
    "≤": "<=",
}


class UsageError(ValueError):
    """What was given on the command line is wrong: told on stderr, with exit code 2."""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in the form of every other error."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}\ntry '{self.prog} --help' for more")

    def print_help(self, file: Any = None) -> None:
        tell(self.format_help().rstrip(), file or sys.stdout)


def shown(text: str, stream: TextIO) -> str:
    """The text, in what the stream's encoding has."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        "".join(IN_ASCII).encode(encoding)
    except UnicodeEncodeError:
        for sign, instead in IN_ASCII.items():
            text = text.replace(sign, instead)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def tell(text: str, stream: TextIO) -> None:
    """Print; whoever reads may stop reading, as `head` does."""
    try:
        print(shown(text, stream), file=stream, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what is left in the buffer goes there
        if not isinstance(error, BrokenPipeError):
            raise


def failed(message: str, code: int) -> int:
    tell(f"scalargrad: error: {message}", sys.stderr)
    return code


def show(file: str) -> int:
    """Open a file in the browser; returns the exit code."""
    import webbrowser
    from pathlib import Path

    try:
        if webbrowser.open(Path(file).resolve().as_uri()):
            return 0
        reason = "there is none, or $BROWSER names none"
    except (webbrowser.Error, OSError) as error:
        reason = str(error)
    return failed(f"no browser could be opened ({reason}); the picture is {file!r}", 1)
