"""`FaceTracker`: equal to a plain reference, and what it promises of faces."""

from __future__ import annotations

import copy
import pickle
import runpy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core import Faces, FaceTracker, SortTracker, TrackStage

PlainFaceTracker = runpy.run_path(str(Path(__file__).with_name("reference_face_tracker.py")))["PlainFaceTracker"]
Array = npt.NDArray[np.float64]


def box(x: float, y: float = 100.0, size: float = 50.0) -> list[float]:
    return [x, y, x + size, y + size]


def crowd(seed: int, frames: int) -> list[tuple[float, Array, Array]]:
    """Times, boxes and scores of faces that walk, vanish and come back, seen by a detector that errs."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 8))
    centres, speeds = random.uniform(0, 600, (count, 2)), random.normal(0, 120, (count, 2))
    sides = random.uniform(8, 150, count)
    found, time = [], float(random.uniform(-5, 5))
    for _ in range(frames):
        step = float(random.choice([0.0, 0.02, 0.04, 0.3, 2.5], p=[0.05, 0.3, 0.5, 0.1, 0.05]))
        time += step
        centres += speeds * step
        seen = random.random(count) < 0.85
        middle = centres[seen] + random.normal(0, 0.05, (int(seen.sum()), 2)) * sides[seen, None]
        half = (sides[seen] * random.uniform(0.9, 1.1, int(seen.sum())) / 2)[:, None]
        found.append((time, np.hstack([middle - half, middle + half]), random.uniform(0.3, 1, int(seen.sum()))))
    return found


@settings(deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.sampled_from([{}, {"threshold": 0.5, "evidence": 0.0}, {"max_age": 0.1, "iou_threshold": 0.5}]),
)
def test_gives_the_tracks_of_the_plain_reference(seed: int, frames: int, options: dict[str, float]) -> None:
    ours, plain = FaceTracker(**options), PlainFaceTracker(**options)
    for number, (time, boxes, scores) in enumerate(crowd(seed, frames)):
        if number % 5 == 4:
            np.testing.assert_allclose(ours.coast(time), plain.coast(time), rtol=1e-6, atol=1e-6)
        else:
            assert ours.update(boxes, scores, time).tolist() == plain.update(boxes, scores, time), number


def test_evidence_adds_up_to_a_track() -> None:
    def first_frame(score: float, step: float) -> int | None:
        tracker = FaceTracker()
        ids = [tracker.update([box(10 + step * n)], [score], n / 25)[0] for n in range(200)]
        return ids.index(1) if 1 in ids else None

    assert [first_frame(score, 4.0) for score in (0.95, 0.9, 0.7, 0.6)] == [0, 0, 1, 3]
    # What stands still, and is no clear face, is not taken for one.
    assert [first_frame(score, 0.0) for score in (0.95, 0.9, 0.7, 0.69)] == [0, 0, 1, None]
    assert first_frame(0.65, 0.3) is not None


def test_weak_detections_carry_a_track_on_but_begin_none() -> None:
    tracker = FaceTracker()
    assert tracker.update([box(10), box(300)], [0.95, 0.5], 0.0).tolist() == [1, -1]
    for n in range(1, 30):
        assert tracker.update([box(10 + n), box(300)], [0.4, 0.59], n / 25).tolist() == [1, -1]


@pytest.mark.parametrize("fps", [5, 25, 120])
@pytest.mark.parametrize(("gap", "kept"), [(0.8, True), (1.4, False)])
def test_a_lost_face_is_waited_for_by_the_clock(fps: int, gap: float, kept: bool) -> None:
    tracker, ids = FaceTracker(), set()
    for n in range(4 * fps):
        time = n / fps
        there = time < 1 or time >= 1 + gap
        ids.update(tracker.update([box(50)] if there else np.empty((0, 4)), [0.95] if there else [], time).tolist())
    assert ids == ({1} if kept else {1, 2})


def test_a_lost_face_is_expected_to_stop() -> None:
    tracker = FaceTracker()
    for n in range(10):
        tracker.update([box(10 + 5 * n)], [0.95], n / 25)
    for n in range(10, 30):
        tracker.update(np.empty((0, 4)), [], n / 25)
    ((left, *_),) = tracker.expected(30 / 25)
    assert 60 < left < 110  # 160, had it gone on
    assert tracker.coast(30 / 25).shape == (0, 5)


def test_slow_videos_keep_their_faces() -> None:
    tracker = FaceTracker()
    assert {int(tracker.update([box(50)], [0.95], 5.0 * n)[0]) for n in range(10)} == {1}


def test_expected_changes_nothing() -> None:
    one, other = FaceTracker(), FaceTracker()
    for time, boxes, scores in crowd(7, 30):
        one.expected(time), one.expected(time + 100)
        assert one.update(boxes, scores, time).tolist() == other.update(boxes, scores, time).tolist()
    assert one.expected(time).shape[1] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 0, 10, 10]], [0.5, 0.6], 1.0), r"scores must be of float64 \(n,\), one for each box, got shape \(2\)"),
        (([[0, 0, 10, 10]], [np.nan], 1.0), "scores must be numbers"),
        (([[0, 0, 10, np.nan]], [0.5], 1.0), "finite numbers"),
        (([[10, 0, 0, 10]], [0.5], 1.0), "x1 < x2"),
        (([[0, 0, 10, 10]], [0.5], np.nan), "time must be finite"),
        (([[0, 0, 10, 10]], [0.5], 0.5), "must not go back"),
    ],
)
def test_bad_input_changes_nothing(arguments: tuple[list[list[float]], list[float], float], message: str) -> None:
    tracker = FaceTracker()
    tracker.update([box(0)], [0.95], 0.9)
    before = tracker.expected(1.0)
    with pytest.raises(ValueError, match=message):
        tracker.update(*arguments)
    np.testing.assert_array_equal(tracker.expected(1.0), before)
    assert tracker.update([box(1)], [0.95], 0.95).tolist() == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": np.inf}, "threshold must be a finite number"),
        ({"evidence": np.nan}, "evidence must be"),
        ({"max_age": -1}, "max_age must be a number of seconds"),
        ({"iou_threshold": 1.1}, r"iou_threshold must be in \[0, 1\]"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaceTracker(**options)


def test_a_copy_has_the_options_and_no_tracks() -> None:
    tracker = FaceTracker(0.5, 0.1, 2.0, 0.3)
    tracker.update([box(10)], [0.95], 1.0)
    for again in (pickle.loads(pickle.dumps(tracker)), copy.deepcopy(tracker)):
        assert (again.threshold, again.evidence, again.max_age, again.iou_threshold) == (0.5, 0.1, 2.0, 0.3)
        assert len(again.expected(0.0)) == 0
    tracker.reset()
    assert tracker.update([box(10)], [0.95], 0.0).tolist() == [1]


IMAGE = np.zeros((300, 400, 3), np.uint8)


def test_a_stage_looks_near_the_faces_it_follows() -> None:
    asked: list[Array] = []

    def near(frame: npt.NDArray[np.uint8], expected: npt.NDArray[np.float32]) -> Faces:
        asked.append(expected)
        return Faces(expected + 1, np.full(len(expected), 0.8, np.float32))

    stage = TrackStage(near=near)
    assert len(stage.coast(IMAGE, Faces.empty(0.0, 0))) == 0
    assert asked == []  # nobody is there to look for
    found = Faces(np.array([box(10), box(200)], np.float32), np.array([0.95, 0.95], np.float32), time=0.04)
    assert stage(IMAGE, found).track_id.tolist() == [1, 2]
    coasted = stage.coast(IMAGE, Faces.empty(0.08, 2))
    assert coasted.track_id.tolist() == [1, 2]
    assert (coasted.time, coasted.frame) == (0.08, 2)
    np.testing.assert_allclose(asked[0], found.xyxy, atol=1e-4)
    np.testing.assert_allclose(coasted.xyxy, found.xyxy + 1, atol=1e-4)
    assert copy.deepcopy(stage).near is near


def test_options_that_are_for_another_tracker() -> None:
    with pytest.raises(ValueError, match="max_age is for a SortTracker"):
        TrackStage(FaceTracker(), max_age=1.0)
    with pytest.raises(ValueError, match="near is for a FaceTracker"):
        TrackStage(SortTracker(), near=lambda frame, boxes: Faces.empty())


def test_a_detector_without_scores() -> None:
    stage = TrackStage()
    ids = [stage(IMAGE, Faces(np.array([box(10)], np.float32), time=n / 25)).track_id.tolist() for n in range(3)]
    assert ids == [[-1], [1], [1]]
