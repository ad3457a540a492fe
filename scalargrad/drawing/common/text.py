"""Numbers and names as a picture shows them: short, safe in XML, and measured.

Labels are somebody else's text: whatever they hold (markup, newlines, right-to-left text, ten thousand characters) is
made harmless here and nowhere else.
"""

import re
from functools import lru_cache
from html import escape
from math import isfinite
from typing import Any, Self
from unicodedata import bidirectional, category, combining, east_asian_width

# Advance widths in thousandths of the font size: of Helvetica (Adobe Font Metrics; Arial, Liberation Sans, Arimo have
# the same), beyond ASCII of Liberation Sans, and where it has none, as of small digits, of DejaVu Sans Condensed; and
# what is wider in Helvetica Bold. Engines get sizes computed from these.
_WIDTHS = {
    191: "'", 222: "ijl", 260: "|", 278: " !,./:;I[\\]ft∕′·ÌÍÎÏìíîïιίΙΪ", 333: "()-`r‘’“”´¸¹²³", 334: "{}", 355: "\"",
    360: "″⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉ºª", 389: "*", 398: "τ°", 445: "ζξεέ", 469: "^", 476: "⁺⁻₊₋ς", 499: "∂çýÿγκλν↑↓",
    500: "Jcksvxyz", 554: "χΰυ±÷√≤≥≠≈Γ«»àáâãäåèéêëðñòóôõöùúûüþήηθο–δ", 556: "#$0123456789?L_abdeghnopqu",
    580: "ρβμµάα−×", 584: "+<=>~", 611: "FTZ∇■¿ßøΖΤσΣ", 666: "φΞÀÁÂÃÄÅÈÉÊËÝÞΑΒΕΚΡΥΧΫΔΛ", 667: "&ABEKPSVXY",
    713: "πψ∑∞ÇÐÑÙÚÛÜΗΝΠ", 722: "CDHNRUw", 751: "Ω↵", 778: "GOQ", 780: "ÒÓÔÕÖØΘΟωΦ", 832: "⚠ΜΨ", 833: "Mm", 889: "%",
    900: "æ⋮�", 944: "W", 1000: "Æ…—→←", 1015: "@",
}  # fmt: skip
_BOLD = {
    238: "'", 278: "ijl", 280: "|", 333: "!:;[]ft", 389: "r{}", 474: "\"", 556: "Jcksvxy", 584: "^",
    611: "?Lbdghnopqu", 722: "&ABK", 778: "w", 889: "m", 975: "@",
}  # fmt: skip
_regular, _bold = ({c: wide for wide, each in widths.items() for c in each} for widths in (_WIDTHS, _BOLD))
_ADVANCES = (_regular, _regular | _bold)
GENEROUS = 1.02
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_ENDS = "".join([chr(plane + end) for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF)])  # of planes
# Controls, lone surrogates, what turns the direction of text, and what no reader of XML accepts.
_NO_TEXT = re.compile(
    f"[\\x00-\\x1f\\x7f-\\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef{_ENDS}]"
)
# theta1[2,1], x[3], θ[to,from], w_1, w1: an index behind a name is drawn below the line. A bare number is one behind a
# single letter, since log2 is a function.
_INDEX = re.compile(
    r"((?<=\w)\[\w{1,6}(?:,\w{1,6}){0,2}\]|(?<=[^\W\d_])_[0-9]{1,3}(?![0-9A-Za-z_\[(])"
    r"|(?<=(?<!\w)[^\W\d_])[0-9]{1,3}(?![0-9A-Za-z_.\[(]))"
)
INDEX_SIZE = 0.75  # of the font's
xml = escape  # text, ready to stand between tags or in a quoted attribute


