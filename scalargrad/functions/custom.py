"""`@primitive`: operations of one's own, which record themselves like those of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from math import nan
from os import urandom
from typing import Any
from weakref import WeakValueDictionary

from ..engine import modes
from ..engine.primitive import REAL, Interval, Primitive, as_float, named
from ..transforms.pickling import by_value

_sent: WeakValueDictionary[str, Primitive] = WeakValueDictionary()  # what went into pickles by value, or came of them


class OwnPrimitive(Primitive):
    """An operation that a user wrote. A pickle refers to it by name, or has its functions where no name leads to it."""

    key = ""
    made_of: tuple[Any, ...]

    def __reduce__(self) -> Any:
        if not by_value() or (self.remake[1][1] != "__main__" and self._is_named()):
            return super().__reduce__()
        self.key = self.key or urandom(16).hex()
        _sent[self.key] = self
        return _received, (self.key,), self.made_of

    def _is_named(self) -> bool:
        try:
            return named(*self.remake[1]) is self
        except (ImportError, TypeError):
            return False

    def __setstate__(self, made_of: tuple[Any, ...]) -> None:
        if "name" not in self.__dict__:
            local, facts, compute = made_of
            self.__dict__.update(primitive(local, **facts)(compute).__dict__, key=self.key)


def _received(key: str) -> Primitive:
    """The operation of that key, still without its functions if it is not known: they may refer to it."""
    made = _sent.get(key)
    if made is None:
        made = OwnPrimitive.__new__(OwnPrimitive)
        made.__dict__["key"] = key
        made = _sent.setdefault(key, made)
    return made


def primitive(
    local: Callable[..., Any] | Sequence[float],
    *,
    name: str = "",
    notation: Sequence[str] = (),
    domain: Iterable[tuple[float, float]] = (),
    symbol: str = "",
) -> Callable[[Callable[..., float]], Primitive]:
    """Make a function on floats an operation that records itself, given its local gradients.

    `local(y, a, b, ...)` takes the output and the operands and returns `(dy/da, dy/db, ...)`; constant local gradients
    can be given as numbers. Written in scalargrad's functions and `+ - *`, it serves every order of derivative; written
    in `math`'s functions, the first order only, and a second derivative raises `TypeError`.

    - `name`: shown in drawings and errors; the function's own name if not given.
    - `notation`: the local gradients as text for drawings, with `{y}`, `{a}`, `{b}`, `{c}` for output and operands.
    - `domain`: an interval `(low, high)` an operand, for `scalargrad.testing.check_primitive`.

    Parameters are closed over:

    >>> import math, scalargrad as sg
    >>> def swish(beta):
    ...     @sg.primitive(lambda y, a: (sg.sigmoid(beta * a) + beta * y * sg.sigmoid(-beta * a),), name="swish")
    ...     def f(a):
    ...         return a / (1.0 + math.exp(-beta * a))
    ...     return f
    >>> f = swish(2.0)
    >>> f(1.0)
    0.8807970779778823
    >>> sg.grad(f)(1.0), sg.grad(sg.grad(f))(1.0)
    (1.0907842487848953, 0.10012433738941384)
    """
    if not callable(local):
        if not isinstance(local, Sequence):
            raise TypeError("primitive: give the local gradients, a function or numbers: @primitive(lambda y, a: ...)")
        local = tuple(as_float(x, "primitive") for x in local)

    def decorate(compute: Callable[..., float]) -> Primitive:
        title = name or getattr(compute, "__name__", "primitive")
        arity = _arity(compute, title)

        def value(*operands: float) -> float:
            if arity is not None and len(operands) != arity:
                raise TypeError(f"{title}: takes {arity} operand(s), got {len(operands)}")
            tracer = modes.tracer() if modes.active else None
            try:
                with modes.not_tracing() if modes.active else nullcontext():
                    return as_float(compute(*operands), f"{title}, its result")
            except Exception:
                if tracer is None or not tracer.elsewhere:  # else the run itself raises it, where there is one
                    raise
                tracer.unknown = True
                return nan

        def rule(y: Any, *operands: Any) -> tuple[Any, ...]:
            given = local(y, *operands) if callable(local) else local if arity is not None else local * len(operands)
            gradients = tuple(given) if isinstance(given, tuple | list) else (given,)
            if len(gradients) != len(operands):
                raise ValueError(f"{title}: {len(gradients)} local gradient(s) for {len(operands)} operand(s)")
            as_graph = hasattr(y, "operation")
            return tuple(
                [
                    d if as_graph and hasattr(d, "operation") else as_float(d, f"{title}, its local gradient {k}")
                    for k, d in enumerate(gradients, 1)
                ]
            )

        if isinstance(local, tuple) and len(local) != (arity or 1):
            raise ValueError(f"{title}: {len(local)} local gradient(s) for {arity or 'any number of'} operand(s)")
        given = rule if arity is None or callable(local) else local
        domains = tuple(Interval(*each) for each in domain) or (REAL,) * (arity or 1)
        made = OwnPrimitive(title, arity, value, given, tuple(notation), domains, symbol)
        made.hides_nan = True  # for all that is known
        made.__doc__, made.own = compute.__doc__, True
        made.remake = (named, (getattr(compute, "__qualname__", title), compute.__module__))
        facts = {"name": name, "notation": notation, "domain": made.domain, "symbol": symbol}
        made.made_of = local, facts, compute
        return made

    return decorate


def _arity(compute: Callable[..., float], title: str) -> int | None:
    """The number of operands that a function takes: its positional parameters without a default; None for `*xs`."""
    import inspect  # not needed, and not paid for, where nobody adds an operation

    if not callable(compute):
        raise TypeError(f"primitive: expected a function to decorate, got {type(compute).__name__}")
    try:
        parameters = inspect.signature(compute).parameters.values()
    except ValueError:
        raise TypeError(f"{title}: its signature is not known; wrap it in a function: def f(a, b): ...") from None
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    needed = [each for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    if any(each.kind is each.KEYWORD_ONLY for each in needed):
        raise TypeError(f"{title}: a parameter that must be named is no operand; close over it, or give it a default")
    return len(needed)
