"""How far a face in a frame can be trusted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .faces import Faces

FloatArray = npt.NDArray[np.float64]

_FULL_SIDE = 96.0
_LEAST = 0.01


def face_quality(faces: Faces) -> FloatArray:
    """How far each face can be trusted, float64 (n,) in (0, 1]: size x score x frontality.

    - size: the shorter side of the box over 96 pixels, at most 1: below that the network sees an enlarged picture;
    - score: a quarter at a score of 0 or less, full from 1 up;
    - frontality: 1 with the nose in the middle between the eyes, falling to 0 where it is below an eye's centre.

    A factor whose column is missing counts as 1.
    """
    sides = (faces.xyxy[:, 2:] - faces.xyxy[:, :2]).min(axis=1, initial=np.inf).astype(np.float64)
    quality = np.clip(sides / _FULL_SIDE, 0.0, 1.0)
    if faces.score is not None:
        quality *= 0.25 + 0.75 * np.clip(np.nan_to_num(faces.score, nan=1.0), 0.0, 1.0)
    if faces.landmarks is not None:
        quality *= frontality(faces.landmarks)
    return np.asarray(np.maximum(quality, _LEAST))


def frontality(landmarks: npt.NDArray[np.floating]) -> FloatArray:
    """How frontal each face is, float64 (n,): 1 with the nose in the middle between the eyes, 0 below an eye's centre.

    Args:
        landmarks: (n, 5, 2), pixels, in dlib's order; NaN gives NaN.
    """
    points = landmarks.astype(np.float64)
    right, left, nose = points[:, 0:2].mean(axis=1), points[:, 2:4].mean(axis=1), points[:, 4]
    across = right - left
    length = np.maximum(np.square(across).sum(axis=1), 1e-9)
    where = ((nose - left) * across).sum(axis=1) / length
    return np.asarray(np.clip(1.0 - 2.0 * np.abs(where - 0.5), 0.0, 1.0))
