"""Networks and recurrences: what is folded, that numbers stay right, and that nothing in the columns meets."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from math import isclose
from random import Random
from time import perf_counter

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import scalargrad as sg
from scalargrad import Value, draw, group
from scalargrad.drawing.graph import layout_engines as engines
from scalargrad.drawing.graph.columns import lay_out_columns
from scalargrad.drawing.graph.dot import lay_out
from scalargrad.drawing.graph.labels import labels_of
from scalargrad.drawing.graph.replay import replay
from scalargrad.nn import MLP, Layer

from .drawing_times import network, recurrence, repeated
from .test_drawing import elements, is_acyclic, named, node, script, texts


def laid_out(drawing):
    return lay_out_columns(drawing.picture, labels_of(drawing.picture))


def cell_rnn(steps):
    """A recurrence of a layer's: its neurons are called once a step."""
    cell, h = Layer(3, 2, "tanh", seed=1), [Value(0.0, label="h1"), Value(0.0, label="h2")]
    for t in range(steps):
        h = cell([Value(0.1 * t, label=f"x{t + 1}"), *h])
    return backward(h[0] * h[1])


def runge_kutta(steps):
    x, k = Value(1.0, label="x"), Value(0.3, label="k")
    for _ in range(steps):
        a = -k * x * x
        b = -k * (x + 0.05 * a) * (x + 0.05 * a)
        x = x + 0.1 * (a + b)
    return backward(x)


def with_losses(steps):
    """A recurrence whose states are all compared with something, and the squares added up."""
    w, h, total = Value(0.7, label="w"), Value(0.1, label="h"), Value(0.0)
    for t in range(steps):
        h = sg.tanh(w * h + Value(0.1 * t))
        total = total + (h - 0.2) ** 2
    return backward(total)


def batch(count):
    model, total = MLP(2, [3, 1], "tanh", seed=2), 0.0
    for k in range(count):
        total = total + (model([0.1 * k, 0.3]) - 0.1 * k) ** 2
    return backward(total)


def backward(value, name="L"):
    named(value, name).backward()
    return value


# ---- networks --------------------------------------------------------------------------------------------------------


def test_a_network_reads_from_inputs_to_output():
    drawing = draw(network([4, 2, 1]))
    picture = drawing.picture
    names = ["x1", "x2", "a1[1]", "a1[2]", "a1[3]", "a1[4]", "a2[1]", "a2[2]", "y"]
    assert [n.name for n in picture.nodes][:9] == names
    assert picture.notes == ("41 of 46 values folded into 7 neurons (full=True draws all)",)
    places = laid_out(drawing)
    at = [[places.nodes[node(picture, name).id] for name in names[a:b]] for a, b in ((0, 2), (2, 6), (6, 8), (8, 9))]
    for left, right in pairwise(at):
        assert max(b.x + b.width / 2 for b in left) < min(b.x - b.width / 2 for b in right)
    for column in at:
        assert [b.y for b in column] == sorted(b.y for b in column)
    assert picture.groups == ("layer1", "layer2", "layer3")
    x1, y1, x2, y2 = places.clusters["1"]
    assert all(x1 < b.x < x2 and y1 < b.y < y2 for b in at[1])
    assert all(b.x + b.width / 2 < x1 for b in at[0])
    shown = texts(elements(drawing.svg())[f"{drawing.prefix}-{node(picture, 'a1[2]').id}"])
    assert shown[0] == "a1[2] = tanh(z)"
    assert shown[-4::2] == ["z = Σ θ·x + b", "b"]


def test_several_outputs_stand_in_their_order():
    drawing = draw(MLP(2, [3, 4], "tanh", seed=1)([Value(0.5, label="x1"), Value(1.0, label="x2")]))
    made = laid_out(drawing)
    outputs = [made.nodes[node(drawing.picture, f"a2[{k + 1}]").id] for k in range(4)]
    assert len({box.x for box in outputs}) == 1
    assert [box.y for box in outputs] == sorted(box.y for box in outputs)


