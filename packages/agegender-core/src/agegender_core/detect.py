"""Faces in a frame."""

from __future__ import annotations

import numpy as np

from ._native import hog_face_detector
from .faces import Faces, Frame


class HogDetector:
    """dlib's frontal face detector (HOG and five linear filters) as a stage.

    It finds upright faces of about 70 x 70 pixels and more, turned aside by up to some 45 degrees. The boxes are those
    of ``dlib.get_frontal_face_detector()``. One object may be used from many threads at once.

    Args:
        upsample: how often the frame is doubled first, 0..4; each time halves the smallest face that is found and
            takes four times as long.
        threshold: the least score of a face; below 0 finds more faces and more mistakes.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(self, upsample: int = 0, threshold: float = 0.0) -> None:
        if not 0 <= upsample <= 4:
            raise ValueError(f"upsample must be 0..4, got {upsample}")
        if not -10 < threshold < 10:
            raise ValueError(f"threshold must lie between -10 and 10, got {threshold}")
        self.upsample = upsample
        self.threshold = threshold
        native, self.simd = hog_face_detector()
        self._native = native()

    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """Replace `faces` by those found in `frame`, best score first: columns xyxy and score.

        A grey frame (H, W) is taken, too; that is faster and finds nearly the same faces.
        """
        boxes, scores = self._native.detect(frame, self.upsample, self.threshold)
        return Faces(xyxy=boxes.astype(np.float32), score=scores.astype(np.float32))
