from __future__ import annotations

import platform
import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import Frame, _core
from agegender_core.native import native
from agegender_core.resizing import resize_area

shares = runpy.run_path(str(Path(__file__).with_name("reference_resize.py")))["shares"]

BUILDS = {"native": native(), "baseline": _core}


def frame_of(width: int, height: int, seed: int = 0) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def assert_is_opencvs(found: Frame, frame: Frame, size: tuple[int, int]) -> None:
    expected = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    assert found.dtype == np.uint8
    if platform.machine().lower() in ("x86_64", "amd64"):
        np.testing.assert_array_equal(found, expected)
    else:  # where OpenCV's build may fuse multiplications and additions
        assert np.abs(found.astype(int) - expected).max() <= 1


@st.composite
def parts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    left, top = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    return left, top, left + draw(st.integers(1, 60)), top + draw(st.integers(1, 60))


@settings(max_examples=150, deadline=None)
@given(part=parts(), shrinks=st.tuples(st.floats(0, 1), st.floats(0, 1)), build=st.sampled_from(sorted(BUILDS)))
def test_each_pixel_is_the_mean_over_its_area(
    part: tuple[int, int, int, int], shrinks: tuple[float, float], build: str
) -> None:
    left, top, right, bottom = part
    width, height = (max(1, round(side * by)) for side, by in zip((right - left, bottom - top), shrinks, strict=True))
    frame, out = frame_of(right + 3, bottom + 2), np.empty((height, width, 3), np.uint8)
    BUILDS[build].shrink(frame, part, out)
    window = frame[top:bottom, left:right]
    rows, columns = shares(0, bottom - top, height, bottom - top), shares(0, right - left, width, right - left)
    means = np.einsum("ih,hwc,jw->ijc", rows, window.astype(float), columns)
    # Rounded, after parts of less than a thousandth of a pixel are left out.
    assert np.abs(out - means).max() <= 0.5 + 0.3
    if (right - left) % width or (bottom - top) % height:
        assert_is_opencvs(out, window, (width, height))


@settings(max_examples=80, deadline=None)
@given(st.tuples(st.integers(1, 50), st.integers(1, 50)), st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_any_size_is_as_opencv_has_it(before: tuple[int, int], size: tuple[int, int]) -> None:
    frame = frame_of(*before)
    assert_is_opencvs(resize_area(frame, size), frame, size)


@pytest.mark.parametrize("size", [(843, 474), (960, 540), (480, 270), (1919, 1080), (1700, 1000), (1, 1)])
def test_a_frame_of_a_video_is_as_opencv_has_it(size: tuple[int, int]) -> None:
    frame = np.asarray(cv2.resize(frame_of(96, 54), (1920, 1080), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert_is_opencvs(resize_area(frame, size), frame, size)
    assert (resize_area(np.full_like(frame, 255), size) == 255).all()


def test_a_part_is_resized_without_its_surroundings_and_views_are_taken() -> None:
    frame = frame_of(90, 70)
    part = resize_area(frame, (20, 30), (11, 5, 60, 65))
    np.testing.assert_array_equal(part, resize_area(frame[5:65, 11:60].copy(), (20, 30)))
    np.testing.assert_array_equal(
        resize_area(frame[::2, ::-1], (20, 30)), resize_area(frame[::2, ::-1].copy(), (20, 30))
    )


def test_many_threads_get_what_one_gets() -> None:
    frames = [frame_of(60 + number, 50 + 3 * number, number) for number in range(24)]
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(lambda frame: resize_area(frame, (33, 21)), frames))
    for frame, one in zip(frames, found, strict=True):
        np.testing.assert_array_equal(one, resize_area(frame, (33, 21)))


@pytest.mark.parametrize(
    ("part", "size", "said"),
    [
        ((0, 0, 11, 5), (3, 3), "inside an image of 10 x 8 pixels, got 0, 0, 11, 5"),
        ((-1, 0, 4, 5), (3, 3), "inside an image"),
        ((4, 0, 4, 5), (1, 1), "inside an image"),
        ((0, 0, 4, 5), (5, 5), "no more than the part, got 5 x 5"),
        ((0, 0, 4, 5), (0, 5), "at least one pixel"),
    ],
)
def test_what_does_not_fit_is_refused(part: tuple[int, int, int, int], size: tuple[int, int], said: str) -> None:
    out = np.empty((size[1], size[0], 3), np.uint8)
    with pytest.raises(ValueError, match=said):
        native().shrink(frame_of(10, 8), part, out)


@pytest.mark.parametrize("part", [(0, 0, 11, 5), (-2, 0, 4, 6), (4, 0, 4, 5), (0, 6, 4, 2)])
def test_a_part_lies_in_the_frame(part: tuple[int, int, int, int]) -> None:
    for size in ((2, 1), (1, 1), (20, 20)):
        with pytest.raises(ValueError, match="inside a frame of 10 x 8 pixels"):
            resize_area(frame_of(10, 8), size, part)
