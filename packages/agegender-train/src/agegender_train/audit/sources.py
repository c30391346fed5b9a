"""Which dataset a store was made of, among those that are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agegender_train.audit.summary import Summary
from agegender_train.datasets.archives import FileTree


def match_sources(summaries: Sequence[Summary], paths: Sequence[Path]) -> dict[int, FileTree]:
    """The files of each store's dataset, by the index of its summary: one of the `paths`, or all of them together.

    Raises:
        OSError: a path can't be read.
        ValueError: a path is no store's dataset, or has changed since.
    """
    single = [FileTree.open(path) for path in paths]
    candidates = [*single, FileTree.open(*paths)] if len(paths) > 1 else single
    found: dict[int, FileTree] = {}
    for index, summary in enumerate(summaries):
        made_of = {} if summary.store is None else summary.store.description.get("source", {})
        for files in candidates:
            if files.signature() == made_of.get("sha256"):
                found.setdefault(index, files)
    if not any(files is candidates[-1] for files in found.values()) or len(paths) == 1:
        for path, files in zip(paths, single, strict=True):
            if not any(files is used for used in found.values()):
                names = ", ".join(summary.name for summary in summaries)
                raise ValueError(f"{path} isn't what {names} was made of, or has changed since")
    return found
