"""Loops, choices and roots in pictures: one node each, what it brings to its operands, its body on request."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

import scalargrad as sg
from scalargrad import Value, draw

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
    assert (inside.value, inside.body) == (None, (says,))
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


def test_a_body_is_unfolded_on_request():
    picture = draw(loop(), bodies=True).picture
    (inside,) = [n for n in picture.nodes if n.operation == "scan"]
    assert inside.body == (
        "3 steps of 3 instructions", "u1 = c × w", "u2 = u1 + x", "u3 = tanh(u2)", "next c: u3", "result: c",
    )  # fmt: skip
    (inside,) = [n for n in draw(root(), bodies=True).picture.nodes if n.operation == "root"]
    assert inside.body[1:] == ("u1 = x × x", "u2 = u1 − a", "result: u2")
    (inside,) = [n for n in draw(choice(), bodies=True).picture.nodes if n.operation == "cond"]
    assert inside.body[1:] == ("if so", "u1 = a × b", "result: u1", "if not", "u1 = −a", "result: u1")


def test_before_a_pass_it_brings_nothing():
    a = Value(2.0, label="a")
    y = sg.fori_loop(0, 4, lambda k, x: sg.tanh(x * a), Value(0.5, label="x"))
    picture = draw(y).picture
    (edge,) = edges_between(picture, "a", next(n.name for n in picture.nodes if n.body))
    assert edge.contribution is None
    assert node(picture, "a").gradient is None
