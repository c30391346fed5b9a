"""A thousand files as people have them, and as nobody should: each is a row, and none is changed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, features

from agegender_core.images import PICTURE_SUFFIXES

AGEGENDER = Path(sys.executable).parent / "agegender"
COUNT = 1000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there"),
]

PILLOW = ["BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP"]
OPENCV = [".bmp", ".jp2", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".pxm", ".ras", ".tiff", ".webp", ".hdr", ".pfm"]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "HSV", "LAB"]
DTYPES = [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64]


def by_pillow(rng: random.Random) -> bytes:
    kinds = PILLOW + ["AVIF"] * features.check("avif")
    size = rng.randint(1, 70), rng.randint(1, 70)
    while True:
        mode, kind = rng.choice(MODES), rng.choice(kinds)
        exif = Image.Exif()
        exif[0x0112] = rng.randint(0, 9)
        buffer = io.BytesIO()
        try:
            Image.new(mode, size, rng.randint(0, 200) if mode in ("1", "L", "P", "I", "F") else 0).save(
                buffer, kind, exif=exif
            )
        except (OSError, ValueError, KeyError, TypeError, SystemError):
            continue  # not every kind has every mode
        return buffer.getvalue()


def by_opencv(rng: random.Random) -> bytes:
    while True:
        shape = (rng.randint(1, 70), rng.randint(1, 70), rng.choice([1, 2, 3, 4]))
        pixels = (np.random.default_rng(rng.randint(0, 999)).random(shape) * rng.choice([1, 255, 70000])).astype(
            rng.choice(DTYPES)
        )
        try:
            done, data = cv2.imencode(rng.choice(OPENCV), pixels)
        except cv2.error:
            continue
        if done:
            return data.tobytes()


def content(rng: random.Random) -> bytes:
    data = rng.choice([by_pillow, by_opencv])(rng)
    match rng.randint(0, 9):
        case 0:
            return data[: rng.randint(0, len(data))]
        case 1:
            at = rng.randint(0, len(data) - 1)
            return data[:at] + rng.randbytes(rng.randint(1, 9)) + data[at + 1 :]
        case 2:
            return data + rng.randbytes(40)
        case 3:
            return rng.choice([b"", b"\0", b"text", b"<html></html>", b"%PDF-1.7", rng.randbytes(300), data[:20] * 9])
    return data


def name(rng: random.Random, number: int) -> bytes:
    letters = bytes(set(range(1, 256)) - {0x2F})
    start = bytes(rng.choices(letters, k=rng.randint(0, 30))).lstrip(b".")
    # Numbered, so that no two are one file.
    return b"%d%s%s" % (number, start, rng.choice(sorted(PICTURE_SUFFIXES)).encode())


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.filterwarnings("ignore")
def test_each_of_a_thousand_made_files_is_a_row(tmp_path: Path) -> None:
    rng, folder = random.Random(12), tmp_path / "made"
    folder.mkdir()
    for number in range(COUNT):
        (folder / os.fsdecode(name(rng, number))).write_bytes(content(rng))
    before = hashes(folder)
    assert len(before) == COUNT
    for format_ in ("json", "csv"):
        command = [AGEGENDER, "predict", folder, "-f", format_, "-o", tmp_path / format_, "--model", "ssrnet"]
        done = subprocess.run(command, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        assert hashes(folder) == before
        text = done.stdout.decode("utf-8")
        if format_ == "json":
            rows = json.loads(text)
            errors = [row["error"] for row in rows if row["error"] is not None]
            assert not [error for error in errors if "internal error" in error]
            assert 0.5 * COUNT < COUNT - len(errors) < COUNT
        else:
            lines = list(csv.reader(io.StringIO(text, newline="")))
            assert {len(line) for line in lines} == {16}
            rows = lines[1:]
        assert len(rows) == COUNT
        assert f"{COUNT:,} pictures, " in done.stderr.decode("utf-8")
        assert "Traceback" not in done.stderr.decode("utf-8")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{COUNT - len(errors)} of {COUNT} read, peak memory {peak:.0f} MiB")
    assert peak < 2000
