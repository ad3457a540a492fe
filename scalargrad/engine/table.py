"""The rows of arithmetic, and of the functions that `Value` has as methods: value, local gradients, notation, domain.

Those of the other functions are in `functions/primitives.py`. Rows whose names end in `_slope` are derivatives that
would lose digits, or leave the range of floats, if they were composed from other rows. Their formulas stand in
`ieee.py`.
"""

from __future__ import annotations

import operator
from functools import partial

from . import ieee
from .primitive import MODERATE, POSITIVE, REAL, Interval, Primitive, family, row

_inner = partial(row, __name__)
_row = partial(row, __name__, public=True)


# ---- families of rows: one for each value of their parameters --------------------------------------------------------


@family((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
def pow_slope(i: int, j: int) -> Primitive:
    """The derivative of `a**b`, i times by `a` and j times by `b`."""
    return Primitive(
        f"pow_slope[{i},{j}]", 2, lambda a, b: ieee.pow_derivative(a, b, i, j),
        lambda y, a, b: (pow_slope(i + 1, j)(a, b), pow_slope(i, j + 1)(a, b)), domain=(POSITIVE, REAL),
        oracle=f"diff(power, (a, b), ({i}, {j}))", hides_nan=0 in (i, j),
    )  # fmt: skip


@family((2.0,), (3.0,), (-1.0,), (0.5,), (0.0,), (1 / 3,), (-2.7,), (10.0,), (1e-3,), (-40.3,))
def power(n: float) -> Primitive:
    """The operation `a**n` with a constant exponent, over which the local gradient closes.

    >>> power(3.0)(2.0), power(3.0).local(8.0, 2.0)
    (8.0, (12.0,))
    """
    return Primitive(
        f"pow {n:g}", 1, lambda a: ieee.pow(a, n), lambda y, a: (power_slope(n, 1)(a),), (f"{n:g}·{{a}}^{n - 1.0:g}",),
        (POSITIVE,), f"^{n:g}", oracle=f"a**mpf({n!r})", hides_nan=n == 0.0,
    )  # fmt: skip


@family((2.0, 1), (0.5, 1), (0.5, 2), (-1.0, 1), (0.0, 1), (1 / 3, 2))
def power_slope(n: float, i: int) -> Primitive:
    """The derivative of `a**n` by `a`, i times."""
    return Primitive(
        f"pow_slope {n:g},{i}", 1, lambda a: ieee.pow_derivative(a, n, i, 0), lambda y, a: (power_slope(n, i + 1)(a),),
        (f"pow′({{a}}, {n:g})",), (POSITIVE,), f"(^{n:g}){'′' * i}",
        oracle=f"ff(mpf({n!r}), {i})*a**(mpf({n!r}) - {i})", hides_nan=n in range(i),
    )  # fmt: skip


# ---- the table -------------------------------------------------------------------------------------------------------
# Inside this module the names of rows hide the builtins abs, pow and round, on purpose.
# fmt: off
# Rows that a row above them refers to:
cos: Primitive; div: Primitive; floordiv: Primitive; log_slope: Primitive; sigmoid_slope: Primitive; sign: Primitive; step: Primitive; tanh: Primitive; tanh_slope: Primitive

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
log            = _row("log",              1,    ieee.log,         lambda y, a: (log_slope(a),),                      ("1/{a}",), (POSITIVE,), oracle="log(a)")
log_slope      = _inner("log_slope",      1,    ieee.log_slope,   lambda y, a: (-(y * y),),                          ("-{y}²",), (POSITIVE,), oracle="1/a")
sqrt           = _row("sqrt",             1,    ieee.sqrt,        lambda y, a: (div(0.5, y + 0.0),),                 ("1/(2·{y})",), (POSITIVE,), oracle="sqrt(a)")  # + 0.0: from -0.0 to 0.0
sin            = _row("sin",              1,    ieee.sin,         lambda y, a: (cos(a),),                            ("cos {a}",), (Interval(-1e5, 1e5),), oracle="sin(a)")
cos            = _row("cos",              1,    ieee.cos,         lambda y, a: (-sin(a),),                           ("-sin {a}",), (Interval(-1e5, 1e5),), oracle="cos(a)")
tanh           = _row("tanh",             1,    ieee.tanh,        lambda y, a: (tanh_slope(a),),                     ("1-{y}²",), (Interval(-350.0, 350.0),), oracle="tanh(a)")
tanh_slope     = _inner("tanh_slope",     1,    ieee.tanh_slope,  lambda y, a: (-2.0 * tanh(a) * y,),                ("-2·{y}·tanh {a}",), (Interval(-350.0, 350.0),), oracle="sech(a)**2")
sigmoid        = _row("sigmoid",          1,    ieee.sigmoid,     lambda y, a: (sigmoid_slope(a),),                  ("{y}·(1-{y})",), (MODERATE,), "σ", oracle="1/(1 + exp(-a))")
sigmoid_slope  = _inner("sigmoid_slope",  1,    ieee.sigmoid_slope, lambda y, a: (-tanh(0.5 * a) * y,),              ("-{y}·tanh({a}/2)",), (MODERATE,), "σ′", oracle="sech(a/2)**2/4")
relu           = _row("relu",             1,    ieee.relu,        lambda y, a: (step(a),),                           ("step {a}",), oracle="max(a, 0)")

sign           = _row("sign",             1,    ieee.sign,        None,                                              oracle="sign(a)")
step           = _row("step",             1,    ieee.step,        None,                                              oracle="a > 0")
floor          = _row("floor",            1,    ieee.floor,       None,                                              oracle="floor(a)")
ceil           = _row("ceil",             1,    ieee.ceil,        None,                                              oracle="ceil(a)")
round          = _row("round",            1,    ieee.round_half_even, None,                                          oracle="nint(a)")

# The products of the chain rule, upstream times local. Where the upstream gradient is zero: zero, whatever the local one
# is. `gate`: where the local gradient is zero, too, for operations that select.
chain          = _inner("chain",       2, lambda a, b: a * b if a != 0.0 else 0.0, lambda y, a, b: (b, a),           ("{b}", "{a}"), (REAL, REAL), "×", oracle="a*b", hides_nan=True)
gate           = _inner("gate",        2, ieee.gate,      lambda y, a, b: (b, a),                                    ("{b}", "{a}"), (REAL, REAL), "×", oracle="a*b", hides_nan=True)
# fmt: on

for _each in (abs, relu, gate):
    _each.selects = True
chain.selects = (False, True)
