from __future__ import annotations

import gc
import gzip
import hashlib
import io
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker for each core: more threads would only wait for one another. Before anything reads it.
    for _variable in (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
        *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    ):
        os.environ.setdefault(_variable, "1")

# What was measured once is kept from one run of the tests to the next, and out of the home folder.
os.environ.setdefault("AGEGENDER_CACHE", os.path.join(tempfile.gettempdir(), "agegender-tests-cache"))

# The frameworks' million objects stay to the end: the collector need not walk them while they are imported, nor after
# every test.
gc.set_threshold(50_000)

import cv2
import numpy as np
import pytest
from PIL import Image

from agegender_train.files import write_atomically
from agegender_train.store import Store, encode_chip, encode_shard

MakeStore = Callable[..., Store]
StartProcess = Callable[..., AbstractContextManager[subprocess.Popen[str]]]
ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that train real networks come first, that none of them is the last, with one process, at the end."""
    items.sort(key=lambda item: item.path.name not in ("test_networks.py", "test_end_to_end.py", "test_replicas.py"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout; licences keep it out of the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data (../shared/data) is not on this machine")
    return folder


@pytest.fixture(scope="module")
def tiny_network() -> Iterator[str]:
    """The name of a network that is there for this module's tests alone, and trains in a moment."""
    from agegender_train import models

    folder = str(Path(__file__).parent / "networks")
    models.__path__.append(folder)
    yield "tiny"
    models.__path__.remove(folder)


@pytest.fixture(scope="session")
def astronaut_path() -> Path:
    return ROOT / "samples" / "astronaut.jpg"


@contextmanager
def _process(command: Sequence[object], **named: Any) -> Iterator[subprocess.Popen[str]]:
    before = signal.getsignal(signal.SIGINT)
    # A child inherits that SIGINT is ignored, as it is in a shell's background jobs, but no handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen([str(word) for word in command], text=True, **named)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="session")
def start_process() -> StartProcess:
    """Starts a child that a SIGINT can stop, wherever the tests run; it is killed at the end."""
    return _process


