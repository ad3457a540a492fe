"""The table: every operation with its value, its local gradients, its notation and its domain, each written once.

Everything else reads these rows: the forward pass, the backward pass, derivatives of any order, the text on a drawing's
edges, and the tests, which loop over the table. It stands at the bottom so that all of them can.

A *local gradient* is the derivative of an operation's output by one of its operands. A row gives them as a function of
the output `y` and the operands `a, b, c` (or `*xs`), one for each operand, or as plain numbers where they are constant;
`None` says that the operation is flat: its derivative is zero wherever it has one. The functions are written in
operations that accept both floats and `Value`s. On floats they give the backward pass; on `Value`s they give a gradient
that is itself a graph, and so every higher derivative. They never branch on a number's size.

Rows whose names end in `_slope` are derivatives that would lose digits, or leave the range of floats, if they were
composed from other rows. Their formulas stand in `ieee.py`.

To add an operation, add a row; or, outside this package, decorate a function with `@primitive`.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import inf
from numbers import Real
from typing import Any, NamedTuple

from . import ieee


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
Notation = tuple[str, ...] | Callable[[str, Sequence[str]], tuple[str, ...]]


def as_float(x: Any, operation: str = "Value") -> float:
    """Convert a number of any real type (int, bool, Fraction, Decimal, NumPy scalar) to a float.

    Raises `TypeError` for what is not one real number, and `OverflowError` for an integer beyond the range of floats.

    >>> from fractions import Fraction
    >>> as_float(Fraction(1, 4))
    0.25
    """
    if isinstance(x, Real):
        try:
            return float(x)
        except OverflowError:
            raise OverflowError(f"{operation}: {type(x).__name__} too large for a float (beyond 1.8e308)") from None
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


class Primitive:
    """One row of the table. Called on numbers it returns a float; an operand that is a `Value` records it.

    >>> sin(0.5)
    0.479425538604203
    >>> sin.name, sin.local(sin(0.5), 0.5)
    ('sin', (0.8775825618903728,))
    """

    def __init__(
        self,
        name: str,
        arity: int | None,
        compute: Callable[..., float],
        local: Callable[..., tuple[Any, ...]] | tuple[float, ...] | None,
        notation: Notation = (),
        domain: tuple[Interval, ...] = (REAL,),
        symbol: str = "",
    ) -> None:
        self.name = name
        self.arity = arity  # None: any number of operands
        self.compute = compute
        self.local = local if callable(local) else None
        self.constants = local if isinstance(local, tuple) else None
        self.flat = local is None
        # True where a local gradient of zero means that the operand was not selected, and gets exactly nothing.
        self.selects = self.constants is not None and 0.0 in self.constants
        self.notation = notation
        self.domain = domain
        self.symbol = symbol or name
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
        if make in (named, _imported) and make(*arguments) is not self:
            raise TypeError(f"{self!r} is not what {'.'.join(arguments)} stands for, so it cannot be pickled")
        return self.remake


TABLE: dict[str, Primitive] = {}


def named(name: str) -> Primitive:
    """The row of that name."""
    row = TABLE.get(name) or {"leaf": LEAF, "input": INPUT, "constant": CONSTANT}.get(name)
    if row is None:
        raise TypeError(f"the table has no row {name!r}: give such a primitive a `remake`, or use @primitive")
    return row


def _row(
    name: str,
    arity: int | None,
    compute: Callable[..., float],
    local: Callable[..., tuple[Any, ...]] | tuple[float, ...] | None,
    notation: Notation = (),
    domain: tuple[Interval, ...] = (REAL,),
    symbol: str = "",
) -> Primitive:
    made = TABLE[name] = Primitive(name, arity, compute, local, notation, domain, symbol)
    return made


# What stands where a `Value` is no operation's result: an input, and a number that nothing is differentiated by.
LEAF = Primitive("leaf", 0, lambda: 0.0, ())
INPUT = Primitive("input", 0, lambda: 0.0, ())  # a leaf by which a running differentiation differentiates
CONSTANT = Primitive("constant", 0, lambda: 0.0, None)


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
    """Every operand's share of the softmax: floats at once, `Value`s as one node each."""
    if all(type(x) is float for x in xs):
        return ieee.softmax(*xs)
    return tuple(softmax_share(x, *xs[:k], *xs[k + 1 :]) for k, x in enumerate(xs))


