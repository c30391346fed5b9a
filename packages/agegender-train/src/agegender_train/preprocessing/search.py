"""The labelled face of a picture: which of the detector's faces it is, and large pictures searched from coarse to fine.

A detector over an image pyramid spends three quarters of its time on faces smaller than twice the smallest. The face
that a photo is about is nearly always larger, so that the picture at half, a quarter or an eighth of its size shows it
as well; only where it doesn't is the next finer one searched, down to the picture itself.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.boxes import iou
from agegender_core.faces import Faces, Frame, Stage

Policy: TypeAlias = Literal["largest", "one", "all"]

CENTRAL_SIDE = 0.5
"""A face in the middle is preferred to a larger one elsewhere, if its side is at least this part of the other's."""

_KNOWN_FACE_IOU = 0.3  # looser than between two known boxes: detectors and datasets measure a face differently

COARSEST_SIDE = 400
"""Pixels. The search starts at the coarsest level whose shorter side has at least so many."""

_KNOWN_LEVELS = 2
_TIGHT = 1.1
_CONFIDENT_SCORE = 0.2  # of dlib's HOG; below it are most of its false detections and few of its faces


class SeveralFacesError(ValueError):
    """The policy is "one", several faces were found, and nothing says which is meant; `count` is how many."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} faces")
        self.count = count


def choose_faces(found: Faces, known: Faces | None, size: tuple[int, int], policy: Policy) -> Faces:
    """The rows of `found` that a label is about: none, one, or with the policy "all" any number.

    With a known box, whatever the policy, it is the face that overlaps it most, if their IoU is at least 0.3: another
    face is another person. Without one, "largest" takes the largest face of those that contain the picture's centre and
    have at least half the side of the largest of all, else the largest of all; "one" takes the only one; "all" takes
    every face, the largest first.

    Args:
        found: the detector's faces, in pixels.
        known: the dataset's box of the face: one row, in pixels.
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
        return found[best : best + 1] if overlap[best] >= _KNOWN_FACE_IOU else found[:0]
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
    """Which of `faces` contain the centre of a picture of that width and height: bool (n,)."""
    x, y = size[0] / 2, size[1] / 2
    left, top, right, bottom = faces.xyxy.T
    central: npt.NDArray[np.bool_] = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    return central


def _area(faces: Faces) -> npt.NDArray[Any]:
    left, top, right, bottom = faces.xyxy.T
    area: npt.NDArray[Any] = (right - left) * (bottom - top)
    return area


def find_largest(frame: Frame, detector: Stage, smallest: float) -> Faces:
    """Faces in `frame`, including the one that the policy "largest" takes; smaller ones may be missing.

    Args:
        frame: uint8 RGB (H, W, 3).
        detector: finds faces from `smallest` pixels on.
        smallest: side in pixels.

    Returns:
        `xyxy` and `score`, in pixels of `frame`.
    """
    levels = [frame]
    while min(levels[-1].shape[:2]) >= 2 * COARSEST_SIDE:
        levels.append(_half(levels[-1]))
    if len(levels) == 1:
        return detector(frame, Faces.empty())
    found, found_at = Faces.empty(), 0
    for level in reversed(range(len(levels))):
        finer = detector(levels[level], Faces.empty())
        if len(finer):
            found, found_at = _enlarged(finer, 1 << level), level
            if _is_confident(choose_faces(found, None, _size(frame), "largest")):
                break
    if not len(found) or found_at == 0:
        return found
    found = _add_central(frame, found, detector, smallest, found_at)
    return _sharpen(frame, found, detector, smallest, found_at)


def _is_confident(face: Faces) -> bool:
    return face.score is not None and float(face.score[0]) >= _CONFIDENT_SCORE


