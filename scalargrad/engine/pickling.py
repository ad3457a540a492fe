"""Graphs in copies and pickles, of any depth, with shared nodes kept shared.

A pickler saves what an object refers to by recursion, which a deep graph would overflow. So a value is saved behind a
list of the nodes that it was computed from, operands first: by the time the pickler comes to a node, it knows its
operands. While it works through such a list, the nodes of the list are saved as they are; anywhere else a node brings
a list along, of the nodes that this pickler has not met yet. The pickler's memo keeps shared nodes shared.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import local as thread_local
from typing import Any
from weakref import ref

from ..version import VERSION
from .chain_rule import order_unseen

Node = Any


def unseen_first(node: Node, memo: dict[Any, Any]) -> list[Node]:
    """The nodes that a deep copy with this memo has not met yet, operands first, up to the node itself."""
    return order_unseen((node,), memo.setdefault("scalargrad", set()))[::-1]


class _Saved:
    """The nodes that one pickler has saved. Only the pickler's memo holds it: it dies with the pickler."""

    __slots__ = ("__weakref__", "foreign", "fresh", "listed", "nodes")

    def __init__(self) -> None:
        self.nodes: set[Node] = set()
        self.listed: set[Node] = set()  # the nodes of the list that is being saved now
        self.fresh = True
        self.foreign = False

    def __reduce__(self) -> Any:
        """Called once by each pickler that meets it: the second one is another than the one it belongs to."""
        self.foreign = not self.fresh
        self.fresh = False
        return bool, ()


class _Before:
    """What is saved ahead of a node: which nodes, is decided only when the pickler has met the `_Saved` given with
    it."""

    __slots__ = ("node", "saved")

    def __init__(self, node: Node, saved: _Saved | None) -> None:
        self.node, self.saved = node, saved

    def __reduce__(self) -> Any:
        saved = self.saved
        if saved is None or saved.foreign:
            saved = _Saved()
            _thread.saved = ref(saved)
        nodes = order_unseen((self.node,), saved.nodes)[:0:-1]
        saved.listed = set(nodes)
        return list, ([saved, *nodes, _End(saved)],)


class _End:
    """The end of a list of nodes."""

    __slots__ = ("saved",)

    def __init__(self, saved: _Saved) -> None:
        self.saved = saved

    def __reduce__(self) -> Any:
        self.saved.listed = set()
        return bool, ()


_thread = thread_local()


def reduce(node: Node, restore: Callable[..., Node], state: tuple[Any, ...]) -> Any:
    """What `__reduce_ex__` returns for a node whose own state is given."""
    arguments = (node.operation, node._a, node._b, *state)
    saved = _thread.saved() if hasattr(_thread, "saved") else None
    if not node.parents:
        return restore, (VERSION, *arguments)
    if saved is not None and node in saved.listed and not saved.foreign:
        return restore, (saved, *arguments)  # which another pickler than its own takes notice of
    return restore, ((saved, _Before(node, saved)), *arguments)
