"""Hypothesis profiles: the same examples each time in CI, new ones for people. And a browser for the pages' tests."""

import os
import shutil

import pytest
from hypothesis import settings

collect_ignore_glob = ["benchmarks/*", "reference/*"]  # scripts, which want peers that the tests do without

os.environ.setdefault("SCALARGRAD_CHECK", "1")  # all machine code is proven before it is run: see allocation_check.py

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def chromium():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("SCALARGRAD_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def visit_page(browser, tmp_path):
    """Open a page from disk. Whatever it asks of the network or says on its console fails the test."""
    heard, contexts = [], []

    def opened(html, **options):
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        settings = {"viewport": {"width": 1280, "height": 720}, "reduced_motion": "reduce"} | options
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda request: request.url == file.as_uri() or heard.append(f"request: {request.url}"))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('policy', e.violatedDirective))"
        )
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert heard == []
