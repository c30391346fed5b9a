"""The SSR-Net authors' published networks, one for the age and one for the gender, as one predictor.

Their files are one-headed networks of Keras 2, weights only, in HDF5. The input is 64 x 64 pixels, BGR, 0..255 as it
is, of a face with a margin of 0.4.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from agegender_core.model_file import to_metadata
from agegender_core.predict import Prediction
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec

SPEC = PreprocessSpec(input_size=64, color="bgr")
LICENCE = "Apache-2.0, as the authors' repository; trained on IMDB-WIKI (research)"
BORDER = 15
"""Pixels added on each side of a chip of 140.

The authors' margin of 0.4 refers to a detector's box, whose side is 1.21 times that of dlib's face (median of 767 faces
of UTKFace). That is 0.59 of the face, and chips have 0.4.
"""
_SIDE = SPEC.chip_size + 2 * BORDER
_PADDING = (_SIDE / SPEC.chip_size * (1 + 2 * SPEC.chip_padding) - 1) / 2
_WIDER = replace(SPEC, chip_size=_SIDE, chip_padding=_PADDING, margin=_PADDING)
_NUMBERED = re.compile(r"(conv2d|batch_normalization|dense)_(\d+)")
_NAMED = re.compile(r"(pred_(?:age_)?stage|delta_s|local_delta_stage)(\d)")
_OURS = {"pred_age_stage": "p", "pred_stage": "p", "delta_s": "delta", "local_delta_stage": "eta"}


class SSRNetAuthors:
    """Weights that the authors of SSR-Net published, an .h5 file for the age and one for the gender.

    Yang, Huang, Lin, Hsiu and Chuang, "SSR-Net: A Compact Soft Stagewise Regression Network for Age Estimation"
    (IJCAI 2018). They cut faces along the detector's box with a margin of 0.4 of it. Aligned chips show less than
    that: their border pixels are repeated, as at the edges of pictures in IMDB-WIKI, on which the networks were
    trained. The error of a single age is unknown: `age_std` is ``None``.

    Args:
        age: e.g. ``imdb-age.h5``.
        gender: e.g. ``imdb-gender.h5``.

    Attributes:
        name: made of both files' names.
        spec: how its chips are cut.
        metadata: the licence of the weights, as in a model file.

    Raises:
        OSError: a file can't be read.
        ValueError: a file is of another network, or of the other head.
    """

    def __init__(self, age: str | os.PathLike[str], gender: str | os.PathLike[str]) -> None:
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
            empty = np.empty(0, np.float32)
            return Prediction(empty, None, empty)
        batch = preprocess(np.pad(chips, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)), mode="edge"), _WIDER)
        age, p_male = (_numbers(network(batch, training=False)[head]) for network, head in self._networks)
        return Prediction(np.maximum(age, 0), None, np.clip(p_male, 0, 1))


def _numbers(column: Any) -> npt.NDArray[np.float32]:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(column), np.float32)[:, 0]


def load_authors_weights(path: str | os.PathLike[str]) -> Any:
    """The authors' one-headed SSR-Net with the weights of an .h5 file of theirs.

    Args:
        path: e.g. ``imdb-age.h5`` or ``wiki-gender.h5``; the head follows from the layers in the file.

    Returns:
        A `keras.Model` from float (n, 64, 64, 3), BGR 0..255, to a dict with the one output "age" or "p_male", (n, 1).

    Raises:
        OSError: there is no such file, or it isn't HDF5.
        ValueError: the file is of another network; the message names the layer that is missing or of another shape.
    """
    # Keras takes seconds to load, and importing this module must not load it.
    from agegender_train.models import build_model

    path = Path(path)
    theirs = _read(path)
    is_age = any(name.startswith("pred_age_stage") for name in theirs)
    model = build_model("ssrnet", heads=["age" if is_age else "p_male"])
    ours = dict(zip(_creation_order("age" if is_age else "p_male"), _numbered(theirs), strict=False))
    ours |= {_our_name(name, is_age): name for name in theirs if _NAMED.fullmatch(name)}
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name not in ours:
            raise ValueError(f"{path} has no weights for the layer {layer.name}: it is not an SSR-Net of the authors")
        values = theirs[ours[layer.name]]
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if [value.shape for value in values] != shapes:
            found = [value.shape for value in values]
            raise ValueError(f"{path}: layer {ours[layer.name]} must have the shapes {shapes}, got {found}")
        layer.set_weights(values)
    return model


def _read(path: Path) -> dict[str, list[npt.NDArray[np.float32]]]:
    """The weights of each layer that has any, in the order of the file."""
    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            return {
                name: [np.asarray(group[name][weight]) for weight in group[name].attrs["weight_names"]]
                for name in group
                if len(group[name].attrs.get("weight_names", ()))
            }
    except OSError as error:
        raise type(error)(f"{path} can't be read as HDF5: {error}") from error


def _numbered(theirs: dict[str, Any]) -> list[str]:
    """Their numbered layers in the order of creation: by kind, then by number."""
    matches = [match for match in map(_NUMBERED.fullmatch, theirs) if match]
    kinds = ("conv2d", "batch_normalization", "dense")
    return [match[0] for match in sorted(matches, key=lambda match: (kinds.index(match[1]), int(match[2])))]


def _creation_order(head: str) -> list[str]:
    """Our names of these layers in the same order: stream 1 before 2, but within a stage stream 2 before 1."""
    blocks = [f"stream{stream}_{{}}{block}" for stream in (1, 2) for block in range(1, 5)]
    parts = [(stage, f"{head}_stage{stage}_stream{stream}_{{}}") for stage in (1, 2, 3) for stream in (2, 1)]
    convs = [name.format("conv") for name in blocks] + [name.format("conv") for _, name in parts]
    norms = [name.format("bn") for name in blocks]
    dense: list[str] = []
    for stage in (1, 2, 3):
        dense += [name.format("mix") for number, name in parts if number == stage] + [f"{head}_stage{stage}_hidden"]
    return convs + norms + dense


def _our_name(name: str, is_age: bool) -> str:
    match = _NAMED.fullmatch(name)
    assert match is not None
    return f"{'age' if is_age else 'p_male'}_stage{match[2]}_{_OURS[match[1]]}"
