"""Sources of frames: recorded files, cameras and network streams, each an iterator of frames that carry their time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import cv2

from ._opencv import quiet_opencv
from .faces import Frame
from .files import is_utf8

_DEFAULT_FPS = 25.0
_TIMEOUT_MS = 10_000
_LONGEST = 1e9


class SourceError(OSError):
    """A source that can't be opened or read; the message names it."""


class SourceLostError(SourceError):
    """A live source that gave frames and then stopped: a camera pulled out, a stream that broke off."""


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """One frame of a source.

    Attributes:
        image: uint8 RGB (H, W, 3).
        index: number of the frame, from 0, without gaps.
        time: seconds since the first frame; strictly rising.
    """

    image: Frame
    index: int
    time: float


class MediaClock:
    """Turns the times that a container reports into seconds since its first frame that always rise.

    Containers lie: some backends report 0 for each frame, some streams jump back where they were joined. Such a step
    counts as one frame at the nominal rate, and what follows goes on from there.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1.0 / fps
        self._last: float | None = None
        self._offset: float | None = None

    def __call__(self, reported: float) -> float:
        """The time of the next frame; `reported` in seconds, of any quality."""
        now = expected = 0.0 if self._last is None else self._last + self._step
        if abs(reported) < _LONGEST:  # else infinite, NaN or absurd
            self._offset = reported - expected if self._offset is None else self._offset
            now = reported - self._offset
            if self._last is not None and now <= self._last:
                now, self._offset = expected, reported - expected
        self._last = now
        return now


class WallClock:
    """The time at which a live frame arrived: a camera's own stamps are often absent or start anywhere."""

    def __init__(self) -> None:
        self._start: float | None = None

    def __call__(self, reported: float) -> float:
        """Seconds since the first call."""
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        return now - self._start


Clock: TypeAlias = Callable[[float], float]


class Source:
    """An open video: iterate once over its frames; a context manager that lets the device or file go.

    Made by `open_source`. Not safe to share between threads.

    Attributes:
        name: what was opened, for messages; a password in a URL is masked.
        fps: nominal frames per second; 25 when the source doesn't say.
        frame_count: frames that a recording announces; ``None`` for live sources and where unknown. May be wrong.
        width: pixels of the first frame.
        height: pixels of the first frame.
        is_live: frames come at their own pace and never end by themselves.
        truncated: after the last frame of a recording: it ended well before the number of frames it announces.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, live: bool | None = None) -> None:
        """Take over an opened `capture`; `live` None means live when no number of frames is known."""
        self._capture = capture
        self.name = name
        fps = capture.get(cv2.CAP_PROP_FPS)
        # Streams without a rate report 0, 1000 or the 90 kHz of their clock.
        self.fps = fps if 0.0 < fps <= 240.0 else _DEFAULT_FPS
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_count = int(count) if 0 < count < 2**40 else None
        self.is_live = self.frame_count is None if live is None else live
        self.truncated = False
        self._clock: Clock = WallClock() if self.is_live else MediaClock(self.fps)
        self._index = 0
        # The first frame is read now: it proves that there is one, and only it tells the size for sure.
        self._first = self._read()
        if self._first is None:
            capture.release()
            raise SourceError(f"{name} opens but gives no frame")
        self.height, self.width = self._first.image.shape[:2]

    def _read(self) -> TimedFrame | None:
        with quiet_opencv():
            ok, picture = self._capture.read()
        if not ok or picture is None or picture.size == 0:
            return None
        seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        code = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
        frame = TimedFrame(cv2.cvtColor(picture, code), self._index, self._clock(seconds))  # type: ignore[arg-type]
        self._index += 1
        return frame

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> TimedFrame:
        """The next frame.

        Raises:
            SourceLostError: a live source stopped giving frames.
            StopIteration: a recording is over, or the source was closed.
        """
        if not self._capture.isOpened():
            raise StopIteration
        frame, self._first = self._first or self._read(), None
        if frame is not None:
            return frame
        self.close()
        if self.is_live:
            raise SourceLostError(f"{self.name} stopped giving frames after {self._index} frames")
        if self.frame_count is not None:
            # Containers without an index estimate the number from the duration: a small difference means nothing.
            self.truncated = self._index < self.frame_count - max(2, self.frame_count // 50)
        raise StopIteration

    def close(self) -> None:
        """Let the device or file go; further frames end the iteration. May be called twice."""
        self._capture.release()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(source: str | int | Path) -> Source:
    """Open a video file, a camera or a network stream.

    Args:
        source: a path (what FFmpeg reads: MP4, MOV, MKV, AVI, WebM, GIF, ...), the number of a camera (``0`` or
            ``"0"``; a file of that name is ``"./0"``), or a URL (``rtsp://``, ``http://``, ``https://``, ``udp://``).

    Raises:
        FileNotFoundError: there is no such file.
        SourceError: a folder, a picture, a file that isn't a video, a camera or URL that doesn't open.
        ValueError: a negative camera number.
    """
    if isinstance(source, int) or (isinstance(source, str) and source.strip().isdecimal()):
        return _open_camera(int(source))
    if isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source):
        return _open_url(source)
    return _open_file(Path(source))


def _open_camera(number: int) -> Source:
    if number < 0:
        raise ValueError(f"source must be a camera number of 0 or more, got {number}")
    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise SourceError(f"camera {number} does not open: there is none, it is in use, or access is not allowed")
    return Source(capture, f"camera {number}", live=True)


def _open_url(url: str) -> Source:
    name = re.sub(r"(?<=://)[^/@]*@", "***@", url)
    if not is_utf8(url):
        raise SourceError(f"{name} does not open: the address is not UTF-8")
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
    with quiet_opencv():
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(f"{name} does not open: no such host or stream, or not a video")
    return Source(capture, name)


def _open_file(path: Path) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a video")
    if not is_utf8(path.absolute()):
        raise SourceError(f"{path} can't be opened: its name or that of a folder is not UTF-8; rename it")
    with quiet_opencv():
        # An absolute path: FFmpeg would take "a:b.mp4" for a protocol.
        capture = cv2.VideoCapture(str(path.absolute()))
        picture = cv2.haveImageReader(str(path))
    if not capture.isOpened():
        raise SourceError(f"{path} is not a video that can be read: broken, cut off, or of another kind")
    if picture and not capture.get(cv2.CAP_PROP_FRAME_COUNT) > 1:
        capture.release()
        raise SourceError(f"{path} is a picture, not a video: `read_image` and `agegender predict` take it")
    return Source(capture, str(path), live=False)
