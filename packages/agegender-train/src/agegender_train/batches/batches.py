"""From aligned stores to a network's batches: decoding, and the C++ that changes and preprocesses faces, on threads.

Batch i depends on nothing but the seed and i, so that a training can be repeated and resumed; and how a face is changed
in an epoch on nothing but the seed, the epoch and the face, whatever batch it is in, on whichever process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from agegender_core.augment import augment
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.augment import Views, changes_in_epoch
from agegender_train.batches.augmentation import Augmentation
from agegender_train.batches.face_set import FaceSet
from agegender_train.store.labels import Labels

Floats = npt.NDArray[np.float32]

_NO_VIEWS = Views()


class Batch(NamedTuple):
    """A batch as `keras.Model.fit` takes it.

    Attributes:
        inputs: float32 (n, s, s, 3), preprocessed.
        targets: by the network's outputs. Age: float32 (n, 2), low and high in years, or (n, 2 + k), followed by
            `TeacherTargets.age`. Gender: float32 (n, 1), 1 for male. Zero where missing.
        weights: for each target float32 (n,), zero where the label is missing.
    """

    inputs: Floats
    targets: dict[str, Floats]
    weights: dict[str, Floats]


class TeacherTargets(NamedTuple):
    """What teachers predict for v views of n faces: targets beside the labels.

    Attributes:
        age: float32 (v, n, k): years (k = 1), or the probability of each age 0..100 (k = 101).
        p_male: float32 (v, n, 1), in [0, 1].
        share: weight of the teachers against the labels, in [0, 1]. Where the label is missing, the teachers don't
            count either.
    """

    age: Floats
    p_male: Floats
    share: float


def age_weights(labels: Labels, balance: float) -> Floats:
    """Weights that balance age groups of different sizes.

    A face weighs (number of faces in its group) ** -balance. A group is a label interval, or a decade of known ages.

    Args:
        labels: of n faces.
        balance: 0 for equal weights of all faces, 1 for equal weights of all groups.

    Returns:
        float32 (n,), with mean 1 where an age is known and 0 elsewhere.
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
    """Endless batches, in a new seeded order each epoch; an epoch leaves out the faces that fill no whole batch.

    Args:
        faces: where the chips come from.
        rows: int64, those of `faces` to draw from, at least `batch_size`.
        spec: the network's preprocessing.
        batch_size: faces in a batch.
        seed: of order and augmentation.
        augmentation: ``None`` for unchanged chips.
        balance: see `age_weights`.
        outputs: names of the network's outputs for "age" and "gender".
        share: which part of each batch to make, as its number from 0 and the number of equal parts, for processes that
            train together.
        teacher: targets for `rows` beside the labels; ``None`` for labels only.
        views: those that `teacher` is about, and that the network sees; with none beside the face as it is, each epoch
            has changes of its own.

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
        teacher: TeacherTargets | None = None,
        views: Views = _NO_VIEWS,
    ) -> None:
        if not 1 <= batch_size <= len(rows):
            raise ValueError(
                f"batch_size must be in 1..{len(rows)}, the number of faces to learn from, got {batch_size}"
            )
        part, parts = share
        if batch_size % parts:
            raise ValueError(f"batch_size must be a multiple of {parts}, the number of processes, got {batch_size}")
        self._part = slice(part * batch_size // parts, (part + 1) * batch_size // parts)
        self._faces, self._rows, self._spec = faces, rows, spec
        self._batch_size, self._seed, self._augmentation = batch_size, seed, augmentation
        self._outputs = outputs["age"], outputs["gender"]
        self._orders: dict[int, npt.NDArray[np.int64]] = {}
        self._lock = Lock()
        labels = faces.labels[rows]
        self._age = np.nan_to_num(np.column_stack([labels.age_low, labels.age_high]))
        self._age_weight = age_weights(labels, balance)
        self._male = np.maximum(labels.gender, 0).astype(np.float32)[:, None]
        self._male_weight = (labels.gender >= 0).astype(np.float32)
        self._teacher, self._views = teacher, views

    @property
    def per_epoch(self) -> int:
        """Number of whole batches in an epoch."""
        return len(self._rows) // self._batch_size

    def __getitem__(self, index: int) -> Batch:
        """Batch `index`, counted from the start of training; safe to call from many threads at once."""
        epoch, step = divmod(index, self.per_epoch)
        picked = self._order(epoch)[step * self._batch_size : (step + 1) * self._batch_size][self._part]
        views = self._views.seen_in_epoch(epoch, self._rows[picked])
        age, male = self._age[picked], self._male[picked]
        if self._teacher is not None:
            share = self._teacher.share
            age = np.column_stack([age, self._teacher.age[views, picked]])
            male = (1 - share) * male + share * self._teacher.p_male[views, picked]
        weights = self._age_weight[picked], self._male_weight[picked]
        return Batch(
            self._inputs(self._rows[picked], epoch, views),
            dict(zip(self._outputs, (age, male), strict=True)),
            dict(zip(self._outputs, weights, strict=True)),
        )

    def _inputs(self, rows: npt.NDArray[np.int64], epoch: int, views: npt.NDArray[np.int64]) -> Floats:
        if self._views.count:
            changes, others = self._views.changes(views, rows, self._rows)
        elif self._augmentation is not None:
            changes, others = changes_in_epoch(self._augmentation, self._seed, epoch, rows, self._rows)
        else:
            return preprocess(self._faces.chips(rows), self._spec)
        return augment(self._faces.in_place(rows), changes, self._spec, self._faces.in_place_or_none(others))

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The order of all faces in an epoch; drawn once an epoch."""
        with self._lock:
            order = self._orders.pop(epoch, None)
            if order is None:
                order = np.random.default_rng([self._seed, epoch]).permutation(len(self._rows))
            self._orders[epoch] = order
            # Threads that work ahead are in the next epoch while others end this one.
            while len(self._orders) > 2:
                del self._orders[next(iter(self._orders))]
            return order

    @contextmanager
    def stream(self, start: int = 0, workers: int = 2, ahead: int = 4) -> Iterator[Iterator[tuple[Any, ...]]]:
        """A context with an endless iterator over the batches from `start` on; `workers` threads keep `ahead` ready.

        When the context ends, so does the iterator, even if another thread is using it.
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
