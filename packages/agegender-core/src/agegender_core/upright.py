"""Faces that lean in the picture's plane: how far, and patches in which they stand upright."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .faces import Frame

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def roll(keypoints: npt.NDArray[np.floating]) -> Doubles:
    """How far each face leans, float64 (n,), degrees in (-180, 180]: 0 upright, above 0 clockwise in the picture.

    Args:
        keypoints: (n, 5, 2), pixels, as in `Faces.keypoints`.
    """
    points = keypoints.astype(np.float64)
    across = points[:, 1] - points[:, 0]
    down = (points[:, 3] + points[:, 4] - points[:, 0] - points[:, 1]) / 2
    # The line from eyes to mouth, turned by a right angle, leans as the eyes do; a face in profile has only that one.
    direction = across + np.stack([down[:, 1], -down[:, 0]], axis=1)
    return np.asarray(np.degrees(np.arctan2(direction[:, 1], direction[:, 0])))


@dataclass(frozen=True)
class Upright:
    """A square part of a frame, turned so that a face in it stands upright.

    Attributes:
        image: uint8 RGB (size, size, 3).
        back: float64 (2, 3), takes its pixels to those of the frame.
    """

    image: Frame
    back: Doubles

    @classmethod
    def cut(cls, frame: Frame, centre: npt.NDArray[np.floating], side: float, angle: float, size: int) -> Upright:
        """The square of `side` pixels around `centre`, resized to `size` pixels, of a face that leans by `angle`."""
        middle = float(centre[0]), float(centre[1])
        there: Doubles = np.asarray(cv2.getRotationMatrix2D(middle, angle, size / side), np.float64)
        there[:, 2] += size / 2 - np.asarray(middle)
        # Only what the patch shows: OpenCV's coordinates are of 16 bits, and frames may be larger.
        reach = int(np.ceil(side * 0.75)) + 2
        left, top = (max(0, int(edge) - reach) for edge in middle)
        window = frame[top : max(0, int(middle[1]) + reach), left : max(0, int(middle[0]) + reach)]
        if window.size == 0:
            return cls(np.zeros((size, size, 3), np.uint8), _inverse(there))
        from_window = there.copy()
        from_window[:, 2] += there[:, :2] @ (left, top)
        image = cv2.warpAffine(window, from_window, (size, size), borderMode=cv2.BORDER_REPLICATE)
        return cls(np.asarray(image, np.uint8), _inverse(there))

    @property
    def scale(self) -> float:
        """Pixels of the frame for one of the patch."""
        return float(np.sqrt(abs(np.linalg.det(self.back[:, :2]))))

    def to_frame(self, points: npt.NDArray[np.floating]) -> Floats:
        """Points (..., 2) of the patch, in pixels of the frame."""
        return np.asarray(points @ self.back[:, :2].T + self.back[:, 2], np.float32)


def _inverse(matrix: Doubles) -> Doubles:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)
