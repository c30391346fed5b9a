"""InsightFace's gender-age network on dlib's chips, each aligned again as InsightFace does.

Its alignment moves five landmarks to fixed places in a square of 112 pixels: Deng, Guo, Xue and Zafeiriou, "ArcFace"
(CVPR 2019); the similarity is that of Umeyama (IEEE PAMI 13, 1991).
"""

from __future__ import annotations

import os

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.decoding import Decoder, Prediction
from agegender_core.model_file import to_metadata
from agegender_core.onnx_runtime import open_session
from agegender_core.spec import PreprocessSpec
from agegender_train.baselines.insightface.conversion import HEADS, LICENCE, NAME, build_insightface
from agegender_train.baselines.insightface.mxnet_to_onnx import INPUT
from agegender_train.baselines.insightface.points import CHIP_SIDE, MEAN_POINTS, PointFinder

SIDE = 112
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""Pixels: the eyes, the tip of the nose and the corners of the mouth, left in the picture first."""


class InsightFace:
    """The network as a predictor that can be evaluated on aligned stores.

    InsightFace's square reaches a tenth of its side beyond the upper edge of a chip of 140 px with padding 0.4, and
    otherwise lies within it, so the photo isn't needed; what lies beyond the edge is black.

    Args:
        folder: holds MXNet's two files of the network.
        points: finds the five landmarks to align by.
        threads: of ONNX Runtime within one call.

    Attributes:
        name: "insightface, " and the name of `points`.
        spec: how its chips are cut before it aligns them again.
        metadata: the licence of the weights, as in a model file.
        fallbacks: number of chips without landmarks, which were aligned by `MEAN_POINTS`.

    Raises:
        OSError: a file can't be read.
        ValueError: it is another network.
    """

    def __init__(self, folder: str | os.PathLike[str], points: PointFinder, threads: int = 1) -> None:
        self._session = open_session(build_insightface(folder).SerializeToString(), threads, str(folder))
        self._decode = Decoder(HEADS)
        self._points = points
        self.name = f"{NAME}, {points.name}"
        self.spec = PreprocessSpec(input_size=112, chip_size=CHIP_SIDE, chip_padding=0.4, layout="nchw")
        self.metadata = to_metadata({"licence": LICENCE})
        self.fallbacks = 0

    def __repr__(self) -> str:
        return f"InsightFace({self.name!r}, {self.fallbacks} fallbacks)"

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Ages and genders of uint8 RGB (n, 140, 140, 3); ages are whole years.

        Raises:
            ValueError: another shape or dtype.
        """
        if chips.dtype != np.uint8 or chips.ndim != 4 or chips.shape[1:] != (CHIP_SIDE, CHIP_SIDE, 3):
            raise ValueError(f"chips must be uint8 (n, {CHIP_SIDE}, {CHIP_SIDE}, 3), got {chips.dtype} {chips.shape}")
        points = self._points(chips)
        # Landmarks in one place define no rotation and no scale.
        lost = ~(points.std(axis=1).min(axis=1) > 1e-3)
        self.fallbacks += int(lost.sum())
        points[lost] = MEAN_POINTS
        faces = np.ascontiguousarray(cut(chips, points).transpose(0, 3, 1, 2), np.float32)
        names = list(self._decode.outputs)
        if len(faces) == 0:
            return self._decode({names[0]: np.empty((0, 1)), names[1]: np.empty((0, 2))})
        return self._decode(dict(zip(names, self._session.run(names, {INPUT: faces}), strict=True)))


def similarities(points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The similarity transforms that bring five landmarks nearest to the template, by least squares.

    With points as complex numbers, rotation and scale are one factor, that of a linear regression.

    Args:
        points: (n, 5, 2), pixels, in the template's order; no row has all landmarks in one place.

    Returns:
        float64 (n, 2, 3), from the chip's pixels to the template's, as `cv2.warpAffine` takes them.
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
    """Aligns faces as InsightFace does, bilinear, black beyond the chip.

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
