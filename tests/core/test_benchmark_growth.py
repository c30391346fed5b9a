"""Growth: sizes that are what they say, slopes that are right, and an end where it would take too long."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from agegender_core import Faces, FaceTracker, SortTracker, iou
from agegender_core.benchmark import growth, measure_growth
from agegender_core.detect import make_detector


def test_a_crowd_has_as_many_faces_as_it_says() -> None:
    frame, faces = growth._crowd(12)
    found = make_detector()(frame, Faces.empty())
    assert len(faces) == len(found) == 12
    best = iou(faces.xyxy, found.xyxy).max(axis=1)
    assert (best > 0.7).all()


@pytest.mark.parametrize("number", [1, 40])
def test_squares_move_and_never_meet(number: int) -> None:
    frames = growth.moving_boxes(number)
    for boxes in frames:
        overlaps = iou(boxes, boxes)
        np.testing.assert_array_equal(overlaps > 0, np.eye(number, dtype=bool))
    for before, after in itertools.pairwise([*frames, frames[0]]):
        moved = np.abs(after - before).max(axis=1)
        assert (moved > 0).all()
        assert (moved <= 3).all()


def test_every_square_stays_one_track() -> None:
    sort, faces = SortTracker(), FaceTracker()
    for number, boxes in enumerate(growth.moving_boxes(20) * 3):
        assert sorted(sort.update(boxes)[:, 4]) == list(range(1, 21))
        assert sorted(faces.update(boxes, np.ones(20), number / 25)) == list(range(1, 21))


def test_rows_and_slopes_of_every_axis() -> None:
    report = measure_growth("tiny", 0, faces=[3, 1], frames=["VGA"], tracks=[10, 1])
    assert report["model"] == "ssrnet"
    sizes: dict[tuple[str, str], list[int]] = {}
    for row in report["rows"]:
        sizes.setdefault((row["axis"], row["stage"]), []).append(row["n"])
        assert 0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"]
    faces = {("faces", stage): [1, 3] for stage in ("align", "preprocess", "predict", "draw")}
    detectors = ("detect (picture)", "detect (video)", "detect by hog")
    frames = {("pixels", stage): [640 * 480] for stage in ("decode", *detectors, "draw")}
    assert sizes == faces | frames | {("tracks", stage): [1, 10] for stage in ("track", "track by sort")}
    assert [(one["axis"], one["stage"]) for one in report["slopes"]] == list(sizes)
    for one in report["slopes"]:
        assert (one["slope"] is None) == (one["axis"] == "pixels")
        assert (one["words"] == "not known") == (one["axis"] == "pixels")


def test_slopes_of_known_curves() -> None:
    curves = {
        "constant": (lambda n: 3.0, 0, "hardly at all"),
        "root": (lambda n: n**0.5, 0.5, "less than in proportion"),
        "line": (lambda n: 2.0 * n, 1, "in proportion"),
        "power": (lambda n: n**1.5, 1.5, "more than in proportion"),
        "square": (lambda n: n**2.0, 2, "with the square"),
        "cube": (lambda n: n**3.0, 3, "faster than the square"),
    }
    rows = [
        {"axis": "tracks", "stage": name, "n": n, "median_ms": curve(n)}
        for name, (curve, _, _) in curves.items()
        for n in (1, 10, 100, 1000)
    ]
    rows += [{"axis": "tracks", "stage": name, "n": 10_000, "median_ms": None} for name in curves]
    for one in growth.slopes_of(rows):
        _, slope, words = curves[one["stage"]]
        assert one["slope"] == pytest.approx(slope, abs=1e-9)
        assert one["slope_of_large"] == pytest.approx(slope, abs=1e-9)
        assert one["words"] == words


def test_what_a_call_costs_in_any_case_does_not_hide_the_growth() -> None:
    rows = [{"axis": "tracks", "stage": "a", "n": n, "median_ms": 10 + n**2 / 100} for n in (1, 10, 100, 1000, 10_000)]
    (one,) = growth.slopes_of(rows)
    assert one["slope"] < 1.6
    assert one["words"] == "with the square"


def test_what_takes_too_long_is_not_tried_with_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "_LONGEST", 1e-9)
    report = measure_growth("tiny", 0, faces=[], frames=[], tracks=[1, 2, 3])
    found = [(row["n"], row["median_ms"] is not None) for row in report["rows"] if row["stage"] == "track"]
    assert found == [(1, True), (2, False), (3, False)]
    assert all(one["words"] == "not known" for one in report["slopes"])
