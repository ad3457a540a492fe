"""The state of models, optimizers, histories and whole trainings: plain data, how it is checked, and its files.

A `state_dict()` is dicts, lists, numbers and text. What is taken over from one is read by the functions `..._at`, which
raise `ValueError` with the place of whatever does not belong there; `within` puts a name before that, a file's or a
class's. Files are JSON, and hold a state to the bit: Python writes the shortest decimal that reads back as the same
float; inf and nan, for which JSON has no number, are written as `{"float": "inf"}`. They are data and nothing else:
reading one runs no code, which a pickle, of anybody's, does. They carry the version of scalargrad that wrote them; one
of another version is read with a warning that says so.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from math import isfinite
from operator import index
from types import MemberDescriptorType, MethodType
from typing import Any

from .engine.primitive import as_float
from .transforms.trees import is_number, shown
from .version import VERSION, is_this

Path = str | os.PathLike[str]
NOT_FINITE = ("inf", "-inf", "nan")

# ---- files -----------------------------------------------------------------------------------------------------------


def write_state(path: Path, expected: str, state: dict[str, Any]) -> None:
    """Write a state, under its format's name, to a file that appears, or replaces the one there, only when complete.

    After an error, or where the power fails, the file is as before. Several threads and processes may write to one
    path: the last one stays. A link stays a link, and permissions stay as they are.
    """
    text = json.dumps(
        {"format": expected, "scalargrad": VERSION, **_encoded(state)}, ensure_ascii=False, separators=(",", ":")
    )
    name = os.path.realpath(path)
    temporary = f"{name}.{os.urandom(8).hex()}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(name):
            shutil.copymode(name, temporary)
        os.replace(temporary, name)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(temporary)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the new name, too, is on the disk then
        directory = os.open(os.path.dirname(name) or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def read_state(path: Path, expected: str) -> dict[str, Any]:
    """Read a file whose `"format"` is as expected; the rest of it. `ValueError` for any other file."""
    with within(os.fspath(path)):
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file, object_pairs_hook=_decoded, parse_float=_finite, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not a JSON file: {error}") from None
        found = data.pop("format", None) if isinstance(data, dict) else None
        if found != expected:
            raise ValueError(f"expected a file of format {expected!r}, got {shown(found)}")
        if (version := data.pop("scalargrad", None)) is not None:  # files of before 0.1.0 have none
            if not isinstance(version, str):
                raise ValueError(f"scalargrad: expected the version that wrote the file, got {shown(version)}")
            is_this(f"{version:.40}", os.fspath(path))
        content: dict[str, Any] = data
        return content


def _encoded(x: Any) -> Any:
    if isinstance(x, float):
        return x if isfinite(x) else {"float": repr(float(x))}
    if isinstance(x, dict):
        return {key: _encoded(each) for key, each in x.items()}
    return list(map(_encoded, x)) if isinstance(x, list | tuple) else x


def _decoded(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for k, (key, _) in enumerate(pairs) if key in dict(pairs[:k]))
        raise ValueError(f"the key {shown(twice)} stands twice in one object")
    return float(found["float"]) if len(found) == 1 and found.get("float") in NOT_FINITE else found


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text:.80} is beyond the range of floats")
    return number


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


@contextmanager
def within(name: str) -> Iterator[None]:
    """Put the name of what is read before its errors, all of which become `ValueError`."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error


# ---- what stands at a place ------------------------------------------------------------------------------------------


def at(place: str, key: object) -> str:
    """The place of what a dict or a list at a place holds."""
    return f"{place}[{key!r:.80}]" if place else f"{key!s:.80}"


def _unexpected(wanted: str, place: str, x: Any) -> ValueError:
    return ValueError(f"expected {wanted}{f' at {place}' if place else ''}, got {shown(x)}")


def number_at(place: str, x: Any) -> float:
    """The number that stands at a place of a state; `ValueError` for anything else.

    >>> number_at("best['value']", 3)
    3.0
    >>> number_at("best['value']", "3")
    Traceback (most recent call last):
    ...
    ValueError: expected a number at best['value'], got '3'
    """
    if not is_number(x):
        raise _unexpected("a number", place, x)
    return as_float(x, place)


