"""What an operation is: `Primitive`, with all that is known of it, written once; and the one registry of all of them.

Everything else reads these rows, wherever they are registered: the forward pass, the backward pass, derivatives of any
order, the text on a drawing's edges, the formulas that the command line reads, what nan passes through, and the tests,
which loop over the registry.

A *local gradient* is the derivative of an operation's output by one of its operands. A row gives them as a function of
the output `y` and the operands `a, b, c` (or `*xs`), one for each operand, or as plain numbers where they are constant;
`None` says that the operation is flat: its derivative is zero wherever it has one. The functions are written in
operations that accept both floats and `Value`s. On floats they give the backward pass; on `Value`s they give a gradient
that is itself a graph, and so every higher derivative. They never branch on a number's size.

How an operation is added is in CONTRIBUTING.md; outside this package, decorate a function with `@primitive`.
"""

from __future__ import annotations

import operator
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from math import inf
from numbers import Integral, Rational, Real
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """An open interval of operands on which a row is tested."""

    low: float
    high: float


REAL = Interval(-inf, inf)
POSITIVE = Interval(0.0, inf)
ABOVE_MINUS_ONE = Interval(-1.0, inf)
ABOVE_ONE = Interval(1.0, inf)
UNIT = Interval(-1.0, 1.0)
MODERATE = Interval(-700.0, 700.0)
MEMBERS = 1024  # of a family that are kept
EXACT_INTEGERS = 2**53  # up to which every integer is a float
Notation = tuple[str, ...] | Callable[[str, Sequence[str]], tuple[str, ...]]


def as_float(x: Any, operation: str = "Value") -> float:
    """Convert a number of any real type (int, bool, Fraction, Decimal, NumPy scalar) to a float.

    Raises `TypeError` for what is not one real number, `ValueError` for an integer that no float equals, and
    `OverflowError` for a number beyond the range of floats.

    >>> from fractions import Fraction
    >>> as_float(Fraction(1, 4)), as_float(2**60)
    (0.25, 1.152921504606847e+18)
    >>> as_float(2**53 + 1)
    Traceback (most recent call last):
        ...
    ValueError: Value: no float equals the integer 9007199254740993; float(x) rounds it
    """
    if isinstance(x, Real):
        try:
            y = float(x)
        except OverflowError:
            raise OverflowError(f"{operation}: {type(x).__name__} too large for a float (beyond 1.8e308)") from None
        if not -EXACT_INTEGERS < y < EXACT_INTEGERS and isinstance(x, Integral) and int(x) != y:
            raise ValueError(f"{operation}: no float equals the integer {int(x)}; float(x) rounds it")
        return y
    for module, scalar in (("decimal", "Decimal"), ("numpy", "bool_")):  # not registered as numbers.Real
        known = getattr(sys.modules.get(module), scalar, None)
        if known is not None and isinstance(x, known):
            return float(x)
    kind = type(x).__name__
    hint = ""
    if isinstance(x, complex) or kind.startswith(("complex", "clongdouble")):
        hint = "; complex numbers are not supported"
    elif isinstance(x, str):
        hint = "; convert it with float() first"
    elif hasattr(x, "__array__"):
        form = f" of dtype {getattr(x, 'dtype', None)} and shape {getattr(x, 'shape', None)}"
        hint = (
            f"{form}; an argument may be a plain array of real numbers that floats can hold (x.astype(float)), and its "
            "functions are NumPy's; others take elements"
        )
    elif hasattr(x, "detach") and hasattr(x, "parents"):
        hint = "; it is one already: use it as it is, or x.data for the bare number"
    raise TypeError(f"{operation}: expected a real number, got {kind}{hint}")


def exact(x: Any) -> Any:
    """A real number as Python compares it with floats exactly: a float, an int or a Fraction.

    Raises `TypeError` for what is no real number.

    >>> exact(True), exact(2**53 + 1)
    (1, 9007199254740993)
    """
    if type(x) in (float, int):
        return x
    if isinstance(x, Integral):  # a bool; one of NumPy's
        return operator.index(x)
    if isinstance(x, Rational):
        return x
    f = as_float(x, "comparison")
    if type(x).__name__ == "bool":  # NumPy's
        return f
    try:
        from fractions import Fraction  # not needed, and not paid for, where all numbers are Python's

        return Fraction(*map(int, x.as_integer_ratio()))  # a Decimal, or a float of another width
    except (AttributeError, OverflowError, ValueError):
        return f  # inf or nan


