"""A formula as text, such as `"sigmoid(w*x + b)"`, made into a function of its variables. Nothing is ever evaluated as code.

This stands apart as the one place where text of unknown origin comes in. It is read in three steps, none of which can run
anything: tokens are checked one by one, with a clear error at the first that does not belong to a formula; Python's own
parser, `ast`, is then handed the skeleton alone, in which every number and name is blanked, to settle precedence; and
the tree becomes a flat list of rows of the table and operands, which a stack machine runs. So the worst that a text
can do is to be refused, at once and with its place.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from keyword import iskeyword
from typing import Any, NamedTuple

from . import functions
from . import primitives as table
from .primitives import Primitive, as_float
from .value import Value, constant

__all__ = ["CONSTANTS", "FUNCTIONS", "Expression", "ExpressionError", "parse"]

FUNCTIONS: dict[str, Primitive] = {name: table.TABLE[name] for name in functions.__all__}
CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau, "inf": math.inf, "nan": math.nan}
AT_LEAST_ONE = {name: 1 for name, row in FUNCTIONS.items() if row.arity is None and name != "dot"}

MAX_LENGTH = 100_000  # characters
MAX_BRACKETS = 50  # one in the other
MAX_POWERS = 100  # signs and ** in a row, each an operand of the one before
MAX_OPERATORS = 1000  # in a row, each taking the result of the one before

NUMBER = re.compile(r"(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[+-]?\d[\d_]*)?", re.ASCII | re.IGNORECASE)
SYMBOL = re.compile(r"\*\*|//|<=|>=|==|!=|[-+*/%<>()\[\],]")
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: table.add,
    ast.Sub: table.sub,
    ast.Mult: table.mul,
    ast.Div: table.div,
    ast.FloorDiv: table.floordiv,
    ast.Mod: table.mod,
    ast.Pow: functions.pow,
}
INSTEAD = {
    "^": "for a power write **",
    "=": "values are given apart from the expression",
    "!": "only != is a comparison",
    "|": "for an absolute value write abs(...)",
    "@": "for a sum of products write dot([...], [...])",
    ".": "functions are written by their name alone, and attributes are not supported",
    "{": "write ( ) or [ ]",
    "}": "write ( ) or [ ]",
    ";": "only one expression can be given",
    "'": "text is not supported",
    '"': "text is not supported",
    "√": "write sqrt(...)",
    "π": "write pi",
    "∞": "write inf",
    "²": "write **2",
    "³": "write **3",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    **dict.fromkeys("×·∙⋅∗", "write *"),
    **dict.fromkeys("÷∕", "write /"),
    **dict.fromkeys("−–—", "write -"),
    "if": "for a choice write where(condition, a, b)",
    "else": "for a choice write where(condition, a, b)",
    **dict.fromkeys(("and", "or", "not"), "put one where(...) into another"),
    "True": "write 1",
    "False": "write 0",
}


class ExpressionError(ValueError):
    """A text that is no expression: what is wrong, and where.

    `message` says what; `text` is the expression, `column` the offset of the fault in it, from 0 to its length, and `width`
    the number of characters concerned. As a string it shows the text with carets under the spot.

    >>> from scalargrad.expression import parse
    >>> parse("2 * sigmiod(x)")
    Traceback (most recent call last):
    ...
    scalargrad.expression.ExpressionError: unknown function 'sigmiod'; did you mean 'sigmoid'?
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
        start, end = max(0, self.column - before), self.column + self.width + behind
        shown = [_printable(c, encoding) for c in self.text[start:end]]
        spot = self.column - start
        ahead = "..." if start else ""
        line = ahead + "".join(shown) + ("..." if end < len(self.text) else "")
        indent = display_width(ahead + "".join(shown[:spot]))
        carets = max(1, display_width("".join(shown[spot : spot + self.width])))
        message = "".join(_printable(c, encoding) for c in self.message)
        return f"{message}\n  {line}\n  {' ' * indent}{'^' * carets}"


def display_width(text: str) -> int:
    """The columns that a text takes in a terminal: two for wide East Asian characters, none for combining ones.

    >>> display_width("θ*x"), display_width("가중치")
    (3, 6)
    """
    return sum(
        0
        if unicodedata.category(c) in ("Mn", "Me", "Cf") or "\u1160" <= c <= "\u11ff"  # vowels and finals join a Korean block
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )


