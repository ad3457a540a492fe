"""Networks: what they compute, how their parameters are found, named, replaced, saved and loaded."""

import json
import math
import os
import random
import stat
import sys
from collections import ChainMap, OrderedDict, UserList, defaultdict, deque, namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalargrad import Value, detect_anomaly, grad, group, no_grad
from scalargrad.activations import leaky_relu, softmax
from scalargrad.engine import modes
from scalargrad.nn import INITIALISATIONS, MLP, Dropout, Layer, Module, Neuron, initialisation
from scalargrad.optim import SGD

ELEMENTWISE = ["relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus", "leaky_relu", "identity"]
finite = st.floats(-3.0, 3.0)


def by_hand(model: MLP, xs: list[float]) -> list[float]:
    """A perceptron's outputs from its weights, by sums written out in the order that `dot` promises."""
    for layer in model.layers:
        ys = []
        for neuron in layer.neurons:
            total = xs[0] * neuron.weights[0].data
            for x, w in zip(xs[1:], neuron.weights[1:], strict=True):
                total += x * w.data
            ys.append(neuron.activation(total + neuron.bias.data))
        xs = ys
    return xs


# ---- what is computed ------------------------------------------------------------------------------------------------


def test_micrograds_call_and_training_loop() -> None:
    model = MLP(2, [16, 16, 1])
    assert len(model.parameters()) == 337
    r = random.Random(1337)
    points = [(r.uniform(-1, 1), r.uniform(-1, 1)) for _ in range(40)]
    labels = [1 if x * y > 0 else -1 for x, y in points]
    losses = []
    for k in range(25):
        scores = list(map(model, [list(map(Value, point)) for point in points]))
        assert all(isinstance(score, Value) for score in scores)
        data_loss = sum((1 + -yi * scorei).relu() for yi, scorei in zip(labels, scores, strict=True)) * (
            1.0 / len(scores)
        )
        total_loss = data_loss + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        total_loss.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * 0.2 * p.grad
        losses.append(total_loss.data)
    assert losses[-1] < 0.5 * losses[0]
    assert sum((s.data > 0) == (y > 0) for s, y in zip(map(model, points), labels, strict=True)) >= 36


def test_hidden_layers_are_relu_and_the_last_is_linear() -> None:
    model = MLP(2, [3, 1])
    assert repr(model) == "MLP(2, [3, 1], activation='relu', output='identity')"
    names = [node.operation.name for node in model([0.5, 0.5]).parents]
    assert names == ["relu", "relu", "relu", "constant", "leaf", "leaf", "leaf", "leaf"]


