"""Tracks: which face of this frame is which of the last."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

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


class FaceTracker(_core.FaceTracker):
    """Follows faces by their overlap with where a Kalman filter expects them; made for faces in videos.

    What it has beyond `SortTracker`: it goes by the time of the frames, whatever their rate; its noise is in proportion
    to the box, as in DeepSORT; detections with a score below `threshold` carry a track on but begin none, as in
    ByteTrack; a track counts from when the scores of its detections add up to enough, and stays confirmed; a lost face
    is expected to stop, not to go on. Calls from several threads wait for each other. A tracker that is pickled or
    copied has the same options and no tracks.

    Args:
        threshold: the least score of a detection that begins a track.
        evidence: a track is confirmed when the scores of its detections, each less `threshold` - 0.1, add up to so
            much: by default at once with a score of 0.9, after two detections with 0.7, after four with 0.6. Below
            `threshold` + 0.1 those count alone that have moved, so that a poster or a screen that is taken for a face
            with a low score does not become a track.
        max_age: seconds that a lost face is waited for, >= 0.
        iou_threshold: the least IoU, in [0, 1], of a detection and a track's expected box, both grown by a tenth of
            their side or more.

    Raises:
        ValueError: an option is out of its range.

    Source: Wojke et al., "Simple online and realtime tracking with a deep association metric", ICIP 2017; Zhang et al.,
    "ByteTrack", ECCV 2022. The constants were chosen on video clips with scripts/measure_tracks.py.

    Examples:
        >>> tracker = FaceTracker()
        >>> tracker.update([[10, 10, 50, 60]], [0.7], time=0.0), tracker.update([[12, 10, 52, 60]], [0.7], time=0.04)
        (array([-1]), array([1]))
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.threshold, self.evidence, self.max_age, self.iou_threshold)

    def update(self, boxes: npt.ArrayLike, scores: npt.ArrayLike, time: float) -> npt.NDArray[np.int64]:
        """Take in the detections of one frame; to be called for frames without any too.

        Args:
            boxes: real numbers of shape (n, 4): x1, y1, x2, y2 in pixels. No boxes are (0, 4) or [].
            scores: real numbers of shape (n,).
            time: seconds, of the frame; not before that of the last call.

        Returns:
            int64 (n,): the id of each detection's track, counted from 1; -1 where it has none that is confirmed.

        Raises:
            ValueError: wrong shape or dtype, a time that goes back, a NaN, or a box that is not finite with x1 < x2 and
                y1 < y2. The tracker is then as it was before the call.
        """
        ids = super().update(as_boxes(boxes), np.ascontiguousarray(scores, np.float64), time)
        ids[ids == 0] = -1
        return ids

    def coast(self, time: float) -> npt.NDArray[np.float64]:
        """One frame without detections: where the confirmed tracks that the last update saw are expected by now.

        Args:
            time: as in `update`.

        Returns:
            float64 (m, 5): x1, y1, x2, y2, id; oldest track first.
        """
        return super().coast(time)

    def expected(self, time: float) -> npt.NDArray[np.float64]:
        """Where all faces that are followed are expected at `time`: as `coast`, but nothing changes, and lost tracks
        and those not yet confirmed (id 0) are there, too.
        """
        return super().expected(time)


NearSearch: TypeAlias = Callable[[Frame, npt.NDArray[np.float32]], Faces]
"""Looks for faces around expected boxes, float32 (n, 4), alone: `YuNetDetector.near`."""


