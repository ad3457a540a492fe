"""Where a batch's samples come from, piece by piece: in memory, in a file that is mapped, or a Dask array.

What is in memory is cut where the work is given out, and its pieces are sent. Of a file, and of a Dask array, only what
says where a piece is: the worker reads it. Nothing is gathered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple


class FilePiece(NamedTuple):
    """A piece of an array in a file: what an array of NumPy says of itself, the file's size, and some of its bytes."""

    path: str
    size: int
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    some: bytes

    def load(self) -> Any:
        import numpy

        try:
            found = os.stat(self.path).st_size
        except OSError as error:
            raise ValueError(f"map: the worker cannot read {self.path}, in which the samples are: {error}") from None
        if found != self.size:
            raise ValueError(f"map: {self.path} has {found} bytes on the worker, and {self.size} where map was called")
        whole = numpy.memmap(self.path, numpy.uint8, mode="r")
        piece = numpy.ndarray(self.shape, numpy.dtype(self.dtype), whole, self.offset, self.strides)
        if _some(piece) != self.some:
            raise ValueError(f"map: {self.path} holds other numbers on the worker than the memmap that map was given")
        return piece


class DaskPiece(NamedTuple):
    """A piece of a Dask array, with the part of its graph that computes it."""

    array: Any

    def load(self) -> Any:
        return self.array.compute(scheduler="synchronous")


def loaded(piece: Any) -> Any:
    """The samples of a piece, where they are to be worked on."""
    if isinstance(piece, FilePiece | DaskPiece):
        return piece.load()
    if type(piece) is tuple:
        return tuple(map(loaded, piece))
    return {key: loaded(each) for key, each in piece.items()} if type(piece) is dict else piece


def is_dask(x: Any) -> bool:
    """Whether it is a Dask array, or holds one."""
    if isinstance(x, tuple | dict):
        return any(map(is_dask, x.values() if isinstance(x, dict) else x))
    dask: Any = sys.modules.get("dask.array")
    return dask is not None and isinstance(x, dask.Array)


def length(x: Any, axis: int, what: str) -> int:
    """How many samples an argument has."""
    if isinstance(x, tuple | dict):
        items = x.items() if isinstance(x, dict) else enumerate(x)
        found = {f"{what}[{key!r}]": length(each, axis, f"{what}[{key!r}]") for key, each in items}
        if len(set(found.values())) != 1:
            raise ValueError(f"map: batch lengths differ: {found}" if found else f"{what}: nothing in it to be mapped")
        return next(iter(found.values()))
    if hasattr(x, "ndim") and hasattr(x, "shape"):
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"{what}: in_axes {axis} is not an axis of an array of shape {x.shape}")
        if x.shape[axis] != x.shape[axis]:
            raise ValueError(f"{what}: a Dask array of unknown length: have it found by compute_chunk_sizes()")
        return int(x.shape[axis])
    try:
        return len(x)
    except TypeError:
        raise TypeError(f"{what}: expected a batch, got {type(x).__name__}; in_axes=None shares an argument") from None


def natural_cuts(mapped: Sequence[tuple[Any, int]]) -> list[int] | None:
    """Where the blocks of the first Dask array end; None if there is none."""
    for x, axis in mapped:
        for each in (x.values() if isinstance(x, dict) else x) if isinstance(x, tuple | dict) else (x,):
            if is_dask(each):
                sizes = each.chunks[axis]
                return [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    return None


def cut(x: Any, axis: int, first: int, stop: int, cluster: bool, apart: bool) -> Any:
    """The samples `first` to `stop - 1`, as a piece; `apart` says that the worker is in another process.

    `cluster` says that it is Dask's, which hands over what it holds itself.
    """
    if isinstance(x, tuple | dict):
        items = x.items() if isinstance(x, dict) else enumerate(x)
        pieces = {key: cut(each, axis, first, stop, cluster, apart) for key, each in items}
        return pieces if isinstance(x, dict) else tuple(pieces.values())
    if is_dask(x):
        part = x[(slice(None),) * (axis % x.ndim) + (slice(first, stop),)]
        held = _futures(part)
        if not held:
            return DaskPiece(part)
        future = held[0].client.compute(part)
        return future if cluster else future.result()
    if hasattr(x, "ndim"):
        part = x[(slice(None),) * (axis % x.ndim) + (slice(first, stop),)]
        return (_in_file(part) if apart else None) or part
    return x[first:stop]


def _futures(part: Any) -> Any:
    """Those that a Dask array waits for: its blocks are on the cluster."""
    distributed: Any = sys.modules.get("distributed")
    return [] if distributed is None else distributed.futures_of(part)


def _some(x: Any) -> bytes:
    """The first, the middle and the last number of an array."""
    return x.flat[[0, x.size // 2, -1]].tobytes() if x.size else b""


def _in_file(x: Any) -> FilePiece | None:
    """The piece of a file that an array is, if it is one: a memmap, or a view of one, that is no private copy."""
    import numpy

    root: Any = x
    while type(root) in (numpy.ndarray, numpy.memmap) and isinstance(root.base, numpy.ndarray):
        root = root.base
    if type(x) not in (numpy.ndarray, numpy.memmap) or type(root) is not numpy.memmap:
        return None
    if root.filename is None or root.mode == "c":
        return None
    if root.mode != "r":
        root.flush()
    at = root.offset + x.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    path = os.path.abspath(root.filename)
    return FilePiece(path, os.stat(path).st_size, x.dtype.str, at, x.shape, x.strides, _some(x))
