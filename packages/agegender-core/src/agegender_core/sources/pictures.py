"""Pictures of a folder or a glob as the frames of a video: a time lapse, a data set with tracks."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

from agegender_core.faces import Frame
from agegender_core.images import ImageError, read_image

from .frames import RawFrame


class PicturesReader:
    """Reads picture files in order; see `Reader`. One that can't be read is left out and counted.

    Args:
        paths: in order.
        fps: frames per second that they stand for.
    """

    def __init__(self, paths: list[Path], fps: float) -> None:
        self._paths = iter(paths)
        self.fps = fps
        self.frame_count: int | None = len(paths)
        self.is_live = False
        self.broken = 0
        self.has_sound = False
        self.problem = ""

    def read(self) -> RawFrame | None:
        """The next picture that can be read, or ``None``."""
        for path in self._paths:
            try:
                image: Frame = read_image(path)
            except (ImageError, OSError) as error:
                self.broken += 1
                self.problem = str(error)
                continue
            return RawFrame.ready(math.nan, time.time(), image)
        return None

    def close(self) -> None:
        """Nothing is open between two pictures."""


def in_order(paths: list[Path]) -> list[Path]:
    """By name, with numbers by their value: 2.jpg comes before 10.jpg."""
    return sorted(
        paths, key=lambda path: [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _parts(path)]
    )


def _parts(path: Path) -> list[str]:
    return [part for part in re.split(r"(\d+)", str(path)) if part]
