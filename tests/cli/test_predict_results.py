"""``agegender predict --output NAME.csv``: what else is printed goes into the file that is named."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

AGEGENDER = Path(sys.executable).parent / "agegender"
Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def holiday(tmp_path: Path, astronaut_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "Größe 写真"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(astronaut_path.read_bytes())
    (folder / "b.jpg").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("format_", ["csv", "json", "jsonl"])
def test_a_file_gets_what_would_be_printed(here: Here, holiday: Path, model: Path, format_: str) -> None:
    printed = here("predict", holiday, "--format", format_, "--model", model).stdout
    target = Path("new", f"faces.{format_.upper()}")
    for _ in range(2):  # an earlier result is replaced
        result = here("predict", holiday, "--output", target, "--model", model)
        assert result.stdout == ""
        assert f"written to {target}" in result.stderr
        # A terminal without UTF-8 gets escapes; a file is always UTF-8.
        assert target.read_bytes() == printed.encode()
        assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert sorted(file.name for file in holiday.iterdir()) == ["a.jpg", "b.jpg"]


def test_a_file_of_somebody_else_stays(here: Here, holiday: Path, model: Path) -> None:
    for name, content in (("people.csv", "name,age\nAda,36\n"), ("notes.json", '{"source": 3}'), ("x.jsonl", "[1]\n")):
        Path(name).write_text(content)
        error = here("predict", holiday, "--output", name, "--model", model, code=2).stderr
        assert f"--output {name} would replace a file that agegender predict did not write" in error
        assert Path(name).read_text() == content
    Path("empty.csv").touch()
    here("predict", holiday, "--output", "empty.csv", "--model", model)
    assert Path("empty.csv").read_text().startswith("source,error,")


def test_a_format_that_differs_from_the_name_is_refused(here: Here, holiday: Path, model: Path) -> None:
    error = here("predict", holiday, "--output", "faces.csv", "--format", "json", "--model", model, code=2).stderr
    assert "--format json doesn't fit --output faces.csv" in error
    assert not Path("faces.csv").exists()
    Path("drawn.csv").mkdir()
    here("predict", holiday, "--output", "drawn.csv", "--format", "json", "--model", model)
    assert [file.name for file in Path("drawn.csv").iterdir()] == ["a.jpg"]


def test_a_file_in_the_way_of_the_folder_is_named(here: Here, holiday: Path, model: Path) -> None:
    Path("file").touch()
    error = here("predict", holiday, "--output", "file/faces.csv", "--model", model, code=2).stderr
    assert error == "agegender: file: there is a file of that name already\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_what_is_done(holiday: Path, model: Path) -> None:
    for number in range(300):
        cv2.imwrite(str(holiday / f"n{number:03}.png"), np.zeros((900, 1200, 3), np.uint8))
    command = [AGEGENDER, "predict", holiday, "--output", "faces.csv", "--model", model]
    default = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=default) as process:
        deadline = time.monotonic() + 60
        while not any(file.stat().st_size > 2000 for file in Path().glob(".faces.csv.*.tmp")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not Path("faces.csv").exists()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    rows = Path("faces.csv").read_text().splitlines()[1:]
    assert f"Stopped: {len(rows)} of 302 pictures" in errors
    assert not list(Path().glob(".faces.csv.*"))
