"""What the chapters share: `begin`, `tell` and `show` print, `tell` checks its numbers, `picture` and `plot` draw.

A chapter states its numbers in braces and hands over what it computed. A number that is not the one found, to the
digits that are stated, stops the chapter with an error.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from re import findall
from textwrap import dedent, fill, indent

OUT = Path(os.environ.get("SCALARGRAD_TOUR") or Path(__file__).parent / "out")  # `scalargrad tour` says where
OUT.mkdir(parents=True, exist_ok=True)
if isinstance(sys.stdout, TextIOWrapper):
    sys.stdout.reconfigure(errors="replace")  # a terminal that has no θ shows a ? for it


def title(text):
    print(f"\n{text}\n{'=' * len(text)}\n")


def begin(docstring):
    """Print a chapter's docstring: its title, and what it is about."""
    first, _, about = docstring.partition("\n\n")
    number, _, name = first.removeprefix("Chapter ").removesuffix(".").partition(": ")
    title(f"{number}. {name[0].upper()}{name[1:]}")
    tell(about)


def check(said, found):
    """Fail unless `found`, written with as many digits as `said` has, is `said`; a whole number is exactly that."""
    mantissa, e, _ = said.partition("e")
    digits = len(mantissa.partition(".")[2])
    written = f"{found:.{digits}{e or 'f'}}" if e or digits else repr(found)
    assert float(written) == float(said), f"the text says {said}, the computation {found!r}"


def tell(paragraph, found=()):
    """Print a paragraph whose numbers in braces are, in their order, those found."""
    for said, number in zip(findall(r"{(.*?)}", paragraph), found, strict=True):
        check(said, number)
    words = paragraph.replace("{", "").replace("}", "").split()
    print(fill(" ".join(words), 100, break_on_hyphens=False), end="\n\n")


def show(text):
    """Print formulas or a diagram as they stand."""
    print(indent(dedent(text).strip("\n"), "    "), end="\n\n")


def picture(drawing, name):
    """Save a drawing where the chapters' pictures go."""
    drawing.save(OUT / name)
    print(f"picture: {OUT / name}\n")


def plot(name, draw, *what, **options):
    """Save the figure that a function of `scalargrad.plots` draws; without matplotlib, say what is left out."""
    if find_spec("matplotlib") is None:
        print(f"left out: {name}, which needs matplotlib (pip install matplotlib)\n")
        return
    draw(*what, **options, save=OUT / name)
    print(f"picture: {OUT / name}\n")


def c_compiler():
    """The system's compiler, if it has one that works, and whose C library is Python's."""
    for name in ("cc", "gcc", "clang") if os.name == "posix" else ():
        if shutil.which(name) and subprocess.run([name, "--version"], capture_output=True, check=False).returncode == 0:
            return name
    return None
