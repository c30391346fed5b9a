"""Splits in use: the faces to train and to validate on, and the folds of a cross-validation, made if need be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_train.duplicates.copies import find_copies
from agegender_train.files import Progress, no_progress
from agegender_train.splits.files import list_splits, read_split, split_path, write_split
from agegender_train.splits.make import TRAIN, VAL, SplitSettings, made_of, make_split
from agegender_train.store import Store
from agegender_train.store.face_table import FaceTable

Mask = npt.NDArray[np.bool_]

OFFICIAL = "official"
"""Name of the split that the authors of a dataset made."""


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


def ready_folds(
    stores: Sequence[Store], wanted: int | str, seed: int = 1, progress: Progress = no_progress
) -> tuple[str, list[int]]:
    """Makes sure that all stores have the split that is wanted.

    Args:
        stores: split as one.
        wanted: a number of folds, by subject, stratified by age and gender, with no copies across folds; or the name
            of a split of all stores, "official" among them.
        seed: of the folds that are made.
        progress: of the search for copies; see `find_copies`.

    Returns:
        The split's name, and its folds: at least two, rising. Where folds are made, the name is folds-N, with
        -seed-S behind it for another seed than 1.

    Raises:
        FileNotFoundError: a store has no split of the name that is wanted.
        FileExistsError: a store has other folds of the name under which they would be kept.
        ValueError: the split has no folds, or was made of some of the stores without the others; too few faces.
    """
    if isinstance(wanted, str):
        name, settings = wanted, SplitSettings(official=True)
    else:
        name = f"folds-{wanted}" + (f"-seed-{seed}" if seed != 1 else "")
        settings = SplitSettings(folds=wanted, seed=seed)
    lacking = [store for store in stores if name not in list_splits(store)]
    if lacking and (settings.folds == wanted or name == OFFICIAL):
        _make(stores, name, settings, progress)
    elif settings.folds == wanted:
        for store in stores:
            _check_made_so(store, name, settings)
    folds = sorted({int(side) for store in stores for side in np.unique(read_split(store, name)) if side >= 0})
    if len(folds) < 2:
        raise ValueError(f"a cross-validation needs at least 2 folds, and the split {name} has {len(folds)}")
    _check_made_as_one(stores, name)
    return name, folds


def _make(stores: Sequence[Store], name: str, settings: SplitSettings, progress: Progress) -> None:
    table = FaceTable.read(stores)
    copies = find_copies(table, progress=progress)
    made = make_split(table, [(copy.first, copy.second) for copy in copies], settings)
    try:
        write_split(made, name)
    except FileExistsError:
        there = next(store for store in stores if name in list_splits(store))
        raise _taken(there, name, settings) from None


def _check_made_so(store: Store, name: str, settings: SplitSettings) -> None:
    read_split(store, name)  # says so if it is damaged
    wanted = {**asdict(settings), "stratify": list(settings.stratify)}
    if {**wanted, **_about(store, name)["settings"]} != wanted:
        raise _taken(store, name, settings)


def _taken(store: Store, name: str, settings: SplitSettings) -> FileExistsError:
    return FileExistsError(
        f"{split_path(store.path, name)} is another split than the one of {settings.folds} folds that is wanted: "
        f"--folds {name} takes it as it is, and agegender split makes one of another name"
    )


def _about(store: Store, name: str) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(split_path(store.path, name).with_suffix(".json").read_bytes())
    return about


def _check_made_as_one(stores: Sequence[Store], name: str) -> None:
    """A person or a picture that two stores share would be in two folds of splits that were made apart."""
    for store in stores:
        about = _about(store, name)
        if about["settings"].get("official"):
            continue
        known = {part["fingerprint"] for part in about["stores"]}
        if lacking := [other for other in stores if made_of(other) not in known]:
            together = " ".join(str(each.path) for each in stores)
            raise ValueError(
                f"the split {name} of {store.path} was made without {lacking[0].path}: what both share could be in two "
                f"folds; make one of all with: agegender split {together} --name NAME"
            )
