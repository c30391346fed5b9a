"""Which faces a training learns from and which it validates on, by its settings; and a batch size that fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from agegender_train.batches.face_set import FaceSet, hold_out
from agegender_train.runs.settings import Settings
from agegender_train.splits import training_sides
from agegender_train.store import Store

Rows = npt.NDArray[np.int64]

_LEAST_BATCHES = 4


def chosen_rows(faces: FaceSet, settings: Settings) -> tuple[Rows, Rows]:
    """The faces to learn from, and those to validate on: rows of `faces` that have an age or a gender.

    Raises:
        ValueError: there is no face to learn from; the message says why.
        OSError: a store has no such split.
    """
    if settings.split is None:
        held = hold_out(faces.identities(), settings.validation_fraction, settings.seed)
        trained = ~held
    else:
        trained, held = training_sides(faces.stores, settings.split, settings.fold)
    labelled = ~np.isnan(faces.labels.age_low) | (faces.labels.gender >= 0)
    training, validation = np.flatnonzero(labelled & trained), np.flatnonzero(labelled & held)
    if not len(training):
        names = " and ".join(store.name for store in faces.stores)
        if not len(faces):
            raise ValueError(f"there is nothing to learn from: {names} holds no face")
        if not labelled.any():
            raise ValueError(f"there is nothing to learn from: no face of {names} has an age or a gender")
        raise ValueError(f"there is nothing to learn from: all {len(validation)} faces of {names} are for validation")
    return training, validation


def fitting_batch_size(stores: Sequence[Store], settings: Settings, folds: Sequence[int] = ()) -> int:
    """The batch size of `settings`, or a smaller one where there are fewer faces to learn from.

    That is the largest power of two of which there are four batches in an epoch.

    Args:
        stores: to train on.
        settings: of the training.
        folds: of `Settings.split`, for a cross-validation; the size fits all of its trainings.

    Raises:
        ValueError: there is no face to learn from.
        OSError: a store has no such split.
    """
    faces = FaceSet(stores, cache_bytes=0)
    trainings = [replace(settings, fold=fold) for fold in folds] or [settings]
    fewest = min(len(chosen_rows(faces, one)[0]) for one in trainings)
    if fewest >= settings.batch_size:
        return settings.batch_size
    return 1 << (max(fewest // _LEAST_BATCHES, 1).bit_length() - 1)
