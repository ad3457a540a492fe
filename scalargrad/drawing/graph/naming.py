"""`name_values`: names for drawings and messages, taken from the caller's variables because the caller hands them over.

Without a look into anybody's frame: what is named, and how, stands in the call.
"""

from collections.abc import Mapping
from typing import Any

from ...engine.value import Value


def name_values(variables: Mapping[str, Any] | None = None, /, **values: Any) -> None:
    """Label `Value`s by the names under which they are given, unless they have a label already.

    - `name_values(a=a, loss=loss)`: these. Raises `TypeError` for what holds no `Value`.
    - `name_values(locals())`: every variable that holds one; other variables, and those that begin with an underscore,
      are passed over.

    Items of lists and tuples are named by position, from 0, as Python counts: `w[0]`, `w[1,2]`. A `Value` under two
    names takes the first. Constants, which a drawing shows as their number, keep to it.

    >>> def loss(x):
    ...     w = [Value(2.0), Value(-1.0)]
    ...     error = w[0] * x + w[1] - 4.0
    ...     squared = error * error
    ...     name_values(locals())
    ...     return squared
    >>> print(loss(Value(3.0)).draw(depth=1))
    squared = error × error = 1   ∂squared/∂squared = —
    ├─ error = v₂ − 4 = 1   ∂squared/∂error = —
    └─ error = v₂ − 4 = 1   ∂squared/∂error = —
    2 of 8 values drawn (depth=1)
    """
    if variables is not None and not isinstance(variables, Mapping):
        raise TypeError(f"name_values: expected a mapping such as locals(), got {type(variables).__name__}")
    for name, held in values.items():
        if not _name(name, held):
            raise TypeError(f"name_values: {name} holds no Value but {type(held).__name__}")
    for name, held in (variables or {}).items():
        if isinstance(name, str) and not name.startswith("_"):
            _name(name, held)


def _name(name: str, held: Any) -> bool:
    """Label what is held; whether there was a `Value`."""
    stack: list[tuple[tuple[int, ...], Any]] = [((), held)]
    inside: set[int] = set()  # a list may hold itself
    found = False
    while stack:
        place, held = stack.pop()
        if isinstance(held, Value):
            found = True
            if not held.label and not held.is_constant:
                held.label = f"{name}[{','.join(map(str, place))}]" if place else name
        elif isinstance(held, list | tuple) and id(held) not in inside:
            inside.add(id(held))
            stack += [((*place, k), each) for k, each in reversed(list(enumerate(held)))]
    return found
