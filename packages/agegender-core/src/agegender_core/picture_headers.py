"""What the first bytes of a picture file tell, read before anything is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Size = tuple[int, int]


class Header(NamedTuple):
    """What is known of a picture before it is decoded.

    Attributes:
        size: width and height as declared, before the EXIF orientation; ``None`` where the format isn't known here.
        may_have_alpha: whether there may be transparent pixels.
        cut_off: whether the file ends too early, which OpenCV passes over in silence, filling the rest with grey.
    """

    size: Size | None = None
    may_have_alpha: bool = False
    cut_off: bool = False


def read_header(data: bytes) -> Header:
    """The header of a JPEG, PNG, WebP, BMP, GIF or TIFF file; all unknown for other and damaged ones."""
    for start, read in _READERS.items():
        if data.startswith(start):
            try:
                return read(data)
            except IndexError:
                return Header(cut_off=True)
    return Header()


def _jpeg(data: bytes) -> Header:
    size, scan = None, None
    for marker, position in _jpeg_segments(data):
        if size is None and 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = _number(data, position + 7, 2, "big"), _number(data, position + 5, 2, "big")
        if marker == 0xDA:
            scan = position
    # The end is looked for behind the start of the scan: a thumbnail in the header has an end of its own, and phones
    # append whole films behind the real one. From behind, because it is nearly always the last thing in the file.
    return Header(size, cut_off=scan is None or data.rfind(b"\xff\xd9", scan) < 0)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and position of each segment of a JPEG's header, up to the start of the first scan (0xDA)."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        yield marker, position
        if marker == 0xDA:
            return
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        return Header()
    size = _number(data, 16, 4, "big"), _number(data, 20, 4, "big")
    transparent = data[25] in (4, 6) or data.find(b"tRNS", 0, data.find(b"IDAT")) >= 0
    return Header(size, transparent, cut_off=b"IEND" not in data[-65536:])


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8 ":
        return Header((_number(data, 26, 2) & 0x3FFF, _number(data, 28, 2) & 0x3FFF))
    if kind == b"VP8L":
        bits = _number(data, 21, 4)
        return Header(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1))
    if kind == b"VP8X":
        return Header((_number(data, 24, 3) + 1, _number(data, 27, 3) + 1), bool(data[20] & 0x10))
    return Header(may_have_alpha=True)


def _bmp(data: bytes) -> Header:
    if _number(data, 14, 4) == 12:
        return Header((_number(data, 18, 2), _number(data, 20, 2)))
    height = int.from_bytes(data[22:26], "little", signed=True)  # negative: the first row is the top one
    return Header((_number(data, 18, 4), abs(height)))


def _gif(data: bytes) -> Header:
    return Header((_number(data, 6, 2), _number(data, 8, 2)))


def _tiff(data: bytes) -> Header:
    order = "little" if data.startswith(b"II") else "big"
    big = data[2 if order == "little" else 3] == 43  # BigTIFF: all counts and places have 8 bytes
    start = _number(data, 8, 8, order) if big else _number(data, 4, 4, order)
    count = _number(data, start, 8 if big else 2, order)
    first, step = start + (8 if big else 2), 20 if big else 12
    found = {}
    for entry in range(first, first + step * min(count, 1000), step):
        tag = _number(data, entry, 2, order)
        if tag in (256, 257):
            width = 2 if _number(data, entry + 2, 2, order) == 3 else 4
            found[tag] = _number(data, entry + (12 if big else 8), width, order)
    size = (found[256], found[257]) if len(found) == 2 else None
    return Header(size, may_have_alpha=True)


def _number(data: bytes, start: int, count: int, order: str = "little") -> int:
    if start + count > len(data):
        raise IndexError(start)
    return int.from_bytes(data[start : start + count], "little" if order == "little" else "big")


_READERS: dict[bytes, Callable[[bytes], Header]] = {
    b"\xff\xd8": _jpeg,
    b"\x89PNG": _png,
    b"RIFF": _webp,
    b"BM": _bmp,
    b"GIF8": _gif,
    b"II*\0": _tiff,
    b"II+\0": _tiff,
    b"MM\0*": _tiff,
    b"MM\0+": _tiff,
}
