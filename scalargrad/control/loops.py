"""`scan`, `fori_loop` and `while_loop`: loops as one operation, whose derivative is a loop, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt
from operator import index
from typing import Any

from ..compiler.frontend.bodies import traced_bodies
from ..compiler.frontend.derived import DifferentiableLoop, element, failed
from ..compiler.ir.loops import Column
from ..engine import modes
from ..engine.value import Value
from ..state import whole
from ..transforms.trees import LEAF, Structure, flatten, unflatten
from .columns import (
    Columns,
    are_functions,
    columns_from,
    columns_of,
    each_column,
    joined,
    known,
    leaves_of,
    numbers,
    numbers_like,
    read,
    truth,
    without_segments,
    written,
)  # fmt: skip

_NO_RESULT = ("none",)  # stands for the structure of a step's result that is None


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
    checkpoint: int | str | None = None,
) -> tuple[Any, Any]:
    """Carry something along a sequence: `carry, y = f(carry, x)` for every x of `xs`; the last carry, and all ys.

    - `init`: the carry at the beginning, a number or nested lists, tuples and dicts of numbers; `f` returns one of the
      same structure.
    - `xs`: what the steps read: a list or an array is a column with the steps along its first axis, and tuples,
      dicts and dataclasses hold columns. None for nothing; then `f` gets None, and `length` says how many
      steps there are.
    - `reverse`: begin with the last step; the order of `ys` is that of `xs` all the same.
    - `checkpoint`: of how many steps reverse mode keeps one carry, and computes those between again; "sqrt" for about
      the root of the length, which bounds the memory by that. None keeps all.

    Returns `(carry, ys)`; `ys` has a column for each number, or list, of what `f` returns as `y`, and is None where
    that is None. The meaning is that of `jax.lax.scan`. On floats it is the plain loop. On `Value`s, and where it is
    compiled, `f` is traced once, for all steps, and the loop is one operation; its derivative is a loop, last step
    first. So `f` may not branch on its numbers there: use `where` or `cond`.

    Raises `TypeError` where the carry changes its structure or holds what is no number, and `ValueError` for columns of
    different lengths.

    >>> import scalargrad as sg
    >>> sg.scan(lambda total, x: (total + x, total * x), 0.0, [1.0, 2.0, 3.0])
    (6.0, [0.0, 2.0, 9.0])
    >>> def decay(rate):
    ...     return sg.scan(lambda y, _: (y - rate * y, None), 1.0, length=3)[0]
    >>> sg.grad(decay)(0.5)
    -0.75
    """
    return _scan(f, init, xs, length, reverse, checkpoint, True)


def _scan(f: Any, init: Any, xs: Any, length: Any, reverse: bool, checkpoint: Any, plain: bool) -> tuple[Any, Any]:
    """`scan`; on plain numbers as the plain loop, if there may be such."""
    are_functions("scan", f)
    place = modes.users_line()
    columns = Columns(LEAF, [], [], None) if xs is None else read(xs, "xs")
    steps = _length(columns.length, length)
    carry, structure = numbers(init, "init")
    if checkpoint == "sqrt":
        size = max(1, isqrt(steps))
    else:
        size = steps if checkpoint is None else whole("scan: checkpoint, if not 'sqrt',", checkpoint)
    body = _Body(f, structure, None if xs is None else columns.structure)
    if plain and not any(isinstance(x, Value) for x in (*carry, *(x for each in columns.numbers for x in each))):
        found = _steps(body, carry, columns, steps, reverse, True)
        if found is not None:
            return found  # type: ignore[no-any-return]
    elif modes.active and modes.current().anomaly:  # which looks at every operation
        return _steps(body, carry, columns, steps, reverse, False)  # type: ignore[no-any-return]
    if steps == 0:
        return unflatten(structure, carry), None if xs is None else []
    if size < steps:
        return _in_segments(f, init, xs, steps, size, reverse)
    point = [known(x) for x in (*carry, *columns.step(steps - 1 if reverse else 0))]
    (program,), outside = traced_bodies([body.flat], [point], "the body of scan")
    widths = body.widths()
    point = [*map(known, outside), *point]
    read_by_step, m, n = list(map(Column, columns.widths)), len(outside), len(carry)
    loop = DifferentiableLoop("scan", program, m, n, read_by_step, widths, steps, point, f"at {place}", reverse)
    made = loop(*outside, *carry, *(x for each in columns.numbers for x in each))
    found_carry = [element(made, k) for k in range(len(carry))]
    results = [
        [element(made, k) for k in range(start, start + steps * width)]
        for start, width in zip(loop.starts, widths, strict=True)
    ]
    return unflatten(structure, found_carry), body.ys(results, steps)


def fori_loop(lower: int, upper: int, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """Repeat `carry = body(i, carry)` for i from `lower` up to, and without, `upper`; return the last carry.

    The meaning is that of `jax.lax.fori_loop`. `init` is a number or nested lists, tuples and dicts of numbers, as is
    what `body` returns; i is an int on floats, and a `Value` where the body is traced. Errors and derivatives are those
    of `scan`.

    >>> import scalargrad as sg
    >>> sg.fori_loop(1, 5, lambda i, product: product * i, 1.0)
    24.0
    >>> sg.grad(lambda x: sg.fori_loop(0, 3, lambda i, y: y * x + i, 1.0))(2.0)
    13.0
    """
    are_functions("fori_loop", body)
    try:
        start, stop = index(lower), index(upper)
    except TypeError:
        raise TypeError(f"fori_loop: the bounds must be whole numbers, got {lower!r} and {upper!r}") from None
    leaves, structure = flatten(init, "init")

    def step(i: Any, carry: Any, at: int) -> list[Any]:
        return _alike(body(i, carry), structure, f"fori_loop: the carry that body returned at step {at}")

    if not any(isinstance(x, Value) for x in leaves):
        carry = init
        for i in range(start, stop):
            found = step(i, carry, i)
            if any(isinstance(x, Value) for x in found):
                break
            carry = unflatten(structure, found)
        else:
            return carry

    def counted(c: Any, _: None) -> Any:
        i, now = c
        return (i + 1.0, unflatten(structure, step(i, now, start))), None

    (_, carry), _ = _scan(counted, (float(start), init), None, max(stop - start, 0), False, None, False)
    return carry


def while_loop(
    condition: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, *, max_steps: int | None = None
) -> Any:
    """Repeat `carry = body(carry)` while `condition(carry)` holds; return the last carry.

    The meaning is that of `jax.lax.while_loop`. `init` is a number or nested lists, tuples and dicts of numbers; `body`
    returns a carry of the same structure, `condition` a comparison. On `Value`s and in compiled functions both are
    traced once, for all steps. In machine code, a loop without an end can be ended by `max_steps` alone. In `.map`,
    eight samples go through it at once, until the last of them has come to its end; the others keep what they have.

    - `max_steps`: how many steps there may be at most. Reverse mode needs it, because it keeps what is carried; forward
      mode (`jvp`) does not.

    Raises `LoopError` where the condition still holds after `max_steps`, naming the numbers it has come to, and in
    `.map` the sample; `TypeError` for a carry of another structure.

    >>> import scalargrad as sg
    >>> def root(a):  # Heron's method
    ...     return sg.while_loop(lambda x: abs(x * x - a) > 1e-9, lambda x: (x + a / x) / 2.0, 1.0, max_steps=50)
    >>> round(root(9.0), 6), round(sg.grad(root)(9.0), 6)
    (3.0, 0.166667)
    """
    are_functions("while_loop", condition, body)
    if max_steps is not None:
        max_steps = whole("while_loop: max_steps, if not None,", max_steps)
    return repeated(condition, body, init, max_steps, "while_loop: the condition still holds", {})


def repeated(
    condition: Callable[[Any], Any],
    body: Callable[[Any], Any],
    init: Any,
    max_steps: int | None,
    failure: str,
    notes: dict[int, str],
) -> Any:
    """`while_loop`, with what its error says."""
    place = modes.users_line()
    carry, structure = numbers(init, "init")

    def step(leaves: Sequence[Any], k: int = 0) -> list[Any]:
        return _alike(body(unflatten(structure, leaves)), structure, f"while_loop: what body returned at step {k}")

    def goes_on(leaves: Sequence[Any]) -> list[Any]:
        return [truth(condition(unflatten(structure, leaves)), "while_loop: what condition returned")]

    anomaly = modes.active and modes.current().anomaly
    if anomaly or not any(isinstance(x, Value) for x in carry):
        now, k = carry, 0
        while True:
            test = goes_on(now)[0]
            if not anomaly and isinstance(test, Value):  # which depends on what the functions close over
                break
            if not test:
                return unflatten(structure, now)
            if k == max_steps:
                raise failed(failure, notes, [known(x) for x in now], k, f"at {place}")
            now = step(now, k)
            k += 1
            if not anomaly and any(isinstance(x, Value) for x in now):
                break
    point = [known(x) for x in carry]
    programs, outside = traced_bodies([step, goes_on], [point, point], "the body of while_loop")
    loop = DifferentiableLoop(
        "while_loop",
        programs[0],
        len(outside),
        len(carry),
        [],
        [],
        max_steps,
        [*map(known, outside), *point],
        f"at {place}",
        condition=programs[1],
        failure=failure,
        notes=notes,
    )
    made = loop(*outside, *carry)
    return unflatten(structure, [element(made, k) for k in range(len(carry))])


def _alike(tree: Any, structure: Structure, what: str) -> list[Any]:
    """The numbers of what a body returned, which must have the structure of the carry."""
    try:
        return numbers_like(tree, structure, what)
    except ValueError as error:
        raise TypeError(f"{error}; it must keep the structure of init") from None


def _length(found: int | None, given: Any) -> int:
    if isinstance(given, Value):
        raise TypeError(
            f"scan: length must be a whole number, got {given!r}: it is part of the program, so make it no argument, "
            "or use while_loop"
        )
    if given is None:
        if found is None:
            raise ValueError("scan: how many steps? Give xs, or length")
        return found
    steps: int = whole("scan: length", given, least=0)
    if found is not None and found != steps:
        raise ValueError(f"scan: length is {steps}, but xs has {found} step(s)")
    return steps


class _Body:
    """The user's function on flat numbers, and the structures that it was found to take and return."""

    def __init__(self, f: Callable[[Any, Any], Any], carry: Structure, x: Structure | None) -> None:
        self.f, self.carry, self.x = f, carry, x
        self.count = leaves_of(carry)
        self.y: Structure = None  # until the first step

    def flat(self, leaves: Sequence[Any]) -> list[Any]:
        """A step; what it carries on and what it returns, in one list."""
        return self.step(leaves[: self.count], leaves[self.count :], 0)

    def step(self, carry: Sequence[Any], x: Sequence[Any], t: int) -> list[Any]:
        result = self.f(unflatten(self.carry, carry), None if self.x is None else unflatten(self.x, x))
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"scan: f must return a pair (carry, y), got {_kind(result)} at step {t}")
        after, y = result
        if self.carry == LEAF and type(after) in (float, Value):
            found = [after]
        else:
            found = _alike(after, self.carry, f"scan: the carry that f returned at step {t}")
        return found + self.result(y, t)

    def result(self, y: Any, t: int) -> list[Any]:
        if y is None:
            structure: Structure = _NO_RESULT
            leaves: list[Any] = []
        else:
            leaves, structure = (
                ([y], LEAF) if type(y) is float else numbers(y, f"scan: the y that f returned at step {t}")
            )
        if self.y is None:
            self.y = structure
        elif self.y != structure:
            raise TypeError(f"scan: f returned a y of another structure at step {t} than before")
        return leaves

    def widths(self) -> list[int]:
        """Of the columns of results."""
        return [] if self.y in (None, _NO_RESULT) else columns_of(self.y)

    def ys(self, columns: list[list[Any]], steps: int) -> Any:
        return None if self.y in (None, _NO_RESULT) else written(self.y, iter(columns), steps)


