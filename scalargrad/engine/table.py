"""The table: every operation with all that is known of it, written once: value, local gradients, notation, domain.

Everything else reads these rows, and those that activations, losses and the compiler add to the same registry: the
forward pass, the backward pass, derivatives of any order, the text on a drawing's edges, the formulas that the command
line reads, what nan passes through, and the tests, which loop over the registry.

A *local gradient* is the derivative of an operation's output by one of its operands. A row gives them as a function of
the output `y` and the operands `a, b, c` (or `*xs`), one for each operand, or as plain numbers where they are constant;
`None` says that the operation is flat: its derivative is zero wherever it has one. The functions are written in
operations that accept both floats and `Value`s. On floats they give the backward pass; on `Value`s they give a gradient
that is itself a graph, and so every higher derivative. They never branch on a number's size.

Rows whose names end in `_slope` are derivatives that would lose digits, or leave the range of floats, if they were
composed from other rows. Their formulas stand in `ieee.py`.

To add an operation:

1. Write its value on floats in `ieee.py`, unless `math` has it without ever raising.
2. Add a row below. `oracle` is the exact function in mpmath's names, of `a, b, c` or the list `xs`; `domain` holds the
   intervals on which the tests compare with it, one an operand, or two for operands that come in two halves; a row that
   can make a number of a nan says `hides_nan`. A row that no public function is, such as a derivative, is an `_inner`.
3. Add its function, typed, documented and with an example, to `functions.py`, and hand it on in `scalargrad/__init__.py`.

The tests find the row in the registry, and whatever is missing by its name: no list of theirs is to be edited.
Outside this package, decorate a function with `@primitive`.
"""

from __future__ import annotations

import math
import operator
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial, wraps
from math import inf
from numbers import Integral, Rational, Real
from typing import Any, NamedTuple

from . import ieee, modes


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
        hint = "; for arrays, use lists of numbers (x.tolist()), one operation an element"
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

    >>> sin(0.5)
    0.479425538604203
    >>> sin.name, sin.local(sin(0.5), 0.5)
    ('sin', (0.8775825618903728,))
    """

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

    def __copy__(self) -> Primitive:
        return self

    def __deepcopy__(self, memo: Any) -> Primitive:
        return self

    def __reduce__(self) -> Any:
        make, arguments = self.remake
        if make is named and named(*arguments) is not self:
            raise TypeError(f"{self!r} is not what {arguments[0]} stands for, so it cannot be pickled")
        return self.remake


# ---- the registry ----------------------------------------------------------------------------------------------------

TABLE: dict[str, Primitive] = {}  # every row by its name, wherever it is defined
EXAMPLES: list[tuple[Callable[..., Primitive], tuple[Any, ...]]] = []  # families, with parameters to test them by


def row(module: str, name: str, *rest: Any, **facts: Any) -> Primitive:
    """Register a row, which its module keeps under the same name."""
    if name in TABLE:
        raise ValueError(f"there is a row {name!r} already, in {TABLE[name].remake[1][-1]}")
    made = TABLE[name] = Primitive(name, *rest, **facts)
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
        kinds = [
            int if make.__annotations__[x] in ("int", int) else float for x in code.co_varnames[: code.co_argcount]
        ]
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


_inner = partial(row, __name__)


def _row(name: str, *rest: Any, **facts: Any) -> Primitive:
    return _inner(name, *rest, **{"public": name, **facts})


# What stands where a `Value` is no operation's result: an input, and a number that nothing is differentiated by.
LEAF = Primitive("leaf", 0, lambda: 0.0, ())
CONSTANT = Primitive("constant", 0, lambda: 0.0, None)
for _each in (LEAF, CONSTANT):
    _each.remake = (named, (_each.name.upper(),))


# ---- the local gradients that need more than a line ------------------------------------------------------------------


def _prod_local(y: Any, *xs: Any) -> tuple[Any, ...]:
    """The product of the other operands, from products of all before and all behind: right with zeros, too."""
    before = [1.0]
    for x in xs[:-1]:
        before.append(before[-1] * x)
    behind: Any = 1.0
    locals_: list[Any] = []
    for x, head in zip(reversed(xs), reversed(before), strict=True):
        locals_.append(head * behind)
        behind = behind * x
    return tuple(reversed(locals_))


def _softmax(xs: Sequence[Any]) -> tuple[Any, ...]:
    """Every operand's share of the softmax: floats at once, `Value`s as one node each, to the same bits."""
    if all(type(x) is float for x in xs):
        return ieee.softmax(*xs)
    return tuple(share_of_softmax(k)(*xs) for k in range(len(xs)))


