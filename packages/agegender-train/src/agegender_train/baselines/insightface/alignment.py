"""The cut that InsightFace's networks know: five points of the face moved to fixed places in a square of 112 pixels.

Deng, Guo, Xue and Zafeiriou, "ArcFace" (CVPR 2019); the similarity is that of Umeyama (IEEE PAMI 13, 1991).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 112
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""Pixels: the eyes, the tip of the nose and the corners of the mouth, left in the picture first."""


def similarities(points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The turns, scalings and moves that bring five points nearest to the template, in the mean of squares.

    Points as complex numbers make it one line: the best factor of turning and scaling is that of linear regression.

    Args:
        points: (n, 5, 2), pixels, in the template's order; no row has all points in one place.

    Returns:
        float64 (n, 2, 3), from the picture's pixels to the template's; what `cv2.warpAffine` takes.
    """
    theirs = TEMPLATE @ (1, 1j)
    ours = np.asarray(points, np.float64) @ (1, 1j)
    middle = ours.mean(axis=1, keepdims=True)
    away = ours - middle
    factor = (away.conj() * (theirs - theirs.mean())).sum(axis=1) / np.square(np.abs(away)).sum(axis=1)
    move = theirs.mean() - factor * middle[:, 0]
    rows = [[factor.real, -factor.imag, move.real], [factor.imag, factor.real, move.imag]]
    return np.moveaxis(np.array(rows), 2, 0)


def cut(chips: npt.NDArray[np.uint8], points: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Cuts the faces as InsightFace does, bilinear, black where the chip ends.

    Args:
        chips: uint8 RGB (n, S, S, 3).
        points: (n, 5, 2), pixels of the chips, as for `similarities`.

    Returns:
        uint8 RGB (n, 112, 112, 3).
    """
    faces = np.empty((len(chips), SIDE, SIDE, 3), np.uint8)
    for chip, matrix, face in zip(chips, similarities(points), faces, strict=True):
        cv2.warpAffine(chip, matrix, (SIDE, SIDE), dst=face, flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))
    return faces
