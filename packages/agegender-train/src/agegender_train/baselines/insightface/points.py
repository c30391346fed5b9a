"""Finders of five landmarks in an aligned chip, for InsightFace's alignment: YuNet's, MTCNN's, or fixed ones."""

from __future__ import annotations

import os
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core import YuNetDetector
from agegender_core.onnx_runtime import open_session
from agegender_train.baselines.insightface.mxnet_files import read_network
from agegender_train.baselines.insightface.mxnet_to_onnx import INPUT, build_network, to_model

Points = npt.NDArray[np.float64]

MEAN_POINTS = np.array([(47.6, 46.5), (91.2, 46.3), (68.1, 71.2), (51.1, 91.5), (88.1, 91.3)])
"""Pixels: medians in 5,612 FairFace chips of 140 px with padding 0.4; scripts/measure_chip_points.py measures them."""
CHIP_SIDE = 140
FARTHEST = 0.3
"""Largest mean distance of the landmarks from `MEAN_POINTS`, as a part of the chip's side, for the face to be this one.

Of YuNet's faces in FairFace's chips 99 % lie within 0.24.
"""

MTCNN_SIDE = 48
MTCNN_START = np.array([12.0, 7.0, 125.0, 120.0])
"""Pixels, left, top, right, bottom: the mean of MTCNN's boxes in chips, where the search starts."""
MTCNN_ROUNDS = 2


class PointFinder(Protocol):
    """Finds five landmarks in chips: eyes, tip of the nose and corners of the mouth, the left ones first."""

    @property
    def name(self) -> str:
        """Its name in reports."""

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """float64 (n, 5, 2), pixels, from uint8 RGB (n, 140, 140, 3); NaN for a chip without a face."""


class FixedPoints:
    """Finds nothing, so that every face is aligned by `MEAN_POINTS`."""

    name = "fixed points"

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """NaN (n, 5, 2)."""
        return np.full((len(chips), 5, 2), np.nan)


class YuNetPoints:
    """YuNet's landmarks; of several faces those nearest to `MEAN_POINTS`.

    Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence Research 20, 2023).

    Args:
        model: see `agegender_core.YuNetDetector`.
        threshold: the least score of a face.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no YuNet model.
    """

    name = "YuNet's points"

    def __init__(self, model: str | os.PathLike[str] | None = None, threshold: float = 0.6) -> None:
        self._detector = YuNetDetector(model, threshold)

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """The landmarks of each chip; see `PointFinder`."""
        points = np.full((len(chips), 5, 2), np.nan)
        for row, chip in zip(points, chips, strict=True):
            faces = self._detector.find(chip)[1].astype(np.float64)
            if len(faces):
                far = np.linalg.norm(faces - MEAN_POINTS, axis=2).mean(axis=1)
                if far.min() <= FARTHEST * CHIP_SIDE:
                    row[:] = faces[far.argmin()]
        return points


class MTCNNPoints:
    """MTCNN's output network (O-Net) on the middle of a chip, then on the box that it predicted.

    Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks"
    (IEEE Signal Processing Letters 23, 2016). The two networks before this one search pictures for faces, and a
    chip already shows one.

    Args:
        folder: holds ``det3-symbol.json`` and ``det3-NNNN.params``.
        threads: of ONNX Runtime within one call.
        threshold: the least probability of a face.

    Raises:
        OSError: a file can't be read.
        ValueError: it is another network.
    """

    name = "MTCNN's points"

    def __init__(self, folder: str | os.PathLike[str], threads: int = 1, threshold: float = 0.7) -> None:
        symbol, params = read_network(folder, "det3")
        try:
            network, outputs = build_network(symbol, params)
            if len(outputs) != 3:
                raise ValueError(f"it has {len(outputs)} outputs, not points, box and probability")
            self._outputs = outputs
            model = to_model(network, (3, MTCNN_SIDE, MTCNN_SIDE), dict(zip(outputs, ([10], [4], [2]), strict=True)))
        except ValueError as error:
            raise ValueError(f"{folder} holds no output network of MTCNN's: {error}") from None
        self._session = open_session(model.SerializeToString(), threads, str(folder))
        self._threshold = threshold

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """The landmarks of each chip; see `PointFinder`."""
        points = np.full((len(chips), 5, 2), np.nan)
        if len(chips) == 0:
            return points
        boxes = np.tile(MTCNN_START, (len(chips), 1))
        for _ in range(MTCNN_ROUNDS):
            faces = np.stack([_crop(chip, box) for chip, box in zip(chips, boxes, strict=True)])
            found, moves, probability = self._session.run(self._outputs, {INPUT: faces})
            corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
            places = np.stack([found[:, :5], found[:, 5:]], axis=2) * size[:, None] + corner[:, None]
            boxes = _square(boxes + moves * np.tile(size, 2))
        far = np.linalg.norm(places - MEAN_POINTS, axis=2).mean(axis=1)
        kept = (probability[:, 1] >= self._threshold) & (far <= FARTHEST * CHIP_SIDE)
        points[kept] = places[kept]
        return points


def _crop(chip: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """float32 (3, 48, 48), about -1 to 1, black beyond the chip."""
    scale = MTCNN_SIDE / (box[2:] - box[:2])
    move = -box[:2] * scale
    matrix = np.array([[scale[0], 0, move[0]], [0, scale[1], move[1]]])
    face = cv2.warpAffine(chip, matrix, (MTCNN_SIDE, MTCNN_SIDE), flags=cv2.INTER_LINEAR)
    # The network was trained on BGR.
    return np.ascontiguousarray((face[..., ::-1].transpose(2, 0, 1).astype(np.float32) - 127.5) * 0.0078125)


def _square(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Squares with the same centres and the longer side, none smaller than a tenth of the chip or far outside."""
    middle = np.clip((boxes[:, :2] + boxes[:, 2:]) / 2, 0, CHIP_SIDE)
    side = np.clip((boxes[:, 2:] - boxes[:, :2]).max(axis=1), CHIP_SIDE / 10, 2 * CHIP_SIDE)[:, None] / 2
    return np.hstack([middle - side, middle + side])