def _printable(c: str, encoding: str) -> str:
    """The character, or question marks as wide as it where it cannot be shown."""
    if c.isspace() or not c.isprintable() and unicodedata.category(c) != "Cf":
        return " " if c.isspace() else "?"
    try:
        c.encode(encoding)
    except UnicodeEncodeError:
        return "?" * display_width(c)
    return c


# ---- tokens ----------------------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    """A number, with its value, or a name as Python would normalise it; `end` is the column behind it."""

    meaning: float | str
    end: int


class _Level:
    """What is known of an open bracket, or of the text outside all: its kind, its place, the operators in a row in it."""

    def __init__(self, kind: str, column: int) -> None:
        self.kind, self.column, self.operators, self.powers = kind, column, 0, 0


class _Reader:
    """Checks a text token by token; makes the skeleton for `ast`, and the tokens by their column."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: dict[int, _Token] = {}
        self.skeleton: list[str] = []
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
                raise self.fail(f"'{c}' is not supported" + (f": {INSTEAD[c]}" if c in INSTEAD else " in an expression"))
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
            raise self.fail(f"an operator is missing before '{self.text[self.at : self.at + width]}'", width=width)
        self.tokens[self.at] = _Token(meaning, self.at + width)
        self.skeleton.append("_" * width)
        self.operand_next = False

    def name(self) -> str:
        found = self.text[self.at : self.identifier_end(self.at)]
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
            if len(found) > len(start):
                raise ValueError
            value = float(found)
        except ValueError:
            rest = found[len(start) :]
            hint = f"; for a product write {start}*{rest}" if rest.isidentifier() and start != "0" else ""
            raise self.fail(f"'{found}' is not a decimal number{hint}"[:200], width=len(found)) from None
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
                raise self.fail(f"more than {MAX_OPERATORS} operators in a row: use sum(...) or prod(...)", width=len(c))
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


# ---- from the tree to a program --------------------------------------------------------------------------------------

Step = float | str | tuple[Callable[..., Any], int]  # push a number, push a variable, or call on the last so many


class _Compiler:
    """Turns the tree of a checked skeleton into steps, operands before operations, without recursion."""

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader
        self.tokens = reader.tokens
        self.variables: dict[str, None] = {}

    def fail(self, message: str, node: ast.expr) -> ExpressionError:
        name = self.tokens.get(node.col_offset)
        named = isinstance(node, ast.Name | ast.Call) and name is not None
        return self.reader.fail(message, node.col_offset, name.end - node.col_offset if named and name else 1)

    def steps(self, root: ast.expr) -> list[Step]:
        made: list[Step] = []
        pending: list[ast.expr | Step] = [root]
        while pending:
            node = pending.pop()
            if not isinstance(node, ast.expr):
                made.append(node)
                continue
            operation, operands = self.parts(node)
            pending.append(operation if not callable(operation) else (operation, len(operands)))
            pending += reversed(operands)
        return made

    def parts(self, node: ast.expr) -> tuple[float | str | Callable[..., Any], list[ast.expr]]:
        """A number, a variable or an operation, and the operands of the latter."""
        match node:
            case ast.Name():
                return self.named(node), []
            case ast.BinOp():
                return ARITHMETIC[type(node.op)], [node.left, node.right]
            case ast.UnaryOp():
                return (table.neg if isinstance(node.op, ast.USub) else _unchanged), [node.operand]
            case ast.Call():
                return self.called(node)
            case ast.Compare():
                raise self.fail("a comparison stands only in the first place of where(condition, a, b)", node)
            case _:
                raise self.fail("a list stands only in a function of many numbers, such as sum([a, b])", node)

    def named(self, node: ast.Name) -> float | str:
        name = self.tokens[node.col_offset].meaning
        if isinstance(name, float):
            return name
        if name in FUNCTIONS:
            raise self.fail(f"'{name}' is a function: write {name}(...)", node)
        if name in CONSTANTS:
            return CONSTANTS[name]
        self.variables[name] = None
        return name
