"""Pictures as people have them, turned into frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .faces import Frame

MAX_PIXELS = 200_000_000
"""Pictures that declare more pixels than this are refused before they are decoded."""


class ImageError(ValueError):
    """A picture that cannot be used; the message names it and says why."""


def read_image(path: str | os.PathLike[str]) -> Frame:
    """Read a picture file as a frame: uint8 RGB (H, W, 3), C-contiguous.

    The EXIF orientation is applied, grey becomes three equal channels, transparent pixels are laid on white, CMYK is
    turned into RGB, 16 bits are scaled to 8. Of an animation it is the first picture.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: the file is empty, broken, truncated or no picture.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path}: is a folder, not a picture")
    return decode_image(path.read_bytes(), str(path))


def decode_image(data: bytes, name: str = "picture") -> Frame:
    """Decode a picture file's bytes; see `read_image`. `name` stands in error messages."""
    if not data:
        raise ImageError(f"{name}: the file is empty")
    raw = np.frombuffer(data, np.uint8)
    _refuse_bombs(data, name)
    if _is_truncated(data):
        raise ImageError(f"{name}: the file is cut off before its end")
    try:
        # Only IMREAD_COLOR applies EXIF and turns CMYK; only IMREAD_UNCHANGED keeps an alpha channel.
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR)
        if image is None:
            raise ImageError(f"{name}: not a picture that OpenCV can decode")
        if _may_have_alpha(data):
            unchanged = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
            if unchanged is not None and unchanged.ndim == 3 and unchanged.shape[2] == 4:
                return np.ascontiguousarray(_on_white(unchanged)[..., ::-1])
    except cv2.error as error:
        raise ImageError(f"{name}: {error.err or 'cannot be decoded'}") from None
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def write_image(path: str | os.PathLike[str], image: Frame) -> None:
    """Write a frame as a picture file of the kind that the path's suffix says, whole or not at all.

    Raises:
        ValueError: OpenCV knows no such kind of picture.
        OSError: the file cannot be written.
    """
    path = Path(path)
    try:
        done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        raise ValueError(
            f"{path}: {path.suffix or 'no suffix'} is no kind of picture that can be written; use .jpg or .png"
        )
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data.tobytes())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _on_white(bgra: npt.NDArray[Any]) -> Frame:
    top = float(np.iinfo(bgra.dtype).max)
    alpha = bgra[..., 3:].astype(np.float32) / top
    flat: Frame = np.round(bgra[..., :3] * np.float32(255 / top) * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return flat


def _may_have_alpha(data: bytes) -> bool:
    return data.startswith((b"\x89PNG", b"II*\0", b"MM\0*")) or data[8:12] == b"WEBP"


def _is_truncated(data: bytes) -> bool:
    """OpenCV decodes the head of a cut-off JPEG or PNG in silence and fills the rest with grey."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-65536:]
    if not data.startswith(b"\xff\xd8"):
        return False
    # The end is looked for behind the start of the scan: a thumbnail in the header has an end of its own, and phones
    # append whole films behind the real one.
    scan = max((position for marker, position in _jpeg_segments(data) if marker == 0xDA), default=None)
    return scan is None or data.find(b"\xff\xd9", scan) < 0


def _refuse_bombs(data: bytes, name: str) -> None:
    size = _declared_size(data)
    if size and size[0] * size[1] > MAX_PIXELS:
        raise ImageError(f"{name}: declares {size[0]} x {size[1]} pixels, more than {MAX_PIXELS // 10**6} megapixels")


def _declared_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from a PNG's or JPEG's header; None for other formats."""
    if data.startswith(b"\x89PNG") and data[12:16] == b"IHDR":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    for marker, position in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            return int.from_bytes(data[position + 7 : position + 9], "big"), height
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and position of each segment of a JPEG's header, up to the start of the first scan (0xDA)."""
    position = 2 if data.startswith(b"\xff\xd8") else len(data)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        yield marker, position
        if marker == 0xDA:
            return
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
