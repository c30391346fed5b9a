"""Stores that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

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
            counts = f"{changes['rejected']} faces left out, {changes['corrected']} labels corrected"
            typer.echo(f"{path}: {counts} by review.csv", err=True)
    return stores
