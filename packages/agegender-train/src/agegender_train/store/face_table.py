"""The faces of several stores as one table, without their pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agegender_train.store.labels import Labels
from agegender_train.store.reading import Store


@dataclass(frozen=True, eq=False)
class FaceTable:
    """The n faces of several stores, one store after the other; row i of every column is the same face.

    Attributes:
        stores: the stores, in their order.
        names: a name for each store: its dataset's, extended where two stores have one dataset.
        labels: labels of all faces.
        store: int64 (n,), index into `stores`.
        face: int16 (n,), number of the face among those of its key.
        picture: object (n,), SHA-256 of the picture file in hex, or ``None``.
        phash: uint64 (n,), perceptual hash of the chip; 0 where `hashed` is false.
        hashed: bool (n,), whether there is such a hash.
        box: float32 (n, 4), left, top, right, bottom in pixels of the picture; NaN where it isn't known.
    """

    stores: tuple[Store, ...]
    names: tuple[str, ...]
    labels: Labels
    store: npt.NDArray[np.int64]
    face: npt.NDArray[np.int16]
    picture: npt.NDArray[np.object_]
    phash: npt.NDArray[np.uint64]
    hashed: npt.NDArray[np.bool_]
    box: npt.NDArray[np.float32]

    @classmethod
    def read(cls, stores: Sequence[Store]) -> FaceTable:
        """The table of `stores`.

        Raises:
            ValueError: a store is given twice, or none is given.
        """
        if not stores:
            raise ValueError("stores must hold at least one store, got none")
        paths = Counter(store.path.resolve() for store in stores)
        if twice := [path for path, count in paths.items() if count > 1]:
            raise ValueError(f"{twice[0]} is given twice")
        columns = [store.columns("face", "picture_sha256", "phash", "box").to_pydict() for store in stores]
        labels = [store.labels() for store in stores]
        joined = {name: [value for part in columns for value in part[name]] for name in columns[0]}
        hashed = np.array([value is not None for value in joined["phash"]], bool)
        picture = np.empty(len(hashed), np.object_)
        picture[:] = joined["picture_sha256"]
        unknown = [np.nan] * 4
        return cls(
            tuple(stores),
            tuple(store_names(stores)),
            Labels.concatenate(labels),
            np.repeat(np.arange(len(stores)), [len(part) for part in labels]),
            np.array([value or 0 for value in joined["face"]], np.int16),
            picture,
            np.array([value or 0 for value in joined["phash"]], np.uint64),
            hashed,
            np.array([unknown if value is None else value for value in joined["box"]], np.float32).reshape(-1, 4),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def start(self, store: int) -> int:
        """The first row of a store, by its index."""
        return int(np.searchsorted(self.store, store))

    def datasets(self) -> Iterator[str]:
        """The dataset of each face."""
        return (self.stores[index].name for index in self.store)

    def photos(self) -> list[tuple[str, ...]]:
        """What identifies each picture: its content where that is known, else its store and key."""
        return [
            (str(index), str(key)) if content is None else (str(content),)
            for index, key, content in zip(self.store, self.labels.key, self.picture, strict=True)
        ]

    def people(self) -> list[tuple[str, str] | None]:
        """Who each face is of: the dataset's name and the subject; ``None`` where no subject is known.

        The same name in two datasets counts as two people: most datasets number theirs.
        """
        return [
            None if subject is None else (dataset, str(subject))
            for dataset, subject in zip(self.datasets(), self.labels.subject, strict=True)
        ]


def store_names(stores: Sequence[Store]) -> list[str]:
    """A name for each store, all different: the dataset's, with the folder's appended where that isn't enough.

    Folders that differ in their last part alone are the usual case; whole paths come in only where names still clash.
    """
    names = [store.name for store in stores]
    for longer in (
        [f"{store.name} ({store.path.resolve().name})" for store in stores],
        [str(store.path) for store in stores],
    ):
        counts = Counter(names)
        names = [more if counts[name] > 1 else name for name, more in zip(names, longer, strict=True)]
    return names
