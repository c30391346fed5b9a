"""The same face twice, in one store or in two: equal picture files, and pictures that look the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

import numpy as np

from agegender_core.boxes import iou
from agegender_train.duplicates.near_duplicates import near_pairs
from agegender_train.store.face_table import FaceTable

_SAME_FACE_IOU = 0.5
_MANY = 50
_AT_ONCE = 1000

NEAR = 8
"""Bits, as `preprocess` has it."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Hears a phase, "near-duplicates" or "comparing", what is done of it, and all there is of it."""


class Copy(NamedTuple):
    """Two faces of a `FaceTable` that are the same.

    Attributes:
        first: row of the one that comes first.
        second: row of the other.
        exact: whether their picture files are equal, byte by byte; else they look the same.
    """

    first: int
    second: int
    exact: bool


def exact_copies(table: FaceTable) -> list[Copy]:
    """Faces at the same place of equal picture files.

    Several faces of one labelled picture are none; nor are two faces of a picture that two datasets have.
    """
    by_content: dict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(table.picture):
        if content is not None:
            by_content[content].append(row)
    found = []
    for rows in by_content.values():
        # A picture that is there a thousand times would make a million pairs.
        pairs = combinations(rows, 2) if len(rows) <= _MANY else ((rows[0], row) for row in rows[1:])
        found += [Copy(a, b, True) for a, b in pairs if _is_one_face(table, a, b)]
    return sorted(found)


def _is_one_face(table: FaceTable, a: int, b: int) -> bool:
    if table.store[a] == table.store[b] and table.labels.key[a] == table.labels.key[b]:
        return False
    first, second = table.box[a], table.box[b]
    # Without a box nothing says that they are two faces.
    return bool(np.isnan([first, second]).any() or iou([first], [second])[0, 0] >= _SAME_FACE_IOU)


def labels_conflict(table: FaceTable, a: int, b: int) -> str:
    """How the labels of two rows contradict each other: "age", "gender", "age and gender" or nothing ("").

    Ages contradict when no age is in both intervals; what is missing contradicts nothing.
    """
    labels = table.labels
    age = bool(labels.age_low[a] > labels.age_high[b] or labels.age_low[b] > labels.age_high[a])
    gender = bool(labels.gender[a] >= 0 and labels.gender[b] >= 0 and labels.gender[a] != labels.gender[b])
    return " and ".join(word for word, there in (("age", age), ("gender", gender)) if there)


def _no_progress(phase: str, done: int, total: int) -> None:
    pass


def find_copies(table: FaceTable, near: int | None = NEAR, progress: Progress = _no_progress) -> list[Copy]:
    """All faces that are there twice, sorted.

    Args:
        table: the faces.
        near: how many bits (0..16) the perceptual hashes of pictures that look the same may differ in; what is that
            near is compared pixel by pixel. ``None`` to look for equal files only. A single store is not looked
            through again when `preprocess` has left out its near-duplicates.
        progress: hears how far it is.
    """
    exact = exact_copies(table)
    if near is None:
        return exact
    known = {(copy.first, copy.second) for copy in exact}
    alike = (pair for pair in _near_pairs(table, near, progress) if pair not in known and _may_be_one(table, *pair))
    return sorted(exact + [Copy(a, b, False) for a, b in alike])


def _may_be_one(table: FaceTable, a: int, b: int) -> bool:
    return bool(table.store[a] != table.store[b] or table.labels.key[a] != table.labels.key[b])


def _near_pairs(table: FaceTable, bits: int, progress: Progress) -> list[tuple[int, int]]:
    (first, *others), rows = table.stores, np.flatnonzero(table.hashed)
    found_already = first.description.get("near_duplicates")
    if len(rows) < 2 or (not others and found_already is not None and found_already >= bits):
        return []

    def chips() -> Iterator[list[bytes]]:
        encoded = chain.from_iterable(store.iter_encoded() for store in table.stores)
        hashed = (chip for chip, wanted in zip(encoded, table.hashed, strict=True) if wanted)
        while block := list(islice(hashed, _AT_ONCE)):
            yield block

    # On disk: the thumbnails of a large dataset take 1 kB each.
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch, ThreadPoolExecutor() as executor:
        found = near_pairs(table.phash[rows], chips, bits, Path(scratch), executor, progress)
    return [(a, b) for a, b in rows[found].tolist()]