def test_a_folded_neuron_says_what_its_graph_says():
    model = MLP(2, [4, 2, 1], "tanh", seed=3)
    for k, p in enumerate(model.parameters()):
        p.data = 0.1 * k - 1.0
    xs = [Value(0.5, label="x1"), Value(-1.0, label="x2")]
    y = backward((model(xs) - 1.0) ** 2)
    picture = draw(y).picture
    for j, neuron in enumerate(model.layers[0].neurons, 1):
        n = node(picture, f"a1[{j}]")
        assert n.weights == tuple((p.label, p.data, p.grad) for p in (*neuron.weights, neuron.bias))
        z, bias = dict(n.parts)["z = Σ θ·x + b"], dict(n.parts)["b"]
        assert bias == neuron.bias.data
        assert isclose(z, sum(w.data * x.data for w, x in zip(neuron.weights, xs, strict=True)) + bias)
        assert n.value == sg.tanh(z)
        for x, w in zip(xs, neuron.weights, strict=True):
            (edge,) = [e for e in picture.edges if (e.source, e.target) == (node(picture, x.label).id, n.id)]
            assert (edge.local, edge.notation) == (w.data, w.label)
            assert edge.contribution == edge.upstream * edge.local
    for x in xs:
        n = node(picture, x.label)
        assert n.gradient == x.grad
        assert n.elsewhere is None
        assert sum(p.contribution for p in n.paths) == pytest.approx(x.grad, rel=1e-14)
        assert [p.consumer for p in n.paths] == ["a1[4]", "a1[3]", "a1[2]", "a1[1]"]  # in the order of backward()


def test_a_network_is_unfolded_on_request():
    loss = network([4, 2, 1])
    for options in ({"full": True}, {"collapse": False}):
        drawing = draw(loss, **options)
        assert len(drawing.picture.nodes) == drawing.picture.total == 46
        places, index = laid_out(drawing), {path: str(k + 1) for k, path in enumerate(drawing.picture.groups)}
        assert set(places.clusters) == set(index.values())
        for n in drawing.picture.nodes:
            b = places.nodes[n.id]
            for path, key in index.items():
                x1, y1, x2, y2 = places.clusters[key]
                apart = b.x + b.width / 2 <= x1 or b.x - b.width / 2 >= x2
                apart = apart or b.y + b.height / 2 <= y1 or b.y - b.height / 2 >= y2
                assert apart != f"{n.group}/".startswith(f"{path}/"), (n.name, path)
    assert "θ3[1,0]" in {n.name for n in draw(loss, depth=4).picture.nodes}
    assert len(draw(network([2, 1])).picture.nodes) == 21  # few enough to be read


def test_a_neuron_is_not_all_that_is_drawn():
    w, y = Value(1.0, label="w[1,2]"), Value(2.0, label="y[1,2]")
    with group("neuron1"):
        for _ in range(20):
            y = y * w + y
    picture = draw(backward(y)).picture
    assert len(picture.nodes) == picture.total == 42
    one = draw(backward(sg.nn.Neuron(12, "tanh")([Value(0.1 * k, label=f"x{k}") for k in range(12)]))).picture
    assert len(one.nodes) == 13
    assert one.notes == ("16 of 28 values folded into 1 neuron (full=True draws all)",)


def test_of_wide_layers_the_middle_is_folded():
    picture = draw(network([16, 16, 1])).picture
    assert [n.name for n in picture.nodes][2:10] == [
        "a1[1]", "a1[2]", "13 more, layer1", "a1[16]", "a2[1]", "a2[2]", "13 more, layer2", "a2[16]",
    ]  # fmt: skip
    block = node(picture, "13 more, layer1")
    assert (block.members, block.group) == (13 * 5, "layer1")
    assert dict(block.operations) == {"input": 39, "dot": 13, "tanh": 13}


