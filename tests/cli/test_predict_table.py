"""``agegender predict`` into a table, and on a Dask cluster: what it says."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

Here = Callable[..., subprocess.CompletedProcess[str]]


def test_a_table_and_what_it_ends_with(here: Here, tmp_path: Path, astronaut_path: Path) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    output = tmp_path / "faces.parquet"
    done = here("predict", astronaut_path, tmp_path, "-o", output)
    assert done.stdout == ""
    assert f"2 pictures, 1 face, 1 that could not be read; written to {output}" in done.stderr
    table = pq.read_table(output)
    assert [str(source) for source in table["source"]] == [str(astronaut_path), str(tmp_path / "broken.jpg")]
    assert table.column_names[0] == "source"
    assert "was there already" not in done.stderr
    # The table that is there already is said to be so, with the exit code that it was made with.
    again = here("predict", astronaut_path, tmp_path, "-o", output, "--strict", code=1)
    assert "written to" not in again.stderr
    assert f"{output} was there already, with these pictures by their names: nothing was to be done." in again.stderr
    with_options = here("predict", astronaut_path, tmp_path, "-o", output, "--model", "tiny", code=2).stderr
    assert f"{output} is there, and holds other pictures, or is of another run" in with_options
    assert "hint: Choose another name, or move it away." in with_options
    here("predict", tmp_path / "broken.jpg", "-o", tmp_path / "none.parquet", code=2)
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 1
    assert sorted(os.listdir(tmp_path)) == ["broken.jpg", "faces.parquet", "none.parquet"]


def test_images(here: Here, tmp_path: Path, astronaut_path: Path) -> None:
    import pyarrow.parquet as pq

    here("predict", astronaut_path, "-o", tmp_path / "faces.parquet", "--images", "--model", "tiny")
    (row,) = pq.read_table(tmp_path / "faces.parquet").to_pylist()
    assert row["image"]["bytes"].startswith(b"\xff\xd8")
    assert row["image"]["path"] == f"{astronaut_path}-0.jpg"
    # And again as pictures.
    rows = here("predict", tmp_path / "faces.parquet", "-f", "csv").stdout.splitlines()
    assert rows[1].startswith(f"{tmp_path / 'faces.parquet'}#0,,")
    assert len(rows[1].split(",")) == 16


def test_mistakes_are_sentences(
    here: Here, astronaut_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agegender_core.many import cluster

    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    output = tmp_path / "faces.parquet"
    nowhere = here("predict", astronaut_path, "-o", output, "--scheduler", "tcp://127.0.0.1:9", code=2).stderr
    assert "no Dask scheduler answers at tcp://127.0.0.1:9; start one with: dask scheduler" in nowhere
    assert list(tmp_path.iterdir()) == []  # nothing was done, and there is nothing to go on from
    wrong = here("predict", astronaut_path, "-o", output, "--scheduler", "localhost", code=2).stderr
    assert "scheduler must be an address like tcp://host:8786, got 'localhost'" in wrong
    files = pytest.importorskip("fsspec").filesystem("memory")
    files.pipe_file("/x.jpg", b"")
    away = here("predict", "memory://x.jpg", "-o", output, "--scheduler", "tcp://127.0.0.1:9", code=2).stderr
    files.store.clear()
    assert "memory:// is in this process alone, and --scheduler has other processes do the work" in away
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert "a picture on stdin can't go into a table" in here("predict", "-", "-o", output, code=2).stderr
    monkeypatch.setitem(sys.modules, "distributed", None)
    missing = here("predict", astronaut_path, "-o", output, "--scheduler", "tcp://127.0.0.1:9", code=2).stderr
    assert "--scheduler needs a package that is not installed: distributed" in missing
    assert 'pip install distributed (the extra "agegender-core[dask]")' in missing
    assert not output.exists()
