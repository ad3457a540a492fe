"""How long the pages take to compute anew, printed: `python -m tests.live_times`. It needs Chromium and playwright."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from scalargrad.drawing import draw

from .conftest import chromium
from .test_page import ladder

PAGES = (15, 200, 2000)
# One input moved thirty times: from the event to the end of the frame's work.
MOVES = """async () => {
  const field = document.querySelector('#inputs [type="number"]');
  const times = [];
  for (let k = 0; k < 30; k += 1) {
    await new Promise(requestAnimationFrame);
    const began = performance.now();
    field.value = 0.1 + k / 50;
    field.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => { times.push(performance.now() - began); done(); }));
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
    print("step-through page, an input moved to the end of the frame's work, median and worst of 30")
    for count in PAGES:
        began = time.perf_counter()
        drawing = draw(ladder(count))
        html = drawing.html()
        made = time.perf_counter() - began
        times = opened(browser, html).evaluate(MOVES)
        size = f"{len(drawing.picture.nodes):5} nodes, {len(html) / 1000:4.0f} kB, made in {made:4.1f} s"
        print(f"  {size}: {times[len(times) // 2]:6.1f} ms, {times[-1]:6.1f} ms")


def main() -> int:
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        pages(browser)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
