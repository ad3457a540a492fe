"""The playground: what is recorded, what the page holds, and, in a browser, that it computes and shows just that."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import time
import webbrowser
from base64 import b64decode, b64encode
from functools import cache, partial
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import pytest

from scalargrad import activations
from scalargrad.data import Dataset, circle, iris, spiral, xor
from scalargrad.drawing import Playground, Recording
from scalargrad.drawing.common import assets as parts
from scalargrad.drawing.playground import html
from scalargrad.engine.primitive import as_float
from scalargrad.losses import binary_cross_entropy_with_logits, mean_squared_error
from scalargrad.nn import MLP, Dropout, Module
from scalargrad.optim import SGD
from scalargrad.training import fit

PLAYED = sorted(set(activations.__all__) - {"softmax", "log_softmax", "activation"})

FOLDER = Path(html.__file__).parent
OXLINT = Path(sys.executable).parent / "oxlint"
HOSTILE = "</script><script>document.title='gone'</script> {{script}} & \u2028 <img src=x onerror=alert(1)>"


def half(predictions, targets):
    return mean_squared_error(predictions, targets) / 2.0


def trained(data, sizes=(4, 2, 1), epochs=6, every=1, **options):
    train, test = data.split(0.5)
    model = MLP(2, list(sizes), activation="tanh", output="tanh")
    recording = Recording(model, train, test, loss=half, every=every, **options)
    optimizer = SGD(model.parameters(), lr=0.03)
    history = fit(model, train, half, optimizer, epochs, 10, validation=test, callbacks=[recording], progress=False)
    return recording, model, history


@cache
def two():
    """Two recordings: the circle, and of the spiral every other epoch."""
    return (
        trained(circle(60), name="circle", note="A disc in a ring.", epochs=12)[0],
        trained(spiral(40), (3, 1), name="spiral", every=2, epochs=5)[0],
    )


def data_of(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def doubles(text):
    raw = b64decode(text)
    return list(struct.unpack(f"<{len(raw) // 8}d", raw))


# ---- recording -------------------------------------------------------------------------------------------------------


def test_it_keeps_the_weights_and_the_losses_of_every_epoch():
    recording, model, history = trained(circle(60), name="circle")
    assert [s.epoch for s in recording.snapshots] == [0, 1, 2, 3, 4, 5, 6]
    assert [s.test_loss for s in recording.snapshots[1:]] == history["validation_loss"]
    last = recording.snapshots[-1]
    assert sorted(last.weights) == sorted(p.data for p in model.parameters())
    assert last.train_loss == half([model.predict(x) for x in recording.train.inputs], recording.train.targets)
    fresh = MLP(2, [4, 2, 1], activation="tanh", output="tanh")
    assert sorted(recording.snapshots[0].weights) == sorted(p.data for p in fresh.parameters())
    assert repr(recording) == "<Recording of circle: network 2-4-2-1, epochs 0 to 6>"


def test_every_few_epochs_and_the_last():
    assert [s.epoch for s in trained(circle(20), every=4)[0].snapshots] == [0, 4, 6]

    def stops(training):
        if training.epoch == 2:
            training.stop()

    model = MLP(2, [2, 1], activation="tanh")
    recording = Recording(model, circle(20), loss=half, every=5)
    optimizer = SGD(model.parameters(), lr=0.03)
    fit(model, circle(20), half, optimizer, 9, callbacks=[stops, recording], progress=False)
    assert [s.epoch for s in recording.snapshots] == [0, 3]


def test_recording_does_not_change_the_training():
    _, model, history = trained(circle(60))
    train, test = circle(60).split(0.5)
    other = MLP(2, [4, 2, 1], activation="tanh", output="tanh")
    optimizer = SGD(other.parameters(), lr=0.03)
    assert fit(other, train, half, optimizer, 6, 10, validation=test, progress=False) == history
    assert [p.data for p in other.parameters()] == [p.data for p in model.parameters()]


def frozen(x):
    """An activation that hides a number from whoever follows it."""
    return x * float(x)


def in_two_ways(x):
    return x if x > 0.25 else 0.5 * x


def with_all_activations():
    """A name, a model of two layers with that activation, and a recording of it, for all that the page can compute."""
    special = {
        "leaky_relu": partial(activations.leaky_relu, slope=0.3),
        "elu": partial(activations.elu, alpha=0.5),
        "softplus": partial(activations.softplus, beta=2.0),
        "hardtanh": partial(activations.hardtanh, low=-0.5, high=2.0),
    }
    for k, name in enumerate([*PLAYED, in_two_ways]):
        for each in (name, *([special[name]] if name in special else [])):
            model = MLP(2, [5, 3, 1], activation=each, output=each, seed=k)
            for i, p in enumerate(model.parameters()):
                p.data += 0.1 * (i % 3)
            yield name, model, Recording(model, xor(20), loss=mean_squared_error)


def test_it_gives_what_the_model_gives_with_every_activation():
    random = Random(1)
    for name, model, recording in with_all_activations():
        for _ in range(20):
            x = [random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)]
            assert recording.output(recording.snapshots[0], x) == as_float(model.predict(x), name), name


def test_dropout_is_no_part_of_what_is_played():
    model = MLP(2, [4, 1], activation="tanh", dropout=0.5)
    recording = Recording(model, xor(20), loss=half)
    assert recording.output(recording.snapshots[0], [1.0, 2.0]) == model.predict([1.0, 2.0])


def test_threshold_and_scale_are_those_of_the_targets():
    model = MLP(2, [2, 1], activation="tanh")
    recording = Recording(model, xor(20), loss=half)
    assert (recording.threshold, recording.scale) == (0.0, 1.0)
    recording = Recording(model, xor(20, labels=(0, 1)), loss=half)
    assert (recording.threshold, recording.scale) == (0.5, 0.5)
    recording = Recording(model, xor(20, labels=(0, 1)), loss=binary_cross_entropy_with_logits, threshold=0.0)
    assert (recording.threshold, recording.scale) == (0.0, 1.0)
    expected = [recording.model.predict(x) > 0.0 for x in recording.train.inputs]
    wrong = sum(p != (t == 1) for p, t in zip(expected, recording.train.targets, strict=True))
    assert recording.wrong(recording.snapshots[0], recording.train) == wrong


def test_the_region_holds_every_point():
    train, test = Dataset([[0.0, 1.0], [4.0, 3.0]], [0, 1]), Dataset([[-6.0, 2.0]], [1])
    recording = Recording(MLP(2, [1]), train, test, loss=half)
    assert [x for side in recording.region for x in side] == pytest.approx([-6.5, 4.5, -3.5, 7.5])
    region = ((-1.0, 1.0), (0.0, 3.0))
    assert Recording(MLP(2, [1]), train, loss=half, region=region).region == region


class Twice(Module):
    def __init__(self):
        self.inner = MLP(2, [3, 1], activation="tanh", seed=1)

    def __call__(self, inputs):
        return 2.0 * self.inner(inputs)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (
            lambda d: Recording(MLP(3, [1]), d, loss=half),
            ValueError,
            "two inputs and one output is played, got 3 and 1",
        ),
        (lambda d: Recording(MLP(2, [3]), d, loss=half), ValueError, "got 2 and 3"),
        (lambda d: Recording(MLP(2, [17, 1]), d, loss=half), ValueError, "at most 8 layers of at most 16 neurons"),
        (lambda d: Recording(MLP(2, [2] * 8 + [1]), d, loss=half), ValueError, "got 2-2-2-2-2-2-2-2-2-1"),
        (lambda d: Recording(MLP(2, [2, 1], frozen), d, loss=half), ValueError, "cannot compute frozen"),
        (lambda d: Recording(Twice(), d, loss=half), ValueError, "only a network that is nothing but its layers"),
        (lambda d: Recording(Dropout(0.5), d, loss=half), TypeError, "has no layers"),
        (lambda d: Recording(MLP(2, [1]), iris(), loss=half), ValueError, "4 coordinate"),
        (lambda d: Recording(MLP(2, [1]), d.inputs, loss=half), TypeError, "train is a Dataset, or a pair"),
        (lambda d: Recording(MLP(2, [1]), d, d.one_hot(), loss=half), TypeError, "target 0 of test"),
        (lambda d: Recording(MLP(2, [1]), ([[1.0, 2.0]], [1.0]), loss=half), ValueError, "nothing to decide"),
        (lambda d: Recording(MLP(2, [1]), ([[1.0, float("nan")]], [1.0]), loss=half), ValueError, "not finite"),
        (lambda d: Recording(MLP(2, [1]), d, loss=half, every=0), ValueError, "every must be"),
        (lambda d: Recording(MLP(2, [1]), d, loss=half, name=3), TypeError, "name takes a str"),
        (lambda d: Recording(MLP(2, [1]), d, loss=half, region=((1, 0), (0, 1))), ValueError, "low must be below"),
        (lambda d: Recording(MLP(2, [1]), d, loss=half, region=3), ValueError, "region is"),
        (lambda d: Recording(MLP(2, [1]), d, loss=half).take(0), ValueError, "epoch 0 is kept already"),
        (lambda d: Playground([]), ValueError, "no recording"),
        (lambda d: Playground([d]), TypeError, "expected a Recording at position 0, got Dataset"),
        (lambda d: Playground(two(), theme="blue"), ValueError, "theme='blue' is none of"),
        (lambda d: Playground(two(), title=None), TypeError, "title takes a str"),
        (lambda d: Playground(two()).save("a.svg"), ValueError, "names no form"),
        (lambda d: Playground(two()).save("/no/such/folder/a.html"), FileNotFoundError, "make it first"),
    ],
)
def test_what_cannot_be_played_is_told(make, error, said):
    with pytest.raises(error, match=re.escape(said)):
        make(xor(20))


# ---- the page as text ------------------------------------------------------------------------------------------------


def test_the_page_holds_the_numbers_bit_for_bit():
    told = data_of(Playground(two()).html())
    for each, recording in zip(told, two(), strict=True):
        assert doubles(each["weights"]) == [w for s in recording.snapshots for w in s.weights]
        assert doubles(each["trainLoss"]) == [s.train_loss for s in recording.snapshots]
        assert doubles(each["testLoss"]) == [s.test_loss for s in recording.snapshots]
        assert doubles(each["train"]) == [x for row, t in recording.train for x in (*row, t)]
        assert doubles(each["test"]) == [x for row, t in recording.test for x in (*row, t)]
        assert each["epochs"] == [s.epoch for s in recording.snapshots]
    assert told[1]["epochs"] == [0, 2, 4, 5]
    assert told[0]["note"] == "A disc in a ring."


def test_what_it_came_to_is_told_without_a_script():
    recording = two()[0]
    page, last = Playground(recording).html(), recording.snapshots[-1]
    wrong = recording.wrong(last, recording.test)
    assert f"circle: after epoch 12, test loss {last.test_loss:.3g}, {wrong} of 30 points wrong." in page
    alone = Recording(MLP(2, [1], init="zeros"), xor(20), loss=half)
    assert "A network: after epoch 0, training loss 0.5, " in Playground(alone).html()


class Parts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts, self.policy, self.links, self.ids = {"script": [], "style": []}, "", [], []
        self.inside = None

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        assert not [name for name in given if name.startswith("on") or name == "style"]
        self.ids += [given["id"]] if "id" in given else []
        self.links += [value for name, value in given.items() if name in ("src", "href")]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag in self.texts and given.get("type") != "application/json":
            self.inside = tag
            self.texts[tag].append("")

    def handle_data(self, text):
        if self.inside:
            self.texts[self.inside][-1] += text

    def handle_endtag(self, tag):
        self.inside = None


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_one_file_that_asks_for_nothing(theme):
    page = Playground(two(), theme=theme).html()
    found = Parts()
    found.feed(page)
    assert found.links == ["#tables"]
    assert len(found.ids) == len(set(found.ids))
    assert found.policy.startswith("default-src 'none'; ")
    assert len(found.texts["script"]) == 1
    for text in found.texts["script"] + found.texts["style"]:
        assert f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in found.policy
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert f'data-theme="{theme}"' in page
    assert f'<style id="dark" media="{parts.MEDIA[theme]}">' in page
    assert len(page) < 70_000


def test_names_and_notes_are_text_and_nothing_else():
    model = MLP(2, [1])
    data = Dataset([[0.0, 1.0], [1.0, 0.0]], [0, 1], feature_names=("<b>", "{{script}}"))
    page = Playground(Recording(model, data, loss=half, name=HOSTILE, note=HOSTILE), title=HOSTILE).html()
    found = Parts()
    found.feed(page)
    assert len(found.texts["script"]) == 1
    assert "<img" not in page
    assert data_of(page)[0]["note"].startswith("</script><script>document.title")


def test_the_same_recording_gives_the_same_page(tmp_path):
    made = Playground(two())
    assert made.save(tmp_path / "a.html") is made
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == Playground(two()).html()


def test_show_writes_a_page_and_opens_it(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = Playground(two()).show()
    assert opened == [file.as_uri()]
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_scripts_are_whole_and_only_their_spaces_are_taken_out():
    texts = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`')
    there = {
        f"{path.parent.name}/{path.stem}"
        for name in ("common", "playground")
        for path in (FOLDER.parent / name).glob("*.js")
    }
    assert sorted(html.SCRIPTS) == sorted(there)
    for name in html.SCRIPTS:
        source = (FOLDER.parent / f"{name}.js").read_text(encoding="utf-8")
        lines = [re.sub(" // .*", "", line.strip()) for line in source.splitlines()]
        source = "\n".join(line for line in lines if not line.startswith(("//", "/*")))
        for text in texts.findall(source):
            assert text.count("${") == text.count("}"), f"{name}.js: {text}"
        made = parts.asset(f"{name}.js")
        assert texts.findall(made) == texts.findall(source)
        assert re.sub(r"\s", "", made) == re.sub(r"\s", "", source)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_scripts_are_javascript(tmp_path):
    (tmp_path / "page.js").write_text(parts.script(html.SCRIPTS), encoding="utf-8")
    subprocess.run(["node", "--check", str(tmp_path / "page.js")], check=True)


def test_the_checks_lint_every_script():
    run = (Path(__file__).parent.parent / ".ci" / "run").read_text(encoding="utf-8")
    own = ",".join(name.partition("/")[2] for name in html.SCRIPTS if name.startswith("playground/"))
    assert f"drawing && cat common/{{elements,numbers}}.js playground/{{{own}}}.js" in run


@pytest.mark.skipif(not OXLINT.exists(), reason="oxlint is not installed")
def test_the_scripts_pass_the_lint_of_the_checks(tmp_path):
    """The very lines of .ci/run, up to the one that lints."""
    run = (FOLDER.parents[2] / ".ci" / "run").read_text(encoding="utf-8")
    lines = run[run.index("(cd scalargrad/drawing && cat") : run.index('"$work/dev/bin/oxlint"')]
    asked = f'{lines}"{OXLINT}" -c "$work/oxlint.json" "$work/page.mjs" "$work/playground.mjs"'
    told = subprocess.run(
        ["bash", "-ec", asked], cwd=FOLDER.parents[2], env={"work": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout


CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255);
  const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const light = (colour) => channels(colour).reduce((sum, x, k) => sum + [0.2126, 0.7152, 0.0722][k] * linear(x), 0);
  const ground = (el) => {
    if (!el) return "rgb(255, 255, 255)";
    const colour = getComputedStyle(el).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? ground(el.parentElement) : colour;
  };
  const bad = [];
  let seen = 0;
  for (const el of document.querySelectorAll("body *:not(script, style, canvas, dialog *, noscript *)")) {
    const own = [...el.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !el.getClientRects().length) continue;
    const style = getComputedStyle(el);
    const both = [light(el.closest("svg") ? style.fill : style.color), light(ground(el))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    seen += 1;
    if (contrast < (el.closest(".bias") ? 3 : 4.5)) bad.push(`${el.tagName}.${el.className}: ${contrast}`);
  }
  return [seen, bad];
}"""

