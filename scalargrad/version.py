"""The version, on the lowest floor, so that every room can state it."""

import warnings
from typing import Any

VERSION = "0.1.0"


def is_this(version: Any, what: str) -> bool:
    """Whether a pickle or a file was written by this version; if not, a warning says by which."""
    if version == VERSION:
        return True
    warnings.warn(f"{what} was written by scalargrad {version}, and is read by {VERSION}", stacklevel=3)
    return False
