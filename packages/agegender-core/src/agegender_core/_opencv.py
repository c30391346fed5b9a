"""OpenCV's border: its messages are kept off stderr here, and the versions' differences end here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Whether OpenCV can be told of a path: it takes no other encoding, and fails without a sentence."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _logging() -> Any:
    # OpenCV 5 moved the two functions; 4 has them at the top.
    return cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV and FFmpeg from writing to stderr while the block runs.

    What goes wrong is said by our exceptions; the raw messages would tear a progress bar apart. A level that the user
    has set in ``OPENCV_FFMPEG_LOGLEVEL`` stays.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = _logging()
    before = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(before)
