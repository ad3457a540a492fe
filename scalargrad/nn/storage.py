"""JSON files that are whole or not there: what modules are saved to and training is resumed from.

Floats keep all their digits: Python writes the shortest decimal that reads back as the same float. inf and nan, which
JSON has no form for, are written as `Infinity` and `NaN`, as Python's `json` reads and writes them.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from ..engine.trees import is_number, shown

Path = str | os.PathLike[str]


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write data to a file that appears, or replaces the one there, only when it is complete and on the disk."""
    import json  # neither needed nor paid for where nothing is saved

    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    temporary = f"{os.fspath(path)}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def read_json(path: Path, expected: str) -> dict[str, Any]:
    """Read a file whose `"format"` is as expected; the rest of it. `ValueError` for any other file."""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)}: not a JSON file: {error}") from None
    found = data.pop("format", None) if isinstance(data, dict) else None
    if found != expected:
        raise ValueError(f"{os.fspath(path)}: expected a file of format {expected!r}, got {found!r}")
    content: dict[str, Any] = data
    return content


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
        raise ValueError(f"expected a number at {place}, got {shown(x)}")
    return float(x)


def numbers_at(place: str, x: Any) -> list[float]:
    """The list of numbers that stands at a place of a state; `ValueError` for anything else."""
    if not isinstance(x, list):
        raise ValueError(f"expected a list at {place}, got {shown(x)}")
    return [number_at(f"{place}[{k}]", each) for k, each in enumerate(x)]


def count_at(place: str, x: Any) -> int:
    """The whole number from 0 to 2**53 that stands at a place of a state; `ValueError` for anything else."""
    if type(x) is not int or not 0 <= x <= 2**53:
        raise ValueError(f"expected a whole number from 0 to 2**53 at {place}, got {shown(x)}")
    return x


def dict_at(place: str, x: Any, keys: Collection[str] | None = None) -> dict[str, Any]:
    """The dict that stands at a place of a state, with these keys if given; `ValueError` for anything else."""
    if not isinstance(x, dict):
        raise ValueError(f"expected a dict at {place}, got {shown(x)}")
    if keys is not None:
        for key in keys:
            if key not in x:
                raise ValueError(f"missing {place}[{key!r}]")
        for key in x:
            if key not in keys:
                raise ValueError(f"unknown {place}[{key!r:.80}]")
    return x
