"""Weak faces stay only with a track that was sure once."""

from __future__ import annotations

import numpy as np

from agegender_core import sure
from agegender_core.faces import Faces
from agegender_core.sure import SureFaces

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


def test_a_weak_face_shows_once_its_track_was_sure() -> None:
    stage = SureFaces(0.0)
    assert ids(stage(FRAME, faces((-0.1, 1), (0.5, 2)))) == [2]
    assert ids(stage(FRAME, faces((-0.1, 1), (-0.1, 2)))) == [2]
    assert ids(stage(FRAME, faces((0.1, 1), (-0.15, 2)))) == [1, 2]
    assert ids(stage(FRAME, faces((-0.1, 2), (-0.1, 1)))) == [2, 1]


def test_a_face_without_a_track_needs_its_score() -> None:
    stage = SureFaces(0.0)
    assert ids(stage(FRAME, faces((-0.1, -1), (0.3, -1)))) == [-1]
    assert ids(stage(FRAME, faces((-0.1, -1)))) == []
    assert len(stage(FRAME, Faces(xyxy=np.zeros((2, 4), np.float32), score=np.array([1, -1], np.float32)))) == 1


def test_coasted_faces_stay_with_sure_tracks() -> None:
    stage = SureFaces(0.0)
    stage(FRAME, faces((0.2, 4), (-0.2, 5)))
    assert ids(stage(FRAME, faces((None, 5), (None, 4)))) == [4]
    assert len(stage(FRAME, Faces.empty())) == 0


def test_reset_and_bounded_memory() -> None:
    stage = SureFaces(0.0)
    stage(FRAME, faces((0.2, 1)))
    stage.reset()
    assert ids(stage(FRAME, faces((-0.1, 1)))) == []
    for number in range(3 * sure._FORGET_AFTER):
        stage(FRAME, faces((0.2, number)))
    assert len(stage._last_seen) <= 2 * sure._FORGET_AFTER
