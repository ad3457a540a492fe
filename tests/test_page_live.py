"""The step-through page that computes: what it shows for other inputs is what Python's picture shows for them."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import scalargrad as sg
from scalargrad import Value, losses
from scalargrad.cli.expression import parse
from scalargrad.cli.main import EXAMPLES, Answer
from scalargrad.drawing import draw
from scalargrad.drawing.common.style import SCALE_CLASSES
from scalargrad.drawing.common.text import number
from scalargrad.drawing.graph.labels import edge_widths, labels_of, node_scale
from scalargrad.drawing.page import live
from scalargrad.engine import table

from .test_page import PAGE, at, named, press, text, until, visit  # noqa: F401

README = Path(__file__).parent.parent / "README.md"
COMMANDS = re.findall(r'scalargrad "([^"]+)"((?: \w+=\S+)+)', README.read_text(encoding="utf-8") + EXAMPLES)


def evaluated(formula, point, wrt=None):
    expression = parse(formula)
    return Answer(expression, point, expression.variables if wrt is None else wrt)


def drawn(formula, point, **options):
    answer = evaluated(formula, point)
    return draw(answer.y, guards=answer.comparisons, **options)


# What the lessons draw, as functions of their inputs.
def readme(w1=0.5, x1=1.0, w2=-1.0, x2=2.0, b=0.25):
    values = [Value(x, label=n) for x, n in zip((w1, x1, w2, x2, b), ("w1", "x1", "w2", "x2", "b"), strict=True)]
    y = named(sg.sigmoid(values[0] * values[1] + values[2] * values[3] + values[4]), "y")
    y.backward()
    return y


def karpathy(x1=2.0, x2=0.0, w1=-3.0, w2=1.0, b=6.881373587019543):
    x1, x2, w1, w2, b = (Value(x, label=n) for x, n in ((x1, "x1"), (x2, "x2"), (w1, "w1"), (w2, "w2"), (b, "b")))
    o = named(sg.tanh(named(named(named(x1 * w1, "x1w1") + named(x2 * w2, "x2w2"), "s") + b, "n")), "o")
    o.backward()
    return o


def onion(w=0.5, x=2.0, b=-1.0):
    w, x, b = Value(w, label="w"), Value(x, label="x"), Value(b, label="b")
    loss = named(named(named(sg.sigmoid(named(named(w * x, "p") + b, "z")), "y") - 1.0, "d") ** 2, "L")
    loss.backward()
    return loss


def two_paths(**given):
    names = {"θ1[1,1]": 0.5, "θ2[1,1]": 1.5, "θ2[2,1]": 0.5, "θ3[1,1]": 2.0, "θ3[1,2]": -1.0, "x": 2.0} | given
    θ1, θ21, θ22, θ31, θ32, x = (Value(v, label=n) for n, v in names.items())
    h = named(sg.relu(θ1 * x), "h")
    a1, a2 = named(sg.relu(θ21 * h), "a1"), named(sg.relu(θ22 * h), "a2")
    loss = named((named(θ31 * a1 + θ32 * a2, "y") - 2.0) ** 2, "L")
    loss.backward()
    return loss


def squared_error(x1=1.0, x2=1.0, w1=0.1, w2=0.2, b=0.0):
    values = [Value(v, label=n) for v, n in ((x1, "x1"), (x2, "x2"), (w1, "w1"), (w2, "w2"), (b, "b"))]
    y = named((sg.dot(values[:2], values[2:4]) + values[4] - 3.0) ** 2, "E")
    y.backward()
    return y


def ten_sigmoids(x=0.5):
    y = Value(x, label="x")
    for k in range(10):
        y = named(sg.sigmoid(y), f"s{k + 1}")
    y.backward()
    return y


LESSONS = [readme, karpathy, onion, two_paths, squared_error, ten_sigmoids]


def seen(page):
    """Texts and looks of all nodes and edges, when all is over."""
    page.locator("#last").click(force=True)
    return page.evaluate(
        """() => [".node", ".edge"].map((each) => Array.from(document.querySelectorAll(`#picture ${each}`), (el) => [
          [...el.classList], Array.from(el.querySelectorAll("text"), (t) => t.textContent),
          el.querySelector(".l") ? Number(el.querySelector(".l").getAttribute("stroke-width")) : 0]))"""
    )


def expected(picture):
    """The same as Python draws it."""
    labels, widths = labels_of(picture), edge_widths(picture)
    for n in picture.nodes:
        label, scale = labels.nodes[n.id], node_scale(n)
        shade = {SCALE_CLASSES[scale]} if scale is not None and n.kind != "constant" else set()
        texts = [label.name + label.rest, *[t for row in label.rows for t in (row.key, row.text) if t]]
        yield {label.style, *shade} if n.kind != "constant" else set(), texts, 0
    for e in picture.edges:
        lines = [line for line, _ in labels.edges[e.id].lines]
        lines[:1] = [lines[0] + labels.edges[e.id].sign] if lines else []
        yield {labels.edges[e.id].style}, lines, widths[e.id]


def assert_same(page, picture):
    nodes, edges = seen(page)
    told = list(expected(picture))
    waits = [re.compile(r"\d+ of \d+ paths arrived")]
    for (classes, texts, wide), (style, right, width) in zip([*nodes, *edges], told, strict=True):
        mine = [re.sub(r"[\[\]_]", "", t) for t in texts if not waits[0].fullmatch(t)]
        assert sorted(mine) == sorted(re.sub(r"[\[\]_]", "", t) for t in right), (texts, right)
        assert style <= {*classes}, (right, classes, style)
        assert not {"vanishing", "exploding", "bad", "pos", "neg", "zero"} & {*classes} - style
        assert wide == pytest.approx(width, abs=0.011)


def assert_full(page, picture):
    """The numbers of the tables, to far more than the six digits that anybody sees."""
    page.wait_for_timeout(200)  # tables follow when the input rests
    at_id = {n.id: n for n in picture.nodes}
    values = [n.value for n in picture.nodes if n.kind == "operation"]
    told = page.locator("#forward-steps tbody tr td:last-child").all_text_contents()
    for mine, right in zip(told, values, strict=True):
        assert float(mine) == pytest.approx(right, rel=1e-12, abs=1e-15, nan_ok=True)
    steps = page.locator("#backward-steps tbody tr").evaluate_all(
        "all => all.map(tr => Array.from(tr.children, td => td.textContent))"
    )
    told = {}
    for row in steps:
        numbers = [float(row[k].rpartition(" = ")[2]) for k in (2, 3, 4)]
        told[row[1].rpartition(", ")[0], row[1][-1]] = numbers
    for e in picture.edges:
        if e.contribution is not None:
            key = f"{at_id[e.target].name} to {at_id[e.source].name}", str(e.slot + 1)
            assert told[key] == pytest.approx([e.upstream, e.local, e.contribution], rel=1e-9, abs=1e-14, nan_ok=True)


def frames(page):
    """Wait until the page has drawn anew."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def put(page, point):
    for name, x in point.items():
        page.locator(f'input[type="number"][name="{name}"]').fill(repr(x))
    frames(page)


