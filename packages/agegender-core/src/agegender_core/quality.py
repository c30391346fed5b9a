"""How much can be made of a face in a frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .faces import Faces, Frame
from .resizing import resize_area
from .stages import looked_at, to_look_at

FloatArray = npt.NDArray[np.float64]

# What is left of 1 as a trait gets worse: the error of the built-in model (in years and in genders, the mean of both
# ratios) on clear faces, divided by its error on such faces. Side, sharpness and the part inside the frame are from
# 1,199 faces of UTKFace that were made small, blurred and cut off; YuNet's score and frontality from the 2,025 faces of
# FairFace that the model was not trained on. scripts/measure_quality.py prints both. HOG's score says little.
_SIDE = ((8, 12, 16, 24, 32, 48, 96), (0.25, 0.44, 0.59, 0.79, 0.86, 0.93, 1.0))
_SHARPNESS = ((0.06, 0.083, 0.1, 0.12, 0.16, 0.19, 0.24, 0.3), (0.15, 0.25, 0.5, 0.6, 0.8, 0.86, 0.94, 1.0))
_INSIDE = ((0.0, 0.5, 0.6, 0.7, 0.8, 0.9), (0.1, 0.65, 0.72, 0.82, 0.93, 1.0))
_FRONTALITY = ((0.0, 0.2, 0.4, 0.6), (0.4, 0.6, 0.85, 1.0))
_YUNET_SCORE = ((0.3, 0.8, 0.87, 0.9, 0.93), (0.25, 0.4, 0.5, 0.7, 1.0))
_HOG_SCORE = ((-1.0, 0.0, 1.0), (0.4, 0.7, 1.0))


class FaceQuality:
    """A stage that fills `Faces.quality` as `face_quality` has it; it stands after the aligner, whose chips it needs.

    Args:
        least: faces of a lower quality are left out, in [0, 1].

    Raises:
        ValueError: `least` is out of its range.
    """

    def __init__(self, least: float = 0.0) -> None:
        if not 0 <= least <= 1:
            raise ValueError(f"min_quality must lie between 0 and 1, got {least}")
        self.least = least

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """Fill quality."""
        height, width = frame.shape[:2]
        part = to_look_at(faces)
        quality = face_quality(part, (width, height)).astype(np.float32)
        faces = looked_at(faces, part.with_columns(quality=quality), "quality")
        assert faces.quality is not None
        return faces[~(faces.quality < self.least)] if self.least > 0 else faces


def face_quality(faces: Faces, size: tuple[int, int] | None = None) -> FloatArray:
    """How much can be made of each face, float64 (n,) in (0, 1].

    1 is a clear face; at 0.5 the errors of age and gender are about twice as large as on clear faces. It is the product
    of what size or sharpness (the worse of the two), detector's score, frontality, and the part of the box that lies
    inside the frame leave over, each measured by itself. What isn't known counts as 1.

    Args:
        faces: boxes, and as far as there are any score, keypoints, landmarks and chips.
        size: width and height of the frame in pixels.
    """
    extent = (faces.xyxy[:, 2:] - faces.xyxy[:, :2]).clip(0).astype(np.float64)
    quality = np.interp(np.nan_to_num(extent.min(axis=1, initial=np.inf)), *_SIDE)
    if faces.chips is not None:
        quality = np.minimum(quality, np.interp(sharpness(faces.chips), *_SHARPNESS))
    if faces.score is not None:
        # A coasted face has none.
        score = np.where(np.isfinite(faces.score), faces.score, np.inf)
        quality = quality * np.interp(score, *(_HOG_SCORE if faces.keypoints is None else _YUNET_SCORE))
    if faces.landmarks is not None:
        quality = quality * np.interp(frontality(faces.landmarks), *_FRONTALITY)
    if size is not None:
        shown = np.minimum(faces.xyxy[:, 2:], size) - np.maximum(faces.xyxy[:, :2], 0)
        part = shown.clip(0).astype(np.float64).prod(axis=1) / np.maximum(extent.prod(axis=1), 1e-9)
        quality = quality * np.interp(part, *_INSIDE)
    return np.asarray(quality, np.float64)


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


def sharpness(chips: npt.NDArray[np.uint8]) -> FloatArray:
    """Fine detail of each face, float64 (n,), >= 0: the mean of its Laplacian over the contrast.

    Args:
        chips: uint8 RGB (n, S, S, 3), compared at 96 x 96 pixels; only their middle half counts.
    """
    found = np.zeros(len(chips))
    for row, chip in enumerate(chips):
        grey = cv2.cvtColor(resize_area(chip, (96, 96)), cv2.COLOR_RGB2GRAY)
        middle = grey[24:72, 24:72].astype(np.float32)
        found[row] = np.abs(cv2.Laplacian(middle, cv2.CV_32F)).mean() / max(float(middle.std()), 1.0)
    return found
