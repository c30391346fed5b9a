"""Readers of datasets: one file each, found by name."""

from __future__ import annotations

import importlib
import os
import pkgutil
from functools import cache
from types import MappingProxyType

from agegender_core.spelling import with_near_names
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import Dataset, Rejection, Sample

__all__ = ["Dataset", "Rejection", "Sample", "available", "get_dataset", "open_source"]


@cache
def available() -> MappingProxyType[str, Dataset]:
    """All readers by name, in the order of their names: every subclass of `Dataset` in a file of this folder."""
    found: dict[str, Dataset] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for item in vars(importlib.import_module(module.name)).values():
            if isinstance(item, type) and issubclass(item, Dataset) and hasattr(item, "name"):
                found[item.name] = item()
    return MappingProxyType(dict(sorted(found.items())))


def get_dataset(name: str) -> Dataset:
    """The reader called `name`.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return available()[name]
    except KeyError:
        unknown = ValueError(f"dataset must be one of {', '.join(available())}, got {name!r}")
        raise with_near_names(unknown, name, available()) from None


def open_source(dataset: str, *paths: str | os.PathLike[str]) -> FileTree:
    """The files that a user means by these paths, as the source of the dataset of that name; see `Dataset.open`.

    Raises:
        OSError: as `FileTree.open`.
    """
    reader = available().get(dataset)  # a store may be of a reader that somebody else has
    return FileTree.open(*paths) if reader is None else reader.open(*paths)
