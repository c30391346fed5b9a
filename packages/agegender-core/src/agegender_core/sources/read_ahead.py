"""A recording's next frames, read while the last one is at work."""

from __future__ import annotations

import queue
import threading

from .frames import RawFrame, Reader

_FRAMES = 2
_LOOK = 0.1  # seconds between two looks at whether to stop


class ReadAhead:
    """Reads and decodes the next two frames of `reader` in a thread of its own; frames and errors come in order.

    The thread starts with the first `read` and ends with `close`, which waits for it, or with the last frame.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._ready: queue.Queue[RawFrame | BaseException | None] = queue.Queue(_FRAMES)
        self._closing = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="read ahead", daemon=True)

    def read(self) -> RawFrame | None:
        """The next frame, or ``None`` after the last one. Raises what the reader raises."""
        if self._ended:
            return None
        if not self._thread.ident:
            self._thread.start()
        found = self._ready.get()
        self._ended = not isinstance(found, RawFrame)
        if isinstance(found, BaseException):
            raise found
        return found

    def _work(self) -> None:
        while not self._closing.is_set():
            found: RawFrame | BaseException | None
            try:
                found = self.reader.read()
                if found is not None:
                    found = RawFrame.ready(found.seconds, found.arrived, found.image())
            except BaseException as error:
                found = error
            self._hand_over(found)
            if not isinstance(found, RawFrame):
                return

    def _hand_over(self, found: RawFrame | BaseException | None) -> None:
        while not self._closing.is_set():
            try:
                return self._ready.put(found, timeout=_LOOK)
            except queue.Full:
                continue

    def close(self) -> None:
        """Stop reading, and let the file go. May be called twice."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.reader.close()
