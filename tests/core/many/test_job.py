"""A table made part by part on this machine: what is in it, and what becomes of it after a stop."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agegender_core import Pipeline, read_image
from agegender_core.images import decode_image
from agegender_core.locks import folder_lock
from agegender_core.many import shards
from agegender_core.many.files import Files
from agegender_core.many.job import make_table
from agegender_core.many.listing import Listing, Part
from agegender_core.many.shards import Tally, shard_size
from agegender_core.records import face_records

from .pictures import write_pictures

pq = pytest.importorskip("pyarrow.parquet")

AGEGENDER = Path(sys.executable).parent / "agegender"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, astronaut_path: Path) -> Path:
    """60 names: faces, pictures without, and what can't be read."""
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, 60, astronaut_path)
    return folder


def listing_of(folder: Path, count: int = 60) -> Listing:
    return Listing([Part(Files(str(folder)), [f"{number:03}.png" for number in range(count)])])


@pytest.fixture
def few_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "FEWEST", 7)


def test_a_shard_has_some_pictures_whatever_there_are() -> None:
    assert [shard_size(n, False) for n in (1, 3200, 3201, 100_000, 200_000, 10**8)] == [16, 16, 17, 500, 1000, 1000]
    assert shard_size(10**8, True) == 250


@pytest.mark.usefixtures("few_a_shard")
def test_a_row_a_face_and_one_for_each_other_picture(pictures: Path, tmp_path: Path) -> None:
    done: list[int] = []
    output = tmp_path / "faces.parquet"
    tally = make_table(listing_of(pictures), output, model="tiny", workers=2, progress=done.append)
    assert tally == Tally(pictures=60, faces=20, failed=20, without=20)
    assert done == list(range(61))
    assert os.listdir(tmp_path) == ["faces.parquet"]
    rows = pq.read_table(output).to_pylist()
    assert [row["source"] for row in rows] == [f"{number:03}.png" for number in range(60)]
    (record,) = face_records(Pipeline.for_pictures("tiny")(read_image(pictures / "000.png")))
    low, high = record.pop("age_interval")
    edges = dict(zip(("left", "top", "right", "bottom"), record.pop("box"), strict=True))
    expected = {**record, **edges, "age_interval_low": low, "age_interval_high": high}
    for row in rows[::3]:
        assert {name: row[name] for name in expected} == expected
        assert (row["width"], row["height"], row["error"]) == (90, 90, None)
    for row in rows[1::3]:
        assert {name for name, value in row.items() if value is not None} == {"source", "width", "height"}
    assert {row["error"] for row in rows[2::3]} == {"not a picture that OpenCV can decode"}


@pytest.mark.usefixtures("few_a_shard")
def test_it_goes_on_after_a_stop_and_the_file_is_the_same(pictures: Path, tmp_path: Path) -> None:
    whole, output, parts = tmp_path / "whole.parquet", tmp_path / "faces.parquet", tmp_path / "faces.parquet.parts"
    listing = listing_of(pictures)
    make_table(listing, whole, model="tiny")

    class StopError(Exception):
        pass

    def stop(done: int) -> None:
        if done == 25:
            raise StopError

    with pytest.raises(StopError):
        make_table(listing, output, model="tiny", progress=stop)
    assert not output.exists()
    names = [f"part-{index:06}.parquet" for index in range(3)]
    assert sorted(path.name for path in parts.glob("part-*")) == names
    # A power cut has cut one off, and another was left under its name for the time being.
    (parts / names[1]).write_bytes((parts / names[1]).read_bytes()[:-20])
    (parts / ".part-000004.parquet.tmp").write_bytes(b"PAR1")
    before = (parts / names[0]).stat().st_mtime_ns, (parts / names[2]).stat().st_mtime_ns
    done: list[int] = []

    def watch(count: int) -> None:
        done.append(count)
        assert ((parts / names[0]).stat().st_mtime_ns, (parts / names[2]).stat().st_mtime_ns) == before

    make_table(listing, output, model="tiny", progress=watch)
    assert done == [14, *range(15, 61)]
    assert output.read_bytes() == whole.read_bytes()
    assert not parts.exists()


