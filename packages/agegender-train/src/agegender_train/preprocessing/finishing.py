"""The end of `preprocess`: the audit of the whole, and the mark that the store can be opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agegender_train.files import write_atomically
from agegender_train.preprocessing.parts import merge_parts
from agegender_train.preprocessing.workspace import Workspace

AUDIT_SCHEMA = pa.schema([(name, pa.string()) for name in ("dataset", "source", "reason", "value")])
"""The columns of ``audit.parquet``: one row an entry of the reader that isn't in the store, in the reader's order.

`source` is the entry's key; `reason` is one of few short phrases; `value` is the particular of this one.
"""

_SETTINGS = ("boxes", "detector", "faces", "min_face", "near_duplicates")


def finish(workspace: Workspace, description: Mapping[str, Any], count: int, shadowed: int) -> None:
    """Writes ``audit.parquet`` and ``audit.json``, and in ``store.json`` that the store is complete.

    Raises:
        RuntimeError: an entry of the reader is neither in the store nor in the audit, or in both.
        OSError: they can't be written.
    """
    out = workspace.out
    counts = merge_parts(workspace.parts(count))
    rejected = sum(counts["rejected"].values())
    if not counts["pictures"] == description["pictures"] == counts["pictures_kept"] + rejected:
        raise RuntimeError(
            f"{out}: of {description['pictures']} pictures {counts['pictures_kept']} were kept and {rejected} "
            "rejected; delete the store and make it anew"
        )
    share = {way: round(rows / counts["kept"], 6) for way, rows in counts["box_from"].items()}
    settings = {"faces_policy" if name == "faces" else name: description[name] for name in _SETTINGS}
    audit = {"dataset": description["dataset"], **settings, **counts, "box_from_share": share, "shadowed": shadowed}
    _write_table(out / "audit.parquet", description["dataset"], workspace.parts(count))
    write_atomically(out / "audit.json", audit)
    shards = [part["shard"] for part in workspace.parts(count) if part["kept"]]
    workspace.clear()
    # The last step: from here on the store can be opened.
    write_atomically(out / "store.json", {**description, "complete": True, "shards": shards})


def _write_table(path: Path, dataset: str, parts: Iterable[Mapping[str, Any]]) -> None:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, AUDIT_SCHEMA, compression="zstd", write_statistics=False) as writer:
        rows: list[tuple[str, str, str, str]] = []
        for part in parts:
            rows += [(dataset, key, reason, value) for key, reason, value in part["rows"]]
            if len(rows) >= 100_000:
                writer.write_table(_table(rows))
                rows = []
        writer.write_table(_table(rows))
    write_atomically(path, sink.getvalue().to_pybytes())


def _table(rows: list[tuple[str, str, str, str]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(AUDIT_SCHEMA)
    return pa.table([pa.array(column, pa.string()) for column in columns], AUDIT_SCHEMA)
