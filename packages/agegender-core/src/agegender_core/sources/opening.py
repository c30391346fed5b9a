"""Which kind of source is meant."""

from __future__ import annotations

import glob
import mmap
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from agegender_core.files import is_utf8
from agegender_core.images import has_picture_suffix, is_picture_file
from agegender_core.picture_headers import gif_is_cut_off

from . import opencv
from .addresses import is_url, masked, slug_of
from .frames import DEFAULT_FPS, Reader, Source, SourceError
from .live import LiveSource
from .pictures import PicturesReader, in_order
from .raw import RawReader
from .recording import Recording

_STALL = 5.0


def open_source(
    source: str | int | Path,
    *,
    wait: bool = False,
    give_up: int | None = None,
    stall: float = _STALL,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
) -> Source:
    """Open a video file, pictures, a camera, a network stream or a pipe.

    Files are read by PyAV where it is installed (``pip install av``, the extra ``agegender-core[video]``), else by
    OpenCV, which knows less of times and errors; cameras by OpenCV.

    Args:
        source: a path (MP4, MOV, MKV, AVI, WebM, GIF, MJPEG, ...), a folder of pictures or a glob of them, the number
            of a camera (``0`` or ``"0"``; a file of that name is ``"./0"``), a URL (``rtsp://``, ``http://``, ``https://``,
            ``udp://``), or ``"-"`` for what comes on stdin.
        wait: go on trying where a live source can't be opened at first; then there may be no frame, and no size, yet.
        give_up: end with `SourceLostError` when a live source that was lost could not be opened again so many times in
            a row; ``None``: never.
        stall: seconds without data after which a live source counts as lost.
        size: width and height of the frames on stdin, which are then RGB bytes without a container.
        fps: frames per second of pictures, and of MJPEG and raw frames on stdin; 25 by default. Others tell theirs.

    Raises:
        FileNotFoundError: there is no such file.
        SourceError: a picture, a file that isn't a video, a camera or URL that doesn't open.
        ValueError: a negative camera number, or an option that is out of its range or not for this source.
    """
    if not stall > 0:
        raise ValueError(f"stall must be a number of seconds above 0, got {stall}")
    if give_up is not None and give_up < 0:
        raise ValueError(f"give_up must be 0 or more, got {give_up}")
    if fps is not None and not 0 < fps <= 1000:
        raise ValueError(f"fps must lie above 0 and be at most 1000, got {fps}")
    if size is not None and (str(source) != "-" or min(size) < 1):
        raise ValueError(f"size must be a width and a height above 0, and is for frames on stdin (-), got {size}")
    if isinstance(source, int) or (isinstance(source, str) and source.strip().isdecimal()):
        number = int(source)
        if number < 0:
            raise ValueError(f"source must be a camera number of 0 or more, got {number}")
        open_reader: Callable[[], Reader] = partial(opencv.open_camera, number, stall)
        return LiveSource(open_reader, f"camera {number}", f"camera-{number}", wait=wait, give_up=give_up)
    if str(source) == "-":
        return _open_stdin(size, fps)
    if isinstance(source, str) and is_url(source):
        return _open_url(source, stall, wait, give_up)
    path = Path(source)
    if path.is_dir():
        pictures = [one for one in path.rglob("*") if is_picture_file(one)]
        return _open_pictures(pictures, str(path), fps or DEFAULT_FPS)
    if not path.exists() and glob.has_magic(str(path)):
        found = [Path(one) for one in glob.glob(str(path), recursive=True)]
        if len(found) == 1 and not has_picture_suffix(found[0]):
            return _open_file(found[0])
        return _open_pictures([one for one in found if one.is_file()], str(path), fps or DEFAULT_FPS)
    return _open_file(path)


def _has_pyav() -> bool:
    return find_spec("av") is not None


def _open_pictures(pictures: list[Path], name: str, fps: float) -> Source:
    if not pictures:
        raise SourceError(f"no pictures in {name}")
    return Recording(PicturesReader(in_order(pictures), fps), name, slug_of(name))


def _open_stdin(size: tuple[int, int] | None, fps: float | None) -> Source:
    if sys.stdin is None:
        raise SourceError("stdin is closed")
    if size is None and not _has_pyav():
        raise SourceError("stdin can't be read without --size: what it is can be told with PyAV alone (pip install av)")
    # Unbuffered: a frame is to be had as soon as it is there.
    file: BinaryIO = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    if size is not None:
        return LiveSource(lambda: RawReader(file, size, fps or DEFAULT_FPS, "stdin"), "stdin", "stdin")
    from . import pyav

    return LiveSource(lambda: pyav.open_pipe(file, "stdin", fps), "stdin", "stdin")


def _open_url(url: str, stall: float, wait: bool, give_up: int | None) -> Source:
    name = masked(url)
    if not is_utf8(url):
        raise SourceError(f"{name} does not open: the address is not UTF-8")
    if _has_pyav():
        from . import pyav

        open_reader: Callable[[], Reader] = partial(pyav.open_url, url, name, stall)
    else:
        open_reader = partial(opencv.open_url, url, name, stall)
    return LiveSource(open_reader, name, slug_of(name), wait=wait, give_up=give_up)


def _open_file(path: Path) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if _has_pyav():
        from . import pyav

        found = pyav.open_file(path)
        picture = found.is_picture or (
            has_picture_suffix(path) and path.suffix.lower() != ".gif" and found.frame_count == 1
        )
        reader: Reader = found
    else:
        reader = opencv.open_file(path)
        picture = has_picture_suffix(path) and not (reader.frame_count or 0) > 1
    if picture:
        reader.close()
        raise SourceError(f"{path} is a picture, not a video: `read_image` and `agegender predict` take it")
    source = Recording(reader, str(path), slug_of(str(path)), is_whole=not _is_unfinished_gif(path))
    source.sound = path if source.has_sound else None
    return source


def _is_unfinished_gif(file: Path) -> bool:
    """Whether a GIF was cut off: unlike other files, it announces no number of frames that could be missed."""
    try:
        with file.open("rb") as opened:
            if opened.read(4) != b"GIF8":
                return False
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return gif_is_cut_off(data)
    except (OSError, ValueError):  # what can't be mapped is no file
        return False
