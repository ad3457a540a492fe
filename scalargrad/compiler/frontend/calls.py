"""A compiled function on `Value`s, as inside another one: one operation, whose program and derivatives are made once.

Where it is differentiated, the adjoints of its arguments are summed inside of it first: in another order than those of
its instructions one by one, and in the same one eagerly and compiled, since both have the operation. So which functions
are operations depends on the function and the structure of its arguments alone, never on numbers or earlier calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock, get_ident
from typing import Any, NoReturn

from ...engine import modes
from ...engine.value import Value
from ...transforms.trees import Static, Structure, flatten, unflatten
from ..ir.in_place import size
from .bodies import BodyTracer, numbers_now, traced_bodies
from .derived import DifferentiableCall, element
from .trace import Traced, TraceError

WORTH_CALL = 50  # instructions from which a function is called; a smaller one is written in place
KEPT = 256  # structures of arguments that a function is known for


class _StraightTracer(BodyTracer):
    """The tracer of a function that may not branch at all: whether it does is its caller's decision."""

    def truth(self, node: Value) -> NoReturn:
        self.guards.append(("ne", 0, 0, True, ""))
        raise TraceError(f"{self.what} branches")


class FunctionCall(DifferentiableCall):
    """The call of a compiled function, or of its derivative, which is a call or is written in place as it pays."""

    in_place = True
    result: Structure
    plain: dict[int, Any]  # results that are plain numbers, by place

    def tree(self, leaves: Sequence[Any]) -> Any:
        """The function's result for these arguments."""
        node, places = self(*leaves), iter(range(self.size))
        every = range(self.size + len(self.plain))
        found = [self.plain[k] if k in self.plain else element(node, next(places)) for k in every]
        return unflatten(self.result, found)


class Operations:
    """One function as operations, by the structure of its arguments."""

    def __init__(self) -> None:
        self.known: dict[Structure, FunctionCall | None] = {}
        self.begun: set[tuple[int, Structure]] = set()  # by thread
        self.lock = Lock()

    def find(
        self, f: Callable[..., Any], name: str, structure: Structure, leaves: Sequence[Any]
    ) -> FunctionCall | None:
        """The operation; None where the function is to run itself: where it is small, asks for the truth of a number,
        reads a `Value` from outside, returns what is no number that varies, cannot be traced, or is being traced, as
        where it calls itself."""
        key = get_ident(), structure
        if structure not in self.known and key not in self.begun:
            self.begun.add(key)
            try:
                made = _made(f, name, structure, leaves)
            except Exception:  # the function itself runs then, and raises it
                made = None
            finally:
                self.begun.discard(key)
            with self.lock:
                if len(self.known) >= KEPT:
                    del self.known[next(iter(self.known))]
                return self.known.setdefault(structure, made)
        return self.known.get(structure)


def _made(f: Callable[..., Any], name: str, structure: Structure, leaves: Sequence[Any]) -> FunctionCall | None:
    point, place = numbers_now(leaves), f"at {modes.users_line()}"
    results: list[Any] = []
    form: list[Structure] = []

    def run(inputs: list[Any]) -> list[Any]:
        arguments, keywords = unflatten(structure, inputs, "argument")
        results[:], result = flatten(f(*arguments, **keywords), "the result", static=True)
        varying = [x for x in results if isinstance(x, Value)]
        if modes.tracer().guards or result[0] is Static or any(type(x) is not Traced for x in varying):
            raise TraceError(f"{name} is no operation")
        form.append(result)
        return varying

    with modes.not_tracing():
        (program,), outside = traced_bodies([run], [point], name, _StraightTracer)
    if outside or not program.outputs or size(program) < WORTH_CALL:
        return None
    made = FunctionCall(name, [program], point, place)
    made.result, made.plain = form[0], {k: x for k, x in enumerate(results) if not isinstance(x, Value)}
    return made
