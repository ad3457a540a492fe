"""The arguments of `map`: columns, one sample an entry, and what all samples share, as machine code reads them."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterable, Sequence
from copy import copy
from functools import lru_cache
from itertools import chain, product
from operator import countOf, index
from typing import Any, NamedTuple

from ...engine.primitive import EXACT_INTEGERS, as_float
from ...transforms.trees import LEAF, Structure, container, flatten
from ..backends.machine import array_address
from ..frontend.dispatch import Dispatcher
from ..frontend.packing import Pack, as_floats, is_array, packer


class Part(NamedTuple):
    """An argument, or a part of one: a structure for one sample, with a column or a shared number for each leaf."""

    structure: Structure
    leaves: array[Any]  # numbers; or, for each, the address of the first sample's
    strides: array[int]  # and how many bytes there are to the next sample's
    samples: int | None  # None for what all samples share
    kind: str  # "list", "array", "numpy" or ""
    keep: Sequence[Any]  # what addresses live as long as


_NOTHING: array[int] = array("q")


class _Known(tuple[Any, ...]):
    """A structure that is looked up often: its hash is found once."""

    once: int

    def __hash__(self) -> int:
        return self.once

    def __reduce__(self) -> tuple[Any, ...]:  # another process has other hashes
        return tuple, (tuple(self),)


def address(buffer: array[Any]) -> int:
    return buffer.buffer_info()[0]


def wide(outputs: int) -> int:
    """So many outputs and what fills a vector of eight."""
    return -(-outputs // 8) * 8


def wrapped(address: int) -> int:
    """An address as a signed number, modulo 2^64: with what is added to it in machine code, it is one that there is."""
    return (address + 2**63) % 2**64 - 2**63


def _shared(x: Any, what: str, known: dict[str, tuple[Pack, Structure]]) -> Part:
    """An argument that all samples have; `known` is how it was flattened the last time."""
    if type(x) is array and x.typecode == "d":
        return Part(_flat_list(len(x)), x, _NOTHING, None, "", ())
    kind: Any = type(x)
    of = container(kind)
    if of is not None and is_array(of) and kind is of.kind and x.ndim and x.dtype.char == "d" and x.dtype.isnative:
        return Part((kind, x.shape, x.size), array("d", x.tobytes()), _NOTHING, None, "", ())
    if isinstance(x, array) or (hasattr(x, "tolist") and not hasattr(x, "__array_interface__")):
        x = x.tolist()
    if what in known:
        pack, structure = known[what]
        packed = pack(x)
        if packed is not None:
            return Part(structure, packed, _NOTHING, None, "", ())
    leaves, structure = flatten(x, what, static=True)
    known[what] = (packer(structure), structure)
    return Part(structure, array("d", [as_float(each, what) for each in leaves]), _NOTHING, None, "", ())


@lru_cache(maxsize=256)
def _of_shape(kind: type, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Structure, tuple[int, ...]]:
    """One sample of an array: an array, and how many bytes behind the first each of its numbers is."""
    steps = [[k * stride for k in range(n)] for n, stride in zip(shape, strides, strict=True)]
    offsets = tuple([sum(each) for each in product(*steps)])
    return (kind, shape, len(offsets)) if shape else LEAF, offsets


def _numpy_part(x: Any, axis: int, what: str) -> Part:
    import numpy

    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{what}: in_axes {axis} is not an axis of an array of shape {x.shape}")
    if isinstance(x, numpy.ma.MaskedArray):
        raise TypeError(f"{what}: a masked array, whose mask would be lost; fill it, or leave the masked samples out")
    if x.dtype.kind not in "fiub" or x.dtype.itemsize > 8:
        raise TypeError(f"{what}: dtype {x.dtype} does not convert to float64 without loss; convert it with astype")
    x = numpy.moveaxis(x, axis, 0) if axis else x
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        for place in numpy.argwhere((x > EXACT_INTEGERS) | (x < -EXACT_INTEGERS)).tolist():
            as_float(x[tuple(place)], f"{what}{place}")
    x = x if x.dtype == numpy.float64 else x.astype(numpy.float64)
    structure, offsets = _of_shape(numpy.ndarray, x.shape[1:], x.strides[1:])
    start = array_address(x)
    strides = array("q", x.strides[:1]) * len(offsets)
    return Part(structure, array("q", [start + o for o in offsets]), strides, len(x), "numpy", (x,))


@lru_cache(maxsize=256)
def _flat_list(width: int) -> Structure:
    return (list, None, (LEAF,) * width)


def _rows(values: array[float], structure: Structure, width: int, count: int, kind: str) -> Part:
    start = address(values)
    addresses = array("q", range(start, start + 8 * width, 8))
    return Part(structure, addresses, array("q", [8 * width]) * width, count, kind, (values,))


def _list_part(samples: list[Any], what: str) -> Part:
    """A list with one sample an entry."""
    if not samples:
        return _rows(array("d"), LEAF, 1, 0, "list")
    first = samples[0]
    if isinstance(first, array) or (hasattr(first, "__array_interface__") and first.ndim):
        raise TypeError(
            f"{what}: a list of arrays may be samples or columns: numpy.stack makes an array of samples; a tuple of "
            "arrays is one of columns, each with one entry a sample"
        )
    try:
        if isinstance(first, float | int):
            return _rows(as_floats(samples), LEAF, 1, len(samples), "list")
        if type(first) is list and set(map(type, first)) == {float}:
            width = len(first)
            alike = all(type(each) is list and len(each) == width for each in samples)
            if alike and countOf(map(type, chain.from_iterable(samples)), float) == width * len(samples):
                values = array("d", chain.from_iterable(samples))
                return _rows(values, _flat_list(width), width, len(samples), "list")
    except (TypeError, ValueError, OverflowError):
        pass  # what is no number is found below, with its place
    _, structure = flatten(first, f"{what}[0]")
    values = array("d")
    for k, each in enumerate(samples):
        found, other = flatten(each, f"{what}[{k}]")
        if other != structure:
            raise ValueError(f"{what}: sample {k} has another structure than sample 0")
        values.extend([as_float(x, f"{what}[{k}]") for x in found])
    return _rows(values, structure, len(values) // len(samples), len(samples), "list")


def _mapped(x: Any, axis: int, what: str) -> Part:
    """An argument with one sample an entry: an array, a list, or a tuple or dict of such."""
    if isinstance(x, tuple | dict):
        parts = [
            _mapped(each, axis, f"{what}[{key!r}]")
            for key, each in (x.items() if isinstance(x, dict) else enumerate(x))
        ]
        counts = {part.samples for part in parts}
        if len(counts) > 1:
            raise ValueError(f"{what}: batch lengths differ: {sorted(c for c in counts if c is not None)}")
        children = tuple(part.structure for part in parts)
        structure = (dict, tuple(x), children) if isinstance(x, dict) else (type(x), None, children)
        return Part(
            structure,
            joined(part.leaves for part in parts),
            joined(part.strides for part in parts),
            parts[0].samples if parts else None,
            parts[0].kind if parts else "",
            [each for part in parts for each in part.keep],
        )
    if hasattr(x, "__array_interface__"):
        return _numpy_part(x, axis, what)
    if axis not in (0, -1) or (axis == -1 and isinstance(x, list)):
        raise ValueError(f"{what}: in_axes {axis} needs a NumPy array; a list is mapped along axis 0")
    if isinstance(x, list):
        return _list_part(x, what)
    numbers: Any = None if isinstance(x, bytes | bytearray) else x
    try:
        view = memoryview(numbers)
    except TypeError:
        raise TypeError(
            f"{what}: expected a batch (a list with one sample an entry, an array.array or NumPy array, or a tuple or "
            f"dict of such), got {type(x).__name__}; in_axes=None shares an argument"
        ) from None
    if view.ndim != 1 or view.format not in tuple("dfbBhHiIlLqQ"):
        raise TypeError(
            f"{what}: a buffer of format {view.format!r} and {view.ndim} dimensions; expected one of numbers"
        )
    if isinstance(x, array) and x.typecode == "d":
        return _rows(x, LEAF, 1, len(x), "array")
    values = array("d", [as_float(v, f"{what}[{k}]") for k, v in enumerate(view.tolist())])
    return _rows(values, LEAF, 1, len(values), "array")


def joined(arrays: Iterable[array[Any]], code: str = "q") -> array[Any]:
    made: array[Any] = array(code)
    for each in arrays:
        made += each
    return made


def axes_of(in_axes: Any, count: int) -> list[int | None]:
    """`in_axes` with an entry for each argument."""
    axes = list(in_axes) if isinstance(in_axes, list | tuple) else [in_axes] * count
    if len(axes) != count:
        raise ValueError(f"map: in_axes has {len(axes)} entries for {count} argument(s)")
    for k, axis in enumerate(axes):
        if axis is not None and (not hasattr(axis, "__index__") or isinstance(axis, bool)):
            raise TypeError(f"map: an entry of in_axes is an axis or None, got {axis!r}")
        axes[k] = None if axis is None else index(axis)
    if all(axis is None for axis in axes):
        raise ValueError("map: no argument is mapped; in_axes must name an axis of one at least")
    return axes


class Batch:
    """The arguments of one call of `map`: columns and shared numbers in the order of the leaves."""

    def __init__(self, f: Dispatcher, arguments: Sequence[Any], in_axes: Any, first: int = 0) -> None:
        self.first = first  # the number of the first sample
        axes = axes_of(in_axes, len(arguments))
        for k, name in f.static_positions.items():
            if k < len(axes) and axes[k] is not None:
                raise ValueError(f"map: {name} is static, and so cannot be mapped: its entry of in_axes must be None")
        parts = [
            _shared(x, f"argument {k}", f.shared_arguments) if axis is None else _mapped(x, axis, f"argument {k}")
            for k, (x, axis) in enumerate(zip(f.with_static(arguments), axes, strict=True))
        ]
        mapped = [part for part in parts if part.samples is not None]
        self.count: int = mapped[0].samples or 0
        if any(part.samples != self.count for part in mapped):
            counts = {f"argument {k}": part.samples for k, part in enumerate(parts) if part.samples is not None}
            raise ValueError(f"map: batch lengths differ: {counts}")
        self.kind = "numpy" if any(part.kind == "numpy" for part in mapped) else mapped[0].kind
        shapes = [part.structure for part in parts]
        if f.recent_batch is not None and f.recent_batch[0] == shapes:
            self.structure: Structure = f.recent_batch[1]
        else:
            plain = (tuple, None, ((tuple, None, tuple(shapes)), (dict, (), ())))
            known = _Known(plain)
            known.once = hash(plain)
            self.structure = known
            f.recent_batch = shapes, known
        self.parts = parts
        self.addresses = mapped[0].leaves if len(mapped) == 1 else joined(part.leaves for part in mapped)
        self.strides = mapped[0].strides if len(mapped) == 1 else joined(part.strides for part in mapped)
        shared = [part.leaves for part in parts if part.samples is None]
        self.shared = shared[0] if len(shared) == 1 else joined(shared, "d")
        self.layout = tuple([(part.samples is not None, len(part.leaves)) for part in parts])

    def piece(self, start: int, stop: int) -> Batch:
        """The samples of these numbers alone."""
        made = copy(self)
        at = start - self.first
        made.parts = [
            part
            if part.samples is None
            else part._replace(leaves=array("q", [a + at * s for a, s in zip(part.leaves, part.strides, strict=True)]))
            for part in self.parts
        ]
        made.addresses = joined(part.leaves for part in made.parts if part.samples is not None)
        made.first, made.count = start, stop - start
        return made

    def sample(self, i: int) -> list[float]:
        """The leaves of the sample of that number."""
        i -= self.first
        read = ctypes.c_double.from_address
        leaves: list[float] = []
        for part in self.parts:
            if part.samples is None:
                leaves += part.leaves
            else:
                leaves += [read(a + i * s).value for a, s in zip(part.leaves, part.strides, strict=True)]
        return leaves
