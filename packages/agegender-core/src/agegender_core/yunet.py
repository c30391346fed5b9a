"""Faces found by a small network instead of HOG."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .faces import Faces, Frame
from .frames import as_frame
from .onnx_runtime import ModelFileError, open_session

Floats = npt.NDArray[np.float32]

YUNET_PATH = Path(__file__).parent / "models" / "detectors" / "yunet.onnx"
"""YuNet, as it comes with the package: OpenCV Zoo's of March 2023, whose input may have any size."""

# The box that HOG would give, from YuNet's: a square whose side is so many times the geometric mean of the box's side
# and the distance from the eyes to the mouth, and whose centre lies so many sides from the middle between the box's
# centre and that of eyes and mouth. Medians over 2,262 faces that both detectors find in FairFace, UTKFace, FG-NET and
# some photos; HOG's own sides are steps of 20 %.
_SIDE = 1.458
_CENTRE = np.array([-0.012, -0.042])

# As OpenCV's FaceDetectorYN has them: cells of so many pixels, sides that the coarsest divides, and its own defaults.
_STRIDES = (8, 16, 32)
_OVERLAP, _MOST = 0.3, 5000
_PARTS = ("cls", "obj", "bbox", "kps")
# Of OpenCV Zoo's own file, which is the same network with a fixed input.
_ZOO_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


class YuNetDetector:
    """YuNet as a stage: finds more faces than HOG does, also small, turned and half-hidden ones.

    Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence Research 20, 2023), run by
    ONNX Runtime; boxes, points and scores are those of OpenCV's ``FaceDetectorYN``. The boxes are turned into the
    squares that HOG would give, because the landmark model has learnt from those. One object may be used from many
    threads at once.

    Args:
        model: a YuNet model file with an input of any size, or ``face_detection_yunet_2023mar.onnx`` of OpenCV Zoo; by
            default the one that comes with the package.
        threshold: the least score of a face, between 0 and 1; lower finds more faces and more mistakes.
        max_side: larger frames are reduced for the search until their longer side has so many pixels. Faces are found
            from about 10 pixels on in the reduced frame.
        threads: threads of ONNX Runtime within one call.

    Raises:
        ValueError: an option is out of its range, or the file is no YuNet model.
        OSError: the model file can't be read.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        threshold: float = 0.6,
        max_side: int = 1280,
        threads: int = 1,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {threshold}")
        if not 64 <= max_side <= 8192:
            raise ValueError(f"max_side must be in 64..8192 pixels, got {max_side}")
        self.model_path = YUNET_PATH if model is None else Path(model)
        self._made_of = self.model_path.absolute(), threshold, max_side, threads
        self.threshold = threshold
        self.max_side = max_side
        if self.model_path.is_dir():
            raise IsADirectoryError(f"{self.model_path} is a folder, not a model file")
        if not self.model_path.exists():
            raise FileNotFoundError(f"no model file at {self.model_path}")
        content = self.model_path.read_bytes()
        self.model_sha256 = hashlib.sha256(content).hexdigest()
        if self.model_sha256 == _ZOO_SHA256:
            content = YUNET_PATH.read_bytes()
        refusal = f"{self.model_path} is no YuNet model: take face_detection_yunet_2023mar.onnx of OpenCV Zoo"
        try:
            self._session = open_session(content, threads)
        except ModelFileError:
            raise ValueError(refusal) from None
        self._outputs = [f"{part}_{stride}" for part in _PARTS for stride in _STRIDES]
        inputs = self._session.get_inputs()
        if {output.name for output in self._session.get_outputs()} != set(self._outputs) or len(inputs) != 1:
            raise ValueError(refusal)
        if any(isinstance(side, int) for side in inputs[0].shape[2:]):
            raise ValueError(
                f"{self.model_path} takes pictures of one size only, {inputs[0].shape}: give no model file"
            )
        self._input = inputs[0].name

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
        boxes, points, scores = self.find(small)
        return Faces(_hog_boxes(boxes / np.float32(scale), points / np.float32(scale)), scores)

    def find(self, frame: Frame) -> tuple[Floats, Floats, Floats]:
        """What YuNet itself says of `frame`, as large as it is, best score first.

        Returns:
            float32 (n, 4), boxes of the faces: left, top, right, bottom; float32 (n, 5, 2), the eye on the picture's
            left, that on its right, the tip of the nose, the corners of the mouth, left and right; float32 (n,),
            scores in [threshold, 1]. Pixels of `frame`.
        """
        height, width = frame.shape[:2]
        down, right = -height % _STRIDES[-1], -width % _STRIDES[-1]
        padded = cv2.copyMakeBorder(frame, 0, down, 0, right, cv2.BORDER_CONSTANT)
        blob = cv2.dnn.blobFromImage(padded, swapRB=True)
        found = dict(zip(self._outputs, self._session.run(self._outputs, {self._input: blob}), strict=True))
        columns = padded.shape[1]
        each = [
            self._decode(columns, stride, *(found[f"{part}_{stride}"][0] for part in _PARTS)) for stride in _STRIDES
        ]
        boxes, points, scores = (np.concatenate(parts) for parts in zip(*each, strict=True))
        # Whole pixels, as FaceDetectorYN compares them.
        corner = np.trunc(boxes[:, :2])
        whole = np.hstack([corner, np.trunc(boxes[:, 2:] - boxes[:, :2])]).astype(np.float64)
        kept = cv2.dnn.NMSBoxes(whole, scores, self.threshold, _OVERLAP, top_k=_MOST)  # type: ignore[arg-type]
        rows = np.asarray(kept, np.intp).reshape(-1)
        return boxes[rows], points[rows], scores[rows]

    def _decode(
        self, width: int, stride: int, cls: Floats, obj: Floats, box: Floats, kps: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Boxes, points and scores of the cells above the threshold, as FaceDetectorYN's postProcess has them."""
        scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        (rows,) = np.nonzero(scores >= np.float32(self.threshold))
        down, across = np.divmod(rows, width // stride)
        cell = np.stack([across, down], axis=1).astype(np.float32)
        centre = (cell + box[rows, :2]) * np.float32(stride)
        half = np.exp(box[rows, 2:]) * np.float32(stride / 2)
        points = (cell[:, None] + kps[rows].reshape(-1, 5, 2)) * np.float32(stride)
        return np.hstack([centre - half, centre + half]), points, scores[rows]


def _hog_boxes(boxes: Floats, points: Floats) -> Floats:
    size = boxes[:, 2:] - boxes[:, :2]
    eyes, mouth = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1)
    side = _SIDE * np.sqrt(np.sqrt(size.clip(1).prod(axis=1)) * np.linalg.norm(eyes - mouth, axis=1).clip(1))[:, None]
    centre = (boxes[:, :2] + size / 2 + (eyes + mouth) / 2) / 2 + _CENTRE * side
    # Whole pixels, as HOG's boxes have them. The medians were taken of dlib's rectangles, which end a pixel earlier.
    squares: Floats = np.round(np.hstack([centre - side / 2, centre + side / 2])).astype(np.float32)
    squares[:, 2:] += 1
    return squares
