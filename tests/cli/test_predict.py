"""``agegender predict``, as a user runs it."""

from __future__ import annotations

import csv
import hashlib
import http.server
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

AGEGENDER = Path(sys.executable).parent / "agegender"
Here = Callable[..., subprocess.CompletedProcess[str]]


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
    assert set(face) == {"box", "score", "age", "age_std", "age_interval", "gender", "p_male", "quality"}
    assert face["gender"] == "female"
    assert face["quality"] > 0.9
    np.testing.assert_allclose(face["box"], [174, 70, 269, 165], atol=2)
    (by_hog,) = json.loads(run("predict", astronaut_path, "--detector", "hog", "--format", "json").stdout)[0]["faces"]
    assert by_hog["box"] == [179, 83, 267, 171]
    table = run("predict", astronaut_path).stdout
    assert f"{int(face['age'] + 0.5)} ± {face['age_std']:.0f}" in table


def test_a_row_for_every_file(here: Here, awkward: Path) -> None:
    result = here("predict", awkward, "--format", "json")
    rows = {Path(row["source"]).name: row for row in json.loads(result.stdout)}
    assert "notes.xml" in result.stderr
    errors = {name: row["error"] for name, row in rows.items() if row["error"]}
    assert set(rows) == {"Größe.JPG", "truncated.jpg", "empty.png", "text.jpg", "dot.png", "deep.png"}
    assert set(errors) == {"truncated.jpg", "empty.png", "text.jpg"}
    assert "cut off" in errors["truncated.jpg"]
    assert len(rows["Größe.JPG"]["faces"]) == len(rows["deep.png"]["faces"]) == 1
    assert rows["dot.png"]["faces"] == []
    here("predict", awkward, "--strict", "--quiet", code=1)


def test_lines_and_csv(here: Here, awkward: Path) -> None:
    lines = [json.loads(line) for line in here("predict", awkward, "-f", "jsonl", "-q").stdout.splitlines()]
    assert len(lines) == 6
    rows = list(csv.DictReader(io.StringIO(here("predict", awkward, "-f", "csv", "-q").stdout)))
    assert len(rows) == 6
    assert [row["quality"] != "" for row in rows] == [row["age"] != "" for row in rows]
    assert sum(row["age"] != "" for row in rows) == 2


