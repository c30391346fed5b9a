"""Near-duplicates: the same picture in different files, found by perceptual hashes and confirmed by the pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from agegender_train.duplicates.agreement import CONFLICT, Label, labels_to_drop
from agegender_train.duplicates.components import connected_components
from agegender_train.duplicates.phash import close_pairs
from agegender_train.duplicates.same_picture import FACE_SIDE, THUMB_SIDE, Grey, face_of, is_same_picture, thumb_of
from agegender_train.files import Progress, map_in_order, no_progress

NEAR_DUPLICATE = "near-duplicate"
_ALIKE = 0.94
_BLOCK = 4096
_COMPARED_AT_ONCE = 64
_AHEAD = 64
_BLOCKS_AHEAD = 8

Pairs: TypeAlias = npt.NDArray[np.int64]
"""(m, 2): two rows each."""

Chips: TypeAlias = Callable[[], Iterable[Sequence[bytes]]]
"""Each call gives the JPEGs of all rows in their order, some at a time."""


class Dropped(NamedTuple):
    """A row that is dropped from the store.

    Attributes:
        key: the row's key.
        face: its number among the faces of that key.
        reason: `NEAR_DUPLICATE` or `CONFLICT`.
        value: the key of a row that it is a copy of.
    """

    key: str
    face: int
    reason: str
    value: str


def find_near_duplicates(
    keys: Sequence[str], faces: Sequence[int], labels: Sequence[Label], pairs: Pairs
) -> list[Dropped]:
    """The rows to drop, in their order.

    A copy of a copy is a copy. Of copies whose labels agree one stays, of others none; see `labels_to_drop`.

    Args:
        keys: the keys of n rows.
        faces: their numbers among the faces of one key.
        labels: their labels.
        pairs: which rows are the same picture; see `near_pairs`.
    """
    component = connected_components(len(keys), pairs=pairs.tolist())
    copies: dict[int, list[int]] = defaultdict(list)
    for row in np.unique(pairs).tolist():
        copies[int(component[row])].append(row)
    dropped: dict[int, Dropped] = {}
    for same in copies.values():
        for place, (other, conflict) in labels_to_drop([labels[row] for row in same]).items():
            row = same[place]
            reason = CONFLICT if conflict else NEAR_DUPLICATE
            dropped[row] = Dropped(keys[row], faces[row], reason, keys[same[other]])
    return [dropped[row] for row in sorted(dropped)]


def near_pairs(
    hashes: npt.NDArray[np.uint64],
    chips: Chips,
    bits: int,
    scratch: Path,
    executor: Executor,
    progress: Progress = no_progress,
) -> Pairs:
    """The pairs of rows that are the same picture, sorted; the first row of each comes before the second.

    Rows whose hashes differ in at most `bits` bits and whose thumbnails correlate by at least 0.94 are compared by
    `is_same_picture`.

    Args:
        hashes: perceptual hashes of the n rows, uint64 (n,).
        chips: their pictures; called twice.
        bits: 0..16.
        scratch: a folder for what might not fit into memory: 1 kB a row, and 11 kB for each row that resembles another.
        executor: reads and compares.
        progress: called with the phase "near-duplicates", which counts every row twice, then with "comparing", which
            counts pairs.
    """
    rows = len(hashes)

    def halves(done: int) -> None:
        progress("near-duplicates", done, 2 * rows)

    thumbs = _decoded(chips, np.arange(rows), thumb_of, THUMB_SIDE, scratch / "thumbs", executor, halves)
    pairs = _alike(hashes, bits, thumbs, executor, lambda done, of: halves(rows + rows * done // of))
    needed = np.unique(pairs)
    faces = _decoded(chips, needed, face_of, FACE_SIDE, scratch / "faces", executor, lambda done: None)
    places = np.searchsorted(needed, pairs)
    blocks = [slice(start, start + _COMPARED_AT_ONCE) for start in range(0, len(pairs), _COMPARED_AT_ONCE)]

    def compared(block: slice) -> list[bool]:
        return [is_same_picture(faces[i], faces[j]) for i, j in places[block]]

    same: list[bool] = []
    for results in map_in_order(executor, compared, blocks, _AHEAD):
        same += results
        progress("comparing", len(same), len(pairs))
    found: Pairs = pairs[np.array(same, np.bool_)]
    return found


def _decoded(
    chips: Chips,
    wanted: npt.NDArray[np.int64],
    decode: Callable[[bytes], Grey],
    side: int,
    file: Path,
    executor: Executor,
    progress: Callable[[int], None],
) -> npt.NDArray[np.uint8]:
    """The chips of some rows, decoded: uint8 (len(wanted), side, side), in a file."""
    if not len(wanted):
        return np.empty((0, side, side), np.uint8)

    def needed() -> Iterator[list[bytes]]:
        start = 0
        for block in chips():
            first, last = np.searchsorted(wanted, (start, start + len(block)))
            yield [block[row - start] for row in wanted[first:last]]
            start += len(block)

    def decoded(data: list[bytes]) -> bytes:
        return b"".join(decode(chip).tobytes() for chip in data)

    done = 0
    with file.open("wb") as out:  # not through a memory map, which ends the process when the disk is full
        for pictures in map_in_order(executor, decoded, needed(), _BLOCKS_AHEAD):
            out.write(pictures)
            done += len(pictures) // side**2
            progress(done)
    return np.memmap(file, np.uint8, "r", shape=(len(wanted), side, side))


def _alike(
    hashes: npt.NDArray[np.uint64],
    bits: int,
    thumbs: npt.NDArray[np.uint8],
    executor: Executor,
    progress: Callable[[int, int], None],
) -> Pairs:
    """The pairs of rows with close hashes whose thumbnails correlate by at least 0.94, sorted."""
    found = [np.empty((0, 2), np.int64)]
    for i, j in close_pairs(hashes, bits, executor, progress):
        for start in range(0, len(i), _BLOCK):
            block = slice(start, start + _BLOCK)
            alike = (_normed(thumbs[i[block]]) * _normed(thumbs[j[block]])).sum(axis=1) >= _ALIKE
            found.append(np.stack([i[block][alike], j[block][alike]], axis=1))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _normed(thumbs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    flat = thumbs.reshape(len(thumbs), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    normed: npt.NDArray[np.float32] = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return normed
