"""Chips beside dlib's own, wherever the face is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import dlib
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import Frame, _core
from agegender_core.native import native

BUILDS = {"native": native(), "baseline": _core}

# Sides of the face, from its middle: the outer and inner corners of both eyes, and below the nose.
FACE = np.array([[0.36, -0.29], [0.15, -0.27], [-0.38, -0.29], [-0.17, -0.27], [0.0, 0.13]])


def landmarks_of(centre: tuple[float, float], side: float, angle: float) -> npt.NDArray[np.float32]:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.round(FACE * side @ turn + centre).astype(np.float32)


def dlibs_chip(frame: Frame, landmarks: npt.NDArray[np.float32], size: int, padding: float) -> Frame:
    points = [dlib.point(int(x), int(y)) for x, y in landmarks]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), points)
    return np.asarray(dlib.get_face_chip(frame, shape, size, padding), np.uint8)


@st.composite
def faces(draw: st.DrawFn) -> tuple[Frame, npt.NDArray[np.float32]]:
    width, height = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    frame = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width, 3), np.uint8)
    if draw(st.booleans()):  # evenly coloured parts, where weights don't add up to one in their last bit
        frame = frame // 128 * draw(st.integers(1, 255))
    centre = draw(st.floats(-0.3, 1.3)) * width, draw(st.floats(-0.3, 1.3)) * height
    angle = draw(st.floats(-4, 4) | st.just(0.0))
    return frame, landmarks_of(centre, draw(st.floats(8, 60) | st.floats(60, 1500)), angle)


@pytest.mark.parametrize("build", BUILDS)
@settings(max_examples=150)
@given(faces(), st.sampled_from([1, 2, 33, 64, 140, 250]), st.sampled_from([0.0, 0.25, 0.4, 1.3]))
def test_a_chip_is_dlibs_wherever_the_face_is(
    build: str, face: tuple[Frame, npt.NDArray[np.float32]], size: int, padding: float
) -> None:
    frame, landmarks = face
    found = BUILDS[build].extract_chips(frame, landmarks[None], size, padding)
    np.testing.assert_array_equal(found[0], dlibs_chip(frame, landmarks, size, padding))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("seed", range(4))
def test_small_faces_of_one_colour_have_dlibs_last_bits(build: str, seed: int) -> None:
    # A weight whose last bit differs shows where neighbours are equal: 102 becomes 101.
    random = np.random.default_rng(seed)
    for size, padding in ((96, 1.3), (140, 0.4), (64, 0.25), (33, 0.0)):
        for _ in range(100):
            frame = np.full((100, 90, 3), random.integers(1, 256), np.uint8)
            landmarks = landmarks_of((45, 50), random.uniform(5, 60), random.normal(0, 0.5))
            landmarks += random.integers(-2, 3, (5, 2))
            found = BUILDS[build].extract_chips(frame, landmarks[None], size, padding)
            np.testing.assert_array_equal(found[0], dlibs_chip(frame, landmarks, size, padding))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("side", [70, 140, 280, 560, 1120])
def test_a_large_face_is_halved_as_by_dlib(build: str, side: int) -> None:
    frame = np.random.default_rng(side).integers(0, 256, (900, 1200, 3), np.uint8)
    landmarks = landmarks_of((600, 450), side, 0.3)
    found = BUILDS[build].extract_chips(frame, landmarks[None], 140, 0.4)
    np.testing.assert_array_equal(found[0], dlibs_chip(frame, landmarks, 140, 0.4))


def test_threads_cut_the_same() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    faces = [landmarks_of((40 * i, 35 * i), 15.0 * (i + 1), 0.2 * i) for i in range(12)]

    def cut(face: npt.NDArray[np.float32]) -> Frame:
        # Each thread keeps what it has prepared for a size.
        return np.asarray(native().extract_chips(frame, face[None], 60 + int(face[0, 0]) % 3, 0.4)[0], np.uint8)

    expected = [cut(face) for face in faces]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            for chip, other in zip(pool.map(cut, faces), expected, strict=True):
                np.testing.assert_array_equal(chip, other)
