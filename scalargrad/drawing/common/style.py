"""What all drawings look like: fonts, colours of light and dark pages, the scale of |gradient|."""

from functools import cache
from math import isfinite, log10

VANISHING, EXPLODING = 1e-6, 1e3
THEMES = ("auto", "light", "dark")
MARGIN = 18.0
SMALL = 11.0  # a font's size, in points
FONTS = (  # DejaVu Sans, which many a Linux has alone, is 15 % wider; its condensed letters are as wide as the others
    "Helvetica,Arial,'Liberation Sans','Noto Sans','DejaVu Sans Condensed','Noto Sans CJK KR','Apple SD Gothic Neo',"
    "'Malgun Gothic','DejaVu Sans',sans-serif"
)

# (light, dark)
COLOURS = {
    "page": ("#ffffff", "#15171c"),
    "frame": ("#e4e4e7", "#31353e"),
    "ink": ("#18181b", "#ececef"),
    "muted": ("#44444c", "#c8c8d2"),
    "line": ("#8f8f9a", "#6c7280"),
    "leaf": ("#3f3f46", "#d4d4d8"),
    "plain": ("#f6f6f8", "#22252d"),
    "group": ("#fafafb", "#1a1d23"),
    "now": ("#fde68a", "#6b5310"),
    "pos": ("#2563eb", "#6ea8ff"),
    "neg": ("#e0561a", "#ff9350"),
    "bad": ("#d11a45", "#ff6b87"),
    "pos-text": ("#1b3fa8", "#a9ccff"),
    "neg-text": ("#86290a", "#ffc09a"),
    "bad-text": ("#8f0c2f", "#ffb3c1"),
}
_ENDS = (("#9dd9d0", "#0f5b54"), ("#d6b8ef", "#593089"))  # of the scale of |gradient|: vanishing, exploding
SCALE = range(-6, 4)  # powers of ten of |gradient|
SCALE_CLASSES = {k: f"m{-k}" if k < 0 else f"p{k}" for k in SCALE}


def _mixed(a: str, b: str, t: float) -> str:
    pairs = [(int(a[k : k + 2], 16), int(b[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(x + (y - x) * t):02x}" for x, y in pairs)


@cache
def scale_colour(k: int, dark: bool) -> str:
    """The fill of a node whose |gradient| is about 10**k: neutral at 1, two hues towards vanishing and exploding."""
    end = _ENDS[k > 0][dark]
    return _mixed(COLOURS["plain"][dark], end, abs(k) / (3.0 if k > 0 else 6.0))


@cache
def palette(dark: bool) -> dict[str, str]:
    """All colours of a theme: by name, and those of the scale by class."""
    scale = {name: scale_colour(k, dark) for k, name in SCALE_CLASSES.items()}
    return {name: pair[dark] for name, pair in COLOURS.items()} | scale


def magnitude(gradient: float) -> int:
    """The power of ten that colours a gradient: from -6, for less and for zero, to 3, for more."""
    size = abs(gradient)
    return SCALE[0] if size < VANISHING else min(round(log10(size)), SCALE[-1]) if isfinite(size) else SCALE[-1]


def sign_style(x: float) -> str:
    """The class of a contribution: "pos", "neg", "zero" or "bad"."""
    return "bad" if not isfinite(x) else "pos" if x > 0.0 else "neg" if x < 0.0 else "zero"
