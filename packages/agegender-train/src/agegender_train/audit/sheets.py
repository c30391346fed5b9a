"""Contact sheets of an audit: faces that were kept, entries that were rejected, and pairs of copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agegender_core import decode_image
from agegender_train.audit.overlaps import Overlaps
from agegender_train.audit.summary import Summary
from agegender_train.datasets import Rejection
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import picture_of
from agegender_train.duplicates.copies import Copy
from agegender_train.pages.sheets import Cell, Sheet, Thumbnail, label_text, sample, stored_thumbnails, thumbnail

_COPIES = 12


def accepted_sheet(summary: Summary, most: int, side: int = 96) -> Sheet:
    """Faces of a store, with their labels, the youngest first.

    Args:
        summary: the store.
        most: how many faces at most.
        side: of a thumbnail in pixels.
    """
    labels = summary.labels
    rows = sample(list(labels.key), most) if summary.store is not None else []
    chips = stored_thumbnails(summary.store, labels, rows, side)
    rows.sort(key=lambda row: float(np.nan_to_num(labels.age[row], nan=1e9)))  # of one age, they stay in random order
    cells = [Cell((chips[row],), label_text(labels, row), True) for row in rows]
    return Sheet("Accepted", cells, len(labels), len(labels))


def rejected_sheets(summary: Summary, files: FileTree | None, most: int, reasons: int, side: int = 128) -> list[Sheet]:
    """The rejected entries of a store, a sheet for each of the most frequent reasons.

    Where a rejection names another picture (copies, conflicting labels), both are shown, once a pair.

    Args:
        summary: the store.
        files: the dataset; ``None`` if it isn't available: the sheets then have no pictures.
        most: pictures or pairs of a sheet at most.
        reasons: sheets at most.
        side: longer side of a thumbnail in pixels.
    """
    by_reason: dict[str, list[Rejection]] = {reason: [] for reason in list(summary.rejected)[:reasons]}
    for entry in summary.rejections:
        if entry.reason in by_reason:
            by_reason[entry.reason].append(entry)
    sheets = []
    for reason, entries in by_reason.items():
        distinct = _distinct(entries, files)
        shown = [distinct[row] for row in sample([entry.key for entry in distinct], most)]
        cells = [_cell(entry, files, side) for entry in shown]
        sheets.append(Sheet(reason, cells, len(entries), len(distinct), files is not None))
    return sheets


def _distinct(entries: Sequence[Rejection], files: FileTree | None) -> list[Rejection]:
    """The entries without those that name a pair the other way round."""
    pairs: set[tuple[str, str]] = set()
    single = []
    for entry in entries:
        if _file(entry.value, files) is not None:
            pair = (min(entry.key, entry.value), max(entry.key, entry.value))
            if pair in pairs:
                continue
            pairs.add(pair)
        single.append(entry)
    return single


def _file(key: str, files: FileTree | None) -> str | None:
    return None if files is None or not key else picture_of(key, files)


def _cell(entry: Rejection, files: FileTree | None, side: int) -> Cell:
    keys = [entry.key]
    if _file(entry.value, files) is not None:
        keys.append(entry.value)
    caption = "" if len(keys) == 2 else entry.value
    return Cell(tuple(_picture(key, files, side) for key in keys), caption)


def _picture(key: str, files: FileTree | None, side: int) -> Thumbnail:
    if files is None:
        return Thumbnail(key, missing="the dataset's files are not available")
    name = _file(key, files)
    if name is None:
        return Thumbnail(key, missing="no such picture")
    try:
        frame = decode_image(files.read(name), name)
    except (OSError, ValueError):
        return Thumbnail(key, missing="can't be decoded")
    return thumbnail(key, frame, side)


def copy_sheets(overlaps: Overlaps) -> list[Sheet]:
    """Some of the pairs of copies: those whose labels conflict, other equal files, others that look alike."""
    conflicting = {copy for copy, _ in overlaps.conflicts}
    kinds = {
        "Copies whose labels conflict": [copy for copy in overlaps.copies if copy in conflicting],
        "Other equal files": [copy for copy in overlaps.copies if copy.exact and copy not in conflicting],
        "Others that look alike": [copy for copy in overlaps.copies if not copy.exact and copy not in conflicting],
    }
    return [_copy_sheet(overlaps, title, found) for title, found in kinds.items() if found]


def _copy_sheet(overlaps: Overlaps, title: str, copies: Sequence[Copy]) -> Sheet:
    table = overlaps.table
    names = [f"{table.labels.key[copy.first]}\n{table.labels.key[copy.second]}" for copy in copies]
    shown = [copies[row] for row in sample(names, _COPIES)]
    rows = np.array(sorted({row for copy in shown for row in (copy.first, copy.second)}), np.int64)
    thumbnails: dict[int, Thumbnail] = {}
    for index, store in enumerate(table.stores):
        start, mine = table.start(index), rows[table.store[rows] == index]
        labels = table.labels[table.store == index]
        found = stored_thumbnails(store, labels, (mine - start).tolist(), 112)
        thumbnails |= {row + start: thumbnail for row, thumbnail in found.items()}
    cells = []
    for copy in shown:
        both = " and ".join(
            f"{label_text(table.labels, row)} ({table.names[table.store[row]]})" for row in (copy.first, copy.second)
        )
        cells.append(Cell((thumbnails[copy.first], thumbnails[copy.second]), both))
    return Sheet(title, cells, len(copies), len(copies))
