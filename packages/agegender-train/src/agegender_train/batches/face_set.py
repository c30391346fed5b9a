"""The faces of several stores as one set."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np
import numpy.typing as npt

from agegender_train.store import Labels, Store

Chip = npt.NDArray[np.uint8]

_NOT_CACHED, _IN_WORK = -1, -2


class FaceSet:
    """The faces of several stores as one, each decoded once and kept in memory as far as `cache_bytes` allow.

    The cache takes faces in the order in which they are asked for and never drops one: an epoch asks for each face
    once, so that to replace one by another would gain nothing.

    Args:
        stores: cut alike, at least one.
        cache_bytes: memory for decoded chips of all stores together; faces that don't fit are decoded each time.

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
        self._chip = self.chip_size, self.chip_size, 3
        room = int(min(len(self), cache_bytes // np.prod(self._chip)))
        # Pages that are never written take no memory, so that room for all faces costs what is used of it.
        self._cache = np.empty((room, *self._chip), np.uint8)
        self._cached = self._cache.view()
        self._cached.flags.writeable = False
        self._used = 0
        self._place = np.full(len(self), _NOT_CACHED, np.int64)
        self._lock = Lock()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def identities(self) -> list[str]:
        """Who each face is of: its store's name and its subject, or the picture's key where no subject is known."""
        stores = np.repeat([store.name for store in self.stores], np.diff(self._starts))
        who = zip(stores, self.labels.subject, self.labels.key, strict=True)
        return [f"{name}/{key if subject is None else subject}" for name, subject, key in who]

    def chips(self, rows: npt.NDArray[np.int64]) -> Chip:
        """The chips of `rows` in new memory: uint8 (n, S, S, 3), RGB. Safe to call from many threads at once.

        Raises:
            ValueError: a picture in a store is damaged.
        """
        chips = np.empty((len(rows), *self._chip), np.uint8)
        for chip, stored in zip(chips, self.in_place(rows), strict=True):
            chip[:] = stored
        return chips

    def in_place(self, rows: npt.NDArray[np.int64]) -> list[Chip]:
        """The chips of `rows` where they lie in memory, uint8 (S, S, 3) each, RGB, C-contiguous, read-only.

        Safe to call from many threads at once.

        Raises:
            ValueError: a picture in a store is damaged.
        """
        places = self._place[rows]
        missing = rows[places < 0]
        decoded = self._decode(np.unique(missing)) if len(missing) else {}
        return [
            decoded[row] if place < 0 else self._cached[place]
            for row, place in zip(rows.tolist(), places.tolist(), strict=True)
        ]

    def in_place_or_none(self, rows: npt.NDArray[np.int64]) -> list[Chip | None]:
        """As `in_place`; ``None`` for each row below 0."""
        there = rows >= 0
        chips = iter(self.in_place(rows[there]))
        return [next(chips) if is_there else None for is_there in there]

    def _decode(self, rows: npt.NDArray[np.int64]) -> dict[int, Chip]:
        """Decodes faces, rising and each once, into the cache where it has room for them."""
        with self._lock:
            # A face that another thread is decoding into the cache is decoded here for this call alone.
            new = rows[self._place[rows] == _NOT_CACHED][: len(self._cache) - self._used]
            begin, self._used = self._used, self._used + len(new)
            self._place[new] = _IN_WORK
        try:
            self._decode_into(new, self._cache[begin : begin + len(new)])
        except BaseException:
            self._place[new] = _NOT_CACHED
            raise
        self._place[new] = np.arange(begin, begin + len(new))
        rest = np.setdiff1d(rows, new, assume_unique=True)
        others = np.empty((len(rest), *self._chip), np.uint8)
        self._decode_into(rest, others)
        others.flags.writeable = False
        return dict(
            zip([*new.tolist(), *rest.tolist()], [*self._cached[begin : begin + len(new)], *others], strict=True)
        )

    def _decode_into(self, rows: npt.NDArray[np.int64], out: Chip) -> None:
        bounds = np.searchsorted(rows, self._starts)
        for store, start, first, last in zip(self.stores, self._starts, bounds, bounds[1:], strict=False):
            if first < last:
                store.decode(rows[first:last] - start, out=out[first:last])


def hold_out(identities: Sequence[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """A mask of about `fraction` of the faces, with all faces of an identity or none.

    An identity is a person where the dataset names its subjects, else a picture (FairFace, UTKFace): there, two
    pictures of one person may lie on both sides. See `FaceSet.identities`. Names are hashed, so that a face stays on
    its side whatever else is added to the data.

    Args:
        identities: of each face.
        fraction: in [0, 1).
        seed: of the hash.

    Returns:
        bool (n,), true for the faces held out.

    Raises:
        ValueError: `fraction` is out of its range.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must be in [0, 1), got {fraction}")
    hashes = (blake2b(f"{seed}:{who}".encode(), digest_size=8).digest() for who in identities)
    return np.array([int.from_bytes(value, "big") < fraction * 2.0**64 for value in hashes], bool)
