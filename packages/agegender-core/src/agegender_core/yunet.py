"""Faces found by a small network instead of HOG."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ._opencv import quiet_opencv
from .faces import Faces, Frame


class YuNetDetector:
    """OpenCV's YuNet as a stage: finds more and smaller faces than HOG, turned ones too.

    Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence Research, 2023). One object
    may be used from many threads at once; each running call has a network of its own.

    Args:
        model: ``face_detection_yunet_2023mar.onnx`` of OpenCV Zoo.
        threshold: the least score of a face, in 0..1.
        max_side: larger frames are reduced for the search until their longer side has so many pixels.

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
        self.threshold = threshold
        self.max_side = max_side
        self._bytes = self.model_path.read_bytes()
        self.model_sha256 = hashlib.sha256(self._bytes).hexdigest()
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._give_back(self._make())

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """Replace `faces` by those found in `frame`, best score first: columns xyxy and score."""
        scale = min(1.0, self.max_side / max(frame.shape[:2]))
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        if scale < 1:
            bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with self._lock:
            network = self._idle.pop() if self._idle else None
        network = network or self._make()
        try:
            network.setInputSize((bgr.shape[1], bgr.shape[0]))
            _, found = network.detect(bgr)
        finally:
            self._give_back(network)
        if found is None:
            return Faces.empty()
        found = found[np.argsort(-found[:, 14], kind="stable")]
        box = found[:, :4] / scale
        box[:, 2:] += box[:, :2]
        return Faces(box.astype(np.float32), found[:, 14].astype(np.float32))

    def _give_back(self, network: Any) -> None:
        with self._lock:
            self._idle.append(network)

    def _make(self) -> Any:
        try:
            with quiet_opencv():
                return cv2.FaceDetectorYN.create(
                    "onnx", np.frombuffer(self._bytes, np.uint8), np.empty(0, np.uint8), (320, 320), self.threshold
                )
        except cv2.error:
            raise ValueError(
                f"{self.model_path} is no YuNet model: take face_detection_yunet_2023mar.onnx of OpenCV Zoo"
            ) from None