class Dask:
    """Schedulers and workers of Dask as processes of their own, on loopback, which are killed at the end."""

    @contextmanager
    def scheduler(self, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        """A scheduler; its address, and its process."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
        with self._process("dask_scheduler", arguments, folder) as process:
            yield f"tcp://127.0.0.1:{port}", process

    @contextmanager
    def worker(self, address: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A worker with one thread, which runs in a folder of its own."""
        folder.mkdir(exist_ok=True)
        arguments = [address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
        with self._process("dask_worker", arguments, folder) as process:
            yield process

    @contextmanager
    def _process(self, module: str, arguments: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        with (folder / f"{module}.log").open("wb") as log:
            command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
            try:
                yield process
            finally:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def dask() -> Dask:
    """Starts what a Dask cluster is made of; see `Dask`."""
    pytest.importorskip("distributed")
    return Dask()


def _chip(age: float, gender: int | None, rng: np.random.Generator, size: int) -> np.ndarray:
    """The older the brighter, red for men and blue for women, with noise: what any network learns at once."""
    chip = np.full((size, size, 3), 40 + 1.5 * age) + rng.normal(0, 12, (size, size, 3))
    chip[..., 0 if gender else 2] += 50
    return np.clip(chip, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """Makes a store of `n` faces with ages in groups of ten years, known ages for `exact`, one face a person.

    Without ages unless `aged`.
    """

    def make(
        name: str = "made",
        n: int = 96,
        size: int = 72,
        padding: float = 0.4,
        exact: bool = False,
        genders: Sequence[int | None] = (0, 1),
        subjects: int | None = None,
        aged: bool = True,
    ) -> Store:
        rng = np.random.default_rng(len(name) + n)
        rows: list[dict[str, Any]] = []
        for i in range(n):
            low, gender = float(rng.integers(0, 8) * 10), genders[i % len(genders)]
            age = low + float(rng.integers(0, 10))
            rows.append(
                {
                    "image": {"bytes": encode_chip(_chip(age, gender, rng, size)), "path": f"{i}.jpg"},
                    "dataset": name,
                    "key": f"{i}.jpg",
                    "face": 0,
                    "age_low": None if not aged else age if exact else low,
                    "age_high": None if not aged else age if exact else low + 9,
                    "gender": gender,
                    "subject": None if subjects is None else f"person {i % subjects}",
                    "box_from": "known",
                }
            )
        folder = tmp_path_factory.mktemp(name)
        content = encode_shard(rows)
        write_atomically(folder / "shard-00000.parquet", content)
        shard = {"name": "shard-00000.parquet", "rows": n, "bytes": len(content)}
        shard["sha256"] = hashlib.sha256(content).hexdigest()
        cut = {"chip_size": size, "chip_padding": padding, "pictures": n}
        write_atomically(
            folder / "store.json", {"format": 2, "complete": True, "dataset": name, **cut, "shards": [shard]}
        )
        return Store.open(folder)

    return make


_TURNS = {  # what undoes them is EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


class MadeInputs:
    """Makes files in a folder that people may have; `expected` are their names as they are shown."""

    def __init__(self, root: Path, face: Image.Image) -> None:
        self.root, self.face = root, face
        self.expected: list[str] = []
        self._random = random.Random(12)

    @staticmethod
    def saved(picture: Image.Image, format_: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, format_, **options)
        return buffer.getvalue()

    def picture(self) -> Image.Image:
        """The face, shifted and scaled: another one each time."""
        side = self._random.randrange(200, 221)
        left, top = self._random.randrange(0, 221 - side), self._random.randrange(0, 221 - side)
        moved = self.face.crop((left, top, left + side, top + side)).resize((220, 220))
        gain = self._random.uniform(0.9, 1.05)
        return Image.eval(moved, lambda level: min(int(level * gain), 255))

    def name(self, suffix: str) -> str:
        """The next name, which says how old she is, as UTKFace has it."""
        number = len(self.expected)
        return f"{20 + number % 50}_1_0_{20180101000000000 + number}{suffix}"

    def add(self, name: bytes | str, data: bytes) -> str:
        """Writes a file; its name as the audit has it."""
        with open(os.path.join(os.fsencode(self.root), os.fsencode(name)), "wb") as file:
            file.write(data)
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        self.expected.append(shown)
        return shown

    def every_format_in_every_orientation(self, wanted: Collection[str]) -> list[str]:
        """Of every format that Pillow or OpenCV writes; returns those that must be found upright."""
        Image.init()
        found = []
        for format_ in sorted(set(Image.SAVE) - {"PDF", "PALM", "XBM", "BUFR", "GRIB", "HDF5", "WMF", "MSP"}):
            suffixes = [s for s, f in Image.registered_extensions().items() if f == format_ and s in wanted]
            for orientation in range(1, 9) if suffixes else ():
                turned = self.picture().transpose(_TURNS[orientation]) if orientation > 1 else self.picture()
                for mode in ("RGB", "RGBA", "L", "P", "1"):
                    exif = Image.Exif()  # another one each time: saving may change it
                    exif[0x0112] = orientation
                    try:
                        data = self.saved(turned.convert(mode), format_, exif=exif)
                    except (OSError, ValueError, KeyError, TypeError, AttributeError):
                        continue
                    suffix = self._random.choice(suffixes)
                    name = self.add(self.name(suffix), data)
                    if format_ in ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "AVIF") and mode in ("RGB", "RGBA", "L"):
                        found.append(name)
        for suffix in sorted(wanted):
            pixels = np.ascontiguousarray(np.asarray(self.picture())[..., ::-1])
            if cv2.haveImageWriter(f"x{suffix}"):
                for image in (pixels, pixels[..., 0], np.float32(pixels) / 255, pixels.astype(np.uint16) * 257):
                    try:
                        done, data = cv2.imencode(suffix, image)
                    except cv2.error:  # this format has no such pixels
                        continue
                    if done:
                        self.add(self.name(suffix), data.tobytes())
        return found

    def names_in_any_bytes(self, count: int) -> None:
        data = [self.saved(self.picture(), "JPEG", quality=50) for _ in range(20)]
        allowed = [byte for byte in range(1, 256) if byte != ord("/")]
        for number in range(count):
            odd = bytes(self._random.choices(allowed, k=self._random.randrange(1, 180)))
            self.add(self.name("").encode() + odd + b".jpg", data[number % 20] + bytes([number % 256]))

    def suffixes_that_disagree(self, count: int, wanted: Collection[str]) -> None:
        contents = [
            self.saved(self.picture(), kind) for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "ICO")
        ]
        contents += [b"", b"path,age\n", b"%PDF-1.7", gzip.compress(b"x"), b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c"]
        suffixes = sorted(wanted)
        for number in range(count):
            suffix = self._random.choice([str.lower, str.upper, str.title])(self._random.choice(suffixes))
            data = contents[number % len(contents)]
            self.add(self.name(suffix), data + (bytes([number % 256]) * (number // 256 + 1) if data else b""))


@pytest.fixture(scope="session")
def made_inputs() -> type[MadeInputs]:
    """Makes inputs in a folder, of which no two are the same: see `MadeInputs`."""
    return MadeInputs