# ---- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture
def visit(visit_page):
    return lambda *recordings, **options: visit_page(Playground(recordings or two()).html(), **options)


def text(page, selector):
    return page.locator(selector).inner_text().strip()


def at(page):
    return int(page.locator("#position").input_value())


def shown(x):
    """A number as the page writes it."""
    digits = f"{x:.3g}"
    return digits.replace("-", "−")


def test_the_browser_computes_what_python_computes(browser):
    """The page's own script of formulas, alone, for every activation, on the bits that the page is given."""
    page = browser.new_page()
    page.add_script_tag(content=parts.asset("playground/numbers.js"))
    random = Random(2)
    for name, _, recording in with_all_activations():
        (told,) = data_of(Playground(recording).html())
        page.evaluate(f"{html._activations([recording], False)} globalThis.activations = activations;")
        points = [[random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)] for _ in range(30)]
        found = page.evaluate(
            "([set, points]) => { const [weights] = framesOf(set, doubles(set.weights));"
            " return points.map(([x, y]) => [...outputs(set, weights, x, y, new Float64Array(11))]) }",
            [told, points],
        )
        for x, numbers in zip(points, found, strict=True):
            expected = [*x, *(y for layer in recording.outputs(recording.snapshots[0], x) for y in layer)]
            assert numbers == pytest.approx(expected, rel=1e-12, abs=1e-12), name
    page.close()


