"""Networks by layers, a neuron unfolded, what a training step changed, indices below the line, names from variables."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
import xml.etree.ElementTree as ET
import zlib
from functools import partial
from math import inf, isfinite, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalargrad import Value, draw, tanh
from scalargrad.activations import elu
from scalargrad.drawing import Drawing
from scalargrad.drawing.common.style import COLOURS
from scalargrad.drawing.common.text import Changed, marked, number, shortened, width
from scalargrad.drawing.graph.naming import name_values
from scalargrad.drawing.network.comparison import draw_change
from scalargrad.drawing.network.heat import CELLS, heat_picture
from scalargrad.drawing.network.layout import shown_units
from scalargrad.drawing.network.reading import display, draw_network
from scalargrad.losses import cross_entropy
from scalargrad.nn import MLP, Layer, Module, Neuron
from scalargrad.optim import SGD

SVG = "{http://www.w3.org/2000/svg}"
AWKWARD = ['<b>&"', "a'b\n\x00", "</script>", "שלום", "값[2,1]", "x" * 10_000, "$\\frac{1}$", "\ud800"]


def small():
    model = MLP(2, [3, 1], "tanh", seed=3)
    for k, p in enumerate(model.parameters()):
        p.data = (-1.0) ** k * (k + 1) / 10.0
    return model


def elements(drawing):
    root = ET.fromstring(drawing.svg())
    return {e.get("id")[len(drawing.prefix) + 1 :]: e for e in root.iter() if e.get("id")}


def tooltip(element):
    return element.find(f"{SVG}title").text


def texts(drawing):
    return ["".join(t.itertext()) for t in ET.fromstring(drawing.svg()).iter(f"{SVG}text")]


# ---- what a network's drawing says -----------------------------------------------------------------------------------


def test_every_weight_is_a_line_by_size_and_sign():
    model = small()
    drawing = draw_network(model)
    by_id = elements(drawing)
    sizes = {p.label: p.data for p in model.parameters()}
    largest = max(abs(x) for label, x in sizes.items())
    for k, n, m in ((1, 2, 3), (2, 3, 1)):
        for to in range(1, m + 1):
            for source in range(1, n + 1):
                line, w = by_id[f"w{k}-{to}-{source}"], sizes[f"θ{k}[{to},{source}]"]
                assert line.get("class") == ("l pos" if w > 0.0 else "l neg")
                assert float(line.get("stroke-width")) == pytest.approx(max(6.0 * abs(w) / largest, 0.7), rel=0.05)
                assert tooltip(line) == (
                    f"θ{k}[{to},{source}] = {w!r}: weight, {'positive' if w > 0.0 else 'negative'}"
                )
    assert len([key for key in by_id if key.startswith("w")]) == 9


def test_negative_is_dashed_and_the_sign_is_printed():
    drawing = draw_network(small())
    svg = drawing.svg()
    assert re.search(r"\.l\.neg\{stroke-dasharray:", svg)
    assert not re.search(r"\.l\.pos\{[^}]*dasharray", svg)
    said = texts(drawing)
    for shown in ("+0.1", "−0.2", "b +0.3", "b −0.6", "(+) weight", "(−) weight"):
        assert shown in said, shown
    for key, sign in (("b1-1", "+"), ("b1-2", "−")):
        assert "".join(elements(drawing)[key].find(f"{SVG}text").itertext()) == sign


def test_layers_activations_and_names_are_told():
    model = MLP(2, [4, 3], ["relu"], "softmax")
    drawing = draw_network(model, input_names=["width", "폭"], output_names=["a", "b", "c"], title="a title")
    said = texts(drawing)
    for words in ("a title", "inputs", "layer1", "layer2", "4 × relu", "3 × softmax", "width", "폭", "a", "b", "c"):
        assert words in said
    assert "θ1[to,from]" in said
    assert drawing.picture.description.startswith("A network 2-4-3, 27 parameters: 2 inputs; layer1, 4 relu neurons; ")
    assert drawing.picture.heading == "a title"
    assert repr(drawing) == "<Drawing of a network 2-4-3>"


def test_an_activation_with_parameters_and_one_without_a_name():
    class Odd:
        def __call__(self, x):
            return x

        def __repr__(self):
            return "Odd()"

    model = MLP(1, [1, 1, 1], [partial(elu, alpha=0.5), Odd()])
    assert [stage.activation for stage in draw_network(model).picture.stages[1:]] == [
        "elu(alpha=0.5)",
        "Odd()",
        "identity",
    ]


def test_dropout_is_told():
    assert draw_network(MLP(2, [3, 1], dropout=0.25)).picture.notes == ("behind layer1: Dropout(0.25)",)


def test_outputs_on_a_sample_are_those_of_the_model():
    model = MLP(3, [4, 2], "tanh", "softmax", dropout=0.5, seed=1)
    drawing = draw_network(model, inputs=[0.5, -1.0, Value(2.0)])
    inputs, hidden, outputs = drawing.picture.stages
    assert [u.output for u in inputs.units] == [0.5, -1.0, 2.0]
    assert [u.output for u in outputs.units] == model.predict([0.5, -1.0, 2.0])
    first = model.layers[0].frozen()
    assert [u.output for u in hidden.units] == first([0.5, -1.0, 2.0])
    assert "−1" in texts(drawing)
    assert "forward" not in vars(model.layers[0])  # what watched it is gone


def test_a_layer_and_a_neuron_are_networks_too():
    assert repr(draw_network(Layer(2, 3))) == "<Drawing of a network 2-3>"
    neuron = Neuron(2, "tanh")
    drawing = draw_network(neuron, inputs=[1.0, 2.0])
    assert repr(drawing) == "<Drawing of a network 2-1>"
    assert drawing.picture.stages[1].units[0].output == neuron.predict([1.0, 2.0])
    assert [u.output for u in drawing.picture.stages[0].units] == [1.0, 2.0]


def test_a_module_of_the_users_own():
    class Net(Module):
        def __init__(self):
            self.first, self.then = Layer(2, 3, "tanh"), Layer(3, 2)

        def __call__(self, xs):
            return self.then([2.0 * y for y in self.first([x / 10.0 for x in xs])])

    net = Net()
    inputs, _, outputs = draw_network(net, inputs=[1.0, 2.0]).picture.stages
    assert [u.output for u in inputs.units] == [0.1, 0.2]  # what its first layer is given
    assert [u.output for u in outputs.units] == net.predict([1.0, 2.0])


def test_gradients_are_told_once_there_are_some():
    model = small()
    assert "gradient" not in tooltip(elements(draw_network(model))["w1-1-1"])
    model([1.0, 2.0]).backward()
    weight = model.parameters()[0]
    assert tooltip(elements(draw_network(model))["w1-1-1"]).endswith(f"\ngradient {weight.grad!r}")
    assert f"gradient {number(weight.grad)}" in str(draw_network(model))


def test_a_drawing_stays_as_it_was_drawn():
    model = small()
    drawing = draw_network(model)
    before = drawing.picture
    model.parameters()[0].data = 99.0
    assert drawing.picture == before
    assert "99.0" not in drawing.svg()


@pytest.mark.parametrize("x", [inf, -inf, nan])
def test_inf_and_nan_carry_a_sign(x):
    model = small()
    model.parameters()[0].data = x
    drawing = draw_network(model)
    assert elements(drawing)["w1-1-1"].get("class") == "l bad"
    assert number(x) in texts(drawing)
    assert "⚠ inf or nan" in texts(drawing)
    assert json.loads(drawing.json())["stages"][1]["units"][0]["weights"][0]["value"] == str(x)
    assert "nan" not in re.sub(r"<title>.*?</title>|<text.*?</text>", "", drawing.svg(), flags=re.S)


def test_zero_weights_are_dotted():
    drawing = draw_network(MLP(2, [1], init="zeros"))
    assert elements(drawing)["w1-1-1"].get("class") == "l zero"
    assert "zero" in texts(drawing)


# ---- sizes -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 50), st.integers(2, 20))
def test_shown_and_folded_units(count, limit):
    shown = shown_units(count, limit)
    assert (None in shown) == (count > limit)
    drawn = [k for k in shown if k is not None]
    assert drawn == sorted(set(drawn))
    assert len(drawn) == min(count, limit)
    assert (drawn[0], drawn[-1]) == (0, count - 1)


def test_large_layers_are_folded():
    model = MLP(64, [16, 10], "relu", "softmax", seed=1)
    drawing = draw_network(model)
    by_id = elements(drawing)
    assert "48 more" in texts(drawing)
    assert {f"u0-{k}" for k in (*range(1, 9), *range(57, 65))} == {key for key in by_id if key.startswith("u0-")}
    assert len([key for key in by_id if key.startswith("w1-")]) == 16 * 16
    assert len([key for key in by_id if key.startswith("w2-")]) == 16 * 10
    hidden = [w.data for k, w in enumerate(model.layers[0].neurons[0].weights) if 8 <= k < 56]
    folded = [e.find(f"{SVG}title").text for e in ET.fromstring(drawing.svg()).iter(f"{SVG}path") if "folded" in
              e.get("class", "") and e.find(f"{SVG}title") is not None]  # fmt: skip
    assert len(folded) == 16
    assert f"48 weights, from {number(min(hidden))} to +{number(max(hidden))}" in folded
    assert "48 more" not in texts(draw_network(model, limit=64))
    assert len(json.loads(drawing.json())["stages"][1]["units"][0]["weights"]) == 64


def test_boxes_and_numbers_do_not_overlap():
    for model in (MLP(64, [16, 10]), MLP(2, [4, 2, 1]), MLP(4, [5, 3]), MLP(1, [1])):
        drawing = draw_network(model)
        boxes = [
            [float(e.find(f"{SVG}rect").get(key)) for key in ("x", "y", "width", "height")]
            for key, e in elements(drawing).items()
            if key.startswith("u")
        ]
        patches = [
            [float(e.get(key)) for key in ("x", "y", "width", "height")]
            for e in ET.fromstring(drawing.svg()).iter(f"{SVG}rect")
            if e.get("class") == "patch"
        ]
        for each in (boxes, patches):
            for i, (x, y, w, h) in enumerate(each):
                for x2, y2, w2, h2 in each[:i]:
                    apart = x + w <= x2 or x2 + w2 <= x or y + h <= y2 + 0.11 or y2 + h2 <= y + 0.11
                    assert apart, (model, each[i], (x2, y2, w2, h2))
        view = [float(x) for x in ET.fromstring(drawing.svg()).get("viewBox").split()]
        assert all(x >= 0 and y >= 0 and x + w <= view[2] and y + h <= view[3] for x, y, w, h in boxes + patches)


# ---- over the plane --------------------------------------------------------------------------------------------------


def pixels(uri):
    data = base64.b64decode(uri.partition(",")[2])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    start = data.index(b"IDAT")
    size = int.from_bytes(data[start - 4 : start])
    wide = int.from_bytes(data[16:20])
    raw = zlib.decompress(data[start + 4 : start + 4 + size])
    rows = [raw[k + 1 : k + 1 + 4 * wide] for k in range(0, len(raw), 4 * wide + 1)]
    return [[(row[k : k + 3].hex(), row[k + 3]) for k in range(0, len(row), 4)] for row in rows]


def test_a_field_is_coloured_by_sign_and_hatched_below_zero():
    rows = pixels(heat_picture([[1.0, 0.5, 0.0, -0.0001, -1.0, inf, nan]]))
    assert len({tuple(row) for row in rows}) <= 2
    (row, *_) = rows
    blue, orange, red = (COLOURS[name][0][1:] for name in ("pos", "neg", "bad"))
    assert row[0] == (blue, 235)  # the strongest shade of what is positive
    assert row[2] == (blue, 125)
    assert row[4][1] == 0
    assert row[6] == (orange, 15)  # below zero, however little
    assert row[10] == row[12] == (red, 255)
    negative = pixels(heat_picture([[-1.0] * 10] * 10))
    assert {x for row in negative for x in row} == {(orange, 235), (orange, 78)}  # with stripes
    assert {x for row in pixels(heat_picture([[1.0] * 10] * 10)) for x in row} == {(blue, 235)}


def test_units_show_their_output_over_a_region():
    model = MLP(2, [3, 1], "tanh", seed=2)
    drawing = draw_network(model, region=((-1.0, 3.0), (0.0, 2.0)))
    assert len(list(ET.fromstring(drawing.svg()).iter(f"{SVG}image"))) == 2 + 3 + 1 + 1  # one in the legend
    inputs, _, outputs = drawing.picture.stages
    xs = [-1.0 + (k + 0.5) / CELLS * 4.0 for k in range(CELLS)]
    assert list(inputs.units[0].field[0]) == pytest.approx(xs)
    assert inputs.units[1].field[0][0] > inputs.units[1].field[-1][0]  # up is up
    y = 2.0 - 0.5 / CELLS * 2.0
    assert outputs.units[0].field[0][5] == pytest.approx(model.predict([xs[5], y]))
    assert "hatched below 0" in drawing.svg()


# ---- looks -----------------------------------------------------------------------------------------------------------


def test_themes_prefixes_title_and_description():
    one, other = draw_network(small()), draw_network(small())
    assert one.prefix != other.prefix
    root = ET.fromstring(one.svg())
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert all(each.startswith(one.prefix) for each in ids)
    for rule in re.findall(r"([^{}]+)\{", re.sub(r"@media [^{]*\{", "", root.find(f"{SVG}style").text)):
        assert all(part.strip().startswith(f"#{one.prefix}") for part in rule.split(","))
    assert root.find(f"{SVG}title").text == one.picture.heading
    assert root.find(f"{SVG}desc").text == one.picture.description
    assert "prefers-color-scheme:dark" in one.svg()
    for theme, dark in (("light", 0), ("dark", 1)):
        svg = draw_network(small(), theme=theme).svg()
        assert "prefers-color-scheme" not in svg
        assert COLOURS["page"][dark] in svg
        assert COLOURS["page"][not dark] not in svg


@pytest.mark.parametrize("label", AWKWARD)
def test_awkward_names_harm_no_form(label, tmp_path):
    model = small()
    model.parameters()[0].label = label
    drawing = draw_network(model, title=label, input_names=[label, "b"], output_names=[label], inputs=[1.0, 2.0])
    ET.fromstring(drawing.svg())
    page = drawing.html()
    assert "</script>" not in page
    assert "<b>" not in page
    assert str(drawing)
    for suffix in (".svg", ".html", ".json", ".txt"):
        if label.isprintable():
            drawing.save(tmp_path / f"a{suffix}")
    assert json.loads(drawing.json())["stages"][0]["units"][0]["name"] == label
    change = draw_change(draw_network(model), draw_network(model), title=label)
    ET.fromstring(change.svg())


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=30), st.lists(st.floats(), min_size=5, max_size=5))
def test_any_text_and_any_number(text, numbers):
    model = MLP(1, [1, 1])
    for p, x in zip(model.parameters(), numbers, strict=False):
        p.data, p.label = x, text
    drawing = draw_network(model, title=text, input_names=[text], output_names=[text])
    root = ET.fromstring(drawing.svg())
    for e in root.iter():
        for key, x in e.attrib.items():
            if key in ("x", "y", "width", "height", "stroke-width", "opacity"):
                assert isfinite(float(x))
    json.loads(drawing.json(), parse_constant=pytest.fail)
    assert str(drawing)


def test_save_by_suffix(tmp_path):
    drawing = draw_network(small())
    for suffix, begins in ((".svg", "<svg"), (".html", "<!doctype html>"), (".json", "{"), (".txt", "network 2-3-1")):
        file = tmp_path / f"a{suffix}"
        assert drawing.save(file) is drawing
        assert file.read_text(encoding="utf-8").startswith(begins)
    with pytest.raises(ValueError, match=r"'\.gif' in .* names no form; the suffixes are \.svg, \.html, \.json, \.txt"):
        drawing.save("a.gif")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        drawing.save(tmp_path / "no" / "a.svg")


def test_in_a_notebook():
    model = small()
    assert set(draw_network(model)._repr_mimebundle_()) == {"text/html", "image/svg+xml", "text/plain"}
    shown = display(model)
    assert shown["image/svg+xml"].startswith("<svg")
    assert shown["text/plain"] == repr(model)

    class Line(Module):
        def __init__(self):
            self.slope = Value(1.0)

    assert set(display(Line())) == {"text/plain"}


@pytest.mark.skipif(not hasattr(Module, "draw"), reason="modules have no draw() yet")
def test_a_model_draws_itself():
    model = small()
    assert str(model.draw(title="t")) == str(draw_network(model, title="t"))


# ---- bad input -------------------------------------------------------------------------------------------------------


class Unfitting(Module):
    def __init__(self):
        self.first, self.then = Layer(2, 3), Layer(2, 1)


class Idle(Module):
    def __init__(self):
        self.first, self.then = Layer(2, 2), Layer(2, 1)

    def __call__(self, xs):
        return self.first(xs)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": 3}, TypeError, "int has no layers"),
        ({"model": Module()}, TypeError, "Module has no layers; it takes an MLP"),
        ({"model": Unfitting()}, ValueError, r"layer 1 has 3 output\(s\) but layer 2 takes 2"),
        ({"model": Idle(), "inputs": [1.0, 2.0]}, ValueError, "does not call its layer 2"),
        ({"inputs": [1.0]}, ValueError, r"takes 2 input\(s\), got 1"),
        ({"limit": 1}, ValueError, "limit must be a whole number of at least 2, got 1"),
        ({"title": 3}, TypeError, "title takes a str"),
        ({"theme": "blue"}, ValueError, "theme='blue' is none of"),
        ({"input_names": ["a"]}, ValueError, r"input_names: 2 name\(s\) expected, got 1"),
        ({"output_names": [3]}, TypeError, "output_names: expected a str at position 0, got int"),
        ({"unfold": "layer1/neuron1"}, ValueError, "unfold needs inputs"),
        ({"unfold": 3, "inputs": [1.0, 2.0]}, TypeError, "unfold takes a neuron's name"),
        ({"unfold": "layer1/neuron0", "inputs": [1.0, 2.0]}, ValueError, "counted from 1, are layer1/neuron1, layer1/"),
        ({"labels": "full"}, TypeError, "labels: for a neuron's graph"),
        ({"loss": sum}, TypeError, "loss: for a neuron's graph"),
        ({"region": (1, 2)}, ValueError, r"region is \(\(x_low"),
        ({"region": ((1, 0), (0, 1))}, ValueError, "low must be below high"),
        (
            {"model": MLP(1, [1]), "region": ((0, 1), (0, 1))},
            ValueError,
            "region is for two inputs, the network takes 1",
        ),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words):
        draw_network(**{"model": small(), **options})


# ---- a neuron unfolded -----------------------------------------------------------------------------------------------


def node(picture, name):
    (found,) = [n for n in picture.nodes if n.name == name]
    return found


def test_a_neuron_unfolded_is_its_chain_rule():
    model = small()
    gradients = [p.grad for p in model.parameters()]
    drawing = draw_network(model, unfold="layer1/neuron2", inputs=[0.5, -1.0])
    assert isinstance(drawing, Drawing)
    picture = drawing.picture
    assert {n.operation for n in picture.nodes if n.operation} == {"mul", "add", "tanh"}
    a, b, c = (p.data for p in model.layers[0].neurons[1].parameters())
    y = tanh(a * 0.5 + b * -1.0 + c)
    assert node(picture, "a1[2]").value == y
    assert node(picture, "θ1[2,1]").gradient == pytest.approx((1 - y * y) * 0.5)
    assert node(picture, "θ1[2,1]").kind == "parameter"
    assert node(picture, "x[1]").kind == "input"
    assert "layer1/neuron2" in picture.groups
    assert picture.title == "layer1/neuron2 on (0.5, −1)"
    assert [p.grad for p in model.parameters()] == gradients
    assert not model.layers[0].neurons[1].expanded
    ET.fromstring(drawing.svg())


def test_a_neuron_in_the_middle_of_a_network_under_a_loss():
    model = MLP(2, [3, 3, 2], "tanh", seed=4)
    names = [p.label for p in model.parameters()]

    def loss(ys):
        return cross_entropy([ys], [1])

    drawing = draw_network(model, unfold="layer2/neuron3", inputs=[0.5, -1.0], loss=loss, labels="full", title="t")
    picture = drawing.picture
    loss(model([0.5, -1.0])).backward()
    by_name = dict(zip(names, model.parameters(), strict=True))
    for name in ("θ2[3,1]", "θ2[3,2]", "θ2[3,3]", "θ2[3,0]"):
        assert node(picture, name).gradient == pytest.approx(by_name[name].grad)
    assert {n.name for n in picture.nodes if n.kind == "block"} == {"inputs to layer1", "the rest, up to L"}
    assert [n.name for n in picture.nodes if n.group == "layer1"] == ["a1[1]", "a1[2]", "a1[3]"]
    assert sum(n.members for n in picture.nodes) == picture.total
    assert (picture.title, picture.labels) == ("t", "full")
    ET.fromstring(drawing.svg())


def test_a_neuron_before_softmax_and_one_with_many_weights():
    model = MLP(12, [4], output="softmax", seed=1)
    picture = draw_network(model, unfold="layer1/neuron4", inputs=[0.1] * 12).picture
    root = next(n for n in picture.nodes if n.is_root)
    assert (root.name, root.operation) == ("z1[4]", "dot")
    assert len([n for n in picture.nodes if n.kind == "parameter"]) == 13
    lone = draw_network(Neuron(2, "relu"), unfold="layer1/neuron1", inputs=[1.0, 2.0])
    assert node(lone.picture, "a1[1]").operation == "relu"


def test_a_loss_that_is_none():
    model = small()
    options = {"unfold": "layer1/neuron1", "inputs": [1.0, 2.0]}
    with pytest.raises(TypeError, match="loss must return a Value, got float"):
        draw_network(model, loss=lambda y: 1.0, **options)
    with pytest.raises(ValueError, match="reaches for the model's own parameters"):
        draw_network(model, loss=lambda y: y + model.parameters()[0], **options)
    with pytest.raises(ValueError, match="does not depend on layer1/neuron1"):
        draw_network(model, loss=lambda y: Value(1.0) * 2.0, **options)


# ---- what changed ----------------------------------------------------------------------------------------------------


def trained():
    model = small()
    optimizer = SGD(model.parameters(), lr=0.1)

    def loss():
        model.zero_grad()
        y = (model([0.5, -1.0]) - 1.0) ** 2
        y.label = "L"
        y.backward()
        return y

    before = draw(loss(), collapse=False), draw_network(model)
    old = [p.data for p in model.parameters()]
    optimizer.step()
    return model, old, before, (draw(loss(), collapse=False), draw_network(model))


def test_a_network_before_and_after_a_step():
    model, old, before, after = trained()
    drawing = draw_change(before[1], after[1], title="a step")
    changes = {p.label: (x, p.data) for p, x in zip(model.parameters(), old, strict=True)}
    assert {p.label: (p.before, p.value) for p in drawing.picture.parameters()} == changes
    by_id = elements(drawing)
    largest = max(abs(b - a) for a, b in changes.values())
    for to in (1, 2, 3):
        for source in (1, 2):
            a, b = changes[f"θ1[{to},{source}]"]
            line = by_id[f"w1-{to}-{source}"]
            assert line.get("class") == ("l pos" if b > a else "l neg")
            assert float(line.get("stroke-width")) == pytest.approx(max(6 * abs(b - a) / largest, 0.7), rel=0.06)
            told = tooltip(line).splitlines()[1]
            assert told == f"before {a!r}, {'up' if b > a else 'down'}, difference {b - a!r}"
    text = str(drawing)
    assert all("→" in line and line.rstrip().split("  ")[1] for line in text.splitlines()[4:-1])
    sizes = [abs(b - a) for a, b in changes.values()]
    most = next(label for label, (a, b) in changes.items() if abs(b - a) == max(sizes))
    assert text.splitlines()[4].split()[0] == most  # the largest change first
    assert f"most of all {most}" in text
    assert any("↑" in each or "↓" in each for each in texts(drawing))
    assert json.loads(drawing.json())["compared"] is True
    assert "what changed" in repr(drawing)


def test_what_did_not_change_is_dotted():
    drawing = draw_change(draw_network(small()), draw_network(small()))
    assert elements(drawing)["w1-1-1"].get("class") == "l zero"
    assert "unchanged" in texts(drawing)
    assert drawing.picture.notes[-1] == "0 of 13 parameters went up, 0 down"


def test_a_graph_before_and_after_a_step():
    model, old, before, after = trained()
    drawing = draw_change(before[0], after[0])
    picture = drawing.picture
    for p, x in zip(model.parameters(), old, strict=True):
        n = node(picture, p.label)
        assert (n.value, n.value.before) == (p.data, x)
    loss = node(picture, "L")
    assert loss.value < loss.value.before
    shown = f"{number(loss.value.before)} → {number(float(loss.value))} ↓"
    assert shown in texts(drawing)
    assert shown in str(drawing)
    assert picture.notes[-1].startswith(f"what changed: L {shown} (−")
    made = json.loads(drawing.json())["nodes"]
    plain = next(each for each in made if each["name"] == "L")
    assert plain["value"] == float(loss.value)
    assert plain["before"] == {"value": loss.value.before, "gradient": 1.0}
    assert drawing.dot().startswith("digraph")
    assert next(f.picture.notes[-1] for f in drawing.frames()).startswith("step 0")


def test_a_change_to_zero_is_shown():
    a, b = Value(2.0, label="a"), Value(0.0, label="a")
    change = draw_change(draw(a * 1.0), draw(b * 1.0))
    assert "2 → 0 ↓" in str(change)
    assert "2 → 0 ↓" in texts(change)


def test_what_cannot_be_compared():
    a, b = Value(1.0, label="a"), Value(1.0, label="b")
    network = draw_network(small())
    with pytest.raises(
        TypeError, match=r"both by draw\(\) or both by draw_network\(\), got Drawing and NetworkDrawing"
    ):
        draw_change(draw(a * a), network)
    with pytest.raises(ValueError, match="3 values before, 2 after"):
        draw_change(draw(a * b), draw(a * a))
    with pytest.raises(ValueError, match="'a' before is 'b' after"):
        draw_change(draw(a * a), draw(b * b))
    with pytest.raises(ValueError, match="'layer1' before is 'layer1' after, of another kind"):
        draw_change(network, draw_network(MLP(2, [2, 1], "tanh")))


def test_a_changed_number():
    x = Changed(0.5, 2.0)
    assert (x, float(x), x.before, repr(x)) == (0.5, 0.5, 2.0, "0.5, before 2.0")
    assert [number(Changed(1.0, 1.0)), number(Changed(nan, 1.0))] == ["1 → 1", "1 → ⚠ nan"]
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert (type(other), other, other.before) == (Changed, 0.5, 2.0)


# ---- indices below the line ------------------------------------------------------------------------------------------


def test_indices_are_lowered_and_stay_text():
    w, x = Value(2.0, label="theta1[2,1]"), Value(3.0, label="θ[to,from]")
    y = w * x
    y.label = "z"
    y.backward()
    drawing = draw(y)
    root = ET.fromstring(drawing.svg())
    small_text = [t for t in root.iter(f"{SVG}tspan") if t.text == "2,1"]
    assert len(small_text) >= 3  # on its node, in the formula, in the gradient's name, on an edge
    assert {float(t.get("font-size")) for t in small_text} <= {13.5 * 0.75, 12 * 0.75, 11 * 0.75}
    assert "z = theta1[2,1] × θ[to,from]" in texts(drawing)
    assert "∂z/∂theta1[2,1]" in texts(drawing)


def baseline(inside):
    """How far below its line each letter that can be seen stands."""
    found, y = [], 0.0
    root = ET.fromstring(f"<t>{inside}</t>".replace("xml:space", "space"))
    found += [(c, 0.0) for c in root.text or ""]
    for t in root:
        y += float(t.get("dy", 0.0))
        found += [(c, y) for c in t.text if t.get("font-size") != ".01"]
        assert not t.tail
    return found


@pytest.mark.parametrize(
    ("text", "lowered"),
    [
        ("θ1[2,1]", "2,1"),
        ("a[1]·b[2] + c", "12"),
        ("값[to,from] & x", "to,from"),
        ("[1]", ""),
        ("a [1]", ""),
        ("a[]", ""),
        ("a[1][2]", "1"),
        ("a[b c]", ""),
        ("a[1234567]", ""),
    ],
)
def test_what_is_an_index(text, lowered):
    inside = marked((text, ""), (" end", "b"), size=12.0)
    letters = baseline(inside)
    assert "".join(c for c, y in letters if y) == lowered
    assert [y for c, y in letters if c == "d"] == [0.0]
    assert "".join(ET.fromstring(f"<t>{inside}</t>".replace("xml:space", "s")).itertext()) == text + " end"
    assert (width(text, 12.0) < sum(width(c, 12.0) for c in text) - 1e-6) == bool(lowered)


@given(st.text(max_size=30), st.text(max_size=10))
def test_marked_text_is_the_text(text, more):
    legal = "".join(c for c in text + "[1]" + more if c.isprintable() and c.isascii())
    inside = marked((legal, ""), ("|", "x"), size=10.0)
    root = ET.fromstring(f'<t xmlns:xml="http://www.w3.org/XML/1998/namespace">{inside}</t>')
    assert "".join(root.itertext()) == legal + "|"
    assert baseline(inside)[-1] == ("|", 0.0)


def test_an_index_is_not_the_first_to_be_cut():
    assert shortened("theta1[2,1]", 10) == "theta1[2,1]"
    assert shortened("a long name[1]", 10) == "a long name[1]"
    assert shortened("a longer name[1]", 10) == "a longer…"


# ---- names from variables --------------------------------------------------------------------------------------------


def test_names_by_keyword():
    a, b = Value(1.0), Value(2.0, label="kept")
    w = [[Value(3.0), Value(4.0)], (Value(5.0),)]
    name_values(a=a, b=b, w=w, again=a)
    assert [a.label, b.label] == ["a", "kept"]
    assert [v.label for row in w for v in row] == ["w[0,0]", "w[0,1]", "w[1,0]"]


def test_names_from_a_mapping():
    x = Value(1.0)
    _hidden = Value(2.0)
    weights = [Value(3.0), 4.0, "text"]
    y = x * weights[0] + _hidden
    variables = {**locals(), "other": object(), "none": None, 3: Value(1.0)}
    name_values(variables)
    assert [v.label for v in (x, _hidden, weights[0], y)] == ["x", "", "weights[0]", "y"]


def test_names_leave_constants_and_circles_alone():
    constant = Value(1.0).detach()
    circle = [Value(2.0)]
    circle.append(circle)
    name_values(constant=constant, circle=circle)
    assert (constant.label, circle[0].label) == ("", "circle[0]")


def test_what_holds_no_value():
    with pytest.raises(TypeError, match="name_values: a holds no Value but float"):
        name_values(a=1.0)
    with pytest.raises(TypeError, match="name_values: w holds no Value but list"):
        name_values(w=[])
    with pytest.raises(TypeError, match=r"expected a mapping such as locals\(\), got Value"):
        name_values(Value(1.0))
