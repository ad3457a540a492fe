"""Terminals: text in what the terminal can show, errors, and the browser beside it; for expressions and the tour."""

from __future__ import annotations

import argparse
import os
import sys
import unicodedata
import webbrowser
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TextIO

# Where a terminal cannot show the signs on the left.
IN_ASCII = {
    "∂²": "d2", "∂": "d", "×": "*", "·": "*", "→": "->", "²": "^2", "³": "^3", "′": "'", "√": "sqrt", "≤": "<=",
}  # fmt: skip


class UsageError(ValueError):
    """What was given on the command line is wrong: it is printed on stderr, with exit code 2."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in the form of every other error."""

    def error(self, message: str) -> NoReturn:
        before, _, unknown = message.partition("unrecognized arguments: ")
        if not before and (near := get_close_matches(unknown.partition(" ")[0], self._option_string_actions, 1)):
            message += f"; did you mean {near[0]}?"
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}\ntry '{self.prog} --help' for more")

    def print_help(self, file: Any = None) -> None:
        write(self.format_help().rstrip(), file or sys.stdout)


def shown(text: str, stream: TextIO) -> str:
    """The text, in what the stream's encoding has."""
    if text.isascii():
        return text
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if not _encodes("".join(IN_ASCII), encoding):
        for sign, instead in IN_ASCII.items():
            text = text.replace(sign, instead)
    return text if _encodes(text, encoding) else "".join([c if _encodes(c, encoding) else _in_ascii(c) for c in text])


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _in_ascii(c: str) -> str:
    """A letter that cannot be shown: a Greek one by its name, any other by its number."""
    words = unicodedata.name(c, "").split()
    if words[:1] == ["GREEK"] and words[2:3] == ["LETTER"] and len(words) == 4:
        return words[3].lower() if words[1] == "SMALL" else words[3].capitalize()
    return c.encode("ascii", "backslashreplace").decode()


def given_text(argument: str) -> str:
    """An argument as it was typed, where Python has taken UTF-8 for ASCII: in the C locale."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(argument).decode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # no bytes that were typed
            return argument
    return argument


def write(text: str, stream: TextIO) -> None:
    """Print; whoever reads may stop reading, as `head` does."""
    try:
        print(shown(text, stream), file=stream, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what is left in the buffer goes there
        if not isinstance(error, BrokenPipeError):
            raise


def failed(message: str, code: int) -> int:
    write(f"scalargrad: error: {message}", sys.stderr)
    return code


def show(file: str) -> int:
    """Open a file in the browser; returns the exit code."""
    try:
        if webbrowser.open(Path(file).resolve().as_uri()):
            return 0
        reason = "there is none, or $BROWSER names none"
    except (webbrowser.Error, OSError) as error:
        reason = str(error)
    return failed(f"no browser could be opened ({reason}); the picture is {file!r}", 1)
