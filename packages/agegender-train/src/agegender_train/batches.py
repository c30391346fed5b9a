"""From aligned stores to a network's batches: decode, augment, and the runtime's own preprocessing, on threads.

Batch i depends on the seed and on i alone, never on threads or time, so that a training can be repeated and resumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from itertools import count
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.augment import Augmentation, augment
from agegender_train.labels import Labels
from agegender_train.store import Store

Floats = npt.NDArray[np.float32]

_BLOCK = 8
"""Faces that are changed by one source of chance: to make one takes a tenth of the time of changing a face."""


class Batch(NamedTuple):
    """A batch as `keras.Model.fit` takes it.

    Attributes:
        inputs: float32 (n, s, s, 3), preprocessed.
        targets: by the network's outputs: of age float32 (n, 2), low and high in years, or (n, 2 + k) with what a
            teacher said behind; of gender float32 (n, 1), 1 for male. Zero where missing.
        weights: for each target float32 (n,), zero where the label is missing.
    """

    inputs: Floats
    targets: dict[str, Floats]
    weights: dict[str, Floats]


class Taught(NamedTuple):
    """What teachers said of n faces.

    Attributes:
        age: float32 (n, k): years (k = 1), or the probability of each age 0..100 (k = 101).
        p_male: float32 (n, 1).
        share: of what a network learns that comes from them, in [0, 1]; the rest comes from the labels. Faces without a
            label for it are not taught, either.
    """

    age: Floats
    p_male: Floats
    share: float


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


def age_weights(labels: Labels, balance: float) -> Floats:
    """Weights of the age labels against the numbers of each age group: float32 (n,) with mean 1 where an age is known.

    A face weighs (faces of its group) ** -balance; groups are the label's intervals, and decades of known ages.
    """
    known = ~np.isnan(labels.age_low)
    low = np.where(labels.age_is_exact, labels.age_low // 10 * 10, labels.age_low)[known]
    _, group, counts = np.unique(low, return_inverse=True, return_counts=True)
    weights = np.zeros(len(labels), np.float32)
    if known.any():
        raw = counts[group].astype(np.float64) ** -balance
        weights[known] = raw / raw.mean()
    return weights


class Batches:
    """Endless batches in a new seeded order each epoch; what is left over at an epoch's end waits for another.

    Args:
        faces: where the chips come from.
        rows: int64, those of `faces` to draw from, at least `batch_size`.
        spec: how the network wants them.
        batch_size: faces in a batch.
        seed: of order and augmentation.
        augmentation: ``None`` for chips as they are.
        balance: see `age_weights`.
        outputs: names of the network's outputs for "age" and "gender".
        share: the part of each batch that is made, as its number from 0 and the number of equal parts, for processes
            that train together.

    Raises:
        ValueError: fewer faces than `batch_size`, or a `batch_size` that can't be shared evenly.
    """

    def __init__(
        self,
        faces: FaceSet,
        rows: npt.NDArray[np.int64],
        spec: PreprocessSpec,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None = None,
        balance: float = 0.0,
        outputs: Mapping[str, str] = MappingProxyType({"age": "age", "gender": "gender"}),
        share: tuple[int, int] = (0, 1),
        taught: Taught | None = None,
    ) -> None:
        if not 1 <= batch_size <= len(rows):
            raise ValueError(f"batch_size must be in 1..{len(rows)}, the number of faces, got {batch_size}")
        part, parts = share
        if parts > 1 and batch_size % (parts * _BLOCK):
            raise ValueError(
                f"batch_size must be a multiple of {_BLOCK} faces for each of {parts} processes, got {batch_size}"
            )
        self._part = slice(part * batch_size // parts, (part + 1) * batch_size // parts)
        self._faces, self._rows, self._spec = faces, rows, spec
        self._batch_size, self._seed, self._augmentation = batch_size, seed, augmentation
        self._outputs = outputs["age"], outputs["gender"]
        labels = faces.labels[rows]
        self._age = np.nan_to_num(np.column_stack([labels.age_low, labels.age_high]))
        self._age_weight = age_weights(labels, balance)
        self._male = np.maximum(labels.gender, 0).astype(np.float32)[:, None]
        self._male_weight = (labels.gender >= 0).astype(np.float32)
        if taught is not None:
            self._age = np.column_stack([self._age, taught.age])
            self._male = (1 - taught.share) * self._male + taught.share * taught.p_male

    @property
    def per_epoch(self) -> int:
        """Number of whole batches in an epoch."""
        return len(self._rows) // self._batch_size

    def __getitem__(self, index: int) -> Batch:
        """Batch `index`, counted from the start of training; safe to call from many threads at once."""
        epoch, step = divmod(index, self.per_epoch)
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._rows))
        places = range(step * self._batch_size, (step + 1) * self._batch_size)[self._part]
        picked = order[places.start : places.stop]
        chips = self._faces.chips(self._rows[picked])
        if self._augmentation is not None:
            chips = self._changed(chips, epoch, places)
        targets, weights = (self._age, self._male), (self._age_weight, self._male_weight)
        return Batch(
            preprocess(chips, self._spec),
            {name: column[picked] for name, column in zip(self._outputs, targets, strict=True)},
            {name: column[picked] for name, column in zip(self._outputs, weights, strict=True)},
        )

    def _changed(self, chips: npt.NDArray[np.uint8], epoch: int, places: range) -> npt.NDArray[np.uint8]:
        """Augmented by a source of chance for each few faces, the same whichever process has them in its part."""
        assert self._augmentation is not None
        blocks = []
        for start in range(0, len(places), _BLOCK):
            chance = np.random.default_rng([self._seed, epoch, places[start]])
            blocks.append(augment(chips[start : start + _BLOCK], self._augmentation, chance))
        return np.concatenate(blocks)

    @contextmanager
    def stream(self, start: int = 0, workers: int = 2, ahead: int = 4) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Within it, the batches from `start` on, in order and without end; `workers` threads keep `ahead` ready.

        The iterator may be in use by another thread when the context ends: it then comes to its end.
        """
        pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")

        def batches() -> Iterator[tuple[Any, ...]]:
            waiting: deque[Future[Batch]] = deque()
            for index in count(start):
                try:
                    waiting.append(pool.submit(self.__getitem__, index))
                except RuntimeError:  # the pool is shut down
                    return
                if len(waiting) > ahead:
                    try:
                        batch = waiting.popleft().result()
                    except CancelledError:
                        return
                    yield tuple(batch)

        try:
            yield batches()
        finally:
            pool.shutdown(cancel_futures=True)
