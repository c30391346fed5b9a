"""The same face twice, in one store or in two: equal picture files, and pictures that look the same."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agegender_train.face_table import FaceTable

_SAME_FACE_IOU = 0.5
_MANY = 50


class Copy(NamedTuple):
    """Two faces of a `FaceTable` that are the same.

    Attributes:
        first: row of the one that comes first.
        second: row of the other.
        exact: whether their picture files are equal, byte by byte; else they look the same.
    """

    first: int
    second: int
    exact: bool


def exact_copies(table: FaceTable) -> list[Copy]:
    """Faces at the same place of equal picture files.

    Several faces of one labelled picture are none; nor are two faces of a picture that two datasets have.
    """
    by_content: dict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(table.picture):
        if content is not None:
            by_content[content].append(row)
    found = []
    for rows in by_content.values():
        # A picture that is there a thousand times would make a million pairs.
        pairs = combinations(rows, 2) if len(rows) <= _MANY else ((rows[0], row) for row in rows[1:])
        found += [Copy(a, b, True) for a, b in pairs if _is_one_face(table, a, b)]
    return sorted(found)


def _is_one_face(table: FaceTable, a: int, b: int) -> bool:
    if table.store[a] == table.store[b] and table.labels.key[a] == table.labels.key[b]:
        return False
    overlap = _iou(table.box[a].astype(np.float64), table.box[b].astype(np.float64))
    return bool(np.isnan(overlap) or overlap >= _SAME_FACE_IOU)


def _iou(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = max(float(width), 0.0) * max(float(height), 0.0) if width == width else float("nan")
    return common / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def labels_conflict(table: FaceTable, a: int, b: int) -> str:
    """How the labels of two rows contradict each other: "age", "gender", "age and gender" or nothing ("").

    Ages contradict when no age is in both intervals; what is missing contradicts nothing.
    """
    labels = table.labels
    age = bool(labels.age_low[a] > labels.age_high[b] or labels.age_low[b] > labels.age_high[a])
    gender = bool(labels.gender[a] >= 0 and labels.gender[b] >= 0 and labels.gender[a] != labels.gender[b])
    return " and ".join(word for word, there in (("age", age), ("gender", gender)) if there)


def find_copies(table: FaceTable, near: int | None = 6) -> list[Copy]:
    """All faces that are there twice, sorted.

    Args:
        table: the faces.
        near: how many bits the perceptual hashes of pictures that look the same may differ in; ``None`` to look for
            equal files only.
    """
    return exact_copies(table)
