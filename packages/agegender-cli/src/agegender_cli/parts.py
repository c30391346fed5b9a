"""Part of a store's faces, as the user names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agegender_cli.errors import UserError

if TYPE_CHECKING:
    from agegender_train.store import Store

Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="Take one side of this split of the stores; see agegender split.")
]
Fold = Annotated[int | None, typer.Option(metavar="N", help="With --split: the fold to take.", show_default="val")]
Validation = Annotated[
    float | None,
    typer.Option(metavar="PART", help="Take what agegender train kept out with the same --validation and --seed."),
]
Seed = Annotated[int, typer.Option(help="With --validation: the training's.")]


def choose_part(
    stores: Sequence[Store], split: str | None, fold: int | None, validation: float | None, seed: int
) -> tuple[list[Any], str | None]:
    """The rows to take of each store, int64 (n,), and what to call that part; all rows and ``None`` when not asked.

    Raises:
        UserError: the options exclude each other.
        OSError: a store has no such split.
        ValueError: the split has no such fold, or `validation` is out of its range.
    """
    import numpy as np

    if split is not None and validation is not None:
        raise UserError("--split and --validation exclude each other", hint="both name a part of the faces")
    if fold is not None and split is None:
        raise UserError(f"--fold {fold} needs the --split that it is one of", hint="agegender split makes one")
    if split is not None:
        from agegender_train.splits import training_sides

        sides = [training_sides([store], split, fold)[1] for store in stores]
        part = f"{'val' if fold is None else f'fold {fold}'} of {split}"
    elif validation is not None:
        from agegender_train.batches import FaceSet, hold_out

        sides = [hold_out(FaceSet([store], cache_bytes=0).identities(), validation, seed) for store in stores]
        part = f"validation {validation:g}, seed {seed}"
    else:
        return [np.arange(len(store)) for store in stores], None
    return [np.flatnonzero(side) for side in sides], part
