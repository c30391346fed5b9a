"""InsightFace's gender-age network on dlib's chips, each cut again as InsightFace does."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from agegender_core.decoding import Decoder, Prediction
from agegender_core.model_file import open_session, to_metadata
from agegender_core.spec import PreprocessSpec
from agegender_train.baselines.insightface.alignment import cut
from agegender_train.baselines.insightface.conversion import HEADS, LICENCE, NAME, build_insightface
from agegender_train.baselines.insightface.graph import INPUT
from agegender_train.baselines.insightface.points import CHIP_SIDE, MEAN_POINTS, PointFinder


class InsightFace:
    """The network as a predictor that can be evaluated on aligned stores.

    The square that InsightFace cuts reaches a tenth of its side over the upper edge of a chip of 140 px with padding
    0.4, and lies within it else. So no photo is needed; what is beyond the edge is black.

    Args:
        folder: holds MXNet's two files of the network.
        points: finds the five points to cut by.
        threads: of ONNX Runtime within one call.

    Attributes:
        name: "insightface, " and by which points.
        spec: how its chips are cut before it cuts them again.
        metadata: the licence of the weights, as a model file has it.
        fallbacks: in how many chips no points were found; they were cut by `MEAN_POINTS`.

    Raises:
        OSError: a file can't be read.
        ValueError: it is no such network.
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
        # Points in one place give no turn and no scale.
        lost = ~(points.std(axis=1).min(axis=1) > 1e-3)
        self.fallbacks += int(lost.sum())
        points[lost] = MEAN_POINTS
        faces = np.ascontiguousarray(cut(chips, points).transpose(0, 3, 1, 2), np.float32)
        names = list(self._decode.outputs)
        if len(faces) == 0:
            return self._decode({names[0]: np.empty((0, 1)), names[1]: np.empty((0, 2))})
        return self._decode(dict(zip(names, self._session.run(names, {INPUT: faces}), strict=True)))
