"""Smaller pictures beside OpenCV's INTER_AREA, on one thread each, with equal pixels asserted."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core import Frame
from agegender_core.resizing import resize_area


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.mark.parametrize("who", ["ours", "OpenCV"])
@pytest.mark.parametrize(
    ("before", "after"), [((1920, 1080), (843, 474)), ((3840, 2160), (2667, 1500)), ((200, 200), (96, 96))]
)
def bench_resize(
    benchmark: BenchmarkFixture, portrait: Frame, before: tuple[int, int], after: tuple[int, int], who: str
) -> None:
    """A frame as the detector of videos sees it, a photo as that of pictures does, and what surrounds a face."""
    benchmark.group = f"resize {before[0]} x {before[1]} to {after[0]} x {after[1]}"
    frame = np.asarray(cv2.resize(portrait, before, interpolation=cv2.INTER_CUBIC), np.uint8)

    def by_opencv() -> Frame:
        return np.asarray(cv2.resize(frame, after, interpolation=cv2.INTER_AREA), np.uint8)

    found = benchmark(by_opencv if who == "OpenCV" else lambda: resize_area(frame, after))
    np.testing.assert_array_equal(found, by_opencv())
