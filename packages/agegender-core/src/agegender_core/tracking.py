"""Tracks: which face of this frame is which of the last."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import _core
from .boxes import as_boxes
from .cuts import CutDetector
from .faces import Faces, Frame
from .stages import VideoStage


class SortTracker(_core.SortTracker):
    """SORT: follows boxes by their overlap with where a Kalman filter expects them.

    With the default of `keep_confirmed` the tracks are those of the published method. Ids count from 1 in each tracker.
    Calls from several threads wait for each other. A tracker that is pickled or copied has the same options and no
    tracks.

    ``coast()`` stands for a frame without a detection pass. It gives the boxes that the last update gave, moved on, as
    float64 (m, 5), and leaves all counts of hits and misses alone: `max_age` and `min_hits` count detection passes.
    ``reset()`` forgets all tracks and starts ids from 1 again.

    Args:
        max_age: updates in a row that a track survives without a detection, >= 0.
        min_hits: updates in a row, after its first, that a track needs to be shown, >= 0; the first `min_hits` updates
            of all show every track.
        iou_threshold: the least IoU of a detection and a track's expected box, in [0, 1].
        keep_confirmed: a track once shown is shown again at its first hit after a miss, where SORT would wait for
            `min_hits` more.

    Raises:
        ValueError: an option is out of its range.

    Source: Bewley et al., "Simple online and realtime tracking", ICIP 2016.

    Examples:
        >>> tracker = SortTracker()
        >>> tracker.update([[10, 10, 50, 60]])
        array([[10., 10., 50., 60.,  1.]])
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.max_age, self.min_hits, self.iou_threshold, self.keep_confirmed)

    def update(self, boxes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Take in the detections of one frame; to be called for frames without any too.

        Args:
            boxes: real numbers of shape (n, 4) or (n, 5): x1, y1, x2, y2 in pixels and a score, which SORT ignores.
                No boxes are (0, 4), (0, 5) or [].

        Returns:
            float64 (m, 5): x1, y1, x2, y2, id of the confirmed tracks seen in this frame, newest track first. The boxes
            are the filter's estimates, not the detections.

        Raises:
            ValueError: wrong shape or dtype, or a row that is not finite with x1 < x2 and y1 < y2. The tracker is then
                as it was before the call.
        """
        return super().update(as_boxes(boxes))

    def update_with_rows(self, boxes: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """As `update`, with int64 (m,) beside it: the row of `boxes` that each track took."""
        return super().update_with_rows(as_boxes(boxes))


class TrackStage(VideoStage):
    """Fills ``track_id``: int64 (n,), -1 for a face without a confirmed track. Boxes and the order of rows stay.

    One stage follows one video; it keeps state, so frames go through it in order. Where the video cuts to another
    picture all tracks end: who comes after has a new id, also where a face happens to be in the same place.

    Args:
        tracker: by default `SortTracker()`.
        max_age: seconds that a lost face is waited for, by the times of the frames, whatever their rate; then the
            stage sets the tracker's own `max_age`, which counts updates. ``None``: that of the tracker counts.

    Raises:
        ValueError: `max_age` is below 0.
    """

    follows: ClassVar[bool] = True

    def __init__(self, tracker: SortTracker | None = None, max_age: float | None = None) -> None:
        if max_age is not None and not max_age >= 0:
            raise ValueError(f"max_age must be a number of seconds of 0 or more, got {max_age}")
        self.tracker = SortTracker() if tracker is None else tracker
        self.max_age = max_age
        self._updates: deque[float] = deque()
        self._cut = CutDetector()
        self._ids = self._ids_before = 0

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """One frame with a detection pass. Raises ValueError for a box that `SortTracker.update` refuses."""
        self._end_tracks_at_a_cut(frame)
        if self.max_age is not None:
            self._updates.append(faces.time)
            while self._updates[0] < faces.time - self.max_age:
                self._updates.popleft()
            self.tracker.max_age = len(self._updates) - 1
        tracks, rows = self.tracker.update_with_rows(faces.xyxy)
        track_id = np.full(len(faces), -1, np.int64)
        track_id[rows] = self._numbered(tracks)
        return faces.with_columns(track_id=track_id)

    def coast(self, frame: Frame, faces: Faces) -> Faces:
        """One frame without a detection pass: the tracks that the last frame showed, newest first, where they should be
        by now; only ``xyxy`` and ``track_id`` are filled.
        """
        self._end_tracks_at_a_cut(frame)
        tracks = self.tracker.coast()
        return Faces(
            xyxy=tracks[:, :4].astype(np.float32),
            track_id=self._numbered(tracks),
            time=faces.time,
            frame=faces.frame,
        )

    def reset(self) -> None:
        """Forget all tracks, for a new video."""
        self._updates.clear()
        self.tracker.reset()
        self._cut.reset()
        self._ids = self._ids_before = 0

    def _end_tracks_at_a_cut(self, frame: Frame) -> None:
        if self._cut(frame):
            self._updates.clear()
            self.tracker.reset()
            self._ids_before = self._ids

    def _numbered(self, tracks: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """The tracker counts from 1 after a cut; ids of one video go on."""
        ids = tracks[:, 4].astype(np.int64) + self._ids_before
        self._ids = max(self._ids, int(ids.max(initial=0)))
        return ids
