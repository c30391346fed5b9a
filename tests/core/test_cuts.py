from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender_core import Faces, Frame, SortTracker, TrackStage, open_source, read_image
from agegender_core.cuts import CutDetector


@pytest.fixture(scope="module")
def portrait(astronaut_path: Path) -> Frame:
    return read_image(astronaut_path)


def shifted(frame: Frame, x: float, y: float = 0, zoom: float = 1) -> Frame:
    matrix = np.array([[zoom, 0, x], [0, zoom, y]], np.float32)
    moved = cv2.warpAffine(frame, matrix, (frame.shape[1], frame.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def cuts(frames: list[Frame]) -> list[int]:
    detector = CutDetector()
    return [number for number, frame in enumerate(frames) if detector(frame)]


def test_pans_zooms_flashes_and_noise_are_no_cuts(portrait: Frame) -> None:
    rng = np.random.default_rng(0)
    pan = [shifted(portrait, 12 * number, 3 * number) for number in range(12)]
    zoom = [shifted(portrait, 0, 0, 1 + 0.05 * number) for number in range(12)]
    flash = [portrait, np.asarray(portrait.clip(0, 150) + 100, np.uint8), portrait]
    noise = [np.asarray((portrait + rng.normal(0, 20, portrait.shape)).clip(0, 255), np.uint8) for _ in range(5)]
    for frames in (pan, zoom, flash, noise):
        assert cuts(frames) == []


def test_another_picture_is_a_cut(portrait: Frame) -> None:
    other = np.ascontiguousarray(portrait[::-1, ::-1])
    assert cuts([portrait, portrait, other, other, portrait]) == [2, 4]
    black, white = np.zeros_like(portrait), np.full_like(portrait, 255)
    assert cuts([portrait, black, black, white]) == [1, 3]


def test_cuts_of_a_film(shared_data: Path) -> None:
    detector = CutDetector()
    with open_source(str(shared_data / "clips" / "interview-cuts-360p.mp4")) as source:
        found = [frame.index for frame in source if detector(frame.image)]
    assert found == [20, 82, 211]


@pytest.mark.parametrize("coasted", [False, True])
def test_a_face_in_the_same_place_is_somebody_else_after_a_cut(portrait: Frame, coasted: bool) -> None:
    stage = TrackStage(SortTracker(min_hits=1))
    face = Faces(np.array([[100, 100, 200, 200]], np.float32))
    other = np.ascontiguousarray(portrait[::-1, ::-1])
    ids = [stage(portrait, face).track_id for _ in range(3)]
    if coasted:
        assert not stage.needs_detection(portrait)
        assert stage.needs_detection(other)
        assert not stage.needs_detection(other)
        assert len(stage.coast(other, Faces.empty())) == 0
    ids += [stage(other, face).track_id for _ in range(3)]
    assert [int(one[0]) for one in ids if one is not None] == [1, 1, 1, 2, 2, 2]
    assert stage.shot == 1
    stage.reset()
    assert (stage(portrait, face).track_id, stage.shot) == ([1], 0)