class Changed(float):
    """A number that knows what it was before: shown as old → new, with an arrow.

    >>> number(Changed(0.5, 2.0)), Changed(0.5, 2.0)
    ('2 → 0.5 ↓', 0.5, before 2.0)
    """

    __slots__ = ("before",)
    before: float

    def __new__(cls, value: float, before: float) -> Self:
        made = super().__new__(cls, value)
        made.before = float(before)
        return made

    def __bool__(self) -> bool:
        return True  # something to show, also where it is zero now: `x or 0.0` keeps it

    def __reduce__(self) -> Any:
        return Changed, (float(self), self.before)

    def __repr__(self) -> str:
        return f"{float(self)!r}, before {self.before!r}"


def number(x: float, digits: int = 4) -> str:
    """A number in so many significant digits, whole ones below a million in full; a warning sign before inf and nan.

    >>> [number(x) for x in (-3.0, 0.5, -0.0, 1234567.0, 1.23456e-9, float("-inf"))]
    ['−3', '0.5', '0', '1.235e6', '1.235e−9', '⚠ −inf']
    """
    if isinstance(x, Changed):
        now = float(x)
        arrow = " ↑" if now > x.before else " ↓" if now < x.before else ""
        return f"{number(x.before, digits)} → {number(now, digits)}{arrow}"
    if not isfinite(x):
        return f"⚠ {x}".replace("-", "−")
    if x == int(x) and abs(x) < 1e6:
        return str(int(x)).replace("-", "−")
    mantissa, e, exponent = f"{x:.{digits}g}".partition("e")
    return (mantissa + (f"e{int(exponent)}" if e else "")).replace("-", "−")


def signed(x: float, digits: int = 4) -> str:
    """As `number`, with a plus before what is positive.

    >>> signed(6.0), signed(-6.0), signed(0.0)
    ('+6', '−6', '0')
    """
    has_plus = x > 0.0 and isfinite(x) and not isinstance(x, Changed)
    return f"+{number(x, digits)}" if has_plus else number(x, digits)


def clean(text: str) -> str:
    """Text that every XML reader accepts and that keeps its direction to itself.

    Newlines become ↵, other control characters, lone surrogates and commands to the bidirectional algorithm �; text
    with right-to-left letters is isolated from what stands around it.

    >>> clean("a\\nb\\x00")
    'a↵b�'
    """
    if text.isascii() and text.isprintable():
        return text
    cleaned = _NO_TEXT.sub("�", re.sub("\r\n|[\n\r\u2028\u2029]", "↵", text).replace("\t", " "))
    if not _RIGHT_TO_LEFT.isdisjoint(map(bidirectional, cleaned)):
        return f"{_ISOLATE}{cleaned}{_END_ISOLATE}"
    return cleaned


def _columns(c: str) -> int:
    return 0 if combining(c) or c in "\u200d\u2068\u2069" else 2 if east_asian_width(c) in "WF" else 1


def shortened(text: str, limit: int) -> str:
    """At most `limit` columns of the text, an ellipsis in place of the rest; a letter keeps its combining marks.

    An index in brackets, as it is drawn small, may take four columns more.

    >>> shortened("a long name", 7)
    'a long…'
    """
    if len(text) <= limit // 2:
        return text
    if "[" in text:
        ends = [each.end() for each in _INDEX.finditer(text[: 4 * limit]) if each[0][0] == "["]
        if ends and sum(map(_columns, text[: ends[0]])) <= limit + 3 + (ends[0] == len(text)):  # it can be seen, then
            limit += 4
    used, end = 0, 0
    for k, c in enumerate(text):
        used += _columns(c)
        if used <= limit - 1:
            end = k + 1
        elif used > limit:
            while end and text[end - 1] in " \u200d":
                end -= 1
            short = text[:end] + "…"
            return short + _END_ISOLATE if _ISOLATE in short and _END_ISOLATE not in short else short
        if k > 8 * limit:  # marks upon marks
            return text[: 8 * limit] + "…"
    return text


