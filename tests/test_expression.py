"""Expressions as text: what they mean, what is refused and where, and that nothing in them is ever run as code."""

import ast
import math
import pickle
import sys
import time
from fractions import Fraction
from inspect import signature
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalargrad import Value, activations, functions, grad, hessian
from scalargrad.cli import expression
from scalargrad.cli.expression import FUNCTIONS, Expression, ExpressionError, display_width, parse
from scalargrad.engine.primitive import Primitive


def same(a: float, b: float) -> bool:
    """Equal to the bit, signs of zeros included, all nans alike."""
    return repr(a) == repr(b)


# ---- what is understood ----------------------------------------------------------------------------------------------

MEANINGS = [
    ("2", 2.0),
    (".5", 0.5),
    ("1_000.5e-3", 1.0005),
    ("007", 7.0),
    ("1e999", math.inf),
    ("9" * 5000, math.inf),
    ("2 + 3*4", 14.0),
    ("(2 + 3)*4", 20.0),
    ("2 - 3 - 4", -5.0),
    ("2**3**2", 512.0),
    ("-2**2", -4.0),
    ("2**-1", 0.5),
    ("--2", 2.0),
    ("+-+2", -2.0),
    ("7 // 2", 3.0),
    ("-7 // 2", -4.0),
    ("-7 % 3", 2.0),
    ("-0.0", -0.0),
    ("1/0", math.inf),
    ("-1/0", -math.inf),
    ("0/0", math.nan),
    ("(-8)**(1/3)", math.nan),
    ("0**-1", math.inf),
    ("9**9**9", math.inf),
    ("9**9**9**9**9", math.inf),
    ("1 % 0", math.nan),
    ("pi", math.pi),
    ("e", math.e),
    ("tau", math.tau),
    ("-inf", -math.inf),
    ("nan", math.nan),
    ("sin(pi/6)", math.sin(math.pi / 6)),
    ("atan2(1, -1)", math.atan2(1, -1)),
    ("clamp(5, 0, 1)", 1.0),
    ("pow(2, 3)", 8.0),
    ("sum(1, 2, 3)", 6.0),
    ("sum([1, 2, 3])", 6.0),
    ("sum([1, 2, 3,],)", 6.0),
    ("mean([1, 2])", 1.5),
    ("prod(2)", 2.0),
    ("max(1, 3, 2)", 3.0),
    ("min([1, 3, 2])", 1.0),
    ("logsumexp(0, 0)", math.log(2)),
    ("dot([1, 2], [3, 4])", 11.0),
    ("where(1 < 2, 3, 4)", 3.0),
    ("where((1 >= 2), 3, 4)", 4.0),
    ("where(1 < 2 < 2, 3, 4)", 4.0),
    ("where(1 < 2 <= 2, 3, 4)", 3.0),
    ("where(1 == 1, 3, 4)", 3.0),
    ("where(1 != 1, 3, 4)", 4.0),
    ("where(nan < 1, 3, 4)", 4.0),
    ("where(0, 3, 4)", 4.0),
    ("where(1 > 2, where(3 > 2, 1, 2), 5)", 5.0),
    ("\n (1\t+\n2) ", 3.0),
    ("1\u3000+\xa02", 3.0),
]


@pytest.mark.parametrize(("text", "value"), MEANINGS, ids=[text[:20] for text, _ in MEANINGS])
def test_what_a_text_means(text: str, value: float) -> None:
    f = parse(text)
    assert f.variables == ()
    assert same(f(), value)


def test_every_public_function_is_known() -> None:
    assert set(FUNCTIONS) == {*functions.__all__, *activations.__all__} - {"activation"}
    points = {"acosh": 1.5}
    for name, function in FUNCTIONS.items():
        if not isinstance(function, Primitive):
            arity = len([each for each in signature(function).parameters.values() if each.default is each.empty])
            operands = [points.get(name, 0.25 * (k + 1)) for k in range(arity)]
            expected = function(*operands)
            assert same(parse(f"{name}({', '.join(map(repr, operands))})")(), expected)
            names = [f"x{k}" for k in range(arity)]
            assert same(parse(f"{name}({', '.join(names)})")(*map(Value, operands)).data, expected)
        elif name != "dot":
            assert same(parse(f"{name}(0.5, 0.25)")(), function(0.5, 0.25))
            assert same(parse(f"{name}([0.5, 0.25])")(), function(0.5, 0.25))
    assert parse("softmax(1, 2, 3)")() == activations.softmax([1.0, 2.0, 3.0])[0]
    assert parse("log_softmax(3, 2, 1)")() == activations.log_softmax([3.0, 2.0, 1.0])[0]


