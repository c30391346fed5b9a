"""Sources that have an end: every frame, in order."""

from __future__ import annotations

import math

from agegender_core.spelling import count

from .clocks import MediaClock
from .frames import RawFrame, Reader, Source, SourceError, TimedFrame, sane_fps
from .read_ahead import ReadAhead


class Recording(Source):
    """A file or a folder of pictures: gives every frame, each with its presentation time.

    Args:
        reader: what it is read by.
        name: see `Source`.
        slug: see `Source`.
        is_whole: no part of the file is known to be missing, even if it announces no number of frames.

    Raises:
        SourceError: there is no frame in it.
    """

    def __init__(self, reader: Reader, name: str, slug: str, is_whole: bool = True) -> None:
        super().__init__(name, slug)
        self._is_whole = is_whole
        self.fps = sane_fps(reader.fps)
        # What is left of a file that was cut off announces nothing: FFmpeg counts the frames that begin in it.
        self.frame_count = reader.frame_count if is_whole else None
        self.has_sound = reader.has_sound
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
        # Containers without an index estimate the number from the duration: a small difference means nothing.
        announced = self.frame_count or 0
        self.truncated = not self._is_whole or self.received < announced - max(2, announced // 50)
        if self.broken:
            reason = f" ({reader.problem})" if reader.problem else ""
            self.notes.append(f"{self.name}: {count(self.broken, 'frame')} could not be decoded, or not whole{reason}")
        self.close()
        raise StopIteration

    def close(self) -> None:
        """See `Source`."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None


def no_frame_reason(reader: Reader) -> str:
    """Why a reader gave nothing, as far as it is known."""
    codec = getattr(reader, "codec", "")
    if reader.problem:
        return f": {reader.problem}{f' (codec {codec})' if codec else ''}"
    return f" (codec {codec})" if codec else ""
