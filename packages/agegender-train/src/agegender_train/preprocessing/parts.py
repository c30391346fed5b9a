"""A shard's own audit: what went in, what came out, and the file that it is in."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agegender_train.datasets import Rejection

_SUMS = ("pictures", "pictures_kept", "faces", "kept")
_COUNTS = ("box_from", "per_split", "rejected")


def part_of(
    index: int,
    pictures: int,
    faces: int,
    rows: Sequence[Mapping[str, Any]],
    rejected: Sequence[Rejection],
    content: bytes,
) -> dict[str, Any]:
    """A shard's audit.

    Args:
        index: number of the shard.
        pictures: how many entries of the reader it is made of.
        faces: how many faces were found in them.
        rows: its rows; of each, `key`, `box_from` and `split`.
        rejected: the entries that have no row, in their order.
        content: the encoded shard.

    Returns:
        For JSON: ``shard`` (name, rows, bytes and SHA-256 of the file), ``pictures`` and ``pictures_kept`` (entries),
        ``faces`` (found), ``kept`` (rows), ``box_from`` and ``per_split`` (rows by them), ``rejected`` (entries by
        reason) and ``rows``: key, reason and value of each rejected entry.
    """
    digest = hashlib.sha256(content).hexdigest()
    return {
        "shard": {"name": shard_name(index), "rows": len(rows), "bytes": len(content), "sha256": digest},
        "pictures": pictures,
        "pictures_kept": len({row["key"] for row in rows}),
        "faces": faces,
        "kept": len(rows),
        "box_from": _counts(row["box_from"] for row in rows),
        "per_split": _counts(row["split"] or "" for row in rows),
        "rejected": _counts(rejection.reason for rejection in rejected),
        "rows": rejected,
    }


def shard_name(index: int) -> str:
    """The shard's file. There is none for a shard without rows: Hugging Face `datasets` can't open empty ones."""
    return f"shard-{index:05}.parquet"


def part_name(index: int) -> str:
    """The file of the shard's audit."""
    return f"part-{index:05}.json"


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def merge_parts(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The audit of a whole store: the sums over its shards."""
    sums: Counter[str] = Counter(dict.fromkeys(_SUMS, 0))
    counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTS}
    for part in parts:
        for name in _SUMS:
            sums[name] += part[name]
        for name, count in counts.items():
            count.update(part[name])
    return {**sums, **{name: dict(sorted(count.items())) for name, count in counts.items()}}
