"""`FaceTracker` once more, slow and plain: full 8-state filters, scipy's assignment. The native tracker is held to it.

Load it with `runpy`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Array = npt.NDArray[Any]


def iou(a: Array, b: Array) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.clip(sides, 0, None).prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))


def grown(box: Array, part: float) -> Array:
    more = part * (box[2:] - box[:2])
    return np.concatenate([box[:2] - more, box[2:] + more])


class TextbookFilter:
    """State: centre x and y, width, height, and their velocities a second."""

    def __init__(self, box: Array) -> None:
        self.x = np.concatenate([self.measure(box), np.zeros(4)])
        s = self.side
        self.P = np.diag(np.square([0.1 * s] * 4 + [2 * s, 2 * s, 0.5 * s, 0.5 * s]))

    @staticmethod
    def measure(box: Array) -> Array:
        return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])

    @property
    def side(self) -> float:
        return float(np.sqrt(self.x[2] * self.x[3]))

    def predict(self, dt: float) -> None:
        step = np.eye(8) + dt * np.eye(8, k=4)
        q = np.square(np.array([4.0, 4.0, 0.3, 0.3]) * self.side)
        cross = q * dt**2 / 2
        noise = np.diag(np.concatenate([q * dt**3 / 3, q * dt])) + np.diag(cross, 4) + np.diag(cross, -4)
        self.x = step @ self.x
        self.P = step @ self.P @ step.T + noise
        self.x[2:4] = np.maximum(self.x[2:4], 1)

    def update(self, box: Array) -> None:
        measured, noise = np.eye(4, 8), np.eye(4) * (0.05 * self.side) ** 2
        gain = self.P @ measured.T @ np.linalg.inv(measured @ self.P @ measured.T + noise)
        self.x = self.x + gain @ (self.measure(box) - measured @ self.x)
        left = np.eye(8) - gain @ measured
        self.P = left @ self.P @ left.T + gain @ noise @ gain.T
        self.x[2:4] = np.maximum(self.x[2:4], 1)

    @property
    def box(self) -> Array:
        return np.concatenate([self.x[:2] - self.x[2:4] / 2, self.x[:2] + self.x[2:4] / 2])


class PlainFaceTracker:
    def __init__(
        self, threshold: float = 0.6, evidence: float = 0.4, max_age: float = 1.0, iou_threshold: float = 0.25
    ) -> None:
        self.threshold, self.needed, self.max_age, self.least = threshold, evidence, max_age, iou_threshold
        self.tracks: list[dict[str, Any]] = []
        self.time: float | None = None
        self.last_id = 0

    def _move_to(self, time: float) -> None:
        dt = 0.0 if self.time is None else time - self.time
        self.time = time
        self.tracks = [t for t in self.tracks if t["misses"] == 0 or time - t["seen"] <= self.max_age]
        for track in self.tracks:
            track["filter"].predict(min(dt, 1.0))
            if track["misses"]:
                track["filter"].x[4:] *= np.exp(-dt / 0.2)

    def update(self, boxes: Array, scores: Array, time: float) -> list[int]:
        self._move_to(time)
        ids = [-1] * len(boxes)
        strong = [row for row in range(len(boxes)) if scores[row] >= self.threshold]
        weak = [row for row in range(len(boxes)) if scores[row] < self.threshold]
        free, pairs = list(self.tracks), []
        for rows, growth in ((strong, 0.1), (weak, 0.3)):
            overlaps = np.zeros((len(rows), len(free)))
            for i, row in enumerate(rows):
                for j, track in enumerate(free):
                    part = growth if track["moving"] else 0.5
                    overlap = iou(grown(boxes[row], part), grown(track["filter"].box, part))
                    overlaps[i, j] = overlap if overlap >= self.least else 0
            found = [(i, j) for i, j in zip(*linear_sum_assignment(-overlaps), strict=True) if overlaps[i, j] > 0]
            pairs += [(rows[i], free[j]) for i, j in found]
            free = [track for j, track in enumerate(free) if j not in {j for _, j in found}]
        taken = {row for row, _ in pairs}
        for row, track in sorted(pairs, key=lambda pair: pair[0]):
            track["filter"].update(boxes[row])
            track.update(seen=time, misses=0, moving=True)
            place, last = track["filter"].x[:4], track["place"]
            moved = (np.abs(place[:2] - last[:2]) / last[2:]).max() > 0.04
            if moved:
                track["place"] = place.copy()
            if moved or scores[row] >= self.threshold + 0.1 - 1e-6:
                track["evidence"] += self._evidence(scores[row])
            ids[row] = self._confirmed(track)
        for track in free:
            track["misses"] += 1
        self.tracks = [track for track in self.tracks if track["id"] > 0 or track["misses"] == 0]
        for row in strong:
            if row not in taken:
                track = {"filter": TextbookFilter(boxes[row]), "seen": time, "misses": 0, "moving": False, "id": -1}
                track["place"] = track["filter"].x[:4].copy()
                track["evidence"] = self._evidence(scores[row])
                self.tracks.append(track)
                ids[row] = self._confirmed(track)
        return ids

    def _evidence(self, score: float) -> float:
        return score - (self.threshold - 0.1)

    def _confirmed(self, track: dict[str, Any]) -> int:
        if track["id"] < 0 and track["evidence"] >= self.needed - 1e-6:
            self.last_id += 1
            track["id"] = self.last_id
        return int(track["id"])

    def coast(self, time: float) -> Array:
        self._move_to(time)
        shown = [track for track in self.tracks if track["id"] > 0 and track["misses"] == 0]
        return np.array([[*track["filter"].box, track["id"]] for track in shown]).reshape(-1, 5)
