"""One row a person: what a track said from its first frame to its last."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agegender_core.images import write_image
from agegender_core.sources.addresses import slug_of

from .base import SinkError
from .rows import TableFile
from .totals import TrackKey, TrackTotal, TrackTotals

if TYPE_CHECKING:
    from agegender_core.pipeline import FrameResult

SUMMARY_COLUMNS = (
    *("source", "track_id", "first_seen", "last_seen", "first_captured", "last_captured", "frames"),
    *("age", "age_interval_low", "age_interval_high", "gender", "p_male", "best_quality", "best_frame", "chip"),
)


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
        self._chips = None if chips is None else Path(chips)
        self._slugs: dict[str, str] = {}
        self._totals = TrackTotals(over_after, chips is not None)

    @property
    def done(self) -> bool:
        """Whether nobody reads it any more."""
        return self._file.done

    def write(self, result: FrameResult) -> None:
        """Take one frame in. Raises SinkError where a row can't be written."""
        self._totals.add(result)
        for key, track in self._totals.take_over(result.source, result.time).items():
            self._write_track(key, track)

    def _write_track(self, key: TrackKey, track: TrackTotal) -> None:
        self._file.write_rows([{**track.row(key), "chip": self._write_chip(*key, track)}])

    def _write_chip(self, source: str, number: int, track: TrackTotal) -> str | None:
        if self._chips is None or track.best_chip is None:
            return None
        path = self._chips / f"{self._slug_of(source)}-{number}.png"
        try:
            self._chips.mkdir(parents=True, exist_ok=True)
            write_image(path, track.best_chip)
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
        try:
            for key, track in self._totals.take_all().items():
                self._write_track(key, track)
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()