def _rest(k: int, xs: Sequence[Any], shares: tuple[Any, ...]) -> Any:
    """One less the k-th share of the softmax of `xs`, on floats or `Value`s, to the same bits."""
    return ieee.others(k, shares) if type(shares[k]) is float else rest_of_softmax(k)(*xs)


def _share_local(k: int, y: Any, xs: Sequence[Any]) -> tuple[Any, ...]:
    """`y (1 - y)` by the k-th operand, where `1 - y` does not cancel; `-y yj` by the others."""
    shares = _softmax(xs)
    rest = _rest(k, xs, shares)
    return tuple(y * rest if j == k else -y * share for j, share in enumerate(shares))


@family()
def share_of_softmax(k: int) -> Primitive:
    """The k-th operand's share of the softmax of all, from 0; of the first it is `softmax_share`."""
    if k == 0:
        return softmax_share
    return Primitive(
        f"softmax_share[{k}]",
        None,
        lambda *xs: ieee.softmax(*xs)[k],
        lambda y, *xs: _share_local(k, y, xs),
        lambda y, xs: tuple(f"{y}·(1-{y})" if j == k else f"-{y}·σ({x})" for j, x in enumerate(xs)),
        (MODERATE,),
        "softmax",
        oracle=f"exp(xs[{k}])/fsum(map(exp, xs))",
    )


@family()
def rest_of_softmax(k: int) -> Primitive:
    """One less the k-th share: the sum of the others, so that its own derivatives do not cancel either."""

    def local(y: Any, *xs: Any) -> tuple[Any, ...]:
        shares = _softmax(xs)
        return tuple(-y * share if j == k else shares[k] * share for j, share in enumerate(shares))

    return Primitive(
        f"softmax_rest[{k}]",
        None,
        lambda *xs: ieee.others(k, ieee.softmax(*xs)),
        local,
        lambda y, xs: tuple(f"-{y}·(1-{y})" if j == k else f"(1-{y})·σ({x})" for j, x in enumerate(xs)),
        (MODERATE,),
        "1−softmax",
        oracle=f"fsum(map(exp, xs[:{k}] + xs[{k + 1}:]))/fsum(map(exp, xs))",
    )


def _tie_local(y: Any, *xs: Any) -> tuple[Any, ...]:
    count = count_of_ties(y, *xs)
    return tuple(share_of_tie(x, y, count) for x in xs)


