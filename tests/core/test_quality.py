from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_core import Faces, Pipeline, draw_faces, read_image
from agegender_core.quality import FaceQuality, face_quality, sharpness


def face(side: float, score: float | None = None, at: float = 0.0) -> Faces:
    box = np.array([[at, at, at + side, at + side]], np.float32)
    return Faces(box, None if score is None else np.array([score], np.float32))


def frontal(nose_x: float, turn: float = 0.0) -> Faces:
    """Eyes at x 20 and 80, the nose at `nose_x`; the whole turned by `turn` radians."""
    points = np.array([[90, 40], [70, 40], [10, 40], [30, 40], [nose_x, 70]], np.float64)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return Faces(face(100).xyxy, landmarks=(points @ rotation.T)[None].astype(np.float32))


def test_it_falls_with_the_turn_of_the_head_and_not_with_its_tilt() -> None:
    qualities = [face_quality(frontal(x))[0] for x in (50, 66, 70, 80, 120)]
    assert qualities[0] == pytest.approx(1.0)
    assert all(a > b for a, b in itertools.pairwise(qualities[:4]))
    assert qualities[-1] == pytest.approx(0.4)
    assert face_quality(frontal(66, turn=0.5))[0] == pytest.approx(qualities[1], abs=1e-3)
    assert face_quality(frontal(34))[0] == pytest.approx(qualities[1], abs=1e-6)


def test_it_rises_with_size_and_score() -> None:
    sides = [face_quality(face(side))[0] for side in (6, 16, 24, 48, 96, 300)]
    assert sides == sorted(sides)
    assert (sides[1], sides[-1]) == (pytest.approx(0.59), 1.0)
    scores = [face_quality(face(300, score))[0] for score in (-1.0, 0.0, 0.5, 1.0, 3.0)]
    np.testing.assert_allclose(scores, [0.4, 0.7, 0.85, 1.0, 1.0], rtol=1e-5)
    points = np.zeros((1, 5, 2), np.float32)
    yunet = [face_quality(face(300, score).with_columns(keypoints=points))[0] for score in (0.6, 0.8, 0.9, 0.95)]
    np.testing.assert_allclose(yunet, [0.34, 0.4, 0.7, 1.0], rtol=1e-5)
    assert face_quality(Faces.empty()).shape == (0,)


@pytest.mark.parametrize(("at", "quality"), [(0, 1.0), (-50, 0.40), (-100, 0.1), (60, 0.93)])
def test_it_falls_with_what_the_frame_cuts_off(at: float, quality: float) -> None:
    assert face_quality(face(100, at=at), (150, 150))[0] == pytest.approx(quality, abs=0.04)


@given(st.floats(-50, 400), st.floats(0.5, 300), st.floats(-3, 3) | st.just(float("nan")), st.integers(1, 500))
def test_it_is_a_number_above_0_and_up_to_1(at: float, side: float, score: float, size: int) -> None:
    (quality,) = face_quality(face(side, score, at), (size, size))
    assert 0 < quality <= 1


def test_blurred_and_enlarged_faces_are_less_sharp(astronaut_path: Path) -> None:
    faces = Pipeline.for_pictures("ssrnet")(read_image(astronaut_path))
    assert faces.chips is not None
    chip = faces.chips[0]
    blurs = [chip, *(np.asarray(cv2.GaussianBlur(chip, (0, 0), sigma), np.uint8) for sigma in (1.0, 2.0, 4.0))]
    found = sharpness(np.stack(blurs))
    assert list(found) == sorted(found, reverse=True)
    assert found[0] > 0.2 > found[2]
    darker = np.asarray(chip // 2 + 20, np.uint8)
    assert sharpness(darker[None])[0] == pytest.approx(found[0], rel=0.1)


def test_pictures_get_it_and_may_be_filtered_by_it(astronaut_path: Path) -> None:
    frame = read_image(astronaut_path)
    small = np.asarray(cv2.resize(frame, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA), np.uint8)
    clear, unclear = (Pipeline.for_pictures("ssrnet")(picture).quality for picture in (frame, small))
    assert clear is not None
    assert unclear is not None
    assert clear[0] > 0.9
    assert 0.1 < unclear[0] < 0.7
    assert len(Pipeline.for_pictures("ssrnet", min_quality=0.8)(small)) == 0
    assert len(Pipeline.for_pictures("ssrnet", min_quality=0.8)(frame)) == 1
    with pytest.raises(ValueError, match=r"min_quality must lie between 0 and 1, got 1\.5"):
        FaceQuality(1.5)


def test_faces_of_low_quality_are_drawn_paler() -> None:
    frame = np.zeros((300, 300, 3), np.uint8)
    one = face(120, at=90).with_columns(age=np.array([30], np.float32), p_male=np.array([0.9], np.float32))
    drawn = [
        draw_faces(frame, one.with_columns(quality=np.array([quality], np.float32))) for quality in (1.0, 0.4, 0.2)
    ]
    assert draw_faces(frame, one).tobytes() == drawn[0].tobytes()
    bright = [picture.max(axis=2) for picture in drawn]
    assert bright[0].max() > 220 > bright[1].max() > bright[2].max() > 60
    # Above the box stands the label, if any.
    assert bright[1][:80].max() > 100
    assert bright[2][:80].max() == 0