def test_it_opens_on_the_last_epoch_with_its_losses(visit):
    page, recording = visit(), two()[0]
    assert page.title() == "Playground"
    for epoch in (12, 3, 0):
        page.locator("#position").fill(str(epoch)) if epoch != 12 else None
        snapshot = recording.snapshots[epoch]
        assert at(page) == epoch
        assert text(page, "#epoch") == f"{epoch:03}"
        assert float(text(page, "#train-loss")) == pytest.approx(snapshot.train_loss, rel=5.1e-3)
        assert float(text(page, "#test-loss")) == pytest.approx(snapshot.test_loss, rel=5.1e-3)
        assert text(page, "#train-wrong") == f"{recording.wrong(snapshot, recording.train)} of 30 wrong"
        assert text(page, "#test-wrong") == f"{recording.wrong(snapshot, recording.test)} of 30 wrong"
        assert page.locator("#position").get_attribute("aria-valuetext") == f"epoch {epoch} of 12"
        assert page.locator("#epochs tr[aria-current] button").inner_text() == str(epoch)
        assert text(page, "#weights-title") == f"Weights after epoch {epoch}"


def test_buttons_and_keys_move_as_they_say(visit):
    page = visit()
    for control, expected in (("back", 11), ("first", 0), ("back", 0), ("forward", 1), ("last", 12), ("forward", 12)):
        page.locator(f"#{control}").click(force=True)  # what does nothing is marked so, but keeps the focus
        assert at(page) == expected, control
    page.locator("h1").click()
    for key, expected in (
        ("Home", 0),
        ("ArrowRight", 1),
        ("PageUp", 11),
        ("ArrowLeft", 10),
        ("PageDown", 0),
        ("End", 12),
    ):
        page.keyboard.press(key)
        assert at(page) == expected, key
    page.locator('#epochs button:text-is("5")').click()
    assert at(page) == 5
    box = page.locator("#chart").bounding_box()
    page.mouse.click(box["x"] + 46, box["y"] + 50)
    assert at(page) == 0
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 50)
    page.mouse.up()
    assert at(page) == 12