def _softmax_share_local(y: Any, *xs: Any) -> tuple[Any, ...]:
    """`y (1 - y)` and `-y yj`; `1 - y` is summed from the other shares, which does not cancel."""
    others = _softmax(xs)[1:]
    return (y * sum(*others), *(-y * share for share in others))


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


def _dot_notation(y: str, operands: Sequence[str]) -> tuple[str, ...]:
    n = len(operands) // 2
    return (*operands[n:], *operands[:n])


# ---- families of rows: one for each value of their parameters --------------------------------------------------------


@lru_cache(maxsize=256)
def pow_slope(i: int, j: int) -> Primitive:
    """The derivative of `a**b`, i times by `a` and j times by `b`."""
    made = Primitive(
        f"pow_slope[{i},{j}]",
        2,
        lambda a, b: ieee.pow_derivative(a, b, i, j),
        lambda y, a, b: (pow_slope(i + 1, j)(a, b), pow_slope(i, j + 1)(a, b)),
        domain=(POSITIVE, REAL),
    )
    made.remake = (pow_slope, (i, j))
    return made


@lru_cache(maxsize=1024)
def power(n: float, i: int = 0) -> Primitive:
    """The operation `a**n` with a constant exponent, differentiated i times: the local gradients close over `n`.

    >>> power(3.0)(2.0), power(3.0).local(8.0, 2.0)
    (8.0, (12.0,))
    """
    exponent = f"{n:g}"
    made = Primitive(
        f"pow {exponent}" if i == 0 else f"pow_slope {exponent},{i}",
        1,
        (lambda a: ieee.pow(a, n)) if i == 0 else (lambda a: ieee.pow_derivative(a, n, i, 0)),
        lambda y, a: (power(n, i + 1)(a),),
        (f"{exponent}·{{a}}^{n - 1.0:g}" if i == 0 else f"pow′({{a}}, {exponent})",),
        (POSITIVE,),
        f"^{exponent}" if i == 0 else f"(^{exponent}){'′' * i}",
    )
    made.remake = (power, (n, i) if i else (n,))  # as they are called, so that the cache finds them
    return made


@lru_cache(maxsize=64)
def exp2_slope(n: int) -> Primitive:
    """The n-th derivative of `2**a`."""
    made = Primitive(
        f"exp2_slope[{n}]",
        1,
        lambda a: ieee.exp2_derivative(a, n),
        lambda y, a: (exp2_slope(n + 1)(a),),
        ("{y}·ln 2",),
        (MODERATE,),
    )
    made.remake = (exp2_slope, (n,))
    return made


# ---- the table -------------------------------------------------------------------------------------------------------
# Inside this module the names of rows hide the builtins abs, max, min, pow, round and sum, on purpose.
# fmt: off
# Rows that a row above them refers to:
abs: Primitive; acosh_slope: Primitive; asin_slope: Primitive; asinh_slope: Primitive; atan2_slope: Primitive; atan_slope: Primitive
atanh_slope: Primitive; cos: Primitive; cosh: Primitive; count_of_ties: Primitive; div: Primitive; erf_slope: Primitive; floordiv: Primitive
hypot: Primitive; hypot_slope: Primitive; is_nonzero: Primitive; is_zero: Primitive; less: Primitive; log_slope: Primitive
share_of_tie: Primitive; sigmoid: Primitive; sigmoid_slope: Primitive; sign: Primitive; sin: Primitive; sinh: Primitive; softmax_share: Primitive
step: Primitive; sum: Primitive; tanh: Primitive; tanh_slope: Primitive; within: Primitive; exp: Primitive; clamp: Primitive

