"""SORT once more, slow and plain: full matrices, scipy's assignment, one loop a step. The native tracker is held to it.

Written from the paper (Bewley et al., ICIP 2016) and the project's description of its tracks; load it with `runpy`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Array = npt.NDArray[Any]


def iou_matrix(a: Array, b: Array) -> Array:
    a, b = a[:, None, :4], b[None, :, :4]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(-1)
    return shared / ((a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared)


class TextbookFilter:
    """The 7-state filter with measurement (x, y, area, ratio), as a textbook writes it."""

    F = np.eye(7) + np.eye(7, k=4)
    H = np.eye(4, 7)
    Q = np.diag([1, 1, 1, 1, 0.01, 0.01, 0.0001])
    R = np.diag([1.0, 1, 10, 10])

    def __init__(self, box: Array) -> None:
        self.x = np.concatenate([self.measure(box), np.zeros(3)])
        self.P = np.diag([10.0, 10, 10, 10, 10000, 10000, 10000])

    @staticmethod
    def measure(box: Array) -> Array:
        width, height = box[2] - box[0], box[3] - box[1]
        return np.array([box[0] + width / 2, box[1] + height / 2, width * height, width / height])

    def predict(self) -> None:
        if self.x[2] + self.x[6] <= 0:
            self.x[6] = 0
        self.x = self.F @ self.x
        self.P = self.F @ self.P @ self.F.T + self.Q

    def update(self, box: Array) -> None:
        gain = self.P @ self.H.T @ np.linalg.inv(self.H @ self.P @ self.H.T + self.R)
        self.x = self.x + gain @ (self.measure(box) - self.H @ self.x)
        left = np.eye(7) - gain @ self.H
        self.P = left @ self.P @ left.T + gain @ self.R @ gain.T

    @property
    def box(self) -> Array:
        x, y, area, ratio = self.x[:4]
        width = np.sqrt(area * ratio)
        height = area / width
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


class Track:
    def __init__(self, box: Array, number: int) -> None:
        self.filter = TextbookFilter(box)
        self.id = number
        self.hit_streak = 0
        self.since_update = 0


class ReferenceSort:
    def __init__(
        self, max_age: int = 1, min_hits: int = 3, iou_threshold: float = 0.3, watch_ties: bool = False
    ) -> None:
        self.max_age, self.min_hits, self.iou_threshold = max_age, min_hits, iou_threshold
        self.tracks: list[Track] = []
        self.frames = self.last_id = 0
        self.watch_ties = watch_ties
        self.ambiguous = False
        """With `watch_ties`: whether a choice among equal assignments, or rounding, could have changed the tracks."""

    def update(self, boxes: Array) -> Array:
        self.frames += 1
        for track in self.tracks:
            track.filter.predict()
            if track.since_update > 0:
                track.hit_streak = 0
            track.since_update += 1
        self.tracks = [track for track in self.tracks if not np.isnan(track.filter.box).any()]

        pairs, left_out, dropped = self.associate(boxes)
        for row, column in pairs:
            track = self.tracks[column]
            track.filter.update(boxes[row])
            track.since_update = 0
            track.hit_streak += 1
        for row in left_out + dropped:
            self.last_id += 1
            self.tracks.append(Track(boxes[row], self.last_id))

        shown = [
            np.append(track.filter.box, track.id)
            for track in reversed(self.tracks)
            if track.since_update == 0 and (track.hit_streak >= self.min_hits or self.frames <= self.min_hits)
        ]
        self.tracks = [track for track in self.tracks if track.since_update <= self.max_age]
        return np.array(shown).reshape(-1, 5)

    def associate(self, boxes: Array) -> tuple[list[tuple[int, int]], list[int], list[int]]:
        ious = iou_matrix(boxes, np.array([track.filter.box for track in self.tracks]).reshape(-1, 4))
        marks = ious > self.iou_threshold
        if marks.any() and marks.sum(0).max() <= 1 and marks.sum(1).max() <= 1:
            assigned = list(zip(*np.nonzero(marks), strict=True))
        else:
            assigned = list(zip(*linear_sum_assignment(ious, maximize=True), strict=True))
            self.ambiguous |= self.watch_ties and near_tie(ious, assigned)
        self.ambiguous |= self.watch_ties and bool((abs(ious - self.iou_threshold) < 1e-9).any())
        pairs = [(row, column) for row, column in assigned if ious[row, column] >= self.iou_threshold]
        left_out = sorted(set(range(len(boxes))) - {row for row, _ in assigned})
        dropped = [row for row, column in assigned if ious[row, column] < self.iou_threshold]
        return pairs, left_out, dropped


def near_tie(ious: Array, assigned: list[tuple[int, int]]) -> bool:
    """Whether forbidding one overlapping pair of the best assignment costs next to nothing."""
    total = sum(ious[pair] for pair in assigned)
    for pair in assigned:
        if ious[pair] > 0:
            without = ious.copy()
            without[pair] = -1
            rows, columns = linear_sum_assignment(without, maximize=True)
            if without[rows, columns].sum() > total - 1e-9:
                return True
    return False