@pytest.mark.parametrize("expanded", [False, True])
def test_inputs_stand_outside_of_neurons(expanded):
    model = MLP(1, [1, 1], "tanh", expanded=expanded)
    picture = draw(backward(model([Value(2.0, label="x")]))).picture
    groups = {n.name: n.group for n in picture.nodes}
    assert groups["x"] == ""
    assert groups["θ1[1,1]"] == groups["θ1[1,0]"] == "layer1/neuron1"


def test_what_is_called_a_neuron_and_is_none_is_drawn_as_it_is():
    with group("neuron1"):
        values = [Value(0.1 * k, label=f"v{k}") * 2.0 for k in range(30)]  # 30 results, and no weights
    picture = draw(backward(sg.sum(values)), collapse=False).picture
    assert len(picture.nodes) == picture.total
    assert not any(n.weights for n in draw(backward(sg.sum(values))).picture.nodes)


# ---- recurrences -----------------------------------------------------------------------------------------------------


def test_a_recurrence_shows_its_first_and_last_steps():
    drawing = draw(recurrence(20))
    picture = drawing.picture
    assert picture.notes == ("108 of 124 values folded into 1 block (full=True draws all)",)
    places = laid_out(drawing)
    xs = [places.nodes[node(picture, name).id].x for name in ("h0", "h1", "18 more steps", "h20")]
    assert xs == sorted(xs)
    block = node(picture, "18 more steps")
    assert dict(block.operations) == {"mul": 36, "add": 36, "input": 18, "tanh": 18}
    tags = {e.source: places.edges[e.id].tag for e in picture.edges if e.target == block.id}
    assert {n.name: tags[n.id] is not None for n in picture.nodes if n.id in tags} == {
        "wx": True, "wh": True, "b": True, "h1": False,
    }  # fmt: skip
    by_id = elements(drawing.svg())
    (edge,) = [e for e in picture.edges if e.source == node(picture, "wx").id and e.target == block.id]
    assert texts(by_id[f"{drawing.prefix}-{edge.id}"]) == ["18 edges", "wx"]


@pytest.mark.parametrize(
    ("value", "steps"),
    [
        (lambda: repeated(100), "98 more steps"), (lambda: cell_rnn(20), "18 more steps"),
        (lambda: runge_kutta(12), "10 more steps"), (lambda: with_losses(15), "12 more steps"),
        (lambda: batch(40), "38 more steps"),
    ],
    ids=["product", "layer", "runge-kutta", "losses", "batch"],
)  # fmt: skip
def test_steps_are_found_however_they_are_recorded(value, steps):
    drawing = draw(value())
    picture = drawing.picture
    node(picture, steps)
    assert is_acyclic(picture)
    assert len(picture.nodes) <= 60
    at = {n.id: k for k, n in enumerate(picture.nodes)}
    assert all(at[e.source] < at[e.target] for e in picture.edges)
    receives = [step.node for step in replay(picture).steps]
    assert sorted(receives, reverse=True) == receives or set(receives) <= set(range(len(picture.nodes)))
    assert ET.fromstring(drawing.svg()).tag.endswith("svg")


def test_what_repeats_only_so_often_is_not_folded():
    assert len(draw(repeated(20)).picture.nodes) == 42
    y = x = Value(0.5, label="x")
    random = Random(5)
    for _ in range(80):
        y = random.choice((sg.tanh, sg.sin, sg.exp, sg.cos))(y * 0.5) + x
    picture = draw(backward(y)).picture
    assert len(picture.nodes) == picture.total


@pytest.mark.parametrize("make", [lambda: recurrence(20), lambda: repeated(100), lambda: network([16, 16, 1])])
def test_a_picture_takes_less_than_a_second(make):
    value = make()
    began = perf_counter()
    draw(value).svg()
    assert perf_counter() - began < 1.0  # 0.02 s; by an engine, a minute


# ---- columns ---------------------------------------------------------------------------------------------------------