class Primitive:
    """One row of the table. Called on numbers it returns a float; an operand that is a `Value` records it.

    >>> from scalargrad.engine.table import sin
    >>> sin(0.5)
    0.479425538604203
    >>> sin.name, sin.local(sin(0.5), 0.5)
    ('sin', (0.8775825618903728,))
    """

    fails = False  # whether it may come to an error: a loop that does not end
    several = False  # whether its result is no number, but the numbers of several outputs: see `several.py`

    def __init__(
        self,
        name: str,
        arity: int | None,
        compute: Callable[..., float],
        local: Callable[..., tuple[Any, ...]] | tuple[float, ...] | None,
        notation: Notation = (),
        domain: tuple[Interval, ...] = (REAL,),
        symbol: str = "",
        oracle: str = "",
        hides_nan: bool = False,
        public: str = "",
    ) -> None:
        self.name = name
        self.arity = arity  # None: any number of operands
        self.compute = compute
        self.local = local if callable(local) else None
        self.constants = local if isinstance(local, tuple) else None
        self.flat = local is None
        # True where a local gradient of zero means that the operand was not selected, and gets exactly nothing; a tuple
        # where that holds for some operands.
        self.selects: bool | tuple[bool, ...] = self.constants is not None and 0.0 in self.constants
        self.notation = notation
        self.domain = domain
        self.symbol = symbol or name
        self.oracle = oracle  # the exact function as text, for the tests
        self.hides_nan = hides_nan  # whether a nan among the operands can give a number
        self.public = public  # the name of the function that users call; "" if none is this operation alone
        self.own = False  # made by a user, by `@primitive`
        self.remake: tuple[Callable[..., Primitive], tuple[Any, ...]] = (named, (name,))

    def __call__(self, *operands: Any) -> Any:
        floats = True
        for x in operands:
            kind = type(x)
            if kind is not float:
                record = getattr(kind, "_record", None)
                if record is not None:
                    return record(self, operands)
                floats = False
        return self.compute(*operands) if floats else self.compute(*[as_float(x, self.name) for x in operands])

    def local_gradients(self, y: Any, operands: Sequence[Any]) -> tuple[Any, ...]:
        """The derivative of the output by each operand, on floats or `Value`s; zeros for a flat operation."""
        if self.local is not None:
            return self.local(y, *operands)
        return self.constants or (0.0,) * len(operands)

    def local_notation(self, y: str, operands: Sequence[str]) -> tuple[str, ...]:
        """The local gradients as text, given names for the output and the operands.

        >>> from scalargrad.engine.table import mul
        >>> mul.local_notation("y", ["w", "x"])
        ('x', 'w')
        """
        if callable(self.notation):
            return self.notation(y, operands)
        if self.flat or not self.notation:
            return ("0" if self.flat else f"{self.name}′",) * len(operands)
        names = dict(zip("abc", operands, strict=False), y=y)
        patterns = self.notation if self.arity is not None else self.notation * len(operands)
        return tuple(pattern.format(**names) for pattern in patterns)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    __copy__ = __deepcopy__ = lambda self, *memo: self

    def __reduce__(self) -> Any:
        make, arguments = self.remake
        if make is named and named(*arguments) is not self:
            raise TypeError(f"{self!r} is not what {arguments[0]} stands for, so it cannot be pickled")
        return self.remake


TABLE: dict[str, Primitive] = {}  # every row by its name, wherever it is defined
EXAMPLES: list[tuple[Callable[..., Primitive], tuple[Any, ...]]] = []  # families, with parameters to test them by


def row(module: str, name: str, *rest: Any, public: str | bool = "", **facts: Any) -> Primitive:
    """Register a row, which its module keeps under the same name; and a function that users call, if it is `public`."""
    if name in TABLE:
        raise ValueError(f"there is a row {name!r} already, in {TABLE[name].remake[1][-1]}")
    made = TABLE[name] = Primitive(name, *rest, **facts)
    made.public = name if public is True else public or ""
    made.remake = (named, (name, module))
    return made


def family(*examples: tuple[float, ...]) -> Callable[[Callable[..., Primitive]], Callable[..., Primitive]]:
    """Register a function of numbers that makes rows: equal parameters give the same row while it is among the last.

    Parameters are told apart by their bits, so that 0.0 and -0.0 have a row each, and reach the function as the `int`
    or `float` that its signature says, so that a row does not depend on who asked for it first. The rows that the
    examples give stand for the family in the tests.

    >>> @family()
    ... def times(factor: float) -> Primitive:
    ...     return Primitive(f"times {factor:g}", 1, lambda a: factor * a, (factor,))
    >>> times(0.0), times(-0.0), times(1) is times(1.0)
    (<primitive times 0>, <primitive times -0>, True)
    """

    def decorate(make: Callable[..., Primitive]) -> Callable[..., Primitive]:
        code = make.__code__
        given = code.co_varnames[: code.co_argcount]
        kinds = [int if make.__annotations__[x] in ("int", int) else float for x in given]
        pack = struct.Struct(f"<{len(kinds)}d").pack
        rows: dict[bytes, Primitive] = {}
        lock = threading.Lock()

        @wraps(make)
        def member(*parameters: float) -> Primitive:
            try:
                return rows[pack(*parameters)]
            except KeyError:
                given = tuple([kind(x) for kind, x in zip(kinds, parameters, strict=True)])
                made = make(*given)
                if TABLE.get(made.name) is not made:  # a member may be a row that has a name of its own
                    made.remake = (member, given)
                with lock:
                    made = rows.setdefault(pack(*parameters), made)
                    if len(rows) > MEMBERS:
                        del rows[next(iter(rows))]  # the oldest
                return made

        EXAMPLES.extend((member, each) for each in examples)
        return member

    return decorate


def named(name: str, module: str = __name__) -> Primitive:
    """The primitive that a module's name stands for: how a pickle refers to a row, or to one that a user wrote."""
    __import__(module)
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Primitive):
        raise TypeError(f"{module}.{name} is not a primitive: to be pickled, one must stand at its module's top level")
    return found


# What stands where a `Value` is no operation's result: an input, and a number that nothing is differentiated by.
LEAF = Primitive("leaf", 0, lambda: 0.0, ())
CONSTANT = Primitive("constant", 0, lambda: 0.0, None)
for _each in (LEAF, CONSTANT):
    _each.remake = (named, (_each.name.upper(),))
