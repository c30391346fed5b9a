"""Pictures as people have them, turned into frames."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .faces import Frame
from .files import write_bytes
from .picture_headers import Header, read_header

MAX_PIXELS = 200_000_000
"""Pictures that declare more pixels than this are refused before they are decoded."""

_ROWS = 64
_IMREAD_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)
"""libjpeg writes RGB as fast as BGR, so that nothing has to be swapped; OpenCV has it since 4.11."""


class ImageError(ValueError):
    """A picture that cannot be used; the message names it and says why."""


def read_image(path: str | os.PathLike[str]) -> Frame:
    """Read a picture file as a frame: uint8 RGB (H, W, 3), C-contiguous.

    The orientation in its EXIF data (or of a TIFF) is applied, grey becomes three equal channels, transparent pixels
    are laid on white, CMYK is turned into RGB, 16 bits are scaled to 8. Of an animation it is the first picture.

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
    header = read_header(data)
    if header.size and header.size[0] * header.size[1] > MAX_PIXELS:
        width, height = header.size
        raise ImageError(f"{name}: declares {width} x {height} pixels, more than {MAX_PIXELS // 10**6} megapixels")
    if header.cut_off:
        raise ImageError(f"{name}: the file is cut off before its end")
    try:
        frame = _decode(data, header)
    except cv2.error as error:
        raise ImageError(f"{name}: {error.err or 'cannot be decoded'}") from None
    if frame is None:
        raise ImageError(f"{name}: not a picture that OpenCV can decode")
    return frame


def decode_own(data: bytes, name: str = "picture") -> Frame:
    """Decode a picture that we encoded ourselves, without alpha or orientation: `decode_image` less its checks.

    Raises:
        ImageError: the bytes are empty, broken or no picture.
    """
    try:
        frame = _decode_rgb(np.frombuffer(data, np.uint8), 0) if data else None
    except cv2.error:
        frame = None
    if frame is None:
        raise ImageError(f"{name}: can't be decoded")
    return frame


def _decode(data: bytes, header: Header) -> Frame | None:
    raw = np.frombuffer(data, np.uint8)
    if header.tiff_orientation_at is not None and header.orientation != 1:
        # OpenCV always turns TIFFs. We turn all kinds of pictures ourselves, so it gets this one marked as upright.
        raw = raw.copy()
        raw[header.tiff_orientation_at : header.tiff_orientation_at + 2] = (
            (1, 0) if header.tiff_order == "little" else (0, 1)
        )
    if header.may_have_alpha:
        # Only IMREAD_UNCHANGED keeps an alpha channel; it does not turn the picture, and leaves CMYK as it is.
        unchanged = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
        if unchanged is not None and unchanged.ndim == 3 and unchanged.shape[2] == 4 and unchanged.dtype.kind == "u":
            return _upright(_on_white(unchanged), header.orientation or 1)
    # A format that our header reader doesn't know is turned by OpenCV.
    by_opencv = 0 if header.orientation is None else cv2.IMREAD_IGNORE_ORIENTATION
    frame = _decode_rgb(raw, by_opencv)
    return frame if frame is None else _upright(frame, header.orientation or 1)


def _decode_rgb(raw: npt.NDArray[np.uint8], flags: int) -> Frame | None:
    if _IMREAD_RGB is not None:
        return cv2.imdecode(raw, _IMREAD_RGB | flags)  # type: ignore[return-value]
    bgr = cv2.imdecode(raw, cv2.IMREAD_COLOR | flags)
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _upright(frame: Frame, orientation: int) -> Frame:
    """`frame` turned as EXIF's `orientation` 1..8 asks, C-contiguous."""
    if orientation >= 5:  # 5..8: rows and columns change places first
        frame = frame.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        frame = frame[:, ::-1]
    if orientation in (3, 4, 7, 8):
        frame = frame[::-1]
    return np.ascontiguousarray(frame)


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
    write_bytes(path, data.tobytes())


def _on_white(bgra: npt.NDArray[Any]) -> Frame:
    """A BGRA picture of any depth as RGB; some rows at a time, since floats take four times the memory."""
    top = float(np.iinfo(bgra.dtype).max)
    flat = np.empty((*bgra.shape[:2], 3), np.uint8)
    for start in range(0, len(bgra), _ROWS):
        rows = bgra[start : start + _ROWS]
        alpha = rows[..., 3:].astype(np.float32) / top
        flat[start : start + _ROWS] = np.round(rows[..., 2::-1] * np.float32(255 / top) * alpha + 255 * (1 - alpha))
    return flat