def test_it_plays_to_the_end_and_again_from_the_beginning(visit):
    page = visit()
    page.locator("#speed").select_option("4")
    page.locator("#play").click()
    seen = set()
    until = time.monotonic() + 60.0  # machines are busy
    while time.monotonic() < until and page.locator("html.playing").count():
        seen.add(at(page))
        page.wait_for_timeout(20)
    assert page.locator("html.playing").count() == 0
    assert at(page) == 12
    assert len(seen) > 4
    page.locator("h1").click()
    page.keyboard.press(" ")
    assert page.locator("html.playing").count() == 1
    page.keyboard.press(" ")
    assert page.locator("html.playing").count() == 0


def test_a_neuron_has_its_own_map_and_formula(visit):
    page, recording = visit(), two()[0]
    weights = recording.snapshots[-1].weights
    pixels = "canvas => canvas.toDataURL()"
    plane = page.locator("#plane")
    page.locator("#show-train").uncheck()
    page.locator("#show-test").uncheck()
    output = plane.evaluate(pixels)
    neuron = page.locator(".unit").nth(3)  # behind x1, x2: the second of layer 1
    neuron.focus()
    assert text(page, "#shown").replace("\n", "") == "Neuron a2"
    w1, w2, b = (f"{'−' if w < 0.0 else '+'} {shown(abs(w))}" for w in weights[3:6])
    first = w1.replace("+ ", "").replace("− ", "−")
    formula = f"a2 = tanh({first} x1 {w2} x2 {b})"
    assert text(page, "#told").replace("\n", "") == formula
    assert neuron.get_attribute("aria-label") == f"Layer 1: {formula}"
    assert plane.evaluate(pixels) != output
    neuron.evaluate("button => button.blur()")
    assert text(page, "#shown") == "The output y"
    assert plane.evaluate(pixels) == output
    neuron.hover()
    assert text(page, "#shown").replace("\n", "") == "Neuron a2"
    neuron.click()
    page.locator("h1").hover()
    page.locator("h1").click()
    assert neuron.get_attribute("aria-pressed") == "true"
    assert text(page, "#shown").replace("\n", "") == "Neuron a2"
    page.keyboard.press("Escape")
    assert neuron.get_attribute("aria-pressed") == "false"
    assert text(page, "#shown") == "The output y"


