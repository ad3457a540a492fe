"""Arguments to flat numbers and back, at the speed of slices: source generated for one structure.

`trees.py` finds out what a structure is; here it is known, and only has to be checked: what a compiled function spends
around a short program is mostly this.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from operator import countOf
from struct import Struct
from typing import Any

from ...engine.primitive import as_float
from ...transforms.trees import LEAF, Container, Static, Structure, container

Pack = Callable[[Any], "array[float] | None"]
Unpack = Callable[[Sequence[float]], Any]
Call = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def as_floats(xs: Sequence[Any]) -> array[float]:
    """Numbers as floats, taken and refused by the rule of `as_float`; alone, `array` takes whatever has `__float__`."""
    return array("d", xs if countOf(map(type, xs), float) == len(xs) else map(as_float, xs))


def is_array(known: Container) -> bool:
    """Whether it is NumPy's, whose arrays share memory with a call's."""
    return known.flat and hasattr(known.kind, "__array_interface__")


class _Source:
    """A function under construction, and what its source refers to."""

    def __init__(self, head: str) -> None:
        self.lines = [head]
        self.scope: dict[str, Any] = {"as_float": as_float, "as_floats": as_floats, "countOf": countOf, "C": container}
        self.scope["array"] = array
        self.leaves: list[str] = []  # expressions that make up the list of the leaves
        self.counts: list[int] = []  # and how many they stand for
        self.floats: list[str] = []  # what holds if they are all floats
        self.arrays: dict[int, tuple[str, Any, Any]] = {}  # by place among these: name, type and shape
        self.slow: list[str] = []  # what is to be done before the leaves of arrays are as that says
        self.names = 0
        self.at = 0
        self.buffers = False  # whether `o` is an array, of which an array of NumPy's may keep a slice

    def known(self, x: Any) -> str:
        name = f"T{len(self.scope)}"
        self.scope[name] = x
        return name

    def take_apart(self, part: Structure, name: str) -> None:
        """Write what finds the leaves of the tree of that name, and returns None where it has another structure."""
        if part == LEAF:
            self.leaf(name, 1, f"type({name}) is float")
            return
        kind, keys, children = part
        known = container(kind)
        if kind is Static:
            self.lines.append(f"    if not {self.known(keys)}.holds({name}): return None")
            return
        if known is not None:
            self.take_container_apart(known, keys, children, name)
            return
        length = f"len({name}) != {len(children)}" if children else name
        self.lines.append(f"    if type({name}) is not {self.known(kind)} or {length}: return None")
        if not children:
            return
        if kind is dict:
            self.lines.append(f"    if tuple({name}) != {self.known(keys)}: return None")
            name += ".values()"
        if len(children) > 4 and all(child == LEAF for child in children):
            self.leaf(f"*{name}", len(children), f"countOf(map(type, {name}), float) == {len(children)}")
            return
        self.children(children, name)

    def leaf(self, expression: str, count: int, holds: str) -> None:
        self.leaves.append(expression)
        self.counts.append(count)
        self.floats.append(holds)

    def children(self, parts: Sequence[Structure], name: str) -> None:
        """Go on with what a tree of that name holds, which is known to be as many."""
        own = [f"t{self.names + k}" for k in range(len(parts))]
        self.names += len(own)
        if own:
            self.lines.append(f"    {', '.join(own)}, = {name}")
        for each, child in zip(own, parts, strict=True):
            self.take_apart(child, each)

    def groups(self, behind: Sequence[str] = ()) -> Iterator[tuple[int, tuple[str, Any, Any] | None, list[str]]]:
        """The leaves, and numbers behind them, in runs: how many, and the array that they are, or their expressions."""
        count, numbers = 0, list[str]()
        for k, (leaf, many) in enumerate(zip(self.leaves, self.counts, strict=True)):
            if k not in self.arrays:
                numbers.append(leaf)
                count += many
                continue
            if numbers:
                yield count, None, numbers
            yield many, self.arrays[k], []
            count, numbers = 0, []
        if numbers := [*numbers, *behind]:
            yield count + len(behind), None, numbers

    def plain(self) -> str:
        """What holds if arrays are of float64, and the rest are floats."""
        conditions = self.floats.copy()
        for k, (name, kind, shape) in self.arrays.items():
            same = f"{name}.dtype is {self.known(kind(0).dtype)} and {name}.shape == {shape!r}"
            conditions[k] = f"type({name}) is {self.known(kind)} and {same}"
        return " and ".join(conditions) or "True"

    def take_container_apart(self, known: Container, keys: Any, children: Any, name: str) -> None:
        found = f"t{self.names}"
        self.names += 1
        same = f"C(type({name})) is not {self.known(known)} or ({found} := {self.known(known.take)}({name})) is None"
        count = children if known.flat else len(children)
        lines = [
            f"    if {same} or {found}[0] != {self.known(keys)}: return None",
            f"    {found} = {found}[1]",
            f"    if len({found}) != {count}: return None",
        ]
        if is_array(known) and count:
            self.arrays[len(self.leaves)] = name, known.kind, keys
            self.slow += lines
        else:
            self.lines += lines
        if known.flat:
            self.leaf(f"*{found}", count, f"countOf(map(type, {found}), float) == {count}")
            return
        self.children(children, found)

    def built(self, part: Structure, depth: int = 0, direct: list[Any] | None = None) -> str:
        """The expression for a tree of that structure, whose leaves are those of `o` from `at` on.

        With `direct`, arrays are copied from views of memory, of which it gets a description: see `_write_direct`.
        """
        if part == LEAF:
            self.at += 1
            return f"o[{self.at - 1}]"
        if depth == 30:  # a statement of its own: Python nests parentheses up to 200
            expression, name = self.built(part, 0, direct), f"b{len(self.lines)}"
            self.lines.append(f"    {name} = {expression}")
            return name
        kind, keys, children = part
        if kind is Static:
            return self.known(keys.value)
        if (known := container(kind)) is not None and known.flat:
            self.at += children
            if self.buffers and is_array(known):
                self.arrays[self.at] = "o", known.kind, keys
                return f"{self.known(known.kind)}({keys!r}, buffer=o[{self.at - children}:{self.at}])"
            if direct is not None and is_array(known) and children:
                direct.append((kind, keys, "y", self.at - children))
                return f"b.views[{len(direct) - 1}].copy()"
            return f"{self.known(known.build)}({self.known(keys)}, list(o[{self.at - children}:{self.at}]))"
        if kind in (list, tuple) and len(children) > 4 and all(child == LEAF for child in children):
            self.at += len(children)
            return f"{kind.__name__}(o[{self.at - len(children)}:{self.at}])"
        inside = "".join(f"{self.built(child, depth + 1, direct)}, " for child in children)
        if known is not None:
            return f"{self.known(known.build)}({self.known(keys)}, [{inside}])"
        if kind is dict:
            return f"dict(zip({self.known(keys)}, ({inside})))"
        if kind in (list, tuple):
            return f"[{inside}]" if kind is list else f"({inside})"
        return f"{self.known(tuple.__new__)}({self.known(kind)}, ({inside}))"

    def function(self) -> Any:
        exec("\n".join(self.lines), self.scope)
        return self.scope.pop("made")  # so that it is freed at once


_NO_NUMBER = "except (TypeError, ValueError, OverflowError): return None"


def packer(structure: Structure) -> Pack:
    """A function that flattens trees of that structure, and returns None for any other, or for what is no number."""
    source = _Source("def made(tree):")
    source.take_apart(structure, "tree")
    if source.arrays:  # of float64, with floats, all at once
        pieces = [
            f"{given[0]}.tobytes()"
            if given is not None
            else f"{source.known(Struct(f'{count}d').pack)}({', '.join(numbers)})"
            for count, given, numbers in source.groups()
        ]
        source.lines.append(f"    if {source.plain()}: return array('d', b''.join(({', '.join(pieces)}, )))")
    source.lines += source.slow
    source.lines += [f"    try: return as_floats([{', '.join(source.leaves)}])", f"    {_NO_NUMBER}"]
    return source.function()  # type: ignore[no-any-return]


def unpacker(structure: Structure, buffers: bool = False) -> Unpack:
    """A function that builds the tree of that structure from a flat sequence; with `buffers`, from an `array` alone."""
    source = _Source("def made(o):")
    source.buffers = buffers
    built = source.built(structure)
    if buffers and not source.arrays:
        source.lines.insert(1, "    o = o.tolist()")
    source.lines.append(f"    return {built}")
    return source.function()  # type: ignore[no-any-return]


def caller(structure: Structure, result: Structure, trace: Any, run: Any) -> Call:
    """A function `(f, arguments, keywords)` that answers calls of that structure by one trace, and others with None.

    Where the trace does not hold, it has `f` answer. What a runner of machine code does around the code (see `Native`)
    is written out, as it costs more than the code of a short program.
    """
    source = _Source("def made(f, arguments, keywords):")
    source.scope |= {"trace": trace, "run": run, "structure": structure}
    arguments, keywords = structure[2]
    source.lines.append(f"    if len(arguments) != {len(arguments[2])}: return None")
    source.children(arguments[2], "arguments")
    if keywords[2]:
        source.take_apart(keywords, "keywords")
    else:
        source.lines.append("    if keywords: return None")
    captured = [f"{source.known(each)}._data" for each in trace.captured]
    floats = " and ".join(source.floats) or "True"
    direct = getattr(run, "direct", None)
    if direct is not None:
        _write_direct(source, result, captured, direct)
    source.lines += [
        *source.slow,
        f"    x = [{', '.join(source.leaves)}]",
        f"    if not ({floats}):",
        "        try: x = [*map(as_float, x)]",
        f"        {_NO_NUMBER}",
        f"    o = run([*x, {', '.join(captured)}])" if captured else "    o = run(x)",
        "    if o is None: return f.answer(x, structure)",
        "    f.hits += 1",
        "    trace.calls += 1",
    ]
    source.at = 0
    source.lines.append(f"    return {source.built(result)}")
    return source.function()  # type: ignore[no-any-return]


def _write_direct(source: _Source, result: Structure, captured: list[str], direct: dict[str, Any]) -> None:
    """What runs machine code on its own memory where all leaves are floats; arrays go in and come out as they are."""
    views: list[tuple[Any, Any, str, int]] = []  # of memory: type, shape, of inputs or outputs, and where
    lines = len(source.lines)
    built = source.built(result, 0, views)
    behind, source.lines[lines:] = source.lines[lines:], []
    writes: list[str] = []
    at = 0
    for count, given, numbers in source.groups(captured):
        if given is not None:
            name, kind, shape = given
            writes.append(f"b.views[{len(views)}][...] = {name}")
            views.append((kind, shape, "x", at))
        else:
            writes.append(f"{source.known(Struct(f'{count}d').pack_into)}(b.x, {8 * at}, {', '.join(numbers)})")
        at += count
    source.scope |= direct
    if views:

        def buffers() -> Any:
            made = direct["buffers"]()
            made.views = [kind(s, buffer=getattr(made, of), offset=8 * at) for kind, s, of, at in views]
            return made

        source.scope |= {"buffers": buffers, "idle": []}
    source.lines += [
        f"    if {source.plain()}:",
        "        try: b = idle.pop()",
        "        except IndexError: b = buffers()",
        *[f"        {each}" for each in writes],
        "        if b.call() is None:",
        f"            o = {'b.y' if views else 'read(b.y)'}",
        *[f"        {each}" for each in behind],
        f"            r = {built}",
        "            idle.append(b)",
        "            f.hits += 1",
        "            trace.calls += 1",
        "            return r",
        "        idle.append(b)",
    ]
