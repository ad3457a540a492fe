"""A formula as text, such as `"sigmoid(w*x + b)"`, made into a function of its variables; no code is ever evaluated.

Text of unknown origin comes in here. It is read in three steps, none of which can run anything. Tokens are checked one
by one, with a clear error at the first that has no place in a formula. Python's own parser, `ast`, is then handed the
skeleton alone, in which every number and name is blanked, to settle precedence. The tree becomes a flat list of
operands and operations, which a stack machine runs. So the worst that a text can do is to be refused, at once and with
its place.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache, partial
from keyword import iskeyword
from typing import Any

from ..activations import functions as activations
from ..drawing.page.live import SIGNS, Comparison
from ..engine import primitive, table
from ..engine.primitive import Primitive, as_float
from ..engine.value import Value, constant
from ..functions import elementary as functions

__all__ = ["CONSTANTS", "FUNCTIONS", "Expression", "ExpressionError", "parse"]

# The public functions by name; those of any number of operands are their rows, which take the operands one by one.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(activations, name) for name in activations.__all__ if name != "activation"},
    **{name: getattr(functions, name) for name in functions.__all__},
    **{row.public: row for row in primitive.TABLE.values() if row.public and row.arity is None},
}
FUNCTIONS = dict(sorted(FUNCTIONS.items()))
_OPERANDS = {  # of the others: the parameters that have no default
    name: f.__code__.co_varnames[: f.__code__.co_argcount - len(f.__defaults__ or ())]
    for name, f in FUNCTIONS.items()
    if not isinstance(f, Primitive)
}
CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau, "inf": math.inf, "nan": math.nan}

MAX_LENGTH = 100_000  # characters
MAX_NAME = 100
MAX_BRACKETS = 50  # one in the other
MAX_POWERS = 100  # signs and ** in a row, each an operand of the one before
MAX_OPERATORS = 1000  # in a row, each taking the result of the one before

NUMBER = re.compile(r"(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[+-]?\d[\d_]*)?", re.ASCII | re.IGNORECASE)
SYMBOL = re.compile(r"\*\*|//|<=|>=|==|!=|[-+*/%<>()\[\],]")
# fmt: off
ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: table.add, ast.Sub: table.sub, ast.Mult: table.mul, ast.Div: table.div, ast.FloorDiv: table.floordiv,
    ast.Mod: table.mod, ast.Pow: functions.pow,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SIGN_OF = {holds: sign for sign, holds in SIGNS.items()}
INSTEAD = {
    "^": "for a power write **", "²": "write **2", "³": "write **3", "√": "write sqrt(...)", "∞": "write inf",
    "|": "for an absolute value write abs(...)", "@": "for a sum of products write dot([...], [...])",
    "=": "values are given apart from the expression", ";": "there is only one expression",
    "!": "only != is a comparison", ".": "write functions by their name alone; attributes are not supported",
    "≤": "write <=", "≥": "write >=", "≠": "write !=", **dict.fromkeys("{}", "write ( ) or [ ]"),
    **dict.fromkeys("×·∙⋅∗", "write *"), **dict.fromkeys("÷∕", "write /"), **dict.fromkeys("−–—", "write -"),
    **dict.fromkeys("'\"", "an expression holds no text in quotes"),
    **dict.fromkeys(("if", "else"), "for a choice write where(condition, a, b)"),
    **dict.fromkeys(("and", "or", "not"), "to combine conditions, put one where(...) into another"),
    **dict.fromkeys("₀₁₂₃₄₅₆₇₈₉", "write a plain digit, as in x1"), "True": "write 1", "False": "write 0",
}
OTHER_NAMES = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "sgn": "sign", "heaviside": "step", "clip": "clamp", "average": "mean",
    "product": "prod", "maximum": "max", "minimum": "min", "power": "pow", "fabs": "abs", "logistic": "sigmoid",
    "swish": "silu", "σ": "sigmoid", "Σ": "sum", "Π": "prod",
}
# fmt: on


class ExpressionError(ValueError):
    """A text that is no expression: what is wrong, and where.

    `message` says what; `text` is the expression, `column` the offset of the fault in it, from 0 to its length, and
    `width` the number of characters concerned. As a string it shows the text with carets under the spot.

    >>> from scalargrad.cli.expression import parse
    >>> parse("2 * sigmiod(x)")
    Traceback (most recent call last):
    ...
    scalargrad.cli.expression.ExpressionError: unknown function 'sigmiod'; did you mean 'sigmoid'?
      2 * sigmiod(x)
          ^^^^^^^
    """

    def __init__(self, message: str, text: str, column: int, width: int = 1) -> None:
        super().__init__(message, text, column, width)
        self.message, self.text, self.column, self.width = message, text, column, width

    def __str__(self) -> str:
        return self.render()

    def render(self, encoding: str = "utf-8", before: int = 60, behind: int = 30) -> str:
        """The message, the text around the spot as it can be shown in an encoding, and the carets below it."""
        width = min(self.width, 80)
        start, end = max(0, self.column - before), self.column + width + behind
        shown = [_printable(c, encoding) for c in self.text[start:end]]
        spot = self.column - start
        ahead = "..." if start else ""
        line = ahead + "".join(shown) + ("..." if end < len(self.text) else "")
        indent = display_width(ahead + "".join(shown[:spot]))
        carets = max(1, display_width("".join(shown[spot : spot + width])))
        message = "".join(_printable(c, encoding) for c in self.message)
        return f"{message}\n  {line}\n  {' ' * indent}{'^' * carets}"


def display_width(text: str) -> int:
    """The columns that a text takes in a terminal: two for wide East Asian characters, none for combining ones.

    >>> display_width("θ*x"), display_width("가중치")
    (3, 6)
    """
    return len(text) if text.isascii() and text.isprintable() else sum(map(_character_width, text))


@cache
def _character_width(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Me", "Cf") or "\u1160" <= c <= "\u11ff":  # or it joins a Korean block
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def _printable(c: str, encoding: str) -> str:
    """The character, or question marks as wide as it where it cannot be shown."""
    if c.isspace():
        return " "
    shown = c.isprintable() or unicodedata.category(c) == "Cf"
    return c if shown and c.encode(encoding, "ignore") else "?" * (display_width(c) if shown else 1)


Instruction = float | str | tuple[Callable[..., Any], int]  # push a number or a variable; call on the last so many


class _Level:
    """An open bracket, or the text outside all: its kind, its place, and the operators in a row in it."""

    def __init__(self, kind: str, column: int) -> None:
        self.kind, self.column, self.operators, self.powers = kind, column, 0, 0


class _Reader:
    """Checks a text token by token, which makes the skeleton for `ast`; and turns what that makes into instructions."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: dict[int, float | str] = {}  # numbers and names as Python would normalise them, by their column
        self.skeleton: list[str] = []
        self.variables: dict[str, None] = {}
        self.levels = [_Level("", 0)]
        self.operand_next = True  # a number, a name, a sign or an opening bracket comes next; else an operator
        self.previous = ""

    def fail(self, message: str, column: int | None = None, width: int = 1) -> ExpressionError:
        return ExpressionError(message, self.text, self.at if column is None else column, width)

    def read(self) -> None:
        if len(self.text) > MAX_LENGTH:
            raise self.fail(f"too long: {len(self.text)} characters, at most {MAX_LENGTH}", MAX_LENGTH)
        while self.at < len(self.text):
            c = self.text[self.at]
            if c.isspace():
                self.skeleton.append(" ")
                self.at += 1
                continue
            if (number := NUMBER.match(self.text, self.at)) and (c != "." or self.operand_next):
                found = self.number(number[0])
            elif c.isidentifier():
                found = self.name()
            elif symbol := SYMBOL.match(self.text, self.at):
                found = self.symbol(symbol[0])
            elif c.isprintable():
                raise self.fail(f"{c!r} is not supported: {INSTEAD.get(c, 'it has no meaning in a formula')}")
            else:
                raise self.fail(f"an unprintable character, U+{ord(c):04X}")
            self.at += len(found)
            self.previous = found
        if len(self.levels) > 1:
            column = self.levels[-1].column
            raise self.fail(f"'{self.text[column]}' is never closed", column)
        if self.operand_next:
            raise self.missing(f"after '{self.previous}'" if self.previous else "here")

    def missing(self, where: str, width: int = 1) -> ExpressionError:
        return self.fail(f"a number, a variable or a function is missing {where}", width=width)

    def operand(self, meaning: float | str, width: int) -> None:
        if not self.operand_next:
            hint = f"brackets are missing: write {self.previous}(...)" if self.previous in FUNCTIONS else ""
            raise self.fail(hint or "an operator is missing before this", width=width)
        self.tokens[self.at] = meaning
        self.skeleton.append("_" * width)
        self.operand_next = False

    def name(self) -> str:
        found = self.text[self.at : self.identifier_end(self.at)]
        if len(found) > MAX_NAME:
            raise self.fail(f"a name of {len(found)} characters, at most {MAX_NAME}", width=len(found))
        name = unicodedata.normalize("NFKC", found)  # as Python does: full-width letters are letters
        if iskeyword(name):
            hint = INSTEAD.get(name, "choose another name")
            raise self.fail(f"'{name}' is a word of Python, not a variable: {hint}", width=len(found))
        self.operand(name, len(found))
        return found

    def number(self, start: str) -> str:
        end = self.at + len(start)
        while end < len(self.text) and (self.text[end] == "." or self.identifier_end(end) > end):
            end = max(end + 1, self.identifier_end(end))
        found = self.text[self.at : end]
        try:
            value = float(start)
        except ValueError:  # an underscore that separates nothing
            value = math.nan
        if value != value or found != start:
            rest = found[len(start) :]
            hint = f"; for a product write {start}*{rest}" if rest.isidentifier() and start != "0" else ""
            shown = f"'{found}' is not a decimal number{hint}" if len(found) <= MAX_NAME else "not a decimal number"
            raise self.fail(shown, width=len(found))
        self.operand(value, len(found))
        return found

    def identifier_end(self, at: int) -> int:
        while at < len(self.text) and ("a" + self.text[at]).isidentifier():
            at += 1
        return at

    def symbol(self, c: str) -> str:
        level = self.levels[-1]
        if c in "([":
            self.open(c)
        elif c in ")]":
            self.close(c)
        elif self.operand_next and c not in "+-":
            raise self.missing(f"before '{c}'", len(c))
        elif c == ",":
            if level.kind in ("", "group"):
                raise self.fail("a comma separates only what stands in a function's ( ) or a list's [ ]")
            level.operators = level.powers = 0
        elif self.operand_next or c == "**":
            level.powers += 1
            if sum(each.powers for each in self.levels) > MAX_POWERS:
                raise self.fail(f"more than {MAX_POWERS} signs or powers in a row", width=len(c))
        else:
            level.powers = 0
            level.operators += 1
            if sum(each.operators for each in self.levels) > MAX_OPERATORS:
                raise self.fail(f"more than {MAX_OPERATORS} operators in a row: use sum(...)", width=len(c))
        self.operand_next = c not in ")]"
        self.skeleton.append(c)
        return c

    def open(self, c: str) -> None:
        if len(self.levels) > MAX_BRACKETS:
            raise self.fail(f"more than {MAX_BRACKETS} brackets, one in the other")
        if not self.operand_next:
            if c == "[":
                raise self.fail("an index is not supported: give each variable a name of its own, such as x1")
            if self.previous in (")", "]") or not self.previous[0].isidentifier():
                raise self.fail("only functions can be called: for a product write *")
        self.levels.append(_Level("list" if c == "[" else "group" if self.operand_next else "call", self.at))

    def close(self, c: str) -> None:
        level = self.levels[-1]
        if not level.kind:
            raise self.fail(f"'{c}' closes nothing")
        if (level.kind == "list") != (c == "]"):
            raise self.fail(f"'{c}' cannot close '{self.text[level.column]}'")
        if self.operand_next and (level.kind == "group" or self.previous not in ("(", "[", ",")):
            raise self.missing(f"before '{c}'")
        self.levels.pop()

    def refused(self, message: str, node: ast.expr) -> ExpressionError:
        start, end = self.extent(node.func if isinstance(node, ast.Call) else node)
        return self.fail(message, start, end - start)

    def extent(self, node: ast.expr) -> tuple[int, int]:
        """The columns of a node, from and to; the skeleton that was parsed begins with a bracket of ours."""
        return node.col_offset - 1, (node.end_col_offset or 1) - 1

    def instructions(self, root: ast.expr) -> list[Instruction]:
        """The tree of the skeleton, operands before operations, without recursion."""
        made: list[Instruction] = []
        pending: list[ast.expr | Instruction] = [root]
        while pending:
            node = pending.pop()
            if not isinstance(node, ast.expr):
                made.append(node)
            elif isinstance(node, ast.Name):
                made.append(self.named(node))
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
                pending.append(node.operand)
            else:
                operation, operands = self.operation(node)
                pending.append((operation, len(operands)))
                pending += reversed(operands)
        return made

    def named(self, node: ast.Name) -> float | str:
        name = self.tokens[self.extent(node)[0]]
        if isinstance(name, float):
            return name
        if name in FUNCTIONS:
            raise self.refused(f"'{name}' is a function: write {name}(...)", node)
        if name in CONSTANTS:
            return CONSTANTS[name]
        self.variables[name] = None
        return name

    def operation(self, node: ast.expr) -> tuple[Callable[..., Any], list[ast.expr]]:
        match node:
            case ast.BinOp():
                return ARITHMETIC[type(node.op)], [node.left, node.right]
            case ast.UnaryOp():
                return table.neg, [node.operand]
            case ast.Call():
                return self.called(node)
            case ast.Compare():
                raise self.refused("a comparison stands only in the first place of where(condition, a, b)", node)
            case _:
                raise self.refused("a list stands only in a function of many numbers, such as sum([a, b])", node)

    def called(self, node: ast.Call) -> tuple[Callable[..., Any], list[ast.expr]]:
        name, given = str(self.tokens[self.extent(node)[0]]), node.args
        function = FUNCTIONS.get(name)
        if function is None:
            raise self.refused(_unknown(name), node)
        if name == "dot":
            match given:
                case [ast.List(elts=left), ast.List(elts=right)] if len(left) == len(right) > 0:
                    return function, left + right
            raise self.refused("dot takes two lists of one length: dot([a, b], [c, d])", node)
        if name not in _OPERANDS:
            match given:
                case [ast.List(elts=operands)]:
                    given = operands
            if not given:
                raise self.refused(f"{name} takes one number or more: {name}(a, b) or {name}([a, b])", node)
            return function, given
        names = _OPERANDS[name]
        if len(given) != len(names):
            takes = f"{len(names)} number{'s'[: len(names) - 1]}"
            raise self.refused(f"{name}({', '.join(names)}) takes {takes}, not {len(given)}", node)
        if name == "where" and isinstance(given[0], ast.Compare):
            return self.chosen(given[0]), [given[0].left, *given[0].comparators, *given[1:]]
        return function, given

    def chosen(self, condition: ast.Compare) -> Callable[..., Any]:
        start, end = self.extent(condition)
        return partial(_where, tuple(COMPARISONS[type(each)] for each in condition.ops), self.text[start:end])


