"""OpenCV's border: its messages are kept off stderr here, and the versions' differences end here."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2


def _logging() -> Any:
    # OpenCV 5 moved the two functions; 4 has them at the top.
    return cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging


class _Quiet:
    """The level is one for all threads: the first to be quiet turns it down, the last one up again."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocks = 0
        self.before: Any = None


_quiet = _Quiet()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV and FFmpeg from writing to stderr while the block runs.

    What goes wrong is said by our exceptions; the raw messages would tear a progress bar apart. A level that the user
    has set in ``OPENCV_FFMPEG_LOGLEVEL`` stays.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = _logging()
    with _quiet.lock:
        if _quiet.blocks == 0:
            _quiet.before = logging.getLogLevel()
            logging.setLogLevel(0)
        _quiet.blocks += 1
    try:
        yield
    finally:
        with _quiet.lock:
            _quiet.blocks -= 1
            if _quiet.blocks == 0:
                logging.setLogLevel(_quiet.before)
