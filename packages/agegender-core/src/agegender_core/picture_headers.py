"""What a picture file says of itself, read before anything is decoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Literal, NamedTuple, TypeAlias

Size: TypeAlias = tuple[int, int]
Order: TypeAlias = Literal["little", "big"]

_ORIENTATION_TAG = 0x0112
_EXIF = b"Exif\0\0"
_IMAGE, _EXTENSION = 0x2C, 0x21  # what the blocks of a GIF begin with
_RADIANCE_HEADER = 4096  # bytes: lines of text, mostly three


class Header(NamedTuple):
    """What is known of a picture before it is decoded.

    Attributes:
        size: width and height as declared, before the EXIF orientation; ``None`` where the format isn't known here.
        may_have_alpha: whether there may be transparent pixels.
        cut_off: whether the file ends too early, which OpenCV passes over in silence, filling the rest with grey.
        orientation: EXIF's 1..8, how the pixels must be turned to stand upright; 1 where the file doesn't say;
            ``None`` where the format isn't known here.
        tiff_orientation_at: of a TIFF, where the bytes of its orientation are in the file; ``None`` where it has none.
        tiff_order: of a TIFF, the order of its bytes.
        heic: it is HEIC (HEIF with HEVC), which OpenCV doesn't read.
    """

    size: Size | None = None
    may_have_alpha: bool = False
    cut_off: bool = False
    orientation: int | None = None
    tiff_orientation_at: int | None = None
    tiff_order: Order = "little"
    heic: bool = False


def read_header(data: bytes) -> Header:
    """The header of a JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF or HEIC file; all unknown for other and damaged ones, but
    the size of a Radiance, PFM or Sun raster file.
    """
    for start, read in _READERS.items():
        if data.startswith(start):
            try:
                return read(data)
            except IndexError:
                return Header(cut_off=True)
    return _heif(data) if data[4:8] == b"ftyp" else Header()


def _jpeg(data: bytes) -> Header:
    size, scan, orientation = None, None, None
    for marker, position in _jpeg_segments(data):
        if size is None and 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = _number(data, position + 7, 2, "big"), _number(data, position + 5, 2, "big")
        if marker == 0xE1 and orientation is None and data.startswith(_EXIF, position + 4):
            orientation = _exif_orientation(data[position + 4 : position + 2 + _number(data, position + 2, 2, "big")])
        if marker == 0xDA:
            scan = position
    # The end is looked for behind the start of the scan: a thumbnail in the header has an end of its own, and phones
    # append whole films behind the real one. From behind, because it is nearly always the last thing in the file.
    cut_off = scan is None or data.rfind(b"\xff\xd9", scan) < 0
    return Header(size, cut_off=cut_off, orientation=orientation or 1)


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
    transparent, orientation, position = data[25] in (4, 6), 1, 8
    while position + 8 <= len(data):
        length, kind = _number(data, position, 4, "big"), data[position + 4 : position + 8]
        if kind == b"tRNS":
            transparent = True
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[position + 8 : position + 8 + length])
        position += 12 + length
    return Header(size, transparent, cut_off=b"IEND" not in data[-65536:], orientation=orientation)


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8 ":
        return Header((_number(data, 26, 2) & 0x3FFF, _number(data, 28, 2) & 0x3FFF), orientation=1)
    if kind == b"VP8L":
        bits = _number(data, 21, 4)
        return Header(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1), orientation=1)
    if kind == b"VP8X":
        size = _number(data, 24, 3) + 1, _number(data, 27, 3) + 1
        return Header(size, bool(data[20] & 0x10), orientation=_webp_orientation(data))
    return Header(may_have_alpha=True)


def _webp_orientation(data: bytes) -> int:
    position = 12
    while position + 8 <= len(data):
        length = _number(data, position + 4, 4)
        if data[position : position + 4] == b"EXIF":
            return _exif_orientation(data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return 1


def _bmp(data: bytes) -> Header:
    if _number(data, 14, 4) == 12:
        return Header((_number(data, 18, 2), _number(data, 20, 2)), orientation=1)
    height = int.from_bytes(data[22:26], "little", signed=True)  # negative: the first row is the top one
    return Header((_number(data, 18, 4), abs(height)), orientation=1)


def _gif(data: bytes) -> Header:
    return Header((_number(data, 6, 2), _number(data, 8, 2)), orientation=1)


def gif_is_cut_off(data: bytes | mmap) -> bool:
    """Whether a GIF ends before its trailer (GIF89a, section 27); what stands behind the trailer doesn't matter."""
    try:
        position = 13 + _colour_table(data[10])
        while (kind := data[position]) in (_IMAGE, _EXTENSION):
            position += 11 + _colour_table(data[position + 9]) if kind == _IMAGE else 2
            while length := data[position]:  # sub-blocks, up to one without a byte (section 16)
                position += 1 + length
            position += 1
    except IndexError:
        return True
    return False


def _colour_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff(data: bytes) -> Header:
    order, tags = _tiff_tags(data)
    values = {tag: _number(data, position, width, order) for tag, (position, width) in tags.items()}
    size = (values[256], values[257]) if 256 in values and 257 in values else None
    return Header(
        size,
        may_have_alpha=True,
        orientation=_valid_orientation(values.get(_ORIENTATION_TAG, 1)),
        tiff_orientation_at=tags[_ORIENTATION_TAG][0] if _ORIENTATION_TAG in tags else None,
        tiff_order=order,
    )


