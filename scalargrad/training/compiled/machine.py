"""Whether machine code can be made here for a whole batch, and whether at once."""

from __future__ import annotations

from ...compiler.backends import native


def available() -> bool:
    """Whether it can be made."""
    return native.available(batches=True)


def at_once() -> bool:
    """Whether that takes no LLVM."""
    return native.at_once(batches=True)
