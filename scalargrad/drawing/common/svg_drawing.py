"""What drawings have in common that need no layout engine: networks, and what changed in them.

Apart from `drawing.py`, whose drawings are laid out by Graphviz, because these are laid out by arithmetic: they are the
same on every machine, and cannot fail.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from .text import xml

_stills = count(1)


class Still:
    """A picture made here from plain numbers: shown by itself in a notebook, saved by suffix, printed as text."""

    def __init__(self, picture: Any, theme: str = "auto") -> None:
        from hashlib import blake2b

        if theme not in ("auto", "light", "dark"):
            raise ValueError(f"draw: theme={theme!r} is none of 'auto', 'light', 'dark'")
        self.picture = picture
        self.theme = theme
        digest = blake2b(repr(picture).encode(errors="replace"), digest_size=4).hexdigest()
        self.prefix = f"sn{next(_stills)}-{digest}"  # as for graphs: no id twice on a page

    def svg(self) -> str:
        """The picture as SVG text."""
        raise NotImplementedError

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
        import json

        return json.dumps(self.to_dict(), allow_nan=False).replace("<", "\\u003c")

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows."""
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}

    def save(self, path: Any) -> Still:
        """Write the picture to a file, as .svg, .html, .json or .txt; return the drawing.

        Raises `ValueError` for another suffix, `FileNotFoundError` for a folder that is not there.
        """
        from pathlib import Path

        file = Path(path)
        form = _FORMS.get(file.suffix.lower())
        if form is None:
            suffix = file.suffix or "no suffix"
            raise ValueError(f"save: {suffix!r} in {str(file)!r} names no form; the suffixes are {', '.join(_FORMS)}")
        if not file.parent.is_dir():
            raise FileNotFoundError(f"save: there is no folder {str(file.parent)!r} for {file.name!r}; make it first")
        file.write_bytes(form(self).encode())
        return self


_FORMS: dict[str, Callable[[Still], str]] = {
    ".svg": lambda still: still.svg(),
    ".html": lambda still: still.html(),
    ".json": lambda still: still.json(),
    ".txt": lambda still: still.text() + "\n",
}
