"""Where drawn frames go: video files and windows. Context managers both."""

from __future__ import annotations

import math
import os
import sys
import time as clock
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

import cv2
import numpy as np

from ._opencv import quiet_opencv
from .faces import Frame
from .files import is_utf8

# H.264 plays in browsers too, but OpenCV's wheels can write it on some systems only; MPEG-4 is in all of them.
VIDEO_CODECS = {".mp4": ("avc1", "mp4v"), ".mov": ("avc1", "mp4v"), ".mkv": ("avc1", "mp4v"), ".avi": ("XVID", "MJPG")}
"""The codecs that are tried, in order, by the suffix of the file."""

_ESCAPE = 27


class SinkError(OSError):
    """A sink that can't be opened or written; the message names it."""


def partial_path(path: str | Path) -> Path:
    """The name under which a video is written until it is complete."""
    path = Path(path)
    return path.with_name(f"{path.stem}.partial{path.suffix}")


class FrameSink(Protocol):
    """Takes frames one by one."""

    @property
    def done(self) -> bool:
        """Whether the viewer has had enough."""

    def write(self, frame: Frame, time: float) -> None:
        """Take a frame: uint8 RGB (H, W, 3), and its time in seconds."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *exception: Any) -> None:
        """Close it."""


class VideoSink:
    """Writes frames into a video file.

    They go into ``NAME.partial.SUFFIX`` beside it, which becomes the file when the sink is closed. That happens after
    an exception and on Ctrl-C too, so that what was done can be played; a file of that name from an earlier run is
    replaced then and not before. Without a single frame no file is made.

    Args:
        path: ends in .mp4, .mov, .mkv or .avi.
        fps: frames per second of the file, > 0.
        size: width and height in pixels; frames of another size are resized.
        keep_time: repeat and leave out frames so that the video plays at the speed of their times: for live sources,
            which seldom come at their nominal rate. Otherwise each frame is written once.

    Attributes:
        codec: the four letters of the codec in use.
        frames: frames written so far.

    Raises:
        ValueError: an unknown suffix, or a rate or size that is not above 0.
        SinkError: the folder is missing, `path` is a folder or no UTF-8, or OpenCV has no codec for it.
    """

    done = False

    def __init__(self, path: str | Path, fps: float, size: tuple[int, int], keep_time: bool = False) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in VIDEO_CODECS:
            raise ValueError(f"path must end in {', '.join(VIDEO_CODECS)}, got {self.path}")
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps must be above 0, got {fps}")
        if min(size) < 1:
            raise ValueError(f"size must be a width and a height above 0, got {size}")
        if self.path.is_dir():
            raise SinkError(f"{self.path} is a folder")
        if not self.path.absolute().parent.is_dir():
            raise SinkError(f"{self.path} can't be written: there is no folder {self.path.parent}")
        if not is_utf8(self.path.absolute()):
            raise SinkError(f"{self.path} can't be written: its name or that of a folder is not UTF-8")
        self.fps, self.size, self.frames = fps, size, 0
        self._keep_time = keep_time
        self._partial = partial_path(self.path)
        self._writer, self.codec = self._open(VIDEO_CODECS[suffix])

    def _open(self, codecs: tuple[str, ...]) -> tuple[cv2.VideoWriter, str]:
        for codec in codecs:
            with quiet_opencv():
                fourcc = cv2.VideoWriter.fourcc(*codec)
                writer = cv2.VideoWriter(str(self._partial.absolute()), fourcc, self.fps, self.size)
            if writer.isOpened():
                return writer, codec
        self._partial.unlink(missing_ok=True)
        raise SinkError(f"{self.path} can't be written: no access, or no codec of {', '.join(codecs)} in this OpenCV")

    def write(self, frame: Frame, time: float) -> None:
        """Add a frame: uint8 RGB (H, W, 3), and its time in seconds."""
        if (frame.shape[1], frame.shape[0]) != self.size:
            # OpenCV would drop it without a word.
            frame = np.asarray(cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA), np.uint8)
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        for _ in range(self._repeats(time)):
            self._writer.write(bgr)
            self.frames += 1

    def _repeats(self, time: float) -> int:
        return max(0, round(time * self.fps) + 1 - self.frames) if self._keep_time else 1

    def close(self) -> None:
        """Finish the file and give it its name. May be called twice.

        Raises:
            SinkError: what was written can't be read again; the disk may be full.
        """
        if not self._writer.isOpened():
            return
        self._writer.release()
        if self.frames == 0:
            self._partial.unlink(missing_ok=True)
            return
        # OpenCV says nothing of a write that fails.
        with quiet_opencv():
            check = cv2.VideoCapture(str(self._partial.absolute()))
        playable = check.isOpened()
        check.release()
        if not playable:
            raise SinkError(f"{self._partial} can't be read back: is the disk full?")
        os.replace(self._partial, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


class WindowSink:
    """Shows frames in a window, no faster than their times say; q, Esc or closing the window ends it.

    Attributes:
        done: the user has ended it.

    Raises:
        SinkError: this OpenCV has no windows, or there is no screen.
    """

    def __init__(self, title: str = "agegender") -> None:
        self.title = title
        self.done = False
        self._start: float | None = None
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            # Checked here, since Qt would end the whole process.
            raise SinkError("no window can be shown: there is no screen (neither DISPLAY nor WAYLAND_DISPLAY is set)")
        try:
            with quiet_opencv():
                cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error:
            raise SinkError(
                "no window can be shown: the OpenCV that is installed has none (pip install opencv-python)"
            ) from None

    def write(self, frame: Frame, time: float) -> None:
        """Show a frame: uint8 RGB (H, W, 3), and its time in seconds."""
        if self._start is None:
            height, width = frame.shape[:2]
            shrink = min(1.0, 1280 / width, 800 / height)
            cv2.resizeWindow(self.title, round(width * shrink), round(height * shrink))
            self._start = clock.monotonic() - time
        cv2.imshow(self.title, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        early = time - (clock.monotonic() - self._start)
        key = cv2.waitKey(max(1, min(round(1000 * early), 1000))) & 0xFF
        closed = cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) < 1
        self.done = self.done or closed or key in (ord("q"), _ESCAPE)

    def close(self) -> None:
        """Close the window."""
        # OpenCV complains of a window that the user has closed.
        with suppress(cv2.error):
            cv2.destroyWindow(self.title)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
