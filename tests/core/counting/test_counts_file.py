"""Tables of counts, read again, and drawn."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_core.counting import COUNT_COLUMNS, CountEvent, Line, MinuteCounts, Person, Zone, read_counts
from agegender_core.counting.plot import _minute, plot_counts
from agegender_core.sinks import open_table

DOOR = Line("Tür, vorn", (0.5, 0.0), (0.5, 1.0))
SHELF = Zone("shelf", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
NOON = 1_764_244_800.0


def rows_of(live: bool = False, minutes: int = 3) -> list[dict[str, Any]]:
    counts, rows = MinuteCounts("lobby\n.mp4", [DOOR], [SHELF]), []
    for number in range(minutes):
        time = 60.0 * number + 5
        captured = NOON + time if live else None
        person = Person(1, 1, 0.0, 0.0, (0, 0, 1, 1), 34.0, (26.0, 42.0), 0.2 if number % 2 else None)
        events = [CountEvent(DOOR.name, "in", person, time, captured)]
        events += [CountEvent("shelf", "left", person, time, captured, 3.25, False)]
        rows += counts.add(events, time, captured)
    return rows + counts.finish()


@pytest.mark.parametrize("suffix", ["csv", "CSV", "jsonl", "parquet"])
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    path, rows = tmp_path / f"counts.{suffix}", rows_of(live=True)
    with open_table(path, COUNT_COLUMNS) as table:
        table.write_rows(rows)
    # CSV has control characters escaped.
    same = [{**row, "source": row["source"].replace("\n", "\\n")} for row in rows]
    assert read_counts(path) == (same if suffix.lower() == "csv" else rows)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, suffix: str) -> None:
    path, rows = tmp_path / f"counts.{suffix}", rows_of()
    with open_table(path, COUNT_COLUMNS) as table:
        table.write_rows(rows)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole[:-1].rindex(b"\n") + 12])
    assert read_counts(path) == [{**row, "source": read_counts(path)[0]["source"]} for row in rows[:-1]]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"a,b\n1,2\n", "it has no 'source'"),
        ("a.csv", b"a,b\n1\n1,2\n", "line 2 does not have the columns"),
        ("a.jsonl", b"{\n", "Expecting"),
        ("a.jsonl", b"3\n", "is not subscriptable"),
        ("a.jsonl", b"\xff\xfe\n", "codec"),
        ("a.parquet", b"PAR1", "Parquet"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=why) as error:
        read_counts(path)
    assert str(error.value).startswith(f"{path} is no table of counts")


def colours(png: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image[..., ::-1]).reshape(-1, 3)


@pytest.mark.parametrize(("live", "minutes"), [(False, 1), (False, 3), (True, 3), (True, 2000)])
def test_a_plot_has_bars_of_who_was_counted(live: bool, minutes: int) -> None:
    pixels = colours(plot_counts(rows_of(live, minutes), ".png"))
    assert ((pixels == (0xD5, 0x5E, 0x00)).all(axis=1).sum() > 100) == (minutes > 1)  # female
    assert (pixels == (0x8C, 0x8C, 0x8C)).all(axis=1).sum() > 100  # unknown
    assert not (pixels == (0x00, 0x72, 0xB2)).all(axis=1).any()  # no man


def test_a_gap_is_grey() -> None:
    rows = [row for row in rows_of(minutes=9) if row["minute"] not in (4, 5)]
    grey = (0xE8, 0xE8, 0xE8)
    assert (colours(plot_counts(rows, ".png")) == grey).all(axis=1).sum() > 1000
    assert (colours(plot_counts(rows_of(minutes=9), ".png")) == grey).all(axis=1).sum() < 50  # edges of letters


def test_the_legend_has_genders_of_all_panels() -> None:
    female = rows_of(minutes=2)
    known = [{**row, "gender": row["gender"] and "male"} for row in female if row["gender"]]
    unknown = [{**row, "region": "back", "gender": None} for row in female if row["event"] == "in"]
    # Text is drawn as curves, each with a comment that says what it is.
    texts = re.findall(r"<!-- (.*?) -->", plot_counts([*known, *unknown], ".svg").decode())
    assert texts[-2:] == ["male", "unknown"]


def test_a_bar_of_a_day_is_one_of_the_local_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """22:30 UTC is one day in Berlin, 23:30 and 00:30 are the next."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        row = rows_of(live=True, minutes=1)[0]
        starts = ["2025-11-27T22:30:00.000Z", "2025-11-27T23:30:00.000Z", "2025-11-28T00:30:00.000Z"]
        minutes = [_minute({**row, "start": start}) for start in starts]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [minute // 1440 for minute in minutes] == [minutes[0] // 1440 + day for day in (0, 1, 1)]
    assert minutes[1] % 1440 == 30


def test_equal_counts_give_equal_plots() -> None:
    assert plot_counts(rows_of(), ".svg") == plot_counts(rows_of(), ".svg")


def test_what_can_not_be_plotted() -> None:
    with pytest.raises(ValueError, match="no counts"):
        plot_counts([], ".png")
    with pytest.raises(ValueError, match="no common time"):
        plot_counts([*rows_of(), *rows_of(live=True)], ".png")
