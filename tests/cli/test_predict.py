"""``agegender predict`` and ``benchmark``, as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

AGEGENDER = Path(sys.executable).parent / "agegender"


def run(*arguments: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [AGEGENDER, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture
def awkward(tmp_path: Path, astronaut_path: Path) -> Path:
    """A folder as people have them."""
    folder = tmp_path / "fotos ñ"
    (folder / "deeper").mkdir(parents=True)
    good = astronaut_path.read_bytes()
    shutil.copy(astronaut_path, folder / "deeper" / "Größe.JPG")
    (folder / "truncated.jpg").write_bytes(good[: len(good) // 2])
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no picture at all")
    (folder / "notes.xml").write_text("<a/>")
    cv2.imwrite(str(folder / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(folder / "deep.png"), cv2.imread(str(astronaut_path)).astype(np.uint16) * 257)
    return folder


def test_the_readmes_first_command(astronaut_path: Path) -> None:
    pictures = json.loads(run("predict", astronaut_path, "--format", "json").stdout)
    assert [picture["source"] for picture in pictures] == [str(astronaut_path)]
    assert (pictures[0]["width"], pictures[0]["height"], pictures[0]["error"]) == (512, 400, None)
    (face,) = pictures[0]["faces"]
    assert set(face) == {"box", "score", "age", "age_std", "age_interval", "gender", "p_male"}
    assert face["gender"] == "female"
    assert face["box"] == [179, 83, 267, 171]
    table = run("predict", astronaut_path).stdout
    assert f"{int(face['age'] + 0.5)} ± {face['age_std']:.0f}" in table


def test_a_row_for_every_file(awkward: Path) -> None:
    result = run("predict", awkward, "--format", "json")
    rows = {Path(row["source"]).name: row for row in json.loads(result.stdout)}
    assert "notes.xml" in result.stderr
    errors = {name: row["error"] for name, row in rows.items() if row["error"]}
    assert set(rows) == {"Größe.JPG", "truncated.jpg", "empty.png", "text.jpg", "dot.png", "deep.png"}
    assert set(errors) == {"truncated.jpg", "empty.png", "text.jpg"}
    assert "cut off" in errors["truncated.jpg"]
    assert len(rows["Größe.JPG"]["faces"]) == len(rows["deep.png"]["faces"]) == 1
    assert rows["dot.png"]["faces"] == []
    run("predict", awkward, "--strict", "--quiet", code=1)


def test_lines_and_csv(awkward: Path) -> None:
    lines = [json.loads(line) for line in run("predict", awkward, "-f", "jsonl", "-q").stdout.splitlines()]
    assert len(lines) == 6
    rows = list(csv.DictReader(io.StringIO(run("predict", awkward, "-f", "csv", "-q").stdout)))
    assert len(rows) == 6
    assert {row["gender"] for row in rows if row["age"]} == {"female"}


def test_globs_and_drawings(awkward: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    run("predict", f"{awkward}/**/*.JPG", f"{awkward}/deep.png", "--output", drawn)
    assert sorted(path.name for path in drawn.iterdir()) == ["Größe.jpg", "deep.jpg"]
    picture = cv2.imdecode(np.fromfile(drawn / "deep.jpg", np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (400, 512, 3)


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "no pictures in" in run("predict", tmp_path, code=2).stderr


def test_real_photos(shared_data: Path) -> None:
    result = run("predict", shared_data / "photos", "--format", "json")
    rows = json.loads(result.stdout)
    assert len(rows) == 19
    assert all(row["error"] is None for row in rows)
    assert "testing.xml" in result.stderr
    faces = {Path(row["source"]).name: len(row["faces"]) for row in rows}
    assert faces["32bit.png"] >= 1
    assert faces["two_people.jpg"] == 2


def test_benchmark_times_every_stage() -> None:
    report = json.loads(run("benchmark", "--format", "json", "--seconds", "0.05").stdout)
    assert report["faces"] == 1
    names = {stage["name"] for stage in report["stages"]}
    assert {"decode", "detect", "align", "preprocess", "track"} <= names
    assert all(0 < stage["min_ms"] <= stage["median_ms"] for stage in report["stages"])