@settings(max_examples=30)
@given(
    xs=st.lists(finite, min_size=2, max_size=2),
    seed=st.integers(0, 100),
    activation=st.sampled_from(ELEMENTWISE),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_every_way_to_compute_gives_the_same_bits(
    xs: list[float], seed: int, activation: str, sizes: list[int]
) -> None:
    model, expanded = (MLP(2, sizes, activation, seed=seed, expanded=e) for e in (False, True))
    expected = by_hand(model, xs)
    y, z = model.forward(xs), expanded.forward([Value(x) for x in xs])
    parameters, f = model.functional()
    assert [v.data for v in y] == [v.data for v in z] == model.frozen().forward(xs) == expected
    assert all(type(x) is float for x in model.frozen().forward(xs))
    assert f(parameters, xs) == model.predict(xs) == (expected if len(expected) > 1 else expected[0])
    sum(y).backward()
    sum(z).backward()
    gradients = [p.grad for p in model.parameters()]
    assert [p.grad for p in expanded.parameters()] == gradients
    assert grad(lambda ps: sum(model.with_parameters(ps).forward(xs)))(parameters) == gradients


def test_a_neuron_is_one_dot_and_its_activation_or_expanded_all_of_its_arithmetic() -> None:
    y = Neuron(2, "tanh")([0.5, 0.25])
    assert (y.operation.name, y.parents[0].operation.name, len(y.parents[0].parents)) == ("tanh", "dot", 6)
    z = Neuron(2, "tanh", expanded=True)([0.5, 0.25])
    names = []
    node = z
    while node.parents:
        names.append(node.operation.name)
        node = node.parents[0]
    assert names == ["tanh", "add", "add", "mul"]


def test_a_layer_makes_one_node_of_each_plain_input() -> None:
    y = Layer(2, 3, "identity")([0.5, 0.25])
    assert y[0].parents[:3] == y[2].parents[:3]
    assert [a is b for a, b in zip(y[0].parents[:3], y[2].parents[:3], strict=True)] == [True] * 3


def test_softmax_acts_on_the_whole_layer() -> None:
    for output in ("softmax", softmax, partial(softmax, temperature=2.0)):
        model = MLP(2, [4, 3], activation="tanh", output=output, seed=3)
        p = model([0.5, -0.5])
        assert sum(x.data for x in p) == pytest.approx(1.0, abs=1e-15)
        assert model.predict([0.5, -0.5]) == [x.data for x in p]
    assert "softmax(temperature=2.0)" in repr(model)

    def halves(ys: list[Value]) -> list[Value]:
        return [y * 0.5 for y in ys]

    halves.of_layer = True  # type: ignore[attr-defined]
    whole, half = Layer(2, 2, "identity", seed=1), Layer(2, 2, halves, seed=1, init="glorot_uniform")
    assert [y.data for y in half([1.0, 2.0])] == [y.data * 0.5 for y in whole([1.0, 2.0])]


def test_an_activation_that_is_a_module_has_its_parameters_learnt_and_counted_once() -> None:
    class PReLU(Module):
        def __init__(self) -> None:
            self.slope = Value(0.25, label="slope")

        def __call__(self, x: Value) -> Value:
            return leaky_relu(x, self.slope)

    layer = Layer(1, 3, PReLU(), init=lambda random, n, m: -1.0)
    assert [name for name, _ in layer.named_parameters() if "slope" in name] == ["activation.slope"]
    y = layer([2.0])
    sum(y).backward()
    assert layer.activation.slope.grad == -6.0
    assert layer.with_parameters([1.0] + [-1.0, 0.0] * 3)([2.0]) == [-2.0] * 3


def test_inputs_of_any_kind() -> None:
    import numpy as np

    model = MLP(2, [3, 1], seed=1)
    expected = model([1.0, 2.0]).data
    assert model((1, 2)).data == model(np.array([1, 2])).data == model([Value(1.0), 2]).data == expected
    assert model(x for x in [1.0, 2.0]).data == expected
    with no_grad():
        assert model([1, 2]).parents == ()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: MLP(2, [3])([1.0]), ValueError, "Layer: expected 2 input(s), got 1"),
        (lambda: MLP(2, [3])(1.0), TypeError, "Layer: expected a list of 2 number(s), got one float"),
        (lambda: Neuron(1)(["x"]), TypeError, "Neuron: expected a real number, got str"),
        (lambda: MLP(2, []), ValueError, "then a list of sizes"),
        (lambda: MLP(2, 3), ValueError, "then a list of sizes"),
        (lambda: MLP(2, [3, 0]), ValueError, "sizes must be a whole number of at least 1, got 0"),
        (lambda: MLP(2.0, [3]), ValueError, "inputs must be a whole number of at least 1, got 2.0"),
        (lambda: MLP(2, [3, 1], ["relu", "tanh"]), ValueError, "2 activation(s) for 1 hidden layer(s)"),
        (lambda: MLP(2, [3], output="rely"), ValueError, "unknown name 'rely'"),
        (lambda: MLP(2, [3], init="he"), ValueError, "unknown name 'he'; known: glorot_uniform"),
        (lambda: MLP(2, [3], seed=None), TypeError, "seed must be an int"),
        (lambda: Neuron(2, "softmax"), ValueError, "softmax acts on a whole layer"),
        (lambda: Dropout(1.0), ValueError, "p must be at least 0 and below 1, got 1.0"),
        (lambda: Module()([1.0]), NotImplementedError, "define __call__"),
        (lambda: MLP(1, [1]).with_parameters([1.0]), ValueError, "has 2 parameter(s), got 1"),
        (lambda: MLP(1, [1]).with_parameters([1.0] * 3), ValueError, "has 2 parameter(s), got 3"),
    ],
)
def test_what_does_not_fit_is_told(call, error, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


# ---- names and groups ------------------------------------------------------------------------------------------------


def test_weights_are_named_destination_first_and_found_by_place() -> None:
    model = MLP(3, [2, 1])
    labels = [p.label for p in model.parameters()]
    assert labels[:4] == ["θ1[1,1]", "θ1[1,2]", "θ1[1,3]", "θ1[1,0]"]
    assert labels[8:] == ["θ2[1,1]", "θ2[1,2]", "θ2[1,0]"]
    for name, p in model.named_parameters():
        assert eval(f"model.{name}", {"model": model}) is p


def test_nodes_are_grouped_by_layer_and_neuron() -> None:
    for model in (MLP(1, [2, 2], output="softmax"), MLP(1, [2, 2], output="softmax", expanded=True)):
        ys = model([0.5])
        assert ys[0].group == "layer2"
        total = ys[1].parents[1]
        assert total.group == "layer2/neuron2"
        while total.operation.name == "add":
            total = total.parents[0]
        assert total.group == "layer2/neuron2"
        assert total.parents[0].group == "layer1/neuron1"
    with group("model"):
        assert MLP(1, [1])([0.5]).group == "model/layer1/neuron1"
    with detect_anomaly():
        assert MLP(1, [1])([0.5]).group == "layer1/neuron1"


def test_nodes_of_an_activation_of_several_nodes_are_all_grouped() -> None:
    y = MLP(1, [1], output=lambda x: x * x + x)([0.5])
    assert [y.group, *(p.group for p in y.parents)] == ["layer1/neuron1"] * 3


# ---- initialisation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / (8 + 5)), ("glorot_normal", 2 / (8 + 5)), ("he_uniform", 2 / 8), ("he_normal", 2 / 8),
        ("lecun_uniform", 1 / 8), ("lecun_normal", 1 / 8), ("uniform", 1 / 3), ("zeros", 0.0),
    ],
)  # fmt: skip
def test_initialisations_have_their_papers_variance(name: str, variance: float) -> None:
    r = random.Random(0)
    draws = [INITIALISATIONS[name](r, 8, 5) for _ in range(20_000)]
    assert sum(draws) / len(draws) == pytest.approx(0.0, abs=0.01)
    assert sum(x * x for x in draws) / len(draws) == pytest.approx(variance, rel=0.05)
    if name.endswith("uniform"):
        bound = math.sqrt(3 * variance)
        assert 0.99 * bound < max(map(abs, draws)) <= bound
    assert set(INITIALISATIONS) >= {name}


