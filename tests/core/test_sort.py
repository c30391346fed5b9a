import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core.tracking import SortTracker

ReferenceSort = runpy.run_path(str(Path(__file__).with_name("reference_sort.py")))["ReferenceSort"]

SEQUENCES = ["ADL-Rundle-6", "ETH-Sunnyday", "KITTI-17", "PETS09-S2L1", "TUD-Stadtmitte"]
SETTINGS = [(1, 3, 0.3), (1, 1, 0.3), (30, 3, 0.3), (1, 3, 0.5)]


def row(*lefts, size=100):
    """Boxes of size x size at y = 0 with these x1."""
    return np.array([[left, 0, left + size, size] for left in lefts], float).reshape(-1, 4)


class IdMap:
    """Holds tracks of two trackers together: same boxes in each frame, in any order, and ids one-to-one all along."""

    def __init__(self):
        self.there, self.back = {}, {}

    def check(self, ours, theirs, tolerance, where):
        """Rows of both are x, y, x or width, y or height, id."""
        assert len(ours) == len(theirs), where
        if not len(ours):
            return
        distance = abs(ours[:, None, :4] - theirs[None, :, :4]).max(-1)
        nearest = distance.argmin(1)
        assert sorted(nearest) == list(range(len(ours))), where
        assert distance.min(1).max() <= tolerance, where
        for mine, other in zip(ours[:, 4], theirs[nearest, 4], strict=True):
            assert self.there.setdefault(mine, other) == other, where
            assert self.back.setdefault(other, mine) == mine, where


@pytest.mark.parametrize(("max_age", "min_hits", "iou_threshold"), SETTINGS)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_gives_the_published_tracks(shared_data, sequence, max_age, min_hits, iou_threshold):
    folder = shared_data / "mot" / sequence
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    detections = np.loadtxt(folder / "det.txt", delimiter=",")
    golden = np.loadtxt(folder / "sort" / f"age{max_age}_hits{min_hits}_iou{iou_threshold}.txt", delimiter=",")
    length = int((folder / "seqinfo.ini").read_text().split("seqLength=")[1].split()[0])
    detections[:, 4:6] += detections[:, 2:4]
    tracker = SortTracker(max_age, min_hits, iou_threshold)
    ids = IdMap()
    for frame in range(1, length + 1):
        tracks = tracker.update(detections[detections[:, 0] == frame, 2:7])
        tracks[:, 2:4] -= tracks[:, :2]
        ids.check(tracks, golden[golden[:, 0] == frame][:, [2, 3, 4, 5, 1]], 1e-6, frame)
    assert len(ids.back) == len(np.unique(golden[:, 1]))


