"""The garbage collector at rest while graphs are recorded: it would walk them again and again, and they have no cycles.

At rest it still looks once in a million new objects, so that neither a long recording nor threads that relieve each
other leave the garbage of others lying.
"""

from __future__ import annotations

import gc
import os
from threading import RLock, get_ident

RARELY = 1_000_000  # new objects from one look at them to the next
_lock = RLock()  # a collection in the midst of it may end contexts
_resting: dict[int, int] = {}  # contexts that are entered, with their threads
_before: tuple[int, int, int] | None = None  # the thresholds to put back


class Resting:
    """A context in which the collector rests, on any thread, until the last of them has ended.

    Then the thresholds are what they were, unless somebody has set others in between. A context whose `with` has ended
    without `__exit__`, by Ctrl-C in the midst of it, ends as well.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        global _before
        with _lock:
            _resting[id(self)] = get_ident()
            first, *others = now = gc.get_threshold()
            if len(_resting) == 1 and 0 < first < RARELY:
                _before = now
                gc.set_threshold(RARELY, *others)

    def __exit__(self, *_: object) -> None:
        if id(self) in _resting:
            with _lock:
                if len(_resting) == 1:
                    _put_back()
                del _resting[id(self)]

    __del__ = __exit__


def _put_back() -> None:
    global _before
    if _before is not None and gc.get_threshold()[0] == RARELY:
        gc.set_threshold(*_before)
    _before = None


def _in_child() -> None:
    """A process that was forked has none of the other threads, which would end their contexts or free the lock."""
    global _lock, _resting
    _lock, own = RLock(), get_ident()
    _resting = {each: thread for each, thread in _resting.items() if thread == own}
    if not _resting:
        _put_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
