"""The labels of a dataset as a table, without its pictures."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.datasets import Dataset, Rejection, Sample, get_dataset
from agegender_train.files import folder_lock, keep_apart, write_atomically
from agegender_train.preprocessing.cleaning import check_label
from agegender_train.preprocessing.losses import find_losses, notes_of
from agegender_train.preprocessing.shards import count_by_name
from agegender_train.preprocessing.workspace import write_rejections
from agegender_train.store import SCHEMA

LABEL_COLUMNS = ("key", "age_low", "age_high", "gender", "group", "subject", "split")
_GENDER_NAMES = {1: "male", 0: "female", None: "missing"}


def write_label_table(
    dataset: str | Dataset,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
) -> dict[str, Any]:
    """Writes the labels of a dataset and those that are rejected, and why; the pictures need not be there.

    Args:
        dataset: a reader or its name.
        source: the dataset's folder, archives or label files.
        out: a folder, which is made if need be. In it ``labels.parquet`` has the usable labels (`LABEL_COLUMNS`, as in
            the store), ``audit.parquet`` the others with the reason, ``audit.json`` the counts.

    Returns:
        The content of ``audit.json``: `rows`, `kept` and the number rejected for each reason; of the kept ones the
        numbers by gender, by split and by age group ("known" where it is a single age). `notes` and `warnings` are
        sentences.

    Raises:
        ValueError: `source` isn't the dataset, one of the two lies in the other, or `out` holds something else.
        OSError: `source` can't be read, or `out` can't be written.
    """
    reader = get_dataset(dataset) if isinstance(dataset, str) else dataset
    out = Path(out)
    paths = [Path(path) for path in ([source] if isinstance(source, str | os.PathLike) else source)]
    keep_apart(out, paths)
    _check_folder(out, reader.name)
    files = reader.open(*paths)
    keep_apart(out, paths, files.folders)
    entries = [_checked(entry) for entry in reader.entries(files)]
    kept = [entry for entry in entries if isinstance(entry, Sample)]
    rejected = [entry for entry in entries if isinstance(entry, Rejection)]
    audit = {
        "dataset": reader.name,
        "rows": len(entries),
        "kept": len(kept),
        "rejected": count_by_name(rejection.reason for rejection in rejected),
        "per_gender": count_by_name(_GENDER_NAMES[sample.gender] for sample in kept),
        "per_split": count_by_name(sample.split or "" for sample in kept),
        "per_age_group": _count_ages(kept),
        "notes": notes_of(files),
        "warnings": find_losses(entries, rejected, reader.age_groups),
    }
    with folder_lock(out):
        schema = pa.schema([SCHEMA.field(name) for name in LABEL_COLUMNS])
        columns = {name: [getattr(sample, name) for sample in kept] for name in LABEL_COLUMNS}
        write_atomically(out / "labels.parquet", _parquet(pa.table(columns, schema)))
        write_rejections(out / "audit.parquet", reader.name, rejected)
        write_atomically(out / "audit.json", audit)
    return audit


def _check_folder(out: Path, dataset: str) -> None:
    """Checks that nothing but an earlier table of the dataset's labels would be replaced in a folder.

    Raises:
        ValueError: it holds something else.
    """
    if (out / "store.json").exists():
        raise ValueError(f"{out} holds a store: give another folder for the labels")
    if not out.exists():
        return
    names = {path.name for path in out.iterdir()}
    if not names & {"labels.parquet", "audit.parquet", "audit.json"}:
        return
    try:
        found = json.loads((out / "audit.json").read_bytes())["dataset"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if found != dataset:
        what = f"the labels of {found}" if found else "other files called audit.json, audit.parquet or labels.parquet"
        raise ValueError(f"{out} holds {what}: give another folder for the labels")


def _checked(entry: Sample | Rejection) -> Sample | Rejection:
    return entry if isinstance(entry, Rejection) else check_label(entry) or entry


def _count_ages(samples: Iterable[Sample]) -> dict[str, int]:
    intervals = Counter((sample.age_low, sample.age_high) for sample in samples)
    missing = intervals.pop((None, None), 0)
    groups = {(low, high): count for (low, high), count in intervals.items() if low != high}
    known = intervals.total() - sum(groups.values())
    named = {f"{low:g}-{high:g}": groups[low, high] for low, high in sorted(groups)}
    return named | ({"known": known} if known else {}) | ({"missing": missing} if missing else {})


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
