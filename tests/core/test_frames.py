"""Pictures as arrays: what is plain is taken, the rest is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agegender_core import Aligner, Faces, Pipeline, YuNetDetector, draw_faces, load_predictor, read_image, write_image
from agegender_core.frames import as_frame, contiguous
from agegender_core.pipeline import FrameResult
from agegender_core.sources import TimedFrame


@pytest.fixture(scope="module")
def astronaut(astronaut_path: Path) -> np.ndarray:
    return read_image(astronaut_path)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.for_pictures("ssrnet", flip=False)


def same(a: Faces, b: Faces) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("xyxy", "score", "landmarks", "age", "p_male")
    )


def test_views_of_any_strides_are_taken(pipeline: Pipeline, astronaut: np.ndarray) -> None:
    expected = pipeline(astronaut)
    assert len(expected) == 1
    wide = np.zeros((astronaut.shape[0], astronaut.shape[1] + 40, 3), np.uint8)
    wide[:, 20:-20] = astronaut
    views = [
        np.ascontiguousarray(astronaut[..., ::-1])[..., ::-1],
        np.asfortranarray(astronaut),
        wide[:, 20:-20],
        np.ascontiguousarray(astronaut[::-1])[::-1],
    ]
    for view in views:
        assert not view.flags.c_contiguous
        assert same(pipeline(view), expected)
    assert np.array_equal(draw_faces(views[0], expected), draw_faces(astronaut, expected))


def test_bgr_is_said_wherever_a_picture_is_passed(
    pipeline: Pipeline, astronaut: np.ndarray, astronaut_path: Path, tmp_path: Path
) -> None:
    bgr = cv2.imread(str(astronaut_path))
    assert bgr is not None
    expected = pipeline(astronaut)
    assert same(pipeline(bgr, bgr=True), expected)
    assert not same(pipeline(bgr), expected)
    detector, aligner, predictor = YuNetDetector(), Aligner(), load_predictor("ssrnet", flip=False)
    faces = detector(bgr, Faces.empty(), bgr=True)
    assert same(predictor(bgr, aligner(bgr, faces, bgr=True), bgr=True), predictor(bgr, faces, bgr=True))
    assert np.array_equal(predictor(bgr, faces, bgr=True).age, expected.age)
    assert np.array_equal(draw_faces(bgr, expected, bgr=True), draw_faces(astronaut, expected)[..., ::-1])
    for name, frame, options in (("a.png", astronaut, {}), ("b.png", bgr, {"bgr": True})):
        write_image(tmp_path / name, frame, **options)
        assert np.array_equal(read_image(tmp_path / name), astronaut)
    (result,) = pipeline.run([TimedFrame(bgr, 0, 0.0)], bgr=True)
    assert isinstance(result, FrameResult)
    assert np.array_equal(result.image, astronaut)
    assert same(result.faces, expected)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (np.zeros((4, 4, 3), np.float32), r"must be uint8 .*, got dtype float32: pass \(255 \* image\)"),
        (np.zeros((4, 4, 3), np.int64), "got dtype int64$"),
        (np.zeros((4, 4, 3), bool), "got dtype bool"),
        (np.zeros(48, np.uint8), r"got shape \(48,\): pass a file's bytes to decode_image"),
        (np.zeros((4, 4, 4), np.uint8), r"image\[\.\.\., :3\] if the fourth channel is alpha"),
        (np.zeros((4, 4), np.uint8), "if it is grey"),
        (np.zeros((4, 4, 1), np.uint8), "if it is grey"),
        (np.zeros((3, 8, 8), np.uint8), r"transpose\(1, 2, 0\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"got shape \(2, 4, 4, 3\)$"),
        (np.zeros((0, 4, 3), np.uint8), "must have pixels"),
        (Image.new("RGB", (4, 4)), r"must be a NumPy array, got Image: pass numpy\.asarray"),
        ([[1]], "got list"),
        (None, "got NoneType"),
    ],
)
def test_the_rest_is_refused_by_name(image: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"^image .*{why}"):
        as_frame(image)
    for call in (Aligner(), Pipeline([Aligner()])):
        with pytest.raises(ValueError, match=r"^image "):
            call(image, Faces.empty()) if isinstance(call, Aligner) else call(image)


def test_nothing_is_copied_that_fits(astronaut: np.ndarray) -> None:
    assert as_frame(astronaut) is astronaut


WAYS = st.sampled_from(
    [slice(None), slice(None, None, -1), slice(None, None, 2), slice(None, None, -2), slice(1, None)]
)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])),
    st.permutations([0, 1, 2]),
    st.tuples(WAYS, WAYS, st.sampled_from([slice(None), slice(None, None, -1), slice(0, 3)])),
    st.sampled_from([np.uint8, np.float32]),
)
def test_any_view_is_copied_as_numpy_copies_it(
    shape: tuple[int, int, int], axes: list[int], ways: tuple[slice, slice, slice], dtype: type
) -> None:
    stored = np.random.default_rng(0).integers(1, 256, [shape[axis] for axis in axes]).astype(dtype)
    view = stored.transpose(np.argsort(axes))[ways]
    expected = np.array(view, order="C")
    found = contiguous(view)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == view.dtype
    assert found.flags.c_contiguous
    if not view.flags.c_contiguous:
        found[...] = 0
        np.testing.assert_array_equal(view, expected)  # nothing is shared


def test_what_is_contiguous_is_not_copied() -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    assert contiguous(picture) is picture
    assert contiguous(picture[:, ::-1][:, ::-1]).base is picture


@pytest.mark.parametrize("view", [np.zeros((4, 5), np.uint8)[:, ::-1], np.zeros((0, 5, 3), np.uint8)[:, ::-1]])
def test_other_views_are_numpys(view: np.ndarray) -> None:
    assert contiguous(view).shape == view.shape


def test_pixels_of_one_value_are_copied() -> None:
    view = np.broadcast_to(np.array([1, 2, 3], np.uint8), (6, 7, 3))
    np.testing.assert_array_equal(contiguous(view[::-1, :, ::-1]), np.ascontiguousarray(view[..., ::-1]))
