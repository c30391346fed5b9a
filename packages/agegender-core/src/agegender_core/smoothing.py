"""Steady ages and genders: what the frames of a track say together, weighted by how much each can be trusted."""

from __future__ import annotations

import math
import warnings
from collections import deque
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .faces import Faces, Frame
from .quality import face_quality
from .stages import VideoStage
from .weighted import weighted_quantile

FloatArray = npt.NDArray[np.float64]

_HUBER = 1.5
_LEAST_SPREAD = 2.0
_CAPACITY = 512
_TOO_OLD = 5.0
# Another person in the same track: all looks of the last seconds, three or more and about as clear as those before,
# differ by so many years or three deviations, or by so much in the probability of male, to the same side.
_JURY, _JURY_TIME, _AS_CLEAR = 3, 1.2, 0.5
_OTHER_AGE, _OTHER = 15.0, 0.6


class Evidence(NamedTuple):
    """What one frame says of one face.

    `below` and `above` are the years from the interval's ends to the age; they and `age_std` are NaN when the predictor
    gives none.
    """

    time: float
    weight: float
    age: float
    age_std: float
    below: float
    above: float
    p_male: float


class Smoothed(NamedTuple):
    """What a track says so far; names as the columns of `Faces`."""

    age: float
    age_std: float
    age_interval: tuple[float, float]
    p_male: float


def robust_mean(values: FloatArray, weights: FloatArray) -> float:
    """Weighted mean in which values far from the weighted median count less (one Huber step).

    Values within 1.5 spreads of the median count fully, others in inverse proportion to their distance. The spread is
    the scaled median deviation, and never below 2 (years): so few outliers can shift the result by a few years at most.

    Args:
        values: float64 (n,), n >= 1.
        weights: float64 (n,), > 0.
    """
    middle = weighted_quantile(values, weights, 0.5)
    distance = np.abs(values - middle)
    spread = max(1.4826 * weighted_quantile(distance, weights, 0.5), _LEAST_SPREAD)
    weights = weights * (_HUBER * spread / np.maximum(distance, _HUBER * spread))
    # Around the median, so that equal values give themselves back to the last bit.
    return middle + float(weights @ (values - middle) / weights.sum())


class _Track:
    """The recent evidence about one person, and the gender that is being shown."""

    def __init__(self) -> None:
        self.evidence: deque[Evidence] = deque(maxlen=_CAPACITY)
        self.latest: Smoothed | None = None
        self.quality = math.nan
        self.male: bool | None = None
        self.seen = 0.0

    def add(self, evidence: Evidence) -> None:
        """One more; where the last few contradict all before them, this is another person, and only they count."""
        self.evidence.append(evidence)
        self.latest = None
        if len(self.evidence) < 2 * _JURY:
            return
        table = np.array(self.evidence)
        recent = table[:, 0] > evidence.time - _JURY_TIME
        before, last = table[~recent], table[recent]
        if min(len(before), len(last)) < _JURY or last[:, 1].mean() < _AS_CLEAR * before[:, 1].mean():
            return
        age = last[:, 2] - np.median(before[:, 2])
        spread = max(_OTHER_AGE, 3 * 1.4826 * float(np.median(np.abs(before[:, 2] - np.median(before[:, 2])))))
        p_male = last[:, 6] - np.average(before[:, 6], weights=before[:, 1])
        if any(
            bool((change > far).all() or (change < -far).all()) for change, far in ((age, spread), (p_male, _OTHER))
        ):
            self.evidence = deque(list(self.evidence)[-len(last) :], maxlen=_CAPACITY)
            self.male = None

    def smoothed(self, time_constant: float, hysteresis: float) -> Smoothed:
        """The track's values at the time of its newest evidence."""
        if self.latest is not None:  # most frames bring nothing new, and weights are relative to the newest
            return self.latest
        while self.evidence[-1].time - self.evidence[0].time > _TOO_OLD * time_constant:
            self.evidence.popleft()
        table = np.array(self.evidence)
        weights = table[:, 1] * np.exp((table[:, 0] - table[-1, 0]) / time_constant)
        # A model that has learned one of the two leaves the other out.
        age = math.nan if np.isnan(table[:, 2]).any() else robust_mean(table[:, 2], weights)
        age_std, below, above, p_male = (weights @ table[:, 3:] / weights.sum()).tolist()
        interval = max(age - below, 0.0), age + above
        self.latest = Smoothed(age, age_std, interval, self._held(p_male, hysteresis))
        return self.latest

    def _held(self, p_male: float, hysteresis: float) -> float:
        if math.isnan(p_male):
            return p_male
        if self.male is None:
            self.male = p_male >= 0.5
        elif abs(p_male - 0.5) > hysteresis:
            self.male = p_male > 0.5
        # Kept on the side that is shown, so that whoever compares it with 0.5 finds the same gender.
        return max(p_male, 0.5) if self.male else min(p_male, 0.4999)


