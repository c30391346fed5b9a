"""Faces made unrecognisable."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from .faces import Faces, Frame

_MARGIN = 0.35  # hair, ears and chin, as a part of the box's side
_CELLS = 6


class FaceBlur:
    """Blurs every face of a frame beyond recognition: callable ``(frame, faces) -> frame``, on a copy.

    Faces without a confirmed track are blurred, too, and where a face was a moment ago stays blurred, since a detector
    loses faces for single frames. A face that no detector finds is not blurred.

    Of each face `6 x 6` mean colours are left, in an ellipse around the box.

    Args:
        hold: seconds for which a place stays blurred after its face, by `faces.time`; >= 0.
    """

    def __init__(self, hold: float = 0.5) -> None:
        if not hold >= 0:
            raise ValueError(f"hold must be a number of seconds of 0 or more, got {hold}")
        self._hold = hold
        self._recent: deque[tuple[float, np.ndarray]] = deque()

    def __call__(self, frame: Frame, faces: Faces) -> Frame:
        """A copy of `frame`, uint8 RGB (H, W, 3), with the faces blurred."""
        if self._recent and faces.time < self._recent[-1][0]:
            self._recent.clear()  # another video
        self._recent.append((faces.time, faces.xyxy))
        while faces.time - self._recent[0][0] > self._hold:
            self._recent.popleft()
        blurred = frame.copy()
        boxes = np.unique(np.round(np.concatenate([boxes for _, boxes in self._recent])), axis=0)
        for box in boxes[np.isfinite(boxes).all(axis=1)]:
            _blur(blurred, frame, box)
        return blurred


def _blur(blurred: Frame, frame: Frame, box: np.ndarray) -> None:
    height, width = frame.shape[:2]
    margin = _MARGIN * (box[2:] - box[:2])
    low, high = np.clip(box[:2] - margin, 0, (width, height)), np.clip(box[2:] + margin, 0, (width, height))
    (left, top), (right, bottom) = low.astype(int), np.ceil(high).astype(int)
    if right - left < 1 or bottom - top < 1:
        return
    part = frame[top:bottom, left:right]
    size = right - left, bottom - top
    cells = cv2.resize(part, (min(_CELLS, size[0]), min(_CELLS, size[1])), interpolation=cv2.INTER_AREA)
    mosaic = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
    mask = np.zeros(part.shape[:2], np.uint8)
    centre = (box[:2] + box[2:]) / 2 - (left, top)
    axes = (box[2:] - box[:2]) / 2 + margin
    cv2.ellipse(mask, (tuple(centre.tolist()), tuple((2 * axes).tolist()), 0), 255, -1)
    target = blurred[top:bottom, left:right]
    target[mask > 0] = mosaic[mask > 0]
