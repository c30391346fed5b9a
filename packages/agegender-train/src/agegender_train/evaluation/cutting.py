"""Chips as a model needs them: checks a store's size and margin, and cuts chips again to another."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.store import Store


class Named(Protocol):
    """A model with a name and a spec."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def spec(self) -> PreprocessSpec:
        """How its chips are cut."""


def require_same_cut(predictor: Named, store: Store) -> None:
    """Raises ValueError unless the store's chips were cut as the model's spec says."""
    spec, cut = predictor.spec, (store.chip_size, store.chip_padding)
    if cut != (spec.chip_size, spec.chip_padding):
        raise ValueError(
            f"the store {store.name} holds chips of {cut[0]} px with padding {cut[1]}, but {predictor.name} was "
            f"trained on chips of {spec.chip_size} px with padding {spec.chip_padding}, and would fail on others; "
            f"make a store with: agegender preprocess --size {spec.chip_size} --padding {spec.chip_padding}"
        )


def realigned(
    chips: npt.NDArray[np.uint8], padding: float, chip_size: int, chip_padding: float
) -> npt.NDArray[np.uint8]:
    """Cuts chips to another size and margin: the same faces, cropped or with a black border.

    What lies beyond the margin of the chips is lost: a model that needs a wider one sees black instead, as at the
    border of a picture.

    Args:
        chips: uint8 RGB (n, S, S, 3).
        padding: their margin, as a part of the face's side.
        chip_size: the wanted side in pixels.
        chip_padding: the wanted margin.

    Returns:
        uint8 RGB (n, chip_size, chip_size, 3).
    """
    side = chips.shape[1]
    beyond = (1 + 2 * chip_padding) / (1 + 2 * padding) - 1
    border = max(int(np.ceil(side * beyond / 2)), 0)
    if border:
        chips = np.pad(chips, ((0, 0), (border, border), (border, border), (0, 0)))
        padding = (chips.shape[1] * (1 + 2 * padding) / side - 1) / 2
    spec = PreprocessSpec(chip_size, chip_size=chips.shape[1], chip_padding=padding, margin=min(chip_padding, padding))
    return np.asarray(np.clip(np.rint(preprocess(np.ascontiguousarray(chips), spec)), 0, 255), np.uint8)