@st.composite
def graphs(draw_from):
    """Values of random operations, a neuron's call here and there, results used far away as well."""
    values = [Value(0.1 * k, label="x" * draw_from(st.integers(1, 9)) + str(k)) for k in range(3)]
    model = MLP(2, [3, 2], "tanh")
    for _ in range(draw_from(st.integers(1, 14))):
        a, b = (values[-1 - draw_from(st.integers(0, min(len(values) - 1, 9)))] for _ in range(2))
        kind = draw_from(st.integers(0, 4))
        values += model([a, b]) if kind == 0 else [a * b] if kind == 1 else [sg.tanh(a)] if kind == 2 else [a + b * a]
    return backward(sg.sum(values[-3:]))


def box_of(b, margin=0.0):
    return (
        b.x - b.width / 2 - margin,
        b.y - b.height / 2 - margin,
        b.x + b.width / 2 + margin,
        b.y + b.height / 2 + margin,
    )


@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(graphs(), st.sampled_from(["LR", "RL"]), st.sampled_from(["local", "full", "none"]), st.booleans())
def test_nothing_meets(y, direction, labels, full):
    drawing = draw(y, direction=direction, labels=labels, full=full)
    picture, made = drawing.picture, labels_of(drawing.picture)
    places = lay_out_columns(picture, made)
    assert set(places.nodes) == {n.id for n in picture.nodes}
    assert set(places.edges) == {e.id for e in picture.edges}
    boxes = [box_of(b) for b in places.nodes.values()]
    for e in picture.edges:
        curve, label = places.edges[e.id], made.edges[e.id]
        target, side = places.nodes[e.target], 1 if direction == "RL" else -1
        assert abs(curve.tip[0] - (target.x + side * target.width / 2)) < 0.11
        assert abs(curve.tip[1] - target.y) <= target.height / 2
        start = curve.tag or places.nodes[e.source]
        assert abs(abs(curve.points[0][0] - start.x) - start.width / 2) < 0.21
        assert len(curve.points) % 3 == 1
        if label.lines:
            x, y = curve.label
            boxes.append((x - label.width / 2, y - label.height / 2, x + label.width / 2, y + label.height / 2))
        if curve.tag:
            boxes.append(box_of(curve.tag, -1.0))
    for (a1, b1, a2, b2), (c1, d1, c2, d2) in combinations(boxes, 2):
        assert a2 <= c1 + 0.3 or c2 <= a1 + 0.3 or b2 <= d1 + 0.3 or d2 <= b1 + 0.3
    assert all(a >= 0 and b <= places.width + 0.2 and c >= 0 and d <= places.height + 0.2 for a, c, b, d in boxes)
    assert drawing.svg()


def test_upwards_and_downwards_an_engine_lays_out():
    drawing = draw(network([4, 2, 1]), direction="TB")
    assert lay_out(drawing.picture, labels_of(drawing.picture), 60.0).nodes.keys() == {
        n.id for n in drawing.picture.nodes
    }


# ---- what a display draws by itself ----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in engine is a script with a shebang")
def test_a_display_does_not_wait_for_an_engine(tmp_path, monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, script(tmp_path, "time.sleep(30)"))
    monkeypatch.setattr("scalargrad.drawing.graph.drawing.SHOWN", 0.2)
    y = backward(sg.tanh(Value(0.5, label="x") * 3.0))
    began = perf_counter()
    assert ET.fromstring(y._repr_mimebundle_()["image/svg+xml"]).tag.endswith("svg")
    drawing = draw(sg.sum([Value(float(k)) for k in range(900)]), full=True)
    assert "was stopped after 0.2 s" in drawing._repr_mimebundle_()["text/plain"]
    assert perf_counter() - began < 3.0
    with pytest.raises(engines.LayoutTimeoutError):
        draw(y, time_limit=0.3).svg()  # asked for, an engine's layout or none


def test_a_display_of_a_large_graph_is_text():
    y = Value(0.5)
    for _ in range(12_000):
        y = y * 0.999
    assert list(y._repr_mimebundle_()) == ["text/plain"]
    assert "more than 10,000 values: its draw() draws them" in y._repr_mimebundle_()["text/plain"]