def _unknown(name: str) -> str:
    if name in CONSTANTS:
        return f"'{name}' is a number, not a function; for a product write {name}*(...)"
    near = [OTHER_NAMES[name]] if name in OTHER_NAMES else get_close_matches(name, FUNCTIONS, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"for a product write {name}*(...)"
    return f"unknown function '{name}'; {hint}"


def _where(comparisons: tuple[Callable[[Any, Any], bool], ...], text: str, *operands: Any) -> Any:
    """`where` on a comparison, which counts as 1.0 or 0.0, and is drawn as a constant that bears its text."""
    *compared, a, b = operands
    holds = all(holds(x, y) for holds, x, y in zip(comparisons, compared, compared[1:], strict=False))
    condition: Any = float(holds)
    if any(type(x) is Value for x in compared):
        condition = constant(condition)
        condition.label = text
    return functions.where(condition, a, b)


class Expression:
    """A formula as a function of its variables, made by `parse`.

    `text` is the formula, `variables` the names in it, in order of appearance. It is called with a mapping from every
    variable to a number or `Value`, with a list of them in that order, or with arguments by position or by name. As any
    function it can be handed to `grad`, `hessian` and their kin. Arithmetic follows IEEE 754, as the table's rows do.
    Raises `ValueError` where variables are left out or unknown, and `TypeError` for what is not a number.

    >>> from scalargrad import grad, Value
    >>> f = parse("w*x**2 + b")
    >>> f.variables, f(2, 3, b=1), grad(f)({"w": 2.0, "x": 3.0, "b": 1.0})
    (('w', 'x', 'b'), 19.0, {'w': 9.0, 'x': 12.0, 'b': 1.0})
    >>> x = Value(3.0); y = f(w=2.0, x=x, b=1.0); y.backward(); (y.data, x.grad)
    (19.0, 12.0)
    """

    __slots__ = ("_instructions", "text", "variables")

    def __init__(self, text: str, variables: tuple[str, ...], instructions: tuple[Instruction, ...]) -> None:
        self.text, self.variables, self._instructions = text, variables, instructions

    def __repr__(self) -> str:
        return f"parse({self.text!r})"

    def __call__(self, *given: Any, **named: Any) -> Any:
        values = self._bound(given, named)
        stack: list[Any] = []
        for _ in self._run(values, stack):
            pass
        return stack.pop()

    def _run(self, values: Mapping[str, Any], stack: list[Any]) -> Iterator[tuple[Callable[..., Any], list[Any]]]:
        """Run the instructions on a stack; after each operation, yield it and its operands."""
        for instruction in self._instructions:
            if isinstance(instruction, tuple):
                operation, count = instruction
                operands = stack[-count:]
                del stack[-count:]
                stack.append(operation(*operands))
                yield operation, operands
            else:
                stack.append(values[instruction] if isinstance(instruction, str) else instruction)

    def with_comparisons(self, values: Mapping[str, Any]) -> tuple[Any, list[Comparison]]:
        """What the formula gives, and the comparisons in it that chose an arm of `where`."""
        stack: list[Any] = []
        found = []
        for operation, operands in self._run(values, stack):
            if isinstance(operation, partial) and operation.func is _where and isinstance(stack[-1], Value):
                signs = [_SIGN_OF[holds] for holds in operation.args[0]]
                terms = tuple(zip(operands, signs, operands[1:-2], strict=False))
                found.append(Comparison(terms, operation.args[1], stack[-1].parents[0]))
        return stack.pop(), found

    def undefined(self, point: Mapping[str, float]) -> str:
        """The first operation that has no value at its operands, such as "log(-1.0)"; "" if each has one.

        >>> parse("1 + sqrt(x)").undefined({"x": -2.0})
        'sqrt(-2.0)'
        """
        stack: list[Any] = []
        for operation, operands in self._run(point, stack):
            if math.isnan(stack[-1]) and not any(map(math.isnan, operands)):
                name = getattr(operation, "name", None) or getattr(operation, "__name__", "where")
                shown = [*map(repr, operands)] if len(operands) <= 4 else [*map(repr, operands[:3]), "..."]
                return f"{name}({', '.join(shown)})"
        return ""

    def _bound(self, given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """Every variable's value: a float, or what records operations."""
        ordered: tuple[Any, ...] = given
        if len(given) == 1 and isinstance(given[0], Mapping):
            ordered, named = (), {**given[0], **named}
        elif len(given) == 1 and isinstance(given[0], list | tuple):
            ordered = tuple(given[0])
        known = ", ".join(self.variables) or "none"
        if len(ordered) > len(self.variables):
            raise ValueError(f"{len(ordered)} values for {len(self.variables)} variable(s): {known}")
        bound = dict(zip(self.variables, ordered, strict=False))
        for name, x in named.items():
            if name not in self.variables or name in bound:
                fault = "is given twice" if name in bound else "is not a variable of the expression"
                raise ValueError(f"{name!r} {fault}; its variables: {known}")
            bound[name] = x
        if missing := [name for name in self.variables if name not in bound]:
            raise ValueError(f"no value for {', '.join(missing)}")
        return {name: x if hasattr(type(x), "_record") else as_float(x, name) for name, x in bound.items()}


def parse(text: str) -> Expression:
    """Make a function of a formula given as text, without evaluating anything in it.

    A formula consists of numbers (all are floats), variables (any name, in any script), the constants `pi`, `e`, `tau`,
    `inf` and `nan`, `+ - * / // % **` with Python's precedence, brackets, the functions of `scalargrad.functions`, and
    the activations with their default parameters. `sum`, `mean`, `prod`, `max`, `min` and `logsumexp` take numbers or
    one list of them, `dot` two lists; `softmax` and `log_softmax` take numbers or a list, too, and give the first one's
    share. The condition of `where(condition, a, b)` may be a comparison, which counts as 1.0 or 0.0.

    Returns an `Expression`. Raises `ExpressionError`, with the place, for anything else, and for what is too long
    (100,000 characters) or too deep (50 brackets, 100 signs or powers in a row, 1,000 other operators in a row).

    >>> parse("where(x > 0, x, 0.1*x)")(-3)
    -0.30000000000000004
    >>> parse("9**9**9")()
    inf
    >>> parse("softmax(x, 2, 3)")(1), parse("gelu(x)")(1)
    (0.09003057317038046, 0.841344746068543)
    """
    if not isinstance(text, str):
        raise TypeError(f"parse: expected a str, got {type(text).__name__}")
    reader = _Reader(text)
    reader.read()
    try:
        root = ast.parse(f"({''.join(reader.skeleton)})", mode="eval").body
    except (SyntaxError, MemoryError, RecursionError) as error:  # the caller has left no stack to parse on
        raise ExpressionError(f"Python's parser gave up: {error}", text, 0, len(text)) from None
    instructions = reader.instructions(root)
    return Expression(text, tuple(reader.variables), tuple(instructions))