def test_the_map_is_blue_above_and_orange_below(visit):
    """The large map's pixels against the network's own output, away from where it changes."""
    page, recording = visit(), two()[0]
    page.locator("#show-train").uncheck()
    page.locator("#show-test").uncheck()
    (left, right), (bottom, top) = recording.region
    pixels = page.locator("#plane").evaluate(
        """(canvas) => {
          const n = canvas.width;
          const { data } = canvas.getContext("2d").getImageData(0, 0, n, n);
          const pixel = (s, t) => 4 * (Math.round(s * (n - 1)) + n * Math.round(t * (n - 1)));
          const colour = (at) => [...data.subarray(at, at + 3)];
          const eighths = [1, 2, 3, 4, 5, 6, 7].map((k) => k / 8);
          return eighths.map((t) => eighths.map((s) => colour(pixel(s, t))));
        }"""
    )
    compared = 0
    for j, row in enumerate(pixels, 1):
        for i, (red, _, blue) in enumerate(row, 1):
            x = [left + (right - left) * i / 8, top - (top - bottom) * j / 8]
            y = recording.output(recording.snapshots[-1], x)
            if abs(y) > 0.15:
                assert (blue > red) == (y > 0.0), (x, y)
                compared += 1
    assert compared > 25


def test_a_point_of_the_plane_gives_every_neurons_value(visit):
    page, recording = visit(), two()[0]
    page.locator("#plane").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    (left, right), (bottom, top) = recording.region
    x = [(left + right) / 2 + (right - left) / 44, (bottom + top) / 2 + (top - bottom) / 44]
    y = recording.output(recording.snapshots[-1], x)
    assert text(page, "#asked").replace("\n", "") == f"At x1 = {shown(x[0])}, x2 = {shown(x[1])}: y = {shown(y)}"
    read_out = page.locator("#live").filter(has_text=f"y = {shown(y)}")
    read_out.wait_for(state="attached", timeout=20_000)
    assert read_out.inner_text() == text(page, "#asked").replace("\n", "")
    layers = recording.outputs(recording.snapshots[-1], x)
    expected = [shown(v) for v in (*x, *(v for layer in layers for v in layer))]
    assert page.locator(".value").all_inner_texts() == expected
    assert at(page) == 12
    page.keyboard.press("Escape")
    assert set(page.locator(".value").all_inner_texts()) == {""}
    page.locator("#plane").hover()
    assert text(page, "#asked").startswith("At x")


