"""A unit's output over the plane, a small picture inside an SVG: colour by sign, strength by size, hatched below 0.

A PNG, written by the standard library, with transparent colours that suit light and dark pages alike.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from struct import pack
from zlib import compress, crc32

from ..common.style import COLOURS

CELLS = 24  # a side
ZOOM = 2  # pixels a cell
_SHADES = 15  # of each sign
_HATCH = 6  # pixels from stripe to stripe


def heat_picture(field: Sequence[Sequence[float]]) -> str:
    """The field as the data of an `<image>`. The strongest colour is that of 1, or of the largest value if more."""
    top = max((abs(x) for row in field for x in row if abs(x) < float("inf")), default=0.0)
    scale = max(top, 1.0)
    rows = []
    for y in range(len(field) * ZOOM):
        row = bytearray(b"\0")  # no filter
        for x in range(len(field[0]) * ZOOM):
            row.append(_shade(field[y // ZOOM][x // ZOOM], scale, (x + y) % _HATCH == 0))
        rows.append(bytes(row))
    return "data:image/png;base64," + b64encode(_png(len(field[0]) * ZOOM, rows)).decode()


def _shade(value: float, scale: float, striped: bool) -> int:
    """A place in the palette: 0 is nothing, then the shades of positive values, of negative ones, and inf and nan."""
    if value != value or abs(value) == float("inf"):
        return 2 * _SHADES + 1
    k = round(_SHADES * min(abs(value) / scale, 1.0))
    if value < 0.0:
        return _SHADES + max(k // 3 if striped else k, 1)
    return k


def _png(width: int, rows: list[bytes]) -> bytes:
    colours, alphas = bytearray(3), bytearray(1)
    for kind in ("pos", "neg"):
        colour = bytes.fromhex(COLOURS[kind][0][1:])
        for k in range(1, _SHADES + 1):
            colours += colour
            alphas.append(round(235 * k / _SHADES))
    colours += bytes.fromhex(COLOURS["bad"][0][1:])
    alphas.append(255)
    header = pack(">IIBBBBB", width, len(rows), 8, 3, 0, 0, 0)  # 8 bits a pixel, by palette
    parts = ((b"IHDR", header), (b"PLTE", colours), (b"tRNS", alphas), (b"IDAT", compress(b"".join(rows), 9)))
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in (*parts, (b"IEND", b"")):
        out += pack(">I", len(data)) + name + data + pack(">I", crc32(name + data))
    return out
