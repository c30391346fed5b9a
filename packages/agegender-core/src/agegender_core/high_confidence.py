"""Weak detections help a track along, but never make one."""

from __future__ import annotations

import numpy as np

from .faces import Faces, Frame
from .stages import VideoStage

_FORGET_AFTER = 1000


class HighConfidenceFilter(VideoStage):
    """A stage after the tracker that drops detections of low confidence unless their track has had a better one.

    A face stays if its score reaches `threshold`, or if its track has done so in this frame or an earlier one. So the
    detector may run at a lower threshold, and a face that turns away keeps its track. Coasted faces, which have no
    score, go by their track. The rows that stay keep their order.

    It holds the state of one video: use it in order and from one thread.

    Args:
        threshold: the least score of high confidence.
    """

    def __init__(self, threshold: float = 0.0) -> None:
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget all tracks, for a new video."""
        self._frames = 0
        self._last_seen: dict[int, int] = {}

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """Drop the faces of low confidence; those without ``track_id`` go by their score alone."""
        self._frames += 1
        keep = np.zeros(len(faces), bool)
        if faces.score is not None:
            keep |= faces.score >= self.threshold
        if faces.track_id is not None:
            for row, number in enumerate(faces.track_id.tolist()):
                if number >= 0 and (keep[row] or number in self._last_seen):
                    keep[row] = True
                    self._last_seen[number] = self._frames
            self._forget()
        return faces[keep]

    def _forget(self) -> None:
        if self._frames % _FORGET_AFTER == 0:
            recent = self._frames - _FORGET_AFTER
            self._last_seen = {number: seen for number, seen in self._last_seen.items() if seen > recent}
