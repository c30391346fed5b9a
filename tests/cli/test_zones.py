"""``agegender zones``: serves the page for one video, writes the file, and keeps the one that was there."""

from __future__ import annotations

import json
import shlex
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from agegender_core.counting import read_regions
from agegender_core.images import decode_image

from .conftest import Here

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "astronaut.mp4"
LINE = {"name": "Tür", "start": [256, 0], "end": [256, 200]}
BEFORE = '# by hand\n[[line]]\nname = "old"\nstart = [0, 0]\nend = [1, 1]\n'


def post(address: str, document: Any) -> dict[str, Any]:
    request = urllib.request.Request(address, json.dumps(document).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_a_drawing_is_saved_and_ctrl_c_ends(tmp_path: Path, running: Callable[..., Any]) -> None:
    path = tmp_path / "Zönen.toml"
    with running("zones", SAMPLE, "--output", path, "--no-browser") as (process, address):
        with urllib.request.urlopen(address + "frame.jpg", timeout=30) as answer:
            height, width = decode_image(answer.read()).shape[:2]
        with urllib.request.urlopen(address + "about", timeout=30) as answer:
            about = json.load(answer)
        assert about["frame"] == [width, height]
        assert shlex.split(about["command"])[:5] == ["agegender", "stream", str(SAMPLE), "--zones", str(path)]
        assert not path.exists()
        post(address + "save", {"line": [LINE]})
        assert [line.name for line in read_regions(path).lines] == ["Tür"]
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert process.returncode == 0


def test_a_file_that_is_there_is_shown_and_kept(tmp_path: Path, running: Callable[..., Any]) -> None:
    path = tmp_path / "zones.toml"
    path.write_text(BEFORE)
    with running("zones", SAMPLE, "--output", path, "--no-browser", "--at", 1) as (_, address):
        with urllib.request.urlopen(address + "about", timeout=30) as answer:
            assert [line["name"] for line in json.load(answer)["line"]] == ["old"]
        post(address + "save", {"line": [LINE]})
        post(address + "save", {"line": [LINE]})
        post(address + "save", {"line": [{**LINE, "name": "door"}]})
    assert (tmp_path / "zones.toml.bak").read_text() == BEFORE
    assert [line.name for line in read_regions(tmp_path / "zones.toml.bak2").lines] == ["Tür"]
    assert [line.name for line in read_regions(path).lines] == ["door"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.mp4"], "no.mp4"),
        ([SAMPLE, "--at", "1000"], "has only 3.6 seconds"),
        ([SAMPLE, "--output", "broken.toml"], "broken.toml: "),
        ([SAMPLE, "--output", "no/zones.toml"], "there is no folder no"),
        ([SAMPLE, "--output", "folder"], "is a folder, and must be a file"),
        (["clip.mp4", "--output", "clip.mp4"], "is clip.mp4 itself, which is read"),
    ],
)
def test_mistakes(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch, words: list[Any], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.toml").write_text("[[line")
    Path("folder").mkdir()
    Path("clip.mp4").write_bytes(SAMPLE.read_bytes())
    assert message in here("zones", *words, "--no-browser", code=2).stderr
    assert Path("clip.mp4").read_bytes() == SAMPLE.read_bytes()