def _hypot_slope_local(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    h, other = hypot(a, b), hypot_slope(b, a)
    return (other * div(other, h), -div(y * other, h))  # other/h may overflow where y makes up for it


def _atan2_slope_local(y: Any, a: Any, b: Any) -> tuple[Any, ...]:
    h = hypot(a, b)
    s = where(less(1e307, h), 0.25, 1.0)  # where h, or the sum of a and b, overflows
    p, q = a * s, b * s
    r = hypot(p, q)
    return (div(div(div(q - p, r) * div(q + p, r), h), h), div(div(-2.0 * hypot_slope(a, b) * hypot_slope(b, a), h), h))


def _clamp_local(y: Any, a: Any, b: Any, c: Any) -> tuple[Any, ...]:
    """`high` holds where it is below the greater of the others: its derivative is 1 there, where the bounds cross, too."""
    at_high = less(c, max(a, b))
    return (within(a, b, c), less(a, b) * is_zero(at_high), at_high)


def _dot_notation(y: str, operands: Sequence[str]) -> tuple[str, ...]:
    n = len(operands) // 2
    return (*operands[n:], *operands[:n])


# ---- families of rows: one for each value of their parameters --------------------------------------------------------


@family((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
def pow_slope(i: int, j: int) -> Primitive:
    """The derivative of `a**b`, i times by `a` and j times by `b`."""
    return Primitive(
        f"pow_slope[{i},{j}]",
        2,
        lambda a, b: ieee.pow_derivative(a, b, i, j),
        lambda y, a, b: (pow_slope(i + 1, j)(a, b), pow_slope(i, j + 1)(a, b)),
        domain=(POSITIVE, REAL),
        oracle=f"diff(power, (a, b), ({i}, {j}))",
        hides_nan=0 in (i, j),
    )


@family((2.0,), (3.0,), (-1.0,), (0.5,), (0.0,), (1 / 3,), (-2.7,), (10.0,), (1e-3,), (-40.3,))
def power(n: float) -> Primitive:
    """The operation `a**n` with a constant exponent, over which the local gradient closes.

    >>> power(3.0)(2.0), power(3.0).local(8.0, 2.0)
    (8.0, (12.0,))
    """
    return Primitive(
        f"pow {n:g}",
        1,
        lambda a: ieee.pow(a, n),
        lambda y, a: (power_slope(n, 1)(a),),
        (f"{n:g}·{{a}}^{n - 1.0:g}",),
        (POSITIVE,),
        f"^{n:g}",
        oracle=f"a**mpf({n!r})",
        hides_nan=n == 0.0,
    )


@family((2.0, 1), (0.5, 1), (0.5, 2), (-1.0, 1), (0.0, 1), (1 / 3, 2))
def power_slope(n: float, i: int) -> Primitive:
    """The derivative of `a**n` by `a`, i times."""
    return Primitive(
        f"pow_slope {n:g},{i}",
        1,
        lambda a: ieee.pow_derivative(a, n, i, 0),
        lambda y, a: (power_slope(n, i + 1)(a),),
        (f"pow′({{a}}, {n:g})",),
        (POSITIVE,),
        f"(^{n:g}){'′' * i}",
        oracle=f"ff(mpf({n!r}), {i})*a**(mpf({n!r}) - {i})",
        hides_nan=n in range(i),
    )


@family((1,), (2,))
def exp2_slope(n: int) -> Primitive:
    """The n-th derivative of `2**a`."""
    return Primitive(
        f"exp2_slope[{n}]",
        1,
        lambda a: ieee.exp2_derivative(a, n),
        lambda y, a: (exp2_slope(n + 1)(a),),
        ("{y}·ln 2",),
        (MODERATE,),
        oracle=f"2**a*log(2)**{n}",
    )


# ---- the table -------------------------------------------------------------------------------------------------------
# Inside this module the names of rows hide the builtins abs, max, min, pow, round and sum, on purpose.
# fmt: off
# Rows that a row above them refers to:
abs: Primitive; acosh_slope: Primitive; asin_slope: Primitive; asinh_slope: Primitive; atan2_slope: Primitive; atan_slope: Primitive
atanh_slope: Primitive; cos: Primitive; cosh: Primitive; count_of_ties: Primitive; div: Primitive; erf_slope: Primitive; floordiv: Primitive
hypot: Primitive; hypot_slope: Primitive; is_nonzero: Primitive; is_zero: Primitive; less: Primitive; log10_slope: Primitive; log_slope: Primitive; max: Primitive; where: Primitive
share_of_tie: Primitive; sigmoid: Primitive; sigmoid_slope: Primitive; sign: Primitive; sin: Primitive; sinh: Primitive; softmax_share: Primitive
step: Primitive; sum: Primitive; tanh: Primitive; tanh_slope: Primitive; within: Primitive; exp: Primitive; clamp: Primitive

# name           row   name               arity value             local gradients, given the output and the operands     notation, domain, symbol, oracle
identity       = _inner("identity",       1,    lambda a: a,      (1.0,),                                            ("1",), oracle="a")
add            = _inner("add",            2,    operator.add,     (1.0, 1.0),                                        ("1", "1"), (REAL, REAL), "+", oracle="a + b")
sub            = _inner("sub",            2,    operator.sub,     (1.0, -1.0),                                       ("1", "-1"), (REAL, REAL), "−", oracle="a - b")
mul            = _inner("mul",            2,    operator.mul,     lambda y, a, b: (b, a),                            ("{b}", "{a}"), (REAL, REAL), "×", oracle="a*b")
div            = _inner("div",            2,    ieee.div,         lambda y, a, b: (div(1.0, b), -div(y, b)),         ("1/{b}", "-{y}/{b}"), (REAL, REAL), "÷", oracle="a/b")
neg            = _inner("neg",            1,    operator.neg,     (-1.0,),                                           ("-1",), (REAL,), "−", oracle="-a")
pow            = _row("pow",              2,    ieee.pow,         lambda y, a, b: (pow_slope(1, 0)(a, b), pow_slope(0, 1)(a, b)), ("{b}·{a}^({b}-1)", "{y}·ln {a}"), (POSITIVE, REAL), "^", oracle="a**b", hides_nan=True)
mod            = _row("mod",              2,    ieee.mod,         lambda y, a, b: (1.0, -floordiv(a, b)),            ("1", "-({a}//{b})"), (REAL, REAL), "%", oracle="a - b*floor(a/b)")
floordiv       = _row("floordiv",         2,    ieee.floordiv,    None,                                              (), (REAL, REAL), "//", oracle="floor(a/b)")
abs            = _row("abs",              1,    operator.abs,     lambda y, a: (sign(a),),                           ("sign {a}",), oracle="abs(a)")

exp            = _row("exp",              1,    ieee.exp,         lambda y, a: (y,),                                 ("{y}",), (MODERATE,), oracle="exp(a)")
expm1          = _row("expm1",            1,    ieee.expm1,       lambda y, a: (exp(a),),                            ("exp {a}",), (MODERATE,), oracle="expm1(a)")
exp2           = _row("exp2",             1,    ieee.exp2,        lambda y, a: (exp2_slope(1)(a),),                  ("{y}·ln 2",), (MODERATE,), oracle="2**a")
log            = _row("log",              1,    ieee.log,         lambda y, a: (log_slope(a),),                      ("1/{a}",), (POSITIVE,), oracle="log(a)")
log1p          = _row("log1p",            1,    ieee.log1p,       lambda y, a: (log_slope(1.0 + a),),                ("1/(1+{a})",), (ABOVE_MINUS_ONE,), oracle="log(1 + a)")
log2           = _row("log2",             1,    ieee.log2,        lambda y, a: (log_slope(a * ieee.LN2),),           ("1/({a}·ln 2)",), (POSITIVE,), oracle="log(a, 2)")
log10          = _row("log10",            1,    ieee.log10,       lambda y, a: (log10_slope(a),),                   ("1/({a}·ln 10)",), (POSITIVE,), oracle="log10(a)")
log10_slope    = _inner("log10_slope",    1,    ieee.log10_slope, lambda y, a: (-(y * y) * ieee.LN10,),               ("-{y}²·ln 10",), (POSITIVE,), oracle="1/(a*log(10))")
log_slope      = _inner("log_slope",      1,    ieee.log_slope,   lambda y, a: (-(y * y),),                          ("-{y}²",), (POSITIVE,), oracle="1/a")
sqrt           = _row("sqrt",             1,    ieee.sqrt,        lambda y, a: (div(0.5, y + 0.0),),                 ("1/(2·{y})",), (POSITIVE,), oracle="sqrt(a)")  # + 0.0: from -0.0 to 0.0
cbrt           = _row("cbrt",             1,    ieee.cbrt,        lambda y, a: (div(1.0, 3.0 * (y * y)),),           ("1/(3·{y}²)",), oracle="sign(a)*cbrt(abs(a))")

sin            = _row("sin",              1,    ieee.sin,         lambda y, a: (cos(a),),                            ("cos {a}",), (Interval(-1e5, 1e5),), oracle="sin(a)")
cos            = _row("cos",              1,    ieee.cos,         lambda y, a: (-sin(a),),                           ("-sin {a}",), (Interval(-1e5, 1e5),), oracle="cos(a)")
tan            = _row("tan",              1,    ieee.tan,         lambda y, a: (1.0 + y * y,),                       ("1+{y}²",), (Interval(-1e5, 1e5),), oracle="tan(a)")
asin           = _row("asin",             1,    ieee.asin,        lambda y, a: (asin_slope(a),),                     ("1/√(1-{a}²)",), (UNIT,), oracle="asin(a)")
acos           = _row("acos",             1,    ieee.acos,        lambda y, a: (-asin_slope(a),),                    ("-1/√(1-{a}²)",), (UNIT,), oracle="acos(a)")
atan           = _row("atan",             1,    math.atan,        lambda y, a: (atan_slope(a),),                     ("1/(1+{a}²)",), oracle="atan(a)")
asin_slope     = _inner("asin_slope",     1,    ieee.asin_slope,  lambda y, a: (a * (y * y * y),),                   ("{a}·{y}³",), (UNIT,), oracle="1/sqrt((1 - a)*(1 + a))")
atan_slope     = _inner("atan_slope",     1,    ieee.atan_slope,  lambda y, a: (-2.0 * (a * y) * y,),                ("-2·{a}·{y}²",), oracle="1/(1 + a*a)")
atan2          = _row("atan2",            2,    math.atan2,       lambda y, a, b: (atan2_slope(b, a), -atan2_slope(a, b)), ("{b}/({a}²+{b}²)", "-{a}/({a}²+{b}²)"), (REAL, REAL), oracle="atan2(a, b)")
atan2_slope    = _inner("atan2_slope",    2,    ieee.atan2_slope, _atan2_slope_local,                                (), (REAL, REAL), oracle="a/(a*a + b*b)")
hypot          = _row("hypot",            2,    ieee.hypot,       lambda y, a, b: (hypot_slope(a, b), hypot_slope(b, a)), ("{a}/{y}", "{b}/{y}"), (REAL, REAL), oracle="hypot(a, b)", hides_nan=True)
hypot_slope    = _inner("hypot_slope",    2,    ieee.hypot_slope, _hypot_slope_local,                                (), (REAL, REAL), oracle="a/hypot(a, b)")

sinh           = _row("sinh",             1,    ieee.sinh,        lambda y, a: (cosh(a),),                           ("cosh {a}",), (MODERATE,), oracle="sinh(a)")
cosh           = _row("cosh",             1,    ieee.cosh,        lambda y, a: (sinh(a),),                           ("sinh {a}",), (MODERATE,), oracle="cosh(a)")
tanh           = _row("tanh",             1,    ieee.tanh,        lambda y, a: (tanh_slope(a),),                     ("1-{y}²",), (Interval(-350.0, 350.0),), oracle="tanh(a)")
tanh_slope     = _inner("tanh_slope",     1,    ieee.tanh_slope,  lambda y, a: (-2.0 * tanh(a) * y,),                ("-2·{y}·tanh {a}",), (Interval(-350.0, 350.0),), oracle="sech(a)**2")
asinh          = _row("asinh",            1,    math.asinh,       lambda y, a: (asinh_slope(a),),                    ("1/√({a}²+1)",), oracle="asinh(a)")
asinh_slope    = _inner("asinh_slope",    1,    ieee.asinh_slope, lambda y, a: (-(a * y) * y * y,),                  ("-{a}·{y}³",), oracle="1/sqrt(1 + a*a)")
acosh          = _row("acosh",            1,    ieee.acosh,       lambda y, a: (acosh_slope(a),),                    ("1/√({a}²-1)",), (ABOVE_ONE,), oracle="acosh(a)")
acosh_slope    = _inner("acosh_slope",    1,    ieee.acosh_slope, lambda y, a: (-(a * y) * y * y,),                  ("-{a}·{y}³",), (ABOVE_ONE,), oracle="1/sqrt((a - 1)*(a + 1))")
atanh          = _row("atanh",            1,    ieee.atanh,       lambda y, a: (atanh_slope(a),),                    ("1/(1-{a}²)",), (UNIT,), oracle="atanh(a)")
atanh_slope    = _inner("atanh_slope",    1,    ieee.atanh_slope, lambda y, a: (2.0 * a * (y * y),),                 ("2·{a}·{y}²",), (UNIT,), oracle="1/((1 - a)*(1 + a))")

sigmoid        = _row("sigmoid",          1,    ieee.sigmoid,     lambda y, a: (sigmoid_slope(a),),                  ("{y}·(1-{y})",), (MODERATE,), "σ", oracle="1/(1 + exp(-a))")
sigmoid_slope  = _inner("sigmoid_slope",  1,    ieee.sigmoid_slope, lambda y, a: (-tanh(0.5 * a) * y,),              ("-{y}·tanh({a}/2)",), (MODERATE,), "σ′", oracle="sech(a/2)**2/4")
softplus       = _row("softplus",         1,    ieee.softplus,    lambda y, a: (sigmoid(a),),                        ("σ({a})",), (MODERATE,), oracle="log1p(exp(a))")
relu           = _row("relu",             1,    ieee.relu,        lambda y, a: (step(a),),                           ("step {a}",), oracle="max(a, 0)")
erf            = _row("erf",              1,    math.erf,         lambda y, a: (erf_slope(a),),                      ("2/√π·exp(-{a}²)",), (Interval(-26.0, 26.0),), oracle="erf(a)")
erfc           = _row("erfc",             1,    ieee.erfc,        lambda y, a: (-erf_slope(a),),                     ("-2/√π·exp(-{a}²)",), (Interval(-26.0, 26.0),), oracle="erfc(a)")
erf_slope      = _inner("erf_slope",      1,    ieee.erf_slope,   lambda y, a: (-2.0 * clamp(a, -30.0, 30.0) * y,),   ("-2·{a}·{y}",), (Interval(-26.0, 26.0),), oracle="2/sqrt(pi)*exp(-a*a)")  # y is 0 beyond

sign           = _row("sign",             1,    ieee.sign,        None,                                              oracle="sign(a)")
step           = _row("step",             1,    ieee.step,        None,                                              oracle="a > 0")
floor          = _row("floor",            1,    ieee.floor,       None,                                              oracle="floor(a)")
ceil           = _row("ceil",             1,    ieee.ceil,        None,                                              oracle="ceil(a)")
round          = _row("round",            1,    ieee.round_half_even, None,                                          oracle="nint(a)")
is_nonzero     = _inner("is_nonzero",     1,    ieee.is_nonzero,  None,                                              oracle="a != 0", hides_nan=True)
is_zero        = _inner("is_zero",        1,    ieee.is_zero,     None,                                              oracle="a == 0", hides_nan=True)
less           = _inner("less",           2,    ieee.less,        None,                                              (), (REAL, REAL), "<", oracle="a < b")
within         = _inner("within",         3,    ieee.within,      None,                                              (), (REAL, REAL, REAL), oracle="b <= a <= c")
share_of_tie   = _inner("share_of_tie",   3,    ieee.share_of_tie, None,                                             (), (REAL, REAL, Interval(1.0, 9.0)), oracle="(a == b)/c", hides_nan=True)
count_of_ties  = _inner("count_of_ties",  None, ieee.count_of_ties, None,                                            oracle="xs[1:].count(xs[0])", hides_nan=True)

max            = _row("max",              None, ieee.maximum,     _tie_local,                                        ("[is max]",), oracle="max(xs)")
min            = _row("min",              None, ieee.minimum,     _tie_local,                                        ("[is min]",), oracle="min(xs)")
clamp          = _row("clamp",            3,    ieee.clamp,       _clamp_local,                                      ("[{b}≤{a}≤{c}]", "[{a}<{b}]", "[{a}>{c}]"), (REAL, Interval(-2.0, -1.0), Interval(1.0, 2.0)), oracle="min(max(a, b), c)")
where          = _row("where",            3,    lambda c, a, b: a if c != 0.0 else b, lambda y, a, b, c: (0.0, is_nonzero(a), is_zero(a)), ("0", "[{a}]", "[not {a}]"), (REAL, REAL, REAL), oracle="b if a != 0 else c", hides_nan=True)

sum            = _row("sum",              None, ieee.total,       lambda y, *xs: (1.0,) * len(xs),                   ("1",), (REAL,), "Σ", oracle="fsum(xs)")
mean           = _row("mean",             None, ieee.mean,        lambda y, *xs: (1.0 / len(xs),) * len(xs),         lambda y, xs: (f"1/{len(xs)}",) * len(xs), oracle="fsum(xs)/len(xs)")
dot            = _row("dot",              None, ieee.dot,         lambda y, *xs: xs[len(xs) // 2:] + xs[:len(xs) // 2], _dot_notation, (REAL, REAL), "·", oracle="fdot(xs[:len(xs)//2], xs[len(xs)//2:])")
prod           = _row("prod",             None, ieee.prod,        _prod_local,                                       lambda y, xs: tuple("·".join([*xs[:k], *xs[k + 1:]]) or "1" for k in range(len(xs))), (REAL,), "Π", oracle="fprod(xs)")
logsumexp      = _row("logsumexp",        None, ieee.logsumexp,   lambda y, *xs: _softmax(xs),                       lambda y, xs: tuple(f"exp({x}-{y})" for x in xs), (MODERATE,), oracle="log(fsum(map(exp, xs)))")
softmax_share  = _row("softmax_share",    None, ieee.softmax_share, lambda y, *xs: _share_local(0, y, xs),               lambda y, xs: (f"{y}·(1-{y})", *(f"-{y}·softmax({x})" for x in xs[1:])), (MODERATE,), "softmax", oracle="exp(xs[0])/fsum(map(exp, xs))", public="softmax")

# Comparisons, as numbers: what they are while a function is compiled.
lt             = _inner("lt",             2,    lambda a, b: 1.0 if a < b else 0.0, None, (), (REAL, REAL), "<", oracle="a < b", hides_nan=True)
le             = _inner("le",             2,    lambda a, b: 1.0 if a <= b else 0.0, None, (), (REAL, REAL), "≤", oracle="a <= b", hides_nan=True)
eq             = _inner("eq",             2,    lambda a, b: 1.0 if a == b else 0.0, None, (), (REAL, REAL), "=", oracle="a == b", hides_nan=True)
ne             = _inner("ne",             2,    lambda a, b: 1.0 if a != b else 0.0, None, (), (REAL, REAL), "≠", oracle="a != b", hides_nan=True)
both           = _inner("both",           2,    ieee.both,      None, (), (REAL, REAL), "∧", oracle="a != 0 and b != 0", hides_nan=True)
either         = _inner("either",         2,    ieee.either,    None, (), (REAL, REAL), "∨", oracle="a != 0 or b != 0", hides_nan=True)

# The products of the chain rule, upstream times local. Where the upstream gradient is zero: zero, whatever the local one
# is. `gate`: where the local gradient is zero, too, for operations that select.
chain          = _inner("chain",       2, lambda a, b: a * b if a != 0.0 else 0.0, lambda y, a, b: (b, a),           ("{b}", "{a}"), (REAL, REAL), "×", oracle="a*b", hides_nan=True)
gate           = _inner("gate",        2, ieee.gate,      lambda y, a, b: (b, a),                                    ("{b}", "{a}"), (REAL, REAL), "×", oracle="a*b", hides_nan=True)
# fmt: on

for _each in (abs, relu, max, min, clamp, where, gate):
    _each.selects = True
chain.selects = (False, True)


# ---- own operations --------------------------------------------------------------------------------------------------


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
            with modes.not_tracing() if modes.active else nullcontext():
                return as_float(compute(*operands), f"{title}, its result")

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
        made = Primitive(
            title,
            arity,
            value,
            rule if arity is None or callable(local) else local,
            tuple(notation),
            tuple(Interval(*each) for each in domain) or (REAL,) * (arity or 1),
            symbol,
            hides_nan=True,  # for all that is known
        )
        made.__doc__, made.own = compute.__doc__, True
        made.remake = (named, (getattr(compute, "__qualname__", title), compute.__module__))
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
