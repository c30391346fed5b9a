"""The sink that counts: tables by the minute and by the event, drawn lines, sources that change their size."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core.counting import (
    COUNT_COLUMNS,
    EVENT_COLUMNS,
    Counter,
    CountingSink,
    Line,
    Regions,
    Zone,
    draw_regions,
)
from agegender_core.pipeline import FrameResult
from agegender_core.sinks import open_table

from .seen import Seen, faces_at

DOOR = Line("door", (0.5, 0.0), (0.5, 1.0))
SHELF = Zone("shelf", ((0.25, 0.0), (0.75, 0.0), (0.75, 1.0), (0.25, 1.0)))
REGIONS = Regions((DOOR,), (SHELF,))


def result(number: int, seen: list[Seen], size: tuple[int, int] = (200, 100), **more: Any) -> FrameResult:
    faces = faces_at(seen, number / 10, age=34, p_male=0.2)
    return FrameResult(number, number / 10, np.zeros((size[1], size[0], 3), np.uint8), faces, faces, **more)


def through(path: Path, columns: Mapping[str, type], *, events: bool) -> None:
    with open_table(path, columns) as table:
        tables: dict[str, Any] = {"events": [table]} if events else {"minutes": table}
        with CountingSink(("lobby.mp4", "lobby"), REGIONS, **tables) as sink:
            for number, x in enumerate((20, 90, 90, 140, 140, 180, 180)):
                sink.write(result(number, [(1, x, 50)]))
            assert not sink.done


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_tables_of_all_kinds_say_the_same(tmp_path: Path, suffix: str) -> None:
    minutes, events = tmp_path / f"minutes.{suffix}", tmp_path / f"events.{suffix}"
    through(minutes, COUNT_COLUMNS, events=False)
    through(events, EVENT_COLUMNS, events=True)
    rows = read(minutes)
    counted = {(row["region"], row["event"]): int(row["count"]) for row in rows}
    assert {event for event, count in counted.items() if count} == {
        *(("door", "in"), ("shelf", "entered"), ("shelf", "left"), ("shelf", "passed")),
    }
    assert list(rows[0]) == list(COUNT_COLUMNS)
    happened = read(events)
    assert list(happened[0]) == list(EVENT_COLUMNS)
    assert [(row["event"], float(row["time"])) for row in happened] == [("entered", 0.2), ("in", 0.4), ("left", 0.6)]
    assert (happened[1]["gender"], happened[1]["age_band"], float(happened[1]["age_interval_low"])) == (
        *("female", "30-39", 26.0),
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"events.{suffix}", f"minutes.{suffix}"]


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    parquet = pytest.importorskip("pyarrow.parquet")
    table: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return table


def test_a_camera_that_comes_back_in_another_size_goes_on() -> None:
    sink = CountingSink(("cam",), REGIONS)
    for number, x in enumerate((20, 180, 180)):
        sink.write(result(number, [(1, x, 50)]))
    for number, x in enumerate((360, 40, 40)):
        sink.write(result(3 + number, [(1, x, 100)], size=(400, 200)))
    assert sink.counter is not None
    assert sink.counter.totals["door"].kinds == {"in": 1, "out": 1}
    sink.close()
    sink.close()


def test_nobody_goes_on_across_a_cut() -> None:
    """Somebody in about the same place after a cut is another one, though their track is a new one near a lost one."""
    sink = CountingSink(("film",), REGIONS)
    for number, x in enumerate((90, 90, 90)):
        sink.write(result(number, [(1, x, 50)]))
    for number, x in enumerate((105, 105, 105)):
        sink.write(result(3 + number, [(2, x, 50)], shot=1))
    assert sink.counter is not None
    assert sink.counter.totals["door"].kinds == {}
    assert sink.counter.totals["shelf"].kinds == {"appeared": 2, "vanished": 1}
    assert sink.counter.totals["shelf"].now == 1


def test_regions_of_another_source_are_not_counted() -> None:
    sink = CountingSink(("cam", "slug"), Regions((DOOR, Line("back", (0, 0), (1, 1), source="other"))))
    sink.write(result(0, []))
    assert sink.counter is not None
    assert list(sink.counter.totals) == ["door"]


@pytest.mark.parametrize("size", [(1920, 1080), (64, 48), (3, 2)])
def test_what_is_drawn(size: tuple[int, int]) -> None:
    counter = Counter((DOOR,), (SHELF,), size)
    frame = np.full((size[1], size[0], 3), 90, np.uint8)
    drawn = draw_regions(frame, counter)
    assert (frame == 90).all()
    assert drawn.shape == frame.shape
    if size[0] > 100:
        assert tuple(drawn[size[1] // 8, size[0] // 2]) == (255, 255, 255)  # the line
        assert tuple(drawn[size[1] // 2, size[0] // 4]) == (255, 255, 255)  # the zone's edge
        # The arrow is on the right: for a line that is drawn downwards, in is there.
        beside = size[1] // 2, slice(size[0] // 2 + 6, size[0] // 2 + 12)
        mirrored = size[1] // 2, slice(size[0] // 2 - 12, size[0] // 2 - 6)
        assert (drawn[beside] == 255).all()
        assert (drawn[mirrored] == 90).all()


def test_the_start_of_other_programs_does_not_load_it() -> None:
    program = (
        "import sys, agegender_core; print([name for name in sys.modules if 'counting' in name or 'tomllib' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
