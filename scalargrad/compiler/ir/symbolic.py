"""Rows of the table as elementary operations, found by running a row's own function on symbols.

A row's value is written once, in Python, in the table. Run on symbols instead of floats, that function leaves its
arithmetic behind as instructions; where it branches, it is run once for each way, and the results are joined by
selections. So eager and compiled code cannot differ: there is one definition. `lowering.py` puts the bodies that are
found here into programs.

Functions of this package see symbols through copies of themselves, in whose globals `math`, the builtins and each other
are replaced by what works on symbols.
"""

from __future__ import annotations

import builtins
import math
import operator
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from math import inf, isnan, nan
from types import BuiltinFunctionType, CellType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

from ...engine import ieee
from ...engine.primitive import Primitive
from .elementary import CONDITIONS, EVALUATE, LIBRARY, SINGLE
from .program import Program

MOST_PATHS = 64
_lock = threading.RLock()


class NotSymbolicError(Exception):
    """A function that does not run on symbols: it converts them, or branches too often."""


class _Unknown:
    """The result of an instruction."""

    __slots__ = ("k", "program")

    def __init__(self, program: Program, k: int) -> None:
        self.program = program
        self.k = k

    def __eq__(self, other: object) -> Any:  # Python's own would answer by identity
        raise NotSymbolicError

    __hash__ = None  # type: ignore[assignment]


class Symbol(_Unknown):
    """A float that is not known yet."""

    __slots__ = ()

    def __neg__(self) -> Any:
        return op("neg", self)

    def __abs__(self) -> Any:
        return op("abs", self)

    def __bool__(self) -> bool:
        return bool(op("ne", self, 0.0))

    def __float__(self) -> float:
        raise NotSymbolicError

    def __int__(self) -> int:
        raise NotSymbolicError

    __index__ = __int__


