"""A window."""

from __future__ import annotations

import os
import sys
import time as clock
from contextlib import suppress
from typing import Any, Self

import cv2

from agegender_core._opencv import quiet_opencv
from agegender_core.faces import Frame

from .base import SinkError

_ESCAPE = 27


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
