"""The points that MTCNN's last network finds, which InsightFace's own faces were cut by."""

from __future__ import annotations

import os

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.model_file import open_session
from agegender_train.baselines.insightface.conversion import read_network
from agegender_train.baselines.insightface.graph import INPUT, build_network, to_model
from agegender_train.baselines.insightface.points import CHIP_SIDE, FARTHEST, MEAN_POINTS, Points

SIDE = 48
START = np.array([12.0, 7.0, 125.0, 120.0])
"""Pixels, left, top, right, bottom: MTCNN's box of a face in a chip, on average: where it is sought first."""
ROUNDS = 2


class MTCNNPoints:
    """MTCNN's output network (O-Net) on the middle of a chip, then on the box that it gave itself.

    Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks"
    (IEEE Signal Processing Letters 23, 2016). The two networks before this one seek faces in pictures, and a chip is
    about one that was found.

    Args:
        folder: holds ``det3-symbol.json`` and ``det3-NNNN.params``.
        threads: of ONNX Runtime within one call.
        threshold: the least probability of a face.

    Raises:
        OSError: a file can't be read.
        ValueError: it is no such network.
    """

    name = "MTCNN's points"

    def __init__(self, folder: str | os.PathLike[str], threads: int = 1, threshold: float = 0.7) -> None:
        symbol, params = read_network(folder, "det3")
        try:
            network, outputs = build_network(symbol, params)
            if len(outputs) != 3:
                raise ValueError(f"it has {len(outputs)} outputs, not points, box and probability")
            self._outputs = outputs
            model = to_model(network, (3, SIDE, SIDE), dict(zip(outputs, ([10], [4], [2]), strict=True)))
        except ValueError as error:
            raise ValueError(f"{folder} holds no output network of MTCNN's: {error}") from None
        self._session = open_session(model.SerializeToString(), threads, str(folder))
        self._threshold = threshold

    def __call__(self, chips: npt.NDArray[np.uint8]) -> Points:
        """The points of each chip; see `PointFinder`."""
        points = np.full((len(chips), 5, 2), np.nan)
        if len(chips) == 0:
            return points
        boxes = np.tile(START, (len(chips), 1))
        for _ in range(ROUNDS):
            faces = np.stack([_crop(chip, box) for chip, box in zip(chips, boxes, strict=True)])
            found, moves, probability = self._session.run(self._outputs, {INPUT: faces})
            corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
            places = np.stack([found[:, :5], found[:, 5:]], axis=2) * size[:, None] + corner[:, None]
            boxes = _square(boxes + moves * np.tile(size, 2))
        far = np.linalg.norm(places - MEAN_POINTS, axis=2).mean(axis=1)
        sure = (probability[:, 1] >= self._threshold) & (far <= FARTHEST * CHIP_SIDE)
        points[sure] = places[sure]
        return points


def _crop(chip: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """float32 (3, 48, 48) about [-1, 1], black beyond the chip."""
    scale = SIDE / (box[2:] - box[:2])
    move = -box[:2] * scale
    matrix = np.array([[scale[0], 0, move[0]], [0, scale[1], move[1]]])
    face = cv2.warpAffine(chip, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    # The order of the colours is that of the network's training.
    return np.ascontiguousarray((face[..., ::-1].transpose(2, 0, 1).astype(np.float32) - 127.5) * 0.0078125)


def _square(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Squares about the same middles, with the longer side, none smaller than a tenth of the chip or far outside."""
    middle = np.clip((boxes[:, :2] + boxes[:, 2:]) / 2, 0, CHIP_SIDE)
    side = np.clip((boxes[:, 2:] - boxes[:, :2]).max(axis=1), CHIP_SIDE / 10, 2 * CHIP_SIDE)[:, None] / 2
    return np.hstack([middle - side, middle + side])
