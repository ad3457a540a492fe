"""The command line: the value of an expression, its derivatives, and its picture.

    scalargrad "sigmoid(w*x + b)" w=0.5 x=2 b=-1 -o chain.svg

`scalargrad tour` lists and runs the chapters of `demos/` (see `tour.py`), `scalargrad playground` opens the page that
trains; unless a variable of that name is given a value: `scalargrad tour tour=3` is an expression.

What is printed, how it is lined up, and the exit codes stand here; what to do where a terminal has no `∂` in
`terminal.py`, and what an expression may hold in `expression.py`. Pictures, and the replay that `--steps` prints, are
those of `scalargrad.drawing`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import combinations_with_replacement, count
from math import isfinite, isnan
from typing import Any, NamedTuple

from ..drawing.common.text import plain
from ..drawing.graph.drawing import FORMS, draw
from ..drawing.graph.replay import replay
from ..engine import table
from ..engine.chain_rule import depending, topological_order
from ..engine.value import Value, constant
from ..functions import primitives
from ..transforms.derivatives import hessian
from ..version import VERSION
from . import playground, tour
from .expression import CONSTANTS, FUNCTIONS, Expression, ExpressionError, display_width, parse
from .terminal import Parser, UsageError, failed, given_text, show, shown, write

EXAMPLES = """\
examples:
  scalargrad "sigmoid(w1*x1 + w2*x2 + b)" w1=0.5 x1=1 w2=-1 x2=2 b=0.25 -o chain.svg
  scalargrad "x**2 * sin(x)" x=pi/3 --steps          the chain rule, line by line
  scalargrad "tanh(w*x + b)" w=2 x=0.5 b=-1 --open   the picture, in the browser
  scalargrad "a*x**2 + b*x" a=1 b=2 x=3 --wrt a,b --hessian
  scalargrad "where(x > 0, x, 0.01*x)" x=-2 --json   for another program to read
  scalargrad tour                                    lessons, from the chain rule on
  scalargrad playground                              train a network in the browser"""

OPERATORS = "operators: + - * / // % ** with Python's precedence; < <= > >= == != in the condition of where"
OUTPUT_HELP = "draw the graph into a file, in the form that its suffix names, such as .svg; can be given again"
OPEN_HELP = "show the picture in the browser: the first file of -o that one can show, or a temporary one"
IN_A_BROWSER = (".html", ".svg", ".png", ".pdf")
MOST_SECOND = 500  # variables of a Hessian
MOST_STEPS = 20_000  # operands of all operations, for --steps


class Contribution(NamedTuple):
    """What a node brings to one of its operands in the backward pass."""

    node: str
    operand: str
    upstream: float
    local: float
    notation: str
    contribution: float
    total: float  # of the operand, up to here
    path: int  # this is the path-th of so many that reach the operand
    paths: int


class Computed(NamedTuple):
    """What the forward pass computes: a node's name, what it is, its value."""

    node: str
    operation: str
    value: float


