"""The unit of work of `preprocess`: so many pictures become one shard and its part of the audit."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agegender_train.archives import FileTree
from agegender_train.datasets import Rejection, Sample
from agegender_train.datasets.base import MISSING_PICTURE
from agegender_train.preprocessing.pictures import UNREADABLE, Outcome, Row, Settings, Tools, process_picture
from agegender_train.store import encode_shard, write_atomically

SHARD_PICTURES = 1000


@dataclass(frozen=True)
class ShardTask:
    """All that another thread, process or machine needs, beside the tools, to make one shard. It can be pickled.

    Attributes:
        index: number of the shard.
        entries: its pictures in their order; those that are rejected already just go into the audit.
        files: where the pictures are.
        out: the store's folder.
        settings: how a picture becomes a row.
    """

    index: int
    entries: Sequence[Sample | Rejection]
    files: FileTree
    out: Path
    settings: Settings


def shard_path(out: Path, index: int) -> Path:
    """The shard's file. There is none for a shard without rows: Hugging Face `datasets` can't open empty ones."""
    return out / f"shard-{index:05}.parquet"


def audit_path(out: Path, index: int) -> Path:
    """The shard's part of the audit: counts, the rejections, and the shard's size and SHA-256. It is written last."""
    return out / "audit" / f"part-{index:05}.json"


def is_done(out: Path, index: int) -> bool:
    """Whether a shard is there as a whole, with its audit."""
    if not audit_path(out, index).exists():
        return False
    shard = json.loads(audit_path(out, index).read_bytes())["shard"]
    path = shard_path(out, index)
    return shard["rows"] == 0 or (path.exists() and path.stat().st_size == shard["bytes"])


def make_shard(task: ShardTask, tools: Tools, tick: Callable[[], None]) -> None:
    """Makes one shard; equal tasks give equal files.

    Args:
        task: what to make.
        tools: the detector, the aligner and the decoder.
        tick: called after every picture; what it raises ends the work, and nothing is written.

    Raises:
        OSError: the files can't be written.
    """
    rows: list[Row] = []
    rejected: list[Rejection] = []
    faces = 0
    for entry in task.entries:
        outcome = _process(entry, task, tools)
        faces += outcome.faces
        rows += outcome.rows
        if outcome.rejection is not None:
            rejected.append(outcome.rejection)
        tick()
    path = shard_path(task.out, task.index)
    content = encode_shard(rows)
    digest = hashlib.sha256(content).hexdigest()
    part = {
        "shard": {"name": path.name, "rows": len(rows), "bytes": len(content), "sha256": digest},
        "pictures": len(task.entries),
        "faces": faces,
        "kept": len(rows),
        "box_from": _counts(row["box_from"] for row in rows),
        "per_split": _counts(row["split"] or "" for row in rows),
        "rejected": _counts(rejection.reason for rejection in rejected),
        "rows": rejected,
    }
    if rows:
        write_atomically(path, content)
    write_atomically(audit_path(task.out, task.index), part)


def _process(entry: Sample | Rejection, task: ShardTask, tools: Tools) -> Outcome:
    if isinstance(entry, Rejection):
        return Outcome([], entry, 0)
    try:
        data = task.files.read(entry.file)
    except FileNotFoundError:
        return Outcome([], Rejection(entry.key, MISSING_PICTURE), 0)
    except OSError as error:
        return Outcome([], Rejection(entry.key, UNREADABLE, str(error)), 0)
    return process_picture(data, entry, task.settings, tools)


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def read_parts(out: Path, count: int) -> list[dict[str, Any]]:
    """The audits of all shards of a store, in their order."""
    return [json.loads(audit_path(out, index).read_bytes()) for index in range(count)]


def merge_parts(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The audit of a whole store: the sums over its shards."""
    merged: dict[str, Any] = {name: sum(part[name] for part in parts) for name in ("pictures", "faces", "kept")}
    for name in ("box_from", "per_split", "rejected"):
        total: Counter[str] = Counter()
        for part in parts:
            total.update(part[name])
        merged[name] = dict(sorted(total.items()))
    return merged