def test_initialisation_follows_the_activation_and_the_layers_fans() -> None:
    assert initialisation(None, "relu") is INITIALISATIONS["he_normal"]
    assert initialisation(None, "selu") is INITIALISATIONS["lecun_normal"]
    assert initialisation(None, "tanh") is initialisation(None, "softmax") is INITIALISATIONS["glorot_uniform"]
    fans = []
    MLP(3, [5, 2], init=lambda random, n, m: fans.append((n, m)) or 0.5)
    assert fans == [(3, 5)] * 15 + [(5, 2)] * 10
    relu, leaky = MLP(2, [4, 1], "relu"), MLP(2, [4, 1], partial(leaky_relu, slope=0.1))
    assert leaky.state_dict() == relu.state_dict()


def test_seeds_decide_the_weights_and_nothing_else_does() -> None:
    state = random.getstate()
    one, same, other = MLP(2, [4, 1], seed=7), MLP(2, [4, 1], seed=7), MLP(2, [4, 1], seed=8)
    assert random.getstate() == state
    assert one.state_dict() == same.state_dict() != other.state_dict()
    with_dropout = MLP(2, [4, 1], seed=7, dropout=0.5)
    assert [p.data for p in with_dropout.parameters()][:12] == [p.data for p in one.parameters()][:12]
    assert len({p.data for p in one.parameters() if not p.label.endswith("0]")}) == 12


