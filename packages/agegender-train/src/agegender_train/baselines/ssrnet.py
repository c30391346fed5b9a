"""The SSR-Net authors' two networks, one for the age and one for the gender, as one predictor."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.model_file import to_metadata
from agegender_core.predict import Prediction
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec

SPEC = PreprocessSpec(input_size=64, color="bgr")
LICENCE = "Apache-2.0, as the authors' repository; trained on IMDB-WIKI (research)"
BORDER = 15
"""Pixels that are added to a chip of 140 on each side.

The authors' margin of 0.4 is one of a detector's box, whose side is 1.21 times that of dlib's face (median of 767 faces
of UTKFace). That is 0.59 of the face's, and chips have 0.4.
"""
_SIDE = SPEC.chip_size + 2 * BORDER
_PADDING = (_SIDE / SPEC.chip_size * (1 + 2 * SPEC.chip_padding) - 1) / 2
_WIDER = replace(SPEC, chip_size=_SIDE, chip_padding=_PADDING, margin=_PADDING)


class SSRNetAuthors:
    """Weights that the authors of SSR-Net published; see `ssrnet_authors` for the files.

    Yang, Huang, Lin, Hsiu and Chuang, "SSR-Net: A Compact Soft Stagewise Regression Network for Age Estimation"
    (IJCAI 2018). They cut faces as the detector's box says, with a margin of 0.4 of it. Aligned chips show less than
    that: their border pixels are repeated, as at the edges of pictures in IMDB-WIKI, on which the networks were
    trained. Nothing is known of the error of a single age: `age_std` is 0.

    Args:
        age: e.g. ``imdb-age.h5``.
        gender: e.g. ``imdb-gender.h5``.

    Attributes:
        name: of both files.
        spec: how its chips are cut.
        metadata: the licence of the weights, as a model file has it.

    Raises:
        OSError: a file can't be read.
        ValueError: one is of another network, or of the other head.
    """

    def __init__(self, age: str | os.PathLike[str], gender: str | os.PathLike[str]) -> None:
        # Keras takes seconds to load, and other baselines don't need it.
        from agegender_train.baselines.ssrnet_authors import load_authors_weights

        self._networks: list[tuple[Any, str]] = []
        for path, head in ((Path(age), "age"), (Path(gender), "p_male")):
            if not path.is_file():
                raise FileNotFoundError(f"no weights at {path}")
            network = load_authors_weights(path)
            if list(network.output_names) != [head]:
                raise ValueError(f"{path} must hold the network for {head}, got the one for {network.output_names[0]}")
            self._networks.append((network, head))
        self.name = f"ssrnet's authors, {Path(age).stem} and {Path(gender).stem}"
        self.spec = SPEC
        self.metadata = to_metadata({"licence": LICENCE})

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Ages and genders of uint8 RGB (n, 140, 140, 3).

        Raises:
            ValueError: another shape or dtype.
        """
        side = self.spec.chip_size
        if chips.dtype != np.uint8 or chips.ndim != 4 or chips.shape[1:] != (side, side, 3):
            raise ValueError(f"chips must be uint8 (n, {side}, {side}, 3), got {chips.dtype} {chips.shape}")
        if len(chips) == 0:
            nobody = np.empty(0, np.float32)
            return Prediction(nobody, nobody, nobody)
        batch = preprocess(np.pad(chips, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)), mode="edge"), _WIDER)
        age, p_male = (_numbers(network(batch, training=False)[head]) for network, head in self._networks)
        return Prediction(np.maximum(age, 0), np.zeros_like(age), np.clip(p_male, 0, 1))


def _numbers(column: Any) -> npt.NDArray[np.float32]:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(column), np.float32)[:, 0]