def test_variables_stand_in_order_of_appearance() -> None:
    assert parse("b + a*b + where(d > c, sum([g, f]), dot([i], [h]))").variables == tuple("badcgfih")


@pytest.mark.parametrize(
    "name", ["x", "_", "__class__", "θ", "가중치", "é", "e\u0301", "क्षेत्र", "x1", "E", "print", "exec"]
)
def test_a_name_of_any_script_is_a_variable(name: str) -> None:
    f = parse(f"2*{name} + {name}")
    assert len(f.variables) == 1
    assert f(1.5) == 4.5


def test_names_are_normalised_as_python_does() -> None:
    assert parse("ｘ + x + ﬁ").variables == ("x", "fi")
    assert parse("ｓｉｎ(ｐｉ)")() == math.sin(math.pi)


def test_ways_to_call() -> None:
    f = parse("w*x + b")
    assert f({"b": 1, "w": 2, "x": 3}) == f([2, 3, 1]) == f((2, 3, 1)) == f(2, 3, 1) == f(2, 3, b=1) == 7.0
    assert f(w=2, x=3, b=1) == f({"w": 2}, x=Fraction(3), b=True) == 7.0
    assert type(f(2, 3, 1)) is float
    assert repr(f) == "parse('w*x + b')"
    assert isinstance(f, Expression)


@pytest.mark.parametrize(
    ("given", "named", "message"),
    [
        ((), {}, "no value for w, x"),
        ((1.0,), {}, "no value for x"),
        ((1.0, 2.0, 3.0), {}, "3 values for 2"),
        (([1.0, 2.0, 3.0],), {}, "3 values for 2"),
        ((1.0, 2.0), {"w": 1.0}, "'w' is given twice"),
        (({"w": 1.0, "x": 2.0, "q": 3.0},), {}, "'q' is not a variable of the expression; its variables: w, x"),
    ],
)
def test_variables_left_out_or_unknown(given: tuple, named: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse("w*x")(*given, **named)


def test_a_value_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="w: expected a real number, got str"):
        parse("w*x")("1", 2)
    with pytest.raises(TypeError, match="expected a str, got bytes"):
        parse(b"x")  # type: ignore[arg-type]


# ---- differentiating -------------------------------------------------------------------------------------------------


def test_values_record_what_the_expression_does() -> None:
    w, x, b = Value(0.5), Value(2.0), Value(-1.0)
    y = parse("sigmoid(w*x + b)")(w, x, b)
    assert y.operation.name == "sigmoid"
    assert y.parents[0].parents[1] is b
    y.backward()
    assert (w.grad, x.grad, b.grad) == (0.5, 0.125, 0.25)


def test_a_number_as_exponent_is_part_of_the_operation() -> None:
    x = Value(3.0)
    for text in ("x**2", "pow(x, 2)", "x**(1 + 1)"):
        assert parse(text)(x).parents == (x,)


def test_it_is_a_function_for_grad_and_hessian() -> None:
    f = parse("x**2 * y")
    assert grad(f)({"x": 3.0, "y": 5.0}) == {"x": 30.0, "y": 9.0}
    assert grad(f, (0, 1))(3.0, 5.0) == (30.0, 9.0)
    assert hessian(f)([3.0, 5.0]) == [[10.0, 6.0], [6.0, 0.0]]


def test_a_comparison_chooses_and_is_told_in_the_graph() -> None:
    f = parse("where(x > 0, x*x, 3*x)")
    assert grad(f)(2.0) == 4.0
    assert grad(f)(-2.0) == 3.0
    condition = f(Value(2.0)).parents[0]
    assert (condition.label, condition.data, condition.is_constant) == ("x > 0", 1.0, True)


def test_an_expression_can_be_pickled() -> None:
    f = parse("where(x < 1 < y, sin(x)**2, dot([x], [y]))")
    g = pickle.loads(pickle.dumps(f))
    assert (g.text, g.variables, g(0.5, 2.0), g(2.0, 3.0)) == (f.text, ("x", "y"), f(0.5, 2.0), 6.0)


# ---- what is refused, and where --------------------------------------------------------------------------------------