def _tiff_tags(data: bytes) -> tuple[Order, dict[int, tuple[int, int]]]:
    """Order of the bytes, and place and width of the value of each tag that is one number, in the first directory."""
    order: Order = "little" if data.startswith(b"II") else "big"
    big = data[2 if order == "little" else 3] == 43  # BigTIFF: all counts and places have 8 bytes
    start = _number(data, 8, 8, order) if big else _number(data, 4, 4, order)
    count = _number(data, start, 8 if big else 2, order)
    first, step = start + (8 if big else 2), 20 if big else 12
    found = {}
    for entry in range(first, first + step * min(count, 1000), step):
        tag, kind = _number(data, entry, 2, order), _number(data, entry + 2, 2, order)
        if kind in (3, 4) and tag not in found:
            found[tag] = entry + (12 if big else 8), 2 if kind == 3 else 4
    return order, found


_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}


def _heif(data: bytes) -> Header:
    """Of AVIF and HEIC, the two kinds of HEIF (ISO/IEC 23008-12)."""
    length = int.from_bytes(data[:4], "big")
    brands = {data[place : place + 4] for place in (8, *range(16, min(length, 256), 4))}
    avif = bool(brands & {b"avif", b"avis"})
    if not avif and not brands & _HEIC_BRANDS:
        return Header()
    try:
        properties, transparent = _heif_properties(data)
        width_height = properties.get(b"ispe")
        size = (_number(width_height, 4, 4, "big"), _number(width_height, 8, 4, "big")) if width_height else None
    except IndexError:
        return Header(cut_off=True, heic=not avif)
    # How a picture stands is said by two of its properties; an EXIF block must not be heeded beside them (6.5.10 and
    # 6.5.12 of the standard).
    quarters = properties[b"irot"][0] & 3 if properties.get(b"irot") else 0
    mirrored = 1 + (properties[b"imir"][0] & 1) if properties.get(b"imir") else 0
    return Header(size, transparent, orientation=_HEIF_ORIENTATIONS[mirrored][quarters], heic=not avif)


_HEIF_ORIENTATIONS = ((1, 8, 3, 6), (4, 5, 2, 7), (2, 7, 4, 5))
"""EXIF's orientation without a mirror, with top and bottom exchanged, with left and right exchanged; each of them after
as many quarter turns to the left."""


def _heif_properties(data: bytes) -> tuple[dict[bytes, bytes], bool]:
    """The properties of the primary picture, by their kind, and whether there may be an alpha channel."""
    meta = dict(_boxes(data, 0, len(data))).get(b"meta")
    if meta is None:
        return {}, False
    inside = dict(_boxes(data, meta[0] + 4, meta[1]))
    if not {b"pitm", b"iprp"} <= inside.keys():
        return {}, False
    wide = data[inside[b"pitm"][0]] > 0
    primary = _number(data, inside[b"pitm"][0] + 4, 4 if wide else 2, "big")
    kinds, places = [], []
    for kind, place in _boxes(data, *inside[b"iprp"]):
        if kind == b"ipco":
            kinds = list(_boxes(data, *place))
        elif kind == b"ipma":
            places.append(place)
    numbers = [number for place in places for number in _heif_associations(data, place[0], primary)]
    found = [kinds[number - 1] for number in numbers if 0 < number <= len(kinds)]
    return {kind: data[start:end] for kind, (start, end) in found}, any(kind == b"auxC" for kind, _ in kinds)


def _heif_associations(data: bytes, start: int, item: int) -> list[int]:
    """The numbers, from 1, of the properties that `item` has by the box at `start`, in their order."""
    wide, long = data[start] > 0, data[start + 3] & 1
    position = start + 8
    for _ in range(min(_number(data, start + 4, 4, "big"), 100_000)):
        found = _number(data, position, 4 if wide else 2, "big")
        position += 4 if wide else 2
        count, step = _number(data, position, 1), 2 if long else 1
        numbers = [
            _number(data, place, step, "big") & (0x7FFF if long else 0x7F)
            for place in range(position + 1, position + 1 + count * step, step)
        ]
        if found == item:
            return numbers
        position += 1 + count * step
    return []


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The kind, and the start and end of the content, of each box of an ISO media file that lies in a range."""
    while start + 8 <= end:
        length, header = _number(data, start, 4, "big"), 8
        if length == 1:
            length, header = _number(data, start + 8, 8, "big"), 16
        stop = end if length == 0 else start + length
        if stop < start + header:
            return
        yield data[start + 4 : start + 8], (start + header, min(stop, end))
        start = stop


def _exif_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, which is a small TIFF; 1 where it is damaged or doesn't say."""
    exif = exif.removeprefix(_EXIF)
    if not exif.startswith((b"II", b"MM")):
        return 1
    try:
        order, tags = _tiff_tags(exif)
        return _valid_orientation(_number(exif, *tags[_ORIENTATION_TAG], order)) if _ORIENTATION_TAG in tags else 1
    except IndexError:
        return 1


def _valid_orientation(value: int) -> int:
    return value if 1 <= value <= 8 else 1


def _number(data: bytes, start: int, count: int, order: Order = "little") -> int:
    if start + count > len(data):
        raise IndexError(start)
    return int.from_bytes(data[start : start + count], order)


def _sun_raster(data: bytes) -> Header:
    return Header((_number(data, 4, 4, "big"), _number(data, 8, 4, "big")))


def _pfm(data: bytes) -> Header:
    found = re.match(rb"P[Ff]\s+(\d{1,9})\s+(\d{1,9})\s", data)
    return Header((int(found[1]), int(found[2])) if found else None)


def _radiance(data: bytes) -> Header:
    found = re.search(rb"\n-Y (\d{1,9}) \+X (\d{1,9})\n", data[:_RADIANCE_HEADER])
    return Header((int(found[2]), int(found[1])) if found else None)


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
    b"\x59\xa6\x6a\x95": _sun_raster,
    b"PF": _pfm,
    b"Pf": _pfm,
    b"#?": _radiance,
}