def test_another_set_can_be_chosen(visit):
    page, recording = visit(), two()[1]
    page.locator("#sets input").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#position").get_attribute("max") == "3"
    assert text(page, "#epoch") == "005"
    assert page.locator(".unit").count() == 6
    assert page.locator("#lines path:not(.hit)").count() == 9
    assert page.locator("#epochs tbody tr").count() == 4
    last = recording.snapshots[-1]
    assert text(page, "#test-wrong") == f"{recording.wrong(last, recording.test)} of 20 wrong"
    signs = [page.locator(f"#lines path.{kind}").count() for kind in ("pos", "neg")]
    weights = [w for k, w in enumerate(last.weights) if k not in (2, 5, 8, 12)]
    assert signs == [sum(w > 0.0 for w in weights), sum(w < 0.0 for w in weights)]


def test_the_tables_tell_all_weights(visit):
    page, recording = visit(), two()[0]
    rows = [" ".join(row.split()) for row in page.locator("#weights tbody tr").all_inner_texts()]
    weights = [shown(w) for w in recording.snapshots[-1].weights]
    assert rows[0] == f"a1 Layer 1 x1: {weights[0]} x2: {weights[1]} {weights[2]}"
    assert rows[-1] == f"y Output b1: {weights[-3]} b2: {weights[-2]} {weights[-1]}"
    assert len(rows) == 7


