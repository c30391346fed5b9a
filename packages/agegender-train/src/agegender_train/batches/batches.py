"""From aligned stores to a network's batches: decode, augment, and the runtime's own preprocessing, on threads.

Batch i depends on the seed and on i alone, never on threads or time, so that a training can be repeated and resumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.augment import Augmentation, augment
from agegender_train.batches.face_set import FaceSet
from agegender_train.store.labels import Labels

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