@pytest.mark.parametrize("command", COMMANDS, ids=[formula for formula, _ in COMMANDS])
def test_an_expressions_page_shows_for_other_inputs_what_python_shows(visit, command):  # noqa: F811
    formula, given = command
    point = {name: parse(x)() for name, x in (each.split("=") for each in given.split())}
    r = random.Random(formula)
    page = visit(drawn(formula, point))
    for k in range(2):
        moved = {name: round(r.uniform(-2.0, 2.0), 2 + k) for name in point}
        put(page, moved)
        picture = drawn(formula, moved).picture
        assert_same(page, picture)
        assert_full(page, picture)
    page.locator("#reset").click()
    frames(page)
    assert_same(page, drawn(formula, point).picture)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lessons_page_shows_for_other_inputs_what_python_shows(visit, lesson):  # noqa: F811
    first = draw(lesson())
    page = visit(first)
    r = random.Random(lesson.__name__)
    names = [n.label for n in first.picture.nodes if n.kind == "parameter"]
    heads = """all => all.flatMap((el) => {
      const [x1, y1, x2, y2, x3, y3] = el.getAttribute("d").match(/-?[\\d.]+/g).map(Number);
      return [x2, y2, (x1 + x3) / 2, (y1 + y3) / 2];
    })"""
    arrows = page.locator("#picture .a").evaluate_all(heads)
    for scale in (1.0, 30.0):
        moved = {name: round(r.uniform(-scale, scale), 3) for name in names}
        put(page, moved)
        picture = draw(lesson(**moved)).picture
        assert_same(page, picture)
        assert_full(page, picture)
        assert page.locator("#picture .a").evaluate_all(heads) == pytest.approx(arrows, abs=0.15)