REFUSED = [
    ("", 0, "is missing here"),
    ("   ", 3, "is missing here"),
    ("x +", 3, "missing after '+'"),
    ("* x", 0, "missing before '*'"),
    ("x + * y", 4, "missing before '*'"),
    ("f(*x)", 2, "missing before '*'"),
    ("sin(**x)", 4, "missing before '**'"),
    ("x y", 2, "an operator is missing before this"),
    ("x 2", 2, "an operator is missing before this"),
    ("2x1", 0, "for a product write 2*x1"),
    ("1.2.3", 0, "not a decimal number"),
    ("1__0", 0, "not a decimal number"),
    ("0x10", 0, "'0x10' is not a decimal number"),
    ("1" * 500 + "x", 0, "not a decimal number"),
    ("2(x)", 1, "only functions can be called"),
    ("(a)(b)", 3, "only functions can be called"),
    ("sin(x)(y)", 6, "only functions can be called"),
    ("w1(x)", 0, "for a product write w1*"),
    ("1 + sigmiod(x)", 4, "did you mean 'sigmoid'?"),
    ("pi(2)", 0, "'pi' is a number"),
    ("2*ln(x)", 2, "did you mean 'log'?"),
    ("2*σ(x)", 2, "did you mean 'sigmoid'?"),
    ("2*sin x", 6, "brackets are missing: write sin(...)"),
    ("2*sin", 2, "'sin' is a function: write sin(...)"),
    ("x.real", 1, "'.' is not supported"),
    ("x .5", 2, "'.' is not supported"),
    ("(x).y", 3, "'.' is not supported"),
    ("math.sin(x)", 4, "'.' is not supported"),
    ("x[0]", 1, "index"),
    ("[x][0]", 3, "index"),
    ("lambda x: x", 0, "a word of Python"),
    ("x if y else z", 2, "where(condition, a, b)"),
    ("x and y", 2, "where(...)"),
    ("max(x for x in y)", 6, "a word of Python"),
    ("await x", 0, "a word of Python"),
    ("True", 0, "write 1"),
    ("None", 0, "a word of Python"),
    ("'a'", 0, "no text in quotes"),
    ('f"{x}"', 1, "no text in quotes"),
    ("x^2", 1, "write **"),
    ("x²", 1, "write **2"),
    ("w₁", 1, "plain digit"),
    ("2 × x", 2, "write *"),
    ("x = 3", 2, "given apart"),
    ("sin(x=3)", 5, "given apart"),
    ("(x := 3)", 3, "':' is not supported"),
    ("x # y", 2, "'#' is not supported"),
    ("x; y", 1, "there is only one expression"),
    ("x ~ y", 2, "'~' is not supported"),
    ("x\0", 1, "U+0000"),
    ("x\u200b", 1, "U+200B"),
    ("x\ud800", 1, "U+D800"),
    ("a, b", 1, "a comma separates"),
    ("(a, b)", 2, "a comma separates"),
    ("sin(,)", 4, "missing before ','"),
    ("sin(x,,)", 6, "missing before ','"),
    ("()", 1, "missing before ')'"),
    ("sin(x +)", 7, "missing before ')'"),
    ("((x)", 0, "'(' is never closed"),
    ("sum([x", 4, "'[' is never closed"),
    ("x)", 1, "')' closes nothing"),
    ("sum([x)", 6, "')' cannot close '['"),
    ("sum(x]", 5, "']' cannot close '('"),
    ("[a]", 0, "a list stands only"),
    ("sin([a])", 4, "a list stands only"),
    ("sum([a], b)", 4, "a list stands only"),
    ("sum([[a]])", 5, "a list stands only"),
    ("sum()", 0, "takes one number or more"),
    ("1 + mean([])", 4, "takes one number or more"),
    ("dot([a], [b, c])", 0, "two lists of one length"),
    ("dot([], [])", 0, "two lists of one length"),
    ("dot(a, b)", 0, "two lists of one length"),
    ("sin(x, y)", 0, "sin(x) takes 1 number, not 2"),
    ("clamp(x)", 0, "clamp(x, low, high) takes 3 numbers, not 1"),
    ("sin()", 0, "sin(x) takes 1 number, not 0"),
    ("x < 1", 0, "a comparison stands only in the first place of where"),
    ("where(1, x < 1, 2)", 9, "a comparison stands only"),
    ("where((x < 1) + 1, 1, 2)", 7, "a comparison stands only"),
    ("where(x < y, 2)", 0, "where(condition, a, b) takes 3 numbers, not 2"),
    ("x <> y", 3, "missing before '>'"),
    ("x !y", 2, "only != is a comparison"),
    ("x" * 101, 0, "a name of 101 characters"),
    ("x" * 200_000, 100_000, "too long: 200000 characters, at most 100000"),
    ("(" * 51 + "x" + ")" * 51, 50, "more than 50 brackets"),
    ("-" * 101 + "x", 100, "more than 100 signs or powers"),
    ("x" + "**x" * 101, 301, "more than 100 signs or powers"),
    ("x" + "+x" * 1001, 2001, "more than 1000 operators"),
]