# ---- dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_drops_its_share_and_nothing_in_evaluation() -> None:
    ys = Dropout(0.25, seed=1)([1.0] * 10_000)
    assert set(ys) == {0.0, 1.0 / 0.75}
    assert ys.count(0.0) == pytest.approx(2500, abs=150)
    xs = [Value(2.0), Value(3.0), Value(4.0)]
    kept = Dropout(0.5, seed=2)(xs)
    assert {getattr(y, "data", 0.0) for y in kept} <= {0.0, 4.0, 6.0, 8.0}
    assert Dropout(0.5).eval()(xs)[0] is xs[0]


def test_a_network_drops_in_training_only_and_predicts_without() -> None:
    model, plain = MLP(2, [8, 1], dropout=0.5, seed=1), MLP(2, [8, 1], seed=1)
    assert "dropout=0.5" in repr(model)
    plain.load_state_dict({"parameters": {"layers": [plain_layer(model, 0), plain_layer(model, 2)]}, "modules": {}})
    x = [0.5, -0.5]
    drawn = {model(x).data for _ in range(20)}
    assert len(drawn) > 10
    assert model.predict(x) == plain(x).data == model.eval()(x).data
    assert model.train().training
    assert all(module.training for _, module in model.named_modules())


def plain_layer(model: MLP, k: int) -> dict[str, object]:
    layer = model.state_dict()["parameters"]["layers"][k]
    assert isinstance(layer, dict)
    return layer


def test_dropout_in_training_is_not_compiled() -> None:
    with modes.tracing(SimpleNamespace()), pytest.raises(TypeError, match="call eval"):
        Dropout(0.5)([1.0])
    with modes.tracing(SimpleNamespace()):
        assert Dropout(0.5).eval()([1.0]) == [1.0]


def test_the_state_of_dropout_is_saved_so_that_it_draws_on() -> None:
    model = MLP(2, [8, 1], dropout=0.5)
    model([1.0, 1.0])
    state = json.loads(json.dumps(model.state_dict()))
    expected = [model([1.0, 1.0]).data for _ in range(5)]
    other = MLP(2, [8, 1], dropout=0.5, seed=9)
    other.load_state_dict(state)
    assert [other([1.0, 1.0]).data for _ in range(5)] == expected


# ---- modules ---------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "left right")


class Odd(Module):
    """Parameters in every kind of place, one of them shared, and a module that refers back to its owner."""

    def __init__(self) -> None:
        self.w = Value(1.0)
        self.table = {"a": Value(2.0), 3: [Value(3.0), None, "text"]}
        self.pair = Pair(Value(4.0), (Value(5.0),))
        self.again = self.w
        self.inner = Layer(1, 1, init="zeros")
        self.twice = [self.inner]
        self.owner = self
        self.cached = self.w * 2.0
        self.sizes = [1, 2, 3]

    def __call__(self, x: object) -> object:
        p = self.pair
        return self.w * x + self.table["a"] + self.table[3][0] + p.left + p.right[0] + self.again + self.inner([x])


def test_parameters_are_found_wherever_they_are_and_once() -> None:
    odd = Odd()
    names = dict(odd.named_parameters())
    assert list(names) == [
        "w", "table['a']", "table[3][0]", "pair[0]", "pair[1][0]",
        "inner.neurons[0].weights[0]", "inner.neurons[0].bias",
    ]  # fmt: skip
    assert [p.data for p in odd.parameters()] == [1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0]
    assert [name for name, _ in odd.named_modules()] == ["", "inner", "inner.neurons[0]"]
    assert odd(10.0).data == 25.0


def test_replacing_parameters_leaves_the_module_as_it_was_and_keeps_its_shape() -> None:
    odd = Odd()
    copied = odd.with_parameters([10.0, 20.0, 30.0, 40.0, 50.0, 2.0, 60.0])
    assert copied(1.0) == 10.0 + 20.0 + 30.0 + 40.0 + 50.0 + 10.0 + 62.0
    assert copied.again is copied.w
    assert copied.owner is copied
    assert copied.inner is copied.twice[0] is not odd.inner
    assert isinstance(copied.pair, Pair)
    assert copied.sizes is odd.sizes
    assert odd(10.0).data == 25.0
    frozen = odd.frozen()
    odd.w.data = 7.0
    assert frozen(10.0) == 25.0
    assert frozen.parameters() == []


