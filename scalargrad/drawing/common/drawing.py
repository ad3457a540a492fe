"""What drawings have in common: shown by themselves in a notebook, saved by suffix, printed as text."""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Self

from .images import painted
from .notebook import picture_html
from .style import THEMES

_drawings = count(1)


def file_for(path: Any, forms: Mapping[str, Any]) -> tuple[Path, Any]:
    """The file that something is saved to, and the form that its suffix names. `ValueError` for another suffix,
    `FileNotFoundError` for a folder that is not there."""
    file = Path(path)
    form = forms.get(file.suffix.lower())
    if form is None:
        suffix = file.suffix or "no suffix"
        raise ValueError(f"save: {suffix!r} in {str(file)!r} names no form; the suffixes are {', '.join(forms)}")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"save: there is no folder {str(file.parent)!r} for {file.name!r}; make it first")
    return file, form


def one_of(what: str, given: str, known: Sequence[str]) -> str:
    """An option, if it is one of those known; `ValueError` for another."""
    if given not in known:
        raise ValueError(f"{what}={given!r} is none of {', '.join(map(repr, known))}")
    return given


def a_text(what: str, given: str) -> str:
    """A text that somebody gave; `TypeError` for anything else."""
    if not isinstance(given, str):
        raise TypeError(f"{what} takes a str, got {type(given).__name__}")
    return given


class BaseDrawing:
    """A picture in plain numbers and texts, which has a heading and a description, and what it can be made into."""

    forms: ClassVar[Mapping[str, Callable[[Any], str | bytes]]] = {  # by suffix
        ".svg": lambda drawing: drawing.svg(),
        ".html": lambda drawing: drawing.html(),
        ".json": lambda drawing: drawing.json(),
        ".txt": lambda drawing: drawing.text() + "\n",
        ".png": lambda drawing: drawing.image("png"),
        ".pdf": lambda drawing: drawing.image("pdf"),
    }

    def __init__(self, picture: Any, theme: str = "auto") -> None:
        self.picture = picture
        self.theme = one_of("draw: theme", theme, THEMES)
        # Different for every drawing of a process, and for different pictures of different processes: a page that
        # gathers the outputs of both has no id twice.
        digest = blake2b(repr(picture).encode(errors="replace"), digest_size=4).hexdigest()
        self.prefix = f"s{next(_drawings)}-{digest}"

    def svg(self) -> str:
        """The picture as SVG text. Of a graph, raises `LayoutError` where no engine is found, or one fails or takes too
        long."""
        return self._drawn(self.theme)

    def _drawn(self, theme: str) -> str:
        raise NotImplementedError

    def image(self, form: str) -> bytes:
        """The picture as `"png"` or `"pdf"`, on light paper unless the theme is dark.

        Raises as `svg()`, and `NoPainterError` without the extra `images`.
        """
        return painted(self._drawn("dark" if self.theme == "dark" else "light"), form, self.picture.heading)

    def text(self) -> str:
        """The picture's numbers as lines of text, which `print` shows; needs no engine."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Every number and text of the picture: strings, lists, dicts, numbers, None and bools; inf and nan are strings
        that `float()` reads."""
        raise NotImplementedError

    def json(self) -> str:
        """`to_dict()` as JSON, which may also stand inside a page's script."""
        return json.dumps(self.to_dict(), allow_nan=False).replace("<", "\\u003c")

    def __str__(self) -> str:
        return self.text()

    def _shown(self) -> str:
        """The SVG for a notebook."""
        return self.svg()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows; where it is not trusted, too."""
        svg = self._shown()
        html = picture_html(svg, self.picture.description)
        return {"text/html": html, "image/svg+xml": svg, "text/plain": repr(self)}

    def save(self, path: Any) -> Self:
        """Write the picture to a file, in the form that its suffix names; return the drawing.

        The suffixes are .svg, .html, .json, .txt, with the extra `images` .png and .pdf, and of a graph .dot. The .html
        of a graph is the step-through page; its .svg, .html, .png and .pdf need a layout engine.
        Raises `ValueError` for another suffix, `FileNotFoundError` for a folder that is not there, `LayoutError` as
        `svg()`, `NoPainterError` for .png and .pdf without the extra.
        """
        file, form = file_for(path, self.forms)
        made = form(self)
        file.write_bytes(made if isinstance(made, bytes) else made.encode())
        return self
