"""JSON files that are whole or not there: what modules are saved to and training is resumed from.

Floats keep all their digits: Python writes the shortest decimal that reads back as the same float. inf and nan, which
JSON has no form for, are written as `Infinity` and `NaN`, as Python's `json` reads and writes them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

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
