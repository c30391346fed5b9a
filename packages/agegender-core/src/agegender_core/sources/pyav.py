"""Files, network streams and pipes, by PyAV: with presentation times, rotation, and errors that can be told."""

from __future__ import annotations

import errno
import math
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from agegender_core.faces import Frame
from agegender_core.files import is_utf8
from agegender_core.frames import contiguous

from .frames import RawFrame, SourceError

_LIVE_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp")
_MOST_ERRORS = 50  # in a row
_PICTURE_FORMATS = ("image2", "_pipe")


class AvReader:
    """Reads the first video stream of a container; see `Reader`.

    Args:
        source: what `av.open` takes.
        name: for messages.
        is_live: frames come at their own pace; ``None``: unless there is a duration.
        options: FFmpeg's, for the container.
        timeout: seconds for opening, and seconds for reading; ``None``: as long as it takes.

    Raises:
        SourceError: it can't be opened, or there is no video in it that can be decoded.
    """

    def __init__(
        self,
        source: str | BinaryIO | _Pipe,
        name: str,
        *,
        is_live: bool | None = False,
        options: dict[str, str] | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> None:
        import av

        self._name, self._source = name, source
        self.broken = 0
        self.has_sound = False
        self.problem = ""
        try:
            self._container: Any = av.open(source, options=options or {}, timeout=timeout, metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if not isinstance(source, str):
                source.close()
            raise SourceError(f"{name} {_why_not_open(error)}") from None
        try:
            self._open_stream(is_live)
        except SourceError:
            self.close()
            raise

    def _open_stream(self, is_live: bool | None) -> None:
        from av.codec.context import Flags

        container = self._container
        if not container.streams.video:
            kinds = sorted({stream.type for stream in container.streams})
            raise SourceError(f"{self._name} has no video in it{', only ' + ' and '.join(kinds) if kinds else ''}")
        self._stream = container.streams.video[0]
        self.has_sound = bool(container.streams.audio)
        self.is_live = container.duration is None if is_live is None else is_live
        self.is_picture = any(container.format.name.endswith(end) for end in _PICTURE_FORMATS)
        if self._stream.codec_context is None:
            raise SourceError(f"{self._name} is in a codec that can't be decoded here")
        self.codec = str(self._stream.codec_context.name)
        # Threads that work on whole frames are faster, and as many frames late as there are of them.
        self._stream.thread_type = "SLICE" if self.is_live else "AUTO"
        if self.is_live:
            self._stream.codec_context.flags |= int(Flags.low_delay)
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else 0.0
        self.frame_count: int | None = None
        if not self.is_live:
            estimated = 0 if container.duration is None else round(container.duration / 1e6 * self.fps)
            self.frame_count = self._stream.frames or estimated or None
        self._packets: Iterator[Any] = iter(container.demux(self._stream))
        self._decoded: deque[Any] = deque()
        self._ended = False
        self._arrived = time.time()

    def read(self) -> RawFrame | None:
        """The next frame, or ``None`` at the end. Raises SourceError where a live source fails."""
        while not self._decoded and not self._ended:
            self._decoded.extend(self._decode_next())
        if not self._decoded:
            return None
        frame = self._decoded.popleft()
        self.broken += bool(frame.is_corrupt)
        seconds = math.nan if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
        return RawFrame(seconds, self._arrived, partial(_rgb, frame))

    def _decode_next(self) -> list[Any]:
        import av

        errors = 0
        while True:
            try:
                packet = next(self._packets, None)
                self._arrived = time.time()
                if packet is None:
                    self._ended = True
                    return []
                return list(packet.decode())
            except av.error.InvalidDataError as error:
                # One packet that is no good; the decoder goes on with the next.
                self.broken += 1
                errors += 1
                self.problem = _text_of(error)
                if errors >= _MOST_ERRORS:
                    self._ended = True
                    return []
                self._packets = iter(self._container.demux(self._stream))
            except (av.error.FFmpegError, OSError, ValueError) as error:
                self._ended = True
                self.problem = _text_of(error)
                if self.is_live:
                    raise SourceError(f"{self._name}: {self.problem}") from None
                return self._rest()

    def _rest(self) -> list[Any]:
        import av

        try:
            return list(self._stream.decode(None))
        except (av.error.FFmpegError, OSError, ValueError):
            return []

    def close(self) -> None:
        """Let the file or connection go."""
        self._container.close()
        if not isinstance(self._source, str):
            self._source.close()


class _Pipe:
    """Standard input for PyAV: gives what there is, where a buffered file would wait for more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        read = getattr(self._file, "read1", self._file.read)
        return bytes(read(size))

    def close(self) -> None:
        """Let it go."""
        self._file.close()


def _rgb(frame: Any) -> Frame:
    image = frame.to_ndarray(format="rgb24")
    quarters = round(frame.rotation / 90) % 4
    return contiguous(np.rot90(image, quarters))


def _text_of(error: Exception) -> str:
    import av

    if isinstance(error, av.error.ExitError):
        return "nothing came in time"
    # Not str(error): it has the URL, with its password.
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _why_not_open(error: Exception) -> str:
    import av

    number = getattr(error, "errno", None)
    if isinstance(error, av.error.ExitError):
        return "does not open: no answer in time"
    if number in (errno.EACCES, errno.EPERM):
        return "can't be opened: access is not allowed"
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return "is not a video that can be read: broken, cut off, or of another kind"
    return f"does not open: {_text_of(error)}"


def open_file(path: Path) -> AvReader:
    """A video file, whatever its name. Raises SourceError."""
    if is_utf8(path.absolute()):
        # FFmpeg would take "a:b.mp4" for a protocol.
        return AvReader(f"file:{path.absolute()}", str(path))
    return AvReader(path.open("rb"), str(path))


def open_url(url: str, name: str, stall: float) -> AvReader:
    """A network stream, or a video on a server: live where it has no end. Raises SourceError."""
    scheme = url.partition("://")[0].lower()
    is_live = True if scheme in _LIVE_SCHEMES else None
    options = {"fflags": "nobuffer"} if is_live else {}
    if scheme.startswith("rtsp"):
        options.update(rtsp_flags="prefer_tcp", analyzeduration="500000", reorder_queue_size="0")
    return AvReader(url, name, is_live=is_live, options=options, timeout=(stall, stall))


def open_pipe(file: BinaryIO, name: str, fps: float | None = None) -> AvReader:
    """Whatever FFmpeg recognises on a pipe: MJPEG (of `fps`), MPEG-TS, Matroska and others. Raises SourceError."""
    return AvReader(_Pipe(file), name, options={} if fps is None else {"framerate": str(fps)})
