"""Notebooks: what IPython makes of our objects, and what a real JupyterLab shows of it, trusted and not."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import xml.etree.ElementTree as ET
from base64 import b64decode
from html.parser import HTMLParser

import pytest

import scalargrad as sg
from scalargrad import Value, draw
from scalargrad.data import Dataset, iris
from scalargrad.drawing import draw_network
from scalargrad.losses import mean_squared_error
from scalargrad.nn import MLP
from scalargrad.optim import SGD
from scalargrad.testing import check_grads
from scalargrad.training import History, fit

from .drawing_times import recurrence
from .test_playground import Playground, two

POINTS = Dataset([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], [1.0, 0.0, 0.5])


def small():
    x, w = Value(3.0, label="x"), Value(-2.0, label="w<&")
    y = x * w
    y.backward()
    return y


def history():
    model = MLP(2, [2, 1], "tanh")
    return fit(model, POINTS, mean_squared_error, SGD(model.parameters(), lr=0.1), 3, progress=False)


def info():
    f = sg.compile(lambda x: x * x if x > 0.0 else -x, backend="python")
    f(1.0)
    f(-1.0)
    return f.info


class Cells(HTMLParser):
    """The rows of a table, and the attributes of everything else."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.caption, self.tags, self.inside = [], "", [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.inside == "caption":
            self.caption += data
        elif self.inside in ("td", "th"):
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        self.inside = ""


# ---- what they are ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small, lambda: draw(small()), lambda: MLP(2, [1]), lambda: draw_network(MLP(2, [1]))])
def test_a_picture_is_an_image_with_its_text_beside_the_svg(make):
    bundle = make()._repr_mimebundle_()
    (image,) = [given for tag, given in Cells(bundle["text/html"]).tags if tag == "img"]
    start, _, data = image["src"].partition(",")
    assert start == "data:image/svg+xml;base64"
    held, shown = ET.fromstring(b64decode(data)), ET.fromstring(bundle["image/svg+xml"])
    assert held.attrib.keys() == shown.attrib.keys()
    words = next(each for each in shown if each.tag.endswith("desc")).text
    assert image["alt"] == words
    assert "max-width:100%" in image["style"]


def test_tables_say_what_their_objects_say():
    done = history()
    table = Cells(done._repr_html_())
    assert table.caption == repr(done)
    assert table.rows[0] == ["epoch", "loss", "rate", ""]
    assert [row[1] for row in table.rows[1:]] == [f"{x:.4g}" for x in done["loss"]]
    table = Cells(iris()._repr_html_())
    assert table.rows[0] == ["", *iris().feature_names, "target"]
    assert table.rows[1] == ["0", "5.1", "3.5", "1.4", "0.2", "setosa"]
    assert [row[0] for row in table.rows[1:]] == [*"01234", "…", "145", "146", "147", "148", "149"]
    assert table.rows[6][1] == "140 more"
    report = check_grads(lambda x, y: x * y, (2.0, 3.0))
    table = Cells(report._repr_html_())
    assert table.caption == str(report).splitlines()[0]
    assert [(row[0], float(row[3])) for row in table.rows[1:3]] == [("agrees", 3.0), ("agrees", 2.0)]
    assert len(table.rows) == 1 + len(report.findings)
    traces = info()
    table = Cells(traces._repr_html_())
    assert table.caption == str(traces).splitlines()[0]
    assert [row[:5] for row in table.rows[1:]] == [
        [str(k), str(t.inputs), str(t.instructions), str(t.outputs), str(t.calls)] for k, t in enumerate(traces.traces)
    ]
    assert all(line in table.rows[k + 1][-1] for k, t in enumerate(traces.traces) for line in t.guards)
    assert Cells(History()._repr_html_()).rows == [["epoch", ""]]


def test_a_table_is_safe_and_ends():
    data = Dataset([[float(k)] for k in range(1000)], ["<b>"] * 1000, ("<i>",), ("<b>",), ("<script>",))
    table = Cells(data._repr_html_())
    assert table.rows[0] == ["", "<i>", "target"]
    assert {tag for tag, _ in table.tags} <= {"table", "caption", "thead", "tbody", "tr", "td", "th"}
    assert len(table.rows) == 12


def test_a_page_stands_in_a_frame():
    page = draw(small(), title="A page").page(height=500)
    ((_, given), _) = [each for each in Cells(page._repr_html_()).tags if each[0] in ("iframe", "p")]
    assert given["srcdoc"].startswith("<!doctype html>")
    assert "height:500px" in given["style"]
    assert repr(page) == "<Page of A page>"
    for wrong in (50, 1.5):
        with pytest.raises(ValueError, match="page: height must be a whole number of at least 100"):
            draw(small()).page(wrong)


