"""Trackers of other libraries, given the same boxes as ours."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from agegender_core.tracking import SortTracker

from .growth import moving_boxes
from .peers import Sides

TRACKS, FRAMES = 30, 60
# In a video's first frames SORT shows tracks at once, other trackers wait: ids are compared from this frame on.
_SETTLED = 10

Boxes: TypeAlias = npt.NDArray[np.float64]
Follow: TypeAlias = Callable[[Boxes], Any]


def beside_sort(make: Callable[[], Follow]) -> Sides:
    """SORT beside another tracker over squares that move, both anew each time.

    Args:
        make: makes the other tracker, which takes float64 (n, 4), a frame's boxes, and gives the id of each, int (n,),
            below 0 where it has none.
    """
    steps = moving_boxes(TRACKS)
    frames = [steps[number % len(steps)] for number in range(FRAMES)]

    def ours() -> list[Any]:
        tracker, ids = SortTracker(), []
        for boxes in frames:
            found, rows = tracker.update_with_rows(boxes)
            of_rows = np.full(len(boxes), -1)
            of_rows[rows] = found[:, 4]
            ids.append(of_rows)
        return ids

    def theirs() -> list[Any]:
        follow = make()
        return [follow(boxes) for boxes in frames]

    return Sides(ours, theirs, _same_tracks)


def _same_tracks(ours: list[Any], theirs: list[Any]) -> str:
    """Says how the tracks differ, "" where our ids and theirs correspond one-to-one from frame `_SETTLED` on."""
    pairs = np.stack([np.concatenate(ids[_SETTLED:]) for ids in (ours, theirs)], axis=1)
    both = np.unique(pairs, axis=0)
    counts = [len(np.unique(column)) for column in both.T]
    if len(both) == counts[0] == counts[1] and np.array_equal(pairs[:, 0] < 0, pairs[:, 1] < 0):
        return ""
    return f"{counts[1]} tracks of theirs, {counts[0]} of ours"


def trackers_of(name: str) -> Callable[[], Follow]:
    """A class of the package ``trackers`` by its name."""

    def make() -> Follow:
        supervision = import_module("supervision")
        tracker = getattr(import_module("trackers"), name)()

        def follow(boxes: Boxes) -> Any:
            scores = np.ones(len(boxes), np.float32)
            found = tracker.update(supervision.Detections(xyxy=boxes.astype(np.float32), confidence=scores))
            return _by_row(boxes, found.xyxy, found.tracker_id)

        return follow

    return make


def _by_row(boxes: Boxes, found: Any, ids: Any) -> Any:
    """Ids in the order of the detections, which a tracker need not keep."""
    of_rows = np.full(len(boxes), -1)
    for box, number in zip(found, ids, strict=True):
        of_rows[np.abs(boxes - box).sum(axis=1).argmin()] = number
    return of_rows


def norfair() -> Follow:
    """Norfair's tracker by the overlap of boxes."""
    module = import_module("norfair")
    tracker = module.Tracker(distance_function="iou", distance_threshold=0.7)

    def follow(boxes: Boxes) -> Any:
        detections = [module.Detection(box.reshape(2, 2), data=row) for row, box in enumerate(boxes)]
        of_rows = np.full(len(boxes), -1)
        for one in tracker.update(detections):
            of_rows[one.last_detection.data] = one.id
        return of_rows

    return follow
