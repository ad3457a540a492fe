"""Arguments to flat numbers and back, at the speed of slices: source generated for one structure.

It stands apart from `trees.py`, which finds out what a structure is, because here it is known, and only has to be
checked: what a compiled function spends around a short program is mostly this.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from operator import countOf
from typing import Any

from ...engine.table import as_float
from ...engine.trees import LEAF, Structure

Pack = Callable[[Any], "array[float] | None"]
Unpack = Callable[[Sequence[float]], Any]


def as_floats(xs: Sequence[Any]) -> array[float]:
    """Numbers as floats, taken and refused by the rule of `as_float`; alone, `array` takes whatever has `__float__`."""
    return array("d", xs if countOf(map(type, xs), float) == len(xs) else map(as_float, xs))


def packer(structure: Structure) -> Pack:
    """A function that flattens trees of that structure, and returns None for any other, or for what is no number."""
    lines = ["def pack(t0):", "    out = []"]
    scope: dict[str, Any] = {"as_floats": as_floats}
    count = 0

    def known(x: Any) -> str:
        name = f"T{len(scope)}"
        scope[name] = x
        return name

    def visit(part: Structure, name: str) -> None:
        nonlocal count
        if part == LEAF:
            lines.append(f"    out.append({name})")
            return
        kind, keys, children = part
        lines.append(f"    if type({name}) is not {known(kind)} or len({name}) != {len(children)}: return None")
        if kind is dict:
            lines.append(f"    if tuple({name}) != {known(keys)}: return None")
            wanted = f"{name}.values()"
        else:
            wanted = name
        if all(child == LEAF for child in children):
            lines.append(f"    out += {wanted}")
            return
        for k, child in enumerate(children):
            count += 1
            own = f"t{count}"
            if kind is dict:
                lines.append(f"    {own} = {name}[{known(keys[k])}]")
            else:
                lines.append(f"    {own} = {name}[{k}]")
            visit(child, own)

    visit(structure, "t0")
    lines += ["    try: return as_floats(out)", "    except (TypeError, ValueError, OverflowError): return None"]
    exec("\n".join(lines), scope)
    made: Pack = scope["pack"]
    return made


def unpacker(structure: Structure) -> Unpack:
    """A function that builds the tree of that structure from a flat list."""
    if structure == LEAF:
        return lambda flat: flat[0]
    scope: dict[str, Any] = {}
    at = 0

    def known(x: Any) -> str:
        name = f"T{len(scope)}"
        scope[name] = x
        return name

    def visit(part: Structure) -> str:
        nonlocal at
        if part == LEAF:
            at += 1
            return f"o[{at - 1}]"
        kind, keys, children = part
        if kind in (list, tuple) and children and all(child == LEAF for child in children):
            at += len(children)
            return f"{'' if kind is list else 'tuple'}(o[{at - len(children)}:{at}])"
        built = [visit(child) for child in children]
        if kind is dict:
            return f"dict(zip({known(keys)}, ({', '.join(built)}{',' if built else ''})))"
        if kind is list:
            return f"[{', '.join(built)}]"
        inside = f"({', '.join(built)}{',' if built else ''})"
        if kind is tuple:
            return inside
        return f"{known(kind)}({'*' if hasattr(kind, '_fields') else ''}{inside})"

    made: Unpack = eval(f"lambda o: {visit(structure)}", scope)
    return made
