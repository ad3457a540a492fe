"""How long the pages take to compute anew, printed: `python -m tests.live_times`. It needs Chromium and playwright."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scalargrad.drawing import Playground, draw
from scalargrad.drawing.common.assets import asset
from scalargrad.drawing.playground.lab import prepared
from scalargrad.drawing.playground.lab import programs as programs_of_page
from scalargrad.losses import mean_squared_error
from scalargrad.optim import SGD
from scalargrad.training import fit

from .conftest import chromium
from .test_page import fifteen, ladder

PAGES = (15, 200, 2000)
# One input moved thirty times: from the frame's beginning to the end of style and layout.
MOVES = """async () => {
  const field = document.querySelector('#inputs [type="number"]');
  const times = [];
  for (let k = 0; k < 30; k += 1) {
    await new Promise(requestAnimationFrame);
    field.value = 0.1 + k / 50;
    field.dispatchEvent(new Event("input"));
    // The page's own work is asked for before this, so that it runs between these two, with style and layout after it.
    await new Promise((done) => {
      let began = 0;
      requestAnimationFrame((now) => { began = now; });
      requestAnimationFrame(() => {
        document.body.getBoundingClientRect();
        times.push(performance.now() - began);
        done();
      });
    });
  }
  return times.sort((a, b) => a - b);
}"""


def opened(browser: Any, html: str) -> Any:
    file = Path(tempfile.mkdtemp(), "page.html")
    file.write_text(html, encoding="utf-8")
    page = browser.new_context(viewport={"width": 1400, "height": 850}, reduced_motion="reduce").new_page()
    page.goto(file.as_uri())
    return page


def pages(browser: Any) -> None:
    print("step-through page, of the frame after an input has moved, least, median and worst of 30")
    for count in PAGES:
        began = time.perf_counter()
        drawing = draw(ladder(count) if count > 15 else fifteen(), collapse=False)
        html = drawing.html()
        made = time.perf_counter() - began
        times = opened(browser, html).evaluate(MOVES)
        size = f"{len(drawing.picture.nodes):5} nodes, {len(html) / 1000:4.0f} kB, made in {made:4.1f} s"
        print(f"  {size}: {times[0]:6.1f} ms, {times[len(times) // 2]:6.1f} ms, {times[-1]:6.1f} ms")


# One epoch after the other: training, losses, every neuron's map, the chart and the tables.
EPOCHS = """() => Array.from({ length: 30 }, () => {
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  return performance.now() - began;
}).sort((a, b) => a - b)"""
# The training alone, in Node.
STEPS = """
const choice = { set: "circle", noise: 0, share: 0.5, features: [true, true], shape: 2, activation: "tanh", seed: 0 };
const how = { optimizer: 0, rate: 0.03, batch: 10, l1: 0, l2: 0 };
const training = trainingOf(lab, choice);
const times = Array.from({ length: 60 }, () => {
  const began = performance.now();
  training.step(how);
  return performance.now() - began;
}).sort((a, b) => a - b);
console.log(times[30], times[0]);
"""


def epochs(browser: Any) -> None:
    print("an epoch of the circle set: 250 samples, network 2-4-2-1, batches of 10, SGD")
    programs, known = programs_of_page()
    code = "\n".join([programs, asset("playground/training.js"), f"const lab = {json.dumps(known)};", STEPS])
    told = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, check=True).stdout.split()
    print(f"  trained in Node, median and least of 60: {float(told[0]):.1f} ms, {float(told[1]):.1f} ms")
    times = opened(browser, Playground(live=True).html()).evaluate(EPOCHS)
    print(f"  trained and shown in Chromium, median and worst of 30: {times[15]:.1f} ms, {times[-1]:.1f} ms")
    model, train, _ = prepared()
    optimizer = SGD(model.parameters(), lr=0.03)
    for way in (False, True):
        began = time.perf_counter()
        fit(model, train, mean_squared_error, optimizer, 20, 10, compile=way, progress=False)
        print(f"  fit, compile={way}, mean of 20: {50 * (time.perf_counter() - began):.1f} ms")


def main() -> int:
    from playwright.sync_api import sync_playwright  # not needed, and perhaps not there, where the tests are collected

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        pages(browser)
        epochs(browser)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
