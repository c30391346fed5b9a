"""What each track said from its first frame to its last."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agegender_core.quality import face_quality
from agegender_core.records import gender_of, plain_text, utc_text

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult


class TrackKey(NamedTuple):
    """A track of one of several sources."""

    source: str
    number: int


class Answer(NamedTuple):
    """What a track says so far: years, and the probability of male; ``None`` where the network gave none."""

    age: float | None
    p_male: float | None

    @property
    def gender(self) -> str | None:
        """Its word."""
        return None if self.p_male is None else gender_of(self.p_male)


class _Moment(NamedTuple):
    time: float
    captured: float | None


@dataclass
class _Mean:
    """A weighted mean of what was said."""

    total: float = 0.0
    weight: float = 0.0

    def add(self, value: float, weight: float) -> None:
        if math.isfinite(value):
            self.total += weight * value
            self.weight += weight

    def value(self, digits: int) -> float | None:
        return round(self.total / self.weight, digits) if self.weight else None


@dataclass
class TrackTotal:
    """One track so far.

    Age, interval and gender are means of the network's answers over all frames, weighted by `face_quality`.

    Attributes:
        last: the newest frame with it.
        best_chip: its clearest face, uint8 RGB (S, S, 3), where it was to be kept.
    """

    first: _Moment
    last: _Moment
    frames: int = 0
    best_chip: npt.NDArray[np.uint8] | None = None
    _age: _Mean = field(default_factory=_Mean)
    _low: _Mean = field(default_factory=_Mean)
    _high: _Mean = field(default_factory=_Mean)
    _p_male: _Mean = field(default_factory=_Mean)
    _best: float = 0.0
    _best_frame: int = -1

    def add(self, result: FrameResult, row: int, quality: float, keep_chip: bool) -> None:
        """One more frame, in which it is the face in that row."""
        self.last = _Moment(result.time, result.captured)
        self.frames += 1
        faces = result.raw
        if faces.age is not None:
            self._age.add(float(faces.age[row]), quality)
        if faces.age_interval is not None:
            self._low.add(float(faces.age_interval[row, 0]), quality)
            self._high.add(float(faces.age_interval[row, 1]), quality)
        if faces.p_male is not None:
            self._p_male.add(float(faces.p_male[row]), quality)
        # A coasted face has no score and nothing to show; one that was not looked at has no chip.
        seen = faces.score is not None and (faces.look is None or bool(faces.look[row]))
        if seen and quality > self._best:
            self._best, self._best_frame = quality, result.index
            if keep_chip and faces.chips is not None:
                self.best_chip = faces.chips[row].copy()

    @property
    def answer(self) -> Answer:
        """What it says so far."""
        # From rounded numbers, so that a reader who derives the gender again finds the same.
        return Answer(self._age.value(2), self._p_male.value(4))

    def row(self, key: TrackKey) -> dict[str, Any]:
        """What there is to say of it, as JSON takes it: the columns of `SummarySink` but for ``chip``."""
        answer = self.answer
        return {
            "source": plain_text(key.source),
            "track_id": key.number,
            "first_seen": round(self.first.time, 3),
            "last_seen": round(self.last.time, 3),
            "first_captured": utc_text(self.first.captured),
            "last_captured": utc_text(self.last.captured),
            "frames": self.frames,
            "age": answer.age,
            "age_interval_low": self._low.value(2),
            "age_interval_high": self._high.value(2),
            "gender": answer.gender,
            "p_male": answer.p_male,
            "best_quality": round(self._best, 3),
            "best_frame": self._best_frame if self._best_frame >= 0 else None,
        }


class TrackTotals:
    """The totals of all tracks that are not over, of one or more sources.

    Args:
        over_after: seconds without a face after which a track is over.
        chips: whether their clearest faces are kept.
    """

    def __init__(self, over_after: float = 5.0, chips: bool = False) -> None:
        self._over_after, self._chips = over_after, chips
        self._tracks: dict[TrackKey, TrackTotal] = {}

    def add(self, result: FrameResult) -> dict[TrackKey, TrackTotal]:
        """Take one frame in; returns the tracks that are in it."""
        faces = result.raw if result.raw.track_id is not None else result.faces
        if faces.track_id is None:
            return {}
        found: dict[TrackKey, TrackTotal] = {}
        quality = face_quality(faces) if faces.quality is None else np.nan_to_num(faces.quality, nan=0.01)
        for row, number in enumerate(faces.track_id.tolist()):
            if number >= 0:
                key, now = TrackKey(result.source, number), _Moment(result.time, result.captured)
                found[key] = self._tracks.setdefault(key, TrackTotal(now, now))
                found[key].add(result, row, float(quality[row]), self._chips)
        return found

    def take_over(self, source: str, time: float) -> dict[TrackKey, TrackTotal]:
        """Those of a source that are over at that time, in seconds; they are forgotten."""
        return self._take(lambda key, track: key.source == source and time - track.last.time > self._over_after)

    def take_all(self) -> dict[TrackKey, TrackTotal]:
        """Those that are left; they are forgotten."""
        return self._take(lambda key, track: True)

    def _take(self, wanted: Callable[[TrackKey, TrackTotal], bool]) -> dict[TrackKey, TrackTotal]:
        taken = {key: track for key, track in self._tracks.items() if wanted(key, track)}
        for key in taken:
            del self._tracks[key]
        return taken
