"""Sources that never wait: a thread reads them, and whoever asks gets the newest frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from agegender_core.spelling import count

from .clocks import MediaClock, WallClock
from .frames import RawFrame, Reader, Source, SourceError, SourceLostError, TimedFrame, sane_fps
from .recording import no_frame_reason

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 10.0
_LOOK = 0.25  # seconds: how often a wait is broken off, to see to signals


class _Waiting(NamedTuple):
    raw: RawFrame
    number: int
    time: float


class LiveSource(Source):
    """A camera, a network stream or a pipe, read by a thread of its own.

    Live frames that come while nobody asks are dropped and counted: the next one asked for is always the newest. When
    the source is lost it is opened again, with waits that double from half a second to ten. Tracks and times go on: the
    time of a live frame is when its data came in, on the clock of this machine.

    What turns out to have an end, as a pipe or a video on a server, gives every frame, in order, at the pace at which
    they are asked for; it ends where they end, and is not opened again.

    Args:
        open_reader: opens the source; called in the thread, again whenever it was lost.
        name: see `Source`.
        slug: see `Source`.
        wait: go on trying where the source can't be opened at first.
        give_up: end after so many failures in a row once it was lost; ``None``: never.

    Raises:
        SourceError: it can't be opened, and `wait` is not set.
    """

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        name: str,
        slug: str,
        *,
        wait: bool = False,
        give_up: int | None = None,
    ) -> None:
        super().__init__(name, slug)
        self.is_live = True
        self._open, self._wait, self._give_up = open_reader, wait, give_up
        self._condition = threading.Condition()
        self._waiting: _Waiting | None = None
        self._error: SourceError | None = None
        self._over = False
        self._stop = threading.Event()
        self._wake: Callable[[], object] = lambda: None
        self._clock = MediaClock(self.fps)
        self._wall_clock = WallClock()
        self._last = -1.0
        self._thread = threading.Thread(target=self._work, name=f"reads {name}", daemon=True)
        self._thread.start()
        if not wait:
            with self._condition:
                while self._waiting is None and not self._over:
                    self._condition.wait(_LOOK)
                if self._waiting is not None:
                    self.height, self.width = self._waiting.raw.image().shape[:2]
            if self._error is not None and self.received == 0:
                raise self._error

    # In the thread

    def _work(self) -> None:
        failures, delay = 0, _FIRST_DELAY
        while not self._stop.is_set():
            before = self.received
            reason = self._read_until_lost()
            if self._stop.is_set():
                return
            if not self.is_live:
                self._end(None)
                return
            if self.received == 0 and not self._wait:
                self._end(SourceError(reason))
                return
            lost = self.received > before
            failures, delay = (0, _FIRST_DELAY) if lost else (failures + 1, delay)
            if self._give_up is not None and failures >= self._give_up:
                after = f" after {count(self.received, 'frame')}" if self.received else ""
                self._end(SourceLostError(f"{reason}{after}; given up after {failures} attempts"))
                return
            if lost or (failures == 1 and self.received == 0):
                self.notes.append(f"{reason}; trying again until it is back")
            self._wake()
            self._stop.wait(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _read_until_lost(self) -> str:
        """Why it ended, in words that begin with the name."""
        try:
            reader = self._open()
        except SourceError as error:
            return str(error)
        except Exception as error:  # a thread must not end without a word
            return f"{self.name} does not open: {error}"
        got = False
        try:
            while not self._stop.is_set():
                raw = reader.read()
                if raw is None:
                    break
                if not got:
                    self._connected(reader)
                    got = True
                self._offer(raw)
                self.broken += reader.broken
                reader.broken = 0
        except SourceError as error:
            return str(error) if got else f"{self.name} opens but gives no frame: {error}"
        except Exception as error:
            return f"{self.name}: {type(error).__name__}: {error}"
        finally:
            reader.close()
        if not got:
            return f"{self.name} opens but gives no frame{no_frame_reason(reader)}"
        if not self.is_live and reader.problem:
            self.notes.append(f"{self.name}: {reader.problem}")
        return f"{self.name} stopped giving frames"

    def _connected(self, reader: Reader) -> None:
        self.connections += 1
        self.fps, self.is_live, self.frame_count = sane_fps(reader.fps), reader.is_live, reader.frame_count
        self.has_sound = reader.has_sound
        if self.connections == 1:
            self._clock = MediaClock(self.fps)
        else:
            self.notes.append(f"{self.name} is back")

    def _offer(self, raw: RawFrame) -> None:
        if not self.is_live:
            seconds = self._clock(raw.seconds)
        else:
            # Two frames may come within one tick of the clock.
            seconds = self._last = max(self._wall_clock(raw.seconds), self._last + 1e-6)
        with self._condition:
            while not self.is_live and self._waiting is not None and not self._stop.is_set():
                self._condition.wait(_LOOK)
            self.dropped += self.is_live and self._waiting is not None
            self._waiting = _Waiting(raw, self.received, seconds)
            self.received += 1
            self._condition.notify_all()
        self._wake()

    def _end(self, error: SourceError | None) -> None:
        with self._condition:
            self._error, self._over = error, True
            self._condition.notify_all()
        self._wake()

    # For whoever wants frames

    def subscribe(self, wake: Callable[[], object]) -> None:
        """See `Source`."""
        self._wake = wake

    def poll(self) -> TimedFrame | None:
        """See `Source`."""
        with self._condition:
            waiting, self._waiting = self._waiting, None
            self._condition.notify_all()
            if waiting is None and self._over:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopIteration
        if waiting is None:
            if self._stop.is_set():
                raise StopIteration
            return None
        image = waiting.raw.image()
        if self.width == 0:
            self.height, self.width = image.shape[:2]
        captured = waiting.raw.arrived if self.is_live else None
        return TimedFrame(image, waiting.number, waiting.time, self.name, captured)

    def __next__(self) -> TimedFrame:
        """See `Source`."""
        while True:
            frame = self.poll()
            if frame is not None:
                return frame
            with self._condition:
                if self._waiting is None and not self._over:
                    self._condition.wait(_LOOK)

    def close(self) -> None:
        """See `Source`. A thread that hangs in a read is left to itself: it ends with the read or with the process."""
        self._stop.set()
        with self._condition:
            self._condition.notify_all()
        self._thread.join(_LOOK)