# name         row   name        arity  value           local gradients, given the output and the operands         notation, domain, symbol
identity       = _row("identity",    1, lambda a: a,    (1.0,),                                                    ("1",))
add            = _row("add",         2, operator.add,   (1.0, 1.0),                                                ("1", "1"), (REAL, REAL), "+")
sub            = _row("sub",         2, operator.sub,   (1.0, -1.0),                                               ("1", "-1"), (REAL, REAL), "−")
mul            = _row("mul",         2, operator.mul,   lambda y, a, b: (b, a),                                    ("{b}", "{a}"), (REAL, REAL), "×")
div            = _row("div",         2, ieee.div,       lambda y, a, b: (div(1.0, b), -div(y, b)),                 ("1/{b}", "-{y}/{b}"), (REAL, REAL), "÷")
neg            = _row("neg",         1, operator.neg,   (-1.0,),                                                   ("-1",), (REAL,), "−")
pow            = _row("pow",         2, ieee.pow,       lambda y, a, b: (pow_slope(1, 0)(a, b), pow_slope(0, 1)(a, b)),      ("{b}·{a}^({b}-1)", "{y}·ln {a}"), (POSITIVE, REAL), "^")
mod            = _row("mod",         2, ieee.mod,       lambda y, a, b: (1.0, -floordiv(a, b)),                    ("1", "-({a}//{b})"), (REAL, REAL), "%")
floordiv       = _row("floordiv",    2, ieee.floordiv,  None,                                                      (), (REAL, REAL), "//")
abs            = _row("abs",         1, operator.abs,   lambda y, a: (sign(a),),                                   ("sign {a}",))

exp            = _row("exp",         1, ieee.exp,       lambda y, a: (y,),                                         ("{y}",), (MODERATE,))
expm1          = _row("expm1",       1, ieee.expm1,     lambda y, a: (exp(a),),                                    ("exp {a}",), (MODERATE,))
exp2           = _row("exp2",        1, ieee.exp2,      lambda y, a: (exp2_slope(1)(a),),                          ("{y}·ln 2",), (MODERATE,))
log            = _row("log",         1, ieee.log,       lambda y, a: (log_slope(a),),                              ("1/{a}",), (POSITIVE,))
log1p          = _row("log1p",       1, ieee.log1p,     lambda y, a: (log_slope(1.0 + a),),                        ("1/(1+{a})",), (ABOVE_MINUS_ONE,))
log2           = _row("log2",        1, ieee.log2,      lambda y, a: (log_slope(a * ieee.LN2),), ("1/({a}·ln 2)",), (POSITIVE,))
log10          = _row("log10",       1, ieee.log10,     lambda y, a: (log_slope(a * ieee.LN10),),                  ("1/({a}·ln 10)",), (POSITIVE,))
log_slope      = _row("log_slope",   1, ieee.log_slope, lambda y, a: (-(y * y),),                                  ("-{y}²",), (POSITIVE,))
sqrt           = _row("sqrt",        1, ieee.sqrt,      lambda y, a: (div(0.5, y + 0.0),),                         ("1/(2·{y})",), (POSITIVE,))  # + 0.0: from -0.0 to 0.0
cbrt           = _row("cbrt",        1, ieee.cbrt,      lambda y, a: (div(1.0, 3.0 * (y * y)),),                   ("1/(3·{y}²)",))

