"""The tracker beside the same method in NumPy and SciPy, over a made-up sequence, with equal tracks asserted."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core import SortTracker

Boxes = npt.NDArray[np.float64]

REFERENCE = Path(__file__).parents[1] / "tests" / "core" / "reference_sort.py"
FRAMES = {10: 200, 50: 100, 100: 50, 300: 20, 1000: 6}  # frames for each number of people
TRACKERS: dict[str, Callable[[], Any]] = {
    "native": SortTracker,
    "numpy+scipy": runpy.run_path(str(REFERENCE))["ReferenceSort"],
}


@cache
def sequence(people: int) -> list[Boxes]:
    """People who walk through a picture of 1920 x 1080, one in ten of them missed in each frame."""
    rng = np.random.default_rng(people)
    centre = rng.uniform((0, 0), (1920, 1080), (people, 2))
    velocity = rng.normal(0, 3, (people, 2))
    half = rng.uniform(12, 40, (people, 1)) * (1, 1.3)
    frames = []
    for _ in range(FRAMES[people]):
        centre = centre + velocity
        boxes = np.hstack([centre - half, centre + half]) + rng.normal(0, 1.5, (people, 4))
        frames.append(boxes[rng.random(people) > 0.1])
    return frames


def track(tracker: Any, frames: list[Boxes]) -> list[Boxes]:
    return [tracker.update(boxes) for boxes in frames]


@cache
def expected(people: int) -> list[Boxes]:
    return track(TRACKERS["numpy+scipy"](), sequence(people))


def assert_same_tracks(ours: list[Boxes], theirs: list[Boxes]) -> None:
    pairs = set()
    for a, b in zip(ours, theirs, strict=True):
        a, b = a[np.lexsort(a[:, :4].round(3).T)], b[np.lexsort(b[:, :4].round(3).T)]
        np.testing.assert_allclose(a[:, :4], b[:, :4], rtol=0, atol=1e-6)
        pairs.update(zip(a[:, 4], b[:, 4], strict=True))
    assert len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})


@pytest.mark.parametrize("name", TRACKERS)
@pytest.mark.parametrize("people", FRAMES)
def bench_sort(benchmark: BenchmarkFixture, people: int, name: str) -> None:
    frames = sequence(people)
    benchmark.group = f"SORT, {people} boxes a frame, {len(frames)} frames"
    rounds = 30 if name == "native" else 3
    tracks = benchmark.pedantic(lambda: track(TRACKERS[name](), frames), rounds=rounds, warmup_rounds=1)
    assert_same_tracks(tracks, expected(people))
