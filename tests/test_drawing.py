"""Pictures: what they say (ids, texts, numbers, rules of looks) by every engine installed; never a layout's bytes."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from io import BytesIO
from math import inf, isfinite, nan
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalargrad import Value, compile, group, where  # noqa: A004
from scalargrad.activations import log_softmax, softmax
from scalargrad.drawing import Drawing, draw, draw_network
from scalargrad.drawing.common import style
from scalargrad.drawing.common.images import NoPainterError
from scalargrad.drawing.common.text import clean, marked, number, shortened, signed, width
from scalargrad.drawing.graph import labels as styles
from scalargrad.drawing.graph import layout_engines as engines
from scalargrad.drawing.graph.labels import labels_of, node_label
from scalargrad.drawing.graph.layout import read_layout
from scalargrad.drawing.graph.layout_engines import LayoutError, LayoutTimeoutError, NoEngineError
from scalargrad.drawing.graph.replay import to_dict
from scalargrad.drawing.graph.selection import EVERYTHING
from scalargrad.engine import primitive, table
from scalargrad.functions import primitives
from scalargrad.losses import cross_entropy
from scalargrad.nn import MLP

from . import flows

SVG = "{http://www.w3.org/2000/svg}"
INSTALLED = list(engines.engines())


def steps_of(picture):
    """The steps of the backward pass as JSON has them."""
    return [SimpleNamespace(**step) for step in to_dict(picture)["steps"]]


@pytest.fixture(params=INSTALLED, ids=lambda engine: engine.name)
def engine(request, monkeypatch):
    """Every engine on this machine, one after the other, as the only one."""
    monkeypatch.setattr(engines, "engines", lambda *_: iter([request.param]))
    return request.param


def micrograd():
    a, b, c, f = (Value(x, label=n) for x, n in ((2.0, "a"), (-3.0, "b"), (10.0, "c"), (-2.0, "f")))
    e = named(a * b, "e")
    d = named(e + c, "d")
    return named(d * f, "L")


def backward(value):
    value.backward()
    return value


def named(value, label):
    value.label = label
    return value


def shared():
    a = Value(3.0, label="a")
    b = named(a + a, "b")
    return a, b, named(a * b, "y")


def elements(svg):
    return {e.get("id"): e for e in ET.fromstring(svg).iter() if e.get("id")}


def texts(element):
    """The lines that can be read on an element, without its tooltip."""
    return ["".join(t.itertext()) for t in element.iter(f"{SVG}text")]


def tooltip(element):
    return element.find(f"{SVG}title").text


def node(picture, name):
    (found,) = [n for n in picture.nodes if n.name == name]
    return found


def edges_between(picture, source, target):
    return [e for e in picture.edges if (e.source, e.target) == (node(picture, source).id, node(picture, target).id)]


# ---- what a picture says ---------------------------------------------------------------------------------------------


def test_there_is_an_engine():
    assert INSTALLED, "the tests of drawings need at least graphviz-pure, which is a dependency"


def test_the_first_picture(engine):
    loss = micrograd()
    loss.backward()
    drawing = loss.draw()
    by_id = elements(drawing.svg())
    assert len(drawing.picture.nodes) == 7
    assert len(drawing.picture.edges) == 6
    d = by_id[f"{drawing.prefix}-{node(drawing.picture, 'd').id}"]
    assert texts(d) == ["d = e + c", "value", "4", "∂L/∂d", "−2"]
    (edge,) = edges_between(drawing.picture, "a", "e")
    assert texts(by_id[f"{drawing.prefix}-{edge.id}"]) == ["× b = −3 (+)"]
    assert tooltip(by_id[f"{drawing.prefix}-{edge.id}"]) == ("a → e, operand 1\nupstream -2.0 × local = b -3.0 = 6.0")


def test_one_edge_an_operand_slot_and_one_line_a_path():
    _, _, y = shared()
    y.backward()
    picture = draw(y).picture
    assert [e.slot for e in edges_between(picture, "a", "b")] == [0, 1]
    assert [(p.consumer, p.upstream, p.local, p.contribution) for p in node(picture, "a").paths] == [
        ("y", 1.0, 6.0, 6.0),
        ("b", 3.0, 1.0, 3.0),
        ("b", 3.0, 1.0, 3.0),
    ]
    drawing = draw(y)
    shown = texts(elements(drawing.svg())[f"{drawing.prefix}-{node(picture, 'a').id}"])
    assert (shown[:3], shown[-2:]) == (["a", "value", "3"], ["∂y/∂a = sum", "12"])
    lines = list(zip(shown[3:-2:2], shown[4:-2:2], strict=True))
    assert sorted(lines) == [("via b", "3 × 1 = +3"), ("via b", "3 × 1 = +3"), ("via y", "1 × 6 = +6")]
    curves = drawing._layout.edges  # the lines stand in the order of the edges, from the top
    ordered = sorted(node(picture, "a").paths, key=lambda p: (curves[p.edge].points[0][1], curves[p.edge].tip[1]))
    assert [key for key, _ in lines] == [f"via {p.consumer}" for p in ordered]


def test_before_a_pass_gradients_are_dashes():
    _, _, y = shared()
    drawing = draw(y, labels="full")
    picture = drawing.picture
    assert not picture.has_gradients
    assert {n.gradient for n in picture.nodes} == {None}
    assert {e.contribution for e in picture.edges} == {None}
    by_id = elements(drawing.svg())
    for n in picture.nodes:
        assert texts(by_id[f"{drawing.prefix}-{n.id}"])[-1] == "—"
    for e in picture.edges:
        assert texts(by_id[f"{drawing.prefix}-{e.id}"])[1] == "—"
    assert "contribution" not in "".join(texts(ET.fromstring(drawing.svg())))


def test_a_computed_zero_is_no_dash():
    x = Value(-1.0, label="x")
    y = x.relu()
    y.backward()
    found = node(draw(y).picture, "x")
    assert found.gradient == 0.0
    assert styles.node_style(found) == "usual"
    assert "dash" in draw(y, theme="light").svg()


@pytest.mark.parametrize(
    ("labels", "lines"),
    [
        ("local", ["× b = −3 (+)"]),
        ("contribution", ["+6"]),
        ("full", ["× b = −3", "−2 × −3 = +6"]),
        ("none", []),
    ],
)
def test_labels(labels, lines):
    loss = micrograd()
    loss.backward()
    drawing = draw(loss, labels=labels)
    (edge,) = edges_between(drawing.picture, "a", "e")
    assert texts(elements(drawing.svg())[f"{drawing.prefix}-{edge.id}"]) == lines


def test_a_zero_upstream_brings_nothing_even_where_the_local_gradient_is_infinite():
    x = Value(0.0, label="x")
    r = named(table.sqrt(x), "r")
    y = named(primitives.where(Value(1.0), x, r), "y")
    y.backward()
    (edge,) = edges_between(draw(y).picture, "x", "r")
    assert (edge.upstream, edge.local, edge.contribution) == (0.0, inf, 0.0)
    assert styles.edge_style(edge) == "zero"
    assert node(draw(y).picture, "x").gradient == 1.0


def test_constants_are_small_and_take_no_gradient():
    x = Value(3.0, label="x")
    y = named(2 * x, "y")
    y.backward()
    drawing = draw(y)
    constant = node(drawing.picture, "2")
    assert (constant.kind, constant.gradient) == ("constant", None)
    (edge,) = edges_between(drawing.picture, "2", "y")
    assert (edge.local, edge.contribution, styles.edge_style(edge)) == (3.0, None, "constant")
    assert texts(elements(drawing.svg())[f"{drawing.prefix}-{constant.id}"]) == ["2"]
    assert node(drawing.picture, "y").formula == "2 × x"


def test_gradients_from_elsewhere_are_told():
    _, b, y = shared()
    y.backward()
    y.backward()
    found = node(draw(y).picture, "a")
    assert (found.gradient, found.elsewhere) == (24.0, 12.0)
    assert any(row == "elsewhere" for row in texts(ET.fromstring(draw(y).svg())))
    assert node(draw(b).picture, "a").elsewhere == 24.0 - 6.0
    assert {n.gradient_name for n in draw(y).picture.nodes} == {"gradient", "∂y/∂b", "∂y/∂y"}  # a's has more in it
    assert node(draw(b).picture, "a").gradient_name == "gradient"  # b is not what it is the derivative of


def test_a_stale_graph_is_told():
    a, _, y = shared()
    y.backward()
    a.data = 5.0
    picture = draw(y).picture
    assert [n.name for n in picture.nodes if n.is_stale] == ["b", "y"]
    assert any("stale" in note for note in picture.notes)
    assert node(picture, "a").elsewhere is None


def test_inf_and_nan_carry_a_sign():
    x = Value(0.0, label="x")
    y = named(table.log(x), "y")
    y.backward()
    drawing = draw(y)
    by_id = elements(drawing.svg())
    assert "⚠ −inf" in texts(by_id[f"{drawing.prefix}-{node(drawing.picture, 'y').id}"])
    assert "⚠ inf" in texts(by_id[f"{drawing.prefix}-{node(drawing.picture, 'x').id}"])
    (edge,) = edges_between(drawing.picture, "x", "y")
    assert styles.edge_style(edge) == "bad"
    assert drawing.to_dict()["nodes"][1]["value"] == "-inf"


def test_gradients_that_are_graphs_show_their_numbers():
    x = Value(2.0, label="x")
    y = named(x**3, "y")
    y.backward(create_graph=True)
    assert node(draw(y).picture, "x").gradient == 12.0
    assert draw(x.grad).svg()


def test_operands_stand_in_the_order_given_and_conditions_read_as_written():
    zs = [Value(1.0, label="a"), Value(2.0, label="b"), Value(3.0, label="c")]
    for k in range(3):
        for y, symbol in (
            (softmax(zs)[k], "softmax"),
            (log_softmax(zs)[k], "log softmax"),
            (cross_entropy([zs], [k], reduction="sum").parents[0], "cross entropy"),
        ):
            assert [each.label for each in y.parents] == ["a", "b", "c"]
            assert str(y.draw()).startswith(f"v₁ = {symbol}[{k}](a, b, c) = ")
    x, b = zs[:2]
    assert "where(true, b, a)" in str(where(x > 0.0, b, x).draw())
    assert "where(false, b, a)" in str(where(x > 5.0, b, x).draw())
    for f, text in (
        (lambda x, y: where(x > -1.5, y, x), "x > −1.5"),
        (lambda x, y: where(x <= y, y, x), "x ≤ y"),
        (lambda x, y: where(x, y, x), "x"),
    ):
        fast = compile(f, backend="python")
        fast(1.0, 2.0)
        assert f"where({text}, y, x)" in str(fast.draw())


def test_derivatives_of_powers_and_softmax_read_as_one_would_write_them():
    x = Value(2.0, label="x")
    named(x**3, "y").backward(create_graph=True)
    picture = draw(x.grad).picture
    assert node(picture, "v₁").formula == "3·x²"
    assert [e.notation for e in picture.edges] == ["6·x"]
    zs = [Value(z, label=f"z{k}") for k, z in enumerate((1.0, 2.0, 3.0), 1)]
    for loss in (softmax(zs)[0], log_softmax(zs)[0], cross_entropy([zs], [0])):
        text = "".join(e.notation for e in draw(loss).picture.edges)
        assert "softmax(z₂)" in text or "softmax(z2)" in text
        assert "σ" not in text


def test_numbers_behind_a_letter_are_drawn_below_the_line():
    for text in ("w1", "w_1", "x_in_2"):
        assert 'font-size="9"' in marked((text, ""), size=12.0)
        assert (
            "".join(ET.fromstring(f"<t>{marked((text, ''), size=12.0)}</t>".replace("xml:space", "space")).itertext())
            == text
        )
    for text in ("log2(x)", "1.2e6", "atan2", "layer1", "b2c"):
        assert marked((text, ""), size=12.0) == text


def test_several_roots():
    x = Value(2.0, label="x")
    picture = draw([named(x * 2, "y"), named(x * 3, "z")]).picture
    assert {n.name for n in picture.nodes if n.is_root} == {"y", "z"}
    assert node(picture, "x").gradient_name == "gradient"


def test_names_without_labels_count_up_and_notations_use_them():
    x = Value(0.5, label="x")
    y = table.tanh(table.exp(x))
    picture = draw(y).picture
    assert [n.name for n in picture.nodes] == ["x", "v₁", "v₂"]
    assert [e.notation for e in picture.edges] == ["v₁", "1−v₂²"]
    assert node(picture, "v₂").formula == "tanh(v₁)"


def test_the_steps_are_the_backward_pass():
    _, _, y = shared()
    y.backward()
    picture = draw(y).picture
    steps = list(steps_of(picture))
    names = {n.id: n.name for n in picture.nodes}
    assert [(names[s.target], names[s.source], s.arrived, s.paths, s.running) for s in steps] == [
        ("y", "a", 1, 3, 6.0),
        ("y", "b", 1, 1, 3.0),
        ("b", "a", 2, 3, 9.0),
        ("b", "a", 3, 3, 12.0),
    ]


@pytest.mark.parametrize("row", [r for r in primitive.TABLE.values() if r.arity], ids=lambda row: row.name)
def test_every_row_of_the_table_is_drawn(row):
    given = [max(interval.low, -1.0) * 0.5 + min(interval.high, 2.0) * 0.5 for interval in row.domain[: row.arity]]
    operands = [Value(x, label=f"x{k}") for k, x in enumerate(given)]
    y = row(*operands)
    y.backward()
    picture = draw(y).picture
    assert [e.local for e in picture.edges] == list(y.local_gradients)
    assert all(e.notation for e in picture.edges)
    ET.fromstring(draw(y).svg())


def boxes_of(drawing):
    shown = elements(drawing.svg())
    rects = [shown[f"{drawing.prefix}-{n.id}"].findall(f"{SVG}rect")[-1] for n in drawing.picture.nodes]
    return [[r.get(key) for key in ("x", "y", "width", "height")] for r in rects]


def test_frames_show_what_has_arrived():
    _, _, y = shared()
    y.backward()
    drawing = draw(y)
    frames = drawing.frames()
    assert len(frames) == 5
    found = [node(frame.picture, "a") for frame in frames]
    assert [n.gradient for n in found] == [None, 6.0, 6.0, 9.0, 12.0]
    assert [n.arrived for n in found] == [(0, 3), (1, 3), (1, 3), (2, 3), None]
    assert [node(frame.picture, "b").gradient for frame in frames] == [None, None, 3.0, 3.0, 3.0]
    assert [frame.picture.active for frame in frames] == ["", *(s.edge for s in steps_of(drawing.picture))]
    lines = texts(elements(frames[3].svg())[f"{frames[3].prefix}-{found[3].id}"])
    assert "2 of 3 paths arrived" in lines
    assert all(boxes_of(frame) == boxes_of(drawing) for frame in frames)
    assert frames[-1].picture.nodes == drawing.picture.nodes


def test_no_frames_without_a_pass_or_of_folded_values():
    with pytest.raises(ValueError, match=r"call backward\(\)"):
        draw(micrograd()).frames()
    with pytest.raises(ValueError, match="folded into blocks"):
        draw(chain(3000)).frames()


# ---- random graphs ---------------------------------------------------------------------------------------------------


@st.composite
def graphs(draw_from):
    """A result of random operations on shared, repeated and constant operands."""
    values = [Value(draw_from(st.floats(-3, 3)), label=f"x{k}") for k in range(draw_from(st.integers(1, 4)))]
    for _ in range(draw_from(st.integers(1, 12))):
        operation = draw_from(
            st.sampled_from([table.add, table.mul, table.sub, table.tanh, primitives.sum, table.relu])
        )
        count = operation.arity or draw_from(st.integers(1, 4))
        pool = st.one_of(st.sampled_from(values), st.sampled_from([2.0, -0.5]))
        operands = [draw_from(st.sampled_from(values)), *(draw_from(pool) for _ in range(count - 1))]
        values.append(operation(*operands))
    return values[-1]


@pytest.mark.parametrize("chosen", INSTALLED, ids=lambda engine: engine.name)
@settings(max_examples=20, deadline=None)
@given(graphs(), st.sampled_from(["LR", "TB"]), st.sampled_from(["local", "full", "none"]))
def test_every_value_edge_and_number_is_in_the_picture(chosen, y, direction, labels):
    from scalargrad.drawing.graph.dot import to_boxes
    from scalargrad.drawing.graph.svg import GraphDrawer
    from scalargrad.engine.chain_rule import topological_order

    y.backward()
    values = topological_order((y,))[::-1]
    drawing = draw(y, direction=direction, labels=labels)
    picture = drawing.picture
    output = engines.run(chosen, to_boxes(picture, labels_of(picture)), "json0", 60.0)
    by_id = elements(
        GraphDrawer(picture, labels_of(picture), read_layout(output, picture, chosen.name), drawing.prefix).svg()
    )
    assert len(picture.nodes) == len(values)
    for n, v in zip(picture.nodes, values, strict=True):
        shown = by_id[f"{drawing.prefix}-{n.id}"]
        lines = texts(shown)
        assert (n.value, n.gradient) == (v.data, None if v.is_constant else v.grad)
        if v.is_constant:
            assert lines == [number(v.data)]
            continue
        assert lines[0].startswith(v.label or n.name)
        assert number(v.data) in lines
        assert number(v.grad) in lines
        assert repr(v.data) in tooltip(shown)
        assert repr(v.grad) in tooltip(shown)
        if n.paths:
            assert sum((p.contribution for p in n.paths), 0.0) == v.grad
    wanted = [(k, slot, p) for k, v in enumerate(values) for slot, p in enumerate(v.parents)]
    assert len(picture.edges) == len(wanted)
    names = {n.id: k for k, n in enumerate(picture.nodes)}
    for e, (k, slot, p) in zip(picture.edges, wanted, strict=True):
        assert (names[e.target], e.slot, values[names[e.source]]) == (k, slot, p)
        assert e.local == values[k].local_gradients[slot]
        shown = by_id[f"{drawing.prefix}-{e.id}"]
        assert repr(e.local) in tooltip(shown)
        if not p.is_constant:
            assert e.upstream == values[k].grad
            assert repr(e.contribution) in tooltip(shown)
            if labels != "none":
                assert number(e.local) in texts(shown)[0]
            if labels == "full":
                assert texts(shown)[1].endswith(f"= {signed(e.contribution)}")
    final = {}
    for step in steps_of(picture):
        final[step.source] = (step.running, step.arrived, step.paths)
    for n in picture.nodes:
        if n.id in final:
            assert final[n.id][0] == n.gradient
            assert final[n.id][1] == final[n.id][2]


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_harmless(label, other):
    a, b = Value(1.0, label=label), Value(2.0, label=other)
    drawing = draw(named(a / b, other + label), title=label, groups={"g/" + (label.replace("/", "") or "x"): [a]})
    by_id = elements(drawing.svg())
    assert len(by_id) == 3 + 3 + 2 + 2  # the root, its title and description; nodes, edges and two groups
    assert json.loads(drawing.json())["nodes"][0]["label"] == label
    assert "<" not in drawing.json()
    drawing.text().encode()
    drawing.dot().encode()


@pytest.mark.parametrize(
    "label",
    [
        "<b>&amp;", "</script><script>alert(1)</script>", "a\nb\tc", "\x00\x1b", "שלום עולם", "\u202eevil",
        "x" * 10_000,        "\\N\\G\\n", "세타[to,from]", "θ₁", "\ud800", "{y}{a}%d", "]]>", "-->", "'\"", "\ufffe",
    ],
)  # fmt: skip
def test_awkward_labels_in_every_form(label, engine):
    a = Value(1.0, label=label)
    y = named(a * a, "y")
    y.backward()
    drawing = draw(y)
    shown = elements(drawing.svg())[f"{drawing.prefix}-n1"]
    assert texts(shown)[0] == clean(shortened(label, 32))
    assert tooltip(shown).startswith(clean(label).split("\n")[0][:5])
    assert len(drawing.svg()) < 40_000
    own = ET.fromstring(engines.run(engine, drawing.dot(), "svg", 60.0))
    assert clean(shortened(label, 32)) in "".join("".join(t.itertext()) for t in own.iter(f"{SVG}text"))


def test_an_empty_or_blank_label_is_none():
    assert draw(named(Value(1.0) * 2, "  ")).picture.nodes[-1].name == "v₂"


# ---- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gradient", "look", "scale"),
    [
        (None, "none", None), (1.0, "usual", 0), (-1.0, "usual", 0), (1e-6, "usual", -6), (9e-7, "vanishing", -6),
        (0.0, "usual", None), (1e3, "usual", 3), (1001.0, "exploding", 3), (1e300, "exploding", 3),
        (0.02, "usual", -2), (inf, "bad", 3), (nan, "bad", None),
    ],
)  # fmt: skip
def test_colours_and_lines_of_nodes_by_size_of_the_gradient(gradient, look, scale):
    n = node(draw(Value(1.0, label="x")).picture, "x")._replace(gradient=gradient)
    assert styles.node_style(n) == look
    assert styles.node_scale(n) == scale


def test_widths_grow_with_the_contribution_and_colours_follow_its_sign():
    loss = micrograd()
    loss.backward()
    picture = draw(loss).picture
    widths = styles.edge_widths(picture)
    assert sorted(widths, key=widths.get) == [e.id for e in sorted(picture.edges, key=lambda e: abs(e.contribution))]
    for e in picture.edges:
        assert styles.edge_style(e) == ("pos" if e.contribution > 0 else "neg")
    by_id = elements(loss.draw().svg())
    assert {e.get("class") for key, e in by_id.items() if re.search("-e[0-9]+_", key)} == {"edge pos", "edge neg"}


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_everything_is_legible_on_light_and_dark(dark):
    behind = [style.scale_colour(k, dark) for k in style.SCALE]
    behind += [style.COLOURS[name][dark] for name in ("page", "plain", "group")]
    for name in ("ink", "muted", "pos-text", "neg-text", "bad-text"):
        assert min(contrast(style.COLOURS[name][dark], colour) for colour in behind) >= 4.5, name
    for name in ("pos", "neg", "bad", "line"):
        assert contrast(style.COLOURS[name][dark], style.COLOURS["page"][dark]) >= 3.0, name


def test_inputs_and_parameters():
    loss = micrograd()
    kinds = {n.name: n.kind for n in draw(loss).picture.nodes}
    assert kinds["a"] == "parameter"
    a = next(v for v in (loss.parents[0].parents[0]).parents if v.label == "a")
    kinds = {n.name: n.kind for n in draw(loss, parameters=[a]).picture.nodes}
    assert (kinds["a"], kinds["b"], kinds["L"]) == ("parameter", "input", "operation")


def test_the_svg_stands_alone_and_fits(engine):
    loss = micrograd()
    loss.backward()
    drawing = draw(
        loss, title="A title that is a good deal longer than the picture of this small expression is wide, twice"
    )
    root = ET.fromstring(drawing.svg())
    assert root.get("role") == "img"
    assert root.get("style") == "max-width:100%;height:auto"
    labelled = [elements(drawing.svg())[key] for key in root.get("aria-labelledby").split()]
    assert labelled[0].text == drawing.picture.title
    assert labelled[1].text == (
        "Computation graph of L = −8, from 4 inputs, 3 operations. Gradients of L by input: a: 6, b: −4, c: −2, f: 4."
    )
    _, _, wide, high = map(float, root.get("viewBox").split())
    assert width(drawing.picture.title, 17.0, bold=True) < wide
    layout = read_layout(engines.run(engine, _boxes(drawing), "json0", 60.0), drawing.picture, engine.name)
    assert layout.width < wide
    assert layout.height < high
    for n in drawing.picture.nodes:
        box = layout.nodes[n.id]
        assert box.x - box.width / 2 >= -1
        assert box.x + box.width / 2 <= layout.width + 1
    assert "http" not in drawing.svg().replace("http://www.w3.org/2000/svg", "")


def _boxes(drawing):
    from scalargrad.drawing.graph.dot import to_boxes

    return to_boxes(drawing.picture, labels_of(drawing.picture))


def test_boxes_hold_their_lines(engine):
    loss = micrograd()
    loss.backward()
    drawing = draw(loss, labels="full")
    layout = read_layout(engines.run(engine, _boxes(drawing), "json0", 60.0), drawing.picture, engine.name)
    for n in drawing.picture.nodes:
        assert layout.nodes[n.id].width >= node_label(n).width - 0.1
        assert layout.nodes[n.id].height >= node_label(n).height - 0.1


def test_themes():
    y = named(Value(1.0, label="x") * 2, "y")
    auto, light, dark = (draw(y, theme=t).svg() for t in ("auto", "light", "dark"))
    assert "prefers-color-scheme:dark" in auto
    assert "prefers-color-scheme" not in light + dark
    assert style.COLOURS["page"][0] in light
    assert style.COLOURS["page"][1] in dark


def test_several_on_a_page_share_no_id():
    y = named(Value(1.0, label="x") * 2, "y")
    first, second = draw(y), draw(y)
    assert not set(elements(first.svg())) & set(elements(second.svg()))
    assert first.svg() == first.svg()  # and one drawing keeps its own
    for drawing in (first, second):
        sheet = ET.fromstring(drawing.svg()).find(f"{SVG}style").text
        rules = sheet.replace("@media (prefers-color-scheme:dark){", "").replace("}}", "}").split("}")
        selectors = [s for rule in rules if rule for s in rule.split("{")[0].split(",")]
        assert all(s.startswith(f"#{drawing.prefix} ") for s in selectors)


# ---- options ---------------------------------------------------------------------------------------------------------


def names_of(drawing):
    return {n.name for n in drawing.picture.nodes}


def test_steps_that_repeat_too_often_to_be_read_are_folded_with_the_rest():
    values = [Value(0.5, label="x")]
    for k in range(2500):
        values.append(values[-1] * 0.99 + (values[k // 2] if k % 7 == 0 else 0.1))
    assert len(draw(values[-1]).picture.nodes) <= 200


def test_depth_focus_and_path():
    loss = micrograd()
    d, f = loss.parents
    assert names_of(draw(loss, depth=0)) == {"L"}
    assert names_of(draw(loss, depth=1)) == {"L", "d", "f"}
    assert node(draw(loss, depth=1).picture, "d").undrawn == 2
    assert draw(loss, depth=1).picture.notes == ("3 of 7 values drawn (depth=1)",)
    assert names_of(draw(loss, focus=d, hops=1)) == {"d", "L", "e", "c"}
    a = d.parents[0].parents[0]
    assert names_of(draw(loss, path=(a, loss))) == {"a", "e", "d", "L"}
    assert names_of(draw(loss, path=(f, loss), depth=1)) == {"f", "L"}
    ET.fromstring(draw(loss, depth=1).svg())


def test_a_cut_picture_keeps_every_path_of_its_nodes():
    a, _, y = shared()
    y.backward()
    found = node(draw(y, path=(a, a)).picture, "a")
    assert [p.contribution for p in found.paths] == [6.0, 3.0, 3.0]
    assert found.elsewhere is None


def test_direction():
    loss = micrograd()
    for direction in ("LR", "RL", "TB", "BT"):
        drawing = draw(loss, direction=direction)
        layout = read_layout(
            engines.run(INSTALLED[0], _boxes(drawing), "json0", 60.0), drawing.picture, INSTALLED[0].name
        )
        root, leaf = layout.nodes[node(drawing.picture, "L").id], layout.nodes[node(drawing.picture, "a").id]
        ahead = {"LR": root.x - leaf.x, "RL": leaf.x - root.x, "TB": root.y - leaf.y, "BT": leaf.y - root.y}
        assert ahead[direction] > 50.0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"labels": "all"}, ValueError, "'local', 'contribution', 'full', 'none'"),
        ({"direction": "up"}, ValueError, "'LR', 'RL', 'TB', 'BT'"),
        ({"theme": "sepia"}, ValueError, "'auto', 'light', 'dark'"),
        ({"depth": -1}, ValueError, "depth must be a whole number of at least 0, got -1"),
        ({"depth": True}, ValueError, "got True"),
        ({"hops": 1.5}, ValueError, "hops must be a whole number"),
        ({"time_limit": 0.0}, ValueError, "positive, got 0.0"),
        ({"time_limit": nan}, ValueError, "positive, got nan"),
        ({"focus": 3.0}, TypeError, "focus takes a Value, got float"),
        ({"focus": Value(1.0)}, ValueError, "not part of the graph"),
        ({"path": (Value(1.0),)}, ValueError, "two values"),
        ({"path": (Value(1.0), Value(1.0))}, ValueError, "not part of the graph"),
        ({"collapse": "layer1"}, ValueError, "the graph has none"),
        ({"groups": {"": []}}, ValueError, "a group's name"),
        ({"parameters": [1.0]}, TypeError, "got float at position 0"),
        ({"title": 3}, TypeError, "title takes a str, got int"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(")):
        draw(micrograd(), **options)


def test_bad_values():
    for bad, words in ((3.0, "got float"), ("y", "got str"), ([Value(1.0), 2], "int at position 1")):
        with pytest.raises(TypeError, match=words):
            draw(bad)
    with pytest.raises(ValueError, match="no value"):
        draw([])
    loss = micrograd()
    with pytest.raises(ValueError, match="does not depend on"):
        draw(loss, path=(loss, loss.parents[1]))


# ---- groups, folding, sizes ------------------------------------------------------------------------------------------


def mlp(*sizes):
    """A network as (loss, groups, parameters), each neuron a group inside its layer."""
    groups, parameters = {}, []
    layer = [Value(0.1 * k - 0.3, label=f"x{k + 1}") for k in range(sizes[0])]
    for depth, size in enumerate(sizes[1:], 1):
        made = []
        for k in range(size):
            weights = [Value(((7 * k + 3 * j) % 11 - 5) / 10, label=f"w{k + 1},{j + 1}") for j in range(len(layer))]
            sums = primitives.dot(*layer, *weights)
            made.append(table.tanh(sums))
            parameters += weights
            groups[f"layer{depth}/neuron{k + 1}"] = [*weights, sums, made[-1]]
        layer = made
    loss = named(primitives.sum(*layer), "loss")
    loss.backward()
    return loss, groups, parameters


def test_groups_are_nested_clusters(engine):
    loss, groups, parameters = mlp(2, 2, 1)
    drawing = draw(loss, groups=groups, parameters=parameters)
    assert drawing.picture.groups == ("layer1", "layer1/neuron1", "layer1/neuron2", "layer2", "layer2/neuron1")
    layout = read_layout(engines.run(engine, _boxes(drawing), "json0", 60.0), drawing.picture, engine.name)
    for n in drawing.picture.nodes:
        box = layout.nodes[n.id]
        for k, path in enumerate(drawing.picture.groups):
            x1, y1, x2, y2 = layout.clusters[str(k + 1)]
            inside = x1 <= box.x <= x2 and y1 <= box.y <= y2
            assert inside == (n.group == path or n.group.startswith(path + "/"))
    by_id = elements(drawing.svg())
    assert texts(by_id[f"{drawing.prefix}-c2"]) == ["neuron1"]
    assert "cluster_1" in drawing.dot()


def test_inputs_and_constants_stand_with_the_only_group_that_uses_them():
    x, w = Value(1.0, label="x"), Value(2.0, label="w")
    h = named(x * w + 3, "h")
    y = named(h * x, "y")
    picture = draw(y, groups={"layer": [h, h.parents[0]]}).picture
    assert {n.name: n.group for n in picture.nodes} == {
        "x": "",
        "w": "layer",
        "v₁": "layer",
        "3": "layer",
        "h": "layer",
        "y": "",
    }


def test_a_group_recorded_on_the_values_is_read():
    with group("layer1"):
        w = Value(2.0, label="w")
        with group("neuron0"):
            h = table.tanh(w * Value(1.0))
    picture = draw(named(h + w, "y")).picture
    assert picture.groups == ("layer1", "layer1/neuron0")
    assert {n.name: n.group for n in picture.nodes if n.label} == {"w": "layer1", "y": ""}
    assert node(draw(h, collapse="layer1/*").picture, "neuron0").members == 3


def test_a_folded_group_states_what_it_holds():
    loss, groups, _ = mlp(2, 3, 1)
    drawing = draw(loss, groups=groups, collapse="layer1")
    block = node(drawing.picture, "layer1")
    members = [v for name, vs in groups.items() if name.startswith("layer1") for v in vs]
    assert block.members == len(members) == 12
    assert block.gradient_range == (min(abs(v.grad) for v in members), max(abs(v.grad) for v in members))
    assert dict(block.operations) == {"input": 6, "dot": 3, "tanh": 3}
    incoming = {e.source: e.merged for e in drawing.picture.edges if e.target == block.id}
    assert sorted(incoming.values()) == [3, 3]  # x1 and x2, each to three neurons
    shown = texts(elements(drawing.svg())[f"{drawing.prefix}-{block.id}"])
    assert shown[0] == "layer1  12 values"
    x1 = node(drawing.picture, "x1")
    row = texts(elements(drawing.svg())[f"{drawing.prefix}-{x1.id}"])
    assert "via layer1, 3 paths" in row
    assert names_of(draw(loss, groups=groups, collapse=True)) == {"x1", "x2", "layer1", "layer2", "loss"}
    assert "neuron2" in names_of(draw(loss, groups=groups, collapse=["layer1/neuron2"]))
    assert len(draw(loss, groups=groups, collapse="*/neuron*").picture.nodes) == 2 + 3 + 1 + 1
    with pytest.raises(ValueError, match="no group 'layer9'; the groups are layer1, layer1/neuron1"):
        draw(loss, groups=groups, collapse="layer9")


def chain(n):
    v = Value(0.5, label="x")
    for _ in range(n):
        v = table.sin(v)
    v.backward()
    return v


def is_acyclic(picture):
    waiting = {n.id: 0 for n in picture.nodes}
    after = {}
    for e in picture.edges:
        waiting[e.target] += 1
        after.setdefault(e.source, []).append(e.target)
    ready = [key for key, count in waiting.items() if count == 0]
    done = 0
    while ready:
        done += 1
        for key in after.get(ready.pop(), ()):
            waiting[key] -= 1
            if waiting[key] == 0:
                ready.append(key)
    return done == len(waiting)


def test_labels_up_to_200_nodes_and_none_beyond():
    assert draw(chain(EVERYTHING - 1), collapse=False).picture.labels == "local"
    assert draw(chain(EVERYTHING), collapse=False).picture.labels == "none"
    assert draw(chain(EVERYTHING), collapse=False, labels="full").picture.labels == "full"  # asked for by name
    assert draw(chain(EVERYTHING), full=True).picture.labels == "none"


def test_layers_are_folded_beyond_so_many_neurons():
    loss, groups, _ = mlp(4, *[4] * 11)
    folded = draw(loss, groups=groups)
    assert names_of(folded) == {"x1", "x2", "x3", "x4", *(f"layer{k + 1}" for k in range(11)), "loss"}
    assert "values folded into 11 groups" in folded.picture.notes[0]
    assert len(draw(loss, groups=groups, collapse=False).picture.nodes) == folded.picture.total


@pytest.mark.parametrize(
    "build", [lambda: chain(10_000), lambda: wide(3000), lambda: ladder(3000)], ids=["chain", "wide", "ladder"]
)
def test_what_is_too_large_is_folded_into_blocks_and_told(build):
    y = build()
    drawing = draw(y)
    picture = drawing.picture
    assert len(picture.nodes) <= EVERYTHING
    assert sum(n.members for n in picture.nodes) == picture.total
    assert is_acyclic(picture)
    folded = sum(n.members for n in picture.nodes if n.kind == "block")
    blocks = sum(n.kind == "block" for n in picture.nodes)
    many = "s" * (blocks > 1)
    note = f"{folded:,} of {picture.total:,} values folded into {blocks} block{many} (full=True draws all)"
    assert picture.notes == (note,)
    assert note in texts(ET.fromstring(drawing.svg()))


def wide(n):
    y = primitives.sum(*(table.exp(Value(k / n)) for k in range(n)))
    y.backward()
    return y


def ladder(n):
    a, b = Value(0.5), Value(0.25)
    for _ in range(n):
        a, b = table.sin(a + b), table.sin(a - b)
    y = a + b
    y.backward()
    return y


def test_a_long_chain_is_drawn_in_full():
    y = chain(10_000)
    drawing = draw(y, full=True)
    svg = drawing.svg()
    assert svg.count(f'id="{drawing.prefix}-n') == 10_001
    assert svg.count(f'id="{drawing.prefix}-e') == 10_000
    assert len(drawing.text().splitlines()) <= 201


def test_a_clustered_network_of_1016_nodes_is_drawn(engine):
    loss, groups, _ = mlp(8, 24, 24, 6)
    drawing = draw(loss, groups=groups, full=True, labels="local")
    assert len(drawing.picture.nodes) >= 1016
    output = engines.run(engine, _boxes(drawing), "json0", 60.0)
    assert len(read_layout(output, drawing.picture, engine.name).edges) == len(drawing.picture.edges)


def test_depth_of_a_hundred_thousand():
    y = chain(100_000)
    assert sum(n.members for n in draw(y).picture.nodes) == 100_001


# ---- forms and files -------------------------------------------------------------------------------------------------


def test_save_by_suffix(tmp_path):
    loss = micrograd()
    loss.backward()
    drawing = draw(loss)
    for suffix in ("svg", "dot", "json", "txt", "SVG"):
        assert drawing.save(tmp_path / f"x.{suffix}") is drawing
    assert ET.parse(tmp_path / "x.svg").getroot().get("id") == drawing.prefix
    assert json.loads((tmp_path / "x.json").read_text()) == drawing.to_dict()
    assert (tmp_path / "x.dot").read_text(encoding="utf-8") == drawing.source
    assert (tmp_path / "x.txt").read_text(encoding="utf-8") == str(drawing) + "\n"


def test_saving_where_it_cannot_be(tmp_path):
    drawing = draw(micrograd())
    with pytest.raises(ValueError, match=r"'\.gif' .* the suffixes are \.svg, \.dot, \.html, \.json"):
        drawing.save(tmp_path / "x.gif")
    with pytest.raises(ValueError, match=r"no suffix"):
        drawing.save(tmp_path / "x")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing"):
        drawing.save(tmp_path / "missing" / "x.svg")


def _pixels(png):
    image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")
    return image.imread(BytesIO(png))[:, :, :3]


PAINTED = {
    "graph": lambda theme: draw(backward(micrograd()), title="Chain rule, 가중치", theme=theme),
    "network": lambda theme: draw_network(
        MLP(2, [2, 1], seed=1), inputs=[0.5, -1.0], region=((-1, 1), (-1, 1)), theme=theme
    ),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", PAINTED)
def test_a_png_shows_what_the_svg_shows_in_a_browser(kind, theme, visit_page, tmp_path):
    pytest.importorskip("typst", reason="typst is not installed")
    drawing = PAINTED[kind](theme)
    page = visit_page(f"<style>body{{margin:0}}</style>{drawing.svg()}", device_scale_factor=2)
    shown = page.locator("svg").screenshot()
    drawing.save(tmp_path / "x.png")
    mine, theirs = _pixels((tmp_path / "x.png").read_bytes()), _pixels(shown)
    assert mine.shape == pytest.approx(theirs.shape, abs=1)  # half a pixel
    inner = (slice(20, mine.shape[0] - 20), slice(20, mine.shape[1] - 20))  # the corners are transparent, or the page's
    assert abs(mine[inner] - theirs[inner]).mean() < 0.012
    assert abs(mine[inner] - 1.0 * (theme == "light")).mean() > 0.02  # it shows anything


def test_a_pdf_is_as_large_as_the_svg_and_the_same_each_time(tmp_path):
    pytest.importorskip("typst", reason="typst is not installed")
    drawing = draw(backward(micrograd()))
    drawing.save(tmp_path / "x.pdf")
    made = (tmp_path / "x.pdf").read_bytes()
    wide, high = (float(ET.fromstring(drawing.svg()).get(name)) for name in ("width", "height"))
    box = re.search(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", made)
    assert (float(box[1]), float(box[2])) == pytest.approx((0.75 * wide, 0.75 * high), abs=0.1)
    assert made.startswith(b"%PDF-")
    assert b"/Font" in made  # text is text
    assert drawing.image("pdf") == made


def test_an_image_without_the_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    for drawing in (draw(micrograd()), draw_network(MLP(1, [1]))):
        for form in ("png", "pdf"):
            with pytest.raises(NoPainterError, match=rf"a \.{form} .* pip install 'scalargrad\[images\]'"):
                drawing.save(tmp_path / f"x.{form}")
    assert not list(tmp_path.iterdir())


def test_json_holds_every_number():
    _, _, y = shared()
    y.backward()
    found = json.loads(draw(y, title="T").json())
    assert found["title"] == "T"
    assert [n["name"] for n in found["nodes"]] == ["a", "b", "y"]
    assert found["nodes"][0]["paths"][0] == {
        "edge": "e3_1", "consumer": "y", "upstream": 1.0, "local": 6.0, "contribution": 6.0, "block": "",
    }  # fmt: skip
    assert [s["running"] for s in found["steps"]] == [6.0, 3.0, 9.0, 12.0]


def test_dot_is_for_any_graphviz(engine):
    loss = micrograd()
    loss.backward()
    drawing = draw(loss, title="Chain rule")
    root = ET.fromstring(engines.run(engine, drawing.dot(), "svg", 60.0))
    ids = {e.get("id") for e in root.iter() if e.get("id")}
    assert {f"{drawing.prefix}-{each.id}" for each in (*drawing.picture.nodes, *drawing.picture.edges)} <= ids
    shown = [t.strip() for t in texts(root)]
    for text in ("Chain rule", "a", "value: −8", "∂L/∂d: −2"):
        assert text in shown
    assert "shape=record" not in drawing.dot()


def test_the_tree_of_text():
    a, _, y = shared()
    y.backward()
    assert str(draw(y, title="T")).splitlines() == [
        "T",
        "y = a × b = 18   ∂y/∂y = 1",
        "├─ a = 3   ∂y/∂a = 12",
        "└─ b = a + a = 6   ∂y/∂b = 3",
        "   ├─ a = 3   ∂y/∂a = 12",
        "   └─ a = 3   ∂y/∂a = 12",
    ]
    s = named(a * 2, "s")
    assert str(draw(named(s + s, "t"))).splitlines()[-1] == "└─ s = a × 2 = 6   gradient = — ↑ above"


def test_notebooks_show_the_picture_or_else_the_text(monkeypatch):
    loss = micrograd()
    bundle = loss._repr_mimebundle_()
    assert ET.fromstring(bundle["image/svg+xml"]).tag == f"{SVG}svg"
    assert bundle["text/plain"] == repr(loss)
    assert set(draw(loss)._repr_mimebundle_(include=None, exclude=None)) == {"text/html", "image/svg+xml", "text/plain"}
    assert Value(2.0)._repr_mimebundle_() == {"text/plain": "Value(data=2.0, grad=0.0)"}
    monkeypatch.setattr(engines, "engines", lambda *_: iter(()))
    shown = draw(loss)._repr_mimebundle_()
    assert set(shown) == {"text/plain"}
    assert shown["text/plain"].startswith("L = d × f = −8")
    assert "no Graphviz engine found" in shown["text/plain"]
    assert loss._repr_mimebundle_() == shown


def test_a_drawing_stays_as_it_was_drawn():
    x = Value(2.0, label="x")
    y = named(x * x, "y")
    drawing = draw(y)
    y.backward()
    assert not drawing.picture.has_gradients
    assert repr(drawing) == "<Drawing of y: 2 nodes, 2 edges>"
    assert isinstance(drawing, Drawing)


# ---- engines ---------------------------------------------------------------------------------------------------------


def script(folder: Path, body: str) -> str:
    """An executable that behaves as an engine, written in Python."""
    path = folder / "engine"
    path.write_text(f"#!{sys.executable}\nimport sys, json, subprocess, time\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_without_any_engine_the_error_says_what_to_do(monkeypatch):
    monkeypatch.delenv(engines.VARIABLE, raising=False)
    monkeypatch.setattr(engines, "_bundled", lambda: "graphviz-pure: not installed")
    monkeypatch.setattr(engines, "_system", lambda: "dot: not on PATH")
    monkeypatch.setattr(engines, "_pygraphviz", lambda: "pygraphviz: not installed")
    with pytest.raises(NoEngineError) as caught:
        draw(micrograd()).svg()
    for words in (
        "$SCALARGRAD_DOT: not set",
        "dot: not on PATH",
        "pip install graphviz-pure",
        "None is needed for .dot",
    ):
        assert words in str(caught.value)
    assert draw(micrograd()).dot()
    assert draw(micrograd()).json()


@pytest.mark.skipif(os.name == "nt", reason="the stand-in engines are scripts with a shebang")
class TestChosenEngine:
    def test_it_comes_first(self, tmp_path, monkeypatch):
        real = INSTALLED[0].command
        body = f"sys.exit(subprocess.run([*{real!r}, *sys.argv[1:]]).returncode)"
        monkeypatch.setenv(engines.VARIABLE, script(tmp_path, body))
        assert engines.VARIABLE in engines.find().name
        assert draw(micrograd()).svg()

    def test_one_that_is_not_there(self, monkeypatch):
        monkeypatch.setenv(engines.VARIABLE, "/nowhere/dot")
        with pytest.raises(NoEngineError, match="'/nowhere/dot', which is not an executable"):
            draw(micrograd()).svg()

    def test_the_time_limit(self, tmp_path, monkeypatch):
        monkeypatch.setenv(engines.VARIABLE, script(tmp_path, "time.sleep(30)"))
        with pytest.raises(LayoutTimeoutError, match=r"stopped after 0\.3 s, the time limit"):
            draw(micrograd(), time_limit=0.3).svg()

    def test_one_that_fails(self, tmp_path, monkeypatch):
        monkeypatch.setenv(engines.VARIABLE, script(tmp_path, "sys.exit('trouble in init_rank')"))
        with pytest.raises(LayoutError, match="exit code 1: trouble in init_rank"):
            draw(micrograd()).svg()

    def test_one_that_loses_an_edge(self, tmp_path, monkeypatch):
        body = f"""
