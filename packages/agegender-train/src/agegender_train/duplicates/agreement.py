"""Labels of one picture: which are of the same face, whether they agree, and which of them to drop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from agegender_core.boxes import iou
from agegender_train.store.labels import GENDER_MISSING, Labels

CONFLICT = "conflicting labels"

SAME_FACE_IOU = 0.5
"""From this IoU on, two boxes in one picture are of the same face."""

Box: TypeAlias = Sequence[float]
"""Left, top, right, bottom, half-open, in whatever unit; as a label's box it may be ``None`` or NaN for unknown."""


class Label(NamedTuple):
    """Age interval in years and gender (1 male, 0 female); ``None`` for what is missing."""

    age_low: float | None
    age_high: float | None
    gender: int | None

    @classmethod
    def of(cls, labels: Labels, row: int) -> Label:
        """The label of one face."""
        low, high, gender = float(labels.age_low[row]), float(labels.age_high[row]), int(labels.gender[row])
        known, gendered = not math.isnan(low), gender != GENDER_MISSING
        return cls(low if known else None, high if known else None, gender if gendered else None)

    @property
    def detail(self) -> tuple[bool, float]:
        """The larger, the more a label says: with a gender before without, then the narrower age interval."""
        width = math.inf if self.age_low is None or self.age_high is None else self.age_high - self.age_low
        return self.gender is not None, -width


def is_same_face(first: Box | None, second: Box | None) -> bool:
    """Whether two labels of one picture are of the same face: their boxes have an IoU of at least 0.5.

    A label whose box is unknown may be of any face of the picture and counts as the same. That is the safe side: at
    worst an entry is dropped, while the other error keeps labels that contradict each other, or puts one face on two
    sides of a split.
    """
    if first is None or second is None or not all(map(math.isfinite, (*first, *second))):
        return True
    return tuple(first) == tuple(second) or bool(iou([first], [second])[0, 0] >= SAME_FACE_IOU)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def group_by_face(boxes: Sequence[Box | None]) -> list[list[int]]:
    """The labels of one picture by face, given the box of each: groups of places in `boxes`, in their order.

    Labels without a box all go with the largest known one, since the largest face is what they are read as.
    """
    faces: list[list[int]] = []
    known = {place: box for place, box in enumerate(boxes) if box is not None}
    for place, box in known.items():
        for face in faces:
            if is_same_face(known[face[0]], box):
                face.append(place)
                break
        else:
            faces.append([place])
    if unknown := [place for place in range(len(boxes)) if place not in known]:
        if not faces:
            return [unknown]
        largest = max(faces, key=lambda face: max(_area(known[place]) for place in face))
        largest[:] = sorted(largest + unknown)
    return sorted(faces)


def find_conflict(labels: Sequence[Label]) -> str:
    """How labels of one face contradict each other: "age", "gender", "age and gender" or nothing ("").

    Ages contradict when no age lies in all the intervals: 20-29 and 24 agree, 20-29 and 30-39 don't. What is missing
    contradicts nothing. Ancestry isn't compared: the networks don't learn it.
    """
    youngest = max((label.age_low for label in labels if label.age_low is not None), default=-math.inf)
    oldest = min((label.age_high for label in labels if label.age_high is not None), default=math.inf)
    genders = {label.gender for label in labels} - {None}
    return " and ".join(word for word, found in (("age", youngest > oldest), ("gender", len(genders) > 1)) if found)


def labels_to_drop(labels: Sequence[Label]) -> dict[int, tuple[int, bool]]:
    """Which labels of one face to drop: all where they contradict each other, else all but the most detailed.

    Of equally detailed ones the first stays.

    Returns:
        By the place of each label to drop: the place of another one, and whether there is a conflict.
    """
    if len(labels) < 2:
        return {}
    if find_conflict(labels):
        return {place: (0 if place else 1, True) for place in range(len(labels))}
    best = max(range(len(labels)), key=lambda place: (labels[place].detail, -place))
    return {place: (best, False) for place in range(len(labels)) if place != best}
