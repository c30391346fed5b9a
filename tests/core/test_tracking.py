import threading

import numpy as np
import pytest

from agegender_core.faces import Faces
from agegender_core.tracking import SortTracker, TrackStage

FRAME = np.zeros((8, 8, 3), np.uint8)


def row(*lefts, size=100):
    """Boxes of size x size at y = 0 with these x1."""
    return np.array([[left, 0, left + size, size] for left in lefts], float).reshape(-1, 4)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([1, 2, 3, 4], r"\(n, 4\) or \(n, 5\), got \(4,\)"),
        ([[1, 2, 3]], r"got \(1, 3\)"),
        (np.zeros((2, 6)), r"got \(2, 6\)"),
        ([[[0, 0, 1, 1]]], r"got \(1, 1, 4\)"),
        ([[0, 0, 1, 1], [0]], "different lengths"),
        ([["0", "0", "1", "1"]], "real numbers, got dtype <U1"),
        ([[0, 0, 1j, 1]], "real numbers, got dtype complex128"),
        ([[None] * 4], "real numbers, got dtype object"),
        (None, r"got \(\)"),
    ],
)
def test_what_is_no_boxes_is_refused(boxes, message):
    with pytest.raises(ValueError, match=message):
        SortTracker().update(boxes)


@pytest.mark.parametrize("empty", [[], (), np.empty((0, 4)), np.empty((0, 5), np.float32)])
def test_no_boxes(empty):
    tracks, rows = SortTracker().update_with_rows(empty)
    assert (tracks.shape, tracks.dtype) == ((0, 5), np.float64)
    assert (rows.shape, rows.dtype) == ((0,), np.int64)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, np.float16, ">f8"])
def test_any_real_numbers_in_any_memory_order(dtype):
    boxes = row(0, 120)
    expected = SortTracker().update(boxes)
    np.testing.assert_array_equal(SortTracker().update(boxes.astype(dtype)), expected)
    np.testing.assert_array_equal(SortTracker().update(np.asfortranarray(boxes.astype(dtype))), expected)
    np.testing.assert_array_equal(SortTracker().update(boxes.astype(dtype).tolist()), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_age": -1}, "max_age must be 0 or more, got -1"),
        ({"min_hits": -2}, "min_hits must be 0 or more, got -2"),
        ({"iou_threshold": 1.5}, "iou_threshold must be in"),
        ({"iou_threshold": float("nan")}, "iou_threshold must be in"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SortTracker(**options)


def test_options_can_be_read():
    tracker = SortTracker(4, 5, 0.25, keep_confirmed=True)
    assert (tracker.max_age, tracker.min_hits, tracker.iou_threshold, tracker.keep_confirmed) == (4, 5, 0.25, True)


def test_threads_may_share_a_tracker():
    tracker = SortTracker(max_age=10**6, min_hits=0)
    ids = [[] for _ in range(4)]

    def work(place):
        for _ in range(200):
            ids[place].extend(tracker.update(row(1000 * place))[:, 4])

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted({number for numbers in ids for number in numbers}) == [1, 2, 3, 4]
    assert all(len(set(numbers)) == 1 for numbers in ids)


def faces_at(*lefts):
    return Faces(xyxy=row(*lefts).astype(np.float32), score=np.arange(len(lefts), dtype=np.float32))


def test_stage_fills_ids_and_keeps_rows():
    stage = TrackStage(SortTracker(min_hits=1))
    assert stage(FRAME, Faces.empty()).track_id.shape == (0,)
    first = stage(FRAME, faces_at(0, 300))
    assert first.track_id.tolist() == [-1, -1]
    assert first.track_id.dtype == np.int64
    faces = faces_at(301, 700, 1)
    tracked = stage(FRAME, faces)
    assert tracked.track_id.tolist() == [2, -1, 1]
    assert tracked.xyxy is faces.xyxy
    assert tracked.score is faces.score


def test_stage_coasts_and_resets():
    stage = TrackStage(SortTracker())
    for step in range(6):
        stage(FRAME, faces_at(4 * step, 300))
    coasted = stage.coast(FRAME, Faces.empty())
    assert coasted.track_id.tolist() == [2, 1]
    assert coasted.score is None
    np.testing.assert_allclose(coasted.xyxy, row(300, 24), atol=1)
    stage.reset()
    assert len(stage.coast(FRAME, Faces.empty())) == 0
    assert stage(FRAME, faces_at(900)).track_id.tolist() == [1]