sin            = _row("sin",         1, ieee.sin,       lambda y, a: (cos(a),),                                    ("cos {a}",), (Interval(-1e5, 1e5),))
cos            = _row("cos",         1, ieee.cos,       lambda y, a: (-sin(a),),                                   ("-sin {a}",), (Interval(-1e5, 1e5),))
tan            = _row("tan",         1, ieee.tan,       lambda y, a: (1.0 + y * y,),                               ("1+{y}²",), (Interval(-1e5, 1e5),))
asin           = _row("asin",        1, ieee.asin,      lambda y, a: (asin_slope(a),),                             ("1/√(1-{a}²)",), (UNIT,))
acos           = _row("acos",        1, ieee.acos,      lambda y, a: (-asin_slope(a),),                            ("-1/√(1-{a}²)",), (UNIT,))
atan           = _row("atan",        1, math.atan, lambda y, a: (atan_slope(a),),                             ("1/(1+{a}²)",))
asin_slope     = _row("asin_slope",  1, ieee.asin_slope,lambda y, a: (a * (y * y * y),),                           ("{a}·{y}³",), (UNIT,))
atan_slope     = _row("atan_slope",  1, ieee.atan_slope,lambda y, a: (-2.0 * (a * y) * y,),                        ("-2·{a}·{y}²",))
atan2          = _row("atan2",       2, math.atan2,lambda y, a, b: (atan2_slope(b, a), -atan2_slope(a, b)),   ("{b}/({a}²+{b}²)", "-{a}/({a}²+{b}²)"), (REAL, REAL))
atan2_slope    = _row("atan2_slope", 2, ieee.atan2_slope, _atan2_slope_local,                                      (), (REAL, REAL))
hypot          = _row("hypot",       2, ieee.hypot,     lambda y, a, b: (hypot_slope(a, b), hypot_slope(b, a)),    ("{a}/{y}", "{b}/{y}"), (REAL, REAL))
hypot_slope    = _row("hypot_slope", 2, ieee.hypot_slope, _hypot_slope_local,                                      (), (REAL, REAL))

sinh           = _row("sinh",        1, ieee.sinh,      lambda y, a: (cosh(a),),                                   ("cosh {a}",), (MODERATE,))
cosh           = _row("cosh",        1, ieee.cosh,      lambda y, a: (sinh(a),),                                   ("sinh {a}",), (MODERATE,))
tanh           = _row("tanh",        1, ieee.tanh, lambda y, a: (tanh_slope(a),),                             ("1-{y}²",), (Interval(-350.0, 350.0),))
tanh_slope     = _row("tanh_slope",  1, ieee.tanh_slope,lambda y, a: (-2.0 * tanh(a) * y,),                        ("-2·{y}·tanh {a}",), (Interval(-350.0, 350.0),))
asinh          = _row("asinh",       1, math.asinh,lambda y, a: (asinh_slope(a),),                            ("1/√({a}²+1)",))
asinh_slope    = _row("asinh_slope", 1, ieee.asinh_slope, lambda y, a: (-(a * y) * y * y,),                        ("-{a}·{y}³",))
acosh          = _row("acosh",       1, ieee.acosh,     lambda y, a: (acosh_slope(a),),                            ("1/√({a}²-1)",), (ABOVE_ONE,))
acosh_slope    = _row("acosh_slope", 1, ieee.acosh_slope, lambda y, a: (-(a * y) * y * y,),                        ("-{a}·{y}³",), (ABOVE_ONE,))
atanh          = _row("atanh",       1, ieee.atanh,     lambda y, a: (atanh_slope(a),),                            ("1/(1-{a}²)",), (UNIT,))
atanh_slope    = _row("atanh_slope", 1, ieee.atanh_slope, lambda y, a: (2.0 * a * (y * y),),                       ("2·{a}·{y}²",), (UNIT,))

sigmoid        = _row("sigmoid",     1, ieee.sigmoid,   lambda y, a: (sigmoid_slope(a),),                          ("{y}·(1-{y})",), (MODERATE,), "σ")
sigmoid_slope  = _row("sigmoid_slope", 1, ieee.sigmoid_slope, lambda y, a: (-tanh(0.5 * a) * y,),                  ("-{y}·tanh({a}/2)",), (MODERATE,), "σ′")
softplus       = _row("softplus",    1, ieee.softplus,  lambda y, a: (sigmoid(a),),                                ("σ({a})",), (MODERATE,))
relu           = _row("relu",        1, ieee.relu,      lambda y, a: (step(a),),                                   ("step {a}",))
erf            = _row("erf",         1, math.erf,  lambda y, a: (erf_slope(a),),                              ("2/√π·exp(-{a}²)",), (Interval(-26.0, 26.0),))
erfc           = _row("erfc",        1, ieee.erfc,      lambda y, a: (-erf_slope(a),),                             ("-2/√π·exp(-{a}²)",), (Interval(-26.0, 26.0),))
erf_slope      = _row("erf_slope",   1, ieee.erf_slope, lambda y, a: (-2.0 * clamp(a, -30.0, 30.0) * y,),        ("-2·{a}·{y}",), (Interval(-26.0, 26.0),))  # y is 0 beyond

