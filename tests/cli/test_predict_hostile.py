"""A thousand files as people may have them, given to ``agegender predict``."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agegender_core import read_image
from agegender_core.images import PICTURE_SUFFIXES

AGEGENDER = Path(sys.executable).parent / "agegender"
MadeInputs = Any  # of conftest.py
PEAK_MIB = 1600

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names in any bytes, and memory as Linux has it")


@pytest.mark.slow
def test_a_thousand_made_inputs_are_rows_and_stay_as_they_are(
    astronaut_path: Path, tmp_path: Path, made_inputs: Callable[..., MadeInputs]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    made = made_inputs(folder, Image.fromarray(read_image(astronaut_path)[20:240, 110:330]))
    upright = made.every_format_in_every_orientation(PICTURE_SUFFIXES)
    made.names_in_any_bytes(350)
    made.suffixes_that_disagree(350, PICTURE_SUFFIXES)
    assert len(made.expected) >= 1000
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*")}
    done, peak = run("predict", folder, "--format", "jsonl", "--model", "ssrnet")
    assert done.returncode == 0, done.stderr[-3000:]
    assert b"Traceback" not in done.stderr
    assert peak < PEAK_MIB * 1024
    rows = [json.loads(line) for line in done.stdout.split(b"\n")[:-1]]
    assert Counter(row["source"] for row in rows) == Counter(f"{folder}/{name}" for name in made.expected)
    for row in rows:
        assert (row["error"] is None) == (row["width"] is not None), row
        assert row["error"] is None or (row["error"] and not row["faces"]), row
    faces = {row["source"].removeprefix(f"{folder}/"): row["faces"] for row in rows}
    assert [name for name in upright if len(faces[name]) != 1] == []
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*")} == before
    errors = sum(row["error"] is not None for row in rows)
    print(f"{len(rows)} rows, {errors} errors, {sum(map(len, faces.values()))} faces, peak {peak / 1024:.0f} MiB")
    outcome, _ = run("predict", folder, "--output", folder, "--format", "jsonl", "--model", "ssrnet")
    assert outcome.returncode == 2
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*")} == before


def run(*arguments: object) -> tuple[subprocess.CompletedProcess[bytes], int]:
    """The command in a process of its own, and the most memory that it had, in KiB."""
    words = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in arguments]
    process = subprocess.Popen([AGEGENDER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    status, peak = Path(f"/proc/{process.pid}/status"), 0
    while True:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())  # rusage would count the memory of the tests
        peak = max(peak, int(found[1]) if found else 0)
        try:
            out, err = process.communicate(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        return subprocess.CompletedProcess(words, process.returncode, out, err), peak