class Answer:
    """An expression, evaluated and differentiated at a point."""

    def __init__(
        self, expression: Expression, point: dict[str, float], wrt: Sequence[str], digits: int | None = None
    ) -> None:
        self.expression, self.point, self.wrt, self.digits = expression, point, wrt, digits
        self.inputs = {name: Value(point[name]) if name in wrt else constant(point[name]) for name in point}
        for name, node in self.inputs.items():
            node.label = name
        y, self.comparisons = expression.with_comparisons(self.inputs)
        self.y: Value = y if isinstance(y, Value) else constant(y)
        if not self.y.is_constant:
            self.y.backward()
        self.name = next(name for name in ("y", "f", "z", *map("y{}".format, range(len(point)))) if name not in point)
        if not self.y.label:
            self.y.label = self.name

    def number(self, x: float) -> str:
        """A number as it is printed: in full, or in so many significant digits."""
        return repr(x) if self.digits is None else f"{x:.{self.digits}g}"

    @property
    def gradient(self) -> dict[str, float]:
        return {name: self.inputs[name].grad for name in self.wrt}

    def hessian(self) -> dict[str, dict[str, float]]:
        by = {name: self.point[name] for name in self.wrt}
        return hessian(lambda xs: self.expression({**self.point, **xs}))(by)  # type: ignore[no-any-return]

    def name_nodes(self) -> None:
        """Label what is computed on the way v1, v2, ..., in the order of computing."""
        prefix = "v"
        while any(name.removeprefix(prefix).isdigit() for name in self.point):
            prefix += "_"
        number = count(1)
        for node in reversed(topological_order((self.y,))):
            if node.parents and not node.label:
                node.label = f"{prefix}{next(number)}"

    def forward(self) -> list[Computed]:
        nodes = reversed(topological_order((self.y,)))
        return [Computed(shown_name(node), as_text(node), node.data) for node in nodes if node.parents]

    def backward(self) -> list[Contribution]:
        """Every edge over which the derivative comes down, in the engine's order, with its sums."""
        order = topological_order((self.y,))
        values = order[::-1]  # as a picture of everything has its nodes
        varies = depending(order, [node for node in order if node.is_leaf])
        picture = draw(self.y, labels="none", full=True).picture
        by_id = {n.id: v for n, v in zip(picture.nodes, values, strict=True)}

        @cache
        def notation(node: Value) -> tuple[str, ...]:
            return node.operation.local_notation(shown_name(node), [shown_name(p) for p in node.parents])

        found: list[Contribution] = []
        passed = replay(picture)
        for step in passed.steps:
            edge: Any = picture.edges[step.edge]
            node, operand = by_id[edge.target], values[step.node]
            if operand in varies:
                names = shown_name(node), shown_name(operand)
                product = edge.upstream, edge.local, notation(node)[edge.slot], edge.contribution
                total: Any = step.running
                found.append(Contribution(*names, *product, total, step.arrived, passed.due[step.node]))
        return found


def shown_name(node: Value) -> str:
    return node.label or repr(node.data)


def as_text(node: Value) -> str:
    """A node as the formula of its operands' names."""
    row, names = node.operation, [shown_name(p) for p in node.parents]
    infix = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%", "floordiv": "//", "pow": "**"}.get(row.name)
    bracketed = [f"({name})" if name.startswith("-") else name for name in names]
    if row.remake[0] is table.power:
        return f"{bracketed[0]} ** {row.remake[1][0]!r}"
    if row is table.neg:
        return f"-{bracketed[0]}"
    if row is primitives.dot:
        half = len(names) // 2
        return f"dot([{', '.join(names[:half])}], [{', '.join(names[half:])}])"
    return f" {infix} ".join(bracketed) if infix else f"{row.name}({', '.join(names)})"


def lined_up(rows: Iterable[Sequence[str]], columns: str, header: Sequence[str] = ()) -> list[str]:
    """Rows of cells as lines: each column is aligned to the left (l) or at its numbers' decimal points (.)."""
    cells = [[shown(cell, sys.stdout) for cell in row] for row in rows]
    top = [shown(cell, sys.stdout) for cell in header]
    lines = ["" for _ in [*cells, *header[:1]]]
    for k, kind in enumerate(columns):
        column = [row[k] for row in cells]
        if kind == ".":
            heads = [len(text) - len(text.lstrip("-0123456789infa")) for text in column]
            most = max(heads, default=0)
            column = [" " * (most - head) + text for head, text in zip(heads, column, strict=True)]
        column = top[k : k + 1] + column
        width = max(map(display_width, column), default=0)
        for i, text in enumerate(column):
            lines[i] += ("  " if k else "") + text + " " * (width - display_width(text))
    return [f"  {line}".rstrip() for line in lines]


