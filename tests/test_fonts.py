"""Text fits its box on any font: pictures, pages and plots in a Chromium that has some fonts only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import scalargrad as sg
from scalargrad import Value, draw
from scalargrad.drawing import draw_network
from scalargrad.nn import MLP

from .conftest import chromium

WANTED = {
    "DejaVu": (("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"), "DejaVu Sans"),  # without the condensed one
    "Liberation": (("LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf"), "Liberation Sans"),
    "Nanum": (("NanumGothic.ttf", "NanumGothicBold.ttf"), "Korean"),
}


def font_files(names):
    """Files of these names in the fonts of the system and of koreanize-matplotlib."""
    found = {}
    if shutil.which("fc-list"):
        listed = subprocess.run(["fc-list", "--format", "%{file}\n"], capture_output=True, text=True, check=True).stdout
        found |= {Path(line).name: Path(line) for line in listed.splitlines()}
    try:
        package = distribution("koreanize-matplotlib")
        found |= {f.name: Path(str(package.locate_file(f))) for f in package.files or () if f.suffix == ".ttf"}
    except PackageNotFoundError:
        pass
    return [found[name] for name in names if name in found]


@pytest.fixture(scope="module", params=WANTED)
def page(request, tmp_path_factory):
    """A page of a Chromium that has these fonts alone."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names, kind = WANTED[request.param]
    files = font_files(names)
    if chromium() is None:
        pytest.skip("no Chromium is installed")
    if len(files) < len(names):
        pytest.skip(f"no {kind} font is installed")
    folder = tmp_path_factory.mktemp(request.param)
    for file in files:
        shutil.copy(file, folder)
    (folder / "fonts.conf").write_text(
        f"<fontconfig><dir>{folder}</dir><cachedir>{folder}/cache</cachedir></fontconfig>", encoding="utf-8"
    )
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox"],
            env={**os.environ, "FONTCONFIG_FILE": str(folder / "fonts.conf")},
        )
        yield made.new_page(viewport={"width": 1400, "height": 900})
        made.close()


def chain_rule():
    a, b = Value(2.123456, label="가중치"), Value(-3.5, label="WEIGHT_MW[2,1]")
    y = sg.tanh(a * b + a * 0.123456) * Value(0.98765, label="θ1[12,3]") + a
    y.label = "Ergebnis"
    y.backward()
    return y


def network():
    y = MLP(2, [3, 2, 1], "tanh", seed=1)([Value(0.5, label="x1"), Value(-1.0, label="x2")])
    y.backward()
    return y


def repeated():
    y, w = Value(0.5, label="y0"), Value(0.9, label="momentum w")
    for _ in range(40):
        y = sg.tanh(y * w)
    y.backward()
    return y


PICTURES = {
    "graph": lambda: draw(chain_rule(), title="WHAT MAKES A WIDE TITLE: MMM 가중치 " + "wide " * 8, labels="full"),
    "network as a graph": lambda: draw(network()),
    "recurrence": lambda: draw(repeated()),
    "network by layer": lambda: draw_network(
        MLP(2, [3, 1], "tanh", seed=1), inputs=[-0.123, 1.25], input_names=["Wärme MW", "Wind MW"]
    ),
}
# How far, in pixels, any text is beyond the box that it stands in: its node's or unit's, else the picture's; and how
# far any two items of the legend are one over the other.
BEYOND = """(root) => {
  let worst = [0, ""];
  const note = (by, text) => { if (by > worst[0]) worst = [by, text]; };
  const page = (root.querySelector(".page") || root).getBoundingClientRect();
  const of = (el) => {
    const holder = el.closest(".node:not(.constant), .unit");
    return el.matches(".b, .s, .left, .right") || !holder ? null : holder.querySelector("rect:not(.o)");
  };
  for (const el of root.querySelectorAll("text")) {
    const [box, room] = [el.getBoundingClientRect(), of(el) ? of(el).getBoundingClientRect() : page];
    note(Math.max(room.left - box.left, box.right - room.right), el.textContent);
  }
  const items = Array.from(root.querySelectorAll(".legend text"), (el) => [el.getBoundingClientRect(), el.textContent]);
  items.forEach(([a, text], k) => items.slice(k + 1).forEach(([b]) => {
    if (a.top < b.bottom - 4 && b.top < a.bottom - 4) note(Math.min(a.right - b.left, b.right - a.left), text);
  }));
  return worst;
}"""
ROWS = """(root) => {
  let worst = [0, ""];
  for (const value of root.querySelectorAll(".node .v")) {
    const by = value.previousElementSibling.getBoundingClientRect().right - value.getBoundingClientRect().left;
    if (by > worst[0]) worst = [by, value.textContent];
  }
  return worst;
}"""


@pytest.mark.parametrize("kind", PICTURES)
def test_text_fits_its_box(kind, page):
    svg = PICTURES[kind]().svg()
    page.set_content(f"<body style='margin:0'>{svg}</body>")
    for measure in (BEYOND, ROWS):
        by, text = page.locator("svg").evaluate(measure)
        assert by <= 1.0, text


def test_images_are_set_in_the_one_font_of_the_system(tmp_path, monkeypatch):
    pytest.importorskip("typst", reason="typst is not installed")
    files = font_files(WANTED["DejaVu"][0])
    if len(files) < 2:
        pytest.skip("no DejaVu Sans is installed")
    for file in files:
        shutil.copy(file, tmp_path)
    (tmp_path / "fonts.conf").write_text(f"<fontconfig><dir>{tmp_path}</dir></fontconfig>", encoding="utf-8")
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    y = Value(2.0, label="momentum") * 3.0
    draw(y).save(tmp_path / "y.pdf")
    used = set(re.findall(rb"/FontName/\w+\+([\w-]+)", (tmp_path / "y.pdf").read_bytes()))
    assert used == {b"DejaVuSans", b"DejaVuSans-Bold"}


def test_without_their_lengths_texts_would_not_fit(page, request):
    if "DejaVu" not in request.node.name:
        pytest.skip("a font as wide as ours")
    y = Value(2.0, label="the momentum of a warm morning") * 3.0
    svg = draw(y).svg()
    page.set_content(f"<body style='margin:0'>{svg}</body>")
    assert page.locator("svg").evaluate(BEYOND)[0] <= 1.0
    svg = re.sub(' textLength="[^"]*" lengthAdjust="[^"]*"', "", svg)
    page.set_content(f"<body style='margin:0'>{svg}</body>")
    assert page.locator("svg").evaluate(BEYOND)[0] > 5.0


def test_text_fits_in_pages(page):
    page.set_content(draw(chain_rule(), title="Chain rule").html())
    page.wait_for_selector("html.alive")
    for _ in range(4):
        by, text = page.locator("#picture").evaluate(BEYOND)
        assert by <= 1.0, text
        by, text = page.locator("#picture").evaluate(ROWS)
        assert by <= 1.0, text
        page.keyboard.press("ArrowRight")
    assert page.locator(".legend svg").evaluate(BEYOND)[0] <= 1.0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