def count_at(place: str, x: Any) -> int:
    """The whole number from 0 to 2**53 that stands at a place of a state; `ValueError` for anything else."""
    if type(x) is not int or not 0 <= x <= 2**53:
        raise _unexpected("a whole number from 0 to 2**53", place, x)
    return x


def text_at(place: str, x: Any) -> str:
    """The text that stands at a place of a state; `ValueError` for anything else."""
    if not isinstance(x, str):
        raise _unexpected("text", place, x)
    return x


def list_at(place: str, x: Any, count: int | None = None, each: str = "") -> list[Any]:
    """The list that stands at a place of a state, of so many items if given; `ValueError` for anything else."""
    if not isinstance(x, list | tuple):
        raise _unexpected("a list", place, x)
    if count is not None and len(x) != count:
        raise ValueError(f"expected {count} item(s) at {place}{f', {each}' if each else ''}, got {len(x)}")
    return list(x)


def numbers_at(place: str, x: Any, count: int | None = None, each: str = "") -> list[float]:
    """The list of numbers that stands at a place of a state; `ValueError` for anything else."""
    found = [number_at(at(place, k), n) for k, n in enumerate(list_at(place, x))]
    return list_at(place, found, count, each)


def dict_at(place: str, x: Any, keys: Collection[str] | None = None) -> dict[str, Any]:
    """The dict that stands at a place of a state, with these keys if given; `ValueError` for anything else."""
    if not isinstance(x, dict):
        raise _unexpected("a dict", place, x)
    if keys is not None:
        for key in keys:
            if key not in x:
                raise ValueError(f"missing {at(place, key)}")
        for key in x:
            if key not in keys:
                raise ValueError(f"unknown {at(place, key)}")
    return x


# ---- objects ---------------------------------------------------------------------------------------------------------


def attributes(x: Any) -> dict[str, Any]:
    """An object's attributes by name, those in `__slots__` too.

    >>> class Slotted:
    ...     __slots__ = ("a", "b")
    >>> slotted = Slotted(); slotted.a = 1; attributes(slotted)
    {'a': 1}
    """
    found: dict[str, Any] = getattr(x, "__dict__", {})
    slots = slots_of(type(x))
    return {**found, **{name: getattr(x, name) for name in slots if hasattr(x, name)}} if slots else found


def _slots_of(kind: type) -> tuple[str, ...]:
    members = (member for each in kind.__mro__ for member in vars(each).items())
    return tuple(name for name, x in members if isinstance(x, MemberDescriptorType))


def inside(x: Any) -> list[Any]:
    """What an object refers to: by its attributes; a `partial` by its arguments, a bound method by its object."""
    if isinstance(x, partial):
        return [x.func, *x.args, *x.keywords.values()]
    return [x.__self__, x.__func__] if isinstance(x, MethodType) else list(attributes(x).values())


slots_of: Callable[[type], tuple[str, ...]] = lru_cache(maxsize=1024)(_slots_of)  # what instances have slots for


# ---- arguments -------------------------------------------------------------------------------------------------------


def whole(what: str, n: Any, least: int = 1) -> int:
    """A count that somebody gave, an integer of any type, as an `int`; `ValueError` for anything else.

    >>> whole("fit: epochs", 3), whole("warmup: steps", 0, least=0)
    (3, 0)
    """
    try:
        if (count := index(n)) >= least and not isinstance(n, bool):
            return count
    except TypeError:
        pass
    raise ValueError(f"{what} must be a whole number of at least {least}, got {shown(n)}")


def seed_of(what: str, seed: Any, wanted: str = "an int") -> int:
    """A seed that somebody gave, an integer of any type, as an `int`; `TypeError` for anything else."""
    try:
        return index(seed)
    except TypeError:
        raise TypeError(f"{what} must be {wanted}, got {type(seed).__name__}") from None
