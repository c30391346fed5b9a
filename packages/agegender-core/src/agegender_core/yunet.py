"""Faces found by a small network instead of HOG."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ._opencv import quiet_opencv
from .faces import Faces, Frame
from .frames import as_frame

# The box that HOG would give, from YuNet's: a square whose side is so many times the geometric mean of the box's side
# and the distance from the eyes to the mouth, and whose centre lies so many sides from the middle between the box's
# centre and that of eyes and mouth. Medians over 2,262 faces that both detectors find in FairFace, UTKFace, FG-NET and
# some photos; HOG's own sides are steps of 20 %.
_SIDE = 1.458
_CENTRE = np.array([-0.012, -0.042])


class YuNetDetector:
    """OpenCV's YuNet as a stage: finds more faces than HOG does, also small, turned and half-hidden ones.

    Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence Research 20, 2023). Its
    boxes are turned into the squares that HOG would give, because the landmark model has learnt from those. One object
    may be used from many threads at once: each running call has a network of its own.

    Args:
        model: ``face_detection_yunet_2023mar.onnx`` of OpenCV Zoo.
        threshold: the least score of a face, between 0 and 1; lower finds more faces and more mistakes.
        max_side: larger frames are reduced for the search until their longer side has so many pixels. Faces are found
            from about 10 pixels on in the reduced frame.

    Raises:
        ValueError: an option is out of its range, or the file is no YuNet model.
        OSError: the model file can't be read.
    """

    def __init__(self, model: str | os.PathLike[str], threshold: float = 0.6, max_side: int = 1280) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {threshold}")
        if not 64 <= max_side <= 8192:
            raise ValueError(f"max_side must be in 64..8192 pixels, got {max_side}")
        self.model_path = Path(model)
        self._made_of = self.model_path.absolute(), threshold, max_side
        self.threshold = threshold
        self.max_side = max_side
        if self.model_path.is_dir():
            raise IsADirectoryError(f"{self.model_path} is a folder, not a model file")
        if not self.model_path.exists():
            raise FileNotFoundError(f"no model file at {self.model_path}")
        self._bytes = self.model_path.read_bytes()
        self.model_sha256 = hashlib.sha256(self._bytes).hexdigest()
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        try:
            with quiet_opencv():
                network = self._make()
                _detect(network, np.zeros((64, 64, 3), np.uint8))
        except cv2.error:
            raise ValueError(
                f"{self.model_path} is no YuNet model: take face_detection_yunet_2023mar.onnx of OpenCV Zoo"
            ) from None
        self._idle.append(network)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    def __call__(self, frame: Frame, faces: Faces, *, bgr: bool = False) -> Faces:
        """Replace `faces` by those found in `frame` (uint8 RGB), best score first: columns xyxy and score.

        `bgr`: see `Pipeline`.
        """
        frame = as_frame(frame, bgr)
        scale = min(1.0, self.max_side / max(frame.shape[:2]))
        small = frame
        if scale < 1:
            size = [max(1, round(side * scale)) for side in (frame.shape[1], frame.shape[0])]
            small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        with self._lock:
            network = self._idle.pop() if self._idle else None
        if network is None:
            network = self._make()
        try:
            found = _detect(network, cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        finally:
            with self._lock:
                self._idle.append(network)
        found = found[np.argsort(-found[:, 14], kind="stable")]
        return Faces(_hog_boxes(found[:, :14] / scale), np.ascontiguousarray(found[:, 14], np.float32))

    def _make(self) -> Any:
        empty = np.empty(0, np.uint8)
        with quiet_opencv():
            return cv2.FaceDetectorYN.create(
                "onnx", np.frombuffer(self._bytes, np.uint8), empty, (64, 64), self.threshold
            )


def _detect(network: Any, bgr: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """(n, 15): left, top, width, height, five points from the right eye to the left corner of the mouth, score."""
    network.setInputSize((bgr.shape[1], bgr.shape[0]))
    _, found = network.detect(bgr)
    rows: npt.NDArray[np.float32] = np.empty((0, 15), np.float32) if found is None else found
    return rows


def _hog_boxes(found: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    corner, size, points = found[:, :2], found[:, 2:4], found[:, 4:14].reshape(-1, 5, 2)
    eyes, mouth = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1)
    side = _SIDE * np.sqrt(np.sqrt(size.clip(1).prod(axis=1)) * np.linalg.norm(eyes - mouth, axis=1).clip(1))[:, None]
    centre = (corner + size / 2 + (eyes + mouth) / 2) / 2 + _CENTRE * side
    # Whole pixels, as HOG's boxes have them. The medians were taken of dlib's rectangles, which end a pixel earlier.
    boxes: npt.NDArray[np.float32] = np.round(np.hstack([centre - side / 2, centre + side / 2])).astype(np.float32)
    boxes[:, 2:] += 1
    return boxes