def walk(seed, people, frames, crowding, miss, noise):
    """People who walk through a square, seen with misses, noise and false alarms."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, crowding, (people, 2))
    velocity = rng.normal(0, 4, (people, 2))
    size = rng.uniform(20, 80, (people, 2))
    for _ in range(frames):
        centre = centre + velocity
        size = np.clip(size * rng.normal(1, 0.03, size.shape), 5, 200)
        seen = rng.random(people) > miss
        boxes = np.hstack([centre - size / 2, centre + size / 2])[seen] + rng.normal(0, noise, (seen.sum(), 4))
        false = rng.uniform(0, crowding, (rng.poisson(0.5), 2))
        boxes = np.vstack([boxes, np.hstack([false, false + 40])])
        yield rng.permutation(boxes[(boxes[:, 2:] > boxes[:, :2] + 1).all(1)])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    people=st.integers(0, 12),
    crowding=st.sampled_from([60, 200, 800]),
    miss=st.sampled_from([0.0, 0.1, 0.4]),
    noise=st.sampled_from([0.5, 3.0]),
    max_age=st.integers(0, 4),
    min_hits=st.integers(0, 4),
    iou_threshold=st.sampled_from([0.1, 0.3, 0.5, 0.7]),
)
def test_equals_the_plain_reference(seed, people, crowding, miss, noise, max_age, min_hits, iou_threshold):
    tracker = SortTracker(max_age, min_hits, iou_threshold)
    reference = ReferenceSort(max_age, min_hits, iou_threshold, watch_ties=True)
    ids = IdMap()
    for frame, boxes in enumerate(walk(seed, people, 30, crowding, miss, noise)):
        expected = reference.update(boxes)
        if reference.ambiguous:  # from here on both may be right and differ
            break
        ids.check(tracker.update(boxes), expected, 1e-6, frame)


def test_a_clear_pair_is_taken_even_if_an_assignment_would_have_none():
    tracker = SortTracker(max_age=1, min_hits=0, iou_threshold=0.3)
    assert tracker.update(row(48, -55))[:, 4].tolist() == [2, 1]
    assert tracker.update(row(0, 103))[:, 4].tolist() == [3, 1]


def test_a_pair_at_the_threshold_stays():
    tracker = SortTracker(min_hits=0, iou_threshold=0.5)
    tracker.update([[0, 0, 64, 64]])
    assert tracker.update([[0, 0, 32, 64]])[:, 4].tolist() == [1]


def test_new_tracks_come_from_left_out_detections_first_then_from_dropped_pairs():
    tracker = SortTracker(min_hits=0)
    tracker.update(row(0))
    _, rows = tracker.update_with_rows(row(80, 300))
    assert rows.tolist() == [0, 1]  # newest first: the weak pair's detection came last


def test_shows_from_the_fourth_detection_on_and_hides_after_a_miss():
    tracker = SortTracker(max_age=1, min_hits=3)
    for _ in range(5):
        tracker.update([])
    shown = [len(tracker.update(row(0))) for _ in range(5)]
    assert shown == [0, 0, 0, 1, 1]
    assert len(tracker.update(np.empty((0, 5)))) == 0
    again = [tracker.update(row(0)) for _ in range(4)]
    assert [len(tracks) for tracks in again] == [0, 0, 1, 1]
    assert again[-1][0, 4] == 1


def test_keep_confirmed_shows_at_the_first_hit_after_a_miss():
    tracker = SortTracker(max_age=1, min_hits=3, keep_confirmed=True)
    for _ in range(5):
        tracker.update([])
    assert [len(tracker.update(row(0))) for _ in range(4)] == [0, 0, 0, 1]
    tracker.update([])
    assert tracker.update(row(0))[:, 4].tolist() == [1]


@pytest.mark.parametrize("max_age", [0, 1, 3])
def test_max_age_survives_that_many_missed_frames(max_age):
    for missed, same in [(max_age, True), (max_age + 1, False)]:
        tracker = SortTracker(max_age=max_age, min_hits=0)
        tracker.update(row(0))
        for _ in range(missed):
            tracker.update([])
        assert tracker.update(row(0))[:, 4].tolist() == [1 if same else 2]


def test_the_first_box_comes_back_as_it_was():
    boxes = np.array([[10.5, 20.25, 50.5, 80.75], [-5, -7, 3, 1]])
    np.testing.assert_allclose(SortTracker().update(boxes)[::-1, :4], boxes, atol=1e-9)


def test_ids_are_counted_in_each_tracker_and_from_one_again_after_reset():
    first, second = SortTracker(), SortTracker()
    assert first.update(row(0, 300))[:, 4].tolist() == [2, 1]
    assert second.update(row(0))[:, 4].tolist() == [1]
    first.reset()
    assert len(first.coast()) == 0
    assert first.update(row(7, 500))[:, 4].tolist() == [2, 1]


def test_reset_forgets_the_frame_count():
    used, fresh = SortTracker(min_hits=2), SortTracker(min_hits=2)
    for _ in range(5):
        used.update(row(900))
    used.reset()
    for boxes in [row(0), row(1), row(2, 300), row(3, 301)]:
        np.testing.assert_array_equal(used.update(boxes), fresh.update(boxes))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0, 0, np.nan, 1], "finite"),
        ([0, -np.inf, 1, 1], "finite"),
        ([5, 0, 5, 1], "x1 < x2"),
        ([0, 6, 1, 5], "y1 < y2"),
        ([0, 0, 1e200, 1e200], "float64 can hold"),
        ([0, 0, 1e-200, 1e-200], "float64 can hold"),
    ],
)
def test_a_bad_box_is_named_and_changes_nothing(bad, message):
    tracker, untouched = SortTracker(min_hits=0), SortTracker(min_hits=0)
    for each in (tracker, untouched):
        each.update(row(0, 300))
    with pytest.raises(ValueError, match=rf"{message}.* row 1\b"):
        tracker.update([[0, 0, 1, 1], bad])
    np.testing.assert_array_equal(tracker.update(row(3, 298)), untouched.update(row(3, 298)))


def test_coast_moves_what_is_shown_and_counts_no_miss():
    tracker = SortTracker(max_age=1, min_hits=2)
    for step in range(10):
        tracks = tracker.update(np.vstack([row(10 * step), row(500)]) if step < 9 else row(90))
    assert tracks[:, 4].tolist() == [1]
    for step in range(10, 15):
        tracks = tracker.coast()
        assert tracks[:, 4].tolist() == [1]  # the track that was missed last stays hidden
        np.testing.assert_allclose(tracks[0, :4], row(10 * step)[0], atol=1.5)
    # five coasted frames were no misses: both are still alive, the seen one without a break
    assert tracker.update(row(150, 500))[:, 4].tolist() == [1]
    assert sorted(tracker.update(row(160, 500))[:, 4]) == [1, 2]


def test_coast_before_any_update_is_empty():
    assert SortTracker().coast().shape == (0, 5)


def test_rows_lead_back_to_the_detections():
    tracker = SortTracker(min_hits=0)
    lefts = np.arange(8) * 200.0
    rng = np.random.default_rng(0)
    id_of = {}
    for step in range(6):
        order = rng.permutation(8)
        tracks, rows = tracker.update_with_rows(row(*(lefts[order] + 5 * step)))
        np.testing.assert_allclose(tracks[:, 0], lefts[order][rows] + 5 * step, atol=6)
        for place, number in zip(order[rows], tracks[:, 4], strict=True):
            assert id_of.setdefault(place, number) == number
    assert sorted(id_of.values()) == list(range(1, 9))