def report(answer: Answer, steps: bool, second: bool) -> list[str]:
    y = answer.name
    lines = [f"{y} = {' '.join(answer.expression.text.split())}", f"{' ' * len(y)} = {answer.number(answer.y.data)}"]
    if isnan(answer.y.data) and (undefined := answer.expression.undefined(answer.point)):
        lines.append(f"{' ' * len(y)}   since {undefined} is not a number (nan)")
    if steps and answer.y.parents:
        nodes = [(name, "=", text, "=", answer.number(x)) for name, text, x in answer.forward()]
        lines += ["", "forward:", *lined_up(nodes, "llll.")]
    if steps and answer.wrt:
        lines += ["", "backward: upstream × local = contribution", *backward_lines(answer)]
    if not answer.wrt:
        return [*lines, "", "no variables to differentiate by"]
    rows = [(name, answer.number(answer.point[name]), answer.number(d)) for name, d in answer.gradient.items()]
    lines += ["", *lined_up(rows, "l..", ("variable", "value", f"∂{y}/∂variable"))]
    if second:
        lines += ["", "second derivatives:", *hessian_lines(answer)]
    return lines


def backward_lines(answer: Answer) -> list[str]:
    rows = []
    for step in answer.backward():
        edge = f"{step.node} → {step.operand}"
        notation = step.notation if display_width(step.notation) <= 24 else "..."
        rule = f"∂{step.node}/∂{step.operand} = {notation}"
        notes = [f"path {step.path} of {step.paths}, sum {answer.number(step.total)}"] if step.paths > 1 else []
        if step.contribution == 0.0 and not isfinite(step.upstream * step.local):
            notes.append("zero propagates nothing")
        numbers = (answer.number(step.upstream), "×", answer.number(step.local), "=", answer.number(step.contribution))
        rows.append((edge, rule, *numbers, "; ".join(notes)))
    return lined_up(rows, "ll.l.l.l") if rows else [f"  nothing comes down: {answer.name} is no operation's result"]


def hessian_lines(answer: Answer) -> list[str]:
    """A matrix if it fits the terminal, and a list of its upper half if not."""
    second = answer.hessian()
    columns = shutil.get_terminal_size((100, 24)).columns
    if 1 < len(answer.wrt) < columns / 3:
        rows = [(name, *map(answer.number, row.values())) for name, row in second.items()]
        matrix = lined_up(rows, "l" + "." * len(answer.wrt), ("", *answer.wrt))
        if max(map(display_width, matrix)) <= columns:
            return matrix
    pairs = [
        (f"∂²{answer.name}/" + (f"∂{a}∂{b}" if a != b else f"∂{a}²"), answer.number(second[a][b]))
        for a, b in combinations_with_replacement(answer.wrt, 2)
    ]
    return lined_up(pairs, "l.")


def as_json(answer: Answer, steps: bool, second: bool) -> dict[str, Any]:
    """What `--json` prints. JSON knows no inf and nan: they are the texts "inf", "-inf" and "nan"."""
    made: dict[str, Any] = {
        "expression": answer.expression.text,
        "value": answer.y.data,
        "variables": answer.point,
        "gradient": answer.gradient,
    }
    if second:
        made["hessian"] = answer.hessian()
    if steps:
        made["forward"] = answer.forward()
        made["backward"] = answer.backward()
    found: dict[str, Any] = plain(made)
    return found