sign           = _row("sign",        1, ieee.sign,      None)
step           = _row("step",        1, ieee.step,      None)
floor          = _row("floor",       1, ieee.floor,     None)
ceil           = _row("ceil",        1, ieee.ceil,      None)
round          = _row("round",       1, ieee.round_half_even, None)
is_nonzero     = _row("is_nonzero",  1, ieee.is_nonzero, None)
is_zero        = _row("is_zero",     1, ieee.is_zero,   None)
less           = _row("less",        2, ieee.less,      None, (), (REAL, REAL), "<")
within         = _row("within",      3, ieee.within,    None, (), (REAL, REAL, REAL))
share_of_tie   = _row("share_of_tie", 3, ieee.share_of_tie, None, (), (REAL, REAL, Interval(1.0, 9.0)))
count_of_ties  = _row("count_of_ties", None, ieee.count_of_ties, None)

max            = _row("max",      None, ieee.maximum,   _tie_local,                                                ("[is max]",))
min            = _row("min",      None, ieee.minimum,   _tie_local,                                                ("[is min]",))
clamp          = _row("clamp",       3, ieee.clamp,     lambda y, a, b, c: (within(a, b, c), less(a, b), less(c, a)), ("[{b}≤{a}≤{c}]", "[{a}<{b}]", "[{a}>{c}]"), (REAL, Interval(-2.0, -1.0), Interval(1.0, 2.0)))
where          = _row("where",       3, lambda c, a, b: a if c != 0.0 else b, lambda y, a, b, c: (0.0, is_nonzero(a), is_zero(a)), ("0", "[{a}]", "[not {a}]"), (REAL, REAL, REAL))

sum            = _row("sum",      None, ieee.total,     lambda y, *xs: (1.0,) * len(xs),                           ("1",), (REAL,), "Σ")
mean           = _row("mean",     None, ieee.mean,      lambda y, *xs: (1.0 / len(xs),) * len(xs),                 lambda y, xs: (f"1/{len(xs)}",) * len(xs))
dot            = _row("dot",      None, ieee.dot,       lambda y, *xs: xs[len(xs) // 2:] + xs[:len(xs) // 2],      _dot_notation, (REAL,), "·")
prod           = _row("prod",     None, ieee.prod,      _prod_local,                                               lambda y, xs: tuple("·".join([*xs[:k], *xs[k + 1:]]) or "1" for k in range(len(xs))), (REAL,), "Π")
logsumexp      = _row("logsumexp", None, ieee.logsumexp, lambda y, *xs: _softmax(xs),                              lambda y, xs: tuple(f"exp({x}-{y})" for x in xs), (MODERATE,))
softmax_share  = _row("softmax_share", None, ieee.softmax_share, _softmax_share_local,                             lambda y, xs: (f"{y}·(1-{y})", *(f"-{y}·σ({x})" for x in xs[1:])), (MODERATE,), "softmax")

# The product of the chain rule, upstream times local, where the upstream gradient is zero: zero, whatever the local gradient is.
chain          = _row("chain",       2, lambda a, b: a * b if a != 0.0 else 0.0, lambda y, a, b: (b, a),           ("{b}", "{a}"), (REAL, REAL), "×")
# fmt: on

for _each in (abs, relu, max, min, clamp, where):
    _each.selects = True


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
        )
        made.__doc__ = compute.__doc__
        made.remake = (_imported, (compute.__module__, getattr(compute, "__qualname__", title)))
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


def _imported(module: str, qualname: str) -> Primitive:
    """The primitive that a module's name stands for: how a pickle refers to one that a user wrote."""
    __import__(module)
    found: Any = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Primitive):
        raise TypeError(
            f"{module}.{qualname} is not a primitive: to be pickled, one must stand at its module's top level"
        )
    return found
