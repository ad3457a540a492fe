"""PNG and PDF: the drawing's own SVG as Typst sets it, with the fonts of the system.

Measured beside it: resvg has no PDF, and takes serifs where a font lacks a letter; MuPDF and Skia read no style sheets;
CairoSVG needs a library of the system's; vl-convert is as large and slower.
"""

from .text import clean

_PPI = 192.0  # two pixels a point of the drawing
_DOCUMENT = b"""
#set document(date: none, title: sys.inputs.title)
#set page(width: auto, height: auto, margin: 0pt, fill: none)
#image(bytes(sys.inputs.svg), format: "svg", alt: sys.inputs.title)
"""


class NoPainterError(RuntimeError):
    """The library that makes PNG and PDF is not installed."""


def painted(svg: str, form: str, title: str) -> bytes:
    """The picture as "png" or "pdf". Raises `NoPainterError` where the library is not installed."""
    try:
        import typst
    except ImportError:
        raise NoPainterError(
            f"a .{form} is made from the SVG by typst, which is not installed: pip install 'scalargrad[images]'. "
            ".svg and .html need no such library"
        ) from None
    inputs = {"svg": svg, "title": clean(title)}
    return bytes(typst.compile(_DOCUMENT, format=form, ppi=_PPI, sys_inputs=inputs))  # type: ignore[call-overload]