@pytest.mark.usefixtures("few_a_shard")
def test_nothing_of_another_run_is_used_or_replaced(pictures: Path, tmp_path: Path) -> None:
    output, parts = tmp_path / "faces.parquet", tmp_path / "faces.parquet.parts"
    listing = listing_of(pictures, 9)
    tally = make_table(listing, output, model="tiny")
    content = output.read_bytes()
    # The same again is there already.
    assert make_table(listing, output, model="tiny") == tally
    others: list[dict[str, Any]] = [
        {"listing": listing_of(pictures, 8)},
        {"model": "fast"},
        {"options": {"threshold": 0.5}},
        {"images": True},
    ]
    for other in others:
        with pytest.raises(FileExistsError, match=r"faces\.parquet is there, and .* of another run") as refused:
            make_table(**{"listing": listing, "output": output, "model": "tiny", **other})
        assert refused.value.__notes__
    assert output.read_bytes() == content
    output.write_text("mine")
    with pytest.raises(FileExistsError, match="holds no table of agegender's"):
        make_table(listing, output, model="tiny")
    assert output.read_text() == "mine"
    output.unlink()

    parts.mkdir()
    (parts / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is where the parts of faces\.parquet go, and holds something else"):
        make_table(listing, output, model="tiny")
    (parts / "job.json").write_text(json.dumps({"key": "other"}))
    with pytest.raises(FileExistsError, match="holds the parts of another run: other pictures, options, models"):
        make_table(listing, output, model="tiny")
    assert (parts / "mine.txt").read_text() == "mine"
    shutil.rmtree(parts)

    with folder_lock(parts), pytest.raises(OSError, match="another process is working on"):
        make_table(listing, output, model="tiny")
    assert not output.exists()


def test_a_model_file_counts_by_its_content(pictures: Path, tmp_path: Path) -> None:
    from agegender_core.predict import MODELS_PATH

    model = tmp_path / "mine.onnx"
    shutil.copy(MODELS_PATH / "ssrnet.onnx", model)
    listing = listing_of(pictures, 2)
    make_table(listing, tmp_path / "a.parquet", model=model)
    make_table(listing, tmp_path / "b.parquet", model="tiny")
    rows = [pq.read_table(tmp_path / name).to_pylist() for name in ("a.parquet", "b.parquet")]
    assert rows[0] == rows[1]
    shutil.copy(MODELS_PATH / "mobilenetv2.onnx", model)
    with pytest.raises(FileExistsError):
        make_table(listing, tmp_path / "a.parquet", model=model)
    with pytest.raises(FileNotFoundError):
        make_table(listing, tmp_path / "c.parquet", model=tmp_path / "none.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet", "mine.onnx"]


def test_datasets_shows_the_faces_as_pictures(pictures: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    make_table(listing_of(pictures, 3), tmp_path / "faces.parquet", model="tiny", images=True)
    path = str(tmp_path / "faces.parquet")
    held = datasets.load_dataset("parquet", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(held.features["image"], datasets.Image)
    assert held[0]["image"].mode == "RGB"
    assert held[0]["image"].size == (140, 140)
    assert held[1]["image"] is None
    assert (held[0]["gender"], held[0]["source"]) == ("female", "000.png")
    # The table is a source of pictures in its turn.
    from agegender_core.many.parquet_images import list_parquet

    part = list_parquet(path, "/")
    reader = part.source.open()
    assert decode_image(reader.read(0)).shape == (140, 140, 3)
    reader.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_after_ctrl_c_and_after_a_kill_the_same_command_goes_on(
    pictures: Path, tmp_path: Path, start_process: Callable[..., Any]
) -> None:
    for number in range(180):
        os.link(pictures / f"{number % 60:03}.png", tmp_path / f"{number:03}.png")
    output = tmp_path / "out" / "faces.parquet"
    output.parent.mkdir()
    parts = output.with_name("faces.parquet.parts")
    command = [AGEGENDER, "predict", tmp_path, "--model", "tiny", "--output", output]

    def started_and_stopped(how: signal.Signals, after: int) -> tuple[int, str]:
        with start_process(command, stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 60
            while len(list(parts.glob("part-*"))) < after:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(how)
            _, errors = process.communicate(timeout=60)
        return process.returncode, errors

    code, errors = started_and_stopped(signal.SIGINT, 2)
    assert code == 130
    assert re.search(r"Stopped: \d+ of 180 pictures are done\.\n  hint: the same command goes on from here: ", errors)
    assert "written to" not in errors
    assert "Traceback" not in errors
    kept = sorted(parts.glob("part-*"))
    assert started_and_stopped(signal.SIGKILL, len(kept) + 2)[0] == -signal.SIGKILL
    assert not output.exists()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "180 pictures, 60 faces, 60 without, 60 that could not be read" in done.stderr
    assert os.listdir(output.parent) == ["faces.parquet"]
    again = subprocess.run([*command[:-1], tmp_path / "out" / "again.parquet"], capture_output=True, text=True)
    assert again.returncode == 0
    assert (tmp_path / "out" / "again.parquet").read_bytes() == output.read_bytes()


def test_rows_of_a_name_that_is_no_utf8(pictures: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xf1\xe9.png")
    shutil.copy(pictures / "000.png", tmp_path / name)
    listing = Listing([Part(Files(str(tmp_path)), [name])])
    make_table(listing, tmp_path / "faces.parquet", model="tiny", images=True)
    (row,) = pq.read_table(io.BytesIO((tmp_path / "faces.parquet").read_bytes())).to_pylist()
    assert row["source"] == "\\xf1\\xe9.png"
