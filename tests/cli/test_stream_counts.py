"""``agegender stream --zones``: counts and events of real frames, and what is wrong said at once."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from .conftest import Here

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
FACE = '[[zone]]\nname = "Gesicht"\npoints = [[0, 0], [1, 0], [1, 1], [0, 1]]\nstay = 1\n'


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    path = tmp_path / "Zönen.toml"
    path.write_text(FACE, "utf-8")
    return path


def test_counts_events_and_totals(tmp_path: Path, here: Here, model: Path, zones: Path) -> None:
    counts, events, video = (tmp_path / name for name in ("counts.csv", "events.jsonl", "drawn.mp4"))
    metrics = tmp_path / "metrics.prom"
    options = ["--zones", zones, "--counts", counts, "--events", events, "--output", video, "--metrics", metrics]
    result = here("stream", SAMPLES / "astronaut.mp4", "--no-show", "--model", model, *options)
    assert "Gesicht: 1 visit, 1 of 1 s or longer." in result.stderr
    with counts.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["count"] != "0"]
    assert [(row["event"], row["gender"], row["count"]) for row in rows] == [
        ("appeared", "female", "1"),
        ("vanished", "female", "1"),
        ("stayed", "female", "1"),
    ]
    assert float(rows[0]["gender_confidence"]) == pytest.approx(0.8, abs=0.01)
    happened = [json.loads(line) for line in events.read_text("utf-8").splitlines()]
    assert [(row["event"], row["person"]) for row in happened] == [("appeared", 1), ("vanished", 1)]
    assert happened[1]["seconds"] > 2
    assert video.stat().st_size > 0
    assert 'region="Gesicht",event="appeared"} 1' in metrics.read_text()


def test_events_on_stdout_and_several_sources(tmp_path: Path, here: Here, model: Path) -> None:
    sources = [SAMPLES / "astronaut.mp4", tmp_path / "again.mp4"]
    sources[1].write_bytes(sources[0].read_bytes())
    zones = tmp_path / "zones.toml"
    zones.write_text(FACE + 'source = "again"\n' + FACE.replace("Gesicht", "face"))
    result = here(
        "stream", *sources, "--no-show", "--model", model, "--zones", zones, "--events", "-", "--detect-every", 15
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted({(Path(row["source"]).name, row["region"]) for row in rows}) == [
        ("again.mp4", "Gesicht"),
        ("again.mp4", "face"),
        ("astronaut.mp4", "face"),
    ]
    assert f"{sources[1]}: Gesicht: 1 visit" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--counts", "c.csv"], "--counts needs --zones"),
        (["--events", "c.csv"], "--events needs --zones"),
        (["--zones", "missing.toml", "--counts", "c.csv"], "missing.toml: No such file"),
        (["--zones", "broken.toml", "--counts", "c.csv"], "broken.toml: "),
        (["--zones", "far.toml", "--counts", "c.csv"], "has a region for the source 'lobby', and there is none"),
        (
            ["--zones", "zones.toml", "--counts", "zones.toml"],
            "--counts zones.toml is zones.toml itself, which is read",
        ),
        (
            ["--zones", "zones.toml", "--counts", "c.csv", "--events", "c.csv"],
            "--counts and --events are the same file",
        ),
        (["--zones", "zones.toml"], "nothing to do"),
        (["--zones", "zones.toml", "--counts", "no/c.csv"], "no/c.csv can't be written"),
        (["--zones", "zones.toml", "--counts", "no/c.parquet"], "no/c.parquet can't be written"),
    ],
)
def test_mistakes(
    tmp_path: Path, here: Here, model: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    for name, text in (("zones", FACE), ("broken", "[[zone"), ("far", FACE + 'source = "lobby"')):
        Path(f"{name}.toml").write_text(text)
    result = here("stream", SAMPLES / "astronaut.mp4", "--no-show", "--model", model, *options, code=2)
    assert message in result.stderr
    assert [name for name in sorted(os.listdir()) if not name.endswith(".toml")] == []
    assert Path("zones.toml").read_text() == FACE
