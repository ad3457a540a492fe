"""The state of models, optimizers, histories and whole trainings: plain data, how it is checked, and its files.

A `state_dict()` is dicts, lists, numbers and text. What is taken over from one is read by `read_at`, which raises
`ValueError` with the place of whatever does not belong there; `within` puts a name before that, a file's or a class's.
Files are JSON, and hold a state to the bit: Python writes the shortest decimal that reads back as the same float; inf
and nan, for which JSON has no number, are written as `{"float": "inf"}`. They are data, and reading one runs no code,
as reading a pickle does. They carry the version of scalargrad that wrote them; another one is read with a warning.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from itertools import repeat
from math import isfinite
from operator import index
from types import MemberDescriptorType, MethodType
from typing import Any, NamedTuple

from .engine.primitive import as_float
from .transforms.trees import is_number, shown
from .version import VERSION, is_this

Path = str | os.PathLike[str]
NOT_FINITE = ("inf", "-inf", "nan")


def write_state(path: Path, expected: str, state: dict[str, Any]) -> None:
    """Write a state, under its format's name, to a file that appears, or replaces the one there, only when complete.

    After an error, or where the power fails, the file is as before. Several threads and processes may write to one
    path: the last one stays. A link stays a link, and permissions stay as they are.
    """
    content = {"format": expected, "scalargrad": VERSION, **_encoded(state)}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
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


def at(place: str, key: object) -> str:
    """The place of what a dict or a list at a place holds."""
    return f"{place}[{key!r:.80}]" if place else f"{key!s:.80}"


ANY = object()


class Maybe(NamedTuple):
    """For `read_at`: null, or what is like this."""

    like: Any


class Each(NamedTuple):
    """For `read_at`: a list of so many things like this; `what` says which thing is whose."""

    like: Any
    times: int
    what: str


def read_at(place: str, x: Any, like: Any) -> Any:
    """What stands at a place of a state, if it is like an example; `ValueError` for anything else.

    A number is like any float, a whole number from 0 to 2**53 like any int, text like any other. A list is like one of
    as many things, and a dict like one of the same keys, if all in them is alike; everything is like `ANY`.

    >>> read_at("best", {"value": 3, "weights": [1, 0.5]}, {"value": 0.0, "weights": [0.0, 0.0]})
    {'value': 3.0, 'weights': [1.0, 0.5]}
    """
    if like is ANY or (isinstance(like, Maybe) and x is None):
        return x
    if isinstance(like, Maybe):
        return read_at(place, x, like.like)
    kind = list if isinstance(like, Each) else type(like)
    wanted, known = _KINDS[kind]
    if not known(x):
        raise ValueError(f"expected {wanted}{f' at {place}' if place else ''}, got {shown(x)}")
    if kind is dict:
        for key in (*like, *x):
            if key not in x or key not in like:
                raise ValueError(f"{'unknown' if key in x else 'missing'} {at(place, key)}")
        return {key: read_at(at(place, key), x[key], each) for key, each in like.items()}
    if kind is list:
        likes, count, what = (repeat(like.like), *like[1:]) if isinstance(like, Each) else (like, len(like), "")
        found = [read_at(at(place, k), y, each) for k, (y, each) in enumerate(zip(x, likes, strict=False))]
        if len(x) != count:
            raise ValueError(f"expected {count} item(s) at {place}{what and f', {what}'}, got {len(x)}")
        return found
    return as_float(x, place) if kind is float else x


_KINDS: dict[type, tuple[str, Callable[[Any], bool]]] = {
    float: ("a number", is_number),
    int: ("a whole number from 0 to 2**53", lambda x: type(x) is int and 0 <= x <= 2**53),
    str: ("text", lambda x: isinstance(x, str)),
    type(None): ("null", lambda x: x is None),
    list: ("a list", lambda x: isinstance(x, list | tuple)),
    dict: ("a dict", lambda x: isinstance(x, dict)),
}


def load_all(parts: Iterable[tuple[Callable[[], Any], Callable[[Any], Any], Any]]) -> None:
    """Load several states, each given with how to save and load one there; after an error, all are as before."""
    done: list[tuple[Callable[[Any], Any], Any]] = []
    try:
        for save, load, state in parts:
            done.append((load, save()))
            load(state)
    except Exception:
        for load, before in reversed(done):
            load(before)
        raise


def attributes(x: Any) -> dict[str, Any]:
    """An object's attributes by name, those in `__slots__` too."""
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


def whole(what: str, n: Any, least: int = 1) -> int:
    """A count that somebody gave, an integer of any type, as an `int`; `ValueError` for anything else."""
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
