"""Chips to network input: the one implementation, for training and for use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .native import native
from .spec import PreprocessSpec


def preprocess(
    chips: npt.NDArray[np.uint8], spec: PreprocessSpec, out: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Crop, resize and normalise aligned chips as `spec` says, in C++ without the GIL.

    Args:
        chips: uint8 RGB (n, S, S, 3) with S = ``spec.chip_size``.
        spec: what the network wants.
        out: written to and returned, if given: float32, C-contiguous, the shape below.

    Returns:
        float32 (n, s, s, 3), or (n, 3, s, s) for the layout "nchw", with s = ``spec.input_size``.

    Raises:
        ValueError: chips or out are not of that shape and dtype.
    """
    if chips.ndim != 4 or chips.shape[1:] != (spec.chip_size, spec.chip_size, 3):
        raise ValueError(f"chips must have shape (n, {spec.chip_size}, {spec.chip_size}, 3), got {chips.shape}")
    first = spec.layout == "nchw"
    size = spec.input_size
    shape = (len(chips), 3, size, size) if first else (len(chips), size, size, 3)
    if out is None:
        out = np.empty(shape, np.float32)
    elif out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    native().preprocess(np.ascontiguousarray(chips), out, spec.crop, spec.mean, spec.scale, spec.color == "bgr", first)
    return out