@pytest.mark.parametrize(("text", "column", "message"), REFUSED, ids=[text[:20] for text, _, _ in REFUSED])
def test_what_is_refused(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.column == column
    assert caught.value.text == text


def test_what_is_just_allowed() -> None:
    assert parse("(" * 50 + "x" + ")" * 50)(2.0) == 2.0
    assert parse("-" * 100 + "x")(2.0) == 2.0
    assert parse("x" + "**x" * 100)(1.0) == 1.0
    assert parse("x" + "+x" * 1000)(1.0) == 1001.0
    assert parse("sum(" + ",".join(["-x**2"] * 10_000) + ")")(1.0) == -10_000.0
    assert parse("+".join(["(" * 40 + "-x" + ")" * 40] * 900))(1.0) == -900.0


def test_limits_hold_together_at_their_worst() -> None:
    deep = "-" * 2
    text = "x"
    for _ in range(49):
        text = f"sin({deep}{text}" + "+x" * 20 + ")"
    assert -1.0 <= parse(text)(0.5) <= 1.0


def test_on_a_stack_that_is_nearly_full_the_error_is_still_ours() -> None:
    text = "x" + "+x" * 1000

    def deeper(n: int) -> None:
        if n:
            deeper(n - 1)
        else:
            with pytest.raises(ExpressionError, match="parser gave up"):
                parse(text)

    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    if sys.version_info >= (3, 12):
        pytest.skip("Python's parser counts C frames apart from Python's own from 3.12 on")
    deeper(sys.getrecursionlimit() - depth - 60)


def test_the_caret_stands_under_the_spot() -> None:
    def lines(text: str, **options: str) -> list[str]:
        with pytest.raises(ExpressionError) as caught:
            parse(text)
        return caught.value.render(**options).split("\n")[1:]

    assert lines("1 + sigmiod(x)") == ["  1 + sigmiod(x)", "      ^^^^^^^"]
    assert lines("가중치 * 값^2") == ["  가중치 * 값^2", "  " + " " * 11 + "^"]
    assert lines("2*ｓｉ(x)") == ["  2*ｓｉ(x)", "    ^^^^"]
    assert lines("e\u0301 ^ 2") == ["  e\u0301 ^ 2", "    ^"]
    assert lines("θ ^ 2", encoding="ascii") == ["  ? ^ 2", "    ^"]
    assert lines("값 ^ 2", encoding="ascii") == ["  ?? ^ 2", "     ^"]
    assert lines("x\n + \x1b[31m") == ["  x  + ?[31m", "       ^"]
    shown, caret = lines("x + " * 100 + "? + " + "x + " * 100 + "x")
    assert shown.startswith("  ...")
    assert shown.endswith("...")
    assert shown[caret.index("^")] == "?"


def test_an_error_is_a_value_error_that_can_be_pickled_and_printed() -> None:
    with pytest.raises(ValueError, match="for a power write") as caught:
        parse("x^2")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) == "'^' is not supported: for a power write **\n  x^2\n   ^"


def test_width_in_a_terminal() -> None:
    assert display_width("ab") == 2
    assert display_width("가 ｘ") == 5
    assert display_width("\u1112\u1161\u11ab") == 2  # one Korean block, written as three letters


# ---- nothing is evaluated --------------------------------------------------------------------------------------------

ATTACKS = [
    "__import__('os').system('touch /tmp/scalargrad_was_here')",
    "().__class__.__bases__[0].__subclasses__()",
    "exec(x)",
    "eval(x)",
    "open(x)",
    "print(1)",
    "breakpoint()",
    "(lambda: 1)()",
    "[x for x in (1, 2)]",
    "f'{exit()}'",
    "x.__class__",
    "getattr(x, y)",
    "globals()",
    "sin.__globals__",
    "1 if exit() else 2",
    "9**9**9**9",
    "x @ x",
]


def test_nothing_is_evaluated() -> None:
    """Python tells audit hooks of every import, execution, file and process: only parsing a skeleton may occur."""
    happened: list[tuple[str, tuple]] = []
    watching = False

    def hook(event: str, arguments: tuple) -> None:
        if watching:
            happened.append((event, arguments))

    parse("sin(x)")(1.0)
    sys.addaudithook(hook)
    watching = True
    for text in ATTACKS:
        try:
            parse(text)(*[1.0] * 9)
        except ValueError:
            continue
    parse("where(x > 0, eval, exec) + __import__**2")(1.0, 2.0, 3.0, 4.0)
    watching = False
    assert {event for event, _ in happened} == {"compile"}
    for _, (source, *_) in happened:
        assert set(source) <= set(b"_ ()[],+-*/%<>=!"), source


