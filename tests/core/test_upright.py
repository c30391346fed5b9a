from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_core.upright import Upright, roll

# Eyes, nose and mouth of an upright face.
UPRIGHT = np.array([[-20, -15], [20, -15], [0, 5], [-14, 25], [14, 25]], np.float32)


def turned_by(angle: float) -> np.ndarray:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    # Pixels: y goes down, so that this turns clockwise in the picture.
    return np.asarray(UPRIGHT @ np.array([[c, s], [-s, c]]), np.float32)


@given(st.floats(-179, 179), st.floats(0.1, 40))
def test_roll_is_the_angle_by_which_the_face_was_turned(angle: float, size: float) -> None:
    assert roll(turned_by(angle)[None] * np.float32(size) + 300)[0] == pytest.approx(angle, abs=0.01)


def test_a_face_in_profile_leans_as_its_height_does() -> None:
    profile = UPRIGHT.copy()
    profile[:, 0] *= 0.1
    assert abs(roll(profile[None])[0]) < 1e-3


@given(st.floats(-179, 179), st.floats(-20, 520), st.floats(-20, 420), st.floats(4, 900))
def test_points_of_a_patch_lead_back_to_the_frame(angle: float, x: float, y: float, side: float) -> None:
    frame = np.zeros((400, 500, 3), np.uint8)
    patch = Upright.cut(frame, np.array([x, y]), side, angle, 64)
    assert patch.image.shape == (64, 64, 3)
    np.testing.assert_allclose(patch.to_frame(np.array([32.0, 32.0])), [x, y], atol=0.05)
    assert patch.scale == pytest.approx(side / 64, rel=1e-3)
    above = patch.to_frame(np.array([32.0, 0.0])) - patch.to_frame(np.array([32.0, 32.0]))
    assert np.degrees(np.arctan2(above[0], -above[1])) == pytest.approx(angle, abs=0.1)


def test_a_patch_shows_what_is_there() -> None:
    frame = np.zeros((400, 500, 3), np.uint8)
    for row, point in enumerate(np.round(turned_by(30) * 2 + [250, 200]).astype(int)):
        cv2.circle(frame, (int(point[0]), int(point[1])), 4, (0, 0, 60 + 40 * row), -1)
    patch = Upright.cut(frame, np.array([250.0, 200.0]), 160, 30, 160)
    for row, (x, y) in enumerate(np.round(UPRIGHT * 2 + 80).astype(int)):
        assert patch.image[y, x, 2] == pytest.approx(60 + 40 * row, abs=8)


@pytest.mark.parametrize("centre", [(250, -300), (-300, 200), (900, 200), (250, 800)])
def test_a_patch_beside_the_frame_shows_nothing_of_it(centre: tuple[float, float]) -> None:
    frame = np.full((400, 500, 3), 255, np.uint8)
    assert not Upright.cut(frame, np.array(centre, np.float64), 100, 20, 64).image.any()