def command_line() -> Parser:
    names = textwrap.fill(", ".join(FUNCTIONS), 78, initial_indent="  ", subsequent_indent="  ")
    parser = Parser(
        prog="scalargrad",
        usage="scalargrad EXPRESSION [NAME=VALUE ...] [options]",
        description="Print the value of an expression and its derivative by every variable, and draw the chain rule.",
        epilog=f"functions:\n{names}\nconstants: {', '.join(CONSTANTS)}\n{OPERATORS}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("expression", metavar="EXPRESSION", nargs="?", type=unshielded, help='a formula, in quotes, such as "w*x + b"')
    add("values", metavar="NAME=VALUE", nargs="*", help="the value of each variable: a number, or such as pi/2 or 1/3")
    add("-o", "--output", metavar="FILE", action="append", default=[], type=unshielded, help=OUTPUT_HELP)
    add("--open", action="store_true", help=OPEN_HELP)
    add("--steps", action="store_true", help="print both passes line by line: upstream × local = contribution")
    add("--wrt", metavar="NAMES", action="append", help="differentiate by these alone, such as w1,b; hold the others")
    add("--hessian", action="store_true", help="print the second derivatives, too")
    add("--title", type=unshielded, help="the picture's title; without it, the expression")
    add("--labels", choices=("local", "contribution", "full", "none"), help="what the picture's edges say")
    add("--theme", choices=("auto", "light", "dark"), help="the picture's colours; auto, as the page is, if not given")
    add("--digits", metavar="N", type=digits, help="print so many significant digits; all if not given")
    add("--json", action="store_true", help='print JSON for another program; inf and nan become "inf" and "nan"')
    add("--version", action="version", version=f"scalargrad {VERSION}")
    return parser


def digits(given: str) -> int:
    if not given.isdecimal() or not 1 <= int(given) <= 17:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 17, got {given!r}")
    return int(given)


def shielded(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a space before each that begins as an option does but is none, such as -x**2."""
    made: list[str] = []
    options = True
    for given in arguments:
        if options and given == "--":
            options = False
        else:
            an_option = options and given[1:2] in ("-", "o", "h")
            made.append(f" {given}" if given.startswith("-") and not an_option else given)
    return made


def unshielded(given: str) -> str:
    return given[1:] if given.startswith(" -") else given


def point_of(expression: Expression, given: Sequence[str]) -> dict[str, float]:
    """Every variable's value, from arguments such as w=0.5, in the expression's order."""
    point: dict[str, float] = {}
    for each in given:
        before, equals, text = each.partition("=")
        name = as_name(before)
        if not equals:
            hint = "" if point else " (is the expression in quotes?)"
            raise UsageError(f"expected NAME=VALUE, got {each!r}{hint}")
        if name not in expression.variables:
            if name in CONSTANTS:
                raise UsageError(f"{name} is a constant: choose another name for the variable")
            raise UsageError(unknown(name, expression))
        if name in point:
            raise UsageError(f"{name} is given twice: {point[name]!r} and {text!r}")
        try:
            value = parse(text)
        except ExpressionError as error:
            column = len(before) + 1 + error.column
            raise ExpressionError(f"the value of {name}: {error.message}", each, column, error.width) from None
        if value.variables:
            fault = f"the value of {name} holds the variable {value.variables[0]}"
            raise UsageError(f"{fault}: give a number, or such as pi/2")
        point[name] = value()
    if missing := [name for name in expression.variables if name not in point]:
        raise UsageError(f"no value for {', '.join(missing)}: add " + " ".join(f"{name}=..." for name in missing))
    return {name: point[name] for name in expression.variables}


def as_name(text: str) -> str:
    return unicodedata.normalize("NFKC", text.strip())


def unknown(name: str, expression: Expression) -> str:
    near = get_close_matches(name, expression.variables, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    variables = ", ".join(expression.variables)
    return f"{name!r} is no variable of the expression ({variables or 'it has none'}){hint}"


def chosen(names: Sequence[str] | None, expression: Expression) -> tuple[str, ...]:
    if names is None:
        return expression.variables
    wanted = [as_name(name) for each in names for name in each.split(",")]
    for name in wanted:
        if name not in expression.variables:
            raise UsageError(f"--wrt: {unknown(name, expression)}")
        if wanted.count(name) > 1:
            raise UsageError(f"--wrt: {name} is given twice")
    return tuple(wanted)


def check_size(answer: Answer, options: argparse.Namespace) -> None:
    """Refuse what would be computed for minutes, or printed for nobody to read."""
    if options.hessian and len(answer.wrt) > MOST_SECOND:
        raise UsageError(
            f"--hessian: {len(answer.wrt):,} variables have {len(answer.wrt) ** 2:,} second derivatives; it takes "
            f"{MOST_SECOND} variables at most: name some by --wrt"
        )
    edges = sum(len(node.parents) for node in topological_order((answer.y,))) if options.steps else 0
    if edges > MOST_STEPS:
        raise UsageError(f"--steps: {edges:,} steps are too many to be read; it prints {MOST_STEPS:,} at most")


def check_suffixes(files: Sequence[str]) -> None:
    for file in files:
        suffix = os.path.splitext(file)[1]
        if suffix.lower() not in FORMS:
            said = f"{suffix} is no form of a picture" if suffix else "a picture needs a suffix"
            raise UsageError(f"{file!r}: {said}; the suffixes are {', '.join(FORMS)}")


def save(answer: Answer, options: argparse.Namespace) -> int:
    """Draw into every file that is asked for; returns the exit code."""
    title = " ".join(answer.expression.text.split()) if options.title is None else options.title
    theme = options.theme or "auto"
    picture = draw(answer.y, labels=options.labels, title=title, theme=theme, guards=answer.comparisons)
    files, page, code = list(options.output), "", 0
    if options.open:
        page = next((file for file in files if file.lower().endswith(IN_A_BROWSER)), "") or temporary()
        files += [page] if page not in files else []
    if not options.json:
        write("", sys.stdout)
    for file in files:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                picture.save(file)
            except (OSError, RuntimeError) as error:
                code = failed(f"{file!r} could not be written: {error}", 1)
                page = page if file != page else ""
                if file not in options.output:
                    os.remove(file)
            else:
                write(f"wrote {file}", sys.stderr if options.json else sys.stdout)
        for warning in caught:
            write(f"scalargrad: warning: {warning.message}", sys.stderr)
    return show(page) or code if page else code


def temporary() -> str:
    """A new file for a picture, which stays, as the browser reads it when this has ended."""
    suffix = next(each for each in IN_A_BROWSER if each in FORMS)
    handle, path = tempfile.mkstemp(suffix, "scalargrad-")
    os.close(handle)
    return path


def stop_on_terminate() -> None:
    """End on SIGTERM as on an error, so that whatever this has started, such as a layout engine, is ended as well."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, lambda number, _: sys.exit(128 + number))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 where the input is wrong, 1 where a file cannot be written."""
    given = list(map(given_text, sys.argv[1:] if arguments is None else arguments))
    stop_on_terminate()
    for name, command in (("tour", tour.main), ("playground", playground.main)):
        if given[:1] == [name] and not any(as_name(each.partition("=")[0]) == name and "=" in each for each in given):
            return command(given[1:])
    try:
        options = command_line().parse_intermixed_args(shielded(given))
        if options.expression is None:
            raise UsageError(f"no expression is given\n\n{EXAMPLES}\n\ntry 'scalargrad --help' for more")
        expression = parse(options.expression)
        point = point_of(expression, options.values)
        answer = Answer(expression, point, chosen(options.wrt, expression), options.digits)
        check_size(answer, options)
        if options.output:
            check_suffixes(options.output)
        elif not options.open and any(each is not None for each in (options.title, options.labels, options.theme)):
            raise UsageError("--title, --labels and --theme are for a picture: add -o FILE or --open")
    except ExpressionError as error:
        return failed(error.render(getattr(sys.stderr, "encoding", None) or "utf-8"), 2)
    except UsageError as error:
        return failed(str(error), 2)
    if options.steps:
        answer.name_nodes()
    if options.json:
        text = json.dumps(as_json(answer, options.steps, options.hessian), indent=2, allow_nan=False)
    else:
        text = "\n".join(report(answer, options.steps, options.hessian))
    try:
        write(text, sys.stdout)
    except OSError as error:
        return failed(f"the answer could not be printed: {error}", 1)
    return save(answer, options) if options.output or options.open else 0
