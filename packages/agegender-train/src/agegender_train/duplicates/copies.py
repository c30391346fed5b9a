"""Copies of a face within and across stores: equal picture files, and pictures that look the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from agegender_train.duplicates.agreement import is_same_face
from agegender_train.duplicates.near_duplicates import near_pairs
from agegender_train.files import Progress, no_progress
from agegender_train.store.face_table import FaceTable

_MANY = 50
_CHIPS_AT_ONCE = 1000

NEAR = 8
"""Bits of a perceptual hash; the default of `preprocess`, too."""


class Copy(NamedTuple):
    """Two rows of a `FaceTable` that show the same face.

    Attributes:
        first: row of the one that comes first.
        second: row of the other.
        exact: whether their picture files are equal, byte for byte; else they look the same.
    """

    first: int
    second: int
    exact: bool


def exact_copies(table: FaceTable) -> list[Copy]:
    """Pairs of the same face (see `is_same_face`) in equal picture files, sorted.

    Several faces that were stored for one label are different faces.
    """
    by_content: dict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(table.picture):
        if content is not None:
            by_content[content].append(row)
    found, boxes = [], table.box.tolist()
    for rows in by_content.values():
        # A picture that occurs a thousand times would make half a million pairs.
        pairs = combinations(rows, 2) if len(rows) <= _MANY else ((rows[0], row) for row in rows[1:])
        found += [
            Copy(a, b, True) for a, b in pairs if not _has_one_label(table, a, b) and is_same_face(boxes[a], boxes[b])
        ]
    return sorted(found)


def _has_one_label(table: FaceTable, a: int, b: int) -> bool:
    return bool(table.store[a] == table.store[b] and table.labels.key[a] == table.labels.key[b])


def find_copies(table: FaceTable, near: int | None = NEAR, progress: Progress = no_progress) -> list[Copy]:
    """All pairs of copies, sorted.

    Args:
        table: the faces.
        near: in how many bits (0..16) the perceptual hashes of pictures may differ that are compared pixel by pixel;
            ``None`` to look for equal files only. A single store isn't searched again when `preprocess` has dropped
            its near-duplicates.
        progress: called with the phases "near-duplicates" and "comparing".
    """
    exact = exact_copies(table)
    if near is None:
        return exact
    known = {(copy.first, copy.second) for copy in exact}
    alike = (pair for pair in _near_pairs(table, near, progress) if pair not in known)
    return sorted(exact + [Copy(a, b, False) for a, b in alike if not _has_one_label(table, a, b)])


def _near_pairs(table: FaceTable, bits: int, progress: Progress) -> list[tuple[int, int]]:
    (first, *others), rows = table.stores, np.flatnonzero(table.hashed)
    found_already = first.description.get("near_duplicates")
    if len(rows) < 2 or (not others and found_already is not None and found_already >= bits):
        return []

    def chips() -> Iterator[list[bytes]]:
        encoded = chain.from_iterable(store.iter_encoded() for store in table.stores)
        hashed = (chip for chip, wanted in zip(encoded, table.hashed, strict=True) if wanted)
        while block := list(islice(hashed, _CHIPS_AT_ONCE)):
            yield block

    # On disk: a thumbnail takes 1 kB, and a large dataset has a million.
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch, ThreadPoolExecutor() as executor:
        found = near_pairs(table.phash[rows], chips, bits, Path(scratch), executor, progress)
    return [(a, b) for a, b in rows[found].tolist()]
