"""Pictures as people have them, turned into frames."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ._opencv import quiet_opencv
from .files import write_bytes
from .frames import Frame, as_frame, contiguous
from .picture_headers import Header, read_header

MAX_PIXELS = 200_000_000
"""Pictures that declare more pixels than this are refused before they are decoded."""

PICTURE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif",
    ".tiff", ".gif", ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".pbm", ".pgm",
    ".ppm", ".pnm", ".pam", ".pfm", ".ras", ".sr", ".hdr", ".exr", ".tga", ".ico", ".pcx", ".sgi",
))  # fmt: skip
"""How the names of pictures end, in lower case, in every format that a camera, a phone, OpenCV or Pillow writes: what
can't be decoded is to be a result with its reason, and not to be passed over."""


def has_picture_suffix(path: PurePath) -> bool:
    """Whether a file's name ends as those of pictures do."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def is_picture_file(path: Path) -> bool:
    """Whether a file that lies in a folder is to be read as a picture; a link that leads nowhere is, and fails then.

    What begins with a dot is hidden, and a named pipe would be waited for without an end.
    """
    return not path.name.startswith(".") and has_picture_suffix(path) and (path.is_file() or not path.exists())


_ROWS = 64
_OVERSHOOT = 0.1  # beyond black and white: what a sharpening filter leaves in floating-point pixels
_IMREAD_RGB: int | None = getattr(cv2, "IMREAD_COLOR_RGB", None)
"""libjpeg writes RGB as fast as BGR, so that nothing has to be swapped; OpenCV has it since 4.11."""


class ImageError(ValueError):
    """A picture that cannot be used; the message names it and says why."""


def read_image(path: str | os.PathLike[str]) -> Frame:
    """Read a picture file as a frame: uint8 RGB (H, W, 3), C-contiguous.

    The orientation in its EXIF data (or of a TIFF) is applied, grey becomes three equal channels, transparent pixels
    are laid on white, CMYK is turned into RGB, 16 bits and floating-point pixels from 0 to 1 are scaled to 8 bits. Of
    an animation it is the first picture. HEIC needs ``agegender-core[heic]``.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: the file is empty, broken, truncated or no picture, or too large for the memory.
    """
    return decode_image(read_file(path), str(path))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The content of a picture file, for `decode_image`.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: it is a folder, or too large for the memory.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path}: is a folder, not a picture")
    try:
        return path.read_bytes()
    except MemoryError:
        raise ImageError(f"{path}: {_TOO_LARGE}") from None


def decode_image(data: bytes | bytearray | memoryview | npt.NDArray[np.uint8], name: str = "picture") -> Frame:
    """Decode a picture file's bytes; see `read_image`.

    Args:
        data: the file's content: bytes, or uint8 (n,) as ``numpy.fromfile`` gives it.
        name: stands in error messages.

    Raises:
        ImageError: as `read_image`.
        ValueError: an array of another dtype or shape.
    """
    data = _as_bytes(data)
    if not data:
        raise ImageError(f"{name}: the file is empty")
    header = read_header(data)
    if header.size and header.size[0] * header.size[1] > MAX_PIXELS:
        width, height = header.size
        raise ImageError(f"{name}: declares {width} x {height} pixels, more than {MAX_PIXELS // 10**6} megapixels")
    if header.cut_off:
        raise ImageError(f"{name}: the file is cut off before its end")
    try:
        with quiet_opencv():
            frame = _decode_heic(data) if header.heic else _decode(data, header)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise ImageError(f"{name}: {_TOO_LARGE}") from None
        raise ImageError(f"{name}: {error.err or 'cannot be decoded'}") from None
    except MemoryError:
        raise ImageError(f"{name}: {_TOO_LARGE}") from None
    except _UnreadableError as error:
        raise ImageError(f"{name}: {error}") from None
    if frame is None:
        raise ImageError(f"{name}: not a picture that OpenCV can decode")
    return frame


_TOO_LARGE = "there is too little memory to decode it"


class _UnreadableError(Exception):
    """Why a picture can't be used, without its name."""


def _as_bytes(data: Any) -> bytes:
    if isinstance(data, np.ndarray):
        if data.dtype != np.uint8 or data.ndim != 1:
            raise ValueError(
                f"data must hold a picture file's bytes, uint8 (n,), got {data.dtype} of shape {data.shape}: "
                "an array of pixels needs no decoding"
            )
        return data.tobytes()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ValueError(f"data must be a picture file's bytes, got {type(data).__name__}; read_image takes a path")
    return bytes(data)


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


