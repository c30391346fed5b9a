"""A face in every format and every orientation, given to ``agegender predict``."""

from __future__ import annotations

import hashlib
import json
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


@pytest.mark.slow
def test_a_face_is_found_in_every_orientation(
    astronaut_path: Path, tmp_path: Path, made_inputs: Callable[..., MadeInputs]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    made = made_inputs(folder, Image.fromarray(read_image(astronaut_path)[20:240, 110:330]))
    upright = made.every_format_in_every_orientation(PICTURE_SUFFIXES)
    made.suffixes_that_disagree(100, PICTURE_SUFFIXES)
    assert len(upright) >= 5 * 8 * 2
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*")}
    command = [AGEGENDER, "predict", folder, "--format", "jsonl", "--model", "ssrnet"]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.split(b"\n")[:-1]]
    assert Counter(row["source"] for row in rows) == Counter(f"{folder}/{name}" for name in made.expected)
    faces = {row["source"].removeprefix(f"{folder}/"): row["faces"] for row in rows}
    assert [name for name in upright if len(faces[name]) != 1] == []
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*")} == before
