"""Where a video cuts to another picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .frames import Frame
from .resizing import resize_area

# Pans, zooms and flashes leave the thumbnails of two frames alike; across a cut they have little in common.
_SAME_SHOT = 0.5
_THUMBNAIL = (32, 18)
_ENOUGH = 144
_FLAT, _JUMP = 2.0, 20.0  # grey levels


class CutDetector:
    """Says of each frame whether the video cut to it: whether the picture has little to do with the last one.

    Camera movements, people who walk through and flashes are no cuts. It holds the state of one video: use it in order.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last frame, for a new video."""
        self._last: npt.NDArray[np.float32] | None = None

    def __call__(self, frame: Frame) -> bool:
        """Whether this frame, uint8 RGB (H, W, 3), begins a new shot; the first one doesn't."""
        # A large frame shows no more than some of its rows, and those are there sooner.
        step = max(1, frame.shape[0] // _ENOUGH)
        small = resize_area(frame[::step], _THUMBNAIL)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32).ravel()
        last, self._last = self._last, grey
        if last is None:
            return False
        if min(last.std(), grey.std()) < _FLAT:
            # A uniform picture correlates with nothing.
            return bool(np.abs(last - grey).mean() > _JUMP)
        return bool(np.corrcoef(last, grey)[0, 1] < _SAME_SHOT)
