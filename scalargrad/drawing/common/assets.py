"""What pages are put together from: HTML, CSS and JavaScript, in files beside the code.

The step-through (`page/`) and the playground are made and kept safe in the same way: one file, no request to anywhere,
and a content security policy that names the page's own script and styles by their hashes and allows nothing else.
"""

import json
import re
import webbrowser
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from .style import palette

MEDIA = {"auto": "screen and (prefers-color-scheme:dark)", "dark": "screen", "light": "not all"}  # of the dark sheet
# A text, which stays as it is, or space beside a sign. Beside + and - it stays, as "+ +" is not "++"; so does a line's
# end after a bracket that closes, which can end a statement.
_SPACES = re.compile(
    r"""("(?:\\.|[^"\\\n])*"|`[^`]*`)|(?<=[(\[{;:,<>=!&|?*])\s+|(?<=[)\]}]) +|\s+(?=[)\]}:,<>=&|?*.])| +(?=[(\[{!])"""
)


@cache
def asset(name: str) -> str:
    """A file of a page, such as "page/main.js", without indents, comments and spaces around signs."""
    text = files(__package__).joinpath("..", name).read_text(encoding="utf-8")
    lines = [re.sub(" // .*", "", line.strip()) for line in text.splitlines()]
    text = "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))
    if name.endswith(".css"):
        return re.sub("\\s?([{};,])\\s?|(?<=:) ", r"\1", text).replace(";}", "}")
    return _SPACES.sub(lambda match: match[1] or "", text) if name.endswith(".js") else text


def script(names: Iterable[str], first: str = "") -> str:
    """The scripts of a page, which share one scope, in the order in which they run; behind what is made for it."""
    parts = "\n".join([first, *(asset(f"{name}.js") for name in names)])
    return f'(async () => {{\n"use strict";\n{parts}\n}})();'


def page(name: str, code: str, theme: str, sheet: str = "", **values: str) -> str:
    """The page of that name, as text: its template with every `{{name}}` replaced by its value, in which nothing is
    replaced again. `sheet` is of what is made for it."""
    style, light, dark = sheet + asset(f"{name}.css"), _colours(False), _colours(True)
    values |= {"theme": theme, "style": style, "light": light, "dark": dark, "dark_media": MEDIA[theme]}
    values |= {"script": code, "policy": policy([code], [style, light, dark])}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], asset(f"{name}.html"))


def policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """The content security policy of a page that consists of these."""
    sources = [" ".join(map(_source, each)) for each in (scripts, styles)]
    return f"default-src 'none'; script-src {sources[0]}; style-src {sources[1]}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def module(f: Any, name: str, *arguments: Any) -> str:
    """A compiled function, called once with these arguments, as JavaScript that defines a function of that name."""
    f(*arguments)
    return compact(f.to_js(name))


def compact(source: str) -> str:
    """What the JavaScript backend writes, for a page: without its head and its indents."""
    text = source.replace("export ", "").partition("*/\n")[2]
    return "\n".join([line.strip() for line in text.splitlines() if line.strip()])


def as_json(data: object) -> str:
    """JSON that may stand inside a page's script: without a "<", and on one line for every reader."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def opened(page: str, name: str) -> Path:
    """Write a page to a temporary file of that name, open it in the browser, and return the file, which stays."""
    file = Path(mkdtemp(prefix="scalargrad-")) / name
    file.write_text(page, encoding="utf-8")
    webbrowser.open(file.as_uri())
    return file


def _colours(dark: bool) -> str:
    """The colours of pictures, and of whose turn it is, as variables for the page."""
    colours = palette(dark) | {"now-line": ("#b7791f", "#f5b83d")[dark], "halo": ("#facc15", "#f5b83d")[dark]}
    values = "".join(f"--{name}:{colour};" for name, colour in colours.items())
    return f":root{{{values}color-scheme:{'dark' if dark else 'light'}}}"
