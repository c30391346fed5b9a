"""When the network looks at a track, and what becomes of the faces that it does not look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agegender_core import Aligner, FaceQuality, Faces, LookPlan, YuNetDetector, load_predictor, read_image

FRAME = np.zeros((600, 800, 3), np.uint8)


def faces(time: float, ids: list[int], side: float = 100.0, score: float = 0.95) -> Faces:
    boxes = np.array([[200.0 * n, 10, 200.0 * n + side, 10 + side] for n in range(len(ids))], np.float32)
    return Faces(
        boxes.reshape(-1, 4), np.full(len(ids), score, np.float32), track_id=np.array(ids, np.int64), time=time
    )


def looks(plan: LookPlan, times: list[float], **how: float) -> list[float]:
    return [time for time in times if plan(FRAME, faces(time, [1], **how)).look.tolist() == [True]]


def test_a_new_track_is_looked_at_often_and_an_old_one_now_and_then() -> None:
    times = [n / 25 for n in range(100)]
    seen = looks(LookPlan(), times)
    np.testing.assert_allclose(seen[:5], [0.0, 0.12, 0.24, 0.36, 0.48])
    np.testing.assert_allclose(np.diff(seen[4:]), 0.52)
    assert looks(LookPlan.always(), times) == times
    # By the clock, not by frames.
    assert looks(LookPlan(), [n / 4 for n in range(16)]) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]


def test_a_better_face_is_looked_at_early() -> None:
    plan = LookPlan(first=1)
    assert looks(plan, [0.0], side=20) == [0.0]
    assert looks(plan, [0.2], side=20) == []
    assert looks(plan, [0.24], side=100) == [0.24]
    assert looks(plan, [0.4], side=100) == []
    with pytest.raises(ValueError, match="put it after a TrackStage"):
        plan(FRAME, Faces.empty())


def test_no_more_than_some_at_once_and_those_that_waited_longest() -> None:
    plan, ids = LookPlan(first=1, at_once=2), [1, 2, 3, 4, -1]
    assert plan(FRAME, faces(0.0, ids)).look.tolist() == [True] * 4 + [False]  # a new one never waits
    rounds = [tuple(np.flatnonzero(plan(FRAME, faces(time, ids)).look)) for time in (0.5, 0.52, 0.54, 1.0)]
    assert rounds == [(0, 1), (2, 3), (), (0, 1)]


def test_faces_that_are_only_expected_are_not_looked_at() -> None:
    expected = Faces(np.array([[0, 0, 50, 50]], np.float32), track_id=np.array([1]))
    assert LookPlan.always().coast(FRAME, expected).look.tolist() == [False]
    assert LookPlan.always().coast(FRAME, faces(0.0, [1])).look.tolist() == [True]


@pytest.mark.parametrize("look", [[True, False], [False, True], [True, True], [False, False]])
def test_the_stages_after_it_leave_the_others_out(astronaut_path: Path, look: list[bool]) -> None:
    image = read_image(astronaut_path)
    (face,) = YuNetDetector()(image, Faces.empty()).xyxy
    plain = Faces(np.stack([face, face + 3]), np.ones(2, np.float32))
    stages = [Aligner(), FaceQuality(), load_predictor("ssrnet")]
    every, some = plain, plain.with_columns(look=np.array(look))
    for stage in stages:
        every, some = stage(image, every), stage(image, some)
    assert len(some) == 2
    if not any(look):
        assert some.landmarks is None
        assert some.chips is None
        assert np.isnan([some.age, some.p_male, some.quality]).all()
        return
    for name in ("landmarks", "age", "age_std", "age_interval", "p_male", "quality"):
        np.testing.assert_allclose(getattr(some, name)[look], getattr(every, name)[look], atol=1e-3)
        assert np.isnan(getattr(some, name)[~np.array(look)]).all()
    np.testing.assert_array_equal(some.chips[look], every.chips[look])
    assert not some.chips[~np.array(look)].any()
    batched = stages[-1].batch([image, image], [some.with_columns(age=None), every])
    np.testing.assert_allclose(batched[0].age, some.age, atol=1e-3)
    np.testing.assert_allclose(batched[1].age, every.age, atol=1e-3)
