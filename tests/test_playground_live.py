"""The playground that trains in the page: the weights are those of `fit`, to the last bit, and every control does what
it says."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from functools import cache

import pytest

import scalargrad as sg
from scalargrad.cli import main as command
from scalargrad.drawing import Playground
from scalargrad.drawing.common.assets import asset
from scalargrad.drawing.playground import lab
from scalargrad.losses import mean_squared_error
from scalargrad.training import fit

from .test_playground import at, data_of, shown, text, two

from .test_playground import CONTRASTS  # isort: skip

node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@cache
def page_text():
    return Playground(two(), live=True).html()


@pytest.fixture
def visit(visit_page):
    return lambda **options: visit_page(page_text(), **{"viewport": {"width": 1400, "height": 900}} | options)


def in_node(tmp_path, asked):
    """What an expression in JavaScript gives, beside the page's programs and training.js."""
    programs, known = lab.programs()
    code = [programs, asset("playground/training.js"), f"const lab = {json.dumps(known)};"]
    (tmp_path / "asked.js").write_text("\n".join([*code, f"console.log(JSON.stringify({asked}));"]), encoding="utf-8")
    done = subprocess.run(["node", str(tmp_path / "asked.js")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fitted(choice, how, epochs):
    """The same training by `fit`, and the points."""
    names = list(lab.FEATURES)
    model, train, test = lab.prepared(
        choice["set"],
        noise=choice["noise"],
        share=choice["share"],
        features=[name for name, chosen in zip(names, choice["features"], strict=True) if chosen],
        hidden=lab.SHAPES[choice["shape"]],
        activation=choice["activation"],
        seed=choice["seed"],
    )
    optimizer = list(lab.OPTIMIZERS.values())[how["optimizer"]](
        model.parameters(), lr=how["rate"], weight_decay=how["l2"]
    )
    l1 = how["l1"]
    fit(
        model, train, mean_squared_error, optimizer, epochs, how["batch"], seed=choice["seed"], progress=False,
        penalty=(lambda ps: l1 * sg.sum([abs(p) for p in ps])) if l1 else None, compile=True, functions="polynomial",
    )  # fmt: skip
    return [p.data for p in model.parameters()], [[*x, t] for x, t in (*train, *test)]


TRAININGS = [
    ("circle", [0, 1], 2, "tanh", 0, 0.0, 0.5, "SGD", 10, 0.0, 0.0),
    ("spiral", [0, 1, 5, 6], 5, "relu", 3, 0.1, 0.5, "Adam", 7, 0.0, 0.001),
    ("gauss", [0, 1, 2], 1, "sigmoid", 7, 0.2, 0.3, "RMSProp", 150, 0.003, 0.0),
    ("xor", [0, 4], 4, "identity", 2**31 + 5, 0.0, 0.8, "Momentum", 1, 0.0, 0.01),
    ("circle", [2, 3], 0, "tanh", 1, 0.35, 0.1, "AdaGrad", 30, 0.0, 0.0),
]


@node
@pytest.mark.parametrize("case", TRAININGS, ids=[f"{each[0]}-{each[7]}" for each in TRAININGS])
def test_the_page_trains_as_fit_does(tmp_path, case):
    name, features, shape, activation, seed, noise, share, optimizer, batch, l1, l2 = case
    choice = {
        "set": name, "features": [k in features for k in range(len(lab.FEATURES))], "shape": shape,
        "activation": activation, "seed": seed, "noise": noise, "share": share,
    }  # fmt: skip
    how = {
        "optimizer": list(lab.OPTIMIZERS).index(optimizer), "rate": lab.RATES[optimizer], "batch": batch,
        "l1": l1, "l2": l2,
    }  # fmt: skip
    epochs = 5
    asked = (
        f"(() => {{ const t = trainingOf(lab, {json.dumps(choice)}); for (let k = 0; k < {epochs}; k += 1)"
        f" t.step({json.dumps(how)}); return [[...t.weights], t.rows]; }})()"
    )
    weights, rows = in_node(tmp_path, asked)
    expected, points = fitted(choice, how, epochs)
    assert rows == points
    assert weights == expected


def test_a_browser_trains_as_fit_does(browser):
    """The page's own scripts, alone, in Chromium."""
    programs, known = lab.programs()
    page = browser.new_page()
    page.add_script_tag(content=f"{programs}\n{asset('playground/training.js')}")
    choice = {
        "set": "spiral", "features": [k in (0, 1, 6) for k in range(7)], "shape": 4, "activation": "sigmoid", "seed": 9,
        "noise": 0.15, "share": 0.4,
    }  # fmt: skip
    how = {"optimizer": 4, "rate": 0.01, "batch": 16, "l1": 0.0001, "l2": 0.001}
    weights, rows = page.evaluate(
        "([lab, choice, how]) => { const t = trainingOf(lab, choice); for (let k = 0; k < 6; k += 1) t.step(how);"
        " return [[...t.weights], t.rows]; }",
        [known, choice, how],
    )
    page.close()
    assert (weights, rows) == fitted(choice, how, 6)


@node
def test_the_generator_is_pythons(tmp_path):
    seeds = [0, 1, 12345, 2**31 + 7, 2**32 - 1, (5 << 32) + 3, (2**32 - 1 << 32) + 77]
    words = [[n % 2**32, n >> 32][: 1 + (n >> 32 > 0)] for n in seeds]
    asked = f"{words}.map((each) => {{ const r = twister(each); return Array.from({{ length: 700 }}, () => r()); }})"
    for seed, found in zip(seeds, in_node(tmp_path, asked), strict=True):
        generator = random.Random(seed)
        assert found == [generator.random() for _ in range(700)]


@node
def test_powers_are_pythons(tmp_path):
    powers = "{ const of = powersOf(each); return Array.from({ length: 5000 }, (_, k) => of(k + 1)); }"
    asked = f"lab.betas.map((each) => {powers})"
    for (beta, _), found in zip(lab.programs()[1]["betas"], in_node(tmp_path, asked), strict=True):
        assert [1.0 - x for x in found] == [1.0 - beta**t for t in range(1, 5001)]


def test_the_choices_are_those_of_the_library():
    with pytest.raises(KeyError):
        lab.prepared("square")
    model, train, _ = lab.prepared(features=["x1"], hidden=[])
    assert model.sizes == [1]
    assert all(row[1:] == [0.0] * 6 for row in train.inputs)
    with pytest.raises(ValueError, match="give compile=True"):
        fit(model, train, mean_squared_error, lab.SGD(model.parameters()), 1, functions="polynomial", progress=False)
    with pytest.raises(ValueError, match="'library' or 'polynomial'"):
        fit(model, train, mean_squared_error, lab.SGD(model.parameters()), 1, functions="c", progress=False)


# ---- in a browser ----------------------------------------------------------------------------------------------------


def press(page, keys):
    page.locator("h1").click()
    for key in keys.split():
        page.keyboard.press(key)


def weights_of(page):
    """The weights of the frame that is shown, as the page's table tells them, neuron by neuron, the bias last."""
    cells = page.locator("#weights tbody tr").evaluate_all(
        "all => all.map((tr) => Array.from(tr.querySelectorAll('button'), (b) => b.textContent))"
    )
    return [float(text.rpartition(" ")[2].replace("−", "-")) for row in cells for text in row]


def near(x):
    return pytest.approx(x, rel=6e-3, abs=1e-12)


def test_it_trains_from_epoch_0_and_goes_back(visit):
    page = visit()
    assert at(page) == 0
    assert text(page, "#epoch") == "000"
    assert page.locator("#sets input").first.is_checked()
    press(page, "ArrowRight ArrowRight ArrowRight")
    assert (at(page), text(page, "#epoch")) == (3, "003")
    choice = {"set": "circle", "features": [True, True] + [False] * 5, "shape": 2, "activation": "tanh", "seed": 0}
    how = {"optimizer": 0, "rate": 0.03, "batch": 10, "l1": 0.0, "l2": 0.0}
    expected, _ = fitted(choice | {"noise": 0.0, "share": 0.5}, how, 3)
    drawn = [expected[8 * j + k] for j in range(4) for k in (0, 1, 7)] + expected[32:]
    assert weights_of(page) == [near(w) for w in drawn]
    after = [text(page, "#train-loss"), weights_of(page)]
    press(page, "Home")
    assert at(page) == 0
    press(page, "End")
    assert [text(page, "#train-loss"), weights_of(page)] == after
    page.locator("#lab-reset").click()
    assert (at(page), page.locator("#position").get_attribute("max")) == (0, "0")
    press(page, "PageUp")
    assert at(page) == 10
    page.locator("#speed").select_option("4")
    page.locator("#play").click()
    page.wait_for_timeout(600)
    page.locator("#play").click()
    assert at(page) > 11
    assert page.locator("#epochs tbody tr").count() == at(page) + 1


def test_every_choice_counts(visit):
    page = visit()
    page.locator("#lab-set").select_option(label="spiral")
    page.locator("#lab-noise").fill("0.2")
    page.locator("#lab-share").fill("0.7")
    assert (text(page, "#lab-noise-is"), text(page, "#lab-share-is")) == ("20 %", "70 %")
    page.locator("#lab-feature-5").check()
    page.locator("#lab-feature-1").uncheck()
    page.locator("#lab-shape").select_option(label="8")
    page.locator("#lab-activation").select_option(label="relu")
    page.locator("#lab-optimizer").select_option(label="Adam")
    assert page.locator("#lab-rate").input_value() == "0.01"
    page.locator("#lab-rate").fill("0.02")
    page.locator("#lab-batch").fill("25")
    page.locator("#lab-l1").select_option(label="0.001")
    page.locator("#lab-l2").select_option(label="0.01")
    page.locator("#lab-seed").fill("4")
    page.locator("#lab-seed").press("Tab")
    assert at(page) == 0
    assert page.locator("#train-wrong").inner_text().endswith("of 350 wrong")
    assert page.locator(".unit").count() == 2 + 8 + 1
    press(page, "ArrowRight ArrowRight")
    choice = {
        "set": "spiral", "noise": 0.2, "share": 0.7, "features": [k in (0, 5) for k in range(7)], "shape": 3,
        "activation": "relu", "seed": 4,
    }  # fmt: skip
    expected, _ = fitted(choice, {"optimizer": 4, "rate": 0.02, "batch": 25, "l1": 0.001, "l2": 0.01}, 2)
    drawn = [expected[8 * j + k] for j in range(8) for k in (0, 5, 7)] + expected[64:]
    assert weights_of(page) == [near(w) for w in drawn]
    page.locator("#lab-feature-5").uncheck()
    page.locator("#lab-feature-0").click()  # one must stay
    assert page.locator("#lab-feature-0").is_checked()


def test_a_weight_is_pulled_and_training_goes_on_from_there(visit):
    page = visit()
    press(page, "ArrowRight ArrowRight")
    loss = text(page, "#train-loss")
    assert page.locator("#pull").is_hidden()
    page.locator("#lines .hit").nth(1).dispatch_event("click")
    name = text(page, "#pull-name").replace("\n", "")
    assert name == "weight to a1 from x2"
    page.locator("#pull-number").fill("3.5")
    assert page.locator("#pull-slider").input_value() == "3.5"
    assert weights_of(page)[1] == 3.5
    assert text(page, "#train-loss") != loss
    assert at(page) == 2
    page.locator("#position").fill("1")
    page.locator("#weights button").nth(2).click()  # by keyboard, too: the bias of a1
    assert page.locator("#pull-number").evaluate("el => el === document.activeElement")
    page.locator("#pull-number").fill("-1")
    assert (at(page), page.locator("#position").get_attribute("max")) == (1, "1")  # what came after is forgotten
    assert weights_of(page)[2] == -1.0
    page.locator("#pull-done").click()
    press(page, "ArrowRight")
    assert (at(page), page.locator("#pull").is_hidden()) == (2, True)
    page.locator("#lines .hit").nth(0).dispatch_event("click")
    press(page, "Escape")
    assert page.locator("#pull").is_hidden()


def test_the_backward_pass_of_one_sample(visit):
    page = visit()
    page.locator("#lab-shape").select_option(label="none")
    press(page, "ArrowRight")
    page.locator("#lab-pass").check()
    page.locator("#lab-after").click()
    told = text(page, "#told").replace("\n", "")
    k, target, y, loss = re.match(
        r"Sample (\d+), target (\S+): y = (\S+), loss \(.*\)² = (\S+?)\. Lines", told
    ).groups()
    model, train, _ = lab.prepared(hidden=())
    fit(
        model, train, mean_squared_error, lab.SGD(model.parameters(), lr=0.03), 1, 10, compile=True, progress=False,
        functions="polynomial",
    )  # fmt: skip
    x, t = train[int(k) - 1]
    for p in model.parameters():
        p.zero_grad()
    out = model(x)
    error = (out - t) ** 2
    error.backward()
    assert (k, target, loss) == ("2", shown(t), shown(error.data))
    assert y == shown(out.data)
    bias = model.parameters()[7]
    assert page.locator(".unit .value").last.inner_text() == f"{shown(out.data)}, δ {shown(bias.grad)}"
    page.locator("#lines .hit").nth(1).dispatch_event("pointerenter")
    gradient = model.parameters()[1].grad
    assert text(page, "#told").replace("\n", "") == f"∂loss/∂weight to y from x2: {shown(gradient)}"
    assert ("pos" if gradient > 0 else "neg") in page.locator("#lines path:not(.hit)").nth(1).get_attribute("class")
    page.locator("#plane").click(position={"x": 40, "y": 40})
    assert text(page, "#told").startswith("Sample ")
    page.locator("#lab-pass").uncheck()
    assert text(page, "#told").startswith("y = tanh(")


def test_recordings_stay_as_presets(visit):
    page = visit()
    page.locator("#sets label").nth(1).click()
    assert text(page, "#epoch") == "012"
    assert page.locator("#lab").is_hidden()
    assert page.locator("#forward").get_attribute("aria-disabled") == "true"
    page.locator("#lines .hit").first.dispatch_event("click")
    assert page.locator("#pull").is_hidden()
    page.locator("#sets label").first.click()
    assert page.locator("#lab").is_visible()


def test_a_rate_that_is_too_large_is_told(visit):
    page = visit()
    page.locator("#lab-activation").select_option(label="identity")
    page.locator("#lab-rate").fill("1e308")
    press(page, "ArrowRight ArrowRight ArrowRight")
    assert "left the range of numbers" in text(page, "#note")
    assert not page.locator("html.playing").count()
    assert text(page, "#train-wrong") == "250 of 250 wrong"  # nan is no class


def test_a_field_says_what_is_taken(visit):
    page = visit()
    for field, entered, taken in [
        ("rate", "-1", "0"), ("rate", "", "0"), ("batch", "1000", "500"), ("batch", "", "1"), ("batch", "2.6", "3"),
        ("seed", "-5", "0"), ("seed", "1e20", "4294967295"),
    ]:  # fmt: skip
        page.locator(f"#lab-{field}").fill(entered)
        page.locator(f"#lab-{field}").blur()
        assert page.locator(f"#lab-{field}").input_value() == taken


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(visit, scheme):
    page = visit(color_scheme=scheme)
    page.locator("#lines .hit").first.dispatch_event("click")
    page.locator("#lab-pass").check()
    seen, bad = page.evaluate(CONTRASTS)
    assert seen > 60
    assert not bad


def test_everything_has_a_name_and_fits(visit):
    for width in (390, 700, 1400):
        page = visit(viewport={"width": width, "height": 844})
        page.locator("#lab-feature-6").check()
        page.locator("#lines .hit").first.dispatch_event("click")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        unnamed = page.locator("#lab :is(input, select, button), #pull :is(input, button)").evaluate_all(
            "all => all.filter((e) => !e.labels?.length && !e.ariaLabel && !e.textContent.trim()).map((e) => e.id)"
        )
        assert unnamed == []


def test_the_page_is_one_file_that_allows_only_itself():
    page = page_text()
    assert "unsafe" not in page
    assert len(data_of(page)) == 2
    assert len(page) < 600_000
    assert Playground(live=True).html().count('id="lab-data"') == 1
    with pytest.raises(ValueError, match="live=True"):
        Playground()
    with pytest.raises(TypeError, match="live takes True or False"):
        Playground(two(), live=1)


def test_the_command_writes_and_opens_it(monkeypatch, tmp_path, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or True)
    file = tmp_path / "page.html"
    assert command.main(["playground", "-o", str(file)]) == 0
    assert opened == [file.as_uri()]
    assert 'id="lab-data"' in file.read_text(encoding="utf-8")
    assert command.main(["playground"]) == 0
    assert len(opened) == 2
    capsys.readouterr()
    for wrong, says in (
        (["--no-open"], "-o FILE"), (["-o", "page.svg"], "suffix .html"), (["--theem", "dark"], "--theme"),
        (["-o", str(tmp_path / "none" / "page.html")], "no folder"),
    ):  # fmt: skip
        assert command.main(["playground", *wrong]) in (1, 2)
        assert says in capsys.readouterr().err
    assert command.main(["playground + 1", "playground=3"]) == 0
    assert "4.0" in capsys.readouterr().out
