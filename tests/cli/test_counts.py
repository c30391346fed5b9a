"""``agegender counts``: sums by region, event, gender and band; plots; mistakes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Here

HEADER = "source,minute,start,observed,region,event,gender,age_band,count,gender_confidence,age_confidence,seconds\n"
MONDAY = HEADER + (
    "cam,0,2025-11-27T12:00:00.000Z,60,door,in,female,30-39,2,0.9,0.5,\n"
    "cam,0,2025-11-27T12:00:00.000Z,60,door,out,,,0,,,\n"
    "cam,1,2025-11-27T12:01:00.000Z,60,door,in,male,0-9,1,0.9,0.5,\n"
    "cam,1,2025-11-27T12:01:00.000Z,60,shelf,left,,,1,,,4.0\n"
)
TUESDAY = HEADER + "cam,0,2025-11-28T12:00:00.000Z,60,shelf,left,male,0-9,3,0.9,0.5,8.0\n"


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("monday.csv").write_text(MONDAY)
    Path("tuesday.csv").write_text(TUESDAY)


def test_tables_are_added_up(here: Here) -> None:
    result = here("counts", "monday.csv", "tuesday.csv")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["region", "event", "count", "female", "male", "unknown", "0-9", "30-39", "seconds"],
        ["door", "in", "3", "2", "1", "0", "1", "2", "-"],
        ["door", "out", "0", "0", "0", "0", "0", "0", "-"],
        ["shelf", "left", "4", "0", "3", "1", "3", "0", "7.0"],
    ]


def test_sources_are_kept_apart_and_json_has_all(here: Here) -> None:
    Path("other.csv").write_text(MONDAY.replace("cam,", "yard,"))
    rows = json.loads(here("counts", "monday.csv", "other.csv", "--format", "json").stdout)
    assert [(row["source"], row["region"], row["event"], row["count"]) for row in rows] == [
        *(("cam", "door", "in", 3), ("cam", "door", "out", 0), ("cam", "shelf", "left", 1)),
        *(("yard", "door", "in", 3), ("yard", "door", "out", 0), ("yard", "shelf", "left", 1)),
    ]


@pytest.mark.parametrize("name", ["day.png", "Tag ö.svg"])
def test_a_plot(here: Here, name: str) -> None:
    assert f"Written: {name}" in here("counts", "monday.csv", "--plot", name).stderr
    assert Path(name).read_bytes().startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.csv"], "no.csv: No such file"),
        (["empty.csv"], "empty.csv is no table of counts"),
        (["header.csv"], "there are no counts in header.csv"),
        (["monday.csv", "--plot", "day.gif"], "a plot is a .png or .svg file"),
        (["picture.svg", "--plot", "picture.svg"], "--plot picture.svg is picture.svg itself"),
        (["monday.csv", "--plot", "no/day.png"], "there is no folder no"),
    ],
)
def test_mistakes(here: Here, words: list[str], message: str) -> None:
    Path("empty.csv").touch()
    Path("header.csv").write_text(HEADER)
    Path("picture.svg").write_text(MONDAY)
    before = sorted(os.listdir())
    assert message in here("counts", *words, code=2).stderr
    assert sorted(os.listdir()) == before
