"""Plots: their numbers without any plotting library; and of the figures data, colours and words, never pixels."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import warnings
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scalargrad
from scalargrad import Value, exp, log, relu, sigmoid, sqrt, tanh
from scalargrad.data import Dataset, circle, iris
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP, Layer, Module
from scalargrad.optim import SGD, AdaGrad, Adam, Momentum
from scalargrad.plots import (
    LayerGradient,
    Samples,
    Trajectory,
    decision_grid,
    gradients_by_layer,
    plot_confusion,
    plot_decision,
    plot_fit,
    plot_function,
    plot_gradients,
    plot_history,
    plot_paths,
    plot_rates,
    sample,
    trajectory,
)
from scalargrad.training import History, fit

# ---- a function and its derivative -----------------------------------------------------------------------------------


def test_samples_are_the_function_and_its_derivative():
    x, y, slope = sample(lambda x: exp(x) * x, -2.0, 3.0, 11)
    assert x == pytest.approx([-2.0 + 0.5 * k for k in range(11)])
    assert y == pytest.approx([math.exp(a) * a for a in x])
    assert slope == pytest.approx([math.exp(a) * (a + 1.0) for a in x])
    assert all(type(each) is float for column in (x, y, slope) for each in column)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 50))
def test_samples_begin_and_end_where_they_should(low, length, n):
    x = sample(lambda x: x, low, low + length, n).x
    assert (x[0], x[-1], len(x)) == (low, low + length, n)
    assert sorted(set(x)) == x


def test_samples_of_what_is_not_everywhere_there():
    _, y, slope = sample(log, -1.0, 1.0, 3)
    assert isnan(y[0])
    assert y[1:] == [-inf, 0.0]
    assert slope[1:] == [inf, 1.0]
    assert sample(lambda x: 3.0, 0.0, 1.0, 2) == Samples([0.0, 1.0], [3.0, 3.0], [0.0, 0.0])
    assert sample(relu, -1.0, 1.0, 3).slope == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((tanh, 1.0, 1.0), ValueError, "sample: low must be below high, and both finite, got 1.0 and 1.0"),
        ((tanh, 0.0, inf), ValueError, "both finite"),
        ((tanh, 0.0, 1.0, 1), ValueError, "n, the number of points, must be a whole number of at least 2, got 1"),
        ((tanh, "a", 1.0), TypeError, "sample, low"),
    ],
)
def test_bad_samples(arguments, error, words):
    with pytest.raises(error, match=words):
        sample(*arguments)


# ---- trajectories ----------------------------------------------------------------------------------------------------


def valley(x, y):
    return x * x / 20.0 + y * y


def test_a_trajectory_is_what_the_optimizer_does():
    way = trajectory(lambda ps: Momentum(ps, lr=0.1), valley, [-7.0, 2.0], 5)
    parameters = [Value(-7.0), Value(2.0)]
    optimizer = Momentum(parameters, lr=0.1)
    for k in range(5):
        assert way.points[k] == tuple(p.data for p in parameters)
        optimizer.zero_grad()
        loss = valley(*parameters)
        loss.backward()
        assert way.values[k] == loss.data
        assert way.gradients[k] == tuple(p.grad for p in parameters)
        optimizer.step()
    assert (len(way.points), len(way.values), len(way.gradients), len(way.rates)) == (6, 6, 5, 5)


def test_effective_rates():
    way = trajectory(lambda ps: SGD(ps, lr=0.3), valley, [-7.0, 2.0], 4)
    assert [r for each in way.rates for r in each] == pytest.approx([0.3] * 8)
    dying = trajectory(lambda ps: AdaGrad(ps, lr=0.5), valley, [-7.0, 2.0], 30)
    for i in (0, 1):
        rates = [each[i] for each in dying.rates]
        assert rates == sorted(rates, reverse=True)
    squares = [sum(g[1] ** 2 for g in dying.gradients[: t + 1]) for t in range(30)]
    assert [each[1] for each in dying.rates] == pytest.approx([0.5 / math.sqrt(s) for s in squares])
    still = trajectory(SGD, lambda x: x * x, [0.0], 1)
    assert isnan(still.rates[0][0])


def test_a_way_that_diverges_ends():
    way = trajectory(lambda ps: SGD(ps, lr=1.5), lambda x: x**4, [3.0], 100)
    assert len(way.points) < 100
    assert not all(map(math.isfinite, (way.values[-1], *way.points[-1])))
    assert len(trajectory(SGD, sqrt, [0.0], 9).rates) == 0  # the gradient is inf


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((SGD, valley, [1.0, 2.0], -1), ValueError, "steps must be a whole number of at least 0, got -1"),
        ((SGD, valley, [], 1), ValueError, "start has no number"),
        ((SGD, lambda x: 3.0, [1.0], 1), TypeError, "f must return a Value, got float"),
    ],
)
def test_bad_trajectories(arguments, error, words):
    with pytest.raises(error, match=words):
        trajectory(*arguments)


# ---- grids -----------------------------------------------------------------------------------------------------------


def test_a_grid_of_a_model_is_its_predictions():
    model = MLP(2, [3, 1], "tanh", dropout=0.5, seed=1)
    grid = decision_grid(model, (-1.0, 1.0), (0.0, 3.0), 4)
    assert grid.x == pytest.approx([-1.0, -1.0 / 3.0, 1.0 / 3.0, 1.0])
    assert grid.y == [0.0, 1.0, 2.0, 3.0]
    assert grid.z == [[model.predict([x, y]) for x in grid.x] for y in grid.y]
    assert (grid.scores, grid.classes) == ((), 0)


def test_a_grid_of_scores():
    grid = decision_grid(lambda p: [p[0], p[1], Value(0.5)], (0.0, 1.0), (0.0, 1.0), 3)
    assert grid.classes == 3
    assert grid.scores[0] == [[0.0, 0.5, 1.0]] * 3
    assert grid.scores[2] == [[0.5] * 3] * 3
    assert grid.z == [[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]  # of equal scores, the first
    assert decision_grid(lambda p: [p[0]], (0.0, 1.0), (0.0, 1.0), 2).z == [[0.0, 1.0], [0.0, 1.0]]


def test_bad_grids():
    with pytest.raises(ValueError, match="decision_grid, xlim: low must be below high"):
        decision_grid(sum, (1.0, 0.0))
    with pytest.raises(ValueError, match=r"2 score\(s\) at the first point, but 3 at another"):
        decision_grid(lambda p: [0.0] * (2 + (p[0] > 0.0)), n=3)


# ---- gradients by layer ----------------------------------------------------------------------------------------------


def test_gradients_by_layer():
    model = MLP(2, [3, 1], "tanh", seed=2)

    def loss(model):
        return (model([0.5, -1.0]) - 1.0) ** 2

    found = gradients_by_layer(model, loss)
    assert all(p.grad == 0.0 for p in model.parameters())
    loss(model).backward()
    assert found == gradients_by_layer(model)
    for layer, each in zip(model.layers, found, strict=True):
        gradients = [p.grad for p in layer.parameters()]
        assert each.norm == pytest.approx(math.sqrt(sum(g * g for g in gradients)))
        assert each.rms == pytest.approx(each.norm / math.sqrt(len(gradients)))
        assert each.largest == max(map(abs, gradients))
        assert each.parameters == len(gradients)
    assert [each.name for each in found] == ["layer1", "layer2"]


def test_gradients_outside_of_layers_and_no_number():
    class Net(Module):
        def __init__(self):
            self.scale, self.layer = Value(0.0), Layer(1, 1)

        def __call__(self, x):
            return self.layer([x]) * self.scale

    found = gradients_by_layer(Net(), lambda net: net(1.0) + log(net.scale))
    assert [each.name for each in found] == ["layer1", "others"]
    assert (found[0].norm, found[1].largest) == (0.0, inf)
    assert isnan(gradients_by_layer(Net(), lambda net: net.scale * nan)[1].largest)


def test_bad_gradients():
    model = MLP(1, [1])
    with pytest.raises(ValueError, match=r"there are no gradients yet: call backward\(\) first, or give a loss"):
        gradients_by_layer(model)
    with pytest.raises(ValueError, match="must give a Value, got int"):
        gradients_by_layer(model, lambda model: 3)
    with pytest.raises(ValueError, match="has no parameters"):
        gradients_by_layer(Module())
    with pytest.raises(TypeError, match="expected a Module, got list"):
        gradients_by_layer(model.parameters())


# ---- without matplotlib ----------------------------------------------------------------------------------------------

NUMBERS_ALONE = """
import sys
sys.modules["matplotlib"] = None
from scalargrad import tanh
from scalargrad.plots import decision_grid, plot_function, sample
sample(tanh, -1, 1); decision_grid(sum, n=2)
try:
    plot_function(tanh)
