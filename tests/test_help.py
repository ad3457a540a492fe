"""What `help(scalargrad)` lists, and what a star import takes from Python: nothing."""

from __future__ import annotations

import builtins
import pydoc
import re
from typing import Any

import pytest

import scalargrad
from scalargrad.testing import check_grads

PAGE = scalargrad.__doc__ or ""
LISTED = PAGE[PAGE.index("Values and derivatives\n") :]
SECTIONS = re.split(r"\n\n", LISTED)


def test_help_begins_with_the_names_by_purpose() -> None:
    text = pydoc.render_doc(scalargrad, renderer=pydoc.plaintext)
    assert [section.partition("\n")[0].partition(" (")[0].partition(",")[0] for section in SECTIONS] == [
        "Values and derivatives",
        "Functions",
        "Loops and solutions",
        "Networks",
        "Training",
        "Drawing",
        "Testing",
        "Compiling",
    ]
    assert text.index("Compiling") < text.index("PACKAGE CONTENTS")


@pytest.mark.parametrize("name", sorted({*scalargrad.__all__, *scalargrad.BUILTINS}))
def test_every_public_name_is_listed(name: str) -> None:
    where = re.sub(r"^    scalargrad\..*(\n {8}.*)*", "", LISTED, flags=re.MULTILINE)
    assert re.search(rf"\b{name}\b", where), f"{name}: not in the docstring of scalargrad/__init__.py"


@pytest.mark.parametrize("room", scalargrad.ROOMS)
def test_every_room_is_listed_with_its_names_and_no_others(room: str) -> None:
    entry = re.search(rf"^    scalargrad\.{room} +(.*(\n {{8}}.*)*)", LISTED, flags=re.MULTILINE)
    assert entry, f"{room}: not in the docstring of scalargrad/__init__.py"
    public = set(getattr(scalargrad, room).__all__)
    words = set(re.findall(r"\w+", entry[1]))
    missing = public - words - {name for name in scalargrad.__all__ if room == "drawing"}
    assert missing - {"NetworkDrawing"} == set(), f"{room}: in its __all__, not in the docstring of scalargrad"
    named = {word for word in words if re.search(r"[A-Z_]", word)}  # the others may be plain words
    assert {name for name in named if not hasattr(getattr(scalargrad, room), name)} <= {"Value", "Findings"}


def test_a_star_import_takes_no_name_from_python() -> None:
    names: dict[str, object] = {}
    exec("from scalargrad import *", names)
    assert not {name for name in names if hasattr(builtins, name)} - {"__doc__", "__name__"}
    exec(
        "found = (max([3, -4], key=abs), [*range(max(3, 2))], [0] * abs(-2), pow(2, 3, 5), sum([10**20, 1]),"
        " min([], default=0), round(2.5), eval(compile('1 + 1', '', 'eval')))",
        names,
    )
    assert names["found"] == (-4, [0, 1, 2], [0, 0], 3, 10**20 + 1, 0, 2, 2)


def test_builtins_names_stay_attributes() -> None:
    assert {name for name in dir(scalargrad) if hasattr(builtins, name)} == set(scalargrad.BUILTINS)
    x = scalargrad.Value(2.0)
    y = scalargrad.max(x, 2.0)
    y.backward()
    assert x.grad == 0.5
    assert scalargrad.compile is scalargrad.compiler.compile


class Index:
    """What is an integer by `__index__` alone."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __index__(self) -> int:
        return self.n

    def __lt__(self, other: int) -> bool:
        return self.n < other

    def __ge__(self, other: int) -> bool:
        return self.n >= other


def test_integers_of_any_type_are_counts_axes_and_positions() -> None:
    one, two = Index(1), Index(2)
    fast = scalargrad.compile(lambda x, y: x * y, backend="python", max_traces=two)  # type: ignore[call-overload]
    axes: Any = (Index(0), None)
    assert fast.map([1.0, 2.0], 3.0, in_axes=axes, threads=one) == [3.0, 6.0]
    assert fast.map([1.0, 2.0], [3.0, 4.0], in_axes=Index(0)) == [3.0, 8.0]  # type: ignore[arg-type]
    y = scalargrad.Value(2.0, label="x") * 3.0
    assert str(y.draw(depth=one)) == str(y.draw(focus=y, hops=one)) == str(y.draw())
    report = check_grads(lambda x, y: x * y, (2.0, 3.0), argnums=one, order=two)  # type: ignore[arg-type]
    assert str(report) == str(check_grads(lambda x, y: x * y, (2.0, 3.0), argnums=1, order=2))
    for wrong in (True, 1.5, "2", None):
        with pytest.raises(ValueError, match="threads must be a whole number"):
            fast.map([1.0], [2.0], threads=wrong)  # type: ignore[arg-type]
