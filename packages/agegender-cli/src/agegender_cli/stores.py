"""Stores, and parts of their faces, as the user names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .output import count, message

if TYPE_CHECKING:
    from agegender_train.store import Store


def open_stores(paths: Sequence[Path], quiet: bool) -> list[Store]:
    """The stores in these folders; says on stderr what their reviews changed, unless `quiet`.

    Raises:
        OSError: a folder isn't there.
        ValueError: a folder is no finished store.
    """
    from agegender_train.store import Store

    stores = [Store.open(path) for path in paths]
    for path, store in zip(paths, stores, strict=True):
        changes = store.reviewed
        if any(changes.values()) and not quiet:
            counts = f"{count(changes['rejected'], 'face')} left out, {count(changes['corrected'], 'label')} corrected"
            message(f"{path}: {counts} by review.csv")
    return stores


@dataclass(frozen=True)
class Part:
    """What to take of a store: one side of a split, a training's validation faces, or all.

    Raises:
        UserError: both are asked for, or a fold without its split.
    """

    split: str | None = None
    fold: int | None = None
    validation: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split is not None and self.validation is not None:
            raise UserError("--split and --validation exclude each other", hint="both name a part of the faces")
        if self.fold is not None and self.split is None:
            raise UserError(f"--fold {self.fold} needs the --split that it is one of", hint="agegender split makes one")

    def __str__(self) -> str:
        if self.split is not None:
            return f"{'val' if self.fold is None else f'fold {self.fold}'} of {self.split}"
        return f"validation {self.validation:g}, seed {self.seed}"

    def rows(self, store: Store) -> tuple[Any, str | None]:
        """The rows of the store, int64 (n,), and what to call them; all and ``None`` where nothing is asked for.

        Raises:
            OSError: the store has no such split.
            ValueError: the split has no such fold, or `validation` is out of its range.
        """
        import numpy as np

        if self.split is not None:
            from agegender_train.splits import training_sides

            return np.flatnonzero(training_sides([store], self.split, self.fold)[1]), str(self)
        if self.validation is not None:
            from agegender_train.batches.face_set import FaceSet, hold_out

            identities = FaceSet([store], cache_bytes=0).identities()
            return np.flatnonzero(hold_out(identities, self.validation, self.seed)), str(self)
        return np.arange(len(store)), None


def choose_parts(
    stores: Sequence[Store], part: Part, only: Sequence[str] | None = None
) -> list[tuple[Any, str | None]]:
    """`Part.rows` of each store: of `part`, or of what `only` says of its dataset.

    Raises:
        UserError: `only` can't be read, or names a dataset that no store is of.
    """
    own: dict[str, Part] = {}
    for text in only or ():
        dataset, found = _read(text)
        if dataset not in {store.name for store in stores}:
            there = ", ".join(store.name for store in stores)
            raise UserError(f"--only {text}: no store is of the dataset {dataset!r}", hint=f"there is {there}")
        own[dataset] = found
    return [own.get(store.name, part).rows(store) for store in stores]


def _read(text: str) -> tuple[str, Part]:
    dataset, _, what = text.partition(":")
    kinds: dict[str, Any] = {"split": str, "fold": int, "validation": float, "seed": int}
    given: dict[str, Any] = {}
    for piece in what.split(","):
        name, _, value = (word.strip() for word in piece.partition("="))
        try:
            given[name] = kinds[name](value)
        except (KeyError, ValueError):
            raise UserError(
                f"--only {text} can't be read at {piece!r}",
                hint="it looks like fairface:validation=0.05,seed=0 or utkface:split=folds-5,fold=1",
            ) from None
    return dataset, Part(**given)