def _add_central(frame: Frame, found: Faces, detector: Stage, smallest: float, level: int) -> Faces:
    """`found`, and faces in the middle that are preferred to its largest one but too small for the level."""
    size = _size(frame)
    side = float(_sides(found).max())
    central = is_central(choose_faces(found, None, size, "largest"), size)[0]
    if central or CENTRAL_SIDE * side >= smallest * (1 << level):
        return found
    centre = np.array(size) / 2
    more = _find_within(frame, np.concatenate([centre - side, centre + side]), detector, level - 1)
    return _joined(found, more[is_central(more, size)])


def _sharpen(frame: Frame, found: Faces, detector: Stage, smallest: float, level: int) -> Faces:
    """`found`, or the chosen face with a tighter box, if its box is the smallest possible at this level.

    Such a box may be half as large again as the face, which is bad for the landmarks.
    """
    best = choose_faces(found, None, _size(frame), "largest")
    side = float(_sides(best).max())
    if side > _TIGHT * smallest * (1 << level):
        return found
    near = _find_within(frame, best.xyxy[0] + np.array([-side, -side, side, side]) / 2, detector, level - 1)
    tight = choose_faces(near, best, _size(frame), "largest")
    return tight if len(tight) else found


def _joined(first: Faces, second: Faces) -> Faces:
    assert first.score is not None
    assert second.score is not None
    return Faces(np.concatenate([first.xyxy, second.xyxy]), np.concatenate([first.score, second.score]))


def find_known(frame: Frame, known: Faces, detector: Stage, smallest: float) -> Faces:
    """Faces in `frame` near the box of `known`, searched at the scale that suits the box's size.

    Args:
        frame: uint8 RGB (H, W, 3).
        known: the dataset's box of the face: one row, in pixels.
        detector: finds faces from `smallest` pixels on.
        smallest: side in pixels.

    Returns:
        `xyxy` and `score`, in pixels of `frame`.
    """
    size = _size(frame)
    if min(size) < 2 * COARSEST_SIDE:
        return detector(frame, Faces.empty())
    side = float(np.sqrt(max(_sides(known)[0].prod(), 1)))
    coarsest = max(0, int(np.log2(side / (2 * smallest))))
    around = known.xyxy[0] + np.array([-side, -side, side, side])
    for level in range(coarsest, max(coarsest - _KNOWN_LEVELS, -1), -1):
        found = _find_within(frame, around, detector, level)
        if len(choose_faces(found, known, size, "largest")):
            return found
    return Faces.empty()


def _find_within(frame: Frame, region: npt.NDArray[np.floating], detector: Stage, level: int) -> Faces:
    """The faces in a region (left, top, right, bottom) of `frame`, which is halved `level` times."""
    step = 1 << level
    bounds = np.array(_size(frame))
    left, top = (int(edge) for edge in np.clip(region[:2] // step * step, 0, bounds))
    right, bottom = (int(edge) for edge in np.clip(region[2:], 0, bounds))
    if min(right - left, bottom - top) < step:
        return Faces.empty()
    part = frame[top:bottom, left:right]
    for _ in range(level):
        part = _half(part)
    found = _enlarged(detector(np.ascontiguousarray(part), Faces.empty()), step)
    return found.with_columns(xyxy=found.xyxy + np.array([left, top, left, top], np.float32))


def _size(frame: Frame) -> tuple[int, int]:
    return frame.shape[1], frame.shape[0]


def _half(frame: Frame) -> Frame:
    height, width = frame.shape[0] & ~1, frame.shape[1] & ~1  # for an even size it is the mean of 2 x 2, which is fast
    return cv2.resize(  # type: ignore[return-value]
        frame[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )


def _enlarged(faces: Faces, scale: int) -> Faces:
    """The boxes of a picture that was reduced `scale` times."""
    return faces.with_columns(xyxy=faces.xyxy * np.float32(scale))


def _sides(faces: Faces) -> npt.NDArray[np.float32]:
    sides: npt.NDArray[np.float32] = faces.xyxy[:, 2:] - faces.xyxy[:, :2]
    return sides
