"""Nothing is sent, and nothing is written but what was asked for: every system call that opens a socket is fatal."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
CONFINED = ROOT / ".ci" / "confined.py"
OPENVINO = find_spec("openvino") is not None
AGEGENDER = Path(sys.executable).parent / "agegender"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="a filter of Linux's system calls",
)


def run_alone(
    home: Path, folder: Path, *words: object, read_only: bool = False, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command that may open no socket, with a home folder and a folder for temporary files of its own.

    With `read_only` it can't write outside `folder` either.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "ORT_", "PYTHONPATH", "AGEGENDER_CACHE"))
    }
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    environment = {**kept, "HOME": str(home), "TMPDIR": str(temporary), **more}
    allowed = ["--write", str(folder)] if read_only else []
    command = [sys.executable, str(CONFINED), *allowed, "--", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
    if done.returncode == 77:
        pytest.skip("this kernel has no seccomp, or no Landlock")
    return done


def files_under(*folders: Path) -> list[str]:
    return sorted(str(path) for folder in folders for path in folder.rglob("*") if not path.is_dir())


def test_the_filter_sees_a_socket(tmp_path: Path) -> None:
    done = run_alone(tmp_path, tmp_path / "there", sys.executable, "-c", "import socket; socket.socket()")
    assert done.returncode == -signal.SIGSYS


def test_the_filter_sees_a_file(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "there" / "inside"
    for way in ("open(p, 'w')", "os.mkdir(p)", "os.symlink('x', p)"):
        program = f"import os\nfor p in ({str(inside)!r}, {str(outside)!r}):\n    {way}"
        done = run_alone(tmp_path, tmp_path / "there", sys.executable, "-c", program, read_only=True)
        assert done.returncode == 1
        assert "PermissionError" in done.stderr
        assert str(outside) in done.stderr
        assert os.path.lexists(inside)
        assert not os.path.lexists(outside)
        shutil.rmtree(tmp_path / "there")


THREE_LINES = f"""
import agegender as ag
faces = ag.analyze({str(SAMPLES / "astronaut.jpg")!r})
[(face.age, face.gender, face.box) for face in faces], faces.to_dicts(), faces._repr_html_()
faces.annotate().save("drawn.jpg")
"""

# The library of MQTT isn't even loaded before somebody names a broker.
MESSAGES = """
import sys
from agegender_core.messages import MessageSink, Outbox, Webhook
sink = MessageSink([Outbox(Webhook("http://ann:secret@127.0.0.1:9/people"))])
assert "paho" not in sys.modules
"""

COMMANDS = {
    "three lines": ([sys.executable, "-c", THREE_LINES], ["drawn.jpg"]),
    "openvino": ([sys.executable, "-c", "from agegender_core import openvino_runtime as o; o.openvino().Core()"], []),
    "import": ([sys.executable, "-c", "import agegender_core, agegender_core.onnx_runtime"], []),
    "messages": ([sys.executable, "-c", MESSAGES], []),
    "predict": ([AGEGENDER, "predict", SAMPLES / "astronaut.jpg", "-o", "drawn"], ["drawn/astronaut.jpg"]),
    "stream": (
        [
            *(AGEGENDER, "stream", SAMPLES / "astronaut.mp4", "--no-show", "--upsample", "0", "--detect-every", "30"),
            *("--tracks", "tracks.jsonl", "-o", "out.mp4"),
        ],
        ["out.mp4", "tracks.jsonl"],
    ),
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("fresh", marks=pytest.mark.slow),
        pytest.param("unwritable", marks=pytest.mark.slow),
        "read-only system",
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_no_socket_and_no_file_that_was_not_asked_for(tmp_path: Path, name: str, kind: str) -> None:
    if name == "openvino" and not OPENVINO:
        pytest.skip("the package openvino is not installed")
    words, expected = COMMANDS[name]
    home, place = tmp_path / "home", tmp_path / "work"
    if kind == "unwritable":
        home.touch()
        home = home / "home"  # root may write anywhere, but makes no folder in a file
    else:
        home.mkdir()
    done = run_alone(home, place, *words, read_only=kind == "read-only system")
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert files_under(place) == sorted(str(place / file) for file in expected)
    measured = kind == "fresh" and name in ("predict", "stream") and OPENVINO
    kept = files_under(home)
    assert len(kept) == measured, kept
    assert all(re.search(r"/home/\.cache/agegender/runtime-\w+\.json$", path) for path in kept)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "work"]


def test_who_wants_to_send_it_can() -> None:
    program = "import os, agegender_core; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, found in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
        done = subprocess.run([sys.executable, "-c", program], env={**environment, **given}, capture_output=True)
        assert done.stdout.decode().strip() == found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fresh", "unwritable"])
def test_a_report_writes_its_folder_alone(tmp_path: Path, make_store: Callable[..., Any], kind: str) -> None:
    store = make_store(size=140, n=24)
    (tmp_path / "file").touch()
    home = tmp_path / "home" if kind == "fresh" else tmp_path / "file" / "home"
    (tmp_path / "home").mkdir()
    done = run_alone(
        home, tmp_path / "work", AGEGENDER, "eval", store.path, "--model", "ssrnet", "--output", tmp_path / "report"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "metrics.json").exists()
    assert files_under(tmp_path / "home", tmp_path / "work") == []


def test_messages_open_a_socket_only_for_whom_they_are_asked_to_reach(tmp_path: Path) -> None:
    words = [AGEGENDER, "stream", SAMPLES / "astronaut.mp4", "--no-frames", "--upsample", "0", "--detect-every", "30"]
    asked = run_alone(tmp_path, tmp_path / "asked", *words, "--webhook", "http://127.0.0.1:9/people")
    assert asked.returncode == -signal.SIGSYS
    # The token alone sends nothing.
    given = {"AGEGENDER_WEBHOOK_TOKEN": "a-token", "AGEGENDER_MQTT_PASSWORD": "a-password"}
    silent = run_alone(tmp_path, tmp_path / "silent", *words, "--summary", "people.csv", **given)
    assert silent.returncode == 0, silent.stderr
    assert files_under(tmp_path / "silent") == [str(tmp_path / "silent" / "people.csv")]
