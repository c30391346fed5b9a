"""Counts by the minute: who, when, how sure, and that quiet minutes are there."""

from __future__ import annotations

from collections import Counter as Tally
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agegender_core.counting import COUNT_COLUMNS, AgeBands, CountEvent, Line, MinuteCounts, Person, Zone

DOOR = Line("door", (0.5, 0.0), (0.5, 1.0))
SHELF = Zone("shelf", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
NOON = 1_764_244_800.0  # 2025-11-27 12:00 UTC


def somebody(age: float | None = None, p_male: float | None = None) -> Person:
    interval = None if age is None else (age - 8, age + 8)
    return Person(1, 1, 0.0, 0.0, (0, 0, 1, 1), age, interval, p_male)


def counted(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (row["minute"], row["region"], row["event"], row["gender"], row["age_band"], row["count"])
        for row in rows
        if row["count"]
    ]


def test_a_minute_comes_ten_seconds_after_its_end() -> None:
    counts = MinuteCounts("lobby.mp4", [DOOR], [])
    assert counts.add([CountEvent("door", "in", somebody(34, 0.2), 3.0)], 3.0) == []
    assert counts.add([], 69.9) == []
    rows = counts.add([], 70.0)
    assert [list(row) for row in rows] == [list(COUNT_COLUMNS)] * 2
    assert rows[0]["event"] == "in"
    assert (rows[0]["gender_confidence"], rows[0]["age_confidence"]) == (0.8, 0.686)
    assert counted(rows) == [(0, "door", "in", "female", "30-39", 1)]
    assert counts.finish()[0]["minute"] == 1


def test_what_is_known_when_the_minute_is_written_counts() -> None:
    counts, person = MinuteCounts("", [DOOR], []), somebody()
    counts.add([CountEvent("door", "out", person, 3.0)], 3.0)
    person.age, person.p_male = 71.0, 0.9
    assert counted(counts.finish()) == [(0, "door", "out", "male", "70+", 1)]


def test_an_unknown_person_is_counted_as_unknown() -> None:
    counts = MinuteCounts("", [DOOR], [])
    counts.add([CountEvent("door", "in", somebody(), 3.0), CountEvent("door", "in", somebody(5, 0.9), 3.0)], 3.0)
    assert counted(counts.finish()) == [(0, "door", "in", "male", "0-9", 1), (0, "door", "in", None, None, 1)]


def test_visits_end_as_passed_or_stayed() -> None:
    counts = MinuteCounts("", [], [SHELF], AgeBands((18,)))
    who = somebody(30, 0.9)
    gone = [CountEvent("shelf", "left", who, 9.0, None, seconds, seconds >= 5) for seconds in (2.0, 6.0, 8.0)]
    counts.add(gone, 9.0)
    rows = {row["event"]: row for row in counts.finish()}
    assert {event: (row["count"], row["seconds"]) for event, row in rows.items()} == {
        "entered": (0, None),
        "appeared": (0, None),
        "left": (3, 5.3),
        "vanished": (0, None),
        "passed": (1, 2.0),
        "stayed": (2, 7.0),
    }


def test_a_quiet_minute_has_rows_and_one_without_a_camera_has_none() -> None:
    counts = MinuteCounts("", [DOOR], [])
    rows = [row for second in (*range(60), *range(180, 200)) for row in counts.add([], float(second))]
    rows += counts.finish()
    assert [(row["minute"], row["event"], row["count"], row["observed"]) for row in rows] == [
        (0, "in", 0, 59.0),
        (0, "out", 0, 59.0),
        (3, "in", 0, 19.0),
        (3, "out", 0, 19.0),
    ]


def test_minutes_of_a_live_source_are_those_of_the_clock() -> None:
    counts = MinuteCounts("cam", [DOOR], [])
    first = counts.add([CountEvent("door", "in", somebody(), 0.0, NOON + 59)], 0.0, NOON + 59)
    first += counts.add([CountEvent("door", "in", somebody(), 2.0, NOON + 61)], 2.0, NOON + 61)
    rows = [row for row in first + counts.finish() if row["count"]]
    assert [(row["minute"], row["start"]) for row in rows] == [
        (0, "2025-11-27T12:00:00.000Z"),
        (1, "2025-11-27T12:01:00.000Z"),
    ]


def test_one_that_comes_after_its_minute_is_not_lost() -> None:
    counts = MinuteCounts("", [DOOR], [SHELF])
    counts.add([], 0.0)
    counts.add([], 75.0)
    counts.add([CountEvent("shelf", "vanished", somebody(), 50.0, None, 3.0, False)], 76.0)
    assert ("shelf", "vanished") in [row[1:3] for row in counted(counts.finish())]


def test_nothing_seen_gives_no_rows() -> None:
    assert MinuteCounts("", [DOOR], []).finish() == []


@given(st.lists(st.tuples(st.floats(0, 600), st.sampled_from(["in", "out"]), st.integers(0, 99), st.floats(0, 1))))
def test_every_event_is_in_one_row(events: list[tuple[float, Any, int, float]]) -> None:
    counts, rows = MinuteCounts("", [DOOR], []), []
    for time, kind, age, p_male in sorted(events):
        rows += counts.add([CountEvent("door", kind, somebody(age, p_male), time)], time)
    rows += counts.finish()
    totals: Tally[str] = Tally()
    for row in rows:
        totals[row["event"]] += row["count"]
    assert totals["in"] == sum(kind == "in" for _, kind, _, _ in events)
    assert totals["out"] == sum(kind == "out" for _, kind, _, _ in events)
    assert len({(row["minute"], row["event"], row["gender"], row["age_band"]) for row in rows}) == len(rows)