# ---- what else a page does -------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_numbers_are_written_as_python_writes_them(tmp_path):
    r = random.Random(4)
    xs = [0.0, -0.0, 1.0, -1234567.0, 1e16, 1e22, 123456.7, 999999.0, 1e6, 5e-324, 1.7976931348623157e308, 0.0001, 1e-5]
    xs += [
        1.0625,
        1.0635,
        0.15625,
        -0.00390625,
        9.9995,
        99995.0,
        0.99995,
        1234.5,
        12345.5,
        0.3,
        2.5e-7,
        math.inf,
        -math.inf,
    ]
    xs += [r.uniform(-1, 1) * 10.0 ** r.randint(-12, 12) for _ in range(2000)]
    xs += [r.randint(-99999, 99999) / 2.0 ** r.randint(0, 20) for _ in range(2000)]
    code = (PAGE.parent / "common" / "numbers.js").read_text(encoding="utf-8")
    given = json.dumps([repr(x) for x in [*xs, -math.inf, math.nan]])
    parsed = "Number(x.replace('inf', 'Infinity'))"
    asked = f"{code}\nconsole.log(JSON.stringify({given}.map((x) => {parsed}).map((x) => [shown(x), repr(x)])));"
    (tmp_path / "asked.js").write_text(asked, encoding="utf-8")
    done = subprocess.run(["node", str(tmp_path / "asked.js")], capture_output=True, text=True, check=True)
    for x, told in zip([*xs, -math.inf, math.nan], json.loads(done.stdout), strict=True):
        assert told == [number(x), repr(x)], x


def said(page):
    return page.locator("#turned").inner_text()


def test_a_comparison_that_turns_is_told(visit):  # noqa: F811
    page = visit(drawn("where(0 < x < 2, x**2, -w*x)", {"x": 1.0, "w": 3.0}))
    assert said(page) == ""
    put(page, {"x": 2.5})
    assert "0 < x < 2 was true and is false now" in said(page)
    assert_same(page, drawn("where(0 < x < 2, x**2, -w*x)", {"x": 2.5, "w": 3.0}).picture)
    put(page, {"x": 1.5})
    assert said(page) == ""
    page = visit(drawn("where(x*x > 4, w, -w) + x", {"x": 1.0, "w": 3.0}))  # what is compared is not drawn
    put(page, {"x": 2.5})
    assert "x*x > 4 was false and is true now" in said(page)
    assert_same(page, drawn("where(x*x > 4, w, -w) + x", {"x": 2.5, "w": 3.0}).picture)
    x, y = Value(2.0, label="x"), Value(1.0, label="y")
    page = visit(draw(x * y, guards=[(x, ">", y), (x, "<=", 5.0)]))
    put(page, {"y": 3.0})
    assert "x > y was true and is false now: recorded here, the graph would be another one" in said(page)
    f = sg.compile(sg.grad(lambda x: x * x * x if x * x > 1.0 else -x), backend="python")
    f(2.0)
    page = visit(f.draw())
    page.locator('#inputs [type="number"]').first.fill("0.5")
    frames(page)
    assert re.search(r"> 1 was true and is false now", said(page))
    for wrong in ([(x, "=", y)], [(x, "<")], [(x, "<", "1")]):
        with pytest.raises((TypeError, ValueError), match="draw: guards"):
            draw(x * y, guards=wrong)


def test_the_step_and_the_node_stay_while_an_input_moves(visit):  # noqa: F811
    page = visit(draw(readme()))
    page.locator("#position").fill("9")
    what, equation = text(page, "#what"), page.locator("#equation .figure").all_inner_texts()
    page.locator("#picture .node").nth(2).click()
    at_node = page.evaluate("document.activeElement.dataset.node")
    page.locator('#inputs input[type="range"]').first.focus()
    press(page, "ArrowRight ArrowRight")
    frames(page)
    assert (at(page), text(page, "#what")) == (9, what)
    assert page.locator("#equation .figure").all_inner_texts() != equation
    moved = float(page.locator('input[name="w1"]').input_value())
    assert moved > 0.5
    until(page, lambda: text(page, "#live").startswith(f"w1 = {number(moved)}: y = "))
    press(page, "Tab")
    assert page.locator(f'#picture .node[data-node="{at_node}"]').get_attribute("tabindex") == "0"
    page.locator("#position").fill("13")
    assert_same(page, draw(readme(w1=moved)).picture)
    assert "w1" in text(page, "#plot-title").replace("\n", "")


