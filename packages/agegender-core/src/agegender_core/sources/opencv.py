"""Cameras, by OpenCV; and files where PyAV isn't installed."""

from __future__ import annotations

import math
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agegender_core._opencv import quiet_opencv
from agegender_core.faces import Frame
from agegender_core.files import is_utf8

from .frames import RawFrame, SourceError


class CaptureReader:
    """Reads from an opened `cv2.VideoCapture`, which it takes over; see `Reader`."""

    def __init__(self, capture: cv2.VideoCapture, is_live: bool) -> None:
        self._capture = capture
        self.fps = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_count = int(count) if 0 < count < 2**40 and not is_live else None
        self.is_live = is_live
        self.broken = 0
        self.has_sound = False
        self.problem = ""

    def read(self) -> RawFrame | None:
        """The next frame, or ``None``: OpenCV says of no end why it came."""
        with quiet_opencv():
            ok, picture = self._capture.read()
        if not ok or picture is None or picture.size == 0:
            return None
        seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        return RawFrame(seconds, time.time(), partial(_rgb, picture))

    def close(self) -> None:
        """Let the device go."""
        self._capture.release()


def _rgb(picture: Any) -> Frame:
    code = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)


def open_camera(number: int, stall: float) -> CaptureReader:
    """A camera of this machine. Raises SourceError where it doesn't open."""
    # Read by OpenCV on Linux when it first opens a camera; its own default is 10 seconds.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, math.ceil(stall))))
    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise SourceError(f"camera {number} does not open: there is none, it is in use, or access is not allowed")
    return CaptureReader(capture, is_live=True)


def open_file(path: Path) -> CaptureReader:
    """A video file. Raises SourceError where OpenCV can't read it."""
    if not is_utf8(path.absolute()):
        raise SourceError(
            f"{path} can't be opened: its name or that of a folder is not UTF-8; rename it, or pip install av"
        )
    with quiet_opencv():
        # An absolute path: FFmpeg would take "a:b.mp4" for a protocol.
        capture = cv2.VideoCapture(str(path.absolute()))
    if not capture.isOpened():
        raise SourceError(f"{path} is not a video that can be read: broken, cut off, or of another kind")
    return CaptureReader(capture, is_live=False)


def open_url(url: str, name: str, stall: float) -> CaptureReader:
    """A network stream or a video on a server. Raises SourceError where it doesn't open."""
    limit = math.ceil(1000 * stall)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
    with quiet_opencv():
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(f"{name} does not open: no such host or stream, or not a video")
    return CaptureReader(capture, is_live=not capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0)