# ---- in JupyterLab ---------------------------------------------------------------------------------------------------


def outputs():
    """Our objects as IPython's display makes them: a cell for each, by name."""
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    shown = {
        "value": small(),
        "recurrence": draw(recurrence(20)),
        "network": MLP(2, [2, 1]),
        "page": draw(small(), title="A page").page(),
        "playground": Playground(two()),
        "history": history(),
        "dataset": iris(),
        "report": check_grads(sg.tanh, (0.5,)),
        "info": info(),
    }
    return {name: formatter.format(each)[0] for name, each in shown.items()}


def notebook(bundles):
    cells = [
        {
            "cell_type": "code", "id": name, "execution_count": 1, "metadata": {}, "source": name,
            "outputs": [{"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data}],
        }
        for name, data in bundles.items()
    ]  # fmt: skip
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab with one notebook twice: trusted.ipynb is signed, other.ipynb is not."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    home = tmp_path_factory.mktemp("lab")
    text = json.dumps(notebook(outputs()))
    for name in ("trusted", "other"):  # the signature is of the content: they must differ
        (home / f"{name}.ipynb").write_text(text.replace('"source": "value"', f'"source": "{name}"'), encoding="utf-8")
    env = {**os.environ, **{f"JUPYTER_{each}_DIR": str(home / each) for each in ("DATA", "CONFIG", "RUNTIME")}}
    run = [sys.executable, "-m"]
    subprocess.run([*run, "jupyter", "trust", "trusted.ipynb"], cwd=home, env=env, check=True, capture_output=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        "--IdentityProvider.token=",
        "--ip=127.0.0.1",
    ]
    log = (home / "log").open("w")
    server = subprocess.Popen([*run, "jupyterlab", *options], cwd=home, env=env, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=1.0).read()
                break
            except OSError:
                assert server.poll() is None, (home / "log").read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/lab/tree"
    finally:
        server.terminate()
        server.wait(10)
        log.close()


def opened(browser, lab, name):
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(f"{lab}/{name}.ipynb?reset")
    page.wait_for_selector(".jp-RenderedHTMLCommon table", timeout=60_000)
    return page


def output(page, k):
    """The output of a cell, scrolled to, as a notebook renders what is seen."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(k)
    cell.scroll_into_view_if_needed()
    found = cell.locator(".jp-OutputArea-output").first
    found.wait_for()
    return found


@pytest.mark.parametrize("name", ["trusted", "other"])
def test_a_lab_shows_pictures_tables_and_pages(name, browser, lab):
    page = opened(browser, lab, name)
    for k, words in ((0, "w<&: 3"), (1, "wx"), (2, "A network 2-2-1")):
        image = output(page, k).locator("img")
        assert words in image.get_attribute("alt")
        page.wait_for_function("(el) => el.complete && el.naturalWidth > 100", arg=image.element_handle())
    wide = output(page, 1).locator("img")
    shown, whole = wide.evaluate("(el) => [el.getBoundingClientRect().width, el.naturalWidth]")
    assert whole > 2000
    assert 0.6 * whole < shown <= whole  # it can be read,
    scrolls = """(el) => { while (el && el.scrollWidth <= el.clientWidth + 5) el = el.parentElement;
        return el ? getComputedStyle(el).overflowX : "" }"""
    assert wide.evaluate(scrolls) in ("auto", "scroll")  # and scrolled
    for k, caption in (
        (5, "History(3 epochs"),
        (6, "Dataset(150 samples"),
        (7, "2 derivatives checked"),
        (8, "2 trace"),
    ):
        table = output(page, k).locator("table")
        assert caption in (table.locator("caption").text_content() or "")
        assert table.locator("tbody tr").count() > 0
    for k, title in ((3, "A page"), (4, "Playground")):
        if name == "trusted":
            frame = output(page, k).locator("iframe").content_frame
            frame.locator("html.alive, body #play, body button").first.wait_for(timeout=30_000)
            assert frame.locator("button").count() > 3
            assert frame.locator("html").evaluate("(el) => el.scrollWidth <= el.clientWidth + 1")
        else:
            assert output(page, k).locator("iframe").count() == 0
            assert re.search(f"{title}: a page .* when the notebook is trusted", output(page, k).inner_text())
    page.close()