except ImportError as error:
    print(error)
print(sorted(each for each in sys.modules if each.partition(".")[0] in ("numpy", "matplotlib") and sys.modules[each]))
"""


def test_numbers_need_no_library_and_plots_say_which():
    done = subprocess.run([sys.executable, "-c", NUMBERS_ALONE], capture_output=True, text=True, check=True)
    assert done.stdout == "plots need matplotlib: pip install matplotlib\n[]\n"
    assert done.stderr == ""


NOTHING_GLOBAL = """
import sys, warnings
warnings.simplefilter("error")
import matplotlib
def settings():
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}  # which would choose one
before = settings()
from scalargrad import tanh
from scalargrad.plots import plot_function
plot_function(tanh, title="값", save=sys.argv[1])
print("matplotlib.pyplot" in sys.modules, settings() == before)
"""


# ---- figures ---------------------------------------------------------------------------------------------------------

matplotlib = pytest.importorskip("matplotlib", reason="figures need matplotlib")

from scalargrad.plots import canvas  # noqa: E402  # it imports matplotlib


def words(axes):
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def drawn(figure):
    """Draw it, as a file would be; a warning is an error."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def contrast(one, other):
    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255.0 for k in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_nothing_global_is_touched(tmp_path):
    file = tmp_path / "a.png"
    command = [sys.executable, "-c", NOTHING_GLOBAL, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False True\n", "")
    assert file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_can_be_seen(theme):
    colours = canvas.DARK if theme == "dark" else canvas.LIGHT
    lines = [*canvas.SERIES[theme == "dark"], *(colours[key] for key in ("function", "derivative", "pos", "neg"))]
    assert all(contrast(each, colours["page"]) >= 3.0 for each in lines)
    assert all(contrast(colours[key], colours["page"]) >= 4.5 for key in ("ink", "muted"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_function_is_blue_and_its_derivative_yellow(theme):
    figure = plot_function(tanh, -3.0, 3.0, 61, title="a title", theme=theme)
    (axes,) = figure.axes
    value, slope = axes.lines[-2:]
    x, y, dy = sample(tanh, -3.0, 3.0, 61)
    assert (list(value.get_xdata()), list(value.get_ydata()), list(slope.get_ydata())) == (x, y, dy)
    blue, gold = (("#2563eb", "#b28c00"), ("#6ea8ff", "#facc15"))[theme == "dark"]
    assert (value.get_color(), slope.get_color()) == (blue, gold)
    assert (value.get_linestyle(), slope.get_linestyle()) == ("-", "--")  # not by colour alone
    assert words(axes) == ["tanh(x)", "tanh′(x)"]
    assert figure.get_suptitle() == "a title"
    assert drawn(figure)


def test_several_functions_side_by_side():
    figure = plot_function(
        {"one": tanh, "a rather long name": lambda x: x * x, "given": sample(exp, 0, 1)}, ylim=(-2, 2)
    )
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "a rather long name", "given"]
    assert [words(axes)[1] for axes in figure.axes] == ["one′(x)", "f′(x)", "given′(x)"]
    assert figure.axes[2].lines[-2].get_xdata()[-1] == 1.0
    assert {axes.get_ylim() for axes in figure.axes} == {(-2.0, 2.0)}
    five = plot_function(dict.fromkeys("abcde", tanh), n=5)
    assert [axes.get_visible() for axes in five.axes] == [True] * 5 + [False]
    assert words(plot_function(lambda x: x, n=3).axes[0]) == ["f(x)", "f′(x)"]


def test_gaps_where_there_is_no_number():
    figure = plot_function(lambda x: 1 / x, -1.0, 1.0, 3)
    assert isnan(figure.axes[0].lines[-2].get_ydata()[1])
    assert drawn(figure)


def test_measurements_have_the_colour_of_the_curve_of_their_name():
    figure = plot_fit({"a": ([0, 1], [0.0, inf]), "b": ([0, 1], [2, 3])}, {"b": ([0.5], [2.4]), "c": ([1], [1])}, x="t")
    (axes,) = figure.axes
    a, b, b_measured, c = axes.lines
    assert words(axes) == ["a", "b", "b, measured", "c"]
    assert (list(b_measured.get_xdata()), list(b_measured.get_ydata())) == ([0.5], [2.4])
    assert b.get_color() == b_measured.get_color() != a.get_color()
    assert (b.get_marker(), b_measured.get_linestyle()) == ("None", "None")
    assert c.get_color() not in (a.get_color(), b.get_color())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("t", "y")
    assert drawn(figure)


@pytest.mark.parametrize(("at", "whole"), [([1900, 1902], True), ([1900, 1902.5], False)])
def test_measured_at_whole_numbers_the_axis_has_no_halves(at, whole):
    (axes,) = plot_fit({"a": ([1900, 1902], [0, 1])}, {"a": (at, [0, 1])}).axes
    assert all(tick % 1.0 == 0.0 for tick in axes.get_xticks()) is whole


def test_a_confusion_matrix_shows_counts_and_shares_of_rows():
    figure = plot_confusion([[98, 2, 0], [1, 1, 0], [0, 0, 0]], ["$a$", "b", "값"], title="t", theme="dark")
    (axes,) = figure.axes
    assert [(t.xy, t.get_text()) for t in axes.texts] == [((0, 0), "98"), ((1, 0), "2"), ((0, 1), "1"), ((1, 1), "1")]
    assert [t.get_bbox_patch() is not None for t in axes.texts] == [False, True, True, False]  # the wrong ones
    assert axes.images[0].get_array().tolist() == [[0.98, 0.02, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    for axis in (axes.xaxis, axes.yaxis):
        assert [t.get_text() for t in axis.get_ticklabels()] == ["$a$", "b", "값"]
    assert axes.yaxis_inverted()  # the first class on top, as printed
    assert drawn(figure)
    assert [t.get_text() for t in plot_confusion([[3]]).axes[0].get_xticklabels()] == ["0"]


def test_a_history_is_drawn_by_epoch():
    columns = {
        "loss": [1.0, 0.5, nan],
        "rate": [0.1] * 3,
        "validation_loss": [1.1, 0.7, 0.8],
        "accuracy": [0.1, 0.5, 0.9],
    }
    figure = plot_history(History(columns, best_epoch=1), title="t", log=True)
    (axes,) = figure.axes
    assert words(axes) == ["loss", "validation_loss"]
    loss, validation, best = axes.lines
    assert list(loss.get_xdata()) == [1, 2, 3]
    assert list(validation.get_ydata()) == [1.1, 0.7, 0.8]
    assert list(best.get_xdata()) == [2, 2]
    assert "best: epoch 2" in [text.get_text() for text in axes.texts]
    assert len({line.get_color() for line in (loss, validation)}) == 2
    assert len({str(line.get_linestyle()) + line.get_marker() for line in (loss, validation)}) == 2
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "loss", "log")
    assert drawn(figure)
    assert words(plot_history(columns, ["accuracy"]).axes[0]) == ["accuracy"]


def test_a_history_of_training():
    model = MLP(2, [2, 1], "tanh")
    history = fit(model, circle(40), mean_squared_error, Adam(model.parameters()), epochs=3, progress=False)
    assert list(plot_history(history).axes[0].lines[0].get_ydata()) == history["loss"]


def test_ways_on_contours():
    ways = {
        "SGD": trajectory(lambda ps: SGD(ps, lr=0.9), valley, [-7.0, 2.0], 20),
        "stays": Trajectory([(1.0, 1.0)], [1.05], [], []),
    }
    figure = plot_paths(valley, ways, title="t")
    (axes,) = figure.axes
    assert words(axes) == ["SGD", "stays"]
    path = next(line for line in axes.lines if len(line.get_xdata()) > 1)
    assert list(zip(path.get_xdata(), path.get_ydata(), strict=True)) == ways["SGD"].points
    low, high = axes.get_xlim()
    assert all(low < x < high for way in ways.values() for x, _ in way.points)
    assert len(axes.collections) >= 2  # the contours, filled and as lines
    assert drawn(figure)
    figure = plot_paths(lambda x, y: x * 0.0, ways["SGD"], xlim=(-8.0, 8.0), ylim=(-3.0, 3.0))  # flat
    assert figure.axes[0].get_xlim() == (-8.0, 8.0)
    assert words(figure.axes[0]) == []
    assert drawn(figure)


def test_a_way_to_infinity_is_drawn_as_far_as_it_goes():
    way = trajectory(lambda ps: SGD(ps, lr=1.5), lambda x, y: x**4 + y * y, [3.0, 1.0], 50)
    assert drawn(plot_paths(lambda x, y: x**4 + y * y, way, xlim=(-4.0, 4.0), ylim=(-4.0, 4.0)))


def test_rates_over_time():
    ways = {
        name: trajectory(lambda ps, m=m: m(ps, lr=0.5), valley, [-7.0, 2.0], 9)
        for name, m in (("a", SGD), ("b", AdaGrad))
    }
    figure = plot_rates(ways, names=["first", "second"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", "second"]
    assert words(figure.axes[0]) == ["a", "b"]
    for i, axes in enumerate(figure.axes):
        assert axes.get_yscale() == "log"
        for line, way in zip(axes.lines, ways.values(), strict=True):
            assert list(line.get_ydata()) == pytest.approx([each[i] for each in way.rates], rel=0.0, nan_ok=True)
    assert drawn(figure)


def test_a_decision_of_one_number():
    data = circle(60, seed=1)
    model = MLP(2, [3, 1], "tanh", "tanh", seed=1)
    figure = plot_decision(model, data, n=21, title="t")
    (axes,) = figure.axes
    scattered = [c for c in axes.collections if len(c.get_offsets()) > 1]
    assert [len(c.get_offsets()) for c in scattered] == [data.targets.count(-1.0), data.targets.count(1.0)]
    assert words(axes)[:2] == ["-1.0", "1.0"]
    assert len({c.get_paths()[0].vertices.shape for c in scattered}) == 2  # markers differ, too
    assert (axes.get_xlabel(), axes.get_ylabel()) == data.feature_names
    (image,) = axes.images
    assert image.get_array().shape == (21, 21)
    assert drawn(figure)


@pytest.mark.parametrize(("f", "options", "middle"), [
    (lambda p: p[0], {}, 0.0),
    (lambda p: sigmoid(p[0] + 1.0), {}, 0.5),
    (lambda p: p[0], {"threshold": 2.0}, 2.0),
])  # fmt: skip
def test_the_boundary_is_where_the_decision_changes(f, options, middle):
    figure = plot_decision(f, n=61, **options)
    (axes,) = figure.axes
    assert words(axes) == ["boundary"]
    vertices = [v for c in axes.collections for path in c.get_paths() for v in path.vertices]
    assert len(vertices) > 10
    for x, y in vertices:
        assert scalargrad.Value(0.0) + f([float(x), float(y)]) == pytest.approx(middle, abs=0.02)
    low, high = axes.images[0].get_clim()
    assert (low + high) / 2.0 == pytest.approx(middle)
    assert drawn(figure)


def test_a_decision_among_classes():
    flowers = iris()
    data = Dataset(
        [row[2:] for row in flowers.inputs], flowers.targets, ("a", "b"), flowers.classes, ("하나", "two", "three")
    )
    figure = plot_decision(lambda p: [4.0 - p[0] - p[1], 2.0, p[0] + p[1] - 4.5], data, n=41, theme="dark")
    (axes,) = figure.axes
    assert words(axes) == ["하나", "two", "three", "boundary"]
    colours = [matplotlib.colors.to_hex(c.get_facecolor()[0]) for c in axes.collections if len(c.get_offsets()) > 1]
    assert colours == list(canvas.SERIES[1][:3])
    regions = axes.images[0].get_cmap()
    assert [matplotlib.colors.to_hex(regions(k)) for k in range(3)] == colours  # points as their regions
    assert drawn(figure)


def test_a_decision_that_never_changes_and_one_that_is_no_number():
    assert words(plot_decision(lambda p: 1.0, n=5).axes[0]) == []
    assert drawn(plot_decision(lambda p: nan, n=5))
    assert drawn(plot_decision(lambda p: inf if p[0] > 0 else -inf, n=6))
    assert drawn(plot_decision(lambda p: [inf, p[0]], ([[0.0, 1.0]], [[1.0, 0.0]]), n=6))


def test_gradients_by_layer_are_drawn_from_the_inputs_on():
    deep = {name: MLP(2, [4] * 5 + [1], name, seed=1) for name in ("sigmoid", "relu")}
    measured = {name: gradients_by_layer(model, lambda model: model([0.5, 1.0])) for name, model in deep.items()}
    figure = plot_gradients(measured, title="t")
    (axes,) = figure.axes
    assert words(axes) == ["sigmoid", "relu"]
    assert [text.get_text() for text in axes.get_xticklabels()] == [f"layer{k}" for k in range(1, 7)]
    assert list(axes.lines[0].get_ydata()) == [each.norm for each in measured["sigmoid"]]
    assert axes.get_yscale() == "log"
    assert "largest" in plot_gradients(measured, measure="largest").axes[0].get_ylabel()
    assert drawn(figure)


def test_a_gradient_of_zero_is_said():
    layers = [
        LayerGradient("a", 0.0, 0.0, 0.0, 1),
        LayerGradient("b", 2.0, 2.0, 2.0, 1),
        LayerGradient("c", inf, inf, inf, 1),
    ]
    figure = plot_gradients(layers)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0"]
    assert figure.axes[0].lines[0].get_ydata()[0] == pytest.approx(0.2)
    assert drawn(figure)
    assert drawn(plot_gradients(layers[:1]))


# ---- words -----------------------------------------------------------------------------------------------------------

AWKWARD = ["값과 기울기", "$\\frac$ x", "_hidden", "<b>&", "a\x00\ud800b", "x" * 5000, "שלום", "두\n줄", "% {} \\"]


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_words_are_drawn_as_they_are(text):
    shown = canvas.plain(text, canvas.NAME)
    way = trajectory(SGD, valley, [1.0, 1.0], 2)
    figures = [
        plot_function({text: tanh, "b": tanh}, n=5, title=text),
        plot_history({f"{text} loss": [1.0, 2.0]}, title=text),
        plot_paths(valley, {text: way}, n=5, title=text),
        plot_rates({text: way}, names=[text, "b"], title=text),
        plot_decision(lambda p: p[0], Dataset([[0.0, 1.0]], [0], (text, "b"), (0,), (text,)), n=4, title=text),
        plot_gradients({text: [LayerGradient(text, 1.0, 1.0, 1.0, 1)]}, title=text),
        plot_fit({text: ([1.0], [2.0])}, {text: ([1.0], [2.0])}, x=text, y=text, title=text),
        plot_confusion([[1]], [text], title=text),
    ]
    for figure in figures:
        assert figure.get_suptitle().split() == canvas.plain(text, canvas.TITLE).split() or len(text) > canvas.TITLE
        assert drawn(figure)
    for figure in figures[2:4] + figures[5:7]:
        assert words(figure.axes[0])[0] == shown
    for figure in (figures[5], figures[7]):
        assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == [shown]


def test_letters_have_a_font_where_there_is_one():
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    installed = {font.name: font.fname for font in fontManager.ttflist}
    names = canvas.families()
    assert set(names) <= set(installed)
    assert "DejaVu Sans" in names  # comes with matplotlib
    figure = plot_function(tanh, n=5, title="값")
    assert figure._suptitle.get_fontfamily() == names
    if any(each in installed for each in ("Noto Sans CJK KR", "Noto Sans CJK JP", "NanumGothic", "Malgun Gothic")):
        assert any(get_font(installed[name]).get_char_index(ord("값")) for name in names)
    assert FontProperties(family=names).get_family() == names


def test_letters_without_a_font_warn_nowhere(monkeypatch):
    monkeypatch.setattr(canvas, "_FAMILIES", ("DejaVu Sans",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawn(plot_function(tanh, n=5, title="값"))
        assert drawn(plot_gradients([LayerGradient("값", 1.0, 1.0, 1.0, 1)]))


# ---- files, notebooks, bad input -------------------------------------------------------------------------------------


def test_save_and_show(tmp_path):
    for suffix, begins in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = tmp_path / f"a{suffix}"
        figure = plot_function(tanh, n=5, save=file)
        assert file.read_bytes().startswith(begins)
    assert isinstance(figure, matplotlib.figure.Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="xyz"):
        plot_function(tanh, n=5, save=tmp_path / "a.xyz")
    with pytest.raises(FileNotFoundError):
        plot_function(tanh, n=5, save=tmp_path / "no" / "a.png")


WAY = Trajectory([(1.0, 1.0), (0.5, 0.5)], [2.0, 1.0], [(1.0, 1.0)], [(0.5, 0.5)])
LAYERS = [LayerGradient("a", 1.0, 1.0, 1.0, 1)]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: plot_function({}), ValueError, "nothing to plot"),
        (lambda: plot_function(tanh, theme="auto"), ValueError, "theme='auto' is none of 'light', 'dark'"),
        (lambda: plot_function(tanh, title=3), TypeError, "title takes a str, got int"),
        (lambda: plot_history({"loss": [1.0]}, ["los"]), ValueError, "no column 'los'; there are loss"),
        (lambda: plot_history(History()), ValueError, "there is no epoch to plot"),
        (
            lambda: plot_history({str(k): [1.0] for k in range(9)}, [str(k) for k in range(9)]),
            ValueError,
            "9 series; at",
        ),
        (lambda: plot_fit({}), ValueError, "nothing to plot"),
        (lambda: plot_fit({"a": ([1], [1, 2])}), ValueError, r"'a' has 1 number\(s\) along x but 2 along y"),
        (lambda: plot_fit({str(k): ([1], [1]) for k in range(9)}), ValueError, "9 series; at most 8"),
        (lambda: plot_confusion([]), ValueError, "must be square"),
        (lambda: plot_confusion([[1, 2], [3]]), ValueError, "must be square"),
        (lambda: plot_confusion([[1, -2], [3, 1]]), ValueError, "below 0"),
        (lambda: plot_confusion([[1]], ["a", "b"]), ValueError, r"2 name\(s\) for 1 class"),
        (lambda: plot_paths(valley, {}), ValueError, "nothing to plot"),
        (lambda: plot_paths(valley, [1]), TypeError, "expected Trajectory, got list for 'path'"),
        (
            lambda: plot_paths(valley, WAY._replace(points=[(1.0,)])),
            ValueError,
            r"in 1 dimension\(s\); a plane has two",
        ),
        (lambda: plot_paths(lambda x, y: nan, WAY), ValueError, "no finite value here"),
        (lambda: plot_rates(WAY, names=["a"]), ValueError, r"1 name\(s\) for 2 coordinate\(s\)"),
        (lambda: plot_rates(WAY._replace(rates=[])), ValueError, "there is no step to plot"),
        (lambda: plot_rates({"a": WAY, "b": WAY._replace(points=[(1.0,)])}), ValueError, "same number of coordinates"),
        (lambda: plot_decision(sum, ([[1.0]], [0])), ValueError, r"the points have 1 features; a plane has two"),
        (
            lambda: plot_decision(sum, ([[k, k] for k in range(9)], list(range(9))), n=3),
            ValueError,
            "9 classes; at most",
        ),
        (lambda: plot_gradients(LAYERS, measure="mean"), ValueError, "measure='mean' is none of"),
        (lambda: plot_gradients({"a": LAYERS, "b": LAYERS * 2}), ValueError, "'b' has other layers"),
        (lambda: plot_gradients([]), ValueError, "has other layers than the first network, or none"),
    ],
)
def test_bad_plots(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("family", ["DejaVu Sans", "Liberation Sans", "Noto Sans CJK KR"])
def test_titles_and_names_are_as_long_as_there_is_room_in_any_font(family, monkeypatch):
    from matplotlib import font_manager

    if family not in {font.name for font in font_manager.fontManager.ttflist}:
        pytest.skip(f"{family} is not installed")
    monkeypatch.setattr("scalargrad.plots.canvas.families", lambda: [family])
    for title in ("WHAT MAKES A TITLE WIDE: MMM " * 6, "W" * 90, "a title"):
        figure = plot_function({"M" * 28: tanh, "b": exp}, title=title, x="momentum " * 9)
        figure.draw_without_rendering()
        extent = figure._suptitle.get_window_extent()
        assert extent.x0 >= 0.0
        assert extent.x1 <= figure.bbox.width
        for axes in figure.axes:
            for text in (axes._left_title, axes.xaxis.label):
                assert text.get_window_extent().width <= 1.02 * axes.bbox.width
        assert (figure._suptitle.get_fontsize() < 14.0) == (title != "a title")