class Condition(_Unknown):
    """A truth value that is not known yet. `bool()` takes one of both ways, and `joined` sees to the other."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return _paths[-1].decide(self)


class _Path:
    def __init__(self, prefix: Sequence[bool]) -> None:
        self.prefix = prefix
        self.taken: list[tuple[Condition, bool]] = []
        self.known: dict[int, bool] = {}

    def decide(self, condition: Condition) -> bool:
        for path in _paths:
            if condition.k in path.known:
                return path.known[condition.k]
        way = self.prefix[len(self.taken)] if len(self.taken) < len(self.prefix) else True
        self.taken.append((condition, way))
        self.known[condition.k] = way
        return way


_paths: list[_Path] = []  # of the functions that are being run, the innermost last
_IMPOSSIBLE: Any = object()


def joined(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """What a function returns on symbols: every way through it, joined by selections."""
    count = 0

    def explore(prefix: list[bool]) -> Any:
        nonlocal count
        count += 1
        if count > MOST_PATHS:
            raise NotSymbolicError
        path = _Path(prefix)
        _paths.append(path)
        try:
            result = function(*arguments)
        except (ValueError, ZeroDivisionError):  # rows raise on no float, so no float takes this way
            result = _IMPOSSIBLE
        finally:
            _paths.pop()
        for k in range(len(path.taken) - 1, len(prefix) - 1, -1):
            other = explore([*(way for _, way in path.taken[:k]), False])
            result = select(path.taken[k][0], result, other)
        return result

    return explore([])


def select(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`; of tuples and lists, by place."""
    if a is _IMPOSSIBLE or b is _IMPOSSIBLE:
        return b if a is _IMPOSSIBLE else a
    if isinstance(condition, bool):
        return a if condition else b
    if isinstance(a, tuple | list):
        return type(a)(select(condition, x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool | Condition) or isinstance(b, bool | Condition):
        return (condition & a) | (_not(condition) & b)
    return op("select", condition, a, b)


def _operand(program: Program, x: Any) -> int:
    return x.k if isinstance(x, _Unknown) else program.constant(float(x))


def _value(program: Program, k: int) -> Any:
    return Symbol(program, k) if k >= 0 else program.constants[~k]


def op(name: str, *operands: Any) -> Any:
    """One elementary operation on symbols, conditions and floats."""
    program = next((x.program for x in operands if isinstance(x, _Unknown)), None)
    if program is None:
        return EVALUATE[name](*operands)
    if name == "select":
        condition, a, b = operands
        i, j = _operand(program, a), _operand(program, b)
        if i == j:
            return a
        if condition.k >= program.inputs and program.operations[condition.k - program.inputs] == "lt":
            low, high = program.operands[condition.k - program.inputs]
            if (i, j) in ((low, high), (high, low)):
                return Symbol(program, program.emit("min" if i == low else "max", (i, j)))
        k = j - program.inputs  # c ? a : (d ? a : b) is (c or d) ? a : b
        if k >= 0 and program.operations[k] == "select" and program.operands[k][1] == i:
            other, _, j = program.operands[k]
            return Symbol(program, program.emit("select", (either(program, condition.k, other), i, j)))
        same = program.operations[k] if k >= 0 else ""
        if i >= program.inputs and same == program.operations[i - program.inputs] != "select":
            pairs = list(zip(program.operands[i - program.inputs], program.operands[k], strict=True))
            if sum(x != y and (x >= 0 or y >= 0) for x, y in pairs) <= 1:  # c ? f(a) : f(b) is f(c ? a : b)
                return op(same, *[select(condition, _value(program, x), _value(program, y)) for x, y in pairs])
        return Symbol(program, program.emit("select", (condition.k, i, j)))
    k = program.emit(name, tuple([_operand(program, x) for x in operands]))
    return (Condition if name in CONDITIONS else Symbol)(program, k)


def either(program: Program, c: int, d: int) -> int:
    """The condition `c or d`; of `a < x` and "x is nan", where a is a number, it is "not x <= a", one comparison."""
    first, second = program.operations[c - program.inputs], program.operations[d - program.inputs]
    p, q = program.operands[c - program.inputs], program.operands[d - program.inputs]
    if (
        first == "lt"
        and second == "unordered"
        and q == (p[1], p[1])
        and p[0] < 0
        and not isnan(program.constants[~p[0]])
    ):
        return program.emit("nle", (p[1], p[0]))
    return program.emit("or", (c, d))


def _not(c: Any) -> Any:
    return not c if isinstance(c, bool) else op("not", c)


def _both(name: str, empty: bool) -> Callable[[Any, Any], Any]:
    def method(a: Any, b: Any) -> Any:
        for x, y in ((a, b), (b, a)):
            if isinstance(x, bool):
                return y if x is empty else x
        return op(name, a, b)

    return method


_and, _or = _both("and", True), _both("or", False)
for _title in ("__and__", "__rand__"):
    setattr(Condition, _title, _and)
for _title in ("__or__", "__ror__"):
    setattr(Condition, _title, _or)


def _arithmetic(name: str, a: Any, b: Any) -> Any:
    """Of symbols, numbers and truth values, which count as 1 and 0."""
    for condition, other in ((a, b), (b, a)):
        if isinstance(condition, Condition) and not isinstance(other, _Unknown):
            one, zero = ((x, other) if condition is a else (other, x) for x in (1.0, 0.0))
            return select(condition, EVALUATE[name](*one), EVALUATE[name](*zero))
    a, b = (select(x, 1.0, 0.0) if isinstance(x, Condition) else x for x in (a, b))
    return op(name, a, b)


def _make_operators() -> None:
    for title, name in (("add", "add"), ("sub", "sub"), ("mul", "mul"), ("truediv", "div")):
        for kind in (Symbol, Condition):
            setattr(kind, f"__{title}__", lambda a, b, name=name: _arithmetic(name, a, b))
            setattr(kind, f"__r{title}__", lambda a, b, name=name: _arithmetic(name, b, a))
    for title, name, swap in (
        ("lt", "lt", False), ("le", "le", False), ("gt", "lt", True), ("ge", "le", True), ("eq", "eq", False),
        ("ne", "ne", False),
    ):  # fmt: skip
        setattr(Symbol, f"__{title}__", lambda a, b, n=name, s=swap: op(n, b, a) if s else op(n, a, b))
    for title, function in (("__mod__", _mod), ("__floordiv__", _floordiv)):
        setattr(Symbol, title, function)


# ---- what takes the place of functions that do not run on symbols ----------------------------------------------------


def _mod(a: Any, b: Any) -> Any:
    """Python's `%`, as CPython computes it from C's `fmod`; nan for b = 0."""
    r = op("fmod", a, b)
    other_sign = select(op("lt", b, 0.0), op("le", 0.0, r), op("lt", r, 0.0))
    m = select(op("ne", r, 0.0), select(other_sign, r + b, r), op("copysign", 0.0, b))
    return select(op("ne", b, 0.0), m, nan)


def _floordiv(a: Any, b: Any) -> Any:
    """Python's `//`, as CPython computes it; `a / b` for b = 0."""
    r = op("fmod", a, b)
    other_sign = select(op("lt", b, 0.0), op("le", 0.0, r), op("lt", r, 0.0)) & op("ne", r, 0.0)
    quotient = op("div", op("sub", a, r), b)
    quotient = select(other_sign, quotient - 1.0, quotient)
    whole = op("floor", quotient)
    whole = select(op("lt", 0.5, quotient - whole), whole + 1.0, whole)
    ratio = op("div", a, b)
    found = select(op("ne", quotient, 0.0), whole, op("copysign", 0.0, ratio))
    return select(op("ne", b, 0.0), found, ratio)


def _isnan(x: Any) -> Any:
    return op("unordered", x, x) if isinstance(x, Symbol) else math.isnan(x)


def _isinf(x: Any) -> Any:
    return op("eq", op("abs", x), inf)


def _extremum(better: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def method(*xs: Any) -> Any:
        first, *rest = xs if len(xs) > 1 else xs[0]
        for x in rest:
            first = select(better(x, first), x, first)
        return first

    return method


def _any(conditions: Iterable[Any]) -> Any:
    found: Any = False
    for each in conditions:
        found = _or(found, each)
    return found


def _float(x: Any) -> Any:
    return x if isinstance(x, Symbol) else float(x)


_MACHINE = ("div", "sqrt", "floor", "ceil", "rint", "abs", "copysign", "scale", "exponent", "mantissa")
_REPLACED: dict[Any, Callable[..., Any]] = {
    **{function: partial(op, name) for name, function in LIBRARY.items()},
    **{SINGLE[name]: partial(op, name) for name in _MACHINE},
    ieee.mod: _mod,
    ieee.floordiv: _floordiv,
    math.isnan: _isnan,
    math.isinf: _isinf,
    math.sqrt: partial(op, "sqrt"),
}
for _name in LIBRARY:
    if hasattr(math, _name) and _name != "hypot":  # math.hypot is an algorithm of Python's own
        _REPLACED[getattr(math, _name)] = _REPLACED[LIBRARY[_name]]
_BUILTINS = {
    **vars(builtins),
    "max": _extremum(operator.gt),
    "min": _extremum(operator.lt),
    "any": _any,
    "float": _float,
}
_MATH = SimpleNamespace(
    **{name: _REPLACED.get(each, each) if callable(each) else each for name, each in vars(math).items()}
)
_copies: dict[Any, Callable[..., Any]] = {}
_PACKAGE = __name__.partition(".")[0]


class _Module:
    """A module of this package, or a row that a function closes over, as the copies of functions see it."""

    def __init__(self, module: ModuleType | Primitive) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        return _seen(getattr(self.module, name))


class _Globals(dict[str, Any]):
    """The globals of a module as the copies of functions see them, looked up each time, so that none is out of date."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(__builtins__=_BUILTINS, __name__=module.__name__)
        self.module = module

    def __missing__(self, name: str) -> Any:
        return _seen(vars(self.module)[name])


def _in_package(x: Any) -> bool:
    return isinstance(getattr(x, "__module__", None), str) and x.__module__.partition(".")[0] == _PACKAGE


def _seen(x: Any) -> Any:
    """A global, as the copies of functions see it."""
    if x is math:
        return _MATH
    if isinstance(x, ModuleType):
        return _Module(x) if x.__name__.partition(".")[0] == _PACKAGE else x
    if isinstance(x, FunctionType | BuiltinFunctionType):
        if x in _REPLACED:
            return _REPLACED[x]
        if isinstance(x, FunctionType) and _in_package(x):
            return _copy(x)
    return x


def _in_cell(x: Any) -> Any:
    """What a function closes over: a row for its `compute`, as those rows do that are made of another."""
    return _Module(x) if isinstance(x, Primitive) and not x.own else _seen(x)


def _copy(function: FunctionType) -> Callable[..., Any]:
    found = _copies.get(function)
    if found is not None:
        return found
    made: list[FunctionType] = []

    def run(*arguments: Any) -> Any:
        if not made:
            scope = _Globals(sys.modules[function.__module__])
            cells = tuple(CellType(_in_cell(cell.cell_contents)) for cell in function.__closure__ or ())
            made.append(FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells))
        return joined(made[0], arguments)

    if function.__closure__ is None:
        _copies[function] = run
    return run


_make_operators()


def body(compute: Callable[..., Any], count: int) -> Program | None:
    """A function of `count` floats as a program of elementary operations; None for one that does not run on symbols."""
    program = Program(count)
    with _lock, suppress(NotSymbolicError):  # paths and copies are everybody's
        seen = _seen(compute)
        if seen is not compute or compute in (operator.add, operator.sub, operator.mul, operator.neg, operator.abs):
            program.outputs = [_operand(program, seen(*[Symbol(program, k) for k in range(count)]))]
            return program.without_dead()
    return None
