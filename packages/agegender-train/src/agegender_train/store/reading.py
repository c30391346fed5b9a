"""A finished store, opened for reading."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.store.changes import Changes
from agegender_train.store.chips import EncodedChips, decode_chip, images_of, read_images
from agegender_train.store.decisions import REVIEW_FILE, Decision, in_force, read_decisions
from agegender_train.store.faces import read_face
from agegender_train.store.labels import Labels
from agegender_train.store.schema import SCHEMA, read_description

_LABELS = ("age_low", "age_high", "gender", "group", "subject", "split", "key")


class Store:
    """A finished store, opened for reading; see `Store.open`.

    Rows are counted through all shards. Faces that a review rejected are excluded and don't count, and labels and
    faces are as the review corrected them.

    Attributes:
        path: the store's folder.
        description: content of ``store.json``, without the review.
        decisions: what the review decided, by key and face; see `agegender_train.store.in_force`.
    """

    def __init__(
        self, path: Path, description: Mapping[str, Any], decisions: Mapping[tuple[str, int], Decision] | None = None
    ) -> None:
        self.path = path
        self.description = description
        self.decisions = dict(decisions or {})
        self.name = str(description["dataset"])
        """Name of the dataset."""
        self.chip_size = int(description["chip_size"])
        """Side of a chip in pixels."""
        self.chip_padding = float(description["chip_padding"])
        """Margin around the face, as a part of the face's side."""

    @classmethod
    def open(cls, path: str | os.PathLike[str], review: bool = True) -> Store:
        """The store in the folder `path`.

        Args:
            path: what `preprocess` wrote.
            review: apply the decisions of its ``review.csv``; without them it is as `preprocess` left it.

        Raises:
            FileNotFoundError: there is no such folder, or a shard is gone.
            ValueError: the folder is no store, or one that `preprocess` hasn't finished, or a line of its
                ``review.csv`` is no decision.
        """
        path = Path(path)
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is no folder; a store is made with: agegender preprocess")
        description = read_description(path)
        if description is None:
            raise ValueError(f"{path} is no aligned store: it has no store.json; make one with: agegender preprocess")
        if not description["complete"]:
            raise ValueError(f"{path} is not finished; run the same agegender preprocess command again to continue")
        for shard in description["shards"]:
            file = path / shard["name"]
            if not file.exists() or file.stat().st_size != shard["bytes"]:
                raise FileNotFoundError(
                    f"{file} is missing or changed; run the same agegender preprocess command again"
                )
        return cls(path, description, in_force(read_decisions(path / REVIEW_FILE)) if review else None)

    def __len__(self) -> int:
        return sum(int(shard["rows"]) for shard in self.description["shards"]) - len(self._changes.rejected)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self)} faces of {self.name}, {self.chip_size} px)"

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over the name of the dataset, the contents of all shards and what a review changed."""
        hashes = [self.name, *(shard["sha256"] for shard in self.description["shards"])]
        return hashlib.sha256("\n".join(hashes + self._changes.described()).encode()).hexdigest()

    @property
    def reviewed(self) -> dict[str, int]:
        """How many faces the review excluded ("rejected") and gave another label or face ("corrected")."""
        return {"rejected": len(self._changes.rejected), "corrected": len(self._changes.corrected)}

    @property
    def shards(self) -> list[Path]:
        """The Parquet files, in the order of the rows; they hold what was rejected, too."""
        return [self.path / shard["name"] for shard in self.description["shards"]]

    def columns(self, *names: str) -> pa.Table:
        """Some columns of all rows, as an Arrow table; see `SCHEMA`."""
        return self._changes.apply(self._raw_columns(*names))

    def _raw_columns(self, *names: str) -> pa.Table:
        empty = SCHEMA.empty_table().select(names)
        return pa.concat_tables([empty, *(pq.read_table(shard, columns=list(names)) for shard in self.shards)])

    @cached_property
    def _changes(self) -> Changes:
        if not self.decisions:
            return Changes.none()
        return Changes.of(self._raw_columns("key", "face"), self.decisions, self._read_face)

    def _read_face(self, decision: Decision) -> pa.Table:
        return read_face(self.path, decision, self.chip_size, self.chip_padding)

    def labels(self) -> Labels:
        """The labels of all rows."""
        return Labels.from_columns(**self.columns(*_LABELS).to_pydict())

    def encoded(self) -> EncodedChips:
        """The JPEGs of all rows, read from the shards when they are asked for; safe for many threads."""
        return self._encoded

    @cached_property
    def _encoded(self) -> EncodedChips:
        counts = [int(shard["rows"]) for shard in self.description["shards"]]
        rejected = self._changes.rejected
        rows = np.setdiff1d(np.arange(sum(counts)), rejected, assume_unique=True) if len(rejected) else None
        return EncodedChips(self.shards, counts, rows, self._replaced)

    @cached_property
    def _replaced(self) -> dict[int, bytes]:
        return {row: images_of(face)[0] for row, face in self._changes.faces.items()}

    def iter_encoded(self) -> Iterator[bytes]:
        """The JPEG of every row, in their order, holding one shard in memory at a time."""
        row, rejected = 0, set(self._changes.rejected.tolist())
        for shard in self.shards:
            for data in read_images(shard):
                if row not in rejected:
                    yield self._replaced.get(row, data)
                row += 1

    def decode(self, rows: npt.ArrayLike, out: npt.NDArray[np.uint8] | None = None) -> npt.NDArray[np.uint8]:
        """The chips of some rows: uint8 (n, S, S, 3), RGB. Safe to call from many threads.

        Args:
            rows: n indices, or a mask over all rows.
            out: uint8 (n, S, S, 3), where to put them, such as a part of a larger array; a new array when ``None``.

        Returns:
            `out`, or the new array.

        Raises:
            IndexError: a row is out of range.
            ValueError: a picture in the store is damaged, or `out` is of another shape or type.
            OSError: a shard can't be read.
        """
        picked = np.asarray(rows)
        picked = np.flatnonzero(picked) if picked.dtype == np.bool_ else picked.astype(np.int64)
        shape = (len(picked), self.chip_size, self.chip_size, 3)
        if out is None:
            out = np.empty(shape, np.uint8)
        if out.shape != shape or out.dtype != np.uint8:
            raise ValueError(f"out must be uint8 of shape {shape}, got {out.dtype} of {out.shape}")
        for place, row in enumerate(picked.tolist()):
            out[place] = decode_chip(self._encoded[row])
        return out