class Smoother(VideoStage):
    """A stage that replaces what a predictor says of tracked faces by what their track says so far.

    The columns are age, age_std, age_interval and p_male.

    Evidence fades with time, not with the number of frames: the same faces at 10 or at 30 frames a second give the same
    result, and what is `time_constant` old counts 1/e of what is new. Each frame counts by the square of its quality.
    Age is the `robust_mean`, p_male the plain mean; a gender once shown changes only when the mean has gone past 0.5 by
    more than `hysteresis`, and until then p_male stays on its side (0.5 or 0.4999). Ages stay fractional. age_std is
    the mean of the predictor's, and the ends of age_interval are as far from the age as they are on average: the frames
    of one person err alike, so more of them do not make an age more certain. Narrower by the law of large numbers it
    would hold too seldom: scripts/measure_track_intervals.py.

    Where all looks of a second contradict those before them, by 15 years or in the gender, the track has gone over to
    another person, and its values begin anew.

    A face without an age (one that the network did not look at in this frame) takes its track's values, its last
    quality too, and adds nothing. A face without a track (``track_id`` -1) passes as it is, but for age_probs, which
    have no smoothed counterpart and are dropped.

    The time of each frame is that of its record, `faces.time`. The stage holds the state of one video: use it in order
    and from one thread.

    Args:
        time_constant: seconds, > 0.
        hysteresis: in [0, 0.5).
        forget_after: seconds after which a track that is no longer seen is dropped, > 0; ids that come back later
            start anew.

    Raises:
        ValueError: an option is out of its range.
    """

    smooths: ClassVar[bool] = True

    def __init__(self, time_constant: float = 4.0, hysteresis: float = 0.15, forget_after: float = 10.0) -> None:
        for name, value in (("time_constant", time_constant), ("forget_after", forget_after)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number of seconds above 0, got {value}")
        if not 0 <= hysteresis < 0.5:
            raise ValueError(f"hysteresis must lie in [0, 0.5), got {hysteresis}")
        self.time_constant = time_constant
        self.hysteresis = hysteresis
        self.forget_after = forget_after
        self.reset()

    def reset(self) -> None:
        """Forget all tracks and the time, for a new video."""
        self._time = -math.inf
        self._told: float | None = None
        self._tracks: dict[int, _Track] = {}

    def at(self, time: float) -> Smoother:
        """The former way to say when the next frame was taken: now that is `faces.time`. Goes with the next release."""
        warnings.warn(
            "Smoother.at(time) is no longer needed: the record has the time, Faces(..., time=time)",
            DeprecationWarning,
            stacklevel=2,
        )
        self._told = time
        return self

    def _advance(self, time: float) -> None:
        if not (math.isfinite(time) and time >= self._time):
            raise ValueError(f"time must be finite and must not go back: got {time} after {self._time}")
        self._time = time
        gone = [number for number, track in self._tracks.items() if time - track.seen > self.forget_after]
        for number in gone:
            del self._tracks[number]

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """Take in the evidence of one frame; `frame` is not read.

        Raises:
            ValueError: `faces.time` is not finite, or is before the last one.
        """
        self._advance(faces.time if self._told is None else self._told)
        self._told = None
        if faces.track_id is None:
            return faces
        columns: dict[str, npt.NDArray[np.float32]] = {
            name: np.full(shape, np.nan, np.float32) if column is None else column.copy()
            for name in Smoothed._fields
            for column, shape in [(getattr(faces, name), (len(faces), 2) if name == "age_interval" else len(faces))]
        }
        age, p_male = columns["age"], columns["p_male"]
        below, above = age - columns["age_interval"][:, 0], columns["age_interval"][:, 1] - age
        # A quality is the inverse of an error, and evidence counts by the inverse of its variance.
        known = face_quality(faces).astype(np.float32) if faces.quality is None else faces.quality.copy()
        predicted = [column for column, given in ((age, faces.age), (p_male, faces.p_male)) if given is not None]
        for row, number in enumerate(faces.track_id.tolist()):
            if number < 0:
                continue
            track = self._tracks.setdefault(number, _Track())
            track.seen = self._time
            if predicted and all(math.isfinite(column[row]) for column in predicted):
                seen = age[row], columns["age_std"][row], below[row], above[row], p_male[row]
                track.add(Evidence(self._time, float(known[row]) ** 2, *seen))
            if math.isnan(known[row]):
                known[row] = track.quality
            track.quality = float(known[row])
            if track.evidence:
                smoothed = track.smoothed(self.time_constant, self.hysteresis)
                for name, value in smoothed._asdict().items():
                    columns[name][row] = value
        if faces.age_interval is None and np.isnan(columns["age_interval"]).all():
            del columns["age_interval"]
        if faces.quality is not None:
            columns["quality"] = known
        return faces.with_columns(**columns, age_probs=None)
