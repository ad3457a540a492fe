"""Loops, choices and roots in pictures: one node each, what it brings to its operands, its body on request."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import pytest

import scalargrad as sg
from scalargrad import Value, draw
from scalargrad.drawing.graph import bodies

from .test_drawing import edges_between, named, node, texts


def loop():
    w, y = Value(0.9, label="w"), Value(0.5, label="y")
    xs = [Value(0.1, label="x1"), Value(0.2, label="x2"), 0.3]
    carry, seen = sg.scan(lambda y, x: (sg.tanh(y * w + x), y), y, xs)
    return backward(carry + seen[1])


def root():
    a = Value(2.0, label="a")
    return backward(3.0 * sg.root(lambda x, a: x * x - a, 1.0, a))


def choice():
    a, b = Value(2.0, label="a"), Value(-1.0, label="b")
    return backward(sg.cond(a > 1.0, lambda a, b: a * b, lambda a, b: -a, a, b) * 2.0)


def backward(value):
    named(value, "L").backward()
    return value


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (loop, "scan", "3 steps of 3 instructions"),
        (root, "root", "where 2 instructions give 0"),
        (choice, "cond", "one of two, 2 instructions"),
    ],
)
def test_it_is_one_node_that_brings_each_operand_its_gradient(make, kind, says, visit_page):
    drawing = draw(make())
    (inside,) = [n for n in drawing.picture.nodes if n.operation == kind]
    assert (inside.value, inside.says) == (None, says)
    assert inside.name not in {p.consumer for n in drawing.picture.nodes for p in n.paths if p.local == p.local}
    for n in drawing.picture.nodes:
        if n.kind == "parameter":
            (edge,) = edges_between(drawing.picture, n.name, inside.name)
            assert edge.contribution == n.gradient != 0.0
            assert n.elsewhere is None
    shown = texts(ET.fromstring(drawing.svg()))
    assert says in shown
    assert not any("⚠" in text for text in shown)
    assert f"output 1 of {inside.name}" in " ".join(n.formula for n in drawing.picture.nodes)
    json.loads(drawing.json())
    assert f": {says}" in str(drawing)
    page = visit_page(drawing.html())
    page.wait_for_selector("html.alive")
    page.locator("#last").click()
    assert says in page.locator("#picture").text_content()


def body(value, kind):
    (inside,) = [n for n in draw(value).picture.nodes if n.operation == kind]
    return inside.body


def formulas(picture):
    return {n.name: n.formula for n in picture.nodes if n.kind == "operation"}


def around(picture):
    names = {n.id: n.name for n in picture.nodes}
    return [(names[e.source], names[e.target]) for e in picture.edges if e.says]


def test_a_loop_shows_its_last_step_with_the_chain_rule_in_it():
    picture = body(loop(), "scan")
    assert picture.title == "step 3 of 3"
    assert formulas(picture) == {"u₁": "c × w", "u₂": "u₁ + x", "u₃": "tanh(u₂)"}
    assert around(picture) == [("u₃", "c")]
    w, y = 0.9, 0.5
    for x in (0.1, 0.2):
        y = math.tanh(y * w + x)
    after = math.tanh(y * w + 0.3)
    assert [node(picture, name).value for name in ("c", "x", "u₃")] == pytest.approx([y, 0.3, after])
    assert node(picture, "u₃").gradient == 1.0
    assert node(picture, "c").gradient == pytest.approx((1.0 - after * after) * w)
    assert node(picture, "c").gradient_name == "∂L/∂c"


def test_the_gradient_of_a_step_s_result_is_in_it():
    w = Value(0.5, label="w")
    carry, seen = sg.scan(lambda c, x: (c * w, c * x), Value(3.0, label="c0"), [1.0, 10.0])
    picture = body(backward(carry + 7.0 * seen[1]), "scan")  # carry = c w, seen = 10 c, with c = 1.5
    assert (node(picture, "c").value, node(picture, "c").gradient) == (1.5, 0.5 + 70.0)
    carry, seen = sg.scan(lambda c, x: (c * w, c * x), Value(3.0, label="c0"), [1.0, 10.0], reverse=True)
    picture = body(backward(carry + 7.0 * seen[0]), "scan")  # the first one comes last
    assert (node(picture, "c").value, node(picture, "x").value, node(picture, "c").gradient) == (1.5, 1.0, 0.5 + 7.0)


def test_a_root_shows_its_equation_and_a_choice_the_one_that_was_taken():
    picture = body(root(), "root")
    assert (picture.title, formulas(picture)) == ("at the solution", {"u₁": "x × x", "u₂": "u₁ − a"})
    assert node(picture, "x").value == pytest.approx(math.sqrt(2.0))
    picture = body(choice(), "cond")
    assert (picture.title, formulas(picture)) == ("the one for true", {"u₁": "a × b"})
    a = Value(0.5, label="a")
    picture = body(backward(sg.cond(a > 1.0, lambda a: a * a, lambda a: -a, a) * 3.0), "cond")
    assert (picture.title, formulas(picture)) == ("the one for false", {"u₁": "−a"})
    assert node(picture, "a").gradient == -3.0


def test_a_while_loop_says_its_condition_and_how_often_it_ran():
    a, x = Value(1.5, label="a"), Value(1.0, label="x0")
    y = backward(sg.while_loop(lambda x: x < 20.0, lambda x: x * a, x, max_steps=50))
    assert "2 instructions while c < 20" in texts(ET.fromstring(draw(y).svg()))
    assert body(y, "while_loop").title == "step 8 of 8"
    assert node(body(y, "while_loop"), "c").value == 1.5**7
    y = sg.while_loop(lambda x: x < 20.0, lambda x: x * a, x)  # keeps nothing of its steps
    assert (body(y, "while_loop").title, node(body(y, "while_loop"), "c").value) == ("step 1", 1.0)
    assert body(sg.while_loop(lambda x: x < 0.0, lambda x: x * a, x, max_steps=5), "while_loop") is None


def nested():
    w, x = Value(0.3, label="w"), Value(0.5, label="x")
    return backward(sg.fori_loop(0, 3, lambda k, x: sg.fori_loop(0, 4, lambda j, y: sg.tanh(y * w + 0.1), x) * 1.5, x))


def test_unfolded_it_is_drawn_inside_of_its_node_and_inner_loops_inside_of_theirs():
    drawing = draw(nested(), bodies=True)
    svg = drawing.svg()
    tree = ET.fromstring(svg)
    ids = [el.get("id") for el in tree.iter() if el.get("id")]
    assert len(ids) == len(set(ids))
    shown = texts(tree)
    assert [shown.count(text) for text in ("step 3 of 3", "step 4 of 4", "next step")] == [1, 1, 4]
    assert "step 4 of 4" in drawing.dot()
    assert "step 4 of 4" in str(drawing)
    assert "step 4 of 4" not in draw(nested()).svg()
    inner = json.loads(drawing.json())["nodes"]
    assert sum(n["body"] is not None for n in inner) == 1
    assert len(svg) > 1.5 * len(draw(nested()).svg())


def test_what_is_inside_stands_within_the_box_and_below_its_lines(visit_page):
    page = visit_page(f"<!doctype html>{draw(nested(), bodies=True).svg()}")
    faults = page.evaluate(
        """() => {
          const box = (el) => el.getBoundingClientRect();
          const nodes = [...document.querySelectorAll("g.node")];
          return nodes.filter((el) => el.nextElementSibling && !el.nextElementSibling.id).flatMap((el) => {
            const [outer, inside] = [box(el.querySelector("rect")), el.nextElementSibling];
            const lines = Math.max(...[...el.querySelectorAll("text")].map((text) => box(text).bottom));
            return [...inside.querySelectorAll("rect,text,path")].map(box).filter((b) => b.left < outer.left
              || b.right > outer.right || b.top < lines - 1 || b.bottom > outer.bottom).map(JSON.stringify);
          });
        }"""
    )
    assert faults == []


@pytest.mark.parametrize("how", ["click", "keys"])
def test_the_page_unfolds_it_on_request(how, visit_page):
    page = visit_page(draw(loop()).html())
    page.wait_for_selector("html.alive")
    dialog = page.locator("dialog.inside")
    assert not dialog.is_visible()
    found = page.evaluate(
        "() => [...document.querySelectorAll('#picture .node')].findIndex((el) => /scan/.test(el.textContent))"
    )
    target = page.locator("#picture .node").nth(found)
    if how == "click":
        target.click()
    else:
        target.evaluate("(el) => { el.tabIndex = 0; el.focus(); }")
        page.keyboard.press("Enter")
    assert dialog.is_visible()
    assert "step 3 of 3" in dialog.locator("h2").text_content()
    assert "next step" in dialog.locator("svg").text_content()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_bodies_survive_no_grad_and_what_is_too_much_is_left_out(monkeypatch):
    y = loop()
    with sg.no_grad():
        assert formulas(body(y, "scan"))
    monkeypatch.setattr(bodies, "MOST", 2)
    assert body(y, "scan") is None
    assert "3 steps of 3 instructions" in draw(y, bodies=True).svg()


def test_before_a_pass_it_brings_nothing():
    a = Value(2.0, label="a")
    y = sg.fori_loop(0, 4, lambda k, x: sg.tanh(x * a), Value(0.5, label="x"))
    picture = draw(y).picture
    (edge,) = edges_between(picture, "a", next(n.name for n in picture.nodes if n.says))
    assert edge.contribution is None
    assert node(picture, "a").gradient is None
