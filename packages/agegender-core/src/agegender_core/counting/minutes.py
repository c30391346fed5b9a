"""Counts by the minute, as rows for tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agegender_core.records import gender_of, plain_text, utc_text

from .bands import DEFAULT_BANDS, AgeBands
from .counter import OF_LINES, OF_ZONES, CountEvent
from .regions import Line, Zone

COUNT_COLUMNS: Mapping[str, type] = {
    "source": str,
    "minute": int,
    "start": str,
    "observed": float,
    **dict.fromkeys(("region", "event", "gender", "age_band"), str),
    "count": int,
    **dict.fromkeys(("gender_confidence", "age_confidence", "seconds"), float),
}
"""The columns of a row and their types, in order; see `MinuteCounts`."""

_MINUTE = 60.0
_SETTLE = 10.0  # What the network says of somebody gets better for some seconds, and who is lost is known late.
_LONGEST = 5.0  # Seconds between two frames above which the source was away.
_STAYS = ("passed", "stayed")


@dataclass
class _Minute:
    observed: float = 0.0
    events: list[CountEvent] = field(default_factory=list)


class MinuteCounts:
    """The counts of one source, a group of rows a minute.

    A row is a dictionary with the keys `COUNT_COLUMNS`: the ``source``; the ``minute``, from 0; its ``start`` by the
    clock as UTC, for live sources, whose minutes are those of the clock, otherwise ``None``; ``observed``, of how many
    seconds of it there are frames; the ``region``; the ``event``; ``gender`` ("female", "male", ``None`` for unknown)
    and ``age_band``; their ``count``; the mean probability of the gender and of the age band; and ``seconds``, the
    mean time in the zone of who went. Events are those of `EventKind`; each that ends a visit is counted once more, as
    "passed" or "stayed". An event that nobody did in a minute has one row with a count of 0, so that a quiet minute and
    one without a camera differ.

    Rows of a minute come ten seconds after its end: what was known of each person by then counts.

    Args:
        source: its name.
        lines: those that are counted at.
        zones: likewise.
        bands: the age bands.
    """

    def __init__(
        self, source: str, lines: Sequence[Line], zones: Sequence[Zone], bands: AgeBands = DEFAULT_BANDS
    ) -> None:
        self._source, self._bands = plain_text(source), bands
        self._kinds: list[tuple[str, str]] = [(line.name, kind) for line in lines for kind in OF_LINES]
        self._kinds += [(zone.name, kind) for zone in zones for kind in (*OF_ZONES, *_STAYS)]
        self._minutes: dict[int, _Minute] = {}
        self._begin: float | None = None  # of the first minute, by the clock
        self._live = False
        self._last = -math.inf
        self._written = -1

    def add(self, events: Sequence[CountEvent], time: float, captured: float | None = None) -> list[dict[str, Any]]:
        """Take the events of a frame in.

        Args:
            events: in any order.
            time: of the frame, in seconds since the first one.
            captured: when it came in, in seconds since 1970.

        Returns:
            The rows of minutes that are over.
        """
        now = time if captured is None else captured
        if self._begin is None:
            self._live = captured is not None
            self._begin = math.floor(now / _MINUTE) * _MINUTE if self._live else 0.0
        minute = self._minutes.setdefault(self._number(now), _Minute())
        elapsed = now - self._last
        minute.observed += elapsed if elapsed <= _LONGEST else 0.0
        self._last = now
        self._put(events)
        due = [number for number in self._minutes if now >= self._begin + (number + 1) * _MINUTE + _SETTLE]
        return [row for number in sorted(due) for row in self._rows(number)]

    def finish(self, events: Sequence[CountEvent] = ()) -> list[dict[str, Any]]:
        """The video is over: the last events, and the rows of all minutes that are left."""
        if self._begin is None:
            return []
        self._put(events)
        return [row for number in sorted(self._minutes) for row in self._rows(number)]

    def _put(self, events: Sequence[CountEvent]) -> None:
        for event in events:
            moment = event.captured if self._live and event.captured is not None else event.time
            # One that comes too late for its minute counts in the next one that is open.
            number = max(self._number(moment), self._written + 1)
            self._minutes.setdefault(number, _Minute()).events.append(event)

    def _number(self, moment: float) -> int:
        assert self._begin is not None
        return max(math.floor((moment - self._begin) / _MINUTE), 0)

    def _rows(self, number: int) -> Iterator[dict[str, Any]]:
        assert self._begin is not None
        minute = self._minutes.pop(number)
        self._written = max(self._written, number)
        start = utc_text(self._begin + number * _MINUTE) if self._live else None
        head = {"source": self._source, "minute": number, "start": start, "observed": round(minute.observed, 1)}
        done: dict[tuple[str, str], list[CountEvent]] = {kind: [] for kind in self._kinds}
        for event in minute.events:
            done[event.region, event.kind].append(event)
            if event.stayed is not None:
                done[event.region, _STAYS[event.stayed]].append(event)
        for (region, kind), events in done.items():
            for group in self._groups(events) if events else [_NOBODY]:
                yield dict(zip(COUNT_COLUMNS, (*head.values(), region, kind, *group), strict=True))

    def _groups(self, events: Sequence[CountEvent]) -> Iterator[tuple[Any, ...]]:
        groups: dict[tuple[int, int], list[CountEvent]] = {}
        for event in events:
            age, p_male = event.person.age, event.person.p_male
            # Unknown comes last.
            gender = 2 if p_male is None else int(p_male >= 0.5)
            band = len(self._bands.names) if age is None else self._bands.of(age)
            groups.setdefault((gender, band), []).append(event)
        for (_, band), group in sorted(groups.items()):
            person = group[0].person
            yield (
                None if person.p_male is None else gender_of(person.p_male),
                None if person.age is None else self._bands.name(band),
                len(group),
                _mean([None if p is None else max(p, 1 - p) for p in (event.person.p_male for event in group)], 3),
                _mean([self._confidence(event) for event in group], 3),
                _mean([event.seconds for event in group], 1),
            )

    def _confidence(self, event: CountEvent) -> float | None:
        age = event.person.age
        return None if age is None else self._bands.confidence(age, event.person.age_interval)


_NOBODY = (None, None, 0, None, None, None)


def _mean(values: Sequence[float | None], digits: int) -> float | None:
    known = [value for value in values if value is not None]
    return round(math.fsum(known) / len(known), digits) if known else None