def test_the_code_has_no_way_to_evaluate() -> None:
    source = Path(expression.__file__).read_text(encoding="utf-8")
    called = {
        node.func.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert not called & {"eval", "exec", "compile", "__import__", "literal_eval"}


# ---- by properties ---------------------------------------------------------------------------------------------------

CHARACTERS = list("()[],+-*/%<>=!.^:'\"{}@;~ \n\t\\#_xyθ가é\u0301²ｘ\0\ud800\u200b")
WORDS = [
    "**",
    "//",
    "<=",
    "==",
    "sin",
    "dot",
    "sum(",
    "where(",
    "max([",
    "pi",
    "inf",
    "lambda",
    "if",
    "for",
    "1",
    "1e3",
]
PIECES = st.sampled_from([*CHARACTERS, *WORDS, "2.5", ".5", "0x1", "1_0"])


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=40).map("".join)))
@example("x" * 100_001)
@example("[" * 5000)
@example("((" * 40 + "-" * 3000)
@example("where(" * 60)
@example("9" * 100_000)
@example("1." * 5000)
@example("-" * 99_999 + "x")
@example("a<" * 40_000 + "a")
@example("x" * 50 + "\u0301" * 99_000)
def test_any_text_is_parsed_or_refused_with_its_place(text: str) -> None:
    start = time.perf_counter()
    try:
        found: Expression | ExpressionError = parse(text)
    except ExpressionError as error:
        found = error
    if isinstance(found, Expression):
        assert type(found(*[0.5] * len(found.variables))) is float
    else:
        assert 0 <= found.column <= found.column + found.width <= len(text) + 1
        assert len(found.message) < 400
        _, shown, caret = str(found).split("\n")
        assert len(shown) < 400
        assert caret.lstrip(" ").strip("^") == ""
        assert "^" in caret
        assert str(found).encode("utf-8")
    assert time.perf_counter() - start < 2.0


NUMBERS = (
    st.floats(0, 1e6).map(repr) | st.integers(0, 10**6).map(str) | st.sampled_from(["pi", "0.0", "1e-300", "1e300"])
)
ATOMS = NUMBERS | st.sampled_from(["x", "y", "z"])


UNARY = st.sampled_from(["-{}", "+{}", "- {}", "sin({})", "exp({})", "abs({})", "atan({})", "floor({})", "sqrt({})"])
BINARY = st.sampled_from([*("{}" + c + "{}" for c in ("+", " - ", "*", "/", "//", "%", "**", " * ")), "atan2({}, {})"])
CHOICE = st.sampled_from(["where({} " + c + " {}, {}, {})" for c in ("<", "<=", ">", ">=", "==", "!=")])
EXTREME = st.sampled_from(
    ["max({}, {}, {})", "max([{}, {}, {}])", "min({}, {}, {})", "min([{}, {}, {}])", "({})*{}-{}"]
)


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    patterns = st.one_of(UNARY, BINARY, BINARY.map(lambda pattern: f"({pattern})"), EXTREME, CHOICE)
    return st.tuples(patterns, *[inner] * 4).map(lambda t: t[0].format(*t[1:]))


FLOAT = st.floats(-1e3, 1e3) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5])
MATH = {name: getattr(math, name) for name in ("sin", "exp", "atan", "tanh", "sqrt", "atan2", "pi")}
MATH |= {"abs": abs, "max": max, "min": min, "floor": lambda x: math.copysign(float(math.floor(x)), x)}
MATH |= {"where": lambda c, a, b: a if c else b}


def python(text: str, **variables: float) -> float | None:
    """Python's own answer, on floats; None where Python raises or leaves the real numbers."""
    tree = ast.parse(text, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = float(node.value)
    try:
        found = eval(compile(tree, "<test>", "eval"), {**MATH, **variables})
    except (ArithmeticError, ValueError, TypeError):
        return None
    return found if isinstance(found, float) else None


@settings(max_examples=400)
@given(st.recursive(ATOMS, combined, max_leaves=12), FLOAT, FLOAT, FLOAT)
def test_it_means_what_it_means_to_python(text: str, x: float, y: float, z: float) -> None:
    f = parse(text)
    point = {"x": x, "y": y, "z": z}
    given = {name: point[name] for name in f.variables}
    mine, recorded = f(given), f({name: Value(v) for name, v in given.items()})
    assert same(mine, recorded.data if isinstance(recorded, Value) else recorded)
    expected = python(text, **point)
    if expected is not None and not math.isnan(expected) and math.isfinite(sum(map(abs, point.values()))):
        assert same(mine, expected), (mine, expected)
