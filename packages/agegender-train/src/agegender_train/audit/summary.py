"""One store in figures: its faces and what was rejected; and which dataset it was made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.datasets import Rejection, open_source
from agegender_train.datasets.archives import FileTree
from agegender_train.store import Store
from agegender_train.store.labels import AGE_BANDS, Labels

LABELS_FILE = "labels.parquet"
_LABELS = ("age_low", "age_high", "gender", "group", "subject", "split", "key")

GENDERS = {0: "female", 1: "male", -1: "unknown"}
UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class Summary:
    """One store in figures, or a table of labels without pictures.

    Attributes:
        path: its folder.
        dataset: name of the dataset.
        store: the store; ``None`` for a table of labels.
        name: its name where several are compared.
        labels: the labels of its n faces.
        pictures: number of the dataset's entries, kept and rejected.
        found: how many faces the detector found in them; ``None`` where that isn't recorded.
        box_from: faces by the source of their box ("detected", "known").
        rejected: rejected entries by reason, the most frequent first.
        rejections: those entries, in the reader's order.
    """

    path: Path
    dataset: str
    store: Store | None
    name: str
    labels: Labels
    pictures: int
    found: int | None
    box_from: dict[str, int]
    rejected: dict[str, int]
    rejections: list[Rejection]

    @classmethod
    def of(cls, store: Store, name: str | None = None) -> Summary:
        """The figures of a store.

        Raises:
            OSError: its audit can't be read.
            ValueError: its audit is damaged.
        """
        labels = store.labels()
        rejections = _read_rejections(store.path / "audit.parquet")
        found = _read_counts(store.path / "audit.json").get("faces")
        rejected = counts(entry.reason for entry in rejections)
        box_from = counts(source or UNKNOWN for source in store.columns("box_from")["box_from"].to_pylist())
        pictures = int(store.description.get("pictures", len(labels) + len(rejections)))
        name = name or store.name
        return cls(store.path, store.name, store, name, labels, pictures, found, box_from, rejected, rejections)

    @classmethod
    def of_labels(cls, path: Path, name: str | None = None) -> Summary:
        """The figures of what ``preprocess --labels-only`` wrote into the folder `path`.

        Raises:
            OSError: it can't be read.
            ValueError: it is damaged.
        """
        labels = Labels.from_columns(**_read_table(path / LABELS_FILE, _LABELS))
        rejections = _read_rejections(path / "audit.parquet")
        dataset = str(_read_counts(path / "audit.json").get("dataset", path.name))
        rejected = counts(entry.reason for entry in rejections)
        pictures = len(labels) + len(rejections)
        return cls(path, dataset, None, name or dataset, labels, pictures, None, {}, rejected, rejections)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def splits(self) -> dict[str, int]:
        """Faces by official split; empty where the dataset has none."""
        found = counts(word or UNKNOWN for word in self.labels.split)
        return {} if set(found) == {UNKNOWN} else found

    @property
    def groups(self) -> dict[str, int]:
        """Faces by group, the most frequent first; empty where the dataset has none."""
        found = counts(UNKNOWN if group is None else str(group) for group in self.labels.group)
        return {} if set(found) == {UNKNOWN} else found

    @property
    def genders(self) -> dict[str, int]:
        """Faces by gender."""
        return {word: int((self.labels.gender == number).sum()) for number, word in GENDERS.items()}

    def gender_by_band(self) -> dict[str, dict[str, int]]:
        """For each of `AGE_BANDS`, and for faces without an age, the faces by gender."""
        age, gender = self.labels.age, self.labels.gender
        aged = ~np.isnan(age)
        band = np.where(aged, np.minimum(np.nan_to_num(age) // 10, len(AGE_BANDS) - 1), len(AGE_BANDS)).astype(np.int64)
        return {
            name: {word: int(((band == index) & (gender == number)).sum()) for number, word in GENDERS.items()}
            for index, name in enumerate((*AGE_BANDS, "no age"))
        }

    def figures(self) -> dict[str, Any]:
        """All of it, for JSON."""
        labels = self.labels
        aged, age = ~np.isnan(labels.age_low), labels.age[~np.isnan(labels.age_low)].astype(np.float64)
        return {
            "name": self.name,
            "dataset": self.dataset,
            "path": str(self.path),
            "fingerprint": None if self.store is None else self.store.fingerprint,
            "pictures": self.pictures,
            "faces": len(self),
            "exact_ages": int(labels.age_is_exact.sum()),
            "age_groups": int((aged & ~labels.age_is_exact).sum()),
            "mean_age": float(age.mean()) if len(age) else None,
            "subjects": len({subject for subject in labels.subject if subject is not None}) or None,
            "genders": self.genders,
            "groups": self.groups,
            "gender_by_band": self.gender_by_band(),
            "splits": self.splits,
            "box_from": self.box_from,
            "rejected": self.rejected,
            "reviewed": {} if self.store is None else self.store.reviewed,
        }


def counts(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs, the most frequent first, then by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _read_rejections(path: Path) -> list[Rejection]:
    if not path.exists():
        return []
    columns = _read_table(path, ("source", "reason", "value")).values()
    return [Rejection(key or "", reason or UNKNOWN, value or "") for key, reason, value in zip(*columns, strict=True)]


def _read_table(path: Path, columns: Sequence[str]) -> dict[str, list[Any]]:
    try:
        table: dict[str, list[Any]] = pq.read_table(path, columns=list(columns)).select(columns).to_pydict()
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no table of {', '.join(columns)} ({error}); make it again") from error
    return table


def _read_counts(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged; make the store again")
    return content


def match_sources(summaries: Sequence[Summary], paths: Sequence[Path]) -> dict[int, FileTree]:
    """The files of each store's dataset, by the index of its summary: one of the `paths`, or all of them together.

    Raises:
        OSError: a path can't be read.
        ValueError: a path is no store's dataset, or has changed since.
    """
    opened: dict[str, list[FileTree]] = {}  # by dataset: each path, then all together
    used: set[int] = set()
    found: dict[int, FileTree] = {}
    for index, summary in enumerate(summaries):
        made_of = {} if summary.store is None else summary.store.description.get("source", {})
        if summary.dataset not in opened:
            single = [open_source(summary.dataset, path) for path in paths]
            opened[summary.dataset] = [*single, open_source(summary.dataset, *paths)] if len(paths) > 1 else single
        for place, files in enumerate(opened[summary.dataset]):
            if files.signature() == made_of.get("sha256"):
                found.setdefault(index, files)
                used.add(place)
    if len(paths) not in used:
        for place, path in enumerate(paths):
            if place not in used:
                names = ", ".join(summary.name for summary in summaries)
                raise ValueError(f"{path} isn't what {names} was made of, or has changed since")
    return found
