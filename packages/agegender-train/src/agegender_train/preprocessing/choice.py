"""Which of the faces found in a picture its label is about."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from agegender_core.boxes import iou
from agegender_core.faces import Faces

Policy: TypeAlias = Literal["largest", "one", "all"]

CENTRAL_SIDE = 0.5
"""A face in the middle goes before a larger one elsewhere, unless its side is less than so much of the other's."""

_SAME_FACE_IOU = 0.3


class SeveralFacesError(ValueError):
    """The policy is "one", more than one face was found, and nothing says which one is meant; `count` is how many."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} faces")
        self.count = count


def choose_faces(found: Faces, known: Faces | None, size: tuple[int, int], policy: Policy) -> Faces:
    """The rows of `found` that a label is about: none, one, or with the policy "all" any number.

    With a known box, whatever the policy, it is the face that overlaps it most, if their IoU is at least 0.3: another
    face is another person. Without one, "largest" takes the largest face of those that hold the picture's centre and
    have at least half the side of the largest of all, else the largest of all; "one" takes the only one; "all" takes
    every face, the largest first.

    Args:
        found: the detector's faces, in pixels.
        known: where the dataset says that the face is: one row, in pixels.
        size: width and height of the picture in pixels.
        policy: what to do with several faces.

    Raises:
        SeveralFacesError: with the policy "one".
    """
    if not len(found):
        return found
    if known is not None:
        overlap = iou(found.xyxy, known.xyxy)[:, 0]
        best = int(np.argmax(overlap))
        return found[best : best + 1] if overlap[best] >= _SAME_FACE_IOU else found[:0]
    if len(found) == 1:
        return found
    if policy == "all":
        return found[np.argsort(-_area(found), kind="stable")]
    if policy == "one":
        raise SeveralFacesError(len(found))
    area = _area(found)
    central = is_central(found, size) & (area >= CENTRAL_SIDE**2 * area.max())
    best = int(np.argmax(np.where(central, area + area.max(), area)))
    return found[best : best + 1]


def is_central(faces: Faces, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which of `faces` hold the centre of a picture of that width and height: bool (n,)."""
    x, y = size[0] / 2, size[1] / 2
    left, top, right, bottom = faces.xyxy.T
    central: npt.NDArray[np.bool_] = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    return central


def _area(faces: Faces) -> npt.NDArray[Any]:
    left, top, right, bottom = faces.xyxy.T
    area: npt.NDArray[Any] = (right - left) * (bottom - top)
    return area
