"""The weights that the SSR-Net authors published: one-headed networks of Keras 2, weights only, in HDF5.

Their input is 64 x 64 pixels, BGR, 0..255 as it is, of a face with a margin of 0.4.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from agegender_train.models import build_model

_NUMBERED = re.compile(r"(conv2d|batch_normalization|dense)_(\d+)")
_NAMED = re.compile(r"(pred_(?:age_)?stage|delta_s|local_delta_stage)(\d)")
_OURS = {"pred_age_stage": "p", "pred_stage": "p", "delta_s": "delta", "local_delta_stage": "eta"}


def load_authors_weights(path: str | os.PathLike[str]) -> Any:
    """The authors' one-headed SSR-Net with the weights of an .h5 file of theirs.

    Args:
        path: e.g. ``imdb-age.h5`` or ``wiki-gender.h5``; the file itself says which head it is.

    Returns:
        A `keras.Model` from float (n, 64, 64, 3), BGR 0..255, to a dict with the one output "age" or "p_male", (n, 1).

    Raises:
        OSError: no such file, or no HDF5.
        ValueError: the file is not of such a network; the message says which layer is missing or of another shape.
    """
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
            raise ValueError(f"{path} has no weights for the layer {layer.name}: it is no SSR-Net of the authors'")
        values = theirs[ours[layer.name]]
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if [value.shape for value in values] != shapes:
            found = [value.shape for value in values]
            raise ValueError(f"{path}: layer {ours[layer.name]} must have the shapes {shapes}, got {found}")
        layer.set_weights(values)
    return model


def _read(path: Path) -> dict[str, list[npt.NDArray[np.float32]]]:
    """The weights of each layer that has any, in the file's order of them."""
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
    """Their layers without a name of their own, in the order in which they were made: by kind, then by number."""
    matches = [match for match in map(_NUMBERED.fullmatch, theirs) if match]
    kinds = ("conv2d", "batch_normalization", "dense")
    return [match[0] for match in sorted(matches, key=lambda match: (kinds.index(match[1]), int(match[2])))]


def _creation_order(head: str) -> list[str]:
    """Our names of those layers in the same order: stream 1 before 2, but within a stage stream 2 before 1."""
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