_ONLY_FROM_FILES = (b"#?RADIANCE", b"#?RGBE", b"\x59\xa6\x6a\x95")
"""How the files begin whose decoders in OpenCV don't read from memory: Radiance and Sun raster. `cv2.imdecode` writes
them to a temporary file itself, which it leaves behind where it refuses the picture (4.10; Radiance in 5.0). PFM was
such a kind in 4.10, too, but `cv2.imread` doesn't read grey ones."""


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """The path of a file with this content, where the system can do so in memory only; it is gone afterwards."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("picture"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.TemporaryDirectory(prefix="agegender-") as folder:
        path = Path(folder, "picture")
        path.write_bytes(data)
        yield str(path)


def _pixels(raw: npt.NDArray[np.uint8], flags: int) -> npt.NDArray[Any] | None:
    """As ``cv2.imdecode``."""
    if not raw[:10].tobytes().startswith(_ONLY_FROM_FILES):
        return cv2.imdecode(raw, flags)
    with _as_file(raw.tobytes()) as path:
        return cv2.imread(path, flags)


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
        unchanged = _pixels(raw, cv2.IMREAD_UNCHANGED)
        if unchanged is not None and unchanged.dtype not in (np.uint8, np.uint16):
            unchanged = _sixteen_bits(unchanged)
            if unchanged.ndim == 2 or unchanged.shape[2] == 3:
                return _upright(_eight_bits(unchanged), header.orientation or 1)
        if unchanged is not None and unchanged.ndim == 3 and unchanged.shape[2] == 4:
            return _upright(on_white(unchanged), header.orientation or 1)
    # A format that our header reader doesn't know is turned by OpenCV.
    by_opencv = 0 if header.orientation is None else cv2.IMREAD_IGNORE_ORIENTATION
    frame = _decode_rgb(raw, by_opencv)
    if frame is None:
        return None
    if frame.ndim == 2:  # OpenCV leaves a grey PFM grey, whatever it is asked for
        frame = np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB), np.uint8)
    return _upright(frame, header.orientation or 1)


def _decode_heic(data: bytes) -> Frame:
    try:
        import pillow_heif
    except ImportError:
        raise _UnreadableError("HEIC needs the extra agegender-core[heic]: pip install pillow-heif") from None
    try:
        # libheif turns the picture upright itself.
        picture = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True).to_pillow()
        rgba = np.asarray(picture.convert("RGBA")) if picture.mode in ("RGBA", "LA", "RGBa") else None
        return np.ascontiguousarray(picture.convert("RGB")) if rgba is None else on_white(rgba[..., [2, 1, 0, 3]])
    except (ValueError, OSError, RuntimeError, EOFError) as error:
        raise _UnreadableError(f"HEIC that can't be decoded: {error}") from None


def _sixteen_bits(picture: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Pixels of any other dtype in 16 bits, where it is plain what black and white are."""
    kind = picture.dtype
    if kind.kind == "u":
        return (picture >> (8 * (kind.itemsize - 2))).astype(np.uint16)
    least, most = float(picture.min()), float(picture.max())
    if kind.kind != "f":
        raise _UnreadableError(f"its pixels are {kind} from {least:.0f} to {most:.0f}, which leaves open what is white")
    # Not a number is in no range.
    if not (least >= -_OVERSHOOT and most <= 1 + _OVERSHOOT):
        raise _UnreadableError(f"its pixels are {kind} from {least:g} to {most:g}; of such, 0 is black and 1 is white")
    return np.asarray(np.round(picture.clip(0, 1) * kind.type(65535)), np.uint16)


def _eight_bits(picture: npt.NDArray[np.uint16]) -> Frame:
    """A grey or BGR picture of 16 bits as RGB."""
    eight = cv2.convertScaleAbs(picture, alpha=255 / 65535)
    return np.asarray(cv2.cvtColor(eight, cv2.COLOR_GRAY2RGB if eight.ndim == 2 else cv2.COLOR_BGR2RGB), np.uint8)


def _decode_rgb(raw: npt.NDArray[np.uint8], flags: int) -> Frame | None:
    if _IMREAD_RGB is not None:
        return _pixels(raw, _IMREAD_RGB | flags)
    bgr = _pixels(raw, cv2.IMREAD_COLOR | flags)
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _upright(frame: Frame, orientation: int) -> Frame:
    """`frame` turned as EXIF's `orientation` 1..8 asks, C-contiguous."""
    if orientation >= 5:  # 5..8: rows and columns change places first
        frame = frame.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        frame = frame[:, ::-1]
    if orientation in (3, 4, 7, 8):
        frame = frame[::-1]
    return contiguous(frame)


def write_image(path: str | os.PathLike[str], image: Frame, *, bgr: bool = False, comment: str | None = None) -> None:
    """Write a frame as a picture file of the kind that the path's suffix says, whole or not at all.

    Args:
        path: of the file; an earlier one of that name is replaced.
        image: uint8 (H, W, 3), RGB.
        bgr: the image's channels are blue, green, red, as OpenCV has them.
        comment: of a JPEG, text to go into its header, see `read_comment`; other kinds are written without.

    Raises:
        ValueError: an image of another dtype or shape, or OpenCV knows no such kind of picture.
        OSError: the file cannot be written.
    """
    path = Path(path)
    image = as_frame(image, bgr)
    try:
        done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        raise ValueError(
            f"{path}: {path.suffix or 'no suffix'} is no kind of picture that can be written; use .jpg or .png"
        )
    content = data.tobytes()
    if comment is not None and content.startswith(_JPEG_START):
        text = comment.encode()
        content = _JPEG_START + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + content[2:]
    write_bytes(path, content)


_JPEG_START = b"\xff\xd8"


def read_comment(path: str | os.PathLike[str]) -> str | None:
    """The comment that `write_image` wrote into a JPEG file; ``None`` for other files, and where there is none."""
    with open(path, "rb") as file:
        start = file.read(6)
        if start[:4] != _JPEG_START + b"\xff\xfe":
            return None
        return file.read(max(0, int.from_bytes(start[4:6], "big") - 2)).decode(errors="replace")


def on_white(bgra: npt.NDArray[Any]) -> Frame:
    """A BGRA picture of any depth as RGB; some rows at a time, since floats take four times the memory."""
    top = float(np.iinfo(bgra.dtype).max)
    flat = np.empty((*bgra.shape[:2], 3), np.uint8)
    for start in range(0, len(bgra), _ROWS):
        rows = bgra[start : start + _ROWS]
        if rows.dtype == np.uint8 and rows[..., 3].min() == 255:  # as all of a screenshot's are
            flat[start : start + _ROWS] = cv2.cvtColor(rows, cv2.COLOR_BGRA2RGB)
            continue
        alpha = rows[..., 3:].astype(np.float32) / top
        flat[start : start + _ROWS] = np.round(rows[..., 2::-1] * np.float32(255 / top) * alpha + 255 * (1 - alpha))
    return flat