def test_one_recording_without_test_points(visit):
    model = MLP(2, [3, 1], activation="relu", output="sigmoid")
    page = visit(Recording(model, xor(20, labels=(0, 1)), loss=half))
    assert not page.locator("#sets").is_visible()
    assert not page.locator(".losses .test").is_visible()
    assert page.locator("#epochs td").all_inner_texts()[2] == "—"
    assert [text(page, "#low"), text(page, "#high")] == ["0", "1"]
    assert at(page) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(visit, scheme):
    """Contrast by WCAG 2: at least 4.5 for every text of the page, in both themes."""
    page = visit(color_scheme=scheme)
    for _ in range(2):
        seen, bad = page.evaluate(CONTRASTS)
        assert seen > 60
        assert bad == []
        page.keyboard.press("t")


def test_everything_has_a_name_and_can_be_reached_by_keys(visit):
    page = visit()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a[href]")].filter((el) =>
          !(el.getAttribute("aria-label") || el.textContent.trim() || el.labels?.[0]?.textContent.trim()))
          .map((el) => el.outerHTML)"""
    )
    assert nameless == []
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
    assert {"play", "position", "speed", "plane", "log", "show-test", "theme"} <= reached
    assert sum(each is not None and each.startswith(("Layer", "Inputs", "Output")) for each in reached) == 9


def test_a_small_window_shows_all_without_scrolling_sideways(visit):
    page = visit(viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = page.locator(".unit").evaluate_all("els => els.map((el) => el.getBoundingClientRect().toJSON())")
    for i, a in enumerate(boxes):
        assert a["left"] >= 0
        assert a["right"] <= 390
        for b in boxes[:i]:
            apart = (
                a["left"] >= b["right"] or b["left"] >= a["right"] or a["top"] >= b["bottom"] or b["top"] >= a["bottom"]
            )
            assert apart


def test_a_training_that_explodes_is_shown_as_far_as_it_goes(visit):
    model = MLP(2, [2, 1], activation="relu", output="identity")
    recording = Recording(model, xor(20), xor(20, seed=1), loss=half)
    for epoch, weight in ((1, 1e200), (2, float("inf")), (3, float("nan"))):
        for p in model.parameters():
            p.data = weight
        recording.take(epoch)
    page = visit(recording)
    assert [text(page, "#train-loss"), text(page, "#test-loss")] == ["⚠ nan", "⚠ nan"]
    page.locator("#log").check()
    for epoch in (2, 1, 0):
        page.keyboard.press("Home") if epoch == 0 else page.locator("#position").fill(str(epoch))
        page.locator(".unit").nth(2).hover()
        assert text(page, "#shown").replace("\n", "") == "Neuron a1"
    p = MLP(2, [1])
    p.parameters()[0].data = 1e200
    alone = Recording(p, xor(20), loss=half)
    assert alone.snapshots[0].train_loss == float("inf")
    assert text(visit(alone), "#train-loss") == "⚠ inf"


def test_a_long_formula_moves_nothing(visit):
    model = MLP(2, [16, 16, 1], activation="tanh")
    page = visit(Recording(model, xor(20), loss=half), viewport={"width": 1100, "height": 720})
    places = "els => els.map((el) => [el.getBoundingClientRect().x, el.getBoundingClientRect().y])"
    before = page.locator(".unit").evaluate_all(places)
    page.locator(".unit").nth(20).focus()
    assert len(text(page, "#told")) > 150
    assert page.locator(".unit").evaluate_all(places) == before


def test_a_notebook_shows_the_page_in_a_frame(visit_page):
    page = visit_page(f"<!doctype html><title>notebook</title>{Playground(two())._repr_html_()}")
    frame = page.frame_locator("iframe")
    assert frame.locator("#epoch").inner_text() == "012"
    frame.locator("#first").click()
    assert frame.locator("#epoch").inner_text() == "000"
