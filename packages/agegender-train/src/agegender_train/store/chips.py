"""Chips as the store keeps them: JPEG, read from the shards one by one."""

from __future__ import annotations

import struct
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, overload

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from agegender_core.images import decode_own
from agegender_train.files import FilePieces

_OPEN_FILES = 64


def encode_chip(chip: npt.NDArray[np.uint8]) -> bytes:
    """A chip, uint8 (S, S, 3) RGB, as a JPEG of quality 95 with colour at full resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(chip, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"chip of shape {chip.shape} can't be encoded")
    return bytes(data)


def decode_chip(data: bytes) -> npt.NDArray[np.uint8]:
    """The chip of `encode_chip`: uint8 (S, S, 3) RGB.

    Raises:
        ValueError: `data` can't be decoded.
    """
    return decode_own(data, "a picture of the store")


class EncodedChips(Sequence[bytes]):
    """The JPEGs of some rows of a store's shards, read from disk when they are asked for. Safe for many threads.

    In memory is where each one lies in its file (12 bytes a face), found when the first of a shard is asked for; the
    bytes themselves are left to the operating system's cache, so that any order of rows is fast.

    Args:
        files: the shards.
        counts: how many rows each has.
        rows: int64 (n,), which of all rows these are, in what order; all of them when ``None``.
        replaced: JPEGs that replace those in the shards, by their row there.
    """

    def __init__(
        self,
        files: Sequence[Path],
        counts: Sequence[int],
        rows: npt.NDArray[np.int64] | None = None,
        replaced: Mapping[int, bytes] | None = None,
    ) -> None:
        self._files = list(files)
        self._starts = list(accumulate(counts, initial=0))
        self._rows = rows
        self._replaced = replaced or {}
        self._places: dict[int, _Places] = {}
        self._open: OrderedDict[int, FilePieces] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._starts[-1] if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, row: int) -> bytes: ...

    @overload
    def __getitem__(self, row: slice) -> list[bytes]: ...

    def __getitem__(self, row: int | slice) -> bytes | list[bytes]:
        """The JPEG of a row, or of several.

        Raises:
            IndexError: there is no such row.
            OSError: the shard can't be read.
        """
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(f"row must be in 0..{len(self) - 1}, got {row}")
        raw = int(row if self._rows is None else self._rows[row])
        if raw in self._replaced:
            return self._replaced[raw]
        number = bisect_right(self._starts, raw) - 1
        pieces, places = self._shard(number)
        place = raw - self._starts[number]
        if places.kept is not None:
            return places.kept[place]
        try:
            return pieces.read(int(places.offsets[place]), int(places.sizes[place]))
        except OSError as error:
            raise OSError(f"{self._files[number]} can't be read: {error}") from error

    def __iter__(self) -> Iterator[bytes]:
        return (self[row] for row in range(len(self)))

    def _shard(self, number: int) -> tuple[FilePieces, _Places]:
        with self._lock:
            if number not in self._places:
                self._places[number] = _find_places(self._files[number])
            if number not in self._open:
                self._open[number] = FilePieces(self._files[number].open("rb"))
                if len(self._open) > _OPEN_FILES:
                    self._open.popitem(last=False)  # a thread that reads from it keeps it open
            self._open.move_to_end(number)
            return self._open[number], self._places[number]


class _Places(NamedTuple):
    """Where a shard's JPEGs lie in its file, or the JPEGs themselves."""

    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    kept: list[bytes] | None


def _find_places(file: Path) -> _Places:
    try:
        content, images = file.read_bytes(), read_images(file)
    except (OSError, ValueError) as error:  # Arrow's errors are of both kinds
        raise OSError(f"{file} can't be read: {error}") from error
    offsets, end = np.empty(len(images), np.int64), 0
    for row, data in enumerate(images):
        # Parquet writes a value that is neither compressed nor in a dictionary as its length and its bytes, one behind
        # the other; between two pages is a header.
        value = struct.pack("<I", len(data)) + data
        start = end if content.startswith(value, end) else content.find(value, end)
        if start < 0:  # somebody has written the shard anew, compressed
            return _Places(np.empty(0, np.int64), np.empty(0, np.int32), images)
        offsets[row], end = start + 4, start + len(value)
    return _Places(offsets, np.array([len(data) for data in images], np.int32), None)


def read_images(file: Path) -> list[bytes]:
    """The JPEGs of all rows of a shard, in their order.

    Raises:
        OSError: it can't be read.
        ValueError: it is no such shard.
    """
    return images_of(pq.read_table(file, columns=["image"], memory_map=True))


def images_of(table: pa.Table) -> list[bytes]:
    """The JPEGs of a table with the store's column `image`, in their order."""
    return [data for chunk in table["image"].chunks for data in chunk.field("bytes").to_pylist()]