def test_zero_grad_forgets_every_gradient() -> None:
    model = MLP(2, [2, 1])
    model([1.0, 1.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert not any(p.grad for p in model.parameters())


# ---- saving and loading ----------------------------------------------------------------------------------------------


def test_a_state_goes_through_json_and_back_to_the_bit(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model, other = MLP(2, [3, 1], seed=1, dropout=0.25), MLP(2, [3, 1], seed=2, dropout=0.25)
    awkward = [5e-324, -0.0, 1.7976931348623157e308, math.inf, -math.inf, 0.1, 1 / 3]
    for p, x in zip(model.parameters(), awkward, strict=False):
        p.data = x
    model.save(tmp_path / "model.json")
    assert other.load(tmp_path / "model.json") is other
    assert [p.data.hex() for p in other.parameters()] == [p.data.hex() for p in model.parameters()]
    assert other.state_dict() == model.state_dict()
    assert [each.name for each in tmp_path.iterdir()] == ["model.json"]
    odd = Odd()
    odd.load_state_dict(json.loads(json.dumps(Odd().state_dict())))
    assert odd(10.0).data == 25.0


def test_a_file_that_does_not_fit_is_told_and_nothing_is_changed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "model.json"
    MLP(2, [3, 1], activation="tanh").save(file)
    model = MLP(2, [3, 1], seed=5)
    before = model.state_dict()
    with pytest.raises(ValueError, match="saved from another module"):
        model.load(file)
    for text, told in [
        ("{", "not a JSON file"), ("[]", "got None"), ('{"format": "x"}', "got 'x'"), ("\x00", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
    ]:  # fmt: skip
        file.write_text(text)
        with pytest.raises(ValueError, match=told):
            model.load(file)
    with pytest.raises(FileNotFoundError):
        model.load(tmp_path / "nowhere.json")
    assert model.state_dict() == before


def test_a_save_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "model.json"
    model = MLP(1, [1])
    model.save(file)
    before = file.read_text()

    def fails(*_: object) -> None:
        raise OSError("disk full")

    model.parameters()[0].data = 7.0
    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        model.save(file)
    assert file.read_text() == before
    assert [each.name for each in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("modules"), "MLP: missing modules"),
        (lambda s: s.update(extra=1), "MLP: unknown extra"),
        (lambda s: s["parameters"]["layers"].pop(), "expected 3 item(s) at parameters['layers'], got 2"),
        (lambda s: s["parameters"]["layers"][0].update(w=1), "unknown parameters['layers'][0]['w']"),
        (lambda s: s["parameters"].update(layers=3), "expected a list at parameters['layers'], got 3"),
        (lambda s: first(s).update(bias="1.0"), "number at parameters['layers'][0]['neurons'][0]['bias'], got '1.0'"),
        (lambda s: first(s).update(bias=True), "expected a number"),
        (lambda s: first(s).update(bias=None), "expected a number"),
        (lambda s: first(s).update(bias=10**400), "expected a number"),
        (lambda s: first(s).update(weights={}), "expected a list at parameters['layers'][0]['neurons'][0]['weights']"),
        (lambda s: first(s)["weights"].append(0.0), "expected 2 item(s)"),
        (lambda s: s["modules"].clear(), "missing modules['layers[1]']"),
        (lambda s: s["modules"]["layers[1]"].update(random=[3, [1, 2]]), "Dropout: not the state of a generator"),
        (lambda s: s["modules"].update({"layers[1]": None}), "Dropout: not the state of a generator"),
    ],
)
def test_a_state_that_does_not_fit_is_told_by_place_and_nothing_is_changed(change, text) -> None:  # type: ignore[no-untyped-def]
    model = MLP(2, [3, 1], dropout=0.5)
    before, state = model.state_dict(), MLP(2, [3, 1], dropout=0.5, seed=9).state_dict()
    change(state)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared below
        model.load_state_dict(state)
    assert text in str(caught.value)
    assert model.state_dict() == before


def first(state: dict[str, object]) -> dict[str, object]:
    found = state["parameters"]["layers"][0]["neurons"][0]  # type: ignore[index]
    assert isinstance(found, dict)
    return found


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data(), junk=json_data)
def test_no_json_data_can_break_loading(data: st.DataObject, junk: object) -> None:
    """A state with junk somewhere in it changes nothing, unless the junk fits: then it is what is loaded."""
    model = MLP(1, [2, 1], dropout=0.5)
    before, state = model.state_dict(), MLP(1, [2, 1], dropout=0.5, seed=3).state_dict()
    holder: object = {"whole": state}
    key: object = "whole"
    while data.draw(st.booleans(), label="deeper"):
        inside = holder[key]  # type: ignore[index]
        keys = (
            list(inside) if isinstance(inside, dict) else list(range(len(inside))) if isinstance(inside, list) else []
        )
        if not keys:
            break
        holder, key = inside, data.draw(st.sampled_from(keys), label="key")
    holder[key] = junk  # type: ignore[index]
    if key == "whole":
        state = junk  # type: ignore[assignment]
    try:
        model.load_state_dict(state)
    except ValueError:
        assert model.state_dict() == before
    else:
        assert repr(as_floats(model.state_dict())) == repr(as_floats(state))


def as_floats(data: object) -> object:
    """JSON data with every number a float; bool and None as they are."""
    if isinstance(data, dict):
        return {key: as_floats(data[key]) for key in sorted(data)}
    if isinstance(data, list):
        return [as_floats(x) for x in data]
    return float(data) if type(data) is int else data


def test_two_dropouts_are_loaded_together_or_not_at_all() -> None:
    model = MLP(2, [3, 3, 1], dropout=0.5)
    before, state = model.state_dict(), MLP(2, [3, 3, 1], dropout=0.5, seed=4).state_dict()
    state["modules"]["layers[3]"] = {}
    with pytest.raises(ValueError, match="Dropout"):
        model.load_state_dict(state)
    assert model.state_dict() == before


def test_the_order_of_keys_in_a_file_means_nothing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Tools that write JSON may sort it."""

    class Line(Module):
        def __init__(self, slope: float, offset: float) -> None:
            self.slope, self.more = Value(slope), {"b": Value(offset), "a": Value(3.0)}

        def __repr__(self) -> str:
            return "Line"

    file = tmp_path / "line.json"
    Line(2.0, 1.0).save(file)
    file.write_text(json.dumps(json.loads(file.read_text()), sort_keys=True))
    found = Line(0.0, 0.0).load(file)
    assert (found.slope.data, found.more["b"].data, found.more["a"].data) == (2.0, 1.0, 3.0)


def test_a_file_that_does_not_fit_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "model.json"
    model = MLP(1, [1])
    model.save(file)
    state = json.loads(file.read_text())
    for junk, told in [
        ("x" * 1000, "got 'xxx"),
        ([[[]]], "got a list of 1 item(s)"),
        (10**400, "got an integer beyond"),
    ]:
        first(state).update(bias=junk)
        file.write_text(json.dumps(state))
        with pytest.raises(ValueError, match="number at parameters") as caught:
            model.load(file)
        assert str(caught.value).startswith(f"{file}: MLP: ")
        assert told in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_deep_state_is_told_without_recursion() -> None:
    model = MLP(1, [1])
    state = model.state_dict()
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    first(state).update(bias=deep)
    with pytest.raises(ValueError, match="got a list of 1 item"):
        model.load_state_dict(state)
    first(state).update(bias=10**5000)
    with pytest.raises(ValueError, match="got an integer beyond the range of floats"):
        model.load_state_dict(state)
    while deep:  # taken apart by hand: freeing it would recurse
        deep = deep.pop()  # type: ignore[assignment]


# ---- what outsiders met ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: MLP([2, 3, 1]), ValueError, "such as MLP(2, [3, 1]), got MLP([2, 3, 1])"),
        (lambda: MLP(2, [3, 1])(1, 2), TypeError, "MLP: expected one list of numbers, got 2 arguments; put"),
        (lambda: Layer(2, 1)(1, 2), TypeError, "Layer: expected one list of numbers, got 2 arguments"),
        (lambda: Neuron(2)(1, 2, 3), TypeError, "Neuron: expected one list of numbers, got 3 arguments"),
        (lambda: MLP(2, [1])([[1.0, 2.0]] * 5), TypeError, "one sample, got 5 lists; for several samples call it on"),
        (lambda: MLP(2, [1])([[1.0, 2.0]] * 2), TypeError, "[model(x) for x in samples]"),
    ],
)  # fmt: skip
def test_what_is_given_in_another_form_is_told_the_way_out(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_arrays_and_integers_of_numpy() -> None:
    np = pytest.importorskip("numpy")
    model = MLP(np.int64(2), np.array([3, 1]), seed=np.int64(5))
    assert repr(model) == repr(MLP(2, [3, 1]))
    assert model.state_dict() == MLP(2, [3, 1], seed=5).state_dict()
    assert model(np.ones(2)).data == model([1.0, 1.0]).data
    with pytest.raises(TypeError, match="one sample, got 5 ndarrays"):
        model(np.ones((5, 2)))


class Holder(Module):
    def __init__(self, held: Any) -> None:
        self.held = held

    def __call__(self, x: Any) -> Any:
        return x


def collections_of_parameters() -> list[Any]:
    found: list[Any] = [deque([Value(1.0)]), {Value(1.0)}, frozenset([MLP(1, [1])]), UserList([Value(1.0)])]
    if numpy := sys.modules.get("numpy"):
        found.append(numpy.array([Value(1.0)], dtype=object))
    return found


def test_parameters_that_are_not_looked_for_are_refused_by_name() -> None:
    pytest.importorskip("numpy")
    for held in collections_of_parameters():
        with pytest.raises(
            TypeError, match=rf"Holder: held is a {type(held).__name__}, in which parameters are not looked"
        ):
            Holder(held).parameters()
        with pytest.raises(TypeError, match=r"Holder: held\['x'\]\[0\] is a"):
            Holder({"x": [held]}).parameters()
    for held in ({1.0}, deque([2]), "text", b"bytes", range(3), sys.modules["numpy"].ones(3), (Value(2.0) * 2,)):
        assert Holder(held).parameters() == []


class Plain:
    def __init__(self, held: Any) -> None:
        self.held = held

    def method(self, x: Any) -> Any:
        return x


class OfClass(Module):
    w = Value(1.0)


def test_parameters_in_what_is_no_module_are_refused_by_name() -> None:
    w, plain = Value(1.0), Plain([Value(1.0)])
    for held in (
        plain, Plain(MLP(1, [1])), plain.method, SimpleNamespace(w=w), partial(max, w), deque([[w]]), {(w,)},
        MappingProxyType({"w": w}), ChainMap({"w": w}), Plain(Plain({1: (w,)})),
    ):  # fmt: skip
        name = type(held).__name__
        for holder, place in ((Holder(held), "held"), (Holder({"x": [held]}), r"held\['x'\]\[0\]")):
            with pytest.raises(TypeError, match=rf"Holder: {place} is a {name}, in which parameters .* make a Module"):
                holder.parameters()
    with pytest.raises(TypeError, match="OfClass: w of the class is a Value"):
        OfClass().parameters()


def test_what_holds_a_modules_own_parameters_or_none_is_no_fault() -> None:
    holder = Holder([Value(1.0), Value(2.0)])
    holder.scale = Plain({1: holder.held[0], "all": (holder, holder.held)})  # type: ignore[attr-defined]
    holder.optimizer = SGD(holder.held)  # type: ignore[attr-defined]
    holder.closure = lambda x: holder.held[0] * x  # type: ignore[attr-defined]
    assert holder.parameters() == holder.held
    assert Holder(Plain([1.0, Plain(None)])).parameters() == []


def test_a_dict_of_parameters_keeps_its_kind_where_they_are_replaced() -> None:
    for held in (OrderedDict(w=Value(1.0)), defaultdict(list, w=Value(1.0))):
        copied = Holder(held).with_parameters([3.0]).held
        assert type(copied) is type(held)
        assert copied == {"w": 3.0}


class Slotted(Module):
    __slots__ = ("_hidden", "inner", "w")

    def __init__(self) -> None:
        self.w, self.inner, self.bias = Value(2.0), [Value(3.0)], Value(4.0)

    def __call__(self, x: Any) -> Any:
        return self.w * x + self.inner[0] + self.bias


def test_parameters_in_slots_are_found(tmp_path: Any) -> None:
    model = Slotted()
    assert [name for name, _ in model.named_parameters()] == ["bias", "inner[0]", "w"]
    assert model.with_parameters([1.0, 10.0, 100.0])(2.0) == 211.0
    assert model.predict(1.0) == 9.0
    assert model.w.data == 2.0
    model.save(tmp_path / "slots.json")
    other = Slotted()
    other.w.data = 0.0
    assert other.load(tmp_path / "slots.json").w.data == 2.0


# ---- files -----------------------------------------------------------------------------------------------------------


def test_files_hold_what_json_has_and_no_more(tmp_path: Any) -> None:
    file = tmp_path / "odd.json"
    numbers = [math.nan, math.inf, -math.inf, 5e-324, -0.0, 1.7976931348623157e308]
    model = Holder(list(map(Value, numbers)))
    model.save(file)
    strict = json.loads(file.read_text(), parse_constant=lambda text: pytest.fail(text))
    assert strict["parameters"]["held"][:3] == [{"float": "nan"}, {"float": "inf"}, {"float": "-inf"}]
    other = Holder([Value(0.0) for _ in numbers]).load(file)
    assert list(map(repr, numbers)) == [repr(p.data) for p in other.held]
    head = '{"format":"scalargrad module 1","scalargrad":"0.1.0","module":"Holder(1 parameters)",'
    head += '"modules":{},"parameters":{"held":[%s]}%s}'
    for number, more, text in [
        ("NaN", "", "NaN is no number in JSON"),
        ("-Infinity", "", "-Infinity is no number in JSON"),
        ("1e400", "", "1e400 is beyond the range of floats"),
        ("1", ',"modules":{}', "the key 'modules' stands twice"),
    ]:
        file.write_text(head % (number, more))
        with pytest.raises(ValueError, match=rf"odd\.json: not a JSON file: {text}"):
            Holder([Value(0.0)]).load(file)
    file.write_text(head % ("1", ""))
    assert Holder([Value(0.0)]).load(file).held[0].data == 1.0


def test_several_threads_may_save_to_one_path(tmp_path: Any) -> None:
    file = tmp_path / "model.json"
    models = [MLP(1, [3, 1], seed=k) for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            list(pool.map(lambda model: model.save(file), models))
    assert MLP(1, [3, 1]).load(file).state_dict() in [model.state_dict() for model in models]
    assert [each.name for each in tmp_path.iterdir()] == ["model.json"]


def test_no_temporary_file_stays_where_writing_fails(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file, model = tmp_path / "model.json", MLP(1, [1])
    model.save(file)
    before = file.read_bytes()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                model.save(file)
        assert [each.name for each in tmp_path.iterdir()] == ["model.json"]
        assert file.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="directories cannot be opened here")
def test_the_directory_is_on_the_disk_after_the_new_name_is(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"), fsync(fd)))  # fmt: skip  # noqa: E501
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), replace(a, b)))
    MLP(1, [1]).save(tmp_path / "model.json")
    assert done == ["file", "rename", "directory"]


@pytest.mark.skipif(os.name == "nt", reason="links and permissions are POSIX's")
def test_saving_keeps_a_link_and_the_permissions_that_were_there(tmp_path: Path) -> None:
    model, target, link = MLP(1, [1]), tmp_path / "target", tmp_path / "link"
    target.write_text("")
    target.chmod(0o600)
    link.symlink_to(target)
    model.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert model.load(target) is model