def _kind(x: Any) -> str:
    return f"a {'Value' if isinstance(x, Value) else type(x).__name__}" + (
        f" of {len(x)}" if isinstance(x, list | tuple | dict) else ""
    )


def _steps(body: _Body, carry: list[Any], columns: Columns, steps: int, reverse: bool, plain: bool) -> Any:
    """The loop itself, step by step; None where numbers are to be plain, and are not."""
    n = len(carry)
    rows: list[Any] = []
    for k in range(steps):
        t = steps - 1 - k if reverse else k
        found = body.step(carry, list(columns.step(t)), t)
        if plain and any(isinstance(x, Value) for x in found):
            return None
        carry = found[:n]
        rows.append(found[n:])
    if reverse:
        rows.reverse()
    results = columns_from(rows, body.widths())
    empty = body.y is None and body.x is not None  # no step has told what the results look like
    return unflatten(body.carry, carry), [] if empty else body.ys(results, steps)


def _in_segments(f: Any, init: Any, xs: Any, steps: int, size: int, reverse: bool) -> tuple[Any, Any]:
    """A scan over scans: reverse mode keeps the carries between segments, and those of one segment at a time."""
    whole = steps // size * size
    carry, parts = init, [None, None]
    for k in (1, 0) if reverse else (0, 1):
        if k == 1 and whole < steps:
            rest = each_column(xs, lambda column: column[whole:])
            carry, parts[1] = scan(f, carry, rest, steps - whole, reverse=reverse)
        elif k == 0:
            segments = each_column(xs, lambda column: [column[a : a + size] for a in range(0, whole, size)])
            carry, ys = scan(
                lambda c, part: scan(f, c, part, size, reverse=reverse), carry, segments, whole // size, reverse=reverse
            )
            parts[0] = each_column(ys, without_segments)
    return carry, parts[0] if parts[1] is None else joined(*parts)
