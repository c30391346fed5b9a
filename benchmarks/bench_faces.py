"""Detection beside dlib-bin, with equal output asserted; bench_peers.py has alignment and preprocessing."""

from __future__ import annotations

import cv2
import dlib
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core import Faces, Frame, HogDetector


def boxes_of(rectangles: dlib.rectangles) -> list[list[int]]:
    """As half-open boxes: dlib's rectangles hold their last pixel."""
    return [[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in rectangles]


@pytest.fixture(scope="module")
def frame(portrait: Frame) -> Frame:
    """1280 x 720 pixels, the frame of a video."""
    canvas = np.zeros((720, 1280, 3), np.uint8)
    canvas[100:500, 300:812] = portrait
    return canvas


@pytest.mark.benchmark(group="detect, 1280 x 720")
@pytest.mark.parametrize("who", ["ours", "ours, 2 threads", "ours, fast", "ours, fast, 2 threads", "dlib-bin"])
def bench_detect(benchmark: BenchmarkFixture, frame: Frame, who: str) -> None:
    theirs = dlib.get_frontal_face_detector()
    ours = HogDetector(exact="fast" not in who, threads=2 if "2 threads" in who else 1)

    def as_lists() -> list[list[int]]:
        return ours(frame, Faces.empty()).xyxy.astype(int).tolist()

    found = benchmark(as_lists if who != "dlib-bin" else lambda: boxes_of(theirs(frame, 0)))
    assert found == boxes_of(theirs(frame, 0))
    assert len(found) == 1


@pytest.mark.benchmark(group="detect, 160 x 160")
@pytest.mark.parametrize("who", ["ours", "dlib-bin"])
def bench_detect_small(benchmark: BenchmarkFixture, portrait: Frame, who: str) -> None:
    """The size of the pictures that most datasets are made of."""
    face = cv2.resize(portrait[40:230, 130:320], (160, 160), interpolation=cv2.INTER_AREA)
    theirs, ours = dlib.get_frontal_face_detector(), HogDetector()

    def as_lists() -> list[list[int]]:
        return ours(face, Faces.empty()).xyxy.astype(int).tolist()

    found = benchmark(as_lists if who == "ours" else lambda: boxes_of(theirs(face, 0)))
    assert found == boxes_of(theirs(face, 0))
    assert len(found) == 1


@pytest.mark.parametrize("who", ["ours", "dlib-bin"])
@pytest.mark.parametrize(("width", "height"), [(1000, 750), (1920, 1080)])
def bench_detect_large(benchmark: BenchmarkFixture, portrait: Frame, width: int, height: int, who: str) -> None:
    """A photo and a frame of full HD: dlib's vector loops have less of a remainder in wide pictures."""
    benchmark.group = f"detect, {width} x {height}"
    photo = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_LINEAR)
    theirs, ours = dlib.get_frontal_face_detector(), HogDetector()

    def as_lists() -> list[list[int]]:
        return ours(photo, Faces.empty()).xyxy.astype(int).tolist()

    found = benchmark(as_lists if who == "ours" else lambda: boxes_of(theirs(photo, 0)))
    assert found == boxes_of(theirs(photo, 0))
    assert found
