"""Events as rows for tables, one as soon as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agegender_core.records import gender_of, plain_text, utc_text

from .bands import DEFAULT_BANDS, AgeBands
from .counter import CountEvent

EVENT_COLUMNS: Mapping[str, type] = {
    "source": str,
    "time": float,
    **dict.fromkeys(("captured", "region", "event"), str),
    **dict.fromkeys(("person", "track_id"), int),
    "gender": str,
    **dict.fromkeys(("p_male", "age", "age_interval_low", "age_interval_high"), float),
    "age_band": str,
    "seconds": float,
    "stayed": bool,
}
"""The columns of `event_row` and their types, in order."""


def event_row(source: str, event: CountEvent, bands: AgeBands = DEFAULT_BANDS) -> dict[str, Any]:
    """One flat dictionary with the keys `EVENT_COLUMNS`: what happened, and what is known of the person by then.

    ``time`` is in seconds since the source's first frame, ``captured`` by the clock as UTC, for live sources;
    ``seconds`` how long the person was in the zone and ``stayed`` whether that was a stay, for those who go.
    """
    person = event.person
    low, high = person.age_interval or (None, None)
    p_male = _rounded(person.p_male, 4)
    row = (
        *(plain_text(source), round(event.time, 3), utc_text(event.captured), event.region, event.kind),
        *(person.number, person.track_id, None if p_male is None else gender_of(p_male), p_male),
        *(_rounded(value, 2) for value in (person.age, low, high)),
        None if person.age is None else bands.name(bands.of(person.age)),
        *(_rounded(event.seconds, 3), event.stayed),
    )
    return dict(zip(EVENT_COLUMNS, row, strict=True))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
