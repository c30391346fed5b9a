"""Who finds eyes, nose and mouth in an aligned chip: five points, left in the picture first, or none."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core._opencv import quiet_opencv

Points = npt.NDArray[np.float64]

MEAN_POINTS = np.array([(47.6, 46.5), (91.2, 46.3), (68.1, 71.2), (51.1, 91.5), (88.1, 91.3)])
"""Pixels: medians in 5,612 FairFace chips of 140 px with padding 0.4; scripts/measure_chip_points.py measures them."""
CHIP_SIDE = 140
FARTHEST = 0.3
"""How far the points may lie from their mean places, on average and in parts of the chip's side, to be this face's.

Of all that YuNet finds in FairFace's chips 99 % lie within 0.24.
"""


class PointFinder(Protocol):
    """What finds the points."""

    @property
    def name(self) -> str:
        """What it is called in reports."""

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """float64 (n, 5, 2), pixels, of uint8 RGB (n, 140, 140, 3); NaN for a chip in which there is no face."""


class FixedPoints:
    """Finds nothing: every face is cut by `MEAN_POINTS`."""

    name = "fixed points"

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """NaN (n, 5, 2)."""
        return np.full((len(chips), 5, 2), np.nan)


class YuNetPoints:
    """The points that YuNet gives with a face; of several faces those nearest to `MEAN_POINTS`.

    Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence Research 20, 2023).

    Args:
        model: ``face_detection_yunet_2023mar.onnx`` of OpenCV Zoo.
        threshold: the least score of a face.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no YuNet model.
    """

    name = "YuNet's points"

    def __init__(self, model: str | os.PathLike[str], threshold: float = 0.6) -> None:
        path = Path(model)
        if not path.is_file():
            raise FileNotFoundError(f"no YuNet model at {path}")
        self._lock = threading.Lock()
        try:
            content = np.frombuffer(path.read_bytes(), np.uint8)
            with quiet_opencv():
                self._network: Any = cv2.FaceDetectorYN.create(
                    "onnx", content, np.empty(0, np.uint8), (CHIP_SIDE, CHIP_SIDE), threshold
                )
                self(np.zeros((1, CHIP_SIDE, CHIP_SIDE, 3), np.uint8))
        except cv2.error:
            raise ValueError(
                f"{path} is no YuNet model: take face_detection_yunet_2023mar.onnx of OpenCV Zoo"
            ) from None

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """The points of each chip; see `PointFinder`."""
        points = np.full((len(chips), 5, 2), np.nan)
        for row, chip in zip(points, chips, strict=True):
            with self._lock:
                _, found = self._network.detect(cv2.cvtColor(chip, cv2.COLOR_RGB2BGR))
            if found is not None:
                faces = np.asarray(found, np.float64)[:, 4:14].reshape(-1, 5, 2)
                far = np.linalg.norm(faces - MEAN_POINTS, axis=2).mean(axis=1)
                if far.min() <= FARTHEST * CHIP_SIDE:
                    row[:] = faces[far.argmin()]
        return points
