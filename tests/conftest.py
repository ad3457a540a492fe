"""Hypothesis profiles: the same examples each time in CI, new ones for people; which tests are quick; fixtures."""

import os
import shutil
import signal
from collections import Counter
from math import ceil
from pathlib import Path

import pytest
from hypothesis import settings

from scalargrad.compiler.backends.x86 import code

from .machine_code.check import check

collect_ignore_glob = ["benchmarks/*", "reference/*", "without_extras.py"]  # scripts, and a plugin that blocks imports

code.inspectors.append(check)  # all machine code is proven before it is run

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

# ---- which tests are quick -------------------------------------------------------------------------------------------
# slow.txt has the functions whose tests take more than LIMIT seconds together: the seconds, how many tests, and the
# function. All others are quick; of these, as many tests, evenly spread, as fit into LIMIT. A new test is quick until
# the list is written again, which `SCALARGRAD_RECORD=1 python -m pytest` does.

LIMIT = 0.25
LIST = Path(__file__).with_name("slow.txt")
recording = "SCALARGRAD_RECORD" in os.environ and "PYTEST_XDIST_WORKER" not in os.environ
spent, tests = Counter(), Counter()


def function_of(nodeid):
    return nodeid.partition("[")[0]


def slow():
    rows = (line.split() for line in LIST.read_text(encoding="utf-8").splitlines())
    return {name: (float(seconds), int(count)) for seconds, count, name in rows}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    known, seen = slow(), Counter()
    for item in items:
        name = function_of(item.nodeid)
        seconds, count = known.get(name, (0.0, 1))
        if seconds / count <= LIMIT and seen[name] % max(ceil(seconds / LIMIT), 1) == 0:
            item.add_marker(pytest.mark.quick)
        seen[name] += 1


def pytest_runtest_logreport(report):
    spent[function_of(report.nodeid)] += report.duration
    tests[function_of(report.nodeid)] += report.when == "call"


def pytest_sessionfinish():
    if recording:
        rows = [f"{seconds:.2f} {max(tests[name], 1)} {name}" for name, seconds in spent.items() if seconds > LIMIT]
        LIST.write_text("\n".join(sorted(rows, key=lambda row: row.split()[2])) + "\n", encoding="utf-8")


# ---- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible():
    """Ctrl-C as a terminal has it, in processes that a test starts, too: jobs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