def test_globs_and_drawings(here: Here, awkward: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    here("predict", f"{awkward}/**/*.JPG", f"{awkward}/deep.png", "--output", drawn)
    assert sorted(path.name for path in drawn.iterdir()) == ["Größe.jpg", "deep.jpg"]
    picture = cv2.imdecode(np.fromfile(drawn / "deep.jpg", np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (400, 512, 3)


def test_an_empty_folder(here: Here, tmp_path: Path) -> None:
    assert "no pictures in" in here("predict", tmp_path, code=2).stderr


@pytest.mark.slow
def test_real_photos(here: Here, shared_data: Path) -> None:
    result = here("predict", shared_data / "photos", "--format", "json")
    rows = json.loads(result.stdout)
    assert len(rows) == 19
    assert all(row["error"] is None for row in rows)
    assert "testing.xml" in result.stderr
    faces = {Path(row["source"]).name: len(row["faces"]) for row in rows}
    assert faces["32bit.png"] >= 1
    assert faces["two_people.jpg"] == 2


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def holiday(tmp_path: Path, astronaut_path: Path) -> Path:
    """Pictures in a folder, some below it; and links to all that."""
    folder = tmp_path / "place" / "holiday"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(astronaut_path, folder / "a.jpg")
    shutil.copy(astronaut_path, folder / "sub" / "b.jpg")
    (folder.parent / "link").symlink_to(folder, target_is_directory=True)
    (folder.parent / "linked").mkdir()
    (folder.parent / "linked" / "a.jpg").symlink_to(folder / "a.jpg")
    (folder.parent / "hard").mkdir()
    os.link(folder / "a.jpg", folder.parent / "hard" / "a.jpg")
    return folder


@pytest.mark.parametrize(
    ("sources", "output", "why"),
    [
        (["holiday"], "holiday", "--output holiday is the folder of the pictures itself"),
        (["holiday"], "link", "--output link is the folder of the pictures itself"),
        (["holiday/../holiday"], "./holiday/.", "is the folder of the pictures itself"),
        (["holiday/a.jpg"], "holiday", "would replace the picture holiday/a.jpg"),
        (["holiday/a.jpg"], "link", "would replace the picture holiday/a.jpg"),
        (["holiday/a.jpg"], "linked", "would replace the picture holiday/a.jpg"),
        (["holiday/a.jpg"], "hard", "would replace the picture holiday/a.jpg"),
        (["holiday/a.jpg"], "holiday/a.jpg", "would replace the picture holiday/a.jpg"),
        (["holiday/a.jpg"], "link/a.jpg", "would replace the picture holiday/a.jpg"),
        (["holiday/*.jpg"], "holiday", "would replace the picture holiday/a.jpg"),
        (["holiday/**/*.jpg"], "holiday/sub", "the pictures in"),
        (["."], "holiday/sub", "would replace holiday/sub/b.jpg, which is no drawing"),
        (["holiday/sub/b.jpg", "linked/a.jpg"], "holiday", "would replace the picture linked/a.jpg"),
        (["holiday/sub/b.jpg", "linked/a.jpg"], "hard", "would replace the picture linked/a.jpg"),
        (["holiday"], "out.jpg", "is one picture, and there are 2 to draw"),
        (["holiday/a.jpg"], "out.heic", "can't be written"),
        (["holiday/a.jpg"], "notes", "--output notes is a file"),
        (["holiday/sub"], "theirs", "would replace theirs/b.jpg, which is no drawing"),
    ],
)
def test_no_picture_is_replaced(
    here: Here, holiday: Path, sources: list[str], output: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = holiday.parent
    (place / "notes").write_text("mine")
    (place / "theirs").mkdir()
    (place / "theirs" / "b.jpg").write_bytes(b"mine, too")
    if sources == ["."]:
        shutil.copy(holiday / "a.jpg", holiday / "b.jpg")
    if output == "holiday/sub":
        (holiday / "a.jpg").rename(holiday / "sub" / "a.jpg") if sources != ["."] else None
    before = hashes(place)
    monkeypatch.chdir(place)
    result = here("predict", *sources, "-o", output, "--quiet", code=2)
    assert why in result.stderr
    assert result.stdout == ""
    assert hashes(place) == before


def test_drawings_are_not_analysed(here: Here, holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn into a folder inside, twice, by a folder and by a glob; and out of a folder inside."""
    monkeypatch.chdir(holiday)
    before = hashes(holiday)
    first = here("predict", ".", "-o", "drawn", "-f", "json")
    drawn = hashes(holiday / "drawn")
    assert set(drawn) == {"a.jpg", "b.jpg"}
    for source in (".", "**/*.jpg", str(holiday)):
        again = here("predict", source, "-o", "drawn", "-f", "json")
        assert "Left out 2 pictures in drawn, where the drawings go." in again.stderr
        names = [Path(row["source"]).name for row in json.loads(again.stdout)]
        assert sorted(names) == ["a.jpg", "b.jpg"]
        assert [row["faces"] for row in json.loads(again.stdout)] == [row["faces"] for row in json.loads(first.stdout)]
    assert hashes(holiday / "drawn") == drawn
    here("predict", "sub", "-o", ".", "-q")
    shutil.rmtree("drawn")
    after = hashes(holiday)
    assert set(after) == {*before, "b.jpg"}
    assert before.items() <= after.items()


def test_one_picture_into_one_file(here: Here, holiday: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(holiday)
    for name in ("out.jpg", "new/OUT.PNG"):
        for _ in range(2):
            result = here("predict", "a.jpg", "-o", name)
            assert f"1 picture, 1 face; written to {name}" in result.stderr
        assert Path(name).is_file()
    here("predict", "sub", "-o", "sub/out.jpg")
    rows = json.loads(here("predict", "sub", "-o", "sub/out.jpg", "-f", "json").stdout)
    assert [row["source"] for row in rows] == ["sub/b.jpg"]


@pytest.fixture
def named(tmp_path: Path, astronaut_path: Path) -> Path:
    """Files under names of all kinds, one of which is no UTF-8."""
    folder = tmp_path / "names"
    folder.mkdir()
    shutil.copy(astronaut_path, folder / "Größe.jpg")
    for name in (*("写真.jpg", "☺.jpg", 'a "b", c.jpg', "line\nbreak.jpg", "\x1b[31mred.jpg"), b"caf\xe9.jpg"):
        cv2.imwrite(str(folder / "tiny.png"), np.zeros((20, 20, 3), np.uint8))
        os.rename(folder / "tiny.png", os.fsencode(folder) + b"/" + os.fsencode(name))
    (folder / os.fsdecode(b"notes\xe9.txt")).touch()
    return folder


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
@pytest.mark.parametrize(
    ("encoding", "format_"),
    [
        ("cp1252", "json"),
        pytest.param("ascii", "jsonl", marks=pytest.mark.slow),
        pytest.param("ascii", "csv", marks=pytest.mark.slow),
        pytest.param("cp1252", "table", marks=pytest.mark.slow),
    ],
)
def test_any_name_in_any_encoding(named: Path, encoding: str, format_: str, tmp_path: Path) -> None:
    names = {"Größe.jpg", "写真.jpg", "☺.jpg", 'a "b", c.jpg', "line\nbreak.jpg", "\x1b[31mred.jpg", "caf\\xe9.jpg"}
    command = [AGEGENDER, "predict", named, "-f", format_, "--model", "ssrnet", "-o", tmp_path / "drawn"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    out, errors = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert "notes\\xe9.txt" in errors
    assert len(list((tmp_path / "drawn").iterdir())) == len(names)
    if format_ == "table":
        assert "Größe.jpg" in out
        assert "caf\\xe9.jpg" in out
        assert " ± " in out
        assert "\\x1b[31mred.jpg" in out
        assert "\x1b" not in out
        assert "line\\x0abreak.jpg" in out
        return
    if format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(out, newline="")))
        names = names - {"line\nbreak.jpg", "\x1b[31mred.jpg"} | {"line\\x0abreak.jpg", "\\x1b[31mred.jpg"}
    else:
        rows = json.loads(out) if format_ == "json" else [json.loads(line) for line in out.split("\n")[:-1]]
    assert {Path(row["source"]).name for row in rows} == names


@pytest.mark.skipif(sys.platform == "win32", reason="terminals")
@pytest.mark.parametrize(
    ("encoding", "format_"), [pytest.param("cp1252", "table", marks=pytest.mark.slow), ("ascii", "json")]
)
def test_a_terminal_gets_what_it_can_show(named: Path, encoding: str, format_: str) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "TERM": "dumb", "COLUMNS": "300"}
    command = [AGEGENDER, "predict", named, "-q", "--model", "ssrnet", "-f", format_]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        pieces = []
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:
            pass  # how Linux says that nobody writes any more
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(ours)
    assert process.returncode == 0
    shown = b"".join(pieces).decode(encoding)
    if format_ == "json":
        assert {Path(row["source"]).name for row in json.loads(shown)} >= {"Größe.jpg", "写真.jpg", "caf\\xe9.jpg"}
    else:
        assert "Größe.jpg" in shown
        assert "\\u5199\\u771f.jpg" in shown


@pytest.fixture
def damaged(tmp_path: Path, astronaut_path: Path) -> Path:
    """A good picture among such as no batch should fail of."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    shutil.copy(astronaut_path, folder / "z-good.jpg")
    rgb = cv2.imread(str(astronaut_path))
    assert rgb is not None
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    cv2.imwrite(str(folder / "float.tif"), rgba.astype(np.float32) / 255)
    cv2.imwrite(str(folder / "loud.tif"), rgba.astype(np.float32) * 7)
    cv2.imwrite(str(folder / "whole.tif"), rgb.astype(np.int32))
    (folder / "heic.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))
    return folder


def test_one_bad_picture_is_a_row(here: Here, damaged: Path) -> None:
    (damaged / "notes.txt").write_text("no picture")
    result = here("predict", damaged, damaged / "notes.txt", "-f", "json")
    rows = {Path(row["source"]).name: row for row in json.loads(result.stdout)}
    assert {name for name, row in rows.items() if row["faces"]} == {"z-good.jpg", "float.tif"}
    assert rows["float.tif"]["faces"][0]["age"] == pytest.approx(rows["z-good.jpg"]["faces"][0]["age"], abs=0.5)
    assert "float32 from 0 to" in rows["loud.tif"]["error"]
    assert "int32 from" in rows["whole.tif"]["error"]
    assert "HEIC" in rows["heic.heic"]["error"]
    assert "6 pictures, 2 faces, 4 that could not be read" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the memory that counts")
def test_too_little_memory_for_one_picture(tmp_path: Path, astronaut_path: Path) -> None:
    import resource

    cv2.imwrite(str(tmp_path / "a-large.png"), np.zeros((14000, 14000), np.uint8))
    shutil.copy(astronaut_path, tmp_path / "b.jpg")
    limit = 900 * 2**20
    done = subprocess.run(
        [AGEGENDER, "predict", tmp_path, "-f", "json"],
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    large, small = json.loads(done.stdout)
    assert large["error"] in ("there is too little memory for it", "there is too little memory to decode it")
    assert len(small["faces"]) == 1


@pytest.mark.slow
def test_several_pictures_at_a_time_give_the_same_rows_in_order(tmp_path: Path, astronaut_path: Path) -> None:
    frame = cv2.imread(str(astronaut_path))
    assert frame is not None
    for number in range(6):
        # The first are the largest, and so the last to be done.
        small = cv2.resize(frame, None, fx=1 - 0.15 * number, fy=1 - 0.15 * number, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(tmp_path / f"{number}.png"), small)
    one, four = (run("predict", tmp_path, "--workers", n, "-f", "json", "-q").stdout for n in (1, 4))
    assert one == four
    assert [Path(row["source"]).name for row in json.loads(four)] == [f"{number}.png" for number in range(6)]


def test_whatever_happens_with_one_picture_the_others_go_on(
    tmp_path: Path, astronaut_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from agegender_cli.main import app
    from agegender_core import Pipeline

    for name in "abcde":
        shutil.copy(astronaut_path, tmp_path / f"{name}.jpg")
    of_opencv = cv2.error()
    of_opencv.err = "wrong"
    errors = iter([MemoryError(), of_opencv, RuntimeError("odd"), ValueError("bad")])
    real = Pipeline.__call__

    def fails(self: Pipeline, frame: np.ndarray) -> object:
        for error in errors:
            raise error
        return real(self, frame)

    monkeypatch.setattr(Pipeline, "__call__", fails)
    monkeypatch.delenv("AGEGENDER_DEBUG", raising=False)
    result = CliRunner().invoke(app, ["predict", str(tmp_path), "--workers", "1", "-f", "json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["error"] for row in rows] == [
        "there is too little memory for it",
        "OpenCV: wrong",
        "internal error: RuntimeError: odd",
        "bad",
        None,
    ]
    assert len(rows[-1]["faces"]) == 1


def test_a_drawing_that_cannot_be_written_is_a_row_with_its_faces(
    here: Here, tmp_path: Path, astronaut_path: Path
) -> None:
    name = f"{'n' * 250}.jpg"  # with the name it has for the time being it is too long
    shutil.copy(astronaut_path, tmp_path / name)
    shutil.copy(astronaut_path, tmp_path / "z.jpg")
    rows = json.loads(here("predict", tmp_path, "-o", tmp_path / "drawn", "-f", "json").stdout)
    assert [len(row["faces"]) for row in rows] == [1, 1]
    assert "can't be written" in rows[0]["error"]
    assert rows[1]["error"] is None
    table = here("predict", tmp_path, "-o", tmp_path / "drawn").stdout
    assert "can't be written" in table


def test_csv_is_a_rectangle(here: Here, damaged: Path) -> None:
    cv2.imwrite(str(damaged / "empty.png"), np.zeros((90, 80, 3), np.uint8))
    lines = list(csv.reader(io.StringIO(here("predict", damaged, "-f", "csv", "-q").stdout)))
    assert {len(line) for line in lines} == {16}
    assert len(lines) == 7
    rows = {Path(line[0]).name: dict(zip(lines[0], line, strict=True)) for line in lines[1:]}
    assert rows["empty.png"]["width"] == "80"
    assert rows["empty.png"]["error"] == rows["empty.png"]["age"] == ""


def test_nothing_readable_is_a_failure(here: Here, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    result = here("predict", tmp_path / "notes.txt", "-f", "json", code=2)
    (row,) = json.loads(result.stdout)
    assert row["error"] == "not a picture that OpenCV can decode"
    assert "1 picture, 0 faces, 1 that could not be read" in result.stderr


def test_no_face_gets_one_hint(here: Here, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((90, 80, 3), np.uint8))
    result = here("predict", tmp_path)
    assert result.stdout.count("no face found") == 2
    assert "2 pictures, 0 faces, 2 without" in result.stderr
    assert result.stderr.count("hint:") == 1
    assert "--threshold 0.4 finds less clear faces, --min-face 8 smaller ones, --any-rotation" in result.stderr
    assert "--any-rotation" not in here("predict", tmp_path, "--any-rotation").stderr
    assert "--detector yunet finds small, turned and" in here("predict", tmp_path, "--detector", "hog").stderr
    assert "--threshold 0.4" in here("predict", tmp_path, "--detector", "yunet").stderr
    assert here("predict", tmp_path, "--quiet").stderr == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("format_", ["json", "csv"])
def test_ctrl_c_prints_what_is_done(
    tmp_path: Path, astronaut_path: Path, format_: str, start_process: Callable[..., Any]
) -> None:
    shutil.copy(astronaut_path, tmp_path / "000.jpg")
    for number in range(1, 301):
        os.link(tmp_path / "000.jpg", tmp_path / f"{number:03}.jpg")
    drawn = tmp_path / "drawn"
    command = [AGEGENDER, "predict", tmp_path, "-f", format_, "--model", "ssrnet", "-o", drawn]
    with start_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (drawn.is_dir() and len(list(drawn.iterdir())) >= 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    rows = json.loads(out) if format_ == "json" else list(csv.DictReader(io.StringIO(out)))
    assert 1 <= len(rows) < 300
    assert f"Stopped: {len(rows)} of 301 pictures" in errors
    assert "Traceback" not in errors


def test_no_lines_of_progress_but_where_somebody_sees_them(tmp_path: Path, astronaut_path: Path) -> None:
    for name in "abcdef":
        shutil.copy(astronaut_path, tmp_path / f"{name}.jpg")
    result = run("predict", tmp_path, "--model", "ssrnet", "-f", "json", FORCE_COLOR="1", TTY_COMPATIBLE="1")
    assert result.stderr == "6 pictures, 6 faces\n"


def test_pictures_under_all_their_names_in_folders(here: Here, tmp_path: Path, astronaut_path: Path) -> None:
    for name in ("a.jfif", "b.mpo", "c.JFIF"):
        shutil.copy(astronaut_path, tmp_path / name)
    for name in ("d.heic", "e.HEIF", "f.avif"):
        (tmp_path / name).write_bytes(b"no picture")
    rows = json.loads(here("predict", tmp_path, "-f", "json", "--model", "ssrnet").stdout)
    assert [Path(row["source"]).name for row in rows] == ["a.jfif", "b.mpo", "c.JFIF", "d.heic", "e.HEIF", "f.avif"]
    assert [len(row["faces"]) for row in rows] == [1, 1, 1, 0, 0, 0]


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_what_cannot_be_opened_is_a_row_and_a_pipe_is_passed_over(
    here: Here, tmp_path: Path, astronaut_path: Path
) -> None:
    shutil.copy(astronaut_path, tmp_path / "a.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    result = here("predict", tmp_path, "-f", "json", "--model", "ssrnet")
    assert [(Path(row["source"]).name, row["error"]) for row in json.loads(result.stdout)] == [
        ("a.jpg", None),
        ("gone.jpg", "No such file or directory"),
    ]
    assert "pipe.jpg" in result.stderr


def test_a_picture_on_stdin(here: Here, astronaut_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with astronaut_path.open("rb") as file:
        done = subprocess.run(
            [AGEGENDER, "predict", "-", "-f", "json", "-o", tmp_path], stdin=file, capture_output=True
        )
    (row,) = json.loads(done.stdout)
    assert (row["source"], row["error"], len(row["faces"])) == ("-", None, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["stdin.jpg"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert json.loads(here("predict", "-", "-f", "json", code=2).stdout)[0]["error"] == "the file is empty"


@pytest.fixture
def server(astronaut_path: Path) -> Iterator[str]:
    """Pictures at addresses, good ones and bad ones."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/to"):
                self.send_response(302)
                self.send_header(
                    "Location", "file:" + "//localhost/etc/hostname" if self.path == "/to-file" else "/good.jpg"
                )
                self.end_headers()
            elif self.path.startswith(("/good", "/large")):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(astronaut_path.read_bytes())
                with suppress(OSError):
                    for _ in range(self.path.startswith("/large") * 1100):
                        self.wfile.write(bytes(2**16))
            else:
                self.send_error(404, "gone")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_addresses_are_fetched_if_asked_for(
    here: Here, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    address = f"{server}/good%20one.jpg?size=2"
    refused = here("predict", address, code=2).stderr
    assert f"{address} is an address, and nothing is fetched unasked" in refused
    assert "--allow-urls" in refused
    addresses = [address, f"{server}/to-picture", *(f"{server}/{bad}" for bad in ("gone.jpg", "to-file", "large.jpg"))]
    nobody = "http://127.0.0.1:9/x.jpg"
    done = here("predict", *addresses, nobody, "--allow-urls", "-f", "json", "-o", tmp_path)
    rows = json.loads(done.stdout)
    assert [row["source"] for row in rows] == [*addresses, nobody]
    assert [len(row["faces"]) for row in rows] == [1, 1, 0, 0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good_one.jpg", "to-picture.jpg"]
    errors = [row["error"] for row in rows[2:]]
    assert "404" in errors[0]
    assert "file:" in errors[1]
    assert errors[2] == "it has more than 64 MiB"
    assert errors[3]


def test_time_is_limited(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from agegender_core.many import fetching

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetching, "MAX_SECONDS", 0.0)
    with pytest.raises(OSError, match="did not come within 0 s"):
        fetching.fetch(f"{server}/good.jpg")


def test_devices(here: Here, astronaut_path: Path) -> None:
    from agegender_cli.options import DeviceName
    from agegender_core.onnx_runtime import DEVICES, onnxruntime

    assert sorted(DeviceName) == sorted(["auto", *DEVICES])
    expected = here("predict", astronaut_path, "-f", "json", "--device", "cpu").stdout
    assert json.loads(expected)[0]["faces"]
    absent = next(name for name, provider in DEVICES.items() if provider not in onnxruntime.get_available_providers())
    for command in (["predict", astronaut_path], ["benchmark"]):
        refused = here(*command, "--device", absent, code=2)
        assert f"device '{absent}' can't be used: the ONNX Runtime that is installed has" in refused.stderr
    assert "--device" in here("predict", astronaut_path, "--device", "tpu", code=2).stderr


def test_runtimes(here: Here, astronaut_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agegender_cli.options import RuntimeName
    from agegender_core.runtimes import RUNTIMES

    assert sorted(RuntimeName) == sorted(["auto", *RUNTIMES])
    ages = {}
    for runtime in ("auto", "onnxruntime", *(["openvino"] if find_spec("openvino") else [])):
        (row,) = json.loads(here("predict", astronaut_path, "-f", "json", "--runtime", runtime).stdout)
        ages[runtime] = row["faces"][0]["age"]
    assert max(ages.values()) - min(ages.values()) < 0.11  # They are written with one digit.
    refused = here("predict", astronaut_path, "--runtime", "openvino", "--device", "cuda", code=2)
    assert "the runtime openvino runs on the CPU" in refused.stderr
    refused = here("benchmark", "growth", "--runtime", "openvino", code=2)
    assert "--runtime is for agegender benchmark stages and models, not for growth" in refused.stderr
    monkeypatch.setitem(sys.modules, "openvino", None)
    for command in (["predict", astronaut_path], ["benchmark"]):
        refused = here(*command, "--runtime", "openvino", code=2)
        assert "the runtime openvino is not installed" in refused.stderr
        assert "pip install openvino" in refused.stderr


def test_yunet_finds_what_hog_does_not(here: Here, astronaut_path: Path, tmp_path: Path) -> None:
    small = cv2.resize(cv2.imread(str(astronaut_path)), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "small.png"), small)
    counts = {}
    for detector in ("hog", "yunet"):
        (row,) = json.loads(here("predict", tmp_path, "--detector", detector, "-f", "json").stdout)
        counts[detector] = len(row["faces"])
    assert counts == {"hog": 0, "yunet": 1}
    refused = here("predict", tmp_path, "--detector", "yunet", "--upsample", 1, code=2)
    assert "--upsample is for --detector hog" in refused.stderr