def test_a_link_carries_the_inputs_and_reset_goes_back(visit):  # noqa: F811
    drawing = draw(two_paths(x=1.0))
    page = visit(drawing)
    assert page.locator("#reset").is_disabled()
    put(page, {"θ1[1,1]": -0.125, "x": 3.0})
    link = page.locator("#link").get_attribute("href")
    page.goto(page.url.partition("#")[0] + link)
    page.reload()
    frames(page)
    assert page.locator('input[name="θ1[1,1]"]').input_value() == "-0.125"
    assert_same(page, draw(two_paths(x=3.0, **{"θ1[1,1]": -0.125})).picture)
    page.locator("#reset").click()
    frames(page)
    assert_same(page, drawing.picture)
    assert page.locator('input[name="x"]').input_value() == "1"


def test_sliders_have_ranges_of_ones_own(visit):  # noqa: F811
    page = visit(draw(ten_sigmoids(3.0)))
    track, low, high = (page.locator("#inputs li input").nth(k) for k in (1, 2, 3))
    assert [track.get_attribute(each) for each in ("min", "max")] == ["-10", "10"]
    high.fill("4")
    high.dispatch_event("change")
    assert track.get_attribute("max") == "4"
    track.evaluate("(el) => { el.value = 4; el.dispatchEvent(new Event('input')); }")
    frames(page)
    assert_same(page, draw(ten_sigmoids(4.0)).picture)
    put(page, {"x": 70.0})
    assert track.get_attribute("max") == "100"
    low.fill("")
    low.dispatch_event("change")
    assert low.input_value() == "-200"
    page.locator('input[name="x"]').fill("")
    assert page.locator('input[name="x"]').get_attribute("aria-invalid") == "true"
    frames(page)
    assert_same(page, draw(ten_sigmoids(70.0)).picture)


ENDS = (1.7e308, -1e22, 5e-324, -0.0)


def quotient(x=2.0, y=3.0):
    x, y = Value(x, label="x"), Value(y, label="y")
    z = named(x / y, "z")
    z.backward()
    return z


@pytest.mark.parametrize("x", ENDS, ids=repr)
def test_numbers_at_the_ends_of_their_range_compute_and_are_plotted(visit, x):  # noqa: F811
    page = visit(draw(quotient()))
    for y in (-0.0, 1.7e308, 5e-324):
        put(page, {"x": x, "y": y})
        assert_same(page, draw(quotient(x, y)).picture)
        page.locator('input[name="x"]').focus()  # the plot over x, too
        frames(page)
        assert "Infinity" not in page.locator("#inputs").inner_html()
    page = visit(draw(quotient(x, -0.0)))
    assert math.copysign(1.0, float(page.locator('input[name="y"]').input_value())) == -1.0
    page.goto(page.url + page.locator("#link").get_attribute("href"))
    frames(page)
    assert_same(page, draw(quotient(x, -0.0)).picture)


def test_numbers_that_are_none_come_back_and_spoilt_links_move_nothing(visit):  # noqa: F811
    drawing = draw(quotient(math.inf, math.nan))
    page = visit(drawing)
    put(page, {"x": 1.0, "y": 2.0})
    page.locator("#reset").click()
    frames(page)
    assert_same(page, drawing.picture)
    assert [page.locator(f'input[name="{each}"]').input_value() for each in "xy"] == ["", ""]
    drawing = draw(quotient())
    page = visit(drawing)
    page.goto(page.url + "#x=&y=%20&z=1&x=abc&%E0%A4%A=2&y")
    frames(page)
    assert_same(page, drawing.picture)
    page.locator('input[name="x"]').fill("")
    frames(page)
    page.locator("#reset").click()  # an empty field can be reset as well
    assert page.locator('input[name="x"]').input_value() == "2"


def test_a_zero_sum_has_the_sign_of_the_gradient(visit):  # noqa: F811
    z = quotient(5e-324, 1e300)
    assert repr(z.parents[1].grad) == "0.0"  # though -0.0 is all that arrives there
    rows = visit(draw(z)).locator("#backward-steps tbody tr").all_inner_texts()
    assert [row.split("\t")[4:6] for row in rows if " y," in row] == [["-0.0", "0.0"]]


def chosen(x0=1.0, w=0.5, passes=1):
    x0, x1, w = Value(x0, label="x0"), Value(2.0, label="x1"), Value(w, label="w")
    with sg.group("layer1"):
        h = [sg.tanh(x0 * w * (k + 1.0) + x1) for k in range(3)]
    y, z = named(h[0] * h[1] + x0, "y"), named(h[2] * x0, "z")
    for _ in range(passes):
        y.backward(2.0)
    return y, z


