"""A unit's output over the plane, a small picture inside an SVG: colour by sign, strength by size, hatched below 0.

A PNG, written by the standard library, with transparent colours that suit light and dark pages alike.
"""

from base64 import b64encode
from collections.abc import Sequence
from math import isfinite
from struct import pack
from zlib import compress, crc32

from ..common.style import COLOURS

CELLS = 24  # a side
ZOOM = 2  # pixels a cell
_SHADES = 15  # of each sign: few, so that the picture is small
_HATCH = 6  # pixels from stripe to stripe


def heat_picture(field: Sequence[Sequence[float]]) -> str:
    """The field as the data of an `<image>`. The strongest colour is that of 1, or of the largest value if more."""
    scale = max([1.0, *(abs(x) for row in field for x in row if isfinite(x))])
    wide, high = len(field[0]) * ZOOM, len(field) * ZOOM
    rows = bytearray()
    for y in range(high):
        rows.append(0)  # no filter
        for x in range(wide):
            rows += _pixel(field[y // ZOOM][x // ZOOM] / scale, (x + y) % _HATCH == 0)
    header = pack(">IIBBBBB", wide, high, 8, 6, 0, 0, 0)  # 8 bits each of red, green, blue and alpha
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", compress(rows, 9)), (b"IEND", b"")):
        out += pack(">I", len(data)) + name + data + pack(">I", crc32(name + data))
    return f"data:image/png;base64,{b64encode(out).decode()}"


def _pixel(share: float, striped: bool) -> bytes:
    """The colour of a value's sign, as strong as its size; stripes of negative ones are weaker."""
    if not isfinite(share):
        return bytes.fromhex(COLOURS["bad"][0][1:] + "ff")
    k = round(_SHADES * abs(share))
    if share < 0.0:
        k = max(k // 3 if striped else k, 1)
    return bytes.fromhex(COLOURS["neg" if share < 0.0 else "pos"][0][1:]) + bytes([235 * k // _SHADES])