found = json.loads(subprocess.run([*{INSTALLED[0].command!r}, "-Tjson0"], stdin=sys.stdin, capture_output=True).stdout)
del found["edges"][0]["pos"]
print(json.dumps(found))
"""
        monkeypatch.setenv(engines.VARIABLE, script(tmp_path, body))
        with pytest.raises(LayoutError, match=r"lost edge e5_1 \(a → e\)|lost edge e\d_\d \(. → .\)"):
            draw(micrograd()).svg()


def test_importing_it_loads_nothing_heavy():
    heavy = ("graphviz", "subprocess", "json", "numpy", "hashlib", "dataclasses")
    code = f"import sys, scalargrad.drawing; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- numbers and names -----------------------------------------------------------------------------------------------


@given(st.floats())
def test_numbers_are_short_and_right(x):
    text = number(x)
    assert len(text) <= 11
    assert "-" not in text
    if abs(x) < 1e308:
        assert float(text.replace("−", "-")) == pytest.approx(x, rel=6e-4, abs=0.0)
        assert text != "−0"
    elif not isfinite(x):
        assert text.startswith("⚠ ")


@example("00:²0:[", 2)
@example("a long name[1]", 4)
@example("名前名前[1] and more", 6)
@given(st.text(), st.integers(2, 40))
def test_shortened_texts(text, limit):
    short = shortened(text, limit)
    assert short == text or (short.endswith("…") and text.startswith(short[:-1].rstrip("…")))
    assert shortened(short, limit) == short


def test_a_drawing_of_three_nodes_takes_few_calls():
    assert sum(flows.counted(flows.drawn()).values()) <= 389