@pytest.mark.parametrize(
    "options", [{"collapse": True}, {"labels": "full"}, {"labels": "contribution"}, {"depth": 2}], ids=str
)
def test_any_picture_computes(visit, options):  # noqa: F811
    """Folded and cut ones, too; and gradients that did not begin with 1 at the one root."""
    page = visit(draw(chosen(), **options))
    for moved in ({"x0": -0.75, "w": 1.25}, {"x0": 40.0, "w": -30.0}):
        shown = {name for name in moved if page.locator(f'input[name="{name}"]').count()}
        assert "x0" in shown
        put(page, moved)
        assert_same(page, draw(chosen(**moved), **options).picture)


def test_before_any_pass_and_with_what_came_from_elsewhere(visit):  # noqa: F811
    page = visit(draw(chosen(passes=0)))
    put(page, {"x0": -0.75})
    assert_same(page, draw(chosen(-0.75, passes=0)).picture)
    page = visit(draw(chosen(passes=2)))  # the leaves' gradients are twice those of the last pass
    put(page, {"w": 0.25})
    assert not re.search("NaN|undefined", page.locator("body").inner_text())


@sg.primitive([1.0])
def shifted(a):
    return a + 1.0


def test_why_a_page_does_not_compute(visit):  # noqa: F811
    x = Value(1.0, label="x")
    page = visit(draw(shifted(x)))
    assert text(page, "#fixed") == "The numbers cannot be moved here: shifted has no form in JavaScript."
    assert page.locator("#inputs").is_hidden()
    y = x * x
    x.data = 3.0
    assert "data was changed after recording" in text(visit(draw(y)), "#fixed")
    slope = table.pow_slope(1, 1)(x, Value(0.5, label="b"))  # whose own slopes have no body
    assert "pow_slope[2,1] has no form in JavaScript" in draw(slope).html()
    z = [Value(0.2 * k, label=f"z{k}") for k in range(3)]
    assert '"inputs":[["z0"' in draw(losses.cross_entropy([z], [1])).html()
    page = visit(drawn("2 + 3", {}))  # nothing to be moved
    assert (text(page, "#fixed"), page.locator("#inputs").is_hidden()) == ("", True)
    many = sg.sum([Value(1.0) for _ in range(live.MOST)])
    assert "5,001 values" in draw(many).html()


def network(**given):
    """An MLP of 4, 2 and 1 neurons, drawn with each neuron as one operation."""
    model = sg.nn.MLP(2, [4, 2, 1], "tanh", seed=3)
    inputs = [Value(given.get(name, x), label=name) for name, x in (("x1", 0.5), ("x2", 1.0))]
    for p in model.parameters():
        p.data = given.get(p.label, p.data)
    loss = named((model(inputs) - 1.0) ** 2, "L")
    loss.backward()
    return loss


def recurrent(w=0.9, y=0.5):
    w, y = Value(w, label="w"), Value(y, label="y0")
    for _ in range(40):
        y = sg.tanh(y * w)
    y.backward()
    return y


def test_pages_of_networks_and_recurrences_compute(visit):  # noqa: F811
    moved = {"x1": -0.75, "θ1[2,1]": 1.5, "θ2[1,0]": -0.25}
    page = visit(draw(network()))
    put(page, moved)
    picture = draw(network(**moved)).picture
    assert len(picture.nodes) == 12
    assert_same(page, picture._replace(nodes=tuple(n._replace(parts=()) for n in picture.nodes)))
    page = visit(draw(recurrent()))
    tags = page.locator("#picture .tag + text")
    names = tags.all_text_contents()
    put(page, {"w": 1.2})
    assert names
    assert tags.all_text_contents() == names
    nodes, picture = seen(page)[0], draw(recurrent(1.2)).picture
    page.locator("#position").fill("99")
    terms = page.locator("#sum .number")
    assert re.fullmatch(r"\d\d terms", terms.nth(1).inner_text())  # of folded steps, whose range is no term
    assert "pos" in terms.nth(1).get_attribute("class")
    assert len(picture.nodes) == 7
    for (_, texts, _), (_, right, _) in zip(nodes, expected(picture), strict=False):
        shown = [t for t in texts if "paths arrived" not in t]
        assert sorted(shown) == sorted(right)
