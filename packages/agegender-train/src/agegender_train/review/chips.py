"""Single pictures of a store by their row, without the whole store in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.store import Store


class ChipReader:
    """Reads the JPEG of any row; keeps the shards that were read last. Safe to use from many threads.

    Args:
        store: opened without its review, so that rows are those of the shards.
        shards: how many to keep, of some 8 MB each.
    """

    def __init__(self, store: Store, shards: int = 12) -> None:
        self._files = store.shards
        self._starts = np.cumsum([0, *(shard["rows"] for shard in store.description["shards"])])
        self._kept: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._shards = shards
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, row: int) -> bytes:
        """The JPEG of a row.

        Raises:
            IndexError: there is no such row.
            OSError: the shard can't be read.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row must be in 0..{len(self) - 1}, got {row}")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._lock:
            if number not in self._kept:
                self._kept[number] = pq.read_table(self._files[number], columns=["image"], memory_map=True)["image"]
                if len(self._kept) > self._shards:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(number)
            column = self._kept[number]
        return bytes(column[row - int(self._starts[number])]["bytes"].as_py())
