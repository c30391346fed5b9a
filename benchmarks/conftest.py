from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_core import Frame, read_image
from agegender_train.files import write_atomically
from agegender_train.store import Store, encode_chip, encode_shard


@pytest.fixture(scope="session")
def portrait() -> Frame:
    """512 x 400 pixels, one face."""
    return read_image(Path(__file__).resolve().parents[1] / "samples" / "astronaut.jpg")


@pytest.fixture(scope="session")
def make_store(portrait: Frame, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Store]:
    """Makes a store of so many pieces of the portrait, with random ages and made-up genders and ancestries."""

    def make(faces: int) -> Store:
        rng, rows = np.random.default_rng(0), list[dict[str, Any]]()
        for number in range(faces):
            x, y = rng.integers(0, 200, 2)
            chip = cv2.resize(portrait[y : y + 180, x : x + 180], (140, 140), interpolation=cv2.INTER_AREA)
            age = float(rng.integers(0, 90))
            rows.append(
                {
                    "image": {"bytes": encode_chip(chip), "path": f"{number}.jpg"},
                    "dataset": "made",
                    "key": f"{number}.jpg",
                    "face": 0,
                    "box": [0.0, 0.0, float(rng.integers(60, 200)), 200.0],
                    "box_from": "detected",
                    "age_low": age,
                    "age_high": age,
                    "gender": number % 2,
                    "group": "abcdefg"[number % 7],
                }
            )
        folder, content = tmp_path_factory.mktemp("store"), encode_shard(rows)
        write_atomically(folder / "shard-00000.parquet", content)
        shard = {"name": "shard-00000.parquet", "rows": faces, "bytes": len(content)}
        shard["sha256"] = hashlib.sha256(content).hexdigest()
        cut = {"chip_size": 140, "chip_padding": 0.4, "pictures": faces}
        write_atomically(
            folder / "store.json", {"format": 2, "complete": True, "dataset": "made", **cut, "shards": [shard]}
        )
        return Store.open(folder)

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The medians of each group as ratios to our own: a ratio survives a busy machine, a time does not."""
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, dict[str, float]] = {}
    for bench in getattr(session, "benchmarks", []):
        if bench.group and bench.stats.data:
            groups.setdefault(bench.group, {})[bench.param or bench.name] = bench.stats.median
    for name, medians in groups.items():
        is_ours = {who: "ours" in who or "native" in who for who in medians}
        ours = next((median for who, median in medians.items() if is_ours[who]), None)
        if ours:
            others = ", ".join(f"{who} {median / ours:.2f}x" for who, median in medians.items() if not is_ours[who])
            terminalreporter.write_line(f"{name}: ours {ours * 1e3:.3f} ms; {others}")
