from __future__ import annotations

import gc
import hashlib
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_train.files import write_atomically
from agegender_train.store import Store, encode_chip, encode_shard

MakeStore = Callable[..., Store]
StartProcess = Callable[..., AbstractContextManager[subprocess.Popen[str]]]
ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that train real networks come first, that none of them is the last, with one process, at the end."""
    items.sort(key=lambda item: item.path.name not in ("test_networks.py", "test_end_to_end.py", "test_replicas.py"))


def pytest_collection_finish() -> None:
    """The frameworks' million objects stay to the end: the collector need not walk them after every test."""
    gc.set_threshold(50_000)


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


def _chip(age: float, gender: int | None, rng: np.random.Generator, size: int) -> np.ndarray:
    """The older the brighter, red for men and blue for women, with noise: what any network learns at once."""
    chip = np.full((size, size, 3), 40 + 1.5 * age) + rng.normal(0, 12, (size, size, 3))
    chip[..., 0 if gender else 2] += 50
    return np.clip(chip, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """Makes a store of `n` faces with ages in groups of ten years, known ages for `exact`, one face a person."""

    def make(
        name: str = "made",
        n: int = 96,
        size: int = 72,
        padding: float = 0.4,
        exact: bool = False,
        genders: Sequence[int | None] = (0, 1),
        subjects: int | None = None,
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
                    "age_low": age if exact else low,
                    "age_high": age if exact else low + 9,
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
