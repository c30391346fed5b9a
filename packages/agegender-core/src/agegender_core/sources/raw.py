"""Pixels without a container, from a pipe."""

from __future__ import annotations

import math
import time
from typing import BinaryIO

import numpy as np

from .frames import RawFrame, SourceError


class RawReader:
    """Reads frames of RGB bytes, row by row, one after the other; see `Reader`.

    Args:
        file: where they come from.
        size: width and height in pixels.
        fps: their rate, which nothing in them tells.
        name: for messages.
    """

    def __init__(self, file: BinaryIO, size: tuple[int, int], fps: float, name: str) -> None:
        self._file, self._size, self._name = file, size, name
        self.fps = fps
        self.frame_count: int | None = None
        self.is_live = False
        self.broken = 0
        self.has_sound = False
        self.problem = ""

    def read(self) -> RawFrame | None:
        """The next frame, or ``None`` at the end; the rest of one that was cut off is left out."""
        width, height = self._size
        data = bytearray()
        while len(data) < width * height * 3:
            try:
                part = self._file.read(width * height * 3 - len(data))
            except OSError as error:
                raise SourceError(f"{self._name}: {error.strerror}") from None
            if not part:
                self.problem = f"its last frame has {len(data)} of {width * height * 3} bytes" if data else ""
                self.broken += bool(data)
                return None
            data += part
        image = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        return RawFrame.ready(math.nan, time.time(), image)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()
