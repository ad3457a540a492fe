"""Compiled functions among users' own objects, names and systems: what is taken, what is refused, and what is done without."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest

import scalargrad as sg


class Floatlike:
    """An object that `float` converts, and that is no number."""

    def __float__(self) -> float:
        return 1.5


class Indexlike:
    def __index__(self) -> int:
        return 2


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [Floatlike(), Indexlike()])
def test_what_is_no_number_is_refused_whatever_came_before(wrong: Any) -> None:
    f = sg.compile(lambda x, y: x * y)
    nested = sg.compile(lambda v, s: v["a"] * s + v["b"])
    for _ in range(2):
        for arguments in ((wrong, 1.0), (1.0, wrong), (1, wrong)):
            with pytest.raises(TypeError, match=r"^[xy]: expected a real number, got (Float|Index)like"):
                f(*arguments)
        with pytest.raises(TypeError, match=r"^v\['b'\]: expected a real number"):
            nested({"a": 1.0, "b": wrong}, 2.0)
        assert f(2.0, 3) == 6.0  # after which arguments of this structure are flattened by source made for it
        assert nested({"a": 1.0, "b": 2}, 3.0) == 5.0


@pytest.mark.parametrize("first", [1.0, 1, True, Floatlike()])
@pytest.mark.parametrize("wrong", [Floatlike(), Indexlike()])
def test_mapped_lists_refuse_what_is_no_number_with_its_place(first: Any, wrong: Any) -> None:
    k = 0 if isinstance(first, Floatlike) else 1
    f = sg.compile(lambda x: 2.0 * x)
    with pytest.raises(TypeError, match=rf"argument 0\[{k}\]: expected a real number"):
        f.map([first, wrong])
    g = sg.compile(lambda v: v[0] * v[1])
    with pytest.raises(TypeError, match=rf"argument 0\[{k}\]: expected a real number"):
        g.map([[1.0, first], [wrong, 1.0]])
    with pytest.raises(TypeError, match="argument 0: expected a real number"):
        sg.compile(lambda v, x: v[1] * x).map([first, wrong], [1.0], in_axes=(None, 0))


def test_an_integer_that_no_float_equals_is_refused_by_calls_lists_and_arrays_alike() -> None:
    f = sg.compile(lambda x: 2.0 * x)
    assert f(2.0) == 4.0
    wrong = 2**53 + 1
    with pytest.raises(ValueError, match=f"^x: no float equals the integer {wrong}; "):
        f(wrong)
    for batch in (
        [1.0, wrong], [1, wrong], array("q", [1, wrong]), array("Q", [1, wrong]),
        np.array([1, wrong]), np.array([1, wrong], dtype="u8"), np.array([0, 1, 0, wrong])[1::2],
    ):  # fmt: skip
        with pytest.raises(ValueError, match=rf"^argument 0\[1\]: no float equals the integer {wrong}; "):
            f.map(batch)
    g = sg.compile(lambda v: v[0] * v[1])
    with pytest.raises(ValueError, match=rf"^argument 0\[1, 0\]: no float equals the integer {-wrong}; "):
        g.map(np.array([[1, 2], [-wrong, 4]]))
    with pytest.raises(ValueError, match=rf"^argument 0\[1\]: no float equals the integer {wrong}; "):
        g.map([[1.0, 2.0], [wrong, 4.0]])


def test_integers_that_floats_equal_are_taken_however_large() -> None:
    f = sg.compile(lambda x: 0.5 * x)
    exact = [2**60, -(2**61), 2**53 + 2, 2**62 + 2**10]
    expected = [0.5 * x for x in exact]
    for _ in range(2):
        assert list(map(f, exact)) == expected
    for batch in (exact, array("q", exact), np.array(exact)):
        assert list(f.map(batch)) == expected
    assert list(f.map(np.array([2**63], dtype="u8"))) == [2.0**62]
