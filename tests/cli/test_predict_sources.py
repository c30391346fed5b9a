"""``agegender predict`` on archives, lists, Parquet files and addresses."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def archives(tmp_path: Path, astronaut_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        packed.write(astronaut_path, "a/face.jpg")
        packed.writestr("a/notes.txt", "no picture")
        packed.writestr("../../up.jpg", b"no picture")
    with tarfile.open(tmp_path / "in.tar.gz", "w:gz") as packed:
        packed.add(astronaut_path, "face.jpg")
    return tmp_path


def rows_of(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def test_archives(here: Here, archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archives)
    result = here("predict", "in.zip", "in.tar.gz", "in.zip", "-f", "json", "-o", "drawn")
    assert [(row["source"], len(row["faces"]), row["error"]) for row in rows_of(result)] == [
        ("in.zip/a/face.jpg", 1, None),
        ("in.zip/../../up.jpg", 0, "not a picture that OpenCV can decode"),
        ("in.tar.gz/face.jpg", 1, None),
    ]
    assert "Skipped 1 that are no pictures: notes.txt" in result.stderr
    assert sorted(os.listdir("drawn")) == ["face-2.jpg", "face.jpg"]
    by_glob = rows_of(here("predict", "*.tar.gz", "-f", "json"))
    assert [row["source"] for row in by_glob] == ["in.tar.gz/face.jpg"]
    # A folder's archives are not looked into unasked.
    shutil.copy(archives / "drawn" / "face.jpg", "loose.jpg")
    found = here("predict", ".", "-f", "json", "-o", "drawn")
    assert [row["source"] for row in rows_of(found)] == ["loose.jpg"]
    assert "in.zip" in found.stderr


def test_a_list(here: Here, tmp_path: Path, astronaut_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    shutil.copy(astronaut_path, folder / "ñ #1.jpg")
    lines = ["ñ #1.jpg", "", "gone.jpg", str(astronaut_path), "ñ #1.jpg", astronaut_path.as_uri()]
    (folder / "list.txt").write_bytes("\r\n".join(lines).encode())
    expected = [
        (str(folder / "ñ #1.jpg"), 1, None),
        (str(folder / "gone.jpg"), 0, "No such file or directory"),
        (str(astronaut_path), 1, None),
    ]
    rows = rows_of(here("predict", "--files-from", folder / "list.txt", "-f", "json"))
    assert [(row["source"], len(row["faces"]), row["error"]) for row in rows] == expected
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"gone.jpg\n\xf1.jpg")))
    rows = rows_of(here("predict", astronaut_path, "--files-from", "-", "-f", "json"))
    assert [row["source"] for row in rows] == [str(astronaut_path), "gone.jpg", "\\xf1.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_as_windows_writes_it(here: Here, tmp_path: Path, astronaut_path: Path, encoding: str) -> None:
    shutil.copy(astronaut_path, tmp_path / "Bürö.jpg")
    (tmp_path / "list.txt").write_bytes("Bürö.jpg\r\ngone.jpg\r\n".encode(encoding))
    rows = rows_of(here("predict", "--files-from", tmp_path / "list.txt", "-f", "json"))
    assert [(Path(row["source"]).name, len(row["faces"])) for row in rows] == [("Bürö.jpg", 1), ("gone.jpg", 0)]


def test_mistakes_are_sentences(here: Here, tmp_path: Path, astronaut_path: Path) -> None:
    for words, sentence, hint in (
        ((), "PATH is missing", "--files-from list.txt"),
        (("--files-from", tmp_path / "no.txt"), "no.txt: No such file", ""),
        (("s3://bucket/x.jpg",), "s3://bucket/x.jpg is an address, and nothing is fetched unasked", "--allow-urls"),
        (("s3://key:secret@bucket/x", "--allow-urls"), "s3://***@bucket/x has credentials in it", "environment"),
        (("gs://bucket/x", "--allow-urls"), "gs:// needs a package", '(the extra "agegender-core[gcs]")'),
        (("nonsense://x", "--allow-urls"), "nonsense://x: Protocol not known: nonsense", ""),
        (("memory://nothing/here",), "memory://nothing/here: there is no such file, folder or match", ""),
        ((astronaut_path, "--images"), "--images is for a table", "Add --output faces.parquet"),
        ((astronaut_path, "--scheduler", "tcp://x:1"), "--scheduler is for a table", "Add --output faces.parquet"),
        (
            (astronaut_path, "-o", "x.parquet", "--scheduler", "tcp://x:1", "--workers", "2"),
            "--workers is for this machine",
            "Leave out one",
        ),
        ((astronaut_path, "-o", "x.parquet", "-f", "csv"), "the results go into x.parquet", "Leave out --format"),
        ((astronaut_path, "-o", tmp_path / "no" / "x.parquet"), "there is no folder", "Make it first"),
    ):
        errors = here("predict", *words, code=2).stderr
        assert sentence in errors
        assert hint in errors
        assert "secret" not in errors
    (tmp_path / "urls.txt").write_text("https://example.org/a.jpg\n")
    assert "nothing is fetched unasked" in here("predict", "--files-from", tmp_path / "urls.txt", code=2).stderr
    (tmp_path / "urls.txt").write_text("gs://bucket/a.jpg\n")
    missing = here("predict", "--files-from", tmp_path / "urls.txt", "--allow-urls", code=2).stderr
    assert "gs:// needs a package that is not installed" in missing
    (tmp_path / "binary.txt").write_bytes(b"\x89PNG\0")
    assert "is no list of paths" in here("predict", "--files-from", tmp_path / "binary.txt", code=2).stderr


@pytest.fixture
def memory(archives: Path, astronaut_path: Path) -> Iterator[None]:
    files = pytest.importorskip("fsspec").filesystem("memory")
    files.pipe_file("/photos/face.jpg", astronaut_path.read_bytes())
    files.pipe_file("/photos/notes.txt", b"")
    files.pipe_file("/in.zip", (archives / "in.zip").read_bytes())
    yield
    files.store.clear()


@pytest.mark.usefixtures("memory")
def test_addresses_of_fsspec(here: Here, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("memory:///photos/face.jpg\nmemory:///photos/gone.jpg\n")
    result = here("predict", "memory://photos", "memory://in.zip", "--files-from", tmp_path / "list.txt", "-f", "json")
    assert [(row["source"], len(row["faces"])) for row in rows_of(result)] == [
        ("memory:///photos/face.jpg", 1),
        ("memory:///in.zip/a/face.jpg", 1),
        ("memory:///in.zip/../../up.jpg", 0),
        ("memory:///photos/gone.jpg", 0),
    ]
    assert rows_of(result)[-1]["error"] == "No such file or directory"


def test_a_million_names_are_a_list_of_texts(tmp_path: Path) -> None:
    """What is in memory of a long list is its texts, and what finds those that are there twice."""
    import tracemalloc

    from agegender_cli.pictures import find_pictures

    (tmp_path / "list.txt").write_text("".join(f"{n:07}.jpg\n" for n in range(100_000)))
    tracemalloc.start()
    found = find_pictures([], None, False, [str(tmp_path / "list.txt")])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.listing) == 100_000
    assert held < 100_000 * 200
