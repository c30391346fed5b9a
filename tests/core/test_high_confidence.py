"""Faces of low confidence stay only with a track that has had a better one."""

from __future__ import annotations

import numpy as np
import pytest

import agegender_core
from agegender_core import high_confidence
from agegender_core.faces import Faces
from agegender_core.high_confidence import HighConfidenceFilter

FRAME = np.zeros((4, 4, 3), np.uint8)


def faces(*rows: tuple[float | None, int]) -> Faces:
    scores = [score for score, _ in rows]
    return Faces(
        xyxy=np.arange(4 * len(rows), dtype=np.float32).reshape(-1, 4),
        score=None if None in scores else np.array(scores, np.float32),
        track_id=np.array([number for _, number in rows], np.int64),
    )


def ids(out: Faces) -> list[int]:
    assert out.track_id is not None
    return out.track_id.tolist()


def test_a_low_score_is_enough_once_the_track_had_a_high_one() -> None:
    stage = HighConfidenceFilter(0.0)
    assert ids(stage(FRAME, faces((-0.1, 1), (0.5, 2)))) == [2]
    assert ids(stage(FRAME, faces((-0.1, 1), (-0.1, 2)))) == [2]
    assert ids(stage(FRAME, faces((0.1, 1), (-0.15, 2)))) == [1, 2]
    assert ids(stage(FRAME, faces((-0.1, 2), (-0.1, 1)))) == [2, 1]


def test_a_face_without_a_track_needs_its_score() -> None:
    stage = HighConfidenceFilter(0.0)
    assert ids(stage(FRAME, faces((-0.1, -1), (0.3, -1)))) == [-1]
    assert ids(stage(FRAME, faces((-0.1, -1)))) == []
    assert len(stage(FRAME, Faces(xyxy=np.zeros((2, 4), np.float32), score=np.array([1, -1], np.float32)))) == 1


def test_coasted_faces_stay_with_sure_tracks() -> None:
    stage = HighConfidenceFilter(0.0)
    stage(FRAME, faces((0.2, 4), (-0.2, 5)))
    assert ids(stage(FRAME, faces((None, 5), (None, 4)))) == [4]
    assert len(stage(FRAME, Faces.empty())) == 0


def test_reset_and_bounded_memory() -> None:
    stage = HighConfidenceFilter(0.0)
    stage(FRAME, faces((0.2, 1)))
    stage.reset()
    assert ids(stage(FRAME, faces((-0.1, 1)))) == []
    for number in range(3 * high_confidence._FORGET_AFTER):
        stage(FRAME, faces((0.2, number)))
    assert len(stage._last_seen) <= 2 * high_confidence._FORGET_AFTER


def test_the_former_name_still_works_and_says_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match="SureFaces is now called HighConfidenceFilter"):
        assert agegender_core.SureFaces is HighConfidenceFilter
    with pytest.raises(AttributeError, match="has no attribute 'Nobody'"):
        _ = agegender_core.Nobody
