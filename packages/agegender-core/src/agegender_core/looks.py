"""When the network looks at the face of a track again: not in each frame, since one frame is much like the last."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from .faces import Faces, Frame
from .quality import face_quality
from .stages import VideoStage

_FORGET_AFTER = 10.0


@dataclass
class _Track:
    looks: int = 0
    last: float = 0.0
    best: float = 0.0
    seen: float = 0.0


class LookPlan(VideoStage):
    """A stage after the tracker that fills `Faces.look`: which faces the aligner and the network look at in this frame.

    A face is due when its track is new, until it has had `first` looks; when it is clearer than it was before; and
    every so often. Faces without a track are not looked at. A smoother after the network fills the frames between. How
    clear a face is goes by its size and by what the detector says.

    It holds the state of one video: use it in order and from one thread.

    Args:
        every: seconds from one look at a track to the next, >= 0.
        first: looks that a new track has more often.
        first_every: seconds between these, >= 0.
        better: a face is looked at early if its quality is so many times the best of its track.
        at_once: most tracks that get a look in one frame beside new ones, so that frames take similar times; those wait
            that were looked at last.
    """

    def __init__(
        self, every: float = 0.5, first: int = 5, first_every: float = 0.1, better: float = 1.25, at_once: int = 8
    ) -> None:
        if not (every >= 0 and first_every >= 0):
            raise ValueError(f"every and first_every must be seconds of 0 or more, got {every} and {first_every}")
        if at_once < 1:
            raise ValueError(f"at_once must be 1 or more, got {at_once}")
        self.every = every
        self.first = first
        self.first_every = first_every
        self.better = better
        self.at_once = at_once
        self.reset()

    @classmethod
    def always(cls) -> LookPlan:
        """Looks at each face that has a track in each frame that the detector has looked at."""
        return cls(0, 0, 0, at_once=sys.maxsize)

    def reset(self) -> None:
        """Forget all tracks, for a new video."""
        self._tracks: dict[int, _Track] = {}

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """Fill look. Raises ValueError without a tracker before it."""
        if faces.track_id is None:
            raise ValueError("LookPlan needs track_id: put it after a TrackStage")
        height, width = frame.shape[:2]
        quality = face_quality(faces, (width, height))
        look = np.zeros(len(faces), bool)
        again: list[tuple[float, int]] = []
        for row, number in enumerate(faces.track_id.tolist()):
            if number < 0:
                continue
            track = self._tracks.setdefault(number, _Track())
            track.seen = faces.time
            if track.looks == 0:
                look[row] = True
            elif self._is_due(track, faces.time - track.last, float(quality[row])):
                again.append((track.last, row))
        for _, row in sorted(again)[: self.at_once]:
            look[row] = True
        for row in np.flatnonzero(look).tolist():
            track = self._tracks[int(faces.track_id[row])]
            track.looks, track.last, track.best = track.looks + 1, faces.time, max(track.best, float(quality[row]))
        self._tracks = {n: track for n, track in self._tracks.items() if faces.time - track.seen <= _FORGET_AFTER}
        return faces.with_columns(look=look)

    def coast(self, frame: Frame, faces: Faces) -> Faces:
        """As ever, but for faces that nobody has seen, only their tracker expects: they are not looked at."""
        if faces.score is None:
            return faces.with_columns(look=np.zeros(len(faces), bool))
        return self(frame, faces)

    def _is_due(self, track: _Track, wait: float, quality: float) -> bool:
        # Times of frames are sums of fractions: 0.1 s later may be 0.0999999.
        wait += 1e-6
        return (
            wait >= self.every
            or (track.looks < self.first and wait >= self.first_every)
            or (quality >= self.better * track.best and wait >= min(self.first_every, self.every))
        )