@lru_cache(8192)  # many texts stand in a picture often
def advance(text: str, size: float, bold: bool = False) -> float:
    """The text's width in the picture's sans-serif font; of letters that are not known, what most are at most."""
    total, known = 0.0, _ADVANCES[bold]
    for k, part in enumerate(_INDEX.split(text)):
        letters = part.strip("[]_") if k % 2 else part  # what is drawn of an index
        wide = 0
        for c in letters:
            if c in known:
                wide += known[c]
            elif east_asian_width(c) in "WF":
                wide += 1000
            elif not combining(c) and category(c) != "Cf":
                wide += 620
        total += wide * (INDEX_SIZE if k % 2 else 1.0)
    return total * size / 1000.0


@lru_cache(8192)
def width(text: str, size: float, bold: bool = False) -> float:
    """The room for a text: a little more than its width."""
    return GENEROUS * advance(text, size, bold)


@lru_cache(8192)
def marked(*runs: tuple[str, str], size: float) -> str:
    """Runs of (text, class) as the inside of an SVG text, indices below the line: θ1[2,1] as θ1 with a small 2,1.

    Brackets and underscores stay, too small to be seen, so that the text is found, copied and read aloud as it was
    given.

    >>> marked(("n[2] & b", ""), size=12.0)  # doctest: +NORMALIZE_WHITESPACE
    'n<tspan dy="3" font-size=".01">[</tspan><tspan font-size="9">2</tspan><tspan font-size=".01">]</tspan><tspan
    dy="-3" xml:space="preserve"> &amp; b</tspan>'
    >>> marked(("w1", ""), size=12.0)
    'w<tspan dy="3" font-size="9">1</tspan>'
    """
    out, back = [], ""
    drop = f"{size / 4.0:.0f}"
    for text, kind in runs:
        named = f' class="{kind}"' if kind else ""
        for k, part in enumerate(_INDEX.split(text)):
            if k % 2:
                index = f'{named} font-size="{size * INDEX_SIZE:g}">{xml(part.strip("[]_"))}</tspan>'
                if part[0] in "[_":
                    index = f'<tspan dy="{drop}" font-size=".01">{part[0]}</tspan><tspan{index}'
                else:
                    index = f'<tspan dy="{drop}"{index}'
                out.append(index + ('<tspan font-size=".01">]</tspan>' if part[0] == "[" else ""))
                back = f' dy="-{drop}" xml:space="preserve"'
            elif part:
                out.append(f"<tspan{named}{back}>{xml(part)}</tspan>" if named or back else xml(part))
                back = ""
    return "".join(out)


def written(kind: str, x: float, y: float, *runs: tuple[str, str], size: float, bold: bool = False) -> str:
    """An SVG text of that class, of runs of (text, class), as wide as reckoned here on any font; class "b" is bold.

    >>> written("k", 10.0, 20.5, ("value", ""), size=12.0)
    '<text class="k" x="10" y="20.5" textLength="28.7" lengthAdjust="spacingAndGlyphs">value</text>'
    """
    wide = 0.0
    for text, look in runs:
        wide += advance(text, size, bold or look[:1] == "b")
    fit = f' textLength="{round(wide, 1):.9g}" lengthAdjust="spacingAndGlyphs"' if wide else ""
    space = ' xml:space="preserve"' if len(runs) > 1 else ""
    return f'<text class="{kind}"{space} x="{x:.9g}" y="{y:.9g}"{fit}>{marked(*runs, size=size)}</text>'


def tenths(x: float) -> str:
    """A length, to a tenth of a point.

    >>> tenths(12.0), tenths(3.14159)
    ('12', '3.1')
    """
    return f"{round(x, 1):.9g}"


def plain(x: Any) -> Any:
    """What JSON holds: named tuples as dicts, tuples as lists; inf and nan as the strings that `float()` reads."""
    if isinstance(x, float):
        return float(x) if isfinite(x) else str(float(x))
    if isinstance(x, dict) or hasattr(x, "_asdict"):
        return {key: plain(value) for key, value in (x if isinstance(x, dict) else x._asdict()).items()}
    return [plain(each) for each in x] if isinstance(x, tuple | list) else x
