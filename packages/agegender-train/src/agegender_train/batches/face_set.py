"""The faces of several stores as one set."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from agegender_train.store import Labels, Store


class FaceSet:
    """The faces of several stores as one, decoded once and kept while they fit into `cache_bytes`.

    Args:
        stores: cut alike, at least one.
        cache_bytes: memory for decoded chips; beyond it, chips are decoded each time.

    Raises:
        ValueError: no store, or stores with another chip_size or chip_padding than the first.
    """

    def __init__(self, stores: Sequence[Store], cache_bytes: float = 4e9) -> None:
        if not stores:
            raise ValueError("stores must hold at least one store, got none")
        for store in stores:
            if (store.chip_size, store.chip_padding) != (stores[0].chip_size, stores[0].chip_padding):
                raise ValueError(
                    f"stores must be cut alike: {stores[0].name} has chips of {stores[0].chip_size} px with padding "
                    f"{stores[0].chip_padding}, {store.name} of {store.chip_size} px with {store.chip_padding}"
                )
        self.stores = list(stores)
        self.labels = Labels.concatenate([store.labels() for store in stores])
        self.chip_size, self.chip_padding = stores[0].chip_size, stores[0].chip_padding
        self._starts = np.cumsum([0, *(len(store) for store in stores)])
        shape = (len(self), self.chip_size, self.chip_size, 3)
        # Pages that are never written take no memory, so that a cache for all rows costs what is used of it.
        self._cache = np.empty(shape, np.uint8) if np.prod(shape) <= cache_bytes else None
        self._cached = np.zeros(len(self), bool)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def identities(self) -> list[str]:
        """Who each face is of: its store's name and its subject, or the picture's key where no subject is known."""
        stores = np.repeat([store.name for store in self.stores], np.diff(self._starts))
        who = zip(stores, self.labels.subject, self.labels.key, strict=True)
        return [f"{name}/{key if subject is None else subject}" for name, subject, key in who]

    def chips(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The chips of `rows`: uint8 (n, S, S, 3), RGB. Safe to call from many threads at once."""
        if self._cache is None:
            return self._decode(rows)
        # Two threads may decode the same face: they write the same bytes, and the mark comes after.
        new = rows[~self._cached[rows]]
        if len(new):
            self._cache[new] = self._decode(new)
            self._cached[new] = True
        return self._cache[rows]

    def _decode(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        chips = np.empty((len(rows), self.chip_size, self.chip_size, 3), np.uint8)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(owner):
            mine = owner == number
            chips[mine] = self.stores[number].decode(rows[mine] - self._starts[number])
        return chips


def hold_out(identities: Sequence[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """A mask of about `fraction` of the faces, in which a person is as a whole or not at all.

    It hashes names, so that a face stays on its side whatever else is added to the data.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must be in [0, 1), got {fraction}")
    hashes = (blake2b(f"{seed}:{who}".encode(), digest_size=8).digest() for who in identities)
    return np.array([int.from_bytes(value, "big") < fraction * 2.0**64 for value in hashes], bool)
