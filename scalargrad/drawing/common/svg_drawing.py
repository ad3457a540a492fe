"""What drawings have in common that need no layout engine: networks, and what changed in them.

They are laid out by arithmetic: the same on every machine, and nothing in it can fail.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from .images import painted
from .notebook import picture_html
from .style import THEMES
from .text import xml

_drawings = count(1)


def new_prefix(letters: str, picture: Any) -> str:
    """An id for a drawing, different for every drawing of a process, and for different pictures of different processes:
    a page that gathers the outputs of both has no id twice."""
    digest = blake2b(repr(picture).encode(errors="replace"), digest_size=4).hexdigest()
    return f"{letters}{next(_drawings)}-{digest}"


def file_for(path: Any, forms: Any) -> tuple[Path, Any]:
    """The file that a drawing is saved to, and the form that its suffix names. `ValueError` for another suffix,
    `FileNotFoundError` for a folder that is not there."""
    file = Path(path)
    form = forms.get(file.suffix.lower())
    if form is None:
        suffix = file.suffix or "no suffix"
        raise ValueError(f"save: {suffix!r} in {str(file)!r} names no form; the suffixes are {', '.join(forms)}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"save: there is no folder {str(file.parent)!r} for {file.name!r}; make it first")
    return file, form


class SvgDrawing:
    """A picture made here from plain numbers: shown by itself in a notebook, saved by suffix, printed as text."""

    def __init__(self, picture: Any, theme: str = "auto") -> None:
        if theme not in THEMES:
            raise ValueError(f"draw: theme={theme!r} is none of 'auto', 'light', 'dark'")
        self.picture = picture
        self.theme = theme
        self.prefix = new_prefix("sn", picture)

    def svg(self) -> str:
        """The picture as SVG text."""
        return self._drawn(self.theme)

    def _drawn(self, theme: str) -> str:
        raise NotImplementedError

    def image(self, form: str) -> bytes:
        """The picture as `"png"` or `"pdf"`, on light paper unless the theme is dark.

        Raises `NoPainterError` without the extra `images`.
        """
        return painted(self._drawn("dark" if self.theme == "dark" else "light"), form, self.picture.heading)

    def text(self) -> str:
        """The picture's numbers as lines of text, which `print` shows."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Every number and text of the picture: strings, lists, dicts, numbers and None; inf and nan as strings."""
        raise NotImplementedError

    def html(self) -> str:
        """The SVG in a page of its own, which needs no network."""
        paper = {"auto": "color-scheme:light dark", "light": "background:#fff", "dark": "background:#15171c"}
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
            f"<title>{xml(self.picture.heading)}</title>\n"
            f"<style>html{{{paper[self.theme]}}}body{{margin:1rem;text-align:center}}</style>\n</head>\n"
            f"<body>\n{self.svg()}</body>\n</html>\n"
        )

    def json(self) -> str:
        """`to_dict()` as JSON, which may also stand inside a page's script."""
        return json.dumps(self.to_dict(), allow_nan=False).replace("<", "\\u003c")

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows; where it is not trusted, too."""
        svg = self.svg()
        html = picture_html(svg, self.picture.description)
        return {"text/html": html, "image/svg+xml": svg, "text/plain": repr(self)}

    def save(self, path: Any) -> SvgDrawing:
        """Write the picture to a file, as .svg, .html, .json or .txt, or, with the extra `images`, .png or .pdf; return
        the drawing.

        Raises `ValueError` for another suffix, `FileNotFoundError` for a folder that is not there, `NoPainterError`
        for .png and .pdf without the extra.
        """
        file, form = file_for(path, _FORMS)
        made = form(self)
        file.write_bytes(made if isinstance(made, bytes) else made.encode())
        return self


_FORMS: dict[str, Callable[[SvgDrawing], str | bytes]] = {
    ".svg": lambda drawing: drawing.svg(),
    ".html": lambda drawing: drawing.html(),
    ".json": lambda drawing: drawing.json(),
    ".txt": lambda drawing: drawing.text() + "\n",
    ".png": lambda drawing: drawing.image("png"),
    ".pdf": lambda drawing: drawing.image("pdf"),
}
