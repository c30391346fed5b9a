"""The times of frames: seconds since the first one that always rise, whatever is reported."""

from __future__ import annotations

import time

_LONGEST = 1e9


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