class TrackStage(VideoStage):
    """Fills ``track_id``: int64 (n,), -1 for a face without a confirmed track. Boxes and the order of rows stay.

    One stage follows one video; it keeps state, so frames go through it in order. Where the video cuts to another
    picture all tracks end: who comes after has a new id, also where a face happens to be in the same place.

    Args:
        tracker: by default `FaceTracker()`.
        max_age: for a `SortTracker`: seconds that a lost face is waited for, by the times of the frames, whatever their
            rate; then the stage sets the tracker's own `max_age`, which counts updates. ``None``: that of the tracker
            counts.
        near: on a frame that the detector skips, faces are looked for by this around where the tracker expects them;
            without it they are taken to be there. For a `FaceTracker`.

    Raises:
        ValueError: `max_age` is below 0, or `max_age` or `near` is not for this tracker.
    """

    follows: ClassVar[bool] = True

    def __init__(
        self,
        tracker: SortTracker | FaceTracker | None = None,
        max_age: float | None = None,
        near: NearSearch | None = None,
    ) -> None:
        self.tracker = FaceTracker() if tracker is None else tracker
        if max_age is not None and not max_age >= 0:
            raise ValueError(f"max_age must be a number of seconds of 0 or more, got {max_age}")
        if max_age is not None and isinstance(self.tracker, FaceTracker):
            raise ValueError("max_age is for a SortTracker: a FaceTracker has its own, in seconds")
        if near is not None and isinstance(self.tracker, SortTracker):
            raise ValueError("near is for a FaceTracker: a SortTracker takes what is not found for gone")
        self.max_age = max_age
        self.near = near
        self._updates: deque[float] = deque()
        self._cut = CutDetector()
        self._ids = self._ids_before = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> TrackStage:
        # What searches keeps no state, and may be large.
        return TrackStage(copy.deepcopy(self.tracker, memo), self.max_age, self.near)

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """One frame with a detection pass. Raises ValueError for a box that the tracker refuses."""
        self._end_tracks_at_a_cut(frame)
        return self._followed(faces)

    def needs_detection(self, frame: Frame) -> bool:
        """Whether the video cuts to this frame: then all tracks end, and there is nothing to coast."""
        return self._end_tracks_at_a_cut(frame)

    def coast(self, frame: Frame, faces: Faces) -> Faces:
        """One frame without a detection pass, to which the video does not cut: see `needs_detection`.

        Gives the faces that `near` finds, as after a pass; without it the tracks that the last frame showed, where they
        should be by now; then only ``xyxy`` and ``track_id`` are filled.
        """
        if isinstance(self.tracker, SortTracker):
            tracks = self.tracker.coast()
        elif self.near is None:
            tracks = self.tracker.coast(faces.time)
        else:
            expected = self.tracker.expected(faces.time)[:, :4].astype(np.float32)
            found = self.near(frame, expected) if len(expected) else Faces.empty()
            return self._followed(found.with_columns(time=faces.time, frame=faces.frame))
        return Faces(
            xyxy=tracks[:, :4].astype(np.float32),
            track_id=self._numbered(tracks[:, 4].astype(np.int64)),
            time=faces.time,
            frame=faces.frame,
        )

    def reset(self) -> None:
        """Forget all tracks, for a new video."""
        self._updates.clear()
        self.tracker.reset()
        self._cut.reset()
        self._ids = self._ids_before = self.shot = 0

    def _followed(self, faces: Faces) -> Faces:
        if isinstance(self.tracker, FaceTracker):
            # Without scores every detection is as good as the threshold asks.
            scores = np.full(len(faces), self.tracker.threshold + 0.1) if faces.score is None else faces.score
            ids = self.tracker.update(faces.xyxy, scores, faces.time)
        else:
            ids = self._sorted(self.tracker, faces)
        return faces.with_columns(track_id=self._numbered(ids))

    def _sorted(self, tracker: SortTracker, faces: Faces) -> npt.NDArray[np.int64]:
        if self.max_age is not None:
            self._updates.append(faces.time)
            while self._updates[0] < faces.time - self.max_age:
                self._updates.popleft()
            tracker.max_age = len(self._updates) - 1
        tracks, rows = tracker.update_with_rows(faces.xyxy)
        ids = np.full(len(faces), -1, np.int64)
        ids[rows] = tracks[:, 4].astype(np.int64)
        return ids

    def _end_tracks_at_a_cut(self, frame: Frame) -> bool:
        cut = self._cut(frame)
        if cut:
            self.shot += 1
            self._updates.clear()
            self.tracker.reset()
            self._ids_before = self._ids
        return cut

    def _numbered(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The tracker counts from 1 after a cut; ids of one video go on."""
        ids = np.where(ids > 0, ids + self._ids_before, -1)
        self._ids = max(self._ids, int(ids.max(initial=0)))
        return ids
