"""Small mistakes: every variant of a piece of Python with one comparison, sign, constant, operand or statement
wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}


class Variant(NamedTuple):
    line: int
    what: str  # what stood there, and what stands there now
    tree: ast.AST


def _changes(node: ast.AST) -> Iterator[ast.AST | None]:
    """What may stand in the node's place; None: nothing."""
    match node:
        case ast.Compare(left, [op], rights):
            for other in COMPARISONS[type(op)]:
                yield ast.Compare(left, [other()], rights)
        case ast.Compare(left, [first, second], rights):  # low < x < high
            for other in COMPARISONS[type(first)]:
                yield ast.Compare(left, [other(), second], rights)
            for other in COMPARISONS[type(second)]:
                yield ast.Compare(left, [first, other()], rights)
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC and not _is_text(left) and not _is_text(right):
            yield ast.BinOp(left, ARITHMETIC[type(op)](), right)
            yield left
            yield right
        case ast.AugAssign(target, ast.Add(), value):
            yield ast.Assign([target], value)
            yield ast.AugAssign(target, ast.Sub(), value)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.IfExp(test, body, otherwise):
            yield body
            yield otherwise
        case ast.If(ast.Name("TYPE_CHECKING")):
            return
        case ast.If(ast.Name() | ast.Call() | ast.Attribute() as test, body, otherwise):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, otherwise)
        case ast.Expr(ast.Call()) | ast.Raise() | ast.Continue():
            yield ast.Pass()
        case ast.Call(ast.Name("div"), [a, b], []):
            yield ast.Call(ast.Name("div", ast.Load()), [b, a], [])


def _shown(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0][:70]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _left_out(parent: ast.AST, field: str) -> bool:
    """Annotations, decorators, messages, and what only a type checker sees."""
    if field in ("annotation", "returns", "decorator_list", "type_params") or isinstance(parent, ast.JoinedStr):
        return True
    return isinstance(parent, ast.If) and ast.unparse(parent.test) == "TYPE_CHECKING"


def variants(tree: ast.AST, wanted: Callable[[ast.AST], bool] = lambda node: True) -> Iterator[Variant]:
    """Every variant of the tree with one change at a wanted node. The tree is changed in place from one to the next."""

    def visit(parent: ast.AST) -> Iterator[Variant]:
        for field, value in ast.iter_fields(parent):
            if _left_out(parent, field):
                continue
            for k, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST):
                    continue

                def put(changed: ast.AST, k: int = k, field: str = field, value: object = value) -> None:
                    if isinstance(value, list):
                        value[k] = changed
                    else:
                        setattr(parent, field, changed)

                if wanted(node):
                    for changed in _changes(node):
                        if changed is None:
                            continue
                        if not hasattr(changed, "lineno"):
                            ast.fix_missing_locations(ast.copy_location(changed, node))
                        put(changed)
                        name = f"{parent.arg}=" if isinstance(parent, ast.keyword) else ""
                        what = f"{name}{_shown(node)}  ->  {name}{_shown(changed)}"
                        yield Variant(getattr(node, "lineno", 0), what, tree)
                        put(node)
                if isinstance(node, ast.Raise):
                    continue  # what an error says is no derivative
                yield from visit(node)

    return visit(tree)
