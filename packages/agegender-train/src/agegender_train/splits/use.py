"""A split put to use: which faces to train on, and which to validate on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agegender_train.splits.files import read_split
from agegender_train.splits.make import TRAIN, VAL
from agegender_train.store import Store

Mask = npt.NDArray[np.bool_]


def training_sides(stores: Sequence[Store], name: str, fold: int | None) -> tuple[Mask, Mask]:
    """The faces to train on and those to validate on, of all stores one after the other; held-out ones are neither.

    Args:
        stores: each must have the split.
        name: of the split.
        fold: the one to validate on, all others are trained on; ``None`` takes the sides "train" and "val" of an
            official split.

    Returns:
        Two masks, bool (n,).

    Raises:
        FileNotFoundError: a store has no such split.
        ValueError: the split has no such fold, or has folds and none is given.
    """
    sides = np.concatenate([read_split(store, name) for store in stores])
    folds = sorted({int(side) for side in sides if side >= 0})
    there = f"0 to {folds[-1]}" if folds else "none"
    if fold is None:
        if not np.any(sides == TRAIN):
            raise ValueError(f"fold must say on which of the folds of {name} to validate ({there})")
        return sides == TRAIN, sides == VAL
    if fold not in folds:
        raise ValueError(f"fold must be one of those of {name} ({there}), got {fold}")
    return (sides >= 0) & (sides != fold), sides == fold
