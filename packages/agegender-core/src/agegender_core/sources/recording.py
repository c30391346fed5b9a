"""Sources that have an end: every frame, in order."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .clocks import MediaClock
from .frames import RawFrame, Reader, Source, SourceError, TimedFrame, sane_fps
from .read_ahead import ReadAhead

_PADDING = 4096  # bytes: some programs fill the last block of a file with zeros


class Recording(Source):
    """A file or a folder of pictures: gives every frame, each with its presentation time.

    Args:
        reader: what it is read by.
        name: see `Source`.
        slug: see `Source`.
        file: the file, where it is one.

    Raises:
        SourceError: there is no frame in it.
    """

    def __init__(self, reader: Reader, name: str, slug: str, file: Path | None = None) -> None:
        super().__init__(name, slug)
        self._file = file
        self.fps = sane_fps(reader.fps)
        self.frame_count, self.has_sound = reader.frame_count, reader.has_sound
        self.connections = 1
        self._clock = MediaClock(self.fps)
        # The first frame is read now: it proves that there is one, and only it tells the size for sure.
        first = reader.read()
        if first is None:
            reader.close()
            raise SourceError(f"{name} opens but gives no frame{no_frame_reason(reader)}")
        self.start = first.seconds if math.isfinite(first.seconds) else 0.0
        self._first: TimedFrame | None = self._timed(first)
        self._ahead: ReadAhead | None = ReadAhead(reader)
        self.height, self.width = self._first.image.shape[:2]

    def _timed(self, raw: RawFrame) -> TimedFrame:
        frame = TimedFrame(raw.image(), self.received, self._clock(raw.seconds), self.name)
        self.received += 1
        return frame

    def __next__(self) -> TimedFrame:
        """See `Source`."""
        if self._ahead is None:
            raise StopIteration
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        raw, reader = self._ahead.read(), self._ahead.reader
        self.broken = reader.broken
        if raw is not None:
            return self._timed(raw)
        if self.frame_count is not None:
            # Containers without an index estimate the number from the duration: a small difference means nothing.
            self.truncated = self.received < self.frame_count - max(2, self.frame_count // 50)
        if self._file is not None and is_unfinished_gif(self._file):
            self.truncated = True
        if self.broken:
            reason = f" ({reader.problem})" if reader.problem else ""
            self.notes.append(f"{self.name}: {self.broken} frames could not be decoded, or not whole{reason}")
        self.close()
        raise StopIteration

    def close(self) -> None:
        """See `Source`."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None


def is_unfinished_gif(file: Path) -> bool:
    """Whether a GIF was cut off: it announces no number of frames, but ends with a trailer (GIF89a, section 27)."""
    try:
        with file.open("rb") as opened:
            if opened.read(4) != b"GIF8":
                return False
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - _PADDING))
            return not opened.read().rstrip(b"\0").endswith(b";")
    except OSError:
        return False


def no_frame_reason(reader: Reader) -> str:
    """Why a reader gave nothing, as far as it is known."""
    codec = getattr(reader, "codec", "")
    if reader.problem:
        return f": {reader.problem}{f' (codec {codec})' if codec else ''}"
    return f" (codec {codec})" if codec else ""
