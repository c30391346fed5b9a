"""Nothing is sent, and nothing is written but what was asked for: every system call that opens a socket is fatal."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOCKET_CALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
AGEGENDER = Path(sys.executable).parent / "agegender"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in SOCKET_CALLS, reason="a filter of Linux's system calls"
)

# The kernel's filter (seccomp) sees what native code does, too, and needs no tool and no rights.
WITHOUT_SOCKETS = """
import ctypes, os, struct, sys
architecture, number = map(int, sys.argv[1:3])
load, equal, give, kill, allow = 0x20, 0x15, 0x06, 0x80000000, 0x7FFF0000
program = b"".join(struct.pack("HBBI", *line) for line in (
    (load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill),
    (load, 0, 0, 0), (equal, 0, 1, number), (give, 0, 0, kill), (give, 0, 0, allow),
))
memory = ctypes.create_string_buffer(program)
header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(memory))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
if libc.prctl(22, 2, header, 0, 0) != 0:
    sys.exit(77)
os.execv(sys.argv[3], sys.argv[3:])
"""


def run_alone(home: Path, folder: Path, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command that may open no socket, with a home folder and a folder for temporary files of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_", "PYTHONPATH"))}
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    environment = {**kept, "HOME": str(home), "TMPDIR": str(temporary), **more}
    command = [sys.executable, "-c", WITHOUT_SOCKETS, *map(str, SOCKET_CALLS[platform.machine()]), *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
    if done.returncode == 77:
        pytest.skip("this kernel has no seccomp")
    return done


def files_under(*folders: Path) -> list[str]:
    return sorted(str(path) for folder in folders for path in folder.rglob("*") if not path.is_dir())


def test_the_filter_sees_a_socket(tmp_path: Path) -> None:
    done = run_alone(tmp_path, tmp_path / "there", sys.executable, "-c", "import socket; socket.socket()")
    assert done.returncode == -signal.SIGSYS


COMMANDS = {
    "import": ([sys.executable, "-c", "import agegender_core, agegender_core.onnx_runtime"], []),
    "predict": ([AGEGENDER, "predict", SAMPLES / "astronaut.jpg", "-o", "drawn"], ["drawn/astronaut.jpg"]),
    "stream": (
        [
            *(AGEGENDER, "stream", SAMPLES / "astronaut.mp4", "--no-show", "--upsample", "0", "--detect-every", "30"),
            *("--tracks", "tracks.jsonl", "-o", "out.mp4"),
        ],
        ["out.mp4", "tracks.jsonl"],
    ),
}


@pytest.mark.parametrize("kind", ["fresh", "unwritable"])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_socket_and_no_file_that_was_not_asked_for(tmp_path: Path, name: str, kind: str) -> None:
    words, expected = COMMANDS[name]
    home, place = tmp_path / "home", tmp_path / "work"
    if kind == "fresh":
        home.mkdir()
    else:
        home.touch()
        home = home / "home"  # root may write anywhere, but makes no folder in a file
    done = run_alone(home, place, *words)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert files_under(place) == sorted(str(place / file) for file in expected)
    assert files_under(home) == []
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
