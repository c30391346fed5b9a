"""Who crosses a line and which way; who is in a zone and how long."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import supervision
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core.counting import (
    Counter,
    CountEvent,
    Line,
    PersonLinker,
    Zone,
    count_records,
    prometheus_counts,
)
from agegender_core.faces import Faces

from .seen import faces_at

SIZE = (200, 100)
DOOR = Line("door", (0.5, 0.0), (0.5, 1.0))  # x = 100, drawn downwards: in is to the right of the picture
SHELF = Zone("shelf", ((0.25, 0.0), (0.75, 0.0), (0.75, 1.0), (0.25, 1.0)), stay=2.0)  # x from 50 to 150
WALKS = st.lists(st.integers(0, 200).filter(lambda x: x != 100), min_size=1, max_size=30)


def walk(xs: Sequence[float], counter: Counter, y: float = 50, step: float = 0.1) -> list[CountEvent]:
    return [event for n, x in enumerate(xs) for event in counter.update(faces_at([(1, x, y)], time=step * n))]


def at_the_door(margin: float = 0.0, frames: int = 1) -> Counter:
    return Counter((DOOR,), (), SIZE, margin, frames)


def test_from_the_right_of_a_line_to_its_left_is_in() -> None:
    events = walk([60, 140, 60], at_the_door(0.1))
    assert [(event.kind, event.region, event.person.number, event.time) for event in events] == [
        ("in", "door", 1, 0.1),
        ("out", "door", 1, 0.2),
    ]


@given(WALKS)
def test_crossings_are_changes_of_the_side(xs: list[int]) -> None:
    counter = at_the_door()
    walk(xs, counter)
    changes = [(a > 100, b > 100) for a, b in pairwise(xs)]
    kinds = counter.totals["door"].kinds
    assert (kinds["in"], kinds["out"]) == (changes.count((False, True)), changes.count((True, False)))


@given(WALKS)
def test_a_mirrored_walk_swaps_in_and_out(xs: list[int]) -> None:
    there, mirrored = at_the_door(0.1), at_the_door(0.1)
    walk(xs, there)
    walk([200 - x for x in xs], mirrored)
    a, b = there.totals["door"].kinds, mirrored.totals["door"].kinds
    assert (a["in"], a["out"]) == (b["out"], b["in"])


@given(WALKS)
def test_in_and_out_take_turns(xs: list[int]) -> None:
    kinds = [event.kind for event in walk(xs, at_the_door(0.3))]
    assert all(first != second for first, second in pairwise(kinds))


@settings(max_examples=50)
@given(WALKS.filter(lambda xs: len(xs) > 2))
def test_directions_are_those_of_supervision(xs: list[int]) -> None:
    theirs = supervision.LineZone(supervision.Point(100, 0), supervision.Point(100, 100), [supervision.Position.CENTER])
    for x in xs:
        theirs.trigger(faces_at([(1, x, 50)]).to_supervision())
    ours = at_the_door()
    walk(xs, ours)
    kinds = ours.totals["door"].kinds
    assert (kinds["in"], kinds["out"]) == (theirs.in_count, theirs.out_count)


def test_who_trembles_on_the_line_is_counted_once() -> None:
    events = walk([60, 99, 101, 99, 101, 101.5, 98, 140], at_the_door(0.1))
    assert [event.kind for event in events] == ["in"]


@pytest.mark.parametrize(("xs", "kinds"), [([60, 140, 60, 60], []), ([60, 140, 140, 60, 101, 60], ["in"])])
def test_a_box_that_jumps_for_one_frame_is_not_counted(xs: list[int], kinds: list[str]) -> None:
    assert [event.kind for event in walk(xs, at_the_door(0.1, frames=2))] == kinds


def test_who_appears_on_the_line_has_not_crossed_it() -> None:
    assert walk([101, 140], at_the_door(0.1)) == []


def test_around_an_end_is_no_crossing() -> None:
    short = Line("short", (0.5, 0.0), (0.5, 0.3))
    assert walk([60, 99, 101, 140], Counter((short,), (), SIZE, frames=1), y=50) == []
    assert len(walk([60, 99, 101, 140], Counter((short,), (), SIZE, frames=1), y=20)) == 1


def test_where_the_way_cut_the_line_counts_not_where_it_is_sure() -> None:
    # Cuts the line's continuation at y = 40, and is beside the line itself only later.
    counter = Counter((Line("short", (0.5, 0.0), (0.5, 0.3)),), (), SIZE, margin=0.5, frames=1)
    places = [(60, 40), (99, 40), (101, 40), (105, 20), (140, 20)]
    events = [e for n, (x, y) in enumerate(places) for e in counter.update(faces_at([(1, x, y)], time=0.1 * n))]
    assert events == []


def test_over_the_point_where_two_lines_meet_is_one_crossing() -> None:
    upper, lower = Line("upper", (0.5, 0.0), (0.5, 0.5)), Line("lower", (0.5, 0.5), (0.5, 1.0))
    assert [event.region for event in walk([60, 140], Counter((upper, lower), (), SIZE, frames=1), y=50)] == ["lower"]


@pytest.mark.parametrize(("anchor", "y", "crosses"), [("top", 55, False), ("top", 65, True), ("bottom", 45, True)])
def test_the_anchor_is_what_crosses(anchor: str, y: float, crosses: bool) -> None:
    shelf = Line("shelf", (0.0, 0.5), (1.0, 0.5), anchor=anchor)  # type: ignore[arg-type]
    counter = Counter((shelf,), (), SIZE, frames=1)
    events = [e for n, place in enumerate((20, y)) for e in counter.update(faces_at([(1, 50, place)], time=0.1 * n))]
    assert len(events) == crosses


def test_a_person_who_is_lost_on_the_line_is_counted_once() -> None:
    counter = at_the_door(0.1)
    for step in range(10):
        counter.update(faces_at([(1, 50 + 5 * step, 50)], time=step / 10))
    events = counter.update(faces_at([(2, 125, 50)], time=1.6))
    assert [(event.kind, event.person.number) for event in events] == [("in", 1)]
    alone = Counter((DOOR,), (), SIZE, frames=1, linker=PersonLinker(window=0))
    alone.update(faces_at([(1, 95, 50)]))
    assert alone.update(faces_at([(2, 125, 50)], time=0.5)) == []


def test_a_visit() -> None:
    counter = Counter((), (SHELF,), SIZE, frames=1)
    events = walk([20, 60, 100, 140, 180], counter, step=0.5)
    assert [(e.kind, e.time, e.seconds, e.stayed) for e in events] == [
        ("entered", 0.5, None, None),
        ("left", 2.0, 1.5, False),
    ]
    assert counter.totals["shelf"].now == 0


def test_who_is_first_or_last_seen_in_a_zone() -> None:
    counter = Counter((), (SHELF,), SIZE, frames=1)
    assert [event.kind for event in walk([100, 100, 100], counter, step=1.5)] == ["appeared"]
    assert counter.totals["shelf"].now == 1
    (event,) = counter.update(faces_at([], time=8.1), captured=1008.1)
    assert (event.kind, event.time, event.captured, event.seconds, event.stayed) == ("vanished", 3.0, 1003.0, 3.0, True)
    assert counter.totals["shelf"].now == 0
    assert counter.finish(8.0) == []


def test_the_end_of_the_video_ends_visits() -> None:
    counter = Counter((), (SHELF,), SIZE, frames=1)
    walk([100, 100], counter)
    assert [(event.kind, event.time) for event in counter.finish(0.1)] == [("vanished", 0.1)]
    assert counter.totals["shelf"].now == 0


@given(WALKS)
def test_visits_begin_and_end_in_turns(xs: list[int]) -> None:
    counter = Counter((), (SHELF,), SIZE, frames=1)
    events = walk(xs, counter) + counter.finish(9.0)
    begins = [event.kind in ("entered", "appeared") for event in events]
    assert begins == [n % 2 == 0 for n in range(len(begins))]
    assert len(begins) % 2 == 0
    assert all(event.kind != "appeared" for event in events[1:])


def test_a_zone_smaller_than_the_margin_still_holds_people() -> None:
    tiny = Zone("tiny", ((0.49, 0.46), (0.51, 0.46), (0.51, 0.54), (0.49, 0.54)))  # 4 x 8 pixels
    kinds = [event.kind for event in walk([60, 100, 140], Counter((), (tiny,), SIZE, margin=1.0, frames=1))]
    assert kinds == ["entered", "left"]


def test_faces_without_a_track_are_left_out() -> None:
    counter = at_the_door()
    assert counter.update(faces_at([(-1, 60, 50)])) == counter.update(faces_at([(-1, 140, 50)], time=0.1)) == []
    with pytest.raises(ValueError, match="track them first"):
        counter.update(Faces(xyxy=np.zeros((0, 4), np.float32)))


def test_another_size_keeps_counts_and_counts_no_jump() -> None:
    counter = Counter((DOOR,), (SHELF,), SIZE, frames=1)
    walk([60, 140], counter)
    counter.resize((400, 200))
    # The same place in a picture twice as large.
    assert counter.update(faces_at([(1, 280, 100)], time=0.2)) == []
    assert [event.kind for event in counter.update(faces_at([(1, 120, 100)], time=0.3))] == ["out"]
    assert counter.totals["door"].kinds == {"in": 1, "out": 1}


@pytest.mark.parametrize("wrong", [{"frame_size": (0, 100)}, {"margin": -0.1}, {"margin": float("inf")}, {"frames": 0}])
def test_wrong_settings(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Counter(**{"lines": (DOOR,), "zones": (), "frame_size": SIZE, **wrong})  # type: ignore[arg-type]


def test_counts_as_json_and_for_prometheus() -> None:
    counter = Counter((DOOR,), (SHELF,), SIZE, frames=1)
    walk([20, 100, 110, 180, 110], counter, step=2.0)
    assert count_records(counter) == [
        {"line": "door", "in": 1, "out": 0},
        {"zone": "shelf", "now": 1, "visits": 2, "stays": 1},
    ]
    assert prometheus_counts([('a"b', counter)]).splitlines() == [
        "# HELP agegender_region_events_total What people did at lines and zones.",
        "# TYPE agegender_region_events_total counter",
        'agegender_region_events_total{source="a\\"b",region="door",event="in"} 1',
        'agegender_region_events_total{source="a\\"b",region="door",event="out"} 0',
        'agegender_region_events_total{source="a\\"b",region="shelf",event="entered"} 2',
        'agegender_region_events_total{source="a\\"b",region="shelf",event="appeared"} 0',
        'agegender_region_events_total{source="a\\"b",region="shelf",event="left"} 1',
        'agegender_region_events_total{source="a\\"b",region="shelf",event="vanished"} 0',
        "# HELP agegender_zone_people People who are in a zone.",
        "# TYPE agegender_zone_people gauge",
        'agegender_zone_people{source="a\\"b",region="shelf"} 1',
    ]
    assert prometheus_counts([]) == ""
