"""One row a person: what a track said from its first frame to its last."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from agegender_core.images import write_image
from agegender_core.quality import face_quality
from agegender_core.records import gender_of, plain_text, utc_text
from agegender_core.sources.addresses import slug_of

from .base import SinkError
from .rows import TableFile

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult

SUMMARY_COLUMNS = (
    *("source", "track_id", "first_seen", "last_seen", "first_captured", "last_captured", "frames"),
    *("age", "age_interval_low", "age_interval_high", "gender", "p_male", "best_quality", "best_frame", "chip"),
)


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


class _Moment(NamedTuple):
    time: float
    captured: float | None


@dataclass
class _Track:
    first: _Moment
    last: _Moment
    frames: int = 0
    age: _Mean = field(default_factory=_Mean)
    low: _Mean = field(default_factory=_Mean)
    high: _Mean = field(default_factory=_Mean)
    p_male: _Mean = field(default_factory=_Mean)
    best: float = 0.0
    best_frame: int = -1
    chip: npt.NDArray[np.uint8] | None = None


class SummarySink:
    """Writes one row a track when it is over: when it was seen, its age with interval, its gender, its best face.

    Age, interval and gender are means of the network's answers over all frames, weighted by `face_quality`. Several
    sources may go into one. See `RowFile` for how it is written.

    Args:
        path: ends in .csv, or JSON lines otherwise; "-" is stdout.
        over_after: seconds without a face after which a track is over.
        chips: a folder for the best aligned face of each track, as PNG; ``None``: none are kept.

    Attributes:
        done: see `RowFile`.

    Raises:
        SinkError: the file can't be written.
    """

    def __init__(self, path: str | Path, over_after: float = 5.0, chips: str | Path | None = None) -> None:
        self._file = TableFile(path, SUMMARY_COLUMNS)
        self._over_after = over_after
        self._chips = None if chips is None else Path(chips)
        self._slugs: dict[str, str] = {}
        self._tracks: dict[tuple[str, int], _Track] = {}

    @property
    def done(self) -> bool:
        """Whether nobody reads it any more."""
        return self._file.done

    def write(self, result: FrameResult) -> None:
        """Take one frame in. Raises SinkError where a row can't be written."""
        faces = result.raw if result.raw.track_id is not None else result.faces
        if faces.track_id is not None:
            quality = face_quality(faces) if faces.quality is None else np.nan_to_num(faces.quality, nan=0.01)
            for row, number in enumerate(faces.track_id.tolist()):
                if number >= 0:
                    self._add(result, row, number, float(quality[row]))
        over = [
            key
            for key, track in self._tracks.items()
            if key[0] == result.source and result.time - track.last.time > self._over_after
        ]
        for key in over:
            self._write_track(key, self._tracks.pop(key))

    def _add(self, result: FrameResult, row: int, number: int, quality: float) -> None:
        now, key = _Moment(result.time, result.captured), (result.source, number)
        if key not in self._tracks:
            self._tracks[key] = _Track(now, now)
        track = self._tracks[key]
        track.last = now
        track.frames += 1
        faces = result.raw
        if faces.age is not None:
            track.age.add(float(faces.age[row]), quality)
        if faces.age_interval is not None:
            track.low.add(float(faces.age_interval[row, 0]), quality)
            track.high.add(float(faces.age_interval[row, 1]), quality)
        if faces.p_male is not None:
            track.p_male.add(float(faces.p_male[row]), quality)
        # A coasted face has no score and nothing to show; one that was not looked at has no chip.
        seen = faces.score is not None and (faces.look is None or bool(faces.look[row]))
        if seen and quality > track.best:
            track.best, track.best_frame = quality, result.index
            if self._chips is not None and faces.chips is not None:
                track.chip = faces.chips[row].copy()

    def _write_track(self, key: tuple[str, int], track: _Track) -> None:
        source, number = key
        p_male = track.p_male.value(4)
        row: dict[str, Any] = {
            "source": plain_text(source),
            "track_id": number,
            "first_seen": round(track.first.time, 3),
            "last_seen": round(track.last.time, 3),
            "first_captured": utc_text(track.first.captured),
            "last_captured": utc_text(track.last.captured),
            "frames": track.frames,
            "age": track.age.value(2),
            "age_interval_low": track.low.value(2),
            "age_interval_high": track.high.value(2),
            "gender": None if p_male is None else gender_of(p_male),
            "p_male": p_male,
            "best_quality": round(track.best, 3),
            "best_frame": track.best_frame if track.best_frame >= 0 else None,
            "chip": self._write_chip(source, number, track),
        }
        self._file.write_rows([row])

    def _write_chip(self, source: str, number: int, track: _Track) -> str | None:
        if self._chips is None or track.chip is None:
            return None
        path = self._chips / f"{self._slug_of(source)}-{number}.png"
        try:
            self._chips.mkdir(parents=True, exist_ok=True)
            write_image(path, track.chip)
        except OSError as error:
            raise SinkError(f"{path} can't be written: {error.strerror or error}") from None
        return str(path)

    def _slug_of(self, source: str) -> str:
        """Like `slug_of`, but no two sources share one: files of the same name may lie in two folders."""
        if source not in self._slugs:
            plain = slug_of(source)
            slugs = itertools.chain([plain], (f"{plain}.{number}" for number in itertools.count(2)))
            self._slugs[source] = next(slug for slug in slugs if slug not in self._slugs.values())
        return self._slugs[source]

    def close(self) -> None:
        """Write the tracks that are left, and close the file. May be called twice."""
        tracks, self._tracks = self._tracks, {}
        try:
            for key, track in tracks.items():
                self._write_track(key, track)
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
