"""The labelled face of a large picture, looked for from coarse to fine.

A detector over an image pyramid spends three quarters of its time on faces smaller than twice the smallest. The face
that a photo is about is nearly always larger, so that the picture at half, a quarter or an eighth of its size shows it
as well; only where it doesn't is the next finer one searched, down to the picture itself.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.faces import Faces, Frame, Stage
from agegender_train.preprocessing.choice import CENTRAL_SIDE, choose_faces, is_central

COARSEST_SIDE = 400
"""The search starts where the picture's shorter side still has so many pixels."""

_KNOWN_LEVELS = 2
_TIGHT = 1.1
_SURE_SCORE = 0.2  # of dlib's HOG; below it lie most of its mistakes and few of its faces


def find_largest(frame: Frame, detector: Stage, smallest: float) -> Faces:
    """Faces in `frame`, among them surely the one that the policy "largest" takes; smaller ones may be missing.

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
            if _is_sure(choose_faces(found, None, _size(frame), "largest")):
                break
    if not len(found) or found_at == 0:
        return found
    found = _add_central(frame, found, detector, smallest, found_at)
    return _sharpen(frame, found, detector, smallest, found_at)


def _is_sure(face: Faces) -> bool:
    return face.score is not None and float(face.score[0]) >= _SURE_SCORE


def _add_central(frame: Frame, found: Faces, detector: Stage, smallest: float, level: int) -> Faces:
    """`found` and such faces in the middle as would go before its largest one, but are too small for the level."""
    size = _size(frame)
    side = float(_sides(found).max())
    central = is_central(choose_faces(found, None, size, "largest"), size)[0]
    if central or CENTRAL_SIDE * side >= smallest * (1 << level):
        return found
    centre = np.array(size) / 2
    more = _find_within(frame, np.concatenate([centre - side, centre + side]), detector, level - 1)
    return _joined(found, more[is_central(more, size)])


def _sharpen(frame: Frame, found: Faces, detector: Stage, smallest: float, level: int) -> Faces:
    """`found` with a tighter box of the chosen face, if its box is the smallest that there is at this level.

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
    """Faces in `frame` near the box of `known`, looked for at the scale that suits the box's size.

    Args and result are as in `find_largest`.
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
    height, width = frame.shape[0] & ~1, frame.shape[1] & ~1  # of an even size it is the mean of 2 x 2, which is fast
    return cv2.resize(  # type: ignore[return-value]
        frame[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )


def _enlarged(faces: Faces, scale: int) -> Faces:
    """The boxes of a picture that was reduced `scale` times."""
    return faces.with_columns(xyxy=faces.xyxy * np.float32(scale))


def _sides(faces: Faces) -> npt.NDArray[np.float32]:
    sides: npt.NDArray[np.float32] = faces.xyxy[:, 2:] - faces.xyxy[:, :2]
    return sides
