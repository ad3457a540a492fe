"""The step-through page that computes: what it shows for other inputs is what Python's picture shows for them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

import scalargrad as sg
from scalargrad import Value
from scalargrad.cli.expression import parse
from scalargrad.cli.main import EXAMPLES, Answer
from scalargrad.drawing import draw
from scalargrad.drawing.graph.labels import labels_of
from scalargrad.drawing.graph.styles import edge_widths, node_scale
from scalargrad.drawing.graph.svg import SCALE_CLASSES

from .test_page import PAGE, at, data_of, fifteen, folded, ladder, named, press, text, until, visit  # noqa: F401

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
    at_id = {n.id: n for n in picture.nodes}
    values = [n.value for n in picture.nodes if n.kind == "operation"]
    told = page.locator("#forward-steps tbody tr td:last-child").all_text_contents()
    for mine, right in zip(told, values, strict=True):
        assert float(mine) == pytest.approx(right, rel=1e-12, abs=1e-15, nan_ok=True)
    steps = page.locator("#backward-steps tbody tr").evaluate_all(
        "all => all.map(tr => Array.from(tr.children, td => td.textContent))"
    )
    told = {
        (row[1].rpartition(", ")[0], row[1][-1]): [float(row[k].rpartition(" = ")[2]) for k in (2, 3, 4)] for row in steps
    }
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
    for k in range(3):
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
    for scale in (1.0, 30.0):
        moved = {name: round(r.uniform(-scale, scale), 3) for name in names}
        put(page, moved)
        picture = draw(lesson(**moved)).picture
        assert_same(page, picture)
        assert_full(page, picture)
